//! `/contacts`: people who write to us.

use axum::extract::State as Get;
use axum::http::StatusCode;
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{Problem, State};
use super::access::Reader;
use super::describe::Errors;
use super::once::shown;
use super::read::Id;
use crate::store::ContactView;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(show_contact))
}

/// Show a contact
#[utoipa::path(get, path = "/contacts/{id}", tag = "contacts",
    params(("id" = uuid::Uuid, Path, description = "its id")),
    responses((status = 200, body = ContactView), Errors))]
async fn show_contact(Get(state): Get<State>, _: Reader, id: Id) -> Result<Response, Problem> {
    let contact = state.engine.store.contact(id.of("contact")?).await?;
    shown(&contact, StatusCode::OK)
}
