//! An identity provider as `OpenID` Connect describes one: discovery, keys, codes held to PKCE, signed ID tokens.
//! It knows the public protocol and nothing of us; it can be told to do wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Json, Redirect, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

pub const CLIENT: &str = "tributary";
/// With signs that a form writes otherwise.
pub const SECRET: &str = "geheim: 100% & more";

/// What it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Nothing,
    Nonce,
    Audience,
    Issuer,
    Expired,
    /// `alg: none`, without a signature.
    Unsigned,
    /// Signed by somebody else's key under the name of a known one.
    ForeignKey,
    /// The token endpoint answers 500.
    Broken,
    /// The token endpoint says nothing for a minute.
    Slow,
    /// People are sent back with `access_denied`.
    Declines,
    /// The answer names another issuer (RFC 9207).
    MixedUp,
}

/// What signs.
enum Pair {
    Rsa(Box<RsaKeyPair>),
    Curve(Box<EcdsaKeyPair>),
}

struct Key {
    id: String,
    pair: Pair,
}

struct Grant {
    challenge: String,
    nonce: String,
    redirect_uri: String,
}

struct Shared {
    issuer: String,
    key: Mutex<Key>,
    wrong: Mutex<Wrong>,
    account: Mutex<Value>,
    grants: Mutex<BTreeMap<String, Grant>>,
    asked: Mutex<BTreeMap<String, usize>>,
}

/// A running provider; ends with the value.
pub struct IdentityProvider {
    pub issuer: String,
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn part(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa_key() -> Key {
    let der = include_bytes!("../../fixtures/sso/rsa.pk8");
    let pair = RsaKeyPair::from_pkcs8(der).unwrap();
    Key { id: "rsa".to_owned(), pair: Pair::Rsa(Box::new(pair)) }
}

fn curve_key(id: &str) -> Key {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).unwrap();
    Key { id: id.to_owned(), pair: Pair::Curve(Box::new(pair)) }
}

impl Key {
    fn published(&self) -> Value {
        match &self.pair {
            Pair::Rsa(pair) => {
                let key = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                let (n, e) = (part(key.n), part(key.e));
                json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id, "n": n, "e": e })
            }
            Pair::Curve(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (part(&point[1..33]), part(&point[33..]));
                json!({ "kty": "EC", "use": "sig", "crv": "P-256", "kid": self.id, "x": x, "y": y })
            }
        }
    }

    fn sign(&self, kid: &str, claims: &Value) -> String {
        let algorithm = match &self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Curve(_) => "ES256",
        };
        let header = json!({ "alg": algorithm, "typ": "JWT", "kid": kid });
        let message = format!("{}.{}", part(header.to_string()), part(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let bytes = message.as_bytes();
                pair.sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature).unwrap();
                signature
            }
            Pair::Curve(pair) => pair.sign(&random, message.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{message}.{}", part(signature))
    }
}

impl IdentityProvider {
    /// Signs with RS256, and knows somebody called Lena.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            issuer: issuer.clone(),
            key: Mutex::new(rsa_key()),
            wrong: Mutex::new(Wrong::Nothing),
            account: Mutex::new(json!({
                "sub": "lena-1", "name": "Lena", "email": "lena@desk.test", "email_verified": true,
            })),
            grants: Mutex::default(),
            asked: Mutex::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(Arc::clone(&shared));
        let serve = async move { axum::serve(listener, router).await.unwrap() };
        Self { issuer, shared, task: tokio::spawn(serve).abort_handle() }
    }

    /// Does this wrong from now on.
    pub fn does(&self, wrong: Wrong) {
        *self.shared.wrong.lock().unwrap() = wrong;
    }

    /// Who signs in from now on, and what is said about them.
    pub fn knows(&self, account: Value) {
        *self.shared.account.lock().unwrap() = account;
    }

    /// Signs with a new key (ES256) from now on, and publishes only that.
    pub fn change_keys(&self, id: &str) {
        *self.shared.key.lock().unwrap() = curve_key(id);
    }

    /// How often something was asked for.
    pub fn asked(&self, what: &str) -> usize {
        self.shared.asked.lock().unwrap().get(what).copied().unwrap_or_default()
    }
}

impl Shared {
    fn count(&self, what: &str) {
        *self.asked.lock().unwrap().entry(what.to_owned()).or_default() += 1;
    }

    fn wrong(&self) -> Wrong {
        *self.wrong.lock().unwrap()
    }
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.count("discovery");
    let issuer = &shared.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize?tenant=7"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn keys(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.count("keys");
    let odd = json!({ "kty": "AKP", "kid": "tomorrow", "pub": "x" });
    Json(json!({ "keys": [odd, shared.key.lock().unwrap().published()] }))
}

/// A person sees a page and goes on; a program is sent on at once.
async fn authorize(
    State(shared): State<Arc<Shared>>,
    Query(asked): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let given = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let scopes = given("scope");
    let right = given("response_type") == "code"
        && given("client_id") == CLIENT
        && given("tenant") == "7"
        && given("code_challenge_method") == "S256"
        && scopes.split(' ').any(|scope| scope == "openid");
    if !right {
        return (StatusCode::BAD_REQUEST, format!("{asked:?}")).into_response();
    }
    let mut back = url::Url::parse(&given("redirect_uri")).unwrap();
    let wrong = shared.wrong();
    if wrong == Wrong::Declines {
        back.query_pairs_mut().append_pair("error", "access_denied");
    } else {
        let code = uuid::Uuid::new_v4().to_string();
        let grant = Grant {
            challenge: given("code_challenge"),
            nonce: given("nonce"),
            redirect_uri: given("redirect_uri"),
        };
        shared.grants.lock().unwrap().insert(code.clone(), grant);
        back.query_pairs_mut().append_pair("code", &code);
    }
    let issuer = if wrong == Wrong::MixedUp { "https://evil.example" } else { &shared.issuer };
    back.query_pairs_mut().append_pair("state", &given("state")).append_pair("iss", issuer);
    let html = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if html.is_some_and(|accept| accept.contains("text/html")) {
        let href = back.as_str().replace('&', "&amp;");
        return Html(format!("<!doctype html><a id=\"go\" href=\"{href}\">Go on as Lena</a>"))
            .into_response();
    }
    Redirect::to(back.as_str()).into_response()
}

fn error(status: u16, word: &str) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(json!({ "error": word }))).into_response()
}

/// Both parts as in a form (RFC 6749, 2.3.1).
fn client_of(headers: &HeaderMap) -> Option<(String, String)> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(STANDARD.decode(given).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    let read = |text: &str| {
        let pairs = format!("x={text}");
        let found = url::form_urlencoded::parse(pairs.as_bytes()).next();
        found.map(|(_, value)| value.into_owned())
    };
    Some((read(id)?, read(secret)?))
}

async fn token(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Form(fields): Form<BTreeMap<String, String>>,
) -> Response {
    shared.count("token");
    let wrong = shared.wrong();
    if wrong == Wrong::Broken {
        return error(500, "server_error");
    }
    if wrong == Wrong::Slow {
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    }
    let given = |name: &str| fields.get(name).cloned().unwrap_or_default();
    if client_of(&headers) != Some((CLIENT.to_owned(), SECRET.to_owned())) {
        return error(401, "invalid_client");
    }
    let grant = shared.grants.lock().unwrap().remove(&given("code"));
    let Some(grant) = grant.filter(|_| given("grant_type") == "authorization_code") else {
        return error(400, "invalid_grant");
    };
    let challenge = part(Sha256::digest(given("code_verifier")));
    if grant.redirect_uri != given("redirect_uri") || grant.challenge != challenge {
        return error(400, "invalid_grant");
    }
    let now = chrono::Utc::now().timestamp();
    let mut claims = shared.account.lock().unwrap().clone();
    claims["iss"] =
        json!(if wrong == Wrong::Issuer { "https://evil.example" } else { &shared.issuer });
    claims["aud"] = json!(if wrong == Wrong::Audience { "another" } else { CLIENT });
    claims["nonce"] = json!(if wrong == Wrong::Nonce { "another" } else { &grant.nonce });
    claims["iat"] = json!(now - 3600);
    claims["exp"] = json!(if wrong == Wrong::Expired { now - 1800 } else { now + 300 });
    let key = shared.key.lock().unwrap();
    let id_token = if wrong == Wrong::Unsigned {
        let header = json!({ "alg": "none", "kid": key.id });
        format!("{}.{}.", part(header.to_string()), part(claims.to_string()))
    } else if wrong == Wrong::ForeignKey {
        curve_key("x").sign(&key.id, &claims)
    } else {
        key.sign(&key.id, &claims)
    };
    Json(json!({
        "access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": id_token,
    }))
    .into_response()
}
