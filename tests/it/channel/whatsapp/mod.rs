//! WhatsApp: the Cloud API's customers and ours, through the whole program.

mod inbound;
mod outbound;
mod killed;

use serde_json::Value;
use tributary::model::{Actor, ActorKind, ChannelName, DeliveryId};
use tributary::store::{Answer, NewUpload};
use uuid::Uuid;

use crate::support::graph::whatsapp::{WhatsApp, push, texts};
use crate::support::rig::Rig;

/// A customer.
const ANN: &str = "4915112345678";
/// Another one.
const BOB: &str = "4915187654321";

/// A program with one number, and the service.
async fn start() -> (Rig, WhatsApp) {
    let service = WhatsApp::start();
    let rig = Rig::start(&[("wa", &service.settings())]).await;
    (rig, service)
}

fn channel() -> ChannelName {
    "wa".parse().unwrap()
}

/// Pushes it, and expects that it is taken.
async fn take(rig: &Rig, body: &Value) {
    let answer = rig.engine.take_hook(&channel(), push(body)).await;
    assert_eq!(answer.status(), 200, "{body}");
}

/// A customer has written; the ticket.
async fn written(rig: &Rig, number: &str, id: &str, text: &str) -> Uuid {
    let before = rig.messages().await.len();
    take(rig, &texts(&[(number, id, text)])).await;
    rig.wait_messages(before + 1).await.pop().unwrap().ticket_id
}

/// A file that an agent brought.
async fn keep_upload(rig: &Rig, name: &str, media_type: &str, bytes: &'static [u8]) -> Uuid {
    let (name, media_type) = (name.to_owned(), media_type.to_owned());
    let new = NewUpload { name, media_type, bytes: bytes.into() };
    let Answer::Fresh(upload) = rig.store.keep_upload(new, None, rig.now()).await.unwrap() else {
        panic!("without a key it is always fresh")
    };
    upload.id
}

/// A person tries it again.
async fn retry(rig: &Rig, delivery: DeliveryId) {
    let actor = Actor { kind: ActorKind::Agent, id: None, name: "Ben".to_owned() };
    rig.store.retry_delivery(delivery, actor, rig.now()).await.unwrap();
}
