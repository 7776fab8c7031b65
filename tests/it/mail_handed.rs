//! A real Postfix hands its mail to us by LMTP, while we are killed, away, and back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::agent::{Follower, Issued};
use crate::support::daemon::Daemon;
use crate::support::dovecot::Dovecot;
use crate::support::ledger::{Envelope, Ledger};
use crate::support::office::{HEAD, MailChannel, expect_exactly, inbound};
use crate::support::postfix::Postfix;
use crate::support::{free_port, wait_until};

const DESK: &str = "desk@example.com";
const WORD: &str = "the word";
const LIMIT: Duration = Duration::from_secs(60);

struct Desk {
    // Ends before the servers that it talks to.
    daemon: Daemon,
    postfix: Postfix,
    ledger: Ledger,
    issued: BTreeMap<u32, Issued>,
    _dovecot: Dovecot,
}

impl Desk {
    /// The daemon does not run yet.
    fn prepare(name: &str) -> Self {
        let dovecot = Dovecot::start(&[(DESK, WORD)]);
        let port = free_port();
        let channel = MailChannel::new("desk", DESK).lmtp(port).text();
        Self {
            daemon: Daemon::prepare(&format!("{HEAD}{channel}")),
            postfix: Postfix::handing_to(port, &dovecot),
            ledger: Ledger::new(name),
            issued: BTreeMap::new(),
            _dovecot: dovecot,
        }
    }

    /// Customers' servers hand so many mails to Postfix, which takes all of them.
    fn write(&mut self, count: u32) {
        let mut session = self.postfix.client();
        let first = u32::try_from(self.issued.len()).unwrap();
        for number in first..first + count {
            let from = format!("customer{}@customer.example", number % 7);
            let envelope = Envelope { from: &from, to: DESK, ..Envelope::default() };
            session.send(&from, DESK, &self.ledger.mail(number, &envelope));
            self.issued.insert(number, Issued { channel: "desk".to_owned(), from });
        }
    }

    async fn wait_some(&self, count: usize) {
        let mut follower = Follower::new(self.daemon.api());
        wait_until("some of the mail", LIMIT, async || {
            follower.turn().await;
            inbound(follower.messages()) >= count
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postfix_keeps_what_we_could_not_take_and_hands_it_over_once() {
    let mut desk = Desk::prepare("postfix hands over");
    // Nobody listens: Postfix keeps it.
    desk.write(10);
    wait_until("postfix finds nobody", LIMIT, async || {
        desk.postfix.log().contains("Connection refused")
    })
    .await;
    desk.daemon.start_again().await;
    desk.wait_some(1).await;
    for round in 1..=3 {
        desk.write(20);
        desk.wait_some(10 * round).await;
        desk.daemon.kill();
        desk.daemon.start_again().await;
    }
    expect_exactly(&desk.daemon.api(), &desk.ledger, &desk.issued, LIMIT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postfix_bounces_what_is_for_nobody_here_at_once() {
    let mut desk = Desk::prepare("postfix and nobody");
    desk.daemon.start_again().await;
    let envelope = Envelope { from: "anna@customer.example", to: DESK, ..Envelope::default() };
    let mail = desk.ledger.mail(900, &envelope);
    desk.postfix.client().send(envelope.from, "nobody@example.com", &mail);
    wait_until("the bounce", LIMIT, async || {
        let log = desk.postfix.log();
        log.contains("to=<nobody@example.com>") && log.contains("dsn=5.1.1, status=bounced")
    })
    .await;
    // The mails behind it come in, and it does not.
    desk.write(3);
    expect_exactly(&desk.daemon.api(), &desk.ledger, &desk.issued, LIMIT).await;
}
