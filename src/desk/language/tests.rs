use proptest::prelude::*;

use super::*;

/// Sentences as customers write them, with names of coins, addresses and numbers in between.
const SURE: &[(&str, &str)] = &[
    ("zh-Hans", "我的USDT提现一直没有到账,请帮我看一下"),
    ("zh-Hans", "请问怎么备份助记词?"),
    ("zh-Hans", "转错链了,地址是 0x52908400098527886E0F7030069857D2E4169EE7,还能找回来吗"),
    ("zh-Hans", "你好,Withdraw 状态一直是 pending,什么时候能到账"),
    ("zh-Hant", "請問如何備份助記詞?"),
    ("zh-Hant", "我轉錯鏈了,還找得回來嗎"),
    ("zh-Hant", "我嘅錢包打唔開,點算好"),
    ("en", "Hello, my withdrawal is still pending"),
    ("en", "where is my money"),
    ("en", "I sent USDT to the wrong address, can you help?"),
    ("en", "I can't log in to my account since yesterday"),
    ("en", "My friend 李明 told me to transfer the tokens to this wallet"),
    ("ja", "送金したのに届きません。どうすればいいですか"),
    ("ja", "パスワードを忘れました"),
    ("ja", "ウォレット"),
    ("ko", "출금이 아직 처리되지 않았습니다"),
    ("ko", "비밀번호를 잊어버렸어요"),
    ("ru", "Здравствуйте, я не могу войти в аккаунт"),
    ("ru", "где мои деньги и почему вы молчите"),
    ("uk", "Доброго дня, не можу увійти, що робити з її гаманцем"),
    ("ar", "لم أستلم المبلغ حتى الآن، هل يمكنكم المساعدة؟"),
    ("fa", "سلام، کیف پول من باز نمی‌شود چه کار کنم"),
    ("ur", "میرا پیسہ ابھی تک نہیں آیا"),
    ("he", "שלום, לא קיבלתי את הכסף"),
    ("th", "ฉันถอนเงินไม่ได้ ช่วยด้วย"),
    ("hi", "मेरा पैसा नहीं आया"),
    ("el", "Δεν μπορώ να συνδεθώ"),
    ("es", "Hola, no puedo retirar mis fondos, ¿me pueden ayudar?"),
    ("es", "¿Cuándo llega mi transferencia?"),
    ("pt", "Olá, não consigo fazer o saque, preciso de ajuda"),
    ("fr", "Bonjour, je n'arrive pas à me connecter, pouvez-vous m'aider ?"),
    ("de", "Guten Tag, ich kann meine Coins nicht auszahlen"),
    ("it", "Buongiorno, non riesco a prelevare i miei fondi"),
    ("nl", "Ik kan mijn geld niet opnemen, wat moet ik doen"),
    ("pl", "Dzień dobry, nie mogę wypłacić środków, proszę o pomoc"),
    ("tr", "Merhaba, paramı çekemiyorum, lütfen yardım edin"),
    ("vi", "Tôi không thể rút tiền, xin giúp tôi"),
    ("id", "Saya tidak bisa menarik dana, tolong bantu"),
    ("sv", "Hej, jag kan inte ta ut mina pengar"),
];

#[test]
fn sentences_of_customers_are_told_apart() {
    let wrong: Vec<String> = SURE
        .iter()
        .filter_map(|(tag, text)| {
            let found = detect(text);
            let right = found.is_some_and(|guess| {
                guess.tag == *tag && (guess.clue == Clue::Sure || matches!(*tag, "hi"))
            });
            (!right).then(|| format!("{tag}: {text}: {found:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_has_no_words_has_no_language() {
    for text in [
        "",
        "   \n",
        "12345",
        "👍👍",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "https://desk.example/help?lang=de",
        "anna@customer.example",
        "USDT TRC20",
        "#4711!!!",
    ] {
        assert_eq!(detect(text), None, "{text}");
    }
}

#[test]
fn short_texts_fall_back_to_what_was_known() {
    let told = |text: &str, known: Option<&str>| settle(detect(text), known);
    for (text, known, expected) in [
        // Nothing to tell by.
        ("👍", Some("zh-Hans"), Some("zh-Hans")),
        ("👍", None, None),
        ("123", Some(" "), None),
        // A word that everybody knows.
        ("ok", Some("zh-Hant"), Some("zh-Hant")),
        ("hello", Some("zh-Hans"), Some("zh-Hans")),
        ("hello", None, Some("en")),
        ("hola", None, Some("es")),
        // The same in both forms, and perhaps Japanese.
        ("你好", None, Some("zh-Hans")),
        ("你好", Some("zh-Hant"), Some("zh-Hant")),
        ("你好", Some("zh-TW"), Some("zh-TW")),
        ("本人", Some("ja"), Some("ja")),
        ("入金手続", None, Some("ja")),
        ("你好", Some("en"), Some("zh-Hans")),
        ("Привет", None, Some("ru")),
        ("Привет", Some("uk"), Some("uk")),
        ("Привет", Some("en"), Some("ru")),
        // Sure: the customer changed, or the tag that was known says more.
        ("My withdrawal is still pending", Some("zh-Hans"), Some("en")),
        ("My withdrawal is still pending", Some("en-GB"), Some("en-GB")),
        ("请帮我看一下这个问题", Some("zh-CN"), Some("zh-CN")),
        ("请帮我看一下这个问题", Some("zh"), Some("zh")),
        ("請幫我看一下這個問題", Some("zh-CN"), Some("zh-Hant")),
    ] {
        assert_eq!(told(text, known).as_deref(), expected, "{text} {known:?}");
    }
}

#[test]
fn who_reads_what() {
    for (given, wanted, expected) in [
        ("zh-Hans", "zh", true),
        ("zh-Hans", "zh-CN", true),
        ("zh-Hans", "zh_TW", false),
        ("zh-Hant", "zh-HK", true),
        ("en-GB", "en", true),
        ("EN", "en-us", true),
        ("en", "es", false),
    ] {
        assert_eq!(serves(given, wanted), expected, "{given} {wanted}");
    }
}

/// A slip in the table of pairs would turn simplified into traditional for every text.
#[test]
fn the_pairs_are_pairs() {
    for (simplified, traditional) in
        [("这个问题", "這個問題"), ("龙龟鲜", "龍龜鮮"), ("领频", "領頻")]
    {
        for c in simplified.chars() {
            assert_eq!(detect(&c.to_string()).unwrap().tag, "zh-Hans", "{c}");
        }
        for c in traditional.chars() {
            assert_eq!(detect(&c.to_string()).unwrap().tag, "zh-Hant", "{c}");
        }
    }
}

#[test]
fn what_fits_best_is_given() {
    let given = |tags: &[&str]| -> BTreeMap<String, String> {
        tags.iter().map(|tag| ((*tag).to_owned(), (*tag).to_owned())).collect()
    };
    for (tags, wanted, expected) in [
        (&["en", "zh-Hans", "de"][..], Some("zh-Hans"), "zh-Hans"),
        (&["en", "zh-Hans", "de"], Some("zh-CN"), "zh-Hans"),
        (&["en", "zh-Hans", "de"], Some("zh-Hant"), "zh-Hans"),
        (&["en", "zh-Hans", "de"], Some("de-AT"), "de"),
        (&["en", "zh-Hans", "de"], Some("fr"), "en"),
        (&["en", "zh-Hans", "de"], None, "en"),
        (&["en", "zh", "zh-Hant"], Some("zh-TW"), "zh-Hant"),
        (&["en", "zh", "zh-Hant"], Some("zh-Hans"), "zh"),
        (&["de", "de-CH"], Some("de-CH"), "de-CH"),
        (&["de", "de-CH"], Some("DE"), "de"),
        (&["de"], Some("zh"), "de"),
    ] {
        let found = fitting(&given(tags), wanted).cloned();
        assert_eq!(found.as_deref(), Some(expected), "{tags:?} {wanted:?}");
    }
    assert_eq!(fitting(&given(&[]), Some("en")), None);
}

proptest! {
    #[test]
    fn any_text_has_a_language_or_none(text in "\\PC{0,300}", known in "\\PC{0,8}") {
        let guess = detect(&text);
        if let Some(guess) = guess {
            prop_assert!(serves(guess.tag, guess.tag));
            // What follows the part that is looked at changes nothing.
            let long = format!("{} {}", text, " ".repeat(CHARS_MAX));
            prop_assert_eq!(detect(&format!("{long}слово")), detect(&long));
        }
        let settled = settle(guess, Some(&known));
        prop_assert_eq!(settled.is_none(), guess.is_none() && known.trim().is_empty());
    }
}
