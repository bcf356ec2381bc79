//! Classifies IP addresses as public unicast or as a special kind of address. Pure.
//!
//! An IPv6 address may represent an IPv4 address: call [`special_kind`] with the result of
//! [`destination`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

/// The IPv4 networks that are not public unicast: IANA's special-purpose registry (RFC 6890),
/// multicast and reserved networks, and the metadata service that a cloud has at a public address.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4(0, 0, 0, 0, 8), "an address of this host"),
    (v4(10, 0, 0, 0, 8), "a private address"),
    (v4(100, 64, 0, 0, 10), "an address of a carrier's shared network"),
    (v4(127, 0, 0, 0, 8), "a loopback address"),
    (v4(168, 63, 129, 16, 32), "the address of a cloud's metadata service"), // Azure's wire server
    (v4(169, 254, 0, 0, 16), "a link-local address"), // 169.254.169.254: metadata
    (v4(172, 16, 0, 0, 12), "a private address"),
    (v4(192, 0, 0, 0, 24), "a reserved address"),
    (v4(192, 0, 2, 0, 24), "an address for documentation"),
    (v4(192, 88, 99, 0, 24), "a reserved address"), // the former 6to4 relays
    (v4(192, 168, 0, 0, 16), "a private address"),
    (v4(198, 18, 0, 0, 15), "an address for benchmarks"),
    (v4(198, 51, 100, 0, 24), "an address for documentation"),
    (v4(203, 0, 113, 0, 24), "an address for documentation"),
    (v4(224, 0, 0, 0, 4), "a multicast address"),
    (v4(240, 0, 0, 0, 4), "a reserved address"),
];

/// The IPv6 networks that are not public unicast. An address outside these networks and outside
/// [`PUBLIC_V6`] is not assigned.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "a loopback address"),
    (v6(0xfe80, 0, 10), "a link-local address"),
    (v6(0xfec0, 0, 10), "a site-local address"),
    (v6(0xfc00, 0, 7), "a unique-local address"),
    (v6(0xff00, 0, 8), "a multicast address"),
    (v6(0x2001, 0, 23), "a reserved address"), // Teredo, ORCHID, benchmarks
    (v6(0x2001, 0xdb8, 32), "an address for documentation"),
    (v6(0x2002, 0, 16), "a reserved address"), // 6to4: contains an arbitrary IPv4 address
    (v6(0x3fff, 0, 20), "an address for documentation"),
];

const PUBLIC_V6: Ipv6Net = v6(0x2000, 0, 3);

/// The network of NAT64 (RFC 6052). The last 32 bits of an address are the IPv4 address of the
/// destination.
const NAT64: Ipv6Net = v6(0x64, 0xff9b, 96);

/// Returns the destination of a connection to `address`. If `address` contains an IPv4 address,
/// the destination is the IPv4 address.
pub(super) fn destination(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if NAT64.contains(&v6) => {
            let [.., a, b, c, d] = v6.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        canonical => canonical,
    }
}

/// Returns the special kind of `address`. Returns `None` if `address` is a public unicast address.
pub(super) fn special_kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(ip) => {
            SPECIAL_V4.iter().find(|(net, _)| net.contains(&ip)).map(|(_, what)| *what)
        }
        IpAddr::V6(ip) => SPECIAL_V6
            .iter()
            .find(|(net, _)| net.contains(&ip))
            .map(|(_, what)| *what)
            .or_else(|| (!PUBLIC_V6.contains(&ip)).then_some("an unassigned address")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kind of every IPv4 network, the address before it, its first and last address, and the
    /// address after it. An empty text means that the neighbouring address is special too.
    const V4: [(&str, &str, &str, &str, &str); 16] = [
        ("an address of this host", "", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
        ("a private address", "9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
        (
            "an address of a carrier's shared network",
            "100.63.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "100.128.0.0",
        ),
        ("a loopback address", "126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
        (
            "the address of a cloud's metadata service",
            "168.63.129.15",
            "168.63.129.16",
            "168.63.129.16",
            "168.63.129.17",
        ),
        (
            "a link-local address",
            "169.253.255.255",
            "169.254.0.0",
            "169.254.255.255",
            "169.255.0.0",
        ),
        ("a private address", "172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
        ("a reserved address", "191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
        ("an address for documentation", "192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
        ("a reserved address", "192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
        ("a private address", "192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
        (
            "an address for benchmarks",
            "198.17.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.20.0.0",
        ),
        (
            "an address for documentation",
            "198.51.99.255",
            "198.51.100.0",
            "198.51.100.255",
            "198.51.101.0",
        ),
        (
            "an address for documentation",
            "203.0.112.255",
            "203.0.113.0",
            "203.0.113.255",
            "203.0.114.0",
        ),
        ("a multicast address", "223.255.255.255", "224.0.0.0", "239.255.255.255", ""),
        ("a reserved address", "", "240.0.0.0", "255.255.255.255", ""),
    ];

    /// The kind of each special IPv6 network among the assigned addresses, the address before it,
    /// its first and last address, and the address after it.
    const V6: [(&str, &str, &str, &str, &str); 4] = [
        (
            "a reserved address",
            "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001::",
            "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:200::",
        ),
        (
            "an address for documentation",
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
        ),
        (
            "a reserved address",
            "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2002::",
            "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2003::",
        ),
        (
            "an address for documentation",
            "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff::",
            "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff:1000::",
        ),
    ];

    fn what(address: &str) -> Option<&'static str> {
        special_kind(destination(address.parse().unwrap()))
    }

    #[test]
    fn networks_are_special_from_first_to_last_address() {
        assert_eq!(V4.len(), SPECIAL_V4.len());
        for (name, before, first, last, after) in V4.into_iter().chain(V6) {
            assert_eq!(what(first), Some(name), "{first}");
            assert_eq!(what(last), Some(name), "{last}");
            for beside in [before, after].into_iter().filter(|address| !address.is_empty()) {
                assert_eq!(what(beside), None, "{beside}");
            }
        }
    }

    #[test]
    fn benchmark_addresses_are_special() {
        for address in ["198.18.0.1", "198.19.0.1", "::ffff:198.19.0.1", "64:ff9b::c613:1"] {
            assert_eq!(what(address), Some("an address for benchmarks"), "{address}");
        }
    }

    #[test]
    fn only_assigned_ipv6_addresses_are_public() {
        for (address, expected) in [
            ("::", "an unassigned address"),
            ("::1", "a loopback address"),
            ("::2", "an unassigned address"),
            ("64:ff9b:0:0:0:1::", "an unassigned address"),
            ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "an unassigned address"),
            ("4000::", "an unassigned address"),
            ("fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "an unassigned address"),
            ("fc00::", "a unique-local address"),
            ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "a unique-local address"),
            ("fe7f:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "an unassigned address"),
            ("fe80::", "a link-local address"),
            ("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "a link-local address"),
            ("fec0::", "a site-local address"),
            ("feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "a site-local address"),
            ("ff00::", "a multicast address"),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "a multicast address"),
        ] {
            assert_eq!(what(address), Some(expected), "{address}");
        }
        for address in ["2000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] {
            assert_eq!(what(address), None, "{address}");
        }
    }
}
