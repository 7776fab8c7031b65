use std::collections::BTreeSet;

use serde_json::json;

use super::hook::{DELIVERY, message_key};
use super::read::Reader;
use super::settings::Own;
use super::told;
use crate::channel::Interpret as _;
use crate::model::{
    Event, Flag, Inbound, Meaning, MediaSource, Raw, Reach, Receipt, ReceiptState, Timestamp,
    Transport, Trust,
};

const OURS: &str = "+15005550006";
const ANN: &str = "+15005550001";

fn reader(number: &str) -> Reader {
    let whatsapp = number.starts_with("whatsapp:");
    let own = Own { number: Some(number.to_owned()), service: None, whatsapp };
    Reader { channel: "sms".parse().unwrap(), own, call_words: vec!["CALL".to_owned()] }
}

fn at() -> Timestamp {
    chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap()
}

fn raw(body: impl Into<bytes::Bytes>) -> Raw {
    let (body, transport) = (body.into(), Transport::new());
    Raw { dedupe: message_key("x"), body, transport, received_at: Some(at()) }
}

fn form(fields: &[(&str, &str)]) -> Raw {
    let usual = [("MessageSid", "SM1"), ("From", ANN), ("To", OURS), ("SmsStatus", "received")];
    let usual = usual.iter().filter(|(name, _)| fields.iter().all(|(given, _)| given != name));
    let mut body = url::form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(usual).extend_pairs(fields);
    raw(body.finish())
}

fn events(reader: &Reader, raw: &Raw) -> Vec<Event> {
    match reader.interpret(raw) {
        Ok(Meaning::Events(events)) => events,
        Ok(Meaning::Ignore(why)) => panic!("ignored: {why}"),
        Err(error) => panic!("{error}"),
    }
}

fn message(reader: &Reader, raw: &Raw) -> Inbound {
    let mut events = events(reader, raw);
    match events.pop() {
        Some(Event::Message(message)) if events.is_empty() => *message,
        other => panic!("{other:?} after {events:?}"),
    }
}

fn receipt(mut events: Vec<Event>) -> Receipt {
    match events.pop() {
        Some(Event::Receipt(receipt)) if events.is_empty() => receipt,
        other => panic!("{other:?} after {events:?}"),
    }
}

fn ignored(reader: &Reader, raw: &Raw) -> &'static str {
    match reader.interpret(raw) {
        Ok(Meaning::Ignore(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_is_the_same_whether_it_was_pushed_or_asked_for() {
    let reader = reader(OURS);
    let media = "/2010-04-01/Accounts/AC1/Messages/SM1/Media/ME1";
    let url = format!("https://api.twilio.com{media}");
    let pushed = message(
        &reader,
        &form(&[
            ("Body", "hello 你好\n"),
            ("NumMedia", "1"),
            ("MediaUrl0", &url),
            ("MediaContentType0", "image/jpeg"),
            ("FromCity", "SPRINGFIELD"),
        ]),
    );
    let resource = json!({ "sid": "SM1", "from": ANN, "to": OURS, "body": "hello 你好\n",
        "status": "received", "direction": "inbound", "num_media": "1", "error_code": null,
        "messaging_service_sid": null, "date_sent": "Tue, 14 Nov 2023 22:13:20 +0000" });
    let file =
        json!({ "sid": "ME1", "content_type": "image/jpeg", "uri": format!("{media}.json") });
    let asked = message(&reader, &raw(told::kept(&resource, &[file])));
    for one in [&pushed, &asked] {
        assert_eq!(one.text, "hello 你好");
        assert_eq!(one.sender.address.as_ref().unwrap().value, ANN);
        assert_eq!(one.sender.trust, Trust::Claimed, "anybody may write under any number");
        assert_eq!(one.occurred_at, at());
        assert_eq!((one.media[0].name.as_str(), one.automated), ("image-1.jpg", None));
    }
    assert_eq!(pushed.remote_id, asked.remote_id);
    assert_eq!(pushed.digest, asked.digest);
    assert_eq!(pushed.thread.key, asked.thread.key);
    let path = |one: &Inbound| match &one.media[0].source {
        MediaSource::Remote(media) => media.as_str().to_owned(),
        other @ (MediaSource::Inline(_) | MediaSource::Upload { .. }) => panic!("{other:?}"),
    };
    assert_eq!((path(&pushed), path(&asked)), (url.clone(), media.to_owned()));
    // A single resource, handed over by hand, is read as well.
    assert_eq!(message(&reader, &raw(resource.to_string())).remote_id.as_str(), "SM1");
}

#[test]
fn who_wants_no_messages_opens_no_ticket() {
    let reader = reader(OURS);
    let standing = |body: &str| match events(&reader, &form(&[("Body", body)])).as_slice() {
        [Event::Standing(standing)] => (standing.reach, standing.said.clone()),
        other => panic!("{other:?}"),
    };
    assert_eq!(standing(" Stop "), (Reach::OptedOut, "Stop".to_owned()));
    assert_eq!(standing("UNSTOP"), (Reach::OptedIn, "UNSTOP".to_owned()));
    assert!(ignored(&reader, &form(&[("Body", "HELP")])).contains("HELP"));
    // «Yes» may be an answer to an agent's question: it is both.
    match events(&reader, &form(&[("Body", "Yes")])).as_slice() {
        [Event::Standing(standing), Event::Message(message)] => {
            assert_eq!((standing.reach, message.text.as_str()), (Reach::OptedIn, "Yes"));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(message(&reader, &form(&[("Body", "stop the transfer")])).text, "stop the transfer");
}

#[test]
fn news_say_how_far_it_is_and_name_our_delivery() {
    let reader = reader(OURS);
    let id = uuid::Uuid::now_v7();
    let of = |status: &str, more: &[(&str, &str)]| {
        let mut fields = vec![("MessageStatus", status), ("SmsStatus", status), ("From", OURS)];
        fields.push(("To", ANN));
        fields.extend(more);
        let mut raw = form(&fields);
        raw.transport.insert(DELIVERY.to_owned(), id.to_string());
        events(&reader, &raw)
    };
    for (status, state) in [("delivered", ReceiptState::Delivered), ("read", ReceiptState::Read)] {
        let receipt = receipt(of(status, &[]));
        assert_eq!((receipt.state, receipt.delivery), (state, Some(id.into())));
        assert_eq!(receipt.target.unwrap().as_str(), "SM1");
    }
    for status in ["queued", "accepted", "sending", "sent"] {
        let receipt = receipt(of(status, &[]));
        assert!(matches!(receipt.state, ReceiptState::Sent { .. }), "{status}");
    }
    let failed = of("undelivered", &[("ErrorCode", "30005"), ("RawDlrDoneDate", "2311142200")]);
    let receipt = receipt(failed);
    let ReceiptState::Failed { cause, address_is_bad } = receipt.state else { panic!() };
    assert!(address_is_bad && cause.contains("unknown") && cause.contains("30005"), "{cause}");
    assert_eq!(receipt.at.to_rfc3339(), "2023-11-14T22:00:00+00:00");
    match of("failed", &[("ErrorCode", "21610")]).as_slice() {
        [Event::Receipt(_), Event::Standing(standing)] => {
            assert_eq!((standing.reach, standing.address.value.as_str()), (Reach::OptedOut, ANN));
        }
        other => panic!("{other:?}"),
    }
    let strange = form(&[("MessageStatus", "teleported"), ("From", OURS), ("To", ANN)]);
    assert!(ignored(&reader, &strange).contains("not known"));
}

#[test]
fn what_is_for_another_number_opens_nothing() {
    let reader = reader(OURS);
    assert!(ignored(&reader, &form(&[("To", "+15005550007"), ("Body", "x")])).contains("another"));
    let news = form(&[("MessageStatus", "sent"), ("From", "+15005550007"), ("To", ANN)]);
    assert!(ignored(&reader, &news).contains("another"));
    assert!(ignored(&reader, &form(&[("CallSid", "CA1"), ("MessageSid", "")])).contains("call"));
    for bad in ["a=1", "", "{", "{\"message\":{}}", "From=1&MessageSid=SM1&To=%2B15005550006"] {
        let read = reader.interpret(&raw(bad.to_owned()));
        assert!(read.is_err() || bad.starts_with("From"), "{bad}: {read:?}");
    }
}

#[test]
fn short_codes_and_names_are_no_people() {
    let reader = reader(OURS);
    for from in ["12345", "MYBANK"] {
        let one = message(&reader, &form(&[("From", from), ("Body", "Your code is 1")]));
        let address = one.sender.address.unwrap();
        assert_eq!((address.value.as_str(), address.scope.is_some()), (from, true));
        assert!(one.automated.is_some(), "nobody reads an answer there");
    }
}

#[test]
fn files_places_and_types_that_are_not_known_are_never_nothing() {
    let reader = reader(OURS);
    let files = message(
        &reader,
        &form(&[
            ("Body", ""),
            ("NumMedia", "3"),
            ("MediaUrl0", "https://x/0"),
            ("MediaContentType0", "text/x-vcard"),
            ("MediaUrl1", "https://x/1"),
            ("MediaContentType1", "nonsense"),
        ]),
    );
    let names: Vec<&str> = files.media.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["file-1.vcf", "file-2"]);
    assert_eq!(
        (files.text.as_str(), files.media[1].mime.as_str()),
        ("", "application/octet-stream")
    );
    assert_eq!(files.text_full, "[1 files that Twilio did not name]");
    let place = [("Body", ""), ("Latitude", "1.5"), ("Longitude", "-2"), ("Label", "Office")];
    assert!(message(&reader, &form(&place)).text.starts_with("Office\n1.5,-2\n"));
    let odd = message(&reader, &form(&[("Body", " "), ("MessageType", "poll")]));
    assert!(odd.text.contains("«poll»"));
    assert_eq!(odd.flags, BTreeSet::from([Flag::Unreadable]));
}

#[test]
fn whatsapp_has_names_ids_and_quotes() {
    let reader = reader("whatsapp:+15005550006");
    let of = |more: &[(&str, &str)]| {
        let mut fields = vec![("From", "whatsapp:+5511987654321"), ("Body", "STOP")];
        fields.extend([("To", "whatsapp:+15005550006"), ("ProfileName", "Ann 安")]);
        fields.extend(more);
        message(&reader, &form(&fields))
    };
    let one = of(&[
        ("WaId", "551187654321"),
        ("ExternalUserId", "whatsapp:ID.1234"),
        ("OriginalRepliedMessageSid", "SM0"),
        ("Forwarded", "true"),
        ("ReferralHeadline", "Sale"),
    ]);
    assert_eq!(one.text, "STOP", "a word like any other");
    assert_eq!(one.sender.name.as_deref(), Some("Ann 安"));
    assert_eq!(one.sender.trust, Trust::Proven);
    assert_eq!(one.sender.address.unwrap().value, "+5511987654321");
    let also: Vec<&str> = one.sender.also.iter().map(|other| other.value.as_str()).collect();
    assert_eq!(also, ["+551187654321", "ID.1234"]);
    assert_eq!(one.thread.parents[0].as_str(), "SM0");
    assert_eq!(one.flags, BTreeSet::from([Flag::Forwarded]));
    assert!(one.text_full.contains("Sale"));
    let hidden = form(&[
        ("From", ""),
        ("To", "whatsapp:+15005550006"),
        ("ExternalUserId", "whatsapp:ID.1234"),
        ("Body", "hi"),
    ]);
    assert_eq!(message(&reader, &hidden).sender.address.unwrap().value, "ID.1234");
}
