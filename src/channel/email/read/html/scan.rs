//! A linear scan of tags. It builds no tree and decides nothing about safety.

/// A tag and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag<'a> {
    /// As written; empty for a comment.
    pub(super) name: &'a str,
    /// `</x>`
    pub(super) closes: bool,
    /// Of the `<`.
    pub(super) start: usize,
    /// Behind the `>`.
    pub(super) end: usize,
}

/// An attribute and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute<'a> {
    pub(super) name_start: usize,
    pub(super) name_end: usize,
    /// Without quotes.
    pub(super) value: &'a str,
    /// Behind the value and its quote.
    pub(super) end: usize,
}

impl Tag<'_> {
    /// Has it this name (given in lower case)?
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// `<!-- … -->`
    pub(super) const fn is_comment(&self) -> bool {
        self.name.is_empty()
    }

    /// Elements that have no end tag.
    pub(super) fn is_void(&self) -> bool {
        [
            "br", "img", "hr", "meta", "link", "input", "col", "area", "base", "wbr", "source",
            "embed",
        ]
        .iter()
        .any(|name| self.is(name))
    }

    /// All attributes in order.
    pub(super) fn attributes<'h>(&self, html: &'h str) -> impl Iterator<Item = Attribute<'h>> {
        let mut at = self.start + 1 + self.name.len();
        let to = self.end.saturating_sub(1);
        std::iter::from_fn(move || {
            let found = next_attribute(html, at, to)?;
            at = found.end;
            Some(found)
        })
    }

    /// An attribute by its name in lower case.
    pub(super) fn attribute<'h>(&self, html: &'h str, wanted: &str) -> Option<Attribute<'h>> {
        self.attributes(html).find(|found| {
            let name = html.get(found.name_start..found.name_end);
            name.is_some_and(|name| name.eq_ignore_ascii_case(wanted))
        })
    }
}

fn next_attribute(html: &str, from: usize, to: usize) -> Option<Attribute<'_>> {
    let bytes = html.as_bytes();
    let skip = |at: usize, while_: fn(u8) -> bool| {
        let rest = bytes.get(at..to).unwrap_or_default();
        at + rest.iter().take_while(|byte| while_(**byte)).count()
    };
    let name_start = skip(from, |byte| {
        byte.is_ascii_whitespace() || byte == b'/' || byte == b'"' || byte == b'\''
    });
    if name_start >= to {
        return None;
    }
    let name_end = skip(name_start + 1, |byte| {
        !byte.is_ascii_whitespace() && !matches!(byte, b'=' | b'/' | b'>')
    });
    let equals = skip(name_end, |byte| byte.is_ascii_whitespace());
    if bytes.get(equals) != Some(&b'=') || equals >= to {
        return Some(Attribute { name_start, name_end, value: "", end: name_end });
    }
    let value_start = skip(equals + 1, |byte| byte.is_ascii_whitespace());
    let (value_start, value_end, end) = match bytes.get(value_start) {
        Some(b'"') => quoted(value_start, skip(value_start + 1, |byte| byte != b'"')),
        Some(b'\'') => quoted(value_start, skip(value_start + 1, |byte| byte != b'\'')),
        _ => {
            let end = skip(value_start, |byte| !byte.is_ascii_whitespace());
            (value_start, end, end)
        }
    };
    let value = html.get(value_start..value_end).unwrap_or_default();
    Some(Attribute { name_start, name_end, value, end: end.min(to) })
}

fn quoted(quote: usize, end: usize) -> (usize, usize, usize) {
    (quote + 1, end, end + 1)
}

/// Elements whose content is not HTML.
const RAW: &[&str] = &["script", "style", "title", "textarea", "xmp"];

/// All tags in order. Comments are tags without a name.
pub(super) fn tags(html: &str) -> Tags<'_> {
    Tags { html, at: 0, raw: None }
}

/// See [`tags`].
pub(super) struct Tags<'a> {
    html: &'a str,
    at: usize,
    /// Inside of an element whose content is not HTML.
    raw: Option<&'static str>,
}

impl<'a> Iterator for Tags<'a> {
    type Item = Tag<'a>;

    fn next(&mut self) -> Option<Tag<'a>> {
        if let Some(raw) = self.raw.take() {
            self.at = self.end_of_raw(raw);
        }
        loop {
            let start = self.at + self.html.get(self.at..)?.find('<')?;
            let Some(tag) = self.tag(start) else {
                self.at = start + 1;
                continue;
            };
            if !tag.closes {
                self.raw = RAW.iter().copied().find(|name| tag.is(name));
            }
            self.at = tag.end;
            return Some(tag);
        }
    }
}

impl<'a> Tags<'a> {
    /// Where `</script` or the like stands; the end of the text if it never comes.
    fn end_of_raw(&self, name: &str) -> usize {
        let rest = self.html.get(self.at..).unwrap_or_default();
        let ends = |at: &usize| {
            let word = rest.get(at + 2..at + 2 + name.len());
            word.is_some_and(|word| word.eq_ignore_ascii_case(name))
        };
        let end = rest.match_indices("</").map(|(at, _)| at).find(ends);
        self.at + end.unwrap_or(rest.len())
    }

    fn tag(&self, start: usize) -> Option<Tag<'a>> {
        let rest = self.html.get(start + 1..)?;
        if let Some(comment) = rest.strip_prefix("!--") {
            let length = comment.find("-->").map_or(comment.len(), |at| at + 3);
            return Some(Tag { name: "", closes: false, start, end: start + 4 + length });
        }
        let (closes, named) = match rest.strip_prefix('/') {
            Some(named) => (true, named),
            None => (false, rest),
        };
        let length = named.find(|c: char| {
            !(c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '!' | '?' | '['))
        });
        let name = named.get(..length.unwrap_or(named.len()))?;
        if !name.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '!' | '?')) {
            return None;
        }
        Some(Tag { name, closes, start, end: start + 1 + tag_length(rest) })
    }
}

/// Up to behind the `>` that is not within quotes. Quotes count only where a value begins.
fn tag_length(rest: &str) -> usize {
    let mut quote: Option<u8> = None;
    let mut before = 0_u8;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return at + 1,
            (None, b'"' | b'\'') if before == b'=' => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
        if !byte.is_ascii_whitespace() {
            before = byte;
        }
    }
    // A quote was never closed: the tag ends at the first `>`, or with the text.
    rest.find('>').map_or(rest.len(), |at| at + 1)
}
