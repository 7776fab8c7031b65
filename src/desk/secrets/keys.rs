//! Keys that sign: those with a checksum of their own wherever they stand, bare numbers where the words before
//! them say what they are. Hashes, addresses and public keys look alike and stay.

use std::ops::Range;

use ring::signature::Ed25519KeyPair;
use sha2::{Digest as _, Sha256};

use super::context::{Context, Word};
use super::{Find, SecretSort};

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// First bytes of a key in Wallet Import Format: Bitcoin, its test net, Litecoin, Dogecoin, Dash, Zcash's kin.
const WIF_VERSIONS: [u8; 6] = [0x80, 0xef, 0xb0, 0x9e, 0xcc, 0xd4];
/// First bytes of an extended private key (SLIP-132): xprv, yprv, zprv, Yprv, Zprv, tprv, uprv, vprv, Uprv, Vprv,
/// Ltpv, dgpv.
const EXTENDED: [u32; 12] = [
    0x0488_ade4,
    0x049d_7878,
    0x04b2_430c,
    0x0295_b005,
    0x02aa_7a99,
    0x0435_8394,
    0x044a_4e28,
    0x045f_18bc,
    0x0242_85b5,
    0x0257_5048,
    0x019d_9cfe,
    0x02fa_c398,
];
/// Beginnings that only private keys have, with the fewest characters of such a key.
const PREFIXES: [(&str, usize); 11] = [
    ("xprv", 100),
    ("yprv", 100),
    ("zprv", 100),
    ("tprv", 100),
    ("uprv", 100),
    ("vprv", 100),
    ("nsec1", 60),
    ("suiprivkey1", 60),
    ("edsk", 54),
    ("spsk", 54),
    ("p2sk", 54),
];
/// Names that stand before keys, with a character in them that no key has.
const NAMES: [&str; 2] = ["AGE-SECRET-KEY-", "ed25519e_"];
const TOKEN_MIN: usize = 50;
const TOKEN_MAX: usize = 140;

pub(super) fn find(text: &str, context: &Context, finds: &mut Vec<Find>) {
    for mut span in long_words(text.as_bytes()).filter(|span| span.len() <= TOKEN_MAX) {
        let Some(token) = text.get(span.clone()) else { continue };
        let named = text.get(..span.start).and_then(name_before);
        if is_key(token) || named.is_some() || (may_be_key(token) && is_told(text, context, &span))
        {
            span.start -= named.map_or(0, str::len);
            finds.push(Find { sort: SecretSort::PrivateKey, span });
        }
    }
    armoured(text, finds);
    arrays(text, context, finds);
    keystores(text, context, finds);
}

/// Stretches of letters and digits of at least [`TOKEN_MIN`] bytes. One that begins before a byte covers it, so most of
/// a text that has none is never looked at.
fn long_words(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric();
    // No stretch begins before this, but for the one that is being looked at.
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let next = bytes.get(at..at + TOKEN_MIN)?;
            match next.iter().rposition(|byte| !is_of_word(byte)) {
                Some(gap) => at += gap + 1,
                None => {
                    let rest = bytes.get(at + TOKEN_MIN..).unwrap_or_default();
                    let more = rest.iter().take_while(|byte| is_of_word(byte)).count();
                    let span = at..at + TOKEN_MIN + more;
                    at = span.end;
                    return Some(span);
                }
            }
        }
    })
}

/// Is there something that is a key if it is called one?
pub(super) fn may_go_on(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(may_be_key)
}

/// What is written before keys of some sorts, and belongs to them.
fn name_before(before: &str) -> Option<&'static str> {
    let bytes = before.as_bytes();
    NAMES.into_iter().find(|name| {
        let near = bytes.len().checked_sub(name.len()).and_then(|from| bytes.get(from..));
        near.is_some_and(|near| near.eq_ignore_ascii_case(name.as_bytes()))
    })
}

/// It can be nothing else.
fn is_key(token: &str) -> bool {
    if PREFIXES.iter().any(|(prefix, least)| token.starts_with(prefix) && token.len() >= *least) {
        return true;
    }
    if token.len() == 56 && token.starts_with('S') && is_stellar(token) {
        return true;
    }
    if is_pair_in_text(token) {
        return true;
    }
    match token.len() {
        // WIF without and with the mark of a compressed key.
        51..=52 => checked(token).is_some_and(|payload| {
            let version = payload.first().is_some_and(|first| WIF_VERSIONS.contains(first));
            let marked = payload.len() == 34 && payload.last() == Some(&1);
            version && (payload.len() == 33 || marked)
        }),
        58 if token.starts_with("6P") => checked(token).is_some_and(|payload| {
            payload.len() == 39 && matches!(payload.get(..2), Some([0x01, 0x42 | 0x43]))
        }),
        107..=113 => checked(token).is_some_and(|payload| {
            let version =
                payload.iter().take(4).fold(0, |value, byte| value << 8 | u32::from(*byte));
            payload.len() == 78 && EXTENDED.contains(&version)
        }),
        _ => false,
    }
}

/// Thirty-two or sixty-four bytes of anything: in hex, or in base 58 (Solana).
///
/// What is a pair of keys of Ed25519 is none of these: see [`is_pair`].
fn may_be_key(token: &str) -> bool {
    let bare = token.strip_prefix("0x").or_else(|| token.strip_prefix("0X")).unwrap_or(token);
    let hex = matches!(bare.len(), 64 | 128) && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex || ((86..=88).contains(&token.len()) && token.bytes().all(|byte| ALPHABET.contains(&byte)))
}

/// Do the words before it (or, if there are none, behind it) call it a private key?
fn is_told(text: &str, context: &Context, span: &Range<usize>) -> bool {
    // In the path of a link stand hashes.
    let before = span.start.checked_sub(1).and_then(|at| text.as_bytes().get(at));
    if matches!(before, Some(b'/' | b'=' | b'?')) && text.get(..span.start).is_some_and(in_link) {
        return false;
    }
    let words = [Word::Key, Word::Hash, Word::Seed];
    let told = context.before(span.start, &words);
    let told = told.or_else(|| {
        context.after(span.end, &words).filter(|(_, word)| {
            !text.get(span.end..word.start).is_some_and(|between| between.contains('\n'))
        })
    });
    told.is_some_and(|(word, _)| word != Word::Hash)
}

fn in_link(before: &str) -> bool {
    let mut from = before.len().saturating_sub(200);
    while !before.is_char_boundary(from) {
        from += 1;
    }
    let near = before.get(from..).unwrap_or_default();
    let word = near.rsplit(char::is_whitespace).next().unwrap_or_default();
    word.contains("://") || word.contains("www.")
}

/// The bytes of a text in `Base58Check` without their checksum.
fn checked(token: &str) -> Option<Vec<u8>> {
    let bytes = base58(token)?;
    let (payload, sum) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    let hash = Sha256::digest(Sha256::digest(payload));
    (hash.get(..4) == Some(sum)).then(|| payload.to_vec())
}

fn base58(token: &str) -> Option<Vec<u8>> {
    let mut bytes: Vec<u8> = Vec::with_capacity(96);
    for letter in token.bytes() {
        let mut carry = u32::try_from(ALPHABET.iter().position(|known| *known == letter)?).ok()?;
        for byte in &mut bytes {
            carry += u32::from(*byte) * 58;
            *byte = low(carry);
            carry >>= 8;
        }
        while carry > 0 {
            bytes.push(low(carry));
            carry >>= 8;
        }
    }
    let zeros = token.bytes().take_while(|letter| *letter == b'1').count();
    bytes.extend(std::iter::repeat_n(0, zeros));
    bytes.reverse();
    Some(bytes)
}

fn low(value: u32) -> u8 {
    u8::try_from(value & 0xff).unwrap_or_default()
}

/// A Stellar seed: version byte, key, CRC-16/XMODEM, in base 32 (SEP-23).
fn is_stellar(token: &str) -> bool {
    let Ok(bytes) = data_encoding::BASE32.decode(token.as_bytes()) else { return false };
    let Some((payload, sum)) = bytes.split_at_checked(33) else { return false };
    let crc = payload.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    payload.first() == Some(&0x90) && sum == crc.to_le_bytes()
}

/// `-----BEGIN … PRIVATE KEY-----`, to its end or to the end of the text.
fn armoured(text: &str, finds: &mut Vec<Find>) {
    const BEGIN: &str = "-----BEGIN ";
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(BEGIN)) {
        let start = at + found;
        at = start + BEGIN.len();
        let rest = text.get(at..).unwrap_or_default();
        let title = rest.find("-----").and_then(|end| rest.get(..end)).unwrap_or_default();
        if title.len() > 40 || !title.contains("PRIVATE KEY") {
            continue;
        }
        let end = rest.find("-----END ").map_or(text.len(), |end| {
            let tail = rest.get(end + 9..).unwrap_or_default();
            at + end + 9 + tail.find("-----").map_or(tail.len(), |more| more + 5)
        });
        finds.push(Find { sort: SecretSort::PrivateKey, span: start..end });
        at = end;
    }
}

/// `[12, 250, …]` of 64 bytes: a key file of Solana. The second half follows from the first; 32 bytes are a key
/// only where they are called one.
fn arrays(text: &str, context: &Context, finds: &mut Vec<Find>) {
    let mut begun: Option<(usize, Vec<u8>)> = None;
    let mut number: Option<u8> = None;
    let Some(first) = text.find('[') else { return };
    for (at, byte) in text.bytes().enumerate().skip(first) {
        match byte {
            b'[' => (begun, number) = (Some((at, Vec::new())), None),
            b'0'..=b'9' => {
                let more = number.unwrap_or(0).checked_mul(10);
                number = more.and_then(|value| value.checked_add(byte - b'0'));
                if number.is_none() {
                    begun = None;
                }
            }
            b' ' | b'\n' | b'\r' | b'\t' => {}
            b',' => match (&mut begun, number.take()) {
                (Some((_, bytes)), Some(value)) if bytes.len() < 64 => bytes.push(value),
                _ => begun = None,
            },
            b']' => {
                let Some((start, mut bytes)) = begun.take() else { continue };
                bytes.extend(number.take());
                let span = start..at + 1;
                let told = || is_random(&bytes) && is_told(text, context, &span);
                if is_pair(&bytes) || (matches!(bytes.len(), 32 | 64) && told()) {
                    finds.push(Find { sort: SecretSort::PrivateKey, span });
                }
            }
            _ => begun = None,
        }
    }
}

/// A private key of Ed25519 and behind it the public one that follows from it.
fn is_pair(bytes: &[u8]) -> bool {
    let Some((private, public)) = bytes.split_at_checked(32).filter(|_| bytes.len() == 64) else {
        return false;
    };
    is_random(bytes) && Ed25519KeyPair::from_seed_and_public_key(private, public).is_ok()
}

/// In hex or in base 58.
fn is_pair_in_text(token: &str) -> bool {
    let bytes = match token.len() {
        86..=88 => base58(token),
        128 => data_encoding::HEXLOWER_PERMISSIVE.decode(token.as_bytes()).ok(),
        _ => None,
    };
    bytes.is_some_and(|bytes| is_pair(&bytes))
}

/// Key material, and no counts, pixels or measures: many values, large ones too, in no order.
fn is_random(bytes: &[u8]) -> bool {
    let some = bytes.len() / 5..bytes.len() - bytes.len() / 6;
    let distinct: std::collections::BTreeSet<u8> = bytes.iter().copied().collect();
    let large = bytes.iter().filter(|byte| **byte >= 128).count();
    let rising = bytes.iter().zip(bytes.iter().skip(1)).filter(|(one, next)| one < next).count();
    distinct.len() >= bytes.len() / 2 && some.contains(&large) && some.contains(&rising)
}

/// The outermost braces around `"ciphertext"`, where a key derivation or a MAC is named too.
fn keystores(text: &str, context: &Context, finds: &mut Vec<Find>) {
    let mut ciphers = context.of_class(Word::Keystore).map(|span| span.start).peekable();
    if ciphers.peek().is_none() {
        return;
    }
    let (mut depth, mut start) = (0_usize, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    keystore(text, start..at + 1, &mut ciphers, finds);
                }
            }
            _ => {}
        }
    }
    if depth > 0 {
        keystore(text, start..text.len(), &mut ciphers, finds);
    }
}

fn keystore(
    text: &str,
    span: Range<usize>,
    ciphers: &mut std::iter::Peekable<impl Iterator<Item = usize>>,
    finds: &mut Vec<Find>,
) {
    let mut has = false;
    while ciphers.next_if(|at| *at < span.end).map(|at| has |= at >= span.start).is_some() {}
    let object = text.get(span.clone()).unwrap_or_default();
    let named = ["\"kdf", "\"mac\"", "\"cipherparams\"", "&quot;kdf"]
        .iter()
        .any(|name| object.contains(name));
    if has && named {
        finds.push(Find { sort: SecretSort::Keystore, span });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Leaping over what is too short finds what going step by step does.
        #[test]
        fn long_words_are_all_found(
            parts in prop::collection::vec((0_usize..120, "[ /é\\-\n]{0,3}"), 0..8)
        ) {
            let word = |length: &usize| "aZ9".chars().cycle().take(*length).collect::<String>();
            let text: String =
                parts.iter().map(|(length, between)| word(length) + between).collect();
            let mut expected = Vec::new();
            let mut begin = 0;
            for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
                let start = begin + text.get(begin..).and_then(|rest| rest.find(word)).unwrap();
                begin = start + word.len();
                if word.len() >= TOKEN_MIN {
                    expected.push(start..begin);
                }
            }
            prop_assert_eq!(long_words(text.as_bytes()).collect::<Vec<_>>(), expected);
        }
    }
}
