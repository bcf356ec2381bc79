//! [`SsrfGuard`]: keeps webhooks from reaching internal addresses (SSRF).
//!
//! A partner chooses the URL of an endpoint, and the daemon runs in a network that the partner has
//! no access to. So an endpoint must have public unicast addresses, or addresses in the networks of
//! `[webhooks] allow`. The guard checks the addresses when an endpoint is saved, and again for
//! every connection. A connection resolves the name once and uses only the checked addresses, so
//! that a name whose addresses change in between gains nothing.
//!
//! A public address of this host is forbidden like 127.0.0.1: a connection from the host itself
//! bypasses its firewall.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _, UdpSocket};

use ipnet::IpNet;
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::address_class::{destination, special_kind};

/// The error of an endpoint with an address that webhooks must not connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the address {address} is {what}; only [webhooks] allow can permit it")]
pub struct ForbiddenAddress {
    pub address: IpAddr,
    /// The special kind of the address, such as "a private address".
    pub what: &'static str,
}

/// The result of the check for an endpoint that may be saved.
#[derive(Debug)]
pub enum EndpointHost {
    /// The host name resolves, and webhooks may connect to all its addresses.
    Allowed,
    /// The host name does not resolve now. The error is that of the resolver.
    Unresolved(io::Error),
}

/// Decides which addresses webhooks may connect to. Compared with a request, a clone is cheap.
#[derive(Clone, Debug, Default)]
pub struct SsrfGuard {
    allow: Vec<IpNet>,
}

impl SsrfGuard {
    /// Makes a guard that allows public addresses and the networks in `allow`.
    pub fn new(allow: &[IpNet]) -> Self {
        Self { allow: allow.to_vec() }
    }

    /// Checks that webhooks may connect to `address`.
    pub fn check(&self, address: IpAddr) -> Result<(), ForbiddenAddress> {
        let destination = destination(address);
        let allowed = |net: &IpNet| net.contains(&address) || net.contains(&destination);
        match special_kind(destination)
            .or_else(|| is_own(destination).then_some("an address of this host"))
        {
            Some(what) if !self.allow.iter().any(allowed) => {
                Err(ForbiddenAddress { address, what })
            }
            _ => Ok(()),
        }
    }

    /// Resolves the host of `url`, which [`super::endpoint::check_url`] accepted, and checks its
    /// addresses.
    ///
    /// # Errors
    /// Returns the first forbidden address.
    pub fn check_host(&self, url: &str) -> Result<EndpointHost, ForbiddenAddress> {
        let found = url
            .parse::<Uri>()
            .ok()
            .and_then(|uri| DefaultResolver::host_and_port(uri.scheme()?, uri.authority()?))
            .ok_or_else(|| io::ErrorKind::InvalidInput.into())
            .and_then(|host| host.to_socket_addrs());
        match found {
            Ok(mut addresses) => addresses
                .try_for_each(|address| self.check(address.ip()))
                .map(|()| EndpointHost::Allowed),
            Err(error) => Ok(EndpointHost::Unresolved(error)),
        }
    }
}

/// Reports whether `address` belongs to this host. A connection to such an address also has it as
/// its source address. The check queries the routing table with a UDP socket that sends nothing, as
/// the sandbox of the systemd unit does not permit listing the interfaces.
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
    // If no route leads to an address, webhooks cannot reach the address.
    source.is_ok_and(|source| source.ip() == address)
}

/// Resolves a host once per connection, and checks its addresses.
///
/// One forbidden address forbids all addresses of a host: no legitimate receiver has a name with
/// both kinds.
pub(super) struct GuardedResolver<R> {
    guard: SsrfGuard,
    resolver: R,
}

impl<R> GuardedResolver<R> {
    pub(super) fn new(guard: SsrfGuard, resolver: R) -> Self {
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

    fn what(guard: &SsrfGuard, address: &str) -> Option<&'static str> {
        guard.check(address.parse().unwrap()).err().map(|forbidden| forbidden.what)
    }

    #[test]
    fn only_public_addresses_are_allowed() {
        let guard = SsrfGuard::default();
        for address in
            ["1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101"]
        {
            assert_eq!(what(&guard, address), None, "{address}");
        }
        for (address, expected) in [
            ("0.0.0.0", "an address of this host"),
            ("10.255.255.255", "a private address"),
            ("100.64.0.1", "an address of a carrier's shared network"),
            ("100.100.100.200", "an address of a carrier's shared network"),
            ("127.0.0.1", "a loopback address"),
            ("127.255.255.254", "a loopback address"),
            ("168.63.129.16", "the address of a cloud's metadata service"),
            ("169.254.169.254", "a link-local address"),
            ("172.16.0.1", "a private address"),
            ("172.31.255.255", "a private address"),
            ("192.0.0.192", "a reserved address"),
            ("192.168.1.1", "a private address"),
            ("224.0.0.1", "a multicast address"),
            ("239.255.255.255", "a multicast address"),
            ("255.255.255.255", "a reserved address"),
            ("::", "an unassigned address"),
            ("::1", "a loopback address"),
            ("::ffff:10.0.0.1", "a private address"),
            ("::127.0.0.1", "an unassigned address"),
            ("64:ff9b::a00:1", "a private address"),
            ("64:ff9b:1::1", "an unassigned address"),
            ("fe80::1", "a link-local address"),
            ("fec0::1", "a site-local address"),
            ("fd00:ec2::254", "a unique-local address"),
            ("ff02::1", "a multicast address"),
            ("2001:db8::1", "an address for documentation"),
            ("2001::1", "a reserved address"),
            ("2002:7f00:1::", "a reserved address"),
            ("4000::1", "an unassigned address"),
        ] {
            assert_eq!(what(&guard, address), Some(expected), "{address}");
        }
    }

    /// The test runs in a network namespace, as this host may have no public address. The loopback
    /// device gets an address there: this address belongs to the host, and its neighbour does not.
    #[test]
    fn public_addresses_of_this_host_are_forbidden() {
        const RERUN: &str = "SFTP_IMPORT_TEST_OWN_ADDRESS";
        if std::env::var_os(RERUN).is_some() {
            for own in ["9.9.9.9", "::ffff:9.9.9.9", "64:ff9b::909:909", "2620:fe::fe"] {
                assert_eq!(
                    what(&SsrfGuard::default(), own),
                    Some("an address of this host"),
                    "{own}"
                );
            }
            assert_eq!(what(&SsrfGuard::default(), "9.9.9.8"), None);
            let allowed = SsrfGuard::new(&["9.9.9.9/32".parse().unwrap()]);
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
            eprintln!("skipped: this host can make no network namespaces, or has no ip(8)");
            return;
        }
        let name = "with_daemon::outbox::webhook::ssrf_guard::tests::public_addresses_of_this_host_are_forbidden";
        let program = std::env::current_exe().unwrap();
        let mut command = in_namespace(program.as_os_str());
        let output = command.args(["--exact", name]).env(RERUN, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("1 passed"), "{text}");
    }

    #[test]
    fn the_configured_networks_are_allowed() {
        let guard = SsrfGuard::new(&["10.1.0.0/16".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for address in ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1"] {
            assert_eq!(what(&guard, address), None, "{address}");
        }
        assert_eq!(what(&guard, "10.2.0.1"), Some("a private address"));
        assert_eq!(what(&guard, "::1"), Some("a loopback address"));
    }

    /// URL parsers and the C library accept several spellings of the same address.
    #[test]
    fn every_spelling_of_an_address_is_checked() {
        let guard = SsrfGuard::default();
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
        assert!(matches!(guard.check_host("https://1.1.1.1/"), Ok(EndpointHost::Allowed)));
        let unresolved = guard.check_host("https://name.invalid/");
        assert!(matches!(unresolved, Ok(EndpointHost::Unresolved(_))), "{unresolved:?}");
    }
}
