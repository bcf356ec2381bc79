//! What an address is, whoever asks: a public unicast address, or what else (pure).
//!
//! An IPv6 address may stand for an IPv4 address: ask [`special`] of the one that is [`reached`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// IPv4 that is no public unicast address: IANA's special-purpose registry (RFC 6890), multicast
/// and what is reserved, and the metadata service that a cloud has at a public address.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "of this host itself"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "of a carrier's shared network"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "a cloud's metadata service"), // Azure's wire server
    (v4(169, 254, 0, 0, 16), "link-local"),                   // 169.254.169.254: metadata
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 88, 99, 0, 24), "reserved"), // the 6to4 relays of old
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// IPv6 that is no public unicast address. [`PUBLIC_V6`] is looked at last: what neither names is
/// not assigned.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (v6(0xfe80, 0, 10), "link-local"),
    (v6(0xfec0, 0, 10), "site-local"),
    (v6(0xfc00, 0, 7), "unique-local"),
    (v6(0xff00, 0, 8), "multicast"),
    (v6(0x2001, 0, 23), "reserved"), // Teredo, ORCHID, benchmarks
    (v6(0x2001, 0xdb8, 32), "for documentation"),
    (v6(0x2002, 0, 16), "reserved"), // 6to4: holds an IPv4 address of anybody's choice
    (v6(0x3fff, 0, 20), "for documentation"),
];

const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 3);

/// NAT64 (RFC 6052): the last 32 bits are the IPv4 address that is reached.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);

/// The address that a connection to `address` ends at, where it says another one.
pub(super) fn reached(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if NAT64.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        canonical => canonical,
    }
}

/// What `address` is, unless it is a public unicast address.
pub(super) fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(ip) => {
            SPECIAL_V4.iter().find(|(net, _)| net.contains(&ip)).map(|(_, what)| *what)
        }
        IpAddr::V6(ip) => SPECIAL_V6
            .iter()
            .find(|(net, _)| net.contains(&ip))
            .map(|(_, what)| *what)
            .or_else(|| (!PUBLIC_V6.contains(&ip)).then_some("not assigned to anybody")),
    }
}
