//! `tributary demo` at work.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::daemon::Api;
use super::{Process, Signal, free_port, open_folder, output, port_answers};

/// A week at a made-up desk, with a daemon on it.
pub struct Demo {
    folder: TempDir,
    pub port: u16,
    process: Process,
}

impl Demo {
    /// In a folder of its own, which is kept as long as the value.
    pub fn start() -> Self {
        let (folder, port) = (open_folder("demo"), free_port());
        let dir = folder.path().join("kept");
        let process = spawn(folder.path(), port, &["--dir", dir.to_str().unwrap()]);
        Self { folder, port, process }
    }

    /// In a folder that it makes for itself.
    pub fn start_passing() -> Self {
        let (folder, port) = (open_folder("demo"), free_port());
        let process = spawn(folder.path(), port, &[]);
        Self { folder, port, process }
    }

    /// Stops it and starts it on the same folder again.
    pub fn again(mut self) -> Self {
        assert_eq!(self.stop(), Some(0));
        let dir = self.kept();
        self.process = spawn(self.folder.path(), self.port, &["--dir", dir.to_str().unwrap()]);
        self
    }

    /// SIGTERM, and the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.process.signal(Signal::Term);
        self.process.wait_end(Duration::from_secs(60)).code()
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    /// What lies where the demo makes its own folder.
    pub fn left(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
    }

    /// The link that signs in once. It is printed when the pages are served already.
    pub fn link(&self) -> String {
        for _ in 0..300 {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
            let told = "sign in within an hour, once: ";
            let lines: Vec<&str> = log.lines().collect();
            if let Some(link) = lines.iter().rev().find_map(|line| line.split(told).nth(1)) {
                return link.trim().to_owned();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("no link was printed")
    }

    /// A client with an administrator's token.
    pub fn api(&self, settings: &Path) -> Api {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        command.arg("--config").arg(settings).args(["token", "create", "--role", "admin"]);
        command.args(["--name", "test", "--json"]);
        let made: Value = serde_json::from_str(&output(&mut command)).unwrap();
        Api::new(
            format!("http://127.0.0.1:{}", self.port),
            made["token"].as_str().unwrap().to_owned(),
        )
    }

    /// Of the folder that is kept.
    pub fn settings(&self) -> PathBuf {
        self.kept().join("demo.toml")
    }
}

/// Waits until it listens: a week takes some seconds.
fn spawn(folder: &Path, port: u16, more: &[&str]) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
    command.args(["demo", "--listen", &format!("127.0.0.1:{port}")]).args(more);
    // Nothing of a real installation reaches a demo.
    command.env("TRIBUTARY__STORE__URL", "postgres://nobody@127.0.0.1:9/real");
    command.env("TMPDIR", folder);
    let mut process = Process::start("demo", &mut command, &folder.join("log"));
    process.wait_ready(|| port_answers(port));
    process
}
