//! Several people at once, each in a Chromium of their own: a customer in the chat and an agent who see each other
//! type, two agents at one ticket, and a line that breaks.

use serde_json::{Value, json};

use crate::composer::another;
use crate::console::{Desk, configuration, ingest, mail};
use crate::support::browser::{Browser, Screen};

const BOX: &str = "document.querySelector('.composer textarea')";
const ROOT: &str =
    "const root = document.querySelector('tributary-chat')?.shadowRoot; if (!root) return null;";
const ENTER: &str = "\u{e007}";

async fn in_chat(visitor: &Browser, what: &str, script: &str) -> Value {
    visitor.wait(what, &format!("{ROOT} {script}")).await
}

#[tokio::test]
async fn a_customer_and_an_agent_chat_and_see_each_other_type() {
    let configuration =
        format!("[channels.web]\nkind = \"webchat\"\ndemo = true\n{}", configuration());
    let other = mail(1, "Ann", "By mail", "so that the console is not empty");
    let desk = Desk::open_with(Screen::Desktop, &configuration, &[other]).await;
    let visitor = Browser::start(Screen::Phone).await;
    visitor
        .open(&format!("http://127.0.0.1:{}/chat/web/demo?language=en", desk.daemon.port()))
        .await;
    let part = async |selector: &str| {
        let script = format!(
            "{ROOT} const found = root.querySelector('{selector}'); return found?.checkVisibility() ? found : null"
        );
        visitor.element(selector, &script).await
    };
    visitor.click(&part(".launch").await).await;
    visitor.keys(&part(".write textarea").await, "Hello, is anybody there?").await;
    visitor.press(ENTER).await;
    desk.wait("its row", "return document.querySelectorAll('a.row').length === 2").await;
    desk.browser.run("location.hash = '#/ticket/2'", json!([])).await;
    desk.wait("the words", "return document.querySelector('.bubble.in .text')?.textContent === 'Hello, is anybody there?'").await;
    desk.wait("they are here", "return !!document.querySelector('.live')?.textContent").await;

    visitor.keys(&part(".write textarea").await, "I wan").await;
    desk.wait(
        "they type",
        "return document.querySelector('.live')?.textContent.includes('typing')",
    )
    .await;
    desk.click(".composer textarea").await;
    desk.browser.press("One mom").await;
    in_chat(
        &visitor,
        "the agent types",
        "return root.querySelector('.typing')?.textContent.includes('Lena')",
    )
    .await;
    desk.browser.screenshot("console_chat_typing").await;
    desk.browser.press("ent, please.").await;
    desk.click(".composer button.primary").await;
    in_chat(&visitor, "the answer", "return [...root.querySelectorAll('.msg:not(.own) .bubble')].some((one) => one.textContent.includes('One moment, please.'))").await;
    visitor.screenshot("widget_chat_typing").await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn two_agents_at_one_ticket_see_each_other_before_either_sends() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    let added = desk.daemon.run(&["user", "add", "Bo Chen", "bo@desk.test", "--role", "agent"]);
    assert!(added.status.success());
    let bo = another(&desk.daemon, "bo@desk.test").await;
    desk.browser.reload().await;
    for browser in [&desk.browser, &bo] {
        browser.run("location.hash = '#/ticket/1'", json!([])).await;
        browser.wait("the ticket", &format!("return !!{BOX}")).await;
    }
    bo.click_on(".composer textarea").await;
    bo.press("I look into it").await;
    desk.wait(
        "he writes",
        "return document.querySelector('.live .also')?.textContent.includes('Bo Chen')",
    )
    .await;
    desk.browser.screenshot("console_writes_too").await;
    desk.click(".composer textarea").await;
    desk.browser.press("So do I").await;
    desk.click(".composer button.primary").await;
    desk.wait(
        "it is stopped",
        "return document.querySelector('.toast.error')?.textContent.includes('Bo Chen')",
    )
    .await;
    let held = format!("return {BOX}.value");
    assert_eq!(desk.browser.run(&held, json!([])).await, "So do I");
    // Whoever has been told may send all the same.
    desk.click(".composer button.primary").await;
    desk.wait("her reply", "return document.querySelectorAll('.bubble.out').length === 1").await;
    bo.wait("he sees it", "return document.querySelectorAll('.bubble.out').length === 1").await;
    let kept = format!("return {BOX}.value");
    assert_eq!(bo.run(&kept, json!([])).await, "I look into it");
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_lost_connection_is_told_and_what_came_meanwhile_is_there_afterwards() {
    let mut desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    desk.browser.run("location.hash = '#/ticket/1'", json!([])).await;
    desk.click(".composer textarea").await;
    assert_eq!(desk.daemon.stop(), Some(0));
    desk.wait("it is told", "return !document.querySelector('.offline').hidden").await;
    desk.browser.press("Written without a line").await;
    desk.browser.screenshot("console_offline").await;
    ingest(&desk.daemon, &mail(2, "Bob", "Meanwhile", "I wrote while you were away"));
    desk.daemon.start_again().await;
    desk.wait("the line", "return document.querySelector('.offline').hidden").await;
    desk.wait("the new row", "return document.querySelectorAll('a.row').length === 2").await;
    let text = format!("return {BOX}.value === 'Written without a line'");
    desk.wait("nothing is lost", &text).await;
    desk.click(".composer button.primary").await;
    desk.wait("the reply", "return document.querySelectorAll('.bubble.out').length === 1").await;
    let sent = desk.daemon.api().ticket_messages("1").await;
    assert_eq!(sent.iter().filter(|message| message["direction"] == "out").count(), 1);
    // That nobody answered is complained of by the browser itself; nothing else may be.
    let mut complaints = desk.complaints().await;
    complaints.retain(|entry| entry["source"] != "network");
    assert_eq!(complaints, Vec::<Value>::new());
}
