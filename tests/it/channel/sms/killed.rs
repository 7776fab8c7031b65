//! SIGKILL around the moments at which a message could be lost or doubled, and the command line.

use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use super::ANN;
use crate::support::agent::{answer_and_die, reply_and_die};
use crate::support::daemon::{Daemon, client};
use crate::support::receiver::Does;
use crate::support::twilio::{Act, Message, NUMBER, TOKEN, Twilio, push_to};
use crate::support::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);

fn configuration(service: &Twilio) -> String {
    of_number(service, NUMBER)
}

fn of_number(service: &Twilio, number: &str) -> String {
    // What was tried waits until Twilio's list is certain, and not for another minute.
    format!("[channels.sms]\nretry = {{ delay_min_seconds = 1 }}\n{}", service.settings(number))
}

/// Pushes it once, as the service does. Was it taken?
async fn pushed(daemon: &Daemon, service: &Twilio, message: &Message) -> bool {
    let base = format!("http://127.0.0.1:{}", daemon.port());
    let (parts, body) = push_to(&base, &service.fields(message)).into_parts();
    let request = client()
        .post(format!("{base}{}", parts.uri))
        .headers(parts.headers)
        .body(body)
        .timeout(Duration::from_secs(20));
    request.send().await.is_ok_and(|answer| answer.status() == 200)
}

/// Nothing of ours is in the log.
fn keeps_secrets(daemon: &Daemon) {
    let log = daemon.log();
    for secret in [TOKEN, ANN] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
}

/// A push is made once. Whatever moment it dies at, and also if nothing was pushed while it was dead, each message is
/// there once.
#[tokio::test]
async fn sms_killed_while_it_receives_every_message_is_there_once() {
    let service = Twilio::start();
    let mut daemon = Daemon::prepare(&configuration(&service));
    daemon.start_again().await;
    // The first questions, for messages and for news, say from when on messages are ours; at the next that is kept.
    wait_until("questions", PATIENCE, async || {
        service.state().asked.iter().filter(|asked| asked.contains("DateSent")).count() > 2
    })
    .await;
    daemon.kill();
    let steps = ["hook.appended", "ingest.interpreted", "ingest.applied", "pull.appended"];
    for (round, step) in steps.iter().enumerate() {
        let asleep = service.write(ANN, NUMBER, &format!("asleep {round}"));
        let awake = service.write(ANN, NUMBER, &format!("awake {round}"));
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        daemon.spawn();
        // As long as it lives it is pushed to, and it may well not live to say that it took it.
        wait_until(step, PATIENCE, async || {
            pushed(&daemon, &service, &awake).await;
            !daemon.is_running()
        })
        .await;
        daemon.wait_end(PATIENCE);
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        // Nobody pushes any more. Twilio is asked.
        for message in [&asleep, &awake] {
            let there = |one: &serde_json::Value| one["text"] == json!(message.body);
            daemon.api().wait_message(PATIENCE, there).await;
        }
        daemon.kill();
    }
    daemon.start_again().await;
    let messages = daemon.api().messages().await;
    let mut told: Vec<&str> =
        messages.iter().map(|message| message["text"].as_str().unwrap()).collect();
    told.sort_unstable();
    let words = ["asleep", "awake"];
    let all = words.iter().flat_map(|word| (0..4).map(move |round| format!("{word} {round}")));
    assert_eq!(told, all.collect::<Vec<_>>());
    keeps_secrets(&daemon);
}

/// Whatever moment it dies at: each answer goes out once, and no person has to decide anything.
#[tokio::test]
async fn sms_killed_while_it_sends_each_answer_goes_out_once() {
    let service = Twilio::start();
    let mut daemon = Daemon::prepare(&configuration(&service));
    daemon.start_again().await;
    let hello = service.write(ANN, NUMBER, "hello");
    assert!(pushed(&daemon, &service, &hello).await);
    let question = daemon.api().wait_message(PATIENCE, |message| message["text"] == "hello").await;
    let ticket = question["ticket_id"].as_str().unwrap().to_owned();
    daemon.kill();
    for (round, step) in
        ["lane.begun", "in the call", "lane.delivered", "lane.settled"].iter().enumerate()
    {
        let hangs = *step == "in the call";
        service.on_send(move |_| if hangs { Act::TakeThen(Does::Hang) } else { Act::Take });
        let text = format!("answer {round}");
        let called = async || service.sent().iter().any(|sent| sent.body == text);
        let step_or_call = (!hangs).then_some(*step);
        let healed = || service.on_send(|_| Act::Take);
        reply_and_die(&mut daemon, (&ticket, &text), step_or_call, called, healed).await;
        let left = daemon.api().all("/outbox?status=unconfirmed,queued,sending,failed").await;
        assert!(left.is_empty(), "{step}: {left:?}");
        daemon.kill();
    }
    let mut told: Vec<String> = service.sent().into_iter().map(|sent| sent.body).collect();
    told.sort();
    assert_eq!(told, ["answer 0", "answer 1", "answer 2", "answer 3"], "each once");
    keeps_secrets(&daemon);
}

/// A file alone has no words by which it would be known again in Twilio's list: its bytes tell it from another that went
/// just before.
#[tokio::test]
async fn sms_killed_while_it_sends_each_file_goes_out_once() {
    const WHATSAPP: &str = "whatsapp:+15005550006";
    let service = Twilio::start();
    let mut daemon = Daemon::prepare(&of_number(&service, WHATSAPP));
    daemon.start_again().await;
    let hello = service.write(&format!("whatsapp:{ANN}"), WHATSAPP, "hello");
    assert!(pushed(&daemon, &service, &hello).await);
    let question = daemon.api().wait_message(PATIENCE, |message| message["text"] == "hello").await;
    let ticket = question["ticket_id"].as_str().unwrap().to_owned();
    let steps = ["lane.begun", "in the call", "lane.delivered", "lane.settled"];
    for (round, step) in steps.iter().enumerate() {
        let content = format!("picture {round}");
        let part = Part::bytes(content.clone().into_bytes()).file_name("a.png");
        let form = Form::new().part("file", part.mime_str("image/png").unwrap());
        let upload = daemon.api().request(Method::POST, "/uploads").multipart(form);
        let upload = daemon.api().send(upload).await.unwrap().body["id"].take();
        daemon.kill();
        let hangs = *step == "in the call";
        service.on_send(move |_| if hangs { Act::TakeThen(Does::Hang) } else { Act::Take });
        let body = json!({ "kind": "reply", "text": "", "attachments": [upload] });
        let has = |sent: &Message| sent.files.iter().any(|(_, _, kept)| *kept == content);
        let called = async || service.sent().iter().any(has);
        let step_or_call = (!hangs).then_some(*step);
        let healed = || service.on_send(|_| Act::Take);
        answer_and_die(&mut daemon, (&ticket, &body), step_or_call, called, healed).await;
        let left = daemon.api().all("/outbox?status=unconfirmed,queued,sending,failed").await;
        assert!(left.is_empty(), "{step}: {left:?}");
    }
    let sent = service.sent();
    let contents: Vec<&str> = sent.iter().map(|one| one.files[0].2.as_str()).collect();
    assert_eq!(contents, ["picture 0", "picture 1", "picture 2", "picture 3"], "each once");
    keeps_secrets(&daemon);
}

/// The command line: settings are tried, and a push can be handed over by hand.
#[tokio::test]
async fn sms_check_says_whether_it_works() {
    let service = Twilio::start();
    let daemon = Daemon::start(&configuration(&service)).await;
    let check = |daemon: &Daemon| {
        let output = daemon.run(&["check", "--online", "--json"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let told = check(&daemon);
    assert!(told.contains("\"channels.sms") && !told.contains(TOKEN), "{told}");
    assert!(!told.contains("not valid"), "{told}");
    // A token that is no longer the account's.
    let wrong = configuration(&service).replace(TOKEN, "canary-a-token-of-yesterday-0123");
    let other = Daemon::prepare(&wrong);
    let told = check(&other);
    assert!(told.contains("not valid"), "{told}");
}
