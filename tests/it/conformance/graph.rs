//! The fixtures of Meta's pages and accounts.

use bytes::Bytes;
use tributary::channel::ReceivedAt;
use tributary::model::{Address, Raw, Scheme, Transport};

use super::{Fixture, raw};

pub(super) const MESSENGER: Fixture = Fixture {
    kind: "messenger",
    settings: PAGE,
    raws: || messages("page", "1234567890"),
    messages: 8,
    recipient: customer,
    forged,
};

pub(super) const INSTAGRAM: Fixture = Fixture {
    kind: "instagram",
    settings: ACCOUNT,
    raws: || messages("instagram", "17841400000000001"),
    messages: 8,
    recipient: customer,
    forged,
};

pub(super) const FACEBOOK_COMMENTS: Fixture = Fixture {
    kind: "facebook_comments",
    settings: PAGE,
    raws: comments,
    messages: 3,
    recipient: customer,
    forged,
};

pub(super) const INSTAGRAM_COMMENTS: Fixture = Fixture {
    kind: "instagram_comments",
    settings: ACCOUNT,
    raws: instagram_comments,
    messages: 3,
    recipient: customer,
    forged,
};

const PAGE: &str = "
page_id = '1234567890'
token = 'conformance-secret-of-many-letters'
app_secret = 'conformance-secret-of-many-letters'
verify_token = 'conformance-secret-of-many-letters'
api_url = 'http://127.0.0.1:9'
";

const ACCOUNT: &str = "
account_id = '17841400000000001'
token = 'conformance-secret-of-many-letters'
app_secret = 'conformance-secret-of-many-letters'
verify_token = 'conformance-secret-of-many-letters'
api_url = 'http://127.0.0.1:9'
";

fn customer() -> Address {
    let scope = Some("under_test".parse().unwrap());
    Address { scheme: Scheme::Meta, scope, value: "24002400".to_owned() }
}

fn entry(object: &str, own: &str, list: &str, element: &str) -> Raw {
    let body = format!(
        r#"{{"object":"{object}","entry":[{{"id":"{own}","time":1697043223000,"{list}":[{element}]}}]}}"#
    );
    raw(body.as_bytes(), Transport::new())
}

fn messages(object: &str, own: &str) -> Vec<Raw> {
    let event = |list: &str, more: &str| {
        let element = format!(
            r#"{{"sender":{{"id":"24002400"}},"recipient":{{"id":"{own}"}},"timestamp":1697043223000,{more}}}"#
        );
        entry(object, own, list, &element)
    };
    let message = |more: &str| event("messaging", &format!(r#""message":{{{more}}}"#));
    let echo = format!(
        r#"{{"sender":{{"id":"{own}"}},"recipient":{{"id":"24002400"}},"timestamp":1697043223000,
        "message":{{"mid":"m_e","is_echo":true,"text":"by hand","metadata":"campaign"}}}}"#
    );
    vec![
        message(r#""mid":"m_1","text":"I lost my password <b>""#),
        message(
            r#""mid":"m_2","attachments":[{"type":"file","payload":{"url":"https://cdn.fbsbx.com/..%2Fpasswd"}},
            {"type":"image","payload":{"url":"http://169.254.169.254/latest"}}]"#,
        ),
        message(r#""mid":"m_3","attachments":[{"type":"hologram"}],"reply_to":{"mid":"m_3"}"#),
        message(r#""mid":"m_4","is_unsupported":true"#),
        event("messaging", r#""postback":{"title":"Start","payload":"<script>"}"#),
        event("standby", r#""message":{"mid":"m_5","text":"to the bot"}"#),
        event("messaging", r#""policy_enforcement":{"action":"block","reason":"spam"}"#),
        message(r#""mid":"m_1","is_deleted":true"#),
        message(r#""text":"no id""#),
        event("messaging", r#""message_edit":{"mid":"m_1","text":"new"}"#),
        event("messaging", r#""reaction":{"mid":"m_1","action":"react","emoji":"👍"}"#),
        event("messaging", r#""read":{"watermark":1697043223000}"#),
        event("messaging", r#""delivery":{"mids":["m_o"],"watermark":1697043223000}"#),
        event("messaging", r#""referral":{"ref":"x"}"#),
        entry(object, own, "messaging", &echo),
    ]
}

fn comments() -> Vec<Raw> {
    let comment = |more: &str| {
        let value = format!(
            r#"{{"field":"feed","value":{{"item":"comment","post_id":"1234567890_7","created_time":1697043223,{more}}}}}"#
        );
        entry("page", "1234567890", "changes", &value)
    };
    vec![
        comment(
            r#""verb":"add","comment_id":"7_1","message":"where?","from":{"id":"24002400","name":"Anna <b>"}"#,
        ),
        comment(r#""verb":"add","comment_id":"7_2","parent_id":"7_1","message":"<script>""#),
        comment(r#""verb":"add","comment_id":"7_3","photo":"http://169.254.169.254/x.png""#),
        comment(r#""verb":"edited","comment_id":"7_1","message":"where now?""#),
        comment(r#""verb":"remove","comment_id":"7_1""#),
        comment(r#""verb":"add","message":"no id""#),
        comment(r#""verb":"add","comment_id":"7_4","from":{"id":"1234567890"}"#),
    ]
}

fn instagram_comments() -> Vec<Raw> {
    let comment = |field: &str, more: &str| {
        let value = format!(r#"{{"field":"{field}","value":{{"media":{{"id":"9"}},{more}}}}}"#);
        entry("instagram", "17841400000000001", "changes", &value)
    };
    vec![
        comment(
            "comments",
            r#""id":"1","text":"where?","from":{"id":"24002400","username":"anna"}"#,
        ),
        comment("comments", r#""id":"2","parent_id":"1","text":"<script>""#),
        comment("live_comments", r#""id":"3","text":"live","from":{"id":"24002400"}"#),
        comment("mentions", r#""comment_id":"4""#),
        comment("comments", r#""text":"no id""#),
        comment("comments", r#""id":"5","text":"ours","from":{"id":"17841400000000001"}"#),
    ]
}

fn forged() -> Vec<http::Request<Bytes>> {
    let body = comments().remove(0).body;
    let request = |method: http::Method, uri: &'static str, signature: Option<&'static str>| {
        let mut request = http::Request::new(body.clone());
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static(uri);
        request.extensions_mut().insert(ReceivedAt(crate::store::start()));
        if let Some(value) = signature {
            let value = http::HeaderValue::from_static(value);
            request.headers_mut().insert("x-hub-signature-256", value);
        }
        request
    };
    let hook = "/hooks/under_test";
    vec![
        request(http::Method::POST, hook, None),
        request(http::Method::POST, hook, Some("sha256=")),
        request(http::Method::POST, hook, Some("sha1=0000000000000000000000000000000000000000")),
        request(http::Method::GET, hook, None),
        request(
            http::Method::GET,
            "/hooks/under_test?hub.mode=subscribe&hub.verify_token=x&hub.challenge=1",
            None,
        ),
        request(http::Method::DELETE, hook, None),
    ]
}
