//! What the service tells of the account itself: restrictions, the number's quality, templates. A person has to
//! know, so each becomes a ticket; nobody waits for an answer.

use serde_json::Value;

use crate::channel::shared::graph::notice::{Service, Told, facts, inbound};
use crate::channel::shared::heard::Nothing;
use crate::channel::shared::look;
use crate::model::{ChannelName, Inbound, Priority, Timestamp};

/// Who writes notices.
pub(super) const SERVICE: Service = Service { name: "WhatsApp", id: "whatsapp" };

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
    let priority = if URGENT.contains(&event) {
        Some(Priority::Urgent)
    } else if HIGH.contains(&event) {
        Some(Priority::High)
    } else {
        None
    };
    let told = Told { title, text: facts(value).join("\n"), priority };
    let what = format!("{field}:{value}:{}", at.timestamp());
    Ok(inbound(&SERVICE, channel, &told, (&what, at)))
}

/// Errors that the service tells beside no message: of the app, or of the whole number.
pub(super) fn errors(channel: &ChannelName, value: &Value, at: Timestamp) -> Option<Inbound> {
    let errors: Vec<&Value> = look::list(value, "/errors").collect();
    let first = errors.first()?;
    let number = look::word(first, "/code").and_then(|code| code.parse().ok());
    let told = look::text(first, "/title").or_else(|| look::text(first, "/message"));
    let mut lines = vec![super::code::told(number, told.unwrap_or_default())];
    for error in &errors {
        lines.extend(facts(error));
    }
    let title = "WhatsApp: an error that belongs to no message".to_owned();
    let told = Told { title, text: lines.join("\n"), priority: Some(Priority::High) };
    let what = format!("errors:{value}:{}", at.timestamp());
    Some(inbound(&SERVICE, channel, &told, (&what, at)))
}
