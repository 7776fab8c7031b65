//! The command line: the real program, its exit codes, what it prints and what it never prints.

mod check;
mod login;
mod people;
mod print;
mod retention;
mod rules;
mod take;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::daemon::Daemon;

/// Standard output, standard error and the exit code.
pub(super) struct Ran {
    pub(super) out: String,
    pub(super) error: String,
    pub(super) code: i32,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            out: String::from_utf8(output.stdout.clone()).unwrap(),
            error: String::from_utf8(output.stderr.clone()).unwrap(),
            code: output.status.code().expect("it ended by itself"),
        }
    }

    /// What was printed, as JSON: one object and nothing else.
    #[track_caller]
    pub(super) fn json(&self) -> Value {
        let read = serde_json::from_str(&self.out);
        read.unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.error))
    }

    #[track_caller]
    pub(super) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.error);
        self
    }

    /// All that anybody could read.
    pub(super) fn all(&self) -> String {
        format!("{}{}", self.out, self.error)
    }
}

pub(super) fn run(daemon: &Daemon, arguments: &[&str]) -> Ran {
    Ran::of(&daemon.run(arguments))
}

pub(super) fn run_with_input(daemon: &Daemon, arguments: &[&str], input: &[u8]) -> Ran {
    run_command(&mut daemon.command(arguments), input)
}

pub(super) fn run_command(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may end before it has read everything.
    drop(child.stdin.take().unwrap().write_all(input));
    Ran::of(&child.wait_with_output().unwrap())
}

#[test]
fn each_way_to_end_has_its_code() {
    let daemon = Daemon::prepare("");
    let cases: [(&[&str], i32); 8] = [
        (&["--help"], 0),
        (&["--version"], 0),
        (&["check"], 0),
        (&["token", "list", "--json"], 0),
        (&["token", "revoke", "nobody"], 1),
        (&["ticket", "list"], 1),
        (&["no-such-command"], 2),
        (&["ingest", "no_such_channel", "/dev/null"], 2),
    ];
    for (arguments, code) in cases {
        let ran = run(&daemon, arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.all());
        assert!(!ran.all().is_empty(), "{arguments:?} said nothing");
    }
    daemon.configure("[stroe]\n");
    for arguments in [&["check"][..], &["run"], &["token", "list"], &["ticket", "list"]] {
        let ran = run(&daemon, arguments).ends_with(78);
        assert!(ran.error.contains("did you mean `store`?"), "{arguments:?}: {}", ran.all());
    }
}

#[test]
fn a_daemon_that_does_not_run_is_named_with_what_to_do() {
    let daemon = Daemon::prepare("");
    let ran = run(&daemon, &["channel", "list"]).ends_with(1);
    assert!(ran.error.contains("does `tributary run` run?"), "{}", ran.error);
    assert!(ran.error.contains(&daemon.port().to_string()), "{}", ran.error);
}

/// Everything that lists can be read by programs.
#[tokio::test]
async fn what_is_listed_is_listed_as_json_too() {
    let daemon = Daemon::start(take::PIPE).await;
    let ingested = run_with_input(
        &daemon,
        &["ingest", "mail"],
        b"From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n",
    );
    assert_eq!(ingested.code, 0, "{}", ingested.all());
    for arguments in [
        ["ticket", "list"],
        ["channel", "list"],
        ["outbox", "list"],
        ["quarantine", "list"],
        ["user", "list"],
        ["token", "list"],
    ] {
        let ran = run(&daemon, &[arguments[0], arguments[1], "--json"]).ends_with(0);
        assert!(ran.json()["items"].is_array(), "{arguments:?}: {}", ran.out);
        run(&daemon, &arguments).ends_with(0);
    }
    let table = run(&daemon, &["channel", "list"]).ends_with(0).out;
    assert!(table.contains("mail") && table.contains("email"), "{table}");
    let set = ["ticket", "set", "1", "status=solved", "--json"];
    assert_eq!(run(&daemon, &set).ends_with(0).json()["status"], "solved");
    let paused = run(&daemon, &["channel", "pause", "mail", "--json"]).ends_with(0).json();
    assert_eq!(paused["paused"], true);
    run(&daemon, &["channel", "resume", "mail"]).ends_with(0);
    run(&daemon, &["channel", "pause", "nobody"]).ends_with(1);
    run(&daemon, &["outbox", "retry"]).ends_with(2);
    let retried = run(&daemon, &["outbox", "retry", "--channel", "mail", "--json"]).ends_with(0);
    assert_eq!(retried.json()["retried"], 0);
    let all = run(&daemon, &["quarantine", "retry", "--all", "--json"]).ends_with(0);
    assert_eq!(all.json()["retried"], 0);
    run(&daemon, &["quarantine", "retry"]).ends_with(2);
}

#[test]
fn the_schema_goes_forward_once() {
    let daemon = Daemon::prepare("[store]\nurl = \"sqlite://var/t.db\"\nauto_migrate = false\n");
    let before = run(&daemon, &["token", "list"]).ends_with(1);
    assert!(before.error.contains("run `tributary migrate`"), "{}", before.error);
    let first = run(&daemon, &["migrate", "--json"]).ends_with(0).json();
    assert!(first["steps"].as_u64().unwrap() > 0, "{first}");
    assert_eq!(run(&daemon, &["migrate", "--json"]).ends_with(0).json()["steps"], 0);
    assert!(run(&daemon, &["migrate"]).ends_with(0).out.contains("up to date"));
    run(&daemon, &["token", "list"]).ends_with(0);
}
