//! A slow link: a TCP proxy that delays each connection by a round-trip time.
//!
//! `tc netem` would have the same effect, but many kernels do not have sch_netem. Each direction
//! delivers a chunk after half of the round-trip time, without waiting for the answer to the
//! previous chunk. Therefore the throughput does not change. At most [`QUEUE_CHUNKS`] chunks of
//! each direction are queued. After that the sender must wait.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const CHUNK_BYTES: usize = 64 << 10;
/// The maximum number of queued chunks. With the size of a chunk this allows 32 MB/s at a round
/// trip of one second.
const QUEUE_CHUNKS: usize = 256;

/// Forwards connections on `port` to a server on 127.0.0.1. All open connections are closed on
/// drop.
#[derive(Debug)]
pub struct SlowLink {
    pub port: u16,
    connections: Arc<Connections>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Connections {
    target: u16,
    one_way: Duration,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    is_stopped: bool,
    next: u64,
    sockets: HashMap<u64, [TcpStream; 2]>,
}

/// A part of the stream, and the time at which it must be delivered. An empty part is the end of
/// the stream.
type Chunk = (Instant, Vec<u8>);

impl SlowLink {
    /// Starts a link to the port `target` on 127.0.0.1 with the given round-trip time.
    pub fn new(target: u16, round_trip: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections =
            Arc::new(Connections { target, one_way: round_trip / 2, open: Mutex::default() });
        let shared = Arc::clone(&connections);
        let acceptor = std::thread::spawn(move || shared.accept(&listener));
        Self { port, connections, acceptor: Some(acceptor) }
    }
}

impl Drop for SlowLink {
    fn drop(&mut self) {
        self.connections.stop();
        // The connection wakes the acceptor, which then joins the relays. Each relay ends within
        // half of the round-trip time.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.acceptor.take().map(JoinHandle::join);
    }
}

impl Connections {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut relays: Vec<JoinHandle<()>> = Vec::new();
        for client in listener.incoming().flatten() {
            if self.lock().is_stopped {
                break;
            }
            relays.retain(|relay| !relay.is_finished());
            let shared = Arc::clone(self);
            relays.push(std::thread::spawn(move || shared.relay(client)));
        }
        for relay in relays {
            let _ = relay.join();
        }
    }

    /// Copies in both directions until both have ended.
    fn relay(&self, client: TcpStream) {
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.target)) else { return };
        for socket in [&client, &server] {
            socket.set_nodelay(true).unwrap();
        }
        let Some(id) = self.register([&client, &server]) else { return };
        std::thread::scope(|scope| {
            for (from, to) in [(&client, &server), (&server, &client)] {
                let (sender, receiver) = sync_channel(QUEUE_CHUNKS);
                scope.spawn(move || receive(from, &sender, self.one_way));
                scope.spawn(move || deliver(from, to, &receiver));
            }
        });
        self.lock().sockets.remove(&id);
    }

    /// Keeps handles of the sockets, so that the link can close them. `None` if the link is
    /// stopped.
    fn register(&self, sockets: [&TcpStream; 2]) -> Option<u64> {
        let sockets = sockets.map(|socket| socket.try_clone().unwrap());
        let mut open = self.lock();
        if open.is_stopped {
            return None;
        }
        open.next += 1;
        let id = open.next;
        open.sockets.insert(id, sockets);
        Some(id)
    }

    fn stop(&self) {
        let mut open = self.lock();
        open.is_stopped = true;
        for socket in open.sockets.values().flatten() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Queues the data that arrives from `from`. A reset is treated as the end.
fn receive(mut from: &TcpStream, sender: &SyncSender<Chunk>, one_way: Duration) {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut buffer).unwrap_or(0);
        let chunk = (Instant::now() + one_way, buffer[..read].to_vec());
        if sender.send(chunk).is_err() || read == 0 {
            return;
        }
    }
}

/// Writes each chunk to `to` at its time, until the end of the stream.
fn deliver(from: &TcpStream, mut to: &TcpStream, receiver: &Receiver<Chunk>) {
    for (due, bytes) in receiver {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if bytes.is_empty() {
            let _ = to.shutdown(Shutdown::Write);
            return;
        }
        if to.write_all(&bytes).is_err() {
            // `to` can't receive data any more. The shutdown also ends the thread that reads from
            // `from`.
            let _ = from.shutdown(Shutdown::Read);
            return;
        }
    }
}

/// Each chunk is delayed by the round-trip time, and so is the whole stream. If each of the 128
/// chunks waited for the previous answer, the test would take more than two minutes.
#[test]
fn a_slow_link_adds_only_delay() {
    const ROUND_TRIP: Duration = Duration::from_secs(1);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = SlowLink::new(server.local_addr().unwrap().port(), ROUND_TRIP);
    let start = Instant::now();
    let mut client = TcpStream::connect(("127.0.0.1", link.port)).unwrap();
    let content: Vec<u8> = (0..128 * CHUNK_BYTES).map(|i| (i % 251) as u8).collect();
    let mut echoed = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (socket, _) = server.accept().unwrap();
            std::io::copy(&mut &socket, &mut &socket).unwrap();
        });
        scope.spawn(|| {
            (&client).write_all(&content).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        });
        (&client).read_to_end(&mut echoed).unwrap();
    });
    let took = start.elapsed();
    assert!(echoed == content, "{} bytes came back", echoed.len());
    assert!(ROUND_TRIP <= took && took < 60 * ROUND_TRIP, "{took:?}");

    // The connection is closed when the link is closed.
    client = TcpStream::connect(("127.0.0.1", link.port)).unwrap();
    let (_socket, _) = server.accept().unwrap();
    drop(link);
    assert_eq!(client.read(&mut [0; 1]).unwrap_or(0), 0);
}
