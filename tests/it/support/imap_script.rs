//! An IMAP server that does what a test tells it, also what no server should do.
//!
//! It keeps folders with mails in memory and speaks enough of the protocol for our client. A test puts a
//! script in front: for each command it may answer with any bytes, stay silent, or hang up.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// A mail in a folder.
#[derive(Clone)]
pub struct Mail {
    pub uid: u32,
    pub body: Vec<u8>,
    pub flags: Vec<String>,
    /// As in INTERNALDATE.
    pub date: String,
    /// What RFC822.SIZE says, if it lies.
    pub size: Option<u64>,
}

/// A folder.
#[derive(Clone)]
pub struct Folder {
    pub validity: u32,
    pub next: u32,
    pub mails: Vec<Mail>,
}

/// What is on the server.
pub struct Store {
    pub folders: BTreeMap<String, Folder>,
    /// Before login.
    pub before: String,
    /// After login.
    pub after: String,
    /// The first line; empty: none.
    pub greeting: String,
    /// A bearer token that is taken.
    pub token: String,
    pub password: String,
    /// Every line that came, with the number of its connection.
    pub lines: Vec<(usize, String)>,
    pub connections: usize,
}

/// One command, as the script sees it.
pub struct Turn {
    /// Counted from 1.
    pub connection: usize,
    pub tag: String,
    /// Without the tag.
    pub line: String,
    /// How many commands with the same first words came before, over all connections.
    pub before: usize,
}

/// What the script wants.
pub enum Reaction {
    /// What a good server does.
    Normal,
    /// These bytes, and nothing else. `{tag}` is replaced.
    Say(Vec<u8>),
    /// These bytes, then what a good server does.
    First(Vec<u8>),
    /// These bytes, then the connection is closed.
    SayAndClose(Vec<u8>),
    /// Nothing at all, although the connection stays.
    Silence,
}

/// A script that only says something.
pub fn say(text: &str) -> Reaction {
    Reaction::Say(text.as_bytes().to_vec())
}

type Script = Box<dyn FnMut(&Turn) -> Reaction + Send>;

struct Shared {
    store: Mutex<Store>,
    script: Mutex<Script>,
    changed: Notify,
    seen: Mutex<BTreeMap<String, usize>>,
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

const BEFORE: &str = "IMAP4rev1 SASL-IR ID AUTH=PLAIN AUTH=XOAUTH2";
const AFTER: &str = "IMAP4rev1 SASL-IR ID IDLE UIDPLUS MOVE";

impl Fake {
    /// A server with an empty INBOX, without TLS.
    pub async fn start() -> Self {
        Self::launch(None).await
    }

    /// With TLS from the first byte.
    pub async fn start_tls(certificate: &str, key: &str) -> Self {
        Self::launch(Some(acceptor(certificate, key))).await
    }

    async fn launch(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let inbox = Folder { validity: 7, next: 1, mails: Vec::new() };
        let shared = Arc::new(Shared {
            store: Mutex::new(Store {
                folders: [("INBOX".to_owned(), inbox)].into(),
                before: BEFORE.to_owned(),
                after: AFTER.to_owned(),
                greeting: "* OK ready".to_owned(),
                token: "good-token".to_owned(),
                password: "geheim".to_owned(),
                lines: Vec::new(),
                connections: 0,
            }),
            script: Mutex::new(Box::new(|_| Reaction::Normal)),
            changed: Notify::new(),
            seen: Mutex::default(),
        });
        let task = tokio::spawn(accept(listener, tls, Arc::clone(&shared))).abort_handle();
        Self { port, shared, task }
    }

    /// What the server shall do from now on.
    pub fn script(&self, script: impl FnMut(&Turn) -> Reaction + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// What is on the server. Idling clients are told afterwards by [`Self::tell`].
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.shared.store.lock().unwrap()
    }

    /// Adds a mail and tells those who idle.
    pub fn deliver(&self, folder: &str, body: &[u8]) -> u32 {
        let uid = {
            let mut store = self.store();
            let folder = store.folders.get_mut(folder).unwrap();
            let uid = folder.next;
            folder.next += 1;
            folder.mails.push(Mail {
                uid,
                body: body.to_vec(),
                flags: Vec::new(),
                date: "01-Jul-2026 10:00:00 +0000".to_owned(),
                size: None,
            });
            uid
        };
        self.tell();
        uid
    }

    /// `count` small mails in INBOX whose bodies name their UIDs.
    pub fn fill(&self, count: u32) {
        for _ in 0..count {
            let next = self.store().folders["INBOX"].next;
            self.deliver("INBOX", mail_text(next).as_bytes());
        }
    }

    /// Wakes those who idle.
    pub fn tell(&self) {
        self.shared.changed.notify_waiters();
    }

    /// All lines that came so far.
    pub fn lines(&self) -> Vec<String> {
        self.store().lines.iter().map(|(_, line)| line.clone()).collect()
    }

    /// How many lines held this.
    pub fn count(&self, part: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(part)).count()
    }
}

/// The mail that [`Fake::fill`] makes.
pub fn mail_text(uid: u32) -> String {
    format!("From: a@example.net\r\nSubject: mail {uid}\r\n\r\nbody {uid}\r\n")
}

/// A TLS server's side.
pub fn acceptor(certificate: &str, key: &str) -> tokio_rustls::TlsAcceptor {
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    let chain =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    tokio_rustls::TlsAcceptor::from(Arc::new(config))
}

async fn accept(
    listener: TcpListener,
    tls: Option<tokio_rustls::TlsAcceptor>,
    shared: Arc<Shared>,
) {
    let mut clients = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, shared) = (tls.clone(), Arc::clone(&shared));
        clients.spawn(async move {
            stream.set_nodelay(true).unwrap();
            match tls {
                None => serve(stream, shared).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, shared).await,
                    Err(error) => Err(error),
                },
            }
        });
    }
}

/// One client.
struct Conversation<S> {
    stream: BufReader<S>,
    shared: Arc<Shared>,
    number: usize,
    selected: Option<String>,
    logged_in: bool,
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    shared: Arc<Shared>,
) -> io::Result<()> {
    let (number, greeting) = {
        let mut store = shared.store.lock().unwrap();
        store.connections += 1;
        (store.connections, store.greeting.clone())
    };
    let mut client = Conversation {
        stream: BufReader::new(stream),
        shared,
        number,
        selected: None,
        logged_in: false,
    };
    if !greeting.is_empty() {
        client.send(format!("{greeting}\r\n").as_bytes()).await?;
    }
    while let Some(line) = client.line().await? {
        let (tag, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let (tag, rest) = (tag.to_owned(), rest.to_owned());
        if !client.turn(&tag, &rest).await? {
            break;
        }
    }
    client.stream.shutdown().await
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    async fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().to_owned();
        self.shared.store.lock().unwrap().lines.push((self.number, line.clone()));
        Ok(Some(line))
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// `false`: the connection ends.
    async fn turn(&mut self, tag: &str, line: &str) -> io::Result<bool> {
        let words: Vec<&str> = line.split(' ').collect();
        let verb = if words[0] == "UID" { words[..2].join(" ") } else { words[0].to_owned() };
        let before = {
            let mut seen = self.shared.seen.lock().unwrap();
            let count = seen.entry(verb).or_default();
            *count += 1;
            *count - 1
        };
        let turn =
            Turn { connection: self.number, tag: tag.to_owned(), line: line.to_owned(), before };
        let reaction = (self.shared.script.lock().unwrap())(&turn);
        let filled = |bytes: Vec<u8>| {
            // Only texts hold a tag; other bytes pass as they are.
            match String::from_utf8(bytes) {
                Ok(text) => text.replace("{tag}", tag).into_bytes(),
                Err(error) => error.into_bytes(),
            }
        };
        match reaction {
            Reaction::Normal => {}
            Reaction::Say(bytes) => {
                self.send(&filled(bytes)).await?;
                return Ok(true);
            }
            Reaction::First(bytes) => self.send(&filled(bytes)).await?,
            Reaction::SayAndClose(bytes) => {
                self.send(&filled(bytes)).await?;
                return Ok(false);
            }
            Reaction::Silence => return Ok(true),
        }
        self.normal(tag, line).await
    }

    async fn normal(&mut self, tag: &str, line: &str) -> io::Result<bool> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let answer = match verb {
            "CAPABILITY" => {
                let store = self.shared.store.lock().unwrap();
                let list = if self.logged_in { &store.after } else { &store.before };
                format!("* CAPABILITY {list}\r\n{tag} OK done\r\n")
            }
            "LOGIN" => {
                let good = rest.ends_with(&format!("\"{}\"", self.password()));
                self.logged_in = good;
                verdict(tag, good)
            }
            "AUTHENTICATE" => return self.authenticate(tag, rest).await,
            "ID" => format!("* ID (\"name\" \"fake\")\r\n{tag} OK done\r\n"),
            "NOOP" => format!("{}{tag} OK done\r\n", self.exists()),
            "SELECT" | "EXAMINE" => self.select(tag, rest),
            "CREATE" => {
                let folder = Folder { validity: 9, next: 1, mails: Vec::new() };
                let mut store = self.shared.store.lock().unwrap();
                store.folders.insert(rest.trim_matches('"').to_owned(), folder);
                format!("{tag} OK done\r\n")
            }
            "LIST" => {
                let store = self.shared.store.lock().unwrap();
                let names = store.folders.keys();
                let lines: String =
                    names.map(|name| format!("* LIST () \"/\" \"{name}\"\r\n")).collect();
                format!("{lines}{tag} OK done\r\n")
            }
            "APPEND" => return self.append(tag, rest).await,
            "IDLE" => return self.idle(tag).await,
            "UID" => {
                let bytes = self.uid(tag, rest);
                self.send(&bytes).await?;
                return Ok(true);
            }
            other => format!("{tag} BAD no {other} here\r\n"),
        };
        self.send(answer.as_bytes()).await?;
        Ok(true)
    }

    fn password(&self) -> String {
        self.shared.store.lock().unwrap().password.clone()
    }

    async fn authenticate(&mut self, tag: &str, rest: &str) -> io::Result<bool> {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let proof = if initial.is_empty() {
            self.send(b"+ \r\n").await?;
            self.line().await?.unwrap_or_default()
        } else {
            initial.to_owned()
        };
        let proof = String::from_utf8(STANDARD.decode(proof).unwrap_or_default()).unwrap();
        let good = if mechanism == "XOAUTH2" {
            let token = self.shared.store.lock().unwrap().token.clone();
            let good = proof.contains(&format!("auth=Bearer {token}\x01"));
            if !good {
                let challenge = STANDARD.encode(r#"{"status":"401","schemes":"bearer"}"#);
                self.send(format!("+ {challenge}\r\n").as_bytes()).await?;
                let answer = self.line().await?.unwrap_or_default();
                assert_eq!(answer, "", "an error challenge wants an empty answer");
            }
            good
        } else {
            proof.ends_with(&format!("\0{}", self.password()))
        };
        self.logged_in = good;
        self.send(verdict(tag, good).as_bytes()).await?;
        Ok(true)
    }

    fn select(&mut self, tag: &str, name: &str) -> String {
        let name = name.trim_matches('"').to_owned();
        let store = self.shared.store.lock().unwrap();
        let Some(folder) = store.folders.get(&name) else {
            return format!("{tag} NO [NONEXISTENT] no such folder\r\n");
        };
        let answer = format!(
            "* FLAGS (\\Seen)\r\n* {} EXISTS\r\n* OK [UIDVALIDITY {}] ok\r\n* OK [UIDNEXT {}] ok\r\n\
             * OK [PERMANENTFLAGS (\\Seen \\*)] ok\r\n{tag} OK done\r\n",
            folder.mails.len(),
            folder.validity,
            folder.next
        );
        self.selected = Some(name);
        answer
    }

    async fn append(&mut self, tag: &str, rest: &str) -> io::Result<bool> {
        let name = rest.split('"').nth(1).unwrap().to_owned();
        let length: usize = rest.rsplit('{').next().unwrap().trim_end_matches('}').parse().unwrap();
        self.send(b"+ go on\r\n").await?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        let end = self.line().await?;
        assert_eq!(end.as_deref(), Some(""), "the line ends after the literal");
        let date = "01-Jul-2026 10:00:00 +0000".to_owned();
        let mail = Mail { uid: 1, body, flags: Vec::new(), date, size: None };
        self.shared.store.lock().unwrap().folders.get_mut(&name).unwrap().mails.push(mail);
        self.send(format!("{tag} OK [APPENDUID 3 1] done\r\n").as_bytes()).await?;
        Ok(true)
    }

    fn exists(&self) -> String {
        let store = self.shared.store.lock().unwrap();
        let folder = self.selected.as_ref().and_then(|name| store.folders.get(name));
        folder.map_or_else(String::new, |folder| format!("* {} EXISTS\r\n", folder.mails.len()))
    }

    async fn idle(&mut self, tag: &str) -> io::Result<bool> {
        self.send(b"+ idling\r\n").await?;
        let mut told = self.exists();
        loop {
            let shared = Arc::clone(&self.shared);
            let changed = shared.changed.notified();
            let now = self.exists();
            if now != told {
                self.send(now.as_bytes()).await?;
                told = now;
            }
            tokio::select! {
                () = changed => {}
                line = self.line() => {
                    return match line? {
                        None => Ok(false),
                        Some(_) => self.send(format!("{tag} OK done\r\n").as_bytes()).await.map(|()| true),
                    };
                }
            }
        }
    }

    fn uid(&mut self, tag: &str, rest: &str) -> Vec<u8> {
        let done = format!("{tag} OK done\r\n").into_bytes();
        let (verb, rest) = rest.split_once(' ').unwrap();
        let mut store = self.shared.store.lock().unwrap();
        let Some(name) = self.selected.clone() else { return no_folder(tag) };
        let Some(folder) = store.folders.get_mut(&name) else { return no_folder(tag) };
        let last = folder.mails.last().map_or(0, |mail| mail.uid);
        let set = rest.trim_start_matches("UID ").split(' ').next().unwrap();
        let has = |uid: u32| set == "ALL" || in_set(set, uid, last);
        let mut out = Vec::new();
        match verb {
            "SEARCH" if set == "HEADER" => {
                let wanted = rest.split('"').nth(1).unwrap().to_owned();
                let holds = |mail: &&Mail| String::from_utf8_lossy(&mail.body).contains(&wanted);
                let uids = folder.mails.iter().filter(holds);
                let uids: String = uids.map(|mail| format!(" {}", mail.uid)).collect();
                out = format!("* SEARCH{uids}\r\n").into_bytes();
            }
            "SEARCH" => {
                let uids = folder.mails.iter().filter(|mail| has(mail.uid));
                let uids: String = uids.map(|mail| format!(" {}", mail.uid)).collect();
                out = format!("* SEARCH{uids}\r\n").into_bytes();
            }
            "FETCH" => {
                for (index, mail) in folder.mails.iter().enumerate() {
                    if has(mail.uid) {
                        out.extend(fetched(index + 1, mail, rest));
                    }
                }
            }
            "STORE" => {
                let flags = rest.split(['(', ')']).nth(1).unwrap();
                for mail in folder.mails.iter_mut().filter(|mail| has(mail.uid)) {
                    mail.flags.push(flags.to_owned());
                }
            }
            "EXPUNGE" => folder.mails.retain(|mail| {
                !(has(mail.uid) && mail.flags.iter().any(|flag| flag == "\\Deleted"))
            }),
            "COPY" | "MOVE" => {
                let target = rest.split('"').nth(1).unwrap().to_owned();
                let (gone, kept): (Vec<Mail>, Vec<Mail>) =
                    folder.mails.clone().into_iter().partition(|mail| has(mail.uid));
                if verb == "MOVE" && store.folders.contains_key(&target) {
                    store.folders.get_mut(&name).unwrap().mails = kept;
                }
                let Some(target) = store.folders.get_mut(&target) else {
                    return format!("{tag} NO [TRYCREATE] no such folder\r\n").into_bytes();
                };
                target.mails.extend(gone);
            }
            other => return format!("{tag} BAD no UID {other} here\r\n").into_bytes(),
        }
        out.extend(done);
        out
    }
}

fn no_folder(tag: &str) -> Vec<u8> {
    format!("{tag} BAD no folder is selected\r\n").into_bytes()
}

fn verdict(tag: &str, good: bool) -> String {
    if good {
        format!("{tag} OK logged in\r\n")
    } else {
        format!("{tag} NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)\r\n")
    }
}

/// Is the UID in `1:3,7,9:*`? `*` is the last one, so `n:*` always holds it.
fn in_set(set: &str, uid: u32, last: u32) -> bool {
    let number = |text: &str| if text == "*" { last } else { text.parse().unwrap() };
    set.split(',').any(|part| {
        let (first, end) = part.split_once(':').unwrap_or((part, part));
        let (first, end) = (number(first), number(end));
        (first.min(end)..=first.max(end)).contains(&uid)
    })
}

/// The FETCH response for one mail.
pub fn fetched(number: usize, mail: &Mail, items: &str) -> Vec<u8> {
    let mut out = format!("* {number} FETCH (UID {}", mail.uid).into_bytes();
    if items.contains("RFC822.SIZE") {
        let size = mail.size.unwrap_or(mail.body.len() as u64);
        out.extend(format!(" RFC822.SIZE {size} INTERNALDATE \"{}\"", mail.date).into_bytes());
        out.extend(format!(" FLAGS ({})", mail.flags.join(" ")).into_bytes());
    }
    if let Some((_, partial)) = items.split_once("BODY.PEEK[]") {
        let (mut body, mut origin) = (mail.body.as_slice(), String::new());
        if let Some(range) = partial.strip_prefix('<') {
            let (start, length) = range.split('>').next().unwrap().split_once('.').unwrap();
            let start: usize = start.parse().unwrap();
            let length: usize = length.parse().unwrap();
            body = &body[start.min(body.len())..(start + length).min(body.len())];
            origin = format!("<{start}>");
        }
        out.extend(format!(" BODY[]{origin} {{{}}}\r\n", body.len()).into_bytes());
        out.extend(body);
    }
    out.extend(b")\r\n");
    out
}

/// A server of one connection after the other that plays `lines` by turns: sends, waits for a line, sends …
/// Returns all that came.
pub async fn play(listener: &TcpListener, sends: &[&str]) -> Vec<String> {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream: BufReader<TcpStream> = BufReader::new(stream);
    let mut heard = Vec::new();
    for text in sends {
        if stream.write_all(text.as_bytes()).await.is_err() {
            return heard;
        }
        let mut bytes = vec![0; 4096];
        let read = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut bytes)).await;
        if let Ok(Ok(count)) = read {
            heard.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
        }
    }
    heard
}
