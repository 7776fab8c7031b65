//! What a message says, for each of its types: words for people, and files.
//!
//! A type that is not known is told as such, with whatever words are in it: it is never nothing.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::channel::shared::look;
use crate::channel::shared::sign::hex;
use crate::channel::shared::words::{ending, file_name, with_about};
use crate::model::{Media, MediaRef, MediaSource};

/// More contact cards or goods than this are not told.
const LINES_MAX: usize = 100;
/// What stands in a message under the name of its type.
const KINDS: &[&str] = &[
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "interactive",
    "button",
    "order",
];
/// Longest name of a file, in characters.
const NAME_CHARS_MAX: usize = 200;

/// What a message says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Words {
    /// What the customer said.
    pub(super) text: String,
    /// What belongs to it and is not theirs: the advertisement, the product.
    pub(super) about: Vec<String>,
    /// Files, still at the service.
    pub(super) files: Vec<File>,
    /// Its type is none that we know, or the service itself could not read it.
    pub(super) unknown: bool,
}

/// A file that is still at the service.
#[derive(Debug, PartialEq)]
pub(super) struct File {
    pub(super) kept: Kept,
    pub(super) name: String,
    pub(super) mime: String,
}

/// How a file is asked for: what stands in its [`MediaRef`].
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The service's name for it: good for some weeks.
    pub(super) id: String,
    /// Its hash as the message gave it, base64 or hex.
    pub(super) sha256: Option<String>,
}

/// Reads a message, or the new form of one.
pub(super) fn of(message: &Value) -> Words {
    // A message that does not say what it is is what it holds.
    let holds =
        |kind: &str| message.get(kind).is_some_and(|part| part.is_object() || part.is_array());
    let kind = look::text(message, "/type");
    let kind = kind.or_else(|| KINDS.iter().copied().find(|kind| holds(kind))).unwrap_or_default();
    let mut words = match kind {
        "text" => said(look::text(message, "/text/body").unwrap_or_default()),
        "image" | "video" | "audio" | "document" | "sticker" | "voice" | "ptv" => {
            file(message, kind)
        }
        "location" => said(location(message)),
        "contacts" => said(cards(message)),
        "interactive" => interactive(message),
        "button" => said(look::text(message, "/button/text").unwrap_or_default()),
        "order" => said(order(message)),
        _ => Words::default(),
    };
    if words.text.is_empty() && words.files.is_empty() {
        words.unknown = true;
        words.text = placeholder(message, kind);
    }
    words.about.extend(advertisement(message));
    words.about.extend(product(message));
    words
}

impl Words {
    /// All of it.
    pub(super) fn full(&self) -> String {
        with_about(&self.text, &self.about)
    }

    pub(super) fn media(&self) -> Vec<Media> {
        let media = self.files.iter().map(|file| Media {
            name: file.name.clone(),
            mime: file.mime.clone(),
            inline: false,
            content_id: None,
            source: MediaSource::Remote(MediaRef(serde_json::json!(file.kept).to_string())),
        });
        media.collect()
    }

    /// What the sender wrote, and nothing that differs when it is told again (addresses of files do).
    pub(super) fn digest(&self, answers: Option<&str>) -> String {
        let mut hash = Sha256::new();
        let mut add = |part: &str| {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        };
        add(&self.full());
        add(answers.unwrap_or_default());
        for File { kept, name, mime } in &self.files {
            // The same file has another id each time it is told of; its hash stays.
            add(kept.sha256.as_deref().unwrap_or(&kept.id));
            add(name);
            add(mime);
        }
        hex(&hash.finalize())
    }
}

fn said(text: impl Into<String>) -> Words {
    Words { text: text.into(), ..Words::default() }
}

fn file(message: &Value, kind: &str) -> Words {
    let of = |field: &str| look::text(message, &format!("/{kind}/{field}"));
    let mut words = said(of("caption").unwrap_or_default());
    let Some(id) = look::word(message, &format!("/{kind}/id")) else { return words };
    let mime = of("mime_type").unwrap_or("application/octet-stream");
    let mime = mime.split(';').next().unwrap_or_default().trim().to_lowercase();
    let named = of("filename").map(|name| file_name(name, NAME_CHARS_MAX)).unwrap_or_default();
    let name = if named.is_empty() { format!("{kind}{}", ending(&mime)) } else { named };
    let sha256 = of("sha256").map(str::to_owned);
    words.files.push(File { kept: Kept { id, sha256 }, name, mime });
    words
}

fn location(message: &Value) -> String {
    let of = |field: &str| look::word(message, &format!("/location/{field}"));
    let place = of("latitude").zip(of("longitude"));
    let place = place.map(|(latitude, longitude)| format!("{latitude},{longitude}"));
    let map = place.as_ref().map(|place| format!("https://maps.google.com/?q={place}"));
    let lines = [of("name"), of("address"), place, of("url").or(map)];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Contact cards, one paragraph each.
fn cards(message: &Value) -> String {
    let card = |card: &Value| {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(look::text(card, "/name/formatted_name").map(str::to_owned));
        lines.extend(look::text(card, "/org/company").map(str::to_owned));
        let lists = [("/phones", "/phone"), ("/emails", "/email"), ("/urls", "/url")];
        for (list, field) in lists {
            lines.extend(look::list(card, list).filter_map(|one| look::word(one, field)));
        }
        for address in look::list(card, "/addresses") {
            let parts = ["/street", "/zip", "/city", "/state", "/country"];
            let parts: Vec<_> = parts.iter().filter_map(|part| look::word(address, part)).collect();
            lines.push(parts.join(", "));
        }
        lines.extend(look::word(card, "/birthday"));
        lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
    };
    let cards = look::list(message, "/contacts").take(LINES_MAX).map(card);
    cards.filter(|card| !card.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// What was chosen in something that we (or another program of the business) sent.
fn interactive(message: &Value) -> Words {
    let of = |pointer: &str| look::text(message, &format!("/interactive{pointer}"));
    match of("/type").unwrap_or_default() {
        "button_reply" => said(of("/button_reply/title").unwrap_or_default()),
        "list_reply" => {
            let lines = [of("/list_reply/title"), of("/list_reply/description")];
            said(lines.into_iter().flatten().collect::<Vec<_>>().join("\n"))
        }
        "nfm_reply" => form(message),
        "call_permission_reply" => match of("/call_permission_reply/response") {
            Some("accept") => said("[allows us to call]"),
            Some("reject") => said("[does not want to be called]"),
            Some(_) | None => Words::default(),
        },
        _ => Words::default(),
    }
}

/// A form that was filled in: its answers are JSON within JSON.
fn form(message: &Value) -> Words {
    let body = look::text(message, "/interactive/nfm_reply/body");
    let name = look::text(message, "/interactive/nfm_reply/name");
    let given = look::text(message, "/interactive/nfm_reply/response_json").unwrap_or_default();
    let mut lines: Vec<String> = body.or(name).map(str::to_owned).into_iter().collect();
    if let Ok(Value::Object(answers)) = serde_json::from_str::<Value>(given) {
        let told = answers.iter().filter(|(key, _)| *key != "flow_token").take(LINES_MAX);
        lines.extend(told.map(|(key, answer)| match answer.as_str() {
            Some(text) => format!("{key}: {text}"),
            None => format!("{key}: {answer}"),
        }));
    }
    said(lines.join("\n"))
}

fn order(message: &Value) -> String {
    let mut lines: Vec<String> =
        look::text(message, "/order/text").map(str::to_owned).into_iter().collect();
    for goods in look::list(message, "/order/product_items").take(LINES_MAX) {
        let of = |field: &str| look::word(goods, field).unwrap_or_default();
        let price = [of("/item_price"), of("/currency")].join(" ");
        let line = format!("{} × {}", of("/quantity"), of("/product_retailer_id"));
        lines.push(if price.trim().is_empty() { line } else { format!("{line}, {price} each") });
    }
    lines.join("\n")
}

/// For what cannot be shown: what it is, why, and whatever words are in it.
fn placeholder(message: &Value, kind: &str) -> String {
    let inner = look::text(message, "/unsupported/type").filter(|_| kind == "unsupported");
    let named: String = inner.unwrap_or(kind).chars().take(40).collect();
    let mut lines = vec![match named.as_str() {
        "" | "unsupported" => "[a message that WhatsApp does not pass on]".to_owned(),
        named => format!("[a message of the type «{named}», which cannot be shown here]"),
    }];
    for field in ["text", "body", "title", "caption", "name", "question"] {
        lines.extend(look::text(message, &format!("/{kind}/{field}")).map(str::to_owned));
    }
    for error in look::list(message, "/errors").take(3) {
        let told = look::text(error, "/error_data/details").or_else(|| look::text(error, "/title"));
        lines.extend(told.map(str::to_owned));
    }
    lines.join("\n")
}

/// The advertisement or post through which the customer came.
fn advertisement(message: &Value) -> Option<String> {
    let of = |field: &str| look::text(message, &format!("/referral/{field}"));
    let parts = [of("headline"), of("body"), of("source_url")];
    let parts: Vec<&str> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("— Came by: {}", parts.join(" · ")))
}

/// The product under which the customer wrote.
fn product(message: &Value) -> Option<String> {
    let product = look::word(message, "/context/referred_product/product_retailer_id")?;
    let catalog = look::word(message, "/context/referred_product/catalog_id");
    let catalog = catalog.map(|catalog| format!(" (catalogue {catalog})")).unwrap_or_default();
    Some(format!("— About the product: {product}{catalog}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_is_told_as_such_with_its_words() {
        let poll = json!({ "type": "poll", "poll": { "question": "Tea or coffee?" } });
        let words = of(&poll);
        assert!(words.unknown);
        assert_eq!(
            words.text,
            "[a message of the type «poll», which cannot be shown here]\nTea or coffee?"
        );
        for odd in [json!({}), json!({ "type": 7 }), json!({ "type": "text" }), json!([1])] {
            let words = of(&odd);
            assert!(words.unknown && !words.text.is_empty(), "{odd}");
        }
        let lost = json!({ "type": "image", "image": { "mime_type": "image/png" } });
        assert!(of(&lost).text.contains("«image»"));
    }

    #[test]
    fn a_file_has_a_name_without_a_path_and_a_plain_type() {
        let of_file = |file: Value| {
            let words = of(&json!({ "type": "document", "document": file }));
            let media = words.media().remove(0);
            (media.name, media.mime)
        };
        let named = of_file(json!({ "id": 7, "filename": "../../etc/pass\u{0}wd",
            "mime_type": "APPLICATION/PDF; x=y" }));
        assert_eq!(named, ("passwd".to_owned(), "application/pdf".to_owned()));
        let nameless =
            of_file(json!({ "id": "7", "filename": "..", "mime_type": "application/pdf" }));
        assert_eq!(nameless.0, "document.pdf");
        assert_eq!(of_file(json!({ "id": "7" })).1, "application/octet-stream");
    }

    #[test]
    fn telling_it_again_changes_no_digest_and_other_words_do() {
        let image = |id: &str, url: &str, sha: &str| {
            json!({ "type": "image", "image": { "id": id, "url": url, "sha256": sha,
                "mime_type": "image/jpeg" } })
        };
        let digest = |message: &Value| of(message).digest(None);
        let first = digest(&image("1", "https://a", "abc"));
        assert_eq!(first, digest(&image("1", "https://b", "abc")));
        assert_ne!(first, digest(&image("1", "https://a", "other")));
        let text = |body: &str| json!({ "type": "text", "text": { "body": body } });
        assert_ne!(digest(&text("a")), digest(&text("b")));
        assert_ne!(of(&text("a")).digest(Some("x")), digest(&text("a")));
    }
}
