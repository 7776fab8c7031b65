//! `/api/v1` over real HTTP.

mod access;
mod answers;
mod by_link;
mod callbacks;
mod contacts;
mod files;
mod lists;
mod macros;
mod messages;
mod once;
mod signatures;
mod suggestions;
mod surveys;
mod tickets;
mod ops;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use crate::support::app::App;

/// A mailbox that answers (nobody listens there: what is queued stays queued), and one that cannot send.
const CHANNELS: &str = r#"
[channels.mail]
kind = "email"
address = "support@example.com"
[channels.mail.receive]
protocol = "pipe"
[channels.mail.send]
host = "127.0.0.1"
port = 9
tls = "none"

[channels.silent]
kind = "email"
address = "silent@example.com"
[channels.silent.receive]
protocol = "pipe"
"#;

/// Of nothing.
const NO_ID: &str = "019aaaaa-0000-7000-8000-000000000000";

/// A mail of somebody.
fn mail(from: &str, subject: &str, text: &str) -> String {
    let id = uuid::Uuid::new_v4();
    format!(
        "From: {from}\r\nTo: support@example.com\r\nSubject: {subject}\r\nMessage-ID: <{id}@test>\r\n\
         Date: Thu, 26 Nov 2026 00:00:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    )
}

/// A ticket that a customer opened by mail: its id.
async fn ticket(app: &App, subject: &str, text: &str) -> String {
    let placed = app.receive("mail", mail("Jane <jane@customer.example>", subject, text)).await;
    placed.ticket.to_string()
}

/// The answer to a request: its status, headers and JSON (null if there is none).
async fn send(request: RequestBuilder) -> (StatusCode, HeaderMap, Value) {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    (status, headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Fails the test unless the request is answered with this status. Returns the body.
async fn done(request: RequestBuilder, status: u16) -> Value {
    let (got, _, body) = send(request).await;
    assert_eq!(got.as_u16(), status, "{body}");
    body
}

/// Fails the test unless the request is answered with this problem. Returns its `detail`.
async fn refused(request: RequestBuilder, status: u16, code: &str) -> String {
    let (got, headers, body) = send(request).await;
    assert_eq!((got.as_u16(), body["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(body["type"], "about:blank");
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string());
    body["detail"].as_str().unwrap().to_owned()
}

/// Fails the test unless the body (422) is refused for this key of it.
async fn refused_for(request: RequestBuilder, field: &str) {
    let (status, _, body) = send(request).await;
    assert_eq!((status.as_u16(), body["field"].as_str()), (422, Some(field)), "{body}");
}

/// The texts of a field of all items.
fn texts<'v>(items: &'v [Value], pointer: &str) -> Vec<&'v str> {
    items.iter().map(|item| item.pointer(pointer).and_then(Value::as_str).unwrap()).collect()
}
