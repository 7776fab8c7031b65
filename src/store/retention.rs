//! What is erased by itself because its time is over: tickets, whoever they were the last ones of, and the bytes of
//! what became no message.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseTransaction, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use serde_json::json;
use uuid::Uuid;

use super::entity::{contact, contact_tag, delivery, journal, message, seal, ticket, ticket_tag};
use super::stats::DAY_MILLIS;
use super::{Store, StoreError, contact as contacts, millis, moment, search};
use crate::desk::retention::{RetentionRule, RetentionSetting};
use crate::model::{Actor, Timestamp};

/// Tickets, or raws, in one transaction.
pub const EXPIRED_MAX: u64 = 100;
/// Where tickets stand that have ended.
const ENDED: [&str; 3] = ["solved", "closed", "spam"];
/// Raws that wait for nobody any more.
const DONE: [&str; 3] = ["applied", "ignored", "failed"];

/// A ticket whose time is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Its number.
    pub ticket: i64,
    /// The rule that says so.
    pub rule: String,
    /// When something last happened to it.
    pub since: DateTime<Utc>,
}

impl Store {
    /// Tickets whose time is over, at most so many for each rule, those that wait longest first. Changes nothing.
    pub async fn expired_tickets(
        &self,
        setting: &RetentionSetting,
        limit: u64,
        now: Timestamp,
    ) -> Result<Vec<Expired>, StoreError> {
        let mut seen = HashSet::new();
        let mut expired = Vec::new();
        for rule in &setting.rules {
            let rows = over(rule, setting, now).limit(limit).all(self.reader()).await?;
            let new = rows.into_iter().filter(|row| seen.insert(row.id));
            expired.extend(new.map(|row| Expired {
                ticket: row.number,
                rule: rule.name.clone(),
                since: moment(row.updated_at),
            }));
        }
        Ok(expired)
    }

    /// Erases some of them, all or none. Returns how many: fewer than [`EXPIRED_MAX`] were all there are.
    pub async fn erase_expired(
        &self,
        setting: &RetentionSetting,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        // Mostly there is nothing to do, and a look costs no commit.
        if self.expired_tickets(setting, 1, now).await?.is_empty() {
            return Ok(0);
        }
        let setting = setting.clone();
        self.write_without_trace(move |tx| {
            let setting = setting.clone();
            Box::pin(async move {
                let mut count = 0;
                for rule in &setting.rules {
                    count += erase_by(tx, rule, &setting, (EXPIRED_MAX - count, now)).await?;
                }
                search::scrub(tx).await?;
                Ok(count)
            })
        })
        .await
    }

    /// Raws that became no message and whose bytes are to be destroyed by now. Changes nothing.
    pub async fn count_old_raws(&self, days: u32, now: Timestamp) -> Result<u64, StoreError> {
        Ok(idle(before(days, now)).count(self.reader()).await?)
    }

    /// Destroys the bytes of raws that became no message, `days` after they came. Returns how many.
    pub async fn forget_old_raws(&self, days: u32, now: Timestamp) -> Result<u64, StoreError> {
        let before = before(days, now);
        if idle(before).one(self.reader()).await?.is_none() {
            return Ok(0);
        }
        self.write_without_trace(move |tx| {
            Box::pin(async move {
                let rows: Vec<(Uuid, Uuid)> = idle(before)
                    .select_only()
                    .columns([journal::Column::Id, journal::Column::Seal])
                    .limit(EXPIRED_MAX)
                    .lock_exclusive()
                    .into_tuple()
                    .all(tx)
                    .await?;
                let count = rows.len() as u64;
                let raws: Vec<Uuid> = rows.into_iter().map(|(id, _)| id).collect();
                // What cannot be read any more is no case for people.
                journal::Entity::update_many()
                    .col_expr(journal::Column::State, Expr::value("ignored"))
                    .filter(journal::Column::Id.is_in(raws.iter().copied()))
                    .filter(journal::Column::State.eq("failed"))
                    .exec(tx)
                    .await?;
                contacts::forget_raws(tx, &raws).await?;
                Ok(count)
            })
        })
        .await
    }
}

/// Erases what one rule says, so many tickets at most. Returns how many.
async fn erase_by(
    tx: &DatabaseTransaction,
    rule: &RetentionRule,
    setting: &RetentionSetting,
    (limit, now): (u64, Timestamp),
) -> Result<u64, StoreError> {
    let rows = over(rule, setting, now).limit(limit).lock_exclusive().all(tx).await?;
    let count = rows.len() as u64;
    for row in rows {
        let contact = row.contact;
        let why = json!({ "retention": rule.name });
        super::ticket::erase(tx, row, (Actor::system(), why), now).await?;
        if setting.contacts {
            erase_stranger(tx, contact, now).await?;
        }
    }
    Ok(count)
}

fn before(days: u32, now: Timestamp) -> i64 {
    millis(now).saturating_sub(i64::from(days).saturating_mul(DAY_MILLIS))
}

/// Tickets of one rule whose time is over. One with a reply under way at this moment waits.
fn over(
    rule: &RetentionRule,
    setting: &RetentionSetting,
    now: Timestamp,
) -> Select<ticket::Entity> {
    use ticket::Column;
    let under_way = Query::select()
        .column(delivery::Column::Ticket)
        .from(delivery::Entity)
        .and_where(delivery::Column::State.eq("sending"))
        .to_owned();
    let mut wanted = Condition::all()
        .add(Column::Status.is_in(ENDED))
        .add(Column::UpdatedAt.lt(before(rule.after_days, now)))
        .add(Column::DeletedAt.is_null())
        .add(Column::MergedInto.is_null())
        .add(Column::Id.not_in_subquery(under_way));
    if !rule.channels.is_empty() {
        wanted = wanted.add(Column::Channel.is_in(rule.channels.iter().cloned()));
    }
    if !rule.tags.is_empty() {
        wanted = wanted.add(Column::Id.in_subquery(tagged(&rule.tags)));
    }
    let kept: Vec<String> = rule.no_tags.iter().chain(&setting.hold).cloned().collect();
    if !kept.is_empty() {
        wanted = wanted.add(Column::Id.not_in_subquery(tagged(&kept)));
    }
    if !setting.hold.is_empty() {
        let held = Query::select()
            .column(contact_tag::Column::Contact)
            .from(contact_tag::Entity)
            .and_where(contact_tag::Column::Tag.is_in(setting.hold.iter().cloned()))
            .to_owned();
        wanted = wanted.add(Column::Contact.not_in_subquery(held));
    }
    ticket::Entity::find().filter(wanted).order_by_asc(Column::UpdatedAt).order_by_asc(Column::Id)
}

fn tagged(tags: &[String]) -> SelectStatement {
    Query::select()
        .column(ticket_tag::Column::Ticket)
        .from(ticket_tag::Entity)
        .and_where(ticket_tag::Column::Tag.is_in(tags.iter().cloned()))
        .to_owned()
}

/// Erases a contact of whom nothing is left: no ticket, and no word in anybody else's.
async fn erase_stranger(
    tx: &DatabaseTransaction,
    id: Uuid,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ticket = ticket::Entity::find()
        .filter(ticket::Column::Contact.eq(id))
        .filter(ticket::Column::DeletedAt.is_null())
        .one(tx)
        .await?;
    let message = message::Entity::find()
        .filter(message::Column::Contact.eq(id))
        .filter(message::Column::DeletedAt.is_null())
        .one(tx)
        .await?;
    if ticket.is_some() || message.is_some() {
        return Ok(());
    }
    let row = contact::Entity::find_by_id(id)
        .filter(contact::Column::ErasedAt.is_null())
        .filter(contact::Column::MergedInto.is_null())
        .lock_exclusive()
        .one(tx)
        .await?;
    match row {
        Some(row) => contacts::erase(tx, row, Actor::system(), now).await,
        None => Ok(()),
    }
}

/// Raws from before then that became no message and can still be read.
fn idle(before: i64) -> Select<journal::Entity> {
    use journal::Column;
    let its_message = Query::select()
        .column(message::Column::Id)
        .from(message::Entity)
        .and_where(
            Expr::col((message::Entity, message::Column::Raw))
                .equals((journal::Entity, Column::Id)),
        )
        // A notice of ours that something cannot be read is not what it says.
        .and_where(message::Column::Kind.ne("system"))
        .to_owned();
    let keys = Query::select().column(seal::Column::Id).from(seal::Entity).to_owned();
    journal::Entity::find()
        .filter(Column::State.is_in(DONE))
        .filter(Column::ReceivedAt.lt(before))
        .filter(Column::Message.is_null())
        .filter(Expr::not_exists(its_message))
        .filter(Column::Seal.in_subquery(keys))
        .order_by_asc(Column::Id)
}
