//! Pending tickets whose customer says nothing: who is warned, and whose ticket ends.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction,
    EntityTrait as _, FromQueryResult as _, IntoActiveModel as _, QueryFilter as _, Statement,
    sea_query::OnConflict,
};
use serde_json::json;
use uuid::Uuid;

use super::entity::{close_warning, ticket};
use super::event::{self, NewEvent};
use super::stats::DAY_MILLIS;
use super::ticket::{TicketPatch, apply, tag};
use super::{Store, StoreError, millis};
use crate::desk::close::{CLOSED, CloseSetting};
use crate::model::{Actor, MessageId, TicketId, TicketStatus, Timestamp};

/// Nobody has said a word since, and a customer is waited for: `$1`.
const SILENT: &str = "t.status = 'pending' AND t.snoozed_until IS NULL AND t.merged_into IS NULL
    AND t.deleted_at IS NULL AND t.last_inbound_at IS NOT NULL";
/// The last word of either side.
const LAST: &str = "CASE WHEN COALESCE(t.last_outbound_at, 0) > t.last_inbound_at
    THEN t.last_outbound_at ELSE t.last_inbound_at END";

/// A warning that is to be sent.
#[derive(Debug, Clone)]
pub struct CloseNotice {
    /// About which ticket.
    pub ticket: TicketId,
    /// The message that it becomes: the same at every attempt.
    pub message: MessageId,
    /// The customer's language.
    pub language: Option<String>,
    /// The ticket's short number.
    pub number: u64,
    /// What it is about.
    pub subject: String,
}

impl Store {
    /// Whom to warn now. What was noted and not sent comes again, with the same message.
    pub async fn close_warnings(
        &self,
        setting: &CloseSetting,
        now: Timestamp,
    ) -> Result<Vec<CloseNotice>, StoreError> {
        self.note_queued_warnings().await?;
        let before = millis(now) - i64::from(setting.warn_days.max(1)) * DAY_MILLIS;
        let due = silent(self.reader(), before).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        self.write(move |tx| {
            Box::pin(async move {
                let mut notices = Vec::new();
                for row in silent(tx, before).await? {
                    let noted = close_warning::Entity::find_by_id(row.id).one(tx).await?;
                    // Noted and not sent: the same message again.
                    let unsent = noted.filter(|noted| noted.warned_at.is_none());
                    let message = match unsent {
                        Some(unsent) => unsent.message,
                        None => note(tx, row.id).await?,
                    };
                    notices.push(CloseNotice {
                        ticket: row.id.into(),
                        message: message.into(),
                        language: row.language,
                        number: u64::try_from(row.number).unwrap_or_default(),
                        subject: row.subject,
                    });
                }
                Ok(notices)
            })
        })
        .await
    }

    /// A node may have died between queueing a warning and noting that: what was queued was said.
    async fn note_queued_warnings(&self) -> Result<(), StoreError> {
        if queued(self.reader()).await?.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            Box::pin(async move {
                for (ticket, at) in queued(tx).await? {
                    note_warned(tx, ticket, at).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// The warning was queued.
    pub async fn close_warned(&self, ticket: TicketId, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move { note_warned(tx, ticket.uuid(), millis(now)).await })
        })
        .await
    }

    /// Nothing can be sent any more: the ticket ends without a warning, and says so.
    pub async fn close_unwarned(
        &self,
        ticket: TicketId,
        why: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let why = why.clone();
            Box::pin(async move {
                close(tx, ticket.uuid(), &format!("no warning could be sent: {why}"), now).await
            })
        })
        .await
    }

    /// Ends the tickets of those who were warned and said nothing. Returns how many.
    pub async fn close_silent(
        &self,
        setting: &CloseSetting,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let before = millis(now) - i64::from(setting.solve_days.max(1)) * DAY_MILLIS;
        if warned(self.reader(), before).await?.is_empty() {
            return Ok(0);
        }
        self.write(move |tx| {
            Box::pin(async move {
                let due = warned(tx, before).await?;
                for id in &due {
                    close(tx, *id, "the customer said nothing after the warning", now).await?;
                }
                Ok(due.len())
            })
        })
        .await
    }
}

/// Tickets without a word since `before`, that were not warned in this silence.
async fn silent<C: ConnectionTrait>(db: &C, before: i64) -> Result<Vec<ticket::Model>, StoreError> {
    let sql = format!(
        "SELECT t.* FROM ticket t LEFT JOIN close_warning w ON w.ticket = t.id
         WHERE {SILENT} AND {LAST} < $1 AND (w.ticket IS NULL OR w.warned_at IS NULL
            OR w.warned_at < {LAST}) LIMIT 100"
    );
    let backend = db.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, sql, [before.into()]);
    let rows = db.query_all_raw(statement).await?;
    Ok(rows
        .iter()
        .map(|row| ticket::Model::from_query_result(row, ""))
        .collect::<Result<_, _>>()?)
}

/// Tickets that were warned before then, with nothing said since.
async fn warned<C: ConnectionTrait>(db: &C, before: i64) -> Result<Vec<Uuid>, StoreError> {
    let sql = format!(
        "SELECT t.id FROM ticket t JOIN close_warning w ON w.ticket = t.id
         WHERE {SILENT} AND w.warned_at < $1 AND {LAST} <= w.warned_at LIMIT 100"
    );
    let backend = db.get_database_backend();
    let statement = Statement::from_sql_and_values(backend, sql, [before.into()]);
    let rows = db.query_all_raw(statement).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
}

async fn note_warned(tx: &DatabaseTransaction, ticket: Uuid, at: i64) -> Result<(), StoreError> {
    let warned = close_warning::ActiveModel {
        ticket: Set(ticket),
        warned_at: Set(Some(at)),
        ..Default::default()
    };
    close_warning::Entity::update(warned).exec(tx).await?;
    Ok(())
}

/// Warnings that were queued and not noted, with when that was.
async fn queued<C: ConnectionTrait>(db: &C) -> Result<Vec<(Uuid, i64)>, StoreError> {
    let sql = "SELECT w.ticket, m.sent_at FROM close_warning w JOIN message m ON m.id = w.message
         WHERE w.warned_at IS NULL LIMIT 100";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    let read =
        |row: &sea_orm::QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    rows.iter().map(read).collect()
}

async fn note(tx: &DatabaseTransaction, ticket: Uuid) -> Result<Uuid, StoreError> {
    let message = MessageId::new().uuid();
    let new = close_warning::Model { ticket, message, warned_at: None };
    let known = OnConflict::column(close_warning::Column::Ticket)
        .update_columns([close_warning::Column::Message, close_warning::Column::WarnedAt])
        .to_owned();
    let insert = close_warning::Entity::insert(new.into_active_model()).on_conflict(known);
    insert.exec_without_returning(tx).await?;
    Ok(message)
}

async fn close(
    tx: &DatabaseTransaction,
    id: Uuid,
    why: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let row = ticket::Entity::find_by_id(id)
        .filter(Condition::all().add(ticket::Column::Status.eq("pending")))
        .one(tx)
        .await?;
    let Some(row) = row else { return Ok(()) };
    let channel = row.channel.clone();
    let patch = TicketPatch { status: Some(TicketStatus::Solved), ..TicketPatch::default() };
    apply(tx, row, patch, Actor::system(), now).await?;
    tag(tx, id, CLOSED).await?;
    let mut event = NewEvent::of(id, "ticket.auto_closed", Actor::system());
    event.channel = Some(channel);
    event.data = json!({ "why": why });
    event::record(tx, vec![event], now).await
}
