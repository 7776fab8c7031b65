//! The conversation: which command may follow which, and what is answered.

use bytes::Bytes;

use super::command::{self, BadCommand, Command, Path};
use super::data::DataReader;
use super::wire::{Line, Wire};
use super::{Envelope, Lmtp};
use crate::channel::{Intake, Stream};
use crate::model::Cause;

/// Commands in a row without a mail that was taken.
const COMMANDS_MAX: u32 = 1000;
/// Lines in a row that are no commands.
const BAD_LINES_MAX: u32 = 20;
/// Recipients of one mail (RFC 5321 section 4.5.3.1.8 asks for no fewer).
const RECIPIENTS_MAX: usize = 100;

const NOT_NOW: &str = "503 5.5.1 Not now";
const TOO_BIG: &str = "552 5.3.4 The mail is too big";

struct Session<'a> {
    lmtp: &'a Lmtp,
    intake: &'a dyn Intake,
    wire: Wire,
    greeted: bool,
    envelope: Option<Envelope>,
    commands: u32,
    bad_lines: u32,
}

/// Does it go on?
enum Next {
    Line,
    Close,
}

pub(super) async fn serve(
    lmtp: &Lmtp,
    stream: Box<dyn Stream>,
    intake: &dyn Intake,
) -> Result<(), Cause> {
    let mut session = Session {
        lmtp,
        intake,
        wire: Wire::new(stream, lmtp.patience),
        greeted: false,
        envelope: None,
        commands: 0,
        bad_lines: 0,
    };
    session.wire.answer(&format!("220 {} LMTP ready", lmtp.host));
    loop {
        let line = session.wire.line().await?;
        if let Next::Close = session.take_line(line).await? {
            break;
        }
    }
    Ok(session.wire.close(lmtp.patience.piece).await?)
}

impl Session<'_> {
    async fn take_line(&mut self, line: Line) -> Result<Next, Cause> {
        let line = match line {
            Line::Whole(line) => line,
            Line::TooLong => return Ok(self.bad_line("500 5.5.2 The line is too long")),
            Line::End => {
                self.wire.answer(&format!("421 4.4.2 {} Good bye", self.lmtp.host));
                return Ok(Next::Close);
            }
        };
        self.commands += 1;
        if self.commands > COMMANDS_MAX {
            self.wire.answer("421 4.7.0 Too many commands");
            return Ok(Next::Close);
        }
        match command::parse(&line) {
            Ok(command) => self.take(command).await,
            Err(bad) => Ok(self.bad_line(match bad {
                BadCommand::Unknown => "500 5.5.2 Unknown command",
                BadCommand::Syntax => "501 5.5.4 Not understood",
                BadCommand::Path => "501 5.1.7 Not an address",
                BadCommand::Parameter => "555 5.5.4 Unknown parameter",
            })),
        }
    }

    fn bad_line(&mut self, answer: &str) -> Next {
        self.bad_lines += 1;
        if self.bad_lines > BAD_LINES_MAX {
            self.wire.answer("421 4.7.0 Too many errors");
            return Next::Close;
        }
        self.wire.answer(answer);
        Next::Line
    }

    async fn take(&mut self, command: Command) -> Result<Next, Cause> {
        self.bad_lines = 0;
        match command {
            Command::Lhlo => self.lhlo(),
            Command::NotLmtp => self.wire.answer("500 5.5.1 This is LMTP: say LHLO"),
            Command::Mail { from, size } => self.mail(from, size),
            Command::Rcpt { to } => self.rcpt(to),
            Command::Data => return self.data().await,
            Command::Rset => {
                self.envelope = None;
                self.wire.answer("250 2.0.0 Forgotten");
            }
            Command::Noop => self.wire.answer("250 2.0.0 Here"),
            Command::Vrfy => self.wire.answer("252 2.1.5 Send and see"),
            Command::Quit => {
                self.wire.answer(&format!("221 2.0.0 {} Good bye", self.lmtp.host));
                return Ok(Next::Close);
            }
        }
        Ok(Next::Line)
    }

    fn lhlo(&mut self) {
        self.greeted = true;
        self.envelope = None;
        self.wire.answer(&format!("250-{}", self.lmtp.host));
        for extension in ["PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SMTPUTF8"] {
            self.wire.answer(&format!("250-{extension}"));
        }
        self.wire.answer(&format!("250 SIZE {}", self.lmtp.size_max));
    }

    fn mail(&mut self, from: Path, size: Option<u64>) {
        let answer = if !self.greeted || self.envelope.is_some() {
            NOT_NOW
        } else if size.is_some_and(|size| size > self.lmtp.size_max) {
            TOO_BIG
        } else {
            self.envelope = Some(Envelope { sender: from.address, recipients: Vec::new() });
            "250 2.1.0 Sender taken"
        };
        self.wire.answer(answer);
    }

    fn rcpt(&mut self, to: Path) {
        let ours = self.lmtp.recipients.include(&to);
        let answer = match &mut self.envelope {
            None => NOT_NOW,
            Some(envelope) if envelope.recipients.len() >= RECIPIENTS_MAX => {
                "452 4.5.3 Too many recipients"
            }
            Some(_) if !ours => "550 5.1.1 Nobody of that name here",
            Some(envelope) => {
                envelope.recipients.push(to.address);
                "250 2.1.5 Recipient taken"
            }
        };
        self.wire.answer(answer);
    }

    async fn data(&mut self) -> Result<Next, Cause> {
        let ready = self.envelope.as_ref().is_some_and(|it| !it.recipients.is_empty());
        let Some(envelope) = self.envelope.take_if(|_| ready) else {
            self.wire.answer(NOT_NOW);
            return Ok(Next::Line);
        };
        self.wire.answer("354 Go ahead");
        self.wire.flush().await?;
        let bytes_max = usize::try_from(self.lmtp.size_max).unwrap_or(usize::MAX);
        let Some(reader) = self.wire.mail(DataReader::new(bytes_max)).await? else {
            // Nothing was promised: the mail server still has all of it.
            return Ok(Next::Close);
        };
        let answer = match reader.into_mail() {
            None => TOO_BIG,
            Some(mail) => self.store(&envelope, mail.into()).await,
        };
        for recipient in &envelope.recipients {
            self.wire.answer(&format!("{answer} <{recipient}>"));
        }
        Ok(Next::Line)
    }

    /// The answer for each recipient: all of them share what becomes of the mail.
    async fn store(&mut self, envelope: &Envelope, mail: Bytes) -> &'static str {
        let auth = match &self.lmtp.verifier {
            Some(verifier) => {
                Some(verifier.verify(mail.clone(), &envelope.sender).await.to_string())
            }
            None => None,
        };
        match self.intake.take(vec![super::raw(envelope, mail, auth)]).await {
            Ok(()) => {
                self.commands = 0;
                "250 2.0.0 Stored"
            }
            // The intake says what is wrong to those who run it; the mail server has only to wait.
            Err(_) => "451 4.3.0 Cannot store it now",
        }
    }
}
