//! Tickets as people see them: lists, one ticket, and (in the files beside) every change that a person makes.

mod change;
mod combine;
mod note;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, Order, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::contact::{ContactBrief, briefs};
use super::desk::waits_for;
use super::entity::{mention, message, team_member, ticket, ticket_tag};
use super::{Store, StoreError, due, millis, moment, search, survey};
use crate::model::{Priority, TicketId, TicketStatus};

/// So many merges are followed: one into the next.
pub(super) const MERGES_MAX: usize = 16;

pub use change::TicketPatch;
pub(super) use change::{apply, erase, has_another, person_of, tag, untag};
pub use combine::Combined;
pub(super) use combine::{recount, reload};
pub use note::NewNote;
pub(super) use note::write_note;

/// A ticket.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Ticket)]
pub struct TicketView {
    /// Its id.
    pub id: Uuid,
    /// Its short number, for people.
    pub number: i64,
    /// What it is about.
    pub subject: String,
    /// `open`, `pending`, `solved`, `closed` or `spam`.
    pub status: String,
    /// `low`, `normal`, `high` or `urgent`.
    pub priority: String,
    /// By which agents share work.
    pub queue: Option<String>,
    /// The id of the person who has it.
    pub assignee: Option<Uuid>,
    /// Free words, sorted.
    pub tags: Vec<String>,
    /// The channel that it came by.
    pub channel: String,
    /// Whose it is.
    pub contact: ContactBrief,
    /// The customer's language, where it is known.
    pub language: Option<String>,
    /// When it was opened.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When the answer that the customer waits for is due, where one is promised.
    pub due_at: Option<DateTime<Utc>>,
    /// Which answer that is: the `first`, or the `next`.
    pub due_for: Option<String>,
    /// When somebody first answered it; acknowledgements do not count.
    pub first_response_at: Option<DateTime<Utc>>,
    /// When the customer last wrote.
    pub last_inbound_at: Option<DateTime<Utc>>,
    /// When we last wrote.
    pub last_outbound_at: Option<DateTime<Utc>>,
    /// How the customer judged it, from 1 (very bad) to 5 (very good).
    pub rating: Option<i32>,
    /// What they said to that.
    pub rating_comment: Option<String>,
    /// What that is about.
    pub rating_topics: Vec<String>,
    /// When it was solved or closed.
    pub solved_at: Option<DateTime<Utc>>,
    /// It comes back then.
    pub snoozed_until: Option<DateTime<Utc>>,
    /// Messages and notes in it.
    pub message_count: i64,
    /// Grows with each change: for `If-Match`.
    pub version: i64,
    /// The ticket that took this one's messages.
    pub merged_into: Option<Uuid>,
    /// The ticket that this one goes on from.
    pub linked_to: Option<Uuid>,
    /// Has the customer written something that whoever asks has not seen? In lists, and for people only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unread: Option<bool>,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Turn {
    /// The customer wrote last.
    Us,
    /// We wrote last.
    Customer,
}

/// What a list of tickets is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TicketKey {
    /// The last change.
    Updated,
    /// The opening.
    Created,
    /// The short number.
    Number,
    /// Low first.
    Priority,
    /// What is due first comes first, what is never due last.
    Due,
}

/// Which tickets to list. Words that do not exist find nothing.
#[derive(Debug, Clone)]
pub struct TicketFilter {
    /// Any of these; empty: all.
    pub status: Vec<TicketStatus>,
    /// Any of these; empty: all.
    pub priority: Vec<Priority>,
    /// Any of these; empty: all.
    pub channel: Vec<String>,
    /// `Some(None)`: those of nobody.
    pub assignee: Option<Option<Uuid>>,
    /// All of these.
    pub tag: Vec<String>,
    /// `Some(None)`: those of no queue.
    pub queue: Option<Option<String>>,
    /// Of this contact.
    pub contact: Option<Uuid>,
    /// Changed after this moment.
    pub updated_after: Option<DateTime<Utc>>,
    /// Those that wait for somebody.
    pub waiting: Option<Turn>,
    /// Those with a note that names this person, who has not looked since.
    pub mentioned: Option<Uuid>,
    /// Those of the queues that this person works on.
    pub team: Option<Uuid>,
    /// Words, all of which one of its messages (or its subject) has.
    pub q: Option<String>,
    /// The order.
    pub key: TicketKey,
    /// Largest first.
    pub descending: bool,
    /// The last one of the page before: its key and id.
    pub after: Option<(i64, Uuid)>,
    /// At most so many.
    pub limit: u64,
}

/// How a ticket is named: by its id or by its short number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketName {
    /// The id.
    Id(Uuid),
    /// The short number.
    Number(i64),
}

impl std::str::FromStr for TicketName {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let number = text.parse::<i64>().ok().filter(|number| *number > 0);
        let name = number.map(Self::Number).or_else(|| Uuid::parse_str(text).ok().map(Self::Id));
        name.ok_or(StoreError::NotFound("ticket"))
    }
}

impl TicketView {
    /// The value that the list is sorted by.
    #[must_use]
    pub fn key(&self, key: TicketKey) -> i64 {
        match key {
            TicketKey::Updated => millis(self.updated_at),
            TicketKey::Created => millis(self.created_at),
            TicketKey::Number => self.number,
            TicketKey::Due => due::due_key(self.due_at),
            TicketKey::Priority => {
                let rank = Priority::ALL.iter().position(|word| word.as_str() == self.priority);
                rank.and_then(|rank| i64::try_from(rank).ok()).unwrap_or_default()
            }
        }
    }
}

fn key_expr(key: TicketKey) -> SimpleExpr {
    let column = |column: ticket::Column| Expr::col((ticket::Entity, column));
    match key {
        TicketKey::Updated => column(ticket::Column::UpdatedAt),
        TicketKey::Created => column(ticket::Column::CreatedAt),
        TicketKey::Number => column(ticket::Column::Number),
        TicketKey::Due => due::due_expr(),
        TicketKey::Priority => Expr::cust(
            "CASE ticket.priority WHEN 'low' THEN 0 WHEN 'normal' THEN 1 WHEN 'high' THEN 2 ELSE 3 END",
        ),
    }
}

impl Store {
    /// A page of tickets. Deleted ones and those that were merged into others are not in it.
    pub async fn tickets(&self, filter: &TicketFilter) -> Result<Vec<TicketView>, StoreError> {
        let Some(condition) = self.ticket_condition(filter) else { return Ok(Vec::new()) };
        let order = if filter.descending { Order::Desc } else { Order::Asc };
        let rows = ticket::Entity::find()
            .filter(condition)
            .order_by(key_expr(filter.key), order.clone())
            .order_by(ticket::Column::Id, order)
            .limit(filter.limit)
            .all(self.reader())
            .await?;
        views(self.reader(), rows).await
    }

    /// `None`: nothing can match.
    pub(super) fn ticket_condition(&self, filter: &TicketFilter) -> Option<Condition> {
        use ticket::Column;
        let words = |words: &[&'static str]| words.to_vec();
        let status: Vec<_> = filter.status.iter().map(|word| word.as_str()).collect();
        let priority: Vec<_> = filter.priority.iter().map(|word| word.as_str()).collect();
        let mut all = Condition::all()
            .add(Column::DeletedAt.is_null())
            .add(Column::MergedInto.is_null())
            .add_option((!status.is_empty()).then(|| Column::Status.is_in(words(&status))))
            .add_option((!priority.is_empty()).then(|| Column::Priority.is_in(words(&priority))))
            .add_option(
                (!filter.channel.is_empty()).then(|| Column::Channel.is_in(&filter.channel)),
            )
            .add_option(filter.contact.map(|contact| Column::Contact.eq(contact)))
            .add_option(filter.updated_after.map(|at| Column::UpdatedAt.gt(millis(at))))
            .add_option(filter.waiting.map(|turn| waits_for(turn == Turn::Us)))
            .add_option(filter.assignee.map(|assignee| match assignee {
                Some(assignee) => Column::Assignee.eq(assignee),
                None => Column::Assignee.is_null(),
            }))
            .add_option(filter.queue.as_ref().map(|queue| match queue {
                Some(queue) => Column::Queue.eq(queue),
                None => Column::Queue.is_null(),
            }));
        if let Some(person) = filter.mentioned {
            let named = Query::select()
                .column(mention::Column::Ticket)
                .from(mention::Entity)
                .and_where(mention::Column::Person.eq(person))
                .to_owned();
            all = all.add(Column::Id.in_subquery(named));
        }
        if let Some(person) = filter.team {
            let queues = Query::select()
                .column(team_member::Column::Queue)
                .from(team_member::Entity)
                .and_where(team_member::Column::Person.eq(person))
                .to_owned();
            all = all.add(Column::Queue.in_subquery(queues));
        }
        for tag in &filter.tag {
            let tagged = Query::select()
                .column(ticket_tag::Column::Ticket)
                .from(ticket_tag::Entity)
                .and_where(ticket_tag::Column::Tag.eq(tag))
                .to_owned();
            all = all.add(Column::Id.in_subquery(tagged));
        }
        if let Some(q) = &filter.q {
            let found = search::matches(self.backend(), q)?;
            let found = message::Entity::find()
                .select_only()
                .column(message::Column::Ticket)
                .filter(found)
                .into_query();
            all = all.add(Column::Id.in_subquery(found));
        }
        if let Some((key, id)) = filter.after {
            let column = key_expr(filter.key);
            let (beyond, id) = if filter.descending {
                (column.clone().lt(key), Column::Id.lt(id))
            } else {
                (column.clone().gt(key), Column::Id.gt(id))
            };
            all = all.add(beyond.or(column.eq(key).and(id)));
        }
        Some(all)
    }

    /// One ticket. A merged one is shown as it is, with `merged_into`.
    pub async fn ticket(&self, name: TicketName) -> Result<TicketView, StoreError> {
        let row = find(self.reader(), name).await?;
        view(self.reader(), row).await
    }

    /// The id of a ticket.
    pub async fn ticket_id(&self, name: TicketName) -> Result<TicketId, StoreError> {
        Ok(find(self.reader(), name).await?.id.into())
    }
}

/// The ticket that a ticket was merged into, wherever that led in the end; itself, if it was not.
pub(super) async fn surviving<C: ConnectionTrait>(
    db: &C,
    mut row: Option<ticket::Model>,
) -> Result<Option<ticket::Model>, StoreError> {
    for _ in 0..MERGES_MAX {
        let Some(into) = row.as_ref().and_then(|row| row.merged_into) else { break };
        row = ticket::Entity::find_by_id(into).one(db).await?;
    }
    Ok(row)
}

/// A ticket that is not deleted.
pub(super) async fn find<C: ConnectionTrait>(
    db: &C,
    name: TicketName,
) -> Result<ticket::Model, StoreError> {
    let which = match name {
        TicketName::Id(id) => ticket::Column::Id.eq(id),
        TicketName::Number(number) => ticket::Column::Number.eq(number),
    };
    let row = ticket::Entity::find()
        .filter(which)
        .filter(ticket::Column::DeletedAt.is_null())
        .one(db)
        .await?;
    row.ok_or(StoreError::NotFound("ticket"))
}

/// The same, kept from others until the commit, and compared with the version that the caller knew.
pub(super) async fn take(
    tx: &sea_orm::DatabaseTransaction,
    id: Uuid,
    version: Option<i64>,
) -> Result<ticket::Model, StoreError> {
    let row = ticket::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    let row = row.filter(|row| row.deleted_at.is_none()).ok_or(StoreError::NotFound("ticket"))?;
    if let Some(given) = version.filter(|given| *given != row.version) {
        return Err(StoreError::Stale { given, current: row.version });
    }
    if row.merged_into.is_some() {
        let text = format!("ticket {} was merged into another one", row.number);
        return Err(StoreError::Refused(text));
    }
    Ok(row)
}

pub(super) async fn view<C: ConnectionTrait>(
    db: &C,
    row: ticket::Model,
) -> Result<TicketView, StoreError> {
    views(db, vec![row]).await?.pop().ok_or(StoreError::NotFound("ticket"))
}

/// Rows with their tags and contacts.
async fn views<C: ConnectionTrait>(
    db: &C,
    rows: Vec<ticket::Model>,
) -> Result<Vec<TicketView>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut tags: HashMap<Uuid, Vec<String>> = HashMap::new();
    let found = ticket_tag::Entity::find()
        .filter(ticket_tag::Column::Ticket.is_in(rows.iter().map(|row| row.id)))
        .order_by_asc(ticket_tag::Column::Tag)
        .all(db)
        .await?;
    for row in found {
        tags.entry(row.ticket).or_default().push(row.tag);
    }
    let contacts = briefs(db, rows.iter().map(|row| row.contact)).await?;
    let mut due = due::due_of(db, rows.iter().map(|row| row.id)).await?;
    let mut judged = survey::judged(db, rows.iter().map(|row| row.id)).await?;
    let shown = rows.into_iter().map(|row| {
        let due = due.remove(&row.id);
        let contact = contacts.get(&row.contact).cloned();
        let contact = contact.unwrap_or_else(|| ContactBrief::unknown(row.contact));
        let tags = tags.remove(&row.id).unwrap_or_default();
        let mut view = shown(row, tags, contact);
        view.due_at = due.as_ref().map(|due| due.due_at);
        view.due_for = due.and_then(|due| due.awaited);
        if let Some(judged) = judged.remove(&view.id) {
            view.rating_topics = survey::topics(judged.topics.as_deref());
            (view.rating, view.rating_comment) = (judged.score, judged.comment);
        }
        view
    });
    Ok(shown.collect())
}

fn shown(row: ticket::Model, tags: Vec<String>, contact: ContactBrief) -> TicketView {
    TicketView {
        id: row.id,
        number: row.number,
        subject: row.subject,
        status: row.status,
        priority: row.priority,
        queue: row.queue,
        assignee: row.assignee,
        tags,
        channel: row.channel,
        contact,
        language: row.language,
        created_at: moment(row.created_at),
        updated_at: moment(row.updated_at),
        due_at: None,
        due_for: None,
        rating: None,
        rating_comment: None,
        rating_topics: Vec::new(),
        first_response_at: row.first_response_at.map(moment),
        last_inbound_at: row.last_inbound_at.map(moment),
        last_outbound_at: row.last_outbound_at.map(moment),
        solved_at: row.solved_at.map(moment),
        snoozed_until: row.snoozed_until.map(moment),
        message_count: row.message_count,
        version: row.version,
        merged_into: row.merged_into,
        linked_to: row.linked_to,
        unread: None,
    }
}
