//! Files of customers, and ours, which go up before the message that names them.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::send::Account;
use crate::channel::shared::graph::media;
use crate::channel::{Download, DownloadError};
use crate::model::{MediaRef, OutboundMedia};

/// As what a file of ours is sent.
pub(super) fn kind(file: &OutboundMedia) -> &'static str {
    match file.mime.as_str() {
        "image/jpeg" | "image/png" | "image/gif" | "image/webp" => "image",
        "video/mp4" | "video/quicktime" | "video/webm" | "video/ogg" => "video",
        "audio/aac" | "audio/mp4" | "audio/mpeg" | "audio/ogg" | "audio/wav" | "audio/x-m4a" => {
            "audio"
        }
        _ => "file",
    }
}

/// Fetches what customers sent.
pub(super) struct Fetch {
    pub(super) account: Arc<Account>,
}

#[async_trait]
impl Download for Fetch {
    async fn download(&self, media: &MediaRef) -> Result<Bytes, DownloadError> {
        media::fetch(&self.account.graph, media).await
    }
}
