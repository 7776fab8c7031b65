//! Session → journal → committed: the one place where a cursor moves.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::supervisor::{Backoff, Stopped};
use super::{Engine, Part, failpoint};
use crate::channel::{Pull, PullError, PullSession};
use crate::model::{Batch, Cursor};
use crate::store::Fence;

/// A session that says nothing for so long is dead, whatever it believes.
const SILENCE_MAX: Duration = Duration::from_secs(720);
const CONNECT_MAX: Duration = Duration::from_secs(180);

impl Engine {
    /// Pulls until something breaks.
    pub(super) async fn run_pull(
        &self,
        pull: Arc<dyn Pull>,
        fence: &Fence,
        stop: &CancellationToken,
        backoff: &mut Backoff,
    ) -> Stopped {
        match stop.run_until_cancelled(self.pull_forever(pull, fence, backoff)).await {
            Some(Ok(never)) => match never {},
            Some(Err(stopped)) => stopped,
            None => Stopped::Asked,
        }
    }

    async fn pull_forever(
        &self,
        pull: Arc<dyn Pull>,
        fence: &Fence,
        backoff: &mut Backoff,
    ) -> Result<Infallible, Stopped> {
        let channel = &fence.channel;
        let cursor = self.store.cursor(channel).await?;
        let mut session = guarded(async move {
            limited(CONNECT_MAX, "connecting took too long", pull.connect(cursor)).await
        })
        .await?;
        self.health.success(channel, Part::Receive, self.clock.now());
        loop {
            let (back, batch) = guarded(async move {
                let next =
                    limited(SILENCE_MAX, "the service said nothing for too long", session.next());
                let batch = next.await?;
                Ok((session, batch))
            })
            .await?;
            session = back;
            failpoint::hit("pull.fetched");
            self.health.backlog(channel, session.backlog(), self.clock.now());
            let cursor = batch.cursor.clone();
            if self.append(fence, batch).await? > 0 {
                backoff.worked();
            }
            if let Some(cursor) = cursor {
                session = committed(session, cursor).await?;
                failpoint::hit("pull.committed");
            }
            self.health.working(channel, Part::Receive, session.trouble(), self.clock.now());
        }
    }

    /// Returns how many were new.
    async fn append(&self, fence: &Fence, batch: Batch) -> Result<usize, Stopped> {
        if batch.raws.is_empty() && batch.cursor.is_none() {
            return Ok(0);
        }
        let received = batch.raws.len();
        let appended = self.store.append_pulled(fence, batch, self.clock.now()).await?;
        failpoint::hit("pull.appended");
        let channel = fence.channel.to_string();
        counter!("tributary_received_total", "channel" => channel.clone())
            .increment(received as u64);
        counter!("tributary_duplicates_total", "channel" => channel)
            .increment((received - appended.new) as u64);
        self.journal.notify_one();
        Ok(appended.new)
    }
}

async fn committed(
    mut session: Box<dyn PullSession>,
    cursor: Cursor,
) -> Result<Box<dyn PullSession>, Stopped> {
    guarded(async move {
        let committed =
            limited(CONNECT_MAX, "tidying up took too long", session.committed(&cursor));
        committed.await?;
        Ok(session)
    })
    .await
}

async fn limited<T>(
    limit: Duration,
    what: &'static str,
    work: impl Future<Output = Result<T, PullError>>,
) -> Result<T, PullError> {
    match tokio::time::timeout(limit, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(PullError::Retry { cause: what.into(), after: None }),
    }
}

/// Runs an adapter's step in a task of its own: a panic in it (a protocol parser met something new) is one
/// broken connection, not a dead channel. Dropping this ends the task.
async fn guarded<T: Send + 'static>(
    step: impl Future<Output = Result<T, PullError>> + Send + 'static,
) -> Result<T, Stopped> {
    #[expect(
        clippy::disallowed_methods,
        reason = "ends with its caller: the handle aborts on drop"
    )]
    let task = AbortOnDropHandle::new(tokio::spawn(step));
    match task.await {
        Ok(outcome) => Ok(outcome?),
        Err(error) => {
            let cause =
                if error.is_panic() { "the adapter panicked" } else { "the step was ended" };
            Err(Stopped::Retry { cause: cause.to_owned(), after: None })
        }
    }
}
