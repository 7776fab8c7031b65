//! Known answers that go out by themselves: when, with what words, and what a customer says to them.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Article;
use crate::desk::language::fitting;
use crate::desk::offer::{bare, chosen};
use crate::model::{Choice, Flag, Form, Inbound};

/// The tag of tickets that a known answer went to by itself.
pub const ANSWERED: &str = "faq_answered";
/// The tag of those of them that a human has to look at after all.
pub const ESCALATED: &str = "faq_escalated";
/// Messages of a ticket after which it is no longer its beginning.
const BEGINNING_MAX: i64 = 4;
/// What a customer says in so many words more than this is a story, and no answer to a question.
const WORDS_MAX: usize = 6;

/// What the admin decided about answers that go out by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnswerPolicy {
    /// Do they, where no rule says otherwise?
    pub auto: bool,
    /// After this long without a word of the customer, a human looks at the ticket.
    pub wait: Duration,
    /// At most so many of one channel within an hour.
    pub per_hour_max: u32,
    /// What stands below an answer, by language. Without any nothing goes out.
    pub texts: BTreeMap<String, AnswerTexts>,
}

/// What stands below an answer, in one language.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerTexts {
    /// Asks whether it helped.
    pub question: String,
    /// On the button of those whom it helped; at most 20 characters.
    pub yes: String,
    /// On the button of those who want a person; at most 20 characters.
    pub no: String,
    /// Told to those who want a person. Empty: nothing is.
    pub person: String,
}

/// What the store knows that matters for one answer.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnswerFacts {
    /// Messages of the ticket, this one among them.
    pub messages: i64,
    /// Has a human answered in it, or is it no longer open?
    pub in_hands: bool,
    /// Has a known answer gone to it before?
    pub answered: bool,
    /// Is the ticket urgent, after all rules?
    pub urgent: bool,
    /// Was a secret found in the message?
    pub secret: bool,
    /// Has the message files?
    pub files: bool,
    /// Does the text tell of a danger?
    pub alarms: bool,
    /// What the rules say: on, off, or nothing.
    pub rule: Option<bool>,
    /// Known answers sent to the contact within the last hour.
    pub to_contact: u64,
    /// Known answers sent on the channel within the last hour.
    pub on_channel: u64,
    /// The address bounced or complained before.
    pub suppressed: bool,
}

/// Flags of messages that only people answer.
const NEVER: &[Flag] = &[
    Flag::AutoReply,
    Flag::Bounce,
    Flag::Complaint,
    Flag::List,
    Flag::SpoofSuspect,
    Flag::ClaimsTicket,
    Flag::Truncated,
    Flag::Unreadable,
    Flag::Encrypted,
    Flag::Forwarded,
    Flag::NewParticipant,
    Flag::Redacted,
    Flag::Late,
    Flag::Imported,
    Flag::Impostor,
    Flag::PhishingLink,
    Flag::Spam,
];

/// May the article go out by itself? `Err`: why not, for the decision trace. Whether a machine may answer
/// the message at all is asked apart ([`answerable`](crate::desk::answerable)).
pub fn may_answer(
    policy: &AnswerPolicy,
    article: &Article,
    inbound: &Inbound,
    facts: AnswerFacts,
) -> Result<(), &'static str> {
    if !facts.rule.unwrap_or(policy.auto) {
        return Err(match facts.rule {
            Some(_) => "a rule switches it off",
            None => "answers are only suggested (faq.answer)",
        });
    }
    if !article.auto {
        return Err("the article is for people to send (auto = false)");
    }
    if policy.texts.is_empty() {
        return Err("there are no texts to ask whether it helped (faq.texts)");
    }
    if facts.answered {
        return Err("the ticket had one before");
    }
    if facts.in_hands || facts.messages > BEGINNING_MAX {
        return Err("it is not the beginning of a ticket");
    }
    if facts.to_contact > 0 {
        return Err("the contact had one within the hour");
    }
    plain(policy, inbound, facts)
}

/// May an article go out because the customer picked it below another one? They asked for it: neither that they had
/// one before stands against it, nor what the rules say about their words.
pub fn may_follow(
    policy: &AnswerPolicy,
    article: &Article,
    inbound: &Inbound,
    facts: AnswerFacts,
) -> Result<(), &'static str> {
    if !article.auto {
        return Err("the article is for people to send (auto = false)");
    }
    plain(policy, inbound, facts)
}

/// Is there nothing odd about the message, and room for an answer?
fn plain(policy: &AnswerPolicy, inbound: &Inbound, facts: AnswerFacts) -> Result<(), &'static str> {
    if facts.secret || facts.alarms || facts.urgent {
        return Err("it cannot wait, or holds a secret: a human looks at it");
    }
    if inbound.form != Form::Message || facts.files {
        return Err("it is no message of words alone");
    }
    if inbound.flags.iter().any(|flag| NEVER.contains(flag)) {
        return Err("something odd was noticed about it");
    }
    if facts.suppressed {
        return Err("the address bounced or complained before");
    }
    if facts.on_channel >= u64::from(policy.per_hour_max) {
        return Err("the channel has sent enough of them this hour");
    }
    Ok(())
}

/// What a customer says to a known answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It helped.
    Helped,
    /// They want a person.
    Person,
    /// Something else: a human reads it.
    Other,
}

/// What becomes of a known answer of which something is said: its outcome, and the event that tells of it. `None`:
/// nothing new.
#[must_use]
pub fn answered(outcome: &str, said: Said) -> Option<(&'static str, &'static str)> {
    match (outcome, said) {
        ("shown" | "silent", Said::Helped) => Some(("helped", "faq.helped")),
        ("shown", Said::Person | Said::Other) | ("helped", Said::Person) => {
            Some(("escalated", "faq.escalated"))
        }
        _ => None,
    }
}

/// The words of people whom it helped.
const HELPED: &[&str] = &[
    "yes",
    "y",
    "yep",
    "yeah",
    "yup",
    "sure",
    "thanks",
    "thank you",
    "thx",
    "ty",
    "solved",
    "fixed",
    "perfect",
    "great",
    "it helped",
    "this helped",
    "that helped",
    "it did",
    "yes it did",
    "it works",
    "it works now",
    "works now",
    "got it",
    "thank you very much",
    "thanks a lot",
    "yes thank you",
    "many thanks",
    "very much",
    "it is solved",
    "problem solved",
    "是",
    "是的",
    "有",
    "有用",
    "有帮助",
    "有幫助",
    "很有帮助",
    "很有幫助",
    "解决了",
    "解決了",
    "已解决",
    "已解決",
    "问题解决了",
    "問題解決了",
    "谢谢",
    "謝謝",
    "谢谢你",
    "謝謝你",
    "谢谢您",
    "謝謝您",
    "多谢",
    "多謝",
    "感谢",
    "感謝",
    "非常感谢",
    "非常感謝",
    "搞定了",
    "可以了",
    "明白了",
    "懂了",
    "知道了",
];

/// The words of people who want somebody to talk to.
const PERSON: &[&str] = &[
    "no",
    "n",
    "nope",
    "not really",
    "it did not",
    "it didn't",
    "did not help",
    "didn't help",
    "it did not help",
    "it didn't help",
    "not helpful",
    "no it did not",
    "no it didn't",
    "agent",
    "human",
    "person",
    "operator",
    "representative",
    "real person",
    "support",
    "help me",
    "否",
    "不",
    "没有",
    "沒有",
    "没用",
    "沒用",
    "无用",
    "無用",
    "没有用",
    "沒有用",
    "没帮助",
    "沒幫助",
    "没有帮助",
    "沒有幫助",
    "不行",
    "没解决",
    "沒解決",
    "没有解决",
    "沒有解決",
    "客服",
    "不是",
];

/// Within a short sentence, these say the same.
const PERSON_WITHIN: &[&str] =
    &["人工", "真人", "轉接", "转接", "human", "agent", "real person", "a person", "somebody"];

impl AnswerPolicy {
    /// The texts for somebody who reads `language`.
    #[must_use]
    pub fn texts(&self, language: Option<&str>) -> Option<&AnswerTexts> {
        fitting(&self.texts, language)
    }

    /// What the words of a customer say to a known answer: a button, a digit, or words. What is not clear is
    /// [`Said::Other`], so that a human reads it.
    #[must_use]
    pub fn said(&self, text: &str) -> Said {
        let labels: Vec<Vec<&str>> =
            self.texts.values().map(|texts| vec![texts.yes.as_str(), texts.no.as_str()]).collect();
        match chosen(text, &labels) {
            Some(0) => return Said::Helped,
            Some(_) => return Said::Person,
            None => {}
        }
        let said = bare(text);
        let words: Vec<&str> = said.split(' ').filter(|word| !word.is_empty()).collect();
        if words.is_empty() || words.len() > WORDS_MAX {
            return Said::Other;
        }
        let helped = HELPED.contains(&said.as_str()) || words.iter().all(|w| HELPED.contains(w));
        if helped {
            return Said::Helped;
        }
        let short = said.chars().count() <= 40;
        let within = PERSON_WITHIN.iter().any(|word| said.contains(word));
        if PERSON.contains(&said.as_str()) || (short && within) {
            return Said::Person;
        }
        Said::Other
    }
}

impl AnswerTexts {
    /// The two answers, as choices.
    #[must_use]
    pub fn choices(&self) -> Vec<Choice> {
        let choice = |id: &str, label: &str| Choice { id: id.to_owned(), label: label.to_owned() };
        vec![choice("faq:yes", &self.yes), choice("faq:no", &self.no)]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::super::triage::tests::inbound;
    use super::*;

    fn policy() -> AnswerPolicy {
        let texts = |question: &str, yes: &str, no: &str| AnswerTexts {
            question: question.to_owned(),
            yes: yes.to_owned(),
            no: no.to_owned(),
            person: String::new(),
        };
        AnswerPolicy {
            auto: true,
            wait: Duration::from_secs(3600),
            per_hour_max: 2,
            texts: BTreeMap::from([
                ("en".to_owned(), texts("Did this help?", "Yes, solved", "No, a person")),
                ("zh".to_owned(), texts("有帮助吗？", "有帮助", "转人工")),
            ]),
        }
    }

    fn article(front: &str) -> Article {
        let text = format!("+++\n{front}\n[questions]\nen = [\"Fees?\"]\n+++\n# en: Fees\nLow.\n");
        Article::read("fees", &text).unwrap()
    }

    fn first() -> AnswerFacts {
        AnswerFacts { messages: 1, ..AnswerFacts::default() }
    }

    #[test]
    fn the_first_words_of_a_person_are_answered_and_nothing_else() {
        let may = |facts| may_answer(&policy(), &article(""), &inbound("fees?"), facts).is_ok();
        assert!(may(first()));
        assert!(may(AnswerFacts { messages: 3, on_channel: 1, rule: Some(true), ..first() }));
        for (number, facts) in [
            AnswerFacts { messages: 5, ..first() },
            AnswerFacts { in_hands: true, ..first() },
            AnswerFacts { answered: true, ..first() },
            AnswerFacts { urgent: true, ..first() },
            AnswerFacts { secret: true, ..first() },
            AnswerFacts { alarms: true, ..first() },
            AnswerFacts { files: true, ..first() },
            AnswerFacts { rule: Some(false), ..first() },
            AnswerFacts { to_contact: 1, ..first() },
            AnswerFacts { on_channel: 2, ..first() },
            AnswerFacts { suppressed: true, ..first() },
        ]
        .into_iter()
        .enumerate()
        {
            assert!(!may(facts), "line {number}");
        }
    }

    #[test]
    fn what_was_picked_goes_out_though_there_was_one_before() {
        let may = |front: &str, facts| {
            may_follow(&policy(), &article(front), &inbound("3"), facts).is_ok()
        };
        let had = AnswerFacts { messages: 9, answered: true, to_contact: 1, ..first() };
        assert!(may("", had));
        assert!(may("", AnswerFacts { rule: Some(false), ..had }));
        assert!(!may("auto = false", had));
        for facts in [
            AnswerFacts { urgent: true, ..had },
            AnswerFacts { secret: true, ..had },
            AnswerFacts { alarms: true, ..had },
            AnswerFacts { files: true, ..had },
            AnswerFacts { on_channel: 2, ..had },
            AnswerFacts { suppressed: true, ..had },
        ] {
            assert!(!may("", facts), "{facts:?}");
        }
    }

    #[test]
    fn flags_and_the_article_itself_may_forbid_it() {
        let may = |policy: &AnswerPolicy, article: &Article, one: &Inbound| {
            may_answer(policy, article, one, first())
        };
        let asked = inbound("fees?");
        assert!(may(&policy(), &article("auto = false"), &asked).is_err());
        let silent = AnswerPolicy { auto: false, ..policy() };
        assert!(may(&silent, &article(""), &asked).is_err());
        let on = AnswerFacts { rule: Some(true), ..first() };
        assert!(may_answer(&silent, &article(""), &asked, on).is_ok());
        let wordless = AnswerPolicy { texts: BTreeMap::new(), ..policy() };
        assert!(may(&wordless, &article(""), &asked).is_err());
        for flag in NEVER {
            let flags = BTreeSet::from([*flag]);
            assert!(may(&policy(), &article(""), &Inbound { flags, ..asked.clone() }).is_err());
        }
        let flags = BTreeSet::from([Flag::Signed]);
        assert!(may(&policy(), &article(""), &Inbound { flags, ..asked.clone() }).is_ok());
        let form = Form::Comment;
        assert!(may(&policy(), &article(""), &Inbound { form, ..asked }).is_err());
    }

    #[test]
    fn what_is_said_to_an_answer_is_understood_or_left_to_people() {
        for (text, expected) in [
            ("1", Said::Helped),
            ("2", Said::Person),
            ("Yes, solved", Said::Helped),
            ("[pressed: No, a person]", Said::Person),
            ("有帮助", Said::Helped),
            ("转人工", Said::Person),
            ("Yes! Thanks!", Said::Helped),
            ("yes, thank you", Said::Helped),
            ("谢谢，解决了！", Said::Helped),
            ("no", Said::Person),
            ("AGENT", Said::Person),
            ("我要人工客服", Said::Person),
            ("can I talk to a human", Said::Person),
            ("没有用", Said::Person),
            ("", Said::Other),
            ("3", Said::Other),
            ("ok", Said::Other),
            ("no thanks", Said::Other),
            ("yes but the coins are still missing", Said::Other),
            ("thanks, but 0.4 ETH is missing since yesterday and nobody answers", Said::Other),
            ("谢谢，但是还是没到账", Said::Other),
            ("my agent in Berlin told me that the transfer was made on the wrong day", Said::Other),
        ] {
            assert_eq!(policy().said(text), expected, "{text}");
        }
    }
}
