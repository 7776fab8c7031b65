//! Known answers that went out by themselves: what the time does to them, and how they do.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, DatabaseTransaction, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
    sea_query::{Expr, ExprTrait as _, Query},
};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::{delivery, faq_answer, faq_earlier, ticket};
use super::event::{self, NewEvent};
use super::ticket::{TicketPatch, apply, tag};
use super::{StatsFilter, Store, StoreError, millis};
use crate::desk::faq::FollowUp;
use crate::desk::faq::answer::ESCALATED;
use crate::model::{Actor, TicketStatus, Timestamp};

/// Rows in one transaction.
const ROWS_MAX: u64 = 200;
/// States of a delivery that the customer has not got, and will not get by itself.
const LOST: [&str; 5] = ["failed", "bounced", "unconfirmed", "held", "cancelled"];

/// How often an article went out by itself, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct AnswerFigures {
    /// Sent to customers.
    pub shown: u64,
    /// The customer said that it helped.
    pub helped: u64,
    /// The customer wanted a person, or wrote something else.
    pub escalated: u64,
    /// The customer went on from it to one of its follow-ups.
    pub followed: u64,
    /// The customer said nothing, so that a human looked at it.
    pub silent: u64,
    /// It could not be delivered, so that a human looked at it.
    pub failed: u64,
    /// A human answered or ended the ticket before the customer said anything.
    pub taken: u64,
    /// Nothing is known yet.
    pub waiting: u64,
}

impl Store {
    /// Notes what became of known answers without a word of the customer: nobody said anything for long
    /// enough, it did not arrive, or a human was faster. Any node may do it; each happens once. Returns how
    /// many there were.
    pub async fn tend_answers(&self, now: Timestamp) -> Result<usize, StoreError> {
        // Mostly there is nothing to do, and a look costs no commit.
        if ended(now).one(self.reader()).await?.is_none() {
            return Ok(0);
        }
        self.write(move |tx| {
            Box::pin(async move {
                let rows = ended(now).lock_exclusive().limit(ROWS_MAX).all(tx).await?;
                let count = rows.len();
                for row in rows {
                    end(tx, row, now).await?;
                }
                Ok(count)
            })
        })
        .await
    }

    /// How the known answers of a span did, by article.
    pub async fn answer_figures(
        &self,
        filter: &StatsFilter,
    ) -> Result<BTreeMap<String, AnswerFigures>, StoreError> {
        use faq_answer::Column;
        use faq_earlier::Column as Earlier;
        let mut rows: Vec<(String, String, i64)> = faq_answer::Entity::find()
            .select_only()
            .columns([Column::Article, Column::Outcome])
            .column_as(Column::Ticket.count(), "tickets")
            .filter(Column::ShownAt.gte(millis(filter.from)))
            .filter(Column::ShownAt.lt(millis(filter.to)))
            .filter(
                Condition::all()
                    .add_option(filter.channel.as_ref().map(|one| Column::Channel.eq(one))),
            )
            .group_by(Column::Article)
            .group_by(Column::Outcome)
            .into_tuple()
            .all(self.reader())
            .await?;
        let earlier: Vec<(String, String, i64)> = faq_earlier::Entity::find()
            .select_only()
            .columns([Earlier::Article, Earlier::Outcome])
            .column_as(Earlier::Ticket.count(), "tickets")
            .filter(Earlier::ShownAt.gte(millis(filter.from)))
            .filter(Earlier::ShownAt.lt(millis(filter.to)))
            .filter(
                Condition::all()
                    .add_option(filter.channel.as_ref().map(|one| Earlier::Channel.eq(one))),
            )
            .group_by(Earlier::Article)
            .group_by(Earlier::Outcome)
            .into_tuple()
            .all(self.reader())
            .await?;
        rows.extend(earlier);
        let mut figures: BTreeMap<String, AnswerFigures> = BTreeMap::new();
        for (article, outcome, count) in rows {
            let count = u64::try_from(count).unwrap_or_default();
            let of = figures.entry(article).or_default();
            of.shown += count;
            match outcome.as_str() {
                "helped" => of.helped += count,
                "escalated" => of.escalated += count,
                "followed" => of.followed += count,
                "silent" => of.silent += count,
                "failed" => of.failed += count,
                "taken" => of.taken += count,
                _ => of.waiting += count,
            }
        }
        Ok(figures)
    }
}

/// What was offered below an answer.
pub(super) fn offered(stored: Option<&str>) -> Vec<FollowUp> {
    stored.and_then(|stored| serde_json::from_str(stored).ok()).unwrap_or_default()
}

/// The same as a row keeps it.
pub(super) fn stored(offered: &[FollowUp]) -> Option<String> {
    (!offered.is_empty()).then(|| json!(offered).to_string())
}

/// The row that is kept of an answer from which the customer went on.
pub(super) fn left(row: &faq_answer::Model, place: usize, now: i64) -> faq_earlier::Model {
    // That it helped, or that they said nothing for long, stays true.
    let outcome = if row.outcome == "shown" { "followed" } else { &row.outcome };
    faq_earlier::Model {
        ticket: row.ticket,
        place: i32::try_from(place).unwrap_or(i32::MAX),
        channel: row.channel.clone(),
        article: row.article.clone(),
        outcome: outcome.to_owned(),
        follow_ups: row.follow_ups.clone(),
        shown_at: row.shown_at,
        ended_at: row.ended_at.unwrap_or(now),
        sent: row.sent,
    }
}

/// Answers that wait for the customer's word no longer.
fn ended(now: DateTime<Utc>) -> Select<faq_answer::Entity> {
    use faq_answer::Column;
    let lost = Query::select()
        .column(delivery::Column::Message)
        .from(delivery::Entity)
        .and_where(delivery::Column::State.is_in(LOST))
        .to_owned();
    let elsewhere = Query::select()
        .column(ticket::Column::Id)
        .from(ticket::Entity)
        .and_where(
            Expr::col(ticket::Column::FirstResponseAt)
                .is_not_null()
                .or(ticket::Column::Status.is_in(["solved", "closed", "spam"]))
                .or(Expr::col(ticket::Column::MergedInto).is_not_null())
                .or(Expr::col(ticket::Column::DeletedAt).is_not_null()),
        )
        .to_owned();
    faq_answer::Entity::find()
        .filter(Column::Outcome.eq("shown"))
        .filter(
            Condition::any()
                .add(Column::Until.lte(millis(now)))
                // What they read on the page has reached them.
                .add(Column::Sent.eq(true).and(Column::Message.in_subquery(lost)))
                .add(Column::Ticket.in_subquery(elsewhere)),
        )
        .order_by_asc(Column::ShownAt)
}

/// Who said nothing is looked at by a human, and so is who got nothing.
async fn end(
    tx: &DatabaseTransaction,
    row: faq_answer::Model,
    now: Timestamp,
) -> Result<(), StoreError> {
    let of = ticket::Entity::find_by_id(row.ticket).one(tx).await?;
    let waits = of.filter(|of| {
        let open = matches!(of.status.as_str(), "open" | "pending");
        let here = of.merged_into.is_none() && of.deleted_at.is_none();
        open && here && of.first_response_at.is_none()
    });
    let (outcome, why) = match &waits {
        None => ("taken", None),
        Some(_) if row.sent && is_lost(tx, row.message).await? => {
            ("failed", Some("the answer did not reach the customer"))
        }
        Some(_) => ("silent", Some("the customer said nothing")),
    };
    if let (Some(of), Some(why)) = (waits, why) {
        let (id, channel) = (of.id, of.channel.clone());
        let open = (of.status == "pending").then_some(TicketStatus::Open);
        let patch =
            TicketPatch { status: open, snoozed_until: Some(None), ..TicketPatch::default() };
        apply(tx, of, patch, Actor::system(), now).await?;
        tag(tx, id, ESCALATED).await?;
        let mut event = NewEvent::of(id, "faq.escalated", Actor::system());
        event.channel = Some(channel);
        event.data = json!({ "article": row.article, "why": why });
        event::record(tx, vec![event], now).await?;
    }
    let change = faq_answer::ActiveModel {
        ticket: Set(row.ticket),
        outcome: Set(outcome.to_owned()),
        ended_at: Set(Some(millis(now))),
        ..Default::default()
    };
    faq_answer::Entity::update(change).exec(tx).await?;
    Ok(())
}

async fn is_lost(tx: &DatabaseTransaction, message: Uuid) -> Result<bool, StoreError> {
    let lost = delivery::Entity::find()
        .filter(delivery::Column::Message.eq(message))
        .filter(delivery::Column::State.is_in(LOST))
        .one(tx)
        .await?;
    Ok(lost.is_some())
}
