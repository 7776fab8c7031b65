//! An outgoing webhook: a lane of the outbox that posts events of our own to an admin's endpoint.
//!
//! Not a kind: nothing comes in by it, and it stands under `[webhooks.<name>]`. To the engine it is a
//! channel that only sends.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use url::{Host, Url};

use super::shared::endpoint::Endpoint;
use super::shared::http::{Http, base_url, guard};
use super::shared::webhook::WebhookKeys;
use super::{Accepted, Channel, Deliver, DeliverError, Interpret, Unreadable};
use crate::model::{
    Capabilities, ChannelName, Duplicates, Meaning, MediaLimit, Outbound, Policy, Priority, Rate,
    Raw, Realm, Receipts, RemoteId, Reopen, Resend, RetryPolicy, Secret, Support, TextLimit,
    TextUnit, TicketDefaults,
};

/// What an admin says about an endpoint.
#[derive(Debug, Clone)]
pub struct WebhookSettings<'a> {
    /// Where events are posted to.
    pub url: &'a str,
    /// The key with which they are signed, `whsec_…`.
    pub secret: &'a Secret,
    /// The key before it, as long as both are in use.
    pub previous_secret: Option<&'a Secret>,
    /// May the endpoint lie in our own network?
    pub allow_private_network: bool,
    /// How long the receiver may take to answer.
    pub time_max: Duration,
    /// How long an event is tried.
    pub give_up_after: Duration,
}

/// What is wrong with an endpoint: the key, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadWebhook {
    /// The key within the endpoint's table.
    pub key: &'static str,
    /// What is wrong with it and what is expected.
    pub problem: String,
}

/// Makes the lane. Connects to nothing.
pub fn build(name: ChannelName, settings: &WebhookSettings<'_>) -> Result<Channel, BadWebhook> {
    let bad = |key: &'static str| move |problem: String| BadWebhook { key, problem };
    let url = check_url(settings.url, settings.allow_private_network).map_err(bad("url"))?;
    WebhookKeys::read([settings.secret]).map_err(bad("secret"))?;
    if let Some(previous) = settings.previous_secret {
        WebhookKeys::read([previous]).map_err(bad("previous_secret"))?;
    }
    let keys = WebhookKeys::read(std::iter::once(settings.secret).chain(settings.previous_secret))
        .map_err(bad("secret"))?;
    // The name may lead inside only if the admin said so.
    let own = if settings.allow_private_network { std::slice::from_ref(&url) } else { &[] };
    let endpoint = Endpoint { http: Http::new(own), url, keys, time_max: settings.time_max };
    Ok(Channel {
        realm: Realm(name.to_string()),
        name,
        kind: "webhook",
        addresses: Vec::new(),
        policy: policy(settings.give_up_after),
        capabilities: capabilities(),
        interpret: Arc::new(Nothing),
        pull: None,
        hook: None,
        listen: None,
        deliver: Some(Arc::new(Announce(endpoint))),
        download: None,
        chat: None,
    })
}

/// An address that may be posted to, as far as it shows before its name is resolved.
pub fn check_url(text: &str, allow_private_network: bool) -> Result<Url, String> {
    let url = base_url(text)?;
    let inside = match url.host() {
        Some(Host::Ipv4(address)) => guard::inside(address.into()).is_some(),
        Some(Host::Ipv6(address)) => guard::inside(address.into()).is_some(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    };
    if inside && !allow_private_network {
        return Err("this address is not on the open internet; if it is meant, set \
                    allow_private_network = true"
            .to_owned());
    }
    Ok(url)
}

/// Posts events. Their text is the body, their `in_reply_to` the event's id.
struct Announce(Endpoint);

#[async_trait]
impl Deliver for Announce {
    fn remote_id(&self, outbound: &Outbound) -> Option<RemoteId> {
        outbound.in_reply_to.clone()
    }

    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        let event = outbound.in_reply_to.clone();
        let event = event.ok_or_else(|| DeliverError::Rejected("it is about no event".into()))?;
        self.0.post(event.as_str(), outbound.text.clone().into()).await?;
        Ok(Accepted { remote_id: event, warning: None })
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        self.0.probe().await
    }
}

/// Nothing comes in.
struct Nothing;

impl Interpret for Nothing {
    fn interpret(&self, _: &Raw) -> Result<Meaning, Unreadable> {
        Ok(Meaning::Ignore("a webhook takes nothing in"))
    }
}

fn policy(give_up_after: Duration) -> Policy {
    Policy {
        reopen: Reopen::Always,
        duplicates: Duplicates::Separate,
        acknowledge: None,
        reply_all: false,
        ticket: TicketDefaults { queue: None, priority: Priority::Normal, tags: Vec::new() },
        retry: RetryPolicy {
            delay_min: Duration::from_secs(5),
            delay_max: Duration::from_secs(3600),
            give_up_after,
        },
        blocked: Vec::new(),
    }
}

/// One at a time, in order; a second post of the same event is known by its id.
fn capabilities() -> Capabilities {
    Capabilities {
        text: TextLimit { max: 1024 * 1024, unit: TextUnit::Bytes },
        media: MediaLimit { bytes_max: 0, count_max: 0, apart: false },
        subject: false,
        html: false,
        copies: false,
        signs: false,
        edit: Support::No,
        delete: Support::No,
        receipts: Receipts::Never,
        resend: Resend::Safe,
        opens: false,
        reply_window: None,
        templates: false,
        private: None,
        choices: None,
        rate: Rate { per_minute: 0, per_recipient: Duration::ZERO, in_flight_max: 1 },
    }
}
