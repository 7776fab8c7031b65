//! `tributary import`: an mbox file or a Maildir, resumable, since the same bytes are stored once.

use std::io::{BufRead as _, BufReader, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Failure;
use super::ingest::raw;
use super::open::Installation;
use crate::engine::{Clock, Engine};
use crate::model::{ChannelName, Raw, Scheme, Transport};
use crate::store::Access;

/// Mails stored in one transaction.
const BATCH_MAILS: usize = 50;
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// A larger mail is not read: an mbox without separators must not fill the memory.
const MAIL_BYTES_MAX: usize = 200 * 1024 * 1024;

/// What was done.
#[derive(Debug, Default, serde::Serialize)]
struct Done {
    read: u64,
    new: u64,
    known: u64,
    skipped: Vec<String>,
}

/// Reads all mails, stores what is new, and works the journal off.
pub(super) async fn run(
    config: Option<&Path>,
    channel: &ChannelName,
    path: &Path,
    json: bool,
) -> Result<(), Failure> {
    let source = Source::open(path)?;
    let installation = Installation::open(config, Access::Beside).await?;
    let channels = installation.channels()?;
    let Some(known) = channels.iter().find(|known| known.name == *channel) else {
        return Err(Failure::Usage(format!("there is no channel {channel} in the configuration")));
    };
    // Thousands of mails in the quarantine of a bot are nobody's wish.
    if !known.addresses.iter().any(|address| address.scheme == Scheme::Email) {
        return Err(Failure::Usage(format!("{channel} is no mail channel: it cannot read mails")));
    }
    let store = installation.store.clone();
    let engine =
        Engine::idle(store.clone(), channels, installation.engine_settings()?, Clock::system());
    let mut progress = Progress::new(source.size);
    let mut done = Done::default();
    let mut batch: Vec<Raw> = Vec::new();
    let mut bytes = 0;
    for mail in source.mails {
        let (mail, at) = match mail {
            Ok(mail) => mail,
            Err(skipped) => {
                done.skipped.push(skipped);
                continue;
            }
        };
        bytes += mail.len();
        let transport = Transport::from([("imported".to_owned(), "1".to_owned())]);
        batch.push(raw("import", mail, transport));
        if batch.len() >= BATCH_MAILS || bytes >= BATCH_BYTES {
            store_batch(&engine, channel, std::mem::take(&mut batch), &mut done).await?;
            bytes = 0;
            progress.tell(at, &done);
        }
    }
    store_batch(&engine, channel, batch, &mut done).await?;
    progress.end();
    store.close().await?;
    if json {
        println!("{}", serde_json::to_string(&done)?);
    } else {
        println!("{} mails read, {} new, {} known", done.read, done.new, done.known);
        for skipped in &done.skipped {
            println!("skipped: {skipped}");
        }
    }
    if done.skipped.is_empty() {
        return Ok(());
    }
    Err(anyhow::anyhow!("{} mails were skipped, all others are stored", done.skipped.len()).into())
}

async fn store_batch(
    engine: &Engine,
    channel: &ChannelName,
    batch: Vec<Raw>,
    done: &mut Done,
) -> Result<(), Failure> {
    if batch.is_empty() {
        return Ok(());
    }
    let count = batch.len();
    let appended = engine.take_raws(channel, batch).await?;
    engine.drain_journal().await?;
    done.read += count as u64;
    done.new += appended.new as u64;
    done.known += (count - appended.new) as u64;
    Ok(())
}

/// A line is printed this often where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// How far it has come, on standard error: a bar on a terminal, else a line now and then.
enum Progress {
    Bar(ProgressBar),
    Lines { size: u64, told: Option<Instant> },
}

impl Progress {
    fn new(size: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self::Lines { size, told: None };
        }
        let bar = ProgressBar::new(size);
        let style = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}";
        Self::Bar(match ProgressStyle::with_template(style) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    fn tell(&mut self, at: u64, done: &Done) {
        match self {
            Self::Bar(bar) => {
                bar.set_message(format!("{} new", done.new));
                bar.set_position(at);
            }
            Self::Lines { size, told } if told.is_none_or(|at| at.elapsed() >= LINE_EVERY) => {
                *told = Some(Instant::now());
                let percent = at.saturating_mul(100) / (*size).max(1);
                eprintln!(
                    "{percent}%: {} mails read, {} new, {} known",
                    done.read, done.new, done.known
                );
            }
            Self::Lines { .. } => {}
        }
    }

    fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// A mail and how far the reading has come, in bytes; or why one was skipped.
type Mail = Result<(Vec<u8>, u64), String>;

struct Source {
    size: u64,
    mails: Box<dyn Iterator<Item = Mail> + Send>,
}

impl Source {
    fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| anyhow::anyhow!("{}: {error}", path.display());
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if metadata.is_dir() {
            return maildir(path);
        }
        let file = std::fs::File::open(path).map_err(failed)?;
        let mails = Mbox { reader: BufReader::new(file), at: 0, ended: false, started: false };
        Ok(Self { size: metadata.len(), mails: Box::new(mails) })
    }
}

/// The files of `cur` and `new`, in the order of their names, which begin with the time of delivery.
fn maildir(path: &Path) -> Result<Source, Failure> {
    let mut files: Vec<(PathBuf, u64)> = Vec::new();
    for folder in ["cur", "new"] {
        let folder = path.join(folder);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(anyhow::anyhow!("{}: {error}", folder.display()).into()),
        };
        for entry in entries {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                files.push((entry.path(), metadata.len()));
            }
        }
    }
    if files.is_empty() && !path.join("cur").is_dir() && !path.join("new").is_dir() {
        let text = format!("{}: neither an mbox file nor a Maildir", path.display());
        return Err(Failure::Usage(text));
    }
    files.sort_by(|one, other| one.0.file_name().cmp(&other.0.file_name()));
    let size = files.iter().map(|(_, size)| size).sum();
    let mut at = 0;
    let mails = files.into_iter().map(move |(file, size)| {
        at += size;
        let read = std::fs::read(&file).map(|mail| (mail, at));
        read.map_err(|error| format!("{}: {error}", file.display()))
    });
    Ok(Source { size, mails: Box::new(mails) })
}

/// An mbox file: a line `From …` at the beginning or after an empty line begins a mail, if it bears a time or a header
/// follows: in a text that nobody quoted, sentences begin so, too. `>From` (with any number of `>`) in a text lost one
/// `>` (the «mboxrd» form).
struct Mbox {
    reader: BufReader<std::fs::File>,
    at: u64,
    ended: bool,
    started: bool,
}

impl Mbox {
    /// One line with its end; empty at the end of the file.
    fn line(&mut self) -> Result<Vec<u8>, String> {
        let mut line = Vec::new();
        let mut limited = (&mut self.reader).take(MAIL_BYTES_MAX as u64);
        let read = limited.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        self.at += read as u64;
        Ok(line)
    }

    /// Does this line begin a mail? The next one is only looked at.
    fn begins(&mut self, line: &[u8]) -> bool {
        if !line.starts_with(b"From ") {
            return false;
        }
        let next = self.reader.fill_buf().unwrap_or_default();
        !self.started || has_time(line) || is_header(next)
    }
}

/// `… 02:00:00 2026 …`: a time and a year.
fn has_time(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(line);
    let is = |word: &str, form: &[usize], between: char| {
        let parts: Vec<&str> = word.split(between).collect();
        let digits = |part: &&str| part.chars().all(|c| c.is_ascii_digit());
        parts.iter().all(digits) && parts.iter().map(|part| part.len()).eq(form.iter().copied())
    };
    let time = |word: &str| is(word, &[2, 2], ':') || is(word, &[2, 2, 2], ':');
    text.split_whitespace().any(time) && text.split_whitespace().any(|word| is(word, &[4], ':'))
}

/// `Name: …`, or as much of it as there is.
fn is_header(text: &[u8]) -> bool {
    let name = text.iter().take_while(|byte| byte.is_ascii_graphic() && **byte != b':').count();
    name > 0 && text.get(name).is_none_or(|byte| *byte == b':')
}

impl Iterator for Mbox {
    type Item = Mail;

    fn next(&mut self) -> Option<Mail> {
        let mut mail = Vec::new();
        let mut after_empty = !self.started;
        let mut too_large = false;
        while !self.ended {
            let line = match self.line() {
                Ok(line) => line,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            };
            if line.is_empty() {
                self.ended = true;
                break;
            }
            let line = match line.strip_prefix("\u{feff}".as_bytes()) {
                Some(text) if !self.started => text.to_vec(),
                _ => line,
            };
            if after_empty && self.begins(&line) {
                if self.started {
                    break;
                }
                self.started = true;
                after_empty = false;
                continue;
            }
            if !self.started && line.trim_ascii().is_empty() {
                continue;
            }
            if !self.started {
                self.ended = true;
                return Some(Err("not an mbox file: it does not begin with `From `".to_owned()));
            }
            after_empty = matches!(line.as_slice(), b"\n" | b"\r\n");
            too_large |= mail.len() + line.len() > MAIL_BYTES_MAX;
            if !too_large {
                mail.extend_from_slice(unquoted(&line));
            }
        }
        if too_large {
            return Some(Err(format!("a mail before byte {} is too large", self.at)));
        }
        let end = mail.len() - trailing_line(&mail);
        mail.truncate(end);
        if mail.is_empty() { None } else { Some(Ok((mail, self.at))) }
    }
}

/// The empty line that mbox puts behind each mail.
fn trailing_line(mail: &[u8]) -> usize {
    if mail.ends_with(b"\r\n\r\n") { 2 } else { usize::from(mail.ends_with(b"\n\n")) }
}

fn unquoted(line: &[u8]) -> &[u8] {
    let rest = line.iter().position(|byte| *byte != b'>').and_then(|at| line.get(at..));
    let quoted = line.first() == Some(&b'>') && rest.is_some_and(|rest| rest.starts_with(b"From "));
    if quoted { line.get(1..).unwrap_or(line) } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mails(text: &str) -> Vec<Result<String, String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        std::fs::write(&path, text).unwrap();
        let source = Source::open(&path).unwrap();
        let text = |(mail, _)| String::from_utf8(mail).unwrap();
        source.mails.map(|mail| mail.map(text)).collect()
    }

    #[test]
    fn an_mbox_is_cut_at_its_from_lines_only() {
        let found = mails(
            "From a@x Mon Jan  1 00:00:00 2026\nSubject: one\n\n>From here on\n>>From me\n\n\
             From b@x Mon Jan  1 00:00:00 2026\nSubject: two\n\nbody\nFrom the middle\n",
        );
        let expected =
            ["Subject: one\n\nFrom here on\n>From me\n", "Subject: two\n\nbody\nFrom the middle\n"];
        assert_eq!(found, expected.map(|mail| Ok(mail.to_owned())));
        let found = mails(
            "\u{feff}\n\nFrom a@x Mon Jan  1 00:00:00 2026\nSubject: one\n\nHello\n\nFrom here on I was lost.\n\n\
             From 9:00 in the morning\nuntil 12:00:00 I wrote in 2026\n\n\
             From nobody\nSubject: two\n\nbody\n",
        );
        let expected = [
            "Subject: one\n\nHello\n\nFrom here on I was lost.\n\n\
             From 9:00 in the morning\nuntil 12:00:00 I wrote in 2026\n",
            "Subject: two\n\nbody\n",
        ];
        assert_eq!(found, expected.map(|mail| Ok(mail.to_owned())), "in an mbox without quoting");
    }

    #[test]
    fn what_is_no_mbox_is_said_so() {
        assert!(mails("Subject: x\n\nbody\n")[0].is_err());
        assert!(mails("").is_empty());
    }
}
