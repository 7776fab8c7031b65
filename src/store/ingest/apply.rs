//! Decides on each message of a batch in order, in memory; `flush` writes what came of it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::super::entity::{agent_answer, handed_on, identity, message, participant, seen, ticket};
use super::super::event::NewEvent;
use super::super::millis;
use super::super::original::Sealed;
use super::super::ticket::MERGES_MAX;
use super::acknowledge::Ack;
use super::facts::{Facts, Kept};
use super::follow::refusal;
use super::judged::Heard;
use super::moved::Move;
use super::part::{Addition, Files};
use super::reach::Said;
use super::row::{author, findable, message_row, said_by_us};
use super::triage::{Place, Triaged};
use super::{Ending, Ingested, Prepared, PreparedMessage, Step, TOO_EARLY_FOR, quarantined};
use crate::desk::{self, CallbackPolicy, Candidate, Decision, Route, Safety};
use crate::model::{
    Actor, Address, AnswerLinks, CallWish, Called, Flag, Form, Inbound, MessageId, Secret,
    TicketId, Timestamp, Token,
};

/// A new ticket's number is given when the batch is written; until then it has none.
pub(super) const NO_NUMBER: i64 = 0;

/// When a ticket comes back to people with a message of its customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wakes {
    /// It does not: they say that all is well.
    Never,
    /// If it waited for them.
    Pending,
    /// Wherever it stands.
    Always,
}

/// A batch at work: what was read, what is to be written.
pub(super) struct Work {
    pub(super) facts: Facts,
    pub(super) now: Timestamp,
    pub(super) safety: Arc<Safety>,
    /// Makes the links by which customers answer, if there are any.
    pub(super) pages: Option<Arc<dyn AnswerLinks>>,
    pub(super) results: Vec<Ingested>,
    /// Rows that wait for something that may still come.
    pub(super) postponed: Vec<Uuid>,
    pub(super) messages: Vec<message::Model>,
    /// Messages whose files go in.
    pub(super) files: Vec<Files>,
    /// Later parts of messages that were there before.
    pub(super) additions: Vec<Addition>,
    pub(super) said: Vec<Said>,
    pub(super) moves: Vec<Move>,
    pub(super) seen: Vec<seen::Model>,
    pub(super) participants: Vec<participant::Model>,
    pub(super) identities: Vec<identity::Model>,
    pub(super) tags: Vec<(Uuid, String)>,
    /// Taken away before those are put there.
    pub(super) tags_gone: Vec<(Uuid, String)>,
    pub(super) texts: Vec<(Uuid, String)>,
    pub(super) events: Vec<NewEvent>,
    pub(super) acks: Vec<Ack>,
    /// Tickets in which a human wrote: deliveries that wait «unless answered» are cancelled.
    pub(super) answered: Vec<Uuid>,
    pub(super) deliveries: Vec<super::receipt::Moved>,
    pub(super) suppressions: Vec<super::super::standing::Suppressed>,
    pub(super) edits: Vec<Edit>,
    pub(super) calls: Vec<Call>,
    /// Addresses whose owners brought a code of ours along.
    pub(super) links: Vec<(Secret, Address)>,
    /// Mails of customers that people who work here handed on.
    pub(super) handed_on: Vec<handed_on::Model>,
    /// What agents answered to notifications.
    pub(super) agent_answers: Vec<agent_answer::Model>,
    /// Calls for agents that are over.
    pub(super) called: Vec<(Called, Arc<CallbackPolicy>)>,
    /// People who were given a ticket.
    pub(super) given: HashSet<Uuid>,
    /// Contacts of whom only an address was known, what they were called for it, and their name.
    pub(super) named: Vec<(Uuid, String, String)>,
}

/// Somebody wants to be called.
pub(super) struct Call {
    pub(super) wish: CallWish,
    pub(super) ticket: Uuid,
    pub(super) message: Uuid,
    pub(super) policy: Arc<CallbackPolicy>,
    pub(super) by: Actor,
}

/// A change of a message that was there before.
pub(super) struct Edit {
    pub(super) message: Uuid,
    pub(super) ticket: Uuid,
    /// `None`: taken back.
    pub(super) text: Option<String>,
    /// What was masked in the new text.
    pub(super) original: Option<Sealed>,
}

impl Work {
    pub(super) fn new(
        facts: Facts,
        (safety, pages): (Arc<Safety>, Option<Arc<dyn AnswerLinks>>),
        now: Timestamp,
    ) -> Self {
        Self {
            facts,
            now,
            safety,
            pages,
            results: Vec::new(),
            postponed: Vec::new(),
            messages: Vec::new(),
            files: Vec::new(),
            additions: Vec::new(),
            said: Vec::new(),
            moves: Vec::new(),
            seen: Vec::new(),
            participants: Vec::new(),
            identities: Vec::new(),
            tags: Vec::new(),
            tags_gone: Vec::new(),
            texts: Vec::new(),
            events: Vec::new(),
            acks: Vec::new(),
            answered: Vec::new(),
            deliveries: Vec::new(),
            suppressions: Vec::new(),
            edits: Vec::new(),
            calls: Vec::new(),
            links: Vec::new(),
            handed_on: Vec::new(),
            agent_answers: Vec::new(),
            called: Vec::new(),
            given: HashSet::new(),
            named: Vec::new(),
        }
    }

    /// All events of one row, if it still waits for its meaning.
    pub(super) fn apply(&mut self, one: &Prepared) {
        if !self.facts.pending.contains(&one.id.uuid()) {
            return;
        }
        let mut result =
            Ingested { id: one.id, ending: Some(one.ending.clone()), messages: Vec::new(), new: 0 };
        let mut too_early = false;
        for step in &one.steps {
            match step {
                Step::Message(message) => {
                    if !self.take_from_agent(one, message, &mut result) {
                        self.take(one, message, None, &mut result);
                    }
                }
                Step::Echo(echo) => too_early |= !self.echo(one, echo, &mut result),
                Step::Edit { target, text, original } => {
                    let said = (text.clone(), original.as_deref().cloned());
                    let edited = self.edit(one, &target.0, Some(said));
                    too_early |= edited.is_none();
                    result.messages.extend(edited);
                }
                Step::Delete { target } => {
                    let deleted = self.edit(one, &target.0, None);
                    too_early |= deleted.is_none();
                    result.messages.extend(deleted);
                }
                Step::Receipt(receipt) => too_early |= !self.receipt(one, receipt),
                Step::Watermark(mark) => too_early |= !self.watermark(one, mark),
                Step::Rating(rating) => self.rating(one, rating),
                Step::Reaction(reaction) => too_early |= !self.reaction(one, reaction),
                Step::Standing(standing) => self.standing(one, standing),
                Step::Moved(moved) => self.moved(one, moved),
                Step::Called(called) => too_early |= !self.called(one, called),
                Step::Linked(one) => self.links.push((one.code.clone(), one.address.clone())),
            }
        }
        if too_early && result.messages.is_empty() {
            if self.may_wait(one) {
                self.postponed.push(one.id.uuid());
                result.ending = None;
            } else {
                let why = "it is about a message that we never had".to_owned();
                result.ending = Some(Ending::Ignored(why));
            }
        }
        if let Some(Ending::Failed(why)) = &result.ending {
            self.events.push(quarantined(one.id, one.channel.name.as_str(), why));
        }
        self.results.push(result);
    }

    /// Is it early enough to wait for what it is about?
    pub(super) fn may_wait(&self, one: &Prepared) -> bool {
        self.now < one.received_at + TOO_EARLY_FOR
    }

    /// `None`: there is no such message (yet).
    fn edit(
        &mut self,
        one: &Prepared,
        remote_id: &str,
        said: Option<(String, Option<Sealed>)>,
    ) -> Option<(TicketId, MessageId)> {
        let key = (one.channel.realm.0.clone(), remote_id.to_owned());
        let known = self.facts.seen.get(&key).and_then(|rows| rows.last());
        let (message, ticket) = known.and_then(|row| row.message.zip(row.ticket))?;
        let (text, original) = said.map_or((None, None), |(text, original)| (Some(text), original));
        self.edits.push(Edit { message, ticket, text, original });
        Some((ticket.into(), message.into()))
    }

    /// A message; `ours`: who of us wrote it on the service itself.
    pub(super) fn take(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        ours: Option<&Actor>,
        result: &mut Ingested,
    ) {
        let inbound = &prepared.inbound;
        let key = (one.channel.realm.0.clone(), inbound.remote_id.0.clone());
        let known = self.facts.seen.get(&key);
        let known = known.and_then(|rows| rows.iter().find(|row| row.digest == inbound.digest));
        if let Some(known) = known.cloned() {
            self.known(one, &known, result);
            return;
        }
        if let Some(whole) = self.whole(one, inbound) {
            self.add_part(one, prepared, whole, result);
            return;
        }
        let contact = self.contact(inbound);
        self.bring_link(inbound, ours);
        let mut decision = self.decide(one, inbound);
        if ours.is_none() {
            self.keep_late(one, prepared, &mut decision.route);
        }
        let opens = matches!(decision.route, Route::Open { .. });
        let mut heard = Heard::Nothing;
        let ticket = match decision.route {
            Route::Append { ticket, reopen } => {
                let ticket = ticket.uuid();
                if ours.is_none() {
                    heard = self.heard(one, prepared, ticket);
                }
                self.append(one, ticket, inbound, self.wakes(ticket, &heard, reopen));
                ticket
            }
            Route::Open { linked_to } => {
                let linked_to = linked_to.map(TicketId::uuid);
                self.open(one, inbound, contact, linked_to)
            }
        };
        let language = self.language(prepared, (ticket, contact), ours);
        let language = language.as_deref();
        let place = Place { ticket, contact, opens, language, grown: None };
        let triaged = match ours {
            None => self.triage(one, prepared, place),
            Some(_) => Triaged::default(),
        };
        let forwarder = self.hands_on(inbound).filter(|_| ours.is_none());
        // What one of us hands on is answered by nobody but a person.
        let answers = ours.is_none() && forwarder.is_none();
        let asks = answers && !matches!(heard, Heard::Next(_));
        let step = self.step(one, prepared, ticket, (&heard, &triaged));
        decision.why.extend(refusal(&heard, step.as_ref()));
        let known = asks.then(|| self.known_answer(one, prepared, place, &triaged)).flatten();
        decision.why.extend(triaged.why.iter().cloned());
        decision.why.extend(known.as_ref().and_then(|known| known.as_ref().err().cloned()));
        self.add_message(one, prepared, place, (&decision, ours));
        let before = self.acks.len();
        self.heed_all(one, prepared, place, (heard, step));
        // What they picked is their answer.
        let told = !asks && self.acks.len() > before;
        self.bring_code(one, prepared, place, ours);
        match (known, forwarder) {
            (_, Some(person)) => self.note_handed_on(one, prepared, place, person),
            (Some(Ok(fit)), None) => self.send_known(one, prepared, place, fit),
            (Some(Err(_)) | None, None) if answers && !told => {
                self.acknowledge_and_offer(one, prepared, place, &triaged);
            }
            (Some(Err(_)) | None, None) => {}
        }
        self.begin_whole(one, inbound, (prepared.id, ticket));
        match ours {
            None if answers => self.advise(one, prepared, ticket),
            None => {}
            Some(_) => self.answered_elsewhere(ticket, inbound.occurred_at),
        }
        result.messages.push((ticket.into(), prepared.id.into()));
        result.new += 1;
    }

    /// The same message, by whatever way. It is noted once more only where it tells something: another
    /// of our channels got it too.
    fn known(&mut self, one: &Prepared, known: &seen::Model, result: &mut Ingested) {
        let Some((message, ticket)) = known.message.zip(known.ticket) else { return };
        result.messages.push((ticket.into(), message.into()));
        let channel = one.channel.name.as_str();
        let elsewhere =
            self.facts.tickets.get(&ticket).is_some_and(|kept| kept.row.channel != channel);
        if elsewhere {
            let mut event = NewEvent::of(ticket, "message.arrived_again", Actor::system());
            event.message = Some(message);
            event.channel = Some(channel.to_owned());
            self.events.push(event);
        }
    }

    // ---- where does it go ----------------------------------------------------------------

    fn decide(&self, one: &Prepared, inbound: &Inbound) -> Decision {
        let facts = &self.facts;
        let realm = &one.channel.realm.0;
        let candidate = |ticket: Option<Uuid>| self.candidate(ticket, inbound);
        let number = |number: u64| {
            let number = i64::try_from(number).ok()?;
            facts.ticket_by_number.get(&number).copied()
        };
        let of_token = |token: &Token| match token {
            Token::Ticket(named) => number(*named),
            Token::Delivery(id) => facts.deliveries.get(&id.uuid()).map(|delivery| delivery.ticket),
        };
        let of_parent = |parent: &crate::model::RemoteId| {
            let key = (realm.clone(), parent.0.clone());
            let seen = facts.seen.get(&key).and_then(|rows| rows.iter().find_map(|row| row.ticket));
            seen.or_else(|| {
                let delivery = facts.delivery_by_remote.get(&key)?;
                Some(facts.deliveries.get(delivery)?.ticket)
            })
        };
        let by_thread = inbound.thread.key.as_ref().and_then(|key| {
            let key = (one.channel.name.as_str().to_owned(), key.0.clone());
            facts.ticket_by_thread.get(&key).copied()
        });
        let facts = desk::Facts {
            by_token: candidate(inbound.thread.tokens.iter().find_map(of_token)),
            by_parent: candidate(inbound.thread.parents.iter().find_map(of_parent)),
            by_thread: candidate(by_thread),
            by_tag: candidate(inbound.thread.tag.and_then(number)),
        };
        desk::route(&facts, inbound, &one.channel.policy, self.now)
    }

    /// Follows merges to the survivor. A deleted ticket is none.
    fn candidate(&self, ticket: Option<Uuid>, inbound: &Inbound) -> Option<Candidate> {
        let row = &self.facts.tickets.get(&self.survivor(ticket)?)?.row;
        let participant = inbound.sender.address.as_ref().is_some_and(|address| {
            let key = (row.id, address.scheme.as_str().to_owned(), address.value.clone());
            self.facts.participants.contains(&key)
        });
        Some(Candidate {
            ticket: row.id.into(),
            status: row.status.parse().unwrap_or(crate::model::TicketStatus::Open),
            solved_at: row.solved_at.map(super::super::moment),
            participant,
        })
    }

    /// The ticket that a ticket was merged into, or itself. `None`: it is gone.
    pub(super) fn survivor(&self, ticket: Option<Uuid>) -> Option<Uuid> {
        let mut kept = self.facts.tickets.get(&ticket?)?;
        for _ in 0..MERGES_MAX {
            match kept.row.merged_into {
                Some(survivor) => kept = self.facts.tickets.get(&survivor)?,
                None => break,
            }
        }
        kept.row.deleted_at.is_none().then_some(kept.row.id)
    }

    fn append(&mut self, one: &Prepared, id: Uuid, inbound: &Inbound, wakes: Wakes) {
        let machine = inbound.automated.is_some() || inbound.form == Form::Notice;
        if !machine {
            self.answered.push(id);
        }
        let now = millis(self.now);
        let Some(kept) = self.facts.tickets.get_mut(&id) else { return };
        kept.changed = true;
        let ticket = &mut kept.row;
        ticket.updated_at = now;
        ticket.version += 1;
        ticket.message_count += 1;
        if !machine {
            ticket.last_inbound_at = Some(now);
            ticket.snoozed_until = None;
        }
        let wakes = match wakes {
            Wakes::Never => false,
            Wakes::Pending => ticket.status == "pending" && !machine,
            Wakes::Always => true,
        };
        if wakes {
            self.wake(one, id);
        }
    }

    /// Somebody here has to act on the ticket (again).
    ///
    /// One conversation of a service has one open ticket: if another one has it by now, this one opens
    /// without it.
    pub(super) fn wake(&mut self, one: &Prepared, id: Uuid) {
        let Some(kept) = self.facts.tickets.get_mut(&id) else { return };
        kept.changed = true;
        let ticket = &mut kept.row;
        if let Some(thread) = ticket.thread.clone() {
            let key = (ticket.channel.clone(), thread);
            match self.facts.open_by_thread.get(&key) {
                Some(other) if *other != id => ticket.thread = None,
                Some(_) => {}
                None => {
                    self.facts.open_by_thread.insert(key, id);
                }
            }
        }
        ticket.solved_at = None;
        let event = status_change(ticket, "open", one);
        self.events.push(event);
    }

    fn open(
        &mut self,
        one: &Prepared,
        inbound: &Inbound,
        contact: Uuid,
        linked_to: Option<Uuid>,
    ) -> Uuid {
        let id = TicketId::new().uuid();
        let now = millis(self.now);
        let (policy, wishes) = (&one.channel.policy, &inbound.wishes);
        let sender = inbound.sender.address.as_ref();
        let blocked = sender.is_some_and(|address| desk::is_blocked(policy, &address.value));
        let spam = blocked || inbound.flags.contains(&Flag::Spam);
        let thread = inbound.thread.key.as_ref().map(|key| key.0.clone());
        let row = ticket::Model {
            id,
            number: NO_NUMBER,
            subject: desk::subject(inbound),
            status: if spam { "spam" } else { "open" }.to_owned(),
            priority: wishes.priority.unwrap_or(policy.ticket.priority).as_str().to_owned(),
            queue: wishes.queue.clone().or_else(|| policy.ticket.queue.clone()),
            assignee: None,
            channel: one.channel.name.as_str().to_owned(),
            contact,
            thread: thread.clone(),
            language: wishes.language.clone(),
            created_at: now,
            updated_at: now,
            first_response_at: None,
            last_inbound_at: Some(now),
            last_outbound_at: None,
            solved_at: None,
            snoozed_until: None,
            message_count: 1,
            event_count: 0,
            version: 1,
            merged_into: None,
            linked_to,
            deleted_at: None,
        };
        if let Some(thread) = thread {
            let key = (row.channel.clone(), thread);
            if !spam {
                self.facts.open_by_thread.insert(key.clone(), id);
            }
            self.facts.ticket_by_thread.insert(key, id);
        }
        self.facts.tickets.insert(id, Kept { row, fresh: true, changed: false });
        self.add_tags(id, policy.ticket.tags.iter().cloned());
        let mut event = NewEvent::of(id, "ticket.created", author(inbound, contact));
        event.channel = Some(one.channel.name.as_str().to_owned());
        event.data = json!({ "linked_to": linked_to });
        self.events.push(event);
        id
    }

    // ---- what is kept --------------------------------------------------------------------

    fn add_message(
        &mut self,
        one: &Prepared,
        prepared: &PreparedMessage,
        place: Place<'_>,
        (decision, ours): (&Decision, Option<&Actor>),
    ) {
        let Place { ticket, contact, .. } = place;
        let inbound = &prepared.inbound;
        let mut row = message_row(one, prepared, (ticket, contact), decision, self.now);
        row.language = self.language(prepared, (ticket, contact), ours);
        row.reply_to = self.answered_by(one, inbound);
        if let Some(actor) = ours {
            said_by_us(&mut row, actor);
        }
        let found = self.found(prepared);
        if !found.is_empty() {
            let flags = inbound.flags.iter().chain(&decision.flags).copied();
            let flags: BTreeSet<Flag> = flags.chain([Flag::Redacted]).collect();
            row.flags = json!(flags).to_string();
            let mut why: Vec<String> = serde_json::from_str(&row.why).unwrap_or_default();
            why.push(format!("masked before it was stored: {}", desk::safety::told(&found)));
            row.why = json!(why).to_string();
        }
        if inbound.part_of.is_some() {
            let flags = serde_json::from_str(&row.flags).unwrap_or_default();
            self.facts.flags.insert(row.id, flags);
        }
        self.texts.push((row.id, findable(&row, prepared)));
        let known = seen::Model {
            realm: row.realm.clone(),
            remote_id: inbound.remote_id.0.clone(),
            digest: inbound.digest.clone(),
            message: Some(row.id),
            ticket: Some(ticket),
            added_at: millis(self.now),
        };
        let key = (known.realm.clone(), known.remote_id.clone());
        self.facts.seen.entry(key).or_default().push(known.clone());
        self.seen.push(known);
        if inbound.form != Form::Notice {
            self.join(one, ticket, inbound);
        }
        let actor = ours.cloned().unwrap_or_else(|| author(inbound, contact));
        if ours.is_none() {
            self.note_wish(one, inbound, (ticket, row.id), &actor);
        }
        let mut event = NewEvent::of(ticket, "message.created", actor);
        event.message = Some(row.id);
        event.channel = Some(row.channel.clone());
        event.data = json!({ "direction": row.direction, "kind": row.kind });
        let tags: Vec<String> = inbound.wishes.tags.clone();
        if !tags.is_empty() {
            event.data = json!({ "direction": row.direction, "kind": row.kind, "tags": tags });
            self.add_tags(ticket, tags);
        }
        self.events.push(event);
        if prepared.goes_along() {
            self.files.push(Files { of: row.id, to: row.id });
        }
        self.messages.push(row);
    }

    /// The message that it says it answers, theirs or ours, if we have it.
    fn answered_by(&self, one: &Prepared, inbound: &Inbound) -> Option<Uuid> {
        let facts = &self.facts;
        let of_delivery = |id: &Uuid| facts.deliveries.get(id).map(|delivery| delivery.message);
        let of_parent = |parent: &crate::model::RemoteId| {
            let key = (one.channel.realm.0.clone(), parent.0.clone());
            let seen =
                facts.seen.get(&key).and_then(|rows| rows.iter().find_map(|row| row.message));
            seen.or_else(|| of_delivery(facts.delivery_by_remote.get(&key)?))
        };
        let of_token = |token: &Token| match token {
            Token::Delivery(id) => of_delivery(&id.uuid()),
            Token::Ticket(_) => None,
        };
        let parents = || inbound.thread.parents.iter().find_map(of_parent);
        inbound.thread.tokens.iter().find_map(of_token).or_else(parents)
    }
}

/// Sets the status and gives the event that tells of it.
fn status_change(ticket: &mut ticket::Model, to: &str, one: &Prepared) -> NewEvent {
    let from = std::mem::replace(&mut ticket.status, to.to_owned());
    let mut event = NewEvent::of(ticket.id, "ticket.updated", Actor::system());
    event.channel = Some(one.channel.name.as_str().to_owned());
    event.data = json!({ "changes": { "status": { "from": from, "to": to } } });
    event
}
