//! The one way to write: whoever comes while a commit is running shares the next one (group commit).
//!
//! An fsync costs more than everything else, so waiting pieces go into one transaction, each in its own
//! savepoint: one bad piece fails alone. Callers are answered after the commit. Nobody waits for a timer:
//! an idle store commits at once.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DatabaseTransaction,
    DbBackend, DbErr, RuntimeErr, SqlErr, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Store, StoreError};

/// Pieces in one commit.
const GROUP_MAX: usize = 128;
/// Pieces that may wait before callers have to.
const QUEUE_MAX: usize = 1024;
/// How often a piece that met a conflict is run again.
const TRIES_MAX: u32 = 8;
/// Another program (a backup, a command) may hold an SQLite file for so long; less than services wait for
/// the answer to a hook.
const BUSY_MAX: Duration = Duration::from_secs(12);
/// A server that cannot be reached: callers are told soon, and ask again.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A server that says nothing any more: what was sent may have been done.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// Something to write, and the way to tell how it went.
trait Piece: Send {
    /// May be run several times: each time all of it, in a fresh savepoint.
    fn run<'c>(&'c mut self, tx: &'c DatabaseTransaction) -> BoxFuture<'c, Result<(), StoreError>>;
    /// `Err`: the commit failed, or the piece did.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
    /// Wants a transaction to itself, outside any savepoint.
    fn alone(&self) -> bool {
        self.company() != Company::Any
    }
    fn company(&self) -> Company;
}

/// With what else a piece may share its transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Company {
    Any,
    /// It changes the schema.
    None,
    /// It erases: afterwards nothing of what was erased may be left in SQLite's log.
    NoneAndNoTrace,
}

struct Typed<T, F> {
    work: F,
    company: Company,
    done: Option<T>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Piece for Typed<T, F>
where
    T: Send + 'static,
    F: for<'c> Fn(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, StoreError>> + Send + 'static,
{
    fn run<'c>(&'c mut self, tx: &'c DatabaseTransaction) -> BoxFuture<'c, Result<(), StoreError>> {
        let work = (self.work)(tx);
        let done = &mut self.done;
        Box::pin(async move {
            *done = Some(work.await?);
            Ok(())
        })
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (committed, self.done) {
            (Ok(()), Some(done)) => Ok(done),
            (Ok(()), None) => Err(StoreError::Database("the writer lost a piece".into())),
            (Err(error), _) => Err(error),
        };
        // A caller that went away meanwhile does not want to know.
        drop(self.answer.send(answer));
    }

    fn company(&self) -> Company {
        self.company
    }
}

/// The task that owns the writing connection.
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Piece>>,
    tasks: TaskTracker,
    stop: CancellationToken,
    commits: watch::Receiver<u64>,
}

impl Writer {
    pub(super) async fn open(url: &str) -> Result<Self, StoreError> {
        let connection = Database::connect(options(url)).await?;
        let (queue, pieces) = mpsc::channel(QUEUE_MAX);
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let (committed, commits) = watch::channel(0);
        let owner = Owner { connection, url: url.to_owned(), committed };
        tasks.spawn(owner.run(pieces, stop.clone()));
        tasks.close();
        Ok(Self { queue, tasks, stop, commits })
    }

    pub(super) fn commits(&self) -> watch::Receiver<u64> {
        self.commits.clone()
    }

    /// Ends after the pieces that are waiting. Those that come later are refused.
    pub(super) async fn close(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Store {
    /// Runs `work` in a transaction and returns when it is durable.
    ///
    /// `work` may run several times (after a conflict), so it must do nothing but talk to the database.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        self.enqueue(work, Company::Any).await
    }

    /// As [`Store::write`], with a transaction of its own and no savepoint: for schema changes.
    pub(super) async fn write_alone<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        self.enqueue(work, Company::None).await
    }

    /// As [`Store::write_alone`]; what it removes is gone from SQLite's files too when this returns.
    pub(super) async fn write_without_trace<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        self.enqueue(work, Company::NoneAndNoTrace).await
    }

    async fn enqueue<T, F>(&self, work: F, company: Company) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> Fn(&'c DatabaseTransaction) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let (answer, done) = oneshot::channel();
        let piece = Box::new(Typed { work, company, done: None, answer });
        let closed = || StoreError::Database("the store is closed".into());
        self.0.writer.queue.send(piece).await.map_err(|_| closed())?;
        let lost = || StoreError::Database("the database did not answer in time".into());
        done.await.map_err(|_| lost())?
    }
}

/// The task's own.
struct Owner {
    connection: DatabaseConnection,
    url: String,
    committed: watch::Sender<u64>,
}

impl Owner {
    async fn run(mut self, mut pieces: mpsc::Receiver<Box<dyn Piece>>, stop: CancellationToken) {
        let mut held: Option<Box<dyn Piece>> = None;
        while let Some(first) = next(&mut held, &mut pieces, &stop).await {
            let group = gather(first, &mut held, &mut pieces);
            match self.commit(group).await {
                Ok(()) => self.committed.send_modify(|commits| *commits += 1),
                Err(Broken) => self.connection = reopen(self.connection, &self.url).await,
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(error = %error, "the database did not close cleanly");
        }
    }
}

impl Owner {
    /// A line that was cut without a word would hold up every writer until the kernel gives up: PostgreSQL
    /// gets a limit. SQLite has its own, and is never left in the middle.
    async fn commit(&self, group: Vec<Box<dyn Piece>>) -> Result<(), Broken> {
        let committing = commit(&self.connection, group);
        if self.connection.get_database_backend() == DbBackend::Sqlite {
            return committing.await;
        }
        // Dropped pieces tell their callers by dropping the answer.
        tokio::time::timeout(SILENCE_MAX, committing).await.unwrap_or(Err(Broken))
    }
}

/// `None`: asked to stop, and nothing waits any more.
async fn next(
    held: &mut Option<Box<dyn Piece>>,
    pieces: &mut mpsc::Receiver<Box<dyn Piece>>,
    stop: &CancellationToken,
) -> Option<Box<dyn Piece>> {
    if held.is_some() {
        return held.take();
    }
    tokio::select! {
        biased;
        () = stop.cancelled(), if !pieces.is_closed() => pieces.close(),
        piece = pieces.recv() => return piece,
    }
    pieces.recv().await
}

/// Whatever is waiting already. A piece that wants to be alone is put aside for the next round.
fn gather(
    first: Box<dyn Piece>,
    held: &mut Option<Box<dyn Piece>>,
    pieces: &mut mpsc::Receiver<Box<dyn Piece>>,
) -> Vec<Box<dyn Piece>> {
    let alone = first.alone();
    let mut group = vec![first];
    while !alone && group.len() < GROUP_MAX {
        match pieces.try_recv() {
            Ok(piece) if piece.alone() => {
                *held = Some(piece);
                break;
            }
            Ok(piece) => group.push(piece),
            Err(_) => break,
        }
    }
    group
}

/// The connection is not to be trusted any more (an I/O error while committing).
struct Broken;

/// What became of the pieces of a group before the commit.
#[derive(Default)]
struct Ran {
    done: Vec<Box<dyn Piece>>,
    /// They met a conflict.
    again: Vec<Box<dyn Piece>>,
}

/// Runs a group and answers it. Pieces that met a conflict run again, each by itself.
async fn commit(connection: &DatabaseConnection, group: Vec<Box<dyn Piece>>) -> Result<(), Broken> {
    let tx = match begin(connection).await {
        Ok(tx) => Arc::new(tx),
        Err(error) => {
            answer_all(group, &error);
            return Err(Broken);
        }
    };
    let Ran { done, mut again } = run_all(&tx, group).await?;
    let mut result = Ok(());
    if done.is_empty() {
        // Nothing to keep; dropping rolls back.
        drop(tx);
    } else {
        let committed = match Arc::into_inner(tx) {
            Some(tx) => tx.commit().await,
            None => Err(DbErr::Custom("a piece kept the transaction".to_owned())),
        };
        match committed {
            Ok(()) => {
                if done.iter().any(|piece| piece.company() == Company::NoneAndNoTrace) {
                    empty_log(connection).await;
                }
                done.into_iter().for_each(|piece| piece.answer(Ok(())));
            }
            Err(error) if is_conflict(&error) => again.extend(done),
            Err(error) => {
                answer_all(done, &error);
                result = Err(Broken);
            }
        }
    }
    for piece in again {
        run_again(connection, piece).await;
    }
    result
}

/// Runs the pieces, each in a savepoint. Those that fail by themselves are answered here.
///
/// When a savepoint cannot be made, kept or undone, the whole transaction is lost with all that was done in
/// it, and must not be committed: the library below would take it for ended already, and call its commit a
/// success.
async fn run_all(tx: &Arc<DatabaseTransaction>, group: Vec<Box<dyn Piece>>) -> Result<Ran, Broken> {
    let mut ran = Ran::default();
    let single = group.len() == 1;
    let mut pieces = group.into_iter();
    while let Some(mut piece) = pieces.next() {
        let outcome =
            if single { Ok(piece.run(tx).await) } else { in_savepoint(tx, &mut piece).await };
        match outcome {
            Ok(Ok(())) => ran.done.push(piece),
            Ok(Err(StoreError::Conflict)) => ran.again.push(piece),
            Ok(Err(error)) => piece.answer(Err(error)),
            Err(error) => {
                let all = ran.done.into_iter().chain(ran.again).chain([piece]).chain(pieces);
                answer_all(all.collect(), &error);
                return Err(Broken);
            }
        }
    }
    Ok(ran)
}

/// Old pages stay in the write-ahead log until they are overwritten.
async fn empty_log(connection: &DatabaseConnection) {
    if connection.get_database_backend() != DbBackend::Sqlite {
        return;
    }
    let emptied = connection.execute_unprepared("PRAGMA wal_checkpoint(TRUNCATE)").await;
    if let Err(error) = emptied {
        tracing::warn!(error = %error, "the write-ahead log still holds what was erased");
    }
}

/// The inner result is the piece's own; the outer one is of the transaction.
async fn in_savepoint(
    tx: &DatabaseTransaction,
    piece: &mut Box<dyn Piece>,
) -> Result<Result<(), StoreError>, DbErr> {
    #[expect(clippy::disallowed_methods, reason = "a savepoint within the one place that begins")]
    let savepoint = tx.begin().await?;
    match piece.run(&savepoint).await {
        Ok(()) => savepoint.commit().await?,
        Err(error) => {
            savepoint.rollback().await?;
            return Ok(Err(error));
        }
    }
    Ok(Ok(()))
}

async fn run_again(connection: &DatabaseConnection, mut piece: Box<dyn Piece>) {
    for attempt in 1..=TRIES_MAX {
        tokio::time::sleep(jitter(attempt)).await;
        let outcome: Result<(), StoreError> = async {
            let tx = begin(connection).await?;
            piece.run(&tx).await?;
            Ok(tx.commit().await?)
        }
        .await;
        match outcome {
            Err(StoreError::Conflict) => {}
            other => return piece.answer(other),
        }
    }
    piece.answer(Err(StoreError::Conflict));
}

fn jitter(attempt: u32) -> Duration {
    Duration::from_millis(rand::random_range(0..=(5 << attempt.min(7))))
}

fn answer_all(pieces: Vec<Box<dyn Piece>>, error: &DbErr) {
    let text = error.to_string();
    for piece in pieces {
        piece.answer(Err(StoreError::Database(text.clone().into())));
    }
}

/// The one place where a transaction begins: IMMEDIATE on SQLite. A plain `begin` that reads and then
/// writes fails with «database is locked» under any second writer.
async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let immediate = TransactionOptions {
        sqlite_transaction_mode: (connection.get_database_backend() == DbBackend::Sqlite)
            .then_some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    connection.begin_with_options(immediate).await
}

/// After an I/O error SQLite's connection may hold a half-written state: a fresh one reads the file anew.
async fn reopen(broken: DatabaseConnection, url: &str) -> DatabaseConnection {
    if broken.get_database_backend() != DbBackend::Sqlite {
        // The pool of PostgreSQL tests its connections by itself.
        return broken;
    }
    match Database::connect(options(url)).await {
        Ok(fresh) => {
            // How the broken one ends tells nothing any more.
            drop(broken.close().await);
            fresh
        }
        Err(error) => {
            tracing::warn!(error = %error, "the database cannot be opened again yet");
            tokio::time::sleep(Duration::from_millis(200)).await;
            broken
        }
    }
}

fn options(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url.to_owned());
    options.sqlx_logging(false).acquire_timeout(CONNECT_MAX);
    if url.starts_with("sqlite:") {
        options.max_connections(1).min_connections(1).test_before_acquire(false);
        options.idle_timeout(None::<Duration>).max_lifetime(None::<Duration>);
        options.map_sqlx_sqlite_opts(|options| {
            options
                .create_if_missing(true)
                .busy_timeout(BUSY_MAX)
                .foreign_keys(true)
                .pragma("journal_mode", "wal")
                .pragma("synchronous", "full")
                .pragma("temp_store", "memory")
                .pragma("secure_delete", "on")
        });
    } else {
        options.max_connections(2).connect_lazy(true);
    }
    options
}

/// Would the same transaction work if it ran again?
pub(super) fn is_conflict(error: &DbErr) -> bool {
    if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) {
        return true;
    }
    let (DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))
    | DbErr::Conn(RuntimeErr::SqlxError(cause))) = error
    else {
        return false;
    };
    // PostgreSQL: serialization failure, deadlock.
    let code =
        cause.as_database_error().and_then(|error| error.code().map(|code| code.into_owned()));
    matches!(code.as_deref(), Some("40001" | "40P01"))
}
