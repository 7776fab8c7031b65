//! The Cloud API of WhatsApp, as far as one number needs it: sending, files in two steps, and webhooks with their
//! signature. Knows the public protocol only.
//!
//! What it does on a bad day are switches: [`WhatsApp::on_send`] for calls, the fields of [`State`] for files.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::receiver::{Asked, Does, Receiver};

pub const NUMBER_ID: &str = "106540352242922";
pub const NUMBER: &str = "15550783881";
pub const ACCOUNT: &str = "102290129340398";
pub const TOKEN: &str = "canary-4c1d-EAAG-whatsapp-token";
pub const APP_SECRET: &str = "canary-9a2b-app-secret-0123456789";
pub const VERIFY_TOKEN: &str = "canary-verify-token-of-the-hook";

/// A file at the service.
#[derive(Clone, Debug)]
pub struct Stored {
    pub mime: String,
    pub content: String,
    pub name: String,
}

/// What the service knows, and how it feels.
#[derive(Default)]
pub struct State {
    /// Messages that it took: the body of the call, and the id that it gave.
    pub taken: Vec<(Value, String)>,
    /// Everything else that it was asked for, by method and path.
    pub asked: Vec<String>,
    pub files: HashMap<String, Stored>,
    /// The file's bytes are others than it says.
    pub wrong_bytes: bool,
    /// The address of a file is no longer good.
    pub expired: bool,
    /// The files lie at another host than the one that may have the token.
    pub strange_host: bool,
    next: usize,
}

/// What becomes of a message that is to be sent.
pub enum Act {
    Take,
    /// It goes out, and nobody is told: the answer never comes, or is cut.
    TakeThen(Does),
    /// It does not go out.
    Refuse(Does),
}

type Script = Box<dyn FnMut(&Value) -> Act + Send>;

/// The service; ends with the value.
pub struct WhatsApp {
    pub api: Receiver,
    pub media: Receiver,
    pub state: Arc<Mutex<State>>,
    script: Arc<Mutex<Script>>,
}

impl WhatsApp {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(|_: &Value| Act::Take)));
        let held = state.clone();
        let media = Receiver::start(move |asked| serve_file(&held, asked));
        let (held, acts, port) = (state.clone(), script.clone(), media.port());
        let api = Receiver::start(move |asked| serve(&held, &acts, port, asked));
        Self { api, media, state, script }
    }

    /// The channel's table in TOML.
    pub fn settings(&self) -> String {
        format!(
            "kind = \"whatsapp\"\nphone_number_id = \"{NUMBER_ID}\"\nnumber = \"+{NUMBER}\"\n\
             account = \"{ACCOUNT}\"\ntoken = \"{TOKEN}\"\napp_secret = \"{APP_SECRET}\"\n\
             verify_token = \"{VERIFY_TOKEN}\"\napi_url = \"{}\"\nmedia_url = \"{}\"\n",
            self.api.url(""),
            self.media.url("")
        )
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on.
    pub fn on_send(&self, script: impl FnMut(&Value) -> Act + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// What it took so far, in order.
    pub fn taken(&self) -> Vec<Value> {
        self.state().taken.iter().map(|(body, _)| body.clone()).collect()
    }

    /// Has a customer's file; the message names it by this id.
    pub fn keep(&self, id: &str, mime: &str, content: &str) {
        let (mime, content, name) = (mime.to_owned(), content.to_owned(), String::new());
        self.state().files.insert(id.to_owned(), Stored { mime, content, name });
    }
}

fn serve(state: &Mutex<State>, script: &Mutex<Script>, media: u16, asked: &Asked) -> Does {
    let path = asked.path.split('?').next().unwrap_or_default().to_owned();
    let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut state = state.lock().unwrap();
    state.asked.push(format!("{} {path}", asked.method));
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return refusal(401, 190, 0, "Invalid OAuth access token.");
    }
    match (asked.method.as_str(), steps.as_slice()) {
        ("POST", [_, NUMBER_ID, "messages"]) => {
            let body = asked.json();
            assert_eq!(body["messaging_product"], "whatsapp", "{body}");
            let act = (script.lock().unwrap())(&body);
            let answer = match act {
                Act::Refuse(does) => return does,
                Act::Take => None,
                Act::TakeThen(does) => Some(does),
            };
            state.next += 1;
            let id = format!("wamid.OUT{}", state.next);
            let to = body["to"].as_str().or_else(|| body["recipient"].as_str()).unwrap_or("");
            let told = json!({ "messaging_product": "whatsapp",
                "contacts": [{ "input": to, "wa_id": to }], "messages": [{ "id": id }] });
            state.taken.push((body, id));
            answer.unwrap_or_else(|| Does::body(told.to_string()))
        }
        ("POST", [_, NUMBER_ID, "media"]) => {
            let Some(file) = upload(asked) else { return refusal(400, 100, 0, "no file") };
            state.next += 1;
            let id = format!("up{}", state.next);
            state.files.insert(id.clone(), file);
            Does::body(json!({ "id": id }).to_string())
        }
        ("GET", [_, NUMBER_ID]) => {
            let told = json!({ "id": NUMBER_ID, "display_phone_number": NUMBER,
                "verified_name": "Desk", "quality_rating": "GREEN" });
            Does::body(told.to_string())
        }
        ("GET", [_, id]) => {
            let host = if state.strange_host { "localhost" } else { "127.0.0.1" };
            let Some(file) = state.files.get(*id) else {
                return refusal(400, 100, 33, "Object with this id does not exist");
            };
            let told = json!({ "messaging_product": "whatsapp", "id": id,
                "url": format!("http://{host}:{media}/whatsapp_business/attachments/?mid={id}"),
                "mime_type": file.mime, "sha256": hex(&Sha256::digest(&file.content)),
                "file_size": file.content.len() });
            Does::body(told.to_string())
        }
        _ => refusal(404, 100, 33, "Unknown path components"),
    }
}

/// The second host wants the same token.
fn serve_file(state: &Mutex<State>, asked: &Asked) -> Does {
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return Does::status(401);
    }
    let state = state.lock().unwrap();
    let id = asked.path.split("mid=").nth(1).unwrap_or_default();
    match state.files.get(id) {
        Some(_) if state.expired => Does::status(404),
        Some(_) if state.wrong_bytes => Does::body("something else"),
        Some(file) => Does::body(file.content.clone()),
        None => Does::status(404),
    }
}

/// An error as the Graph API tells it.
pub fn refusal(status: u16, code: u64, subcode: u64, message: &str) -> Does {
    let mut error = json!({ "message": message, "type": "OAuthException", "code": code,
        "fbtrace_id": "Atrace", "error_data": { "messaging_product": "whatsapp", "details": message } });
    if subcode > 0 {
        error["error_subcode"] = json!(subcode);
    }
    Does::Answer(status, Vec::new(), json!({ "error": error }).to_string())
}

/// The file in a form: name, type and bytes.
fn upload(asked: &Asked) -> Option<Stored> {
    let body = String::from_utf8_lossy(&asked.body);
    assert!(body.contains("name=\"messaging_product\""), "{body}");
    let (_, part) = body.split_once("filename=\"")?;
    let name = part.split('"').next()?.to_owned();
    let (head, rest) = part.split_once("\r\n\r\n")?;
    let line = head.lines().find_map(|line| {
        line.to_lowercase().strip_prefix("content-type:").map(|kind| kind.trim().to_owned())
    });
    let content = rest.split("\r\n--").next()?.to_owned();
    Some(Stored { mime: line?, content, name })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// ---- what it pushes ----------------------------------------------------------------------

/// One change of a number of ours: its field, and what is in it beside the number.
pub fn change(field: &str, mut value: Value) -> Value {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({ "display_phone_number": NUMBER, "phone_number_id": NUMBER_ID });
    json!({ "field": field, "value": value })
}

/// A request with one entry.
pub fn envelope(changes: &[Value]) -> Value {
    json!({ "object": "whatsapp_business_account",
        "entry": [{ "id": ACCOUNT, "time": now(), "changes": changes }] })
}

/// The customer with this number, who shows it.
pub fn contact(number: &str) -> Value {
    json!({ "profile": { "name": format!("Customer {number}") }, "wa_id": number })
}

/// Text messages in one change: number and id of the message and its words.
pub fn texts(messages: &[(&str, &str, &str)]) -> Value {
    let contacts: Vec<Value> = messages.iter().map(|(number, ..)| contact(number)).collect();
    let messages: Vec<Value> = messages
        .iter()
        .map(|(number, id, text)| {
            json!({ "from": number, "id": id, "timestamp": now().to_string(), "type": "text",
                "text": { "body": text } })
        })
        .collect();
    envelope(&[change("messages", json!({ "contacts": contacts, "messages": messages }))])
}

/// A message of any type: everything but the type's own object is filled in.
pub fn message(number: &str, id: &str, kind: &str, more: &Value) -> Value {
    let mut message =
        json!({ "from": number, "id": id, "timestamp": now().to_string(), "type": kind });
    for (key, value) in more.as_object().unwrap() {
        message[key] = value.clone();
    }
    let value = json!({ "contacts": [contact(number)], "messages": [message] });
    envelope(&[change("messages", value)])
}

/// News of a message that we sent: by its id there, and the text that we sent along.
pub fn status(id: &str, status: &str, along: &Value) -> Value {
    let told = json!({ "id": id, "status": status, "timestamp": now().to_string(),
        "recipient_id": "4915112345678", "biz_opaque_callback_data": along });
    envelope(&[change("messages", json!({ "statuses": [told] }))])
}

/// The same for one that could not be delivered.
pub fn failed(id: &str, along: &Value, code: u64, details: &str) -> Value {
    let told = json!({ "id": id, "status": "failed", "timestamp": now().to_string(),
        "recipient_id": "4915112345678", "biz_opaque_callback_data": along,
        "errors": [{ "code": code, "title": details, "message": details,
            "error_data": { "details": details } }] });
    envelope(&[change("messages", json!({ "statuses": [told] }))])
}

fn now() -> i64 {
    crate::support::rig::clock().now().timestamp()
}

/// The bytes as they are pushed: everything outside of ASCII is escaped, so who writes them anew breaks the
/// signature.
pub fn bytes(body: &Value) -> Vec<u8> {
    let mut escaped = String::new();
    for c in body.to_string().chars() {
        if c.is_ascii() {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            escaped.push_str(&format!("\\u{unit:04x}"));
        }
    }
    escaped.replace('/', "\\/").into_bytes()
}

/// `X-Hub-Signature-256`.
pub fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    format!("sha256={}", hex(&mac.finalize().into_bytes()))
}

/// A push as it arrives.
pub fn push(body: &Value) -> http::Request<Bytes> {
    let body = bytes(body);
    http::Request::post("/hooks/wa")
        .header("x-hub-signature-256", signature(APP_SECRET, &body))
        .header("content-type", "application/json")
        .body(Bytes::from(body))
        .unwrap()
}
