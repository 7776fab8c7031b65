//! Bytes → text, whatever the label says.
//!
//! Labels lie, are missing, or name the wrong one of two relatives. What is certain comes first
//! (escape sequences of ISO-2022-JP, well-formed UTF-8), then the label if the bytes bear it out, then
//! a guess. Never fails: what cannot be read becomes U+FFFD.

mod seven;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{
    BIG5, EUC_JP, EUC_KR, Encoding, GB18030, GBK, ISO_2022_JP, SHIFT_JIS, UTF_8, UTF_16BE,
    UTF_16LE, WINDOWS_1252,
};
use mail_parser::decoders::charsets::map::charset_decoder;

/// So many different characters of two bytes, all well-formed, are no accident in any other encoding.
const SHORT_SEQUENCES: usize = 5;

/// How much the guess looks at.
const SAMPLE_BYTES: usize = 64 * 1024;

/// How much of a HTML file may stand before its `<meta charset>`.
const META_BYTES: usize = 4096;

/// Encodings with characters of several bytes.
static MANY_BYTES: [&Encoding; 5] = [GB18030, BIG5, EUC_KR, EUC_JP, SHIFT_JIS];

/// Decodes text that is not HTML.
pub(super) fn decode(label: Option<&str>, bytes: &[u8]) -> String {
    let label = label.map(cleaned).filter(|label| !label.is_empty());
    if let Some(text) = certain(bytes) {
        return text;
    }
    match label.as_deref() {
        None => guessed(bytes),
        Some(label) if says_nothing(label) => guessed(bytes),
        Some(label) if is_utf7(label) => other(label, bytes),
        Some(label) => match Encoding::for_label_no_replacement(alias(label).as_bytes()) {
            Some(encoding) => labelled(encoding, bytes),
            None => other(alias(label), bytes),
        },
    }
}

/// Decodes HTML: its own `<meta charset>` counts where the mail gives no label. UTF-7 is never
/// decoded here, since `+ADw-script+AD4-` would become a tag.
pub(super) fn decode_html(label: Option<&str>, bytes: &[u8]) -> String {
    let label = label.map(cleaned).filter(|label| !says_nothing(label) && !is_utf7(label));
    match label {
        Some(label) => decode(Some(&label), bytes),
        None => decode(meta_charset(bytes).filter(|label| !is_utf7(label)).as_deref(), bytes),
    }
}

/// The charset for raw 8-bit headers: the text's, unless that is Western or unknown and this header is
/// plainly in one of several bytes a character.
pub(super) fn of_many_bytes(label: Option<String>, header: &[u8]) -> Option<String> {
    let known = label.as_deref().map(cleaned);
    let known = known.and_then(|label| Encoding::for_label(alias(&label).as_bytes()));
    let western = known.is_none_or(|encoding| encoding == WINDOWS_1252);
    if !western || std::str::from_utf8(header).is_ok() || !mostly_high(header) {
        return label;
    }
    let seen = guess(header).filter(|seen| MANY_BYTES.contains(seen));
    seen.map(|encoding| encoding.name().to_owned()).or(label)
}

/// `"GB2312" format=flowed` → `gb2312`
fn cleaned(label: &str) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | ',' | '=');
    label.split(ends).find(|word| !word.is_empty()).unwrap_or_default().to_lowercase()
}

/// Labels that programs write when they do not know.
fn says_nothing(label: &str) -> bool {
    matches!(
        label,
        "" | "us-ascii"
            | "ascii"
            | "ansi_x3.4-1968"
            | "646"
            | "unknown"
            | "unknown-8bit"
            | "x-unknown"
            | "8bit"
            | "7bit"
            | "binary"
            | "default"
            | "default_charset"
            | "none"
            | "null"
            | "auto"
            | "_autodetect"
            | "_autodetect_all"
            | "x-user-defined"
            | "charset"
            | "undefined"
    )
}

fn is_utf7(label: &str) -> bool {
    label.contains("utf-7") || label.contains("utf7")
}

/// Names that the encoding standard does not know, for encodings that it does.
fn alias(label: &str) -> &str {
    match label {
        "cp936" | "ms936" | "936" | "gb_2312" | "gb2312-80" | "euc-cn" | "gb2312_charset"
        | "chinesegb" | "gb" => "gb18030",
        "cp932" | "ms932" | "shiftjis" | "sjis-win" | "windows-932" | "cp943" => "shift_jis",
        "cp949" | "ms949" | "uhc" | "ksc5601" | "ks_c_5601" | "euckr" => "euc-kr",
        "cp950" | "ms950" | "big-5" | "big5-eten" | "big5_charset" => "big5",
        "eucjp" | "ujis" | "eucjp-win" | "eucjp-ms" => "euc-jp",
        "cp50220" | "cp50221" | "cp50222" | "iso-2022-jp-1" | "iso-2022-jp-2" | "iso-2022-jp-3"
        | "iso-2022-jp-2004" | "iso-2022-jp-ms" | "iso2022jp" | "iso-2022-jis" | "jis" => {
            "iso-2022-jp"
        }
        "utf8mb4" | "utf_8" | "utf-8n" | "utf-8bom" | "utf-8-sig" => "utf-8",
        "win-1251" | "windows1251" | "cp-1251" => "windows-1251",
        "koi8" | "koi8r" | "koi-8" | "koi8_r" => "koi8-r",
        "cp-850" => "cp850",
        _ => match label.strip_prefix("win-").or_else(|| label.strip_prefix("cp-")) {
            Some(
                page @ ("1250" | "1252" | "1253" | "1254" | "1255" | "1256" | "1257" | "1258"),
            ) => page_name(page),
            _ => label,
        },
    }
}

fn page_name(page: &str) -> &'static str {
    match page {
        "1250" => "windows-1250",
        "1253" => "windows-1253",
        "1254" => "windows-1254",
        "1255" => "windows-1255",
        "1256" => "windows-1256",
        "1257" => "windows-1257",
        "1258" => "windows-1258",
        _ => "windows-1252",
    }
}

/// What can be read without a label, and without a doubt.
fn certain(bytes: &[u8]) -> Option<String> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        let rest = bytes.get(length..).unwrap_or_default();
        return Some(encoding.decode_without_bom_handling(rest).0.into_owned());
    }
    let seven_bit = bytes.is_ascii();
    if seven_bit && has_japanese_escapes(bytes) {
        return Some(japanese(bytes));
    }
    if seven_bit && seven::is_korean(bytes) {
        return Some(seven::shifted(bytes, EUC_KR));
    }
    if seven_bit || !is_surely_utf8(bytes) {
        return None;
    }
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// Escapes of ISO-2022-JP into Kanji or Kana.
fn has_japanese_escapes(bytes: &[u8]) -> bool {
    let escapes: [&[u8]; 4] = [b"\x1b$B", b"\x1b$@", b"\x1b(I", b"\x1b$(D"];
    bytes.windows(4).any(|window| escapes.iter().any(|escape| window.starts_with(escape)))
}

/// ISO-2022-JP, line by line: an escape that was never closed must not spoil the lines behind it.
fn japanese(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (line, end) = match line.strip_suffix(b"\n") {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        text.push_str(&ISO_2022_JP.decode_without_bom_handling(&without_idle_escapes(line)).0);
        text.push_str(end);
    }
    text
}

/// An escape right behind another one makes the first one idle. That is how joined words look, and
/// the decoder would take it for an attack.
fn without_idle_escapes(line: &[u8]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(line.len());
    let mut rest = line;
    while let [first, tail @ ..] = rest {
        let length = escape_length(rest);
        if length > 0 && rest.get(length) == Some(&0x1b) {
            rest = rest.get(length..).unwrap_or_default();
        } else {
            kept.push(*first);
            rest = tail;
        }
    }
    kept
}

fn escape_length(bytes: &[u8]) -> usize {
    match bytes {
        [0x1b, b'$', b'(', ..] => 4,
        [0x1b, b'$' | b'(', ..] => 3,
        _ => 0,
    }
}

/// Well-formed UTF-8 with at least one sequence of three or more bytes, or many of two. A few two-byte
/// sequences alone could be characters of GBK («联通», «谢谢 谢谢 谢谢»).
fn is_surely_utf8(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let mut short: Vec<char> = Vec::new();
    for c in text.chars().filter(|c| !c.is_ascii()) {
        if c.len_utf8() > 2 {
            return true;
        }
        if !short.contains(&c) {
            short.push(c);
        }
        if short.len() >= SHORT_SEQUENCES {
            return true;
        }
    }
    false
}

/// The label names an encoding that we have; do the bytes agree?
fn labelled(encoding: &'static Encoding, bytes: &[u8]) -> String {
    if encoding == UTF_8 {
        return labelled_utf8(bytes);
    }
    if encoding == UTF_16LE || encoding == UTF_16BE {
        return utf16(encoding, bytes);
    }
    let encoding = if encoding == GBK { GB18030 } else { encoding };
    if encoding == ISO_2022_JP {
        return if bytes.is_ascii() { japanese(bytes) } else { guessed(bytes) };
    }
    let many_bytes = MANY_BYTES.contains(&encoding);
    if !many_bytes && is_utf8_with_two(bytes) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let (text, broken) = encoding.decode_without_bom_handling(bytes);
    let doubtful = if many_bytes {
        broken || (encoding == GB18030 && !looks_like_gb2312(bytes))
    } else {
        encoding == WINDOWS_1252 && (is_utf8_with_some(bytes) || mostly_high(bytes))
    };
    if !doubtful {
        return text.into_owned();
    }
    match guess(bytes) {
        Some(better) if better != encoding && (many_bytes || better != WINDOWS_1252) => {
            better.decode_without_bom_handling(bytes).0.into_owned()
        }
        _ => text.into_owned(),
    }
}

/// Labelled UTF-8 but not well-formed: a mail that was cut, or another encoding?
fn labelled_utf8(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let wrong = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
    let right = text.chars().filter(|c| !c.is_ascii()).count() - wrong;
    if wrong <= right || wrong == 0 {
        return text.into_owned();
    }
    guess(bytes).map_or(text.clone().into_owned(), |encoding| {
        encoding.decode_without_bom_handling(bytes).0.into_owned()
    })
}

/// UTF-16 in a mail is rare enough for its label to lie: half of its bytes must be zeros, or it must at
/// least not be plain ASCII.
fn utf16(encoding: &'static Encoding, bytes: &[u8]) -> String {
    let plain = !bytes.contains(&0)
        && bytes.iter().filter(|byte| byte.is_ascii()).count() * 10 > bytes.len() * 9;
    if plain { guessed(bytes) } else { encoding.decode_without_bom_handling(bytes).0.into_owned() }
}

fn is_utf8_with_some(bytes: &[u8]) -> bool {
    !bytes.is_ascii() && std::str::from_utf8(bytes).is_ok()
}

/// In an encoding of one byte a character, already two such pairs are no words.
fn is_utf8_with_two(bytes: &[u8]) -> bool {
    let two = bytes.iter().filter(|byte| **byte >= 0xC0).nth(1).is_some();
    two && std::str::from_utf8(bytes).is_ok()
}

/// More than two in five of the letters have their high bit set, as no Western language does.
fn mostly_high(bytes: &[u8]) -> bool {
    let high = bytes.iter().filter(|byte| **byte >= 0x80).count();
    let low = bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    // «ÄÖÜ.txt» is what people name their trials; of other encodings these few bytes make no words.
    let umlauts =
        bytes.iter().all(|byte| byte.is_ascii() || b"\xc4\xd6\xdc\xe4\xf6\xfc\xdf".contains(byte));
    high >= 4 && high * 3 > low * 2 && !umlauts
}

/// Most pairs lie in the plane of GB 2312 that is in daily use. `Shift_JIS` and Big5 under a label of
/// GB 2312 decode too, but to characters that nobody writes.
fn looks_like_gb2312(bytes: &[u8]) -> bool {
    let (mut common, mut rare) = (0_usize, 0_usize);
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if first.is_ascii() {
            continue;
        }
        let Some((second, tail)) = tail.split_first() else { break };
        rest = tail;
        let daily = (0xA1..=0xA9).contains(first) || (0xB0..=0xF7).contains(first);
        if daily && *second >= 0xA1 { common += 1 } else { rare += 1 }
    }
    common >= rare
}

/// Well-formed UTF-8, or the best guess.
fn guessed(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    guess(bytes).unwrap_or(WINDOWS_1252).decode_without_bom_handling(bytes).0.into_owned()
}

/// What the bytes look like, if that can be decoded without a fault.
fn guess(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = bytes.get(..SAMPLE_BYTES).unwrap_or(bytes);
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(sample, true);
    let encoding = detector.guess(None, Utf8Detection::Allow);
    let encoding = if encoding == GBK { GB18030 } else { encoding };
    let sound = encoding.decode_without_bom_handling_and_without_replacement(bytes).is_some();
    (sound || encoding == WINDOWS_1252).then_some(encoding)
}

/// Labels that the encoding standard leaves out: code pages of DOS, UTF-7 (never for HTML).
fn other(label: &str, bytes: &[u8]) -> String {
    if let Some(text) = seven::decode(label, bytes) {
        return text;
    }
    let label = if is_utf7(label) { "utf-7" } else { label };
    match charset_decoder(label.as_bytes()) {
        Some(decoder) => decoder(bytes),
        None => guessed(bytes),
    }
}

/// The charset that HTML gives itself, in either spelling of `<meta>`.
fn meta_charset(bytes: &[u8]) -> Option<String> {
    let head = bytes.get(..META_BYTES).unwrap_or(bytes);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    head.split("<meta").skip(1).find_map(|tag| {
        let tag = tag.split('>').next().unwrap_or_default();
        let (_, value) = tag.split_once("charset")?;
        let value =
            value.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
        let end = value.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '/'));
        let name = value.get(..end.unwrap_or(value.len()))?;
        (!name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // COMPLAINTS E1, E3, E7, E12, E13; FAULTS 84: labels that are right, wrong, unknown or missing.
    #[test]
    fn forty_labels_are_understood() {
        for (label, text) in [
            ("utf-8", "钱包 🦀"),
            ("UTF8", "钱包"),
            ("gb2312", "我的钱包丢了"),
            ("gbk", "我的錢包"),
            ("gb18030", "我的钱包"),
            ("cp936", "我的钱包丢了"),
            ("big5", "我的錢包不見了"),
            ("big5-hkscs", "我的錢包不見了"),
            ("euc-kr", "지갑을 잃어버렸습니다"),
            ("ks_c_5601-1987", "지갑을 잃어버렸습니다"),
            ("cp949", "지갑을 잃어버렸습니다"),
            ("shift_jis", "財布をなくしました"),
            ("cp932", "財布をなくしました①"),
            ("euc-jp", "財布をなくしました"),
            ("koi8-r", "Я потерял кошелёк"),
            ("koi8-u", "Я загубив гаманець, їжак"),
            ("windows-1251", "Я потерял кошелёк"),
            ("win-1251", "Я потерял кошелёк"),
            ("iso-8859-5", "Я потерял кошелек"),
            ("ibm866", "Я потерял кошелек"),
            ("windows-1250", "Zażółć gęślą jaźń, příliš žluťoučký"),
            ("win-1250", "Zażółć gęślą jaźń"),
            ("iso-8859-2", "Zażółć gęślą jaźń"),
            ("windows-1252", "Größe – “Café” €"),
            ("iso-8859-1", "Größe – “Café” €"),
            ("latin1", "Größe café"),
            ("iso-8859-15", "Größe café €"),
            ("windows-1253", "Έχασα το πορτοφόλι"),
            ("iso-8859-7", "Έχασα το πορτοφόλι"),
            ("windows-1254", "Cüzdanımı kaybettim, şöyle"),
            ("iso-8859-9", "Cüzdanımı kaybettim, şöyle"),
            ("windows-1255", "איבדתי את הארנק"),
            ("iso-8859-8-i", "איבדתי את הארנק"),
            ("windows-1256", "فقدت محفظتي"),
            ("iso-8859-6", "فقدت محفظتي"),
            ("windows-1257", "Pametu naudinę, ąčęėįšųūž"),
            ("iso-8859-13", "Pametu ąčęėįšųūž"),
            ("windows-1258", "Tôi"),
            ("windows-874", "ฉันทำกระเป๋าหาย"),
            ("tis-620", "ฉันทำกระเป๋าหาย"),
            ("macintosh", "Größe café"),
            ("iso-8859-16", "Șarpe țară"),
        ] {
            let encoding = Encoding::for_label(alias(&cleaned(label)).as_bytes()).unwrap();
            let (bytes, _, failed) = encoding.encode(text);
            assert!(!failed, "{label} cannot hold {text}");
            assert_eq!(decode(Some(label), &bytes), text, "{label}");
            let meta = format!("<html><META http-equiv=x content='text/html; charset={label}'><p>");
            let mut html = meta.clone().into_bytes();
            html.extend_from_slice(&bytes);
            assert_eq!(decode_html(None, &html), format!("{meta}{text}"), "meta {label}");
        }
    }

    #[test]
    fn japanese_is_read_with_a_wrong_label_or_none() {
        let (bytes, _, _) = ISO_2022_JP.encode("財布をなくしました");
        for label in
            [None, Some("iso-2022-jp"), Some("us-ascii"), Some("utf-8"), Some("iso-8859-1")]
        {
            assert_eq!(decode(label, &bytes), "財布をなくしました", "{label:?}");
        }
        let kana = b"\x1b(I6@\x1b(B and \x1b$B$\"";
        assert_eq!(decode(Some("cp50221"), kana), "ｶﾀ and あ");
        let open = b"\x1b$B$\"$\"\nplain\n";
        assert_eq!(decode(Some("iso-2022-jp"), open), "ああ\nplain\n", "an escape left open");
    }

    #[test]
    fn a_label_that_lies_loses_against_the_bytes() {
        let long = "私のウォレットの残高が表示されません。至急ご確認をお願いいたします。よろしくお願いいたします。";
        let (sjis, _, _) = SHIFT_JIS.encode(long);
        assert_eq!(decode(Some("gb2312"), &sjis), long, "Japanese as Chinese");
        let chinese = "我的钱包余额显示不正确，请尽快帮我检查一下，谢谢你们的帮助。";
        let (gbk, _, _) = GBK.encode(chinese);
        assert_eq!(decode(Some("utf-8"), &gbk), chinese, "GBK as UTF-8");
        assert_eq!(decode(Some("iso-8859-1"), &gbk), chinese, "GBK as Latin 1");
        assert_eq!(decode(Some("us-ascii"), &gbk), chinese, "GBK as ASCII");
        assert_eq!(decode(None, &gbk), chinese, "GBK without a label");
        assert_eq!(decode(Some("x-foo"), &gbk), chinese, "an unknown label");
        for label in ["gb2312", "iso-8859-1", "us-ascii", "windows-1251", "big5"] {
            assert_eq!(decode(Some(label), chinese.as_bytes()), chinese, "UTF-8 as {label}");
        }
        let russian = "Я потерял кошелёк";
        for label in ["windows-1251", "koi8-r", "gb2312", "iso-8859-7", "euc-kr"] {
            assert_eq!(decode(Some(label), russian.as_bytes()), russian, "UTF-8 as {label}");
        }
        for word in ["联通", "谢谢", "谢谢谢谢谢谢谢谢谢谢"] {
            let (bytes, _, _) = GBK.encode(word);
            assert_eq!(decode(Some("gb2312"), &bytes), word, "as short as that, the label counts");
        }
        assert_eq!(decode(Some("iso-8859-1"), "Größe".as_bytes()), "Größe");
        assert_eq!(
            decode(Some("iso-8859-1"), b"\xc4\xd6\xdc\xe4\xf6\xfc\xdf\xc4\xd6.txt"),
            "ÄÖÜäöüßÄÖ.txt"
        );
        let (west, _, _) = WINDOWS_1252.encode("Grüße aus Köln, café crème");
        assert_eq!(decode(Some("utf-8"), &west), "Grüße aus Köln, café crème");
        assert_eq!(decode(Some("utf-16"), b"plain text all the way"), "plain text all the way");
    }

    #[test]
    fn a_subject_tells_the_charset_of_the_names_beside_it() {
        let (subject, _, _) = GBK.encode("转账失败，请尽快帮我查一下余额");
        let told =
            |label: Option<&str>, header: &[u8]| of_many_bytes(label.map(str::to_owned), header);
        for label in [None, Some("iso-8859-1"), Some("x-unknown")] {
            let charset = told(label, &subject);
            assert_eq!(charset.as_deref(), Some("gb18030"), "{label:?}");
            let (name, _, _) = GBK.encode("王小明");
            assert_eq!(decode(charset.as_deref(), &name), "王小明");
        }
        assert_eq!(told(Some("big5"), &subject).as_deref(), Some("big5"));
        assert_eq!(
            told(Some("iso-8859-1"), b"Gr\xfc\xdfe aus K\xf6ln").as_deref(),
            Some("iso-8859-1")
        );
        assert_eq!(told(None, "钱包".as_bytes()), None);
    }

    #[test]
    fn utf7_is_text_in_text_and_nothing_in_html() {
        assert_eq!(decode(Some("utf-7"), b"Gr+APwA3w-e"), "Grüße");
        let attack = b"+ADw-script+AD4-alert(1)+ADw-/script+AD4-";
        assert_eq!(decode_html(Some("utf-7"), attack), String::from_utf8_lossy(attack));
        let own = b"<meta charset=utf-7>+ADw-script+AD4-";
        assert_eq!(decode_html(None, own), String::from_utf8_lossy(own));
    }

    #[test]
    fn old_code_pages_are_known_too() {
        assert_eq!(decode(Some("cp850"), b"Gr\x81\xe1e"), "Grüße");
        assert_eq!(decode(Some("cp-850"), b"Gr\x81\xe1e"), "Grüße");
        assert_eq!(decode(Some("\"KOI8-R\"; format=flowed"), b"\xf1"), "Я");
    }
}
