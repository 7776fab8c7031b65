//! `/console/`: the pages for agents. Files that are compiled in; all that they show comes through the API,
//! with the session of whoever looks.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use rust_embed::RustEmbed;

use super::{Problem, State};

/// Pages, styles and scripts.
#[derive(RustEmbed)]
#[folder = "src/web/assets/console/"]
struct Files;

/// Only our own files; markup is taken from one policy alone, which the frame for formatted mail uses.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types tributary-mail";

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/console", get(|| async { Redirect::permanent("/console/") }))
        .route("/console/", get(|headers: HeaderMap| async move { file("index.html", &headers) }))
        .route(
            "/console/assets/{name}",
            get(
                |Path(name): Path<String>, headers: HeaderMap| async move { file(&name, &headers) },
            ),
        )
}

/// A file, or «you have it already».
fn file(name: &str, headers: &HeaderMap) -> Response {
    let Some(found) = Files::get(name) else {
        return Problem::no_such("page").into_response();
    };
    let tag = data_encoding::HEXLOWER.encode(found.metadata.sha256_hash().get(..16).unwrap_or(&[]));
    let tag = format!("\"{tag}\"");
    let known =
        headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let always = [
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::CONTENT_SECURITY_POLICY, POLICY.to_owned()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, always).into_response();
    }
    let media_type = [(header::CONTENT_TYPE, found.metadata.mimetype().to_owned())];
    (always, media_type, found.data.into_owned()).into_response()
}
