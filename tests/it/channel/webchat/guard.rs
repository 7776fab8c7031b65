//! Who may do what: tokens, other people's conversations, sites, rates.

use data_encoding::HEXLOWER;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tributary::channel::shared::sign::hmac_sha256;

use super::{CHAT, LIMIT, reply};
use crate::support::app::App;
use crate::support::daemon::{self, Daemon};
use crate::support::visitor::Visitor;

const KEY: &str = "a key of at least thirty-two characters";

#[tokio::test]
async fn nobody_reads_or_touches_anothers_conversation() {
    let two = format!("{CHAT}[channels.app]\nkind = \"webchat\"\n");
    let daemon = Daemon::start(&two).await;
    let anna = Visitor::new(daemon.port(), "web").await;
    let said = anna.write("1", "secret of anna").await;
    let upload = anna.upload("a.txt", b"file of anna").await.body;
    let with_file = json!({ "client_id": "2", "text": "", "attachments": [upload["id"]] });
    let with_file = anna.post("messages", &with_file).await.body;
    reply(&daemon, "secret answer").await;
    let answer = anna.wait_message(|message| message["direction"] == "out").await;
    let file = with_file["attachments"][0]["id"].as_str().unwrap();
    assert_eq!(anna.get(&format!("attachments/{file}")).await.status, StatusCode::OK);

    let eve = Visitor::new(daemon.port(), "web").await;
    eve.write("1", "from eve, with anna's client id").await;
    for id in [&said["id"], &answer["id"], &with_file["id"]] {
        let path = format!("messages?after={}", id.as_str().unwrap());
        assert_eq!(eve.get(&path).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(eve.get(&format!("attachments/{file}")).await.status, StatusCode::NOT_FOUND);
    let stolen = json!({ "client_id": "9", "text": "x", "attachments": [upload["id"]] });
    assert_eq!(eve.post("messages", &stolen).await.body["code"], "unknown_attachment");
    let bare = upload["id"].as_str().unwrap().split('.').next().unwrap();
    let stolen = json!({ "client_id": "9", "text": "x", "attachments": [bare] });
    assert_eq!(eve.post("messages", &stolen).await.body["code"], "unknown_attachment");
    let read = json!({ "up_to": answer["cursor"] });
    assert_eq!(eve.post("read", &read).await.status, StatusCode::NO_CONTENT);
    let all = eve.read().await;
    assert_eq!(all.len(), 1, "{all:#?}");
    assert!(!json!(all).to_string().contains("anna's secret"));
    let mine = daemon.api().messages().await;
    let sent = mine.iter().find(|message| message["text"] == "secret answer").unwrap();
    assert_ne!(sent["delivery"]["status"], "read", "eve's reading is not anna's");

    // The token of one channel opens no other, and a changed one nothing.
    for (base, token) in [
        (anna.base.replace("/web", "/app"), anna.token.clone()),
        (anna.base.clone(), format!("{}x", anna.token)),
        (anna.base.clone(), anna.token.replacen("tv1.", "tv1.e", 1)),
        (anna.base.clone(), String::new()),
        (anna.base.clone(), "null".to_owned()),
    ] {
        let forged = Visitor { base, token, ..anna.clone() };
        for (method, path) in [
            (Method::GET, "messages"),
            (Method::POST, "messages"),
            (Method::POST, "uploads"),
            (Method::POST, "read"),
            (Method::POST, "typing"),
            (Method::POST, "rating"),
            (Method::POST, "callback"),
            (Method::GET, "events"),
            (Method::DELETE, "session"),
            (Method::GET, "attachments/0198c5a0-0000-7000-8000-000000000000"),
        ] {
            let answer = daemon::send(forged.request(method, path)).await.unwrap();
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path}");
        }
    }
}

#[tokio::test]
async fn a_merged_ticket_shows_a_visitor_nothing_of_others() {
    let daemon = Daemon::start(CHAT).await;
    let anna = Visitor::new(daemon.port(), "web").await;
    let ben = Visitor::new(daemon.port(), "web").await;
    anna.write("1", "anna's words").await;
    ben.write("1", "ben's words").await;
    let tickets = daemon.api().tickets().await;
    let id = |n: usize| tickets[n]["id"].as_str().unwrap().to_owned();
    let into = json!({ "into": id(1) });
    let path = format!("/tickets/{}/merge", id(0));
    let version = format!("\"{}\"", tickets[0]["version"]);
    let request = daemon.api().request(Method::POST, &path).header("If-Match", version);
    let merged = daemon::send(request.json(&into)).await.unwrap();
    assert!(merged.status.is_success(), "{}", merged.body);
    daemon.api().reply(&id(1), "to whoever wrote last", "r").await;
    let seen = |visitor: Visitor| async move {
        let all = visitor.read().await;
        all.iter().map(|one| one["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    ben.wait_message(|message| message["direction"] == "out").await;
    assert_eq!(seen(anna).await, ["anna's words"]);
    assert_eq!(seen(ben).await, ["ben's words", "to whoever wrote last"]);
}

#[tokio::test]
async fn only_named_sites_may_use_a_visitors_browser() {
    let named = CHAT.replace(
        "\n[channels.web.limits]",
        "\norigins = [\"https://app.example.com\"]\n[channels.web.limits]",
    );
    let daemon = Daemon::start(&named).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    let own = format!("http://127.0.0.1:{}", daemon.port());
    for good in ["https://app.example.com", own.as_str()] {
        for method in [Method::GET, Method::OPTIONS] {
            let request = visitor.request(method.clone(), "messages").header("Origin", good);
            let answer = request.send().await.unwrap();
            assert!(answer.status().is_success(), "{method} {good}: {}", answer.status());
            let headers = answer.headers();
            assert_eq!(headers["access-control-allow-origin"], good);
            assert!(headers.get_all("vary").iter().any(|value| value == "origin"));
            assert!(!headers.contains_key("access-control-allow-credentials"));
        }
    }
    for bad in [
        "https://evil.example",
        "null",
        "https://app.example.com.evil.example",
        "http://app.example.com",
    ] {
        for (method, path) in [
            (Method::POST, "session"),
            (Method::GET, "messages"),
            (Method::POST, "messages"),
            (Method::OPTIONS, "messages"),
            (Method::GET, "settings"),
            (Method::GET, "events"),
        ] {
            let answer = visitor.request(method, path).header("Origin", bad).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path} from {bad}");
            assert!(!answer.headers().contains_key("access-control-allow-origin"));
        }
    }
    // Errors are shared, too: else the widget could not tell why.
    let request = visitor.client.get(format!("{}/messages", visitor.base));
    let answer = request.header("Origin", "https://app.example.com").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers()["access-control-allow-origin"], "https://app.example.com");
}

#[tokio::test]
async fn a_flood_is_slowed_and_others_are_not() {
    let slow = "[channels.web]\nkind = \"webchat\"\n[channels.web.limits]\n\
        messages_per_minute = 5\nsessions_per_hour = 3\n";
    let daemon = Daemon::start(slow).await;
    let flood = Visitor::new(daemon.port(), "web").await;
    let calm = Visitor::new(daemon.port(), "web").await;
    let mut taken = 0;
    let mut refused = 0;
    for n in 0..60 {
        let answer =
            flood.post("messages", &json!({ "client_id": n.to_string(), "text": "x" })).await;
        if answer.status == StatusCode::CREATED {
            taken += 1;
        } else {
            assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
            assert_eq!(answer.body["code"], "too_fast");
            refused += 1;
        }
    }
    assert!((5..=8).contains(&taken) && refused >= 52, "{taken} taken, {refused} refused");
    calm.write("1", "I am still heard").await;
    let request =
        flood.request(Method::POST, "messages").json(&json!({ "client_id": "z", "text": "x" }));
    let answer = request.send().await.unwrap();
    let wait: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=12).contains(&wait), "{wait}");
    Visitor::new(daemon.port(), "web").await;
    let fourth = daemon::send(calm.client.post(format!("{}/session", calm.base))).await.unwrap();
    assert_eq!(fourth.status, StatusCode::TOO_MANY_REQUESTS, "new visitors of one address");
    let renewed = calm.post("session", &json!({ "token": calm.token })).await;
    assert_eq!(renewed.status, StatusCode::OK, "who is known is no new visitor");
}

#[tokio::test]
async fn whoever_signs_out_is_out_everywhere() {
    let signed = CHAT.replace(
        "kind = \"webchat\"",
        &format!("kind = \"webchat\"\nidentity = \"required\"\nidentity_keys = [\"{KEY}\"]"),
    );
    let mut daemon = Daemon::start(&signed).await;
    let stranger =
        daemon::client().post(format!("http://127.0.0.1:{}/chat/web/session", daemon.port()));
    let refused = daemon::send(stranger).await.unwrap();
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (StatusCode::UNAUTHORIZED, &json!("identity_required"))
    );
    let hash = HEXLOWER.encode(&hmac_sha256(KEY.as_bytes(), b"user-7"));
    let knock = json!({ "identity": { "user_id": "user-7", "hash": hash, "name": "Mei" } });
    let phone = Visitor::with(daemon.port(), "web", &knock).await;
    let laptop = Visitor::with(daemon.port(), "web", &knock).await;
    phone.write("1", "from the phone").await;
    assert_eq!(laptop.read().await.len(), 1, "the same person, the same conversation");
    let contact = daemon.api().tickets().await[0]["contact"].clone();
    assert_eq!(contact["name"], "Mei");
    let mut events = laptop.events(Some("0")).await;
    events.next(LIMIT).await;
    let out = daemon::send(phone.request(Method::DELETE, "session")).await.unwrap();
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    daemon.stop();
    daemon.start_again().await;
    for old in [&phone, &laptop] {
        assert_eq!(old.get("messages").await.body["code"], "token_expired");
        let again = old.post("session", &json!({ "token": old.token })).await;
        assert_eq!(again.status, StatusCode::UNAUTHORIZED, "a void token renews nothing");
    }
    let back = Visitor::with(daemon.port(), "web", &knock).await;
    assert_eq!(back.read().await.len(), 1);
}

#[tokio::test]
async fn hostile_words_stay_words() {
    let daemon = Daemon::start(CHAT).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    let words = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "\"><svg onload=alert(1)>",
        "javascript:alert(1)",
        "{{7*7}}${7*7}<%= 7*7 %>",
        "'; DROP TABLE message; --",
        "%s%n%x",
        "\u{202e}evil\u{202c} 👩‍👩‍👧‍👦 e\u{301} مرحبا",
        "=HYPERLINK(\"http://evil\")",
        "\\u0000 \\x00",
        "a\u{2028}b\u{2029}c",
        "</textarea><iframe srcdoc='<script>1</script>'>",
    ];
    for (n, text) in words.iter().enumerate() {
        let body = json!({ "client_id": n.to_string(), "text": text, "name": text });
        assert_eq!(visitor.post("messages", &body).await.status, StatusCode::CREATED, "{text}");
    }
    let read = visitor.read().await;
    assert_eq!(super::texts(&read), words);
    let answer = visitor.request(Method::GET, "messages").send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    for bad in ["", "{", "[]", "7", "{\"client_id\":7}", "{\"client_id\":\"1\",\"text\":{}}"] {
        let request = visitor.request(Method::POST, "messages").body(bad);
        let answer = daemon::send(request).await.unwrap();
        assert!(answer.status.is_client_error(), "{bad}: {}", answer.status);
    }
    let huge = json!({ "client_id": "h", "text": "x".repeat(270_000) });
    assert_eq!(visitor.post("messages", &huge).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let long = json!({ "client_id": "l", "text": "x".repeat(10_001) });
    assert_eq!(visitor.post("messages", &long).await.body["code"], "too_long");
}

#[tokio::test]
async fn what_is_not_there_is_not_there() {
    let daemon = Daemon::start(CHAT).await;
    let base = format!("http://127.0.0.1:{}", daemon.port());
    let client = daemon::client();
    for path in [
        "/chat/none/session",
        "/chat/none/messages",
        "/chat/WEB/session",
        "/chat/../session",
        "/chat/web/demo",
        "/widget/x/../chat.js",
        "/widget/x/none.js",
        "/widget/x/demo.html",
        "/chat/none/demo",
    ] {
        let answer = client.get(format!("{base}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

/// Clients repeat what was answered 5xx, and nothing that was answered 4xx: a restart must cost no message.
#[tokio::test]
async fn who_writes_while_we_stop_is_told_to_write_again() {
    let app = App::start(CHAT).await;
    let port = app.base.rsplit(':').next().unwrap().parse().unwrap();
    let visitor = Visitor::new(port, "web").await;
    app.engine.stop().await;
    let answer = visitor.post("messages", &json!({ "client_id": "1", "text": "hello" })).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert_eq!(answer.body["code"], "stopping");
}

/// A text that a program cut within an emoji is a message all the same.
#[tokio::test]
async fn half_a_character_is_no_reason_to_refuse_a_message() {
    let daemon = Daemon::start(CHAT).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    let body = r#"{"client_id":"1","text":"cut \ud83d"}"#;
    let answer = visitor.request(Method::POST, "messages").body(body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert_eq!(answer.json::<Value>().await.unwrap()["text"], "cut \u{fffd}");
}

/// Clients read one form of refusals, whoever refuses; and the longest text is taken, however it is written.
#[tokio::test]
async fn every_refusal_has_one_form() {
    let app = App::start(CHAT).await;
    let port = app.base.rsplit(':').next().unwrap().parse().unwrap();
    let visitor = Visitor::new(port, "web").await;
    let longest = "\\ud83d\\ude00".repeat(10_000);
    let longest = format!("{{\"client_id\":\"1\",\"text\":\"{longest}\"}}");
    let answer = visitor.request(Method::POST, "messages").body(longest).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let post = |body: String| visitor.request(Method::POST, "messages").body(body);
    for (request, status) in [
        (post("x".repeat(300_000)), StatusCode::PAYLOAD_TOO_LARGE),
        (post("[]".to_owned()), StatusCode::BAD_REQUEST),
        (visitor.request(Method::GET, "messages?limit=many"), StatusCode::BAD_REQUEST),
        (visitor.request(Method::PUT, "messages"), StatusCode::METHOD_NOT_ALLOWED),
    ] {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(answer.headers()["content-type"], "application/problem+json", "{status}");
        assert!(status != StatusCode::METHOD_NOT_ALLOWED || answer.headers().contains_key("allow"));
        assert_eq!(answer.json::<Value>().await.unwrap()["status"], status.as_u16());
    }
}
