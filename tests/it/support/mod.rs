//! Servers, proxies and a daemon for the tests.
//!
//! Everything here is blocking and independent of any runtime (but the API client of `daemon`), so
//! that a test of any shape may use it. Each server lives in a temporary folder of its own, on free
//! loopback ports, and dies with the value that stands for it; its log is printed if the test fails.

#![expect(
    dead_code,
    unreachable_pub,
    clippy::print_stderr,
    reason = "a shelf that each test takes from; what a failing test says goes to its stderr"
)]

pub mod agent;
pub mod answers;
pub mod app;
pub mod browser;
pub mod clamav;
pub mod crowd;
pub mod daemon;
pub mod demo;
pub mod desk;
pub mod dns;
pub mod dovecot;
pub mod faulty_disk;
pub mod graph;
pub mod identity_provider;
pub mod imap_client;
pub mod imap_script;
pub mod labelled;
pub mod ledger;
pub mod lmtp_client;
pub mod office;
pub mod outbound;
pub mod phone;
pub mod postfix;
pub mod postgres;
pub mod proxy;
pub mod receiver;
pub mod rig;
pub mod sink;
pub mod smtp_script;
pub mod telegram;
pub mod tls;
pub mod token_endpoint;
pub mod totp;
pub mod twilio;
pub mod visitor;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a server may take to come up before the test gives in.
pub const START_LIMIT: Duration = Duration::from_secs(30);

/// Prints a figure that was measured; `--nocapture` shows it.
pub fn tell(figure: std::fmt::Arguments<'_>) {
    eprintln!("{figure}");
}

/// Waits until `condition` holds; fails the test with `what` after `limit`.
pub async fn wait_until(what: &str, limit: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The same for a thread that may block.
pub fn wait_blocking(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {limit:?} in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ports held by this process: the locked files keep other test processes away from them.
static HELD_PORTS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A loopback port that nobody else gets while this process lives.
///
/// Taken below the range that the kernel gives to outgoing connections (from 32768 on), so a port
/// stays free between a server's stop and its restart. Each port has a file, locked by its owner.
pub fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let folder = std::env::temp_dir().join(format!("tributary-test-ports-{}", current_user()));
    fs::create_dir_all(&folder).unwrap();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST + (std::process::id() * 37 + step) % COUNT).unwrap();
        let lock =
            File::options().create(true).append(true).open(folder.join(port.to_string())).unwrap();
        if lock.try_lock().is_err() || TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err() {
            continue;
        }
        HELD_PORTS.lock().unwrap().push(lock);
        return port;
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

/// A temporary folder that other users may enter: servers started by root run as somebody else.
pub fn open_folder(name: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(&format!("tributary-{name}-"))
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir()
        .unwrap()
}

/// Whether the tests run as root: Dovecot and PostgreSQL then have to run as somebody else.
pub fn am_root() -> bool {
    current_user() == "root"
}

/// The name of the user who runs the tests.
pub fn current_user() -> String {
    output(Command::new("id").arg("-un")).trim().to_owned()
}

/// A command that runs as `user` if the tests run as root, and as the caller otherwise.
pub fn command_as(user: &str, program: &Path) -> Command {
    if !am_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", user, "--regid", &group_of(user), "--clear-groups", "--"]);
    command.arg(program);
    command
}

/// The first group of a user.
pub fn group_of(user: &str) -> String {
    output(Command::new("id").args(["-gn", user])).trim().to_owned()
}

/// Gives a folder and all in it to `user`, if the tests run as root.
pub fn give_to(user: &str, folder: &Path) {
    if am_root() {
        output(
            Command::new("chown").arg("-R").arg(format!("{user}:{}", group_of(user))).arg(folder),
        );
    }
}

/// Runs a short command to its end and returns what it printed; fails the test if it failed.
pub fn output(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let error = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?} ended with {}: {text}{error}", done.status);
    text
}

/// Finds a program in `PATH` and in the folders where Debian keeps daemons.
pub fn program(name: &str) -> PathBuf {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/usr/local/sbin", "/sbin"])
        .map(|folder| Path::new(folder).join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("{name} is missing; scripts/setup-test.sh installs it"))
}

/// Whether something listens on a loopback port.
pub fn port_answers(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// What can be sent to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Kill,
    Term,
    Int,
    Hup,
    Quit,
    Stop,
    Cont,
}

/// A child process with its log file; killed by its id when the value is dropped.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts a command with its output added to `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { child, name: name.to_owned(), log: log.to_owned() }
    }

    /// The id to send signals to.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal; false if the process has ended.
    pub fn signal(&mut self, signal: Signal) -> bool {
        self.child.try_wait().unwrap().is_none() && send_signal(self.child.id(), signal)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end; fails the test after `limit`.
    pub fn wait_end(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "{} did not end within {limit:?}", self.name);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// SIGKILL, and waits until it is gone. Returns whether it still ran when the signal came.
    pub fn kill(&mut self) -> bool {
        let ran = self.is_running();
        if ran {
            self.child.kill().unwrap();
        }
        self.child.wait().unwrap();
        ran
    }

    /// Waits for `ready`; fails the test with the log if the process ends before.
    pub fn wait_ready(&mut self, mut ready: impl FnMut() -> bool) {
        let deadline = Instant::now() + START_LIMIT;
        while !ready() {
            let ended = self.child.try_wait().unwrap();
            let late = Instant::now() >= deadline;
            assert!(
                ended.is_none() && !late,
                "{} did not come up ({ended:?}):\n{}",
                self.name,
                self.log_tail()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The last lines of the log.
    pub fn log_tail(&self) -> String {
        let text = String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the end of the log of {} ---\n{}", self.name, self.log_tail());
        }
    }
}

/// Sends a signal to a process id; false if nobody has it.
pub fn send_signal(id: u32, signal: Signal) -> bool {
    let name = match signal {
        Signal::Kill => "KILL",
        Signal::Term => "TERM",
        Signal::Int => "INT",
        Signal::Hup => "HUP",
        Signal::Quit => "QUIT",
        Signal::Stop => "STOP",
        Signal::Cont => "CONT",
    };
    let script = format!("kill -{name} {id}");
    Command::new("sh").args(["-c", &script]).stderr(Stdio::null()).status().unwrap().success()
}
