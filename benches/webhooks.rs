//! Webhooks that are durable before they are answered, and web chats that stay open.
//!
//! Messages are pushed to the API channel's hook over 16 and 256 connections, each answered after its commit. In the
//! same run: how many such commits the store makes for as many callers, and how many requests a handler answers that
//! does nothing. Then 5,000 visitors keep a stream open, and the daemon's memory is divided by their number.
//! `cargo bench --bench webhooks`, with `HOOKS=10000` and `CHATS=5000` by default.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement that meets the unexpected has to fail"
)]

#[path = "../tests/it/support/mod.rs"]
mod support;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use support::daemon::Daemon;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tributary::model::{DedupeKey, Raw, Transport};
use tributary::store::{Access, MasterKeys, Store, StoreSettings};

const CONNECTIONS: [usize; 2] = [16, 256];
const TOKEN: &str = "a-token-of-more-than-twenty-letters";
const CONFIGURATION: &str = "[console]\nenabled = false\n\
    [channels.crm]\nkind = \"api\"\ntoken = \"a-token-of-more-than-twenty-letters\"\n\
    [channels.web]\nkind = \"webchat\"\n[channels.web.limits]\nsessions_per_hour = 1000000\n\
    requests_per_minute = 10000000\n";

fn main() {
    // `cargo test --benches` only wants to know that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    rustls::crypto::ring::default_provider().install_default().ok();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure());
}

fn setting(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

async fn measure() {
    let count = setting("HOOKS", 10_000);
    for connections in CONNECTIONS {
        println!("{count} messages over {connections} connections");
        let bare = bare_handler(count, connections).await;
        bare.show("a handler that does nothing (axum)", &bare);
        store_alone(count, connections)
            .await
            .show("commits of the store alone, SQLite FULL", &bare);
        hooks(count, connections).await.show("hook of the API channel, durable", &bare);
        println!();
    }
    chats(setting("CHATS", 5_000)).await;
}

/// What came of so many calls.
struct Figures {
    rate: f64,
    median: Duration,
    p99: Duration,
}

impl Figures {
    fn show(&self, name: &str, reference: &Self) {
        let share = self.rate / reference.rate;
        let (median, p99) = (self.median.as_secs_f64() * 1e3, self.p99.as_secs_f64() * 1e3);
        println!(
            "  {name:<42} {:>7.0}/s  ×{share:.2}  median {median:.1} ms, p99 {p99:.1} ms",
            self.rate
        );
    }
}

/// Makes `count` calls, `at_once` of them under way at any time. `open` makes what each lane keeps.
async fn calls<L, O, C, F>(count: usize, at_once: usize, open: O, call: C) -> Figures
where
    L: Send + 'static,
    O: AsyncFn() -> L,
    C: Fn(L, usize) -> F + Clone + Send + 'static,
    F: Future<Output = L> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut lanes = Vec::with_capacity(at_once);
    for _ in 0..at_once {
        lanes.push(open().await);
    }
    let began = Instant::now();
    let running: Vec<_> = lanes
        .into_iter()
        .map(|mut lane| {
            let (next, call) = (next.clone(), call.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return times;
                    }
                    let began = Instant::now();
                    lane = call(lane, number).await;
                    times.push(began.elapsed());
                }
            })
        })
        .collect();
    let mut times = Vec::with_capacity(count);
    for lane in running {
        times.extend(lane.await.unwrap());
    }
    let took = began.elapsed();
    times.sort_unstable();
    let rate = count as f64 / took.as_secs_f64();
    Figures { rate, median: times[times.len() / 2], p99: times[times.len() * 99 / 100] }
}

/// One connection that is kept, spoken to as plainly as can be: the client must not be what is measured.
async fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Posts a message; the answer has to be good.
async fn post(mut stream: TcpStream, number: usize) -> TcpStream {
    let body = format!(
        r#"{{"id":"m{number}","conversation":"c{}","sender":{{"id":"u{}"}},"text":"Where is my transfer? 转账没有到账"}}"#,
        number % 500,
        number % 500
    );
    let request = format!(
        "POST /hooks/crm HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 4096];
    let mut read = 0;
    loop {
        let got = stream.read(&mut answer[read..]).await.unwrap();
        assert!(got > 0, "the connection was closed");
        read += got;
        let text = String::from_utf8_lossy(&answer[..read]).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        assert!(head.starts_with("http/1.1 2"), "{text}");
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if body.len() >= length.map_or(0, |length| length.trim().parse().unwrap()) {
            return stream;
        }
    }
}

async fn bare_handler(count: usize, connections: usize) -> Figures {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let route = axum::routing::post(async |_: axum::body::Bytes| "{}");
    let router = axum::Router::new().route("/hooks/crm", route);
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let figures = calls(count, connections, async || connect(port).await, post).await;
    server.abort();
    figures
}

async fn store_alone(count: usize, at_once: usize) -> Figures {
    let folder = support::open_folder("bench");
    let keys = MasterKeys::load_or_make(&folder.path().join("key")).unwrap();
    let url = format!("sqlite://{}/bench.db", folder.path().display());
    let store =
        Store::open(&StoreSettings { url, readers: 2 }, keys, Access::Daemon).await.unwrap();
    store.migrate().await.unwrap();
    let append = async |store: Store, number: usize| {
        let raw = Raw {
            dedupe: DedupeKey::new(format!("bench:{number}")),
            body: vec![b'x'; 130].into(),
            transport: Transport::new(),
            received_at: None,
        };
        store.append_pushed(&"crm".parse().unwrap(), vec![raw], chrono::Utc::now()).await.unwrap();
        store
    };
    let call = move |store: Store, number: usize| append(store, number);
    let kept = store.clone();
    let figures = calls(count, at_once, async || kept.clone(), call).await;
    store.close().await.unwrap();
    figures
}

async fn hooks(count: usize, connections: usize) -> Figures {
    let mut daemon = Daemon::prepare(CONFIGURATION);
    daemon.start_again().await;
    let port = daemon.port();
    let figures = calls(count, connections, async || connect(port).await, post).await;
    daemon.stop();
    figures
}

/// Visitors who came in and listen for answers.
async fn chats(count: usize) {
    let mut daemon = Daemon::prepare(CONFIGURATION);
    daemon.start_again().await;
    let port = daemon.port();
    let client = support::daemon::client();
    let before = daemon.resident_kib();
    let mut open = Vec::with_capacity(count);
    for number in 0..count {
        let session = client.post(format!("http://127.0.0.1:{port}/chat/web/session"));
        let answer = session.json(&serde_json::json!({})).send().await.unwrap();
        let session: serde_json::Value = answer.json().await.unwrap();
        let token = session["token"].as_str().unwrap_or_else(|| panic!("{number}: {session}"));
        let mut stream = connect(port).await;
        let request = format!(
            "GET /chat/web/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Accept: text/event-stream\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 2048];
        let read = stream.read(&mut head).await.unwrap();
        let text = String::from_utf8_lossy(&head[..read]);
        assert!(text.starts_with("HTTP/1.1 200"), "{number}: {text}");
        open.push(stream);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = daemon.resident_kib();
    let each = (after.saturating_sub(before)) as f64 / count as f64;
    println!(
        "{count} open web chats: {before} KiB before, {after} KiB with them, {each:.1} KiB each"
    );
    daemon.stop();
}
