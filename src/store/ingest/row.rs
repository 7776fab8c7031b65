//! A received message as a row of the store.

use serde_json::json;
use uuid::Uuid;

use super::super::entity::message;
use super::super::message::searchable;
use super::super::millis;
use super::{Prepared, PreparedMessage};
use crate::desk::Decision;
use crate::model::{Actor, ActorKind, Direction, Form, Inbound, MessageKind, Timestamp};

/// Who did it, for the trail.
pub(super) fn author(inbound: &Inbound, contact: Uuid) -> Actor {
    let address = inbound.sender.address.as_ref().map(|address| address.value.clone());
    let name = inbound.sender.name.clone().or(address).unwrap_or_default();
    Actor { kind: ActorKind::Contact, id: Some(contact), name }
}

/// One of ours wrote it, on the service itself; the answer to the customer goes on by what they wrote.
pub(super) fn said_by_us(row: &mut message::Model, actor: &Actor) {
    Direction::Out.as_str().clone_into(&mut row.direction);
    row.contact = None;
    actor.kind.as_str().clone_into(&mut row.author_kind);
    row.author_id = actor.id;
    row.author_name.clone_from(&actor.name);
    (row.author_scheme, row.author_scope, row.author_value) = (None, None, None);
}

/// A message as it is kept; its `seq` is given when the batch is written.
pub(super) fn message_row(
    one: &Prepared,
    prepared: &PreparedMessage,
    (ticket, contact): (Uuid, Uuid),
    decision: &Decision,
    now: Timestamp,
) -> message::Model {
    let inbound = &prepared.inbound;
    let flags: std::collections::BTreeSet<_> =
        inbound.flags.iter().chain(&decision.flags).copied().collect();
    let address = inbound.sender.address.as_ref();
    let kind = match inbound.form {
        Form::Message => MessageKind::Message,
        Form::Comment => MessageKind::Comment,
        Form::Call => MessageKind::Call,
        Form::Voicemail => MessageKind::Voicemail,
        Form::Notice => MessageKind::System,
    };
    let routing = super::super::outbox::Routing::of(inbound);
    let (text, text_full) = (inbound.text.clone(), inbound.text_full.clone());
    message::Model {
        id: prepared.id,
        seq: 0,
        ticket,
        contact: Some(contact),
        direction: Direction::In.as_str().to_owned(),
        kind: kind.as_str().to_owned(),
        channel: one.channel.name.as_str().to_owned(),
        realm: one.channel.realm.0.clone(),
        remote_id: Some(inbound.remote_id.0.clone()),
        reply_to: None,
        author_kind: ActorKind::Contact.as_str().to_owned(),
        author_id: Some(contact),
        author_name: author(inbound, contact).name,
        author_scheme: address.map(|address| address.scheme.as_str().to_owned()),
        author_scope: address.and_then(|address| Some(address.scope.as_ref()?.as_str().to_owned())),
        author_value: address.map(|address| address.value.clone()),
        subject: inbound.subject.clone(),
        text_full: (text_full != text).then_some(text_full),
        text,
        html: inbound.html.clone(),
        sent_at: millis(inbound.occurred_at),
        received_at: Some(millis(one.received_at)),
        edited_at: None,
        deleted_at: None,
        flags: json!(flags).to_string(),
        auth: inbound.auth.as_ref().map(|auth| json!(auth).to_string()),
        routing: json!(routing).to_string(),
        why: json!(why(one, inbound, decision, now)).to_string(),
        raw: Some(one.id.uuid()),
        language: None,
    }
}

/// The decision trace.
fn why(one: &Prepared, inbound: &Inbound, decision: &Decision, now: Timestamp) -> Vec<String> {
    let mut why = decision.why.clone();
    if let Some(automated) = inbound.automated {
        why.push(format!("answered by no machine: {automated}"));
    }
    if now - one.received_at > chrono::Duration::hours(1) {
        why.push(format!("received {}, stored {now}", one.received_at));
    }
    why
}

/// What a search for the message should find.
pub(super) fn findable(row: &message::Model, prepared: &PreparedMessage) -> String {
    let names = prepared.attachments.iter().map(|attachment| attachment.row.name.as_str());
    let uploads = prepared.uploads.iter().map(|upload| upload.name.as_str());
    searchable(row, names.chain(uploads))
}
