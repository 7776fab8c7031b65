//! Certificates for the test servers, made anew by each test.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// A certificate authority that exists for one test.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// Files of one server's certificate (with its chain) and key.
#[derive(Clone, Debug)]
pub struct CertificateFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing: valid for `localhost` and 127.0.0.1.
    None,
    /// Valid, but for another host.
    OtherName,
    /// Ran out years ago.
    Expired,
    /// Signed by itself.
    SelfSigned,
}

impl Authority {
    /// A new authority with a new key.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "tributary test authority");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// The authority's own certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes the authority's certificate into `folder`, for `ca_file` or `SSL_CERT_FILE`.
    pub fn write_pem(&self, folder: &Path) -> PathBuf {
        let file = folder.join("authority.pem");
        fs::write(&file, &self.pem).unwrap();
        file
    }

    /// Writes a server's certificate and key into `folder`.
    pub fn write_certificate(&self, folder: &Path, flaw: Flaw) -> CertificateFiles {
        let (certificate, key) = self.certificate(flaw);
        let files = CertificateFiles {
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        fs::write(&files.certificate, certificate).unwrap();
        fs::write(&files.key, key).unwrap();
        files
    }

    /// A server's certificate and key as PEM.
    pub fn certificate(&self, flaw: Flaw) -> (String, String) {
        let names = match flaw {
            Flaw::OtherName => vec!["elsewhere.example.net".to_owned()],
            Flaw::None | Flaw::Expired | Flaw::SelfSigned => {
                vec!["localhost".to_owned(), "127.0.0.1".to_owned()]
            }
        };
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, "tributary test server");
        if flaw == Flaw::Expired {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = match flaw {
            Flaw::SelfSigned => params.self_signed(&key).unwrap(),
            Flaw::None | Flaw::OtherName | Flaw::Expired => {
                params.signed_by(&key, &self.issuer).unwrap()
            }
        };
        (certificate.pem(), key.serialize_pem())
    }
}
