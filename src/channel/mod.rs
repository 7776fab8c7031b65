//! The contract between the engine and an adapter, and the list of adapters.
//!
//! An adapter is what `build` returns: a [`Channel`], whose parts are all optional but two.
//! Adapters know the model and the remote service. They do not know the store, the HTTP server,
//! tickets, leases, retries, or each other: all that is the engine's. `docs/ADAPTERS.md` says what each
//! part must keep; `tests/it/conformance.rs` tries it.

pub mod api;
pub mod chat;
pub mod comments;
pub mod direct;
pub mod email;
pub mod phone;
pub mod shared;
pub mod sms;
pub mod telegram;
pub mod webchat;
pub mod webhook;
pub mod whatsapp;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::de::DeserializeOwned;

pub use chat::Chat;

use crate::channel::shared::sign::Signer;
use crate::model::{
    Address, Batch, Capabilities, Cause, ChannelName, Cursor, Meaning, MediaRef, Outbound, Party,
    Policy, Raw, Reach, Realm, RemoteId, Secret, ThreadKey, Timestamp,
};

mod login;
mod loose;
mod masked;
mod policy;
mod schema;

pub use masked::{Mask, masked_body};

pub use login::{Prompt, SignIn, Way};

pub use schema::schema;

pub(crate) use loose::{nearest, read};

/// One configured channel, ready to run. Building it makes no connection.
pub struct Channel {
    /// Its name in the settings.
    pub name: ChannelName,
    /// The word after `kind =`.
    pub kind: &'static str,
    /// Whose remote ids it shares.
    pub realm: Realm,
    /// Our own addresses on it: what is written from there is ours.
    pub addresses: Vec<Address>,
    /// What the admin decided.
    pub policy: Policy,
    /// What the service can do.
    pub capabilities: Capabilities,
    /// Bytes → meaning.
    pub interpret: Arc<dyn Interpret>,
    /// Asks the service; needs the lease.
    pub pull: Option<Arc<dyn Pull>>,
    /// Is told by the service over our HTTP server; every node.
    pub hook: Option<Arc<dyn Hook>>,
    /// Owns a port; every node.
    pub listen: Option<Arc<dyn Listen>>,
    /// Sends; needs the lease.
    pub deliver: Option<Arc<dyn Deliver>>,
    /// Fetches what a raw only named.
    pub download: Option<Arc<dyn Download>>,
    /// Lets visitors in over our HTTP server; every node.
    pub chat: Option<Arc<dyn Chat>>,
}

/// Turns stored bytes into meaning. Pure: no I/O, no clock, same answer every time.
///
/// It may run again on the same bytes years later, by a newer version.
pub trait Interpret: Send + Sync {
    /// Called in a blocking thread; a panic here makes the raw `failed`, nothing more.
    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable>;

    /// The body with every text in it masked, for people who look at raws: overridden where a body is neither JSON
    /// nor a form nor plain text. Called in a blocking thread.
    fn masked(&self, raw: &Raw, mask: &Mask<'_>) -> Vec<u8> {
        masked_body(&raw.body, mask)
    }
}

/// Bytes that we should have understood. They stay in the journal for a human or a fix.
#[derive(Debug, thiserror::Error)]
#[error("unreadable: {0}")]
pub struct Unreadable(#[source] pub Cause);

/// Fetches from a service that waits to be asked. One node at a time holds the channel's lease.
#[async_trait]
pub trait Pull: Send + Sync {
    /// Opens a fresh session that goes on after `cursor`, or where the settings say if there
    /// is none.
    async fn connect(&self, cursor: Option<Cursor>) -> Result<Box<dyn PullSession>, PullError>;
}

/// One connection. After an error the engine drops it and connects anew; it is never reused.
#[async_trait]
pub trait PullSession: Send {
    /// Waits for the next batch; an empty one says «still alive» and must come at least every ten
    /// minutes, or the engine takes the session for dead.
    ///
    /// Must acknowledge nothing to the remote side: dropping this future loses nothing.
    async fn next(&mut self) -> Result<Batch, PullError>;

    /// The batch that ended at `cursor` is on disk. Now the remote side may forget it.
    ///
    /// An error ends the session; the batch stays stored.
    async fn committed(&mut self, _cursor: &Cursor) -> Result<(), PullError> {
        Ok(())
    }

    /// How far behind we are, if the service told: messages that it holds and that we have not fetched.
    fn backlog(&self) -> Option<u64> {
        None
    }

    /// What a human has to mend although the rest goes on (one of several folders is gone).
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// What to do about it, not what it was: that is in the source.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Connect again after a while.
    #[error("try again")]
    Retry {
        /// What happened.
        #[source]
        cause: Cause,
        /// The service asked for this pause.
        after: Option<Duration>,
    },
    /// Wrong password, revoked token, folder that does not exist: a human has to act. The engine tries
    /// again now and then, in case one did.
    #[error("the account needs a human")]
    Account(#[source] Cause),
}

/// Takes what a service pushes to `/hooks/<channel>`. Runs on every node, without a lease.
///
/// Pure, too: check the signature, cut the body into raws, choose the answer. The engine
/// stores the raws, and only then gives the answer.
pub trait Hook: Send + Sync {
    /// Called with the whole body, already limited in size.
    fn receive(&self, request: &http::Request<Bytes>) -> Result<Received, Refused>;
}

/// When a hook request came, by the engine's clock: in the request's extensions, for services whose
/// signatures grow old.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedAt(pub Timestamp);

/// What a hook request held.
pub struct Received {
    /// To be stored before the answer goes out.
    pub raws: Vec<Raw>,
    /// The answer that tells the service to forget it.
    pub answer: http::Response<Bytes>,
}

/// Not from the service, or not for us: answered with the status, counted, not stored.
#[derive(Debug, thiserror::Error)]
#[error("refused with {status}: {why}")]
pub struct Refused {
    /// The whole answer: no body tells an attacker more.
    pub status: http::StatusCode,
    /// For the metric.
    pub why: &'static str,
}

/// For kinds that own a port and answer only after the store has (LMTP).
///
/// The engine accepts, limits and times out; the adapter speaks the protocol on one connection.
#[async_trait]
pub trait Listen: Send + Sync {
    /// Where to accept: `127.0.0.1:24`, `unix:/run/tributary/lmtp.sock`.
    fn address(&self) -> &str;

    /// One connection, from greeting to end. Every raw goes to `intake` before it is acknowledged.
    /// Returning an error only closes the connection.
    async fn serve(&self, stream: Box<dyn Stream>, intake: &dyn Intake) -> Result<(), Cause>;
}

/// A connected byte stream: TCP or a Unix socket.
pub trait Stream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

/// Where a listening adapter hands its raws to.
#[async_trait]
pub trait Intake: Send + Sync {
    /// `Ok` = durable, however often it came before. `Err` = ask the sender to keep it: 4xx.
    async fn take(&self, raws: Vec<Raw>) -> Result<(), Cause>;
}

/// Hands one [`Outbound`] to the service.
#[async_trait]
pub trait Deliver: Send + Sync {
    /// The name that the message will bear, where we choose it ourselves (mail: `Message-ID`). Noted
    /// before the call, so that what comes back is known even if we die in it. The same at every attempt.
    fn remote_id(&self, _outbound: &Outbound) -> Option<RemoteId> {
        None
    }

    /// One attempt. No retries, no splitting, no rate limit: the engine has done that. Every wait in it
    /// has a limit of its own, since the engine does not cut it off (a cut would make it `Unknown`).
    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError>;

    /// Would a delivery find its way now? Sends nothing to anybody.
    async fn probe(&self) -> Result<(), DeliverError>;

    /// Shows in a conversation that somebody is typing, where the service has such a thing: for some seconds, and
    /// nothing else. Whether it worked is nobody's concern; it has a limit in time of its own.
    async fn show_typing(&self, _in: &Conversation) {}

    /// As what a reply reaches the customer: agents are told.
    fn goes_as(&self) -> GoesAs {
        GoesAs::Message
    }

    /// The telephone of an agent who wants to be connected with a customer
    /// ([`Outbound::bridge`](crate::model::Outbound)); asked before such a delivery is queued.
    fn agent_line(&self, _wanted: &AgentLine) -> Result<String, NoLine> {
        Err(NoLine::NoCalls)
    }
}

/// As what a reply reaches the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoesAs {
    /// As a message on the channel.
    Message,
    /// As an SMS, although the customer called.
    Sms,
    /// It is spoken in a telephone call. So nothing is sent by itself: telephones do not ring for machines.
    Call,
}

/// Which telephone of an agent.
#[derive(Debug, Clone, Default)]
pub struct AgentLine {
    /// The address that they sign in with.
    pub person: Option<String>,
    /// The number, if they chose one: E.164.
    pub number: Option<String>,
}

/// An agent cannot be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoLine {
    /// The channel connects nobody.
    #[error("this channel makes no calls")]
    NoCalls,
    /// The number is none of those that the settings name; who could choose any number, could run up any bill.
    #[error(
        "your telephone is none of the channel's `agents`: name one of them, or have it entered there"
    )]
    Unknown,
}

/// A conversation, as the service knows it.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// With whom.
    pub to: Party,
    /// The service's conversation, where it has one.
    pub thread: Option<ThreadKey>,
}

/// The service took it.
#[derive(Debug)]
pub struct Accepted {
    /// The service's name for it.
    pub remote_id: RemoteId,
    /// Something the agent should know although it worked (one of several recipients was refused).
    pub warning: Option<String>,
}

/// What to do about a delivery that did not work.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// Nothing went out, and it never will.
    #[error("rejected")]
    Rejected(#[source] Cause),
    /// Nothing went out, and nothing will go to this recipient until they act: they blocked us, asked us to stop,
    /// or are no longer there. The recipient is marked, and nothing is sent to them unasked.
    #[error("the recipient cannot be written to")]
    Unreachable {
        /// The service's words.
        #[source]
        cause: Cause,
        /// What is known of them: `Unreachable` or `OptedOut`.
        reach: Reach,
    },
    /// Nothing went out; later it may.
    #[error("try again")]
    Retry {
        /// What happened.
        #[source]
        cause: Cause,
        /// The service asked for this pause.
        after: Option<Duration>,
    },
    /// The service cannot be reached at all, which says nothing about this delivery: the whole lane waits,
    /// and goes on with it as soon as the service is back.
    #[error("the service cannot be reached")]
    Offline(#[source] Cause),
    /// It may have gone out: the line broke after the last byte.
    #[error("outcome unknown")]
    Unknown(#[source] Cause),
    /// Nothing will go out on this channel until a human acts.
    #[error("the account needs a human")]
    Account(#[source] Cause),
}

/// Fetches an attachment that a raw only named.
#[async_trait]
pub trait Download: Send + Sync {
    /// One attempt at the whole file, limited in size and time by the adapter.
    async fn download(&self, media: &MediaRef) -> Result<Bytes, DownloadError>;

    /// Are files taken away at the service once they are in our store?
    fn forgets(&self) -> bool {
        false
    }

    /// The file is in our store: takes it away at the service. One attempt; what is not there any more is away.
    async fn forget(&self, _media: &MediaRef) -> Result<(), DownloadError> {
        Ok(())
    }
}

/// What to do about an attachment that could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// Later it may work.
    #[error("try again")]
    Retry {
        /// What happened.
        #[source]
        cause: Cause,
        /// The service asked for this pause.
        after: Option<Duration>,
    },
    /// It is not there, too large, or not to be fetched at all: people are told, and nobody tries again.
    #[error("it cannot be fetched")]
    Never(#[source] Cause),
}

// ---- building ----------------------------------------------------------------------------

/// One channel's part of the settings, not yet read.
///
/// A `config::Value`, not TOML: a number that an environment variable sets comes as text.
pub type Table = config::Value;

/// What every adapter may know about this installation.
#[derive(Clone)]
pub struct Site {
    /// What the world calls us: services sign it, and are told to push to it. No slash at the end.
    pub public_url: String,
    /// Signs tokens that come back to us.
    pub signer: Signer,
    /// Keeps what a service gave us and will not give again (a rotated refresh token).
    pub vault: Arc<dyn Vault>,
}

/// A small, sealed, durable store for adapters: encrypted with a key that is not in the database.
#[async_trait]
pub trait Vault: Send + Sync {
    /// What was last put under this name.
    async fn get(&self, name: &str) -> Result<Option<Secret>, Cause>;
    /// Durable when it returns.
    async fn put(&self, name: &str, value: Secret) -> Result<(), Cause>;
}

/// One kind of channel: the word after `kind =`, and how to build one.
pub struct Kind {
    /// The word.
    pub name: &'static str,
    /// Reads the settings and makes the parts; connects to nothing.
    pub build: fn(ChannelName, Table, Policy, &Site) -> Result<Channel, BadChannel>,
    /// The JSON Schema of its own keys, for editors and `tributary schema`.
    pub schema: fn() -> schemars::Schema,
    /// What a person has to agree to once (`tributary channel login`), where the service wants that.
    pub sign_ins: Option<SignIns>,
}

/// Reads from the settings what a person has to agree to.
pub type SignIns = fn(&ChannelName, Table) -> Result<Vec<Box<dyn SignIn>>, BadChannel>;

/// Every kind there is. To add one, write its module and add its line here.
pub const KINDS: &[Kind] = &[
    api::KIND,
    email::KIND,
    phone::KIND,
    sms::KIND,
    telegram::KIND,
    webchat::KIND,
    whatsapp::KIND,
    direct::MESSENGER,
    direct::INSTAGRAM,
    comments::FACEBOOK,
    comments::INSTAGRAM,
];

/// A channel's settings are wrong. The text names the key.
#[derive(Debug, thiserror::Error)]
pub enum BadChannel {
    /// No `kind`.
    #[error("channels.{0}: `kind` is missing; it is one of {1}")]
    NoKind(ChannelName, String),
    /// A `kind` that is none.
    #[error("channels.{channel}.kind: there is no kind `{kind}`; it is one of {known}")]
    UnknownKind {
        /// Which channel.
        channel: ChannelName,
        /// What was given.
        kind: String,
        /// What is allowed.
        known: String,
    },
    /// A key is unknown, missing or has a wrong value.
    #[error("channels.{channel}.{path}: {problem}")]
    Setting {
        /// Which channel.
        channel: ChannelName,
        /// The key within the channel's table, dotted.
        path: String,
        /// What is wrong with it and what is expected.
        problem: String,
    },
}

impl BadChannel {
    /// A fault at one key of a channel.
    pub fn at(channel: &ChannelName, path: &str, problem: impl Into<String>) -> Self {
        Self::Setting { channel: channel.clone(), path: path.to_owned(), problem: problem.into() }
    }
}

/// Builds one channel out of its table of the settings.
///
/// Secrets must already be texts: `settings` replaces `{ file = … }` and the like beforehand.
pub fn build(name: ChannelName, table: Table, site: &Site) -> Result<Channel, BadChannel> {
    let (kind, policy, table) = take_apart(&name, table)?;
    (kind.build)(name, table, policy, site)
}

/// What a person has to agree to before this channel works; empty where nothing is needed.
pub fn sign_ins(name: &ChannelName, table: Table) -> Result<Vec<Box<dyn SignIn>>, BadChannel> {
    let (kind, _, table) = take_apart(name, table)?;
    kind.sign_ins.map_or_else(|| Ok(Vec::new()), |read| read(name, table))
}

/// Secrets of the channel that stand in no file, for the people of the system behind it; empty where its
/// settings hold them.
pub fn made_credentials(
    name: &ChannelName,
    table: Table,
    site: &Site,
) -> Result<Vec<(&'static str, Secret)>, BadChannel> {
    let (kind, _, table) = take_apart(name, table)?;
    if kind.name == api::KIND.name {
        api::made_credentials(name, table, site)
    } else {
        Ok(Vec::new())
    }
}

/// The kind, the common keys, and what is left for the kind.
fn take_apart(
    name: &ChannelName,
    table: Table,
) -> Result<(&'static Kind, Policy, Table), BadChannel> {
    let known = || KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
    let mut table =
        table.into_table().map_err(|_| BadChannel::at(name, "", "expected a table of settings"))?;
    let Some(wanted) = table.remove("kind") else {
        return Err(BadChannel::NoKind(name.clone(), known()));
    };
    let wanted = wanted.to_string();
    let Some(kind) = KINDS.iter().find(|kind| kind.name == wanted) else {
        let channel = name.clone();
        return Err(BadChannel::UnknownKind { channel, kind: wanted, known: known() });
    };
    let policy = policy::take(name, &mut table)?;
    Ok((kind, policy, table.into()))
}

/// Reads an adapter's own settings; the error names the very key.
pub fn settings<T: DeserializeOwned>(channel: &ChannelName, table: Table) -> Result<T, BadChannel> {
    read(table).map_err(|(path, problem)| BadChannel::at(channel, &path, problem.to_string()))
}
