//! The menu walked as a state machine: whatever is pressed, however little, wherever somebody hangs up, and whatever
//! the service tells twice or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use proptest::prelude::*;

use super::menu::{self, Heard};
use super::plan::{Goal, Language, Plan, Ring, Topic, Voicemail};
use super::step::{At, Step};
use super::texts::{Words, voice};
use super::twiml::{Verb, document};
use super::{Reader, door};
use crate::channel::Interpret as _;
use crate::channel::shared::twilio::form::Form as Fields;
use crate::model::{
    Calendar, CalendarSetting, DedupeKey, Event, Flag, Form, Inbound, Meaning, Priority, Raw,
    Timestamp,
};

const CALL: &str = "CA0123456789abcdef0123456789abcdef";
const BASE: &str = "https://desk.example/hooks/hotline";
/// The service cuts a call off after about a hundred documents.
const DOCUMENTS_MAX: usize = 90;

fn language(tag: &str, key: char) -> Language {
    let words = Words::read(tag, BTreeMap::new()).unwrap();
    let music = Some(format!("https://desk.example/{tag}.mp3"));
    Language { tag: tag.to_owned(), key, voice: voice(tag, None, None), words, music }
}

fn topic(key: char, goal: Goal) -> Topic {
    let says = ["en", "zh"].map(|tag| (tag.to_owned(), format!("press {{key}} for {key}")));
    Topic {
        key,
        name: format!("topic {key}"),
        says: says.into(),
        goal,
        agents: Vec::new(),
        queue: Some(format!("queue{key}")),
        priority: Some(Priority::High),
        tags: vec![format!("tag{key}")],
    }
}

/// A whole desk: two languages, three topics, two agents who are there on weekdays.
fn plan() -> Plan {
    let hours = CalendarSetting {
        time_zone: "Asia/Shanghai".to_owned(),
        hours: vec!["mon-fri 09:00-18:00".to_owned()],
        holidays: None,
    };
    Plan {
        base: BASE.to_owned(),
        number: "+15005550006".to_owned(),
        first: language("en", '1'),
        others: vec![language("zh", '2')],
        topics: vec![
            topic('1', Goal::Agents),
            topic('2', Goal::Voicemail),
            topic('3', Goal::Callback),
        ],
        hours: Some(Calendar::read(&hours).unwrap()),
        agents: vec!["+4930123456".to_owned(), "+8613800138000".to_owned()],
        ring: Ring::InOrder,
        ring_seconds: 25,
        wait_seconds_max: 0,
        ask_agents: true,
        record_calls: false,
        voicemail: Some(Voicemail { seconds_max: 120, transcribe: true }),
        callbacks: true,
    }
}

fn open() -> Timestamp {
    "2026-11-26T02:00:00Z".parse().unwrap()
}

fn closed() -> Timestamp {
    "2026-11-28T02:00:00Z".parse().unwrap()
}

/// What somebody on the telephone does where they can do something.
#[derive(Debug, Clone)]
enum Act {
    Press(String),
    Nothing,
    HangUp,
    Speak(u32),
    /// What becomes of a call to agents.
    Agents(&'static str, bool),
}

fn act() -> impl Strategy<Value = Act> {
    let key = "[0-9*#]".prop_map(Act::Press);
    let number = "(00|011)?[0-9]{0,16}#?".prop_map(Act::Press);
    let ends =
        proptest::sample::select(vec!["completed", "busy", "no-answer", "failed", "canceled"]);
    let agents = (ends, any::<bool>()).prop_map(|(status, there)| Act::Agents(status, there));
    prop_oneof![
        4 => "[123]".prop_map(Act::Press), 2 => key, 1 => number, 2 => Just(Act::Nothing),
        1 => Just(Act::HangUp), 1 => (0_u32..200).prop_map(Act::Speak), 2 => agents,
    ]
}

/// A call, executed as the service does it: the raws of all that it asked and told.
struct Walk {
    plan: Arc<Plan>,
    at: Timestamp,
    /// How long each document lasts.
    pace: TimeDelta,
    from: &'static str,
    acts: std::vec::IntoIter<Act>,
    raws: Vec<Raw>,
    documents: usize,
    /// `true`: both ends know that it is over.
    ended: bool,
}

impl Walk {
    fn of(plan: Plan, at: Timestamp, from: &'static str, acts: Vec<Act>) -> Self {
        Self::paced(plan, (at, TimeDelta::seconds(1)), from, acts)
    }

    fn paced(
        plan: Plan,
        (at, pace): (Timestamp, TimeDelta),
        from: &'static str,
        acts: Vec<Act>,
    ) -> Self {
        let (plan, acts) = (Arc::new(plan), acts.into_iter());
        let (raws, documents, ended) = (Vec::new(), 0, false);
        let mut walk = Self { plan, at, pace, from, acts, raws, documents, ended };
        walk.go("", &[]);
        let status = if walk.ended { "completed" } else { "canceled" };
        walk.tell("status", &[("CallStatus", status), ("CallDuration", "23")]);
        walk
    }

    /// A request: its path with its query, and what it tells beside what each does.
    fn tell(&mut self, address: &str, more: &[(&str, &str)]) -> Raw {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let usual = [("CallSid", CALL), ("From", self.from), ("To", self.plan.number.as_str())];
        form.extend_pairs(usual).extend_pairs(more);
        let facts = [(door::PATH, path), (door::QUERY, query)];
        let raw = Raw {
            dedupe: DedupeKey::new(""),
            body: Bytes::from(form.finish()),
            transport: facts.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
            received_at: Some(self.at),
        };
        self.raws.push(raw.clone());
        raw
    }

    /// Asks for a document, and does what stands there, until the call is over.
    fn go(&mut self, address: &str, more: &[(&str, &str)]) {
        let mut next = Some((address.to_owned(), own(more)));
        while let Some((address, more)) = next.take() {
            self.documents += 1;
            assert!(self.documents <= DOCUMENTS_MAX, "the menu does not end");
            let more: Vec<(&str, &str)> =
                more.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let raw = self.tell(&address, &more);
            let verbs = self.ask(&raw);
            // Asked again, the answer is the same.
            assert_eq!(verbs, self.ask(&raw));
            assert!(document(&verbs).len() < 64 * 1024);
            next = self.perform(verbs);
            self.at += self.pace;
        }
        self.ended = true;
    }

    fn ask(&self, raw: &Raw) -> Vec<Verb> {
        let fact = |name: &str| raw.transport.get(name).cloned().unwrap_or_default();
        let (path, query) = (fact(door::PATH), Fields::read(fact(door::QUERY).as_bytes()).unwrap());
        let form = Fields::read(&raw.body).unwrap();
        let told = super::told::Told { path: &path, query: &query, form: &form };
        let step = match path.as_str() {
            "" => Step::enter(),
            path => Step::read(path, &query).expect("an address that we wrote"),
        };
        menu::next(&self.plan, &step, &told.heard(), self.at)
    }

    /// Where it goes on; `None`: the call is over.
    fn perform(&mut self, verbs: Vec<Verb>) -> Option<(String, Vec<(String, String)>)> {
        for verb in verbs {
            match verb {
                Verb::Say { text, .. } => assert!(!text.contains('{'), "{text}"),
                Verb::Pause(_) | Verb::Play(_) => {}
                Verb::Hangup => return None,
                Verb::Redirect(url) => return Some((path(&url), Vec::new())),
                Verb::Gather(gather) => match self.acts.next().unwrap_or(Act::HangUp) {
                    Act::Press(keys) => {
                        let max = gather.keys.map_or(20, usize::from);
                        let keys: String = keys.chars().take(max).collect();
                        let keys = if gather.keys.is_none() { keys.replace('#', "") } else { keys };
                        if !keys.is_empty() {
                            let pressed = vec![("Digits".to_owned(), keys)];
                            return Some((path(&gather.action), pressed));
                        }
                    }
                    Act::HangUp => return None,
                    Act::Nothing | Act::Speak(_) | Act::Agents(..) => {}
                },
                Verb::Record(record) => match self.acts.next().unwrap_or(Act::HangUp) {
                    Act::Speak(seconds) => {
                        let seconds = seconds.to_string();
                        let news = path(&record.news);
                        let told = own(&[
                            ("RecordingUrl", "https://api.twilio.com/Recordings/RE7"),
                            ("RecordingSid", "RE7"),
                            ("RecordingDuration", &seconds),
                        ]);
                        let more: Vec<(&str, &str)> = told
                            .iter()
                            .map(|(key, value)| (key.as_str(), value.as_str()))
                            .collect();
                        let ready = [&more[..], &[("RecordingStatus", "completed")]].concat();
                        self.tell(&news, &ready);
                        return Some((path(&record.action), told));
                    }
                    Act::HangUp => return None,
                    Act::Press(_) | Act::Nothing | Act::Agents(..) => {}
                },
                Verb::Dial(dial) => {
                    assert!(!dial.lines.is_empty());
                    let (status, there) = match self.acts.next().unwrap_or(Act::HangUp) {
                        Act::Agents(status, there) => (status, there && status == "completed"),
                        Act::HangUp => return None,
                        Act::Press(_) | Act::Nothing | Act::Speak(_) => ("no-answer", false),
                    };
                    if there {
                        let before = dial.lines[0].before.clone().expect("agents are asked");
                        let take = path(&before).replace("answer", "take");
                        let of_agent = [("CallSid", "CAagent"), ("Digits", "1")];
                        let agent = [("From", "+15005550006"), ("To", "+4930123456")];
                        self.tell_as(&take, &[of_agent, agent].concat());
                    }
                    let bridged = if there { "true" } else { "false" };
                    let told = own(&[("DialCallStatus", status), ("DialBridged", bridged)]);
                    return Some((path(&dial.action), told));
                }
            }
        }
        None
    }

    /// What an agent's line tells.
    fn tell_as(&mut self, address: &str, form: &[(&str, &str)]) {
        let mut raw = self.tell(address, &[]);
        self.raws.pop();
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        raw.body = Bytes::from(body.extend_pairs(form).finish());
        self.raws.push(raw);
    }
}

fn own(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn path(url: &str) -> String {
    let own = url.strip_prefix(BASE).expect("an address of ours");
    own.trim_start_matches('/').to_owned()
}

/// What the raws mean, each read on its own.
fn pieces(plan: &Arc<Plan>, raws: &[Raw]) -> Vec<Inbound> {
    let reader = Reader { plan: plan.clone() };
    let mut all = Vec::new();
    for raw in raws {
        match reader.interpret(raw).expect("what the service told can be read") {
            Meaning::Ignore(_) => {}
            Meaning::Events(events) => {
                all.extend(events.into_iter().map(|event| {
                    let Event::Message(message) = event else { panic!("{event:?}") };
                    *message
                }));
            }
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Any keys, any hang-up, anything told twice or not at all: the menu ends, every answer is one that the service
    /// understands, and all that was told is one call.
    #[test]
    fn every_way_through_the_menu_ends_in_one_call(
        acts in proptest::collection::vec(act(), 0..30), is_open: bool, at_once: bool, voicemail: bool,
        callbacks: bool, topics in 0_usize..4, hidden: bool, wait in 0_u16..1800, pace in 0_i64..90,
        kept in proptest::collection::vec(0_u8..4, 80),
    ) {
        let mut plan = plan();
        plan.topics.truncate(topics);
        plan.ring = if at_once { Ring::AtOnce } else { Ring::InOrder };
        plan.voicemail = plan.voicemail.filter(|_| voicemail);
        plan.callbacks = callbacks;
        plan.wait_seconds_max = wait;
        let from = if hidden { "+266696687" } else { "+4915112345678" };
        let at = if is_open { open() } else { closed() };
        let walk = Walk::paced(plan, (at, TimeDelta::seconds(pace)), from, acts);
        // Nothing, once, or twice; but something arrives.
        let told = walk.raws.iter().zip(kept.iter().cycle());
        let mut arrived: Vec<Raw> =
            told.flat_map(|(raw, times)| vec![raw.clone(); usize::from(*times).min(2)]).collect();
        if arrived.is_empty() {
            arrived.push(walk.raws[0].clone());
        }
        let all = pieces(&walk.plan, &arrived);
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for piece in &all {
            prop_assert_eq!(piece.part_of.as_ref().map(|whole| whole.as_str()), Some(CALL));
            prop_assert!(piece.remote_id.as_str().starts_with(CALL));
            let same = texts.insert(piece.remote_id.0.clone(), piece.digest.clone());
            prop_assert!(same.is_none_or(|same| same == piece.digest));
            prop_assert!(matches!(piece.form, Form::Call | Form::Voicemail));
            prop_assert_eq!(piece.sender.address.is_none(), hidden);
        }
        // Somebody called, whatever else is known.
        let called = format!("{CALL}/in");
        prop_assert!(all.is_empty() || texts.contains_key(&called));
        // All of it is known at last.
        let whole = pieces(&walk.plan, &walk.raws);
        let flags: BTreeSet<Flag> = whole.iter().flat_map(|piece| piece.flags.clone()).collect();
        prop_assert!(flags.contains(&Flag::MissedCall));
        let wishes: BTreeSet<&str> = whole
            .iter()
            .filter_map(|piece| Some(piece.wishes.call.as_ref()?.phone.as_str()))
            .collect();
        prop_assert!(wishes.len() <= 1);
        prop_assert!(wishes.iter().all(|phone| !hidden || *phone != "+266696687"));
    }

    /// Nothing that anybody could send makes it panic.
    #[test]
    fn whatever_is_told_is_read_or_refused(path in "(agent/|bridge/|out/|call/)?[a-z/]{0,12}", query in ".{0,80}", body in ".{0,200}") {
        let plan = Arc::new(plan());
        let facts = [(door::PATH, path), (door::QUERY, query)];
        let raw = Raw {
            dedupe: DedupeKey::new(""),
            body: Bytes::from(body),
            transport: facts.map(|(key, value)| (key.to_owned(), value)).into(),
            received_at: None,
        };
        drop(Reader { plan }.interpret(&raw));
    }
}

fn texts(walk: &Walk) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let all = pieces(&walk.plan, &walk.raws).into_iter();
    all.filter(|piece| seen.insert(piece.remote_id.clone())).map(|piece| piece.text).collect()
}

fn press(keys: &str) -> Act {
    Act::Press(keys.to_owned())
}

#[test]
fn a_caller_is_put_through_to_the_second_agent() {
    let acts = vec![
        press("2"),
        press("1"),
        Act::Agents("no-answer", false),
        Act::Agents("completed", true),
    ];
    let walk = Walk::of(plan(), open(), "+4915112345678", acts);
    assert_eq!(
        texts(&walk),
        [
            "Call from +4915112345678 to +15005550006.",
            "Chose the language zh.",
            "Chose 1: topic 1.",
            "An agent was called: nobody took it.",
            "Taken by +4930123456.",
            "Spoke with an agent.",
            "The call ended after 23 s.",
        ]
    );
    let all = pieces(&walk.plan, &walk.raws);
    let topic = all.iter().find(|piece| piece.text.starts_with("Chose 1")).unwrap();
    assert_eq!(topic.wishes.queue.as_deref(), Some("queue1"));
    assert_eq!(topic.wishes.tags, ["tag1"]);
}

/// Who waits is called for again and again, hears music in their language, and may go to something else; but nobody
/// waits for ever.
#[test]
fn while_everybody_is_busy_a_caller_waits_or_goes() {
    let plan = || Plan { wait_seconds_max: 60, others: Vec::new(), topics: Vec::new(), ..plan() };
    let busy = || [Act::Agents("busy", false), Act::Agents("no-answer", false)];
    let walk = |pace, acts: Vec<Act>| {
        let at = (open(), TimeDelta::seconds(pace));
        Walk::paced(plan(), at, "+4915112345678", acts)
    };
    // Twice nobody, then somebody.
    let mut acts = [&busy()[..], &[Act::Nothing], &busy(), &[press("7")]].concat();
    acts.push(Act::Agents("completed", true));
    assert!(texts(&walk(5, acts.clone())).contains(&"Spoke with an agent.".to_owned()));
    // A minute is over before somebody is there: they are told so, and leave a message.
    let late = texts(&walk(31, [acts, vec![press("1"), Act::Speak(9)]].concat()));
    assert!(!late.contains(&"Spoke with an agent.".to_owned()), "{late:?}");
    // Who does not want to wait leaves a message, or is called back.
    let out = [&busy()[..], &[press("1"), press("1"), Act::Speak(9)]].concat();
    assert!(texts(&walk(5, out)).contains(&"Left a message, 9 s.".to_owned()));
    let back = [&busy()[..], &[press("1"), press("2"), press("1")]].concat();
    let wished = "Wants to be called back on +4915112345678.".to_owned();
    assert!(texts(&walk(5, back)).contains(&wished));
    // What they hear meanwhile.
    let step = Step { at: At::Rung, turn: 1, since: Some(open().timestamp()), ..Step::enter() };
    let heard = Heard { call: CALL.to_owned(), ..Heard::default() };
    let verbs = menu::next(&plan(), &step, &heard, open());
    let Some(Verb::Gather(gather)) = verbs.first() else { panic!("{verbs:?}") };
    assert!(gather.action.contains("/call/wait?"), "{}", gather.action);
    assert_eq!(gather.within.last(), Some(&Verb::Play("https://desk.example/en.mp3".to_owned())));
    // Where there is nothing else, nothing else is promised.
    let alone = Plan { voicemail: None, callbacks: false, ..plan() };
    let verbs = menu::next(&alone, &step, &heard, open());
    let Some(Verb::Gather(gather)) = verbs.first() else { panic!("{verbs:?}") };
    assert_eq!(gather.within.len(), 2, "{:?}", gather.within);
}

#[test]
fn outside_the_hours_a_message_is_left() {
    let acts = vec![press("1"), press("1"), press("1"), Act::Speak(23)];
    let walk = Walk::of(plan(), closed(), "+4915112345678", acts);
    let texts = texts(&walk);
    assert!(texts.contains(&"Left a message, 23 s.".to_owned()), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("agent")), "{texts:?}");
    let all = pieces(&walk.plan, &walk.raws);
    let recordings: Vec<&Inbound> = all.iter().filter(|piece| !piece.media.is_empty()).collect();
    assert!(recordings.len() == 2 && recordings[0].remote_id == recordings[1].remote_id);
    assert_eq!(recordings[0].form, Form::Voicemail);
}

#[test]
fn a_call_back_goes_to_the_number_that_was_typed() {
    let wish = |from, acts| {
        let walk = Walk::of(plan(), open(), from, acts);
        let all = pieces(&walk.plan, &walk.raws);
        all.into_iter().find_map(|piece| piece.wishes.call.map(|call| (call.phone, call.note)))
    };
    let own = wish("+4915112345678", vec![press("1"), press("3"), press("1")]);
    assert_eq!(own, Some(("+4915112345678".to_owned(), "topic 3".to_owned())));
    let typed = [press("1"), press("3"), press("2"), press("0049301234567#"), press("1")];
    assert_eq!(wish("+4915112345678", typed.to_vec()).unwrap().0, "+49301234567");
    // Who hides their number is asked for one at once, and once more when they say that it is wrong.
    let again = [
        press("1"),
        press("3"),
        press("12"),
        press("493012345"),
        press("2"),
        press("86138001380"),
        press("1"),
    ];
    assert_eq!(wish("anonymous", again.to_vec()).unwrap().0, "+86138001380");
    assert_eq!(
        wish("anonymous", vec![press("1"), press("3"), press("493012345"), press("2")]),
        None
    );
}

#[test]
fn all_agents_ring_at_once_if_that_is_wanted() {
    let plan = Plan { ring: Ring::AtOnce, others: Vec::new(), topics: Vec::new(), ..plan() };
    let heard = Heard { call: CALL.to_owned(), ..Heard::default() };
    let verbs = menu::next(&plan, &Step::enter(), &heard, open());
    let lines = verbs.iter().find_map(|verb| {
        let Verb::Dial(dial) = verb else { return None };
        Some(dial.lines.len())
    });
    assert_eq!(lines, Some(2));
}
