//! Who comes in: tokens of our own, and identities that the customer's system signed.
//!
//! A token is `tv1.<payload>.<mark>`: the payload is JSON in base64, the mark 256 bits of HMAC that also
//! cover the channel's name. A token can so be checked on every node without looking anything up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::settings::Identity;
use super::{WebChat, text};
use crate::channel::chat::{Knock, SignedId, Unwelcome, Visitor};
use crate::channel::shared::sign::{constant_time_eq, hmac_sha256};
use crate::model::{Timestamp, UploadId};

const PREFIX: &str = "tv1.";
/// Longer than any token that we make.
const TOKEN_BYTES_MAX: usize = 4096;
/// Clocks differ.
const LEEWAY_SECONDS: i64 = 60;
/// A JWT that lives longer is as good as a password that never changes.
const JWT_LIFE_SECONDS: i64 = 24 * 3600;
const USER_ID_CHARS_MAX: usize = 200;

/// What a token says; short names, since it travels with every request.
#[derive(Serialize, Deserialize)]
struct Payload {
    v: String,
    u: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l: Option<String>,
    i: i64,
    x: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct Claims {
    sub: serde_json::Value,
    exp: i64,
    nbf: Option<i64>,
    aud: Option<serde_json::Value>,
    name: Option<String>,
    email: Option<String>,
}

fn void(code: &'static str, why: &str) -> Unwelcome {
    Unwelcome::Token(code, why.to_owned())
}

impl WebChat {
    pub(super) fn admit_one(&self, knock: &Knock, now: Timestamp) -> Result<Visitor, Unwelcome> {
        let before = knock.token.as_deref().map(|token| self.open(token, now)).transpose()?;
        let mut visitor = if let Some(jwt) = &knock.jwt {
            self.by_jwt(jwt, now)?
        } else if let Some(identity) = &knock.identity {
            self.by_hash(identity, now)?
        } else if let Some(before) = before {
            Visitor { issued_at: now, expires_at: now + self.settings.session, ..before }
        } else {
            let mut chance = [0_u8; 16];
            rand::fill(&mut chance);
            let id = format!("a:{}", BASE32_NOPAD.encode(&chance).to_ascii_lowercase());
            self.fresh(id, false, now)
        };
        if self.settings.identity == Identity::Required && !visitor.identified {
            let why =
                "only people whom the site vouches for can chat here: send `jwt` or `identity`";
            return Err(void("identity_required", why));
        }
        if let Some(language) = &knock.language {
            visitor.language = language_tag(language).or(visitor.language);
        }
        Ok(visitor)
    }

    fn fresh(&self, id: String, identified: bool, now: Timestamp) -> Visitor {
        Visitor {
            id,
            identified,
            name: None,
            email: None,
            language: None,
            issued_at: now,
            expires_at: now + self.settings.session,
        }
    }

    fn known(&self, user: &str, now: Timestamp) -> Result<Visitor, Unwelcome> {
        let usable = text::line(user, USER_ID_CHARS_MAX);
        if usable.as_deref() != Some(user) {
            let why = format!("a user id has 1 to {USER_ID_CHARS_MAX} visible characters");
            return Err(void("bad_identity", &why));
        }
        Ok(self.fresh(format!("u:{user}"), true, now))
    }

    fn checks_identities(&self) -> Result<(), Unwelcome> {
        match self.settings.identity {
            Identity::Optional | Identity::Required => Ok(()),
            Identity::Off => {
                Err(void("identity_off", "this channel takes no signed identities: see `identity`"))
            }
        }
    }

    fn by_hash(&self, identity: &SignedId, now: Timestamp) -> Result<Visitor, Unwelcome> {
        self.checks_identities()?;
        let given = identity.hash.to_ascii_lowercase();
        let signed = self.settings.identity_keys.iter().any(|key| {
            let mac = hmac_sha256(key.reveal().as_bytes(), identity.user_id.as_bytes());
            constant_time_eq(HEXLOWER.encode(&mac).as_bytes(), given.as_bytes())
        });
        if !signed {
            return Err(void("bad_identity", "the hash does not belong to this user id"));
        }
        let mut visitor = self.known(&identity.user_id, now)?;
        visitor.name = identity.name.as_deref().and_then(|name| text::line(name, 100));
        visitor.email = identity.email.as_deref().and_then(text::mail);
        Ok(visitor)
    }

    fn by_jwt(&self, jwt: &str, now: Timestamp) -> Result<Visitor, Unwelcome> {
        self.checks_identities()?;
        let bad = |why: &str| void("bad_identity", why);
        if jwt.len() > TOKEN_BYTES_MAX {
            return Err(bad("the JWT is too long"));
        }
        let shape = || bad("this is no JWT");
        let (signed, mark) = jwt.rsplit_once('.').ok_or_else(shape)?;
        let (header, claims) = signed.split_once('.').ok_or_else(shape)?;
        let decode = |part: &str| BASE64.decode(part).map_err(|_| shape());
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| shape())?;
        // Never what the token itself proposes: `none`, or a public key as a secret, would be taken.
        if header.alg != "HS256" {
            return Err(bad("the JWT must be signed with HS256"));
        }
        let mark = decode(mark)?;
        let known = self.settings.identity_keys.iter().any(|key| {
            let mac = hmac_sha256(key.reveal().as_bytes(), signed.as_bytes());
            constant_time_eq(&mac, &mark)
        });
        if !known {
            return Err(bad("none of our keys signed this JWT"));
        }
        let claims: Claims = serde_json::from_slice(&decode(claims)?)
            .map_err(|_| bad("the JWT needs `sub` and `exp`"))?;
        self.by_claims(&claims, now)
    }

    fn by_claims(&self, claims: &Claims, now: Timestamp) -> Result<Visitor, Unwelcome> {
        let bad = |why: &str| void("bad_identity", why);
        let at = now.timestamp();
        if claims.exp <= at - LEEWAY_SECONDS {
            return Err(bad("the JWT is over"));
        }
        if claims.exp > at + JWT_LIFE_SECONDS + LEEWAY_SECONDS {
            return Err(bad("the JWT lives too long: `exp` must be within a day"));
        }
        if claims.nbf.is_some_and(|begins| begins > at + LEEWAY_SECONDS) {
            return Err(bad("the JWT is not good yet"));
        }
        let ours = |aud: &serde_json::Value| aud.as_str() == Some(self.name.as_str());
        let for_us = match &claims.aud {
            None => true,
            Some(serde_json::Value::Array(all)) => all.iter().any(ours),
            Some(one) => ours(one),
        };
        if !for_us {
            return Err(bad("the JWT is for somebody else: `aud` must be the channel's name"));
        }
        let user = claims.sub.as_str().map(str::to_owned);
        let user = user.or_else(|| claims.sub.as_i64().map(|number| number.to_string()));
        let user = user.ok_or_else(|| bad("`sub` must be a text"))?;
        let mut visitor = self.known(&user, now)?;
        visitor.name = claims.name.as_deref().and_then(|name| text::line(name, 100));
        visitor.email = claims.email.as_deref().and_then(text::mail);
        Ok(visitor)
    }

    pub(super) fn seal(&self, visitor: &Visitor) -> String {
        let payload = Payload {
            v: visitor.id.clone(),
            u: visitor.identified,
            n: visitor.name.clone(),
            e: visitor.email.clone(),
            l: visitor.language.clone(),
            i: visitor.issued_at.timestamp_millis(),
            x: visitor.expires_at.timestamp_millis(),
        };
        // A struct of texts and numbers always becomes JSON.
        let payload = BASE64.encode(serde_json::to_vec(&payload).unwrap_or_default());
        let mark = self.signer.mark(&format!("visitor:{}", self.name), &payload);
        format!("{PREFIX}{payload}.{mark}")
    }

    pub(super) fn open(&self, token: &str, now: Timestamp) -> Result<Visitor, Unwelcome> {
        let bad = || void("bad_token", "this is no token of this channel");
        if token.len() > TOKEN_BYTES_MAX {
            return Err(bad());
        }
        let rest = token.strip_prefix(PREFIX).ok_or_else(bad)?;
        let (payload, mark) = rest.split_once('.').ok_or_else(bad)?;
        if !self.signer.is_mark(&format!("visitor:{}", self.name), payload, mark) {
            return Err(bad());
        }
        let payload = BASE64.decode(payload).map_err(|_| bad())?;
        let payload: Payload = serde_json::from_slice(&payload).map_err(|_| bad())?;
        let moment = |millis| Timestamp::from_timestamp_millis(millis).ok_or_else(bad);
        let (issued_at, expires_at) = (moment(payload.i)?, moment(payload.x)?);
        if expires_at <= now {
            return Err(void("token_expired", "the token is over: begin a new session"));
        }
        Ok(Visitor {
            id: payload.v,
            identified: payload.u,
            name: payload.n,
            email: payload.e,
            language: payload.l,
            issued_at,
            expires_at,
        })
    }

    pub(super) fn name_file(&self, visitor: &Visitor, upload: UploadId) -> String {
        format!("{upload}.{}", self.signer.mark(&self.file_purpose(visitor), &upload.to_string()))
    }

    pub(super) fn read_file_name(&self, visitor: &Visitor, name: &str) -> Option<UploadId> {
        let (upload, mark) = name.split_once('.')?;
        let upload: UploadId = upload.parse().ok()?;
        let is_theirs = self.signer.is_mark(&self.file_purpose(visitor), &upload.to_string(), mark);
        is_theirs.then_some(upload)
    }

    fn file_purpose(&self, visitor: &Visitor) -> String {
        format!("file:{}:{}", self.name, visitor.id)
    }
}

/// `zh-CN`, `en`: letters, digits and hyphens.
fn language_tag(text: &str) -> Option<String> {
    let fits = (2..=35).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fits.then(|| text.to_owned())
}
