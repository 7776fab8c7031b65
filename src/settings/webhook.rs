//! `[webhooks.<name>]`: endpoints to which events are posted.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Found;
use crate::channel::shared::webhook::WebhookKeys;
use crate::channel::webhook::{self, WebhookSettings};
use crate::desk::Wanted;
use crate::engine::Webhook;
use crate::model::{ChannelName, EVENT_KINDS, Secret};

/// What stands before an endpoint's name where channels are listed.
pub(super) const PREFIX: &str = "webhook_";

/// `[webhooks.<name>]`: an endpoint.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSection {
    /// Where events are posted to: https, or http on this machine.
    pub url: String,
    /// The key with which they are signed, `whsec_…`.
    pub secret: Secret,
    /// The key before it, as long as both are in use.
    pub previous_secret: Option<Secret>,
    /// Which events: `*`, `ticket.*`, `ticket.created`, `message.created:in` …
    pub events: Vec<String>,
    /// May the endpoint lie in our own network? Default: no.
    pub allow_private_network: Option<bool>,
    /// Seconds that the receiver may take to answer. Default: 20.
    #[schemars(range(min = 10, max = 300))]
    pub seconds_max: Option<u64>,
    /// How long an event is tried. Default: 72.
    #[schemars(range(min = 1, max = 8760))]
    pub give_up_after_hours: Option<u64>,
}

impl WebhookSection {
    /// Everything that is wrong, with its path within the endpoint's table.
    pub(super) fn faults(&self) -> Vec<Found> {
        let mut faults = Vec::new();
        let mut note = |path: String, reason: String| faults.push(Found { path, reason });
        if let Err(reason) = webhook::check_url(&self.url, self.is_private()) {
            note("url".to_owned(), reason);
        }
        let secrets =
            [("secret", Some(&self.secret)), ("previous_secret", self.previous_secret.as_ref())];
        for (path, secret) in secrets {
            if let Some(Err(reason)) = secret.map(|secret| WebhookKeys::read([secret])) {
                note(path.to_owned(), reason);
            }
        }
        if let Err((_, reason)) = Wanted::read(&self.events, EVENT_KINDS)
            && self.events.is_empty()
        {
            note("events".to_owned(), reason);
        }
        for (at, pattern) in self.events.iter().enumerate() {
            if let Err((_, reason)) = Wanted::read(std::slice::from_ref(pattern), EVENT_KINDS) {
                note(format!("events[{at}]"), reason);
            }
        }
        if !(10..=300).contains(&self.seconds()) {
            note("seconds_max".to_owned(), "must be from 10 to 300".to_owned());
        }
        if !(1..=8760).contains(&self.hours()) {
            note("give_up_after_hours".to_owned(), "must be from 1 to 8760".to_owned());
        }
        faults
    }

    /// Makes the lane. The fault's path is within the endpoint's table.
    pub(super) fn build(&self, name: ChannelName) -> Result<Webhook, Found> {
        let wanted = Wanted::read(&self.events, EVENT_KINDS)
            .map_err(|(_, reason)| Found { path: "events".to_owned(), reason })?;
        let settings = WebhookSettings {
            url: &self.url,
            secret: &self.secret,
            previous_secret: self.previous_secret.as_ref(),
            allow_private_network: self.is_private(),
            time_max: Duration::from_secs(self.seconds()),
            give_up_after: Duration::from_secs(self.hours().saturating_mul(3600)),
        };
        let channel = webhook::build(name, &settings)
            .map_err(|bad| Found { path: bad.key.to_owned(), reason: bad.problem })?;
        Ok(Webhook { channel, wanted })
    }

    fn is_private(&self) -> bool {
        self.allow_private_network.unwrap_or(false)
    }

    fn seconds(&self) -> u64 {
        self.seconds_max.unwrap_or(20)
    }

    fn hours(&self) -> u64 {
        self.give_up_after_hours.unwrap_or(72)
    }
}

/// Under which name an endpoint's lane is listed.
pub(super) fn lane(name: &str) -> Result<ChannelName, String> {
    let lane: Result<ChannelName, _> = format!("{PREFIX}{name}").parse();
    let longest = ChannelName::LENGTH_MAX - PREFIX.len();
    lane.map_err(|_| format!("an endpoint has a name of 1 to {longest} of a-z, 0-9 and _"))
}
