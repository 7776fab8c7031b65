//! What is a secret, and what only looks like one.

use bip39::{Language, Mnemonic};

use super::{Scanner, SecretSort};

fn sorts(text: &str) -> Vec<SecretSort> {
    Scanner::default().scan(text).into_iter().map(|find| find.sort).collect()
}

fn masked(text: &str) -> String {
    Scanner::default().mask(text).map_or_else(|| text.to_owned(), |masked| masked.text)
}

const ABOUT: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                     abandon about";

#[test]
fn a_phrase_is_found_in_every_language_and_form() {
    for language in Language::ALL {
        for length in [16_u8, 32] {
            let entropy: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(37) ^ 11).collect();
            let phrase = Mnemonic::from_entropy_in(*language, &entropy).unwrap().to_string();
            let text = format!("1234: {phrase} .");
            assert_eq!(sorts(&text), [SecretSort::SeedPhrase], "{language:?}: {phrase}");
            assert!(!masked(&text).contains(&phrase));
        }
    }
    let numbered: Vec<String> =
        ABOUT.split(' ').enumerate().map(|(at, word)| format!("{}. {word}", at + 1)).collect();
    for text in [
        ABOUT.to_owned(),
        ABOUT.to_uppercase(),
        ABOUT.replace(' ', "\n"),
        ABOUT.replace(' ', ", "),
        numbered.join("\n"),
        numbered.join(" "),
        format!("My wallet does not open, here it is: {ABOUT}. Please help!"),
    ] {
        assert_eq!(sorts(&text), [SecretSort::SeedPhrase], "{text}");
        assert!(!masked(&text).to_lowercase().contains("abandon abandon"), "{text}");
    }
}

/// The examples of SLIP-39 and of Electrum's own tests; neither is a phrase of BIP-39.
#[test]
fn shares_and_phrases_of_electrum_are_found() {
    let share = "duckling enlarge academic academic agency result length solution fridge kidney coal \
                 piece deal husband erode duke ajar critical decision keyboard";
    for text in [
        share,
        "cram swing cover prefer miss modify ritual silly deliver chunk behind inform able",
        "bitter grass shiver impose acquire brush forget axis eager alone wine silver",
    ] {
        assert_eq!(sorts(text), [SecretSort::SeedPhrase], "{text}");
    }
    assert_eq!(sorts(&share.replace("keyboard", "kernel")), []);
}

#[test]
fn a_wallets_key_file_is_found_and_other_json_stays() {
    let file = r#"{"version":3,"id":"x","crypto":{"ciphertext":"aa","cipher":"aes-128-ctr",
        "cipherparams":{"iv":"bb"},"kdf":"scrypt","mac":"cc"}}"#;
    assert_eq!(masked(&format!("my file: {file} thanks")), "my file: [keystore removed] thanks");
    let other = r#"{"version":3,"id":"x","items":[{"name":"a"},{"name":"b"}]}"#;
    assert_eq!(sorts(other), []);
}

#[test]
fn keys_with_a_checksum_are_found_anywhere_and_bare_ones_where_they_are_named() {
    for key in [
        "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
        "KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn",
        "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi",
        "6PRVWUbkzzsbcVac2qwfssoUJAN1Xhrg6bNk8J7Nzm5H7kxEbn2Nh2ZoGg",
    ] {
        let text = format!("see {key} ok");
        assert_eq!(sorts(&text), [SecretSort::PrivateKey], "{key}");
        assert_eq!(masked(&text), "see [private key removed] ok");
    }
    let bare = "e9873d79c6d87dc0fb6a5778633389f4453213303da61f20bd67fc233aa33262";
    for named in ["my private key is", "私钥：", "Private key:"] {
        assert_eq!(sorts(&format!("{named} {bare}")), [SecretSort::PrivateKey], "{named}");
    }
    assert_eq!(sorts("card 4111 1111 1111 1111 please"), [SecretSort::Card]);
}

#[test]
fn what_only_looks_like_a_secret_stays() {
    let hash = "e9873d79c6d87dc0fb6a5778633389f4453213303da61f20bd67fc233aa33262";
    for text in [
        "Where is my money? It was 250 USDT on 2026-11-20 at 14:05.",
        "我的钱包转账没有到账，请帮我查一下，谢谢。",
        "to 0x52908400098527886E0F7030069857D2E4169EE7 and bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq",
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
        "order 4111-2222 ticket #123456, phone +86 138 0013 8000",
        "0192f0c4-7a10-7c3e-8f00-0000000000aa",
        "please help me and tell me what to do about this problem with my account because the \
         people who use this often wait until they give up and leave",
    ] {
        assert_eq!(sorts(text), [], "{text}");
        assert_eq!(masked(text), text);
    }
    assert_eq!(sorts(&format!("tx hash: 0x{hash}")), []);
    assert_eq!(sorts(&format!("https://etherscan.io/tx/0x{hash}")), []);
    // One word exchanged: the checksum is wrong, and nobody says that it is a phrase.
    assert_eq!(sorts(&ABOUT.replace("about", "above")), []);
}

#[test]
fn masking_what_is_masked_changes_nothing() {
    for text in [ABOUT, "my password is hunter2secret", "card 4111 1111 1111 1111"] {
        let once = masked(text);
        assert_eq!(masked(&once), once);
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_and_masks_last(text in "(?s).{0,400}") {
        let scanner = Scanner::default();
        for find in scanner.scan(&text) {
            proptest::prop_assert!(text.get(find.span.clone()).is_some());
        }
        if let Some(masked) = scanner.mask(&text) {
            proptest::prop_assert_eq!(scanner.mask(&masked.text), None);
        }
    }
}
