//! The telephone's fixture.

use bytes::Bytes;
use tributary::channel::ReceivedAt;
use tributary::model::{Address, Raw, Scheme, Transport};

use super::{Fixture, raw};

pub(super) const FIXTURE: Fixture = Fixture {
    kind: "phone",
    settings: "
account_sid = 'AC00000000000000000000000000000001'
auth_token = 'conformance-secret-of-many-letters'
number = '+15005550006'
api_url = 'http://127.0.0.1:9'
transcribe = true
agents = [{ number = '+4930123456', person = 'anna@desk.example' }]
[[languages]]
language = 'en'
[[languages]]
language = 'zh'
[[topics]]
key = '1'
name = 'lost password'
says = { en = 'Press {key}', zh = '请按 {key}' }
",
    raws,
    messages: 16,
    recipient: || Address { scheme: Scheme::Tel, scope: None, value: "+4915112345678".to_owned() },
    forged,
};

const CALL: &str =
    "CallSid=CA00000000000000000000000000000001&From=%2B4915112345678&To=%2B15005550006";

fn told(path: &str, query: &str, more: &str) -> Raw {
    let facts = [("path", path), ("query", query)];
    let facts: Transport =
        facts.map(|(key, value)| (key.to_owned(), value.to_owned())).into_iter().collect();
    raw(format!("{CALL}&{more}").as_bytes(), facts)
}

fn raws() -> Vec<Raw> {
    let recording =
        "RecordingSid=RE1&RecordingDuration=9&RecordingUrl=https%3A%2F%2Fx.example%2FRE1";
    vec![
        told("", "", "CallStatus=ringing&CallerName=%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
        told("call/language", "n=1", "Digits=2"),
        told("call/topic", "l=zh&n=1", "Digits=1"),
        told("call/topic", "l=zh&n=1", "Digits=9"),
        told("call/rung", "l=zh&t=1", "DialCallStatus=no-answer"),
        told("agent/take", "c=CA00000000000000000000000000000001&f=%2B4915112345678", "Digits=1"),
        told("recording", "k=voicemail", &format!("{recording}&RecordingStatus=completed")),
        told(
            "words",
            "",
            "RecordingSid=RE1&TranscriptionStatus=completed&TranscriptionText=hi+%3Cb%3E",
        ),
        told("status", "", "CallStatus=completed&CallDuration=23"),
        told("status", "", "CallStatus=in-progress"),
        told("recording", "k=voicemail", "RecordingSid=RE1&RecordingStatus=absent"),
        told("call/nowhere", "", ""),
        told("bridge/joined", "d=018f2f6e-0000-7000-8000-000000000001", "DialCallStatus=busy"),
        told("out/said", "d=018f2f6e-0000-7000-8000-000000000001", "CallStatus=completed"),
        told("out/said", "d=1", "CallStatus=completed"),
        raw(b"", Transport::new()),
    ]
}

fn forged() -> Vec<http::Request<Bytes>> {
    let request = |method: http::Method, headers: &[(&'static str, &'static str)]| {
        let mut request = http::Request::new(raws().remove(0).body);
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static("/hooks/under_test");
        request.extensions_mut().insert(ReceivedAt(crate::store::start()));
        let form = ("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers.iter().chain([&form]) {
            request.headers_mut().insert(*name, http::HeaderValue::from_static(value));
        }
        request
    };
    vec![
        request(http::Method::POST, &[]),
        request(http::Method::POST, &[("x-twilio-signature", "")]),
        request(http::Method::POST, &[("x-twilio-signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")]),
        request(http::Method::GET, &[]),
        request(http::Method::DELETE, &[("x-twilio-signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")]),
    ]
}
