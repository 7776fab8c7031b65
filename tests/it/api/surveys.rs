//! Surveys after a ticket was solved, by mail, on both databases.

use std::sync::Arc;

use serde_json::{Value, json};
use tributary::desk::RuleSetting;
use tributary::model::Role;

use super::CHANNELS;
use super::answers::{asks, mail, on_both, says, sent, stands, ticket};
use crate::support::answers::{answering, surveying, triage};
use crate::support::app::App;
use crate::support::daemon::Api;

/// An office that asks at once, and who looks at it.
async fn start(postgres: bool) -> (App, Api) {
    let app = App::start_either(postgres, CHANNELS).await;
    app.engine.change_triage(Arc::new(triage(|settings| settings.survey = surveying(30))));
    let api = app.api(Role::Agent);
    (app, api)
}

/// The rules of the manual for feedback that nobody asked for.
fn manual() -> Vec<RuleSetting> {
    let manual = include_str!("../../../docs/SURVEYS.md");
    let (_, after) = manual.split_once("### Feedback without a survey").unwrap();
    let example = after.split("```").nth(1).unwrap().strip_prefix("toml").unwrap();
    let source = config::File::from_str(example, config::FileFormat::Toml);
    config::Config::builder().add_source(source).build().unwrap().get("rules").unwrap()
}

/// The ticket is answered and solved, and whoever is to be asked is asked.
async fn solve(app: &App, api: &Api, id: &str) {
    api.reply(id, "It is done.", &uuid::Uuid::new_v4().to_string()).await;
    status(api, id, "solved").await;
    app.engine.tend_surveys().await.unwrap();
}

async fn status(api: &Api, id: &str, status: &str) {
    let version = ticket(api, id).await["version"].clone();
    let body = json!({ "status": status });
    let answer = api.patch(&format!("/tickets/{id}"), &version, &body).await;
    assert!(answer.status.is_success(), "{}", answer.body);
}

async fn rating(api: &Api, id: &str) -> (Value, Value) {
    let ticket = ticket(api, id).await;
    (ticket["rating"].clone(), ticket["rating_comment"].clone())
}

async fn a_happy_customer_is_asked_once_and_thanked_once(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = asks(&app, "ann", "Where is my receipt?").await;
    solve(&app, &api, &id).await;
    app.engine.tend_surveys().await.unwrap();
    let told = sent(&api, &id).await;
    assert_eq!(told.len(), 2, "{told:?}");
    let stars = "1 = ★\n2 = ★★\n3 = ★★★\n4 = ★★★★\n5 = ★★★★★";
    assert!(told[1].starts_with("How was ticket 1?") && told[1].ends_with(stars), "{told:?}");
    says(&app, "ann", 2, "5").await;
    says(&app, "ann", 3, "5").await;
    assert_eq!(rating(&api, &id).await, (json!(5), Value::Null));
    says(&app, "ann", 4, "You are very kind").await;
    assert_eq!(rating(&api, &id).await, (json!(5), json!("You are very kind")));
    assert_eq!(stands(&ticket(&api, &id).await).0, "solved");
    assert_eq!(sent(&api, &id).await[2..], ["Tell us <more>.".to_owned()]);
    let events = api.all(&format!("/tickets/{id}/events")).await;
    let rated = events.iter().filter(|event| event["kind"] == "ticket.rated").count();
    assert_eq!(rated, 2, "a score, and a remark");
    // What is no judgement opens the ticket.
    says(&app, "ann", 5, "Where is the invoice then?").await;
    assert_eq!(stands(&ticket(&api, &id).await).0, "open");
}

async fn nobody_is_asked_twice_and_scores_are_counted(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = asks(&app, "ann", "Where is my receipt?").await;
    solve(&app, &api, &id).await;
    says(&app, "ann", 2, "5").await;
    // The same person is not asked again so soon.
    let other = mail("ann@customer.example", "ann-9@test", None, "And an invoice?");
    let other = app.receive("mail", other).await.ticket.to_string();
    solve(&app, &api, &other).await;
    assert_eq!(sent(&api, &other).await.len(), 1);
    let stats = api.get("/stats").await;
    assert_eq!(stats["by_language"]["en"]["tickets_created"], 2, "{stats:#}");
    let ratings = &stats["ratings"];
    assert_eq!(
        ratings["total"],
        json!({ "count": 1, "mean": 5.0, "each": [0, 0, 0, 0, 1], "topics": {} })
    );
    assert_eq!(ratings["by_channel"]["mail"]["count"], 1);
    assert_eq!(ratings["by_language"]["en"]["count"], 1);
    // The dashboard shows the same judgement.
    let board = api.get("/stats/board").await;
    let total = &board["total"];
    assert_eq!((&total["ratings"], &total["rating"]), (&json!(1), &json!(5.0)), "{board:#}");
}

async fn an_unhappy_customer_comes_back_to_people(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = asks(&app, "bo", "转账什么时候到？").await;
    solve(&app, &api, &id).await;
    assert!(sent(&api, &id).await[1].starts_with("工单 1 满意吗？"));
    says(&app, "bo", 2, "2，没有人回复我").await;
    assert_eq!(rating(&api, &id).await, (json!(2), json!("没有人回复我")));
    let tags = vec!["feedback_speed", "rated_low"];
    assert_eq!(stands(&ticket(&api, &id).await), ("open", tags));
    assert_eq!(api.get("/stats").await["ratings"]["by_tag"]["rated_low"]["count"], 1);
    // They think better of it, without a word: what they wrote stands, and they are unhappy no longer.
    says(&app, "bo", 3, "5").await;
    assert_eq!(rating(&api, &id).await, (json!(5), json!("没有人回复我")));
    assert_eq!(stands(&ticket(&api, &id).await).1, ["feedback_speed"]);
    // And with other words, these count.
    says(&app, "bo", 4, "1，应用闪退").await;
    assert_eq!(rating(&api, &id).await, (json!(1), json!("应用闪退")));
    let now = ticket(&api, &id).await;
    assert_eq!(now["rating_topics"], json!(["app"]));
    assert_eq!(stands(&now).1, ["feedback_app", "rated_low"]);
}

async fn late_scores_machines_and_the_unanswered_do_no_harm(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = asks(&app, "cy", "Where is my receipt?").await;
    solve(&app, &api, &id).await;
    status(&api, &id, "closed").await;
    says(&app, "cy", 2, "4").await;
    assert_eq!(rating(&api, &id).await.0, 4);
    assert_eq!(api.tickets().await.len(), 1, "a late score opens no ticket");
    says(&app, "cy", 3, "My coins are gone, please look").await;
    assert_eq!(api.tickets().await.len(), 2, "words do");
    // Nobody answered, or a machine wrote: nothing is asked.
    let silent = asks(&app, "di", "Spam spam").await;
    status(&api, &silent, "solved").await;
    let machine = mail("ed@customer.example", "ed-1@test", None, "I am away")
        .replace("MIME-Version", "Auto-Submitted: auto-replied\r\nMIME-Version");
    let machine = app.receive("mail", machine).await.ticket.to_string();
    solve(&app, &api, &machine).await;
    assert_eq!(sent(&api, &silent).await.len(), 0);
    assert_eq!(sent(&api, &machine).await.len(), 1);
}

/// Those of unhappy customers, too, whose tickets open.
async fn remarks_are_sorted_into_topics_out_of_the_box(postgres: bool) {
    let (app, api) = start(postgres).await;
    for (who, remark, status, tags, topics) in [
        (
            "ann",
            "5, very kind and patient",
            "solved",
            vec!["feedback_friendliness"],
            vec!["friendliness"],
        ),
        (
            "bo",
            "2, I waited for three days and the app crashed",
            "open",
            vec!["feedback_app", "feedback_speed", "rated_low"],
            vec!["app", "speed"],
        ),
        ("cy", "4", "solved", vec![], vec![]),
    ] {
        let id = asks(&app, who, "Where is my receipt?").await;
        solve(&app, &api, &id).await;
        says(&app, who, 2, remark).await;
        let now = ticket(&api, &id).await;
        assert_eq!(stands(&now), (status, tags), "{remark}");
        assert_eq!(now["rating_topics"], json!(topics), "{remark}");
        let events = api.all(&format!("/tickets/{id}/events")).await;
        let rated = events.iter().find(|event| event["kind"] == "ticket.rated").unwrap();
        assert_eq!(rated["data"]["topics"], json!(topics), "{remark}");
    }
    // A remark that comes behind the score.
    let id = asks(&app, "di", "Where is my receipt?").await;
    solve(&app, &api, &id).await;
    says(&app, "di", 2, "4").await;
    says(&app, "di", 3, "回复很快，手续费有点贵").await;
    assert_eq!(ticket(&api, &id).await["rating_topics"], json!(["fees", "speed"]));
    let ratings = api.get("/stats").await["ratings"].clone();
    let speed = &ratings["by_topic"]["speed"];
    assert_eq!((&speed["count"], &speed["mean"]), (&json!(2), &json!(3.0)), "{ratings:#}");
    assert_eq!(ratings["by_topic"]["friendliness"]["mean"], json!(5.0));
    let topics = json!({ "app": 1, "fees": 1, "friendliness": 1, "speed": 2 });
    for group in [&ratings["total"], &ratings["by_channel"]["mail"], &ratings["by_language"]["en"]]
    {
        assert_eq!(group["topics"], topics, "{ratings:#}");
    }
    assert_eq!(ratings["by_tag"]["rated_low"]["topics"], json!({ "app": 1, "speed": 1 }));
}

async fn feedback_without_a_survey_is_sorted_by_the_rules_of_the_manual(postgres: bool) {
    let (app, api) = start(postgres).await;
    app.engine.change_triage(Arc::new(triage(|settings| settings.rules = manual())));
    for (who, text, queue, tags) in [
        (
            "ann",
            "I have a suggestion: show the fees before I type the amount",
            "feedback",
            vec!["feedback", "feedback_fees"],
        ),
        ("bo", "我要投诉，应用一直闪退", "feedback", vec!["feedback", "feedback_app"]),
        ("cy", "Just some feedback: you are great", "feedback", vec!["feedback"]),
        ("di", "Where is my transfer? The fees are gone", "", vec![]),
    ] {
        let id = asks(&app, who, text).await;
        let now = ticket(&api, &id).await;
        assert_eq!(stands(&now), ("open", tags), "{text}");
        assert_eq!(now["queue"].as_str().unwrap_or_default(), queue, "{text}");
    }
    let by_tag = api.get("/stats").await["by_tag"].clone();
    assert_eq!(by_tag["feedback"]["tickets_created"], 3, "{by_tag:#}");
}

async fn ratings_tell_how_known_answers_do(postgres: bool) {
    let (app, api) = start(postgres).await;
    app.engine.change_known_answers(Arc::new(answering(true)));
    let id = asks(&app, "ann", "How much are the fees?").await;
    says(&app, "ann", 2, "1").await;
    assert_eq!(stands(&ticket(&api, &id).await).0, "solved");
    app.engine.tend_surveys().await.unwrap();
    says(&app, "ann", 3, "4").await;
    assert_eq!(rating(&api, &id).await.0, 4);
    let stats = api.get("/stats").await;
    let fees = json!({ "count": 1, "mean": 4.0, "each": [0, 0, 0, 1, 0], "topics": {} });
    assert_eq!(stats["ratings"]["by_article"], json!({ "fees": fees }));
    let article = &stats["by_article"]["fees"];
    assert_eq!((&article["shown"], &article["helped"]), (&json!(1), &json!(1)), "{stats:#}");
    assert_eq!(article["ratings"], fees);
    assert_eq!(article["tickets"]["tickets_created"], 1);
    assert_eq!(article["tickets"]["resolution"]["count"], 1, "{stats:#}");
}

on_both! {
    a_happy_customer_is_asked_once_and_thanked_once
    nobody_is_asked_twice_and_scores_are_counted
    an_unhappy_customer_comes_back_to_people
    late_scores_machines_and_the_unanswered_do_no_harm
    remarks_are_sorted_into_topics_out_of_the_box
    feedback_without_a_survey_is_sorted_by_the_rules_of_the_manual
    ratings_tell_how_known_answers_do
}
