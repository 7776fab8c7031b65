//! What the service tells of the account itself: restrictions, the number's quality, templates. A person has to
//! know, so each becomes a ticket; nobody waits for an answer.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::look;
use super::person::by_user;
use super::status::Nothing;
use crate::channel::shared::sign::hex;
use crate::model::{
    ChannelName, Flag, Form, Inbound, Priority, RemoteId, Sender, ThreadHint, ThreadKey, Timestamp,
    Trust, Wishes,
};

/// Who writes notices: no user's id is of this form.
const SERVICE: &str = "whatsapp";
/// Facts of a notice that are told.
const LINES_MAX: usize = 40;
/// How deep facts may lie within each other.
const DEPTH_MAX: usize = 6;

/// Fields that tell of the account, and what they are about.
const FIELDS: &[(&str, &str)] = &[
    ("account_alerts", "alert of the account"),
    ("account_review_update", "review of the account"),
    ("account_settings_update", "settings of the account"),
    ("account_update", "account"),
    ("business_capability_update", "limits of the account"),
    ("business_status_update", "status of the business"),
    ("message_template_quality_update", "quality of a template"),
    ("message_template_status_update", "template"),
    ("partner_solutions", "partner of the account"),
    ("payment_configuration_update", "payments"),
    ("phone_number_name_update", "name of the number"),
    ("phone_number_quality_update", "quality of the number"),
    ("security", "security of the number"),
    ("template_category_update", "category of a template"),
    ("template_correct_category_detection", "category of a template"),
];

/// Words in a notice that mean that messages no longer flow as they did.
const URGENT: &[&str] = &[
    "ACCOUNT_DELETED",
    "ACCOUNT_OFFBOARDED",
    "ACCOUNT_RESTRICTION",
    "ACCOUNT_VIOLATION",
    "DISABLED_UPDATE",
    "PARTNER_REMOVED",
    "PARTNER_APP_UNINSTALLED",
    "DISABLE",
    "RESTRICTED",
];
/// … and that mean that they will not, if nobody acts.
const HIGH: &[&str] = &[
    "DOWNGRADE",
    "FLAGGED",
    "REJECTED",
    "PAUSED",
    "DISABLED",
    "LOCKED",
    "RED",
    "YELLOW",
    "PIN_CHANGED",
    "PIN_RESET_REQUEST",
];
/// A template that got through its review needs nobody.
const GOOD: &[&str] = &["APPROVED", "PENDING", "REINSTATED"];

/// What a field is about, if it tells of the account.
pub(super) fn about(field: &str) -> Option<&'static str> {
    FIELDS.iter().find(|(known, _)| *known == field).map(|(_, about)| *about)
}

/// A notice out of such a field.
pub(super) fn read(
    channel: &ChannelName,
    (field, value): (&str, &Value),
    at: Timestamp,
) -> Result<Inbound, Nothing> {
    let event = ["/event", "/decision", "/alert_type", "/new_quality_score", "/new_category"];
    let event = event.iter().find_map(|pointer| look::text(value, pointer)).unwrap_or_default();
    if field == "message_template_status_update" && GOOD.contains(&event) {
        return Err(Nothing::Ignored("a template got through its review"));
    }
    let mut title = format!("WhatsApp: {}", about(field).unwrap_or(field));
    if !event.is_empty() {
        title.push_str(&format!(": {event}"));
    }
    let mut lines = Vec::new();
    facts("", value, 0, &mut lines);
    let priority = if URGENT.contains(&event) {
        Some(Priority::Urgent)
    } else if HIGH.contains(&event) {
        Some(Priority::High)
    } else {
        None
    };
    let told = Told { title, text: lines.join("\n"), priority };
    Ok(inbound(channel, &told, &format!("{field}:{value}:{}", at.timestamp()), at))
}

/// Errors that the service tells beside no message: of the app, or of the whole number.
pub(super) fn errors(channel: &ChannelName, value: &Value, at: Timestamp) -> Option<Inbound> {
    let errors: Vec<&Value> = look::list(value, "/errors").collect();
    let first = errors.first()?;
    let number = look::word(first, "/code").and_then(|code| code.parse().ok());
    let told = look::text(first, "/title").or_else(|| look::text(first, "/message"));
    let mut lines = vec![super::code::told(number, told.unwrap_or_default())];
    for error in &errors {
        facts("", error, 0, &mut lines);
    }
    let title = "WhatsApp: an error that belongs to no message".to_owned();
    let told = Told { title, text: lines.join("\n"), priority: Some(Priority::High) };
    Some(inbound(channel, &told, &format!("errors:{value}:{}", at.timestamp()), at))
}

/// A part of a request that could not be read, beside parts that could.
pub(super) fn unreadable(
    channel: &ChannelName,
    (part, why): (&Value, &str),
    at: Timestamp,
) -> Inbound {
    let title = "WhatsApp: something that could not be read".to_owned();
    let text = format!("{why}; the raw message has it");
    let told = Told { title, text, priority: None };
    let mut inbound = inbound(channel, &told, &format!("unreadable:{part}"), at);
    inbound.flags.insert(Flag::Unreadable);
    inbound
}

struct Told {
    title: String,
    text: String,
    priority: Option<Priority>,
}

/// Each is a conversation of its own, since a notice opens nothing again that was solved.
fn inbound(channel: &ChannelName, told: &Told, what: &str, at: Timestamp) -> Inbound {
    let digest = hex(&Sha256::digest(what.as_bytes()));
    let id = format!("notice:{digest}");
    Inbound {
        remote_id: RemoteId::new(&id),
        digest,
        part_of: None,
        form: Form::Notice,
        sender: Sender {
            address: Some(by_user(channel, SERVICE)),
            name: Some("WhatsApp".to_owned()),
            trust: Trust::Proven,
            also: Vec::new(),
        },
        reply_to: None,
        recipients: Vec::new(),
        thread: ThreadHint { key: Some(ThreadKey(id)), ..ThreadHint::default() },
        occurred_at: at,
        subject: Some(told.title.clone()),
        text: told.text.clone(),
        text_full: told.text.clone(),
        html: None,
        media: Vec::new(),
        flags: BTreeSet::new(),
        auth: None,
        automated: Some("a notice of the service"),
        wishes: Wishes { priority: told.priority, ..Wishes::default() },
    }
}

/// All that is in a value, one line each.
fn facts(path: &str, value: &Value, depth: usize, lines: &mut Vec<String>) {
    if lines.len() >= LINES_MAX || depth > DEPTH_MAX {
        return;
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                facts(&below(key), value, depth + 1, lines);
            }
        }
        Value::Array(items) => {
            for item in items {
                facts(path, item, depth + 1, lines);
            }
        }
        Value::String(text) => {
            let text: String = text.chars().filter(|c| !c.is_control()).take(500).collect();
            lines.push(format!("{path}: {text}"));
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => lines.push(format!("{path}: {value}")),
    }
}
