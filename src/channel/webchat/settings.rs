//! The settings of a web chat: read from its table and checked.

use std::time::Duration;

use chrono::{Datelike as _, FixedOffset, NaiveTime, Timelike as _, Weekday};
use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::channel::chat::{ChatRules, Continuity};
use crate::channel::{BadChannel, Table};
use crate::model::{ChannelName, Priority, Secret, Texts, Timestamp};

/// The table as it stands in TOML.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Given {
    /// Sites whose pages may talk to this chat, beside our own; `*` is every site.
    #[serde(default)]
    origins: Vec<String>,
    /// Is a page to try it on served at `/chat/<channel>/demo`?
    #[serde(default)]
    demo: bool,
    /// Must the customer's own system vouch for visitors?
    #[serde(default)]
    identity: Identity,
    /// Keys that sign identities, the current one first.
    #[serde(default)]
    identity_keys: Vec<Secret>,
    /// How long a visitor who does not come back keeps their conversation.
    #[serde(default = "session_days")]
    session_days: u32,
    /// Characters of one message.
    #[serde(default = "text_chars_max")]
    text_chars_max: u32,
    /// What stands at the top.
    title: Option<Texts>,
    /// What stands below it.
    subtitle: Option<Texts>,
    /// The first words, from us.
    greeting: Option<Texts>,
    /// The colour of button, head and own messages.
    accent: Option<String>,
    /// Light, dark, or as the visitor's system is.
    #[serde(default)]
    scheme: ColorScheme,
    /// In which corner the button is.
    #[serde(default)]
    position: Position,
    /// What is asked before a conversation.
    #[serde(default)]
    ask: Ask,
    /// Questions of your own before a conversation.
    #[serde(default)]
    questions: Vec<Question>,
    /// What a conversation may be about, and what follows from it.
    #[serde(default)]
    topics: Vec<Topic>,
    /// How urgent a visitor may call it.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    urgencies: Vec<Priority>,
    /// May visitors ask to be called?
    #[serde(default)]
    callback: bool,
    /// Are visitors asked how they were served, once the ticket is solved?
    #[serde(default = "yes")]
    rating: bool,
    /// When somebody is there; absent: always.
    hours: Option<HoursGiven>,
    /// What may be sent.
    #[serde(default)]
    files: FilesGiven,
    /// How much is taken from whom.
    #[serde(default)]
    limits: LimitsGiven,
    /// Answers that nobody reads go out by mail as well.
    continuity: Option<ContinuityGiven>,
}

const fn session_days() -> u32 {
    90
}

const fn text_chars_max() -> u32 {
    10_000
}

const fn yes() -> bool {
    true
}

/// Must the customer's own system vouch for visitors?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Identity {
    /// Nobody is asked, and no signature is taken.
    #[default]
    Off,
    /// It may.
    Optional,
    /// Nobody else gets in.
    Required,
}

/// Light, dark, or as the visitor's system is.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ColorScheme {
    #[default]
    Auto,
    Light,
    Dark,
}

/// Where the button is.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Position {
    /// Where a line ends: at the right, or at the left in right-to-left languages.
    #[default]
    End,
    /// Where a line begins.
    Start,
}

/// What the form before a conversation asks.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ask {
    pub(super) name: Need,
    pub(super) email: Need,
    /// Outside the hours, where nobody will answer soon.
    pub(super) email_when_closed: Need,
}

/// Is it asked for, and may it stay empty?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Need {
    #[default]
    Off,
    Optional,
    Required,
}

/// A question of the admin's own.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    pub(super) id: String,
    pub(super) label: Texts,
    #[serde(default)]
    pub(super) required: bool,
}

/// What a conversation may be about, and what follows from it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Topic {
    pub(super) id: String,
    pub(super) label: Texts,
    pub(super) queue: Option<String>,
    #[schemars(with = "Option<String>", extend("enum" = ["low", "normal", "high", "urgent"]))]
    pub(super) priority: Option<Priority>,
    #[serde(default)]
    pub(super) tags: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct HoursGiven {
    offset: String,
    open: Vec<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FilesGiven {
    bytes_max: u32,
    count_max: u16,
    types: Vec<String>,
    per_hour: u32,
}

impl Default for FilesGiven {
    fn default() -> Self {
        Self {
            bytes_max: 10 * 1024 * 1024,
            count_max: 5,
            types: ["image/*", "video/mp4", "application/pdf", "text/plain"]
                .map(str::to_owned)
                .to_vec(),
            per_hour: 20,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct LimitsGiven {
    messages_per_minute: u32,
    sessions_per_hour: u32,
    requests_per_minute: u32,
    streams: u16,
}

impl Default for LimitsGiven {
    fn default() -> Self {
        Self {
            messages_per_minute: 20,
            sessions_per_hour: 60,
            requests_per_minute: 600,
            streams: 10,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ContinuityGiven {
    channel: String,
    #[serde(default = "after_minutes")]
    after_minutes: u32,
}

const fn after_minutes() -> u32 {
    10
}

/// The keys of a web chat beside the common ones.
pub(super) fn schema() -> Schema {
    let settings = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true);
    Given::json_schema(&mut settings.into_generator())
}

/// Checked settings.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) identity: Identity,
    pub(super) identity_keys: Vec<Secret>,
    pub(super) session: chrono::Duration,
    pub(super) text_chars_max: usize,
    pub(super) title: Option<Texts>,
    pub(super) subtitle: Option<Texts>,
    pub(super) greeting: Option<Texts>,
    pub(super) accent: Option<String>,
    pub(super) scheme: ColorScheme,
    pub(super) position: Position,
    pub(super) ask: Ask,
    pub(super) questions: Vec<Question>,
    pub(super) topics: Vec<Topic>,
    pub(super) urgencies: Vec<Priority>,
    pub(super) callback: bool,
    pub(super) rating: bool,
    pub(super) hours: Option<Hours>,
    rules: ChatRules,
}

impl Settings {
    pub(super) fn rules(&self) -> ChatRules {
        self.rules.clone()
    }
}

/// When somebody is there to answer.
#[derive(Debug, Clone)]
pub(super) struct Hours {
    offset: FixedOffset,
    open: Vec<Span>,
}

/// `mon-fri 09:00-18:00`.
#[derive(Debug, Clone)]
struct Span {
    days: Vec<Weekday>,
    from: NaiveTime,
    /// Not included; midnight is the day's end.
    to: NaiveTime,
}

impl Hours {
    pub(super) fn is_open(&self, now: Timestamp) -> bool {
        let here = now.with_timezone(&self.offset);
        let time = here.time();
        self.open.iter().any(|span| {
            let ends = span.to.num_seconds_from_midnight() == 0 || time < span.to;
            span.days.contains(&here.weekday()) && span.from <= time && ends
        })
    }
}

/// Reads and checks; the first fault is named by its key.
pub(super) fn read(channel: &ChannelName, table: Table) -> Result<Settings, BadChannel> {
    let given: Given = crate::channel::settings(channel, table)?;
    let bad = |path: &str, problem: &str| BadChannel::at(channel, path, problem);
    check_identity(channel, &given)?;
    check_words(channel, &given)?;
    for (at, origin) in given.origins.iter().enumerate() {
        if !is_origin(origin) {
            let problem = "expected a site like https://app.example.com, without a path";
            return Err(bad(&format!("origins[{at}]"), problem));
        }
    }
    if !(1..=3650).contains(&given.session_days) {
        return Err(bad("session_days", "must be from 1 to 3650"));
    }
    if !(1..=20_000).contains(&given.text_chars_max) {
        return Err(bad("text_chars_max", "must be from 1 to 20000"));
    }
    let hours = given.hours.as_ref().map(|hours| read_hours(channel, hours)).transpose()?;
    let rules = read_rules(channel, &given)?;
    Ok(Settings {
        identity: given.identity,
        identity_keys: given.identity_keys,
        session: chrono::Duration::days(i64::from(given.session_days)),
        text_chars_max: given.text_chars_max as usize,
        title: given.title,
        subtitle: given.subtitle,
        greeting: given.greeting,
        accent: given.accent,
        scheme: given.scheme,
        position: given.position,
        ask: given.ask,
        questions: given.questions,
        topics: given.topics,
        urgencies: given.urgencies,
        callback: given.callback,
        rating: given.rating,
        hours,
        rules,
    })
}

fn check_identity(channel: &ChannelName, given: &Given) -> Result<(), BadChannel> {
    let bad = |path: &str, problem: &str| Err(BadChannel::at(channel, path, problem));
    if given.identity != Identity::Off && given.identity_keys.is_empty() {
        return bad("identity_keys", "is missing: without a key no signature can be checked");
    }
    if given.identity == Identity::Off && !given.identity_keys.is_empty() {
        return bad("identity", "is off, though there are identity_keys; did you mean `optional`?");
    }
    for (at, key) in given.identity_keys.iter().enumerate() {
        if key.reveal().len() < 32 {
            let path = format!("identity_keys[{at}]");
            return bad(&path, "must have at least 32 characters, chosen by chance");
        }
    }
    Ok(())
}

fn check_words(channel: &ChannelName, given: &Given) -> Result<(), BadChannel> {
    let bad = |path: String, problem: &str| Err(BadChannel::at(channel, &path, problem));
    let is_id = |id: &str| {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        (1..=32).contains(&id.len()) && id.bytes().all(fits)
    };
    let topics = given.topics.iter().map(|topic| ("topics", &topic.id));
    let questions = given.questions.iter().map(|question| ("questions", &question.id));
    let mut seen = std::collections::HashSet::new();
    let mut at = std::collections::HashMap::<&str, usize>::new();
    for (list, id) in topics.chain(questions) {
        let place = at.entry(list).and_modify(|place| *place += 1).or_default();
        if !is_id(id) {
            return bad(format!("{list}[{place}].id"), "use 1 to 32 of a-z, 0-9 and _");
        }
        if !seen.insert((list, id)) {
            return bad(format!("{list}[{place}].id"), "is there twice");
        }
    }
    if let Some(accent) = &given.accent {
        let digits = accent.strip_prefix('#').unwrap_or_default();
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return bad("accent".to_owned(), "expected a colour like #2563eb");
        }
    }
    Ok(())
}

fn read_rules(channel: &ChannelName, given: &Given) -> Result<ChatRules, BadChannel> {
    let bad = |path: &str, problem: &str| BadChannel::at(channel, path, problem);
    let files = &given.files;
    if files.bytes_max == 0 || files.bytes_max > 25 * 1024 * 1024 {
        return Err(bad("files.bytes_max", "must be from 1 to 26214400"));
    }
    if files.count_max > 20 {
        return Err(bad("files.count_max", "must be from 0 to 20"));
    }
    for (at, word) in files.types.iter().enumerate() {
        if word.split('/').count() != 2 || word.starts_with('*') {
            let problem = "expected a media type like image/png or image/*";
            return Err(bad(&format!("files.types[{at}]"), problem));
        }
    }
    let limits = &given.limits;
    let numbers = [
        ("limits.messages_per_minute", limits.messages_per_minute),
        ("limits.sessions_per_hour", limits.sessions_per_hour),
        ("limits.requests_per_minute", limits.requests_per_minute),
        ("limits.streams", u32::from(limits.streams)),
    ];
    for (path, number) in numbers {
        if number == 0 {
            return Err(bad(path, "must be at least 1"));
        }
    }
    if given.continuity.as_ref().is_some_and(|wanted| wanted.after_minutes == 0) {
        // Who is there is noted every 45 seconds.
        return Err(bad("continuity.after_minutes", "must be at least 1"));
    }
    let continuity = match &given.continuity {
        None => None,
        Some(wanted) => Some(Continuity {
            by: wanted.channel.parse().map_err(|error| {
                BadChannel::at(channel, "continuity.channel", format!("{error}"))
            })?,
            after: Duration::from_secs(u64::from(wanted.after_minutes) * 60),
        }),
    };
    Ok(ChatRules {
        origins: given.origins.iter().map(|origin| origin.to_lowercase()).collect(),
        demo: given.demo,
        file_bytes_max: files.bytes_max as usize,
        files_max: usize::from(files.count_max),
        file_types: files.types.iter().map(|word| word.to_lowercase()).collect(),
        messages_per_minute: limits.messages_per_minute,
        sessions_per_hour: limits.sessions_per_hour,
        files_per_hour: files.per_hour,
        requests_per_minute: limits.requests_per_minute,
        streams_max: usize::from(limits.streams),
        continuity,
    })
}

/// `https://app.example.com`, or `*` for every site.
fn is_origin(text: &str) -> bool {
    text == "*"
        || Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https" | "capacitor" | "ionic" | "tauri")
                && url.has_host()
                && matches!(url.path(), "" | "/")
                && !text.ends_with('/')
                && url.query().is_none()
                && url.username().is_empty()
        })
}

fn read_hours(channel: &ChannelName, given: &HoursGiven) -> Result<Hours, BadChannel> {
    let bad = |path: &str, problem: &str| BadChannel::at(channel, path, problem);
    let offset: FixedOffset = given
        .offset
        .parse()
        .map_err(|_| bad("hours.offset", "expected a distance from UTC like +08:00"))?;
    let mut open = Vec::with_capacity(given.open.len());
    for (at, text) in given.open.iter().enumerate() {
        let span = read_span(text).ok_or_else(|| {
            bad(&format!("hours.open[{at}]"), "expected days and times like mon-fri 09:00-18:00")
        })?;
        open.push(span);
    }
    Ok(Hours { offset, open })
}

fn read_span(text: &str) -> Option<Span> {
    let (days, times) = text.trim().split_once(' ')?;
    let (from, to) = times.trim().split_once('-')?;
    let time = |text: &str| match text.trim() {
        "24:00" => NaiveTime::from_hms_opt(0, 0, 0),
        text => NaiveTime::parse_from_str(text, "%H:%M").ok(),
    };
    let (first, last) = days.split_once('-').unwrap_or((days, days));
    let (first, last): (Weekday, Weekday) = (first.parse().ok()?, last.parse().ok()?);
    let mut named = vec![first];
    while named.last() != Some(&last) {
        named.push(named.last()?.succ());
    }
    let (from, to) = (time(from)?, time(to)?);
    let fits = to.num_seconds_from_midnight() == 0 || from < to;
    fits.then_some(Span { days: named, from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(open: &[&str]) -> Hours {
        let open = open.iter().map(|text| (*text).to_owned()).collect();
        let given = HoursGiven { offset: "+08:00".to_owned(), open };
        read_hours(&"web".parse().unwrap(), &given).unwrap()
    }

    #[test]
    fn hours_are_those_of_the_place() {
        let hours = hours(&["mon-fri 09:00-18:00", "sat 10:00-24:00"]);
        let open = |time: &str| hours.is_open(time.parse().unwrap());
        // 2026-11-23 is a Monday.
        assert!(!open("2026-11-23T00:59:00Z"), "08:59 there");
        assert!(open("2026-11-23T01:00:00Z"));
        assert!(open("2026-11-27T09:59:59Z"));
        assert!(!open("2026-11-27T10:00:00Z"));
        assert!(open("2026-11-28T15:59:59Z"), "until midnight");
        assert!(!open("2026-11-28T16:00:00Z"), "Sunday there");
    }

    #[test]
    fn times_that_make_no_sense_are_refused() {
        for bad in ["mon", "mon 9-18", "xyz 09:00-18:00", "mon 18:00-09:00", "mon 09:00-25:00", ""]
        {
            assert!(read_span(bad).is_none(), "{bad}");
        }
        assert_eq!(read_span("fri-mon 09:00-10:00").unwrap().days.len(), 4);
    }

    #[test]
    fn origins_are_sites_without_a_path() {
        for good in
            ["https://app.example.com", "http://localhost:3000", "*", "capacitor://localhost"]
        {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "app.example.com",
            "https://a.b/",
            "https://a.b/c",
            "null",
            "file:///x",
            "https://u@a.b",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
