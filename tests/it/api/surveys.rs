//! Surveys after a ticket was solved, by mail, on both databases.

use std::sync::Arc;

use serde_json::{Value, json};
use tributary::desk::RuleSetting;
use tributary::desk::survey::{SurveySetting, SurveyTexts};
use tributary::model::Role;

use super::CHANNELS;
use super::answers::{asks, mail, on_both, says, sent, stands, ticket};
use crate::support::answers::{answering, triage};
use crate::support::app::App;
use crate::support::daemon::Api;

/// An office that asks at once, and who looks at it.
async fn start(postgres: bool) -> (App, Api) {
    let app =
        if postgres { App::start_on_postgres(CHANNELS).await } else { App::start(CHANNELS).await };
    app.engine.change_triage(Arc::new(triage(|settings| settings.survey = survey())));
    let api = app.api(Role::Agent);
    (app, api)
}

fn survey() -> SurveySetting {
    let texts = |question: &str, thanks: &str| SurveyTexts {
        question: question.to_owned(),
        thanks: thanks.to_owned(),
    };
    SurveySetting {
        enabled: true,
        after_minutes: 0,
        per_contact_days: 30,
        open_days: 14,
        channels: Vec::new(),
        texts: [
            ("en".to_owned(), texts("How was ticket {number}?", "Tell us more.")),
            ("zh".to_owned(), texts("工单 {number} 满意吗？", "请补充。")),
        ]
        .into(),
    }
}

/// The rules of the manual that sort remarks into topics.
fn topics() -> Vec<RuleSetting> {
    let manual = include_str!("../../../docs/SURVEYS.md");
    let (_, after) = manual.split_once("### What they are about").unwrap();
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
    assert_eq!(sent(&api, &id).await[2..], ["Tell us more.".to_owned()]);
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
    assert_eq!(ratings["total"], json!({ "count": 1, "mean": 5.0, "each": [0, 0, 0, 0, 1] }));
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
    assert_eq!(stands(&ticket(&api, &id).await), ("open", vec!["rated_low"]));
    assert_eq!(api.get("/stats").await["ratings"]["by_tag"]["rated_low"]["count"], 1);
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
async fn remarks_are_sorted_into_topics_by_the_rules_of_the_manual(postgres: bool) {
    let (app, api) = start(postgres).await;
    app.engine.change_triage(Arc::new(triage(|settings| {
        settings.survey = survey();
        settings.rules = topics();
    })));
    for (who, remark, status, tags) in [
        ("ann", "5, very kind and patient", "solved", vec!["feedback_friendly"]),
        ("bo", "2, I waited for three days", "open", vec!["feedback_speed", "rated_low"]),
    ] {
        let id = asks(&app, who, "Where is my receipt?").await;
        solve(&app, &api, &id).await;
        says(&app, who, 2, remark).await;
        assert_eq!(stands(&ticket(&api, &id).await), (status, tags), "{remark}");
    }
    let by_tag = api.get("/stats").await["ratings"]["by_tag"].clone();
    let of = |tag: &str| (by_tag[tag]["count"].clone(), by_tag[tag]["mean"].clone());
    assert_eq!(of("feedback_friendly"), (json!(1), json!(5.0)), "{by_tag:#}");
    assert_eq!(of("feedback_speed"), (json!(1), json!(2.0)), "{by_tag:#}");
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
    let by_article = api.get("/stats").await["ratings"]["by_article"].clone();
    let fees = json!({ "count": 1, "mean": 4.0, "each": [0, 0, 0, 1, 0] });
    assert_eq!(by_article, json!({ "fees": fees }));
}

on_both! {
    a_happy_customer_is_asked_once_and_thanked_once
    nobody_is_asked_twice_and_scores_are_counted
    an_unhappy_customer_comes_back_to_people
    late_scores_machines_and_the_unanswered_do_no_harm
    remarks_are_sorted_into_topics_by_the_rules_of_the_manual
    ratings_tell_how_known_answers_do
}
