//! What a customer says, in the words of the service that they say it by: the body of a raw.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::plan::Case;
use crate::model::{DedupeKey, Raw, Timestamp, Transport};

/// One message: the first of a case has the number 1.
pub(super) struct Said<'a> {
    pub(super) case: &'a Case,
    pub(super) language: &'a str,
    pub(super) subject: &'a str,
    pub(super) number: u32,
    pub(super) text: &'a str,
    pub(super) at: Timestamp,
}

impl Said<'_> {
    /// As the service of the case's channel would hand it over.
    pub(super) fn raws(&self) -> Vec<Raw> {
        if self.case.channel.as_str() == "hotline" { self.call() } else { vec![self.raw()] }
    }

    fn raw(&self) -> Raw {
        let body = match self.case.channel.as_str() {
            "mail" => self.mail().into_bytes(),
            "telegram" => self.telegram().to_string().into_bytes(),
            "whatsapp" => self.whatsapp().to_string().into_bytes(),
            "sms" => self.sms().into_bytes(),
            "messenger" => self.direct("page", "1234567890").to_string().into_bytes(),
            "instagram" => self.direct("instagram", "17841400000000001").to_string().into_bytes(),
            "facebook" => self.facebook().to_string().into_bytes(),
            "instagram_posts" => self.instagram().to_string().into_bytes(),
            "app" => self.posted().to_string().into_bytes(),
            _ => self.chat("message", &json!({ "text": self.text })).to_string().into_bytes(),
        };
        self.sealed(body)
    }

    /// A wish to be called, in the web chat.
    pub(super) fn wish(&self) -> Raw {
        let more = json!({ "phone": self.phone(), "note": self.text });
        self.sealed(self.chat("callback", &more).to_string().into_bytes())
    }

    /// A judgement, in the web chat.
    pub(super) fn judgement(&self, score: u8) -> Raw {
        let more = json!({ "score": score, "comment": self.text });
        self.sealed(self.chat("rating", &more).to_string().into_bytes())
    }

    fn sealed(&self, body: Vec<u8>) -> Raw {
        Raw {
            dedupe: DedupeKey::new(format!("demo:{}", self.id())),
            body: body.into(),
            transport: Transport::new(),
            received_at: Some(self.at),
        }
    }

    fn id(&self) -> String {
        format!("{}.{}", self.case.customer, self.number)
    }

    /// A person's number at a service: nobody has it.
    fn person(&self) -> String {
        format!("77001000{:06}", self.case.customer)
    }

    /// Of the numbers that Ofcom keeps for films and plays.
    fn phone(&self) -> String {
        format!("+447700900{:03}", self.case.customer % 1000)
    }

    fn mail(&self) -> String {
        let word = |text: &str| format!("=?utf-8?B?{}?=", BASE64.encode(text));
        let id = |number: u32| format!("<{}.{number}@mail.example>", self.case.customer);
        let mut head = format!(
            "From: {} <customer{}@mail.example>\r\nTo: support@wallet.example\r\nDate: {}\r\nMessage-ID: {}\r\n",
            word(self.case.name),
            self.case.customer,
            self.at.to_rfc2822(),
            id(self.number)
        );
        let mut subject = self.subject.to_owned();
        if self.number > 1 {
            subject = format!("Re: {subject}");
            head.push_str(&format!("In-Reply-To: {}\r\nReferences: {0}\r\n", id(self.number - 1)));
        }
        format!(
            "{head}Subject: {}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Transfer-Encoding: 8bit\r\n\r\n{}\r\n",
            word(&subject),
            self.text
        )
    }

    fn chat(&self, what: &str, more: &Value) -> Value {
        let mut body = json!({
            "type": what,
            "visitor": { "id": format!("u:demo-{}", self.case.customer), "identified": true,
                "name": self.case.name, "language": self.language },
            "at": self.at,
            "client_id": format!("demo-{}", self.id()),
        });
        if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
            body.extend(more.clone());
        }
        body
    }

    fn telegram(&self) -> Value {
        let person = 770_000_000 + i64::from(self.case.customer);
        json!({ "update_id": i64::from(self.case.customer) * 100 + i64::from(self.number), "message": {
            "message_id": self.number, "date": self.at.timestamp(),
            "chat": { "id": person, "type": "private", "first_name": self.case.name },
            "from": { "id": person, "is_bot": false, "first_name": self.case.name, "language_code": self.language },
            "text": self.text } })
    }

    fn whatsapp(&self) -> Value {
        let phone = self.phone().replace('+', "");
        let message = json!({ "from": phone, "id": format!("wamid.demo.{}", self.id()), "type": "text",
            "timestamp": self.at.timestamp().to_string(), "text": { "body": self.text } });
        let value = json!({ "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "15550783881", "phone_number_id": "106540352242922" },
            "contacts": [{ "profile": { "name": self.case.name }, "wa_id": phone }], "messages": [message] });
        let change = json!({ "field": "messages", "value": value });
        self.envelope("whatsapp_business_account", "102290129340398", "changes", &change)
    }

    /// A call that nobody took: what was said after the tone, as a recording and written down, and its end.
    fn call(&self) -> Vec<Raw> {
        let number = u64::from(self.case.customer) * 100 + u64::from(self.number);
        let (call, recording) = (format!("CA{number:032}"), format!("RE{number:032}"));
        let told = |path: &str, query: &str, more: &[(&str, &str)]| {
            let phone = self.phone();
            let usual = [("CallSid", call.as_str()), ("From", &phone), ("To", "+15005550007")];
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(usual).append_pair("CallerName", self.case.name).extend_pairs(more);
            let mut raw = self.sealed(form.finish().into_bytes());
            raw.dedupe = DedupeKey::new(format!("{}:{path}", raw.dedupe.as_str()));
            for (name, value) in [("path", path), ("query", query)] {
                raw.transport.insert(name.to_owned(), value.to_owned());
            }
            raw
        };
        let mut raws = Vec::new();
        if !self.text.is_empty() {
            let of = ("RecordingSid", recording.as_str());
            let recorded = [of, ("RecordingStatus", "completed"), ("RecordingDuration", "14")];
            raws.push(told("recording", "k=voicemail", &recorded));
            let words =
                [of, ("TranscriptionStatus", "completed"), ("TranscriptionText", self.text)];
            raws.push(told("words", "", &words));
        }
        raws.push(told("status", "", &[("CallStatus", "completed"), ("CallDuration", "48")]));
        raws
    }

    fn sms(&self) -> String {
        let id = format!("SM{:032}", u64::from(self.case.customer) * 100 + u64::from(self.number));
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("MessageSid", &id).append_pair("SmsStatus", "received");
        form.append_pair("From", &self.phone()).append_pair("To", "+15005550006");
        form.append_pair("Body", self.text).finish()
    }

    fn direct(&self, object: &str, own: &str) -> Value {
        let event = json!({ "sender": { "id": self.person() }, "recipient": { "id": own },
            "timestamp": self.at.timestamp_millis(),
            "message": { "mid": format!("m_demo_{}", self.id()), "text": self.text } });
        self.envelope(object, own, "messaging", &event)
    }

    fn facebook(&self) -> Value {
        let post = "1234567890_77";
        let value = json!({ "item": "comment", "verb": "add", "comment_id": format!("77_{}", self.id()),
            "post_id": post, "parent_id": post, "created_time": self.at.timestamp(), "message": self.text,
            "from": { "id": self.person(), "name": self.case.name } });
        self.envelope("page", "1234567890", "changes", &json!({ "field": "feed", "value": value }))
    }

    fn instagram(&self) -> Value {
        let value = json!({ "id": format!("1785{}", self.id()), "text": self.text,
            "from": { "id": self.person(), "username": self.case.name },
            "media": { "id": "1790", "media_product_type": "FEED" } });
        let change = json!({ "field": "comments", "value": value });
        self.envelope("instagram", "17841400000000001", "changes", &change)
    }

    fn posted(&self) -> Value {
        json!({ "id": format!("demo-{}", self.id()), "subject": self.subject, "text": self.text,
            "sender": { "id": format!("user-{}", self.case.customer), "name": self.case.name },
            "occurred_at": self.at })
    }

    fn envelope(&self, object: &str, own: &str, list: &str, element: &Value) -> Value {
        let entry = json!({ "id": own, "time": self.at.timestamp(), list: [element] });
        json!({ "object": object, "entry": [entry] })
    }
}
