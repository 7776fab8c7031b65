//! Keeps a copy of what was sent in the folder of sent mail.
//!
//! On a connection of its own each time: an APPEND that went wrong leaves a connection that nobody should
//! use any more, and the one that receives must not suffer from it.

use std::sync::Arc;
use std::time::Duration;

use async_imap::imap_proto::{MailboxDatum, NameAttribute, Response};
use tokio::time::timeout;

use super::fault::{Fault, Step};
use super::login::{Abilities, Credentials, Failed, Opener};
use super::name::{mailbox, quoted};
use super::wire::{Command, Heard, Wire};
use super::{LITERAL_SLACK, credentials};
use crate::channel::email::oauth::TokenSource;
use crate::channel::email::settings::{Imap, SaveToSent};
use crate::channel::shared::tls::Dialer;
use crate::model::Cause;

/// The copy holds up the lane, and is worth no more than this.
const KEEP_MAX: Duration = Duration::from_secs(30);
/// Bytes of the mail that are sent under one limit.
const PIECE_BYTES: usize = 64 << 10;
/// How it is called where the server does not say.
const USUAL_NAMES: &[&str] = &[
    "Sent",
    "Sent Items",
    "Sent Messages",
    "Sent Mail",
    "INBOX.Sent",
    "INBOX/Sent",
    "已发送",
    "已发送邮件",
    "寄件備份",
    "Gesendet",
    "Gesendete Elemente",
    "Envoyés",
    "Enviados",
];

/// The folder of sent mail of one mailbox.
pub struct SentFolder {
    /// `None`: the one that the server calls so.
    name: Option<String>,
    dialer: Dialer,
    credentials: Credentials,
    limit: Duration,
}

impl SentFolder {
    /// In the mailbox that is received from; `None` if no copy is wanted.
    pub fn new(
        wish: &SaveToSent,
        settings: &Imap,
        tokens: Option<Arc<TokenSource>>,
    ) -> Result<Option<Self>, String> {
        let name = match wish {
            SaveToSent::No => return Ok(None),
            SaveToSent::Auto => None,
            SaveToSent::Folder(name) => Some(name.clone()),
        };
        Ok(Some(Self {
            name,
            dialer: Dialer::new(settings.endpoint.clone())?,
            credentials: credentials(&settings.login, tokens)?,
            limit: settings.timeout.min(KEEP_MAX),
        }))
    }

    /// Puts the mail there, unless a mail with this Message-ID is there already: a delivery that was tried
    /// again leaves one copy.
    pub async fn keep(&self, message_id: &str, mail: &[u8]) -> Result<(), Cause> {
        self.within(async {
            let (mut wire, folder) = self.open().await?;
            if !holds(&mut wire, message_id).await? {
                append(&mut wire, &folder, mail).await?;
            }
            goodbye(wire).await;
            Ok(())
        })
        .await
    }

    /// Would a copy find its folder now?
    pub async fn probe(&self) -> Result<(), Cause> {
        self.within(async {
            let (wire, _) = self.open().await?;
            goodbye(wire).await;
            Ok(())
        })
        .await
    }

    async fn within(
        &self,
        work: impl Future<Output = Result<(), Fault>> + Send,
    ) -> Result<(), Cause> {
        match timeout(KEEP_MAX, work).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(format!("it took longer than {} s", KEEP_MAX.as_secs()).into()),
        }
    }

    /// A session with the folder open for reading, and the folder's name as it stands in commands.
    async fn open(&self) -> Result<(Wire, String), Fault> {
        let (mut wire, can) = self.log_in().await?;
        let folder = match &self.name {
            Some(name) => mailbox(name),
            None => self.find(&mut wire, &can).await?,
        };
        let line = format!("EXAMINE {folder}");
        let command =
            Command { line: &line, name: "opening the folder of sent mail", step: Step::Open };
        wire.run(&command, &mut |_| Ok(())).await?;
        Ok((wire, folder))
    }

    /// Once more where a token had ended.
    async fn log_in(&self) -> Result<(Wire, Abilities), Fault> {
        let opener = Opener {
            dialer: &self.dialer,
            credentials: &self.credentials,
            limit: self.limit,
            literal_max: LITERAL_SLACK,
        };
        let outcome = match opener.open().await {
            Err(Failed { fault: Fault::Unusable(_), .. }) => opener.open().await,
            outcome => outcome,
        };
        outcome.map_err(|failed| failed.fault)
    }

    /// The folder that the server marks (RFC 6154), else one with a usual name.
    async fn find(&self, wire: &mut Wire, can: &Abilities) -> Result<String, Fault> {
        let marks = can.has("SPECIAL-USE") && can.has("LIST-EXTENDED");
        let line = if marks { "LIST \"\" \"*\" RETURN (SPECIAL-USE)" } else { "LIST \"\" \"*\"" };
        let mut marked = None;
        let mut names: Vec<String> = Vec::new();
        wire.run(&Command::work(line), &mut |response| {
            if let Response::MailboxData(MailboxDatum::List(folder)) = response {
                if folder.name_attributes.contains(&NameAttribute::Sent) {
                    marked.get_or_insert_with(|| quoted(&folder.name));
                }
                names.push(quoted(&folder.name));
            }
            Ok(())
        })
        .await?;
        let usual = USUAL_NAMES.iter().map(|name| mailbox(name));
        marked.or_else(|| usual.into_iter().find(|name| names.contains(name))).ok_or_else(|| {
            let problem = "the server marks no folder as the one of sent mail; name it in \
                           send.save_to_sent";
            Fault::Human(problem.to_owned())
        })
    }
}

/// Is a mail with this id in the open folder?
async fn holds(wire: &mut Wire, message_id: &str) -> Result<bool, Fault> {
    let line = format!("UID SEARCH HEADER Message-ID {}", quoted(message_id));
    let command = Command { line: &line, name: "the search for an earlier copy", step: Step::Work };
    let mut found = false;
    wire.run(&command, &mut |response| {
        if let Response::MailboxData(MailboxDatum::Search(uids)) = response {
            found |= !uids.is_empty();
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// The literal is sent only after the server asked for it; whatever else it says before is passed over.
async fn append(wire: &mut Wire, folder: &str, mail: &[u8]) -> Result<(), Fault> {
    let name = "storing the copy";
    let line = format!("APPEND {folder} (\\Seen) {{{}}}", mail.len());
    let command = Command { line: &line, name, step: Step::Work };
    let tag = wire.begin(&command).await?;
    loop {
        match wire.hear(&tag, &command, name).await? {
            Heard::Challenge(_) => break,
            Heard::Other => {}
            Heard::Ended(Err(fault)) => return Err(fault),
            Heard::Ended(Ok(())) => {
                return Err(Fault::Unusable(
                    "the server took the copy without reading it".to_owned(),
                ));
            }
        }
    }
    for piece in mail.chunks(PIECE_BYTES) {
        wire.send(piece, name).await?;
    }
    wire.send(b"\r\n", name).await?;
    loop {
        if let Heard::Ended(outcome) = wire.hear(&tag, &command, name).await? {
            return outcome;
        }
    }
}

/// Polite, no more: the answer does not matter.
async fn goodbye(mut wire: Wire) {
    drop(wire.begin(&Command::work("LOGOUT")).await);
}
