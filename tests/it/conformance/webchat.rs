//! The web chat's fixture.

use tributary::model::{Address, Raw, Scheme, Transport};

use super::{Fixture, raw};

pub(super) const FIXTURE: Fixture = Fixture {
    kind: "webchat",
    settings: "
identity = 'optional'
identity_keys = ['conformance-secret-of-many-letters']
[[topics]]
id = 'withdrawal'
label = 'Withdrawal'
",
    raws,
    messages: 4,
    recipient: || Address {
        scheme: Scheme::Web,
        scope: Some("under_test".parse().unwrap()),
        value: "a:anna".to_owned(),
    },
    forged: Vec::new,
};

/// Words, words with everything, the wish to be called, a judgement, a receipt.
fn raws() -> Vec<Raw> {
    let who = r#""visitor":{"id":"a:anna"},"at":"2026-11-26T08:00:00Z""#;
    let known = r#""visitor":{"id":"u:7","identified":true,"name":"Anna","email":"anna@customer.example","language":"zh-CN"},"at":"2026-11-26T08:00:00Z""#;
    let file = r#"{"id":"019aaaaa-0000-7000-8000-000000000000","name":"a.png","media_type":"image/png","bytes":5}"#;
    [
        format!(r#"{{"type":"message",{who},"client_id":"1","text":"I lost my password."}}"#),
        format!(
            r#"{{"type":"message",{known},"client_id":"2","text":"see","files":[{file}],"form":{{"topic":"withdrawal","urgency":"high","page":"https://app.example/"}}}}"#
        ),
        format!(r#"{{"type":"callback",{who},"client_id":"3","phone":"+8613800138000"}}"#),
        format!(r#"{{"type":"rating",{who},"client_id":"4","score":5,"comment":"quick"}}"#),
        format!(
            r#"{{"type":"receipt",{who},"read":true,"deliveries":["019aaaaa-0000-7000-8000-000000000001"]}}"#
        ),
    ]
    .map(|body| raw(body.as_bytes(), Transport::new()))
    .to_vec()
}
