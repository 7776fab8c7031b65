//! Looks into JSON that grows with every version of a service: what is not there, or of another type, is
//! nothing, and never an error.

use chrono::DateTime;
use serde_json::Value;

use crate::model::Timestamp;

/// Longest text that is taken out of one field, in characters.
const TEXT_CHARS_MAX: usize = 100_000;
/// Above this a number of seconds is one of milliseconds: seconds get there in the year 5138.
const SECONDS_MAX: i64 = 99_999_999_999;

/// A text that is not empty.
pub fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    let text = value.pointer(pointer)?.as_str()?;
    let text = match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => text.get(..end)?,
        None => text,
    };
    (!text.trim().is_empty()).then_some(text)
}

/// A text or a number: ids are written in both ways.
pub fn word(value: &Value, pointer: &str) -> Option<String> {
    match value.pointer(pointer)? {
        Value::Number(number) => Some(number.to_string()),
        Value::String(_) => text(value, pointer).map(|text| text.trim().to_owned()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The elements of a list; nothing, if there is none.
pub fn list<'v>(value: &'v Value, pointer: &str) -> impl Iterator<Item = &'v Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

/// A moment: seconds since 1970 as text or number; some fields give milliseconds.
pub fn moment(value: &Value, pointer: &str) -> Option<Timestamp> {
    let number: i64 = word(value, pointer)?.parse().ok()?;
    if number > SECONDS_MAX {
        DateTime::from_timestamp_millis(number)
    } else {
        DateTime::from_timestamp(number, 0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments_are_seconds_or_milliseconds_as_text_or_number() {
        let value = json!({ "a": "1697043223", "b": 1_697_043_223, "c": "1697043223000", "d": "soon",
            "e": "99999999999999999999", "f": "9223372036854775807" });
        let seconds = |pointer| moment(&value, pointer).map(|moment| moment.timestamp());
        assert_eq!(["/a", "/b", "/c"].map(seconds), [Some(1_697_043_223); 3]);
        assert_eq!(["/d", "/e", "/f", "/g"].map(seconds), [None; 4]);
    }

    #[test]
    fn what_is_of_another_type_is_nothing() {
        let value = json!({ "text": { "body": 7 }, "id": 12, "blank": " \n", "list": { "0": 1 } });
        assert_eq!(text(&value, "/text/body"), None);
        assert_eq!(text(&value, "/blank"), None);
        assert_eq!(word(&value, "/id").as_deref(), Some("12"));
        assert_eq!(word(&value, "/text"), None);
        assert_eq!(list(&value, "/list").count(), 0);
    }
}
