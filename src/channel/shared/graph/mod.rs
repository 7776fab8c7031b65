//! Meta's Graph API, as far as its products have it in common. Knows no product.
//!
//! `hook` takes in what is pushed, `cut` cuts it into pieces, `notice` tells people of the account; `account` makes
//! calls in the name of a number, a page or an account, `code` says what follows from an error.

pub mod account;
pub mod code;
mod cut;
pub mod hook;
pub mod media;
pub mod notice;
pub mod settings;

pub use cut::is_about;

use serde_json::Value;

use super::heard::Heard;
use super::look;

/// Goes through the entries of a request about pages or accounts; what has none may be `bare`, which a person handed
/// over: `false` if it is nothing that can be read.
pub fn entries(
    body: &Value,
    object: &str,
    heard: &mut Heard,
    mut entry: impl FnMut(&Value, &mut Heard),
    bare: impl FnOnce(&Value, &mut Heard) -> bool,
) {
    if look::text(body, "/object").is_some_and(|named| named != object) {
        return heard.ignore("it is about another product");
    }
    match body.get("entry") {
        Some(Value::Array(entries)) => entries.iter().for_each(|one| entry(one, heard)),
        Some(_) => heard.bad(body, "entries that are no list"),
        None => {
            if !bare(body, heard) {
                heard.bad(body, "neither entries nor an event");
            }
        }
    }
}
