//! What customers write, and what the service tells.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ANN, BOB, channel, needs_human, start, written};
use crate::support::rig::{PATIENCE, Rig, pass};
use crate::support::telegram::{Act, OTHER_TOKEN, TOKEN, Telegram, message, push, refusal};
use crate::support::wait_until;

/// T2, T3, T10: an album with its late part is one message, a picture without words is one, an edit changes it.
#[tokio::test]
async fn telegram_t2_t3_t10_albums_pictures_and_edits() {
    let (rig, service) = start().await;
    let picture =
        |id: &str| json!([{ "file_id": id, "file_unique_id": id, "width": 9, "height": 9 }]);
    for id in ["a", "b", "c"] {
        service.state().files.insert(format!("documents/{id}"), format!("picture {id}"));
    }
    service
        .writes(ANN, &json!({ "photo": picture("a"), "media_group_id": "13", "caption": "look" }));
    rig.wait_messages(1).await;
    service.writes(ANN, &json!({ "photo": picture("b"), "media_group_id": "13" }));
    let lone = service.writes(ANN, &json!({ "photo": picture("c") }));
    let both = async || {
        let messages = rig.messages().await;
        let stored = |at: usize, count: usize| {
            let files = messages.get(at).map(|message| &message.attachments);
            files.is_some_and(|files| {
                files.len() == count && files.iter().all(|file| file.state == "stored")
            })
        };
        stored(0, 2) && stored(1, 1)
    };
    wait_until("the album and the picture", PATIENCE, both).await;
    assert_eq!(rig.messages().await[0].text, "look");
    let mut edited = message(ANN, lone, &json!({ "photo": picture("c"), "caption": "new words" }));
    edited["edit_date"] = json!(1);
    service.happens("edited_message", edited);
    let changed = async || rig.messages().await[1].text == "new words";
    wait_until("the edit", PATIENCE, changed).await;
    assert_eq!(rig.messages().await.len(), 2);
    rig.engine.stop().await;
}

/// What is stored is confirmed, what came twice is there once, and numbers that begin anew are no fault.
#[tokio::test]
async fn telegram_updates_are_confirmed_once_stored_and_may_begin_anew() {
    let (rig, service) = start().await;
    let first = service.writes(ANN, &json!({ "text": "one" }));
    rig.wait_messages(1).await;
    wait_until("the confirmation", PATIENCE, async || service.state().waiting.is_empty()).await;
    // The same message under another number, as after a lost confirmation.
    service
        .happens("message", message(ANN, first, &json!({ "text": "one", "date": 1_800_000_000 })));
    service.number_from(12);
    wait_until("the second to be confirmed", PATIENCE, async || service.state().waiting.is_empty())
        .await;
    service.writes(BOB, &json!({ "text": "after a week of silence" }));
    rig.wait_messages(2).await;
    wait_until("the last to be confirmed", PATIENCE, async || service.state().waiting.is_empty())
        .await;
    rig.engine.stop().await;
}

/// Updates that hold half a character, a number beyond all numbers, or too much within each other cost nothing but,
/// at worst, themselves; and they do not come again and again.
#[tokio::test]
async fn telegram_an_update_that_nobody_can_read_holds_up_no_other() {
    let (rig, service) = start().await;
    let update = |id: i64, text: &str, more: &str| {
        format!(
            r#"{{"update_id":{id},"message":{{"message_id":{id},"date":1800000000,"text":"{text}",
            "chat":{{"id":{ANN},"type":"private"}},
            "from":{{"id":{ANN},"is_bot":false,"first_name":"Ann"}},"more":{more}}}}}"#
        )
    };
    let deep = "[".repeat(200) + &"]".repeat(200);
    let updates = [
        update(41, "one", "0"),
        update(42, "half of \\ud83d", "0"),
        update(43, "too deep", &deep),
        update(44, "too large", "1e999"),
        update(45, "five", "0"),
    ];
    let answer = format!(r#"{{"ok":true,"result":[{}]}}"#, updates.join(","));
    let mut answers = vec![crate::support::receiver::Does::body(answer)];
    service.number_from(46);
    service.on_call(move |method, _| match method {
        "getupdates" => answers.pop().map_or(Act::Do, Act::Refuse),
        _ => Act::Do,
    });
    // Two of them are told of by a notice.
    let messages = rig.wait_messages(5).await;
    let texts: Vec<&str> = messages.iter().map(|message| &*message.text).collect();
    for text in ["one", "half of \u{fffd}", "five"] {
        assert!(texts.contains(&text), "{texts:?}");
    }
    assert_eq!(rig.store.quarantine(None, 10).await.unwrap().len(), 2);
    service.writes(BOB, &json!({ "text": "behind them" }));
    rig.wait_messages(6).await;
    assert!(service.state().offsets.contains(&Some(46)), "all five are confirmed");
    rig.engine.stop().await;
}

/// T4: two bots know the same person, and their conversations are not mixed.
#[tokio::test]
async fn telegram_t4_two_bots_do_not_mix_one_persons_messages() {
    let (one, other) = (Telegram::start(), Telegram::start_as(OTHER_TOKEN));
    let rig = Rig::start(&[("tg", &one.settings()), ("tg_other", &other.settings())]).await;
    one.writes(ANN, &json!({ "text": "to one" }));
    other.writes(ANN, &json!({ "text": "to the other" }));
    let messages = rig.wait_messages(2).await;
    assert_ne!(messages[0].ticket_id, messages[1].ticket_id);
    for message in &messages {
        rig.reply(message.ticket_id, &format!("re {}", message.text)).await;
    }
    rig.wait_deliveries(2, tributary::model::DeliveryStatus::Sent).await;
    assert_eq!(
        (one.texts(), other.texts()),
        (vec!["re to one".to_owned()], vec!["re to the other".to_owned()])
    );
    rig.engine.stop().await;
}

/// T9: people get our copy, never the address that holds the token; what is too large is told.
#[tokio::test]
async fn telegram_t9_files_are_copied_and_the_token_stays_with_us() {
    let (rig, service) = start().await;
    service.state().files.insert("documents/F1".to_owned(), "%PDF".to_owned());
    let file = |id: &str| json!({ "document": { "file_id": id, "file_unique_id": id, "file_name": "a.pdf", "mime_type": "application/pdf" } });
    service.writes(ANN, &file("F1"));
    service.writes(ANN, &file("HUGE"));
    let ended = async || {
        let messages = rig.messages().await;
        let state =
            |at: usize| messages.get(at).map(|message| message.attachments[0].state.to_string());
        state(0).as_deref() == Some("stored") && state(1).as_deref() == Some("failed")
    };
    wait_until("the files", PATIENCE, ended).await;
    let messages = rig.messages().await;
    let kept = rig.store.attachment(messages[0].attachments[0].id).await.unwrap();
    assert_eq!(kept.bytes.as_deref(), Some(&b"%PDF"[..]));
    let secret = TOKEN.split_once(':').unwrap().1;
    assert!(!format!("{messages:?}").contains(secret));
    rig.engine.stop().await;
}

/// FAULTS 115, 118, 123, T7: another poller, a webhook of somebody else, a revoked token, an outage.
#[tokio::test]
async fn telegram_trouble_is_told_and_costs_no_message() {
    let (rig, service) = start().await;
    written(&rig, &service, ANN, "before").await;
    let mut days = vec![
        crate::support::receiver::Does::body("<html>502</html>"),
        refusal(
            409,
            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
            &Value::Null,
        ),
    ];
    service.on_call(move |method, _| match method {
        "getupdates" => days.pop().map_or(Act::Do, Act::Refuse),
        _ => Act::Do,
    });
    service.writes(ANN, &json!({ "text": "through it" }));
    rig.wait_messages(2).await;
    service.state().webhook = Some(("https://elsewhere.example/x".to_owned(), String::new()));
    needs_human(&rig, "webhook").await;
    rig.engine.stop().await;
    let log = format!("{:?}", rig.engine.health.of(&channel()));
    assert!(!log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn telegram_a_revoked_token_needs_a_human() {
    let service = Telegram::start();
    service.on_call(|_, _| Act::Refuse(refusal(401, "Unauthorized", &Value::Null)));
    let rig = Rig::start(&[("tg", &service.settings())]).await;
    needs_human(&rig, "BotFather").await;
    rig.engine.stop().await;
}

/// A pressed button is a message, and its spinner stops.
#[tokio::test]
async fn telegram_buttons_blocks_and_signs_are_told() {
    let (rig, service) = start().await;
    let ticket = written(&rig, &service, ANN, "hello").await;
    service.happens(
        "callback_query",
        json!({ "id": "q1", "data": "yes", "from": { "id": ANN, "first_name": "Ann" },
        "message": { "message_id": 101, "date": 0, "chat": { "id": ANN, "type": "private" } } }),
    );
    service.happens(
        "message_reaction",
        json!({ "chat": { "id": ANN, "type": "private" }, "message_id": 101,
        "user": { "id": ANN }, "new_reaction": [{ "type": "emoji", "emoji": "👍" }] }),
    );
    let pressed = rig.wait_messages(2).await.pop().unwrap();
    assert_eq!((pressed.text.as_str(), pressed.ticket_id), ("[pressed: yes]", ticket));
    wait_until("the spinner to stop", PATIENCE, async || service.state().stopped == ["q1"]).await;
    service.happens(
        "my_chat_member",
        json!({ "chat": { "id": ANN, "type": "private" }, "from": { "id": ANN },
        "new_chat_member": { "status": "kicked" } }),
    );
    wait_until("all to be confirmed", PATIENCE, async || service.state().waiting.is_empty()).await;
    rig.engine.stop().await;
}

/// By webhook: the service is told the address and the secret, and nobody else gets in (FAULTS 124).
#[tokio::test]
async fn telegram_a_webhook_is_set_and_believes_the_secret_only() {
    let service = Telegram::start();
    let settings = format!("{}mode = \"webhook\"\n", service.settings());
    let rig = Rig::start(&[("tg", &settings)]).await;
    wait_until("the webhook", PATIENCE, async || service.state().webhook.is_some()).await;
    let (url, secret) = service.state().webhook.clone().unwrap();
    assert_eq!(url, "http://desk.test/hooks/tg");
    assert!(secret.len() >= 32);
    assert!(service.state().allowed.as_array().unwrap().contains(&json!("message_reaction")));
    let update =
        json!({ "update_id": 5, "message": message(ANN, 1, &json!({ "text": "pushed" })) });
    for bad in ["", "wrong", secret.get(1..).unwrap()] {
        assert_eq!(
            rig.engine.take_hook(&channel(), push(&update, bad)).await.status(),
            401,
            "{bad}"
        );
    }
    for _ in 0..2 {
        assert_eq!(rig.engine.take_hook(&channel(), push(&update, &secret)).await.status(), 200);
    }
    assert_eq!(rig.wait_messages(1).await[0].text, "pushed");
    let button = json!({ "update_id": 6, "callback_query": { "id": "q", "data": "x", "from": { "id": ANN } } });
    let answer = rig.engine.take_hook(&channel(), push(&button, &secret)).await;
    let called: Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(called, json!({ "method": "answerCallbackQuery", "callback_query_id": "q" }));
    rig.engine.stop().await;
}

/// The first time, the bot is ours from now on, whoever had its messages before.
#[tokio::test]
async fn telegram_a_bot_that_is_new_to_us_is_taken_over() {
    let service = Telegram::start();
    service.state().webhook = Some(("https://elsewhere.example/x".to_owned(), String::new()));
    service.writes(ANN, &json!({ "text": "to the desk that was before" }));
    let rig = Rig::start(&[("tg", &service.settings())]).await;
    rig.wait_messages(1).await;
    assert!(service.state().webhook.is_none());
    rig.engine.stop().await;
}

/// Back to asking: our own webhook is taken away, and nothing is dropped with it.
#[tokio::test]
async fn telegram_from_webhook_to_asking_loses_nothing() {
    let service = Telegram::start();
    service.state().webhook = Some(("http://desk.test/hooks/tg".to_owned(), "s".to_owned()));
    service.writes(ANN, &json!({ "text": "while it was changed" }));
    let rig = Rig::start(&[("tg", &service.settings())]).await;
    rig.wait_messages(1).await;
    assert!(service.state().webhook.is_none());
    pass(Duration::from_secs(1));
    rig.engine.stop().await;
}
