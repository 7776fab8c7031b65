//! `/tickets`: lists and one ticket; every change of one is in the files beside.

mod change;
mod customer;
mod live;
mod open;
mod proof;

use axum::Json;
use axum::extract::State as Get;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State};
use super::access::Reader;
use super::account::person;
use super::describe::Errors;
use super::event::EventView;
use super::once::shown;
use super::page::{Cursor, Page, PageQuery, and_one, bad_cursor, limit};
use super::read::{Filters, Id, list};
use crate::model::{Priority, TicketStatus};
use crate::store::{Principal, TicketFilter, TicketKey, TicketView, Turn};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list_tickets, open::open_ticket))
        .routes(routes!(show_ticket, change::change_ticket, change::delete_ticket))
        .routes(routes!(change::merge_ticket))
        .routes(routes!(change::unmerge_ticket))
        .routes(routes!(change::list_merged))
        .routes(routes!(change::split_ticket))
        .routes(routes!(list_ticket_events))
        .routes(routes!(list_words))
        .routes(routes!(live::show_live))
        .routes(routes!(live::note_typing))
        .routes(routes!(live::note_seen))
        .routes(routes!(
            customer::show_customer,
            customer::set_customer,
            customer::restore_customer
        ))
        .routes(routes!(customer::dismiss_customer))
        .routes(routes!(proof::list_proofs, proof::ask_for_proof))
}

/// Which tickets.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TicketQuery {
    /// Any of these: `open`, `pending`, `solved`, `closed`, `spam`.
    #[serde(default, deserialize_with = "list")]
    #[param(inline, value_type = Vec<TicketStatus>, required = false)]
    status: Vec<TicketStatus>,
    /// Any of these channels.
    #[serde(default, deserialize_with = "list")]
    #[param(value_type = Vec<String>, required = false)]
    channel: Vec<String>,
    /// A person's id, mail address or name; `me`; `none`.
    assignee: Option<String>,
    /// All of these tags.
    #[serde(default, deserialize_with = "list")]
    #[param(value_type = Vec<String>, required = false)]
    tag: Vec<String>,
    /// Any of these: `low`, `normal`, `high`, `urgent`.
    #[serde(default, deserialize_with = "list")]
    #[param(inline, value_type = Vec<Priority>, required = false)]
    priority: Vec<Priority>,
    /// A queue; `none` for those of no queue.
    queue: Option<String>,
    /// A contact's id.
    contact: Option<Uuid>,
    /// Changed after this moment.
    updated_after: Option<DateTime<Utc>>,
    /// `us`: the customer wrote last; `customer`: we did.
    #[param(inline)]
    waiting: Option<Turn>,
    /// `me`: with a note that names whoever is signed in, and at which they have not looked since.
    mentioned: Option<String>,
    /// `me`: of the queues that whoever is signed in works on.
    team: Option<String>,
    /// Words, all of which one of its messages (or its subject) has; `word*` is a beginning.
    q: Option<String>,
    /// `created_at`, `updated_at`, `number` or `priority`, with `-` for the largest first. Usual: `-created_at`.
    sort: Option<String>,
    /// Items of a page, 200 at most. Usual: 50.
    #[param(minimum = 1)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same filters and `sort`.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Longest search.
const Q_CHARS_MAX: usize = 1000;
const LIST: &str = "tickets";

/// List tickets
///
/// Deleted ones and those that were merged into others are not in it.
#[utoipa::path(get, path = "/tickets", tag = "tickets", params(TicketQuery),
    responses((status = 200, body = Page<TicketView>), Errors))]
async fn list_tickets(
    Get(state): Get<State>,
    caller: Reader,
    Filters(query): Filters<TicketQuery>,
) -> Result<Json<Page<TicketView>>, Problem> {
    let wanted = limit(query.limit)?;
    let Some(filter) = filter_of(&state, &caller.0, query).await? else {
        return Ok(Json(Page { items: Vec::new(), next_cursor: None }));
    };
    let filter = TicketFilter { limit: and_one(wanted), ..filter };
    let (key, order) = (filter.key, order_of(filter.key, filter.descending));
    let store = &state.engine.store;
    let mut found = store.tickets(&filter).await?;
    if let Ok(person) = person(&caller.0) {
        store.mark_unread(person, &mut found).await?;
    }
    Ok(Json(Page::cut(found, wanted, |last| {
        Cursor::new(LIST, [order.clone(), last.key(key).to_string(), last.id.to_string()])
    })))
}

fn order_of(key: TicketKey, descending: bool) -> String {
    format!("{key:?}{}", if descending { "-" } else { "+" })
}

impl TicketQuery {
    /// Does it name one page of a list, and not the list?
    pub(super) const fn goes_on(&self) -> bool {
        self.limit.is_some() || self.cursor.is_some()
    }
}

/// What a query asks for; its limit is left to the caller. `None`: of somebody who is not there, so there is nothing.
pub(super) async fn filter_of(
    state: &State,
    caller: &Principal,
    query: TicketQuery,
) -> Result<Option<TicketFilter>, Problem> {
    let (key, descending) = order(query.sort.as_deref())?;
    let assignee = match query.assignee.as_deref() {
        None => None,
        Some(who) => match assignee(state, caller, who).await? {
            Whose::Nobodys => Some(None),
            Whose::Theirs(id) => Some(Some(id)),
            Whose::Unknown => return Ok(None),
        },
    };
    if query.q.as_ref().is_some_and(|q| q.chars().count() > Q_CHARS_MAX) {
        let text = format!("q: {Q_CHARS_MAX} characters at most");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", text));
    }
    let mentioned = oneself("mentioned", query.mentioned.as_deref(), caller)?;
    let team = oneself("team", query.team.as_deref(), caller)?;
    let order = order_of(key, descending);
    let after = query.cursor.as_deref().map(|cursor| place(cursor, &order)).transpose()?;
    Ok(Some(TicketFilter {
        status: query.status,
        priority: query.priority,
        channel: query.channel,
        assignee,
        tag: query.tag,
        queue: query.queue.map(|queue| Some(queue).filter(|queue| !is_none(queue))),
        contact: query.contact,
        updated_after: query.updated_after,
        waiting: query.waiting,
        mentioned,
        team,
        q: query.q.filter(|q| !q.trim().is_empty()),
        key,
        descending,
        after,
        limit: 0,
    }))
}

/// A filter that takes the word `me` and no other.
fn oneself(field: &str, given: Option<&str>, caller: &Principal) -> Result<Option<Uuid>, Problem> {
    match given {
        None => Ok(None),
        Some("me") => Ok(Some(person(caller)?.uuid())),
        Some(_) => {
            let text = format!("{field}: only `me`");
            Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", text))
        }
    }
}

pub(super) fn is_none(word: &str) -> bool {
    word.is_empty() || word == "none"
}

fn order(sort: Option<&str>) -> Result<(TicketKey, bool), Problem> {
    let sort = sort.unwrap_or("-created_at");
    let (word, descending) = match sort.strip_prefix('-') {
        Some(word) => (word, true),
        None => (sort, false),
    };
    let key = match word {
        "created_at" | "created" => TicketKey::Created,
        "updated_at" | "updated" => TicketKey::Updated,
        "number" => TicketKey::Number,
        "priority" => TicketKey::Priority,
        "due_at" | "due" => TicketKey::Due,
        _ => {
            let text = "sort: one of created_at, updated_at, number, priority, due_at, with - before it \
                for the largest first";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", text));
        }
    };
    Ok((key, descending))
}

fn place(cursor: &str, order: &str) -> Result<(i64, Uuid), Problem> {
    let place = Cursor::read(LIST, cursor)?;
    let [of, key, id] = place.as_slice() else { return Err(bad_cursor()) };
    let place = key.parse().ok().zip(Uuid::parse_str(id).ok());
    place.filter(|_| of == order).ok_or_else(bad_cursor)
}

/// Whose tickets are wanted.
pub(super) enum Whose {
    /// Those that nobody has.
    Nobodys,
    /// Those of one person.
    Theirs(Uuid),
    /// There is no such person.
    Unknown,
}

/// Whom a word names, for a filter.
pub(super) async fn assignee(
    state: &State,
    caller: &Principal,
    who: &str,
) -> Result<Whose, Problem> {
    if is_none(who) {
        return Ok(Whose::Nobodys);
    }
    if who == "me" {
        return Ok(caller.actor.id.map_or(Whose::Unknown, Whose::Theirs));
    }
    if let Ok(id) = Uuid::parse_str(who) {
        return Ok(Whose::Theirs(id));
    }
    let people = state.engine.store.people().await?;
    let email = who.to_lowercase();
    let found = people.iter().find(|one| one.email == email || one.name == who);
    Ok(found.map_or(Whose::Unknown, |one| Whose::Theirs(one.id)))
}

/// Show a ticket
///
/// By its id or its number. One that was merged into another is shown as it is, with `merged_into`.
#[utoipa::path(get, path = "/tickets/{id}", tag = "tickets",
    params(("id" = String, Path, description = "id or number")),
    responses((status = 200, body = TicketView), Errors))]
async fn show_ticket(Get(state): Get<State>, _: Reader, id: Id) -> Result<Response, Problem> {
    let ticket = state.engine.store.ticket(id.ticket()?).await?;
    shown(&ticket, StatusCode::OK)
}

/// What tickets can be filtered by.
#[derive(Debug, Serialize, ToSchema)]
struct Words {
    /// Tags that a ticket bears, in order; 500 at most.
    tags: Vec<String>,
    /// Queues that a ticket is in, in order; 500 at most.
    queues: Vec<String>,
    /// Configured channels, in order.
    channels: Vec<String>,
}

/// List the words that tickets can be filtered by
#[utoipa::path(get, path = "/tickets/words", tag = "tickets",
    responses((status = 200, body = Words), Errors))]
async fn list_words(Get(state): Get<State>, _: Reader) -> Result<Json<Words>, Problem> {
    let (tags, queues) = state.engine.store.ticket_words().await?;
    let channels = state.engine.channel_names().iter().map(ToString::to_string).collect();
    Ok(Json(Words {
        tags: tags.into_iter().collect(),
        queues: queues.into_iter().collect(),
        channels,
    }))
}

const EVENTS: &str = "ticket_events";

/// Show the audit trail of a ticket
///
/// Everything that happened to it, oldest first.
#[utoipa::path(get, path = "/tickets/{id}/events", tag = "tickets",
    params(("id" = String, Path, description = "id or number"), PageQuery),
    responses((status = 200, body = Page<EventView>), Errors))]
async fn list_ticket_events(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
    Filters(query): Filters<PageQuery>,
) -> Result<Json<Page<EventView>>, Problem> {
    let wanted = limit(query.limit)?;
    let after = query.cursor.as_deref().map(|cursor| Cursor::number(EVENTS, cursor));
    let after = after.transpose()?.unwrap_or(0);
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let events = store.ticket_events(ticket.uuid(), after, and_one(wanted)).await?;
    let page = Page::cut(events, wanted, |last| {
        Cursor::new(EVENTS, [last.ticket_seq.unwrap_or_default().to_string()])
    });
    let items = page.items.into_iter().map(EventView::from).collect();
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}
