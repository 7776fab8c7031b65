//! How a person agrees, once and from the command line, that we may use an account: the contract between
//! `tributary channel login` and the kinds whose services ask for it.

use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use super::Vault;
use crate::model::Cause;

/// How a person agrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// In a browser on this machine.
    Browser,
    /// With a code on another device.
    Device,
}

/// What the person has to do.
#[derive(Debug, Clone)]
pub enum Prompt {
    /// Open this address in a browser on this machine.
    Open(Url),
    /// Open `url` anywhere and type in `code`.
    Enter {
        /// Where.
        url: String,
        /// What.
        code: String,
    },
}

/// One thing that a person has to agree to.
#[async_trait]
pub trait SignIn: Send + Sync {
    /// For which part of the channel, as people call it: `receive`, `send`, `receive and send`.
    fn part(&self) -> &str;

    /// Shows the person what to do, waits until they did it (`limit` at most), and keeps what came of it.
    async fn sign_in(
        &self,
        vault: &dyn Vault,
        way: Way,
        limit: Duration,
        show: &(dyn Fn(Prompt) + Sync),
    ) -> Result<(), Cause>;
}
