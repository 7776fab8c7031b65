//! The part of kinds whose customers talk to us directly: `/chat/<channel>/…` of our own HTTP server.
//!
//! Knows who may come in, what they may say, and how what they said is written down. The HTTP server
//! carries it; the engine stores it like everything else that comes in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{ChannelName, DeliveryId, Raw, Timestamp, UploadId};

/// Somebody at the other end, as their token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    /// The value of their address; all that they may see hangs on it.
    pub id: String,
    /// Did the customer's own system vouch for them?
    pub identified: bool,
    /// As the customer's system, or they themselves, gave it.
    pub name: Option<String>,
    /// The same.
    pub email: Option<String>,
    /// Their language, as a tag like `zh-CN`.
    pub language: Option<String>,
    /// When the token was made: those made before a sign-out are void.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a client sends to be let in.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Knock {
    /// A token that is still good: the conversation goes on, with a fresh one.
    pub token: Option<String>,
    /// Who it is, signed by the customer's system: a JWT.
    pub jwt: Option<String>,
    /// The same in the simpler form: an id and its HMAC.
    pub identity: Option<SignedId>,
    /// The browser's language.
    pub language: Option<String>,
}

/// An id that the customer's system vouches for.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct SignedId {
    /// The customer's own name for the person.
    pub user_id: String,
    /// HMAC-SHA-256 of `user_id` in hex.
    pub hash: String,
    /// Not covered by the signature.
    pub name: Option<String>,
    /// Not covered by the signature.
    pub email: Option<String>,
}

/// Why somebody is not let in, or not heard: a stable word for programs, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwelcome {
    /// The token is none of ours, is void, or is over: ask for a new one.
    #[error("{1}")]
    Token(&'static str, String),
    /// What was sent cannot be taken, and never will.
    #[error("{1}")]
    Wrong(&'static str, String),
}

/// Something that a visitor did, before it is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Said {
    /// They wrote.
    Message(Words),
    /// They want to be called.
    Callback(CallMe),
    /// They judged how they were served.
    Rating(Judgement),
    /// They have, or have read, what we sent.
    Receipt {
        /// Read, or only received?
        read: bool,
        /// What of.
        deliveries: Vec<DeliveryId>,
    },
}

/// A message of a visitor.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Words {
    /// The client's own name for it: the same again is the same message.
    pub client_id: String,
    /// Plain text.
    pub text: String,
    /// Files that were brought before.
    pub files: Vec<SentFile>,
    /// What the forms asked.
    pub form: Form,
}

/// What the forms before a conversation ask, and what the page knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    /// A name to call them by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where an answer can go when they are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// One of the settings' topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// One of the settings' urgencies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub urgency: Option<String>,
    /// Answers to the settings' own questions, by their ids.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The page that they wrote from, without its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
}

/// A file of a message.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SentFile {
    /// Where the store has it.
    pub id: UploadId,
    /// The name to show.
    pub name: String,
    /// Its media type, from its bytes.
    pub media_type: String,
    /// Its size.
    pub bytes: u64,
}

/// The wish to be called.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CallMe {
    /// As [`Words::client_id`].
    pub client_id: String,
    /// E.164 with the plus; blanks and hyphens are dropped.
    pub phone: String,
    /// When, in their own words.
    pub when: String,
    /// What about.
    pub note: String,
    /// Not before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The visitor's time zone, by its IANA name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// How they were served.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Judgement {
    /// As [`Words::client_id`].
    pub client_id: String,
    /// From 1, very bad, to 5, very good.
    pub score: u8,
    /// In their own words.
    pub comment: String,
}

/// What a channel lets its visitors do.
#[derive(Debug, Clone)]
pub struct ChatRules {
    /// Pages of which sites may talk to us, beside our own.
    pub origins: Vec<String>,
    /// Is the page to try it on served?
    pub demo: bool,
    /// Bytes of one file.
    pub file_bytes_max: usize,
    /// Files of one message.
    pub files_max: usize,
    /// Media types that are taken: `image/png`, or `image/*`.
    pub file_types: Vec<String>,
    /// Messages, callbacks and ratings of one visitor in a minute.
    pub messages_per_minute: u32,
    /// New visitors of one address in an hour.
    pub sessions_per_hour: u32,
    /// Files of one visitor in an hour.
    pub files_per_hour: u32,
    /// All requests of one address in a minute.
    pub requests_per_minute: u32,
    /// Open streams of one visitor.
    pub streams_max: usize,
    /// What becomes of answers that nobody reads.
    pub continuity: Option<Continuity>,
}

/// Answers that a visitor has not read after a while go out by mail as well.
#[derive(Debug, Clone)]
pub struct Continuity {
    /// Through which channel.
    pub by: ChannelName,
    /// How long to wait.
    pub after: Duration,
}

/// Lets visitors in and writes down what they say. Connects to nothing.
pub trait Chat: Send + Sync {
    /// What they may do.
    fn rules(&self) -> &ChatRules;

    /// Who knocks? A new visitor, the one of an old token, or one that the customer's system vouches for.
    fn admit(&self, knock: &Knock, now: Timestamp) -> Result<Visitor, Unwelcome>;

    /// The token that says so: signed, bound to the channel, worth nothing after its end.
    fn token(&self, visitor: &Visitor) -> String;

    /// Who a token says it is.
    fn visitor(&self, token: &str, now: Timestamp) -> Result<Visitor, Unwelcome>;

    /// The name under which a visitor's file can be put into a message: nobody else's name for it works.
    fn file_name(&self, visitor: &Visitor, upload: UploadId) -> String;

    /// The file behind such a name.
    fn file(&self, visitor: &Visitor, name: &str) -> Option<UploadId>;

    /// The client's own name for a message, out of ours for it.
    fn client_id(&self, visitor: &Visitor, remote_id: &str) -> Option<String>;

    /// What the widget has to know before it shows itself: texts, forms, limits.
    fn face(&self, now: Timestamp) -> serde_json::Value;

    /// Checks what they said against the settings, and writes it down.
    fn raw(&self, visitor: &Visitor, said: Said, now: Timestamp) -> Result<Raw, Unwelcome>;
}
