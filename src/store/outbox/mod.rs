//! Everything that goes out, one row a call. `queue` puts it in, `lane` takes it out, `desk` (people) holds,
//! releases, repeats and cancels.

mod lane;
mod people;
mod queue;

use sea_orm::{ActiveValue::Set, DatabaseTransaction, EntityTrait as _, IntoActiveModel as _};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::entity::{delivery, message};
use super::{StoreError, millis};
use crate::desk;
use crate::model::{
    Actor, Bridge, Choice, DeliveryState, Direction, Inbound, MessageKind, Party, RemoteId,
    Template, ThreadKey, Timestamp,
};

pub(super) use lane::updated;
pub use lane::{Due, Outcome};
pub use people::{OutboxFilter, OutboxRow};
pub use queue::{NewTicket, ReplyFacts, ReplyPlan};
pub(super) use queue::{contact_of, participant_row, queue};

/// What a received message says about where an answer goes: kept with the message. Of an erased one nothing is left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Routing {
    /// Who wrote.
    pub sender: Option<Party>,
    /// Where an answer goes instead of to the sender.
    pub reply_to: Option<Party>,
    /// Everybody else it was addressed to, ourselves included.
    pub recipients: Vec<Party>,
    /// The service's name for the message.
    pub remote_id: Option<RemoteId>,
    /// The chain of messages before it, oldest first.
    pub references: Vec<RemoteId>,
    /// The service's conversation.
    pub thread: Option<ThreadKey>,
}

impl Routing {
    pub(super) fn of(inbound: &Inbound) -> Self {
        let sender = inbound.sender.address.clone();
        let name = inbound.sender.name.clone();
        Self {
            sender: sender.map(|address| Party { address, name }),
            reply_to: inbound.reply_to.clone(),
            recipients: inbound.recipients.clone(),
            remote_id: Some(inbound.remote_id.clone()),
            references: inbound.thread.parents.iter().rev().cloned().collect(),
            thread: inbound.thread.key.clone(),
        }
    }

    /// The envelope of an answer to it; the recipient is the caller's to choose.
    pub(super) fn answer(
        &self,
        ticket_number: u64,
        subject: Option<String>,
        text: &str,
    ) -> StoredOutbound {
        let mut references = self.references.clone();
        references.extend(self.remote_id.clone());
        StoredOutbound {
            ticket_number,
            to: self.answer_to().unwrap_or_else(nobody),
            cc: Vec::new(),
            thread: self.thread.clone(),
            in_reply_to: self.remote_id.clone(),
            references,
            subject,
            text: text.to_owned(),
            signature: None,
            html: None,
            attachments: Vec::new(),
            author: None,
            automated: false,
            customer_wrote_at: None,
            template: None,
            private: false,
            choices: Vec::new(),
            language: None,
            bridge: None,
            sealed: false,
        }
    }

    /// Where an answer goes.
    #[must_use]
    pub fn answer_to(&self) -> Option<Party> {
        self.reply_to.clone().or_else(|| self.sender.clone())
    }
}

/// What is left of an outbound that was erased.
pub(super) const ERASED: &str = "{}";

fn nobody() -> Party {
    Party { address: crate::model::Address::email(""), name: None }
}

/// [`Outbound`](crate::model::Outbound) as it is kept: attachments by id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StoredOutbound {
    pub(super) ticket_number: u64,
    pub(super) to: Party,
    pub(super) cc: Vec<Party>,
    pub(super) thread: Option<ThreadKey>,
    pub(super) in_reply_to: Option<RemoteId>,
    pub(super) references: Vec<RemoteId>,
    pub(super) subject: Option<String>,
    pub(super) text: String,
    /// Absent in rows of older versions.
    #[serde(default)]
    pub(super) signature: Option<String>,
    pub(super) html: Option<String>,
    pub(super) attachments: Vec<Uuid>,
    pub(super) author: Option<String>,
    pub(super) automated: bool,
    /// Absent in rows of older versions.
    #[serde(default)]
    pub(super) customer_wrote_at: Option<Timestamp>,
    /// Absent in rows of older versions.
    #[serde(default)]
    pub(super) template: Option<Template>,
    /// Absent in rows of older versions.
    #[serde(default)]
    pub(super) private: bool,
    /// Absent in rows of older versions.
    #[serde(default)]
    pub(super) language: Option<String>,
    /// Absent in rows of older versions.
    #[serde(default)]
    pub(super) bridge: Option<Bridge>,
    /// Absent in rows of older versions.
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    /// Dots in the text stand for a word that is kept sealed until it goes out. Absent in rows of older versions.
    #[serde(default)]
    pub(super) sealed: bool,
}

/// A row of the outbox to be written.
pub(super) struct NewDelivery {
    pub(super) id: Uuid,
    pub(super) seq: i64,
    pub(super) channel: String,
    pub(super) realm: String,
    pub(super) ticket: Uuid,
    pub(super) message: Uuid,
    pub(super) part: i32,
    pub(super) outbound: StoredOutbound,
    pub(super) not_before: Timestamp,
    pub(super) held: bool,
    pub(super) unless_answered: bool,
    pub(super) now: Timestamp,
}

pub(super) fn delivery_row(new: NewDelivery) -> delivery::Model {
    delivery::Model {
        id: new.id,
        seq: new.seq,
        channel: new.channel,
        ticket: new.ticket,
        message: new.message,
        part: new.part,
        state: if new.held { "held" } else { "queued" }.to_owned(),
        attempt: 0,
        not_before: Some(millis(new.not_before)),
        since: None,
        error: None,
        realm: new.realm,
        remote_id: None,
        to_scheme: new.outbound.to.address.scheme.as_str().to_owned(),
        to_value: new.outbound.to.address.value.clone(),
        automated: new.outbound.automated,
        outbound: serde_json::json!(new.outbound).to_string(),
        unless_answered: new.unless_answered,
        queued_at: millis(new.now),
        event: None,
        tried_since: None,
        updated_at: millis(new.now),
    }
}

/// A message of ours to be written.
pub(super) struct NewMessage<'a> {
    pub(super) id: Uuid,
    pub(super) ticket: Uuid,
    pub(super) channel: &'a str,
    pub(super) realm: &'a str,
    pub(super) actor: &'a Actor,
    pub(super) text: &'a str,
    pub(super) html: Option<&'a str>,
    pub(super) reply_to: Option<Uuid>,
    pub(super) now: Timestamp,
}

/// Its `seq` is given when it is written.
pub(super) fn message_row(new: &NewMessage<'_>) -> message::Model {
    message::Model {
        id: new.id,
        seq: 0,
        ticket: new.ticket,
        contact: None,
        direction: Direction::Out.as_str().to_owned(),
        kind: MessageKind::Message.as_str().to_owned(),
        channel: new.channel.to_owned(),
        realm: new.realm.to_owned(),
        remote_id: None,
        reply_to: new.reply_to,
        author_kind: new.actor.kind.as_str().to_owned(),
        author_id: new.actor.id,
        author_name: new.actor.name.clone(),
        author_scheme: None,
        author_scope: None,
        author_value: None,
        subject: None,
        text: new.text.to_owned(),
        text_full: None,
        html: new.html.map(str::to_owned),
        sent_at: millis(new.now),
        received_at: None,
        edited_at: None,
        deleted_at: None,
        flags: "[]".to_owned(),
        auth: None,
        routing: "{}".to_owned(),
        why: "[]".to_owned(),
        raw: None,
        language: desk::language::settle(desk::language::detect(new.text), None),
    }
}

/// A state from its columns. Only the word and the error are kept; the rest is in columns of their own.
pub(super) fn state_of(state: &str, error: Option<&str>) -> DeliveryState {
    let cause = || error.unwrap_or_default().to_owned();
    match state {
        "sending" => DeliveryState::Sending { since: Timestamp::UNIX_EPOCH },
        "sent" => DeliveryState::Sent { remote_id: RemoteId::new("") },
        "delivered" => DeliveryState::Delivered,
        "read" => DeliveryState::Read,
        "unconfirmed" => DeliveryState::Unconfirmed { cause: cause() },
        "failed" => DeliveryState::Failed { cause: cause() },
        "bounced" => DeliveryState::Bounced { cause: cause() },
        "held" => DeliveryState::Held,
        "cancelled" => DeliveryState::Cancelled { cause: cause() },
        _ => DeliveryState::Queued { not_before: Timestamp::UNIX_EPOCH },
    }
}

/// Writes a state into its columns.
pub(super) async fn set_state(
    tx: &DatabaseTransaction,
    id: Uuid,
    state: &DeliveryState,
    now: Timestamp,
) -> Result<delivery::Model, StoreError> {
    let row = delivery::Entity::find_by_id(id).one(tx).await?;
    let row = row.ok_or(StoreError::NotFound("delivery"))?;
    let mut row = row.into_active_model();
    row.state = Set(state.status().as_str().to_owned());
    row.updated_at = Set(millis(now));
    match state {
        DeliveryState::Queued { not_before } => row.not_before = Set(Some(millis(*not_before))),
        DeliveryState::Sending { since } => row.since = Set(Some(millis(*since))),
        DeliveryState::Sent { remote_id } => {
            row.remote_id = Set(Some(remote_id.0.clone()));
            row.error = Set(None);
        }
        DeliveryState::Unconfirmed { cause }
        | DeliveryState::Failed { cause }
        | DeliveryState::Bounced { cause }
        | DeliveryState::Cancelled { cause } => row.error = Set(Some(cause.clone())),
        DeliveryState::Delivered | DeliveryState::Read | DeliveryState::Held => {}
    }
    Ok(delivery::Entity::update(row).exec(tx).await?)
}
