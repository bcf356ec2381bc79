//! Asks questions on the terminal. [`confirm`] asks before an account is removed or erased.
//! [`choose`] asks the user to choose between several readings of a file.

use std::io::{self, IsTerminal, Write};

use super::context::CliError;
use crate::account::AccountId;
use crate::sanitize::printable;

/// On a terminal, asks the user to type the account's id. Without a terminal the answer is no.
///
/// # Errors
/// If the answer is no, the error is `refusal`. Its hint is `command`, which runs without a
/// question.
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

/// Returns whether a user can answer questions on the terminal.
pub(super) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on the terminal for one of `choices`, by number. An empty line chooses the first. Returns
/// the index of the choice. `None` at the end of the input.
pub(super) fn choose(question: &str, choices: &[String]) -> io::Result<Option<usize>> {
    let mut stderr = io::stderr().lock();
    writeln!(stderr, "{}", printable(question))?;
    for (number, choice) in (1..).zip(choices) {
        writeln!(stderr, "  {number}) {}", printable(choice))?;
    }
    loop {
        write!(stderr, "choose a number from 1 to {} [1]: ", choices.len())?;
        stderr.flush()?;
        let mut answer = String::new();
        if io::stdin().read_line(&mut answer)? == 0 {
            return Ok(None);
        }
        match answer.trim() {
            "" => return Ok(Some(0)),
            number => match number.parse::<usize>() {
                Ok(number) if (1..=choices.len()).contains(&number) => return Ok(Some(number - 1)),
                _ => {}
            },
        }
    }
}
