//! Words of a wallet: BIP-39 in its ten languages, SLIP-39, Electrum; in one line, numbered, one on each line.
//!
//! A run is a row of words of one list with nothing between them but blanks, numbers and punctuation. If any
//! part of it that has a phrase's length passes the checksum, all of the run is the secret: where the phrase
//! begins cannot be told for sure, and too much is masked rather than too little.
//!
//! What fails the checksum is a secret only close behind words that call it one: somebody mistyped a word, and
//! whoever reads it tries which. There all of twelve words but one have to be of the list.

use std::ops::Range;
use std::sync::LazyLock;

use bip39::Language;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};
use unicode_normalization::UnicodeNormalization as _;

use super::context::{Context, Word};
use super::{Find, SecretSort};
use crate::desk::table::Table;

const SLIP39: &str = include_str!("slip39.txt");

const LANGUAGES: [Language; 10] = [
    Language::English,
    Language::SimplifiedChinese,
    Language::TraditionalChinese,
    Language::Czech,
    Language::French,
    Language::Italian,
    Language::Japanese,
    Language::Korean,
    Language::Portuguese,
    Language::Spanish,
];
const ENGLISH: usize = 0;
const SHARES: usize = LANGUAGES.len();
const LISTS: usize = SHARES + 1;

/// In how many words a phrase may be written, longest first.
const LENGTHS: [usize; 5] = [24, 21, 18, 15, 12];
const SHORTEST: usize = 12;
/// SLIP-39: shares of 128 to 256 bits.
const SHARE_LENGTHS: [usize; 5] = [20, 23, 27, 30, 33];
/// Numbers, punctuation and blanks between two words of one phrase.
const GAP_MAX: usize = 48;
/// Words between «my seed phrase» and the phrase itself.
const LEAD_MAX: usize = 16;
/// A phrase that is told has at most so many words.
const TOLD_MAX: usize = 34;
/// Electrum's check is dear: no phrase stands in a longer run than this.
const ELECTRUM_RUN_MAX: usize = 64;
/// No list has a longer word.
const LETTERS_MAX: usize = 16;

/// Each folded word with the lists that have it, and where in them.
static WORDS: LazyLock<Table<String, Vec<(usize, u16)>>> = LazyLock::new(|| {
    let mut words: Table<String, Vec<(usize, u16)>> = Table::default();
    let mut buffer = String::new();
    let mut add = |list: usize, place: usize, word: &str| {
        fold(word, &mut buffer);
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        words.entry(buffer.clone()).or_default().push((list, place));
    };
    for (list, language) in LANGUAGES.iter().enumerate() {
        for (place, word) in language.word_list().iter().enumerate() {
            add(list, place, word);
        }
    }
    for (place, word) in SLIP39.lines().enumerate() {
        add(SHARES, place, word);
    }
    words
});

/// The lists that have a word, each with the word's place in it.
type Places = &'static [(usize, u16)];

/// Lower case, decomposed (NFKD), without the accents of Latin letters: people leave them out.
fn fold(word: &str, folded: &mut String) {
    folded.clear();
    if has_one_form(word) {
        folded.push_str(word);
        return;
    }
    if word.is_ascii() {
        folded.extend(word.chars().map(|c| c.to_ascii_lowercase()));
        return;
    }
    let letters = word.nfkd().filter(|c| !('\u{300}'..='\u{36f}').contains(c));
    folded.extend(letters.flat_map(char::to_lowercase));
}

/// Does it begin with a character of Chinese that has no other form? Prose of Chinese is full of them.
fn has_one_form(word: &str) -> bool {
    matches!(word.chars().next(), Some('\u{4e00}'..='\u{9fff}'))
}

/// Words that number the others: «Word 1: …», «第1个词».
const NUMBERING: &[&str] = &["word", "wort", "mot", "palabra", "parola", "no", "nr"];
const NUMBERING_CHINESE: &[char] = &['第', '个', '個', '词', '詞'];

#[derive(Debug, Default, Clone)]
struct Run {
    words: Vec<(u16, Range<usize>)>,
    /// Characters of Chinese without anything between them.
    dense: bool,
}

pub(super) fn find(text: &str, context: &Context, finds: &mut Vec<Find>) {
    let mut runs: Vec<Run> = vec![Run::default(); LISTS];
    let seed = context.has(Word::Seed);
    let mut buffer = String::new();
    let mut tokens = Tokens { text, at: 0 };
    let (mut end_before, mut open) = (0, false);
    while let Some((token, han)) = tokens.next() {
        let word = text.get(token.clone()).unwrap_or_default();
        let gap = text.get(end_before..token.start).unwrap_or_default();
        if is_numbering(text, word, &token, gap) {
            continue;
        }
        end_before = token.end;
        let known = lists_of(word, &mut buffer);
        // Most words are of no list, and stand behind others of none.
        if known.is_empty() && !open {
            continue;
        }
        open = !known.is_empty();
        for (list, run) in runs.iter_mut().enumerate() {
            let place = known.iter().find(|(one, _)| *one == list);
            let Some((_, place)) = place else {
                if !run.words.is_empty() {
                    end(text, list, run, seed, finds);
                }
                continue;
            };
            let dense = han && gap.is_empty();
            if gap.len() > GAP_MAX || (run.words.len() > 1 && run.dense != dense && han) {
                let last = run.words.last().cloned().filter(|_| dense);
                end(text, list, run, seed, finds);
                run.words.extend(last);
            }
            run.dense = dense;
            run.words.push((*place, token.clone()));
        }
    }
    for (list, run) in runs.iter_mut().enumerate() {
        end(text, list, run, seed, finds);
    }
    told(text, context, finds);
}

/// Are there three words of one list in a row, or is there hardly anything else?
///
/// Characters of Chinese with nothing between them are prose, unless a row of them has a phrase's length: then the
/// words that call it one may stand in another message.
pub(super) fn may_go_on(text: &str) -> bool {
    let mut buffer = String::new();
    let (mut tokens, mut before) = (Tokens { text, at: 0 }, 0);
    let (mut rows, mut longest, mut count) = ([0_usize; LISTS], 0, 0);
    let (mut dense_rows, mut is_whole) = ([0_usize; LISTS], false);
    while let Some((token, han)) = tokens.next() {
        let word = text.get(token.clone()).unwrap_or_default();
        let gap = text.get(before..token.start).unwrap_or_default();
        if is_numbering(text, word, &token, gap) {
            continue;
        }
        before = token.end;
        count += 1;
        let dense = han && gap.is_empty() && count > 1;
        let lists = lists_of(word, &mut buffer);
        for (list, (row, dense_row)) in rows.iter_mut().zip(&mut dense_rows).enumerate() {
            let known = lists.iter().any(|(one, _)| *one == list);
            *row = if known && !dense { *row + 1 } else { 0 };
            longest = longest.max(*row);
            if !known || !dense {
                is_whole |= LENGTHS.contains(dense_row);
                *dense_row = 0;
            }
            *dense_row += usize::from(known && han);
        }
    }
    is_whole |= dense_rows.iter().any(|row| LENGTHS.contains(row));
    longest >= 3 || is_whole || (count > 0 && longest == count)
}

/// Phrases behind words that call them so, whose checksum may be wrong.
fn told(text: &str, context: &Context, finds: &mut Vec<Find>) {
    let mut seeds = context.of_class(Word::Seed).peekable();
    let mut buffer = String::new();
    while let Some(seed) = seeds.next() {
        // The last of several says it.
        if seeds.peek().is_some_and(|next| next.start < seed.end + 24) {
            continue;
        }
        let mut words: Vec<(Range<usize>, Places)> = Vec::new();
        let (mut tokens, mut before) = (Tokens { text, at: seed.end }, seed.end);
        while words.len() < LEAD_MAX + TOLD_MAX
            && let Some((token, _)) = tokens.next()
        {
            let word = text.get(token.clone()).unwrap_or_default();
            let gap = text.get(before..token.start).unwrap_or_default();
            if gap.len() > GAP_MAX {
                break;
            }
            if !is_numbering(text, word, &token, gap) {
                before = token.end;
                words.push((token, lists_of(word, &mut buffer)));
            }
        }
        let span = (0..LISTS).filter(|list| !is_chinese(*list)).find_map(|list| {
            let known: Vec<bool> =
                words.iter().map(|(_, lists)| lists.iter().any(|(one, _)| *one == list)).collect();
            let phrase = told_in(&known)?;
            let (first, last) = (words.get(phrase.start)?, words.get(phrase.end.checked_sub(1)?)?);
            Some(first.0.start..last.0.end)
        });
        finds.extend(span.map(|span| Find { sort: SecretSort::SeedPhrase, span }));
    }
}

/// Twelve words of which the list has all but one, and those of the list behind them.
fn told_in(known: &[bool]) -> Option<Range<usize>> {
    let starts = known.windows(SHORTEST).take(LEAD_MAX + 1).enumerate();
    let mut starts = starts.filter(|(_, window)| window.first() == Some(&true));
    let (start, _) = starts
        .find(|(_, window)| window.iter().filter(|known| **known).count() + 1 >= window.len())?;
    let more = known.iter().skip(start + SHORTEST).take_while(|known| **known).count();
    Some(start..(start + SHORTEST + more).min(start + TOLD_MAX))
}

/// The lists that have a word, and where.
fn lists_of(word: &str, buffer: &mut String) -> Places {
    if word.len() > LETTERS_MAX && word.chars().take(LETTERS_MAX + 1).count() > LETTERS_MAX {
        return &[];
    }
    let folded = if has_one_form(word) {
        word
    } else {
        fold(word, buffer);
        buffer.as_str()
    };
    WORDS.get(folded).map_or(&[], Vec::as_slice)
}

const fn is_chinese(list: usize) -> bool {
    matches!(list, 1 | 2)
}

/// The letters of a text: words, and each Chinese character for itself.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl Tokens<'_> {
    fn next(&mut self) -> Option<(Range<usize>, bool)> {
        let rest = self.text.get(self.at..)?;
        let skipped = rest.find(is_letter)?;
        let start = self.at + skipped;
        let rest = self.text.get(start..)?;
        let first = rest.chars().next()?;
        let han = is_han(first);
        let length = if han {
            first.len_utf8()
        } else {
            rest.find(|c| is_han(c) || !is_letter(c)).unwrap_or(rest.len())
        };
        self.at = start + length;
        Some((start..self.at, han))
    }
}

fn is_letter(c: char) -> bool {
    c.is_ascii_alphabetic()
        || is_han(c)
        || (!c.is_ascii()
            && (c.is_alphabetic()
                || ('\u{300}'..='\u{36f}').contains(&c)
                || matches!(c, '\u{3099}' | '\u{309a}')))
}

fn is_han(c: char) -> bool {
    matches!(c, '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}')
}

/// A word beside a number, that numbers and is no part of the phrase.
fn is_numbering(text: &str, word: &str, token: &Range<usize>, gap: &str) -> bool {
    let numbers = match word.chars().next() {
        Some(first) if is_han(first) => NUMBERING_CHINESE.contains(&first),
        _ => NUMBERING.iter().any(|known| known.eq_ignore_ascii_case(word)),
    };
    if !numbers {
        return false;
    }
    let behind = text.get(token.end..).unwrap_or_default();
    let behind = behind.trim_start_matches([' ', '#', '.', '°']);
    let number = |c: char| c.is_ascii_digit();
    behind.starts_with(number) || gap.trim_end_matches([' ', '.']).ends_with(number)
}

/// The run is over: was it a phrase?
fn end(text: &str, list: usize, run: &mut Run, seed: bool, finds: &mut Vec<Find>) {
    let dense = std::mem::take(&mut run.dense);
    if run.words.len() < SHORTEST {
        run.words.clear();
        return;
    }
    let words = std::mem::take(&mut run.words);
    let places: Vec<u16> = words.iter().map(|(place, _)| *place).collect();
    let found = if list == SHARES {
        windows(&places, &SHARE_LENGTHS, is_share)
    } else if dense && is_chinese(list) {
        // Prose of Chinese is made of nothing else: it has to be told, and to be exact.
        seed && LENGTHS.contains(&places.len()) && checks(&places)
    } else {
        let short = words.len() <= ELECTRUM_RUN_MAX;
        windows(&places, &LENGTHS, checks) || (list == ENGLISH && short && electrum(text, &words))
    };
    let ends = words.first().zip(words.last());
    if let Some((first, last)) = ends.filter(|_| found) {
        finds.push(Find { sort: SecretSort::SeedPhrase, span: first.1.start..last.1.end });
    }
}

fn windows(places: &[u16], lengths: &[usize], check: impl Fn(&[u16]) -> bool) -> bool {
    lengths.iter().any(|length| places.windows(*length).any(&check))
}

/// BIP-39: eleven bits a word; behind the entropy stand the first bits of its hash.
fn checks(places: &[u16]) -> bool {
    let mut bytes = [0_u8; 33];
    for (number, place) in places.iter().enumerate() {
        for bit in (0..11).filter(|bit| place >> (10 - bit) & 1 == 1) {
            let at = number * 11 + bit;
            if let Some(byte) = bytes.get_mut(at / 8) {
                *byte |= 0x80 >> (at % 8);
            }
        }
    }
    let (entropy, check) = (places.len() * 4 / 3, places.len() / 3);
    let Some((entropy, rest)) = bytes.split_at_checked(entropy) else { return false };
    let hash = Sha256::digest(entropy);
    let shift = 8 - check.min(8);
    let first = |bytes: &[u8]| bytes.first().map(|byte| byte >> shift);
    first(rest) == first(&hash)
}

/// SLIP-39: a Reed-Solomon code over words of ten bits.
fn is_share(places: &[u16]) -> bool {
    let sum = |prefix: &[u8]| {
        let prefix = prefix.iter().map(|byte| u32::from(*byte));
        let values = prefix.chain(places.iter().map(|place| u32::from(*place)));
        values.fold(1_u32, |sum, value| {
            let top = sum >> 20;
            let sum = ((sum & 0x000f_ffff) << 10) ^ value;
            RS1024
                .iter()
                .enumerate()
                .filter(|(bit, _)| top >> bit & 1 == 1)
                .fold(sum, |sum, (_, one)| sum ^ one)
        })
    };
    sum(b"shamir") == 1 || sum(b"shamir_extendable") == 1
}

const RS1024: [u32; 10] = [
    0x00e0_e040,
    0x01c1_c080,
    0x0383_8100,
    0x0707_0200,
    0x0e0e_0009,
    0x1c0c_2412,
    0x3808_6c24,
    0x3090_fc48,
    0x21b1_f890,
    0x03f3_f120,
];

/// Electrum, since 2.0: the version is in the hash of the words.
fn electrum(text: &str, words: &[(u16, Range<usize>)]) -> bool {
    let spelled = |window: &[(u16, Range<usize>)]| {
        let words = window.iter().filter_map(|(_, span)| text.get(span.clone()));
        words.map(str::to_ascii_lowercase).collect::<Vec<_>>().join(" ")
    };
    [24, 13, 12].iter().any(|length| {
        words.windows(*length).any(|window| {
            let Ok(mut mac) = Hmac::<Sha512>::new_from_slice(b"Seed version") else { return false };
            mac.update(spelled(window).as_bytes());
            let hash = mac.finalize().into_bytes();
            let first =
                hash.iter().take(2).fold(0_u16, |value, byte| value << 8 | u16::from(*byte));
            // Standard; segwit; two-factor; two-factor segwit.
            first >> 8 == 0x01 || matches!(first >> 4, 0x100..=0x102)
        })
    })
}
