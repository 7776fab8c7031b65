//! Files that go out: Twilio fetches them from us, and nobody else does.

use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use tributary::engine::ReplyRequest;
use tributary::model::{DeliveryStatus, Role};
use tributary::store::{Answer, NewUpload, OutboxFilter, OutboxRow};
use uuid::Uuid;

use super::{ANN, channel, passing};
use crate::support::app::App;
use crate::support::daemon::client;
use crate::support::receiver::Does;
use crate::support::rig::{PATIENCE, build, clock, reply_request};
use crate::support::twilio::{Act, Message, NUMBER, TOKEN, Twilio, push_to, signed};
use crate::support::wait_until;

const WHATSAPP: &str = "whatsapp:+15005550006";

/// The program with its HTTP server, and the ticket of somebody who has written.
async fn start(number: &str, more: &str) -> (App, Twilio, Uuid) {
    let service = Twilio::start();
    let settings = format!("[channels.sms]\n{}{more}\n", service.settings(number));
    let app = App::running(None, &settings, |channel| channel).await;
    let from = if number == WHATSAPP { format!("whatsapp:{ANN}") } else { ANN.to_owned() };
    let message = service.write(&from, number, "may I see it?");
    let push = push_to(&app.base, &service.fields(&message));
    assert_eq!(app.engine.take_hook(&channel(), push).await.status(), 200);
    let asked = app.api(Role::Agent).wait_message(PATIENCE, |one| one["direction"] == "in").await;
    (app, service, asked["ticket_id"].as_str().unwrap().parse().unwrap())
}

/// An agent answers with files: name, type and content of each.
async fn answer(app: &App, ticket: Uuid, text: &str, files: &[(&str, &str, &str)]) {
    let mut uploads = Vec::new();
    for (name, kind, content) in files {
        let bytes = (*content).to_owned().into_bytes();
        let size = bytes.len() as u64;
        let (name, media_type) = ((*name).to_owned(), (*kind).to_owned());
        let new = NewUpload { name, media_type, bytes: bytes.into() };
        let kept = app.store.keep_upload(new, None, clock().now()).await.unwrap();
        let Answer::Fresh(kept) = kept else { panic!("without a key it is fresh") };
        uploads.push((kept.id, size));
    }
    app.engine.reply(ReplyRequest { uploads, ..reply_request(ticket, text) }).await.unwrap();
}

/// Oldest first.
async fn outbox(app: &App) -> Vec<OutboxRow> {
    let status = DeliveryStatus::ALL.to_vec();
    let filter = OutboxFilter { status, limit: 100, ..OutboxFilter::default() };
    let mut rows = app.store.outbox(&filter).await.unwrap();
    rows.sort_by_key(|row| row.id);
    rows
}

/// Waits until all deliveries have this state.
async fn all_are(app: &App, state: DeliveryStatus) -> Vec<OutboxRow> {
    let there = async || {
        let rows = outbox(app).await;
        !rows.is_empty() && rows.iter().all(|row| row.status == state)
    };
    wait_until(state.as_str(), PATIENCE, there).await;
    outbox(app).await
}

fn addresses(sent: &Message) -> Vec<String> {
    let urls = sent.fields.iter().filter(|(name, _)| name == "MediaUrl");
    urls.map(|(_, url)| url.clone()).collect()
}

async fn get(url: &str) -> Response {
    client().get(url).send().await.unwrap()
}

/// What is answered where nothing is, but for the name of the request.
async fn nothing_at(url: &str) -> (StatusCode, String) {
    let answer = get(url).await;
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn sms_files_go_out_as_mms_and_twilio_alone_gets_them() {
    let (app, service, ticket) = start(NUMBER, "files = true").await;
    let can = app.api(Role::ReadOnly).get("/channels/sms").await["capabilities"].take();
    assert_eq!((&can["media_count_max"], &can["media_bytes_max"]), (&json!(10), &json!(5 << 20)));
    let files = [
        ("合同 1.pdf", "application/pdf", "%PDF the contract"),
        ("a.png", "image/png", "a picture"),
    ];
    answer(&app, ticket, "here it is", &files).await;
    let row = all_are(&app, DeliveryStatus::Sent).await.remove(0);
    let sent = service.sent().remove(0);
    assert_eq!((sent.field("Body"), sent.sid.get(..2)), (Some("here it is"), Some("MM")));
    let got: Vec<(&str, &str)> =
        sent.files.iter().map(|(_, kind, content)| (kind.as_str(), content.as_str())).collect();
    assert_eq!(got, [("application/pdf", "%PDF the contract"), ("image/png", "a picture")]);
    // It is there for whoever has the address, and a browser does nothing with it.
    let [first, second] = addresses(&sent).try_into().unwrap();
    let shown = get(&first).await;
    let header = |name: &str| shown.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "application/pdf");
    assert!(header("content-disposition").starts_with("attachment; filename="));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("cache-control"), "private, no-store");
    assert!(header("content-security-policy").starts_with("sandbox"));
    // Of any other address there is nothing to learn.
    let (id, other) = (row.id.to_string().replace('-', ""), Uuid::now_v7().simple().to_string());
    let nothing = nothing_at(&first.replace(&id, &other)).await;
    assert_eq!(nothing.0, StatusCode::NOT_FOUND);
    for wrong in [
        first.replace(&format!("{id}.0."), &format!("{id}.1.")),
        first.replace(&format!("{id}.0."), &format!("{id}.0.9")),
        format!("{}/files/x/a.png", app.base),
        format!("{}/files/%FF/a.png", app.base),
    ] {
        assert_eq!(nothing_at(&wrong).await, nothing, "{wrong}");
    }
    let posted = client().post(&first).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    // Once it has arrived nobody has to fetch it any more.
    assert_eq!(get(&second).await.status(), StatusCode::OK);
    let news = service.news_fields(&sent, "delivered", None);
    let callback = sent.field("StatusCallback").unwrap().split('#').next().unwrap().to_owned();
    app.engine.take_hook(&channel(), signed(&callback, TOKEN, &news)).await;
    all_are(&app, DeliveryStatus::Delivered).await;
    assert_eq!(nothing_at(&second).await, nothing);
    app.engine.stop().await;
}

/// Whoever is erased leaves no file behind, under no address.
#[tokio::test]
async fn sms_a_file_of_somebody_erased_is_gone() {
    let (app, service, ticket) = start(NUMBER, "files = true").await;
    answer(&app, ticket, "look", &[("a.png", "image/png", "a picture")]).await;
    all_are(&app, DeliveryStatus::Sent).await;
    let [address] = addresses(&service.sent()[0]).try_into().unwrap();
    assert_eq!(get(&address).await.status(), StatusCode::OK);
    let tickets = app.api(Role::Admin).tickets().await;
    let contact = format!("/contacts/{}", tickets[0]["contact"]["id"].as_str().unwrap());
    let erased = app.api(Role::Admin).request(Method::DELETE, &contact).send().await.unwrap();
    assert!(erased.status().is_success(), "{}", erased.text().await.unwrap());
    assert_eq!(get(&address).await.status(), StatusCode::NOT_FOUND);
    app.engine.stop().await;
}

/// What the network does not carry is not sent, and the agent is told why; what Twilio could not fetch, too.
#[tokio::test]
async fn sms_a_file_that_cannot_go_says_why() {
    let (app, service, ticket) = start(NUMBER, "files = true").await;
    answer(&app, ticket, "", &[("a.zip", "application/zip", "PK")]).await;
    let row = all_are(&app, DeliveryStatus::Failed).await.remove(0);
    assert!(row.error.unwrap().contains("MMS takes no files of the type application/zip"));
    assert!(service.sent().is_empty());
    app.engine.stop().await;
    // The world does not reach us.
    let (app, service, ticket) = start(NUMBER, "files = true").await;
    service.state().cut_off = true;
    answer(&app, ticket, "look", &[("a.png", "image/png", "a picture")]).await;
    let row = all_are(&app, DeliveryStatus::Bounced).await.remove(0);
    assert!(row.error.unwrap().contains("http.public_url"));
    app.engine.stop().await;
}

/// On WhatsApp each file is a message of its own. Where an answer got lost, the files tell which one it was.
#[tokio::test]
async fn sms_by_whatsapp_each_file_goes_once_though_the_answer_got_lost() {
    let (app, service, ticket) = start(WHATSAPP, "").await;
    // That of the second file is lost.
    let mut calls = 0;
    service.on_send(move |_| {
        calls += 1;
        match calls {
            3 => Act::TakeThen(Does::Close),
            _ => Act::Take,
        }
    });
    let files = ["one", "two", "three"].map(|content| ("a.jpg", "image/jpeg", content));
    answer(&app, ticket, "all of them", &files).await;
    let rows = all_are(&app, DeliveryStatus::Sent).await;
    assert_eq!(rows.len(), 4, "the words, and each file");
    let sent = service.sent();
    assert_eq!(sent[0].body, "all of them");
    let contents: Vec<&str> = sent[1..].iter().map(|one| one.files[0].2.as_str()).collect();
    assert_eq!(contents, ["one", "two", "three"], "each once, in order");
    let mut names: Vec<_> = rows.into_iter().map(|row| row.external_id.unwrap()).collect();
    names.sort();
    let mut sids: Vec<_> = sent.into_iter().map(|one| one.sid).collect();
    sids.sort();
    assert_eq!(names, sids, "each found its own");
    app.engine.stop().await;
}

/// Twilio fetches a file when the message's turn comes: until then nobody can tell whether it is ours, and it is not
/// sent again.
#[tokio::test]
async fn sms_a_file_that_is_fetched_late_goes_once_though_the_answer_got_lost() {
    let (app, service, ticket) = start(WHATSAPP, "").await;
    service.state().busy = true;
    let mut once = Some(Does::Close);
    service.on_send(move |_| once.take().map_or(Act::Take, Act::TakeThen));
    answer(&app, ticket, "", &[("a.jpg", "image/jpeg", "one")]).await;
    let waits = async || {
        let rows = outbox(&app).await;
        rows.iter().any(|row| {
            let error = row.error.as_deref().unwrap_or_default();
            row.status == DeliveryStatus::Queued && error.contains("not fetched its files")
        })
    };
    passing("another look at it", waits).await;
    assert_eq!(service.sent().len(), 1);
    service.state().busy = false;
    passing("it to be found", async || outbox(&app).await[0].status == DeliveryStatus::Sent).await;
    let [sent] = service.sent().try_into().unwrap();
    assert_eq!(outbox(&app).await[0].external_id.as_ref(), Some(&sent.sid));
    assert_eq!(sent.files[0].2, "one");
    app.engine.stop().await;
}

/// Without a public address, and by numbers that send no MMS, no files go: the API and the console know.
#[test]
fn sms_a_channel_that_can_send_no_files_says_so() {
    let of = |number: &str, more: &str| {
        let api = "api_url = \"https://api.twilio.com\"";
        let settings = format!(
            "kind = \"sms\"\naccount_sid = \"AC00000000000000000000000000000001\"\n\
             auth_token = \"{TOKEN}\"\nnumber = \"{number}\"\n{api}\n{more}"
        );
        build("sms", &settings).capabilities.media.count_max
    };
    assert_eq!(of(NUMBER, ""), 0, "most numbers send no MMS");
    assert_eq!(of(NUMBER, "files = true"), 10);
    assert_eq!(of(WHATSAPP, ""), 10);
    assert_eq!(of(WHATSAPP, "files = false"), 0);
    assert_eq!(of(WHATSAPP, "webhook = false"), 0, "Twilio does not reach us");
}
