//! What a service tells of the account itself: a person has to know, so each such notice becomes a ticket;
//! nobody waits for an answer.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::channel::shared::sign::hex;
use crate::model::{
    Address, ChannelName, Flag, Form, Inbound, Priority, RemoteId, Scheme, Sender, ThreadHint,
    ThreadKey, Timestamp, Trust, Wishes,
};

/// Facts of a notice that are told.
const LINES_MAX: usize = 40;
/// How deep facts may lie within each other.
const DEPTH_MAX: usize = 6;

/// Who writes notices.
pub struct Service {
    /// For people.
    pub name: &'static str,
    /// Stands where people have their ids: nobody's is of this form.
    pub id: &'static str,
}

/// What a notice says.
pub struct Told {
    /// In a few words.
    pub title: String,
    /// All of it.
    pub text: String,
    /// How soon somebody has to look.
    pub priority: Option<Priority>,
}

/// Somebody whom the service knows by an id.
#[must_use]
pub fn by_id(channel: &ChannelName, id: &str) -> Address {
    Address { scheme: Scheme::Meta, scope: Some(channel.clone()), value: id.to_owned() }
}

/// A part of a request that could not be read, beside parts that could.
#[must_use]
pub fn unreadable(
    service: &Service,
    channel: &ChannelName,
    (part, why): (&Value, &str),
    at: Timestamp,
) -> Inbound {
    let title = format!("{}: something that could not be read", service.name);
    let text = format!("{why}; the raw message has it");
    let told = Told { title, text, priority: None };
    let mut inbound = inbound(service, channel, &told, (&format!("unreadable:{part}"), at));
    inbound.flags.insert(Flag::Unreadable);
    inbound
}

/// A notice; `what` tells it apart from others. Each is a conversation of its own, since a notice opens nothing
/// again that was solved.
#[must_use]
pub fn inbound(
    service: &Service,
    channel: &ChannelName,
    told: &Told,
    (what, at): (&str, Timestamp),
) -> Inbound {
    let digest = hex(&Sha256::digest(what.as_bytes()));
    let id = format!("notice:{digest}");
    Inbound {
        remote_id: RemoteId::new(&id),
        digest,
        part_of: None,
        form: Form::Notice,
        sender: Sender {
            address: Some(by_id(channel, service.id)),
            name: Some(service.name.to_owned()),
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
#[must_use]
pub fn facts(value: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    add("", value, 0, &mut lines);
    lines
}

fn add(path: &str, value: &Value, depth: usize, lines: &mut Vec<String>) {
    if lines.len() >= LINES_MAX || depth > DEPTH_MAX {
        return;
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                add(&below(key), value, depth + 1, lines);
            }
        }
        Value::Array(items) => {
            for item in items {
                add(path, item, depth + 1, lines);
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
