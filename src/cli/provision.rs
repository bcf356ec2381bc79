//! `sftp-import provision`: repairs drift; every account's user, folders and keys.

use serde::Serialize;

use super::account::hinted;
use super::key::publish;
use super::{CliResult, Context, require_root};
use crate::provision::reconcile;

/// What `provision --json` prints.
#[derive(Serialize)]
struct Outcome {
    done: Vec<String>,
    refused: Vec<String>,
}

/// Runs the command. Answers no (exit 1) when something was refused.
///
/// # Errors
/// The host failed us; what was done by then stays.
pub fn run(context: &Context) -> CliResult {
    require_root()?;
    let config = context.config()?;
    let state = context.state(&config)?;
    // First, for a removal that goes on here ends the sessions of keys that must not work any more.
    publish(&config, &state)?;
    let plan = reconcile(&config, &state).map_err(hinted)?;
    let outcome = Outcome {
        done: plan.steps.iter().map(ToString::to_string).collect(),
        refused: plan.refusals.iter().map(ToString::to_string).collect(),
    };
    let output = context.output();
    output.json(&outcome)?;
    for line in &outcome.done {
        output.line(line)?;
    }
    for refusal in &outcome.refused {
        output.error(refusal, None);
    }
    if outcome.done.is_empty() && outcome.refused.is_empty() {
        output.line("all users and folders are as they should be; the keys are published")?;
    }
    Ok(outcome.refused.is_empty())
}
