//! How far the sender's address may be believed.
//!
//! Anybody can write `Authentication-Results` (RFC 8601). What counts are those of a server that the
//! admin named, and of these only the topmost, with the ones of the same name directly beside it: a
//! server puts its own above all that came with the mail. `*first*` instead of a name stands for servers
//! that write none (Exchange Online): then the topmost field of all counts, if it has no name either.

use super::headers::Headers;
use crate::model::{AuthVerdicts, Trust};

/// The word for «the topmost field, which has no name».
const FIRST: &str = "*first*";

/// What the checks said, and whether the domains that they are about belong to `From`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) verdicts: AuthVerdicts,
    spf_aligned: bool,
    dkim_aligned: bool,
}

impl Checked {
    /// Our own check, made while the mail came in (LMTP): verdicts as JSON, or as `spf=pass dkim=none`.
    pub(super) fn by_transport(
        said: &str,
        mail_from: Option<&str>,
        from: Option<&str>,
    ) -> Option<Self> {
        let verdicts = serde_json::from_str(said).ok().or_else(|| in_words(said))?;
        let envelope =
            mail_from.and_then(|address| address.rsplit_once('@')).map(|(_, domain)| domain);
        let spf_aligned = is(verdicts.spf.as_ref(), "pass") && aligned(envelope, from);
        // Whose signature it was is not told, so that it says nothing about `From`.
        Some(Self { verdicts, spf_aligned, dkim_aligned: false })
    }

    /// The verdicts of a server that the admin trusts.
    pub(super) fn by_headers(
        headers: &Headers<'_>,
        trusted: &[String],
        from: Option<&str>,
    ) -> Option<Self> {
        let mut fields = headers.fields.iter();
        let is_results = |name: &str| name == "authentication-results";
        let parse = |value: &[u8]| Results::parse(&String::from_utf8_lossy(value));
        let trusts_first = trusted.iter().any(|name| name == FIRST);
        let top = fields
            .by_ref()
            .filter(|field| is_results(&field.name))
            .map(|field| parse(field.value))
            .find(|results| trusts_first || is_trusted(results.server.as_deref(), trusted))
            .filter(|results| is_trusted(results.server.as_deref(), trusted))?;
        let mut checked = Self::default();
        checked.take(&top, from);
        // The fields of one server stand together; what was there before it stands below.
        let beside = fields
            .take_while(|field| field.name != "received")
            .filter(|field| is_results(&field.name))
            .map(|field| parse(field.value))
            .take_while(|results| results.server == top.server);
        for results in beside {
            checked.take(&results, from);
        }
        Some(checked)
    }

    fn take(&mut self, results: &Results, from: Option<&str>) {
        for result in &results.results {
            let pass = result.verdict == "pass";
            match result.method.as_str() {
                "spf" => {
                    let domain = result.property(&["smtp.mailfrom", "smtp.mail", "smtp.helo"]);
                    self.spf_aligned |= pass && aligned(domain.as_deref().map(domain_of), from);
                    better(&mut self.verdicts.spf, &result.verdict);
                }
                "dkim" => {
                    let domain = result.property(&["header.d", "header.i"]);
                    self.dkim_aligned |= pass && aligned(domain.as_deref().map(domain_of), from);
                    better(&mut self.verdicts.dkim, &result.verdict);
                }
                "dmarc" => better(&mut self.verdicts.dmarc, &result.verdict),
                _ => {}
            }
        }
    }

    /// DMARC decides. Where a domain publishes none, a pass for the domain of `From` is as good, and
    /// two failures are as bad.
    pub(super) fn trust(&self) -> Trust {
        match self.verdicts.dmarc.as_deref() {
            Some("pass") => return Trust::Proven,
            Some("fail") => return Trust::Forged,
            _ => {}
        }
        let failed = |verdict: Option<&String>| is(verdict, "fail") || is(verdict, "permerror");
        if self.spf_aligned || self.dkim_aligned {
            Trust::Proven
        } else if is(self.verdicts.spf.as_ref(), "fail") && failed(self.verdicts.dkim.as_ref()) {
            Trust::Forged
        } else {
            Trust::Claimed
        }
    }
}

/// `spf=pass dkim=none dmarc=pass`
fn in_words(said: &str) -> Option<AuthVerdicts> {
    let pairs: Vec<(&str, &str)> =
        said.split_whitespace().filter_map(|word| word.split_once('=')).collect();
    let verdict = |method| {
        let found = pairs.iter().find(|(name, _)| *name == method);
        found.map(|(_, verdict)| (*verdict).to_owned())
    };
    let verdicts =
        AuthVerdicts { spf: verdict("spf"), dkim: verdict("dkim"), dmarc: verdict("dmarc") };
    (verdicts != AuthVerdicts::default()).then_some(verdicts)
}

/// Several results of one method: one pass is enough.
fn better(slot: &mut Option<String>, verdict: &str) {
    if slot.is_none() || verdict == "pass" {
        *slot = Some(verdict.to_owned());
    }
}

fn is(verdict: Option<&String>, word: &str) -> bool {
    verdict.is_some_and(|verdict| verdict == word)
}

fn is_trusted(server: Option<&str>, trusted: &[String]) -> bool {
    trusted.iter().any(|name| match server {
        Some(server) => name != FIRST && name.eq_ignore_ascii_case(server),
        None => name == FIRST,
    })
}

fn domain_of(value: &str) -> &str {
    value.rsplit_once('@').map_or(value, |(_, domain)| domain)
}

/// The same domain, or one above the other. No public suffix is above anything.
fn aligned(domain: Option<&str>, from: Option<&str>) -> bool {
    let (Some(domain), Some(from)) = (domain, from) else { return false };
    let clean = |text: &str| text.trim_matches(['"', '.', '<', '>', ' ']).to_ascii_lowercase();
    let (domain, from) = (clean(domain), clean(from));
    let above = |upper: &str, lower: &str| {
        let below = lower.strip_suffix(upper).is_some_and(|rest| rest.ends_with('.'));
        below && is_registrable(upper)
    };
    !domain.is_empty() && (domain == from || above(&domain, &from) || above(&from, &domain))
}

/// Could somebody own this domain? `co.uk` and `com.cn` look like it, but nobody does.
fn is_registrable(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    match labels.as_slice() {
        [] | [_] => false,
        [second, top] => !(top.len() == 2 && second.len() <= 3),
        _ => true,
    }
}

/// One field.
#[derive(Debug, Default, PartialEq, Eq)]
struct Results {
    server: Option<String>,
    results: Vec<MethodResult>,
}

/// `spf=pass smtp.mailfrom=example.com`
#[derive(Debug, Default, PartialEq, Eq)]
struct MethodResult {
    method: String,
    verdict: String,
    properties: Vec<(String, String)>,
}

impl MethodResult {
    fn property(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| {
            let found = self.properties.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        })
    }
}

impl Results {
    fn parse(value: &str) -> Self {
        let value = without_comments(value);
        let mut results = Self::default();
        for (index, piece) in value.split(';').enumerate() {
            let words: Vec<&str> = piece.split_whitespace().collect();
            let named = words.first().is_some_and(|word| word.contains('='));
            if index == 0 && !named {
                results.server = words.first().map(|word| word.to_ascii_lowercase());
            } else if let Some(result) = method_result(&words) {
                results.results.push(result);
            }
        }
        results
    }
}

fn method_result(words: &[&str]) -> Option<MethodResult> {
    let mut pairs = words.iter().filter_map(|word| word.split_once('='));
    let (method, verdict) = pairs.next()?;
    let method = method.split('/').next().unwrap_or(method).to_ascii_lowercase();
    let properties = pairs
        .map(|(name, value)| {
            (name.to_ascii_lowercase(), value.trim_matches('"').to_ascii_lowercase())
        })
        .collect();
    Some(MethodResult { method, verdict: verdict.to_ascii_lowercase(), properties })
}

fn without_comments(value: &str) -> String {
    let mut depth = 0_usize;
    let mut kept = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => kept.push(c),
            _ => {}
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trust(headers: &str, trusted: &[&str]) -> Option<Trust> {
        let mail = format!("{headers}\n\n");
        let (headers, _) = Headers::split(mail.as_bytes());
        let trusted: Vec<String> = trusted.iter().map(|&name| name.to_owned()).collect();
        Checked::by_headers(&headers, &trusted, Some("example.com")).map(|checked| checked.trust())
    }

    const PASS: &str = "dmarc=pass (p=NONE; x) header.from=example.com";

    // FAULTS 89
    #[test]
    fn only_the_topmost_results_of_a_named_server_count() {
        let top = format!("Authentication-Results: mx.us; {PASS}");
        assert_eq!(trust(&top, &["mx.us"]), Some(Trust::Proven));
        assert_eq!(trust(&top, &["MX.US"]), Some(Trust::Proven));
        assert_eq!(trust(&top, &["mx.them"]), None);
        assert_eq!(trust(&top, &[]), None);
        let forged_below = format!(
            "Received: a\nAuthentication-Results: mx.us; dmarc=fail\nReceived: b\nAuthentication-Results: mx.us; {PASS}"
        );
        assert_eq!(trust(&forged_below, &["mx.us"]), Some(Trust::Forged));
        let beside = "Authentication-Results: mx.us; spf=fail smtp.mailfrom=x.com\nAuthentication-Results: mx.us; dkim=pass header.d=example.com";
        assert_eq!(trust(beside, &["mx.us"]), Some(Trust::Proven));
    }

    #[test]
    fn results_without_a_server_count_only_where_the_admin_said_so() {
        let exchange = "Received: x\nAuthentication-Results: spf=pass (sender IP is 1.2.3.4)\n smtp.mailfrom=example.com; dkim=pass (signature was verified)\n header.d=example.com;dmarc=pass action=none header.from=example.com;compauth=pass";
        assert_eq!(trust(exchange, &["*first*"]), Some(Trust::Proven));
        assert_eq!(trust(exchange, &["mx.us"]), None);
        let named_first =
            format!("Authentication-Results: other; spf=none\nAuthentication-Results: {PASS}");
        assert_eq!(trust(&named_first, &["*first*"]), None, "not the topmost");
    }

    #[test]
    fn without_dmarc_the_domains_must_belong_to_from() {
        for (results, expected) in [
            ("spf=pass smtp.mailfrom=a@example.com", Trust::Proven),
            ("spf=pass smtp.mailfrom=a@mail.example.com", Trust::Proven),
            ("spf=pass smtp.mailfrom=a@badexample.com", Trust::Claimed),
            ("spf=pass smtp.mailfrom=com", Trust::Claimed),
            ("dkim=pass header.i=@example.com", Trust::Proven),
            ("dkim=fail; dkim=pass header.d=example.com", Trust::Proven),
            ("dkim=pass header.d=esp.net; spf=fail", Trust::Claimed),
            ("dkim=fail header.d=example.com; spf=fail", Trust::Forged),
            ("dkim=none; spf=none; dmarc=none", Trust::Claimed),
            ("dkim=pass header.d=example.com; dmarc=fail", Trust::Forged),
            ("dmarc=bestguesspass", Trust::Claimed),
            ("none", Trust::Claimed),
        ] {
            let field = format!("Authentication-Results: mx.us 1; {results}");
            assert_eq!(trust(&field, &["mx.us"]), Some(expected), "{results}");
        }
        assert!(!aligned(Some("co.uk"), Some("example.co.uk")));
    }

    #[test]
    fn our_own_check_is_read_from_the_transport() {
        let json = r#"{"spf":"pass","dkim":"none","dmarc":"none"}"#;
        let checked =
            |from| Checked::by_transport(json, Some("a@example.com"), from).unwrap().trust();
        assert_eq!(checked(Some("example.com")), Trust::Proven);
        assert_eq!(checked(Some("other.com")), Trust::Claimed);
        let words = Checked::by_transport("spf=none dkim=pass dmarc=pass", None, None);
        assert_eq!(words.map(|checked| checked.trust()), Some(Trust::Proven));
        assert_eq!(Checked::by_transport("not json", None, None), None);
    }
}
