//! The labelled questions of `tests/fixtures/faq`, and how the known answers of `config/faq` fare with them.
//! The tests and the benchmark measure with the same code.

use std::fs;
use std::path::Path;

use tributary::desk::faq::{Article, Matcher};

/// The starter set.
pub fn starter_set() -> Matcher {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/faq");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let articles = paths.iter().map(|path| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        Article::read(name, &fs::read_to_string(path).unwrap()).unwrap()
    });
    Matcher::new(articles.collect())
}

/// What a customer wrote, and which article answers it.
pub struct Labelled {
    pub article: Option<String>,
    pub text: String,
}

/// `language`: `en`, `zh`; `part`: `tuning`, `held_out`.
pub fn labelled(language: &str, part: &str) -> Vec<Labelled> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/fixtures/faq/{language}.{part}.txt"));
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let read = lines.map(|line| {
        let (article, text) = line.split_once(" | ").unwrap();
        let article = Some(article.to_owned()).filter(|article| article != "-");
        Labelled { article, text: text.to_owned() }
    });
    read.collect()
}

/// What came of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Questions that an article answers.
    pub answerable: u32,
    /// Of these: the right article was sure, the first, among those shown.
    pub answered: u32,
    pub first: u32,
    pub among: u32,
    /// Sure, and wrong.
    pub wrong: u32,
    /// Others, and how many of them were shown an article nevertheless.
    pub others: u32,
    pub others_shown: u32,
}

impl Figures {
    pub fn of(matcher: &Matcher, questions: &[Labelled]) -> Self {
        let mut figures = Self::default();
        for Labelled { article, text } in questions {
            let hits = matcher.find(text, 3, |_| true);
            let is_right = |name: &str| article.as_deref() == Some(name);
            let first = hits.first().is_some_and(|hit| is_right(&hit.article.name));
            let sure = hits.first().is_some_and(|hit| hit.sure);
            figures.wrong += u32::from(sure && !first);
            if article.is_none() {
                figures.others += 1;
                figures.others_shown += u32::from(!hits.is_empty());
                continue;
            }
            figures.answerable += 1;
            figures.answered += u32::from(sure && first);
            figures.first += u32::from(first);
            figures.among += u32::from(hits.iter().any(|hit| is_right(&hit.article.name)));
        }
        figures
    }

    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            answerable: self.answerable + other.answerable,
            answered: self.answered + other.answered,
            first: self.first + other.first,
            among: self.among + other.among,
            wrong: self.wrong + other.wrong,
            others: self.others + other.others,
            others_shown: self.others_shown + other.others_shown,
        }
    }

    /// Of the answers that were sure, the part that was right.
    pub fn precision(&self) -> f64 {
        part(self.answered, self.answered + self.wrong)
    }

    /// Of the questions that an article answers, the part where it was sure.
    pub fn recall(&self) -> f64 {
        part(self.answered, self.answerable)
    }

    /// Of the questions that an article answers, the part where agents are shown it.
    pub fn suggested(&self) -> f64 {
        part(self.among, self.answerable)
    }
}

fn part(of: u32, all: u32) -> f64 {
    f64::from(of) / f64::from(all.max(1))
}
