//! A text of the settings in one or several languages.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::language::serves;

/// `"Hello"` or `{ en = "Hello", zh = "你好" }`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts(BTreeMap<String, String>);

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

impl Texts {
    /// In the language wanted, else in another form of it (traditional for simplified), else in English, else
    /// what there is.
    #[must_use]
    pub fn choose(&self, language: Option<&str>) -> &str {
        let wanted = language.unwrap_or("en");
        let exact = || self.0.iter().find(|(given, _)| serves(given, wanted));
        let near = || {
            let primary = wanted.split(['-', '_']).next().unwrap_or(wanted);
            self.0.iter().find(|(given, _)| serves(given, primary))
        };
        let english = || self.0.get_key_value("en").or_else(|| self.0.iter().next());
        exact().or_else(near).or_else(english).map_or("", |(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_language_is_chosen() {
        let texts: Texts =
            serde_json::from_str(r#"{"en": "english", "zh-Hans": "simplified", "de": "deutsch"}"#)
                .unwrap();
        for (wanted, expected) in [
            (Some("zh-Hans"), "simplified"),
            (Some("zh-CN"), "simplified"),
            (Some("zh-Hant"), "simplified"),
            (Some("de-AT"), "deutsch"),
            (Some("fr"), "english"),
            (None, "english"),
        ] {
            assert_eq!(texts.choose(wanted), expected, "{wanted:?}");
        }
        let one: Texts = serde_json::from_str(r#""only""#).unwrap();
        assert_eq!((one.choose(Some("zh")), Texts::default().choose(None)), ("only", ""));
    }
}
