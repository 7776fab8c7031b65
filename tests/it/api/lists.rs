//! Lists: filters, search, order, pages (FAULTS #183, #186; COMPLAINTS S4).

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tributary::model::Role;
use url::Url;

use super::{CHANNELS, done, mail, refused, texts, ticket};
use crate::support::app::App;
use crate::support::daemon::Api;

/// A path with a query.
fn query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut url = Url::parse("http://x").unwrap();
    url.query_pairs_mut().extend_pairs(pairs);
    format!("{path}?{}", url.query().unwrap())
}

async fn subjects(api: &Api, pairs: &[(&str, &str)]) -> Vec<String> {
    let page = api.get(&query("/tickets", pairs)).await;
    assert_eq!(page["next_cursor"], Value::Null);
    let items = page["items"].as_array().unwrap();
    texts(items, "/subject").into_iter().map(str::to_owned).collect()
}

async fn change(api: &Api, ticket: &str, body: &Value) {
    done(api.request(Method::PATCH, &format!("/tickets/{ticket}")).json(body), 200).await;
}

async fn every_filter(app: &App) {
    let api = app.api(Role::Agent);
    let first = ticket(app, "first", "the seed phrase of my wallet").await;
    let second = ticket(app, "second", "where is my money").await;
    let third = app.receive("mail", mail("bob@other.example", "third", "hello")).await;
    let system = tributary::model::Actor::system();
    let agent =
        app.store.add_person(("Ann", "ann@desk.example"), Role::Agent, None, &system, now(app));
    let agent = agent.await.unwrap();
    change(
        &api,
        &first,
        &json!({"priority": "urgent", "tags": ["vip", "refund"], "queue": "wallets"}),
    )
    .await;
    change(
        &api,
        &second,
        &json!({"assignee": "ann@desk.example", "status": "pending", "tags": ["vip"]}),
    )
    .await;
    let contact = api.get(&format!("/tickets/{first}")).await["contact"]["id"].clone();
    let contact = contact.as_str().unwrap();
    let middle = api.get(&format!("/tickets/{second}")).await["updated_at"].clone();
    change(&api, &third.number.to_string(), &json!({"status": "solved"})).await;
    let ann = agent.id.to_string();
    for (pairs, expected) in [
        (&[][..], &["third", "second", "first"][..]),
        (&[("status", "open")], &["first"]),
        (&[("status", "open,pending")], &["second", "first"]),
        (&[("status", "open"), ("status", "solved")], &["third", "first"]),
        (&[("tag", "vip")], &["second", "first"]),
        (&[("tag", "vip"), ("tag", "refund")], &["first"]),
        (&[("priority", "urgent,high")], &["first"]),
        (&[("queue", "wallets")], &["first"]),
        (&[("queue", "none")], &["third", "second"]),
        (&[("assignee", "Ann")], &["second"]),
        (&[("assignee", "ANN@desk.example")], &["second"]),
        (&[("assignee", &ann)], &["second"]),
        (&[("assignee", "none")], &["third", "first"]),
        (&[("assignee", "nobody@here")], &[]),
        (&[("contact", contact)], &["second", "first"]),
        (&[("updated_after", middle.as_str().unwrap())], &["third"]),
        (&[("channel", "mail,silent")], &["third", "second", "first"]),
        (&[("channel", "silent")], &[]),
        (&[("q", "seed wallet")], &["first"]),
        (&[("q", "third")], &["third"]),
        (&[("sort", "created_at")], &["first", "second", "third"]),
        (&[("sort", "-number")], &["third", "second", "first"]),
        (&[("sort", "number")], &["first", "second", "third"]),
        (&[("sort", "-updated_at")], &["third", "second", "first"]),
        (&[("sort", "-priority"), ("status", "open,pending")], &["first", "second"]),
    ] {
        assert_eq!(subjects(&api, pairs).await, expected, "{pairs:?}");
    }
}

fn now(app: &App) -> tributary::model::Timestamp {
    app.engine.clock.now()
}

#[tokio::test]
async fn every_filter_and_order_finds_what_it_says() {
    every_filter(&App::start(CHANNELS).await).await;
}

#[tokio::test]
async fn every_filter_and_order_finds_what_it_says_on_postgresql() {
    every_filter(&App::start_on_postgres(CHANNELS).await).await;
}

/// COMPLAINTS S4: words of two characters, mixed scripts.
async fn chinese(app: &App) {
    let api = app.api(Role::ReadOnly);
    ticket(app, "a", "我忘记了钱包密码，怎么找回？").await;
    ticket(app, "b", "USDT 转账到 TRC20 地址没有到账").await;
    ticket(app, "c", "ウォレットが開けません").await;
    ticket(app, "d", "지갑 비밀번호를 잊어버렸어요").await;
    for (q, expected) in [
        ("密码", &["a"][..]),
        ("钱包密码", &["a"]),
        ("找回 密码", &["a"]),
        ("到账", &["b"]),
        ("usdt转账", &["b"]),
        ("trc20", &["b"]),
        ("密", &["a"]),
        ("码密", &[]),
        ("ウォレット", &["c"]),
        ("비밀번호", &["d"]),
        ("贷款", &[]),
    ] {
        assert_eq!(subjects(&api, &[("q", q)]).await, expected, "{q}");
    }
}

#[tokio::test]
async fn two_chinese_characters_are_found() {
    chinese(&App::start(CHANNELS).await).await;
}

#[tokio::test]
async fn two_chinese_characters_are_found_on_postgresql() {
    chinese(&App::start_on_postgres(CHANNELS).await).await;
}

/// FAULTS #183: what a database would read as its own words is only words.
async fn hostile(app: &App) {
    let api = app.api(Role::ReadOnly);
    ticket(app, "only", "nothing special").await;
    let words = [
        "\"",
        "'",
        "''",
        "\"\"",
        "*",
        "a*",
        "**",
        "^a",
        "(",
        ")",
        "a AND",
        "OR",
        "NOT",
        "NEAR(a b)",
        "a:b",
        "terms:x",
        "-a",
        "{",
        "}",
        "%",
        "_",
        "\\",
        ";",
        "--",
        "/*",
        "$1",
        "?",
        "a' OR '1'='1",
        "'; DROP TABLE message; --",
        "\" OR 1=1 --",
        "<->",
        "a & !b",
        "a | b",
        ":*",
        "\u{feff}",
        "\u{202e}",
        "💥",
        "nothing\tspecial",
    ];
    for word in words {
        for key in ["q", "channel", "queue", "tag", "assignee"] {
            let answer = done(api.request(Method::GET, &query("/tickets", &[(key, word)])), 200);
            let answer = answer.await;
            let found = answer["items"].as_array().unwrap().len();
            let may = key == "q" && (word == "nothing\tspecial");
            assert!(found == 0 || may || is_blank(key, word), "{key}={word}: {answer}");
        }
        done(api.request(Method::GET, &query("/contacts", &[("q", word)])), 200).await;
        let sorted = api.request(Method::GET, &query("/tickets", &[("sort", word)]));
        refused(sorted, 400, "bad_query").await;
        let status = api.request(Method::GET, &query("/tickets", &[("status", word)]));
        refused(status, 400, "bad_query").await;
        let of = query("/messages", &[("channel", word)]);
        assert_eq!(api.get(&of).await["items"], json!([]), "{word}");
    }
    assert_eq!(subjects(&api, &[]).await, ["only"]);
}

/// A list of no words filters nothing.
fn is_blank(key: &str, word: &str) -> bool {
    matches!(key, "channel" | "tag") && word.trim().is_empty()
}

#[tokio::test]
async fn words_of_the_database_are_only_words() {
    hostile(&App::start(CHANNELS).await).await;
}

#[tokio::test]
async fn words_of_the_database_are_only_words_on_postgresql() {
    hostile(&App::start_on_postgres(CHANNELS).await).await;
}

/// FAULTS #186.
#[tokio::test]
async fn limits_keys_and_cursors_are_held_to_what_they_are() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::ReadOnly);
    for number in 0..3 {
        ticket(&app, &format!("t{number}"), "x").await;
    }
    let id = api.get("/tickets").await["items"][0]["id"].as_str().unwrap().to_owned();
    let of_ticket = [format!("/tickets/{id}/messages"), format!("/tickets/{id}/events")];
    let lists = ["/tickets", "/messages", "/contacts", &of_ticket[0], &of_ticket[1]];
    for list in lists {
        for bad in ["-1", "1e9", "0", "x", "99999999999999999999", ""] {
            refused(api.request(Method::GET, &query(list, &[("limit", bad)])), 400, "bad_query")
                .await;
        }
        done(api.request(Method::GET, &query(list, &[("limit", "1000000")])), 200).await;
        let told = api.request(Method::GET, &query(list, &[("ofset", "1")]));
        assert!(refused(told, 400, "bad_query").await.contains("ofset"));
        for forged in ["", "x", "MQ", "bWVzc2FnZXMgMQ ", "../../etc", "'; DROP TABLE x"] {
            let forged = query(list, &[("cursor", forged)]);
            refused(api.request(Method::GET, &forged), 400, "bad_cursor").await;
        }
    }
    let page = api.get("/tickets?limit=1&sort=number").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = query("/tickets", &[("limit", "1"), ("sort", "number"), ("cursor", cursor)]);
    assert_eq!(api.get(&next).await["items"][0]["subject"], "t1");
    for other in [
        query("/tickets", &[("sort", "-number"), ("cursor", cursor)]),
        query("/tickets", &[("cursor", cursor)]),
        query("/messages", &[("cursor", cursor)]),
        query("/contacts", &[("cursor", cursor)]),
    ] {
        refused(api.request(Method::GET, &other), 400, "bad_cursor").await;
    }
    let long = "x".repeat(1001);
    refused(api.request(Method::GET, &query("/tickets", &[("q", &long)])), 400, "bad_query").await;
    refused(api.request(Method::GET, "/tickets?q=%00"), 400, "bad_query").await;
}

/// FAULTS #186: a walk through the pages sees each ticket once, whatever comes in meanwhile.
#[tokio::test]
async fn paging_loses_nothing_while_tickets_come_in() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let mut old = BTreeSet::new();
    for number in 0..23 {
        let id = ticket(&app, &format!("old {number}"), "x").await;
        let priority = ["low", "normal", "high", "urgent"][number % 4];
        change(&api, &id, &json!({ "priority": priority })).await;
        old.insert(id);
    }
    for sort in [
        "created_at",
        "-created_at",
        "number",
        "-number",
        "updated_at",
        "-updated_at",
        "priority",
        "-priority",
    ] {
        let (mut seen, mut pages) = (Vec::new(), 0);
        let mut cursor = String::new();
        loop {
            let mut pairs = vec![("sort", sort), ("limit", "5")];
            if !cursor.is_empty() {
                pairs.push(("cursor", &cursor));
            }
            let page = api.get(&query("/tickets", &pairs)).await;
            let items = page["items"].as_array().unwrap();
            seen.extend(texts(items, "/id").into_iter().map(str::to_owned));
            pages += 1;
            if pages <= 4 {
                ticket(&app, "new", "x").await;
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        let once: BTreeSet<String> = seen.iter().cloned().collect();
        assert_eq!(once.len(), seen.len(), "{sort}: one came twice");
        assert!(old.is_subset(&once), "{sort}: one was lost");
    }
}
