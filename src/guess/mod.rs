//! Guesses the manifest of a data file: the encoding, the delimiter, the quoting, and the meaning
//! and type of each column. The only input is the given stream.
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
//! All records are read and not only a sample. In a sorted file, a sample could miss a single cell
//! near the end that is not a number. The whole file must be read anyway to compute its digest.
//!
//! Invariants: the same bytes and answers result in the same proposal. A proposal without questions
//! has a valid manifest. Every uncertain guess results in a question or a note.

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
