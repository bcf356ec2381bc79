//! [`RecipientRule`] decides which addresses may get mail about an account's imports. The rule is
//! pure.
//!
//! A partner writes the manifest and therefore chooses its `clientEmail`. The rule of the account
//! prevents mail to addresses of strangers.

use std::fmt;

use lettre::Address;
use serde::Serialize;

/// Names of mail providers where everybody can get an address, with any domain ending
/// (`yahoo.co.uk`). If the contact has an address at such a provider, other addresses at the same
/// domain belong to strangers.
const FREE_MAIL_ANY_ENDING: &[&str] = &["gmx", "hotmail", "live", "outlook", "yahoo", "yandex"];

/// The full domains of more mail providers where everybody can get an address.
const FREE_MAIL: &[&str] = &[
    "126.com",
    "163.com",
    "aol.com",
    "fastmail.com",
    "free.fr",
    "freenet.de",
    "gmail.com",
    "googlemail.com",
    "icloud.com",
    "laposte.net",
    "libero.it",
    "mac.com",
    "mail.com",
    "mail.ru",
    "me.com",
    "msn.com",
    "naver.com",
    "orange.fr",
    "pm.me",
    "proton.me",
    "protonmail.com",
    "qq.com",
    "rediffmail.com",
    "rocketmail.com",
    "t-online.de",
    "tutanota.com",
    "web.de",
    "ymail.com",
    "zoho.com",
];

/// The addresses that may get mail about an account's imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RecipientRule {
    /// Any address that a manifest names is allowed.
    Any,
    /// The account's contact, the listed addresses and all addresses at the listed domains are
    /// allowed.
    Limited {
        addresses: Vec<String>,
        /// The domains whose addresses may get mail. A subdomain is a different domain.
        domains: Vec<String>,
    },
}

/// The recipient of mail about an import, and a warning if it is not the requested recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// The address of the recipient. `None` if no mail is sent.
    pub address: Option<String>,
    /// A warning for the report. `Some` if the recipient is not the manifest's `clientEmail`.
    pub warning: Option<String>,
}

impl RecipientRule {
    /// Returns a rule for a limited set of recipients. If `domains` is `None`, the rule allows the
    /// domain of the contact, unless the domain belongs to a free-mail provider.
    pub fn limited(
        contact: Option<&str>,
        addresses: Vec<String>,
        domains: Option<Vec<String>>,
    ) -> Self {
        let domains = domains.unwrap_or_else(|| contact.and_then(own_domain).into_iter().collect());
        Self::Limited { addresses, domains }
    }

    fn allows(&self, contact: Option<&str>, client_email: &str) -> bool {
        let Self::Limited { addresses, domains } = self else { return true };
        // The library that sends the mail also parses the address here, so that both use the same
        // domain.
        let Ok(address) = client_email.parse::<Address>() else { return false };
        let mut listed = addresses.iter().map(String::as_str).chain(contact);
        listed.any(|listed| listed.eq_ignore_ascii_case(client_email))
            || domains.iter().any(|domain| domain.eq_ignore_ascii_case(address.domain()))
    }
}

impl fmt::Display for RecipientRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Limited { addresses, domains } = self else { return f.write_str("any address") };
        f.write_str("the contact")?;
        addresses.iter().try_for_each(|address| write!(f, ", {address}"))?;
        domains.iter().try_for_each(|domain| write!(f, ", *@{domain}"))
    }
}

/// Returns the recipient of mail about an import whose manifest names `client_email`.
pub fn recipient(rule: &RecipientRule, contact: Option<&str>, client_email: &str) -> Recipient {
    if rule.allows(contact, client_email) {
        return Recipient { address: Some(client_email.to_owned()), warning: None };
    }
    let consequence = match contact {
        Some(_) => "mail about this import goes to the account's contact",
        None => "the account has no contact, and no mail about this import is sent",
    };
    let warning = format!(
        "clientEmail is {client_email}, which may not get mail of this account: {consequence}"
    );
    Recipient { address: contact.map(str::to_owned), warning: Some(warning) }
}

/// Returns the domain of a mail address in lower case. Returns `None` if everybody can get an
/// address at the domain.
fn own_domain(address: &str) -> Option<String> {
    let address: Address = address.parse().ok()?;
    let domain = address.domain().to_ascii_lowercase();
    let is_name = domain.parse::<std::net::IpAddr>().is_err() && !domain.starts_with('[');
    (is_name && !is_free_mail(&domain)).then_some(domain)
}

/// Returns whether everybody can get a mail address at `domain`. `domain` is in lower case.
fn is_free_mail(domain: &str) -> bool {
    let of_any_ending = domain.split_once('.').is_some_and(|(provider, ending)| {
        let ending = ending.strip_prefix("co.").or(ending.strip_prefix("com.")).unwrap_or(ending);
        FREE_MAIL_ANY_ENDING.contains(&provider) && !ending.contains('.')
    });
    of_any_ending || FREE_MAIL.contains(&domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(addresses: &[&str], domains: &[&str]) -> RecipientRule {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        RecipientRule::Limited { addresses: owned(addresses), domains: owned(domains) }
    }

    fn allows(rule: &RecipientRule, client_email: &str) -> bool {
        rule.allows(Some("ops@acme.example"), client_email)
    }

    #[test]
    fn domains_match_exactly_but_ignore_case() {
        let rule = limited(&[], &["example.com", "example.org"]);
        for (address, allowed) in [
            ("a@example.com", true),
            ("a@EXAMPLE.org", true),
            ("a@evil-example.com", false),
            ("a@evilexample.com", false),
            ("a@example.com.evil.net", false),
            ("a@sub.example.com", false),
            ("a@com", false),
        ] {
            assert_eq!(allows(&rule, address), allowed, "{address}");
        }
        assert!(allows(&limited(&[], &["Example.COM"]), "a@example.com"));
    }

    #[test]
    fn the_domain_follows_the_last_at_sign() {
        let rule = limited(&[], &["example.com"]);
        for (address, allowed) in [
            (r#""@example.com@"@evil.net"#, false),
            (r#""a@example.com"@evil.net"#, false),
            (r#""@evil.net@"@example.com"#, true),
            ("a@evil.net@example.com", false),
            (r#"a@"x@example.com""#, false),
            ("a@[x@example.com]", false),
            ("example.com", false),
            ("", false),
        ] {
            assert_eq!(allows(&rule, address), allowed, "{address}");
        }
    }

    #[test]
    fn the_contact_and_listed_addresses_are_allowed() {
        let rule = limited(&["jane@partner.example"], &[]);
        for (address, allowed) in [
            ("ops@acme.example", true),
            ("OPS@acme.example", true),
            ("Jane@Partner.example", true),
            ("john@acme.example", false),
            ("john@partner.example", false),
            ("jane@partner.example.evil.net", false),
        ] {
            assert_eq!(allows(&rule, address), allowed, "{address}");
        }
        assert!(!rule.allows(None, "ops@acme.example"));
    }

    #[test]
    fn the_contact_replaces_disallowed_addresses() {
        let rule = limited(&[], &["acme.example"]);
        let contact = Some("ops@acme.example");
        let allowed = recipient(&rule, contact, "data@acme.example");
        assert_eq!(
            (allowed.address.as_deref(), allowed.warning),
            (Some("data@acme.example"), None)
        );
        let other = recipient(&rule, contact, "victim@evil.net");
        assert_eq!(other.address.as_deref(), contact);
        let warning = other.warning.unwrap();
        assert!(warning.starts_with("clientEmail is victim@evil.net, "), "{warning}");
        assert!(warning.ends_with("goes to the account's contact"), "{warning}");
        let nobody = recipient(&rule, None, "victim@evil.net");
        assert_eq!(nobody.address, None);
        assert!(nobody.warning.unwrap().ends_with("no mail about this import is sent"));
        let any = recipient(&RecipientRule::Any, None, "victim@evil.net");
        assert_eq!((any.address.as_deref(), any.warning), (Some("victim@evil.net"), None));
    }

    #[test]
    fn the_default_rule_allows_the_contact_domain() {
        let domains = |contact| match RecipientRule::limited(Some(contact), Vec::new(), None) {
            RecipientRule::Limited { domains, .. } => domains.join(" "),
            RecipientRule::Any => "any".into(),
        };
        assert_eq!(domains("ops@Acme.example"), "acme.example");
        assert_eq!(domains("ops@yahoo.acme.example"), "yahoo.acme.example");
        assert_eq!(domains(r#""@acme.example@"@other.example"#), "other.example");
        for contact in [
            "a@gmail.com",
            "a@GMAIL.com",
            "a@yahoo.co.uk",
            "a@outlook.com",
            "a@[192.0.2.1]",
            "no address",
        ] {
            assert_eq!(domains(contact), "", "{contact}");
        }
        let chosen = RecipientRule::limited(Some("a@b.c"), Vec::new(), Some(Vec::new()));
        assert_eq!(chosen, limited(&[], &[]));
        assert_eq!(RecipientRule::limited(None, Vec::new(), None), limited(&[], &[]));
    }

    #[test]
    fn a_recipient_rule_prints_as_one_line() {
        assert_eq!(RecipientRule::Any.to_string(), "any address");
        let rule = limited(&["a@b.c"], &["d.e"]);
        assert_eq!(rule.to_string(), "the contact, a@b.c, *@d.e");
    }
}
