//! What a request says, read strictly: an unknown key, a wrong type or a wrong media type is told, never
//! passed over.

use std::fmt::Display;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode, Uri, header};
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use super::super::{Problem, State};
use super::check;
use crate::model::ChannelName;
use crate::store::TicketName;

/// A JSON body.
pub(super) struct Body<T> {
    /// What it says.
    pub(super) value: T,
    /// A hash over where it was sent to and every byte of it: the same wish has the same.
    pub(super) fingerprint: String,
}

/// A JSON body whose words are kept as they are, and shown: no secret belongs into any of them.
pub(super) struct Kept<T>(pub(super) Body<T>);

impl<T: DeserializeOwned> FromRequest<State> for Kept<T> {
    type Rejection = Problem;

    async fn from_request(
        request: Request<axum::body::Body>,
        state: &State,
    ) -> Result<Self, Problem> {
        let (path, bytes) = taken(request, state).await?;
        let mut words = Vec::new();
        // What is no JSON is told below.
        if let Ok(json) = serde_json::from_slice(&bytes) {
            collect(&json, String::new(), &mut words);
        }
        check::no_secrets(state, words).await?;
        Body::of(&path, &bytes).map(Self)
    }
}

/// All texts of a value, by where they stand. The parser has bounded how deep it is.
fn collect(value: &Value, at: String, words: &mut Vec<(String, String)>) {
    let below = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match value {
        Value::String(text) => words.push((at, text.clone())),
        Value::Array(items) => {
            for (place, item) in items.iter().enumerate() {
                collect(item, format!("{at}[{place}]"), words);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                collect(field, below(key), words);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl<T: DeserializeOwned> FromRequest<State> for Body<T> {
    type Rejection = Problem;

    async fn from_request(
        request: Request<axum::body::Body>,
        state: &State,
    ) -> Result<Self, Problem> {
        let (path, bytes) = taken(request, state).await?;
        Self::of(&path, &bytes)
    }
}

impl<T: DeserializeOwned> Body<T> {
    fn of(path: &str, bytes: &[u8]) -> Result<Self, Problem> {
        let value = parse(bytes)?;
        Ok(Self { value, fingerprint: fingerprint(&[path.as_bytes(), bytes]) })
    }
}

/// Where a body was sent to, and its bytes.
async fn taken(
    request: Request<axum::body::Body>,
    state: &State,
) -> Result<(String, Bytes), Problem> {
    if !is_json(request.headers()) {
        let text = "the body must be application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Problem::new(status, "unsupported_media_type", text));
    }
    let path = request.uri().path().to_owned();
    let bytes = Bytes::from_request(request, state).await;
    Ok((path, bytes.map_err(|rejection| unread_body(rejection.status()))?))
}

/// A hash over several texts, in hex.
pub(super) fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    data_encoding::HEXLOWER.encode(&hash.finalize())
}

/// Why a body was not taken: it is too large, or the line broke.
pub(super) fn unread_body(status: StatusCode) -> Problem {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(status, "too_large", "the body is too large")
    } else {
        Problem::new(StatusCode::BAD_REQUEST, "bad_body", "the body did not come whole")
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(bytes) {
        let text = format!("this is not JSON: {error}");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_json", text));
    }
    let invalid =
        |detail: &str| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail.to_owned());
    if holds_nul(bytes) {
        return Err(invalid("the character U+0000 cannot be kept"));
    }
    // A list would be taken for the fields in the order in which we happen to have written them.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(invalid("expected an object, found a list"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, inner) = (error.path().to_string(), error.inner());
        match path.as_str() {
            "." => invalid(&inner.to_string()),
            _ => Problem::invalid(&path, format!("{path}: {inner}")),
        }
    })
}

/// Is there an escaped U+0000 anywhere? Databases take none, and nobody means one.
fn holds_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (_, escape) = rest.split_at(at);
        if escape.starts_with(b"\\u0000") {
            return true;
        }
        // The character after a backslash never begins an escape.
        rest = escape.get(2..).unwrap_or_default();
    }
    false
}

/// The query. A key that comes several times is a list, as if its values were separated by commas.
pub(super) struct Filters<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<State> for Filters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Problem> {
        query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// A query as a text; the same rules.
pub(super) fn query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad_query", detail);
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (key, value) in form_urlencoded::parse(query.as_bytes()) {
        if value.contains('\0') || key.contains('\0') {
            return Err(bad("the character U+0000 is in no value".to_owned()));
        }
        match pairs.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => {
                known.push(',');
                known.push_str(&value);
            }
            None => pairs.push((key.into_owned(), value.into_owned())),
        }
    }
    let joined = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let uri = Uri::builder().path_and_query(format!("/?{joined}")).build();
    let uri = uri.map_err(|_| bad("the query is too long".to_owned()))?;
    let read = axum::extract::Query::<T>::try_from_uri(&uri);
    let read = read.map_err(|rejection| {
        let text = rejection.body_text();
        let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
        bad(text.to_owned())
    })?;
    Ok(read.0)
}

/// For a filter of several words: `status=open,pending`.
pub(super) fn list<'de, D, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(from)?;
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(|word| word.parse().map_err(D::Error::custom)).collect()
}

/// For a key that may be left out (leave it) or null (empty it).
pub(super) fn emptied<'de, D, T>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(from).map(Some)
}

/// The `{id}` of the path.
#[derive(Debug)]
pub(super) struct Id(String);

impl FromRequestParts<State> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let params = params.map_err(|_| Problem::no_such("thing"))?;
        let id = params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value.to_owned());
        id.map(Self).ok_or_else(|| Problem::no_such("thing"))
    }
}

impl Id {
    /// As the id of this sort of thing. What is no id is the id of nothing.
    pub(super) fn of<T: FromStr>(&self, what: &'static str) -> Result<T, Problem> {
        self.0.parse().map_err(|_| Problem::no_such(what))
    }

    /// As the id or the number of a ticket.
    pub(super) fn ticket(&self) -> Result<TicketName, Problem> {
        Ok(self.0.parse()?)
    }
}

/// The `{name}` of the path: a channel's.
pub(super) struct Name(pub(super) ChannelName);

impl FromRequestParts<State> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Problem> {
        let none = || Problem::no_such("channel");
        let params = RawPathParams::from_request_parts(parts, state).await.map_err(|_| none())?;
        let name = params.iter().find(|(name, _)| *name == "name").map(|(_, value)| value);
        name.and_then(|name| name.parse().ok()).map(Self).ok_or_else(none)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        #[serde(default, deserialize_with = "list")]
        tag: Vec<String>,
        limit: Option<u32>,
    }

    #[test]
    fn a_key_that_comes_twice_is_a_list() {
        let wanted: Wanted = query("tag=a&limit=3&tag=b,c%20d").unwrap();
        assert_eq!(
            wanted,
            Wanted { tag: vec!["a".into(), "b".into(), "c d".into()], limit: Some(3) }
        );
    }

    #[test]
    fn every_fault_of_a_query_names_its_key() {
        for (text, named) in [
            ("tga=a", "tga"),
            ("limit=-1", "limit"),
            ("limit=1e9", "limit"),
            ("limit=1&limit=2", "limit"),
            ("limit=99999999999999999999", "limit"),
        ] {
            let problem = query::<Wanted>(text).unwrap_err();
            assert_eq!(problem.status, StatusCode::BAD_REQUEST);
            assert!(problem.detail.contains(named), "{text}: {}", problem.detail);
        }
        assert!(query::<Wanted>("tag=%00").is_err());
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sent {
        #[expect(dead_code, reason = "only its reading is tried")]
        inner: Vec<Wanted>,
    }

    #[test]
    fn a_body_is_told_where_it_is_wrong() {
        let told = |text: &str| {
            let problem = parse::<Sent>(text.as_bytes()).unwrap_err();
            (problem.status.as_u16(), problem.code, problem.field.unwrap_or_default())
        };
        assert_eq!(told("{"), (400, "bad_json", String::new()));
        assert_eq!(told(""), (400, "bad_json", String::new()));
        assert_eq!(told("{\"inner\":[]} x"), (400, "bad_json", String::new()));
        assert_eq!(told("[1]").0, 422);
        assert_eq!(
            told(" [[]]").0,
            422,
            "a list is no object whose fields are known by their places"
        );
        assert_eq!(
            told("{\"inner\":[{\"limit\":\"x\"}]}"),
            (422, "invalid", "inner[0].limit".into())
        );
        assert_eq!(told("{\"inner\":[{\"role\":1}]}"), (422, "invalid", "inner[0].role".into()));
        assert_eq!(told("{\"inner\":[{\"limit\":null,\"tag\":\"a\\u0000\"}]}").0, 422);
        let deep = format!("{{\"inner\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(parse::<Sent>(deep.as_bytes()).is_err(), "no stack is blown");
        let deep = parse::<Value>(&format!("{}1{}", "[".repeat(200), "]".repeat(200)).into_bytes());
        assert_eq!(deep.unwrap_err().status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[test]
    fn an_escaped_backslash_is_no_escape() {
        assert!(holds_nul(br#""a\u0000""#));
        assert!(!holds_nul(br#""a\\u0000""#));
        assert!(holds_nul(br#""a\\\u0000""#));
        assert!(!holds_nul(br#""a\"#));
    }
}
