//! What the process was started with. The only reader of environment variables.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// The environment, read once; tests make their own.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// All variables that are text.
    pub variables: BTreeMap<String, String>,
    /// `$STATE_DIRECTORY`: systemd made it for us.
    pub state: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY`: what systemd's `LoadCredential=` put there.
    pub credentials: Option<PathBuf>,
    /// Does what we print go to systemd's journal?
    pub journal: bool,
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
            .collect();
        let mut environment = Self::of(variables);
        environment.journal =
            environment.get("JOURNAL_STREAM").is_some_and(|given| stderr_is(given).is_some());
        environment
    }

    /// One made of these variables.
    #[must_use]
    pub fn of(variables: BTreeMap<String, String>) -> Self {
        let path = |name: &str| {
            // systemd separates several by colons; the first is ours.
            let first = variables.get(name)?.split(':').next()?;
            (!first.is_empty()).then(|| PathBuf::from(first))
        };
        let state = path("STATE_DIRECTORY");
        let credentials = path("CREDENTIALS_DIRECTORY");
        Self { variables, state, credentials, journal: false }
    }

    /// One variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

/// Is standard error the stream `device:inode`? A child with another one inherits the variable too.
fn stderr_is(stream: &str) -> Option<()> {
    let stderr = File::from(std::io::stderr().as_fd().try_clone_to_owned().ok()?);
    let about = stderr.metadata().ok()?;
    (stream == format!("{}:{}", about.dev(), about.ino())).then_some(())
}
