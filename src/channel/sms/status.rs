//! News of what we sent. They come twice, out of order, before the call that sent it has answered, or not at all
//! beyond «sent»: many networks tell no more.

use chrono::NaiveDateTime;

use super::told;
use crate::channel::shared::twilio::code;
use crate::channel::shared::twilio::form::Form;
use crate::model::{
    Address, DeliveryId, Event, Meaning, Receipt, ReceiptState, RemoteId, Standing, Timestamp,
};

/// What the news say. `delivery`: ours, which stood in the address that was called.
pub(super) fn read(
    form: &Form,
    sid: &str,
    (delivery, to): (Option<DeliveryId>, Option<Address>),
    at: Timestamp,
) -> Meaning {
    let remote_id = RemoteId(sid.to_owned());
    let code = form.number("ErrorCode").filter(|code| *code > 0);
    let state = match told::status(form) {
        // The service has it: that settles whether it went out, and says nothing more.
        "accepted" | "scheduled" | "queued" | "sending" | "sent" => {
            ReceiptState::Sent { remote_id: remote_id.clone() }
        }
        "delivered" | "partially_delivered" => ReceiptState::Delivered,
        "read" => ReceiptState::Read,
        "failed" | "undelivered" => ReceiptState::Failed {
            cause: cause(form, code),
            address_is_bad: code.is_some_and(code::is_bad_address),
        },
        "canceled" => ReceiptState::Failed {
            cause: "somebody cancelled it at Twilio".to_owned(),
            address_is_bad: false,
        },
        _ => return Meaning::Ignore("a status that is not known"),
    };
    let at = done(form).unwrap_or(at);
    let target = Some(remote_id);
    let mut events = vec![Event::Receipt(Receipt { delivery, target, recipient: None, state, at })];
    if let (Some(address), Some(reach)) = (to, code.and_then(code::reach)) {
        let said = cause(form, code);
        events.push(Event::Standing(Standing { address, reach, said }));
    }
    Meaning::Events(events)
}

fn cause(form: &Form, code: Option<u64>) -> String {
    let words = form.text("ErrorMessage").or_else(|| form.text("ChannelStatusMessage"));
    code::told(code, words.unwrap_or_default())
}

/// When the network says that it was done: `YYMMDDhhmm`.
fn done(form: &Form) -> Option<Timestamp> {
    let given = form.text("RawDlrDoneDate")?.trim();
    NaiveDateTime::parse_from_str(given, "%y%m%d%H%M").ok().map(|at| at.and_utc())
}
