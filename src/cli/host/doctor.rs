//! Implements the command `sftp-import doctor`, which prints the findings of all checks. The worst
//! finding decides the exit status.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anstyle::Style;
use serde::Serialize;

use crate::account::AccountId;
use crate::cli::context::{CliContext, CliError, require_root};
use crate::cli::output::{BAD, FAINT, FAIR, GOOD, Output, PLAIN, STRONG, StyledLine};
use crate::doctor::{CheckScope, Finding, Level, examine};
use crate::sshd;

/// The maximum number of accounts for which the text output shows similar findings.
const SHOWN: usize = 3;

/// The exit status of `doctor` is 0 without findings, 1 with warnings, and 2 with failures.
#[derive(Debug, clap::Args)]
pub struct DoctorArguments {
    /// Check only this account, and everything that it depends on
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// The configuration of the sshd that accounts log in to [default: node.sshd-config, or
    /// the host's or the dedicated sshd's]
    #[arg(long, value_name = "FILE")]
    sshd_config: Option<PathBuf>,
    /// The client address that is assumed in sshd's `Match` blocks
    #[arg(long, value_name = "ADDRESS", default_value = "192.0.2.1")]
    from: std::net::IpAddr,
}

pub fn run(arguments: DoctorArguments, context: &CliContext) -> ExitCode {
    match examine_host(arguments, context)
        .and_then(|findings| Ok(print(&findings, context.output())?))
    {
        Ok(Level::Ok) => ExitCode::SUCCESS,
        Ok(Level::Warn) => ExitCode::from(1),
        Ok(Level::Fail) => ExitCode::from(2),
        Err(error) => {
            context.finish(Err(error));
            ExitCode::from(2)
        }
    }
}

fn examine_host(
    arguments: DoctorArguments,
    context: &CliContext,
) -> Result<Vec<Finding>, CliError> {
    require_root()?;
    let config = context.config().map_err(|error: CliError| {
        error.hint(
            "run `sftp-import config check`; the daemon would not start with this configuration",
        )
    })?;
    let DoctorArguments { account, sshd_config, from } = arguments;
    let sshd_config =
        sshd_config.unwrap_or_else(|| sshd::config_for_accounts(&config.node).to_owned());
    Ok(examine(&config, &CheckScope { account, sshd_config, from: from.to_string() }))
}

/// The output of the command `doctor --json`.
#[derive(Serialize)]
struct DoctorOutput<'a> {
    verdict: Level,
    findings: &'a [Finding],
}

/// Prints `findings`, and returns the worst level among them.
fn print(findings: &[Finding], output: &Output) -> io::Result<Level> {
    let verdict = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    output.json(&DoctorOutput { verdict, findings })?;
    let mut group = None;
    for alike in findings.chunk_by(are_alike) {
        if alike[0].group() != group {
            group = alike[0].group();
            output.styled(&StyledLine::new(STRONG, group.unwrap_or_default()))?;
        }
        fold(alike).iter().try_for_each(|line| output.styled(line))?;
    }
    output.styled(&summary(findings))?;
    Ok(verdict)
}

/// Returns whether both findings are about accounts, and have the same check and level.
fn are_alike(a: &Finding, b: &Finding) -> bool {
    (a.check, a.level) == (b.check, b.level) && a.account.is_some() && b.account.is_some()
}

/// Returns the lines for similar findings. If none of them is a fault, one line covers all
/// accounts. Otherwise only the findings of the first accounts have lines.
fn fold(alike: &[Finding]) -> Vec<StyledLine> {
    if alike[0].level == Level::Ok && alike.len() > 1 {
        let message = format!("{} ({} accounts)", alike[0].message, alike.len());
        return lines(&Finding { account: None, message, ..alike[0].clone() });
    }
    let mut folded: Vec<StyledLine> = alike.iter().take(SHOWN).flat_map(lines).collect();
    if alike.len() > SHOWN {
        let more = format!(
            "{:26} {} more accounts have similar findings; --json lists them",
            "",
            alike.len() - SHOWN
        );
        folded.push(StyledLine::new(FAINT, more));
    }
    folded
}

fn lines(finding: &Finding) -> Vec<StyledLine> {
    let (word, style) = level_word(finding.level);
    let about = finding.account.as_ref().map(|account| format!("{account}: ")).unwrap_or_default();
    let mut lines = vec![
        StyledLine::new(PLAIN, "  ")
            .and(style, format!("{word:<5}"))
            .and(PLAIN, format!("{:<19} {about}{}", finding.check, finding.message)),
    ];
    let more = |label: &str, text: &str| {
        StyledLine::new(FAINT, format!("{:26} {label:<5}", "")).and(PLAIN, text)
    };
    if finding.level != Level::Ok {
        lines.extend(finding.log.iter().map(|log| more("log", log)));
        lines.extend(finding.fix.iter().map(|fix| more("fix", fix)));
    }
    lines
}

fn level_word(level: Level) -> (&'static str, Style) {
    match level {
        Level::Ok => ("ok", GOOD),
        Level::Warn => ("warn", FAIR),
        Level::Fail => ("FAIL", BAD),
    }
}

fn summary(findings: &[Finding]) -> StyledLine {
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (ok, warn, fail) = (count(Level::Ok), count(Level::Warn), count(Level::Fail));
    let style = match (warn, fail) {
        (0, 0) => GOOD,
        (_, 0) => FAIR,
        _ => BAD,
    };
    StyledLine::new(style, format!("{ok} ok, {warn} warn, {fail} fail")).and(
        FAINT,
        if warn + fail > 0 {
            "; /usr/share/doc/sftp-import/troubleshooting.md lists symptoms"
        } else {
            ""
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(level: Level) -> Finding {
        Finding {
            check: "clock",
            level,
            account: Some("acme".into()),
            message: "off\u{1b}[2J".into(),
            log: Some("a line of a log".into()),
            fix: Some("set it".into()),
        }
    }

    #[test]
    fn faults_are_printed_with_log_and_fix() {
        let plain = |level| {
            let lines = lines(&finding(level));
            let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            anstream::adapter::strip_str(&text).to_string()
        };
        let text = plain(Level::Fail);
        assert!(text.contains("FAIL clock               acme: off\\u{1b}[2J\n"), "{text}");
        assert!(
            text.contains("log  a line of a log\n") && text.contains("fix  set it\n"),
            "{text}"
        );
        assert_eq!(plain(Level::Ok).lines().count(), 1);
    }

    #[test]
    fn similar_findings_share_one_line() {
        let of = |level, n| fold(&vec![finding(level); n]).len();
        assert_eq!((of(Level::Ok, 1), of(Level::Ok, 500)), (1, 1));
        assert_eq!((of(Level::Warn, 3), of(Level::Warn, 500)), (9, 10));
    }

    #[test]
    fn the_worst_level_determines_the_exit_status() {
        let output = Output::new(false);
        let of = |levels: &[Level]| {
            let findings: Vec<_> = levels.iter().map(|level| finding(*level)).collect();
            print(&findings, &output).unwrap()
        };
        assert_eq!(of(&[]), Level::Ok);
        assert_eq!(of(&[Level::Ok, Level::Fail, Level::Warn]), Level::Fail);
    }
}
