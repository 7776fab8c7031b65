//! Known answers that go out by themselves with the first words of a ticket, and what customers say to them.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde_json::json;
use uuid::Uuid;

use super::super::entity::{faq_answer, faq_earlier};
use super::super::event::NewEvent;
use super::super::faq::{left, stored};
use super::super::outbox::Routing;
use super::super::said::listens;
use super::super::{StoreError, millis};
use super::acknowledge::{About, Ack, Asks};
use super::apply::Work;
use super::facts::{Facts, Kept};
use super::flush::{active, insert};
use super::triage::{Place, Triaged};
use super::{Prepared, PreparedMessage};
use crate::desk::faq::answer::{ANSWERED, ESCALATED};
use crate::desk::faq::follow::choices;
use crate::desk::faq::{
    AnswerFacts, AnswerTexts, Article, FollowUp, Reader, Said, answered, may_answer,
};
use crate::desk::{self};
use crate::model::{Actor, Address, Asked, Form, MessageId, Party, TicketStatus, Timestamp};

const HOUR: chrono::Duration = chrono::Duration::hours(1);

/// A known answer that goes out.
pub(super) struct Fit {
    article: String,
    language: String,
    text: String,
    texts: AnswerTexts,
    /// Offered beside yes and no.
    follow_ups: Vec<FollowUp>,
}

/// What customers said to known answers, and how many of these there were within the hour.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) rows: HashMap<Uuid, Kept<faq_answer::Model>>,
    /// Those that customers went on from, in order.
    pub(super) earlier: HashMap<Uuid, Vec<faq_earlier::Model>>,
    /// Which of these are new.
    left: Vec<faq_earlier::Model>,
    to_contact: HashMap<Uuid, u64>,
    on_channel: HashMap<String, u64>,
}

/// What was answered before to the tickets and people of the batch.
pub(super) async fn load(
    tx: &DatabaseTransaction,
    batch: &[Prepared],
    facts: &mut Facts,
    now: Timestamp,
) -> Result<(), StoreError> {
    use faq_answer::Column;
    if batch.iter().all(|one| one.channel.known.articles().is_empty()) {
        return Ok(());
    }
    if !facts.tickets.is_empty() {
        let tickets = facts.tickets.keys().copied();
        let rows = faq_answer::Entity::find().filter(Column::Ticket.is_in(tickets));
        let rows = rows.all(tx).await?.into_iter();
        facts.answers.rows.extend(rows.map(|row| (row.ticket, Kept::old(row))));
    }
    if !facts.answers.rows.is_empty() {
        let tickets = facts.answers.rows.keys().copied();
        let rows = faq_earlier::Entity::find()
            .filter(faq_earlier::Column::Ticket.is_in(tickets))
            .order_by_asc(faq_earlier::Column::Place);
        for row in rows.all(tx).await? {
            facts.answers.earlier.entry(row.ticket).or_default().push(row);
        }
    }
    let fits = |one: &Prepared| one.messages().any(|message| message.fits.is_some());
    if !batch.iter().any(fits) && facts.answers.rows.is_empty() {
        return Ok(());
    }
    let lately: Vec<(Uuid, String, bool, i64)> = faq_answer::Entity::find()
        .select_only()
        .columns([Column::Contact, Column::Channel])
        .column(Column::Sent)
        .column_as(Column::Ticket.count(), "count")
        .filter(Column::ShownAt.gt(millis(now - HOUR)))
        .group_by(Column::Contact)
        .group_by(Column::Channel)
        .group_by(Column::Sent)
        .into_tuple()
        .all(tx)
        .await?;
    for (contact, channel, sent, count) in lately {
        let count = u64::try_from(count).unwrap_or_default();
        // Whoever read one, wherever, has had one; the channel sent only what went out by it.
        *facts.answers.to_contact.entry(contact).or_default() += count;
        if sent {
            *facts.answers.on_channel.entry(channel).or_default() += count;
        }
    }
    let earlier: Vec<(String, i64)> = faq_earlier::Entity::find()
        .select_only()
        .column(faq_earlier::Column::Channel)
        .column_as(faq_earlier::Column::Ticket.count(), "sent")
        .filter(faq_earlier::Column::Sent.eq(true))
        .filter(faq_earlier::Column::ShownAt.gt(millis(now - HOUR)))
        .group_by(faq_earlier::Column::Channel)
        .into_tuple()
        .all(tx)
        .await?;
    for (channel, sent) in earlier {
        let sent = u64::try_from(sent).unwrap_or_default();
        *facts.answers.on_channel.entry(channel).or_default() += sent;
    }
    Ok(())
}

impl Work {
    /// What the customer says to a known answer, as long as no human has answered since.
    pub(super) fn said(
        &self,
        one: &Prepared,
        prepared: &PreparedMessage,
        ticket: Uuid,
    ) -> Option<Said> {
        let row = &self.facts.answers.rows.get(&ticket)?.row;
        let status = &self.facts.tickets.get(&ticket)?.row;
        let inbound = &prepared.inbound;
        if !listens(row, status) || inbound.automated.is_some() || inbound.form != Form::Message {
            return None;
        }
        if prepared.has_files() {
            return Some(Said::Other);
        }
        Some(one.channel.known.policy().said(&inbound.text))
    }

    /// Notes what was said: it helped and the ticket is solved, or a human looks at it.
    pub(super) fn heed(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        (ticket, said): (Uuid, Said),
    ) {
        let Some(kept) = self.facts.answers.rows.get_mut(&ticket) else { return };
        let Some((outcome, kind)) = answered(&kept.row.outcome, said) else { return };
        outcome.clone_into(&mut kept.row.outcome);
        kept.row.ended_at = Some(millis(self.now));
        kept.changed = true;
        let mut event = NewEvent::of(ticket, kind, Actor::system());
        event.message = Some(prepared.id);
        event.channel = Some(one.channel.name.as_str().to_owned());
        let article = kept.row.article.clone();
        let language = kept.row.language.clone();
        event.data = json!({ "article": article, "why": why(said) });
        self.events.push(event);
        if said == Said::Helped {
            let change = self.set_status(one, ticket, TicketStatus::Solved);
            if let Some((field, change)) = change {
                let mut event = NewEvent::of(ticket, "ticket.updated", Actor::system());
                event.channel = Some(one.channel.name.as_str().to_owned());
                event.data = json!({ "changes": { field: change } });
                self.events.push(event);
            }
            return;
        }
        self.add_tags(ticket, [ESCALATED.to_owned()]);
        let policy = one.channel.known.policy();
        let person = policy.texts(Some(&language)).map(|texts| texts.person.clone());
        let person = person.filter(|text| said == Said::Person && !text.is_empty());
        if let Some(text) = person {
            self.send_by_itself(one, prepared, ticket, (text, None));
        }
    }

    /// The known answer to a message, if one surely fits. `Err`: why it does not go out, for the trace.
    pub(super) fn known_answer(
        &self,
        one: &Prepared,
        prepared: &PreparedMessage,
        place: Place<'_>,
        triaged: &Triaged,
    ) -> Option<Result<Fit, String>> {
        let (channel, inbound) = (&one.channel, &prepared.inbound);
        let (known, policy) = (&channel.known, channel.known.policy());
        let article = known.article(prepared.fits.as_deref()?)?;
        if !channel.delivers || (triaged.faq.is_none() && !policy.auto) {
            return None;
        }
        let facts = self.answer_facts(one, prepared, place.ticket, triaged)?;
        let may = desk::answerable(inbound, &channel.own)
            .and_then(|()| may_answer(policy, article, inbound, facts));
        let fit = self.fit(one, article, (place.ticket, place.language))?;
        Some(
            may.map(|()| fit)
                .map_err(|why| format!("the known answer «{}» was not sent: {why}", article.name)),
        )
    }

    /// An article in the customer's language, with what is asked below it.
    pub(super) fn fit(
        &self,
        one: &Prepared,
        article: &Article,
        (ticket, wanted): (Uuid, Option<&str>),
    ) -> Option<Fit> {
        let (channel, known) = (&one.channel, &one.channel.known);
        let (language, answer) = article.answer(wanted)?;
        let texts = known.policy().texts(wanted)?;
        let mut before = self.articles_of(ticket);
        before.retain(|name| *name != article.name);
        let buttons = channel.can.choices;
        let reader = Reader { language, channel: &channel.name, buttons, before: &before };
        Some(Fit {
            article: article.name.clone(),
            language: language.to_owned(),
            text: answer.text.clone(),
            texts: texts.clone(),
            follow_ups: known.follow_ups(article, &reader),
        })
    }

    /// The articles that went to a ticket, in order.
    fn articles_of(&self, ticket: Uuid) -> Vec<&str> {
        let answers = &self.facts.answers;
        let earlier = answers.earlier.get(&ticket).into_iter().flatten();
        let last = answers.rows.get(&ticket).map(|kept| kept.row.article.as_str());
        earlier.map(|row| row.article.as_str()).chain(last).collect()
    }

    /// What matters for one answer. `None`: there is no such ticket.
    pub(super) fn answer_facts(
        &self,
        one: &Prepared,
        prepared: &PreparedMessage,
        ticket: Uuid,
        triaged: &Triaged,
    ) -> Option<AnswerFacts> {
        let row = &self.facts.tickets.get(&ticket)?.row;
        let answers = &self.facts.answers;
        let channel = one.channel.name.as_str();
        let suppressed = answer_to(prepared).into_iter().any(|(address, to)| {
            [&address, &to.address].into_iter().any(|address| {
                let key = (address.scheme.as_str().to_owned(), address.value.clone());
                self.facts.suppressed.contains(&key)
            })
        });
        Some(AnswerFacts {
            messages: row.message_count,
            in_hands: row.first_response_at.is_some() || row.status != "open",
            answered: answers.rows.contains_key(&ticket),
            urgent: row.priority == "urgent",
            secret: !self.found(prepared).is_empty(),
            alarms: prepared.seen.alarms() || triaged.safety,
            files: prepared.has_files(),
            rule: triaged.faq,
            to_contact: answers.to_contact.get(&row.contact).copied().unwrap_or(0),
            on_channel: answers.on_channel.get(channel).copied().unwrap_or(0),
            suppressed,
        })
    }

    /// Queues it, and lets the ticket wait for what the customer says.
    pub(super) fn send_known(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        place: Place<'_>,
        fit: Fit,
    ) {
        let channel = one.channel.name.as_str().to_owned();
        let Fit { article, language, text, texts, follow_ups } = fit;
        let asks = Asks {
            question: texts.question.clone(),
            choices: texts.choices().into_iter().chain(choices(&follow_ups)).collect(),
            can: one.channel.can.clone(),
            link: self
                .pages
                .as_ref()
                .map(|links| links.address(Asked::Helped, place.ticket.into())),
        };
        let Some(message) = self.send_by_itself(one, prepared, place.ticket, (text, Some(asks)))
        else {
            return;
        };
        let wait = chrono::Duration::from_std(one.channel.known.policy().wait);
        let until = self.now + wait.unwrap_or(HOUR);
        let row = faq_answer::Model {
            ticket: place.ticket,
            contact: place.contact,
            channel: channel.clone(),
            article: article.clone(),
            language: language.clone(),
            message,
            outcome: "shown".to_owned(),
            until: millis(until),
            shown_at: millis(self.now),
            ended_at: None,
            follow_ups: stored(&follow_ups),
            sent: true,
        };
        let answers = &mut self.facts.answers;
        let before = answers.rows.remove(&place.ticket);
        let fresh = before.as_ref().is_none_or(|kept| kept.fresh);
        answers.rows.insert(place.ticket, Kept { row, fresh, changed: true });
        let after = before.as_ref().map(|kept| kept.row.article.clone());
        if let Some(kept) = before {
            let earlier = answers.earlier.entry(place.ticket).or_default();
            let left = left(&kept.row, earlier.len(), millis(self.now));
            answers.left.push(left.clone());
            earlier.push(left);
        }
        *answers.to_contact.entry(place.contact).or_default() += 1;
        *answers.on_channel.entry(channel.clone()).or_default() += 1;
        let mut event = NewEvent::of(place.ticket, "faq.answered", Actor::system());
        event.message = Some(prepared.id);
        event.channel = Some(channel.clone());
        event.data =
            json!({ "article": article, "language": language, "until": until, "after": after });
        self.events.push(event);
        self.add_tags(place.ticket, [ANSWERED.to_owned()]);
        let kept = self.facts.tickets.get(&place.ticket);
        if kept.is_some_and(|kept| kept.row.status == "solved") {
            // Its conversation may have another ticket by now.
            self.wake(one, place.ticket);
        }
        let change = self.set_status(one, place.ticket, TicketStatus::Pending);
        if let Some(kept) = self.facts.tickets.get_mut(&place.ticket) {
            kept.row.snoozed_until = Some(millis(until));
        }
        if let Some((field, change)) = change {
            let mut event = NewEvent::of(place.ticket, "ticket.updated", Actor::system());
            event.channel = Some(channel);
            event.data = json!({
                "changes": { field: change, "snoozed_until": { "from": null, "to": until } },
                "tags_added": [ANSWERED],
            });
            self.events.push(event);
        }
    }

    /// Queues words of ours as the answer to a message; the id of our message.
    pub(super) fn send_by_itself(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        ticket: Uuid,
        (template, asks): (String, Option<Asks>),
    ) -> Option<Uuid> {
        let (address, to) = answer_to(prepared)?;
        let message = MessageId::new().uuid();
        self.acks.push(Ack {
            message,
            ticket,
            channel: one.channel.name.as_str().to_owned(),
            realm: one.channel.realm.0.clone(),
            asked_by: Some(address).filter(|address| *address != to.address),
            to,
            template,
            safety: false,
            routing: Routing::of(&prepared.inbound),
            about: About::Known,
            asks,
        });
        Some(message)
    }

    /// Known answers that were sent, and what came of earlier ones.
    pub(super) async fn write_answers(
        &mut self,
        tx: &DatabaseTransaction,
    ) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.facts.answers.rows);
        let (fresh, old): (Vec<_>, Vec<_>) = rows.into_values().partition(|kept| kept.fresh);
        insert(tx, fresh.into_iter().map(|kept| kept.row.into_active_model()).collect()).await?;
        insert(tx, active(std::mem::take(&mut self.facts.answers.left))).await?;
        for kept in old.into_iter().filter(|kept| kept.changed) {
            faq_answer::Entity::update(kept.row.into_active_model().reset_all()).exec(tx).await?;
        }
        Ok(())
    }
}

const fn why(said: Said) -> &'static str {
    match said {
        Said::Helped => "the customer says that it helped",
        Said::Person => "the customer wants a person",
        Said::Other => "the customer wrote something else",
    }
}

/// Who asked, and to whom the answer goes.
fn answer_to(prepared: &PreparedMessage) -> Option<(Address, Party)> {
    let inbound = &prepared.inbound;
    let address = inbound.sender.address.clone()?;
    let name = inbound.sender.name.clone();
    let sender = Party { address: address.clone(), name };
    Some((address, inbound.reply_to.clone().unwrap_or(sender)))
}
