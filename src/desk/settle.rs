//! What becomes of a delivery: after an attempt, after a crash, after a receipt.

use std::time::Duration;

use crate::channel::{Accepted, DeliverError};
use crate::model::{Delivery, DeliveryState, ReceiptState, Resend, RetryPolicy, Timestamp};

/// What becomes of a delivery after an attempt. `luck` in 0..1 spreads the retries (full jitter), so that
/// many deliveries that failed together do not come back together.
#[must_use]
pub fn settle(
    delivery: &Delivery,
    outcome: Result<Accepted, DeliverError>,
    resend: Resend,
    policy: RetryPolicy,
    (now, luck): (Timestamp, f64),
) -> DeliveryState {
    match outcome {
        Ok(accepted) => DeliveryState::Sent { remote_id: accepted.remote_id },
        Err(error @ DeliverError::Rejected(_)) => DeliveryState::Failed { cause: cause_of(&error) },
        Err(error @ DeliverError::Unknown(_)) if resend == Resend::MayDuplicate => {
            DeliveryState::Unconfirmed { cause: cause_of(&error) }
        }
        // The lane pauses; the delivery itself loses nothing by waiting.
        Err(error @ (DeliverError::Account(_) | DeliverError::Offline(_))) => {
            wait(delivery, &error, policy, now)
        }
        Err(error @ DeliverError::Unknown(_)) => retry(delivery, &error, None, policy, (now, luck)),
        Err(ref error @ DeliverError::Retry { after, .. }) => {
            retry(delivery, error, after, policy, (now, luck))
        }
    }
}

fn retry(
    delivery: &Delivery,
    error: &DeliverError,
    asked: Option<Duration>,
    policy: RetryPolicy,
    (now, luck): (Timestamp, f64),
) -> DeliveryState {
    let full = backoff(policy, delivery.attempt);
    // Full jitter, but never at once: between a tenth and the whole.
    let delay = full.mul_f64(luck.clamp(0.1, 1.0)).max(asked.unwrap_or_default());
    wait(delivery, error, policy, now + delay)
}

fn wait(
    delivery: &Delivery,
    error: &DeliverError,
    policy: RetryPolicy,
    not_before: Timestamp,
) -> DeliveryState {
    if delivery.queued_at + policy.give_up_after < not_before {
        let cause = format!("given up after {} attempts: {}", delivery.attempt, cause_of(error));
        return DeliveryState::Failed { cause };
    }
    DeliveryState::Queued { not_before }
}

/// What went wrong, in the service's words where there are any.
#[must_use]
pub fn cause_of(error: &DeliverError) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}

/// Doubles from `delay_min` to `delay_max`.
#[must_use]
pub fn backoff(policy: RetryPolicy, attempt: u32) -> Duration {
    let factor = 2_u32.saturating_pow(attempt.saturating_sub(1));
    policy.delay_min.saturating_mul(factor).min(policy.delay_max)
}

/// A node died in the middle of the call: may the next one call again?
#[must_use]
pub fn after_crash(resend: Resend, now: Timestamp) -> DeliveryState {
    match resend {
        Resend::Safe => DeliveryState::Queued { not_before: now },
        Resend::MayDuplicate => {
            DeliveryState::Unconfirmed { cause: "the daemon stopped while sending".to_owned() }
        }
    }
}

/// A receipt only ever moves a delivery forward. `None`: it says nothing new.
#[must_use]
pub fn advance(state: &DeliveryState, receipt: &ReceiptState) -> Option<DeliveryState> {
    use DeliveryState::{
        Bounced, Cancelled, Delivered, Failed, Held, Queued, Read, Sending, Sent, Unconfirmed,
    };
    match (state, receipt) {
        // A receipt for something of which we did not know that it went out settles the question.
        (Sent { .. } | Unconfirmed { .. } | Sending { .. }, ReceiptState::Delivered) => {
            Some(Delivered)
        }
        (
            Sent { .. } | Unconfirmed { .. } | Sending { .. } | Delivered,
            ReceiptState::Read | ReceiptState::Complained,
        ) => Some(Read),
        (
            Sent { .. } | Unconfirmed { .. } | Sending { .. } | Delivered,
            ReceiptState::Failed { cause, .. },
        ) => Some(Bounced { cause: cause.clone() }),
        (Queued { .. } | Held | Cancelled { .. } | Failed { .. } | Bounced { .. } | Read, _)
        | (Delivered, ReceiptState::Delivered)
        | (_, ReceiptState::Delayed(_)) => None,
    }
}
