//! What services push over HTTP: check, store, then answer. And what is handed over by hand.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use metrics::counter;
use tokio::sync::watch;

use super::supervisor::describe;
use super::{Engine, failpoint};
use crate::channel::{Intake, ReceivedAt};
use crate::model::{Cause, ChannelName, Raw};
use crate::store::{Appended, StoreError};

impl Engine {
    /// One request from the shared HTTP server to `/hooks/<channel>/…`.
    ///
    /// A channel that is not there, or takes no hooks, is 404 without a word.
    pub async fn take_hook(
        &self,
        channel: &ChannelName,
        mut request: http::Request<Bytes>,
    ) -> http::Response<Bytes> {
        let Some(hook) = self.running(channel).and_then(|running| running.channel.hook.clone())
        else {
            return status(http::StatusCode::NOT_FOUND);
        };
        request.extensions_mut().insert(ReceivedAt(self.clock.now()));
        let received = match hook.receive(&request) {
            Ok(received) => received,
            Err(refused) => {
                counter!("tributary_hooks_refused_total",
                    "channel" => channel.to_string(), "why" => refused.why)
                .increment(1);
                return status(refused.status);
            }
        };
        match self.take_raws(channel, received.raws).await {
            Ok(_) => {
                failpoint::hit("hook.appended");
                received.answer
            }
            // Nothing is wrong: whoever pushed it does so again.
            Err(StoreError::Stopping) => status(http::StatusCode::SERVICE_UNAVAILABLE),
            Err(error) => {
                tracing::error!(%channel, error = describe(&error), "a hook's message was not stored");
                status(http::StatusCode::SERVICE_UNAVAILABLE)
            }
        }
    }

    /// Stores raws that did not come by a pull: hooks, listeners, `tributary ingest`.
    pub async fn take_raws(
        &self,
        channel: &ChannelName,
        raws: Vec<Raw>,
    ) -> Result<Appended, StoreError> {
        if self.stop.is_cancelled() {
            return Err(StoreError::Stopping);
        }
        let received = raws.len();
        let appended = self.store.append_pushed(channel, raws, self.clock.now()).await?;
        let label = channel.to_string();
        counter!("tributary_received_total", "channel" => label.clone()).increment(received as u64);
        counter!("tributary_duplicates_total", "channel" => label)
            .increment((received - appended.new) as u64);
        self.journal.notify_one();
        Ok(appended)
    }
}

/// Where a listening adapter hands its raws to.
pub(super) struct EngineIntake {
    pub(super) engine: Arc<Engine>,
    pub(super) channel: ChannelName,
    pub(super) paused: watch::Receiver<bool>,
}

#[async_trait]
impl Intake for EngineIntake {
    async fn take(&self, raws: Vec<Raw>) -> Result<(), Cause> {
        if *self.paused.borrow() {
            return Err("the channel is paused".into());
        }
        self.engine.take_raws(&self.channel, raws).await?;
        failpoint::hit("listen.appended");
        Ok(())
    }
}

fn status(status: http::StatusCode) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}
