//! Calls that come in: whatever happens in them, each is one message of one ticket.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::Rng as _;
use rand::seq::SliceRandom as _;
use tributary::model::CallbackStatus;
use tributary::store::{CallbackFilter, MessageView, TicketName, TicketView};

use super::{BASE, HOOK, call, channel, says, start, tell};
use crate::support::phone::{
    ACCOUNT, ANN, Caller, Doing, Exchange, MENU_KEYS, TOKEN, Told, fields, parse, request,
};
use crate::support::rig::{PATIENCE, Rig, pass};
use crate::support::{open_folder, wait_until};

use Doing::{Agents, HangUp, Nothing, Press, Speak};

async fn ticket(rig: &Rig, message: &MessageView) -> TicketView {
    rig.store.ticket(TicketName::Id(message.ticket_id)).await.unwrap()
}

fn has(message: &MessageView, flag: &str) -> bool {
    message.flags.iter().any(|known| known == flag)
}

/// M17, M18: all that happened, the recording among it, though it comes late; and then it is gone at the service.
#[tokio::test]
async fn m17_m18_a_call_becomes_one_message_with_its_voicemail() {
    let (rig, exchange) = start("").await;
    exchange.record("REaa1", 2, "the sound of a voice");
    let acts = [
        Press("2"),
        Press("1"),
        Agents("no-answer", false),
        Agents("busy", false),
        Nothing,
        Press("1"),
        Speak(23, "REaa1"),
    ];
    call(&rig, ("CA01", ANN), &acts).await;
    let message = says(&rig, "The call ended").await;
    let lines: Vec<&str> = message.text.lines().collect();
    assert_eq!(
        lines,
        [
            "Call from +4915112345678 to +15005550006.",
            "Chose the language zh.",
            "Chose 1: lost password.",
            "An agent was called: nobody took it.",
            "An agent was called: the line was busy.",
            "Left a message, 23 s.",
            "The call ended after 23 s.",
        ]
    );
    assert_eq!(message.kind, "voicemail");
    assert!(has(&message, "missed_call"));
    let ticket = ticket(&rig, &message).await;
    assert_eq!(ticket.queue.as_deref(), Some("passwords"));
    assert_eq!(ticket.priority.as_str(), "high");
    assert_eq!(ticket.language.as_deref(), Some("zh"));
    assert_eq!(ticket.subject, "Call from +4915112345678");
    for tag in ["password", "voicemail"] {
        assert!(ticket.tags.contains(&tag.to_owned()), "{tag}: {:?}", ticket.tags);
    }
    assert_eq!(ticket.message_count, 1);
    // A while later the service has written down what was said.
    let words = fields(&[
        ("AccountSid", ACCOUNT),
        ("CallSid", "CA01"),
        ("From", ANN),
        ("RecordingSid", "REaa1"),
        ("TranscriptionStatus", "completed"),
        ("TranscriptionText", "I have lost it"),
    ]);
    tell(&rig, &(format!("{HOOK}/words"), words)).await.unwrap();
    let written = says(&rig, "Written down by a machine: «I have lost it»").await;
    assert_eq!(written.id, message.id);
    // Not there at first; asked for again, kept, and then taken away.
    let sound = async || {
        pass(Duration::from_secs(20));
        !exchange.state().deleted.is_empty()
    };
    wait_until("the recording to be kept and deleted", PATIENCE, sound).await;
    let message = rig.messages().await.remove(0);
    let [voicemail] = message.attachments.as_slice() else { panic!("{message:?}") };
    assert_eq!((voicemail.name.as_str(), voicemail.size), ("voicemail.mp3", 20));
    assert_eq!(exchange.state().deleted, ["REaa1"]);
    assert_eq!(exchange.state().strangers, 0);
    rig.engine.stop().await;
}

/// Nothing is deleted at the service, unless the settings want it; and what we keep of a voice is sealed.
#[tokio::test]
async fn a_recording_stays_at_the_service_unless_it_is_to_go_and_is_kept_sealed() {
    let exchange = Exchange::start();
    let other =
        exchange.settings("delete_recordings = true").replace("+15005550006", "+15005550007");
    let folder = open_folder("rig");
    let url = format!("sqlite://{}", folder.path().join("tributary.db").display());
    let channels = [("hotline", exchange.settings("")), ("second", other)];
    let channels = channels.each_ref().map(|(name, toml)| (*name, toml.as_str()));
    let rig = Rig::start_at(url, &channels).await;
    exchange.record("REf1", 0, "canary of a voice that stays");
    exchange.record("REf2", 0, "canary of a voice that goes");
    let acts = |name| [Agents("busy", false), Agents("busy", false), Press("1"), Speak(12, name)];
    let stored = async |count| {
        let messages = rig.messages().await;
        let files = messages.iter().flat_map(|message| &message.attachments);
        files.filter(|file| file.state == "stored").count() == count
    };
    call(&rig, ("CA01", ANN), &acts("REf1")).await;
    wait_until("the first recording", PATIENCE, async || stored(1).await).await;
    let second = "second".parse().unwrap();
    let mut caller = Caller::new(BASE, "/hooks/second", ("CA02", ANN), &acts("REf2"));
    let tell = async |(path, form): &Told| {
        let answer = rig.engine.take_hook(&second, request(BASE, path, form)).await;
        String::from_utf8(answer.body().to_vec()).ok()
    };
    caller.walk(async |told| tell(told).await).await;
    for told in &caller.news {
        tell(told).await.unwrap();
    }
    wait_until("the second recording to be kept and deleted", PATIENCE, async || {
        pass(Duration::from_secs(20));
        !exchange.state().deleted.is_empty()
    })
    .await;
    assert!(stored(2).await);
    assert_eq!(exchange.state().deleted, ["REf2"]);
    assert!(exchange.state().recordings.contains_key("REf1"));
    rig.engine.stop().await;
    rig.store.close().await.unwrap();
    let file = std::fs::read(folder.path().join("tributary.db")).unwrap();
    let holds = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(holds("voicemail.mp3") && !holds("canary of a voice"), "it lies there in clear");
}

/// Hanging up at any point, news in any order, twice or not at all: each call is one message, each caller one ticket.
#[tokio::test]
async fn every_call_is_one_message_wherever_it_breaks_off_and_whatever_is_told_twice() {
    let (rig, _exchange) = start("").await;
    let mut random = rand::rng();
    let mut callers = Vec::new();
    for number in 0..60 {
        let (name, from) = (format!("CA{number:04}"), format!("+49151{number:08}"));
        let mut full: Vec<Doing> =
            (0..random.random_range(0..9)).map(|_| act(&mut random)).collect();
        // Nobody takes it twice in one call would be two lines, and rightly so.
        let mut called = false;
        full.retain(|doing| {
            let again = called && matches!(doing, Agents(..));
            called |= matches!(doing, Agents(..));
            !again
        });
        let mut caller = Caller::new(BASE, HOOK, (&name, &from), &full);
        // Now and then the desk is away in the middle of it.
        caller
            .walk(
                async |told| {
                    if rand::random_ratio(1, 20) { None } else { tell(&rig, told).await }
                },
            )
            .await;
        let mut news: Vec<_> = caller.news.iter().chain(&caller.asked).cloned().collect();
        news.shuffle(&mut random);
        news.truncate(random.random_range(0..=news.len()));
        let twice = news.clone();
        futures::future::join_all(news.iter().chain(&twice).map(|told| tell(&rig, told))).await;
        if news.is_empty() {
            // Something of it arrived, or there is nothing that anybody could know.
            tell(&rig, &caller.asked[0]).await.unwrap();
        }
        callers.push(from);
    }
    let messages = rig.wait_messages(60).await;
    let tickets: BTreeSet<_> = messages.iter().map(|message| message.ticket_id).collect();
    assert_eq!(tickets.len(), 60, "one ticket for each caller");
    let said: BTreeSet<&str> =
        messages.iter().filter_map(|message| message.author.address.as_deref()).collect();
    assert!(callers.iter().all(|from| said.contains(from.as_str())));
    for message in &messages {
        let lines: Vec<&str> = message.text.lines().collect();
        let different: BTreeSet<&str> = lines.iter().copied().collect();
        assert_eq!(lines.len(), different.len(), "something is told twice: {lines:?}");
    }
    assert!(rig.store.quarantine(None, 10).await.unwrap().is_empty());
    rig.engine.stop().await;
}

fn act(random: &mut impl rand::Rng) -> Doing {
    match random.random_range(0..8) {
        0 => Nothing,
        1 => HangUp,
        2 => Speak(random.random_range(0..99), "REbb"),
        3 => Agents("completed", random.random_bool(0.5)),
        4 => Agents("no-answer", false),
        _ => Press(MENU_KEYS[random.random_range(0..MENU_KEYS.len())]),
    }
}

/// Whoever was spoken to is not missed, however late that is known.
#[tokio::test]
async fn a_call_that_was_taken_is_not_missed_whichever_is_told_first() {
    let (rig, _exchange) = start("").await;
    let acts = [Press("1"), Press("1"), Agents("completed", true)];
    let mut caller = Caller::new(BASE, HOOK, ("CA01", ANN), &acts);
    let mut held = Vec::new();
    caller
        .walk(async |told| {
            let answer = tell(&rig, told).await;
            held.push(told.clone());
            answer
        })
        .await;
    let end = caller.news.pop().unwrap();
    tell(&rig, &end).await.unwrap();
    says(&rig, "The call ended").await;
    for told in &caller.news {
        tell(&rig, told).await.unwrap();
    }
    let message = says(&rig, "Taken by +4930123456").await;
    assert!(has(&message, "answered_call"));
    assert!(!has(&message, "missed_call"), "{:?}", message.flags);
    assert_eq!(message.kind, "call");
    rig.engine.stop().await;
}

/// W22: a second call of the same number is in the same conversation; W23: one person, whichever number of ours; and
/// who hides their number is nobody known.
#[tokio::test]
async fn w22_w23_calls_of_one_number_are_one_conversation_and_hidden_ones_are_not() {
    let exchange = Exchange::start();
    let other = exchange.settings("").replace("+15005550006", "+15005550007");
    let rig = Rig::start(&[("hotline", &exchange.settings("")), ("second", &other)]).await;
    for name in ["CA01", "CA02"] {
        call(&rig, (name, ANN), &[]).await;
    }
    let mut caller = Caller::new(BASE, "/hooks/second", ("CA03", ANN), &[]);
    let second = "second".parse().unwrap();
    caller
        .walk(async |(path, form)| {
            let answer = rig.engine.take_hook(&second, request(BASE, path, form)).await;
            String::from_utf8(answer.body().to_vec()).ok()
        })
        .await;
    for name in ["CA04", "CA05"] {
        call(&rig, (name, "+266696687"), &[]).await;
    }
    let messages = rig.wait_messages(5).await;
    let of = |name: &str| {
        let found = messages
            .iter()
            .find(|message| message.external_id.as_deref().is_some_and(|id| id.starts_with(name)));
        found.unwrap_or_else(|| panic!("{name}"))
    };
    assert_eq!(of("CA01").ticket_id, of("CA02").ticket_id);
    assert_ne!(of("CA01").ticket_id, of("CA03").ticket_id, "a ticket belongs to one channel");
    assert_eq!(of("CA01").author.id, of("CA03").author.id, "it is the same person");
    // W25: it says at which number it came in wrongly.
    assert!(of("CA03").text.contains("not the number of this channel"), "{}", of("CA03").text);
    assert_ne!(of("CA04").ticket_id, of("CA05").ticket_id);
    assert_ne!(of("CA04").author.id, of("CA05").author.id);
    assert_eq!(of("CA04").author.address, None);
    rig.engine.stop().await;
}

/// A wish to be called is noted with its number, once.
#[tokio::test]
async fn a_key_asks_for_a_call_back() {
    let (rig, _exchange) = start("").await;
    let typed = [Press("1"), Press("3"), Press("2"), Press("00493012345678"), Press("1")];
    let caller = call(&rig, ("CA01", ANN), &typed).await;
    for told in &caller.asked {
        tell(&rig, told).await.unwrap();
    }
    let message = says(&rig, "The call ended").await;
    assert!(message.text.contains("Wants to be called back on +493012345678."), "{}", message.text);
    let filter = CallbackFilter { limit: 10, ..CallbackFilter::default() };
    let wishes = rig.store.callbacks(&filter).await.unwrap();
    let [wish] = wishes.as_slice() else { panic!("{wishes:?}") };
    assert_eq!((wish.phone.as_str(), wish.note.as_str()), ("+493012345678", "transfer"));
    assert_eq!(wish.status, CallbackStatus::Waiting);
    assert!(ticket(&rig, &message).await.tags.contains(&"callback".to_owned()));
    rig.engine.stop().await;
}

/// M16: nobody can call in the service's name; and while the token is replaced, both are good.
#[tokio::test]
async fn m16_only_the_service_can_call() {
    let (rig, _exchange) = start("secondary_auth_token = 'another-token-of-the-phone'").await;
    let form = fields(&[("CallSid", "CA01"), ("From", ANN), ("CallStatus", "ringing")]);
    let good = || request(BASE, HOOK, &form);
    let mut bad = vec![good(), good(), good()];
    bad[0].headers_mut().remove("x-twilio-signature");
    *bad[1].body_mut() = "CallSid=CA02&CallStatus=ringing".into();
    *bad[2].uri_mut() = format!("{HOOK}/call/topic?l=en").parse().unwrap();
    for request in bad {
        let answer = rig.engine.take_hook(&channel(), request).await;
        assert_eq!((answer.status().as_u16(), answer.body().len()), (403, 0));
    }
    // Of another account, and at an address that is none.
    let other = fields(&[("CallSid", "CA01"), ("AccountSid", "AC99")]);
    assert_eq!(rig.engine.take_hook(&channel(), request(BASE, HOOK, &other)).await.status(), 403);
    let nowhere = format!("{HOOK}/call/nowhere");
    let answer = rig.engine.take_hook(&channel(), request(BASE, &nowhere, &form)).await;
    assert_eq!(answer.status(), 404);
    assert!(rig.messages().await.is_empty());
    let answer = rig.engine.take_hook(&channel(), good()).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/xml; charset=utf-8");
    let document = String::from_utf8(answer.body().to_vec()).unwrap();
    assert_eq!(parse(&document).children[0].name, "Gather");
    assert!(!document.contains(TOKEN));
    rig.wait_messages(1).await;
    rig.engine.stop().await;
}
