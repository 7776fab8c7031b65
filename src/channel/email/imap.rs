//! Pulls mail out of a mailbox by IMAP.
//!
//! The cursor is a UID for each folder, never a flag and never a date: whatever another mail program does
//! with a mail, it is taken once. Nothing on the server changes before the mail is stored here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use super::oauth::TokenSource;
use super::settings::{Imap, Login};
use crate::channel::shared::tls::Dialer;
use crate::channel::{Pull, PullError, PullSession};
use crate::model::{ChannelName, Cursor};

mod after;
mod cursor;
mod fault;
mod fetch;
mod guard;
mod login;
mod name;
mod sent;
mod session;
mod suspects;
mod take;
mod wire;

use cursor::Position;
use fault::{Fault, verdict};
use login::{Credentials, Failed, Opener};
pub use sent::SentFolder;
use session::Session;
use suspects::Suspects;
use wire::{Command, Wire};

/// Room in a literal beside the mail itself.
const LITERAL_SLACK: u64 = 1 << 20;

/// One mailbox.
pub struct ImapPull {
    mailbox: Arc<Mailbox>,
}

/// What outlives a session.
struct Mailbox {
    channel: ChannelName,
    settings: Imap,
    dialer: Dialer,
    credentials: Credentials,
    suspects: Suspects,
    /// The last session died over the answer to ID: it is not asked again.
    without_id: AtomicBool,
}

impl ImapPull {
    /// Connects to nothing. `tokens` is needed where the settings ask for access tokens.
    pub fn new(
        channel: ChannelName,
        settings: Imap,
        tokens: Option<Arc<TokenSource>>,
    ) -> Result<Self, String> {
        let credentials = credentials(&settings.login, tokens)?;
        let dialer = Dialer::new(settings.endpoint.clone())?;
        let mailbox = Mailbox {
            channel,
            settings,
            dialer,
            credentials,
            suspects: Suspects::default(),
            without_id: AtomicBool::new(false),
        };
        Ok(Self { mailbox: Arc::new(mailbox) })
    }
}

fn credentials(login: &Login, tokens: Option<Arc<TokenSource>>) -> Result<Credentials, String> {
    match (login, tokens) {
        (Login::Password { username, password }, _) => {
            Ok(Credentials::Password { username: username.clone(), password: password.clone() })
        }
        (Login::OAuth { username, .. }, Some(source)) => {
            Ok(Credentials::Token { mailbox: username.clone(), source })
        }
        (Login::OAuth { .. } | Login::Nobody, _) => {
            Err("a mailbox needs a password or access tokens".to_owned())
        }
    }
}

#[async_trait]
impl Pull for ImapPull {
    async fn connect(&self, cursor: Option<Cursor>) -> Result<Box<dyn PullSession>, PullError> {
        let position = Position::read(cursor.as_ref());
        let session = Mailbox::open(&self.mailbox, position)
            .await
            .map_err(|failed| verdict(failed.fault, failed.alert))?;
        Ok(Box::new(session))
    }
}

impl Mailbox {
    /// Logs in, and finishes what the last session may have left half done.
    async fn open(mailbox: &Arc<Self>, position: Position) -> Result<Session, Failed> {
        let opener = Opener {
            dialer: &mailbox.dialer,
            credentials: &mailbox.credentials,
            limit: mailbox.settings.timeout,
            literal_max: mailbox.settings.mail_bytes_max + LITERAL_SLACK,
        };
        let (mut wire, can) = opener.open().await?;
        if can.has("ID") {
            mailbox.introduce(&mut wire).await?;
        }
        let mut session = Session::new(Arc::clone(mailbox), wire, can, position);
        match session.resume().await {
            Ok(()) => Ok(session),
            Err(fault) => Err(Failed { fault, alert: session.take_alert() }),
        }
    }

    /// Some providers refuse everything until they know which program asks (RFC 2971). Whatever they
    /// answer is fine, but an answer that the parser cannot read ends the session: then next time without.
    async fn introduce(&self, wire: &mut Wire) -> Result<(), Fault> {
        if self.without_id.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let version = env!("CARGO_PKG_VERSION");
        let line = format!("ID (\"name\" \"tributary\" \"version\" \"{version}\")");
        let outcome = wire.run(&Command::work(&line), &mut |_| Ok(())).await;
        self.without_id.store(matches!(outcome, Err(Fault::Garbled(_))), Ordering::Relaxed);
        match outcome {
            Ok(()) | Err(Fault::Refused { .. }) => Ok(()),
            Err(fault) => Err(fault),
        }
    }
}
