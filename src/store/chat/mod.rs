//! Conversations as the person at the other end may see them: found by whom they are with, never by a
//! ticket's id. So merging and splitting tickets changes nothing for a visitor, and no id that a visitor
//! could guess leads to somebody else's words.
//!
//! A place in a conversation is the `seq` of the event that made a message visible: commit order, so a
//! reader that goes on after the last place it saw never misses one that commits late.

mod mail;
mod person;

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Statement, Value,
};
use uuid::Uuid;

pub use mail::{Unread, UnreadMail};
pub use person::VisitorState;

use super::entity::{attachment, delivery, message, ticket};
use super::message::{AttachmentBytes, MessageView, views};
use super::outbox::StoredOutbound;
use super::ticket::surviving;
use super::{Store, StoreError};
use crate::model::{ChannelName, Choice, DeliveryId};

/// Somebody at the other end of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Guest {
    /// Which channel.
    pub channel: ChannelName,
    /// The value of their address there.
    pub visitor: String,
}

/// Which part of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// What came after a place, oldest first.
    After(i64),
    /// The last messages before a place.
    Before(i64),
}

/// A message in its place.
#[derive(Debug, Clone)]
pub struct ChatItem {
    /// Where it stands.
    pub place: i64,
    /// The message.
    pub message: MessageView,
    /// Answers to choose from.
    pub choices: Vec<Choice>,
}

/// A part of a conversation.
#[derive(Debug, Clone)]
pub struct ChatPage {
    /// Oldest first; each message once.
    pub items: Vec<ChatItem>,
    /// After: where to go on. Before: the place before which there is more.
    pub place: i64,
    /// Is there more in this direction?
    pub more: bool,
}

/// What a visitor may see: their own words, and ours once they were sent. `$1` channel, `$2` visitor.
const THEIRS: &str = "SELECT id FROM message
        WHERE author_scheme = 'web' AND author_value = $2 AND author_scope = $1 AND kind <> 'system'
    UNION SELECT message AS id FROM delivery
        WHERE to_scheme = 'web' AND to_value = $2 AND channel = $1";

/// The events that put a message into the conversation.
const ARRIVALS: &str = "(e.kind = 'message.created' AND e.data LIKE '%\"direction\":\"in\"%')
    OR (e.kind = 'delivery.updated' AND e.data LIKE '%\"status\":\"sent\"%')";

/// States in which a delivery can be seen by its recipient.
const SHOWN: [&str; 3] = ["sent", "delivered", "read"];

impl Store {
    /// A part of somebody's conversation.
    pub async fn chat_page(
        &self,
        guest: &Guest,
        window: Window,
        limit: u64,
    ) -> Result<ChatPage, StoreError> {
        let (filter, order, place) = match window {
            Window::After(place) => {
                let changed = "e.kind IN ('message.edited', 'message.deleted')";
                (format!("({ARRIVALS} OR {changed}) AND e.seq > $3"), "ASC", place)
            }
            Window::Before(place) => (format!("({ARRIVALS}) AND e.seq < $3"), "DESC", place),
        };
        // CROSS JOIN fixes the order: from the person's messages to their events, by the index.
        let sql = format!(
            "SELECT e.seq, e.message FROM ({THEIRS}) AS theirs CROSS JOIN event e
             WHERE e.message = theirs.id AND {filter} ORDER BY e.seq {order} LIMIT $4"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values: [Value; 4] = [
            guest.channel.as_str().into(),
            guest.visitor.as_str().into(),
            place.into(),
            limit.into(),
        ];
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        let mut found: Vec<(i64, Uuid)> = Vec::new();
        for row in self.reader().query_all_raw(statement).await? {
            found.push((row.try_get("", "seq")?, row.try_get("", "message")?));
        }
        let more = found.len() as u64 >= limit.unsigned_abs();
        let last = found.last().map_or(place, |(seq, _)| *seq);
        let items = self.chat_items(guest, found).await?;
        Ok(ChatPage { items, place: last, more })
    }

    /// Messages in the order of their places, those that cannot be seen left out.
    async fn chat_items(
        &self,
        guest: &Guest,
        found: Vec<(i64, Uuid)>,
    ) -> Result<Vec<ChatItem>, StoreError> {
        let mut places: HashMap<Uuid, i64> = HashMap::new();
        for (place, id) in found {
            let known = places.entry(id).or_insert(place);
            *known = place.max(*known);
        }
        let rows = message::Entity::find()
            .filter(message::Column::Id.is_in(places.keys().copied()))
            .all(self.reader())
            .await?;
        let unsent = self.unsent(guest, rows.iter().map(|row| row.id)).await?;
        let mut choices = self.choices(guest, &rows).await?;
        let shown = rows.into_iter().filter(|row| !unsent.contains(&row.id)).collect();
        let mut items: Vec<ChatItem> = views(self.reader(), shown)
            .await?
            .into_iter()
            .filter_map(|message| {
                let choices = choices.remove(&message.id).unwrap_or_default();
                Some(ChatItem { place: *places.get(&message.id)?, message, choices })
            })
            .collect();
        items.sort_by_key(|item| item.place);
        Ok(items)
    }

    /// What may be chosen below those messages that went out by themselves: no others ask.
    async fn choices(
        &self,
        guest: &Guest,
        rows: &[message::Model],
    ) -> Result<HashMap<Uuid, Vec<Choice>>, StoreError> {
        let ours = rows.iter().filter(|row| row.direction == "out" && row.author_kind == "system");
        let ours: Vec<Uuid> = ours.map(|row| row.id).collect();
        let mut choices = HashMap::new();
        if ours.is_empty() {
            return Ok(choices);
        }
        let deliveries: Vec<(Uuid, String)> = delivery::Entity::find()
            .select_only()
            .columns([delivery::Column::Message, delivery::Column::Outbound])
            .filter(delivery::Column::Message.is_in(ours))
            .filter(delivery::Column::Channel.eq(guest.channel.as_str()))
            .into_tuple()
            .all(self.reader())
            .await?;
        for (message, outbound) in deliveries {
            // An erased one is no outbound any more.
            let outbound = serde_json::from_str::<StoredOutbound>(&outbound);
            let offered = outbound.map(|outbound| outbound.choices).unwrap_or_default();
            if !offered.is_empty() {
                choices.insert(message, offered);
            }
        }
        Ok(choices)
    }

    /// Of these messages of ours, those of which a part is not sent yet.
    async fn unsent(
        &self,
        guest: &Guest,
        messages: impl Iterator<Item = Uuid>,
    ) -> Result<HashSet<Uuid>, StoreError> {
        let rows: Vec<Uuid> = delivery::Entity::find()
            .select_only()
            .column(delivery::Column::Message)
            .filter(delivery::Column::Message.is_in(messages))
            .filter(delivery::Column::Channel.eq(guest.channel.as_str()))
            .filter(delivery::Column::State.is_not_in(SHOWN))
            .into_tuple()
            .all(self.reader())
            .await?;
        Ok(rows.into_iter().collect())
    }

    /// The place of one of their messages.
    pub async fn chat_place(&self, guest: &Guest, id: Uuid) -> Result<Option<i64>, StoreError> {
        let sql = format!(
            "SELECT MAX(e.seq) AS seq FROM ({THEIRS}) AS theirs CROSS JOIN event e
             WHERE e.message = theirs.id AND theirs.id = $3 AND ({ARRIVALS})"
        );
        let values: [Value; 3] =
            [guest.channel.as_str().into(), guest.visitor.as_str().into(), id.into()];
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        let row = self.reader().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get::<Option<i64>>("", "seq")).transpose()?.flatten())
    }

    /// Where the conversation stands: the status of its latest ticket.
    pub async fn chat_status(&self, guest: &Guest) -> Result<Option<String>, StoreError> {
        let row = ticket::Entity::find()
            .filter(ticket::Column::Channel.eq(guest.channel.as_str()))
            .filter(ticket::Column::Thread.eq(&guest.visitor))
            .filter(ticket::Column::DeletedAt.is_null())
            .order_by_desc(ticket::Column::Number)
            .limit(1)
            .one(self.reader())
            .await?;
        Ok(surviving(self.reader(), row).await?.map(|row| row.status))
    }

    /// A file of a message that they may see.
    pub async fn chat_attachment(
        &self,
        guest: &Guest,
        id: Uuid,
    ) -> Result<AttachmentBytes, StoreError> {
        let missing = StoreError::NotFound("attachment");
        let named: Option<Option<Uuid>> = attachment::Entity::find_by_id(id)
            .select_only()
            .column(attachment::Column::Message)
            .into_tuple()
            .one(self.reader())
            .await?;
        let Some(message) = named.flatten() else { return Err(missing) };
        let sql = format!("SELECT id FROM ({THEIRS}) AS theirs WHERE id = $3");
        let values: [Value; 3] =
            [guest.channel.as_str().into(), guest.visitor.as_str().into(), message.into()];
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        let theirs = self.reader().query_one_raw(statement).await?.is_some();
        if !theirs || !self.unsent(guest, std::iter::once(message)).await?.is_empty() {
            return Err(missing);
        }
        self.attachment(id).await
    }

    /// What we sent them up to a place and have no receipt of: of its arrival, or of its reading.
    pub async fn chat_unconfirmed(
        &self,
        guest: &Guest,
        up_to: i64,
        read: bool,
    ) -> Result<Vec<DeliveryId>, StoreError> {
        let states = if read { "'sent', 'delivered'" } else { "'sent'" };
        let sql = format!(
            "SELECT d.id FROM delivery d WHERE d.to_scheme = 'web' AND d.to_value = $2
             AND d.channel = $1 AND d.state IN ({states})
             AND EXISTS (SELECT 1 FROM event e WHERE e.message = d.message AND e.seq <= $3
                 AND e.kind = 'delivery.updated' AND e.data LIKE '%\"status\":\"sent\"%')
             ORDER BY d.seq LIMIT 200"
        );
        let values: [Value; 3] =
            [guest.channel.as_str().into(), guest.visitor.as_str().into(), up_to.into()];
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        let rows = self.reader().query_all_raw(statement).await?;
        rows.iter().map(|row| Ok(row.try_get::<Uuid>("", "id")?.into())).collect()
    }

    /// The last number of the feed: everything up to it is there to be read.
    pub async fn feed_position(&self) -> Result<i64, StoreError> {
        let sql = "SELECT value FROM counter WHERE name = 'feed'";
        let statement = Statement::from_string(self.backend(), sql);
        let row = self.reader().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "value")).transpose()?.unwrap_or(0))
    }

    /// For whom something is new between two numbers of the feed.
    pub async fn chat_news(&self, after: i64, up_to: i64) -> Result<Vec<Guest>, StoreError> {
        let sql = "SELECT m.author_scope AS channel, m.author_value AS visitor
                FROM event e JOIN message m ON m.id = e.message
                WHERE e.seq > $1 AND e.seq <= $2 AND m.author_scheme = 'web'
            UNION SELECT d.channel, d.to_value FROM event e JOIN delivery d ON d.message = e.message
                WHERE e.seq > $1 AND e.seq <= $2 AND d.to_scheme = 'web'
            UNION SELECT t.channel, t.thread FROM event e JOIN ticket t ON t.id = e.ticket
                WHERE e.seq > $1 AND e.seq <= $2 AND e.kind = 'ticket.updated' AND t.thread IS NOT NULL
            UNION SELECT v.channel, v.visitor FROM visitor v WHERE v.seq > $1 AND v.seq <= $2";
        let values: [Value; 2] = [after.into(), up_to.into()];
        let statement = Statement::from_sql_and_values(self.backend(), sql, values);
        let mut guests = Vec::new();
        for row in self.reader().query_all_raw(statement).await? {
            let channel: Option<String> = row.try_get("", "channel")?;
            let visitor: Option<String> = row.try_get("", "visitor")?;
            let channel = channel.and_then(|name| name.parse().ok());
            guests
                .extend(channel.zip(visitor).map(|(channel, visitor)| Guest { channel, visitor }));
        }
        Ok(guests)
    }
}

fn database<E: std::error::Error + Send + Sync + 'static>(error: E) -> StoreError {
    StoreError::Database(error.into())
}
