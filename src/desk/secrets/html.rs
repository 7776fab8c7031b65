//! Secrets in HTML: the words are looked at as a reader sees them, and cut out of the source.

use std::ops::Range;

use super::{Masked, Scanner};

/// Tags that do not part words.
const INLINE: &[&str] = &[
    "a", "abbr", "b", "bdi", "bdo", "big", "code", "em", "font", "i", "ins", "kbd", "mark", "q",
    "s", "small", "span", "strong", "sub", "sup", "tt", "u", "var", "wbr",
];

/// Characters that HTML writes by name and that stand in and around secrets.
const ENTITIES: &[(&str, &str)] = &[
    ("nbsp", "\u{a0}"),
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("shy", ""),
    ("zwnj", ""),
    ("zwj", ""),
];
const ENTITY_MAX: usize = 12;

/// What tags within a line do: a secret may stand in one word that they cut, or in words that they hold together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inline {
    Joins,
    Parts,
}

/// What a stretch of the source shows.
struct Piece {
    /// Where it begins in what is shown.
    shown: usize,
    source: Range<usize>,
    /// Shown letter by letter as it stands; else all of it or nothing.
    literal: bool,
}

struct Page {
    /// A tag within a line was met.
    inline: bool,
    shown: String,
    pieces: Vec<Piece>,
    tags: Vec<Range<usize>>,
}

impl Page {
    fn of(html: &str, inline: Inline) -> Self {
        let mut page =
            Self { inline: false, shown: String::new(), pieces: Vec::new(), tags: Vec::new() };
        let mut at = 0;
        while let Some(rest) = html.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with('<') {
                let end = at + rest.find('>').map_or(rest.len(), |end| end + 1);
                if !INLINE.contains(&name(html.get(at..end).unwrap_or_default()).as_str()) {
                    page.shown.push('\n');
                } else {
                    page.inline = true;
                    if inline == Inline::Parts {
                        page.shown.push(' ');
                    }
                }
                page.tags.push(at..end);
                at = end;
            } else if let Some((text, length)) = entity(rest) {
                page.add(&text, at..at + length, false);
                at += length;
            } else {
                let tail = rest.get(1..).and_then(|tail| tail.find(['<', '&']));
                let first = rest.chars().next().map_or(1, char::len_utf8);
                let length = tail.map_or(rest.len(), |end| end + 1).max(first);
                let length = if rest.is_char_boundary(1) {
                    length
                } else {
                    rest.find(['<', '&']).unwrap_or(rest.len())
                };
                page.add(rest.get(..length).unwrap_or_default(), at..at + length, true);
                at += length;
            }
        }
        page
    }

    fn add(&mut self, text: &str, source: Range<usize>, literal: bool) {
        self.pieces.push(Piece { shown: self.shown.len(), source, literal });
        self.shown.push_str(text);
    }
}

/// The name of a tag, in lower case.
fn name(tag: &str) -> String {
    let name = tag.trim_start_matches(['<', '/']);
    name.chars().take_while(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// A character by its name or number, and how many bytes of source that took.
fn entity(rest: &str) -> Option<(String, usize)> {
    let inner = rest.strip_prefix('&')?;
    let near = inner.bytes().take(ENTITY_MAX).position(|byte| byte == b';')?;
    let name = inner.get(..near)?;
    let length = near + 2;
    if let Some((_, text)) = ENTITIES.iter().find(|(known, _)| *known == name) {
        return Some(((*text).to_owned(), length));
    }
    let number = name.strip_prefix('#')?;
    let hex = number.strip_prefix(['x', 'X']);
    let value = hex.map_or_else(|| number.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok())?;
    Some((char::from_u32(value)?.to_string(), length))
}

/// `None`: nothing is found. Both ways are tried, unless there is no tag that makes a difference.
pub(super) fn mask(scanner: &Scanner, html: &str) -> Option<Masked> {
    let page = Page::of(html, Inline::Joins);
    let masked = mask_page(scanner, html, &page);
    if masked.is_some() || !page.inline {
        return masked;
    }
    mask_page(scanner, html, &Page::of(html, Inline::Parts))
}

fn mask_page(scanner: &Scanner, html: &str, page: &Page) -> Option<Masked> {
    let finds = scanner.scan(&page.shown);
    let mut cuts: Vec<(Range<usize>, String)> = Vec::new();
    let mut sorts: std::collections::BTreeSet<_> = finds.iter().map(|find| find.sort).collect();
    let mut pieces = page.pieces.iter().peekable();
    let mut pending: Vec<&Piece> = Vec::new();
    for find in &finds {
        let end_of = |piece: &Piece| piece.shown + piece.source.len();
        pending.retain(|piece| end_of(piece) > find.span.start);
        while let Some(piece) = pieces.next_if(|piece| piece.shown < find.span.end) {
            if !piece.literal || end_of(piece) > find.span.start {
                pending.push(piece);
            }
        }
        let mut mask = find.sort.mask();
        for piece in &pending {
            let source = if piece.literal {
                let from = find.span.start.saturating_sub(piece.shown).min(piece.source.len());
                let to = find.span.end.saturating_sub(piece.shown).min(piece.source.len());
                piece.source.start + from..piece.source.start + to
            } else if piece.shown >= find.span.start && piece.shown < find.span.end {
                piece.source.clone()
            } else {
                continue;
            };
            if !source.is_empty() {
                cuts.push((source, std::mem::take(&mut mask).to_owned()));
            }
        }
    }
    // An attribute is not seen, and may hold it all the same: the tag stays, its attributes go.
    for tag in &page.tags {
        let source = html.get(tag.clone()).unwrap_or_default();
        let found = scanner.scan(source);
        if !found.is_empty() {
            sorts.extend(found.iter().map(|find| find.sort));
            let slash = if source.starts_with("</") { "/" } else { "" };
            let name = name(source);
            let left = if scanner.scan(&name).is_empty() {
                format!("<{slash}{name}>")
            } else {
                found.first().map_or("", |find| find.sort.mask()).to_owned()
            };
            cuts.push((tag.clone(), left));
        }
    }
    if cuts.is_empty() {
        return None;
    }
    cuts.sort_by_key(|(span, _)| span.start);
    let mut text = String::with_capacity(html.len());
    let mut at = 0;
    for (span, with) in cuts {
        text.push_str(html.get(at..span.start).unwrap_or_default());
        text.push_str(&with);
        at = span.end.max(at);
    }
    text.push_str(html.get(at..).unwrap_or_default());
    Some(Masked { text, sorts })
}
