//! What `check --online` tries: all at once, each with its own limit, each told whether it worked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use tokio::net::TcpListener;

use super::{Check, Outcome};
use crate::channel::shared::sign::Signer;
use crate::channel::{Channel, Site, Vault};
use crate::cli::open::{StoreVault, scanner};
use crate::engine::{Clock, Probe, probe};
use crate::model::{Cause, Secret};
use crate::settings::Loaded;
use crate::store::{self, Access, MasterKeys, Store};
use crate::web::{self, SsoSettings};

/// Connecting and signing in may take so long.
const LIMIT: Duration = Duration::from_secs(60);

/// Tries everything. `keys`: the master keys, if there are any yet.
pub(super) async fn run(loaded: &Loaded, keys: Option<MasterKeys>) -> Vec<Check> {
    let (store, mut checks) = open(loaded, keys.clone()).await;
    let listen = loaded.settings.http.listen;
    let daemon = answers_as_us(&format!("http://{listen}")).await.is_ok();
    checks.push(port("http", "listen", &listen.to_string(), daemon).await);
    let site = Site {
        public_url: loaded.settings.public_url(),
        signer: Signer::new(keys.map_or_else(|| vec![[0; 32]], |k| k.derive("tributary:tokens"))),
        vault: match &store {
            Some(store) => Arc::new(StoreVault(store.clone())),
            None => Arc::new(NoVault),
        },
    };
    match loaded.build_channels(&site) {
        Ok(channels) => {
            let public = public_address(&site, &channels, daemon).await;
            let each = channels.iter().map(|one| channel(one, store.as_ref(), &public, daemon));
            checks.extend(join_all(each).await.into_iter().flatten());
        }
        Err(faults) => checks.extend(faults.0.into_iter().map(|fault| Check {
            key: fault.key.clone(),
            part: "settings",
            outcome: Outcome::Failed,
            detail: fault.to_string(),
        })),
    }
    if let Some(scanner) = scanner(&loaded.settings.scan) {
        checks.push(match scanner.scan(b"Is anybody there?").await {
            Ok(_) => ok("scan", "clamd", format!("{} looks at files", scanner.address)),
            Err(error) => failed("scan", "clamd", format!("{}: {error}", scanner.address)),
        });
    }
    // What is wrong with their settings was said before anything was tried.
    let webhooks = loaded.build_webhooks().unwrap_or_default();
    let each = webhooks.iter().map(|webhook| endpoint(&webhook.channel));
    checks.extend(join_all(each).await.into_iter().flatten());
    checks.extend(join_all(loaded.settings.sso().iter().map(provider)).await);
    if let Some(store) = store
        && let Err(error) = store.close().await
    {
        checks.push(failed("store", "close", chained(error)));
    }
    checks
}

fn ok(key: &str, part: &'static str, detail: impl Into<String>) -> Check {
    Check { key: key.to_owned(), part, outcome: Outcome::Ok, detail: detail.into() }
}

fn failed(key: &str, part: &'static str, detail: impl Into<String>) -> Check {
    Check { key: key.to_owned(), part, outcome: Outcome::Failed, detail: detail.into() }
}

fn skipped(key: &str, part: &'static str, detail: impl Into<String>) -> Check {
    Check { key: key.to_owned(), part, outcome: Outcome::Skipped, detail: detail.into() }
}

/// An error with all that is underneath.
fn chained(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// The store, if there is one and it opens, and what is to be said about it.
async fn open(loaded: &Loaded, keys: Option<MasterKeys>) -> (Option<Store>, Vec<Check>) {
    let settings = loaded.settings.store_settings();
    let name = shown_url(&settings.url);
    let path = store::sqlite_path(&settings.url);
    if let Some(path) = path.filter(|path| !path.exists()) {
        let command = if loaded.settings.store.auto_migrate { "run" } else { "migrate" };
        return (None, vec![new_database(&path, command)]);
    }
    let Some(keys) = keys else {
        let text = format!("{name} is there, but the key that opens it is not: store.master_key");
        return (None, vec![failed("store", "open", text)]);
    };
    let tried = tokio::time::timeout(LIMIT, async {
        let store = Store::open(&settings, keys, Access::Beside).await?;
        let pending = store.pending_migrations().await?;
        if pending == 0 {
            store.ping().await?;
        }
        Ok::<_, store::StoreError>((store, pending))
    });
    match tried.await {
        Err(_) => (None, vec![failed("store", "open", format!("{name} does not answer"))]),
        Ok(Err(error)) => {
            (None, vec![failed("store", "open", format!("{name}: {}", chained(error)))])
        }
        Ok(Ok((store, 0))) => {
            let text = format!("{name} can be read and written, its schema is up to date");
            (Some(store), vec![ok("store", "open", text)])
        }
        Ok(Ok((store, pending))) if loaded.settings.store.auto_migrate => {
            let text =
                format!("{name} opens; `tributary run` will bring it {pending} steps forward");
            drop(store.close().await);
            (None, vec![ok("store", "open", text)])
        }
        Ok(Ok((store, pending))) => {
            let text = format!(
                "{name} opens, but its schema is {pending} steps behind: run `tributary migrate`"
            );
            drop(store.close().await);
            (None, vec![failed("store", "schema", text)])
        }
    }
}

/// Without user and password.
fn shown_url(url: &str) -> String {
    if url.starts_with("sqlite:") {
        return url.to_owned();
    }
    match url::Url::parse(url) {
        Ok(url) => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            let host = url.host_str().unwrap_or_default();
            format!("{}://{host}{port}{}", url.scheme(), url.path())
        }
        Err(_) => "the database".to_owned(),
    }
}

/// A database that is made at the first start: can it be?
fn new_database(path: &Path, command: &str) -> Check {
    let mut folders = path
        .ancestors()
        .skip(1)
        .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let Some(folder) = folders.find(|folder| folder.is_dir()) else {
        return failed("store", "open", format!("{}: there is no folder for it", path.display()));
    };
    let probe = folder.join(format!(".tributary-check-{}", std::process::id()));
    let tried = std::fs::OpenOptions::new().write(true).create_new(true).open(&probe);
    match tried.and_then(|_| std::fs::remove_file(&probe)) {
        Ok(()) => {
            ok("store", "open", format!("`tributary {command}` will make {}", path.display()))
        }
        Err(error) => {
            let text = format!("{} cannot be made: {}: {error}", path.display(), folder.display());
            failed("store", "open", text)
        }
    }
}

/// Can it be listened on? A port that our own daemon has is as good as a free one.
async fn port(key: &str, part: &'static str, address: &str, daemon: bool) -> Check {
    let bound = match address.strip_prefix("unix:") {
        Some(path) => unix_port(Path::new(path)),
        None => TcpListener::bind(address).await.map(drop),
    };
    match bound {
        Ok(()) => ok(key, part, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && daemon => {
            ok(key, part, format!("{address} is held by the running daemon"))
        }
        Err(error) => failed(key, part, format!("{address} cannot be listened on: {error}")),
    }
}

/// A socket file is made anew at the start, so only its folder matters.
fn unix_port(path: &Path) -> std::io::Result<()> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(std::io::ErrorKind::AddrInUse.into());
    }
    let probe = path.with_extension(format!("check-{}", std::process::id()));
    std::os::unix::net::UnixListener::bind(&probe)?;
    std::fs::remove_file(probe)
}

/// Does a tributary answer there?
async fn answers_as_us(base: &str) -> Result<(), String> {
    let asked = async {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        let answer = client.get(format!("{base}/healthz")).send().await?.error_for_status()?;
        answer.json::<serde_json::Value>().await
    };
    match asked.await {
        Ok(answer) if answer.get("status").is_some_and(|status| status == "ok") => Ok(()),
        Ok(_) => Err("somebody else answers there".to_owned()),
        Err(error) => Err(chained(error)),
    }
}

/// What is known of the way from the services to us.
enum Public {
    Works(String),
    Broken(String),
    Untried(String),
}

async fn public_address(site: &Site, channels: &[Channel], daemon: bool) -> Public {
    if !channels.iter().any(|channel| channel.hook.is_some()) {
        return Public::Untried(String::new());
    }
    let url = &site.public_url;
    if !daemon {
        return Public::Untried(format!("{url} was not tried: no daemon runs to answer there"));
    }
    let host = url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let here = host.is_some_and(|host| crate::channel::shared::tls::is_loopback(&host));
    match answers_as_us(url).await {
        Ok(()) if here => Public::Works("reaches us, from this machine only".to_owned()),
        Ok(()) => Public::Works("reaches us".to_owned()),
        Err(error) => Public::Broken(format!("http.public_url {url} does not reach us: {error}")),
    }
}

/// All parts of one channel, side by side.
async fn channel(
    channel: &Channel,
    store: Option<&Store>,
    public: &Public,
    daemon: bool,
) -> Vec<Check> {
    let key = format!("channels.{}", channel.name);
    let mut checks = services(&key, channel, store).await;
    if let Some(listen) = &channel.listen {
        checks.push(port(&key, "listen", listen.address(), daemon).await);
    }
    if channel.hook.is_some() {
        let address = |text: &str| format!("/hooks/{}: {text}", channel.name);
        checks.push(match public {
            Public::Works(text) => ok(&key, "hook", address(text)),
            Public::Broken(text) => failed(&key, "hook", address(text)),
            Public::Untried(text) => skipped(&key, "hook", address(text)),
        });
    }
    checks
}

/// One outgoing webhook: is there somebody at its address?
async fn endpoint(lane: &Channel) -> Vec<Check> {
    let name = lane.name.as_str();
    let key = format!("webhooks.{}", name.strip_prefix("webhook_").unwrap_or(name));
    signed_in(&key, probe(lane, None).await)
}

/// One identity provider: does it publish what signing in needs?
async fn provider(settings: &SsoSettings) -> Check {
    let key = format!("sso.{}", settings.name);
    let asked = async {
        match web::check_sso(settings, Clock::system().now()).await {
            Ok(text) => ok(&key, "discovery", text),
            Err(text) => failed(&key, "discovery", text),
        }
    };
    limited(&key, "discovery", asked).await
}

async fn limited(key: &str, part: &'static str, work: impl Future<Output = Check>) -> Check {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(check) => check,
        Err(_) => failed(key, part, format!("no answer within {} seconds", LIMIT.as_secs())),
    }
}

/// The parts that speak to the channel's service.
async fn services(key: &str, channel: &Channel, store: Option<&Store>) -> Vec<Check> {
    let cursor = match store.filter(|_| channel.pull.is_some()) {
        Some(store) => match store.cursor(&channel.name).await {
            Ok(cursor) => cursor,
            Err(error) => return vec![failed(key, "receive", chained(error))],
        },
        None => None,
    };
    signed_in(key, probe(channel, cursor).await)
}

fn signed_in(key: &str, probes: Vec<Probe>) -> Vec<Check> {
    let told = |one: Probe| match one.outcome {
        Ok(()) => ok(key, one.part, "connected and signed in"),
        Err(text) => failed(key, one.part, text),
    };
    probes.into_iter().map(told).collect()
}

/// There is no store yet, so nothing was ever kept.
struct NoVault;

#[async_trait]
impl Vault for NoVault {
    async fn get(&self, _: &str) -> Result<Option<Secret>, Cause> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: Secret) -> Result<(), Cause> {
        Err("there is no store yet that could keep it: start `tributary run` once".into())
    }
}
