//! SMS, MMS, and WhatsApp by way of Twilio: one number of ours, or one messaging service.
//!
//! What Twilio is for all of its channels is in `shared::twilio`. `hook` takes in what is pushed, `poll` asks for
//! what could not be; `read` understands both alike (`told` what stands in it, `words` what the customer said,
//! `status` news of what we sent, `consent` who wants to be written to, `callback` who to be called), `send` answers, `files` fetches what customers sent and knows what of ours can go.

mod callback;
mod consent;
mod files;
mod hook;
mod poll;
mod read;
mod send;
mod settings;
mod status;
mod told;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use super::shared::public_file::PublicFiles;
use super::{BadChannel, Channel, Hook, Kind, Site, Table};
use crate::model::{
    Capabilities, ChannelName, MediaLimit, Policy, Rate, Realm, Receipts, Resend, Support,
    TextLimit, TextUnit,
};
use files::Network;

/// `kind = "sms"`.
pub const KIND: Kind = Kind { name: "sms", build, schema: settings::schema, sign_ins: None };

/// WhatsApp lets free text through for so long after the customer last wrote.
const WINDOW: Duration = Duration::from_secs(24 * 3600);
/// The longest text that Twilio takes.
const TEXT_UNITS_MAX: u32 = 1600;

fn build(
    name: ChannelName,
    table: Table,
    policy: Policy,
    site: &Site,
) -> Result<Channel, BadChannel> {
    let settings = settings::read(&name, table, site)?;
    let (account, own) = (Arc::new(settings.account), settings.own);
    let callback = settings.webhook.then(|| send::Callback {
        public_url: site.public_url.clone(),
        path: format!("/hooks/{name}/status"),
    });
    let hook = settings.webhook.then(|| Arc::new(hook::Push { door: settings.door }));
    let files = settings.files.map(|network| (network, PublicFiles::new(site)));
    Ok(Channel {
        kind: KIND.name,
        realm: Realm(format!("twilio:{}", account.sid())),
        addresses: own.address().into_iter().collect(),
        policy,
        capabilities: capabilities(
            own.whatsapp,
            settings.numbered,
            settings.files,
            settings.rate_per_minute,
        ),
        interpret: Arc::new(read::Reader {
            channel: name.clone(),
            own: own.clone(),
            call_words: settings.call_words,
        }),
        pull: Some(Arc::new(poll::Poll {
            account: account.clone(),
            own: own.clone(),
            every: Duration::from_secs(settings.poll_seconds.into()),
            pushed: settings.webhook,
        })),
        hook: hook.map(|hook| hook as Arc<dyn Hook>),
        listen: None,
        deliver: Some(Arc::new(send::Sender { account: account.clone(), own, callback, files })),
        download: Some(Arc::new(files::Fetch { account })),
        chat: None,
        name,
    })
}

fn capabilities(
    whatsapp: bool,
    numbered: bool,
    files: Option<Network>,
    rate_per_minute: Option<u32>,
) -> Capabilities {
    let no_files = MediaLimit { bytes_max: 0, count_max: 0, apart: true };
    Capabilities {
        text: TextLimit {
            max: TEXT_UNITS_MAX,
            unit: match (whatsapp, numbered) {
                (true, _) => TextUnit::Utf16,
                (false, false) => TextUnit::Segments,
                (false, true) => TextUnit::NumberedSegments,
            },
        },
        media: files.map_or(no_files, Network::limit),
        subject: false,
        html: false,
        copies: false,
        signs: false,
        edit: Support::No,
        delete: Support::No,
        receipts: if whatsapp { Receipts::Read } else { Receipts::Delivered },
        // Twilio knows no key; we ask it what it has before we send anything again.
        resend: Resend::Safe,
        opens: true,
        reply_window: whatsapp.then_some(WINDOW),
        templates: whatsapp,
        private: None,
        choices: None,
        rate: Rate {
            per_minute: rate_per_minute.unwrap_or(if whatsapp { 4_800 } else { 60 }),
            per_recipient: Duration::ZERO,
            in_flight_max: 4,
        },
    }
}
