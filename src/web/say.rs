//! `/say/{token}`: the page behind the link in a known answer or a survey.
//!
//! Mail programs fetch links to look at them, so opening one says nothing: only what a button posts counts, and
//! once. Whoever has the link is the customer; it is good for that one question.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Form, Path, State as Get};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use super::form::{escape, page};
use super::{Problem, State};
use crate::desk::faq::{Answer, AnswerTexts, Article, FollowUp, Matcher, Reader, Said};
use crate::desk::survey::{SurveyTexts, scores};
use crate::desk::{Found, Safety, fill};
use crate::model::{Asked, ChannelName, TicketId};
use crate::store::{NextArticle, Question};

const BODY_BYTES_MAX: usize = 32 * 1024;
/// Longest remark, in characters.
const REMARK_CHARS_MAX: usize = 4000;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/say/{token}", get(show).post(say))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// What a page is about, and its words.
struct Asking {
    what: Words,
    ticket: TicketId,
    token: String,
    question: Question,
    open_days: u32,
    /// The article that they went on to, as it is written now.
    shown: Option<Answer>,
    /// What they can go on to by now.
    offers: Vec<FollowUp>,
}

enum Words {
    Helped(AnswerTexts),
    Score(SurveyTexts),
}

async fn asking(state: &State, token: String) -> Result<Asking, Problem> {
    let gone = || Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such page");
    let store = &state.engine.store;
    let read = store.links().and_then(|links| links.read(&token));
    let (asked, ticket) = read.ok_or_else(gone)?;
    let (triage, known) = (state.engine.triage(), state.engine.known_answers());
    let open_days = triage.surveys().open_days;
    let now = state.engine.clock.now();
    let question = store.question(asked, ticket, open_days, now).await?.ok_or_else(gone)?;
    let language = question.language.as_deref();
    let what = match asked {
        Asked::Helped => known.policy().texts(language).cloned().map(Words::Helped),
        Asked::Score => triage.surveys().texts(language).cloned().map(Words::Score),
    };
    let what = what.ok_or_else(gone)?;
    let (shown, offers) = (None, Vec::new());
    let mut asking = Asking { what, ticket, token, question, open_days, shown, offers };
    asking.look_up(&known);
    Ok(asking)
}

/// What the customer went on to on the page or by a message: with the first answer they have it before them. What the
/// admin took back since is shown to nobody.
fn shown(known: &Matcher, question: &Question) -> Option<Answer> {
    let [_, .., last] = question.articles.as_slice() else { return None };
    let channel = question.channel.parse().ok()?;
    let article = known.article(last).filter(|article| article.goes_by_itself(&channel))?;
    let (_, answer) = article.answer(question.language.as_deref())?;
    Some(answer.clone())
}

/// The page. Says nothing, however often it is fetched.
async fn show(Get(state): Get<State>, Path(token): Path<String>) -> Result<Response, Problem> {
    let asking = asking(&state, token).await?;
    Ok(match &asking.what {
        Words::Helped(texts) => asking.helped(texts, None),
        Words::Score(texts) => asking.score(texts, None),
    })
}

#[derive(Deserialize)]
struct Given {
    said: Option<String>,
    next: Option<String>,
    score: Option<u8>,
    remark: Option<String>,
}

/// What a button posts.
async fn say(
    Get(state): Get<State>,
    Path(token): Path<String>,
    Form(given): Form<Given>,
) -> Result<Response, Problem> {
    let mut asking = asking(&state, token).await?;
    let (store, now) = (&state.engine.store, state.engine.clock.now());
    let bad = || Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "press a button");
    match &asking.what {
        Words::Helped(texts) if given.next.is_some() => {
            let texts = texts.clone();
            asking.follow(&state, given.next.as_deref().unwrap_or_default()).await?;
            Ok(asking.helped(&texts, None))
        }
        Words::Helped(texts) => {
            let said = match given.said.as_deref() {
                Some("yes") => Said::Helped,
                Some("no") => Said::Person,
                _ => return Err(bad()),
            };
            if store.answer_by_link(asking.ticket, said, now).await? {
                return Ok(asking.helped(texts, Some(said)));
            }
            // Nothing new, or too late: the page promises only what was noted before.
            let days = asking.open_days;
            let after = store.question(Asked::Helped, asking.ticket, days, now).await?;
            if let Some(after) = after {
                asking.question = after;
            }
            let known = asking.question.said.filter(|known| *known == said);
            Ok(asking.helped(texts, known))
        }
        Words::Score(texts) => {
            let remark = given.remark.unwrap_or_default().trim().replace('\0', "");
            let remark: String = remark.chars().take(REMARK_CHARS_MAX).collect();
            if given.score.is_some_and(|score| !(1..=5).contains(&score))
                || (given.score.is_none() && remark.is_empty())
            {
                return Err(bad());
            }
            let (days, triage) = (asking.open_days, state.engine.triage());
            let judgement = (given.score, remark);
            let found = store.judge_by_link(asking.ticket, judgement, &triage, now).await?;
            let after = store.question(Asked::Score, asking.ticket, days, now).await?;
            if let Some(after) = after {
                asking.question = after;
            }
            let advice = asking.advice(&store.safety(), &found);
            Ok(asking.score(texts, advice.as_deref()))
        }
    }
}

impl Asking {
    fn language(&self) -> &str {
        self.question.language.as_deref().unwrap_or("en")
    }

    /// Goes on to an article that is offered here. What is not, or no longer, changes nothing.
    async fn follow(&mut self, state: &State, article: &str) -> Result<(), Problem> {
        let (store, now) = (&state.engine.store, state.engine.clock.now());
        let known = state.engine.known_answers();
        if let Some(next) = self.next(&known, known.article(article)) {
            store.follow_by_link(self.ticket, next, now).await?;
        }
        let after = store.question(Asked::Helped, self.ticket, self.open_days, now).await?;
        if let Some(after) = after {
            self.question = after;
            self.look_up(&known);
        }
        Ok(())
    }

    /// Articles as they are now: some of those that were offered may have been taken back.
    fn look_up(&mut self, known: &Matcher) {
        self.shown = shown(known, &self.question);
        let offered = self.question.follow_ups.iter();
        let live = offered.filter(|one| self.next(known, known.article(&one.article)).is_some());
        self.offers = live.cloned().collect();
    }

    fn next(&self, known: &Matcher, article: Option<&Article>) -> Option<NextArticle> {
        let before: Vec<&str> = self.question.articles.iter().map(String::as_str).collect();
        let channel: ChannelName = self.question.channel.parse().ok()?;
        let article = article.filter(|article| article.goes_by_itself(&channel))?;
        let (language, _) = article.answer(self.question.language.as_deref())?;
        let reader = Reader { language, channel: &channel, buttons: None, before: &before };
        Some(NextArticle {
            after: (*before.last()?).to_owned(),
            article: article.name.clone(),
            language: language.to_owned(),
            follow_ups: known.follow_ups(article, &reader),
            wait: chrono::Duration::from_std(known.policy().wait).ok()?,
        })
    }

    fn form(&self, fields: &str) -> String {
        format!("<form method=\"post\" action=\"/say/{}\">{fields}</form>", escape(&self.token))
    }

    /// `said`: what was pressed just now.
    fn helped(&self, texts: &AnswerTexts, said: Option<Said>) -> Response {
        let button = |value: &str, label: &str| {
            let label = escape(label);
            format!("<button class=\"wide\" name=\"said\" value=\"{value}\">{label}</button>")
        };
        let body = match said {
            Some(Said::Helped) => format!("<h1>✓ {}</h1>", escape(&texts.yes)),
            Some(Said::Person | Said::Other) => {
                let (no, person) = (escape(&texts.no), escape(&texts.person));
                format!("<h1>✓ {no}</h1><p class=\"said\">{person}</p>")
            }
            None if self.question.open => {
                let mut buttons = button("yes", &texts.yes) + &button("no", &texts.no);
                for one in &self.offers {
                    let (name, label) = (escape(&one.article), escape(&one.label));
                    buttons.push_str(&format!(
                        "<button class=\"wide\" name=\"next\" value=\"{name}\">{label}</button>"
                    ));
                }
                let (asked, form) = (escape(&texts.question), self.form(&buttons));
                match &self.shown {
                    Some(answer) => {
                        let (title, text) = (escape(&answer.title), escape(&answer.text));
                        format!(
                            "<h1>{title}</h1><p class=\"said\">{text}</p><h2>{asked}</h2>{form}"
                        )
                    }
                    None => format!("<h1>{asked}</h1>{form}"),
                }
            }
            None => format!("<h1>{}</h1><p>✓</p>", escape(&texts.question)),
        };
        page(StatusCode::OK, self.language(), &texts.question, &body)
    }

    /// What whoever sent a secret is told to do now.
    fn advice(&self, safety: &Safety, found: &Found) -> Option<String> {
        if found.is_empty() {
            return None;
        }
        let question = &self.question;
        let advice = safety.advice(question.language.as_deref(), found)?;
        Some(fill(advice, question.number, &question.subject, ""))
    }

    /// `advice`: on a secret that was in the remark.
    fn score(&self, texts: &SurveyTexts, advice: Option<&str>) -> Response {
        let question = fill(&texts.question, self.question.number, &self.question.subject, "");
        let mut body = format!("<h1>{}</h1>", escape(&question));
        if let Some(advice) = advice {
            body.push_str(&format!("<p class=\"said\">{}</p>", escape(advice)));
        }
        let stars = |(score, label): (usize, &str)| {
            format!("<button class=\"wide\" name=\"score\" value=\"{score}\">{label}</button>")
        };
        let choices = scores();
        let labels = || choices.iter().map(|choice| choice.label.as_str());
        match self.question.score {
            Some(score) => {
                let given = labels().nth(usize::from(score).saturating_sub(1)).unwrap_or_default();
                body.push_str(&format!("<p>✓ {given}</p>"));
                if self.question.open && !self.question.remarked && !texts.thanks.is_empty() {
                    let field = format!(
                        "<label>{}<textarea name=\"remark\" rows=\"4\" \
                         maxlength=\"{REMARK_CHARS_MAX}\" required></textarea></label>\
                         <button>✓</button>",
                        escape(&texts.thanks)
                    );
                    body.push_str(&self.form(&field));
                }
            }
            None if self.question.open => {
                let buttons: String = (1..).zip(labels()).map(stars).collect();
                body.push_str(&self.form(&buttons));
            }
            None => body.push_str("<p>✓</p>"),
        }
        page(StatusCode::OK, self.language(), &question, &body)
    }
}
