//! What the service pushes: it proves itself by a signature over the bytes as they came, and asks once whether
//! we are who should get it.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use super::cut;
use crate::channel::shared::sign::{constant_time_eq, hex, hmac_sha256};
use crate::channel::{Hook, Received, Refused};
use crate::model::{DedupeKey, Raw, Secret, Transport};

const SIGNATURE: HeaderName = HeaderName::from_static("x-hub-signature-256");
/// Longest challenge that is given back.
const CHALLENGE_BYTES_MAX: usize = 256;

/// How the service proves that it is itself.
pub struct Door {
    /// The app's secrets, any of which may have signed.
    pub secrets: Vec<Secret>,
    pub verify_token: Secret,
}

impl Hook for Door {
    fn receive(&self, request: &Request<Bytes>) -> Result<Received, Refused> {
        if *request.method() == Method::GET {
            return self.verify(request.uri().query().unwrap_or_default());
        }
        if *request.method() != Method::POST {
            return Err(refused(StatusCode::METHOD_NOT_ALLOWED, "method"));
        }
        if !self.is_signed(request) {
            return Err(refused(StatusCode::FORBIDDEN, "signature"));
        }
        let raws = cut::pieces(request.body()).into_iter().map(raw).collect();
        Ok(Received { raws, answer: answer(Bytes::new()) })
    }
}

impl Door {
    /// The handshake when the address is entered: the challenge goes back to whoever knows the token.
    fn verify(&self, query: &str) -> Result<Received, Refused> {
        let field = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let token = field("hub.verify_token").unwrap_or_default();
        let known = constant_time_eq(
            &Sha256::digest(token.as_bytes()),
            &Sha256::digest(self.verify_token.reveal().as_bytes()),
        );
        let challenge = field("hub.challenge").filter(|text| text.len() <= CHALLENGE_BYTES_MAX);
        match challenge {
            Some(challenge) if known && field("hub.mode").as_deref() == Some("subscribe") => {
                Ok(Received { raws: Vec::new(), answer: answer(challenge.into()) })
            }
            _ => Err(refused(StatusCode::FORBIDDEN, "verify_token")),
        }
    }

    fn is_signed(&self, request: &Request<Bytes>) -> bool {
        let mut given = request.headers().get_all(SIGNATURE).iter();
        let (Some(one), None) = (given.next(), given.next()) else { return false };
        let signature = one.to_str().ok().and_then(|text| text.strip_prefix("sha256="));
        let signature = signature.and_then(|text| HEXLOWER.decode(text.as_bytes()).ok());
        let Some(signature) = signature else { return false };
        self.secrets.iter().any(|secret| {
            constant_time_eq(&hmac_sha256(secret.reveal().as_bytes(), request.body()), &signature)
        })
    }
}

/// The same piece again has the same key; whatever differs counts.
fn raw(body: Bytes) -> Raw {
    let hash = Sha256::digest(&body);
    let key = format!("h:{}", hex(hash.get(..16).unwrap_or(&hash)));
    Raw { dedupe: DedupeKey(key), body, transport: Transport::new(), received_at: None }
}

/// As plain text: what comes back was chosen by whoever asked.
fn answer(body: Bytes) -> Response<Bytes> {
    let mut answer = Response::new(body);
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

const fn refused(status: StatusCode, why: &'static str) -> Refused {
    Refused { status, why }
}
