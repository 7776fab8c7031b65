use proptest::prelude::*;

use super::*;

const MOVING: Alarm = Alarm::Danger(Danger::FundsMoving);
const TAKEN: Alarm = Alarm::Danger(Danger::AccountTaken);
const PHISHED: Alarm = Alarm::Danger(Danger::Phishing);
const WRONG: Alarm = Alarm::Danger(Danger::WrongAddress);

/// What people write when something is happening to them.
const ALARMS: &[(Alarm, &str)] = &[
    (MOVING, "Help!! my coins are being transferred out right now"),
    (MOVING, "someone is draining my wallet"),
    (MOVING, "All my USDT has been stolen"),
    (MOVING, "My funds were stolen last night, please freeze everything"),
    (MOVING, "a hacker took all my money"),
    (MOVING, "They are moving my ETH to another address as I write this"),
    (MOVING, "I see an unauthorized withdrawal of 2.4 ETH"),
    (MOVING, "There is a transaction I did not make"),
    (MOVING, "I never authorized this transfer of 500 USDT"),
    (MOVING, "my wallet got drained"),
    (MOVING, "my balance is gone, I had 3 BTC this morning"),
    (MOVING, "they stole all my crypto"),
    (MOVING, "Somebody stole my NFTs from my wallet"),
    (MOVING, "What should I do, someone stole my bitcoin"),
    (MOVING, "Everything was stolen while I slept"),
    (MOVING, "everything is just disappearing from my wallet"),
    (MOVING, "我的币被盗了"),
    (MOVING, "钱包里的USDT被转走了,怎么办"),
    (MOVING, "有人正在转走我的币,快冻结"),
    (MOVING, "资产不见了,我什么都没操作"),
    (MOVING, "刚刚有一笔提现,不是我操作的"),
    (MOVING, "余额没了!昨天还有三个BTC"),
    (MOVING, "救命,钱包被掏空了"),
    (MOVING, "我的錢被轉走了"),
    (MOVING, "我的資產被盜了,請馬上凍結"),
    (MOVING, "非本人提现,请拦截"),
    (TAKEN, "my account has been hacked"),
    (TAKEN, "I got hacked"),
    (TAKEN, "I've been hacked, please lock my account"),
    (TAKEN, "Someone logged into my account from Russia"),
    (TAKEN, "Somebody changed my password and I can't get in"),
    (TAKEN, "There was a login that was not me"),
    (TAKEN, "my 2FA was removed without my permission"),
    (TAKEN, "My phone was SIM swapped, lock my account"),
    (TAKEN, "a stranger has access to my account"),
    (TAKEN, "They hacked my email and now they try to reset my password"),
    (TAKEN, "I think my account is compromised"),
    (TAKEN, "我的账号被盗了,登录不上去"),
    (TAKEN, "账户被别人登录了"),
    (TAKEN, "有人改了我的密码"),
    (TAKEN, "收到异地登录提醒,不是我登录的"),
    (TAKEN, "我的邮箱被黑了,请先冻结账户"),
    (TAKEN, "谷歌验证被解绑了"),
    (TAKEN, "我的帳號被盜"),
    (TAKEN, "黑客登录了我的账号"),
    (PHISHED, "I entered my seed phrase on a fake website"),
    (
        PHISHED,
        "I gave my recovery words to someone on Telegram: my seed, all 24 words to a scammer",
    ),
    (PHISHED, "I clicked on a phishing link"),
    (PHISHED, "I think I was scammed"),
    (PHISHED, "I told him my password"),
    (PHISHED, "I signed something on a malicious site and connected my wallet"),
    (PHISHED, "My seed phrase was leaked"),
    (PHISHED, "I fell for a fake airdrop"),
    (PHISHED, "I shared my private key with someone who said he was support"),
    (PHISHED, "I am a victim of a scam"),
    (PHISHED, "我在钓鱼网站输入了助记词"),
    (PHISHED, "我点了一个假的链接"),
    (PHISHED, "我把助记词发给了客服,现在觉得是骗子"),
    (PHISHED, "被骗了,他让我授权"),
    (PHISHED, "我的私钥泄露了"),
    (PHISHED, "我把验证码告诉了别人,告诉了验证码之后就后悔了"),
    (PHISHED, "我連接了一個釣魚網站"),
    (PHISHED, "下载了假的钱包,怎么处理"),
    (WRONG, "I sent USDT to the wrong address"),
    (WRONG, "I transferred my ETH on the wrong network"),
    (WRONG, "i accidentally withdrew 200 usdt to a wrong chain"),
    (WRONG, "I pasted the wrong address"),
    (WRONG, "I chose the wrong network when I sent my deposit"),
    (WRONG, "I forgot the memo"),
    (WRONG, "sent 2 BTC by mistake to an old account"),
    (WRONG, "can you get it back, I sent it to an incorrect address"),
    (WRONG, "我转错地址了"),
    (WRONG, "充值的时候选错网络了,能找回吗"),
    (WRONG, "打错链了怎么办"),
    (WRONG, "提币地址填错了"),
    (WRONG, "转账忘填memo了"),
    (WRONG, "我把币转到错误的地址了"),
    (WRONG, "我轉錯鏈了"),
    (WRONG, "刚才转错了地址,能撤回吗"),
    (Alarm::Stated, "URGENT: my withdrawal is pending"),
    (Alarm::Stated, "please answer asap"),
    (Alarm::Stated, "This is an emergency, I need to reach somebody"),
    (Alarm::Stated, "I need this right now"),
    (Alarm::Stated, "紧急!提现一直没到账"),
    (Alarm::Stated, "急急急,在线等"),
    (Alarm::Stated, "麻烦加急处理一下"),
    (Alarm::Stated, "很急,等着用钱"),
    (Alarm::Stated, "請幫忙,很急"),
];

/// What sounds like it and is not: questions, conditions, news, denials, ordinary trouble.
const QUIET: &[&str] = &[
    "How do I protect my account from being hacked?",
    "What happens if I send to the wrong address?",
    "If my account was hacked, would you refund me?",
    "How can I tell whether a site is a phishing site?",
    "I read about people whose wallets were drained, is yours safe?",
    "Can someone steal my coins if they know my address?",
    "I'm worried that my account could be hacked",
    "My account was not hacked, I just forgot my password",
    "What is a seed phrase?",
    "I entered my seed phrase in the app and it says invalid",
    "I wrote my seed phrase down on paper",
    "Is it possible to get hacked through wifi?",
    "I received a phishing email, just letting you know",
    "My withdrawal is still pending",
    "I can't log in to my account",
    "I changed my password yesterday and now I want to change my email",
    "Where do I see my transactions?",
    "My transfer has not arrived yet",
    "I sent the money to the right address but it isn't there",
    "How long does it take until funds are credited immediately?",
    "It's not urgent, answer when you can",
    "No rush, this is not an emergency",
    "Where can I set an emergency contact?",
    "How do I avoid sending to a wrong network?",
    "Could my coins be stolen if I lose my phone?",
    "I got a new phone and want to move my wallet",
    "Which networks are supported?",
    "The address in my profile is wrong, my street is 5th Avenue",
    "You sent me the wrong invoice",
    "The price of BTC is moving a lot today",
    "My friend was scammed on another exchange",
    "Are you insured against hacks?",
    "I opened my account yesterday",
    "You have changed my fee without telling me",
    "Please delete my account",
    "I took a screenshot of my balance",
    "In the past I was hacked on another platform, so I want 2FA",
    "Do you have a course on how to spot phishing?",
    "怎么防止账号被盗?",
    "如果转错地址能找回吗",
    "万一助记词泄露了怎么办?",
    "担心币被盗,需要怎么设置",
    "如何识别钓鱼网站",
    "会不会被盗?",
    "看新闻说有人的币被盗了",
    "我没有被盗,只是忘记密码了",
    "助记词是什么",
    "我把助记词抄在纸上了",
    "输入助记词提示错误",
    "提现一直没有到账",
    "怎么修改登录密码",
    "我想换一个邮箱",
    "手续费怎么这么高",
    "支持哪些网络",
    "我打错字了,不好意思",
    "地址簿怎么添加",
    "不着急,有空回复就行",
    "不是很急,谢谢",
    "怎么设置紧急联系人",
    "怎样避免选错网络",
    "要是手机丢了币会被盗吗",
    "朋友说你们的钱包很安全",
    "怎么判断客服是不是真的",
    "转账需要多久",
    "我想注销账号",
    "收到一封钓鱼邮件,提醒你们一下",
    "资产显示不出来,需要刷新吗",
    "如何保護我的帳號",
    "轉帳需要多久到帳",
    "請問支援哪些鏈",
    "今天行情波动很大",
    "验证码收不到",
    "谷歌验证怎么绑定",
];

#[test]
fn what_is_happening_to_somebody_is_urgent() {
    let wrong: Vec<String> = ALARMS
        .iter()
        .filter(|(expected, text)| alarm(text).as_ref() != Some(expected))
        .map(|(expected, text)| format!("{expected:?}: {text}: {:?}", alarm(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn questions_conditions_news_and_denials_are_not() {
    let wrong: Vec<String> = QUIET
        .iter()
        .filter(|text| alarm(text).is_some())
        .map(|text| format!("{text}: {:?}", alarm(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_worst_of_several_sentences_counts() {
    let text = "Hello. What happens if I get hacked? I sent it to the wrong address. URGENT. My coins are gone!";
    assert_eq!(alarm(text), Some(MOVING));
    assert_eq!(
        alarm("How do I avoid being scammed? By the way, my account was hacked."),
        Some(TAKEN)
    );
    assert_eq!(alarm("如果被盗了怎么办,我的账号已经被盗了"), Some(TAKEN));
}

proptest! {
    #[test]
    fn any_text_can_be_looked_at(text in "\\PC{0,400}") {
        let found = alarm(&text);
        // What is quiet stays quiet beside it, what alarms goes on to.
        let with = format!("{text}\n{}", ALARMS[0].1);
        prop_assert_eq!(alarm(&with), Some(MOVING));
        let beside = format!("{text}\nThank you very much");
        prop_assert_eq!(alarm(&beside), found);
    }
}
