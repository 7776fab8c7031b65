use serde_json::{Value, json};

use super::*;
use crate::model::{DedupeKey, Event, Form, Inbound, Meaning, Raw, Transport, Trust};

const PAGE: &str = "1234567890";
const ACCOUNT: &str = "17841400000000001";

fn read(product: &'static Product, body: &Value) -> Meaning {
    let own = if product.object == "page" { PAGE } else { ACCOUNT };
    let reader =
        read::Reader { product, channel: "comments".parse().unwrap(), own: own.to_owned() };
    let raw = Raw {
        dedupe: DedupeKey::new("k"),
        body: body.to_string().into(),
        transport: Transport::new(),
        received_at: chrono::DateTime::from_timestamp(1_700_000_000, 0),
    };
    let meaning = crate::channel::Interpret::interpret(&reader, &raw);
    meaning.unwrap_or_else(|bad| panic!("{bad:?}: {body}"))
}

fn feed(more: &Value) -> Value {
    let mut value = json!({ "item": "comment", "verb": "add", "comment_id": "77_1", "post_id": "1234567890_77",
        "parent_id": "1234567890_77", "created_time": 1_699_999_990, "message": "where is it?",
        "from": { "id": "42", "name": "Ann B" } });
    for (key, new) in more.as_object().unwrap() {
        value[key] = new.clone();
    }
    json!({ "object": "page", "entry": [{ "id": PAGE, "time": 1_699_999_999,
        "changes": [{ "field": "feed", "value": value }] }] })
}

fn instagram(more: &Value) -> Value {
    let mut value = json!({ "id": "178", "text": "where is it?", "from": { "id": "42", "username": "ann.b" },
        "media": { "id": "m1", "media_product_type": "FEED" } });
    for (key, new) in more.as_object().unwrap() {
        value[key] = new.clone();
    }
    json!({ "object": "instagram", "entry": [{ "id": ACCOUNT, "time": 1_699_999_999,
        "changes": [{ "field": "comments", "value": value }] }] })
}

fn one(meaning: Meaning) -> Inbound {
    let Meaning::Events(events) = meaning else { panic!("ignored") };
    let [Event::Message(inbound)] = events.as_slice() else { panic!("{events:?}") };
    (**inbound).clone()
}

fn why(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Ignore(why) => why,
        Meaning::Events(events) => panic!("{events:?}"),
    }
}

/// COMPLAINTS M12: what one person says under one comment of one post is one conversation.
#[test]
fn m12_a_conversation_is_one_person_under_one_comment_of_one_post() {
    let on_page = |more: Value| one(read(&ON_FACEBOOK, &feed(&more)));
    let key = |inbound: &Inbound| inbound.thread.key.clone().unwrap().0;
    let first = on_page(json!({}));
    assert_eq!((first.form, key(&first).as_str()), (Form::Comment, "1234567890_77:77_1:42"));
    assert_eq!((first.sender.name.as_deref(), first.sender.trust), (Some("Ann B"), Trust::Proven));
    let below = on_page(json!({ "comment_id": "77_2", "parent_id": "77_1" }));
    assert_eq!(key(&below), key(&first));
    let other =
        json!({ "comment_id": "77_3", "parent_id": "77_1", "from": { "id": "43", "name": "Bob" } });
    assert_ne!(key(&on_page(other)), key(&first), "another person");
    // The parent of a topmost comment is the post, however it is written.
    assert_eq!(key(&on_page(json!({ "parent_id": "77" }))), key(&first));
    assert_eq!(key(&on_page(json!({ "parent_id": null }))), key(&first));
    let top = one(read(&ON_INSTAGRAM, &instagram(&json!({}))));
    assert_eq!(key(&top), "m1:178:42");
    let nested = instagram(&json!({ "id": "179", "parent_id": "178" }));
    assert_eq!(key(&one(read(&ON_INSTAGRAM, &nested))), key(&top));
    // An advertisement made of the post tells of the same comment again.
    let again = instagram(&json!({ "media": { "id": "m2", "ad_id": "9", "ad_title": "Sale",
        "original_media_id": "m1" } }));
    let again = one(read(&ON_INSTAGRAM, &again));
    assert_eq!((key(&again), &again.remote_id), (key(&top), &top.remote_id));
    assert_eq!(again.digest, top.digest, "so it is known, and no second message");
}

#[test]
fn what_becomes_of_a_comment_changes_it() {
    let event = |more: Value| {
        let Meaning::Events(mut events) = read(&ON_FACEBOOK, &feed(&more)) else { panic!() };
        events.remove(0)
    };
    let edited = event(json!({ "verb": "edited", "message": "found it" }));
    assert!(matches!(edited, Event::Edit { ref text, .. } if text == "found it"), "{edited:?}");
    assert!(matches!(event(json!({ "verb": "remove", "message": null })), Event::Delete { .. }));
    for more in [
        json!({ "verb": "hide" }),
        json!({ "item": "reaction" }),
        json!({ "item": "post" }),
        json!({ "from": { "id": PAGE } }),
    ] {
        assert!(!why(read(&ON_FACEBOOK, &feed(&more))).is_empty());
    }
    let own = instagram(&json!({ "from": { "id": ACCOUNT, "username": "desk" } }));
    assert_eq!(why(read(&ON_INSTAGRAM, &own)), "a comment of ours");
    let mention = json!({ "object": "instagram", "entry": [{ "id": ACCOUNT, "changes": [
        { "field": "mentions", "value": { "media_id": "1", "comment_id": "2" } }] }] });
    assert!(why(read(&ON_INSTAGRAM, &mention)).contains("mentioned"));
    let other = json!({ "object": "page", "entry": [{ "id": "9", "changes": [
        { "field": "feed", "value": { "item": "comment", "comment_id": "1" } }] }] });
    assert!(why(read(&ON_FACEBOOK, &other)).contains("another page"));
}

#[test]
fn whoever_is_not_named_can_be_answered_and_a_picture_is_fetched() {
    let nameless = one(read(&ON_FACEBOOK, &feed(&json!({ "from": null }))));
    assert_eq!(nameless.sender.address.unwrap().value, "comment:77_1");
    assert_eq!(nameless.sender.trust, Trust::Claimed);
    let picture =
        json!({ "message": null, "photo": "https://scontent.xx.fbcdn.net/v/1_n.jpg?oh=1" });
    let picture = one(read(&ON_FACEBOOK, &feed(&picture)));
    assert_eq!((picture.media.len(), &*picture.media[0].name, &*picture.text), (1, "1_n.jpg", ""));
    let odd = one(read(&ON_FACEBOOK, &feed(&json!({ "message": "" }))));
    assert!(odd.text.contains("cannot be shown"));
}
