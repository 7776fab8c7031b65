//! Calls that we make for agents: queued with the claim in one transaction, and ended by what the service tells.

use std::sync::Arc;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};
use serde_json::json;

use super::super::entity::{callback, delivery, ticket};
use super::super::idempotency::{Answer, By};
use super::super::outbox::{ReplyPlan, queue};
use super::super::{Store, StoreError, millis};
use super::{CallbackView, begun, ended, save, view};
use crate::desk::CallbackPolicy;
use crate::model::{Actor, CallOutcome, CallbackId, CallbackStatus, Called, DeliveryId, Timestamp};

/// The word for a call of which the customer heard nothing.
const NOT_MADE: &str = "not_made";

impl Store {
    /// An agent takes it, and the call that connects them is queued: both or neither, so that of two agents one is
    /// called, and whoever is called has it.
    pub async fn bridge_call(
        &self,
        id: CallbackId,
        plan: ReplyPlan,
        by: By,
    ) -> Result<Answer<CallbackView>, StoreError> {
        let plan = Arc::new(plan);
        self.write_once(by.once.clone(), by.now, move |tx| {
            let (by, plan) = (by.clone(), plan.clone());
            Box::pin(async move {
                let row = callback::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
                let row = row.ok_or(StoreError::NotFound("call-back"))?;
                if let Some(given) = by.version.filter(|given| *given != row.version) {
                    return Err(StoreError::Stale { given, current: row.version });
                }
                let mut change = begun(&row, &by)?;
                let message = queue(tx, &plan, by.now).await?;
                let made = delivery::Entity::find()
                    .filter(delivery::Column::Message.eq(message.uuid()))
                    .one(tx)
                    .await?;
                let made = made.ok_or(StoreError::NotFound("delivery"))?;
                change.delivery = Set(Some(made.id));
                let told = json!({
                    "status": "calling", "attempt": row.attempts + 1, "delivery": made.id,
                });
                let row = save(tx, &row, change, told, (by.actor, by.now)).await?;
                view(tx, row).await
            })
        })
        .await
    }
}

/// How much is known by an outcome. News of one call come by several ways, in any order and repeatedly: a machine that
/// answers is told apart, and that the agent's line ended says nothing of the customer.
fn rank(heard: &str) -> u8 {
    match heard {
        NOT_MADE => 1,
        "voicemail" => 4,
        "reached" => 3,
        _ => 2,
    }
}

/// The service tells how a call ended.
pub(in crate::store) async fn called(
    tx: &DatabaseTransaction,
    called: Called,
    policy: &CallbackPolicy,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = callback::Entity::find()
        .filter(callback::Column::Delivery.eq(called.delivery.uuid()))
        .lock_exclusive()
        .one(tx)
        .await?;
    // Somebody else has called since, or a human said how it ended.
    let Some(row) = row else { return Ok(()) };
    let heard = called.outcome.map_or(NOT_MADE, CallOutcome::as_str);
    if row.heard.as_deref().is_some_and(|known| rank(known) >= rank(heard)) {
        return Ok(());
    }
    let cancelled = matches!(row.status.as_str(), "cancelled" | "expired");
    let Some(outcome) = called.outcome.filter(|_| !cancelled) else {
        return set_free(tx, row, "the customer was not called", now).await;
    };
    let mut change = row.clone().into_active_model();
    change.heard = Set(Some(heard.to_owned()));
    // That nobody was called was taken for the truth before.
    let attempts = row.attempts + i32::from(row.heard.as_deref() == Some(NOT_MADE));
    let told = ended(&row, &mut change, (outcome, attempts), (policy, now));
    if outcome == CallOutcome::Reached {
        answered(tx, &row, now).await?;
    }
    save(tx, &row, change, told, (Actor::system(), now)).await?;
    Ok(())
}

/// The call was not made, and will not be: the call-back waits again.
pub(in crate::store) async fn not_called(
    tx: &DatabaseTransaction,
    delivery: DeliveryId,
    why: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = callback::Entity::find()
        .filter(callback::Column::Delivery.eq(delivery.uuid()))
        .filter(callback::Column::Heard.is_null())
        .lock_exclusive()
        .one(tx)
        .await?;
    match row {
        Some(row) => set_free(tx, row, why, now).await,
        None => Ok(()),
    }
}

/// As if nobody had taken it; it does not count as a call.
async fn set_free(
    tx: &DatabaseTransaction,
    row: callback::Model,
    why: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut change = row.clone().into_active_model();
    change.heard = Set(Some(NOT_MADE.to_owned()));
    if row.status != CallbackStatus::Calling.as_str() {
        callback::Entity::update(change).exec(tx).await?;
        return Ok(());
    }
    change.status = Set(CallbackStatus::Waiting.as_str().to_owned());
    change.attempts = Set((row.attempts - 1).max(0));
    change.due_told = Set(false);
    let told = json!({ "status": "waiting", "why": why });
    save(tx, &row, change, told, (Actor::system(), now)).await?;
    Ok(())
}

/// Whoever was spoken to has been answered.
async fn answered(
    tx: &DatabaseTransaction,
    row: &callback::Model,
    now: Timestamp,
) -> Result<(), StoreError> {
    ticket::Entity::update_many()
        .set(ticket::ActiveModel {
            first_response_at: Set(Some(millis(now))),
            ..Default::default()
        })
        .filter(ticket::Column::Id.eq(row.ticket))
        .filter(ticket::Column::FirstResponseAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}
