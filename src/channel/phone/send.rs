//! What goes out: a reply that is spoken, or sent as SMS, and call backs of agents. The service knows no key by which
//! a second call would be the first; the address for news holds our delivery, so that news settle what is in doubt.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

use super::bridge::{Bridge, news};
use super::plan::Plan;
use super::settings::{Agent, Reply};
use super::texts::primary;
use super::twiml::{Verb, document};
use crate::channel::shared::look;
use crate::channel::shared::segments::economical;
use crate::channel::shared::twilio::rest::Account;
use crate::channel::{Accepted, AgentLine, Deliver, DeliverError, GoesAs, NoLine};
use crate::model::{Outbound, RemoteId, Scheme};

/// Longest document that goes along with a call, in characters.
const TWIML_CHARS_MAX: usize = 4_000;

/// Calls and writes from our number.
pub(super) struct Sender {
    pub(super) account: Arc<Account>,
    pub(super) plan: Arc<Plan>,
    pub(super) reply: Reply,
    pub(super) agents: Vec<Agent>,
}

#[async_trait]
impl Deliver for Sender {
    async fn deliver(&self, outbound: &Outbound) -> Result<Accepted, DeliverError> {
        if outbound.to.address.scheme != Scheme::Tel {
            return Err(DeliverError::Rejected("it is no telephone number".into()));
        }
        let told = match (&outbound.bridge, self.reply) {
            (Some(bridge), _) => {
                if outbound.begun_at > bridge.until {
                    let cause = "the agent is no longer waiting for the call";
                    return Err(DeliverError::Rejected(cause.into()));
                }
                self.call_agent(outbound, &bridge.agent).await
            }
            (None, Reply::Sms) => self.write(outbound).await,
            (None, Reply::Call) if outbound.automated => {
                let cause = "nobody's telephone is made to ring by a machine alone";
                Err(DeliverError::Rejected(cause.into()))
            }
            (None, Reply::Call) => self.speak(outbound).await,
        };
        let Some(sid) = look::word(&told?, "/sid") else {
            let cause = "Twilio took it, as it seems, and gave it no name";
            return Err(DeliverError::Unknown(cause.into()));
        };
        Ok(Accepted { remote_id: RemoteId(sid), warning: None })
    }

    async fn probe(&self) -> Result<(), DeliverError> {
        match self.account.about().await {
            Ok(_) => Ok(()),
            // Nothing was to be sent: what is wrong is wrong for everything.
            Err(DeliverError::Rejected(cause)) => Err(DeliverError::Account(cause)),
            Err(other) => Err(other),
        }
    }

    fn goes_as(&self) -> GoesAs {
        match self.reply {
            Reply::Call => GoesAs::Call,
            Reply::Sms => GoesAs::Sms,
        }
    }

    fn agent_line(&self, wanted: &AgentLine) -> Result<String, NoLine> {
        let found = match (&wanted.number, &wanted.person) {
            (Some(number), _) => self.agents.iter().find(|agent| agent.number == *number),
            (None, Some(person)) => {
                let person = person.to_lowercase();
                self.agents.iter().find(|agent| agent.person.as_ref() == Some(&person))
            }
            (None, None) => None,
        };
        found.map(|agent| agent.number.clone()).ok_or(NoLine::Unknown)
    }
}

impl Sender {
    /// Twice, so that who was taken by surprise understands it; to a machine after its tone.
    async fn speak(&self, outbound: &Outbound) -> Result<Value, DeliverError> {
        let language = self.plan.language_of(spoken(outbound, &self.plan));
        let text = outbound.text.clone();
        let verbs = [
            Verb::Pause(1),
            Verb::Say { voice: language.voice.clone(), text, times: 2 },
            Verb::Hangup,
        ];
        let document = document(&verbs);
        if document.chars().count() > TWIML_CHARS_MAX {
            let cause = "the text is too long to be spoken in one call: make it shorter";
            return Err(DeliverError::Rejected(cause.into()));
        }
        let said = news(&self.plan, "out/said", outbound.delivery);
        let more = [("MachineDetection", "DetectMessageEnd"), ("Timeout", "30")];
        self.call(&outbound.to.address.value, (&document, &said), &more).await
    }

    async fn call_agent(&self, outbound: &Outbound, agent: &str) -> Result<Value, DeliverError> {
        let (delivery, customer) = (outbound.delivery, outbound.to.address.value.as_str());
        let bridge = Bridge { delivery, customer };
        let verbs =
            bridge.ask_agent(&self.plan, outbound.language.as_deref(), outbound.ticket_number);
        let status = news(&self.plan, "bridge/status", delivery);
        self.call(agent, (&document(&verbs), &status), &[("Timeout", "30")]).await
    }

    async fn call(
        &self,
        to: &str,
        (document, news): (&str, &str),
        more: &[(&str, &str)],
    ) -> Result<Value, DeliverError> {
        let mut fields = vec![
            ("To", to),
            ("From", self.plan.number.as_str()),
            ("Twiml", document),
            ("StatusCallback", news),
            ("StatusCallbackEvent", "initiated"),
            ("StatusCallbackEvent", "answered"),
            ("StatusCallbackEvent", "completed"),
        ];
        fields.extend(more);
        self.account.create("Calls.json", &fields).await
    }

    async fn write(&self, outbound: &Outbound) -> Result<Value, DeliverError> {
        let sms = news(&self.plan, "out/sms", outbound.delivery);
        let body = economical(&outbound.text);
        let fields = [
            ("To", outbound.to.address.value.as_str()),
            ("From", self.plan.number.as_str()),
            ("Body", &*body),
            ("StatusCallback", sms.as_str()),
        ];
        self.account.create("Messages.json", &fields).await
    }
}

/// The language of a text: its script tells it, or else the ticket.
fn spoken<'o>(outbound: &'o Outbound, plan: &'o Plan) -> Option<&'o str> {
    let han = outbound.text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
    let ticket = outbound.language.as_deref();
    if han && ticket.is_none_or(|tag| !matches!(primary(tag), "zh" | "ja" | "yue")) {
        let chinese = plan.languages().find(|language| primary(&language.tag) == "zh");
        return chinese.map(|language| language.tag.as_str()).or(ticket);
    }
    ticket
}
