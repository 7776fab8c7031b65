//! Signatures: of our own tokens, and the building blocks of those that services use.
//!
//! A token is `<what><payload>.<mac>`: 128 bits of HMAC-SHA-256 in base32 (RFC 4648, lower case, no
//! padding), so that it survives mail programs that change the case of an address.

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::model::{AnswerLinks, Asked, DeliveryId, TicketId};

/// Bytes of HMAC in a token: 128 bits cannot be guessed.
const MAC_BYTES: usize = 16;

/// What a token begins with.
const fn letter(asked: Asked) -> &'static str {
    match asked {
        Asked::Helped => "a",
        Asked::Score => "s",
    }
}

/// Signed links by which customers answer.
#[derive(Clone)]
pub struct SignedLinks {
    /// What the world calls us, without a slash at the end.
    pub base: String,
    /// Signs them.
    pub signer: Signer,
}

impl AnswerLinks for SignedLinks {
    fn address(&self, asked: Asked, ticket: TicketId) -> String {
        format!("{}/say/{}", self.base, self.signer.question(asked, ticket))
    }

    fn read(&self, token: &str) -> Option<(Asked, TicketId)> {
        self.signer.read_question(token)
    }
}

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
        uuid_of(&payload).map(DeliveryId::from)
    }

    /// `<what><uuid in base32>.<mac>`: for the link by which a customer answers one question about a ticket.
    #[must_use]
    pub fn question(&self, asked: Asked, ticket: TicketId) -> String {
        self.sign(letter(asked), &base32(ticket.uuid().as_bytes()))
    }

    /// The question in a token, if one of our keys signed it.
    #[must_use]
    pub fn read_question(&self, token: &str) -> Option<(Asked, TicketId)> {
        [Asked::Helped, Asked::Score].into_iter().find_map(|asked| {
            let payload = self.read(letter(asked), token)?;
            Some((asked, uuid_of(&payload)?.into()))
        })
    }

    /// Keys for another purpose, current first: who knows one cannot find the others.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Vec<[u8; 32]> {
        let text = format!("tributary:derive:{purpose}");
        self.keys.iter().map(|key| hmac_sha256(key, text.as_bytes())).collect()
    }

    /// All 256 bits of the HMAC over a text, in base64 for URLs: for bearer tokens, which nobody retypes.
    #[must_use]
    pub fn mark(&self, what: &str, text: &str) -> String {
        self.keys.first().map(|key| long_mac(key, what, text)).unwrap_or_default()
    }

    /// Did one of our keys make this mark for this text?
    #[must_use]
    pub fn is_mark(&self, what: &str, text: &str, mark: &str) -> bool {
        self.keys
            .iter()
            .any(|key| constant_time_eq(long_mac(key, what, text).as_bytes(), mark.as_bytes()))
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

fn uuid_of(payload: &str) -> Option<uuid::Uuid> {
    let bytes = BASE32_NOPAD.decode(payload.to_ascii_uppercase().as_bytes()).ok()?;
    uuid::Uuid::from_slice(&bytes).ok()
}

fn mac(key: &[u8; 32], what: &str, payload: &str) -> String {
    let full = hmac_sha256(key, format!("tributary:{what}:{payload}").as_bytes());
    base32(full.get(..MAC_BYTES).unwrap_or(&full))
}

fn long_mac(key: &[u8; 32], what: &str, text: &str) -> String {
    let full = hmac_sha256(key, format!("tributary:{what}:{text}").as_bytes());
    BASE64URL_NOPAD.encode(&full)
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

/// HMAC-SHA-1 (RFC 2104): Twilio signs with it. The weakness of SHA-1 is not one of its HMAC.
#[must_use]
pub fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// As most services write a signature: hexadecimal, lower case.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// As the others write it: base64 (RFC 4648 section 4) with padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    BASE64.encode(bytes)
}

/// Takes as long for a wrong secret as for a right one of the same length.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Python's `hmac`; the first is also what Twilio's own library makes.
    #[test]
    fn signatures_of_services_are_those_that_others_make() {
        let twilio = "https://hooks.example.net/v1/channels/sms-main/inbound?x=1BodyHi & bye 你好EmptyOne\
            From+15005550006MessageSidSM00000000000000000000000000000001NumMedia0To+15005550001";
        assert_eq!(base64(&hmac_sha1(b"12345", twilio.as_bytes())), "+pefhupfbNMAI4UONGEe6CGBml8=");
        let line = br#"{"destination":"U00000000000000000000000000000000","events":[]}"#;
        assert_eq!(
            base64(&hmac_sha256(b"line-channel-secret", line)),
            "UYqjSo+a7IUsVpkL3cNh2SxDep/YJoCxQ5xe4o6dYcY="
        );
        assert_eq!(
            hex(&hmac_sha256(b"app-secret-abc", b"PAGE_TOKEN")),
            "7b10e6a01f74af79508e6b2aa9a134d870b6ffb7b41e17c2ebfccd730b03f9a8"
        );
    }

    #[test]
    fn a_derived_key_is_another_for_each_purpose_and_installation() {
        let (one, other) = (Signer::new(vec![[1; 32], [2; 32]]), Signer::new(vec![[2; 32]]));
        assert_ne!(one.derive("a"), one.derive("b"));
        assert_eq!(one.derive("a").get(1), other.derive("a").first());
    }

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
    fn a_question_is_one_question_about_one_ticket() {
        let signer = Signer::new(vec![[1; 32]]);
        let ticket = TicketId::new();
        let token = signer.question(Asked::Score, ticket);
        assert_eq!(signer.read_question(&token.to_uppercase()), Some((Asked::Score, ticket)));
        let other = signer.question(Asked::Helped, ticket);
        assert_eq!(signer.read_question(&other), Some((Asked::Helped, ticket)));
        assert_eq!(signer.read_question(&other.replacen('a', "s", 1)), None);
        assert_eq!(signer.read_question(&signer.delivery(DeliveryId::new())), None);
        assert_eq!(Signer::new(vec![[2; 32]]).read_question(&token), None);
        assert_eq!(signer.read_question("s."), None);
    }

    #[test]
    fn a_mark_is_worth_nothing_for_another_text_purpose_or_key() {
        let signer = Signer::new(vec![[1; 32]]);
        let mark = signer.mark("visitor:web", "a");
        assert_eq!(mark.len(), 43, "256 bits");
        assert!(signer.is_mark("visitor:web", "a", &mark));
        assert!(Signer::new(vec![[2; 32], [1; 32]]).is_mark("visitor:web", "a", &mark));
        assert!(!signer.is_mark("visitor:web", "b", &mark));
        assert!(!signer.is_mark("visitor:app", "a", &mark));
        assert!(!Signer::new(vec![[2; 32]]).is_mark("visitor:web", "a", &mark));
        assert!(!signer.is_mark("visitor:web", "a", ""));
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
