//! HTML: made safe to show, made into text, and rid of what was quoted.
//!
//! A linear scan of the tags comes first. It counts what the real parsers behind it are quadratic in, finds the containers that mail programs put around what they quote, and takes remote pictures'
//! addresses out of `src`. What is safe is decided by ammonia alone, behind it.

mod cut;
mod flat;
mod plain;
mod scan;
mod weigh;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::Builder;

pub(super) use cut::without_quotes;
use scan::{Tag, tags};

/// HTML that is sanitised, after embedded pictures are gone. Longer one is shown as plain text.
const BYTES_MAX: usize = 2 * 1024 * 1024;

/// HTML with embedded pictures that is looked at at all.
const WITH_PICTURES_MAX: usize = 30 * 1024 * 1024;

/// Largest picture within the HTML itself, as text.
const DATA_BYTES_MAX: usize = 64 * 1024;

/// Is it of a size and shape that the parsers can bear?
pub(super) fn is_bearable(html: &str) -> bool {
    bearable(html).is_some()
}

/// As it is, or without containers that only stand within each other.
fn bearable(html: &str) -> Option<Cow<'_, str>> {
    if html.len() > BYTES_MAX {
        return None;
    }
    if weigh::is_bearable(html) {
        return Some(Cow::Borrowed(html));
    }
    let flat = flat::flattened(html);
    weigh::is_bearable(&flat).then_some(Cow::Owned(flat))
}

/// Does it hold a tag or an entity at all? Some programs send plain text under the label of HTML.
pub(super) fn has_markup(html: &str) -> bool {
    let entity = |(at, _): (usize, &str)| {
        let word = html.get(at + 1..).unwrap_or_default();
        let end = word.find(';').filter(|end| (1..=10).contains(end));
        end.and_then(|end| word.get(..end))
            .is_some_and(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'#'))
    };
    tags(html).next().is_some() || html.match_indices('&').take(100).any(entity)
}

/// A whole page under the label of plain text?
pub(super) fn is_page(text: &str) -> bool {
    let start = super::text::cut(text.trim_start(), 15).to_ascii_lowercase();
    let begins = ["<!doctype html", "<html>", "<html ", "<body>", "<body "];
    begins.iter().any(|word| start.starts_with(word)) && text.contains("</")
}

/// Safe to put into a page. `None` if it is too deep or too long.
pub(super) fn sanitised(html: &str) -> Option<String> {
    if html.len() > WITH_PICTURES_MAX {
        return None;
    }
    let html = without_remote_pictures(html);
    let clean = CLEANER.clean(&bearable(&html)?).to_string();
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// Moves the addresses of remote pictures to `data-src`, and drops pictures of great length.
fn without_remote_pictures(html: &str) -> Cow<'_, str> {
    let mut kept = String::new();
    let mut from = 0;
    for tag in tags(html).filter(|tag| tag.is("img") && !tag.closes) {
        let Some(source) = tag.attribute(html, "src") else { continue };
        let replacement = match source_kind(source.value) {
            Source::Own => continue,
            Source::Remote => "data-src",
            Source::Refused => "data-refused",
        };
        kept.push_str(html.get(from..source.name_start).unwrap_or_default());
        kept.push_str(replacement);
        from = source.name_end;
        if replacement == "data-refused" {
            from = source.end;
        }
    }
    if from == 0 {
        return Cow::Borrowed(html);
    }
    kept.push_str(html.get(from..).unwrap_or_default());
    Cow::Owned(kept)
}

enum Source {
    /// Part of the mail: may be shown.
    Own,
    /// Somewhere in the world: its address is kept, it is not loaded.
    Remote,
    /// Neither.
    Refused,
}

fn source_kind(source: &str) -> Source {
    let source = source.trim();
    let start = super::text::cut(source, 40).to_ascii_lowercase();
    if start.starts_with("cid:") {
        return Source::Own;
    }
    if start.starts_with("http://") || start.starts_with("https://") || start.starts_with("//") {
        return Source::Remote;
    }
    let raster = ["data:image/png", "data:image/jpeg", "data:image/gif", "data:image/webp"];
    let embedded = raster.iter().any(|kind| start.starts_with(kind));
    if embedded && source.len() <= DATA_BYTES_MAX { Source::Own } else { Source::Refused }
}

/// What may be written in `style`. Nothing here can load, overlay or hide.
const STYLES: &[&str] = &[
    "background-color",
    "border",
    "border-bottom",
    "border-collapse",
    "border-color",
    "border-left",
    "border-right",
    "border-style",
    "border-top",
    "border-width",
    "color",
    "direction",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "line-height",
    "list-style-type",
    "margin",
    "margin-bottom",
    "margin-left",
    "margin-right",
    "margin-top",
    "padding",
    "padding-bottom",
    "padding-left",
    "padding-right",
    "padding-top",
    "text-align",
    "text-decoration",
    "text-indent",
    "vertical-align",
    "white-space",
    "width",
];

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut cleaner = Builder::default();
    let generic = ["style", "dir", "lang", "title", "align", "valign", "bgcolor", "color", "width"];
    let image = HashSet::from(["src", "data-src", "alt", "width", "height"]);
    let mut attributes: HashMap<&str, HashSet<&str>> = cleaner.clone_tag_attributes();
    attributes.insert("img", image);
    attributes.insert("font", HashSet::from(["color", "face", "size"]));
    attributes.insert(
        "table",
        HashSet::from(["border", "cellpadding", "cellspacing", "align", "summary"]),
    );
    cleaner
        .add_tags(["font", "center", "u", "big"])
        .rm_tags(["map", "area"])
        .add_clean_content_tags([
            "title", "svg", "math", "noscript", "template", "iframe", "object",
        ])
        .tag_attributes(attributes)
        .add_generic_attributes(generic)
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel", "cid", "data"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank")
        .filter_style_properties(STYLES.iter().copied().collect())
        .attribute_filter(attribute);
    cleaner
});

/// The last word on each attribute.
fn attribute<'v>(element: &str, name: &str, value: &'v str) -> Option<Cow<'v, str>> {
    let start = super::text::cut(value.trim_start(), 8).to_ascii_lowercase();
    let keep = match (element, name) {
        ("img", "src") => matches!(source_kind(value), Source::Own),
        ("img", "data-src") => matches!(source_kind(value), Source::Remote),
        (_, "href") => !start.starts_with("data:") && !start.starts_with("cid:"),
        (_, "src" | "cite" | "background") => false,
        (_, "style") => !hides_something(value),
        _ => true,
    };
    keep.then_some(Cow::Borrowed(value))
}

/// `url(`, `expression(`, and escapes that could spell them.
fn hides_something(style: &str) -> bool {
    let style = style.to_ascii_lowercase();
    ["url", "expression", "\\", "import", "javascript", "/*"]
        .iter()
        .any(|word| style.contains(word))
}

/// `Content-ID`s that the HTML shows.
pub(super) fn shown_ids(html: &str) -> HashSet<String> {
    tags(html)
        .filter(|tag| tag.is("img"))
        .filter_map(|tag| tag.attribute(html, "src"))
        .filter_map(|source| {
            let value = source.value.trim();
            let scheme = super::text::cut(value, 4);
            scheme
                .eq_ignore_ascii_case("cid:")
                .then(|| unescaped(value.get(4..).unwrap_or_default()))
        })
        .collect()
}

/// `%40` and `&amp;` in a reference to a part.
fn unescaped(id: &str) -> String {
    id.replace("%40", "@")
        .replace("%24", "$")
        .replace("%2B", "+")
        .replace("&amp;", "&")
        .replace("%20", " ")
}

/// As text: paragraphs, lists, links with their address behind them where it says more.
pub(super) fn to_text(html: &str) -> String {
    let text = bearable(html).and_then(|html| plain::to_text(&html));
    text.unwrap_or_else(|| stripped(html))
}

/// The text between the tags, for HTML that no parser should see.
pub(super) fn stripped(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut from = 0;
    for tag in tags(html) {
        text.push_str(html.get(from..tag.start).unwrap_or_default());
        if is_block(&tag) && !text.ends_with('\n') {
            text.push('\n');
        }
        from = tag.end;
    }
    text.push_str(html.get(from..).unwrap_or_default());
    text.replace("&nbsp;", " ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

fn is_block(tag: &Tag<'_>) -> bool {
    ["br", "p", "div", "tr", "li", "table", "h1", "h2", "h3", "blockquote", "hr"]
        .iter()
        .any(|name| tag.is(name))
}

/// Plain text as HTML, for mails that mix both.
pub(super) fn from_text(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<div style=\"white-space: pre-wrap\">{escaped}</div>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    // FAULTS 157
    #[test]
    fn nothing_that_runs_or_loads_survives() {
        for attack in [
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'>x</a></svg>",
            "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
            "<a href='java&#10;script:alert(1)'>x</a>",
            "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
            "<base href='https://evil.example/'>",
            "<form action='https://evil.example/'><input name=q><button>x</button></form>",
            "<meta http-equiv=refresh content='0;url=https://evil.example/'>",
            "<iframe src='https://evil.example/'></iframe>",
            "<link rel=stylesheet href='https://evil.example/'>",
            "<style>@import 'https://evil.example/'</style>",
            "<div style=\"background:url('https://evil.example/')\">x</div>",
            "<div style='position:fixed;top:0;width:expression(alert(1))'>x</div>",
            "<table background='https://evil.example/'><tr><td>x</td></tr></table>",
            "<img src='https://evil.example/p.gif' srcset='https://evil.example/p2.gif 2x'>",
            "<video poster='https://evil.example/'><source src='https://evil.example/'></video>",
            "<input type=image src='https://evil.example/'>",
            "<img src='data:image/svg+xml;base64,PHN2Zz4='>",
            "<object data='https://evil.example/'></object><embed src='https://evil.example/'>",
            "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\"></noscript>",
        ] {
            let clean = sanitised(&format!("<p>ok</p>{attack}")).unwrap().replace("data-src", "");
            for word in [
                "alert(1)<",
                "<script",
                "onerror=",
                "onload",
                "javascript:",
                "src=\"http",
                "url(",
                "<form",
                "<meta",
                "<base",
                "<iframe",
                "<link",
                "<style",
                "srcset",
                "position",
                "<svg",
                "<input",
            ] {
                assert!(!clean.contains(word), "{word} in {clean} of {attack}");
            }
            assert!(clean.contains("ok"));
        }
    }

    #[test]
    fn links_and_pictures_keep_what_is_safe() {
        let clean = sanitised(
            "<a href='https://example.com/?a=1&b=2' onclick=x>l</a><img src='cid:a@b' alt=logo>\
             <img src=\"https://example.com/p.png\" width=1><img src='data:image/png;base64,AAAA'>\
             <span style='color:red;position:fixed'>r</span>",
        );
        assert_eq!(
            clean.unwrap(),
            "<a href=\"https://example.com/?a=1&amp;b=2\" target=\"_blank\" rel=\"noopener noreferrer \
             nofollow\">l</a><img src=\"cid:a@b\" alt=\"logo\"><img data-src=\"https://example.com/p.png\" \
             width=\"1\"><img src=\"data:image/png;base64,AAAA\"><span style=\"color:red\">r</span>"
        );
    }

    #[test]
    fn pictures_of_great_length_are_dropped() {
        let html = format!("<p>hi</p><img src='data:image/png;base64,{}'>", "A".repeat(3_000_000));
        let clean = sanitised(&html).unwrap();
        assert!(clean.len() < 100 && clean.contains("hi"), "{}", clean.len());
    }

    // COMPLAINTS L17; CRATES: depth makes the parsers quadratic.
    #[test]
    fn deep_html_becomes_text_at_once() {
        let begun = Instant::now();
        let deep = format!("{}hello{}", "<ul>".repeat(200_000), "</ul>".repeat(200_000));
        assert_eq!(sanitised(&deep), None);
        assert_eq!(to_text(&deep).trim(), "hello");
        let long = format!("<p>{}</p>", "x<b>".repeat(1_000_000));
        assert_eq!(sanitised(&long), None);
        assert!(to_text(&long).contains('x'));
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }

    #[test]
    fn html_becomes_readable_text() {
        let text = to_text(
            "<style>p{color:red}</style><p>Hello&nbsp;you</p><ul><li>one<li>two</ul>\
             <table><tr><td>a</td><td>b</td></tr></table><p>See <a href='https://x.example/'>here</a><br>bye",
        );
        assert_eq!(text, "Hello you\n* one\n* two\n\na\nb\n\nSee here <https://x.example/>\nbye\n");
    }

    #[test]
    fn ids_of_shown_pictures_are_found() {
        let ids = shown_ids("<IMG SRC=cid:a%40b><img src=\"CID:c@d\"><img src='x'>");
        assert_eq!(ids, HashSet::from(["a@b".to_owned(), "c@d".to_owned()]));
    }
}
