//! What is done to a ticket: changed, merged, split, deleted.

use axum::Json;
use axum::extract::State as Get;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::super::{Problem, State};
use super::super::access::{Admin, Agent, Reader};
use super::super::check;
use super::super::describe::Errors;
use super::super::once::{IfMatch, Wish, answered, by, shown};
use super::super::page::Page;
use super::super::read::{Body, Id, Kept, emptied};
use crate::model::{ActorKind, Priority, TicketId, TicketStatus};
use crate::store::{
    Combined, MergedTicket, Principal, StoreError, TicketName, TicketPatch, TicketView,
};

/// Longest subject: RFC 5322 lets no line be longer.
pub(super) const SUBJECT_CHARS_MAX: usize = 500;
/// Longest name of a queue.
pub(super) const QUEUE_CHARS_MAX: usize = 64;

/// What to change. What is left out stays; null empties.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TicketPatch)]
pub(super) struct Patch {
    /// Where it stands.
    status: Option<TicketStatus>,
    /// How much it hurts to wait.
    priority: Option<Priority>,
    /// By which agents share work.
    #[serde(default, deserialize_with = "emptied")]
    #[schema(value_type = Option<String>)]
    queue: Option<Option<String>>,
    /// A person's id, mail address or name, or `me`.
    #[serde(default, deserialize_with = "emptied")]
    #[schema(value_type = Option<String>)]
    assignee: Option<Option<String>>,
    /// All of its tags.
    tags: Option<Vec<String>>,
    /// What it is about.
    subject: Option<String>,
    /// When it comes back; an open ticket becomes pending until then.
    #[serde(default, deserialize_with = "emptied")]
    #[schema(value_type = Option<DateTime<Utc>>)]
    snoozed_until: Option<Option<DateTime<Utc>>>,
}

impl Patch {
    fn checked(self, caller: &Principal) -> Result<TicketPatch, Problem> {
        let queue = self.queue.map(|queue| check::line_or_none("queue", queue, QUEUE_CHARS_MAX));
        let assignee = self.assignee.map(|who| match who.as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some("me") => match (caller.actor.kind, caller.actor.id) {
                (ActorKind::Agent, Some(id)) => Ok(Some(id.to_string())),
                _ => Err(Problem::invalid("assignee", "assignee: a token is nobody's `me`")),
            },
            Some(who) => check::line("assignee", who, 200).map(Some),
        });
        let subject = self.subject.map(|text| check::line("subject", &text, SUBJECT_CHARS_MAX));
        Ok(TicketPatch {
            status: self.status,
            priority: self.priority,
            queue: queue.transpose()?,
            assignee: assignee.transpose()?,
            tags: self.tags.map(|tags| check::tags(&tags)).transpose()?,
            subject: subject.transpose()?,
            snoozed_until: self.snoozed_until,
        })
    }
}

/// Change a ticket
#[utoipa::path(patch, path = "/tickets/{id}", tag = "tickets", request_body = Patch,
    params(("id" = String, Path, description = "id or number"),
        ("If-Match" = Option<String>, Header, description = "the version that is known")),
    responses((status = 200, body = TicketView), Errors))]
pub(super) async fn change_ticket(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
    Kept(Body { value, .. }): Kept<Patch>,
) -> Result<Response, Problem> {
    let patch = value.checked(&caller)?;
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let by = by(caller, &version, None, state.engine.clock.now());
    shown(&store.change_ticket(ticket, patch, by).await?, StatusCode::OK)
}

/// Delete a ticket
///
/// Destroys what it said. Its number stays taken, and its messages do not come back with the next mail.
#[utoipa::path(delete, path = "/tickets/{id}", tag = "tickets",
    params(("id" = String, Path, description = "id or number"),
        ("If-Match" = Option<String>, Header, description = "the version that is known")),
    responses((status = 204, description = "it is gone"), Errors))]
pub(super) async fn delete_ticket(
    Get(state): Get<State>,
    Admin(caller): Admin,
    id: Id,
    version: IfMatch,
) -> Result<StatusCode, Problem> {
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let by = by(caller, &version, None, state.engine.clock.now());
    store.delete_ticket(ticket, by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where a ticket goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketMerge {
    /// The id or number of the ticket that goes on.
    into: String,
}

/// Merge a ticket into another
///
/// All its messages move. It stays as a sign-post: closed, with `merged_into`.
#[utoipa::path(post, path = "/tickets/{id}/merge", tag = "tickets", request_body = TicketMerge,
    params(("id" = String, Path, description = "id or number of the ticket that ends"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same again is done once"),
        ("If-Match" = Option<String>, Header, description = "the version that is known")),
    responses((status = 200, body = Combined), Errors))]
pub(super) async fn merge_ticket(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
    wish: Wish,
    Body { value, fingerprint }: Body<TicketMerge>,
) -> Result<Response, Problem> {
    let once = wish.once(&caller, fingerprint, StatusCode::OK);
    let store = &state.engine.store;
    let from = store.ticket_id(id.ticket()?).await?;
    let into = named(&state, "into", &value.into).await?;
    let by = by(caller, &version, once, state.engine.clock.now());
    answered(store.merge_ticket(from, into, by).await?, StatusCode::OK)
}

/// List what was merged into a ticket
///
/// With what undoing it would move. Merges of earlier versions, which kept no record, are not in it.
#[utoipa::path(get, path = "/tickets/{id}/merged", tag = "tickets",
    params(("id" = String, Path, description = "id or number")),
    responses((status = 200, body = Page<MergedTicket>), Errors))]
pub(super) async fn list_merged(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
) -> Result<Json<Page<MergedTicket>>, Problem> {
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    Ok(Json(Page { items: store.merged_tickets(ticket).await?, next_cursor: None }))
}

/// Undo the merge of a ticket
///
/// Its messages, call-backs, people and tags go back to it, and it stands as it stood. What came since stays in the
/// other one.
#[utoipa::path(post, path = "/tickets/{id}/unmerge", tag = "tickets",
    params(("id" = String, Path, description = "id or number of the ticket that was merged into another"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same again is done once"),
        ("If-Match" = Option<String>, Header, description = "the version that is known")),
    responses((status = 200, body = Combined), Errors))]
pub(super) async fn unmerge_ticket(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
    wish: Wish,
) -> Result<Response, Problem> {
    let once = wish.once(&caller, String::new(), StatusCode::OK);
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let by = by(caller, &version, once, state.engine.clock.now());
    answered(store.unmerge_ticket(ticket, by).await?, StatusCode::OK)
}

/// A ticket that the body names.
async fn named(state: &State, field: &str, name: &str) -> Result<TicketId, Problem> {
    let none = || Problem::invalid(field, format!("{field}: there is no such ticket"));
    let name: TicketName = name.parse().map_err(|_| none())?;
    match state.engine.store.ticket_id(name).await {
        Err(StoreError::NotFound(_)) => Err(none()),
        other => Ok(other?),
    }
}

/// Where a ticket is cut.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TicketSplit {
    /// The first message of the new ticket.
    from_message: Uuid,
}

/// Split a ticket
///
/// Opens a new one with a message and all that came after it.
#[utoipa::path(post, path = "/tickets/{id}/split", tag = "tickets", request_body = TicketSplit,
    params(("id" = String, Path, description = "id or number"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same again is done once"),
        ("If-Match" = Option<String>, Header, description = "the version that is known")),
    responses((status = 201, body = Combined), Errors))]
pub(super) async fn split_ticket(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
    wish: Wish,
    Body { value, fingerprint }: Body<TicketSplit>,
) -> Result<Response, Problem> {
    let once = wish.once(&caller, fingerprint, StatusCode::CREATED);
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let by = by(caller, &version, once, state.engine.clock.now());
    match store.split_ticket(ticket, value.from_message, by).await {
        Err(StoreError::NotFound("message in this ticket")) => {
            Err(Problem::invalid("from_message", "from_message: the ticket has no such message"))
        }
        done => answered(done?, StatusCode::CREATED),
    }
}
