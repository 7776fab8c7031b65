//! Lists of addresses (`From`, `To`, …) as they are really written.

use std::borrow::Cow;

use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;

use super::text::one_line;
use super::words;
use crate::model::{Address, Party};

/// Bytes of one field that are looked at.
const BYTES_MAX: usize = 64 * 1024;

/// Addresses of one field; the rest is left out.
pub(super) const PARTIES_MAX: usize = 500;

/// Longest address (RFC 5321: 64 + 1 + 255).
const ADDRESS_BYTES_MAX: usize = 320;

/// Longest name that is kept.
const NAME_BYTES_MAX: usize = 300;

/// All addresses of a field, in order, groups opened. Names without an address are left out, except
/// where there is nothing else: see [`lone_name`]. `charset` is for raw 8-bit names.
pub(super) fn parties(field: &[u8], charset: Option<&str>) -> Vec<Party> {
    let field = field.get(..BYTES_MAX).unwrap_or(field);
    let found = parsed(&words::rejoin(field, charset));
    if found.is_empty() {
        // Some programs encode the whole of `Name <a@b>` as one word.
        let decoded = words::decode_with(field, charset);
        if decoded.contains('@') {
            let found = parsed(&decoded);
            return if found.is_empty() { parsed(unquoted(&decoded)) } else { found };
        }
    }
    found
}

/// Others put quotes around all of it, so that a parser sees a name and nothing else.
fn unquoted(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// `"jane.doe"@example.com` is `jane.doe@example.com` (RFC 5321, section 4.1.2). With a blank in it, the quotes stay.
fn plain_locals(text: &str) -> Cow<'_, str> {
    let mut plain = Cow::Borrowed(text);
    let mut from = 0;
    while let Some(end) = plain.get(from..).and_then(|rest| rest.find("\"@")).map(|at| at + from) {
        let local = plain.get(..end).and_then(|text| text.rfind('"').map(|start| start..end));
        from = end + 2;
        let Some(local) = local.filter(|local| local.start + 1 < local.end) else { continue };
        let inside = plain.get(local.start + 1..local.end).unwrap_or_default();
        let harmless = |b: u8| b.is_ascii_alphanumeric() || b"._-+".contains(&b);
        if inside.bytes().all(harmless) {
            let anew = inside.to_owned();
            plain.to_mut().replace_range(local.start..=end, &anew);
            from = local.start + anew.len();
        }
    }
    plain
}

fn parsed(text: &str) -> Vec<Party> {
    let text = &*plain_locals(text);
    let mut line = text.trim().to_owned();
    line.push('\n');
    let value = MessageStream::new(line.as_bytes()).parse_address();
    let HeaderValue::Address(list) = value else { return Vec::new() };
    let quoted = text.contains("\"@");
    // `Doe, Jane <a@b.com>` without quotes: the first half of the name looks like an entry of its own.
    let (mut half, halves) = (String::new(), !text.contains("<>"));
    list.iter()
        .flat_map(|one| {
            let told = one.address.as_deref().unwrap_or_default();
            let name = one.name.as_deref().unwrap_or_default();
            if halves && told.is_empty() && half.len() <= NAME_BYTES_MAX {
                half = joined(&half, name);
                return Vec::new();
            }
            let before = std::mem::take(&mut half);
            if !before.is_empty() && !name.is_empty() {
                return party(told, Some(&joined(&before, name))).into_iter().collect();
            }
            if one.name.is_none() && !quoted && told.trim().contains(char::is_whitespace) {
                let loose = loose(told);
                if !loose.is_empty() {
                    return loose;
                }
            }
            party(told, one.name.as_deref()).into_iter().collect()
        })
        .take(PARTIES_MAX)
        .collect()
}

fn joined(first: &str, second: &str) -> String {
    if first.is_empty() { second.to_owned() } else { format!("{first}, {second}") }
}

fn party(told: &str, name: Option<&str>) -> Option<Party> {
    let address = address(told)?;
    let name = name.and_then(|name| named(name, &address));
    Some(Party { address, name })
}

/// `Jane Doe a@b.com`, `a@b.com c@d.com`: words without a bracket or a comma. Joined, they would be the address of
/// somebody else. Words that only lie around an `@` are one address.
fn loose(told: &str) -> Vec<Party> {
    let mut found = Vec::new();
    let mut name: Vec<&str> = Vec::new();
    for word in told.split_whitespace() {
        let whole = word.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && domain.contains('.') && !domain.ends_with('.')
        });
        match party(word, Some(&name.join(" "))).filter(|_| whole) {
            Some(party) => {
                found.push(party);
                name.clear();
            }
            None => name.push(word),
        }
    }
    found
}

/// A name worth showing: not empty, and not just the address again.
fn named(name: &str, address: &Address) -> Option<String> {
    let name = one_line(name);
    // `Jane <a@b.com>   >`
    let name = name.strip_suffix(" >").unwrap_or(&name);
    let name = name.trim_matches(['"', '\'', ' ']);
    let name = super::text::cut(name, NAME_BYTES_MAX);
    let same = name.trim_matches(['<', '>']).eq_ignore_ascii_case(&address.value);
    (!name.is_empty() && !same).then(|| name.to_owned())
}

/// The comparable form: lower case, domain in ASCII. `None` for what is no address.
pub(super) fn address(text: &str) -> Option<Address> {
    let plain: String = text
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control() && !super::text::is_invisible(*c))
        .collect();
    let plain = plain.trim_matches(['<', '>', '\'', ',', ';']);
    let plain = plain.strip_prefix("mailto:").unwrap_or(plain);
    // `Jane [a@b.com]`; the brackets of `a@[192.0.2.1]` are its own.
    let plain = plain.strip_prefix('[').map_or(plain, |inside| inside.trim_end_matches(']'));
    let (local, domain) = plain.rsplit_once('@')?;
    // A quote that is never closed belongs to nobody's address, and none to a domain.
    let local =
        if local.matches('"').count() % 2 == 1 { local.replace('"', "") } else { local.to_owned() };
    let domain = domain.replace(['"', '\''], "");
    let domain = domain.trim_matches('.');
    if local.is_empty() || domain.is_empty() || plain.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_owned());
    Some(Address::email(&format!("{local}@{domain}")))
}

/// The name in a `From` that holds no address: `From: Jane Doe`.
pub(super) fn lone_name(field: &[u8], charset: Option<&str>) -> Option<String> {
    let field = field.get(..BYTES_MAX).unwrap_or(field);
    let name = one_line(&words::decode_with(field, charset));
    let name = name.trim_matches(['"', '<', '>', ' ']);
    (!name.is_empty()).then(|| super::text::cut(name, NAME_BYTES_MAX).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(field: &[u8]) -> Vec<String> {
        let flat = |party: Party| match party.name {
            Some(name) => format!("{name} <{}>", party.address.value),
            None => party.address.value,
        };
        parties(field, None).into_iter().map(flat).collect()
    }

    // COMPLAINTS L26, E2; FAULTS 81, 85
    #[test]
    fn addresses_are_read_in_every_shape() {
        let table: &[(&[u8], &[&str])] = &[
            (b"a@b.com", &["a@b.com"]),
            (b"<A@B.com>", &["a@b.com"]),
            (b"Jane Doe <a@b.com>", &["Jane Doe <a@b.com>"]),
            (b"\"Doe, Jane\" <a@b.com>, c@d.com", &["Doe, Jane <a@b.com>", "c@d.com"]),
            (b"a@b.com (Jane)", &["Jane <a@b.com>"]),
            (b"=?utf-8?B?6ZKx?= <a@b.com>", &["钱 <a@b.com>"]),
            (b"\"=?utf-8?B?6ZI=?= =?utf-8?B?sQ==?=\" <a@b.com>", &["钱 <a@b.com>"]),
            (b"=?utf-8?Q?Doe=2C_Jane?= <a@b.com>", &["Doe, Jane <a@b.com>"]),
            (b"=?utf-8?Q?Jane?=<a@b.com>", &["Jane <a@b.com>"]),
            (b"=?utf-8?Q?Jane_<a@b.com>?=", &["Jane <a@b.com>"]),
            (b"Gr\xfc\xdfe <a@b.com>", &["Grüße <a@b.com>"]),
            (b"team: a@b.com, Jane <c@d.com>;, e@f.com", &["a@b.com", "Jane <c@d.com>", "e@f.com"]),
            (b"undisclosed-recipients:;", &[]),
            (b"", &[]),
            (b"<>", &[]),
            (b"Jane Doe", &[]),
            (b"'a@b.com' <a@b.com>", &["a@b.com"]),
            (b"a@b.com <a@b.com>", &["a@b.com"]),
            ("钱@例子.中国".as_bytes(), &["钱@xn--fsqu00a.xn--fiqs8s"]),
            (b"a@b.com;c@d.com", &["a@b.com", "c@d.com"]),
            (b"Jane Doe a@b.com", &["Jane Doe <a@b.com>"]),
            (b"a@b.com c@d.com", &["a@b.com", "c@d.com"]),
            (b"a @ b.com", &["a@b.com"]),
            (b"\"a@b.com\"", &["a@b.com"]),
            (b"\"Jane <a@b.com>\"", &["Jane <a@b.com>"]),
            (b"Jane [a@b.com]", &["Jane <a@b.com>"]),
            (b"a@[192.0.2.1]", &["a@[192.0.2.1]"]),
            (b"\"jane.doe\"@b.com", &["jane.doe@b.com"]),
            (
                b"Jane <\"jane.doe\"@b.com>, \"\"@x, \"c\"@d.com",
                &["Jane <jane.doe@b.com>", "c@d.com"],
            ),
            (b"Doe, Jane <a@b.com>", &["Doe, Jane <a@b.com>"]),
            (b"Doe, Jane, Sales <a@b.com>, c@d.com", &["Doe, Jane, Sales <a@b.com>", "c@d.com"]),
            (b"Jane, a@b.com", &["a@b.com"]),
            (b"Jane Doe <a@b.com>     >", &["Jane Doe <a@b.com>"]),
            (b"Jane <a\"@b.com>", &["Jane <a@b.com>"]),
            (b"o'neil@b'c.com", &["o'neil@bc.com"]),
            (b"Shop <>, Jane <a@b.com>", &["Jane <a@b.com>"]),
        ];
        for (field, expected) in table {
            assert_eq!(flat(field), *expected, "{}", String::from_utf8_lossy(field));
        }
        assert_eq!(lone_name(b" =?utf-8?B?6ZKx?= ", None), Some("钱".to_owned()));
        assert_eq!(lone_name(b" <> ", None), None);
    }

    #[test]
    fn nesting_and_length_cost_nothing() {
        let deep = format!("{}a@b.com", "(".repeat(60_000));
        parties(deep.as_bytes(), None);
        let many = "a@b.com,".repeat(20_000);
        assert_eq!(parties(many.as_bytes(), None).len(), PARTIES_MAX);
    }
}
