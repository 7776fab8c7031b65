//! Telling people who work here of what happens, and what they answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::supervisor::describe;
use super::{Engine, ReplyError, ReplyRequest, failpoint};
use crate::desk::notify::NotifySettings;
use crate::model::ChannelName;
use crate::store::{AgentAnswer, AnswerKind, StoreError, Ways};

impl Engine {
    /// Queues what people are to be told. Any node may; each is told once.
    pub async fn tend_notifications(&self) -> Result<(), StoreError> {
        let settings = self.settings.notifications.clone();
        if !settings.is_on() {
            return Ok(());
        }
        let ways = Arc::new(self.ways(&settings));
        let mut changed: BTreeSet<ChannelName> = BTreeSet::new();
        loop {
            let now = self.clock.now();
            let notified = self.store.notify(settings.clone(), ways.clone(), now).await?;
            failpoint::hit("notify.queued");
            changed.extend(notified.channels);
            if !notified.more {
                break;
            }
        }
        let flushed = self.store.flush_digests(settings, ways, self.clock.now()).await?;
        for channel in changed.into_iter().chain(flushed) {
            self.wake_outbox(&channel);
        }
        Ok(())
    }

    /// The channels by which people may be told, as far as they run.
    fn ways(&self, settings: &NotifySettings) -> Ways {
        let running = settings.channels().into_iter().filter_map(|name| {
            let running = self.running(&name)?;
            running.channel.deliver.as_ref()?;
            Some((name, running.channel.realm.clone()))
        });
        running.collect()
    }

    /// Makes replies and notes of what agents answered by mail. Any node may; each becomes one message.
    pub async fn tend_agent_answers(&self) -> Result<(), StoreError> {
        for answer in self.store.agent_answers().await? {
            let ticket = answer.ticket;
            let done = match answer.kind {
                AnswerKind::Reply => self.send_answer(answer).await,
                AnswerKind::Note | AnswerKind::Unproven => {
                    let text = answer.text.clone();
                    self.store.note_answer(&answer, text, self.clock.now()).await
                }
            };
            // It holds up no other, nor what else is tended: the next turn tries it again.
            if let Err(error) = done {
                tracing::warn!(
                    ticket.id = %ticket, error = describe(&error),
                    "an answer to a notification waits for the store"
                );
            }
        }
        Ok(())
    }

    /// Sends it to the customer; where that is not possible it stays here, with the reason.
    async fn send_answer(&self, answer: AgentAnswer) -> Result<(), StoreError> {
        let actor = answer.actor.clone();
        let request =
            ReplyRequest::words(answer.message, answer.ticket, answer.text.clone(), actor);
        let why = match self.reply(request).await {
            Ok(_) => {
                failpoint::hit("agent.replied");
                return self.store.forget_answer(answer.message).await;
            }
            Err(ReplyError::Store(error @ (StoreError::Database(_) | StoreError::Conflict))) => {
                return Err(error);
            }
            Err(error) => error.to_string(),
        };
        let text = format!("[not sent: {why}]\n\n{}", answer.text);
        self.store.note_answer(&answer, text, self.clock.now()).await
    }
}
