//! Standard Webhooks: how a request says who sent it and that it is not an old one come again.
//!
//! What is signed is `id.timestamp.body`, with HMAC-SHA-256. The id is the same at every attempt, the time is
//! that of the attempt. Several keys hold at once while one is replaced by another: we sign with all of
//! them, and take what any of them signed.

use data_encoding::BASE64;
use http::{HeaderMap, HeaderName};

use super::sign::{base64, constant_time_eq, hmac_sha256};
use crate::model::{Secret, Timestamp};

/// Says which request it is.
pub const ID: HeaderName = HeaderName::from_static("webhook-id");
/// Seconds since 1970 of this attempt.
pub const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// One or more `v1,<base64>`, with a space between.
pub const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// How far clocks may differ, and how old a request may be.
const TOLERANCE_SECONDS: u64 = 300;
/// What stands before a key that is written down.
const PREFIX: &str = "whsec_";
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;
/// Longest id that we take over.
const ID_BYTES_MAX: usize = 128;
/// More signatures than this are not looked at.
const SIGNATURES_MAX: usize = 16;

/// The keys of one sender and receiver, at least one.
#[derive(Clone)]
pub struct WebhookKeys(Vec<Vec<u8>>);

/// Why a request is not taken for the sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// A header is not there, is there twice, or makes no sense.
    #[error("a header of the signature is missing or malformed")]
    Malformed,
    /// Too old, or from the future.
    #[error("the time of the signature is too far from ours")]
    Time,
    /// None of our keys made it.
    #[error("the signature is of none of our keys")]
    Wrong,
}

impl BadSignature {
    /// For a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "signature_malformed",
            Self::Time => "signature_time",
            Self::Wrong => "signature_wrong",
        }
    }
}

impl WebhookKeys {
    /// Reads `whsec_` keys: the current one first. The error says what is wrong and shows no key.
    pub fn read<'s>(secrets: impl IntoIterator<Item = &'s Secret>) -> Result<Self, String> {
        let keys: Result<Vec<_>, _> = secrets.into_iter().map(read_key).collect();
        let keys = keys?;
        if keys.is_empty() { Err(wanted()) } else { Ok(Self(keys)) }
    }

    /// Keys that were never written down.
    #[must_use]
    pub fn of(keys: Vec<[u8; 32]>) -> Self {
        Self(keys.into_iter().map(Vec::from).collect())
    }

    /// The current key as it is written down.
    #[must_use]
    pub fn shown(&self) -> Secret {
        Secret::new(format!("{PREFIX}{}", base64(self.0.first().map_or(&[], Vec::as_slice))))
    }

    /// The value of the signature header.
    #[must_use]
    pub fn sign(&self, id: &str, seconds: u64, body: &[u8]) -> String {
        let signatures =
            self.0.iter().map(|key| format!("v1,{}", base64(&mac(key, id, seconds, body))));
        signatures.collect::<Vec<_>>().join(" ")
    }

    /// The id of a request, if one of our keys signed it and it is not old.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<String, BadSignature> {
        let id = only(headers, &ID).filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX);
        // With a dot in it, other ids, times and bodies could have the same signature.
        let id = id.filter(|id| !id.contains('.')).ok_or(BadSignature::Malformed)?;
        let seconds = only(headers, &TIMESTAMP).and_then(|text| text.parse::<u64>().ok());
        let seconds = seconds.ok_or(BadSignature::Malformed)?;
        let given = only(headers, &SIGNATURE).ok_or(BadSignature::Malformed)?;
        let ours = u64::try_from(now.timestamp()).unwrap_or_default();
        if ours.abs_diff(seconds) > TOLERANCE_SECONDS {
            return Err(BadSignature::Time);
        }
        let given: Vec<_> = given.split(' ').take(SIGNATURES_MAX).collect();
        let given: Vec<_> = given.iter().filter_map(|one| one.strip_prefix("v1,")).collect();
        let known = self.0.iter().any(|key| {
            let expected = base64(&mac(key, id, seconds, body));
            given.iter().any(|one| constant_time_eq(expected.as_bytes(), one.as_bytes()))
        });
        if known { Ok(id.to_owned()) } else { Err(BadSignature::Wrong) }
    }
}

/// Seconds since 1970, now. The time of an attempt is part of what is signed, so it is taken here, as the
/// call is made, and not where the delivery was queued.
pub fn now() -> Result<u64, std::time::SystemTimeError> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(since.as_secs())
}

fn mac(key: &[u8], id: &str, seconds: u64, body: &[u8]) -> [u8; 32] {
    let mut signed = format!("{id}.{seconds}.").into_bytes();
    signed.extend_from_slice(body);
    hmac_sha256(key, &signed)
}

/// A header that is there once.
pub fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn read_key(secret: &Secret) -> Result<Vec<u8>, String> {
    let text = secret.reveal().trim();
    let key = BASE64.decode(text.strip_prefix(PREFIX).unwrap_or(text).as_bytes());
    let key = key.map_err(|_| wanted())?;
    let same = key.first().is_none_or(|first| key.iter().all(|byte| byte == first));
    if same || !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) {
        Err(wanted())
    } else {
        Ok(key)
    }
}

fn wanted() -> String {
    format!(
        "expected `{PREFIX}` and {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random bytes in base64; \
         make one with `echo {PREFIX}$(openssl rand -base64 32)`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeZone as _;

    const BODY: &[u8] = br#"{"email":"test@example.com","username":"test_user"}"#;

    fn keys(texts: &[&str]) -> WebhookKeys {
        let secrets: Vec<Secret> = texts.iter().map(|text| Secret::new(*text)).collect();
        WebhookKeys::read(&secrets).unwrap()
    }

    fn at(seconds: i64) -> Timestamp {
        chrono::Utc.timestamp_opt(seconds, 0).unwrap()
    }

    fn headers(id: &str, seconds: &str, signature: &str) -> HeaderMap {
        let pairs = [(ID, id), (TIMESTAMP, seconds), (SIGNATURE, signature)];
        pairs.into_iter().map(|(name, value)| (name, value.parse().unwrap())).collect()
    }

    /// The vector of the standard; the reference implementation in Python gives the same.
    #[test]
    fn a_signature_is_that_of_the_standard() {
        let keys = keys(&["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]);
        let signature = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
        let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
        assert_eq!(keys.sign(id, 1_649_367_553, BODY), signature);
        let headers = headers(id, "1649367553", signature);
        assert_eq!(keys.verify(&headers, BODY, at(1_649_367_553 + 300)), Ok(id.to_owned()));
        assert_eq!(keys.verify(&headers, BODY, at(1_649_367_553 - 300)), Ok(id.to_owned()));
        for late in [301, -301] {
            assert_eq!(
                keys.verify(&headers, BODY, at(1_649_367_553 + late)),
                Err(BadSignature::Time)
            );
        }
        let second =
            br#"{"type":"ticket.created","timestamp":"2023-11-14T22:13:20Z","data":{"id":"t_1"}}"#;
        assert_eq!(
            keys.sign("msg_01HZX", 1_700_000_000, second),
            "v1,rybFYGDs53GJrSjkFvEqVMrO5gFT1G67hO4vnnH2s4E="
        );
    }

    #[test]
    fn what_is_changed_in_any_way_is_refused() {
        let keys = keys(&["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"]);
        let good = keys.sign("m1", 100, BODY);
        let now = at(100);
        assert_eq!(keys.verify(&headers("m1", "100", &good), BODY, now), Ok("m1".to_owned()));
        let bare = good.strip_prefix("v1,").unwrap();
        let upper = good.to_uppercase();
        let cut = good.get(..good.len() - 4).unwrap();
        let v2 = format!("v2,{bare}");
        for wrong in [bare, &upper, cut, &v2, "v1,", "", " "] {
            let refused = keys.verify(&headers("m1", "100", wrong), BODY, now);
            assert!(refused.is_err(), "{wrong}");
        }
        for (id, time) in
            [("m2", "100"), ("m1", "101"), ("", "100"), ("m1", "x"), ("m1", "-1"), ("m.1", "100")]
        {
            assert!(keys.verify(&headers(id, time, &good), BODY, now).is_err(), "{id} {time}");
        }
        for body in [&b""[..], br#"{"username":"test_user","email":"test@example.com"}"#, b"{}\n"] {
            assert_eq!(
                keys.verify(&headers("m1", "100", &good), body, now),
                Err(BadSignature::Wrong)
            );
        }
        for name in [ID, TIMESTAMP, SIGNATURE] {
            let mut without = headers("m1", "100", &good);
            without.remove(&name);
            assert_eq!(keys.verify(&without, BODY, now), Err(BadSignature::Malformed), "{name}");
            let mut twice = headers("m1", "100", &good);
            let value = twice[&name].clone();
            twice.append(name.clone(), value);
            assert_eq!(keys.verify(&twice, BODY, now), Err(BadSignature::Malformed), "{name}");
        }
    }

    #[test]
    fn two_keys_hold_while_one_is_replaced() {
        let (old, new) =
            ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let (before, during, after) = (keys(&[old]), keys(&[new, old]), keys(&[new]));
        let signed = |keys: &WebhookKeys| headers("m1", "100", &keys.sign("m1", 100, BODY));
        for (signer, takers) in [
            (&before, vec![&before, &during]),
            (&during, vec![&before, &during, &after]),
            (&after, vec![&during, &after]),
        ] {
            for taker in takers {
                assert!(taker.verify(&signed(signer), BODY, at(100)).is_ok());
            }
        }
        assert_eq!(after.verify(&signed(&before), BODY, at(100)), Err(BadSignature::Wrong));
    }

    #[test]
    fn a_key_that_is_none_is_not_taken() {
        for bad in [
            "",
            "whsec_",
            "secret",
            "changeme",
            "whsec_AAAA",
            "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            let Err(why) = WebhookKeys::read([&Secret::new(bad)]) else { panic!("{bad}") };
            assert!(why.contains("whsec_") && !why.contains("changeme"), "{why}");
        }
        assert!(WebhookKeys::read([]).is_err());
    }
}
