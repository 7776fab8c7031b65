//! Due times of answers: worked out again for each ticket that changed, and told when they come near and pass.
//!
//! Nothing in the way of a message has to know of them: a ticket's version says that something changed, and what
//! it says is read from the messages themselves.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict, SimpleExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};
use serde_json::json;
use uuid::Uuid;

use super::entity::{message, ticket, ticket_due};
use super::event::{self, NewEvent};
use super::ticket::untag;
use super::{Store, StoreError, millis, moment};
use crate::desk::{Awaited, Triage};
use crate::model::{Actor, Priority, Timestamp};

/// Tickets in one transaction.
const TICKETS_MAX: u64 = 200;
/// On a ticket whose answer will soon be late.
const SOON: &str = "due_soon";
/// On a ticket whose answer was late once.
const LATE: &str = "overdue";

/// Says that an answer is due soon: of one ticket, as it is now.
pub(super) fn is_of_due(tag: &str) -> bool {
    tag == SOON
}

/// When an answer is due, as it is shown.
#[derive(Debug, Clone)]
pub(super) struct ShownDue {
    pub(super) awaited: Option<String>,
    pub(super) due_at: DateTime<Utc>,
}

impl Store {
    /// Works out when answers are due in tickets that changed, and tells of those that come near or are late.
    /// Any node may do it; each is told once. Returns how many tickets it touched.
    pub async fn tend_due(
        &self,
        triage: &Arc<Triage>,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let changed = changed(self.reader()).await?;
        // Mostly there is nothing to do, and a look costs no commit.
        if changed.is_empty() && near(now).one(self.reader()).await?.is_none() {
            return Ok(0);
        }
        let triage = triage.clone();
        self.write(move |tx| {
            let (changed, triage) = (changed.clone(), triage.clone());
            Box::pin(async move {
                let mut events = Vec::new();
                for id in &changed {
                    work_out(tx, *id, &triage).await?;
                }
                let near = near(now).lock_exclusive().limit(TICKETS_MAX).all(tx).await?;
                let count = changed.len() + near.len();
                for row in near {
                    events.extend(tell(tx, row, now).await?);
                }
                event::record(tx, events, now).await?;
                Ok(count)
            })
        })
        .await
    }
}

/// Tickets that changed since it was worked out, or that wait no more.
async fn changed<C: ConnectionTrait>(db: &C) -> Result<Vec<Uuid>, StoreError> {
    // Each half has an index of its own: what is open, and what is due. Tickets that ended long ago are not looked at.
    let sql = "SELECT t.id FROM ticket t LEFT JOIN ticket_due d ON d.ticket = t.id
        WHERE t.status = 'open' AND t.merged_into IS NULL AND t.deleted_at IS NULL
            AND (d.ticket IS NULL OR d.version <> t.version)
        UNION SELECT d.ticket FROM ticket_due d JOIN ticket t ON t.id = d.ticket
        WHERE d.due_at IS NOT NULL
            AND (t.status <> 'open' OR t.merged_into IS NOT NULL OR t.deleted_at IS NOT NULL)
        LIMIT 200";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
}

fn near(now: Timestamp) -> sea_orm::Select<ticket_due::Entity> {
    use ticket_due::Column;
    ticket_due::Entity::find()
        .filter(Column::WarnAt.lte(millis(now)))
        .filter(Column::DueAt.is_not_null())
        .filter(Column::Told.eq(0).or(Column::Told.eq(1).and(Column::DueAt.lte(millis(now)))))
        .order_by_asc(Column::DueAt)
}

async fn work_out(tx: &DatabaseTransaction, id: Uuid, triage: &Triage) -> Result<(), StoreError> {
    let Some(row) = ticket::Entity::find_by_id(id).lock_exclusive().one(tx).await? else {
        return Ok(());
    };
    let before = ticket_due::Entity::find_by_id(id).one(tx).await?;
    let waits = row.status == "open" && row.merged_into.is_none() && row.deleted_at.is_none();
    let since = if waits { waiting_since(tx, id).await? } else { None };
    let awaited = if row.first_response_at.is_some() { Awaited::Next } else { Awaited::First };
    let priority = row.priority.parse().unwrap_or(Priority::Normal);
    let due = since.and_then(|since| triage.due(priority, awaited, moment(since)));
    let due_at = due.map(|due| millis(due.due_at));
    let told = before.as_ref().filter(|before| before.due_at == due_at && due_at.is_some());
    let told = told.map_or(0, |before| before.told);
    if told == 0 && before.is_some_and(|before| before.told > 0) {
        untag(tx, id, SOON).await?;
    }
    let new = ticket_due::Model {
        ticket: id,
        version: row.version,
        awaited: due.map(|_| awaited.as_str().to_owned()),
        since: since.filter(|_| due.is_some()),
        warn_at: due.map(|due| millis(due.warn_at)),
        due_at,
        told,
    };
    let known = OnConflict::column(ticket_due::Column::Ticket)
        .update_columns([
            ticket_due::Column::Version,
            ticket_due::Column::Awaited,
            ticket_due::Column::Since,
            ticket_due::Column::WarnAt,
            ticket_due::Column::DueAt,
            ticket_due::Column::Told,
        ])
        .to_owned();
    let insert = ticket_due::Entity::insert(new.into_active_model()).on_conflict(known);
    insert.exec_without_returning(tx).await?;
    Ok(())
}

/// When the customer wrote the first message that nobody here has answered. What machines write waits for nobody,
/// and what we send by ourselves answers nobody.
async fn waiting_since(tx: &DatabaseTransaction, ticket: Uuid) -> Result<Option<i64>, StoreError> {
    use message::Column;
    let answered: Option<Option<i64>> = message::Entity::find()
        .select_only()
        .column_as(Column::Seq.max(), "answered")
        .filter(Column::Ticket.eq(ticket))
        .filter(Column::Direction.eq("out"))
        .filter(Column::AuthorKind.is_in(["agent", "token"]))
        .into_tuple()
        .one(tx)
        .await?;
    let first: Option<(Option<i64>, i64)> = message::Entity::find()
        .select_only()
        .columns([Column::ReceivedAt, Column::SentAt])
        .filter(Column::Ticket.eq(ticket))
        .filter(Column::Seq.gt(answered.flatten().unwrap_or(0)))
        .filter(Column::Direction.eq("in"))
        .filter(Column::Kind.ne("system"))
        .filter(Column::Flags.not_like("%auto_reply%"))
        .filter(Column::Flags.not_like("%imported%"))
        .order_by_asc(Column::Seq)
        .limit(1)
        .into_tuple()
        .one(tx)
        .await?;
    Ok(first.map(|(received_at, sent_at)| received_at.unwrap_or(sent_at)))
}

/// The warning, or that it is late.
async fn tell(
    tx: &DatabaseTransaction,
    row: ticket_due::Model,
    now: Timestamp,
) -> Result<Option<NewEvent>, StoreError> {
    let Some(ticket) = ticket::Entity::find_by_id(row.ticket).one(tx).await? else {
        return Ok(None);
    };
    let late = row.due_at.is_some_and(|due_at| due_at <= millis(now));
    let (told, kind, tag) =
        if late { (2, "ticket.overdue", LATE) } else { (1, "ticket.due_soon", SOON) };
    if late {
        untag(tx, row.ticket, SOON).await?;
    }
    super::ticket::tag(tx, row.ticket, tag).await?;
    let mut event = NewEvent::of(row.ticket, kind, Actor::system());
    event.channel = Some(ticket.channel);
    event.data = json!({
        "awaited": row.awaited,
        "since": row.since.map(moment),
        "due_at": row.due_at.map(moment),
        "priority": ticket.priority,
        "assignee": ticket.assignee,
    });
    let change =
        ticket_due::ActiveModel { ticket: Set(row.ticket), told: Set(told), ..Default::default() };
    ticket_due::Entity::update(change).exec(tx).await?;
    Ok(Some(event))
}

/// What is due in these tickets.
pub(super) async fn due_of<C: ConnectionTrait>(
    db: &C,
    tickets: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, ShownDue>, StoreError> {
    let rows = ticket_due::Entity::find()
        .filter(ticket_due::Column::Ticket.is_in(tickets))
        .filter(ticket_due::Column::DueAt.is_not_null())
        .all(db)
        .await?;
    let shown = rows.into_iter().filter_map(|row| {
        let due_at = moment(row.due_at?);
        Some((row.ticket, ShownDue { awaited: row.awaited, due_at }))
    });
    Ok(shown.collect())
}

/// For sorting: what is due first comes first, what is never due last.
pub(super) fn due_expr() -> SimpleExpr {
    Expr::cust(
        "COALESCE((SELECT d.due_at FROM ticket_due d WHERE d.ticket = ticket.id), 9007199254740991)",
    )
}

/// The same for a ticket that is shown.
pub(super) fn due_key(due_at: Option<DateTime<Utc>>) -> i64 {
    due_at.map_or(9_007_199_254_740_991, millis)
}
