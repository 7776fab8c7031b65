//! `tributary retention`: what would be erased now, and that nothing is.

use sea_orm::ConnectionTrait as _;
use serde_json::json;

use super::take::PIPE;
use super::{run, run_with_input};
use crate::support::daemon::Daemon;

/// Around the store.
async fn change(daemon: &Daemon, sql: &str) {
    let file = daemon.state_folder().join("tributary.db");
    let db = sea_orm::Database::connect(format!("sqlite://{}", file.display())).await.unwrap();
    db.execute_unprepared(sql).await.unwrap();
    db.close().await.unwrap();
}

fn rules(raws_days: u32) -> String {
    format!(
        r#"{PIPE}
[retention]
raws_days = {raws_days}
[[retention.rules]]
name = "old"
after_days = 30
[[retention.rules]]
name = "spam"
after_days = 5
tags = ["spam"]
"#
    )
}

#[tokio::test]
async fn what_would_be_erased_is_shown_and_stays() {
    let daemon = Daemon::prepare(PIPE);
    for number in 1..=10 {
        let mail = format!(
            "From: Ann <ann@customer.example>\r\nTo: support@example.com\r\n\
             Subject: question {number}\r\nMessage-ID: <m{number}@customer.example>\r\n\r\nhello\r\n"
        );
        run_with_input(&daemon, &["ingest", "mail"], mail.as_bytes()).ends_with(0);
    }
    let none = run(&daemon, &["retention"]).ends_with(0).out;
    assert!(none.contains("tickets are kept for ever"), "{none}");
    assert!(!none.contains("raws"), "they are kept, too: {none}");

    // The last one is open; its raw and that of the first became no message.
    change(&daemon, "UPDATE ticket SET status = 'solved', updated_at = 0 WHERE number < 10").await;
    change(&daemon, "UPDATE journal SET received_at = 0").await;
    change(
        &daemon,
        "UPDATE message SET raw = NULL WHERE ticket IN (SELECT id FROM ticket WHERE number IN (1, 10))",
    )
    .await;
    daemon.configure(&rules(30));
    for _ in 0..2 {
        let told = run(&daemon, &["retention"]).ends_with(0).out;
        for line in [
            "     9  old  #1 (1970-01-01) #2 (1970-01-01) ",
            "#8 (1970-01-01) and 1 more\n",
            "     0  spam",
            "     2  raws that became no message, after 30 days\n",
            "nothing is erased: retention.enabled is off",
        ] {
            assert!(told.contains(line), "no `{line}` in:\n{told}");
        }
    }
    let told = run(&daemon, &["retention", "--json"]).ends_with(0).json();
    let rules_of = json!([
        { "rule": "old", "tickets": [1, 2, 3, 4, 5, 6, 7, 8, 9] },
        { "rule": "spam", "tickets": [] },
    ]);
    assert_eq!(told, json!({ "enabled": false, "rules": rules_of, "raws": 2 }));

    daemon.configure(&rules(0));
    let told = run(&daemon, &["retention", "--json"]).ends_with(0).json();
    assert_eq!(told["raws"], 0, "they are kept");
    assert!(!run(&daemon, &["retention"]).ends_with(0).out.contains("raws"));
}
