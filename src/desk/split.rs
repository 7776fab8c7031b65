//! Cuts a text so that each part fits a channel's limit.

use crate::model::{TextLimit, TextUnit};

/// Cuts at a blank line, a line or a word if it can, and never within a character.
///
/// A single character that is wider than the limit still goes out whole.
#[must_use]
pub fn split(text: &str, limit: TextLimit) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while size(rest, limit.unit) > u64::from(limit.max) {
        let (head, tail) = rest.split_at(cut(rest, limit));
        parts.push(head.trim_end().to_owned());
        rest = tail.trim_start();
    }
    parts.push(rest.to_owned());
    parts.retain(|part| !part.is_empty() || text.is_empty());
    parts
}

fn size(text: &str, unit: TextUnit) -> u64 {
    text.chars().map(|c| width(c, unit)).sum()
}

const fn width(c: char, unit: TextUnit) -> u64 {
    match unit {
        TextUnit::Bytes => c.len_utf8() as u64,
        TextUnit::Chars => 1,
        TextUnit::Utf16 => c.len_utf16() as u64,
    }
}

/// The byte at which to cut: always a char boundary, never zero.
fn cut(text: &str, limit: TextLimit) -> usize {
    let mut used = 0;
    let mut hard = text.len();
    for (at, c) in text.char_indices() {
        used += width(c, limit.unit);
        if used > u64::from(limit.max) {
            hard = if at == 0 { c.len_utf8() } else { at };
            break;
        }
    }
    let head = text.get(..hard).unwrap_or(text);
    let soft = head.rfind("\n\n").or_else(|| head.rfind('\n')).or_else(|| head.rfind(' '));
    match soft {
        Some(at) if hard / 2 < at => at,
        Some(_) | None => hard,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_between_paragraphs_if_it_can() {
        let limit = TextLimit { max: 12, unit: TextUnit::Chars };
        assert_eq!(split("one two\n\nthree", limit), ["one two", "three"]);
        assert_eq!(split("short", limit), ["short"]);
        assert_eq!(split("", limit), [""]);
    }

    proptest! {
        #[test]
        fn parts_fit_and_lose_no_character(text in "\\PC{0,200}", max in 4_u32..20) {
            for unit in [TextUnit::Bytes, TextUnit::Chars, TextUnit::Utf16] {
                let parts = split(&text, TextLimit { max, unit });
                prop_assert!(parts.iter().all(|part| size(part, unit) <= u64::from(max)));
                let kept = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
                prop_assert_eq!(kept(&parts.concat()), kept(&text));
            }
        }
    }
}
