//! Call-backs: asked for, taken by an agent, ended, given up.

mod bridge;
mod note;
mod tend;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction,
    EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::{callback, contact, ticket};
use super::event::{self, NewEvent};
use super::idempotency::{Answer, By};
use super::{Store, StoreError, millis, moment};
use crate::desk::{CallbackPolicy, Next};
use crate::model::{
    Actor, CallOutcome, CallbackId, CallbackStatus, ContactId, MessageId, TicketId, Timestamp,
};

pub(super) use bridge::{called, not_called};
pub(super) use note::note_wish;
use note::{Wish, note, own_number, ticket_of};
pub use tend::{CallNotice, CallNoticeKind};

/// The event of every change.
const UPDATED: &str = "callback.updated";

/// A call-back that is to be noted.
#[derive(Debug, Clone)]
pub struct NewCallback {
    /// The ticket that it belongs to; else the newest one of the contact.
    pub ticket: Option<TicketId>,
    /// Whom to call.
    pub contact: Option<ContactId>,
    /// E.164; else the contact's own number.
    pub phone: Option<String>,
    /// Not before this moment.
    pub at: Option<Timestamp>,
    /// What about.
    pub note: String,
    /// The customer's time zone.
    pub time_zone: Option<Tz>,
}

/// Which call-backs to list.
#[derive(Debug, Clone, Default)]
pub struct CallbackFilter {
    /// Only these; empty: those that wait and those under way.
    pub status: Vec<CallbackStatus>,
    /// Only of this ticket.
    pub ticket: Option<TicketId>,
    /// Only of this contact.
    pub contact: Option<ContactId>,
    /// Only those that are due by then.
    pub due_before: Option<Timestamp>,
    /// Those after this one, by due time and id.
    pub after: Option<(i64, Uuid)>,
    /// At most so many.
    pub limit: u64,
}

/// A call-back, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Callback)]
pub struct CallbackView {
    /// Its id.
    pub id: Uuid,
    /// The ticket that it belongs to.
    pub ticket_id: Uuid,
    /// The ticket's short number.
    pub ticket_number: i64,
    /// The contact of the ticket.
    pub contact: CallbackContact,
    /// The number to call: E.164.
    pub phone: String,
    /// Where it stands.
    pub status: CallbackStatus,
    /// When they want to be called, in their own words.
    pub wanted: String,
    /// What about.
    pub note: String,
    /// Their time zone by its IANA name, if it is known.
    pub time_zone: Option<String>,
    /// Not to be called before this.
    pub due_at: DateTime<Utc>,
    /// Calls made so far.
    pub attempts: i32,
    /// Who is calling, or called last.
    pub agent: Option<String>,
    /// When the last call began.
    pub called_at: Option<DateTime<Utc>>,
    /// How the last call ended.
    pub outcome: Option<CallOutcome>,
    /// Who asked for it.
    pub asked_by: String,
    /// The message in which it was asked for.
    pub message_id: Option<Uuid>,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// Grows with every change.
    pub version: i64,
}

/// Whom to call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallbackContact {
    /// Their id.
    pub id: Uuid,
    /// Their name.
    pub name: String,
}

impl CallbackView {
    /// Its place in the list.
    #[must_use]
    pub const fn place(&self) -> (i64, Uuid) {
        (self.due_at.timestamp_millis(), self.id)
    }
}

impl Store {
    /// Notes that somebody wants to be called. The same number twice in one ticket is one call-back.
    pub async fn add_callback(
        &self,
        new: NewCallback,
        policy: Arc<CallbackPolicy>,
        by: By,
    ) -> Result<Answer<CallbackView>, StoreError> {
        let new = Arc::new(new);
        self.write_once(by.once.clone(), by.now, move |tx| {
            let (new, policy, by) = (new.clone(), policy.clone(), by.clone());
            Box::pin(async move {
                let ticket = ticket_of(tx, &new).await?;
                let phone = match &new.phone {
                    Some(phone) => phone.clone(),
                    None => own_number(tx, ticket.contact).await?,
                };
                let wish = Wish {
                    ticket: ticket.id,
                    phone: &phone,
                    at: new.at,
                    when: "",
                    note: &new.note,
                    zone: new.time_zone,
                    message: None,
                };
                let row = note(tx, &wish, &policy, (&by.actor, by.now)).await?;
                view(tx, row).await
            })
        })
        .await
    }

    /// Call-backs, those due first before the others.
    pub async fn callbacks(
        &self,
        filter: &CallbackFilter,
    ) -> Result<Vec<CallbackView>, StoreError> {
        let mut rows = callback::Entity::find();
        let open = [CallbackStatus::Waiting, CallbackStatus::Calling];
        let wanted = if filter.status.is_empty() { &open[..] } else { &filter.status };
        rows = rows.filter(callback::Column::Status.is_in(wanted.iter().map(|one| one.as_str())));
        if let Some(ticket) = filter.ticket {
            rows = rows.filter(callback::Column::Ticket.eq(ticket.uuid()));
        }
        if let Some(contact) = filter.contact {
            let theirs = ticket::Entity::find()
                .select_only()
                .column(ticket::Column::Id)
                .filter(ticket::Column::Contact.eq(contact.uuid()));
            rows = rows.filter(
                callback::Column::Ticket.in_subquery(sea_orm::QueryTrait::into_query(theirs)),
            );
        }
        if let Some(before) = filter.due_before {
            rows = rows.filter(callback::Column::DueAt.lte(millis(before)));
        }
        if let Some((due, id)) = filter.after {
            let later = Condition::all()
                .add(callback::Column::DueAt.eq(due))
                .add(callback::Column::Id.gt(id));
            rows = rows.filter(Condition::any().add(callback::Column::DueAt.gt(due)).add(later));
        }
        let rows = rows
            .order_by_asc(callback::Column::DueAt)
            .order_by_asc(callback::Column::Id)
            .limit(filter.limit)
            .all(self.reader())
            .await?;
        views(self.reader(), rows).await
    }

    /// One call-back.
    pub async fn callback(&self, id: CallbackId) -> Result<CallbackView, StoreError> {
        let row = callback::Entity::find_by_id(id.uuid()).one(self.reader()).await?;
        view(self.reader(), row.ok_or(StoreError::NotFound("call-back"))?).await
    }

    /// An agent takes it and calls: nobody else does meanwhile.
    pub async fn begin_call(
        &self,
        id: CallbackId,
        by: By,
    ) -> Result<Answer<CallbackView>, StoreError> {
        self.change_callback(id, by, |row, by| {
            Ok((begun(row, by)?, json!({ "status": "calling", "attempt": row.attempts + 1 })))
        })
        .await
    }

    /// The call ended like this; what follows is the policy's decision.
    pub async fn end_call(
        &self,
        id: CallbackId,
        outcome: CallOutcome,
        policy: Arc<CallbackPolicy>,
        by: By,
    ) -> Result<Answer<CallbackView>, StoreError> {
        self.change_callback(id, by, move |row, by| {
            if !is_open(row) {
                let why = format!("the call-back is {}: no call is under way", row.status);
                return Err(StoreError::Refused(why));
            }
            let mut change = row.clone().into_active_model();
            // Some call first and tell afterwards.
            let began = row.status == CallbackStatus::Calling.as_str();
            let attempts = row.attempts + i32::from(!began);
            if !began {
                change.agent = Set(by.actor.id);
                change.agent_name = Set(Some(by.actor.name.clone()));
                change.called_at = Set(Some(millis(by.now)));
            }
            // What the service may still tell of a call counts no more: a human knows better.
            change.delivery = Set(None);
            let told = ended(row, &mut change, (outcome, attempts), (&policy, by.now));
            Ok((change, told))
        })
        .await
    }

    /// Nobody is to call any more.
    pub async fn cancel_callback(
        &self,
        id: CallbackId,
        by: By,
    ) -> Result<Answer<CallbackView>, StoreError> {
        self.change_callback(id, by, |row, _| {
            if !is_open(row) {
                return Err(StoreError::Refused(format!(
                    "the call-back is {} already",
                    row.status
                )));
            }
            let mut change = row.clone().into_active_model();
            change.status = Set(CallbackStatus::Cancelled.as_str().to_owned());
            over(&mut change);
            Ok((change, json!({ "status": "cancelled" })))
        })
        .await
    }

    async fn change_callback<F>(
        &self,
        id: CallbackId,
        by: By,
        change: F,
    ) -> Result<Answer<CallbackView>, StoreError>
    where
        F: Fn(
                &callback::Model,
                &By,
            ) -> Result<(callback::ActiveModel, serde_json::Value), StoreError>
            + Send
            + Sync
            + 'static,
    {
        let change = Arc::new(change);
        self.write_once(by.once.clone(), by.now, move |tx| {
            let (by, change) = (by.clone(), change.clone());
            Box::pin(async move {
                let row = callback::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
                let row = row.ok_or(StoreError::NotFound("call-back"))?;
                if let Some(given) = by.version.filter(|given| *given != row.version) {
                    return Err(StoreError::Stale { given, current: row.version });
                }
                let (changed, told) = change(&row, &by)?;
                let row = save(tx, &row, changed, told, (by.actor, by.now)).await?;
                view(tx, row).await
            })
        })
        .await
    }
}

/// An agent takes it, if nobody has.
fn begun(row: &callback::Model, by: &By) -> Result<callback::ActiveModel, StoreError> {
    if row.status != CallbackStatus::Waiting.as_str() {
        let why = match (row.status.as_str(), &row.agent_name) {
            ("calling", Some(name)) => format!("{name} is calling them already"),
            (status, _) => format!("the call-back is {status}: there is nothing to call for"),
        };
        return Err(StoreError::Refused(why));
    }
    let mut change = row.clone().into_active_model();
    change.status = Set(CallbackStatus::Calling.as_str().to_owned());
    change.attempts = Set(row.attempts + 1);
    change.agent = Set(by.actor.id);
    change.agent_name = Set(Some(by.actor.name.clone()));
    change.called_at = Set(Some(millis(by.now)));
    (change.delivery, change.heard) = (Set(None), Set(None));
    // Whoever is being called needs no reminder of it.
    change.remind_at = Set(None);
    Ok(change)
}

/// The call, the last of so many, ended like this: what follows, and what is told of it.
fn ended(
    row: &callback::Model,
    change: &mut callback::ActiveModel,
    (outcome, attempts): (CallOutcome, i32),
    (policy, now): (&CallbackPolicy, Timestamp),
) -> serde_json::Value {
    change.attempts = Set(attempts);
    change.outcome = Set(Some(outcome.as_str().to_owned()));
    let made = u32::try_from(attempts).unwrap_or_default();
    let status = match policy.after(outcome, made, zone(row), now) {
        Next::Over(status) => {
            over(change);
            status
        }
        Next::Again(due) => {
            change.due_at = Set(millis(due));
            change.due_told = Set(false);
            change.remind_id = Set(MessageId::new().uuid());
            change.remind_at = Set(policy.reminder(due, now).map(millis));
            CallbackStatus::Waiting
        }
    };
    change.status = Set(status.as_str().to_owned());
    json!({ "status": status, "outcome": outcome, "attempt": attempts })
}

async fn save(
    tx: &DatabaseTransaction,
    row: &callback::Model,
    mut change: callback::ActiveModel,
    told: serde_json::Value,
    (actor, now): (Actor, Timestamp),
) -> Result<callback::Model, StoreError> {
    change.version = Set(row.version + 1);
    change.updated_at = Set(millis(now));
    let saved = callback::Entity::update(change).exec(tx).await?;
    let mut event = NewEvent::of(row.ticket, UPDATED, actor);
    event.data = json!({ "callback": row.id, "changes": told });
    event::record(tx, vec![event], now).await?;
    Ok(saved)
}

/// Nothing more is told to the customer.
fn over(change: &mut callback::ActiveModel) {
    change.confirm_at = Set(None);
    change.remind_at = Set(None);
}

fn is_open(row: &callback::Model) -> bool {
    matches!(row.status.as_str(), "waiting" | "calling")
}

fn zone(row: &callback::Model) -> Option<Tz> {
    row.time_zone.as_deref().and_then(|name| name.parse().ok())
}

async fn view<C: ConnectionTrait>(
    db: &C,
    row: callback::Model,
) -> Result<CallbackView, StoreError> {
    views(db, vec![row]).await?.pop().ok_or(StoreError::NotFound("call-back"))
}

async fn views<C: ConnectionTrait>(
    db: &C,
    rows: Vec<callback::Model>,
) -> Result<Vec<CallbackView>, StoreError> {
    let tickets: Vec<Uuid> = rows.iter().map(|row| row.ticket).collect();
    let tickets = ticket::Entity::find().filter(ticket::Column::Id.is_in(tickets)).all(db).await?;
    let contacts: Vec<Uuid> = tickets.iter().map(|row| row.contact).collect();
    let contacts =
        contact::Entity::find().filter(contact::Column::Id.is_in(contacts)).all(db).await?;
    let shown = rows.into_iter().filter_map(|row| {
        let ticket = tickets.iter().find(|ticket| ticket.id == row.ticket)?;
        let name = contacts.iter().find(|contact| contact.id == ticket.contact);
        Some(CallbackView {
            id: row.id,
            ticket_id: row.ticket,
            ticket_number: ticket.number,
            contact: CallbackContact {
                id: ticket.contact,
                name: name.map(|contact| contact.name.clone()).unwrap_or_default(),
            },
            phone: row.phone,
            status: row.status.parse().unwrap_or(CallbackStatus::Expired),
            wanted: row.wanted,
            note: row.note,
            time_zone: row.time_zone,
            due_at: moment(row.due_at),
            attempts: row.attempts,
            agent: row.agent_name,
            called_at: row.called_at.map(moment),
            outcome: row.outcome.and_then(|word| word.parse().ok()),
            asked_by: row.asked_by,
            message_id: row.message,
            requested_at: moment(row.created_at),
            updated_at: moment(row.updated_at),
            version: row.version,
        })
    });
    Ok(shown.collect())
}

/// Follows a ticket that was merged into another one.
pub(super) async fn move_callbacks(
    tx: &DatabaseTransaction,
    from: Uuid,
    into: Uuid,
) -> Result<(), StoreError> {
    callback::Entity::update_many()
        .col_expr(callback::Column::Ticket, sea_orm::sea_query::Expr::value(into))
        .filter(callback::Column::Ticket.eq(from))
        .exec(tx)
        .await?;
    Ok(())
}

/// A number is who somebody is.
pub(super) async fn forget_callbacks(
    tx: &DatabaseTransaction,
    ticket: Uuid,
) -> Result<(), StoreError> {
    callback::Entity::delete_many().filter(callback::Column::Ticket.eq(ticket)).exec(tx).await?;
    Ok(())
}
