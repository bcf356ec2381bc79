//! [`write_texts`]: the subject, text and HTML of every mail, from the templates/ folder. Pure.

mod digest;
mod endpoint_disabled;
mod files_unclaimed;
pub mod milestone;
pub(super) mod parts;
mod wording;

use milestone::MilestoneDetails;
use parts::MailTexts;

use super::attachment::Enclosure;
use crate::outbox::notice::endpoint_disabled::EndpointDisabled;
use crate::outbox::notice::files_unclaimed::FilesUnclaimed;

/// The content of a mail, before its texts are written.
#[derive(Clone, Copy, Debug)]
pub enum MailContent<'a> {
    Milestone(&'a MilestoneDetails),
    /// The mail is about the ends of several imports of one account.
    Digest(&'a [MilestoneDetails]),
    EndpointDisabled(&'a EndpointDisabled),
    FilesUnclaimed(&'a FilesUnclaimed),
}

/// Returns the texts of a mail. `content` is what the mail is about, and the error files are those
/// of its imports.
pub(super) fn write_texts(
    content: MailContent<'_>,
    error_files: &[Enclosure],
) -> Result<MailTexts, askama::Error> {
    match content {
        MailContent::Milestone(details) => {
            milestone::write_texts(details, error_files.first().unwrap_or(&Enclosure::None))
        }
        MailContent::Digest(imports) => digest::write_texts(imports, error_files),
        MailContent::EndpointDisabled(notice) => endpoint_disabled::write_texts(notice),
        MailContent::FilesUnclaimed(notice) => files_unclaimed::write_texts(notice),
    }
}

#[cfg(test)]
mod tests;
