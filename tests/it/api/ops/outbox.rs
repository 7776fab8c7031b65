//! `/outbox`: what people may do with a delivery in which state.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tributary::channel::DeliverError;
use tributary::model::{DeliveryStatus, Role};

use super::{LIMIT, MAIL, Service, arrive, letter, queue, sql, texts};
use crate::api::{refused, send};
use crate::support::app::App;
use crate::support::wait_until;

/// From every state, what each wish leads to; nothing: it is refused, and the row stays as it is.
const TABLE: &[(&str, [Option<&str>; 4])] = &[
    // retry, cancel, hold, release
    ("queued", [Some("queued"), Some("cancelled"), Some("held"), None]),
    ("sending", [None, None, None, None]),
    ("sent", [None, None, None, None]),
    ("delivered", [None, None, None, None]),
    ("read", [None, None, None, None]),
    ("unconfirmed", [Some("queued"), Some("cancelled"), None, None]),
    ("failed", [Some("queued"), Some("cancelled"), None, None]),
    ("bounced", [Some("queued"), None, None, None]),
    ("held", [None, Some("cancelled"), None, Some("queued")]),
    ("cancelled", [Some("queued"), None, None, None]),
];

/// COMPLAINTS A1
#[tokio::test]
async fn each_wish_is_granted_or_refused_by_the_state() {
    let app = App::start(MAIL).await;
    let ticket = app.receive("mail", letter(1)).await.ticket;
    queue(&app, ticket, "answer").await;
    let api = app.api(Role::Agent);
    let id = api.all("/outbox").await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(TABLE.len(), DeliveryStatus::ALL.len(), "a state is missing in the table");
    for (from, wishes) in TABLE {
        for (wish, wanted) in ["retry", "cancel", "hold", "release"].iter().zip(wishes) {
            sql(&app, &format!("UPDATE delivery SET state = '{from}', not_before = 1")).await;
            let request = api.request(Method::POST, &format!("/outbox/{id}/{wish}"));
            match wanted {
                Some(wanted) => {
                    let (status, _, row) = send(request).await;
                    assert_eq!(
                        (status.as_u16(), row["status"].as_str()),
                        (200, Some(*wanted)),
                        "{from} {wish}"
                    );
                }
                None => {
                    let said = refused(request, 409, "refused").await;
                    assert!(said.contains(from), "{from} {wish}: {said}");
                }
            }
            let now = api.get(&format!("/outbox/{id}")).await;
            assert_eq!(now["status"], wanted.unwrap_or(from), "{from} {wish}");
        }
    }
    let nobody = "019aaaaa-0000-7000-8000-000000000000";
    refused(api.request(Method::POST, &format!("/outbox/{nobody}/retry")), 404, "not_found").await;
    refused(api.request(Method::POST, "/outbox/x/retry"), 404, "not_found").await;
}

#[tokio::test]
async fn the_list_shows_what_waits_and_can_be_narrowed() {
    let app = App::start(MAIL).await;
    let mut tickets = Vec::new();
    for number in 0..5 {
        let ticket = app.receive("mail", letter(number)).await.ticket;
        tickets.push(ticket);
        queue(&app, ticket, "answer").await;
    }
    let api = app.api(Role::ReadOnly);
    let all = api.all("/outbox").await;
    let order = texts(&all, "ticket_id");
    assert_eq!(order, tickets.iter().map(ToString::to_string).collect::<Vec<_>>(), "as queued");
    assert_eq!(
        (&all[0]["to"], &all[0]["status"]),
        (&"ann0@customer.example".into(), &"queued".into())
    );
    let first = api.get("/outbox?limit=2").await;
    let next = first["next_cursor"].as_str().unwrap();
    let second = api.get(&format!("/outbox?limit=2&cursor={next}")).await;
    assert_eq!(second["items"][0]["id"], all[2]["id"]);
    sql(
        &app,
        &format!("UPDATE delivery SET state = 'sent' WHERE ticket = x'{}'", tickets[0].simple()),
    )
    .await;
    assert_eq!(api.all("/outbox").await.len(), 4, "what was sent needs nobody");
    assert_eq!(api.all("/outbox?status=sent,held").await.len(), 1);
    assert_eq!(api.all(&format!("/outbox?ticket={}", tickets[1])).await.len(), 1);
    assert_eq!(api.all("/outbox?channel=other").await.len(), 0);
    for bad in ["/outbox?status=lost", "/outbox?channel=No!", "/outbox?limit=0", "/outbox?x=1"] {
        refused(api.request(Method::GET, bad), 400, "bad_query").await;
    }
}

/// COMPLAINTS A2: once the service is back, one call sends everything that failed, in order and once.
#[tokio::test]
async fn all_that_failed_is_sent_in_order_when_the_service_is_back() {
    let service =
        Service::new(Duration::ZERO, || Err(DeliverError::Rejected("550 no such domain".into())));
    let app = App::running(None, MAIL, service.behind()).await;
    let mut wanted = Vec::new();
    for number in 0..12 {
        let ticket = arrive(&app, letter(number)).await;
        queue(&app, ticket, &format!("answer {number}")).await;
        wanted.push(format!("answer {number}"));
    }
    let api = app.api(Role::Agent);
    wait_until("all failed", LIMIT, async || api.all("/outbox?status=failed").await.len() == 12)
        .await;
    let failed = api.all("/outbox?status=failed").await;
    assert!(failed[0]["error"].as_str().unwrap().contains("550 no such domain"), "{}", failed[0]);
    service.answers(|| Ok(()));
    let other = api.request(Method::POST, "/outbox/retry").json(&json!({ "channel": "other" }));
    assert_eq!(send(other).await.2["retried"], 0);
    let all = api.request(Method::POST, "/outbox/retry").json(&json!({ "channel": "mail" }));
    assert_eq!(send(all).await.2["retried"], 12);
    wait_until("all sent", LIMIT, async || service.texts().len() == 12).await;
    assert_eq!(service.texts(), wanted, "in the order of queueing");
    wait_until("noted", LIMIT, async || api.all("/outbox").await.is_empty()).await;
    let again = api.request(Method::POST, "/outbox/retry").json(&json!({}));
    assert_eq!(send(again).await.2["retried"], 0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(service.texts().len(), 12, "nothing twice");
    app.engine.stop().await;
}

#[tokio::test]
async fn a_held_delivery_goes_out_when_it_is_released_and_not_before() {
    let service = Service::new(Duration::ZERO, || Ok(()));
    let app = App::running(None, MAIL, service.behind()).await;
    let api = app.api(Role::Admin);
    api.post("/channels/mail/pause", &json!({}), "").await.unwrap();
    let ticket = arrive(&app, letter(1)).await;
    queue(&app, ticket, "held").await;
    let id = api.all("/outbox").await[0]["id"].as_str().unwrap().to_owned();
    api.post(&format!("/outbox/{id}/hold"), &json!({}), "").await.unwrap();
    api.post("/channels/mail/resume", &json!({}), "").await.unwrap();
    let other = arrive(&app, letter(2)).await;
    queue(&app, other, "free").await;
    wait_until("the free one", LIMIT, async || service.texts() == ["free"]).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(service.texts(), ["free"]);
    api.post(&format!("/outbox/{id}/release"), &json!({}), "").await.unwrap();
    wait_until("the held one", LIMIT, async || service.texts() == ["free", "held"]).await;
    app.engine.stop().await;
}
