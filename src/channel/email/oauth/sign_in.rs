//! Which of a mail channel's logins a person has to agree to.

use std::time::Duration;

use async_trait::async_trait;

use super::super::settings::{Grant, Login, OAuth, Protocol, Settings};
use super::login;
use crate::channel::{Prompt, SignIn, Vault, Way};
use crate::model::Cause;

struct MailSignIn {
    part: String,
    oauth: OAuth,
}

#[async_trait]
impl SignIn for MailSignIn {
    fn part(&self) -> &str {
        &self.part
    }

    async fn sign_in(
        &self,
        vault: &dyn Vault,
        way: Way,
        limit: Duration,
        show: &(dyn Fn(Prompt) + Sync),
    ) -> Result<(), Cause> {
        Ok(login(&self.oauth, vault, way, limit, show).await?)
    }
}

/// One for each refresh token: both directions may share one.
pub(in super::super) fn sign_ins(settings: &Settings) -> Vec<Box<dyn SignIn>> {
    let receive = settings.receive.as_ref().and_then(|receive| match &receive.protocol {
        Protocol::Imap(imap) => Some(&imap.login),
        Protocol::Lmtp(_) | Protocol::Pipe => None,
    });
    let send = settings.send.as_ref().map(|send| &send.login);
    let parts = [("receive", receive), ("send", send)];
    let mut wanted: Vec<MailSignIn> = Vec::new();
    for (part, login) in parts {
        let Some(Login::OAuth { oauth, .. }) = login else { continue };
        // The other grants are the application's own.
        if !matches!(oauth.grant, Grant::RefreshToken(_)) {
            continue;
        }
        match wanted.iter_mut().find(|known| known.oauth.vault_name == oauth.vault_name) {
            Some(known) => known.part = format!("{} and {part}", known.part),
            None => wanted.push(MailSignIn { part: part.to_owned(), oauth: (**oauth).clone() }),
        }
    }
    wanted.into_iter().map(|one| Box::new(one) as Box<dyn SignIn>).collect()
}
