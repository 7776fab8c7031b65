//! What each person at the desk keeps for themselves: lists of tickets, and how far they have read each ticket.
//! Nothing of it is told to others, so none of it is an event.

use std::collections::HashMap;

use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, OnConflict, Query};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::{mention, saved_view, ticket, ticket_seen};
use super::{Store, StoreError, TicketFilter, TicketView, millis};
use crate::model::{TicketId, UserId};

/// Lists of one person: more are no help.
const VIEWS_MAX: usize = 50;

/// A list of tickets that somebody keeps for themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SavedView {
    /// Its id.
    pub id: Uuid,
    /// What they call it.
    pub name: String,
    /// The query of `GET /tickets`, without limit and cursor.
    pub query: String,
}

impl From<saved_view::Model> for SavedView {
    fn from(row: saved_view::Model) -> Self {
        Self { id: row.id, name: row.name, query: row.query }
    }
}

impl Store {
    /// The lists of a person, in the order in which they were saved.
    pub async fn saved_views(&self, person: UserId) -> Result<Vec<SavedView>, StoreError> {
        let rows = saved_view::Entity::find()
            .filter(saved_view::Column::Person.eq(person.uuid()))
            .order_by_asc(saved_view::Column::Position)
            .order_by_asc(saved_view::Column::Id)
            .all(self.reader())
            .await?;
        Ok(rows.into_iter().map(SavedView::from).collect())
    }

    /// Keeps a list, behind the others. One with the same name is replaced, in its place.
    pub async fn save_view(
        &self,
        person: UserId,
        name: &str,
        query: &str,
    ) -> Result<SavedView, StoreError> {
        let (name, query) = (name.to_owned(), query.to_owned());
        self.write(move |tx| {
            let (name, query) = (name.clone(), query.clone());
            Box::pin(async move {
                let mine = saved_view::Entity::find()
                    .filter(saved_view::Column::Person.eq(person.uuid()))
                    .all(tx)
                    .await?;
                if let Some(known) = mine.iter().find(|known| known.name == name) {
                    let changed = saved_view::Model { query, ..known.clone() };
                    saved_view::Entity::update_many()
                        .col_expr(saved_view::Column::Query, Expr::value(&changed.query))
                        .filter(saved_view::Column::Id.eq(changed.id))
                        .exec(tx)
                        .await?;
                    return Ok(changed.into());
                }
                if mine.len() >= VIEWS_MAX {
                    let text = format!("{VIEWS_MAX} views of one person at most");
                    return Err(StoreError::Refused(text));
                }
                let last = mine.iter().map(|known| known.position).max().unwrap_or_default();
                let row = saved_view::Model {
                    id: Uuid::now_v7(),
                    person: person.uuid(),
                    name,
                    query,
                    position: last + 1,
                };
                saved_view::Entity::insert(row.clone().into_active_model())
                    .exec_without_returning(tx)
                    .await?;
                Ok(row.into())
            })
        })
        .await
    }

    /// Forgets a list; only its owner may.
    pub async fn forget_view(&self, person: UserId, id: Uuid) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let gone = saved_view::Entity::delete_many()
                    .filter(saved_view::Column::Id.eq(id))
                    .filter(saved_view::Column::Person.eq(person.uuid()))
                    .exec(tx)
                    .await?;
                let found = gone.rows_affected > 0;
                found.then_some(()).ok_or(StoreError::NotFound("view"))
            })
        })
        .await
    }

    /// How many tickets each filter finds; no more than `most` are counted. Order and limit do not matter.
    pub async fn tickets_in(
        &self,
        filters: &[TicketFilter],
        most: u64,
    ) -> Result<Vec<u64>, StoreError> {
        let mut counts = Vec::with_capacity(filters.len());
        for filter in filters {
            let Some(condition) = self.ticket_condition(filter) else {
                counts.push(0);
                continue;
            };
            let found = Query::select()
                .column((ticket::Entity, ticket::Column::Id))
                .from(ticket::Entity)
                .cond_where(condition)
                .limit(most)
                .to_owned();
            let counted = Query::select()
                .expr_as(Expr::cust("COUNT(*)"), Alias::new("found"))
                .from_subquery(found, Alias::new("some"))
                .to_owned();
            let row = self.reader().query_one(&counted).await?;
            let count = row.map(|row| row.try_get_by_index::<i64>(0)).transpose()?;
            counts.push(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default());
        }
        Ok(counts)
    }

    /// Notes that a person has seen a ticket as it is now, and all notes that name them in it.
    pub async fn person_reads(&self, person: UserId, ticket: TicketId) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                mention::Entity::delete_many()
                    .filter(mention::Column::Person.eq(person.uuid()))
                    .filter(mention::Column::Ticket.eq(ticket.uuid()))
                    .exec(tx)
                    .await?;
                let row = ticket::Entity::find_by_id(ticket.uuid()).one(tx).await?;
                let Some(inbound_at) = row.and_then(|row| row.last_inbound_at) else {
                    return Ok(());
                };
                let (person, ticket) = (person.uuid(), ticket.uuid());
                let seen = ticket_seen::Model { person, ticket, inbound_at };
                use ticket_seen::Column;
                let known = OnConflict::columns([Column::Person, Column::Ticket])
                    .update_column(Column::InboundAt)
                    .to_owned();
                ticket_seen::Entity::insert(seen.into_active_model())
                    .on_conflict(known)
                    .exec_without_returning(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// Marks the tickets in which the customer wrote something that this person has not seen.
    pub async fn mark_unread(
        &self,
        person: UserId,
        tickets: &mut [TicketView],
    ) -> Result<(), StoreError> {
        use ticket_seen::Column;
        let rows = ticket_seen::Entity::find()
            .filter(Column::Person.eq(person.uuid()))
            .filter(Column::Ticket.is_in(tickets.iter().map(|ticket| ticket.id)))
            .all(self.reader())
            .await?;
        let seen: HashMap<Uuid, i64> =
            rows.into_iter().map(|row| (row.ticket, row.inbound_at)).collect();
        for ticket in tickets {
            let until = seen.get(&ticket.id).copied().unwrap_or(i64::MIN);
            ticket.unread = Some(ticket.last_inbound_at.is_some_and(|at| millis(at) > until));
        }
        Ok(())
    }
}

/// Those whose customer wrote last, or was never answered: they wait for us. Else: those that were answered since.
pub(super) fn waits_for(us: bool) -> sea_orm::Condition {
    use ticket::Column;
    let column = |column: Column| Expr::col((ticket::Entity, column));
    let unanswered = Column::LastOutboundAt
        .is_null()
        .or(column(Column::LastInboundAt).gt(column(Column::LastOutboundAt)));
    let waits = sea_orm::Condition::all().add(Column::LastInboundAt.is_not_null()).add(unanswered);
    if us { waits } else { waits.not() }
}
