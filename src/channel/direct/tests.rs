use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::*;
use crate::channel::shared::sign::Signer;
use crate::channel::{Vault, build as build_any};
use crate::model::{
    Cause, DedupeKey, Event, Flag, Inbound, Meaning, MediaSource, Raw, Reach, Reached, Secret,
    Transport,
};

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

const SECRETS: &str =
    "token = 'EAAB-of-a-page'\napp_secret = '0123456789abcdef'\nverify_token = 'anything-long'\n";
const PAGE: &str = "1234567890";
const ACCOUNT: &str = "17841400000000001";

fn built(kind: &str, more: &str) -> Result<Channel, BadChannel> {
    let text = format!("kind = '{kind}'\n{more}\n");
    let file = config::File::from_str(&text, config::FileFormat::Toml);
    let table = config::Config::builder().add_source(file).build().unwrap();
    let site = Site {
        public_url: "https://desk.test".to_owned(),
        signer: Signer::new(vec![[7; 32]]),
        vault: Arc::new(NoVault),
    };
    build_any("dm".parse().unwrap(), table.try_deserialize().unwrap(), &site)
}

fn channel(kind: &str) -> Channel {
    let own = if kind == "messenger" { "page_id" } else { "account_id" };
    let id = if kind == "messenger" { PAGE } else { ACCOUNT };
    built(kind, &format!("{own} = '{id}'\n{SECRETS}")).unwrap_or_else(|bad| panic!("{bad}"))
}

fn read_as(kind: &str, body: &Value) -> Meaning {
    let raw = Raw {
        dedupe: DedupeKey::new("k"),
        body: body.to_string().into(),
        transport: Transport::new(),
        received_at: chrono::DateTime::from_timestamp(1_700_000_000, 0),
    };
    channel(kind).interpret.interpret(&raw).unwrap_or_else(|bad| panic!("{bad:?}: {body}"))
}

fn around(kind: &str, list: &str, event: &Value) -> Value {
    let (object, own) = if kind == "messenger" { ("page", PAGE) } else { ("instagram", ACCOUNT) };
    let mut event = event.clone();
    for (side, id) in [("sender", "111"), ("recipient", own)] {
        if event.get(side).is_none() {
            event[side] = json!({ "id": id });
        }
    }
    if event.get("timestamp").is_none() {
        event["timestamp"] = json!(1_699_999_999_000_i64);
    }
    json!({ "object": object, "entry": [{ "id": own, "time": 1_699_999_999_500_i64, list: [event] }] })
}

fn events(kind: &str, event: &Value) -> Vec<Event> {
    match read_as(kind, &around(kind, "messaging", event)) {
        Meaning::Events(events) => events,
        Meaning::Ignore(why) => panic!("{why}: {event}"),
    }
}

fn ignored(kind: &str, event: &Value) -> &'static str {
    match read_as(kind, &around(kind, "messaging", event)) {
        Meaning::Ignore(why) => why,
        Meaning::Events(events) => panic!("{events:?}"),
    }
}

fn message(kind: &str, message: &Value) -> Inbound {
    let mut message = message.clone();
    if message.get("mid").is_none() {
        message["mid"] = json!("m_1");
    }
    let events = events(kind, &json!({ "message": message }));
    let [Event::Message(inbound)] = events.as_slice() else { panic!("{events:?}") };
    (**inbound).clone()
}

fn files(inbound: &Inbound) -> Vec<(&str, &str)> {
    let remote = |media: &crate::model::Media| matches!(media.source, MediaSource::Remote(_));
    assert!(inbound.media.iter().all(remote));
    inbound.media.iter().map(|media| (media.name.as_str(), media.mime.as_str())).collect()
}

#[test]
fn each_fault_of_the_settings_is_named() {
    for (kind, own) in [("messenger", "page_id"), ("instagram", "account_id")] {
        let good = format!("{own} = '1234567890'\n{SECRETS}");
        assert!(built(kind, &good).is_ok());
        for (wrong, path) in [
            (good.replace("1234567890", "my page"), own),
            (good.replace("EAAB-of-a-page", ""), "token"),
            (good.replace("0123456789abcdef", " "), "app_secret"),
            (good.replace("anything-long", "a b c d e f g"), "verify_token"),
            (format!("{good}api_version = '25'"), "api_version"),
            (format!("{good}api_url = 'http://graph.facebook.com'"), "api_url"),
            (format!("{good}media_url = 'files'"), "media_url"),
            (format!("{good}previous_app_secret = 'x'"), "previous_app_secret"),
            (format!("{good}human_agent = 'perhaps'"), "human_agent"),
        ] {
            let Err(bad) = built(kind, &wrong) else { panic!("{wrong} was taken") };
            assert!(bad.to_string().starts_with(&format!("channels.dm.{path}: ")), "{bad}");
        }
        let window = |more: &str| built(kind, &format!("{good}{more}")).unwrap().capabilities;
        assert_eq!(window("").reply_window, Some(WINDOW));
        assert_eq!(window("human_agent = true").reply_window, Some(HUMAN_WINDOW));
    }
}

/// Text and files of a message, as a person sees them.
type Seen = (Value, &'static str, &'static [(&'static str, &'static str)]);

fn all_are_told(cases: &[Seen]) {
    for kind in ["messenger", "instagram"] {
        for (given, text, expected) in cases {
            let inbound = message(kind, given);
            assert_eq!((&*inbound.text, files(&inbound).as_slice()), (*text, *expected), "{given}");
            assert!(!inbound.flags.contains(&Flag::Unreadable), "{given}");
        }
    }
}

fn cdn(file: &str) -> String {
    format!("https://scontent.xx.fbcdn.net/v/{file}?oh=1")
}

fn attached(kind: &str, payload: &Value) -> Value {
    json!({ "attachments": [{ "type": kind, "payload": payload }] })
}

/// COMPLAINTS M13: whatever a customer sends is there, in words…
#[test]
fn m13_everything_that_a_customer_says_is_told() {
    let place = json!({ "attachments": [{ "type": "location", "title": "Here",
        "payload": { "coordinates": { "lat": 1.5, "long": -2.25 } } }] });
    let page = json!({ "text": "look", "attachments": [{ "type": "fallback", "title": "A page",
        "url": "https://example.com/x" }] });
    let reel = json!({ "url": "https://www.instagram.com/reel/1", "title": "Reel" });
    let card = json!({ "template_type": "generic", "elements": [{ "title": "Shoe", "subtitle": "Red" }],
        "buttons": [{ "title": "Buy" }] });
    all_are_told(&[
        (json!({ "text": "hello \u{4f60}" }), "hello \u{4f60}", &[]),
        (json!({ "text": "Yes", "quick_reply": { "payload": "YES" } }), "Yes", &[]),
        (json!({ "quick_reply": { "payload": "YES" } }), "YES", &[]),
        (place, "Here\n1.5,-2.25\nhttps://maps.google.com/?q=1.5,-2.25", &[]),
        (page, "look\nA page\nhttps://example.com/x", &[]),
        (attached("ig_reel", &reel), "Reel\nhttps://www.instagram.com/reel/1", &[]),
        (attached("template", &card), "Shoe\nRed\n[Buy]", &[]),
        (
            attached("template", &json!({ "product": { "elements": [{ "title": "Hat" }] } })),
            "Hat",
            &[],
        ),
    ]);
}

/// … or as a file; a sticker comes with a picture of it for old programs, and is one file.
#[test]
fn m13_every_file_of_a_customer_is_told_once() {
    let at = |file: &str| json!({ "url": cdn(file) });
    let bill = json!({ "url": "https://cdn.fbsbx.com/v/bill.pdf?a=1" });
    let share = json!({ "url": cdn("p.jpg"), "title": "Post" });
    let sticker = |file: &str| json!({ "url": cdn(file), "sticker_id": 369 });
    let two = |first: (&str, &Value), second: (&str, &Value)| {
        let one = |(kind, payload): (&str, &Value)| json!({ "type": kind, "payload": payload });
        json!({ "attachments": [one(first), one(second)] })
    };
    all_are_told(&[
        (attached("image", &at("a.png")), "", &[("a.png", "image/png")]),
        (attached("video", &at("x")), "", &[("video.mp4", "video/mp4")]),
        (attached("audio", &at("x")), "", &[("audio.m4a", "audio/mp4")]),
        (attached("file", &bill), "", &[("bill.pdf", "application/pdf")]),
        (attached("share", &share), "Post", &[("p.jpg", "image/jpeg")]),
        (
            attached("story_mention", &at("s")),
            "[mentioned you in their story]",
            &[("storymention", "application/octet-stream")],
        ),
        (
            two(("sticker", &sticker("s.webp")), ("image", &sticker("s.png"))),
            "",
            &[("s.webp", "image/webp")],
        ),
        (two(("image", &at("s.png")), ("sticker", &at("s.webp"))), "", &[("s.webp", "image/webp")]),
        (attached("image", &sticker("t.png")), "", &[("t.png", "image/png")]),
        (
            two(("image", &at("1.jpg")), ("image", &at("2.jpg"))),
            "",
            &[("1.jpg", "image/jpeg"), ("2.jpg", "image/jpeg")],
        ),
    ]);
}

#[test]
fn what_cannot_be_shown_is_told_as_such() {
    for given in [
        json!({}),
        json!({ "text": 7, "attachments": 8 }),
        json!({ "is_unsupported": true }),
        json!({ "attachments": [{ "type": "hologram", "payload": {} }] }),
        json!({ "attachments": [{ "type": "ephemeral" }] }),
        json!({ "attachments": [{ "type": "image" }] }),
        json!({ "attachments": [7] }),
        json!({ "attachments": [{ "type": "location", "payload": {} }, { "type": "template" }] }),
    ] {
        let inbound = message("instagram", &given);
        assert!(!inbound.text.is_empty(), "{given}");
        assert!(inbound.flags.contains(&Flag::Unreadable), "{given}");
    }
}

#[test]
fn a_story_that_is_answered_belongs_to_the_answer() {
    let story = json!({ "text": "nice", "reply_to": { "story": { "id": "7",
        "url": "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=7" } } });
    let inbound = message("instagram", &story);
    assert_eq!((&*inbound.text, &*inbound.text_full), ("nice", "nice\n\n— About your story"));
    assert_eq!(files(&inbound).len(), 1);
    let gone =
        message("instagram", &json!({ "text": "nice", "reply_to": { "story": { "id": "7" } } }));
    assert!(gone.text_full.contains("which is gone") && gone.media.is_empty());
    let quoting = message("messenger", &json!({ "text": "this", "reply_to": { "mid": "m_0" } }));
    assert_eq!(quoting.thread.parents[0].as_str(), "m_0");
    let advertised = message(
        "messenger",
        &json!({ "text": "price?", "referral": { "ref": "spring",
        "ad_id": "9", "ads_context_data": { "ad_title": "Sale" } } }),
    );
    assert!(advertised.text_full.ends_with("— Came by: Sale · spring · advertisement 9"));
}

#[test]
fn the_same_told_again_with_other_addresses_has_one_digest() {
    let picture = |host: &str, words: &str| {
        message(
            "messenger",
            &json!({ "text": words, "attachments": [{ "type": "image",
            "payload": { "url": format!("https://{host}.fbcdn.net/a.png") } }] }),
        )
        .digest
    };
    assert_eq!(picture("one", "x"), picture("two", "x"));
    assert_ne!(picture("one", "x"), picture("one", "y"));
}

#[test]
fn everything_beside_messages_is_understood() {
    let first = |kind: &str, event: Value| events(kind, &event).remove(0);
    let reaction = |action: &str| {
        let event = json!({ "reaction": { "mid": "m_1", "action": action, "emoji": "❤" } });
        let Event::Reaction(reaction) = first("messenger", event) else { panic!() };
        (reaction.target.0, reaction.emoji)
    };
    assert_eq!(reaction("react"), ("m_1".to_owned(), Some("❤".to_owned())));
    assert_eq!(reaction("unreact"), ("m_1".to_owned(), None));
    let edit = json!({ "message_edit": { "mid": "m_1", "text": "new", "num_edit": 1 } });
    let Event::Edit { target, text } = first("instagram", edit) else { panic!() };
    assert_eq!((target.as_str(), &*text), ("m_1", "new"));
    let unsent = json!({ "message": { "mid": "m_1", "is_deleted": true } });
    assert!(matches!(first("instagram", unsent), Event::Delete { .. }));
    // Read up to a moment; or one message, and those before it.
    let read = events("messenger", &json!({ "read": { "watermark": 1_458_668_856_253_i64 } }));
    let [Event::Watermark(mark)] = read.as_slice() else { panic!("{read:?}") };
    assert_eq!((mark.reached, mark.up_to.timestamp()), (Reached::Read, 1_458_668_856));
    assert_eq!(mark.address.value, "111");
    let read = events("instagram", &json!({ "read": { "mid": "m_2" } }));
    assert!(matches!(read.as_slice(), [Event::Receipt(_), Event::Watermark(_)]), "{read:?}");
    let delivery =
        json!({ "delivery": { "mids": ["m_1", "m_2"], "watermark": 1_458_668_856_253_i64 } });
    assert_eq!(events("messenger", &delivery).len(), 3);
    let postback =
        json!({ "postback": { "title": "Start", "payload": "P", "referral": { "ref": "site" } } });
    let Event::Message(one) = first("messenger", postback.clone()) else { panic!() };
    let Event::Message(again) = first("messenger", postback) else { panic!() };
    assert_eq!((&*one.text, &one.remote_id), ("Start", &again.remote_id));
    assert!(one.text_full.ends_with("— Came by: site") && one.wishes.link.is_none());
    let code = "aB3".repeat(14) + "x";
    let link = json!({ "ref": code, "source": "SHORTLINK", "type": "OPEN_THREAD" });
    let Event::Linked(linked) = first("messenger", json!({ "referral": link })) else { panic!() };
    assert_eq!((linked.code.reveal(), &*linked.address.value), (&*code, "111"));
    let started = first("instagram", json!({ "postback": { "title": "Start", "referral": link } }));
    let Event::Message(started) = started else { panic!() };
    assert_eq!((&*started.text, &*started.text_full), ("Start", "Start"), "a code is no words");
    assert_eq!(started.wishes.link.unwrap().reveal(), code);
    let written = message("messenger", &json!({ "text": "hi", "referral": link }));
    assert_eq!((&*written.text_full, written.wishes.link.unwrap().reveal()), ("hi", &*code));
    let optin = json!({ "optin": { "type": "notification_messages", "payload": "news" } });
    let Event::Standing(standing) = first("messenger", optin) else { panic!() };
    assert_eq!(standing.reach, Reach::OptedIn);
    let guest =
        json!({ "sender": { "user_ref": "r-1" }, "message": { "mid": "m_9", "text": "hi" } });
    let Event::Message(guest) = first("messenger", guest) else { panic!() };
    assert_eq!(guest.sender.address.unwrap().value, "ref:r-1");
    let policy =
        json!({ "sender": null, "policy_enforcement": { "action": "block", "reason": "spam" } });
    let Event::Message(notice) = first("messenger", policy) else { panic!() };
    assert!(notice.subject.unwrap().contains("block") && notice.text.contains("spam"));
    for event in [
        json!({ "referral": { "ref": "x" } }),
        json!({ "referral": { "ref": "aB3".repeat(15) } }),
        json!({ "sender": { "id": PAGE }, "recipient": { "id": "111" }, "referral": { "ref": "aB3".repeat(14) + "x" } }),
        json!({ "pass_thread_control": { "new_owner_app_id": "1" } }),
        json!({ "app_roles": {} }),
        json!({ "account_linking": {} }),
        json!({ "brand_new": {} }),
        json!({ "sender": { "id": PAGE }, "message": { "mid": "m", "text": "to ourselves" } }),
        json!({ "sender": { "id": PAGE }, "recipient": { "id": "111" }, "read": { "watermark": 1 } }),
    ] {
        assert!(!ignored("messenger", &event).is_empty());
    }
}

/// Orders, answers to a form, and whatever comes next year.
#[test]
fn what_a_customer_does_in_a_new_way_is_never_nothing() {
    let first = |kind: &str, event: Value| events(kind, &event).remove(0);
    let event = json!({ "order": { "note": "quick please", "products": [{ "name": "Shoe", "quantity": 2 }] } });
    for kind in ["messenger", "instagram"] {
        let Event::Message(inbound) = first(kind, event.clone()) else { panic!() };
        assert!(inbound.flags.contains(&Flag::Unreadable));
        for words in ["order", "quick please", "Shoe", "2"] {
            assert!(inbound.text.contains(words), "{}", inbound.text);
        }
        let Event::Message(odd) = first(kind, json!({ "message": "only words" })) else { panic!() };
        assert!(odd.text.contains("only words"), "{}", odd.text);
    }
    let ours = json!({ "sender": { "id": PAGE }, "order": { "note": "x" } });
    assert!(!ignored("messenger", &ours).is_empty());
}

#[test]
fn what_was_written_to_a_customer_elsewhere_is_an_echo_of_it() {
    let id = "0199b5a0-0000-7000-8000-000000000001";
    let echo = |more: Value| {
        let mut message = json!({ "mid": "m_e", "text": "hi", "is_echo": true });
        for (key, value) in more.as_object().unwrap() {
            message[key] = value.clone();
        }
        let event =
            json!({ "sender": { "id": PAGE }, "recipient": { "id": "111" }, "message": message });
        let Event::Echo(echo) = events("messenger", &event).remove(0) else { panic!() };
        echo
    };
    let ours = echo(json!({ "metadata": id, "app_id": 5 }));
    assert_eq!(ours.delivery.unwrap().to_string(), id);
    assert_eq!(ours.message.sender.address.as_ref().unwrap().value, "111");
    assert_eq!(ours.by.as_deref(), Some("the app 5"));
    let by_hand = echo(json!({ "metadata": "campaign", "app_id": 263_902_037_430_900_u64 }));
    assert_eq!((by_hand.delivery, by_hand.by), (None, None));
    // Where another app has the conversation, all is only read.
    let body =
        around("messenger", "standby", &json!({ "message": { "mid": "m_s", "text": "bot?" } }));
    let Meaning::Events(events) = read_as("messenger", &body) else { panic!() };
    let [Event::Message(inbound)] = events.as_slice() else { panic!("{events:?}") };
    assert!(inbound.automated.is_some());
}

#[test]
fn what_is_for_others_is_ignored_and_what_is_broken_is_an_error() {
    let why = |body: &Value| match read_as("messenger", body) {
        Meaning::Ignore(why) => why.to_owned(),
        Meaning::Events(events) => panic!("{events:?}"),
    };
    assert!(why(&json!({ "object": "instagram", "entry": [] })).contains("another product"));
    let other = json!({ "object": "page", "entry": [{ "id": "999", "messaging": [
        { "sender": { "id": "1" }, "recipient": { "id": "999" }, "message": { "mid": "m", "text": "x" } }] }] });
    assert!(why(&other).contains("another page"));
    let feed = json!({ "object": "page", "entry": [{ "id": PAGE, "changes": [
        { "field": "feed", "value": { "item": "comment" } }] }] });
    assert!(why(&feed).contains("no message"));
    let interpret = channel("messenger").interpret;
    for broken in [
        "",
        "{",
        "{}",
        "[]",
        "null",
        r#"{"entry":7}"#,
        r#"{"entry":[{}]}"#,
        r#"{"entry":[{"messaging":[{"sender":{"id":"1"},"recipient":{"id":"1234567890"},"message":{}}]}]}"#,
    ] {
        let raw = Raw {
            dedupe: DedupeKey::new("k"),
            body: broken.into(),
            transport: Transport::new(),
            received_at: None,
        };
        assert!(interpret.interpret(&raw).is_err(), "{broken}");
    }
    // As the dashboard's test button and the Instagram login send it; and one event by hand.
    let event = json!({ "sender": { "id": "12" }, "recipient": { "id": ACCOUNT }, "timestamp": "1527459824",
        "message": { "mid": "test", "text": "test_message" } });
    let change = json!({ "object": "instagram", "entry": [{ "id": "0", "changes": [
        { "field": "messages", "value": event }] }] });
    for body in [&change, &json!({ "field": "messages", "value": event }), &event] {
        assert!(matches!(read_as("instagram", body), Meaning::Events(_)), "{body}");
    }
}
