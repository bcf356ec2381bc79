//! `sftp-import check`: the rules of an import, offline, with nothing stored.

use std::path::PathBuf;
use std::sync::Arc;

use super::context::{CliResult, Context};
use super::{progress, report};
use crate::import::{self, ErrorFolder, Local, Monitor};

/// `sftp-import check`
#[derive(Debug, clap::Args)]
pub struct CheckArguments {
    /// The manifest; the data file lies in the same folder
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    /// Write the error files into this folder
    #[arg(long, value_name = "FOLDER")]
    errors: Option<PathBuf>,
}

/// Checks each manifest; the answer is good when every one would import whole.
///
/// # Errors
/// A manifest can't be read, or the configuration.
pub fn run(arguments: CheckArguments, context: &Context) -> CliResult {
    let config = context.config()?;
    let mut clean = true;
    let mut reports = Vec::new();
    for path in &arguments.manifests {
        let local = Local::open(path, &config.limits)?;
        let mut errors = match &arguments.errors {
            Some(folder) => ErrorFolder::create(folder, local.stem())?,
            None => ErrorFolder::none(),
        };
        let monitor = Arc::new(Monitor::default());
        let checked = progress::shown(&monitor, || {
            import::check(&local, &config.limits, &mut errors, &monitor)
        });
        errors.keep()?;
        if let Some(report) = checked {
            clean &= report.is_clean();
            reports.push(report);
        }
    }
    match reports.as_slice() {
        [one] => report::print(one, context.output())?,
        all => {
            context.output().json(&all)?;
            for one in all {
                report::print_text(one, context.output())?;
            }
        }
    }
    Ok(clean)
}
