//! Shows customers that somebody is typing, on channels of services that have such a thing.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::time::Instant;

use super::Engine;
use crate::channel::Conversation;
use crate::model::TicketId;
use crate::store::StoreError;

/// A sign holds for some seconds, and each is a call that counts towards the service's limits.
const EVERY: Duration = Duration::from_secs(4);

impl Engine {
    /// Tells the service, unless it was told a moment ago. Nobody waits for it, and it is never tried again.
    pub async fn show_typing(&self, ticket: TicketId) -> Result<(), StoreError> {
        let facts = self.store.reply_facts(ticket).await?;
        let Some((_, channel, routing)) = facts.answers else { return Ok(()) };
        let Some(running) = self.running(&channel) else { return Ok(()) };
        let (Some(deliver), Some(to)) = (running.channel.deliver.clone(), routing.answer_to())
        else {
            return Ok(());
        };
        if *running.paused.borrow()
            || running.stop.is_cancelled()
            || !running.may_show_typing(ticket)
        {
            return Ok(());
        }
        let conversation = Conversation { to, thread: routing.thread };
        running.tasks.spawn(async move {
            // A panic costs a sign, nothing more.
            drop(AssertUnwindSafe(deliver.show_typing(&conversation)).catch_unwind().await);
        });
        Ok(())
    }
}

impl super::Running {
    /// Is it time for another sign in this ticket?
    fn may_show_typing(&self, ticket: TicketId) -> bool {
        let now = Instant::now();
        let mut typing = self.typing.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        typing.retain(|_, shown| now.duration_since(*shown) < EVERY);
        let shown = typing.contains_key(&ticket);
        if !shown {
            typing.insert(ticket, now);
        }
        !shown
    }
}
