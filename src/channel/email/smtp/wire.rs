//! Lines and replies on one SMTP connection, each wait under its own limit.
//!
//! Whoever gets an error drops the connection: an answer that was not read to its end would be taken for
//! the answer to something else.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::fault::Fault;
use super::reply::{Reply, goes_on};
use crate::channel::shared::tls::Connection;

/// Longest line of a reply; RFC 5321 allows 512.
const LINE_BYTES_MAX: usize = 8 << 10;
/// Most lines of a reply.
const LINES_MAX: usize = 200;
const READ_BYTES: usize = 8 << 10;

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    connection: Connection,
    /// Came in and was not read yet.
    unread: Vec<u8>,
    limit: Duration,
}

impl Wire {
    /// `limit`: for each wait, where nothing else is said.
    pub(super) const fn new(connection: Connection, limit: Duration) -> Self {
        Self { connection, unread: Vec::new(), limit }
    }

    /// The limit of each wait, where nothing else is said.
    pub(super) const fn limit(&self) -> Duration {
        self.limit
    }

    /// The connection, for the TLS handshake. What came in before it is not trusted, and ends it.
    pub(super) fn into_plain(self) -> Result<Connection, Fault> {
        if self.unread.is_empty() { Ok(self.connection) } else { Err(Fault::Injected) }
    }

    /// One command and its reply.
    pub(super) async fn command(&mut self, line: &str, what: &'static str) -> Result<Reply, Fault> {
        self.command_within(line, what, self.limit).await
    }

    /// The same with another limit.
    pub(super) async fn command_within(
        &mut self,
        line: &str,
        what: &'static str,
        limit: Duration,
    ) -> Result<Reply, Fault> {
        self.send_lines(&[line], what).await?;
        self.reply_within(what, limit).await
    }

    /// Sends lines in one go; their replies are read afterwards, one by one.
    pub(super) async fn send_lines(
        &mut self,
        lines: &[&str],
        what: &'static str,
    ) -> Result<(), Fault> {
        if !self.unread.is_empty() {
            return Err(Fault::Garbled(what));
        }
        let mut bytes = Vec::new();
        for line in lines {
            if line.contains(['\r', '\n']) {
                return Err(Fault::Unsendable("a command with a line end within"));
            }
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        }
        self.send(&bytes, what).await
    }

    /// Sends bytes as they are.
    pub(super) async fn send(&mut self, bytes: &[u8], what: &'static str) -> Result<(), Fault> {
        let connection = &mut self.connection;
        let write = async {
            connection.write_all(bytes).await?;
            connection.flush().await
        };
        match timeout(self.limit, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(cause)) => Err(Fault::Lost(what, Some(cause))),
            Err(_) => Err(Fault::Silent(what, self.limit.as_secs())),
        }
    }

    /// The next reply.
    pub(super) async fn reply(&mut self, what: &'static str) -> Result<Reply, Fault> {
        self.reply_within(what, self.limit).await
    }

    /// The same with another limit: for the whole reply, not for each of its bytes.
    pub(super) async fn reply_within(
        &mut self,
        what: &'static str,
        limit: Duration,
    ) -> Result<Reply, Fault> {
        match timeout(limit, self.read_reply(what)).await {
            Ok(reply) => reply,
            Err(_) => Err(Fault::Silent(what, limit.as_secs())),
        }
    }

    async fn read_reply(&mut self, what: &'static str) -> Result<Reply, Fault> {
        let mut lines = Vec::new();
        loop {
            let line = self.read_line(what).await?;
            let more = goes_on(&line);
            lines.push(line);
            if !more {
                return Reply::read(&lines).ok_or(Fault::Garbled(what));
            }
            if lines.len() >= LINES_MAX {
                return Err(Fault::Garbled(what));
            }
        }
    }

    async fn read_line(&mut self, what: &'static str) -> Result<Vec<u8>, Fault> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=end).collect();
                line.truncate(line.trim_ascii_end().len());
                return Ok(line);
            }
            if self.unread.len() > LINE_BYTES_MAX {
                return Err(Fault::Garbled(what));
            }
            let mut bytes = [0; READ_BYTES];
            match self.connection.read(&mut bytes).await {
                Ok(0) => return Err(Fault::Lost(what, None)),
                Ok(count) => self.unread.extend(bytes.iter().take(count)),
                Err(cause) => return Err(Fault::Lost(what, Some(cause))),
            }
        }
    }

    /// Did the server say something unasked, or hang up? Does not wait.
    pub(super) async fn has_news(&mut self) -> bool {
        if !self.unread.is_empty() {
            return true;
        }
        let mut bytes = [0; READ_BYTES];
        let mut buffer = ReadBuf::new(&mut bytes);
        let connection = &mut self.connection;
        let came = poll_fn(|context| {
            let read = Pin::new(&mut *connection).poll_read(context, &mut buffer);
            Poll::Ready(read.is_ready())
        })
        .await;
        self.unread.extend_from_slice(buffer.filled());
        came
    }
}
