//! Call-backs: what the time does to them, and what customers are told about them.

use std::sync::Arc;

use super::{Engine, ReplyRequest, Running, failpoint};
use crate::channel::{AgentLine, NoLine};
use crate::desk::{CallbackPolicy, ReplyPart};
use crate::model::{Actor, Address, Bridge, CallbackId, ChannelName, MessageId, Party, Scheme};
use crate::store::{Answer, By, CallNotice, CallbackView, ReplyPlan, StoreError};

/// An agent who wants to call waits so long for their own telephone to ring; a call that comes later is for nobody.
const AGENT_WAITS: chrono::TimeDelta = chrono::TimeDelta::minutes(3);

/// Why nobody is connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// There is no telephone for it.
    #[error(transparent)]
    Line(#[from] NoLine),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// What the admin decided about call-backs.
    #[must_use]
    pub fn callback_policy(&self) -> Arc<CallbackPolicy> {
        self.settings.callbacks.clone()
    }

    /// An agent takes a call-back and is called; when they press a key, the customer is, and sees our number. Queued
    /// when this returns.
    pub async fn connect_call(
        &self,
        id: CallbackId,
        (via, line): (Option<ChannelName>, AgentLine),
        by: By,
    ) -> Result<Answer<CallbackView>, ConnectError> {
        let row = self.store.callback(id).await?;
        let (running, agent) = self.line(via, &line)?;
        let channel = &running.channel;
        let address = Address { scheme: Scheme::Tel, scope: None, value: row.phone.clone() };
        let text = format!("Calls {} back.", row.phone);
        let part = ReplyPart {
            text: text.clone(),
            html: None,
            attachments: Vec::new(),
            choices: Vec::new(),
        };
        let plan = ReplyPlan {
            message: MessageId::new(),
            ticket: row.ticket_id.into(),
            version: None,
            channel: channel.name.clone(),
            realm: channel.realm.clone(),
            actor: by.actor.clone(),
            text,
            html: None,
            parts: vec![part],
            uploads: Vec::new(),
            to: Party { address, name: None },
            cc: Vec::new(),
            answers: None,
            sent_before: Vec::new(),
            send_at: None,
            held: false,
            unless_answered: false,
            automated: false,
            template: None,
            private: false,
            signature: None,
            bridge: Some(Bridge { agent, until: by.now + AGENT_WAITS }),
            once: None,
        };
        let taken = self.store.bridge_call(id, plan, by).await?;
        failpoint::hit("callback.connected");
        running.outbox.notify_one();
        Ok(taken)
    }

    /// The channel that makes the call, and the agent's telephone on it.
    fn line(
        &self,
        via: Option<ChannelName>,
        line: &AgentLine,
    ) -> Result<(Arc<Running>, String), ConnectError> {
        let mut able = match via {
            Some(name) => vec![self.running(&name).ok_or(NoLine::NoCalls)?],
            None => self.all_running(),
        };
        able.sort_by(|one, other| one.channel.name.cmp(&other.channel.name));
        let mut why = NoLine::NoCalls;
        for running in able {
            let Some(deliver) = running.channel.deliver.clone() else { continue };
            match deliver.agent_line(line) {
                Ok(agent) => return Ok((running, agent)),
                Err(NoLine::NoCalls) => {}
                Err(NoLine::Unknown) => why = NoLine::Unknown,
            }
        }
        Err(why.into())
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
        if let Some(why) = self.say_by_itself(request).await? {
            tracing::info!(callback.id = %notice.callback, error = why,
                "a customer cannot be told about a call-back");
        }
        Ok(())
    }
}
