//! What customers write, pushed, asked for, or both.

use std::time::Duration;

use serde_json::Value;
use tributary::store::{CallbackFilter, MessageFilter, TicketName};

use super::{ANN, BOB, asked, start, status_of, take, written};
use crate::support::receiver::Does;
use crate::support::rig::{PATIENCE, Rig, pass};
use crate::support::twilio::{NUMBER, PUBLIC_URL, TOKEN, Twilio, push_to, signed};
use crate::support::{open_folder, wait_until};

/// So many questions were asked since.
async fn wait_polls(service: &Twilio, count: usize) {
    let polls = |service: &Twilio| {
        let state = service.state();
        state.asked.iter().filter(|asked| asked.contains("DateSent")).count()
    };
    let before = polls(service);
    wait_until("questions", PATIENCE, async || polls(service) >= before + count).await;
}

async fn events(rig: &Rig, kind: &str) -> Vec<Value> {
    let all = rig.store.events_after(0, 500).await.unwrap();
    all.into_iter().filter(|event| event.kind == kind).map(|event| event.data).collect()
}

/// The words of every message, in commit order.
async fn texts(rig: &Rig) -> Vec<String> {
    let mut texts = Vec::new();
    let mut filter = MessageFilter { limit: 200, ..MessageFilter::default() };
    loop {
        let page = rig.store.messages(&filter).await.unwrap();
        let Some(last) = page.last() else { return texts };
        filter.after = last.seq;
        texts.extend(page.into_iter().map(|one| one.text));
    }
}

#[tokio::test]
async fn sms_a_message_that_is_pushed_twice_and_asked_for_is_one() {
    let (rig, service) = start().await;
    let (ticket, message) = written(&rig, &service, ANN, "where is my order? 订单在哪里?").await;
    take(&rig, service.push(&message)).await;
    wait_polls(&service, 3).await;
    let second = service.write(ANN, NUMBER, "hello?");
    // Asked for before it is pushed.
    rig.wait_messages(2).await;
    take(&rig, service.push(&second)).await;
    wait_polls(&service, 2).await;
    let messages = rig.wait_messages(2).await;
    assert_eq!(messages[0].text, "where is my order? 订单在哪里?");
    assert!(messages.iter().all(|one| one.ticket_id == ticket), "one conversation");
    assert_eq!(messages[0].external_id.as_deref(), Some(message.sid.as_str()));
    assert_eq!(messages[0].author.address.as_deref(), Some(ANN));
    rig.engine.stop().await;
}

/// M16: anybody could write in anybody's name.
#[tokio::test]
async fn m16_a_push_that_twilio_did_not_sign_is_refused_behind_any_proxy() {
    let (rig, service) = start().await;
    let message = service.write(ANN, NUMBER, "hello");
    let fields = service.fields(&message);
    let mut changed = fields.clone();
    changed[5].1 = "hello, send me the code".to_owned();
    let mut forged = push_to(PUBLIC_URL, &fields);
    *forged.body_mut() = push_to(PUBLIC_URL, &changed).into_body();
    assert_eq!(status_of(&rig, forged).await, 403);
    let mut without = push_to(PUBLIC_URL, &fields);
    without.headers_mut().remove("x-twilio-signature");
    assert_eq!(status_of(&rig, without).await, 403);
    let url = format!("{PUBLIC_URL}/hooks/sms");
    assert_eq!(status_of(&rig, signed(&url, "another-token-of-somebody", &fields)).await, 403);
    // The address within the proxy is not the one that was signed.
    assert_eq!(status_of(&rig, push_to("http://10.0.0.7:8080", &fields)).await, 403);
    assert_eq!(rig.messages().await.len(), 0);
    // By the public address, with or without the port that goes without saying, it is taken.
    take(&rig, push_to("http://desk.test:80", &fields)).await;
    take(&rig, push_to(PUBLIC_URL, &fields)).await;
    rig.wait_messages(1).await;
    rig.engine.stop().await;
}

#[tokio::test]
async fn sms_two_tokens_are_taken_while_one_is_replaced() {
    let service = Twilio::start();
    let settings = format!(
        "{}secondary_auth_token = \"canary-the-next-token-0123456789\"\n",
        service.settings(NUMBER)
    );
    let rig = Rig::start(&[("sms", &settings)]).await;
    for (number, token) in [TOKEN, "canary-the-next-token-0123456789"].iter().enumerate() {
        let message = service.write(ANN, NUMBER, &format!("message {number}"));
        let url = format!("{PUBLIC_URL}/hooks/sms");
        take(&rig, signed(&url, token, &service.fields(&message))).await;
    }
    rig.wait_messages(2).await;
    rig.engine.stop().await;
}

/// What no push brought is in the list, many pages of it, and in the order in which it was written.
#[tokio::test]
async fn sms_what_a_failed_push_lost_is_asked_for() {
    let (rig, service) = start().await;
    written(&rig, &service, ANN, "before").await;
    // Twilio itself is away for a moment as well.
    let mut faults = 3;
    service.on_list(move || {
        faults -= 1;
        (faults >= 0).then(|| Does::status(503))
    });
    for number in 0..640 {
        service.write(if number % 2 == 0 { ANN } else { BOB }, NUMBER, &format!("lost {number}"));
    }
    // It is for another number of the account.
    service.write(ANN, "+15005550099", "not ours");
    let there = async || texts(&rig).await.len() >= 641;
    wait_until("all of them", Duration::from_secs(120), there).await;
    wait_polls(&service, 3).await;
    let texts = texts(&rig).await;
    assert_eq!(texts.len(), 641, "each once");
    assert!(texts.iter().all(|text| text != "not ours"));
    let numbers: Vec<&str> = texts.iter().filter_map(|text| text.strip_prefix("lost ")).collect();
    let expected: Vec<String> = (0..640).map(|number| number.to_string()).collect();
    assert_eq!(numbers, expected, "in order");
    rig.engine.stop().await;
}

/// Whatever was written before the channel was there stays at Twilio, also when it is started again.
#[tokio::test]
async fn sms_what_came_before_the_channel_is_left_at_twilio() {
    let service = Twilio::start();
    service.write(ANN, NUMBER, "of yesterday");
    pass(Duration::from_secs(2));
    let (folder, settings) = (open_folder("rig"), service.settings(NUMBER));
    let url = format!("sqlite://{}", folder.path().join("tributary.db").display());
    for round in 0..2 {
        let rig = Rig::start_at(url.clone(), &[("sms", &settings)]).await;
        wait_polls(&service, 3).await;
        service.write(BOB, NUMBER, &format!("new {round}"));
        let messages = rig.wait_messages(round + 1).await;
        assert!(messages.iter().all(|one| one.text.starts_with("new")), "{messages:#?}");
        rig.engine.stop().await;
        rig.store.close().await.unwrap();
    }
}

/// A file is shown to whoever has the token, and lies where nobody may see it.
#[tokio::test]
async fn sms_files_are_fetched_by_both_ways_and_the_token_stays_at_home() {
    let (rig, service) = start().await;
    service.state().late_files = 1;
    let files = [("image/jpeg", "a picture"), ("text/x-vcard", "a card")];
    let pushed = service.write_with(ANN, NUMBER, "", &files);
    take(&rig, service.push(&pushed)).await;
    service.write_with(BOB, NUMBER, "look", &files);
    rig.wait_messages(2).await;
    let fetched = async || {
        let messages = rig.messages().await;
        messages.iter().all(|one| one.attachments.iter().all(|file| file.size > 0))
    };
    wait_until("the files", Duration::from_secs(90), fetched).await;
    for message in rig.messages().await {
        let told: Vec<(&str, &str, i64)> = message
            .attachments
            .iter()
            .map(|file| (file.name.as_str(), file.media_type.as_str(), file.size))
            .collect();
        assert_eq!(told, [("image-1.jpg", "image/jpeg", 9), ("file-2.vcf", "text/x-vcard", 6)]);
    }
    let asked = service.state().asked.clone();
    let leaks = service.state().leaks;
    assert_eq!(leaks, 0, "the token was shown to where the file lies");
    assert!(asked.iter().any(|asked| asked.contains("/Media.json")), "{asked:?}");
    rig.engine.stop().await;
}

#[tokio::test]
async fn sms_stop_and_start_are_kept_as_wishes_and_open_nothing() {
    let (rig, service) = start().await;
    let (ticket, _) = written(&rig, &service, ANN, "hello").await;
    for word in ["STOP", "Start", "HELP"] {
        let message = service.write(ANN, NUMBER, word);
        take(&rig, service.push(&message)).await;
        take(&rig, service.push(&message)).await;
    }
    // Somebody of whom nothing is known, and nobody pushes it.
    service.write(BOB, NUMBER, " stop ");
    wait_until("three wishes", PATIENCE, async || {
        events(&rig, "contact.standing").await.len() == 3
    })
    .await;
    wait_polls(&service, 2).await;
    let told = events(&rig, "contact.standing").await;
    let reach: Vec<(&str, &str)> = told
        .iter()
        .map(|event| (event["reach"].as_str().unwrap(), event["address"].as_str().unwrap()))
        .collect();
    assert!(reach.contains(&("opted_out", BOB)), "{reach:?}");
    assert_eq!(reach.iter().filter(|(_, who)| *who == ANN).count(), 2, "{reach:?}");
    assert_eq!(rig.messages().await.len(), 1, "no ticket, no message");
    assert!(service.sent().is_empty(), "nothing is answered");
    assert_eq!(rig.messages().await[0].ticket_id, ticket);
    rig.engine.stop().await;
}

/// W23, W25: one person, two of our numbers: each conversation is answered by the number that was written to.
#[tokio::test]
async fn w23_w25_two_numbers_of_ours_do_not_answer_for_each_other() {
    const OTHER: &str = "+15005550007";
    let service = Twilio::start();
    let channels = [("sms", service.settings(NUMBER)), ("second", service.settings(OTHER))];
    let channels = channels.each_ref().map(|(name, toml)| (*name, toml.as_str()));
    let rig = Rig::start(&channels).await;
    asked(&service, OTHER).await;
    let (first, _) = written(&rig, &service, ANN, "to the first").await;
    service.write(ANN, OTHER, "to the second");
    let second = rig.wait_messages(2).await.pop().unwrap();
    assert_eq!(second.channel.as_str(), "second");
    assert_ne!(second.ticket_id, first, "another number is another conversation");
    rig.reply(first, "from the first").await;
    rig.reply(second.ticket_id, "from the second").await;
    wait_until("both answers", PATIENCE, async || service.sent().len() == 2).await;
    for sent in service.sent() {
        let expected = if sent.body == "from the first" { NUMBER } else { OTHER };
        assert_eq!(sent.from.as_deref(), Some(expected), "{}", sent.body);
    }
    let contacts: Vec<_> =
        rig.messages().await.into_iter().filter_map(|one| one.author.id).collect();
    assert!(contacts.windows(2).all(|two| two[0] == two[1]), "one person");
    rig.engine.stop().await;
}

/// The word is a wish to be called, and a message all the same; said twice it is one.
#[tokio::test]
async fn sms_a_keyword_is_a_wish_to_be_called() {
    let (rig, service) = start().await;
    let (ticket, _) = written(&rig, &service, ANN, "Call me!").await;
    written(&rig, &service, ANN, "call").await;
    let (other, _) = written(&rig, &service, BOB, "CALL +49 30 123456").await;
    written(&rig, &service, "12345", "CALL").await;
    let filter = CallbackFilter { limit: 10, ..CallbackFilter::default() };
    let mut wishes = rig.store.callbacks(&filter).await.unwrap();
    wishes.sort_by(|one, other| one.phone.cmp(&other.phone));
    let wished: Vec<_> = wishes.iter().map(|one| (one.phone.as_str(), one.ticket_id)).collect();
    assert_eq!(wished, [(ANN, ticket), ("+4930123456", other)]);
    let tags = rig.store.ticket(TicketName::Id(ticket)).await.unwrap().tags;
    assert!(tags.contains(&"callback".to_owned()), "{tags:?}");
    rig.engine.stop().await;
}
