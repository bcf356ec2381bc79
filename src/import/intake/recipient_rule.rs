//! Converts the result of parsing a manifest into the verdict that pairing uses. Pure.

use crate::manifest::{Manifest, ManifestErrors};
use crate::spool::pairing::{Known, Verdict};

/// Returns the verdict of a parsed manifest.
pub fn verdict(parsed: Result<Manifest, ManifestErrors>) -> Verdict {
    match parsed {
        Ok(manifest) => Verdict::Valid {
            data_type: manifest.data_type,
            data_file: manifest.file_name,
            client_email: manifest.client_email,
        },
        Err(errors) => Verdict::Invalid {
            known: Known {
                data_type: errors.data_type,
                data_file: errors.file_name.clone(),
                client_email: errors.client_email.clone(),
            },
            findings: errors.into_failure().detail,
        },
    }
}
