//! Any bytes, in pieces of any size, as a conversation: no panic, no loop, and 250 for no more mails than
//! were stored.

#![no_main]

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tributary::channel::email::lmtp::{Lmtp, Patience, Recipients};
use tributary::channel::{Intake, Listen};
use tributary::model::{Cause, Raw};

const LIMIT: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Store(Mutex<usize>);

#[async_trait]
impl Intake for Store {
    async fn take(&self, raws: Vec<Raw>) -> Result<(), Cause> {
        for raw in &raws {
            let recipients = raw.transport.get("rcpt_to").map_or(0, |to| to.split(' ').count());
            *self.0.lock().map_err(|_| "poisoned")? += recipients;
        }
        Ok(())
    }
}

fuzz_target!(|input: (Vec<u8>, &[u8])| {
    let (cuts, bytes) = input;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let (stored, output) = runtime.expect("a runtime").block_on(talk(&cuts, bytes));
    let promised = output.windows(16).filter(|window| *window == b"250 2.0.0 Stored").count();
    assert!(promised <= stored, "{promised} promised, {stored} stored");
});

async fn talk(cuts: &[u8], bytes: &[u8]) -> (usize, Vec<u8>) {
    let lmtp = Lmtp {
        listen: String::new(),
        host: "desk.test".to_owned(),
        recipients: Recipients::Any,
        size_max: 4096,
        patience: Patience { command: LIMIT, piece: LIMIT, mail: LIMIT },
        verifier: None,
    };
    let store = Store::default();
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let (mut from, mut to) = tokio::io::split(ours);
    let write = async {
        let mut rest = bytes;
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let size = cuts.next().map_or(rest.len(), |cut| usize::from(*cut).max(1));
            let (piece, tail) = rest.split_at(size.min(rest.len()));
            if to.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
            rest = tail;
        }
        to.shutdown().await.ok();
    };
    let read = async {
        let mut output = Vec::new();
        from.read_to_end(&mut output).await.ok();
        output
    };
    let (_, output, _) = tokio::join!(write, read, lmtp.serve(Box::new(theirs), &store));
    let stored = *store.0.lock().expect("not poisoned");
    (stored, output)
}
