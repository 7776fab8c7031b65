//! `/stats`: how much came, how fast it was answered and solved.

use axum::Json;
use axum::extract::State as Get;
use axum::http::StatusCode;
use chrono::{DateTime, Duration, Utc};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{Problem, State};
use super::access::Reader;
use super::describe::Errors;
use super::read::Filters;
use crate::store::{Stats, StatsFilter};

/// Usual span.
const DAYS_USUAL: i64 = 30;
/// Longest span.
const DAYS_MAX: i64 = 366;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(show_stats))
}

/// Of what.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StatsQuery {
    /// From this moment. Usual: 30 days before `to`.
    pub(super) from: Option<DateTime<Utc>>,
    /// Until before this moment. Usual: now.
    pub(super) to: Option<DateTime<Utc>>,
    /// Only this channel.
    pub(super) channel: Option<String>,
}

/// Show figures
///
/// Volumes, first-response and resolution times of a span of at most 366 days: in all, by channel, by
/// language, by tag, by known answer and by day (UTC), with how customers judged and what their remarks are about. Times are of the tickets that were opened within the span; spam is not counted.
#[utoipa::path(get, path = "/stats", tag = "stats", params(StatsQuery),
    responses((status = 200, body = Stats), Errors))]
async fn show_stats(
    Get(state): Get<State>,
    _: Reader,
    Filters(query): Filters<StatsQuery>,
) -> Result<Json<Stats>, Problem> {
    let (from, to) = span(&state, query.from, query.to)?;
    let filter = StatsFilter { from, to, channel: query.channel };
    Ok(Json(state.engine.store.stats(&filter).await?))
}

/// The span that is wanted: it has a beginning, an end and a limit.
pub(super) fn span(
    state: &State,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
) -> Result<(DateTime<Utc>, DateTime<Utc>), Problem> {
    let to = to.unwrap_or_else(|| state.engine.clock.now());
    let from = from.unwrap_or_else(|| to - Duration::days(DAYS_USUAL));
    let bad = |text: &str| Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", text));
    if from >= to {
        return bad("from: must be before `to`");
    }
    if to - from > Duration::days(DAYS_MAX) {
        return bad("from: at most 366 days before `to`");
    }
    Ok((from, to))
}
