use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, TimeZone as _, Utc};
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};

use super::entry::Entry;
use super::*;
use crate::channel::shared::sign::Signer;
use crate::channel::{self, Received, ReceivedAt, Refused, Vault};
use crate::model::{
    Cause, Event, Inbound, Meaning, MediaSource, Raw, ReceiptState, Transport, Trust,
};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OTHER: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct NoVault;

#[async_trait]
impl Vault for NoVault {
    async fn get(&self, _: &str) -> Result<Option<Secret>, Cause> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: Secret) -> Result<(), Cause> {
        Ok(())
    }
}

fn site() -> Site {
    let signer = Signer::new(vec![[7; 32]]);
    Site { public_url: "https://desk.test".to_owned(), signer, vault: Arc::new(NoVault) }
}

fn try_build(settings: &[(&str, &str)]) -> Result<Channel, BadChannel> {
    let mut table: std::collections::HashMap<String, Table> =
        settings.iter().map(|(key, value)| ((*key).to_owned(), Table::new(None, *value))).collect();
    table.insert("kind".to_owned(), Table::new(None, "api"));
    channel::build("crm".parse().unwrap(), table.into(), &site())
}

fn now() -> DateTime<Utc> {
    Utc.timestamp_opt(1_700_000_000, 0).unwrap()
}

struct Post {
    body: Vec<u8>,
    headers: HeaderMap,
    method: &'static str,
}

impl Post {
    fn of(body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), headers: HeaderMap::new(), method: "POST" }
    }

    fn signed(body: impl Into<Vec<u8>>, secret: &str, id: &str, at: i64) -> Self {
        let post = Self::of(body);
        let keys = WebhookKeys::read([&Secret::new(secret)]).unwrap();
        let seconds = u64::try_from(at).unwrap();
        let signature = keys.sign(id, seconds, &post.body);
        post.with("webhook-id", id)
            .with("webhook-timestamp", &seconds.to_string())
            .with("webhook-signature", &signature)
    }

    fn bearer(body: impl Into<Vec<u8>>, token: &str) -> Self {
        Self::of(body).with("authorization", &format!("Bearer {token}"))
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    fn to(self, channel: &Channel) -> Result<Received, Refused> {
        let mut request = Request::builder().method(self.method).uri("/hooks/crm");
        *request.headers_mut().unwrap() = self.headers;
        let request = request.extension(ReceivedAt(now())).body(Bytes::from(self.body)).unwrap();
        channel.hook.as_ref().unwrap().receive(&request)
    }
}

fn refusal(result: Result<Received, Refused>) -> (u16, &'static str) {
    match result {
        Ok(received) => panic!("taken: {:?}", received.answer),
        Err(refused) => (refused.status.as_u16(), refused.why),
    }
}

fn message(id: &str) -> Value {
    json!({ "id": id, "sender": { "id": "u1", "name": "Ann" }, "text": "hello" })
}

fn raw(entry: &Value) -> Raw {
    let body = serde_json::to_vec(entry).unwrap().into();
    let dedupe = crate::model::DedupeKey::new("x");
    Raw { dedupe, body, transport: Transport::new(), received_at: Some(now()) }
}

fn interpret(entry: &Value) -> Result<Event, String> {
    let channel = try_build(&[("secret", SECRET)]).unwrap();
    match channel.interpret.interpret(&raw(entry)) {
        Ok(Meaning::Events(mut events)) => Ok(events.remove(0)),
        Ok(Meaning::Ignore(why)) => panic!("{why}"),
        Err(unreadable) => Err(unreadable.to_string()),
    }
}

fn inbound(entry: &Value) -> Inbound {
    let event = interpret(entry).unwrap();
    let Event::Message(inbound) = event else { panic!("{event:?}") };
    *inbound
}

#[test]
fn settings_are_checked_before_anything_runs() {
    for good in [
        vec![],
        vec![("secret", SECRET)],
        vec![("secret", SECRET), ("previous_secret", OTHER)],
        vec![("token", TOKEN)],
        vec![("secret", SECRET), ("reply_url", "https://crm.example/x"), ("reply_secret", OTHER)],
        vec![("reply_url", "http://127.0.0.1:9/x")],
    ] {
        assert!(try_build(&good).is_ok(), "{good:?}");
    }
    for (bad, path) in [
        (vec![("secret", "")], "secret"),
        (vec![("secret", "whsec_")], "secret"),
        (vec![("secret", "changeme")], "secret"),
        (vec![("previous_secret", SECRET)], "previous_secret"),
        (vec![("secret", SECRET), ("previous_secret", "")], "previous_secret"),
        (vec![("token", "")], "token"),
        (vec![("token", "short")], "token"),
        (vec![("token", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")], "token"),
        (vec![("token", "with space with space with space")], "token"),
        (vec![("reply_url", "http://crm.example/x")], "reply_url"),
        (vec![("reply_url", "crm.example")], "reply_url"),
        (vec![("reply_secret", "x")], "reply_secret"),
        (vec![("reply_seconds_max", "1")], "reply_seconds_max"),
        (vec![("replies_at_once_max", "0")], "replies_at_once_max"),
        (vec![("replyurl", "https://crm.example/x")], "replyurl"),
    ] {
        match try_build(&bad) {
            Err(BadChannel::Setting { path: at, problem, .. }) => {
                assert_eq!(at, path, "{problem}");
                assert!(!problem.contains("changeme"), "{problem}");
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{bad:?}"),
        }
    }
}

/// S1, and FAULTS 145: who it is from is settled before a byte is read as JSON.
#[test]
fn only_what_is_signed_lately_by_the_right_key_gets_in() {
    let channel = try_build(&[("secret", SECRET), ("previous_secret", OTHER)]).unwrap();
    let body = message("m1").to_string();
    let at = now().timestamp();
    for secret in [SECRET, OTHER] {
        assert!(Post::signed(&*body, secret, "r1", at).to(&channel).is_ok());
    }
    assert!(Post::signed(&*body, SECRET, "r1", at - 300).to(&channel).is_ok());
    assert!(Post::signed(&*body, SECRET, "r1", at + 300).to(&channel).is_ok());
    let third = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    for (post, why) in [
        (Post::of(&*body), "no_credentials"),
        (Post::bearer(&*body, TOKEN), "token_not_expected"),
        (Post::signed(&*body, third, "r1", at), "signature_wrong"),
        (Post::signed(&*body, SECRET, "r1", at - 301), "signature_time"),
        (Post::signed(&*body, SECRET, "r1", at + 301), "signature_time"),
        (
            Post { body: b"not JSON at all".to_vec(), ..Post::signed(&*body, SECRET, "r1", at) },
            "signature_wrong",
        ),
        (
            Post::signed(&*body, SECRET, "r1", at).with("webhook-signature", "v1,x"),
            "signature_malformed",
        ),
    ] {
        assert_eq!(refusal(post.to(&channel)), (401, why));
    }
    let get = Post { method: "GET", ..Post::signed(&*body, SECRET, "r1", at) };
    assert_eq!(refusal(get.to(&channel)).0, 405);
    let mut unclocked = Request::post("/hooks/crm");
    *unclocked.headers_mut().unwrap() = Post::signed(&*body, SECRET, "r1", at).headers;
    let unclocked = unclocked.body(Bytes::from(body)).unwrap();
    let hook = channel.hook.unwrap();
    assert_eq!(refusal(hook.receive(&unclocked)), (401, "no_clock"));
}

#[test]
fn a_token_opens_only_its_own_channel() {
    let body = message("m1").to_string();
    let channel = try_build(&[("token", TOKEN)]).unwrap();
    assert!(Post::bearer(&*body, TOKEN).to(&channel).is_ok());
    let longer = format!("{TOKEN}0");
    for token in ["", "x", &longer, TOKEN.get(1..).unwrap(), &TOKEN.to_uppercase()] {
        assert_eq!(refusal(Post::bearer(&*body, token).to(&channel)).0, 401, "{token}");
    }
    let twice = Post::bearer(&*body, TOKEN).with("authorization", &format!("Bearer {TOKEN}"));
    assert_eq!(refusal(twice.to(&channel)).0, 401);
    let basic = Post::of(&*body).with("authorization", &format!("Basic {TOKEN}"));
    assert_eq!(refusal(basic.to(&channel)).0, 401);
    let signed = Post::signed(&*body, SECRET, "r", now().timestamp());
    assert_eq!(refusal(signed.to(&channel)), (401, "signature_not_expected"));
}

fn made(name: &ChannelName, site: &Site) -> Vec<(&'static str, Secret)> {
    made_credentials(name, std::collections::HashMap::<String, Table>::new().into(), site).unwrap()
}

/// The embedded default: no secret in any file, and none that could be guessed.
#[test]
fn a_channel_without_a_secret_has_one_that_only_this_installation_can_know() {
    let name = "crm".parse().unwrap();
    let credentials = made(&name, &site());
    let [(_, secret), (_, token)] = credentials.as_slice() else { panic!() };
    let body = message("m1").to_string();
    let channel = try_build(&[]).unwrap();
    let at = now().timestamp();
    assert!(Post::signed(&*body, secret.reveal(), "r1", at).to(&channel).is_ok());
    assert!(Post::bearer(&*body, token.reveal()).to(&channel).is_ok());
    let elsewhere = Site { signer: Signer::new(vec![[8; 32]]), ..site() };
    for (other_name, other_site) in [("crm", &elsewhere), ("crm2", &site())] {
        let others = made(&other_name.parse().unwrap(), other_site);
        assert_ne!(others[0].1, *secret);
        assert_eq!(refusal(Post::bearer(&*body, others[1].1.reveal()).to(&channel)).0, 401);
    }
    // Given one of its own, the made ones are worth nothing any more.
    let channel = try_build(&[("token", TOKEN)]).unwrap();
    assert_eq!(refusal(Post::bearer(&*body, token.reveal()).to(&channel)).0, 401);
}

/// L30, and FAULTS 146: a bad entry costs its neighbours nothing, and is kept itself.
#[test]
fn every_entry_is_a_raw_of_its_own_and_the_sender_is_told_of_the_bad_ones() {
    let channel = try_build(&[("token", TOKEN)]).unwrap();
    let body = r#"[ {"id":"m1","sender":{"id":"u"},"text":"one"} ,
        {"id":"m2","sender":{"id":"u"}}, 7, {"type":"edit","id":"m1","text":"ONE"}]"#;
    let received = Post::bearer(body, TOKEN).to(&channel).unwrap();
    assert_eq!(received.answer.status(), StatusCode::ACCEPTED);
    let told: Value = serde_json::from_slice(received.answer.body()).unwrap();
    assert_eq!((&told["accepted"], &told["quarantined"]), (&json!(2), &json!(2)));
    assert_eq!(told["entries"][0], json!({ "index": 0, "id": "m1" }));
    assert!(told["entries"][1]["problem"].as_str().unwrap().contains("text"), "{told}");
    let bodies: Vec<&[u8]> = received.raws.iter().map(|raw| &*raw.body).collect();
    assert_eq!(bodies[0], br#"{"id":"m1","sender":{"id":"u"},"text":"one"}"#, "byte for byte");
    assert_eq!(bodies[2], b"7");
    assert_eq!(bodies.len(), 4);
    // Nothing understood, all kept.
    for body in ["{", "", "not JSON", "[1, 2", r#"{"id": 7}"#, "null", "\u{0}"] {
        let received = Post::bearer(body, TOKEN).to(&channel).unwrap();
        assert_eq!(received.answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(received.raws.len(), 1);
        assert_eq!(&*received.raws[0].body, body.as_bytes());
        assert!(channel.interpret.interpret(&received.raws[0]).is_err());
    }
    let empty = Post::bearer("[]", TOKEN).to(&channel).unwrap();
    assert_eq!((empty.answer.status(), empty.raws.len()), (StatusCode::ACCEPTED, 0));
    let many = format!("[{}]", vec!["1"; 1001].join(","));
    assert_eq!(refusal(Post::bearer(many, TOKEN).to(&channel)).0, 413);
}

#[test]
fn the_same_request_again_has_the_same_keys_and_another_one_has_not() {
    let channel = try_build(&[("secret", SECRET), ("token", TOKEN)]).unwrap();
    let at = now().timestamp();
    let keys = |post: Post| -> Vec<String> {
        post.to(&channel).unwrap().raws.into_iter().map(|raw| raw.dedupe.0).collect()
    };
    let body = json!([message("m1"), message("m2")]).to_string();
    let first = keys(Post::signed(&*body, SECRET, "r1", at));
    assert_eq!(first, keys(Post::signed(&*body, SECRET, "r1", at + 60)), "another attempt");
    assert_ne!(first, keys(Post::signed(&*body, SECRET, "r2", at)));
    assert_ne!(first[0], first[1]);
    let changed = json!([message("m3"), message("m4")]).to_string();
    assert_ne!(
        first,
        keys(Post::signed(changed, SECRET, "r1", at)),
        "a name used twice loses nothing"
    );
    // By token, without a name: the words decide.
    assert_eq!(keys(Post::bearer(&*body, TOKEN)), keys(Post::bearer(&*body, TOKEN)));
    let named = |name: &str| keys(Post::bearer(&*body, TOKEN).with("idempotency-key", name));
    assert_eq!(named("\"a\""), named("a"));
    assert_ne!(named("a"), named("b"));
}

#[test]
fn a_message_says_who_wrote_what_where() {
    let inbound = inbound(&json!({
        "type": "message", "id": "m7", "conversation": "c1",
        "sender": { "id": "u1", "name": "安娜" },
        "subject": "Wallet", "text": "看不到余额", "html": "<p>x</p><script>y</script>",
        "occurred_at": "2026-11-25T10:00:00+08:00", "reply_to": "m6", "automated": true,
        "attachments": [
            { "name": "../a\\b/c.png", "media_type": "Image/PNG; x=1", "content": "aGVs\nbG8=" },
            { "url": "https://files.example/x/report.pdf?t=1" },
        ],
    }));
    assert_eq!(inbound.remote_id.as_str(), "m7");
    let sender = inbound.sender;
    let address = sender.address.unwrap();
    assert_eq!((address.scheme, address.value.as_str()), (Scheme::Api, "u1"));
    assert_eq!(address.scope.unwrap().as_str(), "crm");
    assert_eq!((sender.name.as_deref(), sender.trust), (Some("安娜"), Trust::Proven));
    assert_eq!(inbound.thread.key.unwrap().as_str(), "c:c1");
    assert_eq!(inbound.thread.parents[0].as_str(), "m6");
    assert_eq!(inbound.occurred_at.to_rfc3339(), "2026-11-25T02:00:00+00:00");
    assert_eq!((inbound.subject.as_deref(), &*inbound.text), (Some("Wallet"), "看不到余额"));
    assert_eq!(inbound.html.as_deref(), Some("<p>x</p>"));
    assert!(inbound.automated.is_some());
    let names: Vec<_> = inbound.media.iter().map(|media| (&*media.name, &*media.mime)).collect();
    assert_eq!(names, [("c.png", "image/png"), ("report.pdf", "application/octet-stream")]);
    assert!(matches!(&inbound.media[0].source, MediaSource::Inline(bytes) if &**bytes == b"hello"));
    assert!(
        matches!(&inbound.media[1].source, MediaSource::Remote(at) if at.as_str().ends_with("?t=1"))
    );
}

#[test]
fn what_is_left_out_has_a_sensible_meaning() {
    let plain = inbound(&message("m1"));
    assert_eq!(plain.thread.key.unwrap().as_str(), "c:u1", "all of a person is one conversation");
    assert_eq!((plain.occurred_at, plain.subject.as_deref()), (now(), Some("hello")));
    assert!(plain.automated.is_none());
    let long = inbound(
        &json!({ "id": "1", "sender": { "id": "u" }, "text": format!("\n\n{}\nrest", "字".repeat(200)) }),
    );
    assert_eq!(long.subject.unwrap().chars().count(), 81);
    let html =
        inbound(&json!({ "id": "1", "sender": { "id": "u" }, "html": "<p>hi <b>you</b></p>" }));
    assert_eq!(html.text, "hi you");
    let file = json!({ "id": "1", "sender": { "id": "u" }, "attachments": [{ "content": "" }] });
    assert_eq!(inbound(&file).media[0].name, "file");
}

#[test]
fn the_same_id_is_the_same_message_only_with_the_same_words() {
    let one = inbound(&message("m1"));
    let mut again = message("m1");
    again["occurred_at"] = json!("2026-11-25T10:00:00Z");
    again["sender"]["name"] = json!("Ann Other");
    assert_eq!(one.digest, inbound(&again).digest, "what is not the sender's words does not count");
    for (field, value) in
        [("text", json!("bye")), ("conversation", json!("c2")), ("subject", json!("s"))]
    {
        let mut other = message("m1");
        other[field] = value;
        assert_ne!(one.digest, inbound(&other).digest, "{field}");
    }
}

#[test]
fn changes_and_news_find_what_they_are_about() {
    let edit = interpret(&json!({ "type": "edit", "id": "m1", "text": "new" })).unwrap();
    assert!(
        matches!(edit, Event::Edit { target, text } if target.as_str() == "m1" && text == "new")
    );
    let delete = interpret(&json!({ "type": "delete", "id": "m1" })).unwrap();
    assert!(matches!(delete, Event::Delete { target } if target.as_str() == "m1"));
    let delivery = "01939f4e-0000-7000-8000-000000000001";
    for (status, state) in [
        ("delivered", ReceiptState::Delivered),
        ("read", ReceiptState::Read),
        (
            "failed",
            ReceiptState::Failed { cause: "no such phone".to_owned(), address_is_bad: false },
        ),
    ] {
        let entry = json!({ "type": "status", "delivery": delivery, "status": status, "error": "no such\u{7} phone" });
        let Event::Receipt(receipt) = interpret(&entry).unwrap() else { panic!() };
        assert_eq!(receipt.state, state);
        assert_eq!(receipt.delivery.unwrap().to_string(), delivery);
        assert_eq!(receipt.at, now());
    }
    let by_name = interpret(&json!({ "type": "status", "id": "r9", "status": "read" })).unwrap();
    assert!(
        matches!(by_name, Event::Receipt(receipt) if receipt.target.as_ref().unwrap().as_str() == "r9")
    );
}

#[test]
fn each_bad_entry_is_told_by_its_field_and_nothing_of_it_is_quoted() {
    let long = "canary".repeat(100);
    let sender = json!({ "id": "u" });
    for (entry, field) in [
        (json!({}), "id"),
        (json!({ "id": "", "sender": sender, "text": "x" }), "id"),
        (json!({ "id": long, "sender": sender, "text": "x" }), "id"),
        (json!({ "id": "a\nb", "sender": sender, "text": "x" }), "id"),
        (json!({ "id": 7, "sender": sender, "text": "x" }), "id"),
        (json!({ "id": "1", "text": "x" }), "sender"),
        (json!({ "id": "1", "sender": "canary", "text": "x" }), "sender"),
        (json!({ "id": "1", "sender": {}, "text": "x" }), "id"),
        (json!({ "id": "1", "sender": { "id": "u", "email": "canary" }, "text": "x" }), "email"),
        (
            json!({ "id": "1", "sender": { "id": "u", "phone": "0190 canary" }, "text": "x" }),
            "phone",
        ),
        (json!({ "id": "1", "sender": sender, "text": " " }), "text"),
        (json!({ "id": "1", "sender": sender, "text": "x", "txet": "canary" }), "txet"),
        (
            json!({ "id": "1", "sender": sender, "text": "x", "occurred_at": "canary" }),
            "occurred_at",
        ),
        (json!({ "id": "1", "sender": sender, "attachments": [{}] }), "attachments[0]"),
        (
            json!({ "id": "1", "sender": sender, "attachments": [{ "content": "", "url": "https://x" }] }),
            "attachments[0]",
        ),
        (
            json!({ "id": "1", "sender": sender, "attachments": [{ "url": "file:///canary" }] }),
            "attachments[0]",
        ),
        (
            json!({ "id": "1", "sender": sender, "attachments": [{ "url": "canary" }] }),
            "attachments[0]",
        ),
        (json!({ "type": "canary", "id": "1" }), "type"),
        (json!({ "type": "edit", "id": "1" }), "text"),
        (json!({ "type": "delete" }), "id"),
        (json!({ "type": "status", "status": "read" }), "delivery"),
        (json!({ "type": "status", "id": "1", "status": "canary" }), "status"),
        (json!({ "type": "status", "delivery": "canary", "status": "read" }), "delivery"),
        (json!([]), ""),
        (json!("canary"), ""),
        (Value::Null, ""),
    ] {
        let problem = Entry::read(entry.to_string().as_bytes()).unwrap_err();
        assert!(problem.contains(field), "{entry}: {problem}");
        assert!(!problem.contains("canary"), "{problem}");
        assert!(interpret(&entry).is_err(), "{entry}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Entry::read(deep.as_bytes()).is_err());
    let bad = json!({ "id": "1", "sender": sender, "attachments": [{ "content": "%%%" }] });
    assert!(interpret(&bad).unwrap_err().contains("base64"));
}

proptest::proptest! {
    /// FAULTS: no bytes whatever bring the reader down.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        drop(Entry::read(&bytes));
    }
}

#[test]
fn a_request_without_a_name_still_counts_each_change() {
    let channel = try_build(&[("token", TOKEN)]).unwrap();
    let edit = json!({ "type": "edit", "id": "m1", "text": "A" }).to_string();
    let key = Post::bearer(&*edit, TOKEN).to(&channel).unwrap().raws[0].dedupe.0.clone();
    assert!(key.ends_with(&format!(":{}", now().timestamp_millis())), "{key}");
}
