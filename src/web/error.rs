//! Errors as RFC 9457 problem details. Nothing of our inside goes out.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::{ConnectError, NotKept, ReplyError};
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
    /// The key of the body or the query at fault.
    pub field: Option<String>,
}

/// An error, as RFC 9457 has it; its media type is `application/problem+json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemBody {
    /// Always `about:blank`: `code` tells errors apart.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// A stable word for programs.
    code: &'static str,
    /// For people.
    detail: String,
    /// The key of the body or the query at fault, dotted.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl Problem {
    /// A problem of the client's making.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), field: None }
    }

    /// A value of the body (or something that it names) will not do.
    pub(super) fn invalid(field: &str, detail: impl Into<String>) -> Self {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { field: Some(field.to_owned()), ..Self::new(status, "invalid", detail) }
    }

    /// There is no such thing at this address.
    pub(super) fn no_such(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            field: self.field,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match self.status {
            StatusCode::UNAUTHORIZED => {
                let how = HeaderValue::from_static("Bearer realm=\"tributary\"");
                headers.insert(header::WWW_AUTHENTICATE, how);
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
            }
            _ => {}
        }
        response
    }
}

impl From<NotKept> for Problem {
    fn from(error: NotKept) -> Self {
        let (status, code) = match error {
            NotKept::Store(error) => return error.into(),
            NotKept::Infected(_) => (StatusCode::UNPROCESSABLE_ENTITY, "infected"),
            NotKept::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            NotKept::Down => (StatusCode::SERVICE_UNAVAILABLE, "scanner_down"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::no_such(what),
            StoreError::Stale { .. } => {
                Self::new(StatusCode::PRECONDITION_FAILED, "stale_version", error.to_string())
            }
            StoreError::Refused(why) => Self::new(StatusCode::CONFLICT, "refused", why),
            StoreError::Unknown { field, .. } => Self::invalid(field, error.to_string()),
            StoreError::Conflict | StoreError::LeaseLost(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "another change came between; try again",
            ),
            StoreError::Stopping => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "stopping",
                "the daemon is stopping; try again",
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

impl From<ConnectError> for Problem {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Store(error) => error.into(),
            ConnectError::Line(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "cannot_call", error.to_string())
            }
        }
    }
}

pub(super) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here")
}

/// The methods that there are stand in `Allow`.
pub(super) async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method")
}
