//! Every file of `tests/fixtures/mail`, beside the snapshot of what it means to an agent.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tributary::channel::Interpret;
use tributary::model::{Inbound, Meaning, MediaSource, Party, Receipt, Token};

use super::{raw, read_raw, reader};

/// Longest text that stands in a snapshot.
const SHOWN_CHARS_MAX: usize = 500;

/// Fewer would mean that the folder was not found.
const FIXTURES_MIN: usize = 400;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/mail")
}

/// Name and bytes of every mail.
pub(super) fn mails() -> BTreeMap<String, Vec<u8>> {
    let mails: BTreeMap<String, Vec<u8>> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "eml"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(&path).unwrap())
        })
        .collect();
    assert!(mails.len() >= FIXTURES_MIN, "only {} mails", mails.len());
    mails
}

#[test]
fn every_mail_of_the_corpus_means_what_its_snapshot_says() {
    let mut wrong = String::new();
    for (name, bytes) in mails() {
        let shown = shown(&bytes);
        let compared = catch_unwind(AssertUnwindSafe(|| {
            insta::with_settings!({
                snapshot_path => folder(),
                prepend_module_to_snapshot => false,
                omit_expression => true,
            }, {
                insta::assert_json_snapshot!(name.as_str(), shown);
            });
        }));
        if compared.is_err() {
            writeln!(wrong, "  tests/fixtures/mail/{name}.eml").unwrap();
        }
    }
    assert!(wrong.is_empty(), "these mails mean something else now:\n{wrong}");
}

#[test]
fn every_snapshot_belongs_to_a_mail() {
    let mails = mails();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "snap") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(mails.contains_key(name), "{name}.snap has no mail");
        }
    }
}

/// What an agent and the desk would see. Empty things are left out.
fn shown(bytes: &[u8]) -> Value {
    let raw = raw(bytes);
    match reader().interpret(&raw) {
        Err(unreadable) => json!({ "unreadable": unreadable.to_string() }),
        Ok(Meaning::Ignore(why)) => json!({ "ignored": why }),
        Ok(Meaning::Events(_)) => {
            let (inbound, receipts) = read_raw(&raw);
            message(&inbound, &receipts)
        }
    }
}

fn message(inbound: &Inbound, receipts: &[Receipt]) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| {
        let empty = match &value {
            Value::Null => true,
            Value::Array(list) => list.is_empty(),
            Value::Object(map) => map.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        };
        if !empty {
            shown.insert(name.to_owned(), value);
        }
    };
    let sender = &inbound.sender;
    put("id", json!(inbound.remote_id.as_str()));
    put("from", json!(sender.address.as_ref().map(|address| &address.value)));
    put("name", json!(sender.name));
    put("trust", json!(sender.trust));
    put("reply_to", json!(inbound.reply_to.as_ref().map(flat)));
    put("to", json!(inbound.recipients.iter().take(5).map(flat).collect::<Vec<_>>()));
    if inbound.recipients.len() > 5 {
        put("to_count", json!(inbound.recipients.len()));
    }
    put("at", json!(inbound.occurred_at.to_rfc3339()));
    put("subject", json!(inbound.subject));
    put("text", json!(lines(&inbound.text)));
    let full = inbound.text_full.chars().count();
    if inbound.text != inbound.text_full {
        put("text_full_chars", json!(full));
    }
    put("html_chars", json!(inbound.html.as_ref().map(|html| html.chars().count())));
    put("media", Value::Array(inbound.media.iter().map(media).collect()));
    put("flags", json!(inbound.flags));
    put("automated", json!(inbound.automated));
    put("auth", json!(inbound.auth));
    put("form", json!(format!("{:?}", inbound.form)));
    put("tokens", json!(inbound.thread.tokens.iter().map(token).collect::<Vec<_>>()));
    let parents: Vec<&str> = inbound.thread.parents.iter().map(|id| id.as_str()).collect();
    put("parents", json!(parents));
    put("key", json!(inbound.thread.key.as_ref().map(|key| key.as_str())));
    put("tag", json!(inbound.thread.tag));
    put("receipts", Value::Array(receipts.iter().map(receipt).collect()));
    Value::Object(shown)
}

fn flat(party: &Party) -> String {
    match &party.name {
        Some(name) => format!("{name} <{}>", party.address.value),
        None => party.address.value.clone(),
    }
}

/// A list of lines: easier to read in a snapshot than `\n`.
fn lines(text: &str) -> Vec<String> {
    let count = text.chars().count();
    let mut shown: Vec<String> = text
        .chars()
        .take(SHOWN_CHARS_MAX)
        .collect::<String>()
        .split('\n')
        .map(str::to_owned)
        .collect();
    if count > SHOWN_CHARS_MAX {
        shown.push(format!("… {count} characters"));
    }
    shown
}

fn media(media: &tributary::model::Media) -> Value {
    let size = match &media.source {
        MediaSource::Inline(bytes) => bytes.len(),
        MediaSource::Remote(_) | MediaSource::Upload { .. } => {
            panic!("a mail brings its files with it")
        }
    };
    let inline = if media.inline { " inline" } else { "" };
    let id = media.content_id.as_ref().map(|id| format!(" cid:{id}")).unwrap_or_default();
    json!(format!("{} ({}, {size} bytes{inline}{id})", media.name, media.mime))
}

fn token(token: &Token) -> String {
    match token {
        Token::Ticket(number) => format!("ticket {number}"),
        Token::Delivery(id) => format!("delivery {}", id.uuid()),
    }
}

fn receipt(receipt: &Receipt) -> Value {
    let recipient = receipt.recipient.as_ref().map_or("?", |address| address.value.as_str());
    json!(format!("{recipient}: {:?}", receipt.state))
}
