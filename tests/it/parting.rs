//! Merging and taking apart again in a real Chromium: what it will do is told before.

use serde_json::{Value, json};

use crate::console::{Desk, ingest, mail};
use crate::support::browser::Screen;

const ENTER: &str = "\u{e007}";
/// Says yes, and keeps what was asked; in a browser that makes no UUID, as for a desk that is reached without TLS.
const AGREE: &str = "crypto.randomUUID = undefined; \
    window.told = []; window.confirm = (text) => { window.told.push(text); return true; }";

async fn told(desk: &Desk) -> String {
    desk.wait("the question", "return window.told.at(-1)").await.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_ticket_is_merged_into_another_one_and_taken_out_again() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Wallet locked", "Help")]).await;
    ingest(&desk.daemon, &mail(2, "Ann", "Still locked", "Help again"));
    let api = desk.daemon.api();
    let second = api.get("/tickets/2").await;
    let patch = api.patch("/tickets/2", &second["version"], &json!({ "tags": ["login"] })).await;
    assert_eq!(patch.status, 200);
    desk.browser.run(&format!("{AGREE}; location.hash = '#/ticket/2'"), json!([])).await;
    desk.click("aside .merge").await;
    desk.wait("where to ask", "return !!document.querySelector('dialog.picker input')").await;
    desk.browser.press("#1").await;
    desk.wait(
        "the first",
        "return document.querySelector('dialog .options li')?.textContent.startsWith('#1 ')",
    )
    .await;
    desk.browser.press(ENTER).await;
    assert!(told(&desk).await.starts_with("Merge #2 into #1?"));
    desk.wait("both messages", "return location.hash === '#/ticket/1' && document.querySelectorAll('.bubble.in').length === 2").await;
    desk.browser.screenshot("console_merged").await;

    // From the ticket that goes on: what will be, before it is.
    desk.click("aside .merged .unmerge").await;
    let said = told(&desk).await;
    for part in [
        "Take #2 out of #1 again?",
        "1 message goes back",
        "#1 loses these tags: login.",
        "#2 will be: Open.",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    desk.wait("one message", "return document.querySelectorAll('.bubble.in').length === 1").await;
    assert_eq!(api.ticket_messages("2").await.len(), 1);
    assert_eq!(api.get("/tickets/2").await["merged_into"], Value::Null);
    assert_eq!(api.get("/tickets/1").await["tags"], json!([]));
    let trail = "return !!document.querySelector(\".event[data-kind='ticket.released']\")";
    desk.wait("its trail", trail).await;

    // And from the one that ended.
    let merged = api.post("/tickets/2/merge", &json!({ "into": "1" }), "again").await.unwrap();
    assert_eq!(merged.status, 200);
    desk.browser.run("location.hash = '#/ticket/2'", json!([])).await;
    desk.click("aside .notice .unmerge").await;
    desk.wait("it is back", "return !document.querySelector('aside .notice') && document.querySelectorAll('.bubble.in').length === 1").await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn two_contacts_become_one_and_two_again() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "From work", "Hello")]).await;
    ingest(&desk.daemon, &mail(2, "Anna Private", "From home", "Hello"));
    let api = desk.daemon.api();
    desk.browser.run(&format!("{AGREE}; location.hash = '#/ticket/1'"), json!([])).await;
    desk.click("aside .join").await;
    desk.wait("where to ask", "return !!document.querySelector('dialog.picker input')").await;
    desk.browser.press("private").await;
    desk.wait("the other", "return document.querySelectorAll('dialog .options li').length === 1 && document.querySelector('dialog .options li').textContent.includes('Anna Private')").await;
    desk.browser.press(ENTER).await;
    assert!(
        told(&desk).await.starts_with("Join Anna Private (customer2@customer.example) with Ann?")
    );
    desk.wait(
        "both addresses",
        "return document.querySelectorAll('aside .customer ul li').length === 2",
    )
    .await;
    desk.browser.screenshot("console_joined").await;
    assert_eq!(api.get("/tickets/2").await["contact"]["name"], "Ann");
    desk.click("aside .joined .part").await;
    let said = told(&desk).await;
    for part in [
        "Is Anna Private somebody else after all?",
        "customer2@customer.example",
        "1 ticket goes with them",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    desk.wait(
        "one address",
        "return document.querySelectorAll('aside .customer ul li').length === 1",
    )
    .await;
    assert_eq!(api.get("/tickets/2").await["contact"]["name"], "Anna Private");
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}
