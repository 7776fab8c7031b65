//! A mail without the secrets in it, for people who look at raws: each part that holds one is written anew.

use mail_parser::{MessageParser, MimeHeaders as _, PartType};

use super::body::SIGNED_DEPTH_MAX;
use super::signed;
use crate::channel::{Mask, masked_body};

/// The headers of a part that no longer fit what is written in its place.
const REPLACED: &[&str] = &["content-type:", "content-transfer-encoding:"];

pub(super) fn masked(mail: &[u8], mask: &Mask<'_>) -> Vec<u8> {
    masked_within(mail, mask, SIGNED_DEPTH_MAX)
}

/// `depth`: how many signed mails within each other are opened.
fn masked_within(mail: &[u8], mask: &Mask<'_>, depth: usize) -> Vec<u8> {
    let Some(parsed) = MessageParser::default().parse(mail) else { return masked_body(mail, mask) };
    // From the last to the first, so that places stay right.
    let mut whole = mail.to_vec();
    for part in parsed.parts.iter().rev() {
        let masked = match &part.body {
            PartType::Text(text) | PartType::Html(text) => mask(text),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                let inside = if depth > 0 { signed::content(bytes) } else { None };
                match inside {
                    Some(inside) => {
                        let anew = masked_within(&inside, mask, depth - 1);
                        (anew != inside).then(|| String::from_utf8_lossy(&anew).into_owned())
                    }
                    None => mask(&String::from_utf8_lossy(bytes)),
                }
            }
            PartType::Message(_) | PartType::Multipart(_) => continue,
        };
        let Some(masked) = masked else { continue };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_a_signed_mail_is_masked() {
        // What was signed is in base64 itself, so that nobody sees the word from outside.
        let words = data_encoding::BASE64.encode(b"my code is opensesame\r\n");
        let inside = format!(
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n{words}\r\n"
        );
        let head = [
            &[0x30, 0x80, 6, 9, 42, 134, 72, 134, 247, 13, 1, 7, 2, 0xa0, 0x80][..],
            &[0x30, 0x80, 2, 1, 1, 0x31, 0, 0x30, 0x80, 6, 1, 42, 0xa0, 0x80, 4],
            &[u8::try_from(inside.len()).unwrap()],
        ];
        let container = [&head.concat(), inside.as_bytes(), &[0; 8]].concat();
        let mail = format!(
            "From: a@b.example\r\nContent-Type: application/pkcs7-mime; name=smime.p7m\r\n\
             Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
            data_encoding::BASE64.encode(&container)
        );
        let mask =
            |text: &str| text.contains("opensesame").then(|| text.replace("opensesame", "••••"));
        let shown = String::from_utf8(masked(mail.as_bytes(), &mask)).unwrap();
        assert!(shown.contains("my code is ••••"), "{shown}");
        assert!(!shown.contains(&words), "{shown}");
        let harmless = |_: &str| None;
        assert_eq!(masked(mail.as_bytes(), &harmless), mail.as_bytes());
    }
}
