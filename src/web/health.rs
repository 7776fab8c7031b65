//! Is it alive, is it ready, how is it.

use std::time::Duration;

use axum::extract::State as Get;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::json;

use super::{Problem, State};

/// `/healthz`: the process answers.
pub(super) async fn alive() -> impl IntoResponse {
    axum::Json(json!({ "status": "ok" }))
}

/// `/readyz`: the store can be read and written, its schema is up to date, and we are not stopping.
pub(super) async fn ready(Get(state): Get<State>) -> Result<impl IntoResponse, Problem> {
    let not = |why: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", why);
    if state.engine.stopping().is_cancelled() {
        return Err(not("the daemon is stopping"));
    }
    let checked = tokio::time::timeout(Duration::from_secs(5), async {
        state.engine.store.ping().await?;
        state.engine.store.pending_migrations().await
    });
    match checked.await {
        Ok(Ok(0)) => Ok(axum::Json(json!({ "status": "ready" }))),
        Ok(Ok(_)) => Err(not("the store's schema is not up to date")),
        Ok(Err(_)) => Err(not("the store is not available")),
        Err(_) => Err(not("the store does not answer in time")),
    }
}

/// `/metrics`, in the text format of Prometheus.
pub(super) async fn metrics(Get(state): Get<State>) -> impl IntoResponse {
    state.engine.health.report(state.engine.clock.now());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], state.metrics.render())
}
