//! The header block, cut into fields. Values stay bytes: what they mean is decided later.

/// Bytes of all fields together; the rest is left out.
const BYTES_MAX: usize = 256 * 1024;

/// Fields of one block; the rest is left out.
const FIELDS_MAX: usize = 1000;

/// Bytes of one field; the rest is left out.
const FIELD_BYTES_MAX: usize = 64 * 1024;

/// Longest name of a field. Longer than any line may be: what is no field ends the header, and the rest
/// of it would be taken for the body.
const NAME_BYTES_MAX: usize = 4096;

/// Fields without which nothing can be understood: the first of each is kept, however much came
/// before it.
const NEEDED: [&str; 14] = [
    "from",
    "to",
    "cc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "auto-submitted",
    "return-path",
];

/// Fields that no text of a customer's begins a line with, unlike `Subject` and `Date` of what is quoted.
const TELLING: [&str; 3] = ["from", "message-id", "content-type"];

/// Parameters of a type, as they begin a line that was not folded.
const PARAMETERS: [&str; 9] = [
    "boundary",
    "charset",
    "name",
    "filename",
    "format",
    "delsp",
    "type",
    "report-type",
    "protocol",
];

/// What may still be taken of one block.
struct Allowance {
    bytes: usize,
    /// Which of [`NEEDED`] are there already.
    seen: [bool; NEEDED.len()],
    /// How much remains where the next one of [`TELLING`] stands, as far as that was looked for.
    telling: usize,
}

impl Allowance {
    /// Is it the first of a field that is needed?
    fn needs(&mut self, name: &str) -> bool {
        let slot = NEEDED.iter().position(|needed| *needed == name);
        let seen = slot.and_then(|slot| self.seen.get_mut(slot));
        seen.is_some_and(|seen| !std::mem::replace(seen, true))
    }

    /// A relay that breaks lines without the blank of a fold leaves lines that are no fields. They are
    /// not the body yet where a field follows, before the blank line, without which no mail is read.
    fn goes_on(&mut self, rest: &[u8]) -> bool {
        if rest.len() > self.telling {
            return true;
        }
        let mut ahead = rest;
        loop {
            let (line, after) = ahead.split_at(line_end(ahead));
            if line.trim_ascii().is_empty() {
                return false;
            }
            if name_length(line).is_some_and(|colon| self.is_telling(line, colon)) {
                self.telling = ahead.len();
                return true;
            }
            ahead = after;
        }
    }

    /// One of [`TELLING`] that was not there yet?
    fn is_telling(&self, line: &[u8], colon: usize) -> bool {
        let name = line.get(..colon).unwrap_or_default().trim_ascii_end();
        let is = |known: &&str| name.eq_ignore_ascii_case(known.as_bytes());
        let slot = NEEDED.iter().position(is);
        let seen = slot.and_then(|slot| self.seen.get(slot));
        TELLING.iter().any(is) && seen == Some(&false)
    }
}

/// What a header stands before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    Mail,
    Part,
}

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
    /// Splits a whole mail, or a block of a report, into its fields and its body.
    pub(super) fn split(bytes: &'a [u8]) -> (Self, &'a [u8]) {
        Self::split_at_once(without_prologue(bytes), Block::Mail)
    }

    /// Splits a part of a multipart. It may have no header at all: then its first line is blank, and
    /// its body begins behind it, whatever it looks like.
    pub(super) fn split_part(bytes: &'a [u8]) -> (Self, &'a [u8]) {
        Self::split_at_once(bytes, Block::Part)
    }

    fn split_at_once(bytes: &'a [u8], block: Block) -> (Self, &'a [u8]) {
        let mut headers = Self::default();
        let mut rest = bytes;
        let mut allowance =
            Allowance { bytes: BYTES_MAX, seen: [false; NEEDED.len()], telling: usize::MAX };
        loop {
            let (field, after) = next_field(rest);
            match field {
                Piece::End => return (headers, after),
                Piece::Body if block == Block::Mail && allowance.goes_on(rest) => {}
                Piece::Body => return (headers, rest),
                Piece::Junk => {}
                Piece::Field(name, value) => headers.add(name, value, &mut allowance),
            }
            rest = after;
        }
    }

    fn add(&mut self, name: &[u8], value: &'a [u8], allowance: &mut Allowance) {
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        let needed = allowance.needs(&name);
        if !needed && (self.fields.len() >= FIELDS_MAX || allowance.bytes == 0) {
            self.truncated = true;
            return;
        }
        // The ids of the nearest mails stand at the end of `References`.
        let from =
            if name == "references" { value.len().saturating_sub(FIELD_BYTES_MAX) } else { 0 };
        let kept = value.get(from..).unwrap_or(value);
        let kept = kept.get(..FIELD_BYTES_MAX).unwrap_or(kept);
        self.truncated |= kept.len() < value.len();
        allowance.bytes = allowance.bytes.saturating_sub(name.len() + kept.len());
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
    // Blank lines mean nothing only where a field follows; else there is no header.
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
    let mut end = folded_end(bytes, end);
    // Some relays break a long subject without the blank that a fold begins with.
    let is_subject =
        line.get(..colon).is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"subject"));
    if is_subject && let Some(torn) = torn_end(bytes, end) {
        end = torn;
    }
    while let Some(more) = unfolded_end(bytes, colon, end) {
        end = folded_end(bytes, more);
    }
    let (field, after) = bytes.split_at(end);
    let (name, value) = field.split_at(colon);
    (Piece::Field(name, value.get(1..).unwrap_or_default()), after)
}

/// Behind a line that can only continue the field before it, although no blank says so: a parameter of
/// a type, an address behind a comma, the id of another mail.
fn unfolded_end(bytes: &[u8], colon: usize, at: usize) -> Option<usize> {
    let (field, rest) = bytes.split_at_checked(at)?;
    let line = rest.split_at(line_end(rest)).0;
    let (name, value) = field.split_at_checked(colon)?;
    let value = value.trim_ascii_end();
    let goes_on = match name.trim_ascii_end().to_ascii_lowercase().as_slice() {
        b"content-type" | b"content-disposition" => value.ends_with(b";") && is_parameter(line),
        b"to" | b"cc" | b"from" | b"reply-to" => {
            value.ends_with(b",") && line.contains(&b'@') && name_length(line).is_none()
        }
        b"references" | b"in-reply-to" | b"message-id" => {
            line.starts_with(b"<") && line.contains(&b'@')
        }
        _ => false,
    };
    goes_on.then_some(at + line.len())
}

/// `boundary="…"`
fn is_parameter(line: &[u8]) -> bool {
    let Some(equals) = line.iter().take(30).position(|byte| *byte == b'=') else { return false };
    let name = line.get(..equals).unwrap_or_default();
    let name = name.split(|byte| *byte == b'*').next().unwrap_or_default().trim_ascii();
    PARAMETERS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Behind the lines that continue a field.
fn folded_end(bytes: &[u8], mut end: usize) -> usize {
    while let Some(b' ' | b'\t') = bytes.get(end) {
        end += line_end(bytes.get(end..).unwrap_or_default());
    }
    end
}

/// Behind a line that is no field, if a field follows it.
fn torn_end(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = bytes.get(at..)?;
    let (line, after) = rest.split_at(line_end(rest));
    let next = after.split_at(line_end(after)).0;
    let torn = !line.trim_ascii().is_empty() && name_length(line).is_none();
    (torn && name_length(next).is_some()).then_some(at + line.len())
}

/// Where the colon stands, if the line begins as a field does.
fn name_length(line: &[u8]) -> Option<usize> {
    let colon = line.iter().take(NAME_BYTES_MAX).position(|byte| *byte == b':')?;
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
        let long = "a".repeat(1100);
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
            (&format!("{long}: 1\n{long}: 2\nB: 2\n\nbody"), &[&long, &long, "b"], "body"),
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
        assert_eq!(headers.fields.len(), 2);
        assert_eq!(headers.fields[0].value.len(), FIELD_BYTES_MAX);
        let many = format!("{}\r\nbody", "A: 1\r\n".repeat(10_000));
        let (headers, body) = Headers::split(many.as_bytes());
        assert!(headers.truncated && body == b"body");
        assert_eq!(headers.fields.len(), FIELDS_MAX);
    }

    #[test]
    fn what_is_needed_is_found_behind_any_bomb() {
        let many = "X-Bomb: 1\r\n".repeat(10_000);
        let large = format!("X-Bomb: {}\r\n", "x".repeat(60_000)).repeat(10);
        for bomb in [many, large] {
            let mail = format!(
                "{bomb}Subject: s\r\nContent-Type: text/html\r\nDate: a\r\nDate: b\r\n\r\nbody"
            );
            let (headers, body) = Headers::split(mail.as_bytes());
            assert_eq!(headers.keyword("subject").as_deref(), Some("s"));
            assert_eq!(headers.keyword("content-type").as_deref(), Some("text/html"));
            assert_eq!(headers.all("date").count(), 1);
            assert!(headers.truncated && body == b"body");
        }
        let chain: String = (0..10_000).map(|n| format!("<{n}@x>\r\n ")).collect();
        let mail = format!("References: {chain}\r\n\r\n");
        let (headers, _) = Headers::split(mail.as_bytes());
        assert!(headers.first("references").unwrap().trim_ascii_end().ends_with(b"<9999@x>"));
    }

    #[test]
    fn a_part_without_header_keeps_a_first_line_that_looks_like_one() {
        let (headers, body) = Headers::split_part(b"\nNote: hello\nyou");
        assert!(headers.fields.is_empty());
        assert_eq!(body, b"Note: hello\nyou");
    }

    #[test]
    fn a_subject_that_was_torn_is_whole() {
        let (headers, _) = Headers::split(b"Subject: long\nand torn\nTo: a\n\nbody");
        assert_eq!(headers.first("subject"), Some(b" long\nand torn\n".as_slice()));
        assert!(headers.has("to"));
    }

    #[test]
    fn a_relay_that_cannot_fold_hides_neither_sender_nor_body() {
        let mail =
            b"X-Trace: AAAA\nBBBB\nCCCC\nDDDD\nReceived: from a\nby b\nwith c;\nTue, 3 Mar 2026\n\
            From: Jane <jane@x.example>\nTo: a@x.example,\nb@x.example\nSubject: s\n\
            Message-ID:\n<1@x>\nReferences: <2@x>\n<3@x:4>\n<5@x>\nX-Long: 1\ntwo\nthree\n\
            Content-Type: multipart/mixed;\nboundary=\"a:b\"\n\nbody";
        let (headers, body) = Headers::split(mail);
        assert_eq!(body, b"body");
        assert_eq!(headers.first("from"), Some(b" Jane <jane@x.example>\n".as_slice()));
        assert_eq!(headers.first("to"), Some(b" a@x.example,\nb@x.example\n".as_slice()));
        assert_eq!(headers.first("message-id"), Some(b"\n<1@x>\n".as_slice()));
        assert_eq!(headers.first("references"), Some(b" <2@x>\n<3@x:4>\n<5@x>\n".as_slice()));
        let kind = headers.first("content-type").unwrap();
        assert!(kind.ends_with(b"boundary=\"a:b\"\n"), "{}", String::from_utf8_lossy(kind));
    }

    #[test]
    fn a_forgotten_blank_line_costs_no_words() {
        let table: &[(&str, &str)] = &[
            (
                "From: a@x\nHello there,\nhow are\nyou?\nFrom: me",
                "Hello there,\nhow are\nyou?\nFrom: me",
            ),
            ("From: a@x\nHello,\nyou\nSubject: x\n\nmore", "Hello,\nyou\nSubject: x\n\nmore"),
            ("From: a@x\nHello,\nyou\n\nMessage-ID: x", "Hello,\nyou\n\nMessage-ID: x"),
            ("Content-Type: text/plain;\nso = 5\nand more", "so = 5\nand more"),
            ("To: a@x,\nI write to\nyou", "I write to\nyou"),
        ];
        for (mail, body) in table {
            assert_eq!(names(mail.as_bytes()).1, *body);
        }
        let (_, body) = Headers::split_part(b"Content-ID: x\nHello,\nyou\nMessage-ID: x");
        assert_eq!(body, b"Hello,\nyou\nMessage-ID: x", "a part has no such fields");
    }

    #[test]
    fn carriage_returns_alone_become_line_feeds() {
        assert_eq!(with_line_feeds(b"A: 1\r\rx").unwrap(), b"A: 1\n\nx");
        assert!(with_line_feeds(b"A: 1\r\n\r\nx").is_none());
    }
}
