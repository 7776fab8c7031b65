//! The JSON Schema of a mail channel, put together as its table is taken apart: `receive` by protocol.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::raw::{RawImap, RawLmtp, RawMail, RawPipe, RawSend};

/// The keys of a mail channel beside the common ones.
pub(in super::super) fn schema() -> Schema {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut maker = settings.into_generator();
    let receive = [
        protocol::<RawImap>("imap", &mut maker),
        protocol::<RawLmtp>("lmtp", &mut maker),
        protocol::<RawPipe>("pipe", &mut maker),
    ];
    let send = RawSend::json_schema(&mut maker);
    let mut mail = RawMail::json_schema(&mut maker);
    if let Some(properties) = mail.get_mut("properties").and_then(Value::as_object_mut) {
        let text = "How mail comes in; one of `receive` and `send` is needed.";
        properties.insert("receive".to_owned(), json!({ "description": text, "oneOf": receive }));
        properties.insert("send".to_owned(), send.to_value());
    }
    mail
}

/// The keys of one protocol, and the word that chooses it.
fn protocol<T: JsonSchema>(word: &str, maker: &mut SchemaGenerator) -> Value {
    let mut schema = T::json_schema(maker);
    let object = schema.ensure_object();
    object.insert("required".to_owned(), json!(["protocol"]));
    let properties = object.entry("properties").or_insert_with(|| Map::new().into());
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("protocol".to_owned(), json!({ "const": word }));
    }
    schema.to_value()
}
