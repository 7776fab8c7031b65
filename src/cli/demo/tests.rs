use std::collections::BTreeSet;

use super::plan::{Act, plan};
use crate::model::Timestamp;

fn now() -> Timestamp {
    Timestamp::from_timestamp_millis(1_795_000_000_000).unwrap()
}

#[test]
fn the_same_number_is_the_same_week_and_another_one_another() {
    let acts = |seed| plan(seed, now(), 4).unwrap().acts;
    assert_eq!(acts(1), acts(1));
    assert_ne!(acts(1), acts(2));
}

#[test]
fn the_week_has_every_channel_both_languages_and_is_over_before_it_is_shown() {
    let plan = plan(1, now(), 4).unwrap();
    let channels: BTreeSet<&str> = plan.cases.iter().map(|case| case.channel.as_str()).collect();
    let configured: config::Config = config::Config::builder()
        .add_source(config::File::from_str(super::SETTINGS, config::FileFormat::Toml))
        .build()
        .unwrap();
    let configured = configured.get_table("channels").unwrap();
    let configured: BTreeSet<&str> = configured.keys().map(String::as_str).collect();
    assert_eq!(channels, configured);
    let languages: BTreeSet<&str> =
        plan.cases.iter().map(|case| plan.stories[case.story].language.as_str()).collect();
    assert_eq!(languages, BTreeSet::from(["en", "zh"]));
    assert!(plan.acts.iter().all(|(at, _, _)| *at < now()));
    assert!(plan.acts.is_sorted_by_key(|(at, _, _)| *at));
    assert!(plan.acts.iter().any(|(_, _, act)| matches!(act, Act::Rates(_))));
    assert!(plan.cases.len() > 60, "{}", plan.cases.len());
}

#[test]
fn a_folder_with_something_else_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    std::fs::write(folder.path().join("precious"), "x").unwrap();
    assert!(super::prepare(folder.path(), listen).is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let inner = folder.path().join("demo");
    assert!(super::prepare(&inner, listen).is_ok());
    // It was begun and not played to its end.
    assert!(super::prepare(&inner, listen).is_err());
}
