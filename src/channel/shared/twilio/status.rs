//! How far a message of ours is, in Twilio's words.

use super::code;
use crate::model::{ReceiptState, RemoteId};

/// What a status says of the message with this name; `None`: it is one that is not known. `told`: the number and
/// the words of the error, where there are any.
#[must_use]
pub fn of_message(
    status: &str,
    remote_id: RemoteId,
    (number, words): (Option<u64>, &str),
) -> Option<ReceiptState> {
    Some(match status {
        // The service has it: that settles whether it went out, and says nothing more.
        "accepted" | "scheduled" | "queued" | "sending" | "sent" => {
            ReceiptState::Sent { remote_id }
        }
        "delivered" | "partially_delivered" => ReceiptState::Delivered,
        "read" => ReceiptState::Read,
        "failed" | "undelivered" => ReceiptState::Failed {
            cause: code::told(number, words),
            address_is_bad: number.is_some_and(code::is_bad_address),
        },
        "canceled" => ReceiptState::Failed {
            cause: "somebody cancelled it at Twilio".to_owned(),
            address_is_bad: false,
        },
        _ => return None,
    })
}
