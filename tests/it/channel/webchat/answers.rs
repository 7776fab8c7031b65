//! Known answers that go out by themselves: buttons in the chat, and exactly one whatever dies.

use serde_json::{Value, json};

use super::{CHAT, LIMIT, ticket};
use crate::support::daemon::Daemon;
use crate::support::visitor::Visitor;

/// The chat with the articles of the starter set, sent by themselves.
fn answering() -> String {
    let articles = concat!(env!("CARGO_MANIFEST_DIR"), "/config/faq");
    format!("{CHAT}[faq]\ndir = \"{articles}\"\nanswer = \"auto\"\n")
}

fn ours(messages: &[Value]) -> Vec<&Value> {
    messages.iter().filter(|message| message["direction"] == "out").collect()
}

#[tokio::test]
async fn a_button_under_a_known_answer_solves_or_calls_a_person() {
    let daemon = Daemon::start(&answering()).await;
    for (knock, question, pressed, ends) in [
        (json!({}), "How much are the fees?", 0, "solved"),
        (json!({ "language": "zh-CN" }), "转账手续费多少", 1, "open"),
    ] {
        let visitor = Visitor::with(daemon.port(), "web", &knock).await;
        let said = visitor.write("1", question).await;
        assert_eq!(said["choices"], json!([]));
        let answer = visitor.wait_message(|message| message["direction"] == "out").await;
        let choices = answer["choices"].as_array().unwrap();
        assert_eq!(choices.len(), 3, "{answer}");
        assert!(!answer["text"].as_str().unwrap().contains("1 = "), "{answer}");
        let label = choices[pressed]["label"].as_str().unwrap();
        visitor.write("2", label).await;
        let tickets = daemon.api().tickets().await;
        let statuses: Vec<&str> =
            tickets.iter().map(|ticket| ticket["status"].as_str().unwrap()).collect();
        assert!(statuses.contains(&ends), "{label}: {statuses:?}");
    }
    let figures = daemon.api().get("/faq").await;
    let fees =
        figures["items"].as_array().unwrap().iter().find(|one| one["article"] == "fees").unwrap();
    assert_eq!(
        (&fees["shown"], &fees["helped"], &fees["escalated"]),
        (&json!(2), &json!(1), &json!(1))
    );
}

#[tokio::test]
async fn a_button_leads_on_to_another_article_and_is_asked_about() {
    let daemon = Daemon::start(&answering()).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    visitor.write("1", "How much are the fees?").await;
    let answer = visitor.wait_message(|message| message["direction"] == "out").await;
    let label = answer["choices"][2]["label"].as_str().unwrap();
    assert_eq!(label, "A transfer that is pending or failed");
    visitor.write("2", label).await;
    let is_next = |message: &Value| message["direction"] == "out" && message["id"] != answer["id"];
    let next = visitor.wait_message(is_next).await;
    let labels: Vec<&Value> =
        next["choices"].as_array().unwrap().iter().map(|choice| &choice["label"]).collect();
    assert_eq!(labels.len(), 2, "back to the fees leads nothing: {next}");
    assert_eq!(ticket(&daemon).await["status"], "pending");
    visitor.write("3", labels[0].as_str().unwrap()).await;
    assert_eq!(ticket(&daemon).await["status"], "solved");
}

#[tokio::test]
async fn a_daemon_killed_at_any_step_follows_once() {
    for step in
        ["chat.appended", "ingest.interpreted", "ingest.applied", "lane.begun", "lane.delivered"]
    {
        let mut daemon = Daemon::prepare(&answering());
        daemon.start_again().await;
        let visitor = Visitor::new(daemon.port(), "web").await;
        visitor.write("1", "How much are the fees?").await;
        let answer = visitor.wait_message(|message| message["direction"] == "out").await;
        let label = answer["choices"][2]["label"].as_str().unwrap();
        daemon.stop();
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        daemon.start_again().await;
        let body = json!({ "client_id": "2", "text": label });
        drop(visitor.try_post("messages", &body).await);
        daemon.wait_end(LIMIT);
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        visitor.post("messages", &body).await;
        let is_next =
            |message: &Value| message["direction"] == "out" && message["id"] != answer["id"];
        visitor.wait_message(is_next).await;
        let read = visitor.read().await;
        assert_eq!(ours(&read).len(), 2, "{step}: {read:#?}");
        let figures = daemon.api().get("/faq").await;
        let of = |name: &str, key: &str| {
            let found = figures["items"].as_array().unwrap().iter();
            found.clone().find(|one| one["article"] == name).unwrap()[key].clone()
        };
        assert_eq!((of("fees", "shown"), of("fees", "followed")), (json!(1), json!(1)), "{step}");
        assert_eq!(of("transaction-pending", "shown"), 1, "{step}");
    }
}

#[tokio::test]
async fn a_daemon_killed_at_any_step_answers_once() {
    for step in
        ["chat.appended", "ingest.interpreted", "ingest.applied", "lane.begun", "lane.delivered"]
    {
        let mut daemon = Daemon::prepare(&answering());
        daemon.set_environment("TRIBUTARY_FAILPOINT", step);
        daemon.start_again().await;
        let visitor = Visitor::new(daemon.port(), "web").await;
        let body = json!({ "client_id": "1", "text": "How much are the fees?" });
        // It may die before or after it has answered.
        drop(visitor.try_post("messages", &body).await);
        daemon.wait_end(LIMIT);
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        visitor.post("messages", &body).await;
        visitor.wait_message(|message| message["direction"] == "out").await;
        visitor.write("2", "and something else").await;
        let read = visitor.read().await;
        assert_eq!(ours(&read).len(), 1, "{step}: {read:#?}");
        let figures = daemon.api().get("/faq").await;
        let fees = figures["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["article"] == "fees")
            .unwrap();
        assert_eq!(fees["shown"], 1, "{step}");
        assert_eq!(ticket(&daemon).await["status"], "open", "{step}");
    }
}
