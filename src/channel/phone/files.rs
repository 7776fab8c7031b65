//! Recordings: fetched from the account, and taken away there if the settings want it.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::told::is_sid;
use crate::channel::shared::http::for_download;
use crate::channel::shared::twilio::rest::Account;
use crate::channel::{Download, DownloadError};
use crate::model::MediaRef;

/// Fetches recordings, by their names.
pub(super) struct Fetch {
    pub(super) account: Arc<Account>,
    /// Are they deleted there once we have them?
    pub(super) forgets: bool,
}

#[async_trait]
impl Download for Fetch {
    async fn download(&self, media: &MediaRef) -> Result<Bytes, DownloadError> {
        if !is_sid(media.as_str()) {
            return Err(DownloadError::Never("it is no recording".into()));
        }
        let (account, name) = (self.account.sid(), media.as_str());
        // Which of its hosts it is, the settings say.
        let address =
            format!("https://api.twilio.com/2010-04-01/Accounts/{account}/Recordings/{name}.mp3");
        self.account.file(&address).await
    }

    fn forgets(&self) -> bool {
        self.forgets
    }

    async fn forget(&self, media: &MediaRef) -> Result<(), DownloadError> {
        let path = format!("Recordings/{}.json", media.as_str());
        self.account.delete(&path).await.map_err(for_download)
    }
}
