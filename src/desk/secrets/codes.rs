//! Codes and passwords: nothing but the words before them tells what they are.

use std::ops::Range;

use super::context::{Context, Word};
use super::{Find, SecretSort};

/// Between a word and its value stand at most so many bytes.
const CONNECTOR_MAX: usize = 40;

pub(super) fn find(text: &str, context: &Context, finds: &mut Vec<Find>) {
    for (class, span) in context.words() {
        let found = match class {
            Word::Code => code(text, span.end, 4..=8)
                .or_else(|| code_before(text, span.start))
                .map(|span| (SecretSort::Code, span)),
            Word::CodeAbbreviated => {
                let meant = is_abbreviation(text, span);
                let told = meant.then(|| code(text, span.end, 4..=8)).flatten();
                told.map(|span| (SecretSort::Code, span))
            }
            Word::SecurityCode => code(text, span.end, 3..=4).map(|span| (SecretSort::Card, span)),
            Word::Password => password(text, span.end).map(|span| (SecretSort::Password, span)),
            Word::Seed
            | Word::Key
            | Word::Hash
            | Word::Public
            | Word::Card
            | Word::Keystore
            | Word::Mask => None,
        };
        finds.extend(found.map(|(sort, span)| Find { sort, span }));
    }
    let mut looked = 0;
    for (at, _) in text.match_indices("otpauth://") {
        if at < looked {
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let end = rest.find(|c: char| c.is_whitespace() || "\"'<>".contains(c));
        let span = at..at + end.unwrap_or(rest.len());
        looked = span.end;
        finds.push(Find { sort: SecretSort::Password, span });
    }
}

/// «PIN», or «pin:» and «pin is»: not «pin 4 of the socket», not «a tan 2020 coat».
fn is_abbreviation(text: &str, span: &Range<usize>) -> bool {
    let word = text.get(span.clone()).unwrap_or_default();
    let tied = connector(text, span.end);
    word.bytes().all(|byte| byte.is_ascii_uppercase()) || tied.sign || tied.tie
}

/// Words that tie a value to its name.
const TIES: &[&str] = &["is", "was", "are", "ist", "lautet", "est", "es", "é", "code", "number"];
const TIES_JOINED: &[&str] = &["是", "为", "為", "は", "은", "는"];

/// What stands between a word and its value, and whether it says that the value is one.
struct Connector {
    end: usize,
    /// A colon or an equals sign.
    sign: bool,
    /// «is».
    tie: bool,
}

fn connector(text: &str, begin: usize) -> Connector {
    let mut connector = Connector { end: begin, sign: false, tie: false };
    while connector.end < begin + CONNECTOR_MAX {
        let rest = text.get(connector.end..).unwrap_or_default();
        let Some(next) = rest.chars().next() else { break };
        let joined = TIES_JOINED.iter().find(|tie| rest.starts_with(**tie));
        if let Some(tie) = joined {
            connector.tie = true;
            connector.end += tie.len();
        } else if next.is_alphabetic() {
            let word: String = rest.chars().take(8).take_while(|c| c.is_alphabetic()).collect();
            let known = TIES.iter().any(|tie| tie.eq_ignore_ascii_case(&word));
            let ends = !rest.get(word.len()..).is_some_and(|rest| {
                rest.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_')
            });
            if !known || !ends {
                break;
            }
            connector.tie = true;
            connector.end += word.len();
        } else if ":：=".contains(next) {
            connector.sign = true;
            connector.end += next.len_utf8();
        } else if next.is_whitespace() || "-–—#()（）「」【】\"'“”‘’>*`,，".contains(next)
        {
            connector.end += next.len_utf8();
        } else {
            break;
        }
    }
    connector
}

/// So many digits behind a word, alone or in two groups: `123456`, `123 456`, `G-123456`.
fn code(text: &str, begin: usize, count: std::ops::RangeInclusive<usize>) -> Option<Range<usize>> {
    let mut start = connector(text, begin).end;
    let rest = text.get(start..)?;
    if let Some(tail) = rest.strip_prefix("G-") {
        start += rest.len() - tail.len();
    }
    let bytes = text.as_bytes();
    let (mut end, mut digits, mut groups) = (start, 0, 1);
    loop {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        if digit(end) {
            digits += 1;
            end += 1;
        } else if groups < 3
            && digits > 0
            && matches!(bytes.get(end), Some(b' ' | b'-'))
            && digit(end + 1)
        {
            groups += 1;
            end += 1;
        } else {
            break;
        }
        if digits > *count.end() {
            return None;
        }
    }
    (count.contains(&digits) && ends_value(text, end)).then_some(start..end)
}

/// `123456 is your … code`: the digits stand before the word.
fn code_before(text: &str, word: usize) -> Option<Range<usize>> {
    let mut from = word.saturating_sub(64);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let before = text.get(from..word)?;
    let ties = [" is your ", " is the ", " is my ", "是您的", "是你的", "是我的", "为您的"];
    let tie = ties.iter().filter_map(|tie| before.rfind(tie)).max()?;
    let (value, between) = before.split_at_checked(tie)?;
    if between.len() > 40 || between.contains(|c: char| c.is_ascii_digit() || c == '\n') {
        return None;
    }
    let digits = value.bytes().rev().take_while(u8::is_ascii_digit).count();
    let start = value.len() - digits;
    let head = value.get(..start)?;
    let glued = head.strip_suffix("G-").unwrap_or(head).ends_with(|c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '#' | '+' | '-' | '/' | '$' | '_')
    });
    // Where the stretch that was looked at begins with a digit, more of them may stand before it.
    let cut = start == 0 && from > 0;
    ((4..=8).contains(&digits) && !glued && !cut).then_some(from + start..from + value.len())
}

/// No part of a longer number, an amount, a time or a date.
fn ends_value(text: &str, end: usize) -> bool {
    let rest = text.get(end..).unwrap_or_default();
    let mut rest = rest.chars();
    match rest.next() {
        None => true,
        Some('.' | ',' | ':' | '-' | '/') => !rest.next().is_some_and(|c| c.is_ascii_digit()),
        Some(next) => !next.is_ascii_alphanumeric() && next != '%' && next != '_',
    }
}

const VALUE_MAX: usize = 128;

/// Words that people write behind «password:» without telling it.
const NO_PASSWORD: &[&str] = &[
    "reset",
    "forgot",
    "forgotten",
    "wrong",
    "incorrect",
    "invalid",
    "expired",
    "changed",
    "change",
    "hidden",
    "required",
    "removed",
    "unknown",
    "please",
    "cannot",
    "doesn't",
    "n/a",
    "missing",
    "rejected",
    "locked",
    "lost",
    "protected",
    "correct",
    "working",
    "accepted",
];

/// The value behind «password:», if it looks like one.
fn password(text: &str, begin: usize) -> Option<Range<usize>> {
    let connector = connector(text, begin);
    if !connector.sign && !connector.tie {
        return None;
    }
    let rest = text.get(connector.end..)?;
    let length = rest.bytes().take(VALUE_MAX).take_while(u8::is_ascii_graphic).count();
    let value =
        rest.get(..length)?.trim_end_matches(['.', ',', ';', '!', '?', ')', '"', '\'', ']']);
    let alone = rest.get(length..)?.trim_start_matches([' ', '\t', '\r']);
    let alone = alone.is_empty() || alone.starts_with('\n');
    let digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let symbol = value.bytes().any(|byte| b"!@#$%^&*_+=~?".contains(&byte));
    let mixed = value.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())
        && value.bytes().any(|byte| byte.is_ascii_lowercase());
    let word = NO_PASSWORD.iter().any(|word| word.eq_ignore_ascii_case(value));
    let plain = connector.sign && alone && value.len() >= 6;
    let link = value.starts_with("http") || value.starts_with('[') || value.contains("://");
    let looks = value.len() >= 4 && !link && !word && (digit || symbol || mixed || plain);
    looks.then(|| connector.end..connector.end + value.len())
}
