//! Articles to go on with: which are offered below a known answer that goes out by itself, and which one a customer picks.

use serde::{Deserialize, Serialize};
use unicode_segmentation::UnicodeSegmentation as _;

use super::answer::Said;
use super::{Article, Matcher};
use crate::desk::offer::chosen;
use crate::model::{ChannelName, Choice, ChoiceLimit};

/// So many articles go out by themselves in one ticket, one after the other; then people are at hand.
pub const CHAIN_MAX: usize = 5;
/// With yes and no, one digit can name each.
const OFFERED_MAX: usize = 7;
/// Characters of a label where the answers are told in words.
const LABEL_CHARS_MAX: usize = 60;
/// Yes and no stand before them.
const BEFORE: usize = 2;

/// An article that is offered below another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowUp {
    /// Its name.
    pub article: String,
    /// What the customer reads: its title, as long as the channel allows.
    pub label: String,
}

/// To whom follow-ups are offered.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// The language of the answer above them. Those that are not written in it are not offered.
    pub language: &'a str,
    /// Where they read it.
    pub channel: &'a ChannelName,
    /// What fits on its buttons, if it has any.
    pub buttons: Option<ChoiceLimit>,
    /// The articles that went to the ticket before.
    pub before: &'a [&'a str],
}

impl Matcher {
    /// What is offered below `article`: what may go out by itself and did not before. So no chain comes back to where
    /// it was, and none is longer than [`CHAIN_MAX`].
    #[must_use]
    pub fn follow_ups(&self, article: &Article, reader: &Reader<'_>) -> Vec<FollowUp> {
        let Reader { language, channel, buttons, before } = reader;
        if before.len() + 1 >= CHAIN_MAX {
            return Vec::new();
        }
        let chars = buttons.map_or(LABEL_CHARS_MAX, |limit| limit.label_chars);
        let most = buttons.map_or(OFFERED_MAX, |limit| limit.count.saturating_sub(BEFORE));
        let mut offered: Vec<FollowUp> = Vec::new();
        for name in &article.follow_ups {
            let known = *name == article.name || before.contains(&name.as_str());
            let next = self.article(name).filter(|next| !known && next.goes_by_itself(channel));
            let Some(next) = next else { continue };
            let Some((tag, answer)) = next.answer(Some(language)) else { continue };
            let label = cut(&answer.title, chars);
            // What already says something else, or names another one, would be taken for that.
            let clear = self.policy().said(&label) == Said::Other
                && picked(&label, &[], &offered).is_none()
                && picked(&label, &[], &[named(&label)]).is_some();
            if primary(tag) == primary(language) && clear {
                offered.push(FollowUp { article: name.clone(), label });
            }
        }
        offered.truncate(most.min(OFFERED_MAX));
        offered
    }
}

fn named(label: &str) -> FollowUp {
    FollowUp { article: String::new(), label: label.to_owned() }
}

fn primary(tag: &str) -> Option<&str> {
    tag.split('-').next()
}

/// At most so many characters, and never within what people see as one.
fn cut(title: &str, chars: usize) -> String {
    if title.chars().count() <= chars {
        return title.to_owned();
    }
    let mut label = String::new();
    let mut left = chars.saturating_sub(1);
    for one in title.graphemes(true) {
        let wide = one.chars().count();
        if wide > left {
            break;
        }
        left -= wide;
        label.push_str(one);
    }
    format!("{}…", label.trim_end())
}

/// Which follow-up a message names: one of `now` by its label or its digit, or one of those that were offered `before`
/// by its label alone, since their buttons can still be pressed.
#[must_use]
pub fn picked<'a>(text: &str, now: &'a [FollowUp], before: &'a [FollowUp]) -> Option<&'a FollowUp> {
    let labels = |of: &'a [FollowUp]| {
        let labels = of.iter().map(|one| one.label.as_str());
        vec![std::iter::repeat_n("", BEFORE).chain(labels).collect::<Vec<_>>()]
    };
    let newest = chosen(text, &labels(now)).and_then(|at| now.get(at.checked_sub(BEFORE)?));
    newest.or_else(|| {
        let is_digit = text.trim().chars().count() < 2;
        let at = chosen(text, &labels(before)).filter(|_| !is_digit)?;
        before.get(at.checked_sub(BEFORE)?)
    })
}

/// The follow-ups as choices, behind yes and no.
#[must_use]
pub fn choices(offered: &[FollowUp]) -> Vec<Choice> {
    let choice = |(number, one): (usize, &FollowUp)| Choice {
        id: format!("faq:{number}"),
        label: one.label.clone(),
    };
    (BEFORE + 1..).zip(offered).map(choice).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::super::{AnswerPolicy, AnswerTexts};
    use super::*;

    fn article(name: &str, title: &str, front: &str) -> Article {
        let text = format!(
            "+++\n{front}\n[questions]\nen = [\"{name}?\"]\n+++\n# en: {title}\nIt is so.\n\n# zh: 标题 {name}\n是。\n"
        );
        Article::read(name, &text).unwrap()
    }

    fn matcher(articles: Vec<Article>) -> Matcher {
        let texts = AnswerTexts {
            question: "Did it help?".to_owned(),
            yes: "Yes, thanks".to_owned(),
            no: "No, a person".to_owned(),
            person: String::new(),
        };
        let texts = BTreeMap::from([("en".to_owned(), texts)]);
        let wait = Duration::from_secs(60);
        Matcher::new(articles).answering(AnswerPolicy { auto: true, wait, per_hour_max: 1, texts })
    }

    fn offered(
        all: &Matcher,
        language: &str,
        limit: Option<ChoiceLimit>,
        before: &[&str],
    ) -> Vec<FollowUp> {
        let channel = "web".parse().unwrap();
        let reader = Reader { language, channel: &channel, buttons: limit, before };
        all.follow_ups(all.article("a").unwrap(), &reader)
    }

    fn names(offered: &[FollowUp]) -> Vec<&str> {
        offered.iter().map(|one| one.article.as_str()).collect()
    }

    #[test]
    fn only_what_may_go_out_by_itself_and_did_not_before_is_offered() {
        let front = "follow_ups = [\"b\", \"person\", \"mail\", \"a\", \"gone\", \"german\", \"again\", \"agent\", \"yes\", \"c\"]";
        let german = "+++\n[questions]\nde = [\"x\"]\n+++\n# de: Gebühren\nJa.\n";
        let all = matcher(vec![
            article("a", "The first", front),
            article("b", "Transfers that wait", ""),
            article("person", "For people", "auto = false"),
            article("mail", "By mail", "channels = [\"mail\"]"),
            Article::read("german", german).unwrap(),
            article("again", "Transfers that  wait!", ""),
            article("agent", "Talk to an agent", ""),
            article("yes", "Yes, thanks", ""),
            article("c", "Fees", ""),
        ]);
        assert_eq!(names(&offered(&all, "en", None, &[])), ["b", "c"]);
        // In Chinese their titles differ: only what no Chinese reader could read is left out.
        let chinese = offered(&all, "zh", None, &[]);
        assert_eq!(names(&chinese), ["b", "again", "yes", "c"]);
        assert_eq!(names(&offered(&all, "en", None, &["b"])), ["again", "c"]);
        let long = ["v", "w", "x", "y"];
        assert!(offered(&all, "en", None, &long).is_empty(), "the chain ends");
        assert_eq!(names(&offered(&all, "en", None, &long[1..])), ["b", "c"]);
    }

    #[test]
    fn labels_are_as_long_as_the_channel_allows() {
        let limit = |count| Some(ChoiceLimit { count, label_chars: 10, text: 1000 });
        let all = matcher(vec![
            article("a", "The first", "follow_ups = [\"b\", \"c\", \"d\"]"),
            article("b", "Transfers 👨‍👩‍👧‍👦 that wait", ""),
            article("c", "123456789👍🏽 more", ""),
            article("d", "Fees", ""),
        ]);
        let labels = |limit| -> Vec<String> {
            offered(&all, "en", limit, &[]).into_iter().map(|one| one.label).collect()
        };
        assert_eq!(labels(limit(5)), ["Transfers…", "123456789…", "Fees"]);
        assert_eq!(labels(limit(3)), ["Transfers…"]);
        assert!(labels(limit(1)).is_empty());
        assert_eq!(labels(None)[0], "Transfers 👨‍👩‍👧‍👦 that wait");
    }

    #[test]
    fn a_follow_up_is_picked_by_label_or_digit_and_an_earlier_one_by_its_label() {
        let one = |article: &str, label: &str| FollowUp {
            article: article.to_owned(),
            label: label.to_owned(),
        };
        let now = [one("b", "Transfers…"), one("c", "Fees")];
        let before = [one("d", "Networks"), one("e", "Safety")];
        for (text, expected) in [
            ("[pressed: Fees]", Some("c")),
            ("fees", Some("c")),
            ("Transfers", Some("b")),
            ("3", Some("b")),
            ("４", Some("c")),
            ("5", None),
            ("1", None),
            ("2", None),
            ("Safety!", Some("e")),
            ("四", Some("c")),
            ("", None),
            ("[pressed: ]", None),
            ("fees are too high", None),
        ] {
            let found = picked(text, &now, &before).map(|one| one.article.as_str());
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(picked("3", &[], &before), None, "digits are of the last question");
        let ids: Vec<String> = choices(&now).into_iter().map(|choice| choice.id).collect();
        assert_eq!(ids, ["faq:3", "faq:4"]);
    }

    proptest! {
        #[test]
        fn a_label_fits_and_names_its_article(title in "[a-zé👍🏽中 -]{1,60}", chars in 1_usize..30) {
            prop_assume!(!title.trim().is_empty());
            let all = matcher(vec![
                article("a", "The first", "follow_ups = [\"b\"]"),
                article("b", &title, ""),
            ]);
            let limit = ChoiceLimit { count: 3, label_chars: chars, text: 1000 };
            for one in offered(&all, "en", Some(limit), &[]) {
                prop_assert!(one.label.chars().count() <= chars);
                let found = [one];
                prop_assert_eq!(picked(&found[0].label, &found, &[]), found.first());
            }
        }
    }
}
