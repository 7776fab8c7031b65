//! `tributary channel login`, against a provider's endpoint.

use crate::support::daemon::Daemon;
use crate::support::token_endpoint::{TokenEndpoint, failure};

use super::{Ran, run};

fn settings(url: &str) -> String {
    format!(
        r#"
[channels.mail]
kind = "email"
address = "support@example.com"
[channels.mail.oauth]
provider = "custom"
client_id = "our-app"
scope = "mail offline"
token_url = "{url}"
device_url = "{}"
[channels.mail.receive]
protocol = "imap"
host = "127.0.0.1"
port = 1
tls = "none"
[channels.mail.send]
host = "127.0.0.1"
port = 1
tls = "none"
[channels.plain]
kind = "email"
address = "plain@example.com"
[channels.plain.receive]
protocol = "pipe"
"#,
        url.replace("/token", "/device")
    )
}

/// COMPLAINTS O9: a person agrees with a code on another device; what came of it is kept, and not shown.
#[tokio::test]
async fn a_person_signs_a_channel_in_with_a_code() {
    let mut polls = 0;
    let endpoint = TokenEndpoint::start(move |fields| {
        if !fields.contains_key("device_code") {
            let body = serde_json::json!({
                "device_code": "dc-hunter2", "user_code": "ABCD-EFGH",
                "verification_uri": "https://provider.example/device", "interval": 1,
            });
            return (200, body.to_string());
        }
        polls += 1;
        if polls < 2 {
            return failure(400, "authorization_pending");
        }
        let body = serde_json::json!({
            "access_token": "access-hunter2", "refresh_token": "refresh-hunter2",
        });
        (200, body.to_string())
    })
    .await;
    let daemon = Daemon::prepare(&settings(&endpoint.url));
    let ran =
        beside(&daemon, &["channel", "login", "mail", "--device", "--json"]).await.ends_with(0);
    assert!(ran.error.contains("https://provider.example/device"), "{}", ran.error);
    assert!(
        ran.error.contains("ABCD-EFGH") && ran.error.contains("receive and send"),
        "{}",
        ran.error
    );
    assert_eq!(ran.json()["parts"][0], "receive and send");
    assert!(!ran.all().contains("hunter2"), "{}", ran.all());
    let database = std::fs::read(daemon.state_folder().join("tributary.db")).unwrap();
    let needle = b"refresh-hunter2";
    assert!(!database.windows(needle.len()).any(|part| part == needle), "it lies there in clear");
}

#[tokio::test]
async fn a_refused_sign_in_says_by_whom_and_why() {
    let endpoint = TokenEndpoint::start(|_| failure(400, "invalid_client")).await;
    let daemon = Daemon::prepare(&settings(&endpoint.url));
    let ran = beside(&daemon, &["channel", "login", "mail", "--device"]).await.ends_with(1);
    assert!(ran.error.contains("mail could not sign in"), "{}", ran.error);
    assert!(ran.error.contains("invalid_client"), "{}", ran.error);
    let browser = beside(&daemon, &["channel", "login", "mail"]).await.ends_with(1);
    assert!(browser.error.contains("no `authorize_url`"), "{}", browser.error);
}

#[test]
fn a_channel_without_anything_to_agree_to_says_so() {
    let daemon = Daemon::prepare(&settings("http://127.0.0.1:1/token"));
    let plain = run(&daemon, &["channel", "login", "plain"]).ends_with(2);
    assert!(plain.error.contains("there is no `oauth`"), "{}", plain.error);
    run(&daemon, &["channel", "login", "nobody"]).ends_with(2);
}

/// In a thread of its own: the endpoint answers in this one.
async fn beside(daemon: &Daemon, arguments: &[&str]) -> Ran {
    let mut command = daemon.command(arguments);
    tokio::task::spawn_blocking(move || super::run_command(&mut command, b"")).await.unwrap()
}
