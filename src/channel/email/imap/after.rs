//! What becomes of a mail on the server once it is stored here.
//!
//! Everything may be done twice: after a crash it is. A server that refuses is told to the admin and
//! nothing more, since the mail is safe here and stays where it is there.

use super::cursor::Stored;
use super::fault::Fault;
use super::login::Abilities;
use super::name::{mailbox, uid_set};
use super::wire::{Command, Wire};
use crate::channel::email::settings::After;

/// Does it. The folder must be selected for writing.
pub(super) async fn tidy(
    wire: &mut Wire,
    can: &Abilities,
    after: &After,
    stored: &Stored,
) -> Result<(), Fault> {
    let set = uid_set(&stored.uids);
    match after {
        After::Leave => Ok(()),
        After::Mark(keyword) => store(wire, &set, keyword).await,
        After::Delete => remove(wire, can, &set).await,
        After::Move(folder) => match relocate(wire, can, &set, folder).await {
            Err(Fault::Refused { text, .. }) if is_missing(&text) => {
                run(wire, &format!("CREATE {}", mailbox(folder))).await?;
                relocate(wire, can, &set, folder).await
            }
            other => other,
        },
    }
}

fn is_missing(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    text.contains("[TRYCREATE]") || text.contains("[NONEXISTENT]")
}

async fn relocate(wire: &mut Wire, can: &Abilities, set: &str, folder: &str) -> Result<(), Fault> {
    if can.has("MOVE") {
        return run(wire, &format!("UID MOVE {set} {}", mailbox(folder))).await;
    }
    run(wire, &format!("UID COPY {set} {}", mailbox(folder))).await?;
    remove(wire, can, set).await
}

/// Without UIDPLUS they stay, flagged as deleted: a plain EXPUNGE would also remove what another
/// program flagged.
async fn remove(wire: &mut Wire, can: &Abilities, set: &str) -> Result<(), Fault> {
    store(wire, set, "\\Deleted").await?;
    if can.has("UIDPLUS") || can.has("IMAP4REV2") {
        run(wire, &format!("UID EXPUNGE {set}")).await?;
    }
    Ok(())
}

async fn store(wire: &mut Wire, set: &str, flag: &str) -> Result<(), Fault> {
    run(wire, &format!("UID STORE {set} +FLAGS.SILENT ({flag})")).await
}

async fn run(wire: &mut Wire, line: &str) -> Result<(), Fault> {
    wire.run(&Command::work(line), &mut |_| Ok(())).await
}
