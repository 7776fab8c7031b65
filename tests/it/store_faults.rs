//! The store fails under the daemon: a full disk, a database that another program locks, a PostgreSQL that
//! goes and comes back. Mail goes on flowing in by LMTP and IMAP; nothing that was acknowledged is missing
//! afterwards, and nobody has to do anything.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database as Connection};

use crate::support::agent::Issued;
use crate::support::daemon::Daemon;
use crate::support::dovecot::Dovecot;
use crate::support::faulty_disk::{Fault, FaultyDisk};
use crate::support::ledger::{Envelope, Ledger};
use crate::support::lmtp_client::{Greeting, hand_over};
use crate::support::office::{HEAD, MailChannel, expect_exactly};
use crate::support::postgres::Postgres;
use crate::support::{am_root, free_port, output, tell, wait_until};

const BY_IMAP: &str = "desk@example.com";
const BY_LMTP: &str = "post@example.com";
const WORD: &str = "the word";
const LIMIT: Duration = Duration::from_secs(60);

/// Mail that flows in by both ways until it is told to stop.
struct Flow {
    ledger: Ledger,
    dovecot: Dovecot,
    lmtp: u16,
    over: AtomicBool,
    issued: Mutex<BTreeMap<u32, Issued>>,
    next: AtomicU32,
    /// Answers 4xx of the daemon.
    refusals: AtomicU32,
    /// 250s of the daemon.
    stored: AtomicU32,
}

impl Flow {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(Self {
            ledger: Ledger::new(name),
            dovecot: Dovecot::start(&[(BY_IMAP, WORD)]),
            lmtp: free_port(),
            over: AtomicBool::new(false),
            issued: Mutex::default(),
            next: AtomicU32::new(0),
            refusals: AtomicU32::new(0),
            stored: AtomicU32::new(0),
        })
    }

    fn configuration(&self) -> String {
        let imap = MailChannel::new("by_imap", BY_IMAP);
        let imap = imap.imap(self.dovecot.imap_port(), BY_IMAP, WORD, "").text();
        let lmtp = MailChannel::new("by_lmtp", BY_LMTP).lmtp(self.lmtp).text();
        format!("{HEAD}{imap}{lmtp}")
    }

    fn begin(self: &Arc<Self>) -> Vec<std::thread::JoinHandle<()>> {
        let (one, two) = (Arc::clone(self), Arc::clone(self));
        vec![std::thread::spawn(move || one.by_imap()), std::thread::spawn(move || two.by_lmtp())]
    }

    fn mail(&self, to: &str) -> (u32, String, Vec<u8>) {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let from = format!("customer{}@customer.example", number % 30);
        let envelope = Envelope { from: &from, to, ..Envelope::default() };
        let mail = self.ledger.mail(number, &envelope);
        (number, from, mail)
    }

    fn note(&self, number: u32, channel: &str, from: String) {
        let issued = Issued { channel: channel.to_owned(), from };
        self.issued.lock().unwrap().insert(number, issued);
    }

    fn by_imap(&self) {
        let mut session = self.dovecot.lmtp_client();
        while !self.over.load(Ordering::SeqCst) {
            let (number, from, mail) = self.mail(BY_IMAP);
            session.send(&from, BY_IMAP, &mail);
            self.note(number, "by_imap", from);
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    /// As a mail server does: again until it is taken. What is not taken in the end was never promised.
    fn by_lmtp(&self) {
        while !self.over.load(Ordering::SeqCst) {
            let (number, from, mail) = self.mail(BY_LMTP);
            loop {
                match hand_over(self.lmtp, Greeting::Lmtp, (&from, BY_LMTP), &mail) {
                    Ok(answer) if answer.code == 250 => break,
                    Ok(answer) => {
                        assert!((400..500).contains(&answer.code), "{}", answer.text);
                        self.refusals.fetch_add(1, Ordering::SeqCst);
                    }
                    // The daemon may still be starting.
                    Err(_) => {}
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            self.note(number, "by_lmtp", from);
            self.stored.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(15));
        }
    }

    /// Waits until some more mails were taken by LMTP: the store works.
    async fn works(&self, what: &str) {
        let before = self.stored.load(Ordering::SeqCst);
        wait_until(what, LIMIT, async || self.stored.load(Ordering::SeqCst) >= before + 10).await;
    }

    /// Waits until the daemon refused one more: the store does not work.
    async fn refuses(&self, what: &str) {
        let before = self.refusals.load(Ordering::SeqCst);
        wait_until(what, LIMIT, async || self.refusals.load(Ordering::SeqCst) > before).await;
    }

    /// The end: all that somebody promised to keep is there, once.
    async fn settle(&self, threads: Vec<std::thread::JoinHandle<()>>, daemon: &Daemon, name: &str) {
        self.over.store(true, Ordering::SeqCst);
        for thread in threads {
            tokio::task::block_in_place(|| thread.join()).unwrap();
        }
        let issued = self.issued.lock().unwrap().clone();
        expect_exactly(&daemon.api(), &self.ledger, &issued, LIMIT).await;
        tell(format_args!(
            "{name}: {} mails, {} refused for the time being",
            issued.len(),
            self.refusals.load(Ordering::SeqCst)
        ));
    }
}

/// A small file system of its own on a folder; gone with the value.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn on(folder: &std::path::Path, size: &str) -> Self {
        let mut mount = Command::new("mount");
        output(mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder));
        Self(folder.to_owned())
    }

    /// Writes until not a byte more fits.
    fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").args(["-l"]).arg(&self.0).status());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_for_a_while_and_loses_nothing() {
    // FAULTS 17, 19. Only root may mount.
    if !am_root() {
        return;
    }
    let flow = Flow::new("disk full");
    let mut daemon = Daemon::prepare(&flow.configuration());
    let disk = SmallDisk::on(&daemon.state_folder(), "64m");
    daemon.start_again().await;
    let threads = flow.begin();
    flow.works("mail before").await;
    for _ in 0..2 {
        disk.fill();
        flow.refuses("451 while the disk is full").await;
        let ticket = daemon.api().get("/tickets?limit=1").await;
        assert!(!ticket["items"].as_array().unwrap().is_empty(), "what is there can be read");
        let full_since = Instant::now();
        disk.free();
        flow.works("mail after").await;
        tell(format_args!("disk full: works again {:?} after there is room", full_since.elapsed()));
    }
    // It dies while the disk is full, and finds everything when it comes back to room.
    disk.fill();
    flow.refuses("451 again").await;
    daemon.kill();
    disk.free();
    daemon.start_again().await;
    flow.works("mail after the kill").await;
    flow.settle(threads, &daemon, "disk full").await;
}

/// FAULTS 17, and a commit that fails at its end: nothing is promised that the disk did not take.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_refuses_for_a_while_and_loses_nothing() {
    let flow = Flow::new("disk fails");
    let mut daemon = Daemon::prepare(&flow.configuration());
    let disk = FaultyDisk::under(&mut daemon);
    daemon.start_again().await;
    let threads = flow.begin();
    flow.works("mail before").await;
    for fault in [Fault::Sync, Fault::Full, Fault::Sync] {
        disk.fail(fault);
        flow.refuses(&format!("451 while the disk fails: {fault:?}")).await;
        let ticket = daemon.api().get("/tickets?limit=1").await;
        assert!(!ticket["items"].as_array().unwrap().is_empty(), "what is there can be read");
        disk.heal(fault);
        flow.works(&format!("mail after: {fault:?}")).await;
    }
    // It dies while the disk fails: what it refused may be there or not, and what it took is there.
    for fault in [Fault::Sync, Fault::Full] {
        disk.fail(fault);
        flow.refuses("451 again").await;
        daemon.kill();
        disk.heal(fault);
        daemon.start_again().await;
        flow.works("mail after the kill").await;
    }
    flow.settle(threads, &daemon, "disk fails").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_another_program_locks_is_waited_for() {
    // FAULTS 36: `sqlite3` or a backup holds the write lock.
    let flow = Flow::new("locked");
    let daemon = Daemon::start(&flow.configuration()).await;
    let threads = flow.begin();
    flow.works("mail before").await;
    let url = format!("sqlite://{}", daemon.state_folder().join("tributary.db").display());
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).min_connections(1);
    let other = Connection::connect(options).await.unwrap();
    for seconds in [2, 8] {
        wait_until("the lock", LIMIT, async || {
            other.execute_unprepared("BEGIN IMMEDIATE").await.is_ok()
        })
        .await;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        other.execute_unprepared("ROLLBACK").await.unwrap();
        flow.works("mail after").await;
    }
    flow.settle(threads, &daemon, "locked").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_stops_or_dies_is_found_again() {
    // FAULTS 41, 42, 45; COMPLAINTS L28
    let mut cluster = Postgres::start();
    let database = cluster.database();
    let flow = Flow::new("postgresql");
    let store = format!("[store]\nurl = \"{}\"\n", database.url());
    let mut daemon = Daemon::prepare(&format!("{store}{}", flow.configuration()));
    daemon.start_again().await;
    let threads = flow.begin();
    flow.works("mail before").await;
    for kill in [false, true] {
        if kill {
            cluster.kill();
        } else {
            cluster.stop();
        }
        flow.refuses("451 without a database").await;
        let down = daemon.ready_status().await;
        assert_eq!(down, 503, "a balancer must see it");
        cluster.start_again();
        flow.works("mail after").await;
    }
    flow.settle(threads, &daemon, "postgresql").await;
    assert_eq!(daemon.ready_status().await, 200);
}
