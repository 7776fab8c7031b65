//! Rules in the settings: every fault at its place, tried on past messages, in force for what comes.

use super::take::PIPE;
use super::{run, run_with_input};
use crate::support::daemon::Daemon;

fn mail(number: usize, words: &str) -> String {
    format!(
        "From: Ann <ann{number}@customer.example>\r\nTo: support@example.com\r\nSubject: question {number}\r\n\
         Message-ID: <m{number}@customer.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\n\r\n{words}\r\n"
    )
}

#[test]
fn each_fault_of_a_rule_is_told_with_file_line_and_key() {
    let text = format!(
        r#"{PIPE}
[calendars.office]
time_zone = "Berlin"
hours = ["mon-fri 09:00-17:00"]
[[agents]]
email = "ann@desk.example"
calendar = "night"
[[rules]]
name = "one"
when = {{ words = ["deposit"], channels = ["fax"] }}
then = {{ priority = "loud" }}
"#
    );
    let daemon = Daemon::prepare(&text);
    let ran = run(&daemon, &["check"]).ends_with(78);
    assert!(ran.error.contains("rules[0].then.priority: "), "{}", ran.error);
    let daemon = Daemon::prepare(&text.replace("loud", "high"));
    let ran = run(&daemon, &["check"]).ends_with(78);
    for fault in [
        "calendars.office.time_zone: `Berlin` is no time zone",
        "agents[0].calendar: there is no calendar `night`",
        "rules[0].when.channels[0]: there is no channel `fax`",
    ] {
        let line = ran.error.lines().find(|line| line.contains(fault));
        let line = line.unwrap_or_else(|| panic!("no `{fault}` in:\n{}", ran.error));
        assert!(line.contains("tributary.toml:"), "no place: {line}");
    }
    let right = text.replace("loud", "high").replace("fax", "mail").replace("night", "office");
    run(&Daemon::prepare(&right.replace("\"Berlin\"", "\"Europe/Berlin\"")), &["check"])
        .ends_with(0);
}

#[test]
fn rules_are_tried_before_they_are_switched_on() {
    let daemon = Daemon::prepare(PIPE);
    for (number, words) in
        [(1, "my deposit has not arrived"), (2, "how do I pay?"), (3, "deposit not\r\narrived")]
    {
        run_with_input(&daemon, &["ingest", "mail"], mail(number, words).as_bytes()).ends_with(0);
    }
    let none = run(&daemon, &["rules", "test", "--json"]).ends_with(0).json();
    assert_eq!((&none["tried"], none["rules"].as_array().unwrap().len()), (&3.into(), 0));
    daemon.configure(&format!(
        r#"{PIPE}
[[rules]]
name = "deposits"
when = {{ words = ["not arrived"], languages = ["en"] }}
then = {{ priority = "high", tags = ["deposit"] }}
"#
    ));
    let tried = run(&daemon, &["rules", "test", "--last", "100", "--json"]).ends_with(0).json();
    assert_eq!(tried["rules"][0]["fired"], 2, "{tried}");
    assert_eq!(tried["rules"][0]["tickets"], serde_json::json!([1, 3]));
    assert_eq!(tried["messages"][0]["priority"], "high");
    let told = run(&daemon, &["rules", "test"]).ends_with(0).out;
    assert!(told.contains("3 messages") && told.contains("deposits  #3 #1"), "{told}");
    // Nothing was changed by that; what comes from now on is.
    let tickets = |daemon: &Daemon| run(daemon, &["rules", "test", "--json"]).ends_with(0).json();
    assert_eq!(tickets(&daemon)["messages"].as_array().unwrap().len(), 2);
    run_with_input(&daemon, &["ingest", "mail"], mail(4, "It has not arrived").as_bytes())
        .ends_with(0);
    let now = tickets(&daemon);
    assert_eq!(now["rules"][0]["fired"], 3, "{now}");
}
