//! One mail on one session: `MAIL`, `RCPT`, `DATA`, the bytes, the dot.

use lettre::Address as Mailbox;

use super::fault::{Fault, Step};
use super::login::Session;
use super::reply::Reply;
use std::time::Duration;

/// Commands that are sent in one go, so that neither side's buffers fill up.
const PIPELINE_MAX: usize = 50;
/// Bytes of a mail that are sent under one limit.
const PIECE_BYTES: usize = 64 << 10;
/// After the last dot, this many limits: a server may check the mail before it answers.
const LIMITS_AFTER_DOT: u32 = 10;
/// How long to listen for the reason after the server closed the door in the middle of a mail.
const LAST_WORDS: Duration = Duration::from_secs(2);

const SENDER: &str = "the sender";
const RECIPIENT: &str = "the recipient";
const CONTENT: &str = "the mail";

/// What is sent.
pub(super) struct Letter {
    /// Lines end in CRLF; dots are not doubled yet.
    pub(super) bytes: Vec<u8>,
    /// `MAIL FROM`: the first that the server takes. `None` is `<>`.
    pub(super) senders: Vec<Option<Mailbox>>,
    pub(super) to: Mailbox,
    pub(super) cc: Vec<Mailbox>,
}

impl Letter {
    /// Does it need a server that knows RFC 6531?
    pub(super) fn is_international(&self) -> bool {
        let senders = self.senders.iter().flatten();
        let mut all = senders.chain([&self.to]).chain(&self.cc);
        !self.bytes.is_ascii() || all.any(|mailbox| !is_plain(mailbox))
    }
}

/// Are there only ASCII characters in it?
pub(super) fn is_plain(mailbox: &Mailbox) -> bool {
    AsRef::<str>::as_ref(mailbox).is_ascii()
}

/// Why it did not go out, or may not have.
pub(super) struct Failed {
    pub(super) fault: Fault,
    pub(super) step: Step,
    /// Every reply was read to its end: the session is good for the next mail.
    pub(super) in_step: bool,
}

impl Failed {
    const fn broken(fault: Fault, step: Step) -> Self {
        Self { fault, step, in_step: false }
    }

    /// The server said no to one command, and waits for another.
    fn refused(what: &'static str, reply: Reply, step: Step) -> Self {
        let in_step = reply.code != 421;
        if reply.is_passing() || reply.is_final() {
            Self { fault: Fault::Refused(what, reply), step, in_step }
        } else {
            Self::broken(Fault::Garbled(what), step)
        }
    }
}

/// A copy that the server did not take.
pub(super) struct RefusedCopy {
    pub(super) to: String,
    pub(super) reply: Reply,
}

impl Session {
    /// Hands the mail over. On success the copies that were refused.
    pub(super) async fn send(&mut self, letter: &Letter) -> Result<Vec<RefusedCopy>, Failed> {
        let parameters = self.parameters(letter).map_err(|fault| Failed {
            fault,
            step: Step::Sender,
            in_step: true,
        })?;
        let refused = self.envelope(letter, &parameters).await?;
        let broken = |fault| Failed::broken(fault, Step::Letter);
        let reply = self.wire.command("DATA", "DATA").await.map_err(broken)?;
        if reply.code != 354 {
            return Err(Failed::refused("DATA", reply, Step::Letter));
        }
        self.content(&letter.bytes).await?;
        self.end().await?;
        Ok(refused)
    }

    /// What stands behind `MAIL FROM`; an error if the server cannot take this mail.
    fn parameters(&self, letter: &Letter) -> Result<String, Fault> {
        let mut parameters = String::new();
        if self.can.has("SIZE") {
            let size = letter.bytes.len();
            if let Some(max) = self.can.size_max().filter(|max| size > *max) {
                return Err(Fault::TooLarge { size, max });
            }
            parameters.push_str(&format!(" SIZE={size}"));
        }
        if !letter.bytes.is_ascii() && self.can.has("8BITMIME") {
            parameters.push_str(" BODY=8BITMIME");
        }
        if letter.is_international() {
            if !self.can.has("SMTPUTF8") {
                let problem = "the address holds other than ASCII characters, and the server cannot \
                               send to such addresses (SMTPUTF8)";
                return Err(Fault::Unsendable(problem));
            }
            parameters.push_str(" SMTPUTF8");
        }
        Ok(parameters)
    }

    /// The first sender that is taken, and everybody who is to get it.
    async fn envelope(
        &mut self,
        letter: &Letter,
        parameters: &str,
    ) -> Result<Vec<RefusedCopy>, Failed> {
        let everybody: Vec<&Mailbox> = std::iter::once(&letter.to).chain(&letter.cc).collect();
        let mut outcome = Err(Failed::broken(Fault::Unsendable("no sender"), Step::Sender));
        for sender in &letter.senders {
            let sender = sender.as_ref().map(ToString::to_string).unwrap_or_default();
            let mail = format!("MAIL FROM:<{sender}>{parameters}");
            outcome = self.addresses(mail, &everybody).await;
            match &outcome {
                // Some servers take no sender but the one who logged in, not even an empty one.
                Err(Failed { fault: Fault::Refused(_, reply), in_step: true, .. })
                    if reply.is_final() => {}
                Ok(_) | Err(_) => break,
            }
        }
        let mut replies = outcome?.into_iter();
        match replies.next() {
            Some(reply) if reply.is_success() => {}
            Some(reply) => return Err(Failed::refused(RECIPIENT, reply, Step::Letter)),
            None => return Err(Failed::broken(Fault::Garbled(RECIPIENT), Step::Letter)),
        }
        let copies = letter.cc.iter().zip(replies);
        let refused = copies.filter(|(_, reply)| !reply.is_success());
        Ok(refused.map(|(to, reply)| RefusedCopy { to: to.to_string(), reply }).collect())
    }

    /// `MAIL` and every `RCPT`; the replies to the latter, in order.
    async fn addresses(
        &mut self,
        mail: String,
        everybody: &[&Mailbox],
    ) -> Result<Vec<Reply>, Failed> {
        let recipients = everybody.iter().map(|mailbox| format!("RCPT TO:<{mailbox}>"));
        let lines: Vec<String> = std::iter::once(mail).chain(recipients).collect();
        let at_once = if self.can.has("PIPELINING") { PIPELINE_MAX } else { 1 };
        let mut replies: Vec<Reply> = Vec::with_capacity(lines.len());
        for group in lines.chunks(at_once) {
            if let Some(sender) = replies.first().filter(|reply| !reply.is_success()) {
                return Err(Failed::refused(SENDER, sender.clone(), Step::Sender));
            }
            let lines: Vec<&str> = group.iter().map(String::as_str).collect();
            let sent = self.wire.send_lines(&lines, SENDER).await;
            sent.map_err(|fault| Failed::broken(fault, step_after(&replies)))?;
            for _ in &lines {
                let what = if replies.is_empty() { SENDER } else { RECIPIENT };
                match self.wire.reply(what).await {
                    Ok(reply) => replies.push(reply),
                    Err(fault) => return Err(cut(&replies, fault)),
                }
            }
        }
        let mut replies = replies.into_iter();
        match replies.next() {
            Some(sender) if sender.is_success() => Ok(replies.collect()),
            Some(sender) => Err(Failed::refused(SENDER, sender, Step::Sender)),
            None => Err(Failed::broken(Fault::Garbled(SENDER), Step::Sender)),
        }
    }

    /// The mail without its end. If we stop within it, the server has to forget it.
    async fn content(&mut self, mail: &[u8]) -> Result<(), Failed> {
        for piece in stuffed(mail).chunks(PIECE_BYTES) {
            if self.wire.has_news().await {
                return Err(self.interrupted(Fault::Lost(CONTENT, None)).await);
            }
            if let Err(fault) = self.wire.send(piece, CONTENT).await {
                return Err(self.interrupted(fault).await);
            }
        }
        Ok(())
    }

    /// The server did not wait for the end. It may have said why.
    async fn interrupted(&mut self, fault: Fault) -> Failed {
        let fault = match self.wire.reply_within(CONTENT, LAST_WORDS).await {
            Ok(reply) if reply.is_passing() || reply.is_final() => Fault::Refused(CONTENT, reply),
            Ok(_) | Err(_) => fault,
        };
        Failed::broken(fault, Step::Letter)
    }

    /// The dot. From its first byte on the mail may be on its way, whatever we see.
    async fn end(&mut self) -> Result<(), Failed> {
        let what = "the end of the mail";
        let broken = |fault| Failed::broken(fault, Step::Ended);
        self.wire.send(b".\r\n", what).await.map_err(broken)?;
        let limit = self.wire.limit() * LIMITS_AFTER_DOT;
        let reply = self.wire.reply_within(what, limit).await.map_err(broken)?;
        if reply.is_success() {
            return Ok(());
        }
        // It may have been the answer to an earlier piece: such a session is not used again.
        Err(Failed { in_step: false, ..Failed::refused(CONTENT, reply, Step::Ended) })
    }
}

/// Nobody answered any more: if the sender was refused before, that is the reason.
fn cut(replies: &[Reply], fault: Fault) -> Failed {
    match replies.first() {
        Some(sender) if !sender.is_success() => {
            Failed { in_step: false, ..Failed::refused(SENDER, sender.clone(), Step::Sender) }
        }
        _ => Failed::broken(fault, step_after(replies)),
    }
}

const fn step_after(replies: &[Reply]) -> Step {
    if replies.is_empty() { Step::Sender } else { Step::Letter }
}

/// Doubles the dot at the beginning of a line, and ends the last line (RFC 5321 section 4.5.2).
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(mail.len() + mail.len() / 64 + 2);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.first() == Some(&b'.') {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    if !stuffed.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_at_the_beginning_of_a_line_are_doubled() {
        let cases = [
            ("", "\r\n"),
            (".", "..\r\n"),
            (".\r\n", "..\r\n"),
            ("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n"),
            ("a.\r\n..b\r\n", "a.\r\n...b\r\n"),
            ("a", "a\r\n"),
        ];
        for (mail, expected) in cases {
            assert_eq!(stuffed(mail.as_bytes()), expected.as_bytes(), "{mail:?}");
        }
    }
}
