//! The console with very many tickets: what the first page weighs and how long it takes, and each list behind it.
//!
//! A daemon with 100,000 tickets on SQLite and on PostgreSQL, over loopback. In the same run, as the measure of all
//! others: the smallest file that the same server has. `cargo bench --bench console`, with `TICKETS=100000` by default.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement that meets the unexpected has to fail"
)]

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::browser::{Browser, Screen};
use support::crowd::{COMMON, RARE, crowd};
use support::daemon::{Api, Daemon};
use support::postgres::Database;

const ROUNDS: usize = 20;
const MAIL: &str = "[channels.mail]\nkind = \"email\"\naddress = \"support@desk.test\"\n\
    [channels.mail.receive]\nprotocol = \"pipe\"\n\
    [channels.mail.send]\nhost = \"127.0.0.1\"\nport = 9\ntls = \"none\"\n";
const FIRST: &str = "From: Ann <ann@customer.example>\r\nTo: support@desk.test\r\nSubject: transfer\r\n\
    Message-ID: <first@customer.example>\r\nDate: Thu, 26 Nov 2026 08:00:00 +0000\r\n\r\nNot arrived.\r\n";
/// The lists of the console, as it asks for them.
const LISTS: &[(&str, &str)] = &[
    ("Open", "status=open"),
    ("Mine", "assignee=me&status=open,pending"),
    ("Unassigned", "assignee=none&status=open"),
    ("Urgent", "priority=urgent&status=open,pending"),
    ("Waiting for us", "waiting=us&status=open"),
    ("Pending", "status=pending"),
    ("Solved", "status=solved,closed"),
    ("Spam", "status=spam"),
    ("All", ""),
    ("By channel", "channel=mail"),
    ("By tag", "tag=fees"),
];
/// Notes when the first row is there.
const WATCH: &str = "new MutationObserver((_, watch) => { if (document.querySelector('a.row')) { \
    window.rowsAt ??= performance.now(); watch.disconnect(); } }).observe(document, { childList: true, subtree: true })";

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    rustls::crypto::ring::default_provider().install_default().ok();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let count = std::env::var("TICKETS").map_or(100_000, |text| text.parse().unwrap());
        measure("SQLite", None, count).await;
        measure("PostgreSQL", Some(Database::fresh()), count).await;
    });
}

async fn measure(name: &str, database: Option<Database>, count: u32) {
    let mut daemon = Daemon::prepare("");
    let file = daemon.state_folder().join("tributary.db");
    let url = database.as_ref().map_or(format!("sqlite://{}", file.display()), Database::url);
    daemon.configure(&format!("[store]\nurl = \"{url}\"\n{MAIL}"));
    daemon.start_again().await;
    let mail = daemon.folder().join("first.eml");
    std::fs::write(&mail, FIRST).unwrap();
    assert!(daemon.run(&["ingest", "mail", mail.to_str().unwrap()]).status.success());
    assert_eq!(daemon.stop(), Some(0));
    let began = Instant::now();
    crowd(&url, count).await;
    daemon.start_again().await;
    println!("\n{name}: {count} tickets, made in {:.1} s", began.elapsed().as_secs_f64());
    let api = daemon.api();
    let bare = bare(&daemon).await;
    println!("{:<44} {:>9} {:>9}", "", "median", "times");
    row("a static file of 242 bytes (reference)", bare, bare);
    lists(&api, bare).await;
    first_page(&daemon, bare).await;
}

fn row(name: &str, took: Duration, bare: Duration) {
    let times = took.as_secs_f64() / bare.as_secs_f64();
    println!("{name:<44} {:>6.1} ms {times:>8.1}x", took.as_secs_f64() * 1000.0);
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

async fn bare(daemon: &Daemon) -> Duration {
    let address = format!("http://127.0.0.1:{}/console/assets/icon.svg", daemon.port());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        client.get(&address).send().await.unwrap().bytes().await.unwrap();
        times.push(began.elapsed());
    }
    median(times)
}

async fn timed(api: &Api, path: &str) -> (Duration, Value) {
    let (mut times, mut last) = (Vec::new(), Value::Null);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        last = api.get(path).await;
        times.push(began.elapsed());
    }
    (median(times), last)
}

async fn lists(api: &Api, bare: Duration) {
    for (name, query) in LISTS.iter().filter(|(_, query)| !query.contains("assignee=me")) {
        let path = format!("/tickets?{query}&sort=-updated_at&limit=30");
        row(&format!("list «{name}»"), timed(api, &path).await.0, bare);
    }
    for (name, word) in [("a thousandth", RARE), ("every ticket", COMMON)] {
        let path = format!("/tickets?q={word}&sort=-updated_at&limit=30");
        let (took, found) = timed(api, &path).await;
        assert!(!found["items"].as_array().unwrap().is_empty(), "{word}");
        row(&format!("search for {word} ({name} has it)"), took, bare);
    }
    // As somebody does who scrolls for ever.
    let mut path = "/tickets?sort=-updated_at&limit=30".to_owned();
    let mut times = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        let page = api.get(&path).await;
        times.push(began.elapsed());
        let cursor = page["next_cursor"].as_str().unwrap();
        path = format!("/tickets?sort=-updated_at&limit=30&cursor={cursor}");
    }
    row("pages 190 to 200 of «All»", median(times.split_off(190)), bare);
    let queries: Vec<String> =
        LISTS.iter().map(|(_, query)| format!("{query}&sort=-updated_at")).collect();
    let queries: Vec<&String> = queries.iter().filter(|one| !one.contains("=me")).collect();
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        api.post("/tickets/counts", &json!({ "queries": queries }), "").await.unwrap();
        times.push(began.elapsed());
    }
    row("the numbers beside all lists", median(times), bare);
}

async fn first_page(daemon: &Daemon, bare: Duration) {
    let added = daemon.run(&["user", "add", "Lena", "lena@desk.test", "--role", "admin", "--json"]);
    let added: Value = serde_json::from_slice(&added.stdout).unwrap();
    let browser = Browser::start(Screen::Desktop).await;
    browser.open(added["sign_in"].as_str().unwrap()).await;
    let button = browser.element("the button", "return document.querySelector('button')").await;
    browser.click(&button).await;
    browser.wait("the console", "return !!document.querySelector('a.row')").await;
    browser.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;
    browser.without_cache().await;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        browser.reload().await;
        let at = browser.wait("the rows", "return window.rowsAt").await;
        times.push(Duration::from_secs_f64(at.as_f64().unwrap() / 1000.0));
    }
    browser.wait("the numbers", "return !!document.querySelector('.count')?.textContent").await;
    row("first page in Chromium, until rows are seen", median(times), bare);
    let loaded = "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]\
        .map((one) => [new URL(one.name).pathname, one.decodedBodySize, one.encodedBodySize])";
    let loaded = browser.run(loaded, json!([])).await;
    println!("{:<44} {:>9} {:>9}", "what it loads", "bytes", "on wire");
    let (mut raw, mut wire) = (0, 0);
    for one in loaded.as_array().unwrap() {
        let (whole, sent) = (one[1].as_u64().unwrap(), one[2].as_u64().unwrap());
        println!("{:<44} {whole:>9} {sent:>9}", one[0].as_str().unwrap());
        raw += whole;
        wire += sent;
    }
    println!("{:<44} {raw:>9} {wire:>9}", "together");
}
