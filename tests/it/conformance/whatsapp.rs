//! WhatsApp's fixture.

use bytes::Bytes;
use tributary::channel::ReceivedAt;
use tributary::model::{Address, Raw, Scheme, Transport};

use super::{Fixture, raw};

pub(super) const FIXTURE: Fixture = Fixture {
    kind: "whatsapp",
    settings: "
phone_number_id = '106540352242922'
number = '+15550783881'
token = 'conformance-secret-of-many-letters'
app_secret = 'conformance-secret-of-many-letters'
verify_token = 'conformance-secret-of-many-letters'
api_url = 'http://127.0.0.1:9'
media_url = 'http://127.0.0.1:9'
",
    raws,
    messages: 6,
    recipient: || Address { scheme: Scheme::Tel, scope: None, value: "+4915112345678".to_owned() },
    forged,
};

/// One change of our number.
fn change(field: &str, value: &str) -> Raw {
    let body = format!(
        r#"{{"object":"whatsapp_business_account","entry":[{{"id":"102290129340398","time":1739321024,"changes":[
            {{"field":"{field}","value":{{"messaging_product":"whatsapp",
            "metadata":{{"display_phone_number":"15550783881","phone_number_id":"106540352242922"}},
            "contacts":[{{"profile":{{"name":"Anna <b>"}},"wa_id":"4915112345678","user_id":"DE.77"}}],{value}}}}}]}}]}}"#
    );
    raw(body.as_bytes(), Transport::new())
}

fn raws() -> Vec<Raw> {
    let own = r#""from":"4915112345678","timestamp":"1697043223""#;
    let message = |more: &str| change("messages", &format!(r#""messages":[{{{own},{more}}}]"#));
    vec![
        message(r#""id":"wamid.1","type":"text","text":{"body":"I lost my password"}"#),
        message(
            r#""id":"wamid.2","type":"document","context":{"id":"wamid.2"},"document":{"id":"7",
            "filename":"../../etc/passwd","mime_type":"IMAGE/PNG; x=y","caption":"<script>alert(1)</script>"}"#,
        ),
        message(r#""id":"wamid.3","type":"brand_new","brand_new":{}"#),
        message(r#""id":"wamid.4","type":"system","system":{"type":"customer_identity_changed"}"#),
        message(
            r#""id":"wamid.5","type":"edit","edit":{"original_message_id":"wamid.1","message":{}}"#,
        ),
        message(r#""id":"wamid.6","type":"revoke","revoke":{"original_message_id":"wamid.1"}"#),
        message(
            r#""id":"wamid.7","type":"reaction","reaction":{"message_id":"wamid.1","emoji":"👍"}"#,
        ),
        message(
            r#""id":"wamid.8","type":"system","system":{"type":"user_changed_number","wa_id":"4915187654321"}"#,
        ),
        message(r#""type":"text","text":{"body":"no id"}"#),
        change(
            "messages",
            r#""statuses":[{"id":"wamid.o","status":"failed","timestamp":"1","errors":[{"code":131026}]}]"#,
        ),
        change(
            "smb_message_echoes",
            r#""message_echoes":[{"from":"15550783881","to":"4915112345678","id":"wamid.e","type":"text",
            "timestamp":"1697043223","text":{"body":"by phone"}}]"#,
        ),
        change(
            "user_preferences",
            r#""user_preferences":[{"wa_id":"4915112345678","value":"stop"}]"#,
        ),
        change("account_update", r#""event":"ACCOUNT_VIOLATION""#),
        change("history", r#""history":[]"#),
    ]
}

fn forged() -> Vec<http::Request<Bytes>> {
    let body = raws().remove(0).body;
    let request =
        |method: http::Method, uri: &'static str, headers: &[(&'static str, &'static str)]| {
            let mut request = http::Request::new(body.clone());
            *request.method_mut() = method;
            *request.uri_mut() = http::Uri::from_static(uri);
            request.extensions_mut().insert(ReceivedAt(crate::store::start()));
            for (name, value) in headers {
                request.headers_mut().insert(*name, http::HeaderValue::from_static(value));
            }
            request
        };
    let post = |headers| request(http::Method::POST, "/hooks/under_test", headers);
    vec![
        post(&[]),
        post(&[("x-hub-signature-256", "")]),
        post(&[("x-hub-signature-256", "sha256=")]),
        post(&[(
            "x-hub-signature-256",
            "sha256=0000000000000000000000000000000000000000000000000000000000000000",
        )]),
        post(&[("x-hub-signature", "sha1=0000000000000000000000000000000000000000")]),
        request(http::Method::GET, "/hooks/under_test", &[]),
        request(
            http::Method::GET,
            "/hooks/under_test?hub.mode=subscribe&hub.verify_token=x&hub.challenge=1",
            &[],
        ),
        request(http::Method::DELETE, "/hooks/under_test", &[]),
    ]
}
