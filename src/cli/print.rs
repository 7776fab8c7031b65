//! Commands that only print what is compiled in: schemas, completions, manual pages.

use std::io::Write as _;
use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Failure};
use crate::{settings, web};

/// The JSON Schema of the settings file.
pub(super) fn schema() -> Result<(), Failure> {
    write(serde_json::to_string_pretty(&settings::schema())?.as_bytes())
}

/// The OpenAPI document, as `/openapi.json` serves it.
pub(super) fn openapi() -> Result<(), Failure> {
    write(serde_json::to_string_pretty(&web::openapi())?.as_bytes())
}

/// A completion script.
pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tributary", &mut script);
    write(&script)
}

/// The manual page of the program; or with `folder`, that of every command, each in its file.
pub(super) fn man(folder: Option<&Path>) -> Result<(), Failure> {
    let command = Cli::command();
    if let Some(folder) = folder {
        let failed = |error| anyhow::anyhow!("{}: {error}", folder.display());
        std::fs::create_dir_all(folder).map_err(failed)?;
        return Ok(clap_mangen::generate_to(command, folder).map_err(failed)?);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    write(&page)
}

/// A reader that has seen enough (`head`) is no failure.
fn write(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
