//! Words and expressions of all rules, looked for in one pass over a text.
//!
//! Expressions are of a linear-time engine. An expression that cannot do without certain words is tried only
//! where one of these was found, so that a thousand rules cost little more than ten.

use aho_corasick::AhoCorasick;
use regex::{Regex, RegexBuilder};
use unicode_normalization::UnicodeNormalization as _;

use crate::desk::sieve::needed;

/// More of a text is not looked at.
const CHARS_MAX: usize = 20_000;
/// A compiled expression may take so many bytes.
const EXPRESSION_BYTES_MAX: usize = 1 << 20;
/// Fewer bytes are found in every text.
const LITERAL_BYTES_MIN: usize = 3;
/// More words than this make a poor filter.
const LITERALS_MAX: usize = 32;

/// A text in the form in which words are compared: lower case, compatible characters made one, all white
/// space one space, and nothing that cannot be seen.
#[must_use]
pub(in crate::desk) fn fold(text: &str) -> String {
    let end = text.char_indices().nth(CHARS_MAX).map_or(text.len(), |(at, _)| at);
    let text = text.get(..end).unwrap_or(text);
    let mut folded = String::with_capacity(text.len());
    if text.is_ascii() {
        // The same, without looking up each letter.
        for c in text.chars().map(|c| c.to_ascii_lowercase()) {
            if !c.is_ascii_whitespace() && c != '\u{b}' {
                folded.push(c);
            } else if !folded.ends_with(' ') {
                folded.push(' ');
            }
        }
        return folded;
    }
    if text.chars().all(|c| stays(c).is_some()) {
        // Nothing in it is composed of several characters, so each can be looked at alone.
        for c in text.chars().filter_map(stays) {
            if !c.is_whitespace() {
                folded.push(c);
            } else if !folded.ends_with(' ') {
                folded.push(' ');
            }
        }
        return folded;
    }
    for c in text.nfkc().flat_map(char::to_lowercase) {
        let unseen = matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' | '\u{AD}');
        if c.is_whitespace() {
            if !folded.ends_with(' ') {
                folded.push(' ');
            }
        } else if !unseen {
            folded.push(if c == '\u{2019}' { '\'' } else { c });
        }
    }
    folded
}

/// What becomes of a character of plain English or Chinese, whatever stands around it; `None`: that has to be looked
/// up.
const fn stays(c: char) -> Option<char> {
    Some(match c {
        '\0'..='\u{7f}' => c.to_ascii_lowercase(),
        '\u{4e00}'..='\u{9fff}' | '、' | '。' | '「' | '」' | '《' | '》' | '“' | '”' => {
            c
        }
        '\u{2019}' => '\'',
        '\u{3000}' => ' ',
        '！' => '!',
        '（' => '(',
        '）' => ')',
        '，' => ',',
        '：' => ':',
        '；' => ';',
        '？' => '?',
        _ => return None,
    })
}

/// Collects the words and expressions of all rules.
#[derive(Default)]
pub(in crate::desk) struct Collector {
    patterns: Vec<Pattern>,
    expressions: Vec<Expression>,
}

/// What is looked for, and whose it is.
struct Pattern {
    text: String,
    of: Of,
    /// Must a word begin, and end, where it does?
    bounds: (bool, bool),
}

#[derive(Clone, Copy)]
enum Of {
    Word(usize),
    /// Where it stands, this expression may fit.
    Expression(usize),
}

struct Expression {
    regex: Regex,
    always: bool,
}

/// A word in the whole of words.
#[derive(Debug, Clone, Copy)]
pub(in crate::desk) struct WordId(usize);

/// An expression in the whole of expressions.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExpressionId(usize);

impl Collector {
    /// A word or a phrase: whole words, in scripts that have them; `*` at its end stands for any ending.
    pub(in crate::desk) fn word(&mut self, given: &str) -> Result<WordId, String> {
        let folded = fold(given.trim());
        let (text, open) = match folded.strip_suffix('*') {
            Some(text) => (text.to_owned(), true),
            None => (folded, false),
        };
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        let bounds = (
            text.chars().next().is_some_and(is_of_word),
            !open && text.chars().next_back().is_some_and(is_of_word),
        );
        let id = self.patterns.iter().filter(|known| matches!(known.of, Of::Word(_))).count();
        self.patterns.push(Pattern { text, of: Of::Word(id), bounds });
        Ok(WordId(id))
    }

    /// A regular expression; letters of either case fit.
    pub(super) fn expression(&mut self, given: &str) -> Result<ExpressionId, String> {
        let regex = RegexBuilder::new(given)
            .case_insensitive(true)
            .size_limit(EXPRESSION_BYTES_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "is too large".to_owned(),
                // The last line names the fault; those before it draw where it is.
                other @ (regex::Error::Syntax(_) | _) => {
                    other.to_string().lines().last().unwrap_or_default().to_owned()
                }
            })?;
        let id = self.expressions.len();
        let needed = needed_words(given);
        let always = needed.is_none();
        self.expressions.push(Expression { regex, always });
        for text in needed.into_iter().flatten() {
            self.patterns.push(Pattern { text, of: Of::Expression(id), bounds: (false, false) });
        }
        Ok(ExpressionId(id))
    }

    pub(in crate::desk) fn finish(self) -> Result<Matcher, String> {
        let words = self.patterns.iter().filter(|known| matches!(known.of, Of::Word(_))).count();
        let texts = self.patterns.iter().map(|pattern| &pattern.text);
        let automaton = if self.patterns.is_empty() {
            None
        } else {
            Some(AhoCorasick::new(texts).map_err(|error| error.to_string())?)
        };
        let Self { patterns, expressions } = self;
        Ok(Matcher { automaton, patterns, expressions, words })
    }
}

/// What every text that fits must hold, one of them, as texts are folded; `None`: that cannot be said.
fn needed_words(expression: &str) -> Option<Vec<String>> {
    let mut texts = Vec::new();
    for word in needed(&regex_syntax::parse(expression).ok()?)? {
        let text = fold(std::str::from_utf8(&word).ok()?);
        // Letters whose cases are not one to one might fit in another form than the one looked for.
        let plain = text.chars().all(|c| c.is_ascii() || c.to_uppercase().eq([c]));
        if text.len() < LITERAL_BYTES_MIN || !plain {
            return None;
        }
        texts.push(text);
    }
    (!texts.is_empty() && texts.len() <= LITERALS_MAX).then_some(texts)
}

/// All words and expressions, ready.
#[derive(Default)]
pub(in crate::desk) struct Matcher {
    automaton: Option<AhoCorasick>,
    patterns: Vec<Pattern>,
    expressions: Vec<Expression>,
    words: usize,
}

/// What of them was found.
#[derive(Debug, Clone, Default)]
pub(in crate::desk) struct Hits {
    words: Vec<bool>,
    expressions: Vec<bool>,
}

impl Hits {
    pub(in crate::desk) fn word(&self, id: WordId) -> bool {
        self.words.get(id.0).copied().unwrap_or(false)
    }

    pub(super) fn expression(&self, id: ExpressionId) -> bool {
        self.expressions.get(id.0).copied().unwrap_or(false)
    }
}

impl Matcher {
    /// Linear in the text.
    pub(in crate::desk) fn look(&self, folded: &str) -> Hits {
        let mut words = vec![false; self.words];
        let mut tried: Vec<bool> = self.expressions.iter().map(|one| one.always).collect();
        let found =
            self.automaton.iter().flat_map(|automaton| automaton.find_overlapping_iter(folded));
        for hit in found {
            let Some(pattern) = self.patterns.get(hit.pattern().as_usize()) else { continue };
            match pattern.of {
                Of::Word(id) => {
                    if let Some(word) = words.get_mut(id)
                        && !*word
                    {
                        *word = stands_alone(folded, (hit.start(), hit.end()), pattern.bounds);
                    }
                }
                Of::Expression(id) => {
                    if let Some(tried) = tried.get_mut(id) {
                        *tried = true;
                    }
                }
            }
        }
        let expressions = self.expressions.iter().zip(tried);
        let expressions = expressions.map(|(one, tried)| tried && one.regex.is_match(folded));
        Hits { words, expressions: expressions.collect() }
    }
}

/// Letters and digits of scripts that put spaces between words.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() && u32::from(c) < 0x2E80 && !('\u{0E00}'..='\u{0E7F}').contains(&c)
}

fn stands_alone(text: &str, (start, end): (usize, usize), bounds: (bool, bool)) -> bool {
    let before = text.get(..start).and_then(|before| before.chars().next_back());
    let after = text.get(end..).and_then(|after| after.chars().next());
    let cuts = |bound: bool, beside: Option<char>| bound && beside.is_some_and(is_of_word);
    !cuts(bounds.0, before) && !cuts(bounds.1, after)
}
