//! What the service asks: it proves itself by its signature, and is told what to do next. Every node can answer:
//! where a call stands is in the address.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};

use super::bridge;
use super::menu;
use super::plan::Plan;
use super::step::Step;
use super::texts::Text;
use super::told::Told;
use super::twiml::{Gather, Verb, document};
use crate::channel::shared::sign::hex;
use crate::channel::shared::twilio::signature;
use crate::channel::{Hook, Received, ReceivedAt, Refused};
use crate::model::{ChannelName, DedupeKey, Raw, Timestamp, Transport};

/// Facts of the transport: behind `/hooks/<channel>/`, and what we wrote into the address.
pub(super) const PATH: &str = "path";
pub(super) const QUERY: &str = "query";
/// An agent is waited for so long.
const AGENT_SECONDS: u8 = 10;

/// How the service gets in.
pub(super) struct Door {
    pub(super) channel: ChannelName,
    pub(super) door: signature::Door,
    pub(super) account: String,
    pub(super) plan: Arc<Plan>,
}

impl Hook for Door {
    fn receive(&self, request: &Request<Bytes>) -> Result<Received, Refused> {
        let refused = |status, why| Refused { status, why };
        if *request.method() != Method::POST {
            return Err(refused(StatusCode::METHOD_NOT_ALLOWED, "method"));
        }
        let signed = self.door.admit(request)?;
        let unknown = || refused(StatusCode::NOT_FOUND, "path");
        let prefix = format!("/hooks/{}", self.channel);
        let path = request.uri().path().strip_prefix(&prefix).ok_or_else(unknown)?;
        let path = path.trim_matches('/');
        let told = Told { path, query: &signed.query, form: &signed.fields };
        // A token of this account signed for one of its parts.
        if told.field("AccountSid").is_some_and(|account| account != self.account) {
            return Err(refused(StatusCode::FORBIDDEN, "account"));
        }
        let at = request.extensions().get::<ReceivedAt>();
        let at = at.ok_or_else(|| refused(StatusCode::INTERNAL_SERVER_ERROR, "time"))?.0;
        let verbs = self.answer(&told, at).ok_or_else(unknown)?;
        // That an agent's telephone was taken up says nothing of the call.
        let raws = match path {
            "agent/answer" => Vec::new(),
            _ => vec![raw(path, request)],
        };
        let mut answer = Response::new(Bytes::from(document(&verbs)));
        let xml = HeaderValue::from_static("text/xml; charset=utf-8");
        answer.headers_mut().insert(header::CONTENT_TYPE, xml);
        Ok(Received { raws, answer })
    }
}

impl Door {
    /// What is done next; `None`: it is no address of ours.
    fn answer(&self, told: &Told<'_>, at: Timestamp) -> Option<Vec<Verb>> {
        match told.path {
            "" if told.is_over() => Some(Vec::new()),
            "" => Some(menu::next(&self.plan, &Step::enter(), &told.heard(), at)),
            "status" | "recording" | "words" => Some(Vec::new()),
            "agent/answer" => Some(self.ask_agent(told)),
            "agent/take" => Some(took(told)),
            path => bridge::answer(&self.plan, told).or_else(|| {
                let step = Step::read(path, told.query)?;
                Some(menu::next(&self.plan, &step, &told.heard(), at))
            }),
        }
    }

    /// An agent took up the telephone: are they there themselves?
    fn ask_agent(&self, told: &Told<'_>) -> Vec<Verb> {
        let step = Step::read("call/enter", told.query).unwrap_or_else(Step::enter);
        let heard = told.heard();
        let language = self.plan.language(&step);
        let topic = self.plan.topic(&step).map_or("", |topic| topic.name.as_str());
        let said = language.words.get(Text::Agent).replace("{topic}", topic);
        vec![
            Verb::Gather(Gather {
                action: self.plan.agent_url("agent/take", &step, &heard),
                keys: Some(1),
                seconds: AGENT_SECONDS,
                within: vec![language.say(said)],
            }),
            Verb::Hangup,
        ]
    }
}

/// With nothing more to do, the two are connected.
fn took(told: &Told<'_>) -> Vec<Verb> {
    if told.pressed("1") { Vec::new() } else { vec![Verb::Hangup] }
}

/// Asked again, because our answer got lost, it is the same.
fn raw(path: &str, request: &Request<Bytes>) -> Raw {
    let query = request.uri().query().unwrap_or_default();
    let mut hash = Sha256::new();
    for part in [path.as_bytes(), b"?", query.as_bytes(), b"\n", request.body()] {
        hash.update(part);
    }
    let hash = hash.finalize();
    Raw {
        dedupe: DedupeKey(format!("h:{}", hex(hash.get(..16).unwrap_or(&hash)))),
        body: request.body().clone(),
        transport: transport(path, query),
        received_at: None,
    }
}

/// The facts that tell where the service asked.
pub(super) fn transport(path: &str, query: &str) -> Transport {
    let facts = [(PATH, path), (QUERY, query)];
    let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
    facts.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
