//! Sessions that no command-line client can make. For example, they keep a handle open, write a
//! file with a hole, or write half of a file.

use crate::support::account::Account;
use crate::support::catchers::PYTHON;
use crate::support::host::text;
use crate::support::process::{Process, Ran, run};

/// Opens the connection. `sftp` is the session. `wait(path)` waits until a file exists on this
/// machine.
const PRELUDE: &str = r#"
import os, sys, time, paramiko
port, user, key = sys.argv[1:4]
client = paramiko.SSHClient()
client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
client.connect("127.0.0.1", int(port), user, key_filename=key, allow_agent=False, look_for_keys=False)
sftp = client.open_sftp()
def wait(path):
    while not os.path.exists(path):
        time.sleep(0.01)
"#;

/// A session of paramiko, given as lines of Python.
pub struct Script<'a>(&'a Account<'a>);

impl<'a> Script<'a> {
    pub fn new(account: &'a Account<'a>) -> Self {
        Self(account)
    }

    fn args(&self, code: &str) -> Vec<String> {
        let Self(account) = self;
        let code = format!("{PRELUDE}{code}\nclient.close()\n");
        let port = account.host.port.to_string();
        vec!["-c".into(), code, port, account.id.clone(), text(&account.key).into()]
    }

    /// Runs the session to its end.
    pub fn run(&self, code: &str) -> Ran {
        run(PYTHON, &self.args(code))
    }

    /// Starts the session in the background.
    pub fn start(&self, code: &str) -> Process {
        Process::start(PYTHON, &self.args(code), &self.0.host.root.join("log/script"))
    }
}
