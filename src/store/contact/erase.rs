//! Erasing: keys are destroyed (which reaches old copies of the database too), words are removed. What
//! remains are numbers, times, and the names of messages, so that they do not come back at the next poll.

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};
use serde_json::json;
use uuid::Uuid;

use super::super::callback::forget_callbacks;
use super::super::entity::{
    address_proof, attachment, autoreply, contact, delivery, draft, event, idempotency, identity,
    journal, link_code, mention, message, participant, seal, suppression, survey, ticket,
    ticket_seen, visitor,
};
use super::super::idempotency::By;
use super::super::ingest::ADVISED;
use super::super::outbox::ERASED;
use super::super::{Store, StoreError, blob, customer, millis, notify, original, proof, search};
use super::{contact_view, record, tags, take};
use crate::model::{Actor, ContactId, Timestamp};

/// Ids in one question.
const IDS_MAX: usize = 500;

impl Store {
    /// Erases everything that a contact wrote and was written to, and who they are.
    pub async fn erase_contact(
        &self,
        id: ContactId,
        by: By,
    ) -> Result<super::ContactView, StoreError> {
        self.write_without_trace(move |tx| {
            let By { actor, version, now, .. } = by.clone();
            Box::pin(async move {
                let row = take(tx, id.uuid(), version).await?;
                erase(tx, row, actor, now).await?;
                search::scrub(tx).await?;
                contact_view(tx, id.uuid()).await
            })
        })
        .await
    }
}

/// Erases everything of a contact. What is left of it in the files of SQLite goes with [`search::scrub`] and the log.
pub(in crate::store) async fn erase(
    tx: &DatabaseTransaction,
    row: contact::Model,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let id = row.id;
    let tickets: Vec<Uuid> = ticket::Entity::find()
        .select_only()
        .column(ticket::Column::Id)
        .filter(ticket::Column::Contact.eq(id))
        // Of those that were deleted nothing is left but who did it, and why.
        .filter(ticket::Column::DeletedAt.is_null())
        .into_tuple()
        .all(tx)
        .await?;
    for ticket in tickets {
        let theirs = message::Column::Ticket.eq(ticket);
        let messages = message::Entity::find().filter(theirs).all(tx).await?;
        forget_messages(tx, messages, now).await?;
        forget_ticket(tx, ticket).await?;
    }
    // What they wrote into tickets of others.
    let elsewhere = message::Column::Contact.eq(id);
    let messages = message::Entity::find().filter(elsewhere).all(tx).await?;
    forget_messages(tx, messages, now).await?;
    link_code::Entity::delete_many().filter(link_code::Column::Contact.eq(id)).exec(tx).await?;
    proof::forget(tx, address_proof::Column::Contact.eq(id)).await?;
    customer::forget_whose(tx, id).await?;
    forget_identities(tx, id).await?;
    forget_joined(tx, id, now).await?;
    forget_person(tx, row, now).await?;
    record(tx, "contact.erased", json!({ "id": id }), (actor, now)).await
}

async fn forget_person(
    tx: &DatabaseTransaction,
    row: contact::Model,
    now: Timestamp,
) -> Result<(), StoreError> {
    tags::forget(tx, row.id).await?;
    let version = row.version + 1;
    let mut row = row.into_active_model();
    row.name = Set("erased".to_owned());
    row.language = Set(None);
    row.note = Set(None);
    row.version = Set(version);
    row.updated_at = Set(millis(now));
    row.erased_at = Set(Some(millis(now)));
    contact::Entity::update(row).exec(tx).await?;
    Ok(())
}

/// Contacts that were joined with this one bear the names that it had before.
async fn forget_joined(
    tx: &DatabaseTransaction,
    id: Uuid,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut survivors = vec![id];
    while let Some(survivor) = survivors.pop() {
        let joined = contact::Entity::find()
            .filter(contact::Column::MergedInto.eq(survivor))
            .filter(contact::Column::ErasedAt.is_null())
            .all(tx)
            .await?;
        for row in joined {
            survivors.push(row.id);
            forget_person(tx, row, now).await?;
        }
    }
    Ok(())
}

async fn forget_identities(tx: &DatabaseTransaction, contact: Uuid) -> Result<(), StoreError> {
    let known = identity::Entity::find().filter(identity::Column::Contact.eq(contact));
    for row in known.all(tx).await? {
        forget_address(tx, &row.scheme, &row.value).await?;
        participant::Entity::delete_many()
            .filter(participant::Column::Scheme.eq(&row.scheme))
            .filter(participant::Column::Value.eq(&row.value))
            .exec(tx)
            .await?;
        visitor::Entity::delete_by_id((row.scope.clone(), row.value.clone())).exec(tx).await?;
        identity::Entity::delete_by_id(row.id).exec(tx).await?;
    }
    Ok(())
}

/// What was noted about an address by itself.
async fn forget_address(
    tx: &DatabaseTransaction,
    scheme: &str,
    value: &str,
) -> Result<(), StoreError> {
    autoreply::Entity::delete_many()
        .filter(autoreply::Column::Scheme.is_in([scheme, ADVISED]))
        .filter(autoreply::Column::Value.eq(value))
        .exec(tx)
        .await?;
    suppression::Entity::delete_by_id((scheme.to_owned(), value.to_owned())).exec(tx).await?;
    let sent = address_proof::Column::Scheme.eq(scheme).and(address_proof::Column::Value.eq(value));
    proof::forget(tx, sent).await?;
    Ok(())
}

/// Removes what a ticket itself says about people: its subject, who took part, what its trail quotes.
pub(in crate::store) async fn forget_ticket(
    tx: &DatabaseTransaction,
    id: Uuid,
) -> Result<(), StoreError> {
    let change = ticket::ActiveModel {
        id: Set(id),
        subject: Set("erased".to_owned()),
        ..Default::default()
    };
    ticket::Entity::update(change).exec(tx).await?;
    participant::Entity::delete_many().filter(participant::Column::Ticket.eq(id)).exec(tx).await?;
    ticket_seen::Entity::delete_many().filter(ticket_seen::Column::Ticket.eq(id)).exec(tx).await?;
    draft::Entity::delete_many().filter(draft::Column::Ticket.eq(id)).exec(tx).await?;
    mention::Entity::delete_many().filter(mention::Column::Ticket.eq(id)).exec(tx).await?;
    forget_callbacks(tx, id).await?;
    proof::forget(tx, address_proof::Column::Ticket.eq(id)).await?;
    customer::forget(tx, id).await?;
    notify::forget(tx, id).await?;
    survey::Entity::update_many()
        .col_expr(survey::Column::Comment, Expr::value(Option::<String>::None))
        .col_expr(survey::Column::Topics, Expr::value(Option::<String>::None))
        .filter(survey::Column::Ticket.eq(id))
        .exec(tx)
        .await?;
    // The order of events stays; the words in them go.
    event::Entity::update_many()
        .col_expr(event::Column::Data, Expr::value("{\"erased\":true}"))
        .filter(event::Column::Ticket.eq(id))
        .exec(tx)
        .await?;
    event::Entity::update_many()
        .col_expr(event::Column::ActorName, Expr::value("erased"))
        .filter(event::Column::Ticket.eq(id))
        .filter(event::Column::ActorKind.eq("contact"))
        .exec(tx)
        .await?;
    // Answers kept for repetitions quote the ticket and its messages.
    let quoted = idempotency::Column::Answer.contains(id.to_string());
    idempotency::Entity::delete_many().filter(quoted).exec(tx).await?;
    Ok(())
}

/// Removes what messages said: words, search terms, raws, attachments and what was to be sent.
pub(in crate::store) async fn forget_messages(
    tx: &DatabaseTransaction,
    messages: Vec<message::Model>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = messages.iter().map(|row| row.id).collect();
    let mut raws: Vec<Uuid> = messages.iter().filter_map(|row| row.raw).collect();
    for ids in ids.chunks(IDS_MAX) {
        forget_deliveries(tx, ids, now).await?;
        forget_attachments(tx, ids).await?;
        original::forget_of_messages(tx, ids).await?;
        customer::forget_of(tx, ids).await?;
        // Copies that came by other ways, and changes.
        let others: Vec<Uuid> = journal::Entity::find()
            .select_only()
            .column(journal::Column::Id)
            .filter(journal::Column::Message.is_in(ids.iter().copied()))
            .into_tuple()
            .all(tx)
            .await?;
        raws.extend(others);
    }
    for raws in raws.chunks(IDS_MAX) {
        forget_raws(tx, raws).await?;
    }
    for row in &messages {
        search::remove(tx, row.seq).await?;
    }
    for ids in ids.chunks(IDS_MAX) {
        message::Entity::update_many()
            .set(without_words(now))
            .filter(message::Column::Id.is_in(ids.iter().copied()))
            .exec(tx)
            .await?;
    }
    Ok(())
}

fn without_words(now: Timestamp) -> message::ActiveModel {
    message::ActiveModel {
        author_scheme: Set(None),
        author_scope: Set(None),
        author_value: Set(None),
        author_name: Set("erased".to_owned()),
        subject: Set(None),
        text: Set(String::new()),
        text_full: Set(None),
        html: Set(None),
        auth: Set(None),
        routing: Set("{}".to_owned()),
        why: Set("[]".to_owned()),
        deleted_at: Set(Some(millis(now))),
        ..Default::default()
    }
}

async fn forget_deliveries(
    tx: &DatabaseTransaction,
    messages: &[Uuid],
    now: Timestamp,
) -> Result<(), StoreError> {
    let theirs = || delivery::Column::Message.is_in(messages.iter().copied());
    let under_way = delivery::Entity::find()
        .filter(theirs())
        .filter(delivery::Column::State.eq("sending"))
        .lock_exclusive()
        .one(tx)
        .await?;
    if under_way.is_some() {
        let text = "a reply is being sent at this moment: try again in a minute".to_owned();
        return Err(StoreError::Refused(text));
    }
    proof::forget_words_of(tx, messages).await?;
    // Addresses that were written to without being anybody's identity: an answer wanted elsewhere.
    let addressed: Vec<(String, String)> = delivery::Entity::find()
        .select_only()
        .columns([delivery::Column::ToScheme, delivery::Column::ToValue])
        .filter(theirs())
        .distinct()
        .into_tuple()
        .all(tx)
        .await?;
    for (scheme, value) in addressed {
        forget_address(tx, &scheme, &value).await?;
    }
    delivery::Entity::update_many()
        .set(delivery::ActiveModel {
            state: Set("cancelled".to_owned()),
            error: Set(Some("erased".to_owned())),
            updated_at: Set(millis(now)),
            ..Default::default()
        })
        .filter(theirs())
        .filter(delivery::Column::State.is_in(["queued", "held"]))
        .exec(tx)
        .await?;
    delivery::Entity::update_many()
        .set(delivery::ActiveModel {
            outbound: Set(ERASED.to_owned()),
            to_value: Set(String::new()),
            // Servers quote the address in what they say.
            error: Set(Some("erased".to_owned())),
            ..Default::default()
        })
        .filter(theirs())
        .exec(tx)
        .await?;
    Ok(())
}

async fn forget_attachments(tx: &DatabaseTransaction, messages: &[Uuid]) -> Result<(), StoreError> {
    let rows: Vec<(Uuid, Uuid)> = attachment::Entity::find()
        .select_only()
        .columns([attachment::Column::Id, attachment::Column::Seal])
        .filter(attachment::Column::Message.is_in(messages.iter().copied()))
        .into_tuple()
        .all(tx)
        .await?;
    for (id, seal) in rows {
        seal::Entity::delete_by_id(seal).exec(tx).await?;
        blob::delete(tx, id).await?;
        attachment::Entity::delete_by_id(id).exec(tx).await?;
    }
    Ok(())
}

pub(in crate::store) async fn forget_raws(
    tx: &DatabaseTransaction,
    raws: &[Uuid],
) -> Result<(), StoreError> {
    let rows: Vec<(Uuid, Uuid)> = journal::Entity::find()
        .select_only()
        .columns([journal::Column::Id, journal::Column::Seal])
        .filter(journal::Column::Id.is_in(raws.iter().copied()))
        .into_tuple()
        .all(tx)
        .await?;
    for (id, seal) in rows {
        seal::Entity::delete_by_id(seal).exec(tx).await?;
        blob::delete(tx, id).await?;
    }
    journal::Entity::update_many()
        .set(journal::ActiveModel {
            sealed: Set(None),
            reason: Set(None),
            transport: Set("{}".to_owned()),
            ..Default::default()
        })
        .filter(journal::Column::Id.is_in(raws.iter().copied()))
        .exec(tx)
        .await?;
    Ok(())
}
