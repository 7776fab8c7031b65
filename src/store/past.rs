//! Messages of the past as the rules see them: to try rules before they are switched on.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use super::entity::{attachment, message, ticket, ticket_tag};
use super::{Store, StoreError, contact, moment};
use crate::model::{Address, Flag, Priority, TicketStatus};

/// Ids in one question: far from both databases' limits of variables.
const IDS_MAX: usize = 500;
const HOUR_MILLIS: i64 = 3_600_000;

/// A message that a customer wrote, with its ticket as it stands today.
#[derive(Debug, Clone)]
pub struct PastMessage {
    /// Its id.
    pub id: Uuid,
    /// The number of its ticket.
    pub ticket: i64,
    /// The channel.
    pub channel: String,
    /// Its language, where it is known.
    pub language: Option<String>,
    /// Its own subject.
    pub subject: Option<String>,
    /// Its words.
    pub text: String,
    /// Who wrote.
    pub sender: Option<Address>,
    /// What was noticed about it.
    pub flags: BTreeSet<Flag>,
    /// The types of its attachments.
    pub media_types: Vec<String>,
    /// Did it open its ticket?
    pub opens: bool,
    /// When it came.
    pub at: DateTime<Utc>,
    /// When its ticket was opened.
    pub ticket_at: DateTime<Utc>,
    /// Where its ticket stands.
    pub status: TicketStatus,
    /// The priority of its ticket.
    pub priority: Priority,
    /// The tags of its ticket.
    pub tags: BTreeSet<String>,
    /// The tags of its contact.
    pub contact_tags: BTreeSet<String>,
    /// Messages of its contact within the hour up to it, as far as they were asked for.
    pub messages: u64,
}

impl Store {
    /// The last messages of customers, oldest first.
    pub async fn past_messages(&self, last: u64) -> Result<Vec<PastMessage>, StoreError> {
        let mut rows = message::Entity::find()
            .filter(message::Column::Direction.eq("in"))
            .filter(message::Column::Kind.ne("system"))
            .filter(message::Column::DeletedAt.is_null())
            .order_by_desc(message::Column::Seq)
            .limit(last)
            .all(self.reader())
            .await?;
        rows.reverse();
        let tickets: BTreeSet<Uuid> = rows.iter().map(|row| row.ticket).collect();
        let tickets: Vec<Uuid> = tickets.into_iter().collect();
        let known = self.tickets_of(&tickets).await?;
        let messages: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let mut files = self.media_types_of(&messages).await?;
        let writers: BTreeSet<Uuid> = rows.iter().filter_map(|row| row.contact).collect();
        let contact_tags = self.contact_tags_of(&writers).await?;
        let mut lately: HashMap<Uuid, Vec<i64>> = HashMap::new();
        let mut past = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(of) = known.get(&row.ticket) else { continue };
            let at = row.received_at.unwrap_or(row.sent_at);
            let writer = row.contact.unwrap_or_default();
            let times = lately.entry(writer).or_default();
            times.retain(|time| at - time < HOUR_MILLIS);
            times.push(at);
            past.push(PastMessage {
                id: row.id,
                ticket: of.row.number,
                opens: of.first == Some(row.seq),
                messages: times.len() as u64,
                at: moment(at),
                ticket_at: moment(of.row.created_at),
                status: of.row.status.parse().unwrap_or(TicketStatus::Open),
                priority: of.row.priority.parse().unwrap_or(Priority::Normal),
                tags: of.tags.clone(),
                contact_tags: contact_tags.get(&writer).cloned().unwrap_or_default(),
                media_types: files.remove(&row.id).unwrap_or_default(),
                sender: sender(&row),
                flags: serde_json::from_str(&row.flags).unwrap_or_default(),
                channel: row.channel,
                language: row.language,
                subject: row.subject,
                text: row.text,
            });
        }
        Ok(past)
    }

    async fn tickets_of(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Of>, StoreError> {
        let mut known = HashMap::with_capacity(ids.len());
        for ids in ids.chunks(IDS_MAX) {
            let ids = || ids.iter().copied();
            let rows = ticket::Entity::find().filter(ticket::Column::Id.is_in(ids()));
            for row in rows.all(self.reader()).await? {
                known.insert(row.id, Of { row, tags: BTreeSet::new(), first: None });
            }
            let rows = ticket_tag::Entity::find().filter(ticket_tag::Column::Ticket.is_in(ids()));
            for row in rows.all(self.reader()).await? {
                if let Some(of) = known.get_mut(&row.ticket) {
                    of.tags.insert(row.tag);
                }
            }
            let firsts: Vec<(Uuid, i64)> = message::Entity::find()
                .select_only()
                .column(message::Column::Ticket)
                .column_as(message::Column::Seq.min(), "first")
                .filter(message::Column::Ticket.is_in(ids()))
                .group_by(message::Column::Ticket)
                .into_tuple()
                .all(self.reader())
                .await?;
            for (ticket, first) in firsts {
                if let Some(of) = known.get_mut(&ticket) {
                    of.first = Some(first);
                }
            }
        }
        Ok(known)
    }

    async fn contact_tags_of(
        &self,
        ids: &BTreeSet<Uuid>,
    ) -> Result<HashMap<Uuid, BTreeSet<String>>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().copied().collect();
        let mut tags = HashMap::new();
        for ids in ids.chunks(IDS_MAX) {
            tags.extend(contact::tags_of(self.reader(), ids.iter().copied()).await?);
        }
        Ok(tags)
    }

    async fn media_types_of(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<String>>, StoreError> {
        let mut files: HashMap<Uuid, Vec<String>> = HashMap::new();
        for ids in ids.chunks(IDS_MAX) {
            let rows: Vec<(Option<Uuid>, String)> = attachment::Entity::find()
                .select_only()
                .columns([attachment::Column::Message, attachment::Column::MediaType])
                .filter(attachment::Column::Message.is_in(ids.iter().copied()))
                .into_tuple()
                .all(self.reader())
                .await?;
            for (message, media_type) in rows {
                files.entry(message.unwrap_or_default()).or_default().push(media_type);
            }
        }
        Ok(files)
    }
}

/// What is known of a ticket.
struct Of {
    row: ticket::Model,
    tags: BTreeSet<String>,
    /// The place of its first message.
    first: Option<i64>,
}

fn sender(row: &message::Model) -> Option<Address> {
    Some(Address {
        scheme: row.author_scheme.as_deref()?.parse().ok()?,
        scope: row.author_scope.as_deref().and_then(|scope| scope.parse().ok()),
        value: row.author_value.clone()?,
    })
}
