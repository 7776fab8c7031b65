//! Is somebody losing money right now? Words and signals in English and Chinese, out of the box.
//!
//! A clause counts, not a text: «my account was hacked» is urgent, «how do I keep my account from being hacked»
//! and «if my account was hacked» are not. Customers may say themselves that it is urgent; that alone lifts a
//! ticket less. Pure, linear in the text.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::Deserialize;

use super::language::simplified;
use super::rules::{Situation, Verdict, fold};
use super::sieve::Sieve;
use crate::model::{Priority, Texts};

/// `[urgency]`: what customers tell that cannot wait.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UrgencySetting {
    /// Are texts searched for it?
    pub enabled: bool,
    /// Tickets of one contact that are lifted within a day by what they write; later ones wait their turn.
    #[schemars(range(min = 1, max = 1000))]
    pub per_contact_max: u64,
    /// Is the answer for the danger sent at once?
    pub answer: bool,
    /// The answers, by what is happening: `funds_moving`, `account_taken`, `phishing`, `wrong_address`.
    pub answers: BTreeMap<String, Texts>,
}

impl UrgencySetting {
    /// Every fault with its key.
    pub(super) fn faults(&self) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        if !(1..=1000).contains(&self.per_contact_max) {
            faults.push(("per_contact_max".to_owned(), "must be from 1 to 1000".to_owned()));
        }
        let known = |name: &str| Danger::ALL.iter().any(|danger| danger.as_str() == name);
        for name in self.answers.keys().filter(|name| !known(name)) {
            let words: Vec<&str> = Danger::ALL.iter().map(|danger| danger.as_str()).collect();
            faults.push((format!("answers.{name}"), format!("is none of {}", words.join(", "))));
        }
        faults
    }

    /// What follows from an alarm, before the rules.
    pub(super) fn judge(&self, alarm: Alarm, situation: &Situation<'_>) -> Verdict {
        let mut verdict = Verdict::default();
        let (wanted, what) = match alarm {
            Alarm::Danger(danger) => (Priority::Urgent, danger.as_str()),
            Alarm::Stated => (Priority::High, "stated"),
        };
        verdict.fired.push(format!("urgency: {what}"));
        if let Alarm::Danger(danger) = alarm {
            verdict.tags.insert(danger.as_str().to_owned());
            if self.answer {
                verdict.acknowledge = self.answers.get(danger.as_str()).cloned();
                verdict.safety = verdict.acknowledge.is_some();
            }
        }
        if situation.priority >= wanted {
            verdict.why.push(format!("urgency ({what}): it is {} already", situation.priority));
        } else if situation.lifted >= self.per_contact_max {
            let most = self.per_contact_max;
            let why = format!(
                "urgency ({what}): not lifted, the contact has had {most} such tickets within a day"
            );
            verdict.why.push(why);
        } else {
            verdict.why.push(format!("urgency ({what}): priority {wanted}"));
            verdict.priority = Some(wanted);
        }
        verdict
    }
}

/// What is happening to a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Danger {
    /// Money leaves without their doing.
    FundsMoving,
    /// Somebody else is in their account.
    AccountTaken,
    /// They told a stranger or a false site what opens their wallet.
    Phishing,
    /// They sent money to where they did not want to.
    WrongAddress,
}

impl Danger {
    /// All, the worst first.
    pub const ALL: &[Self] =
        &[Self::FundsMoving, Self::AccountTaken, Self::Phishing, Self::WrongAddress];

    /// The tag that a ticket gets, and the key of the answer in the settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FundsMoving => "funds_moving",
            Self::AccountTaken => "account_taken",
            Self::Phishing => "phishing",
            Self::WrongAddress => "wrong_address",
        }
    }
}

/// Why something should not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// By what the customer tells.
    Danger(Danger),
    /// The customer says that it is urgent, and not why.
    Stated,
}

/// More of a text is not looked at.
const CHARS_MAX: usize = 8000;
/// More clauses than these are not looked at.
const CLAUSES_MAX: usize = 400;

/// The worst that a text tells; `None`: it may wait its turn.
#[must_use]
pub fn alarm(text: &str) -> Option<Alarm> {
    let mut stated = false;
    let mut worst: Option<Danger> = None;
    let signs = &*SIGNS;
    for clause in clauses(text) {
        let found = signs.sieve.candidates(&clause);
        let is_worse = |danger: Danger| worst.is_none_or(|worst| danger < worst);
        let danger = signs.dangers.iter().find_map(|(danger, places)| {
            (is_worse(*danger) && found.fits(places.clone())).then_some(*danger)
        });
        let states =
            !stated && found.fits(signs.stated.clone()) && !found.fits(signs.not_stated.clone());
        if (danger.is_none() && !states) || found.fits(signs.general.clone()) {
            continue;
        }
        worst = danger.or(worst);
        stated |= states;
    }
    worst.map(Alarm::Danger).or(stated.then_some(Alarm::Stated))
}

/// Parts between marks, lower case and simplified.
fn clauses(text: &str) -> impl Iterator<Item = String> {
    let end = text.char_indices().nth(CHARS_MAX).map_or(text.len(), |(at, _)| at);
    let text = text.get(..end).unwrap_or(text);
    let parts = text.split(is_mark);
    let parts = parts.filter(|part| !part.trim().is_empty()).take(CLAUSES_MAX);
    parts.map(|part| simplified(fold(part).trim()))
}

/// Ends a clause.
const fn is_mark(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | ';' | '\n' | ',' | '。' | '…' | '、' | '—')
}

/// What belongs to a customer and can be stolen.
const MINE: &str = r"(?:funds?|money|coins?|tokens?|crypto|btc|bitcoins?|eth|ether|usdt|usdc|sol|nfts?|balance|wallet|assets?|savings|everything)";
const THEIRS: &str = r"(?:some ?one|some ?body|(?:a |the )?(?:hackers?|thie(?:f|ves)|scammers?|attackers?|strangers?)|unknown (?:person|people|user))";
const BE: &str = r"(?:is|are|was|were|'s|'re|has been|have been|had been|got|gets?|getting|being|is being|are being|all)";
const WORDS_OF_OPENING: &str = r"(?:seed|recovery phrase|recovery words|secret phrase|mnemonic|private keys?|(?:12|24|twelve|twenty-four)[ -]words?|passphrase|password|2fa code|pin)";
const FALSE: &str =
    r"(?:fake|phishing|scam|scammer'?s?|fraudulent|malicious|suspicious|bogus|counterfeit)";

/// All that is looked for, and where each sort of it stands.
struct Signs {
    sieve: Sieve,
    /// The worst first.
    dangers: Vec<(Danger, Range<usize>)>,
    general: Range<usize>,
    stated: Range<usize>,
    not_stated: Range<usize>,
}

static SIGNS: LazyLock<Signs> = LazyLock::new(|| {
    let mut patterns: Vec<String> = Vec::new();
    let mut add = |more: Vec<String>| {
        let first = patterns.len();
        patterns.extend(more);
        first..patterns.len()
    };
    let dangers = vec![
        (Danger::FundsMoving, add(funds_moving())),
        (Danger::AccountTaken, add(account_taken())),
        (Danger::Phishing, add(phishing())),
        (Danger::WrongAddress, add(wrong_address())),
    ];
    let (general, stated, not_stated) = (add(general()), add(stated()), add(not_stated()));
    #[expect(clippy::expect_used, reason = "they stand below, and every test compiles them")]
    let sieve = Sieve::new(&patterns).expect("a pattern of ours is wrong");
    Signs { sieve, dangers, general, stated, not_stated }
});

fn funds_moving() -> Vec<String> {
    vec![
        format!(r"\b{MINE}\b.{{0,30}}\b(?:{BE}|just|keeps?) (?:\w+ ){{0,2}}(?:stolen|drained|emptied|draining|moving out|moved out|leaving|disappearing|disappeared|transferr?(?:ed|ing) out|swept|gone|robbed|siphoned)\b"),
        format!(r"\b{THEIRS}\b.{{0,25}}\b(?:stole|stealing|steals|drained|draining|emptied|emptying|took|taking|transferr?(?:ed|ing)|moved|moving|withdrew|withdrawing|swept|sent)\b.{{0,25}}\b(?:my|our|all)\b"),
        format!(r"\b(?:stole|stolen|stealing|draining|drained|emptying|emptied) (?:all )?(?:of )?(?:my|our)\b.{{0,20}}\b{MINE}\b"),
        format!(
            r"\b(?:they|he|she)(?: are| is|'re|'s)? (?:now |just )?(?:moving|stealing|draining|taking|transferring|emptying|withdrawing|drained|emptied|withdrew|took) (?:all )?(?:of )?(?:my|our) {MINE}\b"
        ),
        r"\b(?:there (?:is|are|was|were)|i (?:see|saw|have|found|noticed)|got|seeing|just saw)\b.{0,20}\b(?:unauthori[sz]ed|fraudulent|unknown|strange) (?:transactions?|transfers?|withdrawals?|payments?)\b".to_owned(),
        r"\b(?:transactions?|transfers?|withdrawals?|payments?)\b.{0,25}\b(?:i|we) (?:did not|didn't|never|have not|haven't) (?:make|made|authori[sz]ed?|approved?|initiated?|request(?:ed)?|sign(?:ed)?|do|done)\b".to_owned(),
        r"\b(?:i|we) (?:did not|didn't|never) (?:make|made|authori[sz]ed?|approved?|initiated?|request(?:ed)?|sign(?:ed)?) (?:this|that|these|those|the|any)\b.{0,15}\b(?:transactions?|transfers?|withdrawals?|payments?)\b".to_owned(),
        r"(?:币|钱|资产|资金|余额|代币|usdt|btc|eth|trx|nft|u).{0,8}(?:被盗|被人?转走|被偷|被别人转|正在被转|在被转|不见了|没了|被划走|被提走|被清空|被掏空|被洗劫)".to_owned(),
        r"(?:被盗币|盗走了?我|偷走了?我|转走了?我|盗了我的(?:币|钱|资产))".to_owned(),
        r"(?:正在|还在|一直在|不断|不停).{0,8}(?:被?转走|转出去|被转|被提|盗我)".to_owned(),
        r"(?:不是我|非本人|没有?经过我|未经我).{0,6}(?:转的|转出|转账|提现|提币|操作|交易|授权)".to_owned(),
        r"钱包.{0,4}(?:被盗|被掏空|被清空|被黑|被洗劫|被偷)".to_owned(),
    ]
}

fn account_taken() -> Vec<String> {
    vec![
        r"\b(?:account|e-?mail|phone|sim|wallet|profile|login)\b.{0,20}\b(?:is|was|has been|got|been|were|being|gets|just|'s)\b.{0,12}\b(?:hacked|compromised|hijacked|taken over|breached|broken into|swapped)\b".to_owned(),
        r"\b(?:i|we)(?:'ve| have|'m| am| was| were| got| just got)? ?(?:been |being |was |got )*hacked\b".to_owned(),
        format!(r"\b{THEIRS}\b.{{0,15}}\b(?:logged|signed|got|broke|hacked|has|have|gained|changed|accessed|is|took)\b.{{0,12}}\b(?:into|in to|inside|in|access|over|my)\b.{{0,15}}\b(?:account|wallet|e-?mail|phone|password|2fa|profile)\b"),
        r"\b(?:log-?in|sign-?in|device|session|ip)\b.{0,25}\b(?:(?:not|wasn't|isn't) (?:me|mine)|(?:do not|don't|didn't) recogni[sz]e)\b".to_owned(),
        r"\b(?:password|2fa|authenticator|e-?mail|phone number)\b.{0,12}\b(?:was|has been|got|were) (?:changed|reset|replaced|removed)\b.{0,15}\b(?:not by me|without (?:my|me)|by (?:someone|somebody|a hacker)|wasn't me)\b".to_owned(),
        r"\b(?:hacked|hijacked|took over|broke into|compromised|sim[- ]?swapped) (?:my|our|me)\b".to_owned(),
        r"(?:账号|帐号|账户|帐户|邮箱|手机号|手机卡|sim卡).{0,6}(?:被盗|被黑|被人登|被登录|被别人|被入侵|被劫持|被篡改|被改|异地登录|被攻击|被接管)".to_owned(),
        r"(?:有人|别人|陌生人|黑客|骗子|对方).{0,8}(?:登录|登陆|登了|改了|进了|入侵|控制|登进|黑了).{0,6}(?:我的|账号|账户|帐号|密码|邮箱|钱包)".to_owned(),
        r"(?:密码|邮箱|手机号|谷歌验证|验证器|2fa|绑定).{0,6}被.{0,3}(?:改|换|篡改|解绑)".to_owned(),
        r"(?:不是我|非本人|不是本人).{0,4}(?:登录|登陆|修改|改的)".to_owned(),
    ]
}

fn phishing() -> Vec<String> {
    vec![
        format!(r"\b(?:entered|typed|gave|given|shared|sent|submitted|put|pasted|told|provided|wrote|leaked|exposed|revealed)\b.{{0,25}}\b{WORDS_OF_OPENING}\b.{{0,30}}\b(?:{FALSE}|some ?one|some ?body|strangers?|hackers?|to (?:a|the|this|that) (?:guy|man|woman|person|caller|bot|agent)|(?:on|in|via|through|over) (?:telegram|discord|twitter|whatsapp|facebook|instagram|a call|the phone))\b"),
        format!(r"\b(?:gave|told|sent|showed) (?:him|her|them|someone|somebody|a stranger|the (?:caller|scammer)|an? (?:scammer|hacker))\b.{{0,15}}\b{WORDS_OF_OPENING}\b"),
        format!(r"\b(?:i|we)\b.{{0,15}}\b(?:clicked|opened|signed|approved|connected|fell|entered|logged|used|visited|installed|downloaded)\b.{{0,35}}\b{FALSE}\b"),
        r"\b(?:i|we)(?:'ve| have|'m| am| was| were| got| just got| think i was)? ?(?:been |being |got )*(?:scammed|phished|tricked|defrauded)\b".to_owned(),
        r"\bvictim of (?:a |an )?(?:phishing|scam|fraud|hack)".to_owned(),
        format!(r"\b(?:seed|recovery|secret) (?:phrase|words)\b.{{0,20}}\b(?:was|is|got|has been|been) (?:leaked|exposed|compromised|stolen)\b|\bprivate key\b.{{0,20}}\b(?:was|is|got|has been|been) (?:leaked|exposed|compromised|stolen)\b"),
        r"(?:输入|填了|填写|授权|签名|点了|点击|点开|登录|登陆|进了|连接|下载|扫了|安装).{0,12}(?:钓鱼|诈骗|假的?|山寨|可疑|仿冒|骗子).{0,4}(?:网站|链接|网址|客服|app|软件|页面|钱包|二维码|邮件|官网)".to_owned(),
        r"(?:钓鱼|诈骗|假|山寨|可疑|仿冒).{0,4}(?:网站|链接|网址|客服|app|软件|页面|官网).{0,16}(?:输入了?|填了|填写了|授权了|签名了|点了|点击了|登录了|连接了|泄露)".to_owned(),
        r"(?:泄露|泄漏|告诉|发给|给了|透露|交给).{0,10}(?:助记词|私钥|密钥|密码|验证码)".to_owned(),
        r"(?:助记词|私钥|密码|验证码).{0,8}(?:泄露|泄漏|给了别?人?|告诉了|发给了|被骗|被人|被看到|被偷|被盗)".to_owned(),
        r"(?:被骗了?|被骗走|被骗光|上当了|上当受骗|遇到骗子|被诈骗|被钓鱼)".to_owned(),
    ]
}

fn wrong_address() -> Vec<String> {
    vec![
        r"\b(?:sent|transferred|withdrew|deposited|paid|moved|send)\b.{0,45}\b(?:to|on|via|using|over|through|with)\b.{0,12}\b(?:wrong|incorrect|mistaken|unsupported|someone else's|another person's)\b.{0,12}\b(?:address|wallet|chain|network|account|person|memo|tag|contract)\b".to_owned(),
        r"\b(?:i|we|my)\b.{0,20}\b(?:entered|typed|pasted|used|chose|selected|copied|put|picked|gave)\b.{0,15}\b(?:wrong|incorrect)\b.{0,12}\b(?:address|chain|network|memo|tag)\b".to_owned(),
        r"\b(?:forgot|forgotten|missed|without|left out)\b.{0,10}\b(?:the )?(?:memo|destination tag)\b".to_owned(),
        r"\bsent\b.{0,40}\bby mistake\b".to_owned(),
        r"(?:转|打|充|汇|提|发|付|冲)(?:币|款|钱|账|到|值|出)?.{0,3}错了?.{0,3}(?:地址|链|网络|账户|账号|人|合约|主网|公链)".to_owned(),
        r"地址.{0,4}(?:填|输|写|选|弄|搞|复制|粘贴)错".to_owned(),
        r"(?:填|输|写|选|弄|搞|复制|粘贴|用)错了?.{0,4}(?:地址|链|网络|标签|memo)".to_owned(),
        r"(?:转错|打错款|充错|提错|汇错|冲错|转账错|打错钱)".to_owned(),
        r"(?:转|打|充|提|发).{0,6}(?:错误|不对|别人)的?.{0,2}(?:地址|链|网络|合约)".to_owned(),
        r"(?:忘|没|漏).{0,3}(?:填|写|加|输)了?.{0,3}(?:memo|标签|备注|tag)".to_owned(),
    ]
}

/// Questions, conditions, news, denials: nothing is happening to whoever writes so.
fn general() -> Vec<String> {
    vec![
        r"\bhow (?:do|can|could|should|to|would|does)\b.{0,15}\b(?:prevent|avoid|protect|know|tell|recogni[sz]e|make sure|keep|stay|check|detect|spot|secure|be sure|stop)\b".to_owned(),
        r"\b(?:what|how) (?:if|happens|would happen|will happen|does .{0,20} mean|is an?|are)\b|\bwhat about\b".to_owned(),
        r"\b(?:if|in case|unless|whether|suppose|imagine|assuming|should) (?:i|my|you|your|we|our|the|a|an|some ?one|some ?body|they|it|anyone|hackers?|funds|coins)\b".to_owned(),
        r"\b(?:can|could|might|may|would|will) (?:i|my|you|your|we|our|the|a|an|some ?one|some ?body|any ?one|any ?body|hackers?|scammers?|they|it|coins|funds|tokens)\b.{0,40}\b(?:hacked|hack|stolen|steal|stole|drained?|wrong|scammed|scam|phished|compromised|access|take|lost|leaked)\b".to_owned(),
        r"\b(?:afraid|worried|worry|concerned|scared|fear|avoid|prevent|protect|against|news|article|blog|podcast|heard|reading|read (?:about|that)|course|movie|tutorial|insurance|insured|safe from|risk of|in the past|years? ago|last year|wondering)\b".to_owned(),
        r"\b(?:not|never|no|wasn't|isn't|weren't|aren't|hasn't|haven't|nothing)\b.{0,12}\b(?:hacked|stolen|compromised|scammed|phished|moving|leaving|gone|leaked|drained|wrong|swapped)\b".to_owned(),
        r"\b(?:a friend of mine|my friend|my colleague|other users?|other people|people|many users|users)\b.{0,15}\b(?:was|were|got|had|has|have|who|say|said|sent|lost)\b".to_owned(),
        r"(?:如果|假如|假设|万一|要是|倘若|若是|会不会|是否会|能不能被|会被|可能会?被|可能会|容易被|怕被|害怕|担心|以免|防止|避免|预防|防范|防盗|防骗|防钓鱼)".to_owned(),
        r"(?:怎么|怎样|如何|怎么样).{0,6}(?:防|避免|判断|识别|知道|辨别|保护|确认|区分|分辨|看出|查)".to_owned(),
        r"(?:新闻|听说|报道|文章|视频|教程|课程|看到有人|别的用户|其他用户|朋友说|网上说|是什么意思|什么是|是什么)".to_owned(),
        r"(?:没有?|不是|未|从未|并未|不会).{0,2}(?:被盗|被黑|被骗|泄露|转错|打错|上当|被转走|被偷)".to_owned(),
    ]
}

fn stated() -> Vec<String> {
    vec![
        r"\b(?:urgent|urgently|asap|a\.s\.a\.p|emergency|immediately|right away|right now|sos)\b"
            .to_owned(),
        r"(?:紧急|加急|急急|十万火急|很急|特别急|非常急|急用|急事|救命|万分火急)|^急$".to_owned(),
    ]
}

fn not_stated() -> Vec<String> {
    vec![
        r"\b(?:not|isn't|is not|nothing|no|non|never|less)[ -](?:\w+ ){0,2}(?:urgent|emergency|asap)\b|\bno rush\b".to_owned(),
        r"\bemergency (?:contacts?|fund|funds|kit|plan|access|exit|number)\b|\burgent(?:ly)? (?:needed )?(?:staff|developers?|hiring)\b".to_owned(),
        r"(?:不|没那么|并不|不太|不是很|不算).{0,2}(?:紧急|着急|急)|紧急(?:联系|联络|出口|预案|通知)|不(?:着|用)急".to_owned(),
        r"\b(?:credited|arrive|arrives|processed|start|starts|works?|confirmed|available|done) (?:immediately|right away|right now)\b".to_owned(),
    ]
}

#[cfg(test)]
mod tests;
