//! What is a secret, and what only looks like one.

use bip39::{Language, Mnemonic};
use proptest::strategy::Strategy as _;

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

const WIF: &str = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ";
const HEX: &str = "e9873d79c6d87dc0fb6a5778633389f4453213303da61f20bd67fc233aa33262";

#[test]
fn a_code_is_found_before_its_word_wherever_the_text_begins() {
    for text in [
        "123456 is your verification code",
        "482913是您的验证码",
        "Hi! 123456 is your verification code",
        "G-123456 is your Google verification code. PIN 4711",
    ] {
        assert!(masked(text).contains("[one-time code removed]"), "{text}");
        assert!(!masked(text).contains("123456") && !masked(text).contains("482913"), "{text}");
    }
}

#[test]
fn a_key_is_found_between_dashes_and_underscores() {
    for text in [
        format!("-{WIF}-"),
        format!("key_{WIF}"),
        format!("backup-{WIF}.txt"),
        format!("private_key-{HEX}"),
        format!("私钥_{HEX}_"),
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX".to_owned(),
    ] {
        assert_eq!(sorts(&text), [SecretSort::PrivateKey], "{text}");
    }
    assert_eq!(masked(&format!("backup-{WIF}.txt")), "backup-[private key removed].txt");
}

#[test]
fn characters_that_nobody_sees_hide_nothing() {
    let bold: String = ABOUT
        .chars()
        .map(|c| match c {
            'a'..='z' => char::from_u32(0x1d41a + u32::from(c) - u32::from('a')).unwrap(),
            _ => c,
        })
        .collect();
    for unseen in
        ["\u{200b}", "\u{200d}", "\u{2060}", "\u{feff}", "\u{ad}", "\u{fe0f}", "\u{e0020}"]
    {
        let within: String =
            ABOUT.chars().flat_map(|c| [c.to_string(), unseen.to_owned()]).collect();
        let between = ABOUT.replace(' ', unseen);
        let beside = ABOUT.replace(' ', &format!(" {unseen}"));
        let key: String = WIF.chars().flat_map(|c| [c.to_string(), unseen.to_owned()]).collect();
        for text in [&within, &between, &beside] {
            assert_eq!(sorts(text), [SecretSort::SeedPhrase], "{text:?}");
        }
        assert_eq!(sorts(&key), [SecretSort::PrivateKey], "{key:?}");
    }
    assert_eq!(sorts(&bold), [SecretSort::SeedPhrase]);
    assert_eq!(masked(&format!("好的 {bold} 谢谢")), "好的 [seed phrase removed] 谢谢");
    assert_eq!(sorts("ｐａｓｓｗｏｒｄ：ｈｕｎｔｅｒ２２"), [SecretSort::Password]);
    assert_eq!(sorts("my card ４１１１　１１１１　１１１１　１１１１"), [SecretSort::Card]);
}

#[test]
fn a_card_is_found_with_whatever_stands_between_its_groups() {
    for between in [" ", "-", ".", "–", "—", "_", "/", " - ", " . ", "·", "\u{a0}", "\n", ", "]
    {
        let number = ["4111", "1111", "1111", "1111"].join(between);
        assert_eq!(sorts(&number), [SecretSort::Card], "{number:?}");
        let amex = ["3782", "822463", "10005"].join(between);
        assert_eq!(sorts(&format!("pay with {amex}.")), [SecretSort::Card], "{amex:?}");
    }
    assert_eq!(sorts("my card is 4111111111111111.\n2026"), [SecretSort::Card]);
    assert_eq!(sorts("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"), [SecretSort::Card]);
    // Right by chance: an amount, an address, dates, a phone.
    for text in
        ["4,111,111.111 / 111,111.11", "41.111.111.11 and 111.111", "4111 111 111 111 111 USDT"]
    {
        assert_eq!(sorts(text), [], "{text}");
    }
}

/// S3 of the complaints: what is masked by mistake is an answer that nobody can read.
#[test]
fn s3_ordinary_words_and_numbers_stay_whatever_word_stands_near() {
    let prose = "Great wallet, thank the team. I never told anybody my seed phrase! Please help again \
                 with this problem because today around noon we have still some trouble, network gas \
                 fee high, cannot sell coin, bring cash, buy ticket, visit city office tomorrow";
    let words: Vec<&str> =
        "clean water food garden fruit milk sugar bread rice potato salad orange lemon"
            .split(' ')
            .collect();
    let histogram: Vec<String> = (0..64).map(|n| (n * 3 % 256).to_string()).collect();
    let small: Vec<String> = (0..32).map(|n| (n % 7).to_string()).collect();
    for text in [
        prose.to_owned(),
        format!("Our shop sells seed: tomato. {} {}", "Thanks for everything. ".repeat(8), words.join(", ")),
        "She has a nice tan 2023 was hot, and I lost my pin 4711 times; pin 12 of the plug, tan 1500".to_owned(),
        "bowling pin 2024 championship, a tan 1999 coat, push pin 4000 pieces".to_owned(),
        format!("private key pixels [{}]", histogram.join(",")),
        format!("[{}]", histogram.join(",")),
        format!("the wallet keypair has [{}]", small.join(", ")),
        format!("txid {HEX} and block 0x{HEX}, signature {HEX}{HEX}"),
        format!("I would never send my private key. The transaction is {HEX}"),
        "order 4111 1111 1111 1112; tracking 9400 1000 0000 0000 0000 00; IBAN DE89 3704 0044 0532 0130 00"
            .to_owned(),
        "call +49 170 4111111 or 001 212 555 0100, 192.168.100.100, 2026.11.26 14.05.33".to_owned(),
        "T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wktcd8cc3sq835lu7drv2xwl2wywfgse35a3x"
            .to_owned(),
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ.x-_y"
            .to_owned(),
        "my password is wrong, password: please reset it. the pin code does not come, code 2024".to_owned(),
        "我忘记了助记词怎么办？密码是什么？验证码收不到，请帮我看看，谢谢。".to_owned(),
    ] {
        assert_eq!(masked(&text), text);
    }
}

#[test]
fn a_phrase_with_a_mistake_is_found_where_it_is_told() {
    let wrong = ABOUT.replace("about", "above");
    let mistyped = ABOUT.replace("about", "abuot");
    for text in [
        format!("My seed phrase: {wrong}"),
        format!("here are my 12 words, please restore it: {mistyped} thanks"),
        format!("助记词如下，请帮我恢复：{wrong}"),
        format!("my seed is {wrong}"),
    ] {
        assert_eq!(sorts(&text), [SecretSort::SeedPhrase], "{text}");
        assert!(!masked(&text).contains("abandon") && !masked(&text).contains("abuot"), "{text}");
    }
    assert_eq!(sorts(&mistyped), []);
}

#[test]
fn a_pair_of_ed25519_is_known_by_its_second_half() {
    let seed: Vec<u8> = (0..32_u8).map(|byte| byte.wrapping_mul(151) ^ 0x5a).collect();
    let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let public = ring::signature::KeyPair::public_key(&pair).as_ref().to_vec();
    let list = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
    let both = [seed.clone(), public.clone()].concat();
    assert_eq!(sorts(&format!("[{}]", list(&both))), [SecretSort::PrivateKey]);
    let hex = data_encoding::HEXLOWER.encode(&both);
    assert_eq!(sorts(&format!("here {hex}")), [SecretSort::PrivateKey]);
    let mut other = both;
    other.rotate_left(1);
    assert_eq!(sorts(&format!("[{}]", list(&other))), []);
    assert_eq!(sorts(&format!("my private key [{}]", list(&seed))), [SecretSort::PrivateKey]);
}

/// What calls it a phrase may stand in the message before it.
#[test]
fn a_row_of_chinese_characters_may_be_a_phrase_and_prose_is_none() {
    let scanner = Scanner::default();
    let phrase = Mnemonic::from_entropy_in(Language::SimplifiedChinese, &[7; 16]).unwrap();
    let dense: String = phrase.words().collect();
    assert!(scanner.may_go_on(&dense));
    assert!(scanner.scan(&dense).is_empty());
    assert!(!scanner.scan(&format!("我的助记词：\n{dense}")).is_empty());
    for pieces in ["的 一 是 在", "我", "abandon ability able"] {
        assert!(scanner.may_go_on(pieces), "{pieces}");
    }
    for prose in [
        "我的钱包转账没有到账，请帮我查一下，谢谢。",
        "你好，我想问一下这个费用是怎么算的？",
        "昨天我在手机上换了新的钱包。",
    ] {
        assert!(!scanner.may_go_on(prose), "{prose}");
    }
}

/// Also for texts that are made to be dear. (Above a quarter of a megabyte a text is cut in pieces.)
#[test]
fn the_cost_is_linear_in_the_text() {
    let hexes = format!("{HEX}\n");
    for piece in [
        "1 ",
        "4 ",
        "4111 ",
        "abandon ",
        "academic ",
        "zoo zoo ",
        "seed: a ",
        "private key ",
        hexes.as_str(),
        "[1,",
        "{",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN ",
        "\"ciphertext\"{",
        "password: ",
        "a\u{200b}",
        "<",
        "<a ",
        "&#",
        "pin ",
        "助记词",
        "otpauth://",
        "12 is your code ",
    ] {
        let text = piece.repeat(64 * 1024 / piece.len());
        let begun = std::time::Instant::now();
        std::hint::black_box(Scanner::default().scan(&text));
        std::hint::black_box(Scanner::default().mask_html(&text));
        // Many times what a slow machine takes; a quadratic part takes longer.
        assert!(begun.elapsed().as_secs() < 8, "{piece:?}: {:?}", begun.elapsed());
    }
}

#[test]
fn a_phrase_is_found_where_tags_join_its_words_and_a_key_where_they_cut_it() {
    let scanner = Scanner::default();
    for html in [
        format!("<i>about</i><b>{}</b>", PLANTED[0].replace(' ', "</b><b>")),
        WIF.chars().map(|c| format!("<b>{c}</b>")).collect(),
    ] {
        let masked = scanner.mask_html(&html).unwrap();
        assert!(
            !masked.text.contains("acoustic") && !masked.text.contains("<b>5</b>"),
            "{}",
            masked.text
        );
    }
}

/// Found by fuzzing: the name of a tag stays when its attributes go.
#[test]
fn a_key_that_is_the_name_of_a_tag_goes_too() {
    let key = format!("spsk{}", "C".repeat(60));
    for html in [format!("<{key}\t>"), format!("x <{key} a=b"), format!("</{key}>")] {
        let masked = Scanner::default().mask_html(&html).unwrap();
        assert!(!masked.text.contains(&key), "{}", masked.text);
        assert_eq!(Scanner::default().mask_html(&masked.text), None, "{}", masked.text);
    }
}

#[test]
fn a_secret_is_found_wherever_it_stands_in_a_long_text() {
    for before in [0, 200_000, 255_000, 262_100, 262_144, 270_000, 524_000, 900_000] {
        let text =
            format!("{}{ABOUT} and {WIF}{}", "ok so ".repeat(before / 6), " so ok".repeat(100_000));
        assert_eq!(sorts(&text), [SecretSort::SeedPhrase, SecretSort::PrivateKey], "{before}");
    }
}

const PARTS: &[&str] = &[
    ABOUT,
    WIF,
    HEX,
    "4111 1111 1111 1111",
    "4111.1111.1111.1111",
    "123456",
    "4711",
    "hunter2secret",
    "password: ",
    "password is ",
    "密码是",
    "my seed phrase: ",
    "seed: ",
    "助记词：",
    "private key ",
    "私钥",
    "card ",
    "cvv ",
    "verification code ",
    " is your verification code",
    "是您的验证码",
    "PIN ",
    "pin: ",
    "tx hash ",
    "abandon ",
    "about ",
    "legal winner thank ",
    "zoo ",
    "[seed phrase removed]",
    "[private key removed]",
    "[card number removed]",
    "[one-time code removed]",
    "[password removed]",
    "[keystore removed]",
    "\u{200b}",
    "\u{ad}",
    " ",
    "\n",
    ".",
    "-",
    "_",
    ",",
    "\"",
    "<b>",
    "</b>",
    "<br>",
    "&nbsp;",
    "&#8203;",
    "<a href=\"",
    "\">",
    "{",
    "}",
    "\"ciphertext\": 1, \"kdf\": 2",
    "-----BEGIN EC PRIVATE KEY-----",
    "-----END ",
    "otpauth://totp/x?secret=A",
    "[",
    "]",
    "12,",
    "1. ",
    "2) ",
    "word 3: ",
    "=",
    ":",
];

/// What a text is made of where secrets stand close to each other, to masks and to words that name them.
fn parts() -> impl proptest::strategy::Strategy<Value = String> {
    let part = proptest::prop_oneof![
        6 => proptest::sample::select(PARTS.to_vec()).prop_map(str::to_owned),
        1 => "(?s).{0,12}",
    ];
    proptest::collection::vec(part, 1..14).prop_map(|parts| parts.concat())
}

/// Secrets of which `parts` has no whole one.
const PLANTED: [&str; 2] = [
    "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
    "KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn",
];

/// A secret with what may stand around it without being part of it.
fn planted() -> impl proptest::strategy::Strategy<Value = (String, &'static str)> {
    let one_of = |known: &[&'static str]| proptest::sample::select(known.to_vec());
    let before = one_of(&["", " ", "\n", ". ", " - ", "_", "，", "(", "<b>", "你好 ", "ok: "]);
    let after = one_of(&["", " ", "\n", ".", " - ", "_", "，", ")", "</b>", "谢谢", "! ok"]);
    (parts(), one_of(&PLANTED), before, after, parts()).prop_map(
        |(before, secret, one, other, after)| {
            (format!("{before}\n{one}{secret}{other}\n{after}"), secret)
        },
    )
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

    #[test]
    fn masking_what_is_masked_changes_nothing(text in parts()) {
        let scanner = Scanner::default();
        if let Some(masked) = scanner.mask(&text) {
            proptest::prop_assert_eq!(scanner.mask(&masked.text), None, "{}", masked.text);
        }
        if let Some(masked) = scanner.mask_html(&text) {
            proptest::prop_assert_eq!(scanner.mask_html(&masked.text), None, "{}", masked.text);
        }
    }

    #[test]
    fn a_planted_secret_is_gone((text, secret) in planted()) {
        let scanner = Scanner::default();
        proptest::prop_assert!(!masked(&text).contains(secret), "{}", text);
        let html = scanner.mask_html(&text).map(|masked| masked.text);
        proptest::prop_assert!(!html.unwrap_or_default().contains(secret), "{}", text);
    }
}
