//! Commands and their answers on one IMAP connection.
//!
//! `async-imap` reads and parses; the commands are written here and so is the decision when an answer is
//! complete: only the tagged line with our tag and the word OK says so. Its own convenience methods take a
//! closed connection, NO and BAD for an empty answer.

#![expect(clippy::wildcard_enum_match_arm, reason = "of all that a server may say, little matters")]

use std::time::Duration;

use async_imap::Client;
use async_imap::imap_proto::{MailboxDatum, Response, ResponseCode, Status};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, timeout};

use super::fault::{Fault, Step, clean};
use super::guard::{Guard, Violation};
use crate::channel::shared::tls::Connection;

/// An answer that keeps coming may last this many time-outs in all.
const ANSWER_LIMITS: u32 = 8;

/// One connection.
#[derive(Debug)]
pub(super) struct Wire {
    client: Client<Guard>,
    tags: u64,
    /// The longest silence within an answer.
    limit: Duration,
    /// A command was begun and its answer not read to the end: nothing fits any more.
    open: bool,
    /// Mails in the selected folder, as far as we were told.
    exists: u32,
    /// There are more of them than when this was last asked.
    grown: bool,
    alert: Option<String>,
}

/// A command as it goes out, and as it may be named in an error.
pub(super) struct Command<'a> {
    /// All of the line but tag and line end. May hold secrets.
    pub(super) line: &'a str,
    /// For texts: holds no secret.
    pub(super) name: &'a str,
    /// What a refusal means.
    pub(super) step: Step,
}

impl<'a> Command<'a> {
    /// A command of everyday work without secrets.
    pub(super) fn work(line: &'a str) -> Self {
        Self { line, name: line.get(..60).unwrap_or(line), step: Step::Work }
    }
}

/// One response to a command that talks back.
pub(super) enum Heard {
    /// The command is over.
    Ended(Result<(), Fault>),
    /// `+`, and what stood behind it.
    Challenge(String),
    /// Something else.
    Other,
}

/// How an IDLE ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idle {
    /// There is more mail.
    Woken,
    /// Nothing came.
    Quiet,
    /// The server does not want to.
    Refused,
}

impl Wire {
    /// `literal_max`: the largest literal that is let through.
    pub(super) fn new(connection: Connection, limit: Duration, literal_max: u64) -> Self {
        Self {
            client: Client::new(Guard::new(connection, literal_max)),
            tags: 0,
            limit,
            open: false,
            exists: 0,
            grown: false,
            alert: None,
        }
    }

    /// What the server wanted an admin to read, once.
    pub(super) const fn take_alert(&mut self) -> Option<String> {
        self.alert.take()
    }

    /// Mails in the selected folder.
    pub(super) const fn exists(&self) -> u32 {
        self.exists
    }

    /// Was there news of more mail since this was last asked?
    pub(super) const fn take_grown(&mut self) -> bool {
        std::mem::replace(&mut self.grown, false)
    }

    /// Another folder is selected: its count begins anew.
    pub(super) const fn forget_folder(&mut self) {
        self.exists = 0;
        self.grown = false;
    }

    /// The next response, shown to `see`. Bytes that still come keep it waiting, but not for ever.
    pub(super) async fn read<T>(
        &mut self,
        name: &str,
        see: &mut (dyn FnMut(&Response<'_>) -> T + Send),
    ) -> Result<T, Fault> {
        let seen = self.read_within(name, self.limit, see).await?;
        seen.ok_or_else(|| Fault::Silent(name.to_owned()))
    }

    /// `None`: nothing came within `limit`.
    async fn read_within<T>(
        &mut self,
        name: &str,
        limit: Duration,
        see: &mut (dyn FnMut(&Response<'_>) -> T + Send),
    ) -> Result<Option<T>, Fault> {
        let end = Instant::now() + limit * ANSWER_LIMITS;
        loop {
            let before = self.client.get_ref().received();
            match timeout(limit, self.client.read_response()).await {
                Ok(Ok(Some(response))) => {
                    self.note(response.parsed())?;
                    return Ok(Some(see(response.parsed())));
                }
                Ok(Ok(None)) => return Err(Fault::Lost(name.to_owned(), None)),
                Ok(Err(error)) => return Err(broken(name, error)),
                Err(_) => {}
            }
            if self.client.get_ref().received() == before || Instant::now() > end {
                return Ok(None);
            }
        }
    }

    /// The next response to a command that talks back.
    pub(super) async fn hear(
        &mut self,
        tag: &str,
        command: &Command<'_>,
        name: &str,
    ) -> Result<Heard, Fault> {
        let limit = self.limit;
        let heard = self.hear_within(tag, command, name, limit).await?;
        heard.ok_or_else(|| Fault::Silent(name.to_owned()))
    }

    async fn hear_within(
        &mut self,
        tag: &str,
        command: &Command<'_>,
        name: &str,
        limit: Duration,
    ) -> Result<Option<Heard>, Fault> {
        let mut see = |response: &Response<'_>| heard(tag, command, response);
        let heard = self.read_within(name, limit, &mut see).await?;
        if matches!(heard, Some(Heard::Ended(_))) {
            self.open = false;
        }
        Ok(heard)
    }

    /// Notes what may come at any time.
    fn note(&mut self, response: &Response<'_>) -> Result<(), Fault> {
        match response {
            Response::MailboxData(MailboxDatum::Exists(count)) => {
                self.grown |= *count > self.exists;
                self.exists = *count;
            }
            Response::Expunge(_) => self.exists = self.exists.saturating_sub(1),
            Response::Data { status, outcome } => {
                let text = clean(outcome.information.as_deref().unwrap_or_default());
                let alerts = outcome.code == Some(ResponseCode::Alert) || text.contains("[ALERT]");
                if alerts {
                    self.alert = Some(text.clone());
                }
                if *status == Status::Bye {
                    return Err(Fault::Bye(text));
                }
            }
            Response::Done { outcome, .. } if outcome.code == Some(ResponseCode::Alert) => {
                self.alert = outcome.information.as_deref().map(clean);
            }
            _ => {}
        }
        Ok(())
    }

    /// Sends a line that is no command: the answer to a `+`.
    pub(super) async fn send_line(&mut self, line: &str, name: &str) -> Result<(), Fault> {
        let bytes = format!("{line}\r\n");
        self.send(bytes.as_bytes(), name).await
    }

    /// Sends bytes as they are.
    pub(super) async fn send(&mut self, bytes: &[u8], name: &str) -> Result<(), Fault> {
        let stream = self.client.get_mut();
        let write = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        match timeout(self.limit, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Fault::Lost(name.to_owned(), Some(error))),
            Err(_) => Err(Fault::Silent(name.to_owned())),
        }
    }

    /// Sends a command; its tag is needed to know the end of its answer.
    pub(super) async fn begin(&mut self, command: &Command<'_>) -> Result<String, Fault> {
        if self.open {
            return Err(Fault::Unusable("an earlier answer was not read to its end".to_owned()));
        }
        self.open = true;
        self.tags += 1;
        let tag = format!("T{}", self.tags);
        self.send_line(&format!("{tag} {}", command.line), command.name).await?;
        Ok(tag)
    }

    /// Runs one command to its end. `each` sees every untagged response on the way.
    pub(super) async fn run(
        &mut self,
        command: &Command<'_>,
        each: &mut (dyn FnMut(&Response<'_>) -> Result<(), Fault> + Send),
    ) -> Result<(), Fault> {
        let tag = self.begin(command).await?;
        let end = Instant::now() + self.limit * ANSWER_LIMITS;
        loop {
            let seen = self
                .read(command.name, &mut |response| match heard(&tag, command, response) {
                    Heard::Ended(outcome) => Ok(Some(outcome)),
                    Heard::Challenge(_) | Heard::Other => each(response).map(|()| None),
                })
                .await??;
            if let Some(outcome) = seen {
                self.open = false;
                return outcome;
            }
            if Instant::now() > end {
                return Err(Fault::Silent(command.name.to_owned()));
            }
        }
    }

    /// Waits for more mail, `limit` at most, in an IDLE of its own (RFC 2177).
    pub(super) async fn idle(&mut self, limit: Duration) -> Result<Idle, Fault> {
        let command = Command::work("IDLE");
        let tag = self.begin(&command).await?;
        let end = Instant::now() + limit;
        loop {
            match self.hear(&tag, &command, "IDLE").await? {
                Heard::Ended(_) => return Ok(Idle::Refused),
                Heard::Challenge(_) => break,
                Heard::Other => {}
            }
        }
        // An EXISTS may have come before the `+`, or with the answer before.
        while !self.grown {
            let left = end.saturating_duration_since(Instant::now());
            match self.hear_within(&tag, &command, "IDLE", left).await? {
                // The server ended it by itself.
                Some(Heard::Ended(_)) => return Ok(Idle::Quiet),
                Some(Heard::Challenge(_) | Heard::Other) if Instant::now() < end => {}
                Some(Heard::Challenge(_) | Heard::Other) | None => break,
            }
        }
        self.send_line("DONE", "the end of IDLE").await?;
        while !matches!(self.hear(&tag, &command, "the end of IDLE").await?, Heard::Ended(_)) {}
        Ok(if self.take_grown() { Idle::Woken } else { Idle::Quiet })
    }

    /// Waits for news without IDLE; `true`: there is more mail.
    pub(super) async fn wait(&mut self, limit: Duration) -> Result<bool, Fault> {
        let end = Instant::now() + limit;
        while !self.grown {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.read_within("the wait", left, &mut |_| ()).await?.is_none() {
                break;
            }
        }
        Ok(self.take_grown())
    }
}

/// What a response is to the command with this tag. Only `OK` behind our own tag is success.
fn heard(tag: &str, command: &Command<'_>, response: &Response<'_>) -> Heard {
    let (done, status, outcome) = match response {
        Response::Done { tag, status, outcome } => (tag, status, outcome),
        Response::Continue(outcome) => {
            return Heard::Challenge(outcome.information.as_deref().unwrap_or_default().to_owned());
        }
        _ => return Heard::Other,
    };
    if done.0 != tag {
        let problem = "the server answered a command that is over";
        return Heard::Ended(Err(Fault::Unusable(problem.to_owned())));
    }
    if *status == Status::Ok {
        return Heard::Ended(Ok(()));
    }
    let text = clean(outcome.information.as_deref().unwrap_or_default());
    let text = match outcome.code {
        Some(ResponseCode::Alert) => format!("[ALERT] {text}"),
        Some(ResponseCode::TryCreate) => format!("[TRYCREATE] {text}"),
        _ => text,
    };
    Heard::Ended(Err(Fault::Refused { what: command.name.to_owned(), step: command.step, text }))
}

/// A read that failed. The parser's own text quotes what it could not read, so it is dropped.
fn broken(name: &str, error: std::io::Error) -> Fault {
    let inner = error.get_ref();
    if let Some(violation) = inner.and_then(|inner| inner.downcast_ref::<Violation>()) {
        return Fault::Harmful(name.to_owned(), *violation);
    }
    if error.kind() == std::io::ErrorKind::Other {
        return Fault::Garbled(name.to_owned());
    }
    Fault::Lost(name.to_owned(), Some(error))
}
