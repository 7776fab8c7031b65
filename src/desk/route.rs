//! Which ticket does a message belong to?
//!
//! Strongest evidence first: our signed token, the messages that it answers, the service's conversation,
//! the tag in the subject. Evidence names a ticket; whether the sender may write into it is another
//! question, and a «no» opens a new ticket that is linked to the one named.

use std::time::Duration;

use crate::model::{Flag, Form, Inbound, Policy, Reopen, TicketId, TicketStatus, Timestamp, Trust};

/// A ticket that something in the message points to; merged tickets are already followed to the survivor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The ticket.
    pub ticket: TicketId,
    /// Where it stands.
    pub status: TicketStatus,
    /// When it was solved or closed.
    pub solved_at: Option<Timestamp>,
    /// Has the sender written to it, or been written to in it?
    pub participant: bool,
}

/// What the store knows that matters for routing one message.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The ticket of a signed token.
    pub by_token: Option<Candidate>,
    /// The ticket of the nearest parent that we know.
    pub by_parent: Option<Candidate>,
    /// The latest ticket of this conversation of the service.
    pub by_thread: Option<Candidate>,
    /// The ticket that the subject names.
    pub by_tag: Option<Candidate>,
}

/// Where the message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Into this ticket.
    Append {
        /// Which one.
        ticket: TicketId,
        /// It was solved, and is open again.
        reopen: bool,
    },
    /// Into a new ticket.
    Open {
        /// It has to do with this one.
        linked_to: Option<TicketId>,
    },
}

/// The route, what it says about the message, and why: kept as the decision trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Where to.
    pub route: Route,
    /// Flags that routing adds.
    pub flags: Vec<Flag>,
    /// One sentence each, in order.
    pub why: Vec<String>,
}

/// Decides, strongest evidence first.
#[must_use]
pub fn route(facts: &Facts, inbound: &Inbound, policy: &Policy, now: Timestamp) -> Decision {
    let mut why = Vec::new();
    let evidence = [
        ("our signed token", &facts.by_token),
        ("the message it answers", &facts.by_parent),
        ("the conversation", &facts.by_thread),
        ("the number in the subject", &facts.by_tag),
    ];
    for (name, candidate) in evidence {
        let Some(candidate) = candidate else {
            why.push(format!("{name}: names no ticket"));
            continue;
        };
        // The service vouches for its own conversations; a bounce is written by a machine.
        let trusted = name == "the conversation" || inbound.form == Form::Notice;
        if inbound.sender.trust == Trust::Forged && !trusted {
            why.push(format!("{name}: names a ticket, but the sender failed its checks"));
            return claimed(candidate, why);
        }
        if !candidate.participant && !trusted {
            why.push(format!("{name}: names a ticket in which the sender has no part"));
            return claimed(candidate, why);
        }
        why.push(format!("{name}: names the ticket"));
        return into(candidate, inbound, policy.reopen, now, why);
    }
    why.push("nothing names a ticket: a new one".to_owned());
    Decision { route: Route::Open { linked_to: None }, flags: Vec::new(), why }
}

fn claimed(candidate: &Candidate, why: Vec<String>) -> Decision {
    Decision {
        route: Route::Open { linked_to: Some(candidate.ticket) },
        flags: vec![Flag::ClaimsTicket],
        why,
    }
}

fn into(
    candidate: &Candidate,
    inbound: &Inbound,
    reopen: Reopen,
    now: Timestamp,
    mut why: Vec<String>,
) -> Decision {
    let append = |reopen| Route::Append { ticket: candidate.ticket, reopen };
    let linked = Route::Open { linked_to: Some(candidate.ticket) };
    // Machines open nothing again: an out-of-office note is no new question.
    let quiet = inbound.form == Form::Notice || inbound.automated.is_some();
    let (route, reason) = match candidate.status {
        TicketStatus::Open | TicketStatus::Pending | TicketStatus::Spam => (append(false), None),
        TicketStatus::Solved | TicketStatus::Closed if quiet => {
            (append(false), Some("a machine wrote it: the ticket stays as it is"))
        }
        TicketStatus::Closed => (linked, Some("the ticket is closed: a new one, linked")),
        TicketStatus::Solved if within(reopen, candidate.solved_at, now) => {
            (append(true), Some("the ticket was solved and opens again"))
        }
        TicketStatus::Solved => (linked, Some("solved too long ago: a new ticket, linked")),
    };
    why.extend(reason.map(str::to_owned));
    Decision { route, flags: Vec::new(), why }
}

fn within(reopen: Reopen, solved_at: Option<Timestamp>, now: Timestamp) -> bool {
    match reopen {
        Reopen::Always => true,
        Reopen::Never => false,
        Reopen::Within(limit) => {
            let age = solved_at.map(|at| now.signed_duration_since(at));
            age.is_none_or(|age| age.to_std().unwrap_or(Duration::ZERO) <= limit)
        }
    }
}

/// Is the sender on the channel's block list? Entries are whole addresses or `@domain`.
#[must_use]
pub fn is_blocked(policy: &Policy, address: &str) -> bool {
    let domain = address.rsplit_once('@').map(|(_, domain)| domain);
    policy.blocked.iter().any(|entry| match entry.strip_prefix('@') {
        Some(blocked) => domain == Some(blocked),
        None => entry == address,
    })
}

/// What a new ticket is called: the subject, or the first words of the text.
#[must_use]
pub fn subject(inbound: &Inbound) -> String {
    const CHARS_MAX: usize = 200;
    let given = inbound.subject.as_deref().map(str::trim).filter(|subject| !subject.is_empty());
    let line = given.or_else(|| inbound.text.lines().map(str::trim).find(|line| !line.is_empty()));
    line.unwrap_or("(no subject)").chars().take(CHARS_MAX).collect()
}
