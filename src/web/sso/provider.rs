//! A provider: what it publishes about itself, where it takes codes, and its keys, which change.
//!
//! Its address is the admin's, so it may be inside; other hosts that its document names are held to the open
//! internet, like every address that was not written by an admin.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, header};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::token::{self, BadToken, Claims, Expected, Key};
use super::{Attempt, Fault, Refused, SsoSettings};
use crate::channel::shared::http::{Answer, Call, Http, HttpError, base_url, below};
use crate::channel::shared::tls::is_loopback;
use crate::model::{Secret, Timestamp};

/// What a provider publishes is read again after this time, or when none of the keys that we know has signed.
const FRESH: chrono::Duration = chrono::Duration::hours(1);
/// Somebody waits for the page.
const TIME_MAX: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 512 * 1024;
const KEYS_MAX: usize = 100;

/// One identity provider, and what we know of it.
pub(in super::super) struct Provider {
    pub(super) settings: SsoSettings,
    http: Http,
    known: Mutex<Option<Arc<Known>>>,
}

/// What a provider published.
struct Known {
    document: Document,
    keys: Vec<Key>,
    read_at: Timestamp,
}

/// `OpenID` Connect Discovery 1.0, section 3.
#[derive(Debug, Clone, Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    jwks_uri: Url,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Secret,
}

/// Does the provider publish what we need? For `tributary check --online`; what it says is for people.
pub async fn check(settings: &SsoSettings, now: Timestamp) -> Result<String, String> {
    let provider = Provider::new(settings.clone());
    let known = provider.read(now).await.map_err(|fault| fault.detail)?;
    Ok(format!(
        "{} publishes where to sign in, and {} keys",
        known.document.issuer,
        known.keys.len()
    ))
}

impl Provider {
    pub(in super::super) fn new(settings: SsoSettings) -> Self {
        // Settings are checked before anybody comes here; without an address every call is refused.
        let configured: Vec<Url> = base_url(&settings.issuer).into_iter().collect();
        Self { settings, http: Http::new(&configured), known: Mutex::default() }
    }

    /// Where somebody is sent to sign in.
    pub(super) async fn authorization(
        &self,
        attempt: &Attempt,
        back: &str,
        now: Timestamp,
    ) -> Result<Url, Fault> {
        let known = self.known(now).await?;
        let mut address = known.document.authorization_endpoint.clone();
        let mut scope = "openid email profile".to_owned();
        for more in &self.settings.scopes {
            scope.push(' ');
            scope.push_str(more);
        }
        address
            .query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", back)
            .append_pair("scope", &scope)
            .append_pair("state", &attempt.state)
            .append_pair("nonce", &attempt.nonce)
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(address)
    }

    /// Trades a code for what the provider says about somebody, and believes it if it holds. `back`, `iss`:
    /// where they were sent back to, and who says that it sent them.
    pub(super) async fn claims(
        &self,
        code: &Secret,
        attempt: &Attempt,
        (back, iss): (&str, Option<&str>),
        now: Timestamp,
    ) -> Result<Claims, Fault> {
        let mut known = self.known(now).await?;
        let named = known.document.authorization_response_iss_parameter_supported;
        if iss.map_or(named, |iss| iss != known.document.issuer) {
            return Err(untrusted("the answer came from another provider"));
        }
        let token = self.redeem(&known.document, code, attempt, back).await?;
        let expected = Expected {
            issuer: &known.document.issuer.clone(),
            client_id: &self.settings.client_id,
            nonce: &attempt.nonce,
        };
        let judge = |known: &Known| token::verify(token.reveal(), &known.keys, &expected, now);
        let mut judged = judge(&known);
        if matches!(judged, Err(BadToken::UnknownKey | BadToken::Signature)) {
            // The provider may have changed its keys. Nobody gets so far without a code of its.
            known = self.read(now).await?;
            judged = judge(&known);
        }
        judged.map_err(|bad| untrusted(&bad.to_string()))
    }

    async fn redeem(
        &self,
        document: &Document,
        code: &Secret,
        attempt: &Attempt,
        back: &str,
    ) -> Result<Secret, Fault> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code.reveal()),
            ("redirect_uri", back),
            ("code_verifier", &attempt.verifier),
        ];
        let id = &self.settings.client_id;
        let methods = document.token_endpoint_auth_methods_supported.as_deref();
        let takes = |method: &str| {
            methods.is_none_or(|methods| methods.iter().any(|known| known == method))
        };
        let secret = self.settings.client_secret.as_ref();
        let basic = secret.filter(|_| takes("client_secret_basic"));
        if basic.is_none() {
            fields.push(("client_id", id));
            fields.extend(secret.map(|secret| ("client_secret", secret.reveal())));
        }
        let mut call = limited(Call::post_form(document.token_endpoint.clone(), &fields));
        if let Some(secret) = basic {
            // Not as credentials, which go to the issuer's own host only: some take codes at another one. No
            // redirect is followed, so nobody else sees them.
            call = call.header(header::AUTHORIZATION, basic_auth(id, secret)?);
        }
        let answer = self.http.send(call).await.map_err(|error| unreachable(&error))?;
        Ok(answered::<Tokens>(&answer, "token endpoint")?.id_token)
    }

    async fn known(&self, now: Timestamp) -> Result<Arc<Known>, Fault> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known.filter(|known| now - known.read_at < FRESH) {
            Some(known) => Ok(known),
            None => self.read(now).await,
        }
    }

    /// Reads what the provider publishes now.
    async fn read(&self, now: Timestamp) -> Result<Arc<Known>, Fault> {
        let issuer = base_url(&self.settings.issuer).map_err(|why| untrusted(&why))?;
        let place = below(&issuer, &[".well-known", "openid-configuration"]);
        let answer = self.http.send(limited(Call::get(place))).await;
        let answer = answer.map_err(|error| unreachable(&error))?;
        let document: Document = answered(&answer, "discovery document")?;
        if document.issuer.trim_end_matches('/') != self.settings.issuer.trim_end_matches('/') {
            return Err(untrusted("its document is that of another issuer"));
        }
        let ends = [&document.authorization_endpoint, &document.token_endpoint, &document.jwks_uri];
        if !ends.into_iter().all(is_encrypted) {
            return Err(untrusted("its document names an address without encryption"));
        }
        let answer = self.http.send(limited(Call::get(document.jwks_uri.clone()))).await;
        let set: KeySet = answered(&answer.map_err(|error| unreachable(&error))?, "keys")?;
        // A sort of key that we do not know is none of those that sign for us.
        let keys = set.keys.into_iter().take(KEYS_MAX);
        let keys: Vec<Key> = keys.filter_map(|key| serde_json::from_value(key).ok()).collect();
        if keys.is_empty() {
            return Err(untrusted("it publishes no keys"));
        }
        let known = Arc::new(Known { document, keys, read_at: now });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }
}

fn limited(call: Call) -> Call {
    call.time_max(TIME_MAX).answer_bytes_max(ANSWER_BYTES_MAX)
}

fn is_encrypted(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && url.host_str().is_some_and(is_loopback))
}

/// RFC 6749, 2.3.1: both parts are written as in a form first.
fn basic_auth(id: &str, secret: &Secret) -> Result<HeaderValue, Fault> {
    let form =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pair = STANDARD.encode(format!("{}:{}", form(id), form(secret.reveal())));
    let mut value = HeaderValue::try_from(format!("Basic {pair}"))
        .map_err(|_| untrusted("the client's secret fits into no header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unreachable(error: &HttpError) -> Fault {
    Fault { refused: Refused::Unreachable, detail: error.to_string() }
}

fn untrusted(why: &str) -> Fault {
    Fault { refused: Refused::Untrusted, detail: why.to_owned() }
}

/// What stands in a good answer.
fn answered<T: serde::de::DeserializeOwned>(answer: &Answer, what: &str) -> Result<T, Fault> {
    let status = answer.status;
    if status.is_server_error() || status.as_u16() == 429 {
        let detail = format!("the {what} of {} answers {status}", answer.host());
        return Err(Fault { refused: Refused::Unreachable, detail });
    }
    if !status.is_success() {
        return Err(untrusted(&format!("the {what} of {} answers {status}", answer.host())));
    }
    answer.json().map_err(|error| untrusted(&format!("the {what}: {error}")))
}
