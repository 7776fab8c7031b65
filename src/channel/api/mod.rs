//! Any other system: it posts what its customers write, and gets our replies by a signed request.
//!
//! `entry` is the format, `hook` takes it in, `read` understands it, `reply` answers.

mod entry;
mod hook;
mod read;
mod reply;

use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use super::shared::endpoint::Endpoint;
use super::shared::http::{Http, base_url};
use super::shared::sign::base64;
use super::shared::webhook::WebhookKeys;
use super::{BadChannel, Channel, Deliver, Kind, Site, Table, settings};
use crate::model::{
    Address, Capabilities, ChannelName, MediaLimit, Policy, Rate, Realm, Receipts, Resend, Scheme,
    Secret, Support, TextLimit, TextUnit,
};

/// `kind = "api"`.
pub const KIND: Kind = Kind { name: "api", build, schema, sign_ins: None };

fn schema() -> Schema {
    schemars::schema_for!(Settings)
}

/// What stands before a conversation of the other system in a thread key, so that none of them is one of
/// ours.
const THREAD: &str = "c:";
/// Shorter tokens can be guessed.
const TOKEN_CHARS_MIN: usize = 20;
/// Longest wait for a receiver that may be set.
const SECONDS_MAX: u64 = 300;

/// `[channels.<name>]` with `kind = "api"`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The key with which the other system signs what it posts, `whsec_…`.
    secret: Option<Secret>,
    /// The key before it, as long as both are in use.
    previous_secret: Option<Secret>,
    /// Instead of a signature: what the other system sends as `Authorization: Bearer …`.
    token: Option<Secret>,
    /// Where replies are posted to. Without it they wait in our API.
    reply_url: Option<String>,
    /// The key with which we sign replies, `whsec_…`; without it, `secret`.
    reply_secret: Option<Secret>,
    /// The key before it, as long as both are in use.
    previous_reply_secret: Option<Secret>,
    /// How long the receiver may take to answer.
    #[schemars(range(min = 10, max = 300))]
    reply_seconds_max: Option<u64>,
    /// Replies under way at once, never two of one conversation.
    #[schemars(range(min = 1, max = 64))]
    replies_at_once_max: Option<u16>,
}

fn build(
    name: ChannelName,
    table: Table,
    policy: Policy,
    site: &Site,
) -> Result<Channel, BadChannel> {
    let settings: Settings = settings(&name, table)?;
    let at = |path: &str, problem: String| BadChannel::at(&name, path, problem);
    let keys = |path: &str, secret: &Option<Secret>, previous: &Option<Secret>| {
        if secret.is_none() && previous.is_some() {
            return Err(at(
                &format!("previous_{path}"),
                format!("there is no `{path}` that replaces it"),
            ));
        }
        let (Some(secret), previous) = (secret, previous) else { return Ok(None) };
        WebhookKeys::read([secret]).map_err(|problem| at(path, problem))?;
        if let Some(previous) = previous {
            WebhookKeys::read([previous])
                .map_err(|problem| at(&format!("previous_{path}"), problem))?;
        }
        let both = std::iter::once(secret).chain(previous);
        WebhookKeys::read(both).map(Some).map_err(|problem| at(path, problem))
    };
    let given = keys("secret", &settings.secret, &settings.previous_secret)?;
    let for_replies =
        keys("reply_secret", &settings.reply_secret, &settings.previous_reply_secret)?;
    if let Some(token) = &settings.token {
        check_token(token).map_err(|problem| at("token", problem))?;
    }
    let made = Made::of(&name, site);
    let nothing_given = given.is_none() && settings.token.is_none();
    let door = hook::Door {
        keys: if nothing_given { Some(made.keys.clone()) } else { given.clone() },
        token: if nothing_given { Some(made.token) } else { settings.token },
    };
    let seconds = settings.reply_seconds_max.unwrap_or(20);
    if !(10..=SECONDS_MAX).contains(&seconds) {
        return Err(at("reply_seconds_max", format!("must be from 10 to {SECONDS_MAX}")));
    }
    let at_once = settings.replies_at_once_max.unwrap_or(4);
    if at_once == 0 || at_once > 64 {
        return Err(at("replies_at_once_max", "must be from 1 to 64".to_owned()));
    }
    let deliver: Arc<dyn Deliver> = match &settings.reply_url {
        None => Arc::new(reply::Shelf),
        Some(url) => {
            let url = base_url(url).map_err(|problem| at("reply_url", problem))?;
            Arc::new(reply::Post(Endpoint {
                http: Http::new(std::slice::from_ref(&url)),
                url,
                keys: for_replies.or(given).unwrap_or(made.keys),
                time_max: Duration::from_secs(seconds),
            }))
        }
    };
    Ok(Channel {
        kind: KIND.name,
        realm: Realm(name.to_string()),
        // Nobody's id is empty, so this is nobody else.
        addresses: vec![Address {
            scheme: Scheme::Api,
            scope: Some(name.clone()),
            value: String::new(),
        }],
        policy,
        capabilities: capabilities(at_once),
        interpret: Arc::new(read::Reader { channel: name.clone() }),
        pull: None,
        hook: Some(Arc::new(door)),
        listen: None,
        deliver: Some(deliver),
        download: Some(Arc::new(reply::Fetch { http: Http::new(&[]) })),
        chat: None,
        name,
    })
}

fn capabilities(at_once: u16) -> Capabilities {
    Capabilities {
        text: TextLimit { max: 1024 * 1024, unit: TextUnit::Bytes },
        media: MediaLimit { bytes_max: 20 * 1024 * 1024, count_max: 50, apart: false },
        subject: true,
        html: true,
        copies: false,
        signs: false,
        edit: Support::No,
        delete: Support::No,
        receipts: Receipts::Read,
        resend: Resend::Safe,
        opens: true,
        reply_window: None,
        templates: false,
        private: None,
        choices: None,
        rate: Rate { per_minute: 0, per_recipient: Duration::ZERO, in_flight_max: at_once },
    }
}

fn check_token(token: &Secret) -> Result<(), String> {
    let text = token.reveal();
    let first = text.chars().next();
    let varied = text.chars().any(|c| Some(c) != first);
    if text.len() < TOKEN_CHARS_MIN || !varied || !text.bytes().all(|byte| byte.is_ascii_graphic())
    {
        return Err(format!(
            "expected at least {TOKEN_CHARS_MIN} random letters and digits; make one with \
             `openssl rand -hex 32`"
        ));
    }
    Ok(())
}

/// What a channel without a secret of its own is given: made from the installation's keys, so that it is the
/// same after a restart and on every node, and nowhere written down.
struct Made {
    keys: WebhookKeys,
    token: Secret,
}

impl Made {
    fn of(name: &ChannelName, site: &Site) -> Self {
        let keys = WebhookKeys::of(site.signer.derive(&format!("api:{name}:secret")));
        let token = site.signer.derive(&format!("api:{name}:token"));
        let token = base64(token.first().map_or(&[], |token| token.as_slice()));
        // No letters that a shell or a header would mind.
        let token = token.trim_end_matches('=').replace(['+', '/'], "x");
        Self { keys, token: Secret::new(format!("tra_{token}")) }
    }
}

/// What the other system's people are to be told, where the settings do not say it.
pub(super) fn made_credentials(
    name: &ChannelName,
    table: Table,
    site: &Site,
) -> Result<Vec<(&'static str, Secret)>, BadChannel> {
    let settings: Settings = settings(name, table)?;
    if settings.secret.is_some() || settings.token.is_some() {
        return Ok(Vec::new());
    }
    let made = Made::of(name, site);
    Ok(vec![("secret", made.keys.shown()), ("token", made.token)])
}

#[cfg(test)]
mod tests;
