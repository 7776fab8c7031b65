//! How often the known answers of `config/faq` are right with the labelled questions of `tests/fixtures/faq`,
//! and how long a question takes.
//!
//! `cargo bench --bench faq`

#![expect(clippy::print_stdout, reason = "a bench is a small program for a human")]
#![expect(clippy::unwrap_used, reason = "a bench that meets the unexpected has to fail")]
#![expect(unreachable_pub, reason = "the shared file belongs to the tests")]

#[path = "../tests/it/support/labelled.rs"]
mod labelled;

use std::hint::black_box;
use std::time::Instant;

use labelled::{Figures, labelled, starter_set};

fn main() {
    let matcher = starter_set();
    for part in ["tuning", "held_out"] {
        let of = |language| Figures::of(&matcher, &labelled(language, part));
        let (en, zh) = (of("en"), of("zh"));
        for (language, figures) in [("en", en), ("zh", zh), ("all", en.and(zh))] {
            println!(
                "{part:8} {language:3}: automatic precision {:.3} ({} wrong), recall {:.3}; first {} of {}, \
                 shown {:.3}; {} of {} without an article are shown one",
                figures.precision(),
                figures.wrong,
                figures.recall(),
                figures.first,
                figures.answerable,
                figures.suggested(),
                figures.others_shown,
                figures.others,
            );
        }
    }
    let questions = labelled("en", "tuning").into_iter().chain(labelled("zh", "tuning"));
    let questions: Vec<_> = questions.collect();
    let begun = Instant::now();
    for question in &questions {
        black_box(matcher.find(black_box(&question.text), 3, |_| true));
    }
    let each =
        begun.elapsed().as_secs_f64() * 1e6 / f64::from(u32::try_from(questions.len()).unwrap());
    println!("{each:.0} \u{b5}s a question among {} articles", matcher.articles().len());
}
