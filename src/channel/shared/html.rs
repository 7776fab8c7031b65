//! HTML that a system handed over: made safe to show, or made into text.
//!
//! For kinds whose HTML is no mail. What mail programs do to HTML, `channel/email` knows.

use std::collections::HashSet;
use std::sync::LazyLock;

use ammonia::Builder;

/// Elements within each other: the real parsers are quadratic in it.
const DEPTH_MAX: usize = 200;
/// Longer HTML is not looked at.
const BYTES_MAX: usize = 1024 * 1024;
/// Where lines of the text break.
const COLUMNS: usize = 10_000;

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::default();
    cleaner
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel", "cid"]))
        // A picture from elsewhere would tell its owner when an agent looks, and from where.
        .attribute_filter(|element, attribute, value| match (element, attribute) {
            ("img", "src") if !value.starts_with("cid:") => None,
            _ => Some(value.into()),
        });
    cleaner
});

/// Safe to put into a page. `None`: nothing is left of it, or it is too long or too deep.
#[must_use]
pub fn sanitised(html: &str) -> Option<String> {
    if !is_bearable(html) {
        return None;
    }
    let clean = CLEANER.clean(html).to_string();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// What a person would read. HTML that is too long or too deep is shown as it was written.
#[must_use]
pub fn plain(html: &str) -> String {
    if !is_bearable(html) {
        return html.to_owned();
    }
    match html2text::config::plain_no_decorate().string_from_read(html.as_bytes(), COLUMNS) {
        Ok(text) => text.trim().to_owned(),
        Err(_) => html.to_owned(),
    }
}

/// The end of a tag that begins here: not the `>` in the value of an attribute.
#[must_use]
pub fn tag_end(from: &str) -> Option<usize> {
    let mut quote = None;
    for (at, c) in from.char_indices() {
        match (quote, c) {
            (None, '>') => return Some(at),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    None
}

/// Does a tag close an element, and which, in small letters?
#[must_use]
pub fn tag_name(tag: &str) -> (bool, String) {
    let tag = tag.trim_start_matches('<');
    let (closing, tag) = match tag.strip_prefix('/') {
        Some(tag) => (true, tag),
        None => (false, tag),
    };
    let name = tag.chars().take_while(char::is_ascii_alphanumeric);
    (closing, name.collect::<String>().to_ascii_lowercase())
}

/// What the sanitiser escaped.
#[must_use]
pub fn unescaped(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&nbsp;", "\u{a0}").replace("&amp;", "&")
}

fn is_bearable(html: &str) -> bool {
    html.len() <= BYTES_MAX && depth(html) <= DEPTH_MAX
}

/// How deep it may be nested, at most: opened elements that were not closed again. Counts too many where
/// elements need no end (`<br>`, `<img>`), so those are left out.
fn depth(html: &str) -> usize {
    const EMPTY: &[&str] = &[
        "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source",
        "track", "wbr",
    ];
    let (mut open, mut deepest) = (0_usize, 0);
    for part in html.split('<').skip(1) {
        if part.starts_with('/') {
            open = open.saturating_sub(1);
        } else if part.starts_with(|c: char| c.is_ascii_alphabetic()) {
            let name: String =
                part.chars().take(12).take_while(char::is_ascii_alphanumeric).collect();
            if !EMPTY.contains(&name.to_ascii_lowercase().as_str()) {
                open += 1;
                deepest = deepest.max(open);
            }
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_act_or_call_home_is_taken_out() {
        let html = r#"<p onclick="x()">hello <b>you</b></p><script>alert(1)</script>
            <a href="javascript:x()">a</a><img src="https://tracker.example/1.gif"><img src="cid:1">"#;
        let clean = sanitised(html).unwrap();
        assert!(clean.contains("<b>you</b>") && clean.contains("cid:1"), "{clean}");
        for bad in ["onclick", "script", "alert", "tracker"] {
            assert!(!clean.contains(bad), "{bad}: {clean}");
        }
        assert_eq!(sanitised("<script>x</script>"), None);
        assert_eq!(plain("<p>hello <b>you</b></p><p>there</p>"), "hello you\n\nthere");
    }

    #[test]
    fn deep_html_costs_nothing() {
        let deep = "<div>".repeat(50_000);
        let began = std::time::Instant::now();
        assert_eq!(sanitised(&deep), None);
        assert_eq!(plain(&deep), deep);
        assert!(began.elapsed().as_secs() < 2);
        let flat = "<br>".repeat(5_000) + "x";
        assert!(sanitised(&flat).is_some());
    }
}
