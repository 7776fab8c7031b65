//! The mail itself: dots taken away again, and its end found. Pure: fuzzed.
//!
//! Only `CRLF . CRLF` ends a mail. Whoever takes a bare LF for a line end too can be made to see a
//! second mail, with commands of its own, where the sender's server saw one (SMTP smuggling).

/// Reads the bytes between `354` and the final dot, in pieces of any size.
#[derive(Debug)]
pub struct DataReader {
    state: State,
    mail: Vec<u8>,
    bytes_max: usize,
    too_big: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// After a CRLF, and at the very beginning.
    LineStart,
    /// A dot at the start of a line: kept back.
    Dot,
    /// A dot and a CR at the start of a line: both kept back.
    DotCr,
    /// After a CR.
    Cr,
    /// Anywhere else.
    Line,
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// All of it belongs to the mail.
    More,
    /// The mail ended after that many bytes of the piece; what follows are commands.
    Done(usize),
}

impl DataReader {
    /// Of a mail that is larger than `bytes_max`, nothing is kept.
    #[must_use]
    pub const fn new(bytes_max: usize) -> Self {
        Self { state: State::LineStart, mail: Vec::new(), bytes_max, too_big: false }
    }

    /// Reads the next piece.
    pub fn feed(&mut self, piece: &[u8]) -> Progress {
        let mut at = 0;
        while let Some(rest) = piece.get(at..)
            && let Some(&byte) = rest.first()
        {
            if self.state == State::Line && byte != b'\r' {
                let plain = rest.iter().position(|&b| b == b'\r').unwrap_or(rest.len());
                self.keep(rest.get(..plain).unwrap_or_default());
                at += plain;
                continue;
            }
            at += 1;
            if self.step(byte) {
                return Progress::Done(at);
            }
        }
        Progress::More
    }

    /// `true`: that was the end.
    fn step(&mut self, byte: u8) -> bool {
        match (self.state, byte) {
            (State::DotCr, b'\n') => return true,
            (State::LineStart, b'.') => self.state = State::Dot,
            (State::Dot, b'\r') => self.state = State::DotCr,
            (State::DotCr, _) => {
                // The dot was a doubled one after all; the CR belongs to the line.
                self.keep(b"\r");
                self.state = State::Cr;
                return self.step(byte);
            }
            (_, b'\r') => {
                self.keep(b"\r");
                self.state = State::Cr;
            }
            (State::Cr, b'\n') => {
                self.keep(b"\n");
                self.state = State::LineStart;
            }
            (State::LineStart | State::Dot | State::Cr | State::Line, _) => {
                self.keep(&[byte]);
                self.state = State::Line;
            }
        }
        false
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.too_big || self.mail.len() + bytes.len() > self.bytes_max {
            self.too_big = true;
            self.mail = Vec::new();
        } else {
            self.mail.extend_from_slice(bytes);
        }
    }

    /// The mail, or `None` if it was too big.
    #[must_use]
    pub fn into_mail(self) -> Option<Vec<u8>> {
        (!self.too_big).then_some(self.mail)
    }
}
