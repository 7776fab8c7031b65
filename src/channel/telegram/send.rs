//! Our answers: a text with its formatting told beside it, or one file put up with the call.
//!
//! There is no key by which the service would know a second call, and what was sent never comes back. So only a
//! clear no is ever followed by another call; whatever ends unclear is for a person.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::multipart::{Form, Part};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::bot::{Answered, Bot, Failed, MALFORMED, REVOKED, Refusal, probed, strange};
use super::entities;
use super::names::Place;
use crate::channel::shared::http::delivered;
use crate::channel::shared::look;
use crate::channel::{Accepted, Conversation, Deliver, DeliverError};
use crate::model::{Choice, Outbound, OutboundMedia, Party, Reach, ThreadKey};

/// Longest text, in UTF-16 units.
pub(super) const TEXT_UNITS_MAX: u32 = 4096;
const TEXT_TIME_MAX: Duration = Duration::from_secs(30);
const TYPING_TIME_MAX: Duration = Duration::from_secs(5);
/// A file may take this long on its way up.
const FILE_TIME_MAX: Duration = Duration::from_secs(300);
/// Where the service says no to a part of a call, the call is made without that part: so often at most.
const CHANGES_MAX: usize = 4;
const MIB: usize = 1024 * 1024;

/// Sends in the name of one bot.
pub(super) struct Sender {
    bot: Arc<Bot>,
    flood: Mutex<Flood>,
}

/// Which chats have to wait, and whether the whole bot has.
#[derive(Default)]
struct Flood {
    chats: HashMap<i64, Instant>,
    bot: Option<Instant>,
}

/// A call that can be made again with less.
struct Attempt<'o> {
    outbound: &'o Outbound,
    place: Place,
    /// The message that is answered.
    answers: Option<i64>,
    formatted: bool,
    /// Whatever the file is, it goes as a document.
    as_document: bool,
}

#[async_trait]
impl Deliver for Sender {
    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        let place = place(outbound.thread.as_ref(), &outbound.to)
            .ok_or_else(|| DeliverError::Rejected("it is not known in which chat".into()))?;
        self.flood().check(place.chat, Instant::now())?;
        let answers = outbound.in_reply_to.as_ref().and_then(|message| place.number_of(message));
        let mut attempt = Attempt { outbound, place, answers, formatted: true, as_document: false };
        let mut warning = None;
        for _ in 0..CHANGES_MAX {
            let refusal = match attempt.call(&self.bot).await {
                Ok(answered) => return accepted(&answered, &attempt.place, warning),
                Err(Failed::Told(refusal)) => refusal,
                Err(failed) => return Err(unclear(failed)),
            };
            match attempt.change(&refusal) {
                Some(told) => warning = Some(told.to_owned()),
                None => return Err(self.refused(&refusal, attempt.place.chat)),
            }
        }
        Err(DeliverError::Rejected("Telegram takes it in no form".into()))
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        let told = self.bot.call("getMe", &json!({}), TEXT_TIME_MAX).await;
        told.map(drop).map_err(probed)
    }

    async fn show_typing(&self, conversation: &Conversation) {
        let Some(place) = place(conversation.thread.as_ref(), &conversation.to) else { return };
        let waits = self.flood().check(place.chat, Instant::now()).is_err();
        if !waits {
            let mut fields = place.frame();
            fields.insert("action".to_owned(), json!("typing"));
            // Lost on the way, it is as if nobody had typed.
            let fields = Value::Object(fields);
            drop(self.bot.call("sendChatAction", &fields, TYPING_TIME_MAX).await);
        }
    }
}

impl Sender {
    pub(super) fn new(bot: Arc<Bot>) -> Self {
        Self { bot, flood: Mutex::default() }
    }

    fn flood(&self) -> std::sync::MutexGuard<'_, Flood> {
        self.flood.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a no means: nothing went out.
    fn refused(&self, refusal: &Refusal, chat: i64) -> DeliverError {
        let later = |advice| DeliverError::Retry {
            cause: refusal.cause(advice),
            after: refusal.retry_after,
        };
        let never = |advice| DeliverError::Rejected(refusal.cause(advice));
        match refusal.code {
            401 => DeliverError::Account(refusal.cause(REVOKED)),
            404 => DeliverError::Account(refusal.cause(MALFORMED)),
            429 => {
                let pause = refusal.retry_after.unwrap_or(Duration::from_secs(5));
                if self.flood().told(chat, Instant::now(), pause) {
                    return DeliverError::Offline(refusal.cause("the whole bot has to wait"));
                }
                DeliverError::Retry { cause: refusal.cause(""), after: Some(pause) }
            }
            408 | 409 | 425 | 500.. => later(""),
            413 => never("the file is too large"),
            403 if refusal.says(&["blocked", "deactivated", "initiate"]) => {
                let advice = "the customer blocked the bot, or never began to write to it";
                let cause = refusal.cause(advice);
                DeliverError::Unreachable { cause, reach: Reach::Unreachable }
            }
            403 => never("the bot is not in that chat (any more)"),
            _ if refusal.says(&["business_connection", "business connection"]) => never(
                "the business account no longer lets the bot write, or the day to answer is over",
            ),
            _ if refusal.says(&["chat not found", "peer_id_invalid"]) => {
                never("there is no such chat for this bot")
            }
            _ if refusal.says(&[
                "not enough rights",
                "no rights",
                "write_forbidden",
                "administrator rights",
            ]) =>
            {
                never("the bot may not write in that group: its administrators can change that")
            }
            _ => never(""),
        }
    }
}

impl Flood {
    /// May something go to the chat now?
    fn check(&mut self, chat: i64, now: Instant) -> Result<(), DeliverError> {
        self.chats.retain(|_, until| *until > now);
        if self.bot.is_some_and(|until| until > now) {
            return Err(DeliverError::Offline("Telegram told the whole bot to wait".into()));
        }
        match self.chats.get(&chat) {
            Some(until) => Err(DeliverError::Retry {
                cause: "Telegram told us to wait with this chat".into(),
                after: Some(*until - now),
            }),
            None => Ok(()),
        }
    }

    /// The service does not say whether the chat or the bot sent too much: when a second chat is told so before
    /// the first may go on, it is the bot.
    fn told(&mut self, chat: i64, now: Instant, pause: Duration) -> bool {
        let until = now + pause;
        self.chats.retain(|_, until| *until > now);
        let others = self.chats.keys().any(|other| *other != chat);
        self.chats.insert(chat, until);
        if others {
            self.bot = Some(until);
        }
        others
    }
}

impl Attempt<'_> {
    /// Leaves out, or changes, what the service said no to; what the agent should know of it.
    fn change(&mut self, refusal: &Refusal) -> Option<&'static str> {
        if let Some(chat) = refusal.migrated_to.filter(|chat| *chat != self.place.chat) {
            self.place = Place { connection: None, chat, topic: None };
            self.answers = None;
            return Some("the group has another number now");
        }
        if refusal.code != 400 {
            return None;
        }
        let topic = ["thread not found", "topic_closed", "topic_deleted", "topic_id_invalid"];
        if self.place.topic.is_some() && refusal.says(&topic) {
            self.place.topic = None;
            return Some("the topic is gone or closed: it was sent to the group's general topic");
        }
        if self.answers.is_some() && refusal.says(&["replied not found", "reply message not found"])
        {
            self.answers = None;
            return Some("the message that it answers is gone");
        }
        if self.formatted
            && refusal.says(&["can't parse entities", "entity_bounds_invalid", "entities_too_long"])
        {
            self.formatted = false;
            return Some("Telegram did not take the formatting: it was sent as plain text");
        }
        let as_document = [
            "image_process_failed",
            "photo_invalid",
            "voice_messages_forbidden",
            "wrong file identifier",
            "wrong type of the web page",
            "photo_save_file_invalid",
            "video_content_type_invalid",
        ];
        if !self.as_document && !self.outbound.media.is_empty() && refusal.says(&as_document) {
            self.as_document = true;
            return Some("Telegram takes the file as a document only");
        }
        None
    }

    async fn call(&self, bot: &Bot) -> Result<Answered, Failed> {
        let mut fields = self.frame();
        let words = self.words();
        if !self.outbound.choices.is_empty() {
            fields.insert("reply_markup".to_owned(), buttons(&self.outbound.choices));
        }
        let Some(media) = self.outbound.media.first() else {
            fields.insert("text".to_owned(), json!(words.text));
            if !words.entities.is_empty() {
                fields.insert("entities".to_owned(), Value::Array(words.entities));
            }
            fields.insert("link_preview_options".to_owned(), json!({ "is_disabled": true }));
            return bot.call("sendMessage", &Value::Object(fields), TEXT_TIME_MAX).await;
        };
        if !words.text.is_empty() {
            fields.insert("caption".to_owned(), json!(words.text));
            fields.insert("caption_entities".to_owned(), Value::Array(words.entities));
        }
        let (method, field) = if self.as_document { DOCUMENT } else { method(media) };
        let size = media.bytes.len() as u64;
        let part = |mime: &str| {
            let bytes = reqwest::Body::from(media.bytes.clone());
            Part::stream_with_length(bytes, size).file_name(media.name.clone()).mime_str(mime)
        };
        let part = part(&media.mime).or_else(|_| part("application/octet-stream"));
        let Ok(part) = part else { return Err(Failed::Strange(0)) };
        let mut form = Form::new();
        for (name, value) in fields {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            form = form.text(name, value);
        }
        bot.upload(method, form.part(field, part), FILE_TIME_MAX).await
    }

    /// Where it goes, and what it answers.
    fn frame(&self) -> Map<String, Value> {
        let mut fields = self.place.frame();
        if let Some(answers) = self.answers {
            let answers = json!({ "message_id": answers, "allow_sending_without_reply": true });
            fields.insert("reply_parameters".to_owned(), answers);
        }
        fields
    }

    /// The agent's HTML, as long as it says something and fits.
    fn words(&self) -> entities::Formatted {
        let plain = || entities::Formatted::plain(&self.outbound.text);
        let html = self.outbound.html.as_deref().filter(|_| self.formatted);
        let Some(html) = html.map(entities::formatted) else { return plain() };
        let units = html.text.encode_utf16().count();
        let fits = !html.text.trim().is_empty() && units <= TEXT_UNITS_MAX as usize;
        if fits { html } else { plain() }
    }
}

impl Place {
    /// The fields that say where a call goes.
    fn frame(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("chat_id".to_owned(), json!(self.chat));
        if let Some(topic) = self.topic {
            fields.insert("message_thread_id".to_owned(), json!(topic));
        }
        if let Some(connection) = &self.connection {
            fields.insert("business_connection_id".to_owned(), json!(connection));
        }
        fields
    }
}

/// Method and field of a file that is sent as what it is.
const DOCUMENT: (&str, &str) = ("sendDocument", "document");

/// As what a file goes: pictures, voices and films are shown, everything else is a document.
fn method(media: &OutboundMedia) -> (&'static str, &'static str) {
    match media.mime.as_str() {
        "image/jpeg" | "image/png" | "image/webp" if media.bytes.len() <= 10 * MIB => {
            ("sendPhoto", "photo")
        }
        "image/gif" => ("sendAnimation", "animation"),
        "video/mp4" => ("sendVideo", "video"),
        "audio/ogg" => ("sendVoice", "voice"),
        "audio/mpeg" | "audio/mp4" => ("sendAudio", "audio"),
        _ => DOCUMENT,
    }
}

/// Buttons below the message: beside each other while they are short.
fn buttons(choices: &[Choice]) -> Value {
    const ROW_CHARS_MAX: usize = 32;
    let button = |choice: &Choice| json!({ "text": choice.label, "callback_data": choice.id });
    let chars: usize = choices.iter().map(|choice| choice.label.chars().count()).sum();
    let in_row = if chars <= ROW_CHARS_MAX { choices.len() } else { 1 };
    let rows = choices.chunks(in_row.max(1));
    let rows: Vec<Vec<Value>> = rows.map(|row| row.iter().map(button).collect()).collect();
    json!({ "inline_keyboard": rows })
}

/// The conversation, or the customer's own chat with the bot.
fn place(thread: Option<&ThreadKey>, to: &Party) -> Option<Place> {
    let thread = thread.and_then(Place::read);
    thread.or_else(|| Place::read(&ThreadKey(to.address.value.clone())))
}

/// Under which name it went out.
fn accepted(
    answered: &Answered,
    asked: &Place,
    warning: Option<String>,
) -> Result<Accepted, DeliverError> {
    let number = |pointer| look::word(answered.result(), pointer)?.parse::<i64>().ok();
    let Some(id) = number("/message_id") else {
        let cause = "Telegram took it and did not say under which number";
        return Err(DeliverError::Unknown(cause.into()));
    };
    let chat = number("/chat/id").unwrap_or(asked.chat);
    let place = Place { chat, ..asked.clone() };
    Ok(Accepted { remote_id: place.message(id), warning })
}

/// No answer of the Bot API: it may have gone out, unless nothing was written.
fn unclear(failed: Failed) -> DeliverError {
    match failed {
        Failed::Http(error) => match delivered(Err(error)) {
            Err(error) => error,
            Ok(_) => DeliverError::Unknown("it is not known what happened".into()),
        },
        Failed::Strange(413) => DeliverError::Rejected("the file is too large".into()),
        Failed::Strange(0) => DeliverError::Rejected("the file's type makes no sense".into()),
        Failed::Strange(status) => DeliverError::Unknown(strange(status)),
        Failed::Told(refusal) => DeliverError::Rejected(refusal.cause("")),
    }
}
