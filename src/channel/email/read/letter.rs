//! One mail with what its transport said: questions and answers, no decisions.

use std::collections::BTreeSet;

use chrono::{NaiveDateTime, TimeDelta};
use mail_parser::DateTime;

use super::address;
use super::body::{self, Body, TEXT_BYTES_MAX};
use super::charset;
use super::headers::Headers;
use super::html;
use super::mime::Part;
use super::quote;
use super::signed;
use super::text::{cut, one_line, shown};
use super::words;
use crate::channel::email::thread;
use crate::model::{Flag, Media, OwnAddresses, Party, Raw, RemoteId, Timestamp};

/// Longest subject that is kept.
const SUBJECT_BYTES_MAX: usize = 998;

/// A mail that claims to be older than this has no clock.
const OLDEST: i64 = 631_152_000; // 1990

/// How far a sender's clock may be ahead, time zones mixed up included.
const AHEAD: TimeDelta = TimeDelta::hours(26);

/// Fields that tell where a mail was sent to when `To` does not.
const DELIVERED: &[&str] = &[
    "delivered-to",
    "x-original-to",
    "envelope-to",
    "x-envelope-to",
    "x-forwarded-to",
    "x-rcpt-to",
    "apparently-to",
    "resent-to",
];

/// One mail.
pub(super) struct Letter<'a> {
    pub(super) root: &'a Part<'a>,
    raw: &'a Raw,
    pub(super) from: Vec<Party>,
    pub(super) subject: Option<String>,
    /// The charset of the text, where it has an old one: raw 8-bit headers are written in it, too.
    charset: Option<String>,
}

/// The text of a mail in its forms.
pub(super) struct Content {
    pub(super) text: String,
    pub(super) text_full: String,
    pub(super) html: Option<String>,
    pub(super) media: Vec<Media>,
    pub(super) flags: BTreeSet<Flag>,
}

impl<'a> Letter<'a> {
    pub(super) fn new(root: &'a Part<'a>, raw: &'a Raw) -> Self {
        let subject = root.headers.first("subject").unwrap_or_default();
        // A short name alone shows no charset; the subject, written by the same program, may.
        let charset = charset::of_many_bytes(old_charset(root), subject);
        let decode = |value| one_line(&words::decode_with(value, charset.as_deref()));
        let subject = root.headers.first("subject").map(decode);
        let subject = subject.map(|text| cut(&text, SUBJECT_BYTES_MAX).to_owned());
        let subject = subject.filter(|text| !text.is_empty());
        let mut letter = Self { root, raw, from: Vec::new(), subject, charset };
        letter.from = letter.parties("from");
        if letter.from.is_empty() {
            letter.from = letter.parties("sender").into_iter().take(1).collect();
        }
        letter
    }

    /// A mail within this one.
    pub(super) fn within<'b>(&self, root: &'b Part<'b>) -> Letter<'b>
    where
        'a: 'b,
    {
        Letter::new(root, self.raw)
    }

    pub(super) fn headers(&self) -> &Headers<'a> {
        &self.root.headers
    }

    pub(super) fn transport(&self, key: &str) -> Option<&str> {
        self.raw.transport.get(key).map(String::as_str)
    }

    /// The envelope's sender; empty for `<>`.
    pub(super) fn mail_from(&self) -> Option<&str> {
        self.transport("mail_from")
    }

    /// All addresses of a field, without doubles.
    pub(super) fn parties(&self, name: &str) -> Vec<Party> {
        let mut parties: Vec<Party> = Vec::new();
        let read = |value| address::parties(value, self.charset.as_deref());
        for party in self.root.headers.all(name).flat_map(read) {
            if parties.len() < address::PARTIES_MAX
                && !parties.iter().any(|known| known.address == party.address)
            {
                parties.push(party);
            }
        }
        parties
    }

    pub(super) fn recipients(&self) -> Vec<Party> {
        let mut all = self.parties("to");
        // Who names several for answers wants all of them to have one: the answer is addressed to one, and copied.
        let answers = Some(self.parties("reply-to")).filter(|answers| answers.len() > 1);
        for party in self.parties("cc").into_iter().chain(answers.into_iter().flatten()) {
            if !all.iter().any(|known| known.address == party.address) {
                all.push(party);
            }
        }
        all
    }

    /// Whom an answer reaches where `From` and `Sender` name nobody: as the header says, unchecked.
    pub(super) fn stand_in(&self, own: &OwnAddresses) -> Option<Party> {
        let named = ["reply-to", "return-path"].into_iter().flat_map(|name| self.parties(name));
        named.into_iter().find(|party| !own.contains(&party.address))
    }

    /// The name in a `From` without an address.
    pub(super) fn lone_name(&self) -> Option<String> {
        if self.from.is_empty() {
            let from = self.root.headers.first("from")?;
            address::lone_name(from, self.charset.as_deref())
        } else {
            None
        }
    }

    /// Every address that this mail was sent to, envelope first.
    pub(super) fn addressed(&self) -> Vec<String> {
        let envelope = self.transport("rcpt_to").unwrap_or_default();
        let mut all: Vec<String> = envelope.split_whitespace().map(str::to_owned).collect();
        let named = ["to", "cc"].iter().chain(DELIVERED).flat_map(|name| self.parties(name));
        all.extend(named.map(|party| party.address.value));
        all
    }

    /// All values of a field as text.
    pub(super) fn decoded(&self, name: &str) -> Vec<String> {
        self.root.headers.all(name).map(words::decode).collect()
    }

    /// What it calls itself, and what it was called before a relay gave it another name.
    pub(super) fn own_ids(&self) -> Vec<String> {
        let names =
            ["message-id", "x-microsoft-original-message-id", "x-google-original-message-id"];
        let values = names.iter().flat_map(|name| self.decoded(name));
        values.flat_map(|value| thread::ids(&value)).collect()
    }

    /// `Message-ID`, or one made of the content: always the same for the same mail.
    pub(super) fn remote_id(&self) -> RemoteId {
        let given = self
            .decoded("message-id")
            .iter()
            .find_map(|value| thread::ids(value).into_iter().next());
        given.map_or_else(|| RemoteId(format!("{}{}", self.made_up(), thread::MADE_UP)), RemoteId)
    }

    /// With a date, what the sender wrote tells two mails apart. Without one, only the way it took does.
    fn made_up(&self) -> String {
        if self.root.headers.first("date").is_some() {
            return self.digest();
        }
        let mut all: Vec<&[u8]> =
            self.root.headers.fields.iter().map(|field| field.value).collect();
        if all.is_empty() {
            // Not even a header: only the transport tells it from another one.
            all.push(self.raw.dedupe.as_str().as_bytes());
        }
        thread::digest(&all, self.root.raw)
    }

    pub(super) fn digest(&self) -> String {
        let first = |name| self.root.headers.first(name).unwrap_or_default();
        thread::digest(&[first("from"), first("date"), first("subject")], self.root.raw)
    }

    /// What the sender says, where that can be true; else when it came in.
    pub(super) fn occurred_at(&self) -> Timestamp {
        let claimed = self.claimed();
        match (claimed, self.raw.received_at) {
            (Some(claimed), Some(received)) if claimed <= received + AHEAD => claimed,
            (Some(claimed), None) => claimed,
            (_, Some(received)) => received,
            (None, None) => self.relayed_at().unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    /// The `Date`, unless absurd.
    pub(super) fn claimed(&self) -> Option<Timestamp> {
        date(&words::decode(self.root.headers.first("date")?))
    }

    /// The date of the topmost `Received`.
    fn relayed_at(&self) -> Option<Timestamp> {
        let received = String::from_utf8_lossy(self.root.headers.first("received")?);
        received.rsplit_once(';').and_then(|(_, text)| date(text))
    }

    pub(super) fn flags(&self) -> BTreeSet<Flag> {
        let mut flags = BTreeSet::new();
        let imported = self.transport("imported") == Some("1");
        if imported {
            flags.insert(Flag::Imported);
        }
        if self.transport("truncated") == Some("1") {
            flags.insert(Flag::Truncated);
        }
        let late = self.claimed().zip(self.raw.received_at);
        if !imported
            && late.is_some_and(|(claimed, received)| received - claimed > TimeDelta::days(1))
        {
            flags.insert(Flag::Late);
        }
        if self.root.headers.fields.is_empty() {
            flags.insert(Flag::Unreadable);
        }
        let by_subject = self.subject.as_deref().is_some_and(thread::is_forward);
        if by_subject || self.root.headers.first("resent-from").is_some() {
            flags.insert(Flag::Forwarded);
        }
        for part in self.root.walk() {
            flags.extend(sealed(part));
        }
        flags
    }

    /// Does it answer another mail, by what its headers say?
    fn kind(&self) -> quote::Kind {
        let named = ["in-reply-to", "references"].iter().flat_map(|name| self.decoded(name));
        let answers = named.into_iter().any(|value| !thread::ids(&value).is_empty())
            || self.subject.as_deref().is_some_and(thread::is_reply);
        if answers { quote::Kind::Answer } else { quote::Kind::First }
    }

    /// Text, HTML and files.
    pub(super) fn content(&self) -> Content {
        let body = Body::of(self.root);
        let mut flags = BTreeSet::new();
        if body.truncated {
            flags.insert(Flag::Truncated);
        }
        let source = body.html();
        let html = source.as_deref().and_then(html::sanitised);
        if html.is_none() && source.as_deref().is_some_and(|html| !html::is_bearable(html)) {
            flags.insert(Flag::Truncated);
        }
        let full = whole_text(&body);
        if full.len() > TEXT_BYTES_MAX {
            flags.insert(Flag::Truncated);
        }
        let full = cut(&full, TEXT_BYTES_MAX).to_owned();
        flags.extend(armoured(&full));
        let forward = self.subject.as_deref().is_some_and(thread::is_forward);
        let new = new_words(&body, &full, self.kind());
        if new.forwarded {
            flags.insert(Flag::Forwarded);
        }
        let mut media = body.media;
        let shown_ids = source.as_deref().map(html::shown_ids).unwrap_or_default();
        for file in &mut media {
            file.inline = file.content_id.as_ref().is_some_and(|id| shown_ids.contains(id));
        }
        let text_full = match self.transport("unfetchable") {
            Some(why) => format!("[this mail could not be fetched: {}]", one_line(why)),
            None if full.is_empty() && flags_say_encrypted(self.root) => "[encrypted]".to_owned(),
            None if full.is_empty() => body::placeholder(&media),
            None => full,
        };
        let keep_all = forward || new.forwarded || new.text.is_empty();
        let only_files = !media.is_empty() && quote::is_only_signature(&text_full);
        let text = match (only_files, keep_all) {
            (true, _) => body::placeholder(&media),
            (false, true) => text_full.clone(),
            (false, false) => new.text,
        };
        Content { text, text_full, html, media, flags }
    }
}

/// Is it the whole with something left out? The HTML may say other things than the text does.
fn is_taken_from(part: &str, whole: &str) -> bool {
    let filled = |c: &char| !c.is_whitespace();
    let mut rest = whole.chars().filter(filled);
    part.chars().filter(filled).all(|wanted| rest.any(|c| c == wanted))
}

/// The first charset that a part names, other than Unicode and ASCII.
fn old_charset(root: &Part<'_>) -> Option<String> {
    let named = |part: &Part<'_>| part.param("charset").filter(|name| !name.is_empty());
    let name = root.walk().into_iter().filter(|part| part.is("text/")).find_map(named)?;
    (!name.contains("utf") && !name.contains("ascii")).then_some(name)
}

fn flags_say_encrypted(root: &Part<'_>) -> bool {
    root.walk().into_iter().any(|part| sealed(part) == Some(Flag::Encrypted))
}

/// All that was said, in plain.
pub(super) fn whole_text(body: &Body) -> String {
    let pieces: Vec<String> = body
        .segments
        .iter()
        .map(|segment| match (&segment.text, &segment.html) {
            (Some(text), _) if !text.trim().is_empty() => shown(text),
            (_, Some(html)) => shown(&html::to_text(html)),
            (Some(_) | None, None) => String::new(),
        })
        .filter(|piece| !piece.is_empty())
        .collect();
    pieces.join("\n\n")
}

/// The new words: found in the text, or, where that shows no quote, by what programs put around quotes
/// in HTML.
fn new_words(body: &Body, full: &str, kind: quote::Kind) -> quote::New {
    let by_text = quote::new_words(full, kind);
    let html_only = body
        .segments
        .iter()
        .all(|segment| segment.text.as_deref().is_none_or(|text| text.trim().is_empty()));
    let cut = by_text.text != full.trim();
    if by_text.forwarded || kind == quote::Kind::First || (cut && !html_only) {
        return by_text;
    }
    let Some(remaining) = body.html().as_deref().and_then(html::without_quotes) else {
        return by_text;
    };
    let by_html = quote::new_words(&shown(&html::to_text(&remaining)), kind);
    let shorter = !by_html.text.is_empty()
        && by_html.text.len() < by_text.text.len()
        && is_taken_from(&by_html.text, full);
    if quote::answers_below(&by_html.text) {
        return quote::New { text: full.to_owned(), forwarded: false };
    }
    if shorter { by_html } else { by_text }
}

/// A date as mails write it.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    // `GMT+0800` is ahead of GMT, whatever a parser makes of the word before it.
    let text = text.trim().replace("GMT+", "+").replace("UTC+", "+");
    let seconds = DateTime::parse_rfc822(&text)
        .filter(DateTime::is_valid)
        .map(|date| date.to_timestamp())
        .or_else(|| plain_date(&text))?;
    let date = Timestamp::from_timestamp(seconds, 0)?;
    (seconds >= OLDEST).then_some(date)
}

/// `2026-03-03 10:15:00`, with or without a zone: what scripts write.
fn plain_date(text: &str) -> Option<i64> {
    if let Ok(date) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(date.timestamp());
    }
    let formats = ["%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"];
    let read = |format| NaiveDateTime::parse_from_str(text, format).ok();
    formats.into_iter().find_map(read).map(|date| date.and_utc().timestamp())
}

/// Signed, encrypted, an invitation: by the types of the parts.
fn sealed(part: &Part<'_>) -> Option<Flag> {
    match part.kind.value.as_str() {
        "multipart/encrypted" | "application/pgp-encrypted" => Some(Flag::Encrypted),
        "multipart/signed"
        | "application/pgp-signature"
        | "application/pkcs7-signature"
        | "application/x-pkcs7-signature" => Some(Flag::Signed),
        _ if signed::is_container(part) => {
            let says_so = part.param("smime-type").is_some_and(|kind| kind.contains("signed"));
            let signed = says_so || signed::content(&part.decoded()).is_some();
            Some(if signed { Flag::Signed } else { Flag::Encrypted })
        }
        "text/calendar" | "application/ics" => Some(Flag::Calendar),
        _ => None,
    }
}

/// PGP within the text itself.
fn armoured(text: &str) -> Option<Flag> {
    if text.contains("-----BEGIN PGP MESSAGE-----") {
        Some(Flag::Encrypted)
    } else if text.contains("-----BEGIN PGP SIGNED MESSAGE-----") {
        Some(Flag::Signed)
    } else {
        None
    }
}
