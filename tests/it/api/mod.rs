//! `/api/v1` over real HTTP.

mod access;

use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

/// The answer to a request: its status, headers and JSON (null if there is none).
async fn send(request: RequestBuilder) -> (StatusCode, reqwest::header::HeaderMap, Value) {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status(), answer.headers().clone());
    let text = answer.text().await.unwrap();
    (status, headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// Fails the test unless the request is answered with this problem. Returns its `detail`.
async fn refused(request: RequestBuilder, status: u16, code: &str) -> String {
    let (got, headers, body) = send(request).await;
    assert_eq!((got.as_u16(), body["code"].as_str()), (status, Some(code)), "{body}");
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(body["type"], "about:blank");
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string());
    body["detail"].as_str().unwrap().to_owned()
}
