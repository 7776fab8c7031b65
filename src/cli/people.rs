//! People and API tokens: these work on the store itself, whether the daemon runs or not.

use std::path::Path;

use chrono::Duration;
use clap::Subcommand;
use serde_json::json;

use super::Failure;
use super::open::Installation;
use crate::engine::Clock;
use crate::model::{Actor, Role, Secret};
use crate::store::{Access, Person, Store, StoreError};
use crate::web;

/// People.
#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Add somebody who works here; prints a one-time sign-in link.
    Add {
        /// Name to show.
        name: String,
        /// Mail address.
        email: String,
        /// `read_only`, `agent` or `admin`.
        #[arg(long, default_value = "agent")]
        role: Role,
        /// Read a password from standard input instead of printing a link.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Print a new one-time sign-in link for somebody.
    Link {
        /// Mail address or id.
        who: String,
    },
    /// Give somebody a new password, read from standard input; ends their sessions.
    Password {
        /// Mail address or id.
        who: String,
    },
    /// Take away the second factor of somebody who lost it; a link or their password lets them in then.
    ResetSecondFactor {
        /// Mail address or id.
        who: String,
    },
    /// List people.
    List,
    /// Let somebody in no more; ends their sessions.
    Disable {
        /// Mail address or id.
        who: String,
    },
}

/// API tokens.
#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Make a token. It is shown this once.
    Create {
        /// `read_only`, `agent` or `admin`.
        #[arg(long)]
        role: Role,
        /// What it is for.
        #[arg(long)]
        name: String,
        /// Days until it ends; without it, never.
        #[arg(long)]
        expires_days: Option<i64>,
    },
    /// List tokens.
    List,
    /// End a token.
    Revoke {
        /// Name or id.
        token: String,
    },
}

/// Whoever may use the command line beside the store, for the audit trail.
fn operator() -> Actor {
    Actor { name: "command line".to_owned(), ..Actor::system() }
}

/// A token for one command of an operator who can read the store anyway.
pub(super) async fn local_token(store: &Store) -> Result<String, Failure> {
    let now = Clock::system().now();
    let until = now + Duration::minutes(5);
    let (_, secret) =
        store.create_token("command line", Role::Admin, Some(until), &operator(), now).await?;
    Ok(secret.reveal().to_owned())
}

pub(super) async fn user(
    config: Option<&Path>,
    command: UserCommand,
    json: bool,
) -> Result<(), Failure> {
    let installation = Installation::open(config, Access::Beside).await?;
    let store = &installation.store;
    let now = Clock::system().now();
    match command {
        UserCommand::Add { name, email, role, password_stdin } => {
            let password = password_stdin.then(|| std::io::read_to_string(std::io::stdin()));
            let password = password.transpose()?.map(|text| Secret::new(text.trim_end()));
            let with_link = password.is_none();
            let person =
                store.add_person((&name, &email), role, password, &operator(), now).await?;
            let link = if with_link {
                let secret = store.sign_in_link(person.id.into(), Duration::days(2), now).await?;
                Some(web::sign_in_link(&installation.settings().public_url(), &secret))
            } else {
                None
            };
            if json {
                println!("{}", json!({ "id": person.id, "sign_in": link }));
            } else {
                println!("added {email} as {role}");
                if let Some(link) = link {
                    println!("sign in within two days, once: {link}");
                }
            }
        }
        UserCommand::Link { who } => {
            let person = find(store, &who).await?;
            let secret = store.sign_in_link(person.id.into(), Duration::days(2), now).await?;
            let link = web::sign_in_link(&installation.settings().public_url(), &secret);
            if json {
                println!("{}", json!({ "id": person.id, "sign_in": link }));
            } else {
                println!("sign in within two days, once: {link}");
            }
        }
        UserCommand::Password { who } => {
            let text = std::io::read_to_string(std::io::stdin())?;
            store.set_password(&who, Secret::new(text.trim_end()), now).await?;
            let said = format!("{who} has a new password");
            println!("{}", if json { json!({ "changed": who }).to_string() } else { said });
        }
        UserCommand::ResetSecondFactor { who } => {
            let person = find(store, &who).await?;
            store.remove_second_factor(person.id.into(), &operator(), now).await?;
            let said = format!("{who} has no second factor any more");
            println!("{}", if json { json!({ "changed": who }).to_string() } else { said });
        }
        UserCommand::List => {
            let people = store.people().await?;
            if json {
                println!("{}", json!({ "items": people }));
            } else {
                for one in people {
                    let state = if one.disabled_at.is_some() { "disabled" } else { "active" };
                    println!("{}  {}  {}  {}  {state}", one.id, one.email, one.role, one.name);
                }
            }
        }
        UserCommand::Disable { who } => {
            let person = store.disable_person(&who, &operator(), now).await?;
            println!(
                "{}",
                if json { json!(person).to_string() } else { format!("{who} is disabled") }
            );
        }
    }
    Ok(store.close().await?)
}

pub(super) async fn token(
    config: Option<&Path>,
    command: TokenCommand,
    json: bool,
) -> Result<(), Failure> {
    let installation = Installation::open(config, Access::Beside).await?;
    let store = &installation.store;
    let now = Clock::system().now();
    match command {
        TokenCommand::Create { role, name, expires_days } => {
            let until = expires_days.map(|days| now + Duration::days(days));
            let (made, secret) = store.create_token(&name, role, until, &operator(), now).await?;
            if json {
                let token = secret.reveal();
                println!(
                    "{}",
                    json!({ "token": token, "id": made.id, "name": name, "role": role })
                );
            } else {
                println!("{}", secret.reveal());
            }
        }
        TokenCommand::List => {
            let tokens = store.tokens().await?;
            if json {
                println!("{}", json!({ "items": tokens }));
            } else {
                for one in tokens {
                    let state = if one.revoked_at.is_some() { "revoked" } else { "active" };
                    println!("{}  {}  {}  {state}", one.id, one.role, one.name);
                }
            }
        }
        TokenCommand::Revoke { token } => {
            let revoked = store.revoke_token(&token, &operator(), now).await?;
            println!(
                "{}",
                if json { json!(revoked).to_string() } else { format!("{token} is revoked") }
            );
        }
    }
    Ok(store.close().await?)
}

/// Somebody who may still sign in, by mail address or id.
async fn find(store: &Store, who: &str) -> Result<Person, Failure> {
    let people = store.people().await?.into_iter();
    let who = who.trim().to_lowercase();
    let found = people
        .filter(|person| person.disabled_at.is_none())
        .find(|person| person.email == who || person.id.to_string() == who);
    Ok(found.ok_or(StoreError::NotFound("person"))?)
}
