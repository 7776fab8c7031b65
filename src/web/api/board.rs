//! `/stats/board`, `/stats/plots/…`, `/stats/tables/…`: the figures of the dashboard, as JSON, drawn, and for
//! spreadsheets.

use axum::Json;
use axum::extract::{Path, State as Get};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::plot::{self, Drawn, Ground, NotDrawn, Series};
use super::super::{Problem, State};
use super::access::Reader;
use super::describe::Errors;
use super::read::{Filters, list};
use super::stats::span;
use super::tickets::{Whose, assignee, is_none};
use crate::store::{Board, BoardRow, Principal, StatsFilter, TicketFilter, TicketKey};

/// Names in a plot: more is a table to read.
const NAMES_MAX: usize = 10;

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(show_board))
        .routes(routes!(show_plot))
        .routes(routes!(show_table))
}

/// Of what.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BoardQuery {
    /// From this moment. Usual: 30 days before `to`.
    from: Option<DateTime<Utc>>,
    /// Until before this moment. Usual: now.
    to: Option<DateTime<Utc>>,
    /// Only of these channels.
    #[serde(default, deserialize_with = "list")]
    #[param(value_type = Vec<String>, required = false)]
    channel: Vec<String>,
    /// Only with all of these tags.
    #[serde(default, deserialize_with = "list")]
    #[param(value_type = Vec<String>, required = false)]
    tag: Vec<String>,
    /// Only of this queue; `none` for those of no queue.
    queue: Option<String>,
    /// Only of this person: id, mail address or name; `me`; `none`.
    assignee: Option<String>,
}

async fn board(state: &State, caller: &Principal, query: BoardQuery) -> Result<Board, Problem> {
    let span = span(state, query.from, query.to)?;
    let mut filter = TicketFilter {
        status: Vec::new(),
        priority: Vec::new(),
        channel: query.channel,
        assignee: None,
        tag: query.tag,
        queue: query.queue.map(|queue| Some(queue).filter(|queue| !is_none(queue))),
        contact: None,
        updated_after: None,
        waiting: None,
        mentioned: None,
        team: None,
        q: None,
        key: TicketKey::Created,
        descending: false,
        after: None,
        limit: 0,
    };
    if let Some(who) = query.assignee {
        filter.assignee = match assignee(state, caller, &who).await? {
            Whose::Nobodys => Some(None),
            Whose::Theirs(id) => Some(Some(id)),
            // Nobody's id: it finds nothing.
            Whose::Unknown => Some(Some(uuid::Uuid::nil())),
        };
    }
    Ok(state.engine.store.board(span, &filter).await?)
}

/// Show the dashboard
///
/// Figures of a span of at most 366 days by day (UTC), channel and tag, of the tickets that the filters find: what
/// came, what was answered and how fast, what is left, and how customers judged. Spam is not counted.
#[utoipa::path(get, path = "/stats/board", tag = "stats", params(BoardQuery),
    responses((status = 200, body = Board), Errors))]
async fn show_board(
    Get(state): Get<State>,
    caller: Reader,
    Filters(query): Filters<BoardQuery>,
) -> Result<Json<Board>, Problem> {
    board(&state, &caller.0, query).await.map(Json)
}

/// What a plot shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plot {
    Volumes,
    Times,
    Backlog,
    Channels,
    Topics,
    Satisfaction,
    Spark,
    Known,
}

/// `volumes-light.svg`.
fn named(name: &str) -> Option<(Plot, Ground)> {
    let (plot, ground) = name.strip_suffix(".svg")?.split_once('-')?;
    let plot = match plot {
        "volumes" => Plot::Volumes,
        "times" => Plot::Times,
        "backlog" => Plot::Backlog,
        "channels" => Plot::Channels,
        "topics" => Plot::Topics,
        "satisfaction" => Plot::Satisfaction,
        "spark" => Plot::Spark,
        "known" => Plot::Known,
        _ => return None,
    };
    let ground = match ground {
        "light" => Ground::Light,
        "dark" => Ground::Dark,
        _ => return None,
    };
    Some((plot, ground))
}

/// Draw a plot of the dashboard
///
/// `volumes` (tickets opened and solved, messages in), `times` (medians in hours until the first answer and the end),
/// `backlog`, `channels`, `topics` (tags), `satisfaction` (judgements from 1 to 5), `spark` (a small one of the messages
/// that came, without axes), `known` (known answers that went out by themselves, by article), each with `-light.svg` or
/// `-dark.svg`. The numbers are those of the dashboard.
#[utoipa::path(get, path = "/stats/plots/{name}", tag = "stats",
    params(("name" = String, Path, description = "such as `volumes-light.svg`"), BoardQuery),
    responses((status = 200, description = "the plot", body = String, content_type = "image/svg+xml"), Errors))]
async fn show_plot(
    Get(state): Get<State>,
    caller: Reader,
    Path(name): Path<String>,
    Filters(query): Filters<BoardQuery>,
) -> Result<Response, Problem> {
    let (plot, ground) = named(&name).ok_or_else(|| Problem::no_such("plot"))?;
    let channel = query.channel.first().cloned();
    let board = board(&state, &caller.0, query).await?;
    let known =
        if plot == Plot::Known { known(&state, &board, channel).await? } else { Vec::new() };
    let drawn = tokio::task::spawn_blocking(move || draw(plot, &board, &known, ground)).await;
    let svg = drawn.map_err(|error| not_drawn(&error.to_string()))?;
    let svg = svg.map_err(|error| not_drawn(&error.to_string()))?;
    let headers = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        // A page that shows several sizes or grounds of it asks once.
        (header::CACHE_CONTROL, "private, max-age=30"),
    ];
    Ok((headers, svg).into_response())
}

fn not_drawn(error: &str) -> Problem {
    tracing::error!(error, "a plot of the dashboard was not drawn");
    let text = "the plot could not be drawn; its numbers are in /stats/board";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", text)
}

/// Known answers of the same span and channel, with how often each went out by itself. What else is filtered by does
/// not count here: they go out before anybody has sorted a ticket.
async fn known(
    state: &State,
    board: &Board,
    channel: Option<String>,
) -> Result<Vec<(String, f64)>, Problem> {
    let filter = StatsFilter { from: board.from, to: board.to, channel };
    let figures = state.engine.store.answer_figures(&filter).await?;
    let mut rows: Vec<_> = figures.into_iter().map(|(article, of)| (article, of.shown)).collect();
    rows.sort_by_key(|(_, shown)| std::cmp::Reverse(*shown));
    Ok(rows.into_iter().take(NAMES_MAX).map(|(article, shown)| (article, count(shown))).collect())
}

fn draw(
    plot: Plot,
    board: &Board,
    known: &[(String, f64)],
    ground: Ground,
) -> Result<String, NotDrawn> {
    let days: Vec<String> = board.days.iter().map(|day| day.name.clone()).collect();
    let series = |drawn: Drawn, value: fn(&BoardRow) -> Option<f64>| Series {
        drawn,
        values: board.days.iter().map(value).collect(),
    };
    let opened = |rows: &[BoardRow]| -> Vec<(String, f64)> {
        let mut rows: Vec<_> = rows.iter().filter(|row| row.opened > 0).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.opened));
        rows.iter().take(NAMES_MAX).map(|row| (row.name.clone(), count(row.opened))).collect()
    };
    match plot {
        Plot::Volumes => {
            let all = [
                series(Drawn::Bars, |day| Some(count(day.opened))),
                series(Drawn::Bars, |day| Some(count(day.solved))),
                series(Drawn::Line, |day| Some(count(day.messages_in))),
            ];
            plot::over_time(&days, &all, ground)
        }
        Plot::Times => {
            let all = [
                series(Drawn::Line, |day| day.first_response.map(|seconds| seconds / 3600.0)),
                series(Drawn::Line, |day| day.resolution.map(|seconds| seconds / 3600.0)),
            ];
            plot::over_time(&days, &all, ground)
        }
        Plot::Backlog => {
            plot::over_time(&days, &[series(Drawn::Line, |day| Some(count(day.backlog)))], ground)
        }
        Plot::Spark => {
            let came: Vec<f64> = board.days.iter().map(|day| count(day.messages_in)).collect();
            plot::spark(&came, ground)
        }
        Plot::Known => plot::list(known, ground),
        Plot::Channels => plot::list(&opened(&board.channels), ground),
        Plot::Topics => plot::list(&opened(&board.tags), ground),
        Plot::Satisfaction => {
            let named = |(score, times): (usize, &u64)| (format!("{} ★", score + 1), count(*times));
            let rows: Vec<_> = board.scores.iter().enumerate().rev().map(named).collect();
            plot::list(&rows, ground)
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures of a desk stay far below 2^53")]
const fn count(number: u64) -> f64 {
    number as f64
}

/// Download figures for a spreadsheet
///
/// The rows of the dashboard as CSV (RFC 4180, UTF-8): `days.csv`, `channels.csv` or `tags.csv`. Times are medians in
/// seconds.
#[utoipa::path(get, path = "/stats/tables/{name}", tag = "stats",
    params(("name" = String, Path, description = "`days.csv`, `channels.csv` or `tags.csv`"), BoardQuery),
    responses((status = 200, description = "the rows", body = String, content_type = "text/csv"), Errors))]
async fn show_table(
    Get(state): Get<State>,
    caller: Reader,
    Path(name): Path<String>,
    Filters(query): Filters<BoardQuery>,
) -> Result<Response, Problem> {
    let rows: fn(Board) -> Vec<BoardRow> = match name.as_str() {
        "days.csv" => |board| board.days,
        "channels.csv" => |board| board.channels,
        "tags.csv" => |board| board.tags,
        _ => return Err(Problem::no_such("table")),
    };
    let board = board(&state, &caller.0, query).await?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((headers, csv(&rows(board))).into_response())
}

const COLUMNS: &str = "name,opened,solved,backlog,messages_in,messages_out,first_response_seconds,\
    resolution_seconds,ratings,rating";

fn csv(rows: &[BoardRow]) -> String {
    let maybe = |value: Option<f64>| value.map(|value| format!("{value}")).unwrap_or_default();
    let mut text = format!("{COLUMNS}\r\n");
    for row in rows {
        let numbers = [row.opened, row.solved, row.backlog, row.messages_in, row.messages_out]
            .map(|n| n.to_string());
        let (first, end) = (maybe(row.first_response), maybe(row.resolution));
        text.push_str(&format!(
            "{},{},{first},{end},{},{}\r\n",
            cell(&row.name),
            numbers.join(","),
            row.ratings,
            maybe(row.rating)
        ));
    }
    text
}

/// A text in quotes. What a spreadsheet would take for a formula gets an apostrophe before it.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    format!("\"{}{}\"", if formula { "'" } else { "" }, text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tag_becomes_a_formula_or_a_second_cell() {
        let row = |name: &str| BoardRow { name: name.to_owned(), ..BoardRow::default() };
        let text = csv(&[row("=HYPERLINK(\"x\")"), row("a,b\n\"c\"")]);
        let mut lines = text.split("\r\n");
        assert_eq!(lines.next(), Some(COLUMNS));
        assert_eq!(lines.next(), Some("\"'=HYPERLINK(\"\"x\"\")\",0,0,0,0,0,,,0,"));
        assert_eq!(lines.next(), Some("\"a,b\n\"\"c\"\"\",0,0,0,0,0,,,0,"));
    }

    #[test]
    fn a_plot_is_named_by_what_it_shows_and_for_which_ground() {
        assert_eq!(named("times-dark.svg"), Some((Plot::Times, Ground::Dark)));
        for name in ["times.svg", "times-blue.svg", "nothing-light.svg", "times-light.png", ""] {
            assert_eq!(named(name), None, "{name}");
        }
    }
}
