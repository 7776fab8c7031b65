//! How long what customers wrote is kept after their tickets ended, by age, channel and tag.

use schemars::JsonSchema;
use serde::Deserialize;

/// Days of a hundred years: nobody means more.
const DAYS_MAX: u32 = 36_525;

/// `[retention]`: what is erased by itself, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionSetting {
    /// Is it? Rules can be tried before with `tributary retention`.
    pub enabled: bool,
    /// Tickets with one of these tags, and those of contacts with one, are kept, whatever the rules say.
    pub hold: Vec<String>,
    /// Is the customer erased, too, with their last ticket?
    pub contacts: bool,
    /// Days after which the bytes of what became no message are destroyed: what was ignored or stands in the
    /// quarantine, receipts, judgements. 0: never.
    #[schemars(range(max = 36_525))]
    pub raws_days: u32,
    /// Which tickets, after how long; one rule that fits is enough.
    pub rules: Vec<RetentionRule>,
}

/// `[[retention.rules]]`: tickets that are erased when nothing has happened to them for long enough.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionRule {
    /// What it is called in the trail.
    pub name: String,
    /// Days without any change after they were solved, closed or called spam.
    #[schemars(range(min = 1, max = 36_525))]
    pub after_days: u32,
    /// Only those of these channels, which may be gone by now. None: of all.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Only those with one of these tags. None: whatever their tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Only those with none of these.
    #[serde(default)]
    pub no_tags: Vec<String>,
}

impl RetentionSetting {
    /// Every fault with its key.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if self.raws_days > DAYS_MAX {
            faults.push(("raws_days".to_owned(), format!("must be from 0 to {DAYS_MAX}")));
        }
        if self.enabled && self.rules.is_empty() && self.raws_days == 0 {
            let reason = "it would erase nothing: give it [[retention.rules]] or `raws_days`";
            faults.push(("enabled".to_owned(), reason.to_owned()));
        }
        for (at, rule) in self.rules.iter().enumerate() {
            let mut fault =
                |key: &str, reason: String| faults.push((format!("rules[{at}].{key}"), reason));
            if rule.name.trim().is_empty() {
                fault("name", "a rule needs a name".to_owned());
            }
            if self.rules.iter().take(at).any(|other| other.name == rule.name) {
                fault("name", "another rule has this name".to_owned());
            }
            if !(1..=DAYS_MAX).contains(&rule.after_days) {
                fault("after_days", format!("must be from 1 to {DAYS_MAX}"));
            }
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_named() {
        let rule = |name: &str, after_days| RetentionRule {
            name: name.to_owned(),
            after_days,
            ..RetentionRule::default()
        };
        let keys = |setting: RetentionSetting| -> Vec<String> {
            setting.faults().into_iter().map(|(key, _)| key).collect()
        };
        let with = |rules: Vec<RetentionRule>| RetentionSetting {
            enabled: true,
            rules,
            ..RetentionSetting::default()
        };
        assert!(keys(RetentionSetting::default()).is_empty(), "off as shipped");
        assert!(keys(with(vec![rule("old", 1), rule("older", DAYS_MAX)])).is_empty());
        assert!(keys(RetentionSetting { raws_days: 30, ..with(Vec::new()) }).is_empty());
        assert_eq!(keys(with(Vec::new())), ["enabled"]);
        assert_eq!(
            keys(with(vec![rule("old", 0), rule("old", DAYS_MAX + 1), rule(" ", 5)])),
            ["rules[0].after_days", "rules[1].name", "rules[1].after_days", "rules[2].name"]
        );
        let long = RetentionSetting { raws_days: DAYS_MAX + 1, ..RetentionSetting::default() };
        assert_eq!(keys(long), ["raws_days"]);
    }
}
