//! `/events`: the stream of everything goes on where it was cut, without a gap and without a repetition.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use tributary::engine::Clock;
use tributary::model::{Actor, ActorKind, Role};
use tributary::store::{Access, MasterKeys, Store, StoreSettings};

use super::{LIMIT, MAIL, letter};
use crate::api::refused;
use crate::support::app::App;
use crate::support::postgres::Database;
use crate::support::wait_until;

const WRITERS: usize = 4;
const EACH: usize = 40;

/// Writes events, each its own transaction.
async fn write(store: Store, name: String) {
    for number in 0..EACH {
        let now = Clock::system().now();
        store
            .create_token(&format!("{name}-{number}"), Role::ReadOnly, None, &Actor::system(), now)
            .await
            .unwrap();
    }
}

/// Follows the stream, and leaves it after every `cut` events, until it has seen `count`.
async fn follow(app: &App, mut last: String, cut: usize, count: usize) -> Vec<i64> {
    let api = app.api(Role::ReadOnly);
    let mut seen: Vec<i64> = Vec::new();
    while seen.len() < count {
        let mut stream = api.events(Some(&last)).await;
        for _ in 0..cut.min(count - seen.len()) {
            let event = stream.next(LIMIT).await;
            assert_eq!(event.id, event.data["seq"].to_string(), "{event:?}");
            assert_eq!(event.name, event.data["kind"].as_str().unwrap());
            last.clone_from(&event.id);
            seen.push(event.id.parse().unwrap());
        }
    }
    seen
}

async fn seqs(store: &Store, after: i64) -> Vec<i64> {
    let all = store.events_after(after, 100_000).await.unwrap();
    all.into_iter().map(|event| event.seq).collect()
}

/// COMPLAINTS A7
#[tokio::test]
async fn a_stream_that_is_cut_again_and_again_misses_nothing_and_repeats_nothing() {
    let app = App::start("").await;
    let start = app.store.last_event().await.unwrap();
    let writers = (0..WRITERS).map(|name| tokio::spawn(write(app.store.clone(), name.to_string())));
    let writers: Vec<_> = writers.collect();
    let seen = follow(&app, start.to_string(), 7, WRITERS * EACH).await;
    futures::future::join_all(writers).await;
    assert_eq!(seen, seqs(&app.store, start).await, "the commit order, whole");
}

/// The same while another node writes to the same database.
#[tokio::test]
async fn what_another_node_writes_comes_too_and_in_order() {
    let database = Database::fresh();
    let app = App::start_on(&database.url(), "").await;
    let keys = MasterKeys::parse("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    let settings = StoreSettings { url: database.url(), readers: 2 };
    let other = Store::open(&settings, keys, Access::Daemon).await.unwrap();
    let start = app.store.last_event().await.unwrap();
    let mut writers = Vec::new();
    for name in 0..WRITERS {
        let store = if name % 2 == 0 { app.store.clone() } else { other.clone() };
        writers.push(tokio::spawn(write(store, name.to_string())));
    }
    let seen = follow(&app, start.to_string(), 11, WRITERS * EACH).await;
    futures::future::join_all(writers).await;
    assert_eq!(seen, seqs(&app.store, start).await);
    // Nothing of this node gives a hint now.
    let mut stream = app.api(Role::ReadOnly).events(None).await;
    other
        .create_token("late", Role::ReadOnly, None, &Actor::system(), Clock::system().now())
        .await
        .unwrap();
    assert_eq!(stream.next(Duration::from_secs(10)).await.name, "token.created");
    other.close().await.unwrap();
}

#[tokio::test]
async fn a_stream_begins_now_or_where_it_was_asked_to() {
    let app = App::start(MAIL).await;
    app.receive("mail", letter(1)).await;
    let api = app.api(Role::ReadOnly);
    let mut now = api.events(None).await;
    let ticket = app.receive("mail", letter(2)).await.ticket;
    let first = now.next(LIMIT).await;
    assert_eq!(
        (first.name.as_str(), first.data["ticket_id"].as_str()),
        ("ticket.created", Some(ticket.to_string().as_str()))
    );
    let whole = api.request(Method::GET, "/events?after=0").send().await.unwrap();
    assert_eq!(whole.headers()["content-type"], "text/event-stream");
    assert_eq!(whole.headers()["x-accel-buffering"], "no");
    let begins = format!("id: {}\n", app.store.last_event().await.unwrap());
    let head = api.request(Method::GET, "/events").send().await.unwrap().chunk().await.unwrap();
    let head = String::from_utf8(head.unwrap().to_vec()).unwrap();
    assert!(head.contains(&begins) && head.contains("retry: 1000\n"), "{head}");
    for bad in ["x", "-1", "1.5"] {
        let request = api.request(Method::GET, "/events").header("Last-Event-ID", bad);
        refused(request, 400, "bad_last_event_id").await;
    }
    refused(api.request(Method::GET, "/events?after=x"), 400, "bad_query").await;
}

/// Whoever takes nothing is cut, costs no memory meanwhile, and goes on from where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_cut_and_goes_on_later() {
    let app = App::start_with(MAIL, |settings| {
        settings.streams_max = 1;
        settings.stall_max = Duration::from_secs(2);
    })
    .await;
    let start = app.store.last_event().await.unwrap();
    // Events of 50 kB each, more of them than any socket's buffers hold.
    let actor = Actor { kind: ActorKind::Agent, id: None, name: "x".repeat(50_000) };
    let channel = "mail".parse().unwrap();
    for _ in 0..300 {
        app.store.set_paused(&channel, true, actor.clone(), Clock::system().now()).await.unwrap();
    }
    let wanted = seqs(&app.store, start).await;
    let token = app
        .store
        .create_token("reader", Role::ReadOnly, None, &Actor::system(), Clock::system().now())
        .await;
    let token = token.unwrap().1;
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(8192).unwrap();
    let address: std::net::SocketAddr = app.base.strip_prefix("http://").unwrap().parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let mut slow = TcpStream::from(socket);
    let request = format!(
        "GET /api/v1/events?after={start} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        token.reveal()
    );
    slow.write_all(request.as_bytes()).unwrap();
    let mut status = [0; 12];
    slow.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let api = app.api(Role::ReadOnly);
    let open = async || api.request(Method::GET, "/events").send().await.unwrap().status().as_u16();
    wait_until("its place is taken", LIMIT, async || open().await == 503).await;
    refused(api.request(Method::GET, "/events"), 503, "too_many_streams").await;
    wait_until("it is cut", LIMIT, async || open().await == 200).await;
    // What had reached it before the cut.
    slow.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let got = tokio::task::spawn_blocking(move || {
        let (mut bytes, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        while let Ok(length @ 1..) = slow.read(&mut buffer) {
            bytes.extend_from_slice(&buffer[..length]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let got = got.await.unwrap();
    let whole = got.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
    let ids = whole.lines().filter_map(|line| line.strip_prefix("id: "));
    let mut seen: Vec<i64> = ids.map(|id| id.parse().unwrap()).skip(1).collect();
    assert!(seen.len() < wanted.len(), "it was not slow");
    let last = seen.last().copied().unwrap_or(start);
    wait_until("a place is free", LIMIT, async || open().await == 200).await;
    seen.extend(follow(&app, last.to_string(), 1000, wanted.len() - seen.len()).await);
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn a_stream_ends_when_the_daemon_stops() {
    let app = App::start("").await;
    let response = app.api(Role::ReadOnly).request(Method::GET, "/events").send().await.unwrap();
    let read = tokio::spawn(response.text());
    tokio::time::sleep(Duration::from_millis(200)).await;
    app.engine.stop().await;
    let ended = tokio::time::timeout(Duration::from_secs(5), read).await;
    assert!(ended.expect("it goes on").unwrap().is_ok());
}
