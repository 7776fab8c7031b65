//! A raw → what happened. Pure.

use std::collections::BTreeSet;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Product;
use crate::channel::shared::graph::entries;
use crate::channel::shared::graph::media::{Kept, media};
use crate::channel::shared::graph::notice::{self, by_id};
use crate::channel::shared::heard::{self, Heard, LATE, Nothing, Read};
use crate::channel::shared::look;
use crate::channel::shared::sign::hex;
use crate::channel::{Interpret, Unreadable};
use crate::model::{
    ChannelName, Event, Flag, Form, Inbound, Meaning, Raw, RemoteId, Sender, ThreadHint, ThreadKey,
    Timestamp, Trust, Wishes,
};

/// Begins the address of an author whom the service does not name: all that is known is what they wrote.
pub(super) const NAMELESS: &str = "comment:";

/// Reads what is for one page or account of ours.
pub(super) struct Reader {
    pub(super) product: &'static Product,
    pub(super) channel: ChannelName,
    /// Its id.
    pub(super) own: String,
}

/// A comment, however the service tells of it.
struct Comment {
    id: String,
    /// Under which post.
    post: String,
    /// Under which other comment, if not under the post itself.
    below: Option<String>,
    author: Option<String>,
    name: Option<String>,
    text: String,
    /// What it is under, for people.
    about: Option<String>,
    /// Pictures and videos: what they are, and where.
    files: Vec<(&'static str, String)>,
    at: Timestamp,
}

/// When something was told, and when it came.
#[derive(Clone, Copy)]
struct When {
    told_at: Timestamp,
    received_at: Timestamp,
}

impl Interpret for Reader {
    fn interpret(&self, raw: &Raw) -> Result<Meaning, Unreadable> {
        heard::interpret(
            raw,
            |body, at, heard| self.envelope(body, at, heard),
            |part, at| notice::unreadable(&self.product.service, &self.channel, part, at),
        )
    }
}

impl Reader {
    fn envelope(&self, body: &Value, received_at: Timestamp, heard: &mut Heard) {
        let bare = |body: &Value, heard: &mut Heard| {
            let is_change = body.get("value").is_some();
            if is_change {
                self.change(body, When { told_at: received_at, received_at }, heard);
            }
            is_change
        };
        let entry = |entry: &Value, heard: &mut Heard| self.entry(entry, received_at, heard);
        entries(body, self.product.object, heard, entry, bare);
    }

    fn entry(&self, entry: &Value, received_at: Timestamp, heard: &mut Heard) {
        if look::word(entry, "/id").is_some_and(|id| id != self.own) {
            return heard.ignore("it is for another page or account");
        }
        let told_at = look::moment(entry, "/time").unwrap_or(received_at);
        match entry.get("changes").and_then(Value::as_array) {
            Some(changes) => {
                let when = When { told_at, received_at };
                changes.iter().for_each(|change| self.change(change, when, heard));
            }
            None if entry.get("messaging").is_some() || entry.get("standby").is_some() => {
                heard.ignore("a private message, which is for another channel");
            }
            None => heard.bad(entry, "an entry without changes"),
        }
    }

    fn change(&self, change: &Value, when: When, heard: &mut Heard) {
        let Some(value) = change.get("value").filter(|value| value.is_object()) else {
            return heard.bad(change, "a change without a value");
        };
        let read = match look::text(change, "/field").unwrap_or_default() {
            "feed" => self.feed(value, when),
            "comments" | "live_comments" => self.instagram(value, when),
            "mentions" => Err(Nothing::Ignored("somebody mentioned us under what is not ours")),
            _ => Err(Nothing::Ignored("a change that tells of no comment")),
        };
        heard.take(change, read);
    }

    /// What happened on a page.
    fn feed(&self, value: &Value, when: When) -> Read {
        if look::text(value, "/item") != Some("comment") {
            return Err(Nothing::Ignored("something on the page that is no comment"));
        }
        let author = look::word(value, "/from/id").or_else(|| look::word(value, "/sender_id"));
        if author.as_ref() == Some(&self.own) {
            return Err(Nothing::Ignored("a comment of ours"));
        }
        let id = look::word(value, "/comment_id");
        let id = id.ok_or(Nothing::Unreadable("a comment without an id"))?;
        let text = look::text(value, "/message").unwrap_or_default().to_owned();
        match look::text(value, "/verb").unwrap_or("add") {
            "add" => {}
            "edited" | "edit" => return Ok(vec![Event::Edit { target: RemoteId(id), text }]),
            "remove" | "delete" => return Ok(vec![Event::Delete { target: RemoteId(id) }]),
            "hide" | "unhide" => {
                return Err(Nothing::Ignored("one of ours hid a comment, or showed it again"));
            }
            _ => return Err(Nothing::Ignored("something else happened to a comment")),
        }
        let post = look::word(value, "/post_id").or_else(|| look::word(value, "/post/id"));
        let post = post.unwrap_or_else(|| id.split('_').next().unwrap_or_default().to_owned());
        let below = look::word(value, "/parent_id").filter(|parent| is_comment(parent, &post));
        let files = [("photo", "/photo"), ("video", "/video")];
        let files = files.iter().filter_map(|(kind, at)| {
            let address = look::text(value, at).filter(|address| address.starts_with("http"));
            Some((*kind, address?.to_owned()))
        });
        let comment = Comment {
            post,
            below: below.filter(|parent| *parent != id),
            author,
            name: look::text(value, "/from/name")
                .or_else(|| look::text(value, "/sender_name"))
                .map(str::to_owned),
            text,
            about: look::text(value, "/post/permalink_url").map(str::to_owned),
            files: files.collect(),
            at: look::moment(value, "/created_time").unwrap_or(when.told_at),
            id,
        };
        Ok(vec![Event::Message(Box::new(self.inbound(comment, when)))])
    }

    /// What happened under a post on Instagram: it tells of new comments only.
    fn instagram(&self, value: &Value, when: When) -> Read {
        let author = look::word(value, "/from/id");
        if author.as_ref() == Some(&self.own) {
            return Err(Nothing::Ignored("a comment of ours"));
        }
        let id = look::word(value, "/id").or_else(|| look::word(value, "/comment_id"));
        let id = id.ok_or(Nothing::Unreadable("a comment without an id"))?;
        // An advertisement made of a post has an id of its own, and tells of the same comment again.
        let post = ["/media/original_media_id", "/media/id"];
        let post = post.iter().find_map(|at| look::word(value, at)).unwrap_or_default();
        let title =
            look::text(value, "/media/ad_title").map(|title| format!("advertisement «{title}»"));
        let comment = Comment {
            post,
            below: look::word(value, "/parent_id").filter(|parent| *parent != id),
            author,
            name: look::text(value, "/from/username").map(str::to_owned),
            text: look::text(value, "/text").unwrap_or_default().to_owned(),
            about: title,
            files: Vec::new(),
            at: look::moment(value, "/created_time").unwrap_or(when.told_at),
            id,
        };
        Ok(vec![Event::Message(Box::new(self.inbound(comment, when)))])
    }

    fn inbound(&self, comment: Comment, when: When) -> Inbound {
        let Comment { id, post, below, author, name, mut text, about, files, at } = comment;
        let mut flags = BTreeSet::new();
        if text.is_empty() && files.is_empty() {
            flags.insert(Flag::Unreadable);
            "[a comment that cannot be shown here: a sticker, or something like it]"
                .clone_into(&mut text);
        }
        if when.received_at - at > LATE {
            flags.insert(Flag::Late);
        }
        let digest = hex(&Sha256::digest(text.as_bytes()));
        let top = below.unwrap_or_else(|| id.clone());
        let trust = if author.is_some() { Trust::Proven } else { Trust::Claimed };
        let author = author.unwrap_or_else(|| format!("{NAMELESS}{id}"));
        let text_full = match about {
            Some(about) => format!("{text}\n\n— Under: {about}"),
            None => text.clone(),
        };
        Inbound {
            remote_id: RemoteId(id),
            digest,
            part_of: None,
            form: Form::Comment,
            sender: Sender {
                address: Some(by_id(&self.channel, &author)),
                name,
                trust,
                also: Vec::new(),
            },
            reply_to: None,
            recipients: Vec::new(),
            thread: ThreadHint {
                key: Some(ThreadKey(format!("{post}:{top}:{author}"))),
                ..ThreadHint::default()
            },
            occurred_at: at,
            subject: None,
            text_full: text_full.trim().to_owned(),
            media: files.iter().map(|(kind, url)| media(kind, &Kept::of(url, None))).collect(),
            text,
            html: None,
            flags,
            auth: None,
            automated: None,
            wishes: Wishes::default(),
        }
    }
}

/// The parent of a comment is the post, in either way of writing its id, or another comment.
fn is_comment(parent: &str, post: &str) -> bool {
    let bare = post.rsplit('_').next().unwrap_or(post);
    parent != post && parent != bare
}
