//! Senders that pretend to be us, and links that lead to somebody who does. Pure.
//!
//! A name is compared by its skeleton: characters that look alike are one, whatever their script. What is found
//! is a flag for agents and a line in the trace; nothing is refused because of it.

mod confusable;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::{Flag, Inbound, OwnAddresses, Scheme};
use confusable::skeleton;

/// `[protect]`: what is ours, and whom nobody should believe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProtectSetting {
    /// Our domains, besides those of the mail channels' addresses.
    pub domains: Vec<String>,
    /// Names under which we write: a stranger with one of them is an impostor.
    pub names: Vec<String>,
    /// Domains that links should not lead to, with all below them.
    pub denied: Vec<String>,
}

/// The same, ready.
#[derive(Debug, Clone, Default)]
pub(super) struct Protect {
    domains: BTreeSet<String>,
    names: Vec<String>,
    denied: BTreeSet<String>,
}

/// A name shorter than this is part of too many others.
const NAME_CHARS_MIN: usize = 5;
/// From this length on, two slips make a look-alike.
const LONG_NAME_CHARS: usize = 9;
/// More of a text is not searched for links.
const BYTES_MAX: usize = 100_000;
/// More links are not looked at.
const LINKS_MAX: usize = 200;

impl Protect {
    /// Every fault with its key.
    pub(super) fn read(setting: &ProtectSetting) -> Result<Self, Vec<(String, String)>> {
        let mut faults = Vec::new();
        let mut domains = |key: &str, given: &[String]| -> BTreeSet<String> {
            let read = given.iter().enumerate().filter_map(|(at, text)| {
                let read = ascii(text).filter(|domain| domain.contains('.'));
                if read.is_none() {
                    let reason = format!("`{text}` is no domain; one is example.com");
                    faults.push((format!("{key}[{at}]"), reason));
                }
                read
            });
            read.collect()
        };
        let (ours, denied) =
            (domains("domains", &setting.domains), domains("denied", &setting.denied));
        let mut names = Vec::new();
        for (at, name) in setting.names.iter().enumerate() {
            let read = words(name);
            if read.chars().count() < NAME_CHARS_MIN {
                let reason = format!(
                    "a name has at least {NAME_CHARS_MIN} letters, or many customers bear it"
                );
                faults.push((format!("names[{at}]"), reason));
            }
            names.push(read);
        }
        if faults.is_empty() { Ok(Self { domains: ours, names, denied }) } else { Err(faults) }
    }

    /// What is wrong with a message, with one sentence each.
    pub(super) fn look(&self, inbound: &Inbound, own: &OwnAddresses) -> BTreeMap<Flag, String> {
        let mut found = BTreeMap::new();
        let mut ours = self.domains.clone();
        let mail = own.0.iter().filter(|address| address.scheme == Scheme::Email);
        ours.extend(mail.filter_map(|address| Some(address.value.rsplit_once('@')?.1.to_owned())));
        if let Some(why) = self.impostor(inbound, own, &ours) {
            found.insert(Flag::Impostor, why);
        }
        if let Some(why) = self.link(inbound, &ours) {
            found.insert(Flag::PhishingLink, why);
        }
        found
    }

    fn impostor(
        &self,
        inbound: &Inbound,
        own: &OwnAddresses,
        ours: &BTreeSet<String>,
    ) -> Option<String> {
        let address = inbound.sender.address.as_ref()?;
        let of = |value: &str| Some(value.rsplit_once('@')?.1.to_owned());
        let domain = of(&address.value).filter(|_| address.scheme == Scheme::Email);
        let from_us = own.contains(address)
            || domain.as_ref().is_some_and(|domain| ours.iter().any(|own| is_below(domain, own)));
        if from_us {
            return None;
        }
        let reply_to = inbound.reply_to.as_ref().and_then(|party| of(&party.address.value));
        for domain in domain.iter().chain(&reply_to) {
            if let Some(own) = ours.iter().find(|own| looks_like(domain, own, ours)) {
                return Some(format!(
                    "impostor: the sender's domain {domain} looks like our {own}"
                ));
            }
        }
        let name = words(inbound.sender.name.as_deref().unwrap_or_default());
        let borne = self.names.iter().find(|own| format!(" {name} ").contains(&format!(" {own} ")));
        borne.map(|_| "impostor: a stranger bears a name of ours".to_owned())
    }

    fn link(&self, inbound: &Inbound, ours: &BTreeSet<String>) -> Option<String> {
        let html = inbound.html.as_deref().unwrap_or_default();
        for host in hosts(&inbound.text_full).into_iter().chain(hosts(html)) {
            if let Some(denied) = self.denied.iter().find(|denied| is_below(&host, denied)) {
                return Some(format!("phishing: a link leads to {host}, denied by {denied}"));
            }
            if let Some(own) = ours.iter().find(|own| looks_like(&host, own, ours)) {
                return Some(format!(
                    "phishing: a link leads to {host}, which looks like our {own}"
                ));
            }
        }
        let shown = ANCHOR.captures_iter(upto(html)).take(LINKS_MAX).find_map(|anchor| {
            let leads = host_of(anchor.get(1)?.as_str())?;
            let says = hosts(anchor.get(2)?.as_str()).into_iter().next()?;
            let lies = ours.iter().any(|own| is_below(&says, own))
                && !ours.iter().any(|own| is_below(&leads, own));
            lies.then_some((says, leads))
        });
        shown.map(|(says, leads)| format!("phishing: a link says {says} and leads to {leads}"))
    }
}

/// Is it the domain, or one below it?
fn is_below(domain: &str, above: &str) -> bool {
    domain == above || domain.strip_suffix(above).is_some_and(|rest| rest.ends_with('.'))
}

/// Could somebody take `domain` for `own`? Never one of ours.
fn looks_like(domain: &str, own: &str, ours: &BTreeSet<String>) -> bool {
    if ours.iter().any(|own| is_below(domain, own)) {
        return false;
    }
    let Some(name) = name_of(own) else { return false };
    let (unicode, _) = idna::domain_to_unicode(domain);
    let name = skeleton(&idna::domain_to_unicode(name).0);
    let labels: Vec<&str> = unicode.split('.').collect();
    // The last one is no name, and everybody has the same.
    let labels = labels.split_last().map_or(&[][..], |(_, labels)| labels);
    labels.iter().any(|label| label_looks_like(label, &name))
}

fn label_looks_like(label: &str, name: &str) -> bool {
    let whole = skeleton(label);
    if whole == name {
        return true;
    }
    let length = name.chars().count();
    if label.split('-').any(|part| skeleton(part) == name) {
        return true;
    }
    if length < NAME_CHARS_MIN {
        return false;
    }
    let slips = if length >= LONG_NAME_CHARS { 2 } else { 1 };
    whole.starts_with(name) || whole.ends_with(name) || strsim::osa_distance(&whole, name) <= slips
}

/// The label that is a name: `example` of `support.example.co.uk`.
fn name_of(domain: &str) -> Option<&str> {
    let labels: Vec<&str> = domain.split('.').collect();
    let (_, labels) = labels.split_last()?;
    let (last, before) = labels.split_last()?;
    let second_level = ["co", "com", "net", "org", "gov", "edu", "ac", "or", "ne"].contains(last);
    match before.last() {
        Some(name) if second_level => Some(name),
        _ => Some(last),
    }
}

/// Words of a name by their skeletons, a space between them.
fn words(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(skeleton).collect::<Vec<_>>().join(" ")
}

/// A domain in its ASCII form.
fn ascii(domain: &str) -> Option<String> {
    let domain = domain.trim().trim_start_matches("*.").trim_end_matches('.');
    let ascii = idna::domain_to_ascii(domain).ok()?;
    (!ascii.is_empty() && !ascii.contains(['/', '@', ':', ' '])).then_some(ascii)
}

#[expect(clippy::expect_used, reason = "a pattern of ours; every test compiles it")]
static LINK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?:https?://|www\.)[^\s<>"'`)\]}]+"#).expect("a pattern of ours is wrong")
});

#[expect(clippy::expect_used, reason = "a pattern of ours; every test compiles it")]
static ANCHOR: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?is)<a\s[^>]{0,400}?href\s*=\s*["']?([^"'\s>]+)[^>]{0,400}>([^<]{1,300})<"#)
        .expect("a pattern of ours is wrong")
});

fn upto(text: &str) -> &str {
    let mut end = BYTES_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// The hosts of the links in a text, in ASCII.
fn hosts(text: &str) -> BTreeSet<String> {
    LINK.find_iter(upto(text)).take(LINKS_MAX).filter_map(|link| host_of(link.as_str())).collect()
}

fn host_of(link: &str) -> Option<String> {
    let link = link.trim_end_matches(['.', ',', ';', '!', '?', '。', ',']);
    let with_scheme = if link.contains("://") { link.to_owned() } else { format!("http://{link}") };
    let url = url::Url::parse(&with_scheme).ok()?;
    url.domain().map(|host| host.trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests;
