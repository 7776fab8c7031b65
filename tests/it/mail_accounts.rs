//! Accounts and mailboxes that make trouble: wrong passwords, wrong certificates, mails that no program
//! should write, folders that go, and what becomes of a mail on the server once it is stored.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::support::agent::{Follower, Issued};
use crate::support::daemon::Daemon;
use crate::support::dovecot::{Dovecot, Storage};
use crate::support::imap_client::ImapClient;
use crate::support::imap_script::{Fake, Reaction};
use crate::support::ledger::{Envelope, Kind, Ledger};
use crate::support::office::{
    HEAD, MailChannel, channel, expect_exactly, inbound, wait_channel, wait_inbound,
};
use crate::support::proxy::{Fault, Proxy};
use crate::support::tls::Flaw;
use crate::support::{Signal, free_port, tell, wait_until};

const DESK: &str = "desk@example.com";
const SALES: &str = "sales@example.com";
const WORD: &str = "canary-the-word";
const LIMIT: Duration = Duration::from_secs(60);

fn mail(ledger: &Ledger, issued: &mut BTreeMap<u32, Issued>, number: u32, name: &str) -> Vec<u8> {
    let from = format!("customer{number}@customer.example");
    issued.insert(number, Issued { channel: name.to_owned(), from: from.clone() });
    ledger.mail(number, &Envelope { from: &from, to: DESK, ..Envelope::default() })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_broken_in_many_ways_do_not_stop_the_good_one() {
    // COMPLAINTS O2, S6; FAULTS 71, 73: certificates are checked before the password is said.
    let good = Dovecot::start(&[(DESK, WORD), (SALES, WORD)]);
    let flawed: Vec<(&str, Dovecot)> = [
        ("other_name", Flaw::OtherName),
        ("expired", Flaw::Expired),
        ("self_signed", Flaw::SelfSigned),
    ]
    .map(|(name, flaw)| (name, Dovecot::start_with(&[(DESK, WORD)], Storage::Maildir, flaw)))
    .into();
    let silent = Proxy::to(good.imap_port());
    silent.set(Fault::Blackhole);
    let mut text = String::from(HEAD);
    for (name, dovecot) in &flawed {
        let tls = format!(
            "tls = \"implicit\"\nca_file = \"{}\"\nserver_name = \"localhost\"",
            dovecot.authority_file().display()
        );
        text.push_str(&with_tls(name, dovecot.imaps_port(), &tls));
    }
    let stranger = "tls = \"implicit\"\nserver_name = \"localhost\"";
    text.push_str(&with_tls("unknown_authority", good.imaps_port(), stranger));
    let wrong = |password: &str| {
        MailChannel::new("wrong_password", SALES).imap(good.imap_port(), SALES, password, "").text()
    };
    for (name, port) in [("refused", free_port()), ("silent", silent.port())] {
        let address = format!("{name}@example.com");
        text.push_str(&MailChannel::new(name, &address).imap(port, DESK, WORD, "").text());
    }
    text.push_str(&MailChannel::new("good", DESK).imap(good.imap_port(), DESK, WORD, "").text());
    let began = Instant::now();
    let mut daemon = Daemon::start(&format!("{text}{}", wrong("canary-not-the-word"))).await;
    let ready = began.elapsed();
    let (api, ledger) = (daemon.api(), Ledger::new("accounts"));
    let mut issued = BTreeMap::new();
    good.deliver(DESK, &mail(&ledger, &mut issued, 0, "good"));
    expect_exactly(&api, &ledger, &issued, LIMIT).await;
    tell(format_args!("accounts: ready after {ready:?} with seven broken channels"));
    for name in ["wrong_password", "other_name", "expired", "self_signed", "unknown_authority"] {
        let state = wait_channel(&api, name, &["needs_human"], LIMIT).await;
        assert!(!state["cause"].as_str().unwrap_or_default().is_empty(), "{state}");
    }
    wait_channel(&api, "refused", &["backing_off"], LIMIT).await;
    assert_ne!(channel(&api, "silent").await["state"], "running");
    for (name, dovecot) in &flawed {
        let log = dovecot.log();
        assert!(!log.contains("Login: ") && !log.contains("auth failed"), "{name}: {log}");
    }
    // No storm: it is tried again after minutes, not seconds. Ten mails of the good one later …
    for number in 1..11 {
        good.deliver(DESK, &mail(&ledger, &mut issued, number, "good"));
        expect_exactly(&api, &ledger, &issued, LIMIT).await;
    }
    let tries = good.log().matches("auth failed").count();
    assert_eq!(tries, 1, "{}", good.log());
    // A human corrects the password: no restart is needed.
    daemon.configure(&format!("{text}{}", wrong(WORD)));
    daemon.signal(Signal::Hup);
    wait_channel(&api, "wrong_password", &["running"], LIMIT).await;
    good.deliver(SALES, &mail(&ledger, &mut issued, 11, "wrong_password"));
    expect_exactly(&api, &ledger, &issued, LIMIT).await;
    let log = daemon.log();
    assert!(!log.contains(WORD) && !log.contains("canary-not"), "a password is in the log");
}

fn with_tls(name: &str, port: u16, tls: &str) -> String {
    let lines = format!(
        "protocol = \"imap\"\nhost = \"127.0.0.1\"\nport = {port}\nusername = \"{DESK}\"\n\
         password = \"{WORD}\"\n{tls}"
    );
    MailChannel::new(name, &format!("{name}@example.com")).table("receive", &lines).text()
}

/// Mails that no program should write, each of which has stopped some help desk.
fn poison() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |depth: usize| {
        let mut text =
            String::from("From: <deep@customer.example>\r\nSubject: deep\r\nMIME-Version: 1.0\r\n");
        for level in 0..depth {
            text.push_str(&format!(
                "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
            ));
        }
        text.push_str("Content-Type: text/plain\r\n\r\nthe bottom\r\n");
        text.into_bytes()
    };
    let mut parts = String::from(
        "From: <many@customer.example>\r\nSubject: parts\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n",
    );
    parts.push_str(&"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n".repeat(20_000));
    let header = format!(
        "From: <head@customer.example>\r\nSubject: {}\r\n\r\nhead\r\n",
        "very long ".repeat(100_000)
    );
    let table = format!(
        "From: <html@customer.example>\r\nSubject: html\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/html\r\n\r\n{}words\r\n",
        "<div><table><tr><td><b>".repeat(20_000)
    );
    vec![
        ("no header", b"\r\nwords without any header\r\n".to_vec()),
        ("no from", b"Subject: nobody\r\n\r\nwho wrote this?\r\n".to_vec()),
        ("empty", b"From: <empty@customer.example>\r\n\r\n".to_vec()),
        ("bytes", [b"From: <bytes@customer.example>\r\nSubject: ".as_slice(), &[0xff, 0xfe, 0x80, b'\r', b'\n', b'\r', b'\n'], &(1..=255).collect::<Vec<u8>>()].concat()),
        ("charset", b"From: <c@customer.example>\r\nSubject: =?x-no-such?Q?=FF=FE?=\r\nContent-Type: text/plain; charset=x-no-such\r\n\r\n\xe4\xf6\xfc\r\n".to_vec()),
        ("deep", nested(10_000)),
        ("parts", parts.into_bytes()),
        ("header", header.into_bytes()),
        ("html", table.into_bytes()),
        ("date", b"From: <d@customer.example>\r\nDate: Fri, 99 Foo 99999 99:99:99 +9999\r\nSubject: when\r\n\r\nx\r\n".to_vec()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_that_break_others_stop_nothing_and_none_is_missing() {
    // COMPLAINTS L15, L16, L17, L18, L21, L22, L23, L24, L25; FAULTS 62, 78 to 85
    let dovecot = Dovecot::start(&[(DESK, WORD)]);
    let ledger = Ledger::new("poison");
    let text = MailChannel::new("desk", DESK)
        .with("blocked = [\"banned@customer.example\"]")
        .imap(dovecot.imap_port(), DESK, WORD, "")
        .text();
    let mut issued = BTreeMap::new();
    let mut poison = poison();
    let banned = b"From: <banned@customer.example>\r\nSubject: me again\r\n\r\nlet me in\r\n";
    poison.push(("banned", banned.to_vec()));
    let mut mails = Vec::new();
    for (number, (_, bad)) in poison.iter().enumerate() {
        mails.push(mail(&ledger, &mut issued, u32::try_from(number).unwrap(), "desk"));
        mails.push(bad.clone());
    }
    mails.push(mail(&ledger, &mut issued, 1_000, "desk"));
    dovecot.fill(DESK, &mails);
    let mut daemon = Daemon::start(&format!("{HEAD}{text}")).await;
    let api = daemon.api();
    let mut follower = Follower::new(api.clone());
    let last = ledger.text(Kind::Mail, 1_000);
    let is_there = |follower: &Follower| {
        follower.messages().iter().any(|message| message["text_full"] == last.as_str())
    };
    let began = Instant::now();
    wait_until("the mail behind all of them", LIMIT, async || {
        follower.turn().await;
        is_there(&follower)
    })
    .await;
    tell(format_args!(
        "poison: {} mails in {:.1} s, memory afterwards {} MiB",
        mails.len(),
        began.elapsed().as_secs_f32(),
        daemon.resident_kib() / 1024
    ));
    // Every UID is a message or in quarantine (where a notice says so): the balance of the mailbox.
    wait_until("the balance", LIMIT, async || {
        follower.turn().await;
        inbound(follower.messages()) == mails.len()
    })
    .await;
    let messages = follower.messages();
    for number in issued.keys() {
        let expected = ledger.text(Kind::Mail, *number);
        let found = messages.iter().filter(|one| one["text_full"] == expected.as_str()).count();
        assert_eq!(found, 1, "number {number}");
    }
    let blocked = messages.iter().find(|one| one["author"]["address"] == "banned@customer.example");
    let ticket = blocked.unwrap()["ticket_id"].as_str().unwrap();
    assert_eq!(api.get(&format!("/tickets/{ticket}")).await["status"], "spam");
    // They are never looked at again, and nothing comes twice.
    daemon.kill();
    daemon.start_again().await;
    dovecot.deliver(DESK, &mail(&ledger, &mut issued, 2_000, "desk"));
    let mut follower = Follower::new(api.clone());
    wait_inbound(&mut follower, mails.len() + 1, LIMIT).await;
    assert_eq!(inbound(follower.messages()), mails.len() + 1);
    assert!(!daemon.log().contains("panicked at"), "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_megabytes_hold_nobody_up_for_long() {
    // FAULTS 13, 66; without optimisation every byte is slow, hence the limit.
    let dovecot = Dovecot::start(&[(DESK, WORD), (SALES, WORD)]);
    let mut text = String::from(HEAD);
    for (name, address) in [("desk", DESK), ("sales", SALES)] {
        let channel = MailChannel::new(name, address);
        text.push_str(&channel.imap(dovecot.imap_port(), address, WORD, "").text());
    }
    let ledger = Ledger::new("fifty megabytes");
    let mut issued = BTreeMap::new();
    let mut daemon = Daemon::start(&text).await;
    let api = daemon.api();
    dovecot.fill(DESK, [huge_mail(), mail(&ledger, &mut issued, 0, "desk")]);
    let began = Instant::now();
    let mut follower = Follower::new(api.clone());
    let mut number = 0;
    // The other channel goes on all the time, and so does the API.
    wait_until("the huge mail", 3 * LIMIT, async || {
        number += 1;
        dovecot.deliver(SALES, &mail(&ledger, &mut issued, number, "sales"));
        follower.turn().await;
        follower.messages().iter().any(|one| one["subject"] == "fifty megabytes")
    })
    .await;
    let took = began.elapsed();
    wait_inbound(&mut follower, issued.len() + 1, LIMIT).await;
    tell(format_args!(
        "fifty megabytes: in the desk after {took:?}, {} MiB",
        daemon.resident_kib() / 1024
    ));
    let messages = follower.messages();
    let large = messages.iter().find(|one| one["subject"] == "fifty megabytes").unwrap();
    assert_eq!(large["attachments"][0]["size"], 50 << 20, "{}", large["attachments"]);
    let taken = daemon.log().matches("desk is run here now").count();
    assert_eq!(taken, 1, "the lease was kept all the time");
    assert!(daemon.is_running());
}

/// Fifty megabytes of attachment.
fn huge_mail() -> Vec<u8> {
    let mut mail = b"From: <big@customer.example>\r\nSubject: fifty megabytes\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee the film\r\n\
        --b\r\nContent-Type: application/octet-stream; name=film.bin\r\nContent-Disposition: attachment; filename=film.bin\r\n\
        Content-Transfer-Encoding: 7bit\r\n\r\n"
        .to_vec();
    let line = format!("{}\r\n", "z".repeat(62));
    mail.extend_from_slice(line.repeat((50 << 20) / 64).as_bytes());
    mail.extend_from_slice(b"\r\n--b--\r\n");
    mail
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_that_cannot_be_fetched_is_told_of_and_a_server_without_idle_is_polled() {
    // COMPLAINTS L13: what the server answers for mail 5 is no IMAP.
    let fake = Fake::start().await;
    fake.store().password = WORD.to_owned();
    fake.fill(100);
    fake.script(|turn| {
        if turn.line == "IDLE" {
            return Reaction::Say(b"{tag} NO not here\r\n".to_vec());
        }
        let set = turn.line.split(' ').nth(2).unwrap_or_default();
        let wanted = turn.line.contains("BODY.PEEK")
            && set.split(',').any(|part| {
                let (first, last) = part.split_once(':').unwrap_or((part, part));
                let range = first.parse::<u32>().ok().zip(last.parse::<u32>().ok());
                range.is_some_and(|(first, last)| (first..=last).contains(&5))
            });
        if wanted {
            return Reaction::Say(
                b"* 5 FETCH (UID 5 BODY[] {3}\r\nabc\r\n* ((((\r\n{tag} OK done\r\n".to_vec(),
            );
        }
        Reaction::Normal
    });
    let text = MailChannel::new("desk", DESK).imap(fake.port, "us", WORD, "").text();
    let daemon = Daemon::start(&format!("{HEAD}{text}")).await;
    let api = daemon.api();
    let mut follower = Follower::new(api.clone());
    wait_inbound(&mut follower, 100, LIMIT).await;
    // There are no bytes to keep, so it is a ticket that says so: somebody waits behind it.
    let told = |one: &&Value| {
        one["text_full"].as_str().unwrap_or_default().starts_with("[this mail could not be fetched")
    };
    assert_eq!(follower.messages().iter().filter(told).count(), 1);
    let began = Instant::now();
    fake.fill(1);
    wait_inbound(&mut follower, 101, LIMIT).await;
    tell(format_args!(
        "polling: the next mail after {:?}, looked for every two seconds",
        began.elapsed()
    ));
    assert!(fake.count("IDLE") <= follower.messages().len(), "it does not ask for ever");
}

/// UIDs in a folder that a search finds.
fn found(client: &mut ImapClient, folder: &str, query: &str) -> usize {
    client.command(&format!("EXAMINE \"{folder}\""));
    let answers = client.command(&format!("UID SEARCH {query}"));
    let text = String::from_utf8_lossy(&answers.concat()).into_owned();
    text.trim_start_matches("* SEARCH").split_whitespace().count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_stored_is_left_marked_moved_or_deleted_even_over_a_kill() {
    // COMPLAINTS D6: we are gone before the server hears that it may delete, and the mail comes again.
    let cases = [
        ("leave", "after = \"leave\""),
        ("mark", "after = \"mark\"\nmark_as = \"$Ticketed\""),
        ("move", "after = \"move\"\nmove_to = \"Ticketed\""),
        ("delete", "after = \"delete\""),
    ];
    for (name, lines) in cases {
        let dovecot = Dovecot::start(&[(DESK, WORD)]);
        dovecot.create_folder(DESK, "Orders");
        let lines = format!("folders = [\"INBOX\", \"Orders\"]\nbatch_max = 5\n{lines}");
        let text = MailChannel::new("desk", DESK).imap(dovecot.imap_port(), DESK, WORD, &lines);
        let (ledger, mut issued) = (Ledger::new(name), BTreeMap::new());
        for number in 0..20 {
            dovecot.deliver(DESK, &mail(&ledger, &mut issued, number, "desk"));
            let order = mail(&ledger, &mut issued, 100 + number, "desk");
            dovecot.imap_client(DESK).append("Orders", "", &order);
        }
        let mut daemon = Daemon::prepare(&format!("{HEAD}{}", text.text()));
        // It dies between «stored» and «told the server», three times.
        for round in 1..=3 {
            daemon.set_environment("TRIBUTARY_FAILPOINT", &format!("pull.appended:{round}"));
            daemon.spawn();
            daemon.wait_end(LIMIT);
        }
        daemon.set_environment("TRIBUTARY_FAILPOINT", "");
        daemon.start_again().await;
        expect_exactly(&daemon.api(), &ledger, &issued, LIMIT).await;
        for number in 20..23 {
            dovecot.deliver(DESK, &mail(&ledger, &mut issued, number, "desk"));
            let order = mail(&ledger, &mut issued, 100 + number, "desk");
            dovecot.imap_client(DESK).append("Orders", "", &order);
        }
        expect_exactly(&daemon.api(), &ledger, &issued, LIMIT).await;
        let mut client = dovecot.imap_client(DESK);
        wait_until(name, LIMIT, async || {
            let mut here = |query: &str| {
                found(&mut client, "INBOX", query) + found(&mut client, "Orders", query)
            };
            match name {
                "leave" => here("ALL") == 46 && here("UNSEEN UNKEYWORD $Ticketed") == 46,
                "mark" => here("ALL") == 46 && here("KEYWORD $Ticketed") == 46,
                "move" => here("ALL") == 0 && dovecot.count(DESK, "Ticketed") == 46,
                _ => here("ALL") == 0,
            }
        })
        .await;
        // And nothing comes a second time.
        daemon.kill();
        daemon.start_again().await;
        expect_exactly(&daemon.api(), &ledger, &issued, LIMIT).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_goes_and_comes_back_does_not_hold_up_the_others() {
    // FAULTS 75
    let dovecot = Dovecot::start(&[(DESK, WORD)]);
    dovecot.create_folder(DESK, "Orders");
    let lines = "folders = [\"INBOX\", \"Orders\"]";
    let text = MailChannel::new("desk", DESK).imap(dovecot.imap_port(), DESK, WORD, lines).text();
    let daemon = Daemon::start(&format!("{HEAD}{text}")).await;
    let (ledger, mut issued) = (Ledger::new("folder"), BTreeMap::new());
    let order = |number: u32, issued: &mut BTreeMap<u32, Issued>| {
        let order = mail(&ledger, issued, number, "desk");
        dovecot.imap_client(DESK).append("Orders", "", &order);
    };
    dovecot.deliver(DESK, &mail(&ledger, &mut issued, 0, "desk"));
    order(1, &mut issued);
    expect_exactly(&daemon.api(), &ledger, &issued, LIMIT).await;
    dovecot.delete_folder(DESK, "Orders");
    let red = wait_channel(&daemon.api(), "desk", &["needs_human"], LIMIT).await;
    assert!(red["cause"].as_str().unwrap_or_default().contains("Orders"), "{red}");
    for number in 2..5 {
        dovecot.deliver(DESK, &mail(&ledger, &mut issued, number, "desk"));
        expect_exactly(&daemon.api(), &ledger, &issued, Duration::from_secs(20)).await;
    }
    dovecot.create_folder(DESK, "Orders");
    order(5, &mut issued);
    expect_exactly(&daemon.api(), &ledger, &issued, LIMIT).await;
    wait_channel(&daemon.api(), "desk", &["running"], LIMIT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_mail_to_two_mailboxes_is_one_ticket_or_two_as_the_admin_wishes() {
    // COMPLAINTS D5, D13; FAULTS 64, 65
    for separate in [false, true] {
        let dovecot = Dovecot::start(&[(DESK, WORD), (SALES, WORD)]);
        let policy = if separate { "duplicates = \"separate\"" } else { "duplicates = \"join\"" };
        let mut text = String::from(HEAD);
        for (name, address) in [("desk", DESK), ("sales", SALES)] {
            let channel = MailChannel::new(name, address).with(policy);
            text.push_str(&channel.imap(dovecot.imap_port(), address, WORD, "").text());
        }
        let daemon = Daemon::start(&text).await;
        let (api, ledger) = (daemon.api(), Ledger::new("two mailboxes"));
        let envelope =
            Envelope { from: "anna@customer.example", to: DESK, cc: SALES, in_reply_to: "" };
        let both = ledger.mail(0, &envelope);
        // Delivered to both, and to one of them twice.
        for user in [DESK, SALES, DESK] {
            dovecot.deliver(user, &both);
        }
        let last = Envelope { cc: "", ..envelope };
        dovecot.deliver(DESK, &ledger.mail(1, &last));
        dovecot.deliver(SALES, &ledger.mail(2, &last));
        let expected = if separate { 4 } else { 3 };
        let mut follower = Follower::new(api.clone());
        wait_inbound(&mut follower, expected, LIMIT).await;
        let metrics = received(&daemon).await;
        assert_eq!(metrics, 5, "all five were taken from the server");
        follower.turn().await;
        assert_eq!(inbound(follower.messages()), expected, "{separate}");
        let mut tickets: Vec<&Value> = follower
            .messages()
            .iter()
            .filter(|one| one["text_full"] == ledger.text(Kind::Mail, 0).as_str())
            .map(|one| &one["ticket_id"])
            .collect();
        tickets.dedup();
        assert_eq!(tickets.len(), if separate { 2 } else { 1 });
    }
}

/// How many raws were taken in, as the metrics tell once all are worked off.
async fn received(daemon: &Daemon) -> usize {
    let mut total = 0;
    wait_until("five raws", LIMIT, async || {
        let page = daemon.metrics().await;
        let lines = page.lines().filter(|line| line.starts_with("tributary_received_total"));
        total = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok()).sum();
        total >= 5
    })
    .await;
    total
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_ticket_stays_deleted() {
    // COMPLAINTS D1, D2, D4: the mail is still in the mailbox, and is looked at again in every way there is.
    let dovecot = Dovecot::start(&[(DESK, WORD)]);
    let line = Proxy::to(dovecot.imap_port());
    let text = MailChannel::new("desk", DESK).imap(line.port(), DESK, WORD, "").text();
    let mut daemon = Daemon::start(&format!("{HEAD}{text}")).await;
    let (api, ledger) = (daemon.api(), Ledger::new("deleted"));
    let mut issued = BTreeMap::new();
    let mails: Vec<Vec<u8>> = (0..4).map(|n| mail(&ledger, &mut issued, n, "desk")).collect();
    dovecot.deliver_many(DESK, &mails);
    let messages = expect_exactly(&api, &ledger, &issued, LIMIT).await;
    let gone = messages[1]["ticket_id"].as_str().unwrap().to_owned();
    let ticket = api.get(&format!("/tickets/{gone}")).await;
    let request = api.request(Method::DELETE, &format!("/tickets/{gone}"));
    let version = format!("\"{}\"", ticket["version"]);
    let answer = api.send(request.header("If-Match", version)).await.unwrap();
    assert!(answer.status.is_success(), "{answer:?}");
    let number = ledger.number(Kind::Mail, messages[1]["text_full"].as_str().unwrap());
    issued.remove(&number.unwrap().unwrap());
    // Another UIDVALIDITY, the same mail delivered once more, a restart, lines that break.
    dovecot.change_uid_validity(DESK, "INBOX");
    dovecot.deliver(DESK, &mails[1]);
    daemon.kill();
    daemon.start_again().await;
    for number in 10..20 {
        line.reset_all();
        dovecot.deliver(DESK, &mail(&ledger, &mut issued, number, "desk"));
        expect_exactly(&api, &ledger, &issued, LIMIT).await;
    }
    assert_eq!(api.tickets().await.len(), issued.len());
}
