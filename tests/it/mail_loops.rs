//! Nothing goes round: two daemons that acknowledge each other, bounces of our own mail, storms, our own
//! address in a copy.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::agent::{Follower, reply};
use crate::support::daemon::{Api, Daemon};
use crate::support::dovecot::Dovecot;
use crate::support::ledger::{Envelope, Ledger};
use crate::support::office::{HEAD, MailChannel, inbound, wait_inbound};
use crate::support::postfix::Postfix;
use crate::support::tell;
use crate::support::wait_until;

const DESK: &str = "desk@example.com";
const ALIAS: &str = "help@example.com";
const OTHER_DESK: &str = "kefu@example.org";
const ANNA: &str = "anna@customer.example";
const WORD: &str = "the word";
const LIMIT: Duration = Duration::from_secs(60);
const ACKNOWLEDGE: &str = "text = \"We have it as {number}.\"\n";

/// Real servers: whatever leaves a desk goes through Postfix into Dovecot, or comes back as a bounce.
struct Post {
    dovecot: Dovecot,
    postfix: Postfix,
    ledger: Ledger,
}

impl Post {
    fn open(name: &str) -> Self {
        let users = [DESK, ALIAS, OTHER_DESK, ANNA].map(|user| (user, WORD));
        let dovecot = Dovecot::start(&users);
        let postfix = Postfix::start(&dovecot);
        Self { dovecot, postfix, ledger: Ledger::new(name) }
    }

    async fn desk(&self, address: &str, acknowledge: &str) -> Daemon {
        self.desk_with(address, acknowledge, "").await
    }

    /// With more behind the channel: rules.
    async fn desk_with(&self, address: &str, acknowledge: &str, more: &str) -> Daemon {
        let channel = MailChannel::new("desk", address)
            .table("acknowledge", &format!("{ACKNOWLEDGE}{acknowledge}"))
            .imap(self.dovecot.imap_port(), address, WORD, "")
            .smtp(self.postfix.relay_port(), "");
        let channel = if address == DESK {
            channel.with(&format!("aliases = [\"{ALIAS}\"]"))
        } else {
            channel
        };
        Daemon::start(&format!("{HEAD}{}{more}", channel.text())).await
    }

    fn write(&self, number: u32, from: &str, to: &str, cc: &str) {
        let mail = self.ledger.mail(number, &Envelope { from, to, cc, in_reply_to: "" });
        self.dovecot.deliver(to, &mail);
        if !cc.is_empty() && cc != to {
            self.dovecot.deliver(cc, &mail);
        }
    }

    /// Whatever was sent before has arrived when this has: Postfix and the desks work in order.
    async fn settle(&self, api: &Api, number: u32, address: &str) {
        let mut follower = Follower::new(api.clone());
        follower.turn().await;
        let before = inbound(follower.messages());
        let from = format!("probe{number}@nowhere.example");
        self.write(number, &from, address, "");
        wait_inbound(&mut follower, before + 1, LIMIT).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

/// What the desk sent, with whether a program wrote it.
async fn sent(api: &Api) -> Vec<Value> {
    let all = api.messages().await;
    all.into_iter().filter(|message| message["direction"] == "out").collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_desks_that_acknowledge_each_other_stop_after_two_mails() {
    // COMPLAINTS B5; FAULTS 95
    let post = Post::open("two desks");
    let (ours, theirs) = (post.desk(DESK, "").await, post.desk(OTHER_DESK, "").await);
    let body = json!({
        "channel": "desk", "to": { "address": OTHER_DESK }, "subject": "to a colleague",
        "message": { "text": "do you acknowledge too?" },
    });
    let opened = ours.api().post("/tickets", &body, "").await.unwrap();
    assert!(opened.status.is_success(), "{opened:?}");
    let mut follower = Follower::new(theirs.api());
    wait_inbound(&mut follower, 1, LIMIT).await;
    let mut follower = Follower::new(ours.api());
    wait_inbound(&mut follower, 1, LIMIT).await;
    // And a mail that claims to come from the other desk begins nothing either.
    post.write(1, OTHER_DESK, DESK, "");
    post.settle(&ours.api(), 2, DESK).await;
    post.settle(&theirs.api(), 3, OTHER_DESK).await;
    let (by_us, by_them) = (sent(&ours.api()).await, sent(&theirs.api()).await);
    let to_them = by_us.iter().filter(|one| one["text"].as_str().unwrap().contains("too?")).count();
    assert_eq!(to_them, 1);
    let mails = post.dovecot.count(OTHER_DESK, "INBOX") - 1;
    assert!(mails <= 2, "{mails} mails: {by_us:?} {by_them:?}");
    let back = post.dovecot.count(DESK, "INBOX") - 2;
    assert!(back <= 2, "{back} mails back: {by_them:?}");
    tell(format_args!("two desks: {mails} mails there, {back} mails back"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bounces_of_our_own_mail_cause_no_mail() {
    // COMPLAINTS B1, B3, B7, B8; FAULTS 97, 98
    let post = Post::open("bounces");
    let desk = post.desk(DESK, "").await;
    let api = desk.api();
    // Neither the acknowledgement nor the reply finds anybody.
    post.write(0, "ghost@customer.example", DESK, "");
    let mut follower = Follower::new(api.clone());
    wait_inbound(&mut follower, 1, LIMIT).await;
    let ticket = follower.messages()[0]["ticket_id"].as_str().unwrap().to_owned();
    let queued = reply(&api, &post.ledger, &ticket, 0).await;
    let path = format!("/messages/{}", queued["id"].as_str().unwrap());
    wait_until("the bounce of the reply", LIMIT, async || {
        api.get(&path).await["delivery"]["status"] == "bounced"
    })
    .await;
    // The acknowledgement went out without a sender, so that no bounce of it can come back at all.
    // The ghost writes again, twice; its address is known to be dead.
    post.write(1, "ghost@customer.example", DESK, "");
    post.write(2, "ghost@customer.example", DESK, "");
    // Backscatter: a bounce of a mail that we never sent, and machines of all sorts.
    for (place, bytes) in machines().iter().enumerate() {
        assert!(!bytes.is_empty(), "{place}");
        post.dovecot.deliver(DESK, bytes);
    }
    post.settle(&api, 9, DESK).await;
    let out = sent(&api).await;
    // One acknowledgement to the ghost and the reply, one acknowledgement to the probe; nothing else.
    let to_ghost: Vec<&Value> =
        out.iter().filter(|one| one["ticket_id"] == ticket.as_str()).collect();
    assert_eq!(to_ghost.len(), 2, "{to_ghost:?}");
    assert_eq!(out.len(), 3, "{out:?}");
    let tickets = api.tickets().await;
    let open = tickets.iter().find(|one| one["id"] == ticket.as_str()).unwrap();
    assert_eq!(open["status"], "open", "a human has to see that it came back");
}

/// Mails that machines write and nobody may answer.
fn machines() -> Vec<Vec<u8>> {
    let plain = |head: &str| {
        format!("{head}\r\nTo: <{DESK}>\r\nSubject: machine\r\n\r\nbeep\r\n").into_bytes()
    };
    vec![
        plain("From: <MAILER-DAEMON@elsewhere.example>\r\nReturn-Path: <>\r\nAuto-Submitted: auto-replied"),
        plain("From: <away@customer.example>\r\nAuto-Submitted: auto-replied"),
        plain("From: <away2@customer.example>\r\nX-Auto-Response-Suppress: All"),
        plain("From: <list@customer.example>\r\nList-Id: <news.customer.example>\r\nPrecedence: list"),
        plain("From: <bulk@customer.example>\r\nPrecedence: bulk"),
        plain("From: <no-reply@customer.example>"),
        plain("From: <noreply@shop.example>"),
        b"From: <MAILER-DAEMON@elsewhere.example>\r\nTo: <desk@example.com>\r\nSubject: Undelivered Mail\r\n\
          MIME-Version: 1.0\r\nAuto-Submitted: auto-replied\r\n\
          Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
          --b\r\nContent-Type: text/plain\r\n\r\nno such user\r\n\
          --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; elsewhere.example\r\n\r\n\
          Final-Recipient: rfc822; x@elsewhere.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\
          --b\r\nContent-Type: message/rfc822\r\n\r\nFrom: <desk@example.com>\r\nMessage-ID: <never@example.com>\r\n\r\nspam\r\n\
          --b--\r\n".to_vec(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_is_taken_in_whole_and_answered_a_little() {
    let post = Post::open("storm");
    let desk = post.desk(DESK, "per_hour_max = 10\n").await;
    let api = desk.api();
    // One sender writes a hundred times, sixty others once each.
    for number in 0..100 {
        post.write(number, "angry@customer.example", DESK, "");
    }
    for number in 100..160 {
        post.write(number, &format!("customer{number}@customer.example"), DESK, "");
    }
    let mut follower = Follower::new(api.clone());
    wait_inbound(&mut follower, 160, LIMIT).await;
    post.settle(&api, 200, DESK).await;
    let out = sent(&api).await;
    assert_eq!(out.len(), 10, "the breaker holds: {}", out.len());
    let tickets: Vec<Value> = follower
        .messages()
        .iter()
        .filter(|one| one["author"]["address"] == "angry@customer.example")
        .map(|one| one["ticket_id"].clone())
        .collect();
    let to_angry = out.iter().filter(|one| tickets.contains(&one["ticket_id"])).count();
    assert_eq!(to_angry, 1, "one acknowledgement for one address");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_banned_sender_gets_nothing_and_a_lost_answer_no_complaint() {
    // COMPLAINTS B9, B10: no «ticket denied», no «your update could not be processed».
    let post = Post::open("banned");
    let rule = "\n[[rules]]\nname = \"banned\"\nwhen = { senders = [\"@troll.example\"] }\n\
                then = { status = \"spam\", acknowledge = \"\" }\n";
    let desk = post.desk_with(DESK, "per_address_hours = 0\n", rule).await;
    let api = desk.api();
    for number in 0..3 {
        post.write(number, &format!("one{number}@troll.example"), DESK, "");
    }
    // Answers to what was never sent: one more mail each, as to everybody, and not a word of the fault.
    let nothing = "<t1.abcdefghijklmnopqrstuvwxyz@example.com>";
    for number in 3..6 {
        let lost = Envelope { from: ANNA, to: DESK, cc: "", in_reply_to: nothing };
        post.dovecot.deliver(DESK, &post.ledger.mail(number, &lost));
    }
    let mut follower = Follower::new(api.clone());
    wait_inbound(&mut follower, 6, LIMIT).await;
    post.settle(&api, 9, DESK).await;
    let spam = api.get("/tickets?status=spam").await;
    assert_eq!(spam["items"].as_array().unwrap().len(), 3, "{spam}");
    let out = sent(&api).await;
    assert_eq!(out.len(), 4, "three to Anna, one to the probe: {out:?}");
    assert!(out.iter().all(|one| one["text"].as_str().unwrap().starts_with("We have it as")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_addresses_get_no_copy_and_no_acknowledgement() {
    // COMPLAINTS B11; FAULTS 99
    let post = Post::open("own");
    let desk = post.desk(DESK, "").await;
    let api = desk.api();
    post.write(0, ANNA, DESK, ALIAS);
    // Somebody here writes to the desk, and a rule of the mail server sends our alias on to us.
    post.write(1, ALIAS, DESK, "");
    post.write(2, DESK, DESK, "");
    let mut follower = Follower::new(api.clone());
    wait_inbound(&mut follower, 3, LIMIT).await;
    let ticket = follower
        .messages()
        .iter()
        .find(|one| one["author"]["address"] == ANNA)
        .map(|one| one["ticket_id"].as_str().unwrap().to_owned())
        .unwrap();
    reply(&api, &post.ledger, &ticket, 0).await;
    wait_until("the acknowledgement and the reply", LIMIT, async || {
        post.dovecot.count(ANNA, "INBOX") == 2
    })
    .await;
    post.settle(&api, 9, DESK).await;
    assert_eq!(post.dovecot.count(ALIAS, "INBOX"), 1, "only the customer's own copy");
    assert_eq!(post.dovecot.count(DESK, "INBOX"), 4, "three mails and the probe");
    assert_eq!(sent(&api).await.len(), 3, "two to Anna, one to the probe");
}
