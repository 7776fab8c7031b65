//! Surveys: how a customer judges what was done for them, asked once after a ticket was solved.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::language::fitting;
use super::offer::{bare, chosen};
use super::topics::{TopicSetting, tag};
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

/// What a customer has said to a survey by now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// From 1 to 5.
    pub score: Option<u8>,
    /// Beside it.
    pub remark: Option<String>,
    /// What the remark is about.
    pub topics: Vec<String>,
}

/// What a judgement makes of the one before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weighed {
    /// From 1 to 5.
    pub score: u8,
    /// Beside it, given now or before.
    pub remark: Option<String>,
    /// What the remark is about.
    pub topics: Vec<String>,
    /// Tags that the ticket gets.
    pub tags: Vec<String>,
    /// Tags that an earlier judgement gave it, and that are true no longer.
    pub tags_gone: Vec<String>,
}

/// What counts after somebody gave a score, a remark (empty: none), or both; `topics` are those of that remark. `None`:
/// nothing new, or a remark on no score.
///
/// The newest score counts, and the newest remark with its topics: a score alone leaves the remark as it is. The tags
/// say the same as these two, so whoever thought better of it is no longer among the unhappy. What an earlier
/// judgement did not put there is left alone.
#[must_use]
pub fn weigh(
    before: &Judgement,
    (score, remark, topics): (Option<u8>, &str, &[String]),
) -> Option<Weighed> {
    let score = score.or(before.score)?;
    let remarks = !remark.is_empty();
    let same = !remarks || before.remark.as_deref() == Some(remark);
    if before.score == Some(score) && same {
        return None;
    }
    let topics = if remarks { topics } else { &before.topics }.to_vec();
    let remark = if remarks { Some(remark.to_owned()) } else { before.remark.clone() };
    let tags = tags(Some(score), &topics);
    let mut tags_gone = self::tags(before.score, &before.topics);
    tags_gone.retain(|tag| !tags.contains(tag));
    Some(Weighed { score, remark, topics, tags, tags_gone })
}

/// The tags of a ticket that is judged so.
fn tags(score: Option<u8>, topics: &[String]) -> Vec<String> {
    let low = score.filter(|score| *score <= LOW_MAX).map(|_| LOW.to_owned());
    low.into_iter().chain(topics.iter().map(|topic| tag(topic))).collect()
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

    fn before(score: u8, remark: &str, topics: &[&str]) -> Judgement {
        let remark = Some(remark.to_owned()).filter(|remark| !remark.is_empty());
        Judgement { score: Some(score), remark, topics: strings(topics) }
    }

    fn strings(of: &[&str]) -> Vec<String> {
        of.iter().map(|one| (*one).to_owned()).collect()
    }

    #[test]
    fn the_newest_score_and_remark_count_and_tags_say_the_same() {
        let slow = || before(1, "slow", &["speed"]);
        // What was before; score, remark and its topics; what counts, tags that come, tags that go.
        for (before, given, expected, tags, gone) in [
            (
                Judgement::default(),
                (Some(1), "slow", vec!["speed"]),
                slow(),
                vec!["rated_low", "feedback_speed"],
                vec![],
            ),
            (Judgement::default(), (Some(5), "", vec![]), before(5, "", &[]), vec![], vec![]),
            (
                slow(),
                (Some(5), "", vec![]),
                before(5, "slow", &["speed"]),
                vec!["feedback_speed"],
                vec!["rated_low"],
            ),
            (
                slow(),
                (Some(2), "the app, too", vec!["app"]),
                before(2, "the app, too", &["app"]),
                vec!["rated_low", "feedback_app"],
                vec!["feedback_speed"],
            ),
            (
                slow(),
                (Some(4), "sorry, it was fine", vec![]),
                before(4, "sorry, it was fine", &[]),
                vec![],
                vec!["rated_low", "feedback_speed"],
            ),
            (
                before(5, "", &[]),
                (None, "fast", vec!["speed"]),
                before(5, "fast", &["speed"]),
                vec!["feedback_speed"],
                vec![],
            ),
            (
                slow(),
                (Some(1), "slow and unkind", vec!["friendliness", "speed"]),
                before(1, "slow and unkind", &["friendliness", "speed"]),
                vec!["rated_low", "feedback_friendliness", "feedback_speed"],
                vec![],
            ),
        ] {
            let (score, remark, topics) = given;
            let weighed = weigh(&before, (score, remark, &strings(&topics))).unwrap();
            let counts = Judgement {
                score: Some(weighed.score),
                remark: weighed.remark,
                topics: weighed.topics,
            };
            assert_eq!(counts, expected, "{before:?} {score:?} {remark}");
            assert_eq!((weighed.tags, weighed.tags_gone), (strings(&tags), strings(&gone)));
        }
    }

    #[test]
    fn what_was_said_before_is_no_news() {
        let none = Judgement::default();
        let given = before(2, "slow", &["speed"]);
        for (before, score, remark) in [
            (&given, Some(2), ""),
            (&given, Some(2), "slow"),
            (&given, None, "slow"),
            (&given, None, ""),
            (&none, None, "slow"),
            (&none, None, ""),
        ] {
            assert_eq!(weigh(before, (score, remark, &[])), None, "{score:?} {remark}");
        }
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
