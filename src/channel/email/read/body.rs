//! Which parts of a mail are its text, and which are files.

use bytes::Bytes;

use super::charset;
use super::html;
use super::mime::Part;
use super::name;
use super::text::{self, DelSp};
use super::tnef;
use super::words;
use crate::model::{Media, MediaSource};

/// Text of one mail; the rest is left out.
pub(super) const TEXT_BYTES_MAX: usize = 1024 * 1024;

/// What a mail holds, before anything is cut or made safe.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) segments: Vec<Segment>,
    pub(super) media: Vec<Media>,
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
        }
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

    /// The same said in several ways: the first text, the last HTML, and every file.
    fn take_alternative(&mut self, part: &Part<'_>) {
        let mut text: Option<String> = None;
        let mut html: Option<String> = None;
        for child in &part.children {
            let mut one = Self::default();
            one.take(child);
            let child_html = one.html();
            let child_text = one.plain_text();
            if text.as_deref().is_none_or(str::is_empty) {
                text = child_text.or(text);
            }
            if child_html.is_some() {
                html = child_html;
            }
            self.media.append(&mut one.media);
        }
        // Some programs write a text part that says nothing («see the HTML»), or an empty one.
        let text = text.filter(|text| !text.trim().is_empty() || html.is_none());
        self.segments.push(Segment { text, html });
    }

    fn take_leaf(&mut self, part: &Part<'_>) {
        let first = self.segments.is_empty();
        let beside = part.is_attachment() || (part.file_name().is_some() && !first);
        let kind = part.kind.value.as_str();
        match kind {
            "text/plain" if !beside => {
                self.segments.push(Segment { text: Some(plain(part)), html: None });
            }
            "text/html" if !beside => {
                let html = charset::decode_html(part.kind.param("charset"), &part.decoded());
                self.segments.push(Segment { text: None, html: Some(html) });
            }
            "text/enriched" | "text/richtext" if !beside => {
                let text = html::stripped(&plain(part));
                self.segments.push(Segment { text: Some(text), html: None });
            }
            "application/ms-tnef" | "application/vnd.ms-tnef" => self.take_tnef(part),
            _ if is_winmail(part) => self.take_tnef(part),
            _ => self.media.push(media(part, self.media.len())),
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
        for file in inside.files {
            let mime = mime_of(&file.name);
            let source = MediaSource::Inline(Bytes::from(file.bytes));
            let content_id = file.content_id;
            let name = name::sanitised(&file.name);
            self.media.push(Media { name, mime, inline: false, content_id, source });
        }
    }

    /// A mail that is nothing but a text file: the file is kept, and its text is shown too.
    fn text_of_file(&mut self, root: &Part<'_>) {
        if root.children.is_empty() && root.is("text/plain") {
            self.segments.push(Segment { text: Some(plain(root)), html: None });
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

/// A mail within the mail is called after its subject; everything else after its type and place.
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
        return format!("message-{}{ending}", index + 1);
    }
    let stem = match kind.split('/').next() {
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
