//! What `build` makes of settings.

use std::sync::Arc;

use async_trait::async_trait;

use super::*;
use crate::channel::shared::sign::Signer;
use crate::channel::{Vault, build};
use crate::model::{Cause, Secret};

struct NoVault;

#[async_trait]
impl Vault for NoVault {
    async fn get(&self, _: &str) -> Result<Option<Secret>, Cause> {
        Ok(None)
    }

    async fn put(&self, _: &str, _: Secret) -> Result<(), Cause> {
        Ok(())
    }
}

fn site() -> Site {
    Site {
        public_url: "https://desk.test".to_owned(),
        signer: Signer::new(vec![[7; 32]]),
        vault: Arc::new(NoVault),
    }
}

fn table(text: &str) -> Table {
    let file = config::File::from_str(text, config::FileFormat::Toml);
    config::Config::builder().add_source(file).build().unwrap().try_deserialize().unwrap()
}

fn built(text: &str) -> Result<Channel, BadChannel> {
    let text = format!("kind = \"email\"\naddress = \"support@desk.test\"\n{text}");
    build("mail".parse().unwrap(), table(&text), &site())
}

const PIPE: &str = "[receive]\nprotocol = \"pipe\"\n";
const LMTP: &str = "[receive]\nprotocol = \"lmtp\"\nlisten = \"127.0.0.1:2424\"\n";
const IMAP: &str =
    "[receive]\nprotocol = \"imap\"\nhost = \"i.test\"\nusername = \"u\"\npassword = \"p\"\n";
const SEND: &str = "[send]\nhost = \"s.test\"\n";

#[test]
fn each_protocol_gets_its_parts_and_no_other() {
    let parts = |channel: &Channel| {
        (channel.pull.is_some(), channel.listen.is_some(), channel.deliver.is_some())
    };
    let cases = [
        (PIPE.to_owned(), (false, false, false)),
        (LMTP.to_owned(), (false, true, false)),
        (IMAP.to_owned(), (true, false, false)),
        (SEND.to_owned(), (false, false, true)),
        (format!("{IMAP}{SEND}"), (true, false, true)),
    ];
    for (text, expected) in cases {
        let channel = built(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parts(&channel), expected, "{text}");
        assert!(channel.hook.is_none() && channel.download.is_none());
        assert_eq!(channel.realm, Realm("email".to_owned()));
    }
}

#[test]
fn what_a_mail_channel_promises_follows_its_settings() {
    let text = format!(
        "aliases = [\"help@desk.test\"]\n{SEND}from = \"answers@desk.test\"\nrate_per_minute = 25\n\
         connections_max = 3\n"
    );
    let channel = built(&text).unwrap();
    let addresses: Vec<&str> = channel.addresses.iter().map(|own| own.value.as_str()).collect();
    assert_eq!(addresses, ["support@desk.test", "help@desk.test", "answers@desk.test"]);
    let can = channel.capabilities;
    assert_eq!((can.rate.per_minute, can.rate.in_flight_max), (25, 3));
    assert_eq!((can.receipts, can.resend), (Receipts::Failures, Resend::MayDuplicate));
    assert!(can.subject && can.html && can.copies && can.opens && can.reply_window.is_none());
}

/// FAULTS 113: a key that does not sign is found before anything is sent.
#[test]
fn a_key_that_does_not_sign_is_a_fault_of_the_settings() {
    let dkim = "[send.dkim]\ndomain = \"desk.test\"\nselector = \"s\"\nkey = \"geheim\"\n";
    let error = built(&format!("{SEND}{dkim}")).err().unwrap().to_string();
    assert!(error.starts_with("channels.mail.send.dkim.key: holds no private key"), "{error}");
    assert!(!error.contains("geheim"));
}

/// Two sources would each use up the refresh token that the other needs.
#[test]
fn both_directions_share_one_source_of_tokens() {
    let oauth = "[oauth]\nprovider = \"custom\"\nclient_id = \"id\"\nscope = \"s\"\n\
                 token_url = \"https://t.test/\"\n";
    let text = format!(
        "address = \"support@desk.test\"\n{oauth}\
         [receive]\nprotocol = \"imap\"\nhost = \"i.test\"\n[send]\nhost = \"s.test\"\n"
    );
    let name: ChannelName = "mail".parse().unwrap();
    let settings = settings::read(&name, table(&text)).unwrap();
    let site = site();
    let mut parts = Parts { channel: &name, site: &site, tokens: Vec::new() };
    let Some(Protocol::Imap(imap)) = settings.receive.as_ref().map(|receive| &receive.protocol)
    else {
        panic!("no mailbox")
    };
    let receive = parts.tokens(&imap.login).unwrap();
    let send = parts.tokens(&settings.send.as_ref().unwrap().login).unwrap();
    assert!(Arc::ptr_eq(&receive, &send));
}
