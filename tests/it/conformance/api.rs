//! The API channel's fixture.

use bytes::Bytes;
use tributary::channel::ReceivedAt;
use tributary::model::{Address, Raw, Scheme, Transport};

use super::{Fixture, raw};

pub(super) const FIXTURE: Fixture = Fixture {
    kind: "api",
    settings: "
token = 'conformance-secret-of-many-letters'
reply_url = 'http://127.0.0.1:9/replies'
",
    raws,
    messages: 2,
    recipient: || Address {
        scheme: Scheme::Api,
        scope: Some("under_test".parse().unwrap()),
        value: "anna".to_owned(),
    },
    forged,
};

/// A message, one with everything, a change, a retraction, news of a reply, and a misspelt one.
fn raws() -> Vec<Raw> {
    let entries = [
        r#"{"id": "m1", "sender": {"id": "anna"}, "text": "I lost my password"}"#,
        r#"{"type": "message", "id": "m2", "conversation": "c1", "reply_to": "m1",
            "sender": {"id": "anna", "name": "Anna", "email": "Anna@Customer.Example"}, "subject": "more",
            "html": "<p onclick='x()'>see <a href='javascript:alert(1)'>this</a><script>alert(1)</script></p>",
            "attachments": [{"name": "../../etc/passwd", "media_type": "IMAGE/PNG", "content": "aGVsbG8="}]}"#,
        r#"{"type": "edit", "id": "m1", "text": "other words"}"#,
        r#"{"type": "delete", "id": "m2"}"#,
        r#"{"type": "status", "id": "0199b5a0-0000-7000-8000-000000000001", "status": "delivered"}"#,
        r#"{"id": "m3", "sendr": {"id": "anna"}, "text": "hello"}"#,
    ];
    entries.map(|entry| raw(entry.as_bytes(), Transport::new())).to_vec()
}

fn forged() -> Vec<http::Request<Bytes>> {
    let body = br#"{"id": "m1", "sender": {"id": "anna"}, "text": "let me in"}"#;
    let request = |headers: &[(&'static str, &'static str)]| {
        let mut request = http::Request::new(Bytes::from_static(body));
        *request.method_mut() = http::Method::POST;
        request.extensions_mut().insert(ReceivedAt(crate::store::start()));
        for (name, value) in headers {
            request.headers_mut().insert(*name, http::HeaderValue::from_static(value));
        }
        request
    };
    vec![
        request(&[]),
        request(&[("authorization", "Bearer ")]),
        request(&[("authorization", "Bearer conformance-secret-of-many-letter")]),
        request(&[("authorization", "Basic conformance-secret-of-many-letters")]),
        request(&[
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", "1795680000"),
            ("webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ]),
    ]
}
