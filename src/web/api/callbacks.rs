//! `/callbacks`: customers who want to be called.

use axum::Json;
use axum::extract::State as Get;
use axum::http::StatusCode;
use axum::response::Response;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State};
use super::access::{Agent, Reader};
use super::check;
use super::describe::Errors;
use super::once::{IfMatch, Wish, answered, by, replayed};
use super::page::{Cursor, Page, and_one, bad_cursor, limit};
use super::read::{Body, Filters, Id, Kept, list};
use crate::channel::AgentLine;
use crate::model::{CallOutcome, CallbackId, CallbackStatus, ChannelName, phone_number};
use crate::store::{By, CallbackFilter, CallbackView, NewCallback, Principal, StoreError};

const LIST: &str = "callbacks";
const NOTE_CHARS_MAX: usize = 2_000;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list_callbacks, ask_for_callback))
        .routes(routes!(list_slots))
        .routes(routes!(show_callback))
        .routes(routes!(call))
        .routes(routes!(connect))
        .routes(routes!(end_call))
        .routes(routes!(cancel_callback))
}

/// Which call-backs.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CallbackQuery {
    /// Any of these: `waiting`, `calling`, `done`, `unreached`, `cancelled`, `expired`. Usual: `waiting` and
    /// `calling`.
    #[serde(default, deserialize_with = "list")]
    #[param(value_type = Vec<CallbackStatus>, required = false)]
    status: Vec<CallbackStatus>,
    /// Only of this ticket: id or number.
    ticket: Option<String>,
    /// Only of this contact.
    contact: Option<Uuid>,
    /// Only those that are due by then.
    due_before: Option<DateTime<Utc>>,
    /// Items of a page, 200 at most. Usual: 50.
    #[param(minimum = 1)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// A call-back to be noted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCallback)]
struct NewCall {
    /// The ticket that it belongs to, by id or number; `ticket` or `contact` is needed.
    #[schema(value_type = Option<String>)]
    ticket: Option<TicketRef>,
    /// Whom to call; without a ticket it goes to their newest one.
    contact: Option<Uuid>,
    /// The number with its country code; usual: the contact's own.
    phone: Option<String>,
    /// Not before this moment; usual: as soon as the hours of both sides allow.
    at: Option<DateTime<Utc>>,
    /// What about.
    note: Option<String>,
    /// The customer's time zone by its IANA name: `Asia/Shanghai`.
    time_zone: Option<String>,
}

/// Numbers are written as numbers by some programs.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum TicketRef {
    Number(i64),
    Text(String),
}

/// Through what an agent is connected.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Connection {
    /// The channel that makes the call; usual: the one that knows the agent's telephone.
    #[schema(value_type = Option<String>)]
    via: Option<ChannelName>,
    /// The agent's telephone, one of the channel's `agents`; usual: the one that stands there for whoever asks.
    number: Option<String>,
}

/// How a call ended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CallEnd {
    /// `reached`, `no_answer`, `busy`, `voicemail`, `failed`, `wrong_number`, `declined`.
    outcome: CallOutcome,
}

/// List call-backs
///
/// By due time: those that wait and those under way, unless other states are asked for.
#[utoipa::path(get, path = "/callbacks", tag = "callbacks", params(CallbackQuery),
    responses((status = 200, body = Page<CallbackView>), Errors))]
async fn list_callbacks(
    Get(state): Get<State>,
    _: Reader,
    Filters(query): Filters<CallbackQuery>,
) -> Result<Json<Page<CallbackView>>, Problem> {
    let store = &state.engine.store;
    let wanted = limit(query.limit)?;
    let ticket = match &query.ticket {
        Some(text) => match store.ticket_id(text.parse()?).await {
            Ok(id) => Some(id),
            // A filter that nothing passes.
            Err(StoreError::NotFound(_)) => Some(Uuid::nil().into()),
            Err(other) => return Err(other.into()),
        },
        None => None,
    };
    let filter = CallbackFilter {
        status: query.status,
        ticket,
        contact: query.contact.map(Into::into),
        due_before: query.due_before,
        after: query.cursor.as_deref().map(place).transpose()?,
        limit: and_one(wanted),
    };
    let found = store.callbacks(&filter).await?;
    Ok(Json(Page::cut(found, wanted, |last| {
        let (due, id) = last.place();
        Cursor::new(LIST, [due.to_string(), id.to_string()])
    })))
}

fn place(cursor: &str) -> Result<(i64, Uuid), Problem> {
    match Cursor::read(LIST, cursor)?.as_slice() {
        [due, id] => due.parse().ok().zip(id.parse().ok()).ok_or_else(bad_cursor),
        _ => Err(bad_cursor()),
    }
}

/// For whom times are wanted.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SlotQuery {
    /// The customer's time zone by its IANA name: `Asia/Shanghai`. Without it only the desk's hours count.
    time_zone: Option<String>,
    /// How many, 200 at most. Usual: 50.
    #[param(minimum = 1)]
    limit: Option<u32>,
}

/// A time at which a call can be agreed upon.
#[derive(Serialize, ToSchema)]
struct Slot {
    at: DateTime<Utc>,
}

/// List times for a call
///
/// The next half hours, within two weeks, at which the desk works and the customer may be called: for `at`.
#[utoipa::path(get, path = "/callbacks/slots", tag = "callbacks", params(SlotQuery),
    responses((status = 200, body = Page<Slot>), Errors))]
async fn list_slots(
    Get(state): Get<State>,
    _: Reader,
    Filters(query): Filters<SlotQuery>,
) -> Result<Json<Page<Slot>>, Problem> {
    let count = limit(query.limit)?;
    let (zone, now) =
        (query.time_zone.map(|name| zone(&name)).transpose()?, state.engine.clock.now());
    let slots = state.engine.callback_policy().slots(zone, now, count).into_iter();
    Ok(Json(Page { items: slots.map(|at| Slot { at }).collect(), next_cursor: None }))
}

/// Note that a customer wants to be called
///
/// The same number twice in one ticket is one call-back. Its due time lies in the hours of the desk, and in
/// those of the customer where their time zone is known.
#[utoipa::path(post, path = "/callbacks", tag = "callbacks", request_body = NewCall,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, description = "the same again is done once")),
    responses((status = 201, body = CallbackView), Errors))]
async fn ask_for_callback(
    Get(state): Get<State>,
    Agent(caller): Agent,
    wish: Wish,
    Kept(Body { value, fingerprint }): Kept<NewCall>,
) -> Result<Response, Problem> {
    let once = wish.once(&caller, fingerprint, StatusCode::CREATED);
    if let Some(known) = replayed(&state, once.as_ref()).await? {
        return Ok(known);
    }
    let new = checked(&state, value).await?;
    let by = by(caller, &IfMatch(None), once, state.engine.clock.now());
    let noted = state.engine.store.add_callback(new, state.engine.callback_policy(), by).await?;
    answered(noted, StatusCode::CREATED)
}

fn zone(name: &str) -> Result<Tz, Problem> {
    let why = "time_zone: an IANA name like Asia/Shanghai";
    name.parse().map_err(|_| Problem::invalid("time_zone", why))
}

async fn checked(state: &State, new: NewCall) -> Result<NewCallback, Problem> {
    let ticket = match new.ticket {
        None => None,
        Some(given) => {
            let text = match given {
                TicketRef::Number(number) => number.to_string(),
                TicketRef::Text(text) => text,
            };
            let unknown = || Problem::invalid("ticket", "ticket: there is no such ticket");
            let name = text.parse().map_err(|_: StoreError| unknown())?;
            match state.engine.store.ticket_id(name).await {
                Ok(id) => Some(id),
                Err(StoreError::NotFound(_)) => return Err(unknown()),
                Err(other) => return Err(other.into()),
            }
        }
    };
    let phone = new.phone.map(|text| {
        phone_number(&text).ok_or_else(|| {
            let why = "phone: a number with its country code, like +86 138 0013 8000";
            Problem::invalid("phone", why)
        })
    });
    let zone = new.time_zone.map(|name| zone(&name));
    let note = check::line_or_none("note", new.note, NOTE_CHARS_MAX)?;
    Ok(NewCallback {
        ticket,
        contact: new.contact.map(Into::into),
        phone: phone.transpose()?,
        at: new.at,
        note: note.unwrap_or_default(),
        time_zone: zone.transpose()?,
    })
}

/// Show a call-back
#[utoipa::path(get, path = "/callbacks/{id}", tag = "callbacks", params(("id" = Uuid, Path)),
    responses((status = 200, body = CallbackView), Errors))]
async fn show_callback(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
) -> Result<Json<CallbackView>, Problem> {
    Ok(Json(state.engine.store.callback(callback(&id)?).await?))
}

/// Take a call-back and call
///
/// Nobody else can take it until the call has ended; an agent who says nothing for `callbacks.claim_minutes`
/// has not called.
#[utoipa::path(post, path = "/callbacks/{id}/call", tag = "callbacks", params(("id" = Uuid, Path),
        ("If-Match" = Option<String>, Header, min_length = 1, description = "the version that is known"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, description = "the same again is done once")),
    responses((status = 200, body = CallbackView), Errors))]
async fn call(
    Get(state): Get<State>,
    Agent(caller): Agent,
    (wish, version): (Wish, IfMatch),
    id: Id,
) -> Result<Response, Problem> {
    let by = whose(&state, caller, (wish, &version), format!("{id:?}"));
    let taken = state.engine.store.begin_call(callback(&id)?, by).await?;
    answered(taken, StatusCode::OK)
}

/// Take a call-back and be connected
///
/// The agent's telephone rings; when they press 1, the customer is called and sees the desk's number. How it ends is
/// noted by itself, an answering machine too. If the agent does not take up the telephone, the call-back waits again.
#[utoipa::path(post, path = "/callbacks/{id}/connect", tag = "callbacks", request_body = Connection,
    params(("id" = Uuid, Path),
        ("If-Match" = Option<String>, Header, min_length = 1, description = "the version that is known"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, description = "the same again is done once")),
    responses((status = 200, body = CallbackView), Errors))]
async fn connect(
    Get(state): Get<State>,
    Agent(caller): Agent,
    (wish, version): (Wish, IfMatch),
    id: Id,
    Body { value, fingerprint }: Body<Connection>,
) -> Result<Response, Problem> {
    let number = value.number.map(|text| {
        phone_number(&text)
            .ok_or_else(|| Problem::invalid("number", "number: expected one with its country code"))
    });
    let person = match caller.actor.id {
        Some(id) => {
            let people = state.engine.store.people().await?;
            people.into_iter().find(|person| person.id == id).map(|person| person.email)
        }
        None => None,
    };
    let line = AgentLine { person, number: number.transpose()? };
    let by = whose(&state, caller, (wish, &version), fingerprint);
    let taken = state.engine.connect_call(callback(&id)?, (value.via, line), by).await?;
    answered(taken, StatusCode::OK)
}

/// Say how a call ended
///
/// Who was not reached is called again after a pause, as often as the settings want. Also without `call`
/// before it: then it counts as one call.
#[utoipa::path(post, path = "/callbacks/{id}/outcome", tag = "callbacks", request_body = CallEnd,
    params(("id" = Uuid, Path),
        ("If-Match" = Option<String>, Header, min_length = 1, description = "the version that is known"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, description = "the same again is done once")),
    responses((status = 200, body = CallbackView), Errors))]
async fn end_call(
    Get(state): Get<State>,
    Agent(caller): Agent,
    (wish, version): (Wish, IfMatch),
    id: Id,
    Body { value, fingerprint }: Body<CallEnd>,
) -> Result<Response, Problem> {
    let by = whose(&state, caller, (wish, &version), fingerprint);
    let (store, policy) = (&state.engine.store, state.engine.callback_policy());
    answered(store.end_call(callback(&id)?, value.outcome, policy, by).await?, StatusCode::OK)
}

/// Call nobody any more
#[utoipa::path(post, path = "/callbacks/{id}/cancel", tag = "callbacks", params(("id" = Uuid, Path),
        ("If-Match" = Option<String>, Header, min_length = 1, description = "the version that is known"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, description = "the same again is done once")),
    responses((status = 200, body = CallbackView), Errors))]
async fn cancel_callback(
    Get(state): Get<State>,
    Agent(caller): Agent,
    (wish, version): (Wish, IfMatch),
    id: Id,
) -> Result<Response, Problem> {
    let by = whose(&state, caller, (wish, &version), format!("{id:?}"));
    let cancelled = state.engine.store.cancel_callback(callback(&id)?, by).await?;
    answered(cancelled, StatusCode::OK)
}

/// Who acts, and on what they know. `fingerprint`: what makes two wishes with one key the same.
fn whose(
    state: &State,
    caller: Principal,
    (wish, version): (Wish, &IfMatch),
    fingerprint: String,
) -> By {
    let once = wish.once(&caller, fingerprint, StatusCode::OK);
    by(caller, version, once, state.engine.clock.now())
}

fn callback(id: &Id) -> Result<CallbackId, Problem> {
    id.of("call-back")
}
