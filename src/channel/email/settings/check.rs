//! Raw tables → checked settings.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::raw::{self, RawDkim, RawImap, RawLmtp, RawMail, RawOAuth, RawPipe, RawSend};
use super::{
    After, Dkim, Imap, Lmtp, Login, Mechanism, OAuth, Protocol, Receive, SaveToSent, Settings,
    Start, Submission,
};
use crate::channel::shared::tls::{self, Endpoint, TlsMode};
use crate::channel::{BadChannel, Table};
use crate::model::{ChannelName, Secret};

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
            agent_name: raw.agent_name,
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
