//! Words for people, put together the same way by every kind.

/// A name to show, of a file that somebody else named: never a path, nothing hidden, no dots at its ends. Empty, if
/// nothing is left of it.
#[must_use]
pub fn file_name(given: &str, chars_max: usize) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| !c.is_control()).take(chars_max).collect();
    plain.trim().trim_matches('.').to_owned()
}

/// How the names of files of a media type end, for those that come without a name.
#[must_use]
pub fn ending(mime: &str) -> &'static str {
    match mime {
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "image/webp" => ".webp",
        "image/gif" => ".gif",
        "video/mp4" => ".mp4",
        "video/3gpp" => ".3gp",
        "audio/ogg" => ".ogg",
        "audio/mpeg" => ".mp3",
        "audio/mp4" => ".m4a",
        "audio/aac" => ".aac",
        "audio/amr" => ".amr",
        "application/pdf" => ".pdf",
        "text/plain" => ".txt",
        "text/vcard" | "text/x-vcard" => ".vcf",
        _ => "",
    }
}

/// What somebody said, and below it what belongs to it and is not theirs.
#[must_use]
pub fn with_about(text: &str, about: &[String]) -> String {
    let about = about.join("\n");
    match (text.is_empty(), about.is_empty()) {
        (_, true) => text.to_owned(),
        (true, false) => about,
        (false, false) => format!("{text}\n\n{about}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_a_path() {
        for (given, shown) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\temp\\a\u{0}b.pdf", "ab.pdf"),
            (" .hidden. ", "hidden"),
            ("a/", ""),
            ("...", ""),
        ] {
            assert_eq!(file_name(given, 200), shown, "{given}");
        }
        assert_eq!(file_name(&"x".repeat(300), 200).len(), 200);
    }

    #[test]
    fn what_is_not_theirs_stands_below() {
        let about = ["a story".to_owned(), "an advertisement".to_owned()];
        assert_eq!(with_about("hello", &about), "hello\n\na story\nan advertisement");
        assert_eq!(with_about("", &about), "a story\nan advertisement");
        assert_eq!(with_about("hello", &[]), "hello");
    }
}
