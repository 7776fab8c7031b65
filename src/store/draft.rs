//! What people write and have not sent yet: one draft of a person in a ticket, on whatever device they go on.

use chrono::{DateTime, Utc};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QuerySelect as _,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::draft::{self, Column, Entity};
use super::{Store, StoreError, millis, moment};
use crate::model::{TicketId, Timestamp, UserId};

/// Nobody goes on with what is older.
const KEPT: chrono::Duration = chrono::Duration::days(30);

/// What somebody has written and not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Draft {
    /// `reply` or `note`.
    pub kind: String,
    /// The words.
    pub text: String,
    /// The version of the ticket that they answer: whoever sends it with `If-Match` is told if somebody was faster.
    pub version: Option<i64>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

impl Store {
    /// The draft of a person in a ticket.
    pub async fn draft(
        &self,
        person: UserId,
        ticket: TicketId,
    ) -> Result<Option<Draft>, StoreError> {
        let key = (person.uuid(), ticket.uuid());
        let row = Entity::find_by_id(key).one(self.reader()).await?;
        Ok(row.map(|row| Draft {
            kind: row.kind,
            text: row.text,
            version: row.version,
            updated_at: moment(row.updated_at),
        }))
    }

    /// Keeps a draft in the place of the one before; an empty one is none.
    pub async fn keep_draft(
        &self,
        person: UserId,
        ticket: TicketId,
        draft: Draft,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let draft = draft.clone();
            Box::pin(async move {
                let key = (person.uuid(), ticket.uuid());
                if draft.text.trim().is_empty() {
                    Entity::delete_by_id(key).exec(tx).await?;
                    return Ok(());
                }
                let row = draft::Model {
                    person: key.0,
                    ticket: key.1,
                    kind: draft.kind,
                    text: draft.text,
                    version: draft.version,
                    updated_at: millis(draft.updated_at),
                };
                let known = OnConflict::columns([Column::Person, Column::Ticket])
                    .update_columns([
                        Column::Kind,
                        Column::Text,
                        Column::Version,
                        Column::UpdatedAt,
                    ])
                    .to_owned();
                Entity::insert(row.into_active_model())
                    .on_conflict(known)
                    .exec_without_returning(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Who wrote on a draft in this ticket since a moment.
    pub async fn drafting(
        &self,
        ticket: TicketId,
        since: Timestamp,
    ) -> Result<Vec<Uuid>, StoreError> {
        let found = Entity::find()
            .select_only()
            .column(Column::Person)
            .filter(Column::Ticket.eq(ticket.uuid()))
            .filter(Column::UpdatedAt.gte(millis(since)));
        Ok(found.into_tuple().all(self.reader()).await?)
    }

    /// Forgets drafts that nobody went on with for a month. Returns how many.
    pub async fn forget_old_drafts(&self, now: Timestamp) -> Result<u64, StoreError> {
        let before = millis(now - KEPT);
        self.write(move |tx| {
            Box::pin(async move {
                let old = Entity::delete_many().filter(Column::UpdatedAt.lt(before));
                Ok(old.exec(tx).await?.rows_affected)
            })
        })
        .await
    }
}
