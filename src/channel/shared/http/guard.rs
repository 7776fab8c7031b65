//! Which addresses of the internet protocol are the open internet, and which are somebody's inside.
//!
//! What an address *is* counts, never how it was spelled: names are judged after they were resolved, and the
//! connection goes to the very address that was judged.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are not the open internet (RFC 6890 and its successors), and why.
const INSIDE_V4: &[([u8; 4], u8, &str)] = &[
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "a private network"),
    ([100, 64, 0, 0], 10, "a provider's inner network"),
    ([127, 0, 0, 0], 8, "this machine"),
    ([168, 63, 129, 16], 32, "a cloud's inner service"),
    ([169, 254, 0, 0], 16, "link-local, where clouds keep their metadata"),
    ([172, 16, 0, 0], 12, "a private network"),
    ([192, 0, 0, 0], 24, "a network of protocols"),
    ([192, 0, 2, 0], 24, "a network of examples"),
    ([192, 88, 99, 0], 24, "a relay to IPv6"),
    ([192, 168, 0, 0], 16, "a private network"),
    ([198, 18, 0, 0], 15, "a network of measurements"),
    ([198, 51, 100, 0], 24, "a network of examples"),
    ([203, 0, 113, 0], 24, "a network of examples"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved, or broadcast"),
];

/// Networks of IPv6 that are not the open internet, and why. Whatever is not in `2000::/3` is refused anyway;
/// those named here for the reason come first.
const INSIDE_V6: &[([u16; 8], u8, &str)] = &[
    ([0, 0, 0, 0, 0, 0, 0, 0], 128, "unspecified"),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, "this machine"),
    ([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "an IPv4 address in disguise"),
    ([0, 0, 0, 0, 0, 0, 0, 0], 96, "an IPv4 address in disguise"),
    ([0, 0, 0, 0, 0xffff, 0, 0, 0], 96, "an IPv4 address in disguise"),
    ([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96, "a translation to IPv4"),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "a translation to IPv4"),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discarded"),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, "a network of protocols"),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "a network of examples"),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "a translation to IPv4"),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "a network of examples"),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "a private network"),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local"),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, "a private network"),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast"),
];

/// Why an address is not the open internet; `None`: it is.
#[must_use]
pub fn inside(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => inside_v4(address),
        IpAddr::V6(address) => inside_v6(address),
    }
}

fn inside_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = u32::from(address);
    let within = |network: [u8; 4], length: u8| {
        let rest = 32 - u32::from(length);
        bits >> rest == u32::from(Ipv4Addr::from(network)) >> rest
    };
    INSIDE_V4.iter().find(|(network, length, _)| within(*network, *length)).map(|found| found.2)
}

fn inside_v6(address: Ipv6Addr) -> Option<&'static str> {
    let bits = u128::from(address);
    let within = |network: [u16; 8], length: u8| {
        let rest = 128 - u32::from(length);
        bits >> rest == u128::from(Ipv6Addr::from(network)) >> rest
    };
    let named = INSIDE_V6.iter().find(|(network, length, _)| within(*network, *length));
    match named {
        Some((_, _, why)) => Some(why),
        None if bits >> 125 == 0b001 => None,
        None => Some("not given out to anybody"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: &str = "1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 \
        126.255.255.255 128.0.0.1 168.63.129.15 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 \
        192.0.1.0 192.0.3.0 192.88.98.1 192.167.0.1 192.169.0.0 198.17.255.255 198.20.0.0 \
        203.0.112.255 223.255.255.255 2001:200::1 2001:4860:4860::8888 2606:4700:4700::1111 \
        2a00:1450::1 2003::1 3ffe::1";
    const CLOSED: &str = "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 \
        100.127.255.255 127.0.0.1 127.255.255.255 168.63.129.16 169.254.0.1 169.254.169.254 \
        169.254.170.2 172.16.0.0 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 \
        198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.255 224.0.0.1 239.255.255.250 240.0.0.1 \
        255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 ::ffff:0:10.0.0.1 \
        64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001::1 2001:0:53aa:64c::1 \
        2001:1ff::1 2001:db8::1 2002:7f00:1::1 3fff::1 fc00::1 fd00:ec2::254 fe80::1 febf::1 \
        fec0::1 ff02::1 4000::1 5f00::1 e000::1 ::2";

    #[test]
    fn only_the_open_internet_is_outside() {
        for open in OPEN.split_whitespace() {
            assert_eq!(inside(open.parse().unwrap()), None, "{open}");
        }
        for closed in CLOSED.split_whitespace() {
            assert!(inside(closed.parse().unwrap()).is_some(), "{closed}");
        }
    }
}
