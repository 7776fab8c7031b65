//! Files that visitors bring and get.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::{CHAT, reply};
use crate::support::daemon::{self, Daemon};
use crate::support::visitor::Visitor;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and more";

#[tokio::test]
async fn a_file_is_kept_once_and_comes_back_only_to_be_saved() {
    let daemon = Daemon::start(CHAT).await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    let upload = visitor.upload("../截图\u{202e}gnp.html", PNG).await;
    assert_eq!(upload.status, StatusCode::CREATED, "{}", upload.body);
    assert_eq!(upload.body["name"], "截图gnp.html");
    assert_eq!(upload.body["media_type"], "image/png", "by its bytes");
    let body = json!({ "client_id": "1", "text": "look", "attachments": [upload.body["id"]] });
    let said = visitor.post("messages", &body).await.body;
    assert_eq!(visitor.post("messages", &body).await.body["id"], said["id"], "again is the same");
    let other = json!({ "client_id": "2", "text": "", "attachments": [upload.body["id"]] });
    let other = visitor.post("messages", &other).await;
    assert_eq!(other.body["code"], "unknown_attachment", "never a message without its file");
    let file = &said["attachments"][0];
    let path = format!("attachments/{}", file["id"].as_str().unwrap());
    let answer = visitor.request(Method::GET, &path).send().await.unwrap();
    let headers = answer.headers().clone();
    assert_eq!(answer.bytes().await.unwrap(), PNG);
    assert_eq!(headers["content-type"], "image/png");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(headers["content-security-policy"].to_str().unwrap().contains("sandbox"));
    assert!(headers["content-disposition"].to_str().unwrap().starts_with("attachment;"));
    let messages = daemon.api().messages().await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["attachments"][0]["name"], "截图gnp.html");
    reply(&daemon, "seen").await;
    visitor.wait_message(|message| message["text"] == "seen").await;
}

#[tokio::test]
async fn what_a_file_may_not_be_is_refused() {
    let daemon =
        Daemon::start(&format!("{CHAT}[channels.web.files]\nbytes_max = 1000\ncount_max = 2\n"))
            .await;
    let visitor = Visitor::new(daemon.port(), "web").await;
    let refused: &[(&str, &[u8], StatusCode, &str)] = &[
        ("a.png", b"", StatusCode::UNPROCESSABLE_ENTITY, "file_empty"),
        ("a.png", b"<html><script>1</script>", StatusCode::UNSUPPORTED_MEDIA_TYPE, "file_type"),
        ("a.svg", b"<svg onload=alert(1)/>", StatusCode::UNSUPPORTED_MEDIA_TYPE, "file_type"),
        ("a.png", b"MZ\x90\0\x03\0\0\0\xff", StatusCode::UNSUPPORTED_MEDIA_TYPE, "file_type"),
        ("a.txt", &[b'x'; 1001], StatusCode::PAYLOAD_TOO_LARGE, "file_too_large"),
    ];
    for (name, bytes, status, code) in refused {
        let answer = visitor.upload(name, bytes).await;
        assert_eq!((answer.status, &answer.body["code"]), (*status, &json!(code)), "{name}");
    }
    let whole = visitor.upload("a.txt", &[b'x'; 1000]).await;
    assert_eq!(whole.status, StatusCode::CREATED, "{}", whole.body);
    let id = &whole.body["id"];
    let many = json!({ "client_id": "1", "text": "x", "attachments": [id, id, id] });
    assert_eq!(visitor.post("messages", &many).await.body["code"], "too_many_files");
    // No form, no file, and a form that breaks off.
    let plain = visitor.request(Method::POST, "uploads").body("x");
    assert_eq!(daemon::send(plain).await.unwrap().status, StatusCode::BAD_REQUEST);
    let form = reqwest::multipart::Form::new().text("other", "x");
    let other = visitor.request(Method::POST, "uploads").multipart(form);
    assert_eq!(daemon::send(other).await.unwrap().status, StatusCode::BAD_REQUEST);
    let broken = visitor
        .request(Method::POST, "uploads")
        .header("content-type", "multipart/form-data; boundary=b")
        .body("--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf");
    assert_eq!(daemon::send(broken).await.unwrap().status, StatusCode::BAD_REQUEST);
}
