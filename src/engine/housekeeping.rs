//! What must be done now and then: the heart-beat, adopting a dead node's rows, obeying pauses that were
//! ordered on another node, waking snoozed tickets, noting how the channels are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::silence::Watch;
use super::supervisor::describe;
use super::{Engine, failpoint};
use crate::model::ChannelName;
use crate::store::{ChannelNote, EXPIRED_MAX, StoreError};

const TURN: Duration = Duration::from_secs(5);
/// An hour.
const FORGET_EVERY_TURNS: u64 = 720;
/// A minute.
const ERASE_EVERY_TURNS: u64 = 12;
/// Keys that are wrapped anew in one turn, after the master key was changed.
const REWRAP_MAX: u64 = 500;

/// What one turn leaves to the next.
#[derive(Default)]
struct Memory {
    /// How the channels were when that was last written.
    noted: HashMap<ChannelName, ChannelNote>,
    /// No key is left that an older master key wrapped.
    rewrapped: bool,
    /// There is more whose time is over than was erased at once.
    expiring: bool,
}

impl Engine {
    pub(super) async fn run_housekeeping(self: Arc<Self>) {
        let mut memory = Memory::default();
        let mut watch = Watch::default();
        loop {
            let turned = match self.turn(&mut memory).await {
                Ok(()) => self.keep_watch(&mut watch).await,
                Err(error) => Err(error),
            };
            match turned {
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

    async fn turn(&self, memory: &mut Memory) -> Result<(), StoreError> {
        if self.store.beat().await? > 0 {
            self.journal.notify_one();
        }
        self.obey_pauses().await?;
        for running in self.all_running() {
            self.note(&running.channel.name, &mut memory.noted).await?;
        }
        let now = self.clock.now();
        // Before what is snoozed wakes: it knows why.
        self.store.tend_answers(now).await?;
        self.store.wake_snoozed(now).await?;
        let triage = self.triage();
        if triage.promises() {
            self.store.tend_due(&triage, now).await?;
        }
        self.continue_chats().await?;
        self.tend_callbacks().await?;
        self.tend_advice().await?;
        self.tend_surveys().await?;
        self.tend_silent().await?;
        self.tend_notifications().await?;
        self.tend_agent_answers().await?;
        self.store.end_old_proofs(now).await?;
        let turn = *self.pulse.borrow();
        if turn.is_multiple_of(FORGET_EVERY_TURNS)
            || (memory.expiring && turn.is_multiple_of(ERASE_EVERY_TURNS))
        {
            memory.expiring = self.erase_some().await?;
        }
        if turn.is_multiple_of(FORGET_EVERY_TURNS) {
            self.store.forget_old_keys(now).await?;
            self.store.forget_old_uploads(now).await?;
            self.store.forget_old_originals(now).await?;
            self.store.forget_old_webhooks(now).await?;
            self.store.forget_old_drafts(now).await?;
            self.store.forget_old_proofs(now).await?;
        }
        if !memory.rewrapped {
            memory.rewrapped = self.rewrap_some().await?;
        }
        self.health.report(now);
        Ok(())
    }

    /// Erases what the settings of retention say, a little at a time: it holds up what comes in. `true`: there is more.
    pub async fn erase_some(&self) -> Result<bool, StoreError> {
        let (triage, now) = (self.triage(), self.clock.now());
        let setting = triage.retention();
        if !setting.enabled {
            return Ok(false);
        }
        let tickets = match self.store.erase_expired(setting, now).await {
            // A reply to one of them is on its way at this moment. Raws do not wait for that.
            Err(StoreError::Refused(why)) => {
                tracing::debug!(why, "what is to be erased waits");
                None
            }
            outcome => Some(outcome?),
        };
        if tickets.is_some_and(|tickets| tickets > 0) {
            failpoint::hit("retention.erased");
        }
        let raws = match setting.raws_days {
            0 => 0,
            days => self.store.forget_old_raws(days, now).await?,
        };
        failpoint::hit("retention.forgotten");
        let more = tickets.is_none_or(|tickets| tickets >= EXPIRED_MAX) || raws >= EXPIRED_MAX;
        let tickets = tickets.unwrap_or(0);
        if tickets + raws > 0 {
            tracing::info!(
                tickets,
                raws,
                "{tickets} tickets and {raws} raws were erased: their time is over"
            );
        }
        Ok(more)
    }

    /// `true`: nothing is left to do.
    async fn rewrap_some(&self) -> Result<bool, StoreError> {
        let count = self.store.rewrap_keys(REWRAP_MAX).await?;
        if count > 0 {
            tracing::info!(count, "{count} keys are wrapped by the current master key now");
        }
        Ok(count < REWRAP_MAX)
    }

    /// Writes how a channel is when that changed, or when its last success is news.
    async fn note(
        &self,
        name: &ChannelName,
        noted: &mut HashMap<ChannelName, ChannelNote>,
    ) -> Result<(), StoreError> {
        let note = self.health.note(name, self.clock.now());
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
