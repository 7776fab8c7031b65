//! What a thousand rules cost a message. `cargo bench --bench rules`.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement that meets the unexpected has to fail"
)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tributary::desk::{
    ProtectSetting, RuleSetting, Situation, Triage, TriageSettings, UrgencySetting,
};
use tributary::model::{Address, Priority, TicketStatus};

const RULES: usize = 1000;
const ROUNDS: u32 = 300;

fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--test") { 1 } else { ROUNDS };
    let settings = TriageSettings {
        rules: (0..RULES).map(rule).collect(),
        calendars: [].into(),
        agents: Vec::new(),
        urgency: UrgencySetting {
            enabled: true,
            per_contact_max: 3,
            answer: true,
            answers: [].into(),
        },
        protect: ProtectSetting::default(),
        sla: tributary::desk::SlaSetting { warn_percent: 75, ..Default::default() },
        survey: tributary::desk::survey::SurveySetting::default(),
        close: tributary::desk::close::CloseSetting::default(),
        retention: tributary::desk::retention::RetentionSetting::default(),
        signatures: Vec::new(),
        macros: Vec::new(),
    };
    let began = Instant::now();
    let triage = Triage::read(&settings, &["mail".to_owned()].into()).unwrap();
    println!("{RULES} rules compiled in {:?}", began.elapsed());
    let chat = "你好,我昨天转的USDT一直没有到账,txid: 0x5208840009, please help";
    let letter =
        "I tried to withdraw my savings yesterday, product 376, and it never came. ".repeat(54);
    let hard = "I tried to withdraw my savings yesterday and number 377 never came. ".repeat(60);
    let texts = [
        ("a line of chat", chat),
        ("a mail of 4,000 characters", &letter),
        ("a mail on which every expression must be tried sixty times", &hard),
    ];
    for (name, text) in texts {
        let began = Instant::now();
        let mut fired = 0;
        for _ in 0..rounds {
            fired += judge(&triage, text);
        }
        let each = began.elapsed().as_secs_f64() * 1e3 / f64::from(rounds);
        println!(
            "{name}: {each:.3} ms a message, {:.1} rules fired",
            fired as f64 / f64::from(rounds)
        );
    }
}

/// Words in two languages, and every third an expression.
fn rule(number: usize) -> RuleSetting {
    let when = match number % 3 {
        0 => format!(r#""regex": ["(order|ticket|number)\\s*#?{number}\\b"]"#),
        1 => format!(
            r#""words": ["product {number}", "产品{number}", "withdraw{number}*"], "languages": ["en", "zh"]"#
        ),
        _ => format!(
            r#""all_words": ["number", "{number}"], "new_ticket": true, "no_words": ["thanks"]"#
        ),
    };
    let text = format!(
        r#"{{"name": "r{number}", "when": {{{when}}}, "then": {{"tags": ["t{number}"]}}}}"#
    );
    serde_json::from_str(&text).unwrap()
}

fn judge(triage: &Triage, text: &str) -> usize {
    let (sender, flags) = (Address::email("anna@customer.example"), BTreeSet::new());
    let situation = Situation {
        channel: "mail",
        language: Some("en"),
        sender: Some(&sender),
        flags: &flags,
        media_types: Vec::new(),
        opens: true,
        ticket_age: Duration::ZERO,
        status: TicketStatus::Open,
        priority: Priority::Normal,
        tags: BTreeSet::new(),
        contact_tags: &BTreeSet::new(),
        messages: 1,
        lifted: 0,
        now: chrono::Utc::now(),
    };
    triage.judge(&triage.look_at(Some("A question"), text), &situation).fired.len()
}
