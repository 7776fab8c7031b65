//! What goes out: one row of the outbox is one call to a remote service.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    ChannelName, DeliveryId, MessageId, Party, RemoteId, ThreadKey, TicketId, Timestamp,
    UnknownWord,
};

/// One call to a remote service: a reply that is too long for it is several of these.
///
/// Complete in itself: the adapter looks nothing up.
#[derive(Debug, Clone)]
pub struct Outbound {
    /// The idempotency key: the same at every attempt.
    pub delivery: DeliveryId,
    /// The ticket's short number, for subject tags and signed addresses.
    pub ticket_number: u64,
    /// Whom to.
    pub to: Party,
    /// Who gets a copy (mail only).
    pub cc: Vec<Party>,
    /// The service's conversation, if it has such a thing.
    pub thread: Option<ThreadKey>,
    /// The message that this answers.
    pub in_reply_to: Option<RemoteId>,
    /// The chain of messages before it, oldest first (mail: RFC 5322 section 3.6.4).
    pub references: Vec<RemoteId>,
    /// As the ticket's; the adapter adds `Re:` and the tag.
    pub subject: Option<String>,
    /// Plain text, signature not yet added.
    pub text: String,
    /// What stands below it, where the channel sets such a thing apart. Absent: the channel's own, if it has one.
    pub signature: Option<String>,
    /// HTML of the agent, already sanitised. Absent: the adapter makes it from `text` if it needs any.
    pub html: Option<String>,
    /// Attachments, with their bytes.
    pub media: Vec<OutboundMedia>,
    /// Who writes: shown beside the address where the channel can, and known to the signature template.
    pub author: Option<String>,
    /// Written by a program, not by a human: marked so, that no machine answers it.
    pub automated: bool,
    /// To the author of `in_reply_to` alone, and not under the post where they wrote.
    pub private: bool,
    /// When this attempt begins, by the engine's clock: adapters have none of their own.
    pub begun_at: Timestamp,
    /// When the first of the attempts before this one began: they may have it already. `None`: it was never tried.
    pub tried_since: Option<Timestamp>,
    /// When the customer last wrote in this ticket: some services let through less, the longer that is ago.
    pub customer_wrote_at: Option<Timestamp>,
    /// Send this instead of the text, which then only says to people here what it is.
    pub template: Option<Template>,
    /// Buttons below the text. What is pressed comes back as a message with the button's label.
    pub choices: Vec<Choice>,
    /// The ticket's language, as a tag.
    pub language: Option<String>,
    /// Call an agent and connect them with `to`, instead of sending the text, which then only says to people here
    /// what it is.
    pub bridge: Option<Bridge>,
}

/// One of a few answers that a customer can give with a tap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Choice {
    /// Comes back to us where the service repeats it; at most 60 bytes, unique within its message.
    pub id: String,
    /// What stands on the button, in the customer's language.
    pub label: String,
}

/// An agent who wants to be connected with a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// Their telephone: E.164.
    pub agent: String,
    /// They wait no longer than this: later, nobody is called.
    pub until: Timestamp,
}

/// A message that the service approved beforehand: some let nothing else through to whoever has not written
/// for long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its name at the service.
    pub name: String,
    /// Which of its translations, as the service writes it: `en_US`.
    pub language: String,
    /// What goes into its blanks, in the service's own form.
    #[serde(default)]
    pub components: Vec<serde_json::Value>,
}

impl Template {
    /// What it is, for people: its name, and the words that go into its blanks.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut shown = format!("[{}, {}]", self.name, self.language);
        for word in self.components.iter().flat_map(|component| {
            let parameters = component.get("parameters").and_then(serde_json::Value::as_array);
            parameters.into_iter().flatten().filter_map(|parameter| parameter.get("text")?.as_str())
        }) {
            shown.push('\n');
            shown.push_str(word);
        }
        shown
    }
}

/// An attachment that goes out.
#[derive(Debug, Clone)]
pub struct OutboundMedia {
    /// File name to show.
    pub name: String,
    /// Media type.
    pub mime: String,
    /// Set for pictures that the HTML names by `cid:`.
    pub content_id: Option<String>,
    /// The file.
    pub bytes: Bytes,
}

/// A row of the outbox.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What to send.
    pub outbound: Outbound,
    /// Through which channel.
    pub channel: ChannelName,
    /// The ticket it belongs to: also the conversation within which order is kept.
    pub ticket: TicketId,
    /// The message it carries, or carries a part of.
    pub message: MessageId,
    /// Where it stands.
    pub state: DeliveryState,
    /// Attempts begun, the one under way included.
    pub attempt: u32,
    /// When the first attempt began, or the first one after somebody asked for another: the retry policy
    /// counts from here. Time that it was planned, held or paused for does not count.
    pub tried_since: Timestamp,
}

/// Where a delivery stands. See `desk::settle` for what follows what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryState {
    /// Waits for its turn, and at least until then.
    Queued {
        /// Not before this moment.
        not_before: Timestamp,
    },
    /// Written before the call. Found after a crash, it means: we do not know.
    Sending {
        /// When the attempt began.
        since: Timestamp,
    },
    /// The service took it.
    Sent {
        /// The service's name for it.
        remote_id: RemoteId,
    },
    /// It is with the recipient.
    Delivered,
    /// The recipient opened it.
    Read,
    /// It may have gone out. A human decides: resend or leave.
    Unconfirmed {
        /// What is known.
        cause: String,
    },
    /// It did not go out, and will not by itself.
    Failed {
        /// The service's words.
        cause: String,
    },
    /// It went out, and came back.
    Bounced {
        /// The report's words.
        cause: String,
    },
    /// An agent or a rule stopped it; it can be released.
    Held,
    /// It will never go out.
    Cancelled {
        /// Who or what cancelled it.
        cause: String,
    },
}

super::ticket::words! {
    /// The word for a [`DeliveryState`] in the API and the store.
    DeliveryStatus {
        /// Waits for its turn.
        Queued = "queued",
        /// An attempt is under way.
        Sending = "sending",
        /// The service took it.
        Sent = "sent",
        /// It is with the recipient.
        Delivered = "delivered",
        /// The recipient opened it.
        Read = "read",
        /// It may have gone out; a human decides.
        Unconfirmed = "unconfirmed",
        /// It did not go out.
        Failed = "failed",
        /// It went out and came back.
        Bounced = "bounced",
        /// Stopped; can be released.
        Held = "held",
        /// Will never go out.
        Cancelled = "cancelled",
    }
}

impl DeliveryState {
    /// The bare word.
    #[must_use]
    pub const fn status(&self) -> DeliveryStatus {
        match self {
            Self::Queued { .. } => DeliveryStatus::Queued,
            Self::Sending { .. } => DeliveryStatus::Sending,
            Self::Sent { .. } => DeliveryStatus::Sent,
            Self::Delivered => DeliveryStatus::Delivered,
            Self::Read => DeliveryStatus::Read,
            Self::Unconfirmed { .. } => DeliveryStatus::Unconfirmed,
            Self::Failed { .. } => DeliveryStatus::Failed,
            Self::Bounced { .. } => DeliveryStatus::Bounced,
            Self::Held => DeliveryStatus::Held,
            Self::Cancelled { .. } => DeliveryStatus::Cancelled,
        }
    }
}
