//! What the process was started with. The only reader of environment variables.

use std::collections::BTreeMap;
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
}

impl Environment {
    /// That of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)))
            .collect();
        Self::of(variables)
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
        Self { variables, state, credentials }
    }

    /// One variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}
