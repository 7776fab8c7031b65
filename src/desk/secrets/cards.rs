//! Payment cards: an issuer's first digits, a length that this issuer has, and Luhn's check digit (ISO/IEC
//! 7812). One number in ten has a right check digit, so a bare one also needs words that say «card».

use std::ops::Range;

use super::context::{Context, Word};
use super::{Find, SecretSort};

/// Digits of the longest card.
const DIGITS_MAX: usize = 19;

/// Digits that belong together: groups with a blank or a dash between them.
struct Run {
    /// Each digit and where it stands.
    digits: Vec<(u8, Range<usize>)>,
    /// Numbers of the digits with which a group begins.
    groups: Vec<usize>,
    /// Stands within a word, an address or a larger number.
    glued: bool,
}

pub(super) fn find(text: &str, context: &Context, finds: &mut Vec<Find>) {
    let mut chars = text.char_indices().peekable();
    let mut before = None;
    while let Some((at, c)) = chars.next() {
        let Some(digit) = digit(c) else {
            before = Some(c);
            continue;
        };
        let glued = before.is_some_and(|c| c.is_ascii_alphanumeric() || "+#/_@$€£¥".contains(c));
        let mut run = Run { digits: vec![(digit, at..at + c.len_utf8())], groups: vec![0], glued };
        let mut gap = 0;
        before = Some(c);
        while let Some((at, c)) = chars.peek().copied() {
            if let Some(digit) = self::digit(c) {
                if gap > 0 {
                    run.groups.push(run.digits.len());
                }
                run.digits.push((digit, at..at + c.len_utf8()));
                gap = 0;
            } else if gap < 2
                && matches!(c, ' ' | '-' | '\u{a0}' | '\u{2009}' | '\u{202f}' | '‐' | '–')
            {
                gap += 1;
            } else {
                run.glued |= gap == 0 && (c.is_ascii_alphabetic() || c == '_' || c == '@');
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

/// Tries what begins with a group and ends with one.
fn look(context: &Context, run: &Run, finds: &mut Vec<Find>) {
    if run.glued || run.digits.len() < 12 {
        return;
    }
    let mut free = 0;
    for (number, first) in run.groups.iter().enumerate() {
        if *first < free {
            continue;
        }
        let ends = run.groups.iter().skip(number + 1).copied().chain([run.digits.len()]);
        let ends = ends.take_while(|end| end - first <= DIGITS_MAX);
        let cards = ends.filter_map(|end| {
            let digits = run.digits.get(*first..end)?;
            let groups = run.groups.iter().filter(|group| (*first..end).contains(*group)).count();
            let span = digits.first()?.1.start..digits.last()?.1.end;
            let values: Vec<u8> = digits.iter().map(|(digit, _)| *digit).collect();
            let issuer = issuer(&values).filter(|_| luhn(&values))?;
            is_meant(context, &span, issuer, groups).then_some((end, span))
        });
        if let Some((end, span)) = cards.last() {
            finds.push(Find { sort: SecretSort::Card, span });
            free = end;
        }
    }
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
fn is_meant(context: &Context, span: &Range<usize>, issuer: Issuer, groups: usize) -> bool {
    let words = [Word::Card, Word::SecurityCode, Word::Public];
    let before = context.before(span.start, &words).map(|(word, _)| word);
    let card = context.has(Word::Card) || context.has(Word::SecurityCode);
    let grouped = issuer == Issuer::Large && groups >= 3;
    match before {
        Some(Word::Public) => grouped && card,
        Some(_) => true,
        None => {
            let alone = context.length == span.end - span.start;
            let behind =
                context.after(span.end, &words).is_some_and(|(word, _)| word != Word::Public);
            grouped || behind || (alone && issuer == Issuer::Large)
        }
    }
}
