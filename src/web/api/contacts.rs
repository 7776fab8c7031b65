//! `/contacts`: people who write to us.

use axum::Json;
use axum::extract::State as Get;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State};
use super::access::{Admin, Agent, Reader};
use super::check;
use super::describe::Errors;
use super::once::{IfMatch, Wish, answered, by, shown};
use super::page::{Cursor, Page, and_one, bad_cursor, limit};
use super::read::{Body, Filters, Id, Kept, emptied, list};
use crate::store::{
    By, ContactBrief, ContactExport, ContactFilter, ContactPatch, ContactView, LinkCode,
    MergedContact, StoreError,
};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list_contacts))
        .routes(routes!(show_contact, change_contact, erase_contact))
        .routes(routes!(merge_contact))
        .routes(routes!(unmerge_contact))
        .routes(routes!(list_joined))
        .routes(routes!(list_similar))
        .routes(routes!(export_contact))
        .routes(routes!(make_link_code))
}

/// Which contacts.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ContactQuery {
    /// Part of the name or of an address.
    q: Option<String>,
    /// All of these tags.
    #[serde(default, deserialize_with = "list")]
    #[param(value_type = Vec<String>, required = false)]
    tag: Vec<String>,
    /// Items of a page, 200 at most. Usual: 50.
    #[param(minimum = 1)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

const LIST: &str = "contacts";
const Q_CHARS_MAX: usize = 200;

/// List contacts
///
/// The newest first; those that were erased or joined with others are not in it.
#[utoipa::path(get, path = "/contacts", tag = "contacts", params(ContactQuery),
    responses((status = 200, body = Page<ContactView>), Errors))]
async fn list_contacts(
    Get(state): Get<State>,
    _: Reader,
    Filters(query): Filters<ContactQuery>,
) -> Result<Json<Page<ContactView>>, Problem> {
    let wanted = limit(query.limit)?;
    let before = match query.cursor.as_deref().map(|text| Cursor::read(LIST, text)).transpose()? {
        None => None,
        Some(place) => match place.as_slice() {
            [id] => Some(id.parse().map_err(|_| bad_cursor())?),
            _ => return Err(bad_cursor()),
        },
    };
    if query.q.as_ref().is_some_and(|q| q.chars().count() > Q_CHARS_MAX) {
        let text = format!("q: {Q_CHARS_MAX} characters at most");
        return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", text));
    }
    let q = query.q.filter(|q| !q.trim().is_empty());
    let filter = ContactFilter { q, tags: query.tag, before, limit: and_one(wanted) };
    let contacts = state.engine.store.contacts(&filter).await?;
    Ok(Json(Page::cut(contacts, wanted, |last| Cursor::new(LIST, [last.id.to_string()]))))
}

/// Show a contact
#[utoipa::path(get, path = "/contacts/{id}", tag = "contacts",
    params(("id" = Uuid, Path, description = "its id")),
    responses((status = 200, body = ContactView), Errors))]
async fn show_contact(Get(state): Get<State>, _: Reader, id: Id) -> Result<Response, Problem> {
    let contact = state.engine.store.contact(id.of("contact")?).await?;
    shown(&contact, StatusCode::OK)
}

/// What to change. What is left out stays; null empties.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ContactPatch)]
struct Patch {
    /// The name to show.
    name: Option<String>,
    /// The language to write in: `zh`, `en-GB`.
    #[serde(default, deserialize_with = "emptied")]
    #[schema(value_type = Option<String>)]
    language: Option<Option<String>>,
    /// What agents should know.
    #[serde(default, deserialize_with = "emptied")]
    #[schema(value_type = Option<String>)]
    note: Option<Option<String>>,
    /// All of their tags.
    tags: Option<Vec<String>>,
}

impl Patch {
    fn checked(self) -> Result<ContactPatch, Problem> {
        let name = self.name.map(|name| check::line("name", &name, 200)).transpose()?;
        let language = self.language.map(|text| check::line_or_none("language", text, 35));
        let note = self.note.map(|note| note.map(|note| check::text("note", note)).transpose());
        let note = note.transpose()?.map(|note| note.filter(|note| !note.trim().is_empty()));
        let tags = self.tags.map(|tags| check::tags(&tags)).transpose()?;
        Ok(ContactPatch { name, language: language.transpose()?, note, tags })
    }
}

/// Change a contact
#[utoipa::path(patch, path = "/contacts/{id}", tag = "contacts", request_body = Patch,
    params(("id" = Uuid, Path, description = "its id"),
        ("If-Match" = Option<String>, Header, min_length = 1, description = "the version that is known")),
    responses((status = 200, body = ContactView), Errors))]
async fn change_contact(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
    Kept(Body { value, .. }): Kept<Patch>,
) -> Result<Response, Problem> {
    let (id, patch) = (id.of("contact")?, value.checked()?);
    let by = by(caller, &version, None, state.engine.clock.now());
    shown(&state.engine.store.change_contact(id, patch, by).await?, StatusCode::OK)
}

/// Erase a contact
///
/// Destroys everything that they wrote and were written, and who they are. It cannot be undone.
#[utoipa::path(delete, path = "/contacts/{id}", tag = "contacts",
    params(("id" = Uuid, Path, description = "its id"),
        ("If-Match" = Option<String>, Header, min_length = 1, description = "the version that is known")),
    responses((status = 200, body = ContactView, description = "what is left"), Errors))]
async fn erase_contact(
    Get(state): Get<State>,
    Admin(caller): Admin,
    id: Id,
    version: IfMatch,
) -> Result<Response, Problem> {
    let id = id.of("contact")?;
    let by = by(caller, &version, None, state.engine.clock.now());
    shown(&state.engine.store.erase_contact(id, by).await?, StatusCode::OK)
}

/// Whom a contact is joined with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ContactMerge {
    /// The contact that stays.
    into: Uuid,
}

/// Join a contact with another
///
/// Its addresses and tickets become the other's.
#[utoipa::path(post, path = "/contacts/{id}/merge", tag = "contacts", request_body = ContactMerge,
    params(("id" = Uuid, Path, description = "the contact that ends"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, description = "the same again is done once"),
        ("If-Match" = Option<String>, Header, min_length = 1, description = "the version that is known")),
    responses((status = 200, body = ContactView, description = "the contact that stays"), Errors))]
async fn merge_contact(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
    wish: Wish,
    Body { value, fingerprint }: Body<ContactMerge>,
) -> Result<Response, Problem> {
    let from = id.of("contact")?;
    let once = wish.once(&caller, fingerprint, StatusCode::OK);
    let store = &state.engine.store;
    if let Err(StoreError::NotFound(_)) = store.contact(value.into.into()).await {
        return Err(Problem::invalid("into", "into: there is no such contact"));
    }
    let by = by(caller, &version, once, state.engine.clock.now());
    answered(store.merge_contact(from, value.into.into(), by).await?, StatusCode::OK)
}

/// List who was joined with a contact
///
/// With what undoing it would move. What earlier versions joined, which kept no record, is not in it.
#[utoipa::path(get, path = "/contacts/{id}/merged", tag = "contacts",
    params(("id" = Uuid, Path, description = "its id")),
    responses((status = 200, body = Page<MergedContact>), Errors))]
async fn list_joined(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
) -> Result<Json<Page<MergedContact>>, Problem> {
    let (store, id) = (&state.engine.store, id.of("contact")?);
    store.contact(id).await?;
    Ok(Json(Page { items: store.merged_contacts(id).await?, next_cursor: None }))
}

/// List who may be the same person
///
/// Those of the same name, if it is more than a first name. Nobody is joined by that.
#[utoipa::path(get, path = "/contacts/{id}/similar", tag = "contacts",
    params(("id" = Uuid, Path, description = "its id")),
    responses((status = 200, body = Page<ContactBrief>), Errors))]
async fn list_similar(
    Get(state): Get<State>,
    _: Reader,
    id: Id,
) -> Result<Json<Page<ContactBrief>>, Problem> {
    let items = state.engine.store.similar_contacts(id.of("contact")?).await?;
    Ok(Json(Page { items, next_cursor: None }))
}

/// Undo the joining of a contact with another
///
/// Its addresses and tickets become its own again, also the tickets that these addresses opened since.
#[utoipa::path(post, path = "/contacts/{id}/unmerge", tag = "contacts",
    params(("id" = Uuid, Path, description = "the contact that was joined with another"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, description = "the same again is done once"),
        ("If-Match" = Option<String>, Header, min_length = 1, description = "the version that is known")),
    responses((status = 200, body = ContactView, description = "the contact that is back"), Errors))]
async fn unmerge_contact(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    version: IfMatch,
    wish: Wish,
) -> Result<Response, Problem> {
    let id = id.of("contact")?;
    let once = wish.once(&caller, String::new(), StatusCode::OK);
    let by = by(caller, &version, once, state.engine.clock.now());
    answered(state.engine.store.unmerge_contact(id, by).await?, StatusCode::OK)
}

/// For how long a code is good.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LinkWish {
    /// In seconds, from 60 to 604800 (a week). Usual: 3600.
    expires_in: Option<u32>,
}

/// Make a code that joins another address with a contact
///
/// Whoever brings the code along once, on a channel whose service vouches for its senders, is this contact: that
/// address and all that was its become the contact's. On Telegram the code comes along with
/// `https://t.me/<bot>?start=<code>`. Give it to nobody but the contact, on a way that only they can read.
#[utoipa::path(post, path = "/contacts/{id}/links", tag = "contacts", request_body = LinkWish,
    params(("id" = Uuid, Path, description = "its id")),
    responses((status = 201, body = LinkCode, description = "the code, told once"), Errors))]
async fn make_link_code(
    Get(state): Get<State>,
    Agent(caller): Agent,
    id: Id,
    Body { value, .. }: Body<LinkWish>,
) -> Result<Response, Problem> {
    let seconds = value.expires_in.unwrap_or(3600);
    if !(60..=604_800).contains(&seconds) {
        let text = "expires_in: from 60 to 604800 seconds";
        return Err(Problem::invalid("expires_in", text));
    }
    let now = state.engine.clock.now();
    let expires_at = now + chrono::Duration::seconds(i64::from(seconds));
    let by = By { actor: caller.actor, version: None, once: None, now };
    let code = state.engine.store.make_link_code(id.of("contact")?, expires_at, by).await?;
    shown(&code, StatusCode::CREATED)
}

/// Hand out everything about a contact
///
/// For the contact: who they are, their tickets, what went in and out. Notes between agents are not in it.
#[utoipa::path(get, path = "/contacts/{id}/export", tag = "contacts",
    params(("id" = Uuid, Path, description = "its id")),
    responses((status = 200, body = ContactExport), Errors))]
async fn export_contact(
    Get(state): Get<State>,
    _: Admin,
    id: Id,
) -> Result<Json<ContactExport>, Problem> {
    let now = state.engine.clock.now();
    Ok(Json(state.engine.store.export_contact(id.of("contact")?, now).await?))
}
