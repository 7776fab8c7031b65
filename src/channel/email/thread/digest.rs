//! A hash over what the sender wrote.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// Hash over `From`, `Date`, `Subject` (their values as they came) and the body, in hex.
///
/// Two copies of one mail that took different ways have the same one: trace headers do not count,
/// nor do folding, the kind of line ends, blank lines at the end, nor mbox's `>From `.
#[must_use]
pub fn digest(headers: &[&[u8]], body: &[u8]) -> String {
    let mut hash = Sha256::new();
    for value in headers {
        let words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        for word in words {
            hash.update(word);
            hash.update(b" ");
        }
        hash.update(b"\n");
    }
    let mut blank_lines = 0_usize;
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            blank_lines += 1;
            continue;
        }
        for _ in 0..blank_lines {
            hash.update(b"\n");
        }
        blank_lines = 0;
        let line =
            line.strip_prefix(b">").filter(|rest| rest.starts_with(b"From ")).unwrap_or(line);
        hash.update(line);
        hash.update(b"\n");
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        write!(hex, "{byte:02x}").ok();
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::digest;

    #[test]
    fn the_way_that_a_mail_took_does_not_change_its_digest() {
        let one = digest(&[b"A <a@b>", b"Tue", b"Hi"], b"one\r\n\r\nFrom here\r\ntwo\r\n");
        let two = digest(&[b"A\r\n <a@b>", b"Tue", b"Hi"], b"one\n\n>From here\ntwo\n\n\n");
        assert_eq!(one, two);
    }

    #[test]
    fn other_words_give_another_digest() {
        let one = digest(&[b"a", b"b"], b"text");
        for other in [
            digest(&[b"ab", b""], b"text"),
            digest(&[b"a", b"b"], b"text!"),
            digest(&[b"a", b"b"], b"te\nxt"),
            digest(&[b"a", b"c"], b"text"),
        ] {
            assert_ne!(one, other);
        }
    }
}
