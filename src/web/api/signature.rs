//! `/me/signature` and `/tickets/{id}/signature`: what stands below the replies of people.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State as Get;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{Problem, State};
use super::access::{Agent, Reader};
use super::account::person;
use super::check;
use super::describe::Errors;
use super::read::{Body, Filters, Id};
use crate::desk::signature;
use crate::model::ChannelName;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(show_signature, set_signature))
        .routes(routes!(preview_signature))
}

/// Signatures, by language.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "texts": { "en": "{{agent.name}}\nExample Support" } }))]
struct Signatures {
    /// With the variables `{{agent.name}}`, `{{agent.email}}`, `{{channel.name}}`, `{{ticket.number}}` and
    /// `{{ticket.queue}}`. None: what the settings say (`[[signatures]]`).
    texts: BTreeMap<String, String>,
}

/// Show your signatures
#[utoipa::path(get, path = "/me/signature", tag = "people",
    responses((status = 200, body = Signatures), Errors))]
async fn show_signature(
    Get(state): Get<State>,
    caller: Reader,
) -> Result<Json<Signatures>, Problem> {
    let (texts, _) = state.engine.store.signatures(person(&caller.0)?).await?;
    Ok(Json(Signatures { texts }))
}

/// Change your signatures
///
/// These and no others. They stand below your replies by mail, and on other channels where the settings name these.
#[utoipa::path(put, path = "/me/signature", tag = "people", request_body = Signatures,
    responses((status = 200, body = Signatures), Errors))]
async fn set_signature(
    Get(state): Get<State>,
    Agent(caller): Agent,
    Body { value, .. }: Body<Signatures>,
) -> Result<Json<Signatures>, Problem> {
    let who = person(&caller)?;
    if let Some((field, reason)) = signature::fault(&value.texts) {
        return Err(Problem::invalid(&field, format!("{field}: {reason}")));
    }
    for (language, text) in &value.texts {
        check::no_secret(&state, &format!("texts.{language}"), text).await?;
    }
    state.engine.store.set_signatures(who, &value.texts).await?;
    Ok(Json(value))
}

/// Which channel.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Via {
    /// The channel that the reply would go out by. Usual: the one on which the customer last wrote.
    #[param(value_type = Option<String>)]
    via: Option<ChannelName>,
}

/// What stands below a reply.
#[derive(Debug, Serialize, ToSchema)]
struct Preview {
    /// Filled, in the customer's language; `null`: nothing, or what the channel puts there by itself.
    text: Option<String>,
}

/// Show what would stand below your reply
#[utoipa::path(get, path = "/tickets/{id}/signature", tag = "tickets",
    params(("id" = String, Path, description = "id or number"), Via),
    responses((status = 200, body = Preview), Errors))]
async fn preview_signature(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    Filters(query): Filters<Via>,
) -> Result<Json<Preview>, Problem> {
    let ticket = state.engine.store.ticket_id(id.ticket()?).await?;
    let text = state.engine.signature(ticket, query.via, &caller.actor).await?;
    Ok(Json(Preview { text }))
}
