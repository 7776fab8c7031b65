//! Second factors, sessions, roles, and who did what.

use std::collections::BTreeSet;

use chrono::Duration;
use tributary::model::{Actor, ActorKind, Role, Secret, Timestamp, UserId};
use tributary::store::{
    Account, Admission, Code, Entry, FailedSignIn, NotAdmitted, Principal, Store, StoreError,
};

use super::{Kit, later, on_both, start};
use crate::support::totp;

on_both! {
    a_second_factor_is_asked_for_once_it_is_confirmed
    a_link_asks_for_the_second_factor_too_and_nobody_waits_for_ever
    a_code_lets_in_once_however_many_try_at_once
    after_a_few_wrong_codes_none_is_looked_at
    a_recovery_code_is_good_once_and_kept_as_a_hash
    a_second_factor_that_was_reset_is_gone
    sessions_are_listed_and_revoked_by_whom_they_belong_to
    the_last_admin_stays_one
    the_last_admin_is_not_let_go_even_by_two_at_once
    a_role_and_teams_change_together_or_not_at_all
    signing_in_by_an_account_clears_away_what_is_over
    an_account_is_linked_by_its_address_once_and_known_by_its_subject_afterwards
    an_account_that_may_not_come_in_changes_nothing
    groups_settle_the_role_at_each_sign_in_and_leave_one_admin
    two_first_sign_ins_at_once_make_one_person
    a_failed_sign_in_is_in_the_audit_trail_without_what_was_typed
    the_audit_trail_tells_who_did_it
}

const PASSWORD: &str = "correct horse battery";

async fn person(store: &Store, name: &str, role: Role) -> UserId {
    let email = format!("{name}@desk.example");
    let password = Some(Secret::new(PASSWORD));
    let system = Actor::system();
    store.add_person((name, &email), role, password, &system, start()).await.unwrap().id.into()
}

async fn sign_in(store: &Store, name: &str, now: Timestamp) -> Entry {
    let email = format!("{name}@desk.example");
    store.sign_in(&email, Secret::new(PASSWORD), now).await.unwrap().expect("the right password")
}

fn session(entry: Entry) -> Secret {
    match entry {
        Entry::Session(secret) => secret,
        Entry::Code(_) => panic!("a code is asked for"),
    }
}

fn waiting(entry: Entry) -> Secret {
    match entry {
        Entry::Code(secret) => secret,
        Entry::Session(_) => panic!("no code is asked for"),
    }
}

/// An authenticator that is set up, and the recovery codes.
async fn enrolled(store: &Store, who: UserId) -> (Secret, Vec<Secret>) {
    let begun = store.begin_second_factor(who, start()).await.unwrap();
    let code = totp::code(begun.secret.reveal(), start());
    let confirmed = store.confirm_second_factor(who, &code, start()).await.unwrap();
    let Code::Right(codes) = confirmed else { panic!("{confirmed:?}") };
    (begun.secret, codes)
}

async fn a_second_factor_is_asked_for_once_it_is_confirmed(kit: Kit) {
    let store = &kit.store;
    let anna = person(store, "anna", Role::Agent).await;
    let begun = store.begin_second_factor(anna, start()).await.unwrap();
    assert!(begun.uri.reveal().contains(begun.secret.reveal()));
    session(sign_in(store, "anna", start()).await);
    for wrong in ["", "000000x", "ab"] {
        let outcome = store.confirm_second_factor(anna, wrong, start()).await.unwrap();
        assert_eq!(outcome, Code::Wrong, "{wrong}");
    }
    // A second beginning makes the first secret worthless.
    let first = begun.secret;
    let (secret, codes) = enrolled(store, anna).await;
    assert_ne!(first.reveal(), secret.reveal());
    assert_eq!(codes.len(), 10);
    let again = store.begin_second_factor(anna, start()).await;
    assert!(matches!(again, Err(StoreError::Refused(_))));

    let asked = waiting(sign_in(store, "anna", start()).await);
    assert_eq!(store.by_session(asked.reveal(), start()).await.unwrap(), None);
    assert_eq!(store.use_sign_in_link(asked.reveal(), start()).await.unwrap(), None);
    let used = totp::code(secret.reveal(), start());
    let finish = async |code: &str, now| store.finish_sign_in(asked.reveal(), code, now).await;
    assert_eq!(finish(&used, start()).await.unwrap(), Code::Wrong, "it confirmed the factor");
    assert_eq!(finish("000000x", start()).await.unwrap(), Code::Wrong);
    let code = totp::code(secret.reveal(), later(1));
    let Code::Right(got) = finish(&code, later(1)).await.unwrap() else { panic!("refused") };
    assert!(store.by_session(got.reveal(), later(1)).await.unwrap().is_some());
    let late = totp::code(secret.reveal(), later(2));
    assert_eq!(finish(&late, later(2)).await.unwrap(), Code::Wrong, "it waits no more");
}

async fn a_link_asks_for_the_second_factor_too_and_nobody_waits_for_ever(kit: Kit) {
    let store = &kit.store;
    let anna = person(store, "anna", Role::Agent).await;
    let (secret, _) = enrolled(store, anna).await;
    let link = store.sign_in_link(anna, Duration::hours(1), start()).await.unwrap();
    let asked = store.use_sign_in_link(link.reveal(), later(3)).await.unwrap().unwrap();
    let code = totp::code(secret.reveal(), later(9));
    let outcome = store.finish_sign_in(waiting(asked).reveal(), &code, later(9)).await.unwrap();
    assert_eq!(outcome, Code::Wrong);
}

async fn a_code_lets_in_once_however_many_try_at_once(kit: Kit) {
    let anna = person(&kit.store, "anna", Role::Agent).await;
    let (secret, _) = enrolled(&kit.store, anna).await;
    let other = kit.another().await;
    let one = waiting(sign_in(&kit.store, "anna", later(1)).await);
    let two = waiting(sign_in(&other, "anna", later(1)).await);
    let code = totp::code(secret.reveal(), later(1));
    let (first, second) = tokio::join!(
        kit.store.finish_sign_in(one.reveal(), &code, later(1)),
        other.finish_sign_in(two.reveal(), &code, later(1))
    );
    let outcomes = [first.unwrap(), second.unwrap()];
    let entered = outcomes.iter().filter(|outcome| matches!(outcome, Code::Right(_))).count();
    assert_eq!(entered, 1, "{outcomes:?}");
}

async fn after_a_few_wrong_codes_none_is_looked_at(kit: Kit) {
    let store = &kit.store;
    let anna = person(store, "anna", Role::Agent).await;
    let (secret, codes) = enrolled(store, anna).await;
    for _ in 0..5 {
        assert_eq!(store.check_code(anna, "12345", later(1)).await.unwrap(), Code::Wrong);
    }
    let right = totp::code(secret.reveal(), later(2));
    assert_eq!(store.check_code(anna, &right, later(2)).await.unwrap(), Code::TooMany);
    let recovery = codes[0].reveal();
    assert_eq!(store.check_code(anna, recovery, later(2)).await.unwrap(), Code::TooMany);
    let right = totp::code(secret.reveal(), later(17));
    assert_eq!(store.check_code(anna, &right, later(17)).await.unwrap(), Code::Right(()));
    // And the count begins anew.
    assert_eq!(store.check_code(anna, "12345", later(18)).await.unwrap(), Code::Wrong);
}

async fn a_recovery_code_is_good_once_and_kept_as_a_hash(kit: Kit) {
    let store = &kit.store;
    let anna = person(store, "anna", Role::Agent).await;
    let bob = person(store, "bob", Role::Agent).await;
    let (_, codes) = enrolled(store, anna).await;
    enrolled(store, bob).await;
    let hashes = kit.texts("SELECT hash FROM recovery_code").await;
    assert_eq!(hashes.len(), 20);
    let plain = codes[0].reveal().replace('-', "");
    assert!(hashes.iter().all(|hash| !hash.contains(&plain) && hash.len() == 64));
    assert_eq!(store.check_code(bob, codes[0].reveal(), later(1)).await.unwrap(), Code::Wrong);
    let typed = plain.to_uppercase();
    assert_eq!(store.check_code(anna, &typed, later(1)).await.unwrap(), Code::Right(()));
    assert_eq!(store.check_code(anna, &typed, later(1)).await.unwrap(), Code::Wrong);
    assert_eq!(kit.number("SELECT count(*) FROM recovery_code").await, 19);
}

async fn a_second_factor_that_was_reset_is_gone(kit: Kit) {
    let store = &kit.store;
    let anna = person(store, "anna", Role::Agent).await;
    let bob = person(store, "bob", Role::Agent).await;
    enrolled(store, anna).await;
    enrolled(store, bob).await;
    store.remove_second_factor(anna, &Actor::system(), later(1)).await.unwrap();
    session(sign_in(store, "anna", later(1)).await);
    waiting(sign_in(store, "bob", later(1)).await);
    assert_eq!(kit.number("SELECT count(*) FROM recovery_code").await, 10);
    assert_eq!(kit.number("SELECT count(*) FROM vault").await, 1, "the other one's");
    let again = store.remove_second_factor(anna, &Actor::system(), later(1)).await;
    assert!(matches!(again, Err(StoreError::NotFound(_))));
    enrolled(store, anna).await;
}

async fn sessions_are_listed_and_revoked_by_whom_they_belong_to(kit: Kit) {
    let store = &kit.store;
    let anna = person(store, "anna", Role::Agent).await;
    let bob = person(store, "bob", Role::Agent).await;
    let hers = session(sign_in(store, "anna", start()).await);
    let his = session(sign_in(store, "bob", later(1)).await);
    store.sign_in_link(bob, Duration::hours(1), start()).await.unwrap();
    let client = "x".repeat(1000);
    store.note_session_origin(&hers, "192.0.2.1".to_owned(), &client).await.unwrap();
    let all = store.sessions(None, later(2)).await.unwrap();
    assert_eq!(all.len(), 2, "links are none: {all:?}");
    let own = store.sessions(Some(anna), later(2)).await.unwrap();
    assert_eq!((own.len(), own[0].address.as_str(), own[0].client.len()), (1, "192.0.2.1", 300));
    let known = store.by_session(hers.reveal(), later(2)).await.unwrap().unwrap();
    assert_eq!(known.session.as_deref(), Some(own[0].id.as_str()));
    assert_eq!(store.by_session(&own[0].id, later(2)).await.unwrap(), None, "an id opens nothing");
    let revoke =
        async |id: &str, whose| store.revoke_session(id, whose, &known.actor, later(2)).await;
    for id in [own[0].id.as_str(), "", "%", &"_".repeat(32), &"g".repeat(32)] {
        let outcome = revoke(id, Some(bob)).await;
        assert!(matches!(outcome, Err(StoreError::NotFound(_))), "{id}");
    }
    revoke(&own[0].id, Some(anna)).await.unwrap();
    assert_eq!(store.by_session(hers.reveal(), later(2)).await.unwrap(), None);
    assert!(store.by_session(his.reveal(), later(2)).await.unwrap().is_some());
    assert!(store.sessions(None, later(60 * 14)).await.unwrap().is_empty(), "idle ones are over");
}

async fn the_last_admin_stays_one(kit: Kit) {
    let store = &kit.store;
    let (anna, bob) =
        (person(store, "anna", Role::Admin).await, person(store, "bob", Role::Admin).await);
    let his = session(sign_in(store, "bob", start()).await);
    let system = Actor::system();
    let role =
        async |who, role| store.change_person(who, (Some(role), None), &system, later(1)).await;
    role(bob, Role::ReadOnly).await.unwrap();
    let known = store.by_session(his.reveal(), later(1)).await.unwrap().unwrap();
    assert_eq!(known.role, Role::ReadOnly, "at once, in a session that is open");
    let outcome = role(anna, Role::Agent).await;
    assert!(matches!(outcome, Err(StoreError::Refused(_))));
    store.disable_person("bob@desk.example", &system, later(1)).await.unwrap();
    let outcome = role(bob, Role::Admin).await;
    assert!(matches!(outcome, Err(StoreError::NotFound(_))));
}

async fn the_last_admin_is_not_let_go_even_by_two_at_once(kit: Kit) {
    let (store, system) = (&kit.store, Actor::system());
    for name in ["anna", "bob"] {
        person(store, name, Role::Admin).await;
    }
    let disable = |name: &'static str| store.disable_person(name, &system, later(1));
    let (one, other) = tokio::join!(disable("anna"), disable("bob"));
    assert_eq!([one.is_ok(), other.is_ok()].iter().filter(|ok| **ok).count(), 1);
    let refused = [one.err(), other.err()].into_iter().flatten().next();
    assert!(matches!(refused, Some(StoreError::Refused(why)) if why.contains("last admin")));
    assert_eq!(kit.number("SELECT count(*) FROM person WHERE disabled_at IS NULL").await, 1);
}

async fn a_role_and_teams_change_together_or_not_at_all(kit: Kit) {
    let (store, system) = (&kit.store, Actor::system());
    let anna = person(store, "anna", Role::Admin).await;
    let bob = person(store, "bob", Role::Agent).await;
    let queues = |named: &str| Some(BTreeSet::from([named.to_owned()]));
    let change =
        async |who, role, queues| store.change_person(who, (role, queues), &system, later(1)).await;
    let changed = change(bob, Some(Role::ReadOnly), queues("chain")).await.unwrap();
    assert_eq!((changed.id, changed.role), (bob.uuid(), Role::ReadOnly));
    assert_eq!(store.teams().await.unwrap()[&bob.uuid()], ["chain"]);
    // What is not named stays.
    assert_eq!(change(bob, None, queues("shop")).await.unwrap().role, Role::ReadOnly);
    assert_eq!(change(bob, Some(Role::Agent), None).await.unwrap().role, Role::Agent);
    assert_eq!(store.teams().await.unwrap()[&bob.uuid()], ["shop"]);
    let refused = change(anna, Some(Role::Agent), queues("chain")).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "she is the last admin");
    assert!(!store.teams().await.unwrap().contains_key(&anna.uuid()));
    for queues in [None, queues("chain")] {
        let nobody = change(UserId::new(), None, queues).await;
        assert!(matches!(nobody, Err(StoreError::NotFound("person"))));
    }
}

async fn signing_in_by_an_account_clears_away_what_is_over(kit: Kit) {
    let store = &kit.store;
    let anna = person(store, "anna", Role::Agent).await;
    store.sign_in_link(anna, Duration::seconds(1), start()).await.unwrap();
    store.sign_in_link(anna, Duration::hours(1), start()).await.unwrap();
    sign_on(store, &account("1", Some("anna@desk.example")), KNOWN).await.unwrap();
    let left = kit.texts("SELECT kind FROM session ORDER BY kind").await;
    assert_eq!(left, ["link", "session"]);
}

fn account(subject: &str, email: Option<&str>) -> Account {
    Account {
        provider: "company".to_owned(),
        issuer: "https://login.example".to_owned(),
        subject: subject.to_owned(),
        email: email.map(str::to_owned),
        name: "Carla".to_owned(),
    }
}

/// Nobody is made, and roles stay.
const KNOWN: Admission = Admission { create: false, role: Role::Agent, role_always: false };

async fn sign_on(
    store: &Store,
    account: &Account,
    admission: Admission,
) -> Result<Principal, NotAdmitted> {
    let secret = store.sign_on(account, admission, later(1)).await.unwrap()?;
    Ok(store.by_session(secret.reveal(), later(1)).await.unwrap().unwrap())
}

async fn an_account_is_linked_by_its_address_once_and_known_by_its_subject_afterwards(kit: Kit) {
    let store = &kit.store;
    let anna = person(store, "anna", Role::Agent).await;
    enrolled(store, anna).await;
    let first = sign_on(store, &account("1", Some(" Anna@Desk.example")), KNOWN).await.unwrap();
    assert_eq!(first.actor.id, Some(anna.uuid()), "no code is asked for");
    // Afterwards her address may change there, or be taken by somebody else.
    let moved = sign_on(store, &account("1", None), KNOWN).await.unwrap();
    assert_eq!(moved.actor.id, Some(anna.uuid()));
    let recycled = account("2", Some("anna@desk.example"));
    assert_eq!(sign_on(store, &recycled, KNOWN).await, Err(NotAdmitted::Taken));
    let elsewhere = Account { issuer: "https://other.example".to_owned(), ..recycled.clone() };
    assert!(sign_on(store, &elsewhere, KNOWN).await.is_ok(), "another issuer's 2 is somebody else");
    store.forget_sign_on(anna, &Actor::system(), later(2)).await.unwrap();
    assert!(sign_on(store, &recycled, KNOWN).await.is_ok());
    let gone = store.forget_sign_on(UserId::new(), &Actor::system(), later(2)).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))));
    let trail = store.audit_trail(None, i64::MAX, 50).await.unwrap();
    let linked = trail.iter().filter(|event| event.kind == "person.account_linked").count();
    assert_eq!(linked, 3);
}

async fn an_account_that_may_not_come_in_changes_nothing(kit: Kit) {
    let store = &kit.store;
    person(store, "anna", Role::Admin).await;
    person(store, "bob", Role::Agent).await;
    let his = account("b", Some("bob@desk.example"));
    sign_on(store, &his, KNOWN).await.unwrap();
    store.disable_person("bob", &Actor::system(), later(1)).await.unwrap();
    let create = Admission { create: true, ..KNOWN };
    let before = kit.number("SELECT count(*) FROM event").await;
    for (account, why) in [
        (his, NotAdmitted::Disabled),
        (account("b2", Some("bob@desk.example")), NotAdmitted::Disabled),
        (account("a", None), NotAdmitted::Unverified),
    ] {
        assert_eq!(sign_on(store, &account, create).await, Err(why));
    }
    let stranger = account("c", Some("carla@desk.example"));
    assert_eq!(sign_on(store, &stranger, KNOWN).await, Err(NotAdmitted::Unknown));
    assert_eq!(kit.number("SELECT count(*) FROM event").await, before);
    assert_eq!(kit.number("SELECT count(*) FROM sign_on").await, 1);
    assert_eq!(kit.number("SELECT count(*) FROM person").await, 2);
}

async fn groups_settle_the_role_at_each_sign_in_and_leave_one_admin(kit: Kit) {
    let store = &kit.store;
    let carla = account("c", Some("carla@desk.example"));
    let as_role = |role| Admission { create: true, role, role_always: true };
    for role in [Role::Agent, Role::Admin, Role::Admin] {
        assert_eq!(sign_on(store, &carla, as_role(role)).await.unwrap().role, role);
    }
    let kept = sign_on(store, &carla, as_role(Role::ReadOnly)).await.unwrap();
    assert_eq!(kept.role, Role::Admin, "somebody has to let others in");
    person(store, "anna", Role::Admin).await;
    let lowered = sign_on(store, &carla, as_role(Role::ReadOnly)).await.unwrap();
    assert_eq!(lowered.role, Role::ReadOnly);
    let by_hand = Admission { role_always: false, ..as_role(Role::Admin) };
    assert_eq!(sign_on(store, &carla, by_hand).await.unwrap().role, Role::ReadOnly);
    let trail = store.audit_trail(None, i64::MAX, 50).await.unwrap();
    let changed: Vec<_> = trail.iter().filter(|one| one.kind == "person.role_changed").collect();
    assert_eq!(changed.len(), 2);
    assert_eq!(changed[0].actor.name, "sso.company");
}

async fn two_first_sign_ins_at_once_make_one_person(kit: Kit) {
    let store = &kit.store;
    let create = Admission { create: true, ..KNOWN };
    let carla = account("c", Some("carla@desk.example"));
    let all = futures::future::join_all((0..8).map(|_| sign_on(store, &carla, create))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(kit.number("SELECT count(*) FROM person").await, 1);
    assert_eq!(kit.number("SELECT count(*) FROM sign_on").await, 1);
}

async fn a_failed_sign_in_is_in_the_audit_trail_without_what_was_typed(kit: Kit) {
    let store = &kit.store;
    let anna = person(store, "anna", Role::Agent).await;
    for email in ["Anna@desk.example ", "correct horse battery"] {
        let failed = FailedSignIn {
            way: "password".to_owned(),
            why: "wrong",
            email: Some(email.to_owned()),
            address: "192.0.2.7".to_owned(),
            unnoted: 3,
        };
        store.note_failed_sign_in(failed, later(1)).await.unwrap();
    }
    let trail = store.audit_trail(None, i64::MAX, 2).await.unwrap();
    assert!(trail.iter().all(|event| event.kind == "person.sign_in_failed"));
    assert_eq!(trail[1].data["id"], anna.to_string());
    assert!(trail[0].data["id"].is_null());
    assert_eq!(
        (&trail[0].data["address"], &trail[0].data["unnoted"]),
        (&"192.0.2.7".into(), &3.into())
    );
    assert!(!trail[0].data.to_string().contains("horse"));
}

async fn the_audit_trail_tells_who_did_it(kit: Kit) {
    let store = &kit.store;
    let anna = person(store, "anna", Role::Admin).await;
    let by = Actor { kind: ActorKind::Agent, id: Some(anna.uuid()), name: "anna".to_owned() };
    let bob = store.add_person(("bob", "bob@desk.example"), Role::Agent, None, &by, later(1));
    let bob = bob.await.unwrap();
    store.create_token("shop", Role::Agent, None, &by, later(2)).await.unwrap();
    store.disable_person("bob@desk.example", &by, later(3)).await.unwrap();
    let hers = store.audit_trail(Some(anna.uuid()), i64::MAX, 10).await.unwrap();
    let kinds: Vec<&str> = hers.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["person.disabled", "token.created", "person.added"]);
    assert_eq!(hers[0].data["id"], bob.id.to_string());
    assert_eq!(hers[1].data["name"], "shop");
    let all = store.audit_trail(None, i64::MAX, 10).await.unwrap();
    assert_eq!(all.len(), 4, "and who added anna: {all:?}");
    let rest = store.audit_trail(None, all[1].seq, 10).await.unwrap();
    assert_eq!(rest.len(), 2, "a page goes on where the last one ended");
}
