//! Reports of machines about mail that we sent: it bounced (RFC 3464), somebody called it spam (RFC 5965),
//! somebody opened it (RFC 8098).
//!
//! Says what a report says. To which delivery it belongs is found by signed ids alone.

mod bounce;

use std::sync::LazyLock;

use regex::Regex;

use super::address;
use super::headers::Headers;
use super::letter::Letter;
use super::mime::Part;
use super::text::{cut, one_line};
use super::words;
use crate::channel::email::thread;
use crate::channel::shared::sign::Signer;
use crate::model::{Address, DeliveryId, Flag, ReceiptState, Token};

/// Longest cause that is kept.
const CAUSE_BYTES_MAX: usize = 500;

/// Recipients of one report; the rest is left out.
const OUTCOMES_MAX: usize = 100;

/// What a report says.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) flag: Flag,
    pub(super) outcomes: Vec<Outcome>,
}

/// What became of one recipient's copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) recipient: Option<Address>,
    pub(super) state: ReceiptState,
}

/// Is this mail a report, and what does it say?
pub(super) fn report(letter: &Letter<'_>, text: &str) -> Option<Report> {
    let parts = letter.root.walk();
    let find = |kinds: &[&str]| {
        parts.iter().find(|part| kinds.contains(&part.kind.value.as_str())).copied()
    };
    let kind = letter.root.param("report-type").unwrap_or_default();
    let is_report = letter.root.is("multipart/report");
    if let Some(part) = find(&["message/feedback-report"]).filter(|_| is_report) {
        return Some(complaint(part));
    }
    if let Some(report) = returned(letter).and_then(|part| bare_complaint(letter, part)) {
        return Some(report);
    }
    if let Some(part) = find(&["message/disposition-notification"]).filter(|_| is_report) {
        return Some(disposition(part));
    }
    let status = find(&["message/delivery-status", "message/global-delivery-status"]);
    let from_machine = is_report || bounce::is_from_machine(letter);
    if let Some(part) = status.filter(|_| from_machine) {
        return Some(Report { flag: Flag::Bounce, outcomes: outcomes(part, text) });
    }
    if is_report && kind == "delivery-status" {
        return Some(Report { flag: Flag::Bounce, outcomes: bounce::outcomes(letter, text) });
    }
    bounce::is_bounce(letter, text)
        .then(|| Report { flag: Flag::Bounce, outcomes: bounce::outcomes(letter, text) })
}

/// The blocks of a report: fields, separated by blank lines.
fn blocks(part: &Part<'_>) -> Vec<Vec<(String, String)>> {
    let decoded = part.decoded();
    let mut blocks = Vec::new();
    let mut rest = decoded.as_ref();
    while !rest.is_empty() && blocks.len() <= OUTCOMES_MAX {
        let before = rest.len();
        let (headers, after) = Headers::split(rest);
        let fields: Vec<(String, String)> = headers
            .fields
            .into_iter()
            .map(|field| (field.name, one_line(&words::decode(field.value))))
            .collect();
        if !fields.is_empty() {
            blocks.push(fields);
        }
        rest = after;
        if rest.len() == before {
            break;
        }
    }
    blocks
}

fn field<'a>(block: &'a [(String, String)], name: &str) -> Option<&'a str> {
    block.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// `rfc822; a@b` → the address.
fn typed_address(value: &str) -> Option<Address> {
    address::address(value.split_once(';').map_or(value, |(_, address)| address))
}

/// One outcome for each recipient that a delivery status names.
fn outcomes(part: &Part<'_>, text: &str) -> Vec<Outcome> {
    let blocks = blocks(part);
    blocks
        .iter()
        .filter(|block| field(block, "final-recipient").or(field(block, "action")).is_some())
        .filter_map(|block| outcome(block, text))
        .take(OUTCOMES_MAX)
        .collect()
}

fn outcome(block: &[(String, String)], text: &str) -> Option<Outcome> {
    let original = field(block, "original-recipient").and_then(typed_address);
    let recipient = original.or_else(|| field(block, "final-recipient").and_then(typed_address));
    let status = field(block, "status").unwrap_or_default();
    let status = status.split_whitespace().next().unwrap_or_default();
    let diagnostic = field(block, "diagnostic-code").unwrap_or_default();
    let diagnostic = diagnostic.split_once(';').map_or(diagnostic, |(_, words)| words).trim();
    let action = field(block, "action").unwrap_or_default().to_lowercase();
    let action = action.split_whitespace().next().unwrap_or_default();
    let cause = match (status, diagnostic) {
        ("", "") => first_words(text),
        (status, "") => format!("{status} {}", first_words(text)),
        (status, words) if words.contains(status) => words.to_owned(),
        (status, words) => format!("{status} {words}"),
    };
    let state = match (action, status.as_bytes().first()) {
        ("failed", _) | ("", Some(b'5')) => failed(status, &cause),
        ("delayed", _) | ("", Some(b'4')) => ReceiptState::Delayed(short(&cause)),
        ("delivered", _) | ("", Some(b'2')) => ReceiptState::Delivered,
        // Relayed and expanded: it went on, and nobody knows more.
        _ => return None,
    };
    Some(Outcome { recipient, state })
}

fn short(cause: &str) -> String {
    cut(&one_line(cause), CAUSE_BYTES_MAX).trim().to_owned()
}

/// The first lines of what the machine wrote for humans.
fn first_words(text: &str) -> String {
    text.lines().filter(|line| !line.trim().is_empty()).take(4).collect::<Vec<_>>().join(" ")
}

fn failed(status: &str, cause: &str) -> ReceiptState {
    ReceiptState::Failed { cause: short(cause), address_is_bad: is_bad_address(status, cause) }
}

#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test compiles it")]
static STATUS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b").expect("constant pattern"));

/// The enhanced status code in a text (RFC 3463).
fn status_in(text: &str) -> Option<&str> {
    STATUS.find(text).map(|found| found.as_str())
}

/// Is it the address that is bad, so that nothing should be sent there by itself again? 5.1.x but for
/// those that are about the sender, and a mailbox that is disabled. A code that says nothing (5.0.0)
/// leaves it to the words.
fn is_bad_address(status: &str, cause: &str) -> bool {
    let general = status.is_empty() || matches!(status, "5.0.0" | "5.5.0" | "5.3.0" | "5.4.0");
    let status = if general { status_in(cause).unwrap_or(status) } else { status };
    if let Some(detail) = status.strip_prefix("5.1.") {
        return !matches!(detail, "7" | "8");
    }
    let general = status.is_empty() || matches!(status, "5.0.0" | "5.5.0" | "5.3.0" | "5.4.0");
    status == "5.2.1" || (general && bounce::says_unknown_user(cause))
}

fn complaint(part: &Part<'_>) -> Report {
    let blocks = blocks(part);
    let block = blocks.first().map(Vec::as_slice).unwrap_or_default();
    let kind = field(block, "feedback-type").unwrap_or("abuse").to_lowercase();
    let recipient = ["original-rcpt-to", "removal-recipient"]
        .iter()
        .find_map(|name| field(block, name).and_then(typed_address));
    let outcomes = if kind == "not-spam" {
        Vec::new()
    } else {
        vec![Outcome { recipient, state: ReceiptState::Complained }]
    };
    Report { flag: Flag::Complaint, outcomes }
}

/// A mail that is given back, or its headers.
fn returned<'a>(letter: &'a Letter<'_>) -> Option<&'a Part<'a>> {
    let kinds = ["message/rfc822", "text/rfc822-headers", "message/global"];
    let parts = letter.root.walk().into_iter();
    parts.skip(1).find(|part| kinds.contains(&part.kind.value.as_str()))
}

/// Outlook.com reports complaints in no format: the mail is given back, with one more header that names whom
/// it went to (<https://sendersupport.olc.protection.outlook.com/snds/JMRP.aspx>).
fn bare_complaint(letter: &Letter<'_>, part: &Part<'_>) -> Option<Report> {
    let subject = letter.subject.as_deref().unwrap_or_default();
    if !subject.trim_start().starts_with("complaint about message from ") {
        return None;
    }
    let decoded = part.decoded();
    let (headers, _) = Headers::split(&decoded);
    let recipient = address::address(&words::decode(headers.first("x-hmxmroriginalrecipient")?));
    let outcomes = vec![Outcome { recipient, state: ReceiptState::Complained }];
    Some(Report { flag: Flag::Complaint, outcomes })
}

fn disposition(part: &Part<'_>) -> Report {
    let blocks = blocks(part);
    let block = blocks.first().map(Vec::as_slice).unwrap_or_default();
    let recipient = field(block, "original-recipient").or(field(block, "final-recipient"));
    let recipient = recipient.and_then(typed_address);
    let said = field(block, "disposition").unwrap_or_default().to_lowercase();
    let said = said.rsplit(';').next().unwrap_or_default().trim().to_owned();
    let read = said.starts_with("displayed") || said.starts_with("read");
    let outcomes =
        if read { vec![Outcome { recipient, state: ReceiptState::Read }] } else { Vec::new() };
    Report { flag: Flag::Receipt, outcomes }
}

/// The delivery that a report is about: by the address it came to, by the ids of the mail that it
/// returns, by what its fields name, and at last by an id of ours anywhere in its text.
pub(super) fn delivery(signer: &Signer, letter: &Letter<'_>, text: &str) -> Option<DeliveryId> {
    let by_address = letter
        .addressed()
        .into_iter()
        .find_map(|address| thread::token_of_address(signer, &address).and_then(delivery_of));
    by_address
        .or_else(|| letter.root.walk().into_iter().find_map(|part| by_part(signer, part)))
        .or_else(|| in_text(signer, text))
        .or_else(|| {
            let fields = ["in-reply-to", "references"];
            let values = fields.iter().flat_map(|name| letter.decoded(name));
            values.flat_map(|value| thread::ids(&value)).find_map(|id| by_id(signer, &id))
        })
}

fn delivery_of(token: Token) -> Option<DeliveryId> {
    match token {
        Token::Delivery(delivery) => Some(delivery),
        Token::Ticket(_) => None,
    }
}

fn by_id(signer: &Signer, id: &str) -> Option<DeliveryId> {
    thread::token_of_id(signer, id).and_then(delivery_of)
}

/// Fields of a returned mail, and of reports, that hold an id or an address of ours.
const NAMING: &[&str] = &[
    "message-id",
    "x-microsoft-original-message-id",
    "x-google-original-message-id",
    "original-message-id",
    "original-envelope-id",
    "original-mail-from",
    "return-path",
    "x-original-message-id",
];

fn by_part(signer: &Signer, part: &Part<'_>) -> Option<DeliveryId> {
    let kinds = [
        "message/rfc822",
        "message/global",
        "text/rfc822-headers",
        "message/rfc822-headers",
        "message/global-headers",
        "message/delivery-status",
        "message/global-delivery-status",
        "message/feedback-report",
        "message/disposition-notification",
        "text/rfc822-header",
        // Some give back the headers in a file of no kind.
        "text/plain",
    ];
    if !kinds.contains(&part.kind.value.as_str()) {
        return None;
    }
    let decoded = part.decoded();
    let (headers, _) = Headers::split(&decoded);
    NAMING.iter().flat_map(|name| headers.all(name)).find_map(|value| {
        let value = words::decode(value);
        let address = || thread::token_of_address(signer, &value).and_then(delivery_of);
        thread::ids(&value).iter().find_map(|id| by_id(signer, id)).or_else(address)
    })
}

#[expect(clippy::expect_used, reason = "the pattern is a constant, and a test compiles it")]
static TOKEN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)\bd[a-z2-7]{26}\.[a-z2-7]{26}").expect("constant pattern"));

fn in_text(signer: &Signer, text: &str) -> Option<DeliveryId> {
    TOKEN.find_iter(text).take(50).find_map(|found| signer.read_delivery(found.as_str()))
}
