//! Known answers that go out by themselves.

use std::time::Duration;

use tributary::desk::close::CloseSetting;
use tributary::desk::faq::{AnswerPolicy, AnswerTexts, Article, Matcher};
use tributary::desk::retention::RetentionSetting;
use tributary::desk::survey::{SurveySetting, SurveyTexts};
use tributary::desk::{ProtectSetting, SlaSetting, Triage, TriageSettings, UrgencySetting};

use super::labelled::starter_set;

/// The starter set, sent by itself.
pub fn answering(auto: bool) -> Matcher {
    let texts = |question: &str, yes: &str, no: &str, person: &str| AnswerTexts {
        question: question.to_owned(),
        yes: yes.to_owned(),
        no: no.to_owned(),
        person: person.to_owned(),
    };
    let texts = [
        ("en", texts("Did this help?", "Yes, thanks", "No, a person", "A person will come.")),
        ("zh", texts("有帮助吗？", "有帮助", "转人工", "已为您转接人工。")),
    ];
    starter_set().answering(AnswerPolicy {
        auto,
        wait: Duration::from_secs(24 * 3600),
        per_hour_max: 60,
        texts: texts.map(|(language, texts)| (language.to_owned(), texts)).into(),
    })
}

/// A question that the article «fees» surely answers, in the starter set and in the circle.
pub const FEES: &str = "How much are the fees?";

/// Six articles, each of which leads to all others.
pub fn circle(change: impl Fn(String) -> String) -> Matcher {
    let names = ["fees", "two", "three", "four", "five", "six"];
    let article = |name: &&str| {
        let questions = if *name == "fees" { FEES } else { name };
        let text = format!(
            "+++\nfollow_ups = {names:?}\n[questions]\nen = [{questions:?}]\n+++\n\
             # en: About {name}\nThis is {name}.\n"
        );
        Article::read(name, &change(text)).unwrap()
    };
    let policy = answering(true).policy().clone();
    Matcher::new(names.iter().map(article).collect()).answering(policy)
}

/// Asks at once; remarks have the topics that we ship. `per_contact_days`: nobody is asked twice within.
pub fn surveying(per_contact_days: u32) -> SurveySetting {
    let texts = |question: &str, thanks: &str| SurveyTexts {
        question: question.to_owned(),
        thanks: thanks.to_owned(),
    };
    let shipped = include_str!("../../../config/tributary.toml");
    let shipped = config::File::from_str(shipped, config::FileFormat::Toml);
    let shipped = config::Config::builder().add_source(shipped).build().unwrap();
    SurveySetting {
        enabled: true,
        after_minutes: 0,
        per_contact_days,
        open_days: 14,
        channels: Vec::new(),
        texts: [
            ("en".to_owned(), texts("How was ticket {number}?", "Tell us <more>.")),
            ("zh".to_owned(), texts("工单 {number} 满意吗？", "请补充。")),
        ]
        .into(),
        topics: shipped.get("survey.topics").unwrap(),
    }
}

/// No rules and nothing else, but for what `change` puts there.
pub fn triage(change: impl FnOnce(&mut TriageSettings)) -> Triage {
    let mut settings = TriageSettings {
        rules: Vec::new(),
        calendars: [].into(),
        agents: Vec::new(),
        urgency: UrgencySetting {
            enabled: false,
            per_contact_max: 1,
            answer: false,
            answers: [].into(),
        },
        protect: ProtectSetting::default(),
        sla: SlaSetting { warn_percent: 75, ..Default::default() },
        survey: SurveySetting::default(),
        close: CloseSetting::default(),
        retention: RetentionSetting::default(),
        signatures: Vec::new(),
        macros: Vec::new(),
    };
    change(&mut settings);
    Triage::read(&settings, &["mail".to_owned()].into()).unwrap()
}
