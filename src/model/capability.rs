//! What a channel can do.

use std::time::Duration;

/// What a channel can do. The desk and the console ask this, never the kind's name.
#[derive(Debug, Clone)]
pub struct Capabilities {
    /// Longest text of one delivery.
    pub text: TextLimit,
    /// Attachments of one delivery.
    pub media: MediaLimit,
    /// Are there subjects?
    pub subject: bool,
    /// May a reply be HTML?
    pub html: bool,
    /// May several people get one reply?
    pub copies: bool,
    /// Is a signature set apart from the words? Elsewhere it would stand among them.
    pub signs: bool,
    /// Can a sent message be changed?
    pub edit: Support,
    /// Can a sent message be taken back?
    pub delete: Support,
    /// What the service tells us about what we sent.
    pub receipts: Receipts,
    /// What happens when the same outbound is handed over twice.
    pub resend: Resend,
    /// May we write first, or only answer?
    pub opens: bool,
    /// How long after the customer's last message we may still answer.
    pub reply_window: Option<Duration>,
    /// Are there messages that the service approved beforehand ([`Template`](super::Template))? They go out
    /// whatever the window.
    pub templates: bool,
    /// May somebody who wrote in public be answered in private? `None`: everything here is private anyway.
    pub private: Option<PrivateReply>,
    /// Can a message have buttons with answers? `None`: they are told in words, each with its digit.
    pub choices: Option<ChoiceLimit>,
    /// How fast we may send.
    pub rate: Rate,
}

/// Buttons of one message.
#[derive(Debug, Clone, Copy)]
pub struct ChoiceLimit {
    /// How many.
    pub count: usize,
    /// Longest label, in characters.
    pub label_chars: usize,
    /// Longest text of a message that has buttons, in the unit of its text.
    pub text: u32,
}

/// One message in private to somebody who wrote in public: a text without files.
#[derive(Debug, Clone, Copy)]
pub struct PrivateReply {
    /// Longest text.
    pub text: TextLimit,
    /// How long after they wrote it may be sent.
    pub window: Duration,
}

/// Longest text.
#[derive(Debug, Clone, Copy)]
pub struct TextLimit {
    /// In `unit`.
    pub max: u32,
    /// How the service counts.
    pub unit: TextUnit,
}

/// How a service counts text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextUnit {
    /// UTF-8 bytes.
    Bytes,
    /// Unicode scalar values.
    Chars,
    /// UTF-16 code units.
    Utf16,
    /// UTF-16 code units, of which the networks carry, and charge, segments: 160 or 70 in the first.
    Segments,
    /// The same; each part of a text that goes out in several says which one it is: `(1/3)`.
    NumberedSegments,
}

/// Attachments of one delivery.
#[derive(Debug, Clone, Copy)]
pub struct MediaLimit {
    /// All of them together, in bytes.
    pub bytes_max: u64,
    /// How many.
    pub count_max: u16,
    /// One call of the service takes either a text or one file: each file becomes a delivery of its own, after
    /// those of the text.
    pub apart: bool,
}

/// How well something is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Not at all.
    No,
    /// Done in another way: an edit becomes a second message.
    Degraded,
    /// As it should be.
    Full,
}

/// What a service tells us about what we sent. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Receipts {
    /// Nothing.
    Never,
    /// Only failures (mail: bounces).
    Failures,
    /// Also that it arrived.
    Delivered,
    /// Also that it was opened.
    Read,
}

/// What happens when the same [`Outbound`](super::Outbound) is handed over twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// It is sent once: the service knows it by its key, or the adapter asks the service for what was tried before.
    Safe,
    /// The customer may get it twice.
    MayDuplicate,
}

/// How fast we may send.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Deliveries of the whole channel in a minute; 0 = no limit.
    pub per_minute: u32,
    /// Shortest time between two deliveries to one recipient.
    pub per_recipient: Duration,
    /// Calls under way at once, never two of one conversation.
    pub in_flight_max: u16,
}
