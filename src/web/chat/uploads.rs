//! Files that a visitor brings, before the message that they belong to.

use std::time::Duration;

use axum::Json;
use axum::extract::multipart::{Field, Multipart};
use axum::extract::{FromRequest as _, Request, State as Get};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use serde_json::json;

use super::{Inside, Refusal, sniff};
use crate::store::{Answer, NewUpload};
use crate::web::{Problem, State};

/// Parts of a form before the file; more is no form of ours.
const PARTS_MAX: usize = 8;

/// `POST /chat/{channel}/uploads`: one file, as the part `file` of a form.
pub(super) async fn take(
    Get(state): Get<State>,
    inside: Inside,
    request: Request,
) -> Result<Response, Refusal> {
    let rules = inside.open.chat.rules();
    let hour = Duration::from_secs(3600);
    let key = ("uploads", &inside.open.channel, inside.guest.visitor.as_str());
    state.rates.take(key, (rules.files_per_hour, hour)).map_err(Refusal::too_fast)?;
    let bad = || {
        let why = "send a form (multipart/form-data) with one part `file`";
        Refusal::from(Problem::new(StatusCode::BAD_REQUEST, "bad_form", why))
    };
    let mut form = Multipart::from_request(request, &state).await.map_err(|_| bad())?;
    for _ in 0..PARTS_MAX {
        let part = form.next_field().await.map_err(|_| bad())?.ok_or_else(bad)?;
        if part.name() != Some("file") {
            continue;
        }
        let name = sniff::name(part.file_name().unwrap_or_default());
        let bytes = whole(part, rules.file_bytes_max).await?;
        return keep(&state, &inside, name, bytes).await;
    }
    Err(bad())
}

async fn whole(mut part: Field<'_>, bytes_max: usize) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::new();
    let cut = |_| {
        let why = "the file did not arrive whole";
        Refusal::from(Problem::new(StatusCode::BAD_REQUEST, "cut_off", why))
    };
    while let Some(chunk) = part.chunk().await.map_err(cut)? {
        if bytes.len() + chunk.len() > bytes_max {
            let why = format!("a file may have at most {bytes_max} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "file_too_large", why).into());
        }
        bytes.extend_from_slice(&chunk);
    }
    if bytes.is_empty() {
        return Err(Refusal::wrong("file_empty", "the file is empty"));
    }
    Ok(bytes.freeze())
}

async fn keep(
    state: &State,
    inside: &Inside,
    name: String,
    bytes: Bytes,
) -> Result<Response, Refusal> {
    let media_type = sniff::media_type(&bytes);
    if !sniff::is_allowed(&inside.open.chat.rules().file_types, media_type) {
        let why = format!("files like this ({media_type}) are not taken here");
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, "file_type", why).into());
    }
    let new = NewUpload { name, media_type: media_type.to_owned(), bytes };
    let upload = match state.engine.keep_upload(new, None).await? {
        Answer::Fresh(upload) => upload,
        Answer::Replayed { .. } | Answer::KeyReused => return Err(Refusal::nothing_here()),
    };
    let body = json!({
        "id": inside.open.chat.file_name(&inside.visitor, upload.id.into()),
        "name": upload.name,
        "media_type": upload.media_type,
        "size": upload.size,
    });
    Ok((StatusCode::CREATED, Json(body)).into_response())
}
