//! `ingest` and `import`: what is handed over by hand is stored once, or the sender is told to keep it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database as Connection};
use serde_json::Value;

use super::{Ran, run, run_command, run_with_input};
use crate::support::daemon::Daemon;
use crate::support::postgres::Database;
use crate::support::{Process, Signal, send_signal, wait_blocking};

pub(super) const PIPE: &str = r#"
[channels.mail]
kind = "email"
address = "support@example.com"
[channels.mail.receive]
protocol = "pipe"
"#;

fn mail(number: usize) -> String {
    format!(
        "From: Ann <ann{number}@customer.example>\r\nTo: support@example.com\r\n\
         Subject: question {number}\r\nMessage-ID: <m{number}@customer.example>\r\n\
         Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\nHow do I do the thing number {number}?\r\n"
    )
}

#[test]
fn a_piped_mail_becomes_a_ticket_once() {
    let daemon = Daemon::prepare(PIPE);
    let first = run_with_input(&daemon, &["ingest", "mail"], mail(1).as_bytes()).ends_with(0);
    let told = first.json();
    assert_eq!((&told["state"], &told["ticket_number"]), (&"applied".into(), &1.into()), "{told}");
    assert!(told["message"].is_string() && told["ticket"].is_string(), "{told}");
    let again = run_with_input(&daemon, &["ingest", "mail", "-"], mail(1).as_bytes()).ends_with(0);
    assert_eq!(again.json(), told, "the same bytes are the same message");
    let file = daemon.folder().join("mail.eml");
    std::fs::write(&file, mail(2)).unwrap();
    let other = run(&daemon, &["ingest", "mail", file.to_str().unwrap()]).ends_with(0).json();
    assert_eq!(other["ticket_number"], 2);
    run_with_input(&daemon, &["ingest", "mail"], b"").ends_with(2);
    run(&daemon, &["ingest", "mail", "/nowhere"]).ends_with(1);
}

/// Keeps everybody else from writing while it lives.
async fn lock(daemon: &Daemon) -> sea_orm::DatabaseConnection {
    let url = format!("sqlite://{}", daemon.state_folder().join("tributary.db").display());
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).idle_timeout(Duration::from_secs(600));
    let connection = Connection::connect(options).await.unwrap();
    connection.execute_unprepared("BEGIN EXCLUSIVE").await.unwrap();
    connection
}

/// The mail server is to keep it: the store is locked, full, read-only, gone, or badly configured.
#[tokio::test]
async fn what_could_not_be_stored_is_to_be_kept() {
    let daemon = Daemon::prepare(PIPE);
    run_with_input(&daemon, &["ingest", "mail"], mail(0).as_bytes()).ends_with(0);

    let held = lock(&daemon).await;
    let began = Instant::now();
    let locked = run_with_input(&daemon, &["ingest", "mail"], mail(1).as_bytes());
    assert_kept(&locked, "locked");
    assert!(began.elapsed() < Duration::from_secs(40), "it hung for {:?}", began.elapsed());
    held.execute_unprepared("ROLLBACK").await.unwrap();
    held.close().await.unwrap();

    // A file may grow no more: a full disk, that root cannot write to either.
    let program = daemon.command(&["ingest", "mail"]);
    let mut full = Command::new("sh");
    full.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh"]).arg(program.get_program());
    full.args(program.get_args()).current_dir(daemon.folder());
    full.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_kept(&run_command(&mut full, mail(1).as_bytes()), "full");

    let file = daemon.state_folder().join("tributary.db");
    daemon.configure(&format!("[store]\nurl = \"sqlite://{}?mode=ro\"\n{PIPE}", file.display()));
    assert_kept(&run_with_input(&daemon, &["ingest", "mail"], mail(1).as_bytes()), "read-only");

    daemon.configure(&format!("[store]\nurl = \"postgres://u:p@127.0.0.1:1/x\"\n{PIPE}"));
    assert_kept(&run_with_input(&daemon, &["ingest", "mail"], mail(1).as_bytes()), "gone");

    daemon.configure(&format!("[stroe]\n{PIPE}"));
    let faulty = run_with_input(&daemon, &["ingest", "mail"], mail(1).as_bytes());
    assert_kept(&faulty, "faulty");
    assert!(faulty.error.contains("did you mean `store`?"), "{}", faulty.error);

    daemon.configure(PIPE);
    let at_last = run_with_input(&daemon, &["ingest", "mail"], mail(1).as_bytes()).ends_with(0);
    assert_eq!(at_last.json()["ticket_number"], 2, "none of the failed ones was stored");
}

#[track_caller]
fn assert_kept(ran: &Ran, how: &str) {
    assert_eq!(ran.code, 75, "{how}: {}", ran.all());
    assert!(ran.error.starts_with("tributary: not now: ") && ran.out.is_empty(), "{}", ran.all());
}

fn mbox(daemon: &Daemon, count: usize) -> PathBuf {
    let text: String = (0..count)
        .map(|number| format!("From ann@x Mon Nov 23 10:00:00 2026\n{}\n", mail(number)))
        .collect();
    let file = daemon.folder().join("mbox");
    std::fs::write(&file, text.replace("\r\n", "\n")).unwrap();
    file
}

fn maildir(daemon: &Daemon, count: usize) -> PathBuf {
    let folder = daemon.folder().join("maildir");
    for part in ["cur", "new", "tmp"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
    }
    for number in 0..count {
        let part = if number % 2 == 0 { "cur" } else { "new" };
        std::fs::write(folder.join(part).join(format!("{number:05}.host")), mail(number)).unwrap();
    }
    folder
}

fn import(daemon: &Daemon, path: &Path) -> Value {
    run(daemon, &["import", "mail", path.to_str().unwrap(), "--json"]).ends_with(0).json()
}

/// COMPLAINTS L15, D7: importing three times adds nothing, on both databases and from both forms.
#[tokio::test]
async fn importing_three_times_adds_nothing() {
    let database = Database::fresh();
    let stores = [String::new(), format!("[store]\nurl = \"{}\"\n", database.url())];
    for store in stores {
        let mut daemon = Daemon::prepare(&format!("{store}{PIPE}"));
        let mbox = mbox(&daemon, 120);
        let first = import(&daemon, &mbox);
        assert_eq!((&first["read"], &first["new"]), (&120.into(), &120.into()), "{first}");
        for _ in 0..2 {
            let again = import(&daemon, &mbox);
            assert_eq!((&again["new"], &again["known"]), (&0.into(), &120.into()), "{again}");
        }
        // The same mails in another form: other bytes at the ends of lines, the same messages.
        import(&daemon, &maildir(&daemon, 120));
        daemon.start_again().await;
        assert_eq!(daemon.api().messages().await.len(), 120);
        assert_eq!(daemon.api().tickets().await.len(), 120);
    }
}

/// A chat that cannot read mail would have all of it in its quarantine.
#[test]
fn mail_is_imported_into_mail_channels_only() {
    let daemon = Daemon::prepare(&format!("{PIPE}[channels.web]\nkind = \"webchat\"\n"));
    let mbox = mbox(&daemon, 1);
    run(&daemon, &["import", "web", mbox.to_str().unwrap()]).ends_with(2);
    run(&daemon, &["import", "nowhere", mbox.to_str().unwrap()]).ends_with(2);
}

/// COMPLAINTS L15: an import that was killed goes on where it was, and nothing is there twice.
#[tokio::test]
async fn a_killed_import_is_done_again_and_misses_nothing() {
    let mut daemon = Daemon::prepare(PIPE);
    let count = 400;
    let mbox = mbox(&daemon, count);
    let log = daemon.folder().join("import.log");
    for _ in 0..3 {
        let mut command = daemon.command(&["import", "mail", mbox.to_str().unwrap()]);
        let mut import = Process::start("import", &mut command, &log);
        std::thread::sleep(Duration::from_millis(400));
        import.kill();
    }
    let done = import(&daemon, &mbox);
    assert_eq!(done["read"], count);
    assert_eq!(import(&daemon, &mbox)["new"], 0);
    daemon.start_again().await;
    let api = daemon.api();
    // What the killed ones had stored and not yet read is adopted by the daemon.
    for _ in 0..600 {
        if api.messages().await.len() >= count {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut subjects: Vec<String> =
        api.tickets().await.iter().map(|one| one["subject"].as_str().unwrap().to_owned()).collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!((subjects.len(), api.messages().await.len()), (count, count));
}

#[test]
fn without_a_terminal_progress_is_told_in_lines() {
    let daemon = Daemon::prepare(PIPE);
    let mbox = mbox(&daemon, 1500);
    let ran = run(&daemon, &["import", "mail", mbox.to_str().unwrap()]).ends_with(0);
    assert_eq!(ran.out, "1500 mails read, 1500 new, 0 known\n");
    let lines: Vec<&str> = ran.error.lines().collect();
    assert!(!lines.is_empty(), "no line in {ran:?}", ran = ran.all());
    for line in lines {
        assert!(line.contains("%: ") && line.ends_with(" known"), "{line}");
    }
    assert!(!ran.all().contains('\u{1b}'), "escapes without a terminal: {}", ran.all());
}

#[test]
fn what_is_no_mailbox_is_said_so() {
    let daemon = Daemon::prepare(PIPE);
    let file = daemon.folder().join("letter.txt");
    std::fs::write(&file, "Dear friend,\n").unwrap();
    let ran = run(&daemon, &["import", "mail", file.to_str().unwrap(), "--json"]).ends_with(1);
    assert!(ran.json()["skipped"][0].as_str().unwrap().contains("not an mbox file"), "{}", ran.out);
    let empty = daemon.folder().join("empty");
    std::fs::create_dir(&empty).unwrap();
    run(&daemon, &["import", "mail", empty.to_str().unwrap()]).ends_with(2);
    run(&daemon, &["import", "mail", "/nowhere/at/all"]).ends_with(1);
    run(&daemon, &["import", "nobody", file.to_str().unwrap()]).ends_with(2);
}

/// A second Ctrl-C is not needed: an import ends at once and is safe to repeat.
#[test]
fn an_interrupted_import_ends_at_once() {
    let daemon = Daemon::prepare(PIPE);
    let mbox = mbox(&daemon, 6000);
    let mut command = daemon.command(&["import", "mail", mbox.to_str().unwrap()]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(600));
    assert!(child.try_wait().unwrap().is_none(), "it was too fast to be interrupted");
    send_signal(child.id(), Signal::Int);
    let mut ended = false;
    wait_blocking("the end", Duration::from_secs(5), || {
        ended = child.try_wait().unwrap().is_some();
        ended
    });
    assert_eq!(import(&daemon, &mbox)["read"], 6000);
}
