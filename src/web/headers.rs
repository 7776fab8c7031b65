//! What every answer carries, errors included: security headers, a request id; and what every request
//! is held to.

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::IntoResponse as _;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

use super::State;
use super::error::Problem;

/// Handlers that need more (pages, attachments) set their own; these are for all others.
const HEADERS: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
];

/// Wraps all routes.
pub(super) fn layered(router: Router<State>, request_max: Duration) -> Router<State> {
    let id = HeaderName::from_static("x-request-id");
    let mut router = router
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, request_max))
        .layer(CatchPanicLayer::custom(|_| {
            let code = StatusCode::INTERNAL_SERVER_ERROR;
            Problem::new(code, "internal", "this should not have happened").into_response()
        }));
    for (name, value) in HEADERS {
        let value = HeaderValue::from_static(value);
        router = router
            .layer(SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), value));
    }
    router
        .layer(PropagateRequestIdLayer::new(id.clone()))
        .layer(SetRequestIdLayer::new(id, MakeRequestUuid))
}
