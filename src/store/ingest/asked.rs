//! What only some rules ask for, read where one does.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, QuerySelect as _,
};
use uuid::Uuid;

use super::super::entity::{message, person, ticket, ticket_tag};
use super::super::{StoreError, contact, millis};
use super::Prepared;
use super::facts::Facts;
use crate::desk::{Colleague, Triage};
use crate::model::Timestamp;

pub(super) async fn load(
    tx: &DatabaseTransaction,
    batch: &[Prepared],
    facts: &mut Facts,
    now: Timestamp,
) -> Result<(), StoreError> {
    let asks = |what: fn(&Triage) -> bool| batch.iter().any(|one| what(&one.channel.triage));
    if asks(Triage::asks_for_tags) {
        load_tags(tx, facts).await?;
    }
    if asks(Triage::asks_for_contact_tags) {
        let contacts: Vec<Uuid> = facts.contacts.keys().copied().collect();
        facts.contact_tags = contact::tags_of(tx, contacts).await?;
    }
    if asks(Triage::counts_messages) {
        load_recent(tx, facts, now).await?;
    }
    if batch.iter().any(Prepared::alarms) {
        load_lifted(tx, facts, now).await?;
    }
    if asks(Triage::assigns) {
        load_colleagues(tx, facts).await?;
    }
    Ok(())
}

async fn load_tags(tx: &DatabaseTransaction, facts: &mut Facts) -> Result<(), StoreError> {
    let tickets: Vec<Uuid> = facts.tickets.keys().copied().collect();
    if tickets.is_empty() {
        return Ok(());
    }
    let rows = ticket_tag::Entity::find().filter(ticket_tag::Column::Ticket.is_in(tickets));
    for row in rows.all(tx).await? {
        facts.tags.entry(row.ticket).or_default().insert(row.tag);
    }
    Ok(())
}

async fn load_recent(
    tx: &DatabaseTransaction,
    facts: &mut Facts,
    now: Timestamp,
) -> Result<(), StoreError> {
    let contacts: Vec<Uuid> = facts.contacts.keys().copied().collect();
    if contacts.is_empty() {
        return Ok(());
    }
    let rows: Vec<(Option<Uuid>, i64)> = message::Entity::find()
        .select_only()
        .column(message::Column::Contact)
        .column_as(message::Column::Id.count(), "written")
        .filter(message::Column::Contact.is_in(contacts))
        .filter(message::Column::ReceivedAt.gt(millis(now - chrono::Duration::hours(1))))
        .filter(message::Column::Direction.eq("in"))
        .group_by(message::Column::Contact)
        .into_tuple()
        .all(tx)
        .await?;
    let counts = rows.into_iter().filter_map(|(contact, written)| {
        Some((contact?, u64::try_from(written).unwrap_or_default()))
    });
    facts.recent.extend(counts);
    Ok(())
}

async fn load_lifted(
    tx: &DatabaseTransaction,
    facts: &mut Facts,
    now: Timestamp,
) -> Result<(), StoreError> {
    let contacts: Vec<Uuid> = facts.contacts.keys().copied().collect();
    if contacts.is_empty() {
        return Ok(());
    }
    let rows: Vec<(Uuid, i64)> = ticket::Entity::find()
        .select_only()
        .column(ticket::Column::Contact)
        .column_as(ticket::Column::Id.count(), "lifted")
        .filter(ticket::Column::Contact.is_in(contacts))
        .filter(ticket::Column::Priority.is_in(["high", "urgent"]))
        .filter(ticket::Column::CreatedAt.gt(millis(now - chrono::Duration::days(1))))
        .group_by(ticket::Column::Contact)
        .into_tuple()
        .all(tx)
        .await?;
    let counts = rows.into_iter();
    let counts =
        counts.map(|(contact, lifted)| (contact, u64::try_from(lifted).unwrap_or_default()));
    facts.lifted.extend(counts);
    Ok(())
}

async fn load_colleagues(tx: &DatabaseTransaction, facts: &mut Facts) -> Result<(), StoreError> {
    let open: Vec<(Option<Uuid>, i64)> = ticket::Entity::find()
        .select_only()
        .column(ticket::Column::Assignee)
        .column_as(ticket::Column::Id.count(), "open")
        .filter(ticket::Column::Assignee.is_not_null())
        .filter(ticket::Column::Status.is_in(["open", "pending"]))
        .filter(ticket::Column::MergedInto.is_null())
        .filter(ticket::Column::DeletedAt.is_null())
        .group_by(ticket::Column::Assignee)
        .into_tuple()
        .all(tx)
        .await?;
    let open: HashMap<Option<Uuid>, i64> = open.into_iter().collect();
    let people =
        person::Entity::find().filter(person::Column::DisabledAt.is_null()).all(tx).await?;
    facts.colleagues = people
        .into_iter()
        .map(|row| Colleague {
            open: open.get(&Some(row.id)).and_then(|open| u64::try_from(*open).ok()).unwrap_or(0),
            id: row.id,
            email: row.email,
            given_at: row.given_at.unwrap_or(0),
        })
        .collect();
    Ok(())
}
