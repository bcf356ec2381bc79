//! Guesses the manifest of a data file: its encoding, delimiter and quoting, the meaning and the types of
//! its columns. Pure: it reads the given stream.
//!
//! | step | file |
//! |---|---|
//! | encoding, delimiter and quoting, from the first MiB | `text` |
//! | counts over the cells of every column | `survey`, `column` |
//! | meaning of columns by their names | `names` |
//! | types by values | `types` |
//! | texts that mean empty cells | `nulls` |
//! | the manifest, with the questions that are open | `proposal`, `meaning`, `property` |
//!
//! Every record is read: a sample would miss the one cell in the last part of a sorted file that
//! is no number, and the digest needs the whole file anyway.
//!
//! Invariants: the same bytes and answers give the same proposal; a proposal without questions has
//! a valid manifest; a guess that is not certain is a question or a note.

mod column;
mod meaning;
mod names;
mod nulls;
mod property;
mod proposal;
mod question;
mod survey;
mod text;
mod types;

pub use proposal::{Draft, Proposal, ProposedColumn, propose};
pub use question::{Answers, Choice, Question, Topic, delimiter_named};
pub use survey::Survey;
pub use text::{TextGuess, guess_text};

#[cfg(test)]
mod tests;
