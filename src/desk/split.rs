//! Cuts a text so that each part fits a channel's limit.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation as _};

use crate::model::{TextLimit, TextUnit};

/// What stands before a part takes no more than this: `(999/999) `.
const NUMBER_UNITS_MAX: u32 = 10;

/// Cuts at a blank line, a line or a word if it can, and never within what people see as one character.
///
/// Such a character that is wider than the limit (a letter with a hundred accents) is cut all the same; a
/// single `char` that is wider still goes out whole.
#[must_use]
pub fn split(text: &str, limit: TextLimit) -> Vec<String> {
    let parts = pieces(text, limit);
    if limit.unit != TextUnit::NumberedSegments || parts.len() < 2 {
        return parts;
    }
    let parts =
        pieces(text, TextLimit { max: limit.max.saturating_sub(NUMBER_UNITS_MAX), ..limit });
    let count = parts.len();
    let numbered = |(at, part): (usize, String)| format!("({}/{count}) {part}", at + 1);
    parts.into_iter().enumerate().map(numbered).collect()
}

fn pieces(text: &str, limit: TextLimit) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = cut(rest, limit) {
        let (head, tail) = rest.split_at(at);
        parts.push(head.trim_end().to_owned());
        rest = tail.trim_start();
    }
    parts.push(rest.to_owned());
    parts.retain(|part| !part.is_empty() || text.is_empty());
    parts
}

/// How much of a limit a text takes.
pub(super) fn measure(text: &str, unit: TextUnit) -> u64 {
    text.chars().map(|c| width(c, unit)).sum()
}

const fn width(c: char, unit: TextUnit) -> u64 {
    match unit {
        TextUnit::Bytes => c.len_utf8() as u64,
        TextUnit::Chars => 1,
        TextUnit::Utf16 | TextUnit::Segments | TextUnit::NumberedSegments => c.len_utf16() as u64,
    }
}

/// The byte at which to cut: never zero, never the end. `None`: all of it fits.
fn cut(text: &str, limit: TextLimit) -> Option<usize> {
    let mut used = 0;
    let over = text.char_indices().find(|(_, c)| {
        used += width(*c, limit.unit);
        used > u64::from(limit.max)
    });
    let (hard, first) = over?;
    if hard == 0 {
        return Some(first.len_utf8()).filter(|at| *at < text.len());
    }
    let head = text.get(..hard)?;
    let soft = ["\n\n", "\n", " "].iter().filter_map(|gap| head.rfind(gap));
    if let Some(soft) = soft.filter(|at| hard / 2 < *at).find(|at| is_between(text, *at)) {
        return Some(soft);
    }
    if is_between(text, hard) {
        return Some(hard);
    }
    // The beginning of the character that the limit falls into.
    let start = head.grapheme_indices(true).next_back().map_or(0, |(at, _)| at);
    Some(if start == 0 { hard } else { start })
}

/// Does one character end and another begin here?
fn is_between(text: &str, at: usize) -> bool {
    GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UNITS: [TextUnit; 3] = [TextUnit::Bytes, TextUnit::Chars, TextUnit::Utf16];

    fn kept(text: &str) -> String {
        text.chars().filter(|c| !c.is_whitespace()).collect()
    }

    #[test]
    fn cuts_between_paragraphs_if_it_can() {
        let limit = TextLimit { max: 12, unit: TextUnit::Chars };
        assert_eq!(split("one two\n\nthree", limit), ["one two", "three"]);
        assert_eq!(split("one two three four", limit), ["one two", "three four"]);
        assert_eq!(split("short", limit), ["short"]);
        assert_eq!(split("", limit), [""]);
        assert_eq!(split("exactly 12 c", limit), ["exactly 12 c"]);
        assert_eq!(split("                    x", limit), ["x"]);
    }

    #[test]
    fn what_people_see_as_one_character_stays_whole() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        let limit = TextLimit { max: 10, unit: TextUnit::Utf16 };
        assert_eq!(split(&family.repeat(3), limit), [family; 3]);
        let flags = "\u{1f1e8}\u{1f1f3}".repeat(3);
        let limit = TextLimit { max: 3, unit: TextUnit::Chars };
        assert_eq!(split(&flags, limit), ["\u{1f1e8}\u{1f1f3}"; 3]);
        let accents = "e\u{301}".repeat(4);
        assert_eq!(split(&accents, limit), ["e\u{301}"; 4]);
        // One that no part can hold is cut, and nothing of it is lost.
        let tower = format!("a{}", "\u{301}".repeat(50));
        let parts = split(&tower, limit);
        assert_eq!((parts.len(), parts.concat()), (17, tower));
        // A character wider than the limit goes out whole.
        let limit = TextLimit { max: 1, unit: TextUnit::Utf16 };
        assert_eq!(split("\u{1f600}\u{1f600}", limit), ["\u{1f600}", "\u{1f600}"]);
    }

    #[test]
    fn a_long_text_takes_no_longer_than_its_length() {
        let text = "word ".repeat(400_000);
        let began = std::time::Instant::now();
        let parts = split(&text, TextLimit { max: 160, unit: TextUnit::Utf16 });
        assert_eq!(parts.len(), 12_500);
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }

    proptest! {
        #[test]
        fn parts_fit_and_lose_no_character(text in "\\PC{0,200}", max in 4_u32..20) {
            for unit in UNITS {
                let parts = split(&text, TextLimit { max, unit });
                prop_assert!(parts.iter().all(|part| measure(part, unit) <= u64::from(max)));
                prop_assert_eq!(kept(&parts.concat()), kept(&text));
            }
        }

        #[test]
        fn no_character_is_cut_that_fits(
            text in "(\u{1f468}\u{200d}\u{1f469}|\u{1f1e8}\u{1f1f3}|e\u{301}|\u{c548}|[a-z \n]){0,60}",
            max in 25_u32..60,
        ) {
            for unit in UNITS {
                let parts = split(&text, TextLimit { max, unit });
                let joined: Vec<&str> = parts.iter().flat_map(|part| part.graphemes(true)).collect();
                let whole: Vec<&str> = text.graphemes(true).collect();
                let seen = |all: Vec<&str>| {
                    all.into_iter().filter(|one| !one.trim().is_empty()).map(str::to_owned).collect::<Vec<_>>()
                };
                prop_assert_eq!(seen(joined), seen(whole));
            }
        }
    }
}
