//! `/messages` and `/tickets/{id}/messages`: what was written, and writing.

use axum::Json;
use axum::extract::State as Get;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State};
use super::access::{Admin, Agent, Reader};
use super::check;
use super::describe::Errors;
use super::files::{self, Kept};
use super::once::{IfMatch, Wish, answered, by, replayed};
use super::page::{Cursor, Page, PageQuery, and_one, bad_cursor, limit};
use super::read::{Body, Filters, Id};
use crate::engine::{RawView, ReplyRequest};
use crate::model::{ChannelName, Direction, MessageId, TicketId};
use crate::store::{MessageFilter, MessageView, NewNote, StoreError, Unsealed};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list_messages))
        .routes(routes!(show_message))
        .routes(routes!(show_raw))
        .routes(routes!(show_page))
        .routes(routes!(unseal_message))
        .routes(routes!(list_ticket_messages, write_message))
}

/// Which messages.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MessageQuery {
    /// Only of this channel.
    channel: Option<String>,
    /// Only `in`, `out` or `internal`.
    #[param(inline)]
    direction: Option<Direction>,
    /// A time: received, or written by us, after it. Or the id of a message, or a cursor: behind it.
    after: Option<String>,
    /// Items of a page, 200 at most. Usual: 50.
    #[param(minimum = 1)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, or `cursor` of any message.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// A message with its place in the list.
#[derive(Debug, Serialize, ToSchema)]
struct ListedMessage {
    #[serde(flatten)]
    message: MessageView,
    /// For `cursor`: the list goes on behind this message.
    cursor: String,
}

const LIST: &str = "messages";
const OF_TICKET: &str = "ticket_messages";

/// List all messages
///
/// In the order in which they were committed: whoever goes on behind the last one that they saw never
/// misses one that commits late. So there is a `next_cursor` as long as a page has anything in it.
#[utoipa::path(get, path = "/messages", tag = "messages", params(MessageQuery),
    responses((status = 200, body = Page<ListedMessage>), Errors))]
async fn list_messages(
    Get(state): Get<State>,
    _: Reader,
    Filters(query): Filters<MessageQuery>,
) -> Result<Json<Page<ListedMessage>>, Problem> {
    let after = match query.after.as_deref().filter(|after| !after.is_empty()) {
        Some(after) => after_of(&state, after).await?,
        None => After::Place(0),
    };
    let cursor = query.cursor.as_deref().map(|cursor| Cursor::number(LIST, cursor)).transpose()?;
    let (place, received_after) = match after {
        After::Place(place) => (place, None),
        After::Moment(moment) => (0, Some(moment)),
    };
    let filter = MessageFilter {
        channel: query.channel,
        direction: query.direction,
        received_after,
        after: cursor.unwrap_or(place),
        limit: limit(query.limit)? as u64,
    };
    let messages = state.engine.store.messages(&filter).await?;
    let listed = messages.into_iter().map(|message| {
        let cursor = Cursor::new(LIST, [message.seq.to_string()]).text();
        ListedMessage { message, cursor }
    });
    let items: Vec<_> = listed.collect();
    let next_cursor = items.last().map(|last| last.cursor.clone());
    Ok(Json(Page { items, next_cursor }))
}

/// What `after` names.
enum After {
    Place(i64),
    Moment(DateTime<Utc>),
}

async fn after_of(state: &State, text: &str) -> Result<After, Problem> {
    // In a query, `+` is a blank: the offset of a time often loses its sign so.
    if let Ok(moment) = DateTime::parse_from_rfc3339(&text.replace(' ', "+")) {
        return Ok(After::Moment(moment.to_utc()));
    }
    if let Ok(id) = Uuid::parse_str(text) {
        return match state.engine.store.message(id).await {
            Err(StoreError::NotFound(_)) => Err(bad_after()),
            message => Ok(After::Place(message?.seq)),
        };
    }
    Cursor::number(LIST, text).map(After::Place).map_err(|_| bad_after())
}

fn bad_after() -> Problem {
    let text = "after: a time (RFC 3339), the id of a message, or a cursor of this list";
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", text)
}

/// Show a message
#[utoipa::path(get, path = "/messages/{id}", tag = "messages",
    params(("id" = Uuid, Path, description = "its id")),
    responses((status = 200, body = MessageView), Errors))]
async fn show_message(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
) -> Result<Json<MessageView>, Problem> {
    Ok(Json(state.engine.store.message(id.of("message")?).await?))
}

/// Download a message as it came
///
/// Byte for byte as the service handed it over; only what was masked in the message is masked here too.
#[utoipa::path(get, path = "/messages/{id}/raw", tag = "messages",
    params(("id" = Uuid, Path, description = "its id")),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>,
        description = "the bytes"), (status = 410, description = "it was erased"),
        (status = 403, description = "`sealed`: it holds a secret that cannot be cut out"), Errors))]
async fn show_raw(Get(state): Get<State>, _: Agent, id: Id) -> Result<Response, Problem> {
    let store = &state.engine.store;
    let id = id.of("message")?;
    let raw = store.raw_of_message(id).await?;
    let redacted = store.message(id).await?.flags.iter().any(|flag| flag == "redacted");
    let (row, view) = state.engine.raw_masked(raw, redacted).await?;
    let bytes = shown_raw(view)?;
    let name = format!("{}-{}.raw", row.channel, row.id);
    Ok(files::download(Kept { name: &name, media_type: "", bytes: bytes.into() }, false))
}

/// The bytes of a raw, if they may be shown.
pub(super) fn shown_raw(view: RawView) -> Result<Vec<u8>, Problem> {
    match view {
        RawView::Bytes(bytes) => Ok(bytes),
        RawView::Erased => Err(files::gone()),
        RawView::Withheld => {
            let text = "it holds a secret that cannot be cut out of the bytes; unseal the message to see it";
            Err(Problem::new(StatusCode::FORBIDDEN, "sealed", text))
        }
    }
}

/// What of a formatted message is shown.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PageWish {
    /// Load pictures from where the sender put them, who then knows that somebody looks.
    #[serde(default)]
    #[param(required = false)]
    pictures: bool,
}

/// Embedded pictures of one message together, in bytes, each as often as it is shown.
const EMBEDDED_BYTES_MAX: i64 = 8_000_000;

/// Show a message as its sender formatted it
///
/// A page for a frame: sanitised, with embedded pictures in it, under a policy that runs nothing and loads nothing but,
/// if it is wished, pictures.
#[utoipa::path(get, path = "/messages/{id}/page", tag = "messages",
    params(("id" = Uuid, Path, description = "its id"), PageWish),
    responses((status = 200, content_type = "text/html", body = String), Errors))]
async fn show_page(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
    Filters(wish): Filters<PageWish>,
) -> Result<Response, Problem> {
    let store = &state.engine.store;
    let message = store.message(id.of("message")?).await?;
    let mut html = message.html.ok_or_else(|| Problem::no_such("formatted text"))?;
    if wish.pictures {
        html = html.replace(" data-src=\"", " src=\"");
    }
    let mut room = EMBEDDED_BYTES_MAX;
    for file in message.attachments {
        let Some(name) = file.content_id.filter(|_| files::is_picture(&file.media_type)) else {
            continue;
        };
        let address = format!("src=\"cid:{name}\"");
        let Some(cost) = embedding(&html, &address, file.size).filter(|cost| *cost <= room) else {
            continue;
        };
        let Some(bytes) = store.attachment(file.id).await?.bytes else { continue };
        room -= cost;
        let bytes = data_encoding::BASE64.encode(&bytes);
        html = html.replace(&address, &format!("src=\"data:{};base64,{bytes}\"", file.media_type));
    }
    let pictures = if wish.pictures { "data: https: http:" } else { "data:" };
    let policy = format!(
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src {pictures}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    );
    let page = format!(
        "<!doctype html><html><head><meta charset=\"utf-8\"></head><body>{html}</body></html>"
    );
    let headers = [(header::CONTENT_SECURITY_POLICY, policy)];
    Ok((headers, Html(page)).into_response())
}

/// How many bytes of a picture go into the page: it stands there once for each time that it is named. `None`: it is
/// named nowhere.
fn embedding(html: &str, address: &str, size: i64) -> Option<i64> {
    let times = i64::try_from(html.matches(address).count()).unwrap_or(i64::MAX);
    (times > 0).then(|| size.saturating_mul(times))
}

/// Why a secret is looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct UnsealWish {
    /// In a few words; it stays in the ticket's trail.
    reason: String,
}

/// What was masked in a message.
#[derive(Debug, Serialize, ToSchema)]
struct UnsealedMessage {
    /// In the order in which it was masked.
    items: Vec<Unsealed>,
}

const REASON_CHARS_MAX: usize = 500;

/// Unseal what was masked in a message
///
/// Who asked, when and why is in the ticket's trail (`message.unsealed`) before this answers.
#[utoipa::path(post, path = "/messages/{id}/unseal", tag = "messages", request_body = UnsealWish,
    params(("id" = Uuid, Path, description = "its id")),
    responses((status = 200, body = UnsealedMessage), Errors))]
async fn unseal_message(
    Get(state): Get<State>,
    Admin(caller): Admin,
    id: Id,
    Body { value, .. }: Body<UnsealWish>,
) -> Result<Json<UnsealedMessage>, Problem> {
    let reason = check::line("reason", &value.reason, REASON_CHARS_MAX)?;
    let (store, now) = (&state.engine.store, state.engine.clock.now());
    let items = store.unseal(id.of("message")?, &reason, caller.actor, now).await?;
    Ok(Json(UnsealedMessage { items }))
}

/// List the messages of a ticket
///
/// Notes too, oldest first.
#[utoipa::path(get, path = "/tickets/{id}/messages", tag = "messages",
    params(("id" = String, Path, description = "id or number of the ticket"), PageQuery),
    responses((status = 200, body = Page<MessageView>), Errors))]
async fn list_ticket_messages(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
    Filters(query): Filters<PageQuery>,
) -> Result<Json<Page<MessageView>>, Problem> {
    let wanted = limit(query.limit)?;
    let after =
        query.cursor.as_deref().map(|cursor| Cursor::read(OF_TICKET, cursor)).transpose()?;
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let after = match after.as_deref() {
        None => 0,
        Some([of, seq]) if *of == ticket.to_string() => seq.parse().map_err(|_| bad_cursor())?,
        Some(_) => return Err(bad_cursor()),
    };
    let messages = store.ticket_messages(ticket.uuid(), after, and_one(wanted)).await?;
    Ok(Json(Page::cut(messages, wanted, |last| {
        Cursor::new(OF_TICKET, [ticket.to_string(), last.seq.to_string()])
    })))
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Sort {
    /// To the customer.
    Reply,
    /// To other agents.
    Note,
}

impl Sort {
    /// The word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Note => "note",
        }
    }
}

/// A reply or a note.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewMessage {
    /// `reply` goes to the customer, `note` stays here.
    kind: Sort,
    /// Plain text. Beside a `template` it only says to people here what the template says; it may be left out.
    #[serde(default)]
    text: String,
    /// The same as HTML; it is sanitised.
    html: Option<String>,
    /// Ids of uploads.
    #[serde(default)]
    attachments: Vec<Uuid>,
    /// Send this instead, where the channel has templates: it goes out even where the reply window is over.
    template: Option<check::GivenTemplate>,
    /// To whoever wrote what is answered alone, where the customer wrote in public and the channel has such a thing
    /// (`capabilities.private_reply_seconds`).
    #[serde(default)]
    private: bool,
    /// Another channel than the customer's.
    #[schema(value_type = Option<String>)]
    via: Option<ChannelName>,
    /// Not before this moment.
    send_at: Option<DateTime<Utc>>,
    /// Wait until somebody releases it (`/outbox/{id}/release`).
    #[serde(default)]
    held: bool,
    /// Cancel it if the customer writes first.
    #[serde(default)]
    unless_answered: bool,
}

impl NewMessage {
    /// A note goes nowhere, so nothing can be said of its way.
    fn check_note(&self) -> Result<(), Problem> {
        for (field, given) in [
            ("template", self.template.is_some()),
            ("private", self.private),
            ("via", self.via.is_some()),
            ("send_at", self.send_at.is_some()),
            ("held", self.held),
            ("unless_answered", self.unless_answered),
        ] {
            if given {
                return Err(Problem::invalid(field, format!("{field}: a note is not sent")));
            }
        }
        if self.text.trim().is_empty() && self.html.is_none() && self.attachments.is_empty() {
            return Err(Problem::invalid("text", "text: the note is empty"));
        }
        Ok(())
    }
}

/// Reply to the customer, or leave a note
///
/// A reply is durable when this answers (202) and goes out on the channel that the customer wrote on. A
/// note is there at once (201).
#[utoipa::path(post, path = "/tickets/{id}/messages", tag = "messages", request_body = NewMessage,
    params(("id" = String, Path, description = "id or number of the ticket"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, description = "the same again is done once"),
        ("If-Match" = Option<String>, Header, min_length = 1, description = "the version of the ticket that is known")),
    responses((status = 201, body = MessageView, description = "noted"),
        (status = 202, body = MessageView, description = "queued"), Errors))]
async fn write_message(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
    wish: Wish,
    Body { mut value, fingerprint }: Body<NewMessage>,
) -> Result<Response, Problem> {
    let status = match value.kind {
        Sort::Reply => StatusCode::ACCEPTED,
        Sort::Note => StatusCode::CREATED,
    };
    let once = wish.once(&caller, fingerprint, status);
    if let Some(known) = replayed(&state, once.as_ref()).await? {
        return Ok(known);
    }
    value.text = check::text("text", value.text)?;
    value.html = check::html("html", value.html)?;
    let store = &state.engine.store;
    let ticket = store.ticket_id(id.ticket()?).await?;
    let uploads = files::uploads(&state, "attachments", &value.attachments).await?;
    match value.kind {
        Sort::Reply => {
            let request = ReplyRequest {
                message: MessageId::new(),
                ticket,
                version: version.0,
                text: value.text,
                html: value.html,
                uploads,
                template: check::template("template", value.template)?,
                private: value.private,
                choices: Vec::new(),
                link: None,
                via: value.via,
                send_at: value.send_at,
                held: value.held,
                unless_answered: value.unless_answered,
                actor: caller.actor,
                once,
            };
            answered(state.engine.reply(request).await?, status)
        }
        Sort::Note => {
            value.check_note()?;
            check::no_secret(&state, "text", &value.text).await?;
            check::no_secret(&state, "html", value.html.as_deref().unwrap_or_default()).await?;
            let note = note(ticket, value);
            let by = by(caller, &version, once, state.engine.clock.now());
            answered(store.add_note(note, by).await?, status)
        }
    }
}

fn note(ticket: TicketId, new: NewMessage) -> NewNote {
    let html = new.html.as_deref().map(ammonia::clean);
    NewNote { ticket, text: new.text, html, uploads: new.attachments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_costs_as_much_as_it_is_shown() {
        let address = "src=\"cid:a\"";
        let named = |times: usize| format!("<img {address}>").repeat(times);
        assert_eq!(embedding(&named(1), address, 1_000_000), Some(1_000_000));
        assert_eq!(embedding("<img src=\"cid:b\">", address, 1_000_000), None);
        let many = embedding(&named(10_000), address, 1_000_000);
        assert_eq!(many, Some(10_000_000_000));
        assert!(many > Some(EMBEDDED_BYTES_MAX));
        assert_eq!(embedding(&named(2), address, i64::MAX), Some(i64::MAX));
    }
}
