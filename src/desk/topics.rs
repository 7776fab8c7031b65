//! Remarks of customers sorted into topics, by their words.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::rules::{Collector, Matcher, WordId, fold};

/// What the tag of a topic begins with.
const TAG: &str = "feedback_";
const NAME_CHARS_MAX: usize = 32;

/// `[survey.topics.<name>]`: what remarks are about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicSetting {
    /// Words and phrases as in rules; one of them is enough. None: no remark is about it.
    pub words: Vec<String>,
}

/// All topics, ready.
#[derive(Default)]
pub struct Topics {
    matcher: Matcher,
    /// In the order of their names.
    topics: Vec<(String, Vec<WordId>)>,
}

impl Topics {
    /// Reads and compiles the settings. Every fault with its key: `speed.words[2]`.
    pub fn read(settings: &BTreeMap<String, TopicSetting>) -> Result<Self, Vec<(String, String)>> {
        let (mut collector, mut topics, mut faults) =
            (Collector::default(), Vec::new(), Vec::new());
        for (name, setting) in settings {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(plain) {
                let reason = "a name is made of at most 32 of the letters a-z, digits and `_`";
                faults.push((name.clone(), reason.to_owned()));
            }
            let mut words = Vec::new();
            for (at, word) in setting.words.iter().enumerate() {
                match collector.word(word) {
                    Ok(id) => words.push(id),
                    Err(reason) => faults.push((format!("{name}.words[{at}]"), reason)),
                }
            }
            topics.push((name.clone(), words));
        }
        let matcher = collector.finish().map_err(|reason| vec![(String::new(), reason)])?;
        if faults.is_empty() { Ok(Self { matcher, topics }) } else { Err(faults) }
    }

    /// What a remark is about.
    #[must_use]
    pub fn of(&self, remark: &str) -> Vec<String> {
        if remark.is_empty() {
            return Vec::new();
        }
        let hits = self.matcher.look(&fold(remark));
        let found = self.topics.iter().filter(|(_, words)| words.iter().any(|id| hits.word(*id)));
        found.map(|(name, _)| name.clone()).collect()
    }
}

/// The tag of a ticket with a remark about it.
#[must_use]
pub fn tag(topic: &str) -> String {
    format!("{TAG}{topic}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(words: &[&str]) -> TopicSetting {
        TopicSetting { words: words.iter().map(|word| (*word).to_owned()).collect() }
    }

    #[test]
    fn a_remark_has_every_topic_that_one_of_its_words_names() {
        let topics = Topics::read(&BTreeMap::from([
            ("speed".to_owned(), setting(&["slow*", "三天"])),
            ("app".to_owned(), setting(&["app", "闪退"])),
            ("off".to_owned(), setting(&[])),
        ]))
        .unwrap();
        for (remark, expected) in [
            ("Slowly, but the APP is fine", vec!["app", "speed"]),
            ("happy", vec![]),
            ("等了三天，应用闪退", vec!["app", "speed"]),
            ("", vec![]),
        ] {
            assert_eq!(topics.of(remark), expected, "{remark}");
        }
    }

    #[test]
    fn every_fault_is_told_with_its_key() {
        let wrong = BTreeMap::from([
            ("My App".to_owned(), setting(&["app"])),
            ("speed".to_owned(), setting(&["slow", " ", "*"])),
        ]);
        let Err(faults) = Topics::read(&wrong) else { panic!("no fault was found") };
        let keys: Vec<&str> = faults.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["My App", "speed.words[1]", "speed.words[2]"]);
    }
}
