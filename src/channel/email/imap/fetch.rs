//! What is in a folder, and the mails themselves. One command each; nothing is decided here.
//!
//! Never asks for ENVELOPE or BODYSTRUCTURE: the server would have to parse the mail, and we its answer.

#![expect(clippy::wildcard_enum_match_arm, reason = "of all that a server may say, little matters")]

use std::collections::{BTreeMap, BTreeSet};

use async_imap::imap_proto::{AttributeValue, MailboxDatum, Response};
use bytes::Bytes;

use super::fault::Fault;
use super::name::uid_set;
use super::wire::{Command, Wire};
use crate::model::Timestamp;

/// A mail that is larger comes in pieces of this size.
pub(super) const PIECE_BYTES: u32 = 1 << 20;
/// Of a mail that is too large, this much is fetched.
pub(super) const HEAD_BYTES: u32 = 64 << 10;

/// What is known of a mail before it is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) uid: u32,
    /// `RFC822.SIZE`; servers are known to be wrong about it.
    pub(super) size: Option<u32>,
    /// `INTERNALDATE`
    pub(super) received_at: Option<Timestamp>,
    pub(super) flags: Vec<String>,
}

/// One FETCH response, which may also be one that nobody asked for.
struct Row<'r> {
    head: Head,
    body: Option<&'r [u8]>,
}

/// The UIDs from `first` on, in order.
pub(super) async fn search(wire: &mut Wire, first: u32) -> Result<Vec<u32>, Fault> {
    // `n:*` always finds the last mail, even if its UID is smaller; and `*` in an empty folder is an
    // error to some servers.
    let line = if wire.exists() == 0 {
        "UID SEARCH ALL".to_owned()
    } else {
        format!("UID SEARCH UID {first}:*")
    };
    let found = run_search(wire, &line).await?;
    Ok(found.into_iter().filter(|&uid| uid >= first).collect())
}

/// Those of the UIDs that are still there.
pub(super) async fn present(wire: &mut Wire, uids: &[u32]) -> Result<BTreeSet<u32>, Fault> {
    if uids.is_empty() {
        return Ok(BTreeSet::new());
    }
    let found = run_search(wire, &format!("UID SEARCH UID {}", uid_set(uids))).await?;
    Ok(uids.iter().copied().filter(|uid| found.contains(uid)).collect())
}

async fn run_search(wire: &mut Wire, line: &str) -> Result<BTreeSet<u32>, Fault> {
    let mut found = BTreeSet::new();
    wire.run(&Command::work(line), &mut |response| {
        if let Response::MailboxData(MailboxDatum::Search(uids)) = response {
            found.extend(uids.iter().copied().filter(|&uid| uid > 0));
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Sizes and dates. What is missing in `heads` afterwards, the server did not tell.
pub(super) async fn list(
    wire: &mut Wire,
    uids: &[u32],
    heads: &mut BTreeMap<u32, Head>,
) -> Result<(), Fault> {
    let line = format!("UID FETCH {} (UID RFC822.SIZE INTERNALDATE FLAGS)", uid_set(uids));
    wire.run(&Command::work(&line), &mut |response| {
        if let Some(Row { head, .. }) = row(response)
            && head.size.is_some()
            && uids.binary_search(&head.uid).is_ok()
        {
            heads.insert(head.uid, head);
        }
        Ok(())
    })
    .await
}

/// Whole mails. What is missing in `bodies` afterwards did not come, also after an error.
pub(super) async fn bodies(
    wire: &mut Wire,
    uids: &[u32],
    bytes_max: u64,
    bodies: &mut BTreeMap<u32, Bytes>,
) -> Result<(), Fault> {
    let line = format!("UID FETCH {} (UID BODY.PEEK[])", uid_set(uids));
    let mut total = 0;
    wire.run(&Command::work(&line), &mut |response| {
        if let Some(Row { head, body: Some(body) }) = row(response)
            && uids.binary_search(&head.uid).is_ok()
        {
            total += body.len() as u64;
            if total > bytes_max {
                let problem = "the server sends more mail than it announced";
                return Err(Fault::Unusable(problem.to_owned()));
            }
            bodies.insert(head.uid, Bytes::copy_from_slice(body));
        }
        Ok(())
    })
    .await
}

/// One piece of one mail; `None`: the server sent none.
pub(super) async fn piece(
    wire: &mut Wire,
    uid: u32,
    origin: u32,
    length: u32,
) -> Result<Option<Vec<u8>>, Fault> {
    let line = format!("UID FETCH {uid} (UID BODY.PEEK[]<{origin}.{length}>)");
    let mut piece = None;
    wire.run(&Command::work(&line), &mut |response| {
        if let Some(Row { head, body: Some(body) }) = row(response)
            && head.uid == uid
        {
            piece = Some(body.to_vec());
        }
        Ok(())
    })
    .await?;
    Ok(piece)
}

/// A large mail, piece by piece, up to `bytes_max`; `None`: it is not there (any more).
pub(super) async fn in_pieces(
    wire: &mut Wire,
    head: &Head,
    bytes_max: u64,
) -> Result<Option<Bytes>, Fault> {
    let expected = u64::from(head.size.unwrap_or(PIECE_BYTES)).min(bytes_max);
    let mut whole: Vec<u8> = Vec::new();
    loop {
        let origin = u32::try_from(whole.len()).unwrap_or(u32::MAX);
        let Some(piece) = piece(wire, head.uid, origin, PIECE_BYTES).await? else {
            return Ok((origin > 0).then(|| whole.into()));
        };
        let length = piece.len();
        if whole.is_empty() {
            whole = piece;
            whole.reserve_exact(usize::try_from(expected).unwrap_or(0).saturating_sub(length));
        } else {
            whole.extend_from_slice(&piece);
        }
        // More than asked for: a server that knows no pieces and sent all of it.
        if length != PIECE_BYTES as usize || whole.len() as u64 >= bytes_max {
            return Ok(Some(whole.into()));
        }
    }
}

fn row<'r>(response: &'r Response<'_>) -> Option<Row<'r>> {
    let Response::Fetch(_, attributes) = response else { return None };
    let mut uid = None;
    let mut row =
        Row { head: Head { uid: 0, size: None, received_at: None, flags: Vec::new() }, body: None };
    for attribute in attributes {
        match attribute {
            AttributeValue::Uid(value) => uid = Some(*value),
            AttributeValue::Rfc822Size(size) => row.head.size = Some(*size),
            AttributeValue::InternalDate(text) => row.head.received_at = date(text),
            AttributeValue::Flags(flags) => {
                row.head.flags = flags.iter().map(|flag| flag.clone().into_owned()).collect();
            }
            AttributeValue::BodySection { section: None, data: Some(data), .. } => {
                row.body = Some(data);
            }
            _ => {}
        }
    }
    row.head.uid = uid?;
    Some(row)
}

/// ` 1-Jul-2026 02:44:25 -0700`
fn date(text: &str) -> Option<Timestamp> {
    chrono::DateTime::parse_from_str(text.trim(), "%d-%b-%Y %H:%M:%S %z")
        .ok()
        .map(|date| date.with_timezone(&chrono::Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_servers_are_read() {
        let read = |text| date(text).map(|date| date.to_rfc3339());
        assert_eq!(
            read(" 1-Jul-2026 02:44:25 -0700").as_deref(),
            Some("2026-07-01T09:44:25+00:00")
        );
        assert_eq!(
            read("17-Jul-1996 02:44:25 +0000").as_deref(),
            Some("1996-07-17T02:44:25+00:00")
        );
        assert_eq!(read("yesterday"), None);
    }
}
