//! What goes wrong with a mailbox, and what to do about it.
//!
//! Texts of the server are kept, since they tell a human what to do; bytes of mail and secrets never are.

use std::io;
use std::time::Duration;

use super::guard::Violation;
use crate::channel::PullError;
use crate::channel::shared::tls::ConnectError;

/// The longest pause that a server may ask for.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// What to wait when a day's allowance is used up.
const PAUSE_QUOTA: Duration = Duration::from_secs(3600);
/// What to wait when other programs hold all connections of the account.
const PAUSE_CROWDED: Duration = Duration::from_secs(60);
/// Longest text of a server that is kept, in characters.
const TEXT_CHARS_MAX: usize = 300;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It ended before the answer did.
    #[error("the connection ended before {0} was answered")]
    Lost(String, #[source] Option<io::Error>),
    /// Nothing came for too long.
    #[error("no answer to {0} in time")]
    Silent(String),
    /// The server sent what is no IMAP. What it sent is withheld: it may be mail.
    #[error("the answer to {0} is not readable as IMAP")]
    Garbled(String),
    /// The server sent what may harm us.
    #[error("the answer to {0} is refused")]
    Harmful(String, #[source] Violation),
    /// The server says goodbye.
    #[error("the server ended the connection: {0}")]
    Bye(String),
    /// The server says no.
    #[error("{what} was refused: {text}")]
    Refused {
        /// What we asked.
        what: String,
        /// At which step.
        step: Step,
        /// The server's words.
        text: String,
    },
    /// What the server says cannot be worked with.
    #[error("{0}")]
    Unusable(String),
    /// No access token.
    #[error("no access token")]
    Token(#[from] crate::channel::email::oauth::TokenError),
    /// Nothing can be done about it here.
    #[error("{0}")]
    Human(String),
}

/// Where a refusal came: the same NO means another thing at login than at a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Proving who we are.
    Login,
    /// Opening a folder.
    Open,
    /// Everything after.
    Work,
}

impl Fault {
    /// May it be the mail that was asked for, rather than the line?
    pub(super) const fn blames_the_mail(&self) -> bool {
        matches!(self, Self::Garbled(_) | Self::Harmful(..) | Self::Refused { .. })
    }

    /// Will the server have forgotten about it in a while?
    pub(super) fn is_passing(&self) -> bool {
        matches!(self, Self::Refused { text, .. } if is_passing(text))
    }
}

fn is_passing(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    let codes = ["[UNAVAILABLE]", "[INUSE]", "[SERVERBUG]", "[LIMIT]", "[OVERQUOTA]"];
    let words = ["THROTTLED", "SUGGESTED BACKOFF", "TOO MANY SIMULTANEOUS", "TRY AGAIN LATER"];
    codes.iter().chain(&words).any(|sign| text.contains(sign))
}

/// The server's words for a log line: no control characters, not too long.
pub(super) fn clean(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    printable.take(TEXT_CHARS_MAX).collect::<String>().trim().to_owned()
}

/// What the engine should do about it. `alert` is the last thing the server wanted an admin to read.
pub(super) fn verdict(fault: Fault, alert: Option<String>) -> PullError {
    let retry = |fault: Fault, after| match alert.clone() {
        None => PullError::Retry { cause: Box::new(fault), after },
        Some(alert) => PullError::Retry { cause: with_alert(alert, fault), after },
    };
    match &fault {
        Fault::Connect(error) if !error.needs_human() => retry(fault, None),
        Fault::Connect(_) | Fault::Human(_) => account(fault, alert),
        Fault::Token(error) => match error.retry_after() {
            Some(after) => retry(fault, after),
            None => account(fault, alert),
        },
        Fault::Lost(..)
        | Fault::Silent(_)
        | Fault::Garbled(_)
        | Fault::Harmful(..)
        | Fault::Unusable(_) => retry(fault, None),
        Fault::Bye(text) => {
            let after = pause(text);
            if after.is_none() && is_about_account(text) {
                account(fault, alert)
            } else {
                retry(fault, after)
            }
        }
        Fault::Refused { text, step, .. } => {
            let after = pause(text);
            let passes = after.is_some() || is_passing(text);
            if !passes && (*step != Step::Work || is_about_account(text)) {
                account(fault, alert)
            } else {
                retry(fault, after)
            }
        }
    }
}

fn account(fault: Fault, alert: Option<String>) -> PullError {
    PullError::Account(match alert {
        None => Box::new(fault),
        Some(alert) => with_alert(alert, fault),
    })
}

fn with_alert(alert: String, fault: Fault) -> crate::model::Cause {
    Box::new(Alerted { alert, fault })
}

/// A fault together with what the server wants an admin to read (RFC 3501: it must be shown).
#[derive(Debug, thiserror::Error)]
#[error("the server alerts: {alert}")]
struct Alerted {
    alert: String,
    #[source]
    fault: Fault,
}

/// Signs of a wrong password, a dead token, a missing right: a human has to act.
fn is_about_account(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    [
        "[AUTHENTICATIONFAILED]",
        "[AUTHORIZATIONFAILED]",
        "[EXPIRED]",
        "[PRIVACYREQUIRED]",
        "[CONTACTADMIN]",
        "[NOPERM]",
        "[WEBALERT",
        "AADSTS",
        "APPLICATION-SPECIFIC PASSWORD",
        "USER IS AUTHENTICATED BUT NOT CONNECTED",
        "UNSAFE LOGIN",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

/// The pause that the server asks for, in one of the ways that servers do.
fn pause(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    if let Some((_, rest)) = text.split_once("SUGGESTED BACKOFF TIME:") {
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        let asked = digits.parse().map_or(PAUSE_MAX, Duration::from_millis);
        return Some(asked.min(PAUSE_MAX));
    }
    if text.contains("[OVERQUOTA]") || text.contains("[LIMIT]") {
        return Some(PAUSE_QUOTA);
    }
    text.contains("TOO MANY SIMULTANEOUS CONNECTIONS").then_some(PAUSE_CROWDED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(step: Step, text: &str) -> PullError {
        let fault = Fault::Refused { what: "x".to_owned(), step, text: text.to_owned() };
        verdict(fault, None)
    }

    fn after(error: &PullError) -> Option<Option<u64>> {
        match error {
            PullError::Retry { after, .. } => Some(after.map(|pause| pause.as_secs())),
            PullError::Account(_) => None,
        }
    }

    /// The table of what servers say. `None`: a human; `Some(pause)`: again.
    #[test]
    fn the_servers_words_decide() {
        let cases = [
            (Step::Login, "[AUTHENTICATIONFAILED] Invalid credentials (Failure)", None),
            (Step::Login, "LOGIN failed.", None),
            (Step::Login, "[ALERT] Application-specific password required", None),
            (Step::Login, "[UNAVAILABLE] Temporary authentication failure.", Some(None)),
            (Step::Login, "[ALERT] Too many simultaneous connections. (Failure)", Some(Some(60))),
            (Step::Login, "AADSTS7000222: expired", None),
            (Step::Open, "Mailbox doesn't exist: Sales", None),
            (Step::Open, "[INUSE] locked", Some(None)),
            (Step::Open, "SELECT Unsafe Login. Please contact kefu@188.com for help", None),
            (Step::Work, "User is authenticated but not connected.", None),
            (Step::Work, "internal error", Some(None)),
            (
                Step::Work,
                "Request is throttled. Suggested Backoff Time: 92415 milliseconds",
                Some(Some(92)),
            ),
            (
                Step::Work,
                "Request is throttled. Suggested Backoff Time: 9999999999 milliseconds",
                Some(Some(300)),
            ),
            (
                Step::Work,
                "[OVERQUOTA] Account exceeded command or bandwidth limits.",
                Some(Some(3600)),
            ),
            (Step::Login, "[LIMIT] slow down", Some(Some(3600))),
        ];
        for (step, text, expected) in cases {
            assert_eq!(after(&refused(step, text)), expected, "{step:?} {text}");
        }
        let bye = |text: &str| after(&verdict(Fault::Bye(text.to_owned()), None));
        assert_eq!(bye("Connection closed. 14"), Some(None));
        assert_eq!(bye("User is authenticated but not connected."), None);
    }

    #[test]
    fn an_alert_is_part_of_the_cause() {
        let fault = Fault::Bye("maintenance".to_owned());
        let PullError::Retry { cause, .. } = verdict(fault, Some("read this".to_owned())) else {
            panic!("not a retry");
        };
        assert!(cause.to_string().contains("read this"));
        assert!(cause.source().unwrap().to_string().contains("maintenance"));
    }
}
