//! Outgoing webhooks: every event that was asked for, once, in order, signed, whatever happens in between.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tributary::channel::shared::webhook::WebhookKeys;
use tributary::channel::webhook::{self, WebhookSettings};
use tributary::desk::Wanted;
use tributary::engine::Webhook;
use tributary::model::{DeliveryStatus, EVENT_KINDS, Secret};

use crate::support::daemon::Daemon;
use crate::support::postgres::Database;
use crate::support::receiver::{Asked, Does, Receiver};
use crate::support::rig::{PATIENCE, Rig, pass};
use crate::support::{Signal, wait_until};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OTHER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn api() -> String {
    format!("kind = \"api\"\nsecret = \"{SECRET}\"\n")
}

fn endpoint(name: &str, url: &str, events: &[&str]) -> Webhook {
    let secret = Secret::new(SECRET);
    let settings = WebhookSettings {
        url,
        secret: &secret,
        previous_secret: None,
        allow_private_network: true,
        time_max: Duration::from_secs(10),
        give_up_after: Duration::from_secs(72 * 3600),
    };
    let events: Vec<String> = events.iter().map(|&text| text.to_owned()).collect();
    Webhook {
        channel: webhook::build(name.parse().unwrap(), &settings).unwrap(),
        wanted: Wanted::read(&events, EVENT_KINDS).unwrap(),
    }
}

async fn rig(endpoints: Vec<Webhook>) -> Rig {
    let rig = Rig::start(&[("api", &api())]).await;
    rig.engine.change_webhooks(endpoints, Vec::new()).await.unwrap();
    rig
}

async fn write(rig: &Rig, id: &str) {
    let entry = json!({ "id": id, "conversation": id, "sender": { "id": "u" }, "text": id });
    assert_eq!(rig.post("api", &entry, SECRET, id).await.0, 202);
}

fn verify(asked: &Asked, secret: &str) {
    let keys = WebhookKeys::read([&Secret::new(secret)]).unwrap();
    let headers = asked
        .headers
        .iter()
        .map(|(name, value)| {
            let name: http::HeaderName = name.parse().unwrap();
            (name, value.parse().unwrap())
        })
        .collect();
    let at = chrono::Utc::now();
    assert_eq!(json!(keys.verify(&headers, &asked.body, at).unwrap()), asked.json()["id"]);
}

fn kinds(receiver: &Receiver) -> Vec<String> {
    receiver.asked().iter().map(|asked| asked.json()["type"].as_str().unwrap().to_owned()).collect()
}

/// S1: signed, with time and id. What was asked for comes, and nothing else.
#[tokio::test]
async fn s1_an_endpoint_gets_the_events_that_it_wants_signed_and_in_order() {
    let (all, some) = (Receiver::answering(200), Receiver::answering(204));
    let endpoints = vec![
        endpoint("webhook_all", &all.url("/all"), &["*"]),
        endpoint("webhook_some", &some.url("/some"), &["message.created:in"]),
    ];
    let rig = rig(endpoints).await;
    write(&rig, "m1").await;
    write(&rig, "m2").await;
    wait_until("the events", PATIENCE, async || all.asked().len() >= 4 && some.asked().len() >= 2)
        .await;
    assert_eq!(
        kinds(&all),
        ["ticket.created", "message.created", "ticket.created", "message.created"]
    );
    assert_eq!(kinds(&some), ["message.created", "message.created"]);
    let mut sequence = 0;
    for asked in all.asked() {
        verify(&asked, SECRET);
        let body = asked.json();
        assert!(body["sequence"].as_i64().unwrap() > sequence);
        sequence = body["sequence"].as_i64().unwrap();
        assert!(body["data"]["ticket_id"].is_string(), "{body}");
        assert!(!body.to_string().contains("\"m1\""), "no words of customers: {body}");
    }
    // The same event is the same id for both.
    let of = |receiver: &Receiver| -> BTreeSet<String> {
        receiver.asked().iter().map(|asked| asked.header("webhook-id").to_owned()).collect()
    };
    assert!(of(&some).is_subset(&of(&all)));
    // Visible in the outbox, done, and about no ticket.
    let rows = rig.wait_deliveries(6, DeliveryStatus::Sent).await;
    assert!(rows.iter().all(|row| row.ticket.is_none() && row.event.is_some()));
    // What became of them is told to nobody, or it would never end.
    assert_eq!(all.asked().len(), 4);
    rig.engine.stop().await;
}

/// Both databases: the migration, the cursor, the lane's question.
#[tokio::test]
async fn on_postgresql_events_come_once_and_in_order_too() {
    let database = Database::fresh();
    let receiver = Receiver::answering(200);
    let rig = Rig::start_at(database.url(), &[("api", &api())]).await;
    let endpoints =
        vec![endpoint("webhook_x", &receiver.url("/"), &["message.created", "attachment.*"])];
    rig.engine.change_webhooks(endpoints, Vec::new()).await.unwrap();
    for number in 0..5 {
        write(&rig, &format!("m{number}")).await;
    }
    let file = json!([{ "name": "x", "url": "http://127.0.0.1:1/x" }]);
    let entry = json!({ "id": "f", "sender": { "id": "u" }, "attachments": file });
    assert_eq!(rig.post("api", &entry, SECRET, "f").await.0, 202);
    rig.wait_deliveries(7, DeliveryStatus::Sent).await;
    let sequences: Vec<i64> =
        receiver.asked().iter().map(|asked| asked.json()["sequence"].as_i64().unwrap()).collect();
    assert_eq!(sequences.len(), 7);
    assert!(sequences.is_sorted());
    assert_eq!(kinds(&receiver)[6], "attachment.updated");
    rig.engine.stop().await;
    rig.store.close().await.unwrap();
}

/// A5: down for an hour, down for a day: everything comes, in order. Others are not held up.
#[tokio::test]
async fn a5_a_receiver_that_is_away_for_a_day_gets_everything_later_in_order() {
    let (mut away, there) = (Receiver::answering(200), Receiver::answering(200));
    let endpoints = vec![
        endpoint("webhook_away", &away.url("/"), &["message.created"]),
        endpoint("webhook_there", &there.url("/"), &["message.created"]),
    ];
    let rig = rig(endpoints).await;
    away.stop();
    for (round, hours) in [(0, 1), (1, 24)] {
        for number in 0..3 {
            write(&rig, &format!("r{round}n{number}")).await;
        }
        wait_until("those who are there", PATIENCE, async || {
            there.asked().len() == 3 * (round + 1)
        })
        .await;
        pass(Duration::from_secs(hours * 3600));
    }
    away.start_again();
    wait_until("those who were away", PATIENCE, async || away.asked().len() >= 6).await;
    let ids = |receiver: &Receiver| -> Vec<String> {
        receiver.asked().iter().map(|asked| asked.header("webhook-id").to_owned()).collect()
    };
    assert_eq!(ids(&away), ids(&there));
    rig.wait_deliveries(12, DeliveryStatus::Sent).await;
    rig.engine.stop().await;
}

/// D10: one event, one id, the same bytes, at each attempt; a receiver that answers late has it once by its id.
#[tokio::test]
async fn d10_all_attempts_at_an_event_bear_one_id() {
    let mut days = [
        Does::status(500),
        Does::Close,
        Does::with(429, "retry-after", "600"),
        Does::status(502),
        Does::with(503, "retry-after", "1"),
    ]
    .into_iter();
    let receiver = Receiver::start(move |_| days.next().unwrap_or_else(|| Does::status(200)));
    let rig = rig(vec![endpoint("webhook_x", &receiver.url("/"), &["message.created"])]).await;
    write(&rig, "m1").await;
    write(&rig, "m2").await;
    for attempt in 1..=5_usize {
        wait_until("an attempt", PATIENCE, async || receiver.asked().len() >= attempt).await;
        wait_until("its end", PATIENCE, async || {
            rig.outbox().await.iter().all(|row| row.status == DeliveryStatus::Queued)
        })
        .await;
        pass(Duration::from_secs(3600));
    }
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    let asked = receiver.asked();
    assert_eq!(asked.len(), 7);
    for again in &asked[..6] {
        assert_eq!(again.header("webhook-id"), asked[0].header("webhook-id"));
        assert_eq!(again.body, asked[0].body);
    }
    assert_ne!(asked[6].header("webhook-id"), asked[0].header("webhook-id"));
    rig.engine.stop().await;
}

/// FAULTS 195 to 197, SECURITY 55: a name that leads inside is not called, and a redirect is not followed.
#[tokio::test]
async fn an_endpoint_inside_is_called_only_if_the_admin_says_so() {
    let inside = Receiver::answering(200);
    let secret = Secret::new(SECRET);
    let settings = |url| WebhookSettings {
        url,
        secret: &secret,
        previous_secret: None,
        allow_private_network: false,
        time_max: Duration::from_secs(10),
        give_up_after: Duration::from_secs(3600),
    };
    let url = inside.url("/");
    for literal in [
        &*url,
        "https://10.0.0.1/",
        "https://[fd00::1]/",
        "https://localhost/",
        "http://localhost:1/",
    ] {
        let bad = webhook::build("webhook_x".parse().unwrap(), &settings(literal)).err().unwrap();
        assert_eq!(bad.key, "url");
        assert!(bad.problem.contains("allow_private_network"), "{}", bad.problem);
    }
    for bad in ["", "whsec_", "changeme"] {
        let secret = Secret::new(bad);
        let settings = WebhookSettings { secret: &secret, ..settings("https://example.com/") };
        assert_eq!(
            webhook::build("webhook_x".parse().unwrap(), &settings).err().unwrap().key,
            "secret"
        );
    }
    let target = inside.url("/elsewhere");
    let moved = Receiver::start(move |_| Does::with(302, "location", target.clone()));
    let rig = rig(vec![endpoint("webhook_moved", &moved.url("/"), &["*"])]).await;
    write(&rig, "m1").await;
    wait_until("an attempt", PATIENCE, async || moved.connections() > 0).await;
    wait_until("the lane to need a human", PATIENCE, async || {
        let health = rig.engine.health.of(&"webhook_moved".parse().unwrap());
        health
            .iter()
            .any(|(_, part)| part.last_error.as_ref().is_some_and(|error| error.contains("moved")))
    })
    .await;
    assert_eq!(inside.connections(), 0);
    assert!(
        rig.outbox().await.iter().all(|row| row.status == DeliveryStatus::Queued),
        "nothing is lost"
    );
    rig.engine.stop().await;
}

/// A receiver that refuses one event for good does not lose the next, and can have that one again.
#[tokio::test]
async fn an_event_that_is_refused_holds_nobody_up_and_can_be_sent_again() {
    let mut first = true;
    let receiver = Receiver::start(move |_| {
        let status = if std::mem::take(&mut first) { 400 } else { 200 };
        Does::status(status)
    });
    let rig = rig(vec![endpoint("webhook_x", &receiver.url("/"), &["message.created"])]).await;
    write(&rig, "m1").await;
    write(&rig, "m2").await;
    let rows = rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    assert_eq!(rows[0].status, DeliveryStatus::Failed);
    let actor = tributary::model::Actor::system();
    rig.store.retry_delivery(rows[0].id, actor, rig.now()).await.unwrap();
    rig.engine.wake_outbox(&rows[0].channel);
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    rig.engine.stop().await;
}

/// More events than may wait in the outbox: they wait in the feed, and all of them come.
#[tokio::test]
async fn a_long_absence_fills_no_outbox_and_loses_nothing() {
    let mut receiver = Receiver::answering(200);
    let rig = rig(vec![endpoint("webhook_x", &receiver.url("/"), &["message.created"])]).await;
    receiver.stop();
    for batch in 0..7 {
        let entries: Vec<Value> = (0..100)
            .map(|number| json!({ "id": format!("{batch}-{number}"), "sender": { "id": "u" }, "text": "x" }))
            .collect();
        assert_eq!(rig.post("api", &json!(entries), SECRET, &format!("b{batch}")).await.0, 202);
    }
    let full = async || rig.outbox().await.len() >= 500;
    wait_until("the outbox to be full", PATIENCE, full).await;
    wait_until("all messages", PATIENCE, async || rig.store.last_event().await.unwrap() >= 1400)
        .await;
    assert_eq!(rig.outbox().await.len(), 500);
    receiver.start_again();
    let limit = Duration::from_secs(120);
    wait_until("all events", limit, async || receiver.asked().len() >= 700).await;
    let ids: BTreeSet<String> =
        receiver.asked().iter().map(|asked| asked.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 700);
    let sequences: Vec<i64> =
        receiver.asked().iter().map(|asked| asked.json()["sequence"].as_i64().unwrap()).collect();
    assert!(sequences.is_sorted());
    rig.engine.stop().await;
}

/// Killed between an event and its row, and at each step of the lane: none is lost, none has two ids.
#[tokio::test]
async fn a_kill_at_any_step_loses_no_event_and_doubles_none() {
    for step in ["webhook.queued", "lane.begun", "lane.delivered", "lane.settled"] {
        let receiver = Receiver::answering(200);
        let configuration = format!(
            "[channels.api]\n{}\n[webhooks.crm]\nurl = \"{}\"\nsecret = \"{OTHER}\"\n\
             events = [\"ticket.created\", \"message.created:in\"]\nallow_private_network = true\n",
            api(),
            receiver.url("/hook")
        );
        let mut daemon = Daemon::prepare(&configuration);
        daemon.start_again().await;
        daemon.stop();
        let rig = Rig::beside(&daemon.state_folder(), &[("api", &api())]).await;
        write(&rig, "m1").await;
        write(&rig, "m2").await;
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        daemon.spawn();
        daemon.wait_end(PATIENCE);
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        rig.wait_deliveries(4, DeliveryStatus::Sent).await;
        let asked = receiver.asked();
        for one in &asked {
            verify(one, OTHER);
        }
        let mut order: Vec<(String, String)> = asked
            .iter()
            .map(|asked| {
                let kind = asked.json()["type"].as_str().unwrap().to_owned();
                (asked.header("webhook-id").to_owned(), kind)
            })
            .collect();
        order.dedup();
        let kinds: Vec<&str> = order.iter().map(|(_, kind)| &**kind).collect();
        assert_eq!(
            kinds,
            ["ticket.created", "message.created", "ticket.created", "message.created"],
            "{step}"
        );
        rig.store.close().await.unwrap();
        daemon.stop();
    }
}

/// A reload starts new endpoints and stops those that are gone; a faulty one changes nothing.
#[tokio::test]
async fn a_reload_brings_endpoints_and_takes_them_away() {
    let receiver = Receiver::answering(200);
    let channel = format!("[channels.api]\n{}", api());
    let with = format!(
        "{channel}\n[webhooks.crm]\nurl = \"{}\"\nsecret = \"{OTHER}\"\n\
         events = [\"message.created\"]\nallow_private_network = true\n",
        receiver.url("/hook")
    );
    let mut daemon = Daemon::start(&channel).await;
    let rig = Rig::beside(&daemon.state_folder(), &[("api", &api())]).await;
    let mut reloads = 0;
    let mut reload = async |daemon: &mut Daemon, configuration: &str, outcome: &str| {
        daemon.configure(configuration);
        daemon.signal(Signal::Hup);
        reloads += 1;
        let told = |log: &str| log.matches("reloaded:").count() + log.matches("is refused").count();
        wait_until("the reload", PATIENCE, async || told(&daemon.log()) >= reloads).await;
        assert!(daemon.log().contains(outcome), "{outcome}: {}", daemon.log());
    };
    reload(&mut daemon, &with, "1 webhooks changed").await;
    write(&rig, "m1").await;
    wait_until("the event", PATIENCE, async || receiver.asked().len() == 1).await;
    verify(&receiver.asked()[0], OTHER);
    let faulty = with.replace("message.created", "message.creatd");
    reload(&mut daemon, &faulty, "webhooks.crm.events[0]").await;
    write(&rig, "m2").await;
    wait_until("the next event", PATIENCE, async || receiver.asked().len() == 2).await;
    reload(&mut daemon, &channel, "reloaded").await;
    write(&rig, "m3").await;
    rig.wait_messages(3).await;
    // Put back, it goes on where it was: with the one that it has not heard of.
    reload(&mut daemon, &with, "reloaded").await;
    wait_until("the event in between", PATIENCE, async || receiver.asked().len() == 3).await;
    let ids: BTreeSet<String> =
        receiver.asked().iter().map(|asked| asked.header("webhook-id").to_owned()).collect();
    assert_eq!(ids.len(), 3);
    rig.store.close().await.unwrap();
    daemon.stop();
}

#[test]
fn faults_of_an_endpoint_are_named_with_their_keys() {
    let text = format!(
        "[channels.webhook_taken]\nkind = \"api\"\n\
         [webhooks.a]\nurl = \"http://example.com\"\nsecret = \"\"\nevents = [\"ticket.creatd\"]\n\
         [webhooks.taken]\nurl = \"https://example.com\"\nsecret = \"{SECRET}\"\nevents = [\"*\"]\n\
         [webhooks.b]\nurl = \"https://127.0.0.1\"\nsecret = \"{SECRET}\"\nevents = [\"*\"]\nevent = 1\n"
    );
    let output = Daemon::prepare(&text).run(&["check"]);
    assert_eq!(output.status.code(), Some(78));
    let told = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    for fault in [
        "webhooks.a.url",
        "webhooks.a.secret",
        "webhooks.a.events[0]",
        "webhooks.taken",
        "webhooks.b.event",
    ] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
    assert!(!told.contains(SECRET));
}

/// Every kind that the code records can be asked for.
#[test]
fn no_kind_of_event_is_missing_from_the_list() {
    let mut found = BTreeSet::new();
    let mut folders =
        vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/store"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for part in text.split('"').skip(1).step_by(2) {
                let groups = [
                    "attachment.",
                    "channel.",
                    "delivery.",
                    "message.",
                    "quarantine.",
                    "ticket.",
                    "contact.",
                ];
                let word = |c: char| c.is_ascii_lowercase() || c == '.' || c == '_';
                if groups.iter().any(|group| part.starts_with(group)) && part.chars().all(word) {
                    found.insert(part.to_owned());
                }
            }
        }
    }
    let known: BTreeSet<String> = EVENT_KINDS.iter().map(|&kind| kind.to_owned()).collect();
    let missing: Vec<_> = found.difference(&known).collect();
    assert!(missing.is_empty(), "not in EVENT_KINDS: {missing:?}");
}
