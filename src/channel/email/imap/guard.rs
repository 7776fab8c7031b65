//! Looks at the bytes of an IMAP server before the parser does, and stops what would harm us.
//!
//! The parser believes what a server announces: it allocates a literal of any size at once, recurses
//! into nested parentheses until the stack ends, and panics on a few malformed lines. A server that does
//! this is broken or hostile; here it becomes an ordinary read error. Knows only the outer shape of
//! responses: lines, literals, parentheses.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::channel::shared::tls::Connection;

/// Longest response without its literals: a SEARCH over two million mails.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Nothing that we ask for comes with more, and some hundred nested ones end the stack.
const PARENTHESES_MAX: u32 = 100;
/// Enough of a line to see what it is.
const HEAD_BYTES: usize = 12;

/// What a server must not send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    /// Larger than any mail that we would take.
    #[error("the server announced {0} bytes at once, more than is ever asked for")]
    Literal(u64),
    /// No end of line for too long.
    #[error("the server sent a line without end")]
    Line,
    /// Nested too deep.
    #[error("the server sent too many parentheses")]
    Parentheses,
    /// An answer that we never ask for and that the parser cannot bear.
    #[error("the server sent an answer that nobody asked for")]
    Unasked,
}

/// A connection whose incoming bytes are looked at.
#[derive(Debug)]
pub(super) struct Guard {
    inner: Connection,
    scan: Scan,
    received: u64,
}

impl Guard {
    /// `literal_max`: the largest literal that is let through.
    pub(super) const fn new(inner: Connection, literal_max: u64) -> Self {
        Self { inner, scan: Scan::new(literal_max), received: 0 }
    }

    /// How many bytes came in so far: tells a slow server from a dead one.
    pub(super) const fn received(&self) -> u64 {
        self.received
    }
}

/// Where in the stream of responses we are.
#[derive(Debug)]
struct Scan {
    literal_max: u64,
    /// Bytes of a literal still to come.
    literal_left: u64,
    /// The first bytes of the response, upper case.
    head: [u8; HEAD_BYTES],
    line_bytes: u64,
    parentheses: u32,
    /// `{digits}` at the end of what was read; `None`: no such thing.
    announced: Announced,
    after_bracket: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    No,
    Digits(u64),
    Closed(u64),
    ClosedReturn(u64),
}

impl Scan {
    const fn new(literal_max: u64) -> Self {
        Self {
            literal_max,
            literal_left: 0,
            head: [0; HEAD_BYTES],
            line_bytes: 0,
            parentheses: 0,
            announced: Announced::No,
            after_bracket: false,
        }
    }

    /// Looks at what was read, and blanks what the parser would panic on.
    fn look(&mut self, bytes: &mut [u8]) -> Result<(), Violation> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.literal_left > 0 {
                let skip = usize::try_from(self.literal_left).unwrap_or(usize::MAX).min(rest.len());
                self.literal_left -= skip as u64;
                rest = rest.get_mut(skip..).unwrap_or_default();
                continue;
            }
            let Some((byte, tail)) = rest.split_first_mut() else { break };
            self.step(byte)?;
            rest = tail;
        }
        Ok(())
    }

    fn step(&mut self, byte: &mut u8) -> Result<(), Violation> {
        let at = usize::try_from(self.line_bytes).unwrap_or(usize::MAX);
        if let Some(slot) = self.head.get_mut(at) {
            *slot = byte.to_ascii_uppercase();
        }
        self.line_bytes += 1;
        if self.line_bytes > LINE_BYTES_MAX {
            return Err(Violation::Line);
        }
        // `]` followed by a character of several bytes makes the parser cut it in two.
        self.after_bracket = match *byte {
            b']' => true,
            0x80.. if self.after_bracket => {
                *byte = b'?';
                true
            }
            _ => false,
        };
        if *byte == b'(' && self.has_structure() {
            self.parentheses += 1;
            if self.parentheses > PARENTHESES_MAX {
                return Err(Violation::Parentheses);
            }
        }
        if self.head.starts_with(b"* METADATA") {
            return Err(Violation::Unasked);
        }
        let (announced, ended) = self.announced.after(*byte);
        self.announced = announced;
        match ended {
            Some(size) if self.has_structure() => self.begin_literal(size),
            Some(_) => {
                self.begin_line();
                Ok(())
            }
            None => {
                if *byte == b'\n' {
                    self.begin_line();
                }
                Ok(())
            }
        }
    }

    const fn begin_line(&mut self) {
        *self = Self::new(self.literal_max);
    }

    const fn begin_literal(&mut self, size: u64) -> Result<(), Violation> {
        if size > self.literal_max {
            return Err(Violation::Literal(size));
        }
        self.literal_left = size;
        Ok(())
    }

    /// Only untagged data has literals and parentheses; the rest is text, in which they mean nothing.
    fn has_structure(&self) -> bool {
        let is_text = [b"* OK".as_slice(), b"* NO", b"* BAD", b"* BYE", b"* PREAUTH"]
            .iter()
            .any(|start| self.head.starts_with(start));
        self.head.starts_with(b"* ") && !is_text
    }
}

impl Announced {
    /// The next state, and the size of a literal that begins after this byte.
    fn after(self, byte: u8) -> (Self, Option<u64>) {
        match (self, byte) {
            (_, b'{') => (Self::Digits(0), None),
            (Self::Digits(size), b'0'..=b'9') => {
                let digit = u64::from(byte - b'0');
                (Self::Digits(size.saturating_mul(10).saturating_add(digit)), None)
            }
            (Self::Digits(size), b'+') => (Self::Digits(size), None),
            (Self::Digits(size), b'}') => (Self::Closed(size), None),
            (Self::Closed(size), b'\r') => (Self::ClosedReturn(size), None),
            (Self::Closed(size) | Self::ClosedReturn(size), b'\n') => (Self::No, Some(size)),
            _ => (Self::No, None),
        }
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let fresh = buffer.filled_mut().get_mut(before..).unwrap_or_default();
        this.received += fresh.len() as u64;
        this.scan
            .look(fresh)
            .map_err(|violation| io::Error::new(io::ErrorKind::InvalidData, violation))
            .into()
    }
}

impl AsyncWrite for Guard {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In pieces of every size the verdict must be the same.
    fn look(text: &[u8]) -> Result<Vec<u8>, Violation> {
        let verdict = |piece: usize| {
            let mut scan = Scan::new(1000);
            let mut bytes = text.to_vec();
            bytes.chunks_mut(piece).try_for_each(|chunk| scan.look(chunk))?;
            Ok(bytes)
        };
        let whole = verdict(text.len());
        for piece in 1..8 {
            assert_eq!(verdict(piece), whole, "in pieces of {piece}");
        }
        whole
    }

    #[test]
    fn ordinary_answers_pass_unchanged() {
        let text = b"* OK [CAPABILITY IMAP4rev1] ready ((( {9999999}\r\n\
            * 1 FETCH (UID 1 BODY[] {12}\r\n((((((((\r\n\r\n FLAGS (\\Seen))\r\n\
            a1 OK done {5000}\r\n* SEARCH 1 2 3\r\n";
        assert_eq!(look(text).unwrap(), text);
    }

    #[test]
    fn what_harms_the_parser_is_refused() {
        // CRATES trap 10: 400 MiB would be allocated at once.
        let announced = b"* 1 FETCH (BODY[] {419430400}\r\n";
        assert_eq!(look(announced), Err(Violation::Literal(419_430_400)));
        assert_eq!(
            look(b"* 1 FETCH (BODY[] {99999999999999999999}\r\n"),
            Err(Violation::Literal(u64::MAX))
        );
        // CRATES trap 9: nested parentheses end the stack, METADATA panics.
        let nested = format!("* 1 FETCH (BODYSTRUCTURE {}", "(".repeat(400));
        assert_eq!(look(nested.as_bytes()), Err(Violation::Parentheses));
        assert_eq!(look(b"* METADATA \"\" (/x \"\xff\")\r\n"), Err(Violation::Unasked));
    }

    #[test]
    fn a_literal_hidden_behind_text_is_still_seen() {
        let text = b"* OK see {900}\r\n* 1 FETCH (BODY[] {2000}\r\n";
        assert_eq!(look(text), Err(Violation::Literal(2000)));
        let text = b"* 1 FETCH (BODY[] {3}\r\nabc X {2000}\r\n";
        assert_eq!(look(text), Err(Violation::Literal(2000)));
    }

    #[test]
    fn a_character_right_after_a_bracket_does_not_reach_the_parser() {
        // CRATES trap 9: `[ALERT]é` panics in imap-proto.
        let passed = look("* OK [ALERT]é\r\n".as_bytes()).unwrap();
        assert_eq!(passed, b"* OK [ALERT]??\r\n");
        let parsed = async_imap::imap_proto::Response::parse(&passed);
        assert!(parsed.is_ok());
    }
}
