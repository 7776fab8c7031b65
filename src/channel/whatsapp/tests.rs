use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::*;
use crate::channel::shared::sign::Signer;
use crate::channel::{Vault, build};
use crate::model::{Cause, Event, Meaning, ReceiptState, Secret};

struct NoVault;

#[async_trait]
impl Vault for NoVault {
    async fn get(&self, _: &str) -> Result<Option<Secret>, Cause> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: Secret) -> Result<(), Cause> {
        Ok(())
    }
}

const SETTINGS: &str = "phone_number_id = '106540352242922'\ntoken = 'EAAG-of-a-system-user'\n\
    app_secret = '0123456789abcdef'\nverify_token = 'anything-long'\n";

fn built(more: &str) -> Result<Channel, BadChannel> {
    let text = format!("kind = 'whatsapp'\n{more}\n");
    let file = config::File::from_str(&text, config::FileFormat::Toml);
    let table = config::Config::builder().add_source(file).build().unwrap();
    let site = Site {
        public_url: "https://desk.test".to_owned(),
        signer: Signer::new(vec![[7; 32]]),
        vault: Arc::new(NoVault),
    };
    build("wa".parse().unwrap(), table.try_deserialize().unwrap(), &site)
}

fn read(body: &Value) -> Meaning {
    let raw = crate::model::Raw {
        dedupe: crate::model::DedupeKey::new("k"),
        body: body.to_string().into(),
        transport: crate::model::Transport::new(),
        received_at: chrono::DateTime::from_timestamp(1_697_043_300, 0),
    };
    built(SETTINGS).unwrap().interpret.interpret(&raw).unwrap()
}

fn change(field: &str, value: &Value) -> Value {
    json!({ "object": "whatsapp_business_account", "entry": [
        { "id": "1", "time": 1_697_043_299, "changes": [{ "field": field, "value": value }] }] })
}

fn message(more: &Value) -> Value {
    let mut message = json!({ "from": "972987654321", "id": "wamid.x", "timestamp": "1697043223" });
    for (key, value) in more.as_object().unwrap() {
        message[key] = value.clone();
    }
    change(
        "messages",
        &json!({ "metadata": { "phone_number_id": "106540352242922" },
        "contacts": [{ "profile": { "name": "Ann" }, "wa_id": "972987654321" }], "messages": [message] }),
    )
}

fn text_of(more: &Value) -> (String, String) {
    let Meaning::Events(events) = read(&message(more)) else { panic!("{more}") };
    let [Event::Message(inbound)] = events.as_slice() else { panic!("{events:?}") };
    (inbound.text.clone(), inbound.text_full.clone())
}

#[test]
fn each_fault_of_the_settings_is_named() {
    assert!(built(SETTINGS).is_ok());
    for (wrong, path) in [
        ("phone_number_id = '+49 151'", "phone_number_id"),
        ("token = ''", "token"),
        ("app_secret = ' '", "app_secret"),
        ("verify_token = 'a b c d e f'", "verify_token"),
    ] {
        let key = path;
        let kept: String =
            SETTINGS.lines().filter(|line| !line.starts_with(key)).collect::<Vec<_>>().join("\n");
        let Err(bad) = built(&format!("{kept}\n{wrong}")) else { panic!("{wrong} was taken") };
        assert!(bad.to_string().starts_with(&format!("channels.wa.{path}: ")), "{bad}");
    }
    for (wrong, path) in [
        ("number = '0151 123'", "number"),
        ("account = 'desk'", "account"),
        ("api_version = '25'", "api_version"),
        ("api_url = 'http://graph.facebook.com'", "api_url"),
        ("media_url = 'lookaside'", "media_url"),
    ] {
        let Err(bad) = built(&format!("{SETTINGS}{wrong}")) else { panic!("{wrong} was taken") };
        assert!(bad.to_string().starts_with(&format!("channels.wa.{path}: ")), "{bad}");
    }
    let channel = built(&format!("{SETTINGS}number = '+1 555 078-3881'")).unwrap();
    assert_eq!(channel.addresses[0].value, "+15550783881");
}

/// Every type that there is, each as what a person would understand.
#[test]
fn every_type_of_message_is_told_in_words() {
    let cases = [
        (json!({ "type": "text", "text": { "body": "hello" } }), "hello"),
        (json!({ "text": { "body": "of no type" } }), "of no type"),
        (
            json!({ "type": "location", "location": { "latitude": 37.46, "longitude": -122.21,
                "name": "HQ", "address": "1 Hacker Way" } }),
            "HQ\n1 Hacker Way\n37.46,-122.21\nhttps://maps.google.com/?q=37.46,-122.21",
        ),
        (
            json!({ "type": "contacts", "contacts": [{ "name": { "formatted_name": "Monica" },
                "phones": [{ "phone": "+1 666" }], "emails": [{ "email": "m@x.example" }] }] }),
            "Monica\n+1 666\nm@x.example",
        ),
        (
            json!({ "type": "interactive", "interactive": { "type": "button_reply",
                "button_reply": { "id": "secret-payload", "title": "Yes" } } }),
            "Yes",
        ),
        (
            json!({ "type": "interactive", "interactive": { "type": "list_reply",
                "list_reply": { "id": "1", "title": "Card", "description": "Visa" } } }),
            "Card\nVisa",
        ),
        (
            json!({ "type": "interactive", "interactive": { "type": "nfm_reply", "nfm_reply": {
                "body": "Sent", "name": "flow",
                "response_json": "{\"flow_token\":\"t\",\"rating\":\"4\"}" } } }),
            "Sent\nrating: 4",
        ),
        (json!({ "type": "button", "button": { "payload": "p", "text": "Stop" } }), "Stop"),
        (
            json!({ "type": "order", "order": { "catalog_id": "1", "text": "", "product_items": [
                { "product_retailer_id": "SODA", "quantity": 2, "item_price": 10, "currency": "ILS" }] } }),
            "2 × SODA, 10 ILS each",
        ),
        (
            json!({ "type": "unsupported", "unsupported": { "type": "poll" }, "errors": [{ "code": 131_051,
                "title": "x", "error_data": { "details": "Message type is currently not supported." } }] }),
            "[a message of the type «poll», which cannot be shown here]\n\
             Message type is currently not supported.",
        ),
        (
            json!({ "type": "interactive" }),
            "[a message of the type «interactive», which cannot be shown here]",
        ),
    ];
    for (given, expected) in cases {
        assert_eq!(text_of(&given).0, expected, "{given}");
    }
    let (text, full) = text_of(&json!({ "type": "text", "text": { "body": "price?" },
        "referral": { "headline": "Sale", "source_url": "https://fb.me/1" } }));
    assert_eq!(text, "price?");
    assert_eq!(full, "price?\n\n— Came by: Sale · https://fb.me/1");
}

#[test]
fn a_status_names_our_delivery_and_what_became_of_it() {
    let id = "0199b5a0-0000-7000-8000-000000000001";
    let receipt = |more: &Value| {
        let mut status = json!({ "id": "wamid.o", "timestamp": "1698266945", "recipient_id": "4915112345678",
            "biz_opaque_callback_data": id });
        for (key, value) in more.as_object().unwrap() {
            status[key] = value.clone();
        }
        match read(&change("messages", &json!({ "statuses": [status] }))) {
            Meaning::Events(mut events) => {
                let first = events.remove(0);
                let Event::Receipt(receipt) = first else { panic!("{first:?}") };
                Some((receipt, events.len()))
            }
            Meaning::Ignore(_) => None,
        }
    };
    let (sent, _) = receipt(&json!({ "status": "sent" })).unwrap();
    assert_eq!(sent.delivery.unwrap().to_string(), id);
    assert!(matches!(sent.state, ReceiptState::Sent { ref remote_id } if remote_id.0 == "wamid.o"));
    let state = |word: &str| receipt(&json!({ "status": word })).map(|(receipt, _)| receipt.state);
    assert_eq!(state("delivered"), Some(ReceiptState::Delivered));
    assert_eq!(
        [state("read"), state("played")],
        [Some(ReceiptState::Read), Some(ReceiptState::Read)]
    );
    assert_eq!([state("deleted"), state("transmogrified")], [None, None]);
    let errors = json!([{ "code": 131_047, "title": "Re-engagement message" }]);
    let (failed, more) = receipt(&json!({ "status": "failed", "errors": errors })).unwrap();
    let ReceiptState::Failed { cause, address_is_bad } = failed.state else { panic!() };
    assert!(cause.contains("template") && cause.contains("131047"), "{cause}");
    assert!(!address_is_bad && more == 0);
    let errors = json!([{ "code": 131_050, "title": "User stopped marketing" }]);
    let (_, more) = receipt(&json!({ "status": "failed", "errors": errors })).unwrap();
    assert_eq!(more, 1, "a consent that was taken back is kept");
    let foreign = receipt(&json!({ "status": "sent", "biz_opaque_callback_data": "campaign 7" }));
    assert_eq!(foreign.unwrap().0.delivery, None);
}

#[test]
fn what_is_nothing_for_us_says_why_and_what_is_broken_is_an_error() {
    let why = |body: &Value| match read(body) {
        Meaning::Ignore(why) => why.to_owned(),
        Meaning::Events(events) => panic!("{events:?}"),
    };
    assert!(why(&json!({ "object": "page", "entry": [] })).contains("not about WhatsApp"));
    assert!(why(&change("history", &json!({ "history": [] }))).contains("before"));
    assert!(why(&change("brand_new_field", &json!({ "x": 1 }))).contains("nothing that we know"));
    let other = json!({ "metadata": { "phone_number_id": "999" }, "messages": [{ "id": "1" }] });
    assert!(why(&change("messages", &other)).contains("another number"));
    assert!(why(&message(&json!({ "type": "request_welcome" }))).contains("nothing written"));
    let interpret = built(SETTINGS).unwrap().interpret;
    for broken in
        ["", "{", "{}", "[]", "null", r#"{"entry":7}"#, r#"{"entry":[{"changes":[{"value":7}]}]}"#]
    {
        let raw = crate::model::Raw {
            dedupe: crate::model::DedupeKey::new("k"),
            body: broken.into(),
            transport: crate::model::Transport::new(),
            received_at: None,
        };
        assert!(interpret.interpret(&raw).is_err(), "{broken}");
    }
    // A single change, as the dashboard's test button sends it.
    let single = json!({ "field": "messages", "value": { "messages": [
        { "from": "16315551181", "id": "A1", "timestamp": "1504902988", "type": "text",
          "text": { "body": "this is a text message" } }] } });
    assert!(matches!(read(&single), Meaning::Events(_)));
}

#[test]
fn a_call_is_one_message_that_is_told_when_it_ends() {
    let call = |event: &str, more: Value| {
        let mut call = json!({ "id": "wacid.1", "from": "972987654321", "to": "15550783881", "event": event,
            "timestamp": "1752583107", "direction": "USER_INITIATED" });
        for (key, value) in more.as_object().unwrap() {
            call[key] = value.clone();
        }
        let Meaning::Events(events) = read(&change("calls", &json!({ "calls": [call] }))) else {
            panic!("{event}")
        };
        let Some(Event::Message(inbound)) = events.into_iter().next() else { panic!("{event}") };
        inbound
    };
    let begin = call("connect", json!({}));
    let end = call("terminate", json!({ "duration": 120 }));
    assert_eq!(begin.part_of, end.part_of);
    assert_ne!(begin.remote_id, end.remote_id);
    assert_ne!(begin.part_of.as_ref(), Some(&begin.remote_id));
    assert!(end.text.contains("120 seconds"));
}
