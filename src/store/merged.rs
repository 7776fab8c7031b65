//! What was merged into a ticket or a contact, and what undoing it would move: told before anybody undoes it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::{contact, identity, merge_record, ticket};
use super::parting::{MovedContact, MovedTicket};
use super::{Store, StoreError, moment};
use crate::model::{ContactId, TicketId};

/// A ticket that was merged into another one. What is told goes back to it when that is undone.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MergedTicket {
    /// Its id.
    pub id: Uuid,
    /// Its short number.
    pub number: i64,
    /// What it was about.
    pub subject: String,
    /// When it was merged.
    pub merged_at: DateTime<Utc>,
    /// Where it stood, and will stand again.
    pub status: String,
    /// Messages and notes.
    pub messages: usize,
    /// Call-backs.
    pub callbacks: usize,
    /// Tags that the other one loses again.
    pub tags: Vec<String>,
}

/// A contact that was joined with another one. What is told becomes its own again when that is undone.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MergedContact {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// When it was joined.
    pub merged_at: DateTime<Utc>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Tickets, without those that these addresses opened since: they go with it too.
    pub tickets: usize,
}

impl Store {
    /// Tickets that were merged into this one and can be taken out again, by their numbers.
    pub async fn merged_tickets(&self, into: TicketId) -> Result<Vec<MergedTicket>, StoreError> {
        let gone = ticket::Entity::find()
            .filter(ticket::Column::MergedInto.eq(into.uuid()))
            .filter(ticket::Column::DeletedAt.is_null())
            .order_by_asc(ticket::Column::Number)
            .all(self.reader())
            .await?;
        let mut records = self.merges_of::<MovedTicket>(gone.iter().map(|row| row.id)).await?;
        let told = gone.into_iter().filter_map(|row| {
            let (merged_at, moved) = records.remove(&row.id)?;
            Some(MergedTicket {
                id: row.id,
                number: row.number,
                subject: row.subject,
                merged_at,
                status: moved.status,
                messages: moved.messages.len(),
                callbacks: moved.callbacks.len(),
                tags: moved.tags,
            })
        });
        Ok(told.collect())
    }

    /// Contacts that were joined with this one and can be parted from it again, the oldest first.
    pub async fn merged_contacts(&self, into: ContactId) -> Result<Vec<MergedContact>, StoreError> {
        let gone = contact::Entity::find()
            .filter(contact::Column::MergedInto.eq(into.uuid()))
            .filter(contact::Column::ErasedAt.is_null())
            .order_by_asc(contact::Column::CreatedAt)
            .all(self.reader())
            .await?;
        let mut records = self.merges_of::<MovedContact>(gone.iter().map(|row| row.id)).await?;
        let moved = records.values().flat_map(|(_, moved)| moved.identities.iter().copied());
        let addresses: HashMap<Uuid, String> = identity::Entity::find()
            .filter(identity::Column::Id.is_in(moved))
            .all(self.reader())
            .await?
            .into_iter()
            .map(|row| (row.id, row.value))
            .collect();
        let told = gone.into_iter().filter_map(|row| {
            let (merged_at, moved) = records.remove(&row.id)?;
            let addresses = moved.identities.iter().filter_map(|id| addresses.get(id).cloned());
            Some(MergedContact {
                id: row.id,
                name: row.name,
                merged_at,
                addresses: addresses.collect(),
                tickets: moved.tickets.len(),
            })
        });
        Ok(told.collect())
    }

    /// What each merge moved. Earlier versions kept no record: what they merged is not in it.
    async fn merges_of<T: DeserializeOwned>(
        &self,
        gone: impl Iterator<Item = Uuid> + Send,
    ) -> Result<HashMap<Uuid, (DateTime<Utc>, T)>, StoreError> {
        let rows = merge_record::Entity::find()
            .filter(merge_record::Column::Gone.is_in(gone))
            .all(self.reader())
            .await?;
        let read = rows.into_iter().filter_map(|row| {
            let moved = serde_json::from_str(&row.moved).ok()?;
            Some((row.gone, (moment(row.merged_at), moved)))
        });
        Ok(read.collect())
    }
}
