//! The new words of a mail: without the mail that it answers, and without the signature.
//!
//! Careful rather than thorough: what a customer wrote must never be lost, so a line counts as the begin
//! of a quote only when several things speak for it, and answers between quoted lines keep everything.

mod patterns;

use std::ops::Range;

pub(super) use patterns::{Label, answers_below, label};
use patterns::{
    attribution, begins_attribution, begins_forward, contact, divider, forward_divider, from_label,
    header_label, header_labels, mobile_signature, netease_signature, subject_label,
};

/// Longest line that is looked at.
const LINE_BYTES_MAX: usize = 2000;

/// Lines that an attribution may be spread over.
const ATTRIBUTION_LINES: usize = 3;

/// Lines of a signature behind `-- `.
const SIGNATURE_LINES: usize = 15;

/// Lines of a signature behind `--`, which people also draw between two paragraphs.
const LOOSE_SIGNATURE_LINES: usize = 8;

/// Longest line of such a signature, in characters.
const LOOSE_SIGNATURE_CHARS: usize = 80;

/// Does the mail answer another one, by its headers?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It names a mail that it answers, or its subject says so.
    Answer,
    /// It begins a conversation: what looks like an older mail in it was put there on purpose. Only an
    /// attribution over lines that all bear `>` is cut.
    First,
}

/// What a text turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct New {
    /// Without quotes and signature. May be empty.
    pub(super) text: String,
    /// Somebody else's mail is handed on: it belongs to what was said.
    pub(super) forwarded: bool,
}

/// Finds the new words. `text` has `\n` as line ends.
pub(super) fn new_words(text: &str, kind: Kind) -> New {
    let lines: Vec<&str> = text.split('\n').collect();
    let shape = Shape::of(&lines);
    let mut end = lines.len();
    for at in 0..lines.len() {
        if is_forward(&lines, at) {
            return New { text: text.to_owned(), forwarded: true };
        }
        if ends_new_words(&lines, at, kind, &shape) {
            end = at;
            break;
        }
    }
    let kept = lines.get(..end).unwrap_or_default();
    let kept = without_trailing_quote(kept, kind);
    let quoted_below = kept.len() < lines.len();
    let kept = without_signature(kept);
    let kept = without_leading_quote(kept);
    let words = kept.join("\n").trim().to_owned();
    // «My answers are below, in red»: they stand within what looks like the old mail.
    let keep_all = quoted_below && answers_below(&words);
    New { text: if keep_all { text.to_owned() } else { words }, forwarded: false }
}

/// «Sent from my phone» and no word more?
pub(super) fn is_only_signature(text: &str) -> bool {
    let lines: Vec<&str> = text.split('\n').collect();
    !text.trim().is_empty() && without_signature(&lines).iter().all(|line| line.trim().is_empty())
}

/// The line without marks of direction around it, or nothing if it is too long to be a marker.
fn plain(line: &str) -> &str {
    let mark = |c: char| c.is_whitespace() || matches!(c, '\u{200E}' | '\u{200F}');
    let line = line.trim_matches(mark);
    if line.len() > LINE_BYTES_MAX { "" } else { line }
}

fn is_quoted(line: &str) -> bool {
    let line = line.trim();
    // `>:` ends an address that is broken over two lines.
    line.starts_with(['>', '＞']) && line != ">:"
}

fn next_filled(lines: &[&str], from: usize) -> Option<usize> {
    (from..lines.len()).find(|at| lines.get(*at).is_some_and(|line| !line.trim().is_empty()))
}

fn is_forward(lines: &[&str], at: usize) -> bool {
    lines.get(at).is_some_and(|line| {
        let line = plain(line);
        forward_divider(line) || begins_forward(line)
    })
}

/// Is somebody else's mail handed on from this line on? `by_subject`: the mail's subject says that it is.
pub(super) fn hands_on(lines: &[&str], at: usize, by_subject: bool) -> bool {
    let divides = || lines.get(at).is_some_and(|line| divider(plain(line)));
    // Some programs mark all that they hand on as a quote.
    let quoted = || {
        let line = lines.get(at).map(|line| line.trim_start_matches(['>', ' ']).trim_end());
        line.is_some_and(|line| forward_divider(line) || begins_forward(line))
    };
    is_forward(lines, at) || quoted() || (by_subject && (divides() || is_head(lines, at)))
}

/// Does the head of a mail begin here?
pub(super) fn is_head(lines: &[&str], at: usize) -> bool {
    is_header_block(lines, at)
}

/// Does everything from here on belong to an older mail?
fn ends_new_words(lines: &[&str], at: usize, kind: Kind, shape: &Shape) -> bool {
    let Some(line) = lines.get(at).map(|line| plain(line)) else { return false };
    if line.is_empty() {
        return false;
    }
    let attributed = || {
        let behind = attribution_end(lines, at);
        behind.is_some_and(|behind| quotes_to_the_end(lines, at..behind, kind, shape))
    };
    if kind == Kind::First {
        return attributed();
    }
    if divider(line) {
        return next_filled(lines, at + 1).is_some();
    }
    // A line of underscores above Outlook's block.
    if line.len() >= 5 && line.chars().all(|c| matches!(c, '_' | '-' | '=' | '─' | '—')) {
        return next_filled(lines, at + 1).is_some_and(|next| is_header_block(lines, next));
    }
    is_header_block(lines, at) || attributed()
}

/// `From:` and at least two of date, recipient and subject, in the next lines; or all four together,
/// in any order. Without a subject, the sender must be an address: what was sent from where to where is
/// also how people tell of a transfer.
fn is_header_block(lines: &[&str], at: usize) -> bool {
    let Some(first) = lines.get(at).map(|line| plain(line)) else { return false };
    let following = lines.get(at + 1..).unwrap_or_default();
    if from_label(first) {
        let filled = following.iter().filter(|line| !line.trim().is_empty()).take(6);
        let filled: Vec<&str> = filled.map(|line| plain(line)).collect();
        let mail = first.contains('@') || filled.iter().any(|line| subject_label(line));
        return mail && header_labels(filled.into_iter()) >= 2;
    }
    if !header_label(first) {
        return false;
    }
    let block = || {
        let lines = lines.get(at..).unwrap_or_default().iter().map(|line| plain(line));
        lines.take_while(|line| !line.is_empty()).take(6)
    };
    block().any(from_label) && header_labels(block()) == 3
}

/// If «On … wrote:» begins here, the line behind it. It begins as late as it can: what stands in the
/// line above is the customer's.
fn attribution_end(lines: &[&str], at: usize) -> Option<usize> {
    let mut joined: Vec<&str> = Vec::new();
    for count in 0..ATTRIBUTION_LINES {
        let line = plain(lines.get(at + count)?);
        if line.is_empty() || is_quoted(line) {
            return None;
        }
        joined.push(line);
        if attribution(&joined.join(" ")) {
            let later = |from: usize| {
                let above = joined.get(from - 1).is_some_and(|line| begins_attribution(line));
                !above && joined.get(from..).is_some_and(|lines| attribution(&lines.join(" ")))
            };
            return (!(1..joined.len()).any(later)).then_some(at + count + 1);
        }
    }
    None
}

/// Where the last lines of both sorts stand, so that not every attribution looks through all of them.
struct Shape {
    last_quoted: Option<usize>,
    last_own: Option<usize>,
    /// Behind the last quoted line stands a signature at most.
    ends_with_quote: bool,
}

impl Shape {
    fn of(lines: &[&str]) -> Self {
        let last_quoted = lines.iter().rposition(|line| is_quoted(line));
        let after = last_quoted.and_then(|last| lines.get(last + 1..)).unwrap_or_default();
        Self {
            last_quoted,
            last_own: lines.iter().rposition(|line| is_own(line)),
            ends_with_quote: without_signature(after).iter().all(|line| line.trim().is_empty()),
        }
    }
}

/// Filled, and not marked as a quote.
fn is_own(line: &str) -> bool {
    !line.trim().is_empty() && !is_quoted(line)
}

/// Behind an attribution: is all the rest quoted, without an answer below or between?
fn quotes_to_the_end(lines: &[&str], attribution: Range<usize>, kind: Kind, shape: &Shape) -> bool {
    let Some(first) = next_filled(lines, attribution.end) else { return kind == Kind::Answer };
    if !lines.get(first).is_some_and(|line| is_quoted(line)) {
        // Not marked as a quote. That is how phones and Outlook quote; but then the attribution must
        // name an address, as programs write it and people do not, and what stands above must be
        // more than «Hello,».
        let above = lines.get(..attribution.start).unwrap_or_default();
        let named =
            lines.get(attribution).unwrap_or_default().iter().any(|line| line.contains('@'));
        return kind == Kind::Answer && named && !is_only_greeting(above);
    }
    if shape.last_own.is_none_or(|own| own < first) {
        return true;
    }
    // A signature may follow, but nothing may stand between.
    let last = shape.last_quoted.unwrap_or(first);
    let unbroken = lines.get(first..last).unwrap_or_default().iter().all(|line| !is_own(line));
    unbroken && shape.ends_with_quote
}

/// «Hello,» and no more: then the answer stands further down.
fn is_only_greeting(lines: &[&str]) -> bool {
    let mut filled = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    let first = filled.next();
    first.is_some_and(|line| line.ends_with([',', '，', ':', '：'])) && filled.next().is_none()
}

/// A block of `>` at the end, with its attribution if it has one that nobody knew.
fn without_trailing_quote<'a, 'b>(lines: &'b [&'a str], kind: Kind) -> &'b [&'a str] {
    if kind == Kind::First {
        return lines;
    }
    let Some(last) = lines.iter().rposition(|line| !line.trim().is_empty()) else { return lines };
    if !lines.get(last).is_some_and(|line| is_quoted(line)) {
        return lines;
    }
    let own = lines.iter().rposition(|line| !line.trim().is_empty() && !is_quoted(line));
    let Some(own) = own else { return lines };
    // More quotes further up: the answers stand between them, and the last quote may be what the last
    // answer is about. Keep everything.
    let head = lines.get(..=own).unwrap_or_default();
    if head.iter().any(|line| is_quoted(line)) {
        return lines;
    }
    let above = head.last().map(|line| plain(line)).unwrap_or_default();
    if !above.ends_with([':', '：']) {
        return head;
    }
    // An attribution that nobody knew, or «I get this:».
    let named = above.contains('@') && above.contains(|c: char| c.is_numeric());
    if named { head.get(..own).unwrap_or_default() } else { lines }
}

/// A quote at the top, and the answer below it.
fn without_leading_quote<'a, 'b>(lines: &'b [&'a str]) -> &'b [&'a str] {
    let Some(first) = next_filled(lines, 0) else { return lines };
    let quote = match attribution_end(lines, first) {
        Some(behind) => next_filled(lines, behind),
        None => Some(first),
    };
    let Some(quote) = quote.filter(|at| lines.get(*at).is_some_and(|line| is_quoted(line))) else {
        return lines;
    };
    let is_answer = |line: &&str| !line.trim().is_empty() && !is_quoted(line);
    let tail = lines.get(quote..).unwrap_or_default();
    let Some(answer) = tail.iter().position(is_answer) else { return lines };
    let rest = tail.get(answer..).unwrap_or_default();
    if rest.iter().any(|line| is_quoted(line)) { lines } else { rest }
}

/// Without `-- ` and what follows, and without «Sent from my phone».
fn without_signature<'a, 'b>(lines: &'b [&'a str]) -> &'b [&'a str] {
    let mut kept = lines;
    let sign = kept.iter().rposition(|line| *line == "-- " || *line == "--");
    if let Some(sign) = sign {
        let after = kept.get(sign + 1..).unwrap_or_default();
        let ends = match kept.get(sign) {
            Some(&"-- ") => is_signature(after),
            Some(_) | None => is_signature(after) && is_surely_signature(after),
        };
        if ends {
            kept = kept.get(..sign).unwrap_or_default();
        }
    }
    for _ in 0..3 {
        let Some(last) = kept.iter().rposition(|line| !line.trim().is_empty()) else { break };
        let line = kept.get(last).map(|line| plain(line)).unwrap_or_default();
        if netease_signature(line) {
            kept = without_card(kept.get(..last).unwrap_or_default());
        } else if mobile_signature(line) {
            kept = kept.get(..last).unwrap_or_default();
        } else {
            break;
        }
    }
    kept
}

fn is_signature(lines: &[&str]) -> bool {
    let filled = lines.iter().filter(|line| !line.trim().is_empty()).count();
    filled <= SIGNATURE_LINES && !lines.iter().any(|line| is_quoted(line))
}

/// Short, and with a way to reach somebody; or so short that it can only be a name.
fn is_surely_signature(lines: &[&str]) -> bool {
    let filled: Vec<&str> =
        lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    let short = filled.len() <= LOOSE_SIGNATURE_LINES
        && filled.iter().all(|line| line.chars().count() <= LOOSE_SIGNATURE_CHARS);
    let names = filled.len() <= 2 && filled.iter().all(|line| looks_like_name(line));
    short && (names || filled.iter().any(|line| contact(line)))
}

/// A few words, each with a capital, or two or three characters of a script without any.
fn looks_like_name(line: &str) -> bool {
    let word = |word: &str| match word.chars().next() {
        Some(first) if first.is_uppercase() => true,
        Some(first) if first.is_lowercase() => false,
        Some(first) => first.is_alphabetic() && word.chars().count() <= 3,
        None => false,
    };
    let plain =
        |c: char| c.is_alphabetic() || c.is_whitespace() || matches!(c, '-' | '\'' | '’' | '.');
    line.split_whitespace().count() <= 4
        && line.chars().all(plain)
        && line.split_whitespace().all(word)
}

/// The table with name and address that Netease's program draws above its own line.
fn without_card<'a, 'b>(lines: &'b [&'a str]) -> &'b [&'a str] {
    let from = lines.len().saturating_sub(LOOSE_SIGNATURE_LINES);
    let tail = lines.get(from..).unwrap_or_default();
    match tail.iter().position(|line| line.trim() == "| |") {
        Some(at) => lines.get(..from + at).unwrap_or_default(),
        None => lines,
    }
}

#[cfg(test)]
mod tests;
