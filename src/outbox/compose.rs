//! [`Composer`]: composes and sends the mail of one delivery, or of a batch of deliveries.

use std::io::Read as _;
use std::sync::Arc;

use tracing::warn;

use super::batching::is_import_end;
use super::mail::Mailer;
use super::mail::attachment::{AttachmentSizes, Attachments, Enclosure};
use super::mail::message::MailDraft;
use super::mail::sample_records::{MAX_SCANNED, find_samples};
use super::mail::text::MailContent;
use super::mail::text::milestone::{MilestoneDetails, TOP_REJECTIONS};
use super::milestone::MilestoneBody;
use super::notice::NoticeBody;
use super::notice::endpoint_disabled::{self, EndpointDisabled};
use super::notice::files_unclaimed::{self, FilesUnclaimed};
use super::retry::AttemptOutcome;
use crate::config::Mail;
use crate::import_id::ImportId;
use crate::report::Report;
use crate::state::deliveries::DeliveryTask;

/// Composes and sends mails.
pub(super) struct Composer {
    mailer: Mailer,
    attachments: Arc<dyn Attachments>,
    sizes: AttachmentSizes,
}

impl Composer {
    pub(super) fn new(config: &Mail, attachments: Arc<dyn Attachments>) -> Self {
        Self { mailer: Mailer::new(config), attachments, sizes: AttachmentSizes::new(config) }
    }

    /// Sends the deliveries `tasks` as one mail. All of them have the same address and concern
    /// imports of one account.
    pub(super) fn send(&self, tasks: &[(i64, DeliveryTask)]) -> AttemptOutcome {
        self.try_send(tasks).unwrap_or_else(|error| {
            AttemptOutcome::Never(format!("the milestone can't be read: {error}"))
        })
    }

    fn try_send(&self, tasks: &[(i64, DeliveryTask)]) -> serde_json::Result<AttemptOutcome> {
        let body = tasks[0].1.milestone.body.as_str();
        match tasks[0].1.milestone.kind.as_str() {
            endpoint_disabled::KIND => {
                let body: NoticeBody<EndpointDisabled> = serde_json::from_str(body)?;
                Ok(self.send_mail(tasks, MailContent::EndpointDisabled(&body.data), Vec::new()))
            }
            files_unclaimed::KIND => {
                let body: NoticeBody<FilesUnclaimed> = serde_json::from_str(body)?;
                Ok(self.send_mail(tasks, MailContent::FilesUnclaimed(&body.data), Vec::new()))
            }
            _ => self.send_milestones(tasks),
        }
    }

    fn send_milestones(&self, tasks: &[(i64, DeliveryTask)]) -> serde_json::Result<AttemptOutcome> {
        // In a batch, the mail about an import's end also covers the earlier milestones of the
        // import.
        let is_listed = |task: &DeliveryTask| tasks.len() == 1 || is_import_end(task);
        let listed = tasks.iter().map(|(_, task)| task).filter(|task| is_listed(task));
        let milestones: Vec<MilestoneDetails> =
            listed.map(|task| self.read_details(task)).collect::<serde_json::Result<_>>()?;
        let error_files = self.enclose_all(&milestones);
        let content = match milestones.as_slice() {
            [one] => MailContent::Milestone(one),
            several => MailContent::Digest(several),
        };
        Ok(self.send_mail(tasks, content, error_files))
    }

    fn send_mail(
        &self,
        tasks: &[(i64, DeliveryTask)],
        content: MailContent<'_>,
        error_files: Vec<Enclosure>,
    ) -> AttemptOutcome {
        let task = &tasks[0].1;
        let (id, to) = (&message_id(tasks), &task.destination);
        self.mailer.send(&MailDraft { content, id, at: task.milestone.at, to, error_files })
    }

    fn read_details(&self, task: &DeliveryTask) -> serde_json::Result<MilestoneDetails> {
        let body: MilestoneBody = serde_json::from_str(&task.milestone.body)?;
        let samples = self.read_samples(&body.data);
        Ok(MilestoneDetails { milestone: body.milestone, report: body.data, samples })
    }

    /// Returns a sample record for each of the most frequent rejections. Returns an empty list if
    /// the error file cannot be opened.
    fn read_samples(&self, report: &Report) -> Vec<Option<String>> {
        let (Some(name), Some(account)) = (&report.error_file, &report.account) else {
            return Vec::new();
        };
        let import = report.import.as_ref();
        let Ok((file, _)) = self.attachments.open(account, import, name) else {
            return Vec::new();
        };
        let mut head = Vec::new();
        // A read error is ignored: the bytes read so far are enough.
        let _ = file.take(MAX_SCANNED).read_to_end(&mut head);
        let top = report.rejections.iter().take(TOP_REJECTIONS);
        find_samples(&head, top.map(|rejection| rejection.message.as_str()))
    }

    /// Returns each import's error file, or the reason why the file is not attached. The total size
    /// of the attached files is at most the size limit for one file.
    fn enclose_all(&self, milestones: &[MilestoneDetails]) -> Vec<Enclosure> {
        let mut attached = 0;
        let enclosures = milestones.iter().map(|details| match self.enclose(&details.report) {
            Enclosure::Attached(_, content) if !self.sizes.has_room(attached, &content) => {
                Enclosure::Named(
                    "the file is too large to attach with the other error files".to_owned(),
                )
            }
            enclosure => {
                attached += enclosure.len();
                enclosure
            }
        });
        enclosures.collect()
    }

    /// Returns the error file of `report`, or the reason why the file is not attached.
    fn enclose(&self, report: &Report) -> Enclosure {
        let (Some(name), Some(account)) = (&report.error_file, &report.account) else {
            return Enclosure::None;
        };
        let opened = self.attachments.open(account, report.import.as_ref(), name);
        opened.and_then(|(file, len)| self.sizes.pack(name, file, len)).unwrap_or_else(|error| {
            let import = report.import.as_ref().map(ImportId::as_str);
            warn!(account, import, %error, "the error file can't be attached");
            Enclosure::Named("the file could not be attached".to_owned())
        })
    }
}

/// Returns the local part of the mail's Message-ID. The same deliveries always have the same
/// Message-ID.
fn message_id(tasks: &[(i64, DeliveryTask)]) -> String {
    let (first, task) = &tasks[0];
    let message = &task.milestone.id;
    match tasks.last() {
        Some((last, _)) if last != first => format!("{message}.d{first}-{last}.{}", tasks.len()),
        _ => format!("{message}.d{first}"),
    }
}
