//! What a mail means: bytes → [`Meaning`].
//!
//! Pure. Knows our own addresses, our signatures and which mail servers to believe; knows nothing of
//! tickets. No mail is too broken: what cannot be understood is left out, marked, and kept in the raw.

mod address;
mod auth;
mod body;
mod calendar;
mod charset;
mod forward;
mod headers;
mod html;
mod letter;
mod machine;
mod masked;
mod mime;
mod name;
mod params;
mod quote;
mod report;
mod signed;
mod text;
mod tnef;
mod uu;
mod words;

use std::collections::BTreeSet;

use letter::Letter;

use crate::channel::shared::sign::Signer;
use crate::channel::{Interpret, Mask, Unreadable};
use crate::model::{
    Address, Event, Flag, Form, Inbound, Meaning, OwnAddresses, Party, Raw, Receipt, Sender,
    ThreadHint, ThreadKey, Token, Trust, Wishes,
};

use super::thread;
use machine::Machine;
use mime::{Budget, Part};

/// The transport's word for a mail that is there but cannot be had, with the reason.
const UNFETCHABLE: &str = "unfetchable";

/// Where reports are collected that belong to nothing that we sent.
const UNTIED: &str = "bounces";

/// Reads the mails of one channel.
pub struct Reader {
    own: OwnAddresses,
    signer: Signer,
    trusted_authserv: Vec<String>,
}

impl Reader {
    /// `addresses`: our own ones on this channel. `trusted_authserv`: the servers whose
    /// `Authentication-Results` count; `*first*` for those that write no name.
    #[must_use]
    pub fn new(addresses: Vec<Address>, signer: Signer, trusted_authserv: Vec<String>) -> Self {
        Self { own: OwnAddresses(addresses.into_iter().collect()), signer, trusted_authserv }
    }
}

impl Interpret for Reader {
    fn masked(&self, raw: &Raw, mask: &Mask<'_>) -> Vec<u8> {
        masked::masked(&raw.body, mask)
    }

    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable> {
        if raw.body.iter().all(u8::is_ascii_whitespace) && !raw.transport.contains_key(UNFETCHABLE)
        {
            return Err(Unreadable("the mail has no content".into()));
        }
        let repaired = headers::with_line_feeds(&raw.body);
        let bytes = repaired.as_deref().unwrap_or(&raw.body);
        let mut budget = Budget::default();
        let root = Part::parse(bytes, &mut budget);
        let letter = Letter::new(&root, raw);
        if self.is_our_own(&letter) {
            return Ok(Meaning::Ignore("our own message came back"));
        }
        let mut inbound = self.inbound(&letter);
        if budget.truncated {
            inbound.flags.insert(Flag::Truncated);
        }
        let mut events = self.receipts(&letter, &mut inbound);
        events.push(Event::Message(Box::new(inbound)));
        Ok(Meaning::Events(events))
    }
}

impl Reader {
    /// From us, under an id that only we can have made.
    fn is_our_own(&self, letter: &Letter<'_>) -> bool {
        let from_us = letter.from.first().is_some_and(|from| self.own.contains(&from.address));
        let ours = |id: &String| thread::token_of_id(&self.signer, id).is_some();
        from_us && letter.own_ids().iter().any(ours)
    }

    fn inbound(&self, letter: &Letter<'_>) -> Inbound {
        let stand_in = letter.from.is_empty().then(|| letter.stand_in(&self.own)).flatten();
        let sender = letter.from.first().or(stand_in.as_ref());
        let checked = self.checked(letter);
        let machine = self.machine(letter, sender);
        let mut content = letter.content();
        let mut flags = machine.flags;
        flags.append(&mut content.flags);
        flags.append(&mut letter.flags());
        let handed_on = forward::forward(letter, &content.text_full, &flags);
        let handed_on = handed_on.filter(|one| !self.own.contains(&one.from.address));
        let mut trust = checked.as_ref().map_or(Trust::Claimed, auth::Checked::trust);
        if stand_in.is_some() {
            trust = trust.min(Trust::Claimed);
        }
        if letter.from.len() > 1 {
            trust = trust.min(Trust::Claimed);
            flags.insert(Flag::SpoofSuspect);
        }
        if trust == Trust::Forged {
            flags.insert(Flag::SpoofSuspect);
        }
        Inbound {
            remote_id: letter.remote_id(),
            digest: letter.digest(),
            part_of: None,
            form: Form::Message,
            sender: Sender {
                address: sender.map(|party| party.address.clone()),
                name: letter.lone_name().or_else(|| sender.and_then(|party| party.name.clone())),
                trust,
                also: Vec::new(),
            },
            reply_to: self.reply_to(letter, sender),
            recipients: letter.recipients(),
            thread: self.hint(letter, &flags),
            occurred_at: letter.occurred_at(),
            subject: letter.subject.clone(),
            text: content.text,
            text_full: content.text_full,
            html: content.html,
            media: content.media,
            flags,
            auth: checked.map(|checked| checked.verdicts),
            automated: machine.reason,
            wishes: Wishes { forward: handed_on.map(Box::new), ..Wishes::default() },
        }
    }

    /// If the mail is a report: what it says of our delivery, and the mark on the message that shows it.
    fn receipts(&self, letter: &Letter<'_>, inbound: &mut Inbound) -> Vec<Event> {
        let Some(report) = report::report(letter, &inbound.text_full) else { return Vec::new() };
        inbound.form = Form::Notice;
        inbound.flags.insert(report.flag);
        inbound.flags.remove(&Flag::AutoReply);
        inbound.automated = Some("a report of a mail server");
        inbound.thread.tag = None;
        let Some(delivery) = report::delivery(&self.signer, letter, &inbound.text_full) else {
            inbound.thread.key = Some(ThreadKey::new(UNTIED));
            return Vec::new();
        };
        let token = Token::Delivery(delivery);
        inbound.thread.tokens.retain(|known| *known != token);
        inbound.thread.tokens.insert(0, token);
        let receipt = |outcome: report::Outcome| {
            Event::Receipt(Receipt {
                delivery: Some(delivery),
                target: None,
                recipient: outcome.recipient,
                state: outcome.state,
                at: inbound.occurred_at,
            })
        };
        report.outcomes.into_iter().map(receipt).collect()
    }

    fn machine(&self, letter: &Letter<'_>, sender: Option<&Party>) -> Machine {
        let facts = machine::Facts {
            from: sender.map(|party| &party.address),
            own: &self.own,
            mail_from: letter.mail_from(),
            subject: letter.subject.as_deref().unwrap_or_default(),
        };
        machine::machine(letter.headers(), &facts)
    }

    /// Our own check, if there was one, wins over what headers say.
    fn checked(&self, letter: &Letter<'_>) -> Option<auth::Checked> {
        let from = letter.from.first().and_then(|party| party.address.value.rsplit_once('@'));
        let domain = from.map(|(_, domain)| domain);
        let ours = letter.transport("auth");
        let ours =
            ours.and_then(|json| auth::Checked::by_transport(json, letter.mail_from(), domain));
        ours.or_else(|| auth::Checked::by_headers(letter.headers(), &self.trusted_authserv, domain))
    }

    /// The first address of `Reply-To` that is neither ours nor the sender's.
    fn reply_to(&self, letter: &Letter<'_>, sender: Option<&Party>) -> Option<Party> {
        let sender = sender.map(|party| &party.address);
        letter
            .parties("reply-to")
            .into_iter()
            .find(|party| Some(&party.address) != sender && !self.own.contains(&party.address))
    }

    /// A forward by its subject names no ticket: it is handed on, not answered.
    fn hint(&self, letter: &Letter<'_>, flags: &BTreeSet<Flag>) -> ThreadHint {
        let addresses = letter.addressed();
        let in_reply_to = letter.decoded("in-reply-to");
        let references = letter.decoded("references");
        let marks = thread::Marks {
            addresses: addresses.iter().map(String::as_str).collect(),
            in_reply_to: in_reply_to.iter().map(String::as_str).collect(),
            references: references.iter().map(String::as_str).collect(),
            subject: letter.subject.as_deref().filter(|_| !flags.contains(&Flag::Forwarded)),
        };
        let mut hint = thread::hint(&self.signer, &marks);
        let itself = letter.remote_id();
        hint.parents.retain(|parent| *parent != itself);
        hint
    }
}
