//! Lists of tickets in a real Chromium: what is new, views of one's own, several tickets at once, live numbers, and
//! very many tickets.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::console::{Desk, mail};
use crate::dashboard::at;
use crate::support::browser::{Browser, Screen};
use crate::support::crowd::{self, crowd};
use crate::support::daemon::Api;
use crate::support::demo::Demo;
use crate::support::wait_until;

const NUMBER: &str = "document.querySelector(\"a.nav[data-view='inbox'] .count\")?.textContent";

async fn choose(browser: &Browser, name: &str, value: &str) {
    let script = format!(
        "const box = document.querySelector(\".narrow select[name='{name}']\"); if (!box) return false; \
         box.value = '{value}'; box.dispatchEvent(new Event('change')); return true"
    );
    browser.wait(name, &script).await;
}

async fn click(browser: &Browser, selector: &str) {
    let script = format!("return document.querySelector(\"{selector}\")");
    let element = browser.element(selector, &script).await;
    browser.click(&element).await;
}

/// What the console shows beside «Open» and what the daemon finds, however much happens meanwhile.
async fn the_numbers_agree(browser: &Browser, api: &Api) {
    wait_until("the same numbers", Duration::from_secs(20), async || {
        let shown = browser.run(&format!("return {NUMBER}"), json!([])).await;
        let open = api.all("/tickets?status=open").await.len();
        shown.as_str().and_then(|shown| shown.parse().ok()) == Some(open)
    })
    .await;
}

#[tokio::test]
async fn an_agent_keeps_a_view_sees_what_is_new_and_changes_several_tickets_at_once() {
    let demo = Demo::start();
    let api = demo.api(&demo.settings());
    let browser = at(&demo, Screen::Desktop, "en", "#/inbox").await;
    // The number is the daemon's own.
    the_numbers_agree(&browser, &api).await;

    // What is new is marked until it was looked at, also after a reload.
    let unread = "return document.querySelectorAll('a.row.unread').length || null";
    let before = browser.wait("something new", unread).await.as_u64().unwrap();
    click(&browser, "a.row.unread").await;
    let fewer =
        format!("return document.querySelectorAll('a.row.unread').length === {}", before - 1);
    browser.wait("one less", &fewer).await;
    browser.reload().await;
    browser.wait("one less, still", &fewer).await;

    // A view of one's own.
    browser.run("location.hash = '#/all'", json!([])).await;
    click(&browser, ".narrow-open").await;
    choose(&browser, "tag", "fees").await;
    choose(&browser, "status", "solved").await;
    let wanted = api.all("/tickets?tag=fees&status=solved").await.len();
    assert!(wanted > 0);
    browser
        .wait("the rows", &format!("return document.querySelectorAll('a.row').length === {wanted}"))
        .await;
    browser.run("window.prompt = () => 'Fees 费用'", json!([])).await;
    click(&browser, ".save-view").await;
    let mine = format!(
        "const view = document.querySelector('.own-view a.nav'); \
         return view?.textContent.includes('Fees 费用') && view.querySelector('.count').textContent === '{wanted}'"
    );
    browser.wait("the view with its number", &mine).await;
    browser.screenshot("console_views").await;
    browser.reload().await;
    browser.wait("the view, kept by the daemon", &mine).await;

    // Several at once.
    browser.run("location.hash = '#/unassigned'", json!([])).await;
    browser.wait("two rows", "return location.hash === '#/unassigned' && document.querySelectorAll('a.row').length > 1").await;
    let picked = "const boxes = [...document.querySelectorAll('input.pick')].slice(0, 2); \
        boxes.forEach((box) => box.click()); \
        return [...document.querySelectorAll('a.row')].slice(0, 2).map((row) => Number(row.dataset.number))";
    let picked = browser.run(picked, json!([])).await;
    browser.screenshot("console_bulk").await;
    click(&browser, ".bulk button").await;
    browser
        .wait("they are gone from here", "return document.querySelector('.bulk')?.hidden !== false")
        .await;
    let me = api.all("/users").await.into_iter().find(|one| one["email"] == "lena@wallet.example");
    let me = me.unwrap()["id"].clone();
    for number in picked.as_array().unwrap() {
        let ticket = api.get(&format!("/tickets/{number}")).await;
        assert_eq!(ticket["assignee"], me, "{number}");
    }

    // Somebody else solves one: the number follows by itself.
    browser.run("location.hash = '#/inbox'", json!([])).await;
    browser
        .wait(
            "open ones",
            "return location.hash === '#/inbox' && !!document.querySelector('a.row')",
        )
        .await;
    let one = api.all("/tickets?status=open&sort=-updated_at").await.remove(0);
    let row =
        format!("return !!document.querySelector(\"a.row[data-number='{}']\")", one["number"]);
    browser.wait("its row", &row).await;
    let path = format!("/tickets/{}", one["id"].as_str().unwrap());
    let patch = api.request(Method::PATCH, &path).json(&json!({ "status": "solved" }));
    assert_eq!(api.send(patch).await.unwrap().status, 200);
    browser.wait("it is gone", &row.replace("return !!", "return !")).await;
    the_numbers_agree(&browser, &api).await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn beside_an_open_ticket_the_boxes_go_on_from_what_its_list_shows() {
    let demo = Demo::start();
    let browser = at(&demo, Screen::Desktop, "en", "#/find?tag=fees").await;
    click(&browser, ".narrow-open").await;
    click(&browser, "a.row").await;
    browser.wait("the ticket", "return !!document.querySelector('.composer textarea')").await;
    choose(&browser, "status", "solved").await;
    let both = "const found = new URLSearchParams(location.hash.split('?')[1]); \
        return found.get('tag') === 'fees' && found.get('status') === 'solved'";
    browser.wait("both words", both).await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn lists_are_narrowed_on_a_phone_and_in_chinese() {
    let demo = Demo::start();
    let browser = at(&demo, Screen::Phone, "zh", "#/all").await;
    browser
        .wait(
            "Chinese words",
            "return document.querySelector('.narrow-open')?.textContent === '筛选'",
        )
        .await;
    click(&browser, ".narrow-open").await;
    choose(&browser, "waiting", "us").await;
    browser.wait("rows", "return location.hash.includes('waiting=us') && document.querySelectorAll('a.row').length > 0").await;
    let wide = "return document.documentElement.scrollWidth <= innerWidth";
    assert_eq!(browser.run(wide, json!([])).await, true, "nothing is wider than the screen");
    browser.screenshot("console_narrow_phone_zh").await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_view_that_makes_no_sense_is_refused_and_counts_are_in_order() {
    let demo = Demo::start();
    let api = demo.api(&demo.settings());
    let counts = async |queries: &[&str]| {
        api.post("/tickets/counts", &json!({ "queries": queries }), "").await.unwrap()
    };
    let counted =
        counts(&["", "status=open", "status=closed", "assignee=nobody@example.com"]).await;
    let all = api.all("/tickets").await.len();
    let open = api.all("/tickets?status=open").await.len();
    let number = |place: usize| counted.body["items"][place]["count"].clone();
    assert_eq!(
        [number(0), number(1), number(2), number(3)],
        [json!(all), json!(open), json!(0), json!(0)]
    );
    let bad = counts(&["status=lost"]).await;
    assert_eq!((bad.status.as_u16(), &bad.body["field"]), (422, &json!("queries[0]")));
    // A program has no views.
    let saved = api.post("/views", &json!({ "name": "x", "query": "" }), "").await.unwrap();
    assert_eq!((saved.status.as_u16(), &saved.body["code"]), (409, &Value::from("refused")));
}

const MANY: u32 = 100_000;
/// Bytes of all that the first page loads, as they are before they are compressed.
const BYTES_MAX: u64 = 100_000;

#[tokio::test]
async fn with_a_hundred_thousand_tickets_the_first_page_is_light_and_the_list_has_no_end() {
    let first = mail(1, "王小明", "=?utf-8?B?6L2s6LSm5rKh5pyJ5Yiw6LSm?=", "还没有到账。");
    let mut desk = Desk::open(Screen::Desktop, &[first]).await;
    assert_eq!(desk.daemon.stop(), Some(0));
    let file = desk.daemon.state_folder().join("tributary.db");
    crowd(&format!("sqlite://{}", file.display()), MANY).await;
    desk.daemon.start_again().await;
    desk.browser.without_cache().await;
    desk.browser.reload().await;
    desk.wait("two pages of rows", "return document.querySelectorAll('a.row').length >= 30").await;
    desk.wait("the numbers", &format!("return {NUMBER} === '1000+'")).await;
    let loaded = "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]\
        .map((one) => [new URL(one.name).pathname, one.decodedBodySize])";
    let loaded = desk.browser.run(loaded, json!([])).await;
    let bytes: u64 = loaded.as_array().unwrap().iter().map(|one| one[1].as_u64().unwrap()).sum();
    assert!(bytes < BYTES_MAX, "{bytes} bytes: {loaded:#}");
    assert!(bytes > 50_000, "it is measured at all: {loaded:#}");

    // What the browser said while the daemon was away.
    desk.browser.log().await;

    // Whoever scrolls meets no end, and no row twice.
    for pages in 2..14 {
        let script =
            "const rows = document.querySelector('.rows'); rows.scrollTop = rows.scrollHeight";
        desk.browser.run(script, json!([])).await;
        let more = format!("return document.querySelectorAll('a.row').length >= {}", pages * 30);
        desk.wait("more rows", &more).await;
    }
    let rows = "const rows = [...document.querySelectorAll('a.row')].map((row) => row.dataset.number); \
        return [rows.length, new Set(rows).size]";
    let rows = desk.browser.run(rows, json!([])).await;
    assert_eq!(rows[0], rows[1]);

    // Two Chinese characters find the hundred that hold them.
    desk.click("#search").await;
    desk.browser.press(&format!("{}\u{e007}", crowd::RARE)).await;
    desk.wait("the hits", "return location.hash.startsWith('#/all?q=') && document.querySelectorAll('a.row').length >= 30").await;
    let hits = desk.daemon.api().all(&format!("/tickets?q={}", crowd::RARE)).await;
    assert_eq!(hits.len(), 100);
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}
