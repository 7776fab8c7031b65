//! `/quarantine`: what could not be read is kept, shown, read again by a better parser, or given up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::json;
use tributary::channel::{Channel, Interpret, Unreadable};
use tributary::model::{Meaning, Raw, Role};

use super::{LIMIT, MAIL, letter, texts};
use crate::api::{refused, send};
use crate::support::app::App;
use crate::support::wait_until;

/// Reads nothing until it is repaired.
struct Parser {
    repaired: Arc<AtomicBool>,
    inner: Arc<dyn Interpret>,
}

impl Interpret for Parser {
    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable> {
        if self.repaired.load(Ordering::SeqCst) {
            return self.inner.interpret(raw);
        }
        Err(Unreadable("a bug in the parser".into()))
    }
}

fn broken(repaired: &Arc<AtomicBool>) -> impl Fn(Channel) -> Channel + use<> {
    let repaired = repaired.clone();
    move |mut channel| {
        let inner = channel.interpret.clone();
        channel.interpret = Arc::new(Parser { repaired: repaired.clone(), inner });
        channel.deliver = None;
        channel
    }
}

/// COMPLAINTS L15, L25: nothing disappears, and doing it again is bounded and adds nothing twice.
#[tokio::test]
async fn a_repaired_parser_heals_what_lies_in_quarantine() {
    let repaired = Arc::new(AtomicBool::new(false));
    let app = App::running(None, MAIL, broken(&repaired)).await;
    for number in 0..4 {
        app.take("mail", letter(number)).await;
    }
    let api = app.api(Role::Admin);
    wait_until("the quarantine", LIMIT, async || api.all("/quarantine").await.len() == 4).await;
    let rows = api.all("/quarantine").await;
    let mut newest_first = texts(&rows, "id");
    newest_first.sort_by(|one, other| other.cmp(one));
    assert_eq!(texts(&rows, "id"), newest_first);
    let row = &rows[3];
    let id = row["id"].as_str().unwrap();
    assert_eq!((&row["channel"], &row["state"]), (&"mail".into(), &"failed".into()), "{row}");
    assert!(row["reason"].as_str().unwrap().contains("a bug in the parser"), "{row}");
    assert_eq!(api.get(&format!("/quarantine/{id}")).await["id"], id);
    let raw = api.request(Method::GET, &format!("/quarantine/{id}/raw")).send().await.unwrap();
    assert_eq!(raw.headers()["content-type"], "application/octet-stream");
    assert!(raw.headers()["content-security-policy"].to_str().unwrap().starts_with("sandbox"));
    assert_eq!(raw.bytes().await.unwrap(), letter(0), "the bytes as they came");

    // Before the repair it comes back.
    let retry = || api.request(Method::POST, &format!("/quarantine/{id}/retry"));
    let (status, _, shown) = send(retry()).await;
    assert_eq!((status.as_u16(), &shown["state"]), (202, &"pending".into()), "{shown}");
    wait_until("it is back", LIMIT, async || api.all("/quarantine").await.len() == 4).await;
    repaired.store(true, Ordering::SeqCst);
    assert_eq!(send(retry()).await.0.as_u16(), 202);
    wait_until("it is read", LIMIT, async || api.all("/quarantine").await.len() == 3).await;
    refused(retry(), 404, "not_found").await;

    let (status, ..) =
        send(api.request(Method::DELETE, &format!("/quarantine/{}", newest_first[0]))).await;
    assert_eq!(status.as_u16(), 204);
    let gone = api.request(Method::GET, &format!("/quarantine/{}/raw", newest_first[0]));
    refused(gone, 404, "not_found").await;
    let (row, body) = app.store.raw(newest_first[0].parse().unwrap()).await.unwrap();
    assert_eq!((row.state.as_str(), row.reason.as_deref()), ("ignored", Some("given up by admin")));
    assert!(body.is_none(), "its bytes are still there");

    let all = api.request(Method::POST, "/quarantine/retry").json(&json!({ "channel": "mail" }));
    assert_eq!(send(all).await.2["retried"], 2);
    wait_until("all are read", LIMIT, async || api.all("/quarantine").await.is_empty()).await;
    let again = api.request(Method::POST, "/quarantine/retry").json(&json!({}));
    assert_eq!(send(again).await.2["retried"], 0);
    let events = app.store.events_after(0, 1000).await.unwrap();
    let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
    assert_eq!((count("quarantine.added"), count("quarantine.dropped")), (5, 1));
    assert_eq!(count("quarantine.retried"), 3);
    let by: Vec<&str> = events
        .iter()
        .filter(|event| event.kind == "quarantine.dropped")
        .map(|event| event.actor.name.as_str())
        .collect();
    assert_eq!(by, ["admin"]);
    app.engine.stop().await;
}
