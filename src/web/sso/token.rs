//! The ID token: what a provider says about somebody, signed (`OpenID` Connect Core 3.1.3.7, RFC 7515).
//!
//! Pure: the keys and the time are given.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::Duration;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::model::Timestamp;

/// Two clocks may differ by so much.
const SKEW: Duration = Duration::seconds(90);
/// Longest token that is looked at.
const TOKEN_BYTES_MAX: usize = 64 * 1024;
const SUBJECT_CHARS_MAX: usize = 255;

/// Why a token is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadToken {
    #[error("it is no signed token")]
    Shape,
    /// Never `none`, and none with a shared key: whoever knows our client's name could make those.
    #[error("it is signed in a way that is not taken")]
    Algorithm,
    #[error("the provider has no key by which it could be signed")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("it was issued by somebody else")]
    Issuer,
    #[error("it was issued for somebody else")]
    Audience,
    #[error("it is too old, or not good yet")]
    Time,
    #[error("it answers another sign-in")]
    Nonce,
}

/// The ways of signing that are taken.
#[derive(Debug, Clone, Copy)]
enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" => Self::EdDsa,
            _ => return None,
        })
    }

    /// The sort of key, and its curve.
    const fn key(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 => ("RSA", None),
            Self::Es256 => ("EC", Some("P-256")),
            Self::Es384 => ("EC", Some("P-384")),
            Self::EdDsa => ("OKP", Some("Ed25519")),
        }
    }
}

/// A public key of a provider (RFC 7517).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Key {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Key {
    fn fits(&self, name: &str, algorithm: Algorithm, kid: Option<&str>) -> bool {
        let (kty, curve) = algorithm.key();
        self.kty == kty
            && (curve.is_none() || self.crv.as_deref() == curve)
            && self.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && self.alg.as_deref().is_none_or(|alg| alg == name)
            && (kid.is_none() || self.kid.as_deref() == kid)
    }

    fn has_signed(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Option<()> {
        let part = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
        let curve = |verifier, key: Vec<u8>| UnparsedPublicKey::new(verifier, key);
        let point = || Some([vec![4], part(&self.x)?, part(&self.y)?].concat());
        let rsa = |verifier: &'static signature::RsaParameters| {
            let plain = |bytes: Vec<u8>| -> Vec<u8> {
                bytes.into_iter().skip_while(|byte| *byte == 0).collect()
            };
            let key = RsaPublicKeyComponents { n: plain(part(&self.n)?), e: plain(part(&self.e)?) };
            key.verify(verifier, message, signature).ok()
        };
        match algorithm {
            Algorithm::Rs256 => rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Ps256 => rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Algorithm::Es256 => {
                let key = curve(&signature::ECDSA_P256_SHA256_FIXED, point()?);
                key.verify(message, signature).ok()
            }
            Algorithm::Es384 => {
                let key = curve(&signature::ECDSA_P384_SHA384_FIXED, point()?);
                key.verify(message, signature).ok()
            }
            Algorithm::EdDsa => {
                let key = curve(&signature::ED25519, part(&self.x)?);
                key.verify(message, signature).ok()
            }
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that must be understood. We understand none.
    crit: Option<Value>,
}

/// What a token has to say to be believed.
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e str,
    pub(super) client_id: &'e str,
    pub(super) nonce: &'e str,
}

/// What a provider says about somebody, believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) name: Option<String>,
    all: Map<String, Value>,
}

impl Claims {
    /// The mail address, if the provider says that it is theirs. Some say so in a text.
    pub(super) fn verified_email(&self) -> Option<&str> {
        let verified = self.all.get("email_verified");
        let verified = verified.is_some_and(|said| said == true || said == "true");
        let email = self.all.get("email").and_then(Value::as_str);
        email
            .filter(|email| verified && email.contains('@') && !email.contains(char::is_whitespace))
    }

    /// The groups at this place: a list of texts, or one.
    pub(super) fn groups(&self, place: &str) -> BTreeSet<String> {
        let found = self.all.get(place).or_else(|| {
            let mut steps = place.split('.');
            let first = self.all.get(steps.next()?)?;
            steps.try_fold(first, |at, step| at.get(step))
        });
        match found {
            Some(Value::Array(list)) => {
                list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            Some(Value::String(one)) => BTreeSet::from([one.clone()]),
            _ => BTreeSet::new(),
        }
    }
}

/// Reads a token, and believes it only if a key of the provider signed it, for us, now, for this sign-in.
pub(super) fn verify(
    token: &str,
    keys: &[Key],
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Claims, BadToken> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(BadToken::Shape);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(BadToken::Shape)?;
    let (header, payload) = message.split_once('.').ok_or(BadToken::Shape)?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| BadToken::Shape);
    let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| BadToken::Shape)?;
    if header.crit.is_some() {
        return Err(BadToken::Algorithm);
    }
    let algorithm = Algorithm::read(&header.alg).ok_or(BadToken::Algorithm)?;
    let fitting: Vec<&Key> =
        keys.iter().filter(|key| key.fits(&header.alg, algorithm, header.kid.as_deref())).collect();
    if fitting.is_empty() {
        return Err(BadToken::UnknownKey);
    }
    let signature = decode(signature)?;
    let signed = |key: &&Key| key.has_signed(algorithm, message.as_bytes(), &signature).is_some();
    if !fitting.iter().any(signed) {
        return Err(BadToken::Signature);
    }
    let all: Map<String, Value> =
        serde_json::from_slice(&decode(payload)?).map_err(|_| BadToken::Shape)?;
    believed(all, expected, now)
}

/// The claims themselves: for whom, by whom, when, and for which sign-in.
fn believed(
    all: Map<String, Value>,
    expected: &Expected<'_>,
    now: Timestamp,
) -> Result<Claims, BadToken> {
    let text = |name: &str| all.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(BadToken::Issuer);
    }
    let (ours, others) = match all.get("aud") {
        Some(Value::String(one)) => (one == expected.client_id, false),
        Some(Value::Array(list)) => {
            (list.iter().any(|one| one == expected.client_id), list.len() > 1)
        }
        _ => (false, false),
    };
    let party = text("azp").map(|party| party == expected.client_id);
    if !ours || party == Some(false) || (others && party.is_none()) {
        return Err(BadToken::Audience);
    }
    let moment = |name: &str| all.get(name).and_then(Value::as_f64);
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far from that")]
    let (early, late) = ((now - SKEW).timestamp() as f64, (now + SKEW).timestamp() as f64);
    let too_early = |name: &str| moment(name).is_some_and(|at| at > late);
    let over = moment("exp").is_none_or(|end| end <= early);
    if over || moment("iat").is_none() || too_early("iat") || too_early("nbf") {
        return Err(BadToken::Time);
    }
    if text("nonce") != Some(expected.nonce) {
        return Err(BadToken::Nonce);
    }
    let subject = text("sub")
        .filter(|subject| !subject.is_empty() && subject.chars().count() <= SUBJECT_CHARS_MAX);
    let subject = subject.ok_or(BadToken::Shape)?.to_owned();
    let name = text("name").or_else(|| text("preferred_username")).map(str::to_owned);
    Ok(Claims { issuer: expected.issuer.to_owned(), subject, name, all })
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    const EXPECTED: Expected<'_> =
        Expected { issuer: "https://login.example", client_id: "tributary", nonce: "n" };

    fn now() -> Timestamp {
        chrono::Utc.timestamp_opt(1_800_000_000, 0).single().unwrap()
    }

    fn claims() -> Value {
        json!({
            "iss": "https://login.example", "aud": "tributary", "sub": "7", "nonce": "n",
            "exp": 1_800_000_300, "iat": 1_800_000_000, "email": "a@example.com",
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    struct Signer(EcdsaKeyPair);

    impl Signer {
        fn new() -> Self {
            let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
            let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            Self(EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).unwrap())
        }

        fn key(&self, kid: &str) -> Key {
            let point = self.0.public_key().as_ref();
            let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            serde_json::from_value(json!({
                "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig",
                "x": part(&point[1..33]), "y": part(&point[33..]),
            }))
            .unwrap()
        }

        fn token(&self, header: &Value, claims: &Value) -> String {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let message = format!("{}.{}", part(header), part(claims));
            let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
            format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    #[test]
    fn a_token_is_believed_only_if_it_is_for_us_now_and_for_this_sign_in() {
        let judge = |claims: Value| {
            believed(claims.as_object().unwrap().clone(), &EXPECTED, now()).map(drop)
        };
        for (claims, expected) in [
            (claims(), Ok(())),
            (with("iss", json!("https://login.example/")), Err(BadToken::Issuer)),
            (with("iss", Value::Null), Err(BadToken::Issuer)),
            (with("aud", json!("another")), Err(BadToken::Audience)),
            (with("aud", json!(["tributary"])), Ok(())),
            (with("aud", json!(["tributary", "another"])), Err(BadToken::Audience)),
            (with("aud", json!([])), Err(BadToken::Audience)),
            (with("azp", json!("another")), Err(BadToken::Audience)),
            (with("azp", json!("tributary")), Ok(())),
            (with("exp", json!(1_799_999_950)), Ok(())),
            (with("exp", json!(1_799_999_900)), Err(BadToken::Time)),
            (with("exp", json!("1800000300")), Err(BadToken::Time)),
            (with("exp", Value::Null), Err(BadToken::Time)),
            (with("iat", json!(1_800_000_060)), Ok(())),
            (with("iat", json!(1_800_000_100)), Err(BadToken::Time)),
            (with("nbf", json!(1_800_000_100)), Err(BadToken::Time)),
            (with("nonce", json!("m")), Err(BadToken::Nonce)),
            (with("nonce", Value::Null), Err(BadToken::Nonce)),
            (with("sub", json!("")), Err(BadToken::Shape)),
            (with("sub", json!("7".repeat(256))), Err(BadToken::Shape)),
        ] {
            assert_eq!(judge(claims.clone()), expected, "{claims}");
        }
        let mut two = with("aud", json!(["tributary", "another"]));
        two["azp"] = json!("tributary");
        assert_eq!(judge(two), Ok(()));
    }

    #[test]
    fn only_a_key_of_the_provider_signs() {
        let (ours, foreign) = (Signer::new(), Signer::new());
        let keys = [ours.key("a"), foreign.key("b")];
        let header = |alg: &str, kid: &str| json!({ "alg": alg, "kid": kid });
        let judge = |token: &str| verify(token, &keys, &EXPECTED, now()).map(drop);
        assert_eq!(judge(&ours.token(&header("ES256", "a"), &claims())), Ok(()));
        assert_eq!(
            judge(&ours.token(&json!({ "alg": "ES256" }), &claims())),
            Ok(()),
            "all are tried"
        );
        for (token, expected) in [
            (ours.token(&header("ES256", "b"), &claims()), BadToken::Signature),
            (ours.token(&header("ES256", "c"), &claims()), BadToken::UnknownKey),
            (ours.token(&header("RS256", "a"), &claims()), BadToken::UnknownKey),
            (ours.token(&header("none", "a"), &claims()), BadToken::Algorithm),
            (ours.token(&header("HS256", "a"), &claims()), BadToken::Algorithm),
            (
                ours.token(&json!({ "alg": "ES256", "kid": "a", "crit": ["b64"] }), &claims()),
                BadToken::Algorithm,
            ),
            ("a.b".to_owned(), BadToken::Shape),
            ("....".to_owned(), BadToken::Shape),
            (String::new(), BadToken::Shape),
        ] {
            assert_eq!(judge(&token), Err(expected), "{token}");
        }
        let good = ours.token(&header("ES256", "a"), &claims());
        let (head, rest) = good.split_once('.').unwrap();
        let signature = rest.split_once('.').unwrap().1;
        let payload = URL_SAFE_NO_PAD.encode(with("sub", json!("8")).to_string());
        assert_eq!(judge(&format!("{head}.{payload}.{signature}")), Err(BadToken::Signature));
        assert_eq!(judge(&format!("{head}.{payload}.")), Err(BadToken::Signature));
    }

    #[test]
    fn an_address_counts_if_it_was_verified_and_groups_wherever_they_stand() {
        let read = |claims: Value| {
            believed(claims.as_object().unwrap().clone(), &EXPECTED, now()).unwrap()
        };
        for (said, expected) in [
            (json!(true), Some("a@example.com")),
            (json!("true"), Some("a@example.com")),
            (json!(false), None),
            (json!(1), None),
            (Value::Null, None),
        ] {
            assert_eq!(
                read(with("email_verified", said.clone())).verified_email(),
                expected,
                "{said}"
            );
        }
        let mut claims = with("groups", json!(["a", 7, "b"]));
        claims["realm_access"] = json!({ "roles": ["c"] });
        claims["https://login.example/role"] = json!("d");
        let found = |place: &str| -> Vec<String> {
            read(claims.clone()).groups(place).into_iter().collect()
        };
        assert_eq!(found("groups"), ["a", "b"]);
        assert_eq!(found("realm_access.roles"), ["c"]);
        assert_eq!(found("https://login.example/role"), ["d"]);
        assert!(found("realm_access.nothing").is_empty() && found("").is_empty());
    }
}
