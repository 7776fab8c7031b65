//! A telephone exchange that speaks Twilio's dialect: it asks the desk what comes next, does what the answer says,
//! tells what happened, and keeps calls, messages and recordings behind a REST interface.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};
use tributary::channel::shared::twilio::form::Form;
use tributary::channel::shared::twilio::signature::{Hash, sign};
use tributary::model::{Secret, Timestamp};
use url::form_urlencoded;

use super::receiver::{Asked, Does, Receiver};
use super::rig::clock;

pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const TOKEN: &str = "canary-twilio-token-of-the-phone";
/// Ours.
pub const NUMBER: &str = "+15005550006";
/// Agents.
pub const ANNA: &str = "+4930123456";
pub const LI: &str = "+8613800138000";
/// A customer.
pub const ANN: &str = "+4915112345678";

/// Keys that mean something somewhere in the menu, and some that do not.
pub const MENU_KEYS: &[&str] = &["1", "2", "3", "9", "*", "00493012345678", "12"];

/// What becomes of a call or a message that is to be made.
#[derive(Clone, Debug)]
pub enum Act {
    /// It is made.
    Take,
    /// It is made, and then this is done instead of an answer.
    TakeThen(Does),
    /// It is not made.
    Instead(Does),
}

/// A refusal with a code.
pub fn refusal(status: u16, code: u64) -> Does {
    let body =
        json!({ "code": code, "message": "The 'To' number +15005550001 …", "status": status });
    Does::Answer(status, vec![("content-type", "application/json".to_owned())], body.to_string())
}

/// What was made: its name and the fields of the request.
pub type Made = (String, Form);

/// A call that came in, as the exchange keeps it.
#[derive(Clone)]
pub struct Came {
    pub sid: String,
    pub from: String,
    pub to: String,
    pub status: &'static str,
    pub began: Timestamp,
    /// Name, status and source of each.
    pub recordings: Vec<(&'static str, &'static str, &'static str)>,
}

#[derive(Default)]
pub struct State {
    pub calls: Vec<Made>,
    pub messages: Vec<Made>,
    /// By name: how often it is not there yet, and the sound.
    pub recordings: BTreeMap<String, (u32, String)>,
    pub deleted: Vec<String>,
    /// Calls that came in, oldest first.
    pub came: Vec<Came>,
    /// How often it was asked for them.
    pub lists: usize,
    /// So many of them stand on a page; `None`: few.
    pub page_calls: Option<usize>,
    /// Requests that came without our credentials.
    pub strangers: usize,
    next: VecDeque<Act>,
}

/// The exchange's REST interface.
pub struct Exchange {
    receiver: Receiver,
    state: Arc<Mutex<State>>,
}

impl Exchange {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let receiver = Receiver::start(move |asked| answer(&mut shared.lock().unwrap(), asked));
        Self { receiver, state }
    }

    /// The table of a channel that uses it.
    pub fn settings(&self, more: &str) -> String {
        format!(
            "kind = \"phone\"\naccount_sid = \"{ACCOUNT}\"\nauth_token = \"{TOKEN}\"\nnumber = \"{NUMBER}\"\n\
             api_url = \"{}\"\nagents = [{{ number = \"{ANNA}\", person = \"anna@desk.test\" }}, {{ number = \"{LI}\" }}]\n{more}\n",
            self.receiver.url("")
        )
    }

    pub fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What becomes of the next ones that are to be made; then they are again.
    pub fn then(&self, acts: impl IntoIterator<Item = Act>) {
        self.state().next.extend(acts);
    }

    /// Calls that were made so far.
    pub fn calls(&self) -> Vec<Made> {
        self.state().calls.clone()
    }

    /// Somebody calls, and whatever happens then is only in the list: nobody is told.
    pub fn came(
        &self,
        (sid, from): (&str, &str),
        status: &'static str,
        recordings: &[(&'static str, &'static str, &'static str)],
    ) {
        let (sid, from, to) = (sid.to_owned(), from.to_owned(), NUMBER.to_owned());
        let (began, recordings) = (clock().now(), recordings.to_vec());
        self.state().came.push(Came { sid, from, to, status, began, recordings });
    }

    /// Recorded, and not to be had for a while.
    pub fn record(&self, name: &str, late: u32, sound: &str) {
        self.state().recordings.insert(name.to_owned(), (late, sound.to_owned()));
    }
}

fn answer(state: &mut State, asked: &Asked) -> Does {
    let credentials = format!("{ACCOUNT}:{TOKEN}");
    let expected = format!("Basic {}", data_encoding::BASE64.encode(credentials.as_bytes()));
    if asked.header("authorization") != expected {
        state.strangers += 1;
        return refusal(401, 20_003);
    }
    let root = format!("/2010-04-01/Accounts/{ACCOUNT}");
    let Some(path) = asked.path.strip_prefix(&root) else { return refusal(404, 20_404) };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    match (asked.method.as_str(), path) {
        ("GET", ".json") => Does::body(json!({ "sid": ACCOUNT, "status": "active" }).to_string()),
        ("POST", "/Calls.json" | "/Messages.json") => {
            let act = state.next.pop_front().unwrap_or(Act::Take);
            let form = Form::read(&asked.body).unwrap();
            let made = if path == "/Calls.json" { &mut state.calls } else { &mut state.messages };
            let letters = if path == "/Calls.json" { "CA" } else { "SM" };
            let sid = format!("{letters}{:032}", made.len() + 1);
            let told = json!({ "sid": sid, "status": "queued" }).to_string();
            match act {
                Act::Take => {
                    made.push((sid, form));
                    Does::Answer(201, Vec::new(), told)
                }
                Act::TakeThen(does) => {
                    made.push((sid, form));
                    does
                }
                Act::Instead(does) => does,
            }
        }
        ("GET", "/Calls.json") => {
            state.lists += 1;
            calls(state, &form_urlencoded::parse(query.as_bytes()).into_owned().collect())
        }
        ("GET", path) if path.ends_with("/Recordings.json") => recordings_of(state, path),
        (method, path) => {
            let name = path.strip_prefix("/Recordings/").and_then(|name| name.split('.').next());
            let found = name.and_then(|name| state.recordings.get_mut(name).map(|it| (name, it)));
            match (method, found) {
                ("GET", Some((_, (0, sound)))) => {
                    let sound_type = ("content-type", "audio/mpeg".to_owned());
                    Does::Answer(200, vec![sound_type], sound.clone())
                }
                ("GET", Some((_, (late, _)))) => {
                    *late -= 1;
                    refusal(404, 20_404)
                }
                ("DELETE", Some((name, _))) => {
                    state.deleted.push(name.to_owned());
                    state.recordings.remove(name);
                    Does::status(204)
                }
                _ => refusal(404, 20_404),
            }
        }
    }
}

/// The service never gives more on a page, if nothing else is said.
const PAGE_CALLS: usize = 3;

/// Newest first, in pages.
fn calls(state: &State, query: &BTreeMap<String, String>) -> Does {
    let since = query.get("StartTime>").map(|since| since.parse::<Timestamp>().unwrap());
    let page: usize = query.get("Page").map_or(0, |page| page.parse().unwrap());
    let found: Vec<&Came> = state
        .came
        .iter()
        .rev()
        .filter(|call| query.get("To").is_none_or(|to| *to == call.to))
        .filter(|call| since.is_none_or(|since| call.began >= since))
        .collect();
    let date = |at: Timestamp| at.format("%a, %d %b %Y %H:%M:%S +0000").to_string();
    let told = |call: &&Came| {
        let is_over = call.status != "in-progress";
        let ended = is_over.then(|| date(call.began + chrono::Duration::seconds(23)));
        json!({
            "sid": call.sid, "account_sid": ACCOUNT, "parent_call_sid": null, "from": call.from,
            "to": call.to, "status": call.status, "direction": "inbound", "caller_name": null,
            "start_time": date(call.began), "end_time": ended, "duration": is_over.then_some("23"),
            "price": null, "answered_by": null, "forwarded_from": null,
        })
    };
    let size = state.page_calls.unwrap_or(PAGE_CALLS);
    let items: Vec<Value> = found.iter().skip(page * size).take(size).map(told).collect();
    let next = (found.len() > (page + 1) * size).then(|| {
        let number = (page + 1).to_string();
        let mut pairs = query.clone();
        pairs.insert("Page".to_owned(), number);
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        format!("/2010-04-01/Accounts/{ACCOUNT}/Calls.json?{query}")
    });
    let body = json!({ "calls": items, "next_page_uri": next });
    let now = clock().now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    Does::Answer(200, vec![("date", now)], body.to_string())
}

fn recordings_of(state: &State, path: &str) -> Does {
    let sid = path.trim_start_matches("/Calls/").trim_end_matches("/Recordings.json");
    let Some(call) = state.came.iter().find(|call| call.sid == sid) else {
        return refusal(404, 20_404);
    };
    let told = call.recordings.iter().map(|(name, status, source)| {
        let duration = (*status == "completed").then_some("12");
        json!({ "sid": name, "call_sid": sid, "status": status, "source": source, "duration": duration })
    });
    Does::body(json!({ "recordings": told.collect::<Vec<_>>(), "next_page_uri": null }).to_string())
}

// ---- what the exchange asks the desk ---------------------------------------------------------

/// A request as the exchange makes it, signed for `base`, the desk's public address.
pub fn request(base: &str, path: &str, fields: &[(String, String)]) -> http::Request<Bytes> {
    let form: Form = fields.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let signature = sign(&Secret::new(TOKEN), Hash::Sha1, &format!("{base}{path}"), &form);
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    http::Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
        .header("x-twilio-signature", signature)
        .body(Bytes::from(body))
        .unwrap()
}

/// Fields by their names.
pub fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What somebody on the telephone does where they can do something; then they hang up.
#[derive(Clone, Debug)]
pub enum Doing {
    Press(&'static str),
    Nothing,
    HangUp,
    /// Speaks for so many seconds: the recording has this name.
    Speak(u32, &'static str),
    /// A call to agents ends like this; `true`: they press 1 and talk.
    Agents(&'static str, bool),
}

/// One thing that the exchange asks or tells: the path with its query, and the form.
pub type Told = (String, Vec<(String, String)>);

/// A call that comes in: walks through the desk's menu. `ask` gets an answer, or nothing if the desk is away.
pub struct Caller {
    pub base: String,
    pub hook: String,
    pub call: String,
    pub from: String,
    pub acts: VecDeque<Doing>,
    /// What happens beside the menu, and is told in its own time.
    pub news: Vec<Told>,
    /// Documents in order, as they were asked for.
    pub asked: Vec<Told>,
}

impl Caller {
    pub fn new(base: &str, hook: &str, (call, from): (&str, &str), acts: &[Doing]) -> Self {
        Self {
            base: base.to_owned(),
            hook: hook.to_owned(),
            call: call.to_owned(),
            from: from.to_owned(),
            acts: acts.iter().cloned().collect(),
            news: Vec::new(),
            asked: Vec::new(),
        }
    }

    fn form(&self, status: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut form = fields(&[
            ("AccountSid", ACCOUNT),
            ("CallSid", &self.call),
            ("CallStatus", status),
            ("Direction", "inbound"),
            ("From", &self.from),
            ("To", NUMBER),
            ("ApiVersion", "2010-04-01"),
        ]);
        form.extend(fields(more));
        form
    }

    /// The whole call. What the desk is asked is in `asked`, what it is told beside that in `news`, the end last.
    pub async fn walk(&mut self, mut ask: impl AsyncFnMut(&Told) -> Option<String>) {
        let mut next = Some((self.hook.clone(), self.form("ringing", &[])));
        while let Some(told) = next.take() {
            assert!(self.asked.len() < 100, "the exchange cuts off a call without an end");
            self.asked.push(told.clone());
            let Some(document) = ask(&told).await else { break };
            next = self.perform(&parse(&document));
        }
        let end = self.form("completed", &[("CallDuration", "23")]);
        self.news.push((format!("{}/status", self.hook), end));
    }

    fn path(&self, url: &str) -> String {
        url.strip_prefix(&self.base).expect("an address of the desk").to_owned()
    }

    /// Does what a document says; where it goes on.
    fn perform(&mut self, response: &Element) -> Option<Told> {
        assert_eq!(response.name, "Response");
        for verb in &response.children {
            match verb.name.as_str() {
                "Say" => assert!(!verb.text.is_empty()),
                "Pause" => {}
                "Hangup" => return None,
                "Redirect" => {
                    return Some((self.path(&verb.text), self.form("in-progress", &[])));
                }
                "Gather" => match self.acts.pop_front().unwrap_or(Doing::HangUp) {
                    Doing::Press(keys) => {
                        let max = verb.attribute("numDigits").parse().unwrap_or(usize::MAX);
                        let keys: String = keys.chars().take(max).collect();
                        let form = self.form("in-progress", &[("Digits", &keys)]);
                        return Some((self.path(verb.attribute("action")), form));
                    }
                    Doing::HangUp => return None,
                    Doing::Nothing | Doing::Speak(..) | Doing::Agents(..) => {}
                },
                "Record" => match self.acts.pop_front().unwrap_or(Doing::HangUp) {
                    Doing::Speak(seconds, name) => return Some(self.recorded(verb, seconds, name)),
                    Doing::HangUp => return None,
                    Doing::Press(_) | Doing::Nothing | Doing::Agents(..) => {}
                },
                "Dial" => match self.acts.pop_front().unwrap_or(Doing::HangUp) {
                    Doing::Agents(status, there) => return Some(self.dialled(verb, status, there)),
                    Doing::Press(_) | Doing::Nothing | Doing::HangUp | Doing::Speak(..) => {
                        return None;
                    }
                },
                other => panic!("no verb of the exchange: {other}"),
            }
        }
        None
    }

    fn recorded(&mut self, verb: &Element, seconds: u32, name: &str) -> Told {
        let url = format!("https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Recordings/{name}");
        let seconds = seconds.to_string();
        let told = [("RecordingUrl", url.as_str()), ("RecordingDuration", &seconds)];
        let ready =
            [&told[..], &[("RecordingSid", name), ("RecordingStatus", "completed")]].concat();
        let news = self.path(verb.attribute("recordingStatusCallback"));
        self.news.push((news, self.form("in-progress", &ready)));
        let action = self.path(verb.attribute("action"));
        (action, self.form("in-progress", &told))
    }

    fn dialled(&mut self, verb: &Element, status: &str, there: bool) -> Told {
        let line = verb.children.first().expect("somebody to call");
        if there {
            let answer = self.path(line.attribute("url"));
            let leg = fields(&[
                ("AccountSid", ACCOUNT),
                ("CallSid", "CAagent"),
                ("From", NUMBER),
                ("To", &line.text),
                ("Digits", "1"),
            ]);
            self.news.push((answer.replace("agent/answer", "agent/take"), leg));
        }
        let bridged = if there { "true" } else { "false" };
        let more =
            [("DialCallStatus", status), ("DialBridged", bridged), ("DialCallDuration", "60")];
        (self.path(verb.attribute("action")), self.form("in-progress", &more))
    }
}

// ---- TwiML -----------------------------------------------------------------------------------

/// An element of a document.
#[derive(Debug, Default)]
pub struct Element {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// Reads a document, and bears no fault in it.
pub fn parse(document: &str) -> Element {
    let rest = document.strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let (root, rest) = element(rest.expect("a document has a head"));
    assert!(rest.trim().is_empty(), "nothing follows the document: {rest}");
    root
}

fn element(text: &str) -> (Element, &str) {
    let (tag, mut rest) = text.strip_prefix('<').unwrap().split_once('>').unwrap();
    let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
    let mut found = Element { name: name.to_owned(), ..Element::default() };
    while let Some((key, after)) = attributes.trim_start().split_once("=\"") {
        let (value, after) = after.split_once('"').unwrap();
        found.attributes.insert(key.to_owned(), plain(value));
        attributes = after;
    }
    loop {
        if let Some(after) = rest.strip_prefix(&format!("</{name}>")) {
            return (found, after);
        }
        if rest.starts_with('<') {
            let (child, after) = element(rest);
            found.children.push(child);
            rest = after;
        } else {
            let (text, after) = rest.split_at(rest.find('<').unwrap());
            found.text.push_str(&plain(text));
            rest = after;
        }
    }
}

fn plain(text: &str) -> String {
    assert!(!text.contains('<'));
    let read = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    assert!(!read.replace("&amp;", "").contains('&'), "{text}");
    read.replace("&amp;", "&")
}
