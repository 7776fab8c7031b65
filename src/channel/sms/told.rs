//! What Twilio tells of a message: as a form when it pushes, as JSON when we ask. Both are read into the fields of
//! the form, so that one message is the same by whatever way it came.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::{Value, json};

use crate::channel::Unreadable;
use crate::channel::shared::twilio::form::Form;
use crate::channel::shared::{json, look};
use crate::model::{Raw, Timestamp};

/// Twilio carries ten files at most; whoever sends more is not Twilio.
const FILES_MAX: usize = 20;

/// The fields of JSON that have another name in a form.
const NAMES: &[(&str, &str)] = &[
    ("/sid", "MessageSid"),
    ("/account_sid", "AccountSid"),
    ("/messaging_service_sid", "MessagingServiceSid"),
    ("/from", "From"),
    ("/to", "To"),
    ("/body", "Body"),
    ("/status", "SmsStatus"),
    ("/error_code", "ErrorCode"),
    ("/error_message", "ErrorMessage"),
    ("/num_media", "NumMedia"),
];

/// What we keep of a message that we asked for: as Twilio gave it, with its files, which stand elsewhere.
pub(super) fn kept(message: &Value, files: &[Value]) -> Vec<u8> {
    json!({ "message": message, "media": files }).to_string().into_bytes()
}

/// The fields of a raw, and when the message was sent, if that stands in it.
pub(super) fn read(raw: &Raw) -> Result<(Form, Option<Timestamp>), Unreadable> {
    if raw.body.first() != Some(&b'{') {
        let form = Form::read(&raw.body);
        return form.map(|form| (form, None)).ok_or_else(|| unreadable("too many fields"));
    }
    // The parser's own words could quote what was read.
    let told: Value = json::read(&raw.body).map_err(|_| unreadable("not JSON"))?;
    let message = told.get("message").unwrap_or(&told);
    let word = |pointer: &str| match message.pointer(pointer) {
        Some(Value::String(text)) => Some(text.clone()),
        _ => look::word(message, pointer),
    };
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    for (pointer, name) in NAMES {
        fields.extend(word(pointer).map(|value| ((*name).to_owned(), value)));
    }
    for (at, file) in look::list(&told, "/media").take(FILES_MAX).enumerate() {
        let Some(path) = file_path(file) else { continue };
        let kind = look::text(file, "/content_type").unwrap_or_default();
        fields.insert(format!("MediaUrl{at}"), path.to_owned());
        fields.insert(format!("MediaContentType{at}"), kind.to_owned());
    }
    let form = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let at = ["/date_sent", "/date_created"];
    Ok((form, at.iter().find_map(|at| moment(message, at))))
}

/// Where the file itself is of which this tells.
pub(super) fn file_path(file: &Value) -> Option<&str> {
    let path = look::text(file, "/uri")?;
    Some(path.strip_suffix(".json").unwrap_or(path))
}

/// A moment as the interface writes it.
pub(super) fn moment(message: &Value, pointer: &str) -> Option<Timestamp> {
    let text = look::text(message, pointer)?;
    DateTime::parse_from_rfc2822(text).ok().map(Into::into)
}

/// Address and type of each file.
pub(super) fn files(form: &Form) -> impl Iterator<Item = (&str, &str)> {
    (0..FILES_MAX).filter_map(|at| {
        let kind = form.get(&format!("MediaContentType{at}")).unwrap_or_default();
        form.text(&format!("MediaUrl{at}")).map(|url| (url, kind))
    })
}

/// The message's own name.
pub(super) fn sid(form: &Form) -> Option<&str> {
    let sid = form.text("MessageSid").or_else(|| form.text("SmsSid"))?.trim();
    (sid.len() <= 64).then_some(sid)
}

/// How far it is; empty where nobody told.
pub(super) fn status(form: &Form) -> &str {
    let status = form.text("MessageStatus").or_else(|| form.text("SmsStatus"));
    status.unwrap_or_default().trim()
}

fn unreadable(why: &'static str) -> Unreadable {
    Unreadable(why.into())
}
