//! Signs what we send (DKIM, RFC 6376 and 8463), where no relay does it for us.
//!
//! A key that does not work is found while the channel is built: mail is never sent unsigned instead.

use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter;
use mail_auth::dkim::{DkimSigner, Done, Signature};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::settings::Dkim;
use crate::model::Cause;

/// What must not change on the way: everything that a reader sees or a mail program threads by.
const HEADERS: &[&str] = &[
    "From",
    "To",
    "Cc",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Auto-Submitted",
];

/// Holds the private key of one domain.
pub struct DkimKey {
    signer: Signer,
}

enum Signer {
    Rsa(DkimSigner<RsaKey<Sha256>, Done>),
    Ed25519(DkimSigner<Ed25519Key, Done>),
}

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum BadKey {
    /// No private key in PEM.
    #[error("holds no private key in PEM (`BEGIN PRIVATE KEY` or `BEGIN RSA PRIVATE KEY`)")]
    NoPem,
    /// A key that DKIM does not know.
    #[error("is neither an RSA key of 2048 to 4096 bits nor an Ed25519 key")]
    Unfit,
    /// The key was read, and then it did not sign.
    #[error("does not sign")]
    DoesNotSign(#[source] Cause),
}

impl DkimKey {
    /// Reads the key and tries it.
    pub fn new(settings: &Dkim) -> Result<Self, BadKey> {
        let key = PrivateKeyDer::from_pem_slice(settings.key.reveal().as_bytes())
            .map_err(|_| BadKey::NoPem)?;
        let signer = Self { signer: Signer::new(settings, key)? };
        let probe = b"From: a@example.com\r\nSubject: probe\r\n\r\nprobe\r\n";
        signer.sign(probe).map_err(BadKey::DoesNotSign)?;
        Ok(signer)
    }

    /// The mail with its signature in front.
    pub fn sign(&self, mail: &[u8]) -> Result<Vec<u8>, Cause> {
        let signature: Signature = match &self.signer {
            Signer::Rsa(signer) => signer.sign(mail)?,
            Signer::Ed25519(signer) => signer.sign(mail)?,
        };
        let mut signed = signature.to_header().into_bytes();
        signed.extend_from_slice(mail);
        Ok(signed)
    }
}

impl Signer {
    fn new(settings: &Dkim, key: PrivateKeyDer<'_>) -> Result<Self, BadKey> {
        // A key of version 1 holds no public half; OpenSSL writes Ed25519 keys so.
        if let PrivateKeyDer::Pkcs8(der) = &key
            && let Ok(key) = Ed25519Key::from_pkcs8_maybe_unchecked_der(der.secret_pkcs8_der())
        {
            return Ok(Self::Ed25519(configured(DkimSigner::from_key(key), settings)));
        }
        let key = RsaKey::<Sha256>::from_key_der(key).map_err(|_| BadKey::Unfit)?;
        Ok(Self::Rsa(configured(DkimSigner::from_key(key), settings)))
    }
}

fn configured<K: mail_auth::common::crypto::SigningKey>(
    signer: DkimSigner<K, mail_auth::dkim::NeedDomain>,
    settings: &Dkim,
) -> DkimSigner<K, Done> {
    signer.domain(&settings.domain).selector(&settings.selector).headers(HEADERS.iter().copied())
}
