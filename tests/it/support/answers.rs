//! Known answers that go out by themselves.

use std::time::Duration;

use tributary::desk::faq::{AnswerPolicy, AnswerTexts, Matcher};

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
