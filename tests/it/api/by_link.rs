//! «Did this help?» and surveys answered by the link in a mail, on both databases.

use std::collections::BTreeMap;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tributary::channel::shared::sign::{SignedLinks, Signer};
use tributary::desk::faq::AnswerPolicy;
use tributary::desk::{Advice, Safety};
use tributary::model::Role;

use super::answers::{asks, on_both, says, sent, stands, ticket};
use super::{CHANNELS, done};
use crate::support::answers::{FEES, answering, circle, surveying, triage};
use crate::support::app::App;
use crate::support::daemon::{Api, client};

const BASE: &str = "https://help.desk.test";

async fn start(postgres: bool) -> (App, Api) {
    let app = App::start_either(postgres, CHANNELS).await;
    let survey = surveying(0);
    app.engine.change_triage(Arc::new(triage(|settings| settings.survey = survey)));
    let signer = Signer::new(vec![[7; 32]]);
    app.store.link_answers(Arc::new(SignedLinks { base: BASE.to_owned(), signer }));
    let api = app.api(Role::Admin);
    (app, api)
}

/// The link in what goes out last; what people see of it in the ticket has none.
async fn link(app: &App, api: &Api, ticket: &str) -> String {
    let now = app.engine.clock.now();
    let due = app.store.due_deliveries(&"mail".parse().unwrap(), 10, now).await.unwrap();
    let mut texts = due.into_iter().map(|due| due.delivery.outbound.text);
    let last = texts.rfind(|text| text.contains(BASE)).expect("no link goes out");
    let (_, rest) = last.split_once(BASE).unwrap();
    for message in api.ticket_messages(ticket).await {
        assert!(!message["text"].as_str().unwrap().contains("/say/"), "{message}");
    }
    rest.split_whitespace().next().unwrap().to_owned()
}

/// A question that a known answer surely fits.
async fn fees(app: &App) -> String {
    app.engine.change_known_answers(Arc::new(answering(true)));
    asks(app, "ann", FEES).await
}

async fn get(app: &App, path: &str) -> (u16, String) {
    let answer = client().get(format!("{}{path}", app.base)).send().await.unwrap();
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!answer.headers().contains_key("set-cookie"));
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn post(app: &App, path: &str, form: &[(&str, &str)]) -> (u16, String) {
    let request = client().post(format!("{}{path}", app.base)).form(form);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn outcomes(api: &Api) -> Value {
    let page = api.get("/faq").await;
    let shown = page["items"].as_array().unwrap().iter().find(|item| item["shown"] != 0).unwrap();
    json!([shown["shown"], shown["helped"], shown["escalated"]])
}

async fn kinds(api: &Api, id: &str) -> Vec<String> {
    let events = api.all(&format!("/tickets/{id}/events")).await;
    events.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}

async fn a_link_that_is_only_looked_at_says_nothing_and_a_button_counts_once(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = fees(&app).await;
    let path = link(&app, &api, &id).await;
    for _ in 0..3 {
        let (status, page) = get(&app, &path).await;
        assert_eq!(status, 200);
        assert!(page.contains("Did this help?") && page.contains("Yes, thanks"), "{page}");
        assert!(!page.contains("<script"), "{page}");
    }
    assert_eq!(stands(&ticket(&api, &id).await).0, "pending");
    assert_eq!(outcomes(&api).await, json!([1, 0, 0]));
    assert_eq!(post(&app, &path, &[]).await.0, 422);
    for _ in 0..2 {
        let (status, page) = post(&app, &path, &[("said", "yes")]).await;
        assert!(status == 200 && page.contains("✓ Yes, thanks"), "{page}");
    }
    assert_eq!(stands(&ticket(&api, &id).await).0, "solved");
    assert_eq!(outcomes(&api).await, json!([1, 1, 0]));
    let helped = kinds(&api, &id).await.into_iter().filter(|kind| kind == "faq.helped");
    assert_eq!(helped.count(), 1);
}

async fn whoever_thinks_again_gets_a_person_and_a_person_ends_the_link(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = fees(&app).await;
    let path = link(&app, &api, &id).await;
    post(&app, &path, &[("said", "yes")]).await;
    let (_, page) = post(&app, &path, &[("said", "no")]).await;
    assert!(page.contains("A person will come."), "{page}");
    let (status, tags) = {
        let one = ticket(&api, &id).await;
        (one["status"].clone(), one["tags"].to_string())
    };
    assert!(status == "open" && tags.contains("faq_escalated"), "{tags}");
    // Said again, it holds.
    let (_, page) = post(&app, &path, &[("said", "no")]).await;
    assert!(page.contains("A person will come."), "{page}");
    // Once one has answered, the link is over.
    api.reply(&id, "Hello", "k").await;
    let (_, page) = post(&app, &path, &[("said", "yes")]).await;
    assert!(!page.contains("Yes, thanks"), "nothing was noted: {page}");
    assert_eq!(stands(&ticket(&api, &id).await).0, "open");
}

/// Nothing is sent: they read it where they are.
async fn a_follow_up_is_read_on_the_page_and_asked_about_there(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = fees(&app).await;
    let path = link(&app, &api, &id).await;
    let (_, page) = get(&app, &path).await;
    let button =
        "name=\"next\" value=\"transaction-pending\">A transfer that is pending or failed<";
    assert!(page.contains(button) && !page.contains("<h2>"), "{page}");
    for wrong in ["safety", "fees", "no-such-article", ""] {
        let (status, page) = post(&app, &path, &[("next", wrong)]).await;
        assert!(status == 200 && page.contains(button), "{wrong}: {page}");
    }
    assert_eq!(outcomes(&api).await, json!([1, 0, 0]));
    // Twice: somebody was impatient.
    for _ in 0..2 {
        let (status, page) = post(&app, &path, &[("next", "transaction-pending")]).await;
        assert!(status == 200 && page.contains("<h1>A transfer that is pending"), "{page}");
        assert!(page.contains("<h2>Did this help?</h2>") && !page.contains(button), "{page}");
    }
    let (_, page) = get(&app, &path).await;
    assert!(page.contains("<h1>A transfer that is pending") && page.contains("Yes, thanks"));
    let waits = ticket(&api, &id).await;
    assert_eq!(stands(&waits).0, "pending");
    assert!(waits["snoozed_until"].is_string());
    let told = api.ticket_messages(&id).await;
    assert_eq!(told.len(), 2, "a page sends nothing: {told:#?}");
    post(&app, &path, &[("said", "yes")]).await;
    assert_eq!(stands(&ticket(&api, &id).await).0, "solved");
    let all = api.get("/faq").await;
    let of = |name: &str| {
        let found = all["items"].as_array().unwrap().iter().find(|one| one["article"] == name);
        ["shown", "followed", "helped"].map(|key| found.unwrap()[key].as_u64().unwrap())
    };
    assert_eq!(of("fees"), [1, 1, 0]);
    assert_eq!(of("transaction-pending"), [1, 0, 1]);
    // A digit in a mail answers what they were asked last.
    assert_eq!(kinds(&api, &id).await.iter().filter(|kind| *kind == "faq.answered").count(), 2);
}

/// The channel sends so many in an hour.
fn per_hour(most: u32) -> Arc<tributary::desk::faq::Matcher> {
    let circle = circle(|text| text);
    let policy = AnswerPolicy { per_hour_max: most, ..circle.policy().clone() };
    Arc::new(circle.answering(policy))
}

/// The page shows buttons, so a digit is of what stands in the mail.
async fn a_digit_in_a_mail_is_of_the_mail_whatever_was_read_on_the_page(postgres: bool) {
    let (app, api) = start(postgres).await;
    app.engine.change_known_answers(per_hour(60));
    let id = asks(&app, "ann", FEES).await;
    let told = sent(&api, &id).await;
    assert!(told[0].contains("\n4 = About three\n"), "{told:?}");
    let path = link(&app, &api, &id).await;
    let (_, page) = post(&app, &path, &[("next", "two")]).await;
    assert!(page.contains("This is two."), "{page}");
    says(&app, "ann", 2, "4").await;
    let told = sent(&api, &id).await;
    assert!(told.len() == 2 && told[1].starts_with("This is three."), "{told:?}");
    assert!(told[1].contains("\n3 = About four\n"), "{told:?}");
    // From now on it is of the newer mail; and what the page offered can still be said.
    says(&app, "ann", 3, "3").await;
    let told = sent(&api, &id).await;
    assert!(told.len() == 3 && told[2].starts_with("This is four."), "{told:?}");
    says(&app, "ann", 4, "about six").await;
    let told = sent(&api, &id).await;
    assert!(told.len() == 4 && told[3].starts_with("This is six."), "{told:?}");
}

/// Pressing sends nothing, so it takes nothing of what the channel may send, and needs nothing of it.
async fn what_is_read_on_a_page_does_not_count_as_sent(postgres: bool) {
    let (app, api) = start(postgres).await;
    app.engine.change_known_answers(per_hour(2));
    let id = asks(&app, "ann", FEES).await;
    let path = link(&app, &api, &id).await;
    for next in ["two", "three"] {
        let (_, page) = post(&app, &path, &[("next", next)]).await;
        assert!(page.contains(&format!("This is {next}.")), "{page}");
    }
    let second = asks(&app, "bo", FEES).await;
    assert_eq!(sent(&api, &second).await.len(), 1, "one of two was sent");
    let third = asks(&app, "cy", FEES).await;
    assert_eq!(sent(&api, &third).await.len(), 0, "now both were");
    let (_, page) = post(&app, &path, &[("next", "four")]).await;
    assert!(page.contains("This is four."), "{page}");
    // Who read one within the hour gets no other by itself.
    app.engine.change_known_answers(per_hour(60));
    let again = super::answers::mail("ann@customer.example", "ann-9@test", None, FEES);
    let again = app.receive("mail", again).await.ticket.to_string();
    assert_ne!(again, id);
    assert_eq!(sent(&api, &again).await.len(), 0);
    // And what was read has arrived, whatever becomes of the mail.
    for reply in api.all("/outbox").await {
        let path = format!("/outbox/{}/cancel", reply["id"].as_str().unwrap());
        assert!(api.post(&path, &Value::Null, "").await.unwrap().status.is_success());
    }
    assert_eq!(app.store.tend_answers(app.engine.clock.now()).await.unwrap(), 1, "bo's");
    assert_eq!(stands(&ticket(&api, &id).await).0, "pending");
}

/// No button is shown of which nothing would come, and no article that the admin took back.
async fn what_was_taken_back_is_not_on_the_page(postgres: bool) {
    let (app, api) = start(postgres).await;
    app.engine.change_known_answers(per_hour(60));
    let id = asks(&app, "ann", FEES).await;
    let path = link(&app, &api, &id).await;
    let without = |name: &'static str, front: &'static str| {
        Arc::new(circle(move |text| {
            let it = text.contains(&format!("# en: About {name}"));
            if it { text.replacen("+++\n", &format!("+++\n{front}\n"), 1) } else { text }
        }))
    };
    for front in ["auto = false", "channels = [\"silent\"]"] {
        app.engine.change_known_answers(without("two", front));
        let (_, page) = get(&app, &path).await;
        assert!(!page.contains("About two") && page.contains("About three"), "{page}");
        let (_, page) = post(&app, &path, &[("next", "two")]).await;
        assert!(!page.contains("This is two.") && page.contains("About three"), "{page}");
    }
    app.engine.change_known_answers(per_hour(60));
    let (_, page) = post(&app, &path, &[("next", "two")]).await;
    assert!(page.contains("This is two.") && page.contains("About three"), "{page}");
    app.engine.change_known_answers(without("two", "auto = false"));
    let (_, page) = get(&app, &path).await;
    assert!(!page.contains("This is two.") && page.contains("Did this help?"), "{page}");
    // The folder holds other articles now: none of them is left.
    app.engine.change_known_answers(Arc::new(answering(true)));
    let (_, page) = get(&app, &path).await;
    assert!(!page.contains("About") && page.contains("Yes, thanks"), "{page}");
}

/// A page that was loaded before it helped, or before the ticket became urgent.
async fn an_old_page_leads_nowhere(postgres: bool) {
    let (app, api) = start(postgres).await;
    app.engine.change_known_answers(per_hour(60));
    let id = asks(&app, "ann", FEES).await;
    let path = link(&app, &api, &id).await;
    post(&app, &path, &[("said", "yes")]).await;
    let (_, page) = post(&app, &path, &[("next", "two")]).await;
    assert!(!page.contains("This is two.") && !page.contains("<form"), "{page}");
    assert_eq!(stands(&ticket(&api, &id).await).0, "solved");
    let urgent = asks(&app, "bo", FEES).await;
    let path = link(&app, &api, &urgent).await;
    let version = ticket(&api, &urgent).await["version"].clone();
    let body = json!({ "priority": "urgent" });
    let changed = api.patch(&format!("/tickets/{urgent}"), &version, &body).await;
    assert!(changed.status.is_success(), "{}", changed.body);
    for page in [get(&app, &path).await.1, post(&app, &path, &[("next", "two")]).await.1] {
        assert!(!page.contains("This is two.") && !page.contains("About"), "{page}");
        assert!(page.contains("No, a person"), "{page}");
    }
    for ticket in [id, urgent] {
        let told = kinds(&api, &ticket).await;
        assert_eq!(told.iter().filter(|kind| *kind == "faq.answered").count(), 1, "{told:?}");
    }
}

/// A page that was loaded before a person answered.
async fn a_button_that_comes_too_late_promises_nothing(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = fees(&app).await;
    let path = link(&app, &api, &id).await;
    api.reply(&id, "Hello", "k").await;
    let before = ticket(&api, &id).await;
    for said in ["no", "yes"] {
        let (status, page) = post(&app, &path, &[("said", said)]).await;
        assert_eq!(status, 200);
        for promise in ["A person will come.", "Yes, thanks", "No, a person", "<form"] {
            assert!(!page.contains(promise), "{said}: {page}");
        }
    }
    assert_eq!(ticket(&api, &id).await["version"], before["version"]);
}

async fn a_survey_is_answered_by_link_with_a_remark(postgres: bool) {
    let (app, api) = start(postgres).await;
    let advice = |wallet: &str| Advice { wallet: wallet.to_owned(), other: String::new() };
    let answers = BTreeMap::from([
        ("en".to_owned(), advice("{number}: move your funds")),
        ("zh".to_owned(), advice("工单 {number}：请立即转移资产")),
    ]);
    app.store.guard(Safety { answers, ..Safety::default() });
    let id = asks(&app, "bo", "转账什么时候到？").await;
    let path = surveyed(&app, &api, &id).await;
    let (status, page) = get(&app, &path).await;
    assert!(status == 200 && page.contains("工单 1 满意吗？") && page.contains("★★★★★"), "{page}");
    assert_eq!(ticket(&api, &id).await["rating"], Value::Null);
    let (status, page) = post(&app, &path, &[("score", "2")]).await;
    assert!(status == 200 && page.contains("✓ ★★") && page.contains("<textarea"), "{page}");
    post(&app, &path, &[("score", "2")]).await;
    let now = ticket(&api, &id).await;
    assert_eq!((&now["rating"], &now["status"]), (&json!(2), &json!("solved")));
    let secret = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
    let (_, page) = post(&app, &path, &[("remark", &format!("没有人回复 <b> {secret}"))]).await;
    assert!(!page.contains("<textarea") && !page.contains("acoustic"), "{page}");
    assert!(page.contains("工单 1：请立即转移资产"), "nobody tells them: {page}");
    assert!(!get(&app, &path).await.1.contains("请立即转移资产"), "to whom wrote it");
    let now = ticket(&api, &id).await;
    assert_eq!(now["rating_comment"], "没有人回复 <b> [seed phrase removed]");
    assert_eq!(stands(&now), ("open", vec!["feedback_speed", "rated_low"]));
    assert_eq!(now["rating_topics"], json!(["speed"]));
    // Said again, it is no news.
    post(&app, &path, &[("remark", &format!("没有人回复 <b> {secret}"))]).await;
    let rated = kinds(&api, &id).await.into_iter().filter(|kind| kind == "ticket.rated");
    assert_eq!(rated.count(), 2, "a score, and a remark");
    let ratings = api.get("/stats").await["ratings"].clone();
    assert_eq!(ratings["by_topic"]["speed"]["mean"], json!(2.0), "{ratings:#}");
    let ratings = ratings["total"].clone();
    assert_eq!((&ratings["count"], &ratings["each"]), (&json!(1), &json!([0, 1, 0, 0, 0])));
    think_better(&app, &api, &path, &id).await;
}

/// The remark stays, and they are unhappy no longer.
async fn think_better(app: &App, api: &Api, path: &str, id: &str) {
    post(app, path, &[("score", "5")]).await;
    let now = ticket(api, id).await;
    assert_eq!((&now["rating"], &now["rating_topics"]), (&json!(5), &json!(["speed"])));
    assert_eq!(stands(&now), ("open", vec!["feedback_speed"]));
}

/// Answers and solves a ticket. The link of the survey that goes out.
async fn surveyed(app: &App, api: &Api, id: &str) -> String {
    api.reply(id, "It is done.", "k").await;
    for reply in api.all("/outbox").await {
        let path = format!("/outbox/{}/cancel", reply["id"].as_str().unwrap());
        assert!(api.post(&path, &Value::Null, "").await.unwrap().status.is_success());
    }
    solved(app, api, id).await;
    link(app, api, id).await
}

async fn a_ticket_that_was_merged_since_is_judged_all_the_same(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = asks(&app, "cy", "Where is my receipt?").await;
    let path = surveyed(&app, &api, &id).await;
    let into = asks(&app, "di", "And where is mine?").await;
    let merge = api.request(Method::POST, &format!("/tickets/{id}/merge"));
    done(merge.json(&json!({ "into": into })), 200).await;
    let (status, page) = get(&app, &path).await;
    assert!(status == 200 && page.contains("★★★★★"), "{page}");
    post(&app, &path, &[("score", "2")]).await;
    let (_, page) = post(&app, &path, &[("remark", "nobody answered")]).await;
    assert!(page.contains("✓ ★★") && !page.contains("<textarea"), "{page}");
    let judged = ticket(&api, &id).await;
    assert_eq!(
        (&judged["rating"], &judged["rating_comment"]),
        (&json!(2), &json!("nobody answered"))
    );
    assert_eq!(judged["status"], "closed", "it stays where it went");
    assert_eq!(ticket(&api, &into).await["rating"], Value::Null);
}

async fn solved(app: &App, api: &Api, id: &str) {
    let version = ticket(api, id).await["version"].clone();
    let body = json!({ "status": "solved" });
    assert!(api.patch(&format!("/tickets/{id}"), &version, &body).await.status.is_success());
    app.engine.tend_surveys().await.unwrap();
}

async fn a_link_is_good_for_one_question_and_nobody_makes_one(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = fees(&app).await;
    let path = link(&app, &api, &id).await;
    let token = path.strip_prefix("/say/").unwrap();
    for bad in [("said", "maybe"), ("score", "0"), ("score", "6"), ("score", "x")] {
        assert_eq!(post(&app, &path, &[bad]).await.0, 422, "{bad:?}");
    }
    let (sort, rest) = token.split_at(1);
    assert_eq!(sort, "a");
    let mut forged = token.to_owned();
    forged.replace_range(token.len() - 1.., if token.ends_with('a') { "b" } else { "a" });
    for wrong in [format!("s{rest}"), forged, "a".to_owned(), "%00".to_owned()] {
        assert_eq!(get(&app, &format!("/say/{wrong}")).await.0, 404, "{wrong}");
        assert_eq!(post(&app, &format!("/say/{wrong}"), &[("said", "yes")]).await.0, 404);
    }
    // Deleted: there is nothing to ask about any more.
    let id = ticket(&api, &id).await["id"].as_str().unwrap().to_owned();
    let delete = api.request(Method::DELETE, &format!("/tickets/{id}"));
    assert!(api.send(delete).await.unwrap().status.is_success());
    assert_eq!(post(&app, &path, &[("said", "yes")]).await.0, 404);
}

on_both! {
    a_link_that_is_only_looked_at_says_nothing_and_a_button_counts_once
    whoever_thinks_again_gets_a_person_and_a_person_ends_the_link
    a_follow_up_is_read_on_the_page_and_asked_about_there
    a_digit_in_a_mail_is_of_the_mail_whatever_was_read_on_the_page
    what_is_read_on_a_page_does_not_count_as_sent
    what_was_taken_back_is_not_on_the_page
    an_old_page_leads_nowhere
    a_button_that_comes_too_late_promises_nothing
    a_survey_is_answered_by_link_with_a_remark
    a_ticket_that_was_merged_since_is_judged_all_the_same
    a_link_is_good_for_one_question_and_nobody_makes_one
}
