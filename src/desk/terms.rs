//! The terms of a text: what the search and the known answers compare.
//!
//! Words are lower-cased and stripped of accents; runs of Chinese, Japanese and Korean become overlapping
//! pairs, so that a word of two characters is found.

/// Terms longer than this are cut: nobody searches for them, and tsvector refuses them above 2 KiB.
const TERM_CHARS_MAX: usize = 64;
/// Terms of one message: the rest is not searchable. A tsvector holds 1 MiB, of which each term takes a few
/// bytes beside its own.
const TERMS_MAX: usize = 40_000;
const TERMS_BYTES_MAX: usize = 500_000;

/// The terms of a text, in order, with repetitions.
#[must_use]
pub(crate) fn terms(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    each_term(text, |term| terms.push(term.to_owned()));
    terms
}

/// The same with a space between two: as the full text is given them.
#[must_use]
pub(crate) fn joined_terms(text: &str) -> String {
    // Every character of Chinese begins a pair.
    let mut joined = String::with_capacity(text.len().saturating_mul(2).min(TERMS_BYTES_MAX));
    each_term(text, |term| {
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(term);
    });
    joined
}

fn each_term(text: &str, each: impl FnMut(&str)) {
    let mut found = Terms { each, count: 0, bytes: 0, word: String::new(), run: String::new() };
    for c in text.chars() {
        if c.is_ascii() || is_ideograph(c) {
            // Most are, and have no other lower case than this.
            found.take(c.to_ascii_lowercase());
        } else {
            c.to_lowercase().for_each(|c| found.take(c));
        }
        if found.is_enough() {
            return;
        }
    }
    found.take(' ');
}

/// Terms as they are found.
struct Terms<F> {
    each: F,
    count: usize,
    bytes: usize,
    /// Letters and digits without a space between them.
    word: String,
    /// The same in Chinese.
    run: String,
}

impl<F: FnMut(&str)> Terms<F> {
    fn is_enough(&self) -> bool {
        self.count >= TERMS_MAX || self.bytes >= TERMS_BYTES_MAX
    }

    fn take(&mut self, c: char) {
        if is_ideograph(c) {
            self.end_word();
            self.run.push(c);
            return;
        }
        self.end_run();
        if c.is_ascii_alphanumeric() {
            self.word.push(c);
            return;
        }
        match fold(c) {
            Some(folded) => self.word.push_str(folded),
            None if c.is_alphanumeric() => self.word.push(c),
            None => self.end_word(),
        }
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        let end =
            self.word.char_indices().nth(TERM_CHARS_MAX).map_or(self.word.len(), |(at, _)| at);
        let term = self.word.get(..end).unwrap_or_default();
        self.count += 1;
        self.bytes += term.len();
        (self.each)(term);
        self.word.clear();
    }

    /// Overlapping pairs, and the last character alone, so that every character begins a term.
    fn end_run(&mut self) {
        if self.run.is_empty() {
            return;
        }
        let room = TERMS_MAX.saturating_sub(self.count);
        let (mut pairs, mut begin) = (0, 0);
        for (second, c) in self.run.char_indices().skip(1) {
            if pairs < room {
                let pair = self.run.get(begin..second + c.len_utf8()).unwrap_or_default();
                self.count += 1;
                self.bytes += pair.len();
                (self.each)(pair);
                pairs += 1;
            }
            begin = second;
        }
        let last = self.run.get(begin..).unwrap_or_default();
        self.count += 1;
        self.bytes += last.len();
        (self.each)(last);
        self.run.clear();
    }
}

/// Chinese, Japanese and Korean characters, which are written without spaces between words.
pub(crate) const fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{ff66}'..='\u{ff9f}'
        | '\u{20000}'..='\u{323af}')
}

/// Letters with accents, as people type them without; `Some("")` for combining marks.
const fn fold(c: char) -> Option<&'static str> {
    Some(match c {
        'à' | 'á' | 'â' | 'ã' | 'ä' | 'å' | 'ā' | 'ă' | 'ą' => "a",
        'ç' | 'ć' | 'č' => "c",
        'ď' | 'đ' => "d",
        'è' | 'é' | 'ê' | 'ë' | 'ē' | 'ę' | 'ě' => "e",
        'ğ' => "g",
        'ì' | 'í' | 'î' | 'ï' | 'ī' | 'ı' => "i",
        'ł' => "l",
        'ñ' | 'ń' | 'ň' => "n",
        'ò' | 'ó' | 'ô' | 'õ' | 'ö' | 'ø' | 'ō' | 'ő' | 'ơ' => "o",
        'ř' => "r",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'ť' | 'ţ' | 'ț' => "t",
        'ù' | 'ú' | 'û' | 'ü' | 'ū' | 'ů' | 'ű' | 'ư' => "u",
        'ý' | 'ÿ' => "y",
        'ź' | 'ż' | 'ž' => "z",
        'æ' => "ae",
        'œ' => "oe",
        '\u{300}'..='\u{36f}' => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_becomes_pairs_and_words_stay_words() {
        assert_eq!(terms("我忘记密码了"), ["我忘", "忘记", "记密", "密码", "码了", "了"]);
        assert_eq!(terms("Straße, CAFÉ-42!"), ["strasse", "cafe", "42"]);
        assert_eq!(terms("USDT钱包"), ["usdt", "钱包", "包"]);
        assert!(terms(" ,.\u{200b}").is_empty());
    }

    #[test]
    fn terms_have_no_end_of_their_own() {
        let long = "é".repeat(200);
        assert_eq!(terms(&long), ["e".repeat(TERM_CHARS_MAX)]);
        assert_eq!(terms("ÀB 密x İ"), ["ab", "密", "x", "i"]);
        let many = "我".repeat(TERMS_MAX + 10);
        assert_eq!(terms(&many).len(), TERMS_MAX + 1);
        assert_eq!(terms(&"a ".repeat(TERMS_MAX + 10)).len(), TERMS_MAX);
    }

    #[test]
    fn joined_terms_are_the_terms() {
        for text in ["", "我忘记密码了", "USDT钱包, and my Café", "한국어 ﾃｽﾄ Привет"]
        {
            assert_eq!(joined_terms(text), terms(text).join(" "));
        }
    }
}
