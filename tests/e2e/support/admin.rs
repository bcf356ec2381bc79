//! The admin helper of the console behind a real socket, and clients of any user.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde_json::Value;

use crate::support::host::{Host, SOON, set_mode, text};
use crate::support::process::{Process, run, until};

/// A socket whose connections each start the admin helper, as `Accept=yes` of the unit does.
pub struct AdminSocket {
    pub path: PathBuf,
    _listener: Process,
}

impl AdminSocket {
    pub fn start(host: &Host) -> Self {
        Self::start_with(host, &[])
    }

    /// Starts the socket. The helper gets the environment variables `variables`.
    pub fn start_with(host: &Host, variables: &[&str]) -> Self {
        let (path, log) = (host.root.join("admin.sock"), host.root.join("log/admin"));
        let (program, config) = (host.root.join("lib/sftp-import-admin"), host.config());
        let mut args = vec!["--accept", "--inetd", "--listen", text(&path)];
        args.extend(variables.iter().flat_map(|variable| ["--setenv", variable]));
        args.extend([text(&program), "--config", text(&config)]);
        let listener = Process::start("systemd-socket-activate", &args, &log);
        until("the admin helper's socket", SOON, || {
            let text = std::fs::read_to_string(&log).ok()?;
            text.contains("Listening on").then_some(())
        });
        // The helper checks the peer itself. The unit's socket has the mode 0660.
        set_mode(&path, 0o666);
        Self { path, _listener: listener }
    }

    /// Sends a request as root. Returns the answer.
    #[track_caller]
    pub fn ask(&self, request: &Value) -> Value {
        let mut connection = UnixStream::connect(&self.path).unwrap();
        connection.set_read_timeout(Some(SOON)).unwrap();
        // A helper that refuses a request may end before it has read all of it.
        let _ = writeln!(connection, "{request}");
        read_answer(&connection).unwrap_or_else(|| panic!("no answer to {request}"))
    }

    /// Sends a request as root, which must succeed. Returns the change.
    #[track_caller]
    pub fn change(&self, request: &Value) -> Value {
        let answer = self.ask(request);
        assert!(answer["ok"].is_object(), "{request}: {answer}");
        answer["ok"].clone()
    }

    /// Sends a request as root, which must be refused. Returns the code.
    #[track_caller]
    pub fn refusal(&self, request: &Value) -> String {
        let answer = self.ask(request);
        answer["error"]["code"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Sends a request as `user`. Returns the answer.
    #[track_caller]
    pub fn ask_as(&self, user: &str, request: &Value) -> Value {
        let code = "import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    s.sendall(sys.argv[2].encode() + b'\\n')
except BrokenPipeError:
    pass # the helper has refused the user and ended
print(s.makefile().readline())";
        let ids = [format!("--reuid={user}"), "--clear-groups".to_owned()];
        let (path, request) = (text(&self.path).to_owned(), request.to_string());
        let python = ["/usr/bin/python3".into(), "-c".into(), code.into(), path, request];
        run("setpriv", &[&ids[..], &python].concat()).ok().json()
    }
}

/// Returns the answer on `connection`. `None` if the helper ended without an answer.
pub fn read_answer(connection: &UnixStream) -> Option<Value> {
    let mut line = String::new();
    // A killed helper may also reset the connection.
    BufReader::new(connection).read_line(&mut line).ok()?;
    (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
}
