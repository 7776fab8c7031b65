//! A text as a reader sees it: what cannot be seen is gone, letters and digits in another dress are plain.
//!
//! Somebody who pastes from a page, or who wants to get past a filter, brings characters without width, bold
//! mathematical letters, digits of full width. Each character of the plain text knows where it stood.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;

/// What becomes of characters that have no width: they may stand within a word, or between two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unseen {
    Gone,
    Blank,
}

pub(super) struct Plain {
    pub(super) text: String,
    /// For each byte of `text` that begins a character: where that one stood.
    places: Vec<(usize, Range<usize>)>,
}

impl Plain {
    /// `None`: the text is plain already.
    pub(super) fn of(text: &str, unseen: Unseen) -> Option<Self> {
        if text.is_ascii() || !text.chars().any(|c| is_unseen(c) || dressed(c).is_some()) {
            return None;
        }
        let mut plain = Self { text: String::with_capacity(text.len()), places: Vec::new() };
        for (at, c) in text.char_indices() {
            let shown = match (is_unseen(c), unseen) {
                (true, Unseen::Gone) => continue,
                (true, Unseen::Blank) => ' ',
                (false, _) => dressed(c).unwrap_or(c),
            };
            plain.places.push((plain.text.len(), at..at + c.len_utf8()));
            plain.text.push(shown);
        }
        Some(plain)
    }

    /// Where a stretch of the plain text stood.
    pub(super) fn place(&self, span: &Range<usize>) -> Range<usize> {
        let first = self.places.partition_point(|(at, _)| *at < span.start);
        let end = self.places.partition_point(|(at, _)| *at < span.end);
        let start = self.places.get(first).map_or(0, |(_, place)| place.start);
        let last = end.checked_sub(1).and_then(|last| self.places.get(last));
        start..last.map_or(start, |(_, place)| place.end)
    }

    pub(super) fn has_unseen(text: &str) -> bool {
        !text.is_ascii() && text.chars().any(is_unseen)
    }
}

/// Takes no room on the screen.
const fn is_unseen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
}

/// The plain ASCII character that this one is another form of.
fn dressed(c: char) -> Option<char> {
    if !matches!(c, '\u{ff01}'..='\u{ff5e}' | '\u{1d400}'..='\u{1d7ff}' | '\u{2070}'..='\u{209c}') {
        return None;
    }
    let mut plain = std::iter::once(c).nfkd();
    let first = plain.next().filter(char::is_ascii_graphic)?;
    plain.next().is_none().then_some(first)
}
