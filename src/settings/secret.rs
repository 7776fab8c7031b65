//! `{ file = "/path" }`, `{ env = "NAME" }`, `{ credential = "NAME" }` → the text, before anybody reads it.
//!
//! A table with exactly one of these keys is such a reference wherever it stands, so no table of the
//! settings has one of them as its only key. A fault names the file or variable, never what is in it.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use config::{Map, Value, ValueKind};

use super::Environment;
use crate::model::Secret;

/// Nobody's password is longer, and a wrong path may lead to a huge file.
const BYTES_MAX: u64 = 64 * 1024;

/// What the unit's `LoadCredential=secrets:/etc/tributary/secrets` puts before the names.
const PREFIX: &str = "secrets_";

/// The first element of a folded reference: no text of a TOML file begins so by accident.
const MARK: &str = "\u{0}secret";

/// Where a secret is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    /// In a file, which only its owner may read.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
    /// In a credential that systemd hands over.
    Credential(String),
}

impl Reference {
    /// A table that is a reference. Relative files are taken from `folder`.
    pub(super) fn read(table: &Map<String, Value>, folder: &Path) -> Option<Self> {
        let mut entries = table.iter();
        let (Some((key, value)), None) = (entries.next(), entries.next()) else { return None };
        let ValueKind::String(text) = &value.kind else { return None };
        match key.as_str() {
            "file" => Some(Self::File(folder.join(text))),
            "env" => Some(Self::Variable(text.clone())),
            "credential" => Some(Self::Credential(text.clone())),
            _ => None,
        }
    }

    /// As a list, because merging replaces lists whole: two references must not become one table.
    pub(super) fn fold(&self) -> Value {
        let (key, text) = match self {
            Self::File(path) => ("file", path.to_string_lossy().into_owned()),
            Self::Variable(name) => ("env", name.clone()),
            Self::Credential(name) => ("credential", name.clone()),
        };
        let list = [MARK, key, text.as_str()].map(|part| Value::new(None, part));
        Value::new(None, list.to_vec())
    }

    /// The reverse of [`Self::fold`].
    pub(super) fn unfold(value: &Value) -> Option<Self> {
        let ValueKind::Array(list) = &value.kind else { return None };
        let [mark, key, text] = list.as_slice() else { return None };
        let [ValueKind::String(mark), ValueKind::String(key), ValueKind::String(text)] =
            [&mark.kind, &key.kind, &text.kind]
        else {
            return None;
        };
        match (mark.as_str(), key.as_str()) {
            (MARK, "file") => Some(Self::File(PathBuf::from(text))),
            (MARK, "env") => Some(Self::Variable(text.clone())),
            (MARK, "credential") => Some(Self::Credential(text.clone())),
            _ => None,
        }
    }

    /// Fetches it. The error is the reason, complete.
    pub(super) fn resolve(&self, environment: &Environment) -> Result<Secret, String> {
        match self {
            Self::File(path) => read_file(path, Others::Refused),
            Self::Variable(name) => match environment.variables.get(name) {
                None => Err(format!("the environment variable {name} is not set")),
                Some(text) if text.is_empty() => {
                    Err(format!("the environment variable {name} is empty"))
                }
                Some(text) => Ok(Secret::new(text)),
            },
            Self::Credential(name) => {
                let plain = !name.is_empty() && name != ".." && !name.contains('/');
                if !plain {
                    return Err("a credential has a plain name, without `/`".to_owned());
                }
                let Some(folder) = &environment.credentials else {
                    return Err(format!(
                        "there are no credentials ($CREDENTIALS_DIRECTORY is not set); run under \
                         systemd with LoadCredential={name}:/path, or use {{ file = … }}"
                    ));
                };
                // A folder that LoadCredential=secrets: hands over puts its name before each file.
                let within = folder.join(format!("{PREFIX}{name}"));
                let plain = folder.join(name);
                let path = if !plain.exists() && within.exists() { within } else { plain };
                read_file(&path, Others::Systemd)
            }
        }
    }
}

/// What the rights of group and others may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// None.
    Refused,
    /// systemd sees to it: a group right there is the mask of an access list for our own user.
    Systemd,
}

fn read_file(path: &Path, others: Others) -> Result<Secret, String> {
    let at = path.display();
    let mut file = File::open(path).map_err(|error| format!("cannot read {at}: {error}"))?;
    // Asked of the open file, so that nobody can put another one in its place meanwhile.
    let about = file.metadata().map_err(|error| format!("cannot read {at}: {error}"))?;
    if !about.is_file() {
        return Err(format!("{at} is not a file"));
    }
    let forbidden = match others {
        Others::Refused => 0o077,
        Others::Systemd => 0o007,
    };
    if about.mode() & forbidden != 0 {
        return Err(format!(
            "{at} may be read or written by others (mode {:04o}); run `chmod 600 {at}`",
            about.mode() & 0o7777
        ));
    }
    if about.len() > BYTES_MAX {
        return Err(format!("{at} is larger than {BYTES_MAX} bytes"));
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(|error| format!("cannot read {at}: {error}"))?;
    let trimmed = text.strip_suffix('\n').unwrap_or(&text);
    let trimmed = trimmed.strip_suffix('\r').unwrap_or(trimmed);
    if trimmed.is_empty() {
        return Err(format!("{at} is empty"));
    }
    Ok(Secret::new(trimmed))
}
