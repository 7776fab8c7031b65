//! `Content-Type` and `Content-Disposition`: a value, and parameters in all their forms.
//!
//! RFC 2231 continuations and charsets, RFC 2047 words where they do not belong, raw 8-bit names,
//! unquoted blanks: a file is never lost because its name is written badly.

use super::charset;
use super::words;

/// Parameters of one field; the rest is left out.
const PARAMS_MAX: usize = 200;

/// A value with parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Value {
    /// `text/plain`, `attachment`: in lower case, without blanks.
    pub(super) value: String,
    params: Vec<(String, String)>,
}

impl Value {
    /// Reads a field.
    pub(super) fn parse(field: &[u8]) -> Self {
        let field: Vec<u8> = field
            .iter()
            .map(|byte| if matches!(byte, b'\r' | b'\n' | b'\t' | 0) { b' ' } else { *byte })
            .collect();
        let mut pieces = split(&field);
        let first = without_comments(pieces.next().unwrap_or_default());
        let (value, stray) = value_and_stray(&first);
        let stray = stray.into_iter().filter_map(pair);
        let raw: Vec<(String, Vec<u8>)> =
            stray.chain(pieces.filter_map(pair)).take(PARAMS_MAX).collect();
        Self { value, params: joined(raw) }
    }

    /// A parameter by its name in lower case.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// `text/plain charset=utf-8`: the value, and the parameters whose semicolon was forgotten.
fn value_and_stray(piece: &[u8]) -> (String, Vec<&[u8]>) {
    let equals = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
    let head = piece.get(..equals).unwrap_or_default();
    // Blanks before the name of the first parameter; without `=`, all of it is the value.
    let name = head.trim_ascii_end().iter().rposition(u8::is_ascii_whitespace);
    let cut = if equals < piece.len() { name.unwrap_or(0) } else { piece.len() };
    let (value, params) = piece.split_at_checked(cut).unwrap_or((piece, &[]));
    let value = String::from_utf8_lossy(value).to_ascii_lowercase();
    let value: String = value.split_whitespace().collect();
    let value = value.trim_matches(|c: char| matches!(c, '"' | '\'' | ',' | ':')).to_owned();
    let quoted = params.contains(&b'"');
    let params = params.trim_ascii();
    let stray = if params.is_empty() {
        Vec::new()
    } else if quoted {
        vec![params]
    } else {
        params.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect()
    };
    (value, stray)
}

/// The pieces between semicolons outside of quotes.
fn split(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let mut from = 0;
    let mut cuts = Vec::new();
    for (at, byte) in field.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                cuts.push((from, at));
                from = at + 1;
            }
            _ => {}
        }
    }
    cuts.push((from, field.len()));
    cuts.into_iter().filter_map(|(from, to)| field.get(from..to))
}

/// `text/plain (comment)` → `text/plain `.
fn without_comments(piece: &[u8]) -> Vec<u8> {
    let mut depth = 0_usize;
    let mut kept = Vec::with_capacity(piece.len());
    for byte in piece {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(*byte),
            _ => {}
        }
    }
    kept
}

fn pair(piece: &[u8]) -> Option<(String, Vec<u8>)> {
    let equals = piece.iter().position(|byte| *byte == b'=')?;
    let (name, value) = piece.split_at(equals);
    let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    (!name.is_empty()).then(|| (name, unquoted(value)))
}

fn unquoted(value: &[u8]) -> Vec<u8> {
    let Some(inside) = value.strip_prefix(b"\"") else { return value.to_vec() };
    let mut kept = Vec::with_capacity(inside.len());
    let mut escaped = false;
    for byte in inside {
        match byte {
            _ if escaped => {
                // Windows paths come with single backslashes: only these two are ever escaped.
                if !matches!(byte, b'"' | b'\\') {
                    kept.push(b'\\');
                }
                kept.push(*byte);
                escaped = false;
            }
            b'\\' => escaped = true,
            b'"' => break,
            _ => kept.push(*byte),
        }
    }
    kept
}

/// One piece of a parameter that was cut: `name*1*`.
struct Piece {
    number: u32,
    encoded: bool,
    value: Vec<u8>,
}

/// Puts continuations together and decodes everything.
fn joined(raw: Vec<(String, Vec<u8>)>) -> Vec<(String, String)> {
    let mut plain: Vec<(String, String)> = Vec::new();
    let mut extended: Vec<(String, Vec<Piece>)> = Vec::new();
    for (name, value) in raw {
        match extended_name(&name) {
            Some((base, number, encoded)) => {
                let piece = Piece { number, encoded, value };
                match extended.iter_mut().find(|(known, _)| known == base) {
                    Some((_, pieces)) => pieces.push(piece),
                    None => extended.push((base.to_owned(), vec![piece])),
                }
            }
            None => plain.push((name, words::decode(&value))),
        }
    }
    // The extended form is the exact one: it goes first, so that it is found first.
    let mut params: Vec<(String, String)> = extended
        .into_iter()
        .map(|(name, pieces)| (name, assembled(pieces)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    params.extend(plain);
    params
}

/// `name*`, `name*0`, `name*0*` → base name, number, whether it is percent-encoded.
fn extended_name(name: &str) -> Option<(&str, u32, bool)> {
    let (base, rest) = name.split_once('*')?;
    let (number, encoded) = match rest.strip_suffix('*') {
        Some(number) => (number, true),
        None => (rest, rest.is_empty()),
    };
    let number = if number.is_empty() { 0 } else { number.trim().parse().ok()? };
    Some((base.trim(), number, encoded))
}

fn assembled(mut pieces: Vec<Piece>) -> String {
    pieces.sort_by_key(|piece| piece.number);
    let any_encoded = pieces.iter().any(|piece| piece.encoded);
    let mut label = None;
    let mut bytes = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let mut value = piece.value.as_slice();
        if index == 0 && any_encoded {
            (label, value) = charset_of(value);
        }
        if piece.encoded { bytes.extend(percent_decoded(value)) } else { bytes.extend(value) }
    }
    if !any_encoded && bytes.starts_with(b"=?") {
        return words::decode(&bytes);
    }
    charset::decode(label.as_deref(), &bytes)
}

/// `utf-8'en'text` → the charset and the text. Programs forget the quotes.
fn charset_of(value: &[u8]) -> (Option<String>, &[u8]) {
    let mut pieces = value.splitn(3, |byte| *byte == b'\'');
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(label), Some(_), Some(text)) => {
            (Some(String::from_utf8_lossy(label).into_owned()), text)
        }
        _ => (None, value),
    }
}

fn percent_decoded(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    loop {
        match rest {
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(words::hex(*high) << 4 | words::hex(*low));
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

#[cfg(test)]
mod tests {
    use super::*;

    // COMPLAINTS E4, E5, E6, E8
    #[test]
    fn file_names_are_read_in_every_form() {
        let table: &[(&[u8], &str)] = &[
            (b"attachment; filename=a.pdf", "a.pdf"),
            (b"attachment; filename=\"my file; v2.pdf\"", "my file; v2.pdf"),
            (b"attachment; filename=my file.pdf", "my file.pdf"),
            (b"attachment; FILENAME = \"a.pdf\" ; size=3", "a.pdf"),
            (b"attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf", "Größe.pdf"),
            (b"attachment; filename*=iso-8859-1'de'Gr%F6%DFe.pdf", "Größe.pdf"),
            (b"attachment; filename*=utf-8''Gr%F6%DFe.pdf", "Größe.pdf"),
            (b"attachment; filename*=Gr%C3%B6%C3%9Fe.pdf", "Größe.pdf"),
            (b"attachment; filename=\"x.pdf\"; filename*=utf-8''%E9%92%B1.pdf", "钱.pdf"),
            (
                b"attachment; filename*0*=utf-8''%E9%92; filename*1*=%B1%E5%8C%85; filename*2=.pdf",
                "钱包.pdf",
            ),
            (b"attachment; filename*1=\"b.pdf\"; filename*0=\"a\"", "ab.pdf"),
            (b"attachment; filename*0=\"=?utf-8?B?6ZKx\"; filename*1=\"?=.pdf\"", "钱.pdf"),
            (b"attachment; filename=\"=?gb2312?B?x66w/C5wZGY=?=\"", "钱包.pdf"),
            (b"attachment;\r\n filename=\"=?utf-8?Q?=E9=92?=\r\n =?utf-8?Q?=B1.pdf?=\"", "钱.pdf"),
            (b"attachment; filename==?koi8-r?B?68/bxczF?= =?koi8-r?Q?=CB.doc?=", "Кошелек.doc"),
            (b"attachment; filename=\"Gr\xf6\xdfe.pdf\"", "Größe.pdf"),
            ("attachment; filename=\"Größe.pdf\"".as_bytes(), "Größe.pdf"),
            (b"attachment; filename=\"C:\\temp\\a.pdf\"", "C:\\temp\\a.pdf"),
            (b"attachment; filename=\"a\\\"b.pdf\"", "a\"b.pdf"),
            (b"attachment; filename=\"unclosed.pdf", "unclosed.pdf"),
        ];
        for (field, name) in table {
            let value = Value::parse(field);
            let text = String::from_utf8_lossy(field);
            assert_eq!(value.param("filename"), Some(*name), "{text}");
            assert_eq!(value.value, "attachment", "{text}");
        }
    }

    #[test]
    fn broken_types_give_what_they_can() {
        for (field, value) in [
            ("Text/PLAIN; charset=utf-8", "text/plain"),
            ("text / html", "text/html"),
            ("text/plain (a comment); x", "text/plain"),
            ("text/plain charset=utf-8", "text/plain"),
            ("text/plain, charset=utf-8", "text/plain"),
            ("application/pdf name=\"my file.pdf\"", "application/pdf"),
            ("", ""),
            (";;;=;", ""),
            ("\"text/html\"", "text/html"),
        ] {
            assert_eq!(Value::parse(field.as_bytes()).value, value, "{field}");
        }
        let forgotten = Value::parse(b"text/plain charset=koi8-r format=flowed; x=y");
        assert_eq!(forgotten.param("charset"), Some("koi8-r"));
        assert_eq!(forgotten.param("format"), Some("flowed"));
        assert_eq!(forgotten.param("x"), Some("y"));
        let none = Value::parse(b"attachment; filename*x*=1; *=2; filename*99999999999=3");
        assert_eq!(none.param("filename"), None);
    }
}
