//! What agents answered to notifications, between the mail that brought it and the reply or note that it becomes.
//! The id of that message is settled when the mail comes, so that it is made once, whoever is killed between.

use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use std::collections::HashMap;
use uuid::Uuid;

use super::entity::{agent_answer, message, person, ticket};
use super::idempotency::By;
use super::ticket::{NewNote, surviving, write_note};
use super::{Store, StoreError};
use crate::model::{Actor, ActorKind, Flag, MessageId, TicketId, Timestamp};

/// Answers that are looked at in one turn.
const ROWS_MAX: u64 = 100;

/// What an answer becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// It goes to the customer.
    Reply,
    /// It stays here.
    Note,
    /// It stays here, and it is not sure who wrote it.
    Unproven,
}

impl AnswerKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Note => "note",
            Self::Unproven => "unproven",
        }
    }

    fn read(text: &str) -> Self {
        match text {
            "reply" => Self::Reply,
            "note" => Self::Note,
            // Nothing goes out that we cannot read.
            _ => Self::Unproven,
        }
    }
}

/// An answer that waits to become a message.
#[derive(Debug, Clone)]
pub struct AgentAnswer {
    /// The message that it becomes.
    pub message: MessageId,
    /// In which ticket.
    pub ticket: TicketId,
    /// What it becomes.
    pub kind: AnswerKind,
    /// The words.
    pub text: String,
    /// Who wrote it; the daemon, where that is not sure.
    pub actor: Actor,
}

impl Store {
    /// Answers that wait, oldest first.
    pub async fn agent_answers(&self) -> Result<Vec<AgentAnswer>, StoreError> {
        let rows = agent_answer::Entity::find()
            .order_by_asc(agent_answer::Column::Id)
            .limit(ROWS_MAX)
            .all(self.reader())
            .await?;
        let ids = rows.iter().filter_map(|row| row.person);
        let people = person::Entity::find().filter(person::Column::Id.is_in(ids));
        let people = if rows.is_empty() { Vec::new() } else { people.all(self.reader()).await? };
        let names: HashMap<Uuid, String> =
            people.into_iter().map(|row| (row.id, row.name)).collect();
        let answer = |row: agent_answer::Model| AgentAnswer {
            message: row.id.into(),
            ticket: row.ticket.into(),
            kind: AnswerKind::read(&row.kind),
            text: row.text,
            actor: match row.person.and_then(|id| Some((id, names.get(&id)?))) {
                Some((id, name)) => {
                    Actor { kind: ActorKind::Agent, id: Some(id), name: name.clone() }
                }
                None => Actor::system(),
            },
        };
        Ok(rows.into_iter().map(answer).collect())
    }

    /// It was queued as a reply.
    pub async fn forget_answer(&self, message: MessageId) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                agent_answer::Entity::delete_by_id(message.uuid()).exec(tx).await?;
                Ok(())
            })
        })
        .await
    }

    /// Makes a note of it: once, and in the step in which it stops waiting.
    pub async fn note_answer(
        &self,
        answer: &AgentAnswer,
        text: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (answer, text) = (answer.clone(), text);
        self.write(move |tx| {
            let (answer, text) = (answer.clone(), text.clone());
            Box::pin(async move {
                let id = answer.message.uuid();
                if agent_answer::Entity::delete_by_id(id).exec(tx).await?.rows_affected == 0 {
                    return Ok(());
                }
                // It is a reply already: whoever queued it was killed before it stopped waiting.
                if message::Entity::find_by_id(id).one(tx).await?.is_some() {
                    return Ok(());
                }
                // It may have been merged into another one meanwhile.
                let row = ticket::Entity::find_by_id(answer.ticket.uuid()).one(tx).await?;
                let Some(row) = surviving(tx, row).await? else { return Ok(()) };
                let note = NewNote { ticket: row.id.into(), text, html: None, uploads: Vec::new() };
                let by = By { actor: answer.actor, version: None, once: None, now };
                let flags: &[Flag] = match answer.kind {
                    AnswerKind::Unproven => &[Flag::SpoofSuspect],
                    AnswerKind::Reply | AnswerKind::Note => &[],
                };
                match write_note(tx, id, (&note, flags), &by).await {
                    // The ticket was erased meanwhile: there is nowhere to put it, and nobody to tell.
                    Err(StoreError::NotFound(_)) => Ok(()),
                    written => written,
                }
            })
        })
        .await
    }
}
