//! A customer's mail that somebody hands on: whose it was, and what each of the two wrote. Pure; a claim, whoever says
//! it.
//!
//! As an attached mail, or as what programs put into the text: a divider or the lines `From:`, `Date:`, `Subject:` of
//! the older mail in their languages, and its words below them.

use std::collections::BTreeSet;

use super::address;
use super::body::Body;
use super::letter::{Letter, date, whole_text};
use super::mime::{Budget, Part};
use super::quote::{self, Label};
use super::text::{cut, one_line};
use crate::channel::email::thread;
use crate::model::{Flag, Forward, Party, RemoteId};

/// Lines of the older mail's head, empty ones included.
const HEAD_LINES: usize = 20;
/// Words of whoever hands it on.
const ABOVE_BYTES_MAX: usize = 64 * 1024;
const NAME_CHARS_MAX: usize = 200;

/// The mail that is handed on, if one is. `full`: all of the text; `flags`: what was noticed about it by now.
pub(super) fn forward(letter: &Letter<'_>, full: &str, flags: &BTreeSet<Flag>) -> Option<Forward> {
    attached(letter).or_else(|| {
        if !flags.contains(&Flag::Forwarded) {
            return None;
        }
        let by_subject = letter.subject.as_deref().is_some_and(thread::is_forward);
        within(full, by_subject)
    })
}

/// One attached mail: of several nobody knows which is meant.
fn attached(letter: &Letter<'_>) -> Option<Forward> {
    if letter.root.is("multipart/report") {
        return None;
    }
    let parts = letter.root.walk();
    let mut mails =
        parts.iter().filter(|part| part.is("message/rfc822") || part.is("message/global"));
    let (one, None) = (mails.next()?, mails.next()) else { return None };
    let bytes = one.decoded();
    let inner = Part::parse(&bytes, &mut Budget::default());
    let inside = letter.within(&inner);
    Some(Forward {
        from: inside.from.first()?.clone(),
        sent_at: inside.claimed(),
        subject: inside.subject.clone(),
        text: whole_text(&Body::of(&inner)),
        // What an attached mail says is no word of whoever attached it.
        above: own_words(&whole_text(&Body::own(letter.root))),
        remote_id: inside.own_ids().into_iter().next().map(RemoteId::new),
    })
}

/// In the text. Without a divider that says so, the mail's subject has to say that it is handed on.
fn within(full: &str, by_subject: bool) -> Option<Forward> {
    let lines: Vec<&str> = full.split('\n').collect();
    let begin = (0..lines.len()).find(|at| quote::hands_on(&lines, *at, by_subject))?;
    let head = begin + usize::from(!quote::is_head(&lines, begin));
    let (found, body) = read_head(&lines, head)?;
    let above = lines.get(..begin)?.join("\n");
    // A line of underscores stands above Outlook's head.
    let above = above.trim_end_matches(['_', '-', '=', '─', '—', ' ', '\n']);
    let text = unquoted(lines.get(body..).unwrap_or_default());
    Some(Forward {
        from: found.from?,
        sent_at: found.date.as_deref().and_then(date),
        subject: found.subject,
        text,
        above: own_words(above),
        remote_id: None,
    })
}

/// What the head of the older mail says.
#[derive(Default)]
struct Head {
    from: Option<Party>,
    date: Option<String>,
    subject: Option<String>,
}

/// The head, and the line behind it.
fn read_head(lines: &[&str], begin: usize) -> Option<(Head, usize)> {
    let mut head = Head::default();
    let (mut labels, mut last) = (0_usize, None);
    let mut at = begin;
    while at < lines.len().min(begin + HEAD_LINES) {
        let line = bare(lines.get(at)?);
        let found = quote::label(line);
        if line.is_empty() {
            // Some programs leave lines empty between the divider and the head, or within it.
            let next = lines.get(at + 1).is_some_and(|next| quote::label(bare(next)).is_some());
            if labels >= 2 && !next {
                break;
            }
        } else if let Some((label, value)) = found {
            labels += 1;
            last = Some(label);
            head.note(label, value.trim_matches(['*', '|', ' ', '\t', '\u{a0}']));
        } else {
            match last {
                // The value stands below its label.
                Some(Label::From) if head.from.is_none() => head.from = party(line),
                // The rest of a long list.
                Some(Label::To | Label::Other) if line.contains('@') => {}
                Some(Label::From | Label::Date | Label::To | Label::Subject | Label::Other)
                | None => break,
            }
        }
        at += 1;
    }
    head.from.is_some().then_some((head, at))
}

impl Head {
    /// What a label says for the first time.
    fn note(&mut self, label: Label, value: &str) {
        match label {
            Label::From if self.from.is_none() => self.from = party(value),
            Label::Date if self.date.is_none() => self.date = Some(value.to_owned()),
            Label::Subject if self.subject.is_none() => {
                self.subject = Some(one_line(value)).filter(|subject| !subject.is_empty());
            }
            Label::From | Label::Date | Label::Subject | Label::To | Label::Other => {}
        }
    }
}

/// Without marks of quotes, tables and emphasis before it.
fn bare(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || "|>＞\u{200e}\u{200f}".contains(c))
}

/// `Jane <jane@x>`, `Jane [mailto:jane@x]`, `"Jane"<jane@x>;`, `jane@x`.
fn party(value: &str) -> Option<Party> {
    let part = |c: char| !c.is_whitespace() && !"<>[]()\"“”';,，；|*".contains(c);
    let at = value.find('@')?;
    let (before, after) = value.split_at_checked(at)?;
    let first = before.char_indices().rev().take_while(|(_, c)| part(*c)).last();
    let start = first.map_or(at, |(start, _)| start);
    let past = after.char_indices().find(|(_, c)| !part(*c));
    let end = past.map_or(value.len(), |(past, _)| at + past);
    let address = address::address(value.get(start..end)?.trim_start_matches("mailto:"))?;
    let name = value.get(..start).unwrap_or_default();
    let name = one_line(name);
    let name = name.trim_matches(|c: char| !part(c) && !")".contains(c));
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    let name = Some(name).filter(|name| !name.is_empty() && !name.contains('@'));
    Some(Party { address, name })
}

/// The words below the head, without the marks of a quote where each line has one.
fn unquoted(lines: &[&str]) -> String {
    let filled = || lines.iter().filter(|line| !line.trim().is_empty());
    let quoted = filled().all(|line| line.trim_start().starts_with('>'));
    let line = |line: &&str| {
        let line = line.trim_start();
        let rest = line.strip_prefix('>').unwrap_or(line);
        rest.strip_prefix(' ').unwrap_or(rest).to_owned()
    };
    let text = match quoted {
        true => lines.iter().map(line).collect::<Vec<_>>().join("\n"),
        false => lines.join("\n"),
    };
    text.trim().to_owned()
}

/// What whoever hands it on wrote above it, without their signature.
fn own_words(above: &str) -> String {
    let words = quote::new_words(above, quote::Kind::First).text;
    cut(words.trim(), ABOVE_BYTES_MAX).to_owned()
}
