//! May we answer now, and in how many parts?

use std::sync::LazyLock;
use std::time::Duration;

use super::split::measure;
use super::split_html::split_html;
use super::{Scanner, SecretSort, split};
use crate::channel::shared::html::plain;
use crate::model::{Capabilities, Choice, TextUnit, Timestamp};

/// What an agent (or a program in our name) wants to send.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Plain text.
    pub text: String,
    /// The same as HTML, already sanitised.
    pub html: Option<String>,
    /// Sizes of the attachments in bytes.
    pub attachments: Vec<u64>,
    /// How many people get a copy.
    pub copies: usize,
    /// Towards somebody who has not written on this channel.
    pub opens: bool,
    /// It is a message that the service approved beforehand.
    pub template: bool,
    /// To the author of what it answers alone, and not in public.
    pub private: bool,
}

/// One delivery of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyPart {
    /// Its text.
    pub text: String,
    /// The same, formatted.
    pub html: Option<String>,
    /// The attachments that go with this part, by their places in the draft.
    pub attachments: Vec<usize>,
    /// Buttons below it.
    pub choices: Vec<Choice>,
}

/// Why a reply cannot be sent; the text is for the agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotReply {
    /// Nothing to send.
    #[error("the reply is empty")]
    Empty,
    /// Too many or too large attachments.
    #[error("the channel takes at most {count_max} attachments of together {bytes_max} bytes")]
    Attachments {
        /// How many.
        count_max: u16,
        /// All together.
        bytes_max: u64,
    },
    /// The channel only answers.
    #[error("on this channel the customer has to write first")]
    Opens,
    /// The service's window is over.
    #[error("the customer last wrote too long ago: the service lets nothing through any more")]
    WindowClosed,
    /// The service's window is over, but for what it approved beforehand.
    #[error(
        "the customer has not written within the last {hours} hours: until they do, the service lets through \
         nothing but a `template` that it has approved"
    )]
    NeedsTemplate {
        /// How long the window is.
        hours: u64,
    },
    /// The channel has no such thing.
    #[error("this channel has no templates")]
    NoTemplates,
    /// A template is complete in itself.
    #[error("a template takes no attachments: name them in its components")]
    TemplateFiles,
    /// The channel has no such thing.
    #[error(
        "this channel has no `private` replies: what is written here is not public, or answered in public only"
    )]
    NoPrivate,
    /// Longer, or with files.
    #[error("a private reply is one text of at most {max} {unit}, without files")]
    PrivateForm {
        /// How long.
        max: u32,
        /// In what that is counted.
        unit: &'static str,
    },
    /// The service's window is over.
    #[error("what was written can be answered in private for {days} days only: answer in public")]
    PrivateTooLate {
        /// How long the window is.
        days: u64,
    },
    /// The channel has no copies.
    #[error("this channel has no copies to others")]
    Copies,
    /// What nobody may ever send, whoever asked for it.
    #[error("the reply holds a {0}: such a thing is never sent; whoever has it has the money")]
    Secret(&'static str),
    /// What is sent there makes a telephone ring.
    #[error("a reply on this channel is a telephone call: nothing is sent there by itself")]
    Spoken,
    /// Something within the text.
    #[error("the text holds a character that cannot be sent (NUL)")]
    Text,
}

/// What opens a wallet or pays. Codes and passwords may be what a reply is for.
static NEVER_SENT: LazyLock<Scanner> = LazyLock::new(|| {
    let sorts =
        [SecretSort::SeedPhrase, SecretSort::PrivateKey, SecretSort::Keystore, SecretSort::Card];
    Scanner::new(sorts.into(), Vec::new())
});

/// What must not be sent in a text, if anything must not.
#[must_use]
pub fn never_sent(text: &str) -> Option<&'static str> {
    NEVER_SENT.scan(text).first().map(|find| find.sort.words())
}

/// The same in a draft.
fn secret_in(draft: &Draft) -> Option<&'static str> {
    let in_text = NEVER_SENT.scan(&draft.text).first().map(|find| find.sort);
    let in_html = || {
        let masked = NEVER_SENT.mask_html(draft.html.as_deref()?)?;
        masked.sorts.first().copied()
    };
    in_text.or_else(in_html).map(SecretSort::words)
}

/// The parts in which a draft goes out, in order. `now`: when it is to go out, if that is later.
pub fn parts(
    draft: &Draft,
    can: &Capabilities,
    last_inbound_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Vec<ReplyPart>, CannotReply> {
    if draft.text.trim().is_empty() && draft.html.is_none() && draft.attachments.is_empty() {
        return Err(CannotReply::Empty);
    }
    if draft.text.contains('\0') {
        return Err(CannotReply::Text);
    }
    if let Some(secret) = secret_in(draft) {
        return Err(CannotReply::Secret(secret));
    }
    if draft.opens && !can.opens {
        return Err(CannotReply::Opens);
    }
    if draft.copies > 0 && !can.copies {
        return Err(CannotReply::Copies);
    }
    if draft.template {
        return template(draft, can);
    }
    if draft.private {
        return private(draft, can, last_inbound_at, now);
    }
    let bytes: u64 = draft.attachments.iter().sum();
    if bytes > can.media.bytes_max || draft.attachments.len() > usize::from(can.media.count_max) {
        let (count_max, bytes_max) = (can.media.count_max, can.media.bytes_max);
        return Err(CannotReply::Attachments { count_max, bytes_max });
    }
    let open = |window: Duration| last_inbound_at.is_some_and(|at| now < at + window);
    if let Some(window) = can.reply_window.filter(|window| !open(*window)) {
        return Err(match can.templates {
            true => CannotReply::NeedsTemplate { hours: window.as_secs() / 3600 },
            false => CannotReply::WindowClosed,
        });
    }
    let mut parts = words(draft, can);
    let files = 0..draft.attachments.len();
    if can.media.apart {
        parts.retain(|part| !part.text.trim().is_empty() || part.html.is_some());
        parts.extend(files.map(|file| ReplyPart {
            text: String::new(),
            html: None,
            attachments: vec![file],
            choices: Vec::new(),
        }));
    } else if let Some(first) = parts.first_mut() {
        first.attachments = files.collect();
    }
    Ok(parts)
}

/// The words of a draft, cut where they are too long, with their formatting where the service has any.
fn words(draft: &Draft, can: &Capabilities) -> Vec<ReplyPart> {
    let part = |text: String, html| ReplyPart { html, ..only(&text) };
    let texts = split(&draft.text, can.text);
    if let Some(html) = draft.html.as_ref().filter(|_| can.html) {
        let htmls = split_html(html, can.text);
        if let ([_], [text]) = (htmls.as_slice(), texts.as_slice()) {
            return vec![part(text.clone(), Some(html.clone()))];
        }
        let both: Vec<_> = htmls.into_iter().map(|html| part(plain(&html), Some(html))).collect();
        let fits = |part: &ReplyPart| measure(&part.text, can.text.unit) <= u64::from(can.text.max);
        if both.iter().all(fits) {
            return both;
        }
    }
    texts.into_iter().map(|text| part(text, None)).collect()
}

/// One message to whoever wrote in public: the service takes no second one.
fn private(
    draft: &Draft,
    can: &Capabilities,
    last_inbound_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Vec<ReplyPart>, CannotReply> {
    let Some(can) = can.private.filter(|_| !draft.opens) else {
        return Err(CannotReply::NoPrivate);
    };
    if last_inbound_at.is_none_or(|at| now >= at + can.window) {
        return Err(CannotReply::PrivateTooLate { days: can.window.as_secs() / 86_400 });
    }
    let text = draft.text.trim();
    if text.is_empty() || !draft.attachments.is_empty() || split(text, can.text).len() > 1 {
        let unit = match can.text.unit {
            TextUnit::Bytes => "bytes",
            TextUnit::Chars | TextUnit::Utf16 | TextUnit::Segments | TextUnit::NumberedSegments => {
                "characters"
            }
        };
        return Err(CannotReply::PrivateForm { max: can.text.max, unit });
    }
    Ok(vec![only(text)])
}

/// Words and nothing else.
fn only(text: &str) -> ReplyPart {
    ReplyPart { text: text.to_owned(), html: None, attachments: Vec::new(), choices: Vec::new() }
}

/// What was approved beforehand goes out as it is, in one delivery, whatever the window.
fn template(draft: &Draft, can: &Capabilities) -> Result<Vec<ReplyPart>, CannotReply> {
    if !can.templates {
        return Err(CannotReply::NoTemplates);
    }
    if !draft.attachments.is_empty() {
        return Err(CannotReply::TemplateFiles);
    }
    Ok(vec![only(&draft.text)])
}

#[cfg(test)]
pub(super) mod tests {
    use chrono::TimeZone as _;

    use super::*;
    use crate::model::{
        MediaLimit, PrivateReply, Rate, Receipts, Resend, Support, TextLimit, TextUnit,
    };

    fn now() -> Timestamp {
        chrono::Utc.with_ymd_and_hms(2026, 11, 26, 8, 0, 0).unwrap()
    }

    pub(in crate::desk) fn can() -> Capabilities {
        Capabilities {
            text: TextLimit { max: 10, unit: TextUnit::Chars },
            media: MediaLimit { bytes_max: 100, count_max: 2, apart: false },
            subject: true,
            html: true,
            copies: false,
            signs: false,
            edit: Support::No,
            delete: Support::No,
            receipts: Receipts::Never,
            resend: Resend::Safe,
            opens: false,
            reply_window: Some(Duration::from_secs(3600)),
            templates: false,
            private: None,
            choices: None,
            rate: Rate { per_minute: 0, per_recipient: Duration::ZERO, in_flight_max: 1 },
        }
    }

    fn draft(text: &str) -> Draft {
        Draft {
            text: text.to_owned(),
            html: None,
            attachments: Vec::new(),
            copies: 0,
            opens: false,
            template: false,
            private: false,
        }
    }

    fn plan(draft: &Draft, can: &Capabilities) -> Result<Vec<ReplyPart>, CannotReply> {
        parts(draft, can, Some(now()), now())
    }

    #[test]
    fn each_no_has_its_reason() {
        assert_eq!(plan(&draft(" \n"), &can()), Err(CannotReply::Empty));
        assert_eq!(plan(&draft("a\0b"), &can()), Err(CannotReply::Text));
        let opens = Draft { opens: true, ..draft("hi") };
        assert_eq!(plan(&opens, &can()), Err(CannotReply::Opens));
        let copies = Draft { copies: 1, ..draft("hi") };
        assert_eq!(plan(&copies, &can()), Err(CannotReply::Copies));
        let limit = CannotReply::Attachments { count_max: 2, bytes_max: 100 };
        for attachments in [vec![1, 1, 1], vec![101], vec![60, 60]] {
            let heavy = Draft { attachments, ..draft("hi") };
            assert_eq!(plan(&heavy, &can()), Err(limit.clone()));
        }
        assert!(plan(&Draft { attachments: vec![50, 50], ..draft("") }, &can()).is_ok());
    }

    #[test]
    fn what_opens_a_wallet_is_never_sent() {
        let phrase = "legal winner thank year wave sausage worth useful legal winner thank yellow";
        let refused = Err(CannotReply::Secret("seed phrase"));
        assert_eq!(plan(&draft(phrase), &can()), refused);
        let html = Some(format!("<p>{}</p>", phrase.replace(' ', "</p><p>")));
        assert_eq!(plan(&Draft { html, ..draft("see") }, &can()), refused);
        let key = "your key: 5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";
        assert_eq!(plan(&draft(key), &can()), Err(CannotReply::Secret("private key")));
        for harmless in ["code 123456", "never tell it"] {
            assert!(plan(&draft(harmless), &can()).is_ok(), "{harmless}");
        }
    }

    #[test]
    fn a_window_closes_at_its_end_and_is_closed_where_nobody_wrote() {
        let at = |minutes: i64| {
            let later = now() + chrono::Duration::minutes(minutes);
            parts(&draft("hi"), &can(), Some(now()), later)
        };
        assert!(at(59).is_ok());
        assert_eq!(at(60), Err(CannotReply::WindowClosed));
        assert_eq!(parts(&draft("hi"), &can(), None, now()), Err(CannotReply::WindowClosed));
        let free = Capabilities { reply_window: None, ..can() };
        assert!(parts(&draft("hi"), &free, None, now()).is_ok());
    }

    /// COMPLAINTS M3, M8: outside the window agents are told what goes through, and that does.
    #[test]
    fn m3_m8_a_template_goes_through_a_closed_window_and_nothing_else_does() {
        let none = can();
        let can = Capabilities { templates: true, opens: true, ..can() };
        let late = now() + chrono::Duration::hours(2);
        let at = |draft: &Draft, wrote| parts(draft, &can, wrote, late);
        let needs = CannotReply::NeedsTemplate { hours: 1 };
        assert!(needs.to_string().contains("`template`"));
        assert_eq!(at(&draft("hi"), Some(now())), Err(needs));
        let template =
            Draft { template: true, ..draft("[welcome, en_US]\nAnna and many more words") };
        let opens = Draft { opens: true, ..template.clone() };
        for (draft, wrote) in [(&template, Some(now())), (&template, None), (&opens, None)] {
            let parts = at(draft, wrote).unwrap();
            assert_eq!(parts.len(), 1, "longer than a text may be, and whole");
        }
        let files = Draft { attachments: vec![1], ..template.clone() };
        assert_eq!(at(&files, None), Err(CannotReply::TemplateFiles));
        assert_eq!(plan(&template, &none), Err(CannotReply::NoTemplates));
    }

    #[test]
    fn a_private_reply_is_one_short_text_in_time_where_there_is_such_a_thing() {
        let none = can();
        let text = TextLimit { max: 10, unit: TextUnit::Chars };
        let window = Duration::from_secs(7 * 86_400);
        // No reply window: in public it is never too late.
        let can = Capabilities {
            private: Some(PrivateReply { text, window }),
            reply_window: None,
            ..can()
        };
        let quiet = Draft { private: true, ..draft(" write us ") };
        let only = only("write us");
        assert_eq!(plan(&quiet, &can), Ok(vec![only]));
        assert_eq!(plan(&quiet, &none), Err(CannotReply::NoPrivate));
        let form = Err(CannotReply::PrivateForm { max: 10, unit: "characters" });
        assert_eq!(plan(&Draft { attachments: vec![1], ..quiet.clone() }, &can), form);
        assert_eq!(plan(&Draft { private: true, ..draft("far too long") }, &can), form);
        let late = now() + chrono::Duration::days(7);
        let too_late = Err(CannotReply::PrivateTooLate { days: 7 });
        assert_eq!(parts(&quiet, &can, Some(now()), late), too_late);
        assert_eq!(parts(&quiet, &can, None, now()), too_late);
        assert!(parts(&draft("in public"), &can, Some(now()), late).is_ok());
    }

    #[test]
    fn files_go_with_the_first_part_and_html_with_each() {
        let html = Some("<b>hi</b>".to_owned());
        let short = Draft { html: html.clone(), attachments: vec![1], ..draft("hi") };
        let only = ReplyPart { html: html.clone(), attachments: vec![0], ..only("hi") };
        assert_eq!(plan(&short, &can()).unwrap(), [only]);
        let html = Some("<b>one two three four</b>".to_owned());
        let long = Draft { html, attachments: vec![1], ..draft("one two three four") };
        let parts = plan(&long, &can()).unwrap();
        let files: Vec<usize> = parts.iter().map(|part| part.attachments.len()).collect();
        assert_eq!(files, [1, 0]);
        let told = parts.iter().map(|part| (part.text.as_str(), part.html.as_deref().unwrap()));
        let told: Vec<_> = told.collect();
        assert_eq!(told, [("one two", "<b>one two </b>"), ("three four", "<b>three four</b>")]);
        let plain = Capabilities { html: false, ..can() };
        assert!(plan(&short, &plain).unwrap()[0].html.is_none());
    }

    #[test]
    fn where_files_go_apart_each_comes_after_the_text() {
        let apart = Capabilities { media: MediaLimit { apart: true, ..can().media }, ..can() };
        let shape = |draft: &Draft| {
            let parts = plan(draft, &apart).unwrap();
            parts.into_iter().map(|part| (part.text, part.attachments)).collect::<Vec<_>>()
        };
        let both = Draft { attachments: vec![1, 2], ..draft("one two three") };
        let (first, second) = ("one two".to_owned(), "three".to_owned());
        let file = |place| (String::new(), vec![place]);
        assert_eq!(shape(&both), [(first, vec![]), (second, vec![]), file(0), file(1)]);
        let wordless = Draft { attachments: vec![1, 2], ..draft("") };
        assert_eq!(shape(&wordless), [file(0), file(1)]);
    }
}
