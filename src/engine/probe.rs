//! Whether a channel works just now: each part connects and signs in, and does nothing else.

use std::time::Duration;

use super::Engine;
use super::supervisor::chain;
use crate::channel::{Channel, DeliverError, PullError};
use crate::model::{Cause, ChannelName, Cursor};
use crate::store::StoreError;

/// Connecting and signing in may take so long: less than any request of the API may.
const LIMIT: Duration = Duration::from_secs(50);

/// What came of trying one part.
#[derive(Debug)]
pub struct Probe {
    /// `receive` or `send`.
    pub part: &'static str,
    /// What is wrong, for a person.
    pub outcome: Result<(), String>,
}

/// Tries the parts of a channel that speak to its service, side by side.
pub async fn probe(channel: &Channel, cursor: Option<Cursor>) -> Vec<Probe> {
    let (receive, send) = tokio::join!(receive(channel, cursor), send(channel));
    let parts = [("receive", receive), ("send", send)].into_iter();
    parts.filter_map(|(part, outcome)| Some(Probe { part, outcome: outcome? })).collect()
}

impl Engine {
    /// Tries a channel as it runs. `None`: there is no such channel.
    pub async fn probe_channel(
        &self,
        name: &ChannelName,
    ) -> Result<Option<Vec<Probe>>, StoreError> {
        let Some(running) = self.running(name) else { return Ok(None) };
        let cursor = self.store.cursor(name).await?;
        Ok(Some(probe(&running.channel, cursor).await))
    }
}

async fn limited(work: impl Future<Output = Result<(), String>> + Send) -> Result<(), String> {
    let late = || Err(format!("no answer within {} seconds", LIMIT.as_secs()));
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| late())
}

async fn receive(channel: &Channel, cursor: Option<Cursor>) -> Option<Result<(), String>> {
    let pull = channel.pull.as_ref()?;
    let tried = limited(async {
        match pull.connect(cursor).await {
            Ok(_) => Ok(()),
            Err(PullError::Account(cause)) => Err(needs_you(&cause)),
            Err(PullError::Retry { cause, .. }) => Err(chain(&cause)),
        }
    });
    Some(tried.await)
}

async fn send(channel: &Channel) -> Option<Result<(), String>> {
    let deliver = channel.deliver.as_ref()?;
    let tried = limited(async {
        match deliver.probe().await {
            Ok(()) => Ok(()),
            Err(DeliverError::Account(cause)) => Err(needs_you(&cause)),
            Err(
                DeliverError::Rejected(cause)
                | DeliverError::Unreachable { cause, .. }
                | DeliverError::Offline(cause)
                | DeliverError::Unknown(cause)
                | DeliverError::Retry { cause, .. },
            ) => Err(chain(&cause)),
        }
    });
    Some(tried.await)
}

fn needs_you(cause: &Cause) -> String {
    format!("the service wants something else than it was given: {}", chain(cause))
}
