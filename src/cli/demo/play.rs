//! Plays a plan: moves the clock, lets customers write and agents act.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::Duration;

use super::super::Failure;
use super::super::open::Installation;
use super::offline;
use super::plan::{Act, Case, Plan, plan};
use super::post::Said;
use crate::engine::{Clock, Engine, Hand, ReplyError, ReplyRequest};
use crate::model::{
    Actor, ActorKind, CallOutcome, MessageId, Raw, Role, TicketId, TicketStatus, Timestamp,
};
use crate::store::{By, CallbackFilter, ContactPatch, NewNote, Store, TicketName, TicketPatch};

/// Who works at the desk; the first one is the admin.
const AGENTS: &[(&str, &str)] = &[
    ("Lena Fischer", "lena@wallet.example"),
    ("陈晓", "chen@wallet.example"),
    ("Marco Bianchi", "marco@wallet.example"),
    ("Aisha Khan", "aisha@wallet.example"),
];
/// A reading that no program can understand, for the quarantine.
const GARBLED: &[u8] = b"{\"update_id\": 1, \"message\": \"cut in the mid";

/// Lets the week before `now` happen. Returns how many tickets there are.
pub(super) async fn play(
    installation: &Installation,
    seed: u64,
    now: Timestamp,
) -> Result<usize, Failure> {
    let begins = now - Duration::days(8);
    let (clock, hand) = Clock::by_hand(begins);
    let channels = installation.channels()?.into_iter().map(offline).collect();
    let store = installation.store.clone();
    let engine = Engine::idle(store, channels, installation.engine_settings()?, clock);
    let mut agents = Vec::new();
    for (place, (name, email)) in AGENTS.iter().enumerate() {
        let role = if place == 0 { Role::Admin } else { Role::Agent };
        let added =
            engine.store.add_person((name, email), role, None, &Actor::system(), begins).await?;
        let (id, name) = (Some(added.id), added.name);
        agents.push(Actor { kind: ActorKind::Agent, id, name });
    }
    let plan = plan(seed, now, agents.len())?;
    let mut stage =
        Stage { engine, hand, agents, now, tickets: HashMap::new(), written: HashMap::new() };
    for (at, number, act) in &plan.acts {
        if let Some(case) = plan.cases.get(*number) {
            stage.hand.set(*at);
            stage.perform(&plan, (*number, case), act, *at).await?;
        }
    }
    stage.hand.set(now - Duration::hours(3));
    let garbled = Raw {
        dedupe: crate::model::DedupeKey::new("demo:garbled"),
        body: bytes::Bytes::from_static(GARBLED),
        transport: crate::model::Transport::new(),
        received_at: None,
    };
    let telegram = "telegram".parse().map_err(anyhow::Error::from)?;
    stage.engine.take_raws(&telegram, vec![garbled]).await?;
    stage.engine.drain_journal().await?;
    Ok(stage.tickets.len())
}

/// The desk while the plan is played.
struct Stage {
    engine: Arc<Engine>,
    hand: Hand,
    agents: Vec<Actor>,
    now: Timestamp,
    /// By the number of the case.
    tickets: HashMap<usize, TicketId>,
    /// How many messages the customer of a case has written.
    written: HashMap<usize, u32>,
}

impl Stage {
    async fn perform(
        &mut self,
        plan: &Plan,
        (number, case): (usize, &Case),
        act: &Act,
        at: Timestamp,
    ) -> Result<(), Failure> {
        let Some(story) = plan.stories.get(case.story) else { return Ok(()) };
        let count = self.written.get(&number).copied().unwrap_or_default() + 1;
        let said = |text| Said {
            case,
            language: &story.language,
            subject: &story.subject,
            number: count,
            text,
            at,
        };
        let raws = match act {
            Act::Says(text) => said(text).raws(),
            Act::WantsCall(text) => vec![said(text).wish()],
            Act::Rates(score) => vec![said("").judgement(*score)],
            Act::Takes
            | Act::Answers(_)
            | Act::Notes(_)
            | Act::Calls
            | Act::Sets(_)
            | Act::Snoozes => Vec::new(),
        };
        if !raws.is_empty() {
            self.written.insert(number, count);
            return self.take(number, case, raws).await;
        }
        let Some(ticket) = self.tickets.get(&number).copied() else { return Ok(()) };
        let actor = self.agents.get(case.agent).cloned().unwrap_or_else(Actor::system);
        match act {
            Act::Takes => {
                let patch = TicketPatch {
                    assignee: Some(actor.id.map(|id| id.to_string())),
                    queue: story.queue.clone().map(Some),
                    priority: story.priority,
                    ..TicketPatch::default()
                };
                self.take_over(ticket, patch, (case, &story.tags), actor).await
            }
            Act::Answers(text) => self.answer(ticket, case, text, actor).await,
            Act::Notes(text) => {
                let new = NewNote { ticket, text: text.clone(), html: None, uploads: Vec::new() };
                self.store().add_note(new, self.by(actor)).await?;
                Ok(())
            }
            Act::Calls => self.call(ticket, actor).await,
            Act::Sets(status) => {
                let patch = TicketPatch { status: Some(*status), ..TicketPatch::default() };
                self.change(ticket, patch, actor).await
            }
            Act::Snoozes => {
                let patch = TicketPatch {
                    status: Some(TicketStatus::Pending),
                    snoozed_until: Some(Some(self.now + Duration::days(2))),
                    ..TicketPatch::default()
                };
                self.change(ticket, patch, actor).await
            }
            Act::Says(_) | Act::WantsCall(_) | Act::Rates(_) => Ok(()),
        }
    }

    fn store(&self) -> &Store {
        &self.engine.store
    }

    fn by(&self, actor: Actor) -> By {
        By { actor, version: None, once: None, now: self.engine.clock.now() }
    }

    /// The whole way of what comes in, and of what goes out by itself because of it.
    async fn take(&mut self, number: usize, case: &Case, raws: Vec<Raw>) -> Result<(), Failure> {
        let taken = self.engine.take_raws(&case.channel, raws).await?;
        self.engine.drain_journal().await?;
        for id in taken.ids {
            for placed in self.store().placed(id).await? {
                self.tickets.entry(number).or_insert_with(|| placed.ticket.into());
            }
        }
        self.engine.drain_outbox(&case.channel).await?;
        Ok(())
    }

    async fn take_over(
        &self,
        id: TicketId,
        mut patch: TicketPatch,
        (case, tags): (&Case, &[String]),
        actor: Actor,
    ) -> Result<(), Failure> {
        let ticket = self.store().ticket(TicketName::Id(id.uuid())).await?;
        let mut all = ticket.tags;
        all.extend(tags.iter().cloned());
        patch.tags = Some(all);
        if ticket.priority == "urgent" {
            patch.priority = None;
        }
        if ticket.contact.name != case.name {
            // Some services give no name: the agent asked.
            let name = ContactPatch { name: Some(case.name.to_owned()), ..ContactPatch::default() };
            let contact = ticket.contact.id.into();
            self.store().change_contact(contact, name, self.by(actor.clone())).await?;
        }
        self.change(id, patch, actor).await
    }

    async fn change(&self, id: TicketId, patch: TicketPatch, actor: Actor) -> Result<(), Failure> {
        self.store().change_ticket(id, patch, self.by(actor)).await?;
        Ok(())
    }

    async fn answer(
        &self,
        id: TicketId,
        case: &Case,
        text: &str,
        actor: Actor,
    ) -> Result<(), Failure> {
        let reply = ReplyRequest::words(MessageId::new(), id, text.to_owned(), actor);
        match self.engine.reply(reply).await {
            Ok(_) => self.engine.drain_outbox(&case.channel).await.map_err(Failure::from),
            // A window that closed over night: nobody could have answered.
            Err(ReplyError::Cannot(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whoever of the ticket wants to be called is, and is reached.
    async fn call(&self, ticket: TicketId, actor: Actor) -> Result<(), Failure> {
        let filter = CallbackFilter {
            status: Vec::new(),
            ticket: Some(ticket),
            contact: None,
            due_before: None,
            after: None,
            limit: 10,
        };
        let policy = self.engine.callback_policy();
        for wish in self.store().callbacks(&filter).await? {
            let id = wish.id.into();
            self.store().begin_call(id, self.by(actor.clone())).await?;
            let by = self.by(actor.clone());
            self.store().end_call(id, CallOutcome::Reached, policy.clone(), by).await?;
        }
        Ok(())
    }
}
