//! Canned answers in a real Chromium: made by an agent, found by a slash, read before they are sent, done to several
//! tickets at once.

use serde_json::{Value, json};

use crate::console::{Desk, ingest, mail};
use crate::support::browser::Screen;
use crate::support::wait_until;

const BOX: &str = "document.querySelector('.composer textarea')";
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";

async fn fill(desk: &Desk, name: &str, value: &str) {
    desk.click(&format!("dialog [name='{name}']")).await;
    desk.browser.press(value).await;
}

#[tokio::test]
async fn an_agent_makes_a_canned_answer_finds_it_by_a_slash_and_its_deeds_follow() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Transfer", "Not arrived")]).await;
    let api = desk.daemon.api();
    desk.click("a.nav[data-view='macros']").await;
    desk.click(".new-macro").await;
    fill(&desk, "name", "Ask for the hash").await;
    fill(&desk, "text.en", "Dear {{contact.name}}, which hash? {{agent.name}}").await;
    fill(&desk, "tags", "asked").await;
    let choose = "const box = document.querySelector(\"dialog select[name='status']\"); box.value = 'pending'; return true";
    desk.browser.run(choose, json!([])).await;
    desk.browser.screenshot("console_macro").await;
    desk.click("dialog button.primary").await;
    desk.wait("its row", "return !!document.querySelector(\"tr[data-macro='Ask for the hash']\")")
        .await;

    desk.browser.run("location.hash = '#/ticket/1'", json!([])).await;
    desk.click(".composer textarea").await;
    // A slash within a line is a slash; so is one that is not meant.
    desk.browser.press("and/or").await;
    desk.wait("it is written", &format!("return {BOX}.value === 'and/or'")).await;
    assert_eq!(
        desk.browser.run("return document.querySelector('dialog')", json!([])).await,
        Value::Null
    );
    desk.browser.run(&format!("{BOX}.value = ''"), json!([])).await;
    desk.browser.press("/").await;
    desk.wait(
        "what there is",
        "return document.querySelectorAll('dialog .options li').length === 1",
    )
    .await;
    desk.browser.press(ESCAPE).await;
    desk.wait(
        "the slash is back",
        &format!("return {BOX}.value === '/' && document.activeElement === {BOX}"),
    )
    .await;
    desk.browser.run(&format!("{BOX}.value = ''"), json!([])).await;
    desk.browser.press("/").await;
    let filled = "return document.querySelector('dialog .preview')?.textContent.includes('Dear Ann, which hash? Lena')";
    desk.wait("what it comes to", filled).await;
    desk.browser.screenshot("console_canned").await;
    desk.browser.press("hash").await;
    desk.wait("it is still found", "return document.querySelectorAll(\"dialog .options li[aria-selected='true']\").length === 1").await;
    desk.browser.press(ENTER).await;
    desk.wait("it is in the box", &format!("return {BOX}.value === 'Dear Ann, which hash? Lena'"))
        .await;
    assert!(
        api.get("/tickets/1").await["tags"].as_array().unwrap().is_empty(),
        "nothing is done yet"
    );
    desk.click(".composer button.primary").await;
    desk.wait("the reply", "return document.querySelector('.bubble.out .text')?.textContent === 'Dear Ann, which hash? Lena'").await;
    wait_until("its deeds", std::time::Duration::from_secs(20), async || {
        let ticket = api.get("/tickets/1").await;
        ticket["status"] == "pending" && ticket["tags"] == json!(["asked"])
    })
    .await;
    let sent = api.ticket_messages("1").await;
    assert_eq!(sent.iter().filter(|message| message["direction"] == "out").count(), 1);
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_macro_is_done_to_all_tickets_that_are_marked() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "One", "first")]).await;
    ingest(&desk.daemon, &mail(2, "Bob", "Two", "second"));
    let api = desk.daemon.api();
    let what = json!({ "name": "Close them", "texts": { "en": "We are done, {{contact.name}}." }, "actions": { "status": "solved" } });
    assert_eq!(api.post("/macros", &what, "").await.unwrap().status, 201);
    desk.wait("both", "return document.querySelectorAll('input.pick').length === 2").await;
    let pick = "document.querySelectorAll('input.pick').forEach((box) => box.click()); \
        window.confirm = (text) => { window.told = text; return true; }";
    desk.browser.run(pick, json!([])).await;
    desk.click(".bulk .use-macro").await;
    desk.wait("it is found", "return document.querySelectorAll('dialog .options li').length === 1")
        .await;
    desk.browser.press(ENTER).await;
    desk.wait(
        "it was asked",
        "return window.told?.includes('Close them') && window.told.includes('2')",
    )
    .await;
    wait_until("both solved", std::time::Duration::from_secs(20), async || {
        api.all("/tickets?status=solved").await.len() == 2
    })
    .await;
    for (ticket, name) in [("1", "Ann"), ("2", "Bob")] {
        let sent = api.ticket_messages(ticket).await;
        let reply = sent.iter().find(|message| message["direction"] == "out").unwrap();
        assert_eq!(reply["text"], json!(format!("We are done, {name}.")));
    }
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}
