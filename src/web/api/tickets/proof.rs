//! `/tickets/{id}/proofs`: codes by which a customer shows that an address is theirs.

use axum::Json;
use axum::extract::State as Get;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::super::{Problem, State};
use super::super::access::{Agent, Reader};
use super::super::check;
use super::super::describe::Errors;
use super::super::once::{IfMatch, Wish, answered, replayed};
use super::super::page::Page;
use super::super::read::{Body, Id};
use crate::engine::ProofRequest;
use crate::model::ChannelName;
use crate::store::ProofView;

/// An address that a customer says is theirs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofWish {
    /// A mail address, or a telephone number with its country code.
    address: String,
    /// By which channel the code goes there; usual: the ticket's own, or the first one that can.
    #[schema(value_type = Option<String>)]
    channel: Option<ChannelName>,
}

/// Send a code to an address
///
/// Somebody says that an address is theirs. The code goes there, and the customer writes it into the conversation of
/// this ticket: then the address and all that was its become their contact's, which undoing the joining takes apart
/// again. Nobody else's message, and no other address of theirs, redeems it. It is good for half an hour and five
/// tries, and nowhere to be read. To whoever writes by mail or SMS, whose sender can be made up, half of it goes into
/// the conversation.
#[utoipa::path(post, path = "/tickets/{id}/proofs", tag = "tickets", request_body = ProofWish,
    params(("id" = String, Path, description = "id or number"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same again is done once"),
        ("If-Match" = Option<String>, Header, description = "the version that is known")),
    responses((status = 201, body = ProofView), Errors))]
pub(super) async fn ask_for_proof(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
    wish: Wish,
    Body { value, fingerprint }: Body<ProofWish>,
) -> Result<Response, Problem> {
    let once = wish.once(&caller, fingerprint, StatusCode::CREATED);
    if let Some(known) = replayed(&state, once.as_ref()).await? {
        return Ok(known);
    }
    let ticket = state.engine.store.ticket_id(id.ticket()?).await?;
    let address = check::address("address", &value.address)?;
    let request = ProofRequest {
        ticket,
        version: version.0,
        address,
        via: value.channel,
        actor: caller.actor,
        once,
    };
    answered(state.engine.check_address(request).await?, StatusCode::CREATED)
}

/// List the codes of a ticket
///
/// Those of the last 30 days, the newest first; never the code itself.
#[utoipa::path(get, path = "/tickets/{id}/proofs", tag = "tickets",
    params(("id" = String, Path, description = "id or number")),
    responses((status = 200, body = Page<ProofView>), Errors))]
pub(super) async fn list_proofs(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
) -> Result<Json<Page<ProofView>>, Problem> {
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let items = store.proofs(ticket, state.engine.clock.now()).await?;
    Ok(Json(Page { items, next_cursor: None }))
}
