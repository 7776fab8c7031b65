//! Files: a customer's are fetched in two steps (where it is, then it), ours are put up before the message that
//! names them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::account::Account;
use super::words::Kept;
use crate::channel::shared::http::downloaded;
use crate::channel::shared::look;
use crate::channel::{Download, DownloadError};
use crate::model::{MediaRef, OutboundMedia};

/// The largest file that the service carries.
const FILE_BYTES_MAX: usize = 100 * 1024 * 1024;
const TIME_MAX: Duration = Duration::from_secs(300);
const MIB: usize = 1024 * 1024;

/// As what a file of ours is sent: what its type and size allow, and else as a document.
pub(super) fn kind(media: &OutboundMedia) -> &'static str {
    let size = media.bytes.len();
    match media.mime.as_str() {
        "image/jpeg" | "image/png" if size <= 5 * MIB => "image",
        "video/mp4" | "video/3gpp" if size <= 16 * MIB => "video",
        "audio/aac" | "audio/amr" | "audio/mp4" | "audio/mpeg" | "audio/ogg"
            if size <= 16 * MIB =>
        {
            "audio"
        }
        _ => "document",
    }
}

/// Fetches what customers sent.
pub(super) struct Fetch {
    pub(super) account: Arc<Account>,
}

#[async_trait]
impl Download for Fetch {
    async fn download(&self, media: &MediaRef) -> Result<Bytes, DownloadError> {
        let kept: Kept = serde_json::from_str(media.as_str())
            .map_err(|_| never("it is not known where the file is"))?;
        let found = self.account.file(&kept.id).await?;
        let size = look::word(&found, "/file_size").and_then(|size| size.parse::<u64>().ok());
        if size.is_some_and(|size| size > FILE_BYTES_MAX as u64) {
            return Err(never("the file is too large"));
        }
        let url = look::text(&found, "/url").and_then(|url| Url::parse(url).ok());
        let url = url.ok_or_else(|| again("WhatsApp did not say where the file is"))?;
        // The address is good for five minutes, and it was asked for just now.
        let answer = self.account.get(url, FILE_BYTES_MAX, TIME_MAX).await;
        let bytes = match answer {
            Ok(answer) if matches!(answer.status.as_u16(), 401 | 403 | 404 | 410) => {
                return Err(again("the file's address was no longer good"));
            }
            answer => downloaded(answer)?,
        };
        let stated = kept.sha256.as_deref().and_then(hash);
        let stated = stated.or_else(|| look::text(&found, "/sha256").and_then(hash));
        if stated.is_some_and(|stated| stated != *Sha256::digest(&bytes)) {
            return Err(again("the bytes that came are not those that were sent"));
        }
        Ok(bytes)
    }
}

/// A hash, in whichever of the two ways it is written.
fn hash(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    let hash = match text.len() {
        64 => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
        _ => BASE64.decode(text.as_bytes()).ok(),
    };
    hash.filter(|hash| hash.len() == 32)
}

fn never(why: &'static str) -> DownloadError {
    DownloadError::Never(why.into())
}

fn again(why: &'static str) -> DownloadError {
    DownloadError::Retry { cause: why.into(), after: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mime: &str, size: usize) -> OutboundMedia {
        OutboundMedia {
            name: "a".to_owned(),
            mime: mime.to_owned(),
            content_id: None,
            bytes: vec![0; size].into(),
        }
    }

    #[test]
    fn a_file_goes_as_what_it_is_unless_it_is_too_large_for_that() {
        assert_eq!(kind(&file("image/png", 5 * MIB)), "image");
        assert_eq!(kind(&file("image/png", 5 * MIB + 1)), "document");
        assert_eq!(kind(&file("image/webp", 1)), "document");
        assert_eq!(kind(&file("video/mp4", 16 * MIB)), "video");
        assert_eq!(kind(&file("audio/ogg", 16 * MIB + 1)), "document");
        assert_eq!(kind(&file("application/pdf", 1)), "document");
    }

    #[test]
    fn a_hash_is_read_in_both_ways_and_nothing_else_is_one() {
        let digest = Sha256::digest(b"x");
        assert_eq!(hash(&BASE64.encode(&digest)).unwrap(), *digest);
        assert_eq!(hash(&HEXLOWER_PERMISSIVE.encode(&digest)).unwrap(), *digest);
        for bad in ["", "4654+8g=", "no hash", &"z".repeat(64)] {
            assert_eq!(hash(bad), None, "{bad}");
        }
    }
}
