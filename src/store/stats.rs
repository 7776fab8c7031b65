//! Figures: how much came, how fast it was answered and solved; in all, by channel, by
//! language, by tag, by known answer, by day.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sea_orm::sea_query::{Expr, Query, SelectStatement, SimpleExpr};
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QuerySelect as _,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::{faq_answer, faq_earlier, message, ticket, ticket_tag};
use super::faq::AnswerFigures;
use super::survey::{Ratings, Scores};
use super::{Store, StoreError, millis};

pub(super) const DAY_MILLIS: i64 = 86_400_000;

/// The span that figures are wanted of.
#[derive(Debug, Clone)]
pub struct StatsFilter {
    /// From this moment.
    pub from: DateTime<Utc>,
    /// Until before this one.
    pub to: DateTime<Utc>,
    /// Only of this channel.
    pub channel: Option<String>,
}

/// Figures of one span. Times are in seconds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Stats {
    /// The span begins with it.
    pub from: DateTime<Utc>,
    /// The span ends before it.
    pub to: DateTime<Utc>,
    /// All together.
    pub total: Figures,
    /// By the channel's name.
    pub by_channel: BTreeMap<String, Figures>,
    /// By the language of the ticket, where it is known: of tickets only.
    pub by_language: BTreeMap<String, Figures>,
    /// By tag: of tickets only.
    pub by_tag: BTreeMap<String, Figures>,
    /// By known answer that went out by itself within the span.
    pub by_article: BTreeMap<String, ArticleStats>,
    /// By day in UTC, `2026-11-24`.
    pub by_day: BTreeMap<String, Figures>,
    /// How customers judged within the span, whenever their tickets were opened.
    pub ratings: Ratings,
}

/// Figures of one known answer.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct ArticleStats {
    /// How often it went out within the span, and what came of it.
    #[serde(flatten)]
    pub answers: AnswerFigures,
    /// The tickets of the span that it went to: of tickets only.
    pub tickets: Figures,
    /// How customers judged within the span, where it was the last one of their ticket.
    pub ratings: Scores,
}

/// Figures of one group.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Figures {
    /// Tickets opened.
    pub tickets_created: u64,
    /// Of these: solved or closed by now.
    pub tickets_solved: u64,
    /// Messages from customers.
    pub messages_in: u64,
    /// Messages to customers.
    pub messages_out: u64,
    /// From the opening to the first answer by a person.
    pub first_response: Span,
    /// From the opening to the end.
    pub resolution: Span,
}

/// How long something took, in seconds.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Span {
    /// How often it happened.
    pub count: u64,
    /// The mean.
    pub mean: Option<f64>,
    /// Half of them took less.
    pub median: Option<f64>,
    /// Nine of ten took less.
    pub p90: Option<f64>,
}

#[derive(Default)]
struct Group {
    figures: Figures,
    responses: Vec<i64>,
    resolutions: Vec<i64>,
}

impl Group {
    fn ticket(&mut self, row: &TicketTimes) {
        self.figures.tickets_created += 1;
        self.responses.extend(row.first_response_at.map(|at| at - row.created_at));
        if let Some(solved_at) = row.solved_at {
            self.figures.tickets_solved += 1;
            self.resolutions.push(solved_at - row.created_at);
        }
    }

    fn messages(&mut self, direction: &str, count: u64) {
        match direction {
            "in" => self.figures.messages_in += count,
            "out" => self.figures.messages_out += count,
            _ => {}
        }
    }

    fn done(self) -> Figures {
        Figures {
            first_response: span(self.responses),
            resolution: span(self.resolutions),
            ..self.figures
        }
    }
}

/// When a ticket was opened, answered and solved.
#[derive(FromQueryResult)]
pub(super) struct TicketTimes {
    pub(super) id: Uuid,
    pub(super) channel: String,
    pub(super) language: Option<String>,
    pub(super) created_at: i64,
    pub(super) first_response_at: Option<i64>,
    pub(super) solved_at: Option<i64>,
}

/// Messages of one channel and direction on one day.
pub(super) struct MessageCount {
    pub(super) channel: String,
    pub(super) direction: String,
    /// Since 1970.
    pub(super) day: i64,
    pub(super) count: u64,
}

#[derive(Default)]
struct Groups {
    total: Group,
    by_channel: BTreeMap<String, Group>,
    by_language: BTreeMap<String, Group>,
    by_tag: BTreeMap<String, Group>,
    by_article: BTreeMap<String, Group>,
    by_day: BTreeMap<String, Group>,
}

impl Store {
    /// Figures of one span.
    pub async fn stats(&self, filter: &StatsFilter) -> Result<Stats, StoreError> {
        let mut groups = Groups::default();
        self.count_tickets(filter, &mut groups).await?;
        self.count_messages(filter, &mut groups).await?;
        let done = |groups: BTreeMap<String, Group>| {
            groups.into_iter().map(|(name, group)| (name, group.done())).collect()
        };
        let ratings = self.ratings(filter).await?;
        let answers = self.answer_figures(filter).await?;
        let by_article = articles(answers, done(groups.by_article), &ratings);
        Ok(Stats {
            from: filter.from,
            to: filter.to,
            total: groups.total.done(),
            by_channel: done(groups.by_channel),
            by_language: done(groups.by_language),
            by_tag: done(groups.by_tag),
            by_article,
            by_day: done(groups.by_day),
            ratings,
        })
    }

    async fn count_tickets(
        &self,
        filter: &StatsFilter,
        groups: &mut Groups,
    ) -> Result<(), StoreError> {
        use ticket::Column;
        let wanted = Condition::all()
            .add(Column::CreatedAt.gte(millis(filter.from)))
            .add(Column::CreatedAt.lt(millis(filter.to)))
            .add(Column::DeletedAt.is_null())
            .add(Column::MergedInto.is_null())
            .add(Column::Status.ne("spam"))
            .add_option(filter.channel.as_ref().map(|channel| Column::Channel.eq(channel)));
        let rows = self.ticket_times(wanted.clone()).await?;
        let mut articles = self.articles_in(&wanted).await?;
        let mut tags = self.tags_in(wanted).await?;
        for row in rows {
            groups.total.ticket(&row);
            groups.by_day.entry(day(row.created_at / DAY_MILLIS)).or_default().ticket(&row);
            for tag in tags.remove(&row.id).unwrap_or_default() {
                groups.by_tag.entry(tag).or_default().ticket(&row);
            }
            for article in articles.remove(&row.id).unwrap_or_default() {
                groups.by_article.entry(article).or_default().ticket(&row);
            }
            if let Some(language) = row.language.clone() {
                groups.by_language.entry(language).or_default().ticket(&row);
            }
            groups.by_channel.entry(row.channel.clone()).or_default().ticket(&row);
        }
        Ok(())
    }

    pub(super) async fn ticket_times(
        &self,
        wanted: Condition,
    ) -> Result<Vec<TicketTimes>, StoreError> {
        use ticket::Column;
        let rows = ticket::Entity::find()
            .select_only()
            .columns([
                Column::Id,
                Column::Channel,
                Column::Language,
                Column::CreatedAt,
                Column::FirstResponseAt,
                Column::SolvedAt,
            ])
            .filter(wanted)
            .into_model::<TicketTimes>();
        Ok(rows.all(self.reader()).await?)
    }

    /// The known answers that went to the tickets that a condition finds.
    async fn articles_in(
        &self,
        wanted: &Condition,
    ) -> Result<HashMap<Uuid, Vec<String>>, StoreError> {
        let last = faq_answer::Entity::find()
            .select_only()
            .columns([faq_answer::Column::Ticket, faq_answer::Column::Article])
            .filter(faq_answer::Column::Ticket.in_subquery(ids(wanted.clone())))
            .into_tuple();
        let mut rows: Vec<(Uuid, String)> = last.all(self.reader()).await?;
        let earlier = faq_earlier::Entity::find()
            .select_only()
            .columns([faq_earlier::Column::Ticket, faq_earlier::Column::Article])
            .filter(faq_earlier::Column::Ticket.in_subquery(ids(wanted.clone())))
            .into_tuple();
        rows.extend(earlier.all(self.reader()).await?);
        let mut articles: HashMap<Uuid, Vec<String>> = HashMap::new();
        for (ticket, article) in rows {
            articles.entry(ticket).or_default().push(article);
        }
        Ok(articles)
    }

    /// The tags of the tickets that a condition finds.
    pub(super) async fn tags_in(
        &self,
        wanted: Condition,
    ) -> Result<HashMap<Uuid, Vec<String>>, StoreError> {
        let rows = ticket_tag::Entity::find()
            .filter(ticket_tag::Column::Ticket.in_subquery(ids(wanted)))
            .all(self.reader())
            .await?;
        let mut tags: HashMap<Uuid, Vec<String>> = HashMap::new();
        for row in rows {
            tags.entry(row.ticket).or_default().push(row.tag);
        }
        Ok(tags)
    }

    /// What came and went by day, of the messages that a condition finds.
    pub(super) async fn message_counts(
        &self,
        (from, to): (i64, i64),
        wanted: Condition,
    ) -> Result<Vec<MessageCount>, StoreError> {
        use message::Column;
        let rows: Vec<(String, String, i64, i64)> = message::Entity::find()
            .select_only()
            .columns([Column::Channel, Column::Direction])
            .column_as(day_number(), "day")
            .column_as(Column::Id.count(), "messages")
            .filter(Column::SentAt.gte(from))
            .filter(Column::SentAt.lt(to))
            .filter(wanted)
            .group_by(Column::Channel)
            .group_by(Column::Direction)
            .group_by(day_number())
            .into_tuple()
            .all(self.reader())
            .await?;
        let counted = rows.into_iter().map(|(channel, direction, day, count)| MessageCount {
            channel,
            direction,
            day,
            count: u64::try_from(count).unwrap_or_default(),
        });
        Ok(counted.collect())
    }

    async fn count_messages(
        &self,
        filter: &StatsFilter,
        groups: &mut Groups,
    ) -> Result<(), StoreError> {
        let of = filter.channel.as_ref().map(|channel| message::Column::Channel.eq(channel));
        let span = (millis(filter.from), millis(filter.to));
        let wanted = Condition::all().add_option(of);
        for MessageCount { channel, direction, day: number, count } in
            self.message_counts(span, wanted).await?
        {
            groups.total.messages(&direction, count);
            groups.by_day.entry(day(number)).or_default().messages(&direction, count);
            groups.by_channel.entry(channel).or_default().messages(&direction, count);
        }
        Ok(())
    }
}

/// All that is known of known answers.
fn articles(
    answers: BTreeMap<String, AnswerFigures>,
    tickets: BTreeMap<String, Figures>,
    ratings: &Ratings,
) -> BTreeMap<String, ArticleStats> {
    let mut articles: BTreeMap<String, ArticleStats> = BTreeMap::new();
    for (name, figures) in answers {
        articles.entry(name).or_default().answers = figures;
    }
    for (name, figures) in tickets {
        articles.entry(name).or_default().tickets = figures;
    }
    for (name, scores) in &ratings.by_article {
        articles.entry(name.clone()).or_default().ratings = scores.clone();
    }
    articles
}

/// The ids of the tickets that a condition finds.
pub(super) fn ids(wanted: Condition) -> SelectStatement {
    Query::select().column(ticket::Column::Id).from(ticket::Entity).cond_where(wanted).to_owned()
}

/// The number of the day since 1970 on which a message was sent. Written out, since PostgreSQL takes two parameters
/// for two things that may differ, and then does not group by them.
fn day_number() -> SimpleExpr {
    Expr::cust("sent_at / 86400000")
}

/// `2026-11-24` from the number of the day since 1970.
pub(super) fn day(number: i64) -> String {
    super::moment(number * DAY_MILLIS).format("%Y-%m-%d").to_string()
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a help desk stay far below 2^53")]
fn span(mut millis: Vec<i64>) -> Span {
    millis.sort_unstable();
    let at = |numerator: usize, denominator: usize| {
        let place = (millis.len().saturating_sub(1) * numerator).div_ceil(denominator);
        millis.get(place).map(|millis| *millis as f64 / 1000.0)
    };
    let sum: i64 = millis.iter().sum();
    Span {
        count: u64::try_from(millis.len()).unwrap_or(u64::MAX),
        mean: (!millis.is_empty()).then(|| sum as f64 / millis.len() as f64 / 1000.0),
        median: at(1, 2),
        p90: at(9, 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_seconds() {
        let span = span(vec![3000, 1000, 2000]);
        assert_eq!(
            (span.count, span.mean, span.median, span.p90),
            (3, Some(2.0), Some(2.0), Some(3.0))
        );
        let none = super::span(Vec::new());
        assert_eq!((none.count, none.mean, none.median), (0, None, None));
        assert_eq!(day(20_000), "2024-10-04");
    }
}
