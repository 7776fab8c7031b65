//! How many short messages a text is: what the networks carry, and charge, is segments and not texts.

use std::borrow::Cow;

/// Characters of GSM 03.38 that take one place; those of [`EXTENDED`] take two.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQR\
                     STUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// How a text is written on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Seven bits a character: 160 places, or 153 in each of several segments.
    Gsm7,
    /// Sixteen bits: 70 places, or 67.
    Ucs2,
}

/// How much a text takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// One character outside of the small alphabet makes all of it large.
    pub encoding: Encoding,
    /// Places, in the encoding's own measure.
    pub units: usize,
    /// Short messages. A text of nothing is one.
    pub segments: usize,
}

/// Counts as the networks do: what takes two places is never cut in between.
#[must_use]
pub fn count(text: &str) -> Count {
    let encoding =
        if text.chars().all(|c| septets(c).is_some()) { Encoding::Gsm7 } else { Encoding::Ucs2 };
    let (alone, each) = match encoding {
        Encoding::Gsm7 => (160, 153),
        Encoding::Ucs2 => (70, 67),
    };
    let width = |c: char| match encoding {
        Encoding::Gsm7 => septets(c).unwrap_or(1),
        Encoding::Ucs2 => c.len_utf16(),
    };
    let units: usize = text.chars().map(width).sum();
    let mut segments = 1;
    if units > alone {
        let mut used = 0;
        for c in text.chars() {
            if used + width(c) > each {
                segments += 1;
                used = 0;
            }
            used += width(c);
        }
    }
    Count { encoding, units, segments }
}

/// The places that a character takes in the small alphabet; `None`: it is not in it.
fn septets(c: char) -> Option<usize> {
    if BASIC.contains(c) { Some(1) } else { EXTENDED.contains(c).then_some(2) }
}

/// The same text in the small alphabet, if nothing but its typography keeps it out: curly quotes, long dashes and
/// spaces of a special width more than double what it costs, and nobody meant them to.
#[must_use]
pub fn economical(text: &str) -> Cow<'_, str> {
    if text.chars().all(|c| septets(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '‘' | '’' | '‚' | '‛' | '′' | '`' | '´' => plain.push('\''),
            '“' | '”' | '„' | '‟' | '″' | '«' | '»' => plain.push('"'),
            '‐' | '‑' | '‒' | '–' | '—' | '―' | '−' => plain.push('-'),
            '…' => plain.push_str("..."),
            '•' | '·' => plain.push('-'),
            '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\t' => plain.push(' '),
            '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' | '\u{ad}' => {}
            c if septets(c).is_some() => plain.push(c),
            // Something that was meant keeps it out: then nothing is gained, and all of it stays.
            _ => return Cow::Borrowed(text),
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> (Encoding, usize, usize) {
        let Count { encoding, units, segments } = count(text);
        (encoding, units, segments)
    }

    #[test]
    fn segments_are_those_of_the_networks() {
        use Encoding::{Gsm7, Ucs2};
        let cases: [(String, Encoding, usize, usize); 18] = [
            (String::new(), Gsm7, 0, 1),
            ("a".repeat(160), Gsm7, 160, 1),
            ("a".repeat(161), Gsm7, 161, 2),
            ("a".repeat(306), Gsm7, 306, 2),
            ("a".repeat(307), Gsm7, 307, 3),
            ("a".repeat(1530), Gsm7, 1530, 10),
            ("€".repeat(80), Gsm7, 160, 1),
            ("€".repeat(81), Gsm7, 162, 2),
            // The sign that would be cut in two goes over whole.
            (format!("{}€{}", "a".repeat(152), "a".repeat(152)), Gsm7, 306, 3),
            (format!("{}€{}", "a".repeat(151), "a".repeat(153)), Gsm7, 306, 2),
            ("ÄÖÜäöüß@£é".to_owned(), Gsm7, 10, 1),
            ("ç".to_owned(), Ucs2, 1, 1),
            ("你".repeat(70), Ucs2, 70, 1),
            ("你".repeat(71), Ucs2, 71, 2),
            ("你".repeat(135), Ucs2, 135, 3),
            ("😀".repeat(35), Ucs2, 70, 1),
            ("😀".repeat(36), Ucs2, 72, 2),
            // 33 of them and one place that stays empty in each segment.
            ("😀".repeat(67), Ucs2, 134, 3),
        ];
        for (text, encoding, units, segments) in cases {
            assert_eq!(of(&text), (encoding, units, segments), "{text}");
        }
        assert_eq!(BASIC.chars().count() + 1, 128, "all but the escape");
    }

    #[test]
    fn typography_costs_nothing_and_what_was_meant_stays() {
        assert_eq!(economical("“It’s” – fine…\u{a0}ok\u{200b}"), "\"It's\" - fine... ok");
        for kept in ["plain {text}", "“你好”", "it’s 😀", "ça va – merci"] {
            assert_eq!(economical(kept), kept);
        }
    }

    proptest! {
        #[test]
        fn no_segment_holds_more_than_it_can(text in "[a-z€^你😀\n]{0,500}") {
            let Count { encoding, units, segments } = count(&text);
            let (alone, each) = if encoding == Encoding::Gsm7 { (160, 153) } else { (70, 67) };
            if units <= alone {
                prop_assert_eq!(segments, 1);
            } else {
                prop_assert!(segments * each >= units && (segments - 1) * (each - 1) <= units);
            }
            prop_assert!(count(&economical(&text)).segments <= segments);
        }
    }
}
