//! Tickets that wait for a customer who says nothing: a warning first, then the end.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::language::fitting;

/// The tag of tickets that ended because nobody said anything.
pub const CLOSED: &str = "auto_closed";

/// `[close]`: what becomes of pending tickets whose customer says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseSetting {
    /// Are they solved by themselves?
    pub enabled: bool,
    /// Days after the last word of either side on which the customer is warned.
    #[schemars(range(min = 1, max = 365))]
    pub warn_days: u32,
    /// Days after the warning on which the ticket is solved.
    #[schemars(range(min = 1, max = 365))]
    pub solve_days: u32,
    /// The warning, by language. {number} and {subject} are filled.
    pub texts: BTreeMap<String, String>,
}

impl CloseSetting {
    /// Every fault with its key.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if !self.enabled {
            return faults;
        }
        for (key, given) in [("warn_days", self.warn_days), ("solve_days", self.solve_days)] {
            if !(1..=365).contains(&given) {
                faults.push((key.to_owned(), "must be from 1 to 365".to_owned()));
            }
        }
        if self.texts.values().all(|text| text.trim().is_empty()) {
            faults.push(("texts".to_owned(), "expected a warning in one language".to_owned()));
        }
        faults
    }

    /// The warning for somebody who reads `language`.
    #[must_use]
    pub fn text(&self, language: Option<&str>) -> Option<&str> {
        fitting(&self.texts, language).map(String::as_str).filter(|text| !text.trim().is_empty())
    }
}
