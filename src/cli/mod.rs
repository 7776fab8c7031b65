//! The command line. `run` is the only place that wires things together.
//!
//! Exit codes: 0 it worked, 1 it did not, 2 the call was wrong, 75 try again later (`ingest`), 78 the
//! configuration is faulty.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is where people are talked to"
)]

mod check;
mod demo;
mod import;
mod ingest;
mod login;
mod migrate;
mod open;
mod people;
mod print;
mod remote;
mod retention;
mod rules;
mod run;
mod secret;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::channel::Way;
use crate::model::ChannelName;

/// The configuration is faulty: the unit does not start it again.
const EXIT_CONFIG: u8 = 78;
/// Nothing is lost, try again: mail servers know this one.
const EXIT_TEMPORARY: u8 = 75;

/// Every customer message, on whatever channel, as a ticket: exactly once.
#[derive(Debug, Parser)]
#[command(name = "tributary", version, propagate_version = true)]
pub struct Cli {
    /// Configuration file; without it `/etc/tributary/tributary.toml`, then `config/tributary.toml`.
    #[arg(short, long, global = true, env = "TRIBUTARY_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    /// API token; without it a short-lived one is made in the store, if you may read that.
    #[arg(
        long,
        global = true,
        env = "TRIBUTARY_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon, in the foreground.
    Run,
    /// Show what it looks like: a week of a wallet's support desk, made up, with the daemon running on it.
    ///
    /// Sends nothing to anybody and takes nothing from any network but your browser.
    Demo(demo::DemoArguments),
    /// Check the configuration: every fault in one go, each with its file, line, column and key.
    ///
    /// Ends with 78 if there is one. Changes nothing.
    Check {
        /// Also try the store, the ports and each channel's services; ends with 1 if one does not work.
        #[arg(long)]
        online: bool,
    },
    /// Bring the store's schema up to date.
    Migrate,
    /// Hand one raw message to a channel, as if it had arrived.
    ///
    /// Prints the ticket and the message as JSON. Ends with 75 if it could not be stored, for whatever
    /// reason (a faulty configuration too), so that a mail server's pipe transport keeps it.
    Ingest {
        /// Name of the channel.
        channel: ChannelName,
        /// File with the message; `-` is standard input.
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Take over the mails of an mbox file or a Maildir. Twice adds nothing.
    Import {
        /// Name of the channel.
        channel: ChannelName,
        /// The mbox file, or the folder with `cur` and `new`.
        path: PathBuf,
    },
    /// People who work here.
    #[command(subcommand)]
    User(people::UserCommand),
    /// API tokens.
    #[command(subcommand)]
    Token(people::TokenCommand),
    /// Tickets, through the running daemon.
    #[command(subcommand)]
    Ticket(remote::TicketCommand),
    /// The channels: how they are, pausing, signing in.
    #[command(subcommand)]
    Channel(login::ChannelCommand),
    /// What could not be sent yet.
    #[command(subcommand)]
    Outbox(remote::OutboxCommand),
    /// What could not be understood.
    #[command(subcommand)]
    Quarantine(remote::QuarantineCommand),
    /// What is decided about messages before a human looks.
    #[command(subcommand)]
    Rules(rules::RulesCommand),
    /// Show which tickets the settings of `[retention]` would erase now. Changes nothing.
    Retention,
    /// Privacy requests.
    #[command(subcommand)]
    Contact(remote::ContactCommand),
    /// Print the JSON Schema of the configuration file.
    Schema,
    /// Print the OpenAPI document of the HTTP API.
    Openapi,
    /// Print a completion script.
    Completions {
        /// For which shell.
        shell: Shell,
    },
    /// Print the manual page, or write that of every command into a folder.
    Man {
        /// The folder.
        #[arg(long, value_name = "FOLDER")]
        dir: Option<PathBuf>,
    },
}

/// How a command ended, if not well.
#[derive(Debug)]
enum Failure {
    /// 1
    Failed(anyhow::Error),
    /// 2
    Usage(String),
    /// 75: nothing is lost, try again.
    Temporary(anyhow::Error),
    /// 78
    Config(String),
    /// What there is to say has been said.
    Told(u8),
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Failure {
    fn tell(&self) -> ExitCode {
        match self {
            Self::Failed(error) => {
                eprintln!("tributary: {error:#}");
                ExitCode::from(1)
            }
            Self::Usage(text) => {
                eprintln!("tributary: {text}");
                ExitCode::from(2)
            }
            Self::Temporary(error) => {
                eprintln!("tributary: not now: {error:#}");
                ExitCode::from(EXIT_TEMPORARY)
            }
            Self::Config(text) => {
                eprintln!("{text}");
                ExitCode::from(EXIT_CONFIG)
            }
            Self::Told(code) => ExitCode::from(*code),
        }
    }
}

/// Runs the command that was asked for.
pub fn start(cli: Cli) -> ExitCode {
    // Parsers of foreign data may nest deeply: their threads get a larger stack than usual.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(8 * 1024 * 1024)
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(command(cli));
            // A parser that runs for ever must not keep us.
            runtime.shutdown_timeout(std::time::Duration::from_secs(1));
            outcome
        }
        Err(error) => Err(Failure::from(error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

async fn command(cli: Cli) -> Result<(), Failure> {
    let Cli { config, json, token, command } = cli;
    let remote = || remote::Remote::new(config.as_deref(), token.as_deref(), json);
    match command {
        Command::Run => Box::pin(run::run(config.as_deref())).await,
        Command::Demo(arguments) => Box::pin(demo::run(arguments)).await,
        Command::Check { online } => {
            let reach = if online { check::Reach::Services } else { check::Reach::Settings };
            check::run(config.as_deref(), reach, json).await
        }
        Command::Migrate => migrate::run(config.as_deref(), json).await,
        Command::Schema => print::schema(),
        Command::Openapi => print::openapi(),
        Command::Completions { shell } => print::completions(shell),
        Command::Man { dir } => print::man(dir.as_deref()),
        Command::User(command) => people::user(config.as_deref(), command, json).await,
        Command::Token(command) => people::token(config.as_deref(), command, json).await,
        Command::Ingest { channel, file } => ingest::run(config.as_deref(), &channel, &file).await,
        Command::Import { channel, path } => {
            import::run(config.as_deref(), &channel, &path, json).await
        }
        Command::Ticket(command) => remote::ticket(&remote().await?, command).await,
        Command::Channel(login::ChannelCommand::Login { channel, device, minutes }) => {
            let way = if device { Way::Device } else { Way::Browser };
            login::run(config.as_deref(), &channel, (way, minutes), json).await
        }
        Command::Channel(login::ChannelCommand::Secret { channel }) => {
            secret::run(config.as_deref(), &channel, json).await
        }
        Command::Channel(login::ChannelCommand::Daemon(command)) => {
            remote::channel(&remote().await?, command).await
        }
        Command::Outbox(command) => remote::outbox(&remote().await?, command).await,
        Command::Quarantine(command) => remote::quarantine(&remote().await?, command).await,
        Command::Rules(command) => rules::run(config.as_deref(), command, json).await,
        Command::Retention => retention::run(config.as_deref(), json).await,
        Command::Contact(command) => remote::contact(&remote().await?, command).await,
    }
}
