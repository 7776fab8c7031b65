use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::*;
use crate::channel::chat::{
    CallMe, Form, Judgement, Knock, Said, SentFile, SignedId, Unwelcome, Visitor, Words,
};
use crate::channel::shared::sign::hmac_sha256;
use crate::channel::{self, Vault};
use crate::model::{
    Cause, Event, Inbound, Meaning, MediaSource, Priority, Raw, ReceiptState, Secret, Timestamp,
    Trust, UploadId,
};

const KEY: &str = "0123456789abcdef0123456789abcdef";

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

fn try_build(name: &str, toml: &str) -> Result<Channel, BadChannel> {
    let settings = config::Config::builder()
        .add_source(config::File::from_str(toml, config::FileFormat::Toml))
        .build()
        .unwrap();
    let mut table = settings.try_deserialize::<config::Value>().unwrap();
    if let config::ValueKind::Table(table) = &mut table.kind {
        table.insert("kind".to_owned(), config::Value::new(None, "webchat"));
    }
    let site = Site {
        public_url: "https://support.example.com".to_owned(),
        signer: Signer::new(vec![[7; 32]]),
        vault: Arc::new(NoVault),
    };
    channel::build(name.parse().unwrap(), table, &site)
}

fn built(toml: &str) -> Channel {
    try_build("web", toml).unwrap()
}

fn now() -> Timestamp {
    "2026-11-26T08:00:00Z".parse().unwrap()
}

fn identified() -> String {
    format!("identity = \"optional\"\nidentity_keys = [\"{KEY}\"]\n")
}

fn jwt(header: &Value, claims: &Value, key: &str) -> String {
    let part = |value: &Value| BASE64.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mark = BASE64.encode(hmac_sha256(key.as_bytes(), signed.as_bytes()));
    format!("{signed}.{mark}")
}

fn knock_jwt(claims: &Value) -> Knock {
    let jwt = jwt(&json!({ "alg": "HS256", "typ": "JWT" }), claims, KEY);
    Knock { jwt: Some(jwt), ..Knock::default() }
}

fn anonymous(channel: &Channel) -> Visitor {
    channel.chat.as_ref().unwrap().admit(&Knock::default(), now()).unwrap()
}

fn words(client_id: &str, text: &str) -> Words {
    Words { client_id: client_id.to_owned(), text: text.to_owned(), ..Words::default() }
}

fn events(channel: &Channel, visitor: &Visitor, said: Said) -> Vec<Event> {
    let raw = channel.chat.as_ref().unwrap().raw(visitor, said, now()).unwrap();
    match channel.interpret.interpret(&raw).unwrap() {
        Meaning::Events(events) => events,
        Meaning::Ignore(why) => panic!("ignored: {why}"),
    }
}

fn inbound(channel: &Channel, visitor: &Visitor, said: Said) -> Inbound {
    let first = events(channel, visitor, said).into_iter().next().unwrap();
    let Event::Message(inbound) = first else { panic!("no message: {first:?}") };
    *inbound
}

fn code(error: &Unwelcome) -> &'static str {
    match error {
        Unwelcome::Token(code, _) | Unwelcome::Wrong(code, _) => code,
    }
}

#[test]
fn a_token_is_good_on_its_own_channel_until_its_end() {
    let channel = built("session_days = 30");
    let chat = channel.chat.as_ref().unwrap();
    let visitor = anonymous(&channel);
    let token = chat.token(&visitor);
    assert_eq!(chat.visitor(&token, now()).unwrap(), visitor);
    let late = now() + chrono::Duration::days(30);
    assert_eq!(code(&chat.visitor(&token, late).unwrap_err()), "token_expired");
    let other = try_build("app", "").unwrap();
    assert_eq!(code(&other.chat.unwrap().visitor(&token, now()).unwrap_err()), "bad_token");
}

#[test]
fn a_changed_token_is_none() {
    let channel = built("");
    let chat = channel.chat.as_ref().unwrap();
    let token = chat.token(&anonymous(&channel));
    let (head, mark) = token.rsplit_once('.').unwrap();
    let payload = BASE64.decode(head.strip_prefix("tv1.").unwrap()).unwrap();
    let forged = String::from_utf8(payload).unwrap().replace("\"v\":\"a:", "\"v\":\"u:");
    let forged = format!("tv1.{}.{mark}", BASE64.encode(forged));
    for bad in [
        "",
        "tv1.",
        "tv1..",
        "x",
        head,
        token.strip_prefix('t').unwrap(),
        &forged,
        &format!("{token}a"),
    ] {
        assert_eq!(code(&chat.visitor(bad, now()).unwrap_err()), "bad_token", "{bad}");
    }
}

#[test]
fn a_renewed_token_is_the_same_visitor() {
    let channel = built("session_days = 30");
    let chat = channel.chat.as_ref().unwrap();
    let first = anonymous(&channel);
    let later = now() + chrono::Duration::days(20);
    let knock = Knock { token: Some(chat.token(&first)), ..Knock::default() };
    let renewed = chat.admit(&knock, later).unwrap();
    assert_eq!(renewed.id, first.id);
    assert_eq!(renewed.expires_at, later + chrono::Duration::days(30));
    assert_ne!(anonymous(&channel).id, first.id, "no two strangers are one");
}

#[test]
fn signed_identities_are_proven_and_nothing_else_is() {
    let channel = built(&identified());
    let chat = channel.chat.as_ref().unwrap();
    let hash = HEXLOWER.encode(&hmac_sha256(KEY.as_bytes(), b"user-7"));
    let identity = |user: &str, hash: &str| Knock {
        identity: Some(SignedId {
            user_id: user.to_owned(),
            hash: hash.to_owned(),
            name: Some("Li Wei".to_owned()),
            email: None,
        }),
        ..Knock::default()
    };
    let visitor = chat.admit(&identity("user-7", &hash), now()).unwrap();
    assert_eq!((visitor.id.as_str(), visitor.identified), ("u:user-7", true));
    assert_eq!(visitor.name.as_deref(), Some("Li Wei"));
    for (user, mark) in [("user-8", hash.as_str()), ("user-7", ""), ("user-7", "00"), ("", &hash)] {
        let error = chat.admit(&identity(user, mark), now()).unwrap_err();
        assert_eq!(code(&error), "bad_identity", "{user} {mark}");
    }
    let said = Said::Message(words("1", "hello"));
    assert_eq!(inbound(&channel, &visitor, said.clone()).sender.trust, Trust::Proven);
    assert_eq!(inbound(&channel, &anonymous(&channel), said).sender.trust, Trust::Claimed);
}

#[test]
fn a_jwt_must_be_ours_and_fresh() {
    let channel = built(&identified());
    let chat = channel.chat.as_ref().unwrap();
    let at = now().timestamp();
    let good = json!({ "sub": "42", "exp": at + 600, "name": "Zoë", "email": "Z@example.com" });
    let visitor = chat.admit(&knock_jwt(&good), now()).unwrap();
    assert_eq!((visitor.id.as_str(), visitor.email.as_deref()), ("u:42", Some("z@example.com")));
    let bad = [
        json!({ "sub": "42" }),
        json!({ "exp": at + 600 }),
        json!({ "sub": "42", "exp": at - 61 }),
        json!({ "sub": "42", "exp": at + 90_000 }),
        json!({ "sub": "42", "exp": at + 600, "nbf": at + 120 }),
        json!({ "sub": "42", "exp": at + 600, "aud": "other" }),
        json!({ "sub": "42", "exp": at + 600, "aud": ["other"] }),
        json!({ "sub": ["42"], "exp": at + 600 }),
        json!({ "sub": "", "exp": at + 600 }),
    ];
    for claims in bad {
        let error = chat.admit(&knock_jwt(&claims), now()).unwrap_err();
        assert_eq!(code(&error), "bad_identity", "{claims}");
    }
    for alg in ["none", "RS256", "hs256"] {
        let jwt = jwt(&json!({ "alg": alg }), &good, KEY);
        let knock = Knock { jwt: Some(jwt), ..Knock::default() };
        assert_eq!(code(&chat.admit(&knock, now()).unwrap_err()), "bad_identity", "{alg}");
    }
    let foreign = jwt(&json!({ "alg": "HS256" }), &good, "another key of thirty-two characters");
    let knock = Knock { jwt: Some(foreign), ..Knock::default() };
    assert_eq!(code(&chat.admit(&knock, now()).unwrap_err()), "bad_identity");
}

#[test]
fn where_identities_are_required_nobody_else_gets_in() {
    let toml = identified().replace("optional", "required");
    let channel = built(&toml);
    let chat = channel.chat.as_ref().unwrap();
    assert_eq!(code(&chat.admit(&Knock::default(), now()).unwrap_err()), "identity_required");
    let claims = json!({ "sub": "42", "exp": now().timestamp() + 600 });
    let visitor = chat.admit(&knock_jwt(&claims), now()).unwrap();
    let knock = Knock { token: Some(chat.token(&visitor)), ..Knock::default() };
    assert!(chat.admit(&knock, now()).unwrap().identified, "a renewal needs no second proof");
    let off = built("");
    let error = off.chat.unwrap().admit(&knock_jwt(&claims), now()).unwrap_err();
    assert_eq!(code(&error), "identity_off");
}

#[test]
fn the_same_client_id_is_the_same_raw_and_the_same_message() {
    let channel = built("");
    let chat = channel.chat.as_ref().unwrap();
    let (one, other) = (anonymous(&channel), anonymous(&channel));
    let key = |visitor: &Visitor, id: &str| {
        chat.raw(visitor, Said::Message(words(id, "hi")), now()).unwrap().dedupe
    };
    assert_eq!(key(&one, "1"), key(&one, "1"));
    assert_ne!(key(&one, "1"), key(&one, "2"));
    assert_ne!(key(&one, "1"), key(&other, "1"), "two visitors may use the same id");
    let first = inbound(&channel, &one, Said::Message(words("1", "hi")));
    assert_eq!(first.thread.key, Some(crate::model::ThreadKey::new(&one.id)));
    let again = inbound(&channel, &one, Said::Message(words("1", "hi")));
    assert_eq!((first.remote_id, first.digest), (again.remote_id, again.digest));
}

#[test]
fn what_makes_no_sense_is_refused_with_a_word() {
    let channel = built("text_chars_max = 5\nrating = false");
    let chat = channel.chat.as_ref().unwrap();
    let visitor = anonymous(&channel);
    let refused = |said: Said| code(&chat.raw(&visitor, said, now()).unwrap_err());
    assert_eq!(refused(Said::Message(words("", "hi"))), "bad_client_id");
    assert_eq!(refused(Said::Message(words("a b", "hi"))), "bad_client_id");
    assert_eq!(refused(Said::Message(words(&"x".repeat(65), "hi"))), "bad_client_id");
    assert_eq!(refused(Said::Message(words("1", " \n\u{0} "))), "empty");
    assert_eq!(refused(Said::Message(words("1", "你好吗朋友们"))), "too_long");
    assert!(chat.raw(&visitor, Said::Message(words("1", "你好吗朋友")), now()).is_ok());
    let mut asked = words("1", "hi");
    asked.form.topic = Some("none".to_owned());
    assert_eq!(refused(Said::Message(asked.clone())), "unknown_topic");
    asked.form = Form { urgency: Some("urgent".to_owned()), ..Form::default() };
    assert_eq!(refused(Said::Message(asked.clone())), "unknown_urgency");
    asked.form = Form { email: Some("nonsense".to_owned()), ..Form::default() };
    assert_eq!(refused(Said::Message(asked)), "bad_email");
    let wish = CallMe {
        client_id: "1".to_owned(),
        phone: "+8613800138000".to_owned(),
        ..CallMe::default()
    };
    assert_eq!(refused(Said::Callback(wish)), "no_callback");
    let judgement = Judgement { client_id: "1".to_owned(), score: 5, comment: String::new() };
    assert_eq!(refused(Said::Rating(judgement)), "no_rating");
}

#[test]
fn topic_and_urgency_decide_queue_priority_and_tags() {
    let channel = built(
        r#"
        urgencies = ["normal", "urgent"]
        [[topics]]
        id = "withdrawal"
        label = { en = "Withdrawal", zh = "提现" }
        queue = "payments"
        priority = "high"
        tags = ["money"]
        [[questions]]
        id = "wallet"
        label = "Wallet address"
        "#,
    );
    let visitor = anonymous(&channel);
    let mut said = words("1", "where is it?");
    said.form = Form {
        name: Some("Li\nWei".to_owned()),
        topic: Some("withdrawal".to_owned()),
        fields: [("wallet".to_owned(), "0xabc".to_owned())].into(),
        page: Some("https://u:p@app.example.com/a?token=secret#x".to_owned()),
        ..Form::default()
    };
    let message = inbound(&channel, &visitor, Said::Message(said.clone()));
    assert_eq!(message.wishes.queue.as_deref(), Some("payments"));
    assert_eq!(message.wishes.priority, Some(Priority::High));
    assert_eq!(message.wishes.tags, ["money", "topic:withdrawal"]);
    assert_eq!(message.text, "where is it?");
    assert_eq!(
        message.text_full,
        "where is it?\n\n— Name: Li Wei\n— Topic: Withdrawal\n— Wallet address: 0xabc\n\
         — Page: https://app.example.com/a"
    );
    assert_eq!(message.sender.name.as_deref(), Some("Li Wei"));
    said.form.urgency = Some("urgent".to_owned());
    let message = inbound(&channel, &visitor, Said::Message(said.clone()));
    assert_eq!(message.wishes.priority, Some(Priority::Urgent), "the more urgent of the two");
    said.form.urgency = Some("normal".to_owned());
    let message = inbound(&channel, &visitor, Said::Message(said));
    assert_eq!(message.wishes.priority, Some(Priority::High));
}

#[test]
fn files_are_named_for_their_owner_alone() {
    let channel = built("");
    let chat = channel.chat.as_ref().unwrap();
    let (one, other) = (anonymous(&channel), anonymous(&channel));
    let upload = UploadId::new();
    let name = chat.file_name(&one, upload);
    assert_eq!(chat.file(&one, &name), Some(upload));
    assert_eq!(chat.file(&other, &name), None);
    assert_eq!(chat.file(&one, &upload.to_string()), None, "the bare id is nothing");
    let swapped = name.replace(&upload.to_string(), &UploadId::new().to_string());
    assert_eq!(chat.file(&one, &swapped), None);
    let mut said = words("1", "");
    said.files.push(SentFile {
        id: upload,
        name: "a.png".to_owned(),
        media_type: "image/png".to_owned(),
        bytes: 5,
    });
    let message = inbound(&channel, &one, Said::Message(said));
    let MediaSource::Upload { id, bytes } = &message.media[0].source else {
        panic!("{:?}", message.media)
    };
    assert_eq!((*id, *bytes), (upload, 5));
}

#[test]
fn a_call_back_a_judgement_and_receipts_have_their_meanings() {
    let channel = built("callback = true");
    let mut visitor = anonymous(&channel);
    visitor.language = Some("zh-CN".to_owned());
    let wish = CallMe {
        client_id: "1".to_owned(),
        phone: "+86 138-0013-8000".to_owned(),
        when: "今天下午".to_owned(),
        note: String::new(),
        ..CallMe::default()
    };
    let message = inbound(&channel, &visitor, Said::Callback(wish));
    assert_eq!(message.text, "请给我回电：+8613800138000\n今天下午");
    assert_eq!(message.wishes.tags, ["callback"]);
    let call = message.wishes.call.as_ref().unwrap();
    assert_eq!(call.time_zone, None, "Mars has none");
    assert_eq!(message.wishes.language.as_deref(), Some("zh-CN"));
    let judgement =
        Judgement { client_id: "2".to_owned(), score: 4, comment: "quick\u{0}".to_owned() };
    let judged = events(&channel, &visitor, Said::Rating(judgement));
    let [Event::Message(notice), Event::Rating(rating)] = judged.as_slice() else {
        panic!("{judged:?}")
    };
    assert_eq!(notice.text, "Rated 4 of 5: quick");
    assert!(notice.automated.is_some(), "it opens nothing again");
    assert_eq!((rating.score, rating.comment.as_str()), (4, "quick"));
    let delivery = crate::model::DeliveryId::new();
    let receipt = Said::Receipt { read: true, deliveries: vec![delivery] };
    let news = events(&channel, &visitor, receipt);
    let [Event::Receipt(receipt)] = news.as_slice() else { panic!("{news:?}") };
    assert_eq!((receipt.delivery, &receipt.state), (Some(delivery), &ReceiptState::Read));
}

#[test]
fn a_bare_message_can_be_handed_over_by_hand() {
    let channel = built("");
    let raw = Raw {
        dedupe: crate::model::DedupeKey::new("ingest:1"),
        body: br#"{"client_id":"7","text":"hi"}"#.as_slice().into(),
        transport: crate::model::Transport::new(),
        received_at: Some(now()),
    };
    let Meaning::Events(events) = channel.interpret.interpret(&raw).unwrap() else { panic!() };
    let Event::Message(message) = &events[0] else { panic!() };
    assert_eq!((message.text.as_str(), message.occurred_at), ("hi", now()));
    for body in ["", "[]", "7", "{\"type\":\"other\"}", "{\"text\":7}", "\u{0}"] {
        let raw = Raw { body: bytes::Bytes::copy_from_slice(body.as_bytes()), ..raw.clone() };
        assert!(channel.interpret.interpret(&raw).is_err(), "{body}");
    }
}

#[test]
fn faulty_settings_are_named_by_their_key() {
    let faults = [
        ("identity = \"required\"", "identity_keys"),
        ("identity = \"optional\"\nidentity_keys = [\"short\"]", "identity_keys[0]"),
        ("identity_keys = [\"0123456789abcdef0123456789abcdef\"]", "identity"),
        ("origins = [\"app.example.com\"]", "origins[0]"),
        ("session_days = 0", "session_days"),
        ("text_chars_max = 0", "text_chars_max"),
        ("accent = \"blue\"", "accent"),
        ("[[topics]]\nid = \"A\"\nlabel = \"a\"", "topics[0].id"),
        (
            "[[topics]]\nid = \"a\"\nlabel = \"a\"\n[[topics]]\nid = \"a\"\nlabel = \"b\"",
            "topics[1].id",
        ),
        ("[hours]\noffset = \"Shanghai\"\nopen = []", "hours.offset"),
        ("[hours]\noffset = \"+08:00\"\nopen = [\"daily\"]", "hours.open[0]"),
        ("[files]\nbytes_max = 0", "files.bytes_max"),
        ("[files]\ntypes = [\"png\"]", "files.types[0]"),
        ("[limits]\nstreams = 0", "limits.streams"),
        ("[continuity]\nchannel = \"Not A Name\"", "continuity.channel"),
        ("[continuity]\nchannel = \"mail\"\nafter_minutes = 0", "continuity.after_minutes"),
        ("titel = \"x\"", "titel"),
    ];
    for (toml, key) in faults {
        let Err(BadChannel::Setting { path, problem, .. }) = try_build("web", toml) else {
            panic!("{toml} was taken")
        };
        assert_eq!(path, key, "{toml}: {problem}");
    }
}
