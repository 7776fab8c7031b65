//! What happens in this moment in a ticket: a colleague who writes too; a customer in a web chat who types, reads, is
//! there. None of it is kept in the trail.

use axum::Json;
use axum::extract::State as Get;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::super::{Problem, State};
use super::super::access::{Agent, Reader};
use super::super::account::person;
use super::super::describe::Errors;
use super::super::read::Id;
use crate::model::ActorKind;

/// How long a sign of typing holds without another.
const TYPING: chrono::Duration = chrono::Duration::seconds(8);
/// Seen within this time is here; it is noted every 45 seconds.
const HERE: chrono::Duration = chrono::Duration::seconds(100);

/// Drafts are handed over every few seconds while somebody writes: with none for so long, they stopped.
const WRITING: chrono::Duration = chrono::Duration::seconds(12);

/// Who is at a ticket.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Live {
    /// Customers who wrote into it by web chat.
    visitors: Vec<LiveVisitor>,
    /// Ids of other people of the desk who are writing a reply or a note just now.
    writing: Vec<Uuid>,
}

/// A customer in a web chat.
#[derive(Debug, Serialize, ToSchema)]
struct LiveVisitor {
    /// The channel.
    channel: String,
    /// The address there, as in the contact's identities.
    address: String,
    /// Has the chat open on some page.
    here: bool,
    /// Is typing.
    typing: bool,
}

/// See who is there
///
/// Who else of the desk writes here just now; and for web chats: is the customer there, and typing?
#[utoipa::path(get, path = "/tickets/{id}/live", tag = "tickets", params(("id" = String, Path)),
    responses((status = 200, body = Live), Errors))]
pub(super) async fn show_live(
    Get(state): Get<State>,
    Reader(caller): Reader,
    id: Id,
) -> Result<Json<Live>, Problem> {
    let (store, now) = (&state.engine.store, state.engine.clock.now());
    let ticket = store.ticket_id(id.ticket()?).await?;
    let mut visitors = Vec::new();
    for (guest, known) in store.chat_visitors(ticket).await? {
        visitors.push(LiveVisitor {
            channel: guest.channel.to_string(),
            address: guest.visitor,
            here: known.seen_at.is_some_and(|at| now - at < HERE),
            typing: known.typing_until.is_some_and(|until| until > now),
        });
    }
    let mut writing = store.drafting(ticket, now - WRITING).await?;
    writing.retain(|one| Some(*one) != caller.actor.id);
    Ok(Json(Live { visitors, writing }))
}

/// Show that one is typing
///
/// The customer's chat shows it for some seconds, also where the chat is another service's that knows such a thing.
/// Nothing happens on other channels.
#[utoipa::path(post, path = "/tickets/{id}/typing", tag = "tickets", params(("id" = String, Path)),
    responses((status = 204), Errors))]
pub(super) async fn note_typing(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
) -> Result<StatusCode, Problem> {
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let name = Some(caller.actor.name).filter(|_| caller.actor.kind == ActorKind::Agent);
    store.agent_types(ticket, name, state.engine.clock.now() + TYPING).await?;
    state.engine.show_typing(ticket).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Show that one has read it
///
/// The ticket is no longer `unread` for whoever is signed in, until the customer writes again; and the customer's chat
/// shows their messages as seen, on channels with such a thing.
#[utoipa::path(post, path = "/tickets/{id}/seen", tag = "tickets", params(("id" = String, Path)),
    responses((status = 204), Errors))]
pub(super) async fn note_seen(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
) -> Result<StatusCode, Problem> {
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    store.agent_reads(ticket).await?;
    if let Ok(person) = person(&caller) {
        store.person_reads(person, ticket).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
