//! The unit: what systemd itself says of it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

/// `None` where systemd is not installed.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(program).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{program}: {error}"),
    }
}

fn said(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    format!("{out}{err}")
}

#[test]
fn the_unit_is_exposed_no_more_than_one_point_two() {
    let unit = file("tributary.service");
    let arguments =
        ["security", "--offline=true", "--threshold=12", "--no-pager", unit.to_str().unwrap()];
    let Some(output) = run("systemd-analyze", &arguments) else { return };
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn systemd_understands_every_line_of_the_unit() {
    // The program it starts need not be installed here.
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("tributary.service");
    let text = std::fs::read_to_string(file("tributary.service")).unwrap();
    std::fs::write(&unit, text.replace("/usr/bin/tributary", "/bin/true")).unwrap();
    let Some(output) = run("systemd-analyze", &["verify", "--man=no", unit.to_str().unwrap()])
    else {
        return;
    };
    let said = said(&output);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("tributary")).collect();
    assert!(output.status.success() && ours.is_empty(), "{said}");
}

#[test]
fn the_unit_keeps_the_heaps_few() {
    let text = std::fs::read_to_string(file("tributary.service")).unwrap();
    assert!(text.lines().any(|line| line == "Environment=MALLOC_ARENA_MAX=2"), "{text}");
}

#[test]
fn users_and_folders_are_made() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("etc")).unwrap();
    let root = format!("--root={}", folder.path().display());
    let users = file("tributary.sysusers");
    if let Some(output) = run("systemd-sysusers", &[&root, users.to_str().unwrap()]) {
        assert!(output.status.success(), "{}", said(&output));
        let users = std::fs::read_to_string(folder.path().join("etc/passwd")).unwrap();
        assert!(users.starts_with("tributary:"), "{users}");
    }
    let folders = file("tributary.tmpfiles");
    let text = std::fs::read_to_string(&folders).unwrap();
    // What root reads or runs must not be writable by the service (CVE-2026-102490 elsewhere).
    for line in text.lines().filter(|line| line.contains("/etc/")) {
        assert!(line.ends_with("root root -"), "{line}");
    }
    // Only root can give folders to the service's user.
    let Some(output) = run("systemd-tmpfiles", &["--create", &root, folders.to_str().unwrap()])
    else {
        return;
    };
    let said = said(&output);
    assert!(!said.contains("Unknown") && !said.contains("nvalid"), "{said}");
}

#[test]
fn the_unit_uses_the_way_of_reloading_that_all_releases_understand() {
    let text = std::fs::read_to_string(file("tributary.service")).unwrap();
    for line in [
        "Type=notify\n",
        "ExecReload=/bin/kill -HUP $MAINPID\n",
        "WatchdogSec=",
        "RestartPreventExitStatus=78\n",
    ] {
        assert!(text.contains(line), "{line}");
    }
}
