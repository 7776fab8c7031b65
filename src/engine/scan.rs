//! Shows every file to a virus scanner before anybody may have it.
//!
//! What comes in is stored at once, since the message must not wait, and is given out only after the scanner
//! has seen it. What agents and visitors bring is scanned before it is taken.
//!
//! The scanner is a `clamd` (ClamAV), asked by its `INSTREAM` command:
//! <https://docs.clamav.net/manual/Usage/Scanning.html#clamd>.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use super::supervisor::describe;
use super::{Engine, failpoint};
use crate::store::{Answer, DueScan, NewUpload, Once, ScanEnd, StoreError, Upload};
use crate::telemetry::SCANNED;

/// The poll is the truth; somebody may be waiting for the file.
const POLL: Duration = Duration::from_secs(1);
/// Files under way at once: the scanner has as many threads for others.
const AT_ONCE: u64 = 4;
const DELAY_MIN: Duration = Duration::from_secs(2);
const DELAY_MAX: Duration = Duration::from_secs(300);
/// A node that took a file and died: after the time that a scan may take, and this, another one takes it.
const GRACE: Duration = Duration::from_secs(5);
/// Of one `INSTREAM` piece.
const PIECE_BYTES: usize = 64 * 1024;
/// No answer of the scanner is longer.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Where the scanner is, and what happens without it.
#[derive(Debug, Clone)]
pub struct Scanner {
    /// `unix:/path` or `host:port`.
    pub address: String,
    /// How long one file may take.
    pub time_max: Duration,
    /// What becomes of files that it cannot look at.
    pub without: Without,
}

/// What becomes of files that the scanner cannot look at, because it is down or they are too large for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Without {
    /// Nobody gets them until it can.
    Hold,
    /// They are given out.
    Allow,
}

/// What the scanner says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It knows nothing bad of it.
    Clean,
    /// What it found, in its words.
    Infected(String),
    /// It takes no files of this size.
    TooLarge,
}

/// What follows from the scanner's verdict, or from its silence, by the settings. Counted under these words.
enum Ruling {
    Clean,
    Infected(String),
    TooLarge,
    /// The scanner did not look, and the file is given out all the same.
    Allowed,
    Down,
}

impl Ruling {
    const fn as_str(&self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Infected(_) => "infected",
            Self::TooLarge => "too_large",
            Self::Allowed => "allowed",
            Self::Down => "down",
        }
    }
}

/// Why a file that somebody brings is not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// The scanner found something in it.
    #[error("the virus scanner found {0} in it")]
    Infected(String),
    /// The scanner takes no files of this size.
    #[error("the file is too large for the virus scanner")]
    TooLarge,
    /// The scanner does not answer.
    #[error("the virus scanner cannot be reached: try again later")]
    Down,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Scanner {
    /// Asks about one file.
    pub async fn scan(&self, bytes: &[u8]) -> io::Result<Verdict> {
        let asking = async {
            match self.address.strip_prefix("unix:") {
                Some(path) => ask(UnixStream::connect(path).await?, bytes).await,
                None => ask(TcpStream::connect(&self.address).await?, bytes).await,
            }
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer in time");
        tokio::time::timeout(self.time_max, asking).await.map_err(late)?
    }

    /// Asks about one file, and says what becomes of it.
    async fn rule(&self, bytes: &[u8]) -> Ruling {
        let ruling = match (self.scan(bytes).await, self.without) {
            (Ok(Verdict::Clean), _) => Ruling::Clean,
            (Ok(Verdict::Infected(name)), _) => Ruling::Infected(name),
            (Ok(Verdict::TooLarge) | Err(_), Without::Allow) => Ruling::Allowed,
            (Ok(Verdict::TooLarge), Without::Hold) => Ruling::TooLarge,
            (Err(error), Without::Hold) => {
                tracing::warn!(%error, "the virus scanner does not answer: files wait for it");
                Ruling::Down
            }
        };
        counter!(SCANNED, "outcome" => ruling.as_str()).increment(1);
        ruling
    }
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> io::Result<Verdict> {
    let sent = send(&mut stream, bytes).await;
    // It closes early on a file that is too large, and has said so by then.
    let mut answer = Vec::new();
    let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    if let Some(verdict) = verdict(text.trim_end_matches(['\0', '\n'])) {
        return Ok(verdict);
    }
    sent?;
    read?;
    Err(io::Error::other("the scanner answered neither yes nor no"))
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(b"zINSTREAM\0").await?;
    for piece in bytes.chunks(PIECE_BYTES) {
        let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(piece).await?;
    }
    stream.write_all(&0_u32.to_be_bytes()).await?;
    stream.flush().await
}

/// `stream: OK`, `stream: NAME FOUND`, `INSTREAM size limit exceeded. ERROR`.
fn verdict(answer: &str) -> Option<Verdict> {
    if answer.contains("size limit exceeded") {
        return Some(Verdict::TooLarge);
    }
    let said = answer.strip_prefix("stream: ")?;
    if said == "OK" {
        return Some(Verdict::Clean);
    }
    said.strip_suffix(" FOUND").map(|name| Verdict::Infected(name.to_owned()))
}

impl Engine {
    pub(super) async fn run_scan(self: Arc<Self>) {
        loop {
            let wait = match self.scan_some().await {
                Ok(0) if self.settings.scanner.is_none() => return,
                Ok(0) => POLL,
                Ok(_) => Duration::ZERO,
                Err(error) => {
                    tracing::warn!(error = describe(&error), "files to be scanned wait");
                    POLL
                }
            };
            if self.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// Scans what is due now. Returns how many files that were.
    pub async fn scan_some(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        let Some(scanner) = &self.settings.scanner else {
            // Whoever takes the scanner out of the settings wants the files without it.
            return self.store.release_unscanned(now).await;
        };
        if !self.store.has_due_scans(now).await? {
            return Ok(0);
        }
        let due = self.store.take_due_scans(AT_ONCE, now + scanner.time_max + GRACE, now).await?;
        let scanned = due.iter().map(|file| self.scan_one(scanner, file));
        futures::future::join_all(scanned).await.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(due.len())
    }

    async fn scan_one(&self, scanner: &Scanner, file: &DueScan) -> Result<(), StoreError> {
        let Some(bytes) = self.store.unscanned(file.id).await? else { return Ok(()) };
        let end = match scanner.rule(&bytes).await {
            Ruling::Clean => ScanEnd::Clean,
            Ruling::Allowed => ScanEnd::Allowed,
            Ruling::Infected(name) => ScanEnd::Infected(name),
            Ruling::TooLarge => ScanEnd::TooLarge,
            Ruling::Down => {
                let wait = DELAY_MIN.saturating_mul(1 << file.attempt.clamp(1, 10)).min(DELAY_MAX);
                ScanEnd::NotYet { retry_at: self.clock.now() + wait }
            }
        };
        failpoint::hit("scan.done");
        self.store.end_scan(file.id, end, self.clock.now()).await
    }

    /// Keeps a file that somebody brings, after the scanner has seen it.
    pub async fn keep_upload(
        &self,
        new: NewUpload,
        once: Option<Once>,
    ) -> Result<Answer<Upload>, NotKept> {
        if let Some(scanner) = &self.settings.scanner {
            match scanner.rule(&new.bytes).await {
                Ruling::Clean | Ruling::Allowed => {}
                Ruling::Infected(name) => return Err(NotKept::Infected(name)),
                Ruling::TooLarge => return Err(NotKept::TooLarge),
                Ruling::Down => return Err(NotKept::Down),
            }
        }
        Ok(self.store.keep_upload(new, once, self.clock.now()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_of_clamd_has_its_meaning() {
        assert_eq!(verdict("stream: OK"), Some(Verdict::Clean));
        let found = Verdict::Infected("Win.Test.EICAR_HDB-1".to_owned());
        assert_eq!(verdict("stream: Win.Test.EICAR_HDB-1 FOUND"), Some(found));
        assert_eq!(verdict("INSTREAM size limit exceeded. ERROR"), Some(Verdict::TooLarge));
        for nothing in ["", "UNKNOWN COMMAND", "stream: ", "stream: x ERROR", "OK"] {
            assert_eq!(verdict(nothing), None, "{nothing:?}");
        }
    }
}
