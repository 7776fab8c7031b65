//! Files in and out: a browser runs nothing of what comes out.

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tributary::model::Role;

use super::{CHANNELS, NO_ID, done, refused, refused_for, send, ticket};
use crate::support::app::App;
use crate::support::daemon::Api;

fn form(name: &str, media_type: &str, bytes: &[u8]) -> Form {
    let part = Part::bytes(bytes.to_vec()).file_name(name.to_owned());
    Form::new().part("file", part.mime_str(media_type).unwrap())
}

pub(super) async fn upload(api: &Api, name: &str, media_type: &str, bytes: &[u8]) -> Value {
    done(api.request(Method::POST, "/uploads").multipart(form(name, media_type, bytes)), 201).await
}

#[tokio::test]
async fn an_upload_goes_out_with_a_reply_and_can_be_fetched() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    let kept = upload(&api, "../账单.pdf", "application/pdf", &bytes).await;
    assert_eq!((&kept["name"], &kept["size"]), (&json!("账单.pdf"), &json!(300_000)));
    let id = ticket(&app, "Wallet", "help").await;
    let body = json!({ "kind": "reply", "text": "see", "attachments": [kept["id"]] });
    let path = format!("/tickets/{id}/messages");
    let reply = done(api.request(Method::POST, &path).json(&body), 202).await;
    let attachment = &reply["attachments"][0];
    for key in ["id", "name", "media_type", "size", "inline", "content_id"] {
        assert!(attachment.get(key).is_some(), "an attachment has no {key}: {attachment}");
    }
    let path = format!("/attachments/{}", attachment["id"].as_str().unwrap());
    let answer = api.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.bytes().await.unwrap(), bytes);
    refused(api.request(Method::GET, &format!("/attachments/{NO_ID}")), 404, "not_found").await;
    refused(api.request(Method::GET, "/attachments/1"), 404, "not_found").await;
}

#[tokio::test]
async fn a_browser_runs_nothing_of_a_file() {
    let app = App::start(CHANNELS).await;
    let api = app.api(Role::Agent);
    let evil = b"<script>alert(1)</script>";
    for (name, media_type) in [
        ("a.html", "text/html"),
        ("a.svg", "image/svg+xml"),
        ("a.xml", "application/xhtml+xml"),
        ("a.pdf", "application/pdf"),
        ("a.js", "text/javascript"),
        ("a\";b=\"c.html", "text/html; charset=utf-8"),
    ] {
        let kept = upload(&api, name, media_type, evil).await;
        for query in ["", "?inline=true"] {
            let path = format!("/attachments/{}{query}", kept["id"].as_str().unwrap());
            let (status, headers, _) = send(api.request(Method::GET, &path)).await;
            assert_eq!(status.as_u16(), 200);
            assert_eq!(headers["content-type"], "application/octet-stream", "{name}");
            let how = headers["content-disposition"].to_str().unwrap();
            assert!(how.starts_with("attachment; filename=\""), "{how}");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert!(headers["content-security-policy"].to_str().unwrap().starts_with("sandbox;"));
            assert!(!headers.contains_key("set-cookie"));
        }
    }
    let picture = upload(&api, "a.png", "image/png", b"not really").await;
    let path = format!("/attachments/{}", picture["id"].as_str().unwrap());
    let (_, headers, _) = send(api.request(Method::GET, &path)).await;
    assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let (_, headers, _) = send(api.request(Method::GET, &format!("{path}?inline=true"))).await;
    assert_eq!(headers["content-type"], "image/png");
    assert!(headers["content-disposition"].to_str().unwrap().starts_with("inline"));
    assert!(headers["content-security-policy"].to_str().unwrap().starts_with("sandbox;"));
}

#[tokio::test]
async fn an_upload_is_held_to_its_limit_and_its_form() {
    let app = App::start_with(CHANNELS, |settings| settings.upload_bytes_max = 100_000).await;
    let api = app.api(Role::Agent);
    let post = || api.request(Method::POST, "/uploads");
    let fits = vec![1; 100_000];
    upload(&api, "a", "a/b", &fits).await;
    for over in [100_001, 200_000, 5_000_000] {
        let request = post().multipart(form("a", "a/b", &vec![1; over]));
        // Past the limit the line may be cut while the client still speaks.
        match request.send().await {
            Ok(answer) => assert_eq!(answer.status().as_u16(), 413),
            Err(error) => assert!(error.is_request() || error.is_body(), "{error:?}"),
        }
    }
    refused(post().json(&json!({})), 415, "unsupported_media_type").await;
    refused(post().body("x"), 415, "unsupported_media_type").await;
    let empty = post().header("content-type", "multipart/form-data; boundary=x").body("--x--\r\n");
    refused_for(empty, "file").await;
    refused_for(post().multipart(Form::new().text("role", "admin")), "role").await;
    let two = form("a", "a/b", b"1").part("file", Part::bytes(b"2".to_vec()).file_name("b"));
    refused_for(post().multipart(two), "file").await;
    let cut = post().header("content-type", "multipart/form-data; boundary=x");
    refused(
        cut.body("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhal"),
        400,
        "bad_body",
    )
    .await;
    let wish =
        |bytes: &[u8]| post().header("Idempotency-Key", "u").multipart(form("a", "a/b", bytes));
    let first = done(wish(b"1"), 201).await;
    assert_eq!(done(wish(b"1"), 201).await, first);
    refused(wish(b"2"), 422, "idempotency_key_reused").await;
}

#[tokio::test]
async fn a_raw_is_byte_for_byte_what_came() {
    let app = App::start(CHANNELS).await;
    let letter = super::mail("jane@customer.example", "Raw", "密码 <b>");
    let placed = app.receive("mail", letter.clone()).await;
    let api = app.api(Role::Agent);
    let path = format!("/messages/{}/raw", placed.message.unwrap());
    let answer = api.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert!(answer.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert_eq!(answer.bytes().await.unwrap(), letter.as_bytes());
    let reply = api.reply(&placed.ticket.to_string(), "ours", "").await;
    let path = format!("/messages/{}/raw", reply["id"].as_str().unwrap());
    refused(api.request(Method::GET, &path), 404, "not_found").await;
}
