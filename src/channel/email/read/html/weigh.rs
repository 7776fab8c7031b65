//! Would the parsers behind us bear this HTML? One linear look at the tags.
//!
//! The parsers are quadratic in several things that no mail program writes and every attacker can: elements
//! within each other, attributes of one tag, what stands in a table outside of its cells (each such thing
//! is moved in front of the table), and repeated `<html>` and `<body>`.

use std::collections::HashMap;

use super::scan::{Tag, tags};

/// Elements within each other.
const DEPTH_MAX: usize = 500;

/// Attributes of one tag.
const ATTRIBUTES_MAX: usize = 200;

/// Things in tables that belong into no table.
const STRAYS_MAX: usize = 500;

/// `<html>` and `<body>` together. A mail that holds several mails has one of each for each.
const ROOTS_MAX: usize = 200;

/// Elements whose effect goes on until their own end tag, whatever else is closed.
const FORMATTING: &[&str] = &[
    "a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u",
];

/// Elements that the next of their sort closes: they need no end tag and do not nest.
const CLOSE_THEMSELVES: &[&str] = &[
    "p", "li", "td", "th", "tr", "option", "dt", "dd", "tbody", "thead", "tfoot", "caption",
    "colgroup", "html", "head", "body",
];

/// What a table consists of.
const TABLE_PARTS: &[&str] =
    &["tr", "td", "th", "tbody", "thead", "tfoot", "caption", "colgroup", "col"];

/// Nothing in it is costlier than it is long.
pub(super) fn is_bearable(html: &str) -> bool {
    let mut weight = Weight::default();
    let mut behind = 0;
    for tag in tags(html) {
        let between = html.get(behind..tag.start).unwrap_or_default();
        weight.take_text(between);
        behind = tag.end;
        if !tag.is_comment() {
            weight.take(html, &tag);
        }
        if weight.is_too_much() {
            return false;
        }
    }
    true
}

#[derive(Default)]
struct Weight {
    /// Open elements that are no formatting, in lower case.
    open: Vec<String>,
    /// How many of each name are open.
    counts: HashMap<String, usize>,
    formatting: usize,
    /// For each open table: are we in a cell?
    tables: Vec<bool>,
    strays: usize,
    roots: usize,
    attributes: usize,
}

impl Weight {
    const fn is_too_much(&self) -> bool {
        self.open.len() + self.formatting > DEPTH_MAX
            || self.strays > STRAYS_MAX
            || self.roots > ROOTS_MAX
            || self.attributes > ATTRIBUTES_MAX
    }

    fn take_text(&mut self, text: &str) {
        let outside = self.tables.last() == Some(&false);
        if outside && !text.trim_ascii().is_empty() {
            self.strays += 1;
        }
    }

    fn take(&mut self, html: &str, tag: &Tag<'_>) {
        let name = tag.name.to_ascii_lowercase();
        self.take_table(&name, tag.closes);
        if tag.closes {
            self.close(&name);
            return;
        }
        self.attributes = tag.attributes(html).take(ATTRIBUTES_MAX + 1).count();
        self.roots += usize::from(matches!(name.as_str(), "html" | "body"));
        if tag.is_void()
            || name.starts_with(['!', '?'])
            || CLOSE_THEMSELVES.contains(&name.as_str())
        {
            return;
        }
        *self.counts.entry(name.clone()).or_default() += 1;
        if FORMATTING.contains(&name.as_str()) {
            self.formatting += 1;
        } else {
            self.open.push(name);
        }
    }

    fn take_table(&mut self, name: &str, closes: bool) {
        match (name, closes) {
            ("table", false) => self.tables.push(false),
            ("table", true) => drop(self.tables.pop()),
            _ if TABLE_PARTS.contains(&name) => {
                if let Some(in_cell) = self.tables.last_mut() {
                    *in_cell = !closes && matches!(name, "td" | "th" | "caption");
                }
            }
            // These two make an element even where they close nothing.
            _ if closes && !matches!(name, "p" | "br") => {}
            _ if self.tables.last() == Some(&false) => self.strays += 1,
            _ => {}
        }
    }

    /// An end tag closes the nearest element of its name and all in it; without one it means nothing.
    fn close(&mut self, name: &str) {
        let Some(count) = self.counts.get_mut(name).filter(|count| **count > 0) else { return };
        if FORMATTING.contains(&name) {
            *count -= 1;
            self.formatting -= 1;
            return;
        }
        while let Some(last) = self.open.pop() {
            if let Some(count) = self.counts.get_mut(&last) {
                *count -= 1;
            }
            if last == name {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_bearable;

    #[test]
    fn what_mail_programs_write_is_borne() {
        let cells = "<tr><td><p>x<br><b>y</b></td><td>z</td></tr>\n".repeat(3000);
        let html = format!(
            "<!doctype html><html><head><style>p{{}}</style></head><body><table>\n<tbody>{cells}</tbody></table></body></html>"
        );
        assert!(is_bearable(&html));
        assert!(is_bearable(&"<div>x</div><p>y<li>z<br><img src=a>".repeat(3000)));
        assert!(is_bearable(&format!(
            "{}{}",
            "<table><tr><td>".repeat(100),
            "</td></tr></table>".repeat(100)
        )));
        assert!(is_bearable("a < b > c <3 <!-- <div> -->"));
    }

    // COMPLAINTS L17
    #[test]
    fn what_makes_the_parsers_quadratic_is_not_borne() {
        let attributes: String = (0..300).map(|n| format!("a{n} ")).collect();
        let roots: String = (0..300).map(|n| format!("<body a{n}>")).collect();
        let bold: String = (0..600).map(|n| format!("<p><b id={n}>x</p>")).collect();
        for bomb in [
            "<div>".repeat(600),
            "<div></x>".repeat(600),
            bold,
            format!("<a {attributes}>"),
            format!("<table>{}", "<br>".repeat(600)),
            format!("<table>{}", "x<tr>".repeat(600)),
            roots,
        ] {
            assert!(!is_bearable(&bomb), "{:?}", bomb.get(..60));
        }
    }
}
