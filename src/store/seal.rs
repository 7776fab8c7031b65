//! Envelope encryption of what must not lie about in clear: raws, attachments, refresh tokens.
//!
//! Each sealed thing has a key of its own (XChaCha20-Poly1305), itself wrapped by the master key, which is
//! not in the database. Destroying the row with the wrapped key destroys the thing, in old copies of the
//! table's bytes too. Changing the master key wraps the small keys anew and touches nothing else.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::HEXLOWER;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::StoreError;
use super::entity::seal;

const NONCE_BYTES: usize = 24;

/// The master keys: the first one seals, all of them open.
#[derive(Clone)]
pub struct MasterKeys(Vec<Master>);

#[derive(Clone)]
struct Master {
    /// Names the key without telling it: the first bytes of its hash.
    name: String,
    key: Zeroizing<[u8; 32]>,
}

/// The master key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BadMasterKey {
    /// The text holds no key.
    #[error("line {0} of the master key is not 32 bytes in base64")]
    Line(usize),
    /// There is no line.
    #[error("the master key is empty")]
    Empty,
    /// Others can read it.
    #[error("{0} can be read by others: its mode must be 0600")]
    Mode(String),
    /// The file.
    #[error("{0}: {1}")]
    File(String, #[source] std::io::Error),
}

impl MasterKeys {
    /// One key in base64 on each line, the current one first.
    pub fn parse(text: &str) -> Result<Self, BadMasterKey> {
        let mut keys = Vec::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let bytes = Zeroizing::new(
                BASE64.decode(line.trim()).map_err(|_| BadMasterKey::Line(number + 1))?,
            );
            let key: [u8; 32] =
                bytes.as_slice().try_into().map_err(|_| BadMasterKey::Line(number + 1))?;
            keys.push(Master::new(key));
        }
        if keys.is_empty() { Err(BadMasterKey::Empty) } else { Ok(Self(keys)) }
    }

    /// Reads the key file, or makes one (mode 0600) at the first start.
    pub fn load_or_make(path: &Path) -> Result<Self, BadMasterKey> {
        let failed = |error| BadMasterKey::File(path.display().to_string(), error);
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                Err(BadMasterKey::Mode(path.display().to_string()))
            }
            Ok(_) => Self::parse(&Zeroizing::new(std::fs::read_to_string(path).map_err(failed)?)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Self::make(path),
            Err(error) => Err(failed(error)),
        }
    }

    fn make(path: &Path) -> Result<Self, BadMasterKey> {
        let failed = |error| BadMasterKey::File(path.display().to_string(), error);
        let mut key = Zeroizing::new([0_u8; 32]);
        rand::fill(key.as_mut());
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = match made {
            Ok(file) => file,
            // Another process made it in this moment.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Self::load_or_make(path);
            }
            Err(error) => return Err(failed(error)),
        };
        let line = Zeroizing::new(format!("{}\n", BASE64.encode(key.as_ref())));
        file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(Self(vec![Master::new(*key)]))
    }

    /// A key for another purpose from each master key, current first: who knows it cannot find the master.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Vec<[u8; 32]> {
        self.0.iter().map(|master| master.derive(purpose)).collect()
    }

    /// A text as it can be compared with another one, under each master key, current first: who has no master key can
    /// neither make one nor guess a short text from it.
    pub(super) fn fingerprints(&self, purpose: &str, text: &str) -> Vec<String> {
        let print = |key: [u8; 32]| {
            let master = Master { name: String::new(), key: Zeroizing::new(key) };
            HEXLOWER.encode(&master.derive(text))
        };
        self.derive(purpose).into_iter().map(print).collect()
    }

    /// Names of the keys that only open, not seal.
    pub(super) fn older(&self) -> Vec<String> {
        self.0.iter().skip(1).map(|master| master.name.clone()).collect()
    }

    /// The same small key, wrapped by the current master.
    pub(super) fn wrap_anew(&self, row: &seal::Model) -> Result<seal::Model, StoreError> {
        let master = self.0.first().ok_or_else(no_key)?;
        let SealKey { id, key } = self.open(row)?;
        let wrapped = encrypt(&master.key, id.as_bytes(), key.as_ref())?;
        Ok(seal::Model { id, master: master.name.clone(), wrapped })
    }

    /// A fresh key for one thing, with the row that keeps it.
    pub(super) fn fresh(&self) -> Result<(SealKey, seal::Model), StoreError> {
        let master = self.0.first().ok_or_else(no_key)?;
        let id = Uuid::now_v7();
        let mut key = Zeroizing::new([0_u8; 32]);
        rand::fill(key.as_mut());
        let wrapped = encrypt(&master.key, id.as_bytes(), key.as_ref())?;
        Ok((SealKey { id, key }, seal::Model { id, master: master.name.clone(), wrapped }))
    }

    /// The key of a thing, from its row.
    pub(super) fn open(&self, row: &seal::Model) -> Result<SealKey, StoreError> {
        let master = self.0.iter().find(|master| master.name == row.master).ok_or_else(no_key)?;
        let key = Zeroizing::new(decrypt(&master.key, row.id.as_bytes(), &row.wrapped)?);
        let key: [u8; 32] = key.as_slice().try_into().map_err(|_| unsealable())?;
        Ok(SealKey { id: row.id, key: Zeroizing::new(key) })
    }
}

impl Master {
    fn new(key: [u8; 32]) -> Self {
        let hash = Sha256::digest(key);
        let name = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { name, key: Zeroizing::new(key) }
    }

    fn derive(&self, purpose: &str) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mut mac =
            <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(self.key.as_ref()).expect("any length");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// The key of one sealed thing; it may seal several byte strings that live and die together.
pub(super) struct SealKey {
    pub(super) id: Uuid,
    key: Zeroizing<[u8; 32]>,
}

impl SealKey {
    pub(super) fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        encrypt(&self.key, self.id.as_bytes(), plain)
    }

    pub(super) fn unseal(&self, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        decrypt(&self.key, self.id.as_bytes(), sealed)
    }
}

/// `nonce ‖ ciphertext`. The nonce is random: 192 bits do not meet twice.
fn encrypt(key: &[u8; 32], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut nonce = [0_u8; NONCE_BYTES];
    rand::fill(&mut nonce);
    let payload = Payload { msg: plain, aad: context };
    let sealed = XChaCha20Poly1305::new(key.into())
        .encrypt(XNonce::from_slice(&nonce), payload)
        .map_err(|_| unsealable())?;
    Ok([nonce.as_slice(), &sealed].concat())
}

fn decrypt(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or_else(unsealable)?;
    let payload = Payload { msg: sealed, aad: context };
    XChaCha20Poly1305::new(key.into())
        .decrypt(XNonce::from_slice(nonce), payload)
        .map_err(|_| unsealable())
}

fn no_key() -> StoreError {
    StoreError::Database("the master key that sealed this is not there".into())
}

fn unsealable() -> StoreError {
    StoreError::Database("sealed bytes do not open: wrong key, or damaged".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_row_and_master_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let keys = MasterKeys::load_or_make(&path).unwrap();
        let same = MasterKeys::load_or_make(&path).unwrap();
        let (key, row) = keys.fresh().unwrap();
        let sealed = key.seal(b"seed phrase").unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"seed"));
        assert_eq!(same.open(&row).unwrap().unseal(&sealed).unwrap(), b"seed phrase");

        let (other, _) = keys.fresh().unwrap();
        assert!(other.unseal(&sealed).is_err());
        let stranger = MasterKeys::load_or_make(&folder.path().join("other.key")).unwrap();
        assert!(stranger.open(&row).is_err());
    }

    #[test]
    fn an_older_master_still_opens_and_the_newer_one_seals() {
        let old = BASE64.encode([1_u8; 32]);
        let new = BASE64.encode([2_u8; 32]);
        let (_, row) = MasterKeys::parse(&old).unwrap().fresh().unwrap();
        let both = MasterKeys::parse(&format!("{new}\n{old}\n")).unwrap();
        assert!(both.open(&row).is_ok());
        let (_, fresh) = both.fresh().unwrap();
        assert_ne!(fresh.master, row.master);
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        MasterKeys::load_or_make(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(MasterKeys::load_or_make(&path), Err(BadMasterKey::Mode(_))));
    }
}
