//! The words around a number: what the writer says that it is. Found in one pass.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::{Find, SecretSort};

/// What a word says of what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    Seed,
    Key,
    /// It is something public: a hash, an address, an order.
    Public,
    Card,
    SecurityCode,
    Code,
    Password,
    /// A part of a keystore.
    Keystore,
    /// A mask that stands there already: neither a word nor a secret.
    Mask,
}

const WORDS: &[(Word, &[&str])] = &[
    (
        Word::Seed,
        &[
            "seed phrase",
            "seedphrase",
            "seed words",
            "seed:",
            "recovery phrase",
            "recovery words",
            "secret phrase",
            "secret recovery",
            "backup phrase",
            "backup words",
            "wallet phrase",
            "mnemonic",
            "12 words",
            "24 words",
            "助记词",
            "助記詞",
            "助记字",
            "恢复短语",
            "恢復短語",
            "种子短语",
            "种子词",
            "種子詞",
            "frase semilla",
            "frase de recuperaci",
            "palabras semilla",
            "phrase de récupération",
            "phrase secrète",
            "frase de recupera",
            "シードフレーズ",
            "リカバリーフレーズ",
            "復元フレーズ",
            "ニーモニック",
            "니모닉",
            "복구 문구",
            "시드 구문",
            "wiederherstellungsphrase",
            "мнемоник",
            "сид-фраз",
            "сид фраз",
        ],
    ),
    (
        Word::Key,
        &[
            "private key",
            "privatekey",
            "private_key",
            "priv key",
            "privkey",
            "secret key",
            "secretkey",
            "secret_key",
            "signing key",
            "wallet key",
            "私钥",
            "私鑰",
            "密钥",
            "密鑰",
            "秘密鍵",
            "개인키",
            "개인 키",
            "clé privée",
            "cle privee",
            "clave privada",
            "llave privada",
            "chave privada",
            "chiave privata",
            "privater schlüssel",
            "privaten schlüssel",
            "private schlüssel",
            "приватный ключ",
            "закрытый ключ",
            "keystore",
        ],
    ),
    (
        Word::Public,
        &[
            "public key",
            "pubkey",
            "txid",
            "tx",
            "txn",
            "tx hash",
            "transaction",
            "transaction hash",
            "transaction id",
            "hash",
            "block",
            "address",
            "contract",
            "deposit",
            "withdrawal",
            "order",
            "order number",
            "order id",
            "order no",
            "invoice",
            "tracking",
            "reference",
            "ticket",
            "signature",
            "sha256",
            "sha-256",
            "checksum",
            "uuid",
            "iban",
            "account number",
            "phone",
            "哈希",
            "交易",
            "地址",
            "区块",
            "區塊",
            "合约",
            "合約",
            "订单",
            "訂單",
            "单号",
            "單號",
            "公钥",
            "公鑰",
            "签名",
            "簽名",
            "运单",
            "流水号",
            "手机",
            "电话",
            "アドレス",
            "注文",
            "주문",
        ],
    ),
    (
        Word::Card,
        &[
            "card",
            "cards",
            "credit card",
            "debit card",
            "card number",
            "card no",
            "visa",
            "mastercard",
            "master card",
            "amex",
            "american express",
            "unionpay",
            "pan",
            "expiry",
            "exp",
            "expires",
            "valid thru",
            "卡号",
            "卡號",
            "银行卡",
            "銀行卡",
            "信用卡",
            "借记卡",
            "储蓄卡",
            "银联",
            "有效期",
            "カード",
            "카드",
            "tarjeta",
            "carte bancaire",
            "carte bleue",
            "kreditkarte",
            "cartão",
            "карта",
            "карты",
        ],
    ),
    (Word::SecurityCode, &["cvv", "cvv2", "cvc", "cvc2", "安全码", "安全碼"]),
    (
        Word::Code,
        &[
            "verification code",
            "verify code",
            "security code",
            "one-time code",
            "one time code",
            "one-time password",
            "one time password",
            "one-time passcode",
            "otp",
            "otp code",
            "2fa",
            "2fa code",
            "mfa code",
            "auth code",
            "authentication code",
            "authenticator code",
            "google authenticator",
            "google code",
            "login code",
            "sign-in code",
            "passcode",
            "pin",
            "pin code",
            "sms code",
            "confirmation code",
            "email code",
            "tan",
            "验证码",
            "驗證碼",
            "动态码",
            "動態碼",
            "校验码",
            "一次性密码",
            "动态密码",
            "动态口令",
            "短信码",
            "谷歌验证",
            "pin码",
            "確認コード",
            "認証コード",
            "認証番号",
            "인증번호",
            "인증 코드",
            "인증코드",
            "code de vérification",
            "código de verificación",
            "código de verificação",
            "bestätigungscode",
            "код подтверждения",
            "Код подтверждения",
        ],
    ),
    (
        Word::Password,
        &[
            "password",
            "passwort",
            "passwd",
            "passphrase",
            "pwd",
            "pass word",
            "kennwort",
            "密码",
            "密碼",
            "口令",
            "登录密码",
            "交易密码",
            "支付密码",
            "资金密码",
            "mot de passe",
            "contraseña",
            "senha",
            "пароль",
            "Пароль",
            "パスワード",
            "暗証番号",
            "비밀번호",
            "암호",
        ],
    ),
    (Word::Keystore, &["\"ciphertext\"", "&quot;ciphertext&quot;"]),
    (
        Word::Mask,
        &[
            SecretSort::SeedPhrase.mask(),
            SecretSort::PrivateKey.mask(),
            SecretSort::Keystore.mask(),
            SecretSort::Card.mask(),
            SecretSort::Code.mask(),
            SecretSort::Password.mask(),
        ],
    ),
];

/// All words, each with the number of its class.
static FINDER: LazyLock<Option<(AhoCorasick, Vec<Word>)>> = LazyLock::new(|| {
    let words = WORDS.iter().flat_map(|(class, words)| words.iter().map(|word| (*word, *class)));
    let (words, classes): (Vec<&str>, Vec<Word>) = words.unzip();
    let finder = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .build(words);
    finder.ok().map(|finder| (finder, classes))
});

/// Between a word and its value stand at most so many bytes.
const CONNECTOR_MAX: usize = 40;

/// The words of a text that tell what its numbers are, in order.
pub(super) struct Context {
    words: Vec<(Word, Range<usize>)>,
    /// The classes of them: asked for at every number, so looked up and not looked for.
    classes: BTreeSet<Word>,
    /// Bytes of the text without the blanks around it.
    pub(super) length: usize,
}

impl Context {
    pub(super) fn of(text: &str) -> Self {
        let length = text.trim().len();
        let Some((finder, classes)) = FINDER.as_ref() else {
            return Self { words: Vec::new(), classes: BTreeSet::new(), length };
        };
        let found = finder.find_iter(text).filter_map(|found| {
            let class = *classes.get(found.pattern().as_usize())?;
            let span = found.range();
            stands_alone(text, &span).then_some((class, span))
        });
        let words: Vec<_> = found.collect();
        let classes = words.iter().map(|(class, _)| *class).collect();
        Self { words, classes, length }
    }

    /// Is there a word of this class anywhere?
    pub(super) fn has(&self, class: Word) -> bool {
        self.classes.contains(&class)
    }

    /// The last of these words before a place.
    pub(super) fn before(&self, at: usize, classes: &[Word]) -> Option<(Word, Range<usize>)> {
        let end = self.words.partition_point(|(_, span)| span.start < at);
        // Words of other classes in between: no more are looked at than a sentence has.
        let near = self.words.get(..end).unwrap_or_default().iter().rev().take(64);
        near.filter(|(word, _)| classes.contains(word)).map(Clone::clone).next()
    }

    /// The first of these words behind a place.
    pub(super) fn after(&self, at: usize, classes: &[Word]) -> Option<(Word, Range<usize>)> {
        let begin = self.words.partition_point(|(_, span)| span.start < at);
        let near = self.words.get(begin..).unwrap_or_default().iter().take(8);
        near.filter(|(word, _)| classes.contains(word)).map(Clone::clone).next()
    }

    pub(super) fn of_class(&self, class: Word) -> impl Iterator<Item = &Range<usize>> {
        self.words.iter().filter(move |(word, _)| *word == class).map(|(_, span)| span)
    }
}

/// A word of Latin letters is no part of a longer one.
fn stands_alone(text: &str, span: &Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let before = span.start.checked_sub(1).and_then(|at| bytes.get(at));
    let (first, last) = (bytes.get(span.start), bytes.get(span.end.saturating_sub(1)));
    let goes_on = letter(first) && letter(before) || letter(last) && letter(bytes.get(span.end));
    !goes_on
}

/// Codes and passwords: nothing but the words before them tells what they are.
pub(super) fn find(text: &str, context: &Context, finds: &mut Vec<Find>) {
    for (class, span) in &context.words {
        let found = match class {
            Word::Code => code(text, span.end, 4..=8)
                .or_else(|| code_before(text, span.start))
                .map(|span| (SecretSort::Code, span)),
            Word::SecurityCode => code(text, span.end, 3..=4).map(|span| (SecretSort::Card, span)),
            Word::Password => password(text, span.end).map(|span| (SecretSort::Password, span)),
            Word::Seed | Word::Key | Word::Public | Word::Card | Word::Keystore | Word::Mask => {
                None
            }
        };
        finds.extend(found.map(|(sort, span)| Find { sort, span }));
    }
    for (at, _) in text.match_indices("otpauth://") {
        let rest = text.get(at..).unwrap_or_default();
        let end = rest.find(|c: char| c.is_whitespace() || "\"'<>".contains(c));
        let span = at..at + end.unwrap_or(rest.len());
        finds.push(Find { sort: SecretSort::Password, span });
    }
}

/// Words that tie a value to its name.
const TIES: &[&str] = &["is", "was", "are", "ist", "lautet", "est", "es", "é", "code", "number"];
const TIES_JOINED: &[&str] = &["是", "为", "為", "は", "은", "는"];

/// What stands between a word and its value, and whether it says that the value is one.
struct Connector {
    end: usize,
    /// A colon or an equals sign.
    sign: bool,
    /// «is».
    tie: bool,
}

fn connector(text: &str, begin: usize) -> Connector {
    let mut connector = Connector { end: begin, sign: false, tie: false };
    while connector.end < begin + CONNECTOR_MAX {
        let rest = text.get(connector.end..).unwrap_or_default();
        let Some(next) = rest.chars().next() else { break };
        let joined = TIES_JOINED.iter().find(|tie| rest.starts_with(**tie));
        if let Some(tie) = joined {
            connector.tie = true;
            connector.end += tie.len();
        } else if next.is_alphabetic() {
            let word: String = rest.chars().take(8).take_while(|c| c.is_alphabetic()).collect();
            let known = TIES.iter().any(|tie| tie.eq_ignore_ascii_case(&word));
            let ends = !rest.get(word.len()..).is_some_and(|rest| {
                rest.starts_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_')
            });
            if !known || !ends {
                break;
            }
            connector.tie = true;
            connector.end += word.len();
        } else if ":：=".contains(next) {
            connector.sign = true;
            connector.end += next.len_utf8();
        } else if next.is_whitespace() || "-–—#()（）「」【】\"'“”‘’>*`,，".contains(next)
        {
            connector.end += next.len_utf8();
        } else {
            break;
        }
    }
    connector
}

/// So many digits behind a word, alone or in two groups: `123456`, `123 456`, `G-123456`.
fn code(text: &str, begin: usize, count: std::ops::RangeInclusive<usize>) -> Option<Range<usize>> {
    let mut start = connector(text, begin).end;
    let rest = text.get(start..)?;
    if let Some(tail) = rest.strip_prefix("G-") {
        start += rest.len() - tail.len();
    }
    let bytes = text.as_bytes();
    let (mut end, mut digits, mut groups) = (start, 0, 1);
    loop {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        if digit(end) {
            digits += 1;
            end += 1;
        } else if groups < 3
            && digits > 0
            && matches!(bytes.get(end), Some(b' ' | b'-'))
            && digit(end + 1)
        {
            groups += 1;
            end += 1;
        } else {
            break;
        }
        if digits > *count.end() {
            return None;
        }
    }
    (count.contains(&digits) && ends_value(text, end)).then_some(start..end)
}

/// `123456 is your … code`: the digits stand before the word.
fn code_before(text: &str, word: usize) -> Option<Range<usize>> {
    let mut from = word.saturating_sub(64);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let before = text.get(from..word)?;
    let ties = [" is your ", " is the ", " is my ", "是您的", "是你的", "是我的", "为您的"];
    let tie = ties.iter().filter_map(|tie| before.rfind(tie)).max()?;
    let (value, between) = before.split_at_checked(tie)?;
    if between.len() > 40 || between.contains(|c: char| c.is_ascii_digit() || c == '\n') {
        return None;
    }
    let digits = value.bytes().rev().take_while(u8::is_ascii_digit).count();
    let start = value.len() - digits;
    let glued = value.get(..start)?.ends_with(|c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '#' | '+' | '-' | '/' | '$' | '_')
    });
    ((4..=8).contains(&digits) && !glued && from + start > 0 || start > 0 && !glued)
        .then_some(from + start..from + value.len())
        .filter(|span| (4..=8).contains(&(span.end - span.start)))
}

/// No part of a longer number, an amount, a time or a date.
fn ends_value(text: &str, end: usize) -> bool {
    let rest = text.get(end..).unwrap_or_default();
    let mut rest = rest.chars();
    match rest.next() {
        None => true,
        Some('.' | ',' | ':' | '-' | '/') => !rest.next().is_some_and(|c| c.is_ascii_digit()),
        Some(next) => !next.is_ascii_alphanumeric() && next != '%' && next != '_',
    }
}

const VALUE_MAX: usize = 128;

/// Words that people write behind «password:» without telling it.
const NO_PASSWORD: &[&str] = &[
    "reset",
    "forgot",
    "forgotten",
    "wrong",
    "incorrect",
    "invalid",
    "expired",
    "changed",
    "change",
    "hidden",
    "required",
    "removed",
    "unknown",
    "please",
    "cannot",
    "doesn't",
    "n/a",
    "missing",
    "rejected",
    "locked",
    "lost",
    "protected",
    "correct",
    "working",
    "accepted",
];

/// The value behind «password:», if it looks like one.
fn password(text: &str, begin: usize) -> Option<Range<usize>> {
    let connector = connector(text, begin);
    if !connector.sign && !connector.tie {
        return None;
    }
    let rest = text.get(connector.end..)?;
    let length = rest.bytes().take(VALUE_MAX).take_while(u8::is_ascii_graphic).count();
    let value =
        rest.get(..length)?.trim_end_matches(['.', ',', ';', '!', '?', ')', '"', '\'', ']']);
    let alone = rest.get(length..)?.trim_start_matches([' ', '\t', '\r']);
    let alone = alone.is_empty() || alone.starts_with('\n');
    let digit = value.bytes().any(|byte| byte.is_ascii_digit());
    let symbol = value.bytes().any(|byte| b"!@#$%^&*_+=~?".contains(&byte));
    let mixed = value.bytes().skip(1).any(|byte| byte.is_ascii_uppercase())
        && value.bytes().any(|byte| byte.is_ascii_lowercase());
    let word = NO_PASSWORD.iter().any(|word| word.eq_ignore_ascii_case(value));
    let plain = connector.sign && alone && value.len() >= 6;
    let link = value.starts_with("http") || value.starts_with('[') || value.contains("://");
    let looks = value.len() >= 4 && !link && !word && (digit || symbol || mixed || plain);
    looks.then(|| connector.end..connector.end + value.len())
}
