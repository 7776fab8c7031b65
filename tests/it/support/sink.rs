//! Where replies arrive: an SMTP server that is strict with what it gets and as unreliable as it is told.
//!
//! It keeps every mail that it took, with the moment and with whether its 250 went out, and complains
//! about what RFC 5321 forbids (bare line ends, long lines, 8 bits unasked).

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mail_parser::MessageParser;

use super::free_port;

/// What becomes of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Taken, and said so.
    Take,
    /// Not taken: these words after `RCPT TO`.
    RefuseRecipient(&'static str),
    /// Not taken: these words after the final dot.
    RefuseMail(&'static str),
    /// Taken, but the connection ends before the 250 is said.
    TakeAndDrop,
    /// Taken, but the 250 comes only after this time.
    TakeAndStall(Duration),
    /// The connection ends after the final dot, and nothing was taken.
    Drop,
}

/// A mail that the sink was offered.
#[derive(Clone, Debug)]
pub struct Offer {
    pub sender: String,
    pub recipients: Vec<String>,
    /// How often the same recipients were offered something before.
    pub before: usize,
}

/// A mail that the sink took.
#[derive(Clone, Debug)]
pub struct Taken {
    pub at: Instant,
    pub sender: String,
    pub recipients: Vec<String>,
    /// As it would lie in a mailbox: dots undone.
    pub bytes: Vec<u8>,
    pub message_id: String,
    /// The plain text, decoded.
    pub text: String,
    /// Whether the 250 was written to the line.
    pub answered: bool,
}

impl Taken {
    /// The value of a header, unfolded; empty if there is none.
    pub fn header(&self, name: &str) -> String {
        let mail = MessageParser::new().parse(&self.bytes).unwrap();
        let raw = mail.header_raw(name).unwrap_or_default();
        raw.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

type Decide = Box<dyn FnMut(&Offer) -> Act + Send>;

/// A running sink.
pub struct Sink {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    closed: AtomicBool,
    decide: Mutex<Decide>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    taken: Vec<Taken>,
    offers: HashMap<Vec<String>, usize>,
    complaints: Vec<String>,
    connections: usize,
}

impl Sink {
    /// Starts a sink that takes everything.
    pub fn start() -> Self {
        let port = free_port();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        let shared = Arc::new(Shared {
            closed: AtomicBool::new(false),
            decide: Mutex::new(Box::new(|_| Act::Take)),
            state: Mutex::default(),
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if of_thread.closed.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&of_thread);
                // A client that was killed ends its session by an error, which is no news.
                thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Self { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Decides from now on what becomes of a mail; asked at the first `RCPT TO` and after the final dot.
    pub fn decide(&self, decide: impl FnMut(&Offer) -> Act + Send + 'static) {
        *self.shared.decide.lock().unwrap() = Box::new(decide);
    }

    /// Every mail so far, in order.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.state.lock().unwrap().taken.clone()
    }

    /// How many so far.
    pub fn count(&self) -> usize {
        self.shared.state.lock().unwrap().taken.len()
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.shared.state.lock().unwrap().connections
    }

    /// How many mails were offered, taken or not.
    pub fn offers(&self) -> usize {
        self.shared.state.lock().unwrap().offers.values().sum()
    }

    /// What was done against the protocol.
    pub fn complaints(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().complaints.clone()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

/// One session.
fn serve(stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    stream.set_nodelay(true)?;
    shared.state.lock().unwrap().connections += 1;
    let mut line = Line { reader: BufReader::new(stream) };
    line.say("220 sink.customer.example ESMTP")?;
    let mut offer: Option<Offer> = None;
    let mut eight_bits = false;
    loop {
        let Some(command) = line.command(shared)? else { return Ok(()) };
        let verb = command.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                line.say("250-sink.customer.example\r\n250-8BITMIME\r\n250-SIZE 104857600\r\n250 ENHANCEDSTATUSCODES")?;
            }
            "HELO" => line.say("250 sink.customer.example")?,
            "MAIL" => {
                eight_bits = command.to_ascii_uppercase().contains("BODY=8BITMIME");
                let sender = path(&command);
                offer = Some(Offer { sender, recipients: Vec::new(), before: 0 });
                line.say("250 2.1.0 sender taken")?;
            }
            "RCPT" => match offer.as_mut() {
                None => line.say("503 5.5.1 MAIL first")?,
                Some(offer) => match refused(offer, &command, shared) {
                    Some(words) => line.say(words)?,
                    None => line.say("250 2.1.5 recipient taken")?,
                },
            },
            "DATA" => match offer.take().filter(|offer| !offer.recipients.is_empty()) {
                None => line.say("503 5.5.1 RCPT first")?,
                Some(offer) => {
                    line.say("354 go ahead")?;
                    let bytes = line.mail(shared, eight_bits)?;
                    if !settle(offer, bytes, &mut line, shared)? {
                        return Ok(());
                    }
                }
            },
            "RSET" => {
                offer = None;
                line.say("250 2.0.0 forgotten")?;
            }
            "NOOP" => line.say("250 2.0.0 here")?,
            "QUIT" => return line.say("221 2.0.0 bye"),
            _ => line.say("500 5.5.2 unknown command")?,
        }
    }
}

/// Notes a recipient, or says why not.
fn refused(offer: &mut Offer, command: &str, shared: &Shared) -> Option<&'static str> {
    let mut with_this = offer.clone();
    with_this.recipients.push(path(command).to_ascii_lowercase());
    with_this.before =
        *shared.state.lock().unwrap().offers.get(&with_this.recipients).unwrap_or(&0);
    let act = shared.decide.lock().unwrap()(&with_this);
    if let Act::RefuseRecipient(words) = act {
        note(&with_this, shared);
        return Some(words);
    }
    *offer = with_this;
    None
}

fn note(offer: &Offer, shared: &Shared) {
    *shared.state.lock().unwrap().offers.entry(offer.recipients.clone()).or_default() += 1;
}

/// What becomes of a whole mail. False: the session is over.
fn settle(offer: Offer, bytes: Vec<u8>, line: &mut Line, shared: &Shared) -> std::io::Result<bool> {
    let act = shared.decide.lock().unwrap()(&offer);
    note(&offer, shared);
    let taken = match act {
        Act::RefuseRecipient(words) | Act::RefuseMail(words) => {
            line.say(words)?;
            return Ok(true);
        }
        Act::Drop => return Ok(false),
        Act::Take | Act::TakeAndDrop | Act::TakeAndStall(_) => taken(offer, bytes),
    };
    let place = {
        let mut state = shared.state.lock().unwrap();
        state.taken.push(taken);
        state.taken.len() - 1
    };
    match act {
        Act::TakeAndDrop => return Ok(false),
        Act::TakeAndStall(pause) => thread::sleep(pause),
        Act::Take | Act::Drop | Act::RefuseMail(_) | Act::RefuseRecipient(_) => {}
    }
    line.say("250 2.0.0 taken")?;
    shared.state.lock().unwrap().taken[place].answered = true;
    Ok(true)
}

fn taken(offer: Offer, bytes: Vec<u8>) -> Taken {
    let mail = MessageParser::new().parse(&bytes).unwrap();
    let message_id = mail.message_id().map(|id| format!("<{id}>")).unwrap_or_default();
    let text = mail.body_text(0).map(|text| text.replace("\r\n", "\n")).unwrap_or_default();
    Taken {
        at: Instant::now(),
        sender: offer.sender,
        recipients: offer.recipients,
        message_id,
        text,
        answered: false,
        bytes,
    }
}

/// The address between the angle brackets.
fn path(command: &str) -> String {
    let inner = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(path, _)| path.to_owned()).unwrap_or_default()
}

struct Line {
    reader: BufReader<TcpStream>,
}

impl Line {
    fn say(&mut self, words: &str) -> std::io::Result<()> {
        self.reader.get_mut().write_all(format!("{words}\r\n").as_bytes())
    }

    /// `None`: the client is gone.
    fn command(&mut self, shared: &Shared) -> std::io::Result<Option<String>> {
        let mut bytes = Vec::new();
        (&mut self.reader).take(4096).read_until(b'\n', &mut bytes)?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        match text.strip_suffix("\r\n") {
            Some(command) => Ok(Some(command.to_owned())),
            // A client that was killed leaves half a line behind.
            None if !text.ends_with('\n') => Ok(None),
            None => {
                shared.state.lock().unwrap().complaints.push(format!("a bare LF after «{text}»"));
                Ok(Some(text.trim_end().to_owned()))
            }
        }
    }

    /// Everything up to the final dot; an error if the client goes before it.
    fn mail(&mut self, shared: &Shared, eight_bits: bool) -> std::io::Result<Vec<u8>> {
        let mut mail = Vec::new();
        let mut complaints = Vec::new();
        loop {
            let mut line = Vec::new();
            self.reader.read_until(b'\n', &mut line)?;
            if !line.ends_with(b"\n") {
                self.reader.get_ref().shutdown(Shutdown::Both).ok();
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let shown = || String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
            let body = line.strip_suffix(b"\r\n");
            if body.is_none_or(|body| body.contains(&b'\r') || body.contains(&b'\0')) {
                complaints.push(format!("a bare CR, LF or NUL in «{}»", shown()));
            }
            if line.len() > 1000 {
                complaints.push(format!("a line of {} bytes: «{}»", line.len(), shown()));
            }
            if !eight_bits && !line.is_ascii() {
                complaints.push(format!("8 bits unasked in «{}»", shown()));
            }
            if line == b".\r\n" {
                shared.state.lock().unwrap().complaints.append(&mut complaints);
                return Ok(mail);
            }
            mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}
