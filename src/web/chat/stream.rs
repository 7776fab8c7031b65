//! What a conversation brings, as it comes: the core of socket and events, and the events themselves.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Query, State as Get};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde::Deserialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::hub::Ear;
use super::messages::{place, shown, standing};
use super::{Inside, Refusal};
use crate::store::Window;
use crate::web::State;

/// The look is the truth, the hub's word a hint.
const LOOK: Duration = Duration::from_secs(15);
/// A sign of life for proxies, which close lines that are silent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const PAGE: u64 = 100;

/// One thing for the client.
pub(super) enum News {
    /// A message, new or changed, and its place.
    Message(i64, Value),
    /// How things stand.
    State(Value),
}

/// A conversation being followed from a place on.
pub(super) struct Follow {
    state: State,
    inside: Inside,
    ear: Ear,
    pub(super) place: i64,
    told: Value,
    stop: CancellationToken,
}

impl Follow {
    pub(super) fn new(state: &State, inside: Inside, place: i64) -> Result<Self, Refusal> {
        let streams_max = inside.open.chat.rules().streams_max;
        let ear = state.hub.listen(&inside.guest, streams_max);
        let ear = ear.ok_or_else(|| Refusal::too_fast(Duration::from_secs(30)))?;
        let stop = state.engine.stopping();
        Ok(Self { state: state.clone(), inside, ear, place, told: Value::Null, stop })
    }

    pub(super) fn inside(&self) -> &Inside {
        &self.inside
    }

    /// Waits for something new. `None`: the stream ends. May be dropped at any point: the place moves only
    /// with what was handed out.
    pub(super) async fn next(&mut self) -> Option<Vec<News>> {
        loop {
            match self.look().await {
                Ok(news) if !news.is_empty() => return Some(news),
                Ok(_) => {}
                // The client comes again, with the place that it has reached.
                Err(_) => return None,
            }
            let stop = self.stop.clone();
            stop.run_until_cancelled(self.ear.news(LOOK)).await?;
            self.inside.still(&self.state).await.ok()?;
        }
    }

    async fn look(&mut self) -> Result<Vec<News>, Refusal> {
        let store = &self.state.engine.store;
        let page = store.chat_page(&self.inside.guest, Window::After(self.place), PAGE).await?;
        let told = standing(&self.state, &self.inside).await?;
        let mut news: Vec<News> = page
            .items
            .iter()
            .map(|item| News::Message(item.place, shown(&self.inside, item)))
            .collect();
        self.place = page.place;
        if told != self.told {
            self.told = told.clone();
            news.push(News::State(told));
        }
        Ok(news)
    }
}

/// Where to go on.
#[derive(Debug, Deserialize)]
pub(super) struct From {
    after: Option<String>,
}

/// The place to go on after: what was asked for, or now.
pub(super) async fn start(
    state: &State,
    inside: &Inside,
    after: Option<&str>,
) -> Result<i64, Refusal> {
    match after.filter(|after| !after.is_empty()) {
        Some(cursor) => place(state, inside, cursor).await,
        None => Ok(state.engine.store.feed_position().await?),
    }
}

/// `GET /chat/{channel}/events`: Server-Sent Events; `Last-Event-ID` or `?after=` goes on without a gap.
pub(super) async fn events(
    Get(state): Get<State>,
    inside: Inside,
    Query(from): Query<From>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let place = start(&state, &inside, last.or(from.after.as_deref())).await?;
    let follow = Follow::new(&state, inside, place)?;
    let events = stream::unfold((follow, Vec::new().into_iter()), |(mut follow, mut left)| async {
        loop {
            if let Some(news) = left.next() {
                return Some((Ok::<_, Infallible>(event(news)), (follow, left)));
            }
            left = follow.next().await?.into_iter();
        }
    });
    let alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = Sse::new(events).keep_alive(alive).into_response();
    // Proxies are not to gather the stream.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn event(news: News) -> Event {
    match news {
        News::Message(place, message) => {
            Event::default().id(place.to_string()).event("message").data(message.to_string())
        }
        News::State(state) => Event::default().event("state").data(state.to_string()),
    }
}
