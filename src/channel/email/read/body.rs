//! Which parts of a mail are its text, and which are files.

use bytes::Bytes;

use super::calendar;
use super::charset;
use super::html;
use super::mime::{Budget, Part};
use super::name;
use super::signed;
use super::text::{self, DelSp};
use super::tnef;
use super::uu;
use super::words;
use crate::model::{Media, MediaSource};

/// Text of one mail; the rest is left out.
pub(super) const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// Longest text that may be a mere «see the HTML».
const EMPTY_WORDS_BYTES_MAX: usize = 300;

/// Mails within a mail whose words are shown.
const WRAPPED_MAX: usize = 10;

/// Signed mails within each other.
pub(super) const SIGNED_DEPTH_MAX: usize = 3;

/// Different texts of one alternative.
const TEXTS_MAX: usize = 10;

/// What a mail holds, before anything is cut or made safe.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) segments: Vec<Segment>,
    pub(super) media: Vec<Media>,
    /// Something of a signed mail was left out.
    pub(super) truncated: bool,
    /// How many signed mails what is looked at stands in.
    depth: usize,
}

/// A stretch of the mail's text, in one or both forms.
#[derive(Debug, Default, Clone)]
pub(super) struct Segment {
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
}

impl Body {
    /// Sorts the parts of a mail.
    pub(super) fn of(root: &Part<'_>) -> Self {
        let mut body = Self::default();
        body.take(root);
        if !body.segments.iter().any(Segment::says_something) {
            body.text_of_file(root);
            body.text_of_calendar(root);
            body.text_of_mails(root);
        }
        body
    }

    /// The same without what is only attached.
    pub(super) fn own(root: &Part<'_>) -> Self {
        let mut body = Self::default();
        body.take(root);
        body
    }

    fn take(&mut self, part: &Part<'_>) {
        if part.is("multipart/alternative") {
            self.take_alternative(part);
        } else if part.children.is_empty() {
            self.take_leaf(part);
        } else {
            for child in &part.children {
                self.take(child);
            }
        }
    }

    /// The same said in several ways: the text, the last HTML, and every file.
    fn take_alternative(&mut self, part: &Part<'_>) {
        let mut texts = Texts::default();
        let mut html: Option<String> = None;
        for child in part.children.iter().filter(|child| !is_for_a_device(child)) {
            let mut one = Self { depth: self.depth, ..Self::default() };
            one.take(child);
            html = one.html().or(html);
            texts.add(one.plain_text(), child.is("text/plain"));
            self.media.append(&mut one.media);
            self.truncated |= one.truncated;
        }
        let text = match &html {
            Some(html) => texts.first().filter(|text| !is_empty_word(text, html)),
            None => texts.all(),
        };
        self.segments.push(Segment { text, html });
    }

    fn take_leaf(&mut self, part: &Part<'_>) {
        let first = self.segments.is_empty();
        let beside = part.is_attachment() || (part.file_name().is_some() && !first);
        let kind = part.kind.value.as_str();
        match kind {
            "text/plain" if !beside => self.take_plain(part),
            "text/html" if !beside => {
                let html = charset::decode_html(part.kind.param("charset"), &part.decoded());
                let segment = if html::has_markup(&html) {
                    Segment { text: None, html: Some(html) }
                } else {
                    Segment { text: Some(html), html: None }
                };
                self.segments.push(segment);
            }
            "text/enriched" | "text/richtext" if !beside => {
                let text = html::stripped(&plain(part));
                self.segments.push(Segment { text: Some(text), html: None });
            }
            _ if !beside && part.file_name().is_none() && is_words(kind) => self.take_plain(part),
            "application/ms-tnef" | "application/vnd.ms-tnef" => self.take_tnef(part),
            _ if is_winmail(part) => self.take_tnef(part),
            _ if signed::is_container(part) => self.take_signed(part),
            _ => self.media.push(media(part, self.media.len())),
        }
    }

    /// Text, unless it is HTML under a wrong label; files that were written into it are taken out.
    fn take_plain(&mut self, part: &Part<'_>) {
        let text = plain(part);
        if html::is_page(&text) {
            self.segments.push(Segment { text: None, html: Some(text) });
            return;
        }
        let Some(found) = uu::extracted(&text) else {
            self.segments.push(Segment { text: Some(text), html: None });
            return;
        };
        self.segments.push(Segment { text: Some(found.text), html: None });
        for (name, bytes) in found.files {
            self.media.push(file(&name, bytes, None));
        }
    }

    /// Outlook's own container: what is in it counts, not the container.
    fn take_tnef(&mut self, part: &Part<'_>) {
        let Some(inside) = tnef::read(&part.decoded()) else {
            self.media.push(media(part, self.media.len()));
            return;
        };
        let silent = !self.segments.iter().any(Segment::says_something);
        if silent && (inside.text.is_some() || inside.html.is_some()) {
            self.segments.push(Segment { text: inside.text, html: inside.html });
        }
        for inner in inside.files {
            self.media.push(file(&inner.name, inner.bytes, inner.content_id));
        }
    }

    /// What was signed counts, not the container. One that cannot be opened is a file.
    fn take_signed(&mut self, part: &Part<'_>) {
        let inside = (self.depth < SIGNED_DEPTH_MAX).then(|| signed::content(&part.decoded()));
        let Some(inside) = inside.flatten() else {
            self.media.push(media(part, self.media.len()));
            return;
        };
        self.depth += 1;
        let mut budget = Budget::default();
        self.take(&Part::parse(&inside, &mut budget));
        self.truncated |= budget.truncated;
        self.depth -= 1;
    }

    /// A mail that is nothing but a text file: the file is kept, and its text is shown too.
    fn text_of_file(&mut self, root: &Part<'_>) {
        if root.children.is_empty() && root.is("text/plain") {
            self.segments.push(Segment { text: Some(plain(root)), html: None });
        }
    }

    /// A mail that is nothing but an invitation: what, when and where.
    fn text_of_calendar(&mut self, root: &Part<'_>) {
        let parts = root.walk();
        let calendar =
            parts.iter().find(|part| part.is("text/calendar") || part.is("application/ics"));
        if let Some(text) = calendar.and_then(|part| calendar::summary(&plain(part))) {
            self.segments.push(Segment { text: Some(text), html: None });
        }
    }

    /// A mail that only wraps others: each one's subject and words. A report keeps to its own words.
    fn text_of_mails(&mut self, root: &Part<'_>) {
        if self.segments.iter().any(Segment::says_something) || root.is("multipart/report") {
            return;
        }
        let parts = root.walk();
        for part in parts.iter().filter(|part| part.is("message/rfc822")).take(WRAPPED_MAX) {
            let bytes = part.decoded();
            let inner = Part::parse(&bytes, &mut Budget::default());
            let subject = inner.headers.first("subject").map(words::decode).unwrap_or_default();
            let title = format!("[{}]", text::one_line(&subject));
            self.segments.push(Segment { text: Some(title), html: None });
            let mut body = Self::default();
            body.take(&inner);
            self.segments.append(&mut body.segments);
        }
    }

    /// All HTML, with plain segments between made into HTML. `None` if nobody wrote any.
    pub(super) fn html(&self) -> Option<String> {
        self.segments.iter().any(|segment| segment.html.is_some()).then(|| {
            let pieces = self.segments.iter().map(|segment| match (&segment.html, &segment.text) {
                (Some(html), _) => html.clone(),
                (None, Some(text)) => html::from_text(text),
                (None, None) => String::new(),
            });
            pieces.collect()
        })
    }

    /// The text of those segments that have any in plain.
    fn plain_text(&self) -> Option<String> {
        let texts: Vec<&str> =
            self.segments.iter().filter_map(|segment| segment.text.as_deref()).collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    }
}

impl Segment {
    fn says_something(&self) -> bool {
        let text = self.text.as_deref().is_some_and(|text| !text.trim().is_empty());
        text || self.html.as_deref().is_some_and(|html| !html.trim().is_empty())
    }
}

/// The plain texts of an alternative.
#[derive(Default)]
struct Texts {
    /// With whether the part itself is plain text.
    found: Vec<(String, bool)>,
}

impl Texts {
    fn add(&mut self, text: Option<String>, plain: bool) {
        self.found.extend(text.filter(|text| !text.trim().is_empty()).map(|text| (text, plain)));
    }

    fn first(self) -> Option<String> {
        self.found.into_iter().next().map(|(text, _)| text)
    }

    /// Some programs call several different texts alternatives: then all of them. What is there in
    /// another form (enriched) only counts where there is no plain one.
    fn all(self) -> Option<String> {
        let any_plain = self.found.iter().any(|(_, plain)| *plain);
        let mut all: Vec<String> = Vec::new();
        for (text, plain) in self.found.into_iter().take(TEXTS_MAX) {
            let known = all.iter().any(|known| known.contains(text.trim()));
            if !known && (plain || all.is_empty() && !any_plain) {
                all.push(text);
            }
        }
        (!all.is_empty()).then(|| all.join("\n\n"))
    }
}

/// A form for one sort of device, which says nothing new.
fn is_for_a_device(part: &Part<'_>) -> bool {
    ["text/x-amp-html", "text/watch-html"].iter().any(|kind| part.is(kind))
        && part.file_name().is_none()
}

/// Text of an uncommon sort that people read: Markdown and its like. Data and programs are files.
fn is_words(kind: &str) -> bool {
    let data = [
        "calendar",
        "vcard",
        "x-vcard",
        "directory",
        "rtf",
        "css",
        "javascript",
        "csv",
        "xml",
        "x-amp-html",
        "watch-html",
        "rfc822-headers",
        "rfc822-header",
        "html",
        "plain",
    ];
    kind.strip_prefix("text/").is_some_and(|sort| !data.contains(&sort))
}

/// «Your program cannot show HTML»: nothing that the customer wrote.
fn is_empty_word(text: &str, html: &str) -> bool {
    text.len() <= EMPTY_WORDS_BYTES_MAX
        && text.to_ascii_lowercase().contains("html")
        && html::to_text(html).trim().len() > 2 * text.trim().len()
}

/// A file out of a container.
fn file(name: &str, bytes: Vec<u8>, content_id: Option<String>) -> Media {
    let mime = mime_of(name);
    let source = MediaSource::Inline(Bytes::from(bytes));
    Media { name: name::sanitised(name), mime, inline: false, content_id, source }
}

/// The text of a part, flowed lines joined.
pub(super) fn plain(part: &Part<'_>) -> String {
    let decoded = part.decoded();
    // Four bytes a character is the most that any charset takes.
    let kept = decoded.get(..4 * TEXT_BYTES_MAX).unwrap_or(&decoded);
    let decoded = charset::decode(part.kind.param("charset"), kept);
    if part.param("format").as_deref() != Some("flowed") {
        return decoded;
    }
    let delsp = if part.param("delsp").as_deref() == Some("yes") { DelSp::Yes } else { DelSp::No };
    text::unflow(&decoded, delsp)
}

fn is_winmail(part: &Part<'_>) -> bool {
    part.file_name().is_some_and(|name| name.eq_ignore_ascii_case("winmail.dat"))
}

/// A file. `index` makes the name of a nameless one stable.
fn media(part: &Part<'_>, index: usize) -> Media {
    let name = part.file_name().map_or_else(|| made_up_name(part, index), name::sanitised);
    let mut mime = part.kind.value.clone();
    if mime.len() > 127 || !mime.bytes().all(|b| b.is_ascii_graphic()) {
        mime = "application/octet-stream".to_owned();
    }
    let source = MediaSource::Inline(Bytes::from(part.decoded().into_owned()));
    Media { name, mime, inline: false, content_id: part.content_id(), source }
}

/// A mail within the mail is called after its subject; everything else as it is described, or after
/// its type and place.
fn made_up_name(part: &Part<'_>, index: usize) -> String {
    let kind = part.kind.value.as_str();
    let ending = name::ending(kind);
    if kind == "message/rfc822" || kind == "message/global" {
        let inside = part.decoded();
        let (headers, _) = super::headers::Headers::split(&inside);
        let subject = headers.first("subject").map(words::decode).unwrap_or_default();
        let subject = subject.replace(['/', '\\'], "_");
        let subject = text::cut(&subject, 120).trim();
        if !subject.is_empty() {
            return name::sanitised(&format!("{subject}{ending}"));
        }
    }
    if let Some(name) = described_name(part, ending) {
        return name;
    }
    let stem = match kind.split('/').next() {
        Some("message") if ending == ".eml" => "message",
        Some("image") => "image",
        Some("audio") => "audio",
        Some("video") => "video",
        Some("text") => "text",
        Some("message") => "report",
        _ if ending == ".p7s" || ending == ".asc" => "signature",
        _ => "file",
    };
    format!("{stem}-{}{ending}", index + 1)
}

/// `Content-Description: Delivery report`, or the id of a picture as Outlook makes them: `<image001.jpg@…>`.
fn described_name(part: &Part<'_>, ending: &str) -> Option<String> {
    let described = part.headers.first("content-description").map(words::decode);
    let described = described.unwrap_or_default().replace(['/', '\\'], "_");
    let described = text::cut(&described, 120).trim();
    if described.chars().any(char::is_alphanumeric) {
        let whole = has_ending(described);
        return Some(name::sanitised(&format!("{described}{}", if whole { "" } else { ending })));
    }
    let id = part.content_id()?;
    let (local, _) = id.split_once('@')?;
    let same_sort = mime_of(local).split('/').next() == part.kind.value.split('/').next();
    (same_sort && has_ending(local)).then(|| name::sanitised(local))
}

/// `.pdf`, but not the `. 14` of a date.
fn has_ending(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, ending)| {
        let letters = ending.bytes().all(|b| b.is_ascii_alphanumeric())
            && ending.bytes().any(|b| b.is_ascii_alphabetic());
        !stem.is_empty() && (2..=4).contains(&ending.len()) && letters
    })
}

/// A media type by the ending, for containers that keep none.
fn mime_of(name: &str) -> String {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let mime = match ending.as_deref() {
        Some("pdf") => "application/pdf",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("gif") => "image/gif",
        Some("txt" | "log") => "text/plain",
        Some("csv") => "text/csv",
        Some("htm" | "html") => "text/html",
        Some("doc") => "application/msword",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("xls") => "application/vnd.ms-excel",
        Some("xlsx") => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        Some("zip") => "application/zip",
        Some("eml") => "message/rfc822",
        Some("ics") => "text/calendar",
        _ => "application/octet-stream",
    };
    mime.to_owned()
}

/// Instead of a text where there is none: «[2 attachments: a.pdf, b.pdf]».
pub(super) fn placeholder(media: &[Media]) -> String {
    let names: Vec<&str> = media.iter().take(10).map(|media| media.name.as_str()).collect();
    let more = if media.len() > names.len() { ", …" } else { "" };
    match media.len() {
        0 => "[no text]".to_owned(),
        1 => format!("[1 attachment: {}]", names.concat()),
        count => format!("[{count} attachments: {}{more}]", names.join(", ")),
    }
}
