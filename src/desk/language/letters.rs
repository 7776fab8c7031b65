//! What letters say: the script, simplified or traditional, and languages that share a script.

use std::sync::LazyLock;

use crate::desk::table::Table;

/// A script, or the one language that is written in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Latin,
    Han,
    Kana,
    Cyrillic,
    Arabic,
    Devanagari,
    Other(&'static str),
}

/// Scripts that one language of weight is written in.
const OTHERS: &[(u32, u32, &str)] = &[
    (0x0370, 0x03FF, "el"),
    (0x0530, 0x058F, "hy"),
    (0x0590, 0x05FF, "he"),
    (0x0980, 0x09FF, "bn"),
    (0x0A00, 0x0A7F, "pa"),
    (0x0A80, 0x0AFF, "gu"),
    (0x0B80, 0x0BFF, "ta"),
    (0x0C00, 0x0C7F, "te"),
    (0x0C80, 0x0CFF, "kn"),
    (0x0D00, 0x0D7F, "ml"),
    (0x0D80, 0x0DFF, "si"),
    (0x0E00, 0x0E7F, "th"),
    (0x0E80, 0x0EFF, "lo"),
    (0x1000, 0x109F, "my"),
    (0x10A0, 0x10FF, "ka"),
    (0x1100, 0x11FF, "ko"),
    (0x1200, 0x137F, "am"),
    (0x1780, 0x17FF, "km"),
    (0x3130, 0x318F, "ko"),
    (0xAC00, 0xD7AF, "ko"),
];

pub(super) fn script(c: char) -> Option<Script> {
    Some(match u32::from(c) {
        0x41..=0x5A | 0x61..=0x7A | 0xC0..=0x24F | 0x1E00..=0x1EFF => Script::Latin,
        0x3040..=0x30FF | 0x31F0..=0x31FF | 0xFF66..=0xFF9F => Script::Kana,
        0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x2_0000..=0x3_FFFF => Script::Han,
        0x0400..=0x052F => Script::Cyrillic,
        0x0600..=0x06FF | 0x0750..=0x077F | 0xFB50..=0xFDFF | 0xFE70..=0xFEFF => Script::Arabic,
        0x0900..=0x097F => Script::Devanagari,
        code => {
            let of = OTHERS.iter().find(|(first, last, _)| (*first..=*last).contains(&code));
            Script::Other(of?.2)
        }
    })
}

/// Is it of the scripts that put no space between words, or of their punctuation?
pub(super) fn is_wide(c: char) -> bool {
    u32::from(c) >= 0x2E80
}

/// How much of a text is in which script. A character that is a word weighs more than a letter.
#[derive(Default)]
pub(super) struct Weights {
    weights: Vec<(Script, u32)>,
    han: u32,
    kana: u32,
}

impl Weights {
    pub(super) fn add(&mut self, word: &str) {
        for c in word.chars() {
            let Some(script) = script(c) else { continue };
            // A Chinese word has two characters, an English one about five, and names are English everywhere.
            let weight = match script {
                Script::Han => 4,
                Script::Kana | Script::Other("ko") => 2,
                Script::Latin
                | Script::Cyrillic
                | Script::Arabic
                | Script::Devanagari
                | Script::Other(_) => 1,
            };
            self.han += u32::from(script == Script::Han);
            // The mark between parts of a foreign name is used in Chinese too.
            self.kana += u32::from(script == Script::Kana && c != '・');
            match self.weights.iter_mut().find(|(known, _)| *known == script) {
                Some((_, sum)) => *sum += weight,
                None => self.weights.push((script, weight)),
            }
        }
    }

    pub(super) fn heaviest(&self) -> Option<Script> {
        // Kana and Han are one writing.
        let together = self.is_japanese().then_some(Script::Han);
        let weight = |(script, sum): &(Script, u32)| match script {
            Script::Han if together.is_some() => *sum + self.kana * 2,
            Script::Han
            | Script::Kana
            | Script::Latin
            | Script::Cyrillic
            | Script::Arabic
            | Script::Devanagari
            | Script::Other(_) => *sum,
        };
        self.weights.iter().max_by_key(|one| weight(one)).map(|(script, _)| *script)
    }

    /// A single kana in a Chinese text is an ornament.
    pub(super) fn is_japanese(&self) -> bool {
        self.kana > 0 && self.kana * 6 >= self.han + self.kana
    }
}

/// Frequent characters in pairs: simplified, traditional.
const PAIRS: &str = "\
    这這个個们們来來说說对對会會为為还還没沒过過进進动動问問题題电電账帳户戶转轉币幣钱錢链鏈错錯误誤请請帮幫\
    时時后後发發无無经經样樣开開关關机機现現实實应應网網络絡码碼号號证證认認设設备備丢丟换換导導\
    输輸记記词詞录錄验驗诈詐骗騙报報长長门門间間听聽让讓给給谢謝别別吗嗎么麼什甚几幾种種头頭见見觉覺话話\
    语語读讀写寫书書买買卖賣费費价價贵貴资資产產业業务務银銀汇匯兑兌冻凍结結钟鐘线線级級统統绑綁\
    谁誰哪哪国國东東车車马馬鱼魚鸟鳥点點热熱爱愛亲親边邊远遠连連选選迟遲速速护護处處损損拥擁择擇\
    报報执執护護当當将將尽盡岁歲单單卫衛厂廠厅廳双雙变變吓嚇员員响響团團围圍图圖场場块塊坏壞声聲\
    复復够夠奖獎妈媽学學宝寶审審宾賓层層属屬师師带帶广廣库庫张張强強归歸从從众眾优優传傳伤傷伪偽债債\
    储儲儿兒党黨兰蘭兴興养養内內军軍农農决決况況准準减減凭憑击擊刘劉则則创創删刪办辦劳勞势勢区區医醫\
    华華协協压壓厉厲参參啊啊喷噴嘱囑园園圆圓圣聖\
    忆憶态態怀懷总總恶惡悬懸惊驚惯慣愿願懒懶戏戲战戰扑撲扫掃扩擴扰擾挂掛挡擋损損据據摆擺撤撤数數\
    断斷旧舊显顯晓曉暂暫术術权權条條极極构構标標树樹检檢楼樓欢歡欧歐毁毀汉漢沟溝泽澤洁潔测測济濟浏瀏\
    满滿滚滾灵靈灾災炉爐烦煩烧燒状狀独獨狮獅献獻环環琐瑣画畫疗療确確离離积積称稱稳穩穷窮窃竊竞競笔筆\
    签簽简簡类類紧緊红紅纯純纳納纸紙纽紐练練组組细細终終绍紹绝絕继繼绩績续續维維绿綠缓緩编編缩縮\
    罗羅罚罰职職联聯聪聰肤膚脑腦脚腳脸臉舰艦艺藝节節药藥获獲虑慮虚虛补補规規视視订訂计計讨討训訓议議讲講许許论論\
    访訪评評诉訴诊診译譯试試诚誠该該详詳课課调調谈談负負责責败敗货貨质質购購贯貫贴貼贷貸贸貿赔賠赚賺\
    赛賽赢贏跃躍踪蹤轻輕载載较較辆輛输輸边邊迁遷违違适適递遞遗遺邮郵郑鄭释釋针針钓釣钥鑰铁鐵铃鈴\
    销銷锁鎖锅鍋键鍵镜鏡闭閉闲閒阅閱阳陽阶階阴陰陆陸际際陈陳随隨隐隱难難雾霧静靜页頁项項顺順须須预預领領频頻\
    盗盜余餘额額划劃泄洩异異颜顏风風飞飛饭飯饮飲馆館驱驅骂罵骗騙验驗鲜鮮齐齊龙龍龟龜";

/// Characters of everyday Cantonese and Taiwanese writing that have no simplified form.
const TRADITIONAL_ONLY: &str = "嘅咗唔喺嚟啲冇佢哋嗰";

/// Characters that only Japan writes so.
const NEW_KANJI: &str = "込払戻済続処変図発読銭応円枠働気帰検険権覧総観録売対単価駅税査証関戦齢黒";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Simplified,
    Traditional,
}

static FORMS: LazyLock<Table<char, Form>> = LazyLock::new(|| {
    let mut forms = Table::default();
    let mut characters = PAIRS.chars().filter(|c| !c.is_whitespace());
    while let Some((simplified, traditional)) = characters.next().zip(characters.next()) {
        if simplified != traditional {
            forms.insert(simplified, Form::Simplified);
            forms.entry(traditional).or_insert(Form::Traditional);
        }
    }
    forms.extend(TRADITIONAL_ONLY.chars().map(|c| (c, Form::Traditional)));
    forms
});

static SIMPLIFIED: LazyLock<Table<char, char>> = LazyLock::new(|| {
    let mut simplified = Table::default();
    let mut characters = PAIRS.chars().filter(|c| !c.is_whitespace());
    while let Some((to, from)) = characters.next().zip(characters.next()) {
        simplified.entry(from).or_insert(to);
    }
    simplified
});

/// With the frequent traditional characters made simplified ones.
pub(super) fn simplified(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let simplify = |c: char| if c.is_ascii() { None } else { SIMPLIFIED.get(&c).copied() };
    let mut simple = String::with_capacity(text.len());
    simple.extend(text.chars().map(|c| simplify(c).unwrap_or(c)));
    simple
}

/// Simplified or traditional; `None`: the characters are the same in both.
pub(super) fn chinese(words: &[String]) -> Option<&'static str> {
    let (mut simplified, mut traditional) = (0, 0);
    for c in words.iter().flat_map(|word| word.chars()) {
        match FORMS.get(&c) {
            Some(Form::Simplified) => simplified += 1,
            Some(Form::Traditional) => traditional += 1,
            None => {}
        }
    }
    match simplified.cmp(&traditional) {
        std::cmp::Ordering::Greater => Some("zh-Hans"),
        std::cmp::Ordering::Less => Some("zh-Hant"),
        std::cmp::Ordering::Equal => None,
    }
}

pub(super) fn is_new_kanji(words: &[String]) -> bool {
    words.iter().any(|word| word.chars().any(|c| NEW_KANJI.contains(c)))
}

/// By the letters that Russian does not have, and those that only Russian (and Belarusian) has.
pub(super) fn cyrillic(words: &[String]) -> Option<&'static str> {
    first_with(
        words,
        &[
            ("ў", "be"),
            ("їєґ", "uk"),
            ("ђћџљњ", "sr"),
            ("ѓќѕ", "mk"),
            ("әғқңөұүһ", "kk"),
            ("ыэё", "ru"),
            ("і", "uk"),
        ],
    )
    .or_else(|| {
        has_word(words, &["и", "в", "не", "на", "что", "как", "мне", "мой", "у", "я", "с"], "ru")
    })
}

pub(super) fn arabic(words: &[String]) -> Option<&'static str> {
    first_with(words, &[("ٹڈڑںےہ", "ur"), ("پچژگی", "fa"), ("ةىأإ", "ar")])
        .or_else(|| has_word(words, &["في", "من", "على", "لم", "هل", "هذا", "لا", "ما"], "ar"))
}

fn first_with(words: &[String], letters: &[(&str, &'static str)]) -> Option<&'static str> {
    let has = |of: &str| words.iter().any(|word| word.chars().any(|c| of.contains(c)));
    letters.iter().find(|(of, _)| has(of)).map(|(_, tag)| *tag)
}

fn has_word(words: &[String], known: &[&str], tag: &'static str) -> Option<&'static str> {
    words.iter().any(|word| known.contains(&word.as_str())).then_some(tag)
}

/// Could a text in the script of one be in the other?
pub(super) fn share_a_script(one: &str, other: &str) -> bool {
    const GROUPS: &[&[&str]] = &[
        &["zh", "ja", "yue"],
        &["ru", "uk", "be", "bg", "sr", "mk", "kk", "ky", "mn", "tg"],
        &["ar", "fa", "ur", "ps", "ckb"],
        &["hi", "mr", "ne"],
    ];
    one == other || GROUPS.iter().any(|group| group.contains(&one) && group.contains(&other))
}
