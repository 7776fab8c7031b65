//! `[channels.<name>]` with `kind = "phone"`: read and checked.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use url::Url;

use super::plan::{Goal, Language, Plan, Ring, Topic, Voicemail};
use super::texts::{TEXT_CHARS_MAX, Words, voice};
use crate::channel::shared::twilio::rest::Account;
use crate::channel::shared::twilio::settings as twilio;
use crate::channel::shared::twilio::signature::Door;
use crate::channel::{BadChannel, Site, Table, settings};
use crate::model::{Calendar, CalendarSetting, ChannelName, Priority, Secret, Texts, phone_number};

const RING_SECONDS: u16 = 25;
const VOICEMAIL_SECONDS: u16 = 120;
const POLL_SECONDS: u16 = 60;
/// More are not called in one call.
const AGENTS_MAX: usize = 20;

/// The table as it stands in TOML.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Given {
    /// The account's name: `AC…`.
    account_sid: String,
    /// The account's token: the service signs with it what it asks us.
    auth_token: Secret,
    /// Another token that signs, while one is replaced by the other.
    secondary_auth_token: Option<Secret>,
    /// The name of a key that opens the interface instead of the token: `SK…`.
    api_key: Option<String>,
    /// Its secret.
    api_secret: Option<Secret>,
    /// Where the service is called.
    api_url: Option<String>,
    /// Our number: `+15005550006`.
    number: String,
    /// How a text reply reaches the customer: spoken in a `call` (the default), or as an `sms` from the same number.
    reply: Option<Reply>,
    /// When somebody is there; without it: always.
    hours: Option<CalendarSetting>,
    /// In which languages callers are spoken to; without it: English.
    languages: Option<Vec<GivenLanguage>>,
    /// What callers can choose from.
    topics: Option<Vec<GivenTopic>>,
    /// Who takes calls; none: nobody is called.
    agents: Option<Vec<Agent>>,
    /// How agents are called: `in_order` (the default), or all of them `at_once`.
    ring: Option<GivenRing>,
    /// So long each of them is called: 5 to 120.
    ring_seconds: Option<u16>,
    /// So long a caller may wait while nobody takes the call, and agents are called again: 0 (the default: they are
    /// called once) to 1800.
    wait_seconds_max: Option<u16>,
    /// Does an agent press 1 to take a call (the default)? Their voicemail does not.
    ask_agents: Option<bool>,
    /// Are talks recorded? In many countries callers must agree. Default: no.
    record_calls: Option<bool>,
    /// May callers leave a message? Default: yes.
    voicemail: Option<bool>,
    /// The longest message: 5 to 3600.
    voicemail_seconds_max: Option<u16>,
    /// Does the service write down messages? It understands English alone. Default: no.
    transcribe: Option<bool>,
    /// May callers ask for a call back? Default: yes.
    callbacks: Option<bool>,
    /// Are recordings deleted at the service once we have them? Default: no.
    delete_recordings: Option<bool>,
    /// How often the service is asked for calls of which it could not tell us, in seconds: 60 is the default, 0 never.
    poll_seconds: Option<u16>,
}

/// How a text reply reaches the customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// It is spoken.
    Call,
    /// It is written.
    Sms,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum GivenRing {
    InOrder,
    AtOnce,
}

/// A language in which callers are spoken to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GivenLanguage {
    /// Its tag: `en`, `zh-CN`.
    language: String,
    /// The key that chooses it; without it: its place in the list.
    key: Option<String>,
    /// What the service calls it, `en-GB`; we know those of English and Chinese.
    speech: Option<String>,
    /// Who speaks it: `Polly.Zhiyu-Neural`.
    voice: Option<String>,
    /// What who waits for an agent hears, with `wait_seconds_max`: the address of a recording (MP3 or WAV). Without
    /// it: nothing.
    music: Option<String>,
    /// What is said, where it is not what we say in English and Chinese: `greeting`, `closed` …
    texts: Option<BTreeMap<String, String>>,
}

/// What a call may be about.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GivenTopic {
    /// The key that chooses it.
    key: String,
    /// For agents.
    name: String,
    /// How it is offered, in each language: `{ en = "For lost passwords, press {key}." }`.
    says: Texts,
    /// Where it leads: to `agents` (the default), to `voicemail`, or to a `callback`.
    goal: Option<GivenGoal>,
    /// Who takes these calls, if not those of the channel.
    agents: Option<Vec<String>>,
    /// The queue of the ticket.
    queue: Option<String>,
    /// The priority of the ticket.
    #[schemars(with = "Option<String>", extend("enum" = ["low", "normal", "high", "urgent"]))]
    priority: Option<Priority>,
    /// Put on the ticket.
    tags: Option<Vec<String>>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum GivenGoal {
    Agents,
    Voicemail,
    Callback,
}

/// Somebody who takes calls.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Agent {
    /// Their telephone.
    pub(super) number: String,
    /// The address that they sign in with: their call-backs are made by this telephone.
    pub(super) person: Option<String>,
    /// Are calls put through to them (the default), or do they only call back?
    pub(super) takes_calls: Option<bool>,
}

pub(super) fn schema() -> Schema {
    schemars::schema_for!(Given)
}

/// What the settings say.
pub(super) struct Settings {
    pub(super) account: Account,
    pub(super) door: Door,
    pub(super) plan: Plan,
    pub(super) agents: Vec<Agent>,
    pub(super) reply: Reply,
    pub(super) delete_recordings: bool,
    /// `None`: nothing is asked for.
    pub(super) poll_every: Option<Duration>,
}

pub(super) fn read(name: &ChannelName, table: Table, site: &Site) -> Result<Settings, BadChannel> {
    let given: Given = settings(name, table)?;
    let access = twilio::Given {
        account_sid: given.account_sid,
        auth_token: given.auth_token,
        secondary_auth_token: given.secondary_auth_token,
        api_key: given.api_key,
        api_secret: given.api_secret,
        api_url: given.api_url,
        media_url: None,
    };
    let access = access.check(name, site)?;
    let bad = |path: &str, problem: &str| BadChannel::at(name, path, problem);
    let agents = agents(name, given.agents.unwrap_or_default())?;
    let hours = given.hours.map(|hours| {
        Calendar::read(&hours).map_err(|faults| {
            let (key, problem) = faults.into_iter().next().unwrap_or_default();
            BadChannel::at(name, &format!("hours.{key}"), problem)
        })
    });
    let seconds = |key: &str, given: Option<u16>, usual: u16, (least, most): (u16, u16)| {
        let seconds = given.unwrap_or(usual);
        let fits = (least..=most).contains(&seconds);
        fits.then_some(seconds).ok_or_else(|| bad(key, &format!("expected {least} to {most}")))
    };
    let ring_seconds = seconds("ring_seconds", given.ring_seconds, RING_SECONDS, (5, 120))?;
    let wait_seconds_max = seconds("wait_seconds_max", given.wait_seconds_max, 0, (0, 1_800))?;
    let languages = languages(name, given.languages, wait_seconds_max)?;
    let topics = topics(name, given.topics.unwrap_or_default(), &languages)?;
    let poll_seconds = seconds("poll_seconds", given.poll_seconds, POLL_SECONDS, (0, 3_600))?;
    let spoken = given.voicemail_seconds_max;
    let seconds_max = seconds("voicemail_seconds_max", spoken, VOICEMAIL_SECONDS, (5, 3_600))?;
    let transcribe = given.transcribe.unwrap_or(false);
    let voicemail = given.voicemail.unwrap_or(true);
    if transcribe && !voicemail {
        return Err(bad("transcribe", "only messages are written down, and `voicemail` is off"));
    }
    let mut languages = languages.into_iter();
    let first = languages.next().ok_or_else(|| bad("languages", "name at least one"))?;
    let takes = |agent: &&Agent| agent.takes_calls != Some(false);
    let plan = Plan {
        base: format!("{}/hooks/{name}", site.public_url),
        number: number(name, "number", &given.number)?,
        first,
        others: languages.collect(),
        topics,
        hours: hours.transpose()?,
        agents: agents.iter().filter(takes).map(|agent| agent.number.clone()).collect(),
        ring: match given.ring {
            None | Some(GivenRing::InOrder) => Ring::InOrder,
            Some(GivenRing::AtOnce) => Ring::AtOnce,
        },
        ring_seconds,
        wait_seconds_max,
        ask_agents: given.ask_agents.unwrap_or(true),
        record_calls: given.record_calls.unwrap_or(false),
        voicemail: voicemail.then_some(Voicemail { seconds_max, transcribe }),
        callbacks: given.callbacks.unwrap_or(true),
    };
    Ok(Settings {
        account: access.account,
        door: access.door,
        plan,
        agents,
        reply: given.reply.unwrap_or(Reply::Call),
        delete_recordings: given.delete_recordings.unwrap_or(false),
        poll_every: (poll_seconds > 0).then(|| Duration::from_secs(poll_seconds.into())),
    })
}

fn number(name: &ChannelName, path: &str, text: &str) -> Result<String, BadChannel> {
    let expected = "expected +, the country and the number, in digits";
    phone_number(text).ok_or_else(|| BadChannel::at(name, path, expected))
}

fn numbers(name: &ChannelName, path: &str, given: &[String]) -> Result<Vec<String>, BadChannel> {
    if given.len() > AGENTS_MAX {
        return Err(BadChannel::at(name, path, format!("expected at most {AGENTS_MAX}")));
    }
    let read = |(at, text): (usize, &String)| number(name, &format!("{path}[{at}]"), text);
    given.iter().enumerate().map(read).collect()
}

fn agents(name: &ChannelName, mut given: Vec<Agent>) -> Result<Vec<Agent>, BadChannel> {
    if given.len() > AGENTS_MAX {
        return Err(BadChannel::at(name, "agents", format!("expected at most {AGENTS_MAX}")));
    }
    for (at, agent) in given.iter_mut().enumerate() {
        agent.number = number(name, &format!("agents[{at}].number"), &agent.number)?;
        agent.person = agent.person.take().map(|person| person.trim().to_lowercase());
    }
    Ok(given)
}

/// A key of a telephone.
fn key(name: &ChannelName, path: &str, text: &str) -> Result<char, BadChannel> {
    let mut keys = text.chars();
    match (keys.next(), keys.next()) {
        (Some(key), None) if key.is_ascii_digit() || key == '*' || key == '#' => Ok(key),
        _ => Err(BadChannel::at(
            name,
            path,
            "expected one key of a telephone: \"0\" to \"9\", \"*\", \"#\"",
        )),
    }
}

fn languages(
    name: &ChannelName,
    given: Option<Vec<GivenLanguage>>,
    wait_seconds_max: u16,
) -> Result<Vec<Language>, BadChannel> {
    let english = || {
        vec![GivenLanguage {
            language: "en".to_owned(),
            key: None,
            speech: None,
            voice: None,
            music: None,
            texts: None,
        }]
    };
    let mut read: Vec<Language> = Vec::new();
    for (at, given) in given.unwrap_or_else(english).into_iter().enumerate() {
        let path = |key: &str| format!("languages[{at}].{key}");
        let tag = given.language.trim().to_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !(2..=35).contains(&tag.len()) || !tag.chars().all(plain) {
            return Err(BadChannel::at(
                name,
                &path("language"),
                "expected a tag like `en` or `zh-CN`",
            ));
        }
        let key = key(name, &path("key"), given.key.as_deref().unwrap_or(&(at + 1).to_string()))?;
        if read.iter().any(|known| known.key == key || known.tag == tag) {
            return Err(BadChannel::at(name, &path("key"), "another language has this tag or key"));
        }
        let words = Words::read(&tag, given.texts.unwrap_or_default());
        let words = words.map_err(|(key, problem)| {
            BadChannel::at(name, &path(&format!("texts.{key}")), problem)
        })?;
        let voice = voice(&tag, given.speech, given.voice);
        let web = |music: &String| music.starts_with("https://") && Url::parse(music).is_ok();
        if given.music.as_ref().is_some_and(|music| !web(music)) {
            return Err(BadChannel::at(name, &path("music"), "expected an address: https://…"));
        }
        if given.music.is_some() && wait_seconds_max == 0 {
            let problem = "nobody waits who could hear it: see `wait_seconds_max`";
            return Err(BadChannel::at(name, &path("music"), problem));
        }
        read.push(Language { tag, key, voice, words, music: given.music });
    }
    Ok(read)
}

fn topics(
    name: &ChannelName,
    given: Vec<GivenTopic>,
    languages: &[Language],
) -> Result<Vec<Topic>, BadChannel> {
    let mut topics: Vec<Topic> = Vec::new();
    for (at, topic) in given.into_iter().enumerate() {
        let topic = read_topic(name, at, topic, languages)?;
        if topics.iter().any(|known| known.key == topic.key) {
            let path = format!("topics[{at}].key");
            return Err(BadChannel::at(name, &path, "another topic has this key"));
        }
        topics.push(topic);
    }
    Ok(topics)
}

fn read_topic(
    name: &ChannelName,
    at: usize,
    given: GivenTopic,
    languages: &[Language],
) -> Result<Topic, BadChannel> {
    let path = |key: &str| format!("topics[{at}].{key}");
    let says = given.says.0;
    for language in languages {
        let text = says.get(&language.tag).map_or("", |text| text.trim());
        if text.is_empty() || text.chars().count() > TEXT_CHARS_MAX {
            let problem =
                format!("expected 1 to {TEXT_CHARS_MAX} characters in `{}`", language.tag);
            return Err(BadChannel::at(name, &path("says"), problem));
        }
    }
    if given.name.trim().is_empty() || given.name.chars().count() > 100 {
        return Err(BadChannel::at(name, &path("name"), "expected 1 to 100 characters"));
    }
    Ok(Topic {
        key: key(name, &path("key"), &given.key)?,
        name: given.name.trim().to_owned(),
        says,
        goal: match given.goal {
            None | Some(GivenGoal::Agents) => Goal::Agents,
            Some(GivenGoal::Voicemail) => Goal::Voicemail,
            Some(GivenGoal::Callback) => Goal::Callback,
        },
        agents: numbers(name, &path("agents"), &given.agents.unwrap_or_default())?,
        queue: given.queue,
        priority: given.priority,
        tags: given.tags.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::shared::twilio::settings::trial;

    /// At which key, and why, this is refused.
    fn refused(more: &str) -> Option<(String, String)> {
        let table = trial::table(&format!("number = '+15005550006'\n{more}"));
        let read = read(&"hotline".parse().unwrap(), table, &trial::site());
        let BadChannel::Setting { path, problem, .. } = read.err()? else { panic!("no setting") };
        Some((path, problem))
    }

    #[test]
    fn music_is_a_secure_address_and_for_who_waits() {
        let of = |wait: u16, music: &str| {
            let languages = format!(
                "[[languages]]\nlanguage = 'en'\n[[languages]]\nlanguage = 'zh'\nmusic = '{music}'"
            );
            refused(&format!("wait_seconds_max = {wait}\n{languages}"))
        };
        assert_eq!(of(60, "https://desk.test/wait.mp3"), None);
        let (path, problem) = of(0, "https://desk.test/wait.mp3").unwrap();
        assert!(problem.contains("wait_seconds_max"), "{problem}");
        assert_eq!(path, "languages[1].music");
        for bad in ["http://desk.test/wait.mp3", "ftp://desk.test/wait.mp3", "https://", "wait.mp3"]
        {
            let (path, problem) = of(60, bad).unwrap();
            assert!(problem.contains("https"), "{bad}: {problem}");
            assert_eq!(path, "languages[1].music");
        }
    }
}
