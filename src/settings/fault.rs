//! What is wrong with the settings, and where: `file:line:column: key: reason`.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it was written.
    pub place: Place,
    /// The whole key, dotted: `channels.support_mail.receive.port`; empty if it concerns the whole file.
    pub key: String,
    /// What is wrong and what is expected. Never holds a secret.
    pub reason: String,
}

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file.
    File {
        /// Its path, as it was given.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
    },
    /// In an environment variable of this name.
    Variable(String),
    /// Nowhere: it is missing, and so is everything around it.
    Nowhere,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { path, line: 0, .. } => write!(f, "{}: ", path.display())?,
            Place::File { path, line, column } => {
                write!(f, "{}:{line}:{column}: ", path.display())?;
            }
            Place::Variable(name) => write!(f, "environment {name}: ")?,
            Place::Nowhere => {}
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

/// Everything that is wrong, one line each, in the order of the files.
#[derive(Debug, thiserror::Error)]
pub struct Faults(pub Vec<Fault>);

impl Faults {
    /// Sorts them and leaves each out that was there before.
    pub(super) fn of(mut faults: Vec<Fault>) -> Self {
        faults.sort_by(|one, other| {
            (&one.place, &one.key, &one.reason).cmp(&(&other.place, &other.key, &other.reason))
        });
        faults.dedup();
        Self(faults)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}
