//! Parses the restrictions of a key, its networks and its expiry, from a person's input. The
//! functions are pure.
//!
//! The results are valid values of the authorized_keys options `from=` and `expiry-time=`
//! (sshd(8)).

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};

/// The reason why a text is not a list of addresses and networks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {problem}")]
pub struct InvalidFrom {
    text: String,
    problem: String,
}

/// The reason why a text is not a time at which a key can expire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidExpiry {
    #[error("{0:?} is neither a date (2027-01-31) nor an instant (2027-01-31T12:00:00Z)")]
    Unreadable(String),
    #[error("{0} is not in the future")]
    Past(Timestamp),
}

/// The clients that may use a key, and the time until which the key is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRestrictions {
    /// The list of addresses from [`parse_from_hosts`]. `None` if any address may use the key.
    pub from: Option<String>,
    /// The expiry time from [`parse_expiry`]. `None` if the key does not expire.
    pub expires_at: Option<Timestamp>,
}

/// Parses a comma-separated list of addresses and networks. Returns the list as a value for
/// `from="…"`.
///
/// Two forms are refused. sshd rejects the key if a network has bits set after its prefix length.
/// sshd never matches an IPv4 address that is mapped into IPv6, because it compares such an address
/// as IPv4.
pub fn parse_from_hosts(text: &str) -> Result<String, InvalidFrom> {
    let entries: Result<Vec<String>, _> = text
        .split(',')
        .map(|entry| {
            let entry = entry.trim();
            parse_host(entry).map_err(|problem| InvalidFrom { text: entry.to_owned(), problem })
        })
        .collect();
    Ok(entries?.join(","))
}

fn parse_host(entry: &str) -> Result<String, String> {
    let (address, length) = match entry.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (entry, None),
    };
    let address: IpAddr = address
        .parse()
        .map_err(|_| "is not an address or network such as 192.0.2.7 or 2001:db8::/32")?;
    if let IpAddr::V6(v6) = address
        && let Some(v4) = v6.to_ipv4_mapped()
    {
        return Err(format!("must be written as {v4}"));
    }
    let Some(length) = length else { return Ok(address.to_string()) };
    let digits = length.bytes().all(|b| b.is_ascii_digit());
    let bits: u32 = length.parse().ok().filter(|_| digits).ok_or("has no number after the /")?;
    let network = network(address, bits).ok_or("has a prefix length that is too large")?;
    if network != address {
        return Err(format!("has bits set after its prefix; the network is {network}/{bits}"));
    }
    Ok(format!("{network}/{bits}"))
}

/// Returns `address` with all bits cleared except the first `bits` bits. `None` if the address has
/// fewer bits.
fn network(address: IpAddr, bits: u32) -> Option<IpAddr> {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.checked_sub(bits)?).unwrap_or(0);
            Some(IpAddr::V4((v4.to_bits() & mask).into()))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.checked_sub(bits)?).unwrap_or(0);
            Some(IpAddr::V6((v6.to_bits() & mask).into()))
        }
    }
}

/// Returns whether `from`, a result of [`parse_from_hosts`], contains `address`. An address that is
/// mapped into IPv6 is compared as IPv4, as sshd does.
pub fn allows_address(from: &str, address: IpAddr) -> bool {
    let address = address.to_canonical();
    from.split(',').any(|entry| match entry.parse::<IpNet>() {
        Ok(network) => network.contains(&address),
        Err(_) => entry.parse() == Ok(address),
    })
}

/// Parses the time from which a key is no longer valid. The time is rounded down to seconds. A date
/// means 00:00 UTC of that day.
pub fn parse_expiry(text: &str, now: Timestamp) -> Result<Timestamp, InvalidExpiry> {
    let unreadable = || InvalidExpiry::Unreadable(text.to_owned());
    // The text is parsed as an instant first, because the parser of dates also accepts an instant
    // and ignores its time of day.
    let at = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) if text.len() == "2027-01-31".len() => {
            let date: Date = text.parse().map_err(|_| unreadable())?;
            TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).map_err(|_| unreadable())?
        }
        Err(_) => return Err(unreadable()),
    };
    let whole = jiff::TimestampRound::new().smallest(Unit::Second).mode(jiff::RoundMode::Floor);
    let at = at.round(whole).map_err(|_| unreadable())?;
    if at > now { Ok(at) } else { Err(InvalidExpiry::Past(at)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_addresses_and_networks() {
        for (text, from) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.0/24, 2001:DB8:0::/32", "192.0.2.0/24,2001:db8::/32"),
            ("0.0.0.0/0,::/0", "0.0.0.0/0,::/0"),
            ("10.1.2.3/32,::1/128", "10.1.2.3/32,::1/128"),
        ] {
            assert_eq!(parse_from_hosts(text).as_deref(), Ok(from));
        }
    }

    #[test]
    fn refuses_addresses_that_sshd_would_interpret_differently() {
        for text in [
            "",
            ",",
            "10.0.0.1,",
            "!10.0.0.1",
            "*",
            "10.0.0.*",
            "example.com",
            "10.0.0.1\"",
            "10.0.0.0/8\"",
            "10.0.0.0/\"8",
            "\"10.0.0.1",
            "::1\"",
            "10.0.0.1,\"",
            "10.0.0.1/",
            "10.0.0.1/33",
            "10.0.0.0/+8",
            "::/129",
            "fe80::1%eth0",
            "010.0.0.1",
            "10.0.0.1\n10.0.0.2",
            "10.0.0.0/255.0.0.0",
        ] {
            assert!(parse_from_hosts(text).is_err(), "{text:?}");
        }
        let error = parse_from_hosts("10.1.2.3/8").unwrap_err().to_string();
        assert!(error.ends_with("the network is 10.0.0.0/8"), "{error}");
        let error = parse_from_hosts("::ffff:10.1.2.3").unwrap_err().to_string();
        assert!(error.ends_with("must be written as 10.1.2.3"), "{error}");
    }

    #[test]
    fn an_address_is_compared_with_each_network() {
        let from = "192.0.2.0/24,198.51.100.7,2001:db8::/32,::1";
        for (address, expected) in [
            ("192.0.2.0", true),
            ("192.0.2.255", true),
            ("192.0.3.0", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("::ffff:198.51.100.7", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
            ("::1", true),
            ("::2", false),
            ("0.0.0.1", false),
        ] {
            assert_eq!(allows_address(from, address.parse().unwrap()), expected, "{address}");
        }
        let any = |from: &str, address: &str| allows_address(from, address.parse().unwrap());
        assert!(any("0.0.0.0/0", "203.0.113.9") && !any("0.0.0.0/0", "::1"));
        assert!(any("::/0", "::1") && !any("::/0", "203.0.113.9"));
        assert!(!any("", "::1") && !any("x/8,10.0.0.0/x,10.0.0.0/99", "10.0.0.1"));
    }

    #[test]
    fn an_expiry_is_a_future_date_or_instant() {
        let now: Timestamp = "2026-05-01T00:00:00Z".parse().unwrap();
        for (text, at) in [
            ("2027-01-31", "2027-01-31T00:00:00Z"),
            ("2027-01-31T12:00:00.9+02:00", "2027-01-31T10:00:00Z"),
            ("2026-05-01T00:00:01Z", "2026-05-01T00:00:01Z"),
        ] {
            assert_eq!(parse_expiry(text, now), Ok(at.parse().unwrap()), "{text}");
        }
        for text in ["2026-05-01", "2026-04-30T23:59:59Z", "2026-05-01T00:00:00.5Z"] {
            assert!(matches!(parse_expiry(text, now), Err(InvalidExpiry::Past(_))), "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "2027-02-30",
            "31.01.2027",
            "20270131",
            "2027-01-31T12:00:00",
            "2027-01-31\"",
            "2027-01-31T12:00:00Z\"",
            "\"2027-1-31",
        ] {
            assert!(matches!(parse_expiry(text, now), Err(InvalidExpiry::Unreadable(_))), "{text}");
        }
    }
}
