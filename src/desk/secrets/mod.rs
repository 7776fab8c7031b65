//! Finds what a customer should never have sent: seed phrases, private keys, cards, codes, passwords.
//!
//! Pure, and linear in the length of the text: a long one is looked at in pieces that overlap, every part looks
//! at each character a fixed number of times, and tries a fixed number of checks at each place. Where a checksum says what something is (seed phrases, keys,
//! cards), the checksum decides; where none does (64 digits in hex, a code, a password), the words before it do.

mod cards;
mod codes;
mod context;
mod html;
mod keys;
mod phrases;
mod plain;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;

use regex::Regex;

use context::Context;
use plain::{Plain, Unseen};

/// What sort of secret.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum SecretSort {
    /// The words of a wallet: BIP-39, SLIP-39, Electrum.
    SeedPhrase,
    /// A key that signs: WIF, extended, BIP-38, hex, PEM, of several chains.
    PrivateKey,
    /// A wallet's key file (JSON, «Web3 secret storage»).
    Keystore,
    /// The number or the security code of a payment card.
    Card,
    /// A code that is good once or for a short time.
    Code,
    /// A password or passphrase.
    Password,
}

impl SecretSort {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SeedPhrase,
        Self::PrivateKey,
        Self::Keystore,
        Self::Card,
        Self::Code,
        Self::Password,
    ];

    /// What people call it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SeedPhrase => "seed phrase",
            Self::PrivateKey => "private key",
            Self::Keystore => "wallet's key file",
            Self::Card => "card number",
            Self::Code => "one-time code",
            Self::Password => "password",
        }
    }

    /// Whoever has it has the money.
    #[must_use]
    pub const fn opens_a_wallet(self) -> bool {
        matches!(self, Self::SeedPhrase | Self::PrivateKey | Self::Keystore)
    }

    /// What stands in its place: the same for ever, programs may look for it.
    #[must_use]
    pub const fn mask(self) -> &'static str {
        match self {
            Self::SeedPhrase => "[seed phrase removed]",
            Self::PrivateKey => "[private key removed]",
            Self::Keystore => "[keystore removed]",
            Self::Card => "[card number removed]",
            Self::Code => "[one-time code removed]",
            Self::Password => "[password removed]",
        }
    }
}

/// A secret in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    /// What it is.
    pub sort: SecretSort,
    /// Where it stands, in bytes of the text.
    pub span: Range<usize>,
}

/// A text without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The text with a mask for each secret.
    pub text: String,
    /// What was in it.
    pub sorts: BTreeSet<SecretSort>,
}

/// Looks for secrets.
#[derive(Debug, Clone)]
pub struct Scanner {
    sorts: BTreeSet<SecretSort>,
    allow: Vec<Regex>,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new(SecretSort::ALL.into(), Vec::new())
    }
}

/// Masking what was masked finds nothing more after so many rounds.
const ROUNDS_MAX: usize = 8;
/// A longer text is looked at in pieces of so many bytes.
const PIECE_BYTES: usize = 256 * 1024;
/// So much of a piece is looked at again with the next one: more than the longest secret with its words has.
const OVERLAP_BYTES: usize = 16 * 1024;

impl Scanner {
    /// Looks for these sorts; what matches one of `allow` as a whole or in part is no secret.
    #[must_use]
    pub fn new(sorts: BTreeSet<SecretSort>, allow: Vec<Regex>) -> Self {
        Self { sorts, allow }
    }

    /// All secrets of a text, in order, none over another.
    #[must_use]
    pub fn scan(&self, text: &str) -> Vec<Find> {
        // The shortest secret with its word has more than this.
        if text.len() < 6 || self.sorts.is_empty() {
            return Vec::new();
        }
        let mut finds = Vec::new();
        for piece in pieces(text) {
            let part = text.get(piece.clone()).unwrap_or_default();
            let moved = self.scan_piece(part).into_iter().map(|find| Find {
                span: find.span.start + piece.start..find.span.end + piece.start,
                ..find
            });
            finds.extend(moved);
        }
        merged(finds)
    }

    /// Might this short text be a part of a secret that others have the rest of, or the one that is named before
    /// it: words of a list, a long number?
    #[must_use]
    pub fn may_go_on(&self, text: &str) -> bool {
        let plain = Plain::of(text, Unseen::Gone);
        let text = plain.as_ref().map_or(text, |plain| &plain.text);
        phrases::may_go_on(text) || keys::may_go_on(text)
    }

    fn scan_piece(&self, text: &str) -> Vec<Find> {
        let Some(plain) = Plain::of(text, Unseen::Gone) else { return self.scan_plain(text) };
        let placed = |plain: &Plain| -> Vec<Find> {
            let finds = self.scan_plain(&plain.text).into_iter();
            finds.map(|find| Find { span: plain.place(&find.span), ..find }).collect()
        };
        let mut finds = placed(&plain);
        if Plain::has_unseen(text) {
            finds.extend(Plain::of(text, Unseen::Blank).iter().flat_map(placed));
        }
        finds
    }

    fn scan_plain(&self, text: &str) -> Vec<Find> {
        let context = Context::of(text);
        let mut finds = Vec::new();
        phrases::find(text, &context, &mut finds);
        keys::find(text, &context, &mut finds);
        cards::find(text, &context, &mut finds);
        codes::find(text, &context, &mut finds);
        finds.retain(|find| self.sorts.contains(&find.sort) && !self.allowed(text, find));
        finds
    }

    fn allowed(&self, text: &str, find: &Find) -> bool {
        let found = text.get(find.span.clone()).unwrap_or_default();
        self.allow.iter().any(|allow| allow.is_match(found))
    }

    /// The text without its secrets. `None`: there are none.
    #[must_use]
    pub fn mask(&self, text: &str) -> Option<Masked> {
        let mut masked: Option<Masked> = None;
        for _ in 0..ROUNDS_MAX {
            let now = masked.as_ref().map_or(text, |masked| &masked.text);
            let finds = self.scan(now);
            if finds.is_empty() {
                break;
            }
            let next = replaced(now, &finds);
            let mut sorts: BTreeSet<_> = finds.iter().map(|find| find.sort).collect();
            sorts.extend(masked.into_iter().flat_map(|masked| masked.sorts));
            masked = Some(Masked { text: next, sorts });
        }
        masked
    }

    /// The same for HTML: what a reader sees is looked at, over all tags; tags stay.
    #[must_use]
    pub fn mask_html(&self, html: &str) -> Option<Masked> {
        let mut masked: Option<Masked> = None;
        for _ in 0..ROUNDS_MAX {
            let now = masked.as_ref().map_or(html, |masked| &masked.text);
            let Some(mut next) = html::mask(self, now) else { break };
            next.sorts.extend(masked.into_iter().flat_map(|masked| masked.sorts));
            masked = Some(next);
        }
        masked
    }
}

/// Stretches that cover a text, each of which begins within the one before. Cut where a character ends and, if
/// there is one near, where a word does.
fn pieces(text: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while text.len() - start > PIECE_BYTES + OVERLAP_BYTES {
        let end = start + PIECE_BYTES;
        pieces.push(start..cut(text, end));
        start = cut(text, end - OVERLAP_BYTES);
    }
    pieces.push(start..text.len());
    pieces
}

/// The last place before `at` where a word ends.
fn cut(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    let from = text.floor_char_boundary(at.saturating_sub(OVERLAP_BYTES / 4));
    let near = text.get(from..at).unwrap_or_default();
    near.rfind(char::is_whitespace).map_or(at, |blank| from + blank)
}

/// In order; of two that overlap, one that covers both, of the sort that stands first.
fn merged(mut finds: Vec<Find>) -> Vec<Find> {
    finds.sort_by_key(|find| (find.span.start, find.sort));
    let mut merged: Vec<Find> = Vec::with_capacity(finds.len());
    for find in finds {
        match merged.last_mut() {
            Some(last) if find.span.start < last.span.end => {
                last.span.end = last.span.end.max(find.span.end);
                last.sort = last.sort.min(find.sort);
            }
            _ => merged.push(find),
        }
    }
    merged
}

fn replaced(text: &str, finds: &[Find]) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    for find in finds {
        masked.push_str(text.get(at..find.span.start).unwrap_or_default());
        masked.push_str(find.sort.mask());
        at = find.span.end;
    }
    masked.push_str(text.get(at..).unwrap_or_default());
    masked
}
