//! `[notifications]` and `[[notify]]`: how people who work here are told of what happens.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Found;
use super::webhook;
use crate::channel::{self, Channel, Table};
use crate::desk::notify::{NotifyRule, NotifySettings, TelegramGroup};
use crate::model::{ChannelName, Occasion, Priority, Scheme};

/// `[notifications]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationSection {
    /// The mail channel by which people who work here are written to. Absent: nobody is mailed.
    #[schemars(with = "Option<String>")]
    pub mail: Option<ChannelName>,
    /// So many mails to one person within `digest_minutes`; what comes then goes out together.
    #[schemars(range(min = 1, max = 1000))]
    pub digest_after: u64,
    /// See `digest_after`.
    #[schemars(range(min = 1, max = 1440))]
    pub digest_minutes: u32,
    /// Characters of the customer's words that are shown. 0: none.
    #[schemars(range(max = 300))]
    pub excerpt_chars: usize,
}

/// `[[notify]]`: who is told of what, beside those who chose it for themselves.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotifySection {
    /// Of what: `new_ticket`, `assigned`, `customer_wrote`, `mentioned`, `due_soon`, `overdue`, `callback_due`,
    /// `channel_troubled`.
    #[schemars(with = "Vec<String>")]
    pub on: BTreeSet<Occasion>,
    /// Only of these queues.
    pub queues: Option<Vec<String>>,
    /// Only of these channels.
    pub channels: Option<Vec<String>>,
    /// Only of these priorities.
    #[schemars(with = "Option<Vec<String>>")]
    pub priorities: Option<Vec<Priority>>,
    /// By mail to these addresses.
    pub to: Option<Vec<String>>,
    /// In a group of Telegram.
    pub telegram: Option<TelegramGroup>,
    /// By an outgoing webhook: its name in `[webhooks]`.
    pub webhook: Option<String>,
    /// `en` or `zh`. Default: `en`.
    pub language: Option<String>,
}

impl NotificationSection {
    /// What no type can say.
    pub(super) fn check(&self) -> Result<(), Found> {
        let fault = |key: &str, reason: &str| {
            Err(Found { path: format!("notifications.{key}"), reason: reason.to_owned() })
        };
        if !(1..=1000).contains(&self.digest_after) {
            return fault("digest_after", "must be from 1 to 1000");
        }
        if !(1..=1440).contains(&self.digest_minutes) {
            return fault("digest_minutes", "must be from 1 to 1440");
        }
        if self.excerpt_chars > 300 {
            return fault("excerpt_chars", "must be from 0 to 300");
        }
        Ok(())
    }
}

impl NotifySection {
    /// What no type can say. `at`: its place in the list.
    pub(super) fn check(&self, at: usize) -> Result<(), Found> {
        let fault = |key: &str, reason: String| {
            let dot = if key.is_empty() { "" } else { "." };
            Err(Found { path: format!("notify[{at}]{dot}{key}"), reason })
        };
        if self.on.is_empty() {
            let known: Vec<&str> = Occasion::ALL.iter().map(|known| known.as_str()).collect();
            return fault("on", format!("name at least one of {}", known.join(", ")));
        }
        let to = self.to.as_deref().unwrap_or_default();
        if to.is_empty() && self.telegram.is_none() && self.webhook.is_none() {
            return fault(
                "",
                "give `to`, `telegram` or `webhook`: nobody would be told".to_owned(),
            );
        }
        if to.iter().any(|address| !address.contains('@') || address.contains(char::is_whitespace))
        {
            return fault("to", "expected mail addresses".to_owned());
        }
        if self.language.as_deref().is_some_and(|language| !["en", "zh"].contains(&language)) {
            return fault("language", "expected en or zh".to_owned());
        }
        Ok(())
    }

    fn rule(&self) -> NotifyRule {
        let lane = self.webhook.as_deref().and_then(|name| webhook::lane(name).ok());
        let lower = |list: &Option<Vec<String>>| -> Vec<String> {
            list.iter().flatten().map(|address| address.to_lowercase()).collect()
        };
        NotifyRule {
            on: self.on.clone(),
            queues: self.queues.clone().unwrap_or_default(),
            channels: self.channels.clone().unwrap_or_default(),
            priorities: self.priorities.clone().unwrap_or_default(),
            to: lower(&self.to),
            telegram: self.telegram.clone(),
            webhook: lane,
            language: self.language.clone().unwrap_or_else(|| "en".to_owned()),
        }
    }
}

/// What the engine is handed.
pub(super) fn settings(
    section: &NotificationSection,
    rules: &[NotifySection],
    base: String,
) -> NotifySettings {
    NotifySettings {
        base,
        mail: section.mail.clone(),
        digest_after: section.digest_after,
        digest_within: chrono::Duration::minutes(i64::from(section.digest_minutes)),
        excerpt_chars: section.excerpt_chars,
        rules: rules.iter().map(NotifySection::rule).collect(),
    }
}

/// What is read here of a Telegram channel's table, which is checked elsewhere.
#[derive(Deserialize)]
struct DeskChats {
    #[serde(default)]
    desk_chats: Vec<i64>,
}

/// Does the channel know this group as one in which people who work here talk?
fn is_of_the_desk(chat: i64, table: &Table) -> bool {
    channel::read::<DeskChats>(table.clone()).is_ok_and(|known| known.desk_chats.contains(&chat))
}

/// Names of channels and webhooks that are not there, or cannot do what they are to do.
pub(super) fn misnamed(
    section: &NotificationSection,
    rules: &[NotifySection],
    channels: &BTreeMap<ChannelName, Table>,
    (webhooks, build): (&BTreeSet<ChannelName>, impl Fn(&ChannelName, &Table) -> Option<Channel>),
) -> Vec<Found> {
    let suits = |name: &ChannelName, scheme: Scheme| {
        let channel = channels.get(name).and_then(|table| build(name, table));
        channel.is_some_and(|channel| {
            let ours = channel.addresses.iter().any(|address| address.scheme == scheme);
            ours && channel.deliver.is_some()
        })
    };
    let mut faults = Vec::new();
    let mut note = |path: String, reason: String| faults.push(Found { path, reason });
    if let Some(mail) = section.mail.as_ref().filter(|name| !suits(name, Scheme::Email)) {
        let reason = format!("there is no mail channel {mail} that can send");
        note("notifications.mail".to_owned(), reason);
    }
    for (at, rule) in rules.iter().enumerate() {
        if rule.to.as_ref().is_some_and(|to| !to.is_empty()) && section.mail.is_none() {
            let reason = "nobody can be mailed without notifications.mail".to_owned();
            note(format!("notify[{at}].to"), reason);
        }
        for (place, name) in rule.channels.iter().flatten().enumerate() {
            if !channels.keys().chain(webhooks).any(|known| known.as_str() == name) {
                let reason = format!("there is no channel `{name}`");
                note(format!("notify[{at}].channels[{place}]"), reason);
            }
        }
        if let Some(TelegramGroup { channel, chat, .. }) = &rule.telegram {
            if !suits(channel, Scheme::Telegram) {
                let reason = format!("there is no Telegram channel {channel} that can send");
                note(format!("notify[{at}].telegram.channel"), reason);
            } else if !channels.get(channel).is_some_and(|table| is_of_the_desk(*chat, table)) {
                let reason = format!(
                    "name it in channels.{channel}.desk_chats too: else what you write there is a customer's"
                );
                note(format!("notify[{at}].telegram.chat"), reason);
            }
        }
        let lane = rule.webhook.as_deref().map(webhook::lane);
        if lane.is_some_and(|lane| lane.map_or(true, |lane| !webhooks.contains(&lane))) {
            let reason = "there is no such table in [webhooks]".to_owned();
            note(format!("notify[{at}].webhook"), reason);
        }
    }
    faults
}
