//! From a host name to a session that may send.
//!
//! Nothing secret is sent before the connection is as safe as the settings ask: a server without
//! STARTTLS, with text injected before the handshake or with a wrong certificate gets no password.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fault::Fault;
use super::reply::Reply;
use super::wire::Wire;
use crate::channel::email::oauth::{Rejected, TokenSource, xoauth2};
use crate::channel::email::settings::Mechanism;
use crate::channel::shared::tls::{Dialer, TlsMode};
use crate::model::Secret;

/// Longest challenge that is shown, in characters.
const CHALLENGE_CHARS_MAX: usize = 200;
const LOGIN: &str = "the login";

/// How to prove who we are.
pub(super) enum Credentials {
    /// Not at all.
    Nobody,
    /// By password.
    Password {
        /// As whom.
        username: String,
        /// With what.
        password: Secret,
    },
    /// By an access token for this mailbox.
    Token {
        /// The mailbox; may be a shared one.
        mailbox: String,
        /// Where tokens come from.
        source: Arc<TokenSource>,
    },
}

/// What the server said it can do: words in upper case, with what stands behind them.
#[derive(Debug, Default)]
pub(super) struct Abilities(HashMap<String, String>);

impl Abilities {
    pub(super) fn read(reply: &Reply) -> Self {
        let mut words = HashMap::new();
        for line in reply.lines.iter().skip(1) {
            // `AUTH=PLAIN LOGIN` is how it was before RFC 2554.
            let line = line.to_ascii_uppercase().replacen("AUTH=", "AUTH ", 1);
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            let known: &mut String = words.entry(word.to_owned()).or_default();
            known.push(' ');
            known.push_str(rest);
        }
        Self(words)
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.0.contains_key(word)
    }

    /// The largest mail, if the server names one.
    pub(super) fn size_max(&self) -> Option<usize> {
        let size = self.0.get("SIZE")?.split_whitespace().next()?.parse().ok()?;
        (size > 0).then_some(size)
    }

    fn logs_in_by(&self, mechanism: Mechanism) -> bool {
        let offered = self.0.get("AUTH").map(String::as_str).unwrap_or_default();
        offered.split_whitespace().any(|word| word == name_of(mechanism))
    }
}

/// A connection that may send.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) wire: Wire,
    pub(super) can: Abilities,
}

/// How a session is opened.
pub(super) struct Opener {
    pub(super) dialer: Dialer,
    pub(super) credentials: Credentials,
    /// The only one that may be used, if there is a wish.
    pub(super) mechanism: Option<Mechanism>,
    /// What we call ourselves.
    pub(super) hello: String,
    /// For each wait.
    pub(super) limit: Duration,
}

enum Failed {
    /// The token worked before: a fresh one may work.
    TokenEnded(Fault),
    Fault(Fault),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Opener {
    /// Connects and logs in; with a fresh token where one had ended.
    pub(super) async fn open(&self) -> Result<Session, Fault> {
        let outcome = match self.attempt().await {
            Err(Failed::TokenEnded(_)) => self.attempt().await,
            outcome => outcome,
        };
        outcome.map_err(|failed| match failed {
            Failed::TokenEnded(fault) | Failed::Fault(fault) => fault,
        })
    }

    async fn attempt(&self) -> Result<Session, Failed> {
        let connection = self.dialer.connect(self.limit).await.map_err(Fault::from)?;
        let mut wire = Wire::new(connection, self.limit);
        let what = "the connection";
        expect_success(wire.reply(what).await?, what)?;
        let mut can = self.greet(&mut wire).await?;
        if self.dialer.endpoint().tls == TlsMode::StartTls {
            wire = self.encrypt(wire, &can).await?;
            // What was said in plain text counts no more.
            can = self.greet(&mut wire).await?;
        }
        self.authenticate(&mut wire, &can).await?;
        Ok(Session { wire, can })
    }

    async fn greet(&self, wire: &mut Wire) -> Result<Abilities, Fault> {
        let reply = wire.command(&format!("EHLO {}", self.hello), "EHLO").await?;
        Ok(Abilities::read(&expect_success(reply, "EHLO")?))
    }

    async fn encrypt(&self, mut wire: Wire, can: &Abilities) -> Result<Wire, Fault> {
        if !can.has("STARTTLS") {
            let problem = "the server offers no STARTTLS, so no password and no mail was sent; use \
                           tls = \"implicit\" (port 465)";
            return Err(Fault::Human(problem.to_owned()));
        }
        expect_success(wire.command("STARTTLS", "STARTTLS").await?, "STARTTLS")?;
        let connection = self.dialer.upgrade(wire.into_plain()?, self.limit).await?;
        Ok(Wire::new(connection, self.limit))
    }

    async fn authenticate(&self, wire: &mut Wire, can: &Abilities) -> Result<(), Failed> {
        match &self.credentials {
            Credentials::Nobody => Ok(()),
            Credentials::Password { username, password } => {
                let mechanism = self.mechanism_for_password(can)?;
                by_password(wire, mechanism, username, password).await.map_err(Failed::Fault)
            }
            Credentials::Token { mailbox, source } => {
                if !can.logs_in_by(Mechanism::XOAuth2) {
                    let problem = "the server takes no access tokens (AUTH XOAUTH2)";
                    return Err(Fault::Human(problem.to_owned()).into());
                }
                by_token(wire, mailbox, source).await
            }
        }
    }

    fn mechanism_for_password(&self, can: &Abilities) -> Result<Mechanism, Fault> {
        let wanted = match self.mechanism {
            Some(mechanism) => vec![mechanism],
            None => vec![Mechanism::Plain, Mechanism::Login],
        };
        let found = wanted.into_iter().find(|mechanism| can.logs_in_by(*mechanism));
        found.ok_or_else(|| {
            let wish = match self.mechanism {
                Some(mechanism) => format!("AUTH {}", name_of(mechanism)),
                None => "AUTH PLAIN or LOGIN".to_owned(),
            };
            Fault::Human(format!("the server takes no passwords on this connection ({wish})"))
        })
    }
}

const fn name_of(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::Plain => "PLAIN",
        Mechanism::Login => "LOGIN",
        Mechanism::XOAuth2 => "XOAUTH2",
    }
}

fn expect_success(reply: Reply, what: &'static str) -> Result<Reply, Fault> {
    if reply.is_success() {
        Ok(reply)
    } else if reply.is_passing() || reply.is_final() {
        Err(Fault::Refused(what, reply))
    } else {
        Err(Fault::Garbled(what))
    }
}

async fn by_password(
    wire: &mut Wire,
    mechanism: Mechanism,
    username: &str,
    password: &Secret,
) -> Result<(), Fault> {
    let encoded = |text: &str| Secret::new(STANDARD.encode(text));
    let (first, answers) = match mechanism {
        Mechanism::Plain => {
            let proof = encoded(&format!("\0{username}\0{}", password.reveal()));
            (format!("AUTH PLAIN {}", proof.reveal()), vec![proof])
        }
        Mechanism::Login | Mechanism::XOAuth2 => {
            ("AUTH LOGIN".to_owned(), vec![encoded(username), encoded(password.reveal())])
        }
    };
    let mut reply = wire.command(Secret::new(first).reveal(), LOGIN).await?;
    for answer in &answers {
        if reply.code == 334 {
            reply = wire.command(answer.reveal(), LOGIN).await?;
        }
    }
    for secret in answers.iter().chain([password]) {
        reply = reply.without(secret.reveal());
    }
    expect_success(reply, LOGIN).map(drop)
}

async fn by_token(wire: &mut Wire, mailbox: &str, source: &TokenSource) -> Result<(), Failed> {
    let token = source.access().await.map_err(Fault::from)?;
    let proof = Secret::new(STANDARD.encode(xoauth2(mailbox, &token).reveal()));
    let line = Secret::new(format!("AUTH XOAUTH2 {}", proof.reveal()));
    let mut reply = wire.command(line.reveal(), LOGIN).await?;
    let mut challenge = String::new();
    if reply.code == 334 {
        // An error in disguise: it wants an empty answer, and only then comes the refusal.
        challenge = decoded(&reply.text());
        reply = wire.command("", LOGIN).await?;
    }
    if !challenge.is_empty() && !reply.is_success() {
        reply.lines.push(format!("({challenge})"));
    }
    let reply = reply.without(proof.reveal()).without(token.reveal());
    let refused = reply.is_final();
    match expect_success(reply, LOGIN) {
        Ok(_) => {
            source.accepted(&token).await;
            Ok(())
        }
        Err(fault) if refused => match source.rejected(&token).await {
            Rejected::Again => Err(Failed::TokenEnded(fault)),
            Rejected::Human => Err(Failed::Fault(fault)),
        },
        Err(fault) => Err(Failed::Fault(fault)),
    }
}

fn decoded(challenge: &str) -> String {
    let bytes = STANDARD.decode(challenge.trim()).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    text.chars().filter(|c| !c.is_control()).take(CHALLENGE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn abilities(lines: &[&str]) -> Abilities {
        let lines: Vec<Vec<u8>> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
        Abilities::read(&Reply::read(&lines).unwrap())
    }

    #[test]
    fn abilities_are_read_in_all_their_spellings() {
        let can = abilities(&[
            "250-mx.test SIZE 1",
            "250-size 1000",
            "250-AUTH=LOGIN",
            { "250-auth plain xoauth2" },
            "250 8BITMIME",
        ]);
        assert_eq!(can.size_max(), Some(1000));
        assert!(can.has("8BITMIME") && !can.has("STARTTLS"));
        for mechanism in [Mechanism::Plain, Mechanism::Login, Mechanism::XOAuth2] {
            assert!(can.logs_in_by(mechanism), "{mechanism:?}");
        }
        assert_eq!(abilities(&["250-x", "250 SIZE 0"]).size_max(), None);
        assert_eq!(abilities(&["250-x", "250 SIZE"]).size_max(), None);
        assert!(!abilities(&["250 STARTTLS"]).has("STARTTLS"));
    }
}
