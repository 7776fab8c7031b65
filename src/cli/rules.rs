//! `tributary rules test`: what the rules of the settings would do, tried on messages that are here already.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Subcommand;
use serde_json::{Value, json};

use super::Failure;
use super::open::Installation;
use crate::desk::{Situation, Triage, Verdict};
use crate::store::{Access, PastMessage};

/// Rules.
#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// Try the rules of the settings on past messages. Changes nothing.
    ///
    /// Tickets are seen as they stand today. Each rule is listed with how often it would have fired, and on
    /// which tickets.
    Test {
        /// How many of the last messages.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
        last: u64,
    },
}

/// Tickets that are named for each rule.
const NAMED_MAX: usize = 8;

pub(super) async fn run(
    config: Option<&Path>,
    command: RulesCommand,
    json: bool,
) -> Result<(), Failure> {
    let RulesCommand::Test { last } = command;
    let installation = Installation::open(config, Access::Beside).await?;
    let triage = installation.triage()?;
    let past = installation.store.past_messages(last).await?;
    installation.store.close().await?;
    let begun = Instant::now();
    let verdicts: Vec<Verdict> = past.iter().map(|one| judge(&triage, one)).collect();
    let took = begun.elapsed();
    if json {
        println!("{}", as_json(&triage, &past, &verdicts));
    } else {
        tell(&triage, &past, &verdicts, took);
    }
    Ok(())
}

fn judge(triage: &Triage, one: &PastMessage) -> Verdict {
    let seen = triage.look_at(one.subject.as_deref(), &one.text);
    let age = one.at.signed_duration_since(one.ticket_at);
    let situation = Situation {
        channel: &one.channel,
        language: one.language.as_deref(),
        sender: one.sender.as_ref(),
        flags: &one.flags,
        media_types: one.media_types.iter().map(String::as_str).collect(),
        opens: one.opens,
        ticket_age: age.to_std().unwrap_or(Duration::ZERO),
        status: one.status,
        priority: one.priority,
        tags: one.tags.clone(),
        contact_tags: &one.contact_tags,
        messages: one.messages,
        lifted: 0,
        now: one.at,
    };
    triage.judge(&seen, &situation)
}

/// For each rule in order: how often, and on which tickets.
fn by_rule<'a>(
    triage: &'a Triage,
    past: &[PastMessage],
    verdicts: &'a [Verdict],
) -> Vec<(&'a str, usize, Vec<i64>)> {
    let mut fired: BTreeMap<&str, (usize, Vec<i64>)> = BTreeMap::new();
    for (one, verdict) in past.iter().zip(verdicts) {
        for rule in &verdict.fired {
            let (count, tickets) = fired.entry(rule).or_default();
            *count += 1;
            if tickets.last() != Some(&one.ticket) {
                tickets.push(one.ticket);
            }
        }
    }
    let rules = triage.rule_names();
    let built_in = fired.keys().filter(|name| !triage.rule_names().any(|known| known == **name));
    let built_in: Vec<&str> = built_in.copied().collect();
    let rules = built_in.into_iter().chain(rules);
    rules
        .map(|name| {
            let (count, tickets) = fired.get(name).cloned().unwrap_or_default();
            (name, count, tickets)
        })
        .collect()
}

fn as_json(triage: &Triage, past: &[PastMessage], verdicts: &[Verdict]) -> Value {
    let rules: Vec<Value> = by_rule(triage, past, verdicts)
        .into_iter()
        .map(|(name, fired, tickets)| json!({ "rule": name, "fired": fired, "tickets": tickets }))
        .collect();
    let messages: Vec<Value> = past
        .iter()
        .zip(verdicts)
        .filter(|(_, verdict)| !verdict.why.is_empty())
        .map(|(one, verdict)| {
            json!({
                "message": one.id,
                "ticket": one.ticket,
                "rules": verdict.fired,
                "priority": verdict.priority,
                "queue": verdict.queue,
                "tags": verdict.tags,
                "status": verdict.status,
                "why": verdict.why,
            })
        })
        .collect();
    json!({ "tried": past.len(), "rules": rules, "messages": messages })
}

fn tell(triage: &Triage, past: &[PastMessage], verdicts: &[Verdict], took: Duration) {
    let count = past.len();
    if count == 0 {
        println!("there is no message to try the rules on yet");
        return;
    }
    let each = took.as_secs_f64() * 1e3 / f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    println!("{count} messages, {each:.3} ms each");
    for (name, fired, tickets) in by_rule(triage, past, verdicts) {
        let named: Vec<String> =
            tickets.iter().rev().take(NAMED_MAX).map(|number| format!("#{number}")).collect();
        let more = tickets.len().saturating_sub(named.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        println!("{fired:>6}  {name}  {}{more}", named.join(" "));
    }
    let none = verdicts.iter().filter(|verdict| verdict.fired.is_empty()).count();
    println!("{none:>6}  (no rule)");
}
