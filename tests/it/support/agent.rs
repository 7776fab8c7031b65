//! What a desk does over the HTTP API, by a client that outlives the daemon: follows the messages,
//! replies, decides on what is unconfirmed. Every call may fail and is made again.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::daemon::{Answer, Api, Daemon};
use super::ledger::{Findings, Kind, Ledger};
use super::wait_until;

/// Between two tries while the daemon is down.
const PAUSE: Duration = Duration::from_millis(25);

/// Follows `GET /messages` from the beginning, over restarts.
pub struct Follower {
    api: Api,
    cursor: String,
    /// In the order in which they came, by id: a message that is seen again replaces itself.
    messages: Vec<Value>,
    known: BTreeMap<String, usize>,
}

impl Follower {
    pub fn new(api: Api) -> Self {
        Self { api, cursor: String::new(), messages: Vec::new(), known: BTreeMap::new() }
    }

    /// Reads on until there is nothing more. Returns what is new; a broken connection ends the turn.
    pub async fn turn(&mut self) -> Vec<Value> {
        let mut new = Vec::new();
        loop {
            let mut path = "/messages?limit=200".to_owned();
            if !self.cursor.is_empty() {
                path.push_str(&format!("&cursor={}", self.cursor));
            }
            let Ok(answer) = self.api.try_get(&path).await else { return new };
            if answer.status != StatusCode::OK {
                return new;
            }
            let items = answer.body["items"].as_array().cloned().unwrap_or_default();
            for item in &items {
                let id = item["id"].as_str().unwrap().to_owned();
                if !self.known.contains_key(&id) {
                    self.known.insert(id, self.messages.len());
                    self.messages.push(item.clone());
                    new.push(item.clone());
                }
            }
            match answer.body["next_cursor"].as_str() {
                Some(next) if !items.is_empty() => next.clone_into(&mut self.cursor),
                _ => return new,
            }
        }
    }

    /// Everything that was ever seen, in order.
    pub fn messages(&self) -> &[Value] {
        &self.messages
    }
}

/// Makes a call until it is answered by something that will not change (not 5xx).
pub async fn insist(mut call: impl AsyncFnMut() -> reqwest::Result<Answer>) -> Answer {
    loop {
        match call().await {
            Ok(answer) if !answer.status.is_server_error() => return answer,
            Ok(_) | Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Queues a reply with this number, however often it takes: one reply, since the key is the same.
pub async fn reply(api: &Api, ledger: &Ledger, ticket: &str, number: u32) -> Value {
    let text = ledger.text(Kind::Reply, number);
    let key = format!("reply-{number}");
    let answer = insist(async || api.try_reply(ticket, &text, &key).await).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "reply {number}: {}", answer.body);
    answer.body
}

/// Every delivery of a status.
pub async fn deliveries(api: &Api, status: &str) -> Vec<Value> {
    let path = format!("/outbox?status={status}&limit=200");
    let answer = insist(async || api.try_get(&path).await).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body["items"].as_array().unwrap().clone()
}

/// Sends a delivery again, as an agent who decided to.
pub async fn resend(api: &Api, delivery: &str) -> Answer {
    let path = format!("/outbox/{delivery}/retry");
    insist(async || api.post(&path, &Value::Null, "").await).await
}

/// Who wrote a message.
pub fn sender(message: &Value) -> &str {
    message["author"]["address"].as_str().unwrap_or_default()
}

/// Whether it is a customer's message that nobody deleted.
pub fn came_in(message: &Value) -> bool {
    message["direction"] == "in" && message["deleted_at"].is_null()
}

/// What must be true of the messages that came in: each number of `issued` once, whole, by its channel and
/// from its sender; no others; no ticket with two customers.
pub fn audit_inbound(
    ledger: &Ledger,
    issued: &BTreeMap<u32, Issued>,
    messages: &[Value],
    findings: &mut Findings,
) {
    let mut stored: BTreeMap<u32, Vec<&Value>> = BTreeMap::new();
    let mut customers: BTreeMap<&str, &str> = BTreeMap::new();
    for message in messages.iter().filter(|message| came_in(message)) {
        let text = message["text_full"].as_str().unwrap_or_default();
        match ledger.number(Kind::Mail, text) {
            Some(Ok(number)) => stored.entry(number).or_default().push(message),
            Some(Err(why)) => findings.add("in.corrupt", why),
            None => findings.add("in.never_issued", format!("{message}")),
        }
        let ticket = message["ticket_id"].as_str().unwrap();
        let customer = customers.entry(ticket).or_insert_with(|| sender(message));
        if *customer != sender(message) {
            let text = format!("{ticket}: {customer} and {}", sender(message));
            findings.add("ticket.cross_customer", text);
        }
    }
    for (number, issued) in issued {
        match stored.remove(number).as_deref() {
            None => findings.add("in.lost", format!("{number} by {}", issued.channel)),
            Some([message]) => {
                if message["channel"] != issued.channel.as_str() {
                    findings.add("in.wrong_channel", format!("{number}: {}", message["channel"]));
                }
                if sender(message) != issued.from {
                    findings.add("in.wrong_sender", format!("{number}: {}", sender(message)));
                }
            }
            Some(more) => findings.add("in.duplicated", format!("{number}: {} times", more.len())),
        }
    }
    for number in stored.keys() {
        findings.add("in.never_issued", format!("number {number}"));
    }
}

/// A customer's mail that somebody took with a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    pub channel: String,
    pub from: String,
}

/// Which status may follow which (the table of the contract, kept here as a copy of its own).
fn is_legal(from: &str, to: &str) -> bool {
    match from {
        "open" => ["pending", "solved", "closed", "spam"].contains(&to),
        "pending" => ["open", "solved", "closed", "spam"].contains(&to),
        "solved" => ["open", "pending", "closed", "spam"].contains(&to),
        "spam" => ["open", "closed"].contains(&to),
        _ => false,
    }
}

/// What must be true of every ticket's history: numbered without gaps, legal, and ending where it stands.
pub async fn audit_histories(api: &Api, findings: &mut Findings) {
    for ticket in api.tickets().await {
        let (id, status) = (ticket["id"].as_str().unwrap(), ticket["status"].as_str().unwrap());
        let events = api.all(&format!("/tickets/{id}/events")).await;
        let mut stands = "open".to_owned();
        for (place, event) in events.iter().enumerate() {
            if event["ticket_seq"] != place + 1 {
                findings.add("ticket.event_gap", format!("{id}: {place}: {event}"));
            }
            let change = &event["data"]["changes"]["status"];
            if let (Some(from), Some(to)) = (change["from"].as_str(), change["to"].as_str()) {
                if from != stands || !is_legal(from, to) {
                    findings.add("ticket.illegal_transition", format!("{id}: {from} to {to}"));
                }
                to.clone_into(&mut stands);
            }
        }
        if events.is_empty() || events[0]["kind"] != "ticket.created" {
            findings.add("ticket.event_gap", format!("{id} was never created"));
        }
        if stands != status {
            findings.add("ticket.status_wrong", format!("{id}: {status}, by its history {stands}"));
        }
    }
}

/// Sets a ticket's status, whatever its version is by now.
pub async fn set_status(api: &Api, ticket: &str, status: &str) {
    loop {
        let path = format!("/tickets/{ticket}");
        let seen = insist(async || api.try_get(&path).await).await;
        if seen.body["status"] == status {
            return;
        }
        let body = serde_json::json!({ "status": status });
        let version = format!("\"{}\"", seen.body["version"]);
        let answer = insist(async || {
            let request = api.request(Method::PATCH, &path);
            api.send(request.header("If-Match", &version).json(&body)).await
        })
        .await;
        match answer.status {
            StatusCode::OK => return,
            // The customer was faster, or our first try was not answered.
            StatusCode::PRECONDITION_FAILED => {}
            other => panic!("{ticket} to {status}: {other} {}", answer.body),
        }
    }
}

/// Queues a reply in words while the daemon dies, as [`answer_and_die`] says.
pub async fn reply_and_die(
    daemon: &mut Daemon,
    (ticket, text): (&str, &str),
    step: Option<&str>,
    called: impl AsyncFn() -> bool,
    healed: impl FnOnce(),
) {
    let body = json!({ "kind": "reply", "text": text });
    answer_and_die(daemon, (ticket, &body), step, called, healed).await;
}

/// Queues a reply while the daemon is to die at `step`, or in the middle of the call if there is none: then as soon
/// as the service was `called`. Afterwards it runs again without a fault, has the reply, and nothing is under way.
pub async fn answer_and_die(
    daemon: &mut Daemon,
    (ticket, body): (&str, &Value),
    step: Option<&str>,
    called: impl AsyncFn() -> bool,
    healed: impl FnOnce(),
) {
    const LIMIT: Duration = Duration::from_secs(40);
    daemon.set_environment("TRIBUTARY_FAILPOINT", step.unwrap_or_default());
    daemon.start_again().await;
    let (path, key) = (format!("/tickets/{ticket}/messages"), body.to_string());
    // The daemon may die before it has said that it took it.
    let first = daemon.api().post(&path, body, &key).await;
    if step.is_some() {
        daemon.wait_end(LIMIT);
    } else {
        wait_until("the call", LIMIT, called).await;
        daemon.kill();
    }
    healed();
    daemon.set_environment("TRIBUTARY_FAILPOINT", "");
    daemon.start_again().await;
    if first.is_err() {
        let again = daemon.api().post(&path, body, &key).await.unwrap();
        assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.body);
    }
    let quiet = async || daemon.api().all("/outbox?status=queued,sending").await.is_empty();
    wait_until("nothing to be under way", LIMIT, quiet).await;
}
