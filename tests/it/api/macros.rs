//! `/macros`: canned answers, kept and used, on both databases.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tributary::model::Role;

use super::answers::{asks, on_both, sent, ticket};
use super::{CHANNELS, done, refused, refused_for};
use crate::support::answers::triage;
use crate::support::app::App;
use crate::support::daemon::Api;

async fn start(postgres: bool) -> (App, Api) {
    let app = App::start_either(postgres, CHANNELS).await;
    let api = app.api(Role::Agent);
    (app, api)
}

fn fees() -> Value {
    json!({ "name": "fees",
        "texts": { "en": "Dear {{contact.name}}, about #{{ticket.number}}: {{agent.name}}",
            "zh": "您好，工单 {{ticket.number}}" },
        "actions": { "status": "solved", "priority": "low", "tags": ["fees"] } })
}

async fn a_macro_is_kept_changed_and_forgotten(postgres: bool) {
    let (app, api) = start(postgres).await;
    let post = |body: Value| api.request(Method::POST, "/macros").json(&body);
    let kept = done(post(fees()), 201).await;
    assert_eq!((&kept["version"], &kept["fixed"]), (&json!(1), &json!(false)));
    refused(post(fees()), 409, "refused").await;
    let mut bad = fees();
    bad["name"] = json!("other");
    bad["texts"]["en"] = json!("Dear {{contact.nmae}}");
    let told = refused(post(bad.clone()), 422, "invalid").await;
    assert!(told.contains("there is no variable `contact.nmae`"), "{told}");
    refused_for(post(bad), "texts.en").await;
    let reader = app.api(Role::ReadOnly);
    refused(reader.request(Method::POST, "/macros").json(&fees()), 403, "forbidden").await;
    let path = format!("/macros/{}", kept["id"].as_str().unwrap());
    let patch = |version: u8| {
        let request = api.request(Method::PATCH, &path).header("If-Match", version.to_string());
        request.json(&json!({ "texts": { "en": "Fees are low." } }))
    };
    let changed = done(patch(1), 200).await;
    assert_eq!((&changed["version"], &changed["texts"]["zh"]), (&json!(2), &Value::Null));
    assert_eq!(changed["actions"]["status"], "solved", "what is left out stays");
    let stale = patch(1).send().await.unwrap();
    assert_eq!(stale.status().as_u16(), 412);
    let all = reader.get("/macros").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
    done(api.request(Method::DELETE, &path), 204).await;
    refused(api.request(Method::DELETE, &path), 404, "not_found").await;
}

async fn a_macro_is_shown_first_and_then_sent_once(postgres: bool) {
    let (app, api) = start(postgres).await;
    let kept = done(api.request(Method::POST, "/macros").json(&fees()), 201).await;
    let id = asks(&app, "ann", "What does it cost?").await;
    let path = format!("/tickets/{id}/macros/{}", kept["id"].as_str().unwrap());
    let shown = done(api.request(Method::POST, &path).json(&json!({})), 200).await;
    assert_eq!(shown["text"], "Dear ann@customer.example, about #1: agent");
    assert_eq!((&shown["language"], &shown["message"]), (&json!("en"), &Value::Null));
    assert!(sent(&api, &id).await.is_empty(), "nothing is done yet");
    for _ in 0..2 {
        let request = api.request(Method::POST, &path).header("Idempotency-Key", "once");
        let used = done(request.json(&json!({ "apply": true })), 200).await;
        assert_eq!(used["ticket"]["status"], "solved");
    }
    assert_eq!(sent(&api, &id).await, ["Dear ann@customer.example, about #1: agent"]);
    let after = ticket(&api, &id).await;
    assert_eq!((&after["priority"], &after["tags"]), (&json!("low"), &json!(["fees"])));
    // Changed before it is sent; in the customer's language.
    let id = asks(&app, "bo", "手续费是多少？").await;
    let path = format!("/tickets/{id}/macros/{}", kept["id"].as_str().unwrap());
    let shown = done(api.request(Method::POST, &path).json(&json!({})), 200).await;
    assert_eq!((&shown["text"], &shown["language"]), (&json!("您好，工单 2"), &json!("zh")));
    let body = json!({ "apply": true, "text": "手续费很低。" });
    done(api.request(Method::POST, &path).json(&body), 200).await;
    assert_eq!(sent(&api, &id).await, ["手续费很低。"]);
    let none = api.request(Method::POST, &format!("/tickets/{id}/macros/none"));
    refused(none.json(&json!({})), 404, "not_found").await;
    // What cannot be done is told before anything is sent.
    let mut mine = fees();
    (mine["name"], mine["actions"]["assignee"]) = (json!("mine"), json!("me"));
    let kept = done(api.request(Method::POST, "/macros").json(&mine), 201).await;
    let path = format!("/tickets/{id}/macros/{}", kept["id"].as_str().unwrap());
    refused_for(api.request(Method::POST, &path).json(&json!({ "apply": true })), "assignee").await;
    assert_eq!(sent(&api, &id).await, ["手续费很低。"]);
}

async fn macros_of_the_settings_are_used_and_not_changed(postgres: bool) {
    let (app, api) = start(postgres).await;
    let fixed =
        serde_json::from_value(json!([{ "name": "mine", "actions": { "queue": "chain" } }]));
    app.engine.change_triage(Arc::new(triage(|settings| settings.macros = fixed.unwrap())));
    let all = api.get("/macros").await;
    assert_eq!((&all["items"][0]["id"], &all["items"][0]["fixed"]), (&json!("mine"), &json!(true)));
    let same = json!({ "name": "mine", "texts": { "en": "hi" } });
    refused_for(api.request(Method::POST, "/macros").json(&same), "name").await;
    let id = asks(&app, "ann", "What does it cost?").await;
    let path = format!("/tickets/{id}/macros/mine");
    let used = done(api.request(Method::POST, &path).json(&json!({ "apply": true })), 200).await;
    assert_eq!((&used["ticket"]["queue"], &used["message"]), (&json!("chain"), &Value::Null));
    assert!(sent(&api, &id).await.is_empty());
}

on_both! {
    a_macro_is_kept_changed_and_forgotten
    a_macro_is_shown_first_and_then_sent_once
    macros_of_the_settings_are_used_and_not_changed
}
