//! Comments under posts on Facebook and Instagram, through the whole program.

use serde_json::{Value, json};
use tributary::engine::{ReplyError, ReplyRequest};
use tributary::model::{ChannelName, DeliveryStatus};
use uuid::Uuid;

use crate::support::graph::pages::{ACCOUNT, Face, PAGE, Pages, now, push};
use crate::support::graph::whatsapp::{Act, refusal};
use crate::support::receiver::Does;
use crate::support::rig::{PATIENCE, Rig, pass, reply_request};
use crate::support::wait_until;

const ANN: &str = "42004200";

fn comment(more: &Value) -> Value {
    let mut value = json!({ "item": "comment", "verb": "add", "comment_id": "77_1",
        "post_id": "1234567890_77", "parent_id": "1234567890_77", "created_time": now() / 1000,
        "message": "where is my order?", "from": { "id": ANN, "name": "Ann B" } });
    for (key, new) in more.as_object().unwrap() {
        value[key] = new.clone();
    }
    Face::Messenger.envelope("changes", &[json!({ "field": "feed", "value": value })])
}

fn on_instagram(more: &Value) -> Value {
    let mut value = json!({ "id": "1781", "text": "where is my order?",
        "from": { "id": ANN, "username": "ann.b" }, "media": { "id": "99", "media_product_type": "FEED" } });
    for (key, new) in more.as_object().unwrap() {
        value[key] = new.clone();
    }
    Face::Instagram.envelope("changes", &[json!({ "field": "comments", "value": value })])
}

async fn take(rig: &Rig, channel: &str, body: &Value) {
    let name: ChannelName = channel.parse().unwrap();
    let answer = rig.engine.take_hook(&name, push(channel, body)).await;
    assert_eq!(answer.status(), 200, "{body}");
}

async fn start(more: &[(&str, String)]) -> (Rig, Pages) {
    let service = Pages::start();
    let (facebook, instagram) =
        (service.page("facebook_comments", ""), service.account("instagram_comments", ""));
    let mut channels = vec![("fb", facebook.as_str()), ("ig", instagram.as_str())];
    let messenger = service.page("messenger", "");
    if more.iter().any(|(name, _)| *name == "dm") {
        channels.push(("dm", messenger.as_str()));
    }
    let rig = Rig::start(&channels).await;
    (rig, service)
}

async fn asked(rig: &Rig, channel: &str, body: &Value) -> Uuid {
    let before = rig.messages().await.len();
    take(rig, channel, body).await;
    rig.wait_messages(before + 1).await.pop().unwrap().ticket_id
}

fn in_private(ticket: Uuid, text: &str) -> ReplyRequest {
    ReplyRequest { private: true, ..reply_request(ticket, text) }
}

/// M12: a comment is a ticket, answered in public below it and once in private; its own repetition is no message.
#[tokio::test]
async fn m12_facebook_comments_are_answered_in_public_and_once_in_private() {
    let (rig, service) = start(&[]).await;
    let ticket = asked(&rig, "fb", &comment(&json!({}))).await;
    let kind = serde_json::to_value(&rig.messages().await[0]).unwrap()["kind"].clone();
    assert_eq!(kind, "comment");
    rig.reply(ticket, "we look into it").await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    let sent = service.sent().remove(0);
    assert_eq!(
        (sent.path.as_str(), &sent.body),
        ("77_1/comments", &json!({ "message": "we look into it" }))
    );
    // Our own answer comes back, and is nothing new.
    let own = json!({ "comment_id": sent.id, "parent_id": "77_1", "message": "we look into it",
        "from": { "id": PAGE, "name": "Desk" } });
    take(&rig, "fb", &comment(&own)).await;
    rig.engine.reply(in_private(ticket, "your number?")).await.unwrap();
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    let sent = service.sent().remove(1);
    assert_eq!(sent.path, "1234567890/messages");
    assert_eq!(sent.body["recipient"], json!({ "comment_id": "77_1" }));
    let messages = rig.messages().await;
    assert_eq!(messages.len(), 3);
    let flags = |place: usize| serde_json::to_value(&messages[place].flags).unwrap();
    assert_eq!(
        (flags(1), flags(2)),
        (json!([]), json!(["private"])),
        "people see which was private"
    );
    // A second one, the service refuses; and a week later, we do.
    rig.engine.reply(in_private(ticket, "once more")).await.unwrap();
    rig.wait_deliveries(1, DeliveryStatus::Failed).await;
    let error = rig.outbox().await[2].error.clone().unwrap();
    assert!(error.contains("already answered in private"), "{error}");
    pass(std::time::Duration::from_secs(7 * 24 * 3600));
    let late = rig.engine.reply(in_private(ticket, "too late")).await;
    let Err(ReplyError::Cannot(why)) = late else { panic!("{late:?}") };
    assert!(why.to_string().contains("7 days"), "{why}");
    rig.reply(ticket, "in public it is never too late").await;
    rig.wait_deliveries(3, DeliveryStatus::Sent).await;
    rig.engine.stop().await;
}

/// What the service repeats of a private answer comes by the channel for private messages, and settles it.
#[tokio::test]
async fn m12_a_private_answer_in_doubt_is_settled_by_the_pages_other_channel() {
    let (rig, service) = start(&[("dm", String::new())]).await;
    let ticket = asked(&rig, "fb", &comment(&json!({}))).await;
    service.on_send(|_| Act::TakeThen(Does::Close));
    rig.engine.reply(in_private(ticket, "your number?")).await.unwrap();
    rig.wait_deliveries(1, DeliveryStatus::Unconfirmed).await;
    let sent = service.sent().remove(0);
    let repeated = json!({ "mid": sent.id, "text": "your number?", "metadata": sent.body["message"]["metadata"] });
    take(&rig, "dm", &Face::Messenger.echo("24002400", &repeated)).await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    assert_eq!(rig.messages().await.len(), 2);
    rig.engine.stop().await;
}

/// M12: on Instagram there is one level below a comment, so answers further down go there and name whom they mean.
#[tokio::test]
async fn m12_instagram_comments_are_answered_below_the_topmost_by_name() {
    let (rig, service) = start(&[]).await;
    let ticket = asked(&rig, "ig", &on_instagram(&json!({}))).await;
    rig.reply(ticket, "on its way").await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    let below = on_instagram(&json!({ "id": "1782", "parent_id": "1781", "text": "thanks" }));
    assert_eq!(asked(&rig, "ig", &below).await, ticket);
    // The advertisement made of the post tells of it again.
    let again = json!({ "id": "1782", "parent_id": "1781", "text": "thanks",
        "media": { "id": "100", "original_media_id": "99", "ad_id": "5" } });
    take(&rig, "ig", &on_instagram(&again)).await;
    let own =
        json!({ "id": "1783", "parent_id": "1781", "from": { "id": ACCOUNT, "username": "desk" } });
    take(&rig, "ig", &on_instagram(&own)).await;
    rig.reply(ticket, "any time").await;
    rig.wait_deliveries(2, DeliveryStatus::Sent).await;
    let sent: Vec<(String, Value)> =
        service.sent().into_iter().map(|sent| (sent.path, sent.body["message"].clone())).collect();
    assert_eq!(sent[0], ("1781/replies".to_owned(), json!("on its way")));
    assert_eq!(sent[1], ("1781/replies".to_owned(), json!("@ann.b any time")));
    rig.engine.reply(in_private(ticket, "in private")).await.unwrap();
    rig.wait_deliveries(3, DeliveryStatus::Sent).await;
    let private = service.sent().remove(2);
    assert_eq!(private.path, format!("{ACCOUNT}/messages"));
    assert_eq!(private.body["recipient"]["comment_id"], "1782");
    assert_eq!(rig.messages().await.len(), 5);
    rig.engine.stop().await;
}

/// M12: written, changed and taken back within a moment, in any order: what stands there is what is left.
#[tokio::test]
async fn m12_a_comment_that_is_changed_and_removed_is_not_kept() {
    let (rig, _service) = start(&[]).await;
    let of = |id: &str, verb: &str, text: &str| {
        comment(&json!({ "comment_id": id, "verb": verb, "message": text }))
    };
    take(&rig, "fb", &of("77_1", "edited", "second")).await;
    take(&rig, "fb", &of("77_1", "add", "first")).await;
    take(&rig, "fb", &of("77_2", "add", "my card is 1234")).await;
    take(&rig, "fb", &of("77_2", "remove", "")).await;
    take(&rig, "fb", &of("77_2", "add", "my card is 1234")).await;
    rig.wait_messages(2).await;
    wait_until("the change and the taking-back", PATIENCE, async || {
        let messages = rig.messages().await;
        messages[0].text == "second"
            && messages[1].deleted_at.is_some()
            && messages[1].text.is_empty()
    })
    .await;
    let nameless = comment(&json!({ "comment_id": "77_3", "from": null, "message": "who am I?" }));
    let ticket = asked(&rig, "fb", &nameless).await;
    rig.reply(ticket, "we do not know").await;
    rig.wait_deliveries(1, DeliveryStatus::Sent).await;
    rig.engine.stop().await;
}

/// What is about one comment fails alone; what is about the token stops the channel. Files are refused at once.
#[tokio::test]
async fn m12_errors_about_one_comment_stop_no_other() {
    let (rig, service) = start(&[]).await;
    let ticket = asked(&rig, "fb", &comment(&json!({}))).await;
    service.on_send(|_| Act::Refuse(refusal(400, 100, 33, "Object does not exist")));
    rig.reply(ticket, "gone?").await;
    rig.wait_deliveries(1, DeliveryStatus::Failed).await;
    assert!(rig.outbox().await[0].error.clone().unwrap().contains("the comment is gone"));
    let kept = super::direct::keep_upload(&rig, "a.png", "image/png", b"a photo").await;
    let files = ReplyRequest { uploads: vec![(kept, 7)], ..reply_request(ticket, "see") };
    assert!(matches!(rig.engine.reply(files).await, Err(ReplyError::Cannot(_))));
    service.on_send(|_| Act::Refuse(refusal(401, 190, 460, "a human is needed")));
    rig.reply(ticket, "wait").await;
    wait_until("the lane to need a human", PATIENCE, async || {
        let health = rig.engine.health.of(&"fb".parse().unwrap());
        health.iter().any(|(_, part)| part.state.as_str() == "needs_human")
    })
    .await;
    assert_eq!(rig.outbox().await[1].status, DeliveryStatus::Queued);
    rig.engine.stop().await;
}
