//! Where agents write, in a real Chromium: drafts that follow them, replies for later, notes that name somebody.

use serde_json::{Value, json};

use crate::console::{Desk, configuration, mail, sending_to};
use crate::dashboard::at;
use crate::support::browser::{Browser, Screen};
use crate::support::daemon::Daemon;
use crate::support::demo::Demo;
use crate::support::sink::Sink;
use crate::support::wait_until;

const BOX: &str = "document.querySelector('.composer textarea')";

/// Another browser of somebody who works here, signed in by a link.
pub(crate) async fn another(daemon: &Daemon, email: &str) -> Browser {
    let link = daemon.run(&["user", "link", email, "--json"]);
    let link: Value = serde_json::from_slice(&link.stdout).unwrap();
    let browser = Browser::start(Screen::Desktop).await;
    browser.open(link["sign_in"].as_str().unwrap()).await;
    let button = browser.element("the button", "return document.querySelector('button')").await;
    browser.click(&button).await;
    browser.wait("the console", "return !!document.querySelector('a.row')").await;
    browser
}

async fn open(browser: &Browser, ticket: u32) {
    browser.run(&format!("location.hash = '#/ticket/{ticket}'"), json!([])).await;
    browser.wait("the ticket", &format!("return !!{BOX}")).await;
}

async fn click(browser: &Browser, selector: &str) {
    let script = format!(
        "const found = document.querySelector(\"{selector}\"); \
         return found && found.checkVisibility() ? found : null"
    );
    let element = browser.element(selector, &script).await;
    browser.click(&element).await;
}

/// Nothing that this tab alone knows.
const HANDED_OVER: &str =
    "return !Object.keys(sessionStorage).some((key) => key.startsWith('tributary.draft'))";

#[tokio::test]
async fn a_draft_follows_its_agent_and_is_stopped_when_somebody_was_faster() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    let api = desk.daemon.api();
    open(&desk.browser, 1).await;
    desk.click(".composer textarea").await;
    desk.browser.press("Half an answer 请稍等").await;
    desk.wait("the daemon has it", HANDED_OVER).await;
    // Another device of hers goes on with it.
    let phone = another(&desk.daemon, "lena@desk.test").await;
    open(&phone, 1).await;
    phone.wait("the draft", &format!("return {BOX}.value === 'Half an answer 请稍等'")).await;
    // Meanwhile somebody answers: the draft answers what is no longer the last word.
    api.reply("1", "I was faster", "another agent").await;
    phone.wait("their reply", "return !!document.querySelector('.bubble.out')").await;
    phone.reload().await;
    phone
        .wait("the draft again", &format!("return {BOX}?.value.startsWith('Half an answer')"))
        .await;
    click(&phone, ".composer button.primary").await;
    phone.wait("the warning", "return !!document.querySelector('.toast.error')").await;
    phone
        .wait("the words are kept", &format!("return {BOX}.value.startsWith('Half an answer')"))
        .await;
    // Whoever has seen it may send all the same; then the draft is gone everywhere.
    click(&phone, ".composer button.primary").await;
    phone
        .wait("both replies", "return document.querySelectorAll('.bubble.out').length === 2")
        .await;
    phone.wait("the daemon knows", HANDED_OVER).await;
    desk.browser.reload().await;
    desk.wait("no draft", &format!("return {BOX}?.value === ''")).await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

/// What was sent, oldest first, as the daemon has it.
async fn sent(desk: &Desk) -> Vec<Value> {
    let mut messages = desk.daemon.api().ticket_messages("1").await;
    messages.retain(|message| message["direction"] == "out");
    messages
}

#[tokio::test]
async fn two_replies_quickly_after_each_other_both_go_out() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    open(&desk.browser, 1).await;
    desk.click(".composer textarea").await;
    desk.browser.press("Yes.").await;
    desk.click(".composer button.primary").await;
    // While the first may still be taken back.
    desk.click(".composer textarea").await;
    desk.browser.press("And here is").await;
    desk.wait("the first", "return document.querySelectorAll('.bubble.out').length === 1").await;
    desk.browser.press(" your answer.").await;
    desk.click(".composer button.primary").await;
    // And a third that does not wait for the second.
    desk.click(".composer textarea").await;
    desk.browser.press("Good bye.").await;
    desk.click(".composer button.primary").await;
    desk.wait("all three", "return document.querySelectorAll('.bubble.out').length === 3").await;
    desk.wait("nothing is left", HANDED_OVER).await;
    let texts: Vec<Value> = sent(&desk).await.iter().map(|one| one["text"].clone()).collect();
    assert_eq!(json!(texts), json!(["Yes.", "And here is your answer.", "Good bye."]));
    assert_eq!(desk.browser.run(&format!("return {BOX}.value"), json!([])).await, "");
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_reply_that_is_taken_back_takes_no_note_along() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    open(&desk.browser, 1).await;
    desk.click(".composer textarea").await;
    desk.browser.press("Yes.").await;
    desk.click(".composer button.primary").await;
    desk.wait("the way back", "return !!document.querySelector('.toast button')").await;
    // Begun while the reply may still be taken back, and for colleagues only. As quick as no hand is.
    let back = "document.querySelector(\".composer [data-kind='note']\").click(); \
        const box = document.querySelector('.composer textarea'); box.value = 'he is lying'; \
        box.dispatchEvent(new Event('input', { bubbles: true })); \
        document.querySelector('.toast button').click(); return box.value";
    let both = desk.browser.run(back, json!([])).await;
    assert_eq!(both, "Yes.\nhe is lying");
    desk.click(".composer button.primary").await;
    desk.wait("a note", "return !!document.querySelector('.bubble.note')").await;
    desk.wait("nothing is left", HANDED_OVER).await;
    assert_eq!(sent(&desk).await, Vec::<Value>::new());
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_reply_whose_answer_was_lost_goes_out_once() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    // The daemon takes the first one, and the line breaks before it can say so.
    let lose = "const real = window.fetch; window.posts = 0; window.fetch = async (...asked) => { \
        const answer = await real(...asked); \
        if (asked[1]?.method !== 'POST' || !asked[0].endsWith('/messages')) return answer; \
        window.posts += 1; if (window.posts === 1) throw new TypeError('lost'); return answer; }";
    desk.browser.run(lose, json!([])).await;
    open(&desk.browser, 1).await;
    desk.click(".composer textarea").await;
    desk.browser.press("Yes, we are.").await;
    desk.click(".composer button.primary").await;
    desk.wait("it is told", "return !!document.querySelector('.toast.error')").await;
    desk.wait("the words are kept", &format!("return {BOX}.value === 'Yes, we are.'")).await;
    desk.click(".composer button.primary").await;
    desk.wait("it is sent again", "return window.posts === 2").await;
    desk.wait("it counts as sent", HANDED_OVER).await;
    assert_eq!(desk.browser.run(&format!("return {BOX}.value"), json!([])).await, "");
    assert_eq!(sent(&desk).await.len(), 1);
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_reply_goes_by_the_channel_that_is_chosen() {
    let other = "[channels.other]\nkind = \"email\"\naddress = \"other@desk.test\"\n\
        [channels.other.send]\nhost = \"127.0.0.1\"\nport = 9\ntls = \"none\"\n";
    let configuration = format!("{}{other}", configuration());
    let first = mail(1, "Ann", "Hello", "Are you there?");
    let desk = Desk::open_with(Screen::Desktop, &configuration, &[first]).await;
    open(&desk.browser, 1).await;
    let choose = "const box = document.querySelector('.composer .via'); \
        if (!box?.checkVisibility()) return false; box.value = 'other'; \
        box.dispatchEvent(new Event('change')); return box.value === 'other'";
    desk.wait("the other one", choose).await;
    desk.click(".composer textarea").await;
    desk.browser.press("From elsewhere").await;
    desk.click(".composer button.primary").await;
    desk.wait("the reply", "return !!document.querySelector('.bubble.out')").await;
    let sent = sent(&desk).await;
    assert_eq!((sent.len(), &sent[0]["channel"]), (1, &json!("other")));
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

const SIGNATURES: &str = r#"
[[signatures]]
channels = ["other"]
texts = { en = "Sales of {{agent.name}}" }
[[signatures]]
queues = ["payments"]
texts = { en = "Payments, ticket {{ticket.number}}", zh = "支付组" }
[[signatures]]
texts = { en = "{{agent.name}}, desk", zh = "{{agent.name}} 客服" }
"#;

#[tokio::test]
async fn the_signature_is_shown_as_it_will_stand_below_a_reply() {
    let other = "[channels.other]\nkind = \"email\"\naddress = \"other@desk.test\"\n\
        [channels.other.send]\nhost = \"127.0.0.1\"\nport = 9\ntls = \"none\"\n";
    let configuration = format!("{}{other}{SIGNATURES}", configuration());
    let words = "Where is the transfer that I made yesterday?";
    let mails =
        [mail(1, "Ann", "Hello", words), mail(2, "李雷", "Hi", "我昨天的转账什么时候到账？")];
    let desk = Desk::open_with(Screen::Desktop, &configuration, &mails).await;
    let shows = |title: &str, text: &str| {
        format!(
            "const box = document.querySelector('.composer .signed'); \
             return box?.checkVisibility() && !box.open && box.firstChild.textContent === '{title}' \
             && box.lastChild.textContent === '{text}'"
        )
    };
    open(&desk.browser, 1).await;
    desk.wait("the desk's", &shows("Signature below it", "Lena, desk")).await;
    let choose = |name: &str| {
        format!(
            "const box = document.querySelector('.composer .via'); box.value = '{name}'; \
             box.dispatchEvent(new Event('change'))"
        )
    };
    desk.browser.run(&choose("other"), json!([])).await;
    desk.wait("that of the other channel", &shows("Signature below it", "Sales of Lena")).await;
    desk.browser.run(&choose(""), json!([])).await;
    desk.wait("the desk's again", &shows("Signature below it", "Lena, desk")).await;
    desk.click(".composer .tab[data-kind='note']").await;
    let hidden = "return !document.querySelector('.composer .signed').checkVisibility()";
    desk.wait("none below a note", hidden).await;
    desk.click(".composer .tab[data-kind='reply']").await;
    // The queue's, as soon as the ticket is there.
    let api = desk.daemon.api();
    let version = api.get("/tickets/1").await["version"].clone();
    api.patch("/tickets/1", &version, &json!({ "queue": "payments" })).await;
    desk.wait("the queue's", &shows("Signature below it", "Payments, ticket 1")).await;
    desk.click(".composer .signed summary").await;
    let seen = "return document.querySelector('.composer .signed pre').checkVisibility()";
    desk.wait("its words", seen).await;
    desk.browser.screenshot("console_signature").await;
    // The customer's language, and the agent's.
    let chinese = "localStorage.setItem('tributary.language', 'zh'); location.hash = '#/ticket/2'; location.reload()";
    desk.browser.run(chinese, json!([])).await;
    desk.wait("in Chinese", &shows("回复下方的签名", "Lena 客服")).await;
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

/// Own before queue, queue before desk; as a mail that arrived holds it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_bears_the_signature_that_comes_first() {
    let sink = Sink::start();
    let (_, signatures) = SIGNATURES.split_at(SIGNATURES.find("[[signatures]]\nqueues").unwrap());
    let configuration = format!("{}{signatures}", sending_to(sink.port()));
    let first = mail(1, "Ann", "Hello", "Where is the transfer that I made yesterday?");
    let desk = Desk::open_with(Screen::Desktop, &configuration, &[first]).await;
    let api = desk.daemon.api();
    // As the console asks: only people have signatures.
    let ask = async |method: &str, path: &str, body: Value, key: &str| {
        let script = "const [method, path, body, key] = arguments; \
            return fetch('/api/v1' + path, { method, headers: { 'content-type': 'application/json', \
            'idempotency-key': key }, body: JSON.stringify(body) }).then((answer) => answer.status)";
        desk.browser.run(script, json!([method, path, body, key])).await
    };
    let mut expected = Vec::new();
    for (key, queue, own, below) in [
        ("k1", Value::Null, Value::Null, "Lena, desk"),
        ("k2", json!("payments"), Value::Null, "Payments, ticket 1"),
        ("k3", json!("payments"), json!({ "en": "Lena of {{channel.name}}" }), "Lena of mail"),
        ("k4", Value::Null, json!({}), "Lena, desk"),
    ] {
        let version = api.get("/tickets/1").await["version"].clone();
        let patched = api.patch("/tickets/1", &version, &json!({ "queue": queue })).await;
        assert_eq!(patched.status, 200, "{}", patched.body);
        if !own.is_null() {
            assert_eq!(ask("PUT", "/me/signature", json!({ "texts": own }), "").await, 200);
        }
        let reply = json!({ "kind": "reply", "text": format!("Answer {key}") });
        assert_eq!(ask("POST", "/tickets/1/messages", reply, key).await, 202);
        expected.push(format!("Answer {key}\n\n-- \n{below}"));
        let limit = std::time::Duration::from_secs(20);
        wait_until("the mail", limit, async || sink.count() == expected.len()).await;
    }
    let texts: Vec<String> = sink
        .taken()
        .iter()
        .map(|taken| taken.text.replace("\r\n", "\n").trim_end().to_owned())
        .collect();
    for (text, expected) in texts.iter().zip(&expected) {
        assert!(text.starts_with(expected.as_str()), "{text:?} is not {expected:?}");
    }
    // A program signs for nobody.
    api.reply("1", "By a program", "k5").await;
    wait_until("the mail", std::time::Duration::from_secs(20), async || sink.count() == 5).await;
    assert!(!sink.taken()[4].text.contains("-- "), "{}", sink.taken()[4].text);
}

#[tokio::test]
async fn a_template_is_named_its_blanks_are_filled_and_it_is_sent() {
    let demo = Demo::start();
    let api = demo.api(&demo.settings());
    let ticket = api.all("/tickets?channel=whatsapp&sort=created_at").await.remove(0);
    let page = format!("#/ticket/{}", ticket["number"]);
    let browser = at(&demo, Screen::Desktop, "en", &page).await;
    browser.wait("the ticket", &format!("return !!{BOX}")).await;
    click(&browser, ".composer > .files > button").await;
    click(&browser, "dialog input[name='name']").await;
    browser.press("order_update").await;
    click(&browser, "dialog textarea[name='blanks']").await;
    browser.press("Ann").await;
    click(&browser, "dialog button.primary").await;
    let chosen = "return document.querySelector('.composer .file')?.textContent.includes('order_update (en_US)')";
    browser.wait("it is chosen", chosen).await;
    click(&browser, ".composer button.primary").await;
    let drawn = "return [...document.querySelectorAll('.bubble.out .text')].some((one) => one.textContent.startsWith('[order_update, en_US]'))";
    browser.wait("it is sent", drawn).await;
    let messages = api.ticket_messages(&ticket["number"].to_string()).await;
    let sent = messages.iter().filter(|one| one["text"] == "[order_update, en_US]\nAnn");
    assert_eq!(sent.count(), 1);
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_secret_in_a_draft_is_kept_nowhere() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    open(&desk.browser, 1).await;
    desk.click(".composer textarea").await;
    desk.browser
        .press("abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about")
        .await;
    desk.wait("the warning", "return !!document.querySelector('.toast.error')").await;
    desk.wait("nothing is kept here", HANDED_OVER).await;
    desk.browser.reload().await;
    desk.wait("nothing is kept there", &format!("return {BOX}?.value === ''")).await;
}

#[tokio::test]
async fn a_reply_is_planned_and_a_note_tells_whom_it_names() {
    let desk = Desk::open(Screen::Desktop, &[mail(1, "Ann", "Hello", "Are you there?")]).await;
    let api = desk.daemon.api();
    let added = desk.daemon.run(&["user", "add", "Bo Chen", "bo@desk.test", "--role", "agent"]);
    assert!(added.status.success());
    let bo = another(&desk.daemon, "bo@desk.test").await;
    desk.browser.reload().await;
    open(&desk.browser, 1).await;
    desk.click(".composer [data-kind='note']").await;
    desk.click(".composer textarea").await;
    desk.browser.press("please look @bo").await;
    desk.click(".mentions button").await;
    let written = desk.browser.run(&format!("return {BOX}.value"), json!([])).await;
    assert_eq!(written, "please look @Bo Chen ");
    desk.click(".composer button.primary").await;
    desk.wait("the note", "return !!document.querySelector('.bubble.note')").await;
    bo.wait(
        "a word about it",
        "return document.querySelector('.toast')?.textContent.includes('Lena')",
    )
    .await;
    let number =
        "return document.querySelector(\"a.nav[data-view='mentions'] .count\").textContent";
    bo.wait("the number", &format!("{number} === '1'")).await;
    bo.screenshot("console_mention").await;
    open(&bo, 1).await;
    bo.wait("no number", &format!("{number} === ''")).await;

    desk.click(".composer [data-kind='reply']").await;
    desk.click(".composer textarea").await;
    desk.browser.press("Good morning!").await;
    desk.click(".composer [aria-expanded='false']").await;
    desk.wait("a time", "return !!document.querySelector('.composer .later').value").await;
    desk.browser.screenshot("console_later").await;
    desk.click(".composer button.primary").await;
    desk.wait("the reply", "return !!document.querySelector('.bubble.out')").await;
    let sent = api.ticket_messages("1").await;
    let reply = sent.iter().find(|message| message["direction"] == "out").unwrap();
    assert_eq!(reply["delivery"]["status"], "queued");
    let at: chrono::DateTime<chrono::Utc> =
        reply["delivery"]["next_attempt_at"].as_str().unwrap().parse().unwrap();
    assert!(at > chrono::Utc::now() + chrono::Duration::minutes(1), "{at}");
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_composer_counts_as_the_channel_does_and_knows_its_window() {
    let demo = Demo::start();
    let api = demo.api(&demo.settings());
    let tickets = api.all("/tickets?channel=messenger&sort=created_at").await;
    let oldest = tickets.first().unwrap()["number"].as_u64().unwrap();
    let browser = at(&demo, Screen::Desktop, "zh", &format!("#/ticket/{oldest}")).await;
    browser.wait("the ticket", &format!("return !!{BOX}")).await;
    let long = format!("{BOX}.value = '好'.repeat(2500); {BOX}.dispatchEvent(new Event('input'))");
    browser.run(&long, json!([])).await;
    let counter = "return document.querySelector('.counter').textContent";
    let told = browser.wait("the number", counter).await;
    assert!(told.as_str().unwrap().contains("2500 / 2000"), "{told}");
    assert!(told.as_str().unwrap().contains("2 条"), "{told}");
    assert!(told.as_str().unwrap().contains("可回复时间已于"), "{told}");
    browser.screenshot("console_counter_zh").await;
}

/// The first run of the embedded default: a test message makes a ticket that arrives live.
#[tokio::test]
async fn an_empty_console_shows_the_first_steps_and_a_ticket_arriving() {
    let configuration = format!("[channels.web]\nkind = \"webchat\"\n{}", configuration());
    let daemon = Daemon::start(&configuration).await;
    let added = daemon.run(&["user", "add", "Lena", "lena@desk.test", "--role", "admin", "--json"]);
    let added: Value = serde_json::from_slice(&added.stdout).unwrap();
    let browser = Browser::start(Screen::Desktop).await;
    browser.open(added["sign_in"].as_str().unwrap()).await;
    let button = browser.element("the button", "return document.querySelector('button')").await;
    browser.click(&button).await;
    browser
        .wait("three steps", "return document.querySelectorAll('.steps section').length === 3")
        .await;
    browser.screenshot("console_first_steps").await;
    click(&browser, ".test-message").await;
    let arrived = browser
        .wait("its arrival", "return document.querySelector('.arrived a')?.textContent")
        .await;
    assert!(arrived.as_str().unwrap().starts_with("#1 "), "{arrived}");
    browser.wait("its row", "return document.querySelectorAll('a.row').length === 1").await;
    browser.screenshot("console_first_ticket").await;
    click(&browser, ".arrived a").await;
    browser
        .wait(
            "its words",
            "return document.querySelector('.bubble.in .text')?.textContent.includes('test')",
        )
        .await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}
