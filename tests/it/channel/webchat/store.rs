//! What the store promises to web chats, on both databases.

use chrono::Duration;
use serde_json::json;
use tributary::channel::chat::{Form, Said, Words};
use tributary::engine::{Clock, ReplyRequest};
use tributary::model::{
    Actor, ActorKind, ChannelName, ContactId, DeliveryState, MessageId, Realm, RemoteId, Role,
    TicketId,
};
use tributary::store::{By, Guest, UnreadMail, Window};
use uuid::Uuid;

use crate::support::app::App;
use crate::support::postgres::Database;

const CHANNELS: &str = "[channels.web]\nkind = \"webchat\"\n[channels.web.continuity]\n\
    channel = \"mail\"\n[channels.mail]\nkind = \"email\"\naddress = \"desk@example.com\"\n\
    [channels.mail.send]\nhost = \"127.0.0.1\"\nport = 9\ntls = \"none\"\n";

fn web() -> ChannelName {
    "web".parse().unwrap()
}

/// Somebody writes; their ticket.
async fn write(app: &App, guest: &Guest, client_id: &str, text: &str) -> TicketId {
    let now = Clock::system().now();
    let body = json!({
        "type": "message", "visitor": { "id": guest.visitor }, "at": now,
        "client_id": client_id, "text": text,
    });
    app.store
        .greet_visitor(guest, Some("lei@example.com".to_owned()), Some("zh-CN".to_owned()), now)
        .await
        .unwrap();
    app.receive("web", body.to_string()).await.ticket.into()
}

async fn queue(app: &App, ticket: TicketId, text: &str) -> Uuid {
    let message = MessageId::new();
    let request = ReplyRequest::words(
        message,
        ticket,
        text.to_owned(),
        Actor { kind: ActorKind::Agent, id: None, name: "Mei".to_owned() },
    );
    app.engine.reply(request).await.unwrap();
    message.uuid()
}

/// Sends what is due, as the lane does.
async fn send(app: &App) {
    let fence = app.store.take_lease(&web()).await.unwrap().unwrap();
    loop {
        let now = Clock::system().now();
        let due = app.store.due_deliveries(&web(), 10, now).await.unwrap();
        if due.is_empty() {
            break;
        }
        for one in due {
            let id = one.delivery.outbound.delivery;
            assert!(app.store.begin_delivery(&fence, id, None, now).await.unwrap());
            let sent = DeliveryState::Sent { remote_id: RemoteId::new(id.to_string()) };
            app.store.settle_delivery(&fence, id, sent.into(), now).await.unwrap();
        }
    }
    app.store.release(&fence).await.unwrap();
}

async fn texts(app: &App, guest: &Guest, window: Window) -> Vec<String> {
    let page = app.store.chat_page(guest, window, 50).await.unwrap();
    page.items.into_iter().map(|item| item.message.text).collect()
}

#[expect(
    clippy::cognitive_complexity,
    reason = "one story, each step of which stands on the one before"
)]
async fn everything(app: &App) {
    let (store, now) = (&app.store, Clock::system().now());
    let guest = Guest { channel: web(), visitor: "a:one".to_owned() };
    let other = Guest { channel: web(), visitor: "a:two".to_owned() };
    let ticket = write(app, &guest, "1", "question").await;
    write(app, &other, "1", "another's question").await;
    let first = queue(app, ticket, "first answer").await;
    assert_eq!(texts(app, &guest, Window::After(0)).await, ["question"], "not sent yet");
    assert_eq!(store.chat_place(&guest, first).await.unwrap(), None);
    let before = store.feed_position().await.unwrap();
    send(app).await;
    assert_eq!(texts(app, &guest, Window::After(before)).await, ["first answer"]);
    assert_eq!(texts(app, &guest, Window::Before(i64::MAX)).await, ["question", "first answer"]);
    assert_eq!(texts(app, &other, Window::After(0)).await, ["another's question"]);
    assert_eq!(store.chat_place(&other, first).await.unwrap(), None, "not theirs");

    // Whom it concerns, and nobody else.
    let position = store.feed_position().await.unwrap();
    assert_eq!(store.chat_news(before, position).await.unwrap(), std::slice::from_ref(&guest));
    store.agent_types(ticket, Some("Mei".to_owned()), now + Duration::seconds(8)).await.unwrap();
    store.agent_reads(ticket).await.unwrap();
    let news = store.chat_news(position, store.feed_position().await.unwrap()).await.unwrap();
    assert_eq!(news, std::slice::from_ref(&guest));
    let known = store.visitor(&guest).await.unwrap();
    assert_eq!(known.agent_name.as_deref(), Some("Mei"));
    assert!(known.agent_read > 0 && known.agent_typing_until.is_some());
    assert_eq!(store.chat_visitors(ticket).await.unwrap(), [(guest.clone(), known)]);
    assert!(
        !store
            .visitor(&Guest { visitor: "a:none".to_owned(), ..guest.clone() })
            .await
            .unwrap()
            .known
    );

    // Marks only ever move forward.
    store.visitor_reads(&guest, 7).await.unwrap();
    store.visitor_reads(&guest, 5).await.unwrap();
    assert_eq!(store.visitor(&guest).await.unwrap().read, 7);
    let open = store.chat_unconfirmed(&guest, i64::MAX, true).await.unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!(store.chat_unconfirmed(&guest, before, true).await.unwrap(), []);
    assert_eq!(store.chat_unconfirmed(&other, i64::MAX, true).await.unwrap(), []);

    // What is not read goes out by mail, once, and only what is new.
    let mail = UnreadMail {
        by: "mail".parse().unwrap(),
        realm: Realm("email".to_owned()),
        text: "by mail".to_owned(),
    };
    assert_eq!(store.unread_chats(&web(), now - Duration::minutes(10)).await.unwrap(), []);
    let later = now + Duration::hours(1);
    let unread = store.unread_chats(&web(), later).await.unwrap();
    let [one] = unread.as_slice() else { panic!("{unread:#?}") };
    assert_eq!(
        (one.email.as_str(), one.texts.as_slice()),
        ("lei@example.com", &["first answer".to_owned()][..])
    );
    let both = tokio::join!(
        store.continue_by_mail(one, &mail, now),
        store.continue_by_mail(one, &mail, now)
    );
    let both = [both.0.unwrap(), both.1.unwrap()];
    assert!(both.contains(&true) && both.contains(&false), "one of two: {both:?}");
    assert_eq!(store.unread_chats(&web(), later).await.unwrap(), []);
    let due = store.due_deliveries(&mail.by, 10, later).await.unwrap();
    let [sent] = due.as_slice() else { panic!("{due:#?}") };
    assert_eq!(sent.delivery.outbound.to.address.value, "lei@example.com");
    assert_eq!((sent.delivery.outbound.text.as_str(), sent.delivery.ticket), ("by mail", ticket));
    assert_eq!(texts(app, &guest, Window::After(0)).await.len(), 2, "still to be read in the chat");
    queue(app, ticket, "second answer").await;
    send(app).await;
    let unread = store.unread_chats(&web(), later).await.unwrap();
    assert_eq!(unread[0].texts, ["second answer"]);
}

#[tokio::test]
async fn a_conversation_is_whole_on_both_databases() {
    everything(&App::start(CHANNELS).await).await;
    let postgres = Database::fresh();
    everything(&App::start_on(&postgres.url(), CHANNELS).await).await;
}

#[tokio::test]
async fn whoever_is_erased_is_forgotten() {
    let app = App::start(CHANNELS).await;
    let guest = Guest { channel: web(), visitor: "a:one".to_owned() };
    write(&app, &guest, "1", "my secret").await;
    let tickets = app.api(Role::ReadOnly).tickets().await;
    let contact: ContactId = tickets[0]["contact"]["id"].as_str().unwrap().parse().unwrap();
    let now = Clock::system().now();
    let by = By { actor: Actor::system(), version: None, once: None, now };
    app.store.erase_contact(contact, by).await.unwrap();
    assert!(!app.store.visitor(&guest).await.unwrap().known);
    assert_eq!(texts(&app, &guest, Window::After(0)).await, [""; 0]);
}

/// What our own server writes down is what the parser reads.
#[tokio::test]
async fn the_servers_words_and_the_parsers_are_the_same() {
    let app = App::start(CHANNELS).await;
    let chat = app.engine.with_channel(&web(), |channel| channel.chat.clone()).flatten().unwrap();
    let now = Clock::system().now();
    let visitor = chat.admit(&Default::default(), now).unwrap();
    let words = Words {
        client_id: "1".to_owned(),
        text: "hi".to_owned(),
        files: Vec::new(),
        form: Form { name: Some("Lei".to_owned()), ..Form::default() },
    };
    let raw = chat.raw(&visitor, Said::Message(words), now).unwrap();
    let taken = app.engine.take_raws(&web(), vec![raw]).await.unwrap();
    app.engine.drain_journal().await.unwrap();
    let placed = app.store.placed(taken.ids[0]).await.unwrap();
    assert_eq!(placed[0].message, Some(taken.ids[0].uuid()), "the message bears the raw's id");
}
