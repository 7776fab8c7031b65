//! `/openapi.json` and `/docs`: the API described, and a page to try it. Everything is compiled in; the page
//! runs no script but its own files.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use utoipa_swagger_ui::Config;

use super::{State, api, error};

/// Styles may stand in the page: the viewer sets them on its elements. Scripts may not.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/openapi.json", get(document))
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| async { file("index.html") }))
        .route("/docs/{file}", get(|Path(name): Path<String>| async move { file(&name) }))
}

/// What `tributary openapi` prints, too.
async fn document() -> impl IntoResponse {
    axum::Json(api::openapi())
}

fn file(name: &str) -> Response {
    let config = Config::from("/openapi.json").validator_url("none").use_base_layout();
    let found = match utoipa_swagger_ui::serve(name, Arc::new(config)) {
        Ok(Some(found)) => found,
        Ok(None) => return error::Problem::no_such("page").into_response(),
        Err(cause) => {
            tracing::error!(error = %cause, "a page of the documentation could not be made");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let headers = [
        (header::CONTENT_TYPE, found.content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    (headers, found.bytes.into_owned()).into_response()
}
