//! Many expressions on many short texts: each is tried only where a word stands that it cannot do without.
//!
//! Most texts hold none of these words, and then one pass over them is all. An expression with a Unicode word boundary
//! costs a hundred times as much on Chinese as one without, so most of the work would go into saying no.

use aho_corasick::AhoCorasick;
use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Letters of a class that are told one by one.
const CLASS_MAX: usize = 32;

/// Expressions, ready to be looked for together.
pub(super) struct Sieve {
    expressions: Vec<Regex>,
    /// Finds the words; `None`: there are none.
    automaton: Option<AhoCorasick>,
    /// Whose word each one is, by its place in `expressions`.
    of: Vec<usize>,
    /// Those that no word stands for.
    always: Vec<usize>,
}

/// Which expressions may fit a text.
pub(super) struct Candidates<'a> {
    sieve: &'a Sieve,
    text: &'a str,
    may: Vec<bool>,
}

impl Sieve {
    /// Of expressions that are right, and made for texts in lower case.
    pub(super) fn new(patterns: &[String]) -> Result<Self, String> {
        let (mut words, mut of, mut always) = (Vec::new(), Vec::new(), Vec::new());
        let mut expressions = Vec::with_capacity(patterns.len());
        for (place, pattern) in patterns.iter().enumerate() {
            expressions.push(Regex::new(pattern).map_err(|error| error.to_string())?);
            let hir = regex_syntax::parse(pattern).map_err(|error| error.to_string())?;
            match needed(&hir) {
                Some(needed) => {
                    of.extend(needed.iter().map(|_| place));
                    words.extend(needed);
                }
                None => always.push(place),
            }
        }
        let automaton = if words.is_empty() {
            None
        } else {
            Some(AhoCorasick::new(words).map_err(|error| error.to_string())?)
        };
        Ok(Self { expressions, automaton, of, always })
    }

    /// Looks for the words. Linear in the text.
    pub(super) fn candidates<'a>(&'a self, text: &'a str) -> Candidates<'a> {
        let mut may = vec![false; self.expressions.len()];
        let found =
            self.automaton.iter().flat_map(|automaton| automaton.find_overlapping_iter(text));
        let found = found.filter_map(|hit| self.of.get(hit.pattern().as_usize()));
        for place in found.chain(&self.always) {
            if let Some(may) = may.get_mut(*place) {
                *may = true;
            }
        }
        Candidates { sieve: self, text, may }
    }
}

impl Candidates<'_> {
    /// Does one of the expressions at these places fit?
    pub(super) fn fits(&self, places: std::ops::Range<usize>) -> bool {
        let expressions = self.sieve.expressions.iter().zip(&self.may);
        let mut among = expressions.skip(places.start).take(places.len());
        among.any(|(expression, may)| *may && expression.is_match(self.text))
    }
}

/// Words of which every text that fits holds one; `None`: that cannot be said.
pub(super) fn needed(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(vec![literal.0.to_vec()]),
        HirKind::Class(class) => letters(class),
        HirKind::Capture(capture) => needed(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => needed(&repetition.sub),
        HirKind::Alternation(either) => {
            let all: Option<Vec<_>> = either.iter().map(needed).collect();
            Some(all?.into_iter().flatten().collect())
        }
        // The longer its shortest word is, the rarer they are.
        HirKind::Concat(parts) => parts.iter().filter_map(needed).max_by_key(|words| {
            let shortest = words.iter().map(Vec::len).min().unwrap_or(0);
            (shortest, std::cmp::Reverse(words.len()))
        }),
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

fn letters(class: &Class) -> Option<Vec<Vec<u8>>> {
    let Class::Unicode(class) = class else { return None };
    let count: usize = class.iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum();
    let letters = class.iter().flat_map(|range| range.start()..=range.end());
    (count <= CLASS_MAX).then(|| letters.map(|letter| letter.to_string().into_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(pattern: &str) -> Option<Vec<String>> {
        let needed = needed(&regex_syntax::parse(pattern).unwrap())?;
        Some(needed.into_iter().map(|word| String::from_utf8(word).unwrap()).collect())
    }

    #[test]
    fn what_every_fitting_text_holds() {
        for (pattern, expected) in [
            (r"\bsent\b.{0,40}\bby mistake\b", Some(vec!["by mistake"])),
            (r"\b(?:stole|taking) (?:all )?(?:my|our)\b", Some(vec!["stole", "taking"])),
            (r"unauthori[sz]ed", Some(vec!["unauthori"])),
            (r"(?:转|打).{0,3}错了?.{0,3}(?:地址|主网)", Some(vec!["地址", "主网"])),
            (r"(?:填|输)了?", Some(vec!["填", "输"])),
            (r"(?:hacked)?", None),
            (r"\w+ ?\d*", None),
            (r"(?:a|\w)b*", None),
        ] {
            let expected = expected.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(words(pattern), expected, "{pattern}");
        }
    }

    proptest! {
        /// What is left out never fits.
        #[test]
        fn a_sieve_says_what_its_expressions_say(
            text in "(my|the|stole|wallet|转|错|地址|sent|by mistake|b| ){0,8}"
        ) {
            let patterns = [
                r"\b(?:stole|sent) (?:all )?(?:of )?(?:my|the)\b",
                r"\bsent\b.{0,9}\bby mistake\b",
                r"(?:转|打).{0,3}错了?.{0,3}(?:地址|主网)",
                r"\w+b",
            ]
            .map(str::to_owned);
            let sieve = Sieve::new(&patterns).unwrap();
            let found = sieve.candidates(&text);
            for (place, pattern) in patterns.iter().enumerate() {
                let plainly = Regex::new(pattern).unwrap().is_match(&text);
                prop_assert_eq!(found.fits(place..place + 1), plainly, "{}", pattern);
            }
        }
    }
}
