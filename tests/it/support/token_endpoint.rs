//! A token endpoint, and a vault that can fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tributary::channel::Vault;
use tributary::model::{Cause, Secret};

/// What one request held.
pub type Fields = BTreeMap<String, String>;
type Answer = (u16, String);
type Script = Box<dyn FnMut(&Fields) -> Answer + Send>;

struct Shared {
    requests: Mutex<Vec<Fields>>,
    script: Mutex<Script>,
    retry_after: Mutex<Option<String>>,
}

/// A running endpoint; ends with the value.
pub struct TokenEndpoint {
    pub url: String,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for TokenEndpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TokenEndpoint {
    pub async fn start(script: impl FnMut(&Fields) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            script: Mutex::new(Box::new(script)),
            retry_after: Mutex::default(),
        });
        let router = Router::new().route("/{what}", post(answer)).with_state(Arc::clone(&shared));
        let serve = async move { axum::serve(listener, router).await.unwrap() };
        Self { url, shared, task: tokio::spawn(serve).abort_handle() }
    }

    /// Gives tokens `access-1`, `access-2`, …, and takes each refresh token once: it is replaced by the next.
    pub async fn rotating() -> Self {
        let mut count = 0;
        let mut valid = "refresh-0".to_owned();
        Self::start(move |fields| {
            if fields["refresh_token"] != valid {
                return failure(400, "invalid_grant");
            }
            count += 1;
            valid = format!("refresh-{count}");
            let body = serde_json::json!({
                "access_token": format!("access-{count}"),
                "refresh_token": valid,
                "expires_in": 3600,
            });
            (200, body.to_string())
        })
        .await
    }

    pub fn retry_after(&self, seconds: &str) {
        *self.shared.retry_after.lock().unwrap() = Some(seconds.to_owned());
    }

    pub fn requests(&self) -> Vec<Fields> {
        self.shared.requests.lock().unwrap().clone()
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Form(fields): Form<Fields>,
) -> (StatusCode, HeaderMap, String) {
    let (status, body) = (shared.script.lock().unwrap())(&fields);
    shared.requests.lock().unwrap().push(fields);
    let mut headers = HeaderMap::new();
    if let Some(seconds) = shared.retry_after.lock().unwrap().as_ref() {
        headers.insert("retry-after", seconds.parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), headers, body)
}

/// A good answer.
pub fn success(token: &str, life: u64) -> Answer {
    (200, serde_json::json!({ "access_token": token, "expires_in": life }).to_string())
}

/// A bad answer.
pub fn failure(status: u16, error: &str) -> Answer {
    let body = serde_json::json!({ "error": error, "error_description": "AADSTS70008: too old" });
    (status, body.to_string())
}

/// Keeps in memory; fails while told to.
#[derive(Default)]
pub struct MemoryVault {
    pub kept: Mutex<BTreeMap<String, Secret>>,
    pub broken: Mutex<bool>,
}

#[async_trait]
impl Vault for MemoryVault {
    async fn get(&self, name: &str) -> Result<Option<Secret>, Cause> {
        Ok(self.kept.lock().unwrap().get(name).cloned())
    }

    async fn put(&self, name: &str, value: Secret) -> Result<(), Cause> {
        if *self.broken.lock().unwrap() {
            return Err("the disk is full".into());
        }
        self.kept.lock().unwrap().insert(name.to_owned(), value);
        Ok(())
    }
}
