//! `/channels`: how they are, and the switch that stops one.

use std::sync::Arc;
use std::time::Duration;

use tributary::channel::DeliverError;
use tributary::model::Role;

use super::{LIMIT, MAIL, Service, arrive, letter, queue, texts};
use crate::api::{refused, send};
use crate::support::app::App;
use crate::support::wait_until;

/// COMPLAINTS B2: the switch stops the channel at once, also what is queued already, and over a restart.
#[tokio::test]
async fn the_kill_switch_stops_what_is_queued_too() {
    let service = Service::new(Duration::from_millis(40), || Ok(()));
    let app = App::running(None, MAIL, service.behind()).await;
    let mut wanted = Vec::new();
    for number in 0..25 {
        let ticket = arrive(&app, letter(number)).await;
        queue(&app, ticket, &format!("answer {number}")).await;
        wanted.push(format!("answer {number}"));
    }
    wait_until("the first ones", LIMIT, async || service.calls() >= 3).await;
    let api = app.api(Role::Admin);
    let (status, _, shown) = send(api.request(reqwest::Method::POST, "/channels/mail/pause")).await;
    let then = service.calls();
    assert_eq!((status.as_u16(), shown["paused"].as_bool()), (200, Some(true)), "{shown}");
    assert_eq!((&shown["state"], &shown["paused_by"]), (&"paused".into(), &"admin".into()));
    assert!(shown["advice"].as_str().unwrap().contains("tributary channel resume mail"), "{shown}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(service.calls() <= then + 1, "{then} calls, then {}", service.calls());
    assert!(then < 20, "it was too fast to be stopped");
    let left = api.all("/outbox?status=queued").await.len();
    assert_eq!(left, 25 - service.texts().len(), "nothing of it is lost");

    // A restart is no way round it.
    let stopped = service.calls();
    let app = App::running(Some(app), MAIL, service.behind()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(service.calls(), stopped, "it began to send after a restart");
    let api = app.api(Role::Admin);
    let (status, _, shown) =
        send(api.request(reqwest::Method::POST, "/channels/mail/resume")).await;
    assert_eq!((status.as_u16(), shown["paused"].as_bool()), (200, Some(false)), "{shown}");
    wait_until("the rest", LIMIT, async || service.texts().len() == 25).await;
    let mut sent = service.texts();
    sent.sort();
    wanted.sort();
    assert_eq!(sent, wanted, "each of them, and once");
    let kinds = app.store.events_after(0, 10_000).await.unwrap();
    let kinds: Vec<&str> = kinds.iter().map(|event| event.kind.as_str()).collect();
    assert!(kinds.contains(&"channel.paused") && kinds.contains(&"channel.resumed"), "{kinds:?}");
    refused(api.request(reqwest::Method::POST, "/channels/none/pause"), 404, "not_found").await;
}

/// COMPLAINTS O7, O4: only what an account's owner can heal is called so; a broken network is not.
#[tokio::test]
async fn only_a_refused_account_needs_a_human() {
    type Make = fn() -> DeliverError;
    let cases: [(Make, &str); 3] = [
        (|| DeliverError::Account("535 wrong password".into()), "needs_human"),
        (|| DeliverError::Offline("connection refused".into()), "backing_off"),
        (|| DeliverError::Offline("the name is not known".into()), "backing_off"),
    ];
    for (make, wanted) in cases {
        let service = Service::new(Duration::ZERO, move || Err(make()));
        let app = App::running(None, MAIL, service.behind()).await;
        let ticket = arrive(&app, letter(1)).await;
        queue(&app, ticket, "answer").await;
        let api = app.api(Role::ReadOnly);
        let shown = async || api.get("/channels/mail").await;
        wait_until(wanted, LIMIT, async || shown().await["state"] == wanted).await;
        let shown = shown().await;
        let said = make();
        let cause = std::error::Error::source(&said).unwrap().to_string();
        assert!(shown["last_error"].as_str().unwrap().contains(&cause), "{shown}");
        assert!(shown["last_error_at"].is_string(), "{shown}");
        let advice = shown["advice"].as_str().unwrap();
        assert_eq!(
            advice.contains("tributary channel login mail"),
            wanted == "needs_human",
            "{advice}"
        );
        assert_eq!(shown["counters"]["queued"], 1, "what is queued waits: {shown}");
        let troubled = async || {
            let events = app.store.events_after(0, 1000).await.unwrap();
            events.into_iter().find(|event| event.kind == "channel.troubled")
        };
        if wanted == "needs_human" {
            wait_until("it is told", LIMIT, async || troubled().await.is_some()).await;
            assert_eq!(troubled().await.unwrap().data["cause"], cause);
        } else {
            assert!(troubled().await.is_none(), "a broken line heals by itself");
        }
        let healed = Arc::clone(&service);
        if wanted == "backing_off" {
            healed.answers(|| Ok(()));
            wait_until("it heals", LIMIT, async || healed.texts() == ["answer"]).await;
            wait_until("it says so", LIMIT, async || {
                let shown = api.get("/channels/mail").await;
                shown["state"] == "running" && shown["advice"].is_null()
            })
            .await;
        }
        app.engine.stop().await;
    }
}

#[tokio::test]
async fn a_channel_tells_what_it_can_and_what_waits_there() {
    let app = App::start(MAIL).await;
    let ticket = app.receive("mail", letter(1)).await.ticket;
    queue(&app, ticket, "one").await;
    queue(&app, ticket, "two").await;
    app.take("mail", letter(2)).await;
    let api = app.api(Role::ReadOnly);
    let list = api.get("/channels").await;
    assert_eq!(texts(list["items"].as_array().unwrap(), "name"), ["mail"]);
    let shown = &list["items"][0];
    assert_eq!(shown["kind"], "email");
    assert_eq!(shown["addresses"][0], "support@example.com");
    let can = &shown["capabilities"];
    assert_eq!(
        (&can["sends"], &can["html"], &can["receipts"]),
        (&true.into(), &true.into(), &"failures".into())
    );
    let counters = &shown["counters"];
    assert_eq!(
        (&counters["received_24h"], &counters["sent_24h"]),
        (&1.into(), &2.into()),
        "{counters}"
    );
    assert_eq!((&counters["queued"], &counters["unread"]), (&2.into(), &1.into()), "{counters}");
    assert!(
        counters["queued_since"].is_string() && counters["unread_since"].is_string(),
        "{counters}"
    );
    assert_eq!((&counters["failed"], &counters["quarantined"]), (&0.into(), &0.into()));
    assert_eq!(api.get("/channels/mail").await["name"], "mail");
    refused(api.request(reqwest::Method::GET, "/channels/none"), 404, "not_found").await;
    refused(api.request(reqwest::Method::GET, "/channels/No%20Name"), 404, "not_found").await;
}
