//! What a merged ticket lent to the one that it went into, and from there to those that that one went into since:
//! tags, people who may write, and messages that stand on further records.

use std::collections::HashSet;

use sea_orm::{
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use uuid::Uuid;

use super::StoreError;
use super::entity::{participant, ticket, ticket_tag};
use super::parting::{self, MovedTicket};

/// Tags, and the scheme and value of people.
#[derive(Debug, Default)]
struct Lent {
    tags: Vec<String>,
    people: Vec<(String, String)>,
}

/// Takes back what a parted ticket lent. What another ticket that is merged there has as well stays, and is lent by
/// that one from now on.
pub(super) async fn take_back(
    tx: &DatabaseTransaction,
    (mut parted, mut at): (Uuid, Uuid),
    moved: &MovedTicket,
) -> Result<(), StoreError> {
    let mut lent = Lent { tags: moved.tags.clone(), people: moved.participants.clone() };
    loop {
        lent = of_nobody_else(tx, (parted, at), lent).await?;
        ticket_tag::Entity::delete_many()
            .filter(ticket_tag::Column::Ticket.eq(at))
            .filter(ticket_tag::Column::Tag.is_in(lent.tags.iter().cloned()))
            .exec(tx)
            .await?;
        parting::leave(tx, at, lent.people.clone()).await?;
        let row = ticket::Entity::find_by_id(at).one(tx).await?;
        let Some(next) = row.and_then(|row| row.merged_into) else { return Ok(()) };
        lent = passed_on(tx, at, (lent, moved)).await?;
        (parted, at) = (at, next);
    }
}

async fn of_nobody_else(
    tx: &DatabaseTransaction,
    (parted, at): (Uuid, Uuid),
    mut lent: Lent,
) -> Result<Lent, StoreError> {
    if lent.tags.is_empty() && lent.people.is_empty() {
        return Ok(lent);
    }
    let others: Vec<Uuid> = ticket::Entity::find()
        .select_only()
        .column(ticket::Column::Id)
        .filter(ticket::Column::MergedInto.eq(at))
        .filter(ticket::Column::Id.ne(parted))
        .order_by_asc(ticket::Column::Id)
        .into_tuple()
        .all(tx)
        .await?;
    for other in others {
        let theirs = owned(tx, other).await?;
        let (tags, free): (Vec<_>, Vec<_>) =
            lent.tags.into_iter().partition(|tag| theirs.tags.contains(tag));
        lent.tags = free;
        let (people, free): (Vec<_>, Vec<_>) =
            lent.people.into_iter().partition(|one| theirs.people.contains(one));
        lent.people = free;
        if !tags.is_empty() || !people.is_empty() {
            parting::amend_ticket(tx, other, |record| {
                record.tags.extend(tags);
                record.participants.extend(people);
            })
            .await?;
        }
    }
    Ok(lent)
}

async fn owned(tx: &DatabaseTransaction, of: Uuid) -> Result<Lent, StoreError> {
    let tags = ticket_tag::Entity::find()
        .select_only()
        .column(ticket_tag::Column::Tag)
        .filter(ticket_tag::Column::Ticket.eq(of))
        .into_tuple();
    let people = participant::Entity::find()
        .select_only()
        .columns([participant::Column::Scheme, participant::Column::Value])
        .filter(participant::Column::Ticket.eq(of))
        .into_tuple();
    Ok(Lent { tags: tags.all(tx).await?, people: people.all(tx).await? })
}

/// Of these, what a ticket passed on to the one that it was merged into. Its record forgets them, and all that the
/// parted one has back.
async fn passed_on(
    tx: &DatabaseTransaction,
    at: Uuid,
    (lent, moved): (Lent, &MovedTicket),
) -> Result<Lent, StoreError> {
    let back: HashSet<Uuid> =
        [&moved.messages, &moved.callbacks, &moved.proofs].into_iter().flatten().copied().collect();
    let mut passed = Lent::default();
    parting::amend_ticket(tx, at, |record| {
        for ids in [&mut record.messages, &mut record.callbacks, &mut record.proofs] {
            ids.retain(|id| !back.contains(id));
        }
        let tags = std::mem::take(&mut record.tags);
        (passed.tags, record.tags) = tags.into_iter().partition(|tag| lent.tags.contains(tag));
        let people = std::mem::take(&mut record.participants);
        (passed.people, record.participants) =
            people.into_iter().partition(|one| lent.people.contains(one));
    })
    .await?;
    Ok(passed)
}
