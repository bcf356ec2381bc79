//! A small HTTP/1.1 server with one request per connection. A slow client delays no other client.
//!
//! Invariant: at most [`MAX_HEAD`] bytes of a connection are read, and a connection lasts at most
//! [`PATIENCE`]. At most [`MAX_CONNECTIONS`] connections are open. A further connection is closed
//! immediately.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::page::MetricsPage;

/// The maximum number of bytes that are read from a request. Prometheus sends about 300 bytes.
const MAX_HEAD: usize = 8 * 1024;
/// The time limit for one request and its response.
const PATIENCE: Duration = Duration::from_secs(10);
/// The maximum number of concurrent connections to the metrics server.
const MAX_CONNECTIONS: usize = 16;
/// The pause after an error of accept(2), such as a lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(200);

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn serve_tcp(listener: TcpListener, page: Arc<MetricsPage>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        serve(listener.accept().await.map(|(stream, _)| stream), &slots, &page).await;
    }
}

pub(super) async fn serve_unix(listener: UnixListener, page: Arc<MetricsPage>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        serve(listener.accept().await.map(|(stream, _)| stream), &slots, &page).await;
    }
}

/// Serves a connection on a new task. Closes the connection if no slot is free.
async fn serve<S>(accepted: io::Result<S>, slots: &Arc<Semaphore>, page: &Arc<MetricsPage>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Ok(stream) = accepted else { return sleep(PAUSE).await };
    let Ok(slot) = Arc::clone(slots).try_acquire_owned() else { return };
    let page = Arc::clone(page);
    tokio::spawn(async move {
        // A client that closed the connection or was too slow needs no answer.
        let _ = timeout(PATIENCE, answer(stream, move || page.read())).await;
        drop(slot);
    });
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    page: impl FnOnce() -> Arc<str> + Send + 'static,
) -> io::Result<()> {
    let head = read_head(&mut stream).await?;
    let (status, body) = match classify(&head) {
        RequestKind::Page => match tokio::task::spawn_blocking(page).await {
            Ok(page) => ("200 OK", page),
            Err(_) => ("500 Internal Server Error", "the daemon's log shows the error\n".into()),
        },
        RequestKind::OtherPath => {
            ("404 Not Found", "this server serves only GET /metrics\n".into())
        }
        RequestKind::OtherMethod => {
            ("405 Method Not Allowed", "this server serves only GET /metrics\n".into())
        }
        RequestKind::NotHttp => ("400 Bad Request", "this server accepts HTTP/1.1 only\n".into()),
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

/// Reads a request up to its empty line, but at most [`MAX_HEAD`] bytes.
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

/// The kinds of requests to the metrics server.
#[derive(Debug, PartialEq, Eq)]
enum RequestKind {
    Page,
    OtherPath,
    OtherMethod,
    NotHttp,
}

fn classify(head: &[u8]) -> RequestKind {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let words: Vec<&str> = std::str::from_utf8(line).unwrap_or_default().split(' ').collect();
    let [method, target, version] = words[..] else { return RequestKind::NotHttp };
    let path = target.split('?').next().unwrap_or_default();
    match (version, method, path) {
        ("HTTP/1.0" | "HTTP/1.1", "GET", "/metrics") => RequestKind::Page,
        ("HTTP/1.0" | "HTTP/1.1", "GET", _) => RequestKind::OtherPath,
        ("HTTP/1.0" | "HTTP/1.1", ..) => RequestKind::OtherMethod,
        _ => RequestKind::NotHttp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_get_of_metrics_is_served() {
        for (head, kind) in [
            ("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", RequestKind::Page),
            ("GET /metrics?name[]=x HTTP/1.0\r\n\r\n", RequestKind::Page),
            ("GET / HTTP/1.1\r\n\r\n", RequestKind::OtherPath),
            ("POST /metrics HTTP/1.1\r\n\r\n", RequestKind::OtherMethod),
            ("GET /metrics", RequestKind::NotHttp),
            ("\u{16}\u{3}\u{1}", RequestKind::NotHttp),
            ("", RequestKind::NotHttp),
        ] {
            assert_eq!(classify(head.as_bytes()), kind, "{head:?}");
        }
    }

    #[tokio::test]
    async fn a_request_gets_a_complete_response() {
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
    async fn a_long_request_is_truncated() {
        let (mut client, mut server) = tokio::io::duplex(1024);
        let sender = tokio::spawn(async move {
            // The write fails, because the server closes the connection.
            let _ = client.write_all(&[b'x'; MAX_HEAD * 2]).await;
        });
        assert_eq!(read_head(&mut server).await.unwrap().len(), MAX_HEAD);
        drop(server);
        sender.await.unwrap();
    }
}
