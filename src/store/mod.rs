//! All that is kept. The only module that knows SQL; it knows nothing of channels, HTTP or settings.
//!
//! Every public method is one transaction, named after what it means to the desk. Writes go through
//! [`Store::write`], which groups whatever is waiting into one commit; reads use their own connections.
//! SQLite and PostgreSQL run the same code; `search.rs` and [`now_sql`] hold what differs.

mod advice;
mod agent_answer;
mod blob;
mod board;
mod callback;
mod canned;
mod channel_figures;
mod channel_state;
mod chat;
mod close;
mod contact;
mod customer;
mod desk;
mod draft;
mod due;
mod entity;
mod event;
mod faq;
mod idempotency;
mod ingest;
mod journal;
mod lease;
mod lent;
mod forget;
mod media;
mod merged;
mod message;
mod migrate;
mod notify;
mod original;
mod outbox;
mod parting;
mod past;
mod people;
mod proof;
mod retention;
mod rewrap;
mod said;
mod scan;
mod seal;
mod search;
mod standing;
mod stats;
mod survey;
mod ticket;
mod upload;
mod vault;
mod webhook;
mod write;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use chrono::TimeZone as _;
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, DbErr,
};

pub use advice::AdviceNotice;
pub use agent_answer::{AgentAnswer, AnswerKind};
pub use board::{Board, BoardRow};
pub use callback::{
    CallNotice, CallNoticeKind, CallbackContact, CallbackFilter, CallbackView, NewCallback,
};
pub use canned::KeptMacro;
pub use channel_figures::ChannelFigures;
pub use channel_state::{ChannelNote, ChannelState};
pub use chat::{ChatItem, ChatPage, Guest, Unread, UnreadMail, VisitorState, Window};
pub use close::CloseNotice;
pub use contact::{
    ContactBrief, ContactExport, ContactFilter, ContactPatch, ContactView, IdentityView, LinkCode,
};
pub use customer::{CustomerView, NewCustomer, SuggestedCustomer};
pub use desk::SavedView;
pub use draft::Draft;
pub use event::RecordedEvent;
pub use faq::AnswerFigures;
pub use idempotency::{Answer, By, KEY_TTL, Once};
pub use ingest::{Ingest, IngestChannel, Ingested, ReadyBatch};
pub use journal::{Appended, Ending, JournalRow, Pending, Placed};
pub use lease::{Fence, LEASE_TTL};
pub use media::{Afterwards, DueMedia};
pub use merged::{MergedContact, MergedTicket};
pub use message::{
    AttachmentBytes, AttachmentView, AuthView, Author, DeliveryView, MessageFilter, MessageView,
};
pub use notify::{Notified, Ways};
pub use original::{OriginalWords, SecretCount, Unsealed};
pub use outbox::{
    Due, NewTicket, OutboxFilter, OutboxRow, Outcome, ReplyFacts, ReplyPlan, Routing,
};
pub use past::PastMessage;
pub use people::{
    Account, Admission, ApiToken, Code, Entry, FailedSignIn, NewFactor, NotAdmitted, Person,
    Principal, SessionView, TOKEN_PREFIX,
};
pub use proof::{NewProof, ProofAsker, ProofLetter, ProofView};
pub use retention::{EXPIRED_MAX, Expired};
pub use said::{NextArticle, Question};
pub use scan::{DueScan, ScanEnd};
pub use seal::{BadMasterKey, MasterKeys};
pub use stats::{ArticleStats, Figures, Span, Stats, StatsFilter};
pub use survey::{Ratings, Scores, SurveyNotice};
pub use ticket::{
    Combined, NewNote, TicketFilter, TicketKey, TicketName, TicketPatch, TicketView, Turn,
};
pub use upload::{NewUpload, Upload};
pub use webhook::QueuedEvents;

use crate::desk::Safety;
use crate::model::{AnswerLinks, Cause, ChannelName, NodeId, Timestamp};
use write::Writer;

/// How to reach the database.
#[derive(Debug, Clone)]
pub struct StoreSettings {
    /// `sqlite://path` or `postgres://…`.
    pub url: String,
    /// Connections for reading; writing has its own.
    pub readers: u32,
}

/// Why the store did not do it, by what the caller should do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another node has the channel now: stop, and write nothing more.
    #[error("the lease of channel {0} is lost")]
    LeaseLost(ChannelName),
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// Somebody changed it meanwhile: read it again.
    #[error("version {given} is stale, it is {current} now")]
    Stale {
        /// What the caller knew.
        given: i64,
        /// What it is.
        current: i64,
    },
    /// It makes no sense in the present state; the text says why, for the person who asked.
    #[error("{0}")]
    Refused(String),
    /// A field of the change names something that is not there; the text says what.
    #[error("{field}: {why}")]
    Unknown {
        /// The field, as the caller named it.
        field: &'static str,
        /// One sentence.
        why: String,
    },
    /// The daemon stops, and takes nothing any more: another node does, or this one when it is back.
    #[error("the daemon is stopping")]
    Stopping,
    /// Another transaction came between: run it again. [`Store::write`] does that by itself.
    #[error("another transaction came between")]
    Conflict,
    /// The database failed. What was written may be there all the same; unique keys make a repetition safe.
    #[error("the database failed")]
    Database(#[source] Cause),
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if write::is_conflict(&error) { Self::Conflict } else { Self::Database(error.into()) }
    }
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    reader: DatabaseConnection,
    writer: Writer,
    keys: MasterKeys,
    node: NodeId,
    sqlite_lock: Option<std::fs::File>,
    /// Files are given out only after a virus scanner has seen them.
    scans: AtomicBool,
    /// What is masked in what comes in.
    safety: RwLock<Arc<Safety>>,
    /// How customers reach the pages on which they answer.
    links: OnceLock<Arc<dyn AnswerLinks>>,
}

/// What another program may do to the same SQLite file meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The daemon: the only one of its sort for one SQLite file.
    Daemon,
    /// A command that works beside the daemon.
    Beside,
}

impl Store {
    /// Connects; makes an SQLite file (and its folder) that is not there. Runs no migration.
    pub async fn open(
        settings: &StoreSettings,
        keys: MasterKeys,
        access: Access,
    ) -> Result<Self, StoreError> {
        let sqlite_lock = lock_sqlite(&settings.url, access)?;
        if let Some(path) = sqlite_path(&settings.url) {
            make_private(&path)?;
        }
        let writer = Writer::open(&settings.url).await?;
        let reader = Database::connect(reader_options(settings)).await?;
        let (node, scans) = (NodeId::new(), AtomicBool::new(false));
        let (safety, links) = (RwLock::default(), OnceLock::new());
        Ok(Self(Arc::new(Inner { reader, writer, keys, node, sqlite_lock, scans, safety, links })))
    }

    /// Can it be read and written? Used by `/readyz` and the watchdog.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.write(|tx| {
            Box::pin(async move {
                let touched = "UPDATE counter SET value = value WHERE name = 'feed'";
                tx.execute_unprepared(touched).await?;
                Ok(())
            })
        })
        .await
    }

    /// Changes after every commit of this node: a hint to look for new events. Commits of other nodes
    /// do not show here, so look now and then without one.
    #[must_use]
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.0.writer.commits()
    }

    /// This daemon's id, new at every start.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.0.node
    }

    /// The keys that seal what is kept.
    #[must_use]
    pub fn keys(&self) -> &MasterKeys {
        &self.0.keys
    }

    /// What is masked from now on in what comes in. Until it is called, everything that the scanner knows.
    pub fn guard(&self, safety: Safety) {
        *self.0.safety.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(safety);
    }

    /// What is masked in what comes in.
    #[must_use]
    pub fn safety(&self) -> Arc<Safety> {
        self.0.safety.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what is waiting, then lets go of the database.
    pub async fn close(&self) -> Result<(), StoreError> {
        // The writer last: whoever closes an SQLite file last puts the log into it, and readers cannot.
        self.0.reader.clone().close().await?;
        self.0.writer.close().await;
        if let Some(lock) = &self.0.sqlite_lock {
            lock.unlock().map_err(|error| StoreError::Database(error.into()))?;
        }
        Ok(())
    }

    /// Is this the only daemon that there can be for this database?
    fn is_alone(&self) -> bool {
        self.0.sqlite_lock.is_some()
    }

    fn reader(&self) -> &DatabaseConnection {
        &self.0.reader
    }

    fn backend(&self) -> DbBackend {
        self.0.reader.get_database_backend()
    }
}

/// Is there only ever one daemon for this database?
const fn sqlite_only(backend: DbBackend) -> bool {
    matches!(backend, DbBackend::Sqlite)
}

/// The database's own clock in milliseconds: leases of several nodes are compared by it.
const fn now_sql(backend: DbBackend) -> &'static str {
    if matches!(backend, DbBackend::Postgres) {
        "(extract(epoch from clock_timestamp()) * 1000)::bigint"
    } else {
        "cast(unixepoch('subsec') * 1000 as integer)"
    }
}

fn reader_options(settings: &StoreSettings) -> ConnectOptions {
    let mut options = ConnectOptions::new(settings.url.clone());
    options.sqlx_logging(false).acquire_timeout(Duration::from_secs(10));
    if settings.url.starts_with("sqlite:") {
        options.max_connections(settings.readers).test_before_acquire(false);
        options.map_sqlx_sqlite_opts(|options| {
            options.read_only(true).busy_timeout(Duration::from_secs(5)).pragma("query_only", "on")
        });
    } else {
        options.max_connections(settings.readers).connect_lazy(true);
    }
    options
}

/// One daemon for one SQLite file: two would both think that they hold every lease's clock and port.
fn lock_sqlite(url: &str, access: Access) -> Result<Option<std::fs::File>, StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let database =
        |error: std::io::Error, what: &str| StoreError::Database(format!("{what}: {error}").into());
    let Some(path) = sqlite_path(url) else { return Ok(None) };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)
            .map_err(|error| database(error, &folder.display().to_string()))?;
    }
    if access == Access::Beside {
        return Ok(None);
    }
    let lock_path = path.with_extension("lock");
    let lock = std::fs::OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock_path)
        .map_err(|error| database(error, &lock_path.display().to_string()))?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Refused(format!(
            "another tributary runs on {}: one daemon for one SQLite file",
            path.display()
        ))),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(database(error, &lock_path.display().to_string()))
        }
    }
}

/// Texts and addresses lie in it in clear, so the file (and SQLite's own beside it, which take its mode over)
/// is made for its owner only. One that is there already keeps the mode that somebody gave it.
fn make_private(path: &std::path::Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Database(format!("{}: {error}", path.display()).into())),
    }
}

/// The file of a `sqlite:` URL; `None` for another database.
#[must_use]
pub fn sqlite_path(url: &str) -> Option<std::path::PathBuf> {
    let rest = url.strip_prefix("sqlite:")?;
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let path = rest.split('?').next().unwrap_or(rest);
    Some(std::path::PathBuf::from(path))
}

/// For the store: milliseconds since 1970.
const fn millis(at: Timestamp) -> i64 {
    at.timestamp_millis()
}

/// From the store. A number outside chrono's years becomes 1970.
fn moment(millis: i64) -> Timestamp {
    chrono::Utc.timestamp_millis_opt(millis).single().unwrap_or_default()
}
