//! Warns of properties whose type differs from the type in earlier imports of the account. A query
//! over all imports can fail for such properties.

use crate::account::AccountId;
use crate::records::Property;
use crate::report::{ImportState, Report};
use crate::sanitize::excerpt;
use crate::state::{self, State, Transaction, property_types};

/// The maximum number of properties whose changed types the report names.
const MAX_WARNINGS: usize = 10;

/// Adds a warning to the report of a completed import for each property whose type has changed.
pub fn warn(
    state: &State,
    account: &AccountId,
    report: &mut Report,
    properties: &[Property],
) -> state::Result<()> {
    let Some(data_type) = report.data_type else { return Ok(()) };
    if report.state != ImportState::Completed {
        return Ok(());
    }
    let changed = state.read(|tx| {
        let mut changed = Vec::new();
        for property in properties {
            let typed = (property.name.as_str(), property.kind);
            let others = property_types::list_others(tx, account, data_type, typed)?;
            if !others.is_empty() {
                changed.push((property, others));
            }
        }
        Ok::<_, state::Error>(changed)
    })?;
    report.warnings.extend(warnings(&changed));
    Ok(())
}

/// Records the types of the properties that a completed import stored.
pub fn record(
    tx: &Transaction<'_>,
    account: &AccountId,
    report: &Report,
    properties: &[Property],
) -> state::Result<()> {
    match report.data_type {
        Some(data_type) if report.state == ImportState::Completed && !report.dry_run => {
            let types = properties.iter().map(|property| (property.name.as_str(), property.kind));
            property_types::record(tx, account, data_type, types)
        }
        _ => Ok(()),
    }
}

/// Returns the warnings about `changed`, which are properties with their types in earlier imports.
fn warnings(changed: &[(&Property, Vec<String>)]) -> Vec<String> {
    let named = changed.iter().take(MAX_WARNINGS).map(|(property, others)| {
        let (name, kind) = (excerpt(&property.name), property.kind.as_str());
        format!(
            "the property {name} has the type {kind}, but earlier imports stored it as {}",
            others.join(", ")
        )
    });
    let more = changed.len().saturating_sub(MAX_WARNINGS);
    let rest = format!("{more} more properties have another type than in earlier imports");
    named.chain((more > 0).then_some(rest)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::PropertyType;

    #[test]
    fn warnings_name_at_most_ten_properties() {
        let property = Property { name: "p\u{200b}".into(), kind: PropertyType::Date };
        let changed = vec![(&property, vec!["FLOAT".to_owned(), "LONG".to_owned()]); 12];
        let warnings = warnings(&changed);
        assert_eq!(warnings.len(), 11);
        assert_eq!(
            warnings[9],
            "the property p\\u{200b} has the type DATE, but earlier imports stored it as FLOAT, LONG"
        );
        assert_eq!(warnings[10], "2 more properties have another type than in earlier imports");
    }
}
