//! Contacts: found, changed, joined, handed out, erased.

use reqwest::Method;
use serde_json::{Value, json};
use tributary::model::Role;

use super::{CHANNELS, NO_ID, done, mail, refused, refused_for, send, texts};
use crate::support::app::App;

/// Three contacts, each with a ticket: their ids.
async fn three(app: &App) -> Vec<String> {
    let api = app.api(Role::ReadOnly);
    let mut contacts = Vec::new();
    for from in
        ["Jane Doe <jane@a.example>", "王小明 <ming@b.example>", "50%_off <promo@c.example>"]
    {
        let placed = app.receive("mail", mail(from, "Hello", "there")).await;
        let ticket = api.get(&format!("/tickets/{}", placed.ticket)).await;
        contacts.push(ticket["contact"]["id"].as_str().unwrap().to_owned());
    }
    contacts
}

async fn found(app: &App) {
    three(app).await;
    let api = app.api(Role::ReadOnly);
    let names = async |query: &str| {
        let page = api.get(&format!("/contacts?{query}")).await;
        let names = texts(page["items"].as_array().unwrap(), "/name");
        names.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["50%_off", "王小明", "Jane Doe"]);
    assert_eq!(names("q=jane").await, ["Jane Doe"]);
    assert_eq!(names("q=JANE@A").await, ["Jane Doe"]);
    assert_eq!(names("q=小明").await, ["王小明"]);
    assert_eq!(names("q=%25_").await, ["50%_off"], "a % is a %");
    assert_eq!(names("q=b.example").await, ["王小明"]);
    assert_eq!(names("q=nobody").await, Vec::<String>::new());
    let pages = api.all("/contacts").await;
    assert_eq!(pages.len(), 3);
    let first = api.get("/contacts?limit=2").await;
    let next = format!("/contacts?limit=2&cursor={}", first["next_cursor"].as_str().unwrap());
    let next = api.get(&next).await;
    assert_eq!(texts(next["items"].as_array().unwrap(), "/name"), ["Jane Doe"]);
    assert_eq!(next["next_cursor"], Value::Null);
}

#[tokio::test]
async fn contacts_are_found_by_name_and_address() {
    found(&App::start(CHANNELS).await).await;
}

#[tokio::test]
async fn contacts_are_found_by_name_and_address_on_postgresql() {
    found(&App::start_on_postgres(CHANNELS).await).await;
}

/// COMPLAINTS C1: who may be the same is told, and nobody is joined by it.
async fn alike(app: &App) {
    let jane = three(app).await.remove(0);
    let api = app.api(Role::ReadOnly);
    let similar = format!("/contacts/{jane}/similar");
    assert_eq!(api.get(&similar).await["items"], json!([]));
    let other = app.receive("mail", mail("JANE DOE <jd@work.example>", "Hello", "again")).await;
    let ticket = api.get(&format!("/tickets/{}", other.ticket)).await;
    let found = api.get(&similar).await["items"].clone();
    assert_eq!(found[0]["id"], ticket["contact"]["id"], "{found:#}");
    assert_eq!(found[0]["identities"][0]["value"], "jd@work.example");
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(api.all("/contacts").await.len(), 4);
    refused(api.request(Method::GET, &format!("/contacts/{NO_ID}/similar")), 404, "not_found")
        .await;
}

#[tokio::test]
async fn who_may_be_the_same_person_is_told() {
    alike(&App::start(CHANNELS).await).await;
}

#[tokio::test]
async fn who_may_be_the_same_person_is_told_on_postgresql() {
    alike(&App::start_on_postgres(CHANNELS).await).await;
}

#[tokio::test]
async fn a_contact_is_changed_and_joined() {
    let app = App::start(CHANNELS).await;
    let contacts = three(&app).await;
    let api = app.api(Role::Agent);
    let path = format!("/contacts/{}", contacts[0]);
    let (_, headers, shown) = send(api.request(Method::GET, &path)).await;
    assert_eq!(headers["etag"], format!("\"{}\"", shown["version"]).as_str());
    let change = |body: Value| api.request(Method::PATCH, &path).json(&body);
    let body = json!({ "name": "Jane D.", "language": "en", "note": "two\nlines" });
    let changed = done(change(body).header("If-Match", shown["version"].to_string()), 200).await;
    assert_eq!((&changed["name"], &changed["note"]), (&json!("Jane D."), &json!("two\nlines")));
    let stale = change(json!({ "name": "x" })).header("If-Match", shown["version"].to_string());
    refused(stale, 412, "stale_version").await;
    let emptied = done(change(json!({ "note": null })), 200).await;
    assert_eq!((&emptied["note"], &emptied["language"]), (&Value::Null, &json!("en")));
    for (body, field) in [
        (json!({ "name": "" }), "name"),
        (json!({ "name": "a\nb" }), "name"),
        (json!({ "tags": ["a,b"] }), "tags"),
        (json!({ "identities": [] }), "identities"),
        (json!({ "erased_at": null }), "erased_at"),
        (json!({ "verified": true }), "verified"),
    ] {
        refused_for(change(body), field).await;
    }
    let tags = json!({ "tags": ["wallet", "vip", "vip"] });
    assert_eq!(done(change(tags), 200).await["tags"], json!(["vip", "wallet"]));
    let tagged = api.get("/contacts?tag=vip,wallet").await;
    assert_eq!(texts(tagged["items"].as_array().unwrap(), "/id"), [&contacts[0]]);
    assert_eq!(api.get("/contacts?tag=vip,press").await["items"], json!([]));
    let ticket = api.get(&format!("/tickets?contact={}", contacts[0])).await["items"][0].clone();
    assert_eq!(ticket["contact"]["tags"], json!(["vip", "wallet"]));
    let merge = |into: &str| {
        api.request(Method::POST, &format!("{path}/merge")).json(&json!({ "into": into }))
    };
    refused_for(merge(NO_ID), "into").await;
    refused(merge(&contacts[0]), 409, "refused").await;
    let kept = done(merge(&contacts[1]), 200).await;
    assert_eq!(kept["identities"].as_array().unwrap().len(), 2);
    let tickets = api.get(&format!("/tickets?contact={}", contacts[1])).await;
    assert_eq!(tickets["items"].as_array().unwrap().len(), 2);
    assert_eq!(api.get(&path).await["merged_into"], contacts[1].as_str());
    assert_eq!(api.all("/contacts").await.len(), 2);
    refused(merge(&contacts[1]), 409, "refused").await;
}

#[tokio::test]
async fn a_contact_is_handed_out_and_erased() {
    let app = App::start(CHANNELS).await;
    let contacts = three(&app).await;
    let admin = app.api(Role::Admin);
    let path = format!("/contacts/{}", contacts[0]);
    let ticket = admin.get(&format!("/tickets?contact={}", contacts[0])).await["items"][0].clone();
    let note = json!({ "kind": "note", "text": "between us" });
    let messages = format!("/tickets/{}/messages", ticket["id"].as_str().unwrap());
    done(admin.request(Method::POST, &messages).json(&note), 201).await;
    let export = admin.get(&format!("{path}/export")).await;
    assert_eq!(export["contact"]["identities"][0]["value"], "jane@a.example");
    assert_eq!(export["tickets"][0]["messages"][0]["text"], "there");
    assert!(!export.to_string().contains("between us"));
    let erased = done(admin.request(Method::DELETE, &path), 200).await;
    assert!(erased["erased_at"].is_string());
    assert_eq!(erased["identities"], json!([]));
    refused(admin.request(Method::DELETE, &path), 409, "refused").await;
    refused(admin.request(Method::DELETE, &format!("/contacts/{NO_ID}")), 404, "not_found").await;
    // The ticket is still there, and says that nobody is left to answer to.
    let reply = json!({ "kind": "reply", "text": "are you there?" });
    refused(admin.request(Method::POST, &messages).json(&reply), 422, "cannot_reply").await;
    let all = admin.messages().await;
    let left = all.iter().map(Value::to_string).collect::<String>();
    assert!(!left.contains("jane@a.example") && !left.contains("between us"));
    assert_eq!(admin.all("/contacts").await.len(), 2);
}
