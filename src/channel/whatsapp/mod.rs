//! WhatsApp by its Cloud API: one number of ours.
//!
//! What Meta's products have in common is in `shared::graph`: it takes in what is pushed, and makes the calls.
//! `read` understands what came in (`person` who, `words` what, `status` news of what we sent, `notice` news of
//! the account), `send` answers, `files` carries files in both directions, `account` calls for our number,
//! `code` knows what the service's errors mean.

mod account;
mod code;
mod files;
mod notice;
mod person;
mod read;
mod send;
mod settings;
mod status;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::{BadChannel, Channel, Kind, Site, Table};
use crate::model::{
    Address, Capabilities, ChannelName, ChoiceLimit, MediaLimit, Policy, Rate, Realm, Receipts,
    Resend, Scheme, Support, TextLimit, TextUnit,
};

/// `kind = "whatsapp"`.
pub const KIND: Kind = Kind { name: "whatsapp", build, schema: settings::schema, sign_ins: None };

/// The service lets free text through for so long after the customer last wrote.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

fn build(name: ChannelName, table: Table, policy: Policy, _: &Site) -> Result<Channel, BadChannel> {
    let settings = settings::read(&name, table)?;
    let id = settings.phone_number_id.clone();
    // People know us by our number; where it is not told, its id stands for it, which is nobody's number.
    let number = settings.number.clone().unwrap_or_else(|| id.clone());
    let account = Arc::new(settings.account);
    Ok(Channel {
        kind: KIND.name,
        realm: Realm(format!("whatsapp:{id}")),
        addresses: vec![
            Address { scheme: Scheme::Tel, scope: None, value: number },
            Address { scheme: Scheme::Meta, scope: Some(name.clone()), value: id.clone() },
        ],
        policy,
        capabilities: capabilities(),
        interpret: Arc::new(read::Reader {
            channel: name.clone(),
            phone_number_id: id,
            business: settings.business,
        }),
        pull: None,
        hook: Some(Arc::new(settings.door)),
        listen: None,
        deliver: Some(Arc::new(send::Sender { account: account.clone() })),
        download: Some(Arc::new(files::Fetch { account })),
        chat: None,
        name,
    })
}

const fn capabilities() -> Capabilities {
    Capabilities {
        // The service counts characters; of those outside the first plane it may count two.
        text: TextLimit { max: 4096, unit: TextUnit::Utf16 },
        media: MediaLimit { bytes_max: 100 * 1024 * 1024, count_max: 30, apart: true },
        subject: false,
        html: false,
        copies: false,
        signs: false,
        edit: Support::No,
        delete: Support::No,
        receipts: Receipts::Read,
        resend: Resend::MayDuplicate,
        // By template only: outside the window, which is closed before they wrote, nothing else goes through.
        opens: true,
        reply_window: Some(WINDOW),
        templates: true,
        private: None,
        choices: Some(ChoiceLimit { count: 10, label_chars: 20, text: 1024 }),
        // Eighty a second for a number; to one person bursts are let through, and the rest is told to wait.
        rate: Rate { per_minute: 4_800, per_recipient: Duration::ZERO, in_flight_max: 8 },
    }
}
