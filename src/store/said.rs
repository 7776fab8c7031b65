//! What customers say by a link: to a known answer that went out by itself, and to a survey.
//!
//! The same follows as from words in a message; a page shows what is said back, so nothing is sent.

use std::sync::Arc;

use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait,
    DatabaseTransaction, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use serde_json::json;

use super::entity::{contact, faq_answer, faq_earlier, survey, ticket};
use super::event::{self, NewEvent};
use super::faq::{left, offered, stored};
use super::stats::DAY_MILLIS;
use super::survey::{judgement, note_judgement, told};
use super::ticket::{TicketPatch, apply, tag, untag};
use super::{Store, StoreError, millis};
use crate::desk::faq::answer::ESCALATED;
use crate::desk::faq::follow::CHAIN_MAX;
use crate::desk::faq::{FollowUp, Said, answered};
use crate::desk::survey::{Weighed, needs_human, weigh};
use crate::desk::{Found, Triage};
use crate::model::{
    Actor, ActorKind, AnswerLinks, Asked, Priority, TicketId, TicketStatus, Timestamp,
};

/// What was asked, as a page shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The customer's language.
    pub language: Option<String>,
    /// The ticket's number.
    pub number: u64,
    /// What it is about.
    pub subject: String,
    /// Can it still be answered?
    pub open: bool,
    /// The score that was given.
    pub score: Option<u8>,
    /// Was a remark given, too?
    pub remarked: bool,
    /// What was said to a known answer.
    pub said: Option<Said>,
    /// The ticket's channel.
    pub channel: String,
    /// Known answers that went to the ticket, the last one last.
    pub articles: Vec<String>,
    /// What is offered below the last of them.
    pub follow_ups: Vec<FollowUp>,
}

/// An article that a customer goes on to on the page.
#[derive(Debug, Clone)]
pub struct NextArticle {
    /// The one that they come from.
    pub after: String,
    /// Its name.
    pub article: String,
    /// The language that it is shown in.
    pub language: String,
    /// What is offered below it.
    pub follow_ups: Vec<FollowUp>,
    /// After this long without a word, a human looks at the ticket.
    pub wait: chrono::Duration,
}

impl Store {
    /// From now on, questions by mail have a link.
    pub fn link_answers(&self, links: Arc<dyn AnswerLinks>) {
        drop(self.0.links.set(links));
    }

    /// Makes links, if it may.
    #[must_use]
    pub fn links(&self) -> Option<&Arc<dyn AnswerLinks>> {
        self.0.links.get()
    }

    /// The link that asks about a ticket, if there are any.
    #[must_use]
    pub fn link(&self, asked: Asked, ticket: TicketId) -> Option<String> {
        self.links().map(|links| links.address(asked, ticket))
    }

    /// What was asked in a ticket. `None`: nothing, or the ticket was erased.
    pub async fn question(
        &self,
        asked: Asked,
        id: TicketId,
        open_days: u32,
        now: Timestamp,
    ) -> Result<Option<Question>, StoreError> {
        let db = self.reader();
        let of = ticket::Entity::find_by_id(id.uuid()).one(db).await?;
        let Some(of) = of.filter(|of| of.deleted_at.is_none()) else { return Ok(None) };
        let number = u64::try_from(of.number).unwrap_or_default();
        let (subject, channel) = (of.subject.clone(), of.channel.clone());
        Ok(match asked {
            Asked::Helped => {
                let row = faq_answer::Entity::find_by_id(id.uuid()).one(db).await?;
                let Some(row) = row else { return Ok(None) };
                let earlier = earlier(db, id).await?;
                let goes_on = goes_on(&row, &of, earlier.len());
                let follow_ups = row.follow_ups.as_deref().filter(|_| goes_on);
                Some(Question {
                    number,
                    subject,
                    open: listens(&row, &of) && row.outcome != "helped",
                    score: None,
                    remarked: false,
                    said: said(&row, &of),
                    channel,
                    follow_ups: offered(follow_ups),
                    articles: earlier
                        .into_iter()
                        .map(|row| row.article)
                        .chain([row.article])
                        .collect(),
                    language: Some(row.language),
                })
            }
            Asked::Score => {
                survey::Entity::find_by_id(id.uuid()).one(db).await?.map(|row| Question {
                    number,
                    subject,
                    open: is_open(&row, open_days, now),
                    score: row.score.and_then(|score| u8::try_from(score).ok()),
                    remarked: row.comment.is_some(),
                    said: None,
                    channel,
                    articles: Vec::new(),
                    follow_ups: Vec::new(),
                    language: row.language,
                })
            }
        })
    }

    /// Whether a known answer helped, said by the link in it. `false`: it is too late, or was said before.
    pub async fn answer_by_link(
        &self,
        id: TicketId,
        said: Said,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let Some(of) = taken(tx, id).await? else { return Ok(false) };
                let row =
                    faq_answer::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
                let Some(row) = row.filter(|row| listens(row, &of)) else { return Ok(false) };
                let Some((outcome, kind)) = answered(&row.outcome, said) else { return Ok(false) };
                let (helped, actor) = (said == Said::Helped, customer(tx, &of).await?);
                let mut event = NewEvent::of(of.id, kind, actor);
                event.channel = Some(of.channel.clone());
                event.data =
                    json!({ "article": row.article, "why": "the customer says so, by the link" });
                event::record(tx, vec![event], now).await?;
                if !helped {
                    tag(tx, of.id, ESCALATED).await?;
                }
                let status = if helped { TicketStatus::Solved } else { TicketStatus::Open };
                let patch = TicketPatch {
                    status: Some(status),
                    snoozed_until: Some(None),
                    ..TicketPatch::default()
                };
                apply(tx, of, patch, Actor::system(), now).await?;
                let mut row = row.into_active_model();
                row.outcome = Set(outcome.to_owned());
                row.ended_at = Set(Some(millis(now)));
                faq_answer::Entity::update(row).exec(tx).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Shows another article on the page, as if it had been sent. `false`: the page was old, nothing was noted.
    pub async fn follow_by_link(
        &self,
        id: TicketId,
        next: NextArticle,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let next = next.clone();
            Box::pin(async move {
                let Some(of) = taken(tx, id).await? else { return Ok(false) };
                let row =
                    faq_answer::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
                let before = earlier(tx, id).await?;
                // An old page may still show its buttons.
                let row = row.filter(|row| goes_on(row, &of, before.len()));
                let Some(row) = row else { return Ok(false) };
                let known = before.iter().any(|row| row.article == next.article);
                let offers = offered(row.follow_ups.as_deref());
                let offers = offers.iter().any(|one| one.article == next.article);
                if row.article != next.after || known || !offers {
                    return Ok(false);
                }
                let until = now + next.wait;
                let mut event = NewEvent::of(of.id, "faq.answered", Actor::system());
                event.channel = Some(of.channel.clone());
                event.data = json!({ "article": next.article, "language": next.language,
                    "until": until, "after": next.after, "by": "link" });
                event::record(tx, vec![event], now).await?;
                let patch = TicketPatch {
                    status: Some(TicketStatus::Pending),
                    snoozed_until: Some(Some(until)),
                    ..TicketPatch::default()
                };
                apply(tx, of, patch, Actor::system(), now).await?;
                let left = left(&row, before.len(), millis(now));
                faq_earlier::Entity::insert(left.into_active_model())
                    .exec_without_returning(tx)
                    .await?;
                let mut row = row.into_active_model();
                row.article = Set(next.article);
                row.language = Set(next.language);
                row.follow_ups = Set(stored(&next.follow_ups));
                row.outcome = Set("shown".to_owned());
                row.until = Set(millis(until));
                row.shown_at = Set(millis(now));
                row.ended_at = Set(None);
                row.sent = Set(false);
                faq_answer::Entity::update(row).exec(tx).await?;
                Ok(true)
            })
        })
        .await
    }

    /// A score from 1 to 5, or a remark behind one, given by the link of a survey. What comes too late, or was said
    /// before, changes nothing. Returns the secrets that were in the remark: it is no message, so no original of it
    /// is kept, and nothing else tells the customer what to do.
    pub async fn judge_by_link(
        &self,
        id: TicketId,
        (score, remark): (Option<u8>, String),
        triage: &Triage,
        now: Timestamp,
    ) -> Result<Found, StoreError> {
        let mut remark = remark;
        let found = self.safety().mask(&mut remark);
        let open_days = triage.surveys().open_days;
        let topics = triage.topics_of(&remark);
        self.write(move |tx| {
            let (remark, topics) = (remark.clone(), topics.clone());
            Box::pin(async move {
                let Some(of) = taken(tx, id).await? else { return Ok(()) };
                let row = survey::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
                let row = row.filter(|row| is_open(row, open_days, now));
                let Some(row) = row else { return Ok(()) };
                let weighed = weigh(&judgement(&row), (score, &remark, &topics));
                let Some(weighed) = weighed else { return Ok(()) };
                let wakes = needs_human(weighed.score, &remark);
                judge(tx, (of, row), (weighed, wakes), now).await
            })
        })
        .await?;
        Ok(found)
    }
}

async fn judge(
    tx: &DatabaseTransaction,
    (of, row): (ticket::Model, survey::Model),
    (weighed, wakes): (Weighed, bool),
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut event = NewEvent::of(of.id, "ticket.rated", customer(tx, &of).await?);
    event.channel = Some(of.channel.clone());
    event.data = told(&weighed);
    event::record(tx, vec![event], now).await?;
    for gone in &weighed.tags_gone {
        untag(tx, of.id, gone).await?;
    }
    for new in &weighed.tags {
        tag(tx, of.id, new).await?;
    }
    if wakes && of.status == "solved" {
        let patch = TicketPatch { status: Some(TicketStatus::Open), ..TicketPatch::default() };
        apply(tx, of, patch, Actor::system(), now).await?;
    }
    let mut row = row;
    note_judgement(&mut row, &weighed, millis(now));
    row.into_active_model().reset_all().update(tx).await?;
    Ok(())
}

/// A ticket that was merged into another one is closed: its survey is answered as that of any closed one, and
/// nothing else is.
async fn taken(
    tx: &DatabaseTransaction,
    id: TicketId,
) -> Result<Option<ticket::Model>, StoreError> {
    let row = ticket::Entity::find_by_id(id.uuid()).lock_exclusive().one(tx).await?;
    Ok(row.filter(|row| row.deleted_at.is_none()))
}

/// The known answers that a ticket's customer went on from, in order.
async fn earlier<C: ConnectionTrait>(
    db: &C,
    id: TicketId,
) -> Result<Vec<faq_earlier::Model>, StoreError> {
    Ok(faq_earlier::Entity::find()
        .filter(faq_earlier::Column::Ticket.eq(id.uuid()))
        .order_by_asc(faq_earlier::Column::Place)
        .all(db)
        .await?)
}

/// Whoever has the link is the customer.
async fn customer(tx: &DatabaseTransaction, of: &ticket::Model) -> Result<Actor, StoreError> {
    let row = contact::Entity::find_by_id(of.contact).one(tx).await?;
    let name = row.map(|row| row.name).unwrap_or_default();
    Ok(Actor { kind: ActorKind::Contact, id: Some(of.contact), name })
}

/// What was said to a known answer, or is done as if it had been.
fn said(row: &faq_answer::Model, of: &ticket::Model) -> Option<Said> {
    match row.outcome.as_str() {
        "helped" => Some(Said::Helped),
        "escalated" => Some(Said::Person),
        // Who said nothing has been given to a person, too.
        "silent" if of.status == "open" && of.first_response_at.is_none() => Some(Said::Person),
        _ => None,
    }
}

/// Is it still the known answer's turn?
pub(super) fn listens(row: &faq_answer::Model, of: &ticket::Model) -> bool {
    matches!(row.outcome.as_str(), "shown" | "silent" | "helped")
        && matches!(of.status.as_str(), "open" | "pending" | "solved")
        && of.first_response_at.is_none()
}

/// Can they go on to another article on the page? `before`: how many they went on from.
fn goes_on(row: &faq_answer::Model, of: &ticket::Model, before: usize) -> bool {
    listens(row, of)
        && row.outcome != "helped"
        && of.priority != Priority::Urgent.as_str()
        && before + 1 < CHAIN_MAX
}

/// Can the survey be answered?
pub(super) fn is_open(row: &survey::Model, open_days: u32, now: Timestamp) -> bool {
    matches!(row.state.as_str(), "asked" | "answered")
        && millis(now) - row.asked_at < i64::from(open_days.max(1)) * DAY_MILLIS
}
