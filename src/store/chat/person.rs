//! The visitor's own row: what each side has read, who is typing, which tokens are void.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait as _, DatabaseTransaction,
    EntityTrait as _, QueryFilter as _, Statement, Value, sea_query::OnConflict,
};
use uuid::Uuid;

use super::super::entity::{message, visitor};
use super::super::event::take_numbers;
use super::super::{Store, StoreError, millis, moment};
use super::Guest;
use crate::model::{TicketId, Timestamp};

/// What is known of somebody at the other end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VisitorState {
    /// Have they ever said something?
    pub known: bool,
    /// Tokens made before this are void.
    pub tokens_after: Option<Timestamp>,
    /// When they last had a stream open, or wrote.
    pub seen_at: Option<Timestamp>,
    /// They are typing until then.
    pub typing_until: Option<Timestamp>,
    /// An agent is typing until then.
    pub agent_typing_until: Option<Timestamp>,
    /// Who.
    pub agent_name: Option<String>,
    /// The place up to which they have read.
    pub read: i64,
    /// The place up to which an agent has read.
    pub agent_read: i64,
}

/// A column that one side moves forward.
enum Mark {
    Visitor,
    Agent,
}

impl Store {
    /// What is known of somebody; of a stranger, nothing.
    pub async fn visitor(&self, guest: &Guest) -> Result<VisitorState, StoreError> {
        let id = (guest.channel.as_str().to_owned(), guest.visitor.clone());
        let Some(row) = visitor::Entity::find_by_id(id).one(self.reader()).await? else {
            return Ok(VisitorState::default());
        };
        Ok(state_of(row))
    }

    /// Notes that they said something, and where a mail reaches them.
    pub async fn greet_visitor(
        &self,
        guest: &Guest,
        email: Option<String>,
        language: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let guest = guest.clone();
        self.write(move |tx| {
            let (guest, email, language) = (guest.clone(), email.clone(), language.clone());
            Box::pin(async move {
                let mut row = fresh(&guest, now);
                let mut changed = vec![visitor::Column::SeenAt, visitor::Column::TypingUntil];
                if email.is_some() {
                    row.email = Set(email);
                    changed.push(visitor::Column::Email);
                }
                if language.is_some() {
                    row.language = Set(language);
                    changed.push(visitor::Column::Language);
                }
                upsert(tx, row, changed).await
            })
        })
        .await
    }

    /// Makes all their tokens void, on every node.
    pub async fn void_tokens(&self, guest: &Guest, now: Timestamp) -> Result<(), StoreError> {
        let guest = guest.clone();
        self.write(move |tx| {
            let mut row = fresh(&guest, now);
            row.tokens_after = Set(Some(millis(now)));
            Box::pin(upsert(tx, row, vec![visitor::Column::TokensAfter]))
        })
        .await
    }

    /// They are typing, until that moment. Of somebody who never said anything it is not noted.
    pub async fn visitor_types(&self, guest: &Guest, until: Timestamp) -> Result<(), StoreError> {
        let guest = guest.clone();
        self.write(move |tx| {
            let guest = guest.clone();
            Box::pin(async move {
                visitor::Entity::update_many()
                    .set(visitor::ActiveModel {
                        typing_until: Set(millis(until)),
                        ..Default::default()
                    })
                    .filter(visitor::Column::Channel.eq(guest.channel.as_str()))
                    .filter(visitor::Column::Visitor.eq(&guest.visitor))
                    .exec(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// They have read everything up to a place.
    pub async fn visitor_reads(&self, guest: &Guest, place: i64) -> Result<(), StoreError> {
        let guest = guest.clone();
        self.write(move |tx| {
            let guest = guest.clone();
            Box::pin(async move { move_mark(tx, &guest, &Mark::Visitor, place).await })
        })
        .await
    }

    /// An agent has read the ticket: whoever wrote into it by web chat is told.
    pub async fn agent_reads(&self, ticket: TicketId) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                for guest in guests_of(tx, ticket.uuid()).await? {
                    let place = last_place(tx, &guest).await?;
                    move_mark(tx, &guest, &Mark::Agent, place).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// An agent is typing into the ticket, until that moment.
    pub async fn agent_types(
        &self,
        ticket: TicketId,
        name: Option<String>,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let name = name.clone();
            Box::pin(async move {
                for guest in guests_of(tx, ticket.uuid()).await? {
                    let seq = *take_numbers(tx, "feed", 1).await?.end();
                    visitor::Entity::update_many()
                        .set(visitor::ActiveModel {
                            agent_typing_until: Set(millis(until)),
                            agent_name: Set(name.clone()),
                            seq: Set(seq),
                            ..Default::default()
                        })
                        .filter(visitor::Column::Channel.eq(guest.channel.as_str()))
                        .filter(visitor::Column::Visitor.eq(&guest.visitor))
                        .exec(tx)
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// They have a stream open. Strangers are not noted.
    pub async fn visitors_are_here(
        &self,
        guests: Vec<Guest>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let guests = guests.clone();
            Box::pin(async move {
                for guest in guests {
                    visitor::Entity::update_many()
                        .set(visitor::ActiveModel {
                            seen_at: Set(millis(now)),
                            ..Default::default()
                        })
                        .filter(visitor::Column::Channel.eq(guest.channel.as_str()))
                        .filter(visitor::Column::Visitor.eq(&guest.visitor))
                        .exec(tx)
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Whoever wrote into the ticket by web chat, as an agent's screen shows them.
    pub async fn chat_visitors(
        &self,
        ticket: TicketId,
    ) -> Result<Vec<(Guest, VisitorState)>, StoreError> {
        let guests = guests_of(self.reader(), ticket.uuid()).await?;
        if guests.is_empty() {
            return Ok(Vec::new());
        }
        let theirs = guests.iter().fold(Condition::any(), |any, guest| {
            let one = Condition::all()
                .add(visitor::Column::Channel.eq(guest.channel.as_str()))
                .add(visitor::Column::Visitor.eq(&guest.visitor));
            any.add(one)
        });
        let rows = visitor::Entity::find().filter(theirs).all(self.reader()).await?;
        let mut known: HashMap<(String, String), VisitorState> = rows
            .into_iter()
            .map(|row| ((row.channel.clone(), row.visitor.clone()), state_of(row)))
            .collect();
        let with_state = |guest: Guest| {
            let id = (guest.channel.as_str().to_owned(), guest.visitor.clone());
            (guest, known.remove(&id).unwrap_or_default())
        };
        Ok(guests.into_iter().map(with_state).collect())
    }
}

fn state_of(row: visitor::Model) -> VisitorState {
    let when = |at: i64| (at > 0).then(|| moment(at));
    VisitorState {
        known: true,
        tokens_after: row.tokens_after.map(moment),
        seen_at: when(row.seen_at),
        typing_until: when(row.typing_until),
        agent_typing_until: when(row.agent_typing_until),
        agent_name: row.agent_name,
        read: row.read,
        agent_read: row.agent_read,
    }
}

fn fresh(guest: &Guest, now: Timestamp) -> visitor::ActiveModel {
    visitor::ActiveModel {
        channel: Set(guest.channel.as_str().to_owned()),
        visitor: Set(guest.visitor.clone()),
        email: Set(None),
        language: Set(None),
        created_at: Set(millis(now)),
        seen_at: Set(millis(now)),
        tokens_after: Set(None),
        typing_until: Set(0),
        agent_typing_until: Set(0),
        agent_name: Set(None),
        read: Set(0),
        agent_read: Set(0),
        continued: Set(0),
        seq: Set(0),
    }
}

async fn upsert(
    tx: &DatabaseTransaction,
    row: visitor::ActiveModel,
    changed: Vec<visitor::Column>,
) -> Result<(), StoreError> {
    let known = [visitor::Column::Channel, visitor::Column::Visitor];
    visitor::Entity::insert(row)
        .on_conflict(OnConflict::columns(known).update_columns(changed).to_owned())
        .exec_without_returning(tx)
        .await?;
    Ok(())
}

/// Only ever forward; a change gets a place in the feed, so that streams on all nodes see it.
async fn move_mark(
    tx: &DatabaseTransaction,
    guest: &Guest,
    mark: &Mark,
    place: i64,
) -> Result<(), StoreError> {
    let column = match mark {
        Mark::Visitor => "read",
        Mark::Agent => "agent_read",
    };
    let seq = *take_numbers(tx, "feed", 1).await?.end();
    let sql = format!(
        "UPDATE visitor SET {column} = $3, seq = $4
         WHERE channel = $1 AND visitor = $2 AND {column} < $3"
    );
    let values: [Value; 4] =
        [guest.channel.as_str().into(), guest.visitor.as_str().into(), place.into(), seq.into()];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    tx.execute_raw(statement).await?;
    Ok(())
}

async fn guests_of<C: sea_orm::ConnectionTrait>(
    db: &C,
    ticket: Uuid,
) -> Result<Vec<Guest>, StoreError> {
    use sea_orm::QuerySelect as _;
    let rows: Vec<(Option<String>, Option<String>)> = message::Entity::find()
        .select_only()
        .columns([message::Column::AuthorScope, message::Column::AuthorValue])
        .filter(message::Column::Ticket.eq(ticket))
        .filter(message::Column::AuthorScheme.eq("web"))
        .distinct()
        .into_tuple()
        .all(db)
        .await?;
    let guest = |(channel, visitor): (Option<String>, Option<String>)| {
        Some(Guest { channel: channel?.parse().ok()?, visitor: visitor? })
    };
    Ok(rows.into_iter().filter_map(guest).collect())
}

/// The place of the last thing that they said.
async fn last_place(tx: &DatabaseTransaction, guest: &Guest) -> Result<i64, StoreError> {
    let sql = "SELECT MAX(e.seq) AS seq FROM message m CROSS JOIN event e
        WHERE m.author_scheme = 'web' AND m.author_value = $2 AND m.author_scope = $1
        AND e.message = m.id AND e.kind = 'message.created'";
    let values: [Value; 2] = [guest.channel.as_str().into(), guest.visitor.as_str().into()];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    let row = tx.query_one_raw(statement).await?;
    let seq = row.map(|row| row.try_get::<Option<i64>>("", "seq")).transpose()?.flatten();
    Ok(seq.unwrap_or(0))
}
