//! A mail without the secrets in it, for people who look at raws: each part that holds one is written anew.

use mail_parser::{MessageParser, MimeHeaders as _, PartType};

use crate::channel::{Mask, masked_body};

/// The headers of a part that no longer fit what is written in its place.
const REPLACED: &[&str] = &["content-type:", "content-transfer-encoding:"];

pub(super) fn masked(mail: &[u8], mask: &Mask<'_>) -> Vec<u8> {
    let Some(parsed) = MessageParser::default().parse(mail) else { return masked_body(mail, mask) };
    // From the last to the first, so that places stay right.
    let mut whole = mail.to_vec();
    for part in parsed.parts.iter().rev() {
        let text = match &part.body {
            PartType::Text(text) | PartType::Html(text) => text.to_string(),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            PartType::Message(_) | PartType::Multipart(_) => continue,
        };
        let Some(masked) = mask(&text) else { continue };
        let place = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
        let (head, body) = (place(part.offset_header), place(part.offset_body));
        let end = place(part.offset_end);
        let Some(headers) = mail.get(head..body) else { continue };
        let subtype = part.content_type().and_then(|kind| kind.subtype()).unwrap_or("plain");
        let mut anew = without(&String::from_utf8_lossy(headers), REPLACED);
        anew.push_str(&format!(
            "Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{masked}\r\n"
        ));
        if head <= end && end <= whole.len() {
            whole.splice(head..end, anew.into_bytes());
        }
    }
    let subject = parsed.subject().and_then(mask);
    if let Some(subject) = subject {
        let text = String::from_utf8_lossy(&whole).into_owned();
        let (headers, rest) =
            text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n")).unwrap_or((&text, ""));
        let kept = without(&format!("{headers}\r\n"), &["subject:"]);
        whole = format!("{kept}Subject: {subject}\r\n\r\n{rest}").into_bytes();
    }
    // Headers, names of files, what stands between the parts.
    mask(&String::from_utf8_lossy(&whole)).map_or(whole, String::into_bytes)
}

/// Headers without those that begin so, and without the empty line behind them.
fn without(headers: &str, names: &[&str]) -> String {
    let mut kept = String::with_capacity(headers.len());
    let mut dropped = false;
    for line in headers.lines() {
        if !line.starts_with([' ', '\t']) {
            let lower = line.to_ascii_lowercase();
            dropped = names.iter().any(|name| lower.starts_with(name));
        }
        if !dropped && !line.is_empty() {
            kept.push_str(line);
            kept.push_str("\r\n");
        }
    }
    kept
}
