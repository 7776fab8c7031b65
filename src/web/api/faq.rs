//! `/faq`: the known answers, and how they do.

use axum::Json;
use axum::extract::State as Get;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{Problem, State};
use super::access::Reader;
use super::describe::Errors;
use super::page::Page;
use super::read::Filters;
use super::stats::{StatsQuery, span};
use crate::model::ChannelName;
use crate::store::{AnswerFigures, StatsFilter};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list_articles))
}

/// A known answer.
#[derive(Debug, Serialize, ToSchema)]
struct ArticleView {
    /// Its name.
    article: String,
    /// What it is about, in English, or in the first of its languages. `null`: it is no longer there.
    title: Option<String>,
    /// The languages that it is answered in.
    languages: Vec<String>,
    /// Where it may be used; empty: everywhere.
    #[schema(value_type = Vec<String>)]
    channels: Vec<ChannelName>,
    /// May it go out by itself? What the settings and the rules say comes on top of it.
    auto: bool,
    /// How often it did, and what came of it.
    #[serde(flatten)]
    figures: AnswerFigures,
}

/// List known answers
///
/// The articles of `[faq]` by name, with how often each went out by itself within a span of at most 366
/// days (usual: the last 30), and what came of it. Those that are no longer there, but went out then, are
/// listed too. All on one page.
#[utoipa::path(get, path = "/faq", tag = "stats", params(StatsQuery),
    responses((status = 200, body = Page<ArticleView>), Errors))]
async fn list_articles(
    Get(state): Get<State>,
    _: Reader,
    Filters(query): Filters<StatsQuery>,
) -> Result<Json<Page<ArticleView>>, Problem> {
    let (from, to) = span(&state, query.from, query.to)?;
    let filter = StatsFilter { from, to, channel: query.channel };
    let mut figures = state.engine.store.answer_figures(&filter).await?;
    let known = state.engine.known_answers();
    let articles = known.articles().iter().map(|article| ArticleView {
        article: article.name.clone(),
        title: article.answer(Some("en")).map(|(_, answer)| answer.title.clone()),
        languages: article.answers.keys().cloned().collect(),
        channels: article.channels.clone(),
        auto: article.auto,
        figures: figures.remove(&article.name).unwrap_or_default(),
    });
    let mut items: Vec<ArticleView> = articles.collect();
    items.extend(figures.into_iter().map(|(article, figures)| ArticleView {
        article,
        title: None,
        languages: Vec::new(),
        channels: Vec::new(),
        auto: false,
        figures,
    }));
    Ok(Json(Page { items, next_cursor: None }))
}
