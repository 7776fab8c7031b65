//! The parts of a mail: text beside HTML, pictures within it, attachments after it.

use bytes::Bytes;
use data_encoding::BASE32_NOPAD;
use lettre::message::header::{
    ContentDisposition, ContentId, ContentTransferEncoding, ContentType,
};
use lettre::message::{Body, MultiPart, MultiPartBuilder, SinglePart};
use sha2::{Digest, Sha256};

use super::headers::one_line;
use super::signature::Signature;
use super::{LINE_BYTES_MAX, Outbound};
use crate::model::OutboundMedia;

/// Longest file name in characters.
const FILE_NAME_CHARS_MAX: usize = 150;
const OCTETS: &str = "application/octet-stream";

/// `seed` makes the boundaries: the same at every attempt, and known to nobody before.
pub(super) fn of(outbound: &Outbound, signature: &Signature, seed: &str) -> MultiPart {
    let text = join(&clean(&outbound.text), signature.text.as_deref(), "\n\n-- \n");
    let html = outbound.html.as_deref().map_or_else(|| html_of(&outbound.text), clean);
    let html = join(&html, signature.html.as_deref(), "<br><br>-- <br>");
    let html = format!(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head><body>\n{html}\n</body></html>\n"
    );
    let (pictures, attachments): (Vec<_>, Vec<_>) =
        outbound.media.iter().partition(|media| picture_id(media).is_some());

    let alternative = part(MultiPart::alternative(), seed, "alternative")
        .singlepart(SinglePart::plain(format!("{text}\n")));
    let mut alternative = if pictures.is_empty() {
        alternative.singlepart(SinglePart::html(html))
    } else {
        let related = part(MultiPart::related(), seed, "related");
        let related = related.singlepart(SinglePart::html(html));
        alternative.multipart(pictures.into_iter().map(file).fold(related, MultiPart::singlepart))
    };
    if !attachments.is_empty() {
        let mixed = part(MultiPart::mixed(), seed, "mixed").multipart(alternative);
        alternative = attachments.into_iter().map(file).fold(mixed, MultiPart::singlepart);
    }
    alternative
}

fn part(builder: MultiPartBuilder, seed: &str, kind: &str) -> MultiPart {
    let digest = Sha256::digest(format!("{kind} boundary of {seed}").as_bytes());
    let mut boundary = BASE32_NOPAD.encode(&digest).to_ascii_lowercase();
    boundary.truncate(32);
    builder.boundary(format!("={boundary}")).build()
}

fn join(text: &str, signature: Option<&str>, between: &str) -> String {
    match signature {
        Some(signature) => format!("{}{between}{}", text.trim_end(), clean(signature).trim_end()),
        None => text.trim_end().to_owned(),
    }
}

/// One kind of line end, and no control characters: the builder would let them through.
fn clean(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().filter(|&c| !c.is_control() || c == '\n' || c == '\t').collect()
}

/// Plain text as HTML: escaped, lines kept, addresses of the web made into links.
pub(super) fn html_of(text: &str) -> String {
    let lines: Vec<String> = clean(text).lines().map(html_line).collect();
    lines.join("<br>\n")
}

fn html_line(line: &str) -> String {
    let spaces = line.len() - line.trim_start_matches(' ').len();
    let words: Vec<String> = line.trim_start_matches(' ').split(' ').map(html_word).collect();
    format!("{}{}", "&nbsp;".repeat(spaces), words.join(" "))
}

fn html_word(word: &str) -> String {
    let escaped = escape(word);
    let link = word.starts_with("https://") || word.starts_with("http://");
    let end = word.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '>', '"', '\'']);
    if !link || end.len() <= "https://".len() {
        return escaped;
    }
    let tail = escape(word.strip_prefix(end).unwrap_or_default());
    let end = escape(end);
    format!("<a href=\"{end}\">{end}</a>{tail}")
}

pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// The id by which the HTML names a picture, if it can stand in a header.
fn picture_id(media: &OutboundMedia) -> Option<&str> {
    let id = media.content_id.as_deref()?;
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"._-+=@$%".contains(&b);
    (!id.is_empty() && id.len() <= 200 && id.bytes().all(valid)).then_some(id)
}

fn file(media: &OutboundMedia) -> SinglePart {
    let name = file_name(&media.name);
    let (kind, body) = content(media);
    let builder = SinglePart::builder().header(kind);
    match picture_id(media) {
        Some(id) => builder
            .header(ContentDisposition::inline_with_name(&name))
            .header(ContentId::from(format!("<{id}>")))
            .body(body),
        None => builder.header(ContentDisposition::attachment(&name)).body(body),
    }
}

/// Base64, but for a mail within the mail, which must not be encoded (RFC 2046 section 5.2.1).
fn content(media: &OutboundMedia) -> (ContentType, Body) {
    let claimed = media.mime.trim().to_ascii_lowercase();
    if claimed == "message/rfc822" && goes_unencoded(&media.bytes) {
        let bytes = media.bytes.to_vec();
        let body = Body::dangerous_pre_encoded(bytes, ContentTransferEncoding::SevenBit);
        return (content_type(&claimed), body);
    }
    let composite = claimed.starts_with("message/") || claimed.starts_with("multipart/");
    let kind = content_type(if composite { OCTETS } else { &claimed });
    (kind, encoded(&media.bytes))
}

/// The builder's own choice leaves ASCII bytes as they are, with whatever line ends they have.
fn encoded(bytes: &Bytes) -> Body {
    match Body::new_with_encoding(bytes.to_vec(), ContentTransferEncoding::Base64) {
        Ok(body) => body,
        // Cannot happen: everything may be base64. The bytes that come back are not encoded.
        Err(bytes) => Body::new(bytes),
    }
}

fn goes_unencoded(bytes: &[u8]) -> bool {
    let ended = [bytes, b"\r\n"].concat();
    bytes.is_ascii() && super::fault(&ended).is_none()
}

fn content_type(claimed: &str) -> ContentType {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
    let word = |word: &str| !word.is_empty() && word.len() <= 100 && word.bytes().all(token);
    let valid = claimed.split_once('/').is_some_and(|(kind, sort)| word(kind) && word(sort));
    let claimed = if valid && claimed.len() < LINE_BYTES_MAX { claimed } else { OCTETS };
    ContentType::parse(claimed).unwrap_or(ContentType::TEXT_PLAIN)
}

/// Never a path, never empty.
fn file_name(name: &str) -> String {
    let name: String = one_line(name, FILE_NAME_CHARS_MAX)
        .chars()
        .map(|c| if matches!(c, '/' | '\\' | '"') { '_' } else { c })
        .collect();
    if name.is_empty() { "attachment".to_owned() } else { name }
}
