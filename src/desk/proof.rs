//! Codes that are sent to an address so that whoever says it is theirs can show it: made, found in a text, and the
//! words around them. Pure.
//!
//! A code is eight letters without vowels: no word of a language, nothing that the scanner for secrets masks, and
//! easy to read out to oneself. It is good for half an hour and five tries, in one conversation.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::language::fitting;
use crate::model::{Address, Scheme, Secret};

/// Consonants, without those that look like something else.
const LETTERS: &[u8; 20] = b"BCDFGHJKMNPQRSTVWXYZ";
/// Letters of each of the two halves.
const HALF: usize = 4;
/// Between the halves stand at most so many signs.
const BETWEEN_MAX: usize = 4;
/// Longer texts bring no code.
const TEXT_BYTES_MAX: usize = 8 * 1024;
/// More codes of one message are not tried.
const CODES_MAX: usize = 3;

/// Stands in a text where a code, or a half of one, is put in when the text goes out.
pub const DOTS: &str = "••••";
/// How long a code is good.
pub const GOOD_FOR: chrono::Duration = chrono::Duration::minutes(30);
/// So often it can be got wrong.
pub const TRIES_MAX: i32 = 5;
/// What codes were sent is remembered for so long.
pub const REMEMBERED: chrono::Duration = chrono::Duration::days(30);

/// Codes to one address within a day, and within [`REMEMBERED`]: nobody can have a stranger mailed for ever.
const TO_ADDRESS_DAY_MAX: u64 = 3;
const TO_ADDRESS_MAX: u64 = 10;
/// Codes that one contact asks for within a day.
const BY_CONTACT_DAY_MAX: u64 = 6;

/// A code in its two halves.
#[derive(Debug, Clone)]
pub struct ProofCode {
    first: Secret,
    second: Secret,
}

impl ProofCode {
    /// Makes one; `pick` draws a number below the one given.
    pub fn make(mut pick: impl FnMut(usize) -> usize) -> Self {
        let mut half = || {
            let letter = |_| LETTERS.get(pick(LETTERS.len())).copied().map_or('B', char::from);
            Secret::new((0..HALF).map(letter).collect::<String>())
        };
        Self { first: half(), second: half() }
    }

    /// As it is compared.
    #[must_use]
    pub fn plain(&self) -> Secret {
        Secret::new(format!("{}{}", self.first.reveal(), self.second.reveal()))
    }

    /// As it is written to people.
    #[must_use]
    pub fn shown(&self) -> Secret {
        Secret::new(format!("{}-{}", self.first.reveal(), self.second.reveal()))
    }

    /// What the conversation is told, where the address alone would prove too little.
    #[must_use]
    pub const fn first(&self) -> &Secret {
        &self.first
    }

    /// What the address is told then.
    #[must_use]
    pub const fn second(&self) -> &Secret {
        &self.second
    }
}

/// What may be codes in a text, as [`ProofCode::plain`] gives them.
#[must_use]
pub fn codes_in(text: &str) -> Vec<Secret> {
    if text.len() > TEXT_BYTES_MAX {
        return Vec::new();
    }
    let narrow: String = text.chars().map(narrow).collect();
    let words: Vec<(usize, &str)> = words(&narrow);
    let mut codes: Vec<String> = Vec::new();
    let mut add = |code: String| {
        if codes.len() < CODES_MAX && !codes.contains(&code) {
            codes.push(code);
        }
    };
    for (at, (start, word)) in words.iter().enumerate() {
        if !word.bytes().all(|byte| LETTERS.contains(&byte)) {
            continue;
        }
        if word.len() == 2 * HALF {
            add((*word).to_owned());
        }
        let next = words.get(at + 1).filter(|(_, next)| word.len() == HALF && next.len() == HALF);
        let Some((then, next)) = next else { continue };
        let between = narrow.get(start + word.len()..*then).unwrap_or_default();
        let joins = |c: char| c.is_whitespace() || "-–—－_.,，。、+/".contains(c);
        if next.bytes().all(|byte| LETTERS.contains(&byte))
            && between.chars().count() <= BETWEEN_MAX
            && between.chars().all(joins)
        {
            add(format!("{word}{next}"));
        }
    }
    codes.into_iter().map(Secret::new).collect()
}

/// Capitals of ASCII, from small and from wide ones.
fn narrow(c: char) -> char {
    let plain = match c {
        '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => {
            char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c)
        }
        _ => c,
    };
    plain.to_ascii_uppercase()
}

/// Runs of letters and digits of ASCII, with their places.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, byte) in text.bytes().chain([b' ']).enumerate() {
        match (start, byte.is_ascii_alphanumeric()) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                words.push((from, text.get(from..at).unwrap_or_default()));
                start = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    words
}

/// May whoever writes from such an address be somebody else?
///
/// A mail's sender and a telephone number can be made up; a chat's service vouches for whose words it brings. Who can
/// be somebody else gets a half of the code into the conversation itself, and has to show that they read there, too.
#[must_use]
pub const fn can_be_made_up(scheme: Scheme) -> bool {
    match scheme {
        Scheme::Email | Scheme::Tel => true,
        Scheme::Telegram | Scheme::Web | Scheme::Meta | Scheme::Api => false,
    }
}

/// An address, so that its owner knows which is meant and nobody else learns it.
#[must_use]
pub fn masked(address: &Address) -> String {
    let value = &address.value;
    if let Some((local, domain)) = value.rsplit_once('@') {
        let first: String = local.chars().take(1).collect();
        return format!("{first}…@{domain}");
    }
    let tail: Vec<char> = value.chars().rev().take(3).collect();
    format!("…{}", tail.into_iter().rev().collect::<String>())
}

/// What the store knows that matters for one more code.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProofFacts {
    /// To this address within a day.
    pub to_address_day: u64,
    /// To this address within [`REMEMBERED`].
    pub to_address: u64,
    /// Asked for by this contact within a day.
    pub by_contact_day: u64,
    /// The address bounced, complained or asked us to stop.
    pub suppressed: bool,
}

/// May a code be sent? `Err`: why not, for the agent.
pub fn provable(facts: ProofFacts) -> Result<(), &'static str> {
    if facts.suppressed {
        return Err(
            "nothing is sent to this address unasked: it bounced, complained or asked us to stop",
        );
    }
    if facts.to_address_day >= TO_ADDRESS_DAY_MAX || facts.to_address >= TO_ADDRESS_MAX {
        return Err("this address was sent enough codes: try again tomorrow");
    }
    if facts.by_contact_day >= BY_CONTACT_DAY_MAX {
        return Err("enough codes were sent for this customer today");
    }
    Ok(())
}

/// What is written around a code in one language, with `{code}`, `{desk}` and `{address}`.
#[derive(Debug)]
pub struct ProofWords {
    /// The subject of the mail that brings the code.
    pub subject: &'static str,
    /// What the address is told.
    pub letter: &'static str,
    /// What the conversation is told.
    pub asks: &'static str,
    /// The same, with the first half of the code.
    pub asks_both: &'static str,
    /// The code was right.
    pub thanks: &'static str,
    /// It was not.
    pub wrong: &'static str,
    /// It was not, and that was the last try.
    pub ended: &'static str,
}

impl ProofWords {
    /// In the customer's language, else in English.
    #[must_use]
    pub fn of(language: Option<&str>) -> &'static Self {
        static EACH: LazyLock<BTreeMap<String, &'static ProofWords>> =
            LazyLock::new(|| WORDS.iter().map(|(tag, words)| ((*tag).to_owned(), words)).collect());
        fitting(&*EACH, language).copied().unwrap_or(&ENGLISH)
    }
}

/// Fills what stands in braces.
#[must_use]
pub fn filled(text: &str, desk: &str, address: &str) -> String {
    text.replace("{code}", DOTS).replace("{desk}", desk).replace("{address}", address)
}

const ENGLISH: ProofWords = ProofWords {
    subject: "Your code",
    letter: "Code: {code}\nAsked for by {desk}: somebody who writes with us says that this address is theirs. If that is you, write the code into that conversation within 30 minutes, and nowhere else.\nGive it to nobody who calls or writes and asks for it: we never do. If that is not you, do nothing.",
    asks: "We have sent a code to {address}. Please write it here within 30 minutes, and give it to nobody who calls or writes to you elsewhere.",
    asks_both: "The first half of your code is {code}; we have sent the second half to {address}. Please write both halves here, in one message, within 30 minutes, and give them to nobody who calls or writes to you elsewhere.",
    thanks: "Thank you, the code is right: {address} is confirmed as yours.",
    wrong: "This code is not right. Please look again, and write all of it here.",
    ended: "This code is not right either, and it cannot be tried again. We can send you a new one.",
};

const WORDS: &[(&str, ProofWords)] = &[
    ("en", ENGLISH),
    (
        "zh",
        ProofWords {
            subject: "您的验证码",
            letter: "验证码：{code}\n由 {desk} 发出：有人在与我们的对话中表示此地址属于他本人。如果是您，请在 30 分钟内把验证码写到该对话中，不要写到别处。\n任何人来电或来信索取都不要提供，我们绝不会索取。如果不是您，请忽略。",
            asks: "我们已向 {address} 发送验证码。请在 30 分钟内写在这里，不要提供给任何来电或在别处联系您的人。",
            asks_both: "验证码的前半部分是 {code}，后半部分已发送到 {address}。请在 30 分钟内把两部分写在同一条消息中回复到这里，不要提供给任何来电或在别处联系您的人。",
            thanks: "谢谢，验证码正确：已确认 {address} 属于您。",
            wrong: "验证码不正确。请核对后完整地写在这里。",
            ended: "验证码仍不正确，已不能再试。我们可以为您重新发送。",
        },
    ),
    (
        "zh-Hant",
        ProofWords {
            subject: "您的驗證碼",
            letter: "驗證碼：{code}\n由 {desk} 發出：有人在與我們的對話中表示此地址屬於他本人。如果是您，請在 30 分鐘內把驗證碼寫到該對話中，不要寫到別處。\n任何人來電或來信索取都不要提供，我們絕不會索取。如果不是您，請忽略。",
            asks: "我們已向 {address} 發送驗證碼。請在 30 分鐘內寫在這裡，不要提供給任何來電或在別處聯絡您的人。",
            asks_both: "驗證碼的前半部分是 {code}，後半部分已發送到 {address}。請在 30 分鐘內把兩部分寫在同一則訊息中回覆到這裡，不要提供給任何來電或在別處聯絡您的人。",
            thanks: "謝謝，驗證碼正確：已確認 {address} 屬於您。",
            wrong: "驗證碼不正確。請核對後完整地寫在這裡。",
            ended: "驗證碼仍不正確，已不能再試。我們可以為您重新發送。",
        },
    ),
    (
        "es",
        ProofWords {
            subject: "Su código",
            letter: "Código: {code}\nLo pide {desk}: alguien que nos escribe dice que esta dirección es suya. Si es usted, escriba el código en esa conversación en 30 minutos, y en ningún otro lugar.\nNo lo dé a nadie que llame o escriba para pedirlo: nosotros nunca lo hacemos. Si no es usted, no haga nada.",
            asks: "Hemos enviado un código a {address}. Escríbalo aquí en 30 minutos y no lo dé a nadie que le llame o le escriba por otro medio.",
            asks_both: "La primera mitad de su código es {code}; la segunda la hemos enviado a {address}. Escriba aquí las dos mitades, en un solo mensaje, en 30 minutos, y no las dé a nadie que le llame o le escriba por otro medio.",
            thanks: "Gracias, el código es correcto: {address} queda confirmada como suya.",
            wrong: "Este código no es correcto. Compruébelo y escríbalo entero aquí.",
            ended: "Este código tampoco es correcto y ya no se puede probar más. Podemos enviarle otro.",
        },
    ),
    (
        "pt",
        ProofWords {
            subject: "O seu código",
            letter: "Código: {code}\nPedido por {desk}: alguém que nos escreve diz que este endereço é seu. Se for você, escreva o código nessa conversa em 30 minutos, e em mais nenhum lugar.\nNão o dê a ninguém que ligue ou escreva a pedi-lo: nós nunca o fazemos. Se não for você, não faça nada.",
            asks: "Enviámos um código para {address}. Escreva-o aqui em 30 minutos e não o dê a ninguém que lhe ligue ou escreva por outra via.",
            asks_both: "A primeira metade do seu código é {code}; enviámos a segunda para {address}. Escreva aqui as duas metades, numa só mensagem, em 30 minutos, e não as dê a ninguém que lhe ligue ou escreva por outra via.",
            thanks: "Obrigado, o código está certo: {address} está confirmado como seu.",
            wrong: "Este código não está certo. Verifique-o e escreva-o completo aqui.",
            ended: "Este código também não está certo e já não pode ser tentado. Podemos enviar-lhe outro.",
        },
    ),
    (
        "fr",
        ProofWords {
            subject: "Votre code",
            letter: "Code : {code}\nDemandé par {desk} : quelqu'un qui nous écrit dit que cette adresse est la sienne. Si c'est vous, écrivez le code dans cette conversation sous 30 minutes, et nulle part ailleurs.\nNe le donnez à personne qui vous appelle ou vous écrit pour le demander : nous ne le faisons jamais. Si ce n'est pas vous, ne faites rien.",
            asks: "Nous avons envoyé un code à {address}. Écrivez-le ici sous 30 minutes et ne le donnez à personne qui vous appelle ou vous écrit ailleurs.",
            asks_both: "La première moitié de votre code est {code} ; nous avons envoyé la seconde à {address}. Écrivez ici les deux moitiés, dans un seul message, sous 30 minutes, et ne les donnez à personne qui vous appelle ou vous écrit ailleurs.",
            thanks: "Merci, le code est bon : {address} est confirmée comme la vôtre.",
            wrong: "Ce code n'est pas bon. Vérifiez-le et écrivez-le en entier ici.",
            ended: "Ce code n'est pas bon non plus et ne peut plus être essayé. Nous pouvons vous en envoyer un autre.",
        },
    ),
    (
        "de",
        ProofWords {
            subject: "Ihr Code",
            letter: "Code: {code}\nAngefordert von {desk}: Jemand, der uns schreibt, sagt, diese Adresse sei seine. Sind Sie das, so schreiben Sie den Code innerhalb von 30 Minuten in dieses Gespräch, und nirgends sonst hin.\nGeben Sie ihn niemandem, der anruft oder schreibt und danach fragt: Wir tun das nie. Sind Sie es nicht, so tun Sie nichts.",
            asks: "Wir haben einen Code an {address} geschickt. Bitte schreiben Sie ihn innerhalb von 30 Minuten hierher, und geben Sie ihn niemandem, der anruft oder Ihnen anderswo schreibt.",
            asks_both: "Die erste Hälfte Ihres Codes ist {code}; die zweite haben wir an {address} geschickt. Bitte schreiben Sie beide Hälften innerhalb von 30 Minuten in einer Nachricht hierher, und geben Sie sie niemandem, der anruft oder Ihnen anderswo schreibt.",
            thanks: "Danke, der Code stimmt: {address} ist als Ihre Adresse bestätigt.",
            wrong: "Dieser Code stimmt nicht. Bitte sehen Sie noch einmal nach, und schreiben Sie ihn ganz hierher.",
            ended: "Auch dieser Code stimmt nicht, und er kann nicht weiter versucht werden. Wir können Ihnen einen neuen schicken.",
        },
    ),
    (
        "ru",
        ProofWords {
            subject: "Ваш код",
            letter: "Код: {code}\nЗапрошен {desk}: кто-то в переписке с нами говорит, что этот адрес его. Если это вы, напишите код в той же переписке в течение 30 минут и больше нигде.\nНе сообщайте его никому, кто звонит или пишет и просит его: мы так никогда не делаем. Если это не вы, ничего не делайте.",
            asks: "Мы отправили код на {address}. Напишите его здесь в течение 30 минут и не сообщайте никому, кто звонит или пишет вам в другом месте.",
            asks_both: "Первая половина вашего кода — {code}; вторую мы отправили на {address}. Напишите здесь обе половины одним сообщением в течение 30 минут и не сообщайте их никому, кто звонит или пишет вам в другом месте.",
            thanks: "Спасибо, код верный: подтверждено, что {address} — ваш адрес.",
            wrong: "Код неверный. Проверьте и напишите его здесь целиком.",
            ended: "Код снова неверный, больше попыток нет. Мы можем отправить вам новый.",
        },
    ),
    (
        "ja",
        ProofWords {
            subject: "確認コード",
            letter: "確認コード：{code}\n{desk} からの送信です。当窓口とやり取りしている方が、このアドレスはご自分のものだと述べています。ご本人でしたら、30分以内にそのやり取りの中にだけコードを書いてください。\n電話やメールでコードを尋ねる人には決して教えないでください。当窓口が尋ねることはありません。お心当たりがなければ何もしないでください。",
            asks: "{address} に確認コードを送りました。30分以内にここに書いてください。電話や他の方法で尋ねる人には教えないでください。",
            asks_both: "確認コードの前半は {code} です。後半は {address} に送りました。30分以内に、両方を一つのメッセージでここに書いてください。電話や他の方法で尋ねる人には教えないでください。",
            thanks: "ありがとうございます。コードを確認しました。{address} はご本人のものとして登録されました。",
            wrong: "コードが正しくありません。もう一度ご確認のうえ、すべてここに書いてください。",
            ended: "コードが正しくなく、これ以上は試せません。新しいコードをお送りできます。",
        },
    ),
    (
        "ko",
        ProofWords {
            subject: "확인 코드",
            letter: "확인 코드: {code}\n{desk}에서 보냈습니다. 저희와 대화 중인 분이 이 주소가 본인의 것이라고 합니다. 본인이라면 30분 안에 그 대화에만 코드를 적어 주세요.\n전화나 메시지로 코드를 묻는 사람에게는 절대 알려 주지 마세요. 저희는 묻지 않습니다. 본인이 아니라면 아무것도 하지 마세요.",
            asks: "{address}(으)로 확인 코드를 보냈습니다. 30분 안에 여기에 적어 주시고, 전화하거나 다른 곳에서 묻는 사람에게는 알려 주지 마세요.",
            asks_both: "확인 코드의 앞부분은 {code}이고, 뒷부분은 {address}(으)로 보냈습니다. 30분 안에 두 부분을 한 메시지로 여기에 적어 주시고, 전화하거나 다른 곳에서 묻는 사람에게는 알려 주지 마세요.",
            thanks: "감사합니다. 코드가 맞습니다. {address}이(가) 본인의 것으로 확인되었습니다.",
            wrong: "코드가 맞지 않습니다. 다시 확인하고 전부 여기에 적어 주세요.",
            ended: "코드가 이번에도 맞지 않아 더는 시도할 수 없습니다. 새 코드를 보내 드릴 수 있습니다.",
        },
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::{Safety, never_sent};

    fn found(text: &str) -> Vec<String> {
        codes_in(text).iter().map(|code| code.reveal().to_owned()).collect()
    }

    #[test]
    fn a_code_is_found_however_it_is_written() {
        for text in [
            "KXQT-RWMP",
            "kxqtrwmp",
            "the code is KXQT RWMP, thanks",
            "代码是KXQT-RWMP谢谢",
            "ＫＸＱＴ－ＲＷＭＰ",
            "KXQT\nRWMP",
            "KXQT, RWMP",
            "Kxqt – Rwmp.",
            "> Code: KXQT-RWMP",
        ] {
            assert_eq!(found(text), ["KXQTRWMP"], "{text}");
        }
        for text in [
            "",
            "KXQT",
            "KXQT-RWM",
            "AKXQTRWMP",
            "KXQTRWMP1",
            "KXQT and RWMP",
            "HTML-HTTP",
            "KXQT\n\n\n\n\nRWMP",
            "my words are letter advice cage",
            "0xKXQTRWMP",
        ] {
            assert_eq!(found(text), <[&str; 0]>::default(), "{text}");
        }
        let many = "KXQT-RWMP BCDF-GHJK MNPQ-RSTV WXYZ-BCDF";
        assert_eq!(found(many).len(), CODES_MAX, "guesses in one message are few");
        assert!(codes_in(&"KXQT-RWMP ".repeat(10_000)).is_empty());
    }

    #[test]
    fn a_code_is_no_secret_of_others_in_whatever_words_it_stands() {
        let mut next = 0;
        let code = ProofCode::make(|below| {
            next += 7;
            next % below
        });
        assert_eq!(found(code.shown().reveal()), [code.plain().reveal()]);
        for (tag, words) in WORDS {
            for text in [words.letter, words.asks_both] {
                let text = filled(text, "support@desk.example", "j…@customer.example");
                assert_eq!(text.matches(DOTS).count(), 1, "{tag}");
                let mut text = text.replace(DOTS, code.shown().reveal());
                assert_eq!(never_sent(&text), None, "{tag}");
                // What a customer quotes of it is not masked, nor are they warned.
                assert!(Safety::default().mask(&mut text).is_empty(), "{tag}: {text}");
                assert_eq!(found(&text), [code.plain().reveal()], "{tag}");
            }
            for text in [words.asks, words.thanks] {
                let text = filled(text, "", "j…@customer.example");
                assert!(text.contains("j…@customer.example") && !text.contains('{'), "{tag}");
            }
            assert!(
                !words.wrong.is_empty() && !words.ended.is_empty() && !words.subject.is_empty()
            );
        }
        assert_eq!(ProofWords::of(Some("zh-Hans-CN")).subject, "您的验证码");
        assert_eq!(ProofWords::of(Some("tlh")).subject, "Your code");
    }

    #[test]
    fn an_address_is_named_to_whoever_knows_it_only() {
        assert_eq!(masked(&Address::email("jane.doe@customer.example")), "j…@customer.example");
        let tel = Address::typed(Scheme::Tel, None, "+15005550006").unwrap();
        assert_eq!(masked(&tel), "…006");
    }

    #[test]
    fn nobody_is_sent_codes_without_end() {
        let facts = ProofFacts::default();
        assert!(provable(facts).is_ok());
        for facts in [
            ProofFacts { to_address_day: TO_ADDRESS_DAY_MAX, ..facts },
            ProofFacts { to_address: TO_ADDRESS_MAX, ..facts },
            ProofFacts { by_contact_day: BY_CONTACT_DAY_MAX, ..facts },
            ProofFacts { suppressed: true, ..facts },
        ] {
            assert!(provable(facts).is_err(), "{facts:?}");
        }
    }
}
