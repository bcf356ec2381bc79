//! Reads and parses a request: one line of JSON from an untrusted peer.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::failure::{failed, invalid_request};
use crate::wire::admin::{AdminError, AdminRequest, MAX_REQUEST};

/// Reads one line of at most [`MAX_REQUEST`] bytes. The whole line must arrive within `patience`,
/// and nothing may follow the line. Returns the line without its line break.
pub(super) fn read_line(
    mut connection: &UnixStream,
    patience: Duration,
) -> Result<Vec<u8>, AdminError> {
    let end = Instant::now() + patience;
    let (mut line, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(invalid_request("the request took too long"));
        }
        connection.set_read_timeout(Some(left)).map_err(|error| failed(&error))?;
        let count = match connection.read(&mut buffer) {
            Ok(0) => return Err(invalid_request("the request has no line break at its end")),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // The read timed out. The loop returns an error if no time is left.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(failed(&error)),
        };
        let part = &buffer[..count];
        let line_break = part.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&part[..line_break.unwrap_or(count)]);
        if line.len() > MAX_REQUEST {
            return Err(invalid_request("the request is longer than 96 KiB"));
        }
        match line_break {
            Some(at) if at + 1 < count => {
                return Err(invalid_request("the request has more than one line"));
            }
            Some(_) => return Ok(line),
            None => {}
        }
    }
}

/// Parses one line as a request. Does not check the texts in the request.
pub fn parse(line: &[u8]) -> Result<AdminRequest, AdminError> {
    // The line must be an object, but serde would also accept an array with the values of the
    // fields.
    if !line.starts_with(b"{") {
        return Err(invalid_request("the request is not a JSON object"));
    }
    serde_json::from_slice(line).map_err(|error| invalid_request(&error.to_string()))
}
