//! What must be done now and then: the heart-beat, adopting a dead node's rows, obeying pauses that were
//! ordered on another node, waking snoozed tickets, noting how the channels are.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::supervisor::describe;
use crate::model::ChannelName;
use crate::store::{ChannelNote, StoreError};

const TURN: Duration = Duration::from_secs(5);
/// An hour.
const FORGET_EVERY_TURNS: u64 = 720;

impl Engine {
    pub(super) async fn run_housekeeping(self: Arc<Self>) {
        let mut noted: HashMap<ChannelName, ChannelNote> = HashMap::new();
        loop {
            match self.turn(&mut noted).await {
                Ok(()) => self.pulse.send_modify(|turns| *turns += 1),
                Err(error) => {
                    tracing::warn!(error = describe(&error), "housekeeping waits for the store");
                }
            }
            if self.stop.run_until_cancelled(tokio::time::sleep(TURN)).await.is_none() {
                return;
            }
        }
    }

    async fn turn(&self, noted: &mut HashMap<ChannelName, ChannelNote>) -> Result<(), StoreError> {
        if self.store.beat().await? > 0 {
            self.journal.notify_one();
        }
        let paused: HashSet<String> = self.store.paused_channels().await?.into_iter().collect();
        for running in self.all_running() {
            let name = &running.channel.name;
            let wanted = paused.contains(name.as_str());
            running.paused.send_if_modified(|is| std::mem::replace(is, wanted) != wanted);
            self.note(name, noted).await?;
        }
        let now = self.clock.now();
        self.store.wake_snoozed(now).await?;
        if self.pulse.borrow().is_multiple_of(FORGET_EVERY_TURNS) {
            self.store.forget_old_keys(now).await?;
            self.store.forget_old_uploads(now).await?;
            self.store.forget_old_webhooks(now).await?;
        }
        self.health.report(now);
        Ok(())
    }

    /// Writes how a channel is when that changed, or when its last success is news.
    async fn note(
        &self,
        name: &ChannelName,
        noted: &mut HashMap<ChannelName, ChannelNote>,
    ) -> Result<(), StoreError> {
        let note = self.health.note(name);
        // Another node has it: what that one writes is newer.
        if note.state == "waiting_for_lease" || note.state == "off" {
            return Ok(());
        }
        if noted.get(name) != Some(&note) {
            self.store.note_channel(name, note.clone(), self.clock.now()).await?;
            noted.insert(name.clone(), note);
        }
        Ok(())
    }
}
