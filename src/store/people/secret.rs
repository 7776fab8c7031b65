//! What lets somebody in, and how it is kept: random secrets hashed with SHA-256, passwords with argon2id.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::super::StoreError;
use crate::model::Secret;

/// What every API token begins with, so that leak scanners know one when they see it.
pub const TOKEN_PREFIX: &str = "trb_";
const SECRET_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;
/// Passwords, in characters.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 12..=128;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// 256 random bits in letters and digits.
pub(in crate::store) fn random_secret() -> Secret {
    let mut chars = String::with_capacity(SECRET_CHARS);
    for _ in 0..SECRET_CHARS {
        let pick = rand::random_range(0..ALPHABET.len());
        chars.push(ALPHABET.get(pick).copied().map_or('0', char::from));
    }
    Secret::new(chars)
}

/// 80 random bits in four groups of lower-case letters and digits, without those that look alike.
pub(super) fn recovery_secret() -> Secret {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut chars = String::with_capacity(19);
    for place in 0..16 {
        if place > 0 && place % 4 == 0 {
            chars.push('-');
        }
        let pick = rand::random_range(0..LETTERS.len());
        chars.push(LETTERS.get(pick).copied().map_or('0', char::from));
    }
    Secret::new(chars)
}

/// `trb_`, the secret, and a few characters by which a scanner can tell it from something alike.
pub(super) fn token_secret() -> Secret {
    let secret = random_secret();
    let check = check(secret.reveal());
    Secret::new(format!("{TOKEN_PREFIX}{}{check}", secret.reveal()))
}

fn check(secret: &str) -> String {
    let digest = Sha256::digest(format!("{TOKEN_PREFIX}{secret}"));
    let chars = digest.iter().take(CHECK_CHARS);
    chars
        .map(|byte| {
            ALPHABET.get(usize::from(*byte) % ALPHABET.len()).copied().map_or('0', char::from)
        })
        .collect()
}

/// Costs no question to the database.
pub(super) fn looks_like_token(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(TOKEN_PREFIX) else { return false };
    let parts = rest.split_at_checked(SECRET_CHARS);
    parts.is_some_and(|(secret, given)| check(secret) == given)
}

pub(in crate::store) fn hash(secret: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(secret.as_bytes()))
}

pub(super) fn same(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

/// 46 MiB, one pass: about 50 ms.
fn argon2() -> Result<Argon2<'static>, StoreError> {
    let params = Params::new(47_104, 1, 1, None);
    let params = params.map_err(|error| StoreError::Database(error.to_string().into()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

pub(super) async fn hash_password(password: Secret) -> Result<String, StoreError> {
    if !PASSWORD_CHARS.contains(&password.reveal().chars().count()) {
        let (least, most) = (PASSWORD_CHARS.start(), PASSWORD_CHARS.end());
        return Err(StoreError::Refused(format!("a password has {least} to {most} characters")));
    }
    blocking(move || {
        let hash = argon2()?.hash_password(password.reveal().as_bytes());
        Ok(hash.map_err(|error| StoreError::Database(error.to_string().into()))?.to_string())
    })
    .await
}

/// Somebody without a password is checked against one that nobody has, so that the answer takes as long.
pub(super) async fn verify_password(
    password: Secret,
    known: Option<String>,
) -> Result<bool, StoreError> {
    const NOBODYS: &str = "$argon2id$v=19$m=47104,t=1,p=1$dHJpYnV0YXJ5bm9ib2R5cw$\
        WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo";
    blocking(move || {
        let stored = known.as_deref().unwrap_or(NOBODYS);
        let hash = PasswordHash::new(stored)
            .map_err(|error| StoreError::Database(error.to_string().into()))?;
        let right = argon2()?.verify_password(password.reveal().as_bytes(), &hash).is_ok();
        Ok(right && known.is_some())
    })
    .await
}

/// At most four at once: each takes 46 MiB.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    static HASHES: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(4);
    let permit = HASHES.acquire().await.map_err(|error| StoreError::Database(error.into()))?;
    let done = tokio::task::spawn_blocking(work).await;
    drop(permit);
    done.map_err(|error| StoreError::Database(error.into()))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_recognised_by_its_looks_alone() {
        let token = token_secret();
        assert!(looks_like_token(token.reveal()));
        assert_eq!(token.reveal().len(), 53);
        let mut wrong = token.reveal().to_owned();
        let last = if wrong.pop() == Some('x') { 'y' } else { 'x' };
        wrong.push(last);
        for bad in [wrong.as_str(), "", "trb_", "Bearer x", "trb_ä"] {
            assert!(!looks_like_token(bad), "{bad}");
        }
    }

    #[tokio::test]
    async fn nobody_signs_in_without_the_password() {
        let password = || Secret::new("correct horse battery");
        let hash = hash_password(password()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=47104,t=1,p=1$"));
        assert!(verify_password(password(), Some(hash.clone())).await.unwrap());
        assert!(!verify_password(Secret::new("correct horse"), Some(hash)).await.unwrap());
        assert!(!verify_password(password(), None).await.unwrap());
        assert!(hash_password(Secret::new("short")).await.is_err());
    }
}
