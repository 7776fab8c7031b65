//! The fixture of SMS.

use bytes::Bytes;
use tributary::channel::ReceivedAt;
use tributary::model::{Address, Raw, Scheme, Transport};

use super::{Fixture, raw};

pub(super) const FIXTURE: Fixture = Fixture {
    kind: "sms",
    settings: "
account_sid = 'AC00000000000000000000000000000001'
auth_token = 'conformance-secret-of-many-letters'
secondary_auth_token = 'conformance-secret-of-many-letters'
number = '+15005550006'
webhook = true
api_url = 'http://127.0.0.1:9'
",
    raws,
    messages: 5,
    recipient: || Address { scheme: Scheme::Tel, scope: None, value: "+15005550001".to_owned() },
    forged,
};

fn pushed(fields: &str) -> Raw {
    let body = format!("From=%2B15005550001&To=%2B15005550006&SmsStatus=received&{fields}");
    raw(body.as_bytes(), Transport::new())
}

fn raws() -> Vec<Raw> {
    let listed = r#"{"message":{"sid":"SM5","from":"+15005550001","to":"+15005550006","body":"asked for",
        "status":"received","direction":"inbound","num_media":"1","date_sent":"Thu, 26 Nov 2026 08:00:00 +0000"},
        "media":[{"uri":"/2010-04-01/Accounts/AC1/Messages/SM5/Media/ME1.json","content_type":"IMAGE/PNG; x=y"}]}"#;
    vec![
        pushed("MessageSid=SM1&Body=I+lost+my+password"),
        pushed(
            "MessageSid=SM2&Body=%3Cscript%3Ealert(1)%3C%2Fscript%3E&NumMedia=2&OriginalRepliedMessageSid=SM2\
             &MediaUrl0=https%3A%2F%2Fx.example%2F..%2F..%2Fetc%2Fpasswd&MediaContentType0=IMAGE%2FPNG",
        ),
        pushed("MessageSid=SM3&Body=&MessageType=brand_new"),
        pushed("MessageSid=SM4&Body=yes"),
        raw(listed.as_bytes(), Transport::new()),
        pushed("MessageSid=SM6&Body=STOP"),
        pushed("MessageSid=SM7&Body=HELP"),
        pushed("Body=no+name"),
        raw(
            b"MessageSid=SM8&MessageStatus=undelivered&ErrorCode=30005&From=%2B15005550006&To=%2B15005550001",
            [("delivery".to_owned(), "0190a0b0-0000-7000-8000-000000000001".to_owned())].into(),
        ),
        raw(b"CallSid=CA1&From=%2B15005550001", Transport::new()),
    ]
}

fn forged() -> Vec<http::Request<Bytes>> {
    let body = raws().remove(0).body;
    let request = |method: http::Method, headers: &[(&'static str, &'static str)]| {
        let mut request = http::Request::new(body.clone());
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static("/hooks/under_test?d=1");
        request.extensions_mut().insert(ReceivedAt(crate::store::start()));
        for (name, value) in headers {
            request.headers_mut().append(*name, http::HeaderValue::from_static(value));
        }
        request
    };
    let form = ("content-type", "application/x-www-form-urlencoded");
    let signature = "x-twilio-signature";
    vec![
        request(http::Method::POST, &[form]),
        request(http::Method::POST, &[form, (signature, "")]),
        request(http::Method::POST, &[form, (signature, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")]),
        request(http::Method::POST, &[form, (signature, "a"), (signature, "b")]),
        request(http::Method::POST, &[("content-type", "application/json"), (signature, "AAAA")]),
        request(http::Method::GET, &[(signature, "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")]),
        request(http::Method::DELETE, &[]),
    ]
}
