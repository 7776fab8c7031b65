//! What is compiled in: schema, completions, manual pages.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{run, run_command};
use crate::support::daemon::Daemon;

/// The commands that the contract names.
const COMMANDS: &[&str] = &[
    "run",
    "check",
    "ingest",
    "import",
    "ticket",
    "channel",
    "outbox",
    "quarantine",
    "user",
    "token",
    "contact",
    "migrate",
    "schema",
    "completions",
    "openapi",
    "man",
];

#[test]
fn every_command_has_a_manual_page_that_reads_well() {
    let daemon = Daemon::prepare("");
    let page = run(&daemon, &["man"]).ends_with(0).out;
    assert!(page.contains(".TH tributary 1"), "{page}");
    let folder = daemon.folder().join("man");
    run(&daemon, &["man", "--dir", folder.to_str().unwrap()]).ends_with(0);
    for name in COMMANDS {
        assert!(page.contains(&format!("tributary\\-{name}(1)")), "{name} is not in tributary(1)");
        let file = folder.join(format!("tributary-{name}.1"));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("no {file:?}"));
        assert!(text.contains(&format!(".TH tributary-{name} 1")), "{name}: {text}");
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{name}: {text}");
        reads_well(&file);
    }
    assert!(folder.join("tributary-ticket-reply.1").exists());
}

/// No warning of the formatter, where there is one.
fn reads_well(file: &Path) {
    let formatted =
        Command::new("groff").args(["-K", "utf8", "-man", "-Tutf8", "-ww"]).arg(file).output();
    if let Ok(formatted) = formatted {
        let warnings = String::from_utf8_lossy(&formatted.stderr);
        assert!(formatted.status.success() && warnings.is_empty(), "{file:?}: {warnings}");
    }
}

#[test]
fn each_shell_gets_a_script_that_knows_the_commands() {
    let daemon = Daemon::prepare("");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&daemon, &["completions", shell]).ends_with(0).out;
        for name in COMMANDS {
            assert!(script.contains(name), "{shell} does not know {name}");
        }
    }
    run(&daemon, &["completions", "cobol"]).ends_with(2);
    let script = run(&daemon, &["completions", "bash"]).out;
    let parsed = run_command(Command::new("bash").arg("-n"), script.as_bytes());
    assert_eq!((parsed.code, parsed.all().as_str()), (0, ""));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let daemon = Daemon::prepare("");
    let mut child =
        daemon.command(&["schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn every_key_of_the_examples_stands_in_the_schema() {
    let daemon = Daemon::prepare("");
    let schema = run(&daemon, &["schema"]).ends_with(0).json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let channels = std::fs::read_dir(folder.join("channels")).unwrap();
    let examples = channels.map(|entry| entry.unwrap().path());
    let mut checked = 0;
    for file in examples.chain([folder.join("tributary.toml")]) {
        let text = std::fs::read_to_string(&file).unwrap();
        let example: toml::Table = text.parse().unwrap();
        let example = serde_json::to_value(example).unwrap();
        for (name, given) in example.as_object().unwrap() {
            let found = &schema["properties"][name];
            if name == "channels" {
                for (channel, table) in given.as_object().unwrap() {
                    // Its kind decides what may stand there.
                    let own = of_kind(&found["additionalProperties"], table);
                    checked +=
                        known(&schema, own, table, &format!("{}: {channel}", file.display()));
                }
            } else {
                checked += known(&schema, found, given, &format!("{}: {name}", file.display()));
            }
        }
    }
    assert!(checked > 40, "only {checked} keys were looked at");
}

/// Looks up each key of what is given, and what is below it; returns how many.
fn known(root: &Value, schema: &Value, given: &Value, place: &str) -> usize {
    assert!(!schema.is_null(), "{place} is not in the schema");
    let Some(table) = given.as_object() else { return 1 };
    let forms = forms(root, schema);
    let fits = forms.iter().find(|form| table.keys().all(|key| below(form, key).is_some()));
    let keys: Vec<&String> = table.keys().collect();
    let form = fits.unwrap_or_else(|| panic!("{place}: no form allows {keys:?}: {schema:#}"));
    let inner = table.iter().map(|(key, value)| {
        known(root, below(form, key).unwrap(), value, &format!("{place}.{key}"))
    });
    1 + inner.sum::<usize>()
}

/// What a form says of a key: by its name, or of all names alike.
fn below<'a>(form: &'a Value, key: &str) -> Option<&'a Value> {
    let named = form["properties"].get(key);
    named.or_else(|| form.get("additionalProperties").filter(|any| any.is_object()))
}

fn of_kind<'a>(schema: &'a Value, channel: &Value) -> &'a Value {
    let kinds = schema["allOf"].as_array().unwrap();
    let kind = &channel["kind"];
    let found = kinds.iter().find(|one| one["if"]["properties"]["kind"]["const"] == *kind);
    &found.unwrap_or_else(|| panic!("no kind {kind}"))["then"]
}

/// All forms that a value may have.
fn forms<'a>(root: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    let schema = resolve(root, schema);
    let several = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    match several {
        Some(several) => several.iter().flat_map(|form| forms(root, form)).collect(),
        None => vec![schema],
    }
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}
