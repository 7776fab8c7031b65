//! Articles that customers go on to from a known answer.

use uuid::Uuid;

use super::super::entity::faq_earlier;
use super::super::faq::offered;
use super::super::said::listens;
use super::answer::Fit;
use super::apply::Work;
use super::triage::{Place, Triaged};
use super::{Prepared, PreparedMessage};
use crate::desk;
use crate::desk::faq::{FollowUp, Said, may_follow, picked};
use crate::model::{Form, TicketStatus};

/// A pick of which nothing comes.
enum NoStep {
    /// It was sent before: a button was pressed twice.
    Again,
    /// A human has to look at it.
    Refused(&'static str),
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
        let now = offered(row.follow_ups.as_deref());
        picked(&inbound.text, &now, &self.offered_before(ticket)).cloned()
    }

    /// Does it name a button below a known answer? Then it says nothing to anything else that was asked.
    pub(super) fn names_follow_up(&self, prepared: &PreparedMessage, ticket: Uuid) -> bool {
        let row = self.facts.answers.rows.get(&ticket).map(|kept| &kept.row);
        let mut all = self.offered_before(ticket);
        all.extend(offered(row.and_then(|row| row.follow_ups.as_deref())));
        picked(&prepared.inbound.text, &[], &all).is_some()
    }

    fn offered_before(&self, ticket: Uuid) -> Vec<FollowUp> {
        let earlier = self.earlier(ticket).iter();
        earlier.flat_map(|row| offered(row.follow_ups.as_deref())).collect()
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
        (pick, triaged): (&FollowUp, &Triaged),
    ) {
        match self.step(one, prepared, place.ticket, (pick, triaged)) {
            Ok(fit) => self.send_known(one, prepared, place, fit),
            Err(NoStep::Again) => {
                let until = self.facts.answers.rows.get(&place.ticket).map(|kept| kept.row.until);
                let kept = self.facts.tickets.get_mut(&place.ticket);
                if let Some(kept) = kept.filter(|kept| kept.row.status == "pending") {
                    kept.row.snoozed_until = until;
                }
            }
            Err(NoStep::Refused(why)) => {
                self.heed(one, prepared, (place.ticket, Said::Other, why));
                self.set_status(one, place.ticket, TicketStatus::Open);
            }
        }
    }

    fn step(
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
