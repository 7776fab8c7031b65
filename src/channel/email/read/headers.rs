//! The header block, cut into fields. Values stay bytes: what they mean is decided later.

/// Bytes of all fields together; the rest is left out.
const BYTES_MAX: usize = 256 * 1024;

/// Fields of one block; the rest is left out.
const FIELDS_MAX: usize = 1000;

/// One field.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    /// In lower case.
    pub(super) name: String,
    /// As it came, line breaks of folding included.
    pub(super) value: &'a [u8],
}

/// The fields of one mail or part, in order.
#[derive(Debug, Clone, Default)]
pub(super) struct Headers<'a> {
    pub(super) fields: Vec<Field<'a>>,
    /// There were more than we take.
    pub(super) truncated: bool,
}

impl<'a> Headers<'a> {
    /// Splits a mail or part into its fields and its body.
    pub(super) fn split(bytes: &'a [u8]) -> (Self, &'a [u8]) {
        let mut headers = Self::default();
        let mut rest = without_prologue(bytes);
        let mut budget = BYTES_MAX;
        loop {
            let (field, after) = next_field(rest);
            match field {
                Piece::End => return (headers, after),
                Piece::Body => return (headers, rest),
                Piece::Junk => {}
                Piece::Field(name, value) => headers.add(name, value, &mut budget),
            }
            rest = after;
        }
    }

    fn add(&mut self, name: &[u8], value: &'a [u8], budget: &mut usize) {
        if self.fields.len() >= FIELDS_MAX || *budget == 0 {
            self.truncated = true;
            return;
        }
        let kept = value.get(..*budget).unwrap_or(value);
        self.truncated |= kept.len() < value.len();
        *budget = budget.saturating_sub(name.len() + kept.len());
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        self.fields.push(Field { name, value: kept });
    }

    /// Every value of a field, top first.
    pub(super) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a [u8]> + 'b {
        self.fields.iter().filter(move |field| field.name == name).map(|field| field.value)
    }

    /// The first value of a field that is not blank.
    pub(super) fn first(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).find(|value| !value.trim_ascii().is_empty())
    }

    /// The first value as plain text in lower case, without comments' sake: for keywords.
    pub(super) fn keyword(&self, name: &str) -> Option<String> {
        self.first(name).map(|value| String::from_utf8_lossy(value).trim().to_ascii_lowercase())
    }

    /// Is there such a field, however empty?
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }
}

/// What stands before the header although it should not: a byte order mark, blank lines, the `From `
/// line of an mbox.
fn without_prologue(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    while let [b'\r' | b'\n', tail @ ..] = rest {
        rest = tail;
    }
    // A part of a multipart may have no header at all: then its first line is blank, and its body
    // begins behind it. Only a whole mail comes here with blank lines that mean nothing, and then the
    // next line is a field.
    if rest.len() < bytes.len() && !matches!(next_field(rest).0, Piece::Field(..)) {
        return bytes;
    }
    if rest.starts_with(b"From ") || rest.starts_with(b">From ") {
        return rest.split_at(line_end(rest)).1;
    }
    rest
}

enum Piece<'a> {
    /// The blank line behind the header.
    End,
    /// A line that is no field: the blank line was forgotten.
    Body,
    /// A line that is no field, among fields.
    Junk,
    /// Name and value.
    Field(&'a [u8], &'a [u8]),
}

/// The next field with all its continuation lines, and what follows.
fn next_field(bytes: &[u8]) -> (Piece<'_>, &[u8]) {
    if bytes.is_empty() {
        return (Piece::End, bytes);
    }
    let end = line_end(bytes);
    let (line, after) = bytes.split_at(end);
    if line.trim_ascii().is_empty() && !line.starts_with(b" ") && !line.starts_with(b"\t") {
        return (Piece::End, after);
    }
    let Some(colon) = name_length(line) else {
        let next_is_field = name_length(after.split_at(line_end(after)).0).is_some();
        let piece = if next_is_field { Piece::Junk } else { Piece::Body };
        return (piece, after);
    };
    let mut end = end;
    while let Some(b' ' | b'\t') = bytes.get(end) {
        let more = line_end(bytes.get(end..).unwrap_or_default());
        end += more;
    }
    let (field, after) = bytes.split_at(end);
    let (name, value) = field.split_at(colon);
    (Piece::Field(name, value.get(1..).unwrap_or_default()), after)
}

/// Where the colon stands, if the line begins as a field does.
fn name_length(line: &[u8]) -> Option<usize> {
    let colon = line.iter().take(200).position(|byte| *byte == b':')?;
    let name = line.get(..colon)?.trim_ascii_end();
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(colon)
}

/// Length of the first line, its line end included.
pub(super) fn line_end(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1)
}

/// Some mails have only carriage returns as line ends. Gives them proper ones.
pub(super) fn with_line_feeds(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.contains(&b'\n') || !bytes.contains(&b'\r') {
        return None;
    }
    Some(bytes.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bytes: &[u8]) -> (Vec<String>, String) {
        let (headers, body) = Headers::split(bytes);
        let names = headers.fields.into_iter().map(|field| field.name).collect();
        (names, String::from_utf8_lossy(body).into_owned())
    }

    #[test]
    fn ugly_header_blocks_give_their_fields_and_body() {
        let table: &[(&str, &[&str], &str)] = &[
            ("A: 1\r\nB: 2\r\n\r\nbody", &["a", "b"], "body"),
            ("\u{feff}A: 1\n\nbody", &["a"], "body"),
            ("\r\n\r\nA: 1\n\nbody", &["a"], "body"),
            ("From me Tue\nA: 1\n\nbody", &["a"], "body"),
            ("A : 1\n two\n\t three\n\nbody", &["a"], "body"),
            ("A: 1\n \nB: 2\n\nbody", &["a", "b"], "body"),
            ("A: 1\njunk\nB: 2\n\nbody", &["a", "b"], "body"),
            ("A: 1\nHello there,\nhow are you?", &["a"], "Hello there,\nhow are you?"),
            ("\nbody only", &[], "body only"),
            ("", &[], ""),
            ("A: 1", &["a"], ""),
            (":\n\nbody", &[], ":\n\nbody"),
        ];
        for (bytes, fields, body) in table {
            let (found, rest) = names(bytes.as_bytes());
            assert_eq!(found, *fields, "{bytes:?}");
            assert_eq!(rest, *body, "{bytes:?}");
        }
    }

    // FAULTS 80; COMPLAINTS L18: a header of 10 MB, and one of 10,000 fields.
    #[test]
    fn a_header_without_end_is_cut_and_its_body_found() {
        let long = format!("A: {}\r\nB: 2\r\n\r\nbody", "x ".repeat(5_000_000));
        let (headers, body) = Headers::split(long.as_bytes());
        assert!(headers.truncated && body == b"body");
        assert_eq!(headers.fields.len(), 1);
        let many = format!("{}\r\nbody", "A: 1\r\n".repeat(10_000));
        let (headers, body) = Headers::split(many.as_bytes());
        assert!(headers.truncated && body == b"body");
        assert_eq!(headers.fields.len(), FIELDS_MAX);
    }

    #[test]
    fn carriage_returns_alone_become_line_feeds() {
        assert_eq!(with_line_feeds(b"A: 1\r\rx").unwrap(), b"A: 1\n\nx");
        assert!(with_line_feeds(b"A: 1\r\n\r\nx").is_none());
    }
}
