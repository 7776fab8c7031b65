//! Telegram: a bot's customers and ours, through the whole program.

mod by_itself;
mod inbound;
mod killed;
mod outbound;
mod silent;

use serde_json::json;
use tributary::model::{ChannelName, DeliveryStatus};
use uuid::Uuid;

use crate::support::rig::{PATIENCE, Rig};
use crate::support::telegram::Telegram;
use crate::support::wait_until;

/// A customer: numbers have more than 31 bits.
const ANN: i64 = 5_000_000_001;
/// Another one.
const BOB: i64 = 5_000_000_002;

/// A program with one bot, and the service.
async fn start() -> (Rig, Telegram) {
    let service = Telegram::start();
    let rig = Rig::start(&[("tg", &service.settings())]).await;
    (rig, service)
}

fn channel() -> ChannelName {
    "tg".parse().unwrap()
}

/// A customer has written; the ticket.
async fn written(rig: &Rig, service: &Telegram, user: i64, text: &str) -> Uuid {
    let before = rig.messages().await.len();
    service.writes(user, &json!({ "text": text }));
    rig.wait_messages(before + 1).await.pop().unwrap().ticket_id
}

/// Waits until the delivery at this place has this state; its error.
async fn becomes(rig: &Rig, place: usize, status: DeliveryStatus) -> String {
    let there = async || rig.outbox().await.get(place).is_some_and(|row| row.status == status);
    wait_until(&format!("delivery {place} {}", status.as_str()), PATIENCE, there).await;
    rig.outbox().await.remove(place).error.unwrap_or_default()
}

/// Waits until the channel needs a human, with these words.
async fn needs_human(rig: &Rig, words: &str) {
    wait_until(&format!("a human to be told: {words}"), PATIENCE, async || {
        let health = rig.engine.health.of(&channel());
        health.iter().any(|(_, part)| {
            let told = part.last_error.as_ref().is_some_and(|error| error.contains(words));
            told && part.state.as_str() == "needs_human"
        })
    })
    .await;
}
