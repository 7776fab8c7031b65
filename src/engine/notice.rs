//! What goes out by itself when the time has come: surveys, and warnings before a ticket ends.

use super::{Engine, ReplyError, ReplyRequest, failpoint};
use crate::desk::{fill, survey};
use crate::model::{Actor, Asked, ChannelName};
use crate::store::StoreError;

impl Engine {
    /// Sends what the daemon itself says. `Some`: why that is not possible.
    pub(super) async fn say_by_itself(
        &self,
        request: ReplyRequest,
    ) -> Result<Option<String>, StoreError> {
        match self.reply(request).await {
            Ok(_) => Ok(None),
            Err(ReplyError::Store(error @ (StoreError::Database(_) | StoreError::Conflict))) => {
                Err(error)
            }
            Err(error) => Ok(Some(error.to_string())),
        }
    }

    /// Asks those whose tickets were solved a while ago. Any node may; each is asked once.
    pub async fn tend_surveys(&self) -> Result<(), StoreError> {
        let (triage, now) = (self.triage(), self.clock.now());
        let setting = triage.surveys();
        if !setting.enabled {
            return Ok(());
        }
        for notice in self.store.surveys_due(setting, now).await? {
            let asks = notice.channel.parse().is_ok_and(|name: ChannelName| {
                let own = self.with_channel(&name, |channel| channel.chat.is_some());
                setting.asks(name.as_str(), own.unwrap_or(false))
            });
            let texts = setting.texts(notice.language.as_deref()).filter(|_| asks);
            let mut state = "skipped";
            if let Some(texts) = texts {
                let text = fill(&texts.question, notice.number, &notice.subject, "");
                let request = ReplyRequest {
                    choices: survey::scores(),
                    link: self.store.link(Asked::Score, notice.ticket),
                    ..ReplyRequest::words(notice.message, notice.ticket, text, Actor::system())
                };
                match self.say_by_itself(request).await? {
                    None => state = "asked",
                    Some(why) => {
                        tracing::debug!(ticket.id = %notice.ticket, why, "nobody can be asked");
                    }
                }
            }
            failpoint::hit("survey.asked");
            self.store.survey_sent(notice.ticket, state, now).await?;
        }
        Ok(())
    }

    /// Tells customers whose secret came late, in an edit or in a file, what to do now. Any node may; each is told
    /// once.
    pub async fn tend_advice(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        while let Some(notice) = self.store.next_advice(now).await? {
            let mut told = false;
            if let Some(text) = notice.text.clone() {
                let request =
                    ReplyRequest::words(notice.message, notice.ticket, text, Actor::system());
                let why = self.say_by_itself(request).await?;
                failpoint::hit("advice.told");
                told = why.is_none();
                if let Some(why) = why {
                    tracing::debug!(ticket.id = %notice.ticket, why, "nobody can be warned");
                }
            }
            self.store.advised(&notice, told, now).await?;
        }
        Ok(())
    }

    /// Warns customers who say nothing, and ends the tickets of those who were warned. Any node may; each is
    /// warned once.
    pub async fn tend_silent(&self) -> Result<(), StoreError> {
        let (triage, now) = (self.triage(), self.clock.now());
        let setting = triage.closing();
        if !setting.enabled {
            return Ok(());
        }
        self.store.close_silent(setting, now).await?;
        for notice in self.store.close_warnings(setting, now).await? {
            let text = setting.text(notice.language.as_deref()).unwrap_or_default();
            let text = fill(text, notice.number, &notice.subject, "");
            let request = ReplyRequest::words(notice.message, notice.ticket, text, Actor::system());
            match self.say_by_itself(request).await? {
                None => {
                    failpoint::hit("close.warned");
                    // Not earlier than what was queued: that is no word of ours after the warning.
                    self.store.close_warned(notice.ticket, self.clock.now()).await?;
                }
                Some(why) => self.store.close_unwarned(notice.ticket, why, now).await?,
            }
        }
        Ok(())
    }
}
