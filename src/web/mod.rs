//! One HTTP server for everything: API, hooks, health, metrics, documents, console.
//!
//! Knows the engine and the store, and no kind of channel.

mod api;
mod client;
mod error;
mod headers;
mod health;
mod hooks;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use api::openapi;
pub use client::Failures;
pub use error::Problem;

use crate::engine::Engine;

/// How the server presents itself.
#[derive(Debug, Clone)]
pub struct WebSettings {
    /// What the world calls us; no slash at the end.
    pub public_url: String,
    /// Is the console served?
    pub console: bool,
    /// Networks (address, prefix length) whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<(IpAddr, u8)>,
    /// Bytes of a hook's body.
    pub hook_bytes_max: usize,
    /// Bytes of an upload.
    pub upload_bytes_max: usize,
}

impl WebSettings {
    /// Limits that suit mail and the usual networks.
    #[must_use]
    pub const fn usual(public_url: String) -> Self {
        Self {
            public_url,
            console: true,
            trusted_proxies: Vec::new(),
            hook_bytes_max: 30 * 1024 * 1024,
            upload_bytes_max: 25 * 1024 * 1024,
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
    /// Who came with something wrong, and how often.
    pub failures: Arc<Failures>,
}

impl State {
    /// Puts it together.
    #[must_use]
    pub fn new(engine: Arc<Engine>, settings: WebSettings, metrics: PrometheusHandle) -> Self {
        Self { engine, settings: Arc::new(settings), metrics, failures: Arc::default() }
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
    let all = Router::new().merge(hooks).merge(health).merge(api).fallback(error::not_found);
    headers::layered(all, REQUEST_MAX).with_state(state)
}

/// Serves until `stop`; requests under way end, streams are closed by the engine's own stop.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    axum::serve(listener, router.into_make_service_with_connect_info::<std::net::SocketAddr>())
        .with_graceful_shutdown(async move { stop.cancelled().await })
        .await
}
