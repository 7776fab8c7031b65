//! `/console/sign-in` and `/console/sign-out`: a one-time link or a password, and a code where somebody has
//! a second factor, for a session cookie.
//!
//! Mail programs and chats fetch links to look at them. So opening a link uses nothing up: it shows a page
//! with a button, and only what the button posts trades the secret for a session.

pub(super) mod page;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Form, FromRequest as _, Query, State as Get};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Json, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::api::access::{cookie, cookie_name, is_same_origin};
use super::{Problem, State, WebSettings, client};
use crate::model::Secret;
use crate::store::{Code, Entry, FailedSignIn};
use page::{Asked, Language, Why, page};

/// As long as the store keeps a session at most: seven days.
const COOKIE_SECONDS: u64 = 7 * 24 * 3600;
const BODY_BYTES_MAX: usize = 4096;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/console/sign-in", get(show).post(sign_in))
        .route("/console/sign-out", post(sign_out))
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
async fn show(Get(state): Get<State>, Query(link): Query<Link>, headers: HeaderMap) -> Response {
    let token = link.token.filter(|token| is_plain(token));
    let asked = token.as_deref().map_or(Asked::Password(&state.settings.sso), Asked::Button);
    page(Language::of(&headers), asked, None)
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
    /// What was answered to the right link or password of somebody with a second factor …
    waiting: Option<Secret>,
    /// … and its code.
    code: Option<String>,
}

/// Trades a one-time secret, or a mail address and a password, for a session.
async fn sign_in(Get(state): Get<State>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let (wants_json, language) = (accepts_json(&parts), Language::of(&parts.headers));
    match entry(&state, &parts, body).await {
        Ok(Entry::Session(secret)) => {
            let mut response = if wants_json {
                StatusCode::NO_CONTENT.into_response()
            } else {
                Redirect::to("/console/").into_response()
            };
            let set = session_cookie(&state.settings, &secret);
            response.headers_mut().extend(set.map(|set| (header::SET_COOKIE, set)));
            response
        }
        Ok(Entry::Code(waiting)) if wants_json => {
            let body = serde_json::json!({ "waiting": waiting.reveal() });
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
        Ok(Entry::Code(waiting)) => page(language, Asked::Code(waiting.reveal()), None),
        Err(Refusal { why, .. }) if wants_json => why.problem().into_response(),
        Err(Refusal { why, waiting }) => {
            let waiting = waiting.as_ref().map(Secret::reveal).filter(|waiting| is_plain(waiting));
            let asked = waiting.map_or(Asked::Password(&state.settings.sso), Asked::Code);
            page(language, asked, Some(why))
        }
    }
}

/// Why somebody is not let in, and what their sign-in waits with if they may try another code.
struct Refusal {
    why: Why,
    waiting: Option<Secret>,
}

impl<W: Into<Why>> From<W> for Refusal {
    fn from(why: W) -> Self {
        Self { why: why.into(), waiting: None }
    }
}

async fn entry(state: &State, parts: &Parts, body: Body) -> Result<Entry, Refusal> {
    if !is_same_origin(parts, &state.settings) {
        return Err(Why::ForeignOrigin.into());
    }
    let (store, now) = (&state.engine.store, state.engine.clock.now());
    let address = client::address(parts, &state.settings);
    if state.failures.are_too_many(address, now) {
        return Err(Why::TooManyFailures.into());
    }
    let mut form = Request::new(body);
    *form.method_mut() = parts.method.clone();
    *form.headers_mut() = parts.headers.clone();
    let form = Form::<SignIn>::from_request(form, &()).await;
    let Form(given) = form.map_err(|_| Why::BadForm)?;
    let wrong = |trail, why| Wrong { trail, why, email: None, waiting: None };
    let tried = match given {
        SignIn { token: Some(token), email: None, password: None, waiting: None, code: None } => {
            let found = store.use_sign_in_link(token.reveal(), now).await?;
            found.ok_or(wrong(("link", "used_or_old"), Why::LinkUsed))
        }
        SignIn {
            token: None,
            email: Some(email),
            password: Some(password),
            waiting: None,
            code: None,
        } => {
            let found = store.sign_in(&email, password, now).await?;
            found.ok_or(Wrong {
                email: Some(email),
                ..wrong(("password", "wrong"), Why::WrongPassword)
            })
        }
        SignIn { token: None, email: None, password: None, waiting: Some(waiting), code } => {
            let code = code.ok_or(Why::BadForm)?;
            let wrong = |trail, why| Wrong { waiting: Some(waiting.clone()), ..wrong(trail, why) };
            match store.finish_sign_in(waiting.reveal(), &code, now).await? {
                Code::Right(secret) => Ok(Entry::Session(secret)),
                Code::Wrong => Err(wrong(("code", "wrong"), Why::WrongCode)),
                Code::TooMany => Err(wrong(("code", "too_many"), Why::TooManyCodes)),
            }
        }
        SignIn { .. } => return Err(Why::BadForm.into()),
    };
    match tried {
        Ok(found) => {
            if let Entry::Session(secret) = &found {
                note_origin(state, parts, secret).await?;
            }
            Ok(found)
        }
        Err(Wrong { trail, why, email, waiting }) => {
            note_failure(state, parts, trail, email).await;
            Err(Refusal { why, waiting })
        }
    }
}

/// An attempt that counts as one.
struct Wrong {
    /// How, and a word for why, in the audit trail.
    trail: (&'static str, &'static str),
    why: Why,
    /// As whom.
    email: Option<String>,
    waiting: Option<Secret>,
}

/// Notes with a session where it comes from.
pub(super) async fn note_origin(
    state: &State,
    parts: &Parts,
    secret: &Secret,
) -> Result<(), Problem> {
    let address = client::address(parts, &state.settings);
    let client = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let client = client.unwrap_or_default();
    Ok(state.engine.store.note_session_origin(secret, address.to_string(), client).await?)
}

/// Counts a sign-in that failed, and puts it into the audit trail unless there are too many. `way`, `why`:
/// words of the trail.
pub(super) async fn note_failure(
    state: &State,
    parts: &Parts,
    (way, why): (&str, &'static str),
    email: Option<String>,
) {
    let now = state.engine.clock.now();
    let address = client::address(parts, &state.settings);
    state.failures.note(address, now);
    let Some(unnoted) = state.failures.may_note(address, now) else { return };
    let failed =
        FailedSignIn { way: way.to_owned(), why, email, address: address.to_string(), unnoted };
    if let Err(error) = state.engine.store.note_failed_sign_in(failed, now).await {
        // Whoever failed is told the same as always.
        tracing::debug!(%error, "a failed sign-in is not in the audit trail");
    }
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
    let cleared = set_cookie(&state.settings, cookie_name(&state.settings), "", 0);
    response.headers_mut().extend(cleared.map(|set| (header::SET_COOKIE, set)));
    Ok(response)
}

fn accepts_json(parts: &Parts) -> bool {
    let accept = parts.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/json"))
}

/// What makes a browser that of a session.
pub(super) fn session_cookie(settings: &WebSettings, secret: &Secret) -> Option<HeaderValue> {
    set_cookie(settings, cookie_name(settings), secret.reveal(), COOKIE_SECONDS)
}

/// For this host alone, out of reach of scripts, and not sent along by other sites' forms. Where another site
/// leads somebody here, as an identity provider does, it is sent along.
pub(super) fn set_cookie(
    settings: &WebSettings,
    name: &str,
    secret: &str,
    seconds: u64,
) -> Option<HeaderValue> {
    let secure = if settings.public_url.starts_with("https:") { "; Secure" } else { "" };
    let text =
        format!("{name}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::try_from(text).ok()
}
