//! Surveys: who is asked, what they answered, and how the scores stand.

use std::collections::{BTreeMap, HashMap};

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DatabaseTransaction,
    EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    sea_query::Query,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::entity::{faq_answer, message, suppression, survey, ticket, ticket_tag};
use super::stats::DAY_MILLIS;
use super::{StatsFilter, Store, StoreError, millis};
use crate::desk::survey::{Judgement, SurveySetting, Weighed};
use crate::model::{MessageId, TicketId, Timestamp};

/// Tickets in one transaction.
const ROWS_MAX: u64 = 100;
/// A ticket that was solved longer ago than this is not asked about: surveys may be switched on long after.
const LATE: chrono::Duration = chrono::Duration::hours(24);

/// A survey that is to be sent.
#[derive(Debug, Clone)]
pub struct SurveyNotice {
    /// About which ticket.
    pub ticket: TicketId,
    /// The message that it becomes: the same at every attempt.
    pub message: MessageId,
    /// The channel of the ticket.
    pub channel: String,
    /// The customer's language.
    pub language: Option<String>,
    /// The ticket's short number.
    pub number: u64,
    /// What it is about.
    pub subject: String,
}

/// How customers judge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Scores {
    /// Judgements.
    pub count: u64,
    /// Their mean, from 1 to 5.
    pub mean: Option<f64>,
    /// How many gave 1, 2, 3, 4 and 5.
    pub each: [u64; 5],
    /// What their remarks are about, and how many of each topic.
    pub topics: BTreeMap<String, u64>,
}

/// How customers judge, by several things.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Ratings {
    /// All together.
    pub total: Scores,
    /// By the channel's name.
    pub by_channel: BTreeMap<String, Scores>,
    /// By the customer's language.
    pub by_language: BTreeMap<String, Scores>,
    /// By tag of the ticket.
    pub by_tag: BTreeMap<String, Scores>,
    /// By known answer that went out by itself: the last one of the ticket.
    pub by_article: BTreeMap<String, Scores>,
    /// By what the remark is about.
    pub by_topic: BTreeMap<String, Scores>,
}

impl Scores {
    fn add(&mut self, score: i32, topics: &[String]) {
        let Some(of) = usize::try_from(score - 1).ok().and_then(|at| self.each.get_mut(at)) else {
            return;
        };
        *of += 1;
        for topic in topics {
            *self.topics.entry(topic.clone()).or_default() += 1;
        }
        self.count += 1;
        let sum: u64 = self.each.iter().zip(1..).map(|(count, score)| count * score).sum();
        self.mean = Some(ratio(sum, self.count));
    }
}

#[expect(clippy::cast_precision_loss, reason = "judgements of a help desk stay far below 2^53")]
fn ratio(sum: u64, count: u64) -> f64 {
    (sum as f64 / count as f64 * 100.0).round() / 100.0
}

impl Store {
    /// Whom to ask now. Each ticket is noted once, those too whose customers are not asked (a machine, no
    /// answer of ours, asked not long ago). What was noted and not sent comes again, with the same message.
    pub async fn surveys_due(
        &self,
        setting: &SurveySetting,
        now: Timestamp,
    ) -> Result<Vec<SurveyNotice>, StoreError> {
        let due = solved(setting, now).all(self.reader()).await?;
        if !due.is_empty() {
            let setting = setting.clone();
            self.write(move |tx| {
                let setting = setting.clone();
                Box::pin(async move {
                    for row in solved(&setting, now).lock_exclusive().all(tx).await? {
                        note(tx, &row, &setting, now).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        }
        let rows = survey::Entity::find()
            .filter(survey::Column::State.eq("asking"))
            .order_by_asc(survey::Column::AskedAt)
            .limit(ROWS_MAX)
            .all(self.reader())
            .await?;
        let ids = rows.iter().map(|row| row.ticket);
        let of = ticket::Entity::find().filter(ticket::Column::Id.is_in(ids));
        let of = of.all(self.reader()).await?.into_iter();
        let mut of: HashMap<Uuid, ticket::Model> = of.map(|row| (row.id, row)).collect();
        let notices = rows.into_iter().filter_map(|row| {
            let of = of.remove(&row.ticket)?;
            Some(SurveyNotice {
                ticket: row.ticket.into(),
                message: row.message.into(),
                channel: row.channel,
                language: row.language,
                number: u64::try_from(of.number).unwrap_or_default(),
                subject: of.subject,
            })
        });
        Ok(notices.collect())
    }

    /// It was queued (`asked`), or there is no way to ask (`skipped`).
    pub async fn survey_sent(
        &self,
        ticket: TicketId,
        state: &'static str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                survey::Entity::update_many()
                    .set(survey::ActiveModel {
                        state: Set(state.to_owned()),
                        asked_at: Set(millis(now)),
                        ..Default::default()
                    })
                    .filter(survey::Column::Ticket.eq(ticket.uuid()))
                    .filter(survey::Column::State.eq("asking"))
                    .exec(tx)
                    .await?;
                Ok(())
            })
        })
        .await
    }

    /// How customers judged within a span.
    pub(super) async fn ratings(&self, filter: &StatsFilter) -> Result<Ratings, StoreError> {
        use survey::Column;
        let wanted = Condition::all()
            .add(Column::Score.is_not_null())
            .add(Column::AnsweredAt.gte(millis(filter.from)))
            .add(Column::AnsweredAt.lt(millis(filter.to)))
            .add_option(filter.channel.as_ref().map(|one| Column::Channel.eq(one)));
        let rows = survey::Entity::find().filter(wanted.clone()).all(self.reader()).await?;
        let judged = Query::select()
            .column(Column::Ticket)
            .from(survey::Entity)
            .cond_where(wanted)
            .to_owned();
        let tags = ticket_tag::Entity::find()
            .filter(ticket_tag::Column::Ticket.in_subquery(judged.clone()))
            .all(self.reader())
            .await?;
        let mut by_ticket: HashMap<Uuid, Vec<String>> = HashMap::new();
        for row in tags {
            by_ticket.entry(row.ticket).or_default().push(row.tag);
        }
        let articles = faq_answer::Entity::find()
            .filter(faq_answer::Column::Ticket.in_subquery(judged))
            .all(self.reader())
            .await?;
        let articles: HashMap<Uuid, String> =
            articles.into_iter().map(|row| (row.ticket, row.article)).collect();
        let mut ratings = Ratings::default();
        for row in rows {
            let Some(score) = row.score else { continue };
            let topics = topics(row.topics.as_deref());
            ratings.total.add(score, &topics);
            ratings.by_channel.entry(row.channel).or_default().add(score, &topics);
            if let Some(language) = row.language {
                ratings.by_language.entry(language).or_default().add(score, &topics);
            }
            if let Some(article) = articles.get(&row.ticket) {
                ratings.by_article.entry(article.clone()).or_default().add(score, &topics);
            }
            for tag in by_ticket.remove(&row.ticket).unwrap_or_default() {
                ratings.by_tag.entry(tag).or_default().add(score, &topics);
            }
            for topic in &topics {
                ratings.by_topic.entry(topic.clone()).or_default().add(score, &topics);
            }
        }
        Ok(ratings)
    }
}

/// What a remark is about, as a row keeps it.
fn stored(topics: &[String]) -> Option<String> {
    (!topics.is_empty()).then(|| serde_json::json!(topics).to_string())
}

/// The same, read.
pub(super) fn topics(stored: Option<&str>) -> Vec<String> {
    stored.and_then(|stored| serde_json::from_str(stored).ok()).unwrap_or_default()
}

/// What a row says so far.
pub(super) fn judgement(row: &survey::Model) -> Judgement {
    Judgement {
        score: row.score.and_then(|score| u8::try_from(score).ok()),
        remark: row.comment.clone(),
        topics: topics(row.topics.as_deref()),
    }
}

/// Makes a row say what counts now.
pub(super) fn note_judgement(row: &mut survey::Model, weighed: &Weighed, now: i64) {
    "answered".clone_into(&mut row.state);
    row.score = Some(weighed.score.into());
    row.comment.clone_from(&weighed.remark);
    row.topics = stored(&weighed.topics);
    row.answered_at = Some(now);
}

/// What the event `ticket.rated` tells of it.
pub(super) fn told(weighed: &Weighed) -> serde_json::Value {
    let comment = weighed.remark.as_deref().unwrap_or_default();
    serde_json::json!({ "score": weighed.score, "comment": comment, "topics": weighed.topics })
}

/// Tickets that were solved just long enough ago, and that nothing is noted of.
fn solved(setting: &SurveySetting, now: Timestamp) -> sea_orm::Select<ticket::Entity> {
    use ticket::Column;
    let noted = Query::select().column(survey::Column::Ticket).from(survey::Entity).to_owned();
    let until = now - chrono::Duration::minutes(i64::from(setting.after_minutes));
    ticket::Entity::find()
        .filter(Column::Status.eq("solved"))
        .filter(Column::SolvedAt.lte(millis(until)))
        .filter(Column::SolvedAt.gt(millis(until - LATE)))
        .filter(Column::MergedInto.is_null())
        .filter(Column::DeletedAt.is_null())
        .filter(Column::Id.not_in_subquery(noted))
        .order_by_asc(Column::SolvedAt)
        .limit(ROWS_MAX)
}

/// Flags of messages whose senders are asked nothing.
const NEVER: [&str; 7] =
    ["auto_reply", "list", "bounce", "imported", "spoof_suspect", "impostor", "complaint"];

async fn note(
    tx: &DatabaseTransaction,
    row: &ticket::Model,
    setting: &SurveySetting,
    now: Timestamp,
) -> Result<(), StoreError> {
    let ask = asks(tx, row, setting, now).await?;
    let new = survey::Model {
        ticket: row.id,
        contact: row.contact,
        channel: row.channel.clone(),
        language: row.language.clone(),
        message: MessageId::new().uuid(),
        state: if ask { "asking" } else { "skipped" }.to_owned(),
        asked_at: millis(now),
        score: None,
        comment: None,
        answered_at: None,
        topics: None,
    };
    survey::Entity::insert(new.into_active_model()).exec_without_returning(tx).await?;
    Ok(())
}

/// Is this ticket's customer asked?
async fn asks(
    tx: &DatabaseTransaction,
    row: &ticket::Model,
    setting: &SurveySetting,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let since = millis(now) - i64::from(setting.per_contact_days) * DAY_MILLIS;
    let before = survey::Entity::find()
        .filter(survey::Column::Contact.eq(row.contact))
        .filter(survey::Column::State.ne("skipped"))
        .filter(survey::Column::AskedAt.gt(since))
        .one(tx)
        .await?;
    let helped = faq_answer::Entity::find_by_id(row.id)
        .filter(faq_answer::Column::Outcome.eq("helped"))
        .one(tx)
        .await?;
    if before.is_some() || (row.first_response_at.is_none() && helped.is_none()) {
        return Ok(false);
    }
    let last = message::Entity::find()
        .filter(message::Column::Ticket.eq(row.id))
        .filter(message::Column::Direction.eq("in"))
        .order_by_desc(message::Column::Seq)
        .one(tx)
        .await?;
    let Some(last) = last.filter(|last| last.kind == "message") else { return Ok(false) };
    let flags: Vec<String> = serde_json::from_str(&last.flags).unwrap_or_default();
    if flags.iter().any(|flag| NEVER.contains(&flag.as_str())) {
        return Ok(false);
    }
    let Some(address) = last.author_value else { return Ok(false) };
    let suppressed =
        suppression::Entity::find().filter(suppression::Column::Value.eq(address)).one(tx).await?;
    Ok(suppressed.is_none())
}

/// How customers judged these tickets.
pub(super) async fn judged<C: ConnectionTrait>(
    db: &C,
    tickets: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, survey::Model>, StoreError> {
    let rows = survey::Entity::find()
        .filter(survey::Column::Ticket.is_in(tickets))
        .filter(survey::Column::Score.is_not_null())
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.ticket, row)).collect())
}
