//! The daemon as a process: when it says that it is ready, what signals do, that there is only one of it.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::daemon::Daemon;
use crate::support::lmtp_client::{Greeting, Submitter};
use crate::support::{Signal, free_port, port_answers, wait_until};

const LIMIT: Duration = Duration::from_secs(20);

fn lmtp(name: &str, port: u16) -> String {
    format!(
        "[channels.{name}]\nkind = \"email\"\naddress = \"{name}@example.test\"\n\
         [channels.{name}.receive]\nprotocol = \"lmtp\"\nverify = false\n\
         listen = \"127.0.0.1:{port}\"\n\n"
    )
}

fn mail(to: &str, number: usize) -> Vec<u8> {
    format!(
        "From: ann@customer.example\r\nTo: {to}\r\nSubject: question {number}\r\n\
         Message-ID: <{number}@customer.example>\r\n\r\nHow?\r\n"
    )
    .into_bytes()
}

/// What systemd is told.
struct Systemd(UnixDatagram);

impl Systemd {
    fn watch(daemon: &mut Daemon) -> Self {
        let path = daemon.folder().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        daemon.set_environment("NOTIFY_SOCKET", path.to_str().unwrap());
        Self(socket)
    }

    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.0.recv(&mut buffer).expect("systemd was told nothing more");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Everything up to the message that holds this line.
    fn until(&self, line: &str) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let message = self.next();
            let found = message.lines().any(|one| one.starts_with(line));
            all.push(message);
            if found {
                return all;
            }
        }
    }

    fn said_nothing_of(&self, line: &str) {
        self.0.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        while let Ok(length) = self.0.recv(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            assert!(!message.contains(line), "{message}");
        }
        self.0.set_nonblocking(false).unwrap();
    }
}

#[tokio::test]
async fn it_is_ready_when_it_can_be_asked_and_not_before() {
    let mut daemon = Daemon::prepare(&lmtp("one", free_port()));
    let systemd = Systemd::watch(&mut daemon);
    daemon.spawn();
    let said = systemd.until("READY=1");
    assert!(said.iter().any(|message| message.contains("STATUS=opening the store")), "{said:?}");
    assert!(said.iter().any(|message| message.contains("EXTEND_TIMEOUT_USEC=")), "{said:?}");
    // At this very moment: migrations are done, the port is bound.
    let url = format!("http://127.0.0.1:{}/readyz", daemon.port());
    let answer = reqwest_client().get(url).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    daemon.signal(Signal::Hup);
    let reloading = systemd.until("READY=1");
    let first = reloading.first().unwrap();
    assert!(first.contains("RELOADING=1") && first.contains("MONOTONIC_USEC="), "{reloading:?}");
    assert!(reloading.last().unwrap().contains("STATUS=reloaded: 0 channels changed"));
    assert_eq!(daemon.stop(), Some(0));
    assert!(systemd.until("STOPPING=1").last().unwrap().contains("STATUS=stopping"));
}

#[test]
fn whoever_cannot_start_never_says_ready() {
    let mut daemon = Daemon::prepare("[channels.x]\nkind = \"email\"\n");
    let systemd = Systemd::watch(&mut daemon);
    daemon.spawn();
    assert_eq!(daemon.wait_end(LIMIT), Some(78), "{}", daemon.log());
    systemd.said_nothing_of("READY=1");
    daemon.configure("");
    let taken = std::net::TcpListener::bind(("127.0.0.1", daemon.port())).unwrap();
    daemon.spawn();
    assert_eq!(daemon.wait_end(LIMIT), Some(1), "{}", daemon.log());
    assert!(daemon.log().contains("http.listen 127.0.0.1:"), "{}", daemon.log());
    systemd.said_nothing_of("READY=1");
    drop(taken);
    daemon.configure("[store]\nurl = \"sqlite://var/t.db\"\nauto_migrate = false\n");
    daemon.spawn();
    assert_eq!(daemon.wait_end(LIMIT), Some(1), "{}", daemon.log());
    assert!(daemon.log().contains("run `tributary migrate`"), "{}", daemon.log());
    systemd.said_nothing_of("READY=1");
}

#[tokio::test]
async fn the_watchdog_is_fed_by_work_that_reached_the_store() {
    let mut daemon = Daemon::prepare("");
    let systemd = Systemd::watch(&mut daemon);
    daemon.set_environment("WATCHDOG_USEC", "60000000");
    daemon.spawn();
    systemd.until("READY=1");
    systemd.until("WATCHDOG=1");
    assert_eq!(daemon.stop(), Some(0));
}

/// FAULTS 191
#[tokio::test]
async fn a_faulty_file_is_refused_and_what_runs_goes_on() {
    let port = free_port();
    let mut daemon = Daemon::prepare("");
    let systemd = Systemd::watch(&mut daemon);
    daemon.configure(&lmtp("one", port));
    daemon.start_again().await;
    systemd.until("READY=1");
    wait_until("the port", LIMIT, async || port_answers(port)).await;
    let faulty = [
        format!("{}[channels.two]\nkind = \"emial\"\n", lmtp("one", free_port())),
        format!("{}[htpp]\n", lmtp("one", free_port())),
        "[channels.one\n".to_owned(),
    ];
    for (number, text) in faulty.iter().enumerate() {
        daemon.configure(text);
        daemon.signal(Signal::Hup);
        let said = systemd.until("READY=1");
        assert!(said.last().unwrap().contains("STATUS=reload refused"), "{said:?}");
        // The old port still takes mail.
        let mut session = Submitter::connect(port, Greeting::Lmtp);
        session.send("ann@customer.example", "one@example.test", &mail("one@example.test", number));
    }
    let metrics = metrics(&daemon).await;
    assert!(metrics.contains("tributary_reloads_total{outcome=\"refused\"} 3"), "{metrics}");
    assert!(daemon.log().contains("the new configuration is refused"), "{}", daemon.log());
    let api = daemon.api();
    wait_until("the mails", LIMIT, async || api.messages().await.len() == 3).await;
    daemon.configure(&lmtp("one", port));
    daemon.signal(Signal::Hup);
    let said = systemd.until("READY=1");
    assert!(said.last().unwrap().contains("STATUS=reloaded: 0 channels changed"), "{said:?}");
}

/// FAULTS 192: only what changed is started anew; what is there keeps its connections.
#[tokio::test]
async fn a_reload_touches_only_the_channels_that_changed() {
    let (one, two, moved) = (free_port(), free_port(), free_port());
    let mut daemon = Daemon::prepare("");
    let systemd = Systemd::watch(&mut daemon);
    daemon.configure(&(lmtp("one", one) + &lmtp("two", two)));
    daemon.start_again().await;
    systemd.until("READY=1");
    for port in [one, two] {
        wait_until("the ports", LIMIT, async || port_answers(port)).await;
    }
    // Open over the reload: it belongs to the channel that is not touched.
    let mut kept = Submitter::connect(one, Greeting::Lmtp);
    let mut cut = Submitter::connect(two, Greeting::Lmtp);
    daemon.configure(&(lmtp("one", one) + &lmtp("two", moved)));
    daemon.signal(Signal::Hup);
    let said = systemd.until("READY=1");
    assert!(said.last().unwrap().contains("1 channels changed, 0 removed"), "{said:?}");
    kept.send("ann@customer.example", "one@example.test", &mail("one@example.test", 1));
    wait_until("the new port", LIMIT, async || port_answers(moved)).await;
    assert!(!port_answers(two), "the old port is still open");
    let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cut.try_send("ann@customer.example", "two@example.test", &mail("two@example.test", 2))
    }));
    assert!(broken.is_err(), "the changed channel kept its old connection");
    daemon.configure(&lmtp("two", moved));
    daemon.signal(Signal::Hup);
    let said = systemd.until("READY=1");
    assert!(said.last().unwrap().contains("0 channels changed, 1 removed"), "{said:?}");
    wait_until("the end of it", LIMIT, async || !port_answers(one)).await;
    let api = daemon.api();
    wait_until("its ticket stays", LIMIT, async || api.tickets().await.len() == 1).await;
    let port = free_port();
    daemon.configure(&format!("[http]\nlisten = \"127.0.0.1:{port}\"\n{}", lmtp("two", moved)));
    daemon.signal(Signal::Hup);
    let said = systemd.until("READY=1");
    assert!(said.last().unwrap().contains("[http] changed too: restart for that"), "{said:?}");
}

#[tokio::test]
async fn asked_to_stop_it_ends_with_success_and_gives_everything_back() {
    for signal in [Signal::Term, Signal::Int] {
        let port = free_port();
        let mut daemon = Daemon::start(&lmtp("one", port)).await;
        wait_until("the port", LIMIT, async || port_answers(port)).await;
        let began = Instant::now();
        assert!(daemon.signal(signal));
        assert_eq!(daemon.wait_end(LIMIT), Some(0), "{signal:?}: {}", daemon.log());
        assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
        // Nothing has to run out before the next one may go on.
        let began = Instant::now();
        daemon.start_again().await;
        wait_until("the port again", LIMIT, async || port_answers(port)).await;
        assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
        let mut session = Submitter::connect(port, Greeting::Lmtp);
        session.send("ann@customer.example", "one@example.test", &mail("one@example.test", 1));
        assert_eq!(daemon.stop(), Some(0));
    }
}

#[tokio::test]
async fn a_second_daemon_on_the_same_file_refuses_to_start() {
    let daemon = Daemon::start("").await;
    let mut second = Daemon::prepare("");
    let file = daemon.state_folder().join("tributary.db");
    second.configure(&format!("[store]\nurl = \"sqlite://{}\"\n", file.display()));
    let key = daemon.state_folder().join("master.key");
    std::fs::copy(key, second.state_folder().join("master.key")).unwrap();
    second.spawn();
    assert_eq!(second.wait_end(LIMIT), Some(1));
    let log = second.log();
    assert!(log.contains("another tributary runs on") && log.contains("tributary.db"), "{log}");
    assert!(daemon.api().tickets().await.is_empty(), "the first one goes on");
}

/// COMPLAINTS L10, L20: how each channel is can be asked from outside.
#[tokio::test]
async fn a_channel_that_cannot_listen_says_so_and_the_others_work() {
    let (good, bad) = (free_port(), free_port());
    let taken = std::net::TcpListener::bind(("127.0.0.1", bad)).unwrap();
    let daemon = Daemon::start(&(lmtp("good", good) + &lmtp("bad", bad))).await;
    wait_until("the good one", LIMIT, async || port_answers(good)).await;
    let up = |metrics: &str, name: &str, value: u8| {
        let line = format!("tributary_channel_up{{channel=\"{name}\",part=\"listen\"}} {value}");
        metrics.lines().any(|one| one == line)
    };
    wait_until("the metrics", LIMIT, async || {
        let metrics = metrics(&daemon).await;
        up(&metrics, "good", 1) && up(&metrics, "bad", 0)
    })
    .await;
    let answer = daemon.api().get("/channels").await;
    let shown = answer["items"].as_array().unwrap();
    let bad_one: &Value = shown.iter().find(|one| one["name"] == "bad").unwrap();
    assert!(bad_one["last_error"].as_str().unwrap().contains("cannot be listened on"), "{bad_one}");
    drop(taken);
    wait_until("it heals by itself", Duration::from_secs(40), async || {
        up(&metrics(&daemon).await, "bad", 1)
    })
    .await;
}

async fn metrics(daemon: &Daemon) -> String {
    let url = format!("http://127.0.0.1:{}/metrics", daemon.port());
    reqwest_client().get(url).send().await.unwrap().text().await.unwrap()
}

fn reqwest_client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
