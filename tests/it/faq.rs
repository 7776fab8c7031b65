//! Known answers: how articles are read, and which of them is found.

use std::sync::LazyLock;

use proptest::prelude::*;
use tributary::desk::faq::{Article, Matcher};

use crate::support::labelled::{Figures, labelled, starter_set};

const GOOD: &str = "+++\nchannels = [\"web\"]\nfollow_ups = [\"fees\"]\n[questions]\nen = [\"Where is it?\"]\n\
    zh = [\"在哪里？\"]\n+++\n\n# en: The place\n\nHere.\n\n## A part\nMore.\n\n# zh: 地方\n这里。\n";

fn flaws(text: &str) -> Vec<String> {
    let flaws = Article::read("a", text).expect_err("it has flaws");
    flaws.into_iter().map(|flaw| format!("{}: {}", flaw.line, flaw.reason)).collect()
}

#[test]
fn an_article_is_read_with_its_parts() {
    for text in [GOOD.to_owned(), GOOD.replace('\n', "\r\n"), format!("\u{feff}{GOOD}")] {
        let article = Article::read("where", &text).unwrap();
        assert_eq!(article.follow_ups, ["fees"]);
        assert_eq!(article.questions["zh"], ["在哪里？"]);
        assert_eq!(article.answers["en"].title, "The place");
        assert_eq!(article.answers["en"].text, "Here.\n\n## A part\nMore.");
        assert!(article.serves(&"web".parse().unwrap()));
        assert!(!article.serves(&"mail".parse().unwrap()));
    }
}

#[test]
fn an_answer_is_in_the_language_that_the_customer_reads() {
    let article = Article::read("where", GOOD).unwrap();
    for (wanted, given) in [
        (Some("zh-Hans"), "zh"),
        (Some("zh-Hant"), "zh"),
        (Some("en-GB"), "en"),
        (Some("fr"), "en"),
        (None, "en"),
    ] {
        assert_eq!(article.answer(wanted).unwrap().0, given, "{wanted:?}");
    }
    let both = GOOD.replace("# zh: 地方", "# zh-Hant: 地方\n這裡。\n# zh-Hans: 地方");
    let both = Article::read("where", &both.replace("zh = ", "zh-Hans = ")).unwrap();
    assert_eq!(both.answer(Some("zh-TW")).unwrap().0, "zh-Hant");
    assert_eq!(both.answer(Some("zh-Hans")).unwrap().0, "zh-Hans");
}

#[test]
fn every_flaw_of_an_article_is_told_with_its_line() {
    for (text, expected) in [
        ("", vec!["1: the front matter has no end: a line `+++`"]),
        ("# en: a\n", vec!["1: expected `+++`, the beginning of the front matter"]),
        ("+++\n[questions]\n", vec!["1: the front matter has no end: a line `+++`"]),
        (
            "+++\n[questions]\nen = []\n+++\n# en: a\nb\n",
            vec!["3: questions.en: expected at least one"],
        ),
        (
            "+++\n[questions]\nen = [\"a\"]\n+++\n",
            vec![
                "5: no answer: expected a heading like `# en: The title`",
                "3: questions.en: there is no answer `# en: …`",
            ],
        ),
        (
            "+++\nchannels = [\n  \"A B\"]\n[questions]\nen = [\"a\",\n  \"\"]\nzh = [\"b\"]\n+++\nx\n# Title\n# en: t\n",
            vec![
                "6: questions.en: an empty question matches nothing",
                "9: text before the first heading `# en: The title`",
                "10: expected a heading like `# en: The title`",
                "11: the answer in `en` is empty",
                "7: questions.zh: there is no answer `# zh: …`",
            ],
        ),
        (
            "+++\n[questions]\nen = [\"a\"]\n+++\n# en: t\nb\n# en: u\nc\n",
            vec!["7: a second answer in `en`"],
        ),
    ] {
        let found = flaws(text);
        let found: Vec<&str> =
            found.iter().map(String::as_str).filter(|flaw| !flaw.contains("channels: ")).collect();
        assert_eq!(found, expected, "{text}");
    }
    assert!(
        flaws("+++\nchannels = [\n  \"A B\"]\n[questions]\nen = [\"a\"]\n+++\n# en: t\nb\n")[0]
            .starts_with("3: channels: ")
    );
    assert!(
        flaws("+++\ncolour = 1\n[questions]\nen = [\"a\"]\n+++\n# en: t\nb\n")[0]
            .starts_with("2: unknown field `colour`")
    );
    let long = GOOD.replace("Here.", &"x".repeat(4000));
    assert!(
        flaws(&long)[0].starts_with("9: the answer in `en` has 4017 characters"),
        "{:?}",
        flaws(&long)
    );
    let article = Article::read("where", GOOD).unwrap();
    let loose = article.loose_ends(|name| name == "other");
    assert_eq!(
        (loose[0].line, loose[0].reason.as_str()),
        (3, "follow_ups: there is no article `fees`")
    );
}

#[test]
fn automatic_answers_of_the_starter_set_are_right_nineteen_times_in_twenty() {
    let matcher = starter_set();
    for language in ["en", "zh"] {
        let count = |part| labelled(language, part).len();
        assert!(count("tuning") + count("held_out") >= 150, "{language}");
        for question in labelled(language, "tuning").iter().chain(&labelled(language, "held_out")) {
            let known =
                question.article.as_deref().is_none_or(|name| matcher.article(name).is_some());
            assert!(known, "{:?} is no article", question.article);
        }
        let both = Figures::of(&matcher, &labelled(language, "tuning"))
            .and(Figures::of(&matcher, &labelled(language, "held_out")));
        assert!(both.precision() >= 0.95, "{language}: {both:?}");
    }
    let of = |language| Figures::of(&matcher, &labelled(language, "held_out"));
    let held_out = of("en").and(of("zh"));
    assert!(held_out.precision() >= 0.95, "{held_out:?}");
    // An answer that is never given is never wrong, and of no use.
    assert!(held_out.recall() >= 0.25 && held_out.suggested() >= 0.8, "{held_out:?}");
}

#[test]
fn every_article_of_the_starter_set_answers_its_own_questions_in_both_languages() {
    let matcher = starter_set();
    for article in matcher.articles() {
        assert_eq!(article.answers.keys().collect::<Vec<_>>(), ["en", "zh"], "{}", article.name);
        assert!(article.loose_ends(|name| matcher.article(name).is_some()).is_empty());
        for question in article.questions.values().flatten() {
            let hits = matcher.find(question, 3, |_| true);
            assert!(hits.iter().any(|hit| hit.article.name == article.name), "{question}");
        }
    }
}

#[test]
fn an_article_of_another_channel_is_not_found() {
    let matcher = Matcher::new(vec![Article::read("where", GOOD).unwrap()]);
    let at = |channel: &str| {
        let channel = channel.parse().unwrap();
        matcher.find("在哪里可以看到", 3, |article| article.serves(&channel)).len()
    };
    assert_eq!(at("mail"), 0);
    assert!(Matcher::default().find("anything at all", 3, |_| true).is_empty());
}

proptest! {
    #[test]
    fn whatever_is_written_the_scores_are_in_order_and_one_at_most_is_sure(
        text in r"(\PC|transfer |手续费|fees |助记词|[ \n])*", max in 0usize..5
    ) {
        static MATCHER: LazyLock<Matcher> = LazyLock::new(starter_set);
        let hits = MATCHER.find(&text, max, |_| true);
        prop_assert!(hits.len() <= max);
        prop_assert!(hits.iter().all(|hit| hit.score > 0.0 && hit.score <= 1.001));
        prop_assert!(hits.is_sorted_by(|one, other| one.score >= other.score));
        prop_assert!(hits.iter().skip(1).all(|hit| !hit.sure));
    }

    #[test]
    fn whatever_stands_in_an_article_it_is_read_or_its_flaws_are_told(
        text in r"(\+\+\+\n|# en: |questions|\[|\]|=|\n|\PC)*"
    ) {
        match Article::read("a", &text) {
            Ok(article) => prop_assert!(!article.answers.is_empty()),
            Err(flaws) => {
                let lines = text.lines().count() + 2;
                prop_assert!(!flaws.is_empty() && flaws.iter().all(|flaw| flaw.line >= 1 && flaw.line <= lines));
            }
        }
    }
}
