//! Everything that is kept about a contact, for the contact.

use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::super::entity::ticket;
use super::super::message::MessageView;
use super::super::ticket::{TicketName, TicketView};
use super::super::{Store, StoreError};
use super::ContactView;
use crate::model::{ContactId, Timestamp};

/// Messages read at once.
const PAGE: u64 = 500;

/// Everything that is kept about a contact. Notes between agents are not in it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ContactExport {
    /// When it was put together.
    pub exported_at: DateTime<Utc>,
    /// The contact.
    pub contact: ContactView,
    /// All tickets of theirs.
    pub tickets: Vec<TicketExport>,
}

/// A ticket with its messages.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TicketExport {
    /// The ticket.
    #[serde(flatten)]
    pub ticket: TicketView,
    /// What went in and out. Attachments are named; their bytes are at `/api/v1/attachments/{id}`.
    pub messages: Vec<MessageView>,
}

impl Store {
    /// Puts together everything that is kept about a contact.
    pub async fn export_contact(
        &self,
        id: ContactId,
        now: Timestamp,
    ) -> Result<ContactExport, StoreError> {
        let contact = self.contact(id).await?;
        let ids: Vec<Uuid> = ticket::Entity::find()
            .select_only()
            .column(ticket::Column::Id)
            .filter(ticket::Column::Contact.eq(id.uuid()))
            .filter(ticket::Column::DeletedAt.is_null())
            .order_by_asc(ticket::Column::Number)
            .into_tuple()
            .all(self.reader())
            .await?;
        let mut tickets = Vec::with_capacity(ids.len());
        for id in ids {
            let ticket = self.ticket(TicketName::Id(id)).await?;
            tickets.push(TicketExport { ticket, messages: self.exchanged(id).await? });
        }
        Ok(ContactExport { exported_at: now, contact, tickets })
    }

    async fn exchanged(&self, ticket: Uuid) -> Result<Vec<MessageView>, StoreError> {
        let mut all = Vec::new();
        let mut after = 0;
        loop {
            let page = self.ticket_messages(ticket, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = last.seq;
            all.extend(page.into_iter().filter(|message| message.direction != "internal"));
        }
    }
}
