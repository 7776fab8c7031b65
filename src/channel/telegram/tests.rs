//! Reading and formatting, without a service.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::{Value, json};

use super::names::Place;
use super::{entities, read};
use crate::channel::Interpret as _;
use crate::model::{DedupeKey, Event, Flag, Inbound, Meaning, Raw, Reach, RemoteId, ThreadKey};

const BOT: i64 = 4_839_574_812;
const DESK: i64 = -1_009_999_999_999;

fn understood(update: &Value) -> Result<Meaning, String> {
    let raw = Raw {
        dedupe: DedupeKey::new("k"),
        body: Bytes::from(update.to_string()),
        transport: BTreeMap::new(),
        received_at: chrono::DateTime::from_timestamp(1_800_000_010, 0),
    };
    read::Reader { bot_id: BOT, desk_chats: vec![DESK] }.interpret(&raw).map_err(|error| {
        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default()
    })
}

fn events(update: &Value) -> Vec<Event> {
    match understood(update) {
        Ok(Meaning::Events(events)) => events,
        other => panic!("{update}: {other:?}"),
    }
}

fn message(more: &Value) -> Value {
    let mut message = json!({
        "message_id": 7, "date": 1_800_000_000, "chat": { "id": 5_000_000_001_i64, "type": "private" },
        "from": { "id": 5_000_000_001_i64, "is_bot": false, "first_name": "Ann", "language_code": "de" },
    });
    for (key, value) in more.as_object().unwrap() {
        message[key] = value.clone();
    }
    message
}

fn inbound(more: &Value) -> Inbound {
    let mut events = events(&json!({ "update_id": 1, "message": message(more) }));
    assert_eq!(events.len(), 1);
    let event = events.remove(0);
    let Event::Message(inbound) = event else { panic!("{event:?}") };
    *inbound
}

/// A code of ours comes along with `/start`, and nobody reads it; other words behind it are no secret.
#[test]
fn a_code_behind_start_is_taken_out() {
    let code = "aB3".repeat(14) + "x";
    let started = inbound(&json!({ "text": format!("/start {code}"),
        "entities": [{ "type": "bot_command", "offset": 0, "length": 6 }] }));
    assert_eq!((started.text.as_str(), started.text_full.as_str()), ("/start", "/start"));
    assert_eq!(started.wishes.link.unwrap().reveal(), code);
    for text in ["/start", "/start spring-sale", "see /start", "/start short and more"] {
        let plain = inbound(&json!({ "text": text }));
        assert_eq!(plain.text, text);
        assert!(plain.wishes.link.is_none());
    }
    let group = json!({ "id": -100_500, "type": "supergroup" });
    let shouted = inbound(&json!({ "text": format!("/start {code}"), "chat": group }));
    assert!(shouted.wishes.link.is_none(), "everybody has read it");
}

#[test]
fn every_kind_of_message_says_something() {
    let file = json!({ "file_id": "F", "file_unique_id": "U" });
    let size = |side: u32, id: &str| json!({ "file_id": id, "file_unique_id": id, "width": side, "height": side });
    for (more, text, name) in [
        (json!({ "text": "hi" }), "hi", None),
        (
            json!({ "photo": [size(90, "s"), size(1280, "l"), size(320, "m")] }),
            "",
            Some("photo_l.jpg"),
        ),
        (json!({ "voice": file, "caption": "listen" }), "listen", Some("voice_U.ogg")),
        (json!({ "video_note": file }), "", Some("video_note_U.mp4")),
        (
            json!({ "document": { "file_id": "F", "file_name": "../../a\\b\u{202e}c.pdf", "mime_type": "" } }),
            "",
            Some("b\u{202e}c.pdf"),
        ),
        (json!({ "animation": file, "document": file }), "", Some("animation_U.mp4")),
        (
            json!({ "sticker": { "file_id": "F", "emoji": "😀", "type": "brand new" } }),
            "[sticker 😀]",
            Some("sticker_F.webp"),
        ),
        (
            json!({ "contact": { "first_name": "Bo", "phone_number": "+49" } }),
            "[contact: Bo, +49]",
            None,
        ),
        (json!({ "dice": { "emoji": "🎲", "value": 4 } }), "🎲 4", None),
        (
            json!({ "poll": { "question": "when?", "options": [{ "text": "now" }] } }),
            "[poll: when?]\n- now",
            None,
        ),
        (json!({ "story": {} }), "[a story]", None),
        (
            json!({ "paid_media": { "star_count": 5, "paid_media": [{ "type": "preview" },
                { "type": "photo", "photo": [size(90, "s"), size(1280, "p")] }] } }),
            "[paid media]",
            Some("photo_p.jpg"),
        ),
    ] {
        let inbound = inbound(&more);
        assert_eq!(inbound.text, text, "{more}");
        assert_eq!(inbound.media.first().map(|media| &*media.name), name, "{more}");
        assert!(!inbound.flags.contains(&Flag::Unreadable), "{more}");
    }
    let place = inbound(&json!({ "location": { "latitude": 48.1, "longitude": 11.5 } })).text;
    assert!(place.contains("48.1") && place.contains("11.5"), "{place}");
}

/// Typed clients turn each of these into nothing.
#[test]
fn what_is_new_or_odd_is_never_nothing() {
    for more in [
        json!({ "text": "x", "external_reply": { "origin": { "type": "from mars" } } }),
        json!({ "text": "x", "entities": [{ "type": "glow", "offset": 0, "length": 1 }, 7, null] }),
        json!({ "text": "x", "forward_origin": { "type": "from mars" } }),
        json!({ "caption": "x", "document": { "file_id": "F", "mime_type": "", "file_size": 5_000_000_000_u64 } }),
        json!({ "text": "x", "reply_to_message": { "message_id": 3, "chat": { "id": 9, "type": "galaxy" } } }),
        json!({ "text": "x", "reply_markup": { "inline_keyboard": [[{ "text": "a", "teleport": {} }]] } }),
        json!({ "text": "x", "entities": [{ "type": "bold", "offset": 9_999_999, "length": -4 }] }),
    ] {
        assert_eq!(inbound(&more).text, "x", "{more}");
    }
    let unknown = inbound(&json!({ "hologram": { "blocks": [{ "text": "hello" }] } }));
    assert!(unknown.flags.contains(&Flag::Unreadable));
    assert_eq!(unknown.text, "[a message of a kind that cannot be shown: hologram]\nhello");
    let kind = events(&json!({ "update_id": 1, "moon_message": message(&json!({ "text": "x" })) }));
    assert!(matches!(&*kind, [Event::Message(found)] if found.text == "x"));
    assert!(matches!(
        understood(&json!({ "update_id": 1, "tide": { "id": 2 } })),
        Ok(Meaning::Ignore(_))
    ));
    assert!(understood(&json!({ "update_id": 1 })).is_err());
}

#[test]
fn one_bad_update_never_costs_its_neighbours() {
    let good = json!({ "update_id": 1, "message": message(&json!({ "text": "x" })) });
    let all = json!({ "ok": true, "result": [null, good, "text", { "message": { "chat": {} } }] });
    let events = events(&all);
    let texts: Vec<&str> = events.iter().filter_map(|e| e.message()).map(|m| &*m.text).collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert_eq!(texts[0], "x");
}

#[test]
fn groups_topics_and_business_chats_have_names_of_their_own() {
    let group = json!({ "id": -1_001_234_567_890_i64, "type": "supergroup", "title": "G", "is_forum": true });
    let of = |more: &Value| inbound(more);
    let general = of(&json!({ "text": "x", "chat": group, "message_thread_id": 4 }));
    assert_eq!(
        general.thread.key,
        Some(ThreadKey::new("-1001234567890")),
        "no topic, but a thread of answers"
    );
    let topic =
        of(&json!({ "text": "x", "chat": group, "message_thread_id": 4, "is_topic_message": true,
        "reply_to_message": { "message_id": 4, "forum_topic_created": {} } }));
    assert_eq!(topic.thread.key, Some(ThreadKey::new("-1001234567890/4")));
    assert_eq!(topic.remote_id, RemoteId::new("-1001234567890:7"));
    assert!(topic.thread.parents.is_empty());
    let anonymous = of(&json!({ "text": "x", "chat": group, "sender_chat": group,
        "from": { "id": 1_087_968_824, "is_bot": true, "first_name": "Group" } }));
    assert_eq!(anonymous.sender.address.map(|a| a.value).as_deref(), Some("-1001234567890"));
    let business = json!({ "business_connection_id": "bc1", "text": "x" });
    let found = events(&json!({ "update_id": 1, "business_message": message(&business) }));
    let Event::Message(theirs) = &found[0] else { panic!("{found:?}") };
    assert_eq!(theirs.remote_id, RemoteId::new("bc1@5000000001:7"));
    let by_owner = json!({ "business_connection_id": "bc1", "text": "x",
        "from": { "id": 77, "is_bot": false, "first_name": "Olga" } });
    let found = events(&json!({ "update_id": 2, "business_message": message(&by_owner) }));
    let Event::Echo(echo) = &found[0] else { panic!("{found:?}") };
    assert_eq!(echo.by.as_deref(), Some("Olga"));
    assert_eq!(echo.message.sender.address.as_ref().map(|a| &*a.value), Some("5000000001"));
    for place in ["bc1@5/6", "5", "-100/1"] {
        let key = ThreadKey::new(place);
        assert_eq!(Place::read(&key).map(|place| place.thread()), Some(key));
    }
    assert_eq!(Place::read(&ThreadKey::new("x")), None);
}

#[test]
fn what_happens_beside_messages_is_told() {
    let block = |status: &str| {
        events(&json!({ "update_id": 1, "my_chat_member": { "chat": { "id": 5, "type": "private" },
            "new_chat_member": { "status": status } } }))
    };
    for (status, reach) in [("kicked", Reach::Unreachable), ("member", Reach::Reachable)] {
        assert!(
            matches!(&*block(status), [Event::Standing(s)] if s.reach == reach && s.address.value == "5")
        );
    }
    let sign = |new: Value| {
        events(
            &json!({ "update_id": 1, "message_reaction": { "chat": { "id": 5, "type": "private" },
            "message_id": 3, "user": { "id": 5 }, "new_reaction": new } }),
        )
    };
    let thumb = sign(json!([{ "type": "emoji", "emoji": "👍" }]));
    assert!(matches!(&*thumb, [Event::Reaction(r)] if r.emoji.as_deref() == Some("👍")));
    assert!(matches!(&*sign(json!([])), [Event::Reaction(r)] if r.emoji.is_none()));
    let moved = events(&json!({ "update_id": 1, "message": message(&json!({
        "chat": { "id": -5, "type": "group" }, "migrate_to_chat_id": -1005 })) }));
    assert!(matches!(&*moved, [Event::Moved(m)] if m.from.value == "-5" && m.to.value == "-1005"));
    let edit =
        events(&json!({ "update_id": 1, "edited_message": message(&json!({ "text": "new" })) }));
    assert!(
        matches!(&*edit, [Event::Edit { target, text }] if target.as_str() == "5000000001:7" && text == "new")
    );
    let pressed = events(&json!({ "update_id": 1, "callback_query": { "id": "q", "data": "y",
        "from": { "id": 5, "first_name": "Ann" }, "message": { "message_id": 2, "date": 0, "chat": { "id": 5, "type": "private" },
            "reply_markup": { "inline_keyboard": [[{ "text": "Yes", "callback_data": "y" }]] } } } }));
    let Event::Message(pressed) = &pressed[0] else { panic!("{pressed:?}") };
    assert_eq!((&*pressed.text, pressed.thread.parents.len()), ("[pressed: Yes]", 1));
    let gone = events(&json!({ "update_id": 1, "deleted_business_messages": {
        "business_connection_id": "b", "chat": { "id": 5 }, "message_ids": [1, 2] } }));
    assert_eq!(gone.len(), 2);
    for more in [
        json!({ "new_chat_title": "x" }),
        json!({ "from": { "id": 9, "is_bot": true }, "text": "x" }),
    ] {
        let told = understood(&json!({ "update_id": 1, "message": message(&more) }));
        assert!(matches!(told, Ok(Meaning::Ignore(_))), "{more}");
    }
}

#[test]
fn formatting_is_counted_in_utf16_and_nests() {
    let text = "😀 bold & <both> link";
    let marks = [
        json!({ "type": "bold", "offset": 3, "length": 13 }),
        json!({ "type": "italic", "offset": 10, "length": 6 }),
        json!({ "type": "text_link", "offset": 17, "length": 4, "url": "https://a.example/?q=\"" }),
    ];
    let marks: Vec<&Value> = marks.iter().collect();
    let html = entities::html(text, &marks).unwrap();
    assert!(html.starts_with("😀 <b>bold &amp; <i>&lt;both&gt;</i></b> <a "), "{html}");
    assert!(html.contains("https://a.example/"), "{html}");
    assert_eq!(entities::links(text, &marks), ["link: https://a.example/?q=\""]);
    let evil =
        json!({ "type": "text_link", "offset": 0, "length": 2, "url": "javascript:alert(1)" });
    let html = entities::html("go", &[&evil]).unwrap();
    assert!(!html.contains("javascript"), "{html}");
    assert_eq!(entities::html("plain", &[]), None);
}

#[test]
fn html_of_agents_becomes_text_and_marks() {
    let html = "<p>Hello <b>😀 <i>you</i></b>,</p><ul><li>one</li><li>a &lt; b &amp;amp;</li></ul>\
                <pre>x\n  y</pre>see <a href=\"https://a.example/?a=1&amp;b=2\">here</a> ";
    let formatted = entities::formatted(html);
    assert_eq!(formatted.text, "Hello 😀 you,\n\n• one\n• a < b &amp;\n\nx\n  y\nsee here");
    let units: Vec<u16> = formatted.text.encode_utf16().collect();
    let covered: Vec<(String, String)> = formatted
        .entities
        .iter()
        .map(|mark| {
            let number = |field: &str| usize::try_from(mark[field].as_u64().unwrap()).unwrap();
            let end = number("offset") + number("length");
            let words = String::from_utf16(&units[number("offset")..end]).unwrap();
            (mark["type"].as_str().unwrap().to_owned(), words)
        })
        .collect();
    let covered: Vec<(&str, &str)> =
        covered.iter().map(|(kind, words)| (&**kind, &**words)).collect();
    assert_eq!(
        covered,
        [("italic", "you"), ("bold", "😀 you"), ("pre", "x\n  y"), ("text_link", "here")]
    );
    assert_eq!(formatted.entities[3]["url"], "https://a.example/?a=1&b=2");
}

/// What people who work here write in their group is marked, and names the message that it answers; elsewhere in
/// groups nobody's answer leads anywhere.
#[test]
fn a_group_of_the_desk_is_no_conversation_of_customers() {
    let in_group = |chat: i64| {
        json!({ "chat": { "id": chat, "type": "supergroup" }, "text": "yes",
            "reply_to_message": { "message_id": 5, "from": { "id": BOT } } })
    };
    let ours = inbound(&in_group(DESK));
    assert!(ours.flags.contains(&Flag::Internal));
    assert_eq!(ours.thread.parents, [RemoteId::new(format!("{DESK}:5"))]);
    let theirs = inbound(&in_group(DESK - 1));
    assert!(!theirs.flags.contains(&Flag::Internal) && theirs.thread.parents.is_empty());
    let edited = json!({ "update_id": 1, "edited_message": message(&in_group(DESK)) });
    assert!(matches!(understood(&edited), Ok(Meaning::Ignore(_))));
}
