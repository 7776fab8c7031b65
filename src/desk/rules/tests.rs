use proptest::prelude::*;

use super::super::assign::AssignBy;
use super::super::impostor::ProtectSetting;
use super::super::triage::{Triage, TriageSettings};
use super::super::urgency::UrgencySetting;
use super::*;
use crate::model::CalendarSetting;

fn settings(text: &str) -> TriageSettings {
    let text = format!("{{{text}}}");
    let rules: RulesOnly = serde_json::from_str(&text).unwrap();
    let office = CalendarSetting {
        time_zone: "Europe/Berlin".to_owned(),
        hours: vec!["mon-fri 09:00-17:00".to_owned()],
        holidays: None,
    };
    TriageSettings {
        rules: rules.rules,
        calendars: [("office".to_owned(), office)].into(),
        agents: Vec::new(),
        urgency: UrgencySetting {
            enabled: true,
            per_contact_max: 2,
            answer: true,
            answers: [("funds_moving".to_owned(), serde_json::from_str("\"lock it\"").unwrap())]
                .into(),
        },
        protect: ProtectSetting::default(),
        sla: super::super::sla::SlaSetting { warn_percent: 75, ..Default::default() },
        survey: crate::desk::survey::SurveySetting::default(),
        close: crate::desk::close::CloseSetting::default(),
        retention: crate::desk::retention::RetentionSetting::default(),
        signatures: Vec::new(),
        macros: Vec::new(),
    }
}

#[derive(serde::Deserialize)]
struct RulesOnly {
    rules: Vec<RuleSetting>,
}

fn channels() -> BTreeSet<String> {
    ["mail".to_owned(), "telegram".to_owned()].into()
}

fn triage(rules: &str) -> Triage {
    Triage::read(&settings(&format!(r#""rules": [{rules}]"#)), &channels())
        .unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn faults(rules: &str) -> Vec<String> {
    match Triage::read(&settings(&format!(r#""rules": [{rules}]"#)), &channels()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.into_iter().map(|(key, reason)| format!("{key}: {reason}")).collect(),
    }
}

const NO_TAGS: &BTreeSet<String> = &BTreeSet::new();

/// The tags of somebody who is a «vip».
fn tagged() -> &'static BTreeSet<String> {
    static TAGS: std::sync::LazyLock<BTreeSet<String>> =
        std::sync::LazyLock::new(|| BTreeSet::from(["vip".to_owned()]));
    &TAGS
}

/// A Thursday morning in Berlin.
fn morning() -> Timestamp {
    "2026-11-26T08:30:00Z".parse().unwrap()
}

fn anna() -> Address {
    Address::email("anna@customer.example")
}

fn situation<'a>(sender: &'a Address, flags: &'a BTreeSet<Flag>) -> Situation<'a> {
    Situation {
        channel: "mail",
        language: Some("en"),
        sender: Some(sender),
        flags,
        media_types: Vec::new(),
        opens: true,
        ticket_age: Duration::ZERO,
        status: TicketStatus::Open,
        priority: Priority::Normal,
        tags: BTreeSet::new(),
        contact_tags: NO_TAGS,
        messages: 1,
        lifted: 0,
        now: morning(),
    }
}

/// Does a rule with this one condition fire?
fn fires(when: &str, text: &str, change: impl Fn(&mut Situation<'_>)) -> bool {
    let rule = format!(r#"{{"name": "one", "when": {{{when}}}, "then": {{"tags": ["hit"]}}}}"#);
    let triage = triage(&rule);
    let (sender, flags) = (anna(), BTreeSet::from([Flag::SpoofSuspect]));
    let mut situation = situation(&sender, &flags);
    change(&mut situation);
    !triage.judge(&triage.look_at(Some("A subject"), text), &situation).fired.is_empty()
}

#[test]
fn words_are_whole_words_where_a_script_has_them() {
    for (words, text, expected) in [
        (r#"["hack"]"#, "they hack me", true),
        (r#"["hack"]"#, "HACK!", true),
        (r#"["hack"]"#, "the hackathon", false),
        (r#"["hack*"]"#, "I was hacked", true),
        (r#"["hack*"]"#, "whack", false),
        (r#"["not arrived"]"#, "it has not\n  arrived", true),
        (r#"["not arrived"]"#, "it is not yet arrived", false),
        (r#"["未到账"]"#, "我的提现未到账了", true),
        (r#"["usdt"]"#, "我的USDT没有到账", true),
        (r#"["usdt"]"#, "myusdt", false),
        (r#"["USDT"]"#, "usdt", true),
        (r#"["don't"]"#, "I don’t know", true),
        (r#"["c++"]"#, "c++ is", true),
        (r#"["subject"]"#, "nothing", true),
        (r#"["subject nothing"]"#, "nothing", false),
        (r#"["one", "two"]"#, "it is two", true),
        (r#"["seed phrase"]"#, "my se\u{200b}ed phrase", true),
    ] {
        assert_eq!(
            fires(&format!(r#""words": {words}"#), text, |_| {}),
            expected,
            "{words} {text}"
        );
    }
}

#[test]
fn every_condition_can_keep_a_rule_from_firing() {
    type Change = fn(&mut Situation<'_>);
    let cases: &[(&str, Change, Change)] = &[
        (r#""channels": ["telegram"]"#, |s| s.channel = "telegram", |s| s.channel = "mail"),
        (r#""languages": ["zh"]"#, |s| s.language = Some("zh-Hant"), |s| s.language = None),
        (
            r#""languages": ["zh-CN"]"#,
            |s| s.language = Some("zh-Hans"),
            |s| s.language = Some("zh-Hant"),
        ),
        (r#""tags": ["vip"]"#, |s| _ = s.tags.insert("vip".to_owned()), |_| {}),
        (r#""no_tags": ["vip"]"#, |_| {}, |s| _ = s.tags.insert("vip".to_owned())),
        (r#""contact_tags": ["vip"]"#, |s| s.contact_tags = tagged(), |_| {}),
        (r#""no_contact_tags": ["vip"]"#, |_| {}, |s| s.contact_tags = tagged()),
        (r#""new_ticket": false"#, |s| s.opens = false, |s| s.opens = true),
        (r#""status": ["pending"]"#, |s| s.status = TicketStatus::Pending, |_| {}),
        (r#""priority": ["high"]"#, |s| s.priority = Priority::High, |_| {}),
        (r#""attachments": true"#, |s| s.media_types.push("image/png"), |_| {}),
        (r#""attachments": false"#, |_| {}, |s| s.media_types.push("image/png")),
        (
            r#""media_types": ["image/*"]"#,
            |s| s.media_types.push("image/png"),
            |s| s.media_types.push("text/plain"),
        ),
        (r#""messages_min": 5"#, |s| s.messages = 5, |s| s.messages = 4),
        (r#""ticket_hours_min": 2"#, |s| s.ticket_age = Duration::from_secs(7200), |_| {}),
        (r#""ticket_hours_max": 2"#, |_| {}, |s| s.ticket_age = Duration::from_secs(7201)),
        (r#""open": "office""#, |_| {}, |s| s.now += chrono::Duration::hours(12)),
        (r#""closed": "office""#, |s| s.now += chrono::Duration::hours(12), |_| {}),
        (r#""senders": ["@customer.example"]"#, |_| {}, |s| s.sender = None),
        (r#""senders": ["Anna@Customer.example"]"#, |_| {}, |s| s.sender = None),
    ];
    for (when, holds, fails) in cases {
        assert!(fires(when, "text", holds), "{when}");
        assert!(!fires(when, "text", fails), "{when}");
    }
    assert!(fires(r#""flags": ["spoof_suspect"]"#, "text", |_| {}));
    assert!(!fires(r#""flags": ["bounce"]"#, "text", |_| {}));
    assert!(!fires(r#""senders": ["@mer.example"]"#, "text", |_| {}), "not a whole domain");
    for (when, text, expected) in [
        (r#""all_words": ["x1", "y1"]"#, "y1 and x1", true),
        (r#""all_words": ["x1", "y1"]"#, "y1", false),
        (r#""no_words": ["thanks"]"#, "hello", true),
        (r#""no_words": ["thanks"]"#, "Thanks!", false),
        (r#""regex": ["tx(id)?\\s*[:#]\\s*0x"]"#, "TXID: 0xabc", true),
        (r#""regex": ["tx(id)?\\s*[:#]\\s*0x"]"#, "txid is", false),
        (r#""regex": ["[0-9]{4}"]"#, "year 2026", true),
        (r#""regex": ["(?:refund|退款).{0,8}(?:now|马上)"]"#, "我要退款,马上", true),
        (r#""regex": [".*later$"]"#, "see you Later", true),
    ] {
        assert_eq!(fires(when, text, |_| {}), expected, "{when} {text}");
    }
}

#[test]
fn later_rules_win_see_earlier_ones_and_are_stopped() {
    let triage = triage(
        r#"
        {"name": "a", "when": {"words": ["deposit"]}, "then": {"priority": "low", "tags": ["deposit"], "queue": "chain"}},
        {"name": "b", "when": {"tags": ["deposit"]}, "then": {"priority": "high", "webhook": true}},
        {"name": "c", "when": {"priority": ["high"]}, "then": {"tags": ["seen"]}, "stop": true},
        {"name": "d", "then": {"status": "spam"}}
        "#,
    );
    let (sender, flags) = (anna(), BTreeSet::new());
    let situation = situation(&sender, &flags);
    let verdict = triage.judge(&triage.look_at(None, "my deposit"), &situation);
    assert_eq!(verdict.fired, ["a", "b", "c"]);
    assert_eq!(verdict.priority, Some(Priority::High));
    assert_eq!(verdict.tags, BTreeSet::from(["deposit".to_owned(), "seen".to_owned()]));
    assert_eq!((verdict.queue.as_deref(), verdict.status), (Some("chain"), None));
    assert_eq!(verdict.announced, ["b"]);
    assert_eq!(
        verdict.why,
        [
            "rule «a» fired (found: deposit): priority low, queue chain, tag deposit",
            "rule «b» fired: priority high",
            "rule «c» fired: tag seen, the rules behind it are left out",
        ]
    );
    let other = triage.judge(&triage.look_at(None, "hello"), &situation);
    assert_eq!((other.fired, other.status), (vec!["d".to_owned()], Some(TicketStatus::Spam)));
}

#[test]
fn danger_lifts_first_and_rules_have_the_last_word() {
    let triage = triage(
        r#"{"name": "a", "when": {"tags": ["funds_moving"]}, "then": {"queue": "safety", "acknowledge": "closed"}},
        {"name": "b", "when": {"words": ["test"]}, "then": {"priority": "low"}}"#,
    );
    let (sender, flags) = (anna(), BTreeSet::new());
    let judge = |text: &str, lifted: u64, priority: Priority| {
        let situation = Situation { lifted, priority, ..situation(&sender, &flags) };
        triage.judge(&triage.look_at(None, text), &situation)
    };
    let danger = judge("my coins were stolen", 0, Priority::Normal);
    assert_eq!(
        (danger.priority, danger.queue.as_deref()),
        (Some(Priority::Urgent), Some("safety"))
    );
    assert_eq!(danger.fired, ["urgency: funds_moving", "a"]);
    assert!(danger.safety);
    assert_eq!(danger.acknowledge.unwrap().plain(), "lock it", "not that we are closed");
    // Nobody lifts all of their tickets: the tag and the answer stay, the place in the line does not.
    let flood = judge("my coins were stolen", 2, Priority::Normal);
    assert_eq!((flood.priority, flood.safety), (None, true));
    assert!(flood.tags.contains("funds_moving"));
    assert!(flood.why[0].contains("not lifted"), "{:?}", flood.why);
    // What customers say alone lifts less, and never lowers.
    assert_eq!(judge("urgent please", 0, Priority::Normal).priority, Some(Priority::High));
    assert_eq!(judge("urgent please", 0, Priority::Urgent).priority, None);
    assert_eq!(
        judge("a test, my coins were stolen", 0, Priority::Normal).priority,
        Some(Priority::Low)
    );
    assert_eq!(judge("hello", 0, Priority::Normal), Verdict::default());
}

#[test]
fn every_fault_is_found_with_its_key() {
    assert_eq!(
        faults(
            r#"
        {"name": "", "when": {"channels": ["mail", "fax"]}, "then": {"tags": ["x"]}},
        {"name": "b"},
        {"name": "b", "when": {"regex": ["ok", "(", "(?<x"], "words": [" ", "x"], "open": "bureau"}, "stop": true},
        {"name": "c", "when": {"words": []}, "then": {"assignee": "a@x.example", "assign": {"by": "least_busy", "skill": "x"}}}
        "#
        )
        .iter()
        .map(|fault| fault.split(": ").next().unwrap_or_default())
        .collect::<Vec<_>>(),
        [
            "rules[0].name",
            "rules[0].when.channels[1]",
            "rules[1].then",
            "rules[2].when.open",
            "rules[2].when.words[0]",
            "rules[2].when.regex[1]",
            "rules[2].when.regex[2]",
            "rules[2].name",
            "rules[3].when.words",
            "rules[3].then.assign",
            "rules[3].then.assign.among",
            "rules[3].then.assign.skill",
        ]
    );
    let reason = faults(r#"{"name": "x", "when": {"regex": ["a("]}, "stop": true}"#);
    assert_eq!(reason, ["rules[0].when.regex[0]: error: unclosed group"]);
}

#[test]
fn a_person_or_a_choice_is_what_is_assigned() {
    let triage = triage(
        r#"{"name": "a", "then": {"assignee": "Anna@desk.example "}},
        {"name": "b", "when": {"words": ["card"]}, "then": {"assign": {"by": "round_robin", "among": ["x@y.example"]}}}"#,
    );
    let (sender, flags) = (anna(), BTreeSet::new());
    let judge = |text: &str| {
        triage.judge(&triage.look_at(None, text), &situation(&sender, &flags)).assign.unwrap()
    };
    assert_eq!(judge("x"), Assign::To("anna@desk.example".to_owned()));
    assert!(matches!(judge("card"), Assign::Among(wish) if wish.by == AssignBy::RoundRobin));
    assert!(triage.assigns() && !triage.acknowledges() && !triage.asks_for_tags());
}

proptest! {
    /// The filter before expressions must not lose anything.
    #[test]
    fn expressions_fit_as_the_engine_says(
        text in "[abcXYZ 转账ßÉ\\n]{0,40}",
        expression in prop::sample::select(vec![
            "abc", "(?i)xyz a", "abc|转账", "[ab]c[xy]", "转账.{0,3}abc", "^abc", "a+b+c", "é", "ß", "(abc)?xyz",
        ]),
    ) {
        let triage = triage(&format!(
            r#"{{"name": "one", "when": {{"regex": ["{expression}"]}}, "then": {{"tags": ["x"]}}}}"#
        ));
        let (sender, flags) = (anna(), BTreeSet::new());
        let fired = !triage.judge(&triage.look_at(None, &text), &situation(&sender, &flags)).fired.is_empty();
        let regex = regex::RegexBuilder::new(expression).case_insensitive(true).build().unwrap();
        prop_assert_eq!(fired, regex.is_match(&format!("\n{}", fold(&text))));
    }

    #[test]
    fn folding_is_done_once_and_any_text_can_be_looked_at(text in "\\PC{0,200}") {
        let folded = fold(&text);
        prop_assert_eq!(fold(&folded), folded.clone());
        let triage = triage(r#"{"name": "one", "when": {"words": ["a*", "转"]}, "then": {"tags": ["x"]}}"#);
        let seen = triage.look_at(Some(&text), &text);
        let (sender, flags) = (anna(), BTreeSet::new());
        let fired = triage.judge(&seen, &situation(&sender, &flags)).fired.len();
        prop_assert!(fired == 1 || !folded.contains('转'));
    }
}

proptest! {
    /// A letter that has to be looked up changes nothing about those around it.
    #[test]
    fn a_plain_text_is_folded_as_any_other(text in "[a-zA-Z0-9 .\t\n\u{b}\u{7f}我的钱，。！？：；（）「」《》“”’、\u{3000}]{0,40}") {
        let looked_up = fold(&format!("{text}ⓐ"));
        prop_assert_eq!(format!("{}a", fold(&text)), looked_up);
    }
}
