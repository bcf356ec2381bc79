//! Tests of DNS rebinding: a host name has an allowed address at the check, and a forbidden
//! address at the connection.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use jiff::Timestamp;
use ureq::config::Config as UreqConfig;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use crate::config::Webhooks;
use crate::outbox::retry::AttemptOutcome;
use crate::outbox::{Secret, WebhookRequest, WebhookSender};

const GOOD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const FORBIDDEN: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A resolver that answers the nth request with the nth list of addresses, and all later requests
/// with the last list.
#[derive(Debug)]
struct Rebinding {
    answers: Vec<Vec<IpAddr>>,
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Resolver for Rebinding {
    fn resolve(
        &self,
        _: &Uri,
        _: &UreqConfig,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let n = self.asked.fetch_add(1, SeqCst).min(self.answers.len() - 1);
        let mut addresses = self.empty();
        self.answers[n].iter().for_each(|ip| addresses.push(SocketAddr::new(*ip, self.port)));
        Ok(addresses)
    }
}

/// Runs a server that accepts every request. Returns the number of connections to the server.
fn server(listener: TcpListener) -> Arc<AtomicUsize> {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            counter.fetch_add(1, SeqCst);
            let _ = stream.read(&mut [0; 65536]);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
        }
    });
    connections
}

#[test]
fn connections_use_the_checked_address_only() {
    let good = TcpListener::bind((GOOD, 0)).unwrap();
    let port = good.local_addr().unwrap().port();
    // Another program may use this port at the forbidden address. That program must not get a
    // connection either.
    let forbidden = TcpListener::bind((FORBIDDEN, port)).ok().map(server);
    let good = server(good);
    let allow = Webhooks { allow: vec!["127.0.0.2/32".parse().unwrap()], ..Webhooks::default() };
    let asked = Arc::new(AtomicUsize::new(0));
    let answers = vec![vec![GOOD], vec![FORBIDDEN], vec![GOOD, FORBIDDEN], vec![GOOD]];
    let resolver = Rebinding { answers, port, asked: Arc::clone(&asked) };
    let sender = WebhookSender::resolving_by(&allow, resolver);
    let secrets = [Secret::generate().unwrap()];
    let url = "http://rebinding.example.com/in";
    let send = || {
        let (id, now, body) = ("msg_0", Timestamp::now(), "{}");
        sender.send(&WebhookRequest { url, secrets: &secrets, id, now, body })
    };
    let refused = |outcome: AttemptOutcome| {
        let AttemptOutcome::Later { why, .. } = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("127.0.0.1 is a loopback address"), "{why}");
    };
    assert!(matches!(send(), AttemptOutcome::Delivered(_)));
    assert_eq!(asked.load(SeqCst), 1, "the name is resolved only once");
    refused(send()); // the name now has a forbidden address
    refused(send()); // one forbidden address is enough to forbid the host
    assert!(
        matches!(send(), AttemptOutcome::Delivered(_)),
        "a name can have allowed addresses again"
    );
    assert_eq!((asked.load(SeqCst), good.load(SeqCst)), (4, 2));
    assert_eq!(forbidden.map_or(0, |connections| connections.load(SeqCst)), 0);
}
