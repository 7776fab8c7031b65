//! What stands below the replies of people: theirs, or their queue's, in the customer's language. Pure.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::language::fitting;
use super::macros::{render, variables_among};
use super::split_html::escaped;

/// What may stand between `{{` and `}}`.
const VARIABLES: &[&str] =
    &["agent.email", "agent.name", "channel.name", "ticket.number", "ticket.queue"];
/// Longest text.
const TEXT_CHARS_MAX: usize = 2000;
/// Most languages.
const LANGUAGES_MAX: usize = 50;

/// `[[signatures]]`: what stands below replies of people on some channels and in some queues.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignatureSetting {
    /// On these channels. Absent: on those that set a signature apart from the words (mail).
    pub channels: Option<Vec<String>>,
    /// In tickets of these queues. Absent: in all.
    pub queues: Option<Vec<String>>,
    /// By language, with variables like `{{agent.name}}`.
    pub texts: BTreeMap<String, String>,
}

/// Where a reply goes out, and who writes it.
#[derive(Debug, Clone, Default)]
pub struct Signing<'a> {
    /// The channel.
    pub channel: &'a str,
    /// Does it set a signature apart from the words?
    pub apart: bool,
    /// The ticket's queue.
    pub queue: Option<&'a str>,
    /// The customer's language.
    pub language: Option<&'a str>,
    /// The ticket's number.
    pub number: u64,
    /// Who writes.
    pub name: &'a str,
    /// The address that they sign in with.
    pub email: &'a str,
}

/// Every fault of a list of them with its key.
pub(super) fn faults(
    signatures: &[SignatureSetting],
    channels: &BTreeSet<String>,
) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for (at, one) in signatures.iter().enumerate() {
        let within = |key: &str| format!("signatures[{at}].{key}");
        for (number, name) in one.channels.iter().flatten().enumerate() {
            if !channels.contains(name) {
                let key = within(&format!("channels[{number}]"));
                faults.push((key, format!("there is no channel `{name}`")));
            }
        }
        if one.texts.is_empty() {
            faults.push((within("texts"), "expected a text in one language".to_owned()));
        }
        faults.extend(fault(&one.texts).map(|(key, reason)| (within(&key), reason)));
    }
    faults
}

/// What is wrong with the texts of one, with the key.
#[must_use]
pub fn fault(texts: &BTreeMap<String, String>) -> Option<(String, String)> {
    if texts.len() > LANGUAGES_MAX {
        return Some(("texts".to_owned(), format!("at most {LANGUAGES_MAX} languages")));
    }
    texts.iter().find_map(|(language, text)| {
        let key = format!("texts.{language}");
        if text.trim().is_empty() || text.chars().count() > TEXT_CHARS_MAX {
            return Some((key, format!("expected 1 to {TEXT_CHARS_MAX} characters")));
        }
        variables_among(text, VARIABLES).err().map(|reason| (key, reason))
    })
}

/// What stands below a reply: the writer's own signature, else that of the first setting that fits. On channels
/// that would put it among the words only where a setting names them.
#[must_use]
pub fn signature(
    signatures: &[SignatureSetting],
    own: &BTreeMap<String, String>,
    signing: &Signing<'_>,
) -> Option<String> {
    let of_desk = signatures.iter().find(|one| fits(one, signing));
    if !signing.apart && of_desk.is_none() {
        return None;
    }
    let template = fitting(own, signing.language)
        .or_else(|| of_desk.and_then(|one| fitting(&one.texts, signing.language)))?;
    let values = BTreeMap::from([
        ("agent.email", signing.email.to_owned()),
        ("agent.name", signing.name.to_owned()),
        ("channel.name", signing.channel.to_owned()),
        ("ticket.number", signing.number.to_string()),
        ("ticket.queue", signing.queue.unwrap_or_default().to_owned()),
    ]);
    let text = render(template, &values).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// A signature as HTML, where it stands among words that are.
#[must_use]
pub fn as_html(signature: &str) -> String {
    escaped(signature).replace('\n', "<br>")
}

fn fits(one: &SignatureSetting, signing: &Signing<'_>) -> bool {
    let here = match &one.channels {
        Some(channels) => channels.iter().any(|name| name == signing.channel),
        None => signing.apart,
    };
    let queues = one.queues.as_ref();
    here && queues.is_none_or(|queues| queues.iter().any(|queue| Some(&**queue) == signing.queue))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[(&str, &str)]) -> BTreeMap<String, String> {
        texts.iter().map(|(tag, text)| ((*tag).to_owned(), (*text).to_owned())).collect()
    }

    fn setting(channels: &[&str], queues: &[&str], text: &str) -> SignatureSetting {
        let list = |names: &[&str]| {
            (!names.is_empty()).then(|| names.iter().map(|name| (*name).to_owned()).collect())
        };
        SignatureSetting {
            channels: list(channels),
            queues: list(queues),
            texts: texts(&[("en", text), ("zh", "{{agent.name}} 敬上")]),
        }
    }

    fn in_mail<'a>() -> Signing<'a> {
        Signing {
            channel: "mail",
            apart: true,
            number: 7,
            name: "Anna",
            email: "anna@desk.example",
            ..Signing::default()
        }
    }

    #[test]
    fn the_writers_own_comes_before_the_queues_and_the_desks() {
        let none = BTreeMap::new();
        let desk = [
            setting(&[], &["chain"], "{{agent.name}}, {{ticket.queue}} team"),
            setting(&[], &[], "{{agent.name}}, #{{ticket.number}}"),
        ];
        let of =
            |own: &BTreeMap<String, String>, signing: Signing<'_>| signature(&desk, own, &signing);
        assert_eq!(of(&none, in_mail()).as_deref(), Some("Anna, #7"));
        let chain = Signing { queue: Some("chain"), ..in_mail() };
        assert_eq!(of(&none, chain.clone()).as_deref(), Some("Anna, chain team"));
        let chinese = Signing { language: Some("zh-Hans"), ..in_mail() };
        assert_eq!(of(&none, chinese).as_deref(), Some("Anna 敬上"));
        let own = texts(&[("en", "Yours, {{agent.name}} <{{agent.email}}>")]);
        assert_eq!(of(&own, chain).as_deref(), Some("Yours, Anna <anna@desk.example>"));
        assert_eq!(signature(&[], &none, &in_mail()), None, "the channel's own stands there");
    }

    #[test]
    fn chats_are_signed_only_where_they_are_named() {
        let own = texts(&[("en", "{{agent.name}}")]);
        let chat = Signing { channel: "chat", apart: false, ..in_mail() };
        assert_eq!(signature(&[setting(&[], &[], "x")], &own, &chat), None);
        let named = [setting(&["chat"], &[], "The desk")];
        assert_eq!(signature(&named, &own, &chat).as_deref(), Some("Anna"));
        assert_eq!(signature(&named, &BTreeMap::new(), &chat).as_deref(), Some("The desk"));
        assert_eq!(as_html("A & <B>\nC"), "A &amp; &lt;B&gt;<br>C");
        let elsewhere = Signing { channel: "other", ..chat };
        assert_eq!(signature(&named, &own, &elsewhere), None);
    }

    #[test]
    fn values_are_not_read_again_and_faults_are_named() {
        let own = texts(&[("en", "{{agent.name}}")]);
        let odd = Signing { name: "{{ticket.number}}", ..in_mail() };
        assert_eq!(signature(&[], &own, &odd).as_deref(), Some("{{ticket.number}}"));
        let known = BTreeSet::from(["mail".to_owned()]);
        let faulty = [
            setting(&["mial"], &[], "{{contact.name}}"),
            SignatureSetting { channels: None, queues: None, texts: BTreeMap::new() },
        ];
        let keys: Vec<String> = faults(&faulty, &known).into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            ["signatures[0].channels[0]", "signatures[0].texts.en", "signatures[1].texts"]
        );
        assert!(faults(&[setting(&["mail"], &[], "x")], &known).is_empty());
    }
}
