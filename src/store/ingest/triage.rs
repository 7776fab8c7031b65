//! What is decided about a message before a human looks at it, carried out on its ticket.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::super::event::NewEvent;
use super::super::{millis, moment};
use super::apply::Work;
use super::{Prepared, PreparedMessage};
use crate::desk::{Assign, Situation, Verdict};
use crate::model::{Actor, Flag, Form, Priority, Texts, TicketStatus};

/// What the rules leave to others.
#[derive(Default)]
pub(super) struct Triaged {
    /// To be sent instead of the channel's own acknowledgement.
    pub(super) acknowledge: Option<Texts>,
    /// Offers a call.
    pub(super) offer_call: Option<Texts>,
    /// That keeps somebody from harm.
    pub(super) safety: bool,
    /// May a known answer go out by itself?
    pub(super) faq: Option<bool>,
    /// For the decision trace.
    pub(super) why: Vec<String>,
}

/// A message on its way into a ticket.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) ticket: Uuid,
    pub(super) contact: Uuid,
    /// Did it open the ticket?
    pub(super) opens: bool,
    /// The language of the message, as far as it is known.
    pub(super) language: Option<&'a str>,
    /// It is a piece of a message that was here before; by now this was noticed about that.
    pub(super) grown: Option<&'a BTreeSet<Flag>>,
}

const NO_TAGS: &BTreeSet<String> = &BTreeSet::new();

impl Work {
    /// Applies the rules to a customer's message, before it is kept.
    pub(super) fn triage(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        place: Place<'_>,
    ) -> Triaged {
        let inbound = &prepared.inbound;
        let messages = self.facts.recent.entry(place.contact).or_default();
        *messages += u64::from(place.grown.is_none());
        let messages = *messages;
        let Some(kept) = self.facts.tickets.get(&place.ticket) else { return Triaged::default() };
        if inbound.form == Form::Notice {
            return Triaged::default();
        }
        let row = &kept.row;
        let mut tags = self.facts.tags.get(&place.ticket).cloned().unwrap_or_default();
        tags.extend(inbound.wishes.tags.iter().cloned());
        let age = self.now.signed_duration_since(moment(row.created_at));
        let files = prepared.attachments.iter().map(|file| file.row.media_type.as_str());
        // What is here already was uploaded for it: its type is not known, that it is there is.
        let uploads = prepared.uploads.iter().map(|_| "application/octet-stream");
        let situation = Situation {
            channel: one.channel.name.as_str(),
            language: place.language,
            sender: inbound.sender.address.as_ref(),
            flags: place.grown.unwrap_or(&inbound.flags),
            media_types: files.chain(uploads).collect(),
            opens: place.opens,
            ticket_age: age.to_std().unwrap_or(Duration::ZERO),
            status: row.status.parse().unwrap_or(TicketStatus::Open),
            priority: row.priority.parse().unwrap_or(Priority::Normal),
            tags,
            contact_tags: self.facts.contact_tags.get(&place.contact).unwrap_or(NO_TAGS),
            messages,
            lifted: self.facts.lifted.get(&place.contact).copied().unwrap_or(0),
            now: self.now,
        };
        let verdict = one.channel.triage.judge(&prepared.seen, &situation);
        self.carry_out(one, prepared, place, &verdict)
    }

    fn carry_out(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        place: Place<'_>,
        verdict: &Verdict,
    ) -> Triaged {
        let Verdict { acknowledge, offer_call, safety, faq, mut why, announced, fired, .. } =
            verdict.clone();
        if fired.is_empty() {
            return Triaged { acknowledge, offer_call, safety, faq, why };
        }
        let mut changes = self.set_fields(place.ticket, verdict);
        if let Some(status) = verdict.status {
            changes.extend(self.set_status(one, place.ticket, status));
        }
        if let Some(wish) = &verdict.assign {
            match self.give(one, place, wish, prepared.inbound.flags.contains(&Flag::Imported)) {
                Ok(change) => changes.extend(change),
                Err(reason) => why.push(format!("given to nobody: {reason}")),
            }
        }
        self.add_tags(place.ticket, verdict.tags.iter().cloned());
        let channel = Some(one.channel.name.as_str().to_owned());
        if !changes.is_empty() || !verdict.tags.is_empty() {
            let mut event = NewEvent::of(place.ticket, "ticket.updated", Actor::system());
            event.channel.clone_from(&channel);
            event.data = json!({ "changes": changes, "tags_added": verdict.tags, "rules": fired });
            self.events.push(event);
        }
        for rule in announced {
            let mut event = NewEvent::of(place.ticket, "rule.fired", Actor::system());
            event.message = Some(prepared.id);
            event.channel.clone_from(&channel);
            event.data = json!({ "rule": rule });
            self.events.push(event);
        }
        Triaged { acknowledge, offer_call, safety, faq, why }
    }

    fn set_fields(&mut self, ticket: Uuid, verdict: &Verdict) -> Map<String, Value> {
        let mut changes = Map::new();
        let Some(kept) = self.facts.tickets.get_mut(&ticket) else { return changes };
        let row = &mut kept.row;
        let mut note = |field: &str, from: Value, to: Value| {
            if from != to {
                changes.insert(field.to_owned(), json!({ "from": from, "to": to }));
            }
        };
        if let Some(priority) = verdict.priority {
            note("priority", json!(row.priority), json!(priority));
            priority.as_str().clone_into(&mut row.priority);
            kept.changed = true;
        }
        if let Some(queue) = &verdict.queue {
            note("queue", json!(row.queue), json!(queue));
            row.queue = Some(queue.clone());
            kept.changed = true;
        }
        changes
    }

    /// Where the ticket stands now. One that opens again does so as if the customer had written.
    pub(super) fn set_status(
        &mut self,
        one: &Prepared,
        ticket: Uuid,
        status: TicketStatus,
    ) -> Option<(String, Value)> {
        let kept = self.facts.tickets.get_mut(&ticket)?;
        let from = kept.row.status.clone();
        // Nothing leaves `closed`.
        if from == status.as_str() || from == "closed" {
            return None;
        }
        if status == TicketStatus::Open {
            self.wake(one, ticket);
            return None;
        }
        kept.changed = true;
        let row = &mut kept.row;
        status.as_str().clone_into(&mut row.status);
        row.solved_at = matches!(status, TicketStatus::Solved | TicketStatus::Closed)
            .then_some(millis(self.now));
        if status != TicketStatus::Pending
            && let Some(thread) = &row.thread
        {
            let key = (row.channel.clone(), thread.clone());
            if self.facts.open_by_thread.get(&key) == Some(&ticket) {
                self.facts.open_by_thread.remove(&key);
            }
        }
        Some(("status".to_owned(), json!({ "from": from, "to": status })))
    }

    /// Hands the ticket to somebody, if nobody has it.
    fn give(
        &mut self,
        one: &Prepared,
        place: Place<'_>,
        wish: &Assign,
        imported: bool,
    ) -> Result<Option<(String, Value)>, &'static str> {
        let kept = self.facts.tickets.get_mut(&place.ticket).ok_or("the ticket is gone")?;
        if kept.row.assignee.is_some() {
            return Ok(None);
        }
        if imported || !matches!(kept.row.status.as_str(), "open" | "pending") {
            return Err("the ticket waits for nobody");
        }
        let when = (place.language, self.now);
        let person = one.channel.triage.assign(wish, &self.facts.colleagues, when)?;
        kept.row.assignee = Some(person);
        kept.changed = true;
        if let Some(given) = self.facts.colleagues.iter_mut().find(|given| given.id == person) {
            given.open += 1;
            given.given_at = millis(self.now);
        }
        self.given.insert(person);
        Ok(Some(("assignee".to_owned(), json!({ "from": null, "to": person }))))
    }

    /// Tags of a ticket, old or new, for the rules and for the store.
    pub(super) fn add_tags(&mut self, ticket: Uuid, tags: impl IntoIterator<Item = String>) {
        let known: &mut BTreeSet<String> = self.facts.tags.entry(ticket).or_default();
        for tag in tags {
            known.insert(tag.clone());
            self.tags.push((ticket, tag));
        }
    }

    /// Tags that are true no longer: those that the ticket has, and those that it got within the batch.
    pub(super) fn remove_tags(&mut self, ticket: Uuid, tags: &[String]) {
        if let Some(known) = self.facts.tags.get_mut(&ticket) {
            known.retain(|tag| !tags.contains(tag));
        }
        self.tags.retain(|(of, tag)| *of != ticket || !tags.contains(tag));
        self.tags_gone.extend(tags.iter().map(|tag| (ticket, tag.clone())));
    }
}
