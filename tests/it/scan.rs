//! The virus scanner: a real clamd, every way by which a file comes in, and what happens without it.
//!
//! COMPLAINTS E14: the test file of EICAR is kept from everybody, by whatever channel it comes.

use std::time::Duration;

use base64::Engine as _;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::clamav::{ClamAv, NAME, eicar};
use crate::support::daemon::{Daemon, send};
use crate::support::lmtp_client::{Greeting, Submitter};
use crate::support::visitor::Visitor;
use crate::support::{free_port, wait_until};

const LIMIT: Duration = Duration::from_secs(20);

fn configuration(scanner: &str, when_down: &str, lmtp: u16) -> String {
    format!(
        "[scan]\nclamd = \"{scanner}\"\nwhen_down = \"{when_down}\"\n\
         [channels.mail]\nkind = \"email\"\naddress = \"desk@example.test\"\n\
         [channels.mail.receive]\nprotocol = \"lmtp\"\nverify = false\n\
         listen = \"127.0.0.1:{lmtp}\"\n\
         [channels.web]\nkind = \"webchat\"\n[channels.api]\nkind = \"api\"\n"
    )
}

/// A mail with two files, and `file` is the second.
fn mail(number: usize, file: &[u8]) -> Vec<u8> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(file);
    format!(
        "From: ann@customer.example\r\nTo: desk@example.test\r\nSubject: files {number}\r\n\
         Message-ID: <{number}@customer.example>\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n\
         See.\r\n--b\r\nContent-Type: text/plain\r\n\
         Content-Disposition: attachment; filename=good.txt\r\n\r\nnothing bad\r\n--b\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=second.com\r\n\r\n{encoded}\r\n--b--\r\n"
    )
    .into_bytes()
}

fn hand_over(port: u16, mail: &[u8]) {
    Submitter::connect(port, Greeting::Lmtp).send(
        "ann@customer.example",
        "desk@example.test",
        mail,
    );
}

/// `(name, state)` of all files of all messages.
async fn files(daemon: &Daemon) -> Vec<(String, String)> {
    let messages = daemon.api().messages().await;
    let files = messages.iter().flat_map(|message| message["attachments"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    files.map(|file| (text(&file["name"]), text(&file["state"]))).collect()
}

async fn wait_state(daemon: &Daemon, name: &str, state: &str) {
    wait_until(&format!("{name} is {state}"), LIMIT, async || {
        files(daemon).await.contains(&(name.to_owned(), state.to_owned()))
    })
    .await;
}

/// The file of that name: the answer's status and, where it is a problem, its code.
async fn fetch(daemon: &Daemon, name: &str) -> (u16, String) {
    let messages = daemon.api().messages().await;
    let mut files = messages.iter().flat_map(|message| message["attachments"].as_array().unwrap());
    let file = files.find(|file| file["name"] == name).unwrap();
    let path = format!("/attachments/{}", file["id"].as_str().unwrap());
    let answer = daemon.api().request(Method::GET, &path).send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap();
    let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
    (status, problem["code"].as_str().unwrap_or_default().to_owned())
}

async fn bring(daemon: &Daemon, bytes: Vec<u8>) -> (StatusCode, Value) {
    let form = Form::new().part("file", Part::bytes(bytes).file_name("brought.bin"));
    let request = daemon.api().request(Method::POST, "/uploads").multipart(form);
    let answer = send(request).await.unwrap();
    (answer.status, answer.body)
}

#[tokio::test]
async fn a_harmful_file_reaches_nobody_by_whatever_channel_it_comes() {
    let (scanner, lmtp) = (ClamAv::start(), free_port());
    let daemon = Daemon::start(&configuration(&scanner.address(), "hold", lmtp)).await;
    hand_over(lmtp, &mail(1, &eicar()));
    wait_state(&daemon, "second.com", "infected").await;
    wait_state(&daemon, "good.txt", "stored").await;
    assert_eq!(fetch(&daemon, "second.com").await, (403, "infected".to_owned()));
    assert_eq!(fetch(&daemon, "good.txt").await.0, 200);
    // The trail says what was found.
    let tickets = daemon.api().tickets().await;
    let trail = daemon.api().all(&format!("/tickets/{}/events", tickets[0]["number"])).await;
    let found = trail.iter().find(|event| event["data"]["state"] == "infected");
    assert_eq!(found.expect("nobody was told")["data"]["error"], NAME);
    // The API channel.
    let content = base64::engine::general_purpose::STANDARD.encode(eicar());
    let entry = json!({ "id": "1", "conversation": "c", "sender": { "id": "u" }, "text": "see",
        "attachments": [{ "name": "posted.com", "content": content }] });
    let file = daemon.folder().join("entry.json");
    std::fs::write(&file, entry.to_string()).unwrap();
    let done = daemon.run(&["ingest", "api", file.to_str().unwrap()]);
    assert!(done.status.success(), "{done:?}");
    wait_state(&daemon, "posted.com", "infected").await;
    // What agents and visitors bring is not even taken.
    let (status, problem) = bring(&daemon, eicar()).await;
    assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("infected")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(NAME), "{problem}");
    let visitor = Visitor::new(daemon.port(), "web").await;
    let picture = [b"\x89PNG\r\n\x1a\n".as_slice(), &eicar()].concat();
    assert_eq!(visitor.upload("picture.png", &picture).await.status.as_u16(), 422);
    let (status, _) = bring(&daemon, b"nothing bad".to_vec()).await;
    assert_eq!(status, StatusCode::CREATED);
    let metrics = daemon.metrics().await;
    for outcome in ["clean", "infected"] {
        let line = format!("tributary_scanned_total{{outcome=\"{outcome}\"}}");
        assert!(metrics.contains(&line), "no {outcome}");
    }
}

#[tokio::test]
async fn without_the_scanner_files_wait_and_messages_do_not() {
    let (mut scanner, lmtp) = (ClamAv::start(), free_port());
    scanner.stop();
    let mut daemon = Daemon::start(&configuration(&scanner.address(), "hold", lmtp)).await;
    hand_over(lmtp, &mail(1, b"nothing bad either"));
    daemon.api().wait_message(LIMIT, |message| message["subject"] == "files 1").await;
    wait_state(&daemon, "second.com", "unscanned").await;
    assert_eq!(fetch(&daemon, "second.com").await, (409, "unscanned".to_owned()));
    let (status, problem) = bring(&daemon, b"mine".to_vec()).await;
    assert_eq!((status.as_u16(), &problem["code"]), (503, &json!("scanner_down")), "{problem}");
    let checked = daemon.run(&["--json", "check", "--online"]);
    let said: Value = serde_json::from_slice(&checked.stdout).unwrap();
    let checks = said["checks"].as_array().unwrap();
    let scan = checks.iter().find(|check| check["key"] == "scan").expect("it was not tried");
    assert_eq!(scan["outcome"], "failed", "{scan}");
    // Killed meanwhile, it goes on where it was.
    daemon.kill();
    scanner.start_again();
    daemon.start_again().await;
    wait_state(&daemon, "second.com", "stored").await;
    assert_eq!(fetch(&daemon, "second.com").await.0, 200);
    // What is too large for the scanner is not given out either, and says why.
    hand_over(lmtp, &mail(2, &vec![7; 2_000_000]));
    wait_state(&daemon, "second.com", "failed").await;
    assert_eq!(bring(&daemon, vec![7; 2_000_000]).await.0.as_u16(), 413);
}

/// The process dies after the scanner's answer, before that is noted.
#[tokio::test]
async fn a_file_whose_scan_was_cut_off_is_scanned_again() {
    let (scanner, lmtp) = (ClamAv::start(), free_port());
    let text = configuration(&scanner.address(), "hold", lmtp)
        .replace("[channels.mail]", "seconds_max = 1\n[channels.mail]");
    let mut daemon = Daemon::prepare(&text);
    daemon.set_environment("TRIBUTARY_FAILPOINT", "scan.done");
    daemon.start_again().await;
    hand_over(lmtp, &mail(1, &eicar()));
    daemon.wait_end(LIMIT);
    daemon.set_environment("TRIBUTARY_FAILPOINT", "");
    daemon.start_again().await;
    wait_state(&daemon, "second.com", "infected").await;
    wait_state(&daemon, "good.txt", "stored").await;
}

#[tokio::test]
async fn who_wants_files_all_the_same_gets_them() {
    let lmtp = free_port();
    let nobody = format!("127.0.0.1:{}", free_port());
    let daemon = Daemon::start(&configuration(&nobody, "allow", lmtp)).await;
    hand_over(lmtp, &mail(1, b"whatever"));
    wait_state(&daemon, "second.com", "stored").await;
    assert_eq!(bring(&daemon, b"mine".to_vec()).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn taking_the_scanner_out_gives_out_what_waits_for_it() {
    let lmtp = free_port();
    let nobody = format!("127.0.0.1:{}", free_port());
    let text = configuration(&nobody, "hold", lmtp);
    let mut daemon = Daemon::start(&text).await;
    hand_over(lmtp, &mail(1, b"whatever"));
    wait_state(&daemon, "second.com", "unscanned").await;
    daemon.stop();
    daemon.configure(&text.replace(&format!("clamd = \"{nobody}\"\n"), ""));
    daemon.start_again().await;
    wait_state(&daemon, "second.com", "stored").await;
}
