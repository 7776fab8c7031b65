//! The signed claim by which a Google service account asks for a token (RFC 7523).

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;

use crate::model::{Cause, Secret};

/// The parts of Google's key file that matter here.
#[derive(Deserialize)]
struct Key {
    client_email: String,
    private_key: Secret,
    private_key_id: Option<String>,
}

/// A claim that is good for an hour, signed with RS256.
pub(super) fn assertion(
    key: &Secret,
    subject: &str,
    scope: &str,
    audience: &str,
) -> Result<String, Cause> {
    let key: Key = serde_json::from_str(key.reveal())
        .map_err(|_| "the service account's key is not the JSON file that Google gave")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let header = serde_json::json!({ "alg": "RS256", "typ": "JWT", "kid": key.private_key_id });
    let claims = serde_json::json!({
        "iss": key.client_email,
        "sub": subject,
        "scope": scope,
        "aud": audience,
        "iat": now,
        "exp": now + 3600,
    });
    let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(&claims));
    let der = PrivateKeyDer::from_pem_slice(key.private_key.reveal().as_bytes())
        .map_err(|_| "the service account's private key is no PEM")?;
    let signer = rustls::crypto::ring::sign::any_supported_type(&der)
        .map_err(|_| "the service account's private key is of no use")?
        .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
        .ok_or("the service account's private key is no RSA key")?;
    let signature = signer.sign(text.as_bytes())?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_none_is_named_without_being_shown() {
        for key in ["", "{}", r#"{"client_email":"a@b","private_key":"geheim"}"#] {
            let error = assertion(&Secret::new(key), "s", "x", "y").unwrap_err().to_string();
            assert!(error.starts_with("the service account's"), "{error}");
            assert!(!error.contains("geheim"), "{error}");
        }
    }
}
