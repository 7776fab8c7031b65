//! News of what we sent: a status names our delivery by the text that we sent along, and comes again, out of
//! order, or without those before it.

use serde_json::Value;
use uuid::Uuid;

use super::code;
use super::person::Person;
use crate::channel::shared::heard::Nothing;
use crate::channel::shared::look;
use crate::model::{
    ChannelName, DeliveryId, Event, Reach, Receipt, ReceiptState, RemoteId, Standing, Timestamp,
};

/// The customer wants no marketing any more.
const MARKETING_STOPPED: u64 = 131_050;

/// What a status says; `Err`: why it is nothing for us, or what is missing in it.
pub(super) fn read(
    channel: &ChannelName,
    (value, status): (&Value, &Value),
    at: Timestamp,
) -> Result<Vec<Event>, Nothing> {
    let target = look::word(status, "/id").map(RemoteId);
    let delivery = look::text(status, "/biz_opaque_callback_data").and_then(ours);
    if target.is_none() && delivery.is_none() {
        return Err(Nothing::Unreadable("a status without an id"));
    }
    let state = match look::text(status, "/status").unwrap_or_default() {
        "sent" => match &target {
            Some(remote_id) => ReceiptState::Sent { remote_id: remote_id.clone() },
            None => return Err(Nothing::Unreadable("a status without an id")),
        },
        "delivered" => ReceiptState::Delivered,
        // A voice message that was listened to.
        "read" | "played" => ReceiptState::Read,
        "failed" => ReceiptState::Failed { cause: cause(status), address_is_bad: false },
        "deleted" => {
            return Err(Nothing::Ignored("the recipient deleted our message for themselves"));
        }
        _ => return Err(Nothing::Ignored("a status that is not known")),
    };
    let at = look::moment(status, "/timestamp").unwrap_or(at);
    let mut events = vec![Event::Receipt(Receipt { delivery, target, recipient: None, state, at })];
    let stopped = |error: &Value| look::word(error, "/code") == Some(MARKETING_STOPPED.to_string());
    if look::list(status, "/errors").any(stopped) {
        let person = Person::of(value, status, "/recipient_id", "/recipient_user_id");
        events.extend(person.address(channel).map(|address| {
            let said = "wants no marketing messages (code 131050)".to_owned();
            Event::Standing(Standing { address, reach: Reach::OptedOut, said })
        }));
    }
    Ok(events)
}

/// The delivery that a text names. Only ours are looked up, so any text may stand there.
pub(super) fn ours(text: &str) -> Option<DeliveryId> {
    Uuid::parse_str(text.trim()).ok().map(DeliveryId::from)
}

fn cause(status: &Value) -> String {
    let Some(error) = look::list(status, "/errors").next() else { return code::told(None, "") };
    let number = look::word(error, "/code").and_then(|code| code.parse().ok());
    let words = ["/error_data/details", "/message", "/title"];
    let words = words.iter().find_map(|pointer| look::text(error, pointer));
    code::told(number, words.unwrap_or_default())
}
