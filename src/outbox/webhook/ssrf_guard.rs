//! [`Guard`]: keeps webhooks away from what only this host can reach.
//!
//! An endpoint's URL is a partner's wish, and the sidecar stands inside a network that the partner
//! doesn't see. So an endpoint lies at public unicast addresses, or at those that `[webhooks]
//! allow` names. That is looked at twice: when an endpoint is saved, and whenever it is connected
//! to. The second look resolves once and connects to the addresses that it has checked and to no
//! other: a name that changes in between gains nothing.
//!
//! A public address of this very host is as forbidden as 127.0.0.1: what comes from the host itself
//! passes by the firewall that stands before everybody else.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _, UdpSocket};

use ipnet::IpNet;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::outbox::webhook::address_class::{reached, special};

/// An endpoint lies where webhooks must not go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address {address} is {what}; only [webhooks] allow can permit it")]
pub struct Forbidden {
    /// Where it lies.
    pub address: IpAddr,
    /// What that address is.
    pub what: &'static str,
}

/// What is known of the addresses of an endpoint that may be saved.
#[derive(Debug)]
pub enum Lookup {
    /// It has some, and webhooks may go to all.
    Good,
    /// Its name has no address now.
    Unresolved(io::Error),
}

/// Where webhooks may go; cheap to clone next to a request.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow: Vec<IpNet>,
}

impl Guard {
    /// To public addresses, and to the networks `allow`.
    pub fn new(allow: &[IpNet]) -> Self {
        Self { allow: allow.to_vec() }
    }

    /// Whether webhooks may go to `address`.
    ///
    /// # Errors
    /// What it is that forbids it.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let reached = reached(address);
        let allowed = |net: &IpNet| net.contains(&address) || net.contains(&reached);
        match special(reached).or_else(|| is_own(reached).then_some("of this host itself")) {
            Some(what) if !self.allow.iter().any(allowed) => Err(Forbidden { address, what }),
            _ => Ok(()),
        }
    }

    /// Looks the host of `url` up, which [`crate::outbox::check_url`] passed, and checks all its addresses.
    ///
    /// # Errors
    /// The first address that is forbidden.
    pub fn check_host(&self, url: &str) -> Result<Lookup, Forbidden> {
        let found = url
            .parse::<Uri>()
            .ok()
            .and_then(|uri| DefaultResolver::host_and_port(uri.scheme()?, uri.authority()?))
            .ok_or_else(|| io::ErrorKind::InvalidInput.into())
            .and_then(|host| host.to_socket_addrs());
        match found {
            Ok(mut addresses) => {
                addresses.try_for_each(|address| self.check(address.ip())).map(|()| Lookup::Good)
            }
            Err(error) => Ok(Lookup::Unresolved(error)),
        }
    }
}

/// Whether `address` is one of this host's: what goes there would come from there. Asked by routes,
/// of a socket that sends nothing, as the unit's sandbox lets nobody list interfaces.
fn is_own(address: IpAddr) -> bool {
    const DISCARD: u16 = 9;
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, DISCARD))?;
        socket.local_addr()
    });
    // Without a route there is nobody to reach.
    source.is_ok_and(|source| source.ip() == address)
}

/// Looks a host up once; a connection is made to an address that the guard has passed.
///
/// One forbidden address forbids all: a name that has both is no receiver's.
pub struct GuardedResolver<R> {
    guard: Guard,
    resolver: R,
}

impl<R> GuardedResolver<R> {
    /// Looks up by `resolver`, and asks `guard`.
    pub fn new(guard: Guard, resolver: R) -> Self {
        Self { guard, resolver }
    }
}

impl<R> fmt::Debug for GuardedResolver<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuardedResolver").field(&self.guard).finish()
    }
}

impl<R: Resolver> Resolver for GuardedResolver<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let addresses = self.resolver.resolve(uri, config, timeout)?;
        for address in addresses.iter() {
            self.guard.check(address.ip()).map_err(|error| Error::Other(Box::new(error)))?;
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(guard: &Guard, address: &str) -> Option<&'static str> {
        guard.check(address.parse().unwrap()).err().map(|forbidden| forbidden.what)
    }

    #[test]
    fn public_addresses_and_no_others() {
        let guard = Guard::default();
        for address in
            ["1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"]
        {
            assert_eq!(what(&guard, address), None, "{address}");
        }
        for (address, expected) in [
            ("0.0.0.0", "of this host itself"),
            ("10.255.255.255", "private"),
            ("100.64.0.1", "of a carrier's shared network"),
            ("100.100.100.200", "of a carrier's shared network"),
            ("127.0.0.1", "loopback"),
            ("127.255.255.254", "loopback"),
            ("168.63.129.16", "a cloud's metadata service"),
            ("169.254.169.254", "link-local"),
            ("172.16.0.1", "private"),
            ("172.31.255.255", "private"),
            ("192.0.0.192", "reserved"),
            ("192.168.1.1", "private"),
            ("224.0.0.1", "multicast"),
            ("239.255.255.255", "multicast"),
            ("255.255.255.255", "reserved"),
            ("::", "not assigned to anybody"),
            ("::1", "loopback"),
            ("::ffff:10.0.0.1", "private"),
            ("::127.0.0.1", "not assigned to anybody"),
            ("64:ff9b::a00:1", "private"),
            ("64:ff9b:1::1", "not assigned to anybody"),
            ("fe80::1", "link-local"),
            ("fec0::1", "site-local"),
            ("fd00:ec2::254", "unique-local"),
            ("ff02::1", "multicast"),
            ("2001:db8::1", "for documentation"),
            ("2001::1", "reserved"),
            ("2002:7f00:1::", "reserved"),
            ("4000::1", "not assigned to anybody"),
        ] {
            assert_eq!(what(&guard, address), Some(expected), "{address}");
        }
    }

    /// In a network namespace, as this host may have no public address: one that the loopback device
    /// gets there is the host's own, its neighbour isn't.
    #[test]
    fn a_public_address_of_this_host_is_not_public() {
        const RERUN: &str = "SFTP_IMPORT_TEST_OWN_ADDRESS";
        if std::env::var_os(RERUN).is_some() {
            for own in ["9.9.9.9", "::ffff:9.9.9.9", "64:ff9b::909:909", "2620:fe::fe"] {
                assert_eq!(what(&Guard::default(), own), Some("of this host itself"), "{own}");
            }
            assert_eq!(what(&Guard::default(), "9.9.9.8"), None);
            let allowed = Guard::new(&["9.9.9.9/32".parse().unwrap()]);
            assert_eq!(what(&allowed, "9.9.9.9"), None);
            return;
        }
        let set_up = "ip link set lo up && ip address add 9.9.9.9/32 dev lo && \
                      ip address add 2620:fe::fe/128 dev lo && exec \"$@\"";
        let in_namespace = |program: &std::ffi::OsStr| {
            let mut command = std::process::Command::new("unshare");
            let words = ["--user", "--map-root-user", "--net", "sh", "-ec", set_up, "sh"];
            command.args(words).arg(program);
            command
        };
        if !in_namespace("true".as_ref()).output().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: this host makes no network namespaces, or has no ip(8)");
            return;
        }
        let name = "with_daemon::outbox::guard::tests::a_public_address_of_this_host_is_not_public";
        let program = std::env::current_exe().unwrap();
        let mut command = in_namespace(program.as_os_str());
        let output = command.args(["--exact", name]).env(RERUN, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("1 passed"), "{text}");
    }

    #[test]
    fn the_configuration_allows_its_networks_and_no_more() {
        let guard = Guard::new(&["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1"] {
            assert_eq!(what(&guard, address), None, "{address}");
        }
        assert_eq!(what(&guard, "10.2.0.1"), Some("private"));
        assert_eq!(what(&guard, "::1"), Some("loopback"));
    }

    /// What a URL parser and the C library take for addresses, whatever it looks like.
    #[test]
    fn every_spelling_of_an_address_is_seen_through() {
        let guard = Guard::default();
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "localhost",
            "LOCALHOST",
            "[fe80::1]",
            "169.254.169.254:80",
        ] {
            let url = format!("http://{host}/latest/meta-data");
            assert!(guard.check_host(&url).is_err(), "{url}");
        }
        assert!(matches!(guard.check_host("https://1.1.1.1/"), Ok(Lookup::Good)));
        let unresolved = guard.check_host("https://name.invalid/");
        assert!(matches!(unresolved, Ok(Lookup::Unresolved(_))), "{unresolved:?}");
    }
}
