//! Signatures of our own, and comparison in constant time.
//!
//! A token is `<what><payload>.<mac>`: 128 bits of HMAC-SHA-256 in base32 (RFC 4648, lower case, no
//! padding), so that it survives mail programs that change the case of an address.

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::model::DeliveryId;

/// Bytes of HMAC in a token: 128 bits cannot be guessed.
const MAC_BYTES: usize = 16;

/// Makes and checks tokens. Every installation has its own keys, so tokens of another tributary are
/// worth nothing here.
#[derive(Clone)]
pub struct Signer {
    /// The first one signs; all of them are accepted.
    keys: Vec<[u8; 32]>,
}

impl Signer {
    /// `keys`: the current one first, then those that are still accepted.
    #[must_use]
    pub const fn new(keys: Vec<[u8; 32]>) -> Self {
        Self { keys }
    }

    /// `t<number>.<mac>`: for a plus address. 28 bytes and the number's digits.
    #[must_use]
    pub fn ticket(&self, number: u64) -> String {
        self.sign("t", &number.to_string())
    }

    /// The number in a ticket token, if one of our keys signed it.
    #[must_use]
    pub fn read_ticket(&self, token: &str) -> Option<u64> {
        self.read("t", token)?.parse().ok()
    }

    /// `d<uuid in base32>.<mac>`: for a Message-ID.
    #[must_use]
    pub fn delivery(&self, delivery: DeliveryId) -> String {
        self.sign("d", &base32(delivery.uuid().as_bytes()))
    }

    /// The delivery in a token, if one of our keys signed it.
    #[must_use]
    pub fn read_delivery(&self, token: &str) -> Option<DeliveryId> {
        let payload = self.read("d", token)?;
        let bytes = BASE32_NOPAD.decode(payload.to_ascii_uppercase().as_bytes()).ok()?;
        uuid::Uuid::from_slice(&bytes).ok().map(DeliveryId::from)
    }

    fn sign(&self, what: &str, payload: &str) -> String {
        let mac = self.keys.first().map(|key| mac(key, what, payload)).unwrap_or_default();
        format!("{what}{payload}.{mac}")
    }

    /// The payload of a token of this sort, in lower case.
    fn read(&self, what: &str, token: &str) -> Option<String> {
        let token = token.to_ascii_lowercase();
        let (payload, given) = token.strip_prefix(what)?.split_once('.')?;
        let known = self.keys.iter().any(|key| {
            let expected = mac(key, what, payload);
            constant_time_eq(expected.as_bytes(), given.as_bytes())
        });
        known.then(|| payload.to_owned())
    }
}

fn mac(key: &[u8; 32], what: &str, payload: &str) -> String {
    let full = hmac_sha256(key, format!("tributary:{what}:{payload}").as_bytes());
    base32(full.get(..MAC_BYTES).unwrap_or(&full))
}

fn base32(bytes: &[u8]) -> String {
    BASE32_NOPAD.encode(bytes).to_ascii_lowercase()
}

/// HMAC-SHA-256 (RFC 2104).
#[must_use]
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Takes as long for a wrong secret as for a right one of the same length.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_in_any_case_and_from_older_keys() {
        let old = Signer::new(vec![[1; 32]]);
        let new = Signer::new(vec![[2; 32], [1; 32]]);
        let delivery = DeliveryId::new();
        assert_eq!(new.read_ticket(&old.ticket(42).to_uppercase()), Some(42));
        assert_eq!(new.read_delivery(&old.delivery(delivery)), Some(delivery));
        assert_eq!(old.read_ticket(&new.ticket(42)), None, "a key that we do not have");
    }

    #[test]
    fn a_token_of_another_ticket_or_sort_is_refused() {
        let signer = Signer::new(vec![[1; 32]]);
        let token = signer.ticket(42);
        assert_eq!(signer.read_ticket(&token.replace("42", "43")), None);
        assert_eq!(signer.read_delivery(&token), None);
        for broken in ["", "t", "t42", "t42.", "t.", ".", "t42.aaaa"] {
            assert_eq!(signer.read_ticket(broken), None, "{broken}");
        }
    }
}
