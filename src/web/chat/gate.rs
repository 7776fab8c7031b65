//! Before anything else: is there such a channel, may this site talk to it, does this address ask too often?

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State as Get};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use url::Url;

use super::Refusal;
use crate::channel::Chat;
use crate::channel::chat::ChatRules;
use crate::model::ChannelName;
use crate::web::{Problem, State, client};

/// A chat that is there, and who asks.
#[derive(Clone)]
pub(super) struct Open {
    pub(super) channel: ChannelName,
    pub(super) chat: Arc<dyn Chat>,
    /// For rates: a whole network counts as one, since one person may have many addresses of it.
    pub(super) network: String,
}

/// What a site is told it may do.
const PREFLIGHT: &[(&str, &str)] = &[
    ("access-control-allow-methods", "GET, POST, DELETE"),
    ("access-control-allow-headers", "authorization, content-type, last-event-id"),
    ("access-control-max-age", "600"),
];

pub(super) async fn check(Get(state): Get<State>, request: Request, next: Next) -> Response {
    let Some((channel, chat)) = named(&state, request.uri().path()) else {
        return Refusal::nothing_here().into_response();
    };
    let rules = chat.rules();
    let origin = match allowed(rules, request.headers(), &state.settings.public_url) {
        Ok(origin) => origin,
        Err(problem) => return problem.into_response(),
    };
    let (parts, body) = request.into_parts();
    let network = client::network(&parts, &state.settings).to_string();
    let mut request = Request::from_parts(parts, body);
    let per_minute = (rules.requests_per_minute, Duration::from_secs(60));
    let within = state.rates.take(("requests", &channel, &network), per_minute);
    let mut response = match within {
        Err(after) => Refusal::too_fast(after).into_response(),
        Ok(()) if request.method() == Method::OPTIONS => preflight(),
        Ok(()) => {
            request.extensions_mut().insert(Open { channel, chat, network });
            in_our_words(next.run(request).await)
        }
    };
    share(response.headers_mut(), origin.as_ref());
    response
}

/// What was refused before any of us saw it (a body that is too large, a query that is none), in the form of all other
/// refusals.
fn in_our_words(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let ours = kind.is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain"));
    if !status.is_client_error() || ours {
        return response;
    }
    let (code, why) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the request is too large"),
        StatusCode::METHOD_NOT_ALLOWED => {
            ("method", "this is not done here: see the `Allow` header")
        }
        _ => ("bad_request", "the request is not what is expected here"),
    };
    let mut told = Problem::new(status, code, why).into_response();
    let allow = response.headers().get(header::ALLOW);
    told.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow.clone())));
    told
}

/// The channel in `/chat/<channel>/…`, if visitors are let in there.
fn named(state: &State, path: &str) -> Option<(ChannelName, Arc<dyn Chat>)> {
    let name: ChannelName = path.split('/').nth(2)?.parse().ok()?;
    let chat = state.engine.with_channel(&name, |channel| channel.chat.clone())??;
    Some((name, chat))
}

fn preflight() -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    for (name, value) in PREFLIGHT {
        response.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    response
}

/// The browser may hand the answer to the page. Cookies never play a part here.
fn share(headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let shown = HeaderValue::from_static("retry-after");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, shown);
        let cross = HeaderValue::from_static("cross-origin");
        headers.insert("cross-origin-resource-policy", cross);
    }
}

/// The origin to answer to. `None`: no browser, or a page of our own; such a request proves nothing, but
/// neither does it lend a visitor's browser to a stranger.
fn allowed(
    rules: &ChatRules,
    headers: &HeaderMap,
    public_url: &str,
) -> Result<Option<HeaderValue>, Problem> {
    let mut given = headers.get_all(header::ORIGIN).iter();
    let Some(origin) = given.next() else { return Ok(None) };
    let refused = || {
        let why = "this site may not use the chat: add it to `origins` of the channel";
        Problem::new(StatusCode::FORBIDDEN, "origin_not_allowed", why)
    };
    let text = origin.to_str().map_err(|_| refused())?.to_lowercase();
    if given.next().is_some() {
        return Err(refused());
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let ours = Url::parse(public_url).is_ok_and(|url| url.origin().ascii_serialization() == text);
    let same = text.split_once("://").is_some_and(|(_, at)| at.eq_ignore_ascii_case(host));
    if ours || same || rules.origins.contains(&text) {
        return Ok(Some(origin.clone()));
    }
    if rules.origins.iter().any(|any| any == "*") {
        return Ok(Some(HeaderValue::from_static("*")));
    }
    Err(refused())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (header::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    fn rules(origins: &[&str]) -> ChatRules {
        ChatRules {
            origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
            demo: false,
            file_bytes_max: 1,
            files_max: 1,
            file_types: Vec::new(),
            messages_per_minute: 1,
            sessions_per_hour: 1,
            files_per_hour: 1,
            requests_per_minute: 1,
            streams_max: 1,
            continuity: None,
        }
    }

    #[test]
    fn only_named_sites_and_our_own_may_talk() {
        let ask = |origins: &[&str], origin: &str| {
            let headers = headers(&[("origin", origin), ("host", "chat.example.com")]);
            allowed(&rules(origins), &headers, "https://support.example.com")
        };
        let app = ["https://app.example.com"];
        for good in
            ["https://app.example.com", "https://support.example.com", "https://chat.example.com"]
        {
            assert_eq!(ask(&app, good).unwrap().unwrap(), good);
        }
        for bad in [
            "https://evil.example",
            "null",
            "http://app.example.com",
            "https://app.example.com.evil.example",
            "https://app.example.com:8443",
            "https://xapp.example.com",
            "",
        ] {
            assert!(ask(&app, bad).is_err(), "{bad}");
        }
        assert_eq!(ask(&["*"], "https://evil.example").unwrap().unwrap(), "*");
        let native = allowed(&rules(&[]), &headers(&[("host", "a")]), "https://a").unwrap();
        assert!(native.is_none(), "a native app sends no origin");
    }
}
