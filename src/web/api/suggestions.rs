//! `/tickets/{id}/suggestions`: known answers that may fit what the customer wrote last.

use axum::Json;
use axum::extract::State as Get;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State};
use super::access::Reader;
use super::describe::Errors;
use super::page::Page;
use super::read::Id;
use crate::desk::faq::{Hit, Matcher};
use crate::model::ChannelName;

/// More would be a list to read, and no help.
const SHOWN_MAX: usize = 3;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list_suggestions))
}

/// A known answer that may fit.
#[derive(Debug, Serialize, ToSchema)]
struct Suggestion {
    /// The article's name.
    article: String,
    /// What it is about.
    title: String,
    /// The language that it is written in here: the customer's, if there is an answer in it.
    language: String,
    /// The answer, in Markdown.
    text: String,
    /// How well it fits, from 0 to 1.
    score: f32,
    /// Is it beyond doubt? At most the first one is.
    sure: bool,
    /// The message that it would answer.
    message_id: Uuid,
    /// What is asked next.
    follow_ups: Vec<FollowUp>,
}

/// An article to go on with.
#[derive(Debug, Serialize, ToSchema)]
struct FollowUp {
    /// The article's name.
    article: String,
    /// What it is about, in the language of the suggestion.
    title: String,
    /// The answer, in Markdown.
    text: String,
}

/// Suggest known answers
///
/// Those of the articles of `[faq]` that may fit the newest message of the customer, the best first: three
/// at most, none where nothing is near. In the customer's language where there is an answer in it.
#[utoipa::path(get, path = "/tickets/{id}/suggestions", tag = "tickets",
    params(("id" = String, Path, description = "id or number of the ticket")),
    responses((status = 200, body = Page<Suggestion>), Errors))]
async fn list_suggestions(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
) -> Result<Json<Page<Suggestion>>, Problem> {
    let store = &state.engine.store;
    let ticket = store.ticket(id.ticket()?).await?;
    let mut items = Vec::new();
    if let Some(message) = store.last_from_customer(ticket.id).await? {
        let known = state.engine.known_answers();
        let channel: Option<ChannelName> = ticket.channel.parse().ok();
        let language = message.language.or(ticket.language);
        let found = known.find(&message.text, SHOWN_MAX, |article| {
            channel.as_ref().is_some_and(|channel| article.serves(channel))
        });
        let shown = found
            .into_iter()
            .filter_map(|hit| suggestion(&known, hit, language.as_deref(), message.id));
        items.extend(shown);
    }
    Ok(Json(Page { items, next_cursor: None }))
}

fn suggestion(
    known: &Matcher,
    hit: Hit<'_>,
    wanted: Option<&str>,
    message_id: Uuid,
) -> Option<Suggestion> {
    let (language, answer) = hit.article.answer(wanted)?;
    let follow_ups = hit.article.follow_ups.iter().filter_map(|name| {
        let (_, next) = known.article(name)?.answer(Some(language))?;
        Some(FollowUp { article: name.clone(), title: next.title.clone(), text: next.text.clone() })
    });
    Some(Suggestion {
        article: hit.article.name.clone(),
        title: answer.title.clone(),
        language: language.to_owned(),
        text: answer.text.clone(),
        score: hit.score,
        sure: hit.sure,
        message_id,
        follow_ups: follow_ups.collect(),
    })
}
