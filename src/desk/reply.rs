//! May we answer now, and in how many parts?

use super::split;
use crate::model::{Capabilities, Timestamp};

/// What an agent (or a program in our name) wants to send.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Plain text.
    pub text: String,
    /// The same as HTML, already sanitised.
    pub html: Option<String>,
    /// Sizes of the attachments in bytes.
    pub attachments: Vec<u64>,
    /// How many people get a copy.
    pub copies: usize,
    /// Towards somebody who has not written on this channel.
    pub opens: bool,
}

/// One delivery of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyPart {
    /// Its text.
    pub text: String,
    /// HTML goes with the only part.
    pub html: Option<String>,
    /// Do the attachments go with this part?
    pub attachments: bool,
}

/// Why a reply cannot be sent; the text is for the agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotReply {
    /// Nothing to send.
    #[error("the reply is empty")]
    Empty,
    /// Too many or too large attachments.
    #[error("the channel takes at most {count_max} attachments of together {bytes_max} bytes")]
    Attachments {
        /// How many.
        count_max: u16,
        /// All together.
        bytes_max: u64,
    },
    /// The channel only answers.
    #[error("on this channel the customer has to write first")]
    Opens,
    /// The service's window is over.
    #[error("the customer last wrote too long ago: the service lets nothing through any more")]
    WindowClosed,
    /// The channel has no copies.
    #[error("this channel has no copies to others")]
    Copies,
    /// Something within the text.
    #[error("the text holds a character that cannot be sent (NUL)")]
    Text,
}

/// The parts in which a draft goes out, in order.
pub fn parts(
    draft: &Draft,
    can: &Capabilities,
    last_inbound_at: Option<Timestamp>,
    now: Timestamp,
) -> Result<Vec<ReplyPart>, CannotReply> {
    if draft.text.trim().is_empty() && draft.html.is_none() && draft.attachments.is_empty() {
        return Err(CannotReply::Empty);
    }
    if draft.text.contains('\0') {
        return Err(CannotReply::Text);
    }
    if draft.opens && !can.opens {
        return Err(CannotReply::Opens);
    }
    if draft.copies > 0 && !can.copies {
        return Err(CannotReply::Copies);
    }
    let bytes: u64 = draft.attachments.iter().sum();
    if bytes > can.media.bytes_max || draft.attachments.len() > usize::from(can.media.count_max) {
        let (count_max, bytes_max) = (can.media.count_max, can.media.bytes_max);
        return Err(CannotReply::Attachments { count_max, bytes_max });
    }
    let open = |window| last_inbound_at.is_some_and(|at| now < at + window);
    if can.reply_window.is_some_and(|window| !open(window)) {
        return Err(CannotReply::WindowClosed);
    }
    let texts = split(&draft.text, can.text);
    let only = texts.len() == 1;
    let html = draft.html.clone().filter(|_| can.html && only);
    Ok(texts
        .into_iter()
        .enumerate()
        .map(|(number, text)| ReplyPart { text, html: html.clone(), attachments: number == 0 })
        .collect())
}
