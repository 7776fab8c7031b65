//! `/tickets/{id}/suggestions`.

use std::sync::Arc;

use serde_json::json;
use tributary::model::Role;

use super::{CHANNELS, NO_ID, mail, refused, texts};
use crate::support::app::App;
use crate::support::labelled::starter_set;

#[tokio::test]
async fn the_newest_words_of_the_customer_are_matched_and_answered_in_their_language() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::ReadOnly);
    let from = "Jane <jane@customer.example>";
    let asked = mail(from, "Wallet", "My transfer has not arrived, what now?");
    let ticket = app.receive("mail", asked).await.ticket;
    let path = format!("/tickets/{ticket}/suggestions");
    assert!(api.all(&path).await.is_empty(), "there are no articles yet");

    app.engine.change_known_answers(Arc::new(starter_set()));
    let found = api.all(&path).await;
    assert_eq!(texts(&found, "/article")[0], "transfer-not-arrived");
    assert_eq!((&found[0]["language"], &found[0]["sure"]), (&json!("en"), &json!(true)));
    assert!(found[0]["text"].as_str().unwrap().contains("transaction hash"));
    assert_eq!(found[0]["follow_ups"][0]["article"], "transaction-pending");
    assert_eq!(found[0]["follow_ups"][0]["title"], "A transfer that is pending or failed");
    let messages = api.all(&format!("/tickets/{ticket}/messages")).await;
    assert_eq!(found[0]["message_id"], messages[0]["id"]);

    let asked =
        mail("Bo <bo@customer.example>", "=?utf-8?B?6Zeu6aKY?=", "转账的手续费为什么这么高？");
    let chinese = app.receive("mail", asked).await.ticket;
    let found = api.all(&format!("/tickets/{chinese}/suggestions")).await;
    assert_eq!((&found[0]["article"], &found[0]["language"]), (&json!("fees"), &json!("zh")));

    let asked =
        mail("Al <al@customer.example>", "Hi", "Thank you, see you on Thursday at the fair");
    let other = app.receive("mail", asked).await.ticket;
    assert!(api.all(&format!("/tickets/{other}/suggestions")).await.is_empty());
    let nothing = format!("/tickets/{NO_ID}/suggestions");
    refused(api.request(reqwest::Method::GET, &nothing), 404, "not_found").await;
}
