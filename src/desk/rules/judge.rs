//! Which rules fire, and what they come to.

use std::collections::BTreeMap;

use super::{Hits, Rule, Rules, Situation, Then, Verdict, When};
use crate::desk::language::serves;
use crate::model::{Calendar, Priority, TicketStatus};

impl Rules {
    /// Goes through them in order.
    pub(in crate::desk) fn judge(
        &self,
        hits: &Hits,
        situation: &Situation<'_>,
        calendars: &BTreeMap<String, Calendar>,
    ) -> Verdict {
        let mut verdict = Verdict::default();
        // What earlier rules set.
        let mut now = situation.clone();
        for rule in &self.rules {
            let Some(found) = rule.when.holds(hits, &now, calendars) else { continue };
            rule.then.add_to(&mut verdict, &mut now);
            verdict.why.push(rule.sentence(&found));
            verdict.fired.push(rule.name.clone());
            if rule.then.webhook {
                verdict.announced.push(rule.name.clone());
            }
            if rule.stop {
                break;
            }
        }
        verdict
    }
}

impl Then {
    fn add_to(&self, verdict: &mut Verdict, now: &mut Situation<'_>) {
        if let Some(priority) = self.priority {
            verdict.priority = Some(priority);
            now.priority = priority;
        }
        if let Some(status) = self.status {
            verdict.status = Some(status);
            now.status = status;
        }
        for tag in &self.tags {
            if now.tags.insert(tag.clone()) {
                verdict.tags.insert(tag.clone());
            }
        }
        verdict.queue = self.queue.clone().or(verdict.queue.take());
        verdict.assign = self.assign.clone().or(verdict.assign.take());
        verdict.faq = self.faq.or(verdict.faq);
        verdict.acknowledge = self.acknowledge.clone().or(verdict.acknowledge.take());
        verdict.offer_call = self.offer_call.clone().or(verdict.offer_call.take());
    }
}

impl Rule {
    fn sentence(&self, found: &[&str]) -> String {
        let mut sentence = format!("rule «{}» fired", self.name);
        if !found.is_empty() {
            sentence.push_str(&format!(" (found: {})", found.join(", ")));
        }
        let mut effects: Vec<String> = Vec::new();
        let then = &self.then;
        effects.extend(then.priority.map(|priority| format!("priority {priority}")));
        effects.extend(then.status.map(|status| format!("status {status}")));
        effects.extend(then.queue.iter().map(|queue| format!("queue {queue}")));
        effects.extend(then.tags.iter().map(|tag| format!("tag {tag}")));
        effects.extend(then.assign.as_ref().map(|_| "given to somebody".to_owned()));
        effects.extend(then.acknowledge.as_ref().map(|_| "its own acknowledgement".to_owned()));
        effects.extend(then.offer_call.as_ref().map(|_| "a call offered".to_owned()));
        effects.extend(then.faq.map(|on| match on {
            true => "a known answer may go out".to_owned(),
            false => "no known answer goes out".to_owned(),
        }));
        effects.extend(self.stop.then(|| "the rules behind it are left out".to_owned()));
        if !effects.is_empty() {
            sentence.push_str(": ");
            sentence.push_str(&effects.join(", "));
        }
        sentence
    }
}

impl When {
    /// `Some`: all hold; the words that were found.
    fn holds<'a>(
        &'a self,
        hits: &Hits,
        now: &Situation<'_>,
        calendars: &BTreeMap<String, Calendar>,
    ) -> Option<Vec<&'a str>> {
        // The cheap and the selective first.
        let simple = self.new_ticket.is_none_or(|wanted| wanted == now.opens)
            && self.attachments.is_none_or(|wanted| wanted != now.media_types.is_empty())
            && self.messages_min.is_none_or(|least| now.messages >= least)
            && self.ticket_age_min.is_none_or(|least| now.ticket_age >= least)
            && self.ticket_age_max.is_none_or(|most| now.ticket_age <= most)
            && holds_one(self.status.as_ref(), |wanted: &TicketStatus| *wanted == now.status)
            && holds_one(self.priority.as_ref(), |wanted: &Priority| *wanted == now.priority)
            && holds_one(self.flags.as_ref(), |flag| now.flags.contains(flag))
            && holds_one(self.channels.as_ref(), |name| name == now.channel)
            && holds_one(self.languages.as_ref(), |wanted| {
                now.language.is_some_and(|given| serves(given, wanted))
            })
            && holds_one(self.tags.as_ref(), |tag| now.tags.contains(tag))
            && !self.no_tags.iter().any(|tag| now.tags.contains(tag))
            && holds_one(self.contact_tags.as_ref(), |tag| now.contact_tags.contains(tag))
            && !self.no_contact_tags.iter().any(|tag| now.contact_tags.contains(tag));
        let texts = simple
            && !self.no_words.iter().any(|word| hits.word(*word))
            && self.all_words.iter().all(|(word, _)| hits.word(*word))
            && holds_one(self.expressions.as_ref(), |expression| hits.expression(*expression));
        let rest = texts
            && holds_one(self.senders.as_ref(), |wanted| is_from(wanted, now))
            && holds_one(self.media_types.as_ref(), |wanted| {
                now.media_types.iter().any(|given| is_type(given, wanted))
            })
            && self.hours_hold(now, calendars);
        if !rest {
            return None;
        }
        let mut found: Vec<&str> = self.all_words.iter().map(|(_, text)| text.as_str()).collect();
        if let Some(words) = &self.words {
            let (_, text) = words.iter().find(|(word, _)| hits.word(*word))?;
            found.push(text);
        }
        Some(found)
    }

    fn hours_hold(&self, now: &Situation<'_>, calendars: &BTreeMap<String, Calendar>) -> bool {
        let is_open = |name: &String| calendars.get(name).is_some_and(|one| one.is_open(now.now));
        self.open.as_ref().is_none_or(is_open) && !self.closed.as_ref().is_some_and(is_open)
    }
}

fn holds_one<T>(wanted: Option<&Vec<T>>, holds: impl Fn(&T) -> bool) -> bool {
    wanted.is_none_or(|wanted| wanted.iter().any(holds))
}

fn is_from(wanted: &str, now: &Situation<'_>) -> bool {
    let Some(address) = now.sender else { return false };
    if wanted.starts_with('@') {
        return address.value.to_lowercase().ends_with(wanted);
    }
    address.value.to_lowercase() == *wanted
}

fn is_type(given: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => given.starts_with(beginning),
        None => given == wanted,
    }
}
