//! A visitor of a web chat, as a native app would be one.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::daemon::{Answer, Events};

/// Somebody with a token.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// `http://host:port/chat/<channel>`.
    pub base: String,
    pub token: String,
    pub client: reqwest::Client,
}

impl Visitor {
    /// Comes in as a stranger.
    pub async fn new(port: u16, channel: &str) -> Self {
        Self::with(port, channel, &json!({})).await
    }

    /// Comes in with what the session is asked with; fails the test if it is refused.
    pub async fn with(port: u16, channel: &str, knock: &Value) -> Self {
        let mut visitor = Self {
            base: format!("http://127.0.0.1:{port}/chat/{channel}"),
            token: String::new(),
            client: super::daemon::client(),
        };
        let answer = visitor.post("session", knock).await;
        assert_eq!(answer.status, StatusCode::OK, "session: {}", answer.body);
        answer.body["token"].as_str().unwrap().clone_into(&mut visitor.token);
        visitor
    }

    /// A request with the token.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, format!("{}/{path}", self.base));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    pub async fn try_post(&self, path: &str, body: &Value) -> reqwest::Result<Answer> {
        let request = self.request(Method::POST, path).json(body);
        super::daemon::send(request).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        super::daemon::send(self.request(Method::GET, path)).await.unwrap()
    }

    /// Writes; fails the test unless it is taken.
    pub async fn write(&self, client_id: &str, text: &str) -> Value {
        let body = json!({ "client_id": client_id, "text": text });
        let answer = self.post("messages", &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
        answer.body
    }

    /// Everything, oldest first.
    pub async fn read(&self) -> Vec<Value> {
        let mut all = Vec::new();
        let mut after = String::new();
        loop {
            let answer = self.get(&format!("messages?after={after}&limit=200")).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            all.extend(answer.body["items"].as_array().unwrap().iter().cloned());
            match answer.body["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut after),
                None => return all,
            }
        }
    }

    /// Waits until a message satisfies the condition, and returns it.
    pub async fn wait_message(&self, what: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let all = self.read().await;
            if let Some(found) = all.iter().find(|message| what(message)) {
                return found.clone();
            }
            let late = tokio::time::Instant::now() >= deadline;
            assert!(!late, "no such message among {all:#?}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Brings a file.
    pub async fn upload(&self, name: &str, bytes: &[u8]) -> Answer {
        let part = reqwest::multipart::Part::bytes(bytes.to_vec()).file_name(name.to_owned());
        // As browsers do: the name as it is, in UTF-8.
        let form = reqwest::multipart::Form::new().percent_encode_noop().part("file", part);
        super::daemon::send(self.request(Method::POST, "uploads").multipart(form)).await.unwrap()
    }

    /// The stream of events after a place, or from now on.
    pub async fn events(&self, last_event_id: Option<&str>) -> Events {
        let mut request = self.request(Method::GET, "events");
        if let Some(id) = last_event_id {
            request = request.header("Last-Event-ID", id);
        }
        let response: Response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        Events::of(response)
    }
}
