//! The JSON Schema of a channel's table: the common keys and those of its kind, for editors.

use schemars::JsonSchema as _;
use serde_json::{Map, Value, json};

use super::{KINDS, Kind, policy};

/// One table `[channels.<name>]`, whichever kind it has.
#[must_use]
pub fn schema() -> Value {
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let each: Vec<Value> = KINDS
        .iter()
        .map(|kind| {
            json!({
                "if": { "properties": { "kind": { "const": kind.name } } },
                "then": of_kind(kind)
            })
        })
        .collect();
    json!({
        "type": "object",
        "required": ["kind"],
        "properties": { "kind": { "enum": kinds } },
        "allOf": each
    })
}

fn of_kind(kind: &Kind) -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true);
    let common = policy::Common::json_schema(&mut settings.into_generator()).to_value();
    let mut own = (kind.schema)().to_value();
    let Some(object) = own.as_object_mut() else { return own };
    for key in ["$schema", "title"] {
        object.remove(key);
    }
    let properties = object.entry("properties").or_insert_with(|| Map::new().into());
    if let (Some(properties), Some(common)) =
        (properties.as_object_mut(), common.get("properties").and_then(Value::as_object))
    {
        properties.extend(common.clone());
        properties.insert("kind".to_owned(), json!({ "const": kind.name }));
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_tells_its_keys_and_lets_no_other_stand() {
        for kind in KINDS {
            let own = of_kind(kind);
            assert_eq!(own["additionalProperties"], json!(false), "{}: {own:#}", kind.name);
            let keys = own["properties"].as_object().unwrap();
            for common in ["kind", "reopen", "retry", "blocked"] {
                assert!(keys.contains_key(common), "{} has no {common}", kind.name);
            }
        }
    }
}
