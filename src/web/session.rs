//! `/console/sign-in` and `/console/sign-out`: a one-time link or a password for a session cookie.
//!
//! Mail programs and chats fetch links to look at them. So opening a link uses nothing up: it shows a page
//! with a button, and only what the button posts trades the secret for a session.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Form, FromRequest as _, Query, State as Get};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::api::access::{cookie, cookie_name, is_same_origin};
use super::{Problem, State, WebSettings, client};
use crate::model::Secret;

/// As long as the store keeps a session at most: seven days.
const COOKIE_SECONDS: u64 = 7 * 24 * 3600;
const BODY_BYTES_MAX: usize = 4096;
/// No script at all, nothing of another site, and forms go to us.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";
const STYLE: &str = "body { font: 1rem/1.5 system-ui, sans-serif; max-width: 22rem; \
    margin: 20vh auto 0; padding: 0 1rem } label { display: block; margin: .75rem 0 } \
    input { display: block; width: 100%; box-sizing: border-box; font: inherit; padding: .4rem } \
    button { font: inherit; padding: .5rem 1.25rem; margin-top: .5rem }";

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/console/sign-in", get(show).post(sign_in))
        .route("/console/sign-out", post(sign_out))
        .route(
            "/console/sign-in.css",
            get(|| async { ([(header::CONTENT_TYPE, "text/css")], STYLE) }),
        )
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

/// Where the secret of a one-time link leads. `base`: what the world calls us.
pub fn link(base: &str, secret: &Secret) -> String {
    format!("{base}/console/sign-in?token={}", secret.reveal())
}

#[derive(Deserialize)]
struct Link {
    token: Option<String>,
}

/// A page with a form. Uses nothing up, however often it is fetched.
async fn show(Query(link): Query<Link>) -> Response {
    let token = link.token.filter(|token| is_plain(token));
    page(StatusCode::OK, token.as_deref(), "")
}

/// What a secret of ours is made of; nothing else gets into a page.
fn is_plain(token: &str) -> bool {
    (1..=128).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    token: Option<Secret>,
    email: Option<String>,
    password: Option<Secret>,
}

/// Trades a one-time secret, or a mail address and a password, for a session.
async fn sign_in(Get(state): Get<State>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let wants_json = accepts_json(&parts);
    match session(&state, &parts, body).await {
        Ok(secret) => {
            let set = set_cookie(&state.settings, secret.reveal(), COOKIE_SECONDS);
            let mut response = if wants_json {
                StatusCode::NO_CONTENT.into_response()
            } else {
                Redirect::to("/console/").into_response()
            };
            response.headers_mut().extend(set.map(|set| (header::SET_COOKIE, set)));
            response
        }
        Err(problem) if wants_json => problem.into_response(),
        Err(problem) => page(problem.status, None, &problem.detail),
    }
}

async fn session(state: &State, parts: &Parts, body: Body) -> Result<Secret, Problem> {
    if !is_same_origin(parts, &state.settings) {
        let text = "signing in works from our own pages only";
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", text));
    }
    let (store, now) = (&state.engine.store, state.engine.clock.now());
    let address = client::address(parts, &state.settings);
    if state.failures.are_too_many(address, now) {
        let text = "too many failed attempts from this address; wait a minute";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", text));
    }
    let mut form = Request::new(body);
    *form.method_mut() = parts.method.clone();
    *form.headers_mut() = parts.headers.clone();
    let form = Form::<SignIn>::from_request(form, &()).await;
    let Form(given) = form.map_err(|_| {
        let text = "give `token`, or `email` and `password`, as a form";
        Problem::new(StatusCode::BAD_REQUEST, "bad_body", text)
    })?;
    let (found, wrong) = match (given.token, given.email, given.password) {
        (Some(token), None, None) => {
            let wrong =
                "this link was used already, or is too old; `tributary user link` makes another";
            (store.use_sign_in_link(token.reveal(), now).await?, wrong)
        }
        (None, Some(email), Some(password)) => (
            store.sign_in(&email, password, now).await?,
            "the mail address or the password is wrong",
        ),
        _ => {
            let text = "give `token`, or `email` and `password`";
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_body", text));
        }
    };
    found.ok_or_else(|| {
        state.failures.note(address, now);
        Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", wrong)
    })
}

/// Ends the session, if there is one. From our own pages only.
async fn sign_out(Get(state): Get<State>, request: Request<Body>) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    if !is_same_origin(&parts, &state.settings) {
        let text = "signing out works from our own pages only";
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", text));
    }
    if let Some(secret) = cookie(&parts.headers, cookie_name(&state.settings)) {
        state.engine.store.end_session(secret).await?;
    }
    let mut response = if accepts_json(&parts) {
        StatusCode::NO_CONTENT.into_response()
    } else {
        Redirect::to("/console/sign-in").into_response()
    };
    let cleared = set_cookie(&state.settings, "", 0);
    response.headers_mut().extend(cleared.map(|set| (header::SET_COOKIE, set)));
    Ok(response)
}

fn accepts_json(parts: &Parts) -> bool {
    let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/json"))
}

/// For this host alone, out of reach of scripts, and not sent along by other sites' forms.
fn set_cookie(settings: &WebSettings, secret: &str, seconds: u64) -> Option<HeaderValue> {
    let name = cookie_name(settings);
    let secure = if settings.public_url.starts_with("https:") { "; Secure" } else { "" };
    let text =
        format!("{name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).ok()
}

/// The page with the button of a link, or with the fields for a password.
fn page(status: StatusCode, token: Option<&str>, said: &str) -> Response {
    let fields = match token {
        Some(token) => format!("<input type=\"hidden\" name=\"token\" value=\"{token}\">"),
        None => "<label>Mail address<input name=\"email\" type=\"email\" autocomplete=\"username\" required>\
                 </label><label>Password<input name=\"password\" type=\"password\" \
                 autocomplete=\"current-password\" required></label>"
            .to_owned(),
    };
    let said = if said.is_empty() {
        String::new()
    } else {
        format!("<p role=\"alert\">{}</p>", said.replace('&', "&amp;").replace('<', "&lt;"))
    };
    let html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Sign in – tributary</title><link rel=\"stylesheet\" \
         href=\"/console/sign-in.css\"><h1>Sign in</h1>{said}<form method=\"post\" \
         action=\"/console/sign-in\">{fields}<button>Sign in</button></form></html>"
    );
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // The form must say where it comes from, and nobody else may see the token in the address.
        (header::REFERRER_POLICY, "same-origin"),
    ];
    (status, headers, Html(html)).into_response()
}
