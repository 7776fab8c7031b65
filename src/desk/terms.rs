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
    let mut word = String::new();
    let mut run: Vec<char> = Vec::new();
    let (mut bytes, mut counted) = (0, 0);
    for c in text.chars().flat_map(char::to_lowercase).chain([' ']) {
        if is_ideograph(c) {
            end_word(&mut word, &mut terms);
            run.push(c);
        } else {
            end_run(&mut run, &mut terms);
            match fold(c) {
                Some(folded) => word.push_str(folded),
                None if c.is_alphanumeric() => word.push(c),
                None => end_word(&mut word, &mut terms),
            }
        }
        bytes += terms.iter().skip(counted).map(String::len).sum::<usize>();
        counted = terms.len();
        if counted >= TERMS_MAX || bytes >= TERMS_BYTES_MAX {
            break;
        }
    }
    terms
}

fn end_word(word: &mut String, terms: &mut Vec<String>) {
    if !word.is_empty() {
        terms.push(word.chars().take(TERM_CHARS_MAX).collect());
        word.clear();
    }
}

/// Overlapping pairs, and the last character alone, so that every character begins a term.
fn end_run(run: &mut Vec<char>, terms: &mut Vec<String>) {
    let room = TERMS_MAX.saturating_sub(terms.len());
    terms.extend(run.windows(2).take(room).map(|pair| pair.iter().collect()));
    if let Some(last) = run.last() {
        terms.push(last.to_string());
    }
    run.clear();
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
}
