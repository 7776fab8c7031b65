//! News of what we sent. They come twice, out of order, before the call that sent it has answered, or not at all
//! beyond «sent»: many networks tell no more.

use chrono::NaiveDateTime;

use super::told;
use crate::channel::shared::twilio::code;
use crate::channel::shared::twilio::form::Form;
use crate::channel::shared::twilio::status;
use crate::model::{Address, DeliveryId, Event, Meaning, Receipt, RemoteId, Standing, Timestamp};

/// What the news say. `delivery`: ours, which stood in the address that was called.
pub(super) fn read(
    form: &Form,
    sid: &str,
    (delivery, to): (Option<DeliveryId>, Option<Address>),
    at: Timestamp,
) -> Meaning {
    let remote_id = RemoteId(sid.to_owned());
    let number = form.number("ErrorCode").filter(|number| *number > 0);
    let words = form.text("ErrorMessage").or_else(|| form.text("ChannelStatusMessage"));
    let words = words.unwrap_or_default();
    let state = status::of_message(told::status(form), remote_id.clone(), (number, words));
    let Some(state) = state else { return Meaning::Ignore("a status that is not known") };
    let at = done(form).unwrap_or(at);
    let target = Some(remote_id);
    let mut events = vec![Event::Receipt(Receipt { delivery, target, recipient: None, state, at })];
    if let (Some(address), Some(reach)) = (to, number.and_then(code::reach)) {
        let said = code::told(number, words);
        events.push(Event::Standing(Standing { address, reach, said }));
    }
    Meaning::Events(events)
}

/// When the network says that it was done: `YYMMDDhhmm`.
fn done(form: &Form) -> Option<Timestamp> {
    let given = form.text("RawDlrDoneDate")?.trim();
    NaiveDateTime::parse_from_str(given, "%y%m%d%H%M").ok().map(|at| at.and_utc())
}
