//! Tables of ours in which every word of every text is looked up.
//!
//! The standard hash keeps strangers from choosing keys that collide. Nobody adds keys to these tables, so a
//! simple one does, at a fraction of the time.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map whose keys are all in the program.
pub(super) type Table<K, V> = HashMap<K, V, BuildHasherDefault<Fnv>>;

/// FNV-1a, eight bytes at a time for numbers and one by one for words, which are short.
pub(super) struct Fnv(u64);

const PRIME: u64 = 0x0100_0000_01b3;

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The upper bits choose within a group, so they have to depend on all of the number.
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(PRIME);
        self.0 ^= self.0 >> 32;
        self.0 = self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_found_and_nothing_else() {
        let words: Vec<String> = (0..5000).map(|number| format!("word{number}")).collect();
        let table: Table<&str, usize> =
            words.iter().enumerate().map(|(place, word)| (word.as_str(), place)).collect();
        for (place, word) in words.iter().enumerate() {
            assert_eq!(table.get(word.as_str()), Some(&place));
        }
        assert_eq!(table.get("word5000"), None);
        let letters: Table<char, ()> = ('\u{4e00}'..='\u{9fff}').map(|c| (c, ())).collect();
        assert!(letters.contains_key(&'\u{6211}') && !letters.contains_key(&'a'));
    }
}
