//! The settings of a mail channel: read from its table, checked, and made into what the parts take.
//!
//! Makes no connection. Everything wrong is found here, and named by its key.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use crate::channel::shared::tls::{self, Endpoint, TlsMode};
use crate::channel::{BadChannel, Table};
use crate::model::{Address, ChannelName, Secret};

mod raw;

use raw::{RawDkim, RawImap, RawLmtp, RawMail, RawOAuth, RawPipe, RawSend};

/// All settings of one mail channel.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address that customers write to and that replies come from.
    pub address: String,
    /// The name shown beside it.
    pub name: Option<String>,
    /// Further addresses of our own.
    pub aliases: Vec<String>,
    /// How mail comes in; absent: not at all.
    pub receive: Option<Receive>,
    /// How mail goes out; absent: not at all.
    pub send: Option<Submission>,
}

impl Settings {
    /// Our own addresses, in comparable form.
    #[must_use]
    pub fn own_addresses(&self) -> Vec<Address> {
        std::iter::once(&self.address)
            .chain(&self.aliases)
            .map(|address| Address::email(&ascii_domain(address)))
            .collect()
    }

    /// The `authserv-id`s whose `Authentication-Results` are believed.
    #[must_use]
    pub fn trusted_authserv(&self) -> &[String] {
        self.receive.as_ref().map_or(&[], |receive| &receive.trusted_authserv)
    }
}

/// How mail comes in.
#[derive(Debug, Clone)]
pub struct Receive {
    /// By which protocol.
    pub protocol: Protocol,
    /// The `authserv-id`s whose `Authentication-Results` are believed.
    pub trusted_authserv: Vec<String>,
}

/// By which protocol mail comes in.
#[derive(Debug, Clone)]
pub enum Protocol {
    /// We ask a mailbox.
    Imap(Box<Imap>),
    /// A mail server hands it to us.
    Lmtp(Lmtp),
    /// A mail server starts `tributary ingest`.
    Pipe,
}

/// A mailbox that is asked.
#[derive(Debug, Clone)]
pub struct Imap {
    /// Where.
    pub endpoint: Endpoint,
    /// As whom.
    pub login: Login,
    /// Which folders are read, by their names as people see them.
    pub folders: Vec<String>,
    /// What becomes of a mail that is stored.
    pub after: After,
    /// What becomes of the mail that is there when the channel is started for the first time.
    pub start: Start,
    /// How often is looked without being told.
    pub poll: Duration,
    /// How long one IDLE lasts.
    pub idle: Duration,
    /// Of a larger mail only the head is fetched.
    pub mail_bytes_max: u64,
    /// Mails handed over at once.
    pub batch_max: u32,
    /// The limit of each wait.
    pub timeout: Duration,
}

/// What becomes of a mail on the server once it is stored here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum After {
    /// Nothing; the folder is opened for reading only.
    Leave,
    /// It gets this keyword.
    Mark(String),
    /// It goes to this folder.
    Move(String),
    /// It is deleted.
    Delete,
}

/// Which mail a new channel begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// With the oldest that is there.
    All,
    /// With the next that comes.
    New,
}

/// A port where mail servers deliver.
#[derive(Debug, Clone)]
pub struct Lmtp {
    /// `127.0.0.1:2424` or `unix:/path`.
    pub listen: String,
    /// Largest mail in bytes.
    pub size_max: u64,
    /// Check SPF, DKIM and DMARC ourselves?
    pub verify: bool,
}

/// How to log in.
#[derive(Debug, Clone)]
pub enum Login {
    /// Not at all: a relay on this machine.
    Nobody,
    /// By password.
    Password {
        /// As whom.
        username: String,
        /// With what.
        password: Secret,
    },
    /// By an access token. `username` is the mailbox, which may be shared and so not the user's own.
    OAuth {
        /// The mailbox.
        username: String,
        /// Where the token comes from.
        oauth: Box<OAuth>,
    },
}

/// Where access tokens come from.
#[derive(Debug, Clone)]
pub struct OAuth {
    /// Under which name a rotated refresh token is kept.
    pub vault_name: String,
    /// Registered with the provider.
    pub client_id: String,
    /// Belongs to `client_id`; public clients have none.
    pub client_secret: Option<Secret>,
    /// How a token is asked for.
    pub grant: Grant,
    /// What it should allow.
    pub scope: String,
    /// Where tokens are asked for.
    pub token_url: Url,
    /// Where a person agrees in a browser.
    pub authorize_url: Option<Url>,
    /// Where a person agrees with a code on another device.
    pub device_url: Option<Url>,
}

/// How a token is asked for.
#[derive(Debug, Clone)]
pub enum Grant {
    /// With what a person agreed to; absent until `tributary channel login`.
    RefreshToken(Option<Secret>),
    /// As the application itself (Microsoft).
    ClientCredentials,
    /// As a service account that acts for `subject` (Google): its JSON key.
    ServiceAccount {
        /// The file that Google gave, as text.
        key: Secret,
        /// The mailbox.
        subject: String,
    },
}

/// A server that takes our mail.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Where.
    pub endpoint: Endpoint,
    /// As whom.
    pub login: Login,
    /// By which mechanism; absent: the best that the server offers.
    pub auth: Option<Mechanism>,
    /// `From`, if it is not the channel's address.
    pub from: Option<String>,
    /// Text put under each reply.
    pub signature: Option<String>,
    /// 0: no limit.
    pub rate_per_minute: u32,
    /// Connections at once.
    pub connections_max: u16,
    /// Sign what we send.
    pub dkim: Option<Dkim>,
    /// Keep a copy in a folder.
    pub save_to_sent: SaveToSent,
    /// Put `[#number]` into the subject?
    pub subject_tag: bool,
    /// Let answers come back to an address that names the ticket?
    pub plus_address: bool,
    /// The limit of each wait but the one after the last dot.
    pub timeout: Duration,
}

/// By which mechanism SMTP logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// The old one of Outlook.
    Login,
    /// With an access token.
    XOAuth2,
}

/// Where a copy of what we send is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SaveToSent {
    /// Nowhere, or by the provider itself.
    No,
    /// In the folder that the server calls `\Sent`.
    Auto,
    /// In this one.
    Folder(String),
}

/// Signs what we send (RFC 6376).
#[derive(Debug, Clone)]
pub struct Dkim {
    /// `d=`.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// The private key in PEM.
    pub key: Secret,
}

/// Reads and checks the table.
pub fn read(channel: &ChannelName, table: Table) -> Result<Settings, BadChannel> {
    let mut table = into_map(channel, "", table)?;
    let receive = table.remove("receive");
    let send = table.remove("send");
    let raw: RawMail = part(channel, "", table.into())?;
    let reader = Reader { channel, address: &raw.address, oauth: raw.oauth.as_ref() };
    reader.check_address("address", &raw.address)?;
    for alias in &raw.aliases.0 {
        reader.check_address("aliases", alias)?;
    }
    if receive.is_none() && send.is_none() {
        return Err(reader.bad("receive", "is missing, and `send` too; one of them is needed"));
    }
    let receive = receive.map(|table| reader.receive(table)).transpose()?;
    let send = send.map(|table| reader.send(table)).transpose()?;
    let uses_sent = send.as_ref().is_some_and(|send| send.save_to_sent != SaveToSent::No);
    let has_imap =
        receive.as_ref().is_some_and(|receive| matches!(receive.protocol, Protocol::Imap(_)));
    if uses_sent && !has_imap {
        return Err(reader.bad(
            "send.save_to_sent",
            "a copy can be kept only where [receive] has protocol = \"imap\"",
        ));
    }
    Ok(Settings { address: raw.address, name: raw.name, aliases: raw.aliases.0, receive, send })
}

fn into_map(
    channel: &ChannelName,
    path: &str,
    table: Table,
) -> Result<HashMap<String, Table>, BadChannel> {
    table.into_table().map_err(|_| BadChannel::at(channel, path, "expected a table of settings"))
}

/// Deserializes one part; the error names the whole path.
fn part<T: serde::de::DeserializeOwned>(
    channel: &ChannelName,
    prefix: &str,
    table: Table,
) -> Result<T, BadChannel> {
    crate::channel::settings(channel, table).map_err(|error| match error {
        BadChannel::Setting { channel, path, problem } => {
            BadChannel::Setting { channel, path: join(prefix, &path), problem }
        }
        other @ (BadChannel::NoKind(..) | BadChannel::UnknownKind { .. }) => other,
    })
}

/// `receive` and `port` are `receive.port`.
fn join(prefix: &str, path: &str) -> String {
    match (prefix, path) {
        ("", path) => path.to_owned(),
        (prefix, "" | ".") => prefix.to_owned(),
        (prefix, path) => format!("{prefix}.{path}"),
    }
}

/// `用户@例子.cn` → `用户@xn--fsqu00a.cn`; what is no domain stays.
fn ascii_domain(address: &str) -> String {
    address
        .rsplit_once('@')
        .and_then(|(local, domain)| {
            Some(format!("{local}@{}", idna::domain_to_ascii(domain).ok()?))
        })
        .unwrap_or_else(|| address.to_owned())
}

fn seconds(value: Option<u64>, default: u64) -> Duration {
    Duration::from_secs(value.unwrap_or(default))
}

/// Turns the raw parts into checked ones.
struct Reader<'a> {
    channel: &'a ChannelName,
    address: &'a str,
    oauth: Option<&'a RawOAuth>,
}

/// What belongs to a connection, of either part.
struct RawServer {
    host: Option<String>,
    port: Option<u16>,
    tls: TlsMode,
    ca_file: Option<PathBuf>,
    server_name: Option<String>,
    default_port: u16,
}

/// What belongs to a login, of either part.
struct RawLogin<'r> {
    username: Option<String>,
    password: Option<Secret>,
    oauth: Option<&'r RawOAuth>,
}

impl Reader<'_> {
    fn bad(&self, path: &str, problem: impl Into<String>) -> BadChannel {
        BadChannel::at(self.channel, path, problem)
    }

    fn check_address(&self, path: &str, address: &str) -> Result<(), BadChannel> {
        let plain = |text: &str| {
            !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        let good = address
            .rsplit_once('@')
            .is_some_and(|(local, domain)| plain(local) && plain(domain) && !domain.contains('<'));
        let problem = || self.bad(path, format!("`{address}` is no mail address"));
        good.then_some(()).ok_or_else(problem)
    }

    fn at_least(&self, path: &str, value: u64, least: u64) -> Result<(), BadChannel> {
        let problem = || self.bad(path, format!("must be at least {least}"));
        (value >= least).then_some(()).ok_or_else(problem)
    }

    /// Nothing that could end a line of the protocol early.
    fn one_line(&self, path: &str, text: &str) -> Result<(), BadChannel> {
        let good = !text.is_empty() && !text.contains(['\r', '\n', '\0']);
        let problem = || self.bad(path, "must be one line of text, and not empty");
        good.then_some(()).ok_or_else(problem)
    }

    fn receive(&self, table: Table) -> Result<Receive, BadChannel> {
        let mut table = into_map(self.channel, "receive", table)?;
        let known = "expected `imap`, `lmtp` or `pipe`";
        let protocol = table
            .remove("protocol")
            .ok_or_else(|| self.bad("receive.protocol", format!("is missing; {known}")))?
            .to_string();
        match protocol.as_str() {
            "imap" => self.imap(part(self.channel, "receive", table.into())?),
            "lmtp" => self.lmtp(part(self.channel, "receive", table.into())?),
            "pipe" => {
                let raw: RawPipe = part(self.channel, "receive", table.into())?;
                Ok(Receive { protocol: Protocol::Pipe, trusted_authserv: raw.trusted_authserv.0 })
            }
            other => Err(self.bad("receive.protocol", format!("`{other}` is unknown; {known}"))),
        }
    }

    fn imap(&self, raw: RawImap) -> Result<Receive, BadChannel> {
        let tls = raw.tls.unwrap_or(TlsMode::Implicit);
        let server = RawServer {
            host: raw.host,
            port: raw.port,
            tls,
            ca_file: raw.ca_file,
            server_name: raw.server_name,
            default_port: if tls == TlsMode::Implicit { 993 } else { 143 },
        };
        let login =
            RawLogin { username: raw.username, password: raw.password, oauth: raw.oauth.as_ref() };
        let login = self.login("receive", login)?;
        if matches!(login, Login::Nobody) {
            return Err(self.bad("receive.username", "is missing, with `password` or `oauth`"));
        }
        let folders = if raw.folders.0.is_empty() { vec!["INBOX".into()] } else { raw.folders.0 };
        for folder in &folders {
            self.one_line("receive.folders", folder)?;
        }
        let after = self.after(raw.after.as_deref(), raw.move_to, raw.mark_as)?;
        if let After::Move(folder) = &after
            && folders.contains(folder)
        {
            return Err(
                self.bad("receive.move_to", "is one of `folders`: mail would go in circles")
            );
        }
        let mail_bytes_max = raw.mail_bytes_max.unwrap_or(64 << 20);
        self.at_least("receive.mail_bytes_max", mail_bytes_max, 64 << 10)?;
        let batch_max = raw.batch_max.unwrap_or(50);
        self.at_least("receive.batch_max", batch_max.into(), 1)?;
        self.at_least("receive.poll_seconds", raw.poll_seconds.unwrap_or(60), 1)?;
        self.at_least("receive.idle_seconds", raw.idle_seconds.unwrap_or(540), 1)?;
        self.at_least("receive.timeout_seconds", raw.timeout_seconds.unwrap_or(60), 1)?;
        let imap = Imap {
            endpoint: self.endpoint("receive", server)?,
            login,
            folders,
            after,
            start: raw.start.unwrap_or(Start::All),
            poll: seconds(raw.poll_seconds, 60),
            idle: seconds(raw.idle_seconds, 540),
            mail_bytes_max,
            batch_max,
            timeout: seconds(raw.timeout_seconds, 60),
        };
        Ok(Receive {
            protocol: Protocol::Imap(Box::new(imap)),
            trusted_authserv: raw.trusted_authserv.0,
        })
    }

    fn after(
        &self,
        word: Option<&str>,
        move_to: Option<String>,
        mark_as: Option<String>,
    ) -> Result<After, BadChannel> {
        let word = word.unwrap_or("leave");
        if move_to.is_some() && word != "move" {
            return Err(self.bad("receive.move_to", "is used only with after = \"move\""));
        }
        if mark_as.is_some() && word != "mark" {
            return Err(self.bad("receive.mark_as", "is used only with after = \"mark\""));
        }
        match word {
            "leave" => Ok(After::Leave),
            "delete" => Ok(After::Delete),
            "mark" => {
                let keyword = mark_as.unwrap_or_else(|| "$Ticketed".to_owned());
                let is_atom = keyword.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b'_' | b'-' | b'.')
                });
                if keyword.is_empty() || !is_atom {
                    let problem = "must be a keyword of letters, digits, `$`, `_`, `-` and `.`";
                    return Err(self.bad("receive.mark_as", problem));
                }
                Ok(After::Mark(keyword))
            }
            "move" => {
                let folder = move_to
                    .ok_or_else(|| self.bad("receive.move_to", "is missing: where to move to"))?;
                self.one_line("receive.move_to", &folder)?;
                Ok(After::Move(folder))
            }
            other => {
                let known = "expected `leave`, `mark`, `move` or `delete`";
                Err(self.bad("receive.after", format!("`{other}` is unknown; {known}")))
            }
        }
    }

    fn lmtp(&self, raw: RawLmtp) -> Result<Receive, BadChannel> {
        let listen = raw.listen.unwrap_or_else(|| "127.0.0.1:2424".to_owned());
        let good = listen.strip_prefix("unix:").map_or_else(
            || listen.parse::<std::net::SocketAddr>().is_ok(),
            |path| path.starts_with('/'),
        );
        if !good {
            let problem = format!("`{listen}` is neither `address:port` nor `unix:/path`");
            return Err(self.bad("receive.listen", problem));
        }
        let size_max = raw.size_max.unwrap_or(64 << 20);
        self.at_least("receive.size_max", size_max, 64 << 10)?;
        let lmtp = Lmtp { listen, size_max, verify: raw.verify.unwrap_or(true) };
        Ok(Receive { protocol: Protocol::Lmtp(lmtp), trusted_authserv: raw.trusted_authserv.0 })
    }

    fn send(&self, table: Table) -> Result<Submission, BadChannel> {
        let raw: RawSend = part(self.channel, "send", table)?;
        let tls = raw.tls.unwrap_or(match raw.port {
            Some(465) => TlsMode::Implicit,
            _ => TlsMode::StartTls,
        });
        let server = RawServer {
            host: raw.host,
            port: raw.port,
            tls,
            ca_file: raw.ca_file,
            server_name: raw.server_name,
            default_port: if tls == TlsMode::Implicit { 465 } else { 587 },
        };
        let login =
            RawLogin { username: raw.username, password: raw.password, oauth: raw.oauth.as_ref() };
        if let Some(from) = &raw.from {
            self.check_address("send.from", from)?;
        }
        let login = self.login("send", login)?;
        let fits = match (raw.auth, &login) {
            (None, _) => true,
            (Some(Mechanism::XOAuth2), login) => matches!(login, Login::OAuth { .. }),
            (Some(_), login) => matches!(login, Login::Password { .. }),
        };
        if !fits {
            let problem = "`xoauth2` goes with `oauth`, `plain` and `login` with `password`";
            return Err(self.bad("send.auth", problem));
        }
        let connections_max = raw.connections_max.unwrap_or(2);
        self.at_least("send.connections_max", connections_max.into(), 1)?;
        self.at_least("send.timeout_seconds", raw.timeout_seconds.unwrap_or(60), 1)?;
        Ok(Submission {
            endpoint: self.endpoint("send", server)?,
            login,
            auth: raw.auth,
            from: raw.from,
            signature: raw.signature,
            rate_per_minute: raw.rate_per_minute.unwrap_or(0),
            connections_max,
            dkim: raw.dkim.map(|dkim| self.dkim(dkim)).transpose()?,
            save_to_sent: match raw.save_to_sent.as_deref() {
                None | Some("no" | "false" | "") => SaveToSent::No,
                Some("auto") => SaveToSent::Auto,
                Some(folder) => SaveToSent::Folder(folder.to_owned()),
            },
            subject_tag: raw.subject_tag.unwrap_or(false),
            plus_address: raw.plus_address.unwrap_or(false),
            timeout: seconds(raw.timeout_seconds, 60),
        })
    }

    fn dkim(&self, raw: RawDkim) -> Result<Dkim, BadChannel> {
        let key = match (raw.key, raw.key_file) {
            (Some(key), None) => key,
            (None, Some(path)) => {
                std::fs::read_to_string(&path).map(Secret::new).map_err(|error| {
                    let problem = format!("`{}` cannot be read: {error}", path.display());
                    self.bad("send.dkim.key_file", problem)
                })?
            }
            (None, None) => return Err(self.bad("send.dkim.key", "is missing, or `key_file`")),
            (Some(_), Some(_)) => {
                return Err(self.bad("send.dkim.key", "cannot stand beside `key_file`"));
            }
        };
        self.one_line("send.dkim.domain", &raw.domain)?;
        self.one_line("send.dkim.selector", &raw.selector)?;
        Ok(Dkim { domain: raw.domain, selector: raw.selector, key })
    }

    fn endpoint(&self, prefix: &str, raw: RawServer) -> Result<Endpoint, BadChannel> {
        let at = |key: &str| join(prefix, key);
        let host = raw.host.ok_or_else(|| self.bad(&at("host"), "is missing"))?;
        let host = host.trim().to_owned();
        if raw.tls == TlsMode::None && !tls::is_loopback(&host) {
            let problem = "\"none\" is accepted for this machine only (localhost): passwords and \
                           mail would cross the network readable; use \"implicit\" or \"starttls\"";
            return Err(self.bad(&at("tls"), problem));
        }
        let roots = raw.ca_file.map(|path| tls::read_roots(&path)).transpose();
        let endpoint = Endpoint {
            host,
            port: raw.port.unwrap_or(raw.default_port),
            tls: raw.tls,
            roots: roots.map_err(|problem| self.bad(&at("ca_file"), problem))?.unwrap_or_default(),
            server_name: raw.server_name,
        };
        let name_key = if endpoint.server_name.is_some() { "server_name" } else { "host" };
        tls::Dialer::new(endpoint.clone()).map_err(|problem| self.bad(&at(name_key), problem))?;
        if endpoint.port == 0 {
            return Err(self.bad(&at("port"), "must not be 0"));
        }
        Ok(endpoint)
    }

    /// A part's own `oauth` first, then its password, then the `oauth` of the whole channel.
    fn login(&self, prefix: &str, raw: RawLogin<'_>) -> Result<Login, BadChannel> {
        let at = |key: &str| join(prefix, key);
        if let Some(username) = &raw.username {
            self.one_line(&at("username"), username)?;
        }
        let own_address = || raw.username.clone().unwrap_or_else(|| self.address.to_owned());
        match (raw.oauth, raw.password, self.oauth) {
            (Some(_), Some(_), _) => {
                Err(self.bad(&at("password"), "cannot stand beside `oauth`: choose one"))
            }
            (Some(oauth), None, _) => {
                let oauth = self.oauth(&at("oauth"), oauth, &own_address())?;
                Ok(Login::OAuth { username: own_address(), oauth: Box::new(oauth) })
            }
            (None, Some(password), _) => {
                let missing = || self.bad(&at("username"), "is missing");
                let username = raw.username.ok_or_else(missing)?;
                self.one_line(&at("password"), password.reveal())?;
                Ok(Login::Password { username, password })
            }
            (None, None, Some(oauth)) => {
                let oauth = self.oauth("oauth", oauth, &own_address())?;
                Ok(Login::OAuth { username: own_address(), oauth: Box::new(oauth) })
            }
            (None, None, None) if raw.username.is_some() => Err(self
                .bad(&at("password"), "is missing (or `oauth`), although there is a `username`")),
            (None, None, None) => Ok(Login::Nobody),
        }
    }

    fn oauth(&self, path: &str, raw: &RawOAuth, mailbox: &str) -> Result<OAuth, BadChannel> {
        let vault_name = format!("oauth/{}/{path}", self.channel);
        raw::oauth(raw, vault_name, mailbox)
            .map_err(|(key, problem)| self.bad(&join(path, key), problem))
    }
}

#[cfg(test)]
mod tests;
