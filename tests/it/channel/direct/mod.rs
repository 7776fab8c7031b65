//! Messenger and Instagram: private messages of a page and of an account, through the whole program.

mod inbound;
mod killed;
mod outbound;

use serde_json::Value;
use tributary::model::ChannelName;
use tributary::store::{Answer, NewUpload};
use uuid::Uuid;

use crate::support::graph::pages::{Face, Pages, push};
use crate::support::rig::Rig;

/// A customer.
const ANN: &str = "24002400240024";
/// Another one.
const BOB: &str = "24002400240099";

const FACES: [Face; 2] = [Face::Messenger, Face::Instagram];

/// A program with one page or account, and the service.
async fn start(face: Face, more: &str) -> (Rig, Pages) {
    let service = Pages::start();
    let rig = Rig::start(&[("dm", &settings(&service, face, more))]).await;
    (rig, service)
}

fn settings(service: &Pages, face: Face, more: &str) -> String {
    match face {
        Face::Messenger => service.page("messenger", more),
        Face::Instagram => service.account("instagram", more),
    }
}

fn channel() -> ChannelName {
    "dm".parse().unwrap()
}

/// Pushes it, and expects that it is taken.
async fn take(rig: &Rig, body: &Value) {
    let answer = rig.engine.take_hook(&channel(), push("dm", body)).await;
    assert_eq!(answer.status(), 200, "{body}");
}

/// A customer has written; the ticket.
async fn written(rig: &Rig, face: Face, mid: &str, text: &str) -> Uuid {
    let before = rig.messages().await.len();
    take(rig, &face.text(ANN, mid, text)).await;
    rig.wait_messages(before + 1).await.pop().unwrap().ticket_id
}

/// A file that an agent brought.
pub(super) async fn keep_upload(
    rig: &Rig,
    name: &str,
    media_type: &str,
    bytes: &'static [u8],
) -> Uuid {
    let (name, media_type) = (name.to_owned(), media_type.to_owned());
    let new = NewUpload { name, media_type, bytes: bytes.into() };
    let Answer::Fresh(upload) = rig.store.keep_upload(new, None, rig.now()).await.unwrap() else {
        panic!("without a key it is always fresh")
    };
    upload.id
}
