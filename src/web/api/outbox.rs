//! `/outbox`: what has not been sent, and what people want with it.

use axum::Json;
use axum::extract::State as Get;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State};
use super::access::{Agent, Reader};
use super::describe::Errors;
use super::page::{Cursor, Page, and_one, limit};
use super::read::{Body, Filters, Id, list};
use crate::model::{ChannelName, DeliveryId, DeliveryStatus, MessageId, TicketId};
use crate::store::{OutboxFilter, OutboxRow};

const LIST: &str = "outbox";

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list_outbox))
        .routes(routes!(retry_all))
        .routes(routes!(show_delivery))
        .routes(routes!(retry_delivery))
        .routes(routes!(cancel_delivery))
        .routes(routes!(hold_delivery))
        .routes(routes!(release_delivery))
}

/// Which deliveries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OutboxQuery {
    /// Any of these: `queued`, `sending`, `sent`, `delivered`, `read`, `unconfirmed`, `failed`, `bounced`,
    /// `held`, `cancelled`. Usual: all but `sent`, `delivered` and `read`.
    #[serde(default, deserialize_with = "list")]
    #[param(value_type = Vec<DeliveryStatus>, required = false)]
    status: Vec<DeliveryStatus>,
    /// Only this channel.
    #[param(value_type = Option<String>)]
    channel: Option<ChannelName>,
    /// Only of this ticket.
    ticket: Option<Uuid>,
    /// Only of this message.
    message: Option<Uuid>,
    /// Items of a page, 200 at most. Usual: 50.
    #[param(minimum = 1)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// One call to a service: a message, or a part of a long one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OutboxDelivery)]
struct OutboxView {
    /// Its id.
    id: Uuid,
    /// Where it stands.
    status: DeliveryStatus,
    /// Through which channel.
    channel: String,
    /// Of which ticket; none for what goes to other systems.
    ticket_id: Option<Uuid>,
    /// Of which message.
    message_id: Option<Uuid>,
    /// Which part of the message, from 0.
    part: i32,
    /// Whom to.
    to: String,
    /// Attempts begun.
    attempts: i32,
    /// When it is tried next, while it is queued.
    next_attempt_at: Option<DateTime<Utc>>,
    /// What went wrong last.
    error: Option<String>,
    /// The service's name for it.
    external_id: Option<String>,
    /// Written by a program.
    automated: bool,
    /// When it was queued.
    queued_at: DateTime<Utc>,
    /// When it last changed.
    updated_at: DateTime<Utc>,
}

impl From<OutboxRow> for OutboxView {
    fn from(row: OutboxRow) -> Self {
        Self {
            id: row.id.uuid(),
            status: row.status,
            channel: row.channel.to_string(),
            ticket_id: row.ticket.map(TicketId::uuid),
            message_id: row.message.map(MessageId::uuid),
            part: row.part,
            to: row.to,
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            error: row.error,
            external_id: row.external_id,
            automated: row.automated,
            queued_at: row.queued_at,
            updated_at: row.updated_at,
        }
    }
}

/// List the outbox
///
/// In the order of queueing: what needs somebody's time or eyes, unless other states are asked for.
#[utoipa::path(get, path = "/outbox", tag = "outbox", params(OutboxQuery),
    responses((status = 200, body = Page<OutboxView>), Errors))]
async fn list_outbox(
    Get(state): Get<State>,
    _: Reader,
    Filters(query): Filters<OutboxQuery>,
) -> Result<Json<Page<OutboxView>>, Problem> {
    let wanted = limit(query.limit)?;
    let after = query.cursor.as_deref().map(|cursor| Cursor::number(LIST, cursor)).transpose()?;
    let filter = OutboxFilter {
        status: query.status,
        channel: query.channel,
        ticket: query.ticket.map(Into::into),
        message: query.message.map(Into::into),
        after,
        limit: and_one(wanted),
    };
    let found = state.engine.store.outbox(&filter).await?;
    let page = Page::cut(found, wanted, |last| Cursor::new(LIST, [last.seq.to_string()]));
    let items = page.items.into_iter().map(OutboxView::from).collect();
    Ok(Json(Page { items, next_cursor: page.next_cursor }))
}

/// Show a delivery
#[utoipa::path(get, path = "/outbox/{id}", tag = "outbox", params(("id" = Uuid, Path)),
    responses((status = 200, body = OutboxView), Errors))]
async fn show_delivery(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
) -> Result<Json<OutboxView>, Problem> {
    let row = state.engine.store.delivery_row(delivery(&id)?).await?;
    Ok(Json(row.into()))
}

/// Try a delivery again, now
///
/// Also what failed, bounced or was cancelled. For an `unconfirmed` one this may be the customer's second
/// copy: whoever asks has decided that.
#[utoipa::path(post, path = "/outbox/{id}/retry", tag = "outbox", params(("id" = Uuid, Path)),
    responses((status = 200, body = OutboxView), Errors))]
async fn retry_delivery(
    Get(state): Get<State>,
    caller: Agent,
    id: Id,
) -> Result<Json<OutboxView>, Problem> {
    let (engine, now) = (&state.engine, state.engine.clock.now());
    let row = engine.store.retry_delivery(delivery(&id)?, caller.0.actor, now).await?;
    engine.wake_outbox(&row.channel);
    Ok(Json(row.into()))
}

/// Give a delivery up
#[utoipa::path(post, path = "/outbox/{id}/cancel", tag = "outbox", params(("id" = Uuid, Path)),
    responses((status = 200, body = OutboxView), Errors))]
async fn cancel_delivery(
    Get(state): Get<State>,
    caller: Agent,
    id: Id,
) -> Result<Json<OutboxView>, Problem> {
    let (engine, now) = (&state.engine, state.engine.clock.now());
    let row = engine.store.cancel_delivery(delivery(&id)?, caller.0.actor, now).await?;
    // Those behind it may go now.
    engine.wake_outbox(&row.channel);
    Ok(Json(row.into()))
}

/// Keep a queued delivery until it is released
#[utoipa::path(post, path = "/outbox/{id}/hold", tag = "outbox", params(("id" = Uuid, Path)),
    responses((status = 200, body = OutboxView), Errors))]
async fn hold_delivery(
    Get(state): Get<State>,
    caller: Agent,
    id: Id,
) -> Result<Json<OutboxView>, Problem> {
    let (engine, now) = (&state.engine, state.engine.clock.now());
    let row = engine.store.hold_delivery(delivery(&id)?, caller.0.actor, now).await?;
    engine.wake_outbox(&row.channel);
    Ok(Json(row.into()))
}

/// Let a held delivery go
#[utoipa::path(post, path = "/outbox/{id}/release", tag = "outbox", params(("id" = Uuid, Path)),
    responses((status = 200, body = OutboxView), Errors))]
async fn release_delivery(
    Get(state): Get<State>,
    caller: Agent,
    id: Id,
) -> Result<Json<OutboxView>, Problem> {
    let (engine, now) = (&state.engine, state.engine.clock.now());
    let row = engine.store.release_delivery(delivery(&id)?, caller.0.actor, now).await?;
    engine.wake_outbox(&row.channel);
    Ok(Json(row.into()))
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
struct Retried {
    /// Their number.
    retried: usize,
}

/// Try again whatever failed
///
/// In the order of queueing, as fast as the channel's limits allow: for when a service is back.
#[utoipa::path(post, path = "/outbox/retry", tag = "outbox", request_body = RetryWish,
    responses((status = 200, body = Retried), Errors))]
async fn retry_all(
    Get(state): Get<State>,
    caller: Agent,
    body: Body<RetryWish>,
) -> Result<Json<Retried>, Problem> {
    let (engine, now) = (&state.engine, state.engine.clock.now());
    let channel = body.value.channel;
    let retried = engine.store.retry_failed(channel.clone(), caller.0.actor, now).await?;
    let channels = channel.map_or_else(|| engine.channel_names(), |one| vec![one]);
    for name in channels {
        engine.wake_outbox(&name);
    }
    Ok(Json(Retried { retried }))
}

fn delivery(id: &Id) -> Result<DeliveryId, Problem> {
    id.of("delivery")
}
