//! What an admin says about an identity provider, and what follows from it for one account.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Role, Secret};

/// An identity provider.
#[derive(Debug, Clone)]
pub struct SsoSettings {
    /// What the admin calls it; part of our addresses.
    pub name: String,
    /// Who vouches, as the provider writes it.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// How we prove that. `None`: by PKCE alone.
    pub client_secret: Option<Secret>,
    /// What stands on the button.
    pub label: String,
    /// What is asked for beside `openid`, `email` and `profile`.
    pub scopes: Vec<String>,
    /// Only these domains of verified mail addresses are let in. None: all.
    pub domains: Vec<String>,
    /// Where the groups stand in the token; dots lead into it.
    pub groups_claim: String,
    /// What the members of groups may do. With any, that is settled anew at each sign-in.
    pub groups: BTreeMap<String, Role>,
    /// What everybody else may do. `None`: they are not let in where there are groups.
    pub role: Option<Role>,
    /// Is somebody made whom nobody knows here?
    pub create: bool,
}

impl SsoSettings {
    /// May somebody with this verified address come in?
    pub(super) fn lets_in(&self, email: Option<&str>) -> bool {
        let domain = email.and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain);
        self.domains.is_empty()
            || domain.is_some_and(|domain| {
                self.domains.iter().any(|known| known.eq_ignore_ascii_case(domain))
            })
    }

    /// What a member of these groups may do; the most of it, if they are in several. `None`: nothing.
    pub(super) fn role_of(&self, groups: &BTreeSet<String>) -> Option<Role> {
        let theirs = self.groups.iter().filter(|(group, _)| groups.contains(*group));
        let most = theirs.map(|(_, role)| *role).max();
        match most.or(self.role) {
            // Without groups an admin gives roles here; this is only for somebody new.
            None if self.groups.is_empty() => Some(Role::ReadOnly),
            role => role,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(domains: &[&str], groups: &[(&str, Role)], role: Option<Role>) -> SsoSettings {
        SsoSettings {
            name: "company".to_owned(),
            issuer: "https://login.example".to_owned(),
            client_id: "tributary".to_owned(),
            client_secret: None,
            label: "Company".to_owned(),
            scopes: Vec::new(),
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
            groups_claim: "groups".to_owned(),
            groups: groups.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect(),
            role,
            create: false,
        }
    }

    #[test]
    fn only_the_named_domains_are_let_in_and_not_those_that_end_alike() {
        let company = settings(&["example.com"], &[], None);
        for (email, expected) in [
            (Some("a@example.com"), true),
            (Some("a@EXAMPLE.com"), true),
            (Some("a@evil-example.com"), false),
            (Some("a@example.com.evil.test"), false),
            (Some("a@example.com@evil.test"), false),
            (Some("a@mail.example.com"), false),
            (None, false),
        ] {
            assert_eq!(company.lets_in(email), expected, "{email:?}");
        }
        assert!(settings(&[], &[], None).lets_in(None));
    }

    #[test]
    fn the_strongest_group_counts_and_without_one_the_usual_role() {
        let groups = [("support", Role::Agent), ("bosses", Role::Admin)];
        let of = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let strict = settings(&[], &groups, None);
        assert_eq!(strict.role_of(&of(&["support", "bosses"])), Some(Role::Admin));
        assert_eq!(strict.role_of(&of(&["support", "canteen"])), Some(Role::Agent));
        assert_eq!(strict.role_of(&of(&["canteen"])), None);
        let open = settings(&[], &groups, Some(Role::ReadOnly));
        assert_eq!(open.role_of(&of(&["canteen"])), Some(Role::ReadOnly));
        assert_eq!(settings(&[], &[], None).role_of(&of(&[])), Some(Role::ReadOnly));
        assert_eq!(settings(&[], &[], Some(Role::Agent)).role_of(&of(&[])), Some(Role::Agent));
    }
}
