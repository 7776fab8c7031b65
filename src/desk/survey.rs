//! Surveys: how a customer judges what was done for them, asked once after a ticket was solved.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::language::fitting;
use super::offer::{bare, chosen};
use super::topics::TopicSetting;
use crate::model::Choice;

/// The tag of tickets whose customers are unhappy.
pub const LOW: &str = "rated_low";
/// Scores from here down are unhappy.
const LOW_MAX: u8 = 2;
/// A longer remark is read by people, however good the score.
const REMARK_CHARS_MAX: usize = 300;

/// `[survey]`: what customers are asked after a ticket was solved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SurveySetting {
    /// Are they asked?
    pub enabled: bool,
    /// Minutes after a ticket was solved.
    #[schemars(range(min = 0, max = 10_080))]
    pub after_minutes: u32,
    /// One contact is asked once within so many days.
    #[schemars(range(min = 0, max = 3650))]
    pub per_contact_days: u32,
    /// Days after which a digit is no answer to it any more.
    #[schemars(range(min = 1, max = 365))]
    pub open_days: u32,
    /// Only on these channels. None: on all but web chats, whose window asks by itself.
    pub channels: Vec<String>,
    /// What is asked, by language.
    pub texts: BTreeMap<String, SurveyTexts>,
    /// What remarks are about, by name; also those that a chat's own window asked for.
    pub topics: BTreeMap<String, TopicSetting>,
}

/// What is asked, in one language.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SurveyTexts {
    /// Asks for a score from 1 to 5. {number} is the ticket's.
    pub question: String,
    /// Answers a score, and asks for a remark. Empty: nothing is.
    pub thanks: String,
}

/// What a customer answers to a survey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// A score, perhaps with a remark.
    Score(u8, String),
    /// A remark after the score.
    Remark(String),
}

impl SurveySetting {
    /// Every fault with its key.
    pub(super) fn faults(&self, channels: &BTreeSet<String>) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for (at, name) in self.channels.iter().enumerate() {
            if !channels.contains(name) {
                faults.push((format!("channels[{at}]"), format!("there is no channel `{name}`")));
            }
        }
        if !self.enabled {
            return faults;
        }
        for (key, given, least, most) in [
            ("after_minutes", self.after_minutes, 0, 10_080),
            ("per_contact_days", self.per_contact_days, 0, 3650),
            ("open_days", self.open_days, 1, 365),
        ] {
            if !(least..=most).contains(&given) {
                faults.push((key.to_owned(), format!("must be from {least} to {most}")));
            }
        }
        if self.texts.values().all(|texts| texts.question.trim().is_empty()) {
            faults.push(("texts".to_owned(), "expected a question in one language".to_owned()));
        }
        faults
    }

    /// The texts for somebody who reads `language`.
    #[must_use]
    pub fn texts(&self, language: Option<&str>) -> Option<&SurveyTexts> {
        fitting(&self.texts, language)
    }

    /// Are customers of this channel asked? `own`: its window asks by itself.
    #[must_use]
    pub fn asks(&self, channel: &str, own: bool) -> bool {
        let named = self.channels.iter().any(|one| one == channel);
        self.enabled && (named || (self.channels.is_empty() && !own))
    }
}

/// Stars, which every language reads.
const STARS: [&str; 5] = ["★", "★★", "★★★", "★★★★", "★★★★★"];

/// The five answers, as choices.
#[must_use]
pub fn scores() -> Vec<Choice> {
    let choice = |(at, label): (usize, &&str)| Choice {
        id: format!("survey:{}", at + 1),
        label: (*label).to_owned(),
    };
    STARS.iter().enumerate().map(choice).collect()
}

/// What a message says to a survey that was asked (`scored`: with a score already). `None`: nothing; it is a
/// message like others.
#[must_use]
pub fn judged(text: &str, scored: bool) -> Option<Judged> {
    if let Some(at) = chosen(text, &[STARS.to_vec()]) {
        return Some(Judged::Score(u8::try_from(at + 1).ok()?, String::new()));
    }
    let said = text.trim();
    if scored {
        return (!bare(said).is_empty()).then(|| Judged::Remark(said.to_owned()));
    }
    // «5, thank you», «2 — nobody answered»: a digit from 1 to 5 that stands apart from the rest.
    let mut chars = said.chars();
    let score = chars.next().and_then(|c| c.to_digit(10)).filter(|n| (1..=5).contains(n))?;
    let rest = chars.as_str();
    let mut behind = rest.trim_start_matches(' ').chars();
    let parts = [',', '，', '。', '!', '！', '-', '–', '—', ':', '：', ';', '；', '\n'];
    let apart = behind.next().is_some_and(|mark| parts.contains(&mark));
    if !apart || behind.next().is_some_and(|c| c.is_ascii_digit()) {
        return None;
    }
    let remark = rest.trim_start_matches(|c: char| !c.is_alphanumeric()).trim();
    Some(Judged::Score(u8::try_from(score).ok()?, remark.to_owned()))
}

/// Does a human have to look at it? Unhappy people, and whoever asks or writes a lot, are looked at.
#[must_use]
pub fn needs_human(score: u8, remark: &str) -> bool {
    let asks = remark.contains(['?', '？']);
    let spoke = !remark.is_empty();
    spoke && (score <= LOW_MAX || asks || remark.chars().count() > REMARK_CHARS_MAX)
}

/// Is somebody unhappy?
#[must_use]
pub const fn is_low(score: u8) -> bool {
    score <= LOW_MAX
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_judgement_is_a_score_a_remark_or_none() {
        let score = |score, remark: &str| Some(Judged::Score(score, remark.to_owned()));
        for (text, expected) in [
            ("5", score(5, "")),
            ("[pressed: ★★★]", score(3, "")),
            ("★", score(1, "")),
            ("４", score(4, "")),
            ("五", score(5, "")),
            ("5, thank you!", score(5, "thank you!")),
            ("2 — nobody answered", score(2, "nobody answered")),
            ("2-3 days ago", None),
            ("1,5 ETH", None),
            ("1：没有人回复", score(1, "没有人回复")),
            ("5 coins are missing", None),
            ("0", None),
            ("6", None),
            ("50", None),
            ("5.2 ETH are missing", None),
            ("where is my money", None),
            ("", None),
        ] {
            assert_eq!(judged(text, false), expected, "{text}");
        }
        let remark = |text: &str| Some(Judged::Remark(text.to_owned()));
        assert_eq!(judged(" very kind ", true), remark("very kind"));
        assert_eq!(judged("4", true), score(4, ""), "they thought again");
        assert_eq!(judged("…", true), None);
    }

    #[test]
    fn unhappy_people_and_questions_are_looked_at() {
        for (score, remark, expected) in [
            (5, "", false),
            (1, "", false),
            (5, "very kind", false),
            (2, "nobody answered", true),
            (5, "but where is the receipt?", true),
            (4, "那手续费呢？", true),
        ] {
            assert_eq!(needs_human(score, remark), expected, "{score} {remark}");
        }
        assert!(needs_human(5, &"long ".repeat(80)));
    }

    proptest! {
        #[test]
        fn a_score_is_from_1_to_5(text in "\\PC{0,40}", scored in any::<bool>()) {
            if let Some(Judged::Score(score, _)) = judged(&text, scored) {
                prop_assert!((1..=5).contains(&score));
            }
        }
    }
}
