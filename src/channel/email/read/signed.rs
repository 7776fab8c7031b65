//! Mail that is signed from within (S/MIME, RFC 8551 section 3.5.2): what was signed stands in a container of binary
//! form (CMS, RFC 5652 section 5), together with the signature. Nothing is verified here.

use bcder::decode::SliceSource;
use bcder::{ConstOid, Mode, OctetString, Oid, Tag};

use super::mime::Part;

/// `id-signedData`, 1.2.840.113549.1.7.2.
const SIGNED_DATA: ConstOid = Oid(&[42, 134, 72, 134, 247, 13, 1, 7, 2]);

/// Is this such a container, or one that is encrypted? Some programs leave out the type, all keep the name.
pub(super) fn is_container(part: &Part<'_>) -> bool {
    part.is("application/pkcs7-mime")
        || part.is("application/x-pkcs7-mime")
        || part.is("application/octet-stream")
            && part.file_name().is_some_and(|name| name.eq_ignore_ascii_case("smime.p7m"))
}

/// The part of a mail that was signed. `None`: it is encrypted, holds certificates alone, or is broken.
///
/// What stands behind it is not looked at: a signature that was cut on the way takes no words along.
pub(super) fn content(container: &[u8]) -> Option<Vec<u8>> {
    let mut content: Option<OctetString> = None;
    // Programs that write while they sign do not know its length beforehand: that is BER, not DER.
    let outcome = Mode::Ber.decode(SliceSource::new(container), |outer| {
        outer.take_sequence(|outer| {
            SIGNED_DATA.skip_if(outer)?;
            outer.take_constructed_if(Tag::CTX_0, |outer| {
                outer.take_sequence(|signed| {
                    let version_and_digests = [signed.skip_one()?, signed.skip_one()?];
                    if version_and_digests.contains(&None) {
                        return Err(signed.content_err("it ends too early"));
                    }
                    signed.take_sequence(|inner| {
                        Oid::skip_in(inner)?;
                        content =
                            inner.take_opt_constructed_if(Tag::CTX_0, OctetString::take_from)?;
                        Ok(())
                    })
                })
            })
        })
    });
    if let Err(error) = outcome
        && content.is_none()
    {
        tracing::debug!(%error, "a signed mail cannot be opened");
    }
    content.map(|content| content.iter().flatten().copied().collect())
}

#[cfg(test)]
mod tests {
    use super::super::body::Body;
    use super::super::mime::Budget;
    use super::*;

    /// The beginning of a container, up to the algorithms.
    const HEAD: &[u8] =
        &[0x30, 0x80, 6, 9, 42, 134, 72, 134, 247, 13, 1, 7, 2, 0xa0, 0x80, 0x30, 0x80, 2, 1, 1];

    fn with(rest: &[u8]) -> Vec<u8> {
        [HEAD, rest].concat()
    }

    #[test]
    fn the_content_is_read_whatever_follows() {
        let inner = [0x31, 0, 0x30, 0x80, 6, 1, 42, 0xa0, 0x80];
        let text = [0x24, 0x80, 4, 2, b'H', b'e', 4, 1, b'y', 0, 0];
        let ends = [0, 0, 0, 0];
        let whole = with(&[&inner[..], &text, &ends].concat());
        assert_eq!(content(&whole).as_deref(), Some(&b"Hey"[..]));
        let broken_behind = [&whole[..], &[0xa0, 0x82, 0xff]].concat();
        assert_eq!(content(&broken_behind).as_deref(), Some(&b"Hey"[..]));
        for end in 0..whole.len() - ends.len() - 2 {
            assert_eq!(content(&whole[..end]), None, "{end}");
        }
    }

    #[test]
    fn what_is_left_out_of_it_is_told() {
        let parts = "--b\r\n\r\nx\r\n".repeat(600);
        let inner = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
        let [high, low] = u16::try_from(inner.len()).unwrap().to_be_bytes();
        let head = [0x31, 0, 0x30, 0x80, 6, 1, 42, 0xa0, 0x80, 4, 0x82, high, low];
        let container = with(&[&head, inner.as_bytes(), &[0; 4]].concat());
        let mail = [b"Content-Type: application/pkcs7-mime\r\n\r\n", &container[..]].concat();
        let body = Body::of(&Part::parse(&mail, &mut Budget::default()));
        assert!(body.truncated && body.segments.len() > 100);
    }

    #[test]
    fn no_nesting_is_too_deep() {
        for deep in [[0x31, 0x80], [0x24, 0x80]] {
            let mut nested = if deep[0] == 0x24 {
                with(&[0x31, 0, 0x30, 0x80, 6, 1, 42, 0xa0, 0x80])
            } else {
                with(&[])
            };
            nested.extend(deep.repeat(300_000));
            assert_eq!(content(&nested), None);
        }
    }
}
