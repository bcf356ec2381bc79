//! [`ServerAddress`]: the address of the server for partners, and the host keys by which partners
//! recognise the server.

use std::net::SocketAddr;

use serde::Serialize;

use super::{EffectiveConfig, config_for_accounts, run};
use crate::account::AccountId;
use crate::config::Node;

/// The placeholder in commands for the name of the host, if the name is not known.
const UNKNOWN_HOST: &str = "HOST";

/// The address and the host keys of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerAddress {
    /// The name of the host. `None` if neither the configuration nor sshd names the host.
    pub host: Option<String>,
    pub port: u16,
    pub host_keys: Vec<HostKey>,
}

/// A public host key of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostKey {
    /// The algorithm of the host key, such as `ssh-ed25519`.
    pub algorithm: String,
    /// The fingerprint of the host key as ssh-keygen and clients print it. It begins with
    /// `SHA256:`.
    pub fingerprint: String,
    /// The length of the host key in bits, as WinSCP prints it.
    bits: u32,
}

impl ServerAddress {
    /// Returns the address of the server. Values that `node` does not have are taken from the
    /// configuration of the sshd that accounts log in to. The error is the message of sshd.
    pub fn of_host(node: &Node) -> Result<Self, String> {
        let effective = EffectiveConfig::parse(&run(config_for_accounts(node), &["-T"])?);
        let keys = effective.all("hostkey").filter_map(|path| {
            let text = std::fs::read_to_string(format!("{path}.pub")).ok()?;
            HostKey::parse(&text)
        });
        Ok(Self { host_keys: keys.collect(), ..Self::new(node, &effective) })
    }

    fn new(node: &Node, effective: &EffectiveConfig) -> Self {
        let listening = effective.all("listenaddress").filter_map(|a| a.parse::<SocketAddr>().ok());
        let listening: Vec<_> = listening.collect();
        let named = node.address.as_ref();
        let specific = listening.iter().find(|address| !address.ip().is_unspecified());
        let host = named.map(|address| address.host().to_owned());
        let port = effective.get("port").parse().ok();
        let port = specific.or(listening.first()).map(SocketAddr::port).or(port);
        Self {
            host: host.or(specific.map(|address| address.ip().to_string())),
            port: named.and_then(|address| address.port()).or(port).unwrap_or(22),
            host_keys: Vec::new(),
        }
    }

    /// Returns the text for a partner on how to connect as `account`, as lines.
    pub fn handout(&self, account: &AccountId) -> Vec<String> {
        let host = self.host.as_deref().unwrap_or(UNKNOWN_HOST);
        let port = self.port;
        let port_option = if port == 22 { String::new() } else { format!("-P {port} ") };
        let mut lines = vec![
            format!("  server       {host}, port {port}"),
            format!("  user name    {account}"),
        ];
        let keys = self.host_keys.iter();
        lines.extend(
            keys.map(|key| format!("  host key     {} {}", key.algorithm, key.fingerprint)),
        );
        lines.push(format!("  with sftp    sftp {port_option}{account}@{host}"));
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let winscp = match self.winscp_key() {
            Some(key) => format!(" -hostkey=\"{key}\""),
            None => String::new(),
        };
        lines.push(format!(
            "  with WinSCP  open sftp://{account}@{bracketed}:{port}/{winscp} -privatekey=KEY.ppk"
        ));
        lines
    }

    /// Returns the host key that WinSCP checks. WinSCP prefers ed25519.
    fn winscp_key(&self) -> Option<String> {
        let ed25519 = self.host_keys.iter().find(|key| key.algorithm == "ssh-ed25519");
        let key = ed25519.or(self.host_keys.first())?;
        let digest = key.fingerprint.trim_start_matches("SHA256:");
        Some(format!("{} {} {digest}", key.algorithm, key.bits))
    }
}

impl HostKey {
    /// Parses the content of a `.pub` file. Returns `None` if sshd does not offer keys of this
    /// kind.
    fn parse(text: &str) -> Option<Self> {
        let key = ssh_key::PublicKey::from_openssh(text.trim()).ok()?;
        let bits = match key.key_data() {
            ssh_key::public::KeyData::Rsa(rsa) => {
                let modulus = rsa.n.as_positive_bytes()?;
                (modulus.len() * 8) as u32 - modulus.first()?.leading_zeros()
            }
            ssh_key::public::KeyData::Ed25519(_) => 255,
            ssh_key::public::KeyData::Ecdsa(ecdsa) => match ecdsa.curve() {
                ssh_key::EcdsaCurve::NistP256 => 256,
                ssh_key::EcdsaCurve::NistP384 => 384,
                ssh_key::EcdsaCurve::NistP521 => 521,
            },
            _ => return None,
        };
        let fingerprint = key.fingerprint(ssh_key::HashAlg::Sha256).to_string();
        Some(Self { algorithm: key.algorithm().to_string(), fingerprint, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5f0uVDHWxEPl2iaFV5u8w7A2kC0Pp3mk0kBfnMUYsU x";

    fn address(node: &str, effective: &str) -> ServerAddress {
        let address = (node != "none").then(|| node.parse().unwrap());
        let node = Node { address, ..Node::default() };
        ServerAddress::new(&node, &EffectiveConfig::parse(effective))
    }

    #[test]
    fn the_configured_address_has_priority() {
        let wildcard = "port 2222\nlistenaddress [::]:2222\nlistenaddress 0.0.0.0:2222\n";
        for (node, effective, host, port) in [
            ("sftp.example.com", wildcard, Some("sftp.example.com"), 2222),
            ("sftp.example.com:8022", wildcard, Some("sftp.example.com"), 8022),
            ("none", wildcard, None, 2222),
            ("none", "port 22\nlistenaddress 192.0.2.7:2022\n", Some("192.0.2.7"), 2022),
            ("none", "", None, 22),
            ("[2001:db8::1]:22", "", Some("2001:db8::1"), 22),
        ] {
            let found = address(node, effective);
            assert_eq!((found.host.as_deref(), found.port), (host, port), "{node} {effective:?}");
        }
    }

    #[test]
    fn the_partner_text_names_server_user_key() {
        let mut server = address("sftp.example.com:2222", "");
        server.host_keys.extend(HostKey::parse(KEY));
        let fingerprint = &server.host_keys[0].fingerprint;
        let digest = fingerprint.strip_prefix("SHA256:").unwrap();
        assert_eq!(
            server.handout(&"ACME-1".parse().unwrap()),
            [
                "  server       sftp.example.com, port 2222".to_owned(),
                "  user name    ACME-1".to_owned(),
                format!("  host key     ssh-ed25519 {fingerprint}"),
                "  with sftp    sftp -P 2222 ACME-1@sftp.example.com".to_owned(),
                format!(
                    "  with WinSCP  open sftp://ACME-1@sftp.example.com:2222/ \
                     -hostkey=\"ssh-ed25519 255 {digest}\" -privatekey=KEY.ppk"
                ),
            ]
        );
    }

    #[test]
    fn an_unknown_host_becomes_a_placeholder() {
        let lines = address("none", "").handout(&"ACME-1".parse().unwrap());
        assert!(lines.contains(&"  with sftp    sftp ACME-1@HOST".to_owned()), "{lines:?}");
    }
}
