//! A person agrees that we read their mail: once, from the command line.
//!
//! Either in a browser on this machine (authorization code with PKCE, RFC 8252) or with a short code
//! on any other device (RFC 8628). What comes out is a refresh token in the vault.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::super::settings::{Grant, OAuth};
use super::{TokenError, endpoint};
use crate::channel::{Prompt, Vault, Way};
use crate::model::Secret;

#[derive(Deserialize)]
struct DeviceAnswer {
    device_code: Secret,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    expires_in: Option<u64>,
    interval: Option<u64>,
}

/// Shows the person what to do, waits until they did it (`limit` at most), and keeps the refresh token.
pub async fn login(
    oauth: &OAuth,
    vault: &dyn Vault,
    way: Way,
    limit: Duration,
    show: &(dyn Fn(Prompt) + Sync),
) -> Result<(), TokenError> {
    let Grant::RefreshToken(given) = &oauth.grant else {
        return Err(TokenError::account("this grant needs no login: it is the application's own"));
    };
    let client = endpoint::client().map_err(TokenError::account)?;
    let deadline = Instant::now() + limit;
    let answer = match way {
        Way::Browser => browser(oauth, &client, deadline, show).await?,
        Way::Device => device(oauth, &client, deadline, show).await?,
    };
    let token = answer.refresh_token.ok_or_else(|| {
        TokenError::account("the provider gave no refresh token: is `offline` access in the scope?")
    })?;
    super::keep(vault, &oauth.vault_name, &token, given.as_ref()).await
}

async fn browser(
    oauth: &OAuth,
    client: &reqwest::Client,
    deadline: Instant,
    show: &(dyn Fn(Prompt) + Sync),
) -> Result<endpoint::Answer, TokenError> {
    let mut url = oauth.authorize_url.clone().ok_or_else(|| {
        TokenError::account("the provider has no `authorize_url`: log in with a code instead")
    })?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(TokenError::retry)?;
    let port = listener.local_addr().map_err(TokenError::retry)?.port();
    let redirect = format!("http://127.0.0.1:{port}/");
    let (verifier, state) = (random(), random());
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &oauth.client_id)
        .append_pair("redirect_uri", &redirect)
        .append_pair("scope", &oauth.scope)
        .append_pair("state", &state)
        .append_pair("code_challenge", &challenge)
        .append_pair("code_challenge_method", "S256")
        .append_pair("access_type", "offline")
        .append_pair("prompt", "consent");
    show(Prompt::Open(url));
    let code = timeout_at(deadline, wait_for_code(&listener, &state))
        .await
        .map_err(|_| TokenError::retry("nobody agreed in time"))??;
    let mut form = vec![
        ("grant_type", "authorization_code".to_owned()),
        ("code", code),
        ("redirect_uri", redirect),
        ("client_id", oauth.client_id.clone()),
        ("code_verifier", verifier),
    ];
    let secret = oauth.client_secret.as_ref();
    form.extend(secret.map(|secret| ("client_secret", secret.reveal().to_owned())));
    endpoint::ask(client, &oauth.token_url, &form).await
}

/// Browsers ask for more than the one page (icons): only the request that bears our state counts.
async fn wait_for_code(listener: &TcpListener, state: &str) -> Result<String, TokenError> {
    loop {
        let (mut stream, _) = listener.accept().await.map_err(TokenError::retry)?;
        let Ok(Some(asked)) =
            tokio::time::timeout(Duration::from_secs(10), request(&mut stream)).await
        else {
            continue;
        };
        let value = |name: &str| {
            asked.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        if value("state").as_deref() != Some(state) {
            answer(&mut stream, "404 Not Found", "").await;
            continue;
        }
        if let Some(code) = value("code") {
            answer(&mut stream, "200 OK", "Done. You can close this page.").await;
            return Ok(code);
        }
        answer(&mut stream, "200 OK", "Not agreed. You can close this page.").await;
        let error = value("error").unwrap_or_default();
        return Err(TokenError::account(format!("the provider says: {error}")));
    }
}

/// The address in the first line of an HTTP request.
async fn request(stream: &mut TcpStream) -> Option<Url> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if bytes.len() > 16 << 10 {
            return None;
        }
        bytes.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(bytes).ok()?;
    let target = text.strip_prefix("GET ")?.split(' ').next()?;
    Url::parse("http://127.0.0.1/").ok()?.join(target).ok()
}

/// What the browser shows. Whether it got it does not matter to us.
async fn answer(stream: &mut TcpStream, status: &str, text: &str) {
    let length = text.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{text}"
    );
    stream.write_all(answer.as_bytes()).await.ok();
    stream.shutdown().await.ok();
}

async fn device(
    oauth: &OAuth,
    client: &reqwest::Client,
    deadline: Instant,
    show: &(dyn Fn(Prompt) + Sync),
) -> Result<endpoint::Answer, TokenError> {
    let url = oauth.device_url.as_ref().ok_or_else(|| {
        TokenError::account("the provider has no `device_url`: log in with a browser instead")
    })?;
    let form = [("client_id", oauth.client_id.clone()), ("scope", oauth.scope.clone())];
    let reply = endpoint::post(client, url, &form).await?;
    if !(200..300).contains(&reply.status) {
        return Err(reply.refusal());
    }
    let started: DeviceAnswer = reply.json()?;
    show(Prompt::Enter { url: started.verification_uri, code: started.user_code });
    let deadline =
        deadline.min(Instant::now() + Duration::from_secs(started.expires_in.unwrap_or(900)));
    let mut interval = Duration::from_secs(started.interval.unwrap_or(5));
    let mut form = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code".to_owned()),
        ("device_code", started.device_code.reveal().to_owned()),
        ("client_id", oauth.client_id.clone()),
    ];
    let secret = oauth.client_secret.as_ref();
    form.extend(secret.map(|secret| ("client_secret", secret.reveal().to_owned())));
    // A person types meanwhile: this is the command line, not an adapter's session.
    while Instant::now() + interval < deadline {
        tokio::time::sleep(interval).await;
        let reply = endpoint::post(client, &oauth.token_url, &form).await?;
        if (200..300).contains(&reply.status) {
            return reply.token();
        }
        match reply.failure().error.as_str() {
            "authorization_pending" => {}
            "slow_down" => interval += Duration::from_secs(5),
            _ => return Err(reply.refusal()),
        }
    }
    Err(TokenError::retry("nobody agreed in time"))
}

/// 256 random bits, fit for an address.
fn random() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}
