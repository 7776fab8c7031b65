//! From a host name to a logged-in connection.
//!
//! Nothing secret is sent before the connection is as safe as the settings ask: a server without
//! STARTTLS, with text injected before the handshake or with a wrong certificate gets no password.

#![expect(clippy::wildcard_enum_match_arm, reason = "of all that a server may say, little matters")]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_imap::imap_proto::{Capability, Response, Status};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::fault::{Fault, Step, clean};
use super::name::quoted;
use super::wire::{Command, Heard, Wire};
use crate::channel::email::oauth::{Rejected, TokenSource, xoauth2};
use crate::channel::shared::tls::{Connection, Dialer, TlsMode};
use crate::model::Secret;

/// Longest plain line before STARTTLS.
const PLAIN_LINE_MAX: usize = 8 << 10;
/// Plain lines before STARTTLS.
const PLAIN_LINES_MAX: usize = 50;
/// Steps of one AUTHENTICATE.
const CHALLENGES_MAX: usize = 5;

/// How to prove who we are.
pub(super) enum Credentials {
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

/// Why there is no session, and what the server wants an admin to read.
pub(super) struct Failed {
    pub(super) fault: Fault,
    pub(super) alert: Option<String>,
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self { fault, alert: None }
    }
}

/// What the server said it can do, in upper case.
#[derive(Debug, Default)]
pub(super) struct Abilities(HashSet<String>);

impl Abilities {
    pub(super) fn has(&self, ability: &str) -> bool {
        self.0.contains(ability)
    }
}

/// How a connection is opened.
pub(super) struct Opener<'a> {
    pub(super) dialer: &'a Dialer,
    pub(super) credentials: &'a Credentials,
    /// The longest silence.
    pub(super) limit: Duration,
    /// The largest literal.
    pub(super) literal_max: u64,
}

impl Opener<'_> {
    /// Connects and logs in.
    pub(super) async fn open(&self) -> Result<(Wire, Abilities), Failed> {
        let mut connection = self.dialer.connect(self.limit).await.map_err(Fault::from)?;
        let starttls = self.dialer.endpoint().tls == TlsMode::StartTls;
        if starttls {
            connection = timeout(self.limit, self.upgrade(connection))
                .await
                .map_err(|_| Fault::Silent("STARTTLS".to_owned()))??;
        }
        let mut wire = Wire::new(connection, self.limit, self.literal_max);
        match self.log_in(&mut wire, starttls).await {
            Ok(abilities) => Ok((wire, abilities)),
            Err(fault) => Err(Failed { fault, alert: wire.take_alert() }),
        }
    }

    /// The plain part of STARTTLS, read byte by byte so that nothing beyond the go-ahead is taken.
    async fn upgrade(&self, mut plain: Connection) -> Result<Connection, Fault> {
        let greeting = plain_line(&mut plain).await?;
        let upper = greeting.to_ascii_uppercase();
        if upper.starts_with("* BYE") {
            return Err(Fault::Bye(clean(greeting.get(5..).unwrap_or_default())));
        }
        if !upper.starts_with("* OK") {
            let problem = "the server does not greet as one that offers STARTTLS";
            return Err(Fault::Human(format!("{problem}: {}", clean(&greeting))));
        }
        let lost = |error| Fault::Lost("STARTTLS".to_owned(), Some(error));
        plain.write_all(b"T0 STARTTLS\r\n").await.map_err(lost)?;
        plain.flush().await.map_err(lost)?;
        for _ in 0..PLAIN_LINES_MAX {
            let line = plain_line(&mut plain).await?;
            let Some(answer) = line.strip_prefix("T0 ") else { continue };
            if answer.to_ascii_uppercase().starts_with("OK") {
                return Ok(self.dialer.upgrade(plain, self.limit).await?);
            }
            let problem = "the server offers no STARTTLS, so no password was sent; use \
                           tls = \"implicit\" (port 993)";
            return Err(Fault::Human(format!("{problem}: {}", clean(answer))));
        }
        Err(Fault::Unusable("the server does not answer STARTTLS".to_owned()))
    }

    async fn log_in(&self, wire: &mut Wire, greeted: bool) -> Result<Abilities, Fault> {
        let logged_in = !greeted && greeting(wire).await?;
        let mut abilities = abilities(wire).await?;
        if !logged_in {
            self.authenticate(wire, &abilities).await?;
            abilities = self::abilities(wire).await?;
        }
        Ok(abilities)
    }

    async fn authenticate(&self, wire: &mut Wire, can: &Abilities) -> Result<(), Fault> {
        match self.credentials {
            Credentials::Password { username, password } => {
                by_password(wire, can, username, password).await
            }
            Credentials::Token { mailbox, source } => {
                if !can.has("AUTH=XOAUTH2") {
                    let problem = "the server takes no access tokens (XOAUTH2)";
                    return Err(Fault::Human(problem.to_owned()));
                }
                let token = source.access().await?;
                let proof = xoauth2(mailbox, &token);
                let ir = can.has("SASL-IR");
                let outcome = exchange(wire, "AUTHENTICATE XOAUTH2", proof.reveal(), ir).await;
                match outcome {
                    Ok(()) => {
                        source.accepted(&token).await;
                        Ok(())
                    }
                    Err(fault @ Fault::Refused { .. }) if !fault.is_passing() => {
                        match source.rejected(&token).await {
                            Rejected::Human => Err(fault),
                            Rejected::Again => Err(Fault::Unusable(format!(
                                "the access token has ended, a fresh one is needed: {fault}"
                            ))),
                        }
                    }
                    Err(fault) => Err(fault),
                }
            }
        }
    }
}

async fn plain_line(plain: &mut Connection) -> Result<String, Fault> {
    let lost = |error| Fault::Lost("the greeting".to_owned(), Some(error));
    let mut bytes = Vec::new();
    while bytes.last() != Some(&b'\n') {
        if bytes.len() > PLAIN_LINE_MAX {
            return Err(Fault::Unusable("the server's greeting has no end".to_owned()));
        }
        bytes.push(plain.read_u8().await.map_err(lost)?);
    }
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// `true`: the server says that we are logged in already.
async fn greeting(wire: &mut Wire) -> Result<bool, Fault> {
    wire.read("the greeting", &mut |response| match response {
        Response::Data { status: Status::Ok, .. } => Ok(false),
        Response::Data { status: Status::PreAuth, .. } => Ok(true),
        Response::Data { outcome, .. } => Err(Fault::Refused {
            what: "the connection".to_owned(),
            step: Step::Work,
            text: clean(outcome.information.as_deref().unwrap_or_default()),
        }),
        _ => Err(Fault::Unusable("the server greets in no known way".to_owned())),
    })
    .await?
}

/// Asks what the server can do. Asked again after each change of state, since the answer changes.
async fn abilities(wire: &mut Wire) -> Result<Abilities, Fault> {
    let mut found = HashSet::new();
    wire.run(&Command::work("CAPABILITY"), &mut |response| {
        if let Response::Capabilities(list) = response {
            found.extend(list.iter().map(|one| match one {
                Capability::Imap4rev1 => "IMAP4REV1".to_owned(),
                Capability::Auth(mechanism) => format!("AUTH={}", mechanism.to_ascii_uppercase()),
                Capability::Atom(name) => name.to_ascii_uppercase(),
            }));
        }
        Ok(())
    })
    .await?;
    Ok(Abilities(found))
}

async fn by_password(
    wire: &mut Wire,
    can: &Abilities,
    username: &str,
    password: &Secret,
) -> Result<(), Fault> {
    let outcome = if can.has("AUTH=PLAIN") {
        let proof = Secret::new(format!("\0{username}\0{}", password.reveal()));
        exchange(wire, "AUTHENTICATE PLAIN", proof.reveal(), can.has("SASL-IR")).await
    } else if can.has("LOGINDISABLED") {
        let problem = "the server takes no password on this connection (LOGINDISABLED)";
        return Err(Fault::Human(problem.to_owned()));
    } else {
        let line = format!("LOGIN {} {}", quoted(username), quoted(password.reveal()));
        let line = Secret::new(line);
        let command = Command { line: line.reveal(), name: "LOGIN", step: Step::Login };
        wire.run(&command, &mut |_| Ok(())).await
    };
    // A server may quote the command that it refuses.
    outcome.map_err(|fault| match fault {
        Fault::Refused { what, step, text } if text.contains(password.reveal()) => {
            Fault::Refused { what, step, text: text.replace(password.reveal(), "***") }
        }
        other => other,
    })
}

/// One AUTHENTICATE. A second challenge is an error in disguise (XOAUTH2: JSON): it wants an empty
/// answer, and only then comes the NO.
async fn exchange(wire: &mut Wire, line: &str, proof: &str, initial: bool) -> Result<(), Fault> {
    let proof = Secret::new(STANDARD.encode(proof));
    let whole = if initial { format!("{line} {}", proof.reveal()) } else { line.to_owned() };
    let whole = Secret::new(whole);
    let command = Command { line: whole.reveal(), name: line, step: Step::Login };
    let tag = wire.begin(&command).await?;
    let mut sent = initial;
    let mut challenge = String::new();
    let mut steps = 0;
    loop {
        let asked = match wire.hear(&tag, &command, line).await? {
            Heard::Ended(outcome) => return outcome.map_err(|fault| explained(fault, &challenge)),
            Heard::Other => continue,
            Heard::Challenge(asked) => asked,
        };
        steps += 1;
        if steps > CHALLENGES_MAX {
            return Err(Fault::Unusable("the server asks without end at login".to_owned()));
        }
        if sent {
            challenge = decoded(&asked);
            wire.send_line("", line).await?;
        } else {
            wire.send_line(proof.reveal(), line).await?;
            sent = true;
        }
    }
}

/// The NO after an error challenge says little; the challenge says why.
fn explained(fault: Fault, challenge: &str) -> Fault {
    match fault {
        Fault::Refused { what, step, text } if !challenge.is_empty() => {
            Fault::Refused { what, step, text: format!("{text} ({challenge})") }
        }
        other => other,
    }
}

fn decoded(challenge: &str) -> String {
    let bytes = STANDARD.decode(challenge.trim()).unwrap_or_default();
    clean(&String::from_utf8_lossy(&bytes))
}
