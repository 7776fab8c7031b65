//! What a visitor said → a raw; and what the widget is told about the channel.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{WebChat, text};
use crate::channel::Chat;
use crate::channel::chat::{
    CallMe, ChatRules, Form, Judgement, Knock, Said, Unwelcome, Visitor, Words,
};
use crate::model::{DedupeKey, Raw, Timestamp, Transport, UploadId, phone_number};

const CLIENT_ID_BYTES_MAX: usize = 64;
const COMMENT_CHARS_MAX: usize = 2_000;

/// The body of a raw.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Spoken {
    /// Who.
    pub(super) visitor: Speaker,
    /// When we heard it, by our own clock. Not `at`: what they said may have that.
    pub(super) heard_at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub(super) said: Said,
}

/// Who said it, as their token told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Speaker {
    pub(super) id: String,
    #[serde(default)]
    pub(super) identified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) language: Option<String>,
}

fn wrong(code: &'static str, why: impl Into<String>) -> Unwelcome {
    Unwelcome::Wrong(code, why.into())
}

impl Chat for WebChat {
    fn rules(&self) -> &ChatRules {
        &self.rules
    }

    fn admit(&self, knock: &Knock, now: Timestamp) -> Result<Visitor, Unwelcome> {
        self.admit_one(knock, now)
    }

    fn token(&self, visitor: &Visitor) -> String {
        self.seal(visitor)
    }

    fn visitor(&self, token: &str, now: Timestamp) -> Result<Visitor, Unwelcome> {
        self.open(token, now)
    }

    fn file_name(&self, visitor: &Visitor, upload: UploadId) -> String {
        self.name_file(visitor, upload)
    }

    fn file(&self, visitor: &Visitor, name: &str) -> Option<UploadId> {
        self.read_file_name(visitor, name)
    }

    fn client_id(&self, visitor: &Visitor, remote_id: &str) -> Option<String> {
        let (_, rest) = remote_id.split_once(':')?;
        Some(rest.strip_prefix(&visitor.id)?.strip_prefix(':')?.to_owned())
    }

    fn face(&self, now: Timestamp) -> Value {
        let settings = &self.settings;
        let topics: Vec<Value> = settings
            .topics
            .iter()
            .map(|topic| json!({ "id": topic.id, "label": topic.label }))
            .collect();
        json!({
            "channel": self.name,
            "title": settings.title,
            "subtitle": settings.subtitle,
            "greeting": settings.greeting,
            "accent": settings.accent,
            "scheme": settings.scheme,
            "position": settings.position,
            "ask": settings.ask,
            "questions": settings.questions,
            "topics": topics,
            "urgencies": settings.urgencies,
            "callback": settings.callback,
            "rating": settings.rating,
            "open": self.is_open(now),
            "text_chars_max": settings.text_chars_max,
            "files": {
                "bytes_max": self.rules.file_bytes_max,
                "count_max": self.rules.files_max,
                "types": self.rules.file_types,
            },
        })
    }

    fn raw(&self, visitor: &Visitor, said: Said, now: Timestamp) -> Result<Raw, Unwelcome> {
        let (said, key) = match said {
            Said::Message(words) => {
                let words = self.words(words)?;
                let key = format!("m:{}:{}", visitor.id, words.client_id);
                (Said::Message(words), key)
            }
            Said::Callback(wish) => {
                let wish = self.callback(wish)?;
                let key = format!("c:{}:{}", visitor.id, wish.client_id);
                (Said::Callback(wish), key)
            }
            Said::Rating(judgement) => {
                let judgement = self.judgement(judgement)?;
                let key = format!("j:{}:{}", visitor.id, judgement.client_id);
                (Said::Rating(judgement), key)
            }
            Said::Receipt { read, mut deliveries } => {
                deliveries.sort_unstable();
                let ids: Vec<String> = deliveries.iter().map(ToString::to_string).collect();
                let hash = HEXLOWER.encode(&Sha256::digest(ids.join(",")));
                let word = if read { "r" } else { "d" };
                (Said::Receipt { read, deliveries }, format!("{word}:{}:{hash}", visitor.id))
            }
        };
        let speaker = Speaker {
            id: visitor.id.clone(),
            identified: visitor.identified,
            name: visitor.name.clone(),
            email: visitor.email.clone(),
            language: visitor.language.clone(),
        };
        let body = serde_json::to_vec(&Spoken { visitor: speaker, heard_at: now, said })
            .map_err(|_| wrong("bad_message", "this cannot be written down"))?;
        Ok(Raw {
            dedupe: DedupeKey::new(key),
            body: Bytes::from(body),
            transport: Transport::new(),
            received_at: None,
        })
    }
}

impl WebChat {
    fn is_open(&self, now: Timestamp) -> bool {
        self.settings.hours.as_ref().is_none_or(|hours| hours.is_open(now))
    }

    fn words(&self, mut words: Words) -> Result<Words, Unwelcome> {
        check_client_id(&words.client_id)?;
        words.text = text::lines(&words.text).trim().to_owned();
        if words.text.is_empty() && words.files.is_empty() {
            return Err(wrong("empty", "there is neither `text` nor an attachment"));
        }
        let limit = self.settings.text_chars_max;
        if words.text.chars().count() > limit {
            return Err(wrong("too_long", format!("`text` has more than {limit} characters")));
        }
        if words.files.len() > self.rules.files_max {
            let limit = self.rules.files_max;
            return Err(wrong("too_many_files", format!("a message takes at most {limit} files")));
        }
        words.form = self.form(&words.form)?;
        Ok(words)
    }

    fn form(&self, form: &Form) -> Result<Form, Unwelcome> {
        let settings = &self.settings;
        let mut kept = Form {
            name: form.name.as_deref().and_then(|name| text::line(name, 100)),
            page: form.page.as_deref().and_then(page),
            ..Form::default()
        };
        if let Some(given) = form.email.as_deref().filter(|given| !given.trim().is_empty()) {
            let mail = text::mail(given)
                .ok_or_else(|| wrong("bad_email", "`email` does not look like a mail address"))?;
            kept.email = Some(mail);
        }
        if let Some(topic) = &form.topic {
            if !settings.topics.iter().any(|known| known.id == *topic) {
                return Err(wrong("unknown_topic", "there is no such `topic`: see the settings"));
            }
            kept.topic = Some(topic.clone());
        }
        if let Some(urgency) = &form.urgency {
            if !settings.urgencies.iter().any(|known| known.as_str() == urgency) {
                let why = "there is no such `urgency`: see the settings";
                return Err(wrong("unknown_urgency", why));
            }
            kept.urgency = Some(urgency.clone());
        }
        for (id, answer) in &form.fields {
            if !settings.questions.iter().any(|known| known.id == *id) {
                return Err(wrong(
                    "unknown_field",
                    "`fields` answers a question that nobody asked",
                ));
            }
            kept.fields.extend(text::line(answer, 500).map(|answer| (id.clone(), answer)));
        }
        Ok(kept)
    }

    fn callback(&self, mut wish: CallMe) -> Result<CallMe, Unwelcome> {
        if !self.settings.callback {
            return Err(wrong("no_callback", "nobody is called back on this channel"));
        }
        check_client_id(&wish.client_id)?;
        wish.phone = phone_number(&wish.phone).ok_or_else(|| {
            wrong("bad_phone", "`phone` must have its country code, like +86 138 0013 8000")
        })?;
        wish.when = text::line(&wish.when, 200).unwrap_or_default();
        wish.note = text::line(&wish.note, 500).unwrap_or_default();
        // A browser's word for its zone may be newer than our list: then none is known.
        wish.time_zone = wish.time_zone.filter(|zone| zone.parse::<chrono_tz::Tz>().is_ok());
        Ok(wish)
    }

    fn judgement(&self, mut judgement: Judgement) -> Result<Judgement, Unwelcome> {
        if !self.settings.rating {
            return Err(wrong("no_rating", "nobody is judged on this channel"));
        }
        check_client_id(&judgement.client_id)?;
        if !(1..=5).contains(&judgement.score) {
            return Err(wrong("bad_score", "`score` must be from 1 to 5"));
        }
        let comment = text::lines(&judgement.comment);
        judgement.comment = comment.trim().chars().take(COMMENT_CHARS_MAX).collect();
        Ok(judgement)
    }
}

fn check_client_id(id: &str) -> Result<(), Unwelcome> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    if (1..=CLIENT_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(fits) {
        return Ok(());
    }
    let why = format!(
        "`client_id` must be 1 to {CLIENT_ID_BYTES_MAX} letters, digits or any of - _ . : (a UUID is best)"
    );
    Err(wrong("bad_client_id", why))
}

/// Without query and fragment: tokens and searches stand there.
fn page(given: &str) -> Option<String> {
    let mut url = url::Url::parse(given).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.set_query(None);
    url.set_fragment(None);
    // A name without a password is no reason to refuse; it is only not kept.
    if url.set_username("").is_err() || url.set_password(None).is_err() {
        return None;
    }
    text::line(url.as_str(), 500)
}
