//! `/me/second-factor`, `/sessions`: what belongs to whoever is signed in.

use axum::Json;
use axum::extract::{Path, State as Get};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use qrcode::{Color, EcLevel, QrCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State};
use super::access::Reader;
use super::describe::Errors;
use super::page::Page;
use super::read::Body;
use crate::model::{ActorKind, Role, Secret, UserId};
use crate::store::{Code, Principal, SessionView};

/// Longest text that is looked at as a code.
const CODE_CHARS_MAX: usize = 64;
/// White modules around a QR code (ISO/IEC 18004, 6.3.8).
const QUIET: usize = 4;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(begin_second_factor))
        .routes(routes!(confirm_second_factor))
        .routes(routes!(remove_second_factor))
        .routes(routes!(list_sessions))
        .routes(routes!(revoke_session))
}

/// The person who is signed in; programs have no account.
pub(super) fn person(caller: &Principal) -> Result<UserId, Problem> {
    match caller.actor.id {
        Some(id) if caller.actor.kind == ActorKind::Agent => Ok(id.into()),
        Some(_) | None => {
            let text = "this is for people who are signed in, not for tokens";
            Err(Problem::new(StatusCode::CONFLICT, "refused", text))
        }
    }
}

/// A second factor that waits for its first code.
#[derive(Debug, Serialize, ToSchema)]
struct BegunFactor {
    /// For an authenticator, in base32, to be typed.
    secret: String,
    /// The same as an `otpauth:` address.
    uri: String,
    /// The address as a QR code.
    qr: Qr,
}

/// A QR code to be drawn: dark squares on white.
#[derive(Debug, Serialize, ToSchema)]
struct Qr {
    /// Modules of a side, with the white edge: `viewBox="0 0 size size"`.
    size: usize,
    /// The dark ones, for `d` of an SVG path.
    path: String,
}

fn qr(uri: &Secret) -> Result<Qr, Problem> {
    let code = QrCode::with_error_correction_level(uri.reveal(), EcLevel::M);
    let code = code.map_err(|_| {
        let text = "the mail address is too long for a QR code";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", text)
    })?;
    let width = code.width();
    let dark = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == Color::Dark);
    let path = dark
        .map(|(place, _)| format!("M{} {}h1v1h-1z", place % width + QUIET, place / width + QUIET))
        .collect();
    Ok(Qr { size: width + 2 * QUIET, path })
}

/// Begin a second factor
///
/// Makes a secret for an authenticator (TOTP, RFC 6238). It counts once its first code was given.
#[utoipa::path(post, path = "/me/second-factor", tag = "people",
    responses((status = 201, body = BegunFactor), Errors))]
async fn begin_second_factor(
    Get(state): Get<State>,
    caller: Reader,
) -> Result<(StatusCode, Json<BegunFactor>), Problem> {
    let (who, now) = (person(&caller.0)?, state.engine.clock.now());
    let made = state.engine.store.begin_second_factor(who, now).await?;
    let qr = qr(&made.uri)?;
    let (secret, uri) = (made.secret.reveal().to_owned(), made.uri.reveal().to_owned());
    Ok((StatusCode::CREATED, Json(BegunFactor { secret, uri, qr })))
}

/// A code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "code": "123456" }))]
struct GivenCode {
    /// Six digits, or a recovery code.
    code: String,
}

/// Codes for who loses the authenticator; each is good once. Shown this once.
#[derive(Debug, Serialize, ToSchema)]
struct RecoveryCodes {
    /// Ten of them.
    recovery_codes: Vec<String>,
}

/// A code that was looked at, or why not.
fn judged<T>(code: Code<T>) -> Result<T, Problem> {
    match code {
        Code::Right(value) => Ok(value),
        Code::Wrong => {
            Err(Problem::invalid("code", "code: it is wrong, too old, or was used already"))
        }
        Code::TooMany => {
            let text = "too many wrong codes; wait a quarter of an hour";
            Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", text))
        }
    }
}

fn plausible(code: &str) -> Result<&str, Problem> {
    if code.chars().count() > CODE_CHARS_MAX {
        return Err(Problem::invalid("code", "code: six digits, or a recovery code"));
    }
    Ok(code)
}

/// Give the first code of a second factor
#[utoipa::path(post, path = "/me/second-factor/confirm", tag = "people", request_body = GivenCode,
    responses((status = 200, body = RecoveryCodes), Errors))]
async fn confirm_second_factor(
    Get(state): Get<State>,
    caller: Reader,
    body: Body<GivenCode>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let (who, now) = (person(&caller.0)?, state.engine.clock.now());
    let code = plausible(&body.value.code)?;
    let codes = judged(state.engine.store.confirm_second_factor(who, code, now).await?)?;
    let recovery_codes = codes.iter().map(|code| code.reveal().to_owned()).collect();
    Ok(Json(RecoveryCodes { recovery_codes }))
}

/// Remove your second factor
///
/// Takes a code, so that a session that somebody else got hold of cannot do it.
#[utoipa::path(post, path = "/me/second-factor/remove", tag = "people", request_body = GivenCode,
    responses((status = 204), Errors))]
async fn remove_second_factor(
    Get(state): Get<State>,
    caller: Reader,
    body: Body<GivenCode>,
) -> Result<StatusCode, Problem> {
    let (who, now) = (person(&caller.0)?, state.engine.clock.now());
    let (store, code) = (&state.engine.store, plausible(&body.value.code)?);
    judged(store.check_code(who, code, now).await?)?;
    store.remove_second_factor(who, &caller.0.actor, now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A session of the console.
#[derive(Debug, Serialize, ToSchema)]
struct Session {
    /// Names it.
    id: String,
    /// Whose.
    user: Uuid,
    /// Since when.
    created_at: DateTime<Utc>,
    /// When it was last used, give or take five minutes.
    used_at: DateTime<Utc>,
    /// When it ends at the latest.
    expires_at: DateTime<Utc>,
    /// The network address that it began from.
    address: String,
    /// How the browser describes itself.
    client: String,
    /// Is it the one that asks?
    current: bool,
}

/// List sessions of the console
///
/// Your own; an admin sees everybody's.
#[utoipa::path(get, path = "/sessions", tag = "people",
    responses((status = 200, body = Page<Session>), Errors))]
async fn list_sessions(
    Get(state): Get<State>,
    caller: Reader,
) -> Result<Json<Page<Session>>, Problem> {
    let now = state.engine.clock.now();
    let found = state.engine.store.sessions(whose(&caller.0)?, now).await?;
    let view = |one: SessionView| Session {
        current: caller.0.session.as_deref() == Some(&one.id),
        id: one.id,
        user: one.person,
        created_at: one.created_at,
        used_at: one.used_at,
        expires_at: one.expires_at,
        address: one.address,
        client: one.client,
    };
    Ok(Json(Page { items: found.into_iter().map(view).collect(), next_cursor: None }))
}

/// Everybody's for an admin, else one's own.
fn whose(caller: &Principal) -> Result<Option<UserId>, Problem> {
    if caller.role == Role::Admin { Ok(None) } else { person(caller).map(Some) }
}

/// End a session
///
/// One of your own; an admin may end anybody's.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "people", params(("id" = String, Path)),
    responses((status = 204), Errors))]
async fn revoke_session(
    Get(state): Get<State>,
    caller: Reader,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let whose = whose(&caller.0).map_err(|_| Problem::no_such("session"))?;
    let now = state.engine.clock.now();
    state.engine.store.revoke_session(&id, whose, &caller.0.actor, now).await?;
    Ok(StatusCode::NO_CONTENT)
}
