//! What the exchange could not tell us is asked for: each call is there once, by whatever way it came.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tributary::store::MessageFilter;

use super::{BASE, HOOK, MENU, call, says, start, tell};
use crate::support::phone::{ANN, Caller, Doing, Exchange};
use crate::support::rig::{PATIENCE, Rig, pass};
use crate::support::{open_folder, wait_until};

use Doing::{Press, Speak};

/// The first question says from when on calls are ours.
async fn asked(exchange: &Exchange) {
    wait_until("a question", PATIENCE, async || exchange.state().lists > 1).await;
}

/// Asked so often since.
async fn asked_again(exchange: &Exchange) {
    let before = exchange.state().lists;
    wait_until("more questions", PATIENCE, async || exchange.state().lists > before + 3).await;
}

async fn attachments(rig: &Rig) -> Vec<String> {
    let messages = rig.messages().await;
    messages.into_iter().flat_map(|one| one.attachments).map(|file| file.state).collect()
}

/// M17: nobody told us of it, and its voicemail lies at the exchange; what comes later by itself adds nothing.
#[tokio::test]
async fn m17_a_call_of_which_nothing_reached_us_becomes_a_missed_call_once() {
    let (rig, exchange) = start("poll_seconds = 1").await;
    asked(&exchange).await;
    // Who called before that has been called back by somebody else.
    exchange.came(("CA00", "+4915112340000"), "completed", &[]);
    exchange.state().came[0].began -= chrono::Duration::hours(1);
    exchange.record("REb1", 0, "the sound of a voice");
    exchange.came(("CA01", ANN), "completed", &[("REb1", "completed", "RecordVerb")]);
    // It may be told yet.
    asked_again(&exchange).await;
    assert!(rig.messages().await.is_empty());
    pass(Duration::from_secs(200));
    let message = says(&rig, "The call ended after 23 s.").await;
    wait_until("the voicemail", PATIENCE, async || attachments(&rig).await == ["stored"]).await;
    assert!(message.flags.contains(&"missed_call".to_owned()), "{:?}", message.flags);
    let told = says(&rig, "Left a message, 12 s.").await;
    assert_eq!((told.kind.as_str(), told.id), ("voicemail", message.id));
    // When they called, and not when we asked.
    assert!(rig.now() - told.sent_at > chrono::Duration::seconds(190), "{}", told.sent_at);
    // Our server was away, and the exchange tries again.
    let acts = [Press("1"), Press("2"), Speak(12, "REb1")];
    call(&rig, ("CA01", ANN), &acts).await;
    says(&rig, "Chose 2: complaint.").await;
    let all = rig.messages().await;
    assert_eq!(all.len(), 1, "{all:#?}");
    assert_eq!(all[0].text.matches("The call ended").count(), 1, "{}", all[0].text);
    assert_eq!(all[0].text.matches("Left a message").count(), 1, "{}", all[0].text);
    assert_eq!(attachments(&rig).await.len(), 1);
    rig.engine.stop().await;
}

/// The last news of a call were lost, or those of its recording: both are found.
#[tokio::test]
async fn the_end_of_a_call_and_a_recording_that_were_never_told_are_found() {
    let (rig, exchange) = start("poll_seconds = 1").await;
    asked(&exchange).await;
    // A whole call, but for what is told beside the menu.
    exchange.record("REc1", 0, "the sound of a voice");
    let acts = [Press("1"), Press("2"), Speak(12, "REc1")];
    let mut caller = Caller::new(BASE, HOOK, ("CA01", ANN), &acts);
    caller.walk(async |told| tell(&rig, told).await).await;
    exchange.came(("CA01", ANN), "in-progress", &[("REc1", "processing", "RecordVerb")]);
    says(&rig, "Left a message").await;
    pass(Duration::from_secs(200));
    asked_again(&exchange).await;
    assert!(!rig.messages().await[0].text.contains("The call ended"));
    exchange.state().came[0].status = "completed";
    says(&rig, "The call ended after 23 s.").await;
    // A talk whose recording gets ready late.
    exchange.record("REc2", 0, "two voices");
    exchange.came(("CA02", ANN), "completed", &[("REc2", "processing", "DialVerb")]);
    pass(Duration::from_secs(200));
    rig.wait_messages(2).await;
    exchange.state().came[1].recordings[0].1 = "completed";
    says(&rig, "The talk was recorded, 12 s.").await;
    // What somebody recorded by hand at the exchange is no message that was left.
    exchange.record("REc3", 0, "two voices");
    let by_hand = [("REc3", "completed", "StartCallRecordingAPI")];
    exchange.came(("CA03", "+4915112340003"), "completed", &by_hand);
    pass(Duration::from_secs(200));
    let recorded = async || {
        let messages = rig.messages().await;
        messages.iter().filter(|one| one.text.contains("The talk was recorded, 12 s.")).count() == 2
    };
    wait_until("the other talk", PATIENCE, recorded).await;
    assert_eq!(rig.messages().await.len(), 3);
    rig.engine.stop().await;
}

/// Who called before the channel was there is not called back, also when it is started again.
#[tokio::test]
async fn calls_from_before_the_channel_are_left_alone_after_a_restart_too() {
    let exchange = Exchange::start();
    exchange.came(("CA00", "+4915112340000"), "completed", &[]);
    exchange.state().came[0].began -= chrono::Duration::hours(1);
    let folder = open_folder("rig");
    let url = format!("sqlite://{}", folder.path().join("tributary.db").display());
    let settings = exchange.settings(&format!("poll_seconds = 1\n{MENU}"));
    for round in 1..=2 {
        let rig = Rig::start_at(url.clone(), &[("hotline", &settings)]).await;
        asked_again(&exchange).await;
        exchange.came((&format!("CA0{round}"), ANN), "completed", &[]);
        pass(Duration::from_secs(200));
        rig.wait_messages(round).await;
        asked_again(&exchange).await;
        for message in rig.wait_messages(round).await {
            assert!(message.text.contains(ANN), "{}", message.text);
        }
        rig.engine.stop().await;
        rig.store.close().await.unwrap();
    }
}

/// More calls than are told at once, none of whose recordings is ready: the same ones are asked for again and again,
/// with a pause between; in the end the last of them is found.
#[tokio::test]
async fn calls_whose_recordings_are_not_ready_are_asked_for_with_pauses() {
    let (rig, exchange) = start("poll_seconds = 2").await;
    asked(&exchange).await;
    exchange.state().page_calls = Some(1_000);
    for number in 0..201 {
        let (sid, from) = (format!("CA{number:03}"), format!("+4915112340{number:03}"));
        exchange.came((&sid, &from), "completed", &[("REd1", "processing", "RecordVerb")]);
    }
    pass(Duration::from_secs(200));
    let told = rig.wait_messages(200).await;
    let (began, before) = (Instant::now(), exchange.state().lists);
    wait_until("questions", PATIENCE, async || exchange.state().lists > before + 2).await;
    assert!(began.elapsed() > Duration::from_secs(3), "{:?}", began.elapsed());
    exchange.state().came.iter_mut().for_each(|call| call.recordings.clear());
    let after = told.last().unwrap().seq;
    let filter = MessageFilter { after, limit: 10, ..MessageFilter::default() };
    let last = async || !rig.store.messages(&filter).await.unwrap().is_empty();
    wait_until("the last call", PATIENCE, last).await;
    rig.engine.stop().await;
}

/// Page after page; each caller once, and nobody's ticket twice.
#[tokio::test]
async fn many_calls_that_were_never_told_are_found_page_by_page() {
    let (rig, exchange) = start("poll_seconds = 1").await;
    asked(&exchange).await;
    for number in 0..10 {
        let (sid, from) = (format!("CA{number:02}"), format!("+49151123400{number:02}"));
        let status = ["completed", "busy", "no-answer", "canceled", "failed"][number % 5];
        exchange.came((&sid, &from), status, &[]);
    }
    exchange.state().came[3].to = "+15005550077".to_owned();
    pass(Duration::from_secs(200));
    rig.wait_messages(9).await;
    asked_again(&exchange).await;
    assert_eq!(rig.messages().await.len(), 9, "each but that of another number");
    let tickets: BTreeSet<_> =
        rig.messages().await.into_iter().map(|message| message.ticket_id).collect();
    assert_eq!(tickets.len(), 9);
    rig.engine.stop().await;
}
