//! Mails to send, and a sender for them.

use std::time::Duration;

use tributary::channel::email::compose::Letterhead;
use tributary::channel::email::imap::SentFolder;
use tributary::channel::email::settings::{Login, SaveToSent, Submission};
use tributary::channel::email::smtp::Smtp;
use tributary::channel::shared::sign::Signer;
use tributary::channel::shared::tls::{Endpoint, TlsMode};
use tributary::channel::{Accepted, DeliverError};
use tributary::model::{
    Address, DeliveryId, Outbound, OutboundMedia, OwnAddresses, Party, RemoteId,
};

use super::desk::chain;

/// Our own address in tests.
pub const DESK: &str = "support@example.com";

/// The signer of tests.
pub fn signer() -> Signer {
    Signer::new(vec![[7; 32]])
}

/// What all mails of the desk bear.
pub fn letterhead() -> Letterhead {
    Letterhead {
        address: DESK.to_owned(),
        name: Some("Desk Support".to_owned()),
        agent_name: "{agent} ({name})".to_owned(),
        subject_tag: false,
        plus_address: false,
        signature: None,
        signature_html: None,
        own: OwnAddresses([Address::email(DESK)].into()),
        signer: signer(),
    }
}

/// A server on this machine, without login.
pub fn submission(port: u16) -> Submission {
    rustls::crypto::ring::default_provider().install_default().ok();
    Submission {
        endpoint: Endpoint {
            host: "127.0.0.1".to_owned(),
            port,
            tls: TlsMode::None,
            roots: Vec::new(),
            server_name: None,
        },
        login: Login::Nobody,
        auth: None,
        from: None,
        agent_name: None,
        signature: None,
        rate_per_minute: 0,
        connections_max: 2,
        dkim: None,
        save_to_sent: SaveToSent::No,
        subject_tag: false,
        plus_address: false,
        timeout: Duration::from_secs(20),
    }
}

/// A sender.
pub fn smtp(settings: &Submission) -> Smtp {
    smtp_with(settings, None)
}

/// A sender that keeps copies.
pub fn smtp_with(settings: &Submission, sent: Option<SentFolder>) -> Smtp {
    Smtp::new(settings, letterhead(), None, sent)
        .unwrap_or_else(|(key, why)| panic!("{key}: {why}"))
}

/// A person.
pub fn party(address: &str) -> Party {
    Party { address: Address::email(address), name: None }
}

/// A reply of an agent.
pub fn outbound(to: &str, text: &str) -> Outbound {
    Outbound {
        delivery: DeliveryId::new(),
        ticket_number: 42,
        to: party(to),
        cc: vec![],
        thread: None,
        in_reply_to: Some(RemoteId::new("q1@customer.example")),
        references: vec![],
        subject: Some("Where is my order?".to_owned()),
        text: text.to_owned(),
        html: None,
        media: vec![],
        author: Some("Bob".to_owned()),
        automated: false,
        private: false,
        choices: Vec::new(),
        language: None,
        bridge: None,
        signature: None,
        begun_at: chrono::DateTime::UNIX_EPOCH,
        tried_since: None,
        customer_wrote_at: None,
        template: None,
    }
}

/// A file of so many bytes that no encoding makes smaller.
pub fn attachment(bytes: usize) -> OutboundMedia {
    let content: Vec<u8> = (0..bytes).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect();
    OutboundMedia {
        name: "a.bin".to_owned(),
        mime: "application/octet-stream".to_owned(),
        content_id: None,
        bytes: content.into(),
    }
}

/// What the engine would do, in one word, and why.
pub fn outcome(result: &Result<Accepted, DeliverError>) -> (&'static str, String) {
    match result {
        Ok(accepted) => ("accepted", accepted.warning.clone().unwrap_or_default()),
        Err(error) => {
            let word = match error {
                DeliverError::Rejected(_) => "rejected",
                DeliverError::Retry { .. } => "retry",
                DeliverError::Offline(_) => "offline",
                DeliverError::Unknown(_) => "unknown",
                DeliverError::Account(_) => "account",
                DeliverError::Unreachable { .. } => "unreachable",
            };
            (word, chain(error))
        }
    }
}
