//! `/tickets/{id}/customer`: whose ticket it is.

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
use super::super::once::{IfMatch, Wish, answered, by};
use super::super::read::{Body, Id, Kept};
use crate::model::Party;
use crate::store::{CustomerView, NewCustomer, TicketView};

/// Whose ticket it is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerWish {
    /// A mail address, or a telephone number with its country code; usual: whoever is suggested.
    address: Option<String>,
    /// The name to show, where nobody is known by the address. Only with `address`.
    name: Option<String>,
}

/// Show whose ticket it may be
///
/// Where somebody who works here handed on a customer's mail, that customer is suggested.
#[utoipa::path(get, path = "/tickets/{id}/customer", tag = "tickets",
    params(("id" = String, Path, description = "id or number")),
    responses((status = 200, body = CustomerView), Errors))]
pub(super) async fn show_customer(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
) -> Result<Json<CustomerView>, Problem> {
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    Ok(Json(store.customer(ticket).await?))
}

/// Give a ticket to another customer
///
/// Answers go to them from now on. Where a mail of theirs was handed on, it becomes their message, and what stood above
/// it a note. Their address stays a claim. DELETE undoes it.
#[utoipa::path(post, path = "/tickets/{id}/customer", tag = "tickets", request_body = CustomerWish,
    params(("id" = String, Path, description = "id or number"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same again is done once"),
        ("If-Match" = Option<String>, Header, description = "the version that is known")),
    responses((status = 200, body = TicketView), Errors))]
pub(super) async fn set_customer(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
    wish: Wish,
    Kept(Body { value, fingerprint }): Kept<CustomerWish>,
) -> Result<Response, Problem> {
    let once = wish.once(&caller, fingerprint, StatusCode::OK);
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let name = value.name.as_deref().map(|name| check::line("name", name, 200)).transpose()?;
    let customer = match &value.address {
        None if name.is_some() => {
            return Err(Problem::invalid(
                "name",
                "name: without an address there is nobody to name",
            ));
        }
        None => None,
        Some(text) => {
            let address = check::address("address", text)?;
            if state.engine.own_addresses().contains(&address) {
                return Err(Problem::invalid("address", "address: it is one of our own"));
            }
            Some(Party { address, name })
        }
    };
    let by = by(caller, &version, once, state.engine.clock.now());
    answered(store.set_customer(ticket, NewCustomer { customer }, by).await?, StatusCode::OK)
}

/// Leave a ticket to who has it
///
/// A mail of somebody else was handed on into it, but they are not its customer: they are no longer suggested.
#[utoipa::path(delete, path = "/tickets/{id}/customer/suggested", tag = "tickets",
    params(("id" = String, Path, description = "id or number"),
        ("If-Match" = Option<String>, Header, description = "the version that is known")),
    responses((status = 200, body = TicketView), Errors))]
pub(super) async fn dismiss_customer(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
) -> Result<Response, Problem> {
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let by = by(caller, &version, None, state.engine.clock.now());
    answered(store.dismiss_customer(ticket, by).await?, StatusCode::OK)
}

/// Give a ticket back
///
/// To whom it belonged before somebody changed that, with its messages as they were.
#[utoipa::path(delete, path = "/tickets/{id}/customer", tag = "tickets",
    params(("id" = String, Path, description = "id or number"),
        ("If-Match" = Option<String>, Header, description = "the version that is known")),
    responses((status = 200, body = TicketView), Errors))]
pub(super) async fn restore_customer(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
) -> Result<Response, Problem> {
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let by = by(caller, &version, None, state.engine.clock.now());
    answered(store.restore_customer(ticket, by).await?, StatusCode::OK)
}
