//! Addresses at which one file of a delivery can be fetched for a while, for services that take no bytes and fetch
//! what we name.
//!
//! Who knows such an address gets the file: so all of it is signed, nobody finds one by trying, and it ends.

use chrono::{DateTime, TimeDelta};
use url::Url;
use uuid::Uuid;

use super::http::below;
use super::sign::Signer;
use crate::channel::Site;
use crate::model::{DeliveryId, Timestamp};

/// For what the signature is good.
const PURPOSE: &str = "file";
/// Services keep a message for ten hours until its turn comes, and may fetch its files only then.
const LIFE: TimeDelta = TimeDelta::hours(12);

/// Names files for others to fetch.
pub struct PublicFiles {
    public_url: String,
    signer: Signer,
}

/// A file of a delivery that somebody may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// What it goes out with.
    pub delivery: DeliveryId,
    /// Its place among the delivery's files.
    pub at: usize,
}

impl PublicFiles {
    /// For this installation, which the world reaches at its public address.
    #[must_use]
    pub fn new(site: &Site) -> Self {
        Self { public_url: site.public_url.clone(), signer: site.signer.clone() }
    }

    /// The address of a file. Its name stands at the end, since some services show that to people.
    #[must_use]
    pub fn address(&self, shown: Shown, name: &str, now: Timestamp) -> Option<Url> {
        let ends = (now + LIFE).timestamp();
        let payload = format!("{}.{}.{ends}", shown.delivery.uuid().simple(), shown.at);
        let token = format!("{payload}.{}", self.signer.mark(PURPOSE, &payload));
        let base = Url::parse(&self.public_url).ok()?;
        Some(below(&base, &["files", &token, name]))
    }
}

/// What a token shows, if it is one of ours and its time is not over.
#[must_use]
pub fn read(signer: &Signer, token: &str, now: Timestamp) -> Option<Shown> {
    let (payload, mark) = token.rsplit_once('.')?;
    if !signer.is_mark(PURPOSE, payload, mark) {
        return None;
    }
    let mut parts = payload.split('.');
    let delivery = Uuid::parse_str(parts.next()?).ok()?.into();
    let at = parts.next()?.parse().ok()?;
    let ends = DateTime::from_timestamp(parts.next()?.parse().ok()?, 0)?;
    (parts.next().is_none() && now < ends).then_some(Shown { delivery, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(public_url: &str, key: u8) -> PublicFiles {
        PublicFiles { public_url: public_url.to_owned(), signer: Signer::new(vec![[key; 32]]) }
    }

    fn now() -> Timestamp {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn an_address_shows_its_file_until_it_ends() {
        let shown = Shown { delivery: DeliveryId::new(), at: 3 };
        let files = files("https://desk.example/behind/", 7);
        let url = files.address(shown, "合同 1/2.pdf", now()).unwrap();
        let path = url.path().strip_prefix("/behind/files/").unwrap();
        let (token, name) = path.split_once('/').unwrap();
        assert_eq!(name, "%E5%90%88%E5%90%8C%201%2F2.pdf");
        assert_eq!(read(&files.signer, token, now()), Some(shown));
        let last = now() + LIFE - TimeDelta::seconds(1);
        assert_eq!(read(&files.signer, token, last), Some(shown));
        assert_eq!(read(&files.signer, token, now() + LIFE), None, "it has ended");
        // A key that was replaced still opens what it signed.
        let newer = Signer::new(vec![[8; 32], [7; 32]]);
        assert_eq!(read(&newer, token, now()), Some(shown));
    }

    #[test]
    fn nobody_makes_an_address_of_another_file_or_for_longer() {
        let shown = Shown { delivery: DeliveryId::new(), at: 0 };
        let files = files("https://desk.example", 7);
        let url = files.address(shown, "a.png", now()).unwrap();
        let token = url.path_segments().unwrap().nth(1).unwrap().to_owned();
        let parts: Vec<&str> = token.split('.').collect();
        let other = DeliveryId::new().uuid().simple().to_string();
        for forged in [
            token.replace(parts[0], &other),
            format!("{}.1.{}.{}", parts[0], parts[2], parts[3]),
            format!("{}.0.9999999999.{}", parts[0], parts[3]),
            format!("{}.0.{}.", parts[0], parts[2]),
            token.get(..token.len() - 1).unwrap().to_owned(),
            format!("{}.{}", token, parts[3]),
            files.signer.mark("other", "x"),
            String::new(),
            "....".to_owned(),
        ] {
            assert_eq!(read(&files.signer, &forged, now()), None, "{forged}");
        }
        assert_eq!(read(&Signer::new(vec![[9; 32]]), &token, now()), None);
    }
}
