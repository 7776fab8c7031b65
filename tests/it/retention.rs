//! A daemon that dies while it erases what is over: all of a batch is gone or none of it, and in the end all.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};

use crate::support::daemon::Daemon;
use crate::support::wait_until;

const LIMIT: Duration = Duration::from_secs(60);
/// Two batches and a half.
const OVER: usize = 250;
const YOUNG: usize = 20;

const SETTINGS: &str = r#"
[channels.mail]
kind = "email"
address = "support@example.com"
[channels.mail.receive]
protocol = "pipe"
[retention]
enabled = true
contacts = true
raws_days = 30
[[retention.rules]]
name = "old"
after_days = 30
"#;

/// In whose words and name nothing else stands.
fn word(number: usize) -> String {
    if number <= OVER { format!("xylophone{number}x") } else { format!("bassoon{number}x") }
}

fn mbox() -> String {
    let mail = |number: usize| {
        let word = word(number);
        format!(
            "From ann Thu Nov 26 10:00:00 2026\nFrom: {word} <{word}@customer.example>\nTo: support@example.com\n\
             Subject: about {word}\nMessage-ID: <m{number}@customer.example>\n\
             Date: Mon, 23 Nov 2026 10:00:00 +0000\n\nWhere is my {word}?\n\n"
        )
    };
    (1..=OVER + YOUNG).map(mail).collect()
}

/// One number that the database of a daemon that does not run holds.
async fn ask(daemon: &Daemon, sql: &str) -> i64 {
    let file = daemon.state_folder().join("tributary.db");
    let db = Database::connect(format!("sqlite://{}", file.display())).await.unwrap();
    let row = db.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    db.close().await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

async fn change(daemon: &Daemon, sql: &str) {
    let file = daemon.state_folder().join("tributary.db");
    let db = Database::connect(format!("sqlite://{}", file.display())).await.unwrap();
    // As the daemon does it: what is written over is nowhere.
    db.execute_unprepared(&format!("PRAGMA secure_delete = ON; {sql}")).await.unwrap();
    db.close().await.unwrap();
}

/// How many are gone, with everything of theirs: what is half gone is a fault.
async fn erased(daemon: &Daemon) -> usize {
    let gone = ask(daemon, "SELECT count(*) FROM ticket WHERE deleted_at IS NOT NULL").await;
    let wordless = "SELECT count(*) FROM message WHERE text = ''";
    assert_eq!(ask(daemon, wordless).await, gone, "the words of a ticket go with it");
    let nameless = "SELECT count(*) FROM contact WHERE erased_at IS NOT NULL";
    assert_eq!(ask(daemon, nameless).await, gone, "and whoever wrote them");
    let told = "SELECT count(*) FROM event WHERE kind = 'ticket.deleted'";
    assert_eq!(ask(daemon, told).await, gone, "and it is told");
    let gone = usize::try_from(gone).unwrap();
    assert!(gone.is_multiple_of(100) || gone == OVER, "a batch is all or none: {gone}");
    gone
}

/// Which of these words stand in the files of the database.
fn found(daemon: &Daemon, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for name in ["tributary.db", "tributary.db-wal"] {
        let bytes = std::fs::read(daemon.state_folder().join(name)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        for near in text.split(prefix).skip(1).take(3) {
            let near: String = near.chars().take(60).collect();
            found.push(format!("{name}: {near:?}"));
        }
    }
    found
}

#[tokio::test]
async fn a_daemon_killed_while_it_erases_erases_all_and_nothing_else() {
    let mut daemon = Daemon::prepare(SETTINGS);
    let file = daemon.folder().join("mails.mbox");
    std::fs::write(&file, mbox()).unwrap();
    let ran = daemon.run(&["import", "mail", file.to_str().unwrap()]);
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    std::fs::remove_file(file).unwrap();
    let old = format!("UPDATE ticket SET status = 'solved', updated_at = 0 WHERE number <= {OVER}");
    change(&daemon, &old).await;
    assert_eq!(erased(&daemon).await, 0);
    assert!(!found(&daemon, "xylophone").is_empty(), "the test looks in the wrong place");

    // After the first batch, before old raws are looked for.
    daemon.set_environment("TRIBUTARY_FAILPOINT", "retention.erased");
    daemon.spawn();
    daemon.wait_end(LIMIT);
    assert_eq!(erased(&daemon).await, 100);

    // Anywhere within the second one.
    daemon.set_environment("TRIBUTARY_FAILPOINT", "");
    let mut delay = Duration::from_millis(60);
    while erased(&daemon).await == 100 {
        daemon.spawn();
        tokio::time::sleep(delay).await;
        daemon.kill();
        delay += Duration::from_millis(60);
    }

    // After all that one turn does.
    daemon.set_environment("TRIBUTARY_FAILPOINT", "retention.forgotten");
    daemon.spawn();
    daemon.wait_end(LIMIT);
    assert_eq!(erased(&daemon).await, OVER);

    daemon.set_environment("TRIBUTARY_FAILPOINT", "");
    daemon.start_again().await;
    let api = daemon.api();
    wait_until("the audit trail", LIMIT, async || {
        !api.get("/audit").await["items"].as_array().unwrap().is_empty()
    })
    .await;
    let mut told: BTreeMap<(String, String), usize> = BTreeMap::new();
    for event in api.all("/audit").await {
        let of =
            if event["kind"] == "ticket.deleted" { &event["ticket_id"] } else { &event["data"] };
        let key = (event["kind"].as_str().unwrap().to_owned(), of.to_string());
        *told.entry(key).or_default() += 1;
    }
    for kind in ["ticket.deleted", "contact.erased"] {
        let of: Vec<usize> =
            told.iter().filter(|((known, _), _)| known == kind).map(|(_, times)| *times).collect();
        assert_eq!((of.len(), of.iter().sum::<usize>()), (OVER, OVER), "{kind}: each once");
    }
    let kept = api.all("/tickets").await;
    assert_eq!(kept.len(), YOUNG);
    let subjects: Vec<&str> = kept.iter().map(|one| one["subject"].as_str().unwrap()).collect();
    for number in OVER + 1..=OVER + YOUNG {
        assert!(subjects.contains(&format!("about {}", word(number)).as_str()), "{subjects:?}");
    }
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(found(&daemon, "xylophone"), Vec::<String>::new());
    assert!(!found(&daemon, "bassoon").is_empty());
}
