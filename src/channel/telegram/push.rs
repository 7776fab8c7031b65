//! What the service pushes, and the watch over it: the address and the secret are told to the service, and the
//! service is asked how it fares with them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::ALLOWED_UPDATES;
use super::bot::{Answered, Bot, asked};
use super::poll::{QUESTION_MAX, raw};
use crate::channel::shared::look;
use crate::channel::shared::sign::{Signer, constant_time_eq, hex};
use crate::channel::{Hook, Pull, PullError, PullSession, Received, Refused};
use crate::model::{Batch, ChannelName, Cursor, Secret};

const SECRET: HeaderName = HeaderName::from_static("x-telegram-bot-api-secret-token");
/// How often the service is asked how it fares.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Chats that are pushed at once.
const CONNECTIONS: u64 = 40;

/// Secrets that only this installation can make, the current one first.
pub(super) fn secrets(signer: &Signer, channel: &ChannelName) -> Vec<Secret> {
    let keys = signer.derive(&format!("telegram webhook {channel}"));
    keys.iter().map(|key| Secret::new(hex(key))).collect()
}

/// How the service proves that it is itself: by a secret, and by nothing else.
pub(super) struct Door {
    pub(super) secrets: Vec<Secret>,
}

impl Hook for Door {
    fn receive(&self, request: &Request<Bytes>) -> Result<Received, Refused> {
        if request.method() != Method::POST {
            return Err(Refused { status: StatusCode::METHOD_NOT_ALLOWED, why: "method" });
        }
        if !self.admits(request) {
            return Err(Refused { status: StatusCode::UNAUTHORIZED, why: "secret" });
        }
        let (raw, _, pressed) = raw(request.body());
        Ok(Received { raws: vec![raw], answer: answer(pressed) })
    }
}

impl Door {
    fn admits(&self, request: &Request<Bytes>) -> bool {
        let mut given = request.headers().get_all(SECRET).iter();
        let (Some(given), None) = (given.next(), given.next()) else { return false };
        let given = Sha256::digest(given.as_bytes());
        // All of them are compared, whichever fits.
        self.secrets.iter().fold(false, |known, secret| {
            known | constant_time_eq(&Sha256::digest(secret.reveal().as_bytes()), &given)
        })
    }
}

/// The answer may hold one call: it stops the spinner of a button, of which nobody needs to hear the outcome.
fn answer(pressed: Option<String>) -> Response<Bytes> {
    let Some(id) = pressed else { return Response::new(Bytes::new()) };
    let call = json!({ "method": "answerCallbackQuery", "callback_query_id": id });
    let mut answer = Response::new(Bytes::from(call.to_string()));
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

/// Tells the service where to push to, and looks now and then whether it does.
pub(super) struct Watch {
    pub(super) bot: Arc<Bot>,
    pub(super) url: String,
    pub(super) secret: Option<Secret>,
}

#[async_trait]
impl Pull for Watch {
    async fn connect(&self, _: Option<Cursor>) -> Result<Box<dyn PullSession>, PullError> {
        let mut arguments = json!({
            "url": self.url, "allowed_updates": ALLOWED_UPDATES, "max_connections": CONNECTIONS,
            "drop_pending_updates": false,
        });
        if let (Some(secret), Some(fields)) = (&self.secret, arguments.as_object_mut()) {
            fields.insert("secret_token".to_owned(), json!(secret.reveal()));
        }
        // Whatever stands there: the secret may be another one, and it is not told.
        self.bot.call("setWebhook", &arguments, QUESTION_MAX).await.map_err(asked)?;
        let (bot, url) = (self.bot.clone(), self.url.clone());
        Ok(Box::new(Watching { bot, url, pending: None, trouble: None, begun: false }))
    }
}

struct Watching {
    bot: Arc<Bot>,
    url: String,
    pending: Option<u64>,
    trouble: Option<String>,
    begun: bool,
}

#[async_trait]
impl PullSession for Watching {
    async fn next(&mut self) -> Result<Batch, PullError> {
        if std::mem::replace(&mut self.begun, true) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let info = self.bot.call("getWebhookInfo", &json!({}), QUESTION_MAX).await;
        self.look(&info.map_err(asked)?)?;
        Ok(Batch::default())
    }

    fn backlog(&self) -> Option<u64> {
        self.pending
    }

    fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }
}

impl Watching {
    fn look(&mut self, info: &Answered) -> Result<(), PullError> {
        let info: &Value = info.result();
        if look::text(info, "/url") != Some(&*self.url) {
            // The next session sets it again.
            let cause = "somebody else took the bot's messages away from us (setWebhook)";
            return Err(PullError::Retry { cause: cause.into(), after: None });
        }
        let pending =
            look::word(info, "/pending_update_count").and_then(|count| count.parse().ok());
        let words = look::text(info, "/last_error_message").unwrap_or_default();
        let words: String = words.chars().filter(|c| !c.is_control()).take(300).collect();
        let waits = pending.is_some_and(|count: u64| count > 0);
        self.trouble =
            (waits && !words.is_empty()).then(|| format!("Telegram cannot push to us: {words}"));
        self.pending = pending;
        Ok(())
    }
}
