//! Call-backs: what the time does to them, and what customers are told about them.

use std::sync::Arc;

use super::{Engine, ReplyError, ReplyRequest, failpoint};
use crate::desk::CallbackPolicy;
use crate::model::Actor;
use crate::store::{CallNotice, StoreError};

impl Engine {
    /// What the admin decided about call-backs.
    #[must_use]
    pub fn callback_policy(&self) -> Arc<CallbackPolicy> {
        self.settings.callbacks.clone()
    }

    /// Looks once at all open call-backs. Any node may; what is written to a customer is written once.
    pub(super) async fn tend_callbacks(&self) -> Result<(), StoreError> {
        let (policy, now) = (&self.settings.callbacks, self.clock.now());
        self.store.tend_callbacks(policy, now).await?;
        for notice in self.store.call_notices(policy, now).await? {
            self.tell_of_call(&notice).await?;
            failpoint::hit("callback.told");
            self.store.call_noticed(&notice).await?;
        }
        Ok(())
    }

    /// By the channel on which they last wrote. Who cannot be written to (a caller) is just called.
    async fn tell_of_call(&self, notice: &CallNotice) -> Result<(), StoreError> {
        if notice.text.is_empty() {
            return Ok(());
        }
        let request = ReplyRequest::words(
            notice.message,
            notice.ticket,
            notice.text.clone(),
            Actor::system(),
        );
        match self.reply(request).await {
            Ok(_) => Ok(()),
            Err(ReplyError::Store(error @ (StoreError::Database(_) | StoreError::Conflict))) => {
                Err(error)
            }
            Err(error) => {
                tracing::info!(callback.id = %notice.callback, error = %error,
                    "a customer cannot be told about a call-back");
                Ok(())
            }
        }
    }
}
