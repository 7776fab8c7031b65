//! The visitor's side of the web chat, against the real daemon.

mod answers;
mod files;
mod guard;
mod socket;
mod store;

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::daemon::Daemon;
use crate::support::visitor::Visitor;

/// How long anything may take that is not measured.
const LIMIT: Duration = Duration::from_secs(20);

const CHAT: &str = "[channels.web]\nkind = \"webchat\"\n[channels.web.limits]\n\
    messages_per_minute = 1000\nsessions_per_hour = 1000\nrequests_per_minute = 100000\n";

/// The only ticket there is.
async fn ticket(daemon: &Daemon) -> Value {
    let tickets = daemon.api().tickets().await;
    assert_eq!(tickets.len(), 1, "{tickets:#?}");
    tickets[0].clone()
}

async fn reply(daemon: &Daemon, text: &str) -> Value {
    let id = ticket(daemon).await["id"].as_str().unwrap().to_owned();
    daemon.api().reply(&id, text, &uuid::Uuid::new_v4().to_string()).await
}

fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_question_is_a_ticket_and_the_answer_comes_back() {
    let daemon = Daemon::start(CHAT).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    let said = visitor.write("1", "Where is my money? 钱在哪里？").await;
    assert_eq!(said["client_id"], "1");
    let ticket = ticket(&daemon).await;
    assert_eq!((&ticket["channel"], &ticket["status"]), (&json!("web"), &json!("open")));
    assert_eq!(ticket["subject"], "Where is my money? 钱在哪里？");
    let id = ticket["id"].as_str().unwrap();
    let known = daemon.api().ticket_messages(id).await;
    assert_eq!(known[0]["id"], said["id"], "the visitor was told the message's own id");
    reply(&daemon, "On its way. 马上到。").await;
    let answer = visitor.wait_message(|message| message["direction"] == "out").await;
    assert_eq!(answer["text"], "On its way. 马上到。");
    assert_eq!(
        texts(&visitor.read().await),
        ["Where is my money? 钱在哪里？", "On its way. 马上到。"]
    );
    // What the visitor has read, the agent knows.
    let read = json!({ "up_to": answer["cursor"] });
    assert_eq!(visitor.post("read", &read).await.status, StatusCode::NO_CONTENT);
    let is_read = |message: &Value| message["delivery"]["status"] == "read";
    daemon.api().wait_message(LIMIT, is_read).await;
}

#[tokio::test]
async fn one_message_posted_eight_times_at_once_is_one_message() {
    let daemon = Daemon::start(CHAT).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    for round in 0..5 {
        let client_id = format!("round-{round}");
        let posts = (0..8).map(|_| visitor.write(&client_id, "once"));
        let answers = futures::future::join_all(posts).await;
        for answer in &answers {
            assert_eq!(answer["id"], answers[0]["id"], "the same id each time");
        }
    }
    assert_eq!(visitor.read().await.len(), 5);
    assert_eq!(daemon.api().messages().await.len(), 5);
    let other = visitor.write("round-0", "another text under the same id").await;
    assert_eq!(other["text"], "once", "the first one counts");
}

/// COMPLAINTS D11.
#[tokio::test]
async fn two_tabs_and_a_renewed_session_are_one_conversation() {
    let daemon = Daemon::start(CHAT).await;
    let first = Visitor::new(daemon.port(), "web").await;
    let renewed = Visitor::with(daemon.port(), "web", &json!({ "token": first.token })).await;
    let (one, other) = (first.clone(), renewed);
    let writes = (0..10).map(|n| {
        let tab = if n % 2 == 0 { one.clone() } else { other.clone() };
        async move { tab.write(&format!("m-{n}"), &format!("message {n}")).await }
    });
    futures::future::join_all(writes).await;
    assert_eq!(daemon.api().tickets().await.len(), 1);
    assert_eq!(one.read().await, other.read().await);
    let stranger = Visitor::new(daemon.port(), "web").await;
    stranger.write("1", "somebody else").await;
    assert_eq!(daemon.api().tickets().await.len(), 2);
}

#[tokio::test]
async fn a_daemon_killed_before_it_answered_has_the_message_once() {
    let mut daemon = Daemon::prepare(CHAT);
    daemon.set_environment("TRIBUTARY_FAILPOINT", "chat.appended:2");
    daemon.start_again().await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    visitor.write("1", "before").await;
    let body = json!({ "client_id": "2", "text": "in the middle" });
    let cut = visitor.try_post("messages", &body).await;
    assert!(cut.is_err(), "it died before the answer: {cut:?}");
    daemon.wait_end(LIMIT);
    daemon.set_environment("TRIBUTARY_FAILPOINT", "");
    daemon.start_again().await;
    let again = visitor.post("messages", &body).await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.body);
    visitor.write("3", "after").await;
    visitor.wait_message(|message| message["text"] == "in the middle").await;
    let mut all = texts(&visitor.read().await).into_iter().map(str::to_owned).collect::<Vec<_>>();
    all.sort();
    assert_eq!(all, ["after", "before", "in the middle"]);
    assert_eq!(daemon.api().tickets().await.len(), 1);
}

#[tokio::test]
async fn events_go_on_after_a_cut_without_a_gap_or_a_double() {
    let mut daemon = Daemon::start(CHAT).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    visitor.write("q", "question").await;
    let mut seen = Vec::new();
    let mut last = "0".to_owned();
    for round in 0..4 {
        let mut events = visitor.events(Some(&last)).await;
        for n in 0..3 {
            reply(&daemon, &format!("{round}.{n}")).await;
        }
        // Taken from the stream: all but the last, which comes with the next one.
        for _ in 0..2 {
            let (id, text) = next_message(&mut events).await;
            seen.push(text);
            last = id;
        }
        drop(events);
        if round == 2 {
            daemon.kill();
            daemon.start_again().await;
        }
    }
    let mut events = visitor.events(Some(&last)).await;
    while seen.len() < 13 {
        seen.push(next_message(&mut events).await.1);
    }
    let expected: Vec<String> = std::iter::once("question".to_owned())
        .chain((0..4).flat_map(|round| (0..3).map(move |n| format!("{round}.{n}"))))
        .collect();
    assert_eq!(seen, expected);
}

async fn next_message(events: &mut crate::support::daemon::Events) -> (String, String) {
    loop {
        let event = events.next(LIMIT).await;
        if event.name == "message" {
            return (event.id, event.data["text"].as_str().unwrap().to_owned());
        }
    }
}

#[tokio::test]
async fn any_cursor_or_message_id_is_a_place_to_go_on_from() {
    let daemon = Daemon::start(CHAT).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(visitor.write(&n.to_string(), &format!("m{n}")).await["id"].clone());
    }
    let all = visitor.read().await;
    for (n, message) in all.iter().enumerate() {
        assert_eq!(message["id"], ids[n]);
        for after in [&message["cursor"], &message["id"]] {
            let path = format!("messages?after={}", after.as_str().unwrap());
            let page = visitor.get(&path).await.body;
            let rest = page["items"].as_array().unwrap();
            assert_eq!(texts(rest), texts(&all[n + 1..]), "after {after}");
            assert_eq!(page["next_cursor"], Value::Null);
        }
    }
    let page = visitor.get("messages?before=latest&limit=3").await.body;
    assert_eq!(texts(page["items"].as_array().unwrap()), ["m4", "m5", "m6"]);
    let earlier = page["earlier"].as_str().unwrap();
    let page = visitor.get(&format!("messages?before={earlier}&limit=10")).await.body;
    assert_eq!(texts(page["items"].as_array().unwrap()), ["m0", "m1", "m2", "m3"]);
    assert_eq!(page["earlier"], Value::Null);
    for bad in ["x", "0198c5a0-0000-7000-8000-000000000000"] {
        let answer = visitor.get(&format!("messages?after={bad}")).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{bad}");
    }
}

#[tokio::test]
async fn a_reply_for_later_and_a_note_stay_unseen() {
    let daemon = Daemon::start(CHAT).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    visitor.write("1", "question").await;
    let id = ticket(&daemon).await["id"].as_str().unwrap().to_owned();
    let path = format!("/tickets/{id}/messages");
    let soon = chrono::Utc::now() + chrono::Duration::seconds(4);
    let later = json!({ "kind": "reply", "text": "later", "send_at": soon });
    let answer = daemon.api().post(&path, &later, "later").await.unwrap();
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    let note = json!({ "kind": "note", "text": "between us" });
    let answer = daemon.api().post(&path, &note, "note").await.unwrap();
    assert!(answer.status.is_success(), "{}", answer.body);
    reply(&daemon, "now").await;
    let now = visitor.wait_message(|message| message["text"] == "now").await;
    assert_eq!(texts(&visitor.read().await), ["question", "now"]);
    // It comes after what was sent meanwhile, though it was written before.
    visitor.wait_message(|message| message["text"] == "later").await;
    assert_eq!(texts(&visitor.read().await), ["question", "now", "later"]);
    let path = format!("messages?after={}", now["cursor"].as_str().unwrap());
    let rest = visitor.get(&path).await.body;
    assert_eq!(texts(rest["items"].as_array().unwrap()), ["later"]);
}

#[tokio::test]
async fn choices_a_call_back_and_a_judgement_reach_the_agents() {
    let daemon = Daemon::start(
        &format!(
            "{CHAT}[[channels.web.topics]]\nid = \"withdrawal\"\nlabel = \"Withdrawal\"\n\
         queue = \"payments\"\ntags = [\"money\"]\n[callbacks]\nconfirm = false\n"
        )
        .replace(
            "kind = \"webchat\"",
            "kind = \"webchat\"\ncallback = true\nurgencies = [\"urgent\"]",
        ),
    )
    .await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    let early = visitor.post("rating", &json!({ "client_id": "0", "score": 5 })).await;
    assert_eq!(early.body["code"], "no_conversation");
    let body = json!({
        "client_id": "1", "text": "help", "name": "李雷", "email": "lei@example.com",
        "topic": "withdrawal", "urgency": "urgent",
    });
    assert_eq!(visitor.post("messages", &body).await.status, StatusCode::CREATED);
    let wish = json!({ "client_id": "2", "phone": "+86 138 0013 8000", "when": "tomorrow" });
    let answer = visitor.post("callback", &wish).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(visitor.post("callback", &wish).await.body["id"], answer.body["id"]);
    let judgement = json!({ "client_id": "3", "score": 4, "comment": "quick" });
    assert_eq!(visitor.post("rating", &judgement).await.status, StatusCode::CREATED);
    let api = daemon.api();
    api.wait_message(LIMIT, |message| message["text"] == "Rated 4 of 5: quick").await;
    let ticket = ticket(&daemon).await;
    assert_eq!((&ticket["queue"], &ticket["priority"]), (&json!("payments"), &json!("urgent")));
    assert_eq!(ticket["tags"], json!(["callback", "feedback_speed", "money", "topic:withdrawal"]));
    assert_eq!((&ticket["rating"], &ticket["rating_topics"]), (&json!(4), &json!(["speed"])));
    assert_eq!(ticket["contact"]["name"], "李雷");
    let messages = api.ticket_messages(ticket["id"].as_str().unwrap()).await;
    assert_eq!(messages.len(), 3, "nothing twice: {messages:#?}");
    assert!(messages[0]["text_full"].as_str().unwrap().contains("lei@example.com"));
    assert_eq!(visitor.read().await.len(), 2, "the judgement is not theirs to read");
    let calls = api.all("/callbacks").await;
    let [call] = calls.as_slice() else { panic!("{calls:#?}") };
    assert_eq!((&call["phone"], &call["wanted"]), (&json!("+8613800138000"), &json!("tomorrow")));
    assert_eq!((&call["ticket_id"], &call["contact"]["name"]), (&ticket["id"], &json!("李雷")));
    judged_again(&daemon, &visitor).await;
}

/// The newest judgement counts, and the tags say the same; a score alone leaves the remark.
async fn judged_again(daemon: &Daemon, visitor: &Visitor) {
    for (judgement, said, tags) in [
        (
            json!({ "client_id": "4", "score": 1, "comment": "the app crashed" }),
            "Rated 1 of 5: the app crashed",
            json!(["callback", "feedback_app", "money", "rated_low", "topic:withdrawal"]),
        ),
        (
            json!({ "client_id": "5", "score": 5 }),
            "Rated 5 of 5",
            json!(["callback", "feedback_app", "money", "topic:withdrawal"]),
        ),
    ] {
        assert_eq!(visitor.post("rating", &judgement).await.status, StatusCode::CREATED);
        daemon.api().wait_message(LIMIT, |message| message["text"] == said).await;
        let ticket = ticket(daemon).await;
        assert_eq!((&ticket["rating"], &ticket["tags"]), (&judgement["score"], &tags));
        assert_eq!(ticket["rating_comment"], "the app crashed");
        assert_eq!(ticket["rating_topics"], json!(["app"]));
    }
}

#[tokio::test]
async fn a_call_back_is_confirmed_once_though_we_are_killed_meanwhile() {
    let mut daemon =
        Daemon::prepare(&CHAT.replace("kind = \"webchat\"", "kind = \"webchat\"\ncallback = true"));
    daemon.set_environment("TRIBUTARY_FAILPOINT", "callback.told");
    daemon.start_again().await;
    let knock = json!({ "language": "zh-CN" });
    let visitor = Visitor::with(daemon.port(), "web", &knock).await;
    let wish =
        json!({ "client_id": "1", "phone": "+86 138 0013 8000", "time_zone": "Asia/Shanghai" });
    assert_eq!(visitor.post("callback", &wish).await.status, StatusCode::CREATED);
    daemon.wait_end(LIMIT);
    daemon.set_environment("TRIBUTARY_FAILPOINT", "");
    daemon.start_again().await;
    let told = visitor.wait_message(|message| message["direction"] == "out").await;
    let text = told["text"].as_str().unwrap();
    assert!(text.contains("…8000") && text.contains("助记词"), "{text}");
    // A turn of housekeeping later it is still one.
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(visitor.read().await.len(), 2);
    let known = daemon.api().ticket_messages(ticket(&daemon).await["id"].as_str().unwrap()).await;
    assert_eq!(known.last().unwrap()["author"]["kind"], "system");
}

#[tokio::test]
async fn a_solved_conversation_opens_again_when_its_visitor_writes() {
    let daemon = Daemon::start(CHAT).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    visitor.write("1", "question").await;
    let api = daemon.api();
    let before = ticket(&daemon).await;
    let path = format!("/tickets/{}", before["id"].as_str().unwrap());
    let request = api.request(reqwest::Method::PATCH, &path);
    let request = request.header("If-Match", format!("\"{}\"", before["version"]));
    let solved = request.json(&json!({ "status": "solved" })).send().await.unwrap();
    assert!(solved.status().is_success(), "{:?}", solved.text().await);
    let page = visitor.get("messages").await.body;
    assert_eq!(page["state"]["conversation"], "solved");
    visitor.write("2", "one more thing").await;
    assert_eq!(ticket(&daemon).await["status"], "open");
    let page = visitor.get("messages").await.body;
    assert_eq!(page["state"]["conversation"], "open");
}

#[tokio::test]
async fn the_embedded_default_has_a_chat_that_can_be_tried() {
    let daemon = Daemon::start("").await;
    let page = format!("http://127.0.0.1:{}/chat/web/demo", daemon.port());
    let answer = crate::support::daemon::client().get(page).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"), "{policy}");
    let text = answer.text().await.unwrap();
    assert!(text.contains("data-channel=\"web\""));
    assert!(!text.contains("onclick") && !text.contains("<style"), "nothing inline");
    Visitor::new(daemon.port(), "web").await.write("1", "hello").await;
    assert_eq!(ticket(&daemon).await["channel"], "web");
}
