//! What every kind of channel has to keep, whatever it is: `docs/ADAPTERS.md`, as far as it can be tried.
//!
//! A kind brings a fixture (settings that reach nobody, some raws) and is led through the same list.

mod api;
mod email;
mod graph;
mod phone;
mod sms;
mod telegram;
mod webchat;
mod whatsapp;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tributary::channel::shared::sign::Signer;
use tributary::channel::{
    self, BadChannel, Channel, Deliver, DeliverError, KINDS, PullError, Site, Vault,
};
use tributary::model::{
    Address, Cause, DedupeKey, DeliveryId, Event, Inbound, Meaning, Outbound, Party, Raw, RemoteId,
    Scheme, Secret, Transport,
};

/// What a kind brings.
pub(crate) struct Fixture {
    /// The word after `kind =`.
    kind: &'static str,
    /// Its table in TOML, without `kind`. Every address in it is one at which nobody listens, and every
    /// secret is [`SECRET`].
    settings: &'static str,
    /// Raws as the service gives them, good ones first.
    raws: fn() -> Vec<Raw>,
    /// How many of them are messages.
    messages: usize,
    /// Somebody who can be written to.
    recipient: fn() -> Address,
    /// Requests to its hook that did not come from the service.
    forged: fn() -> Vec<http::Request<Bytes>>,
}

const FIXTURES: &[Fixture] = &[
    api::FIXTURE,
    email::FIXTURE,
    phone::FIXTURE,
    sms::FIXTURE,
    telegram::FIXTURE,
    webchat::FIXTURE,
    whatsapp::FIXTURE,
    graph::MESSENGER,
    graph::INSTAGRAM,
    graph::FACEBOOK_COMMENTS,
    graph::INSTAGRAM_COMMENTS,
];

/// Stands in every fixture where a password or token does; must be seen nowhere.
const SECRET: &str = "conformance-secret-of-many-letters";

struct NoVault;

#[async_trait]
impl Vault for NoVault {
    async fn get(&self, _: &str) -> Result<Option<Secret>, Cause> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: Secret) -> Result<(), Cause> {
        Ok(())
    }
}

impl Fixture {
    fn try_build(&self, more: &str) -> Result<Channel, BadChannel> {
        let kind = self.kind;
        let text = format!("kind = \"{kind}\"\n{more}\n{}", self.settings);
        let file = config::File::from_str(&text, config::FileFormat::Toml);
        let read = config::Config::builder().add_source(file).build().unwrap();
        let site = Site {
            public_url: "https://desk.example".to_owned(),
            signer: Signer::new(vec![[7; 32]]),
            vault: Arc::new(NoVault),
        };
        channel::build("under_test".parse().unwrap(), read.try_deserialize().unwrap(), &site)
    }

    fn build(&self) -> Channel {
        drop(rustls::crypto::ring::default_provider().install_default());
        self.try_build("").unwrap_or_else(|bad| panic!("{}: {bad}", self.kind))
    }

    fn outbound(&self) -> Outbound {
        Outbound {
            delivery: DeliveryId::new(),
            ticket_number: 7,
            to: Party { address: (self.recipient)(), name: Some("Anna".to_owned()) },
            cc: Vec::new(),
            thread: None,
            in_reply_to: Some(RemoteId::new("q1")),
            references: Vec::new(),
            subject: Some("a question".to_owned()),
            text: "an answer".to_owned(),
            html: None,
            media: Vec::new(),
            author: Some("Agent".to_owned()),
            automated: false,
            private: false,
            choices: Vec::new(),
            language: None,
            bridge: None,
            signature: None,
            begun_at: chrono::DateTime::UNIX_EPOCH,
            tried_since: None,
            customer_wrote_at: None,
            template: None,
        }
    }
}

pub(crate) fn raw(body: &[u8], transport: Transport) -> Raw {
    Raw {
        dedupe: DedupeKey::new(format!("key {}", body.len())),
        body: Bytes::copy_from_slice(body),
        transport,
        received_at: Some(crate::store::start()),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[test]
fn every_kind_is_tried_here_and_nothing_else() {
    let kinds: BTreeSet<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let tried: BTreeSet<&str> = FIXTURES.iter().map(|fixture| fixture.kind).collect();
    assert_eq!(kinds, tried, "each kind has a fixture here, and each fixture its kind");
}

#[test]
fn building_is_quick_connects_to_nothing_and_names_what_is_wrong() {
    for fixture in FIXTURES {
        let began = Instant::now();
        let channel = fixture.build();
        assert!(began.elapsed() < Duration::from_secs(2), "{}", fixture.kind);
        assert_eq!(channel.kind, fixture.kind);
        assert_eq!(channel.name.as_str(), "under_test");
        for (key, value) in [("no_such_key", "1"), ("reopen", "\"sometimes\"")] {
            let Err(bad) = fixture.try_build(&format!("{key} = {value}")) else {
                panic!("{}: {key} = {value} was taken", fixture.kind);
            };
            let text = bad.to_string();
            assert!(text.contains(key) && text.contains("under_test"), "{}: {text}", fixture.kind);
            assert!(!text.contains(SECRET), "{}: {text}", fixture.kind);
        }
        // What every channel may have is taken by every kind.
        let common = "queue = \"q\"\ntags = [\"t\"]\npriority = \"high\"\nreopen = 3\nblocked = [\"@x.example\"]";
        let channel =
            fixture.try_build(common).unwrap_or_else(|bad| panic!("{}: {bad}", fixture.kind));
        assert_eq!(channel.policy.ticket.queue.as_deref(), Some("q"), "{}", fixture.kind);
    }
}

#[test]
fn what_it_promises_makes_sense() {
    for fixture in FIXTURES {
        let (channel, kind) = (fixture.build(), fixture.kind);
        let can = &channel.capabilities;
        assert!(can.text.max >= 1, "{kind}: no text fits");
        assert!(can.rate.in_flight_max >= 1, "{kind}: no call may begin");
        assert!(!channel.realm.0.is_empty(), "{kind}");
        let comes = channel.pull.is_some() || channel.hook.is_some() || channel.listen.is_some();
        assert!(comes || channel.deliver.is_some(), "{kind}: it does nothing");
        if channel.deliver.is_some() {
            assert!(!channel.addresses.is_empty(), "{kind}: whose is what it sends?");
        }
        // A service may know us by no address at all; a mail address without a value would be everybody's.
        let named = |own: &Address| own.scheme != Scheme::Email || !own.value.trim().is_empty();
        assert!(channel.addresses.iter().all(named), "{kind}");
    }
}

fn inbounds(meaning: &Meaning) -> Vec<&Inbound> {
    let Meaning::Events(events) = meaning else { return Vec::new() };
    events.iter().filter_map(Event::message).collect()
}

#[test]
fn the_same_bytes_have_the_same_meaning_every_time() {
    for fixture in FIXTURES {
        let (one, other) = (fixture.build(), fixture.build());
        let mut messages = 0;
        for raw in (fixture.raws)() {
            let first = format!("{:?}", one.interpret.interpret(&raw));
            for channel in [&one, &other] {
                assert_eq!(
                    first,
                    format!("{:?}", channel.interpret.interpret(&raw)),
                    "{}",
                    fixture.kind
                );
            }
            if let Ok(meaning) = one.interpret.interpret(&raw) {
                messages += inbounds(&meaning).len();
                check(fixture.kind, &meaning);
            }
        }
        assert_eq!(messages, fixture.messages, "{}", fixture.kind);
    }
}

/// What the desk relies on.
fn check(kind: &str, meaning: &Meaning) {
    match meaning {
        Meaning::Events(events) => assert!(!events.is_empty(), "{kind}: nothing, without a reason"),
        Meaning::Ignore(why) => assert!(!why.trim().is_empty(), "{kind}: ignored without a reason"),
    }
    for inbound in inbounds(meaning) {
        let blank = |text: &str| text.trim_matches(|c: char| " <>\t\r\n".contains(c)).is_empty();
        assert!(!blank(inbound.remote_id.as_str()), "{kind}: a message without a name");
        assert!(!inbound.digest.is_empty(), "{kind}: a message without a digest");
        let parents = &inbound.thread.parents;
        assert!(parents.iter().all(|id| !blank(id.as_str())), "{kind}: it answers nothing");
        assert!(!parents.contains(&inbound.remote_id), "{kind}: it answers itself");
        if let Some(address) = &inbound.sender.address {
            assert!(!address.value.trim().is_empty(), "{kind}: an empty address");
            if address.scheme == Scheme::Email {
                assert_eq!(address.value, address.value.to_lowercase(), "{kind}");
            }
        }
        for media in &inbound.media {
            let name = &media.name;
            assert!(!name.is_empty() && !name.contains(['/', '\\', '\0']), "{kind}: {name:?}");
            assert_eq!(media.mime, media.mime.to_lowercase(), "{kind}");
        }
        if let Some(html) = inbound.html.as_ref().map(|html| html.to_lowercase()) {
            for bad in ["<script", "javascript:", "onerror=", "<iframe", "<form"] {
                assert!(!html.contains(bad), "{kind}: {bad} in {html}");
            }
        }
    }
}

/// Whatever comes: a meaning or an error, never a panic, never for ever.
#[test]
fn no_bytes_bring_it_down() {
    for fixture in FIXTURES {
        let channel = fixture.build();
        let mut bodies: Vec<Vec<u8>> = vec![Vec::new(), vec![0; 5000], vec![0xff; 5000]];
        bodies.extend(
            ["{", "[[[[", "\r\n\r\n", "\u{202e}\u{0}", "null", "a=b&a=b&&="]
                .map(|text| text.as_bytes().to_vec()),
        );
        bodies.push(b"[".repeat(100_000));
        bodies.push(b"{\"a\":".repeat(100_000));
        for raw in (fixture.raws)() {
            let body = raw.body.to_vec();
            let step = body.len() / 40 + 1;
            for at in (0..body.len()).step_by(step) {
                bodies.push(body[..at].to_vec());
                let mut broken = body.clone();
                broken[at] ^= 0x55;
                bodies.push(broken);
                let mut doubled = body[..at].to_vec();
                doubled.extend(&body);
                bodies.push(doubled);
            }
        }
        let transports = [Transport::new(), (fixture.raws)()[0].transport.clone()];
        for body in bodies {
            for transport in &transports {
                let began = Instant::now();
                match channel.interpret.interpret(&raw(&body, transport.clone())) {
                    Ok(meaning) => check(fixture.kind, &meaning),
                    Err(unreadable) => assert!(!chain(&unreadable).contains(SECRET)),
                }
                assert!(began.elapsed() < Duration::from_secs(5), "{}: too slow", fixture.kind);
            }
        }
    }
}

#[test]
fn a_hook_believes_nobody_without_a_signature() {
    for fixture in FIXTURES {
        let (channel, forged) = (fixture.build(), (fixture.forged)());
        assert_eq!(channel.hook.is_some(), !forged.is_empty(), "{}", fixture.kind);
        let Some(hook) = channel.hook else { continue };
        for request in forged {
            let Err(refused) = hook.receive(&request) else {
                panic!("{}: {request:?} was taken", fixture.kind);
            };
            let status = refused.status.as_u16();
            assert!((400..500).contains(&status), "{}: {status}", fixture.kind);
        }
    }
}

#[tokio::test]
async fn a_service_that_is_away_is_no_fault_of_anything() {
    for fixture in FIXTURES {
        let (channel, kind) = (fixture.build(), fixture.kind);
        if let Some(pull) = &channel.pull {
            let Err(error) = pull.connect(None).await else {
                panic!("{kind}: connected to nobody")
            };
            let text = chain(&error);
            assert!(matches!(error, PullError::Retry { .. }), "{kind}: {text}");
            assert!(!text.contains(SECRET), "{kind}: {text}");
            // A cursor that cannot be read is no fault of the service.
            let odd = Some(tributary::model::Cursor::new("no cursor of ours"));
            assert!(matches!(pull.connect(odd).await, Err(PullError::Retry { .. })), "{kind}");
        }
        let Some(deliver) = &channel.deliver else { continue };
        if channel.chat.is_some() {
            // Its service is our own server and store, which are not asked by this.
            names(kind, &**deliver, fixture);
            continue;
        }
        let outbound = fixture.outbound();
        let outcomes = [deliver.deliver(&outbound).await.map(drop), deliver.probe().await];
        for outcome in outcomes {
            let error = outcome.expect_err(kind);
            let text = chain(&error);
            assert!(matches!(error, DeliverError::Offline(_)), "{kind}: {error:?}");
            assert!(!text.contains(SECRET), "{kind}: {text}");
            assert!(!text.contains(&outbound.to.address.value), "{kind}: {text}");
        }
        names(kind, &**deliver, fixture);
    }
}

/// A name that we choose is the same at every attempt, and another one for every delivery.
fn names(kind: &str, deliver: &dyn Deliver, fixture: &Fixture) {
    let (one, other) = (fixture.outbound(), fixture.outbound());
    assert_eq!(deliver.remote_id(&one), deliver.remote_id(&one), "{kind}");
    if let Some(named) = deliver.remote_id(&one) {
        assert_ne!(Some(named), deliver.remote_id(&other), "{kind}");
    }
}
