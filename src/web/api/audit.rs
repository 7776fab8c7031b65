//! `/audit`: who did what, newest first.

use axum::Json;
use axum::extract::State as Get;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State};
use super::access::Admin;
use super::describe::Errors;
use super::event::EventView;
use super::page::{Cursor, Page, and_one, limit};
use super::read::Filters;

const LIST: &str = "audit";

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(list_acts))
}

/// Whose acts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Only what this person or token did.
    actor: Option<Uuid>,
    /// Items of a page, 200 at most. Usual: 50.
    #[param(minimum = 1)]
    limit: Option<u32>,
    /// `next_cursor` of the page before, with the same `actor`.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// List who did what
///
/// What people and programs did, what was done with people and tokens, and what was erased, newest first.
#[utoipa::path(get, path = "/audit", tag = "people", params(AuditQuery),
    responses((status = 200, body = Page<EventView>), Errors))]
async fn list_acts(
    Get(state): Get<State>,
    _: Admin,
    Filters(query): Filters<AuditQuery>,
) -> Result<Json<Page<EventView>>, Problem> {
    let wanted = limit(query.limit)?;
    let before = query.cursor.as_deref().map(|cursor| Cursor::number(LIST, cursor)).transpose()?;
    let before = before.unwrap_or(i64::MAX);
    let found = state.engine.store.audit_trail(query.actor, before, and_one(wanted)).await?;
    let page = Page::cut(found, wanted, |event| Cursor::new(LIST, [event.seq.to_string()]));
    let items = page.items.into_iter().map(EventView::from).collect();
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}
