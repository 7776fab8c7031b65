//! The new words of a mail: without the mail that it answers, and without the signature.
//!
//! Careful rather than thorough: what a customer wrote must never be lost, so a line counts as the begin
//! of a quote only when several things speak for it, and answers between quoted lines keep everything.

mod patterns;

use patterns::{
    attribution, begins_forward, divider, forward_divider, from_label, header_labels,
    mobile_signature,
};

/// Longest line that is looked at.
const LINE_BYTES_MAX: usize = 2000;

/// Lines that an attribution may be spread over.
const ATTRIBUTION_LINES: usize = 3;

/// Lines of a signature behind `-- `.
const SIGNATURE_LINES: usize = 15;

/// What a text turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct New {
    /// Without quotes and signature. May be empty.
    pub(super) text: String,
    /// Somebody else's mail is handed on: it belongs to what was said.
    pub(super) forwarded: bool,
}

/// Finds the new words. `text` has `\n` as line ends.
pub(super) fn new_words(text: &str) -> New {
    let lines: Vec<&str> = text.split('\n').collect();
    let mut end = lines.len();
    for at in 0..lines.len() {
        if is_forward(&lines, at) {
            return New { text: text.to_owned(), forwarded: true };
        }
        if ends_new_words(&lines, at) {
            end = at;
            break;
        }
    }
    let kept = lines.get(..end).unwrap_or_default();
    let kept = without_trailing_quote(kept);
    let kept = without_signature(kept);
    let kept = without_leading_quote(kept);
    New { text: kept.join("\n").trim().to_owned(), forwarded: false }
}

/// The line without marks of bold, or nothing if it is too long to be a marker.
fn plain(line: &str) -> &str {
    let line = line.trim();
    if line.len() > LINE_BYTES_MAX { "" } else { line }
}

fn is_quoted(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('>') || line.starts_with('＞')
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

/// Does everything from here on belong to an older mail?
fn ends_new_words(lines: &[&str], at: usize) -> bool {
    let Some(line) = lines.get(at).map(|line| plain(line)) else { return false };
    if line.is_empty() {
        return false;
    }
    if divider(line) {
        return next_filled(lines, at + 1).is_some();
    }
    // A line of underscores above Outlook's block.
    if line.len() >= 5 && line.chars().all(|c| matches!(c, '_' | '-' | '=' | '─' | '—')) {
        return next_filled(lines, at + 1).is_some_and(|next| is_header_block(lines, next));
    }
    if is_header_block(lines, at) {
        return true;
    }
    attribution_end(lines, at).is_some_and(|behind| quotes_to_the_end(lines, at, behind))
}

/// `From:` and at least two of date, recipient and subject, in the next lines.
fn is_header_block(lines: &[&str], at: usize) -> bool {
    let Some(first) = lines.get(at).map(|line| plain(line)) else { return false };
    if !from_label(first) {
        return false;
    }
    let following = lines.get(at + 1..).unwrap_or_default();
    let filled = following.iter().filter(|line| !line.trim().is_empty()).take(6);
    header_labels(filled.map(|line| plain(line))) >= 2
}

/// If «On … wrote:» begins here, the line behind it.
fn attribution_end(lines: &[&str], at: usize) -> Option<usize> {
    let mut joined = String::new();
    for count in 0..ATTRIBUTION_LINES {
        let line = plain(lines.get(at + count)?);
        if line.is_empty() || is_quoted(line) {
            return None;
        }
        if count > 0 {
            joined.push(' ');
        }
        joined.push_str(line);
        if attribution(&joined) {
            return Some(at + count + 1);
        }
    }
    None
}

/// Behind an attribution: is all the rest quoted, without an answer below or between?
fn quotes_to_the_end(lines: &[&str], at: usize, behind: usize) -> bool {
    let Some(first) = next_filled(lines, behind) else { return true };
    if !lines.get(first).is_some_and(|line| is_quoted(line)) {
        // Not marked as a quote. That is how phones and Outlook quote; but then the attribution must
        // name an address, as programs write it and people do not.
        let named = lines.get(at..behind).unwrap_or_default().iter().any(|line| line.contains('@'));
        return named;
    }
    let rest = lines.get(first..).unwrap_or_default();
    let answers = rest.iter().filter(|line| !line.trim().is_empty() && !is_quoted(line));
    // A quoted line that was wrapped leaves its end behind, and a signature may follow.
    let answers: Vec<&&str> = answers.collect();
    answers.is_empty() || is_only_signature(rest)
}

/// Behind the last quoted line, only a signature.
fn is_only_signature(lines: &[&str]) -> bool {
    let Some(last) = lines.iter().rposition(|line| is_quoted(line)) else { return false };
    let between = lines.get(..last).unwrap_or_default();
    let unquoted_between = between.iter().any(|line| !line.trim().is_empty() && !is_quoted(line));
    let after = lines.get(last + 1..).unwrap_or_default();
    !unquoted_between && without_signature(after).iter().all(|line| line.trim().is_empty())
}

/// A block of `>` at the end, with its attribution if it has one that nobody knew.
fn without_trailing_quote<'a, 'b>(lines: &'b [&'a str]) -> &'b [&'a str] {
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
    let colon =
        |line: &str| line.ends_with([':', '：']) && line.contains(|c: char| c.is_ascii_digit());
    let named = head.last().is_some_and(|line| colon(line.trim()) && line.contains('@'));
    let end = if named { own } else { own + 1 };
    lines.get(..end).unwrap_or_default()
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
        let filled = after.iter().filter(|line| !line.trim().is_empty()).count();
        let quoted = after.iter().any(|line| is_quoted(line));
        if filled <= SIGNATURE_LINES && !quoted {
            kept = kept.get(..sign).unwrap_or_default();
        }
    }
    for _ in 0..3 {
        let Some(last) = kept.iter().rposition(|line| !line.trim().is_empty()) else { break };
        let line = kept.get(last).map(|line| plain(line)).unwrap_or_default();
        if !mobile_signature(line) {
            break;
        }
        kept = kept.get(..last).unwrap_or_default();
    }
    kept
}

#[cfg(test)]
mod tests;
