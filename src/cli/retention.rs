//! `tributary retention`: what the settings would erase now. Changes nothing.

use std::path::Path;

use serde_json::{Value, json};

use super::Failure;
use super::open::Installation;
use crate::engine::Clock;
use crate::store::{Access, Expired};

/// Tickets that are looked for, for each rule.
const TICKETS_MAX: u64 = 100_000;
/// Tickets that are named for each rule.
const NAMED_MAX: usize = 8;

pub(super) async fn run(config: Option<&Path>, json: bool) -> Result<(), Failure> {
    let installation = Installation::open(config, Access::Beside).await?;
    let triage = installation.triage()?;
    let setting = triage.retention();
    let now = Clock::system().now();
    let expired = installation.store.expired_tickets(setting, TICKETS_MAX, now).await?;
    let raws = match setting.raws_days {
        0 => 0,
        days => installation.store.count_old_raws(days, now).await?,
    };
    installation.store.close().await?;
    let of =
        |rule: &str| -> Vec<&Expired> { expired.iter().filter(|one| one.rule == rule).collect() };
    if json {
        let rules: Vec<Value> = setting
            .rules
            .iter()
            .map(|rule| {
                let tickets: Vec<i64> = of(&rule.name).iter().map(|one| one.ticket).collect();
                json!({ "rule": rule.name, "tickets": tickets })
            })
            .collect();
        println!("{}", json!({ "enabled": setting.enabled, "rules": rules, "raws": raws }));
        return Ok(());
    }
    if setting.rules.is_empty() {
        println!("there are no [[retention.rules]]: tickets are kept for ever");
    }
    for rule in &setting.rules {
        let tickets = of(&rule.name);
        let named = tickets.iter().take(NAMED_MAX);
        let named: Vec<String> =
            named.map(|one| format!("#{} ({})", one.ticket, one.since.date_naive())).collect();
        let more = tickets.len().saturating_sub(named.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        println!("{:>6}  {}  {}{more}", tickets.len(), rule.name, named.join(" "));
    }
    if setting.raws_days > 0 {
        println!("{raws:>6}  raws that became no message, after {} days", setting.raws_days);
    }
    if !setting.enabled {
        println!("nothing is erased: retention.enabled is off");
    }
    Ok(())
}
