//! A text of the settings in one or several languages.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// `"Hello"` or `{ en = "Hello", zh = "你好" }`: by the tag of the language. A bare text is English.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Texts(pub BTreeMap<String, String>);

impl Texts {
    /// English, or whatever there is: for agents.
    #[must_use]
    pub fn plain(&self) -> &str {
        self.0.get("en").or_else(|| self.0.values().next()).map_or("", String::as_str)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a text, or one for each language: { en = \"…\" }")]
        enum Form {
            One(String),
            Each(BTreeMap<String, String>),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::One(text) => BTreeMap::from([("en".to_owned(), text)]),
            Form::Each(texts) => texts,
        }))
    }
}

impl JsonSchema for Texts {
    fn schema_name() -> Cow<'static, str> {
        "Texts".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "string" },
                { "type": "object", "additionalProperties": { "type": "string" } }
            ]
        })
    }
}
