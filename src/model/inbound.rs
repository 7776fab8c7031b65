//! What comes in: raw bytes first, their meaning later.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Address, CallOutcome, CallWish, Cursor, DedupeKey, DeliveryId, MediaRef, Priority, RemoteId,
    Secret, ThreadKey, Timestamp, UploadId,
};

/// One thing that a remote service told us, exactly as it told us. Bytes now, meaning later.
#[derive(Debug, Clone)]
pub struct Raw {
    /// The same transport unit gives the same key, however often it comes.
    pub dedupe: DedupeKey,
    /// What the service said, byte for byte.
    pub body: Bytes,
    /// What the transport said beside the body; kept with it, so that [`Meaning`] can be found again.
    pub transport: Transport,
    /// When the service took it (IMAP INTERNALDATE). Absent: the journal writes its own time, so a
    /// raw that comes out of the journal always has one.
    pub received_at: Option<Timestamp>,
}

/// Facts of the transport by name: `folder`, `mail_from`, `rcpt_to`, `auth`. Each kind has its own;
/// no secret is ever put here.
pub type Transport = BTreeMap<String, String>;

/// What one step of a pull session brought, and where the next step begins once it is stored.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// In the order in which they are to be understood.
    pub raws: Vec<Raw>,
    /// `None`: the cursor stays.
    pub cursor: Option<Cursor>,
}

/// What a [`Raw`] turned out to mean.
#[derive(Debug, Clone)]
pub enum Meaning {
    /// In order. All of them are applied in one transaction, or none.
    Events(Vec<Event>),
    /// Nothing for us, and why: the reason is stored, never only logged.
    Ignore(&'static str),
}

/// One thing that happened on a channel.
#[derive(Debug, Clone)]
pub enum Event {
    /// A customer (or a machine in their name) wrote.
    Message(Box<Inbound>),
    /// An earlier message reads differently now.
    Edit {
        /// Which message.
        target: RemoteId,
        /// The whole new text.
        text: String,
    },
    /// An earlier message was taken back.
    Delete {
        /// Which message.
        target: RemoteId,
    },
    /// News of something that we sent.
    Receipt(Receipt),
    /// News of everything that we sent to somebody up to a moment.
    Watermark(Watermark),
    /// A customer judged how they were served.
    Rating(Rating),
    /// One of ours wrote on the service itself, or the service repeats what we sent.
    Echo(Echo),
    /// Somebody put a sign under a message, or took it away.
    Reaction(Reaction),
    /// Somebody may (not) be written to any more.
    Standing(Standing),
    /// The service gave somebody, or a conversation, another name.
    Moved(Moved),
    /// A call that we made for an agent is over.
    Called(Called),
    /// Somebody brought a code of ours along, and said nothing.
    Linked(Linked),
}

impl Event {
    /// The message that it brings: a customer's, or an echo of ours.
    #[must_use]
    pub const fn message(&self) -> Option<&Inbound> {
        match self {
            Self::Message(message) | Self::Echo(Echo { message, .. }) => Some(message),
            Self::Edit { .. }
            | Self::Delete { .. }
            | Self::Receipt(_)
            | Self::Watermark(_)
            | Self::Rating(_)
            | Self::Reaction(_)
            | Self::Standing(_)
            | Self::Moved(_)
            | Self::Called(_)
            | Self::Linked(_) => None,
        }
    }
}

/// A message from a customer: the envelope that is the same for every channel.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// The service's name for it; made up from the content where it gave none.
    pub remote_id: RemoteId,
    /// Hash over what the sender wrote (never over what relays add), in hex. The same `remote_id`
    /// with another digest is another message: broken and hostile senders reuse ids.
    pub digest: String,
    /// The one thing that it is a part of, if the service sends such a thing in several (the pictures of an
    /// album, the recording of a call): the first part to come makes the message, the later ones add
    /// their text and media to it. Never the `remote_id` of anything.
    pub part_of: Option<RemoteId>,
    /// Message, comment or call.
    pub form: Form,
    /// Who wrote.
    pub sender: Sender,
    /// Where an answer should go when that is not the sender's address (mail: `Reply-To`).
    pub reply_to: Option<Party>,
    /// Everybody else it was addressed to (mail: `To` and `Cc`), our own addresses included.
    pub recipients: Vec<Party>,
    /// Which conversation it says it belongs to.
    pub thread: ThreadHint,
    /// When it was written, as the sender or the service claims.
    pub occurred_at: Timestamp,
    /// Absent on channels without subjects.
    pub subject: Option<String>,
    /// The new words only: quotes and signature of a mail cut away.
    pub text: String,
    /// All of it. Equal to `text` where nothing was cut.
    pub text_full: String,
    /// Sanitised HTML, if the customer wrote any.
    pub html: Option<String>,
    /// Attachments and inline pictures, in order.
    pub media: Vec<Media>,
    /// What was noticed about it.
    pub flags: BTreeSet<Flag>,
    /// SPF, DKIM and DMARC verdicts (mail only).
    pub auth: Option<AuthVerdicts>,
    /// May anything be answered by itself? `Some(why not)` for auto-replies, lists, bounces, no-reply
    /// senders; the reason is kept in the decision trace.
    pub automated: Option<&'static str>,
    /// What the customer chose, where the channel let them.
    pub wishes: Wishes,
}

/// What a customer may choose about a ticket: a topic, an urgency, a call back. Counts where the message
/// opens a ticket; `tags` are added to the one it goes to as well.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Instead of the channel's.
    pub queue: Option<String>,
    /// Instead of the channel's.
    pub priority: Option<Priority>,
    /// Beside the channel's.
    pub tags: Vec<String>,
    /// The customer's language, as a tag like `zh-CN`.
    pub language: Option<String>,
    /// They want to be called.
    pub call: Option<CallWish>,
    /// A code of ours that they brought along: it proves which contact they are, once. Believed only where the
    /// service vouches for the sender, and never kept.
    pub link: Option<Secret>,
    /// They hand on somebody else's mail. What it says of itself, and so a claim: of people who work here, and nobody
    /// else, it is a wish that its writer be the customer, and one of them has to confirm that.
    pub forward: Option<Box<Forward>>,
}

/// A mail that somebody hands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Who wrote it, as it says.
    pub from: Party,
    /// When, as it says.
    pub sent_at: Option<Timestamp>,
    /// What about.
    pub subject: Option<String>,
    /// Its words.
    pub text: String,
    /// What whoever hands it on wrote above it.
    pub above: String,
    /// Its name, where the whole of it is attached.
    pub remote_id: Option<RemoteId>,
}

/// How a message was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Written to us alone.
    Message,
    /// Written under a public post: the answer is public too.
    Comment,
    /// A phone call; its text is the transcript, its media the recording.
    Call,
    /// What a caller said after the tone. As a part of a call, it makes the call one.
    Voicemail,
    /// A notice from a machine about our own mail (a bounce, a complaint): shown in the ticket, but
    /// it opens and reopens nothing that the customer would have to answer for.
    Notice,
}

/// Who wrote, and how far that may be believed.
#[derive(Debug, Clone)]
pub struct Sender {
    /// `None`: the message names nobody (a mail without `From`).
    pub address: Option<Address>,
    /// As the sender wrote it; not to be trusted.
    pub name: Option<String>,
    /// What speaks for the address.
    pub trust: Trust,
    /// Other addresses of theirs that the service names. Nobody is joined to anybody by these: one that is not
    /// known yet is noted with the contact, as claimed.
    pub also: Vec<Address>,
}

/// An address with the name that somebody gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Where it goes.
    pub address: Address,
    /// As it was written; not to be trusted.
    pub name: Option<String>,
}

/// How far a sender's address may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// A check failed: show it, join it to no existing contact.
    Forged,
    /// Nothing speaks for or against it.
    Claimed,
    /// The service vouches for it, or DMARC passed.
    Proven,
}

/// All that a message says about which conversation it belongs to, strongest first.
#[derive(Debug, Clone, Default)]
pub struct ThreadHint {
    /// Signed tokens of ours that came back; their signatures have been checked.
    pub tokens: Vec<Token>,
    /// Messages that it answers or quotes, nearest first. Never holds an empty id.
    pub parents: Vec<RemoteId>,
    /// The conversation, where the service knows such a thing.
    pub key: Option<ThreadKey>,
    /// The ticket number of a subject tag `[#1234]`. A claim, not a proof.
    pub tag: Option<u64>,
}

/// Something that only we can have signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token {
    /// The number of a ticket: from a plus address.
    Ticket(u64),
    /// A delivery: from a Message-ID of ours in `In-Reply-To` or `References`.
    Delivery(DeliveryId),
}

/// What was noticed about a message. The names are those of the HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// An out-of-office note or another machine's answer.
    AutoReply,
    /// A delivery report of a mail that we sent.
    Bounce,
    /// Somebody pressed «this is spam» on a mail that we sent.
    Complaint,
    /// Came through a mailing list.
    List,
    /// Carries an invitation or another calendar object.
    Calendar,
    /// A read receipt (RFC 8098).
    Receipt,
    /// The sender's address failed a check.
    SpoofSuspect,
    /// The mail server's own filter called it spam.
    Spam,
    /// Names a ticket that its sender has no part in; it opened a linked ticket.
    ClaimsTicket,
    /// Something was left out for size or nesting; the raw has all of it.
    Truncated,
    /// Could not be read; the raw is kept.
    Unreadable,
    /// Encrypted (S/MIME, PGP): we cannot read its content.
    Encrypted,
    /// Signed (S/MIME, PGP); the signature was not checked.
    Signed,
    /// Forwarded by somebody else than its author.
    Forwarded,
    /// Somebody who was not part of the ticket before.
    NewParticipant,
    /// A secret was masked in it.
    Redacted,
    /// Arrived much later than it was written.
    Late,
    /// Came in by `tributary import`.
    Imported,
    /// Its sender pretends to be us: a domain or a name that looks like ours.
    Impostor,
    /// A link in it leads to a site on the deny list, or to one that looks like ours.
    PhishingLink,
    /// Sent to its author alone, and not under the post where they wrote.
    Private,
    /// A call in which nobody here spoke with the caller.
    MissedCall,
    /// Written where people who work here talk among themselves: no customer's.
    Internal,
    /// A call that somebody here took. In pieces of a call it takes [`Flag::MissedCall`] away, whichever comes first.
    AnsweredCall,
}

/// Verdicts on a mail's sender, as words of RFC 8601: `pass`, `fail`, `softfail`, `neutral`, `none`,
/// `temperror`, `permerror`, `policy`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthVerdicts {
    /// RFC 7208.
    pub spf: Option<String>,
    /// RFC 6376.
    pub dkim: Option<String>,
    /// RFC 7489: what decides about `From`.
    pub dmarc: Option<String>,
}

/// An attachment.
#[derive(Debug, Clone)]
pub struct Media {
    /// Never empty, never a path: only a name to show.
    pub name: String,
    /// Media type as claimed (`image/png`), lower case, without parameters.
    pub mime: String,
    /// Shown within the text rather than beside it.
    pub inline: bool,
    /// `Content-ID` without the angle brackets.
    pub content_id: Option<String>,
    /// The bytes, or how to get them.
    pub source: MediaSource,
}

/// Where the bytes of a [`Media`] are.
#[derive(Debug, Clone)]
pub enum MediaSource {
    /// Here.
    Inline(Bytes),
    /// To be fetched by the channel's `Download`.
    Remote(MediaRef),
    /// In the store already, and part of no message yet.
    Upload {
        /// Under which id; the attachment has the same.
        id: UploadId,
        /// Its size.
        bytes: u64,
    },
}

/// A customer's judgement of how they were served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rating {
    /// The conversation that it is about.
    pub thread: ThreadKey,
    /// From 1, very bad, to 5, very good.
    pub score: u8,
    /// In their own words.
    pub comment: String,
    /// Who judges.
    pub by: Address,
}

/// Something that was written to a customer without us: in the page's inbox, in the app on the
/// desk's phone. Services repeat in the same way what we sent ourselves.
#[derive(Debug, Clone)]
pub struct Echo {
    /// What was written; its `sender` is the customer to whom it was written.
    pub message: Box<Inbound>,
    /// The delivery of ours that it repeats, when an id that we sent along came back.
    pub delivery: Option<DeliveryId>,
    /// Who of us wrote it, where the service tells.
    pub by: Option<String>,
}

/// A sign (a thumb, a heart) that somebody puts under a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reaction {
    /// Under which message, theirs or ours.
    pub target: RemoteId,
    /// Who.
    pub by: Address,
    /// The sign; `None`: it was taken away.
    pub emoji: Option<String>,
}

/// Letters and digits of a code that joins two addresses.
const LINK_CHARS: usize = 43;

/// The code that joins an address with a contact, if these words are one and nothing else: so many letters and digits.
#[must_use]
pub fn link_code(words: &str) -> Option<Secret> {
    let words = words.trim();
    let is_one =
        words.len() == LINK_CHARS && words.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_one.then(|| Secret::new(words))
}

/// A code of ours that came without a message: they opened the conversation by a link with it. Only where the service
/// vouches for who they are; in a message it is a wish of it.
#[derive(Debug, Clone)]
pub struct Linked {
    /// Whose address becomes the contact's.
    pub address: Address,
    /// Good once, and never kept.
    pub code: Secret,
}

/// Whether somebody may be written to on this channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who.
    pub address: Address,
    /// May they?
    pub reach: Reach,
    /// What they said or did: kept as the record of their consent.
    pub said: String,
}

/// May somebody be written to?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Again, after they could not be.
    Reachable,
    /// They blocked us, or are no longer there.
    Unreachable,
    /// They asked for our messages.
    OptedIn,
    /// They asked us to stop.
    OptedOut,
}

/// How a call ended that we made for an agent ([`Outbound::bridge`](super::Outbound)). It may be told in several ways
/// and in any order: what says more counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Called {
    /// The delivery that made it.
    pub delivery: DeliveryId,
    /// How it ended for the customer; `None`: they were not called, since the agent was not there.
    pub outcome: Option<CallOutcome>,
}

/// The same person or group, under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The name that no longer works.
    pub from: Address,
    /// The name from now on.
    pub to: Address,
    /// Conversations that have other names now: old and new.
    pub threads: Vec<(ThreadKey, ThreadKey)>,
}

/// News of a delivery.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The delivery, when a signed id of ours named it.
    pub delivery: Option<DeliveryId>,
    /// Otherwise the service's name for what we sent.
    pub target: Option<RemoteId>,
    /// Whom it is about, if one of several.
    pub recipient: Option<Address>,
    /// The news.
    pub state: ReceiptState,
    /// When it happened, as the service claims.
    pub at: Timestamp,
}

/// News of everything that was sent to somebody up to a moment: some services tell that, and name no message.
/// Counts for what we know to have gone out; what is still in doubt then is not settled by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watermark {
    /// To whom.
    pub address: Address,
    /// Everything whose sending had begun by then, in the service's time.
    pub up_to: Timestamp,
    /// The news.
    pub reached: Reached,
}

/// How far messages came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// They are with the recipient.
    Delivered,
    /// The recipient opened them.
    Read,
}

/// What became of a delivery. A receipt only ever moves it forward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceiptState {
    /// The service has it, under this name: settles what was in doubt.
    Sent {
        /// The service's name for it.
        remote_id: RemoteId,
    },
    /// It is with the recipient.
    Delivered,
    /// The recipient opened it.
    Read,
    /// A warning: it is still being tried (DSN `Action: delayed`).
    Delayed(String),
    /// It will never arrive.
    Failed {
        /// The service's words.
        cause: String,
        /// The address itself is bad (5.1.x, 5.2.1): nothing should be sent there by itself again.
        address_is_bad: bool,
    },
    /// The recipient called it spam: send nothing unasked.
    Complained,
}
