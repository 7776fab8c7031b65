//! `/channels`: how each configured channel is, and the switch that stops it.

use std::collections::{BTreeSet, HashMap};

use axum::Json;
use axum::extract::State as Get;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::{Problem, State};
use super::access::{Admin, Reader};
use super::describe::Errors;
use super::page::Page;
use super::read::Name;
use crate::channel::{Channel, GoesAs};
use crate::engine::Part;
use crate::model::{ChannelName, Receipts, Support, TextUnit};
use crate::store::{ChannelFigures, ChannelNote, ChannelState};

pub(super) fn routes() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list_channels))
        .routes(routes!(show_channel))
        .routes(routes!(pause_channel))
        .routes(routes!(resume_channel))
        .routes(routes!(check_channel))
}

/// A configured channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Channel)]
struct ChannelView {
    /// Its name in the settings.
    name: String,
    /// The word after `kind =`.
    kind: &'static str,
    /// `running`, `connecting`, `waiting_for_lease`, `backing_off`, `needs_human`, `silent`, `paused`, `off`:
    /// the worst of its parts.
    state: String,
    /// Why, where there is a reason.
    cause: Option<String>,
    /// What to do about it.
    advice: Option<String>,
    /// Did somebody stop it?
    paused: bool,
    /// Who.
    paused_by: Option<String>,
    /// Our own addresses on it.
    addresses: Vec<String>,
    /// What it can do.
    capabilities: CapabilitiesView,
    /// Its loops, as far as they run on the node that was asked.
    parts: Vec<PartView>,
    /// When something last worked.
    last_success_at: Option<DateTime<Utc>>,
    /// When something last did not.
    last_error_at: Option<DateTime<Utc>>,
    /// What that was.
    last_error: Option<String>,
    /// Messages that the service holds and that were not fetched yet, if it told.
    backlog: Option<u64>,
    /// What it did and what waits.
    counters: CountersView,
}

/// One loop of a channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelPart)]
struct PartView {
    /// `receive`, `listen` or `send`.
    part: &'static str,
    /// As for the channel.
    state: &'static str,
    /// Since when.
    since: DateTime<Utc>,
    /// When it last worked.
    last_success_at: Option<DateTime<Utc>>,
    /// When it last did not.
    last_error_at: Option<DateTime<Utc>>,
    /// What that was.
    last_error: Option<String>,
}

/// What a channel can do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelCapabilities)]
#[expect(clippy::struct_excessive_bools, reason = "each is another question of a client")]
struct CapabilitiesView {
    /// Does it bring messages in?
    receives: bool,
    /// Can it send?
    sends: bool,
    /// Schemes of the addresses that it can write to: `email`, `tel`…
    schemes: Vec<&'static str>,
    /// May we write first, or only answer?
    opens: bool,
    /// Are there subjects?
    subject: bool,
    /// May a reply be HTML?
    html: bool,
    /// May several people get one reply?
    copies: bool,
    /// Can a sent message be changed: `no`, `degraded`, `full`?
    edit: &'static str,
    /// Can a sent message be taken back: `no`, `degraded`, `full`?
    delete: &'static str,
    /// What the service tells about what we sent: `never`, `failures`, `delivered`, `read`.
    receipts: &'static str,
    /// Longest text of one delivery; longer ones are split.
    text_max: u32,
    /// In what that is counted: `bytes`, `chars`, `utf16`, or `segments`: UTF-16 as well, of which the networks carry, and charge,
    /// segments.
    text_unit: &'static str,
    /// Does each part of a longer text begin with which one it is: `(1/3)`?
    text_numbered: bool,
    /// All attachments of one delivery together, in bytes.
    media_bytes_max: u64,
    /// Attachments of one delivery.
    media_count_max: u16,
    /// How long after the customer's last message we may still answer, in seconds.
    reply_window_seconds: Option<u64>,
    /// Are there templates, which go out even after that?
    templates: bool,
    /// As what a reply reaches the customer: as a `message` of the channel, as an `sms` to whoever called, or spoken in a
    /// `call` (then nothing is sent there by itself).
    goes_as: &'static str,
    /// Where customers write in public: for how long after that they may be answered in private, once, in seconds.
    private_reply_seconds: Option<u64>,
}

/// What a channel did and what waits there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelCounters)]
struct CountersView {
    /// Messages that came in within the last 24 hours.
    received_24h: u64,
    /// Messages that were written to customers within the last 24 hours.
    sent_24h: u64,
    /// Stored and not yet understood.
    unread: u64,
    /// Since when the oldest of these waits.
    unread_since: Option<DateTime<Utc>>,
    /// Could not be understood.
    quarantined: u64,
    /// Deliveries that wait for their turn.
    queued: u64,
    /// Since when the oldest of these waits.
    queued_since: Option<DateTime<Utc>>,
    /// Deliveries that somebody keeps back.
    held: u64,
    /// Deliveries that did not go out and will not by themselves.
    failed: u64,
    /// Deliveries of which nobody knows whether they went out.
    unconfirmed: u64,
}

/// List the channels
///
/// All of the configuration, with how each is: on whatever node it runs.
#[utoipa::path(get, path = "/channels", tag = "channels",
    responses((status = 200, body = Page<ChannelView>), Errors))]
async fn list_channels(
    Get(state): Get<State>,
    _: Reader,
) -> Result<Json<Page<ChannelView>>, Problem> {
    let known = Known::load(&state).await?;
    let names = state.engine.channel_names();
    let items = names.iter().filter_map(|name| known.view(&state, name)).collect();
    Ok(Json(Page { items, next_cursor: None }))
}

/// Show a channel
#[utoipa::path(get, path = "/channels/{name}", tag = "channels", params(("name" = String, Path)),
    responses((status = 200, body = ChannelView), Errors))]
async fn show_channel(
    Get(state): Get<State>,
    _: Reader,
    Name(name): Name,
) -> Result<Json<ChannelView>, Problem> {
    view(&state, &name).await
}

/// Stop a channel
///
/// At once and on all nodes: nothing more is fetched, nothing of what is queued goes out. What services
/// push is stored all the same, since most of them push once. It stays stopped over restarts.
#[utoipa::path(post, path = "/channels/{name}/pause", tag = "channels", params(("name" = String, Path)),
    responses((status = 200, body = ChannelView), Errors))]
async fn pause_channel(
    Get(state): Get<State>,
    caller: Admin,
    Name(name): Name,
) -> Result<Json<ChannelView>, Problem> {
    state.engine.set_paused(&name, true, caller.0.actor).await?;
    view(&state, &name).await
}

/// Let a channel run again
#[utoipa::path(post, path = "/channels/{name}/resume", tag = "channels", params(("name" = String, Path)),
    responses((status = 200, body = ChannelView), Errors))]
async fn resume_channel(
    Get(state): Get<State>,
    caller: Admin,
    Name(name): Name,
) -> Result<Json<ChannelView>, Problem> {
    state.engine.set_paused(&name, false, caller.0.actor).await?;
    view(&state, &name).await
}

/// What came of trying a part of a channel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelProbe)]
struct ProbeView {
    /// `receive` or `send`.
    part: &'static str,
    /// Does it work?
    works: bool,
    /// What is wrong, if it does not.
    error: Option<String>,
}

/// Try a channel
///
/// Each part that speaks to the service connects and signs in once more, beside what runs; nothing is fetched or sent.
/// It may take a minute.
#[utoipa::path(post, path = "/channels/{name}/check", tag = "channels", params(("name" = String, Path)),
    responses((status = 200, body = Page<ProbeView>, description = "none for channels that are only told"), Errors))]
async fn check_channel(
    Get(state): Get<State>,
    _: Admin,
    Name(name): Name,
) -> Result<Json<Page<ProbeView>>, Problem> {
    let probes = state.engine.probe_channel(&name).await?;
    let probes = probes.ok_or_else(|| Problem::no_such("channel"))?;
    let shown = probes.into_iter().map(|probe| ProbeView {
        part: probe.part,
        works: probe.outcome.is_ok(),
        error: probe.outcome.err(),
    });
    Ok(Json(Page { items: shown.collect(), next_cursor: None }))
}

async fn view(state: &State, name: &ChannelName) -> Result<Json<ChannelView>, Problem> {
    let known = Known::load(state).await?;
    known.view(state, name).map(Json).ok_or_else(|| Problem::no_such("channel"))
}

/// What the store knows of all channels.
struct Known {
    states: HashMap<ChannelName, ChannelState>,
    figures: HashMap<String, ChannelFigures>,
}

impl Known {
    async fn load(state: &State) -> Result<Self, Problem> {
        let store = &state.engine.store;
        let since = state.engine.clock.now() - chrono::Duration::hours(24);
        let states = store.channel_states().await?.into_iter();
        let states = states.map(|one| (one.channel.clone(), one)).collect();
        Ok(Self { states, figures: store.channel_figures(since).await? })
    }

    fn view(&self, state: &State, name: &ChannelName) -> Option<ChannelView> {
        let kept = self.states.get(name);
        let figures = self.figures.get(name.as_str()).cloned().unwrap_or_default();
        let here = state.engine.health.note(name, state.engine.clock.now());
        let parts = state.engine.health.of(name);
        let shown = |channel: &Channel| {
            let loops =
                channel.pull.is_some() || channel.listen.is_some() || channel.deliver.is_some();
            let paused = kept.is_some_and(|kept| kept.paused);
            let note = note(here, kept.map(|kept| &kept.note), loops);
            let state = if paused { "paused".to_owned() } else { note.state.clone() };
            ChannelView {
                name: name.to_string(),
                kind: channel.kind,
                advice: advice(&state, name),
                cause: note.cause,
                paused,
                paused_by: kept.and_then(|kept| kept.paused_by.clone()),
                addresses: channel.addresses.iter().map(|one| one.value.clone()).collect(),
                capabilities: capabilities(channel),
                parts: parts.iter().map(part_view).collect(),
                last_success_at: note.last_success_at,
                last_error_at: note.last_error_at,
                last_error: note.last_error,
                backlog: note.backlog,
                counters: counters(&figures),
                state,
            }
        };
        state.engine.with_channel(name, shown)
    }
}

/// How it is here, or on the node that runs it.
fn note(here: ChannelNote, kept: Option<&ChannelNote>, loops: bool) -> ChannelNote {
    if !loops {
        // It only answers when it is asked: nothing of it can stand still.
        return ChannelNote { state: "running".to_owned(), ..here };
    }
    let elsewhere = matches!(here.state.as_str(), "waiting_for_lease" | "off");
    match kept {
        Some(kept) if elsewhere => kept.clone(),
        Some(_) | None => here,
    }
}

/// What a person can do about a state.
fn advice(state: &str, name: &ChannelName) -> Option<String> {
    let text = match state {
        "needs_human" => format!(
            "the service refuses what it was given: correct the settings, or run `tributary channel login \
             {name}`; `tributary check --online` shows whether it works"
        ),
        "backing_off" => "it is tried again by itself; if it lasts, look at the network and the service"
            .to_owned(),
        "silent" => "nothing worked for a long time, and nobody may have noticed: look at `last_error`, and \
                     whether a daemon runs that has this channel"
            .to_owned(),
        "paused" => format!("somebody stopped it: `tributary channel resume {name}` lets it run again"),
        "off" => "no daemon runs it just now".to_owned(),
        _ => return None,
    };
    Some(text)
}

fn part_view((part, health): &(Part, crate::engine::PartHealth)) -> PartView {
    PartView {
        part: part.as_str(),
        state: health.state.as_str(),
        since: health.since,
        last_success_at: health.last_success_at,
        last_error_at: health.last_error_at,
        last_error: health.last_error.clone(),
    }
}

fn counters(figures: &ChannelFigures) -> CountersView {
    CountersView {
        received_24h: figures.received,
        sent_24h: figures.sent,
        unread: figures.unread,
        unread_since: figures.unread_since,
        quarantined: figures.quarantined,
        queued: figures.queued,
        queued_since: figures.queued_since,
        held: figures.held,
        failed: figures.failed,
        unconfirmed: figures.unconfirmed,
    }
}

fn capabilities(channel: &Channel) -> CapabilitiesView {
    let can = &channel.capabilities;
    CapabilitiesView {
        receives: channel.pull.is_some() || channel.hook.is_some() || channel.listen.is_some(),
        sends: channel.deliver.is_some(),
        schemes: BTreeSet::from_iter(channel.addresses.iter().map(|own| own.scheme.as_str()))
            .into_iter()
            .collect(),
        opens: can.opens,
        subject: can.subject,
        html: can.html,
        copies: can.copies,
        edit: support(can.edit),
        delete: support(can.delete),
        receipts: match can.receipts {
            Receipts::Never => "never",
            Receipts::Failures => "failures",
            Receipts::Delivered => "delivered",
            Receipts::Read => "read",
        },
        text_max: can.text.max,
        text_unit: match can.text.unit {
            TextUnit::Bytes => "bytes",
            TextUnit::Chars => "chars",
            TextUnit::Utf16 => "utf16",
            TextUnit::Segments | TextUnit::NumberedSegments => "segments",
        },
        text_numbered: can.text.unit == TextUnit::NumberedSegments,
        media_bytes_max: can.media.bytes_max,
        media_count_max: can.media.count_max,
        reply_window_seconds: can.reply_window.map(|window| window.as_secs()),
        templates: can.templates,
        goes_as: match channel.deliver.as_ref().map_or(GoesAs::Message, |deliver| deliver.goes_as())
        {
            GoesAs::Message => "message",
            GoesAs::Sms => "sms",
            GoesAs::Call => "call",
        },
        private_reply_seconds: can.private.map(|private| private.window.as_secs()),
    }
}

const fn support(support: Support) -> &'static str {
    match support {
        Support::No => "no",
        Support::Degraded => "degraded",
        Support::Full => "full",
    }
}
