//! SIGKILL around the moments at which a message could be lost or doubled.

use std::time::Duration;

use serde_json::{Value, json};

use super::ANN;
use crate::support::agent::reply_and_die;
use crate::support::daemon::{Daemon, client};
use crate::support::receiver::Does;
use crate::support::telegram::{Act, TOKEN, Telegram, message, refusal};
use crate::support::wait_until;

const PATIENCE: Duration = Duration::from_secs(40);

/// Nothing of ours is in the log.
fn keeps_secrets(daemon: &Daemon) {
    let log = daemon.log();
    for secret in [TOKEN, "canary-5e1c", &ANN.to_string()] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
}

/// Whatever moment it dies at, each message is there once, and none is confirmed before it is stored.
#[tokio::test]
async fn telegram_killed_while_it_receives_every_message_is_there_once() {
    let service = Telegram::start();
    let mut daemon = Daemon::prepare(&format!("[channels.tg]\n{}", service.settings()));
    let steps = ["pull.fetched", "pull.appended", "pull.committed", "ingest.applied"];
    for step in steps {
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        for part in ["a", "b"] {
            service.writes(ANN, &json!({ "text": format!("{step} {part}") }));
        }
        daemon.spawn();
        daemon.wait_end(PATIENCE);
        if step == "pull.fetched" {
            assert_eq!(service.state().waiting.len(), 2, "not stored, so not confirmed");
        }
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        let text = format!("{step} b");
        daemon.api().wait_message(PATIENCE, |message| message["text"] == json!(text)).await;
        daemon.kill();
    }
    daemon.start_again().await;
    wait_until("all to be confirmed", PATIENCE, async || service.state().waiting.is_empty()).await;
    let messages = daemon.api().messages().await;
    let mut told: Vec<&str> =
        messages.iter().map(|message| message["text"].as_str().unwrap()).collect();
    told.sort_unstable();
    let mut all: Vec<String> =
        steps.iter().flat_map(|step| [format!("{step} a"), format!("{step} b")]).collect();
    all.sort_unstable();
    assert_eq!(told, all);
    keeps_secrets(&daemon);
}

/// Pushed, whatever moment it dies at: the service pushes again until it is told 200, and each message is there once.
#[tokio::test]
async fn telegram_killed_while_it_is_pushed_to_every_message_is_there_once() {
    let service = Telegram::start();
    let secret = "s-1_canary-5e1c";
    let mut daemon = Daemon::prepare(&format!(
        "[channels.tg]\n{}mode = \"webhook\"\nwebhook_secret = \"{secret}\"\n",
        service.settings()
    ));
    let mut all = Vec::new();
    for (round, step) in
        ["hook.appended", "ingest.interpreted", "ingest.applied"].iter().enumerate()
    {
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        daemon.start_again().await;
        let number = 31 + i64::try_from(round).unwrap();
        let update = json!({ "update_id": 700 + number,
            "message": message(ANN, number, &json!({ "text": step })) });
        let taken = pushed(&daemon, &update, secret).await;
        daemon.wait_end(PATIENCE);
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        if !taken {
            assert!(pushed(&daemon, &update, secret).await, "{step}");
        }
        // A push whose answer got lost comes again; one with another secret is nobody's.
        assert!(pushed(&daemon, &update, secret).await, "{step}");
        assert!(!pushed(&daemon, &update, "another").await, "{step}");
        daemon.api().wait_message(PATIENCE, |message| message["text"] == **step).await;
        all.push((*step).to_owned());
        daemon.kill();
    }
    daemon.start_again().await;
    let messages = daemon.api().messages().await;
    let told: Vec<&str> =
        messages.iter().map(|message| message["text"].as_str().unwrap()).collect();
    assert_eq!(told, all);
    keeps_secrets(&daemon);
}

/// COMPLAINTS M7: what waits, and for how long, is told for each channel, also of what waited before a restart.
#[tokio::test]
async fn telegram_m7_how_long_things_wait_is_told() {
    let service = Telegram::start();
    let quiet = Telegram::start_as("4839574813:another-secret-of-a-bot");
    let (one, other) = (service.settings(), quiet.settings());
    let mut daemon = Daemon::prepare(&format!("[channels.tg]\n{one}\n[channels.quiet]\n{other}"));
    daemon.start_again().await;
    service.writes(ANN, &json!({ "text": "hello" }));
    let question = daemon.api().wait_message(PATIENCE, |message| message["text"] == "hello").await;
    service.on_call(|method, _| match method {
        "sendmessage" => Act::Refuse(refusal(500, "Internal Server Error", &Value::Null)),
        _ => Act::Do,
    });
    let ticket = question["ticket_id"].as_str().unwrap();
    daemon.api().reply(ticket, "soon", "once").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    daemon.kill();
    daemon.start_again().await;
    let metric = |page: &str, channel: &str| {
        let name = format!("tributary_outbox_oldest_seconds{{channel=\"{channel}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&name)?.parse::<f64>().ok())
    };
    wait_until("the age of what waits", PATIENCE, async || {
        metric(&daemon.metrics().await, "tg").is_some_and(|age| age >= 2.0)
    })
    .await;
    assert_eq!(metric(&daemon.metrics().await, "quiet"), Some(0.0));
}

/// Pushes it once, as the service does. Was it taken?
async fn pushed(daemon: &Daemon, update: &Value, secret: &str) -> bool {
    let request = client()
        .post(format!("http://127.0.0.1:{}/hooks/tg", daemon.port()))
        .header("x-telegram-bot-api-secret-token", secret)
        .json(update)
        .timeout(Duration::from_secs(20));
    request.send().await.is_ok_and(|answer| answer.status() == 200)
}

/// Whatever moment it dies at: no answer goes out twice by itself, and none is lost unseen.
#[tokio::test]
async fn telegram_killed_while_it_sends_no_answer_is_doubled() {
    let service = Telegram::start();
    let mut daemon = Daemon::prepare(&format!("[channels.tg]\n{}", service.settings()));
    daemon.start_again().await;
    service.writes(ANN, &json!({ "text": "hello" }));
    let question = daemon.api().wait_message(PATIENCE, |message| message["text"] == "hello").await;
    let ticket = question["ticket_id"].as_str().unwrap().to_owned();
    daemon.kill();
    for (round, step) in
        ["lane.begun", "in the call", "lane.delivered", "lane.settled"].iter().enumerate()
    {
        let hangs = *step == "in the call";
        service.on_call(move |method, _| match method {
            "sendmessage" if hangs => Act::DoThen(Does::Hang),
            _ => Act::Do,
        });
        let text = format!("answer {round}");
        let called = async || service.texts().contains(&text);
        let step_or_call = (!hangs).then_some(*step);
        let healed = || service.on_call(|_, _| Act::Do);
        reply_and_die(&mut daemon, (&ticket, &text), step_or_call, called, healed).await;
        let doubtful = daemon.api().all("/outbox?status=unconfirmed").await.len();
        let sent = service.texts().iter().filter(|sent| **sent == text).count();
        assert!(sent <= 1, "{step}: sent {sent} times");
        // What did not go out, or may not have, is for a person to see.
        assert_eq!(doubtful, [1, 2, 3, 3][round], "{step}");
        daemon.kill();
    }
    assert_eq!(service.texts(), ["answer 1", "answer 2", "answer 3"]);
    keeps_secrets(&daemon);
}
