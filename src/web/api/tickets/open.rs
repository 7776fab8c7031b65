//! Opening a ticket towards somebody who has not written.

use axum::extract::State as Get;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::super::{Problem, State};
use super::super::access::Agent;
use super::super::check;
use super::super::describe::Errors;
use super::super::files;
use super::super::once::{Wish, answered, replayed};
use super::super::read::Body;
use super::change::{QUEUE_CHARS_MAX, SUBJECT_CHARS_MAX};
use crate::engine::{ReplyRequest, TicketRequest};
use crate::model::{Address, ChannelName, ContactId, MessageId, Party, Priority, Scheme, TicketId};
use crate::store::{Principal, StoreError, TicketView};

/// A ticket to be opened.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewTicket {
    /// Through which channel.
    #[schema(value_type = String)]
    channel: ChannelName,
    /// A known contact; `contact` or `to` is needed.
    contact: Option<Uuid>,
    /// An address that the channel can write to.
    to: Option<Recipient>,
    /// What it is about.
    subject: String,
    /// How much it hurts to wait. Usual: `normal`.
    priority: Option<Priority>,
    /// By which agents share work.
    queue: Option<String>,
    /// Free words.
    #[serde(default)]
    tags: Vec<String>,
    /// The first message; without it nothing is sent yet.
    message: Option<FirstMessage>,
}

/// Whom to write to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Recipient {
    /// A mail address, a telephone number…
    address: String,
    /// What sort of address; usual: the channel's own.
    scheme: Option<Scheme>,
    /// The name to show.
    name: Option<String>,
}

/// The first message of a ticket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FirstMessage {
    /// Plain text. Beside a `template` it only says to people here what the template says; it may be left out.
    #[serde(default)]
    text: String,
    /// The same as HTML; it is sanitised.
    html: Option<String>,
    /// Ids of uploads.
    #[serde(default)]
    attachments: Vec<Uuid>,
    /// Send this instead, where the channel has templates: some services let through nothing else to somebody
    /// who has not written.
    template: Option<check::GivenTemplate>,
    /// Not before this moment.
    send_at: Option<DateTime<Utc>>,
    /// Wait until somebody releases it.
    #[serde(default)]
    held: bool,
}

/// Open a ticket
///
/// Towards a contact or an address, with the first message if there is one: both or neither.
#[utoipa::path(post, path = "/tickets", tag = "tickets", request_body = NewTicket,
    params(("Idempotency-Key" = Option<String>, Header, description = "the same again is done once")),
    responses((status = 201, body = TicketView), Errors))]
pub(super) async fn open_ticket(
    Get(state): Get<State>,
    Agent(caller): Agent,
    wish: Wish,
    Body { value, fingerprint }: Body<NewTicket>,
) -> Result<Response, Problem> {
    let once = wish.once(&caller, fingerprint, StatusCode::CREATED);
    if let Some(known) = replayed(&state, once.as_ref()).await? {
        return Ok(known);
    }
    // The message says for itself what it holds.
    let subject = ("subject".to_owned(), value.subject.clone());
    let queue = value.queue.iter().map(|queue| ("queue".to_owned(), queue.clone()));
    let tags = value.tags.iter().map(|tag| ("tags".to_owned(), tag.clone()));
    let name = value.to.as_ref().and_then(|to| to.name.clone());
    let name = name.map(|name| ("to.name".to_owned(), name));
    let words = [subject].into_iter().chain(queue).chain(tags).chain(name).collect();
    check::no_secrets(&state, words).await?;
    let to = recipient(&state, &value).await?;
    let ticket = TicketId::new();
    let first = match value.message {
        Some(first) => Some(reply(&state, ticket, first, &caller).await?),
        None => None,
    };
    let request = TicketRequest {
        ticket,
        channel: value.channel,
        contact: value.contact.map(ContactId::from),
        to,
        subject: check::line("subject", &value.subject, SUBJECT_CHARS_MAX)?,
        priority: value.priority.unwrap_or(Priority::Normal),
        queue: check::line_or_none("queue", value.queue, QUEUE_CHARS_MAX)?,
        tags: check::tags(&value.tags)?,
        actor: caller.actor,
        once,
    };
    let opened = state.engine.open_ticket(request, first).await?;
    let place = match &opened {
        crate::store::Answer::Fresh(ticket) => {
            Some(format!("{}/tickets/{}", super::super::PREFIX, ticket.id))
        }
        crate::store::Answer::Replayed { .. } | crate::store::Answer::KeyReused => None,
    };
    let mut response = answered(opened, StatusCode::CREATED)?;
    if let Some(place) = place.and_then(|place| HeaderValue::try_from(place).ok()) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// The address that was asked for, checked; or none, where one of the contact's is to be taken.
async fn recipient(state: &State, new: &NewTicket) -> Result<Option<Party>, Problem> {
    let own = state.engine.with_channel(&new.channel, |channel| channel.addresses.clone());
    let no_channel = || Problem::invalid("channel", "channel: there is no such channel");
    let own = own.ok_or_else(no_channel)?;
    let theirs = match new.contact {
        None => None,
        Some(contact) => Some(addresses_of(state, contact.into()).await?),
    };
    let Some(to) = &new.to else {
        let nobody = || Problem::invalid("to", "one of `contact` and `to` is needed");
        return theirs.map(|_| None).ok_or_else(nobody);
    };
    let of_channel = own.iter().find(|own| to.scheme.is_none_or(|scheme| scheme == own.scheme));
    let address =
        of_channel.and_then(|own| Address::typed(own.scheme, own.scope.clone(), &to.address));
    let address = address.ok_or_else(|| {
        let text = "to.address: no address that this channel could write to";
        Problem::invalid("to.address", text)
    })?;
    if theirs.is_some_and(|theirs| theirs.iter().all(|known| known.address != address)) {
        let text = "to.address: it is none of the contact's";
        return Err(Problem::invalid("to.address", text));
    }
    let name = to.name.as_deref().map(|name| check::line("to.name", name, 200)).transpose()?;
    Ok(Some(Party { address, name }))
}

async fn addresses_of(state: &State, contact: ContactId) -> Result<Vec<Party>, Problem> {
    let store = &state.engine.store;
    match store.contact(contact).await {
        Err(StoreError::NotFound(_)) => {
            return Err(Problem::invalid("contact", "contact: there is no such contact"));
        }
        Err(other) => return Err(other.into()),
        Ok(known) if known.merged_into.is_some() || known.erased_at.is_some() => {
            let text = "contact: it was erased, or joined with another one";
            return Err(Problem::invalid("contact", text));
        }
        Ok(_) => {}
    }
    Ok(store.contact_addresses(contact).await?)
}

async fn reply(
    state: &State,
    ticket: TicketId,
    first: FirstMessage,
    caller: &Principal,
) -> Result<ReplyRequest, Problem> {
    let uploads = files::uploads(state, "message.attachments", &first.attachments).await?;
    let text = check::text("message.text", first.text)?;
    Ok(ReplyRequest {
        html: check::html("message.html", first.html)?,
        uploads,
        template: check::template("message.template", first.template)?,
        send_at: first.send_at,
        held: first.held,
        ..ReplyRequest::words(MessageId::new(), ticket, text, caller.actor.clone())
    })
}
