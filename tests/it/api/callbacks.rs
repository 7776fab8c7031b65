//! `/callbacks`.

use reqwest::Method;
use serde_json::{Value, json};
use tributary::model::Role;

use super::{CHANNELS, NO_ID, done, mail, refused, refused_for, send, texts};
use crate::support::app::App;

const PHONE: &str = "+86 138 0013 8000";

#[tokio::test]
async fn a_customer_is_called_back() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let placed =
        app.receive("mail", mail("Jane <jane@customer.example>", "Wallet", "call me")).await;
    let ticket = api.get(&format!("/tickets/{}", placed.ticket)).await;
    let post = |path: &str, body: Value| api.request(Method::POST, path).json(&body);
    let body = json!({ "ticket": ticket["number"], "phone": PHONE, "note": "lost phone" });
    let asked = done(post("/callbacks", body).header("Idempotency-Key", "k1"), 201).await;
    assert_eq!((&asked["status"], &asked["phone"]), (&json!("waiting"), &json!("+8613800138000")));
    assert_eq!(
        (&asked["ticket_id"], &asked["contact"]["id"]),
        (&ticket["id"], &ticket["contact"]["id"])
    );
    // Asked again with the same key, and by the contact: it is the same call-back.
    let body = json!({ "ticket": ticket["number"], "phone": PHONE, "note": "lost phone" });
    let (_, headers, again) = send(post("/callbacks", body).header("Idempotency-Key", "k1")).await;
    assert_eq!(
        (&again["id"], headers["idempotency-replayed"].to_str().unwrap()),
        (&asked["id"], "true")
    );
    let body = json!({ "contact": ticket["contact"]["id"], "phone": "008613800138000" });
    assert_eq!(done(post("/callbacks", body), 201).await["id"], asked["id"]);
    let listed = api.all("/callbacks").await;
    assert_eq!(texts(&listed, "/id"), [asked["id"].as_str().unwrap()]);

    let path = format!("/callbacks/{}", asked["id"].as_str().unwrap());
    // Nothing here makes calls, and a number is one.
    refused(post(&format!("{path}/connect"), json!({})), 422, "cannot_call").await;
    let body = json!({ "number": "my own" });
    refused_for(post(&format!("{path}/connect"), body), "number").await;
    let called = done(post(&format!("{path}/call"), json!({})), 200).await;
    assert_eq!((&called["status"], &called["attempts"]), (&json!("calling"), &json!(1)));
    refused(post(&format!("{path}/call"), json!({})), 409, "refused").await;
    let ended =
        done(post(&format!("{path}/outcome"), json!({ "outcome": "no_answer" })), 200).await;
    assert_eq!((&ended["status"], &ended["outcome"]), (&json!("waiting"), &json!("no_answer")));
    let stale = post(&format!("{path}/cancel"), json!({})).header("If-Match", "\"1\"");
    refused(stale, 412, "stale_version").await;
    let ended = done(post(&format!("{path}/outcome"), json!({ "outcome": "reached" })), 200).await;
    assert_eq!((&ended["status"], &ended["attempts"]), (&json!("done"), &json!(2)));
    refused(post(&format!("{path}/cancel"), json!({})), 409, "refused").await;
    assert_eq!(api.all("/callbacks").await.len(), 0, "what is done is not in the way");
    assert_eq!(api.all("/callbacks?status=done").await.len(), 1);
    assert_eq!(api.get(&path).await["status"], "done");
    let trail = api.all(&format!("/tickets/{}/events", placed.ticket)).await;
    let kinds = texts(&trail, "/kind");
    assert!(
        kinds.contains(&"callback.requested") && kinds.contains(&"callback.updated"),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn lists_of_call_backs_are_paged_by_due_time_and_filtered() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let mut ids = Vec::new();
    for number in 0..5 {
        let from = format!("c{number}@customer.example");
        let placed = app.receive("mail", mail(&from, "Wallet", "call me")).await;
        let at = format!("2099-01-0{}T10:00:00Z", 9 - number);
        let body = json!({ "ticket": placed.ticket, "phone": PHONE, "at": at, "time_zone": "Europe/Berlin" });
        let asked = done(api.request(Method::POST, "/callbacks").json(&body), 201).await;
        assert_eq!(asked["due_at"], json!(at), "Berlin is awake at ten");
        ids.insert(0, asked["id"].as_str().unwrap().to_owned());
    }
    let mut seen = Vec::new();
    let mut path = "/callbacks?limit=2".to_owned();
    loop {
        let page = api.get(&path).await;
        seen.extend(texts(page["items"].as_array().unwrap(), "/id").into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/callbacks?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ids);
    assert_eq!(api.all("/callbacks?due_before=2099-01-06T00:00:00Z").await.len(), 1);
    assert_eq!(api.all("/callbacks?ticket=3").await.len(), 1);
    assert_eq!(api.all("/callbacks?ticket=99").await.len(), 0);
    assert_eq!(api.all(&format!("/callbacks?contact={NO_ID}")).await.len(), 0);
    refused(api.request(Method::GET, "/callbacks?cursor=zzz"), 400, "bad_cursor").await;
}

#[tokio::test]
async fn a_time_that_is_offered_is_the_time_of_the_call() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let slots = api.get("/callbacks/slots?time_zone=Asia/Shanghai&limit=40").await;
    let slots = slots["items"].as_array().unwrap();
    assert_eq!(slots.len(), 40);
    for at in slots {
        let moment: chrono::DateTime<chrono::Utc> = at["at"].as_str().unwrap().parse().unwrap();
        let there = moment.with_timezone(&chrono_tz::Asia::Shanghai).format("%H:%M").to_string();
        assert!(("08:00".."21:00").contains(&there.as_str()), "{there}: they sleep");
    }
    let placed = app.receive("mail", mail("j@customer.example", "Wallet", "call me")).await;
    let body = json!({
        "ticket": placed.ticket, "phone": PHONE, "at": slots[39]["at"], "time_zone": "Asia/Shanghai",
    });
    let asked = done(api.request(Method::POST, "/callbacks").json(&body), 201).await;
    assert_eq!(asked["due_at"], slots[39]["at"]);
    refused_for(api.request(Method::GET, "/callbacks/slots?time_zone=Mars"), "time_zone").await;
}

#[tokio::test]
async fn a_wish_that_cannot_be_is_refused_by_its_field() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let placed = app.receive("mail", mail("jane@customer.example", "Wallet", "call me")).await;
    for (body, field) in [
        (json!({ "phone": PHONE }), "ticket"),
        (json!({ "ticket": 99, "phone": PHONE }), "ticket"),
        (json!({ "ticket": "nonsense", "phone": PHONE }), "ticket"),
        (json!({ "contact": NO_ID, "phone": PHONE }), "contact"),
        (json!({ "ticket": placed.ticket, "contact": NO_ID, "phone": PHONE }), "contact"),
        (json!({ "ticket": placed.ticket }), "phone"),
        (json!({ "ticket": placed.ticket, "phone": "13800138000" }), "phone"),
        (json!({ "ticket": placed.ticket, "phone": PHONE, "time_zone": "Mars/Base" }), "time_zone"),
        (json!({ "ticket": placed.ticket, "phone": PHONE, "note": "x".repeat(2001) }), "note"),
        (json!({ "ticket": placed.ticket, "phone": PHONE, "at": "soon" }), "at"),
    ] {
        refused_for(api.request(Method::POST, "/callbacks").json(&body), field).await;
    }
    for action in ["call", "cancel"] {
        let path = format!("/callbacks/{NO_ID}/{action}");
        refused(api.request(Method::POST, &path), 404, "not_found").await;
    }
    assert_eq!(api.all("/callbacks").await.len(), 0);
}
