//! What customers answer to surveys.

use std::collections::HashMap;

use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, DatabaseTransaction, EntityTrait as _,
    IntoActiveModel as _, QueryFilter as _,
};
use uuid::Uuid;

use super::super::entity::survey;
use super::super::event::NewEvent;
use super::super::said::is_open;
use super::super::stats::DAY_MILLIS;
use super::super::survey::{judgement, note_judgement, told};
use super::super::{StoreError, millis};
use super::answer::Fit;
use super::apply::{Wakes, Work};
use super::facts::{Facts, Kept};
use super::flush::insert;
use super::follow::NoStep;
use super::row::author;
use super::triage::Place;
use super::{Prepared, PreparedMessage};
use crate::desk::Route;
use crate::desk::faq::{FollowUp, Said};
use crate::desk::survey::{Judged, Weighed, judged, needs_human, weigh};
use crate::model::{Actor, ActorKind, Form, MessageId, Rating};

/// A remark comes within so long after its score.
const REMARK_MILLIS: i64 = DAY_MILLIS;

/// What a message says to something that we asked by ourselves.
pub(super) enum Heard {
    /// Nothing: it is a message like others.
    Nothing,
    /// To a known answer.
    Answer(Said),
    /// An article to go on with.
    Next(FollowUp),
    /// To a survey.
    Judgement(Judged),
}

/// The surveys of the batch's tickets.
pub(super) type Surveys = HashMap<Uuid, Kept<survey::Model>>;

pub(super) async fn load(tx: &DatabaseTransaction, facts: &mut Facts) -> Result<(), StoreError> {
    if facts.tickets.is_empty() {
        return Ok(());
    }
    let tickets = facts.tickets.keys().copied();
    let rows = survey::Entity::find().filter(survey::Column::Ticket.is_in(tickets)).all(tx).await?;
    facts.surveys.extend(rows.into_iter().map(|row| (row.ticket, Kept::old(row))));
    Ok(())
}

impl Work {
    /// A judgement that came beside the messages, from a chat's own window. Only noted: it changes nothing that waits
    /// for somebody.
    pub(super) fn rating(&mut self, one: &Prepared, rating: &Rating) {
        let key = (one.channel.name.as_str().to_owned(), rating.thread.0.clone());
        let named = self.facts.ticket_by_thread.get(&key).copied();
        let Some(ticket) = self.survivor(named) else { return };
        self.ask_late(ticket);
        let given = (Some(rating.score), rating.comment.as_str());
        let Some(weighed) = self.weigh(one, ticket, given) else { return };
        let actor = Actor { kind: ActorKind::Contact, id: None, name: rating.by.value.clone() };
        let mut event = NewEvent::of(ticket, "ticket.rated", actor);
        event.channel = Some(key.0);
        event.data = told(&weighed);
        self.events.push(event);
    }

    /// What a message says to a survey of the ticket.
    fn judged(&self, one: &Prepared, prepared: &PreparedMessage, ticket: Uuid) -> Option<Judged> {
        let row = &self.facts.surveys.get(&ticket)?.row;
        let inbound = &prepared.inbound;
        let asked = is_open(row, one.channel.triage.surveys().open_days, self.now);
        if !asked || inbound.automated.is_some() || inbound.form != Form::Message {
            return None;
        }
        if prepared.has_files() || one.channel.known.policy().said(&inbound.text) == Said::Person {
            return None;
        }
        if self.names_follow_up(prepared, ticket) {
            return None;
        }
        let answered = row.answered_at.unwrap_or(0);
        let may_remark = row.score.is_some()
            && row.comment.is_none()
            && millis(self.now) - answered < REMARK_MILLIS;
        judged(&inbound.text, may_remark)
    }

    /// A score for a ticket that is over by now goes there, and opens no new one.
    pub(super) fn keep_late(&self, one: &Prepared, prepared: &PreparedMessage, route: &mut Route) {
        if let Route::Open { linked_to: Some(over) } = *route
            && matches!(self.judged(one, prepared, over.uuid()), Some(Judged::Score(..)))
        {
            *route = Route::Append { ticket: over, reopen: false };
        }
    }

    /// What the customer says to something that we asked by ourselves.
    pub(super) fn heard(&self, one: &Prepared, prepared: &PreparedMessage, ticket: Uuid) -> Heard {
        if let Some(judged) = self.judged(one, prepared, ticket) {
            return Heard::Judgement(judged);
        }
        if let Some(pick) = self.picked(one, prepared, ticket) {
            return Heard::Next(pick);
        }
        self.said(one, prepared, ticket).map_or(Heard::Nothing, Heard::Answer)
    }

    /// When the ticket comes back to people with what was heard.
    pub(super) fn wakes(&self, ticket: Uuid, heard: &Heard, reopen: bool) -> Wakes {
        let quiet = match heard {
            Heard::Nothing => false,
            Heard::Next(_) => true,
            Heard::Answer(said) => *said == Said::Helped,
            Heard::Judgement(judged) => !self.judgement_wakes(ticket, judged),
        };
        match (quiet, reopen) {
            (true, _) => Wakes::Never,
            (false, true) => Wakes::Always,
            (false, false) => Wakes::Pending,
        }
    }

    /// Does what follows from it.
    pub(super) fn heed_all(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        place: Place<'_>,
        (heard, step): (Heard, Option<Result<Fit, NoStep>>),
    ) {
        let ticket = place.ticket;
        match heard {
            Heard::Nothing => {}
            Heard::Answer(said) => self.heed(one, prepared, (ticket, said)),
            Heard::Next(pick) => {
                if let Some(step) = step {
                    self.follow(one, prepared, place, (&pick, step));
                }
            }
            Heard::Judgement(judged) => self.heed_judgement(one, prepared, (ticket, judged)),
        }
    }

    /// Does the ticket come back to people with this judgement?
    fn judgement_wakes(&self, ticket: Uuid, judged: &Judged) -> bool {
        match judged {
            Judged::Score(score, remark) => needs_human(*score, remark),
            Judged::Remark(remark) => {
                let row = self.facts.surveys.get(&ticket).map(|kept| &kept.row);
                let score = row.and_then(|row| u8::try_from(row.score?).ok());
                needs_human(score.unwrap_or(1), remark)
            }
        }
    }

    /// Notes it, tells of it, and thanks once.
    fn heed_judgement(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        (ticket, judged): (Uuid, Judged),
    ) {
        let Some(row) = self.facts.surveys.get(&ticket).map(|kept| &kept.row) else { return };
        let (first, contact, language) = (row.score.is_none(), row.contact, row.language.clone());
        let (score, remark) = match judged {
            Judged::Score(score, remark) => (Some(score), remark),
            Judged::Remark(remark) => (None, remark),
        };
        let Some(weighed) = self.weigh(one, ticket, (score, &remark)) else { return };
        let mut event = NewEvent::of(ticket, "ticket.rated", author(&prepared.inbound, contact));
        event.message = Some(prepared.id);
        event.channel = Some(one.channel.name.as_str().to_owned());
        event.data = told(&weighed);
        self.events.push(event);
        let texts = one.channel.triage.surveys().texts(language.as_deref());
        let thanks = texts.map(|texts| texts.thanks.clone()).filter(|text| !text.is_empty());
        if let Some(thanks) = thanks.filter(|_| first && remark.is_empty()) {
            self.send_by_itself(one, prepared, ticket, (thanks, None));
        }
    }

    /// Notes what counts from now on, with the tags that say the same. `None`: nothing new.
    fn weigh(
        &mut self,
        one: &Prepared,
        ticket: Uuid,
        (score, remark): (Option<u8>, &str),
    ) -> Option<Weighed> {
        let kept = self.facts.surveys.get_mut(&ticket)?;
        let topics = one.channel.triage.topics_of(remark);
        let weighed = weigh(&judgement(&kept.row), (score, remark, &topics))?;
        note_judgement(&mut kept.row, &weighed, millis(self.now));
        kept.changed = true;
        self.remove_tags(ticket, &weighed.tags_gone);
        self.add_tags(ticket, weighed.tags.iter().cloned());
        Some(weighed)
    }

    /// A chat's own window asked, so nothing is noted of it yet.
    fn ask_late(&mut self, ticket: Uuid) {
        let Some(of) = self.facts.tickets.get(&ticket).map(|kept| &kept.row) else { return };
        let new = survey::Model {
            ticket,
            contact: of.contact,
            channel: of.channel.clone(),
            language: of.language.clone(),
            message: MessageId::new().uuid(),
            state: "answered".to_owned(),
            asked_at: millis(self.now),
            score: None,
            comment: None,
            answered_at: None,
            topics: None,
        };
        let fresh = Kept { row: new, fresh: true, changed: false };
        self.facts.surveys.entry(ticket).or_insert(fresh);
    }

    /// Judgements of the batch.
    pub(super) async fn write_surveys(
        &mut self,
        tx: &DatabaseTransaction,
    ) -> Result<(), StoreError> {
        let rows = std::mem::take(&mut self.facts.surveys);
        let (fresh, old): (Vec<_>, Vec<_>) = rows.into_values().partition(|kept| kept.fresh);
        insert(tx, fresh.into_iter().map(|kept| kept.row.into_active_model()).collect()).await?;
        for kept in old.into_iter().filter(|kept| kept.changed) {
            survey::Entity::update(kept.row.into_active_model().reset_all()).exec(tx).await?;
        }
        Ok(())
    }
}
