//! SIGKILL around the moments at which a call could be lost or an agent be called twice.

use std::time::Duration;

use serde_json::{Value, json};

use super::{HOOK, MENU};
use crate::support::agent::reply_and_die;
use crate::support::daemon::{Daemon, client};
use crate::support::phone::{
    ANN, Act, Caller, Doing, Exchange, Made, TOKEN, Told, fields, request,
};
use crate::support::receiver::Does;
use crate::support::rig::pass;
use crate::support::wait_until;

use Doing::{Agents, Press, Speak};

const PATIENCE: Duration = Duration::from_secs(40);

pub(super) fn configuration(exchange: &Exchange) -> String {
    format!(
        "[channels.hotline]\n{}\n{}",
        exchange.settings(""),
        MENU.replace("[[", "[[channels.hotline.")
    )
}

pub(super) fn base(daemon: &Daemon) -> String {
    format!("http://127.0.0.1:{}", daemon.port())
}

/// Asks it once, as the exchange does; the answer, if the desk was there.
pub(super) async fn asked(daemon: &Daemon, (path, form): &Told) -> Option<String> {
    let signed = request(&base(daemon), path, form);
    let mut post = client().post(format!("{}{path}", base(daemon)));
    for (name, value) in signed.headers() {
        post = post.header(name, value);
    }
    let sent = post.body(signed.into_body()).timeout(Duration::from_secs(20)).send().await.ok()?;
    if sent.status() == 200 { sent.text().await.ok() } else { None }
}

/// Whatever moment it dies at: what was answered is known, the call is one message, and its recording is kept before it
/// is deleted.
#[tokio::test]
async fn killed_within_a_call_it_is_one_message_and_its_recording_is_not_lost() {
    let exchange = Exchange::start();
    let mut daemon = Daemon::prepare(&configuration(&exchange));
    let steps = [
        "hook.appended",
        "hook.appended:3",
        "ingest.interpreted",
        "ingest.applied",
        "ingest.applied:2",
        "media.fetched",
        "media.forgotten",
    ];
    for (round, step) in steps.iter().enumerate() {
        let (name, from) = (format!("CA{round:02}"), format!("+4915112345{round:03}"));
        let recording: &'static str = ["REa", "REb", "REc", "REd", "REe", "REf", "REg"][round];
        exchange.record(recording, 0, &format!("sound {round}"));
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        daemon.start_again().await;
        let base = base(&daemon);
        let acts = [
            Press("1"),
            Press("1"),
            Agents("busy", false),
            Agents("busy", false),
            Press("1"),
            Speak(9, recording),
        ];
        let mut caller = Caller::new(&base, HOOK, (&name, &from), &acts);
        caller.walk(async |told| asked(&daemon, told).await).await;
        // What got no answer is lost, as far as the exchange is concerned; news it tells once.
        for told in &caller.news {
            asked(&daemon, told).await;
        }
        daemon.wait_end(PATIENCE);
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        // Our answer to the last request got lost: asked again.
        let last = caller.asked.last().unwrap().clone();
        assert!(asked(&daemon, &last).await.is_some(), "{step}");
        let text = format!("Call from {from} to");
        let there = |message: &Value| message["text"].as_str().unwrap().contains(&text);
        daemon.api().wait_message(PATIENCE, there).await;
        // What is left over, and the recording that it tells of, would meet the next round's fault before that has
        // begun.
        let read =
            async || daemon.api().get("/channels/hotline").await["counters"]["unread"] == json!(0);
        wait_until("all to be read", PATIENCE, read).await;
        let files = async || {
            let messages = daemon.api().messages().await;
            let message = messages.iter().find(|message| there(message)).unwrap();
            message["attachments"].as_array().unwrap().clone()
        };
        let deleted = || exchange.state().deleted.contains(&recording.to_owned());
        if *step == "media.fetched" {
            // Another node takes it when the one that died had its time; until then the exchange has it.
            assert!(!deleted() && files().await.len() == 1, "{step}");
        } else {
            let kept = async || {
                let files = files().await;
                let stored = files.iter().all(|file| file["state"] == "stored");
                stored && (files.is_empty() || deleted())
            };
            wait_until(step, PATIENCE, kept).await;
            assert!(!step.starts_with("media") || files().await.len() == 1, "{step}");
        }
        daemon.kill();
    }
    daemon.start_again().await;
    assert_eq!(daemon.api().messages().await.len(), steps.len(), "each call once");
    assert_eq!(daemon.api().tickets().await.len(), steps.len());
    assert!(!daemon.log().contains(TOKEN) && !daemon.log().contains("+4915112345"));
}

/// Of calls that nobody told of: whatever moment it dies at while it asks for them, each is one message, with its recording.
#[tokio::test]
async fn killed_while_it_asks_for_calls_each_is_one_message() {
    let exchange = Exchange::start();
    let settings = format!("poll_seconds = 1\n{}", MENU.replace("[[", "[[channels.hotline."));
    let settings = format!("[channels.hotline]\n{}", exchange.settings(&settings));
    let mut daemon = Daemon::prepare(&settings);
    daemon.start_again().await;
    // The first question of all says from when on calls are ours; at the next it is kept.
    wait_until("questions", PATIENCE, async || exchange.state().lists > 2).await;
    daemon.kill();
    let steps = ["pull.appended", "ingest.interpreted", "ingest.applied", "media.fetched"];
    for (round, step) in steps.iter().enumerate() {
        let (sid, from) = (format!("CA{round:02}"), format!("+4915112345{round:03}"));
        let recording = ["REp", "REq", "REr", "REs"][round];
        exchange.record(recording, 0, &format!("sound {round}"));
        let recorded = [(recording, "completed", "RecordVerb")];
        exchange.came((&sid, &from), "completed", &recorded);
        // By the exchange's clock they are over and settled.
        pass(Duration::from_secs(200));
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        daemon.spawn();
        daemon.wait_end(PATIENCE);
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        let whole = |message: &Value| {
            let text = message["text"].as_str().unwrap();
            text.contains(&from) && text.contains("call ended") && text.contains("Left a message")
        };
        let message = daemon.api().wait_message(PATIENCE, whole).await;
        assert_eq!(message["attachments"].as_array().unwrap().len(), 1, "{step}");
        let read =
            async || daemon.api().get("/channels/hotline").await["counters"]["unread"] == json!(0);
        wait_until("all to be read", PATIENCE, read).await;
        daemon.kill();
    }
    daemon.start_again().await;
    assert_eq!(daemon.api().messages().await.len(), steps.len(), "each call once");
    assert_eq!(daemon.api().tickets().await.len(), steps.len());
}

/// Somebody calls and wants to be called back; where that is to be connected.
async fn wish(daemon: &Daemon, name: &str, from: &str) -> String {
    let address = base(daemon);
    let keys = [Press("1"), Press("3"), Press("1")];
    let mut caller = Caller::new(&address, HOOK, (name, from), &keys);
    caller.walk(async |told| asked(daemon, told).await).await;
    let theirs = |one: &Value| one["phone"] == json!(from);
    let wished = async || daemon.api().all("/callbacks").await.iter().any(theirs);
    wait_until("the wish", PATIENCE, wished).await;
    let wishes = daemon.api().all("/callbacks").await;
    let wish = wishes.iter().find(|one| theirs(one)).unwrap();
    format!("/callbacks/{}/connect", wish["id"].as_str().unwrap())
}

/// Calls to an agent on behalf of somebody.
fn made_for(exchange: &Exchange, from: &str) -> Vec<Made> {
    let digits = from.trim_start_matches('+');
    let mut made = exchange.calls();
    made.retain(|made| made.1.get("Twiml").unwrap().contains(digits));
    made
}

/// A person looks at what is in doubt, and leaves it.
async fn leave_doubts(daemon: &Daemon, count: usize) {
    let doubts = async || daemon.api().all("/outbox?status=unconfirmed").await.len() == count;
    wait_until("what is in doubt", PATIENCE, doubts).await;
    for row in daemon.api().all("/outbox?status=unconfirmed").await {
        let cancel = format!("/outbox/{}/cancel", row["id"].as_str().unwrap());
        let left = daemon.api().post(&cancel, &json!({}), &cancel).await.unwrap();
        assert!(left.status.is_success(), "{}", left.body);
    }
}

/// Whatever moment it dies at: an agent is called once for one press of the button, and never twice by itself.
#[tokio::test]
async fn killed_while_it_connects_an_agent_is_called_at_most_once() {
    let exchange = Exchange::start();
    let mut daemon = Daemon::prepare(&configuration(&exchange));
    let steps =
        ["callback.connected", "lane.begun", "in the call", "lane.delivered", "lane.settled"];
    for (round, step) in steps.iter().enumerate() {
        daemon.start_again().await;
        let from = format!("+4915112345{round:03}");
        let path = wish(&daemon, &format!("CA{round:02}"), &from).await;
        daemon.kill();
        let hangs = *step == "in the call";
        if hangs {
            exchange.then([Act::TakeThen(Does::Hang)]);
        } else {
            daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        }
        daemon.start_again().await;
        let (body, key) = (json!({ "number": "+4930123456" }), format!("connect {round}"));
        let first = daemon.api().post(&path, &body, &key).await;
        if hangs {
            let called = async || !made_for(&exchange, &from).is_empty();
            wait_until("the call", PATIENCE, called).await;
            daemon.kill();
        } else {
            daemon.wait_end(PATIENCE);
        }
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        // The browser asks again with the same key where it got no answer.
        if first.is_err() {
            let again = daemon.api().post(&path, &body, &key).await.unwrap();
            assert!(again.status.is_success(), "{step}: {}", again.body);
        }
        let quiet = async || daemon.api().all("/outbox?status=queued,sending").await.is_empty();
        wait_until("nothing to be under way", PATIENCE, quiet).await;
        let made = made_for(&exchange, &from);
        let expected = usize::from(*step != "lane.begun");
        assert_eq!(made.len(), expected, "{step}: an agent is called once, or not at all");
        // What was made is told; what was not, a person sees.
        for (sid, form) in &made {
            let url = form.get("StatusCallback").unwrap();
            let path = url.strip_prefix(&base(&daemon)).unwrap().to_owned();
            let told = fields(&[("CallSid", sid), ("CallStatus", "in-progress")]);
            assert!(asked(&daemon, &(path, told)).await.is_some());
        }
        leave_doubts(&daemon, usize::from(made.is_empty())).await;
        daemon.kill();
    }
}

/// A spoken reply goes out once, whatever moment it dies at.
#[tokio::test]
async fn killed_while_it_speaks_no_reply_is_spoken_twice() {
    let exchange = Exchange::start();
    let mut daemon = Daemon::prepare(&configuration(&exchange));
    daemon.start_again().await;
    let address = base(&daemon);
    let mut caller = Caller::new(&address, HOOK, ("CA01", ANN), &[]);
    caller.walk(async |told| asked(&daemon, told).await).await;
    let call = daemon.api().wait_message(PATIENCE, |message| message["kind"] == "call").await;
    let ticket = call["ticket_id"].as_str().unwrap().to_owned();
    daemon.kill();
    for (round, step) in ["lane.begun", "in the call", "lane.delivered"].iter().enumerate() {
        let hangs = *step == "in the call";
        if hangs {
            exchange.then([Act::TakeThen(Does::Hang)]);
        }
        let text = format!("answer {round}");
        let spoken = |made: &Made| made.1.get("Twiml").unwrap().contains(&text);
        let called = async || exchange.calls().iter().any(spoken);
        reply_and_die(&mut daemon, (&ticket, &text), (!hangs).then_some(*step), called, || {})
            .await;
        assert!(exchange.calls().iter().filter(|made| spoken(made)).count() <= 1, "{step}");
        leave_doubts(&daemon, 1).await;
        daemon.kill();
    }
    assert_eq!(exchange.calls().len(), 2, "what was begun was made once, and no other");
}
