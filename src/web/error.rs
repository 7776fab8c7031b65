//! Errors as RFC 9457 problem details. Nothing of our inside goes out.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::engine::ReplyError;
use crate::store::StoreError;

/// What the client is told.
#[derive(Debug)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// A stable word for programs.
    pub code: &'static str,
    /// For people.
    pub detail: String,
}

impl Problem {
    /// A problem of the client's making.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        let mut response = (self.status, Json(body)).into_response();
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => {
                Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
            }
            StoreError::Stale { .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "stale_version", error.to_string())
            }
            StoreError::Refused(why) => Self::new(StatusCode::CONFLICT, "refused", why),
            StoreError::Conflict | StoreError::LeaseLost(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "another change came between; try again",
            ),
            StoreError::Database(cause) => {
                tracing::error!(error = %cause, "the store failed under a request");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "store_unavailable",
                    "the store is not available",
                )
            }
        }
    }
}

impl From<ReplyError> for Problem {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::Store(error) => error.into(),
            ReplyError::Cannot(_) | ReplyError::NoChannel(_) | ReplyError::NoAddress(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "cannot_reply", error.to_string())
            }
        }
    }
}

pub(super) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
}
