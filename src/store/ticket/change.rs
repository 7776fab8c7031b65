//! Changes of a ticket's own fields, waking, and deleting.

use sea_orm::sea_query::{ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::entity::{message, person, ticket, ticket_tag};
use super::super::event::{self, NewEvent};
use super::super::idempotency::By;
use super::super::{Store, StoreError, contact, millis, moment, search};
use super::{TicketView, take, view};
use crate::model::{Actor, Priority, TicketId, TicketStatus, Timestamp};

/// What to change; `None` leaves it, `Some(None)` empties it.
#[derive(Debug, Clone, Default)]
pub struct TicketPatch {
    /// Where it stands.
    pub status: Option<TicketStatus>,
    /// How much it hurts to wait.
    pub priority: Option<Priority>,
    /// By which agents share work.
    pub queue: Option<Option<String>>,
    /// Who has it: a person's id, mail address or name.
    pub assignee: Option<Option<String>>,
    /// All of its tags.
    pub tags: Option<Vec<String>>,
    /// What it is about.
    pub subject: Option<String>,
    /// When it comes back.
    pub snoozed_until: Option<Option<Timestamp>>,
}

/// The changes of one patch, as the audit trail keeps them.
struct Changes {
    row: ticket::ActiveModel,
    seen: Map<String, Value>,
}

impl Changes {
    fn note(&mut self, field: &str, from: impl Into<Value>, to: impl Into<Value>) -> bool {
        let (from, to) = (from.into(), to.into());
        if from == to {
            return false;
        }
        self.seen.insert(field.to_owned(), json!({ "from": from, "to": to }));
        true
    }
}

impl Store {
    /// Changes a ticket, if it still has the version that the caller knew.
    pub async fn change_ticket(
        &self,
        id: TicketId,
        patch: TicketPatch,
        by: By,
    ) -> Result<TicketView, StoreError> {
        self.write(move |tx| {
            let (patch, By { actor, version, now, .. }) = (patch.clone(), by.clone());
            Box::pin(async move {
                let row = take(tx, id.uuid(), version).await?;
                let row = apply(tx, row, patch, actor, now).await?;
                view(tx, row).await
            })
        })
        .await
    }

    /// Opens tickets whose time has come. Returns how many.
    pub async fn wake_snoozed(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let due = ticket::Entity::find()
                    .filter(ticket::Column::SnoozedUntil.lte(millis(now)))
                    .filter(ticket::Column::DeletedAt.is_null())
                    .limit(200)
                    .all(tx)
                    .await?;
                let count = due.len();
                for row in due {
                    let open = (row.status == "pending").then_some(TicketStatus::Open);
                    let patch = TicketPatch {
                        status: open,
                        snoozed_until: Some(None),
                        ..TicketPatch::default()
                    };
                    apply(tx, row, patch, Actor::system(), now).await?;
                }
                Ok(count)
            })
        })
        .await
    }

    /// Destroys what a ticket said. What remains are its number, its trail, and the names of its messages,
    /// so that they do not come back at the next poll.
    pub async fn delete_ticket(&self, id: TicketId, by: By) -> Result<(), StoreError> {
        self.write_without_trace(move |tx| {
            let By { actor, version, now, .. } = by.clone();
            Box::pin(async move {
                let row = take(tx, id.uuid(), version).await?;
                erase(tx, row, (actor, Value::Null), now).await?;
                search::scrub(tx).await
            })
        })
        .await
    }
}

/// Destroys what a ticket said, and what is left of those that were merged into it. What it leaves in the files of
/// SQLite goes with [`search::scrub`] and the log.
pub(in crate::store) async fn erase(
    tx: &DatabaseTransaction,
    row: ticket::Model,
    (actor, why): (Actor, Value),
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut rows = vec![row];
    while let Some(row) = rows.pop() {
        let absorbed = ticket::Entity::find()
            .filter(ticket::Column::MergedInto.eq(row.id))
            .filter(ticket::Column::DeletedAt.is_null());
        rows.extend(absorbed.lock_exclusive().all(tx).await?);
        let messages = message::Entity::find()
            .filter(message::Column::Ticket.eq(row.id))
            .order_by_asc(message::Column::Seq)
            .all(tx)
            .await?;
        contact::forget_messages(tx, messages, now).await?;
        contact::forget_ticket(tx, row.id).await?;
        let mut event = NewEvent::of(row.id, "ticket.deleted", actor.clone());
        event.data = why.clone();
        let version = row.version + 1;
        let mut row = row.into_active_model();
        row.version = Set(version);
        row.updated_at = Set(millis(now));
        row.deleted_at = Set(Some(millis(now)));
        row.subject = Set(String::new());
        ticket::Entity::update(row).exec(tx).await?;
        event::record(tx, vec![event], now).await?;
    }
    Ok(())
}

/// Changes a ticket and tells of it; nothing is told where nothing changes.
pub(in crate::store) async fn apply(
    tx: &DatabaseTransaction,
    row: ticket::Model,
    patch: TicketPatch,
    actor: Actor,
    now: Timestamp,
) -> Result<ticket::Model, StoreError> {
    let status = wanted_status(&row, &patch)?;
    let mut changes = Changes { row: row.clone().into_active_model(), seen: Map::new() };
    if let Some(status) = status {
        set_status(&mut changes, &row, status, now);
        leave_conversation(tx, &mut changes, &row, status).await?;
    }
    set_fields(&mut changes, &row, &patch);
    if let Some(assignee) = patch.assignee {
        let assignee = match assignee {
            Some(who) => Some(person_of(tx, &who).await.map_err(unknown_assignee)?),
            None => None,
        };
        if changes.note("assignee", json!(row.assignee), json!(assignee)) {
            changes.row.assignee = Set(assignee);
        }
    }
    if let Some(tags) = patch.tags {
        set_tags(tx, &mut changes, row.id, tags).await?;
    }
    if changes.seen.is_empty() {
        return Ok(row);
    }
    let mut event = NewEvent::of(row.id, "ticket.updated", actor);
    event.channel = Some(row.channel.clone());
    event.data = json!({ "changes": changes.seen });
    changes.row.version = Set(row.version + 1);
    changes.row.updated_at = Set(millis(now));
    ticket::Entity::update(changes.row).exec(tx).await?;
    event::record(tx, vec![event], now).await?;
    let row = ticket::Entity::find_by_id(row.id).one(tx).await?;
    row.ok_or(StoreError::NotFound("ticket"))
}

/// Nothing leaves `closed`; a ticket that is put to sleep waits.
fn wanted_status(
    row: &ticket::Model,
    patch: &TicketPatch,
) -> Result<Option<TicketStatus>, StoreError> {
    let wanted = match (patch.status, patch.snoozed_until) {
        (Some(status), _) => Some(status),
        (None, Some(Some(_))) if row.status == "open" => Some(TicketStatus::Pending),
        (None, _) => None,
    };
    let leaves = wanted.is_some_and(|status| status != TicketStatus::Closed);
    if row.status == "closed" && leaves {
        return Err(StoreError::Refused(format!(
            "ticket {} is closed for good: open a new one that goes on from it",
            row.number
        )));
    }
    Ok(wanted)
}

fn set_status(changes: &mut Changes, row: &ticket::Model, status: TicketStatus, now: Timestamp) {
    if !changes.note("status", row.status.as_str(), status.as_str()) {
        return;
    }
    changes.row.status = Set(status.as_str().to_owned());
    changes.row.solved_at = Set(match status {
        TicketStatus::Solved | TicketStatus::Closed => row.solved_at.or(Some(millis(now))),
        TicketStatus::Open | TicketStatus::Pending | TicketStatus::Spam => None,
    });
}

/// One conversation of a service has one open ticket: one that opens again while another one has its
/// conversation opens without it.
async fn leave_conversation(
    tx: &DatabaseTransaction,
    changes: &mut Changes,
    row: &ticket::Model,
    status: TicketStatus,
) -> Result<(), StoreError> {
    let opens = matches!(status, TicketStatus::Open | TicketStatus::Pending);
    if opens && has_another(tx, row).await? {
        changes.row.thread = Set(None);
    }
    Ok(())
}

/// Has another open ticket the conversation that this one had?
pub(in crate::store) async fn has_another(
    tx: &DatabaseTransaction,
    row: &ticket::Model,
) -> Result<bool, StoreError> {
    let Some(thread) = &row.thread else { return Ok(false) };
    let other = ticket::Entity::find()
        .filter(ticket::Column::Channel.eq(&row.channel))
        .filter(ticket::Column::Thread.eq(thread))
        .filter(ticket::Column::Status.is_in(["open", "pending"]))
        .filter(ticket::Column::MergedInto.is_null())
        .filter(ticket::Column::DeletedAt.is_null())
        .filter(ticket::Column::Id.ne(row.id))
        .one(tx)
        .await?;
    Ok(other.is_some())
}

fn set_fields(changes: &mut Changes, row: &ticket::Model, patch: &TicketPatch) {
    if let Some(priority) = patch.priority
        && changes.note("priority", row.priority.as_str(), priority.as_str())
    {
        changes.row.priority = Set(priority.as_str().to_owned());
    }
    if let Some(queue) = &patch.queue
        && changes.note("queue", json!(row.queue), json!(queue))
    {
        changes.row.queue = Set(queue.clone());
    }
    if let Some(subject) = &patch.subject
        && changes.note("subject", row.subject.as_str(), subject.as_str())
    {
        changes.row.subject = Set(subject.clone());
    }
    let until = patch.snoozed_until.map(|until| until.map(millis));
    if let Some(until) = until
        && changes.note(
            "snoozed_until",
            json!(row.snoozed_until.map(moment)),
            json!(until.map(moment)),
        )
    {
        changes.row.snoozed_until = Set(until);
    }
}

/// Who names nobody has made a fault in the request; the ticket has nothing to do with it.
fn unknown_assignee(error: StoreError) -> StoreError {
    if let StoreError::Refused(why) = error {
        return StoreError::Unknown { field: "assignee", why };
    }
    error
}

/// A person by id, mail address or name, who still works here.
pub(in crate::store) async fn person_of(
    tx: &DatabaseTransaction,
    who: &str,
) -> Result<Uuid, StoreError> {
    let active = person::Entity::find().filter(person::Column::DisabledAt.is_null());
    let which = match Uuid::parse_str(who) {
        Ok(id) => person::Column::Id.eq(id),
        Err(_) => person::Column::Email.eq(who.to_lowercase()).or(person::Column::Name.eq(who)),
    };
    let found = active.filter(which).limit(2).all(tx).await?;
    match found.as_slice() {
        [one] => Ok(one.id),
        [] => Err(StoreError::Refused(format!("nobody here is called {who}"))),
        _ => Err(StoreError::Refused(format!("more than one person is called {who}"))),
    }
}

pub(super) async fn tags_of(
    tx: &DatabaseTransaction,
    ticket: Uuid,
) -> Result<Vec<String>, StoreError> {
    let rows = ticket_tag::Entity::find()
        .filter(ticket_tag::Column::Ticket.eq(ticket))
        .order_by_asc(ticket_tag::Column::Tag)
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| row.tag).collect())
}

async fn set_tags(
    tx: &DatabaseTransaction,
    changes: &mut Changes,
    ticket: Uuid,
    mut tags: Vec<String>,
) -> Result<(), StoreError> {
    tags.sort();
    tags.dedup();
    let before = tags_of(tx, ticket).await?;
    if !changes.note("tags", json!(before), json!(tags)) {
        return Ok(());
    }
    ticket_tag::Entity::delete_many()
        .filter(ticket_tag::Column::Ticket.eq(ticket))
        .exec(tx)
        .await?;
    add_tags(tx, ticket, tags).await
}

/// Tags that it does not have yet.
pub(super) async fn add_tags(
    tx: &DatabaseTransaction,
    ticket: Uuid,
    tags: Vec<String>,
) -> Result<(), StoreError> {
    if tags.is_empty() {
        return Ok(());
    }
    let rows = tags.into_iter().map(|tag| ticket_tag::Model { ticket, tag }.into_active_model());
    ticket_tag::Entity::insert_many(rows).exec_without_returning(tx).await?;
    Ok(())
}

/// A tag that it may have already.
pub(in crate::store) async fn tag(
    tx: &DatabaseTransaction,
    ticket: Uuid,
    tag: &str,
) -> Result<(), StoreError> {
    let tagged = ticket_tag::Model { ticket, tag: tag.to_owned() };
    let known = OnConflict::columns([ticket_tag::Column::Ticket, ticket_tag::Column::Tag])
        .do_nothing()
        .to_owned();
    let insert = ticket_tag::Entity::insert(tagged.into_active_model()).on_conflict(known);
    insert.exec_without_returning(tx).await?;
    Ok(())
}

/// Takes a tag away, if it has it.
pub(in crate::store) async fn untag(
    tx: &DatabaseTransaction,
    ticket: Uuid,
    tag: &str,
) -> Result<(), StoreError> {
    ticket_tag::Entity::delete_many()
        .filter(ticket_tag::Column::Ticket.eq(ticket))
        .filter(ticket_tag::Column::Tag.eq(tag))
        .exec(tx)
        .await?;
    Ok(())
}
