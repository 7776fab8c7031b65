//! The Bot API for one bot: updates that are kept until they are confirmed, sending with numbers for each chat,
//! files in two steps. Knows the public protocol only.
//!
//! What it does on a bad day is told by [`Telegram::on_call`] and the fields of [`State`].

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::support::receiver::{Asked, Does, Receiver};

pub const TOKEN: &str = "4839574812:canary-5e1c-AAH_telegram_token";
pub const BOT: i64 = 4_839_574_812;
/// Another bot.
pub const OTHER_TOKEN: &str = "4839574999:canary-5e1c-AAH_another_token";

/// A call that did something.
#[derive(Clone, Debug)]
pub struct Sent {
    pub method: String,
    pub fields: Value,
    /// Name, type and content of a file.
    pub file: Option<(String, String, String)>,
}

/// What the service knows.
#[derive(Default)]
pub struct State {
    /// Updates that are not confirmed.
    pub waiting: BTreeMap<i64, Value>,
    /// What was asked for: methods in order.
    pub asked: Vec<String>,
    /// The offsets of all questions.
    pub offsets: Vec<Option<i64>>,
    /// Signs that were shown: «typing».
    pub signs: Vec<Value>,
    pub sent: Vec<Sent>,
    /// Files by id: where they are, and what is in them.
    pub files: HashMap<String, String>,
    /// The webhook: address and secret.
    pub webhook: Option<(String, String)>,
    /// Spinners that were stopped.
    pub stopped: Vec<String>,
    pub allowed: Value,
    next_update: i64,
    next_message: HashMap<i64, i64>,
}

/// What becomes of a call.
pub enum Act {
    Do,
    /// It is done, and nobody is told: the answer never comes, or is another.
    DoThen(Does),
    /// It is not done.
    Refuse(Does),
}

type Script = Box<dyn FnMut(&str, &Value) -> Act + Send>;

/// The service; ends with the value.
pub struct Telegram {
    pub api: Receiver,
    token: &'static str,
    state: Arc<Mutex<State>>,
    script: Arc<Mutex<Script>>,
}

impl Telegram {
    pub fn start() -> Self {
        Self::start_as(TOKEN)
    }

    /// For the bot with this token.
    pub fn start_as(token: &'static str) -> Self {
        let state = Arc::new(Mutex::new(State { next_update: 700_000_001, ..State::default() }));
        let script: Arc<Mutex<Script>> =
            Arc::new(Mutex::new(Box::new(|_: &str, _: &Value| Act::Do)));
        let (held, acts) = (state.clone(), script.clone());
        let api = Receiver::start(move |asked| serve((&held, token), &acts, asked));
        Self { api, token, state, script }
    }

    /// The channel's table in TOML.
    pub fn settings(&self) -> String {
        let (token, url) = (self.token, self.api.url(""));
        format!("kind = \"telegram\"\ntoken = \"{token}\"\napi_url = \"{url}\"\n")
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on.
    pub fn on_call(&self, script: impl FnMut(&str, &Value) -> Act + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// Something happens: its kind, and what it holds. Its update's number.
    #[expect(clippy::needless_pass_by_value, reason = "what happens is told once")]
    pub fn happens(&self, kind: &str, what: Value) -> i64 {
        let mut state = self.state();
        let id = state.next_update;
        state.next_update += 1;
        state.waiting.insert(id, json!({ "update_id": id, kind: what }));
        id
    }

    /// Numbers go on from here.
    pub fn number_from(&self, id: i64) {
        self.state().next_update = id;
    }

    /// Somebody writes; the number of the message.
    pub fn writes(&self, user: i64, more: &Value) -> i64 {
        let id = self.number(user);
        self.happens("message", message(user, id, more));
        id
    }

    pub fn number(&self, chat: i64) -> i64 {
        number(&mut self.state(), chat)
    }

    /// What was sent so far, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.state().sent.clone()
    }

    /// The texts among it.
    pub fn texts(&self) -> Vec<String> {
        let texts = self
            .sent()
            .into_iter()
            .filter_map(|sent| sent.fields["text"].as_str().map(str::to_owned));
        texts.collect()
    }
}

fn number(state: &mut State, chat: i64) -> i64 {
    let next = state.next_message.entry(chat).or_insert(100);
    *next += 1;
    *next
}

/// A message in somebody's own chat with the bot.
pub fn message(user: i64, id: i64, more: &Value) -> Value {
    let mut message = json!({
        "message_id": id, "date": crate::support::rig::clock().now().timestamp(),
        "chat": { "id": user, "type": "private", "first_name": format!("Customer {user}") },
        "from": { "id": user, "is_bot": false, "first_name": format!("Customer {user}") },
    });
    for (key, value) in more.as_object().unwrap() {
        message[key] = value.clone();
    }
    message
}

/// A push as it arrives.
pub fn push(update: &Value, secret: &str) -> http::Request<Bytes> {
    http::Request::post("/hooks/tg")
        .header("x-telegram-bot-api-secret-token", secret)
        .header("content-type", "application/json")
        .body(Bytes::from(update.to_string()))
        .unwrap()
}

/// A no, as the service says it.
pub fn refusal(code: u16, description: &str, parameters: &Value) -> Does {
    let mut body = json!({ "ok": false, "error_code": code, "description": description });
    if !parameters.is_null() {
        body["parameters"] = parameters.clone();
    }
    let after = parameters["retry_after"].as_u64();
    let headers = after.map(|after| ("retry-after", after.to_string())).into_iter().collect();
    Does::Answer(code, headers, body.to_string())
}

#[expect(clippy::needless_pass_by_value, reason = "an answer is given once")]
fn yes(result: Value) -> Does {
    Does::body(json!({ "ok": true, "result": result }).to_string())
}

fn serve((state, token): (&Mutex<State>, &str), script: &Mutex<Script>, asked: &Asked) -> Does {
    let steps: Vec<&str> = asked.path.trim_start_matches('/').splitn(3, '/').collect();
    let bot = format!("bot{token}");
    let mut state = state.lock().unwrap();
    match steps.as_slice() {
        ["file", bot_and_path @ ..] => {
            let path = bot_and_path.join("/");
            let Some(path) = path.strip_prefix(&format!("{bot}/")) else {
                return Does::status(401);
            };
            match state.files.get(path) {
                Some(content) => Does::body(content.clone()),
                None => Does::status(404),
            }
        }
        [given, method] if *given == bot => {
            let (fields, file) = arguments(asked);
            let method = method.to_lowercase();
            state.asked.push(method.clone());
            if method == "getupdates" {
                state.offsets.push(fields["offset"].as_i64());
            }
            let act = (script.lock().unwrap())(&method, &fields);
            match act {
                Act::Refuse(does) => does,
                Act::Do => act_on(&mut state, &method, fields, file),
                Act::DoThen(does) => {
                    act_on(&mut state, &method, fields, file);
                    does
                }
            }
        }
        [given, _] if given.starts_with("bot") => refusal(401, "Unauthorized", &Value::Null),
        _ => refusal(404, "Not Found", &Value::Null),
    }
}

fn act_on(
    state: &mut State,
    method: &str,
    fields: Value,
    file: Option<(String, String, String)>,
) -> Does {
    match method {
        "getupdates" => updates(state, &fields),
        "getme" => {
            yes(json!({ "id": BOT, "is_bot": true, "first_name": "Desk", "username": "desk_bot" }))
        }
        "setwebhook" => {
            let word = |field: &str| fields[field].as_str().unwrap_or_default().to_owned();
            state.allowed = fields["allowed_updates"].clone();
            state.webhook = Some((word("url"), word("secret_token")));
            yes(json!(true))
        }
        "deletewebhook" => {
            state.webhook = None;
            yes(json!(true))
        }
        "getwebhookinfo" => {
            let url = state.webhook.as_ref().map_or("", |(url, _)| url);
            yes(
                json!({ "url": url, "has_custom_certificate": false, "pending_update_count": state.waiting.len() }),
            )
        }
        "answercallbackquery" => {
            state.stopped.push(fields["callback_query_id"].as_str().unwrap().to_owned());
            yes(json!(true))
        }
        "getfile" => {
            let id = fields["file_id"].as_str().unwrap();
            match state.files.get(&format!("documents/{id}")) {
                Some(content) => yes(json!({ "file_id": id, "file_unique_id": id,
                    "file_size": content.len(), "file_path": format!("documents/{id}") })),
                None => refusal(400, "Bad Request: file is too big", &Value::Null),
            }
        }
        "sendchataction" => {
            state.signs.push(fields);
            yes(json!(true))
        }
        _ if method.starts_with("send") => {
            let chat = &fields["chat_id"];
            let chat = match chat.as_str() {
                Some(text) => text.parse().unwrap(),
                None => chat.as_i64().unwrap(),
            };
            let text = fields["text"].as_str().unwrap_or_default();
            if method == "sendmessage" && text.encode_utf16().count() > 4096 {
                return refusal(400, "Bad Request: message is too long", &Value::Null);
            }
            let id = number(state, chat);
            let told =
                json!({ "message_id": id, "date": 1, "chat": { "id": chat, "type": "private" } });
            state.sent.push(Sent { method: method.to_owned(), fields, file });
            yes(told)
        }
        _ => refusal(404, "Not Found: method not found", &Value::Null),
    }
}

/// Confirms what lies before the offset, and tells what is left.
fn updates(state: &mut State, fields: &Value) -> Does {
    if state.webhook.is_some() {
        return refusal(
            409,
            "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
            &Value::Null,
        );
    }
    if let Some(offset) = fields["offset"].as_i64() {
        let first = state.waiting.keys().next().copied().unwrap_or(i64::MAX);
        // Beyond what is there: numbers began anew, and nothing is given.
        if state.waiting.keys().next_back().is_some_and(|last| offset > last + 1) && first < offset
        {
            return yes(json!([]));
        }
        state.waiting.retain(|id, _| *id >= offset);
    }
    let told: Vec<&Value> = state.waiting.values().take(100).collect();
    if told.is_empty() {
        // The real one waits for longer; here whoever asks something else would wait as well.
        std::thread::sleep(Duration::from_millis(20));
    }
    yes(json!(told))
}

/// Fields in JSON or in a form, and the file in a form.
fn arguments(asked: &Asked) -> (Value, Option<(String, String, String)>) {
    let kind = asked.header("content-type");
    let Some((_, boundary)) = kind.split_once("boundary=") else {
        return (serde_json::from_slice(&asked.body).unwrap_or(json!({})), None);
    };
    let body = String::from_utf8_lossy(&asked.body);
    let (mut fields, mut file) = (json!({}), None);
    for part in body.split(&format!("--{boundary}")) {
        let Some((head, content)) = part.trim_start().split_once("\r\n\r\n") else { continue };
        let content = content.strip_suffix("\r\n").unwrap_or(content).to_owned();
        let after = |name: &str| {
            let (_, rest) = head.split_once(&format!("{name}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        match (after(" name"), after("filename")) {
            (Some(_), Some(name)) => {
                let mime = head.to_lowercase();
                let mime = mime.split("content-type: ").nth(1).unwrap_or_default();
                file = Some((name, mime.lines().next().unwrap_or_default().to_owned(), content));
            }
            (Some(name), None) => fields[name] = json!(content),
            _ => {}
        }
    }
    (fields, file)
}
