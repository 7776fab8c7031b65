//! A reply becomes a message and its deliveries, in one transaction, before anybody is told that it will
//! be sent.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;

use super::super::entity::{
    attachment, contact, delivery, identity, message, participant, ticket, ticket_tag,
};
use super::super::event::{self, NewEvent, take_numbers};
use super::super::idempotency::{Answer, Once};
use super::super::message::{MessageView, message_view, newest_word};
use super::super::ticket::{TicketView, surviving, view};
use super::super::{Store, StoreError, millis, moment, search};
use super::{NewDelivery, NewMessage, Routing, StoredOutbound, delivery_row, message_row};
use crate::desk::ReplyPart;
use crate::model::{
    Actor, ActorKind, Address, Bridge, ChannelName, ContactId, DeliveryId, Flag, MessageId,
    MessageKind, Party, Priority, Realm, Template, TicketId, TicketStatus, Timestamp,
};

/// What is needed to plan a reply.
#[derive(Debug, Clone)]
pub struct ReplyFacts {
    /// The ticket, merges followed.
    pub ticket: TicketId,
    /// Its short number.
    pub number: u64,
    /// Its subject.
    pub subject: String,
    /// Where it stands.
    pub status: TicketStatus,
    /// The channel it came by.
    pub channel: ChannelName,
    /// Its queue.
    pub queue: Option<String>,
    /// The customer's language.
    pub language: Option<String>,
    /// When the customer last wrote.
    pub last_inbound_at: Option<Timestamp>,
    /// The message that a reply answers: the customer's last one, with what it says about answers.
    pub answers: Option<(MessageId, ChannelName, Routing)>,
    /// The contact's addresses, those best proven first.
    pub addresses: Vec<Party>,
    /// Ids of what we sent before in this ticket, oldest first: the chain of an outbound-first ticket.
    pub sent: Vec<crate::model::RemoteId>,
}

impl ReplyFacts {
    /// The channel on which the customer last wrote.
    #[must_use]
    pub fn wanted_channel(&self) -> ChannelName {
        let of_last = self.answers.as_ref().map(|(_, channel, _)| channel);
        of_last.unwrap_or(&self.channel).clone()
    }
}

/// A reply, complete.
#[derive(Debug, Clone)]
pub struct ReplyPlan {
    /// Chosen by the caller: the same id twice is the same reply, and is queued once.
    pub message: MessageId,
    /// The ticket.
    pub ticket: TicketId,
    /// Refuse when the ticket has changed since.
    pub version: Option<i64>,
    /// Through which channel.
    pub channel: ChannelName,
    /// Of which realm.
    pub realm: Realm,
    /// Who writes.
    pub actor: Actor,
    /// The whole text.
    pub text: String,
    /// What stands below it, apart from the words.
    pub signature: Option<String>,
    /// Sanitised.
    pub html: Option<String>,
    /// What goes out, in order.
    pub parts: Vec<ReplyPart>,
    /// Uploads that become its attachments.
    pub uploads: Vec<Uuid>,
    /// Whom to.
    pub to: Party,
    /// Copies.
    pub cc: Vec<Party>,
    /// The message answered.
    pub answers: Option<(MessageId, Routing)>,
    /// The chain where nothing is answered: earlier messages of ours.
    pub sent_before: Vec<crate::model::RemoteId>,
    /// Not before this moment.
    pub send_at: Option<Timestamp>,
    /// Wait until somebody releases it.
    pub held: bool,
    /// Cancel it if the customer writes first.
    pub unless_answered: bool,
    /// Written by a program: marked so on the wire.
    pub automated: bool,
    /// What goes out instead of the text.
    pub template: Option<Template>,
    /// To the author of what it answers alone, and not under the post.
    pub private: bool,
    /// An agent who is called and connected instead.
    pub bridge: Option<Bridge>,
    /// The same wish twice is one reply.
    pub once: Option<Once>,
}

/// A ticket that we open towards somebody.
#[derive(Debug, Clone)]
pub struct NewTicket {
    /// Chosen by the caller: the same id twice is the same ticket.
    pub id: TicketId,
    /// Through which channel.
    pub channel: ChannelName,
    /// To whom: a known contact, or an address that becomes one.
    pub contact: Option<ContactId>,
    /// The address that is written to.
    pub to: Party,
    /// What it is about.
    pub subject: String,
    /// How much it hurts to wait.
    pub priority: Priority,
    /// By which agents share work.
    pub queue: Option<String>,
    /// Free words.
    pub tags: Vec<String>,
    /// Who opens it.
    pub actor: Actor,
}

impl Store {
    /// What is needed to plan a reply to a ticket.
    pub async fn reply_facts(&self, id: TicketId) -> Result<ReplyFacts, StoreError> {
        let db = self.reader();
        let row = ticket::Entity::find_by_id(id.uuid()).one(db).await?;
        let row = surviving(db, row).await?.filter(|row| row.deleted_at.is_none());
        let row = row.ok_or(StoreError::NotFound("ticket"))?;
        let last = newest_word(db, row.id).await?;
        let answers = match last {
            Some(last) => {
                let routing: Routing = serde_json::from_str(&last.routing).map_err(database)?;
                Some((last.id.into(), last.channel.parse().map_err(database)?, routing))
            }
            None => None,
        };
        let addresses = self.contact_addresses(row.contact.into()).await?;
        let sent: Vec<Option<String>> = delivery::Entity::find()
            .select_only()
            .column(delivery::Column::RemoteId)
            .filter(delivery::Column::Ticket.eq(row.id))
            .filter(delivery::Column::RemoteId.is_not_null())
            .order_by_asc(delivery::Column::Seq)
            .into_tuple()
            .all(db)
            .await?;
        Ok(ReplyFacts {
            ticket: row.id.into(),
            number: u64::try_from(row.number).unwrap_or_default(),
            subject: row.subject,
            status: row.status.parse().map_err(database)?,
            channel: row.channel.parse().map_err(database)?,
            queue: row.queue,
            language: row.language,
            last_inbound_at: row.last_inbound_at.map(moment),
            answers,
            addresses,
            sent: sent.into_iter().flatten().map(crate::model::RemoteId).collect(),
        })
    }

    /// Where a contact can be reached: what is proven before what is only claimed.
    pub async fn contact_addresses(&self, contact: ContactId) -> Result<Vec<Party>, StoreError> {
        let identities = identity::Entity::find()
            .filter(identity::Column::Contact.eq(contact.uuid()))
            .order_by_desc(identity::Column::Trust)
            .order_by_asc(identity::Column::CreatedAt)
            .all(self.reader())
            .await?;
        Ok(identities.into_iter().filter_map(party).collect())
    }

    /// Queues a reply: message and deliveries, durable when this returns. The same plan twice is one reply.
    pub async fn queue_reply(
        &self,
        plan: ReplyPlan,
        now: Timestamp,
    ) -> Result<Answer<MessageView>, StoreError> {
        let (once, plan) = (plan.once.clone(), std::sync::Arc::new(plan));
        self.write_once(once, now, move |tx| {
            let plan = plan.clone();
            Box::pin(async move {
                let id = queue(tx, &plan, now).await?;
                message_view(tx, id.uuid()).await
            })
        })
        .await
    }

    /// Opens a ticket towards somebody and queues its first message, if there is one; both or neither. The
    /// same id twice is one ticket.
    pub async fn open_ticket(
        &self,
        new: NewTicket,
        first: Option<ReplyPlan>,
        once: Option<Once>,
        now: Timestamp,
    ) -> Result<Answer<TicketView>, StoreError> {
        let both = std::sync::Arc::new((new, first));
        self.write_once(once, now, move |tx| {
            let both = both.clone();
            Box::pin(async move {
                let (new, first) = &*both;
                let id = open(tx, new, now).await?;
                if let Some(first) = first {
                    queue(tx, first, now).await?;
                }
                let row = ticket::Entity::find_by_id(id.uuid()).one(tx).await?;
                view(tx, row.ok_or(StoreError::NotFound("ticket"))?).await
            })
        })
        .await
    }
}

fn party(row: identity::Model) -> Option<Party> {
    let address = Address {
        scheme: row.scheme.parse().ok()?,
        scope: match row.scope.as_str() {
            "" => None,
            // What a forger wrote is no address to answer to by itself.
            scope => Some(scope.parse().ok()?),
        },
        value: row.value,
    };
    Some(Party { address, name: None })
}

pub(in crate::store) async fn queue(
    tx: &DatabaseTransaction,
    plan: &ReplyPlan,
    now: Timestamp,
) -> Result<MessageId, StoreError> {
    if message::Entity::find_by_id(plan.message.uuid()).one(tx).await?.is_some() {
        return Ok(plan.message);
    }
    let row = ticket::Entity::find_by_id(plan.ticket.uuid()).lock_exclusive().one(tx).await?;
    let row = row.filter(|row| row.deleted_at.is_none()).ok_or(StoreError::NotFound("ticket"))?;
    if row.merged_into.is_some() {
        let text = format!("ticket {} was merged into another one just now: try again", row.number);
        return Err(StoreError::Refused(text));
    }
    if let Some(given) = plan.version.filter(|given| *given != row.version) {
        return Err(StoreError::Stale { given, current: row.version });
    }
    write_message(tx, plan, now).await?;
    let (number, subject) = (row.number, row.subject.clone());
    let automated = plan.automated;
    let agent = plan.actor.kind == ActorKind::Agent || plan.actor.kind == ActorKind::Token;
    // Who is called is answered when they are spoken to.
    let answers = agent && !automated && plan.bridge.is_none();
    let first = (answers && row.first_response_at.is_none()).then_some(millis(now));
    let mut changed = row.clone().into_active_model();
    changed.message_count = Set(row.message_count + 1);
    changed.version = Set(row.version + 1);
    changed.updated_at = Set(millis(now));
    changed.last_outbound_at = Set(Some(millis(now)));
    if first.is_some() {
        changed.first_response_at = Set(first);
    }
    ticket::Entity::update(changed).exec(tx).await?;
    let wrote_at = row.last_inbound_at.map(moment);
    let about = About { number, subject, language: row.language, wrote_at };
    let deliveries = write_deliveries(tx, plan, about, now).await?;
    join(tx, plan, now).await?;
    let mut event = NewEvent::of(plan.ticket.uuid(), "message.created", plan.actor.clone());
    event.message = Some(plan.message.uuid());
    event.channel = Some(plan.channel.as_str().to_owned());
    let kind = kind(plan);
    event.data = json!({ "direction": "out", "kind": kind, "deliveries": deliveries });
    event::record(tx, vec![event], now).await?;
    Ok(plan.message)
}

async fn write_message(
    tx: &DatabaseTransaction,
    plan: &ReplyPlan,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut row = message_row(&NewMessage {
        id: plan.message.uuid(),
        ticket: plan.ticket.uuid(),
        channel: plan.channel.as_str(),
        realm: &plan.realm.0,
        actor: &plan.actor,
        text: &plan.text,
        html: plan.html.as_deref(),
        reply_to: plan.answers.as_ref().map(|(id, _)| id.uuid()),
        now,
    });
    kind(plan).as_str().clone_into(&mut row.kind);
    if plan.private {
        row.flags = json!([Flag::Private]).to_string();
    }
    row.seq = *take_numbers(tx, "feed", 1).await?.end();
    search::index(tx, &[(row.seq, plan.text.clone())]).await?;
    message::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    for (position, upload) in plan.uploads.iter().enumerate() {
        // An upload is an attachment that belongs to no message yet; it can be used once.
        let used = attachment::Entity::update_many()
            .set(attachment::ActiveModel {
                message: Set(Some(plan.message.uuid())),
                position: Set(i32::try_from(position).unwrap_or(i32::MAX)),
                ..Default::default()
            })
            .filter(attachment::Column::Id.eq(*upload))
            .filter(attachment::Column::Message.is_null())
            .exec(tx)
            .await?;
        if used.rows_affected == 0 {
            return Err(StoreError::NotFound("upload"));
        }
    }
    Ok(())
}

/// What a delivery says of its ticket.
struct About {
    number: i64,
    subject: String,
    language: Option<String>,
    wrote_at: Option<Timestamp>,
}

/// A call that connects an agent stands in the ticket as a call.
const fn kind(plan: &ReplyPlan) -> MessageKind {
    if plan.bridge.is_some() { MessageKind::Call } else { MessageKind::Message }
}

async fn write_deliveries(
    tx: &DatabaseTransaction,
    plan: &ReplyPlan,
    about: About,
    now: Timestamp,
) -> Result<Vec<Uuid>, StoreError> {
    let About { number, subject, language, wrote_at } = about;
    let number = u64::try_from(number).unwrap_or_default();
    let mut answer = match &plan.answers {
        Some((_, routing)) => routing.answer(number, Some(subject), ""),
        None => StoredOutbound {
            references: plan.sent_before.clone(),
            in_reply_to: plan.sent_before.last().cloned(),
            ..Routing::default().answer(number, Some(subject), "")
        },
    };
    (answer.customer_wrote_at, answer.language) = (wrote_at, language);
    let seqs = take_numbers(tx, "delivery", plan.parts.len()).await?;
    let mut ids = Vec::with_capacity(plan.parts.len());
    let mut rows = Vec::with_capacity(plan.parts.len());
    for ((position, part), seq) in plan.parts.iter().enumerate().zip(seqs) {
        let outbound = StoredOutbound {
            to: plan.to.clone(),
            cc: plan.cc.clone(),
            text: part.text.clone(),
            signature: plan.signature.clone(),
            html: part.html.clone(),
            attachments: part
                .attachments
                .iter()
                .filter_map(|place| plan.uploads.get(*place).copied())
                .collect(),
            author: Some(plan.actor.name.clone()),
            automated: plan.automated,
            template: plan.template.clone(),
            private: plan.private,
            bridge: plan.bridge.clone(),
            choices: part.choices.clone(),
            ..answer.clone()
        };
        let id = DeliveryId::new().uuid();
        ids.push(id);
        rows.push(delivery_row(NewDelivery {
            id,
            seq,
            channel: plan.channel.as_str().to_owned(),
            realm: plan.realm.0.clone(),
            ticket: plan.ticket.uuid(),
            message: plan.message.uuid(),
            part: i32::try_from(position).unwrap_or(i32::MAX),
            outbound,
            not_before: plan.send_at.unwrap_or(now),
            held: plan.held,
            unless_answered: plan.unless_answered,
            now,
        }));
    }
    let rows = rows.into_iter().map(sea_orm::IntoActiveModel::into_active_model);
    delivery::Entity::insert_many(rows).exec_without_returning(tx).await?;
    Ok(ids)
}

/// Whoever is written to may answer.
async fn join(
    tx: &DatabaseTransaction,
    plan: &ReplyPlan,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = std::iter::once(&plan.to)
        .chain(&plan.cc)
        .map(|party| participant_row(plan.ticket.uuid(), party, now).into_active_model());
    participant::Entity::insert_many(rows)
        .on_conflict(
            OnConflict::columns([
                participant::Column::Ticket,
                participant::Column::Scheme,
                participant::Column::Value,
            ])
            .do_nothing()
            .to_owned(),
        )
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

pub(in crate::store) fn participant_row(
    ticket: Uuid,
    party: &Party,
    now: Timestamp,
) -> participant::Model {
    participant::Model {
        ticket,
        scheme: party.address.scheme.as_str().to_owned(),
        value: party.address.value.clone(),
        name: party.name.clone(),
        since: millis(now),
    }
}

async fn open(
    tx: &DatabaseTransaction,
    new: &NewTicket,
    now: Timestamp,
) -> Result<TicketId, StoreError> {
    if ticket::Entity::find_by_id(new.id.uuid()).one(tx).await?.is_some() {
        return Ok(new.id);
    }
    let contact = match new.contact {
        Some(contact) => contact.uuid(),
        None => contact_of(tx, &new.to, now).await?,
    };
    let row = ticket::Model {
        id: new.id.uuid(),
        number: *take_numbers(tx, "ticket", 1).await?.end(),
        subject: new.subject.clone(),
        status: "open".to_owned(),
        priority: new.priority.as_str().to_owned(),
        queue: new.queue.clone(),
        assignee: None,
        channel: new.channel.as_str().to_owned(),
        contact,
        thread: None,
        language: None,
        created_at: millis(now),
        updated_at: millis(now),
        first_response_at: None,
        last_inbound_at: None,
        last_outbound_at: None,
        solved_at: None,
        snoozed_until: None,
        message_count: 0,
        event_count: 0,
        version: 1,
        merged_into: None,
        linked_to: None,
        deleted_at: None,
    };
    ticket::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    for tag in &new.tags {
        let tag = ticket_tag::Model { ticket: new.id.uuid(), tag: tag.clone() };
        ticket_tag::Entity::insert(tag.into_active_model()).exec_without_returning(tx).await?;
    }
    let row = participant_row(new.id.uuid(), &new.to, now);
    participant::Entity::insert(row.into_active_model()).exec_without_returning(tx).await?;
    let mut event = NewEvent::of(new.id.uuid(), "ticket.created", new.actor.clone());
    event.channel = Some(new.channel.as_str().to_owned());
    event::record(tx, vec![event], now).await?;
    Ok(new.id)
}

pub(in crate::store) async fn contact_of(
    tx: &DatabaseTransaction,
    party: &Party,
    now: Timestamp,
) -> Result<Uuid, StoreError> {
    let address = &party.address;
    let scope = address.scope.as_ref().map(ChannelName::as_str).unwrap_or_default();
    let known = identity::Entity::find()
        .filter(identity::Column::Scheme.eq(address.scheme.as_str()))
        .filter(identity::Column::Scope.eq(scope))
        .filter(identity::Column::Value.eq(&address.value))
        .one(tx)
        .await?;
    if let Some(known) = known {
        return Ok(known.contact);
    }
    let contact = contact::Model {
        id: ContactId::new().uuid(),
        name: party.name.clone().unwrap_or_else(|| address.value.clone()),
        language: None,
        note: None,
        version: 1,
        created_at: millis(now),
        updated_at: millis(now),
        erased_at: None,
        merged_into: None,
    };
    let identity = identity::Model {
        id: Uuid::now_v7(),
        contact: contact.id,
        scheme: address.scheme.as_str().to_owned(),
        scope: scope.to_owned(),
        value: address.value.clone(),
        shown: address.value.clone(),
        trust: "claimed".to_owned(),
        created_at: millis(now),
    };
    let id = contact.id;
    contact::Entity::insert(contact.into_active_model()).exec_without_returning(tx).await?;
    identity::Entity::insert(identity.into_active_model()).exec_without_returning(tx).await?;
    Ok(id)
}

fn database<E: std::error::Error + Send + Sync + 'static>(error: E) -> StoreError {
    StoreError::Database(error.into())
}
