//! JSON as programs really write it.
//!
//! A text that was cut within an emoji holds half a character: `\ud83d` alone. Programs in JavaScript, Java and
//! Python write that without a word, and no strict parser takes it. The message is worth more than the rule.

use serde::de::DeserializeOwned;

/// What some editors and programs put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes of `\ud83d`.
const ESCAPE_BYTES: usize = 6;

/// Reads JSON; halves of characters become U+FFFD, and a byte order mark is passed over.
///
/// # Errors
/// It is no JSON, or not what was expected. The error is that of the bytes as they came.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(bytes).or_else(|error| match mended(bytes) {
        Some(mended) => serde_json::from_slice(&mended).map_err(|_| error),
        None => Err(error),
    })
}

/// The same with every half of a character replaced, and without a byte order mark; `None`: there is neither.
#[must_use]
pub fn mended(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let mut changed = text.len() != bytes.len();
    let mut mended = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        // Outside of texts there is no backslash, so nothing else can be met.
        let taken = match (first, unit(rest)) {
            (b'\\', Some(0xD800..=0xDBFF)) if is_second(rest.get(ESCAPE_BYTES..)) => {
                2 * ESCAPE_BYTES
            }
            (b'\\', Some(0xD800..=0xDFFF)) => {
                mended.extend_from_slice(b"\\ufffd");
                changed = true;
                rest = rest.get(ESCAPE_BYTES..).unwrap_or_default();
                continue;
            }
            // An escaped backslash begins no other escape.
            (b'\\', _) => 2.min(rest.len()),
            _ => {
                mended.push(*first);
                rest = tail;
                continue;
            }
        };
        let (whole, after) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
        mended.extend_from_slice(whole);
        rest = after;
    }
    changed.then_some(mended)
}

/// The unit of UTF-16 that an escape stands for.
fn unit(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.get(..ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    let sane = digits.iter().all(u8::is_ascii_hexdigit);
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().filter(|_| sane)
}

fn is_second(bytes: Option<&[u8]>) -> bool {
    bytes.and_then(unit).is_some_and(|unit| (0xDC00..=0xDFFF).contains(&unit))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn half_a_character_costs_no_more_than_itself() {
        for (given, read_as) in [
            (r#"{"a":"x \ud83d y"}"#, json!({ "a": "x \u{fffd} y" })),
            (r#"{"a":"\udc00\ud83d"}"#, json!({ "a": "\u{fffd}\u{fffd}" })),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, json!({ "a": "\u{fffd}😀" })),
            (r#"{"a":"\\ud83d \ud83d"}"#, json!({ "a": "\\ud83d \u{fffd}" })),
            (r#"{"\ud83d":1}"#, json!({ "\u{fffd}": 1 })),
            ("\u{feff}{\"a\":\"ß\"}", json!({ "a": "ß" })),
        ] {
            assert_eq!(read::<Value>(given.as_bytes()).unwrap(), read_as, "{given}");
        }
    }

    #[test]
    fn what_is_whole_or_no_json_stays_as_it_is() {
        for whole in
            [r#"{"a":"\ud83d\ude00 \\ud83d \u00e4"}"#, "", "\\", "\\u", r"\ud8", "{\"a\":\"\\"]
        {
            assert_eq!(mended(whole.as_bytes()), None, "{whole}");
        }
        assert!(read::<Value>(b"{\"a\":\"\\ud83d").is_err());
        assert!(read::<Value>(b"\xff").is_err());
    }
}
