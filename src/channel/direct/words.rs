//! What a message says, whatever is in it: words for people, and files.
//!
//! What is not known is told as such, with whatever words are in it: it is never nothing.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::channel::shared::graph::media::{Hosts, Kept, media};
use crate::channel::shared::look;
use crate::channel::shared::sign::hex;
use crate::channel::shared::words::with_about;
use crate::model::{Media, link_code};

/// More attachments than this are not told.
const PARTS_MAX: usize = 100;

/// What a message says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Words {
    /// What the customer said.
    pub(super) text: String,
    /// What belongs to it and is not theirs: the story, the advertisement.
    pub(super) about: Vec<String>,
    /// Files, still at the service: what they are, and where.
    files: Vec<(String, Kept)>,
    /// What it is made of: the same however often it is told, as addresses of files are not.
    parts: Vec<String>,
    /// There is something in it that cannot be shown.
    pub(super) unknown: bool,
}

impl Words {
    /// All of it.
    pub(super) fn full(&self) -> String {
        with_about(&self.text, &self.about)
    }

    pub(super) fn media(&self) -> Vec<Media> {
        self.files.iter().map(|(kind, kept)| media(kind, kept)).collect()
    }

    /// What the sender wrote, and nothing that differs when it is told again.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for part in std::iter::once(&self.text).chain(&self.parts) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        hex(&hash.finalize())
    }

    fn line(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref().trim();
        if line.is_empty() {
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(line);
    }
}

/// Reads a message. `service`: what people call it; `hosts`: where its files lie.
pub(super) fn of(message: &Value, mid: &str, service: &str, hosts: &Hosts) -> Words {
    let mut words = Words::default();
    words.line(look::text(message, "/text").unwrap_or_default());
    let attachments: Vec<&Value> = look::list(message, "/attachments").take(PARTS_MAX).collect();
    for (place, attachment) in attachments.iter().enumerate() {
        if !repeats_a_sticker(attachment, &attachments) {
            let kept = |url: &str| Kept::of(url, Some((mid, place)));
            add(&mut words, attachment, &kept, hosts);
        }
    }
    if words.text.is_empty() {
        words.line(look::text(message, "/quick_reply/payload").unwrap_or_default());
    }
    if message.pointer("/is_unsupported") == Some(&Value::Bool(true))
        || (words.text.is_empty() && words.files.is_empty())
    {
        words.unknown = true;
        words.line(format!("[a message that {service} does not pass on]"));
    }
    if let Some(url) = look::text(message, "/reply_to/story/url") {
        words.about.push("— About your story".to_owned());
        words.files.push(("story".to_owned(), Kept::of(url, None)));
    } else if message.pointer("/reply_to/story").is_some() {
        words.about.push("— About your story, which is gone".to_owned());
    }
    words.about.extend(came_by(message, "/referral"));
    words
}

/// What was pressed.
pub(super) fn of_postback(postback: &Value) -> Words {
    let mut words = Words::default();
    let pressed = ["/title", "/payload"].iter().find_map(|at| look::text(postback, at));
    words.line(pressed.unwrap_or("[a button]"));
    words.about.extend(came_by(postback, "/referral"));
    words
}

/// What is no message, and no button either: by its name, with all that is in it.
pub(super) fn of_new(kind: &str, facts: &[String]) -> Words {
    let mut words = Words { unknown: true, ..Words::default() };
    let kind: String = kind.chars().filter(|c| !c.is_control()).take(40).collect();
    words.line(format!("[something of the type «{kind}», which cannot be shown here]"));
    facts.iter().for_each(|fact| words.line(fact));
    words
}

/// The picture that old programs are sent beside a sticker.
fn repeats_a_sticker(attachment: &Value, all: &[&Value]) -> bool {
    if look::text(attachment, "/type") != Some("image") {
        return false;
    }
    let stickers: Vec<_> =
        all.iter().filter(|one| look::text(one, "/type") == Some("sticker")).collect();
    let same = |at: &str| {
        let own = look::word(attachment, at);
        own.is_some() && stickers.iter().any(|one| look::word(one, at) == own)
    };
    // Where neither tells: a sticker is always sent alone.
    let alone = stickers.len() == 1 && all.len() == 2;
    same("/payload/sticker_id") || same("/payload/url") || alone
}

fn add(words: &mut Words, attachment: &Value, kept: &dyn Fn(&str) -> Kept, hosts: &Hosts) {
    let kind = look::text(attachment, "/type").unwrap_or_default();
    let url = look::text(attachment, "/payload/url").or_else(|| look::text(attachment, "/url"));
    let title =
        look::text(attachment, "/payload/title").or_else(|| look::text(attachment, "/title"));
    let sticker = look::word(attachment, "/payload/sticker_id").unwrap_or_default();
    words.parts.push(format!("{kind}{sticker}"));
    let file = |words: &mut Words, url: &str| words.files.push((kind.to_owned(), kept(url)));
    match kind {
        "image" | "video" | "audio" | "file" | "sticker" => match url {
            Some(url) => file(words, url),
            None => cannot_be_shown(words, kind, title),
        },
        "location" => location(words, attachment, title),
        "template" => template(words, attachment),
        "story_mention" => {
            words.line("[mentioned you in their story]");
            if let Some(url) = url {
                file(words, url);
            }
        }
        // A page on the web, or something that lies at the service.
        "fallback" | "share" | "reel" | "ig_reel" | "ig_post" | "ig_story" | "post" => {
            words.line(title.unwrap_or_default());
            match url {
                Some(url) if hosts.have(url) => file(words, url),
                Some(url) => words.line(url),
                None if title.is_none() => cannot_be_shown(words, kind, None),
                None => {}
            }
        }
        "ephemeral" => {
            words.unknown = true;
            words.line("[a picture that can be seen once: look for it in the app]");
        }
        _ => {
            cannot_be_shown(words, kind, title);
            if let Some(url) = url.filter(|url| hosts.have(url)) {
                file(words, url);
            }
        }
    }
}

fn cannot_be_shown(words: &mut Words, kind: &str, title: Option<&str>) {
    words.unknown = true;
    let kind: String = kind.chars().filter(|c| !c.is_control()).take(40).collect();
    words.line(format!("[something of the type «{kind}», which cannot be shown here]"));
    words.line(title.unwrap_or_default());
}

fn location(words: &mut Words, attachment: &Value, title: Option<&str>) {
    words.line(title.unwrap_or_default());
    let of = |field: &str| look::word(attachment, &format!("/payload/coordinates/{field}"));
    match of("lat").zip(of("long")) {
        Some((lat, long)) => {
            words.line(format!("{lat},{long}"));
            words.line(format!("https://maps.google.com/?q={lat},{long}"));
        }
        None if title.is_none() => cannot_be_shown(words, "location", None),
        None => {}
    }
}

/// Cards, buttons, goods: their words.
fn template(words: &mut Words, attachment: &Value) {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(look::text(attachment, "/payload/text").map(str::to_owned));
    let lists = ["/payload/elements", "/payload/product/elements", "/payload/generic/elements"];
    for element in lists.iter().flat_map(|list| look::list(attachment, list)).take(PARTS_MAX) {
        let texts = ["/title", "/subtitle", "/url"];
        lines.extend(texts.iter().filter_map(|at| look::text(element, at)).map(str::to_owned));
    }
    for button in look::list(attachment, "/payload/buttons").take(PARTS_MAX) {
        lines.extend(look::text(button, "/title").map(|title| format!("[{title}]")));
    }
    if lines.is_empty() {
        cannot_be_shown(words, "template", look::text(attachment, "/title"));
    }
    lines.iter().for_each(|line| words.line(line));
}

/// The advertisement, link or product through which the customer came.
fn came_by(value: &Value, at: &str) -> Option<String> {
    let of = |field: &str| look::word(value, &format!("{at}/{field}"));
    let parts = [
        of("ads_context_data/ad_title"),
        of("product/id").map(|id| format!("product {id}")),
        // A code of ours is a secret, and no words.
        of("ref").filter(|said| link_code(said).is_none()),
        of("referer_uri"),
        of("ad_id").map(|id| format!("advertisement {id}")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("— Came by: {}", parts.join(" · ")))
}
