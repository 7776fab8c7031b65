//! Our own check of who sent a mail: SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 9989).
//!
//! For mail that a mail server of ours hands over (LMTP). The client's address is taken from the topmost
//! `Received`, which that server wrote; those below it anybody may have written. Where the topmost one
//! names no client (a filter on the same machine handed the mail back in), SPF is `none`, and DKIM
//! decides alone.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcResult, MessageAuthenticator, SpfOutput,
    SpfResult,
};
use mail_parser::{HeaderName, HeaderValue, Host, MessageParser};

use crate::model::{AuthVerdicts, Cause};

/// How long all look-ups of one mail may take together. Nobody waits longer for a verdict.
const LIMIT: Duration = Duration::from_secs(5);
/// Signatures that are looked at: each costs a look-up.
const SIGNATURES_MAX: usize = 8;

/// Asks the domain name system, within a limit.
pub struct Verifier {
    authenticator: MessageAuthenticator,
    limit: Duration,
}

impl Verifier {
    /// With the resolvers of this machine.
    pub fn system() -> Result<Self, Cause> {
        Ok(Self::new(MessageAuthenticator::new_system_conf()?, LIMIT))
    }

    /// With another resolver.
    #[must_use]
    pub const fn new(authenticator: MessageAuthenticator, limit: Duration) -> Self {
        Self { authenticator, limit }
    }

    /// The verdicts on one mail. What cannot be found out in time is `temperror`.
    pub async fn verify(&self, mail: Bytes, mail_from: &str) -> Verdicts {
        let authenticator = self.authenticator.clone();
        let mail_from = mail_from.to_owned();
        let (limit, runtime) = (self.limit, tokio::runtime::Handle::current());
        // Hashing a large mail takes long enough to hold up everybody else on this thread.
        let verdicts = tokio::task::spawn_blocking(move || {
            let checks = verify(&authenticator, &mail, &mail_from);
            runtime.block_on(async { tokio::time::timeout(limit, checks).await.ok() })
        });
        verdicts.await.ok().flatten().unwrap_or_else(Verdicts::unknown)
    }
}

/// What was found out, in the words of RFC 8601.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdicts {
    /// May the client send for the envelope sender?
    pub spf: &'static str,
    /// Is a signature valid?
    pub dkim: &'static str,
    /// Does one of them speak for the domain of `From`?
    pub dmarc: &'static str,
}

impl Verdicts {
    const fn unknown() -> Self {
        Self { spf: "temperror", dkim: "temperror", dmarc: "temperror" }
    }
}

/// `spf=pass dkim=none dmarc=pass`: as it stands in a raw's transport.
impl std::fmt::Display for Verdicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "spf={} dkim={} dmarc={}", self.spf, self.dkim, self.dmarc)
    }
}

impl From<Verdicts> for AuthVerdicts {
    fn from(verdicts: Verdicts) -> Self {
        let word = |word: &str| Some(word.to_owned());
        Self { spf: word(verdicts.spf), dkim: word(verdicts.dkim), dmarc: word(verdicts.dmarc) }
    }
}

async fn verify(authenticator: &MessageAuthenticator, mail: &[u8], mail_from: &str) -> Verdicts {
    let spf = async {
        match client(mail) {
            Some((ip, helo)) => {
                let by = SpfParameters::verify_mail_from(ip, &helo, "localhost", mail_from);
                authenticator.verify_spf(by).await
            }
            None => SpfOutput::new(String::new()),
        }
    };
    let Some(mut message) = AuthenticatedMessage::parse(mail) else {
        return Verdicts { spf: spf_word(spf.await.result()), dkim: "none", dmarc: "none" };
    };
    message.dkim_headers.truncate(SIGNATURES_MAX);
    let (spf, dkim) = tokio::join!(spf, authenticator.verify_dkim(&message));
    let domain = mail_from.rsplit_once('@').map_or("", |(_, domain)| domain);
    let parameters = DmarcParameters::new(&message, &dkim, domain, &spf);
    let dmarc = authenticator.verify_dmarc(parameters).await;
    Verdicts {
        spf: spf_word(spf.result()),
        dkim: dkim_word(&dkim),
        dmarc: dmarc_word(&dmarc.result()),
    }
}

/// Who handed the mail to our mail server, as the topmost `Received` says.
fn client(mail: &[u8]) -> Option<(IpAddr, String)> {
    let message = MessageParser::new().parse_headers(mail)?;
    let header = message.headers().iter().find(|header| header.name == HeaderName::Received)?;
    let HeaderValue::Received(received) = &header.value else { return None };
    let ip = received.from_ip.or(match &received.from {
        Some(Host::IpAddr(ip)) => Some(*ip),
        _ => None,
    });
    let helo = match received.helo.as_ref().or(received.from.as_ref()) {
        Some(Host::Name(name)) => name.to_string(),
        Some(Host::IpAddr(ip)) => format!("[{ip}]"),
        None => String::new(),
    };
    ip.filter(|ip| !ip.is_loopback() && !ip.is_unspecified()).map(|ip| (ip, helo))
}

const fn spf_word(result: SpfResult) -> &'static str {
    match result {
        SpfResult::Pass => "pass",
        SpfResult::Fail => "fail",
        SpfResult::SoftFail => "softfail",
        SpfResult::Neutral => "neutral",
        SpfResult::TempError => "temperror",
        SpfResult::PermError => "permerror",
        SpfResult::None => "none",
    }
}

/// The best of all signatures: any valid one will do.
fn dkim_word(outputs: &[DkimOutput<'_>]) -> &'static str {
    let words: Vec<&str> = outputs
        .iter()
        .map(|output| match output.result() {
            DkimResult::Pass => "pass",
            DkimResult::Neutral(_) => "neutral",
            DkimResult::Fail(_) => "fail",
            DkimResult::PermError(_) => "permerror",
            DkimResult::TempError(_) => "temperror",
            DkimResult::None => "none",
        })
        .collect();
    let best_first = ["pass", "temperror", "fail", "neutral", "permerror"];
    best_first.into_iter().find(|word| words.contains(word)).unwrap_or("none")
}

const fn dmarc_word(result: &DmarcResult) -> &'static str {
    match result {
        DmarcResult::Pass => "pass",
        DmarcResult::Fail(_) => "fail",
        DmarcResult::TempError(_) => "temperror",
        DmarcResult::PermError(_) => "permerror",
        DmarcResult::None => "none",
    }
}
