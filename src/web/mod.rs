//! One HTTP server for everything: API, hooks, health, metrics, documents, console.
//!
//! Knows the engine and the store, and no kind of channel.

mod api;
mod chat;
mod client;
mod console;
mod docs;
mod error;
mod files;
mod form;
mod headers;
mod health;
mod hooks;
mod plot;
mod say;
mod session;
mod sso;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get};
use axum::serve::ListenerExt as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub use api::openapi;
pub use client::Failures;
pub use error::Problem;
pub use session::link as sign_in_link;
pub use sso::{SsoSettings, callback_url as sso_callback_url, check as check_sso};

use crate::channel::shared::sign::Signer;
use crate::engine::Engine;

/// How the server presents itself.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// What the world calls us; no slash at the end.
    pub public_url: String,
    /// Is the console served?
    pub console: bool,
    /// Identity providers by which people sign in.
    pub sso: Vec<SsoSettings>,
    /// Networks (address, prefix length) whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<(IpAddr, u8)>,
    /// Bytes of a hook's body.
    pub hook_bytes_max: usize,
    /// Bytes of an upload.
    pub upload_bytes_max: usize,
    /// Streams of events at once.
    pub streams_max: usize,
    /// A connection that takes nothing for so long is cut.
    pub stall_max: Duration,
}

impl WebSettings {
    /// Limits that suit mail and the usual networks.
    #[must_use]
    pub const fn usual(public_url: String) -> Self {
        Self {
            public_url,
            console: true,
            sso: Vec::new(),
            trusted_proxies: Vec::new(),
            hook_bytes_max: 30 * 1024 * 1024,
            upload_bytes_max: 25 * 1024 * 1024,
            streams_max: 200,
            stall_max: Duration::from_secs(60),
        }
    }
}

/// What every handler may use. Cheap to clone.
#[derive(Clone)]
pub struct State {
    /// The loops, and through them the store.
    pub engine: Arc<Engine>,
    /// How the server presents itself.
    pub settings: Arc<WebSettings>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Knows the addresses that we signed.
    pub signer: Signer,
    /// Who came with something wrong, and how often.
    pub failures: Arc<Failures>,
    /// A place for each stream of events.
    pub streams: Arc<Semaphore>,
    /// The identity providers by their names.
    providers: Arc<BTreeMap<String, sso::Provider>>,
    /// Streams of visitors.
    hub: Arc<chat::Hub>,
    /// How often each visitor asks.
    rates: Arc<chat::Rates>,
}

impl State {
    /// Puts it together.
    #[must_use]
    pub fn new(
        engine: Arc<Engine>,
        settings: WebSettings,
        metrics: PrometheusHandle,
        signer: Signer,
    ) -> Self {
        let streams = Arc::new(Semaphore::new(settings.streams_max));
        let each = settings.sso.iter().cloned();
        let providers = each.map(|one| (one.name.clone(), sso::Provider::new(one))).collect();
        Self {
            engine,
            settings: Arc::new(settings),
            metrics,
            providers: Arc::new(providers),
            signer,
            failures: Arc::default(),
            streams,
            hub: Arc::default(),
            rates: Arc::default(),
        }
    }

    /// Tells open chats what is new, until `stop`. Without it they look by themselves, now and then.
    pub fn follow_chats(&self, stop: CancellationToken) -> impl Future<Output = ()> + Send + use<> {
        self.hub.clone().run(self.engine.clone(), stop)
    }
}

/// A request may take so long; streams are not counted.
const REQUEST_MAX: Duration = Duration::from_secs(60);

/// All routes.
pub fn router(state: State) -> Router {
    let hook_bytes_max = state.settings.hook_bytes_max;
    let hooks = Router::new()
        .route("/hooks/{channel}", any(hooks::take))
        .route("/hooks/{channel}/{*rest}", any(hooks::take))
        .layer(DefaultBodyLimit::max(hook_bytes_max));
    let health = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .method_not_allowed_fallback(error::method_not_allowed);
    let api = api::router(&state);
    let chat = chat::routes(state.clone());
    let mut all = Router::new().merge(hooks).merge(health).merge(api).merge(chat);
    all = all.merge(docs::routes()).merge(files::routes());
    all = all.merge(form::routes()).merge(say::routes());
    if state.settings.console {
        all = all.merge(console::routes()).merge(session::routes()).merge(sso::routes());
    }
    let all = all.fallback(error::not_found);
    headers::layered(all, REQUEST_MAX).with_state(state)
}

/// Serves until `stop`; requests under way end, streams are closed by the engine's own stop.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stall_max: Duration,
    stop: CancellationToken,
) -> std::io::Result<()> {
    // The kernel cuts whoever takes nothing: no buffer of ours waits for them.
    let listener = listener.tap_io(move |stream| {
        let socket = socket2::SockRef::from(&*stream);
        if let Err(error) = socket.set_tcp_user_timeout(Some(stall_max)) {
            tracing::debug!(%error, "a connection has no limit for stalling");
        }
    });
    axum::serve(listener, router.into_make_service_with_connect_info::<std::net::SocketAddr>())
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}
