//! The menu as a state machine: where a call stands and what was heard → what is said next. Pure.
//!
//! Every question is asked a few times and then answered by itself, so that every way through the menu ends, however
//! little the caller presses. Nothing here is needed for the ticket: that is made of what was heard.

use super::plan::{Goal, Plan, Ring, Topic};
use super::step::{At, Step, TYPED_KEYS_MAX};
use super::texts::Text;
use super::twiml::{Dial, Gather, Line, Record, Verb};
use crate::model::{Timestamp, phone_number};

/// A question is asked so often.
const ASKED_MAX: u8 = 3;
/// A number may be typed so often.
const TYPED_MAX: u8 = 3;
/// The service cuts off a call after about a hundred documents: so many of them are for waiting.
const WAIT_DOCUMENTS_MAX: usize = 40;
/// So long a key is waited for.
const KEY_SECONDS: u8 = 6;
/// So long the next key of a number is waited for.
const NUMBER_SECONDS: u8 = 10;

/// What was heard at a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// Which call.
    pub(super) call: String,
    /// The keys that were pressed.
    pub(super) keys: Option<String>,
    /// Who calls, if their number is known: E.164.
    pub(super) from: Option<String>,
    /// Somebody was spoken to.
    pub(super) connected: bool,
}

/// What is done next.
pub(super) fn next(plan: &Plan, step: &Step, heard: &Heard, now: Timestamp) -> Vec<Verb> {
    let keys = heard.keys.as_deref();
    match step.at {
        At::Enter if !plan.others.is_empty() => ask_language(plan, step),
        At::Enter => greet(plan, step, heard, now),
        At::Language => match plan.language_by_key(keys) {
            Some(language) => {
                let language = Some(language.tag.clone());
                greet(plan, &Step { language, ..step.clone() }, heard, now)
            }
            None if step.asked < ASKED_MAX => ask_language(plan, step),
            None => greet(plan, step, heard, now),
        },
        At::Topic => match plan.topic_by_key(keys) {
            Some(topic) => {
                let topic = Some(topic.key);
                go(plan, &Step { topic, ..step.clone() }, heard, now)
            }
            None if step.asked < ASKED_MAX => {
                and(unknown_key(plan, step, keys), ask_topic(plan, step))
            }
            None => go(plan, step, heard, now),
        },
        At::Rung => rung(plan, step, heard, now),
        At::Wait if keys == Some("1") => offer(plan, step, heard),
        At::Wait => {
            let again = Step { turn: 0, ..step.clone() };
            dial(plan, &again, heard).map_or_else(|| nobody(plan, step, heard), |dial| vec![dial])
        }
        At::Offer => match keys {
            Some("1") => record(plan, step),
            Some("2") => ask_callback(plan, &step.to(At::Offer), heard),
            _ if step.asked < ASKED_MAX => {
                and(unknown_key(plan, step, keys), ask_offer(plan, step))
            }
            _ => record(plan, step),
        },
        At::Recorded => and(say(plan, step, Text::Thanks), vec![Verb::Hangup]),
        At::Callback => match (keys, &heard.from) {
            (Some("1"), Some(_)) => and(say(plan, step, Text::Promise), vec![Verb::Hangup]),
            (Some("2"), _) => ask_number(plan, &step.to(At::Number)),
            _ if step.asked < ASKED_MAX => {
                and(unknown_key(plan, step, keys), ask_callback(plan, step, heard))
            }
            _ => bye(plan, step),
        },
        At::Number => match keys.and_then(typed_number) {
            Some(typed) => {
                let typed = Some(typed);
                let turn = step.turn.saturating_add(1);
                ask_check(plan, &Step { typed, turn, ..step.to(At::Check) })
            }
            None if step.asked < ASKED_MAX => {
                and(unknown_key(plan, step, keys), ask_number(plan, step))
            }
            None => bye(plan, step),
        },
        At::Check => match keys {
            Some("1") => and(say(plan, step, Text::Promise), vec![Verb::Hangup]),
            Some("2") if step.turn < TYPED_MAX => ask_number(plan, &step.to(At::Number)),
            Some("2") => bye(plan, step),
            _ if step.asked < ASKED_MAX => {
                and(unknown_key(plan, step, keys), ask_check(plan, step))
            }
            _ => bye(plan, step),
        },
    }
}

/// A number as it is typed: with its country code, before which some type what they dial abroad with.
pub(super) fn typed_number(keys: &str) -> Option<String> {
    let digits = keys.trim_end_matches('#');
    let digits = digits.strip_prefix("00").or_else(|| digits.strip_prefix("011")).unwrap_or(digits);
    let plain = digits.bytes().all(|key| key.is_ascii_digit());
    phone_number(&format!("+{digits}")).filter(|_| plain)
}

// ---- what is said --------------------------------------------------------------------------

fn say(plan: &Plan, step: &Step, text: Text) -> Vec<Verb> {
    let language = plan.language(step);
    vec![language.say(language.words.get(text).to_owned())]
}

fn and(mut first: Vec<Verb>, then: Vec<Verb>) -> Vec<Verb> {
    first.extend(then);
    first
}

/// Only who pressed something is told that it was wrong.
fn unknown_key(plan: &Plan, step: &Step, keys: Option<&str>) -> Vec<Verb> {
    keys.map_or_else(Vec::new, |_| say(plan, step, Text::UnknownKey))
}

fn bye(plan: &Plan, step: &Step) -> Vec<Verb> {
    and(say(plan, step, Text::Bye), vec![Verb::Hangup])
}

/// A question: what is pressed, and that nothing was, comes to the same place.
fn ask(plan: &Plan, step: &Step, (at, keys): (At, Option<u8>), within: Vec<Verb>) -> Vec<Verb> {
    let again = if step.at == at { step.asked } else { 0 };
    let asked = Step { at, asked: again.saturating_add(1), ..step.clone() };
    let action = plan.url(&asked.address());
    let seconds = if keys.is_some() { KEY_SECONDS } else { NUMBER_SECONDS };
    vec![
        Verb::Gather(Gather { action: action.clone(), keys, seconds, within }),
        Verb::Redirect(action),
    ]
}

fn ask_language(plan: &Plan, step: &Step) -> Vec<Verb> {
    let named = plan.languages().map(|language| {
        let text = language.words.get(Text::Choose);
        language.say(text.replace("{key}", &language.key.to_string()))
    });
    ask(plan, step, (At::Language, Some(1)), named.collect())
}

fn greet(plan: &Plan, step: &Step, heard: &Heard, now: Timestamp) -> Vec<Verb> {
    let greeting = say(plan, step, Text::Greeting);
    let rest =
        if plan.topics.is_empty() { go(plan, step, heard, now) } else { ask_topic(plan, step) };
    and(greeting, rest)
}

fn ask_topic(plan: &Plan, step: &Step) -> Vec<Verb> {
    let language = plan.language(step);
    let named = plan.topics.iter().filter_map(|topic| {
        let text = topic.says.get(&language.tag)?;
        Some(language.say(text.replace("{key}", &topic.key.to_string())))
    });
    ask(plan, step, (At::Topic, Some(1)), named.collect())
}

/// To where the topic leads.
fn go(plan: &Plan, step: &Step, heard: &Heard, now: Timestamp) -> Vec<Verb> {
    match plan.topic(step).map_or(Goal::Agents, |topic| topic.goal) {
        Goal::Voicemail => record(plan, step),
        Goal::Callback => ask_callback(plan, step, heard),
        Goal::Agents if !plan.is_open(now) => {
            and(say(plan, step, Text::Closed), offer(plan, step, heard))
        }
        Goal::Agents => {
            let first = Step { turn: 0, since: Some(now.timestamp()), ..step.clone() };
            match dial(plan, &first, heard) {
                Some(dial) => {
                    let mut verbs = say(plan, step, Text::Wait);
                    if plan.record_calls {
                        verbs.extend(say(plan, step, Text::Recorded));
                    }
                    verbs.push(dial);
                    verbs
                }
                None => nobody(plan, step, heard),
            }
        }
    }
}

fn rung(plan: &Plan, step: &Step, heard: &Heard, now: Timestamp) -> Vec<Verb> {
    if heard.connected {
        return vec![Verb::Hangup];
    }
    let next = Step { turn: step.turn.saturating_add(1), ..step.clone() };
    let left = Step { turn: 0, ..step.clone() };
    match dial(plan, &next, heard) {
        Some(dial) => vec![dial],
        None if waits(plan, step, now) => ask_wait(plan, &left),
        None => nobody(plan, &left, heard),
    }
}

/// Are they called again?
fn waits(plan: &Plan, step: &Step, now: Timestamp) -> bool {
    let waited = step.since.map_or(i64::MAX, |since| now.timestamp().saturating_sub(since));
    // A round is one document for the question, and one for each call to agents.
    let documents = usize::from(step.turn) + 2;
    let rounds = WAIT_DOCUMENTS_MAX / documents;
    waited < i64::from(plan.wait_seconds_max) && usize::from(step.rounds) < rounds
}

/// Before another round: some music, and a way out.
fn ask_wait(plan: &Plan, step: &Step) -> Vec<Verb> {
    let mut within = say(plan, step, Text::Waiting);
    if plan.voicemail.is_some() || plan.callbacks {
        within.extend(say(plan, step, Text::Leave));
    }
    within.extend(plan.language(step).music.clone().map(Verb::Play));
    let step = Step { rounds: step.rounds.saturating_add(1), ..step.clone() };
    ask(plan, &step, (At::Wait, Some(1)), within)
}

fn nobody(plan: &Plan, step: &Step, heard: &Heard) -> Vec<Verb> {
    and(say(plan, step, Text::Nobody), offer(plan, step, heard))
}

/// The agents whose turn it is, if there are any (left).
fn dial(plan: &Plan, step: &Step, heard: &Heard) -> Option<Verb> {
    let agents = plan.topic(step).and_then(Topic::own_agents).unwrap_or(&plan.agents);
    let turn = usize::from(step.turn);
    let called = match plan.ring {
        Ring::InOrder => agents.get(turn..=turn)?,
        Ring::AtOnce if turn == 0 && !agents.is_empty() => agents,
        Ring::AtOnce => return None,
    };
    let before = plan.ask_agents.then(|| plan.agent_url("agent/answer", step, heard));
    let line = |number: &String| Line {
        number: number.clone(),
        before: before.clone(),
        news: None,
        machine: None,
    };
    Some(Verb::Dial(Dial {
        action: plan.url(&step.to(At::Rung).address()),
        caller: Some(plan.number.clone()),
        seconds: plan.ring_seconds,
        recorded: plan.record_calls.then(|| plan.url("recording?k=talk")),
        lines: called.iter().map(line).collect(),
    }))
}

fn offer(plan: &Plan, step: &Step, heard: &Heard) -> Vec<Verb> {
    match (plan.voicemail.is_some(), plan.callbacks) {
        (true, true) => ask_offer(plan, step),
        (true, false) => record(plan, step),
        (false, true) => ask_callback(plan, step, heard),
        (false, false) => bye(plan, step),
    }
}

fn ask_offer(plan: &Plan, step: &Step) -> Vec<Verb> {
    ask(plan, step, (At::Offer, Some(1)), say(plan, step, Text::Offer))
}

fn record(plan: &Plan, step: &Step) -> Vec<Verb> {
    let Some(voicemail) = plan.voicemail else { return bye(plan, step) };
    let mut verbs = say(plan, step, Text::Speak);
    verbs.push(Verb::Record(Record {
        action: plan.url(&step.to(At::Recorded).address()),
        news: plan.url("recording?k=voicemail"),
        words: voicemail.transcribe.then(|| plan.url("words")),
        seconds_max: voicemail.seconds_max,
    }));
    // Nothing was said.
    and(verbs, bye(plan, step))
}

fn ask_callback(plan: &Plan, step: &Step, heard: &Heard) -> Vec<Verb> {
    if heard.from.is_none() {
        return ask_number(plan, &step.to(At::Number));
    }
    ask(plan, step, (At::Callback, Some(1)), say(plan, step, Text::Callback))
}

fn ask_number(plan: &Plan, step: &Step) -> Vec<Verb> {
    ask(plan, step, (At::Number, None), say(plan, step, Text::Number))
}

fn ask_check(plan: &Plan, step: &Step) -> Vec<Verb> {
    let language = plan.language(step);
    let typed = step.typed.as_deref().unwrap_or_default();
    // Digit by digit, or it is read as one large number.
    let digits = typed.chars().filter(char::is_ascii_digit).take(TYPED_KEYS_MAX);
    let spoken: Vec<String> = digits.map(String::from).collect();
    let text = language.words.get(Text::Check).replace("{number}", &spoken.join(" "));
    ask(plan, step, (At::Check, Some(1)), vec![language.say(text)])
}
