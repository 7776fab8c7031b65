//! The JSON Schema of the settings, for editors.

use schemars::JsonSchema as _;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::sections::Sections;
use super::webhook::WebhookSection;
use crate::channel;
use crate::desk::TriageSettings;

/// The JSON Schema (2020-12) of `tributary.toml`.
#[must_use]
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Sections).to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("tributary.toml"));
        // Every key has a default in a layer below, so a file need not name any.
        root.remove("required");
        if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert(
                "channels".to_owned(),
                json!({
                    "description": "One table for each channel, under its own name.",
                    "type": "object",
                    "propertyNames": { "pattern": "^[a-z][a-z0-9_]{0,31}$" },
                    "additionalProperties": channel::schema()
                }),
            );
            let whole =
                SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
            let endpoint = WebhookSection::json_schema(&mut whole.into_generator());
            let inline =
                SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
            let mut triage = TriageSettings::json_schema(&mut inline.into_generator()).to_value();
            let triage = triage.get_mut("properties").and_then(Value::as_object_mut);
            properties.extend(triage.map(std::mem::take).unwrap_or_default());
            properties.insert(
                "webhooks".to_owned(),
                json!({
                    "description": "Endpoints to which events are posted, each under its own name.",
                    "type": "object",
                    "propertyNames": { "pattern": "^[a-z0-9_]{1,24}$" },
                    "additionalProperties": endpoint
                }),
            );
        }
        if let Some(parts) = root.get_mut("$defs").and_then(Value::as_object_mut) {
            for part in parts.values_mut() {
                if let Some(part) = part.as_object_mut() {
                    part.remove("required");
                }
            }
        }
    }
    schema
}
