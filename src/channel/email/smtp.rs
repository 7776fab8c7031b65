//! Sends mail (RFC 5321), so that what became of it is known exactly.
//!
//! One mail, one attempt, each wait under a limit of its own. A server that says no, a line that breaks
//! before the end of the mail and one that breaks after it are three different things: `fault.rs` says
//! what each means. Knows nothing of tickets and retries.

mod fault;
mod letter;
mod login;
mod pool;
mod reply;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lettre::Address as Mailbox;

use super::compose::{self, Composed, Letterhead, NotComposable, compose};
use super::dkim::DkimKey;
use super::imap::SentFolder;
use super::oauth::TokenSource;
use super::settings::{Login, Submission, domain_of};
use crate::channel::shared::tls::Dialer;
use crate::channel::{Accepted, Deliver, DeliverError};
use crate::model::{Outbound, RemoteId};
use fault::{Fault, Step, verdict};
use letter::{Letter, RefusedCopy, is_plain};
use login::{Credentials, Opener, Session};
use pool::Pool;

/// How long to wait for a polite end.
const QUIT_MAX: Duration = Duration::from_secs(2);

/// One server that takes our mail.
pub struct Smtp {
    letterhead: Arc<Letterhead>,
    dkim: Option<Arc<DkimKey>>,
    opener: Opener,
    pool: Pool,
    /// Where a copy of what went out is kept.
    sent: Option<SentFolder>,
}

/// A mail ready to go.
struct Ready {
    message_id: String,
    letter: Letter,
    /// Copies that cannot be sent, since the address is none.
    skipped: Vec<String>,
}

impl Smtp {
    /// Connects to nothing. `tokens` is needed where the settings ask for access tokens. An error is a key
    /// of the settings, and what is wrong with it.
    pub fn new(
        settings: &Submission,
        letterhead: Letterhead,
        tokens: Option<Arc<TokenSource>>,
        sent: Option<SentFolder>,
    ) -> Result<Self, (&'static str, String)> {
        let credentials = match (&settings.login, tokens) {
            (Login::Nobody, _) => Credentials::Nobody,
            (Login::Password { username, password }, _) => {
                Credentials::Password { username: username.clone(), password: password.clone() }
            }
            (Login::OAuth { username, .. }, Some(source)) => {
                Credentials::Token { mailbox: username.clone(), source }
            }
            (Login::OAuth { .. }, None) => {
                return Err(("send.oauth", "needs a source of access tokens".to_owned()));
            }
        };
        let dkim = settings.dkim.as_ref().map(DkimKey::new).transpose();
        let dkim = dkim.map_err(|error| ("send.dkim.key", error.to_string()))?;
        let dialer = Dialer::new(settings.endpoint.clone());
        let opener = Opener {
            dialer: dialer.map_err(|problem| ("send.host", problem))?,
            credentials,
            mechanism: settings.auth,
            hello: domain_of(&letterhead.address),
            limit: settings.timeout,
        };
        Ok(Self {
            letterhead: Arc::new(letterhead),
            dkim: dkim.map(Arc::new),
            opener,
            pool: Pool::new(settings.connections_max, settings.timeout),
            sent,
        })
    }

    /// Makes the mail, in a thread that may take its time: attachments are encoded and hashed.
    async fn compose(&self, outbound: Outbound) -> Result<Ready, DeliverError> {
        let (letterhead, dkim) = (Arc::clone(&self.letterhead), self.dkim.clone());
        let work = move || ready(&letterhead, dkim.as_deref(), &outbound);
        match tokio::task::spawn_blocking(work).await {
            Ok(ready) => ready,
            Err(error) => Err(DeliverError::Rejected(error.into())),
        }
    }

    /// The mail as this server can take it: without the copies whose addresses it cannot write.
    async fn fitting(
        &self,
        ready: Ready,
        outbound: &Outbound,
        utf8: bool,
    ) -> Result<Ready, DeliverError> {
        if utf8 || !ready.letter.is_international() || !is_plain(&ready.letter.to) {
            return Ok(ready);
        }
        let mut fewer = outbound.clone();
        fewer.cc.retain(|party| party.address.value.is_ascii());
        let mut fewer = self.compose(fewer).await?;
        let foreign = ready.letter.cc.iter().filter(|mailbox| !is_plain(mailbox));
        fewer.skipped = ready.skipped;
        fewer.skipped.extend(foreign.map(ToString::to_string));
        Ok(fewer)
    }

    /// A connection that is known to work, or a new one.
    async fn session(&self) -> Result<Session, DeliverError> {
        if let Some(session) = self.pool.take().await {
            return Ok(session);
        }
        self.opener.open().await.map_err(|fault| verdict(fault, Step::Opening))
    }

    /// Hands the mail to the server; what the agent should know about copies.
    async fn hand_over(
        &self,
        ready: Ready,
        outbound: &Outbound,
    ) -> Result<(Ready, Vec<RefusedCopy>), DeliverError> {
        let Some(_place) = self.pool.place(self.opener.limit).await else {
            let cause = "all connections to the mail server are busy".into();
            return Err(DeliverError::Retry { cause, after: None });
        };
        let mut session = self.session().await?;
        let utf8 = session.can.has("SMTPUTF8");
        let ready = self.fitting(ready, outbound, utf8).await?;
        match session.send(&ready.letter).await {
            Ok(refused) => {
                self.pool.park(session);
                Ok((ready, refused))
            }
            Err(failed) => {
                if failed.in_step {
                    self.pool.park(session);
                }
                Err(verdict(failed.fault, failed.step))
            }
        }
    }
}

#[async_trait]
impl Deliver for Smtp {
    fn remote_id(&self, outbound: &Outbound) -> Option<RemoteId> {
        Some(remote_id(&compose::message_id(&self.letterhead, outbound)))
    }

    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        let ready = self.compose(outbound.clone()).await?;
        let (ready, refused) = self.hand_over(ready, outbound).await?;
        let mut warnings: Vec<String> = Vec::new();
        for address in &ready.skipped {
            warnings.push(format!("no copy to {address}: it cannot be sent there"));
        }
        for copy in refused {
            warnings.push(format!("no copy to {}: {}", copy.to, copy.reply));
        }
        // It went out: whatever happens to the copy is no reason to send it again.
        if let Some(sent) = &self.sent
            && let Err(cause) = sent.keep(&ready.message_id, &ready.letter.bytes).await
        {
            warnings.push(format!("no copy in the folder of sent mail: {cause}"));
        }
        Ok(Accepted {
            remote_id: remote_id(&ready.message_id),
            warning: (!warnings.is_empty()).then(|| warnings.join("; ")),
        })
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        let Some(_place) = self.pool.place(self.opener.limit).await else {
            // All of them at work: nothing could prove more.
            return Ok(());
        };
        let opening = |fault| verdict(fault, Step::Opening);
        let mut session = self.opener.open().await.map_err(opening)?;
        let us = &self.letterhead.address;
        let reply = session.wire.command(&format!("MAIL FROM:<{us}>"), "the sender").await;
        let reply = reply.map_err(opening)?;
        if !reply.is_success() {
            return Err(opening(Fault::Refused("the sender", reply)));
        }
        // Polite, no more: whether it is answered does not matter.
        drop(session.wire.command_within("RSET", "RSET", QUIT_MAX).await);
        drop(session.wire.command_within("QUIT", "QUIT", QUIT_MAX).await);
        match &self.sent {
            Some(sent) => sent.probe().await.map_err(DeliverError::Account),
            None => Ok(()),
        }
    }
}

/// The id as the reader of mails knows it: without its angle brackets.
fn remote_id(message_id: &str) -> RemoteId {
    RemoteId::new(message_id.trim_start_matches('<').trim_end_matches('>'))
}

/// Composes and signs.
fn ready(
    letterhead: &Letterhead,
    dkim: Option<&DkimKey>,
    outbound: &Outbound,
) -> Result<Ready, DeliverError> {
    let composed = compose(letterhead, outbound).map_err(|error| match error {
        NotComposable::Sender(_) => DeliverError::Account(Box::new(error)),
        NotComposable::Recipient(_)
        | NotComposable::Ourselves(_)
        | NotComposable::Build(_)
        | NotComposable::Faulty(_) => DeliverError::Rejected(Box::new(error)),
    })?;
    let Composed { message_id, mut bytes, sender, to, cc, skipped } = composed;
    if let Some(key) = dkim {
        // Never unsigned instead: some receivers would throw it away without a word.
        bytes = key.sign(&bytes).map_err(DeliverError::Account)?;
        if let Some(fault) = compose::fault(&bytes) {
            return Err(DeliverError::Account(Box::new(NotComposable::Faulty(fault))));
        }
    }
    let senders = senders(sender, &letterhead.address);
    Ok(Ready { message_id, letter: Letter { bytes, senders, to, cc }, skipped })
}

/// The sender as it should be, and our plain address for servers that take no other.
fn senders(wanted: Option<Mailbox>, us: &str) -> Vec<Option<Mailbox>> {
    let plain = us
        .rsplit_once('@')
        .and_then(|(local, domain)| Mailbox::new(local, idna::domain_to_ascii(domain).ok()?).ok());
    let mut senders = vec![wanted];
    if plain.is_some() && !senders.contains(&plain) {
        senders.push(plain);
    }
    senders
}
