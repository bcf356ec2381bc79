//! A small HTTP/1.1 server: one request per connection, and a slow client delays no other.
//!
//! Invariant: at most [`MAX_HEAD`] bytes of a connection are read, and it lasts [`PATIENCE`] at
//! most. There are at most [`AT_ONCE`] connections; one more is closed immediately.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::page::Page;

/// Prometheus sends about 300 bytes.
const MAX_HEAD: usize = 8 * 1024;
/// For request and response.
const PATIENCE: Duration = Duration::from_secs(10);
/// Concurrent connections.
const AT_ONCE: usize = 16;
/// Pause after an error of accept(2), such as no free descriptor.
const PAUSE: Duration = Duration::from_millis(200);

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn serve_tcp(listener: TcpListener, page: Arc<Page>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => take(stream, &slots, &page),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

pub(super) async fn serve_unix(listener: UnixListener, page: Arc<Page>) {
    let slots = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => take(stream, &slots, &page),
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Serves a connection on a new task. Without a free slot it is closed.
fn take<S>(stream: S, slots: &Arc<Semaphore>, page: &Arc<Page>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Ok(slot) = Arc::clone(slots).try_acquire_owned() else { return };
    let page = Arc::clone(page);
    tokio::spawn(async move {
        let read = move || page.read();
        // A client that hung up or was too slow needs no answer.
        let _ = timeout(PATIENCE, answer(stream, read)).await;
        drop(slot);
    });
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    page: impl FnOnce() -> Arc<str> + Send + 'static,
) -> io::Result<()> {
    let head = read_head(&mut stream).await?;
    let (status, body) = match judge(&head) {
        Asked::Page => match tokio::task::spawn_blocking(page).await {
            Ok(page) => ("200 OK", page),
            Err(_) => ("500 Internal Server Error", "see the log\n".into()),
        },
        Asked::Elsewhere => ("404 Not Found", "GET /metrics\n".into()),
        Asked::Otherwise => ("405 Method Not Allowed", "GET /metrics\n".into()),
        Asked::Nothing => ("400 Bad Request", "this speaks HTTP/1.1\n".into()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {TEXT}\r\nContent-Length: {}\r\nAllow: GET\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// Reads up to the empty line, or to [`MAX_HEAD`] bytes.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    let mut limited = stream.take(MAX_HEAD as u64);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if limited.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(head)
}

/// The kinds of requests.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Page,
    /// Another path.
    Elsewhere,
    /// Another method.
    Otherwise,
    /// Not an HTTP/1 request.
    Nothing,
}

fn judge(head: &[u8]) -> Asked {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let words: Vec<&str> = std::str::from_utf8(line).unwrap_or_default().split(' ').collect();
    let [method, target, version] = words[..] else { return Asked::Nothing };
    let path = target.split('?').next().unwrap_or_default();
    match (version, method, path) {
        ("HTTP/1.0" | "HTTP/1.1", "GET", "/metrics") => Asked::Page,
        ("HTTP/1.0" | "HTTP/1.1", "GET", _) => Asked::Elsewhere,
        ("HTTP/1.0" | "HTTP/1.1", ..) => Asked::Otherwise,
        _ => Asked::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_one_question() {
        for (head, asked) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", Asked::Page),
            ("GET /metrics?name[]=x HTTP/1.0\r\n\r\n", Asked::Page),
            ("GET / HTTP/1.1\r\n\r\n", Asked::Elsewhere),
            ("POST /metrics HTTP/1.1\r\n\r\n", Asked::Otherwise),
            ("GET /metrics", Asked::Nothing),
            ("\u{16}\u{3}\u{1}", Asked::Nothing),
            ("", Asked::Nothing),
        ] {
            assert_eq!(judge(head.as_bytes()), asked, "{head:?}");
        }
    }

    #[tokio::test]
    async fn answers_whole_and_closes() {
        let (mut client, server) = tokio::io::duplex(64);
        let task = tokio::spawn(answer(server, || "a 1\n".into()));
        client.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
        client.write_all(b"Host: x\r\n\r\n").await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        task.await.unwrap().unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(
            text.ends_with("Content-Length: 4\r\nAllow: GET\r\nConnection: close\r\n\r\na 1\n")
        );
    }

    #[tokio::test]
    async fn a_head_without_end_is_cut() {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let sender = tokio::spawn(async move {
            // It fails: the server hangs up.
            let _ = client.write_all(&[b'x'; MAX_HEAD * 2]).await;
        });
        assert_eq!(read_head(&mut server).await.unwrap().len(), MAX_HEAD);
        drop(server);
        sender.await.unwrap();
    }
}
