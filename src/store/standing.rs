//! Who may (not) be written to any more: kept, and told to whoever looks at their newest ticket.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _, Iterable as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;

use super::StoreError;
use super::entity::{suppression, ticket};
use super::event::NewEvent;
use crate::model::{Actor, Reach, Standing};

/// An address to which nothing is sent unasked any more.
pub(super) struct Suppressed {
    pub(super) scheme: String,
    pub(super) value: String,
    pub(super) reason: String,
}

/// Keeps it; the event that tells of it, said by `actor`, about the contact if there is one.
pub(super) async fn keep(
    tx: &DatabaseTransaction,
    standing: &Standing,
    (channel, contact, actor): (&str, Option<Uuid>, Actor),
    now: i64,
) -> Result<NewEvent, StoreError> {
    let scheme = standing.address.scheme.as_str().to_owned();
    let value = standing.address.value.clone();
    match standing.reach {
        Reach::Reachable | Reach::OptedIn => {
            suppression::Entity::delete_by_id((scheme, value)).exec(tx).await?;
        }
        Reach::Unreachable | Reach::OptedOut => {
            let reason = standing.said.clone();
            suppress(tx, Suppressed { scheme, value, reason }, now).await?;
        }
    }
    let ticket = match contact {
        Some(contact) => newest_ticket(tx, contact).await?,
        None => None,
    };
    Ok(NewEvent {
        kind: "contact.standing",
        ticket,
        ticket_seq: None,
        message: None,
        channel: Some(channel.to_owned()),
        actor,
        data: json!({
            "contact": contact,
            "address": standing.address.value,
            "reach": standing.reach,
            "said": standing.said,
        }),
    })
}

async fn newest_ticket(
    tx: &DatabaseTransaction,
    contact: Uuid,
) -> Result<Option<Uuid>, StoreError> {
    let newest = ticket::Entity::find()
        .select_only()
        .column(ticket::Column::Id)
        .filter(ticket::Column::Contact.eq(contact))
        .filter(ticket::Column::DeletedAt.is_null())
        .filter(ticket::Column::MergedInto.is_null())
        .order_by_desc(ticket::Column::Number)
        .into_tuple()
        .one(tx)
        .await?;
    Ok(newest)
}

/// Nothing is sent unasked to this address any more. The first reason stays.
pub(super) async fn suppress(
    tx: &DatabaseTransaction,
    suppressed: Suppressed,
    added_at: i64,
) -> Result<(), StoreError> {
    let row = suppression::ActiveModel {
        scheme: Set(suppressed.scheme),
        value: Set(suppressed.value),
        reason: Set(suppressed.reason),
        added_at: Set(added_at),
    };
    let known = OnConflict::columns(suppression::PrimaryKey::iter()).do_nothing().to_owned();
    suppression::Entity::insert(row).on_conflict(known).exec_without_returning(tx).await?;
    Ok(())
}
