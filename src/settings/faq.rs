//! `[faq]`: the folder of the known answers, and what is in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Found;
use super::fault::{Fault, Place};
use crate::desk::faq::{AnswerPolicy, AnswerTexts, Article, Flaw};

/// `[faq]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaqSection {
    /// The folder with the articles, `*.md`; relative to the file that says so. Default: no known answers.
    pub dir: Option<PathBuf>,
    /// What becomes of an article that surely fits the first words of a ticket.
    pub answer: Answering,
    /// Hours without a word of the customer after which a human looks at the ticket.
    #[schemars(range(min = 1, max = 720))]
    pub wait_hours: u64,
    /// Answers that go out by themselves on one channel within an hour.
    #[schemars(range(min = 1, max = 100_000))]
    pub per_hour_max: u32,
    /// What stands below an answer that goes out by itself, by language.
    pub texts: BTreeMap<String, AnswerTexts>,
}

/// What becomes of an article that surely fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answering {
    /// Agents are shown it.
    Suggest,
    /// It goes to the customer.
    Auto,
}

/// The shortest labels that a service takes.
const LABEL_CHARS_MAX: usize = 20;

impl FaqSection {
    /// What no type can say.
    pub(super) fn check(&self) -> Result<(), Found> {
        let fault = |key: &str, reason: &str| {
            Err(Found { path: format!("faq.{key}"), reason: reason.to_owned() })
        };
        if !(1..=720).contains(&self.wait_hours) {
            return fault("wait_hours", "must be from 1 to 720");
        }
        if !(1..=100_000).contains(&self.per_hour_max) {
            return fault("per_hour_max", "must be from 1 to 100000");
        }
        if self.answer == Answering::Auto && self.texts.is_empty() {
            return fault("texts", "expected the texts of one language at least");
        }
        for (language, texts) in &self.texts {
            let label = |label: &str| (1..=LABEL_CHARS_MAX).contains(&label.trim().chars().count());
            for (key, given) in [("yes", &texts.yes), ("no", &texts.no)] {
                if !label(given) {
                    let reason = "expected a label of 1 to 20 characters";
                    return fault(&format!("texts.{language}.{key}"), reason);
                }
            }
            if texts.question.trim().is_empty() {
                return fault(&format!("texts.{language}.question"), "expected a question");
            }
        }
        Ok(())
    }

    /// The same for the desk.
    pub(super) fn policy(&self) -> AnswerPolicy {
        AnswerPolicy {
            auto: self.answer == Answering::Auto,
            wait: Duration::from_secs(self.wait_hours.saturating_mul(3600)),
            per_hour_max: self.per_hour_max,
            texts: self.texts.clone(),
        }
    }
}

/// Reads all articles of a folder, in the order of their names; every flaw of every article is a fault with
/// its file and line. `named_at`: where the settings name the folder.
pub(super) fn read(dir: &Path, named_at: &Place) -> (Vec<Article>, Vec<Fault>) {
    let paths = match paths(dir) {
        Ok(paths) => paths,
        Err(error) => {
            let reason = format!("{} cannot be read: {error}", dir.display());
            let key = "faq.dir".to_owned();
            return (Vec::new(), vec![Fault { place: named_at.clone(), key, reason }]);
        }
    };
    let (mut articles, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        match article(&path) {
            Ok(article) => articles.push((path, article)),
            Err(flaws) => faults.extend(flaws.into_iter().map(|flaw| fault(&path, flaw))),
        }
    }
    // An article that cannot be read is there all the same.
    let is_known = |name: &str| dir.join(format!("{name}.md")).is_file();
    for (path, article) in &articles {
        let loose = article.loose_ends(is_known);
        faults.extend(loose.into_iter().map(|flaw| fault(path, flaw)));
    }
    (articles.into_iter().map(|(_, article)| article).collect(), faults)
}

fn paths(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "md") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn article(path: &Path) -> Result<Article, Vec<Flaw>> {
    let flaw = |reason: String| vec![Flaw { line: 0, reason }];
    let name = path.file_stem().and_then(|name| name.to_str()).filter(|name| {
        name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_')
    });
    let name = name.ok_or_else(|| {
        flaw("an article's name is made of the letters a-z, digits, `-` and `_`".to_owned())
    })?;
    let text = fs::read_to_string(path);
    Article::read(name, &text.map_err(|error| flaw(format!("cannot be read: {error}")))?)
}

fn fault(path: &Path, Flaw { line, reason }: Flaw) -> Fault {
    let place = Place::File { path: path.to_owned(), line, column: 1 };
    Fault { place, key: String::new(), reason }
}
