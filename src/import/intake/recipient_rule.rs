//! Converts the result of parsing a manifest into the verdict that pairing uses. Pure.

use crate::manifest::{Manifest, ManifestErrors};
use crate::spool::{ManifestValues, ParsedManifest};

/// Returns the verdict of a parsed manifest.
pub fn verdict(parsed: Result<Manifest, ManifestErrors>) -> ParsedManifest {
    match parsed {
        Ok(manifest) => ParsedManifest::Valid {
            data_type: manifest.data_type,
            data_file: manifest.file_name,
            client_email: manifest.client_email,
        },
        Err(errors) => ParsedManifest::Invalid {
            values: ManifestValues {
                data_type: errors.data_type,
                data_file: errors.file_name.clone(),
                client_email: errors.client_email.clone(),
            },
            findings: errors.into_failure().detail,
        },
    }
}
