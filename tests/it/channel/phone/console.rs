//! An agent has their telephone rung, in a real Chromium: the exchange connects both sides, and the console tells how
//! it ended.

use serde_json::{Value, json};

use super::HOOK;
use super::killed::{asked, base, configuration};
use crate::console::{self, Desk};
use crate::support::browser::Screen;
use crate::support::phone::{
    ACCOUNT, ANN, ANNA, Caller, Doing, Exchange, Made, NUMBER, fields, parse,
};
use crate::support::rig::PATIENCE;
use crate::support::wait_until;

use Doing::Press;

/// A number of the list of call-backs.
const ROW: &str = "return document.querySelector('td a.phone')?.textContent";

/// The exchange asks or tells something within a call that it made.
async fn within(desk: &Desk, url: &str, more: &[(&str, &str)]) -> String {
    let path = url.strip_prefix(&base(&desk.daemon)).unwrap().to_owned();
    let mut form = fields(&[("AccountSid", ACCOUNT), ("From", NUMBER)]);
    form.extend(fields(more));
    asked(&desk.daemon, &(path, form)).await.unwrap()
}

/// The agent takes up their telephone and presses 1; the customer's rings, and it ends like this.
async fn bridged(desk: &Desk, made: &Made, end: &[(&str, &str)]) {
    assert_eq!(made.1.get("To"), Some(ANNA));
    let status = made.1.get("StatusCallback").unwrap();
    within(desk, status, &[("CallSid", &made.0), ("CallStatus", "in-progress")]).await;
    let gather = parse(made.1.get("Twiml").unwrap()).children.remove(0);
    let pressed = [("CallSid", made.0.as_str()), ("Digits", "1")];
    let dial = parse(&within(desk, gather.attribute("action"), &pressed).await).children.remove(0);
    assert_eq!((dial.name.as_str(), dial.children[0].text.as_str()), ("Dial", ANN));
    assert_eq!(dial.attribute("callerId"), NUMBER, "the customer sees our number");
    within(desk, dial.attribute("action"), &[end, &[("CallSid", &made.0)]].concat()).await;
    within(desk, status, &[("CallSid", &made.0), ("CallStatus", "completed")]).await;
}

/// Presses «Ring my phone»; the call that the exchange makes for it.
async fn ring(desk: &Desk, exchange: &Exchange) -> Made {
    let before = exchange.calls().len();
    desk.click("td.choices button:nth-child(2)").await;
    let made = async || exchange.calls().len() > before;
    wait_until("the agent to be called", PATIENCE, made).await;
    exchange.calls().pop().unwrap()
}

async fn told(desk: &Desk, words: &str) {
    let script = format!(
        "return [...document.querySelectorAll('.toast')].some((one) => one.textContent.includes('{words}'))"
    );
    desk.wait(words, &script).await;
}

#[tokio::test]
async fn an_agent_has_their_telephone_rung_and_is_told_how_it_ended() {
    let exchange = Exchange::start();
    let hotline = configuration(&exchange).replace("anna@desk.test", "lena@desk.test");
    let settings = format!("{}\n{hotline}", console::configuration());
    let mails = [console::mail(1, "Jane", "Hello", "a ticket of somebody else")];
    let desk = Desk::open_with(Screen::Desktop, &settings, &mails).await;
    // Ann asks for it by a key.
    let address = base(&desk.daemon);
    let keys = [Press("1"), Press("3"), Press("1")];
    let mut caller = Caller::new(&address, HOOK, ("CA01", ANN), &keys);
    caller.walk(async |told| asked(&desk.daemon, told).await).await;
    desk.click("a.nav[data-view=calls]").await;
    assert_eq!(desk.wait("the wish", ROW).await, ANN);
    // Nobody is there at first.
    let made = ring(&desk, &exchange).await;
    desk.wait("the call", "return document.querySelectorAll('td.choices button').length > 3").await;
    desk.browser.screenshot("console_ring_my_phone").await;
    bridged(&desk, &made, &[("DialCallStatus", "no-answer"), ("DialBridged", "false")]).await;
    told(&desk, "No answer").await;
    desk.wait(
        "it waits again",
        "return document.querySelectorAll('td.choices button').length === 3",
    )
    .await;
    let row = desk.wait("how it was", "return document.querySelector('tbody')?.textContent").await;
    assert!(row.as_str().unwrap().contains("No answer"), "{row}");
    // Then they talk.
    let made = ring(&desk, &exchange).await;
    bridged(&desk, &made, &[("DialCallStatus", "completed"), ("DialBridged", "true")]).await;
    told(&desk, "Reached").await;
    desk.wait("nobody to wait", "return !document.querySelector('td a.phone')").await;
    let done = desk.daemon.api().all("/callbacks?status=done").await;
    let [done] = done.as_slice() else { panic!("{done:?}") };
    assert_eq!((&done["outcome"], &done["agent"]), (&json!("reached"), &json!("Lena")));
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

/// What a reply becomes is told before it is written: a call that speaks it, or an SMS, whose segments are counted.
#[tokio::test]
async fn an_agent_is_told_whether_a_reply_is_spoken_or_sent() {
    const OTHER: &str = "+15005550007";
    let exchange = Exchange::start();
    let written = exchange.settings("reply = 'sms'").replace(NUMBER, OTHER);
    let hotline = configuration(&exchange);
    let settings =
        format!("{}\n{hotline}\n[channels.written]\n{written}", console::configuration());
    let mails = [console::mail(1, "Jane", "Hello", "a ticket of somebody else")];
    let desk = Desk::open_with(Screen::Desktop, &settings, &mails).await;
    let address = base(&desk.daemon);
    let api = desk.daemon.api();
    for (channel, goes_as, words) in [
        ("hotline", "call", "is called by hotline, and hears this…"),
        ("written", "sms", "as an SMS, by written…"),
    ] {
        let hook = format!("/hooks/{channel}");
        let mut caller = Caller::new(&address, &hook, ("CA01", ANN), &[]);
        caller.walk(async |told| asked(&desk.daemon, told).await).await;
        let of_it = |message: &Value| message["channel"] == channel;
        let ticket = api.wait_message(PATIENCE, of_it).await["ticket_id"].take();
        let ticket = api.get(&format!("/tickets/{}", ticket.as_str().unwrap())).await;
        let can = api.get(&format!("/channels/{channel}")).await["capabilities"].take();
        assert_eq!(can["goes_as"], goes_as);
        desk.browser
            .run(&format!("location.hash = '#/ticket/{}'", ticket["number"]), json!([]))
            .await;
        let script = format!(
            "return document.querySelector('.composer textarea')?.placeholder.endsWith('{words}')"
        );
        desk.wait(words, &script).await;
    }
    let count = "const box = document.querySelector('.composer textarea'); box.value = '“你好”'; \
                 box.dispatchEvent(new Event('input')); \
                 return document.querySelector('.composer .counter').textContent.includes('UCS-2')";
    desk.wait("the segments", count).await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}
