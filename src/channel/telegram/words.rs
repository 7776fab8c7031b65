//! What a message says, for each of its kinds: words for people, and files.
//!
//! A kind that is not known is told as such, with whatever words are in it: it is never nothing.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::entities;
use crate::channel::shared::look;
use crate::channel::shared::sign::hex;
use crate::channel::shared::words::{file_name, with_about};
use crate::model::{Media, MediaRef, MediaSource};

/// More options of a poll or tasks of a list are not told.
const LINES_MAX: usize = 100;
/// Longest name of a file, in characters.
const NAME_CHARS_MAX: usize = 200;

/// What a message says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Words {
    /// What the customer said.
    pub(super) text: String,
    /// The same with its formatting, made safe.
    pub(super) html: Option<String>,
    /// What belongs to it and is not theirs: what they quote, where links lead.
    pub(super) about: Vec<String>,
    /// Files, still at the service.
    pub(super) files: Vec<File>,
    /// Its kind is none that we know.
    pub(super) unknown: bool,
}

/// A file that is still at the service.
#[derive(Debug, PartialEq)]
pub(super) struct File {
    /// What it is asked for by; it may change.
    pub(super) id: String,
    /// What it is known by: the same for ever.
    pub(super) unique: String,
    pub(super) name: String,
    pub(super) mime: String,
}

/// What a message has instead of words where the service tells of the chat.
const SERVICE: &[&str] = &[
    "new_chat_members",
    "new_chat_member",
    "left_chat_member",
    "new_chat_title",
    "new_chat_photo",
    "delete_chat_photo",
    "group_chat_created",
    "supergroup_chat_created",
    "channel_chat_created",
    "message_auto_delete_timer_changed",
    "pinned_message",
    "write_access_allowed",
    "proximity_alert_triggered",
    "boost_added",
    "chat_background_set",
    "connected_website",
    "forum_topic_created",
    "forum_topic_edited",
    "forum_topic_closed",
    "forum_topic_reopened",
    "general_forum_topic_hidden",
    "general_forum_topic_unhidden",
    "video_chat_scheduled",
    "video_chat_started",
    "video_chat_ended",
    "video_chat_participants_invited",
    "giveaway_created",
    "giveaway_completed",
    "checklist_tasks_done",
    "checklist_tasks_added",
    "direct_message_price_changed",
    "paid_message_price_changed",
    "chat_owner_left",
    "chat_owner_changed",
    "managed_bot_created",
];

/// Does it only tell of the chat?
pub(super) fn is_service(message: &Value) -> bool {
    let says = ["/text", "/caption"].iter().any(|field| look::text(message, field).is_some());
    !says && SERVICE.iter().any(|field| message.get(field).is_some())
}

/// Reads a message.
pub(super) fn of(message: &Value) -> Words {
    let mut words = Words::default();
    for (field, marks) in [("/text", "/entities"), ("/caption", "/caption_entities")] {
        let Some(text) = look::text(message, field) else { continue };
        let marks: Vec<&Value> = look::list(message, marks).collect();
        text.clone_into(&mut words.text);
        words.html = entities::html(text, &marks);
        words.about.extend(entities::links(text, &marks));
        break;
    }
    words.files = files(message);
    if let Some(told) = told(message) {
        if !words.text.is_empty() {
            words.text.push('\n');
        }
        words.text.push_str(&told);
    }
    if words.text.is_empty() && words.files.is_empty() {
        words.unknown = true;
        words.text = placeholder(message);
    }
    words.about.extend(quoted(message));
    words
}

impl Words {
    /// All of it.
    pub(super) fn full(&self) -> String {
        with_about(&self.text, &self.about)
    }

    /// Over what the sender wrote.
    pub(super) fn digest(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.text.as_bytes());
        for file in &self.files {
            hash.update([0]);
            hash.update(file.unique.as_bytes());
        }
        hex(&hash.finalize())
    }

    pub(super) fn media(&self) -> Vec<Media> {
        let media = self.files.iter().map(|file| Media {
            name: file.name.clone(),
            mime: file.mime.clone(),
            inline: false,
            content_id: None,
            source: MediaSource::Remote(MediaRef(file.id.clone())),
        });
        media.collect()
    }
}

/// The words on the button whose data this is.
pub(super) fn label<'v>(query: &'v Value, data: &str) -> Option<&'v str> {
    let rows = look::list(query, "/message/reply_markup/inline_keyboard");
    let mut buttons = rows.filter_map(Value::as_array).flatten();
    let button = buttons.find(|button| look::text(button, "/callback_data") == Some(data))?;
    look::text(button, "/text")
}

/// Files in the order in which people would look at them; those that were paid for stand in a list of their own.
fn files(message: &Value) -> Vec<File> {
    let paid = look::list(message, "/paid_media/paid_media").take(LINES_MAX);
    std::iter::once(message).chain(paid).flat_map(bare_files).collect()
}

fn bare_files(message: &Value) -> Vec<File> {
    let mut files = Vec::new();
    let animation = message.get("animation").is_some();
    for (field, mime, ending) in [
        ("animation", "video/mp4", "mp4"),
        ("document", "application/octet-stream", "bin"),
        ("live_photo", "video/mp4", "mp4"),
        ("video", "video/mp4", "mp4"),
        ("audio", "audio/mpeg", "mp3"),
        ("voice", "audio/ogg", "ogg"),
        ("video_note", "video/mp4", "mp4"),
        ("sticker", "image/webp", "webp"),
    ] {
        // What moves is told as a document as well.
        let Some(told) = message.get(field).filter(|_| field != "document" || !animation) else {
            continue;
        };
        let is = |what: &str| told.get(what) == Some(&Value::Bool(true));
        let (mime, ending) = match field {
            "sticker" if is("is_animated") => ("application/x-tgsticker", "tgs"),
            "sticker" if is("is_video") => ("video/webm", "webm"),
            _ => (mime, ending),
        };
        files.extend(file(told, field, mime, ending));
    }
    // The sizes of one picture: the largest.
    let area = |size: &&Value| {
        let side = |pointer| size.pointer(pointer).and_then(Value::as_u64).unwrap_or_default();
        side("/width").saturating_mul(side("/height"))
    };
    let largest = look::list(message, "/photo").max_by_key(area);
    files.extend(largest.and_then(|size| file(size, "photo", "image/jpeg", "jpg")));
    files
}

fn file(told: &Value, kind: &str, mime: &str, ending: &str) -> Option<File> {
    let id = look::word(told, "/file_id")?;
    let unique = look::word(told, "/file_unique_id").unwrap_or_else(|| id.clone());
    let given = look::text(told, "/mime_type")
        .map(|mime| mime.split(';').next().unwrap_or_default().trim().to_lowercase());
    let sane = |mime: &String| {
        let plain = |c: char| c.is_ascii_graphic() && !"\"\\<>()".contains(c);
        mime.len() <= 100 && mime.split('/').count() == 2 && mime.chars().all(plain)
    };
    let mime = given.filter(sane).unwrap_or_else(|| mime.to_owned());
    let named = look::text(told, "/file_name").map(|name| file_name(name, NAME_CHARS_MAX));
    let named = named.filter(|name| !name.is_empty());
    let safe: String = unique.chars().filter(char::is_ascii_alphanumeric).take(40).collect();
    let name = named.unwrap_or_else(|| format!("{kind}_{safe}.{ending}"));
    Some(File { id, unique, name, mime })
}

/// What is neither text nor file, in words.
fn told(message: &Value) -> Option<String> {
    let text = |pointer| look::text(message, pointer).unwrap_or_default();
    let word = |pointer| look::word(message, pointer).unwrap_or_default();
    let is = |field: &str| message.get(field).is_some();
    let told = if is("venue") {
        let place = (word("/venue/location/latitude"), word("/venue/location/longitude"));
        format!(
            "[place: {}, {}: {}, {}]",
            text("/venue/title"),
            text("/venue/address"),
            place.0,
            place.1
        )
    } else if is("location") {
        let place = (word("/location/latitude"), word("/location/longitude"));
        format!(
            "[place: {}, {}: https://www.openstreetmap.org/?mlat={}&mlon={}]",
            place.0, place.1, place.0, place.1
        )
    } else if is("contact") {
        let name = [text("/contact/first_name"), text("/contact/last_name")].join(" ");
        format!("[contact: {}, {}]", name.trim(), word("/contact/phone_number"))
    } else if is("poll") {
        let options = lines(message, "/poll/options", "/text");
        format!("[poll: {}]\n{options}", text("/poll/question"))
    } else if is("checklist") {
        let tasks = lines(message, "/checklist/tasks", "/text");
        format!("[list: {}]\n{tasks}", text("/checklist/title"))
    } else if is("dice") {
        format!("{} {}", text("/dice/emoji"), word("/dice/value"))
    } else if is("sticker") {
        format!("[sticker {}]", text("/sticker/emoji")).replace(" ]", "]")
    } else if is("story") || is("reply_to_story") {
        "[a story]".to_owned()
    } else if is("paid_media") {
        "[paid media]".to_owned()
    } else if is("game") {
        format!("[game: {}]", text("/game/title"))
    } else if is("invoice") {
        format!("[invoice: {}]", text("/invoice/title"))
    } else if is("successful_payment") {
        let paid = (word("/successful_payment/total_amount"), text("/successful_payment/currency"));
        format!("[paid: {} {} in the smallest unit]", paid.0, paid.1)
    } else if is("web_app_data") {
        text("/web_app_data/data").to_owned()
    } else if is("users_shared") || is("chat_shared") {
        "[shared somebody's contact]".to_owned()
    } else {
        return None;
    };
    Some(told)
}

fn lines(message: &Value, list: &str, field: &str) -> String {
    let lines = look::list(message, list).take(LINES_MAX);
    let lines = lines.map(|line| format!("- {}", look::text(line, field).unwrap_or_default()));
    lines.collect::<Vec<_>>().join("\n")
}

/// The kind, as far as its name tells, and its words.
fn placeholder(message: &Value) -> String {
    const FRAME: &[&str] = &[
        "message_id",
        "message_thread_id",
        "from",
        "sender_chat",
        "sender_business_bot",
        "date",
        "chat",
        "business_connection_id",
        "forward_origin",
        "is_topic_message",
        "reply_to_message",
        "external_reply",
        "quote",
        "via_bot",
        "edit_date",
        "has_protected_content",
        "media_group_id",
        "author_signature",
        "reply_markup",
        "link_preview_options",
        "effect_id",
        "is_from_offline",
    ];
    let fields = message.as_object().into_iter().flatten();
    let mut fields = fields.filter(|(field, value)| {
        !FRAME.contains(&field.as_str()) && (value.is_object() || value.is_array())
    });
    let Some((kind, value)) = fields.next() else {
        return "[a message of a kind that cannot be shown]".to_owned();
    };
    let kind: String =
        kind.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
    let mut said = Vec::new();
    gather(value, 0, &mut said);
    let said = if said.is_empty() { String::new() } else { format!("\n{}", said.join("\n")) };
    format!("[a message of a kind that cannot be shown: {kind}]{said}")
}

/// Texts within something that is not known.
fn gather(value: &Value, depth: usize, said: &mut Vec<String>) {
    const DEPTH_MAX: usize = 12;
    if depth > DEPTH_MAX || said.len() >= LINES_MAX {
        return;
    }
    match value {
        Value::Array(list) => list.iter().for_each(|one| gather(one, depth + 1, said)),
        Value::Object(fields) => {
            for (field, one) in fields {
                match one.as_str() {
                    Some(text) if matches!(field.as_str(), "text" | "caption" | "title") => {
                        said.push(text.chars().take(4096).collect());
                    }
                    Some(_) => {}
                    None => gather(one, depth + 1, said),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What they quote, and where it stands if that is not here.
fn quoted(message: &Value) -> Option<String> {
    let quote = look::text(message, "/quote/text");
    let elsewhere = message.get("external_reply").is_some();
    let group = message.pointer("/chat/id").and_then(Value::as_i64).is_some_and(|id| id < 0);
    let answered = ["/reply_to_message/text", "/reply_to_message/caption"];
    let answered = answered.iter().find_map(|pointer| look::text(message, pointer));
    let words = quote.or_else(|| answered.filter(|_| group));
    let words = words
        .map(|words| words.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n"));
    match (words, elsewhere) {
        (Some(words), true) => Some(format!("[about a message in another chat]\n{words}")),
        (None, true) => Some("[about a message in another chat]".to_owned()),
        (words, false) => words,
    }
}
