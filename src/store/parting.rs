//! Undoing merges of tickets and of contacts: what was moved goes back, what came since stays where it belongs.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, IntoCondition};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::contact::{self, ContactView};
use super::entity::{
    address_proof, callback, contact as contacts, delivery, identity, mention, merge_record,
    message, participant, seen, ticket,
};
use super::event::{self, NewEvent};
use super::idempotency::{Answer, By};
use super::ticket::{Combined, TicketPatch, apply, has_another, recount, reload, view};
use super::{Store, StoreError, lent, millis, moment};
use crate::model::{Actor, ContactId, TicketId, Timestamp};

/// Ids in one statement.
const IDS_MAX: usize = 500;
/// Merges of merges.
const STEPS_MAX: usize = 100;

/// What the merge of a ticket moved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MovedTicket {
    pub(super) messages: Vec<Uuid>,
    pub(super) callbacks: Vec<Uuid>,
    /// Codes that wait for a customer, or waited.
    #[serde(default)]
    pub(super) proofs: Vec<Uuid>,
    /// Scheme and value of those who had no part in the other one before.
    pub(super) participants: Vec<(String, String)>,
    /// Tags that the other one did not have.
    pub(super) tags: Vec<String>,
    pub(super) status: String,
    pub(super) solved_at: Option<i64>,
    pub(super) snoozed_until: Option<i64>,
    /// How the other one stood, where it woke or became more urgent by it.
    #[serde(default)]
    pub(super) woke: Option<Woke>,
}

/// How a ticket stood that another one was merged into.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Woke {
    pub(super) status: String,
    pub(super) snoozed_until: Option<i64>,
    pub(super) priority: String,
    /// The priority that it has since.
    pub(super) raised_to: String,
}

/// What the merge of a contact moved.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct MovedContact {
    pub(super) identities: Vec<Uuid>,
    pub(super) tickets: Vec<Uuid>,
    /// `None`: an earlier version kept no list.
    #[serde(default)]
    pub(super) messages: Option<Vec<Uuid>>,
    /// Tags that the other one did not have.
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// How identities of it were trusted before the other one proved that they are theirs, too.
    #[serde(default)]
    pub(super) trust: Vec<(Uuid, String)>,
    /// What the other one was called until it took this one's name, and that name.
    #[serde(default)]
    pub(super) name: Option<(String, String)>,
}

/// Notes what was moved.
pub(super) async fn remember<T: Serialize + Sync>(
    tx: &DatabaseTransaction,
    gone: Uuid,
    moved: &T,
    now: Timestamp,
) -> Result<(), StoreError> {
    let moved = serde_json::to_string(moved).map_err(|error| StoreError::Database(error.into()))?;
    let row = merge_record::ActiveModel {
        gone: Set(gone),
        merged_at: Set(millis(now)),
        moved: Set(moved),
    };
    merge_record::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Takes the note back.
async fn recall<T: DeserializeOwned>(
    tx: &DatabaseTransaction,
    gone: Uuid,
) -> Result<(i64, T), StoreError> {
    let row = merge_record::Entity::find_by_id(gone).one(tx).await?;
    let Some(row) = row else {
        let text = "it was merged by an earlier version, which kept no record of what it moved";
        return Err(StoreError::Refused(text.to_owned()));
    };
    merge_record::Entity::delete_by_id(gone).exec(tx).await?;
    let moved =
        serde_json::from_str(&row.moved).map_err(|error| StoreError::Database(error.into()));
    Ok((row.merged_at, moved?))
}

/// Of these tags of a contact, those that it passed on to the one that it was joined with. The record forgets them.
pub(super) async fn passed_on(
    tx: &DatabaseTransaction,
    gone: Uuid,
    tags: &[String],
) -> Result<Vec<String>, StoreError> {
    let mut back = Vec::new();
    change_lent(tx, gone, |lent| {
        let all = std::mem::take(lent);
        let (taken, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|tag| tags.contains(tag));
        (back, *lent) = (taken, kept);
    })
    .await?;
    Ok(back)
}

/// The name that this contact took from another and passed on to the one that it was joined with: what that one was
/// called before, and the name. The record forgets it.
pub(super) async fn name_passed_on(
    tx: &DatabaseTransaction,
    gone: Uuid,
    name: &str,
) -> Result<Option<(String, String)>, StoreError> {
    let row = merge_record::Entity::find_by_id(gone).one(tx).await?;
    let Some(row) = row else { return Ok(None) };
    let mut back = None;
    amend(tx, row, |moved: &mut MovedContact| {
        back = moved.name.take_if(|(_, given)| given == name);
    })
    .await?;
    Ok(back)
}

/// These tags are lent by this contact, too: whoever lent them first is parted.
pub(super) async fn lends_too(
    tx: &DatabaseTransaction,
    gone: Uuid,
    tags: Vec<String>,
) -> Result<(), StoreError> {
    change_lent(tx, gone, |lent| lent.extend(tags)).await
}

/// Changes what the record of a joined contact says of its tags. Nothing where there is none.
async fn change_lent(
    tx: &DatabaseTransaction,
    gone: Uuid,
    change: impl FnOnce(&mut Vec<String>) + Send,
) -> Result<(), StoreError> {
    let row = merge_record::Entity::find_by_id(gone).one(tx).await?;
    let Some(row) = row else { return Ok(()) };
    amend(tx, row, |moved: &mut MovedContact| change(&mut moved.tags)).await
}

/// Changes the record of a merged ticket. Nothing where there is none.
pub(super) async fn amend_ticket(
    tx: &DatabaseTransaction,
    gone: Uuid,
    change: impl FnOnce(&mut MovedTicket) + Send,
) -> Result<(), StoreError> {
    let row = merge_record::Entity::find_by_id(gone).one(tx).await?;
    let Some(row) = row else { return Ok(()) };
    amend(tx, row, change).await
}

/// Changes a record.
async fn amend<T: Serialize + DeserializeOwned + Send>(
    tx: &DatabaseTransaction,
    row: merge_record::Model,
    change: impl FnOnce(&mut T) + Send,
) -> Result<(), StoreError> {
    let broken = |error: serde_json::Error| StoreError::Database(error.into());
    let mut moved: T = serde_json::from_str(&row.moved).map_err(broken)?;
    change(&mut moved);
    let mut row = row.into_active_model();
    row.moved = Set(serde_json::to_string(&moved).map_err(broken)?);
    merge_record::Entity::update(row).exec(tx).await?;
    Ok(())
}

/// How this identity was trusted until the contact that it was joined with proved it: parting it from them takes
/// that back. `None`: it is parted, and no other record says so any more.
pub(super) async fn trusted_before(
    tx: &DatabaseTransaction,
    identity: Uuid,
    trust: Option<&str>,
) -> Result<(), StoreError> {
    // Every parting takes it away from where it was proven: it may have come by way of several.
    let records = merge_record::Entity::find()
        .filter(merge_record::Column::Moved.contains(identity.to_string()))
        .all(tx)
        .await?;
    for row in records {
        amend(tx, row, |moved: &mut MovedContact| {
            moved.trust.retain(|(id, _)| *id != identity);
            let theirs = trust.filter(|_| moved.identities.contains(&identity));
            moved.trust.extend(theirs.map(|trust| (identity, trust.to_owned())));
        })
        .await?;
    }
    Ok(())
}

impl Store {
    /// Undoes the merge of a ticket: its messages go back to it, wherever they are by now, and so does what else
    /// came along. What came since stays in the other one.
    pub async fn unmerge_ticket(
        &self,
        id: TicketId,
        by: By,
    ) -> Result<Answer<Combined>, StoreError> {
        self.write_once(by.once.clone(), by.now, move |tx| {
            let By { actor, version, now, .. } = by.clone();
            Box::pin(async move {
                let gone = ticket::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
                let gone = gone.filter(|row| row.deleted_at.is_none());
                let gone = gone.ok_or(StoreError::NotFound("ticket"))?;
                if let Some(given) = version.filter(|given| *given != gone.version) {
                    return Err(StoreError::Stale { given, current: gone.version });
                }
                let Some(into) = gone.merged_into else {
                    let text = format!("ticket {} is not merged into another one", gone.number);
                    return Err(StoreError::Refused(text));
                };
                let joined = into;
                let into = surviving_ticket(tx, joined).await?;
                let (merged_at, moved) = recall::<MovedTicket>(tx, gone.id).await?;
                let woke = moved.woke.as_ref().filter(|_| into.id == joined);
                if let Some(before) = woke {
                    sleep_again(tx, (&into, before), (&moved, merged_at), (&actor, now)).await?;
                }
                let into = reload(tx, into.id).await?;
                part_tickets(tx, &gone, (joined, &into), moved, now).await?;
                tell(tx, (&gone, &into), actor, now).await?;
                let (gone, into) = (reload(tx, gone.id).await?, reload(tx, into.id).await?);
                Ok(Combined { ticket: view(tx, gone).await?, into: view(tx, into).await? })
            })
        })
        .await
    }

    /// Undoes the merge of a contact: its addresses and tickets become its own again, also the tickets that these
    /// addresses opened since.
    pub async fn unmerge_contact(
        &self,
        id: ContactId,
        by: By,
    ) -> Result<Answer<ContactView>, StoreError> {
        self.write_once(by.once.clone(), by.now, move |tx| {
            let By { actor, version, now, .. } = by.clone();
            Box::pin(async move {
                let gone = contacts::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
                let gone = gone.ok_or(StoreError::NotFound("contact"))?;
                if let Some(given) = version.filter(|given| *given != gone.version) {
                    return Err(StoreError::Stale { given, current: gone.version });
                }
                if gone.erased_at.is_some() {
                    return Err(StoreError::Refused("the contact was erased".to_owned()));
                }
                let Some(joined) = gone.merged_into else {
                    let text = "the contact is not joined with another one".to_owned();
                    return Err(StoreError::Refused(text));
                };
                let into = surviving_contact(tx, joined).await?;
                let (merged_at, moved) = recall::<MovedContact>(tx, gone.id).await?;
                part_contacts(tx, (gone.id, into.id), &moved, merged_at).await?;
                contact::take_tags_back(tx, (gone.id, joined), moved.tags).await?;
                contact::take_name_back(tx, joined, moved.name).await?;
                for (row, merged_into) in [(gone, None), (into.clone(), into.merged_into)] {
                    let version = row.version + 1;
                    let mut row = row.into_active_model();
                    row.merged_into = Set(merged_into);
                    row.version = Set(version);
                    row.updated_at = Set(millis(now));
                    contacts::Entity::update(row).exec(tx).await?;
                }
                let data = json!({ "id": id, "from": into.id });
                contact::record(tx, "contact.unmerged", data, (actor, now)).await?;
                contact::contact_view(tx, id.uuid()).await
            })
        })
        .await
    }
}

async fn surviving_ticket(
    tx: &DatabaseTransaction,
    mut id: Uuid,
) -> Result<ticket::Model, StoreError> {
    for _ in 0..STEPS_MAX {
        let row = ticket::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
        let row = row.filter(|row| row.deleted_at.is_none());
        let row = row.ok_or(StoreError::NotFound("ticket that it was merged into"))?;
        match row.merged_into {
            Some(next) => id = next,
            None => return Ok(row),
        }
    }
    Err(StoreError::NotFound("ticket that it was merged into"))
}

async fn surviving_contact(
    tx: &DatabaseTransaction,
    mut id: Uuid,
) -> Result<contacts::Model, StoreError> {
    for _ in 0..STEPS_MAX {
        let row = contacts::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
        let row = row.filter(|row| row.erased_at.is_none());
        let row = row.ok_or(StoreError::NotFound("contact that it was joined with"))?;
        match row.merged_into {
            Some(next) => id = next,
            None => return Ok(row),
        }
    }
    Err(StoreError::NotFound("contact that it was joined with"))
}

async fn part_tickets(
    tx: &DatabaseTransaction,
    gone: &ticket::Model,
    (joined, into): (Uuid, &ticket::Model),
    moved: MovedTicket,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (from, back) = (into.id, Expr::value(gone.id));
    for ids in moved.messages.chunks(IDS_MAX) {
        let ids = || ids.iter().copied();
        delivery::Entity::update_many()
            .col_expr(delivery::Column::Ticket, back.clone())
            .filter(delivery::Column::Message.is_in(ids()))
            .filter(delivery::Column::Ticket.eq(from))
            .exec(tx)
            .await?;
        seen::Entity::update_many()
            .col_expr(seen::Column::Ticket, back.clone())
            .filter(seen::Column::Message.is_in(ids()))
            .filter(seen::Column::Ticket.eq(from))
            .exec(tx)
            .await?;
        mention::Entity::update_many()
            .col_expr(mention::Column::Ticket, back.clone())
            .filter(mention::Column::Message.is_in(ids()))
            .filter(mention::Column::Ticket.eq(from))
            .exec(tx)
            .await?;
        message::Entity::update_many()
            .col_expr(message::Column::Ticket, back.clone())
            .filter(message::Column::Id.is_in(ids()))
            .filter(message::Column::Ticket.eq(from))
            .exec(tx)
            .await?;
    }
    address_proof::Entity::update_many()
        .col_expr(address_proof::Column::Ticket, back.clone())
        .filter(address_proof::Column::Id.is_in(moved.proofs.iter().copied()))
        .filter(address_proof::Column::Ticket.eq(from))
        .exec(tx)
        .await?;
    callback::Entity::update_many()
        .col_expr(callback::Column::Ticket, back)
        .filter(callback::Column::Id.is_in(moved.callbacks.iter().copied()))
        .filter(callback::Column::Ticket.eq(from))
        .exec(tx)
        .await?;
    lent::take_back(tx, (gone.id, joined), &moved).await?;
    let waits = matches!(moved.status.as_str(), "open" | "pending");
    let mut row = gone.clone().into_active_model();
    row.merged_into = Set(None);
    row.status = Set(moved.status);
    row.solved_at = Set(moved.solved_at);
    row.snoozed_until = Set(moved.snoozed_until);
    if waits && has_another(tx, gone).await? {
        row.thread = Set(None);
    }
    ticket::Entity::update(row).exec(tx).await?;
    recount(tx, gone.id, gone.version + 1, now).await?;
    recount(tx, into.id, into.version + 1, now).await
}

/// A ticket that woke because another one was merged into it is as it was, unless somebody wrote into it since, or
/// changed it.
async fn sleep_again(
    tx: &DatabaseTransaction,
    (into, before): (&ticket::Model, &Woke),
    (moved, merged_at): (&MovedTicket, i64),
    (actor, now): (&Actor, Timestamp),
) -> Result<(), StoreError> {
    let mut patch = TicketPatch::default();
    let since = message::Entity::find()
        .select_only()
        .column(message::Column::Id)
        .filter(message::Column::Ticket.eq(into.id))
        .filter(message::Column::Direction.eq("in"))
        .filter(message::Column::ReceivedAt.gt(merged_at))
        .into_tuple::<Uuid>()
        .all(tx)
        .await?;
    let theirs: HashSet<Uuid> = moved.messages.iter().copied().collect();
    let until = before.snoozed_until.map(moment);
    // One whose sleep is over would be awake by now.
    let over = until.is_some_and(|until| until <= now);
    let awake = into.status == "open" && into.snoozed_until.is_none();
    if awake && !over && since.iter().all(|id| theirs.contains(id)) {
        patch.status = before.status.parse().ok();
        patch.snoozed_until = until.map(Some);
    }
    if into.priority == before.raised_to {
        patch.priority = before.priority.parse().ok();
    }
    apply(tx, into.clone(), patch, actor.clone(), now).await?;
    Ok(())
}

/// Takes people out of a ticket who came with the other one, unless they wrote into it.
pub(super) async fn leave(
    tx: &DatabaseTransaction,
    ticket: Uuid,
    people: Vec<(String, String)>,
) -> Result<(), StoreError> {
    if people.is_empty() {
        return Ok(());
    }
    let wrote: HashSet<(Option<String>, Option<String>)> = message::Entity::find()
        .select_only()
        .columns([message::Column::AuthorScheme, message::Column::AuthorValue])
        .filter(message::Column::Ticket.eq(ticket))
        .distinct()
        .into_tuple()
        .all(tx)
        .await?
        .into_iter()
        .collect();
    for (scheme, value) in people {
        if !wrote.contains(&(Some(scheme.clone()), Some(value.clone()))) {
            participant::Entity::delete_by_id((ticket, scheme, value)).exec(tx).await?;
        }
    }
    Ok(())
}

async fn tell(
    tx: &DatabaseTransaction,
    (gone, into): (&ticket::Model, &ticket::Model),
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut back = NewEvent::of(gone.id, "ticket.unmerged", actor.clone());
    back.data = json!({ "from": into.id, "number": into.number });
    let mut left = NewEvent::of(into.id, "ticket.released", actor);
    left.data = json!({ "ticket": gone.id, "number": gone.number });
    event::record(tx, vec![back, left], now).await
}

async fn part_contacts(
    tx: &DatabaseTransaction,
    (gone, into): (Uuid, Uuid),
    moved: &MovedContact,
    merged_at: i64,
) -> Result<(), StoreError> {
    identity::Entity::update_many()
        .col_expr(identity::Column::Contact, Expr::value(gone))
        .filter(identity::Column::Id.is_in(moved.identities.iter().copied()))
        .filter(identity::Column::Contact.eq(into))
        .exec(tx)
        .await?;
    for (id, trust) in &moved.trust {
        identity::Entity::update_many()
            .col_expr(identity::Column::Trust, Expr::value(trust.as_str()))
            .filter(identity::Column::Id.eq(*id))
            .filter(identity::Column::Contact.eq(gone))
            .exec(tx)
            .await?;
        trusted_before(tx, *id, None).await?;
    }
    let theirs =
        identity::Entity::find().filter(identity::Column::Contact.eq(gone)).all(tx).await?;
    let wrote = theirs.iter().fold(Condition::any(), |any, row| any.add(written_by(row)));
    let mut tickets: HashSet<Uuid> = moved.tickets.iter().copied().collect();
    if !theirs.is_empty() {
        tickets.extend(opened_since(tx, into, &wrote, merged_at).await?);
    }
    for ids in moved.messages.iter().flat_map(|ids| ids.chunks(IDS_MAX)) {
        back(tx, (gone, into), message::Column::Id.is_in(ids.iter().copied())).await?;
    }
    // What came since, and all where nobody noted what was there before.
    if !theirs.is_empty() {
        back(tx, (gone, into), wrote).await?;
    }
    let tickets: Vec<Uuid> = tickets.into_iter().collect();
    for ids in tickets.chunks(IDS_MAX) {
        ticket::Entity::update_many()
            .col_expr(ticket::Column::Contact, Expr::value(gone))
            .filter(ticket::Column::Id.is_in(ids.iter().copied()))
            .filter(ticket::Column::Contact.eq(into))
            .exec(tx)
            .await?;
    }
    Ok(())
}

/// Gives messages of the one contact to the other.
async fn back(
    tx: &DatabaseTransaction,
    (gone, into): (Uuid, Uuid),
    which: impl IntoCondition + Send,
) -> Result<(), StoreError> {
    message::Entity::update_many()
        .col_expr(message::Column::Contact, Expr::value(gone))
        .filter(message::Column::Contact.eq(into))
        .filter(which)
        .exec(tx)
        .await?;
    Ok(())
}

/// What was written from an address. Who forged it is somebody else: their identity stands under a scope of its own,
/// and their messages are flagged.
fn written_by(row: &identity::Model) -> Condition {
    let by = Condition::all()
        .add(message::Column::AuthorScheme.eq(&row.scheme))
        .add(message::Column::AuthorValue.eq(&row.value));
    let flagged = "%\"spoof_suspect\"%";
    if row.scope.starts_with('!') {
        return by.add(message::Column::Flags.like(flagged));
    }
    let scope = match row.scope.as_str() {
        "" => Condition::any()
            .add(message::Column::AuthorScope.is_null())
            .add(message::Column::AuthorScope.eq("")),
        scope => Condition::any().add(message::Column::AuthorScope.eq(scope)),
    };
    by.add(scope).add(message::Column::Flags.not_like(flagged))
}

/// Tickets of the survivor whose first message came from one of these addresses, since the merge.
async fn opened_since(
    tx: &DatabaseTransaction,
    into: Uuid,
    wrote: &Condition,
    merged_at: i64,
) -> Result<Vec<Uuid>, StoreError> {
    let since: Vec<Uuid> = ticket::Entity::find()
        .select_only()
        .column(ticket::Column::Id)
        .filter(ticket::Column::Contact.eq(into))
        .filter(ticket::Column::CreatedAt.gte(merged_at))
        .into_tuple()
        .all(tx)
        .await?;
    let mut opened = Vec::new();
    for id in since {
        let first: Option<(Uuid, i64)> = message::Entity::find()
            .select_only()
            .columns([message::Column::Id, message::Column::Seq])
            .filter(message::Column::Ticket.eq(id))
            .order_by_asc(message::Column::Seq)
            .into_tuple()
            .one(tx)
            .await?;
        let Some((first, _)) = first else { continue };
        let by_them = message::Entity::find_by_id(first).filter(wrote.clone()).one(tx).await?;
        opened.extend(by_them.map(|_| id));
    }
    Ok(opened)
}
