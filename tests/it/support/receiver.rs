//! An HTTP server that does what receivers do on bad days, and remembers what it was asked.
//!
//! A thread for each connection, one request a connection; the port stays the same over `stop` and
//! `start_again`.

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use super::free_port;
use super::tls::{Authority, Flaw};

/// What one request held.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    pub at: Instant,
}

impl Asked {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A header, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What is done with a request after it was read whole.
#[derive(Clone, Debug)]
pub enum Does {
    /// An answer: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, String),
    /// An answer after a while.
    Late(Duration, u16),
    /// Nothing at all, until the caller leaves.
    Hang,
    /// Headers and half a body, then nothing.
    HangInBody(u16),
    /// A body without an end.
    Endless(u16),
    /// The connection is closed without a word.
    Close,
}

impl Does {
    /// A bare status.
    pub fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), String::new())
    }

    /// A status with a header.
    pub fn with(status: u16, name: &'static str, value: impl Into<String>) -> Self {
        Self::Answer(status, vec![(name, value.into())], String::new())
    }

    /// 200 with a body.
    pub fn body(body: impl Into<String>) -> Self {
        Self::Answer(200, Vec::new(), body.into())
    }
}

type Script = Box<dyn FnMut(&Asked) -> Does + Send>;

struct Shared {
    asked: Mutex<Vec<Asked>>,
    script: Mutex<Script>,
    connections: AtomicUsize,
    bytes_sent: AtomicUsize,
    tls: Option<Arc<rustls::ServerConfig>>,
}

/// The server; ends with the value.
pub struct Receiver {
    port: u16,
    shared: Arc<Shared>,
    running: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Receiver {
    /// Answers each request as the script says.
    pub fn start(script: impl FnMut(&Asked) -> Does + Send + 'static) -> Self {
        Self::start_with(script, None)
    }

    /// Answers everything with one status.
    pub fn answering(status: u16) -> Self {
        Self::start(move |_| Does::status(status))
    }

    /// Speaks TLS with a certificate that may have a flaw.
    pub fn tls(authority: &Authority, flaw: Flaw) -> Self {
        let (certificate, key) = authority.certificate(flaw);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        Self::start_with(|_| Does::status(200), Some(Arc::new(config)))
    }

    fn start_with(
        script: impl FnMut(&Asked) -> Does + Send + 'static,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let shared = Arc::new(Shared {
            asked: Mutex::default(),
            script: Mutex::new(Box::new(script)),
            connections: AtomicUsize::new(0),
            bytes_sent: AtomicUsize::new(0),
            tls,
        });
        let mut receiver = Self { port: free_port(), shared, running: None };
        receiver.start_again();
        receiver
    }

    /// Listens again after a `stop`.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "the receiver runs already");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopping) = (self.shared.clone(), stop.clone());
        let thread = std::thread::spawn(move || accept(&listener, &shared, &stopping));
        self.running = Some((stop, thread));
    }

    /// Nobody answers at the port any more.
    pub fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            stop.store(true, Ordering::SeqCst);
            drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
            thread.join().unwrap();
        }
    }

    /// From now on.
    pub fn does(&self, script: impl FnMut(&Asked) -> Does + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// `http://127.0.0.1:…` and the path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Connections so far, whatever came over them.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Bytes of bodies without an end that were taken.
    pub fn bytes_sent(&self) -> usize {
        self.shared.bytes_sent.load(Ordering::SeqCst)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, stop: &Arc<AtomicBool>) {
    let mut threads = Vec::new();
    for stream in listener.incoming() {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let Ok(stream) = stream else { continue };
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let (shared, stop) = (shared.clone(), stop.clone());
        threads.push(std::thread::spawn(move || {
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            match &shared.tls {
                None => {
                    serve(&stream, &shared, &stop);
                    drop(stream.shutdown(Shutdown::Both));
                }
                Some(config) => {
                    let session = rustls::ServerConnection::new(config.clone()).unwrap();
                    serve(rustls::StreamOwned::new(session, stream), &shared, &stop);
                }
            }
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

fn serve(stream: impl Read + Write, shared: &Shared, stop: &AtomicBool) {
    let mut stream = BufReader::new(stream);
    let Some(asked) = read_request(&mut stream) else { return };
    let does = (shared.script.lock().unwrap())(&asked);
    shared.asked.lock().unwrap().push(asked);
    let out = stream.get_mut();
    match does {
        Does::Answer(status, headers, body) => answer(out, status, &headers, &body),
        Does::Late(pause, status) => {
            wait(pause, stop);
            answer(out, status, &[], "");
        }
        Does::Hang => wait(Duration::from_secs(120), stop),
        Does::HangInBody(status) => {
            drop(write!(out, "HTTP/1.1 {status} x\r\ncontent-length: 1000\r\n\r\nhalf of"));
            drop(out.flush());
            wait(Duration::from_secs(120), stop);
        }
        Does::Endless(status) => {
            drop(write!(out, "HTTP/1.1 {status} x\r\nconnection: close\r\n\r\n"));
            let piece = [b'x'; 16 * 1024];
            while !stop.load(Ordering::SeqCst) && out.write_all(&piece).is_ok() {
                shared.bytes_sent.fetch_add(piece.len(), Ordering::SeqCst);
            }
        }
        Does::Close => {}
    }
}

fn answer(out: &mut impl Write, status: u16, headers: &[(&str, String)], body: &str) {
    let mut text =
        format!("HTTP/1.1 {status} x\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    text.push_str(body);
    // Whoever asked may be gone.
    drop(out.write_all(text.as_bytes()));
    drop(out.flush());
}

fn wait(limit: Duration, stop: &AtomicBool) {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline && !stop.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn read_request(stream: &mut impl std::io::BufRead) -> Option<Asked> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(Asked { method, path, headers, body, at: Instant::now() })
}
