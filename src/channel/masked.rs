//! A body without the secrets in it, for people who look at raws: whatever form services give their bodies.

use serde_json::Value;

use super::shared::json;

/// Masks a text; `None`: there is nothing to mask.
pub type Mask<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// A body of JSON, of a form, or of text, each value masked. What holds nothing comes back byte for byte.
#[must_use]
pub fn masked_body(body: &[u8], mask: &Mask<'_>) -> Vec<u8> {
    if let Ok(mut value) = json::read::<Value>(body) {
        let mut changed = false;
        mask_value(&mut value, mask, &mut changed);
        // Two values may be a secret only together: the numbers of a key file are.
        let whole = value.to_string();
        return match (mask(&whole), changed) {
            (Some(masked), _) => masked.into_bytes(),
            (None, true) => whole.into_bytes(),
            (None, false) => body.to_vec(),
        };
    }
    if is_form(body) {
        let mut changed = false;
        let pairs = url::form_urlencoded::parse(body).map(|(key, value)| {
            let masked = mask(&value);
            changed |= masked.is_some();
            (key.into_owned(), masked.unwrap_or_else(|| value.into_owned()))
        });
        let pairs: Vec<(String, String)> = pairs.collect();
        if changed {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            return form.extend_pairs(pairs).finish().into_bytes();
        }
        return body.to_vec();
    }
    mask(&String::from_utf8_lossy(body)).map_or_else(|| body.to_vec(), String::into_bytes)
}

fn is_form(body: &[u8]) -> bool {
    body.contains(&b'=') && body.iter().all(|byte| byte.is_ascii_graphic())
}

fn mask_value(value: &mut Value, mask: &Mask<'_>, changed: &mut bool) {
    match value {
        Value::String(text) => {
            if let Some(masked) = mask(text) {
                *text = masked;
                *changed = true;
            }
        }
        Value::Array(values) => {
            values.iter_mut().for_each(|value| mask_value(value, mask, changed));
        }
        Value::Object(values) => {
            values.values_mut().for_each(|value| mask_value(value, mask, changed));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_masked_in_its_own_way_and_what_holds_nothing_stays() {
        let mask = |text: &str| text.contains("a b").then(|| text.replace("a b", "[removed]"));
        for (body, expected) in [
            (
                r#"{"x":{"text":"a\u0020b","n":[1,"c"]}}"#,
                r#"{"x":{"n":[1,"c"],"text":"[removed]"}}"#,
            ),
            ("From=%2B1&Body=a+b", "From=%2B1&Body=%5Bremoved%5D"),
            ("Subject: a b\r\n\r\nx", "Subject: [removed]\r\n\r\nx"),
            (r#"{ "text": "c" }"#, r#"{ "text": "c" }"#),
            ("Body=c%20d", "Body=c%20d"),
        ] {
            let masked = String::from_utf8(masked_body(body.as_bytes(), &mask)).unwrap();
            let (one, other) =
                (serde_json::from_str::<Value>(&masked), serde_json::from_str::<Value>(expected));
            assert!(masked == expected || one.is_ok() && one.ok() == other.ok(), "{masked}");
        }
    }
}
