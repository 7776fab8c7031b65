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
        Err(error @ (DeliverError::Rejected(_) | DeliverError::Unreachable { .. })) => {
            DeliveryState::Failed { cause: cause_of(&error) }
        }
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
    if delivery.tried_since + policy.give_up_after < not_before {
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
        (Unconfirmed { .. } | Sending { .. }, ReceiptState::Sent { remote_id }) => {
            Some(Sent { remote_id: remote_id.clone() })
        }
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
        | (Sent { .. } | Delivered, ReceiptState::Sent { .. })
        | (_, ReceiptState::Delayed(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;
    use crate::model::{
        Address, ChannelName, DeliveryId, MessageId, Outbound, Party, RemoteId, TicketId,
    };

    const POLICY: RetryPolicy = RetryPolicy {
        delay_min: Duration::from_secs(60),
        delay_max: Duration::from_secs(3600),
        give_up_after: Duration::from_secs(48 * 3600),
    };

    fn now() -> Timestamp {
        chrono::Utc.with_ymd_and_hms(2026, 11, 26, 8, 0, 0).unwrap()
    }

    fn delivery(attempt: u32, tried_since: Timestamp) -> Delivery {
        Delivery {
            outbound: Outbound {
                delivery: DeliveryId::new(),
                ticket_number: 1,
                to: Party { address: Address::email("anna@x.example"), name: None },
                cc: Vec::new(),
                thread: None,
                in_reply_to: None,
                references: Vec::new(),
                subject: None,
                text: "text".to_owned(),
                html: None,
                media: Vec::new(),
                author: None,
                automated: false,
                private: false,
                choices: Vec::new(),
                language: None,
                bridge: None,
                signature: None,
                begun_at: chrono::DateTime::UNIX_EPOCH,
                tried_since: None,
                customer_wrote_at: None,
                template: None,
            },
            channel: ChannelName::try_from("mail".to_owned()).unwrap(),
            ticket: TicketId::new(),
            message: MessageId::new(),
            state: DeliveryState::Sending { since: tried_since },
            attempt,
            tried_since,
        }
    }

    fn retry(after: Option<Duration>) -> DeliverError {
        DeliverError::Retry { cause: "busy".into(), after }
    }

    #[test]
    fn each_outcome_has_its_state() {
        let of =
            |outcome, resend| settle(&delivery(1, now()), outcome, resend, POLICY, (now(), 1.0));
        let queued = |seconds| DeliveryState::Queued {
            not_before: now() + chrono::Duration::seconds(seconds),
        };
        let accepted = || Accepted { remote_id: RemoteId::new("r"), warning: None };
        for resend in [Resend::Safe, Resend::MayDuplicate] {
            assert_eq!(
                of(Ok(accepted()), resend),
                DeliveryState::Sent { remote_id: RemoteId::new("r") }
            );
            let rejected = DeliverError::Rejected("no".into());
            assert_eq!(of(Err(rejected), resend), DeliveryState::Failed { cause: "no".to_owned() });
            assert_eq!(of(Err(DeliverError::Offline("x".into())), resend), queued(0));
            assert_eq!(of(Err(DeliverError::Account("x".into())), resend), queued(0));
            assert_eq!(of(Err(retry(None)), resend), queued(60));
            assert_eq!(of(Err(retry(Some(Duration::from_secs(900)))), resend), queued(900));
            assert_eq!(of(Err(retry(Some(Duration::from_secs(5)))), resend), queued(60));
        }
        let unknown = || Err(DeliverError::Unknown("cut".into()));
        assert_eq!(of(unknown(), Resend::Safe), queued(60));
        let unconfirmed = DeliveryState::Unconfirmed { cause: "cut".to_owned() };
        assert_eq!(of(unknown(), Resend::MayDuplicate), unconfirmed);
    }

    #[test]
    fn the_pause_doubles_to_its_limit_and_luck_never_makes_it_nothing() {
        let seconds = |attempt| backoff(POLICY, attempt).as_secs();
        assert_eq!(
            [0, 1, 2, 3, 6, 7, 8, 40, u32::MAX].map(seconds),
            [60, 60, 120, 240, 1920, 3600, 3600, 3600, 3600]
        );
        for (luck, expected) in [(0.0, 6), (0.05, 6), (0.5, 30), (1.0, 60), (7.0, 60)] {
            let outcome = Err(retry(None));
            let state = settle(&delivery(1, now()), outcome, Resend::Safe, POLICY, (now(), luck));
            let not_before = now() + chrono::Duration::seconds(expected);
            assert_eq!(state, DeliveryState::Queued { not_before }, "{luck}");
        }
    }

    #[test]
    fn what_was_tried_for_too_long_has_failed_whatever_the_trouble() {
        let long_ago = now() - chrono::Duration::hours(49);
        let errors = [
            retry(None),
            DeliverError::Offline("gone".into()),
            DeliverError::Account("wrong password".into()),
        ];
        for error in errors {
            let cause = cause_of(&error);
            let one = delivery(7, long_ago);
            let state = settle(&one, Err(error), Resend::Safe, POLICY, (now(), 1.0));
            let DeliveryState::Failed { cause: told } = state else { panic!("{state:?}") };
            assert!(told.contains("7 attempts") && told.contains(&cause), "{told}");
        }
        // A pause that the service asks for beyond that time is no reason to wait for it.
        let asked = retry(Some(Duration::from_secs(49 * 3600)));
        let state = settle(&delivery(1, now()), Err(asked), Resend::Safe, POLICY, (now(), 1.0));
        assert!(matches!(state, DeliveryState::Failed { .. }));
    }

    #[test]
    fn after_a_crash_nobody_gets_a_second_copy_by_itself() {
        let queued = DeliveryState::Queued { not_before: now() };
        assert_eq!(after_crash(Resend::Safe, now()), queued);
        assert!(matches!(
            after_crash(Resend::MayDuplicate, now()),
            DeliveryState::Unconfirmed { .. }
        ));
    }

    /// How far a delivery has come; receipts only raise it.
    fn rank(state: &DeliveryState) -> u8 {
        match state {
            DeliveryState::Queued { .. } | DeliveryState::Held => 0,
            DeliveryState::Sending { .. } => 1,
            DeliveryState::Unconfirmed { .. } => 2,
            DeliveryState::Sent { .. } => 3,
            DeliveryState::Delivered => 4,
            DeliveryState::Read => 5,
            DeliveryState::Bounced { .. }
            | DeliveryState::Failed { .. }
            | DeliveryState::Cancelled { .. } => 6,
        }
    }

    #[test]
    fn every_state_meets_every_receipt_and_only_moves_forward() {
        let cause = || "c".to_owned();
        let states = [
            DeliveryState::Queued { not_before: now() },
            DeliveryState::Held,
            DeliveryState::Sending { since: now() },
            DeliveryState::Unconfirmed { cause: cause() },
            DeliveryState::Sent { remote_id: RemoteId::new("r") },
            DeliveryState::Delivered,
            DeliveryState::Read,
            DeliveryState::Bounced { cause: cause() },
            DeliveryState::Failed { cause: cause() },
            DeliveryState::Cancelled { cause: cause() },
        ];
        let receipts = [
            ReceiptState::Delayed(cause()),
            ReceiptState::Delivered,
            ReceiptState::Read,
            ReceiptState::Complained,
            ReceiptState::Failed { cause: cause(), address_is_bad: true },
        ];
        // `-`: nothing new; else the first letter of the state that follows.
        let table = [
            "-----", "-----", "-drrb", "-drrb", "-drrb", "--rrb", "-----", "-----", "-----",
            "-----",
        ];
        for (state, expected) in states.iter().zip(table) {
            let letters: String = receipts
                .iter()
                .map(|receipt| {
                    let next = advance(state, receipt);
                    assert!(
                        next.iter().all(|next| rank(next) > rank(state)),
                        "{state:?} {receipt:?}"
                    );
                    next.map_or('-', |next| next.status().as_str().chars().next().unwrap())
                })
                .collect();
            assert_eq!(letters, expected, "{state:?}");
        }
    }
}
