//! Lines and pieces of bytes with time limits, and answers that are held back while more commands wait.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use super::command::LINE_BYTES_MAX;
use super::data::{DataReader, Progress};
use super::{Patience, Stream};

/// Bytes asked for at once.
const PIECE_BYTES: usize = 64 << 10;
/// A line that is longer is not waited for to its end.
const LINE_BYTES_BEARABLE: usize = 64 << 10;

/// What came instead of a command line.
pub(super) enum Line {
    /// A line without its CRLF.
    Whole(Vec<u8>),
    /// Longer than anything we would understand; it was read to its end.
    TooLong,
    /// The other side closed, or said nothing for too long, or does not stop.
    End,
}

/// One connection.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    read: BytesMut,
    answers: Vec<u8>,
    patience: Patience,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Stream>, patience: Patience) -> Self {
        Self { stream, read: BytesMut::new(), answers: Vec::new(), patience }
    }

    /// Notes an answer; it goes out when there is nothing more to read.
    pub(super) fn answer(&mut self, answer: &str) {
        self.answers.extend_from_slice(answer.as_bytes());
        self.answers.extend_from_slice(b"\r\n");
    }

    /// Sends all answers that were noted.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.answers.is_empty() {
            return Ok(());
        }
        let answers = std::mem::take(&mut self.answers);
        let sending = async {
            self.stream.write_all(&answers).await?;
            self.stream.flush().await
        };
        timeout(self.patience.piece, sending).await?
    }

    /// The next command line. Answers noted before go out first, unless it is here already.
    pub(super) async fn line(&mut self) -> io::Result<Line> {
        let deadline = Instant::now() + self.patience.command;
        let mut searched = 0_usize;
        loop {
            let from = searched.saturating_sub(1);
            let found = self.read.get(from..).and_then(end_of_line).map(|end| from + end);
            if let Some(end) = found {
                let line = self.read.split_to(end);
                self.read.advance(2);
                let whole = end + 2 <= LINE_BYTES_MAX;
                return Ok(if whole { Line::Whole(line.to_vec()) } else { Line::TooLong });
            }
            searched = self.read.len();
            if searched > LINE_BYTES_BEARABLE {
                return Ok(Line::End);
            }
            self.flush().await?;
            match timeout_at(deadline, self.more()).await {
                Ok(Ok(0)) | Err(_) => return Ok(Line::End),
                Ok(more) => drop(more?),
            }
        }
    }

    /// The mail up to the final dot. `Ok(None)`: the line broke first.
    pub(super) async fn mail(&mut self, mut reader: DataReader) -> io::Result<Option<DataReader>> {
        let deadline = Instant::now() + self.patience.mail;
        loop {
            match reader.feed(&self.read) {
                Progress::Done(used) => {
                    self.read.advance(used);
                    return Ok(Some(reader));
                }
                Progress::More => self.read.clear(),
            }
            let until = deadline.min(Instant::now() + self.patience.piece);
            match timeout_at(until, self.more()).await {
                Ok(Ok(0)) | Err(_) => return Ok(None),
                Ok(more) => drop(more?),
            }
        }
    }

    /// Waits `limit` at most for the other side to close, having said the last word.
    pub(super) async fn close(mut self, limit: Duration) -> io::Result<()> {
        self.flush().await?;
        timeout(limit, self.stream.shutdown()).await?
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.read.reserve(PIECE_BYTES);
        self.stream.read_buf(&mut self.read).await
    }
}

fn end_of_line(bytes: &[u8]) -> Option<usize> {
    bytes.windows(2).position(|pair| pair == b"\r\n")
}
