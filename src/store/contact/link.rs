//! Codes that join an address with a contact: somebody who is known on one channel brings one along on another.

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::entity::{contact, identity, link_code};
use super::super::outbox;
use super::super::people::{hash, random_secret};
use super::super::{By, Store, StoreError, millis};
use super::{join, record, take};
use crate::model::{Actor, Address, ChannelName, ContactId, Party, Secret, Timestamp};

/// A code, told once.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LinkCode {
    /// 43 letters and digits. Whoever brings it is the contact.
    pub code: String,
    /// Until when, and once.
    pub expires_at: DateTime<Utc>,
}

impl Store {
    /// Makes a code by which somebody proves on another channel that they are this contact.
    pub async fn make_link_code(
        &self,
        id: ContactId,
        expires_at: Timestamp,
        by: By,
    ) -> Result<LinkCode, StoreError> {
        let code = random_secret();
        let (id, hash) = (id.uuid(), hash(code.reveal()));
        self.write(move |tx| {
            let (hash, By { actor, now, .. }) = (hash.clone(), by.clone());
            Box::pin(async move {
                take(tx, id, None).await?;
                link_code::Entity::delete_many()
                    .filter(link_code::Column::ExpiresAt.lt(millis(now)))
                    .exec(tx)
                    .await?;
                let row = link_code::ActiveModel {
                    hash: Set(hash),
                    contact: Set(id),
                    made_at: Set(millis(now)),
                    expires_at: Set(millis(expires_at)),
                    used_at: Set(None),
                };
                link_code::Entity::insert(row).exec_without_returning(tx).await?;
                record(tx, "contact.link_made", json!({ "id": id }), (actor, now)).await
            })
        })
        .await?;
        Ok(LinkCode { code: code.reveal().to_owned(), expires_at })
    }
}

/// Whoever wrote from this address brought a code: the address becomes the contact's whose code it is, with all
/// that was the address's until now. A code that is wrong, used or too old proves nothing, and stops nothing.
pub(in crate::store) async fn redeem(
    tx: &DatabaseTransaction,
    code: &Secret,
    address: &Address,
    now: Timestamp,
) -> Result<(), StoreError> {
    let hash = hash(code.reveal());
    let used = link_code::Entity::update_many()
        .set(link_code::ActiveModel { used_at: Set(Some(millis(now))), ..Default::default() })
        .filter(link_code::Column::Hash.eq(&hash))
        .filter(link_code::Column::UsedAt.is_null())
        .filter(link_code::Column::ExpiresAt.gt(millis(now)))
        .exec(tx)
        .await?;
    if used.rows_affected == 0 {
        return Ok(());
    }
    let row = link_code::Entity::find_by_id(hash).one(tx).await?;
    let Some(into) = survivor(tx, row.map(|row| row.contact)).await? else { return Ok(()) };
    let scope = address.scope.as_ref().map_or("", ChannelName::as_str);
    let from: Option<Uuid> = identity::Entity::find()
        .select_only()
        .column(identity::Column::Contact)
        .filter(identity::Column::Scheme.eq(address.scheme.as_str()))
        .filter(identity::Column::Scope.eq(scope))
        .filter(identity::Column::Value.eq(&address.value))
        .into_tuple()
        .one(tx)
        .await?;
    let from = match from {
        Some(from) => from,
        None => bringer(tx, address, now).await?,
    };
    join_whole(tx, from, into, (Actor::system(), now)).await
}

/// Somebody who has said nothing yet: a contact of their own first, which can be parted again like every other.
async fn bringer(
    tx: &DatabaseTransaction,
    address: &Address,
    now: Timestamp,
) -> Result<Uuid, StoreError> {
    let party = Party { address: address.clone(), name: None };
    let contact = outbox::contact_of(tx, &party, now).await?;
    // The service vouches for them.
    identity::Entity::update_many()
        .set(identity::ActiveModel { trust: Set("proven".to_owned()), ..Default::default() })
        .filter(identity::Column::Contact.eq(contact))
        .exec(tx)
        .await?;
    Ok(contact)
}

/// All that was one contact's, or of whoever it was joined with by now, becomes another's, unless they are one already.
pub(in crate::store) async fn join_whole(
    tx: &DatabaseTransaction,
    from: Uuid,
    into: Uuid,
    by: (Actor, Timestamp),
) -> Result<(), StoreError> {
    let from = survivor(tx, Some(from)).await?.filter(|from| *from != into);
    let Some(from) = from else { return Ok(()) };
    let gone = take(tx, from, None).await?;
    join(tx, gone, into, by).await
}

/// The contact that it is now, unless it was erased.
pub(in crate::store) async fn survivor(
    tx: &DatabaseTransaction,
    mut id: Option<Uuid>,
) -> Result<Option<Uuid>, StoreError> {
    const STEPS_MAX: usize = 100;
    for _ in 0..STEPS_MAX {
        let Some(at) = id else { return Ok(None) };
        let row = contact::Entity::find_by_id(at).one(tx).await?;
        let Some(row) = row.filter(|row| row.erased_at.is_none()) else { return Ok(None) };
        if row.merged_into.is_none() {
            return Ok(Some(at));
        }
        id = row.merged_into;
    }
    Ok(None)
}
