//! SIGKILL around the moments at which a message could be lost or doubled, and the command line.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::{ANN, BOB, settings};
use crate::support::agent::{reply_and_die, resend};
use crate::support::daemon::{Daemon, client};
use crate::support::graph::pages::{APP_SECRET, Face, Pages, TOKEN, VERIFY_TOKEN};
use crate::support::graph::whatsapp::{Act, bytes, signature};
use crate::support::receiver::Does;
use crate::support::wait_until;

const PATIENCE: Duration = Duration::from_secs(40);
const FACE: Face = Face::Messenger;

fn configuration(service: &Pages) -> String {
    format!("[channels.dm]\n{}", settings(service, FACE, ""))
}

/// Pushes it once, as the service does. Was it taken?
async fn pushed(daemon: &Daemon, body: &Value) -> bool {
    let body = bytes(body);
    let request = client()
        .post(format!("http://127.0.0.1:{}/hooks/dm", daemon.port()))
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

fn two(round: usize) -> Value {
    let one = |customer: &str, id: &str| {
        let id = format!("m_{round}_{id}");
        FACE.event(customer, "message", &json!({ "mid": id, "text": id }))
    };
    FACE.envelope("messaging", &[one(ANN, "a"), one(BOB, "b")])
}

/// Whatever moment it dies at, the service pushes again until it is told 200, and then each message is there once.
#[tokio::test]
async fn messenger_killed_while_it_receives_every_message_is_there_once() {
    let service = Pages::start();
    let mut daemon = Daemon::prepare(&configuration(&service));
    for (round, step) in ["hook.appended", "ingest.applied"].iter().enumerate() {
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        daemon.start_again().await;
        let body = two(round);
        let first = pushed(&daemon, &body).await;
        daemon.wait_end(PATIENCE);
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        if !first {
            assert!(pushed(&daemon, &body).await, "{step}");
        }
        // A push whose answer got lost comes again.
        assert!(pushed(&daemon, &body).await, "{step}");
        for id in ["a", "b"] {
            let text = json!(format!("m_{round}_{id}"));
            daemon.api().wait_message(PATIENCE, |message| message["text"] == text).await;
        }
        daemon.kill();
    }
    daemon.start_again().await;
    assert_eq!(daemon.api().messages().await.len(), 4);
    keeps_secrets(&daemon);
}

/// Whatever moment it dies at: no answer goes out twice by itself, and the echo settles what is in doubt.
#[tokio::test]
async fn messenger_killed_while_it_sends_no_answer_is_lost_or_doubled() {
    let service = Pages::start();
    let mut daemon = Daemon::prepare(&configuration(&service));
    daemon.start_again().await;
    assert!(pushed(&daemon, &FACE.text(ANN, "m_1", "hello")).await);
    let question = daemon.api().wait_message(PATIENCE, |message| message["text"] == "hello").await;
    let ticket = question["ticket_id"].as_str().unwrap().to_owned();
    daemon.kill();
    for (round, step) in ["lane.begun", "in the call", "lane.delivered"].iter().enumerate() {
        let hangs = *step == "in the call";
        service.on_send(move |_| if hangs { Act::TakeThen(Does::Hang) } else { Act::Take });
        let text = format!("answer {round}");
        let called =
            async || service.sent().iter().any(|sent| sent.body["message"]["text"] == json!(text));
        let step_or_call = (!hangs).then_some(*step);
        let healed = || service.on_send(|_| Act::Take);
        reply_and_die(&mut daemon, (&ticket, &text), step_or_call, called, healed).await;
        // What went out is repeated by the service; what did not, a person sends again.
        for row in daemon.api().all("/outbox?status=unconfirmed").await {
            let id = row["id"].clone();
            let known =
                service.sent().into_iter().find(|sent| sent.body["message"]["metadata"] == id);
            match known {
                Some(sent) => {
                    let repeated = json!({ "mid": sent.id, "text": text, "metadata": id });
                    assert!(pushed(&daemon, &FACE.echo(ANN, &repeated)).await);
                }
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
        .sent()
        .iter()
        .map(|sent| sent.body["message"]["text"].as_str().unwrap().to_owned())
        .collect();
    told.sort();
    assert_eq!(told, ["answer 0", "answer 1", "answer 2"], "each once");
    daemon.start_again().await;
    assert_eq!(daemon.api().messages().await.len(), 4, "no echo became a message");
    keeps_secrets(&daemon);
}

/// The command line: settings are tried, and a whole request can be handed over by hand.
#[tokio::test]
async fn messenger_check_says_whether_it_works_and_ingest_takes_a_body() {
    let service = Pages::start();
    let daemon = Daemon::start(&configuration(&service)).await;
    let output = daemon.run(&["check", "--online", "--json"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("\"channels.dm") && !told.contains(TOKEN), "{told}");
    let asked = service.state().asked.clone();
    assert!(asked.iter().any(|asked| asked.starts_with("GET ")), "{asked:?}");
    let mut command = daemon.command(&["ingest", "dm", "-"]);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(&bytes(&two(0))).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The same by the hook, cut into pieces, is nothing new.
    assert!(pushed(&daemon, &two(0)).await);
    assert!(pushed(&daemon, &FACE.text(ANN, "m_3", "three")).await);
    daemon.api().wait_message(PATIENCE, |message| message["text"] == "three").await;
    assert_eq!(daemon.api().messages().await.len(), 3);
}
