//! A customer's file: where it is, then it. Its address holds the token, so it is never shown to anybody: what
//! people get is our own copy.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::bot::{Bot, Failed, strange};
use crate::channel::shared::http::{HttpError, downloaded};
use crate::channel::shared::look;
use crate::channel::{Download, DownloadError};
use crate::model::MediaRef;

/// The service itself hands over no file above 20 MB; a server of one's own does.
const FILE_BYTES_MAX: usize = 200 * 1024 * 1024;
const TIME_MAX: Duration = Duration::from_secs(300);

/// Fetches what customers sent.
pub(super) struct Fetch {
    pub(super) bot: Arc<Bot>,
}

#[async_trait]
impl Download for Fetch {
    async fn download(&self, media: &MediaRef) -> Result<Bytes, DownloadError> {
        let arguments = json!({ "file_id": media.as_str() });
        let time_max = Duration::from_secs(60);
        let found = self.bot.call("getFile", &arguments, time_max).await.map_err(not_found)?;
        let size = look::word(found.result(), "/file_size").and_then(|size| size.parse().ok());
        if size.is_some_and(|size: u64| size > FILE_BYTES_MAX as u64) {
            return Err(never("the file is too large"));
        }
        let path = look::text(found.result(), "/file_path");
        let path = path.ok_or_else(|| again("Telegram did not say where the file is"))?;
        match &self.bot.local_files {
            Some(folder) if Path::new(path).is_absolute() => local(folder, Path::new(path)).await,
            _ => match self.bot.file(path, FILE_BYTES_MAX, TIME_MAX).await {
                // The address was good for an hour, and it was asked for just now.
                Ok(answer) if answer.status.as_u16() == 404 => {
                    Err(again("the file's address was no longer good"))
                }
                answer => downloaded(answer),
            },
        }
    }
}

/// A file that a server on this machine put down, and nothing else of this machine.
async fn local(folder: &Path, path: &Path) -> Result<Bytes, DownloadError> {
    let unreadable = |_| again("the file cannot be read in the folder of the Bot API server");
    let folder = tokio::fs::canonicalize(folder).await.map_err(unreadable)?;
    let path = tokio::fs::canonicalize(path).await.map_err(unreadable)?;
    if !path.starts_with(&folder) {
        return Err(never("the file is not in the folder of `local_files`"));
    }
    let file = tokio::fs::File::open(&path).await.map_err(unreadable)?;
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).await.map_err(unreadable)?;
    if bytes.len() > FILE_BYTES_MAX {
        Err(never("the file is too large"))
    } else {
        Ok(bytes.into())
    }
}

fn not_found(failed: Failed) -> DownloadError {
    match failed {
        Failed::Http(error @ HttpError::Refused { .. }) => DownloadError::Never(error.into()),
        Failed::Http(error) => DownloadError::Retry { cause: error.into(), after: None },
        Failed::Strange(status) => DownloadError::Retry { cause: strange(status), after: None },
        Failed::Told(refusal) if refusal.says(&["file is too big"]) => {
            DownloadError::Never(refusal.cause(
                "Telegram hands over no file above 20 MB, other than by a server of one's own",
            ))
        }
        Failed::Told(refusal) if matches!(refusal.code, 401 | 404 | 429 | 500..) => {
            DownloadError::Retry { cause: refusal.cause(""), after: refusal.retry_after }
        }
        Failed::Told(refusal) => DownloadError::Never(refusal.cause("")),
    }
}

fn never(why: &'static str) -> DownloadError {
    DownloadError::Never(why.into())
}

fn again(why: &'static str) -> DownloadError {
    DownloadError::Retry { cause: why.into(), after: None }
}
