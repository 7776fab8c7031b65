//! Answers on their way: one call each, with our delivery's id beside it, which comes back in the news of it.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::account::Account;
use super::files;
use crate::channel::shared::http::Answer;
use crate::channel::shared::look;
use crate::channel::{Accepted, Deliver, DeliverError};
use crate::model::{Choice, Outbound, Party, RemoteId, Scheme, Template};

/// Sends from one number of ours.
pub(super) struct Sender {
    pub(super) account: Arc<Account>,
}

#[async_trait]
impl Deliver for Sender {
    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        let mut body = envelope(outbound)?;
        let (kind, content) = match (&outbound.template, outbound.media.as_slice()) {
            (Some(given), _) => ("template", template(given)),
            (None, []) if !outbound.choices.is_empty() => ("interactive", asked(outbound)),
            (None, []) => ("text", json!({ "body": outbound.text, "preview_url": false })),
            (None, [media]) => {
                let id = self.account.upload(media).await?;
                match files::kind(media) {
                    // Only documents have a name.
                    "document" => ("document", json!({ "id": id, "filename": media.name })),
                    kind => (kind, json!({ "id": id })),
                }
            }
            (None, _) => {
                let cause = "WhatsApp takes one file a message";
                return Err(DeliverError::Rejected(cause.into()));
            }
        };
        body.insert("type".to_owned(), json!(kind));
        body.insert(kind.to_owned(), content);
        let body = Value::Object(body);
        taken(self.account.graph.accepted(self.account.post(&["messages"], &body).await))
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        match self.account.number().await {
            Ok(_) => Ok(()),
            // Nothing was to be sent: what is wrong is wrong for everything.
            Err(DeliverError::Rejected(cause)) => Err(DeliverError::Account(cause)),
            Err(other) => Err(other),
        }
    }
}

/// All but what is said.
fn envelope(outbound: &Outbound) -> Result<Map<String, Value>, DeliverError> {
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
    put("messaging_product", json!("whatsapp"));
    let group = outbound.thread.as_ref().and_then(|thread| thread.as_str().strip_prefix("g:"));
    match group {
        Some(group) => {
            put("recipient_type", json!("group"));
            put("to", json!(group));
        }
        None => {
            put("recipient_type", json!("individual"));
            let (key, value) = recipient(&outbound.to)?;
            put(key, json!(value));
        }
    }
    // Only messages of the service can be quoted.
    let quoted = outbound.in_reply_to.as_ref().filter(|id| id.as_str().starts_with("wamid"));
    if let Some(quoted) = quoted {
        put("context", json!({ "message_id": quoted }));
    }
    put("biz_opaque_callback_data", json!(outbound.delivery));
    Ok(body)
}

/// A number, or the id of somebody who hides theirs.
fn recipient(to: &Party) -> Result<(&'static str, String), DeliverError> {
    let value = &to.address.value;
    match to.address.scheme {
        Scheme::Tel => Ok(("to", value.trim_start_matches('+').to_owned())),
        // All ids of people have their country before a dot.
        Scheme::Meta if value.contains('.') => Ok(("recipient", value.clone())),
        Scheme::Meta => {
            Err(DeliverError::Rejected("nobody reads answers to notices of WhatsApp".into()))
        }
        Scheme::Email | Scheme::Telegram | Scheme::Web | Scheme::Api => {
            Err(DeliverError::Rejected("it is no address of WhatsApp".into()))
        }
    }
}

/// Up to three answers are buttons, more of them a list that a button opens.
fn asked(outbound: &Outbound) -> Value {
    const BUTTONS_MAX: usize = 3;
    let body = json!({ "text": outbound.text });
    let named = |choice: &Choice| json!({ "id": choice.id, "title": choice.label });
    if outbound.choices.len() <= BUTTONS_MAX {
        let reply = |choice: &Choice| json!({ "type": "reply", "reply": named(choice) });
        let buttons: Vec<Value> = outbound.choices.iter().map(reply).collect();
        return json!({ "type": "button", "body": body, "action": { "buttons": buttons } });
    }
    let rows: Vec<Value> = outbound.choices.iter().map(named).collect();
    // What opens the list must have a label; this one is the same in every language.
    let action = json!({ "button": "☰", "sections": [{ "rows": rows }] });
    json!({ "type": "list", "body": body, "action": action })
}

fn template(given: &Template) -> Value {
    let mut template = json!({ "name": given.name, "language": { "code": given.language } });
    if !given.components.is_empty()
        && let Some(fields) = template.as_object_mut()
    {
        fields.insert("components".to_owned(), json!(given.components));
    }
    template
}

/// What an answer to a message says.
fn taken(result: Result<Answer, DeliverError>) -> Result<Accepted, DeliverError> {
    let answer = result?;
    let told = answer.json::<Value>().map_err(|error| DeliverError::Unknown(error.into()))?;
    let Some(id) = look::word(&told, "/messages/0/id") else {
        let cause = "WhatsApp took it, as it seems, and gave it no id";
        return Err(DeliverError::Unknown(cause.into()));
    };
    let status = look::text(&told, "/messages/0/message_status");
    let warning = match status.unwrap_or_default() {
        "held_for_quality_assessment" => {
            Some("WhatsApp holds it back until it knows how people take this template".to_owned())
        }
        "paused" => Some("WhatsApp holds it back: the template is paused".to_owned()),
        _ => None,
    };
    Ok(Accepted { remote_id: RemoteId(id), warning })
}
