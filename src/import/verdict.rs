//! What a manifest means for pairing, with the account's recipient rule applied. Pure.

use crate::manifest::{Manifest, ManifestErrors};
use crate::spool::pair::{Known, Verdict};

/// What a parsed manifest means for pairing, by the account's recipient rule.
pub(super) fn verdict(
    parsed: Result<Manifest, ManifestErrors>,
    domains: Option<&[String]>,
) -> Verdict {
    match parsed {
        Ok(manifest) => match recipient_refused(&manifest.client_email, domains) {
            None => Verdict::Valid {
                data_type: manifest.data_type,
                data_file: manifest.file_name,
                client_email: manifest.client_email,
            },
            Some(findings) => Verdict::Invalid {
                findings,
                known: Known {
                    data_type: Some(manifest.data_type),
                    data_file: Some(manifest.file_name),
                    client_email: None,
                },
            },
        },
        Err(errors) => {
            let client_email = errors
                .client_email
                .clone()
                .filter(|email| recipient_refused(email, domains).is_none());
            Verdict::Invalid {
                known: Known {
                    data_type: errors.data_type,
                    data_file: errors.file_name.clone(),
                    client_email,
                },
                findings: errors.into_failure().detail,
            }
        }
    }
}

/// Why mail must not go to `email`, by the account's recipient rule.
fn recipient_refused(email: &str, domains: Option<&[String]>) -> Option<String> {
    let domains = domains?;
    let domain = email.rsplit('@').next().unwrap_or_default();
    let allowed = domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain));
    (!allowed).then(|| {
        format!(
            "clientEmail is {email}, but mail about this account goes to addresses at {} only",
            domains.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipient_rule_is_by_whole_domain() {
        let domains = ["example.com".to_owned(), "example.org".to_owned()];
        for (email, refused) in [
            ("a@example.com", false),
            ("a@EXAMPLE.org", false),
            ("a@evil-example.com", true),
            ("a@example.com.evil.net", true),
        ] {
            assert_eq!(recipient_refused(email, Some(&domains)).is_some(), refused, "{email}");
        }
        assert_eq!(recipient_refused("a@anywhere.net", None), None);
    }
}
