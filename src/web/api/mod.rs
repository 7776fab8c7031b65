//! `/api/v1`: the HTTP API. One file for each noun; how requests are read and answered is in `access`,
//! `read`, `page` and `once`.
//!
//! A route is a function with `#[utoipa::path]`: the OpenAPI document is made from the code, so that a
//! route that is not described cannot be reached.

pub(super) mod access;
mod account;
mod audit;
mod board;
mod callbacks;
mod channels;
mod check;
mod contacts;
mod describe;
mod drafts;
mod event;
mod events;
mod faq;
mod files;
mod macros;
mod messages;
mod notifications;
mod once;
mod outbox;
mod page;
mod people;
mod quarantine;
mod read;
mod signature;
mod stats;
mod suggestions;
mod tickets;
mod views;

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};
use utoipa_axum::router::OpenApiRouter;

use super::{State, error};
pub(super) use files::{POLICY, disposition};

/// Where the API is.
const PREFIX: &str = "/api/v1";
/// Bytes of a body, where a route says nothing else.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// All routes with their descriptions.
fn routes(upload_bytes_max: usize) -> OpenApiRouter<State> {
    let nouns = OpenApiRouter::new()
        .merge(tickets::routes())
        .merge(messages::routes())
        .merge(files::routes(upload_bytes_max))
        .merge(contacts::routes())
        .merge(channels::routes())
        .merge(callbacks::routes())
        .merge(outbox::routes())
        .merge(quarantine::routes())
        .merge(events::routes())
        .merge(stats::routes())
        .merge(views::routes())
        .merge(drafts::routes())
        .merge(board::routes())
        .merge(faq::routes())
        .merge(macros::routes())
        .merge(suggestions::routes())
        .merge(people::routes())
        .merge(account::routes())
        .merge(signature::routes())
        .merge(notifications::routes())
        .merge(audit::routes());
    OpenApiRouter::with_openapi(describe::frame()).nest(PREFIX, nouns)
}

/// The OpenAPI 3.1 document of the API.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes(0).into_openapi()
}

/// The API, closed to all who have not shown who they are.
pub(super) fn router(state: &State) -> Router<State> {
    let (router, _) = routes(state.settings.upload_bytes_max).split_for_parts();
    router
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(state.clone(), access::authenticate))
}
