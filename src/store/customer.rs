//! Whose ticket it is: a ticket is given to another customer, and back.
//!
//! Mostly because somebody who works here handed on a mail (`ingest/handed.rs`): then the message becomes the
//! customer's own words, and what stood above them a note. How it was is kept, so that it can be so again.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::Query;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait,
    DatabaseTransaction, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::contact::{ContactBrief, briefs, link};
use super::entity::{customer_change, handed_on, message, participant, person, ticket};
use super::event::{self, NewEvent};
use super::idempotency::{Answer, By};
use super::message::{newest_word, reindex};
use super::outbox::{Routing, contact_of, participant_row};
use super::ticket::{NewNote, TicketView, reload, take, view, write_note};
use super::{Store, StoreError, millis, parting, search};
use crate::model::{Actor, ActorKind, Forward, MessageId, Party, TicketId, Timestamp};

/// Of what was handed on: nobody has said yet whose it is.
const OPEN: &str = "open";

/// Whose ticket it may be, and whose it was.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Customer)]
pub struct CustomerView {
    /// Whose it is now.
    pub contact: ContactBrief,
    /// Whose it seems to be, by a mail that somebody who works here handed on.
    pub suggested: Option<SuggestedCustomer>,
    /// Whose it was before somebody changed that; DELETE makes it theirs again.
    pub before: Option<ContactBrief>,
}

/// Whose ticket it seems to be.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SuggestedCustomer {
    /// The message that was handed on.
    pub message_id: Uuid,
    /// The person who handed it on.
    pub by: Uuid,
    /// Their name.
    pub by_name: String,
    /// The name that the mail bears.
    pub name: Option<String>,
    /// Its address. Nothing proves it.
    pub address: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it was written, as it says.
    pub sent_at: Option<DateTime<Utc>>,
}

/// Whose ticket it is to be.
#[derive(Debug, Clone)]
pub struct NewCustomer {
    /// Their address; none: whoever is suggested.
    pub customer: Option<Party>,
}

/// How it was.
#[derive(Debug, Serialize, Deserialize)]
struct Before {
    contact: Uuid,
    message: Option<MessageBefore>,
    /// The message was handed on.
    handed_on: bool,
    note: Option<Uuid>,
    /// Scheme and value of who was let into the ticket by it.
    joined: Option<(String, String)>,
}

/// What changed of a message: to whom its answers go, and of one that was handed on who wrote it and what it says.
#[derive(Debug, Serialize, Deserialize)]
struct MessageBefore {
    id: Uuid,
    routing: String,
    #[serde(flatten)]
    words: Option<WordsBefore>,
}

/// What a message said, and who said it.
#[derive(Debug, Serialize, Deserialize)]
struct WordsBefore {
    contact: Option<Uuid>,
    author_id: Option<Uuid>,
    author_name: String,
    author_scheme: Option<String>,
    author_scope: Option<String>,
    author_value: Option<String>,
    subject: Option<String>,
    text: String,
    text_full: Option<String>,
    html: Option<String>,
    sent_at: i64,
}

impl Store {
    /// Whose a ticket is, may be and was.
    pub async fn customer(&self, id: TicketId) -> Result<CustomerView, StoreError> {
        let db = self.reader();
        let row = ticket::Entity::find_by_id(id.uuid()).one(db).await?;
        let row = row.filter(|row| row.deleted_at.is_none());
        let row = row.ok_or(StoreError::NotFound("ticket"))?;
        let suggested = match suggestion(db, row.id, None).await? {
            Some((noted, said)) => Some(shown(db, &noted, said).await?),
            None => None,
        };
        let before = newest_change(db, row.id).await?;
        let before = before.map(|change| read(&change)).transpose()?.map(|before| before.contact);
        let mut known: HashMap<Uuid, ContactBrief> =
            briefs(db, [Some(row.contact), before].into_iter().flatten()).await?;
        let mut brief = |id: Uuid| known.remove(&id).unwrap_or_else(|| ContactBrief::unknown(id));
        let before = before.filter(|before| *before != row.contact).map(&mut brief);
        Ok(CustomerView { contact: brief(row.contact), suggested, before })
    }

    /// Gives a ticket to another customer: answers go to them from now on.
    pub async fn set_customer(
        &self,
        id: TicketId,
        new: NewCustomer,
        by: By,
    ) -> Result<Answer<TicketView>, StoreError> {
        let note = MessageId::new().uuid();
        self.write_once(by.once.clone(), by.now, move |tx| {
            let (new, by) = (new.clone(), by.clone());
            Box::pin(async move {
                let row = take(tx, id.uuid(), by.version).await?;
                Box::pin(give(tx, row, new, (note, &by))).await?;
                view(tx, reload(tx, id.uuid()).await?).await
            })
        })
        .await
    }

    /// The ticket belongs to who has it: what was handed on into it makes nobody its customer.
    pub async fn dismiss_customer(
        &self,
        id: TicketId,
        by: By,
    ) -> Result<Answer<TicketView>, StoreError> {
        self.write_once(by.once.clone(), by.now, move |tx| {
            let by = by.clone();
            Box::pin(async move {
                let row = take(tx, id.uuid(), by.version).await?;
                let suggested = suggestion(tx, row.id, None).await?;
                let (noted, said) = suggested.ok_or_else(|| nobody_suggested(""))?;
                decide(tx, noted.message, "dismissed").await?;
                let told = ("ticket.customer_dismissed", Some(&said.from));
                set_contact(tx, row.id, row.contact, told, &by).await?;
                view(tx, reload(tx, id.uuid()).await?).await
            })
        })
        .await
    }

    /// Gives it back to whom it belonged before.
    pub async fn restore_customer(
        &self,
        id: TicketId,
        by: By,
    ) -> Result<Answer<TicketView>, StoreError> {
        self.write_once(by.once.clone(), by.now, move |tx| {
            let by = by.clone();
            Box::pin(async move {
                let row = take(tx, id.uuid(), by.version).await?;
                Box::pin(give_back(tx, row, &by)).await?;
                view(tx, reload(tx, id.uuid()).await?).await
            })
        })
        .await
    }
}

/// What was handed on into a ticket and waits for somebody, newest first; of this address, if one is given.
async fn suggestion<C: ConnectionTrait>(
    db: &C,
    ticket: Uuid,
    of: Option<&Party>,
) -> Result<Option<(handed_on::Model, Forward)>, StoreError> {
    let inside = Query::select()
        .column(message::Column::Id)
        .from(message::Entity)
        .and_where(message::Column::Ticket.eq(ticket))
        .to_owned();
    let rows = handed_on::Entity::find()
        .filter(handed_on::Column::Message.in_subquery(inside))
        .filter(handed_on::Column::State.eq(OPEN))
        .order_by_desc(handed_on::Column::At)
        .all(db)
        .await?;
    for row in rows {
        let said: Forward = serde_json::from_str(&row.said).map_err(database)?;
        if of.is_none_or(|party| party.address == said.from.address) {
            return Ok(Some((row, said)));
        }
    }
    Ok(None)
}

async fn shown<C: ConnectionTrait>(
    db: &C,
    noted: &handed_on::Model,
    said: Forward,
) -> Result<SuggestedCustomer, StoreError> {
    let by = person::Entity::find_by_id(noted.person).one(db).await?;
    Ok(SuggestedCustomer {
        message_id: noted.message,
        by: noted.person,
        by_name: by.map(|by| by.name).unwrap_or_default(),
        name: said.from.name,
        address: said.from.address.value,
        subject: said.subject,
        sent_at: said.sent_at,
    })
}

async fn newest_change<C: ConnectionTrait>(
    db: &C,
    ticket: Uuid,
) -> Result<Option<customer_change::Model>, StoreError> {
    let newest = customer_change::Entity::find()
        .filter(customer_change::Column::Ticket.eq(ticket))
        .order_by_desc(customer_change::Column::Id);
    Ok(newest.one(db).await?)
}

fn read(change: &customer_change::Model) -> Result<Before, StoreError> {
    serde_json::from_str(&change.before).map_err(database)
}

async fn give(
    tx: &DatabaseTransaction,
    row: ticket::Model,
    new: NewCustomer,
    (note, by): (Uuid, &By),
) -> Result<(), StoreError> {
    let suggested = suggestion(tx, row.id, new.customer.as_ref()).await?;
    let mut party = match (new.customer, &suggested) {
        (Some(party), _) => party,
        (None, Some((_, said))) => said.from.clone(),
        (None, None) => return Err(nobody_suggested(": name their address")),
    };
    if party.name.is_none() {
        party.name = suggested.as_ref().and_then(|(_, said)| said.from.name.clone());
    }
    let contact = contact_of(tx, &party, by.now).await?;
    let contact = link::survivor(tx, Some(contact)).await?;
    let contact = contact.ok_or(StoreError::NotFound("contact"))?;
    if contact == row.contact {
        return Err(StoreError::Refused("the ticket is theirs already".to_owned()));
    }
    let mut before = Before {
        contact: row.contact,
        message: None,
        handed_on: suggested.is_some(),
        note: None,
        joined: join(tx, row.id, &party, by).await?,
    };
    before.message = match &suggested {
        Some((noted, said)) => {
            let changed = as_theirs(tx, noted.message, (&party, contact), said).await?;
            decide(tx, noted.message, "taken").await?;
            before.note = keep_above(tx, (note, &row), (noted, said), by).await?;
            changed
        }
        None => reroute(tx, &row, &party, by.now).await?,
    };
    let change = customer_change::Model {
        id: Uuid::now_v7(),
        ticket: row.id,
        message: before.message.as_ref().map(|message| message.id),
        before: serde_json::to_string(&before).map_err(database)?,
        at: millis(by.now),
    };
    customer_change::Entity::insert(change.into_active_model()).exec_without_returning(tx).await?;
    let kind = "ticket.customer_changed";
    set_contact(tx, row.id, contact, (kind, Some(&party)), by).await
}

/// Notes what somebody said of a message that was handed on.
async fn decide(tx: &DatabaseTransaction, message: Uuid, state: &str) -> Result<(), StoreError> {
    let row = handed_on::ActiveModel {
        message: Set(message),
        state: Set(state.to_owned()),
        ..Default::default()
    };
    handed_on::Entity::update(row).exec(tx).await?;
    Ok(())
}

/// Whoever is the customer may write into the ticket. `None`: they could before.
async fn join(
    tx: &DatabaseTransaction,
    ticket: Uuid,
    party: &Party,
    by: &By,
) -> Result<Option<(String, String)>, StoreError> {
    let (scheme, value) = (party.address.scheme.as_str().to_owned(), party.address.value.clone());
    let known = (ticket, scheme.clone(), value.clone());
    if participant::Entity::find_by_id(known).one(tx).await?.is_some() {
        return Ok(None);
    }
    let row = participant_row(ticket, party, by.now);
    participant::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    Ok(Some((scheme, value)))
}

/// What was handed on becomes the customer's own message.
async fn as_theirs(
    tx: &DatabaseTransaction,
    id: Uuid,
    (party, contact): (&Party, Uuid),
    said: &Forward,
) -> Result<Option<MessageBefore>, StoreError> {
    let Some(row) = message::Entity::find_by_id(id).one(tx).await? else { return Ok(None) };
    let before = MessageBefore {
        id,
        routing: row.routing.clone(),
        words: Some(WordsBefore {
            contact: row.contact,
            author_id: row.author_id,
            author_name: row.author_name.clone(),
            author_scheme: row.author_scheme.clone(),
            author_scope: row.author_scope.clone(),
            author_value: row.author_value.clone(),
            subject: row.subject.clone(),
            text: row.text.clone(),
            text_full: row.text_full.clone(),
            html: row.html.clone(),
            sent_at: row.sent_at,
        }),
    };
    let full = row.text_full.clone().unwrap_or_else(|| row.text.clone());
    let text = if said.text.trim().is_empty() { row.text.clone() } else { said.text.clone() };
    let name = party.name.clone().unwrap_or_else(|| party.address.value.clone());
    let row = message::Model {
        contact: Some(contact),
        author_id: Some(contact),
        author_name: name,
        author_scheme: Some(party.address.scheme.as_str().to_owned()),
        author_scope: None,
        author_value: Some(party.address.value.clone()),
        subject: said.subject.clone(),
        text_full: (full != text).then_some(full),
        text,
        // It shows what whoever handed it on wrote, too.
        html: None,
        sent_at: said.sent_at.map_or(row.sent_at, millis),
        routing: json!(answered_at(party, said.remote_id.clone())).to_string(),
        ..row
    };
    rewrite(tx, row).await?;
    Ok(Some(before))
}

/// Writes a message anew, and what finds it.
async fn rewrite(tx: &DatabaseTransaction, row: message::Model) -> Result<(), StoreError> {
    reindex(tx, &row).await?;
    message::Entity::update(row.into_active_model().reset_all()).exec(tx).await?;
    Ok(())
}

/// The next answer goes to the customer, and not to who wrote last.
async fn reroute(
    tx: &DatabaseTransaction,
    ticket: &ticket::Model,
    party: &Party,
    now: Timestamp,
) -> Result<Option<MessageBefore>, StoreError> {
    let last = newest_word(tx, ticket.id).await?;
    // Where a service carries the conversation, another address is in none of it.
    let sort = Some(party.address.scheme.as_str());
    let last = last.filter(|last| last.author_scheme.as_deref() == sort);
    let Some(last) = last else { return Ok(None) };
    let routing: Routing = serde_json::from_str(&last.routing).map_err(database)?;
    let answered = match routing.sender {
        Some(sender) => contact_of(tx, &sender, now).await?,
        None => return Ok(None),
    };
    if last.contact != Some(ticket.contact) && answered != ticket.contact {
        return Ok(None);
    }
    let before = MessageBefore { id: last.id, routing: last.routing.clone(), words: None };
    let mut last = last.into_active_model();
    last.routing = Set(json!(answered_at(party, None)).to_string());
    message::Entity::update(last).exec(tx).await?;
    Ok(Some(before))
}

/// Names of mails between people who work here are no customer's business.
fn answered_at(party: &Party, remote_id: Option<crate::model::RemoteId>) -> Routing {
    Routing { sender: Some(party.clone()), remote_id, ..Routing::default() }
}

/// What stood above the mail is a note of whoever handed it on.
async fn keep_above(
    tx: &DatabaseTransaction,
    (id, ticket): (Uuid, &ticket::Model),
    (noted, said): (&handed_on::Model, &Forward),
    by: &By,
) -> Result<Option<Uuid>, StoreError> {
    if said.above.trim().is_empty() {
        return Ok(None);
    }
    let who = person::Entity::find_by_id(noted.person).one(tx).await?;
    let name = who.map(|who| who.name).unwrap_or_default();
    let actor = Actor { kind: ActorKind::Agent, id: Some(noted.person), name };
    let note = NewNote {
        ticket: ticket.id.into(),
        text: said.above.clone(),
        html: None,
        uploads: Vec::new(),
    };
    let by = By { actor, version: None, once: None, now: by.now };
    write_note(tx, id, (&note, &[]), &by).await?;
    Ok(Some(id))
}

async fn set_contact(
    tx: &DatabaseTransaction,
    ticket: Uuid,
    contact: Uuid,
    (kind, party): (&'static str, Option<&Party>),
    by: &By,
) -> Result<(), StoreError> {
    let row = reload(tx, ticket).await?;
    let from = row.contact;
    let version = row.version + 1;
    let change = ticket::ActiveModel {
        id: Set(ticket),
        contact: Set(contact),
        version: Set(version),
        updated_at: Set(millis(by.now)),
        ..Default::default()
    };
    ticket::Entity::update(change).exec(tx).await?;
    let mut event = NewEvent::of(ticket, kind, by.actor.clone());
    let name = party.and_then(|party| party.name.clone());
    let address = party.map(|party| party.address.value.clone());
    event.data = json!({ "from": from, "to": contact, "name": name, "address": address });
    event::record(tx, vec![event], by.now).await
}

async fn give_back(
    tx: &DatabaseTransaction,
    row: ticket::Model,
    by: &By,
) -> Result<(), StoreError> {
    let change = newest_change(tx, row.id).await?;
    let change = change
        .ok_or_else(|| StoreError::Refused("nobody changed whose ticket it is".to_owned()))?;
    let before = read(&change)?;
    let contact = link::survivor(tx, Some(before.contact)).await?;
    let contact = contact
        .ok_or_else(|| StoreError::Refused("whose ticket it was before is erased".to_owned()))?;
    let message = match &before.message {
        Some(kept) => message::Entity::find_by_id(kept.id).one(tx).await?,
        None => None,
    };
    let elsewhere = match &message {
        Some(message) => gone_along(tx, row.id, message).await?,
        None => None,
    };
    if let (Some(message), Some(kept), None) = (message, before.message, elsewhere) {
        restore(tx, message, kept, before.handed_on).await?;
        if let Some(note) = before.note {
            take_note_back(tx, note, by).await?;
        }
    }
    parting::leave(tx, row.id, before.joined.into_iter().collect()).await?;
    match elsewhere {
        // How it was matters there.
        Some(ticket) => {
            let moved = customer_change::ActiveModel {
                id: Set(change.id),
                ticket: Set(ticket),
                ..Default::default()
            };
            customer_change::Entity::update(moved).exec(tx).await?;
        }
        None => {
            customer_change::Entity::delete_by_id(change.id).exec(tx).await?;
        }
    }
    set_contact(tx, row.id, contact, ("ticket.customer_restored", None), by).await
}

/// The ticket that a split made of a message which is its customer's there. Where undoing a merge took it back to
/// somebody else's ticket, it is theirs again.
async fn gone_along(
    tx: &DatabaseTransaction,
    from: Uuid,
    message: &message::Model,
) -> Result<Option<Uuid>, StoreError> {
    if message.ticket == from {
        return Ok(None);
    }
    let at = reload(tx, message.ticket).await?;
    Ok((message.contact == Some(at.contact)).then_some(at.id))
}

async fn restore(
    tx: &DatabaseTransaction,
    row: message::Model,
    before: MessageBefore,
    handed_on: bool,
) -> Result<(), StoreError> {
    // Erased meanwhile: nothing of it comes back.
    if row.deleted_at.is_some() {
        return Ok(());
    }
    let mut row = message::Model { routing: before.routing, ..row };
    // Where nothing but the address of the answers changed, its words may have since.
    if let Some(words) = before.words.filter(|_| handed_on) {
        decide(tx, row.id, OPEN).await?;
        row = message::Model {
            contact: words.contact,
            author_id: words.author_id,
            author_name: words.author_name,
            author_scheme: words.author_scheme,
            author_scope: words.author_scope,
            author_value: words.author_value,
            subject: words.subject,
            text: words.text,
            text_full: words.text_full,
            html: words.html,
            sent_at: words.sent_at,
            ..row
        };
    }
    rewrite(tx, row).await
}

/// Its words stand in the message again.
async fn take_note_back(tx: &DatabaseTransaction, id: Uuid, by: &By) -> Result<(), StoreError> {
    let Some(row) = message::Entity::find_by_id(id).one(tx).await? else { return Ok(()) };
    search::remove(tx, row.seq).await?;
    let ticket = row.ticket;
    let mut row = row.into_active_model();
    row.text = Set(String::new());
    row.text_full = Set(None);
    row.deleted_at = Set(Some(millis(by.now)));
    message::Entity::update(row).exec(tx).await?;
    let mut event = NewEvent::of(ticket, "message.deleted", by.actor.clone());
    event.message = Some(id);
    event::record(tx, vec![event], by.now).await
}

/// Forgets what was kept of a ticket.
pub(super) async fn forget(tx: &DatabaseTransaction, ticket: Uuid) -> Result<(), StoreError> {
    let kept = customer_change::Column::Ticket.eq(ticket);
    customer_change::Entity::delete_many().filter(kept).exec(tx).await?;
    Ok(())
}

/// Forgets what was kept of tickets that were somebody's before: their words stand in it.
pub(super) async fn forget_whose(
    tx: &DatabaseTransaction,
    contact: Uuid,
) -> Result<(), StoreError> {
    let theirs = customer_change::Column::Before.contains(contact.to_string());
    customer_change::Entity::delete_many().filter(theirs).exec(tx).await?;
    Ok(())
}

/// Forgets what was kept of messages.
pub(super) async fn forget_of(
    tx: &DatabaseTransaction,
    messages: &[Uuid],
) -> Result<(), StoreError> {
    let theirs = handed_on::Column::Message.is_in(messages.iter().copied());
    handed_on::Entity::delete_many().filter(theirs).exec(tx).await?;
    let kept = customer_change::Column::Message.is_in(messages.iter().copied());
    customer_change::Entity::delete_many().filter(kept).exec(tx).await?;
    Ok(())
}

fn nobody_suggested(so: &str) -> StoreError {
    StoreError::Refused(format!("nobody is suggested as the customer of this ticket{so}"))
}

fn database<E: std::error::Error + Send + Sync + 'static>(error: E) -> StoreError {
    StoreError::Database(error.into())
}
