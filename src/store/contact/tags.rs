//! Tags of contacts: what people here know of somebody, for rules and lists.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::OnConflict,
};
use uuid::Uuid;

use super::super::StoreError;
use super::super::entity::{contact, contact_tag};
use super::super::parting;

/// The tags of these contacts, by contact.
pub(in crate::store) async fn tags_of<C: ConnectionTrait>(
    db: &C,
    contacts: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, BTreeSet<String>>, StoreError> {
    let mut found: HashMap<Uuid, BTreeSet<String>> = HashMap::new();
    let rows = contact_tag::Entity::find().filter(contact_tag::Column::Contact.is_in(contacts));
    for row in rows.all(db).await? {
        found.entry(row.contact).or_default().insert(row.tag);
    }
    Ok(found)
}

/// These and no others.
pub(super) async fn set(
    tx: &DatabaseTransaction,
    contact: Uuid,
    tags: &[String],
) -> Result<(), StoreError> {
    forget(tx, contact).await?;
    add(tx, contact, tags).await
}

pub(super) async fn add(
    tx: &DatabaseTransaction,
    contact: Uuid,
    tags: &[String],
) -> Result<(), StoreError> {
    if tags.is_empty() {
        return Ok(());
    }
    let rows = tags.iter().map(|tag| contact_tag::Model { contact, tag: tag.clone() });
    let known = OnConflict::columns([contact_tag::Column::Contact, contact_tag::Column::Tag])
        .do_nothing()
        .to_owned();
    contact_tag::Entity::insert_many(rows.map(contact_tag::Model::into_active_model))
        .on_conflict(known)
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

pub(super) async fn forget(tx: &DatabaseTransaction, contact: Uuid) -> Result<(), StoreError> {
    let theirs = contact_tag::Column::Contact.eq(contact);
    contact_tag::Entity::delete_many().filter(theirs).exec(tx).await?;
    Ok(())
}

/// Gives one contact the tags of another too. Returns those that it did not have. The other one keeps its own, for
/// the day when they are parted.
pub(super) async fn lend(
    tx: &DatabaseTransaction,
    from: Uuid,
    into: Uuid,
) -> Result<Vec<String>, StoreError> {
    let mut known = tags_of(tx, [from, into]).await?;
    let own = known.remove(&into).unwrap_or_default();
    let lent: Vec<String> =
        known.remove(&from).unwrap_or_default().difference(&own).cloned().collect();
    add(tx, into, &lent).await?;
    Ok(lent)
}

/// Takes back what a contact that is parted lent to another, and from there to those that that one was joined with
/// since.
pub(in crate::store) async fn take_back(
    tx: &DatabaseTransaction,
    (mut parted, mut at): (Uuid, Uuid),
    mut lent: Vec<String>,
) -> Result<(), StoreError> {
    loop {
        lent = of_nobody_else(tx, (parted, at), lent).await?;
        if lent.is_empty() {
            break;
        }
        contact_tag::Entity::delete_many()
            .filter(contact_tag::Column::Contact.eq(at))
            .filter(contact_tag::Column::Tag.is_in(lent.iter().cloned()))
            .exec(tx)
            .await?;
        let row = contact::Entity::find_by_id(at).one(tx).await?;
        let Some(next) = row.and_then(|row| row.merged_into) else { break };
        lent = parting::passed_on(tx, at, &lent).await?;
        (parted, at) = (at, next);
    }
    Ok(())
}

/// Of these tags, those that nobody else has who is joined with the contact. The others stay: they are lent by
/// whoever else has them, from now on.
async fn of_nobody_else(
    tx: &DatabaseTransaction,
    (parted, at): (Uuid, Uuid),
    mut lent: Vec<String>,
) -> Result<Vec<String>, StoreError> {
    if lent.is_empty() {
        return Ok(lent);
    }
    let others: Vec<Uuid> = contact::Entity::find()
        .select_only()
        .column(contact::Column::Id)
        .filter(contact::Column::MergedInto.eq(at))
        .filter(contact::Column::Id.ne(parted))
        .order_by_asc(contact::Column::Id)
        .into_tuple()
        .all(tx)
        .await?;
    let mut known = tags_of(tx, others.iter().copied()).await?;
    for other in others {
        let theirs = known.remove(&other).unwrap_or_default();
        let (stay, rest): (Vec<String>, Vec<String>) =
            lent.into_iter().partition(|tag| theirs.contains(tag));
        if !stay.is_empty() {
            parting::lends_too(tx, other, stay).await?;
        }
        lent = rest;
    }
    Ok(lent)
}
