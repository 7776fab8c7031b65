//! What a visitor writes and reads.

use std::time::Duration;

use axum::Json;
use axum::extract::{Query, State as Get};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Inside, Refusal, read_json};
use crate::channel::chat::{Form, Said, SentFile, Words};
use crate::engine::failpoint;
use crate::model::RawId;
use crate::store::{ChatItem, ChatPage, StoreError, Window};
use crate::web::State;

/// How long an answer waits until what was written can also be read. It is durable before.
const READABLE_MAX: Duration = Duration::from_secs(3);
const LIMIT: u64 = 50;
const LIMIT_MAX: u64 = 200;

/// A message as clients send it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wire {
    client_id: String,
    text: String,
    attachments: Vec<String>,
    #[serde(flatten)]
    form: Form,
}

impl Wire {
    /// The client's own name for it.
    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }
}

/// `POST /chat/{channel}/messages`: 201 once it is durable; the same `client_id` again is the same message.
pub(super) async fn take(
    Get(state): Get<State>,
    inside: Inside,
    body: Bytes,
) -> Result<Response, Refusal> {
    let wire: Wire = read_json(&body)?;
    let message = put(&state, &inside, wire).await?;
    Ok((StatusCode::CREATED, Json(message)).into_response())
}

/// Takes a message; the socket does the same.
pub(super) async fn put(state: &State, inside: &Inside, wire: Wire) -> Result<Value, Refusal> {
    let files = files(state, inside, &wire).await?;
    let words = Words { client_id: wire.client_id, text: wire.text, files, form: wire.form };
    let email = words.form.email.clone().or_else(|| inside.visitor.email.clone());
    say(state, inside, Said::Message(words), email).await
}

/// The files that a message names; each must be the visitor's own, and in no other message of theirs: a file is in one
/// message, and the second would come without it.
async fn files(state: &State, inside: &Inside, wire: &Wire) -> Result<Vec<SentFile>, Refusal> {
    let names = &wire.attachments;
    if names.len() > inside.open.chat.rules().files_max {
        let limit = inside.open.chat.rules().files_max;
        return Err(Refusal::wrong(
            "too_many_files",
            format!("a message takes at most {limit} files"),
        ));
    }
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        let unknown = || Refusal::wrong("unknown_attachment", "there is no such upload of yours");
        let id = inside.open.chat.file(&inside.visitor, name).ok_or_else(unknown)?;
        let upload = match state.engine.store.upload(id).await {
            Ok(upload) => upload,
            Err(StoreError::NotFound(_)) => return Err(unknown()),
            Err(error) => return Err(error.into()),
        };
        if let Some(user) = state.engine.store.user_of_upload(id).await? {
            let user = user.and_then(|user| inside.open.chat.client_id(&inside.visitor, &user));
            if user.as_ref() != Some(&wire.client_id) {
                let why = "the upload is in another message: upload the file again";
                return Err(Refusal::wrong("unknown_attachment", why));
            }
        }
        files.push(SentFile {
            id,
            name: upload.name,
            media_type: upload.media_type,
            bytes: u64::try_from(upload.size).unwrap_or_default(),
        });
    }
    Ok(files)
}

/// Writes down what a visitor said, and answers with the message that it is.
pub(super) async fn say(
    state: &State,
    inside: &Inside,
    said: Said,
    email: Option<String>,
) -> Result<Value, Refusal> {
    let (open, guest, engine) = (&inside.open, &inside.guest, &state.engine);
    let minute = Duration::from_secs(60);
    let rate = (open.chat.rules().messages_per_minute, minute);
    let key = ("messages", &open.channel, guest.visitor.as_str());
    state.rates.take(key, rate).map_err(Refusal::too_fast)?;
    let now = engine.clock.now();
    // A judgement is for the agents; it does not become a part of what the visitor reads.
    let is_shown = !matches!(said, Said::Rating(_));
    let raw = open.chat.raw(&inside.visitor, said, now)?;
    engine.store.greet_visitor(guest, email, inside.visitor.language.clone(), now).await?;
    let appended = engine.take_raws(&open.channel, vec![raw]).await?;
    failpoint::hit("chat.appended");
    let id = appended.ids.first().copied().ok_or(StoreError::NotFound("message"))?;
    if !is_shown {
        return Ok(json!({ "id": id }));
    }
    match readable(state, inside, id).await? {
        Some(item) => Ok(shown(inside, &item)),
        // Durable all the same: it will be there when the store has caught up.
        None => Ok(json!({ "id": id, "direction": "in", "cursor": null })),
    }
}

/// Waits until the message of a raw can be read. It bears the raw's id, or that of the same message that
/// came before by another way.
async fn readable(
    state: &State,
    inside: &Inside,
    id: RawId,
) -> Result<Option<ChatItem>, StoreError> {
    let store = &state.engine.store;
    let mut commits = store.changes();
    let deadline = tokio::time::Instant::now() + READABLE_MAX;
    loop {
        commits.mark_unchanged();
        if let Some(place) = store.chat_place(&inside.guest, id.uuid()).await? {
            let message = store.message(id.uuid()).await?;
            return Ok(Some(ChatItem { place, message, choices: Vec::new() }));
        }
        let next = tokio::time::Instant::now() + Duration::from_millis(250);
        // Another node may commit, too: look without being told.
        drop(tokio::time::timeout_at(next.min(deadline), commits.changed()).await);
        if tokio::time::Instant::now() >= deadline {
            return Ok(None);
        }
    }
}

/// Which part of the conversation.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    after: Option<String>,
    before: Option<String>,
    limit: Option<u64>,
}

/// `GET /chat/{channel}/messages?after=`: what came after a cursor (or after a message, by its id).
/// `?before=latest` or `?before=<cursor>`: the last ones before it.
pub(super) async fn list(
    Get(state): Get<State>,
    inside: Inside,
    Query(which): Query<Which>,
) -> Result<Json<Value>, Refusal> {
    let store = &state.engine.store;
    let limit = which.limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX);
    // Before looking: what is committed meanwhile comes after this place.
    let position = store.feed_position().await?;
    let mut answer = if let Some(before) = &which.before {
        let before = match before.as_str() {
            "latest" => i64::MAX,
            cursor => place(&state, &inside, cursor).await?,
        };
        let page = store.chat_page(&inside.guest, Window::Before(before), limit).await?;
        let earlier = page.more.then(|| page.place.to_string());
        json!({ "items": all(&inside, &page), "earlier": earlier, "cursor": position.to_string() })
    } else {
        let after = match which.after.as_deref() {
            None | Some("") => 0,
            Some(cursor) => place(&state, &inside, cursor).await?,
        };
        let page = store.chat_page(&inside.guest, Window::After(after), limit).await?;
        let cursor = if page.more { page.place } else { page.place.max(position) };
        let next = page.more.then(|| cursor.to_string());
        json!({ "items": all(&inside, &page), "next_cursor": next, "cursor": cursor.to_string() })
    };
    if let Some(answer) = answer.as_object_mut() {
        answer.insert("state".to_owned(), standing(&state, &inside).await?);
    }
    Ok(Json(answer))
}

/// A place in the conversation: a cursor, or one of its messages.
pub(super) async fn place(state: &State, inside: &Inside, cursor: &str) -> Result<i64, Refusal> {
    if let Ok(place) = cursor.parse::<i64>() {
        return Ok(place.max(0));
    }
    let unknown =
        || Refusal::wrong("bad_cursor", "this is neither a cursor nor a message of yours");
    let id: Uuid = cursor.parse().map_err(|_| unknown())?;
    state.engine.store.chat_place(&inside.guest, id).await?.ok_or_else(unknown)
}

/// How things stand beside the messages.
pub(super) async fn standing(state: &State, inside: &Inside) -> Result<Value, StoreError> {
    let store = &state.engine.store;
    let known = store.visitor(&inside.guest).await?;
    let status = store.chat_status(&inside.guest).await?;
    let conversation = match status.as_deref() {
        None => "none",
        Some("solved" | "closed") => "solved",
        Some(_) => "open",
    };
    let typing = known.agent_typing_until.is_some_and(|until| until > state.engine.clock.now());
    Ok(json!({
        "conversation": conversation,
        "agent_typing": typing,
        "agent_name": known.agent_name.filter(|_| typing),
        "agent_read": known.agent_read.to_string(),
        "read": known.read.to_string(),
    }))
}

fn all(inside: &Inside, page: &ChatPage) -> Vec<Value> {
    page.items.iter().map(|item| shown(inside, item)).collect()
}

/// A message as its visitor may see it: nothing of tickets, routing or other people.
pub(super) fn shown(inside: &Inside, item: &ChatItem) -> Value {
    let message = &item.message;
    let mine = message.direction == "in";
    let client_id = message.external_id.as_deref().filter(|_| mine);
    let client_id = client_id.and_then(|id| inside.open.chat.client_id(&inside.visitor, id));
    let author = if mine {
        json!({ "kind": "visitor", "name": null })
    } else if message.author.kind == "agent" {
        json!({ "kind": "agent", "name": message.author.name })
    } else {
        json!({ "kind": "desk", "name": null })
    };
    let files: Vec<Value> = message
        .attachments
        .iter()
        .map(|file| {
            json!({
                "id": file.id, "name": file.name, "media_type": file.media_type, "size": file.size,
            })
        })
        .collect();
    json!({
        "id": message.id,
        "cursor": item.place.to_string(),
        "client_id": client_id,
        "direction": message.direction,
        "author": author,
        "text": message.text,
        "attachments": files,
        "choices": item.choices,
        "sent_at": message.sent_at,
        "edited_at": message.edited_at,
        "deleted": message.deleted_at.is_some(),
    })
}
