//! One request → one raw for each thing that it tells of, so that one bad element never costs its neighbours.
//!
//! A request holds entries; an entry holds messages, or changes; and a change may hold a list of messages or of
//! news. Each element gets an envelope of its own around its bytes as they came, with what the change says
//! about all of them. What cannot be cut stays as it came, for a person to look at.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::channel::shared::look;

/// Lists within a change whose elements have nothing to do with each other.
const LISTS: &[&str] = &["messages", "statuses", "message_echoes", "user_preferences", "calls"];
/// A request with more elements than this stays whole.
const PIECES_MAX: usize = 10_000;

#[derive(Deserialize)]
struct Envelope<'b> {
    #[serde(borrow)]
    object: Option<&'b RawValue>,
    #[serde(borrow)]
    entry: Vec<&'b RawValue>,
}

#[derive(Deserialize)]
struct Entry<'b> {
    #[serde(borrow)]
    id: Option<&'b RawValue>,
    #[serde(borrow)]
    time: Option<&'b RawValue>,
    #[serde(borrow)]
    messaging: Option<Vec<&'b RawValue>>,
    #[serde(borrow)]
    standby: Option<Vec<&'b RawValue>>,
    #[serde(borrow)]
    changes: Option<Vec<&'b RawValue>>,
}

#[derive(Deserialize)]
struct Change<'b> {
    #[serde(borrow)]
    field: Option<&'b RawValue>,
    #[serde(borrow)]
    value: &'b RawValue,
}

type Fields<'b> = BTreeMap<String, &'b RawValue>;

/// The pieces of a request, each an envelope that can be read by itself.
pub(super) fn pieces(body: &Bytes) -> Vec<Bytes> {
    let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(body) else {
        return vec![body.clone()];
    };
    let mut pieces = Vec::new();
    for raw in &envelope.entry {
        match serde_json::from_str::<Entry<'_>>(raw.get()) {
            Ok(entry) => {
                let elements = elements(&entry);
                if elements.is_empty() {
                    pieces.push(around_entry(&envelope, raw.get()));
                }
                for (list, element) in elements {
                    let whole = around_list(&entry, list, &element);
                    pieces.push(around_entry(&envelope, &whole));
                }
            }
            Err(_) => pieces.push(around_entry(&envelope, raw.get())),
        }
        if pieces.len() > PIECES_MAX {
            return vec![body.clone()];
        }
    }
    if pieces.is_empty() { vec![body.clone()] } else { pieces }
}

/// The elements of an entry, each with the name of the list that it stands in.
fn elements(entry: &Entry<'_>) -> Vec<(&'static str, String)> {
    let mut elements = Vec::new();
    for (name, list) in [("messaging", &entry.messaging), ("standby", &entry.standby)] {
        let list = list.iter().flatten().map(|one| (name, one.get().to_owned()));
        elements.extend(list);
    }
    for change in entry.changes.iter().flatten() {
        elements.extend(changes(change).into_iter().map(|change| ("changes", change)));
    }
    elements
}

/// One change for each element of its lists; itself, if it has none.
fn changes(raw: &RawValue) -> Vec<String> {
    let Some((change, mut fields)) = read_change(raw) else { return vec![raw.get().to_owned()] };
    let mut lists: Vec<(&str, Vec<&RawValue>)> = Vec::new();
    for name in LISTS {
        let list = fields.get(*name).and_then(|list| serde_json::from_str(list.get()).ok());
        if let Some(list) = list {
            fields.remove(*name);
            lists.push((name, list));
        }
    }
    let elements = lists.iter().flat_map(|(name, list)| list.iter().map(|one| (*name, *one)));
    let cut = elements.map(|(name, one)| around_element(&change, &fields, name, one.get()));
    let cut: Vec<String> = cut.collect();
    if cut.is_empty() { vec![raw.get().to_owned()] } else { cut }
}

fn read_change<'b>(raw: &'b RawValue) -> Option<(Change<'b>, Fields<'b>)> {
    let change: Change<'b> = serde_json::from_str(raw.get()).ok()?;
    let fields = serde_json::from_str(change.value.get()).ok()?;
    Some((change, fields))
}

fn around_entry(envelope: &Envelope<'_>, entry: &str) -> Bytes {
    let object = envelope.object.map_or("null", RawValue::get);
    Bytes::from(format!("{{\"object\":{object},\"entry\":[{entry}]}}"))
}

fn around_list(entry: &Entry<'_>, list: &str, element: &str) -> String {
    let (id, time) =
        (entry.id.map_or("null", RawValue::get), entry.time.map_or("null", RawValue::get));
    format!("{{\"id\":{id},\"time\":{time},\"{list}\":[{element}]}}")
}

fn around_element(change: &Change<'_>, fields: &Fields<'_>, name: &str, element: &str) -> String {
    let mut value = String::new();
    for (key, raw) in fields {
        let kept = match key.as_str() {
            "contacts" => contacts_of(raw, element),
            _ => raw.get().to_owned(),
        };
        value.push_str(&format!("{}:{kept},", Value::from(key.as_str())));
    }
    let field = change.field.map_or("null", RawValue::get);
    format!("{{\"field\":{field},\"value\":{{{value}\"{name}\":[{element}]}}}}")
}

/// Only the person whom the element is about: nobody's name stays with what others wrote.
fn contacts_of(contacts: &RawValue, element: &str) -> String {
    let all: Vec<&RawValue> = serde_json::from_str(contacts.get()).unwrap_or_default();
    let element: Value = serde_json::from_str(element).unwrap_or_default();
    if all.len() < 2 {
        return contacts.get().to_owned();
    }
    let about = |contact: &&&RawValue| {
        let contact: Value = serde_json::from_str(contact.get()).unwrap_or_default();
        is_about(&contact, &element)
    };
    let kept: Vec<&str> = all.iter().filter(about).map(|contact| contact.get()).collect();
    format!("[{}]", kept.join(","))
}

/// Is the contact of a change the person who wrote the element, or to whom it was written?
pub fn is_about(contact: &Value, element: &Value) -> bool {
    let of = |keys: &[&str]| -> Vec<String> {
        keys.iter().filter_map(|key| look::word(element, key)).collect()
    };
    let users = of(&["/from_user_id", "/to_user_id", "/recipient_user_id", "/user_id"]);
    let numbers = of(&["/from", "/to", "/recipient_id", "/wa_id"]);
    let same = |pointer, known: &[String]| {
        look::word(contact, pointer).is_some_and(|id| known.contains(&id))
    };
    same("/user_id", &users) || same("/wa_id", &numbers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cut(body: &Value) -> Vec<Value> {
        let pieces = pieces(&Bytes::from(body.to_string()));
        pieces.iter().map(|piece| serde_json::from_slice(piece).unwrap()).collect()
    }

    fn change(value: &Value) -> Value {
        json!({ "field": "messages", "value": value })
    }

    #[test]
    fn every_message_of_every_entry_is_a_piece_with_its_own_person() {
        let contact =
            |id: &str| json!({ "wa_id": id, "profile": { "name": format!("name of {id}") } });
        let value = json!({
            "metadata": { "phone_number_id": "1" },
            "contacts": [contact("491"), contact("492")],
            "messages": [{ "id": "a", "from": "491" }, { "id": "b", "from": "492" }, 7],
            "statuses": [{ "id": "s" }],
        });
        let body = json!({ "object": "whatsapp_business_account", "entry": [
            { "id": "w", "changes": [change(&value), change(&json!({ "messages": [{ "id": "c" }] }))] },
            { "id": "w", "changes": [{ "field": "account_update", "value": { "event": "X" } }] },
            { "id": "w", "odd": true },
        ]});
        let pieces = cut(&body);
        let ids: Vec<Value> = pieces
            .iter()
            .map(|piece| piece["entry"][0]["changes"][0]["value"]["messages"][0]["id"].clone())
            .collect();
        assert_eq!(ids[..3], [json!("a"), json!("b"), json!(null)]);
        assert_eq!(pieces.len(), 7);
        let first = &pieces[0]["entry"][0]["changes"][0]["value"];
        assert_eq!(first["contacts"], json!([contact("491")]));
        assert_eq!(first["metadata"]["phone_number_id"], "1");
        assert!(first.get("statuses").is_none());
        assert_eq!(pieces[3]["entry"][0]["changes"][0]["value"]["statuses"][0]["id"], "s");
        assert_eq!(pieces[5]["entry"][0]["changes"][0]["value"]["event"], "X");
        assert_eq!(pieces[6]["entry"][0]["odd"], true);
    }

    #[test]
    fn messages_of_pages_are_pieces_by_themselves() {
        let body = json!({ "object": "page", "entry": [
            { "id": "1", "time": 5, "messaging": [{ "message": { "mid": "a" } }, 7] },
            { "id": "2", "standby": [{ "message": { "mid": "b" } }],
              "changes": [{ "field": "feed", "value": { "item": "comment" } }] },
            { "id": "3", "messaging": [] },
        ]});
        let pieces = cut(&body);
        assert_eq!(pieces.len(), 5);
        let first = json!({ "id": "1", "time": 5, "messaging": [{ "message": { "mid": "a" } }] });
        assert_eq!(pieces[0]["entry"], json!([first]));
        assert_eq!(pieces[1]["entry"][0]["messaging"], json!([7]));
        assert_eq!(pieces[2]["entry"][0]["standby"][0]["message"]["mid"], "b");
        assert_eq!(pieces[3]["entry"][0]["changes"][0]["value"]["item"], "comment");
        assert_eq!(pieces[4]["entry"][0]["messaging"], json!([]));
        assert!(pieces.iter().all(|piece| piece["object"] == "page"));
    }

    #[test]
    fn an_elements_bytes_stay_as_they_came() {
        let body = r#"{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages",
            "value":{"messages":[{"id" : "x","text":{"body":"\u4f60\/"},"n":1.50}]}}]}]}"#;
        let pieces = pieces(&Bytes::from_static(body.as_bytes()));
        let text = String::from_utf8(pieces[0].to_vec()).unwrap();
        assert!(text.contains(r#"{"id" : "x","text":{"body":"\u4f60\/"},"n":1.50}"#), "{text}");
    }

    #[test]
    fn what_cannot_be_cut_stays_whole() {
        for body in ["", "no", "[]", "{}", r#"{"entry":{}}"#, r#"{"entry":[]}"#] {
            assert_eq!(pieces(&Bytes::from(body)), [Bytes::from(body)], "{body}");
        }
        let value = json!({ "messages": vec![json!({ "id": "x" }); PIECES_MAX + 1] });
        let body = json!({ "entry": [{ "changes": [change(&value)] }] });
        assert_eq!(cut(&body), [body]);
    }
}
