//! The words around a number: what the writer says that it is. Found in one pass.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::SecretSort;

/// What a word says of what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    Seed,
    Key,
    /// It is something public that looks like a key: a hash, a public key.
    Hash,
    /// It is something public: an address, an order.
    Public,
    Card,
    SecurityCode,
    Code,
    /// The same, where it is no word of every day: «PIN», and not «pin».
    CodeAbbreviated,
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
            "seed is",
            "seed for",
            "wallet seed",
            "my seed",
            "words:",
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
            "keypair",
            "key pair",
        ],
    ),
    (
        Word::Hash,
        &[
            "public key",
            "publickey",
            "public_key",
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
            "signature",
            "sha256",
            "sha-256",
            "checksum",
            "fingerprint",
            "merkle",
            "order id",
            "哈希",
            "交易",
            "交易哈希",
            "区块",
            "區塊",
            "公钥",
            "公鑰",
            "签名",
            "簽名",
            "トランザクション",
            "公開鍵",
            "트랜잭션",
            "공개키",
            "транзакци",
            "хеш",
            "хэш",
            "clé publique",
            "clave pública",
            "transacción",
            "transação",
            "transaktion",
        ],
    ),
    (
        Word::Public,
        &[
            "address",
            "contract",
            "deposit",
            "withdrawal",
            "order",
            "order number",
            "order no",
            "invoice",
            "tracking",
            "reference",
            "ticket",
            "uuid",
            "iban",
            "account number",
            "phone",
            "地址",
            "合约",
            "合約",
            "订单",
            "訂單",
            "单号",
            "單號",
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
            "pin code",
            "pin number",
            "sms code",
            "confirmation code",
            "email code",
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
    (Word::CodeAbbreviated, &["pin", "tan"]),
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

/// A word that is farther away says nothing of a number.
const NEAR_MAX: usize = 512;

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
        let near = near.take_while(|(_, span)| span.end + NEAR_MAX >= at);
        near.filter(|(word, _)| classes.contains(word)).map(Clone::clone).next()
    }

    /// The first of these words behind a place.
    pub(super) fn after(&self, at: usize, classes: &[Word]) -> Option<(Word, Range<usize>)> {
        let begin = self.words.partition_point(|(_, span)| span.start < at);
        let near = self.words.get(begin..).unwrap_or_default().iter().take(8);
        let near = near.take_while(|(_, span)| span.start <= at + NEAR_MAX);
        near.filter(|(word, _)| classes.contains(word)).map(Clone::clone).next()
    }

    /// All of them, in order.
    pub(super) fn words(&self) -> &[(Word, Range<usize>)] {
        &self.words
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
