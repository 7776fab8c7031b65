//! Mails from a real IMAP server to committed tickets, and the time from the server's notice to our event.
//!
//! Everything is measured in one run beside what bounds it: the same mailbox downloaded and thrown away,
//! the same mails only parsed, the same messages only stored. Absolute figures say little on another
//! machine; the ratios are what is reported. `cargo bench --bench pipeline`, with `MAILS=5000` by default.
//! `ONLY=store-sqlite` (or another part: see `wanted`) runs that part alone, for a profile.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a measurement that meets the unexpected has to fail"
)]

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use support::daemon::Daemon;
use support::dovecot::Dovecot;
use support::imap_client::literal;
use support::postgres::Database;
use tributary::channel::shared::sign::Signer;
use tributary::channel::{Channel, Site, Vault, build};
use tributary::model::{Cause, DedupeKey, OwnAddresses, Raw, Secret, Transport};
use tributary::store::{Access, Ingest, IngestChannel, MasterKeys, Store, StoreSettings};

const DESK: &str = "support@example.com";
const WORD: &str = "the desk's word";
const BATCH: usize = 50;
const LATENCY_ROUNDS: usize = 50;

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let count = std::env::var("MAILS").map_or(5000, |text| text.parse().unwrap());
    let mails: Vec<Vec<u8>> = (0..count).map(mail).collect();
    let bytes: usize = mails.iter().map(Vec::len).sum();
    println!("{count} mails, {:.1} MB\n", bytes as f64 / 1e6);
    let dovecot = Dovecot::start(&[(DESK, WORD)]);
    dovecot.deliver_many(DESK, &mails);

    let mut table = Table::default();
    let download = best(3, || bare_download(&dovecot, count));
    let reference = count as f64 / download.as_secs_f64();
    table.row("bare IMAP download, batches of 50, nothing stored (a)", reference, reference);
    let parsed = best(3, || bare_parse(&mails));
    table.row(
        "bare parsing, one thread (mail-parser) (b)",
        count as f64 / parsed.as_secs_f64(),
        reference,
    );
    for database in wanted("store") {
        let stored = store_alone(database, &mails).await;
        let name = format!("store alone, groups of {BATCH}, {} (c)", database.name());
        table.row(&name, count as f64 / stored.as_secs_f64(), reference);
    }
    let mut memory = String::new();
    for database in wanted("daemon") {
        let (took, resident) = daemon_run(&dovecot, database, count).await;
        let name = format!("IMAP to committed tickets, {}", database.name());
        table.row(&name, count as f64 / took.as_secs_f64(), reference);
        writeln!(memory, "resident at most, {}: {resident}", database.name()).unwrap();
    }
    println!("{}", table.text);
    println!("{memory}");
    if wants("latency") {
        latency(&dovecot).await;
    }
}

/// Is this part to be measured? `ONLY` names one: `store-sqlite`, `store-postgres`, `daemon-sqlite`,
/// `daemon-postgres`, `latency`.
fn wants(part: &str) -> bool {
    std::env::var("ONLY").map_or(true, |only| only == part)
}

/// The databases with which a part is to be measured.
fn wanted(part: &str) -> impl Iterator<Item = Kind> + use<'_> {
    let of = move |kind: &Kind| match kind {
        Kind::Sqlite => format!("{part}-sqlite"),
        Kind::Postgres => format!("{part}-postgres"),
    };
    [Kind::Sqlite, Kind::Postgres].into_iter().filter(move |kind| wants(&of(kind)))
}

/// Rates beside each other.
#[derive(Default)]
struct Table {
    text: String,
}

impl Table {
    fn row(&mut self, name: &str, rate: f64, reference: f64) {
        writeln!(self.text, "{name:<62} {rate:>9.0} mails/s  ×{:.2}", rate / reference).unwrap();
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite (synchronous=FULL)",
            Self::Postgres => "PostgreSQL",
        }
    }
}

fn best(times: usize, mut work: impl FnMut() -> Duration) -> Duration {
    (0..times).map(|_| work()).min().unwrap()
}

/// Most are short, some are HTML with a quote, a few carry a file; half of them Chinese.
fn mail(number: usize) -> Vec<u8> {
    let customer = number % 500;
    let mut text = format!(
        "From: Customer {customer} <customer{customer}@customer.example>\r\nTo: <{DESK}>\r\n\
         Subject: Question {number}\r\nMessage-ID: <bench.{number}@customer.example>\r\n\
         Date: Thu, 26 Nov 2026 08:00:00 +0800\r\nMIME-Version: 1.0\r\n"
    );
    let words = if number.is_multiple_of(2) {
        "我的钱包转账没有到账，请帮我查一下，谢谢。\r\n"
    } else {
        "My transfer has not arrived, could you please look into it? Thank you.\r\n"
    };
    let body = words.repeat(20 + number % 20);
    let plain =
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    match number % 20 {
        0 => {
            let file =
                "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJz\r\n".repeat(1600);
            write!(
                text,
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{plain}{body}\r\n--b\r\n\
                 Content-Type: image/png; name=screen.png\r\nContent-Transfer-Encoding: base64\r\n\
                 Content-Disposition: attachment; filename=screen.png\r\n\r\n{file}--b--\r\n"
            )
            .unwrap();
        }
        1..=5 => {
            let html = body.replace("\r\n", "<br>\r\n").repeat(3);
            write!(
                text,
                "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n{plain}{body}\r\n\
                 On Mon, Support wrote:\r\n> earlier words\r\n--b\r\n\
                 Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
                 <html><body><p>{html}</p><blockquote>earlier</blockquote></body></html>\r\n--b--\r\n"
            )
            .unwrap();
        }
        _ => write!(text, "{plain}{body}").unwrap(),
    }
    text.into_bytes()
}

fn bare_download(dovecot: &Dovecot, count: usize) -> Duration {
    let mut client = dovecot.imap_client(DESK);
    client.command("EXAMINE INBOX");
    let began = Instant::now();
    let mut got = 0;
    let mut first = 1;
    while got < count {
        let last = first + BATCH - 1;
        let command =
            format!("UID FETCH {first}:{last} (UID INTERNALDATE RFC822.SIZE BODY.PEEK[])");
        let answers = client.command(&command);
        got += answers.iter().filter(|answer| literal(answer).is_some()).count();
        first = last + 1;
    }
    began.elapsed()
}

fn bare_parse(mails: &[Vec<u8>]) -> Duration {
    let parser = mail_parser::MessageParser::default();
    let began = Instant::now();
    for mail in mails {
        std::hint::black_box(parser.parse(std::hint::black_box(mail)));
    }
    began.elapsed()
}

struct NoVault;

#[async_trait]
impl Vault for NoVault {
    async fn get(&self, _: &str) -> Result<Option<Secret>, Cause> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: Secret) -> Result<(), Cause> {
        Ok(())
    }
}

fn channel() -> Channel {
    let text = format!("kind = \"email\"\naddress = \"{DESK}\"\n[receive]\nprotocol = \"pipe\"\n");
    let file = config::File::from_str(&text, config::FileFormat::Toml);
    let table = config::Config::builder().add_source(file).build().unwrap();
    let site = Site {
        public_url: "https://desk.test".to_owned(),
        signer: Signer::new(vec![[7; 32]]),
        vault: Arc::new(NoVault),
    };
    build("mail".parse().unwrap(), table.try_deserialize().unwrap(), &site).unwrap()
}

/// The same messages, understood beforehand, into journal and tickets: what the store can do at most.
async fn store_alone(kind: Kind, mails: &[Vec<u8>]) -> Duration {
    let folder = support::open_folder("bench");
    let database = matches!(kind, Kind::Postgres).then(Database::fresh);
    let url = match &database {
        Some(database) => database.url(),
        None => format!("sqlite://{}/bench.db", folder.path().display()),
    };
    let keys = MasterKeys::load_or_make(&folder.path().join("key")).unwrap();
    let settings = StoreSettings { url, readers: 2 };
    let store = Store::open(&settings, keys, Access::Daemon).await.unwrap();
    store.migrate().await.unwrap();
    let channel = channel();
    let raws: Vec<Raw> = mails
        .iter()
        .enumerate()
        .map(|(number, mail)| Raw {
            dedupe: DedupeKey::new(format!("bench:{number}")),
            body: mail.clone().into(),
            transport: Transport::new(),
            received_at: Some(chrono::Utc::now()),
        })
        .collect();
    let meanings: Vec<_> =
        raws.iter().map(|raw| channel.interpret.interpret(raw).unwrap()).collect();
    let ingest = Arc::new(IngestChannel {
        name: channel.name.clone(),
        realm: channel.realm.clone(),
        policy: channel.policy.clone(),
        delivers: false,
        own: Arc::new(OwnAddresses(channel.addresses.iter().cloned().collect())),
        callbacks: Arc::new(tributary::desk::CallbackPolicy::usual()),
        triage: Arc::default(),
        known: Arc::default(),
        can: channel.capabilities.clone(),
    });
    let mut meanings = meanings.into_iter();
    let began = Instant::now();
    for raws in raws.chunks(BATCH) {
        let now = chrono::Utc::now();
        let appended = store.append_pushed(&channel.name, raws.to_vec(), now).await.unwrap();
        let batch = appended.ids.into_iter().map(|id| Ingest {
            id,
            received_at: now,
            channel: ingest.clone(),
            meaning: Ok(meanings.next().unwrap()),
        });
        store.ingest(batch.collect(), now).await.unwrap();
    }
    let took = began.elapsed();
    store.close().await.unwrap();
    took
}

fn configuration(dovecot: &Dovecot, database: Option<&Database>) -> String {
    let store = database
        .map_or_else(String::new, |database| format!("[store]\nurl = \"{}\"\n", database.url()));
    format!(
        "{store}[console]\nenabled = false\n[channels.mail]\nkind = \"email\"\naddress = \"{DESK}\"\n\
         [channels.mail.receive]\nprotocol = \"imap\"\nhost = \"127.0.0.1\"\nport = {}\n\
         tls = \"none\"\nusername = \"{DESK}\"\npassword = \"{WORD}\"\n",
        dovecot.imap_port()
    )
}

/// The whole daemon on the whole mailbox: from its being ready to the last committed ticket.
async fn daemon_run(dovecot: &Dovecot, kind: Kind, count: usize) -> (Duration, String) {
    let database = matches!(kind, Kind::Postgres).then(Database::fresh);
    let mut daemon = Daemon::prepare(&configuration(dovecot, database.as_ref()));
    daemon.spawn();
    daemon.wait_ready().await;
    let began = Instant::now();
    let idle = daemon.resident_kib();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let metrics = format!("http://127.0.0.1:{}/metrics", daemon.port());
    loop {
        let text = client.get(&metrics).send().await.unwrap().text().await.unwrap();
        let applied = text
            .lines()
            .filter(|line| line.starts_with("tributary_ingested_total") && line.contains("applied"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum::<f64>() as usize;
        if applied >= count {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(600), "{applied} of {count}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = began.elapsed();
    let memory = memory(daemon.process_id(), idle);
    daemon.stop();
    (took, memory)
}

/// What the kernel says of a process: the most that was ever resident, and what there is of it now.
fn memory(process: u32, idle: u64) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let megabytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1024.0
    };
    format!(
        "{:.0} MB; at the end {:.0} MB, of which anonymous {:.0} MB and of files {:.0} MB; when it was ready \
         {:.0} MB",
        megabytes("VmHWM:"),
        megabytes("VmRSS:"),
        megabytes("RssAnon:"),
        megabytes("RssFile:"),
        idle as f64 / 1024.0
    )
}

/// From the moment at which another client gets the server's notice to the moment of our event.
async fn latency(dovecot: &Dovecot) {
    let mut daemon = Daemon::prepare(
        &configuration(dovecot, None)
            .replace("protocol = \"imap\"", "protocol = \"imap\"\nstart = \"new\""),
    );
    daemon.start_again().await;
    let api = daemon.api();
    let mut events = api.events(None).await;
    let mut times = Vec::new();
    let mut watcher = dovecot.imap_client(DESK);
    watcher.command("SELECT INBOX");
    for round in 0..LATENCY_ROUNDS {
        watcher.begin_idle();
        // The daemon is back in its own IDLE long before.
        tokio::time::sleep(Duration::from_millis(300)).await;
        dovecot.deliver(DESK, &mail(1_000_000 + round));
        watcher = tokio::task::spawn_blocking(move || {
            watcher.wait_exists();
            watcher
        })
        .await
        .unwrap();
        let noticed = Instant::now();
        while events.next(Duration::from_secs(20)).await.name != "message.created" {}
        times.push(noticed.elapsed());
        watcher.end_idle();
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "another client's IDLE notice → our event, {LATENCY_ROUNDS} mails: median {:.1} ms, p90 {:.1} ms, \
         most {:.1} ms",
        at(0.5),
        at(0.9),
        at(1.0)
    );
    daemon.stop();
}
