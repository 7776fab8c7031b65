//! Payment cards: an issuer's first digits, a length that this issuer has, and Luhn's check digit (ISO/IEC
//! 7812). One number in ten has a right check digit, so a bare one also needs words that say «card».

use std::ops::Range;

use super::context::{Context, Word};
use super::{Find, SecretSort};

/// Digits of the shortest card.
const DIGITS_MIN: usize = 12;
/// Digits of the longest card.
const DIGITS_MAX: usize = 19;

/// Digits that belong together: groups with a blank, a dash or a dot between them.
struct Run {
    /// Each digit and where it stands.
    digits: Vec<(u8, Range<usize>)>,
    /// Numbers of the digits with which a group begins, and whether something else than blanks and dashes
    /// stands before it: dates, amounts and addresses look so too.
    groups: Vec<(usize, bool)>,
    /// Stands within a word, an address or a larger number.
    glued: bool,
}

pub(super) fn find(text: &str, context: &Context, finds: &mut Vec<Find>) {
    // Digits of full width begin with this byte.
    let may_be_digit = |byte: &u8| byte.is_ascii_digit() || *byte == 0xef;
    if text.bytes().filter(may_be_digit).count() < DIGITS_MIN {
        return;
    }
    let mut chars = text.char_indices().peekable();
    let mut before = None;
    while let Some((at, c)) = chars.next() {
        let Some(digit) = digit(c) else {
            before = Some(c);
            continue;
        };
        let glued = before.is_some_and(|c| c.is_ascii_alphanumeric() || "+#@$€£¥".contains(c));
        let digits = vec![(digit, at..at + c.len_utf8())];
        let mut run = Run { digits, groups: vec![(0, false)], glued };
        let (mut gap, mut marked) = (0, false);
        before = Some(c);
        while let Some((at, c)) = chars.peek().copied() {
            if let Some(digit) = self::digit(c) {
                if gap > 0 {
                    run.groups.push((run.digits.len(), marked));
                }
                run.digits.push((digit, at..at + c.len_utf8()));
                (gap, marked) = (0, false);
            } else if gap < 3 && (is_blank(c) || is_mark(c)) {
                marked |= is_mark(c);
                gap += 1;
            } else {
                run.glued |= gap == 0 && (c.is_ascii_alphabetic() || c == '@');
                break;
            }
            before = Some(c);
            chars.next();
        }
        look(context, &run, finds);
    }
}

fn digit(c: char) -> Option<u8> {
    let value = match c {
        '0'..='9' => u32::from(c) - u32::from('0'),
        '０'..='９' => u32::from(c) - u32::from('０'),
        _ => return None,
    };
    u8::try_from(value).ok()
}

const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '-' | '\t' | '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}')
        || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}')
}

const fn is_mark(c: char) -> bool {
    matches!(c, '.' | '_' | '/' | '|' | ',' | '*' | '·' | '•' | '\u{30fb}' | '\n' | '\r')
}

/// Tries what begins with a group and ends with one.
fn look(context: &Context, run: &Run, finds: &mut Vec<Find>) {
    if run.glued || run.digits.len() < DIGITS_MIN {
        return;
    }
    let mut free = 0;
    for (number, (first, _)) in run.groups.iter().enumerate() {
        if *first < free {
            continue;
        }
        let groups = run.groups.get(number..).unwrap_or_default();
        let digits = run.digits.get(*first..).unwrap_or_default();
        if let Some((length, span)) = longest(context, groups, digits) {
            finds.push(Find { sort: SecretSort::Card, span });
            free = first + length;
        }
    }
}

/// The longest card that begins with the first of these groups: how many digits, and where.
fn longest(
    context: &Context,
    groups: &[(usize, bool)],
    digits: &[(u8, Range<usize>)],
) -> Option<(usize, Range<usize>)> {
    let first = groups.first()?.0;
    let near: Vec<u8> = digits.iter().take(DIGITS_MAX).map(|(digit, _)| *digit).collect();
    let ends = groups.iter().skip(1).take(DIGITS_MAX).map(|(begin, _)| begin - first);
    let ends = ends.chain([digits.len()]).filter(|length| (12..=DIGITS_MAX).contains(length));
    let mut cards = ends.filter_map(|length| {
        let values = near.get(..length)?;
        let issuer = issuer(values).filter(|_| luhn(values))?;
        let inside = groups.iter().take_while(|(begin, _)| begin - first < length);
        let marked = inside.clone().skip(1).any(|(_, marked)| *marked);
        let begins: Vec<usize> = inside.map(|(begin, _)| begin - first).collect();
        let form = form(&begins, length);
        let span = digits.first()?.1.start..digits.get(length - 1)?.1.end;
        let meant = (form || !marked) && is_meant(context, &span, issuer, form);
        meant.then_some((length, span))
    });
    cards.next_back()
}

/// Is it written as it stands on a card (or digit by digit)?
fn form(begins: &[usize], end: usize) -> bool {
    let ends = begins.iter().skip(1).copied().chain([end]);
    let lengths: Vec<usize> = begins.iter().zip(ends).map(|(begin, end)| end - begin).collect();
    matches!(lengths.as_slice(), [4, 4, 4, 1..=4] | [4, 4, 4, 4, 1..=3] | [4, 6, 4 | 5])
        || (lengths.len() >= 13 && lengths.iter().all(|length| *length == 1))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Issuer {
    /// Its numbers are known well enough.
    Large,
    /// Its first digits begin many other numbers too.
    Small,
}

/// Who issues numbers of this length that begin so.
fn issuer(digits: &[u8]) -> Option<Issuer> {
    let first = |count: usize| {
        digits.iter().take(count).fold(0_u32, |value, digit| value * 10 + u32::from(*digit))
    };
    let length = digits.len();
    let large = match first(4) {
        4000..=4999 => matches!(length, 13 | 16 | 19),
        5100..=5599 | 2221..=2720 | 2200..=2204 => length == 16,
        3400..=3499 | 3700..=3799 => length == 15,
        6011 | 6440..=6599 | 3528..=3589 | 6200..=6299 => (16..=19).contains(&length),
        3000..=3059 | 3095 | 3600..=3699 | 3800..=3999 => length == 14,
        _ => false,
    };
    let small = matches!(first(2), 50 | 56..=69 | 81 | 82) && (12..=19).contains(&length);
    if large { Some(Issuer::Large) } else { small.then_some(Issuer::Small) }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(*digit);
            if place % 2 == 0 { digit } else { digit * 2 - if digit > 4 { 9 } else { 0 } }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Do the words around it, or its form, say that it is a card?
fn is_meant(context: &Context, span: &Range<usize>, issuer: Issuer, form: bool) -> bool {
    let words = [Word::Card, Word::SecurityCode, Word::Public, Word::Hash];
    let before = context.before(span.start, &words).map(|(word, _)| word);
    let card = context.has(Word::Card) || context.has(Word::SecurityCode);
    let grouped = issuer == Issuer::Large && form;
    match before {
        Some(Word::Public | Word::Hash) => grouped && card,
        Some(_) => true,
        None => {
            let alone = context.length == span.end - span.start;
            let public = |word| matches!(word, Word::Public | Word::Hash);
            let behind = context.after(span.end, &words).is_some_and(|(word, _)| !public(word));
            grouped || behind || (alone && issuer == Issuer::Large)
        }
    }
}
