//! Takes out what mail programs put around a quoted mail.

use super::scan::{Tag, tags};

/// What to do at a tag.
enum Cut {
    /// This element and all in it.
    Element,
    /// Everything from here on.
    Rest,
}

/// The HTML without quoted mails, or `None` if there were none.
pub(in super::super) fn without_quotes(html: &str) -> Option<String> {
    let mut kept = String::with_capacity(html.len());
    let mut from = 0;
    let mut found = false;
    let mut open: Option<Open<'_>> = None;
    for tag in tags(html) {
        if let Some(element) = &mut open {
            if element.ends_at(&tag) {
                from = tag.end;
                open = None;
            }
            continue;
        }
        if tag.closes {
            continue;
        }
        match cut(html, &tag) {
            Some(Cut::Rest) => {
                kept.push_str(html.get(from..tag.start).unwrap_or_default());
                return Some(kept);
            }
            Some(Cut::Element) => {
                kept.push_str(html.get(from..tag.start).unwrap_or_default());
                from = html.len();
                found = true;
                open = Some(Open { name_of: tag, depth: 1, html });
            }
            None => {}
        }
    }
    kept.push_str(html.get(from..).unwrap_or_default());
    found.then_some(kept)
}

/// An element that is being left out.
struct Open<'a> {
    name_of: Tag<'a>,
    depth: usize,
    html: &'a str,
}

impl Open<'_> {
    fn ends_at(&mut self, tag: &Tag<'_>) -> bool {
        let name = self.html.get(self.name_of.start + 1..self.name_of.end).unwrap_or_default();
        let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        let name = name.get(..end).unwrap_or_default().to_ascii_lowercase();
        if !tag.is(&name) {
            return false;
        }
        if tag.closes {
            self.depth -= 1;
        } else {
            self.depth += 1;
        }
        self.depth == 0
    }
}

/// Does a quoted mail begin at this tag?
fn cut(html: &str, tag: &Tag<'_>) -> Option<Cut> {
    let value = |name: &str| {
        let value = tag.attribute(html, name).map_or("", |attribute| attribute.value);
        value.to_ascii_lowercase()
    };
    if tag.is("blockquote") {
        let quoted = value("type") == "cite"
            || value("class").contains("gmail_quote")
            || value("class").contains("iosymail")
            || value("id") == "isreplycontent"
            || value("class").contains("quoted");
        return quoted.then_some(Cut::Element);
    }
    if !["div", "hr", "span", "p", "table", "includetail", "a"].iter().any(|name| tag.is(name)) {
        return None;
    }
    if tag.is("includetail") {
        return Some(Cut::Element);
    }
    let (id, class) = (value("id"), value("class"));
    let has = |word: &str| class.split_ascii_whitespace().any(|one| one == word);
    // Gmail and those that follow it. A forwarded mail bears `gmail_quote` too: the caller knows.
    if [
        "gmail_quote",
        "gmail_quote_container",
        "gmail_extra",
        "gmail_attr",
        "moz-cite-prefix",
        "yahoo_quoted",
        "protonmail_quote",
        "tutanota_quote",
        "zmail_extra",
        "ms-outlook-mobile-reference-message",
        "moz-email-headers-table",
        "foxmail_quote",
        "netease_mail_quote",
        "ntes-mailmaster-quote",
        "ntes_not_fresh_new_editor_quote",
    ]
    .iter()
    .any(|word| has(word))
    {
        return Some(Cut::Element);
    }
    if (tag.is("div") && value("name") == "quote") || id == "ymail_android_signature" {
        return Some(Cut::Element);
    }
    if ["isreplycontent", "yahoo_quoted", "zmail_extra", "origbody", "mailcontent_quote"]
        .iter()
        .any(|word| id.contains(word))
    {
        return Some(Cut::Element);
    }
    // Outlook marks only where it begins.
    if [
        "divrplyfwdmsg",
        "appendonsend",
        "mail-editor-reference-message-container",
        "ms-outlook-mobile-reference-message",
    ]
    .iter()
    .any(|word| id == *word || id.ends_with(&format!("_{word}")))
        || id == "stopspelling"
        || id == "hr_replyforward"
    {
        return Some(Cut::Rest);
    }
    is_outlook_line(tag, &value("style")).then_some(Cut::Rest)
}

/// The line that desktop Outlook draws above `From:`. Spaces are written in many ways.
fn is_outlook_line(tag: &Tag<'_>, style: &str) -> bool {
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect();
    tag.is("div")
        && style.contains("border:none;border-top:solid")
        && style.contains("1.0pt;padding:3.0pt0")
}

#[cfg(test)]
mod tests {
    use super::without_quotes;

    #[test]
    fn containers_of_mail_programs_are_cut() {
        for (html, expected) in [
            ("new<div class=\"gmail_quote\">old<div>x</div></div>", "new"),
            ("new<div class='gmail_quote gmail_quote_container'>old</div>after", "newafter"),
            (
                "new<blockquote type=cite>old<blockquote>x</blockquote></blockquote>after",
                "newafter",
            ),
            ("new<div id=appendonsend></div><hr>From: x", "new"),
            ("new<hr><div id=\"divRplyFwdMsg\" dir=ltr>From: x</div><div>old</div>", "new<hr>"),
            (
                "new<div class=moz-cite-prefix>On x wrote:<br></div><blockquote type=\"cite\">o</blockquote>",
                "new",
            ),
            ("new<includetail><div>old</div></includetail>", "new"),
            (
                "new<div style='border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm'><p>From:",
                "new",
            ),
            ("new<div id=\"isReplyContent\">old</div>", "new"),
            ("new<div class=gmail_quote>never closed", "new"),
        ] {
            assert_eq!(without_quotes(html).as_deref(), Some(expected), "{html}");
        }
    }

    #[test]
    fn what_the_customer_wrote_is_not_cut() {
        for html in [
            "<p>plain</p>",
            "<blockquote>a citation of their own</blockquote>",
            "<div class=\"my_gmail_quote_like\">x</div>",
            "<div style='border:1px solid'>x</div>",
            "<script>'<div class=gmail_quote>'</script>x",
        ] {
            assert_eq!(without_quotes(html), None, "{html}");
        }
    }
}
