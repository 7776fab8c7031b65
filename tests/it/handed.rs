//! COMPLAINTS C4 (zm#1596, zm#1351, fs#1177): an agent hands on a customer's mail; one click makes the ticket the
//! customer's.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tributary::model::Role;

use crate::console::{Desk, ingest, sending_to};
use crate::support::app::App;
use crate::support::browser::Screen;
use crate::support::sink::Sink;
use crate::support::wait_until;

const LIMIT: Duration = Duration::from_secs(40);
const JANE: &str = "jane@customer.example";

fn handed_on(from: &str, id: &str) -> String {
    format!(
        "From: {from}\r\nTo: support@desk.test\r\nSubject: Fwd: Lost phone\r\nMessage-ID: <{id}@desk.test>\r\n\
         Date: Thu, 26 Nov 2026 09:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
         She called, too.\r\n\r\n---------- Forwarded message ---------\r\nFrom: Jane Doe <{JANE}>\r\n\
         Date: Thu, 26 Nov 2026 08:00:00 +0000\r\nSubject: Lost phone\r\nTo: lena@desk.test\r\n\r\n\
         How do I get back in?\r\n"
    )
}

#[tokio::test]
async fn one_click_makes_whose_mail_was_handed_on_the_customer() {
    let sink = Sink::start();
    let acknowledge = "[channels.mail.acknowledge]\ntext = \"We have it.\"\n";
    let configuration = format!("{}{acknowledge}", sending_to(sink.port()));
    let other = crate::console::mail(1, "Ann", "By mail", "so that the console is not empty");
    let desk = Desk::open_with(Screen::Desktop, &configuration, &[other]).await;
    wait_until("Ann's acknowledgement", LIMIT, async || sink.count() == 1).await;
    ingest(&desk.daemon, &handed_on("Lena <lena@desk.test>", "one"));
    desk.wait("its row", "return document.querySelectorAll('a.row').length === 2").await;
    desk.browser.run("location.hash = '#/ticket/2'", json!([])).await;
    let told = desk
        .wait("the suggestion", "return document.querySelector('aside .handed')?.textContent")
        .await;
    assert!(told.as_str().unwrap().contains("Jane Doe <jane@customer.example>"), "{told}");
    desk.browser.screenshot("console_handed_on").await;
    // What happens meanwhile draws the page anew under a slow hand.
    let press = |selector: &str| format!("document.querySelector('{selector}').click()");
    desk.browser.run(&press("aside .handed button"), json!([])).await;
    desk.wait("hers", "return document.querySelector('aside .customer b')?.textContent === 'Jane Doe' && !document.querySelector('aside .handed')").await;
    desk.wait("her words", "return document.querySelector('.bubble.in .text')?.textContent === 'How do I get back in?' && document.querySelector('.bubble.note .text')?.textContent === 'She called, too.'").await;
    let api = desk.daemon.api();
    api.reply("2", "We help you.", "reply").await;
    wait_until("the reply", LIMIT, async || sink.count() == 2).await;
    let reply = sink.taken().pop().unwrap();
    assert_eq!(reply.recipients, [JANE], "nobody else, and nothing before somebody said so");
    assert!(!reply.header("References").contains("one@desk.test"));
    desk.browser.screenshot("console_handed_taken").await;
    desk.browser.run(&press("aside .restore"), json!([])).await;
    desk.wait("back", "return !!document.querySelector('aside .handed') && document.querySelector('aside .customer b')?.textContent === 'Lena'").await;
    desk.browser.run(&press("aside .handed .leave"), json!([])).await;
    desk.wait("nobody suggested", "return !document.querySelector('aside .handed') && document.querySelector('aside .customer b')?.textContent === 'Lena'").await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn any_ticket_is_given_to_another_customer_over_the_api() {
    let channel = "[channels.mail]\nkind = \"email\"\naddress = \"support@desk.test\"\n\
         [channels.mail.receive]\nprotocol = \"pipe\"\n";
    let app = App::start(channel).await;
    // Somebody who does not work here: their mail is left as it is.
    let placed = app.receive("mail", handed_on("Bob <bob@elsewhere.example>", "two")).await;
    let (api, path) = (app.api(Role::Agent), format!("/tickets/{}/customer", placed.ticket));
    let shown = api.get(&path).await;
    assert_eq!((&shown["suggested"], &shown["before"]), (&Value::Null, &Value::Null));
    let refused = api.post(&path, &json!({}), "").await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.body["code"]), (409, &json!("refused")));
    let bad = api.post(&path, &json!({ "address": "nobody" }), "").await.unwrap();
    assert_eq!((bad.status.as_u16(), &bad.body["field"]), (422, &json!("address")));
    let ours = api.post(&path, &json!({ "address": "support@desk.test" }), "").await.unwrap();
    assert_eq!((ours.status.as_u16(), &ours.body["field"]), (422, &json!("address")));
    let nobody = api.post(&path, &json!({ "name": "Jane Doe" }), "").await.unwrap();
    assert_eq!((nobody.status.as_u16(), &nobody.body["field"]), (422, &json!("name")));
    let wish = json!({ "address": " Jane@Customer.example", "name": "Jane Doe" });
    for _ in 0..2 {
        let given = api.post(&path, &wish, "once").await.unwrap();
        assert_eq!(given.status.as_u16(), 200, "{}", given.body);
        assert_eq!(given.body["contact"]["name"], "Jane Doe");
        assert_eq!(given.body["contact"]["identities"][0]["trust"], "claimed");
    }
    assert_eq!(api.get(&path).await["before"]["name"], "Bob");
    let back = api.send(api.request(Method::DELETE, &path)).await.unwrap();
    assert_eq!((back.status.as_u16(), &back.body["contact"]["name"]), (200, &json!("Bob")));
    let again = api.send(api.request(Method::DELETE, &path)).await.unwrap();
    assert_eq!(again.status.as_u16(), 409, "{}", again.body);
}
