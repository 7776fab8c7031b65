//! How chats, topics and messages are named: a message's number is unique within its chat only, and a chat that
//! a business account opened to us may have the number of one of the bot's own.

use crate::model::{Address, RemoteId, Scheme, ThreadKey};

/// A chat, or a topic of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The business account through which we see it.
    pub(super) connection: Option<String>,
    pub(super) chat: i64,
    pub(super) topic: Option<i64>,
}

impl Place {
    /// `[connection@]chat[/topic]`.
    pub(super) fn thread(&self) -> ThreadKey {
        let topic = self.topic.map(|topic| format!("/{topic}")).unwrap_or_default();
        ThreadKey(format!("{}{}{topic}", self.prefix(), self.chat))
    }

    /// `[connection@]chat:message`.
    pub(super) fn message(&self, id: i64) -> RemoteId {
        RemoteId(format!("{}{}:{id}", self.prefix(), self.chat))
    }

    /// The name of several messages that belong together; never that of one.
    pub(super) fn album(&self, group: &str) -> RemoteId {
        RemoteId(format!("album:{}{}:{group}", self.prefix(), self.chat))
    }

    pub(super) fn read(thread: &ThreadKey) -> Option<Self> {
        let (connection, rest) = split(thread.as_str());
        let (chat, topic) = match rest.split_once('/') {
            Some((chat, topic)) => (chat, Some(topic.parse().ok()?)),
            None => (rest, None),
        };
        Some(Self { connection, chat: chat.parse().ok()?, topic })
    }

    /// The number of a message, if it is one of this chat.
    pub(super) fn number_of(&self, message: &RemoteId) -> Option<i64> {
        let (connection, rest) = split(message.as_str());
        let (chat, id) = rest.split_once(':')?;
        let here = connection == self.connection && chat.parse() == Ok(self.chat);
        id.parse().ok().filter(|_| here)
    }

    fn prefix(&self) -> String {
        self.connection.as_ref().map(|connection| format!("{connection}@")).unwrap_or_default()
    }
}

fn split(name: &str) -> (Option<String>, &str) {
    match name.split_once('@') {
        Some((connection, rest)) => (Some(connection.to_owned()), rest),
        None => (None, name),
    }
}

/// A user's, a group's or a channel's number: the same for every bot.
pub(super) fn address(id: i64) -> Address {
    Address { scheme: Scheme::Telegram, scope: None, value: id.to_string() }
}
