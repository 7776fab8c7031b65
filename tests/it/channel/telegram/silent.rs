//! Tickets whose customer says nothing: warned, ended, or saved by a word.

use std::sync::Arc;
use std::time::Duration;

use tributary::desk::close::CloseSetting;
use tributary::model::{Actor, DeliveryStatus, TicketStatus};
use tributary::store::{By, TicketName, TicketPatch};
use uuid::Uuid;

use super::{ANN, BOB, written};
use crate::support::answers::triage;
use crate::support::postgres::Database;
use crate::support::rig::{Rig, pass};
use crate::support::telegram::Telegram;

const DAY: Duration = Duration::from_secs(86_400);

fn closing(rig: &Rig) {
    let close = CloseSetting {
        enabled: true,
        warn_days: 5,
        solve_days: 2,
        texts: [("en".to_owned(), "Ticket {number} ends soon.".to_owned())].into(),
    };
    rig.engine.change_triage(Arc::new(triage(|settings| settings.close = close)));
}

/// Answered by a person, and waiting for the customer.
async fn pending(rig: &Rig, ticket: Uuid, sent: usize) {
    rig.reply(ticket, "Which phone is it?").await;
    rig.wait_deliveries(sent, DeliveryStatus::Sent).await;
    let patch = TicketPatch { status: Some(TicketStatus::Pending), ..TicketPatch::default() };
    let by = By { actor: Actor::system(), version: None, once: None, now: rig.now() };
    rig.store.change_ticket(ticket.into(), patch, by).await.unwrap();
}

async fn stands(rig: &Rig, ticket: Uuid) -> (String, Vec<String>) {
    let ticket = rig.store.ticket(TicketName::Id(ticket)).await.unwrap();
    (ticket.status, ticket.tags)
}

async fn tend(rig: &Rig) {
    for _ in 0..2 {
        rig.engine.tend_silent().await.unwrap();
    }
}

async fn warned_once_and_then_solved(rig: Rig, service: Telegram) {
    closing(&rig);
    let ann = written(&rig, &service, ANN, "it does not start").await;
    let bob = written(&rig, &service, BOB, "it does not stop").await;
    pending(&rig, ann, 1).await;
    pending(&rig, bob, 2).await;
    pass(DAY * 4);
    tend(&rig).await;
    assert_eq!(rig.outbox().await.len(), 2, "too early");
    pass(DAY + DAY / 2);
    tend(&rig).await;
    rig.wait_deliveries(4, DeliveryStatus::Sent).await;
    let mut warned = service.texts().split_off(2);
    warned.sort();
    assert_eq!(warned, ["Ticket 1 ends soon.", "Ticket 2 ends soon."]);
    // A word stops it.
    let before = rig.messages().await.len();
    service.writes(BOB, &serde_json::json!({ "text": "still here" }));
    rig.wait_messages(before + 1).await;
    pass(DAY * 3);
    tend(&rig).await;
    let (status, tags) = stands(&rig, ann).await;
    assert_eq!((status.as_str(), tags), ("solved", vec!["auto_closed".to_owned()]));
    assert_eq!(stands(&rig, bob).await.0, "open");
    assert_eq!(rig.outbox().await.len(), 4, "nothing more is said");
    // The next silence is warned of anew.
    pending(&rig, bob, 5).await;
    pass(DAY * 6);
    tend(&rig).await;
    rig.wait_deliveries(6, DeliveryStatus::Sent).await;
    assert_eq!(stands(&rig, bob).await.0, "pending");
    rig.engine.stop().await;
}

#[tokio::test]
async fn who_says_nothing_is_warned_once_and_then_solved_on_sqlite() {
    let (rig, service) = super::start().await;
    warned_once_and_then_solved(rig, service).await;
}

#[tokio::test]
async fn who_says_nothing_is_warned_once_and_then_solved_on_postgres() {
    let database = Database::fresh();
    let service = Telegram::start();
    let rig = Rig::start_at(database.url(), &[("tg", &service.settings())]).await;
    warned_once_and_then_solved(rig, service).await;
}
