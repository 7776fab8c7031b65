//! `/tickets/{id}/draft`: what whoever is signed in has written there and not sent yet.

use axum::Json;
use axum::extract::State as Get;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{Problem, State};
use super::access::{Agent, Reader};
use super::account::person;
use super::check;
use super::describe::Errors;
use super::messages::Sort;
use super::read::{Body, Id};
use crate::store::Draft;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(show_draft, keep_draft))
}

/// A draft, if there is one.
#[derive(Debug, Serialize, ToSchema)]
struct Kept {
    /// Null: nothing is kept.
    draft: Option<Draft>,
}

/// Show one's own draft
///
/// What whoever is signed in has written into the ticket and not sent yet, on whatever device.
#[utoipa::path(get, path = "/tickets/{id}/draft", tag = "messages",
    params(("id" = String, Path, description = "id or number of the ticket")),
    responses((status = 200, body = Kept), Errors))]
async fn show_draft(Get(state): Get<State>, caller: Reader, id: Id) -> Result<Json<Kept>, Problem> {
    let (who, store) = (person(&caller.0)?, &state.engine.store);
    let ticket = store.ticket_id(id.ticket()?).await?;
    Ok(Json(Kept { draft: store.draft(who, ticket).await? }))
}

/// What is written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDraft)]
struct Written {
    /// What it is to become.
    kind: Sort,
    /// Plain text; an empty one forgets the draft.
    text: String,
    /// The version of the ticket that it answers.
    version: Option<i64>,
}

/// Keep one's own draft
///
/// In the place of the one before. It is forgotten after 30 days. What holds a secret is not kept (422 `secret`), and
/// the one before, which may be its beginning, is forgotten.
#[utoipa::path(put, path = "/tickets/{id}/draft", tag = "messages", request_body = Written,
    params(("id" = String, Path, description = "id or number of the ticket")),
    responses((status = 204), Errors))]
async fn keep_draft(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    Body { value, .. }: Body<Written>,
) -> Result<StatusCode, Problem> {
    let who = person(&caller)?;
    let text = check::text("text", value.text)?;
    let (store, now) = (&state.engine.store, state.engine.clock.now());
    let ticket = store.ticket_id(id.ticket()?).await?;
    let kind = value.kind.as_str().to_owned();
    let secret = check::no_secret(&state, "text", &text).await;
    let text = if secret.is_ok() { text } else { String::new() };
    let draft = Draft { kind, text, version: value.version, updated_at: now };
    store.keep_draft(who, ticket, draft).await?;
    secret?;
    Ok(StatusCode::NO_CONTENT)
}
