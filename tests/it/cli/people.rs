//! People and tokens.

use super::{run, run_with_input};
use crate::support::daemon::Daemon;

#[test]
fn a_person_is_added_listed_given_a_new_link_and_disabled() {
    let daemon =
        Daemon::prepare("[http]\nlisten = \"127.0.0.1:1\"\npublic_url = \"https://a.b\"\n");
    let added = run(&daemon, &["user", "add", "Ann", "Ann@Example.com", "--json"]).ends_with(0);
    let added = added.json();
    let link = added["sign_in"].as_str().unwrap();
    assert!(link.starts_with("https://a.b/console/sign-in?token="), "{link}");
    let again = run(&daemon, &["user", "add", "Ann", "ann@example.com"]).ends_with(1);
    assert!(again.error.contains("there is a person with the address"), "{}", again.error);
    let other = run(&daemon, &["user", "link", "ann@example.com", "--json"]).ends_with(0).json();
    assert_ne!(other["sign_in"].as_str().unwrap(), link);
    let secret = b"a long enough password\n";
    run_with_input(&daemon, &["user", "password", "ann@example.com"], secret).ends_with(0);
    let short = run_with_input(&daemon, &["user", "password", "ann@example.com"], b"short\n");
    assert_eq!(short.code, 1, "{}", short.all());
    assert!(!short.all().contains("short\n"), "{}", short.all());
    let people = run(&daemon, &["user", "list", "--json"]).ends_with(0).json();
    let person = &people["items"][0];
    assert_eq!(person["email"], "ann@example.com");
    assert_eq!(
        (person["role"].as_str(), person["has_password"].as_bool()),
        (Some("agent"), Some(true))
    );
    run(&daemon, &["user", "disable", "ann@example.com"]).ends_with(0);
    assert!(run(&daemon, &["user", "list"]).ends_with(0).out.contains("disabled"));
    run(&daemon, &["user", "link", "ann@example.com"]).ends_with(1);
    run(&daemon, &["user", "disable", "nobody@example.com"]).ends_with(1);
}

#[test]
fn a_token_is_shown_once_and_is_worth_nothing_after_revoking() {
    let daemon = Daemon::prepare("");
    let arguments = ["token", "create", "--role", "agent", "--name", "shop", "--json"];
    let made = run(&daemon, &arguments).ends_with(0).json();
    let token = made["token"].as_str().unwrap();
    assert!(token.starts_with("trb_"), "{token}");
    let list = run(&daemon, &["token", "list", "--json"]).ends_with(0);
    assert!(!list.all().contains(token), "{}", list.out);
    assert_eq!(list.json()["items"][0]["name"], "shop");
    run(&daemon, &["token", "revoke", "shop", "--json"]).ends_with(0).json();
    assert!(run(&daemon, &["token", "list"]).ends_with(0).out.contains("revoked"));
    run(&daemon, &["token", "create", "--role", "king", "--name", "x"]).ends_with(2);
}
