//! The keys that every `[channels.<name>]` table may hold beside those of its kind → [`Policy`].

use std::collections::HashMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{BadChannel, Table, settings};
use crate::model::{
    Acknowledge, ChannelName, Duplicates, Policy, Priority, Reopen, RetryPolicy, TicketDefaults,
};

/// The common keys as they stand in TOML. Durations are numbers with their unit in the name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Common {
    /// `always`, `never`, or a number of days after solving.
    reopen: Option<ReopenSetting>,
    /// One mail to two of our mailboxes: one ticket (`join`) or one each (`separate`).
    duplicates: Option<DuplicatesSetting>,
    /// Sent when a ticket is opened.
    acknowledge: Option<AcknowledgeSetting>,
    /// Do replies go to everybody who was addressed (the default), or to the customer alone?
    reply_all: Option<bool>,
    /// The queue of new tickets.
    queue: Option<String>,
    /// The priority of new tickets.
    #[schemars(with = "Option<String>", extend("enum" = ["low", "normal", "high", "urgent"]))]
    priority: Option<Priority>,
    /// Put on new tickets.
    tags: Option<Vec<String>>,
    /// How often and how long a delivery is tried.
    retry: Option<RetrySetting>,
    /// Addresses, or `@domain`, whose messages are kept as spam and never answered.
    blocked: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
enum ReopenSetting {
    Days(u32),
    Word(String),
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum DuplicatesSetting {
    Join,
    Separate,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AcknowledgeSetting {
    text: String,
    per_address_hours: Option<u32>,
    per_hour_max: Option<u32>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RetrySetting {
    delay_min_seconds: Option<u64>,
    delay_max_seconds: Option<u64>,
    give_up_after_hours: Option<u64>,
}

const KEYS: &[&str] = &[
    "reopen",
    "duplicates",
    "acknowledge",
    "reply_all",
    "queue",
    "priority",
    "tags",
    "retry",
    "blocked",
];

/// Takes the common keys out of a channel's table, so that the kind sees only its own.
pub(super) fn take(
    channel: &ChannelName,
    table: &mut HashMap<String, Table>,
) -> Result<Policy, BadChannel> {
    let common: HashMap<String, Table> =
        KEYS.iter().filter_map(|key| Some(((*key).to_owned(), table.remove(*key)?))).collect();
    let common: Common = settings(channel, common.into())?;
    let retry = common.retry;
    let seconds = |value: Option<u64>, default: u64| Duration::from_secs(value.unwrap_or(default));
    let delay_min = seconds(retry.as_ref().and_then(|retry| retry.delay_min_seconds), 60);
    let delay_max = seconds(retry.as_ref().and_then(|retry| retry.delay_max_seconds), 3600);
    if delay_max < delay_min {
        return Err(BadChannel::at(
            channel,
            "retry.delay_max_seconds",
            "must not be less than retry.delay_min_seconds",
        ));
    }
    let give_up = retry.as_ref().and_then(|retry| retry.give_up_after_hours).unwrap_or(48);
    Ok(Policy {
        reopen: reopen(channel, common.reopen)?,
        duplicates: match common.duplicates {
            None | Some(DuplicatesSetting::Join) => Duplicates::Join,
            Some(DuplicatesSetting::Separate) => Duplicates::Separate,
        },
        acknowledge: common.acknowledge.map(|setting| Acknowledge {
            text: setting.text,
            per_address: Duration::from_secs(
                u64::from(setting.per_address_hours.unwrap_or(24)) * 3600,
            ),
            per_hour_max: setting.per_hour_max.unwrap_or(200),
        }),
        reply_all: common.reply_all.unwrap_or(true),
        ticket: TicketDefaults {
            queue: common.queue,
            priority: common.priority.unwrap_or(Priority::Normal),
            tags: common.tags.unwrap_or_default(),
        },
        retry: RetryPolicy {
            delay_min,
            delay_max,
            give_up_after: Duration::from_secs(give_up * 3600),
        },
        blocked: common
            .blocked
            .unwrap_or_default()
            .into_iter()
            .map(|entry| entry.trim().to_lowercase())
            .collect(),
    })
}

fn reopen(channel: &ChannelName, setting: Option<ReopenSetting>) -> Result<Reopen, BadChannel> {
    let within = |days: u32| Reopen::Within(Duration::from_secs(u64::from(days) * 86_400));
    match setting {
        None => Ok(within(30)),
        Some(ReopenSetting::Days(days)) => Ok(within(days)),
        Some(ReopenSetting::Word(word)) => match word.as_str() {
            "always" => Ok(Reopen::Always),
            "never" => Ok(Reopen::Never),
            other => other.parse().map(within).map_err(|_| {
                BadChannel::at(
                    channel,
                    "reopen",
                    format!("`{other}` is neither `always` nor `never` nor a number of days"),
                )
            }),
        },
    }
}
