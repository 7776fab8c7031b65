//! What may stand in a visitor's texts.

/// One line of at most `chars_max`, without control characters and the marks that turn the writing
/// direction of what follows. `None`: nothing is left.
pub(super) fn line(text: &str, chars_max: usize) -> Option<String> {
    let kept: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !c.is_control() && !turns(*c))
        .take(chars_max)
        .collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

/// Several lines: control characters but line ends and tabs are dropped.
pub(super) fn lines(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

/// Embeddings, overrides and isolates of the writing direction: in a name they can swallow what follows.
const fn turns(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// Looks like a mail address: who gives a wrong one only does not get the mail.
pub(super) fn mail(text: &str) -> Option<String> {
    let text = line(text, 254)?;
    let (local, domain) = text.rsplit_once('@')?;
    let fits = !local.is_empty()
        && local.len() <= 64
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && !text.contains(|c: char| c.is_whitespace() || "<>()[]\\,;:\"".contains(c));
    fits.then(|| text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_harmless_line() {
        assert_eq!(line(" Li\n Wei\u{202e} ", 50).as_deref(), Some("Li  Wei"));
        assert_eq!(line("\u{0}\u{7}", 50), None);
        assert_eq!(line("abcdef", 3).as_deref(), Some("abc"));
        assert_eq!(lines("a\r\nb\u{0}\tc\u{1b}"), "a\nb\tc");
    }

    #[test]
    fn mail_addresses_are_put_in_order() {
        assert_eq!(mail(" Li@Example.COM ").as_deref(), Some("li@example.com"));
        for bad in [
            "",
            "li",
            "li@",
            "@example.com",
            "li@example",
            "a b@example.com",
            "li@.com",
            "x<y@z.de",
        ] {
            assert_eq!(mail(bad), None, "{bad}");
        }
    }
}
