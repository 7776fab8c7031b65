//! `/hooks/{channel}`: what services push. The engine checks, stores and chooses the answer.

use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Get};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;

use super::State;
use crate::model::ChannelName;

/// Reads the body within its limit, and hands the request over as it came.
pub(super) async fn take(
    Get(state): Get<State>,
    Path(path): Path<HashMap<String, String>>,
    request: Request<Body>,
) -> Response {
    let name = path.get("channel").and_then(|name| name.parse::<ChannelName>().ok());
    // Unknown channels are 404 without a word, before anything is read.
    let Some(name) = name.filter(|name| state.engine.with_channel(name, |_| ()).is_some()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (parts, body) = request.into_parts();
    let body: Bytes = match axum::body::to_bytes(body, state.settings.hook_bytes_max).await {
        Ok(body) => body,
        Err(_) => return StatusCode::PAYLOAD_TOO_LARGE.into_response(),
    };
    let request = Request::from_parts(parts, body);
    state.engine.take_hook(&name, request).await.map(Body::from)
}
