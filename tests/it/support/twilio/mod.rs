//! Twilio, as far as messages need it: an account that is called, a list that can be asked for, files that lie
//! elsewhere, files of ours that it fetches, and webhooks with their signature. Knows the public protocol only.
//!
//! What it does on a bad day are switches: [`Twilio::on_send`] for messages, [`Twilio::on_list`] for questions,
//! the fields of [`State`] for the rest.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Request;
use serde_json::{Value, json};
use sha1::Sha1;
use tributary::model::Timestamp;
use url::form_urlencoded;

use crate::support::receiver::{Asked, Does, Receiver};
use crate::support::rig::clock;

pub const SID: &str = "AC00000000000000000000000000000001";
pub const TOKEN: &str = "canary-51c0-twilio-token-0123456789";
pub const NUMBER: &str = "+15005550006";
/// How the engine of a test is known to the world.
pub const PUBLIC_URL: &str = "http://desk.test";

/// A message, in either direction.
#[derive(Clone, Debug)]
pub struct Message {
    pub sid: String,
    pub from: Option<String>,
    pub to: String,
    pub body: String,
    pub status: String,
    pub inbound: bool,
    pub service: Option<String>,
    pub error: Option<u64>,
    pub made: Timestamp,
    /// Name, type and content of each file.
    pub files: Vec<(String, String, String)>,
    /// All that the call held.
    pub fields: Vec<(String, String)>,
}

impl Message {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What the service knows, and how it feels.
#[derive(Default)]
pub struct State {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// What it was asked for, by method and path with the query.
    pub asked: Vec<String>,
    /// Who said STOP.
    pub stopped: BTreeSet<String>,
    /// So many times a file is not there yet.
    pub late_files: usize,
    /// Requests for files that bore credentials where they must not.
    pub leaks: usize,
    /// It reaches nobody who is to show it a file.
    pub cut_off: bool,
    /// No message's turn comes: what is sent waits, and its files are fetched later, once this is over and somebody
    /// asks for them.
    pub busy: bool,
    contents: HashMap<String, (String, String)>,
    next: usize,
}

impl State {
    /// Puts a file, by type and content, where files lie: its name, type and content.
    fn hold(&mut self, (kind, content): (String, String)) -> (String, String, String) {
        self.next += 1;
        let name = format!("ME{:032x}", self.next);
        self.contents.insert(name.clone(), (kind.clone(), content.clone()));
        (name, kind, content)
    }
}

/// What becomes of a message that is to be sent.
pub enum Act {
    Take,
    /// It goes out, and nobody is told: the answer never comes, or is cut.
    TakeThen(Does),
    /// It does not go out.
    Refuse(Does),
}

type Script = Box<dyn FnMut(&Message) -> Act + Send>;
type ListScript = Box<dyn FnMut() -> Option<Does> + Send>;

/// The service; ends with the value.
pub struct Twilio {
    pub api: Receiver,
    /// Where files lie: another host, which must not see the token.
    pub store: Receiver,
    state: Arc<Mutex<State>>,
    script: Arc<Mutex<Script>>,
    lists: Arc<Mutex<ListScript>>,
}

/// The service never gives more on a page, here.
const PAGE_MAX: usize = 100;

impl Twilio {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let script: Arc<Mutex<Script>> = Arc::new(Mutex::new(Box::new(|_| Act::Take)));
        let lists: Arc<Mutex<ListScript>> = Arc::new(Mutex::new(Box::new(|| None)));
        let held = state.clone();
        let store = Receiver::start(move |asked| serve_file(&held, asked));
        let (held, acts, asks, port) = (state.clone(), script.clone(), lists.clone(), store.port());
        let api = Receiver::start(move |asked| serve(&held, &acts, &asks, port, asked));
        Self { api, store, state, script, lists }
    }

    /// The channel's table in TOML, for one number of ours.
    pub fn settings(&self, number: &str) -> String {
        format!(
            "kind = \"sms\"\naccount_sid = \"{SID}\"\nauth_token = \"{TOKEN}\"\nnumber = \"{number}\"\n\
             poll_seconds = 1\nrate_per_minute = 6000\napi_url = \"{}\"\nmedia_url = \"{}\"\n",
            self.api.url(""),
            self.store.url("")
        )
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What becomes of messages, from now on.
    pub fn on_send(&self, script: impl FnMut(&Message) -> Act + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// What becomes of questions for the list, from now on; `None`: they are answered.
    pub fn on_list(&self, script: impl FnMut() -> Option<Does> + Send + 'static) {
        *self.lists.lock().unwrap() = Box::new(script);
    }

    /// What went out, in order.
    pub fn sent(&self) -> Vec<Message> {
        self.state().messages.iter().filter(|message| !message.inbound).cloned().collect()
    }

    /// A customer writes: it is in the list, and not pushed yet.
    pub fn write(&self, from: &str, to: &str, body: &str) -> Message {
        self.write_with(from, to, body, &[])
    }

    /// The same with files: type and content of each.
    pub fn write_with(&self, from: &str, to: &str, body: &str, files: &[(&str, &str)]) -> Message {
        let mut state = self.state();
        state.next += 1;
        let sid = format!("{}{:032x}", if files.is_empty() { "SM" } else { "MM" }, state.next);
        let owned = files.iter().map(|(kind, content)| ((*kind).to_owned(), (*content).to_owned()));
        let kept = owned.map(|file| state.hold(file)).collect();
        if body.trim().eq_ignore_ascii_case("STOP") {
            state.stopped.insert(from.to_owned());
        }
        let message = Message {
            sid,
            from: Some(from.to_owned()),
            to: to.to_owned(),
            body: body.to_owned(),
            status: "received".to_owned(),
            inbound: true,
            service: None,
            error: None,
            made: clock().now(),
            files: kept,
            fields: Vec::new(),
        };
        state.messages.push(message.clone());
        message
    }

    /// The push of a message to us.
    pub fn push(&self, message: &Message) -> Request<Bytes> {
        push_to(PUBLIC_URL, &self.fields(message))
    }

    /// The fields of that push.
    pub fn fields(&self, message: &Message) -> Vec<(String, String)> {
        let mut fields = vec![
            ("ToCountry", "US".to_owned()),
            ("SmsMessageSid", message.sid.clone()),
            ("NumMedia", message.files.len().to_string()),
            ("SmsSid", message.sid.clone()),
            ("SmsStatus", "received".to_owned()),
            ("Body", message.body.clone()),
            ("To", message.to.clone()),
            ("NumSegments", "1".to_owned()),
            ("MessageSid", message.sid.clone()),
            ("AccountSid", SID.to_owned()),
            ("From", message.from.clone().unwrap_or_default()),
            ("ApiVersion", "2010-04-01".to_owned()),
            ("SomethingNew", String::new()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect::<Vec<_>>();
        for (at, (name, kind, _)) in message.files.iter().enumerate() {
            let path = format!("/2010-04-01/Accounts/{SID}/Messages/{}/Media/{name}", message.sid);
            fields.push((format!("MediaUrl{at}"), format!("https://api.twilio.com{path}")));
            fields.push((format!("MediaContentType{at}"), kind.clone()));
        }
        fields
    }

    /// Sets how far a message of ours is, and makes the news of it, for the address that the call named.
    pub fn news(&self, message: &Message, status: &str, code: Option<u64>) -> Request<Bytes> {
        let callback = message.field("StatusCallback").expect("no address for news");
        let callback = callback.split('#').next().unwrap();
        signed(callback, TOKEN, &self.news_fields(message, status, code))
    }

    /// The fields of such news.
    pub fn news_fields(
        &self,
        message: &Message,
        status: &str,
        code: Option<u64>,
    ) -> Vec<(String, String)> {
        let mut state = self.state();
        if let Some(known) = state.messages.iter_mut().find(|known| known.sid == message.sid) {
            status.clone_into(&mut known.status);
            known.error = code;
        }
        let mut fields: Vec<(String, String)> = [
            ("SmsSid", message.sid.as_str()),
            ("SmsStatus", status),
            ("MessageStatus", status),
            ("To", &message.to),
            ("MessageSid", &message.sid),
            ("AccountSid", SID),
            ("From", message.from.as_deref().unwrap_or_default()),
            ("ApiVersion", "2010-04-01"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        fields.extend(code.map(|code| ("ErrorCode".to_owned(), code.to_string())));
        fields
    }
}

/// A push to the channel `sms` at this address of ours.
pub fn push_to(public_url: &str, fields: &[(String, String)]) -> Request<Bytes> {
    signed(&format!("{public_url}/hooks/sms"), TOKEN, fields)
}

/// A request to `url`, signed as the service signs: written from its documentation, not from our code.
pub fn signed(url: &str, token: &str, fields: &[(String, String)]) -> Request<Bytes> {
    let mut sorted: Vec<&(String, String)> = fields.iter().collect();
    sorted.sort();
    let mut text = url.to_owned();
    for (name, value) in sorted {
        text.push_str(name);
        text.push_str(value);
    }
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let signature = BASE64.encode(&mac.finalize().into_bytes());
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    Request::post(format!("/{path}"))
        .header("host", "10.0.0.7:8080")
        .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
        .header("x-twilio-signature", signature)
        .header("i-twilio-idempotency-token", "d2b0")
        .body(body.into())
        .unwrap()
}

/// An error as the service tells it.
pub fn refusal(status: u16, code: u64, message: &str) -> Does {
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    let body = json!({ "code": code, "message": message, "more_info": more, "status": status });
    answer(status, &body)
}

fn answer(status: u16, body: &Value) -> Does {
    // The service's clock goes as ours.
    let date = clock().now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let headers = vec![("content-type", "application/json".to_owned()), ("date", date)];
    Does::Answer(status, headers, body.to_string())
}

fn resource(message: &Message) -> Value {
    let sid = &message.sid;
    let path = format!("/2010-04-01/Accounts/{SID}/Messages/{sid}");
    let date = message.made.format("%a, %d %b %Y %H:%M:%S +0000").to_string();
    // What has not left yet has no such date.
    let sent = (message.status != "queued" && message.status != "accepted").then_some(&date);
    json!({
        "sid": sid, "account_sid": SID, "api_version": "2010-04-01", "from": message.from,
        "to": message.to, "body": message.body, "status": message.status,
        "direction": if message.inbound { "inbound" } else { "outbound-api" },
        "messaging_service_sid": message.service, "num_media": message.files.len().to_string(),
        "num_segments": "1", "error_code": message.error, "error_message": null, "price": null,
        "price_unit": null, "date_created": date, "date_updated": date, "date_sent": sent,
        "uri": format!("{path}.json"), "subresource_uris": { "media": format!("{path}/Media.json") },
    })
}

fn serve(
    state: &Mutex<State>,
    script: &Mutex<Script>,
    lists: &Mutex<ListScript>,
    store: u16,
    asked: &Asked,
) -> Does {
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let query: HashMap<String, String> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    state.lock().unwrap().asked.push(format!("{} {}", asked.method, asked.path));
    let basic = BASE64.encode(format!("{SID}:{TOKEN}").as_bytes());
    if asked.header("authorization") != format!("Basic {basic}") {
        return refusal(401, 20_003, "Authenticate");
    }
    let steps: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (asked.method.as_str(), steps.as_slice()) {
        ("POST", ["2010-04-01", "Accounts", SID, "Messages.json"]) => create(state, script, asked),
        ("GET", ["2010-04-01", "Accounts", SID, "Messages.json"]) => {
            let spoiled = (lists.lock().unwrap())();
            spoiled.unwrap_or_else(|| list(&state.lock().unwrap(), &query))
        }
        ("GET", ["2010-04-01", "Accounts", SID, "Messages", sid, "Media.json"]) => {
            catch_up(state, sid);
            let state = state.lock().unwrap();
            let found = state.messages.iter().find(|message| message.sid == **sid);
            let Some(message) = found else { return refusal(404, 20_404, "not found") };
            let files: Vec<Value> = message
                .files
                .iter()
                .rev()
                .map(|(name, kind, _)| {
                    let uri =
                        format!("/2010-04-01/Accounts/{SID}/Messages/{sid}/Media/{name}.json");
                    json!({ "sid": name, "content_type": kind, "uri": uri })
                })
                .collect();
            answer(200, &json!({ "media_list": files, "next_page_uri": null }))
        }
        ("GET", ["2010-04-01", "Accounts", SID, "Messages", _, "Media", name]) => {
            let mut state = state.lock().unwrap();
            if state.late_files > 0 {
                state.late_files -= 1;
                return refusal(404, 20_404, "not found");
            }
            Does::with(307, "location", format!("http://127.0.0.1:{store}/{name}?signed=1"))
        }
        _ => refusal(404, 20_404, "The requested resource was not found"),
    }
}

/// Where files lie. Whoever comes with the token has told it to a stranger.
fn serve_file(state: &Mutex<State>, asked: &Asked) -> Does {
    let mut state = state.lock().unwrap();
    if !asked.header("authorization").is_empty() {
        state.leaks += 1;
        return Does::status(400);
    }
    let name = asked.path.trim_matches('/').split('?').next().unwrap_or_default();
    match state.contents.get(name) {
        Some((kind, content)) => {
            Does::Answer(200, vec![("content-type", kind.clone())], content.clone())
        }
        None => Does::status(404),
    }
}

fn create(state: &Mutex<State>, script: &Mutex<Script>, asked: &Asked) -> Does {
    let fields: Vec<(String, String)> = form_urlencoded::parse(&asked.body).into_owned().collect();
    let of =
        |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let (to, body) = (of("To").unwrap_or_default(), of("Body").unwrap_or_default());
    let bare = to.strip_prefix("whatsapp:").unwrap_or(&to);
    if !bare.starts_with('+') && !bare.chars().all(|c| c.is_ascii_digit()) {
        return refusal(400, 21_211, &format!("Invalid 'To' Phone Number: {to}"));
    }
    let urls: Vec<String> =
        fields.iter().filter(|(name, _)| name == "MediaUrl").map(|(_, url)| url.clone()).collect();
    if urls.len() > 10 {
        return refusal(400, 21_623, "Number of media files exceeds allowed limit");
    }
    if body.is_empty() && urls.is_empty() && of("ContentSid").is_none() {
        return refusal(400, 21_602, "Message body is required.");
    }
    if body.encode_utf16().count() > 1600 {
        return refusal(400, 21_617, "The concatenated message body exceeds 1600 characters");
    }
    // The numbers that the real service keeps for tests.
    let magic = match bare {
        "+15005550001" => Some((21_211, "not a valid phone number")),
        "+15005550002" => Some((21_612, "no route")),
        "+15005550003" => Some((21_408, "permission")),
        "+15005550004" => Some((21_610, "unsubscribed")),
        "+15005550009" => Some((21_614, "not a mobile number")),
        _ => None,
    };
    if let Some((code, words)) = magic {
        return refusal(400, code, words);
    }
    if state.lock().unwrap().stopped.contains(&to) {
        return refusal(400, 21_610, "Attempt to send to unsubscribed recipient");
    }
    let service = of("MessagingServiceSid");
    let message = Message {
        sid: String::new(),
        from: of("From"),
        to,
        body,
        status: if service.is_some() { "accepted" } else { "queued" }.to_owned(),
        inbound: false,
        service,
        error: None,
        made: clock().now(),
        files: Vec::new(),
        fields,
    };
    let then = match (script.lock().unwrap())(&message) {
        Act::Refuse(does) => return does,
        Act::Take => None,
        Act::TakeThen(does) => Some(does),
    };
    keep(state, message, &urls, then)
}

/// It goes out, with the files that can be fetched.
fn keep(state: &Mutex<State>, mut message: Message, urls: &[String], then: Option<Does>) -> Does {
    let (cut_off, busy) = {
        let state = state.lock().unwrap();
        (state.cut_off, state.busy)
    };
    let now: &[String] = if busy { &[] } else { urls };
    let fetched: Vec<_> = now.iter().filter_map(|url| fetch(url).filter(|_| !cut_off)).collect();
    let mut state = state.lock().unwrap();
    state.next += 1;
    let letters = if urls.is_empty() { "SM" } else { "MM" };
    message.sid = format!("{letters}{:032x}", state.next);
    message.made = clock().now();
    message.files = fetched.into_iter().map(|file| state.hold(file)).collect();
    let told = answer(201, &resource(&message));
    if message.files.len() < now.len() {
        // It was taken; that its files are nowhere is told later.
        let whatsapp = message.to.starts_with("whatsapp:");
        message.status = "failed".to_owned();
        message.error = Some(if whatsapp { 63_019 } else { 11_200 });
    }
    state.messages.push(message);
    then.unwrap_or(told)
}

/// The turn of a message has come, unless there is too much to do.
fn catch_up(state: &Mutex<State>, sid: &str) {
    let waits = |message: &&mut Message| message.sid == sid && message.files.is_empty();
    let urls: Vec<String> = {
        let mut state = state.lock().unwrap();
        let found = if state.busy { None } else { state.messages.iter_mut().find(waits) };
        let Some(message) = found else { return };
        let urls = message.fields.iter().filter(|(name, _)| name == "MediaUrl");
        urls.map(|(_, url)| url.clone()).collect()
    };
    // Whoever is asked for a file may ask us something meanwhile.
    let fetched: Vec<_> = urls.iter().filter_map(|url| fetch(url)).collect();
    let mut state = state.lock().unwrap();
    let files: Vec<_> = fetched.into_iter().map(|file| state.hold(file)).collect();
    if let Some(message) = state.messages.iter_mut().find(waits) {
        message.files = files;
    }
}

/// The type and the content of a file at this address, as anybody would get them: asked for it first, and then for
/// all of it.
fn fetch(url: &str) -> Option<(String, String)> {
    let head = ask("HEAD", url)?;
    let (kind, content) = ask("GET", url)?;
    (head.0 == kind && head.1.is_empty()).then_some((kind, content))
}

fn ask(verb: &str, url: &str) -> Option<(String, String)> {
    let (host, path) = url.strip_prefix("http://")?.split_once('/')?;
    let mut stream = TcpStream::connect(host).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    write!(stream, "{verb} /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").ok()?;
    let mut told = String::new();
    stream.read_to_string(&mut told).ok()?;
    let (head, content) = told.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let good = lines.next()?.split(' ').nth(1) == Some("200");
    let kind = lines.find_map(|line| line.strip_prefix("content-type: "))?;
    good.then(|| (kind.to_owned(), content.to_owned()))
}

/// Newest first, in pages.
fn list(state: &State, query: &HashMap<String, String>) -> Does {
    let of = |name: &str| query.get(name).map(String::as_str);
    let since = of("DateSent>").map(|since| since.parse::<Timestamp>().unwrap());
    let number = |name: &str| of(name).and_then(|text| text.parse::<usize>().ok());
    let (size, page) =
        (number("PageSize").unwrap_or(50).min(PAGE_MAX), number("Page").unwrap_or(0));
    let found: Vec<&Message> = state
        .messages
        .iter()
        .rev()
        .filter(|message| of("To").is_none_or(|to| message.to == to))
        .filter(|message| of("From").is_none_or(|from| message.from.as_deref() == Some(from)))
        .filter(|message| {
            let left = message.status != "queued" && message.status != "accepted";
            since.is_none_or(|since| left && message.made.timestamp() >= since.timestamp())
        })
        .collect();
    let items: Vec<Value> =
        found.iter().skip(page * size).take(size).map(|message| resource(message)).collect();
    let next = (found.len() > (page + 1) * size).then(|| {
        let mut pairs: Vec<(&str, &str)> = query
            .iter()
            .filter(|(name, _)| *name != "Page" && *name != "PageToken")
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let number = (page + 1).to_string();
        pairs.extend([("Page", number.as_str()), ("PageToken", "PASM")]);
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("/2010-04-01/Accounts/{SID}/Messages.json?{query}")
    });
    let told = json!({ "messages": items, "page": page, "page_size": size, "next_page_uri": next });
    answer(200, &told)
}
