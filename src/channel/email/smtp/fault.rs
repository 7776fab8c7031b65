//! What goes wrong while sending, and what it means for the delivery: the heart of never losing and never
//! sending twice. `docs/channels/email.md` has the same as a table.

use std::io;
use std::time::Duration;

use super::reply::Reply;
use crate::channel::DeliverError;
use crate::channel::email::oauth::TokenError;
use crate::channel::shared::tls::ConnectError;

/// What to wait when the allowance of a day is used up.
const PAUSE_QUOTA: Duration = Duration::from_secs(3600);

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It ended.
    #[error("the connection ended at {0}")]
    Lost(&'static str, #[source] Option<io::Error>),
    /// Nothing came for too long.
    #[error("no answer to {0} within {1} s")]
    Silent(&'static str, u64),
    /// What came is no reply, or none that fits.
    #[error("the answer to {0} makes no sense")]
    Garbled(&'static str),
    /// Somebody on the way wants us to take plain text for encrypted.
    #[error("the server sent plain text before the TLS handshake")]
    Injected,
    /// The server says no.
    #[error("{0} was refused: {1}")]
    Refused(&'static str, Reply),
    /// It cannot be said in SMTP, or not to this server.
    #[error("{0}")]
    Unsendable(&'static str),
    /// Larger than the server takes.
    #[error("the mail has {size} bytes, and the server takes no more than {max}")]
    TooLarge {
        /// Ours.
        size: usize,
        /// Theirs.
        max: usize,
    },
    /// No access token.
    #[error("no access token")]
    Token(#[from] TokenError),
    /// Nothing can be done about it here.
    #[error("{0}")]
    Human(String),
}

/// How far we were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Up to the login: has nothing to do with this mail.
    Opening,
    /// `MAIL FROM`.
    Sender,
    /// `RCPT TO`, `DATA` and the mail up to the last dot. The server must forget all of it if we stop here.
    Letter,
    /// The last dot is out: the mail may be on its way.
    Ended,
}

/// What the engine should do about it.
pub(super) fn verdict(fault: Fault, step: Step) -> DeliverError {
    match fault {
        Fault::Refused(_, ref reply) => refused(reply, step)(fault),
        Fault::Connect(ref error) if error.needs_human() => account(fault),
        Fault::Connect(_) | Fault::Injected => DeliverError::Offline(Box::new(fault)),
        Fault::Lost(..) | Fault::Silent(..) | Fault::Garbled(_) => match step {
            Step::Opening => DeliverError::Offline(Box::new(fault)),
            Step::Sender | Step::Letter => retry(fault, None),
            Step::Ended => DeliverError::Unknown(Box::new(fault)),
        },
        Fault::Unsendable(_) | Fault::TooLarge { .. } => DeliverError::Rejected(Box::new(fault)),
        Fault::Token(ref error) => match error.retry_after() {
            None => account(fault),
            Some(None) => DeliverError::Offline(Box::new(fault)),
            Some(after) => retry(fault, after),
        },
        Fault::Human(_) => account(fault),
    }
}

/// What a refusal means at this step.
fn refused(reply: &Reply, step: Step) -> fn(Fault) -> DeliverError {
    let offline = |fault| DeliverError::Offline(Box::new(fault));
    if is_about_account(reply) {
        return account;
    }
    match step {
        Step::Opening if reply.is_passing() => offline,
        Step::Opening => account,
        // It closes the door before it knows what we want.
        Step::Sender if reply.code == 421 => offline,
        Step::Sender | Step::Letter | Step::Ended => {
            if is_quota(reply) {
                |fault| retry(fault, Some(PAUSE_QUOTA))
            } else if reply.is_passing() {
                |fault| retry(fault, None)
            } else {
                |fault| DeliverError::Rejected(Box::new(fault))
            }
        }
    }
}

fn account(fault: Fault) -> DeliverError {
    DeliverError::Account(Box::new(fault))
}

fn retry(fault: Fault, after: Option<Duration>) -> DeliverError {
    DeliverError::Retry { cause: Box::new(fault), after }
}

/// Wrong login, no right to send as this address: every mail of the channel will be refused.
fn is_about_account(reply: &Reply) -> bool {
    let known = matches!(reply.code, 530 | 534 | 535 | 538);
    let enhanced = matches!(reply.enhanced, Some((5, 7, 8 | 9 | 30 | 60 | 139)));
    known || (reply.is_final() && enhanced)
}

/// The allowance of a day, or a store that is not there: no fault of this mail, although the code says so.
fn is_quota(reply: &Reply) -> bool {
    match (reply.code, reply.enhanced) {
        (550, Some((5, 4, 5))) => true,
        (554, Some((5, 2, 0))) => reply.text().contains("STOREDRV"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One word for the engine's reaction.
    fn word(text: &str, step: Step) -> String {
        let reply = Reply::read(&[text.as_bytes().to_vec()]).unwrap();
        match verdict(Fault::Refused("it", reply), step) {
            DeliverError::Rejected(_) => "rejected".to_owned(),
            DeliverError::Unreachable { .. } => "unreachable".to_owned(),
            DeliverError::Retry { after, .. } => {
                format!("retry {}", after.map_or(0, |after| after.as_secs()))
            }
            DeliverError::Offline(_) => "offline".to_owned(),
            DeliverError::Unknown(_) => "unknown".to_owned(),
            DeliverError::Account(_) => "account".to_owned(),
        }
    }

    /// The table of `docs/channels/email.md`.
    #[test]
    fn the_servers_words_decide() {
        let cases = [
            ("421 4.7.0 too many connections", Step::Opening, "offline"),
            ("454 4.7.0 temporary authentication failure", Step::Opening, "offline"),
            ("554 no mail from you", Step::Opening, "account"),
            ("535 5.7.8 bad", Step::Opening, "account"),
            ("535 5.7.139 disabled", Step::Opening, "account"),
            ("421 4.3.2 shutting down", Step::Sender, "offline"),
            ("451 4.3.0 later", Step::Sender, "retry 0"),
            ("530 5.7.0 log in first", Step::Sender, "account"),
            ("550 5.7.30 Basic authentication is not supported", Step::Sender, "account"),
            ("553 5.7.1 not yours", Step::Sender, "rejected"),
            ("552 5.3.4 too big", Step::Sender, "rejected"),
            ("550 5.1.1 unknown", Step::Letter, "rejected"),
            ("450 4.2.0 greylisted", Step::Letter, "retry 0"),
            ("421 4.4.2 time-out", Step::Letter, "retry 0"),
            ("550 5.7.1 spam", Step::Ended, "rejected"),
            ("550 5.7.60 not permitted to send as this sender", Step::Ended, "account"),
            ("432 4.3.2 sender thread limit exceeded", Step::Ended, "retry 0"),
            ("550 5.4.5 Daily user sending limit exceeded", Step::Ended, "retry 3600"),
            ("554 5.2.0 STOREDRV.Submission.Exception", Step::Ended, "retry 3600"),
            ("554 5.2.0 something else", Step::Ended, "rejected"),
        ];
        for (text, step, expected) in cases {
            assert_eq!(word(text, step), expected, "{step:?} {text}");
        }
    }

    /// Only after the last dot is anything unknown; before the first command nothing is this mail's fault.
    #[test]
    fn a_broken_line_means_another_thing_at_each_step() {
        let name = |step| match verdict(Fault::Lost("it", None), step) {
            DeliverError::Offline(_) => "offline",
            DeliverError::Retry { .. } => "retry",
            DeliverError::Unknown(_) => "unknown",
            DeliverError::Rejected(_)
            | DeliverError::Unreachable { .. }
            | DeliverError::Account(_) => "wrong",
        };
        assert_eq!(name(Step::Opening), "offline");
        assert_eq!(name(Step::Sender), "retry");
        assert_eq!(name(Step::Letter), "retry");
        assert_eq!(name(Step::Ended), "unknown");
    }
}
