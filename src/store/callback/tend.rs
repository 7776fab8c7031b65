//! What happens to call-backs by themselves: they become due, are reminded of, are dropped by an agent who says
//! nothing more, and expire.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use serde_json::json;

use super::super::entity::{callback, ticket};
use super::super::event::{self, NewEvent};
use super::super::{Store, StoreError, millis, moment};
use super::{over, save, zone};
use crate::desk::{CallAbout, CallbackPolicy};
use crate::model::{Actor, CallbackId, CallbackStatus, MessageId, TicketId, Timestamp};

/// Rows in one transaction.
const ROWS_MAX: u64 = 200;

/// What a customer has to be told.
#[derive(Debug, Clone)]
pub struct CallNotice {
    /// Of which call-back.
    pub callback: CallbackId,
    /// In which ticket.
    pub ticket: TicketId,
    /// The id of the message: written twice, it is one.
    pub message: MessageId,
    /// What.
    pub kind: CallNoticeKind,
    /// The text.
    pub text: String,
}

/// What a customer is told about a call-back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallNoticeKind {
    /// We will call.
    Confirmation,
    /// We are about to call.
    Reminder,
}

impl Store {
    /// Notes what the time did to call-backs. Any node may do it; each change happens once. Returns how many
    /// there were.
    pub async fn tend_callbacks(
        &self,
        policy: &CallbackPolicy,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let claimed_before = before(now, policy.claim_max);
        let due_before = before(now, policy.expire_after);
        // Mostly there is nothing to do, and a look costs no commit.
        let any = changed_by_time(now, (claimed_before, due_before)).one(self.reader()).await?;
        if any.is_none() {
            return Ok(0);
        }
        self.write(move |tx| {
            Box::pin(async move {
                let (mut count, mut events) = (0, Vec::new());
                let rows = changed_by_time(now, (claimed_before, due_before)).lock_exclusive();
                for row in rows.all(tx).await? {
                    count += 1;
                    let mut change = row.clone().into_active_model();
                    let told = if row.status == CallbackStatus::Calling.as_str() {
                        change.status = Set(CallbackStatus::Waiting.as_str().to_owned());
                        change.due_told = Set(false);
                        json!({ "status": "waiting", "why": "nobody said how the call ended" })
                    } else if row.due_at < due_before {
                        change.status = Set(CallbackStatus::Expired.as_str().to_owned());
                        over(&mut change);
                        json!({ "status": "expired" })
                    } else {
                        change.due_told = Set(true);
                        callback::Entity::update(change).exec(tx).await?;
                        let mut event = NewEvent::of(row.ticket, "callback.due", Actor::system());
                        event.data = json!({ "callback": row.id });
                        events.push(event);
                        continue;
                    };
                    save(tx, &row, change, told, (Actor::system(), now)).await?;
                }
                event::record(tx, events, now).await?;
                Ok(count)
            })
        })
        .await
    }

    /// What customers have to be told by now.
    pub async fn call_notices(
        &self,
        policy: &CallbackPolicy,
        now: Timestamp,
    ) -> Result<Vec<CallNotice>, StoreError> {
        let now = millis(now);
        let rows = callback::Entity::find()
            .filter(callback::Column::Status.eq(CallbackStatus::Waiting.as_str()))
            .filter(
                Condition::any()
                    .add(callback::Column::ConfirmAt.lte(now))
                    .add(callback::Column::RemindAt.lte(now)),
            )
            .limit(ROWS_MAX)
            .all(self.reader())
            .await?;
        let mut notices = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(ticket) = ticket::Entity::find_by_id(row.ticket).one(self.reader()).await?
            else {
                continue;
            };
            let confirms = row.confirm_at.is_some_and(|at| at <= now);
            let (kind, message) = if confirms {
                (CallNoticeKind::Confirmation, row.confirm_id)
            } else {
                (CallNoticeKind::Reminder, row.remind_id)
            };
            let texts = policy.texts(ticket.language.as_deref());
            let text = texts.map_or("", |texts| match kind {
                // Due when it was asked for: no time was promised.
                CallNoticeKind::Confirmation if row.due_at <= row.created_at => &texts.soon,
                CallNoticeKind::Confirmation => &texts.confirmed,
                CallNoticeKind::Reminder => &texts.reminder,
            });
            let about = CallAbout {
                number: u64::try_from(ticket.number).unwrap_or_default(),
                due: moment(row.due_at),
                zone: zone(&row),
                phone: &row.phone,
            };
            notices.push(CallNotice {
                callback: row.id.into(),
                ticket: row.ticket.into(),
                message: message.into(),
                kind,
                text: policy.fill(text, &about),
            });
        }
        Ok(notices)
    }

    /// A notice was queued, or there is no way to tell them: it is not looked at again.
    pub async fn call_noticed(&self, notice: &CallNotice) -> Result<(), StoreError> {
        let (id, kind, message) = (notice.callback, notice.kind, notice.message);
        self.write(move |tx| {
            Box::pin(async move {
                let (change, same) = match kind {
                    CallNoticeKind::Confirmation => (
                        callback::ActiveModel { confirm_at: Set(None), ..Default::default() },
                        callback::Column::ConfirmId,
                    ),
                    CallNoticeKind::Reminder => (
                        callback::ActiveModel { remind_at: Set(None), ..Default::default() },
                        callback::Column::RemindId,
                    ),
                };
                callback::Entity::update_many()
                    .set(change)
                    .filter(callback::Column::Id.eq(id.uuid()))
                    // Put off meanwhile: another message is due.
                    .filter(same.eq(message.uuid()))
                    .exec(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }
}

/// Calls of which nobody said how they ended, wishes that are too old, and those that became due.
fn changed_by_time(
    now: Timestamp,
    (claimed_before, due_before): (i64, i64),
) -> Select<callback::Entity> {
    use callback::Column;
    let waiting = || Condition::all().add(Column::Status.eq(CallbackStatus::Waiting.as_str()));
    let changed = Condition::any()
        .add(
            Condition::all()
                .add(Column::Status.eq(CallbackStatus::Calling.as_str()))
                .add(Column::CalledAt.lt(claimed_before)),
        )
        .add(waiting().add(Column::DueAt.lt(due_before)))
        .add(waiting().add(Column::DueAt.lte(millis(now))).add(Column::DueTold.eq(false)));
    callback::Entity::find().filter(changed).order_by_asc(Column::DueAt).limit(ROWS_MAX)
}

fn before(now: Timestamp, pause: std::time::Duration) -> i64 {
    millis(now).saturating_sub(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))
}
