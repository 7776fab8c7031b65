//! `/events`: everything that happens, as Server-Sent Events.
//!
//! A stream is a cursor over the store: the next page is read when the client has taken the last one, so a
//! slow reader costs one page of memory and nothing else. The commits of this node are a hint to look; the
//! look now and then brings what other nodes wrote. `seq` is the commit order, so nothing is overtaken.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{FromRequestParts, State as Get};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream::{self, Stream};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{Problem, State};
use super::access::{self, Reader};
use super::describe::Errors;
use super::event::EventView;
use super::read::Filters;
use crate::store::RecordedEvent;

/// Events that are read from the store at once.
const PAGE: u64 = 100;
/// The poll is the truth: other nodes' commits give no hint.
const POLL: Duration = Duration::from_secs(1);
/// Many commits in a moment are looked at once.
const LOOK_APART: Duration = Duration::from_millis(20);
/// A comment keeps proxies from taking the line for dead; at the same time it is asked again whether the
/// caller may still listen.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What the client waits before it connects again.
const RETRY: Duration = Duration::from_secs(1);

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(stream_events))
}

/// From where on.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// Events after the one with this `seq`; 0 for all that ever happened. Usual: from now on.
    after: Option<i64>,
}

/// Follow everything that happens
///
/// Server-Sent Events in commit order: `id` is the event's `seq`, `event` its kind, `data` the `Event` in
/// JSON. Connect again with `Last-Event-ID` (browsers do that by themselves) and the stream goes on without
/// a gap and without a repetition. A line that takes nothing for a minute is cut.
#[utoipa::path(get, path = "/events", tag = "events",
    params(StreamQuery, ("Last-Event-ID" = Option<i64>, Header, description = "`id` of the last event seen")),
    responses((status = 200, body = EventView, content_type = "text/event-stream"), Errors))]
async fn stream_events(
    Get(state): Get<State>,
    _: Reader,
    Filters(query): Filters<StreamQuery>,
    LastEventId(last): LastEventId,
    Whole(parts): Whole,
) -> Result<Response, Problem> {
    let place = state.streams.clone().try_acquire_owned().map_err(|_| {
        let text = "too many streams are open on this node; try again later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", text)
    })?;
    let after = match last.or(query.after) {
        Some(after) => after,
        None => state.engine.store.last_event().await?,
    };
    let follower = Follower {
        changes: state.engine.store.changes(),
        state,
        parts,
        after,
        ready: VecDeque::from([hello(after)]),
        beat_at: Instant::now() + HEARTBEAT,
        _place: place,
    };
    let mut response = Sse::new(follower.stream()).into_response();
    // Proxies that collect answers would hold it back for ever.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Tells where the stream begins, so that whoever is cut before the first event goes on there too.
fn hello(after: i64) -> Event {
    Event::default().id(after.to_string()).retry(RETRY)
}

/// One open stream.
struct Follower {
    state: State,
    changes: watch::Receiver<u64>,
    /// The request, to ask again whether its token is still good.
    parts: Parts,
    /// The last event that was handed out.
    after: i64,
    ready: VecDeque<Event>,
    beat_at: Instant,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut follower| async move {
            let event = follower.next().await?;
            Some((Ok(event), follower))
        })
    }

    /// The next event or comment. `None`: the stream ends, and the client may come again.
    async fn next(&mut self) -> Option<Event> {
        let stopping = self.state.engine.stopping();
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // Marked before looking, so that nothing that comes meanwhile is overlooked.
            self.changes.mark_unchanged();
            if stopping.is_cancelled() {
                return None;
            }
            let found = self.state.engine.store.events_after(self.after, PAGE).await;
            let found = found.inspect_err(|error| {
                tracing::debug!(%error, "a stream of events ends: the store does not answer");
            });
            if self.take(found.ok()?) {
                continue;
            }
            if Instant::now() >= self.beat_at {
                self.beat_at = Instant::now() + HEARTBEAT;
                // A store that cannot answer ends the stream as well.
                access::principal(&self.state, &self.parts).await.ok()?;
                return Some(Event::default().comment(""));
            }
            let wait = async {
                tokio::time::sleep(LOOK_APART).await;
                let until = Instant::now() + POLL;
                let until = until.min(self.beat_at);
                drop(tokio::time::timeout_at(until, self.changes.changed()).await);
            };
            stopping.run_until_cancelled(wait).await?;
        }
    }

    /// Makes events ready. `false`: there were none.
    fn take(&mut self, found: Vec<RecordedEvent>) -> bool {
        for event in found {
            self.after = event.seq;
            if event.kind == "person.sign_in_failed" {
                // From where somebody tried to get in is for admins: `/audit`.
                continue;
            }
            let (id, kind) = (event.seq.to_string(), event.kind.clone());
            let data = serde_json::to_string(&EventView::from(event)).unwrap_or_default();
            self.ready.push_back(Event::default().id(id).event(kind).data(data));
        }
        !self.ready.is_empty()
    }
}

/// `Last-Event-ID`, where it was given.
struct LastEventId(Option<i64>);

impl FromRequestParts<State> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let Some(given) = parts.headers.get("last-event-id") else { return Ok(Self(None)) };
        let text = given.to_str().unwrap_or_default().trim();
        if text.is_empty() {
            return Ok(Self(None));
        }
        let number = text.parse().ok().filter(|number: &i64| *number >= 0);
        number.map(|number| Self(Some(number))).ok_or_else(|| {
            let text = "Last-Event-ID: the `id` of an event of this stream";
            Problem::new(StatusCode::BAD_REQUEST, "bad_last_event_id", text)
        })
    }
}

/// The head of the request.
struct Whole(Parts);

impl FromRequestParts<State> for Whole {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Infallible> {
        let mut kept = Request::new(()).into_parts().0;
        kept.method = parts.method.clone();
        kept.headers = parts.headers.clone();
        kept.extensions = parts.extensions.clone();
        Ok(Self(kept))
    }
}
