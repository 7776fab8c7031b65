//! Cuts HTML so that each part fits a channel's limit: what is open at a cut is closed there, and opened again in
//! the next part.

use unicode_segmentation::UnicodeSegmentation as _;

use super::split::measure;
use crate::channel::shared::html::{tag_end, tag_name, unescaped};
use crate::model::TextLimit;

/// Elements that have no end.
const EMPTY: &[&str] = &["br", "hr", "img", "wbr"];
/// Elements that begin a line, and more than that: what a service may show for one edge of them.
const BLOCKS: &[&str] = &[
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "table",
    "tr",
    "td",
    "th",
    "div",
    "pre",
    "blockquote",
    "br",
    "hr",
];
/// Blank lines, or a bullet in a line of its own.
const EDGE: u64 = 4;

enum Token<'h> {
    Opens {
        name: String,
        raw: &'h str,
    },
    Closes {
        name: String,
    },
    Empty {
        name: String,
        raw: &'h str,
    },
    /// What people see as one character.
    Says(String),
}

/// Cuts sanitised HTML at an edge of a block or at a blank if it can, and never within what people see as one
/// character, which goes out whole however wide it is.
pub(super) fn split_html(html: &str, limit: TextLimit) -> Vec<String> {
    let tokens = tokens(html);
    let (mut parts, mut open): (Vec<String>, Vec<(&str, &str)>) = (Vec::new(), Vec::new());
    let mut part = Part::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let width = token.width(limit);
        if part.says && part.used + width > u64::from(limit.max) {
            // Back to a gap that is not too far away.
            let gap = part.gap.take().filter(|gap| gap.used * 2 > u64::from(limit.max));
            if let Some(gap) = gap {
                part.html.truncate(gap.length);
                (open, at) = (gap.open, gap.at);
            }
            parts.push(part.ended(&open));
            part = Part::begun(&open);
            continue;
        }
        match token {
            Token::Opens { name, raw } => {
                open.push((name, raw));
                part.html.push_str(raw);
            }
            Token::Closes { name } => {
                if let Some(place) = open.iter().rposition(|(one, _)| one == name) {
                    for (one, _) in open.drain(place..).rev() {
                        part.html.push_str(&format!("</{one}>"));
                    }
                }
            }
            Token::Empty { raw, .. } => part.html.push_str(raw),
            Token::Says(text) => {
                let blank = text.chars().all(char::is_whitespace);
                part.says |= !blank;
                part.html.push_str(&escaped(text));
            }
        }
        part.used += width;
        at += 1;
        if token.is_gap() {
            let (length, used) = (part.html.len(), part.used);
            part.gap = Some(Gap { at, length, used, open: open.clone() });
        }
    }
    if part.says || parts.is_empty() {
        parts.push(part.ended(&open));
    }
    parts
}

/// A part that is being made.
#[derive(Default)]
struct Part<'t> {
    html: String,
    used: u64,
    /// Something but blanks.
    says: bool,
    /// The last place at which it may be cut.
    gap: Option<Gap<'t>>,
}

/// Where everything stood at a gap.
struct Gap<'t> {
    at: usize,
    length: usize,
    used: u64,
    open: Vec<(&'t str, &'t str)>,
}

impl Part<'_> {
    fn begun(open: &[(&str, &str)]) -> Self {
        Self { html: open.iter().map(|(_, raw)| *raw).collect(), ..Self::default() }
    }

    fn ended(mut self, open: &[(&str, &str)]) -> String {
        for (name, _) in open.iter().rev() {
            self.html.push_str(&format!("</{name}>"));
        }
        self.html
    }
}

impl Token<'_> {
    fn width(&self, limit: TextLimit) -> u64 {
        match self {
            Self::Says(text) => measure(text, limit.unit),
            Self::Opens { name, .. } | Self::Closes { name } | Self::Empty { name, .. } => {
                if BLOCKS.contains(&name.as_str()) { EDGE } else { 0 }
            }
        }
    }

    fn is_gap(&self) -> bool {
        match self {
            Self::Says(text) => text.chars().all(char::is_whitespace),
            Self::Closes { name } | Self::Empty { name, .. } => BLOCKS.contains(&name.as_str()),
            Self::Opens { .. } => false,
        }
    }
}

fn tokens(html: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = html;
    let say = |tokens: &mut Vec<Token<'_>>, text: &str| {
        let text = unescaped(text);
        tokens.extend(text.graphemes(true).map(|one| Token::Says(one.to_owned())));
    };
    while let Some(at) = rest.find('<') {
        let (text, from) = rest.split_at(at);
        say(&mut tokens, text);
        let Some(end) = tag_end(from) else { return tokens };
        let (raw, after) = from.split_at(end + 1);
        let (closing, name) = tag_name(raw);
        let empty = EMPTY.contains(&name.as_str());
        tokens.push(match (closing, empty) {
            (true, _) => Token::Closes { name },
            (false, true) => Token::Empty { name, raw },
            (false, false) => Token::Opens { name, raw },
        });
        rest = after;
    }
    say(&mut tokens, rest);
    tokens
}

/// A text that can stand in HTML.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::channel::shared::html::{plain, sanitised};
    use crate::model::TextUnit;

    const fn limit(max: u32) -> TextLimit {
        TextLimit { max, unit: TextUnit::Utf16 }
    }

    #[test]
    fn what_is_open_is_closed_and_opened_again() {
        let html =
            r#"<p>one <b>two three <a href="https://a.example/?a&amp;b">four five</a></b> six</p>"#;
        let parts = split_html(html, limit(20));
        let expected = [
            "<p>one <b>two three </b></p>",
            r#"<p><b><a href="https://a.example/?a&amp;b">four five</a></b> six</p>"#,
        ];
        assert_eq!(parts, expected);
    }

    #[test]
    fn what_fits_stays_whole_and_a_wide_character_is_not_cut() {
        assert_eq!(split_html("<i>a &lt; b</i>", limit(50)), ["<i>a &lt; b</i>"]);
        let family = "👨‍👩‍👧‍👦";
        assert_eq!(split_html(&family.repeat(3), limit(12)), [family; 3]);
        assert_eq!(split_html("", limit(5)), [""]);
        assert_eq!(split_html("<p>cut <b", limit(50)), ["<p>cut </p>"]);
    }

    proptest! {
        /// Nothing is lost, and every part is whole HTML that says no more than it may.
        #[test]
        fn the_parts_say_what_the_whole_says(
            pieces in prop::collection::vec(
                prop_oneof![
                    "[a-z密码 &<]{1,12}".prop_map(|text| escaped(&text)),
                    Just("<b>".to_owned()), Just("</b>".to_owned()),
                    Just("<p>".to_owned()), Just("</p>".to_owned()),
                    Just("<br>".to_owned()), Just("<i>😀</i>".to_owned()),
                ],
                0..60,
            ),
            max in 12_u32..80,
        ) {
            let Some(html) = sanitised(&pieces.concat()) else { return Ok(()) };
            let parts = split_html(&html, limit(max));
            let said = |html: &str| -> String {
                plain(html).chars().filter(|c| !c.is_whitespace()).collect()
            };
            let together: String = parts.iter().map(|part| said(part)).collect();
            prop_assert_eq!(together, said(&html));
            for part in &parts {
                let clean = sanitised(part).unwrap_or_default();
                prop_assert_eq!(said(&clean), said(part));
                prop_assert!(measure(&plain(part), TextUnit::Utf16) <= u64::from(max), "{}", part);
            }
        }
    }
}
