//! An article: a Markdown file with front matter in TOML.
//!
//! ```text
//! +++
//! channels = ["web"]              # only there; left out: everywhere
//! follow_ups = ["fees"]           # articles to go on with
//! auto = false                    # only people send it; left out: it may go out by itself
//!
//! [questions]
//! en = ["How do I …?", "I cannot …"]
//! zh = ["怎么……"]
//! +++
//! # en: The title
//! The answer.
//!
//! # zh: 标题
//! 答案。
//! ```
//!
//! Headings of the first level divide the languages; within an answer use those of the second level.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::desk::language;
use crate::model::ChannelName;

/// Characters of an answer: one message of most services.
const ANSWER_CHARS_MAX: usize = 3500;
/// Between the front matter and the rest.
const FENCE: &str = "+++";

/// A known answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Article {
    /// Its name: the file's, without the ending.
    pub name: String,
    /// Where it may be used; empty: everywhere.
    pub channels: Vec<ChannelName>,
    /// Names of the articles to go on with.
    pub follow_ups: Vec<String>,
    /// May it go out by itself, where that is switched on?
    pub auto: bool,
    /// How customers ask, by language.
    pub questions: BTreeMap<String, Vec<String>>,
    /// What is answered, by language. Not empty.
    pub answers: BTreeMap<String, Answer>,
    /// On which line of the file each follow-up stands.
    follow_up_lines: Vec<usize>,
}

/// What is answered in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// One line that says what it is about.
    pub title: String,
    /// Markdown; most services show it as plain text.
    pub text: String,
}

/// What is wrong with an article.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// In the file, from 1.
    pub line: usize,
    /// What is wrong and what is expected.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Front {
    #[serde(default)]
    channels: Vec<Spanned<String>>,
    #[serde(default)]
    follow_ups: Vec<Spanned<String>>,
    #[serde(default = "yes")]
    auto: bool,
    questions: BTreeMap<Spanned<String>, Spanned<Vec<Spanned<String>>>>,
}

const fn yes() -> bool {
    true
}

impl Article {
    /// Reads the article `name`; every flaw at once.
    pub fn read(name: &str, text: &str) -> Result<Self, Vec<Flaw>> {
        let text = text.trim_start_matches('\u{feff}');
        let (head, body, body_line) = divide(text).map_err(|flaw| vec![flaw])?;
        let front: Front = toml::from_str(head).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            // The front matter begins behind the first fence.
            vec![Flaw { line: line_at(head, at) + 1, reason: error.message().to_owned() }]
        })?;
        let lines = |span: Range<usize>| line_at(head, span.start) + 1;
        let mut flaws = Vec::new();
        let channels = channels(&front.channels, lines, &mut flaws);
        let questions = questions(&front.questions, lines, &mut flaws);
        let answers = answers(body, body_line, &mut flaws);
        for (language, line) in &questions.1 {
            if !answers.contains_key(language) {
                let reason = format!("questions.{language}: there is no answer `# {language}: …`");
                flaws.push(Flaw { line: *line, reason });
            }
        }
        if !flaws.is_empty() {
            return Err(flaws);
        }
        Ok(Self {
            name: name.to_owned(),
            channels,
            auto: front.auto,
            follow_up_lines: front.follow_ups.iter().map(|one| lines(one.span())).collect(),
            follow_ups: front.follow_ups.into_iter().map(Spanned::into_inner).collect(),
            questions: questions.0,
            answers,
        })
    }

    /// The answer for somebody who reads `wanted`: in that language, else in one of its forms, else in
    /// English, else in the first. With the language's tag.
    #[must_use]
    pub fn answer(&self, wanted: Option<&str>) -> Option<(&str, &Answer)> {
        let same = |tag: &str| {
            wanted.is_some_and(|wanted| tag.split('-').next() == wanted.split('-').next())
        };
        let exact = |tag: &str| wanted.is_some_and(|wanted| language::serves(tag, wanted));
        let tags = || self.answers.iter();
        let found = tags()
            .find(|(tag, _)| exact(tag))
            .or_else(|| tags().find(|(tag, _)| same(tag)))
            .or_else(|| tags().find(|(tag, _)| *tag == "en"))
            .or_else(|| tags().next())?;
        Some((found.0, found.1))
    }

    /// The follow-ups that `is_known` knows nothing of.
    pub fn loose_ends(&self, is_known: impl Fn(&str) -> bool) -> Vec<Flaw> {
        let named = self.follow_ups.iter().zip(&self.follow_up_lines);
        let loose = named.filter(|(name, _)| !is_known(name)).map(|(name, line)| Flaw {
            line: *line,
            reason: format!("follow_ups: there is no article `{name}`"),
        });
        loose.collect()
    }

    /// May it be used there?
    #[must_use]
    pub fn serves(&self, channel: &ChannelName) -> bool {
        self.channels.is_empty() || self.channels.contains(channel)
    }

    /// May it go out there without a person?
    #[must_use]
    pub fn goes_by_itself(&self, channel: &ChannelName) -> bool {
        self.auto && self.serves(channel)
    }
}

/// Front matter, the rest, and the line on which the rest begins.
fn divide(text: &str) -> Result<(&str, &str, usize), Flaw> {
    let flaw = |line, reason: &str| Flaw { line, reason: reason.to_owned() };
    let mut at = 0;
    let mut front = None;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let fence = line.trim_end() == FENCE;
        if number == 0 && !fence {
            return Err(flaw(1, "expected `+++`, the beginning of the front matter"));
        }
        let next = at + line.len();
        match front {
            None => front = Some(next),
            Some(begin) if fence => {
                let parts = text.get(begin..at).zip(text.get(next..));
                if let Some((front, body)) = parts {
                    return Ok((front, body, number + 2));
                }
            }
            Some(_) => {}
        }
        at = next;
    }
    Err(flaw(1, "the front matter has no end: a line `+++`"))
}

/// The line of this byte, from 1.
fn line_at(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn channels(
    given: &[Spanned<String>],
    lines: impl Fn(Range<usize>) -> usize,
    flaws: &mut Vec<Flaw>,
) -> Vec<ChannelName> {
    let mut channels = Vec::new();
    for one in given {
        match one.get_ref().parse() {
            Ok(name) => channels.push(name),
            Err(error) => {
                let reason = format!("channels: {error}");
                flaws.push(Flaw { line: lines(one.span()), reason });
            }
        }
    }
    channels
}

type Questions = (BTreeMap<String, Vec<String>>, Vec<(String, usize)>);

/// The questions, and on which line each language stands.
fn questions(
    given: &BTreeMap<Spanned<String>, Spanned<Vec<Spanned<String>>>>,
    lines: impl Fn(Range<usize>) -> usize,
    flaws: &mut Vec<Flaw>,
) -> Questions {
    let mut found = Questions::default();
    if given.is_empty() {
        flaws.push(Flaw { line: 1, reason: "questions: expected at least one".to_owned() });
    }
    for (language, asked) in given {
        let line = lines(language.span());
        let key = language.get_ref();
        if asked.get_ref().is_empty() {
            let reason = format!("questions.{key}: expected at least one");
            flaws.push(Flaw { line, reason });
        }
        for one in asked.get_ref().iter().filter(|one| one.get_ref().trim().is_empty()) {
            let reason = format!("questions.{key}: an empty question matches nothing");
            flaws.push(Flaw { line: lines(one.span()), reason });
        }
        let asked = asked.get_ref().iter().map(|one| one.get_ref().clone()).collect();
        found.0.insert(key.clone(), asked);
        found.1.push((key.clone(), line));
    }
    found
}

/// The answers: what stands below `# <language>: <title>`.
fn answers(body: &str, first_line: usize, flaws: &mut Vec<Flaw>) -> BTreeMap<String, Answer> {
    let mut found: BTreeMap<String, (usize, Answer)> = BTreeMap::new();
    let mut now: Option<String> = None;
    for (number, line) in body.lines().enumerate() {
        let number = first_line + number;
        let flaw = |reason: String| Flaw { line: number, reason };
        if let Some(heading) = line.strip_prefix("# ") {
            now = None;
            match heading.split_once(':').map(|(tag, title)| (tag.trim(), title.trim())) {
                Some((tag, title)) if is_tag(tag) && !title.is_empty() => {
                    let answer = Answer { title: title.to_owned(), text: String::new() };
                    if found.insert(tag.to_owned(), (number, answer)).is_some() {
                        flaws.push(flaw(format!("a second answer in `{tag}`")));
                    }
                    now = Some(tag.to_owned());
                }
                _ => {
                    let reason = "expected a heading like `# en: The title`";
                    flaws.push(flaw(reason.to_owned()));
                }
            }
        } else if let Some((_, answer)) = now.as_ref().and_then(|tag| found.get_mut(tag)) {
            answer.text.push_str(line);
            answer.text.push('\n');
        } else if !line.trim().is_empty() && found.is_empty() {
            flaws.push(flaw("text before the first heading `# en: The title`".to_owned()));
        }
    }
    if found.is_empty() {
        let reason = "no answer: expected a heading like `# en: The title`".to_owned();
        flaws.push(Flaw { line: first_line, reason });
    }
    let finished = found.into_iter().map(|(tag, (line, mut answer))| {
        answer.text = answer.text.trim().to_owned();
        let long = answer.text.chars().count();
        if answer.text.is_empty() {
            flaws.push(Flaw { line, reason: format!("the answer in `{tag}` is empty") });
        } else if long > ANSWER_CHARS_MAX {
            let reason =
                format!("the answer in `{tag}` has {long} characters; at most {ANSWER_CHARS_MAX}");
            flaws.push(Flaw { line, reason });
        }
        (tag, answer)
    });
    finished.collect()
}

/// Looks like a language tag: `en`, `zh-Hant`.
fn is_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let primary = parts.next().unwrap_or_default();
    (2..=3).contains(&primary.len())
        && primary.chars().all(|c| c.is_ascii_lowercase())
        && parts.all(|part| (2..=8).contains(&part.len()) && part.is_ascii())
}
