//! A server of somebody's choice that takes what we post to it, signed by Standard Webhooks.
//!
//! The receiver knows a second post of the same thing by its id, so nothing is lost by posting again.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use url::Url;

use super::http::{Answer, Call, Http, HttpError, delivered};
use super::webhook::{self, WebhookKeys};
use crate::channel::DeliverError;
use crate::model::Cause;

/// No answer of a receiver needs to be larger.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Where to post, and how to sign.
pub struct Endpoint {
    /// The client that may call the address.
    pub http: Http,
    /// The address.
    pub url: Url,
    /// Sign.
    pub keys: WebhookKeys,
    /// How long one attempt may take.
    pub time_max: Duration,
}

impl Endpoint {
    /// One attempt. `id` is the same at every attempt; 2xx means that they have it, whatever else they say.
    pub async fn post(&self, id: &str, body: Bytes) -> Result<Answer, DeliverError> {
        let call = self.call(id, body).map_err(DeliverError::Rejected)?;
        let sent = self.http.send(call).await;
        // The address is wrong, not what was posted: what waits behind it would fail as well.
        if let Ok(answer) = &sent
            && matches!(answer.status.as_u16(), 404 | 405 | 410)
        {
            let (host, status) = (answer.host(), answer.status.as_u16());
            let cause = format!("{host} answered {status}: nothing takes posts at this address");
            return Err(DeliverError::Account(cause.into()));
        }
        delivered(sent)
    }

    /// Any answer will do: the address is for posting, and nothing is to be posted.
    pub async fn probe(&self) -> Result<(), DeliverError> {
        match self.http.send(Call::get(self.url.clone()).verb(Method::HEAD)).await {
            Ok(_) => Ok(()),
            Err(error @ HttpError::Refused { .. }) => Err(DeliverError::Account(error.into())),
            Err(error) => Err(DeliverError::Offline(error.into())),
        }
    }

    fn call(&self, id: &str, body: Bytes) -> Result<Call, Cause> {
        let seconds = webhook::now()?;
        let signature = self.keys.sign(id, seconds, &body);
        Ok(Call::post(self.url.clone(), body, "application/json")
            .header(webhook::ID, HeaderValue::from_str(id)?)
            .header(webhook::TIMESTAMP, HeaderValue::from(seconds))
            .header(webhook::SIGNATURE, HeaderValue::from_str(&signature)?)
            .time_max(self.time_max)
            .answer_bytes_max(ANSWER_BYTES_MAX))
    }
}
