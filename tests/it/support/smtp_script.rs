//! An SMTP server that does what a test tells it, also what no server should do.
//!
//! It keeps what it took in memory. A test puts a script in front: at each step it may answer with any
//! bytes, stay silent, or hang up. Steps without a command have names of their own: `GREETING`, `BODY`
//! (after the 354, before the mail is read) and `DOT` (the mail is there and not yet answered).

#![expect(clippy::wildcard_enum_match_arm, reason = "at each step only some reactions make sense")]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

pub use super::imap_script::acceptor;

/// What the server took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    pub from: String,
    /// What stood behind `MAIL FROM:<…>`.
    pub parameters: String,
    pub to: Vec<String>,
    /// Without the doubled dots.
    pub bytes: Vec<u8>,
    /// Was a login needed for it, and made?
    pub logged_in: bool,
    pub encrypted: bool,
}

impl Mail {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// What is on the server.
pub struct Store {
    pub mails: Vec<Mail>,
    /// Words of the answer to `EHLO`.
    pub abilities: Vec<String>,
    pub password: String,
    /// A bearer token that is taken.
    pub token: String,
    /// Connections at once; more are refused with a 421.
    pub connections_max: usize,
    /// Every line that came, with the number of its connection.
    pub lines: Vec<(usize, String)>,
    /// Connections so far.
    pub connections: usize,
    pub open: usize,
    /// Most connections at once.
    pub peak: usize,
}

/// One step, as the script sees it.
pub struct Turn {
    /// Counted from 1.
    pub connection: usize,
    /// `GREETING`, `EHLO`, `MAIL`, `BODY`, `DOT` …
    pub step: String,
    /// The whole line, if there is one.
    pub line: String,
    /// How often this step came before, over all connections.
    pub before: usize,
}

/// What the script wants.
pub enum Reaction {
    /// What a good server does.
    Normal,
    /// These bytes instead of the good server's answer. At `STARTTLS`, `220 …` begins the handshake.
    Say(Vec<u8>),
    /// These bytes, then the connection is closed.
    SayAndClose(Vec<u8>),
    /// Nothing at all, although the connection stays.
    Silence,
    /// At `BODY`: so many bytes of the mail are read, then these bytes are said and the connection closed.
    Cut(usize, Vec<u8>),
    /// At `DOT`: the mail is kept, then these bytes are said and the connection closed.
    KeepAndClose(Vec<u8>),
    /// At `DOT`: the mail is kept, and nobody is told before [`Fake::release`].
    KeepAndWait,
}

/// A script that only says something.
pub fn say(text: &str) -> Reaction {
    Reaction::Say(format!("{text}\r\n").into_bytes())
}

type Script = Box<dyn FnMut(&Turn) -> Reaction + Send>;

struct Shared {
    store: Mutex<Store>,
    script: Mutex<Script>,
    seen: Mutex<BTreeMap<String, usize>>,
    released: Notify,
    tls: Option<TlsAcceptor>,
    implicit: bool,
}

/// A running server; ends with the value.
pub struct Fake {
    pub port: u16,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const ABILITIES: &[&str] = &[
    "PIPELINING",
    "SIZE 50000000",
    "8BITMIME",
    "SMTPUTF8",
    "AUTH PLAIN LOGIN XOAUTH2",
    "ENHANCEDSTATUSCODES",
];

impl Fake {
    /// A server without TLS.
    pub async fn start() -> Self {
        Self::launch(None, false).await
    }

    /// With TLS from the first byte.
    pub async fn start_tls(certificate: &str, key: &str) -> Self {
        Self::launch(Some(acceptor(certificate, key)), true).await
    }

    /// With STARTTLS.
    pub async fn start_starttls(certificate: &str, key: &str) -> Self {
        let fake = Self::launch(Some(acceptor(certificate, key)), false).await;
        fake.store().abilities.push("STARTTLS".to_owned());
        fake
    }

    async fn launch(tls: Option<TlsAcceptor>, implicit: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            store: Mutex::new(Store {
                mails: Vec::new(),
                abilities: ABILITIES.iter().map(|word| (*word).to_owned()).collect(),
                password: "geheim".to_owned(),
                token: "good-token".to_owned(),
                connections_max: usize::MAX,
                lines: Vec::new(),
                connections: 0,
                open: 0,
                peak: 0,
            }),
            script: Mutex::new(Box::new(|_| Reaction::Normal)),
            seen: Mutex::default(),
            released: Notify::new(),
            tls,
            implicit,
        });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Self { port, shared, task }
    }

    /// What the server shall do from now on.
    pub fn script(&self, script: impl FnMut(&Turn) -> Reaction + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// From now on this reaction at one step, and nothing else out of the ordinary.
    pub fn at(&self, step: &str, mut react: impl FnMut(&Turn) -> Reaction + Send + 'static) {
        let step = step.to_owned();
        self.script(move |turn| if turn.step == step { react(turn) } else { Reaction::Normal });
    }

    /// From now on a good server.
    pub fn behave(&self) {
        self.script(|_| Reaction::Normal);
    }

    /// Ends the wait of [`Reaction::KeepAndWait`].
    pub fn release(&self) {
        self.shared.released.notify_waiters();
    }

    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store.lock().unwrap()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.store().connections
    }

    /// How many there were at once, at most.
    pub fn peak(&self) -> usize {
        self.store().peak
    }

    /// What the server took so far.
    pub fn mails(&self) -> Vec<Mail> {
        self.store().mails.clone()
    }

    /// All lines that came so far.
    pub fn lines(&self) -> Vec<String> {
        self.store().lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// How many lines began so.
    pub fn count(&self, start: &str) -> usize {
        self.lines().iter().filter(|line| line.starts_with(start)).count()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut clients = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        clients.spawn(async move {
            stream.set_nodelay(true).unwrap();
            let counted = Counted::new(&shared);
            let outcome = match shared.tls.as_ref().filter(|_| shared.implicit) {
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, &shared, counted.number, true).await.map(drop),
                    Err(error) => Err(error),
                },
                None => plain(stream, &shared, counted.number).await,
            };
            drop(counted);
            outcome
        });
    }
}

/// A plain connection, which may become an encrypted one.
async fn plain<S>(stream: S, shared: &Arc<Shared>, number: usize) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    if let Some(stream) = serve(stream, shared, number, false).await? {
        let tls = shared.tls.as_ref().unwrap();
        let stream = tls.accept(stream).await?;
        serve(stream, shared, number, true).await?;
    }
    Ok(())
}

/// An open connection, as long as it lives.
struct Counted {
    shared: Arc<Shared>,
    number: usize,
}

impl Counted {
    fn new(shared: &Arc<Shared>) -> Self {
        let mut store = shared.store.lock().unwrap();
        store.connections += 1;
        store.open += 1;
        store.peak = store.peak.max(store.open);
        Self { shared: Arc::clone(shared), number: store.connections }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.store.lock().unwrap().open -= 1;
    }
}

/// One client.
struct Conversation<'a, S> {
    stream: BufReader<S>,
    shared: &'a Arc<Shared>,
    number: usize,
    encrypted: bool,
    logged_in: bool,
    mail: Option<Mail>,
}

/// How one step ended.
enum Next {
    Line,
    Close,
    Encrypt,
}

/// Returns the stream when the handshake is to follow.
async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    shared: &Arc<Shared>,
    number: usize,
    encrypted: bool,
) -> io::Result<Option<S>> {
    let mut client = Conversation {
        stream: BufReader::new(stream),
        shared,
        number,
        encrypted,
        logged_in: false,
        mail: None,
    };
    if !encrypted || shared.implicit {
        let crowded = {
            let store = shared.store.lock().unwrap();
            store.open > store.connections_max
        };
        if crowded {
            client.send(b"421 4.7.0 too many connections\r\n").await?;
            return Ok(None);
        }
        if let Next::Close = client.react("GREETING", "", "220 fake ESMTP").await? {
            client.stream.shutdown().await?;
            return Ok(None);
        }
    }
    while let Some(line) = client.line().await? {
        match client.turn(&line).await? {
            Next::Line => {}
            Next::Encrypt => return Ok(Some(client.stream.into_inner())),
            Next::Close => break,
        }
    }
    client.stream.shutdown().await?;
    Ok(None)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<'_, S> {
    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(None);
        }
        assert!(line.ends_with(b"\r\n"), "a line without CRLF: {line:?}");
        let line = String::from_utf8(line).unwrap().trim_end().to_owned();
        self.shared.store.lock().unwrap().lines.push((self.number, line.clone()));
        Ok(Some(line))
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    fn reaction(&self, step: &str, line: &str) -> Reaction {
        let before = {
            let mut seen = self.shared.seen.lock().unwrap();
            let count = seen.entry(step.to_owned()).or_default();
            *count += 1;
            *count - 1
        };
        let turn =
            Turn { connection: self.number, step: step.to_owned(), line: line.to_owned(), before };
        (self.shared.script.lock().unwrap())(&turn)
    }

    /// The script's answer, or the normal one.
    async fn react(&mut self, step: &str, line: &str, normal: &str) -> io::Result<Next> {
        match self.reaction(step, line) {
            Reaction::Say(bytes) => self.send(&bytes).await?,
            Reaction::SayAndClose(bytes) => {
                self.send(&bytes).await?;
                return Ok(Next::Close);
            }
            Reaction::Silence => {}
            Reaction::Normal
            | Reaction::Cut(..)
            | Reaction::KeepAndClose(_)
            | Reaction::KeepAndWait => self.send(format!("{normal}\r\n").as_bytes()).await?,
        }
        Ok(Next::Line)
    }

    async fn turn(&mut self, line: &str) -> io::Result<Next> {
        let verb = line.split([' ', ':']).next().unwrap().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => {
                let words = self.shared.store.lock().unwrap().abilities.clone();
                let words = words.iter().filter(|word| !self.encrypted || *word != "STARTTLS");
                let lines: String = words.map(|word| format!("250-{word}\r\n")).collect();
                self.react("EHLO", line, &format!("250-fake\r\n{lines}250 HELP")).await
            }
            "STARTTLS" => self.starttls(line).await,
            "AUTH" => self.authenticate(line).await,
            "MAIL" => {
                let next = self.react("MAIL", line, "250 2.1.0 ok").await?;
                let (from, parameters) = path(line);
                self.mail = Some(Mail { from, parameters, ..Mail::default() });
                Ok(next)
            }
            "RCPT" => {
                let (to, _) = path(line);
                match self.reaction("RCPT", line) {
                    Reaction::Normal => {
                        if let Some(mail) = &mut self.mail {
                            mail.to.push(to);
                        }
                        self.send(b"250 2.1.5 ok\r\n").await?;
                    }
                    Reaction::Say(bytes) => self.send(&bytes).await?,
                    Reaction::SayAndClose(bytes) => {
                        self.send(&bytes).await?;
                        return Ok(Next::Close);
                    }
                    _ => {}
                }
                Ok(Next::Line)
            }
            "DATA" => self.data(line).await,
            "RSET" => {
                self.mail = None;
                self.react("RSET", line, "250 2.0.0 ok").await
            }
            "QUIT" => {
                self.react("QUIT", line, "221 2.0.0 bye").await?;
                Ok(Next::Close)
            }
            other => {
                self.send(format!("500 5.5.2 no {other} here\r\n").as_bytes()).await?;
                Ok(Next::Line)
            }
        }
    }

    async fn starttls(&mut self, line: &str) -> io::Result<Next> {
        let go = match self.reaction("STARTTLS", line) {
            Reaction::Say(bytes) => {
                self.send(&bytes).await?;
                bytes.starts_with(b"220")
            }
            Reaction::SayAndClose(bytes) => {
                self.send(&bytes).await?;
                return Ok(Next::Close);
            }
            Reaction::Silence => false,
            _ => {
                self.send(b"220 2.0.0 ready\r\n").await?;
                true
            }
        };
        Ok(if go { Next::Encrypt } else { Next::Line })
    }

    async fn authenticate(&mut self, line: &str) -> io::Result<Next> {
        match self.reaction("AUTH", line) {
            Reaction::Normal => {}
            Reaction::Say(bytes) => {
                self.send(&bytes).await?;
                return Ok(Next::Line);
            }
            Reaction::SayAndClose(bytes) => {
                self.send(&bytes).await?;
                return Ok(Next::Close);
            }
            _ => return Ok(Next::Line),
        }
        let words: Vec<&str> = line.split(' ').collect();
        let decoded = |word: &str| String::from_utf8(STANDARD.decode(word).unwrap()).unwrap();
        let (password, token) = {
            let store = self.shared.store.lock().unwrap();
            (store.password.clone(), store.token.clone())
        };
        let good = match words[1] {
            "PLAIN" => decoded(words[2]) == format!("\0us\0{password}"),
            "LOGIN" => {
                self.send(b"334 VXNlcm5hbWU6\r\n").await?;
                let user = self.line().await?.unwrap_or_default();
                self.send(b"334 UGFzc3dvcmQ6\r\n").await?;
                let word = self.line().await?.unwrap_or_default();
                (decoded(&user), decoded(&word)) == ("us".to_owned(), password)
            }
            "XOAUTH2" => {
                let good = decoded(words[2]).ends_with(&format!("auth=Bearer {token}\x01\x01"));
                if !good {
                    let challenge = STANDARD.encode(r#"{"status":"401","schemes":"bearer"}"#);
                    self.send(format!("334 {challenge}\r\n").as_bytes()).await?;
                    let answer = self.line().await?.unwrap_or_default();
                    assert_eq!(answer, "", "an error challenge wants an empty answer");
                }
                good
            }
            other => panic!("no mechanism {other}"),
        };
        self.logged_in |= good;
        let answer: &[u8] = if good {
            b"235 2.7.0 welcome\r\n"
        } else {
            b"535 5.7.8 Username and Password not accepted\r\n"
        };
        self.send(answer).await?;
        Ok(Next::Line)
    }

    async fn data(&mut self, line: &str) -> io::Result<Next> {
        let ready = self.mail.as_ref().is_some_and(|mail| !mail.to.is_empty());
        let normal = if ready { "354 go on" } else { "554 5.5.1 no valid recipients" };
        match self.reaction("DATA", line) {
            Reaction::Normal => self.send(format!("{normal}\r\n").as_bytes()).await?,
            Reaction::Say(bytes) => {
                self.send(&bytes).await?;
                if !bytes.starts_with(b"354") {
                    return Ok(Next::Line);
                }
            }
            Reaction::SayAndClose(bytes) => {
                self.send(&bytes).await?;
                return Ok(Next::Close);
            }
            _ => return Ok(Next::Line),
        }
        if !ready {
            return Ok(Next::Line);
        }
        match self.reaction("BODY", "") {
            Reaction::Cut(count, bytes) => {
                let mut part = vec![0; count];
                self.stream.read_exact(&mut part).await?;
                self.send(&bytes).await?;
                return Ok(Next::Close);
            }
            Reaction::Silence => std::future::pending().await,
            _ => {}
        }
        let Some(bytes) = self.content().await? else { return Ok(Next::Close) };
        let mut mail = self.mail.take().unwrap();
        mail.bytes = bytes;
        mail.logged_in = self.logged_in;
        mail.encrypted = self.encrypted;
        self.dot(mail).await
    }

    async fn dot(&mut self, mail: Mail) -> io::Result<Next> {
        match self.reaction("DOT", "") {
            Reaction::Say(bytes) => {
                if bytes.starts_with(b"2") {
                    self.keep(mail);
                }
                self.send(&bytes).await?;
            }
            Reaction::SayAndClose(bytes) => {
                self.send(&bytes).await?;
                return Ok(Next::Close);
            }
            Reaction::KeepAndClose(bytes) => {
                self.keep(mail);
                self.send(&bytes).await?;
                return Ok(Next::Close);
            }
            Reaction::KeepAndWait => {
                let shared = Arc::clone(self.shared);
                let released = shared.released.notified();
                self.keep(mail);
                released.await;
                self.send(b"250 2.0.0 ok at last\r\n").await?;
            }
            Reaction::Silence => {}
            Reaction::Normal | Reaction::Cut(..) => {
                self.keep(mail);
                self.send(b"250 2.0.0 ok\r\n").await?;
            }
        }
        Ok(Next::Line)
    }

    fn keep(&self, mail: Mail) {
        self.shared.store.lock().unwrap().mails.push(mail);
    }

    /// Up to CRLF dot CRLF, nothing else; `None` if the client went away before.
    async fn content(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut mail = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(None);
            }
            assert!(line.ends_with(b"\r\n"), "a bare line feed in a mail: {line:?}");
            assert!(!line[..line.len() - 2].contains(&b'\r'), "a bare carriage return: {line:?}");
            if line == b".\r\n" {
                return Ok(Some(mail));
            }
            mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }
}

/// The address in angle brackets, and what stands behind it.
fn path(line: &str) -> (String, String) {
    let (_, rest) = line.split_once('<').unwrap();
    let (address, parameters) = rest.rsplit_once('>').unwrap();
    (address.to_owned(), parameters.trim().to_owned())
}
