//! Outgoing webhooks: beside the lane of an endpoint, what keeps it supplied with events.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::supervisor::describe;
use super::{Engine, Running, failpoint};
use crate::channel::Channel;
use crate::desk::Wanted;
use crate::model::ChannelName;
use crate::store::{Fence, StoreError};

/// The poll is the truth, the notification a hint: another node may have written.
const POLL: Duration = Duration::from_secs(2);

/// An endpoint: the lane that posts, and what it wants to hear of.
pub struct Webhook {
    /// Sends only.
    pub channel: Channel,
    /// Which events.
    pub wanted: Wanted,
}

impl Engine {
    /// Starts endpoints, or takes over changed ones: `changed` are stopped and started anew, `removed` ones
    /// stopped. A new one begins with what happens from now on.
    pub async fn change_webhooks(
        self: &Arc<Self>,
        changed: Vec<Webhook>,
        removed: Vec<ChannelName>,
    ) -> Result<(), StoreError> {
        for webhook in &changed {
            self.store.begin_webhook(&webhook.channel.name, self.clock.now()).await?;
        }
        let names: Vec<ChannelName> = changed
            .iter()
            .map(|webhook| webhook.channel.name.clone())
            .chain(removed.clone())
            .collect();
        self.stop_channels(&names).await;
        self.forget_channels(&removed);
        for webhook in changed {
            self.start_running(webhook.channel, Some(Arc::new(webhook.wanted)));
        }
        Ok(())
    }

    /// Queues events for an endpoint while its lease is held.
    pub(super) async fn announce(
        &self,
        running: &Arc<Running>,
        fence: &Fence,
        stop: &CancellationToken,
    ) {
        let Some(wanted) = running.wanted.clone() else { return stop.cancelled().await };
        let mut changes = self.store.changes();
        loop {
            // Seen before looking, so that nothing that comes meanwhile is overlooked.
            changes.borrow_and_update();
            let wait = match self.announce_some(running, fence, &wanted).await {
                Ok(true) => Duration::ZERO,
                Ok(false) => POLL,
                Err(StoreError::LeaseLost(_)) => return stop.cancel(),
                Err(error) => {
                    tracing::warn!(channel = %fence.channel, error = describe(&error), "events wait for the store");
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = tokio::time::sleep(POLL) => continue,
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
                Ok(()) = changes.changed() => {}
            }
        }
    }

    /// `true`: there may be more at once.
    async fn announce_some(
        &self,
        running: &Running,
        fence: &Fence,
        wanted: &Arc<Wanted>,
    ) -> Result<bool, StoreError> {
        // Looked at without writing first: our own commit would only wake us again.
        if !self.store.webhook_has_news(&fence.channel).await? {
            return Ok(false);
        }
        let queued = self.store.queue_events(fence, wanted.clone(), self.clock.now()).await?;
        failpoint::hit("webhook.queued");
        if queued.rows > 0 {
            running.outbox.notify_one();
        }
        Ok(queued.seen > 0)
    }
}
