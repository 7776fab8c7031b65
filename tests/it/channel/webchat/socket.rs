//! The socket: resuming, writing, and what a hostile client tries.

use futures::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{CHAT, LIMIT, reply};
use crate::support::daemon::Daemon;
use crate::support::visitor::Visitor;

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(port: u16) -> Self {
        let (socket, _) =
            connect_async(format!("ws://127.0.0.1:{port}/chat/web/socket")).await.unwrap();
        Self(socket)
    }

    async fn hello(port: u16, token: &str, after: Option<&str>) -> Self {
        let mut socket = Self::open(port).await;
        socket.send(json!({ "type": "hello", "token": token, "after": after })).await;
        assert_eq!(socket.next().await["type"], "welcome");
        socket
    }

    async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        loop {
            match tokio::time::timeout(LIMIT, self.0.next()).await.expect("no frame in time") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map(|frame| u16::from(frame.code));
                    return json!({ "type": "close", "code": code });
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return json!({ "type": "close", "code": null }),
            }
        }
    }

    async fn until(&mut self, sort: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == sort {
                return frame;
            }
            assert_ne!(frame["type"], "close", "{frame}");
        }
    }
}

#[tokio::test]
async fn a_socket_goes_on_where_it_was_cut_through_a_killed_daemon() {
    let mut daemon = Daemon::start(CHAT).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    visitor.write("q", "question").await;
    let mut socket = Socket::hello(daemon.port(), &visitor.token, Some("0")).await;
    let first = socket.until("message").await;
    assert_eq!(first["message"]["text"], "question");
    reply(&daemon, "one").await;
    let one = socket.until("message").await["message"].clone();
    assert_eq!(one["text"], "one");
    reply(&daemon, "two").await;
    visitor.wait_message(|message| message["text"] == "two").await;
    daemon.kill();
    assert!(matches!(socket.0.next().await, None | Some(Err(_)) | Some(Ok(_))));
    daemon.start_again().await;
    reply(&daemon, "three").await;
    let after = one["cursor"].as_str();
    let mut socket = Socket::hello(daemon.port(), &visitor.token, after).await;
    let mut rest = Vec::new();
    while rest.len() < 2 {
        let frame = socket.until("message").await;
        rest.push(frame["message"]["text"].as_str().unwrap().to_owned());
    }
    assert_eq!(rest, ["two", "three"]);
}

#[tokio::test]
async fn a_socket_writes_reads_and_types() {
    let daemon = Daemon::start(CHAT).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    let mut socket = Socket::hello(daemon.port(), &visitor.token, None).await;
    let message = json!({ "type": "message", "client_id": "1", "text": "by socket" });
    socket.send(message.clone()).await;
    let stored = socket.until("stored").await;
    socket.send(message).await;
    assert_eq!(socket.until("stored").await["message"]["id"], stored["message"]["id"]);
    socket.send(json!({ "type": "typing" })).await;
    reply(&daemon, "answer").await;
    let answer = loop {
        let frame = socket.until("message").await;
        if frame["message"]["direction"] == "out" {
            break frame["message"].clone();
        }
    };
    socket.send(json!({ "type": "read", "up_to": answer["cursor"], "state": "delivered" })).await;
    let arrived = |message: &Value| message["delivery"]["status"] == "delivered";
    daemon.api().wait_message(LIMIT, arrived).await;
    socket.send(json!({ "type": "read", "up_to": answer["cursor"] })).await;
    let read = |message: &Value| message["delivery"]["status"] == "read";
    daemon.api().wait_message(LIMIT, read).await;
    assert_eq!(visitor.read().await.len(), 2);
}

#[tokio::test]
async fn junk_ends_a_socket_and_nothing_else() {
    let daemon = Daemon::start(CHAT).await;
    let port = daemon.port();
    let visitor = Visitor::new(port, "web").await;
    // Without a token, or with a wrong one.
    for first in
        [json!({ "type": "typing" }), json!({ "type": "hello", "token": "tv1.x.y" }), json!([])]
    {
        let mut socket = Socket::open(port).await;
        socket.send(first).await;
        let mut frame = socket.next().await;
        if frame["type"] == "error" {
            assert_eq!(frame["code"], "bad_token");
            frame = socket.next().await;
        }
        assert_eq!((&frame["type"], &frame["code"]), (&json!("close"), &json!(1008)));
    }
    // Frames of the wrong sort: an error with a code and nothing of our inside.
    let mut socket = Socket::hello(port, &visitor.token, None).await;
    for bad in [
        "",
        "x",
        "{}",
        "[]",
        "{\"type\":\"admin\"}",
        "{\"type\":7}",
        "{\"type\":\"message\",\"text\":7}",
    ] {
        socket.0.send(Message::text(bad)).await.unwrap();
        let error = socket.until("error").await;
        assert_eq!(error, json!({ "type": "error", "code": "bad_frame" }), "{bad}");
    }
    for _ in 0..30 {
        socket.0.send(Message::text("x")).await.ok();
    }
    let end = loop {
        let frame = socket.next().await;
        if frame["type"] == "close" {
            break frame;
        }
    };
    assert_eq!(end["code"], 1008);
    let mut socket = Socket::hello(port, &visitor.token, None).await;
    socket.0.send(Message::binary(vec![1_u8, 2, 3])).await.unwrap();
    assert_eq!(closed(&mut socket).await["code"], 1003);
    let mut socket = Socket::hello(port, &visitor.token, None).await;
    socket.0.send(Message::text("x".repeat(300_000))).await.ok();
    closed(&mut socket).await;
    // The next one is served as if nothing had been.
    let mut socket = Socket::hello(port, &visitor.token, None).await;
    socket.send(json!({ "type": "ping" })).await;
    socket.until("pong").await;
    visitor.write("1", "all is well").await;
}

async fn closed(socket: &mut Socket) -> Value {
    loop {
        let frame = socket.next().await;
        if frame["type"] == "close" {
            return frame;
        }
    }
}

#[tokio::test]
async fn a_strangers_page_opens_no_socket() {
    let daemon = Daemon::start(CHAT).await;
    for (origin, good) in [("https://evil.example", false), ("null", false), ("", true)] {
        let url = format!("ws://127.0.0.1:{}/chat/web/socket", daemon.port());
        let mut request = url.into_client_request().unwrap();
        if !origin.is_empty() {
            request.headers_mut().insert("Origin", origin.parse().unwrap());
        }
        match connect_async(request).await {
            Ok(_) => assert!(good, "{origin} was let in"),
            Err(Error::Http(answer)) => {
                assert!(!good);
                assert_eq!(answer.status().as_u16(), StatusCode::FORBIDDEN.as_u16());
            }
            Err(other) => panic!("{origin}: {other}"),
        }
    }
}
