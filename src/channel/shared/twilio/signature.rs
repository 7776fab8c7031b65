//! How Twilio proves that a request is its own: an HMAC over the address that it was told to call, and over what
//! it sends there.
//!
//! The address is the public one of our settings: behind a proxy, what a request says of its own host is
//! somebody's claim. Twilio is not consistent about the port in it, so each spelling counts.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode, header};
use sha2::{Digest as _, Sha256};
use url::{Url, form_urlencoded};

use super::form::Form;
use crate::channel::Refused;
use crate::channel::shared::sign::{base64, constant_time_eq, hex, hmac_sha1, hmac_sha256};
use crate::channel::shared::webhook::only;
use crate::model::Secret;

const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");
/// Says with which key and hash it was signed; without it, with the account's token and SHA-1.
const SETTINGS: HeaderName = HeaderName::from_static("x-twilio-webhooks-signature-settings");
/// No request of Twilio needs more.
const BODY_BYTES_MAX: usize = 256 * 1024;
/// The field of the address that covers a body which is no form.
const BODY_HASH: &str = "bodySHA256";

/// Who may come in.
pub struct Door {
    /// How the world reaches us: no slash at the end.
    pub public_url: String,
    /// The account's tokens, any of which may have signed.
    pub tokens: Vec<Secret>,
}

/// A request that Twilio signed.
#[derive(Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it sent. Empty where the body is no form.
    pub fields: Form,
    /// What stands in the address.
    pub query: Form,
}

/// With which hash a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// The account's token signs with this.
    Sha1,
    /// Shared keys sign with this.
    Sha256,
}

impl Door {
    /// Lets in what was signed by one of the tokens, and nothing else.
    pub fn admit(&self, request: &Request<Bytes>) -> Result<Signed, Refused> {
        let refused = |status, why| Refused { status, why };
        let (method, body) = (request.method(), request.body());
        if !matches!(*method, Method::GET | Method::POST) {
            return Err(refused(StatusCode::METHOD_NOT_ALLOWED, "method"));
        }
        if body.len() > BODY_BYTES_MAX {
            return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "size"));
        }
        let forbidden = |why| refused(StatusCode::FORBIDDEN, why);
        let Some(given) = only(request.headers(), &SIGNATURE) else {
            return Err(forbidden("signature_missing"));
        };
        let hash = hash_of(request.headers()).ok_or_else(|| forbidden("signature_hash"))?;
        let query = Form::read(request.uri().query().unwrap_or_default().as_bytes());
        let query = query.ok_or_else(|| forbidden("fields"))?;
        let fields = if body.is_empty() || *method == Method::GET {
            Some(Form::default())
        } else if is_form(request.headers()) {
            Form::read(body)
        } else {
            // The signature is over the address alone, which has to hold the hash of the body.
            let stated = query.get(BODY_HASH).unwrap_or_default();
            let real = hex(&Sha256::digest(body));
            constant_time_eq(stated.as_bytes(), real.as_bytes()).then(Form::default)
        };
        let fields = fields.ok_or_else(|| forbidden("body"))?;
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{}{path}", self.public_url);
        if self.is_signed((given, hash), &url, &fields) {
            Ok(Signed { fields, query })
        } else {
            Err(forbidden("signature_wrong"))
        }
    }

    /// Every spelling and every token is tried, whichever fits.
    fn is_signed(&self, (given, hash): (&str, Hash), url: &str, fields: &Form) -> bool {
        let spellings = spellings(url);
        let tokens = self.tokens.iter();
        let tries = tokens.flat_map(|token| spellings.iter().map(move |url| (token, url)));
        tries.fold(false, |known, (token, url)| {
            let expected = sign(token, hash, url, fields);
            known | constant_time_eq(expected.as_bytes(), given.as_bytes())
        })
    }
}

/// The signature of a request to `url` with these fields, in base64.
#[must_use]
pub fn sign(token: &Secret, hash: Hash, url: &str, fields: &Form) -> String {
    // What stands behind `#` is for Twilio itself.
    let mut text = url.split('#').next().unwrap_or_default().to_owned();
    let mut sorted: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, value) in fields.iter() {
        sorted.entry(name).or_default().insert(value);
    }
    for (name, values) in sorted {
        for value in values {
            text.push_str(name);
            text.push_str(value);
        }
    }
    let (key, text) = (token.reveal().as_bytes(), text.as_bytes());
    match hash {
        Hash::Sha1 => base64(&hmac_sha1(key, text)),
        Hash::Sha256 => base64(&hmac_sha256(key, text)),
    }
}

/// The same address in every spelling that Twilio may have signed: with and without the port that goes without
/// saying, each also with its query as old versions wrote it.
fn spellings(url: &str) -> BTreeSet<String> {
    let url = url.split('#').next().unwrap_or_default();
    let mut all = BTreeSet::from([url.to_owned()]);
    if let Some((scheme, rest)) = url.split_once("://") {
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        let usual = if scheme == "https" { ":443" } else { ":80" };
        let port = host.rfind(':').filter(|at| !host.split_at(*at).1.contains(']'));
        let (bare, with) = match port {
            Some(at) => (host.split_at(at).0.to_owned(), host.to_owned()),
            None => (host.to_owned(), format!("{host}{usual}")),
        };
        all.extend([bare, with].map(|host| format!("{scheme}://{host}{path}")));
    }
    let legacy: Vec<String> = all.iter().filter_map(|url| with_legacy_query(url)).collect();
    all.extend(legacy);
    all
}

/// The query read and written again, as Twilio's own library for JavaScript does.
fn with_legacy_query(url: &str) -> Option<String> {
    let (before, query) = url.split_once('?')?;
    let mut written = String::with_capacity(query.len());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !written.is_empty() {
            written.push('&');
        }
        escape(&name, &mut written);
        written.push('=');
        escape(&value, &mut written);
    }
    Some(format!("{before}?{written}"))
}

/// As `encodeURIComponent` of JavaScript.
fn escape(text: &str, written: &mut String) {
    const PLAIN: &[u8] = b"-_.!~*'()";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            written.push(char::from(byte));
        } else {
            written.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// `None`: a hash that nobody has told us of.
fn hash_of(headers: &HeaderMap) -> Option<Hash> {
    let mut given = headers.get_all(&SETTINGS).iter();
    let settings = match (given.next(), given.next()) {
        (None, _) => return Some(Hash::Sha1),
        (Some(one), None) => one.to_str().ok()?,
        (Some(_), Some(_)) => return None,
    };
    let named = settings.split(',').filter_map(|part| part.split_once('='));
    let mut named = named.filter(|(name, _)| name.trim() == "algorithm");
    match named.next_back().map_or("", |(_, value)| value.trim()) {
        "" | "HMAC_SHA1" => Some(Hash::Sha1),
        "HMAC_SHA256" => Some(Hash::Sha256),
        _ => None,
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.split(';').next()).unwrap_or_default();
    given.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Our own address for Twilio to call, with what it is asked to do when that fails: it asks again if nothing
/// answers, takes too long, or says that it cannot now.
#[must_use]
pub fn callback(public_url: &str, path: &str, query: &[(&str, &str)]) -> Option<Url> {
    let mut url = Url::parse(&format!("{public_url}{path}")).ok()?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    url.set_fragment(Some("rc=2&rp=ct,rt,5xx"));
    Some(url)
}

#[cfg(test)]
mod tests;
