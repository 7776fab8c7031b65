//! What Twilio pushes: messages to `/hooks/<channel>`, news of ours to `/hooks/<channel>/status`, which holds our
//! delivery's id, so that they find it although the call that sent it has not answered yet.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use sha2::{Digest as _, Sha256};

use super::told;
use crate::channel::shared::sign::hex;
use crate::channel::shared::twilio::signature::Door;
use crate::channel::{Hook, Received, Refused};
use crate::model::{DedupeKey, Raw, Transport};

/// The fact of the transport that names the delivery of which a status is news.
pub(super) const DELIVERY: &str = "delivery";
/// The same, in our own address.
pub(super) const QUERY: &str = "d";

/// Lets Twilio in.
pub(super) struct Push {
    pub(super) door: Door,
}

impl Hook for Push {
    fn receive(&self, request: &Request<Bytes>) -> Result<Received, Refused> {
        let signed = self.door.admit(request)?;
        // Whoever set the method to GET gets the fields in the address.
        let (form, body) = if *request.method() == Method::GET {
            let query = request.uri().query().unwrap_or_default();
            (&signed.query, Bytes::copy_from_slice(query.as_bytes()))
        } else {
            (&signed.fields, request.body().clone())
        };
        let mut transport = Transport::new();
        let delivery = signed.query.text(QUERY).filter(|id| id.len() <= 64).unwrap_or_default();
        if !delivery.is_empty() {
            transport.insert(DELIVERY.to_owned(), delivery.to_owned());
        }
        let dedupe = match (told::sid(form), told::status(form)) {
            (Some(sid), "" | "received" | "receiving") => message_key(sid),
            (Some(sid), status) => DedupeKey(format!("c:{sid}:{status}:{delivery}")),
            (None, _) => {
                let hash = Sha256::digest(&body);
                DedupeKey(format!("h:{}", hex(hash.get(..16).unwrap_or(&hash))))
            }
        };
        let raw = Raw { dedupe, body, transport, received_at: None };
        Ok(Received { raws: vec![raw], answer: answer() })
    }
}

/// A message has one key, by whatever way it comes.
pub(super) fn message_key(sid: &str) -> DedupeKey {
    DedupeKey(format!("m:{sid}"))
}

/// «Do nothing»: any other text would be sent to the customer.
fn answer() -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(b"<Response/>"));
    let xml = HeaderValue::from_static("text/xml");
    answer.headers_mut().insert(header::CONTENT_TYPE, xml);
    answer
}
