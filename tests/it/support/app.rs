//! The program within the test: a real store, the real HTTP server on a free port, and an engine whose
//! loops do not run, so that what is queued stays queued and nothing happens by itself.

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tributary::channel::shared::sign::Signer;
use tributary::channel::{self, Channel, Site, Vault};
use tributary::engine::{Clock, Engine, EngineSettings};
use tributary::model::{Cause, ChannelName, DedupeKey, Raw, Role, Secret, Transport};
use tributary::store::{Access, MasterKeys, Placed, Store, StoreSettings};
use tributary::web::{self, WebSettings};
use uuid::Uuid;

use super::daemon::Api;
use super::open_folder;
use super::postgres::Database;

/// A running program.
pub struct App {
    pub engine: Arc<Engine>,
    pub store: Store,
    /// `http://127.0.0.1:…`
    pub base: String,
    tokens: [(Role, String); 3],
    folder: TempDir,
    database: Option<Database>,
    closing: DropGuard,
}

impl App {
    /// On SQLite in a folder of its own, with the channels of this configuration (`[channels.<name>]`).
    pub async fn start(configuration: &str) -> Self {
        let folder = open_folder("app");
        let url = format!("sqlite://{}/tributary.db", folder.path().display());
        Self::start_in(folder, &url, configuration, |_| {}).await
    }

    /// With loops that run, and with channels as `change` makes them. `store`: of an earlier one, with its
    /// folder, as a restarted daemon has it.
    pub async fn running(
        before: Option<Self>,
        configuration: &str,
        change: impl Fn(Channel) -> Channel,
    ) -> Self {
        let folder = match before {
            Some(mut before) => {
                before.engine.stop().await;
                before.store.close().await.unwrap();
                std::mem::replace(&mut before.folder, open_folder("gone"))
            }
            None => open_folder("app"),
        };
        let url = format!("sqlite://{}/tributary.db", folder.path().display());
        let start = |store: Store, built: Vec<Channel>, settings, clock| {
            Engine::start(store, built.into_iter().map(change).collect(), settings, clock)
        };
        Self::start_engine((folder, &url), configuration, |_| {}, start).await
    }

    /// The SQLite file.
    pub fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("tributary.db")
    }

    /// On the database at `url`.
    pub async fn start_on(url: &str, configuration: &str) -> Self {
        Self::start_in(open_folder("app"), url, configuration, |_| {}).await
    }

    /// The same on either database.
    pub async fn start_either(postgres: bool, configuration: &str) -> Self {
        if postgres {
            Self::start_on_postgres(configuration).await
        } else {
            Self::start(configuration).await
        }
    }

    /// On a fresh database in PostgreSQL, dropped with the value.
    pub async fn start_on_postgres(configuration: &str) -> Self {
        let database = Database::fresh();
        let app = Self::start_on(&database.url(), configuration).await;
        Self { database: Some(database), ..app }
    }

    /// On SQLite, with other settings of the HTTP server.
    pub async fn start_with(configuration: &str, change: impl FnOnce(&mut WebSettings)) -> Self {
        let folder = open_folder("app");
        let url = format!("sqlite://{}/tributary.db", folder.path().display());
        Self::start_in(folder, &url, configuration, change).await
    }

    async fn start_in(
        folder: TempDir,
        url: &str,
        configuration: &str,
        change: impl FnOnce(&mut WebSettings),
    ) -> Self {
        Self::start_engine((folder, url), configuration, change, Engine::idle).await
    }

    async fn start_engine(
        (folder, url): (TempDir, &str),
        configuration: &str,
        change: impl FnOnce(&mut WebSettings),
        start: impl FnOnce(Store, Vec<Channel>, EngineSettings, Clock) -> Arc<Engine>,
    ) -> Self {
        let settings = StoreSettings { url: url.to_owned(), readers: 4 };
        let keys = MasterKeys::load_or_make(&folder.path().join("master.key")).unwrap();
        let signer = Signer::new(keys.derive("tributary:tokens"));
        let store = Store::open(&settings, keys, Access::Daemon).await.unwrap();
        store.migrate().await.unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let vault = Arc::new(StoreVault(store.clone()));
        let site = Site { public_url: base.clone(), signer: signer.clone(), vault };
        let (settings, clock) = (EngineSettings::usual(), Clock::system());
        let engine = start(store.clone(), channels(configuration, &site), settings, clock);
        let metrics = PrometheusBuilder::new().build_recorder().handle();
        let mut settings = WebSettings::usual(base.clone());
        change(&mut settings);
        let state = web::State::new(engine.clone(), settings, metrics, signer);
        let closing = CancellationToken::new();
        let stall_max = state.settings.stall_max;
        tokio::spawn(web::serve(listener, web::router(state), stall_max, closing.clone()));
        let mut tokens =
            [Role::ReadOnly, Role::Agent, Role::Admin].map(|role| (role, String::new()));
        for (role, token) in &mut tokens {
            let made = store
                .create_token(
                    role.as_str(),
                    *role,
                    None,
                    &tributary::model::Actor::system(),
                    Clock::system().now(),
                )
                .await;
            made.unwrap().1.reveal().clone_into(token);
        }
        Self { engine, store, base, tokens, folder, database: None, closing: closing.drop_guard() }
    }

    /// A client with a token of this role.
    pub fn api(&self, role: Role) -> Api {
        let token = self.tokens.iter().find(|(known, _)| *known == role).unwrap();
        Api::new(self.base.clone(), token.1.clone())
    }

    /// Takes a raw as if it had come by the channel, and has it understood. Where it went.
    pub async fn receive(&self, channel: &str, body: impl Into<Vec<u8>>) -> Placed {
        let id = self.take(channel, body).await;
        self.engine.drain_journal().await.unwrap();
        let (row, _) = self.store.raw(id).await.unwrap();
        assert_eq!(row.state, "applied", "{:?}", row.reason);
        self.store.placed(id).await.unwrap().into_iter().next().expect("it became a message")
    }

    /// Takes a raw and does not look at it yet.
    pub async fn take(&self, channel: &str, body: impl Into<Vec<u8>>) -> tributary::model::RawId {
        let raw = Raw {
            dedupe: DedupeKey::new(Uuid::new_v4().to_string()),
            body: Bytes::from(body.into()),
            transport: Transport::new(),
            received_at: None,
        };
        let channel: ChannelName = channel.parse().unwrap();
        let taken = self.engine.take_raws(&channel, vec![raw]).await.unwrap();
        taken.ids[0]
    }
}

fn channels(configuration: &str, site: &Site) -> Vec<Channel> {
    let source = config::File::from_str(configuration, config::FileFormat::Toml);
    let read = config::Config::builder().add_source(source).build().unwrap();
    let tables = read.get_table("channels").unwrap_or_default();
    let built = tables.into_iter().map(|(name, table)| {
        channel::build(name.parse().unwrap(), table, site).unwrap_or_else(|bad| panic!("{bad}"))
    });
    built.collect()
}

struct StoreVault(Store);

#[async_trait]
impl Vault for StoreVault {
    async fn get(&self, name: &str) -> Result<Option<Secret>, Cause> {
        Ok(self.0.vault_get(name).await?)
    }

    async fn put(&self, name: &str, value: Secret) -> Result<(), Cause> {
        Ok(self.0.vault_put(name, &value, Clock::system().now()).await?)
    }
}
