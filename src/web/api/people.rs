//! `/users`, `/tokens`, `/me`: who may use this, and as what.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State as Get;
use axum::http::StatusCode;
use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State, session};
use super::access::{Admin, Reader};
use super::check::line;
use super::describe::Errors;
use super::page::Page;
use super::read::{Body, Id};
use crate::model::{Role, Secret, TokenId, UserId};
use crate::store::{ApiToken, Person};

/// How long a sign-in link is good.
const LINK_VALID: Duration = Duration::days(2);
const NAME_CHARS_MAX: usize = 200;
const QUEUES_MAX: usize = 50;
const QUEUE_CHARS_MAX: usize = 64;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(show_me))
        .routes(routes!(list_users, add_user))
        .routes(routes!(change_user))
        .routes(routes!(disable_user))
        .routes(routes!(reset_second_factor))
        .routes(routes!(forget_sign_on))
        .routes(routes!(make_sign_in_link))
        .routes(routes!(list_tokens, create_token))
        .routes(routes!(revoke_token))
}

/// Who asks.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// `agent` or `token`.
    kind: &'static str,
    /// Their id.
    id: Option<Uuid>,
    /// Their name.
    name: String,
    /// What they may do.
    role: Role,
}

/// Show who asks
#[utoipa::path(get, path = "/me", tag = "people", responses((status = 200, body = Me), Errors))]
async fn show_me(caller: Reader) -> Json<Me> {
    let (actor, role) = (caller.0.actor, caller.0.role);
    Json(Me { kind: actor.kind.as_str(), id: actor.id, name: actor.name, role })
}

/// Somebody who works here.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User)]
struct UserView {
    /// Their id.
    id: Uuid,
    /// As shown beside what they write.
    name: String,
    /// What they sign in with.
    email: String,
    /// What they may do.
    role: Role,
    /// Can they sign in with a password?
    has_password: bool,
    /// Since when.
    created_at: DateTime<Utc>,
    /// Until when.
    disabled_at: Option<DateTime<Utc>>,
    /// Since when a code of an authenticator is asked for too.
    second_factor_at: Option<DateTime<Utc>>,
    /// The queues that they work on.
    queues: Vec<String>,
}

impl UserView {
    fn of(person: Person, teams: &mut BTreeMap<Uuid, Vec<String>>) -> Self {
        Self {
            queues: teams.remove(&person.id).unwrap_or_default(),
            id: person.id,
            name: person.name,
            email: person.email,
            role: person.role,
            has_password: person.has_password,
            created_at: person.created_at,
            disabled_at: person.disabled_at,
            second_factor_at: person.second_factor_at,
        }
    }
}

/// List the people who work here
#[utoipa::path(get, path = "/users", tag = "people",
    responses((status = 200, body = Page<UserView>), Errors))]
async fn list_users(Get(state): Get<State>, _: Reader) -> Result<Json<Page<UserView>>, Problem> {
    let people = state.engine.store.people().await?;
    let mut teams = state.engine.store.teams().await?;
    let items = people.into_iter().map(|person| UserView::of(person, &mut teams)).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// Somebody new.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "Ann", "email": "ann@example.com", "role": "agent" }))]
struct NewUser {
    /// As shown beside what they write.
    name: String,
    /// What they sign in with.
    email: String,
    /// What they may do.
    role: Role,
}

/// Somebody new, and their way in.
#[derive(Debug, Serialize, ToSchema)]
struct AddedUser {
    /// Who.
    user: UserView,
    /// Signs them in once, within two days. Shown this once.
    sign_in: String,
}

/// Add somebody
#[utoipa::path(post, path = "/users", tag = "people", request_body = NewUser,
    responses((status = 201, body = AddedUser), Errors))]
async fn add_user(
    Get(state): Get<State>,
    caller: Admin,
    body: Body<NewUser>,
) -> Result<(StatusCode, Json<AddedUser>), Problem> {
    let NewUser { name, email, role } = body.value;
    let name = line("name", &name, NAME_CHARS_MAX)?;
    let email = line("email", &email, NAME_CHARS_MAX)?;
    if !email.contains('@') {
        return Err(Problem::invalid("email", "email: a mail address"));
    }
    let (store, now) = (&state.engine.store, state.engine.clock.now());
    let person = store.add_person((&name, &email), role, None, &caller.0.actor, now).await?;
    let secret = store.sign_in_link(person.id.into(), LINK_VALID, now).await?;
    let sign_in = session::link(&state.settings.public_url, &secret);
    Ok((
        StatusCode::CREATED,
        Json(AddedUser { user: UserView::of(person, &mut BTreeMap::new()), sign_in }),
    ))
}

/// What becomes of somebody.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "role": "admin" }))]
struct UserPatch {
    /// What they may do from now on.
    role: Option<Role>,
    /// The queues that they work on from now on: their teams.
    queues: Option<Vec<String>>,
}

/// Give somebody another role, or other teams
///
/// A role at once, in all their sessions. The last admin stays one.
#[utoipa::path(patch, path = "/users/{id}", tag = "people", params(("id" = Uuid, Path)),
    request_body = UserPatch, responses((status = 200, body = UserView), Errors))]
async fn change_user(
    Get(state): Get<State>,
    caller: Admin,
    id: Id,
    body: Body<UserPatch>,
) -> Result<Json<UserView>, Problem> {
    let (who, now): (UserId, _) = (id.of("user")?, state.engine.clock.now());
    let (store, by) = (&state.engine.store, &caller.0.actor);
    let queues = body.value.queues.map(|queues| {
        if queues.len() > QUEUES_MAX {
            return Err(Problem::invalid("queues", format!("queues: {QUEUES_MAX} at most")));
        }
        let each = queues.iter().map(|queue| line("queues", queue, QUEUE_CHARS_MAX));
        each.collect::<Result<BTreeSet<String>, Problem>>()
    });
    let queues = queues.transpose()?;
    let person = store.change_person(who, (body.value.role, queues), by, now).await?;
    Ok(Json(UserView::of(person, &mut store.teams().await?)))
}

/// Take somebody's second factor away
///
/// For those who lost their authenticator and their recovery codes.
#[utoipa::path(delete, path = "/users/{id}/second-factor", tag = "people",
    params(("id" = Uuid, Path)), responses((status = 204), Errors))]
async fn reset_second_factor(
    Get(state): Get<State>,
    caller: Admin,
    id: Id,
) -> Result<StatusCode, Problem> {
    let (who, now) = (id.of("user")?, state.engine.clock.now());
    state.engine.store.remove_second_factor(who, &caller.0.actor, now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget by which accounts of identity providers somebody signs in
///
/// For those whose account there was made anew: the next one with their verified mail address is linked.
#[utoipa::path(delete, path = "/users/{id}/sign-on", tag = "people", params(("id" = Uuid, Path)),
    responses((status = 204), Errors))]
async fn forget_sign_on(
    Get(state): Get<State>,
    caller: Admin,
    id: Id,
) -> Result<StatusCode, Problem> {
    let (who, now) = (id.of("user")?, state.engine.clock.now());
    state.engine.store.forget_sign_on(who, &caller.0.actor, now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Let somebody in no more
///
/// Their sessions end and their links are void. What they wrote stays.
#[utoipa::path(post, path = "/users/{id}/disable", tag = "people", params(("id" = Uuid, Path)),
    responses((status = 200, body = UserView), Errors))]
async fn disable_user(
    Get(state): Get<State>,
    caller: Admin,
    id: Id,
) -> Result<Json<UserView>, Problem> {
    let person = person(&state, &id).await?;
    let now = state.engine.clock.now();
    let (store, who) = (&state.engine.store, person.id.to_string());
    let disabled = store.disable_person(&who, &caller.0.actor, now).await?;
    Ok(Json(UserView::of(disabled, &mut store.teams().await?)))
}

/// A link.
#[derive(Debug, Serialize, ToSchema)]
struct SignInLink {
    /// Signs them in once, within two days. Shown this once.
    sign_in: String,
}

/// Make a new sign-in link for somebody
#[utoipa::path(post, path = "/users/{id}/sign-in-link", tag = "people", params(("id" = Uuid, Path)),
    responses((status = 201, body = SignInLink), Errors))]
async fn make_sign_in_link(
    Get(state): Get<State>,
    _: Admin,
    id: Id,
) -> Result<(StatusCode, Json<SignInLink>), Problem> {
    let person = person(&state, &id).await?;
    if person.disabled_at.is_some() {
        let text = "they are disabled: add them anew";
        return Err(Problem::new(StatusCode::CONFLICT, "refused", text));
    }
    let (store, now) = (&state.engine.store, state.engine.clock.now());
    let secret = store.sign_in_link(person.id.into(), LINK_VALID, now).await?;
    let sign_in = session::link(&state.settings.public_url, &secret);
    Ok((StatusCode::CREATED, Json(SignInLink { sign_in })))
}

async fn person(state: &State, id: &Id) -> Result<Person, Problem> {
    let id: UserId = id.of("user")?;
    let people = state.engine.store.people().await?;
    let found = people.into_iter().find(|person| person.id == id.uuid());
    found.ok_or_else(|| Problem::no_such("user"))
}

/// An API token, without what lets anybody in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
struct TokenView {
    /// Its id.
    id: Uuid,
    /// What it is for.
    name: String,
    /// What it may do.
    role: Role,
    /// Since when.
    created_at: DateTime<Utc>,
    /// Until when.
    expires_at: Option<DateTime<Utc>>,
    /// When it was last used, give or take five minutes.
    last_used_at: Option<DateTime<Utc>>,
    /// When somebody revoked it.
    revoked_at: Option<DateTime<Utc>>,
}

impl From<ApiToken> for TokenView {
    fn from(token: ApiToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            role: token.role,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            revoked_at: token.revoked_at,
        }
    }
}

/// List the API tokens
#[utoipa::path(get, path = "/tokens", tag = "people",
    responses((status = 200, body = Page<TokenView>), Errors))]
async fn list_tokens(Get(state): Get<State>, _: Admin) -> Result<Json<Page<TokenView>>, Problem> {
    let tokens = state.engine.store.tokens().await?;
    let items = tokens.into_iter().map(TokenView::from).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// A new token.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "web shop", "role": "agent" }))]
struct NewToken {
    /// What it is for.
    name: String,
    /// What it may do.
    role: Role,
    /// Until when; without it, for ever.
    expires_at: Option<DateTime<Utc>>,
}

/// A new token, and its secret.
#[derive(Debug, Serialize, ToSchema)]
struct CreatedToken {
    /// Its id.
    id: Uuid,
    /// What it is for.
    name: String,
    /// What it may do.
    role: Role,
    /// For `Authorization: Bearer`. Shown this once.
    token: String,
}

/// Make an API token
#[utoipa::path(post, path = "/tokens", tag = "people", request_body = NewToken,
    responses((status = 201, body = CreatedToken), Errors))]
async fn create_token(
    Get(state): Get<State>,
    caller: Admin,
    body: Body<NewToken>,
) -> Result<(StatusCode, Json<CreatedToken>), Problem> {
    let NewToken { name, role, expires_at } = body.value;
    let name = line("name", &name, NAME_CHARS_MAX)?;
    let now = state.engine.clock.now();
    if expires_at.is_some_and(|end| end <= now) {
        return Err(Problem::invalid("expires_at", "expires_at: must lie in the future"));
    }
    let (store, by) = (&state.engine.store, &caller.0.actor);
    let (made, secret) = store.create_token(&name, role, expires_at, by, now).await?;
    let token = Secret::reveal(&secret).to_owned();
    Ok((StatusCode::CREATED, Json(CreatedToken { id: made.id, name, role, token })))
}

/// Make an API token worthless
#[utoipa::path(delete, path = "/tokens/{id}", tag = "people", params(("id" = Uuid, Path)),
    responses((status = 200, body = TokenView), Errors))]
async fn revoke_token(
    Get(state): Get<State>,
    caller: Admin,
    id: Id,
) -> Result<Json<TokenView>, Problem> {
    let id: TokenId = id.of("token")?;
    let now = state.engine.clock.now();
    let (store, by) = (&state.engine.store, &caller.0.actor);
    let revoked = store.revoke_token(&id.to_string(), by, now).await?;
    Ok(Json(revoked.into()))
}
