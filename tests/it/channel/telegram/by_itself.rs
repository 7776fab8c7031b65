//! What goes out by itself, with the daemon dying between sending it and noting that: it goes out once.

use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use serde_json::json;

use super::ANN;
use crate::support::daemon::Daemon;
use crate::support::telegram::Telegram;
use crate::support::wait_until;

const PATIENCE: Duration = Duration::from_secs(40);

/// Ann writes and is answered; her ticket.
async fn answered(daemon: &Daemon, service: &Telegram) -> String {
    service.writes(ANN, &json!({ "text": "Where is my receipt?" }));
    let message = daemon.api().wait_message(PATIENCE, |one| one["direction"] == "in").await;
    let ticket = message["ticket_id"].as_str().unwrap().to_owned();
    daemon.api().reply(&ticket, "Here it is.", "k").await;
    wait_until("the reply", PATIENCE, async || service.texts() == ["Here it is."]).await;
    ticket
}

async fn stands(daemon: &Daemon, ticket: &str, status: &str) {
    let version = daemon.api().get(&format!("/tickets/{ticket}")).await["version"].clone();
    let body = json!({ "status": status });
    // It may die before it answers.
    let request = daemon.api().request(reqwest::Method::PATCH, &format!("/tickets/{ticket}"));
    drop(request.header("If-Match", version.to_string()).json(&body).send().await);
}

/// The daemon dies at this step, and comes up again.
async fn dies_and_comes_back(daemon: &mut Daemon) {
    daemon.wait_end(PATIENCE);
    daemon.set_environment("TRIBUTARY_FAILPOINT", "");
    daemon.start_again().await;
}

async fn asked_once(step: &str) {
    let service = Telegram::start();
    let mut daemon = Daemon::prepare(&format!(
        "[survey]\nenabled = true\nafter_minutes = 0\n[channels.tg]\n{}",
        service.settings()
    ));
    daemon.set_environment("TRIBUTARY_FAILPOINT", step);
    daemon.start_again().await;
    let ticket = answered(&daemon, &service).await;
    stands(&daemon, &ticket, "solved").await;
    dies_and_comes_back(&mut daemon).await;
    let questions = || service.texts().iter().filter(|text| text.contains("How did we do")).count();
    wait_until("the question", PATIENCE, async || questions() > 0).await;
    // A score is taken once it is noted that she was asked: every turn that would ask again is over by then.
    wait_until("the score", PATIENCE, async || {
        let rating = daemon.api().get(&format!("/tickets/{ticket}")).await["rating"].clone();
        if rating.is_null() {
            service.writes(ANN, &json!({ "text": "5" }));
        }
        rating == 5
    })
    .await;
    assert_eq!(questions(), 1, "{step}: {:?}", service.texts());
}

#[tokio::test]
async fn telegram_a_survey_is_sent_once_though_the_daemon_dies_before_it_noted_it() {
    asked_once("survey.asked").await;
}

#[tokio::test]
async fn telegram_a_survey_is_sent_once_though_the_daemon_dies_as_it_queues_it() {
    asked_once("reply.queued:2").await;
}

/// Two days pass for all tickets, while no daemon runs.
async fn two_days_pass(daemon: &mut Daemon) {
    assert_eq!(daemon.stop(), Some(0));
    let url = format!("sqlite://{}", daemon.state_folder().join("tributary.db").display());
    let db = sea_orm::Database::connect(url).await.unwrap();
    for change in [
        "UPDATE ticket SET last_inbound_at = last_inbound_at - 172800000,
             last_outbound_at = last_outbound_at - 172800000",
        "UPDATE close_warning SET warned_at = warned_at - 172800000",
    ] {
        db.execute_unprepared(change).await.unwrap();
    }
    db.close().await.unwrap();
}

#[tokio::test]
async fn telegram_who_says_nothing_is_warned_once_though_the_daemon_dies_before_it_noted_it() {
    let service = Telegram::start();
    let mut daemon = Daemon::prepare(&format!(
        "[close]\nenabled = true\nwarn_days = 1\nsolve_days = 1\n[channels.tg]\n{}",
        service.settings()
    ));
    daemon.start_again().await;
    let ticket = answered(&daemon, &service).await;
    stands(&daemon, &ticket, "pending").await;
    two_days_pass(&mut daemon).await;
    daemon.set_environment("TRIBUTARY_FAILPOINT", "close.warned");
    daemon.spawn();
    dies_and_comes_back(&mut daemon).await;
    let warnings =
        || service.texts().iter().filter(|text| text.contains("We have not heard")).count();
    wait_until("the warning", PATIENCE, async || warnings() > 0).await;
    // It is noted as said, so the time for the end runs from it.
    wait_until("the warning to be noted", PATIENCE, async || {
        let url = format!("sqlite://{}", daemon.state_folder().join("tributary.db").display());
        let db = sea_orm::Database::connect(url).await.unwrap();
        let statement = sea_orm::Statement::from_string(
            sea_orm::DbBackend::Sqlite,
            "SELECT count(*) FROM close_warning WHERE warned_at IS NOT NULL",
        );
        let row = db.query_one_raw(statement).await.unwrap().unwrap();
        db.close().await.unwrap();
        row.try_get_by_index::<i64>(0).unwrap() == 1
    })
    .await;
    two_days_pass(&mut daemon).await;
    daemon.start_again().await;
    wait_until("the end", PATIENCE, async || {
        daemon.api().get(&format!("/tickets/{ticket}")).await["status"] == "solved"
    })
    .await;
    assert_eq!(warnings(), 1, "{:?}", service.texts());
}
