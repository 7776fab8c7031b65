//! What a file is, by its bytes; and a name for it that is only a name.

/// The media type that the bytes show. What the sender claims counts for nothing.
pub(super) fn media_type(bytes: &[u8]) -> &'static str {
    let at =
        |from: usize, magic: &[u8]| bytes.get(from..).is_some_and(|rest| rest.starts_with(magic));
    let known: &[(usize, &[u8], &str)] = &[
        (0, b"\x89PNG\r\n\x1a\n", "image/png"),
        (0, b"\xff\xd8\xff", "image/jpeg"),
        (0, b"GIF87a", "image/gif"),
        (0, b"GIF89a", "image/gif"),
        (0, b"%PDF-", "application/pdf"),
        (0, b"\x1a\x45\xdf\xa3", "video/webm"),
        (0, b"OggS", "audio/ogg"),
        (0, b"ID3", "audio/mpeg"),
        (0, b"PK\x03\x04", "application/zip"),
    ];
    if let Some((.., found)) = known.iter().find(|(from, magic, _)| at(*from, magic)) {
        return found;
    }
    if at(0, b"RIFF") && at(8, b"WEBP") {
        return "image/webp";
    }
    if at(4, b"ftyp") {
        return match bytes.get(8..12) {
            Some(b"heic" | b"heix" | b"mif1") => "image/heic",
            Some(b"avif") => "image/avif",
            Some(b"qt  ") => "video/quicktime",
            _ => "video/mp4",
        };
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if is_markup(text) => "text/html",
        Ok(text) if !text.contains('\0') => "text/plain",
        _ => "application/octet-stream",
    }
}

/// Could a browser take it for a page or a drawing with scripts?
fn is_markup(text: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let head: String = text.chars().take(1024).collect::<String>().to_ascii_lowercase();
    head.starts_with('<')
        || ["<script", "<html", "<svg", "<iframe", "<body"].iter().any(|tag| head.contains(tag))
}

/// Does a list of types have this one? `image/*` has all pictures.
pub(super) fn is_allowed(types: &[String], media_type: &str) -> bool {
    types.iter().any(|allowed| match allowed.strip_suffix("/*") {
        Some(group) => media_type.split('/').next() == Some(group),
        None => allowed == media_type,
    })
}

/// The last part of a path, on one line, without marks that turn the writing direction.
pub(super) fn name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let turns = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    let kept: String = last.chars().filter(|c| !c.is_control() && !turns(*c)).take(150).collect();
    let kept = kept.trim().trim_start_matches('.');
    if kept.is_empty() { "file".to_owned() } else { kept.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_decide_what_a_file_is() {
        let cases: &[(&[u8], &str)] = &[
            (b"\x89PNG\r\n\x1a\n<script>", "image/png"),
            (b"\xff\xd8\xff\xe0", "image/jpeg"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
            (b"\0\0\0\x20ftypisom", "video/mp4"),
            (b"%PDF-1.7", "application/pdf"),
            (b"hello", "text/plain"),
            ("你好".as_bytes(), "text/plain"),
            (b" \n<svg onload=alert(1)>", "text/html"),
            (b"GIF8<html>", "text/html"),
            (b"x <ScRiPt>", "text/html"),
            ("\u{feff}<!doctype html>".as_bytes(), "text/html"),
            (b"MZ\x90\0\x03", "application/octet-stream"),
            (b"\xff\xfe<\0s\0", "application/octet-stream"),
            (b"PK\x03\x04", "application/zip"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(media_type(bytes), *expected, "{bytes:?}");
        }
    }

    #[test]
    fn lists_of_types_have_groups() {
        let types = ["image/*".to_owned(), "application/pdf".to_owned()];
        assert!(is_allowed(&types, "image/webp"));
        assert!(is_allowed(&types, "application/pdf"));
        assert!(!is_allowed(&types, "text/html"));
        assert!(!is_allowed(&types, "application/zip"));
        assert!(!is_allowed(&[], "image/png"));
    }

    #[test]
    fn a_name_is_only_a_name() {
        assert_eq!(name("../../etc/passwd"), "passwd");
        assert_eq!(name("C:\\a\\b.png"), "b.png");
        assert_eq!(name(".htaccess"), "htaccess");
        assert_eq!(name("invoice\u{202e}fdp.exe"), "invoicefdp.exe");
        assert_eq!(name("a\r\nb\0.txt"), "ab.txt");
        assert_eq!(name("截图 1.png"), "截图 1.png");
        for nothing in ["", "/", "..", " ", "\u{200b}"] {
            assert_eq!(name(nothing), "file", "{nothing:?}");
        }
    }
}
