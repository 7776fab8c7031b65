//! Articles that customers go on to from a known answer.

use serde_json::json;
use uuid::Uuid;

use super::super::entity::faq_earlier;
use super::super::event::NewEvent;
use super::super::faq::offered;
use super::super::millis;
use super::super::said::listens;
use super::answer::Fit;
use super::apply::Work;
use super::judged::Heard;
use super::triage::{Place, Triaged};
use super::{Prepared, PreparedMessage};
use crate::desk;
use crate::desk::faq::answer::ESCALATED;
use crate::desk::faq::{FollowUp, Said, answered, may_follow, picked};
use crate::model::{Actor, Form, TicketStatus};

/// A pick of which nothing comes.
pub(super) enum NoStep {
    /// It was sent before: a button was pressed twice.
    Again,
    /// A human has to look at it.
    Refused(&'static str),
}

/// For the decision trace: why what they picked was not sent.
pub(super) fn refusal(heard: &Heard, step: Option<&Result<Fit, NoStep>>) -> Option<String> {
    let (Heard::Next(pick), Some(Err(NoStep::Refused(why)))) = (heard, step) else { return None };
    Some(format!("the known answer «{}» was picked and not sent: {why}", pick.article))
}

impl Work {
    /// The follow-up that a message picks, as long as no human has answered since.
    pub(super) fn picked(
        &self,
        one: &Prepared,
        prepared: &PreparedMessage,
        ticket: Uuid,
    ) -> Option<FollowUp> {
        let row = &self.facts.answers.rows.get(&ticket)?.row;
        let status = &self.facts.tickets.get(&ticket)?.row;
        let inbound = &prepared.inbound;
        let person = inbound.automated.is_none() && inbound.form == Form::Message;
        if !listens(row, status) || !person || prepared.has_files() || !one.channel.delivers {
            return None;
        }
        picked(&inbound.text, &self.sent_last(ticket), &self.offered_ever(ticket)).cloned()
    }

    /// Does it name a button below a known answer? Then it says nothing to anything else that was asked.
    pub(super) fn names_follow_up(&self, prepared: &PreparedMessage, ticket: Uuid) -> bool {
        picked(&prepared.inbound.text, &[], &self.offered_ever(ticket)).is_some()
    }

    /// What stood below the last answer that was sent: digits in a message are of that. The page of a link shows
    /// buttons, and nobody reads digits there.
    fn sent_last(&self, ticket: Uuid) -> Vec<FollowUp> {
        let last = self.facts.answers.rows.get(&ticket).map(|kept| &kept.row);
        let last = last.map(|row| (row.sent, row.follow_ups.as_deref()));
        let earlier = self.earlier(ticket).iter().rev();
        let earlier = earlier.map(|row| (row.sent, row.follow_ups.as_deref()));
        let found = last.into_iter().chain(earlier).find(|(sent, _)| *sent);
        offered(found.and_then(|(_, stored)| stored))
    }

    /// All that was ever offered in the ticket, in a message or on a page.
    fn offered_ever(&self, ticket: Uuid) -> Vec<FollowUp> {
        let last = self.facts.answers.rows.get(&ticket).map(|kept| kept.row.follow_ups.as_deref());
        let earlier = self.earlier(ticket).iter().map(|row| row.follow_ups.as_deref());
        earlier.chain(last).flat_map(offered).collect()
    }

    /// The answers that the ticket's customer went on from, in order.
    fn earlier(&self, ticket: Uuid) -> &[faq_earlier::Model] {
        self.facts.answers.earlier.get(&ticket).map_or(&[], Vec::as_slice)
    }

    /// Sends what was picked, and asks again; or lets a human look at it.
    pub(super) fn follow(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        place: Place<'_>,
        (pick, step): (&FollowUp, Result<Fit, NoStep>),
    ) {
        match step {
            Ok(fit) => self.send_known(one, prepared, place, fit),
            Err(NoStep::Again) => {
                let until = self.facts.answers.rows.get(&place.ticket).map(|kept| kept.row.until);
                let kept = self.facts.tickets.get_mut(&place.ticket);
                if let Some(kept) = kept.filter(|kept| kept.row.status == "pending") {
                    kept.row.snoozed_until = until;
                }
            }
            Err(NoStep::Refused(why)) => self.refuse(one, prepared, place.ticket, (pick, why)),
        }
    }

    /// Gives it to people, and tells them why, whatever came of the answer before: that it helped, or that nothing was
    /// said to it for long, stays true and is counted so.
    fn refuse(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        ticket: Uuid,
        (pick, why): (&FollowUp, &'static str),
    ) {
        let Some(kept) = self.facts.answers.rows.get_mut(&ticket) else { return };
        if let Some((outcome, _)) = answered(&kept.row.outcome, Said::Other) {
            outcome.clone_into(&mut kept.row.outcome);
            kept.row.ended_at = Some(millis(self.now));
            kept.changed = true;
        }
        let mut event = NewEvent::of(ticket, "faq.escalated", Actor::system());
        event.message = Some(prepared.id);
        event.channel = Some(one.channel.name.as_str().to_owned());
        event.data = json!({ "article": kept.row.article, "picked": pick.article, "why": why });
        self.events.push(event);
        self.add_tags(ticket, [ESCALATED.to_owned()]);
        self.set_status(one, ticket, TicketStatus::Open);
    }

    /// What comes of the follow-up that a message picks. `None`: it picks none.
    pub(super) fn step(
        &self,
        one: &Prepared,
        prepared: &PreparedMessage,
        ticket: Uuid,
        (heard, triaged): (&Heard, &Triaged),
    ) -> Option<Result<Fit, NoStep>> {
        match heard {
            Heard::Next(pick) => Some(self.next(one, prepared, ticket, (pick, triaged))),
            Heard::Nothing | Heard::Answer(_) | Heard::Judgement(_) => None,
        }
    }

    fn next(
        &self,
        one: &Prepared,
        prepared: &PreparedMessage,
        ticket: Uuid,
        (pick, triaged): (&FollowUp, &Triaged),
    ) -> Result<Fit, NoStep> {
        let gone = || NoStep::Refused("the article that the customer picked is no longer there");
        let (channel, inbound) = (&one.channel, &prepared.inbound);
        let (known, policy) = (&channel.known, channel.known.policy());
        let row = &self.facts.answers.rows.get(&ticket).ok_or_else(gone)?.row;
        let of = &self.facts.tickets.get(&ticket).ok_or_else(gone)?.row;
        if !listens(row, of) {
            // A rule has closed it since, or called it spam.
            return Err(NoStep::Again);
        }
        let before: Vec<&str> = self.earlier(ticket).iter().map(|row| &*row.article).collect();
        if row.article == pick.article || before.contains(&pick.article.as_str()) {
            return Err(NoStep::Again);
        }
        let article = known.article(&pick.article).filter(|one| one.serves(&channel.name));
        let article = article.ok_or_else(gone)?;
        let facts = self.answer_facts(one, prepared, ticket, triaged).ok_or_else(gone)?;
        desk::answerable(inbound, &channel.own).map_err(NoStep::Refused)?;
        may_follow(policy, article, inbound, facts).map_err(NoStep::Refused)?;
        if before.len() + 1 >= desk::faq::follow::CHAIN_MAX {
            return Err(NoStep::Refused("the ticket had enough of them"));
        }
        self.fit(one, article, (ticket, Some(&row.language))).ok_or_else(gone)
    }
}
