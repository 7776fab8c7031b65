//! Asks for updates. What was fetched is confirmed by the next question, which comes after the commit: the number
//! of the first update that is not yet stored is the cursor.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::join_all;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::ALLOWED_UPDATES;
use super::bot::{Bot, asked};
use crate::channel::shared::sign::hex;
use crate::channel::shared::{json, look};
use crate::channel::{Pull, PullError, PullSession};
use crate::model::{Batch, Cursor, DedupeKey, Raw, Transport};

/// How long the service waits for something to tell, in seconds: it allows no longer.
const WAIT_SECONDS: u64 = 50;
/// The same, with time for the answer to come.
const WAIT_MAX: Duration = Duration::from_secs(WAIT_SECONDS + 15);
pub(super) const QUESTION_MAX: Duration = Duration::from_secs(30);
/// Spinners are stopped while the next question waits.
const SPINNER_MAX: Duration = Duration::from_secs(10);
/// The service allows no more.
const UPDATES_MAX: u64 = 100;

/// One bot's updates.
pub(super) struct Poll {
    pub(super) bot: Arc<Bot>,
    /// Our own address, from a time when messages were pushed.
    pub(super) own_hook: String,
}

#[async_trait]
impl Pull for Poll {
    async fn connect(&self, cursor: Option<Cursor>) -> Result<Box<dyn PullSession>, PullError> {
        let bot = &self.bot;
        let info = bot.call("getWebhookInfo", &json!({}), QUESTION_MAX).await.map_err(asked)?;
        let pending = look::word(info.result(), "/pending_update_count");
        // Whoever gives us the bot's token for the first time wants us to have its messages, whatever program had
        // them before. A webhook that appears later is somebody else's doing, and a person's to judge.
        let hook = look::text(info.result(), "/url").unwrap_or_default();
        if hook == self.own_hook || (cursor.is_none() && !hook.is_empty()) {
            let keep = json!({ "drop_pending_updates": false });
            bot.call("deleteWebhook", &keep, QUESTION_MAX).await.map_err(asked)?;
        }
        // A cursor that is no number is none of ours: the service knows what it has not given us.
        let offset = cursor.and_then(|cursor| cursor.as_str().parse().ok());
        Ok(Box::new(Session {
            bot: bot.clone(),
            offset,
            pending: pending.and_then(|count| count.parse().ok()),
            hungry: 0,
            stuck: false,
            pressed: Vec::new(),
        }))
    }
}

struct Session {
    bot: Arc<Bot>,
    /// The first update that is not stored.
    offset: Option<i64>,
    /// Updates that the service holds.
    pending: Option<u64>,
    /// How many times nothing came although the service holds something.
    hungry: u8,
    /// What came had no number, so that it cannot be confirmed.
    stuck: bool,
    /// Buttons of the last batch whose spinners turn.
    pressed: Vec<String>,
}

/// Elements as they came: none of them can spoil its neighbours.
#[derive(Deserialize)]
struct Updates<'b> {
    #[serde(borrow)]
    result: Vec<&'b RawValue>,
}

/// An update of which nothing but its number can be read.
#[derive(Deserialize)]
struct Numbered {
    update_id: i64,
}

#[async_trait]
impl PullSession for Session {
    async fn next(&mut self) -> Result<Batch, PullError> {
        if self.stuck {
            let cause = "Telegram gives updates without a number, which cannot be confirmed";
            return Err(PullError::Retry { cause: cause.into(), after: None });
        }
        let mut arguments = json!({
            "limit": UPDATES_MAX, "timeout": WAIT_SECONDS, "allowed_updates": ALLOWED_UPDATES,
        });
        // Numbers may begin anew below ours after a week of silence: then the service holds something, and gives
        // nothing. Without an offset it gives what is not confirmed.
        let offset = self.offset.filter(|_| self.hungry < 2);
        if let (Some(offset), Some(fields)) = (offset, arguments.as_object_mut()) {
            fields.insert("offset".to_owned(), json!(offset));
        }
        let answer = self.bot.call("getUpdates", &arguments, WAIT_MAX).await.map_err(asked)?;
        let batch = self.batch(&answer.bytes)?;
        if batch.raws.is_empty() {
            self.count().await?;
        } else {
            self.hungry = 0;
        }
        Ok(batch)
    }

    async fn committed(&mut self, cursor: &Cursor) -> Result<(), PullError> {
        self.offset = cursor.as_str().parse().ok();
        // Best effort: a spinner that turns on is nobody's loss.
        let pressed = std::mem::take(&mut self.pressed);
        let stops = pressed.into_iter().map(|id| {
            let bot = self.bot.clone();
            async move {
                let stop = json!({ "callback_query_id": id });
                bot.call("answerCallbackQuery", &stop, SPINNER_MAX).await.is_ok()
            }
        });
        join_all(stops).await;
        Ok(())
    }

    fn backlog(&self) -> Option<u64> {
        self.pending
    }
}

impl Session {
    fn batch(&mut self, bytes: &Bytes) -> Result<Batch, PullError> {
        let text = String::from_utf8_lossy(bytes);
        let updates: Updates<'_> = serde_json::from_str(&text).map_err(|_| {
            let cause = "Telegram answered something else than a list of updates";
            PullError::Retry { cause: cause.into(), after: None }
        })?;
        let mut raws = Vec::with_capacity(updates.result.len());
        let mut last: Option<i64> = None;
        for element in &updates.result {
            let (raw, id, pressed) = raw(element.get().as_bytes());
            raws.push(raw);
            last = last.max(id);
            self.pressed.extend(pressed);
        }
        let count = i64::try_from(raws.len()).unwrap_or(i64::MAX);
        let next = match (last, self.offset) {
            (Some(last), _) => Some(last.saturating_add(1)),
            // All of them are stored, and their numbers cannot be read: they are the next ones.
            (None, Some(offset)) if count > 0 => Some(offset.saturating_add(count)),
            (None, _) => None,
        };
        self.stuck = count > 0 && next.is_none();
        self.pending = if raws.is_empty() { self.pending } else { None };
        Ok(Batch { raws, cursor: next.map(|next| Cursor(next.to_string())) })
    }

    /// Asks how much there is, after nothing came.
    async fn count(&mut self) -> Result<(), PullError> {
        let info = self.bot.call("getWebhookInfo", &json!({}), QUESTION_MAX).await;
        let info = info.map_err(asked)?;
        let pending = look::word(info.result(), "/pending_update_count");
        self.pending = pending.and_then(|count| count.parse().ok());
        let waits = self.pending.is_some_and(|count| count > 0);
        self.hungry = if waits { self.hungry.saturating_add(1) } else { 0 };
        Ok(())
    }
}

/// One update as it came, its number, and the button that was pressed.
///
/// The number alone is no name for it: it may come again after a week of silence, for something else.
pub(super) fn raw(bytes: &[u8]) -> (Raw, Option<i64>, Option<String>) {
    let hash = Sha256::digest(bytes);
    let hash = hex(hash.get(..12).unwrap_or(&hash));
    let read = json::read::<Value>(bytes).unwrap_or_default();
    let id = look::word(&read, "/update_id").and_then(|id| id.parse::<i64>().ok());
    // What nobody can read is confirmed as well, or it would hold up all that comes behind it.
    let id =
        id.or_else(|| serde_json::from_slice(bytes).ok().map(|Numbered { update_id }| update_id));
    let key = id.map_or_else(|| format!("h:{hash}"), |id| format!("u:{id}:{hash}"));
    let body = Bytes::copy_from_slice(bytes);
    let raw = Raw { dedupe: DedupeKey(key), body, transport: Transport::new(), received_at: None };
    (raw, id, look::word(&read, "/callback_query/id"))
}
