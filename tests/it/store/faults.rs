//! Disks that are full or fail, servers that go away, lines that are cut in the worst moment.

use std::collections::HashSet;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tributary::store::{Access, MasterKeys, Store, StoreSettings};

use super::{ANNA, Kit, mail, mail_channel, message, name, open, raw, start};
use crate::support::postgres::Postgres;
use crate::support::proxy::{Fault, Moment, Proxy, Way};
use crate::support::{am_root, output};

/// A small file system of its own, unmounted with the value.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        output(
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder.path()),
        );
        Self(folder)
    }

    fn fill(&self) {
        let file = self.0.path().join("filler");
        let mut command = Command::new("dd");
        command.arg("if=/dev/zero").arg(format!("of={}", file.display())).arg("bs=64k");
        // It ends by «no space left on device».
        drop(command.output());
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).output());
    }
}

/// Only root may mount; others read why this is not tried.
#[expect(clippy::print_stderr, reason = "a skipped test says so where people look")]
fn may_mount() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let mut mount = Command::new("mount");
    let mount = mount.args(["-t", "tmpfs", "tmpfs"]).arg(folder.path()).output();
    let may = am_root() && mount.is_ok_and(|done| done.status.success());
    if may {
        output(Command::new("umount").arg(folder.path()));
    } else {
        eprintln!("skipped: a small disk can be mounted by root only");
    }
    may
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_loses_nothing() {
    if !may_mount() {
        return;
    }
    let disk = SmallDisk::mount("6m");
    let url = format!("sqlite://{}/tributary.db", disk.0.path().display());
    let keys = MasterKeys::load_or_make(&disk.0.path().join("master.key")).unwrap();
    let store = open(&url, &keys, Access::Daemon).await;
    store.migrate().await.unwrap();
    let channel = name("mail");
    let body = "x".repeat(20_000);
    let mut kept = Vec::new();
    let (mut refused, mut number) = (0, 0);
    for round in 0..2 {
        disk.fill();
        while refused < 5 * (round + 1) {
            number += 1;
            assert!(number < 1000, "the disk does not get full");
            let raws = vec![raw(&number.to_string(), &body)];
            match store.append_pushed(&channel, raws, start()).await {
                Ok(appended) => kept.push(appended.ids[0]),
                Err(_) => refused += 1,
            }
        }
        // What is there can still be read.
        assert_eq!(
            store.pending(1, 1, start()).await.unwrap().len(),
            usize::from(!kept.is_empty())
        );
        disk.empty();
        // And it heals by itself: with the same key, if it was refused before.
        for attempt in 0..20 {
            let raws = vec![raw(&number.to_string(), &body)];
            match store.append_pushed(&channel, raws, start()).await {
                Ok(appended) => {
                    kept.push(appended.ids[0]);
                    break;
                }
                Err(error) => assert!(attempt < 19, "it does not heal: {error:?}"),
            }
        }
    }
    store.close().await.unwrap();
    let store = open(&url, &keys, Access::Daemon).await;
    for id in &kept {
        let (_, raw) = store.raw(*id).await.unwrap();
        assert_eq!(raw.unwrap().body.len(), 20_000, "acknowledged and not there");
    }
    let db = sea_orm::Database::connect(&url).await.unwrap();
    let check =
        sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, "PRAGMA integrity_check");
    let row = sea_orm::ConnectionTrait::query_one_raw(&db, check).await.unwrap().unwrap();
    assert_eq!(row.try_get_by_index::<String>(0).unwrap(), "ok");
}

/// Writers that go on through whatever happens, and what they were told.
struct Writers {
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<(Vec<String>, usize)>>,
}

impl Writers {
    fn start(store: &Store, count: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let write = |writer: usize| {
            let (store, stop) = (store.clone(), stop.clone());
            async move {
                let (mut kept, mut errors, mut number) = (Vec::new(), 0, 0);
                while !stop.load(Ordering::SeqCst) {
                    let key = format!("{writer} {number}");
                    let raws = vec![raw(&key, "body")];
                    // As a service does: the same again until it is taken.
                    match store.append_pushed(&name("mail"), raws, start()).await {
                        Ok(_) => {
                            kept.push(key);
                            number += 1;
                        }
                        Err(_) => {
                            errors += 1;
                            tokio::time::sleep(Duration::from_millis(20)).await;
                        }
                    }
                }
                (kept, errors)
            }
        };
        Self { tasks: (0..count).map(|writer| tokio::spawn(write(writer))).collect(), stop }
    }

    /// What was acknowledged, and how many errors there were.
    async fn finish(self) -> (HashSet<String>, usize) {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = (HashSet::new(), 0);
        for task in self.tasks {
            let (kept, errors) = task.await.unwrap();
            all.0.extend(kept);
            all.1 += errors;
        }
        all
    }
}

async fn postgres_store(url: &str) -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let keys = MasterKeys::load_or_make(&folder.path().join("master.key")).unwrap();
    let settings = StoreSettings { url: url.to_owned(), readers: 4 };
    let store = Store::open(&settings, keys, Access::Daemon).await.unwrap();
    store.migrate().await.unwrap();
    (store, folder)
}

/// Every key that was acknowledged is there, once.
fn assert_kept(stored: &str, kept: &HashSet<String>) {
    let rows: Vec<&str> = stored.lines().collect();
    let stored: HashSet<&str> = rows.iter().copied().collect();
    assert_eq!(rows.len(), stored.len(), "something is there twice");
    let lost: Vec<_> = kept.iter().filter(|key| !stored.contains(key.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_stops_crashes_and_comes_back_loses_nothing() {
    let mut cluster = Postgres::start();
    let database = cluster.database();
    let (store, _folder) = postgres_store(&database.url()).await;
    let writers = Writers::start(&store, 8);
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        if round % 2 == 0 {
            cluster.kill();
        } else {
            cluster.stop();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        cluster.start_again();
        let healed = tokio::time::timeout(Duration::from_secs(15), async {
            while store.ping().await.is_err() {}
        });
        healed.await.expect("the store does not heal");
    }
    let (kept, errors) = writers.finish().await;
    assert!(
        kept.len() > 50 && errors > 0,
        "{} kept, {errors} errors: nothing was tried",
        kept.len()
    );
    assert_kept(&database.sql("SELECT dedupe FROM journal"), &kept);
}

/// The answer to COMMIT is lost: it may have been done or not, and a repetition must not make two of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_commit_of_unknown_outcome_is_repeated_without_a_double() {
    let cluster = Postgres::start();
    let database = cluster.database();
    let proxy = Proxy::to(cluster.port());
    let url = database.url().replace(&cluster.port().to_string(), &proxy.port().to_string());
    let (store, _folder) = postgres_store(&url).await;
    let channel = mail_channel("mail");
    let mut errors = 0;
    for (round, moment) in [Moment::Before, Moment::After].into_iter().cycle().take(12).enumerate()
    {
        let way = if round % 3 == 0 { Way::ToServer } else { Way::FromServer };
        proxy.set(Fault::CutAt { way, text: "COMMIT".to_owned(), moment });
        let id = format!("mail {round}");
        let ingested = loop {
            let appended =
                store.append_pushed(&channel.name, vec![raw(&id, "body")], start()).await;
            let Ok(appended) = appended else {
                errors += 1;
                continue;
            };
            let meaning = Ok(message(mail(ANNA, &id)));
            let one = tributary::store::Ingest {
                id: appended.ids[0],
                received_at: start(),
                channel: channel.clone(),
                meaning,
            };
            match store.ingest(vec![one], start()).await {
                Ok(ingested) => break ingested,
                Err(_) => errors += 1,
            }
        };
        assert!(ingested.len() <= 1);
        proxy.set(Fault::None);
    }
    assert!(errors > 0 && proxy.cuts() > 0, "no line was cut");
    assert_eq!(database.sql("SELECT count(*) FROM journal").trim(), "12");
    assert_eq!(database.sql("SELECT count(*) FROM journal WHERE state = 'applied'").trim(), "12");
    assert_eq!(database.sql("SELECT count(*) FROM message").trim(), "12");
    assert_eq!(database.sql("SELECT count(*) FROM ticket").trim(), "12");
}

/// A line that swallows everything: callers are told in time, and all is well when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_says_nothing_any_more_holds_nobody_up_for_ever() {
    let cluster = Postgres::start();
    let database = cluster.database();
    let proxy = Proxy::to(cluster.port());
    let url = database.url().replace(&cluster.port().to_string(), &proxy.port().to_string());
    let (store, _folder) = postgres_store(&url).await;
    let channel = name("mail");
    let push = |key: &str| store.append_pushed(&channel, vec![raw(key, "body")], start());
    push("before").await.unwrap();
    proxy.set(Fault::Blackhole);
    let told = tokio::time::timeout(Duration::from_secs(60), push("lost")).await;
    assert!(told.expect("nobody was told").is_err());
    proxy.set(Fault::None);
    let healed = tokio::time::timeout(Duration::from_secs(60), async {
        while push("lost").await.is_err() {}
    });
    healed.await.expect("the store does not heal");
    assert_eq!(database.sql("SELECT count(*) FROM journal").trim(), "2");
}

/// SIGKILL at any moment leaves a file that opens, in which all is whole.
#[tokio::test]
async fn a_file_without_its_log_opens() {
    let kit = Kit::sqlite().await;
    kit.arrive(&mail_channel("mail"), mail(ANNA, "1")).await;
    kit.store.close().await.unwrap();
    for ending in ["db-wal", "db-shm"] {
        drop(std::fs::remove_file(kit.folder.path().join(format!("tributary.{ending}"))));
    }
    let store = open(&kit.url, &kit.keys, Access::Daemon).await;
    assert_eq!(
        store
            .messages(&tributary::store::MessageFilter { limit: 10, ..Default::default() })
            .await
            .unwrap()
            .len(),
        1
    );
}
