//! Who asks, and may they: a bearer token, or the session cookie of the console.
//!
//! Every request is authenticated before anything else of it is looked at. What a caller may do, each
//! route says by the extractor that it takes: [`Reader`], [`Agent`] or [`Admin`].

use axum::body::Body;
use axum::extract::{FromRequestParts, State as Get};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use url::Url;

use super::super::{Problem, State, WebSettings, client};
use crate::model::Role;
use crate::store::Principal;

/// Lets nobody through who has not shown who they are.
pub(super) async fn authenticate(
    Get(state): Get<State>,
    request: Request<Body>,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    match principal(&state, &parts).await {
        Ok(principal) => {
            parts.extensions.insert(principal);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(problem) => problem.into_response(),
    }
}

pub(super) async fn principal(state: &State, parts: &Parts) -> Result<Principal, Problem> {
    let (store, now) = (&state.engine.store, state.engine.clock.now());
    if let Some(given) = parts.headers.get(header::AUTHORIZATION) {
        let known = match bearer(given) {
            Some(token) => store.by_token(token, now).await?,
            None => None,
        };
        // A right token is let in from any address: 256 random bits are not guessed, and one program
        // with a wrong one must not lock out its neighbours. The limit is for what the wrong ones cost.
        return known.ok_or_else(|| {
            let too_many = state.failures.note(client::address(parts, &state.settings), now);
            if too_many {
                let text = "too many wrong tokens from this address; wait a minute";
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", text)
            } else {
                unauthorized("the token is unknown, revoked or out of date")
            }
        });
    }
    let Some(secret) = cookie(&parts.headers, cookie_name(&state.settings)) else {
        return Err(unauthorized("a bearer token or a session of the console is needed"));
    };
    let known = store.by_session(secret, now).await?;
    let known = known.ok_or_else(|| unauthorized("the session is over: sign in again"))?;
    if !is_same_origin(parts, &state.settings) {
        let text = "a cookie is only taken from pages of our own";
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", text));
    }
    Ok(known)
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
}

fn bearer(given: &HeaderValue) -> Option<&str> {
    let (scheme, token) = given.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The name of the session's cookie. Browsers hold `__Host-` to what only TLS can keep, so without TLS (on
/// a loopback address) it has a plain name.
pub(in super::super) fn cookie_name(settings: &WebSettings) -> &'static str {
    if settings.public_url.starts_with("https:") { "__Host-tributary" } else { "tributary" }
}

pub(in super::super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(';')).find_map(|one| {
        let (known, value) = one.trim().split_once('=')?;
        (known == name).then_some(value)
    })
}

/// Browsers say which page a request comes from; one that comes with a cookie and changes something must
/// come from a page of ours.
pub(in super::super) fn is_same_origin(parts: &Parts, settings: &WebSettings) -> bool {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text("origin").and_then(|origin| Url::parse(origin).ok()) else {
        return false;
    };
    let ours = Url::parse(&settings.public_url).ok();
    // Without TLS we may be called by other names of this machine too.
    let host = text("host").filter(|_| !settings.public_url.starts_with("https:"));
    let host = host.and_then(|host| Url::parse(&format!("http://{host}")).ok());
    [ours, host].into_iter().flatten().any(|known| known.origin() == origin.origin())
}

macro_rules! callers {
    ($($(#[$doc:meta])* $name:ident = $role:path;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name(pub(super) Principal);

        impl FromRequestParts<State> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
                with_role(parts, $role).map(Self)
            }
        }
    )*};
}

callers! {
    /// Somebody who may look.
    Reader = Role::ReadOnly;
    /// Somebody who may write and change tickets.
    Agent = Role::Agent;
    /// Somebody who may do everything.
    Admin = Role::Admin;
}

fn with_role(parts: &Parts, least: Role) -> Result<Principal, Problem> {
    let principal = parts.extensions.get::<Principal>();
    let principal = principal.ok_or_else(|| unauthorized("nobody has signed in"))?;
    if principal.role < least {
        let text = format!("this needs the role {least}, and yours is {}", principal.role);
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", text));
    }
    Ok(principal.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: Method, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_cookie_changes_nothing_for_another_site() {
        let settings = WebSettings::usual("https://desk.example".to_owned());
        for (headers, expected) in [
            (&[][..], false),
            (&[("origin", "https://desk.example")][..], true),
            (&[("origin", "https://evil.example")][..], false),
            (&[("origin", "http://desk.example")][..], false),
            (&[("origin", "https://desk.example:444")][..], false),
            (&[("origin", "null")][..], false),
            (&[("origin", "http://desk.example"), ("host", "desk.example")][..], false),
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-site"), ("origin", "https://desk.example")][..], false),
            (&[("sec-fetch-site", "cross-site")][..], false),
            (&[("sec-fetch-site", "none")][..], false),
        ] {
            assert_eq!(
                is_same_origin(&parts(Method::POST, headers), &settings),
                expected,
                "{headers:?}"
            );
        }
        assert!(is_same_origin(&parts(Method::GET, &[]), &settings));
        let plain = WebSettings::usual("http://127.0.0.1:8080".to_owned());
        let from = |origin| parts(Method::POST, &[("origin", origin), ("host", "localhost:8080")]);
        assert!(is_same_origin(&from("http://localhost:8080"), &plain));
        assert!(is_same_origin(&from("http://127.0.0.1:8080"), &plain));
        assert!(!is_same_origin(&from("http://evil.example"), &plain));
    }

    #[test]
    fn the_cookie_is_found_among_others_by_its_whole_name() {
        let parts =
            parts(Method::GET, &[("cookie", "a=b; x__Host-tributary=1; __Host-tributary=2")]);
        assert_eq!(cookie(&parts.headers, "__Host-tributary"), Some("2"));
        assert_eq!(cookie(&parts.headers, "tributary"), None);
        assert_eq!(cookie_name(&WebSettings::usual("https://a".to_owned())), "__Host-tributary");
        assert_eq!(cookie_name(&WebSettings::usual("http://127.0.0.1".to_owned())), "tributary");
    }
}
