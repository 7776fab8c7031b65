//! Where things lie: `var/` in the settings stands for the state directory.

use std::path::{Path, PathBuf};

use super::Environment;

/// Where the state lies if nobody says anything.
const DEFAULT: &str = "var";

/// The state directory: by setting, else systemd's, else `./var`.
pub(super) fn state_dir(setting: Option<&Path>, environment: &Environment) -> PathBuf {
    setting
        .map(Path::to_owned)
        .or_else(|| environment.state.clone())
        .unwrap_or_else(|| PathBuf::from(DEFAULT))
}

/// A relative SQLite path: `var/x` is `x` in the state directory; under systemd every other relative
/// path lies in there as well, because its working directory is `/`.
pub(super) fn store_url(url: &str, state: &Path, environment: &Environment) -> String {
    let Some(rest) = url.strip_prefix("sqlite:") else { return url.to_owned() };
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (rest, String::new()),
    };
    if path.starts_with('/') || path.starts_with(':') || path.is_empty() {
        return url.to_owned();
    }
    let path = Path::new(path);
    let whole = match path.strip_prefix(DEFAULT) {
        Ok(inner) => state.join(inner),
        Err(_) => match &environment.state {
            Some(folder) => folder.join(path),
            None => path.to_owned(),
        },
    };
    format!("sqlite://{}{query}", whole.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn var_stands_for_the_state_directory() {
        let plain = Environment::default();
        let systemd = Environment {
            state: Some(PathBuf::from("/var/lib/tributary")),
            ..Environment::default()
        };
        let url = |setting: Option<&str>, url: &str, environment: &Environment| {
            let state = state_dir(setting.map(Path::new), environment);
            store_url(url, &state, environment)
        };
        let cases = [
            (None, "sqlite://var/t.db", &plain, "sqlite://var/t.db"),
            (None, "sqlite://other/t.db", &plain, "sqlite://other/t.db"),
            (None, "sqlite://var/t.db", &systemd, "sqlite:///var/lib/tributary/t.db"),
            (None, "sqlite:t.db?mode=rwc", &systemd, "sqlite:///var/lib/tributary/t.db?mode=rwc"),
            (Some("/srv/t"), "sqlite://var/t.db", &systemd, "sqlite:///srv/t/t.db"),
            (None, "sqlite:///abs/t.db", &systemd, "sqlite:///abs/t.db"),
            (None, "sqlite::memory:", &systemd, "sqlite::memory:"),
            (None, "postgres://u@h/d", &systemd, "postgres://u@h/d"),
        ];
        for (setting, given, environment, wanted) in cases {
            assert_eq!(url(setting, given, environment), wanted, "{given}");
        }
    }
}
