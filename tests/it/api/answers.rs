//! Known answers that go out by themselves: by mail, through the API, on both databases.

use std::sync::Arc;

use serde_json::{Value, json};
use tributary::model::Role;

use super::CHANNELS;
use crate::support::answers::{FEES, answering, circle, triage};
use crate::support::app::App;
use crate::support::daemon::Api;

/// A mail of somebody; `answers`: the Message-ID that it answers.
pub(super) fn mail(from: &str, id: &str, answers: Option<&str>, text: &str) -> String {
    let answers = answers.map(|id| format!("In-Reply-To: <{id}>\r\n")).unwrap_or_default();
    format!(
        "From: {from}\r\nTo: support@example.com\r\nSubject: hello\r\nMessage-ID: <{id}>\r\n{answers}\
         MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    )
}

/// An office with articles, and who looks at it.
async fn start(postgres: bool) -> (App, Api) {
    let app = App::start_either(postgres, CHANNELS).await;
    app.engine.change_known_answers(Arc::new(answering(true)));
    let api = app.api(Role::Agent);
    (app, api)
}

/// Somebody asks; their ticket.
pub(super) async fn asks(app: &App, who: &str, text: &str) -> String {
    let (from, id) = (format!("{who}@customer.example"), format!("{who}-1@test"));
    app.receive("mail", mail(&from, &id, None, text)).await.ticket.to_string()
}

/// The same person writes into the same ticket.
pub(super) async fn says(app: &App, who: &str, number: u8, text: &str) {
    let (from, id) = (format!("{who}@customer.example"), format!("{who}-{number}@test"));
    app.receive("mail", mail(&from, &id, Some(&format!("{who}-1@test")), text)).await;
}

pub(super) async fn ticket(api: &Api, id: &str) -> Value {
    api.get(&format!("/tickets/{id}")).await
}

/// What went out into it.
pub(super) async fn sent(api: &Api, id: &str) -> Vec<String> {
    let messages = api.ticket_messages(id).await;
    let out = messages.iter().filter(|message| message["direction"] == "out");
    out.map(|message| message["text"].as_str().unwrap().to_owned()).collect()
}

/// How the article did: how often it was shown, and each of these.
async fn counted<const N: usize>(api: &Api, article: &str, keys: [&str; N], expected: [u64; N]) {
    let all = api.get("/faq").await;
    let found = all["items"].as_array().unwrap().iter().find(|one| one["article"] == article);
    let found = found.unwrap();
    assert_eq!(keys.map(|key| found[key].as_u64().unwrap()), expected, "{found}");
}

/// Status and tags.
pub(super) fn stands(ticket: &Value) -> (&str, Vec<&str>) {
    let tags = ticket["tags"].as_array().unwrap();
    let mut tags: Vec<&str> = tags.iter().map(|tag| tag.as_str().unwrap()).collect();
    tags.sort_unstable();
    (ticket["status"].as_str().unwrap(), tags)
}

async fn an_answer_that_helped_solves_the_ticket(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = asks(&app, "ann", FEES).await;
    let answers = sent(&api, &id).await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers[0].contains("network fee"), "{answers:?}");
    let asked = "\n\nDid this help?\n\n1 = Yes, thanks\n2 = No, a person\n\
                 3 = A transfer that is pending or failed";
    assert!(answers[0].ends_with(asked), "a mail has no buttons: {answers:?}");
    let waits = ticket(&api, &id).await;
    assert_eq!(stands(&waits), ("pending", vec!["faq_answered"]));
    assert!(waits["first_response_at"].is_null(), "no human has answered");
    let messages = api.ticket_messages(&id).await;
    assert_eq!(messages[1]["author"]["kind"], "system");
    counted(&api, "fees", ["shown", "waiting", "helped"], [1, 1, 0]).await;

    says(&app, "ann", 2, "1\n\n> Did this help?").await;
    let solved = ticket(&api, &id).await;
    assert_eq!(stands(&solved).0, "solved");
    // Said again, or with other words, it stays solved.
    says(&app, "ann", 3, "Thank you!").await;
    assert_eq!(stands(&ticket(&api, &id).await).0, "solved");
    assert_eq!(sent(&api, &id).await.len(), 1);
    counted(&api, "fees", ["shown", "waiting", "helped"], [1, 0, 1]).await;
    let events = api.all(&format!("/tickets/{id}/events")).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"faq.answered") && kinds.contains(&"faq.helped"), "{kinds:?}");

    // A new question opens it for people.
    says(&app, "ann", 4, "But now my transfer is gone, where is it?").await;
    assert_eq!(stands(&ticket(&api, &id).await).0, "open");
    assert_eq!(sent(&api, &id).await.len(), 1, "one for a ticket");
}

async fn who_wants_a_person_gets_one(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = asks(&app, "bo", "转账手续费多少").await;
    let answers = sent(&api, &id).await;
    assert!(
        answers[0].ends_with("有帮助吗？\n\n1 = 有帮助\n2 = 转人工\n3 = 交易待确认或失败"),
        "{answers:?}"
    );
    says(&app, "bo", 2, "人工").await;
    let (status, tags) = (ticket(&api, &id).await, ["faq_answered", "faq_escalated"]);
    assert_eq!(stands(&status), ("open", tags.to_vec()));
    assert_eq!(sent(&api, &id).await[1], "已为您转接人工。");
    // Whatever is not clear is read by people, and nothing is said to it.
    let other = asks(&app, "cy", FEES).await;
    says(&app, "cy", 2, "I sent 2 ETH yesterday and paid far too much").await;
    assert_eq!(stands(&ticket(&api, &other).await), ("open", tags.to_vec()));
    assert_eq!(sent(&api, &other).await.len(), 1);
    counted(&api, "fees", ["shown", "escalated"], [2, 2]).await;
}

/// An admin cancels what is to go out into the ticket.
async fn cancel(app: &App, ticket: &str) {
    let admin = app.api(Role::Admin);
    let outbox = admin.all("/outbox").await;
    let row = outbox.iter().find(|row| row["ticket_id"] == ticket).unwrap();
    let path = format!("/outbox/{}/cancel", row["id"].as_str().unwrap());
    let cancelled = admin.post(&path, &json!({}), "cancel").await.unwrap();
    assert!(cancelled.status.is_success(), "{}", cancelled.body);
}

async fn silence_and_lost_answers_lead_to_people(postgres: bool) {
    let (app, api) = start(postgres).await;
    let silent = asks(&app, "di", FEES).await;
    let lost = asks(&app, "ed", FEES).await;
    let taken = asks(&app, "flo", FEES).await;
    let now = app.engine.clock.now();
    assert_eq!(app.store.tend_answers(now + chrono::Duration::hours(23)).await.unwrap(), 0);
    cancel(&app, &lost).await;
    api.reply(&taken, "A person says so.", "reply").await;
    assert_eq!(app.store.tend_answers(now).await.unwrap(), 2);
    assert_eq!(stands(&ticket(&api, &lost).await).0, "open");
    assert_eq!(stands(&ticket(&api, &silent).await).0, "pending");
    assert_eq!(app.store.tend_answers(now + chrono::Duration::hours(25)).await.unwrap(), 1);
    let stood = ticket(&api, &silent).await;
    assert_eq!(stands(&stood), ("open", vec!["faq_answered", "faq_escalated"]));
    assert!(stood["snoozed_until"].is_null());
    counted(&api, "fees", ["shown", "silent", "failed", "taken"], [3, 1, 1, 1]).await;
    // Late, but it helped: nobody has to look any more.
    says(&app, "di", 2, "yes").await;
    assert_eq!(stands(&ticket(&api, &silent).await).0, "solved");
    // What a human began, a human ends.
    says(&app, "flo", 2, "yes").await;
    assert_eq!(stands(&ticket(&api, &taken).await).0, "open");
}

async fn machines_dangers_secrets_and_the_same_person_again_get_none(postgres: bool) {
    let (app, api) = start(postgres).await;
    let urgent = "My wallet was hacked and my coins are being sent out right now!";
    let secret = format!("{FEES} My password is hunter2hunter2");
    for (who, text) in [("gus", urgent), ("hal", secret.as_str())] {
        let id = asks(&app, who, text).await;
        let told = sent(&api, &id).await;
        assert!(told.iter().all(|text| !text.contains("Did this help?")), "{who}: {told:?}");
    }
    let machine = mail("ivy@customer.example", "ivy-1@test", None, FEES)
        .replace("MIME-Version", "Auto-Submitted: auto-replied\r\nMIME-Version");
    let id = app.receive("mail", machine).await.ticket.to_string();
    assert!(sent(&api, &id).await.is_empty());
    let first = asks(&app, "jo", FEES).await;
    assert_eq!(sent(&api, &first).await.len(), 1);
    let again = mail("jo@customer.example", "jo-9@test", None, "Why are the fees so high?");
    let again = app.receive("mail", again).await.ticket.to_string();
    assert_ne!(first, again);
    assert!(sent(&api, &again).await.is_empty(), "one for a contact and hour");
    let traced = &api.ticket_messages(&again).await[0]["why"];
    assert!(traced.to_string().contains("the contact had one within the hour"), "{traced}");
    // What only people may send.
    let id = asks(&app, "kay", "I think I was scammed, can you get my money back?").await;
    assert!(sent(&api, &id).await.iter().all(|text| !text.contains("Did this help?")));
    app.engine.change_known_answers(Arc::new(answering(false)));
    let id = asks(&app, "lea", FEES).await;
    assert!(sent(&api, &id).await.is_empty(), "it is only suggested");
}

async fn a_rule_switches_it_on_and_off(postgres: bool) {
    let (app, api) = start(postgres).await;
    let rules = |on: bool| {
        let rule = json!([{ "name": "r", "when": { "words": ["fees"] }, "then": { "faq": on } }]);
        Arc::new(triage(|settings| settings.rules = serde_json::from_value(rule).unwrap()))
    };
    app.engine.change_triage(rules(false));
    let id = asks(&app, "moe", FEES).await;
    assert!(sent(&api, &id).await.is_empty());
    let traced = &api.ticket_messages(&id).await[0]["why"];
    assert!(traced.to_string().contains("a rule switches it off"), "{traced}");
    app.engine.change_known_answers(Arc::new(answering(false)));
    app.engine.change_triage(rules(true));
    let id = asks(&app, "ned", FEES).await;
    assert_eq!(sent(&api, &id).await.len(), 1);
}

async fn a_follow_up_goes_out_by_its_digit_and_is_asked_about(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = asks(&app, "ann", "转账手续费多少").await;
    says(&app, "ann", 2, "3\n\n> 3 = 交易待确认或失败").await;
    let answers = sent(&api, &id).await;
    assert_eq!(answers.len(), 2, "{answers:?}");
    // Fees were shown already, and the third article is for people to send.
    assert!(answers[1].ends_with("有帮助吗？\n\n1 = 有帮助\n2 = 转人工"), "{answers:?}");
    let waits = ticket(&api, &id).await;
    assert_eq!(stands(&waits), ("pending", vec!["faq_answered"]));
    assert!(waits["snoozed_until"].is_string() && waits["first_response_at"].is_null());
    let keys = ["shown", "followed", "helped", "waiting"];
    counted(&api, "fees", keys, [1, 1, 0, 0]).await;
    counted(&api, "transaction-pending", keys, [1, 0, 0, 1]).await;
    // The same once more: nothing comes of it, and nobody has to look.
    says(&app, "ann", 3, "交易待确认或失败").await;
    let waits = ticket(&api, &id).await;
    assert_eq!(stands(&waits).0, "pending");
    assert!(waits["snoozed_until"].is_string(), "{waits:#}");
    assert_eq!(sent(&api, &id).await.len(), 2);
    says(&app, "ann", 4, "1").await;
    assert_eq!(stands(&ticket(&api, &id).await).0, "solved");
    counted(&api, "fees", keys, [1, 1, 0, 0]).await;
    counted(&api, "transaction-pending", keys, [1, 0, 1, 0]).await;
    let events = api.all(&format!("/tickets/{id}/events")).await;
    let after: Vec<&Value> = events
        .iter()
        .filter(|event| event["kind"] == "faq.answered")
        .map(|event| &event["data"]["after"])
        .collect();
    assert_eq!(after, [&Value::Null, &json!("fees")]);
}

async fn figures_tell_of_an_article_and_of_what_it_led_to(postgres: bool) {
    let (app, api) = start(postgres).await;
    let id = asks(&app, "ann", "转账手续费多少").await;
    says(&app, "ann", 2, "3").await;
    says(&app, "ann", 3, "1").await;
    assert_eq!(stands(&ticket(&api, &id).await).0, "solved");
    let stats = api.get("/stats").await;
    let of = |article: &str, keys: &[&str]| -> Vec<Value> {
        keys.iter().map(|key| stats["by_article"][article][*key].clone()).collect()
    };
    let keys = ["shown", "followed", "helped", "escalated", "silent", "waiting"];
    assert_eq!(json!(of("fees", &keys)), json!([1, 1, 0, 0, 0, 0]), "{stats:#}");
    assert_eq!(json!(of("transaction-pending", &keys)), json!([1, 0, 1, 0, 0, 0]), "{stats:#}");
    for article in ["fees", "transaction-pending"] {
        let tickets = &stats["by_article"][article]["tickets"];
        assert_eq!(
            (&tickets["tickets_created"], &tickets["tickets_solved"]),
            (&json!(1), &json!(1))
        );
    }
    let elsewhere = api.get("/stats?channel=silent").await;
    assert_eq!(elsewhere["by_article"], json!({}));
}

async fn a_follow_up_leads_to_people_as_the_first_does(postgres: bool) {
    let (app, api) = start(postgres).await;
    let other = asks(&app, "bo", FEES).await;
    says(&app, "bo", 2, "3").await;
    says(&app, "bo", 3, "no").await;
    let tags = vec!["faq_answered", "faq_escalated"];
    assert_eq!(stands(&ticket(&api, &other).await), ("open", tags));
    counted(&api, "transaction-pending", ["shown", "escalated"], [1, 1]).await;
    // Whoever said nothing for a day and then picks one is answered, too.
    let silent = asks(&app, "cy", FEES).await;
    let later = app.engine.clock.now() + chrono::Duration::hours(25);
    assert_eq!(app.store.tend_answers(later).await.unwrap(), 1);
    says(&app, "cy", 2, "A transfer that is pending or failed").await;
    assert_eq!(stands(&ticket(&api, &silent).await).0, "pending");
    counted(&api, "fees", ["shown", "followed", "silent"], [2, 1, 1]).await;
}

async fn a_chain_comes_back_to_nothing_and_ends(postgres: bool) {
    let (app, api) = start(postgres).await;
    app.engine.change_known_answers(Arc::new(circle(|text| text)));
    let id = asks(&app, "ann", FEES).await;
    for number in 2..=5 {
        says(&app, "ann", number, "3").await;
    }
    let answers = sent(&api, &id).await;
    let told: Vec<&str> = answers.iter().map(|text| text.lines().next().unwrap()).collect();
    let expected = ["fees", "two", "three", "four", "five"].map(|name| format!("This is {name}."));
    assert_eq!(told, expected);
    let offered: Vec<usize> = answers.iter().map(|text| text.matches(" = About").count()).collect();
    assert_eq!(offered, [5, 4, 3, 2, 0], "the last of a chain leads nowhere");
    // A button of an earlier one, and a digit of none: a human looks.
    says(&app, "ann", 6, "About six").await;
    assert_eq!(sent(&api, &id).await.len(), 5);
    assert_eq!(stands(&ticket(&api, &id).await).0, "open");
    for name in ["fees", "two", "three", "four"] {
        counted(&api, name, ["shown", "followed"], [1, 1]).await;
    }
    counted(&api, "five", ["shown", "followed", "escalated"], [1, 0, 1]).await;
}

async fn a_pick_that_may_not_go_out_leads_to_people(postgres: bool) {
    let (app, api) = start(postgres).await;
    for (who, said, change) in
        [("ann", "3", "auto = false"), ("bo", "about two", "channels = [\"silent\"]")]
    {
        app.engine.change_known_answers(Arc::new(circle(|text| text)));
        let id = asks(&app, who, FEES).await;
        // The admin takes it back after it was offered.
        app.engine.change_known_answers(Arc::new(circle(|text| {
            let two = text.contains("# en: About two");
            if two { text.replacen("+++\n", &format!("+++\n{change}\n"), 1) } else { text }
        })));
        says(&app, who, 2, said).await;
        let told = sent(&api, &id).await;
        assert!(told.iter().all(|text| !text.contains("This is two")), "{who}: {told:?}");
        let tags = vec!["faq_answered", "faq_escalated"];
        assert_eq!(stands(&ticket(&api, &id).await), ("open", tags), "{who}");
    }
    // Once a person has answered, it is a word like others.
    app.engine.change_known_answers(Arc::new(circle(|text| text)));
    let id = asks(&app, "di", FEES).await;
    api.reply(&id, "A person says so.", "reply").await;
    says(&app, "di", 2, "3").await;
    assert_eq!(sent(&api, &id).await.len(), 2);
    assert_eq!(stands(&ticket(&api, &id).await).0, "open");
}

/// The admin takes the article «two» back.
fn without_two(app: &App) {
    app.engine.change_known_answers(Arc::new(circle(|text| {
        let two = text.contains("# en: About two");
        if two { text.replacen("+++\n", "+++\nauto = false\n", 1) } else { text }
    })));
}

/// Whatever came of the answer before, people are told why the ticket is theirs.
async fn people_see_why_a_pick_was_not_sent(postgres: bool) {
    let (app, api) = start(postgres).await;
    for who in ["shown", "silent", "helped"] {
        app.engine.change_known_answers(Arc::new(circle(|text| text)));
        let id = asks(&app, who, FEES).await;
        match who {
            "silent" => {
                let later = app.engine.clock.now() + chrono::Duration::hours(25);
                assert_eq!(app.store.tend_answers(later).await.unwrap(), 1);
            }
            "helped" => says(&app, who, 2, "1").await,
            _ => {}
        }
        without_two(&app);
        says(&app, who, 3, "about two").await;
        let tags = vec!["faq_answered", "faq_escalated"];
        assert_eq!(stands(&ticket(&api, &id).await), ("open", tags), "{who}");
        assert_eq!(sent(&api, &id).await.len(), 1, "{who}");
        let why = "the article is for people to send (auto = false)";
        let events = api.all(&format!("/tickets/{id}/events")).await;
        let told = events.iter().rfind(|event| event["kind"] == "faq.escalated");
        let told = &told.unwrap_or_else(|| panic!("{who}: {events:#?}"))["data"];
        assert_eq!(*told, json!({ "article": "fees", "picked": "two", "why": why }), "{who}");
        let messages = api.ticket_messages(&id).await;
        let pick = messages.iter().rfind(|one| one["direction"] == "in").unwrap();
        let expected = format!("the known answer «two» was picked and not sent: {why}");
        assert!(pick["why"].as_array().unwrap().contains(&json!(expected)), "{who}: {pick:#}");
    }
    // That it helped, or that nothing was said for long, stays true.
    let keys = ["shown", "escalated", "silent", "helped"];
    counted(&api, "fees", keys, [3, 1, 1, 1]).await;
}

/// What a rule has ended stays ended: nothing is sent, and nobody has to look.
async fn a_pick_in_a_ticket_that_a_rule_ends_is_no_word(postgres: bool) {
    let (app, api) = start(postgres).await;
    for status in ["closed", "spam"] {
        app.engine.change_known_answers(Arc::new(circle(|text| text)));
        app.engine.change_triage(Arc::new(triage(|_| {})));
        let id = asks(&app, status, FEES).await;
        let rule =
            json!([{ "name": "r", "when": { "words": ["two"] }, "then": { "status": status } }]);
        let rules = serde_json::from_value(rule).unwrap();
        app.engine.change_triage(Arc::new(triage(|settings| settings.rules = rules)));
        says(&app, status, 2, "about two").await;
        assert_eq!(sent(&api, &id).await.len(), 1, "{status}");
        assert_eq!(stands(&ticket(&api, &id).await), (status, vec!["faq_answered"]));
        let events = api.all(&format!("/tickets/{id}/events")).await;
        assert!(events.iter().all(|event| event["kind"] != "faq.escalated"), "{events:#?}");
    }
}

/// An article that was picked is the answer; where none goes out, what a rule says does.
async fn a_pick_is_answered_once(postgres: bool) {
    let (app, api) = start(postgres).await;
    let rule = json!([{ "name": "r", "when": { "words": ["two"] },
        "then": { "acknowledge": { "en": "We read it soon." } } }]);
    let rules: Vec<_> = serde_json::from_value(rule).unwrap();
    app.engine.change_triage(Arc::new(triage(|settings| settings.rules = rules)));
    for (who, expected) in [("ann", "This is two."), ("bo", "We read it soon.")] {
        app.engine.change_known_answers(Arc::new(circle(|text| text)));
        let id = asks(&app, who, FEES).await;
        if who == "bo" {
            without_two(&app);
        }
        says(&app, who, 2, "about two").await;
        let told = sent(&api, &id).await;
        assert_eq!(told.len(), 2, "{who}: {told:?}");
        assert!(told[1].starts_with(expected), "{who}: {told:?}");
    }
}

macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() { super::$name(false).await; })*
        }
        mod postgres {
            $(#[tokio::test] async fn $name() { super::$name(true).await; })*
        }
    };
}

pub(super) use on_both;

on_both! {
    an_answer_that_helped_solves_the_ticket
    who_wants_a_person_gets_one
    silence_and_lost_answers_lead_to_people
    machines_dangers_secrets_and_the_same_person_again_get_none
    a_rule_switches_it_on_and_off
    a_follow_up_goes_out_by_its_digit_and_is_asked_about
    figures_tell_of_an_article_and_of_what_it_led_to
    a_follow_up_leads_to_people_as_the_first_does
    a_chain_comes_back_to_nothing_and_ends
    a_pick_that_may_not_go_out_leads_to_people
    people_see_why_a_pick_was_not_sent
    a_pick_in_a_ticket_that_a_rule_ends_is_no_word
    a_pick_is_answered_once
}
