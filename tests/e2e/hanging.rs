//! Tests of a mail server and an endpoint that both hang. No import and no webhook of another
//! account may wait for them.

use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use crate::support::host::{Host, SOON};
use crate::support::pair::Pair;
use crate::support::process::until;

const IMPORTS: usize = 6;

/// Starts a server that accepts connections and sends nothing. Returns its port and its
/// connections. The connections stay open while the caller keeps them.
fn silent() -> (u16, mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, connections) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            if sender.send(connection).is_err() {
                return;
            }
        }
    });
    (port, connections)
}

/// Returns a host that sends mail to `mail_port` and waits for an hour before a timeout. Therefore
/// any work that completes in the test has not waited for a hanging receiver.
fn patient(mail_port: u16) -> Host {
    let host = Host::new("");
    let config = std::fs::read_to_string(host.config()).unwrap();
    let config = config
        .replace(&format!(":{}\"", host.catchers.smtp_port), &format!(":{mail_port}\""))
        .replace("[mail]\n", "[mail]\ntimeout = \"1h\"\n")
        .replace("[webhooks]\n", "[webhooks]\ntimeout = \"1h\"\n");
    std::fs::write(host.config(), config).unwrap();
    host.start_daemon();
    host
}

#[test]
fn hanging_receivers_do_not_delay_other_deliveries() {
    let ((mail_port, _mail), (web_port, _web)) = (silent(), silent());
    let host = patient(mail_port);
    let (stuck, free) = (host.account("e2e-stuck"), host.account("e2e-free"));
    let hanging = format!("http://127.0.0.1:{web_port}/");
    for (account, url) in [(&stuck, &hanging), (&free, &host.catchers.url())] {
        host.cli(&["webhook", "add", &account.id, "crm", url]).ok();
        host.cli(&["account", "set", &account.id, "--webhook", "crm"]).ok();
    }
    for n in 0..IMPORTS {
        for account in [&stuck, &free] {
            let pair = Pair::events(&account.local(), &format!("{}{n}", &account.id[4..]), 3);
            account.import_all(&pair, 3);
        }
    }
    // Each import has two milestones. The mail of both accounts and the other endpoint hang during
    // the whole test.
    until("the free account's webhooks", SOON, || {
        host.check_daemon();
        (host.catchers.requests().len() == 2 * IMPORTS).then_some(())
    });
    let of = |channel: &str, account: &str, state: &str| {
        host.query(&format!(
            "SELECT count(*) FROM delivery JOIN milestone ON milestone.id = delivery.milestone
             WHERE channel = '{channel}' AND account LIKE '{account}' AND state = '{state}'"
        ))
    };
    let wanted = (2 * IMPORTS).to_string();
    until("the recorded outcome", SOON, || {
        (of("webhook", "e2e-free", "delivered") == [wanted.as_str()]).then_some(())
    });
    assert_eq!(of("webhook", "e2e-stuck", "pending"), [wanted.as_str()]);
    assert_eq!(of("email", "%", "pending"), [(4 * IMPORTS).to_string()]);
    assert!(host.catchers.mails().is_empty());
}
