//! Telegram by its Bot API: one bot of ours.
//!
//! `poll` asks for updates, or `push` takes what is pushed; `read` understands them (`words` what, `names` where,
//! `entities` formatting), `send` answers, `files` fetches what customers sent, `bot` makes the calls and
//! knows what the service's errors mean.

mod bot;
mod entities;
mod files;
mod names;
mod poll;
mod push;
mod read;
mod send;
mod settings;
mod words;

use std::sync::Arc;
use std::time::Duration;

use super::{BadChannel, Channel, Hook, Kind, Pull, Site, Table};
use crate::model::{
    Capabilities, ChannelName, ChoiceLimit, MediaLimit, Policy, Rate, Realm, Receipts, Resend,
    Support, TextLimit, TextUnit,
};

/// `kind = "telegram"`.
pub const KIND: Kind = Kind { name: "telegram", build, schema: settings::schema, sign_ins: None };

const MIB: u64 = 1024 * 1024;

/// What is asked for: everything else is never sent to us. It stays as it is at the service until it is changed.
const ALLOWED_UPDATES: &[&str] = &[
    "message",
    "edited_message",
    "callback_query",
    "my_chat_member",
    "message_reaction",
    "business_connection",
    "business_message",
    "edited_business_message",
    "deleted_business_messages",
];

fn build(
    name: ChannelName,
    table: Table,
    policy: Policy,
    site: &Site,
) -> Result<Channel, BadChannel> {
    let settings = settings::read(&name, table)?;
    let (bot, bot_id) = (Arc::new(settings.bot), settings.bot_id);
    let url = format!("{}/hooks/{name}", site.public_url);
    let (pull, hook): (Arc<dyn Pull>, Option<Arc<dyn Hook>>) = match settings.mode {
        settings::Mode::Poll => (Arc::new(poll::Poll { bot: bot.clone(), own_hook: url }), None),
        settings::Mode::Webhook => {
            let secrets = match settings.webhook_secret {
                Some(secret) => vec![secret],
                None => push::secrets(&site.signer, &name),
            };
            let watch = push::Watch { bot: bot.clone(), url, secret: secrets.first().cloned() };
            (Arc::new(watch), Some(Arc::new(push::Door { secrets })))
        }
    };
    Ok(Channel {
        kind: KIND.name,
        realm: Realm(format!("telegram:{bot_id}")),
        addresses: vec![names::address(bot_id)],
        policy,
        capabilities: capabilities(bot.local_files.is_some()),
        interpret: Arc::new(read::Reader { bot_id, desk_chats: settings.desk_chats }),
        pull: Some(pull),
        hook,
        listen: None,
        deliver: Some(Arc::new(send::Sender::new(bot.clone()))),
        download: Some(Arc::new(files::Fetch { bot })),
        chat: None,
        name,
    })
}

const fn capabilities(local: bool) -> Capabilities {
    Capabilities {
        text: TextLimit { max: send::TEXT_UNITS_MAX, unit: TextUnit::Utf16 },
        // A server of one's own takes two thousand; but what is sent is held in memory.
        media: MediaLimit {
            bytes_max: if local { 200 * MIB } else { 50 * MIB },
            count_max: 30,
            apart: true,
        },
        subject: false,
        html: true,
        copies: false,
        signs: false,
        edit: Support::No,
        delete: Support::No,
        receipts: Receipts::Never,
        // There is no key by which the service would know a second call.
        resend: Resend::MayDuplicate,
        opens: false,
        reply_window: None,
        templates: false,
        private: None,
        choices: Some(ChoiceLimit { count: 20, label_chars: 40, text: send::TEXT_UNITS_MAX }),
        // Thirty a second for a bot, one a second for a chat.
        rate: Rate { per_minute: 1_500, per_recipient: Duration::from_secs(1), in_flight_max: 8 },
    }
}

#[cfg(test)]
mod tests;
