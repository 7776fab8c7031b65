//! Where the questions for what is new stand: Twilio's own clock is the cursor of all that is asked for.

use chrono::{DateTime, TimeDelta};

use super::rest::Account;
use crate::channel::PullError;
use crate::channel::shared::http::for_pull;
use crate::model::{Cursor, Timestamp};

/// How far a channel has asked, by Twilio's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// When it last had everything.
    pub had: Timestamp,
    /// When it asked for the first time: what was over before that is left where it is.
    pub began: Timestamp,
}

impl Since {
    /// Where a cursor says that it stands; now, without one or with one that cannot be read.
    ///
    /// `back`: how far before it all is taken where it does not say when it began.
    pub async fn resume(
        account: &Account,
        list: (&str, &str),
        cursor: Option<&Cursor>,
        back: TimeDelta,
    ) -> Result<Self, PullError> {
        if let Some(since) = cursor.and_then(|cursor| Self::read(cursor, back)) {
            return Ok(since);
        }
        let page = account.list(list, &[("PageSize", "1")]).await.map_err(for_pull)?;
        let now = page.time()?;
        Ok(Self { had: now, began: now })
    }

    /// The cursor that says this.
    #[must_use]
    pub fn cursor(self) -> Cursor {
        Cursor(format!("{} {}", self.had.timestamp(), self.began.timestamp()))
    }

    fn read(cursor: &Cursor, back: TimeDelta) -> Option<Self> {
        let mut parts = cursor.as_str().split(' ');
        let mut moment = || DateTime::from_timestamp(parts.next()?.parse().ok()?, 0);
        let had = moment()?;
        let began = moment().or_else(|| had.checked_sub_signed(back))?;
        Some(Self { had, began })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_says_how_far_it_is_and_when_it_began() {
        let back = TimeDelta::hours(5);
        let of = |text: &str| Since::read(&Cursor(text.to_owned()), back);
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let since = Since { had: at(1_800_000_000), began: at(1_700_000_000) };
        assert_eq!(Since::read(&since.cursor(), back), Some(since));
        // One of an earlier version.
        assert_eq!(of("1800000000"), Some(Since { began: since.had - back, ..since }));
        for bad in ["", "soon", "99999999999999999"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
