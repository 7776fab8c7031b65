//! In which language is a text written?
//!
//! The script decides where it can; Chinese is told apart by its characters, languages in Latin letters by
//! the small words that every sentence has, and by the trigrams of `whatlang` where a text is long. A text
//! that is too short to tell says so ([`Clue::Weak`]), and [`settle`] then believes what was known before.
//! Pure; looks at no more than [`CHARS_MAX`] characters.

mod latin;
mod letters;

use std::collections::BTreeMap;

use self::letters::Script;

/// More of a text says nothing new.
const CHARS_MAX: usize = 1000;

/// What a text says about its language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guess {
    /// The language, as a tag of BCP 47: `en`, `zh-Hans`.
    pub tag: &'static str,
    /// How much speaks for it.
    pub clue: Clue,
}

/// How much speaks for a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clue {
    /// A word or two, names, a number: what was known before counts more.
    Weak,
    /// The script: some language that is written in it, most often this one.
    Script,
    /// Enough.
    Sure,
}

/// In which language is this? `None`: it has no words.
#[must_use]
pub fn detect(text: &str) -> Option<Guess> {
    let words = words(text);
    let mut weights = letters::Weights::default();
    for word in &words {
        weights.add(word);
    }
    let script = weights.heaviest()?;
    let of_script = |tag| Guess { tag, clue: Clue::Script };
    let sure = |tag| Guess { tag, clue: Clue::Sure };
    Some(match script {
        Script::Latin => latin::detect(&words)?,
        Script::Han if weights.is_japanese() => sure("ja"),
        Script::Kana => sure("ja"),
        Script::Han => match letters::chinese(&words) {
            Some(tag) => sure(tag),
            None if letters::is_new_kanji(&words) => of_script("ja"),
            None => of_script("zh-Hans"),
        },
        Script::Cyrillic => match letters::cyrillic(&words) {
            Some(tag) => sure(tag),
            None => of_script("ru"),
        },
        Script::Arabic => match letters::arabic(&words) {
            Some(tag) => sure(tag),
            None => of_script("ar"),
        },
        Script::Devanagari => of_script("hi"),
        Script::Other(tag) => sure(tag),
    })
}

/// The language of a text, seen together with the one that was known before: the ticket's or the contact's.
#[must_use]
pub fn settle(guess: Option<Guess>, known: Option<&str>) -> Option<String> {
    let known = known.map(str::trim).filter(|known| !known.is_empty());
    let Some(guess) = guess else { return known.map(str::to_owned) };
    let keeps = known.is_some_and(|known| match guess.clue {
        Clue::Weak => true,
        Clue::Script => letters::share_a_script(primary(known), primary(guess.tag)),
        // `en-GB` says more than `en`, and `zh-CN` what `zh-Hans` says.
        Clue::Sure => serves(known, guess.tag) && serves(guess.tag, known),
    });
    Some(known.filter(|_| keeps).unwrap_or(guess.tag).to_owned())
}

/// Does somebody who reads `wanted` read `given`? `zh` and `zh-CN` are served by `zh-Hans`, `en` by `en-GB`,
/// `zh-TW` is not served by `zh-Hans`.
#[must_use]
pub fn serves(given: &str, wanted: &str) -> bool {
    let (given, wanted) = (given.to_ascii_lowercase(), wanted.to_ascii_lowercase());
    if primary(&given) != primary(&wanted) {
        return false;
    }
    match (chinese_form(&given), chinese_form(&wanted)) {
        (Some(given), Some(wanted)) => given == wanted,
        _ => true,
    }
}

/// What is given for the language wanted, as near as can be.
///
/// For that very tag, else what its readers read best (`zh-Hant` for `zh-TW`, `de` for `de-AT`), else another form of it (traditional for simplified), else English, else whatever there is.
#[must_use]
pub fn fitting<'g, T>(given: &'g BTreeMap<String, T>, wanted: Option<&str>) -> Option<&'g T> {
    let wanted = wanted.unwrap_or("en");
    let exact = given.iter().find(|(tag, _)| tag.eq_ignore_ascii_case(wanted));
    let read = || {
        let read = given.iter().filter(|(tag, _)| serves(tag, wanted));
        read.min_by_key(|(tag, _)| (chinese_form(&tag.to_ascii_lowercase()).is_none(), tag.len()))
    };
    let near = || {
        let same = |tag: &str| primary(tag).eq_ignore_ascii_case(primary(wanted));
        given.iter().find(|(tag, _)| same(tag))
    };
    let other = || given.get_key_value("en").or_else(|| given.iter().next());
    exact.or_else(read).or_else(near).or_else(other).map(|(_, found)| found)
}

/// A text with the frequent traditional characters made simplified ones, to be compared.
pub(super) fn simplified(text: &str) -> String {
    letters::simplified(text)
}

/// `zh-Hant-TW` → `zh`.
fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

/// Simplified or traditional, where a tag says so.
fn chinese_form(tag: &str) -> Option<&'static str> {
    let mut parts = tag.split(['-', '_']);
    if parts.next() != Some("zh") {
        return None;
    }
    parts.find_map(|part| match part {
        "hans" | "cn" | "sg" | "my" => Some("Hans"),
        "hant" | "tw" | "hk" | "mo" => Some("Hant"),
        _ => None,
    })
}

/// The words of a text in lower case: without addresses, hashes, links, numbers and names of coins, which
/// are the same in every language.
fn words(text: &str) -> Vec<String> {
    let end = text.char_indices().nth(CHARS_MAX).map_or(text.len(), |(at, _)| at);
    let text = text.get(..end).unwrap_or(text);
    let mut words = Vec::new();
    // Between Chinese characters no space is needed, so links and codes are looked for within a token as well.
    for run in text.split_whitespace().flat_map(|token| runs(token, letters::is_wide)) {
        if run.contains("://") || run.contains('@') || run.starts_with("www.") {
            continue;
        }
        for part in run.split(is_break) {
            let mut word = String::new();
            for run in runs(part, |c| c.is_ascii_alphanumeric()) {
                let code = run.chars().any(|c| c.is_ascii_digit());
                let capitals = run.chars().all(|c| c.is_ascii_uppercase());
                if code || (capitals && (2..=6).contains(&run.len())) {
                    push(&mut words, &mut word);
                } else {
                    word.push_str(run);
                }
            }
            push(&mut words, &mut word);
        }
    }
    words
}

/// Between words, besides spaces.
const fn is_break(c: char) -> bool {
    matches!(
        c,
        ',' | ';'
            | ':'
            | '!'
            | '?'
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '<'
            | '>'
            | '"'
            | '…'
            | '「'
            | '」'
            | '『'
            | '』'
            | '《'
            | '》'
            | '、'
            | '。'
    )
}

fn push(words: &mut Vec<String>, word: &mut String) {
    let taken = std::mem::take(word);
    let trimmed = taken.trim_matches(|c: char| !c.is_alphabetic());
    if trimmed.is_empty() {
        return;
    }
    words.push(trimmed.to_lowercase());
}

/// Cuts where `of` begins or ceases to hold.
fn runs(token: &str, of: impl Fn(char) -> bool) -> impl Iterator<Item = &str> {
    let mut rest = token;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = rest.find(|c| of(c) != of(first)).unwrap_or(rest.len());
        let (run, tail) = rest.split_at_checked(end)?;
        rest = tail;
        Some(run)
    })
}

#[cfg(test)]
mod tests;
