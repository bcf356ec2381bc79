//! Implements the command `sftp-import provision`, which makes users, folders, keys and the state
//! database match the registry.

use jiff::Timestamp;
use serde::Serialize;

use crate::account_state::AccountState;
use crate::admission::{Admission, copy_all};
use crate::cli::context::{CliContext, CliError, CliResult, require_root};
use crate::key;
use crate::provision::reconcile;
use crate::registry::{Account, accounts};

/// The JSON output of the command `provision`.
#[derive(Serialize)]
struct ProvisionOutput {
    done: Vec<String>,
    refused: Vec<String>,
}

/// Runs `provision`. The exit status is 1 if a change was refused.
///
/// # Errors
/// After an error, the changes made so far remain.
pub fn run(context: &CliContext) -> CliResult {
    require_root()?;
    let config = context.config()?;
    let registry = context.registry(&config)?;
    let admission = Admission::of_root(&config, &registry);
    // The keys are published before users are removed. A removal that continues here ends sessions,
    // and their keys must no longer work then.
    key::publish(&registry, &config, Timestamp::now())?;
    let mut removed = registry.read(accounts::list)?;
    removed.retain(|account| account.state == AccountState::Removing);
    let plan = reconcile(&config, &registry)?;
    // The state database is changed last, because the daemon's user can lock or damage it.
    let copied = copy_registry(&admission, &removed, context);
    let outcome = ProvisionOutput {
        done: plan
            .steps
            .iter()
            .map(ToString::to_string)
            .chain(copied.as_deref().unwrap_or_default().iter().cloned())
            .collect(),
        refused: plan.refusals.iter().map(ToString::to_string).collect(),
    };
    print(&outcome, copied.is_ok(), context)?;
    copied.map(|_| outcome.refused.is_empty())
}

/// Copies the registry to the state database, and deletes the rows of the `removed` accounts. Their
/// users and folders are already deleted. Returns the changes.
fn copy_registry(
    admission: &Admission<'_>,
    removed: &[Account],
    context: &CliContext,
) -> Result<Vec<String>, CliError> {
    let state = context.state(admission.config)?;
    let now = Timestamp::now();
    let changes = copy_all(admission.registry, &state, now)?;
    for account in removed {
        admission.forget(&state, now, &account.id)?;
    }
    Ok(changes.iter().map(|change| format!("state database: {change}")).collect())
}

fn print(outcome: &ProvisionOutput, copied: bool, context: &CliContext) -> Result<(), CliError> {
    let output = context.output();
    output.json(outcome)?;
    for line in &outcome.done {
        output.line(line)?;
    }
    for refusal in &outcome.refused {
        output.error(refusal, None);
    }
    if outcome.done.is_empty() && outcome.refused.is_empty() && copied {
        output.line("all users and folders match the registry; the keys are published")?;
    }
    Ok(())
}
