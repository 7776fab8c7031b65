//! The JSON that another system posts: one entry is a message, a change of one, or news of a reply.
//!
//! Reading is strict, so that a misspelt field shows at once: whoever posts is told, and the entry is kept
//! for a person to look at.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use data_encoding::BASE64;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::channel::shared::json;

/// Longest id or name, in characters.
const ID_CHARS_MAX: usize = 200;
/// Longest subject, in characters.
const SUBJECT_CHARS_MAX: usize = 1_000;
/// Longest text, and longest HTML.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Longest address of an attachment.
const URL_BYTES_MAX: usize = 4 * 1024;
/// More files than this are not one message.
const ATTACHMENTS_MAX: usize = 50;

/// What an entry says.
#[derive(Debug)]
pub(super) enum Entry {
    /// Somebody wrote.
    Message(Box<Message>),
    /// A message reads differently now.
    Edit(Edit),
    /// A message was taken back.
    Delete(Delete),
    /// What became of a reply.
    Status(Status),
}

/// Which of the four it is: everything else comes after.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// `"type": "message"`, which may be left out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    #[serde(rename = "type")]
    _kind: Option<String>,
    /// The other system's name for it: the same id again is the same message.
    pub(super) id: String,
    /// The other system's conversation; without one, all that a sender writes is one.
    pub(super) conversation: Option<String>,
    pub(super) sender: Sender,
    pub(super) subject: Option<String>,
    pub(super) text: Option<String>,
    pub(super) html: Option<String>,
    #[serde(default)]
    pub(super) attachments: Vec<Attachment>,
    pub(super) occurred_at: Option<DateTime<Utc>>,
    /// The message that it answers, by the id it bears there.
    pub(super) reply_to: Option<String>,
    /// Written by a program: nothing is answered by itself.
    #[serde(default)]
    pub(super) automated: bool,
}

/// Who wrote.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sender {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) email: Option<String>,
    pub(super) phone: Option<String>,
}

/// A file: its bytes, or where they are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attachment {
    pub(super) name: Option<String>,
    pub(super) media_type: Option<String>,
    pub(super) content_id: Option<String>,
    /// In base64.
    content: Option<String>,
    url: Option<String>,
}

/// Where a file's bytes are.
pub(super) enum Source<'a> {
    Here(Bytes),
    There(&'a str),
}

/// `"type": "edit"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    #[serde(rename = "type")]
    _kind: Option<String>,
    pub(super) id: String,
    pub(super) text: String,
    #[serde(rename = "occurred_at")]
    _occurred_at: Option<DateTime<Utc>>,
}

/// `"type": "delete"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Delete {
    #[serde(rename = "type")]
    _kind: Option<String>,
    pub(super) id: String,
    #[serde(rename = "occurred_at")]
    _occurred_at: Option<DateTime<Utc>>,
}

/// `"type": "status"`: by our id of the delivery, or by the id that the receiver answered with.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Status {
    #[serde(rename = "type")]
    _kind: Option<String>,
    pub(super) delivery: Option<Uuid>,
    pub(super) id: Option<String>,
    pub(super) status: StatusWord,
    pub(super) error: Option<String>,
    pub(super) occurred_at: Option<DateTime<Utc>>,
}

/// What became of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StatusWord {
    Delivered,
    Read,
    Failed,
}

impl Entry {
    /// Reads one entry. The problem names the field and never quotes what stands there.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let head: Head = parse(bytes)?;
        let entry = match head.kind.as_deref() {
            None | Some("message") => Self::Message(parse(bytes)?),
            Some("edit") => Self::Edit(parse(bytes)?),
            Some("delete") => Self::Delete(parse(bytes)?),
            Some("status") => Self::Status(parse(bytes)?),
            Some(_) => return Err("type: expected message, edit, delete or status".to_owned()),
        };
        match &entry {
            Self::Message(message) => message.check()?,
            Self::Edit(edit) => {
                check_id("id", &edit.id)?;
                check_text("text", &edit.text)?;
            }
            Self::Delete(delete) => check_id("id", &delete.id)?,
            Self::Status(status) => status.check()?,
        }
        Ok(entry)
    }

    /// The id that it has there, for the answer.
    pub(super) fn id(&self) -> Option<&str> {
        match self {
            Self::Message(message) => Some(&message.id),
            Self::Edit(edit) => Some(&edit.id),
            Self::Delete(delete) => Some(&delete.id),
            Self::Status(status) => status.id.as_deref(),
        }
    }
}

impl Message {
    fn check(&self) -> Result<(), String> {
        check_id("id", &self.id)?;
        check_id("sender.id", &self.sender.id)?;
        for (field, id) in [("conversation", &self.conversation), ("reply_to", &self.reply_to)] {
            id.as_deref().map_or(Ok(()), |id| check_id(field, id))?;
        }
        self.sender.check()?;
        if self.subject.as_ref().is_some_and(|subject| subject.chars().count() > SUBJECT_CHARS_MAX)
        {
            return Err(format!("subject: longer than {SUBJECT_CHARS_MAX} characters"));
        }
        for (field, text) in [("text", &self.text), ("html", &self.html)] {
            text.as_deref().map_or(Ok(()), |text| check_text(field, text))?;
        }
        if self.attachments.len() > ATTACHMENTS_MAX {
            return Err(format!("attachments: more than {ATTACHMENTS_MAX}"));
        }
        for (at, attachment) in self.attachments.iter().enumerate() {
            attachment.check().map_err(|problem| format!("attachments[{at}].{problem}"))?;
        }
        let blank = |text: &Option<String>| text.as_ref().is_none_or(|text| text.trim().is_empty());
        if blank(&self.text) && blank(&self.html) && self.attachments.is_empty() {
            return Err("text: missing, and there is no html and no attachment either".to_owned());
        }
        Ok(())
    }
}

impl Sender {
    fn check(&self) -> Result<(), String> {
        if self.name.as_ref().is_some_and(|name| name.chars().count() > ID_CHARS_MAX) {
            return Err(format!("sender.name: longer than {ID_CHARS_MAX} characters"));
        }
        if let Some(email) = &self.email
            && !is_email(email)
        {
            return Err("sender.email: not a mail address".to_owned());
        }
        if let Some(phone) = &self.phone
            && !is_phone(phone)
        {
            return Err(
                "sender.phone: expected +, the country and the number, in digits".to_owned()
            );
        }
        Ok(())
    }
}

impl Attachment {
    fn check(&self) -> Result<(), String> {
        match (&self.content, &self.url) {
            // Whoever posts bytes that are none is told so while they can still put it right.
            (Some(_), None) => self.source().map(drop)?,
            (None, Some(url)) if url.len() > URL_BYTES_MAX => {
                return Err("url: too long".to_owned());
            }
            (None, Some(url)) => {
                let url = url::Url::parse(url).map_err(|_| "url: not an address".to_owned())?;
                if !matches!(url.scheme(), "http" | "https") {
                    return Err("url: expected https://…".to_owned());
                }
            }
            (Some(_), Some(_)) | (None, None) => {
                return Err("content: expected `content` in base64, or `url`".to_owned());
            }
        }
        let words = [
            ("name", &self.name),
            ("media_type", &self.media_type),
            ("content_id", &self.content_id),
        ];
        for (field, word) in words {
            if word.as_ref().is_some_and(|word| word.chars().count() > ID_CHARS_MAX) {
                return Err(format!("{field}: longer than {ID_CHARS_MAX} characters"));
            }
        }
        Ok(())
    }

    /// The bytes, or the address.
    pub(super) fn source(&self) -> Result<Source<'_>, String> {
        match (&self.content, &self.url) {
            (Some(content), _) => {
                let content: Cow<'_, str> = if content.contains(char::is_whitespace) {
                    content.split_whitespace().collect::<String>().into()
                } else {
                    content.into()
                };
                let bytes = BASE64.decode(content.as_bytes());
                Ok(Source::Here(bytes.map_err(|_| "content: not base64".to_owned())?.into()))
            }
            (None, Some(url)) => Ok(Source::There(url)),
            (None, None) => Err("content: missing".to_owned()),
        }
    }
}

impl Status {
    fn check(&self) -> Result<(), String> {
        if let Some(id) = &self.id {
            check_id("id", id)?;
        }
        if self.delivery.is_none() && self.id.is_none() {
            return Err("delivery: missing, and there is no id either".to_owned());
        }
        Ok(())
    }
}

/// `missing field …` and the like, with the place; what was given is not quoted.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    parse_as_it_is(bytes).or_else(|problem| match json::mended(bytes) {
        Some(mended) => parse_as_it_is(&mended).map_err(|_| problem),
        None => Err(problem),
    })
}

fn parse_as_it_is<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let text = error.inner().to_string();
        // serde quotes the field's own name, which is not what was given, and types with their values.
        let told = if text.starts_with("missing field") || text.starts_with("unknown field") {
            text.split(" at line ").next().unwrap_or_default().to_owned()
        } else if error.inner().is_data() {
            "not of the expected type".to_owned()
        } else {
            "not JSON".to_owned()
        };
        if path == "." { told } else { format!("{path}: {told}") }
    })
}

fn check_id(field: &str, id: &str) -> Result<(), String> {
    let length = id.chars().count();
    if length == 0 || length > ID_CHARS_MAX || id.chars().any(char::is_control) {
        return Err(format!(
            "{field}: expected 1 to {ID_CHARS_MAX} characters, none of them a control character"
        ));
    }
    Ok(())
}

fn check_text(field: &str, text: &str) -> Result<(), String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("{field}: longer than {TEXT_BYTES_MAX} bytes"));
    }
    Ok(())
}

fn is_email(text: &str) -> bool {
    let sane = text.len() <= 254 && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    sane && text
        .rsplit_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'))
}

fn is_phone(text: &str) -> bool {
    text.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}
