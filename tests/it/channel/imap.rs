//! The IMAP side against a server that does everything wrong that servers do.

mod fetching;
mod session;

use std::time::Duration;

use tributary::channel::PullError;
use tributary::channel::email::imap::ImapPull;
use tributary::channel::email::settings::{After, Imap, Login, Start};
use tributary::channel::shared::tls::{Endpoint, TlsMode};
use tributary::model::Secret;

use crate::support::desk::chain;

/// Short waits, so that a silent server does not hold up the tests.
pub(super) fn settings(port: u16) -> Imap {
    Imap {
        endpoint: Endpoint {
            host: "127.0.0.1".to_owned(),
            port,
            tls: TlsMode::None,
            roots: Vec::new(),
            server_name: None,
        },
        login: Login::Password { username: "us".to_owned(), password: Secret::new("geheim") },
        folders: vec!["INBOX".to_owned()],
        after: After::Leave,
        start: Start::All,
        poll: Duration::from_millis(400),
        idle: Duration::from_millis(200),
        mail_bytes_max: 8 << 20,
        batch_max: 50,
        timeout: Duration::from_millis(400),
    }
}

pub(super) fn pull(settings: Imap) -> ImapPull {
    rustls::crypto::ring::default_provider().install_default().ok();
    ImapPull::new("mail".parse().unwrap(), settings, None).unwrap()
}

fn account(error: &PullError) -> String {
    assert!(matches!(error, PullError::Account(_)), "{}", chain(error));
    chain(error)
}

fn retry(error: &PullError) -> String {
    assert!(matches!(error, PullError::Retry { .. }), "{}", chain(error));
    chain(error)
}
