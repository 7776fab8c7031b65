//! The same request twice is one effect (`Idempotency-Key`), and no change over one that the caller has
//! not seen (`If-Match`).

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::super::{Problem, State};
use crate::model::Timestamp;
use crate::store::{Answer, By, Once, Principal};

/// Longest key.
const KEY_BYTES_MAX: usize = 255;
/// Tells the caller that nothing was done this time.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// What a request says about being repeated.
#[derive(Debug)]
pub(super) struct Wish {
    key: Option<String>,
    action: String,
}

impl FromRequestParts<State> for Wish {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let path = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let action = format!("{} {path}", parts.method);
        let mut keys = parts.headers.get_all("idempotency-key").iter();
        let key = match (keys.next(), keys.next()) {
            (None, _) => None,
            // With quotes, as the draft has it, or without, as most programs write it: the same key.
            (Some(key), None) => Some(bare(key.to_str().unwrap_or_default())),
            (Some(_), Some(_)) => Some(""),
        };
        if key.is_some_and(|key| key.is_empty() || key.len() > KEY_BYTES_MAX) {
            let text = format!("Idempotency-Key: one of 1 to {KEY_BYTES_MAX} ASCII characters");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_idempotency_key", text));
        }
        Ok(Self { key: key.map(str::to_owned), action })
    }
}

/// A key without the quotes around it.
fn bare(key: &str) -> &str {
    key.strip_prefix('"').and_then(|key| key.strip_suffix('"')).unwrap_or(key)
}

impl Wish {
    /// For the store: the wish of this caller, with the status that it will be answered with.
    pub(super) fn once(
        self,
        caller: &Principal,
        fingerprint: String,
        status: StatusCode,
    ) -> Option<Once> {
        let (principal, action) = (caller.key.clone(), self.action);
        self.key.map(|key| Once { principal, action, key, fingerprint, status: status.as_u16() })
    }
}

/// `If-Match`: the version that the caller knows. Absent or `*`: whatever it is now.
#[derive(Debug)]
pub(super) struct IfMatch(pub(super) Option<i64>);

impl FromRequestParts<State> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        let mut given = parts.headers.get_all(header::IF_MATCH).iter();
        let version = match (given.next(), given.next()) {
            (None, _) => return Ok(Self(None)),
            (Some(one), None) => one.to_str().ok().and_then(version),
            (Some(_), Some(_)) => None,
        };
        version.map(Self).ok_or_else(|| {
            let text = "If-Match: the version, as in `version` and `ETag`";
            Problem::new(StatusCode::BAD_REQUEST, "bad_if_match", text)
        })
    }
}

/// `"3"`, `3`, `W/"3"` (a proxy that compresses makes it weak), `*`.
#[expect(clippy::option_option, reason = "not readable, no condition, a version")]
fn version(text: &str) -> Option<Option<i64>> {
    let text = text.trim();
    if text == "*" {
        return Some(None);
    }
    let text = text.strip_prefix("W/").unwrap_or(text);
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    text.parse().ok().map(Some)
}

/// Who wants a change, for the store.
pub(super) fn by(caller: Principal, version: &IfMatch, once: Option<Once>, now: Timestamp) -> By {
    By { actor: caller.actor, version: version.0, once, now }
}

/// What was answered before to the same wish. Asked before anything is checked that may have changed
/// since: an upload is used up, a window is closed.
pub(super) async fn replayed(
    state: &State,
    once: Option<&Once>,
) -> Result<Option<Response>, Problem> {
    let Some(once) = once else { return Ok(None) };
    let now = state.engine.clock.now();
    match state.engine.store.answered(once, now).await? {
        Some(answer) => answered::<()>(answer, StatusCode::OK).map(Some),
        None => Ok(None),
    }
}

/// The answer to a wish: as it is now, or as it was the first time.
pub(super) fn answered<T: Serialize>(
    answer: Answer<T>,
    status: StatusCode,
) -> Result<Response, Problem> {
    match answer {
        Answer::Fresh(done) => shown(&done, status),
        Answer::Replayed { status, body } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            let mut response = json(body, status);
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Answer::KeyReused => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "the Idempotency-Key was used for another request",
        )),
    }
}

/// Something in JSON, with an `ETag` if it has a version.
pub(super) fn shown<T: Serialize>(value: &T, status: StatusCode) -> Result<Response, Problem> {
    let body = serde_json::to_string(value).map_err(|error| {
        tracing::error!(%error, "an answer could not be written");
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the answer could not be written",
        )
    })?;
    Ok(json(body, status))
}

fn json(body: String, status: StatusCode) -> Response {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: i64,
    }
    let version = serde_json::from_str::<Versioned>(&body).ok();
    let kind = [(header::CONTENT_TYPE, "application/json")];
    let mut response = (status, kind, body).into_response();
    let tag =
        version.and_then(|known| HeaderValue::try_from(format!("\"{}\"", known.version)).ok());
    if let Some(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_quoted_or_not() {
        for text in ["3", "\"3\"", " \"3\" ", "W/\"3\""] {
            assert_eq!(version(text), Some(Some(3)), "{text}");
        }
        assert_eq!(version("*"), Some(None));
        for text in ["", "\"", "x", "\"3\", \"4\"", "\"\"", "3.0"] {
            assert_eq!(version(text), None, "{text}");
        }
    }
}
