//! [`confirm`]: asks before an account is removed or erased.

use std::io::{self, IsTerminal, Write};

use super::context::CliError;
use crate::account::AccountId;

/// Asks on a terminal to type the account's id. Elsewhere the answer is no.
///
/// # Errors
/// Also if the answer is no: `refusal`, with the `command` that does not ask as its hint.
pub(super) fn confirm(
    id: &AccountId,
    question: &str,
    refusal: &str,
    command: &str,
) -> Result<(), CliError> {
    if io::stdin().is_terminal() {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{question} Type its id: ")?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if answer.trim() == id.as_str() {
            return Ok(());
        }
    }
    Err(CliError::new(refusal).hint(command))
}
