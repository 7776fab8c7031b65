//! Fetches files that messages only named, a few at a time, on every node.
//!
//! The message is there long before its file: a file that is slow, huge or gone holds nobody up.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;

use super::supervisor::{chain, describe};
use super::{Engine, failpoint};
use crate::channel::DownloadError;
use crate::model::Timestamp;
use crate::store::{Afterwards, DueMedia, StoreError};

/// The poll is the truth; files are not in a hurry.
const POLL: Duration = Duration::from_secs(2);
/// Files under way at once.
const AT_ONCE: u64 = 4;
const DELAY_MIN: Duration = Duration::from_secs(5);
const DELAY_MAX: Duration = Duration::from_secs(3600);
/// About a day of attempts.
const TRIES_MAX: u32 = 30;

impl Engine {
    pub(super) async fn run_media(self: Arc<Self>) {
        loop {
            let wait = match self.fetch_some().await {
                Ok(0) => POLL,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(
                        error = describe(&error),
                        "files that are to be fetched wait for the store"
                    );
                    POLL
                }
            };
            if self.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// Fetches what is due now. Returns how many files that were.
    pub async fn fetch_some(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.forget_some(now).await?;
        // Looked at without writing first: almost always there is nothing.
        if !self.store.has_due_media(now).await? {
            return Ok(0);
        }
        let due = self.store.take_due_media(AT_ONCE, now).await?;
        let fetched = futures::future::join_all(due.iter().map(|media| self.fetch(media))).await;
        fetched.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(due.len())
    }

    /// Takes files away at their services, as far as we have them.
    async fn forget_some(&self, now: Timestamp) -> Result<(), StoreError> {
        for media in self.store.take_due_forgets(AT_ONCE, now).await? {
            let download =
                self.running(&media.channel).and_then(|running| running.channel.download.clone());
            let Some(download) = download else { continue };
            let forgotten = download.forget(&media.source).await;
            failpoint::hit("media.forgotten");
            match forgotten {
                Ok(()) => self.store.end_forget(media.id).await?,
                Err(DownloadError::Retry { after, .. }) if media.attempt < TRIES_MAX => {
                    let wait = backoff(media.attempt).max(after.unwrap_or_default());
                    self.store.postpone_forget(media.id, now + wait).await?;
                }
                Err(DownloadError::Retry { cause, .. } | DownloadError::Never(cause)) => {
                    let channel = &media.channel;
                    tracing::error!(%channel, attachment.id = %media.id, error = chain(&cause),
                        "a file could not be deleted at the service of {channel}: delete it there by hand");
                    self.store.end_forget(media.id).await?;
                }
            }
        }
        Ok(())
    }

    async fn fetch(&self, media: &DueMedia) -> Result<(), StoreError> {
        let download =
            self.running(&media.channel).and_then(|running| running.channel.download.clone());
        let forgets = download.as_ref().is_some_and(|download| download.forgets());
        let afterwards = if forgets { Afterwards::Forget } else { Afterwards::Stay };
        let fetched = match download {
            Some(download) => {
                // Dropping it half-way loses nothing: another attempt follows.
                let fetching = download.download(&media.source);
                match self.stop.run_until_cancelled(fetching).await {
                    Some(fetched) => fetched,
                    None => return Ok(()),
                }
            }
            None => {
                let cause = format!("the channel {} fetches no files", media.channel);
                Err(DownloadError::Retry { cause: cause.into(), after: None })
            }
        };
        failpoint::hit("media.fetched");
        let (now, label) = (self.clock.now(), media.channel.to_string());
        let outcome = match fetched {
            Ok(bytes) => {
                self.store.keep_media(media, (&bytes, afterwards), now).await?;
                "stored"
            }
            Err(DownloadError::Retry { cause, after }) if media.attempt < TRIES_MAX => {
                let wait = backoff(media.attempt).max(after.unwrap_or_default());
                tracing::debug!(
                    channel = label,
                    error = chain(&cause),
                    "a file was not fetched and is asked for again"
                );
                self.store.postpone_media(media.id, now + wait).await?;
                "retry"
            }
            Err(DownloadError::Retry { cause, .. } | DownloadError::Never(cause)) => {
                self.store.give_up_media(media.id, &chain(&cause), now).await?;
                "failed"
            }
        };
        counter!("tributary_media_total", "channel" => label, "outcome" => outcome).increment(1);
        Ok(())
    }
}

/// Doubles, spread by chance.
fn backoff(attempt: u32) -> Duration {
    let full = DELAY_MIN.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
    full.min(DELAY_MAX).mul_f64(rand::random_range(0.5..=1.0))
}
