//! What happens in the week, and when: a list in order of time, out of the stories and a number.

use chrono::{Duration, Timelike as _};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde::Deserialize;

use crate::model::{ChannelName, Priority, TicketStatus, Timestamp};

const STORIES: &str = include_str!("stories.toml");
/// Nothing happens later than so long before the daemon starts.
const QUIET: Duration = Duration::minutes(2);
/// Hours of the day in which most people write.
const AWAKE: std::ops::Range<u32> = 6..22;

const NAMES_EN: &[&str] = &[
    "Anna Berger",
    "Tom Walsh",
    "Priya Nair",
    "Lucas Moreau",
    "Grace Okafor",
    "Ben Carter",
    "Maria Silva",
    "Jonas Lind",
    "Emily Stone",
    "Omar Haddad",
    "Nina Kowalski",
    "Jack Murphy",
    "Sofia Rossi",
    "Liam Evans",
    "Hannah Weiss",
    "Carlos Vega",
    "Ella Novak",
    "Ravi Menon",
    "Olivia Hart",
    "Peter Blom",
];
const NAMES_ZH: &[&str] = &[
    "王小明",
    "李婷",
    "张伟",
    "刘洋",
    "陈静",
    "杨帆",
    "赵敏",
    "黄磊",
    "周杰",
    "吴倩",
    "徐丽",
    "孙浩",
    "马超",
    "朱琳",
    "胡斌",
    "林雪",
    "郭涛",
    "何欣",
    "高远",
    "罗兰",
];
const COINS: &[&str] = &["USDT", "ETH", "BTC", "USDC", "SOL", "TRX"];

/// What may happen, several times, to several people.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Story {
    pub(super) language: String,
    on: Vec<ChannelName>,
    pub(super) subject: String,
    pub(super) tags: Vec<String>,
    pub(super) queue: Option<String>,
    pub(super) priority: Option<Priority>,
    times: u32,
    end: End,
    rating: Option<u8>,
    /// They ask to be called, and say this.
    call: Option<String>,
    said: Vec<Line>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Customer(String),
    Agent(String),
    Note(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Open,
    Pending,
    Solved,
    Snoozed,
}

#[derive(Debug, Deserialize)]
struct Stories {
    stories: Vec<Story>,
}

/// One story that happened to one person.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) story: usize,
    pub(super) channel: ChannelName,
    /// Tells customers apart, from 1.
    pub(super) customer: u32,
    pub(super) name: &'static str,
    /// Which of the agents has it.
    pub(super) agent: usize,
}

/// Something that happens in a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// The customer writes.
    Says(String),
    /// The customer wants to be called.
    WantsCall(String),
    /// The customer judges.
    Rates(u8),
    /// The agent takes it and sorts it.
    Takes,
    /// The agent answers.
    Answers(String),
    /// The agent writes to the others.
    Notes(String),
    /// The agent reaches them by telephone.
    Calls,
    /// The agent decides where it stands.
    Sets(TicketStatus),
    /// The agent wants it back in two days.
    Snoozes,
}

/// All of it.
pub(super) struct Plan {
    pub(super) stories: Vec<Story>,
    pub(super) cases: Vec<Case>,
    /// When, in which case, what; in order.
    pub(super) acts: Vec<(Timestamp, usize, Act)>,
}

/// The week before `now`. The same seed and time give the same week.
pub(super) fn plan(seed: u64, now: Timestamp, agents: usize) -> Result<Plan, toml::de::Error> {
    let Stories { stories } = toml::from_str(STORIES)?;
    let mut luck = StdRng::seed_from_u64(seed);
    let (mut cases, mut acts) = (Vec::new(), Vec::new());
    for (number, story) in stories.iter().enumerate() {
        for _ in 0..story.times {
            let begins = beginning(&mut luck, now);
            let Some(channel) = quietest(&mut luck, story, &cases) else { continue };
            let names = if story.language == "zh" { NAMES_ZH } else { NAMES_EN };
            let case = Case {
                story: number,
                channel,
                customer: u32::try_from(cases.len() + 1).unwrap_or(u32::MAX),
                name: names.choose(&mut luck).copied().unwrap_or_default(),
                agent: luck.random_range(0..agents.max(1)),
            };
            let happens = happens(&mut luck, story, begins, case.channel.as_str() == "web");
            acts.extend(happens.into_iter().map(|(at, act)| (at, cases.len(), act)));
            cases.push(case);
        }
    }
    acts.retain(|(at, _, _)| *at < now - QUIET);
    acts.sort_by_key(|(at, case, _)| (*at, *case));
    Ok(Plan { stories, cases, acts })
}

/// The channel of a story by which least has come so far: so each has something to show.
fn quietest(luck: &mut StdRng, story: &Story, cases: &[Case]) -> Option<ChannelName> {
    let came = |channel: &ChannelName| cases.iter().filter(|case| case.channel == *channel).count();
    let least = story.on.iter().map(came).min()?;
    let quiet: Vec<&ChannelName> = story.on.iter().filter(|one| came(one) == least).collect();
    quiet.choose(luck).map(|channel| (*channel).clone())
}

/// In the last week; by night as well, but seldom.
fn beginning(luck: &mut StdRng, now: Timestamp) -> Timestamp {
    loop {
        let at = now - QUIET - Duration::minutes(luck.random_range(1..7 * 24 * 60));
        if AWAKE.contains(&at.hour()) || luck.random_bool(0.15) {
            return at;
        }
    }
}

fn happens(
    luck: &mut StdRng,
    story: &Story,
    begins: Timestamp,
    chat: bool,
) -> Vec<(Timestamp, Act)> {
    let amount = luck.random_range(2..400) * 5;
    let minutes = luck.random_range(4..18) * 10;
    let coin = COINS.choose(luck).copied().unwrap_or_default();
    let filled = |text: &str| {
        text.replace("{amount}", &amount.to_string())
            .replace("{minutes}", &minutes.to_string())
            .replace("{coin}", coin)
    };
    let urgent = story.tags.iter().any(|tag| tag == "security");
    let patience = if urgent { 2..9 } else { 6..75 };
    let mut at = begins;
    let mut acts = Vec::new();
    let mut taken = false;
    for (number, line) in story.said.iter().enumerate() {
        let (pause, act) = match line {
            Line::Customer(text) if number == 0 => (0, Act::Says(filled(text))),
            Line::Customer(text) => (luck.random_range(3..90), Act::Says(filled(text))),
            Line::Agent(text) => (luck.random_range(patience.clone()), Act::Answers(filled(text))),
            Line::Note(text) => (luck.random_range(2..8), Act::Notes(filled(text))),
        };
        at += Duration::minutes(pause) + Duration::seconds(luck.random_range(0..60));
        if !taken && !matches!(line, Line::Customer(_)) {
            taken = true;
            acts.push((at - Duration::seconds(50), Act::Takes));
        }
        acts.push((at, act));
    }
    if let Some(wish) = &story.call {
        at += Duration::minutes(1);
        acts.push((at, Act::WantsCall(wish.clone())));
        if luck.random_bool(0.4) {
            at += Duration::minutes(luck.random_range(15..90));
            acts.push((at, Act::Calls));
        }
    }
    at += Duration::minutes(luck.random_range(2..50));
    match story.end {
        End::Open => {}
        End::Pending => acts.push((at, Act::Sets(TicketStatus::Pending))),
        End::Snoozed => acts.push((at, Act::Snoozes)),
        End::Solved => {
            acts.push((at, Act::Sets(TicketStatus::Solved)));
            if let Some(score) = story.rating.filter(|_| chat) {
                acts.push((at + Duration::minutes(luck.random_range(1..30)), Act::Rates(score)));
            }
        }
    }
    acts
}
