//! The settings of a mail channel: read from its table, checked, and made into what the parts take.
//!
//! Makes no connection. Everything wrong is found here, and named by its key.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use crate::channel::shared::tls::Endpoint;
use crate::model::{Address, Secret};

mod check;
mod raw;
mod shape;

pub use check::read;
pub(super) use shape::schema;

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
        let from = self.send.as_ref().and_then(|send| send.from.as_ref());
        let mut addresses: Vec<Address> = Vec::new();
        for address in std::iter::once(&self.address).chain(&self.aliases).chain(from) {
            let address = Address::email(&ascii_domain(address));
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// The domain of `address`, in ASCII: what we call ourselves towards other servers.
    #[must_use]
    pub fn domain(&self) -> String {
        domain_of(&self.address)
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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
    /// The name beside it on what an agent wrote, if it is not the channel's name: a template.
    pub agent_name: Option<String>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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

/// `用户@例子.cn` → `用户@xn--fsqu00a.cn`; what is no domain stays.
pub(super) fn ascii_domain(address: &str) -> String {
    address
        .rsplit_once('@')
        .and_then(|(local, domain)| {
            Some(format!("{local}@{}", idna::domain_to_ascii(domain).ok()?))
        })
        .unwrap_or_else(|| address.to_owned())
}

/// The part behind the `@`, in ASCII.
pub(super) fn domain_of(address: &str) -> String {
    let ascii = ascii_domain(address);
    ascii.rsplit_once('@').map_or_else(|| "localhost".to_owned(), |(_, domain)| domain.to_owned())
}

#[cfg(test)]
mod tests;
