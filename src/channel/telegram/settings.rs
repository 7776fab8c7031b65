//! `[channels.<name>]` with `kind = "telegram"`: read and checked.

use std::path::PathBuf;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::bot::Bot;
use crate::channel::shared::http::{Http, base_url};
use crate::channel::{BadChannel, Table, settings};
use crate::model::{ChannelName, Secret};

const API_URL: &str = "https://api.telegram.org";

/// The table as it stands in TOML.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Given {
    /// What `@BotFather` gave: the bot's number, a colon, and the secret.
    token: Secret,
    /// Do we ask for messages, or are they pushed to us?
    #[serde(default)]
    mode: Mode,
    /// Proves a push: 1 to 256 of `A-Z a-z 0-9 _ -`. Made from the master key if it is not told.
    webhook_secret: Option<Secret>,
    /// Where the Bot API is: a server of one's own, for example.
    api_url: Option<String>,
    /// The folder in which a Bot API server on this machine (`--local`) keeps files: they are read from there.
    local_files: Option<PathBuf>,
    /// Groups in which people who work here talk, by their numbers: nothing that is written there is a customer's.
    #[serde(default)]
    desk_chats: Vec<i64>,
}

/// How messages come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    /// We ask: needs no address that the world can reach.
    #[default]
    Poll,
    /// The service pushes to `/hooks/<channel>`.
    Webhook,
}

pub(super) fn schema() -> Schema {
    schemars::schema_for!(Given)
}

/// What the settings say.
pub(super) struct Settings {
    pub(super) bot: Bot,
    pub(super) bot_id: i64,
    pub(super) mode: Mode,
    pub(super) webhook_secret: Option<Secret>,
    pub(super) desk_chats: Vec<i64>,
}

pub(super) fn read(name: &ChannelName, table: Table) -> Result<Settings, BadChannel> {
    let given: Given = settings(name, table)?;
    let at = |path: &str, problem: &str| BadChannel::at(name, path, problem);
    let bot_id = bot_of(&given.token).ok_or_else(|| {
        at("token", "expected what @BotFather gave: digits, `:`, letters and digits")
    })?;
    if let Some(secret) = &given.webhook_secret
        && !fits(secret.reveal(), 256)
    {
        return Err(at("webhook_secret", "expected 1 to 256 of A-Z, a-z, 0-9, _ and -"));
    }
    if given.webhook_secret.is_some() && given.mode == Mode::Poll {
        return Err(at(
            "webhook_secret",
            "it proves pushes: set mode = \"webhook\", or leave it out",
        ));
    }
    if given.local_files.as_ref().is_some_and(|folder| !folder.is_absolute()) {
        return Err(at("local_files", "expected the whole path of a folder"));
    }
    if given.desk_chats.iter().any(|chat| *chat >= 0) {
        return Err(at(
            "desk_chats",
            "expected numbers of groups, which are negative: -1001234567890",
        ));
    }
    let api = base_url(given.api_url.as_deref().unwrap_or(API_URL))
        .map_err(|problem| at("api_url", &problem))?;
    Ok(Settings {
        bot: Bot {
            http: Http::new(std::slice::from_ref(&api)),
            api,
            token: given.token,
            local_files: given.local_files,
        },
        bot_id,
        mode: given.mode,
        webhook_secret: given.webhook_secret,
        desk_chats: given.desk_chats,
    })
}

/// The bot's own number stands before the colon.
fn bot_of(token: &Secret) -> Option<i64> {
    let (id, secret) = token.reveal().split_once(':')?;
    let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|_| digits && fits(secret, 200))
}

fn fits(text: &str, bytes_max: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    !text.is_empty() && text.len() <= bytes_max && text.bytes().all(plain)
}
