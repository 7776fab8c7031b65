//! The command line: the real program, its exit codes, what it prints and what it never prints.

mod check;
mod people;
mod print;

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
