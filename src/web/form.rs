//! Pages with a form and nothing else: no script, nothing of another site, no cookie.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;

use super::State;

/// No script at all, nothing of another site, and forms go to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";
const STYLE: &str = "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 22rem; \
    margin: 20vh auto 0; padding: 0 1rem } label { display: block; margin: .75rem 0 } \
    input, textarea { display: block; width: 100%; box-sizing: border-box; font: inherit; padding: .4rem } \
    button, a.sso { font: inherit; padding: .5rem 1.25rem; margin-top: .5rem } \
    a.sso { display: block; text-align: center; color: inherit; text-decoration: none; \
    border: 1px solid; border-radius: .3rem } \
    .wide { display: block; width: 100%; text-align: start } \
    .said { white-space: pre-line }";

pub(super) fn routes() -> Router<State> {
    let style = get(|| async { ([(header::CONTENT_TYPE, "text/css")], STYLE) });
    Router::new().route("/form.css", style)
}

/// A page. `title` is a text, `body` HTML; who the page is fetched for goes to nobody else.
pub(super) fn page(status: StatusCode, language: &str, title: &str, body: &str) -> Response {
    let (language, title) = (escape(language), escape(title));
    let html = format!(
        "<!doctype html><html lang=\"{language}\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title}</title><link rel=\"stylesheet\" href=\"/form.css\">{body}</html>"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // The form must say where it comes from, and nobody else may see a token in the address.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (status, headers, Html(html)).into_response()
}

/// A text that can stand in HTML, also in an attribute.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
