//! `/console/sso/{name}`: signing in by an identity provider (`OpenID` Connect, the authorization code with PKCE).
//!
//! Nothing of a sign-in that is under way is kept here: the browser holds one random secret in a cookie, and
//! `state`, `nonce` and the PKCE verifier are digests of it. So any node can finish what another began, and an
//! answer of the provider is taken only from the browser that asked.

mod provider;
mod settings;
mod token;

use axum::Router;
use axum::extract::{Path, Query, State as Get};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::api::access::cookie;
use super::session::page::{Asked, Language, Why, page};
use super::session::{note_failure, note_origin, session_cookie, set_cookie};
use super::{Problem, State, WebSettings, client};
use crate::model::Secret;
use crate::store::{Account, Admission, NotAdmitted};
pub(super) use provider::Provider;
pub use provider::check;
pub use settings::SsoSettings;

/// A sign-in at the provider may take so long: people look for their second factor.
const COOKIE_SECONDS: u64 = 15 * 60;
/// Longest `code` that is taken back to the provider. All of an answer is one line of a request, which has a limit.
const CODE_BYTES_MAX: usize = 4096;
const NAME_CHARS_MAX: usize = 200;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .route("/console/sso/{name}", get(begin))
        .route("/console/sso/{name}/callback", get(finish))
}

/// Where a provider sends people back to. It has to be entered there.
#[must_use]
pub fn callback_url(public_url: &str, name: &str) -> String {
    format!("{public_url}/console/sso/{name}/callback")
}

/// Why somebody who came back from a provider is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no such provider.
    NoProvider,
    /// Not begun in this browser, or too long ago.
    Stale,
    /// The provider says that they are not to be let in, or they gave up.
    Declined,
    /// It does not answer, or says that it cannot.
    Unreachable,
    /// What it says does not hold.
    Untrusted,
    /// Their address is of no domain that is let in.
    Domain,
    /// None of their groups may work here.
    Groups,
    /// Who they are is clear, and they may not.
    Person(NotAdmitted),
}

impl Refused {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::NoProvider => StatusCode::NOT_FOUND,
            Self::Stale => StatusCode::BAD_REQUEST,
            Self::Unreachable | Self::Untrusted => StatusCode::BAD_GATEWAY,
            Self::Declined | Self::Domain | Self::Groups | Self::Person(_) => StatusCode::FORBIDDEN,
        }
    }

    /// For the audit trail.
    const fn word(self) -> &'static str {
        match self {
            Self::NoProvider => "no_provider",
            Self::Stale => "stale",
            Self::Declined => "declined",
            Self::Unreachable => "unreachable",
            Self::Untrusted => "untrusted",
            Self::Domain => "domain",
            Self::Groups => "groups",
            Self::Person(NotAdmitted::Unknown) => "unknown",
            Self::Person(NotAdmitted::Unverified) => "unverified",
            Self::Person(NotAdmitted::Taken) => "taken",
            Self::Person(NotAdmitted::Disabled) => "disabled",
        }
    }

    /// For people, in English and Chinese.
    pub(super) const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::NoProvider => ("there is no such sign-in service here", "本站没有此登录服务"),
            Self::Stale => (
                "this sign-in was begun in another browser, or took too long; begin again",
                "此次登录并非在本浏览器发起，或已超时；请重新开始",
            ),
            Self::Declined => (
                "the sign-in service did not let you in; try again, or sign in another way",
                "登录服务未允许您登录；请重试或使用其他方式登录",
            ),
            Self::Unreachable => (
                "the sign-in service does not answer; try again in a while, or sign in another way",
                "登录服务没有响应；请稍后再试或使用其他方式登录",
            ),
            Self::Untrusted => (
                "what the sign-in service says about you cannot be trusted; tell your admin",
                "登录服务返回的信息未通过验证；请告知管理员",
            ),
            Self::Domain => (
                "mail addresses of your domain are not let in here; use your work account",
                "您的邮箱域名不允许登录；请使用工作账号",
            ),
            Self::Groups => (
                "none of your groups may work here; ask your admin",
                "您所在的组无权使用本站；请联系管理员",
            ),
            Self::Person(NotAdmitted::Unknown) => (
                "nobody here has your mail address; ask your admin to add you",
                "本站没有使用您邮箱地址的用户；请管理员添加您",
            ),
            Self::Person(NotAdmitted::Unverified) => (
                "the sign-in service has not confirmed your mail address; confirm it there first",
                "登录服务尚未确认您的邮箱地址；请先在该服务中确认",
            ),
            Self::Person(NotAdmitted::Taken) => (
                "your mail address belongs to somebody who signs in by another account; ask your admin",
                "您的邮箱地址已绑定到另一个登录账号；请联系管理员",
            ),
            Self::Person(NotAdmitted::Disabled) => {
                ("you are not let in here any more; ask your admin", "您的账号已停用；请联系管理员")
            }
        }
    }
}

/// What one sign-in is known by, all made of the secret in the cookie.
struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
}

impl Attempt {
    fn of(secret: &str, provider: &str) -> Self {
        let made = |purpose: &str| digest(&format!("{purpose} {provider} {secret}"));
        Self { state: made("state"), nonce: made("nonce"), verifier: made("verifier") }
    }

    /// PKCE, S256.
    fn challenge(&self) -> String {
        digest(&self.verifier)
    }
}

fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text))
}

/// Browsers hold `__Host-` to what only TLS can keep.
fn cookie_of(settings: &WebSettings) -> &'static str {
    if settings.public_url.starts_with("https:") { "__Host-tributary-sso" } else { "tributary-sso" }
}

/// Sends somebody to the provider.
async fn begin(Get(state): Get<State>, Path(name): Path<String>, parts: Parts) -> Response {
    match Box::pin(address(&state, &name, &parts)).await {
        Ok((address, secret)) => {
            let mut response = Redirect::to(&address).into_response();
            let cookie = cookie_of(&state.settings);
            let set = set_cookie(&state.settings, cookie, &secret, COOKIE_SECONDS);
            response.headers_mut().extend(set.map(|set| (header::SET_COOKIE, set)));
            response
        }
        Err(why) => told(&state, &parts, why),
    }
}

async fn address(state: &State, name: &str, parts: &Parts) -> Result<(String, String), Why> {
    let now = state.engine.clock.now();
    // Each may make us ask the provider.
    if state.failures.are_too_many(client::address(parts, &state.settings), now) {
        return Err(Why::TooManyFailures);
    }
    let provider = state.providers.get(name).ok_or(Why::Sso(Refused::NoProvider))?;
    let secret = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
    let attempt = Attempt::of(&secret, name);
    let back = callback_url(&state.settings.public_url, name);
    match provider.authorization(&attempt, &back, now).await {
        Ok(address) => Ok((address.into(), secret)),
        Err(fault) => Err(failed(state, parts, name, fault).await),
    }
}

/// What a provider answers with.
#[derive(Deserialize)]
struct Answered {
    code: Option<Secret>,
    state: Option<String>,
    error: Option<String>,
    /// RFC 9207.
    iss: Option<String>,
}

/// Somebody comes back from the provider.
async fn finish(
    Get(state): Get<State>,
    Path(name): Path<String>,
    Query(answered): Query<Answered>,
    parts: Parts,
) -> Response {
    let mut response = match Box::pin(session(&state, &name, answered, &parts)).await {
        Ok(secret) => {
            let mut response = Redirect::to("/console/").into_response();
            let set = session_cookie(&state.settings, &secret);
            response.headers_mut().extend(set.map(|set| (header::SET_COOKIE, set)));
            response
        }
        Err(why) => told(&state, &parts, why),
    };
    // Good for one answer, whatever became of it.
    if let Some(gone) = set_cookie(&state.settings, cookie_of(&state.settings), "", 0) {
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    response
}

async fn session(
    state: &State,
    name: &str,
    answered: Answered,
    parts: &Parts,
) -> Result<Secret, Why> {
    let now = state.engine.clock.now();
    if state.failures.are_too_many(client::address(parts, &state.settings), now) {
        return Err(Why::TooManyFailures);
    }
    let provider = state.providers.get(name).ok_or(Why::Sso(Refused::NoProvider))?;
    match admitted(state, provider, answered, parts).await? {
        Ok(secret) => {
            note_origin(state, parts, &secret).await?;
            Ok(secret)
        }
        Err(fault) => Err(failed(state, parts, name, fault).await),
    }
}

/// Why a sign-in failed, and what only the log says about it.
pub(super) struct Fault {
    pub(super) refused: Refused,
    pub(super) detail: String,
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self { refused, detail: String::new() }
    }
}

/// Believes nothing until the answer was seen to belong to what this browser began.
async fn admitted(
    state: &State,
    provider: &Provider,
    answered: Answered,
    parts: &Parts,
) -> Result<Result<Secret, Fault>, Problem> {
    let (settings, now) = (&provider.settings, state.engine.clock.now());
    let secret = cookie(&parts.headers, cookie_of(&state.settings)).filter(|text| !text.is_empty());
    let attempt = secret.map(|secret| Attempt::of(secret, &settings.name));
    let given = answered.state.unwrap_or_default();
    let ours = |attempt: &Attempt| attempt.state.as_bytes().ct_eq(given.as_bytes()).into();
    let Some(attempt) = attempt.filter(ours) else { return Ok(Err(Refused::Stale.into())) };
    let code = match (answered.code, answered.error) {
        (Some(code), None) if code.reveal().len() <= CODE_BYTES_MAX => code,
        (_, Some(error)) => {
            let word = error.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40);
            return Ok(Err(Fault { refused: Refused::Declined, detail: word.collect() }));
        }
        (Some(_) | None, None) => return Ok(Err(Refused::Stale.into())),
    };
    let back = callback_url(&state.settings.public_url, &settings.name);
    let claims = match provider.claims(&code, &attempt, (&back, answered.iss.as_deref()), now).await
    {
        Ok(claims) => claims,
        Err(fault) => return Ok(Err(fault)),
    };
    let email = claims.verified_email();
    if !settings.lets_in(email) {
        return Ok(Err(Refused::Domain.into()));
    }
    let Some(role) = settings.role_of(&claims.groups(&settings.groups_claim)) else {
        return Ok(Err(Refused::Groups.into()));
    };
    let account = Account {
        provider: settings.name.clone(),
        issuer: claims.issuer.clone(),
        subject: claims.subject.clone(),
        email: email.map(str::to_owned),
        name: called(&claims, email),
    };
    let admission =
        Admission { create: settings.create, role, role_always: !settings.groups.is_empty() };
    let entered = state.engine.store.sign_on(&account, admission, now).await?;
    Ok(entered.map_err(|why| Refused::Person(why).into()))
}

/// A name of one line for somebody new.
fn called(claims: &token::Claims, email: Option<&str>) -> String {
    let plain = |text: &str| -> String {
        let chars = text.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX);
        chars.collect::<String>().trim().to_owned()
    };
    let before_at = email.and_then(|email| email.split('@').next()).unwrap_or_default();
    let name = claims.name.as_deref().map(plain).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| plain(before_at))
}

async fn failed(state: &State, parts: &Parts, name: &str, fault: Fault) -> Why {
    let Fault { refused, detail } = fault;
    let word = refused.word();
    // Whoever can reach us can cause it; what an admin needs is in the audit trail, and here in full.
    tracing::debug!(sso = name, error = detail, "nobody is let in by sso.{name}: {word}");
    note_failure(state, parts, (&format!("sso.{name}"), word), None).await;
    Why::Sso(refused)
}

fn told(state: &State, parts: &Parts, why: Why) -> Response {
    let asked = Asked::Password(&state.settings.sso);
    page(Language::of(&parts.headers), asked, Some(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_good_for_one_provider_and_one_secret() {
        let one = Attempt::of("secret", "a");
        for other in [Attempt::of("secret", "b"), Attempt::of("another", "a")] {
            assert_ne!(one.state, other.state);
            assert_ne!(one.nonce, other.nonce);
            assert_ne!(one.verifier, other.verifier);
        }
        assert_ne!(one.state, one.nonce);
        assert!((43..=128).contains(&one.verifier.len()), "as RFC 7636 has it");
        assert_eq!(one.challenge(), digest(&one.verifier));
    }
}
