//! Servers that receive mail and webhooks: tests/catchers/smtp.py and webhook.py. Also reads the
//! received mails and requests.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::host::{REPOSITORY, text};
use crate::support::process::{Process, run};

/// The path of Debian's Python, which has the package aiosmtpd. Another Python on the PATH may not
/// have it.
pub const PYTHON: &str = "/usr/bin/python3";

/// A mail server and a web server that accept and store everything.
#[derive(Debug)]
pub struct Catchers {
    pub smtp_port: u16,
    pub webhook_port: u16,
    mail: PathBuf,
    requests: PathBuf,
    processes: Vec<Process>,
}

/// One mail, parsed by the email package of Python.
#[derive(Debug, serde::Deserialize)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
    /// The file name and the content of each attachment.
    pub attachments: Vec<(String, String)>,
}

/// Prints all mails of a folder as one JSON list, the oldest first.
const READ_MAIL: &str = r#"
import email, email.policy, json, pathlib, sys
def mail(path):
    m = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    body = m.get_body(("plain",))
    attached = [(a.get_filename(), a.get_payload(decode=True).decode()) for a in m.iter_attachments()]
    return {"to": str(m["to"]), "subject": str(m["subject"]),
            "text": body.get_content() if body else "", "attachments": attached}
files = sorted(pathlib.Path(sys.argv[1]).glob("*.eml"), key=lambda p: p.stat().st_mtime_ns)
print(json.dumps([mail(p) for p in files]))
"#;

impl Catchers {
    pub fn start(root: &Path) -> Self {
        let (mail, requests) = (root.join("mail"), root.join("webhooks.jsonl"));
        std::fs::create_dir(&mail).unwrap();
        let log = |name: &str| root.join("log").join(name);
        let start = |name: &str, option: &str, target: &Path| {
            let script = format!("{REPOSITORY}/tests/catchers/{name}.py");
            let args = [&script, "--port", "0", option, text(target)];
            Process::start_server(PYTHON, &args, &log(name))
        };
        let (smtp, smtp_port) = start("smtp", "--folder", &mail);
        let (webhook, webhook_port) = start("webhook", "--file", &requests);
        Self { smtp_port, webhook_port, mail, requests, processes: vec![smtp, webhook] }
    }

    pub fn stop(&mut self) {
        self.processes.clear();
    }

    /// Returns the URL of the webhook catcher.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/imports", self.webhook_port)
    }

    /// Returns all received mails.
    #[track_caller]
    pub fn mails(&self) -> Vec<Mail> {
        let ran = run(PYTHON, &["-c", READ_MAIL, text(&self.mail)]).ok();
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Returns all received mails without parsing. Each mail comes with its first recipient.
    pub fn raw_mails(&self) -> Vec<(String, String)> {
        let files = std::fs::read_dir(&self.mail).unwrap().map(|file| file.unwrap().path());
        let mails = files.filter_map(|path| {
            // The catcher names a mail `<number>-<address>.eml` when it is complete.
            let name = path.file_name()?.to_str()?.strip_suffix(".eml")?.to_owned();
            let (_, to) = name.split_once('-')?;
            let mail = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            Some((to.to_owned(), mail))
        });
        mails.collect()
    }

    /// Returns all received webhook requests.
    pub fn requests(&self) -> Vec<Value> {
        let lines = std::fs::read_to_string(&self.requests).unwrap_or_default();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
