//! A TCP proxy that breaks the line in the ways that real lines break.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::free_port;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    FromServer,
}

/// Whether the bytes that spring a cut still arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    Before,
    After,
}

/// What the proxy does to connections, old and new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Nobody listens any more; open connections stay.
    Refuse,
    /// Connections are reset as soon as they are made; open connections stay.
    Reset,
    /// Half-open: bytes are swallowed both ways, and nobody is told.
    Blackhole,
    /// At most so many bytes a second each way.
    Slow { bytes_per_second: usize },
    /// Resets a connection once so many bytes went this way on it; then goes on without a fault.
    CutAfter { way: Way, bytes: usize },
    /// Resets a connection when this text goes this way on it; then goes on without a fault.
    CutAt { way: Way, text: String, moment: Moment },
}

/// A proxy in front of one port.
pub struct Proxy {
    port: u16,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    target: u16,
    fault: Fault,
    closed: bool,
    connections: usize,
    cuts: usize,
    open: Vec<Weak<Connection>>,
}

/// Both sides of one connection; closed when the threads of both ways have let go of it.
struct Connection {
    client: TcpStream,
    server: TcpStream,
    dead: AtomicBool,
}

impl Connection {
    /// Ends both sides with RST.
    fn reset(&self) {
        self.dead.store(true, Ordering::SeqCst);
        for side in [&self.client, &self.server] {
            without_linger(side);
            // Wakes the thread that reads here; nothing is sent by it.
            drop(side.shutdown(Shutdown::Read));
        }
    }
}

impl Proxy {
    /// Listens on a free port and passes everything to `target`.
    pub fn to(target: u16) -> Self {
        let port = free_port();
        let shared = Arc::new(Mutex::new(Shared {
            target,
            fault: Fault::None,
            closed: false,
            connections: 0,
            cuts: 0,
            open: Vec::new(),
        }));
        let listener = listen(port);
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || accept_all(port, Some(listener), &of_thread));
        Self { port, shared }
    }

    /// The port to connect to instead of the target's.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what happens to bytes from now on.
    pub fn set(&self, fault: Fault) {
        self.shared.lock().unwrap().fault = fault;
    }

    /// Sends new connections to another port.
    pub fn retarget(&self, target: u16) {
        self.shared.lock().unwrap().target = target;
    }

    /// Resets every open connection.
    pub fn reset_all(&self) {
        let open = std::mem::take(&mut self.shared.lock().unwrap().open);
        for connection in open.iter().filter_map(Weak::upgrade) {
            connection.reset();
        }
    }

    /// How many connections were passed on so far.
    pub fn connections(&self) -> usize {
        self.shared.lock().unwrap().connections
    }

    /// How many connections were cut by `CutAfter` and `CutAt` so far.
    pub fn cuts(&self) -> usize {
        self.shared.lock().unwrap().cuts
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().unwrap().closed = true;
        self.reset_all();
    }
}

fn listen(port: u16) -> TcpListener {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn accept_all(port: u16, mut listener: Option<TcpListener>, shared: &Arc<Mutex<Shared>>) {
    loop {
        let (closed, fault, target) = {
            let shared = shared.lock().unwrap();
            (shared.closed, shared.fault.clone(), shared.target)
        };
        if closed {
            return;
        }
        if fault == Fault::Refuse {
            listener = None;
        }
        let open = match (&listener, &fault) {
            (None, Fault::Refuse) => None,
            (None, _) => {
                listener = Some(listen(port));
                continue;
            }
            (Some(listener), _) => listener.accept().ok(),
        };
        match open {
            None => thread::sleep(Duration::from_millis(2)),
            Some((client, _)) if fault == Fault::Reset => without_linger(&client),
            Some((client, _)) => pass(client, target, shared),
        }
    }
}

/// Connects to the target and starts one thread for each way.
fn pass(client: TcpStream, target: u16, shared: &Arc<Mutex<Shared>>) {
    client.set_nonblocking(false).unwrap();
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) else {
        without_linger(&client);
        return;
    };
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let connection = Arc::new(Connection { client, server, dead: AtomicBool::new(false) });
    {
        let mut shared = shared.lock().unwrap();
        shared.connections += 1;
        shared.open.retain(|open| open.strong_count() > 0);
        shared.open.push(Arc::downgrade(&connection));
    }
    for way in [Way::ToServer, Way::FromServer] {
        let (shared, connection) = (Arc::clone(shared), Arc::clone(&connection));
        thread::spawn(move || pump(way, &connection, &shared));
    }
}

/// Copies one way until the line ends or a fault cuts it.
fn pump(way: Way, connection: &Connection, shared: &Mutex<Shared>) {
    let (mut from, mut to) = match way {
        Way::ToServer => (&connection.client, &connection.server),
        Way::FromServer => (&connection.server, &connection.client),
    };
    let mut passed = 0;
    let mut tail: Vec<u8> = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).unwrap_or(0);
        if connection.dead.load(Ordering::SeqCst) {
            return;
        }
        let fault = shared.lock().unwrap().fault.clone();
        if read == 0 {
            // A black hole swallows the end of a line too.
            if fault != Fault::Blackhole {
                drop(to.shutdown(Shutdown::Write));
            }
            return;
        }
        let bytes = &buffer[..read];
        let verdict = match &fault {
            Fault::None | Fault::Refuse | Fault::Reset => Verdict::Pass,
            Fault::Blackhole => Verdict::Swallow,
            Fault::Slow { bytes_per_second } => {
                pass_slowly(to, bytes, *bytes_per_second);
                Verdict::Swallow
            }
            Fault::CutAfter { way: cut, bytes: limit }
                if *cut == way && passed + read >= *limit =>
            {
                Verdict::Cut { still: limit.saturating_sub(passed) }
            }
            Fault::CutAt { way: cut, text, moment } if *cut == way => {
                cut_at(&mut tail, bytes, text.as_bytes(), *moment)
            }
            Fault::CutAfter { .. } | Fault::CutAt { .. } => Verdict::Pass,
        };
        passed += read;
        match verdict {
            Verdict::Swallow => {}
            Verdict::Pass => {
                if to.write_all(bytes).is_err() {
                    drop(from.shutdown(Shutdown::Read));
                    return;
                }
            }
            Verdict::Cut { still } => {
                drop(to.write_all(&bytes[..still.min(read)]));
                cut(connection, still > 0, shared);
                return;
            }
        }
    }
}

/// Resets a connection because of a fault, which is over by that.
fn cut(connection: &Connection, bytes_on_their_way: bool, shared: &Mutex<Shared>) {
    if bytes_on_their_way {
        // What was let through has to be read before the reset, which would discard it.
        thread::sleep(Duration::from_millis(20));
    }
    {
        let mut shared = shared.lock().unwrap();
        shared.cuts += 1;
        shared.fault = Fault::None;
    }
    connection.reset();
}

enum Verdict {
    Pass,
    Swallow,
    Cut { still: usize },
}

/// Looks for a text that may be spread over several reads.
fn cut_at(tail: &mut Vec<u8>, bytes: &[u8], text: &[u8], moment: Moment) -> Verdict {
    let before = tail.len();
    tail.extend_from_slice(bytes);
    let found = tail.windows(text.len()).position(|window| window == text);
    let verdict = match (found, moment) {
        (None, _) => Verdict::Pass,
        (Some(start), Moment::Before) => Verdict::Cut { still: start.saturating_sub(before) },
        (Some(start), Moment::After) => {
            Verdict::Cut { still: (start + text.len()).saturating_sub(before) }
        }
    };
    let keep = tail.len().saturating_sub(text.len().saturating_sub(1));
    tail.drain(..keep);
    verdict
}

fn pass_slowly(mut to: &TcpStream, bytes: &[u8], bytes_per_second: usize) {
    let step = (bytes_per_second / 20).max(1);
    for piece in bytes.chunks(step) {
        if to.write_all(piece).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Makes the close of this socket a RST: what is unsent is discarded, and no FIN goes out.
fn without_linger(stream: &TcpStream) {
    drop(SockRef::from(stream).set_linger(Some(Duration::ZERO)));
}
