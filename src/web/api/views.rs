//! `/views`, `/tickets/counts`: lists of tickets that somebody keeps for themselves, and how many tickets lists have.

use axum::Json;
use axum::extract::State as Get;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{Problem, State};
use super::access::Reader;
use super::account::person;
use super::check::line;
use super::describe::Errors;
use super::page::Page;
use super::read::{Body, Id, Kept, query};
use super::tickets::{TicketQuery, filter_of};
use crate::store::SavedView;

/// Characters of a name.
const NAME_CHARS_MAX: usize = 60;
/// Bytes of a query.
const QUERY_BYTES_MAX: usize = 2000;
/// Lists that are counted at once.
const QUERIES_MAX: usize = 100;
/// More are not counted: nobody reads the difference.
const COUNT_MAX: u64 = 1000;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list_views, save_view))
        .routes(routes!(forget_view))
        .routes(routes!(count_tickets))
}

/// List one's own views
///
/// Lists of tickets that whoever is signed in keeps for themselves, in the order in which they were saved.
#[utoipa::path(get, path = "/views", tag = "people",
    responses((status = 200, body = Page<SavedView>), Errors))]
async fn list_views(
    Get(state): Get<State>,
    caller: Reader,
) -> Result<Json<Page<SavedView>>, Problem> {
    let items = state.engine.store.saved_views(person(&caller.0)?).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// A list to keep.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "Fees", "query": "status=open&tag=fees&sort=-updated_at" }))]
struct NewView {
    /// What to call it, in 60 characters at most. One with the same name is replaced.
    name: String,
    /// The query of `GET /tickets`, without limit and cursor.
    query: String,
}

/// Save a view
#[utoipa::path(post, path = "/views", tag = "people", request_body = NewView,
    responses((status = 201, body = SavedView), Errors))]
async fn save_view(
    Get(state): Get<State>,
    caller: Reader,
    Kept(Body { value, .. }): Kept<NewView>,
) -> Result<(StatusCode, Json<SavedView>), Problem> {
    let who = person(&caller.0)?;
    let name = line("name", &value.name, NAME_CHARS_MAX)?;
    let wanted = wanted("query", &value.query)?;
    if wanted.goes_on() {
        return Err(Problem::invalid("query", "query: without `limit` and `cursor`"));
    }
    filter_of(&state, &caller.0, wanted).await?;
    let saved = state.engine.store.save_view(who, &name, value.query.trim()).await?;
    Ok((StatusCode::CREATED, Json(saved)))
}

/// Forget a view
#[utoipa::path(delete, path = "/views/{id}", tag = "people",
    params(("id" = String, Path, description = "its id")), responses((status = 204), Errors))]
async fn forget_view(
    Get(state): Get<State>,
    caller: Reader,
    id: Id,
) -> Result<StatusCode, Problem> {
    let who = person(&caller.0)?;
    state.engine.store.forget_view(who, id.of("view")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The query of a list of tickets, in a body.
fn wanted(field: &str, text: &str) -> Result<TicketQuery, Problem> {
    if text.len() > QUERY_BYTES_MAX {
        let detail = format!("{field}: {QUERY_BYTES_MAX} bytes at most");
        return Err(Problem::invalid(field, detail));
    }
    query(text.trim()).map_err(|bad| Problem::invalid(field, format!("{field}: {}", bad.detail)))
}

/// Lists to count.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "queries": ["status=open&assignee=me", "status=open&assignee=none"] }))]
struct Queries {
    /// Queries of `GET /tickets`, 100 at most; order and limit do not matter.
    queries: Vec<String>,
}

/// How many tickets lists have.
#[derive(Debug, Serialize, ToSchema)]
struct Counts {
    /// For each query, in its order.
    items: Vec<Count>,
}

/// How many tickets a list has.
#[derive(Debug, Serialize, ToSchema)]
struct Count {
    /// How many, 1000 at most.
    count: u64,
    /// Are there more?
    more: bool,
}

/// Count tickets
///
/// How many tickets each of several lists has, in one go. Changes nothing.
#[utoipa::path(post, path = "/tickets/counts", tag = "tickets", request_body = Queries,
    responses((status = 200, body = Counts), Errors))]
async fn count_tickets(
    Get(state): Get<State>,
    caller: Reader,
    Body { value, .. }: Body<Queries>,
) -> Result<Json<Counts>, Problem> {
    if value.queries.len() > QUERIES_MAX {
        let detail = format!("queries: {QUERIES_MAX} at most");
        return Err(Problem::invalid("queries", detail));
    }
    let mut filters = Vec::with_capacity(value.queries.len());
    for (place, text) in value.queries.iter().enumerate() {
        filters
            .push(filter_of(&state, &caller.0, wanted(&format!("queries[{place}]"), text)?).await?);
    }
    let known: Vec<_> = filters.iter().flatten().cloned().collect();
    let mut counted = state.engine.store.tickets_in(&known, COUNT_MAX + 1).await?.into_iter();
    // Whoever is not there has no tickets.
    let items = filters.iter().map(|filter| {
        let found = filter.as_ref().and_then(|_| counted.next()).unwrap_or_default();
        Count { count: found.min(COUNT_MAX), more: found > COUNT_MAX }
    });
    Ok(Json(Counts { items: items.collect() }))
}
