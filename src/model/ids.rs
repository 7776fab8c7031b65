//! Names that we give (version-7 UUIDs, channel names) and names that remote services give (opaque).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name an admin gave to one configured channel: `[channels.support_mail]`.
///
/// 1 to 32 of lower-case letters, digits and `_`, beginning with a letter, so that it can be part
/// of a URL, a metric label and an environment variable alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelName(String);

/// The text is no [`ChannelName`].
#[derive(Debug, Clone, thiserror::Error)]
#[error("`{0}` is not a channel name: use 1 to 32 of a-z, 0-9 and _, beginning with a letter")]
pub struct BadChannelName(String);

impl ChannelName {
    /// Longest name, in bytes.
    pub const LENGTH_MAX: usize = 32;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ChannelName {
    type Error = BadChannelName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let starts_with_letter = name.starts_with(|c: char| c.is_ascii_lowercase());
        let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if starts_with_letter && plain && name.len() <= Self::LENGTH_MAX {
            Ok(Self(name))
        } else {
            Err(BadChannelName(name))
        }
    }
}

impl From<ChannelName> for String {
    fn from(name: ChannelName) -> Self {
        name.0
    }
}

impl FromStr for ChannelName {
    type Err = BadChannelName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::try_from(name.to_owned())
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// A new id. Version 7 (RFC 9562): sorts by the time it was made.
            #[must_use]
            #[expect(clippy::new_without_default, reason = "an id has no default value")]
            pub fn new() -> Self {
                Self(uuid::Uuid::now_v7())
            }

            /// The bare UUID, for the store and the wire.
            #[must_use]
            pub const fn uuid(self) -> uuid::Uuid {
                self.0
            }
        }

        impl From<uuid::Uuid> for $name {
            fn from(id: uuid::Uuid) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                uuid::Uuid::parse_str(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// A row of the journal.
    RawId
    /// A ticket. People use its number instead.
    TicketId
    /// A message of a ticket.
    MessageId
    /// A person or system that writes to us.
    ContactId
    /// An attachment of a message.
    AttachmentId
    /// A file that an agent brought, not yet part of a message.
    UploadId
    /// One row of the outbox: one call to a remote service.
    DeliveryId
    /// A customer's wish to be called.
    CallbackId
    /// One entry of the audit trail.
    EventId
    /// Somebody who works here.
    UserId
    /// An API token.
    TokenId
    /// One running daemon, new at every start.
    NodeId
}

macro_rules! opaque {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// Takes the remote service's text as it is.
            pub fn new(value: impl Into<String>) -> Self {
                Self(value.into())
            }

            /// The text, for the store and for the kind that made it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    )*};
}

// Only the kind that made one of these may look inside.
opaque! {
    /// Tells two arrivals of the same transport unit apart: `folder:uidvalidity:uid`, `update_id`.
    /// Scoped to one channel.
    DedupeKey
    /// The remote service's own name for a message: `Message-ID`, `chat:message_id`, `SM…`.
    /// Scoped to a [`Realm`](super::Realm).
    RemoteId
    /// The remote service's name for a conversation, where it has one: a chat id. Scoped to one channel.
    ThreadKey
    /// Where to go on after a restart. Scoped to one channel.
    Cursor
    /// How to download an attachment later: a Telegram `file_id`, a URL. Scoped to one channel.
    MediaRef
}
