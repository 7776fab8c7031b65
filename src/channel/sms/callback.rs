//! Who writes a certain word, alone or before a number, wants to be called.

use crate::model::{CallWish, phone_number};

/// These count where the settings name none.
pub(super) const WORDS: &[&str] =
    &["CALL", "CALL ME", "CALL BACK", "CALLBACK", "回电", "请回电", "给我回电"];
/// No such word is longer, in characters.
pub(super) const WORD_CHARS_MAX: usize = 40;

/// A word without what people end a call with: `Call me!`
pub(super) fn bare(word: &str) -> &str {
    let around = |c: char| c.is_whitespace() || matches!(c, '.' | '!' | '。' | '！');
    word.trim_start().trim_end_matches(around)
}

/// The wish of a message, if it is one; `own` is the number that it came from, where that can be called.
pub(super) fn wish(words: &[String], said: &str, own: Option<&str>) -> Option<CallWish> {
    let said = bare(said).to_uppercase();
    let phone = words.iter().find_map(|word| {
        let rest = said.strip_prefix(&bare(word).to_uppercase())?.trim();
        // «CALL 5» is something else.
        if rest.is_empty() { own.map(str::to_owned) } else { phone_number(rest) }
    });
    let (when, note) = (String::new(), String::new());
    phone.map(|phone| CallWish { phone, at: None, when, note, time_zone: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_alone_or_before_a_number_is_a_wish() {
        let words: Vec<String> = WORDS.iter().map(|word| (*word).to_owned()).collect();
        let own = Some("+15005550001");
        let of = |said: &str, own| wish(&words, said, own).map(|wish| wish.phone);
        for said in ["CALL", " call me ", "Callback!", "回电", "请回电。"] {
            assert_eq!(of(said, own).as_deref(), own, "{said}");
            assert_eq!(of(said, None), None, "nobody can call a short code: {said}");
        }
        for said in ["call +49 30 123456", "Call me +4930123456", "回电 0049 30 123456"] {
            assert_eq!(of(said, None).as_deref(), Some("+4930123456"), "{said}");
        }
        for said in ["", "call it a day", "CALL 5", "callings", "do not call", "recall"] {
            assert_eq!(of(said, own), None, "{said}");
        }
        assert_eq!(wish(&[], "CALL", own), None, "switched off");
        let own_word = ["Ring me!".to_owned()];
        for said in ["ring me", "Ring me!", "RING ME !", "ring me。"] {
            assert!(wish(&own_word, said, own).is_some(), "{said}");
        }
    }
}
