//! `/console/sign-in` and `/console/sign-out`: a one-time link or a password, and a code where somebody has
//! a second factor, for a session cookie.
//!
//! Mail programs and chats fetch links to look at them. So opening a link uses nothing up: it shows a page
//! with a button, and only what the button posts trades the secret for a session.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Form, FromRequest as _, Query, State as Get};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Json, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::api::access::{cookie, cookie_name, is_same_origin};
use super::{Problem, State, WebSettings, client};
use crate::model::Secret;
use crate::store::{Code, Entry};

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
    page(StatusCode::OK, token.as_deref().map_or(Asked::Password, Asked::Button), "")
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
    let wants_json = accepts_json(&parts);
    match entry(&state, &parts, body).await {
        Ok(Entry::Session(secret)) => {
            let set = set_cookie(&state.settings, secret.reveal(), COOKIE_SECONDS);
            let mut response = if wants_json {
                StatusCode::NO_CONTENT.into_response()
            } else {
                Redirect::to("/console/").into_response()
            };
            response.headers_mut().extend(set.map(|set| (header::SET_COOKIE, set)));
            response
        }
        Ok(Entry::Code(waiting)) if wants_json => {
            let body = serde_json::json!({ "waiting": waiting.reveal() });
            (StatusCode::ACCEPTED, Json(body)).into_response()
        }
        Ok(Entry::Code(waiting)) => page(StatusCode::OK, Asked::Code(waiting.reveal()), ""),
        Err(Refusal { problem, .. }) if wants_json => problem.into_response(),
        Err(Refusal { problem, waiting }) => {
            let waiting = waiting.as_ref().map(Secret::reveal).filter(|waiting| is_plain(waiting));
            let asked = waiting.map_or(Asked::Password, Asked::Code);
            page(problem.status, asked, &problem.detail)
        }
    }
}

/// Why somebody is not let in, and what their sign-in waits with if they may try another code.
struct Refusal {
    problem: Problem,
    waiting: Option<Secret>,
}

impl<P: Into<Problem>> From<P> for Refusal {
    fn from(problem: P) -> Self {
        Self { problem: problem.into(), waiting: None }
    }
}

async fn entry(state: &State, parts: &Parts, body: Body) -> Result<Entry, Refusal> {
    if !is_same_origin(parts, &state.settings) {
        let text = "signing in works from our own pages only";
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", text).into());
    }
    let (store, now) = (&state.engine.store, state.engine.clock.now());
    let address = client::address(parts, &state.settings);
    if state.failures.are_too_many(address, now) {
        let text = "too many failed attempts from this address; wait a minute";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", text).into());
    }
    let mut form = Request::new(body);
    *form.method_mut() = parts.method.clone();
    *form.headers_mut() = parts.headers.clone();
    let form = Form::<SignIn>::from_request(form, &()).await;
    let Form(given) = form.map_err(|_| bad_form())?;
    let (found, wrong) = match given {
        SignIn { token: Some(token), email: None, password: None, waiting: None, code: None } => {
            let wrong =
                "this link was used already, or is too old; `tributary user link` makes another";
            (store.use_sign_in_link(token.reveal(), now).await?, wrong)
        }
        SignIn {
            token: None,
            email: Some(email),
            password: Some(password),
            waiting: None,
            code: None,
        } => {
            let wrong = "the mail address or the password is wrong";
            (store.sign_in(&email, password, now).await?, wrong)
        }
        SignIn { token: None, email: None, password: None, waiting: Some(waiting), code } => {
            let code = code.ok_or_else(bad_form)?;
            match store.finish_sign_in(waiting.reveal(), &code, now).await? {
                Code::Right(secret) => (Some(Entry::Session(secret)), ""),
                wrong @ (Code::Wrong | Code::TooMany) => {
                    state.failures.note(address, now);
                    let problem = refused_code(&wrong);
                    return Err(Refusal { problem, waiting: Some(waiting) });
                }
            }
        }
        SignIn { .. } => return Err(bad_form().into()),
    };
    let Some(found) = found else {
        state.failures.note(address, now);
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", wrong).into());
    };
    if let Entry::Session(secret) = &found {
        let client = parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
        let client = client.unwrap_or_default();
        store.note_session_origin(secret, address.to_string(), client).await?;
    }
    Ok(found)
}

fn bad_form() -> Problem {
    let text = "give `token`, or `email` and `password`, or `waiting` and `code`, as a form";
    Problem::new(StatusCode::BAD_REQUEST, "bad_body", text)
}

fn refused_code(code: &Code<Secret>) -> Problem {
    if matches!(code, Code::TooMany) {
        let text = "too many wrong codes; wait a quarter of an hour";
        return Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", text);
    }
    let text = "the code is wrong, too old, or was used already; after five minutes begin again";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", text)
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

/// What the page asks for.
#[derive(Clone, Copy)]
enum Asked<'s> {
    /// A mail address and a password.
    Password,
    /// Nothing but the button; with the secret of a link.
    Button(&'s str),
    /// A code; with what the sign-in waits with.
    Code(&'s str),
}

/// The page with the button of a link, or with the fields for a password or a code.
fn page(status: StatusCode, asked: Asked<'_>, said: &str) -> Response {
    let fields = match asked {
        Asked::Button(token) => format!("<input type=\"hidden\" name=\"token\" value=\"{token}\">"),
        Asked::Code(waiting) => format!(
            "<input type=\"hidden\" name=\"waiting\" value=\"{waiting}\"><label>Code of your \
             authenticator, or a recovery code<input name=\"code\" autocomplete=\"one-time-code\" \
             maxlength=\"64\" autofocus required></label>"
        ),
        Asked::Password => "<label>Mail address<input name=\"email\" type=\"email\" \
             autocomplete=\"username\" required></label><label>Password<input name=\"password\" \
             type=\"password\" autocomplete=\"current-password\" required></label>"
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
