//! [`confirm`]: asks before an account is removed or erased.

use std::io::{self, IsTerminal, Write};

use super::context::CliError;
use crate::account::AccountId;

/// On a terminal, asks the user to type the account's id. Elsewhere the answer is no.
///
/// # Errors
/// If the answer is no, the error is `refusal`. Its hint is `command`, which does not ask.
pub(super) fn confirm(
    id: &AccountId,
    question: &str,
    refusal: &str,
    command: &str,
) -> Result<(), CliError> {
    if io::stdin().is_terminal() {
        let mut stderr = io::stderr().lock();
        write!(stderr, "{question} Type the account's id: ")?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer)?;
        if answer.trim() == id.as_str() {
            return Ok(());
        }
    }
    Err(CliError::new(refusal).hint(command))
}
