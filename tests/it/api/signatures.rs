//! What stands below the replies of people, on both databases.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tributary::desk::signature::SignatureSetting;
use tributary::model::Role;

use super::answers::{asks, on_both};
use super::{CHANNELS, done, refused, refused_for};
use crate::support::answers::triage;
use crate::support::app::App;
use crate::support::daemon::client;

/// Somebody with a session: their cookie.
async fn ann(app: &App) -> String {
    let new = json!({ "name": "Ann", "email": "ann@desk.example", "role": "agent" });
    let api = app.api(Role::Admin);
    let added = done(api.request(Method::POST, "/users").json(&new), 201).await;
    let token = added["sign_in"].as_str().unwrap().split("token=").nth(1).unwrap().to_owned();
    let request = client()
        .post(format!("{}/console/sign-in", app.base))
        .header("origin", app.base.clone())
        .header("accept", "application/json")
        .form(&[("token", token)]);
    let answer = request.send().await.unwrap();
    let set = answer.headers()["set-cookie"].to_str().unwrap();
    set.split(';').next().unwrap().to_owned()
}

/// The API as their browser asks it.
fn by(app: &App, cookie: &str, method: Method, path: &str) -> RequestBuilder {
    let request = client().request(method, format!("{}/api/v1{path}", app.base));
    request.header("cookie", cookie.to_owned()).header("origin", app.base.clone())
}

/// What the next mail says, and what stands below it.
async fn goes_out(app: &App) -> (String, Option<String>) {
    let now = app.engine.clock.now();
    let mut due = app.store.due_deliveries(&"mail".parse().unwrap(), 10, now).await.unwrap();
    assert_eq!(due.len(), 1);
    let due = due.remove(0).delivery;
    let by = tributary::model::Actor::system();
    app.store.cancel_delivery(due.outbound.delivery, by, now).await.unwrap();
    (due.outbound.text, due.outbound.signature)
}

fn of_desk(channels: Option<Vec<String>>) -> SignatureSetting {
    let texts = BTreeMap::from([
        ("en".to_owned(), "{{agent.name}}, desk".to_owned()),
        ("zh".to_owned(), "{{agent.name}} 客服".to_owned()),
    ]);
    SignatureSetting { channels, queues: None, texts }
}

async fn replies_bear_the_signature_of_who_writes_or_of_the_desk(postgres: bool) {
    let app = App::start_either(postgres, CHANNELS).await;
    let signatures = vec![of_desk(None)];
    app.engine.change_triage(Arc::new(triage(|settings| settings.signatures = signatures)));
    let cookie = ann(&app).await;
    let id = asks(&app, "bo", "我的转账什么时候到？").await;
    let reply = |text: &str, key: &str| {
        let request = by(&app, &cookie, Method::POST, &format!("/tickets/{id}/messages"));
        let body = json!({ "kind": "reply", "text": text });
        request.header("idempotency-key", key.to_owned()).json(&body)
    };
    let preview = || by(&app, &cookie, Method::GET, &format!("/tickets/{id}/signature"));
    assert_eq!(done(preview(), 200).await["text"], "Ann 客服");
    let sent = done(reply("好了", "k1"), 202).await;
    assert_eq!(sent["text"], "好了", "what was said is shown, not what stands below it");
    assert_eq!(goes_out(&app).await, ("好了".to_owned(), Some("Ann 客服".to_owned())));
    // Their own comes first, and falls back to English where there is none in Chinese.
    let set = |texts: Value| {
        by(&app, &cookie, Method::PUT, "/me/signature").json(&json!({ "texts": texts }))
    };
    refused_for(set(json!({ "en": "{{contact.name}}" })), "texts.en").await;
    refused_for(set(json!({ "en": " " })), "texts.en").await;
    let secret = "key 5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";
    refused(set(json!({ "en": secret })), 422, "secret").await;
    done(set(json!({ "en": "Ann\n{{agent.email}} #{{ticket.number}}" })), 200).await;
    let own = Some("Ann\nann@desk.example #1".to_owned());
    assert_eq!(done(preview(), 200).await["text"], json!(own));
    done(reply("还有吗", "k2"), 202).await;
    assert_eq!(goes_out(&app).await, ("还有吗".to_owned(), own));
    // Programs and the daemon sign for nobody; a token has no signature of its own.
    let api = app.api(Role::Agent);
    api.reply(&id, "by a program", "k3").await;
    assert_eq!(goes_out(&app).await.1, None);
    refused(api.request(Method::GET, "/me/signature"), 409, "refused").await;
    assert_eq!(done(set(json!({})), 200).await["texts"], json!({}));
    assert_eq!(done(preview(), 200).await["text"], "Ann 客服");
}

async fn chats_are_signed_among_the_words_where_they_are_named(postgres: bool) {
    let app = App::start_either(postgres, CHAT).await;
    let cookie = ann(&app).await;
    let entry = json!({ "id": "m1", "conversation": "c1", "sender": { "id": "u1" }, "text": "hello, where is it?" });
    let placed = app.receive("mail", entry.to_string()).await.ticket.to_string();
    let path = format!("/tickets/{placed}/messages");
    let reply = async |text: &str, key: &str| {
        let body = json!({ "kind": "reply", "text": text });
        let request =
            by(&app, &cookie, Method::POST, &path).header("idempotency-key", key.to_owned());
        done(request.json(&body), 202).await["text"].clone()
    };
    app.engine
        .change_triage(Arc::new(triage(|settings| settings.signatures = vec![of_desk(None)])));
    assert_eq!(reply("here", "k1").await, "here", "off as shipped");
    let named = vec![of_desk(Some(vec!["mail".to_owned()]))];
    app.engine.change_triage(Arc::new(triage(|settings| settings.signatures = named)));
    assert_eq!(reply("there", "k2").await, "there\n\nAnn, desk");
}

/// A channel that sets no signature apart, under the name that the rules of these tests know.
const CHAT: &str = r#"
[channels.mail]
kind = "api"
secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
reply_secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
reply_url = "http://127.0.0.1:9/in"
"#;

on_both! {
    replies_bear_the_signature_of_who_writes_or_of_the_desk
    chats_are_signed_among_the_words_where_they_are_named
}
