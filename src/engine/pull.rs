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
use crate::model::{Batch, Cursor, Timestamp};
use crate::store::Fence;

/// A session that says nothing for so long is dead, whatever it believes.
const SILENCE_MAX: Duration = Duration::from_secs(720);
/// A service may be slow to hand over what it counts, but not for so long.
const MISSING_MAX: chrono::Duration = chrono::Duration::minutes(15);
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
        let mut missing = Missing::default();
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
            let new = self.append(fence, batch).await?;
            if new > 0 {
                backoff.worked();
            }
            if let Some(cursor) = cursor {
                session = committed(session, cursor).await?;
                failpoint::hit("pull.committed");
            }
            let now = self.clock.now();
            let trouble = session.trouble().or_else(|| missing.look(session.backlog(), new, now));
            self.health.working(channel, Part::Receive, trouble, now);
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

/// Notices messages that the service counts and does not hand over: nothing fails, and yet they do not come.
#[derive(Default)]
struct Missing {
    /// How many there were when they last became fewer, and when that was.
    least: Option<(u64, Timestamp)>,
}

impl Missing {
    /// What a human should hear of it. `new`: how many messages came just now.
    fn look(&mut self, backlog: Option<u64>, new: usize, now: Timestamp) -> Option<String> {
        let held = backlog.unwrap_or_default();
        let (least, since) = match self.least {
            Some((least, since)) if least > 0 && held >= least && new == 0 => (least, since),
            _ => (held, now),
        };
        self.least = Some((least, since));
        let waited = now - since;
        (held > 0 && waited > MISSING_MAX).then(|| {
            let minutes = waited.num_minutes();
            format!("the service holds {held} messages of which none came in {minutes} minutes")
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// COMPLAINTS L10: the numbers of the server and ours do not match, and somebody is told.
    #[test]
    fn messages_that_are_counted_and_do_not_come_are_told() {
        let start = Timestamp::UNIX_EPOCH;
        let at = |minutes: i64| start + chrono::Duration::minutes(minutes);
        let mut missing = Missing::default();
        assert_eq!(missing.look(Some(3), 0, at(0)), None);
        assert_eq!(missing.look(Some(3), 0, at(14)), None);
        let told = missing.look(Some(4), 0, at(16)).expect("nobody is told");
        assert!(told.contains("holds 4 messages") && told.contains("16 minutes"), "{told}");
        // One came, or there are fewer: it goes on, and the time begins anew.
        assert_eq!(missing.look(Some(4), 1, at(17)), None);
        assert_eq!(missing.look(Some(4), 0, at(31)), None);
        assert_eq!(missing.look(Some(2), 0, at(40)), None);
        assert!(missing.look(Some(2), 0, at(56)).is_some());
        assert_eq!(missing.look(Some(0), 0, at(57)), None);
        assert_eq!(missing.look(Some(1), 0, at(90)), None, "it is new");
        // A service that does not count is no matter for alarm.
        let mut silent = Missing::default();
        assert_eq!(silent.look(None, 0, at(0)), None);
        assert_eq!(silent.look(None, 0, at(99)), None);
    }
}
