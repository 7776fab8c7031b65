//! Commands that work through the running daemon's API.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Failure;
use super::open::Installation;
use crate::store::Access;

/// The running daemon.
pub(super) struct Remote {
    client: reqwest::Client,
    base: String,
    token: String,
    json: bool,
}

/// Tickets.
#[derive(Debug, Subcommand)]
pub(super) enum TicketCommand {
    /// List tickets, the latest first.
    List {
        /// `open`, `pending`, `solved`, `closed`, `spam`.
        #[arg(long)]
        status: Option<String>,
        /// Only this channel.
        #[arg(long)]
        channel: Option<String>,
        /// Only this queue.
        #[arg(long)]
        queue: Option<String>,
        /// Only with this tag.
        #[arg(long)]
        tag: Option<String>,
        /// Words to search for.
        #[arg(short, long)]
        query: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Show a ticket with its messages.
    Show {
        /// Number or id.
        ticket: String,
        /// Also why each message is where it is.
        #[arg(long)]
        why: bool,
    },
    /// Answer the customer.
    Reply {
        /// Number or id.
        ticket: String,
        /// The text; `-` reads it from standard input.
        text: String,
        /// Another channel than the customer's.
        #[arg(long)]
        via: Option<String>,
        /// Not before this time (RFC 3339).
        #[arg(long)]
        send_at: Option<String>,
    },
    /// Leave a note for other agents.
    Note {
        /// Number or id.
        ticket: String,
        /// The text; `-` reads it from standard input.
        text: String,
    },
    /// Change a ticket: `status=solved priority=high queue=wallets tags=a,b subject=…`.
    Set {
        /// Number or id.
        ticket: String,
        /// What to change; an empty value clears.
        #[arg(required = true, value_name = "KEY=VALUE")]
        changes: Vec<String>,
    },
    /// Put a ticket into another one.
    Merge {
        /// The ticket that ends.
        ticket: String,
        /// The ticket that goes on.
        into: String,
    },
}

/// Channels.
#[derive(Debug, Subcommand)]
pub(super) enum ChannelCommand {
    /// How each channel is.
    List,
    /// Stop a channel at once, on all nodes; what is queued stays queued.
    Pause {
        /// Its name.
        channel: String,
    },
    /// Let it run again.
    Resume {
        /// Its name.
        channel: String,
    },
}

/// The outbox.
#[derive(Debug, Subcommand)]
pub(super) enum OutboxCommand {
    /// What has not been sent.
    List {
        /// Only this state: queued, sending, held, failed, unconfirmed, bounced, cancelled, sent…
        #[arg(long)]
        status: Option<String>,
        /// Only this channel.
        #[arg(long)]
        channel: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Try again, now. For an unconfirmed one this may be the customer's second copy.
    Retry {
        /// The delivery, or with `--channel` all that failed there.
        id: Option<String>,
        /// All failed deliveries of this channel, in order.
        #[arg(long, conflicts_with = "id")]
        channel: Option<String>,
    },
    /// Give it up.
    Cancel {
        /// The delivery.
        id: String,
    },
    /// Keep it until it is released.
    Hold {
        /// The delivery.
        id: String,
    },
    /// Let a held one go.
    Release {
        /// The delivery.
        id: String,
    },
}

/// The quarantine.
#[derive(Debug, Subcommand)]
pub(super) enum QuarantineCommand {
    /// What could not be understood.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// One of them, as it came.
    Show {
        /// Its id.
        id: String,
    },
    /// Try to understand it again, or with `--channel` or `--all` many of them.
    Retry {
        /// Its id.
        #[arg(required_unless_present_any = ["channel", "all"])]
        id: Option<String>,
        /// All of this channel.
        #[arg(long, conflicts_with = "id")]
        channel: Option<String>,
        /// All there are.
        #[arg(long, conflicts_with_all = ["id", "channel"])]
        all: bool,
    },
    /// Give it up for good; its bytes are destroyed.
    Drop {
        /// Its id.
        id: String,
    },
}

/// Contacts.
#[derive(Debug, Subcommand)]
pub(super) enum ContactCommand {
    /// Everything that is kept about a contact, as JSON.
    Export {
        /// Its id.
        id: String,
    },
    /// Destroy everything that is kept about a contact.
    Erase {
        /// Its id.
        id: String,
    },
}

impl Remote {
    /// Finds the daemon by the settings; makes a token in the store if none was given.
    pub(super) async fn new(
        config: Option<&Path>,
        token: Option<&str>,
        json: bool,
    ) -> Result<Self, Failure> {
        let loaded = super::open::load(config)?;
        let base = format!("http://{}/api/v1", loaded.settings.http.listen);
        let token = if let Some(token) = token {
            token.to_owned()
        } else {
            let installation = Installation::of(loaded, Access::Beside).await?;
            let made = super::people::local_token(&installation.store).await?;
            installation.store.close().await?;
            made
        };
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        Ok(Self { client, base, token, json })
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, Failure> {
        let text = self.call_text(method, path, body).await?;
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    async fn call_text(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<String, Failure> {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method.clone(), &url).bearer_auth(&self.token);
        if method == Method::POST {
            request = request.header("Idempotency-Key", uuid::Uuid::new_v4().to_string());
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|error| {
            anyhow::anyhow!(
                "the daemon does not answer at {}: {error}; does `tributary run` run?",
                self.base
            )
        })?;
        let status = answer.status();
        let text = answer.text().await?;
        if status.is_success() {
            return Ok(text);
        }
        let problem: Value = serde_json::from_str(&text).unwrap_or_default();
        let detail = problem.get("detail").or_else(|| problem.get("title"));
        let detail = detail.and_then(Value::as_str).unwrap_or(&text).to_owned();
        Err(anyhow::anyhow!("{status}: {detail}").into())
    }

    async fn get(&self, path: &str, query: &[(&str, Option<String>)]) -> Result<Value, Failure> {
        let mut encoded = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in query {
            if let Some(value) = value {
                encoded.append_pair(key, value);
            }
        }
        self.call(Method::GET, &format!("{path}?{}", encoded.finish()), None).await
    }

    /// Prints a list as JSON, or as a table of these fields.
    fn list(&self, answer: &Value, fields: &[&str]) {
        let empty = Vec::new();
        let items = answer.get("items").and_then(Value::as_array).unwrap_or(&empty);
        if self.json {
            println!("{answer}");
            return;
        }
        let rows: Vec<Vec<String>> = items
            .iter()
            .map(|item| fields.iter().map(|field| cell(item, field)).collect())
            .collect();
        print_table(fields, &rows);
    }

    fn one(&self, answer: &Value, said: &str) {
        if self.json {
            println!("{answer}");
        } else {
            println!("{said}");
        }
    }
}

/// A field, dotted, in one line.
fn cell(item: &Value, field: &str) -> String {
    let pointer = format!("/{}", field.replace('.', "/"));
    match item.pointer(&pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.chars().filter(|c| !c.is_control()).take(60).collect(),
        Some(Value::Array(list)) => {
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    }
}

fn print_table(head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize, name: &str| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).chain([name.len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = head.iter().enumerate().map(|(at, name)| width(at, name)).collect();
    let line = |cells: Vec<&str>| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(head.to_vec());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
}

fn text(given: String) -> Result<String, Failure> {
    if given == "-" { Ok(std::io::read_to_string(std::io::stdin())?) } else { Ok(given) }
}

pub(super) async fn ticket(remote: &Remote, command: TicketCommand) -> Result<(), Failure> {
    match command {
        TicketCommand::List { status, channel, queue, tag, query, limit } => {
            let query = [
                ("status", status),
                ("channel", channel),
                ("queue", queue),
                ("tag", tag),
                ("q", query),
                ("limit", Some(limit.to_string())),
            ];
            let answer = remote.get("/tickets", &query).await?;
            let fields = [
                "number",
                "status",
                "priority",
                "channel",
                "contact.name",
                "subject",
                "updated_at",
            ];
            remote.list(&answer, &fields);
        }
        TicketCommand::Show { ticket, why } => show(remote, &ticket, why).await?,
        TicketCommand::Reply { ticket, text: given, via, send_at } => {
            let given = text(given)?;
            let body = json!({ "kind": "reply", "text": given, "via": via, "send_at": send_at });
            let path = format!("/tickets/{ticket}/messages");
            let answer = remote.call(Method::POST, &path, Some(body)).await?;
            remote.one(&answer, &format!("queued as {}", cell(&answer, "id")));
        }
        TicketCommand::Note { ticket, text: given } => {
            let body = json!({ "kind": "note", "text": text(given)? });
            let path = format!("/tickets/{ticket}/messages");
            let answer = remote.call(Method::POST, &path, Some(body)).await?;
            remote.one(&answer, &format!("noted as {}", cell(&answer, "id")));
        }
        TicketCommand::Set { ticket, changes } => {
            let body = changed(&changes)?;
            let path = format!("/tickets/{ticket}");
            let answer = remote.call(Method::PATCH, &path, Some(body)).await?;
            remote.one(&answer, "changed");
        }
        TicketCommand::Merge { ticket, into } => {
            let target = remote.get(&format!("/tickets/{into}"), &[]).await?;
            let body = json!({ "into": target.get("id") });
            let path = format!("/tickets/{ticket}/merge");
            let answer = remote.call(Method::POST, &path, Some(body)).await?;
            remote.one(&answer, &format!("{ticket} went into {into}"));
        }
    }
    Ok(())
}

fn changed(changes: &[String]) -> Result<Value, Failure> {
    let mut body = serde_json::Map::new();
    for change in changes {
        let Some((key, value)) = change.split_once('=') else {
            return Err(Failure::Usage(format!("`{change}`: write KEY=VALUE")));
        };
        let value = match (key, value) {
            ("tags", list) => {
                json!(list.split(',').filter(|tag| !tag.is_empty()).collect::<Vec<_>>())
            }
            (_, "") => Value::Null,
            (_, text) => json!(text),
        };
        body.insert(key.to_owned(), value);
    }
    Ok(Value::Object(body))
}

async fn show(remote: &Remote, ticket: &str, why: bool) -> Result<(), Failure> {
    let shown = remote.get(&format!("/tickets/{ticket}"), &[]).await?;
    let path = format!("/tickets/{ticket}/messages");
    let messages = remote.get(&path, &[("limit", Some("200".to_owned()))]).await?;
    if remote.json {
        println!("{}", json!({ "ticket": shown, "messages": messages.get("items") }));
        return Ok(());
    }
    println!("#{} {}", cell(&shown, "number"), cell(&shown, "subject"));
    for field in ["status", "priority", "queue", "channel", "contact.name", "tags", "version"] {
        println!("{field}: {}", cell(&shown, field));
    }
    for message in messages.get("items").and_then(Value::as_array).into_iter().flatten() {
        let head = ["direction", "kind", "author.name", "sent_at", "delivery.status"];
        let head: Vec<String> = head.iter().map(|field| cell(message, field)).collect();
        println!("\n-- {}", head.join(" | "));
        println!("{}", message.get("text").and_then(Value::as_str).unwrap_or_default());
        if why {
            for reason in message.get("why").and_then(Value::as_array).into_iter().flatten() {
                println!("   why: {}", reason.as_str().unwrap_or_default());
            }
        }
    }
    Ok(())
}

pub(super) async fn channel(remote: &Remote, command: ChannelCommand) -> Result<(), Failure> {
    match command {
        ChannelCommand::List => {
            let answer = remote.get("/channels", &[]).await?;
            let fields =
                ["name", "kind", "state", "paused", "last_success_at", "backlog", "last_error"];
            remote.list(&answer, &fields);
        }
        ChannelCommand::Pause { channel } => {
            let path = format!("/channels/{channel}/pause");
            let answer = remote.call(Method::POST, &path, None).await?;
            remote.one(&answer, &format!("{channel} is stopped"));
        }
        ChannelCommand::Resume { channel } => {
            let path = format!("/channels/{channel}/resume");
            let answer = remote.call(Method::POST, &path, None).await?;
            remote.one(&answer, &format!("{channel} runs again"));
        }
    }
    Ok(())
}

pub(super) async fn outbox(remote: &Remote, command: OutboxCommand) -> Result<(), Failure> {
    let (id, action) = match command {
        OutboxCommand::List { status, channel, limit } => {
            let query =
                [("status", status), ("channel", channel), ("limit", Some(limit.to_string()))];
            let answer = remote.get("/outbox", &query).await?;
            let fields = ["id", "status", "channel", "to", "attempts", "next_attempt_at", "error"];
            remote.list(&answer, &fields);
            return Ok(());
        }
        OutboxCommand::Retry { id: None, channel: None } => {
            return Err(Failure::Usage("give the delivery, or `--channel NAME`".to_owned()));
        }
        OutboxCommand::Retry { id: None, channel: Some(channel) } => {
            return retry_channel(remote, &channel).await;
        }
        OutboxCommand::Retry { id: Some(id), .. } => (id, "retry"),
        OutboxCommand::Cancel { id } => (id, "cancel"),
        OutboxCommand::Hold { id } => (id, "hold"),
        OutboxCommand::Release { id } => (id, "release"),
    };
    let answer = remote.call(Method::POST, &format!("/outbox/{id}/{action}"), None).await?;
    remote.one(&answer, &format!("{id} is {}", cell(&answer, "status")));
    Ok(())
}

async fn retry_channel(remote: &Remote, channel: &str) -> Result<(), Failure> {
    let body = json!({ "channel": channel });
    let answer = remote.call(Method::POST, "/outbox/retry", Some(body)).await?;
    let said = format!("{} deliveries are tried again", cell(&answer, "retried"));
    remote.one(&answer, &said);
    Ok(())
}

pub(super) async fn quarantine(remote: &Remote, command: QuarantineCommand) -> Result<(), Failure> {
    match command {
        QuarantineCommand::List { limit } => {
            let answer = remote.get("/quarantine", &[("limit", Some(limit.to_string()))]).await?;
            remote.list(&answer, &["id", "channel", "received_at", "size", "attempts", "reason"]);
        }
        QuarantineCommand::Show { id } => {
            let path = format!("/quarantine/{id}/raw");
            println!("{}", remote.call_text(Method::GET, &path, None).await?);
        }
        QuarantineCommand::Retry { id: None, channel, all: _ } => {
            let body = json!({ "channel": channel });
            let answer = remote.call(Method::POST, "/quarantine/retry", Some(body)).await?;
            remote.one(&answer, &format!("{} are tried again", cell(&answer, "retried")));
        }
        QuarantineCommand::Retry { id: Some(id), .. } => {
            let path = format!("/quarantine/{id}/retry");
            let answer = remote.call(Method::POST, &path, None).await?;
            remote.one(&answer, &format!("{id} is tried again"));
        }
        QuarantineCommand::Drop { id } => {
            let path = format!("/quarantine/{id}");
            let answer = remote.call(Method::DELETE, &path, None).await?;
            remote.one(&answer, &format!("{id} is gone"));
        }
    }
    Ok(())
}

pub(super) async fn contact(remote: &Remote, command: ContactCommand) -> Result<(), Failure> {
    match command {
        ContactCommand::Export { id } => {
            let answer = remote.get(&format!("/contacts/{id}/export"), &[]).await?;
            println!("{}", serde_json::to_string_pretty(&answer)?);
        }
        ContactCommand::Erase { id } => {
            let path = format!("/contacts/{id}");
            let answer = remote.call(Method::DELETE, &path, None).await?;
            remote.one(&answer, &format!("{id} is erased"));
        }
    }
    Ok(())
}
