//! Parses the command line, runs, ends with its code.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    // Before anything else: without it every TLS client would have to choose a provider.
    rustls::crypto::ring::default_provider().install_default().ok();
    tributary::cli::start(tributary::cli::Cli::parse())
}
