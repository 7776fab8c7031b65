//! Coming in, going out, and what the widget is told before.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State as Get};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use bytes::Bytes;
use serde_json::{Value, json};

use super::gate::Open;
use super::{Inside, Refusal, read_json};
use crate::channel::chat::Knock;
use crate::store::Guest;
use crate::web::State;

/// `POST /chat/{channel}/session`: a token for a new visitor, for one whose token is still good, or for one
/// whom the site vouches for. Nothing is stored: most who open a page never write.
pub(super) async fn begin(
    Get(state): Get<State>,
    Extension(open): Extension<Open>,
    body: Bytes,
) -> Result<impl IntoResponse, Refusal> {
    let knock: Knock = read_json(&body)?;
    let hour = Duration::from_secs(3600);
    if let Some(token) = &knock.token {
        // Before it is renewed: somebody may have signed out with it.
        Inside::with(&state, open.clone(), token).await?;
    } else {
        let key = ("sessions", &open.channel, open.network.as_str());
        let rate = (open.chat.rules().sessions_per_hour, hour);
        state.rates.take(key, rate).map_err(Refusal::too_fast)?;
    }
    let mut now = state.engine.clock.now();
    let mut visitor = open.chat.admit(&knock, now)?;
    let guest = Guest { channel: open.channel.clone(), visitor: visitor.id.clone() };
    let void = state.engine.store.visitor(&guest).await?.tokens_after;
    if let Some(after) = void.filter(|after| now <= *after) {
        // Signed out in this very millisecond.
        now = after + chrono::Duration::milliseconds(1);
        visitor.issued_at = now;
    }
    Ok(Json(json!({
        "token": open.chat.token(&visitor),
        "visitor": visitor.id,
        "identified": visitor.identified,
        "expires_at": visitor.expires_at,
    })))
}

/// `DELETE /chat/{channel}/session`: signs out everywhere; all tokens of the visitor are void.
pub(super) async fn end(Get(state): Get<State>, inside: Inside) -> Result<StatusCode, Refusal> {
    state.engine.store.void_tokens(&inside.guest, state.engine.clock.now()).await?;
    state.hub.wake(&inside.guest);
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /chat/{channel}/settings`: texts, forms and limits.
pub(super) async fn settings(
    Get(state): Get<State>,
    Extension(open): Extension<Open>,
) -> Json<Value> {
    Json(open.chat.face(state.engine.clock.now()))
}
