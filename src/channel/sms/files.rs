//! A customer's file. Twilio shows it to whoever knows the token, and redirects to where it lies, which is not to
//! see the token.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::channel::shared::twilio::rest::Account;
use crate::channel::{Download, DownloadError};
use crate::model::MediaRef;

/// Fetches what customers sent.
pub(super) struct Fetch {
    pub(super) account: Arc<Account>,
}

#[async_trait]
impl Download for Fetch {
    async fn download(&self, media: &MediaRef) -> Result<Bytes, DownloadError> {
        self.account.file(media.as_str()).await
    }
}
