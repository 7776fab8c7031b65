//! What the exchange could not tell us is asked for: each call is there once, by whatever way it came.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{BASE, HOOK, call, says, start, tell};
use crate::support::phone::{ANN, Caller, Doing, Exchange};
use crate::support::rig::{PATIENCE, Rig, pass};
use crate::support::wait_until;

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
    assert_eq!(rig.messages().await.len(), 2);
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
