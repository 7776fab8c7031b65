//! Reads a [`config::Value`] into a settings struct, and says what is wrong with it without showing it.
//!
//! Three things that the `config` crate's own reading does not do: no message holds a value (a
//! password may stand under the wrong key), an unknown word is answered with the known ones, and an
//! unknown key with the key that was perhaps meant. Texts that an environment variable set become numbers
//! where numbers are wanted, and stay texts where texts are wanted.

use std::fmt;

use config::{Value, ValueKind};
use serde::de::{
    self, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor,
    value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer},
};

/// What is wrong. The `Display` form holds no value that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No such key here.
    Unknown {
        /// The key that was given.
        key: String,
        /// The keys that exist.
        known: &'static [&'static str],
    },
    /// A key without a default is not there.
    Missing(&'static str),
    /// Everything else; the text is complete.
    Wrong(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { key, known } => {
                f.write_str("unknown key")?;
                match nearest(key, known) {
                    Some(near) => write!(f, "; did you mean `{near}`?"),
                    None if known.is_empty() => Ok(()),
                    None => write!(f, "; known here: {}", known.join(", ")),
                }
            }
            Self::Missing(_) => f.write_str("missing"),
            Self::Wrong(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Wrong(text.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Wrong(format!("expected {}, found {}", wanted(expected), sort(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Wrong(format!("expected {}, found another {}", wanted(expected), sort(found)))
    }

    fn unknown_variant(given: &str, known: &'static [&'static str]) -> Self {
        let list = known.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        Self::Wrong(match nearest(given, known) {
            Some(near) => format!("is none of {list}; did you mean `{near}`?"),
            None => format!("is none of {list}"),
        })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::Unknown { key: key.to_owned(), known }
    }

    fn missing_field(key: &'static str) -> Self {
        Self::Missing(key)
    }
}

/// The word out of `known` that was perhaps meant.
pub(crate) fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase();
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&given, word), *word))
        .filter(|(distance, word)| *distance <= 1 + word.len() / 4)
        .min()
        .map(|(_, word)| word)
}

/// What serde calls a string, people call a text.
fn wanted(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "a string" | "a borrowed string" | "string" => "a text".to_owned(),
        "a map" => "a table".to_owned(),
        "a sequence" => "a list".to_owned(),
        other => match other.split_once("struct ") {
            Some(("", _)) => "a table".to_owned(),
            Some(_) | None => other.to_owned(),
        },
    }
}

fn sort(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "integer",
        Unexpected::Float(_) => "fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Seq => "list",
        Unexpected::Map => "table",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Bytes(_)
        | Unexpected::NewtypeStruct
        | Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant
        | Unexpected::Other(_) => "something else",
    }
}

fn found(kind: &ValueKind) -> &'static str {
    match kind {
        ValueKind::Nil => "nothing",
        ValueKind::Boolean(_) => "boolean",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => {
            "integer"
        }
        ValueKind::Float(_) => "fraction",
        ValueKind::String(_) => "text",
        ValueKind::Table(_) => "table",
        ValueKind::Array(_) => "list",
    }
}

/// The reader itself.
pub(crate) struct Loose(pub(crate) Value);

impl Loose {
    fn wrong(&self, expected: &str) -> Problem {
        Problem::Wrong(format!("expected {expected}, found {}", found(&self.0.kind)))
    }

    fn integer(&self) -> Result<i128, Problem> {
        match &self.0.kind {
            ValueKind::I64(number) => Some(i128::from(*number)),
            ValueKind::I128(number) => Some(*number),
            ValueKind::U64(number) => Some(i128::from(*number)),
            ValueKind::U128(number) => i128::try_from(*number).ok(),
            ValueKind::String(text) => text.trim().parse().ok(),
            ValueKind::Nil
            | ValueKind::Boolean(_)
            | ValueKind::Float(_)
            | ValueKind::Table(_)
            | ValueKind::Array(_) => None,
        }
        .ok_or_else(|| self.wrong("an integer"))
    }

    fn fraction(&self) -> Result<f64, Problem> {
        match &self.0.kind {
            ValueKind::Float(number) => Some(*number),
            ValueKind::String(text) => text.trim().parse().ok(),
            ValueKind::Nil
            | ValueKind::Boolean(_)
            | ValueKind::I64(_)
            | ValueKind::I128(_)
            | ValueKind::U64(_)
            | ValueKind::U128(_)
            | ValueKind::Table(_)
            | ValueKind::Array(_) => None,
        }
        // Settings are small numbers: an i32 holds them exactly.
        .or_else(|| Some(f64::from(i32::try_from(self.integer().ok()?).ok()?)))
        .ok_or_else(|| self.wrong("a number"))
    }

    fn boolean(&self) -> Result<bool, Problem> {
        let given = if let ValueKind::String(text) = &self.0.kind {
            match text.trim().to_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Some(true),
                "false" | "no" | "off" | "0" => Some(false),
                _ => None,
            }
        } else if let ValueKind::Boolean(given) = self.0.kind {
            Some(given)
        } else {
            None
        };
        given.ok_or_else(|| self.wrong("true or false"))
    }

    fn text(self) -> Result<String, Problem> {
        match self.0.kind {
            ValueKind::String(text) => Ok(text),
            ValueKind::I64(_)
            | ValueKind::I128(_)
            | ValueKind::U64(_)
            | ValueKind::U128(_)
            | ValueKind::Float(_)
            | ValueKind::Boolean(_) => Ok(self.0.kind.to_string()),
            ValueKind::Table(_) => Err(Problem::Wrong(
                "expected a text; a secret may also be one of { file = \"/path\" }, \
                 { env = \"NAME\" }, { credential = \"NAME\" }"
                    .to_owned(),
            )),
            ValueKind::Nil | ValueKind::Array(_) => Err(self.wrong("a text")),
        }
    }
}

impl IntoDeserializer<'_, Problem> for Loose {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            let number = self.integer()?;
            let number = <$type>::try_from(number).map_err(|_| {
                Problem::Wrong(format!("must be from {} to {}", <$type>::MIN, <$type>::MAX))
            })?;
            visitor.$visit(number)
        }
    )*};
}

impl<'de> Deserializer<'de> for Loose {
    type Error = Problem;

    integers! {
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0.kind {
            ValueKind::Nil => visitor.visit_unit(),
            ValueKind::Boolean(given) => visitor.visit_bool(given),
            ValueKind::I64(number) => visitor.visit_i64(number),
            ValueKind::U64(number) => visitor.visit_u64(number),
            ValueKind::I128(number) => visitor.visit_i128(number),
            ValueKind::U128(number) => visitor.visit_u128(number),
            ValueKind::Float(number) => visitor.visit_f64(number),
            ValueKind::String(text) => visitor.visit_string(text),
            ValueKind::Array(values) => {
                visitor.visit_seq(SeqDeserializer::new(values.into_iter().map(Loose)))
            }
            ValueKind::Table(table) => {
                // In order of the keys, so that faults come in the same order every time.
                let mut entries: Vec<_> =
                    table.into_iter().map(|(key, value)| (key, Loose(value))).collect();
                entries.sort_by(|(one, _), (other, _)| one.cmp(other));
                visitor.visit_map(MapDeserializer::new(entries.into_iter()))
            }
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_bool(self.boolean()?)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_f64(self.fraction()?)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_f64(self.fraction()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.0.kind == ValueKind::Nil { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        if let ValueKind::String(word) = self.0.kind {
            return visitor.visit_enum(word.into_deserializer());
        }
        let fault = self.wrong("a word");
        let ValueKind::Table(table) = self.0.kind else { return Err(fault) };
        if table.len() != 1 {
            return Err(fault);
        }
        let entries = table.into_iter().map(|(key, value)| (key, Self(value)));
        visitor.visit_enum(MapAccessDeserializer::new(MapDeserializer::new(entries)))
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct seq tuple tuple_struct map struct
        identifier ignored_any
    }
}

/// Reads `value`; on failure gives the dotted path of the faulty key as well.
pub(crate) fn read<T: de::DeserializeOwned>(value: Value) -> Result<T, (String, Problem)> {
    serde_path_to_error::deserialize(Loose(value)).map_err(|error| {
        let path = match error.path().to_string() {
            path if path == "." => String::new(),
            path => path,
        };
        let problem = error.into_inner();
        let path = match &problem {
            // The path of an unknown key ends with it already; that of a missing one cannot.
            Problem::Missing(key) => join(&path, key),
            Problem::Unknown { .. } | Problem::Wrong(_) => path,
        };
        (path, problem)
    })
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        inner: Inner,
        #[serde(default)]
        list: Vec<Inner>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        port: u16,
        #[serde(default)]
        word: Word,
        #[serde(default)]
        password: Option<String>,
        #[serde(default)]
        on: Option<bool>,
    }

    #[derive(Debug, Deserialize, Default, PartialEq)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        #[default]
        Imap,
        Lmtp,
    }

    fn table(entries: &[(&str, Value)]) -> Value {
        let entries: HashMap<String, Value> =
            entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        entries.into()
    }

    fn text(text: &str) -> Value {
        Value::new(None, text)
    }

    fn fault(inner: &[(&str, Value)]) -> (String, String) {
        let (path, problem) = read::<Outer>(table(&[("inner", table(inner))])).unwrap_err();
        (path, problem.to_string())
    }

    #[test]
    fn texts_become_numbers_and_booleans_where_those_are_wanted_and_stay_texts_elsewhere() {
        let given =
            table(&[("port", text("993")), ("password", text("123456")), ("on", text("no"))]);
        let outer = read::<Outer>(table(&[("inner", given)])).unwrap();
        let wanted = Inner {
            port: 993,
            word: Word::Imap,
            password: Some("123456".to_owned()),
            on: Some(false),
        };
        assert_eq!(outer.inner, wanted);
        assert!(outer.list.is_empty());
    }

    #[test]
    fn every_fault_names_its_whole_path_and_no_value() {
        let port = ("port", Value::new(None, 1_i64));
        let pair = |path: &str, problem: &str| (path.to_owned(), problem.to_owned());
        assert_eq!(
            fault(&[("port", text("hunter2"))]),
            pair("inner.port", "expected an integer, found text")
        );
        assert_eq!(
            fault(&[("port", Value::new(None, 70_000_i64))]),
            pair("inner.port", "must be from 0 to 65535")
        );
        assert_eq!(fault(&[]), pair("inner.port", "missing"));
        assert_eq!(
            fault(&[port.clone(), ("pasword", text("hunter2"))]),
            pair("inner.pasword", "unknown key; did you mean `password`?")
        );
        assert_eq!(
            fault(&[port.clone(), ("word", text("imapp"))]),
            pair("inner.word", "is none of `imap`, `lmtp`; did you mean `imap`?")
        );
        assert_eq!(
            fault(&[port, ("zzz", text("hunter2"))]),
            pair("inner.zzz", "unknown key; known here: port, word, password, on")
        );
        let list = Value::new(None, vec![table(&[("port", text("x"))])]);
        let inner = table(&[("port", text("1"))]);
        let (path, _) = read::<Outer>(table(&[("inner", inner), ("list", list)])).unwrap_err();
        assert_eq!(path, "list[0].port");
        assert_eq!(read::<Outer>(table(&[])).unwrap_err().0, "inner");
        assert_eq!(
            read::<Outer>(table(&[("inner", text("x"))])).unwrap_err(),
            ("inner".to_owned(), Problem::Wrong("expected a table, found text".to_owned()))
        );
    }
}
