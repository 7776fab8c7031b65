//! `GET /chat/{channel}/socket`: the same over a WebSocket, both ways.
//!
//! The first frame is `{"type": "hello", "token": …, "after": …}` (browsers cannot send headers here), or the
//! token comes as a header. Then the client sends `message`, `typing` and `read`; everything else is an
//! error with a code and nothing more.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Extension, FromRequestParts as _, Query, Request, State as Get};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::gate::Open;
use super::messages::{Wire, put};
use super::signals::{Read, Typing, note_read, note_typing};
use super::stream::{Follow, News, start};
use super::{BODY_BYTES_MAX, Inside, Refusal};
use crate::web::State;

/// How long a socket may stay silent before it says who it is.
const HELLO_MAX: Duration = Duration::from_secs(10);
/// A client that does not take a frame for so long is gone.
const SEND_MAX: Duration = Duration::from_secs(20);
/// A client that is told to go has so long to say good-bye.
const CLOSE_MAX: Duration = Duration::from_secs(2);
const PING: Duration = Duration::from_secs(25);
/// Frames of one socket.
const FRAMES: (u32, Duration) = (120, Duration::from_secs(60));
/// Mistakes that are forgiven.
const ERRORS_MAX: u32 = 20;

#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Frame {
    Hello(Hello),
    Message(Wire),
    Typing(Typing),
    Read(Read),
    Ping,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Hello {
    token: String,
    after: Option<String>,
}

/// Why a socket ends.
struct End(u16, &'static str);

const GONE: End = End(close_code::AWAY, "");

pub(super) async fn open(
    Get(state): Get<State>,
    Extension(open): Extension<Open>,
    Query(hello): Query<Hello>,
    upgrade: WebSocketUpgrade,
    request: Request,
) -> Result<Response, Refusal> {
    let inside = if request.headers().contains_key(header::AUTHORIZATION) {
        let (mut parts, _) = request.into_parts();
        Some(Inside::from_request_parts(&mut parts, &state).await?)
    } else {
        None
    };
    let upgrade = upgrade.max_message_size(BODY_BYTES_MAX).max_frame_size(BODY_BYTES_MAX);
    let after = hello.after;
    Ok(upgrade
        .on_upgrade(move |mut socket| async move {
            let End(code, reason) = serve(&mut socket, &state, open, inside, after).await;
            let frame = CloseFrame { code, reason: reason.into() };
            // It may be gone already.
            drop(tokio::time::timeout(SEND_MAX, socket.send(Message::Close(Some(frame)))).await);
            // A connection that is dropped with unread frames is reset, and the reason lost with it (RFC 6455,
            // section 7.1.1): what still comes is passed over until the client has closed, too.
            let rest = async { while let Some(Ok(_)) = socket.recv().await {} };
            drop(tokio::time::timeout(CLOSE_MAX, rest).await);
        })
        .into_response())
}

async fn serve(
    socket: &mut WebSocket,
    state: &State,
    open: Open,
    inside: Option<Inside>,
    after: Option<String>,
) -> End {
    let (inside, after) = match inside {
        Some(inside) => (inside, after),
        None => match greet(socket, state, open).await {
            Ok(known) => known,
            Err(end) => return end,
        },
    };
    let follow = match start(state, &inside, after.as_deref()).await {
        Ok(place) => Follow::new(state, inside, place),
        Err(refusal) => Err(refusal),
    };
    let mut follow = match follow {
        Ok(follow) => follow,
        Err(refusal) => {
            tell_error(socket, &refusal, None).await.ok();
            return End(close_code::POLICY, refusal.problem.code);
        }
    };
    let welcome = json!({ "type": "welcome", "cursor": follow.place.to_string() });
    match tell(socket, welcome).await {
        Ok(()) => talk(socket, state, &mut follow).await,
        Err(end) => end,
    }
}

/// The first frame says who it is.
async fn greet(
    socket: &mut WebSocket,
    state: &State,
    open: Open,
) -> Result<(Inside, Option<String>), End> {
    let first = tokio::time::timeout(HELLO_MAX, socket.recv()).await;
    let Ok(Some(Ok(Message::Text(text)))) = first else {
        return Err(End(close_code::POLICY, "no_token"));
    };
    let Ok(Frame::Hello(hello)) = serde_json::from_str::<Frame>(&text) else {
        return Err(End(close_code::POLICY, "no_token"));
    };
    match Inside::with(state, open, &hello.token).await {
        Ok(inside) => Ok((inside, hello.after)),
        Err(refusal) => {
            tell_error(socket, &refusal, None).await?;
            Err(End(close_code::POLICY, refusal.problem.code))
        }
    }
}

async fn talk(socket: &mut WebSocket, state: &State, follow: &mut Follow) -> End {
    let mut errors = 0;
    let mut ping = tokio::time::interval(PING);
    ping.reset();
    loop {
        tokio::select! {
            news = follow.next() => {
                let Some(news) = news else { return End(close_code::RESTART, "come again") };
                for one in news {
                    if let Err(end) = tell(socket, frame(one)).await {
                        return end;
                    }
                }
            }
            frame = socket.recv() => match hear(socket, state, follow.inside(), frame).await {
                Ok(true) => {}
                Ok(false) => {
                    errors += 1;
                    if errors > ERRORS_MAX {
                        return End(close_code::POLICY, "too_many_errors");
                    }
                }
                Err(end) => return end,
            },
            _ = ping.tick() => {
                let sent = tokio::time::timeout(SEND_MAX, socket.send(Message::Ping("".into())));
                if !matches!(sent.await, Ok(Ok(()))) {
                    return GONE;
                }
            }
        }
    }
}

/// One frame of the client. `Ok(false)`: it was a mistake.
async fn hear(
    socket: &mut WebSocket,
    state: &State,
    inside: &Inside,
    frame: Option<Result<Message, axum::Error>>,
) -> Result<bool, End> {
    let text = match frame {
        Some(Ok(Message::Text(text))) => text,
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(true),
        Some(Ok(Message::Binary(_))) => return Err(End(close_code::UNSUPPORTED, "text only")),
        Some(Ok(Message::Close(_))) | None => return Err(GONE),
        Some(Err(_)) => return Err(End(close_code::SIZE, "")),
    };
    let key = ("frames", &inside.open.channel, inside.guest.visitor.as_str());
    if state.rates.take(key, FRAMES).is_err() {
        return Err(End(close_code::POLICY, "too_fast"));
    }
    let Ok(frame) = serde_json::from_str::<Frame>(&text) else {
        tell(socket, json!({ "type": "error", "code": "bad_frame" })).await?;
        return Ok(false);
    };
    let client_id = match &frame {
        Frame::Message(wire) => Some(wire.client_id().to_owned()),
        Frame::Hello(_) | Frame::Typing(_) | Frame::Read(_) | Frame::Ping => None,
    };
    let done = match frame {
        Frame::Message(wire) => match put(state, inside, wire).await {
            Ok(message) => {
                let stored =
                    json!({ "type": "stored", "client_id": client_id, "message": message });
                tell(socket, stored).await?;
                Ok(())
            }
            Err(refusal) => Err(refusal),
        },
        Frame::Typing(signal) => note_typing(state, inside, &signal).await,
        Frame::Read(signal) => note_read(state, inside, &signal).await,
        Frame::Ping => return tell(socket, json!({ "type": "pong" })).await.map(|()| true),
        Frame::Hello(_) => Err(Refusal::wrong("bad_frame", "we have met")),
    };
    match done {
        Ok(()) => Ok(true),
        Err(refusal) => {
            tell_error(socket, &refusal, client_id).await?;
            Ok(false)
        }
    }
}

fn frame(news: News) -> Value {
    match news {
        News::Message(_, message) => json!({ "type": "message", "message": message }),
        News::State(state) => json!({ "type": "state", "state": state }),
    }
}

async fn tell_error(
    socket: &mut WebSocket,
    refusal: &Refusal,
    client_id: Option<String>,
) -> Result<(), End> {
    let error = json!({
        "type": "error",
        "code": refusal.problem.code,
        "detail": refusal.problem.detail,
        "client_id": client_id,
        "retry_after": refusal.retry_seconds,
    });
    tell(socket, error).await
}

/// A client that takes nothing does not hold us up for ever.
async fn tell(socket: &mut WebSocket, value: Value) -> Result<(), End> {
    let sent = socket.send(Message::Text(value.to_string().into()));
    match tokio::time::timeout(SEND_MAX, sent).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(GONE),
    }
}
