//! What is done about a secret that a customer sent: it is masked before anything is written, and they are told
//! at once what to do now.

use std::collections::BTreeMap;

use super::language::fitting;
use super::secrets::{Masked, Scanner, SecretSort};

/// Longer files are not looked into: nothing that opens a wallet is so large.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// An address that gets so many of these answers in an hour is a machine.
const ANSWERS_PER_ADDRESS_MAX: u64 = 5;
/// For all of a channel in an hour.
const ANSWERS_PER_CHANNEL_MAX: u64 = 300;

/// How many of which sort.
pub type Found = BTreeMap<SecretSort, usize>;

/// What is masked, and what the customer is told.
#[derive(Debug, Clone)]
pub struct Safety {
    /// Finds what is masked in messages that come in.
    pub scanner: Scanner,
    /// What the customer is told, by language (`en`, `zh`, `zh-Hant`); none: nothing.
    pub answers: BTreeMap<String, Advice>,
    /// How long originals are kept.
    pub keep: chrono::Duration,
}

impl Default for Safety {
    fn default() -> Self {
        let keep = chrono::Duration::days(30);
        Self { scanner: Scanner::default(), answers: BTreeMap::new(), keep }
    }
}

/// What the customer is told, with `{number}`, `{subject}` and `{name}`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Advice {
    /// Where what they sent opens a wallet: whoever has read it can take all that is in it.
    pub wallet: String,
    /// Where it was a card, a code or a password.
    pub other: String,
}

impl Safety {
    /// Masks a text in place. Returns what was in it.
    pub fn mask(&self, text: &mut String) -> Found {
        put(text, |text| self.scanner.mask(text))
    }

    /// The same for HTML.
    pub fn mask_html(&self, html: &mut String) -> Found {
        put(html, |html| self.scanner.mask_html(html))
    }

    /// A file of text without its secrets. `None`: there are none, or it is no text.
    #[must_use]
    pub fn mask_file(&self, media_type: &str, bytes: &[u8]) -> Option<(Vec<u8>, Found)> {
        if bytes.len() > FILE_BYTES_MAX {
            return None;
        }
        let text = text_of(media_type, bytes)?;
        let html = media_type == "text/html" || media_type == "application/xhtml+xml";
        let mut masked = text;
        let found = if html { self.mask_html(&mut masked) } else { self.mask(&mut masked) };
        (!found.is_empty()).then(|| (masked.into_bytes(), found))
    }

    /// What to tell somebody who sent this. `language`: a tag like `zh-Hant`.
    #[must_use]
    pub fn advice(&self, language: Option<&str>, found: &Found) -> Option<&str> {
        let wallet = found.keys().any(|sort| sort.opens_a_wallet());
        let advice = fitting(&self.answers, language)?;
        Some(if wallet { &advice.wallet } else { &advice.other })
    }
}

/// What the store knows that matters for one such answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdviceFacts {
    /// Answers of this sort in the ticket within the last hour.
    pub in_ticket: u64,
    /// To this address within the last hour.
    pub to_address: u64,
    /// On this channel within the last hour.
    pub on_channel: u64,
    /// The address bounced or complained before.
    pub suppressed: bool,
}

/// May it go out? `Err`: why not, for the decision trace. Asked besides what keeps every answer by a machine from
/// looping ([`answerable`](super::answerable)).
pub fn advisable(facts: AdviceFacts) -> Result<(), &'static str> {
    if facts.suppressed {
        return Err("the address bounced or complained before");
    }
    if facts.in_ticket > 0 {
        return Err("they were told within the last hour");
    }
    if facts.to_address >= ANSWERS_PER_ADDRESS_MAX {
        return Err("the address was told often enough this hour");
    }
    if facts.on_channel >= ANSWERS_PER_CHANNEL_MAX {
        return Err("the channel has warned enough people this hour");
    }
    Ok(())
}

fn put(text: &mut String, mask: impl Fn(&str) -> Option<Masked>) -> Found {
    let Some(masked) = mask(text) else { return Found::new() };
    let counted = masked.sorts.iter().map(|sort| {
        let marks = |text: &str| text.matches(sort.mask()).count();
        (*sort, marks(&masked.text).saturating_sub(marks(text)).max(1))
    });
    let found = counted.collect();
    *text = masked.text;
    found
}

/// The larger number of each sort: for several forms of the same words.
pub fn at_least(found: &mut Found, other: &Found) {
    for (sort, count) in other {
        let known = found.entry(*sort).or_default();
        *known = (*known).max(*count);
    }
}

/// Both together: for words that stand beside each other.
pub fn add(found: &mut Found, other: &Found) {
    for (sort, count) in other {
        *found.entry(*sort).or_default() += count;
    }
}

/// «2 card numbers»: for people.
#[must_use]
pub fn told(found: &Found) -> String {
    let parts = found.iter().map(|(sort, count)| format!("{count} × {}", sort.words()));
    parts.collect::<Vec<_>>().join(", ")
}

/// A file's text, by what it is and not by its name: key files have none that says so.
fn text_of(media_type: &str, bytes: &[u8]) -> Option<String> {
    let wide = |order: fn([u8; 2]) -> u16| {
        let units = bytes.as_chunks::<2>().0.iter().skip(1).map(|pair| order(*pair));
        String::from_utf16(&units.collect::<Vec<_>>()).ok()
    };
    match bytes.get(..2) {
        Some([0xff, 0xfe]) => return wide(u16::from_le_bytes),
        Some([0xfe, 0xff]) => return wide(u16::from_be_bytes),
        _ => {}
    }
    if bytes.contains(&0) {
        return None;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        // Whatever the letters are, the digits and the English in it are the same.
        Err(_) if media_type.starts_with("text/") => {
            Some(bytes.iter().map(|byte| char::from(*byte)).collect())
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHRASE: &str =
        "legal winner thank year wave sausage worth useful legal winner thank yellow";

    fn safety() -> Safety {
        let advice =
            |name: &str| Advice { wallet: format!("{name} wallet"), other: name.to_owned() };
        let answers = ["en", "zh", "zh-Hant"].map(|tag| (tag.to_owned(), advice(tag)));
        Safety { answers: answers.into(), ..Safety::default() }
    }

    #[test]
    fn sorts_are_counted_and_the_advice_is_in_the_customers_language() {
        let mut text = format!("{PHRASE} and card 4111 1111 1111 1111, card 5555 5555 5555 4444");
        let found = safety().mask(&mut text);
        assert_eq!(
            text,
            "[seed phrase removed] and card [card number removed], card [card number removed]"
        );
        assert_eq!(told(&found), "1 × seed phrase, 2 × card number");
        for (tag, expected) in [
            (Some("zh-Hant"), "zh-Hant wallet"),
            (Some("zh-Hans"), "zh wallet"),
            (Some("fr"), "en wallet"),
            (None, "en wallet"),
        ] {
            assert_eq!(safety().advice(tag, &found), Some(expected), "{tag:?}");
        }
        let card = Found::from([(SecretSort::Card, 1)]);
        assert_eq!(safety().advice(Some("zh"), &card), Some("zh"));
        assert_eq!(Safety::default().advice(Some("zh"), &card), None);
    }

    #[test]
    fn files_of_text_are_masked_whatever_they_are_called_and_others_stay() {
        let safety = safety();
        let masked =
            |media_type: &str, bytes: &[u8]| safety.mask_file(media_type, bytes).map(|one| one.0);
        let file = format!("words\n{PHRASE}\n");
        let expected = Some(b"words\n[seed phrase removed]\n".to_vec());
        assert_eq!(masked("application/octet-stream", file.as_bytes()), expected);
        assert_eq!(masked("image/png", file.as_bytes()), expected);
        let wide: Vec<u8> =
            std::iter::once(0xfeff).chain(file.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert_eq!(masked("text/plain", &wide), expected);
        let latin = [file.as_bytes(), b"\xe9"].concat();
        assert!(masked("text/plain", &latin).is_some());
        assert_eq!(masked("application/zip", &[b"PK\0", file.as_bytes()].concat()), None);
        assert_eq!(masked("text/plain", b"hello"), None);
        let html = PHRASE.replace(' ', "</b> <b>");
        assert_eq!(
            masked("text/html", html.as_bytes()).map(|bytes| bytes.starts_with(b"[seed")),
            Some(true)
        );
    }

    #[test]
    fn an_answer_goes_out_once_an_hour_and_loops_end() {
        let facts = AdviceFacts::default();
        assert!(advisable(facts).is_ok());
        for facts in [
            AdviceFacts { in_ticket: 1, ..facts },
            AdviceFacts { to_address: ANSWERS_PER_ADDRESS_MAX, ..facts },
            AdviceFacts { on_channel: ANSWERS_PER_CHANNEL_MAX, ..facts },
            AdviceFacts { suppressed: true, ..facts },
        ] {
            assert!(advisable(facts).is_err(), "{facts:?}");
        }
    }
}
