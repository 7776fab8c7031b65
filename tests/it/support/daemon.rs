//! The real `tributary` process, and a client of its HTTP API.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Process, START_LIMIT, Signal, free_port, open_folder};

/// One daemon in a folder of its own.
pub struct Daemon {
    folder: TempDir,
    port: u16,
    environment: Vec<(String, String)>,
    process: Option<Process>,
    token: Option<String>,
    starts: usize,
}

impl Daemon {
    /// Writes the configuration, starts the daemon, waits until it is ready.
    ///
    /// `[store]` (SQLite in the folder) and `[http]` (a free port) are added unless the text has
    /// them.
    pub async fn start(configuration: &str) -> Self {
        let mut daemon = Self::prepare(configuration);
        daemon.start_again().await;
        daemon
    }

    /// Writes the configuration and starts nothing yet.
    pub fn prepare(configuration: &str) -> Self {
        let daemon = Self {
            folder: open_folder("daemon"),
            port: free_port(),
            environment: Vec::new(),
            process: None,
            token: None,
            starts: 0,
        };
        daemon.configure(configuration);
        daemon
    }

    /// Replaces the configuration file; `signal(Signal::Hup)` or a restart makes the daemon read it.
    pub fn configure(&self, configuration: &str) {
        let mut text = String::new();
        if !configuration.contains("[store]") {
            let file = self.state_folder().join("tributary.db");
            text.push_str(&format!("[store]\nurl = \"sqlite://{}\"\n\n", file.display()));
        }
        if !configuration.contains("[http]") {
            text.push_str(&format!("[http]\nlisten = \"127.0.0.1:{}\"\n\n", self.port));
        }
        text.push_str(configuration);
        fs::create_dir_all(self.state_folder()).unwrap();
        fs::write(self.configuration_file(), text).unwrap();
    }

    /// Sets an environment variable for the next start; an empty value takes it away.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.environment.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The folder of configuration, state and log.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the store lives, unless the configuration says otherwise.
    pub fn state_folder(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The address that the API listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The id of the running process.
    pub fn process_id(&self) -> u32 {
        self.process.as_ref().expect("the daemon does not run").id()
    }

    /// Starts the daemon, waits until it is ready and has a token for the API.
    pub async fn start_again(&mut self) {
        self.spawn();
        self.wait_ready().await;
        if self.token.is_none() {
            self.token = Some(self.create_token("admin"));
        }
    }

    /// Starts the process and waits for nothing.
    pub fn spawn(&mut self) {
        assert!(!self.is_running(), "the daemon runs already");
        self.starts += 1;
        let mut command = self.command(&["run"]);
        self.process = Some(Process::start("tributary", &mut command, &self.log_file()));
    }

    /// Waits for `/readyz`.
    pub async fn wait_ready(&mut self) {
        let client = client();
        let address = format!("http://127.0.0.1:{}/readyz", self.port);
        let deadline = tokio::time::Instant::now() + START_LIMIT;
        loop {
            let answer = client.get(&address).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let process = self.process.as_mut().expect("the daemon was started");
            let late = tokio::time::Instant::now() >= deadline;
            assert!(
                process.is_running() && !late,
                "the daemon did not come up:\n{}",
                process.log_tail()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What `/readyz` answers now.
    pub async fn ready_status(&self) -> u16 {
        let address = format!("http://127.0.0.1:{}/readyz", self.port);
        let request = client().get(&address).timeout(Duration::from_secs(30));
        request.send().await.unwrap().status().as_u16()
    }

    /// The page of metrics.
    pub async fn metrics(&self) -> String {
        let address = format!("http://127.0.0.1:{}/metrics", self.port);
        client().get(&address).send().await.unwrap().text().await.unwrap()
    }

    /// Whether the process lives.
    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::is_running)
    }

    /// Sends a signal; false if the process has ended.
    pub fn signal(&mut self, signal: Signal) -> bool {
        self.process.as_mut().is_some_and(|process| process.signal(signal))
    }

    /// SIGKILL; returns whether the process still lived (a failpoint may have been faster).
    pub fn kill(&mut self) -> bool {
        self.process.take().is_some_and(|mut process| process.kill())
    }

    /// SIGTERM, and the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut process = self.process.take()?;
        process.signal(Signal::Term);
        process.wait_end(Duration::from_secs(60)).code()
    }

    /// Waits until the process ends by itself, and returns its exit code (none: a signal).
    pub fn wait_end(&mut self, limit: Duration) -> Option<i32> {
        self.process.take()?.wait_end(limit).code()
    }

    /// Everything the daemon wrote to its log so far, over all starts.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Memory in use, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process_id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Runs another command of the program with the same configuration.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// A client with an administrator's token.
    pub fn api(&self) -> Api {
        self.api_with(self.token.clone().expect("the daemon was started"))
    }

    /// A client with another token.
    pub fn api_with(&self, token: String) -> Api {
        Api::new(format!("http://127.0.0.1:{}", self.port), token)
    }

    /// Makes a token by the command line.
    pub fn create_token(&self, role: &str) -> String {
        let output = self.run(&["token", "create", "--role", role, "--name", "test", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        answer["token"].as_str().unwrap().to_owned()
    }

    /// The program with the configuration and a clean environment, in the daemon's folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        command.args(arguments).arg("--config").arg(self.configuration_file());
        command.current_dir(self.folder.path()).env_clear();
        command.env("PATH", std::env::var("PATH").unwrap_or_default());
        command.env("STATE_DIRECTORY", self.state_folder()).env("RUST_BACKTRACE", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The configuration file.
    pub fn configuration_file(&self) -> PathBuf {
        self.folder.path().join("tributary.toml")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

/// A client of the HTTP API.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    token: String,
    client: reqwest::Client,
}

/// A status and a JSON body (null if there is none).
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

impl Api {
    /// A client of the daemon at `base` (`http://127.0.0.1:…`).
    pub fn new(base: String, token: String) -> Self {
        Self { base, token, client: client() }
    }

    /// A request to a path such as `/tickets`, with the token.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let address = format!("{}/api/v1{path}", self.base);
        self.client.request(method, address).bearer_auth(&self.token)
    }

    /// Reads a path; fails the test unless it answers 200.
    pub async fn get(&self, path: &str) -> Value {
        let answer = send(self.request(Method::GET, path)).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "GET {path}: {}", answer.body);
        answer.body
    }

    /// Reads a path; an error is a broken connection.
    pub async fn try_get(&self, path: &str) -> reqwest::Result<Answer> {
        send(self.request(Method::GET, path)).await
    }

    /// Sends what [`Api::request`] began.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
        send(request).await
    }

    /// Posts a body, with an idempotency key if it is not empty. An error is a broken connection.
    pub async fn post(&self, path: &str, body: &Value, key: &str) -> reqwest::Result<Answer> {
        let mut request = self.request(Method::POST, path).json(body);
        if !key.is_empty() {
            request = request.header("Idempotency-Key", key);
        }
        send(request).await
    }

    /// Changes a ticket or a contact that has this version.
    pub async fn patch(&self, path: &str, version: &Value, body: &Value) -> Answer {
        let version = format!("\"{version}\"");
        send(self.request(Method::PATCH, path).header("If-Match", version).json(body))
            .await
            .unwrap()
    }

    /// All items of a list, page by page. `path` may carry a query already.
    pub async fn all(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut page = Url::parse(&format!("{}/api/v1{path}", self.base)).unwrap();
            page.query_pairs_mut().append_pair("limit", "200");
            if !cursor.is_empty() {
                page.query_pairs_mut().append_pair("cursor", &cursor);
            }
            let request = self.client.get(page).bearer_auth(&self.token);
            let answer = send(request).await.unwrap();
            assert_eq!(answer.status, StatusCode::OK, "GET {path}: {}", answer.body);
            let page = answer.body["items"].as_array().expect("a list has items");
            items.extend(page.iter().cloned());
            match answer.body["next_cursor"].as_str() {
                Some(next) if !page.is_empty() => next.clone_into(&mut cursor),
                _ => return items,
            }
        }
    }

    /// Every message of the store, in commit order.
    pub async fn messages(&self) -> Vec<Value> {
        self.all("/messages").await
    }

    /// Every ticket.
    pub async fn tickets(&self) -> Vec<Value> {
        self.all("/tickets").await
    }

    /// The messages of one ticket.
    pub async fn ticket_messages(&self, ticket: &str) -> Vec<Value> {
        self.all(&format!("/tickets/{ticket}/messages")).await
    }

    /// Queues a reply; fails the test unless it is taken (202). Returns the message.
    pub async fn reply(&self, ticket: &str, text: &str, key: &str) -> Value {
        let answer = self.try_reply(ticket, text, key).await.unwrap();
        assert_eq!(answer.status, StatusCode::ACCEPTED, "reply: {}", answer.body);
        answer.body
    }

    /// Queues a reply; an error is a broken connection, after which the same key may be tried again.
    pub async fn try_reply(&self, ticket: &str, text: &str, key: &str) -> reqwest::Result<Answer> {
        let body = json!({ "kind": "reply", "text": text });
        self.post(&format!("/tickets/{ticket}/messages"), &body, key).await
    }

    /// Waits until a message satisfies the condition, and returns it.
    pub async fn wait_message(&self, limit: Duration, condition: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let messages = self.messages().await;
            if let Some(found) = messages.iter().find(|message| condition(message)) {
                return found.clone();
            }
            let late = tokio::time::Instant::now() >= deadline;
            assert!(!late, "no such message within {limit:?} among {messages:#?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// The stream of events, from now on or after an event's id.
    pub async fn events(&self, last_event_id: Option<&str>) -> Events {
        let mut request = self.request(Method::GET, "/events");
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Events { response, buffer: Vec::new() }
    }
}

/// An open stream of Server-Sent Events.
pub struct Events {
    response: reqwest::Response,
    buffer: Vec<u8>,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: Value,
}

impl Events {
    /// Reads events out of an answer.
    pub fn of(response: reqwest::Response) -> Self {
        Self { response, buffer: Vec::new() }
    }

    /// The next event; comments that keep the line alive are passed over.
    pub async fn next(&mut self, limit: Duration) -> Event {
        tokio::time::timeout(limit, self.read()).await.expect("no event within the limit")
    }

    async fn read(&mut self) -> Event {
        loop {
            if let Some(event) = self.take_event() {
                return event;
            }
            let chunk = self.response.chunk().await.unwrap().expect("the stream of events ended");
            self.buffer.extend(chunk.iter().filter(|byte| **byte != b'\r'));
        }
    }

    fn take_event(&mut self) -> Option<Event> {
        while let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let event = parse_event(&String::from_utf8(block).unwrap());
            if event.is_some() {
                return event;
            }
        }
        None
    }
}

fn parse_event(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        lines.map(|value| value.strip_prefix(' ').unwrap_or(value)).collect::<Vec<_>>().join("\n")
    };
    let data = field("data");
    if data.is_empty() {
        return None;
    }
    let data = serde_json::from_str(&data).unwrap_or(Value::String(data));
    Some(Event { id: field("id"), name: field("event"), data })
}

/// Sends a request and reads the whole answer.
pub async fn send(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.timeout(Duration::from_secs(30)).send().await?;
    let status = response.status();
    let text = response.text().await?;
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Ok(Answer { status, body })
}

/// A client of HTTP.
pub fn client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
