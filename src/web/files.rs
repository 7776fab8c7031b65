//! `/files/{token}/{name}`: a file of a reply, for a service that fetches what it is to carry. The address was signed
//! by the channel, and is all that is asked for; whatever is wrong with it has the same answer.

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State as Get};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::api::{POLICY, disposition};
use super::{Problem, State};
use crate::channel::shared::public_file;

pub(super) fn routes() -> Router<State> {
    Router::new().route("/files/{token}/{name}", get(give))
}

async fn give(
    Get(state): Get<State>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Response, Problem> {
    let nothing = || Problem::no_such("file");
    let Path((token, _)) = path.map_err(|_| nothing())?;
    let now = state.engine.clock.now();
    let shown = public_file::read(&state.signer, &token, now).ok_or_else(nothing)?;
    let file = state.engine.store.file_under_way(shown.delivery, shown.at).await?;
    let file = file.ok_or_else(nothing)?;
    // Services judge a file by its type; a browser that got here neither shows nor runs it.
    let any = HeaderValue::from_static("application/octet-stream");
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_str(&file.mime).unwrap_or(any)),
        (header::CONTENT_DISPOSITION, disposition("attachment", &file.name)),
        (header::CACHE_CONTROL, HeaderValue::from_static("private, no-store")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    ];
    Ok((headers, file.bytes).into_response())
}
