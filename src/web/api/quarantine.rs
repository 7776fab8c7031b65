//! `/quarantine`: what came in and could not be understood.

use axum::Json;
use axum::extract::State as Get;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State};
use super::access::{Admin, Agent, Reader};
use super::describe::Errors;
use super::messages::shown_raw;
use super::page::{Cursor, Page, and_one, bad_cursor, limit};
use super::read::{Body, Filters, Id};
use crate::model::{ChannelName, RawId};
use crate::store::JournalRow;

const LIST: &str = "quarantine";
const WHAT: &str = "quarantined message";

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list_quarantine))
        .routes(routes!(retry_quarantine))
        .routes(routes!(show_quarantined, drop_quarantined))
        .routes(routes!(show_quarantined_raw))
        .routes(routes!(retry_quarantined))
}

/// Which page.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QuarantineQuery {
    /// Items of a page, 200 at most. Usual: 50.
    #[param(minimum = 1)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Something that came in and could not be understood.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantined)]
struct QuarantinedView {
    /// Its id.
    id: Uuid,
    /// By which channel it came.
    channel: String,
    /// `failed`; `pending` after it was asked to be tried again.
    state: String,
    /// Why it could not be understood.
    reason: Option<String>,
    /// How often that was tried.
    attempts: i32,
    /// Its size in bytes.
    size: i64,
    /// When it came.
    received_at: DateTime<Utc>,
    /// The ticket that was opened all the same, so that nobody waits unseen.
    ticket_id: Option<Uuid>,
}

impl From<JournalRow> for QuarantinedView {
    fn from(row: JournalRow) -> Self {
        Self {
            id: row.id.uuid(),
            channel: row.channel.to_string(),
            state: row.state,
            reason: row.reason,
            attempts: row.attempts,
            size: row.size,
            received_at: row.received_at,
            ticket_id: row.ticket,
        }
    }
}

/// List the quarantine
///
/// The newest first.
#[utoipa::path(get, path = "/quarantine", tag = "quarantine", params(QuarantineQuery),
    responses((status = 200, body = Page<QuarantinedView>), Errors))]
async fn list_quarantine(
    Get(state): Get<State>,
    _: Reader,
    Filters(query): Filters<QuarantineQuery>,
) -> Result<Json<Page<QuarantinedView>>, Problem> {
    let wanted = limit(query.limit)?;
    let before = query.cursor.as_deref().map(place).transpose()?;
    let found = state.engine.store.quarantine(before, and_one(wanted)).await?;
    let page = Page::cut(found, wanted, |last| Cursor::new(LIST, [last.id.to_string()]));
    let items = page.items.into_iter().map(QuarantinedView::from).collect();
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

fn place(cursor: &str) -> Result<RawId, Problem> {
    match Cursor::read(LIST, cursor)?.as_slice() {
        [id] => id.parse().map_err(|_| bad_cursor()),
        _ => Err(bad_cursor()),
    }
}

/// Show something in quarantine
#[utoipa::path(get, path = "/quarantine/{id}", tag = "quarantine", params(("id" = Uuid, Path)),
    responses((status = 200, body = QuarantinedView), Errors))]
async fn show_quarantined(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
) -> Result<Json<QuarantinedView>, Problem> {
    let (row, _) = state.engine.store.raw(id.of(WHAT)?).await?;
    in_quarantine(row).map(Json::from)
}

fn in_quarantine(row: JournalRow) -> Result<QuarantinedView, Problem> {
    let there = row.state == "failed";
    there.then(|| row.into()).ok_or_else(|| Problem::no_such(WHAT))
}

/// Show the bytes of something in quarantine
///
/// As they came; secrets that can be found in them are masked.
#[utoipa::path(get, path = "/quarantine/{id}/raw", tag = "quarantine", params(("id" = Uuid, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), Errors))]
async fn show_quarantined_raw(
    Get(state): Get<State>,
    _: Admin,
    id: Id,
) -> Result<Response, Problem> {
    let (row, view) = state.engine.raw_masked(id.of(WHAT)?, false).await?;
    in_quarantine(row)?;
    let bytes = shown_raw(view)?;
    // Whatever it is, no browser is to make a page of it.
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"raw\""),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'"),
    ];
    Ok((headers, bytes).into_response())
}

/// Try to understand it again
///
/// Now, in the background: when it is understood it is in its ticket, and no longer here.
#[utoipa::path(post, path = "/quarantine/{id}/retry", tag = "quarantine", params(("id" = Uuid, Path)),
    responses((status = 202, body = QuarantinedView), Errors))]
async fn retry_quarantined(
    Get(state): Get<State>,
    caller: Agent,
    id: Id,
) -> Result<(StatusCode, Json<QuarantinedView>), Problem> {
    let (engine, now) = (&state.engine, state.engine.clock.now());
    let row = engine.store.retry_raw(id.of(WHAT)?, caller.0.actor, now).await?;
    engine.wake_journal();
    Ok((StatusCode::ACCEPTED, Json(row.into())))
}

/// What is to be tried again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RetryWish {
    /// Only this channel; else all of them.
    #[schema(value_type = Option<String>)]
    channel: Option<ChannelName>,
}

/// How many are tried again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuarantineRetried)]
struct Retried {
    /// Their number.
    retried: u64,
}

/// Try to understand all of them again
///
/// In the background and a batch at a time: for after an upgrade that reads more.
#[utoipa::path(post, path = "/quarantine/retry", tag = "quarantine", request_body = RetryWish,
    responses((status = 202, body = Retried), Errors))]
async fn retry_quarantine(
    Get(state): Get<State>,
    caller: Agent,
    body: Body<RetryWish>,
) -> Result<(StatusCode, Json<Retried>), Problem> {
    let (engine, now) = (&state.engine, state.engine.clock.now());
    let retried = engine.store.retry_raws(body.value.channel, caller.0.actor, now).await?;
    engine.wake_journal();
    Ok((StatusCode::ACCEPTED, Json(Retried { retried })))
}

/// Give it up for good
///
/// Its bytes are destroyed. That it came, and who gave it up, stays on record.
#[utoipa::path(delete, path = "/quarantine/{id}", tag = "quarantine", params(("id" = Uuid, Path)),
    responses((status = 204), Errors))]
async fn drop_quarantined(
    Get(state): Get<State>,
    caller: Admin,
    id: Id,
) -> Result<StatusCode, Problem> {
    let (engine, now) = (&state.engine, state.engine.clock.now());
    engine.store.drop_raw(id.of(WHAT)?, caller.0.actor, now).await?;
    Ok(StatusCode::NO_CONTENT)
}
