//! Who wants to be written to: words that end or begin it everywhere, by the rules of the networks.
//!
//! Twilio acts on them by itself and answers them; we keep what was said, and answer nothing.

use crate::channel::shared::twilio::form::Form;

/// What somebody wants by a single word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    /// The same, by a word that may answer a question of ours as well.
    Yes,
    /// To know who we are: Twilio answers that.
    Help,
}

/// What Twilio made of the message, or else the word that it consists of.
pub(super) fn wish(form: &Form, whatsapp: bool) -> Option<Wish> {
    let word = form.get("Body").unwrap_or_default().trim();
    match form.text("OptOutType").map(str::trim) {
        Some("STOP") => return Some(Wish::Stop),
        Some("START") => return Some(Wish::Start),
        Some("HELP") => return Some(Wish::Help),
        Some(_) | None => {}
    }
    // On WhatsApp people block us instead, and Twilio listens to no words.
    if whatsapp || word.len() > 16 {
        return None;
    }
    match word.to_ascii_uppercase().as_str() {
        "STOP" | "STOPALL" | "UNSUBSCRIBE" | "CANCEL" | "END" | "QUIT" | "REVOKE" | "OPTOUT" => {
            Some(Wish::Stop)
        }
        "START" | "UNSTOP" => Some(Wish::Start),
        "YES" => Some(Wish::Yes),
        "HELP" | "INFO" => Some(Wish::Help),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_a_single_word_and_nothing_beside_it() {
        let of = |body: &str| wish(&[("Body", body)].into_iter().collect(), false);
        for word in ["STOP", " stop\n", "Unsubscribe", "quit", "OPTOUT", "cancel", "stopall"] {
            assert_eq!(of(word), Some(Wish::Stop), "{word}");
        }
        assert_eq!(of("start"), Some(Wish::Start));
        assert_eq!(of("Yes"), Some(Wish::Yes));
        assert_eq!(of("help"), Some(Wish::Help));
        for word in ["please stop", "STOP it", "stop.", "helpme", "", "no", "Help me please"] {
            assert_eq!(of(word), None, "{word}");
        }
    }

    #[test]
    fn twilio_knows_words_of_other_languages() {
        let of = |kind: &str, whatsapp| {
            wish(&[("Body", "ARRÊT"), ("OptOutType", kind)].into_iter().collect(), whatsapp)
        };
        assert_eq!(of("STOP", false), Some(Wish::Stop));
        assert_eq!(of("START", true), Some(Wish::Start));
        assert_eq!(of("HELP", false), Some(Wish::Help));
        assert_eq!(of("", false), None);
        assert_eq!(wish(&[("Body", "STOP")].into_iter().collect(), true), None, "on WhatsApp");
    }
}
