//! An entry → what happened. Pure.

use sha2::{Digest as _, Sha256};

use super::THREAD;
use super::entry::{Attachment, Entry, Message, Source, Status, StatusWord};
use crate::channel::shared::html;
use crate::channel::shared::sign::hex;
use crate::channel::shared::words;
use crate::channel::{Interpret, Unreadable};
use crate::model::{
    Address, ChannelName, DeliveryId, Event, Flag, Form, Inbound, Meaning, Media, MediaRef,
    MediaSource, Raw, Receipt, ReceiptState, RemoteId, Scheme, Sender, ThreadHint, ThreadKey,
    Timestamp, Trust, Wishes,
};

/// Longest reason of a failure that is kept, in characters.
const REASON_CHARS_MAX: usize = 300;
/// Longest subject that is made from a text, in characters.
const SUBJECT_CHARS: usize = 80;

/// Reads the entries of one channel.
pub(super) struct Reader {
    pub(super) channel: ChannelName,
}

impl Interpret for Reader {
    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable> {
        let entry = Entry::read(&raw.body).map_err(|problem| Unreadable(problem.into()))?;
        // The journal gives each of its raws a time.
        let at = raw.received_at.unwrap_or_default();
        let event = match entry {
            Entry::Message(message) => {
                let inbound = self.inbound(&message, at);
                Event::Message(Box::new(inbound.map_err(|problem| Unreadable(problem.into()))?))
            }
            Entry::Edit(edit) => Event::Edit { target: RemoteId(edit.id), text: edit.text },
            Entry::Delete(delete) => Event::Delete { target: RemoteId(delete.id) },
            Entry::Status(status) => Event::Receipt(receipt(status, at)),
        };
        Ok(Meaning::Events(vec![event]))
    }
}

impl Reader {
    fn inbound(&self, message: &Message, at: Timestamp) -> Result<Inbound, String> {
        let sender = &message.sender;
        let conversation = message.conversation.as_ref().unwrap_or(&sender.id);
        let html = message.html.as_deref().and_then(html::sanitised);
        let text = match (&message.text, &message.html) {
            (Some(text), _) if !text.trim().is_empty() => text.clone(),
            (_, Some(html)) => html::plain(html),
            (text, None) => text.clone().unwrap_or_default(),
        };
        let media: Result<Vec<Media>, String> = message.attachments.iter().map(media).collect();
        let media = media?;
        Ok(Inbound {
            remote_id: RemoteId::new(&message.id),
            digest: digest(message, &media),
            part_of: None,
            form: Form::Message,
            sender: self.sender(message),
            reply_to: None,
            recipients: Vec::new(),
            thread: ThreadHint {
                parents: message.reply_to.iter().map(RemoteId::new).collect(),
                key: Some(ThreadKey(format!("{THREAD}{conversation}"))),
                ..ThreadHint::default()
            },
            occurred_at: message.occurred_at.unwrap_or(at),
            subject: message.subject.clone().or_else(|| subject(&text)),
            text_full: text.clone(),
            text,
            html,
            media,
            // Kept with the message: what follows later must know it, too.
            flags: message.automated.then_some(Flag::AutoReply).into_iter().collect(),
            auth: None,
            automated: message.automated.then_some("the sender says so"),
            wishes: Wishes::default(),
        })
    }

    /// The other system vouches for its own ids.
    fn sender(&self, message: &Message) -> Sender {
        let sender = &message.sender;
        let email = sender.email.iter().map(|email| (Scheme::Email, email.to_lowercase()));
        let phone = sender.phone.iter().map(|phone| (Scheme::Tel, phone.clone()));
        Sender {
            address: Some(Address {
                scheme: Scheme::Api,
                scope: Some(self.channel.clone()),
                value: sender.id.clone(),
            }),
            name: sender.name.clone(),
            trust: Trust::Proven,
            also: email
                .chain(phone)
                .map(|(scheme, value)| Address { scheme, scope: None, value })
                .collect(),
        }
    }
}

/// What the sender wrote, and no more: the same id with other words is another message.
fn digest(message: &Message, media: &[Media]) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
    for part in [&message.conversation, &message.subject, &message.text, &message.html] {
        add(&text(part));
    }
    add(message.sender.id.as_bytes());
    for one in media {
        add(one.name.as_bytes());
        match &one.source {
            MediaSource::Inline(bytes) => add(bytes),
            MediaSource::Remote(at) => add(at.as_str().as_bytes()),
            MediaSource::Upload { id, .. } => add(id.uuid().as_bytes()),
        }
    }
    hex(&hash.finalize())
}

/// The beginning of the first line, where the sender gave no subject.
fn subject(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let cut: String = line.chars().take(SUBJECT_CHARS).collect();
    Some(if cut.len() < line.len() { format!("{}…", cut.trim_end()) } else { cut })
}

fn media(attachment: &Attachment) -> Result<Media, String> {
    let (source, from_url) = match attachment.source()? {
        Source::Here(bytes) => (MediaSource::Inline(bytes), None),
        Source::There(url) => (MediaSource::Remote(MediaRef::new(url)), file_name(url)),
    };
    let name = attachment.name.clone().or(from_url).unwrap_or_default();
    let media_type = attachment.media_type.as_deref().unwrap_or("application/octet-stream");
    let content_id = attachment.content_id.clone().filter(|id| !id.is_empty());
    let shown = words::file_name(&name, usize::MAX);
    Ok(Media {
        name: if shown.is_empty() { "file".to_owned() } else { shown },
        mime: media_type.split(';').next().unwrap_or_default().trim().to_lowercase(),
        inline: content_id.is_some(),
        content_id,
        source,
    })
}

/// The last step of an address's path.
fn file_name(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let last = url.path_segments()?.next_back()?.to_owned();
    (!last.is_empty()).then_some(last)
}

fn receipt(status: Status, at: Timestamp) -> Receipt {
    let state = match status.status {
        StatusWord::Delivered => ReceiptState::Delivered,
        StatusWord::Read => ReceiptState::Read,
        StatusWord::Failed => {
            let cause =
                status.error.unwrap_or_else(|| "the other system could not deliver it".to_owned());
            let cause = cause.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
            ReceiptState::Failed { cause, address_is_bad: false }
        }
    };
    Receipt {
        delivery: status.delivery.map(DeliveryId::from),
        target: status.id.map(RemoteId),
        recipient: None,
        state,
        at: status.occurred_at.unwrap_or(at),
    }
}
