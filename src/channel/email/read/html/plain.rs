//! HTML as plain text, through html2text.

use html2text::config::with_decorator;
use html2text::render::TextDecorator;

/// Longer addresses of links are for machines; the HTML has them.
const LINK_BYTES_MAX: usize = 200;

/// Around a link's words and its address until [`links`] decides what is shown.
const LINK: char = '\u{F8F0}';
const ADDRESS: char = '\u{F8F1}';
const END: char = '\u{F8F2}';

/// Lines are as long as paragraphs: the reader's window wraps them, not we.
const WIDTH: usize = 100_000;

/// The text, or `None` if the HTML was too strange even for a browser's parser.
pub(super) fn to_text(html: &str) -> Option<String> {
    let html: String = html.chars().filter(|c| !matches!(*c, LINK | ADDRESS | END)).collect();
    let config = with_decorator(Plain { link: String::new() })
        .raw_mode(true)
        .no_table_borders()
        .allow_width_overflow()
        .no_link_wrapping();
    let text = config.string_from_read(html.as_bytes(), WIDTH).ok()?;
    Some(links(&text).replace('\u{a0}', " "))
}

/// `words <address>` where the address says more than the words.
fn links(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut pieces = text.split(LINK);
    kept.push_str(&bare(pieces.next().unwrap_or_default()));
    for piece in pieces {
        let (words, rest) = piece.split_once(ADDRESS).unwrap_or((piece, ""));
        let (address, after) = rest.split_once(END).unwrap_or(("", rest));
        kept.push_str(words);
        if worth_showing(words, address) {
            let blank =
                if words.ends_with(char::is_whitespace) || words.is_empty() { "" } else { " " };
            kept.push_str(&format!("{blank}<{address}>"));
        }
        kept.push_str(&bare(after));
    }
    kept
}

/// Marks that lost their partner.
fn bare(text: &str) -> String {
    text.chars().filter(|c| !matches!(*c, LINK | ADDRESS | END)).collect()
}

fn worth_showing(words: &str, address: &str) -> bool {
    let plain = |text: &str| {
        let text = text.trim().trim_end_matches('/').to_lowercase();
        let text =
            text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(&text);
        text.strip_prefix("www.").unwrap_or(text).to_owned()
    };
    let mail = address.strip_prefix("mailto:").map(|to| to.split('?').next().unwrap_or(to));
    let web = address.starts_with("http://") || address.starts_with("https://");
    let shown = mail.unwrap_or(address);
    let says_more = !plain(words).contains(&plain(shown));
    (web || mail.is_some())
        && says_more
        && address.len() <= LINK_BYTES_MAX
        && !words.trim().is_empty()
}

#[derive(Clone)]
struct Plain {
    /// The address of the link that is open.
    link: String,
}

impl TextDecorator for Plain {
    type Annotation = ();

    fn decorate_link_start(&mut self, url: &str) -> (String, ()) {
        url.clone_into(&mut self.link);
        (LINK.to_string(), ())
    }

    fn decorate_link_end(&mut self) -> String {
        format!("{ADDRESS}{}{END}", std::mem::take(&mut self.link))
    }

    fn decorate_em_start(&self) -> (String, ()) {
        (String::new(), ())
    }

    fn decorate_em_end(&self) -> String {
        String::new()
    }

    fn decorate_strong_start(&self) -> (String, ()) {
        (String::new(), ())
    }

    fn decorate_strong_end(&self) -> String {
        String::new()
    }

    fn decorate_strikeout_start(&self) -> (String, ()) {
        (String::new(), ())
    }

    fn decorate_strikeout_end(&self) -> String {
        String::new()
    }

    fn decorate_code_start(&self) -> (String, ()) {
        (String::new(), ())
    }

    fn decorate_code_end(&self) -> String {
        String::new()
    }

    fn decorate_preformat_first(&self) {}

    fn decorate_preformat_cont(&self) {}

    fn decorate_image(&mut self, _: &str, title: &str) -> (String, ()) {
        let title = title.trim();
        (if title.is_empty() { String::new() } else { format!("[{title}]") }, ())
    }

    fn header_prefix(&self, _: usize) -> String {
        String::new()
    }

    fn quote_prefix(&self) -> String {
        "> ".to_owned()
    }

    fn unordered_item_prefix(&self) -> String {
        "* ".to_owned()
    }

    fn ordered_item_prefix(&self, number: i64) -> String {
        format!("{number}. ")
    }

    fn make_subblock_decorator(&self) -> Self {
        Self { link: String::new() }
    }
}
