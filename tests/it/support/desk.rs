//! Stands where the engine stands: takes batches, stores them, connects anew.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tributary::channel::{Pull, PullError, PullSession};
use tributary::model::{Batch, Cursor, Raw};

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A desk that remembers what came.
pub struct Desk<'p> {
    pull: &'p dyn Pull,
    pub cursor: Option<Cursor>,
    /// What is stored, by its key, with the order in which it came.
    pub kept: BTreeMap<String, Raw>,
    pub order: Vec<String>,
    /// Raws that came again.
    pub repeated: usize,
    /// Why sessions ended, with all their causes.
    pub ends: Vec<String>,
    /// The largest batch.
    pub largest: usize,
}

impl<'p> Desk<'p> {
    pub fn new(pull: &'p dyn Pull) -> Self {
        Self {
            pull,
            cursor: None,
            kept: BTreeMap::new(),
            order: Vec::new(),
            repeated: 0,
            ends: Vec::new(),
            largest: 0,
        }
    }

    pub async fn connect(&self) -> Result<Box<dyn PullSession>, PullError> {
        timeout(PATIENCE, self.pull.connect(self.cursor.clone()))
            .await
            .expect("no connection in time")
    }

    /// Stores a batch and its cursor, as one transaction would.
    pub fn store(&mut self, batch: Batch) {
        self.largest = self.largest.max(batch.raws.len());
        for raw in batch.raws {
            let key = raw.dedupe.as_str().to_owned();
            if self.kept.contains_key(&key) {
                self.repeated += 1;
            } else {
                self.order.push(key.clone());
                self.kept.insert(key, raw);
            }
        }
        if batch.cursor.is_some() {
            self.cursor = batch.cursor;
        }
    }

    /// One whole step: next, store, committed.
    pub async fn step(&mut self, session: &mut dyn PullSession) -> Result<usize, PullError> {
        let batch = timeout(PATIENCE, session.next()).await.expect("no sign of life in time")?;
        let (count, cursor) = (batch.raws.len(), batch.cursor.clone());
        self.store(batch);
        if let Some(cursor) = cursor {
            session.committed(&cursor).await?;
        }
        Ok(count)
    }

    /// Goes on, over as many sessions as it takes, until `count` raws are stored. `Account` fails the test.
    pub async fn gather(&mut self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.kept.len() < count {
            assert!(
                Instant::now() < deadline,
                "{} of {count}; {}",
                self.kept.len(),
                self.last_ends()
            );
            if let Err(error) = self.session(count).await {
                assert!(matches!(error, PullError::Retry { .. }), "{}", chain(&error));
                self.ends.push(chain(&error));
            }
        }
    }

    fn last_ends(&self) -> String {
        let few: Vec<&str> = self.ends.iter().rev().take(5).map(String::as_str).collect();
        format!("{} sessions ended, the last of them by {few:?}", self.ends.len())
    }

    async fn session(&mut self, count: usize) -> Result<(), PullError> {
        let mut session = self.connect().await?;
        while self.kept.len() < count {
            self.step(&mut *session).await?;
        }
        Ok(())
    }

    /// One session until it ends by an error.
    pub async fn until_end(&mut self) -> PullError {
        let mut session = match self.connect().await {
            Ok(session) => session,
            Err(error) => return error,
        };
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "the session does not end");
            if let Err(error) = self.step(&mut *session).await {
                return error;
            }
        }
    }

    /// One session until nothing new comes.
    pub async fn drain(&mut self) {
        let mut session = self.connect().await.unwrap_or_else(|error| panic!("{}", chain(&error)));
        loop {
            match self.step(&mut *session).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => panic!("{}", chain(&error)),
            }
        }
    }

    /// The body of what is stored under this key.
    pub fn body(&self, key: &str) -> String {
        String::from_utf8_lossy(&self.kept[key].body).into_owned()
    }
}

/// An error with all its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
