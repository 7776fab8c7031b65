//! [`Outbound`] → the bytes of a mail (RFC 5322) and its envelope (RFC 5321).
//!
//! Pure: the same outbound gives the same bytes at every attempt, so that two copies of one mail are
//! recognised as one by every program that looks. Knows nothing of SMTP.

mod body;
mod headers;
mod signature;

use lettre::message::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::{Address as Mailbox, address::Envelope};

use crate::channel::shared::sign::Signer;
use crate::model::{Address, Outbound, OwnAddresses, Party};
use headers::{encoded_mailbox, encoded_text, message_ids, one_line};
use signature::Signature;

/// Longest line of a mail without its CRLF (RFC 5322 section 2.1.1).
const LINE_BYTES_MAX: usize = 998;
/// Most ids in `References`: the first and the last ones are kept.
const REFERENCES_MAX: usize = 20;
/// Longest subject in characters; what a customer wrote may be longer than any program shows.
const SUBJECT_CHARS_MAX: usize = 500;
/// Longest display name in characters.
const NAME_CHARS_MAX: usize = 120;

/// What is the same on every mail of one channel.
#[derive(Clone)]
pub struct Letterhead {
    /// Where we write from.
    pub address: String,
    /// The desk's display name.
    pub name: Option<String>,
    /// `From` of a mail that an agent wrote: a template with `{agent}` and `{name}`; empty: no name.
    pub agent_name: String,
    /// Put `[#<number>]` into the subject.
    pub subject_tag: bool,
    /// Answers go to `<local>+<token>@…`, bounces too. The mailbox must accept plus addresses.
    pub plus_address: bool,
    /// Below the text: a template with `{agent}`, `{name}` and `{number}`.
    pub signature: Option<String>,
    /// The same in HTML; made from `signature` when absent.
    pub signature_html: Option<String>,
    /// Addresses that never get a copy.
    pub own: OwnAddresses,
    /// Signs message ids and plus addresses.
    pub signer: Signer,
}

/// A mail, ready for SMTP.
#[derive(Debug, Clone)]
pub struct Composed {
    /// With its angle brackets.
    pub message_id: String,
    /// Lines end in CRLF, none is longer than 998 bytes; dots are not doubled yet.
    pub bytes: Vec<u8>,
    /// `MAIL FROM`; `None` is `<>`.
    pub sender: Option<Mailbox>,
    /// `RCPT TO` of the customer: without it nothing goes out.
    pub to: Mailbox,
    /// `RCPT TO` of those who get a copy.
    pub cc: Vec<Mailbox>,
    /// Copies that cannot be sent, since the address is none.
    pub skipped: Vec<String>,
}

/// No mail can be made of it, today or later.
#[derive(Debug, thiserror::Error)]
pub enum NotComposable {
    /// What stands in `to` is no mail address.
    #[error("`{0}` is not a mail address")]
    Recipient(String),
    /// It would come back to us, and perhaps go round for ever.
    #[error("`{0}` is an address of our own")]
    Ourselves(String),
    /// Our own address in the settings is none.
    #[error("our own address `{0}` is not a mail address")]
    Sender(String),
    /// The mail builder refused.
    #[error("the mail cannot be built")]
    Build(#[from] lettre::error::Error),
    /// What was built breaks RFC 5322; nothing like that leaves the house.
    #[error("the mail that was built is faulty: {0}")]
    Faulty(&'static str),
}

/// Makes the mail. Takes about as long as copying its attachments three times.
pub fn compose(letterhead: &Letterhead, outbound: &Outbound) -> Result<Composed, NotComposable> {
    let message_id = message_id(letterhead, outbound);
    let us = mailbox(&letterhead.address)
        .ok_or_else(|| NotComposable::Sender(letterhead.address.clone()))?;
    let to = mailbox(&outbound.to.address.value)
        .ok_or_else(|| NotComposable::Recipient(outbound.to.address.value.clone()))?;
    if letterhead.own.contains(&outbound.to.address) {
        return Err(NotComposable::Ourselves(outbound.to.address.value.clone()));
    }
    let copies = copies(letterhead, outbound);
    let envelope = Envelope::new(Some(us.clone()), vec![to.clone()])?;

    let mut builder = Message::builder().envelope(envelope);
    if let Some(date) = written_at(outbound) {
        builder = builder.date(date);
    }
    builder = builder.raw_header(from(letterhead, outbound, &us));
    for header in headers(letterhead, outbound, &copies.mailboxes, &message_id) {
        builder = builder.raw_header(header);
    }
    let signature = Signature::of(letterhead, outbound);
    let message = builder.multipart(body::of(outbound, &signature, &message_id))?;
    let bytes = message.formatted();
    if let Some(fault) = fault(&bytes) {
        return Err(NotComposable::Faulty(fault));
    }
    Ok(Composed {
        message_id,
        bytes,
        sender: envelope_sender(letterhead, outbound).and_then(|sender| mailbox(&sender)),
        to,
        cc: copies.mailboxes.into_iter().map(|(_, mailbox)| mailbox).collect(),
        skipped: copies.skipped,
    })
}

/// `<token@domain>`: the token is signed, so that an answer to it proves which delivery it answers.
#[must_use]
pub fn message_id(letterhead: &Letterhead, outbound: &Outbound) -> String {
    let domain = letterhead.address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| "localhost".to_owned());
    format!("<{}@{domain}>", letterhead.signer.delivery(outbound.delivery))
}

/// Automatic mail has no sender that a machine could answer (RFC 3834 section 3.3).
fn envelope_sender(letterhead: &Letterhead, outbound: &Outbound) -> Option<String> {
    if outbound.automated {
        return None;
    }
    let token = letterhead.signer.delivery(outbound.delivery);
    let plain = letterhead.address.clone();
    Some(if letterhead.plus_address { plus(&plain, &token).unwrap_or(plain) } else { plain })
}

/// `local+token@domain`, if the local part stays within 64 bytes (RFC 5321 section 4.5.3.1.1).
fn plus(address: &str, token: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    (local.len() + 1 + token.len() <= 64).then(|| format!("{local}+{token}@{domain}"))
}

/// The moment at which the delivery was made: a version-7 UUID carries it.
fn written_at(outbound: &Outbound) -> Option<std::time::SystemTime> {
    let (seconds, nanos) = outbound.delivery.uuid().get_timestamp()?.to_unix();
    let since = std::time::Duration::new(seconds, nanos);
    std::time::SystemTime::UNIX_EPOCH.checked_add(since)
}

struct Copies<'a> {
    mailboxes: Vec<(&'a Party, Mailbox)>,
    skipped: Vec<String>,
}

/// Everybody else, each once, never ourselves. Nobody else gets what a machine wrote.
fn copies<'a>(letterhead: &Letterhead, outbound: &'a Outbound) -> Copies<'a> {
    let mut copies = Copies { mailboxes: Vec::new(), skipped: Vec::new() };
    if outbound.automated {
        return copies;
    }
    let mut seen: Vec<&Address> = vec![&outbound.to.address];
    for party in &outbound.cc {
        if seen.contains(&&party.address) || letterhead.own.contains(&party.address) {
            continue;
        }
        seen.push(&party.address);
        match mailbox(&party.address.value) {
            Some(mailbox) => copies.mailboxes.push((party, mailbox)),
            None => copies.skipped.push(party.address.value.clone()),
        }
    }
    copies
}

/// An address with its domain in ASCII; `None` if it is no mail address.
fn mailbox(address: &str) -> Option<Mailbox> {
    let (local, domain) = address.rsplit_once('@')?;
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '<' && c != '>';
    if !address.chars().all(plain) || local.len() > 64 || address.len() > 254 {
        return None;
    }
    let domain = if domain.starts_with('[') {
        domain.to_owned()
    } else {
        idna::domain_to_ascii(domain).ok()?
    };
    Mailbox::new(local, domain).ok()
}

fn headers(
    letterhead: &Letterhead,
    outbound: &Outbound,
    copies: &[(&Party, Mailbox)],
    message_id: &str,
) -> Vec<HeaderValue> {
    let mut headers = addresses(letterhead, outbound, copies);
    let topic = topic(outbound);
    headers.push(header("Subject", &encoded_text(&subject(letterhead, outbound, &topic))));
    headers.push(header("Message-ID", message_id));
    let parents = message_ids(outbound, REFERENCES_MAX);
    if let Some(parent) = &parents.parent {
        headers.push(header("In-Reply-To", parent));
    }
    if !parents.chain.is_empty() {
        headers.push(header("References", &parents.chain.join("\r\n ")));
    }
    headers.push(header("Thread-Topic", &encoded_text(&topic)));
    headers.push(header("Thread-Index", &headers::thread_index(letterhead, outbound)));
    if outbound.automated {
        let word = if answers(outbound) { "auto-replied" } else { "auto-generated" };
        headers.push(header("Auto-Submitted", word));
        headers.push(header("X-Auto-Response-Suppress", "All"));
        headers.push(header("Precedence", "bulk"));
        headers.push(header("X-Tributary-Loop", &letterhead.address.to_ascii_lowercase()));
    }
    headers
}

fn from(letterhead: &Letterhead, outbound: &Outbound, us: &Mailbox) -> HeaderValue {
    let name = signature::from_name(letterhead, outbound);
    let encoded = encoded_mailbox(name.as_deref(), us.as_ref());
    // The builder reads the raw value back to see that there is a sender: only the address, then.
    let raw = us.to_string();
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str("From"), raw, encoded)
}

fn addresses(
    letterhead: &Letterhead,
    outbound: &Outbound,
    copies: &[(&Party, Mailbox)],
) -> Vec<HeaderValue> {
    let mut headers = vec![header("To", &party(&outbound.to))];
    let token = letterhead.signer.ticket(outbound.ticket_number);
    if let Some(reply) =
        letterhead.plus_address.then(|| plus(&letterhead.address, &token)).flatten()
    {
        // The plain address stands beside it: an answer reaches us even where the token gets lost.
        let both = format!("{},\r\n {reply}", letterhead.address);
        headers.push(header("Reply-To", &both));
    }
    if !copies.is_empty() {
        let list: Vec<String> = copies.iter().map(|(copy, _)| party(copy)).collect();
        headers.push(header("Cc", &list.join(",\r\n ")));
    }
    headers
}

fn party(party: &Party) -> String {
    let name = party.name.as_deref().map(|name| one_line(name, NAME_CHARS_MAX));
    let address = mailbox(&party.address.value);
    let address = address.map_or_else(|| party.address.value.clone(), |it| it.to_string());
    encoded_mailbox(name.as_deref().filter(|name| !name.is_empty()), &address)
}

/// Is it part of a conversation already?
const fn answers(outbound: &Outbound) -> bool {
    outbound.in_reply_to.is_some() || !outbound.references.is_empty()
}

/// The ticket's subject without anybody's `Re:`.
fn topic(outbound: &Outbound) -> String {
    let subject = one_line(outbound.subject.as_deref().unwrap_or_default(), SUBJECT_CHARS_MAX);
    headers::without_prefixes(&subject).to_owned()
}

fn subject(letterhead: &Letterhead, outbound: &Outbound, topic: &str) -> String {
    let tag = format!("[#{}]", outbound.ticket_number);
    let mut words = Vec::new();
    if answers(outbound) {
        words.push("Re:");
    }
    if letterhead.subject_tag && !topic.contains(&tag) {
        words.push(&tag);
    }
    if !topic.is_empty() {
        words.push(topic);
    }
    words.join(" ")
}

/// `value` must be folded and ASCII already, but for the addresses of RFC 6531.
fn header(name: &'static str, value: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str(name);
    HeaderValue::dangerous_new_pre_encoded(name, value.to_owned(), value.to_owned())
}

/// What would let a mail be cut in two by some server on its way (SMTP smuggling), or be refused.
pub(super) fn fault(bytes: &[u8]) -> Option<&'static str> {
    let mut line = 0;
    let mut before = 0;
    for &byte in bytes {
        match byte {
            0 => return Some("a NUL byte"),
            b'\n' if before != b'\r' => return Some("a bare LF"),
            _ if before == b'\r' && byte != b'\n' => return Some("a bare CR"),
            b'\n' => line = 0,
            b'\r' => {}
            _ => line += 1,
        }
        if line > LINE_BYTES_MAX {
            return Some("a line of more than 998 bytes");
        }
        before = byte;
    }
    (before != b'\n').then_some("an unfinished last line")
}

#[cfg(test)]
mod tests;
