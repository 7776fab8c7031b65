//! Typing, reading, judging, and the wish to be called.

use axum::Json;
use axum::extract::{Query, State as Get};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono_tz::Tz;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

use super::messages::{place, say};
use super::{Inside, Refusal, read_json};
use crate::channel::chat::{CallMe, Judgement, Said};
use crate::web::State;

/// How long a sign of typing holds without another.
const TYPING: chrono::Duration = chrono::Duration::seconds(8);
/// Times for a call that are offered at once: a few days of them.
const SLOTS_MAX: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typing {
    typing: Option<bool>,
}

/// `POST /chat/{channel}/typing`.
pub(super) async fn typing(
    Get(state): Get<State>,
    inside: Inside,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    note_typing(&state, &inside, &read_json(&body)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn note_typing(
    state: &State,
    inside: &Inside,
    signal: &Typing,
) -> Result<(), Refusal> {
    let key = ("typing", &inside.open.channel, inside.guest.visitor.as_str());
    state.rates.take(key, (40, Duration::from_secs(60))).map_err(Refusal::too_fast)?;
    let now = state.engine.clock.now();
    let until = if signal.typing.unwrap_or(true) { now + TYPING } else { now };
    Ok(state.engine.store.visitor_types(&inside.guest, until).await?)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Read {
    up_to: String,
    /// `read`, or only `delivered`.
    state: Option<String>,
}

/// `POST /chat/{channel}/read`: everything up to a place was read, or has at least arrived.
pub(super) async fn read(
    Get(state): Get<State>,
    inside: Inside,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    note_read(&state, &inside, &read_json(&body)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn note_read(
    state: &State,
    inside: &Inside,
    signal: &Read,
) -> Result<(), Refusal> {
    let (store, guest) = (&state.engine.store, &inside.guest);
    let key = ("receipts", &inside.open.channel, guest.visitor.as_str());
    state.rates.take(key, (120, Duration::from_secs(60))).map_err(Refusal::too_fast)?;
    let up_to = place(state, inside, &signal.up_to).await?.min(store.feed_position().await?);
    let read = match signal.state.as_deref() {
        None | Some("read") => true,
        Some("delivered") => false,
        Some(_) => return Err(Refusal::wrong("bad_state", "`state` is `read` or `delivered`")),
    };
    let deliveries = store.chat_unconfirmed(guest, up_to, read).await?;
    if !deliveries.is_empty() {
        let said = Said::Receipt { read, deliveries };
        let raw = inside.open.chat.raw(&inside.visitor, said, state.engine.clock.now())?;
        state.engine.take_raws(&inside.open.channel, vec![raw]).await?;
    }
    let known = store.visitor(guest).await?;
    if read && known.known && known.read < up_to {
        store.visitor_reads(guest, up_to).await?;
    }
    Ok(())
}

/// `POST /chat/{channel}/rating`: how they were served, in the conversation that they have.
pub(super) async fn rating(
    Get(state): Get<State>,
    inside: Inside,
    body: Bytes,
) -> Result<Response, Refusal> {
    let judgement: Judgement = read_json(&body)?;
    if state.engine.store.chat_status(&inside.guest).await?.is_none() {
        return Err(Refusal::wrong("no_conversation", "there is no conversation to judge yet"));
    }
    let said = say(&state, &inside, Said::Rating(judgement), None).await?;
    Ok((StatusCode::CREATED, Json(said)).into_response())
}

/// `POST /chat/{channel}/callback`: somebody wants to be called.
pub(super) async fn callback(
    Get(state): Get<State>,
    inside: Inside,
    body: Bytes,
) -> Result<Response, Refusal> {
    let wish: CallMe = read_json(&body)?;
    let said = say(&state, &inside, Said::Callback(wish), None).await?;
    Ok((StatusCode::CREATED, Json(said)).into_response())
}

/// For whom times are wanted.
#[derive(Deserialize)]
pub(super) struct Zone {
    time_zone: Option<String>,
}

/// `GET /chat/{channel}/callback`: times that can be asked for.
pub(super) async fn slots(Get(state): Get<State>, Query(wanted): Query<Zone>) -> Json<Value> {
    // A browser's word for its zone may be newer than our list: then only our own hours count.
    let zone = wanted.time_zone.and_then(|name| name.parse::<Tz>().ok());
    let now = state.engine.clock.now();
    Json(json!({ "slots": state.engine.callback_policy().slots(zone, now, SLOTS_MAX) }))
}
