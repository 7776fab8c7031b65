use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::triage::tests::inbound;
use super::*;
use crate::model::{Address, Party};

fn protect() -> Protect {
    Protect::read(&ProtectSetting {
        domains: vec!["tidewallet.com".to_owned(), "tide.io".to_owned()],
        names: vec!["Tide Wallet Support".to_owned()],
        denied: vec!["evil.example".to_owned(), "claim-airdrop.example".to_owned()],
    })
    .unwrap()
}

fn own() -> OwnAddresses {
    OwnAddresses([Address::email("help@desk-of-tide.example")].into())
}

fn flags(change: impl FnOnce(&mut Inbound)) -> Vec<Flag> {
    let mut inbound = inbound("hello");
    change(&mut inbound);
    protect().look(&inbound, &own()).into_keys().collect()
}

#[test]
fn domains_that_look_like_ours_are_told() {
    let ours = BTreeSet::from(["tidewallet.com".to_owned(), "tide.io".to_owned()]);
    for (domain, expected) in [
        // Ours.
        ("tidewallet.com", false),
        ("mail.tidewallet.com", false),
        ("tide.io", false),
        // Another ending, homoglyphs, a slip, a word more.
        ("tidewallet.net", true),
        ("tidewallet.co.uk", true),
        ("tidewa11et.com", true),
        ("tidewaliet.com", true),
        ("xn--tidewllet-3fi.com", true),
        ("tideewallet.com", true),
        ("tdiewallet.com", true),
        ("tide-wallet.com", true),
        ("tidewallet-support.com", true),
        ("mytidewallet.com", true),
        ("tidewallet.com.login.example", true),
        ("tidevvallet.com", true),
        ("tide.com", true),
        ("tide-help.com", true),
        // Others.
        ("example.com", false),
        ("walletide.example", false),
        ("tides.example", false),
        ("prestige.io", false),
        ("gmail.com", false),
    ] {
        let found = ours.iter().any(|own| looks_like(domain, own, &ours));
        assert_eq!(found, expected, "{domain}");
    }
}

#[test]
fn senders_that_pretend_to_be_us_are_told() {
    let from = |address: &str| {
        let address = Address::email(address);
        move |inbound: &mut Inbound| inbound.sender.address = Some(address)
    };
    assert_eq!(flags(from("help@tidewa11et.com")), [Flag::Impostor]);
    assert_eq!(flags(from("help@tidewallet.com")), []);
    assert_eq!(flags(from("anna@customer.example")), []);
    // A mail channel's own domain needs no setting.
    assert_eq!(flags(from("help@desk-0f-tide.example")), [Flag::Impostor]);
    let named = |name: &str| {
        let name = name.to_owned();
        move |inbound: &mut Inbound| inbound.sender.name = Some(name)
    };
    for name in ["Tide Wallet Support", "TIDE WALLET SUPPORT (official)", "Тidе Wаllеt Suрроrt"]
    {
        assert_eq!(flags(named(name)), [Flag::Impostor], "{name}");
    }
    for name in ["Anna Tide", "Support", "Wallet Support"] {
        assert_eq!(flags(named(name)), [], "{name}");
    }
    assert_eq!(
        flags(|inbound| {
            inbound.sender.name = Some("Tide Wallet Support".to_owned());
            inbound.sender.address = Some(Address::email("agent@tidewallet.com"));
        }),
        []
    );
    assert_eq!(
        flags(|inbound| {
            let address = Address::email("refund@tidewallet.top");
            inbound.reply_to = Some(Party { address, name: None });
        }),
        [Flag::Impostor]
    );
}

#[test]
fn links_to_impostors_and_denied_sites_are_told() {
    let text = |text: &str| {
        let text = text.to_owned();
        move |inbound: &mut Inbound| inbound.text_full = text
    };
    for (words, expected) in [
        ("see https://tidewallet.com/help", false),
        ("see https://news.example/tidewallet", false),
        ("go to https://tidewa11et.com/login.", true),
        ("去 https://tidewallet.top/登录,谢谢", true),
        ("www.sub.evil.example/x", true),
        ("https://notevil.example/x", false),
        ("(https://Claim-Airdrop.example)", true),
        ("https://user@tidewallet.com:8080/x", false),
        ("https://tidewallet.com@evil.example/x", true),
    ] {
        let found = flags(text(words));
        assert_eq!(found.contains(&Flag::PhishingLink), expected, "{words}: {found:?}");
    }
    let html = |html: &str| {
        let html = html.to_owned();
        move |inbound: &mut Inbound| inbound.html = Some(html)
    };
    let lie =
        r#"<p><a class="b" href="https://other.example/x">https://tidewallet.com/secure</a></p>"#;
    assert_eq!(flags(html(lie)), [Flag::PhishingLink]);
    let honest = r#"<a href="https://tidewallet.com/x">www.tidewallet.com</a> <a href="https://other.example">here</a>"#;
    assert_eq!(flags(html(honest)), []);
}

#[test]
fn faults_name_their_key() {
    let faults = Protect::read(&ProtectSetting {
        domains: vec!["ok.example".to_owned(), "nodomain".to_owned()],
        names: vec!["Help".to_owned()],
        denied: vec!["http://x.example/".to_owned()],
    });
    let keys: Vec<String> = faults.unwrap_err().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["domains[1]", "denied[0]", "names[0]"]);
}

proptest! {
    #[test]
    fn a_skeleton_is_its_own_skeleton(name in "\\PC{0,40}") {
        let once = skeleton(&name);
        prop_assert_eq!(skeleton(&once), once);
    }

    /// What is ours never looks like us, what is written with other letters of the same look always does.
    #[test]
    fn ours_is_never_an_impostor_and_a_homoglyph_always(
        name in "[a-z]{5,12}", below in "[a-z]{1,8}", at in 0_usize..5,
    ) {
        let own = format!("{name}.com");
        let ours = BTreeSet::from([own.clone()]);
        let subdomain = format!("{below}.{own}");
        prop_assert!(!looks_like(&own, &own, &ours));
        prop_assert!(!looks_like(&subdomain, &own, &ours));
        let alike = [('a', 'а'), ('e', 'е'), ('o', '0'), ('l', '1'), ('c', 'с'), ('p', 'р'), ('i', 'l')];
        let letter = name.chars().nth(at).unwrap();
        if let Some((_, other)) = alike.iter().find(|(latin, _)| *latin == letter) {
            let mut letters: Vec<char> = name.chars().collect();
            letters[at] = *other;
            let domain = format!("{}.com", letters.into_iter().collect::<String>());
            if let Ok(domain) = idna::domain_to_ascii(&domain) {
                prop_assert!(looks_like(&domain, &own, &ours), "{}", domain);
            }
        }
    }

    #[test]
    fn any_message_can_be_looked_at(text in "\\PC{0,200}", name in "\\PC{0,30}") {
        flags(|inbound| {
            inbound.html = Some(format!("<a href=\"{text}\">{name}</a> https://{name}/{text}"));
            inbound.text_full = format!("www.{text} http://{name}");
            inbound.sender.name = Some(name);
            inbound.sender.address = Some(Address::email(&text));
        });
    }
}
