//! Formatting: the service counts it in UTF-16 units beside the text, agents write and read HTML.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::channel::shared::html::{sanitised, tag_end, tag_name, unescaped};
use crate::channel::shared::look;

/// More marks than this are not looked at.
const MARKS_MAX: usize = 500;

/// A mark with its place in bytes.
struct Mark<'v> {
    start: usize,
    end: usize,
    opens: String,
    closes: &'static str,
    value: &'v Value,
}

/// The text with its marks as HTML that is safe to show; nothing, if there is no formatting in it.
pub(super) fn html(text: &str, marks: &[&Value]) -> Option<String> {
    let mut marks: Vec<Mark<'_>> = places(text, marks).collect();
    marks.retain(|mark| !mark.closes.is_empty());
    if marks.is_empty() {
        return None;
    }
    marks.sort_by_key(|mark| (mark.start, std::cmp::Reverse(mark.end)));
    let edges = marks.iter().flat_map(|mark| [mark.start, mark.end]);
    let edges: BTreeSet<usize> = edges.chain([0, text.len()]).collect();
    let edges: Vec<usize> = edges.into_iter().collect();
    let (mut out, mut open): (String, Vec<usize>) = (String::new(), Vec::new());
    for (start, end) in edges.iter().zip(edges.iter().skip(1)) {
        let covers = |mark: &Mark<'_>| mark.start <= *start && mark.end >= *end;
        let wanted = marks.iter().enumerate().filter(|(_, mark)| covers(mark));
        let wanted: Vec<usize> = wanted.map(|(number, _)| number).collect();
        let kept = open.iter().zip(&wanted).take_while(|(one, other)| one == other).count();
        for number in open.drain(kept..).rev() {
            out.push_str(marks.get(number).map_or("", |mark| mark.closes));
        }
        for number in wanted.iter().skip(kept) {
            out.push_str(marks.get(*number).map_or("", |mark| &mark.opens));
        }
        open = wanted;
        out.push_str(&escaped(text.get(*start..*end).unwrap_or_default()));
    }
    for number in open.drain(..).rev() {
        out.push_str(marks.get(number).map_or("", |mark| mark.closes));
    }
    sanitised(&out)
}

/// Where links lead whose words do not say it.
pub(super) fn links(text: &str, marks: &[&Value]) -> Vec<String> {
    let links = places(text, marks).filter_map(|mark| {
        let url = look::text(mark.value, "/url")?;
        let words = text.get(mark.start..mark.end).unwrap_or_default().trim();
        (words != url).then(|| format!("{words}: {url}"))
    });
    links.collect()
}

fn places<'v>(text: &str, marks: &[&'v Value]) -> impl Iterator<Item = Mark<'v>> {
    marks.iter().take(MARKS_MAX).filter_map(|value| {
        let number = |pointer| value.pointer(pointer).and_then(Value::as_u64);
        let number = |pointer| number(pointer).and_then(|number| usize::try_from(number).ok());
        let (offset, length) = (number("/offset")?, number("/length")?);
        let start = at(text, offset, false);
        let end = at(text, offset.saturating_add(length), true);
        let (opens, closes) = tags(value);
        (start < end).then_some(Mark { start, end, opens, closes, value })
    })
}

/// The byte at which so many UTF-16 units of a text end; never within a character.
fn at(text: &str, units: usize, up: bool) -> usize {
    let mut counted = 0;
    for (byte, c) in text.char_indices() {
        if counted >= units {
            return byte;
        }
        counted += c.len_utf16();
        if counted > units && !up {
            return byte;
        }
    }
    text.len()
}

fn tags(mark: &Value) -> (String, &'static str) {
    let (opens, closes) = match look::text(mark, "/type").unwrap_or_default() {
        "bold" => ("<b>", "</b>"),
        "italic" => ("<i>", "</i>"),
        "underline" => ("<u>", "</u>"),
        "strikethrough" => ("<s>", "</s>"),
        "spoiler" => ("<span>", "</span>"),
        "code" => ("<code>", "</code>"),
        "pre" => ("<pre>", "</pre>"),
        "blockquote" | "expandable_blockquote" => ("<blockquote>", "</blockquote>"),
        "text_link" => {
            let url = escaped(look::text(mark, "/url").unwrap_or_default());
            return (format!("<a href=\"{url}\">"), "</a>");
        }
        _ => ("", ""),
    };
    (opens.to_owned(), closes)
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\n', "<br>")
}

/// A text, and its formatting as the service takes it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Formatted {
    pub(super) text: String,
    pub(super) entities: Vec<Value>,
    units: usize,
    /// Marks that are not yet closed: element, mark, where its text began.
    open: Vec<(String, Value, Option<usize>)>,
    /// Line breaks that the next text brings with it.
    breaks: usize,
    /// Within `pre` blanks count.
    pre: usize,
}

/// Reads HTML that was sanitised before. What the service has no formatting for is text.
pub(super) fn formatted(html: &str) -> Formatted {
    let mut out = Formatted::default();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let (text, from) = rest.split_at(at);
        out.say(&unescaped(text));
        let Some(end) = tag_end(from) else {
            rest = "";
            break;
        };
        out.tag(from.get(1..end).unwrap_or_default());
        rest = from.get(end + 1..).unwrap_or_default();
    }
    out.say(&unescaped(rest));
    while let Some((name, ..)) = out.open.last() {
        let name = name.clone();
        out.close(&name);
    }
    out.text.truncate(out.text.trim_end().len());
    let units = out.text.encode_utf16().count();
    out.entities.retain_mut(|entity| {
        let number = |field| entity.get(field).and_then(Value::as_u64).unwrap_or_default();
        let (start, length) = (number("offset"), number("length"));
        let length = length.min((units as u64).saturating_sub(start));
        if let Some(field) = entity.get_mut("length") {
            *field = json!(length);
        }
        length > 0
    });
    out
}

impl Formatted {
    /// A text without formatting.
    pub(super) fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    fn tag(&mut self, tag: &str) {
        let (closing, name) = tag_name(tag);
        match name.as_str() {
            "br" => self.breaks += 1,
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "table" => {
                self.breaks = self.breaks.max(2);
            }
            "div" | "tr" => self.breaks = self.breaks.max(1),
            "li" => {
                self.breaks = self.breaks.max(1);
                if !closing {
                    self.say("• ");
                }
            }
            _ => {}
        }
        let mark = match name.as_str() {
            "b" | "strong" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => json!({ "type": "bold" }),
            "i" | "em" => json!({ "type": "italic" }),
            "u" | "ins" => json!({ "type": "underline" }),
            "s" | "strike" | "del" => json!({ "type": "strikethrough" }),
            "code" => json!({ "type": "code" }),
            "pre" => json!({ "type": "pre" }),
            "blockquote" => json!({ "type": "blockquote" }),
            "a" => match href(tag).filter(|_| !closing) {
                Some(url) => json!({ "type": "text_link", "url": url }),
                None => json!({ "type": "nothing" }),
            },
            _ => return,
        };
        if matches!(name.as_str(), "pre" | "blockquote") {
            self.breaks = self.breaks.max(1);
        }
        if closing {
            self.close(&name);
        } else {
            self.pre += usize::from(name == "pre");
            self.open.push((name, mark, None));
        }
    }

    fn close(&mut self, name: &str) {
        let Some(at) = self.open.iter().rposition(|(open, ..)| open == name) else { return };
        let (name, mut mark, start) = self.open.remove(at);
        self.pre = self.pre.saturating_sub(usize::from(name == "pre"));
        let known = mark.get("type").is_some_and(|kind| kind != "nothing");
        // The service takes no marks within code.
        let within = self.open.iter().any(|(open, ..)| matches!(open.as_str(), "pre" | "code"));
        if let Some(start) = start.filter(|start| known && !within && self.units > *start) {
            if let Some(fields) = mark.as_object_mut() {
                fields.insert("offset".to_owned(), json!(start));
                fields.insert("length".to_owned(), json!(self.units - start));
            }
            self.entities.push(mark);
        }
    }

    fn say(&mut self, text: &str) {
        let mut said = String::new();
        if self.pre > 0 {
            said.push_str(text);
        } else {
            let at_line_start =
                self.text.is_empty() || self.breaks > 0 || self.text.ends_with(['\n', ' ']);
            let mut blank = at_line_start;
            for c in text.chars() {
                match c {
                    ' ' | '\n' | '\t' | '\r' if blank => {}
                    ' ' | '\n' | '\t' | '\r' => {
                        blank = true;
                        said.push(' ');
                    }
                    c => {
                        blank = false;
                        said.push(c);
                    }
                }
            }
        }
        if said.is_empty() || (self.text.is_empty() && said.trim().is_empty()) {
            return;
        }
        let breaks = std::mem::take(&mut self.breaks);
        if !self.text.is_empty() && breaks > 0 {
            self.text.truncate(self.text.trim_end_matches(' ').len());
            self.text.push_str(&"\n".repeat(breaks.min(2)));
        }
        self.units = self.text.encode_utf16().count();
        for (_, _, start) in &mut self.open {
            start.get_or_insert(self.units);
        }
        self.text.push_str(&said);
        self.units += said.encode_utf16().count();
    }
}

fn href(tag: &str) -> Option<String> {
    let (_, rest) = tag.split_once("href=\"")?;
    let url = unescaped(rest.split('"').next()?);
    let fits =
        ["https://", "http://", "mailto:", "tel:"].iter().any(|scheme| url.starts_with(scheme));
    fits.then_some(url)
}
