//! Codes of an authenticator, as RFC 6238 has them: SHA-1, six digits, a new one each 30 seconds, which is
//! what every authenticator knows. Pure.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;
use url::form_urlencoded;

use crate::model::{Secret, Timestamp};

/// Bytes of a secret: as many as the hash has (RFC 4226, 4).
const SECRET_BYTES: usize = 20;
const STEP_SECONDS: i64 = 30;
const DIGITS: usize = 6;
/// A clock may be off by so many steps, either way (RFC 6238, 5.2).
const STEPS_OFF: i64 = 1;

/// A new secret, as people type it: base32.
pub(super) fn fresh() -> Secret {
    let mut bytes = zeroize::Zeroizing::new([0_u8; SECRET_BYTES]);
    rand::fill(bytes.as_mut());
    Secret::new(BASE32_NOPAD.encode(bytes.as_ref()))
}

/// What the QR code says (the «key URI format» of authenticators).
pub(super) fn uri(secret: &Secret, account: &str) -> Secret {
    let account: String = form_urlencoded::byte_serialize(account.as_bytes()).collect();
    let account = account.replace('+', "%20");
    Secret::new(format!(
        "otpauth://totp/tributary:{account}?secret={}&issuer=tributary&algorithm=SHA1\
         &digits={DIGITS}&period={STEP_SECONDS}",
        secret.reveal()
    ))
}

/// The time step whose code this is, if it is later than `last`: a code is good once (RFC 6238, 5.2).
pub(super) fn step_of(secret: &Secret, given: &str, last: i64, now: Timestamp) -> Option<i64> {
    let key = BASE32_NOPAD.decode(secret.reveal().as_bytes()).ok()?;
    let given: String = given.chars().filter(|char| !char.is_whitespace()).collect();
    let current = now.timestamp().div_euclid(STEP_SECONDS);
    let mut found = None;
    // Each is compared, so that how long it takes tells nothing.
    for step in current - STEPS_OFF..=current + STEPS_OFF {
        let right = code(&key, step).as_bytes().ct_eq(given.as_bytes());
        if bool::from(right) && step > last {
            found = Some(step);
        }
    }
    found
}

/// The code of a time step (RFC 4226, 5.3).
fn code(key: &[u8], step: i64) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest.last().copied().unwrap_or(0) & 0x0f);
    let four = digest.iter().skip(offset).take(4);
    let number = four.fold(0_u32, |number, byte| (number << 8) | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:0DIGITS$}", number % 1_000_000)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    /// RFC 6238, appendix B, the rows of SHA-1; the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code(b"12345678901234567890", seconds / STEP_SECONDS), expected);
        }
    }

    #[test]
    fn a_code_is_good_for_its_step_and_the_two_beside_it_and_never_twice() {
        let secret = Secret::new(BASE32_NOPAD.encode(b"12345678901234567890"));
        let at = |seconds: i64| chrono::Utc.timestamp_opt(seconds, 0).single().unwrap();
        let given = |seconds, last| step_of(&secret, "050 471", last, at(seconds));
        let step = 1_111_111_111 / STEP_SECONDS;
        assert_eq!(given(1_111_111_111, 0), Some(step));
        assert_eq!(given(1_111_111_111 + 30, 0), Some(step), "a slow clock");
        assert_eq!(given(1_111_111_111 - 30, 0), Some(step), "a fast clock");
        assert_eq!(given(1_111_111_111 + 60, 0), None);
        assert_eq!(given(1_111_111_111 - 60, 0), None);
        assert_eq!(given(1_111_111_111, step), None, "taken already");
        for wrong in ["", "050472", "05047", "0504711", "050471x"] {
            assert_eq!(step_of(&secret, wrong, 0, at(1_111_111_111)), None, "{wrong}");
        }
    }

    #[test]
    fn the_uri_names_the_account_and_every_secret_is_another() {
        let (one, other) = (fresh(), fresh());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), 32);
        let uri = uri(&one, "ann+x@desk.example");
        assert!(
            uri.reveal().starts_with("otpauth://totp/tributary:ann%2Bx%40desk.example?secret=")
        );
    }
}
