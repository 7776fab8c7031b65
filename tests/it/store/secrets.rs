//! What lets people in, and what must not lie about: vault, keys, uploads, links, tokens, sessions.

use std::os::unix::fs::PermissionsExt as _;

use bytes::Bytes;
use tributary::model::{Role, Secret, UserId};
use tributary::store::{Access, Answer, Entry, MasterKeys, NewUpload, StoreError};

use super::{Kit, days, later, name, on_both, open, raw, start};

on_both! {
    the_vault_keeps_the_last_secret_sealed
    old_keys_open_what_they_sealed_until_they_are_gone
    uploads_that_nobody_used_are_forgotten
    a_sign_in_link_works_once_and_not_for_ever
    sessions_end
    tokens_are_shown_once_and_can_be_revoked
    people_are_let_in_by_their_password_only
}

async fn the_vault_keeps_the_last_secret_sealed(kit: Kit) {
    let store = &kit.store;
    assert!(store.vault_get("oauth:mail").await.unwrap().is_none());
    for secret in ["first-secret", "second-secret"] {
        store.vault_put("oauth:mail", &Secret::new(secret), start()).await.unwrap();
        assert_eq!(store.vault_get("oauth:mail").await.unwrap().unwrap().reveal(), secret);
    }
    assert_eq!(
        kit.number("SELECT count(*) FROM seal").await,
        1,
        "the key of the first is destroyed"
    );
    assert!(store.vault_get("oauth:other").await.unwrap().is_none());
    if !kit.is_postgres() {
        store.close().await.unwrap();
        let file = std::fs::read(kit.folder.path().join("tributary.db")).unwrap();
        assert!(!contains(&file, b"-secret"), "it lies in the file in clear");
    }
}

pub(super) fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[expect(clippy::cognitive_complexity, reason = "one story, told in order")]
async fn old_keys_open_what_they_sealed_until_they_are_gone(kit: Kit) {
    let path = kit.folder.path().join("master.key");
    let old_text = std::fs::read_to_string(&path).unwrap();
    kit.append(&name("mail"), "sealed by the old key").await;
    kit.store.vault_put("token", &Secret::new("old"), start()).await.unwrap();
    kit.store.close().await.unwrap();

    let new_path = kit.folder.path().join("new.key");
    MasterKeys::load_or_make(&new_path).unwrap();
    let new_text = std::fs::read_to_string(&new_path).unwrap();
    let both = MasterKeys::parse(&format!("{new_text}{old_text}")).unwrap();
    let store = open(&kit.url, &both, Access::Daemon).await;
    store
        .append_pushed(&name("mail"), vec![raw("new", "sealed by the new key")], start())
        .await
        .unwrap();
    store.beat().await.unwrap();
    let bodies = |found: Vec<tributary::store::Pending>| {
        found.into_iter().map(|one| one.raw.body).collect::<Vec<Bytes>>()
    };
    let pending = store.pending(10, 1000, start()).await.unwrap();
    assert_eq!(bodies(pending), ["sealed by the old key", "sealed by the new key"]);
    assert_eq!(store.vault_get("token").await.unwrap().unwrap().reveal(), "old");

    // The small keys are wrapped anew, some at a time, until the old one can be thrown away.
    assert_eq!(store.keys_to_rewrap().await.unwrap(), 2);
    assert_eq!(store.rewrap_keys(1).await.unwrap(), 1);
    assert_eq!(store.rewrap_keys(10).await.unwrap(), 1);
    assert_eq!(store.rewrap_keys(10).await.unwrap(), 0);
    assert_eq!(store.keys_to_rewrap().await.unwrap(), 0);
    store.close().await.unwrap();
    let only_new = open(&kit.url, &MasterKeys::parse(&new_text).unwrap(), Access::Daemon).await;
    only_new.beat().await.unwrap();
    if kit.is_postgres() {
        kit.execute("UPDATE node SET heart_beat_at = 1").await;
        only_new.beat().await.unwrap();
    }
    let pending = only_new.pending(10, 1000, start()).await.unwrap();
    assert_eq!(bodies(pending), ["sealed by the old key", "sealed by the new key"]);
    assert_eq!(only_new.vault_get("token").await.unwrap().unwrap().reveal(), "old");
    only_new.close().await.unwrap();

    // With the wrong key nothing opens, and the store says so.
    let only_old = open(&kit.url, &MasterKeys::parse(&old_text).unwrap(), Access::Daemon).await;
    assert!(matches!(only_old.vault_get("token").await, Err(StoreError::Database(_))));
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0);
}

async fn uploads_that_nobody_used_are_forgotten(kit: Kit) {
    let new = |size: usize| NewUpload {
        name: "x.bin".to_owned(),
        media_type: "application/octet-stream".to_owned(),
        bytes: Bytes::from(vec![0_u8; size]),
    };
    let mut ids = Vec::new();
    for size in [10, 200_000] {
        let Answer::Fresh(upload) = kit.store.keep_upload(new(size), None, start()).await.unwrap()
        else {
            panic!("no upload")
        };
        ids.push(upload.id);
    }
    assert_eq!(kit.store.unused_uploads(&ids).await.unwrap(), [10, 200_000]);
    assert_eq!(kit.store.forget_old_uploads(later(60 * 47)).await.unwrap(), 0);
    assert_eq!(kit.store.forget_old_uploads(later(60 * 49)).await.unwrap(), 2);
    assert!(matches!(kit.store.unused_uploads(&ids).await, Err(StoreError::NotFound("upload"))));
    for table in ["attachment", "blob", "seal"] {
        assert_eq!(kit.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

fn in_at_once(entry: Entry) -> Secret {
    match entry {
        Entry::Session(secret) => secret,
        Entry::Code(_) => panic!("a code is asked for"),
    }
}

async fn person(kit: &Kit, email: &str) -> UserId {
    let password = Some(Secret::new("correct horse battery"));
    let added = kit
        .store
        .add_person(
            ("Anna", email),
            Role::Agent,
            password,
            &tributary::model::Actor::system(),
            start(),
        )
        .await;
    added.unwrap().id.into()
}

async fn a_sign_in_link_works_once_and_not_for_ever(kit: Kit) {
    let (store, hour) = (&kit.store, chrono::Duration::hours(1));
    let anna = person(&kit, "anna@desk.example").await;
    let link = store.sign_in_link(anna, hour, start()).await.unwrap();
    // A link is no session.
    assert_eq!(store.by_session(link.reveal(), start()).await.unwrap(), None);
    let other = kit.another().await;
    let (one, two) = tokio::join!(
        store.use_sign_in_link(link.reveal(), later(1)),
        other.use_sign_in_link(link.reveal(), later(1))
    );
    let sessions = [one.unwrap(), two.unwrap()];
    let sessions: Vec<Secret> = sessions.into_iter().flatten().map(in_at_once).collect();
    assert_eq!(sessions.len(), 1, "it was used twice");
    let principal = store.by_session(sessions[0].reveal(), later(2)).await.unwrap().unwrap();
    assert_eq!((principal.actor.name.as_str(), principal.role), ("Anna", Role::Agent));
    assert_eq!(store.use_sign_in_link(link.reveal(), later(2)).await.unwrap(), None);
    // A session is no link.
    assert_eq!(store.use_sign_in_link(sessions[0].reveal(), later(2)).await.unwrap(), None);
    assert!(store.by_session(sessions[0].reveal(), later(2)).await.unwrap().is_some());
    let late = store.sign_in_link(anna, hour, start()).await.unwrap();
    assert_eq!(store.use_sign_in_link(late.reveal(), later(60)).await.unwrap(), None);
    let void = store.sign_in_link(anna, hour, start()).await.unwrap();
    store
        .disable_person("anna@desk.example", &tributary::model::Actor::system(), later(3))
        .await
        .unwrap();
    assert_eq!(store.use_sign_in_link(void.reveal(), later(4)).await.unwrap(), None);
    // The first admin is made once.
    let first = store.admin_sign_in_link(hour, start()).await.unwrap();
    let second = store.admin_sign_in_link(hour, start()).await.unwrap();
    assert_ne!(first.reveal(), second.reveal());
    assert_eq!(store.people().await.unwrap().len(), 2);
}

async fn sessions_end(kit: Kit) {
    let store = &kit.store;
    person(&kit, "anna@desk.example").await;
    let sign_in =
        |now| store.sign_in("Anna@Desk.example ", Secret::new("correct horse battery"), now);
    let session = in_at_once(sign_in(start()).await.unwrap().unwrap());
    let session = session.reveal();
    assert!(store.by_session(session, later(1)).await.unwrap().is_some());
    // Unused for twelve hours.
    assert_eq!(store.by_session(session, later(60 * 13)).await.unwrap(), None);
    // Used all the time, and older than a week.
    let session = in_at_once(sign_in(start()).await.unwrap().unwrap());
    for hours in (10..=160).step_by(10) {
        let found = store.by_session(session.reveal(), later(60 * hours)).await.unwrap();
        assert!(found.is_some(), "after {hours} hours");
    }
    assert_eq!(store.by_session(session.reveal(), days(7)).await.unwrap(), None);
    // Ended by hand, by a new password, by leaving.
    let session = in_at_once(sign_in(start()).await.unwrap().unwrap());
    store.end_session(session.reveal()).await.unwrap();
    assert_eq!(store.by_session(session.reveal(), start()).await.unwrap(), None);
    let session = in_at_once(sign_in(start()).await.unwrap().unwrap());
    store
        .set_password("anna@desk.example", Secret::new("another long one"), start())
        .await
        .unwrap();
    assert_eq!(store.by_session(session.reveal(), start()).await.unwrap(), None);
    assert_eq!(sign_in(start()).await.unwrap(), None, "the old password still works");
    let new = Secret::new("another long one");
    let session = store.sign_in("anna@desk.example", new.clone(), start()).await.unwrap();
    let session = in_at_once(session.unwrap());
    store
        .disable_person("anna@desk.example", &tributary::model::Actor::system(), start())
        .await
        .unwrap();
    assert_eq!(store.by_session(session.reveal(), start()).await.unwrap(), None);
    assert_eq!(store.sign_in("anna@desk.example", new, start()).await.unwrap(), None);
}

async fn tokens_are_shown_once_and_can_be_revoked(kit: Kit) {
    let store = &kit.store;
    let (token, secret) = store
        .create_token("ci", Role::ReadOnly, None, &tributary::model::Actor::system(), start())
        .await
        .unwrap();
    let found = store.by_token(secret.reveal(), later(1)).await.unwrap().unwrap();
    assert_eq!((found.role, found.actor.name.as_str()), (Role::ReadOnly, "ci"));
    assert_eq!(found.key, format!("token:{}", token.id));
    let rows = kit.texts("SELECT hash FROM token").await;
    assert!(!rows[0].contains(secret.reveal()), "it is kept in clear");
    assert_eq!(store.tokens().await.unwrap()[0].last_used_at, Some(later(1)));
    let short = secret.reveal().get(..52).unwrap();
    for wrong in ["", "trb_", short, &format!("{}x", secret.reveal())] {
        assert_eq!(store.by_token(wrong, start()).await.unwrap(), None);
    }
    let (_, short) = store
        .create_token(
            "short",
            Role::Admin,
            Some(later(10)),
            &tributary::model::Actor::system(),
            start(),
        )
        .await
        .unwrap();
    assert!(store.by_token(short.reveal(), later(9)).await.unwrap().is_some());
    assert_eq!(store.by_token(short.reveal(), later(10)).await.unwrap(), None);
    store.revoke_token("ci", &tributary::model::Actor::system(), later(2)).await.unwrap();
    assert_eq!(store.by_token(secret.reveal(), later(3)).await.unwrap(), None);
    assert!(matches!(
        store.revoke_token("ci", &tributary::model::Actor::system(), later(3)).await,
        Err(StoreError::NotFound("token"))
    ));
    for _ in 0..2 {
        store
            .create_token("twice", Role::Agent, None, &tributary::model::Actor::system(), start())
            .await
            .unwrap();
    }
    assert!(matches!(
        store.revoke_token("twice", &tributary::model::Actor::system(), later(3)).await,
        Err(StoreError::Refused(_))
    ));
}

async fn people_are_let_in_by_their_password_only(kit: Kit) {
    let store = &kit.store;
    person(&kit, "anna@desk.example").await;
    let again = store
        .add_person(
            ("Other", " ANNA@desk.example"),
            Role::Admin,
            None,
            &tributary::model::Actor::system(),
            start(),
        )
        .await;
    assert!(matches!(again, Err(StoreError::Refused(why)) if why.contains("anna@desk.example")));
    for (name, email) in [("", "x@y"), ("x", "no address")] {
        let outcome = store
            .add_person(
                (name, email),
                Role::Agent,
                None,
                &tributary::model::Actor::system(),
                start(),
            )
            .await;
        assert!(matches!(outcome, Err(StoreError::Refused(_))));
    }
    store
        .add_person(
            ("Bob", "bob@desk.example"),
            Role::Agent,
            None,
            &tributary::model::Actor::system(),
            start(),
        )
        .await
        .unwrap();
    for (email, password) in [
        ("anna@desk.example", "wrong horse battery"),
        ("bob@desk.example", ""),
        ("nobody@desk.example", "correct horse battery"),
    ] {
        let outcome = store.sign_in(email, Secret::new(password), start()).await.unwrap();
        assert_eq!(outcome, None, "{email}");
    }
    let hashes = kit.texts("SELECT password FROM person WHERE password IS NOT NULL").await;
    assert!(hashes.iter().all(|hash| hash.starts_with("$argon2id$")));
}
