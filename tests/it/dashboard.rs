//! The dashboard in a real Chromium, over a week of the demo.

use std::time::Duration;

use serde_json::{Value, json};

use crate::console::{Desk, configuration, mail};
use crate::support::browser::{Browser, Screen};
use crate::support::demo::Demo;
use crate::support::visitor::Visitor;
use crate::support::wait_until;

/// Signed in, at a page.
pub(crate) async fn at(demo: &Demo, screen: Screen, language: &str, page: &str) -> Browser {
    let browser = Browser::start(screen).await;
    browser.open(&demo.link()).await;
    let button = browser.element("the button", "return document.querySelector('button')").await;
    browser.click(&button).await;
    browser.wait("the console", "return !!document.querySelector('a.row')").await;
    let script = "localStorage.setItem('tributary.language', arguments[0]); \
        location.hash = arguments[1]; location.reload()";
    browser.run(script, json!([language, page])).await;
    browser
}

#[tokio::test]
async fn the_dashboard_draws_what_its_tables_say_and_filters_it() {
    let demo = Demo::start();
    let browser = at(&demo, Screen::Desktop, "en", "#/dashboard").await;
    let drawn = "const plots = [...document.querySelectorAll('.plot img')]; \
        plots.forEach((plot) => plot.scrollIntoView()); \
        return plots.length === 7 && plots.every((plot) => plot.complete && plot.naturalWidth > 100)";
    browser.wait("seven plots", drawn).await;
    browser
        .run("document.querySelector('.plot').scrollIntoView({ block: 'center' })", json!([]))
        .await;
    browser.screenshot("console_dashboard").await;
    let figure = |name: &str| {
        format!("return Number(document.querySelector(\"[data-figure='{name}'] b\").textContent)")
    };
    let all = browser.run(&figure("opened"), json!([])).await.as_u64().unwrap();
    assert!(all > 60, "{all}");
    // Each plot has its numbers in words that a screen reader finds.
    let tables = "return [...document.querySelectorAll('details.numbers')].map((one) => one.dataset.table).join()";
    assert_eq!(browser.run(tables, json!([])).await, "days,channels,tags,known,scores");
    let sum = "return [...document.querySelectorAll(\"[data-table='channels'] tbody tr\")]\
        .reduce((sum, row) => sum + Number(row.children[1].textContent), 0)";
    assert_eq!(browser.run(sum, json!([])).await, all);
    let nameless = "return [...document.querySelectorAll('.plot img')].filter((plot) => !plot.alt).length \
        + document.querySelectorAll('[style]').length";
    assert_eq!(
        browser.run(nameless, json!([])).await,
        0,
        "no picture is nameless, no style inline"
    );

    // One channel alone; the plots and the file for spreadsheets follow.
    let choose = "const box = document.querySelector(\"select[name='channel']\"); box.value = 'web'; \
        box.dispatchEvent(new Event('change'))";
    browser.run(choose, json!([])).await;
    let fewer = format!("{} < {all} || null", figure("opened"));
    browser.wait("fewer tickets", &fewer).await;
    let address = "return document.querySelector(\"[data-table='days'] a\").getAttribute('href')";
    let address = browser.run(address, json!([])).await;
    assert!(address.as_str().unwrap().contains("channel=web"), "{address}");
    let table = "const done = arguments[0]; return fetch(done).then((answer) => answer.text())";
    let table = browser.run(table, json!([address])).await;
    assert!(table.as_str().unwrap().starts_with("name,opened,solved,backlog,"), "{table}");
    assert!(table.as_str().unwrap().lines().count() >= 31, "{table}");
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_remarks_are_about_stands_in_a_table() {
    let configuration = format!("[channels.web]\nkind = \"webchat\"\n{}", configuration());
    let desk =
        Desk::open_with(Screen::Desktop, &configuration, &[mail(1, "Ann", "Hi", "Hello")]).await;
    for (number, remark) in ["very slow", "slow, and the app crashed"].iter().enumerate() {
        let visitor = Visitor::new(desk.daemon.port(), "web").await;
        visitor.write("1", "Where is it?").await;
        let judgement = json!({ "client_id": "2", "score": number + 1, "comment": remark });
        let answer = visitor.post("rating", &judgement).await;
        assert!(answer.status.is_success(), "{}", answer.body);
    }
    let api = desk.daemon.api();
    wait_until("both judgements", Duration::from_secs(20), async || {
        api.get("/stats").await["ratings"]["total"]["count"] == 2
    })
    .await;
    desk.browser.run("location.hash = '#/dashboard'", json!([])).await;
    let rows = "const rows = [...document.querySelectorAll(\"[data-table='remarks'] tbody tr\")]; \
        return rows.length === 2 && rows.map((row) => [...row.children].map((one) => one.textContent).join()).join(';')";
    assert_eq!(desk.wait("two topics", rows).await, "speed,2,1.5;app,1,2.0");
    assert_eq!(desk.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_dashboard_fits_a_phone_and_speaks_chinese() {
    let demo = Demo::start();
    let browser = at(&demo, Screen::Phone, "zh", "#/dashboard").await;
    let words = "return document.querySelector('.plot h2')?.textContent.startsWith('工单与消息')";
    browser.wait("Chinese words", words).await;
    let wide = "return document.documentElement.scrollWidth <= innerWidth";
    assert_eq!(browser.run(wide, json!([])).await, true, "nothing is wider than the screen");
    browser.screenshot("console_dashboard_phone_zh").await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}

#[tokio::test]
async fn each_channel_shows_what_came_by_it() {
    let demo = Demo::start();
    let api = demo.api(&demo.settings());
    let browser = at(&demo, Screen::Desktop, "en", "#/channels").await;
    let channels = api.all("/channels").await.len();
    let drawn = format!(
        "const plots = [...document.querySelectorAll('.spark img')]; plots.forEach((plot) => plot.scrollIntoView()); \
         return plots.length === {channels} && plots.every((plot) => plot.complete && plot.naturalWidth === 240 && plot.alt)"
    );
    browser.wait("a small plot of each", &drawn).await;
    browser.screenshot("console_channels").await;
    assert_eq!(browser.complaints().await, Vec::<Value>::new());
}
