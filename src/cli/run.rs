//! `tributary run`: the daemon. The only place that wires everything together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use metrics::counter;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Failure;
use super::open::{Installation, guard, load};
use crate::channel::{self, Channel, Site, Table};
use crate::engine::{Clock, Engine, Webhook};
use crate::model::ChannelName;
use crate::settings::{Loaded, Settings};
use crate::store::{Access, Store};
use crate::web::{self, WebSettings};
use crate::{systemd, telemetry};

/// A daemon at work.
struct Daemon {
    config: Option<PathBuf>,
    engine: Arc<Engine>,
    site: Site,
    /// As they run now.
    channels: BTreeMap<ChannelName, Table>,
    /// As they were at the start.
    settings: Settings,
    fit: Fit,
}

/// What is done to a channel before it runs.
pub(super) type Fit = fn(Channel) -> Channel;

/// Runs until it is asked to stop.
pub(super) async fn run(config: Option<&Path>) -> Result<(), Failure> {
    let loaded = load(config)?;
    telemetry::start(&loaded.settings.log)?;
    for warning in loaded.settings.warnings() {
        tracing::warn!("{warning}");
    }
    let opening = Box::pin(Installation::of(loaded, Access::Daemon));
    let installation = systemd::starting("opening the store", opening).await?;
    serve(&installation, config, |channel| channel).await
}

/// Runs the channels of an open installation until it is asked to stop, and closes its store. `fit` changes
/// every channel before it runs, also when the settings are read again from `config`.
pub(super) async fn serve(
    installation: &Installation,
    config: Option<&Path>,
    fit: Fit,
) -> Result<(), Failure> {
    let metrics = telemetry::metrics()?;
    let channels: Vec<Channel> = installation.channels()?.into_iter().map(fit).collect();
    let count = channels.len();
    let settings = installation.settings();
    let listen = settings.http.listen;
    let listener = TcpListener::bind(listen).await;
    let listener = listener.map_err(|error| anyhow::anyhow!("http.listen {listen}: {error}"))?;
    let address = format!("http://{}", listener.local_addr()?);
    let store = installation.store.clone();
    // Before anything runs that has to be given back: until they are listened for, signals end the process at once.
    let mut signals = Signals::listen()?;
    let engine =
        Engine::start(store.clone(), channels, installation.engine_settings()?, Clock::system());
    let webhooks = installation.webhooks()?;
    engine.change_webhooks(webhooks, Vec::new()).await?;
    let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
    let signer = installation.site.signer.clone();
    let state =
        web::State::new(engine.clone(), web_settings(&installation.loaded), metrics, signer);
    let stall_max = state.settings.stall_max;
    tasks.spawn(state.follow_chats(closing.clone()));
    tasks.spawn(web::serve(listener, web::router(state), stall_max, closing.clone()));
    tasks.spawn(systemd::feed_watchdog(engine.pulse(), closing.clone()));
    tasks.close();
    tell_address(&store, &address, settings.console.enabled).await?;
    let mut daemon = Daemon {
        config: config.map(Path::to_path_buf),
        engine: engine.clone(),
        site: installation.site.clone(),
        channels: settings.channels.clone(),
        settings: settings.clone(),
        fit,
    };
    systemd::ready(&format!("{count} channels, {address}"));
    daemon.until_stopped(&mut signals).await;
    systemd::stopping();
    tracing::info!("stopping; a second signal ends at once, and loses nothing either");
    let end = async {
        engine.stop().await;
        closing.cancel();
        // Connections that do not end by themselves are not waited for.
        drop(tokio::time::timeout(std::time::Duration::from_secs(5), tasks.wait()).await);
        store.close().await
    };
    tokio::select! {
        closed = end => Ok(closed?),
        () = signals.stop() => Ok(()),
    }
}

fn web_settings(loaded: &Loaded) -> WebSettings {
    let settings = &loaded.settings;
    WebSettings {
        console: settings.console.enabled,
        sso: settings.sso(),
        trusted_proxies: settings
            .http
            .trusted_proxies
            .iter()
            .map(|network| (network.address, network.bits))
            .collect(),
        ..WebSettings::usual(settings.public_url())
    }
}

/// On a terminal, where the console is and a link that signs in once. The link is a secret, so it is
/// printed where a person looks and never logged.
async fn tell_address(store: &Store, address: &str, console: bool) -> Result<(), Failure> {
    tracing::info!(http.address = address, "listening on {address}");
    if console {
        let valid = chrono::Duration::hours(1);
        let secret = store.admin_sign_in_link(valid, Clock::system().now()).await?;
        println!("console: {address}/console");
        println!("sign in within an hour, once: {}", web::sign_in_link(address, &secret));
    } else {
        println!("listening on {address}");
    }
    Ok(())
}

/// What we are asked for from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// We are to stop.
    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// `true`: the settings are to be read again; `false`: we are to stop.
    async fn reload(&mut self) -> bool {
        tokio::select! {
            _ = self.terminate.recv() => false,
            _ = self.interrupt.recv() => false,
            _ = self.hangup.recv() => true,
        }
    }
}

impl Daemon {
    async fn until_stopped(&mut self, signals: &mut Signals) {
        while signals.reload().await {
            systemd::reloading();
            let status = self.reload().await;
            systemd::ready(&status);
        }
    }

    /// Reads the settings again: channels that changed are restarted, the others are not touched. A faulty
    /// file is refused, and everything stays as it runs. Returns what to tell.
    async fn reload(&mut self) -> String {
        let loaded = match load(self.config.as_deref()) {
            Ok(loaded) => loaded,
            Err(Failure::Config(faults)) => return refused(&faults),
            Err(_) => return refused("the settings could not be read"),
        };
        let wanted = &loaded.settings.channels;
        let mut changed = Vec::new();
        for (name, table) in
            wanted.iter().filter(|(name, table)| self.channels.get(*name) != Some(*table))
        {
            match channel::build(name.clone(), table.clone(), &self.site) {
                Ok(built) => changed.push((self.fit)(built)),
                Err(bad) => return refused(&bad.to_string()),
            }
        }
        let webhooks = match self.reload_webhooks(&loaded).await {
            Ok(changed) => changed,
            Err(told) => return told,
        };
        let removed: Vec<ChannelName> =
            self.channels.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        let mut told =
            format!("reloaded: {} channels changed, {} removed", changed.len(), removed.len());
        if webhooks > 0 {
            told.push_str(&format!("; {webhooks} webhooks changed"));
        }
        let later = self.settings.needs_restart(&loaded.settings);
        if !later.is_empty() {
            told.push_str(&format!("; [{}] changed too: restart for that", later.join("], [")));
        }
        if self.settings.triage != loaded.settings.triage || *wanted != self.channels {
            match loaded.build_triage() {
                Ok(triage) => self.engine.change_triage(Arc::new(triage)),
                Err(faults) => return refused(&faults.to_string()),
            }
            if self.settings.triage != loaded.settings.triage {
                told.push_str("; the rules changed");
            }
            self.settings.triage.clone_from(&loaded.settings.triage);
        }
        if guard(&self.engine.store, &loaded).is_err() {
            return refused("[safety] could not be read");
        }
        self.engine.reload(changed, removed).await;
        self.engine.change_known_answers(loaded.settings.known.clone());
        self.channels.clone_from(wanted);
        self.settings.webhooks.clone_from(&loaded.settings.webhooks);
        counter!(telemetry::RELOADS, "outcome" => "done").increment(1);
        tracing::info!("{told}");
        told
    }
}

impl Daemon {
    /// Outgoing webhooks that changed are started anew, those that are gone stopped. Returns how many.
    async fn reload_webhooks(&self, loaded: &Loaded) -> Result<usize, String> {
        let (old, new) = (&self.settings.webhooks, &loaded.settings.webhooks);
        let built = loaded.build_webhooks().map_err(|faults| refused(&faults.to_string()))?;
        let differs = |webhook: &Webhook| {
            let name = &webhook.channel.name;
            old.get(name) != new.get(name)
        };
        let changed: Vec<Webhook> = built.into_iter().filter(differs).collect();
        let removed: Vec<ChannelName> =
            old.keys().filter(|name| !new.contains_key(*name)).cloned().collect();
        let count = changed.len() + removed.len();
        match self.engine.change_webhooks(changed, removed).await {
            Ok(()) => Ok(count),
            Err(error) => Err(refused(&error.to_string())),
        }
    }
}

fn refused(faults: &str) -> String {
    counter!(telemetry::RELOADS, "outcome" => "refused").increment(1);
    tracing::error!(error = faults, "the new configuration is refused, the running one stays");
    "reload refused: see the log".to_owned()
}
