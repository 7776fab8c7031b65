//! The Graph API as far as pages and professional accounts need it: private messages of Messenger and Instagram,
//! comments, files, and webhooks with their signature. Knows the public protocol only.
//!
//! What it does on a bad day are switches: [`Pages::on_send`] for calls that send, the fields of [`State`] for files.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::whatsapp::{Act, bytes, refusal, signature};
use crate::support::receiver::{Asked, Does, Receiver};

pub const PAGE: &str = "1234567890";
pub const ACCOUNT: &str = "17841400000000001";
pub const TOKEN: &str = "canary-7f3e-EAAB-page-token";
pub const APP_SECRET: &str = "canary-51cc-app-secret-0123456789";
pub const VERIFY_TOKEN: &str = "canary-verify-token-of-the-page";

/// A call that sent something.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Below the version: `1234567890/messages`, `<comment>/replies`.
    pub path: String,
    /// JSON, or the fields of a form.
    pub body: Value,
    /// What it is called.
    pub id: String,
}

/// A file of ours that was put up.
#[derive(Clone, Debug)]
pub struct Up {
    pub name: String,
    pub mime: String,
    pub content: String,
    pub message: Value,
}

/// What the service knows, and how it feels.
#[derive(Default)]
pub struct State {
    pub sent: Vec<Sent>,
    /// Everything that it was asked for, by method and path.
    pub asked: Vec<String>,
    /// Signs that were shown: `typing_on`.
    pub signs: Vec<String>,
    pub uploads: HashMap<String, Up>,
    /// Files by the last step of their address.
    pub files: HashMap<String, String>,
    /// Addresses of files that are no longer good.
    pub expired: BTreeSet<String>,
    /// Comments that were answered in private.
    answered: BTreeSet<String>,
    next: usize,
}

type Script = Box<dyn FnMut(&Sent) -> Act + Send>;

/// The service; ends with the value.
pub struct Pages {
    pub api: Receiver,
    pub media: Receiver,
    pub state: Arc<Mutex<State>>,
    script: Arc<Mutex<Script>>,
}

impl Pages {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(|_: &Sent| Act::Take)));
        let held = state.clone();
        let media = Receiver::start(move |asked| serve_file(&held, asked));
        let (held, acts, port) = (state.clone(), script.clone(), media.port());
        let api = Receiver::start(move |asked| serve(&held, &acts, port, asked));
        Self { api, media, state, script }
    }

    /// A page's table in TOML; `more` comes behind.
    pub fn page(&self, kind: &str, more: &str) -> String {
        format!("kind = \"{kind}\"\npage_id = \"{PAGE}\"\n{}{more}\n", self.common())
    }

    /// An account's, with the Instagram login.
    pub fn account(&self, kind: &str, more: &str) -> String {
        format!("kind = \"{kind}\"\naccount_id = \"{ACCOUNT}\"\n{}{more}\n", self.common())
    }

    fn common(&self) -> String {
        format!(
            "token = \"{TOKEN}\"\napp_secret = \"{APP_SECRET}\"\nverify_token = \"{VERIFY_TOKEN}\"\n\
             api_url = \"{}\"\nmedia_url = \"{}\"\n",
            self.api.url(""),
            self.media.url("")
        )
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on.
    pub fn on_send(&self, script: impl FnMut(&Sent) -> Act + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// What it took so far, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    /// Has a customer's file; its address.
    pub fn keep(&self, name: &str, content: &str) -> String {
        self.state().files.insert(name.to_owned(), content.to_owned());
        self.media.url(&format!("/v/t1/{name}?oh=canary"))
    }
}

fn serve(state: &Mutex<State>, script: &Mutex<Script>, media: u16, asked: &Asked) -> Does {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut state = state.lock().unwrap();
    state.asked.push(format!("{} {path}", asked.method));
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return refusal(401, 190, 0, "Invalid OAuth access token.");
    }
    let proof = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "appsecret_proof");
    let expected = signature(APP_SECRET, TOKEN.as_bytes()).replace("sha256=", "");
    if proof.is_none_or(|(_, proof)| proof != expected) {
        return refusal(400, 100, 0, "Invalid appsecret_proof provided in the API argument");
    }
    match (asked.method.as_str(), steps.as_slice()) {
        ("POST", [_, own, "messages"]) if is_own(own) => {
            let body = asked.json();
            if let Some(action) = body["sender_action"].as_str() {
                assert!(body.get("message").is_none(), "a sign comes alone");
                state.signs.push(action.to_owned());
                return Does::body(json!({ "recipient_id": body["recipient"]["id"] }).to_string());
            }
            if let Some(refused) = check_message(own, &body, &state) {
                return refused;
            }
            let path = format!("{own}/messages");
            take(&mut state, script, (path, body), |id, body| {
                let mut told = json!({ "message_id": id });
                if let Some(to) = body["recipient"]["id"].as_str() {
                    told["recipient_id"] = json!(to);
                }
                told
            })
        }
        ("POST", [_, own, "message_attachments"]) if is_own(own) => {
            let Some(up) = upload(asked) else { return refusal(400, 100, 2_018_047, "no file") };
            state.next += 1;
            let id = format!("9000{}", state.next);
            state.uploads.insert(id.clone(), up);
            Does::body(json!({ "attachment_id": id }).to_string())
        }
        ("POST", [_, comment, below @ ("comments" | "replies")]) => {
            let fields = form_urlencoded::parse(&asked.body).into_owned();
            let body: Value = fields
                .map(|(key, value)| (key, json!(value)))
                .collect::<serde_json::Map<_, _>>()
                .into();
            let path = format!("{comment}/{below}");
            take(&mut state, script, (path, body), |id, _| json!({ "id": id }))
        }
        ("GET", [_, own]) if is_own(own) => {
            Does::body(json!({ "id": own, "name": "Desk", "username": "desk" }).to_string())
        }
        // A message of a customer: its attachments, with new addresses.
        ("GET", [_, mid]) => match mid.strip_prefix("m_file_") {
            Some(name) => {
                let url = format!("http://127.0.0.1:{media}/v/t2/{name}?oh=new");
                let data = json!([{ "id": "1", "image_data": { "url": url } }]);
                Does::body(json!({ "id": mid, "attachments": { "data": data } }).to_string())
            }
            None => refusal(400, 100, 33, "Unsupported get request. Object does not exist"),
        },
        _ => refusal(404, 100, 33, "Unknown path components"),
    }
}

fn is_own(id: &str) -> bool {
    id == PAGE || id == ACCOUNT
}

/// What the service refuses by itself.
fn check_message(own: &str, body: &Value, state: &State) -> Option<Does> {
    let message = &body["message"];
    let text = message["text"].as_str().unwrap_or_default();
    let too_long = if own == ACCOUNT { text.len() > 1000 } else { text.chars().count() > 2000 };
    if too_long {
        return Some(refusal(400, 100, 0, "Length of param message[text] is too long"));
    }
    if text.is_empty() == message.get("attachment").is_none() {
        return Some(refusal(400, 100, 0, "A message has a text or an attachment"));
    }
    if let Some(id) = message["attachment"]["payload"]["attachment_id"].as_str()
        && !state.uploads.contains_key(id)
    {
        return Some(refusal(400, 100, 2_018_074, "Invalid attachment_id"));
    }
    if let Some(comment) = body["recipient"]["comment_id"].as_str() {
        let twice = state.answered.contains(comment);
        return twice.then(|| refusal(400, 10_900, 0, "Activity already replied to"));
    }
    match body["messaging_type"].as_str() {
        Some("RESPONSE") if body.get("tag").is_none() => None,
        Some("MESSAGE_TAG") if body["tag"] == "HUMAN_AGENT" => None,
        _ => Some(refusal(400, 100, 0, "messaging_type")),
    }
}

fn take(
    state: &mut State,
    script: &Mutex<Script>,
    (path, body): (String, Value),
    answer: impl FnOnce(&str, &Value) -> Value,
) -> Does {
    let id = format!("m_OUT{}", state.next + 1);
    let sent = Sent { path, body, id };
    let does = match (script.lock().unwrap())(&sent) {
        Act::Refuse(does) => return does,
        Act::Take => Does::body(answer(&sent.id, &sent.body).to_string()),
        Act::TakeThen(does) => does,
    };
    state.next += 1;
    state.answered.extend(sent.body["recipient"]["comment_id"].as_str().map(str::to_owned));
    state.sent.push(sent);
    does
}

/// Anybody may fetch who knows the address: nobody's token belongs here.
fn serve_file(state: &Mutex<State>, asked: &Asked) -> Does {
    assert_eq!(asked.header("authorization"), "", "the token went to a host of files");
    let state = state.lock().unwrap();
    let path = asked.path.split('?').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    match state.files.get(name) {
        Some(_) if state.expired.contains(path) => Does::status(403),
        Some(content) => Does::body(content.clone()),
        None => Does::status(404),
    }
}

/// The file in a form, and what is said of it.
fn upload(asked: &Asked) -> Option<Up> {
    let body = String::from_utf8_lossy(&asked.body);
    let (_, message) = body.split_once("name=\"message\"\r\n\r\n")?;
    let message = serde_json::from_str(message.split("\r\n").next()?).ok()?;
    let (_, part) = body.split_once("name=\"filedata\"; filename=\"")?;
    let name = part.split('"').next()?.to_owned();
    let (head, rest) = part.split_once("\r\n\r\n")?;
    let mime = head.lines().find_map(|line| {
        line.to_lowercase().strip_prefix("content-type:").map(|kind| kind.trim().to_owned())
    });
    let content = rest.split("\r\n--").next()?.to_owned();
    Some(Up { name, mime: mime?, content, message })
}

// ---- what it pushes ----------------------------------------------------------------------

/// Now, in milliseconds.
pub fn now() -> i64 {
    crate::support::rig::clock().now().timestamp_millis()
}

/// What is ours on a face of the service: its object and id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Face {
    Messenger,
    Instagram,
}

impl Face {
    pub fn own(self) -> &'static str {
        match self {
            Self::Messenger => PAGE,
            Self::Instagram => ACCOUNT,
        }
    }

    /// A request with one entry.
    pub fn envelope(self, list: &str, elements: &[Value]) -> Value {
        let object = if self == Self::Messenger { "page" } else { "instagram" };
        json!({ "object": object, "entry": [{ "id": self.own(), "time": now(), list: elements }] })
    }

    /// One thing that a customer did: its field and what is in it.
    pub fn event(self, customer: &str, field: &str, value: &Value) -> Value {
        json!({ "sender": { "id": customer }, "recipient": { "id": self.own() }, "timestamp": now(),
            field: value })
    }

    /// A customer's words.
    pub fn text(self, customer: &str, mid: &str, text: &str) -> Value {
        let event = self.event(customer, "message", &json!({ "mid": mid, "text": text }));
        self.envelope("messaging", &[event])
    }

    /// What the service repeats of what was written to a customer.
    pub fn echo(self, customer: &str, message: &Value) -> Value {
        let mut message = message.clone();
        message["is_echo"] = json!(true);
        let event = json!({ "sender": { "id": self.own() }, "recipient": { "id": customer },
            "timestamp": now(), "message": message });
        self.envelope("messaging", &[event])
    }
}

/// A push as it arrives.
pub fn push(channel: &str, body: &Value) -> http::Request<Bytes> {
    let body = bytes(body);
    http::Request::post(format!("/hooks/{channel}"))
        .header("x-hub-signature-256", signature(APP_SECRET, &body))
        .header("content-type", "application/json")
        .body(Bytes::from(body))
        .unwrap()
}
