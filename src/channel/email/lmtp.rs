//! Mail in, by LMTP (RFC 2033): a mail server hands it to us, and keeps it until we have it on disk.
//!
//! One connection from greeting to end; the engine accepts and limits. A 250 after the final dot is
//! said only when the intake has stored the mail; a store that is away is a 451, and the server
//! tries again later.

pub mod command;
pub mod data;
mod session;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::verify::Verifier;
use crate::channel::{Intake, Listen, Stream};
use crate::model::{Address, Cause, DedupeKey, OwnAddresses, Raw, Transport};
use command::Path;

/// A port of ours where mail servers deliver.
pub struct Lmtp {
    /// Where the engine accepts.
    pub listen: String,
    /// Our name in the greeting.
    pub host: String,
    /// Whose mail we take.
    pub recipients: Recipients,
    /// Largest mail in bytes.
    pub size_max: u64,
    /// How long we wait.
    pub patience: Patience,
    /// Checks SPF, DKIM and DMARC before the mail is stored.
    pub verifier: Option<Arc<Verifier>>,
}

/// Whose mail we take.
pub enum Recipients {
    /// Of these addresses, with or without a plus tag.
    Own(OwnAddresses),
    /// Whatever the mail server sends here: it knows better.
    Any,
}

impl Recipients {
    fn include(&self, path: &Path) -> bool {
        match self {
            Self::Own(own) => {
                let address = super::settings::ascii_domain(&path.address);
                own.contains(&Address::email(&address))
            }
            Self::Any => true,
        }
    }
}

/// How long we wait for the other side.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a whole command.
    pub command: Duration,
    /// For the next piece of a mail, and until our answer is read.
    pub piece: Duration,
    /// For a whole mail.
    pub mail: Duration,
}

impl Default for Patience {
    /// Those of RFC 5321 section 4.5.3.2, and half an hour for the largest mail.
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        Self { command: minutes(5), piece: minutes(3), mail: minutes(30) }
    }
}

#[async_trait]
impl Listen for Lmtp {
    fn address(&self) -> &str {
        &self.listen
    }

    async fn serve(&self, stream: Box<dyn Stream>, intake: &dyn Intake) -> Result<(), Cause> {
        session::serve(self, stream, intake).await
    }
}

/// What `MAIL` and `RCPT` said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Envelope {
    /// Empty: a bounce.
    sender: String,
    /// In the order in which they were accepted.
    recipients: Vec<String>,
}

/// The mail as the journal keeps it.
///
/// The key covers the bytes and the recipients: what a mail server delivers again, because our 250 got
/// lost, is the same; two mails are never the same, and neither are two recipients of one.
fn raw(envelope: &Envelope, mail: Bytes, auth: Option<String>) -> Raw {
    let mut transport = Transport::new();
    transport.insert("mail_from".to_owned(), envelope.sender.clone());
    transport.insert("rcpt_to".to_owned(), envelope.recipients.join(" "));
    if let Some(auth) = auth {
        transport.insert("auth".to_owned(), auth);
    }
    Raw { dedupe: dedupe(envelope, &mail), body: mail, transport, received_at: None }
}

fn dedupe(envelope: &Envelope, mail: &[u8]) -> DedupeKey {
    let mut recipients: Vec<String> =
        envelope.recipients.iter().map(|address| address.to_lowercase()).collect();
    recipients.sort_unstable();
    recipients.dedup();
    let mut hash = Sha256::new();
    for recipient in recipients {
        // No address holds a line end, so the list cannot be read in two ways.
        hash.update(recipient.as_bytes());
        hash.update(b"\n");
    }
    hash.update(b"\n");
    hash.update(mail);
    DedupeKey::new(format!("lmtp:{}", data_encoding::HEXLOWER.encode(&hash.finalize())))
}

#[cfg(test)]
mod tests;
