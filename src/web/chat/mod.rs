//! `/chat/{channel}/…`: visitors of a web chat, from the widget or from a native app.
//!
//! Knows no kind: a channel that has the part [`Chat`](crate::channel::Chat) is served here. Nothing is kept in memory but hints
//! and rates, so every node can serve every visitor, and a restart loses nothing.

mod attachments;
mod gate;
mod hub;
mod messages;
mod rates;
mod session;
mod signals;
mod socket;
mod sniff;
mod stream;
mod uploads;
mod widget;

use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tower_http::compression::CompressionLayer;

pub(super) use hub::Hub;
pub(super) use rates::Rates;

use super::{Problem, State};
use crate::channel::chat::{Unwelcome, Visitor};
use crate::channel::shared::json;
use crate::store::Guest;
use gate::Open;

/// Bytes of a request that is not a file: the longest text that a channel may allow, each of its characters written as
/// two escapes.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// All of it, and the widget's own files.
pub(super) fn routes(state: State) -> Router<State> {
    let files = Router::new()
        .route("/chat/{channel}/uploads", post(uploads::take))
        // Each channel has a limit of its own, which is checked while reading.
        .layer(DefaultBodyLimit::disable());
    let talk = Router::new()
        .route("/chat/{channel}/session", post(session::begin).delete(session::end))
        .route("/chat/{channel}/messages", post(messages::take).get(messages::list))
        .route("/chat/{channel}/attachments/{id}", get(attachments::give))
        .route("/chat/{channel}/typing", post(signals::typing))
        .route("/chat/{channel}/read", post(signals::read))
        .route("/chat/{channel}/rating", post(signals::rating))
        .route("/chat/{channel}/callback", post(signals::callback).get(signals::slots))
        .route("/chat/{channel}/settings", get(session::settings))
        .route("/chat/{channel}/events", get(stream::events))
        .route("/chat/{channel}/socket", get(socket::open))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(files)
        .layer(middleware::from_fn_with_state(state, gate::check));
    Router::new()
        .route("/chat/{channel}/demo", get(widget::demo))
        .route("/widget.js", get(widget::loader))
        .route("/widget/{version}/{file}", get(widget::file))
        .layer(CompressionLayer::new())
        .merge(talk)
}

/// Somebody with a token that is good now.
struct Inside {
    open: Open,
    visitor: Visitor,
    guest: Guest,
}

impl FromRequestParts<State> for Inside {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Refusal> {
        let open = parts.extensions.get::<Open>().cloned().ok_or_else(Refusal::nothing_here)?;
        let given = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = given.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
        });
        let Some(token) = token else {
            let why = "send the visitor's token as `Authorization: Bearer …`";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "no_token", why).into());
        };
        Self::with(state, open, token).await
    }
}

impl Inside {
    /// Checks a token: its signature, its end, and that nobody signed out since.
    async fn with(state: &State, open: Open, token: &str) -> Result<Self, Refusal> {
        let visitor = open.chat.visitor(token, state.engine.clock.now())?;
        let guest = Guest { channel: open.channel.clone(), visitor: visitor.id.clone() };
        let inside = Self { open, visitor, guest };
        inside.still(state).await?;
        Ok(inside)
    }

    /// Is the token still good? Asked again while a stream is open.
    async fn still(&self, state: &State) -> Result<(), Refusal> {
        let known = state.engine.store.visitor(&self.guest).await?;
        let void = known.tokens_after.is_some_and(|after| self.visitor.issued_at <= after);
        let over = self.visitor.expires_at <= state.engine.clock.now();
        if void || over {
            let why = "the token is over: begin a new session";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, "token_expired", why).into());
        }
        Ok(())
    }
}

/// Why not: a problem, and when to come again.
#[derive(Debug)]
struct Refusal {
    problem: Problem,
    retry_seconds: Option<u64>,
}

impl Refusal {
    fn nothing_here() -> Self {
        Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here").into()
    }

    fn too_fast(after: std::time::Duration) -> Self {
        let problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_fast",
            "too many at once; wait a little",
        );
        Self { problem, retry_seconds: Some(after.as_secs().max(1)) }
    }

    fn wrong(code: &'static str, why: impl Into<String>) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, why).into()
    }
}

impl<E: Into<Problem>> From<E> for Refusal {
    fn from(problem: E) -> Self {
        Self { problem: problem.into(), retry_seconds: None }
    }
}

impl From<Unwelcome> for Problem {
    fn from(why: Unwelcome) -> Self {
        match why {
            Unwelcome::Token(code, why) => Self::new(StatusCode::UNAUTHORIZED, code, why),
            Unwelcome::Wrong(code, why) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, why),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        if let Some(seconds) = self.retry_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// A body in JSON; none at all is an empty object. Half a character is no reason to refuse what a visitor wrote: programs
/// cut texts within an emoji, and would send the same again and again.
fn read_json<T: DeserializeOwned>(body: &Bytes) -> Result<T, Refusal> {
    let body: &[u8] = if body.is_empty() { b"{}" } else { body };
    // A list would be taken for the fields in the order in which we happen to have written them.
    let body = if body.trim_ascii_start().starts_with(b"[") { b"" } else { body };
    json::read(body).map_err(|_| {
        let why = "the body is not the JSON that is expected here";
        Problem::new(StatusCode::BAD_REQUEST, "bad_json", why).into()
    })
}
