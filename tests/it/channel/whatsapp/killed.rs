//! SIGKILL around the moments at which a message could be lost or doubled, and the command line.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::ANN;
use crate::support::agent::{reply_and_die, resend};
use crate::support::daemon::{Daemon, client};
use crate::support::graph::whatsapp::{
    APP_SECRET, Act, TOKEN, VERIFY_TOKEN, WhatsApp, bytes, signature, status, texts,
};
use crate::support::receiver::Does;
use crate::support::wait_until;

const PATIENCE: Duration = Duration::from_secs(40);

fn configuration(service: &WhatsApp) -> String {
    format!("[channels.wa]\n{}", service.settings())
}

/// Pushes it once, as the service does. Was it taken?
async fn pushed(daemon: &Daemon, body: &Value) -> bool {
    let body = bytes(body);
    let request = client()
        .post(format!("http://127.0.0.1:{}/hooks/wa", daemon.port()))
        .header("x-hub-signature-256", signature(APP_SECRET, &body))
        .body(body)
        .timeout(Duration::from_secs(20));
    request.send().await.is_ok_and(|answer| answer.status() == 200)
}

/// Nothing of ours is in the log.
fn keeps_secrets(daemon: &Daemon) {
    let log = daemon.log();
    for secret in [TOKEN, APP_SECRET, VERIFY_TOKEN, ANN] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
}

/// Whatever moment it dies at, the service pushes again until it is told 200, and then each message is there once.
#[tokio::test]
async fn whatsapp_killed_while_it_receives_every_message_is_there_once() {
    let service = WhatsApp::start();
    let mut daemon = Daemon::prepare(&configuration(&service));
    for (round, step) in
        ["hook.appended", "ingest.interpreted", "ingest.applied"].iter().enumerate()
    {
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        daemon.start_again().await;
        let ids = [format!("wamid.{round}.a"), format!("wamid.{round}.b")];
        let body = texts(&[(ANN, &ids[0], &ids[0]), ("4915187654321", &ids[1], &ids[1])]);
        let first = pushed(&daemon, &body).await;
        daemon.wait_end(PATIENCE);
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        if !first {
            assert!(pushed(&daemon, &body).await, "{step}");
        }
        // A push whose answer got lost comes again.
        assert!(pushed(&daemon, &body).await, "{step}");
        for id in &ids {
            daemon.api().wait_message(PATIENCE, |message| message["text"] == json!(id)).await;
        }
        daemon.kill();
    }
    daemon.start_again().await;
    let messages = daemon.api().messages().await;
    let mut told: Vec<&str> =
        messages.iter().map(|message| message["text"].as_str().unwrap()).collect();
    told.sort_unstable();
    let all = ["wamid.0.a", "wamid.0.b", "wamid.1.a", "wamid.1.b", "wamid.2.a", "wamid.2.b"];
    assert_eq!(told, all);
    keeps_secrets(&daemon);
}

/// Whatever moment it dies at: no answer goes out twice by itself, and the news settle what is in doubt.
#[tokio::test]
async fn whatsapp_killed_while_it_sends_no_answer_is_lost_or_doubled() {
    let service = WhatsApp::start();
    let mut daemon = Daemon::prepare(&configuration(&service));
    daemon.start_again().await;
    assert!(pushed(&daemon, &texts(&[(ANN, "wamid.1", "hello")])).await);
    let question = daemon.api().wait_message(PATIENCE, |message| message["text"] == "hello").await;
    let ticket = question["ticket_id"].as_str().unwrap().to_owned();
    daemon.kill();
    for (round, step) in
        ["lane.begun", "in the call", "lane.delivered", "lane.settled"].iter().enumerate()
    {
        let hangs = *step == "in the call";
        service.on_send(move |_| if hangs { Act::TakeThen(Does::Hang) } else { Act::Take });
        let text = format!("answer {round}");
        let called =
            async || service.taken().iter().any(|sent| sent["text"]["body"] == json!(text));
        let step_or_call = (!hangs).then_some(*step);
        let healed = || service.on_send(|_| Act::Take);
        reply_and_die(&mut daemon, (&ticket, &text), step_or_call, called, healed).await;
        // What went out is told by the service; what did not, a person sends again.
        for row in daemon.api().all("/outbox?status=unconfirmed").await {
            let id = row["id"].clone();
            let known = service.state().taken.iter().find_map(|(sent, name)| {
                (sent["biz_opaque_callback_data"] == id).then(|| name.clone())
            });
            match known {
                Some(name) => assert!(pushed(&daemon, &status(&name, "sent", &id)).await),
                None => {
                    let again = resend(&daemon.api(), id.as_str().unwrap()).await;
                    assert!(again.status.is_success(), "{}", again.body);
                }
            }
        }
        let settled =
            async || daemon.api().all("/outbox?status=unconfirmed,queued,sending").await.is_empty();
        wait_until(step, PATIENCE, settled).await;
        daemon.kill();
    }
    let mut told: Vec<String> = service
        .taken()
        .iter()
        .map(|sent| sent["text"]["body"].as_str().unwrap().to_owned())
        .collect();
    told.sort();
    assert_eq!(told, ["answer 0", "answer 1", "answer 2", "answer 3"], "each once");
    keeps_secrets(&daemon);
}

/// The command line: settings are tried, and a whole request can be handed over by hand.
#[tokio::test]
async fn whatsapp_check_says_whether_it_works_and_ingest_takes_a_body() {
    let service = WhatsApp::start();
    let daemon = Daemon::start(&configuration(&service)).await;
    let check = |daemon: &Daemon| {
        let output = daemon.run(&["check", "--online", "--json"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let told = check(&daemon);
    assert!(told.contains("\"channels.wa") && !told.contains(TOKEN), "{told}");
    assert!(service.state().asked.iter().any(|asked| asked.starts_with("GET ")), "it was asked");
    let body = texts(&[(ANN, "wamid.1", "one"), ("4915187654321", "wamid.2", "two")]);
    let mut command = daemon.command(&["ingest", "wa", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&bytes(&body)).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["state"], "applied", "{told}");
    // The same by the hook, cut into pieces, is nothing new.
    assert!(pushed(&daemon, &body).await);
    assert!(pushed(&daemon, &texts(&[(ANN, "wamid.3", "three")])).await);
    daemon.api().wait_message(PATIENCE, |message| message["text"] == "three").await;
    assert_eq!(daemon.api().messages().await.len(), 3);
}
