//! What a contact is called of whom nothing but an address was known: by whoever it is joined with, until they are
//! parted again.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _,
};
use uuid::Uuid;

use super::super::entity::{contact, identity};
use super::super::{StoreError, parting};
use crate::model::{Address, Scheme};

/// Gives a contact without a name of its own the name of one that is joined with it. Returns what it was called and
/// is called now.
pub(super) async fn lend(
    tx: &DatabaseTransaction,
    from: &contact::Model,
    into: &contact::Model,
) -> Result<Option<(String, String)>, StoreError> {
    if from.name == into.name || !is_nameless(tx, into).await? || is_nameless(tx, from).await? {
        return Ok(None);
    }
    call(tx, into.id, from.name.clone()).await?;
    Ok(Some((into.name.clone(), from.name.clone())))
}

/// Takes back the name that a parted contact lent to another, and from there to those that that one was joined with
/// since. What somebody called them meanwhile stays.
pub(in crate::store) async fn take_back(
    tx: &DatabaseTransaction,
    mut at: Uuid,
    mut lent: Option<(String, String)>,
) -> Result<(), StoreError> {
    while let Some((before, given)) = lent {
        let row = contact::Entity::find_by_id(at).one(tx).await?;
        let Some(row) = row.filter(|row| row.name == given) else { break };
        call(tx, at, before).await?;
        let Some(next) = row.merged_into else { break };
        lent = parting::name_passed_on(tx, at, &given).await?;
        at = next;
    }
    Ok(())
}

async fn call(tx: &DatabaseTransaction, id: Uuid, name: String) -> Result<(), StoreError> {
    let row = contact::ActiveModel { id: Set(id), name: Set(name), ..Default::default() };
    contact::Entity::update(row).exec(tx).await?;
    Ok(())
}

async fn is_nameless(tx: &DatabaseTransaction, of: &contact::Model) -> Result<bool, StoreError> {
    let known =
        identity::Entity::find().filter(identity::Column::Contact.eq(of.id)).all(tx).await?;
    let nameless = known.into_iter().filter_map(|row| {
        let scheme: Scheme = row.scheme.parse().ok()?;
        Some(Address { scheme, scope: None, value: row.value }.nameless())
    });
    Ok(nameless.into_iter().any(|name| name == of.name))
}
