//! Encodings of seven bits that the encoding standard leaves out: HZ (RFC 1843), ISO-2022-KR (RFC 1557) and
//! ISO-2022-CN (RFC 1922). All of them are a known encoding of eight bits with the high bit taken off.

use encoding_rs::{EUC_KR, Encoding, GB18030};

const SHIFT_OUT: u8 = 0x0E;
const SHIFT_IN: u8 = 0x0F;
const ESCAPE: u8 = 0x1B;

/// Decodes by label, if it is one of ours.
pub(super) fn decode(label: &str, bytes: &[u8]) -> Option<String> {
    match label {
        "hz" | "hz-gb-2312" | "hz_gb_2312" => Some(hz(bytes)),
        "iso-2022-kr" | "csiso2022kr" => Some(shifted(bytes, EUC_KR)),
        "iso-2022-cn" | "iso-2022-cn-ext" => Some(shifted(bytes, GB18030)),
        _ => None,
    }
}

/// ISO-2022-KR says so at its begin.
pub(super) fn is_korean(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"\x1b$)C")
}

/// Shift-out begins characters of two bytes, shift-in and the end of the line end them.
pub(super) fn shifted(bytes: &[u8], encoding: &'static Encoding) -> String {
    let mut eight = Vec::with_capacity(bytes.len());
    let mut out = false;
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => break,
            // Which set shift-out means: there is only one that we take.
            [ESCAPE, b'$', _, _, tail @ ..] => tail,
            [SHIFT_OUT, tail @ ..] => {
                out = true;
                tail
            }
            [SHIFT_IN, tail @ ..] => {
                out = false;
                tail
            }
            [byte, tail @ ..] => {
                out &= *byte != b'\n';
                eight.push(lifted(*byte, out));
                tail
            }
        };
    }
    encoding.decode_without_bom_handling(&eight).0.into_owned()
}

/// `~{` begins Chinese and `~}` ends it; `~~` is `~`, and `~` at the end of a line joins it to the next.
fn hz(bytes: &[u8]) -> String {
    let mut eight = Vec::with_capacity(bytes.len());
    let mut chinese = false;
    let mut rest = bytes;
    loop {
        rest = match rest {
            [] => break,
            [b'~', b'{', tail @ ..] => {
                chinese = true;
                tail
            }
            [b'~', b'}', tail @ ..] => {
                chinese = false;
                tail
            }
            [b'~', b'~', tail @ ..] if !chinese => {
                eight.push(b'~');
                tail
            }
            [b'~', b'\n', tail @ ..] | [b'~', b'\r', b'\n', tail @ ..] => tail,
            [byte, tail @ ..] => {
                chinese &= *byte != b'\n';
                eight.push(lifted(*byte, chinese));
                tail
            }
        };
    }
    GB18030.decode_without_bom_handling(&eight).0.into_owned()
}

/// With its high bit, if it is half of a character.
const fn lifted(byte: u8, half: bool) -> u8 {
    if half && byte > b' ' && byte < 0x7F { byte | 0x80 } else { byte }
}

#[cfg(test)]
mod tests {
    use super::*;

    // COMPLAINTS E7
    #[test]
    fn seven_bits_are_lifted_to_eight() {
        let hz = b"Wallet: ~{G.0|~} ~~ now~\n on\n~{G.\nplain";
        assert_eq!(decode("hz-gb-2312", hz).unwrap(), "Wallet: 钱包 ~ now on\n钱\nplain");
        let korean = b"\x1b$)C\x0e1]\x0f and \x0e1]\nplain";
        assert!(is_korean(korean));
        assert_eq!(decode("iso-2022-kr", korean).unwrap(), "금 and 금\nplain");
        assert_eq!(decode("iso-2022-cn", b"\x1b$)A\x0eG.0|\x0f!").unwrap(), "钱包!");
        assert_eq!(decode("utf-8", b"x"), None);
    }
}
