//! Names of files, fit to be shown and to be saved by somebody who does not look twice.

use super::text::{cut, is_invisible, turns_direction};

/// Longest name, in bytes.
const BYTES_MAX: usize = 200;

/// Longest ending that is kept when a name is cut, with its dot.
const ENDING_MAX: usize = 16;

/// A name without path, controls, invisible characters and characters that a file system or a shell
/// takes amiss. Never empty. Sanitising twice changes nothing.
pub(super) fn sanitised(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).find(|piece| !piece.trim().is_empty()).unwrap_or_default();
    let plain: String = base
        .chars()
        .filter(|c| !c.is_control() && !turns_direction(*c) && !is_invisible(*c) && !is_joiner(*c))
        .map(|c| match c {
            ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            c if c.is_whitespace() => ' ',
            c => c,
        })
        .collect();
    let short = shortened(trimmed(&with_short_gaps(&plain)));
    if short.is_empty() { "file".to_owned() } else { short }
}

/// Two blanks are how people write; many push an ending out of sight.
fn with_short_gaps(name: &str) -> String {
    let mut kept = String::with_capacity(name.len());
    let mut gap = 0;
    for c in name.chars() {
        if c == ' ' {
            gap += 1;
            continue;
        }
        kept.push_str(match gap {
            0 => "",
            2 => "  ",
            _ => " ",
        });
        gap = 0;
        kept.push(c);
    }
    kept
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFC}' | '\u{061C}')
}

/// Without dots and blanks at both ends: no hidden file, no `..`, nothing that Windows drops.
fn trimmed(name: &str) -> &str {
    name.trim_matches(|c: char| c == '.' || c.is_whitespace())
}

/// At most [`BYTES_MAX`] bytes, the ending kept.
fn shortened(name: &str) -> String {
    if name.len() <= BYTES_MAX {
        return name.to_owned();
    }
    let ending =
        name.rfind('.').and_then(|dot| name.get(dot..)).filter(|end| end.len() <= ENDING_MAX);
    let ending = ending.unwrap_or_default();
    let stem = name.strip_suffix(ending).unwrap_or(name);
    let stem = cut(stem, BYTES_MAX - ending.len());
    format!("{}{ending}", trimmed(stem))
}

/// The ending that a file of this type usually has, with its dot.
pub(super) fn ending(mime: &str) -> &'static str {
    match mime {
        "text/plain"
        | "message/delivery-status"
        | "message/disposition-notification"
        | "text/rfc822-headers"
        | "message/feedback-report"
        | "message/global-delivery-status" => ".txt",
        "text/html" => ".html",
        "text/csv" => ".csv",
        "text/calendar" | "application/ics" => ".ics",
        "text/vcard" | "text/x-vcard" | "text/directory" => ".vcf",
        "text/rtf" | "application/rtf" => ".rtf",
        "image/jpeg" | "image/jpg" | "image/pjpeg" => ".jpg",
        "image/png" => ".png",
        "image/gif" => ".gif",
        "image/webp" => ".webp",
        "image/bmp" => ".bmp",
        "image/heic" => ".heic",
        "image/tiff" => ".tif",
        "image/svg+xml" => ".svg",
        "audio/mpeg" => ".mp3",
        "audio/ogg" => ".ogg",
        "audio/wav" | "audio/x-wav" => ".wav",
        "audio/amr" => ".amr",
        "video/mp4" => ".mp4",
        "video/quicktime" => ".mov",
        "application/pdf" => ".pdf",
        "application/zip" | "application/x-zip-compressed" => ".zip",
        "application/json" => ".json",
        "application/xml" | "text/xml" => ".xml",
        "application/msword" => ".doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => ".docx",
        "application/vnd.ms-excel" => ".xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => ".xlsx",
        "application/pgp-signature" | "application/pgp-encrypted" => ".asc",
        "application/pkcs7-mime" | "application/x-pkcs7-mime" => ".p7m",
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => ".p7s",
        "message/rfc822" | "message/global" => ".eml",
        "application/ms-tnef" => ".dat",
        _ => ".bin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // FAULTS 87, 160; COMPLAINTS E5
    #[test]
    fn names_hold_nothing_that_deceives() {
        for (name, expected) in [
            ("a.pdf", "a.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\a.pdf", "a.pdf"),
            ("..", "file"),
            (".", "file"),
            ("", "file"),
            ("/", "file"),
            (" \t ", "file"),
            (".htaccess", "htaccess"),
            ("a\u{202E}fdp.exe", "afdp.exe"),
            ("\u{200B}.\u{200B}htaccess", "htaccess"),
            ("a\0b\r\nc.txt", "abc.txt"),
            ("a.pdf. . .", "a.pdf"),
            ("钱 包.pdf", "钱 包.pdf"),
            ("invoice  7.pdf", "invoice  7.pdf"),
            ("invoice.pdf       .exe", "invoice.pdf .exe"),
            ("a:b*c?.txt", "a_b_c_.txt"),
            ("dir/", "dir"),
        ] {
            assert_eq!(sanitised(name), expected, "{name:?}");
        }
        let long = sanitised(&format!("{}.pdf", "钱".repeat(200)));
        assert!(long.len() <= BYTES_MAX && long.ends_with("钱.pdf"), "{long}");
    }

    proptest! {
        #[test]
        fn a_name_is_sane_and_stays(name in "\\PC{0,300}|[./\\\\ a\u{202e}\u{200b}\u{0}]{0,40}") {
            let once = sanitised(&name);
            prop_assert_eq!(sanitised(&once), once.clone());
            prop_assert!(!once.is_empty() && once.len() <= BYTES_MAX);
            let safe = |c: char| !c.is_control() && !matches!(c, '/' | '\\') && !turns_direction(c);
            prop_assert!(once.chars().all(safe));
            prop_assert!(!once.starts_with('.') && !once.ends_with(['.', ' ']));
        }
    }
}
