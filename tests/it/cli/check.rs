//! `tributary check`: all faults at once, each at its place; and what it finds out about the services.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::{run, run_command};
use crate::support::daemon::Daemon;
use crate::support::dovecot::Dovecot;
use crate::support::free_port;
use crate::support::postfix::Postfix;

const MAIL: &str = r#"
[channels.mail]
kind = "email"
address = "support@example.com"
[channels.mail.receive]
protocol = "imap"
host = "imap.example.com"
username = "support@example.com"
password = "correct horse battery"
"#;

/// COMPLAINTS O2; FAULTS 189, 190: a file of settings, a variable, and what must be said about them.
#[test]
fn each_fault_is_told_with_file_line_column_and_key() {
    let cases: [(&str, &[&str]); 7] = [
        (
            "[http]\nlisten = \"127.0.0.1:1\"\nlissen = 1\n",
            &["tributary.toml:6:1: http.lissen: unknown key; did you mean `listen`?"],
        ),
        ("[http]\nlisten = 5\n", &["tributary.toml:5:1: http.listen: "]),
        ("[channels.mail]\nkind = \"email\"\n", &["channels.mail.address: missing"]),
        (
            "[log]\nformat = \"jsom\"\nlevel = \"loud\"\n",
            &["log.format: is none of", "did you mean `json`?", "log.level: expected error, warn"],
        ),
        ("[store]\nmaster_key = { file = \"open\" }\n", &["store.master_key: ", "chmod 600"]),
        (
            "[store]\nmaster_key = \"no base64 of 32 bytes\"\n",
            &["store.master_key: line 1 of the master key"],
        ),
        ("[store\n", &["tributary.toml:"]),
    ];
    for (text, wanted) in cases {
        let daemon = Daemon::prepare(text);
        let open = daemon.folder().join("open");
        std::fs::write(&open, "hunter2-in-a-file").unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
        let ran = run(&daemon, &["check"]).ends_with(78);
        for part in wanted {
            assert!(ran.error.contains(part), "{text}: no `{part}` in:\n{}", ran.error);
        }
        assert!(!ran.all().contains("hunter2"), "{}", ran.all());
    }
}

#[test]
fn a_variable_at_fault_is_named() {
    let mut daemon = Daemon::prepare("");
    daemon.set_environment("TRIBUTARY__STORE__READERS", "many");
    let ran = run(&daemon, &["check"]).ends_with(78);
    let wanted = "environment TRIBUTARY__STORE__READERS: store.readers: expected an integer";
    assert!(ran.error.contains(wanted), "{}", ran.error);
    let faults = run(&daemon, &["check", "--json"]).ends_with(78).json();
    assert_eq!(faults["faults"][0]["variable"], "TRIBUTARY__STORE__READERS", "{faults}");
}

#[test]
fn faults_are_told_as_json_too() {
    let daemon = Daemon::prepare("[http]\nlisten = 5\nlissen = 1\n");
    let told = run(&daemon, &["check", "--json"]).ends_with(78);
    assert_eq!(told.error, "");
    let told = told.json();
    assert_eq!(told["ok"], false);
    let faults = told["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 2, "{told}");
    for (fault, key) in faults.iter().zip(["http.listen", "http.lissen"]) {
        assert_eq!(fault["key"], key);
        assert!(fault["line"].as_u64().unwrap() > 1 && fault["column"] == 1, "{fault}");
        assert!(fault["file"].as_str().unwrap().ends_with("tributary.toml"), "{fault}");
        assert!(!fault["reason"].as_str().unwrap().is_empty());
    }
}

#[test]
fn what_is_not_wrong_but_hardly_wanted_is_a_warning() {
    let daemon = Daemon::prepare("[http]\nlisten = \"0.0.0.0:1\"\n");
    let told = run(&daemon, &["check"]).ends_with(0);
    assert!(told.out.contains("warning  http.listen: "), "{}", told.out);
    let told = run(&daemon, &["check", "--json"]).ends_with(0).json();
    assert!(told["warnings"][0].as_str().unwrap().contains("without encryption"), "{told}");
    assert_eq!((&told["ok"], &told["faults"]), (&Value::Bool(true), &Value::Array(Vec::new())));
}

#[test]
fn checking_makes_nothing() {
    let daemon = Daemon::prepare("");
    run(&daemon, &["check"]).ends_with(0);
    let online = run(&daemon, &["check", "--online"]).ends_with(0);
    assert!(online.out.contains("store open: `tributary run` will make"), "{}", online.out);
    let left: Vec<_> = std::fs::read_dir(daemon.state_folder()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn no_secret_is_printed_whatever_is_wrong() {
    let text = format!("{MAIL}port = \"correct horse battery\"\n")
        + "[channels.mail.oauth]\nprovider = \"custom\"\nclient_secret = \"oauth-hunter2\"\n"
        + "refresh_token = \"refresh-hunter2\"\nbogus = \"refresh-hunter2\"\n";
    let text = format!("[store]\nurl = \"postgres://u:db-hunter2@127.0.0.1:1/x\"\n{text}");
    let daemon = Daemon::prepare(&text);
    for arguments in [&["check"][..], &["check", "--json"], &["check", "--online"], &["run"]] {
        let ran = run(&daemon, arguments).ends_with(78);
        assert!(ran.all().contains("channels.mail.receive.port"), "{}", ran.all());
        for secret in ["correct horse", "hunter2"] {
            assert!(!ran.all().contains(secret), "{arguments:?}: {}", ran.all());
        }
    }
    let daemon = Daemon::prepare("[store]\nurl = \"postgres://u:db-hunter2@127.0.0.1:1/x\"\n");
    for arguments in [&["check", "--online"][..], &["run"], &["token", "list"], &["migrate"]] {
        let ran = run(&daemon, arguments).ends_with(1);
        assert!(!ran.all().contains("hunter2"), "{arguments:?}: {}", ran.all());
    }
}

#[test]
fn a_store_that_cannot_be_reached_fails_the_check() {
    let daemon = Daemon::prepare(
        "[store]\nurl = \"postgres://u:p@127.0.0.1:1/x\"\nmaster_key = \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"\n",
    );
    let ran = run(&daemon, &["check", "--online"]).ends_with(1);
    assert!(ran.out.contains("failed   store open: postgres://127.0.0.1:1/x: "), "{}", ran.all());
    let told = run(&daemon, &["check", "--online", "--json"]).ends_with(1).json();
    assert_eq!(told["ok"], false);
    assert_eq!(told["checks"][0]["outcome"], "failed", "{told}");
}

#[test]
fn a_port_that_somebody_else_has_fails_the_check() {
    let daemon = Daemon::prepare("");
    let taken = TcpListener::bind(("127.0.0.1", daemon.port())).unwrap();
    let ran = run(&daemon, &["check", "--online"]).ends_with(1);
    assert!(ran.out.contains("failed   http listen: "), "{}", ran.all());
    drop(taken);
    assert!(run(&daemon, &["check", "--online"]).ends_with(0).out.contains("is free"));
}

#[tokio::test]
async fn beside_the_running_daemon_its_own_port_is_no_fault() {
    let daemon = Daemon::start("").await;
    let ran = run(&daemon, &["check", "--online"]).ends_with(0);
    assert!(ran.out.contains("is held by the running daemon"), "{}", ran.all());
    assert!(ran.out.contains("its schema is up to date"), "{}", ran.all());
}

#[test]
fn a_named_file_that_is_not_there_is_a_fault() {
    let daemon = Daemon::prepare("");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args(["check", "-c", "/nowhere/at/all.toml"]).current_dir(daemon.folder()).env_clear();
    let ran = run_command(&mut command, b"").ends_with(78);
    assert!(ran.error.starts_with("/nowhere/at/all.toml: cannot be read"), "{}", ran.error);
}

const DESK: &str = "desk@example.test";

fn imap_and_smtp(imap: u16, smtp: u16, password: &str) -> String {
    format!(
        r#"
[channels.mail]
kind = "email"
address = "{DESK}"
[channels.mail.receive]
protocol = "imap"
host = "127.0.0.1"
port = {imap}
tls = "none"
username = "{DESK}"
password = "{password}"
[channels.mail.send]
host = "127.0.0.1"
port = {smtp}
tls = "none"
"#
    )
}

/// COMPLAINTS L4, O9: whether the login works is known before the first customer waits.
#[test]
fn each_channel_is_signed_in_to_and_told_by_direction() {
    let dovecot = Dovecot::start(&[(DESK, "right horse")]);
    let postfix = Postfix::start(&dovecot);
    let (imap, smtp) = (dovecot.imap_port(), postfix.relay_port());
    let listen = free_port();
    let lmtp = format!(
        "[channels.lmtp]\nkind = \"email\"\naddress = \"lmtp@example.test\"\n\
         [channels.lmtp.receive]\nprotocol = \"lmtp\"\nlisten = \"127.0.0.1:{listen}\"\n"
    );
    let daemon = Daemon::prepare(&(imap_and_smtp(imap, smtp, "right horse") + &lmtp));
    let ran = run(&daemon, &["check", "--online"]).ends_with(0);
    for line in [
        "ok       channels.mail receive: connected and signed in",
        "ok       channels.mail send: connected and signed in",
        &format!("ok       channels.lmtp listen: 127.0.0.1:{listen} is free"),
    ] {
        assert!(ran.out.contains(line), "no `{line}` in:\n{}", ran.out);
    }
    let taken = TcpListener::bind(("127.0.0.1", listen)).unwrap();
    daemon.configure(&(imap_and_smtp(imap, 1, "wrong horse") + &lmtp));
    let ran = run(&daemon, &["check", "--online"]).ends_with(1);
    assert!(ran.out.contains("failed   channels.mail receive: the service wants"), "{}", ran.out);
    assert!(ran.out.contains("failed   channels.mail send: "), "{}", ran.out);
    assert!(ran.out.contains("failed   channels.lmtp listen: "), "{}", ran.out);
    assert!(ran.error.contains("3 of 5 checks failed"), "{}", ran.error);
    assert!(!ran.all().contains("wrong horse"), "{}", ran.all());
    drop(taken);
    assert_eq!(dovecot.count(DESK, "INBOX"), 0, "nothing was sent to anybody");
}
