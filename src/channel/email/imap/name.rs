//! Names of mailboxes and texts, as they stand in IMAP commands.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// A name as people see it → modified UTF-7 (RFC 3501, 5.1.3), quoted.
pub(super) fn mailbox(name: &str) -> String {
    quoted(&utf7(name))
}

/// A text without line ends, as a quoted string.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Printable ASCII stands for itself, `&` becomes `&-`, the rest is UTF-16 in base64 with `,` for `/`.
fn utf7(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut wide: Vec<u8> = Vec::new();
    for character in name.chars() {
        if (' '..='~').contains(&character) {
            flush(&mut out, &mut wide);
            out.push(character);
            if character == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0; 2];
            wide.extend(
                character.encode_utf16(&mut units).iter().flat_map(|unit| unit.to_be_bytes()),
            );
        }
    }
    flush(&mut out, &mut wide);
    out
}

fn flush(out: &mut String, wide: &mut Vec<u8>) {
    if !wide.is_empty() {
        let text = STANDARD_NO_PAD.encode(&*wide).replace('/', ",");
        out.push_str(&format!("&{text}-"));
        wide.clear();
    }
}

/// `[3, 4, 5, 9]` → `3:5,9`.
pub(super) fn uid_set(uids: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &uid in uids {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(uid) => *last = uid,
            _ => ranges.push((uid, uid)),
        }
    }
    let texts = ranges.iter().map(|&(first, last)| {
        if first == last { first.to_string() } else { format!("{first}:{last}") }
    });
    texts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_modified_utf7() {
        let cases = [
            ("INBOX", "\"INBOX\""),
            ("已处理", "\"&XfJZBHQG-\""),
            ("Mail & more", "\"Mail &- more\""),
            ("Entwürfe", "\"Entw&APw-rfe\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("台北/日本語", "\"&U,BTFw-/&ZeVnLIqe-\""),
            ("🙂", "\"&2D3eQg-\""),
        ];
        for (name, expected) in cases {
            assert_eq!(mailbox(name), expected);
        }
    }

    #[test]
    fn neighbours_become_ranges() {
        assert_eq!(uid_set(&[3, 4, 5, 9, 11, 12]), "3:5,9,11:12");
        assert_eq!(uid_set(&[u32::MAX]), "4294967295");
        assert_eq!(uid_set(&[]), "");
    }
}
