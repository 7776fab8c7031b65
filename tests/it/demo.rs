//! `tributary demo`: a believable week that went the real way, and that reaches nobody.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::support::browser::{Browser, Screen};
use crate::support::demo::Demo;
use crate::support::wait_until;

fn words<'a>(items: &'a [Value], key: &str) -> BTreeSet<&'a str> {
    items.iter().filter_map(|one| one[key].as_str()).collect()
}

#[tokio::test]
async fn a_week_passes_on_every_channel_and_nothing_is_sent() {
    let demo = Demo::start();
    let api = demo.api(&demo.settings());
    let tickets = api.all("/tickets").await;
    assert!(tickets.len() > 60, "{}", tickets.len());
    let channels = api.get("/channels").await;
    let channels = channels["items"].as_array().unwrap();
    assert_eq!(words(&tickets, "channel"), words(channels, "name"));
    for channel in channels {
        let state = channel["state"].as_str().unwrap();
        assert!(["running", "off", "waiting_for_lease"].contains(&state), "{channel}");
    }
    let days: BTreeSet<String> = tickets
        .iter()
        .map(|one| one["created_at"].as_str().unwrap().chars().take(10).collect())
        .collect();
    assert!(days.len() >= 6, "{days:?}");
    let languages = words(&tickets, "language");
    assert!(
        languages.contains("en") && languages.iter().any(|one| one.starts_with("zh")),
        "{languages:?}"
    );
    for status in ["open", "pending", "solved"] {
        assert!(words(&tickets, "status").contains(status), "no ticket is {status}");
    }
    assert!(words(&tickets, "priority").contains("urgent"));
    assert!(tickets.iter().any(|one| !one["snoozed_until"].is_null()));
    assert!(
        tickets.iter().all(|one| one["contact"]["name"].as_str() != Some("")),
        "nobody is nameless"
    );

    let messages = api.all("/messages").await;
    assert_eq!(words(&messages, "direction"), BTreeSet::from(["in", "internal", "out"]));
    let told = messages.iter().map(Value::to_string).collect::<String>();
    assert!(!told.contains("abandon abandon"), "a recovery phrase is masked here as anywhere");
    // What the daemon itself says may be under way at this moment.
    let quiet = async || api.all("/outbox?status=queued,sending").await.is_empty();
    wait_until("nothing to be under way", Duration::from_secs(30), quiet).await;
    // Every reply is where replies end, and each was handed to the drawer that stands for the network.
    for one in api.all("/outbox?status=queued,sending,sent,failed,unconfirmed,held").await {
        assert_eq!(one["status"], "sent", "{one}");
    }
    assert_eq!(api.all("/quarantine").await.len(), 1);
    assert!(!api.all("/callbacks").await.is_empty());
    // The telephone rang as well: somebody spoke after the tone, and somebody hung up.
    let voicemail = api
        .wait_message(Duration::from_secs(30), |one| {
            one["kind"] == "voicemail" && one["attachments"][0]["state"] == "stored"
        })
        .await;
    let text = voicemail["text"].as_str().unwrap();
    assert!(text.contains("Written down by a machine: «Hi, this is about a withdrawal"), "{text}");
    let missed =
        |one: &&Value| one["kind"] == "call" && one["flags"].to_string().contains("missed");
    assert_eq!(messages.iter().filter(missed).count(), 2);
    // Once more on the same folder: nothing happens a second time.
    let demo = demo.again();
    let api = demo.api(&demo.settings());
    assert_eq!(api.all("/tickets").await.len(), tickets.len());
}

/// Also makes the picture of the README: `scripts/screenshots.sh` takes it from where it is kept.
#[tokio::test]
async fn whoever_tries_it_is_signed_in_and_leaves_nothing_behind() {
    let mut demo = Demo::start_passing();
    let browser = Browser::start(Screen::Desktop).await;
    browser.open(&demo.link()).await;
    let button = browser.element("the button", "return document.querySelector('button')").await;
    browser.click(&button).await;
    let rows = "return document.querySelectorAll('a.row').length > 10";
    browser.wait("the tickets", rows).await;
    let urgent = "return document.querySelector('a.row .tag.urgent')?.closest('a.row')";
    let urgent = browser.element("an urgent one", urgent).await;
    browser.click(&urgent).await;
    browser.wait("the ticket", "return document.querySelectorAll('.bubble').length > 2").await;
    browser.screenshot("demo_console").await;
    assert_eq!(demo.left().len(), 1);
    assert_eq!(demo.stop(), Some(0));
    assert_eq!(demo.left(), Vec::<std::path::PathBuf>::new());
}
