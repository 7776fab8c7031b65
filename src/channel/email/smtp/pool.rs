//! Connections: never more than allowed, and none is used again before it proved that it is in step.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::login::Session;

/// A connection that was not used for so long is not used again: servers and firewalls forget.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// An old connection that does not answer at once is not worth waiting for.
const PROBE_MAX: Duration = Duration::from_secs(10);

/// The connections of one channel.
pub(super) struct Pool {
    places: Semaphore,
    parked: Mutex<Vec<(Session, Instant)>>,
    probe_limit: Duration,
}

impl Pool {
    /// `limit`: for each wait.
    pub(super) fn new(connections_max: u16, limit: Duration) -> Self {
        Self {
            places: Semaphore::new(usize::from(connections_max)),
            parked: Mutex::default(),
            probe_limit: limit.min(PROBE_MAX),
        }
    }

    /// The right to hold one connection; `None`: all are busy, and remained so.
    pub(super) async fn place(&self, limit: Duration) -> Option<SemaphorePermit<'_>> {
        tokio::time::timeout(limit, self.places.acquire()).await.ok()?.ok()
    }

    /// A parked connection that still answers as it should.
    pub(super) async fn take(&self) -> Option<Session> {
        while let Some((mut session, since)) = self.pop() {
            // What came in unasked is either the end or an answer that belongs to nothing.
            if since.elapsed() > IDLE_MAX || session.wire.has_news().await {
                continue;
            }
            let reply = session.wire.command_within("RSET", "RSET", self.probe_limit).await;
            if reply.is_ok_and(|reply| reply.is_success()) {
                return Some(session);
            }
        }
        None
    }

    /// Keeps a connection for the next mail. Call it while holding the place.
    pub(super) fn park(&self, session: Session) {
        if let Ok(mut parked) = self.parked.lock() {
            parked.push((session, Instant::now()));
        }
    }

    fn pop(&self) -> Option<(Session, Instant)> {
        self.parked.lock().ok()?.pop()
    }
}
