//! `/me/notifications`: what whoever is signed in wants to be told of.

use axum::Json;
use axum::extract::State as Get;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{Problem, State};
use super::access::Reader;
use super::account::person;
use super::check::line;
use super::describe::Errors;
use super::read::Body;
use crate::desk::notify::Told;

const QUEUES_MAX: usize = 100;
const QUEUE_CHARS_MAX: usize = 64;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(show_told, keep_told))
}

/// What somebody wants to be told of, and how they can be.
#[derive(Debug, Serialize, ToSchema)]
struct Notifications {
    /// What they chose.
    told: Told,
    /// Does the desk send mail to people who work here?
    mail: bool,
}

/// Show what you are told of
#[utoipa::path(get, path = "/me/notifications", tag = "people",
    responses((status = 200, body = Notifications), Errors))]
async fn show_told(Get(state): Get<State>, caller: Reader) -> Result<Json<Notifications>, Problem> {
    let told = state.engine.store.told(person(&caller.0)?).await?;
    Ok(Json(Notifications { told, mail: state.engine.mails_people() }))
}

/// Choose what you are told of
///
/// By mail, if the desk sends any; by the browser, while the console is open in it.
#[utoipa::path(put, path = "/me/notifications", tag = "people", request_body = Told,
    responses((status = 204), Errors))]
async fn keep_told(
    Get(state): Get<State>,
    caller: Reader,
    Body { mut value, .. }: Body<Told>,
) -> Result<StatusCode, Problem> {
    let who = person(&caller.0)?;
    if !["en", "zh"].contains(&value.language.as_str()) {
        return Err(Problem::invalid("language", "language: en or zh"));
    }
    if value.queues.len() > QUEUES_MAX {
        return Err(Problem::invalid("queues", format!("queues: {QUEUES_MAX} at most")));
    }
    if let Some(number) = &mut value.telegram {
        let bad = |_| Problem::invalid("telegram", "telegram: a number, as 123456789");
        // As the service writes it, whatever stood in front: `+77`, `077`.
        *number = number.parse::<u64>().map_err(bad)?.to_string();
    }
    for queue in &value.queues {
        line("queues", queue, QUEUE_CHARS_MAX)?;
    }
    state.engine.store.keep_told(who, &value).await?;
    Ok(StatusCode::NO_CONTENT)
}
