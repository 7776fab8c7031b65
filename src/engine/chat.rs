//! Answers in a web chat that nobody reads go out by mail as well.

use super::Engine;
use crate::channel::chat::Continuity;
use crate::desk;
use crate::model::ChannelName;
use crate::store::{StoreError, UnreadMail};

impl Engine {
    /// Looks once at every chat whose settings want it. Any node may; each mail is queued once.
    pub(super) async fn continue_chats(&self) -> Result<(), StoreError> {
        for running in self.all_running() {
            let rules = running.channel.chat.as_ref().map(|chat| chat.rules());
            if let Some(continuity) = rules.and_then(|rules| rules.continuity.as_ref()) {
                self.continue_chat(&running.channel.name, continuity).await?;
            }
        }
        Ok(())
    }

    async fn continue_chat(
        &self,
        chat: &ChannelName,
        continuity: &Continuity,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let unread = self.store.unread_chats(chat, now - continuity.after).await?;
        if unread.is_empty() {
            return Ok(());
        }
        let by = self.running(&continuity.by).filter(|by| by.channel.deliver.is_some());
        let Some(by) = by else {
            tracing::error!(channel = %chat,
                "answers of {chat} should go out by mail, but {} is no channel that can send: \
                 see continuity.channel", continuity.by);
            return Ok(());
        };
        for one in unread {
            let mail = UnreadMail {
                by: by.channel.name.clone(),
                realm: by.channel.realm.clone(),
                text: desk::continued(&one.texts, one.language.as_deref()),
            };
            if self.store.continue_by_mail(&one, &mail, now).await? {
                by.outbox.notify_one();
            }
        }
        Ok(())
    }
}
