//! What other systems push: who says so, then cut into raws, one for each entry.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::entry::Entry;
use crate::channel::shared::sign::{constant_time_eq, hex};
use crate::channel::shared::webhook::{self, WebhookKeys};
use crate::channel::{Hook, Received, ReceivedAt, Refused};
use crate::model::{DedupeKey, Raw, Secret, Timestamp, Transport};

/// Entries of one request.
const ENTRIES_MAX: usize = 1_000;
/// Longest name of a request that a sender may give.
const KEY_BYTES_MAX: usize = 128;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How a sender proves who they are: each way only if there is something to prove it with.
pub(super) struct Door {
    pub(super) keys: Option<WebhookKeys>,
    pub(super) token: Option<Secret>,
}

impl Hook for Door {
    fn receive(&self, request: &Request<Bytes>) -> Result<Received, Refused> {
        if request.method() != Method::POST {
            return Err(refused(StatusCode::METHOD_NOT_ALLOWED, "method"));
        }
        let Some(ReceivedAt(now)) = request.extensions().get::<ReceivedAt>().copied() else {
            // Without the time no signature can be judged, so nobody gets in.
            return Err(refused(StatusCode::UNAUTHORIZED, "no_clock"));
        };
        let name = self.admit(request.headers(), request.body(), now)?;
        let bytes = request.body();
        let Ok(entries) = split(bytes) else {
            // From the right sender, but nothing that can be cut: kept whole, for a person to look at.
            let problem =
                Told { index: 0, id: None, problem: Some("the body is not JSON".to_owned()) };
            let raw = raw(bytes.clone(), format!("h:{}", digest(bytes)));
            return Ok(Received { raws: vec![raw], answer: answer(vec![problem])? });
        };
        if entries.len() > ENTRIES_MAX {
            return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "entries"));
        }
        let mut raws = Vec::with_capacity(entries.len());
        let mut told = Vec::with_capacity(entries.len());
        for (index, entry) in entries.into_iter().enumerate() {
            let read = Entry::read(&entry);
            let key = dedupe(name.as_deref(), index, &entry, read.as_ref().ok(), now);
            raws.push(raw(entry, key));
            let id = read.as_ref().ok().and_then(|entry| entry.id().map(str::to_owned));
            told.push(Told { index, id, problem: read.err() });
        }
        Ok(Received { raws, answer: answer(told)? })
    }
}

impl Door {
    /// Before a byte of the body is read as anything: is it from them? Returns the request's name.
    fn admit(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<String>, Refused> {
        let unauthorized = |why| refused(StatusCode::UNAUTHORIZED, why);
        if headers.contains_key(webhook::SIGNATURE) {
            let keys = self.keys.as_ref().ok_or_else(|| unauthorized("signature_not_expected"))?;
            let id = keys.verify(headers, body, now).map_err(|bad| unauthorized(bad.as_str()))?;
            return Ok(Some(id));
        }
        let given = bearer(headers).ok_or_else(|| unauthorized("no_credentials"))?;
        let token = self.token.as_ref().ok_or_else(|| unauthorized("token_not_expected"))?;
        // Both are hashed first, so that not even the length can be measured.
        let (ours, theirs) = (Sha256::digest(token.reveal()), Sha256::digest(given));
        if !constant_time_eq(&ours, &theirs) {
            return Err(unauthorized("token_wrong"));
        }
        let name = headers.get(IDEMPOTENCY_KEY).or_else(|| headers.get(webhook::ID));
        let name = name.and_then(|name| name.to_str().ok()).map(|name| name.trim_matches('"'));
        let sane = |name: &&str| !name.is_empty() && name.len() <= KEY_BYTES_MAX;
        Ok(name.filter(sane).map(str::to_owned))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let sane = values.next().is_none() && scheme.eq_ignore_ascii_case("bearer");
    sane.then(|| token.trim())
}

/// A list, or one entry that stands alone; each exactly as it was written.
fn split(body: &Bytes) -> Result<Vec<Bytes>, serde_json::Error> {
    let body = body
        .strip_prefix("\u{feff}".as_bytes())
        .map_or_else(|| body.clone(), |text| body.slice_ref(text));
    let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    if !is_list {
        serde_json::from_slice::<&RawValue>(&body)?;
        return Ok(vec![body]);
    }
    let entries: Vec<&RawValue> = serde_json::from_slice(&body)?;
    Ok(entries.iter().map(|entry| body.slice_ref(entry.get().as_bytes())).collect())
}

/// The same request again has the same keys. Without a name of the request an entry is known by what it
/// says; but news and changes may rightly come twice in the same words, so then each counts.
fn dedupe(
    name: Option<&str>,
    index: usize,
    entry: &[u8],
    read: Option<&Entry>,
    now: Timestamp,
) -> String {
    let hash = digest(entry);
    match (name, read) {
        // The hash is part of it: whoever uses a name twice for different things loses nothing.
        (Some(name), _) => format!("w:{name}:{index}:{hash}"),
        (None, Some(Entry::Message(_)) | None) => format!("h:{hash}"),
        (None, Some(Entry::Edit(_) | Entry::Delete(_) | Entry::Status(_))) => {
            format!("h:{hash}:{}", now.timestamp_millis())
        }
    }
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hex(hash.get(..16).unwrap_or(&hash))
}

fn raw(body: Bytes, dedupe: String) -> Raw {
    Raw { dedupe: DedupeKey(dedupe), body, transport: Transport::new(), received_at: None }
}

/// What the sender is told of one entry.
#[derive(Serialize)]
struct Told {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    /// Entries that are kept and understood.
    accepted: usize,
    /// Entries that are kept, and that a person has to look at.
    quarantined: usize,
    entries: Vec<Told>,
}

/// 202 if anything was understood: the rest is kept as well, and nobody should send it all again.
fn answer(entries: Vec<Told>) -> Result<Response<Bytes>, Refused> {
    let quarantined = entries.iter().filter(|entry| entry.problem.is_some()).count();
    let accepted = entries.len() - quarantined;
    let status = if accepted == 0 && quarantined > 0 {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::ACCEPTED
    };
    let body = serde_json::to_vec(&Answer { accepted, quarantined, entries });
    let response =
        Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    let failed = |_| refused(StatusCode::INTERNAL_SERVER_ERROR, "answer");
    let body = body.map_err(|_| refused(StatusCode::INTERNAL_SERVER_ERROR, "answer"))?;
    response.body(Bytes::from(body)).map_err(failed)
}

const fn refused(status: StatusCode, why: &'static str) -> Refused {
    Refused { status, why }
}
