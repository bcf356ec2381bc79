//! Composes the mail of a delivery, or of a batch: its content and the error files attached.

use std::io::Read as _;

use tracing::warn;

use super::attempt::Courier;
use super::batching::tells_an_end;
use super::mail::sample_records;
use super::mail::sample_records::samples;
use super::mail::text::TOP_REJECTIONS;
use super::mail::{About, Enclosure, Letter};
use super::milestone::{Body, Milestone};
use super::notice::files_unclaimed;
use super::notice::files_unclaimed::FilesUnclaimed;
use super::notice::{self, EndpointDisabled};
use super::retry::Outcome;
use super::told::Told;
use crate::import_id::ImportId;
use crate::report::Report;
use crate::state::deliveries::DeliveryTask;

impl Courier {
    /// Sends `tasks`, which have one address, as one mail. Several are of imports of one account.
    pub(super) fn mail(&self, tasks: &[(i64, DeliveryTask)]) -> Outcome {
        let sent = match tasks {
            [(_, task)] => match task.milestone.kind.as_str() {
                notice::KIND => self.mail_endpoint(tasks),
                files_unclaimed::KIND => self.mail_unclaimed(tasks),
                _ => self.mail_milestones(tasks),
            },
            _ => self.mail_milestones(tasks),
        };
        sent.unwrap_or_else(|error| Outcome::Never(format!("the milestone can't be read: {error}")))
    }

    fn mail_endpoint(&self, tasks: &[(i64, DeliveryTask)]) -> serde_json::Result<Outcome> {
        let body: notice::Body<EndpointDisabled> =
            serde_json::from_str(&tasks[0].1.milestone.body)?;
        Ok(self.mail_about(tasks, About::Endpoint(&body.data), Vec::new()))
    }

    fn mail_unclaimed(&self, tasks: &[(i64, DeliveryTask)]) -> serde_json::Result<Outcome> {
        let body: notice::Body<FilesUnclaimed> = serde_json::from_str(&tasks[0].1.milestone.body)?;
        Ok(self.mail_about(tasks, About::Unclaimed(&body.data), Vec::new()))
    }

    fn mail_milestones(&self, tasks: &[(i64, DeliveryTask)]) -> serde_json::Result<Outcome> {
        // In a batch, an import's end covers its earlier milestones.
        let is_told = |task: &DeliveryTask| tasks.len() == 1 || tells_an_end(task);
        let told = tasks.iter().filter(|(_, task)| is_told(task)).map(|(_, task)| self.told(task));
        let told: Vec<Told> = told.collect::<serde_json::Result<_>>()?;
        let error_files = self.enclosures(&told);
        let about = match told.as_slice() {
            [one] => About::Import(one),
            several => About::Several(several),
        };
        Ok(self.mail_about(tasks, about, error_files))
    }

    fn mail_about(
        &self,
        tasks: &[(i64, DeliveryTask)],
        about: About<'_>,
        error_files: Vec<Enclosure>,
    ) -> Outcome {
        let task = &tasks[0].1;
        let (id, to) = (&id(tasks), &task.destination);
        self.mailer.send(&Letter { about, id, at: task.milestone.at, to, error_files })
    }

    fn told(&self, task: &DeliveryTask) -> serde_json::Result<Told> {
        let body: Body<Milestone> = serde_json::from_str(&task.milestone.body)?;
        let samples = self.samples(&body.data);
        Ok(Told { milestone: body.milestone, report: body.data, samples })
    }

    /// Returns a sample for each of the most frequent rejections; none if the error file is gone.
    fn samples(&self, report: &Report) -> Vec<Option<String>> {
        let (Some(name), Some(account)) = (&report.error_file, &report.account) else {
            return Vec::new();
        };
        let Ok((file, _)) = self.attachments.open(account, name) else { return Vec::new() };
        let mut head = Vec::new();
        // The bytes before a read error are enough.
        let _ = file.take(sample_records::HEAD).read_to_end(&mut head);
        let top = report.rejections.iter().take(TOP_REJECTIONS);
        samples(&head, top.map(|rejection| rejection.message.as_str()))
    }

    /// Returns each import's error file, or the reason why it is not attached. Their total size is
    /// within the limit for one file.
    fn enclosures(&self, told: &[Told]) -> Vec<Enclosure> {
        let mut attached = 0;
        let all = told.iter().map(|told| match self.enclosure(&told.report) {
            Enclosure::Attached(_, content) if !self.packing.has_room(attached, &content) => {
                Enclosure::Named("too large with the others".to_owned())
            }
            enclosure => {
                attached += enclosure.len();
                enclosure
            }
        });
        all.collect()
    }

    /// Returns the error file of `report`, or the reason why it is not attached.
    fn enclosure(&self, report: &Report) -> Enclosure {
        let (Some(name), Some(account)) = (&report.error_file, &report.account) else {
            return Enclosure::None;
        };
        match self
            .attachments
            .open(account, name)
            .and_then(|(file, len)| self.packing.pack(name, file, len))
        {
            Ok(enclosure) => enclosure,
            Err(error) => {
                let import = report.import.as_ref().map(ImportId::as_str);
                warn!(account, import, %error, "the error file can't be attached");
                Enclosure::Named("it could not be attached".to_owned())
            }
        }
    }
}

/// Returns the local part of the Message-ID: the same deliveries have the same one.
fn id(tasks: &[(i64, DeliveryTask)]) -> String {
    let (first, task) = &tasks[0];
    let message = &task.milestone.id;
    match tasks.last() {
        Some((last, _)) if last != first => format!("{message}.d{first}-{last}.{}", tasks.len()),
        _ => format!("{message}.d{first}"),
    }
}
