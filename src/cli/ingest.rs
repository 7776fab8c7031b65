//! `tributary ingest`: one message from a pipe or a file, stored before this ends.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::Failure;
use super::open::Installation;
use crate::engine::{Clock, Engine};
use crate::model::{ChannelName, DedupeKey, Raw, RawId, Transport};
use crate::store::{Access, JournalRow, Store, StoreError};

/// Larger than any mail that a server lets through.
const BYTES_MAX: u64 = 200 * 1024 * 1024;
/// A store that does not answer within this time is as good as none: the sender tries again.
const STORE_MAX: Duration = Duration::from_secs(20);
/// How long to wait for the meaning of what is stored already.
const UNDERSTAND_MAX: Duration = Duration::from_secs(30);

/// Reads the message, stores it, and says which ticket it went to.
pub(super) async fn run(
    config: Option<&Path>,
    channel: &ChannelName,
    file: &Path,
) -> Result<(), Failure> {
    let body = read(file)?;
    // From here on the sender is to keep it whenever something does not work.
    let stored = tokio::time::timeout(STORE_MAX, Box::pin(store_raw(config, channel, body)));
    let stored = stored.await.unwrap_or_else(|_| {
        let seconds = STORE_MAX.as_secs();
        Err(anyhow::anyhow!("the store did not take it within {seconds} seconds").into())
    });
    let (store, engine, id) = stored.map_err(later)?;
    // It is stored: nothing after this may tell the sender to send it again.
    let row = understood(&engine, &store, id).await;
    print(&store, id, row).await;
    if let Err(error) = store.close().await {
        eprintln!("tributary: {error}");
    }
    Ok(())
}

/// A broken configuration is no reason to send a customer's mail back, either: the faults are shown to
/// whoever reads the mail server's log, and the mail waits.
fn later(failure: Failure) -> Failure {
    match failure {
        Failure::Failed(error) => Failure::Temporary(error),
        Failure::Config(faults) => Failure::Temporary(anyhow::anyhow!("{faults}")),
        other @ (Failure::Usage(_) | Failure::Temporary(_) | Failure::Told(_)) => other,
    }
}

/// Durable when it returns.
async fn store_raw(
    config: Option<&Path>,
    channel: &ChannelName,
    body: Vec<u8>,
) -> Result<(Store, Arc<Engine>, RawId), Failure> {
    let installation = Installation::open(config, Access::Beside).await?;
    let channels = installation.channels()?;
    if !channels.iter().any(|known| known.name == *channel) {
        return Err(Failure::Usage(format!("there is no channel {channel} in the configuration")));
    }
    let store = installation.store.clone();
    let engine =
        Engine::idle(store.clone(), channels, installation.engine_settings()?, Clock::system());
    let appended = engine.take_raws(channel, vec![raw("ingest", body, Transport::new())]).await?;
    let id = appended.ids.first().copied();
    Ok((store, engine, id.ok_or_else(|| anyhow::anyhow!("the store took nothing"))?))
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(BYTES_MAX + 1).read_to_end(&mut body)
    } else {
        let opened = std::fs::File::open(file);
        opened.and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut body))
    };
    read.map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    if body.len() as u64 > BYTES_MAX {
        return Err(Failure::Usage(format!("the message is larger than {BYTES_MAX} bytes")));
    }
    if body.is_empty() {
        return Err(Failure::Usage("the message is empty".to_owned()));
    }
    Ok(body)
}

/// The same bytes are the same message, however often they are handed over.
pub(super) fn raw(how: &str, body: Vec<u8>, transport: Transport) -> Raw {
    let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(&body));
    Raw {
        dedupe: DedupeKey::new(format!("{how}:{hash}")),
        body: Bytes::from(body),
        transport,
        received_at: None,
    }
}

/// Interprets it here, or waits for the daemon that took it over meanwhile.
async fn understood(engine: &Engine, store: &Store, id: RawId) -> Result<JournalRow, StoreError> {
    let began = tokio::time::Instant::now();
    loop {
        engine.drain_journal().await?;
        let (row, _) = store.raw(id).await?;
        if row.state != "pending" || began.elapsed() > UNDERSTAND_MAX {
            return Ok(row);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn print(store: &Store, id: RawId, row: Result<JournalRow, StoreError>) {
    let shown = match row {
        Ok(row) => {
            let placed = store.placed(id).await.unwrap_or_default();
            let first = placed.first();
            json!({
                "raw": id,
                "state": row.state,
                "reason": row.reason,
                "ticket": first.map(|placed| placed.ticket),
                "ticket_number": first.map(|placed| placed.number),
                "message": first.map(|placed| placed.message),
            })
        }
        Err(error) => json!({ "raw": id, "state": "pending", "reason": error.to_string() }),
    };
    println!("{shown}");
}
