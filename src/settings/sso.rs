//! `[sso.<name>]`: identity providers by which people sign in.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::check::Found;
use crate::channel::shared::http::base_url;
use crate::model::{Role, Secret};
use crate::web::SsoSettings;

const NAME_CHARS_MAX: usize = 32;
const LABEL_CHARS_MAX: usize = 60;

/// `[sso.<name>]`: an identity provider (`OpenID` Connect).
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SsoSection {
    /// Who vouches, as the provider writes it: below it lies `.well-known/openid-configuration`.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// How we prove that. Absent: a public client, held by PKCE alone.
    pub client_secret: Option<Secret>,
    /// What stands on the button.
    pub label: String,
    /// What is asked for beside `openid`, `email` and `profile`.
    pub scopes: Option<Vec<String>>,
    /// Only these domains of verified mail addresses are let in. Absent: all.
    pub domains: Option<Vec<String>>,
    /// Where the groups stand in the ID token; dots lead into it. Default: `groups`.
    pub groups_claim: Option<String>,
    /// What the members of groups may do: `read_only`, `agent`, `admin`. Settled anew at each sign-in.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub groups: Option<BTreeMap<String, Role>>,
    /// What everybody else may do, or everybody where there are no groups: the role of who is new.
    #[schemars(with = "Option<String>")]
    pub role: Option<Role>,
    /// Is somebody made whom nobody knows here? Default: no.
    pub create: Option<bool>,
}

impl SsoSection {
    /// What no type can say.
    pub(super) fn check(&self, name: &str) -> Result<(), Found> {
        let fault = |key: &str, reason: String| {
            let path =
                if key.is_empty() { format!("sso.{name}") } else { format!("sso.{name}.{key}") };
            Err(Found { path, reason })
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        if !(1..=NAME_CHARS_MAX).contains(&name.len()) || !name.chars().all(plain) {
            let reason =
                format!("a provider has a name of 1 to {NAME_CHARS_MAX} of a-z, 0-9, - and _");
            return fault("", reason);
        }
        if let Err(reason) = base_url(&self.issuer) {
            return fault("issuer", reason);
        }
        if self.client_id.trim().is_empty() {
            return fault("client_id", "the provider knows us by a name: it is empty".to_owned());
        }
        if !(1..=LABEL_CHARS_MAX).contains(&self.label.trim().chars().count()) {
            return fault("label", format!("must have 1 to {LABEL_CHARS_MAX} characters"));
        }
        let odd = |scope: &String| scope.is_empty() || scope.contains(char::is_whitespace);
        if self.scopes.iter().flatten().any(odd) {
            return fault("scopes", "each is one word".to_owned());
        }
        let odd = |domain: &String| !domain.contains('.') || domain.contains(['@', '*', ' ']);
        if self.domains.iter().flatten().any(odd) {
            return fault("domains", "expected domains like example.com".to_owned());
        }
        let groups = self.groups.as_ref().is_some_and(|groups| !groups.is_empty());
        if self.create == Some(true) && self.role.is_none() && !groups {
            let reason = "whoever is made needs a role: give `role` or `groups`".to_owned();
            return fault("create", reason);
        }
        Ok(())
    }

    /// What the web server is handed.
    pub(super) fn settings(&self, name: &str) -> SsoSettings {
        SsoSettings {
            name: name.to_owned(),
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            label: self.label.trim().to_owned(),
            scopes: self.scopes.clone().unwrap_or_default(),
            domains: self.domains.clone().unwrap_or_default(),
            groups_claim: self.groups_claim.clone().unwrap_or_else(|| "groups".to_owned()),
            groups: self.groups.clone().unwrap_or_default(),
            role: self.role,
            create: self.create.unwrap_or(false),
        }
    }
}
