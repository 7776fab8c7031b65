//! Encoded words (RFC 2047) as they are really written.
//!
//! Neighbouring words of one charset are joined before they are decoded, since many programs cut in the
//! middle of a character. Words within quotes, without blanks around them, with blanks inside, with
//! broken base64: all are read. Raw 8-bit text between them is decoded, too.

use data_encoding::BASE64;
use mail_parser::decoders::base64::base64_decode;

use super::charset;

/// How far behind a `?=` another one can be the real end of the word.
const NEAR_BYTES: usize = 200;

/// One stretch of a header value.
#[derive(Debug, PartialEq, Eq)]
enum Run {
    Plain(String),
    /// What neighbouring encoded words said together.
    Decoded(String),
}

/// The value as text, in one line.
pub(super) fn decode(value: &[u8]) -> String {
    decode_with(value, None)
}

/// The same; raw 8-bit text is read by `charset`, if it is not UTF-8: the one that the mail's text has.
pub(super) fn decode_with(value: &[u8], charset: Option<&str>) -> String {
    let text = |run| match run {
        Run::Plain(text) | Run::Decoded(text) => text,
    };
    runs(value, charset).into_iter().map(text).collect()
}

/// The value with each run of encoded words as a single word of UTF-8, for a parser that has to tell
/// the words from the syntax around them.
pub(super) fn rejoin(value: &[u8], charset: Option<&str>) -> String {
    let mut joined = String::new();
    for run in runs(value, charset) {
        match run {
            Run::Plain(text) => joined.push_str(&text),
            Run::Decoded(text) => {
                let blank = joined.is_empty() || joined.ends_with([' ', '"', '(']);
                joined.push_str(if blank { "" } else { " " });
                joined.push_str("=?utf-8?B?");
                joined.push_str(&BASE64.encode(text.as_bytes()));
                joined.push_str("?= ");
            }
        }
    }
    joined
}

/// A word that was found, not yet decoded.
struct Word<'a> {
    charset: &'a [u8],
    base64: bool,
    text: &'a [u8],
}

fn runs(value: &[u8], charset: Option<&str>) -> Vec<Run> {
    let value = unfolded(value);
    let mut runs = Vec::new();
    let mut words: Vec<Word<'_>> = Vec::new();
    let (mut plain_from, mut at) = (0, 0);
    // Behind the last end of a word, no word can end: without this, a field of nothing but begins
    // would be searched to its end once for each.
    let last_end = value.windows(2).rposition(|pair| pair == b"?=").unwrap_or(0);
    while let Some(start) = find(&value, b"=?", at).filter(|start| *start < last_end) {
        let Some((word, end)) = word_at(&value, start) else {
            at = start + 2;
            continue;
        };
        let between = value.get(plain_from..start).unwrap_or_default();
        if words.is_empty() || !between.trim_ascii().is_empty() {
            flush(&mut words, &mut runs);
            if !between.is_empty() {
                runs.push(Run::Plain(raw(between, charset)));
            }
        }
        words.push(word);
        (plain_from, at) = (end, end);
    }
    flush(&mut words, &mut runs);
    let tail = value.get(plain_from..).unwrap_or_default();
    if !tail.is_empty() {
        runs.push(Run::Plain(raw(tail, charset)));
    }
    runs
}

/// Folding undone, blanks trimmed. A line that was torn without a blank gets one.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let value = value.trim_ascii();
    let mut plain = Vec::with_capacity(value.len());
    let mut torn = false;
    for byte in value {
        match byte {
            b'\r' | b'\n' => torn = true,
            _ => {
                if std::mem::take(&mut torn) && !byte.is_ascii_whitespace() {
                    plain.push(b' ');
                }
                plain.push(*byte);
            }
        }
    }
    plain
}

fn raw(bytes: &[u8], charset: Option<&str>) -> String {
    charset::decode(charset, bytes)
}

/// `=?charset?B?text?=` at `start`; also gives its end.
fn word_at(value: &[u8], start: usize) -> Option<(Word<'_>, usize)> {
    let charset_from = start + 2;
    let charset_to = find(value.get(..charset_from + 64).unwrap_or(value), b"?", charset_from)?;
    let charset = value.get(charset_from..charset_to)?;
    let sane = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"');
    if charset.is_empty() || charset.len() > 60 || !charset.iter().all(sane) {
        return None;
    }
    let base64 = match value.get(charset_to + 1)? {
        b'B' | b'b' => true,
        b'Q' | b'q' => false,
        _ => return None,
    };
    if value.get(charset_to + 2) != Some(&b'?') {
        return None;
    }
    let text_from = charset_to + 3;
    let text_to = word_end(value, text_from, base64)?;
    let text = value.get(text_from..text_to)?;
    // RFC 2231 lets a language follow the charset: `utf-8*en`.
    let charset = charset.split(|byte| *byte == b'*').next().unwrap_or(charset);
    Some((Word { charset, base64, text }, text_to + 2))
}

/// Where `?=` ends the word. In Q, a raw `?` may stand before an encoded byte: `what?=3F?=`.
fn word_end(value: &[u8], from: usize, base64: bool) -> Option<usize> {
    let first = find(value, b"?=", from)?;
    let hex = |at: usize| value.get(at).is_some_and(u8::is_ascii_hexdigit);
    if base64 || !hex(first + 2) || !hex(first + 3) {
        return Some(first);
    }
    let near = value.iter().skip(first).take(NEAR_BYTES);
    let blank = near.take_while(|byte| **byte != b' ').count() + first;
    match find(value, b"?=", first + 2) {
        Some(later) if later < blank => Some(later),
        Some(_) | None => Some(first),
    }
}

fn find(bytes: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(needle.len()).position(|window| window == needle).map(|at| at + from)
}

/// Decodes the collected words, neighbours of one charset together.
fn flush(words: &mut Vec<Word<'_>>, runs: &mut Vec<Run>) {
    let mut text = String::new();
    let mut rest = words.as_slice();
    while let Some(first) = rest.first() {
        let same = |word: &&Word<'_>| word.charset.eq_ignore_ascii_case(first.charset);
        let count = rest.iter().take_while(same).count().max(1);
        let (group, others) = rest.split_at(count.min(rest.len()));
        let label = String::from_utf8_lossy(first.charset);
        text.push_str(&charset::decode(Some(&label), &joined_bytes(group)));
        rest = others;
    }
    if !words.is_empty() {
        runs.push(Run::Decoded(text));
    }
    words.clear();
}

/// The bytes of words of one charset. Base64 that was cut between its groups of four is joined first.
fn joined_bytes(group: &[Word<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut open: Vec<u8> = Vec::new();
    for word in group {
        if !word.base64 {
            bytes.extend(from_base64(&std::mem::take(&mut open)));
            bytes.extend(from_q(word.text));
            continue;
        }
        open.extend(word.text.iter().filter(|byte| is_base64(**byte)));
        let whole = open.len().is_multiple_of(4) || word.text.contains(&b'=');
        if whole {
            bytes.extend(from_base64(&std::mem::take(&mut open)));
        }
    }
    bytes.extend(from_base64(&open));
    bytes
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
}

fn from_base64(text: &[u8]) -> Vec<u8> {
    base64_decode(text).unwrap_or_default()
}

fn from_q(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [b'=', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex(*high) << 4 | hex(*low));
                rest = tail;
            }
            [b'_', tail @ ..] => {
                bytes.push(b' ');
                rest = tail;
            }
            [byte, tail @ ..] => {
                bytes.push(*byte);
                rest = tail;
            }
            [] => return bytes,
        }
    }
}

/// The value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // COMPLAINTS E2, E8; FAULTS 81
    #[test]
    fn words_are_read_however_they_were_cut() {
        let table: &[(&[u8], &str)] = &[
            (b"=?utf-8?B?6ZKx5YyF?=", "钱包"),
            (b"=?utf-8?B?6ZKx5Q==?=\r\n =?UTF-8?B?jIU=?=", "钱包"),
            (b"=?utf-8?B?6ZKx5?= =?utf-8?B?YyF?=", "钱包"),
            (b"=?utf-8?Q?=E9=92?= =?utf-8?Q?=B1?=", "钱"),
            (b"=?gb2312?B?x66w/A==?==?gb2312?B?tqrByw==?=", "钱包丢了"),
            (b"=?iso-2022-jp?B?GyRCOmJJWxsoQg==?= =?iso-2022-jp?B?GyRCJHIbKEI=?=", "財布を"),
            (b"=?ISO-2022-JP?B?GyRCOmI=?= =?ISO-2022-JP?B?SVsbKEI=?=", "財布"),
            (b"Re: =?koi8-r?B?68/bxczF?= =?koi8-r?Q?=CB.doc?=", "Re: Кошелек.doc"),
            (b"=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"),
            (b"=?utf-8?Q?Hello world?=", "Hello world"),
            (b"=?utf-8?Q?what?=3F?=", "what??"),
            (b"x=?utf-8?Q?y?=z", "xyz"),
            (b"=?iso-8859-1*en?Q?Gr=FC=DFe?=", "Grüße"),
            (b"=?x-foo?Q?abc?=", "abc"),
            (b"=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
            (b"=?utf-8?Q?abc", "=?utf-8?Q?abc"),
            (b"=??Q?abc?=", "=??Q?abc?="),
            (b"Gr\xfc\xdfe", "Grüße"),
            ("Grüße 钱包".as_bytes(), "Grüße 钱包"),
            (b"a\r\n b\r\n\tc", "a b\tc"),
            (b"torn\r\nline", "torn line"),
            (b"=?utf-8?B?!!!?=", ""),
        ];
        for (value, expected) in table {
            assert_eq!(decode(value), *expected, "{}", String::from_utf8_lossy(value));
        }
    }

    #[test]
    fn rejoined_words_are_single_and_plain() {
        assert_eq!(
            rejoin(b"\"=?utf-8?Q?=E9=92?= =?utf-8?Q?=B1?=\" <a@b>", None),
            "\"=?utf-8?B?6ZKx?= \" <a@b>"
        );
        assert_eq!(rejoin(b"=?utf-8?Q?a,b?=<a@b>", None), "=?utf-8?B?YSxi?= <a@b>");
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back(text in "[^\\x00-\\x1f\\x7f\u{feff}]{1,60}", cut in 1_usize..20) {
            let words: Vec<String> = text
                .as_bytes()
                .chunks(cut)
                .map(|bytes| format!("=?utf-8?B?{}?=", BASE64.encode(bytes)))
                .collect();
            prop_assert_eq!(decode(words.join("\r\n ").as_bytes()), text);
        }

        #[test]
        fn no_bytes_can_hurt(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            decode(&bytes);
            rejoin(&bytes, Some("gb18030"));
        }
    }
}
