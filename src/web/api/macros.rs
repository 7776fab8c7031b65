//! `/macros`: canned answers, kept and used.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State as Get};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::super::{Problem, State};
use super::access::{Agent, Reader};
use super::check;
use super::describe::Errors;
use super::once::{IfMatch, Wish, answered, by, shown};
use super::page::Page;
use super::read::{Body, Id, Kept};
use crate::desk::macros::{Macro, MacroActions, render};
use crate::engine::ReplyRequest;
use crate::model::{ActorKind, MessageId};
use crate::store::{Answer, KeptMacro, MessageView, Principal, TicketPatch, TicketView};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list_macros, add_macro))
        .routes(routes!(change_macro, forget_macro))
        .routes(routes!(use_macro))
}

/// A canned answer.
#[derive(Debug, Serialize, ToSchema)]
struct MacroView {
    /// By which it is named in paths: an id, or the name of one that stands in the settings.
    id: String,
    /// What it is called; no two have the same name.
    name: String,
    /// What is answered, by language, with variables like `{{contact.name}}`. None: nothing is.
    texts: BTreeMap<String, String>,
    /// What is done to the ticket.
    actions: MacroActions,
    /// It stands in the settings file (`[[macros]]`), and is changed there.
    fixed: bool,
    /// Grows with each change; `null` of those in the settings.
    version: Option<i64>,
}

impl From<KeptMacro> for MacroView {
    fn from(kept: KeptMacro) -> Self {
        let (id, version) = (kept.id.to_string(), Some(kept.version));
        Self::new(id, kept.what, version)
    }
}

impl MacroView {
    /// What has no version stands in the settings.
    fn new(id: String, what: Macro, version: Option<i64>) -> Self {
        let Macro { name, texts, actions } = what;
        Self { id, name, texts, actions, fixed: version.is_none(), version }
    }
}

/// List macros
///
/// Those of the settings (`[[macros]]`) first, then those that people keep here, by name. All on one page.
#[utoipa::path(get, path = "/macros", tag = "macros",
    responses((status = 200, body = Page<MacroView>), Errors))]
async fn list_macros(Get(state): Get<State>, _: Reader) -> Result<Json<Page<MacroView>>, Problem> {
    let triage = state.engine.triage();
    let fixed = triage.macros().iter();
    let fixed = fixed.map(|what| MacroView::new(what.name.clone(), what.clone(), None));
    let mut items: Vec<MacroView> = fixed.collect();
    items.extend(state.engine.store.macros().await?.into_iter().map(MacroView::from));
    Ok(Json(Page { items, next_cursor: None }))
}

/// A macro that can be kept: sound, and with a name that none of the settings has.
fn sound(state: &State, mut what: Macro) -> Result<Macro, Problem> {
    what.name = what.name.trim().to_owned();
    if let Some((field, reason)) = what.fault() {
        return Err(Problem::invalid(&field, format!("{field}: {reason}")));
    }
    what.actions.tags = check::tags(&what.actions.tags)?;
    if state.engine.triage().macros().iter().any(|fixed| fixed.name == what.name) {
        return Err(Problem::invalid("name", "name: a macro of the settings file has it"));
    }
    Ok(what)
}

/// Keep a macro
///
/// Texts by language with variables ({{contact.name}}, {{ticket.number}}, {{ticket.subject}},
/// {{agent.name}} …), and what else is done to the ticket. An unknown variable is an error that names it.
#[utoipa::path(post, path = "/macros", tag = "macros", request_body = Macro,
    responses((status = 201, body = MacroView), Errors))]
async fn add_macro(
    Get(state): Get<State>,
    _: Agent,
    Kept(Body { value, .. }): Kept<Macro>,
) -> Result<Response, Problem> {
    let what = sound(&state, value)?;
    let kept = state.engine.store.add_macro(&what, state.engine.clock.now()).await?;
    Ok((StatusCode::CREATED, Json(MacroView::from(kept))).into_response())
}

/// What to change of a macro. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MacroPatch {
    /// What it is called.
    name: Option<String>,
    /// All of its texts.
    texts: Option<BTreeMap<String, String>>,
    /// All of its actions.
    actions: Option<MacroActions>,
}

/// Change a macro
#[utoipa::path(patch, path = "/macros/{id}", tag = "macros", request_body = MacroPatch,
    params(("id" = String, Path, description = "its id"),
        ("If-Match" = Option<String>, Header, min_length = 1, description = "the version that is known")),
    responses((status = 200, body = MacroView), Errors))]
async fn change_macro(
    Get(state): Get<State>,
    _: Agent,
    id: Id,
    version: IfMatch,
    Kept(Body { value, .. }): Kept<MacroPatch>,
) -> Result<Json<MacroView>, Problem> {
    let (store, id) = (&state.engine.store, id.of("macro")?);
    let before = store.kept_macro(id).await?;
    let what = Macro {
        name: value.name.unwrap_or(before.what.name),
        texts: value.texts.unwrap_or(before.what.texts),
        actions: value.actions.unwrap_or(before.what.actions),
    };
    let what = sound(&state, what)?;
    let now = state.engine.clock.now();
    // What was read is what is changed, whether the caller said so or not.
    let known = version.0.or(Some(before.version));
    Ok(Json(store.change_macro(id, &what, known, now).await?.into()))
}

/// Forget a macro
#[utoipa::path(delete, path = "/macros/{id}", tag = "macros",
    params(("id" = String, Path, description = "its id")), responses((status = 204), Errors))]
async fn forget_macro(Get(state): Get<State>, _: Agent, id: Id) -> Result<StatusCode, Problem> {
    state.engine.store.forget_macro(id.of("macro")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How a macro is used.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct MacroUse {
    /// Is it sent and done? Else it is only shown what would be.
    apply: bool,
    /// Sent instead of the macro's text: as somebody changed it.
    text: Option<String>,
}

/// What a macro comes to on a ticket.
#[derive(Debug, Serialize, ToSchema)]
struct MacroResult {
    /// The text, with its variables filled.
    text: Option<String>,
    /// The language of the text.
    language: Option<String>,
    /// What else is done.
    actions: MacroActions,
    /// The reply that was queued.
    message: Option<MessageView>,
    /// The ticket as it is now.
    ticket: TicketView,
}

/// Use a macro on a ticket
///
/// Shows what it comes to: its text in the customer's language, with the variables filled. With `apply` the
/// text is queued as a reply, and its actions are done after that.
#[utoipa::path(post, path = "/tickets/{id}/macros/{macro}", tag = "macros", request_body = MacroUse,
    params(("id" = String, Path, description = "id or number of the ticket"),
        ("macro" = String, Path, description = "id of the macro, or its name in the settings"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, description = "the same again is done once"),
        ("If-Match" = Option<String>, Header, min_length = 1, description = "the version of the ticket that is known")),
    responses((status = 200, body = MacroResult), Errors))]
async fn use_macro(
    Get(state): Get<State>,
    Agent(caller): Agent,
    Path((ticket, named)): Path<(String, String)>,
    version: IfMatch,
    wish: Wish,
    Body { value, fingerprint }: Body<MacroUse>,
) -> Result<Response, Problem> {
    let once = wish.once(&caller, fingerprint, StatusCode::OK);
    let store = &state.engine.store;
    let what = find(&state, &named).await?;
    let ticket = store.ticket(ticket.parse()?).await?;
    let values = values(&state, &caller, &ticket).await?;
    let text = what.text(ticket.language.as_deref());
    let (language, text) = text.map_or((None, None), |(language, text)| {
        (Some(language.to_owned()), Some(render(text, &values)))
    });
    let mut result = MacroResult { text, language, actions: what.actions, message: None, ticket };
    if !value.apply {
        return shown(&result, StatusCode::OK);
    }
    if let Some(text) = value.text {
        result.text = Some(check::text("text", text)?);
    }
    // Before anything is sent: a token is nobody's `me`.
    let patch = patch(&result, &caller)?;
    let id = result.ticket.id.into();
    if let Some(text) = result.text.clone().filter(|text| !text.trim().is_empty()) {
        let reply = ReplyRequest {
            version: version.0,
            once,
            ..ReplyRequest::words(MessageId::new(), id, text, caller.actor.clone())
        };
        match state.engine.reply(reply).await? {
            Answer::Fresh(message) => result.message = Some(message),
            // It was sent the first time; what follows is the same done again.
            Answer::Replayed { .. } => {}
            Answer::KeyReused => return answered::<()>(Answer::KeyReused, StatusCode::OK),
        }
    }
    let by = by(caller, &IfMatch(None), None, state.engine.clock.now());
    result.ticket = store.change_ticket(id, patch, by).await?;
    shown(&result, StatusCode::OK)
}

/// By id, or by its name in the settings.
async fn find(state: &State, named: &str) -> Result<Macro, Problem> {
    let triage = state.engine.triage();
    if let Some(fixed) = triage.macros().iter().find(|fixed| fixed.name == named) {
        return Ok(fixed.clone());
    }
    let id: Uuid = named.parse().map_err(|_| crate::store::StoreError::NotFound("macro"))?;
    Ok(state.engine.store.kept_macro(id).await?.what)
}

/// What the variables stand for.
async fn values(
    state: &State,
    caller: &Principal,
    ticket: &TicketView,
) -> Result<BTreeMap<&'static str, String>, Problem> {
    // A token is nobody in person, and has no address.
    let people = match caller.actor.kind {
        ActorKind::Agent => state.engine.store.people().await?,
        ActorKind::Contact | ActorKind::Token | ActorKind::System => Vec::new(),
    };
    let who = people.into_iter().find(|one| Some(one.id) == caller.actor.id);
    let email = who.map(|one| one.email).unwrap_or_default();
    Ok(BTreeMap::from([
        ("agent.email", email),
        ("agent.name", caller.actor.name.clone()),
        ("channel.name", ticket.channel.clone()),
        ("contact.name", ticket.contact.name.clone()),
        ("ticket.number", ticket.number.to_string()),
        ("ticket.priority", ticket.priority.clone()),
        ("ticket.queue", ticket.queue.clone().unwrap_or_default()),
        ("ticket.status", ticket.status.clone()),
        ("ticket.subject", ticket.subject.clone()),
    ]))
}

/// What is done to the ticket besides. Tags are added to those that it has.
fn patch(result: &MacroResult, caller: &Principal) -> Result<TicketPatch, Problem> {
    let actions = &result.actions;
    let assignee = match actions.assignee.as_deref() {
        Some("me") => match (caller.actor.kind, caller.actor.id) {
            (ActorKind::Agent, Some(id)) => Some(Some(id.to_string())),
            _ => return Err(Problem::invalid("assignee", "assignee: a token is nobody's `me`")),
        },
        other => other.map(|who| Some(who.to_owned())),
    };
    let mut tags = result.ticket.tags.clone();
    tags.extend(actions.tags.iter().cloned());
    Ok(TicketPatch {
        status: actions.status,
        priority: actions.priority,
        queue: actions.queue.clone().map(Some),
        assignee,
        tags: (!actions.tags.is_empty()).then_some(tags),
        ..TicketPatch::default()
    })
}
