//! The rules that no compiler checks, checked: who may import whom, which library belongs where, how long a
//! file may be, and what must come with a kind of channel.
//!
//! When a rule here is wrong, change the rule in the same commit, and say why.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has to fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tributary::channel::KINDS;

/// Each module may use those before it. The two that serve all stand first.
const ORDER: &[&str] = &[
    "telemetry",
    "systemd",
    "model",
    "channel",
    "desk",
    "store",
    "engine",
    "web",
    "settings",
    "cli",
];

/// Imports that the order allows and the design does not.
const FORBIDDEN: &[(&str, &str)] = &[("store", "channel"), ("web", "channel::email")];

/// A library, and the only places (prefixes of a path) that may name it.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("sea_orm", &["src/store", "migrations"]),
    ("sea_orm_migration", &["src/store", "migrations"]),
    ("axum", &["src/web"]),
    ("tower_http", &["src/web"]),
    ("async_imap", &["src/channel/email"]),
    ("lettre", &["src/channel/email"]),
    ("mail_parser", &["src/channel/email"]),
    ("mail_auth", &["src/channel/email"]),
    ("clap", &["src/cli", "src/main.rs"]),
    ("clap_complete", &["src/cli"]),
    ("clap_mangen", &["src/cli"]),
    ("anyhow", &["src/cli"]),
    ("config", &["src/settings", "src/channel/mod.rs", "src/channel/loose.rs"]),
    ("sd_notify", &["src/systemd.rs"]),
    ("twilio_async", &["src/channel/shared/twilio"]),
    ("http02", &["src/channel/shared/twilio"]),
    ("chacha20poly1305", &["src/store"]),
    ("argon2", &["src/store"]),
    ("plotters", &["src/web/plot.rs"]),
];

/// Reading the environment. `failpoint.rs` has a switch that only builds for tests contain.
const ENVIRONMENT: &[&str] = &["src/settings", "src/engine/failpoint.rs", "src/systemd.rs"];

const LINES_MAX: usize = 600;
/// Tests are lists: they are read one by one, and not from top to bottom.
const TEST_LINES_MAX: usize = 900;

/// A file of the program, by its path from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Its lines of code with their numbers: no comments, and nothing of the tests within.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = ["mod tests", "pub(super) mod ", "pub(crate) mod "];
        let begins = |of: &&str| self.text.find(&format!("#[cfg(test)]\n{of}"));
        let code = tests.iter().filter_map(begins).min().and_then(|end| self.text.get(..end));
        let code = code.unwrap_or(&self.text);
        let code = if self.path.ends_with("/tests.rs") { "" } else { code };
        let lines = code.lines().enumerate();
        lines
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
            .map(|(number, line)| (number + 1, line))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folders: &[&str], ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                let text = fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(root()).unwrap().display().to_string();
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "no .{ending} in {folders:?}");
    found
}

fn program() -> Vec<Source> {
    files(&["src", "migrations"], "rs")
}

/// Does the line use the library `name`: `name::`, neither within a longer word nor within a longer path?
fn names(line: &str, name: &str) -> bool {
    line.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

fn refuse(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n{}", faults.join("\n"));
}

#[test]
fn imports_point_backwards() {
    let mut faults = Vec::new();
    for source in program().iter().filter(|source| source.path.starts_with("src/")) {
        let module = source.path.split(['/', '.']).nth(1).unwrap();
        let Some(rank) = ORDER.iter().position(|known| *known == module) else { continue };
        for (number, line) in source.code() {
            for rest in line.split("crate::").skip(1) {
                let used: String = rest.chars().take_while(char::is_ascii_lowercase).collect();
                let later = ORDER.iter().position(|known| *known == used);
                if later.is_some_and(|used| rank < used) {
                    faults.push(format!("{}:{number}: uses `{used}`", source.path));
                }
                let banned = FORBIDDEN.iter().any(|(who, what)| {
                    let tail = rest.strip_prefix(what).filter(|tail| !tail.starts_with('_'));
                    *who == module && tail.is_some()
                });
                if banned {
                    faults.push(format!("{}:{number}: must not use `{used}`", source.path));
                }
            }
        }
    }
    refuse("imports against the order", &faults);
}

#[test]
fn a_kind_uses_no_other_kind() {
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let mut faults = Vec::new();
    for source in files(&["src/channel"], "rs") {
        let Some(own) = kinds.iter().find(|kind| is_of_kind(&source.path, kind)) else { continue };
        for (number, line) in source.code() {
            for other in kinds.iter().filter(|other| *other != own) {
                let paths = [format!("channel::{other}::"), format!("super::{other}::")];
                if paths.iter().any(|path| line.contains(path.as_str())) {
                    faults.push(format!("{}:{number}: uses the kind `{other}`", source.path));
                }
            }
        }
    }
    refuse("kinds that use each other", &faults);
}

fn is_of_kind(path: &str, kind: &str) -> bool {
    path == format!("src/channel/{kind}.rs") || path.starts_with(&format!("src/channel/{kind}/"))
}

#[test]
fn nobody_outside_channels_compares_a_kinds_name() {
    let mut faults = Vec::new();
    let outside = ["src/desk/", "src/store/", "src/engine/", "src/web/"];
    for source in program() {
        if !outside.iter().any(|folder| source.path.starts_with(folder)) {
            continue;
        }
        for (number, line) in source.code() {
            if line.contains(".kind ==") && line.contains('"') && line.contains("channel") {
                faults.push(format!("{}:{number}: ask `Capabilities` instead", source.path));
            }
        }
    }
    refuse("kinds that are compared by name", &faults);
}

#[test]
fn libraries_stay_where_they_belong() {
    let mut faults = Vec::new();
    for source in program() {
        for (library, places) in LIBRARIES {
            if places.iter().any(|place| source.path.starts_with(place)) {
                continue;
            }
            for (number, line) in source.code().filter(|(_, line)| names(line, library)) {
                faults.push(format!("{}:{number}: {library}: {}", source.path, line.trim()));
            }
        }
        if ENVIRONMENT.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        for (number, line) in source.code() {
            if line.contains("env::var") || line.contains("env::vars") {
                faults.push(format!("{}:{number}: reads the environment", source.path));
            }
        }
    }
    refuse("libraries in the wrong place", &faults);
}

#[test]
fn files_are_short() {
    let all = files(&["src", "migrations", "tests", "benches"], "rs");
    let long = all.iter().map(|source| (source, source.text.lines().count()));
    let max = |path: &str| if path.starts_with("tests/") { TEST_LINES_MAX } else { LINES_MAX };
    let faults: Vec<String> = long
        .map(|(source, lines)| (&source.path, lines, max(&source.path)))
        .filter(|(_, lines, max)| lines > max)
        .map(|(path, lines, max)| format!("{path} has {lines} lines, more than {max}"))
        .collect();
    refuse("long files", &faults);
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let words = [["to", "do!("].concat(), ["unimpl", "emented!("].concat(), ["TO", "DO"].concat()];
    let ignored = ["#[ig", "nore"].concat();
    let mut faults = Vec::new();
    for source in files(&["src", "migrations", "tests"], "rs") {
        for (number, line) in source.text.lines().enumerate() {
            let word = words.iter().find(|word| line.contains(word.as_str()));
            if word.is_some() || line.trim_start().starts_with(&ignored) {
                faults.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    refuse("left for later", &faults);
}

#[test]
fn every_file_says_what_it_is_for() {
    let all = files(&["src", "migrations", "tests"], "rs");
    // What tests a file beside it needs no comment of its own.
    let speaking = |source: &&Source| source.text.starts_with("//!");
    let silent = all.iter().filter(|source| !source.path.ends_with("/tests.rs"));
    let silent = silent.filter(|source| !speaking(source));
    let faults: Vec<String> = silent.map(|source| source.path.clone()).collect();
    refuse("files without a comment at their beginning", &faults);
}

#[test]
fn every_kind_is_complete() {
    let changelog = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let conformance = files(&["tests/it/conformance"], "rs");
    let mut faults = Vec::new();
    for kind in KINDS.iter().map(|kind| kind.name) {
        for file in [format!("config/channels/{kind}.toml"), format!("docs/channels/{kind}.md")] {
            if !root().join(&file).is_file() {
                faults.push(format!("{kind}: {file} is missing"));
            }
        }
        if !changelog.contains(&format!("`kind = \"{kind}\"`")) {
            faults.push(format!("{kind}: CHANGELOG.md does not name `kind = \"{kind}\"`"));
        }
        let named = format!("kind: \"{kind}\"");
        if !conformance.iter().any(|source| source.text.contains(&named)) {
            faults.push(format!("{kind}: tests/it/conformance has no fixture with {named}"));
        }
    }
    refuse("kinds that lack something", &faults);
}

#[test]
fn every_example_and_page_belongs_to_a_kind() {
    let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let mut faults = Vec::new();
    for (folder, ending) in [("config/channels", "toml"), ("docs/channels", "md")] {
        for source in files(&[folder], ending) {
            let name = Path::new(&source.path).file_stem().unwrap().to_str().unwrap().to_owned();
            if !known.contains(&name.as_str()) && name != "README" {
                faults.push(format!("{}: there is no kind `{name}`", source.path));
            }
        }
    }
    refuse("left behind", &faults);
}

#[test]
fn every_decision_has_a_number_of_its_own_and_its_parts() {
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    let mut faults = Vec::new();
    for source in files(&["docs/decisions"], "md") {
        let name = Path::new(&source.path).file_name().unwrap().to_str().unwrap().to_owned();
        let Some((number, _)) = name.split_once('-').filter(|(number, _)| number.len() == 4) else {
            faults.push(format!("{name}: is not called NNNN-what.md"));
            continue;
        };
        if let Some(other) = numbers.insert(number.to_owned(), name.clone()) {
            faults.push(format!("{name} and {other} have one number"));
        }
        if !source.text.starts_with(&format!("# {number}. ")) {
            faults.push(format!("{name}: does not begin with `# {number}. `"));
        }
        for part in ["## Context", "## Decision", "## Measured", "## Consequences"] {
            if !source.text.contains(part) {
                faults.push(format!("{name}: has no `{part}`"));
            }
        }
    }
    refuse("decisions", &faults);
}

#[test]
fn every_migration_is_listed_in_its_order() {
    let list = fs::read_to_string(root().join("migrations/lib.rs")).unwrap();
    let names: Vec<String> = files(&["migrations"], "rs")
        .iter()
        .filter_map(|source| Path::new(&source.path).file_stem()?.to_str().map(str::to_owned))
        .filter(|name| name.starts_with('m') && name != "lib")
        .collect();
    let listed: Vec<usize> = names
        .iter()
        .map(|name| {
            let found = list.find(&format!("{name}::Migration"));
            found.unwrap_or_else(|| panic!("migrations/lib.rs does not run {name}"))
        })
        .collect();
    assert!(listed.is_sorted(), "migrations/lib.rs runs them in another order than their names");
}

#[test]
fn the_rule_about_names_sees_what_it_should() {
    assert!(names("use sea_orm::Set;", "sea_orm"));
    assert!(names("    let x = (config::Value::default());", "config"));
    assert!(!names("use crate::my_config::Value;", "config"));
    assert!(!names("use crate::config::Value;", "config"));
}
