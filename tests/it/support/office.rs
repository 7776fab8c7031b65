//! Settings of mail channels on the test servers, and questions that many tests ask of a desk.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::agent::{Follower, Issued, audit_inbound, came_in};
use super::daemon::Api;
use super::ledger::{Findings, Ledger};
use super::wait_until;

/// The beginning of every configuration: no console, and a log that says everything.
pub const HEAD: &str =
    "[console]\nenabled = false\n\n[log]\nformat = \"json\"\nlevel = \"info,tributary=debug\"\n\n";

/// One mail channel being written.
pub struct MailChannel {
    name: String,
    head: String,
    tables: String,
    /// Seconds before the second attempt, and at most.
    retry: (u32, u32),
}

impl MailChannel {
    pub fn new(name: &str, address: &str) -> Self {
        let head = format!("[channels.{name}]\nkind = \"email\"\naddress = \"{address}\"\n");
        Self { name: name.to_owned(), head, tables: String::new(), retry: (1, 2) }
    }

    /// A key of the channel itself.
    pub fn with(mut self, line: &str) -> Self {
        writeln!(self.head, "{line}").unwrap();
        self
    }

    /// A table of the channel's, such as `acknowledge`.
    pub fn table(mut self, name: &str, lines: &str) -> Self {
        write!(self.tables, "[channels.{}.{name}]\n{lines}\n", self.name).unwrap();
        self
    }

    /// Takes mail from a mailbox of a server on this machine, in the clear.
    pub fn imap(self, port: u16, user: &str, password: &str, more: &str) -> Self {
        let lines = format!(
            "protocol = \"imap\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n\
             username = \"{user}\"\npassword = \"{password}\"\npoll_seconds = 2\n\
             timeout_seconds = 20\n{more}"
        );
        self.table("receive", &lines)
    }

    /// Takes mail on a port of its own.
    pub fn lmtp(self, port: u16) -> Self {
        let lines = format!("protocol = \"lmtp\"\nlisten = \"127.0.0.1:{port}\"\nverify = false");
        self.table("receive", &lines)
    }

    /// Sends by a server on this machine, in the clear and without a login.
    pub fn smtp(self, port: u16, more: &str) -> Self {
        let lines = format!(
            "host = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\ntimeout_seconds = 20\n{more}"
        );
        self.table("send", &lines)
    }

    /// How soon a delivery is tried again, in seconds: at first, and at most.
    pub fn retry(mut self, first: u32, most: u32) -> Self {
        self.retry = (first, most);
        self
    }

    pub fn text(self) -> String {
        let (first, most) = self.retry;
        let lines = format!("delay_min_seconds = {first}\ndelay_max_seconds = {most}");
        let whole = self.table("retry", &lines);
        format!("{}\n{}\n", whole.head, whole.tables)
    }
}

/// Waits until so many messages came in over all channels; then none may come any more by itself.
pub async fn wait_inbound(follower: &mut Follower, count: usize, limit: Duration) {
    let what = format!("{count} messages");
    wait_until(&what, limit, async || {
        follower.turn().await;
        inbound(follower.messages()) >= count
    })
    .await;
}

/// How many messages came in.
pub fn inbound(messages: &[Value]) -> usize {
    messages.iter().filter(|message| came_in(message)).count()
}

/// Waits for exactly these mails of one sender on one channel, and fails on any other.
pub async fn expect_exactly(
    api: &Api,
    ledger: &Ledger,
    issued: &BTreeMap<u32, Issued>,
    limit: Duration,
) -> Vec<Value> {
    let mut follower = Follower::new(api.clone());
    wait_inbound(&mut follower, issued.len(), limit).await;
    let mut findings = Findings::default();
    audit_inbound(ledger, issued, follower.messages(), &mut findings);
    findings.assert_clean(ledger);
    follower.messages().to_vec()
}

/// How one channel is, as `GET /channels` tells.
pub async fn channel(api: &Api, name: &str) -> Value {
    let all = api.all("/channels").await;
    let found = all.iter().find(|channel| channel["name"] == name);
    found.unwrap_or_else(|| panic!("no channel {name} in {all:?}")).clone()
}

/// Waits until a channel is in one of these states, and returns how it is.
pub async fn wait_channel(api: &Api, name: &str, states: &[&str], limit: Duration) -> Value {
    let mut last = Value::Null;
    wait_until(&format!("channel {name} in {states:?}"), limit, async || {
        last = channel(api, name).await;
        states.iter().any(|state| last["state"] == *state)
    })
    .await;
    last
}
