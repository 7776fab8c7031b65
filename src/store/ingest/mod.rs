//! Journal → contacts, tickets, messages: the second half of the way in.
//!
//! A batch is one transaction. What the decisions need is read with a few questions for all of it
//! (`facts`), each message is decided on in order against what the ones before it changed (`apply`),
//! and everything is written with one INSERT a table (`flush`). If a batch fails, the engine hands its
//! rows over one by one, so that one bad message fails alone.

mod acknowledge;
mod agent;
mod answer;
mod apply;
mod asked;
mod clean;
mod contact;
mod echo;
mod facts;
mod flush;
mod follow;
mod handed;
mod judged;
mod look_back;
mod mask;
mod moved;
mod offer;
mod part;
mod proof;
mod reach;
mod receipt;
mod row;
mod triage;

use std::collections::BTreeSet;
use std::sync::Arc;

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, QueryFilter as _,
    sea_query::{Expr, ExprTrait as _},
};
use serde_json::json;
use uuid::Uuid;

use super::blob::{self, Packed};
use super::entity::{attachment, journal, seal};
use super::event::{self, NewEvent};
use super::original::Sealed;
use super::{Ending, Store, StoreError, millis, search};
use crate::desk::{self, CallbackPolicy, Safety};
use crate::model::{
    Actor, Address, Capabilities, ChannelName, DeliveryId, Echo, Event, Flag, Form, Inbound,
    Meaning, MediaSource, MessageId, OwnAddresses, Policy, RawId, Realm, RemoteId, Scheme, Sender,
    ThreadHint, ThreadKey, TicketId, Timestamp, Trust, Wishes,
};

pub(in crate::store) use acknowledge::{ADVISED, advised_channel, advised_rows};
use mask::Masking;

/// A receipt may come before we have noted what it is about; it is tried again for this long.
const TOO_EARLY_FOR: chrono::Duration = chrono::Duration::minutes(10);
const TOO_EARLY_PAUSE: chrono::Duration = chrono::Duration::seconds(15);

/// One row of the journal with its meaning, ready to be applied.
pub struct Ingest {
    /// The row.
    pub id: RawId,
    /// When the service took it.
    pub received_at: Timestamp,
    /// The channel, as configured now.
    pub channel: Arc<IngestChannel>,
    /// What it means; `Err`: why it could not be understood.
    pub meaning: Result<Meaning, String>,
}

/// What applying needs to know of a channel.
pub struct IngestChannel {
    /// Its name.
    pub name: ChannelName,
    /// Whose remote ids it shares.
    pub realm: Realm,
    /// What the admin decided.
    pub policy: Policy,
    /// Can it send at all?
    pub delivers: bool,
    /// Our own addresses on all channels.
    pub own: Arc<OwnAddresses>,
    /// What the admin decided about call-backs.
    pub callbacks: Arc<CallbackPolicy>,
    /// What is decided before a human looks.
    pub triage: Arc<desk::Triage>,
    /// Finds known answers.
    pub known: Arc<desk::faq::Matcher>,
    /// What it can do.
    pub can: Capabilities,
}

/// What became of a row.
#[derive(Debug, Clone)]
pub struct Ingested {
    /// The row.
    pub id: RawId,
    /// How it ended; `None`: it waits for something and is tried again.
    pub ending: Option<Ending>,
    /// The messages that it is (new or known) or changes, with their tickets.
    pub messages: Vec<(TicketId, MessageId)>,
    /// How many of them are new.
    pub new: usize,
}

/// A row with everything done that needs no database: attachments sealed, ids given.
struct Prepared {
    id: RawId,
    received_at: Timestamp,
    channel: Arc<IngestChannel>,
    steps: Vec<Step>,
    ending: Ending,
}

impl Prepared {
    /// The messages that it brings, by whomever.
    fn messages(&self) -> impl Iterator<Item = &PreparedMessage> {
        self.steps.iter().filter_map(Step::message)
    }

    /// Does something in it tell of what cannot wait?
    fn alarms(&self) -> bool {
        self.messages().any(|message| message.seen.alarms())
    }
}

enum Step {
    Message(Box<PreparedMessage>),
    Edit { target: RemoteId, text: String, original: Option<Box<Sealed>> },
    Delete { target: RemoteId },
    Receipt(crate::model::Receipt),
    Watermark(crate::model::Watermark),
    Rating(crate::model::Rating),
    Echo(PreparedEcho),
    Reaction(crate::model::Reaction),
    Standing(crate::model::Standing),
    Moved(crate::model::Moved),
    Linked(crate::model::Linked),
    Called(crate::model::Called),
}

impl Step {
    /// The message that it brings, by whomever.
    fn message(&self) -> Option<&PreparedMessage> {
        match self {
            Self::Message(message) => Some(message),
            Self::Echo(echo) => Some(&echo.message),
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

struct PreparedEcho {
    message: Box<PreparedMessage>,
    delivery: Option<DeliveryId>,
    by: Option<String>,
}

struct PreparedMessage {
    id: Uuid,
    /// Without the bytes of its media.
    inbound: Inbound,
    /// What its words say about their language.
    language: Option<desk::language::Guess>,
    /// What the rules find in them.
    seen: desk::Seen,
    /// The known answer that surely fits.
    fits: Option<String>,
    attachments: Vec<PreparedAttachment>,
    /// Files that are here already, with their places.
    uploads: Vec<PreparedUpload>,
    /// What was masked in it.
    masking: Masking,
    /// What may be codes in it, as they are compared.
    codes: Vec<Vec<String>>,
}

impl PreparedMessage {
    /// Has it files, whatever they are?
    fn has_files(&self) -> bool {
        !self.attachments.is_empty() || !self.uploads.is_empty()
    }

    /// Has it anything that is written into other tables than that of messages?
    fn goes_along(&self) -> bool {
        self.has_files() || !self.masking.originals.is_empty()
    }
}

struct PreparedUpload {
    id: Uuid,
    position: i32,
    name: String,
}

struct PreparedAttachment {
    row: attachment::Model,
    seal: seal::Model,
    packed: Packed,
}

/// A batch that is ready to be written: masked, its files sealed.
pub struct ReadyBatch {
    prepared: Vec<Prepared>,
    safety: Arc<Safety>,
}

impl Store {
    /// Applies a batch in one transaction, in order. Rows that ended meanwhile (another node took them for
    /// a dead one's) are left as they are, and are not in the answer.
    pub async fn ingest(
        &self,
        batch: Vec<Ingest>,
        now: Timestamp,
    ) -> Result<Vec<Ingested>, StoreError> {
        let ready = self.make_ready(batch, now).await?;
        self.apply(ready, now).await
    }

    /// The first half of [`Store::ingest`], which needs no database and can be done for the next batch while one is
    /// being written: reads, masks and seals, in two threads where it is much.
    pub async fn make_ready(
        &self,
        mut batch: Vec<Ingest>,
        now: Timestamp,
    ) -> Result<ReadyBatch, StoreError> {
        let safety = self.safety();
        let rest = batch.split_off(batch.len().div_ceil(2));
        let part = |batch: Vec<Ingest>| {
            let (store, safety) = (self.clone(), safety.clone());
            blob::beside(batch.iter().map(work_bytes).sum(), move || {
                let prepared = batch.into_iter().map(|one| store.prepare_ingest(&safety, one, now));
                prepared.collect::<Result<Vec<_>, _>>()
            })
        };
        let (mut prepared, rest) = futures::future::try_join(part(batch), part(rest)).await?;
        prepared.extend(rest);
        Ok(ReadyBatch { prepared, safety })
    }

    /// The second half of [`Store::ingest`].
    pub async fn apply(
        &self,
        ready: ReadyBatch,
        now: Timestamp,
    ) -> Result<Vec<Ingested>, StoreError> {
        let ReadyBatch { mut prepared, safety } = ready;
        let remasked = Arc::new(self.look_back(&safety, &mut prepared, now).await?);
        let prepared = Arc::new(prepared);
        let changes = !remasked.is_empty();
        let links = self.links().cloned();
        let ingested = self
            .write(move |tx| {
                let (prepared, remasked) = (prepared.clone(), remasked.clone());
                let (safety, links) = (safety.clone(), links.clone());
                Box::pin(async move {
                    for one in remasked.iter() {
                        look_back::write(tx, one).await?;
                    }
                    let facts = facts::load(tx, &prepared, now).await?;
                    let mut work = apply::Work::new(facts, (safety, links), now);
                    for one in prepared.iter() {
                        work.apply(one);
                    }
                    Box::pin(work.flush(tx, &prepared)).await
                })
            })
            .await?;
        if changes {
            // What was in clear for a moment is in no file any more.
            self.write_without_trace(|tx| Box::pin(async move { search::scrub(tx).await })).await?;
        }
        Ok(ingested)
    }

    /// Notes that a row could not be applied although the database is well: after `tries_max` of these it
    /// goes to the quarantine (`true`), so that one bad message blocks nobody.
    pub async fn ingest_failed(
        &self,
        id: RawId,
        reason: &str,
        tries_max: i32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let reason = mask::plain(&self.safety(), reason.to_owned());
        self.write(move |tx| {
            let reason = reason.clone();
            Box::pin(async move {
                journal::Entity::update_many()
                    .set(journal::ActiveModel {
                        reason: Set(Some(reason.clone())),
                        retry_at: Set(Some(millis(now) + 5_000)),
                        ..Default::default()
                    })
                    .col_expr(
                        journal::Column::Attempts,
                        Expr::col(journal::Column::Attempts).add(1),
                    )
                    .filter(journal::Column::Id.eq(id.uuid()))
                    .filter(journal::Column::State.eq("pending"))
                    .exec(tx)
                    .await?;
                let given_up = journal::Entity::update_many()
                    .set(journal::ActiveModel {
                        state: Set("failed".to_owned()),
                        ended_at: Set(Some(millis(now))),
                        ..Default::default()
                    })
                    .filter(journal::Column::Id.eq(id.uuid()))
                    .filter(journal::Column::State.eq("pending"))
                    .filter(journal::Column::Attempts.gte(tries_max))
                    .exec_with_returning(tx)
                    .await?;
                let told = given_up.iter().map(|row| quarantined(id, &row.channel, &reason));
                event::record(tx, told.collect(), now).await?;
                Ok(!given_up.is_empty())
            })
        })
        .await
    }

    fn prepare_ingest(
        &self,
        safety: &Safety,
        one: Ingest,
        now: Timestamp,
    ) -> Result<Prepared, StoreError> {
        let Ingest { id, received_at, channel, meaning } = one;
        // The first message of a raw bears the raw's id: who handed the raw over can be told its name
        // before it is understood. A notice about it does not, since the raw may be understood later.
        let mut first = Some(id.uuid());
        let (events, ending) = match meaning {
            Ok(Meaning::Events(events)) => (events, Ending::Applied),
            Ok(Meaning::Ignore(why)) => (Vec::new(), Ending::Ignored(why.to_owned())),
            Err(why) => {
                first = None;
                // Parsers quote what they stumble over.
                let why = mask::plain(safety, why);
                let notice = unreadable(id, &channel.name, &why, received_at);
                (vec![Event::Message(Box::new(notice))], Ending::Failed(why))
            }
        };
        let mut steps = Vec::with_capacity(events.len());
        for event in events {
            steps.push(match event {
                Event::Message(inbound) => {
                    let id = first.take().unwrap_or_else(|| MessageId::new().uuid());
                    Step::Message(Box::new(
                        self.prepare_message(safety, id, *inbound, &channel, now)?,
                    ))
                }
                Event::Echo(Echo { message, delivery, by }) => {
                    let id = first.take().unwrap_or_else(|| MessageId::new().uuid());
                    // No machine answers what one of ours wrote, and it opens nothing again.
                    let automated = Some("one of ours wrote it on the service itself");
                    let message = Inbound { automated, ..*message };
                    let message =
                        Box::new(self.prepare_message(safety, id, message, &channel, now)?);
                    let by = by.map(|by| mask::plain(safety, clean::text(by)));
                    Step::Echo(PreparedEcho { message, delivery, by })
                }
                Event::Edit { target, text } => {
                    let (text, original) = self.mask_edit(safety, clean::text(text), now)?;
                    Step::Edit { target: clean::remote_id(target), text, original }
                }
                Event::Delete { target } => Step::Delete { target: clean::remote_id(target) },
                Event::Receipt(receipt) => Step::Receipt(clean::receipt(receipt)),
                Event::Watermark(mark) => Step::Watermark(clean::watermark(mark)),
                Event::Rating(rating) => {
                    let mut rating = clean::rating(rating);
                    rating.comment = mask::plain(safety, rating.comment);
                    Step::Rating(rating)
                }
                Event::Reaction(reaction) => Step::Reaction(clean::reaction(reaction)),
                Event::Standing(standing) => {
                    let mut standing = clean::standing(standing);
                    standing.said = mask::plain(safety, standing.said);
                    Step::Standing(standing)
                }
                Event::Moved(moved) => Step::Moved(clean::moved(moved)),
                Event::Called(called) => Step::Called(called),
                Event::Linked(linked) => Step::Linked(clean::linked(linked)),
            });
        }
        Ok(Prepared { id, received_at, channel, steps, ending })
    }

    fn prepare_message(
        &self,
        safety: &Safety,
        id: Uuid,
        inbound: Inbound,
        channel: &IngestChannel,
        now: Timestamp,
    ) -> Result<PreparedMessage, StoreError> {
        let mut inbound = clean::inbound(inbound);
        let codes = self.proof_hashes(&proof::brought(&mut inbound));
        let mut masking = self.mask_words(safety, id, &mut inbound, now)?;
        let mut uploads = Vec::new();
        let mut attachments = Vec::with_capacity(inbound.media.len());
        for (position, media) in std::mem::take(&mut inbound.media).into_iter().enumerate() {
            let place = i32::try_from(position).unwrap_or(i32::MAX);
            let (bytes, source) = match media.source {
                MediaSource::Inline(bytes) => (bytes, None),
                MediaSource::Remote(source) => (bytes::Bytes::new(), Some(source.0)),
                MediaSource::Upload { id, .. } => {
                    let (id, name) = (id.uuid(), clean::text(media.name));
                    uploads.push(PreparedUpload { id, position: place, name });
                    continue;
                }
            };
            let file = crate::model::AttachmentId::new().uuid();
            let bytes = match safety.mask_file(&media.mime, &bytes) {
                Some((masked, found)) => {
                    let of = (Some(id), Some(file));
                    masking.originals.push(self.seal_original(of, &bytes, &found, now)?);
                    desk::safety::add(&mut masking.found, &found);
                    masked.into()
                }
                None => bytes,
            };
            let row = attachment::Model {
                id: file,
                message: Some(id),
                position: place,
                name: clean::text(media.name),
                media_type: clean::text(media.mime),
                size: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
                inline: media.inline,
                content_id: media.content_id.map(clean::text),
                state: if source.is_some() { "pending" } else { self.arrived() }.to_owned(),
                source,
                attempts: 0,
                retry_at: None,
                seal: Uuid::nil(),
                sealed: None,
                created_at: millis(now),
            };
            attachments.push(self.seal_attachment(row, &bytes)?);
        }
        if !masking.originals.is_empty() {
            inbound.flags.insert(Flag::Redacted);
        }
        let (language, seen) = (language(&inbound), channel.triage.look(&inbound, &channel.own));
        inbound.flags.extend(seen.flags());
        let fits = fits(&inbound, channel);
        Ok(PreparedMessage {
            id,
            inbound,
            language,
            seen,
            fits,
            attachments,
            uploads,
            masking,
            codes,
        })
    }

    fn seal_attachment(
        &self,
        mut row: attachment::Model,
        bytes: &[u8],
    ) -> Result<PreparedAttachment, StoreError> {
        let (key, seal) = self.keys().fresh()?;
        let mut packed = blob::pack(&key, row.id, bytes)?;
        row.seal = seal.id;
        row.sealed = packed.inline.take();
        Ok(PreparedAttachment { row, seal, packed })
    }
}

/// The article of known answers that surely fits. Machines are answered nothing.
fn fits(inbound: &Inbound, channel: &IngestChannel) -> Option<String> {
    let person = inbound.automated.is_none() && inbound.form == Form::Message;
    if !person || channel.known.articles().is_empty() {
        return None;
    }
    let found = channel.known.find(&inbound.text, 1, |article| article.serves(&channel.name));
    found.into_iter().find(|hit| hit.sure).map(|hit| hit.article.name.clone())
}

/// The words decide; a subject counts where they say too little.
fn language(inbound: &Inbound) -> Option<desk::language::Guess> {
    let of_text = desk::language::detect(&inbound.text);
    if of_text.is_some_and(|guess| guess.clue == desk::language::Clue::Sure) {
        return of_text;
    }
    let subject = inbound.subject.as_deref().unwrap_or_default();
    desk::language::detect(&format!("{}\n{subject}", inbound.text)).or(of_text)
}

/// Tells programs that something waits for a person.
fn quarantined(id: RawId, channel: &str, reason: &str) -> NewEvent {
    NewEvent {
        kind: "quarantine.added",
        ticket: None,
        ticket_seq: None,
        message: None,
        channel: Some(channel.to_owned()),
        actor: Actor::system(),
        data: json!({ "id": id, "reason": reason }),
    }
}

/// Looking for secrets in a text takes so many times longer than sealing as many bytes.
const SCAN_WEIGHT: usize = 24;

/// How much work a row is, as bytes that have to be sealed.
fn work_bytes(one: &Ingest) -> usize {
    let Ok(Meaning::Events(events)) = &one.meaning else { return 0 };
    let messages = || events.iter().filter_map(Event::message);
    let words = messages()
        .map(|inbound| inbound.text_full.len() + inbound.html.as_ref().map_or(0, String::len));
    let words: usize = words.sum();
    let media = messages().flat_map(|inbound| &inbound.media);
    let sizes = media.map(|media| match &media.source {
        MediaSource::Inline(bytes) => bytes.len(),
        MediaSource::Remote(_) | MediaSource::Upload { .. } => 0,
    });
    sizes.sum::<usize>() + words * SCAN_WEIGHT
}

/// A customer may wait behind what we cannot read, so a human has to see it: one ticket for each channel
/// collects such notices.
fn unreadable(id: RawId, channel: &ChannelName, why: &str, at: Timestamp) -> Inbound {
    let text = format!(
        "A message came in on {channel} that could not be read: {why}.\n\
         It is kept as it came, in quarantine as {id}: look at it with `tributary quarantine show {id}`, \
         try again with `tributary quarantine retry {id}`."
    );
    Inbound {
        remote_id: RemoteId::new(format!("unreadable:{id}")),
        digest: String::new(),
        part_of: None,
        form: Form::Notice,
        sender: Sender {
            address: Some(Address {
                scheme: Scheme::Api,
                scope: Some(channel.clone()),
                value: "unreadable".to_owned(),
            }),
            name: Some(format!("unreadable messages of {channel}")),
            trust: Trust::Proven,
            also: Vec::new(),
        },
        reply_to: None,
        recipients: Vec::new(),
        thread: ThreadHint { key: Some(ThreadKey::new("unreadable")), ..ThreadHint::default() },
        occurred_at: at,
        subject: Some(format!("Messages on {channel} that could not be read")),
        text_full: text.clone(),
        text,
        html: None,
        media: Vec::new(),
        flags: BTreeSet::from([Flag::Unreadable]),
        auth: None,
        automated: Some("our own notice"),
        wishes: Wishes::default(),
    }
}
