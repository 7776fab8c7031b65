//! Where each folder goes on after a restart: the text of the channel's cursor.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Cursor, DedupeKey};

/// The whole cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// By the folder's name in the settings.
    #[serde(default)]
    pub(super) folders: BTreeMap<String, Mark>,
    /// The mails that were stored together with this very cursor and that the server may not have
    /// been told about: after a crash it is told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stored: Option<Stored>,
}

/// How far one folder is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Which life of the folder `uid` belongs to.
    pub(super) validity: u32,
    /// Everything up to here is stored, or was never wanted.
    pub(super) uid: u32,
    /// With `start = "new"`: the age of the newest mail that was there then, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) started_at: Option<i64>,
    /// Up to this UID the folder is read a second time, since its UIDVALIDITY changed: what is older than
    /// `started_at` stays unwanted there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) again_until: u32,
}

/// Mails of one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) folder: String,
    pub(super) validity: u32,
    pub(super) uids: Vec<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Position {
    /// A cursor that cannot be read is none: everything is fetched again, and dedupe sorts it out.
    pub(super) fn read(cursor: Option<&Cursor>) -> Self {
        cursor.and_then(|cursor| serde_json::from_str(cursor.as_str()).ok()).unwrap_or_default()
    }

    pub(super) fn write(&self) -> Cursor {
        Cursor::new(serde_json::to_string(self).unwrap_or_default())
    }
}

impl Mark {
    /// The folder got new UIDs: all of them are looked at again. `last` is the highest one now.
    pub(super) const fn reborn(self, validity: u32, last: u32) -> Self {
        let again_until = if self.started_at.is_some() { last } else { 0 };
        Self { validity, uid: 0, started_at: self.started_at, again_until }
    }

    /// Was this mail there before the channel began, so that nobody wants it?
    pub(super) fn is_unwanted(&self, uid: u32, received_at: Option<i64>) -> bool {
        let (Some(started), Some(received)) = (self.started_at, received_at) else { return false };
        uid <= self.again_until && received <= started
    }
}

/// One mail of one life of one folder.
pub(super) fn dedupe(folder: &str, validity: u32, uid: u32) -> DedupeKey {
    DedupeKey::new(format!("{folder}:{validity}:{uid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let mark = Mark { validity: 7, uid: 9, started_at: Some(5), again_until: 3 };
        let stored = Stored { folder: "台北".into(), validity: 7, uids: vec![8, 9] };
        let position =
            Position { folders: [("台北".to_owned(), mark)].into(), stored: Some(stored) };
        assert_eq!(Position::read(Some(&position.write())), position);
        assert_eq!(Position::read(Some(&Cursor::new("7:9"))), Position::default());
    }

    #[test]
    fn only_a_channel_that_began_with_new_mail_leaves_old_mail_out() {
        let all = Mark { validity: 1, uid: 9, started_at: None, again_until: 0 }.reborn(2, 50);
        assert!(!all.is_unwanted(3, Some(0)));
        let new = Mark { validity: 1, uid: 9, started_at: Some(100), again_until: 0 };
        assert!(!new.is_unwanted(10, Some(0)), "an old mail that was dragged in is new");
        let again = new.reborn(2, 50);
        assert!(again.is_unwanted(3, Some(100)));
        assert!(!again.is_unwanted(3, Some(101)));
        assert!(!again.is_unwanted(51, Some(0)));
    }
}
