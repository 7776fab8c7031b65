//! SMS by Twilio: customers' messages and ours, through the whole program.

mod files;
mod inbound;
mod killed;
mod ledger;
mod outbound;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tributary::model::ChannelName;
use uuid::Uuid;

use crate::support::rig::{PATIENCE, Rig, pass};
use crate::support::twilio::{Message, NUMBER, Twilio};
use crate::support::wait_until;

/// A customer.
const ANN: &str = "+15005550010";
/// Another one.
const BOB: &str = "+15005550011";

/// A program with one number, and the service.
async fn start() -> (Rig, Twilio) {
    let service = Twilio::start();
    let rig = Rig::start(&[("sms", &service.settings(NUMBER))]).await;
    asked(&service, NUMBER).await;
    (rig, service)
}

/// The first question of all says from when on messages are ours; a messaging service asks for all numbers: «».
async fn asked(service: &Twilio, number: &str) {
    let digits = number.trim_start_matches('+');
    let there = async || {
        let state = service.state();
        state.asked.iter().any(|asked| asked.contains("DateSent") && asked.contains(digits))
    };
    wait_until("a question", PATIENCE, there).await;
}

/// Lets the clock pass until this holds: pauses before another try are long, and drawn by lot.
async fn passing(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    wait_until(what, Duration::from_secs(240), async || {
        pass(Duration::from_secs(10));
        holds().await
    })
    .await;
}

fn channel() -> ChannelName {
    "sms".parse().unwrap()
}

/// What becomes of a request to our hook.
async fn status_of(rig: &Rig, request: Request<Bytes>) -> u16 {
    rig.engine.take_hook(&channel(), request).await.status().as_u16()
}

/// Pushes it, and expects that it is taken.
async fn take(rig: &Rig, request: Request<Bytes>) {
    let answer = rig.engine.take_hook(&channel(), request).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/xml");
    assert_eq!(answer.body(), "<Response/>", "anything else would be sent to the customer");
}

/// A customer has written, and it was pushed; the ticket.
async fn written(rig: &Rig, service: &Twilio, from: &str, text: &str) -> (Uuid, Message) {
    let before = rig.messages().await.len();
    let message = service.write(from, NUMBER, text);
    take(rig, service.push(&message)).await;
    (rig.wait_messages(before + 1).await.pop().unwrap().ticket_id, message)
}
