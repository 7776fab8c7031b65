//! Where a call stands: all of it is in the address that the service asks for next, so that any node can answer,
//! and the same question again gets the same answer.

use url::form_urlencoded;

use crate::channel::shared::twilio::form::Form;

/// Longest number that somebody may type, in keys.
pub(super) const TYPED_KEYS_MAX: usize = 20;

/// What has just happened in a call. The word is a part of the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// It came in.
    Enter,
    /// The languages were named.
    Language,
    /// The topics were named.
    Topic,
    /// An agent was called.
    Rung,
    /// All of them were called, and nobody took it.
    Wait,
    /// A message or a call back was offered.
    Offer,
    /// Something was recorded.
    Recorded,
    /// It was asked to which number the call back goes.
    Callback,
    /// A number was to be typed.
    Number,
    /// It was asked whether the number is right.
    Check,
}

const WORDS: &[(At, &str)] = &[
    (At::Enter, "enter"),
    (At::Language, "language"),
    (At::Topic, "topic"),
    (At::Rung, "rung"),
    (At::Wait, "wait"),
    (At::Offer, "offer"),
    (At::Recorded, "recorded"),
    (At::Callback, "callback"),
    (At::Number, "number"),
    (At::Check, "check"),
];

impl At {
    fn word(self) -> &'static str {
        WORDS.iter().find(|(at, _)| *at == self).map_or("", |(_, word)| word)
    }
}

/// Where a call stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// What has just happened.
    pub(super) at: At,
    /// The tag of the language that was chosen.
    pub(super) language: Option<String>,
    /// The key of the topic that was chosen.
    pub(super) topic: Option<char>,
    /// How often the question was asked.
    pub(super) asked: u8,
    /// Agents who were called before, or numbers that were typed before.
    pub(super) turn: u8,
    /// How often all agents were called.
    pub(super) rounds: u8,
    /// Since when somebody is looked for, in seconds since 1970.
    pub(super) since: Option<i64>,
    /// The number that was typed: E.164.
    pub(super) typed: Option<String>,
}

impl Step {
    /// The beginning of a call.
    pub(super) const fn enter() -> Self {
        Self {
            at: At::Enter,
            language: None,
            topic: None,
            asked: 0,
            turn: 0,
            rounds: 0,
            since: None,
            typed: None,
        }
    }

    /// The same call at another place.
    pub(super) fn to(&self, at: At) -> Self {
        Self { at, asked: 0, ..self.clone() }
    }

    /// The path and the query by which it comes back.
    pub(super) fn address(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(language) = &self.language {
            query.append_pair("l", language);
        }
        if let Some(topic) = self.topic {
            query.append_pair("t", topic.encode_utf8(&mut [0; 4]));
        }
        for (key, count) in [("n", self.asked), ("a", self.turn), ("r", self.rounds)] {
            if count > 0 {
                query.append_pair(key, &count.to_string());
            }
        }
        if let Some(since) = self.since {
            query.append_pair("s", &since.to_string());
        }
        if let Some(typed) = &self.typed {
            query.append_pair("d", typed);
        }
        let query = query.finish();
        let path = format!("call/{}", self.at.word());
        if query.is_empty() { path } else { format!("{path}?{query}") }
    }

    /// The step that an address tells. `None`: it is none of ours.
    pub(super) fn read(path: &str, query: &Form) -> Option<Self> {
        let word = path.strip_prefix("call/")?;
        let (at, _) = WORDS.iter().find(|(_, known)| *known == word)?;
        let mut step = Self { at: *at, ..Self::enter() };
        for (key, value) in query.iter() {
            match key {
                "l" => step.language = Some(value.to_owned()),
                "t" => step.topic = value.chars().next(),
                "n" => step.asked = value.parse().ok()?,
                "a" => step.turn = value.parse().ok()?,
                "r" => step.rounds = value.parse().ok()?,
                "s" => step.since = Some(value.parse().ok()?),
                "d" => step.typed = Some(value.to_owned()),
                _ => {}
            }
        }
        Some(step)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_step_comes_back_as_it_went(
            at in proptest::sample::select(WORDS), language in proptest::option::of("[a-z]{2}(-[A-Za-z]{2,4})?"),
            topic in proptest::option::of(proptest::sample::select(vec!['0', '7', '*', '#'])),
            asked in 0_u8..4, turn: u8, rounds: u8, since: Option<i64>, typed in proptest::option::of("\\+[1-9][0-9]{6,14}"),
        ) {
            let step = Step { at: at.0, language, topic, asked, turn, rounds, since, typed };
            let address = step.address();
            let (path, query) = address.split_once('?').unwrap_or((&address, ""));
            let query = Form::read(query.as_bytes()).unwrap();
            prop_assert_eq!(Step::read(path, &query), Some(step));
        }

        #[test]
        fn any_address_is_read_or_refused(path in ".{0,20}", query in ".{0,60}") {
            let query = Form::read(query.as_bytes()).unwrap();
            drop(Step::read(&path, &query));
            drop(Step::read("call/topic", &query));
        }
    }
}
