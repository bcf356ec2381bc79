//! The section `[metrics]` of the configuration file sets the address on which the daemon listens
//! for Prometheus. Only local addresses are allowed, because the listener requires no login.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The section `[metrics]` of the configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metrics {
    /// The address of the metrics listener, parsed by [`Metrics::listener`]. If the address is
    /// empty, there is no listener.
    pub listen: String,
}

/// The address on which the metrics listener listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetricsListener {
    Off,
    /// The listener has a loopback address with a port.
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Metrics {
    /// Parses `listen`. Valid forms are `127.0.0.1:9469`, `[::1]:9469`, `unix:/path` and an empty
    /// text. The error is a predicate whose subject is `listen`.
    pub fn listener(&self) -> Result<MetricsListener, String> {
        if self.listen.is_empty() {
            return Ok(MetricsListener::Off);
        }
        if let Some(path) = self.listen.strip_prefix("unix:") {
            let absolute = Path::new(path).is_absolute();
            let path = absolute.then(|| MetricsListener::Unix(path.into()));
            return path.ok_or_else(|| "must contain an absolute path after unix:".into());
        }
        let address: SocketAddr = self.listen.parse().map_err(
            |_| "must be an address such as 127.0.0.1:9469 or unix:/run/sftp-import/metrics.sock",
        )?;
        if !address.ip().is_loopback() {
            return Err("must be a loopback address, because the metrics need no login".into());
        }
        Ok(MetricsListener::Tcp(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(listen: &str) -> Result<MetricsListener, String> {
        Metrics { listen: listen.into() }.listener()
    }

    #[test]
    fn parses_listen_addresses() {
        assert_eq!(listener(""), Ok(MetricsListener::Off));
        assert_eq!(listener("unix:/run/x"), Ok(MetricsListener::Unix("/run/x".into())));
        for address in ["127.0.0.1:9469", "[::1]:9469"] {
            assert_eq!(listener(address), Ok(MetricsListener::Tcp(address.parse().unwrap())));
        }
    }

    #[test]
    fn invalid_listen_addresses_are_refused() {
        for (listen, why) in [
            ("unix:run/x", "must contain an absolute path"),
            ("localhost:9469", "must be an address such as"),
            ("0.0.0.0:9469", "must be a loopback address"),
            ("[::]:9469", "must be a loopback address"),
        ] {
            assert!(listener(listen).unwrap_err().starts_with(why), "{listen}");
        }
    }
}
