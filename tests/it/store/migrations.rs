//! The schema moves forward only: from older files, by several nodes at once, through interruptions.

use std::path::Path;

use tributary::model::{Secret, TicketId};
use tributary::store::{Access, MasterKeys, Store, StoreError, StoreSettings, TicketName};

use super::{ANNA, Kit, answer, days, mail_channel, name, on_both, open, start, ticket_of};
use crate::support::postgres::Database;

on_both! {
    migrating_again_changes_nothing
    a_newer_schema_is_refused_with_its_name
    an_interrupted_migration_leaves_nothing_and_is_done_again
}

/// A database that the first released schema made, with a ticket, a reply, an upload and a secret in it.
/// Made once by that version; it must open for ever.
const FIRST: &str = "tests/fixtures/store/first.db";
const FIRST_KEY: &str = "tests/fixtures/store/first.key";

async fn migrating_again_changes_nothing(kit: Kit) {
    assert_eq!(kit.store.pending_migrations().await.unwrap(), 0);
    let before = kit.texts("SELECT version FROM seaql_migrations ORDER BY version").await;
    kit.store.migrate().await.unwrap();
    assert_eq!(kit.texts("SELECT version FROM seaql_migrations ORDER BY version").await, before);
    assert!(before.len() >= 2);
}

async fn a_newer_schema_is_refused_with_its_name(kit: Kit) {
    kit.execute(
        "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m20990101_000001_flying_cars', 1)",
    )
    .await;
    let older = kit.another().await;
    for outcome in [older.migrate().await, older.pending_migrations().await.map(drop)] {
        let Err(StoreError::Refused(why)) = outcome else { panic!("{outcome:?}") };
        assert!(why.contains("m20990101_000001_flying_cars"), "{why}");
        assert!(why.contains(env!("CARGO_PKG_VERSION")), "{why}");
    }
    let kept = kit.number("SELECT count(*) FROM seaql_migrations").await;
    assert!(kept >= 3, "it was taken back");
}

async fn an_interrupted_migration_leaves_nothing_and_is_done_again(kit: Kit) {
    // The second step is undone by hand, and something stands in its way half-way through.
    kit.execute("DROP INDEX message_raw").await;
    kit.execute("DROP INDEX journal_message").await;
    kit.execute("ALTER TABLE journal DROP COLUMN message").await;
    kit.execute("ALTER TABLE delivery DROP COLUMN tried_since").await;
    kit.execute("DELETE FROM seaql_migrations WHERE version LIKE 'm20261126_000002%'").await;
    kit.execute("CREATE INDEX message_raw ON message (seq)").await;
    assert_eq!(kit.store.pending_migrations().await.unwrap(), 1);
    kit.store.migrate().await.unwrap_err();
    assert_eq!(kit.store.pending_migrations().await.unwrap(), 1, "half of it is there");
    let columns = if kit.is_postgres() {
        "SELECT count(*) FROM information_schema.columns WHERE column_name = 'tried_since'"
    } else {
        "SELECT count(*) FROM pragma_table_info('delivery') WHERE name = 'tried_since'"
    };
    assert_eq!(kit.number(columns).await, 0, "half of it is there");
    kit.execute("DROP INDEX message_raw").await;
    kit.store.migrate().await.unwrap();
    assert_eq!(kit.number(columns).await, 1);
    kit.arrive(&mail_channel("mail"), super::mail(ANNA, "1")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_nodes_migrate_at_once() {
    let database = Database::fresh();
    let folder = tempfile::tempdir().unwrap();
    let keys = MasterKeys::load_or_make(&folder.path().join("master.key")).unwrap();
    let settings = StoreSettings { url: database.url(), readers: 2 };
    let nodes = (0..4).map(|_| async {
        let store = Store::open(&settings, keys.clone(), Access::Daemon).await.unwrap();
        store.migrate().await.unwrap();
        store.append_pushed(&name("mail"), Vec::new(), start()).await.unwrap();
        store
    });
    let nodes = futures::future::join_all(nodes).await;
    for node in &nodes {
        assert_eq!(node.pending_migrations().await.unwrap(), 0);
        node.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_without_a_schema_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/new.db", folder.path().display());
    let keys = MasterKeys::load_or_make(&folder.path().join("master.key")).unwrap();
    let store = open(&url, &keys, Access::Daemon).await;
    assert!(store.pending_migrations().await.unwrap() >= 2);
    assert!(store.ping().await.is_err());
    store.migrate().await.unwrap();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_brought_up_to_date_with_all_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::copy(root.join(FIRST), folder.path().join("tributary.db")).unwrap();
    let keys = MasterKeys::parse(&std::fs::read_to_string(root.join(FIRST_KEY)).unwrap()).unwrap();
    let url = format!("sqlite://{}/tributary.db", folder.path().display());
    let store = open(&url, &keys, Access::Daemon).await;
    assert!(store.pending_migrations().await.unwrap() >= 1);
    store.migrate().await.unwrap();

    let ticket = store.ticket(TicketName::Number(1)).await.unwrap();
    assert_eq!((ticket.subject.as_str(), ticket.message_count), ("Lost password 密码", 3));
    assert_eq!(ticket.tags, ["new"]);
    assert_eq!(ticket.contact.identities[0].value, "anna@customer.example");
    let messages = store.ticket_messages(ticket.id, 0, 10).await.unwrap();
    let directions: Vec<&str> = messages.iter().map(|one| one.direction.as_str()).collect();
    assert_eq!(directions, ["in", "out", "internal"]);
    let file = store.attachment(messages[0].attachments[0].id).await.unwrap();
    assert_eq!(file.bytes.unwrap(), vec![7; 70_000]);
    assert_eq!(store.vault_get("oauth:mail").await.unwrap().unwrap().reveal(), "a refresh token");
    // What the node before left is adopted.
    assert_eq!(store.beat().await.unwrap(), 1);
    let pending = store.pending(10, 1000, days(1)).await.unwrap();
    assert_eq!((pending.len(), &pending[0].raw.body[..]), (1, &b"still to be read"[..]));
    let due = store.due_deliveries(&name("mail"), 10, days(1)).await.unwrap();
    assert_eq!(due[0].delivery.outbound.text, "dear anna");
    assert_eq!(store.cursor(&name("mail")).await.unwrap().unwrap().as_str(), "7:42");
    let signed_in =
        store.sign_in("agent@desk.example", Secret::new("correct horse battery"), start());
    assert!(signed_in.await.unwrap().is_some());

    // And the work goes on where it was.
    let fence = store.take_lease(&name("mail")).await.unwrap().unwrap();
    let id = due[0].delivery.outbound.delivery;
    assert!(store.begin_delivery(&fence, id, None, days(1)).await.unwrap());
    let kit = Kit { store, url, keys, folder, database: None };
    let next =
        kit.arrive(&mail_channel("mail"), answer(ANNA, "next", &["first@customer.example"])).await;
    assert_eq!(ticket_of(&next), TicketId::from(ticket.id));
}
