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

#[cfg(test)]
mod tests {

    use chrono::TimeZone as _;

    use super::super::triage::tests::inbound as sample;
    use super::*;
    use crate::model::{Duplicates, Priority, RetryPolicy, TicketDefaults};

    fn inbound() -> Inbound {
        Inbound { occurred_at: now(), ..sample("text") }
    }

    fn now() -> Timestamp {
        chrono::Utc.with_ymd_and_hms(2026, 11, 26, 8, 0, 0).unwrap()
    }

    fn policy(reopen: Reopen) -> Policy {
        let hour = Duration::from_secs(3600);
        Policy {
            reopen,
            duplicates: Duplicates::Join,
            acknowledge: None,
            reply_all: true,
            ticket: TicketDefaults { queue: None, priority: Priority::Normal, tags: Vec::new() },
            retry: RetryPolicy { delay_min: hour, delay_max: hour, give_up_after: hour },
            blocked: vec!["@spam.example".to_owned(), "one@x.example".to_owned()],
        }
    }

    fn candidate(status: TicketStatus, participant: bool) -> Candidate {
        let ticket = TicketId::from(uuid::Uuid::from_u128(status as u128 + 1));
        Candidate { ticket, status, solved_at: Some(now()), participant }
    }

    fn into_of(candidate: &Candidate) -> Route {
        Route::Append { ticket: candidate.ticket, reopen: false }
    }

    const MONTH: Reopen = Reopen::Within(Duration::from_secs(30 * 86_400));

    #[test]
    fn the_strongest_evidence_decides() {
        let open = |n: u128| Candidate {
            ticket: TicketId::from(uuid::Uuid::from_u128(n)),
            ..candidate(TicketStatus::Open, true)
        };
        let (token, parent, thread, tag) = (open(1), open(2), open(3), open(4));
        let mut facts = Facts {
            by_token: Some(token.clone()),
            by_parent: Some(parent.clone()),
            by_thread: Some(thread.clone()),
            by_tag: Some(tag.clone()),
        };
        let go = |facts: &Facts| route(facts, &inbound(), &policy(MONTH), now());
        assert_eq!(go(&facts).route, into_of(&token));
        facts.by_token = None;
        assert_eq!(go(&facts).route, into_of(&parent));
        facts.by_parent = None;
        assert_eq!(go(&facts).route, into_of(&thread));
        facts.by_thread = None;
        let decision = go(&facts);
        assert_eq!((decision.route, decision.why.len()), (into_of(&tag), 4));
        facts.by_tag = None;
        let decision = go(&facts);
        assert_eq!(decision.route, Route::Open { linked_to: None });
        assert!(decision.flags.is_empty());
    }

    #[test]
    fn who_has_no_part_or_failed_the_checks_gets_a_linked_ticket() {
        for (participant, trust) in
            [(false, Trust::Proven), (false, Trust::Claimed), (true, Trust::Forged)]
        {
            let named = candidate(TicketStatus::Open, participant);
            let mut one = inbound();
            one.sender.trust = trust;
            let linked = Route::Open { linked_to: Some(named.ticket) };
            let some = Some(named.clone());
            for facts in [
                Facts { by_token: some.clone(), ..Facts::default() },
                Facts { by_parent: some.clone(), ..Facts::default() },
                Facts { by_tag: some.clone(), ..Facts::default() },
            ] {
                let decision = route(&facts, &one, &policy(MONTH), now());
                assert_eq!(
                    (decision.route, decision.flags),
                    (linked.clone(), vec![Flag::ClaimsTicket])
                );
            }
            // A service vouches for its own conversations, and a bounce is written by no participant.
            let facts = Facts { by_thread: some.clone(), ..Facts::default() };
            assert_eq!(route(&facts, &one, &policy(MONTH), now()).route, into_of(&named));
            one.form = Form::Notice;
            let facts = Facts { by_token: some, ..Facts::default() };
            assert_eq!(route(&facts, &one, &policy(MONTH), now()).route, into_of(&named));
        }
    }

    #[test]
    fn weaker_evidence_does_not_save_what_stronger_evidence_refused() {
        let facts = Facts {
            by_parent: Some(candidate(TicketStatus::Open, false)),
            by_tag: Some(candidate(TicketStatus::Pending, true)),
            ..Facts::default()
        };
        let decision = route(&facts, &inbound(), &policy(MONTH), now());
        assert!(matches!(decision.route, Route::Open { linked_to: Some(_) }));
    }

    #[test]
    fn every_status_has_its_way_for_people_and_for_machines() {
        use TicketStatus::{Closed, Open, Pending, Solved, Spam};
        let day = chrono::Duration::days(1);
        // a: appended, r: opened again, n: a new linked one.
        let table = [
            (Open, MONTH, 400, 'a', 'a'),
            (Pending, MONTH, 400, 'a', 'a'),
            (Spam, Reopen::Always, 400, 'a', 'a'),
            (Solved, MONTH, 0, 'r', 'a'),
            (Solved, MONTH, 30, 'r', 'a'),
            (Solved, MONTH, 31, 'n', 'a'),
            (Solved, Reopen::Always, 4000, 'r', 'a'),
            (Solved, Reopen::Never, 0, 'n', 'a'),
            (Closed, Reopen::Always, 0, 'n', 'a'),
        ];
        for (status, reopen, age, person, machine) in table {
            let facts = Facts { by_parent: Some(candidate(status, true)), ..Facts::default() };
            let mut away = inbound();
            away.automated = Some("out of office");
            for (one, expected) in [(inbound(), person), (away, machine)] {
                let decision = route(&facts, &one, &policy(reopen), now() + day * age);
                let letter = match decision.route {
                    Route::Append { reopen: false, .. } => 'a',
                    Route::Append { reopen: true, .. } => 'r',
                    Route::Open { .. } => 'n',
                };
                assert_eq!(letter, expected, "{status} {reopen:?} after {age} days");
            }
        }
    }

    #[test]
    fn a_block_list_has_addresses_and_domains_and_nothing_in_between() {
        let policy = policy(MONTH);
        for (address, blocked) in [
            ("x@spam.example", true),
            ("one@x.example", true),
            ("other@x.example", false),
            ("x@notspam.example", false),
            ("x@sub.spam.example", false),
            ("spam.example", false),
            ("", false),
        ] {
            assert_eq!(is_blocked(&policy, address), blocked, "{address}");
        }
    }

    #[test]
    fn a_ticket_is_called_by_its_subject_or_its_first_words() {
        let of = |given: Option<&str>, text: &str| {
            let mut one = inbound();
            one.subject = given.map(str::to_owned);
            text.clone_into(&mut one.text);
            subject(&one)
        };
        assert_eq!(of(Some(" lost "), "text"), "lost");
        assert_eq!(of(Some("  "), "\n\n first line \nsecond"), "first line");
        assert_eq!(of(None, ""), "(no subject)");
        assert_eq!(of(None, &"密".repeat(300)).chars().count(), 200);
    }
}
