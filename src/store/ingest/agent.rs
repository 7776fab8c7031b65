//! An agent who answers a notification, by mail or where people who work here talk on a chat service: what they
//! wrote goes to the customer or stays as a note, and is never a message of a customer.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, QuerySelect as _,
};
use uuid::Uuid;

use super::super::agent_answer::AnswerKind;
use super::super::entity::{agent_answer, delivery, person, seen, ticket};
use super::super::notify::all_told;
use super::super::outbox::StoredOutbound;
use super::super::ticket::surviving;
use super::super::{StoreError, millis};
use super::apply::Work;
use super::facts::Facts;
use super::{Ending, Ingested, Prepared, PreparedMessage};
use crate::desk::notify::{AnswerFacts, Answered, answered};
use crate::model::{Flag, Form, Inbound, Role, Scheme, Token, Trust};

/// Notifications that a batch answers, and who may.
#[derive(Default)]
pub(super) struct Notifications {
    sent: HashMap<Uuid, Notification>,
    /// Those who work here, by `(scheme, value)` of their addresses.
    people: HashMap<(&'static str, String), Uuid>,
}

/// A notification that was sent.
struct Notification {
    /// The ticket that an answer goes to. `None`: it is about none, or about several.
    ticket: Option<Uuid>,
    /// Who alone got it, where it went to one.
    to: Option<String>,
}

/// Reads the notifications that a batch answers.
pub(super) async fn load(
    tx: &DatabaseTransaction,
    batch: &[Prepared],
    facts: &mut Facts,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = batch
        .iter()
        .flat_map(|one| one.messages().map(move |message| (one, &message.inbound)))
        .flat_map(|(one, inbound)| answers(one, inbound, facts))
        .collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows: Vec<(Uuid, String, String, String)> = delivery::Entity::find()
        .select_only()
        .columns([
            delivery::Column::Id,
            delivery::Column::ToScheme,
            delivery::Column::ToValue,
            delivery::Column::Outbound,
        ])
        .filter(delivery::Column::Id.is_in(ids))
        .filter(delivery::Column::Event.is_not_null())
        .into_tuple()
        .all(tx)
        .await?;
    if rows.is_empty() {
        return Ok(());
    }
    let mut found = Notifications { people: people(tx).await?, ..Notifications::default() };
    for (id, scheme, to, outbound) in rows {
        let number = serde_json::from_str::<StoredOutbound>(&outbound);
        let number = number.map(|outbound| outbound.ticket_number).unwrap_or_default();
        let ticket = survivor(tx, number).await?;
        let to = (scheme == Scheme::Email.as_str()).then_some(to);
        found.sent.insert(id, Notification { ticket, to });
    }
    facts.notifications = found;
    Ok(())
}

/// The deliveries that a message says it answers: by our signed token, or by the service's name for them.
fn answers(one: &Prepared, inbound: &Inbound, facts: &Facts) -> Vec<Uuid> {
    let tokens = inbound.thread.tokens.iter().filter_map(|token| match token {
        Token::Delivery(id) => Some(id.uuid()),
        Token::Ticket(_) => None,
    });
    // A name that anybody can write proves nothing, so it counts only where the service vouches for it.
    let parents = inbound.thread.parents.iter().filter(|_| inbound.flags.contains(&Flag::Internal));
    let parents = parents.filter_map(|parent| {
        facts.delivery_by_remote.get(&(one.channel.realm.0.clone(), parent.0.clone())).copied()
    });
    tokens.chain(parents).collect()
}

/// Those who may answer.
pub(super) async fn people(
    tx: &DatabaseTransaction,
) -> Result<HashMap<(&'static str, String), Uuid>, StoreError> {
    let rows = person::Entity::find().filter(person::Column::DisabledAt.is_null()).all(tx).await?;
    let may = |row: &person::Model| row.role.parse().is_ok_and(|role: Role| role >= Role::Agent);
    let mut told = all_told(tx).await?;
    let mut people = HashMap::new();
    for row in rows.into_iter().filter(may) {
        let number = told.remove(&row.id).and_then(|told| told.telegram);
        people.extend(number.map(|number| ((Scheme::Telegram.as_str(), number), row.id)));
        people.insert((Scheme::Email.as_str(), row.email), row.id);
    }
    Ok(people)
}

/// The ticket of this number, or the one that it was merged into.
async fn survivor(tx: &DatabaseTransaction, number: u64) -> Result<Option<Uuid>, StoreError> {
    let Some(number) = i64::try_from(number).ok().filter(|number| *number > 0) else {
        return Ok(None);
    };
    let by_number = ticket::Entity::find().filter(ticket::Column::Number.eq(number));
    let row = surviving(tx, by_number.one(tx).await?).await?;
    Ok(row.filter(|row| row.deleted_at.is_none()).map(|row| row.id))
}

impl Work {
    /// Takes a message that answers a notification, or that people who work here wrote among themselves.
    /// `false`: it is neither.
    pub(super) fn take_from_agent(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        result: &mut Ingested,
    ) -> bool {
        let inbound = &prepared.inbound;
        let inside = inbound.flags.contains(&Flag::Internal);
        let known = &self.facts.notifications;
        let sent =
            answers(one, inbound, &self.facts).into_iter().find_map(|id| known.sent.get(&id));
        let machine = inbound.automated.is_some() || inbound.form == Form::Notice;
        let nothing = |why: &str| Some(Ending::Ignored(why.to_owned()));
        let Some(sent) = sent else {
            if inside {
                result.ending = nothing("people who work here talk among themselves");
            }
            return inside;
        };
        let Some(ticket) = sent.ticket.filter(|_| !machine) else {
            if machine || inside {
                result.ending = nothing("an answer to a notification that nobody has to read");
            }
            return machine || inside;
        };
        let key = (one.channel.realm.0.clone(), inbound.remote_id.0.clone());
        let before = self.facts.seen.get(&key);
        if before.is_some_and(|rows| rows.iter().any(|row| row.digest == inbound.digest)) {
            return true;
        }
        let person = author(inbound, sent, &known.people);
        let from = inbound.sender.address.as_ref().map_or("", |address| &address.value);
        let facts = AnswerFacts {
            proven: person.is_some(),
            from,
            files: prepared.attachments.iter().any(|file| !file.row.inline)
                || !prepared.uploads.is_empty(),
            masked: !self.found(prepared).is_empty(),
        };
        let (kind, text) = match answered(&facts, &inbound.text, &inbound.text_full) {
            Answered::Reply(text) => (AnswerKind::Reply, text),
            Answered::Note(text) => (AnswerKind::Note, text),
            Answered::Unproven(text) => (AnswerKind::Unproven, text),
        };
        self.agent_answers.push(agent_answer::Model {
            id: prepared.id,
            ticket,
            person,
            kind: kind.as_str().to_owned(),
            text,
            added_at: millis(self.now),
        });
        // Known from now on, and no message: an edit of it changes nothing that was sent.
        let known = seen::Model {
            realm: one.channel.realm.0.clone(),
            remote_id: inbound.remote_id.0.clone(),
            digest: inbound.digest.clone(),
            message: None,
            ticket: None,
            added_at: millis(self.now),
        };
        self.facts.seen.entry(key).or_default().push(known.clone());
        self.seen.push(known);
        true
    }
}

/// Who of us wrote an answer. `None`: that is not sure.
fn author(
    inbound: &Inbound,
    sent: &Notification,
    people: &HashMap<(&'static str, String), Uuid>,
) -> Option<Uuid> {
    let address = inbound.sender.address.as_ref()?;
    let proven = match &sent.to {
        // Only they got the mail whose name it answers.
        Some(to) => *to == address.value && inbound.sender.trust != Trust::Forged,
        // Several see it: the service has to vouch for who wrote.
        None => inbound.sender.trust == Trust::Proven,
    };
    let key = (address.scheme.as_str(), address.value.clone());
    people.get(&key).copied().filter(|_| proven)
}
