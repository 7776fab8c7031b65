//! Every page of the console as people meet it who see it otherwise, or not: judged by axe-core in a real Chromium,
//! in light and dark, on desktop and phone, in both languages.

use serde_json::{Value, json};

use crate::dashboard::at;
use crate::support::browser::Screen;
use crate::support::demo::Demo;

/// axe-core 4.14.1, as it comes (MPL-2.0): <https://github.com/dequelabs/axe-core>.
const AXE: &str = include_str!("../fixtures/axe/axe.min.js");
const JUDGE: &str = "return axe.run(document, { resultTypes: ['violations'] }).then((found) => \
    found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`))";
/// Pages, each with what is there once it is drawn.
const PAGES: &[(&str, &str)] = &[
    ("#/inbox", "a.row"),
    ("#/ticket/5", ".composer textarea"),
    ("#/dashboard", ".plot img"),
    ("#/channels", ".spark img"),
    ("#/outbox", ".plain-page .body > *"),
    ("#/quarantine", ".plain-page table"),
    ("#/calls", ".plain-page table"),
    ("#/macros", ".new-macro"),
    ("#/people", ".people .card"),
    ("#/audit", ".audit table"),
    ("#/start", ".steps .test-message"),
    ("#/all", "a.row"),
];

/// What its person likes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ground {
    Light,
    Dark,
}

async fn judge(screen: Screen, language: &str, ground: Ground) {
    let demo = Demo::start();
    let browser = at(&demo, screen, language, "#/inbox").await;
    if ground == Ground::Dark {
        browser.like_it_dark().await;
        let dark = "return matchMedia('(prefers-color-scheme: dark)').matches";
        browser.wait("the dark", dark).await;
    }
    browser.wait("the console", "return !!document.querySelector('a.nav')").await;
    for (page, sign) in PAGES {
        browser.run("location.hash = arguments[0]", json!([page])).await;
        let drawn = format!("return !!document.querySelector(\"{sign}\")");
        browser.wait(page, &drawn).await;
        if *page == "#/all" {
            // With everything open that can be opened.
            let open = "document.querySelector('.narrow-open').click(); \
                document.querySelector('input.pick').click()";
            browser.run(open, json!([])).await;
            let there = "return !!document.querySelector('.narrow') && !document.querySelector('.bulk').hidden";
            browser.wait("what is folded away", there).await;
        }
        let faults = browser.run(&format!("{AXE};\n{JUDGE}"), json!([])).await;
        assert_eq!(faults, Value::Array(Vec::new()), "{page}");
    }
}

#[tokio::test]
async fn every_page_can_be_read_and_used_on_a_desktop() {
    judge(Screen::Desktop, "en", Ground::Light).await;
}

#[tokio::test]
async fn every_page_can_be_read_and_used_on_a_phone_in_chinese_and_in_the_dark() {
    judge(Screen::Phone, "zh", Ground::Dark).await;
}
