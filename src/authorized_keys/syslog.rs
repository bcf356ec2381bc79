//! Sends a message to syslog. A sysadmin can see the helper's errors only in syslog.
//!
//! The format is RFC 3164 without the timestamp, which the receiver adds (section 4.3.2). Errors of
//! syslog are ignored, because partners must be able to log in on a host without syslog.

use std::fmt::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

const SOCKET: &str = "/dev/log";
/// The priority of a syslog message, with facility auth (4) and severity error (3). See RFC 3164,
/// section 4.1.1.
const PRIORITY: u8 = 4 * 8 + 3;
/// The maximum size of a message in bytes. RFC 3164 allows 1024 bytes per packet.
const MAX_BYTES: usize = 1000;
/// The maximum wait for syslog. If syslog does not read, a login must not be delayed any longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Logs `message` as an error of facility auth.
pub(super) fn error(message: &str) {
    // If syslog can't be reached, the error can't be reported anywhere.
    let _ = send(Path::new(SOCKET), message);
}

fn send(socket: &Path, message: &str) -> std::io::Result<()> {
    let datagram = UnixDatagram::unbound()?;
    datagram.set_write_timeout(Some(PATIENCE))?;
    datagram.send_to(packet(std::process::id(), message).as_bytes(), socket)?;
    Ok(())
}

/// Returns the packet for syslog, which is one line of printable ASCII. All other characters of
/// `message` are escaped.
fn packet(pid: u32, message: &str) -> String {
    let mut packet = format!("<{PRIORITY}>sftp-import-authorized-keys[{pid}]: ");
    for c in message.chars() {
        if c.is_ascii_graphic() || c == ' ' {
            packet.push(c);
        } else {
            // Writing to a String can't fail.
            let _ = write!(packet, "{}", c.escape_unicode());
        }
        if packet.len() >= MAX_BYTES {
            break;
        }
    }
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_syslog_message_is_one_printable_line() {
        assert_eq!(
            packet(7, "no \"é\"\nkey\u{1b}"),
            "<35>sftp-import-authorized-keys[7]: no \"\\u{e9}\"\\u{a}key\\u{1b}"
        );
        assert!(packet(7, &"\u{1b}".repeat(5000)).len() < 1024);
    }

    #[test]
    fn sends_messages_to_the_syslog_socket() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("log");
        let receiver = UnixDatagram::bind(&socket).unwrap();
        send(&socket, "hello").unwrap();
        let mut buffer = [0; 100];
        let length = receiver.recv(&mut buffer).unwrap();
        assert!(buffer[..length].ends_with(b"]: hello"));
        assert!(send(&folder.path().join("none"), "hello").is_err());
    }
}
