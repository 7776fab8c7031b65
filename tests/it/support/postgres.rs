//! A throw-away PostgreSQL.
//!
//! The test runner starts a process for each test; all of one run share a cluster, which the first of them
//! starts and which ends with the runner. `TRIBUTARY_TEST_POSTGRES` names another one to be used instead.
//! Each test gets a fresh database.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{fs, mem};

use tempfile::TempDir;

use super::{
    Process, Signal, am_root, command_as, current_user, free_port, give_to, open_folder, output,
    program,
};

/// A cluster of this test's own, which it may stop, kill and start.
pub struct Postgres {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

/// A fresh database, dropped with the value.
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A fresh database in the cluster that the tests share.
    pub fn fresh() -> Self {
        static OWN: OnceLock<String> = OnceLock::new();
        let server = OWN.get_or_init(|| match std::env::var("TRIBUTARY_TEST_POSTGRES") {
            Ok(server) => server,
            Err(_) => shared_by_this_run(),
        });
        Self::create(server)
    }

    /// The address for `[store] url`.
    pub fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    /// Runs a statement in the database and returns the rows, fields separated by `|`.
    pub fn sql(&self, statement: &str) -> String {
        sql(&self.url(), statement)
    }

    /// Everything in it, as `pg_dump` writes it.
    pub fn dump(&self) -> String {
        output(Command::new("pg_dump").arg("--inserts").arg(self.url()))
    }

    fn create(server: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}_{number}", std::process::id());
        sql(&format!("{server}/postgres"), &format!("CREATE DATABASE {name}"));
        Self { server: server.to_owned(), name }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let url = format!("{}/postgres", self.server);
        // The test may have stopped the cluster; then the database goes with the folder.
        let mut command = psql(&url, &statement);
        drop(command.stdin(std::process::Stdio::null()).output());
    }
}

impl Postgres {
    /// Starts a new cluster, with `fsync` on.
    pub fn start() -> Self {
        let folder = open_folder("postgres");
        give_to(&server_user(), folder.path());
        let data = folder.path().join("data");
        let mut initdb = command_as(&server_user(), &server_program("initdb"));
        initdb.args([
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
            "-N",
            "-D",
        ]);
        output(initdb.arg(&data));
        let mut cluster = Self { folder, port: free_port(), process: None };
        cluster.start_again();
        cluster
    }

    /// A fresh database in this cluster.
    pub fn database(&self) -> Database {
        Database::create(&self.server())
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its tables, its log of writes and its own log are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts it again after `stop` or `kill`, on the same port with the same data.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "PostgreSQL runs already");
        let mut command = command_as(&server_user(), &server_program("postgres"));
        command.arg("-D").arg(self.folder.path().join("data"));
        command.arg("-k").arg(self.folder.path());
        command.arg("-p").arg(self.port.to_string());
        for setting in
            ["listen_addresses=127.0.0.1", "max_connections=300", "logging_collector=off"]
        {
            command.args(["-c", setting]);
        }
        // What is sent to the group of the test that began it must not reach it: others use it too.
        command.process_group(0);
        let log = self.folder.path().join("log");
        let mut process = Process::start("PostgreSQL", &mut command, &log);
        let url = format!("{}/postgres", self.server());
        process.wait_ready(|| psql(&url, "SELECT 1").output().unwrap().status.success());
        self.process = Some(process);
    }

    /// Stops it at once but in good order: sessions are cut, the data is closed.
    pub fn stop(&mut self) {
        self.end(Signal::Int);
    }

    /// Stops it without closing the data, as a crash would (the next start recovers).
    pub fn kill(&mut self) {
        self.end(Signal::Quit);
    }

    fn end(&mut self, signal: Signal) {
        if let Some(mut process) = self.process.take() {
            process.signal(signal);
            process.wait_end(Duration::from_secs(30));
        }
    }

    fn server(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The cluster of this run of the test runner; of this process alone where there is no runner.
fn shared_by_this_run() -> String {
    let Ok(run) = std::env::var("NEXTEST_RUN_ID") else {
        return start_watched(std::process::id());
    };
    let folder = std::env::temp_dir().join(format!("tributary-test-runs-{}", current_user()));
    fs::create_dir_all(&folder).unwrap();
    let mut file = fs::File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(folder.join(run))
        .unwrap();
    // The first one holds the lock until its cluster answers; the others then read where it is.
    file.lock().unwrap();
    let mut server = String::new();
    file.read_to_string(&mut server).unwrap();
    if server.is_empty() {
        server = start_watched(std::os::unix::process::parent_id());
        file.write_all(server.as_bytes()).unwrap();
    }
    server
}

/// Starts a cluster that lives as long as the process `owner`: it ends by itself when that is gone.
#[expect(clippy::zombie_processes, reason = "the watch outlives this process on purpose")]
fn start_watched(owner: u32) -> String {
    let mut cluster = Postgres::start();
    let server = cluster.server();
    let process = cluster.process.take().unwrap();
    let folder = cluster.folder.path().to_owned();
    let (id, folder) = (process.id(), folder.display());
    let script = format!(
        "while kill -0 {owner} 2>/dev/null; do sleep 0.2; done; kill -QUIT {id}; sleep 0.5; rm -rf '{folder}'"
    );
    let null = std::process::Stdio::null;
    let mut watch = Command::new("sh");
    watch.process_group(0);
    watch.args(["-c", &script]).stdin(null()).stdout(null()).stderr(null()).spawn().unwrap();
    mem::forget(process);
    mem::forget(cluster);
    server
}

/// PostgreSQL refuses to run as root.
fn server_user() -> String {
    if am_root() { "postgres".to_owned() } else { current_user() }
}

/// A program of the newest PostgreSQL that Debian has installed (they are not in `PATH`).
fn server_program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .max();
    newest.map_or_else(|| program(name), |(_, folder)| folder.join("bin").join(name))
}

fn sql(url: &str, statement: &str) -> String {
    output(&mut psql(url, statement))
}

fn psql(url: &str, statement: &str) -> Command {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement, url]);
    command
}
