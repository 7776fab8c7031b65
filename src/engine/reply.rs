//! Plans what agents send: which channel, whom to, in how many parts; then queues it.

use uuid::Uuid;

use super::{Engine, failpoint};
use crate::channel::{Channel, GoesAs};
use crate::desk::signature::{Signing, signature};
use crate::desk::{self, CannotReply, Draft};
use crate::model::{
    Actor, ActorKind, ChannelName, Choice, ContactId, MessageId, OwnAddresses, Party, Priority,
    Template, TicketId, TicketStatus, Timestamp,
};
use crate::store::{
    Answer, MessageView, NewTicket, Once, ReplyFacts, ReplyPlan, Routing, StoreError, TicketView,
};

/// What an agent wants to send into a ticket.
#[derive(Debug, Clone)]
pub struct ReplyRequest {
    /// Chosen by the caller: the same id twice is the same reply, and is sent once.
    pub message: MessageId,
    /// The ticket.
    pub ticket: TicketId,
    /// Refuse when the ticket has changed since.
    pub version: Option<i64>,
    /// Plain text.
    pub text: String,
    /// HTML as the agent's program gave it; sanitised here.
    pub html: Option<String>,
    /// Uploads with their sizes.
    pub uploads: Vec<(Uuid, u64)>,
    /// What goes out instead of the text, approved by the service beforehand; an empty text then becomes what
    /// the template says of itself.
    pub template: Option<Template>,
    /// To whoever wrote what is answered alone, and not in public.
    pub private: bool,
    /// Answers to choose from: buttons where the channel has them, else digits below the text.
    pub choices: Vec<Choice>,
    /// Where the customer can choose as well; people here do not see it.
    pub link: Option<String>,
    /// Another channel than the customer's.
    pub via: Option<ChannelName>,
    /// Not before this moment.
    pub send_at: Option<Timestamp>,
    /// Wait until somebody releases it.
    pub held: bool,
    /// Cancel it if the customer writes first.
    pub unless_answered: bool,
    /// Who writes. What the daemon itself writes is marked as automatic on the wire.
    pub actor: Actor,
    /// The same wish twice is one reply.
    pub once: Option<Once>,
}

/// A ticket that an agent opens towards somebody; a [`ReplyRequest`] follows.
#[derive(Debug, Clone)]
pub struct TicketRequest {
    /// Chosen by the caller: the same id twice is the same ticket.
    pub ticket: TicketId,
    /// Through which channel.
    pub channel: ChannelName,
    /// A known contact…
    pub contact: Option<ContactId>,
    /// … or an address of the channel's sort; one of the two is needed.
    pub to: Option<Party>,
    /// What it is about.
    pub subject: String,
    /// How much it hurts to wait.
    pub priority: Priority,
    /// By which agents share work.
    pub queue: Option<String>,
    /// Free words.
    pub tags: Vec<String>,
    /// Who opens it.
    pub actor: Actor,
    /// The same wish twice is one ticket.
    pub once: Option<Once>,
}

/// Why it cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// The desk says no; the text is for the agent.
    #[error(transparent)]
    Cannot(#[from] CannotReply),
    /// There is no such channel, or it cannot send.
    #[error("the channel {0} is not configured, or cannot send")]
    NoChannel(ChannelName),
    /// Nobody to send it to.
    #[error("the contact has no address that {0} could write to")]
    NoAddress(ChannelName),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ReplyRequest {
    /// Words alone, by the channel on which the customer last wrote, as soon as can be.
    #[must_use]
    pub const fn words(message: MessageId, ticket: TicketId, text: String, actor: Actor) -> Self {
        Self {
            message,
            ticket,
            version: None,
            text,
            html: None,
            uploads: Vec::new(),
            template: None,
            private: false,
            choices: Vec::new(),
            link: None,
            via: None,
            send_at: None,
            held: false,
            unless_answered: false,
            actor,
            once: None,
        }
    }
}

impl Engine {
    /// Queues a reply: durable when this returns.
    pub async fn reply(&self, request: ReplyRequest) -> Result<Answer<MessageView>, ReplyError> {
        let facts = self.store.reply_facts(request.ticket).await?;
        let now = self.clock.now();
        let name = request.via.clone().unwrap_or_else(|| facts.wanted_channel());
        let running = self.running(&name);
        let running = running.filter(|running| running.channel.deliver.is_some());
        let running = running.ok_or_else(|| ReplyError::NoChannel(name.clone()))?;
        if request.actor.kind == ActorKind::System && speaks(&running.channel) {
            return Err(CannotReply::Spoken.into());
        }
        let signature = self.signed(&request.actor, &facts, &running.channel).await?;
        let own = self.own_addresses();
        let planned = running.clone();
        // Looking for secrets in a long text takes too long for this thread.
        let plan = tokio::task::spawn_blocking(move || {
            plan(request, facts, &planned.channel, signature, (&own, now))
        });
        let plan = plan.await.map_err(|error| StoreError::Database(error.into()))??;
        let queued = self.store.queue_reply(plan, now).await?;
        failpoint::hit("reply.queued");
        running.outbox.notify_one();
        Ok(queued)
    }

    /// What would stand below a reply that somebody writes now, by `via` or by the channel on which the customer
    /// last wrote. `None`: the channel's own signature, if it has one.
    pub async fn signature(
        &self,
        ticket: TicketId,
        via: Option<ChannelName>,
        actor: &Actor,
    ) -> Result<Option<String>, ReplyError> {
        let facts = self.store.reply_facts(ticket).await?;
        let name = via.unwrap_or_else(|| facts.wanted_channel());
        let running = self.running(&name).ok_or_else(|| ReplyError::NoChannel(name.clone()))?;
        Ok(self.signed(actor, &facts, &running.channel).await?)
    }

    /// What stands below the words of a person.
    async fn signed(
        &self,
        actor: &Actor,
        facts: &ReplyFacts,
        channel: &Channel,
    ) -> Result<Option<String>, StoreError> {
        let Some(id) = actor.id.filter(|_| actor.kind == ActorKind::Agent) else { return Ok(None) };
        let triage = self.triage();
        let (own, email) = match self.store.signatures(id.into()).await {
            Err(StoreError::NotFound(_)) => Default::default(),
            found => found?,
        };
        let signing = Signing {
            channel: channel.name.as_str(),
            apart: channel.capabilities.signs,
            queue: facts.queue.as_deref(),
            language: facts.language.as_deref(),
            number: facts.number,
            name: &actor.name,
            email: &email,
        };
        Ok(signature(triage.signatures(), &own, &signing))
    }

    /// Opens a ticket towards somebody, with its first message if `first` has one; both or neither.
    pub async fn open_ticket(
        &self,
        request: TicketRequest,
        first: Option<ReplyRequest>,
    ) -> Result<Answer<TicketView>, ReplyError> {
        let name = request.channel.clone();
        let running = self.running(&name);
        let running = running.filter(|running| running.channel.deliver.is_some());
        let running = running.ok_or_else(|| ReplyError::NoChannel(name.clone()))?;
        if !running.channel.capabilities.opens {
            return Err(CannotReply::Opens.into());
        }
        let to = match (&request.to, request.contact) {
            (Some(to), _) => Some(to.clone()),
            (None, Some(contact)) => {
                let addresses = self.store.contact_addresses(contact).await?;
                addresses.into_iter().find(|party| suits(party, &running.channel))
            }
            (None, None) => None,
        };
        let to = to.filter(|to| suits(to, &running.channel));
        let to = to.ok_or_else(|| ReplyError::NoAddress(name.clone()))?;
        let (now, once) = (self.clock.now(), request.once);
        let facts = ReplyFacts {
            ticket: request.ticket,
            number: 0,
            subject: request.subject.clone(),
            status: TicketStatus::Open,
            channel: name.clone(),
            queue: request.queue.clone(),
            language: None,
            last_inbound_at: None,
            answers: None,
            addresses: vec![to.clone()],
            sent: Vec::new(),
        };
        let signature = self.signed(&request.actor, &facts, &running.channel).await?;
        let own = self.own_addresses();
        let plan_first = |first| plan(first, facts, &running.channel, signature, (&own, now));
        let first = first.map(plan_first).transpose()?;
        let new = NewTicket {
            id: request.ticket,
            channel: name,
            contact: request.contact,
            to,
            subject: request.subject,
            priority: request.priority,
            queue: request.queue,
            tags: request.tags,
            actor: request.actor,
        };
        let opened = self.store.open_ticket(new, first, once, now).await?;
        running.outbox.notify_one();
        Ok(opened)
    }
}

fn plan(
    request: ReplyRequest,
    facts: ReplyFacts,
    channel: &Channel,
    signature: Option<String>,
    (own, now): (&OwnAddresses, Timestamp),
) -> Result<ReplyPlan, ReplyError> {
    // An answer goes to where its message came from, not to whoever wrote last elsewhere.
    let answers = facts.answers.filter(|(_, by, _)| *by == channel.name);
    let to = match &answers {
        Some((_, _, routing)) => {
            let wanted = [routing.reply_to.clone(), routing.sender.clone()];
            wanted.into_iter().flatten().find(|party| !own.contains(&party.address))
        }
        None => facts.addresses.iter().find(|party| suits(party, channel)).cloned(),
    };
    let to = to.ok_or_else(|| ReplyError::NoAddress(channel.name.clone()))?;
    let cc = copies(answers.as_ref().map(|(_, _, routing)| routing), &to, channel, own);
    let automated = request.actor.kind == ActorKind::System;
    let in_template = request.template.as_ref().map(Template::shown);
    if let Some(secret) = in_template.as_deref().and_then(desk::never_sent) {
        return Err(CannotReply::Secret(secret).into());
    }
    let signature = signature.filter(|_| request.template.is_none());
    let Worded { goes_out, told, html, choices } = worded(&request, signature.as_deref(), channel);
    let draft = Draft {
        text: goes_out,
        html: html.clone(),
        attachments: request.uploads.iter().map(|(_, size)| *size).collect(),
        copies: cc.len(),
        opens: answers.is_none(),
        template: request.template.is_some(),
        private: request.private,
    };
    // What is planned for later has to find the window open then.
    let goes_at = request.send_at.map_or(now, |at| at.max(now));
    let mut parts = desk::parts(&draft, &channel.capabilities, facts.last_inbound_at, goes_at)?;
    if let Some(last) = parts.last_mut() {
        last.choices = choices;
    }
    Ok(ReplyPlan {
        message: request.message,
        ticket: facts.ticket,
        version: request.version,
        channel: channel.name.clone(),
        realm: channel.realm.clone(),
        actor: request.actor,
        text: told,
        signature: signature.filter(|_| channel.capabilities.signs),
        html,
        parts,
        uploads: request.uploads.into_iter().map(|(id, _)| id).collect(),
        to,
        cc,
        answers: answers.map(|(id, _, routing)| (id, routing)),
        sent_before: facts.sent,
        send_at: request.send_at,
        held: request.held,
        unless_answered: request.unless_answered,
        automated,
        template: request.template,
        private: request.private,
        bridge: None,
        once: request.once,
    })
}

/// Who else gets it.
fn copies(
    answered: Option<&Routing>,
    to: &Party,
    channel: &Channel,
    own: &OwnAddresses,
) -> Vec<Party> {
    let copies = channel.policy.reply_all && channel.capabilities.copies;
    let Some(routing) = answered.filter(|_| copies) else { return Vec::new() };
    let mut cc = routing.recipients.clone();
    cc.retain(|party| !own.contains(&party.address) && party.address != to.address);
    cc
}

/// The words of a reply.
struct Worded {
    /// With the link, and with a signature that is not set apart.
    goes_out: String,
    /// What people here see of it.
    told: String,
    html: Option<String>,
    choices: Vec<Choice>,
}

fn worded(request: &ReplyRequest, signature: Option<&str>, channel: &Channel) -> Worded {
    let can = &channel.capabilities;
    let mut html = request.html.as_deref().map(ammonia::clean);
    let shown = request.template.as_ref().filter(|_| request.text.trim().is_empty());
    let mut text = shown.map_or_else(|| request.text.clone(), Template::shown);
    if let Some(signature) = signature.filter(|_| !can.signs && !text.trim().is_empty()) {
        text = format!("{}\n\n{signature}", text.trim_end());
        html = html.map(|html| format!("{html}<br><br>{}", desk::signature::as_html(signature)));
    }
    if request.choices.is_empty() {
        return Worded { goes_out: text.clone(), told: text, html, choices: Vec::new() };
    }
    let offered = desk::offer("", &text, (&request.choices, request.link.as_deref()), can);
    let (told, goes_out) = (offered.told(), offered.texts.join("\n\n"));
    Worded { goes_out, told, html, choices: offered.choices }
}

/// Does a reply make a telephone ring?
pub(super) fn speaks(channel: &Channel) -> bool {
    channel.deliver.as_ref().is_some_and(|deliver| deliver.goes_as() == GoesAs::Call)
}

/// Could the channel write to this address?
pub(super) fn suits(party: &Party, channel: &Channel) -> bool {
    let schemes = channel.addresses.iter().map(|own| own.scheme);
    let scoped = party.address.scope.as_ref().is_none_or(|scope| *scope == channel.name);
    scoped && schemes.into_iter().any(|scheme| scheme == party.address.scheme)
}
