//! Files that a message names by an address, which is good for some days: where they lie, and how they are fetched.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::account::Graph;
use crate::channel::DownloadError;
use crate::channel::shared::http::{Answer, Call, HttpError, downloaded, for_download};
use crate::channel::shared::look;
use crate::model::{Media, MediaRef, MediaSource};

/// The largest file that is fetched.
const FILE_BYTES_MAX: usize = 100 * 1024 * 1024;
const TIME_MAX: Duration = Duration::from_secs(300);
const REDIRECTS_MAX: u8 = 3;
/// Longest name of a file, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Meta's own hosts for files.
const HOSTS: &[&str] = &["fbcdn.net", "fbsbx.com", "cdninstagram.com"];

/// Where the service keeps files; what is elsewhere is a page on the web.
#[derive(Debug, Clone)]
pub struct Hosts(pub Vec<url::Origin>);

impl Hosts {
    /// Does a file lie at this address?
    #[must_use]
    pub fn have(&self, address: &str) -> bool {
        let Ok(url) = Url::parse(address) else { return false };
        let host = url.host_str().unwrap_or_default();
        let below = |known: &str| host.strip_suffix(known).is_some_and(|rest| rest.ends_with('.'));
        HOSTS.iter().any(|known| below(known)) || self.0.contains(&url.origin())
    }
}

/// How a file is asked for: what stands in its [`MediaRef`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where it was when the message came.
    url: String,
    /// The message that it is a part of, and its place there: a new address can be had for it.
    part: Option<(String, usize)>,
}

impl Kept {
    /// At this address; `part`: of which message.
    #[must_use]
    pub fn of(url: &str, part: Option<(&str, usize)>) -> Self {
        let part = part.map(|(mid, place)| (mid.to_owned(), place));
        Self { url: url.to_owned(), part }
    }
}

/// An attachment out of an address. `kind`: the service's word for what it is.
#[must_use]
pub fn media(kind: &str, kept: &Kept) -> Media {
    let named = Url::parse(&kept.url).ok().and_then(|url| {
        let last = url.path_segments()?.next_back()?.to_owned();
        let decoded = form_urlencoded::parse(last.as_bytes()).next()?.0.into_owned();
        let plain = |c: &char| !c.is_control() && !matches!(c, '/' | '\\');
        let name: String = decoded.chars().filter(plain).take(NAME_CHARS_MAX).collect();
        let name = name.trim().trim_matches('.').to_owned();
        let mime = mime_of(&name)?;
        Some((name, mime))
    });
    let (name, mime) = named.unwrap_or_else(|| {
        let (ending, mime) = usual(kind);
        let kind: String = kind.chars().filter(char::is_ascii_alphabetic).take(20).collect();
        let kind = if kind.is_empty() { "file".to_owned() } else { kind };
        (format!("{kind}{ending}"), mime)
    });
    Media {
        name,
        mime: mime.to_owned(),
        inline: false,
        content_id: None,
        source: MediaSource::Remote(MediaRef(serde_json::json!(kept).to_string())),
    }
}

/// A type by the ending of a name; `None`: no ending that says anything.
fn mime_of(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    let known = match ending.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "mp4" => "video/mp4",
        "mov" => "video/quicktime",
        "mp3" => "audio/mpeg",
        "m4a" | "aac" => "audio/mp4",
        "ogg" | "opus" => "audio/ogg",
        "wav" => "audio/wav",
        "pdf" => "application/pdf",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "zip" => "application/zip",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xls" => "application/vnd.ms-excel",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        _ => return None,
    };
    Some(known)
}

/// What files of a kind are, where their names say nothing.
fn usual(kind: &str) -> (&'static str, &'static str) {
    match kind {
        "image" | "share" | "ig_post" | "photo" => (".jpg", "image/jpeg"),
        "sticker" => (".png", "image/png"),
        "video" | "reel" | "ig_reel" => (".mp4", "video/mp4"),
        "audio" => (".m4a", "audio/mp4"),
        _ => ("", "application/octet-stream"),
    }
}

/// Fetches a file, from a new address if the old one is no longer good.
pub async fn fetch(graph: &Graph, media: &MediaRef) -> Result<Bytes, DownloadError> {
    let kept: Kept = serde_json::from_str(media.as_str())
        .map_err(|_| never("it is not known where the file is"))?;
    let answer = get(graph, &kept.url).await?;
    if !is_over(&answer) {
        return downloaded(answer);
    }
    let Some((mid, place)) = &kept.part else {
        return Err(never("the file is no longer at the service"));
    };
    let url = new_address(graph, mid, *place).await?;
    let answer = get(graph, &url).await?;
    if is_over(&answer) {
        let cause = "the file's address was no longer good".into();
        return Err(DownloadError::Retry { cause, after: None });
    }
    downloaded(answer)
}

/// From the open internet; nobody is told who we are.
async fn get(graph: &Graph, url: &str) -> Result<Result<Answer, HttpError>, DownloadError> {
    let url = Url::parse(url).map_err(|_| never("the file's address is none"))?;
    let call = Call::get(url)
        .answer_bytes_max(FILE_BYTES_MAX)
        .time_max(TIME_MAX)
        .redirects_max(REDIRECTS_MAX);
    Ok(graph.http.send(call).await)
}

fn is_over(answer: &Result<Answer, HttpError>) -> bool {
    answer.as_ref().is_ok_and(|answer| matches!(answer.status.as_u16(), 401 | 403 | 404 | 410))
}

/// Where a part of a message lies now.
async fn new_address(graph: &Graph, mid: &str, place: usize) -> Result<String, DownloadError> {
    let fields = "attachments{image_data,video_data,file_url}";
    let answer = graph.fields(&[mid], fields).await.map_err(for_download)?;
    let told: Value =
        answer.json().map_err(|error| DownloadError::Retry { cause: error.into(), after: None })?;
    let at = |field: &str| look::text(&told, &format!("/attachments/data/{place}/{field}"));
    let url = ["image_data/url", "video_data/url", "file_url"].iter().find_map(|field| at(field));
    url.map(str::to_owned).ok_or_else(|| never("the file is no longer at the service"))
}

fn never(why: &'static str) -> DownloadError {
    DownloadError::Never(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_name_that_its_address_ends_with_or_a_plain_one() {
        let of = |kind: &str, url: &str| {
            let media = media(kind, &Kept::of(url, None));
            (media.name, media.mime)
        };
        let pair = |name: &str, mime: &str| (name.to_owned(), mime.to_owned());
        let long = "https://cdn.fbsbx.com/v/t59/My%20bill.PDF?_nc=1&oh=2";
        assert_eq!(of("file", long), pair("My bill.PDF", "application/pdf"));
        assert_eq!(of("image", "https://x.fbcdn.net/v/1_n.png?x"), pair("1_n.png", "image/png"));
        for odd in ["https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1", "no address", ""] {
            assert_eq!(of("image", odd), pair("image.jpg", "image/jpeg"), "{odd}");
        }
        let climbing = of("file", "https://x.test/..%2F..%2Fetc%2Fpasswd.txt");
        assert_eq!(climbing.0, "etcpasswd.txt");
        assert_eq!(of("", "https://x.test/a").0, "file");
    }

    #[test]
    fn what_lies_at_the_service_is_a_file_and_the_rest_are_pages() {
        let hosts = Hosts(vec![Url::parse("http://127.0.0.1:9").unwrap().origin()]);
        for file in [
            "https://scontent.xx.fbcdn.net/v/1.jpg",
            "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1",
            "http://127.0.0.1:9/a",
        ] {
            assert!(hosts.have(file), "{file}");
        }
        for page in ["https://www.instagram.com/p/1/", "https://evilfbcdn.net/", "fbcdn.net", ""] {
            assert!(!hosts.have(page), "{page}");
        }
    }
}
