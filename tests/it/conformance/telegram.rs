//! Telegram's fixture.

use bytes::Bytes;
use tributary::channel::ReceivedAt;
use tributary::model::{Address, Raw, Scheme, Transport};

use super::{Fixture, raw};

pub(super) const FIXTURE: Fixture = Fixture {
    kind: "telegram",
    settings: "
token = '4839574812:conformance-secret-of-many-letters'
mode = 'webhook'
webhook_secret = 'conformance-secret-of-many-letters'
api_url = 'http://127.0.0.1:9'
",
    raws,
    messages: 7,
    recipient: || Address { scheme: Scheme::Telegram, scope: None, value: "77001".to_owned() },
    forged,
};

fn update(kind: &str, more: &str) -> Raw {
    let body = format!(
        r#"{{"update_id":9,"{kind}":{{"message_id":5,"date":1697043223,"chat":{{"id":77001,"type":"private"}},
            "from":{{"id":77001,"is_bot":false,"first_name":"Anna <b>"}},{more}}}}}"#
    );
    raw(body.as_bytes(), Transport::new())
}

fn raws() -> Vec<Raw> {
    vec![
        update("message", r#""text":"I lost my password","entities":[{"type":"bold","offset":2,"length":4}]"#),
        update(
            "message",
            r#""reply_to_message":{"message_id":5,"chat":{"id":77001}},"document":{"file_id":"F",
            "file_name":"../../etc/passwd","mime_type":"IMAGE/PNG; x=y"},"caption":"<script>alert(1)</script>",
            "caption_entities":[{"type":"text_link","offset":0,"length":8,"url":"javascript:alert(1)"}]"#,
        ),
        update("message", r#""brand_new":{}"#),
        update("business_message", r#""business_connection_id":"b","text":"hello""#),
        update("callback_query", r#""id":"77","data":"yes""#),
        update("edited_message", r#""text":"new words""#),
        update("message", r#""new_chat_title":"x""#),
        update("channel_post", r#""text":"x""#),
        update("message_reaction", r#""user":{"id":77001},"new_reaction":[]"#),
        update("my_chat_member", r#""new_chat_member":{"status":"kicked"}"#),
        update("message", r#""migrate_to_chat_id":-100123"#),
        update("deleted_business_messages", r#""message_ids":[1]"#),
        raw(
            br#"[null,{"update_id":1,"message":{"message_id":6,"chat":{"id":1,"type":"private"},"text":"in a list"}}]"#,
            Transport::new(),
        ),
    ]
}

fn forged() -> Vec<http::Request<Bytes>> {
    let request = |method: http::Method, secrets: &[&'static str]| {
        let mut request = http::Request::new(raws().remove(0).body);
        *request.method_mut() = method;
        request.extensions_mut().insert(ReceivedAt(crate::store::start()));
        for secret in secrets {
            let secret = http::HeaderValue::from_static(secret);
            request.headers_mut().append("x-telegram-bot-api-secret-token", secret);
        }
        request
    };
    let good = "conformance-secret-of-many-letters";
    vec![
        request(http::Method::POST, &[]),
        request(http::Method::POST, &[""]),
        request(http::Method::POST, &["conformance-secret-of-many-letter"]),
        request(http::Method::POST, &[good, good]),
        request(http::Method::GET, &[good]),
    ]
}
