//! Finds every fault in one go, though a reader stops at the first.
//!
//! It reads, notes the fault, takes the faulty key away (or puts the default, or something harmless in
//! its place) and reads again. What is found after something invented was put in counts only if it
//! concerns a key by itself or one that was given: what is invented agrees with nothing.

use std::collections::BTreeMap;

use config::{Map, Value, ValueKind};

use super::layer::parent;

/// Stand in for texts that are missing. The first is also a host that allows everything.
const TEXTS: [&str; 4] = ["127.0.0.1", "a@example.com", "127.0.0.1:1", "http://127.0.0.1/"];

/// More faults than this are not looked for.
const ROUNDS_MAX: usize = 200;

/// A fault within the value that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The key within the value, dotted; empty for the value itself.
    pub(super) path: String,
    /// What is wrong.
    pub(super) reason: String,
}

/// Reads `value` again and again until nothing new is wrong.
///
/// `known_bad` are keys about which a fault has been noted before. `default_of` gives the value of a key
/// in the lowest layer.
pub(super) fn read_all<T>(
    mut value: Value,
    known_bad: &[String],
    default_of: impl Fn(&str) -> Option<Value>,
    read: impl Fn(Value) -> Result<T, Found>,
) -> Result<T, Vec<Found>> {
    let mut faults: Vec<Found> = Vec::new();
    let mut tried: BTreeMap<String, usize> =
        known_bad.iter().map(|path| (path.clone(), 0)).collect();
    let mut invented = !known_bad.is_empty();
    for _ in 0..ROUNDS_MAX {
        let found = match read(value.clone()) {
            Ok(_) if !faults.is_empty() || !known_bad.is_empty() => break,
            Ok(done) => return Ok(done),
            Err(found) => found,
        };
        if let Some(list) = as_list(&value, &found) {
            replace(&mut value, &found.path, Some(list));
            continue;
        }
        let seen_before = tried.contains_key(&found.path);
        let counts = || get(&value, &found.path).is_some() || is_about_shape(&found.reason);
        if !seen_before && (!invented || counts()) {
            faults.push(found.clone());
        }
        let attempt = tried.entry(found.path.clone()).or_default();
        let Some(remedy) = remedy(&value, &found, *attempt, &default_of) else {
            // Nothing helps here: go on without the table or list around it.
            let Some(around) = parent(&found.path).filter(|path| !tried.contains_key(*path)) else {
                break;
            };
            tried.insert(around.to_owned(), 0);
            replace(&mut value, around, default_of(around));
            invented = true;
            continue;
        };
        *attempt += 1;
        invented |= matches!(remedy, Remedy::Invent(_));
        match remedy {
            Remedy::Remove => replace(&mut value, &found.path, None),
            Remedy::Restore(instead) | Remedy::Invent(instead) => {
                replace(&mut value, &found.path, Some(instead));
            }
        }
    }
    Err(faults)
}

enum Remedy {
    Remove,
    Restore(Value),
    Invent(Value),
}

fn remedy(
    value: &Value,
    found: &Found,
    attempt: usize,
    default_of: impl Fn(&str) -> Option<Value>,
) -> Option<Remedy> {
    if found.path.is_empty() {
        return None;
    }
    if found.reason.starts_with("unknown key") {
        return (attempt == 0).then_some(Remedy::Remove);
    }
    if attempt == 0 {
        if let Some(default) = default_of(&found.path) {
            return Some(Remedy::Restore(default));
        }
        if let Some(word) = first_known(&found.reason) {
            return Some(Remedy::Invent(Value::new(None, word)));
        }
        if get(value, &found.path).is_some() && !found.path.ends_with(']') {
            return Some(Remedy::Remove);
        }
    }
    let mut inventions: Vec<Value> = TEXTS.iter().map(|text| Value::new(None, *text)).collect();
    inventions.push(Value::new(None, 1_i64));
    inventions.push(Value::new(None, Vec::<Value>::new()));
    inventions.push(Map::<String, Value>::new().into());
    inventions.into_iter().nth(attempt).map(Remedy::Invent)
}

/// The first of the words that would have been right.
fn first_known(reason: &str) -> Option<&str> {
    let (_, words) =
        reason.split_once("is none of `").or_else(|| reason.split_once("expected `"))?;
    words.split('`').next()
}

/// Does this concern one key by itself, whatever the others say?
fn is_about_shape(reason: &str) -> bool {
    ["unknown key", "missing", "is missing", "expected ", "is none of ", "must be from "]
        .iter()
        .any(|beginning| reason.starts_with(beginning))
}

/// An environment variable can hold a list as a text: `a, b`.
fn as_list(value: &Value, found: &Found) -> Option<Value> {
    if !found.reason.starts_with("expected a list") {
        return None;
    }
    let ValueKind::String(text) = &get(value, &found.path)?.kind else { return None };
    let parts: Vec<Value> = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| Value::new(None, part))
        .collect();
    Some(Value::new(None, parts))
}

/// What stands at a dotted path.
pub(super) fn get<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = value;
    for step in steps(path) {
        at = match (&at.kind, step) {
            (ValueKind::Table(table), Step::Key(key)) => table.get(key)?,
            (ValueKind::Array(list), Step::Index(index)) => list.get(index)?,
            _ => return None,
        };
    }
    Some(at)
}

/// Puts something else at a dotted path, or takes it away.
pub(super) fn replace(value: &mut Value, path: &str, instead: Option<Value>) {
    let steps: Vec<Step<'_>> = steps(path).collect();
    let Some((last, around)) = steps.split_last() else { return };
    let mut at = value;
    for step in around {
        let inner = match (&mut at.kind, step) {
            (ValueKind::Table(table), Step::Key(key)) => {
                table.entry((*key).to_owned()).or_default()
            }
            (ValueKind::Array(list), Step::Index(index)) => match list.get_mut(*index) {
                Some(inner) => inner,
                None => return,
            },
            (kind @ ValueKind::Nil, Step::Key(key)) => {
                *kind = ValueKind::Table(Map::new());
                let ValueKind::Table(table) = kind else { return };
                table.entry((*key).to_owned()).or_default()
            }
            _ => return,
        };
        at = inner;
    }
    match (&mut at.kind, last, instead) {
        (ValueKind::Table(table), Step::Key(key), Some(instead)) => {
            table.insert((*key).to_owned(), instead);
        }
        (ValueKind::Table(table), Step::Key(key), None) => {
            table.remove(*key);
        }
        (ValueKind::Array(list), Step::Index(index), Some(instead)) => {
            if let Some(place) = list.get_mut(*index) {
                *place = instead;
            }
        }
        (kind @ ValueKind::Nil, Step::Key(key), Some(instead)) => {
            *kind = ValueKind::Table([((*key).to_owned(), instead)].into());
        }
        _ => {}
    }
}

enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

fn steps(path: &str) -> impl Iterator<Item = Step<'_>> {
    path.split('.').filter(|part| !part.is_empty()).flat_map(|part| {
        let (key, rest) = part.split_once('[').unwrap_or((part, ""));
        let indexes = rest.split('[').filter_map(|index| index.trim_end_matches(']').parse().ok());
        let key = (!key.is_empty()).then_some(Step::Key(key));
        key.into_iter().chain(indexes.map(Step::Index)).collect::<Vec<_>>()
    })
}
