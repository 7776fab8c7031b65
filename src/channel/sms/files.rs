//! Files. A customer's: Twilio shows it to whoever knows the token, and redirects to where it lies, which is not to see
//! the token. Ours: Twilio fetches them from us, and carries what its networks carry.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::channel::shared::twilio::rest::Account;
use crate::channel::{Download, DownloadError};
use crate::model::{MediaLimit, MediaRef, OutboundMedia};

const MIB: u64 = 1024 * 1024;
/// As many addresses stand in one call, and as many files of one reply go out.
const FILES_MAX: u16 = 10;
/// Pictures of one MMS together; Twilio makes them smaller where a network takes less.
const MMS_BYTES_MAX: u64 = 5 * MIB;
/// Anything but a picture, by MMS.
const MMS_OTHER_BYTES_MAX: u64 = 500 * 1024;
/// A file by WhatsApp.
const WHATSAPP_BYTES_MAX: u64 = 16 * MIB;

/// What goes along with an MMS as it is.
const MMS_PICTURES: &[&str] = &["image/jpeg", "image/png", "image/gif"];
const MMS_OTHERS: &[&str] = &[
    "application/pdf",
    "application/vcard",
    "audio/3gpp",
    "audio/amr",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "image/bmp",
    "image/tiff",
    "text/calendar",
    "text/csv",
    "text/rtf",
    "text/vcard",
    "text/x-vcard",
    "video/3gpp",
    "video/mp4",
    "video/mpeg",
    "video/quicktime",
    "video/webm",
];
const WHATSAPP: &[&str] = &[
    "application/msword",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "audio/amr",
    "audio/mpeg",
    "audio/ogg",
    "image/jpeg",
    "image/png",
    "text/vcard",
    "text/x-vcard",
    "video/mp4",
];

/// By which network files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    /// As many in one message as there are, with its text.
    Mms,
    /// One in a message, without words: those of anything but a picture would be dropped.
    Whatsapp,
}

impl Network {
    /// What it takes of one reply.
    pub(super) const fn limit(self) -> MediaLimit {
        let (bytes_max, apart) = match self {
            Self::Mms => (MMS_BYTES_MAX, false),
            Self::Whatsapp => (WHATSAPP_BYTES_MAX, true),
        };
        MediaLimit { bytes_max, count_max: FILES_MAX, apart }
    }

    /// Why these files cannot go.
    pub(super) fn refuses(self, files: &[OutboundMedia]) -> Option<String> {
        let named = match self {
            Self::Mms => "MMS",
            Self::Whatsapp => "WhatsApp by Twilio",
        };
        let bytes: u64 = files.iter().map(size).sum();
        let MediaLimit { bytes_max, count_max, .. } = self.limit();
        if files.len() > usize::from(count_max) {
            return Some(format!("{named} takes {count_max} files at once, and no more"));
        }
        if bytes > bytes_max {
            let mib = bytes_max / MIB;
            return Some(format!("the files are larger than the {mib} MB that {named} takes"));
        }
        files.iter().find_map(|file| {
            let of = |known: &[&str]| known.contains(&file.mime.as_str());
            match self {
                Self::Mms if of(MMS_PICTURES) => None,
                Self::Mms if of(MMS_OTHERS) && size(file) <= MMS_OTHER_BYTES_MAX => None,
                Self::Mms if of(MMS_OTHERS) => Some(format!(
                    "by MMS, a file of the type {} can have 500 KB: a picture can be larger",
                    file.mime
                )),
                Self::Whatsapp if of(WHATSAPP) => None,
                Self::Mms | Self::Whatsapp => {
                    Some(format!("{named} takes no files of the type {}", file.mime))
                }
            }
        })
    }
}

fn size(file: &OutboundMedia) -> u64 {
    u64::try_from(file.bytes.len()).unwrap_or(u64::MAX)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mime: &str, size: u64) -> OutboundMedia {
        let bytes = vec![0; usize::try_from(size).unwrap()].into();
        OutboundMedia { name: "a".to_owned(), mime: mime.to_owned(), content_id: None, bytes }
    }

    #[test]
    fn each_network_takes_what_it_carries() {
        use Network::{Mms, Whatsapp};
        let goes = |network: Network, files: &[OutboundMedia]| network.refuses(files).is_none();
        assert!(goes(Mms, &[file("image/png", MMS_BYTES_MAX)]));
        assert!(!goes(Mms, &[file("image/png", MMS_BYTES_MAX), file("image/gif", 1)]));
        assert!(goes(Mms, &[file("application/pdf", MMS_OTHER_BYTES_MAX)]));
        assert!(!goes(Mms, &[file("application/pdf", MMS_OTHER_BYTES_MAX + 1)]));
        assert!(goes(Whatsapp, &[file("application/pdf", WHATSAPP_BYTES_MAX)]));
        assert!(!goes(Whatsapp, &[file("video/mp4", WHATSAPP_BYTES_MAX + 1)]));
        let many: Vec<_> = (0..11).map(|_| file("image/png", 1)).collect();
        for network in [Mms, Whatsapp] {
            assert!(goes(network, &[]) && goes(network, &many[..10]) && !goes(network, &many));
            for never in ["text/html", "application/zip", "image/svg+xml", ""] {
                let why = network.refuses(&[file(never, 1)]).unwrap();
                assert!(why.contains("takes no files of the type"), "{why}");
            }
        }
    }
}
