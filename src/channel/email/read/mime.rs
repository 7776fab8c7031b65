//! The tree of parts of a mail.
//!
//! Cut by us and not by `mail-parser`, since its tree has no limits, takes `--ab` for the boundary `a`,
//! and decodes text before anybody could doubt the charset. Everything here is linear in the size of the
//! mail times the depth, which has a limit.

use std::borrow::Cow;

use mail_parser::decoders::base64::base64_decode;

use super::headers::{Headers, line_end};
use super::params::Value;
use super::words::hex;

/// Multiparts within each other. What is deeper stays one opaque part.
const DEPTH_MAX: usize = 32;

/// Parts of one mail. What comes after them is left out.
const PARTS_MAX: usize = 500;

/// A part, with the parts in it.
#[derive(Debug)]
pub(super) struct Part<'a> {
    pub(super) headers: Headers<'a>,
    /// `Content-Type`, made good where it was missing or broken.
    pub(super) kind: Value,
    pub(super) disposition: Value,
    /// As it came, still encoded.
    pub(super) raw: &'a [u8],
    /// Only a multipart has any.
    pub(super) children: Vec<Part<'a>>,
}

/// Counts parts and notes what was left out.
#[derive(Debug, Default)]
pub(super) struct Budget {
    parts: usize,
    /// Something was left out.
    pub(super) truncated: bool,
}

impl<'a> Part<'a> {
    /// Reads a whole mail.
    pub(super) fn parse(bytes: &'a [u8], budget: &mut Budget) -> Self {
        Self::at(Headers::split(bytes), DEPTH_MAX, Default::Text, budget)
    }

    fn at(
        (headers, raw): (Headers<'a>, &'a [u8]),
        depth: usize,
        default: Default,
        budget: &mut Budget,
    ) -> Self {
        budget.parts += 1;
        budget.truncated |= headers.truncated;
        let disposition =
            headers.first("content-disposition").map(Value::parse).unwrap_or_default();
        let kind = kind(&headers, default);
        let mut part = Self { headers, kind, disposition, raw, children: Vec::new() };
        if part.is("multipart/") {
            part.descend(depth, budget);
        }
        part
    }

    fn descend(&mut self, depth: usize, budget: &mut Budget) {
        if depth == 0 {
            budget.truncated = true;
            self.kind.value = "application/octet-stream".to_owned();
            return;
        }
        let default = if self.is("multipart/digest") { Default::Message } else { Default::Text };
        let boundary = self.kind.param("boundary").map(|text| text.as_bytes().to_vec());
        let mut pieces = Pieces::new(self.raw, boundary);
        for piece in &mut pieces {
            if budget.parts >= PARTS_MAX {
                budget.truncated = true;
                break;
            }
            let piece = Headers::split_part(piece);
            self.children.push(Self::at(piece, depth - 1, default, budget));
        }
        if self.children.is_empty() {
            // It says that it has parts, and has none: then it is text.
            self.kind.value = "text/plain".to_owned();
        }
    }

    /// Is the type this one (`text/html`), or of this sort (`text/`)?
    pub(super) fn is(&self, kind: &str) -> bool {
        if kind.ends_with('/') {
            self.kind.value.starts_with(kind)
        } else {
            self.kind.value == kind
        }
    }

    /// A parameter of the type, in lower case.
    pub(super) fn param(&self, name: &str) -> Option<String> {
        self.kind.param(name).map(|value| value.trim().to_ascii_lowercase())
    }

    /// The body with its transfer encoding undone.
    pub(super) fn decoded(&self) -> Cow<'a, [u8]> {
        let encoding = self.headers.keyword("content-transfer-encoding").unwrap_or_default();
        match encoding.split_whitespace().next().unwrap_or_default().trim_matches(['"', ';']) {
            "base64" | "base-64" | "b" => Cow::Owned(from_base64(self.raw)),
            "quoted-printable" | "quotedprintable" | "q" => {
                Cow::Owned(from_quoted_printable(self.raw))
            }
            "x-uuencode" | "uuencode" | "x-uue" => Cow::Owned(from_uuencode(self.raw)),
            _ => Cow::Borrowed(self.raw),
        }
    }

    /// The name of the file, as it was written.
    pub(super) fn file_name(&self) -> Option<&str> {
        let names = [
            self.disposition.param("filename"),
            self.kind.param("name"),
            self.disposition.param("name"),
            self.kind.param("filename"),
        ];
        names.into_iter().flatten().find(|name| !name.trim().is_empty())
    }

    /// Does it say that it is a file and not part of the text?
    pub(super) fn is_attachment(&self) -> bool {
        self.disposition.value.starts_with("attachment")
    }

    /// `Content-ID` without brackets.
    pub(super) fn content_id(&self) -> Option<String> {
        let value = String::from_utf8_lossy(self.headers.first("content-id")?).into_owned();
        let id: String = value.chars().filter(|c| c.is_ascii_graphic()).collect();
        let id = id.trim_matches(['<', '>']);
        (!id.is_empty() && id.len() <= 300).then(|| id.to_owned())
    }

    /// This part and all below it, top first.
    pub(super) fn walk(&self) -> Vec<&Self> {
        let mut all = vec![self];
        for child in &self.children {
            all.extend(child.walk());
        }
        all
    }
}

/// What a part without a type is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Default {
    Text,
    Message,
}

fn kind(headers: &Headers<'_>, default: Default) -> Value {
    let mut kind = headers.first("content-type").map(Value::parse).unwrap_or_default();
    let given = kind.value.clone();
    let well_formed = given.split_once('/').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty());
    let corrected = match given.as_str() {
        "" if default == Default::Message => "message/rfc822",
        "" | "text" | "plain" | "text/" => "text/plain",
        "html" | "text/htm" | "text/xhtml" | "application/xhtml+xml" => "text/html",
        "multipart" | "mixed" | "multipart/" => "multipart/mixed",
        "pdf" | "application" => "application/octet-stream",
        _ if well_formed => return kind,
        _ => "application/octet-stream",
    };
    kind.value = corrected.to_owned();
    kind
}

/// The pieces of a multipart between its boundaries.
struct Pieces<'a> {
    rest: &'a [u8],
    boundary: Vec<u8>,
}

impl<'a> Pieces<'a> {
    /// Goes to behind the first boundary. Without a boundary, or with a wrong one, the first line that
    /// looks like one is taken.
    fn new(body: &'a [u8], boundary: Option<Vec<u8>>) -> Self {
        let boundary = boundary.filter(|text| !text.is_empty());
        for candidate in [boundary, seen_boundary(body)].into_iter().flatten() {
            if let Some((_, rest, Mark::Next)) = next_mark(body, &candidate) {
                return Self { rest, boundary: candidate };
            }
        }
        Self { rest: &[], boundary: Vec::new() }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let (piece, rest) = match next_mark(self.rest, &self.boundary) {
            Some((piece, rest, Mark::Next)) => (piece, rest),
            Some((piece, rest, Mark::Last)) => (piece, reopened(rest, &self.boundary)),
            // Never closed: cut on the way, or written by a broken program.
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        Some(piece)
    }
}

/// Programs that use one boundary for two levels close it twice: what follows the first end is not lost.
fn reopened<'a>(rest: &'a [u8], boundary: &[u8]) -> &'a [u8] {
    match next_mark(rest, boundary) {
        Some((_, rest, Mark::Next)) => rest,
        Some((_, _, Mark::Last)) | None => &[],
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Next,
    Last,
}

/// What stands before the next boundary line, what behind it, and which sort it is.
fn next_mark<'a>(body: &'a [u8], boundary: &[u8]) -> Option<(&'a [u8], &'a [u8], Mark)> {
    let mut at = 0;
    loop {
        let line_and_rest = body.get(at..)?;
        if line_and_rest.is_empty() {
            return None;
        }
        let length = line_end(line_and_rest);
        let (line, rest) = line_and_rest.split_at(length);
        if let Some(mark) = mark(line, boundary) {
            let before = body.get(..at).unwrap_or_default();
            // The line end before a boundary belongs to the boundary.
            let before = before.strip_suffix(b"\n").unwrap_or(before);
            let before = before.strip_suffix(b"\r").unwrap_or(before);
            return Some((before, rest, mark));
        }
        at += length;
    }
}

fn mark(line: &[u8], boundary: &[u8]) -> Option<Mark> {
    let after = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    match after.trim_ascii_end() {
        b"" => Some(Mark::Next),
        b"--" => Some(Mark::Last),
        _ => None,
    }
}

/// The first line that could be a boundary: `--` and at least four more characters.
fn seen_boundary(body: &[u8]) -> Option<Vec<u8>> {
    let mut rest = body.get(..64 * 1024).unwrap_or(body);
    while !rest.is_empty() {
        let (line, after) = rest.split_at(line_end(rest));
        let word = line.strip_prefix(b"--").map(<[u8]>::trim_ascii_end).unwrap_or_default();
        let header_follows =
            after.get(..8).is_some_and(|next| next.eq_ignore_ascii_case(b"content-"));
        if word.len() >= 4 && word.iter().all(u8::is_ascii_graphic) && header_follows {
            return Some(word.to_vec());
        }
        rest = after;
    }
    None
}

/// Base64 with anything else in between left out. What a mailing list or a scanner wrote below it, in
/// plain, is no part of it.
fn from_base64(raw: &[u8]) -> Vec<u8> {
    if let Some(bytes) = base64_decode(raw) {
        return bytes;
    }
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mut letters: Vec<u8> = Vec::with_capacity(raw.len());
    for line in raw.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        let rule = matches!(line, [first @ (b'_' | b'-' | b'*' | b'#'), rest @ ..]
            if rest.len() > 3 && rest.iter().all(|byte| byte == first));
        let ended = rule || (letters.ends_with(b"=") && !line.iter().all(is_letter));
        if !letters.is_empty() && ended {
            break;
        }
        letters.extend(line.iter().copied().filter(is_letter));
    }
    base64_decode(&letters).unwrap_or_default()
}

/// Quoted-printable; a `=` that means nothing stays as it is.
fn from_quoted_printable(raw: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(raw.len());
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        let ended = line.ends_with(b"\n");
        let content = line.trim_ascii_end();
        let (content, soft) = match content.strip_suffix(b"=") {
            Some(content) => (content, true),
            None => (content, false),
        };
        quoted_line(content, &mut bytes);
        if ended && !soft {
            bytes.push(b'\n');
        }
    }
    bytes
}

fn quoted_line(line: &[u8], bytes: &mut Vec<u8>) {
    let mut rest = line;
    loop {
        match rest {
            [b'=', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            [byte, tail @ ..] => {
                bytes.push(*byte);
                rest = tail;
            }
            [] => return,
        }
    }
}

/// The old encoding of Unix mail programs.
pub(super) fn from_uuencode(raw: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in raw.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii_end();
        if line.starts_with(b"begin ") {
            continue;
        }
        if line == b"end" {
            break;
        }
        let Some((first, data)) = line.split_first() else { continue };
        let length = usize::from(first.wrapping_sub(32) & 63);
        let mut decoded = Vec::with_capacity(data.len());
        for group in data.chunks(4) {
            let digit =
                |at: usize| u32::from(group.get(at).map_or(0, |byte| byte.wrapping_sub(32) & 63));
            let word = digit(0) << 18 | digit(1) << 12 | digit(2) << 6 | digit(3);
            decoded.extend(word.to_be_bytes().into_iter().skip(1));
        }
        decoded.truncate(length);
        bytes.extend(decoded);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn parse(bytes: &[u8]) -> (Part<'_>, Budget) {
        let mut budget = Budget::default();
        let part = Part::parse(bytes, &mut budget);
        (part, budget)
    }

    fn kinds(bytes: &[u8]) -> Vec<String> {
        parse(bytes).0.walk().into_iter().map(|part| part.kind.value.clone()).collect()
    }

    #[test]
    fn a_boundary_that_begins_another_one_is_told_apart() {
        let mail = b"Content-Type: multipart/mixed; boundary=a\n\npreamble\n--a\nContent-Type: multipart/alternative; boundary=ab\n\n--ab\n\none\n--ab\nContent-Type: text/html\n\ntwo\n--ab--\n--a\n\nthree\n--a--\nepilogue";
        assert_eq!(
            kinds(mail),
            ["multipart/mixed", "multipart/alternative", "text/plain", "text/html", "text/plain",]
        );
        let (part, _) = parse(mail);
        let bodies: Vec<&[u8]> = part.walk().iter().skip(2).map(|part| part.raw).collect();
        assert_eq!(bodies, [b"one".as_slice(), b"two", b"three"]);
    }

    #[test]
    fn multiparts_with_broken_boundaries_keep_their_parts() {
        let wrong = b"Content-Type: multipart/mixed; boundary=x\n\n--real\nContent-Type: text/html\n\nhi\n--real--";
        assert_eq!(kinds(wrong), ["multipart/mixed", "text/html"]);
        let missing = b"Content-Type: multipart/mixed\n\n--real\nContent-Type: text/html\n\nhi\n";
        assert_eq!(kinds(missing), ["multipart/mixed", "text/html"]);
        let reopened = b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/html\n\nhi\n--x--\n\n--x\nContent-Type: image/png\n\np\n--x--";
        assert_eq!(kinds(reopened), ["multipart/mixed", "text/html", "image/png"]);
        let none = b"Content-Type: multipart/mixed; boundary=x\n\njust text";
        assert_eq!(kinds(none), ["text/plain"]);
        let bare = b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nno header\n--x\nno header either\n--x--";
        let (part, _) = parse(bare);
        let bodies: Vec<&[u8]> = part.children.iter().map(|part| part.raw).collect();
        assert_eq!(bodies, [b"no header".as_slice(), b"no header either"]);
    }

    #[test]
    fn encodings_are_undone_even_where_broken() {
        assert_eq!(from_base64(b"aGVs\r\nbG8="), b"hello");
        assert_eq!(from_base64(b"aG!Vs*bG8"), b"hello");
        assert_eq!(from_base64(b"aGVsbG8=\r\n___\r\na list footer\r\n"), b"hello");
        assert_eq!(from_base64(b"aGVsbG8g\r\n_____\r\na list footer\r\n"), b"hello ");
        assert_eq!(from_base64(b"aGVsbG8=\r\nIHlvdQ==\r\n"), b"hello you");
        assert_eq!(from_quoted_printable(b"a=3Db =\r\nc=\n=zz \t\r\nd"), b"a=b c=zz\nd");
        assert_eq!(from_uuencode(b"begin 644 a\n#0V%T\n`\nend\n"), b"Cat");
    }

    // COMPLAINTS L18; FAULTS 78, 79
    #[test]
    fn bombs_are_cheap() {
        let mut deep = String::from("Content-Type: multipart/mixed; boundary=b0\n\n");
        for n in 1..10_000 {
            deep += &format!("--b{}\nContent-Type: multipart/mixed; boundary=b{n}\n\n", n - 1);
        }
        let many = format!(
            "Content-Type: multipart/mixed; boundary=b\n\n{}",
            "--b\nContent-Type: text/plain\n\nx\n".repeat(100_000)
        );
        for bomb in [deep, many] {
            let begun = Instant::now();
            let (part, budget) = parse(bomb.as_bytes());
            assert!(budget.truncated);
            assert!(part.walk().len() <= PARTS_MAX);
            assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        }
    }
}
