//! What mail programs write around a quoted mail, in the usual languages.

use std::sync::LazyLock;

use regex::{Regex, RegexSet};

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles them all")]
fn set(patterns: &[&str]) -> RegexSet {
    RegexSet::new(patterns).expect("constant patterns")
}

#[expect(clippy::expect_used, reason = "the patterns are constants, and a test compiles them all")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("constant pattern")
}

/// «On … wrote:». Each also needs a digit, since a date stands in it.
static ATTRIBUTION: LazyLock<RegexSet> = LazyLock::new(|| {
    set(&[
        r"(?i)^(on|at)\b.{5,}\b(wrote|writes)\s*[:：]$",
        r"(?i)^.{3,}\bwrote on\b.{5,}[:：]$",
        r"(?i)^am\b.{5,}\bschrieb\b.*:$",
        r"(?i)^.{3,}\bschrieb am\b.{5,}:$",
        r"(?i)^le\b.{5,}\ba écrit\s*:$",
        r"(?i)^el\b.{5,}\bescribió\s*:$",
        r"(?i)^(em|a|no dia|na)\b.{5,}\bescreveu\s*:$",
        r"(?i)^(il|in data|il giorno)\b.{5,}\bha scritto\s*:$",
        r"(?i)^op\b.{5,}\b(schreef|het volgende geschreven)\b.*:$",
        r"(?i)^.{5,}\b(napisał|napisała|napisał\(a\)|pisze|napsal|napsala|napsal\(a\))\s*:$",
        r"(?i)^.{5,}(написал|написала|написал\(а\)|пишет|писал|писала|написав|пише)\s*:$",
        r"(?i)^.{5,}(şunları yazdı|tarihinde yazdı|şunu yazdı|yazdı)\s*:$",
        r"(?i)^.{5,}\b(đã viết|viết)\s*:$",
        r"(?i)^.{5,}\b(skrev|kirjoitti|skrifaði|írta|a scris|написа|napisao je|napisala je|je napisao|je napisala|napísal|napísala|je napisal|va escriure|rašė|rakstīja|kirjutas)\b.*:$",
        r"(?i)^(pada|dalam)\b.{5,}\b(menulis|wrote|menulis kepada)\s*:$",
        r"(?i)^.{5,}(έγραψε|έγραψαν)\s*:$",
        r"^.{5,}(เขียนว่า|เขียน)\s*:$",
        r"^(في|بتاريخ|يوم).{5,}(كتب|كتبت|كتب/كتبت|بواسطة).*:$",
        r"^(בתאריך|ב-).{5,}(מאת|כתב|כתבה).*:$",
        r"^.{5,}(نوشت|نوشته)\s*:$",
        r"(?i)^.{5,}\sот\s.{2,}@\S{2,}\s*:$",
        // In any language: an address and a time of day, and a colon at the end.
        r"\d{1,2}[:.]\d{2}.*<[^<>@]+@[^<>@]+>.{0,30}[:：]$",
        r"<[^<>@]+@[^<>@]+>.{3,60}\d{1,2}[:.]\d{2}.{0,30}[:：]$",
        r"^.{5,}(写道|寫道|写到|来信)\s*[:：]$",
        r"^\d{4}年\d{1,2}月\d{1,2}日.{3,}<[^<>]+@[^<>]+>\s*[:：]$",
        r"^\d{4}[年/-].{5,}(のメール|さんは書きました|が書きました|wrote)\s*[:：]$",
        r"^.{5,}(님이 작성|님이 씀|작성|쓰신 글|썼습니다|님의 메시지)\s*[:：]$",
    ])
});

/// Without a colon it takes a time and an address.
static BARE_ATTRIBUTION: LazyLock<RegexSet> =
    LazyLock::new(|| set(&[r"(?i)^on\b.{5,}\d:\d\d\b.*<[^<>@]+@[^<>@]+> wrote$"]));

/// Does «On … wrote:» stand here?
pub(super) fn attribution(line: &str) -> bool {
    let of_program = if line.ends_with([':', '：']) {
        &*ATTRIBUTION
    } else if ends_bare(line) {
        &*BARE_ATTRIBUTION
    } else {
        return false;
    };
    line.len() <= 400 && line.contains(|c: char| c.is_numeric()) && of_program.is_match(line)
}

/// How an attribution without a colon ends. Every line of a mail is asked, and looking up each of its letters
/// costs more than all else that is asked of it.
fn ends_bare(line: &str) -> bool {
    let from = line.len().checked_sub(" wrote".len());
    let end = from.and_then(|from| line.as_bytes().get(from..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(b" wrote"))
}

/// The first line of an attribution that is broken behind the day: «On Nov 21, 2026,».
pub(super) fn begins_attribution(line: &str) -> bool {
    line.starts_with("On ") && line.ends_with(',') && line.contains(|c: char| c.is_ascii_digit())
}

/// What stands between the dashes of a divider.
const ORIGINAL: &str = "original message|original appointment|original email|reply message|replied message\
    |originalnachricht|ursprüngliche nachricht|original-nachricht\
    |message d'origine|message d’origine|message original|message initial\
    |mensaje original|mensagem original|messaggio originale|messaggio original\
    |oorspronkelijk bericht|origineel bericht|oprindelig meddelelse|oprindelig besked|opprinnelig melding\
    |ursprungligt meddelande|originalmeddelande|alkuperäinen viesti\
    |oryginalna wiadomość|wiadomość oryginalna|původní zpráva|původní e-mail|eredeti üzenet\
    |исходное сообщение|оригинальное сообщение|исходное письмо|оригінальне повідомлення\
    |orijinal mesaj|özgün ileti|orijinal ileti|thư gốc|tin nhắn gốc|thư ban đầu\
    |original|原始邮件|原始郵件|原邮件|原郵件|原始信息|原始訊息|原始信件|原始邮件信息|邮件原文|郵件原文|原文\
    |回复的原邮件|回覆的原郵件\
    |元のメッセージ|元のメール|オリジナルメッセージ|원본 메시지|원본 메일|원본메일|원본 메세지";

static DIVIDER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r"(?i)^[*>\s]*[-–—_=]{{2,}}(?:\s|&nbsp;)*({ORIGINAL})(?:\s|&nbsp;)*[:：]?\s*[-–—_=]{{2,}}\**$"
    ))
});

/// `-----Jane wrote: -----`, `---- On Tue … Jane wrote ---`
static DASHED_ATTRIBUTION: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^-{2,}\s?.{3,200}\b(wrote|writes|schrieb|a écrit|escribió|escreveu|ha scritto|schreef|yazdı|написал|skrev)\s*:?\s*-{2,}$|^-{2,}\s?.{3,200}(写道|寫道)\s*[:：]?\s*-{2,}$",
    )
});

/// `-----Original Message-----`
pub(super) fn divider(line: &str) -> bool {
    DIVIDER.is_match(line) || (line.starts_with("--") && DASHED_ATTRIBUTION.is_match(line))
}

static FORWARD_DIVIDER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^[-–—_=]{2,}\s*(forwarded message|forwarded mail|forwarded by .{1,80}|weitergeleitete nachricht|weitergeleitete mail|message transféré|message transmis|mensaje reenviado|mensagem encaminhada|messaggio inoltrato|doorgestuurd bericht|przekazana wiadomość|wiadomość przekazana|treść przekazanej wiadomości|пересылаемое сообщение|переадресованное сообщение|iletilen mesaj|yönlendirilmiş ileti|thư đã chuyển tiếp|vidarebefordrat meddelande|videresendt meddelelse|välitetty viesti|přeposlaná zpráva|továbbított üzenet|转发的邮件|转发邮件|转发邮件信息|已转发邮件|轉寄郵件|轉寄的郵件|已轉寄的郵件|转发的消息|転送メッセージ|転送されたメッセージ|전달된 메시지|전달 메시지)\s*[-–—_=]{2,}$",
    )
});

/// `---------- Forwarded message ---------`
pub(super) fn forward_divider(line: &str) -> bool {
    FORWARD_DIVIDER.is_match(line)
}

static FORWARD_BEGIN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^(begin forwarded message|anfang der weitergeleiteten (nachricht|e-mail)|début du message (réexpédié|transféré)|inicio del mensaje reenviado|inizio messaggio inoltrato|início da mensagem (encaminhada|reencaminhada)|begin doorgestuurd bericht|początek przekazywanej wiadomości|начало переадресованного сообщения|iletilmiş mesajın başlangıcı|下面是被转发的邮件|以下是轉寄的郵件|転送されたメッセージ|전달된 메시지)\s*[:：]$",
    )
});

/// Apple Mail's «Begin forwarded message:».
pub(super) fn begins_forward(line: &str) -> bool {
    FORWARD_BEGIN.is_match(line)
}

static FROM: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^[*>|\s]*(from|von|de|da|van|från|fra|lähettäjä|od|feladó|от|от кого|від|kimden|gönderen|từ|người gửi|发件人|寄件者|寄件人|送件者|差出人|送信者|送信元|보낸 사람|보낸사람|보낸이|จาก|من|از|מאת|από|de la|dari|daripada|šalje|nuo|saatja)[*\s]*[:：|]",
    )
});

/// `From:` and its like.
pub(super) fn from_label(line: &str) -> bool {
    FROM.is_match(line)
}

static LABELS: LazyLock<[Regex; 3]> = LazyLock::new(|| {
    let label = |words: &str| pattern(&format!(r"(?i)^[*>|\s]*({words})[*\s]*[:：|]"));
    [
        label(
            "sent|date|message du|sent at|sent date|gesendet|datum|gesendet am|envoyé|envoyé le|fecha|enviado|enviado el|enviado em|enviada em|data|inviato|data invio|verzonden|skickat|sendt|dato|lähetetty|päivämäärä|wysłano|data wysłania|odesláno|datum odeslání|küldve|dátum|отправлено|дата|надіслано|gönderildi|gönderme tarihi|tarih|đã gửi|ngày gửi|ngày|发送时间|发送日期|发件时间|日期|时间|寄件日期|傳送時間|已傳送|已发送|已傳送时间|時間|日時|送信日時|送信日|送信|날짜|보낸 날짜|보낸날짜|ส่ง|ส่งเมื่อ|วันที่|تاريخ الإرسال|التاريخ|تاريخ|أرسلت|ارسال شده|נשלח|תאריך|στάλθηκε|ημερομηνία|trimis|data trimiterii|dikirim|tanggal|poslano|datum slanja|изпратено|odoslané|enviat|išsiųsta|nosūtīts|saadetud",
        ),
        label(
            "to|an|à|a|para|aan|till|til|vastaanottaja|do|komu|címzett|кому|kime|alıcı|đến|tới|收件人|收件者|宛先|받는 사람|받는사람|받는이|ถึง|إلى|به|אל|προς|către|kepada|ke|prima|za|до",
        ),
        label(
            r"subject|betreff|objet|sujet|asunto|assunto|oggetto|onderwerp|ämne|emne|aihe|temat|předmět|tárgy|тема|konu|chủ đề|tiêu đề|主\s*题|主\s*題|主旨|件名|제목|เรื่อง|หัวเรื่อง|الموضوع|موضوع|נושא|θέμα|subiect|perihal|subjek|predmet|zadeva|относно|assumpte|tema|tēma|teema",
        ),
    ]
});

/// `Date:`, `To:`, `Subject:` and their like.
pub(super) fn header_label(line: &str) -> bool {
    LABELS.iter().any(|label| label.is_match(line))
}

/// What a line of a mail's head tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::channel::email::read) enum Label {
    From,
    Date,
    To,
    Subject,
    /// Copies, answers, sizes.
    Other,
}

static OTHER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)^[*>|\s]*(cc|bcc|copie|copia|kopie|kopia|kopi|копия|抄送|副本|密送|참조|reply-to|antwort an|répondre à|responder a|回复至|importance|wichtigkeit|priority|organi[sz]ation|attachments?|anlagen?|附件)[*\s]*[:：|]",
    )
});

/// `From: Jane` → what it tells, and of that «Jane».
pub(in crate::channel::email::read) fn label(line: &str) -> Option<(Label, &str)> {
    let [date, to, subject] = &*LABELS;
    let table = [
        (Label::From, &*FROM),
        (Label::Date, date),
        (Label::To, to),
        (Label::Subject, subject),
        (Label::Other, &*OTHER),
    ];
    let (label, found) =
        table.into_iter().find_map(|(label, pattern)| Some((label, pattern.find(line)?)))?;
    Some((label, line.get(found.end()..).unwrap_or_default().trim()))
}

/// `Subject:` and its like: no transfer of money has one.
pub(super) fn subject_label(line: &str) -> bool {
    let [_, _, subject] = &*LABELS;
    subject.is_match(line)
}

/// How many of date, recipient and subject are named in these lines.
pub(super) fn header_labels<'a>(lines: impl Iterator<Item = &'a str>) -> usize {
    let mut found = [false; 3];
    for line in lines {
        for (label, found) in LABELS.iter().zip(&mut found) {
            *found |= label.is_match(line);
        }
    }
    found.iter().filter(|found| **found).count()
}

static MOBILE: LazyLock<RegexSet> = LazyLock::new(|| {
    set(&[
        r"(?i)^(sent|envoyé|enviado|enviada|enviat|inviato|verstuurd|verzonden|gesendet|skickat|sendt|lähetetty|wysłane|wysłano|odesláno|odoslané|poslano|отправлено|надіслано|изпратено|đã gửi|trimis|dikirim|dihantar|στάλθηκε)\s+(from|with|via|using|de|des|depuis|à partir d[e'’]|desde|do|da|dal|vanaf|met|mit|von|från|fra|z|ze|s|iz|из|с|з|от|từ|pe|dari|daripada|από)\b.{2,60}$",
        r"(?i)^(lähetetty) \S{2,20}(sta|stä|lta|ltä)\.?$",
        r"(?i)^(az )?\S{2,20}-?(ról|ről|omról|emről|ból|ből) küldve\.?$",
        r"^ส่งจาก.{2,40}$",
        r"^(تم الإرسال من|أرسلت من|أُرسلت من|مرسل من).{2,50}$",
        r"^נשלח מ.{2,40}$",
        r"(?i)^von meinem .{2,40} gesendet\.?$",
        r"(?i)^gesendet mit .{2,40}$",
        r"(?i)^diese nachricht wurde von meinem .{2,60} gesendet\.?$",
        r"(?i)^.{2,30}['’]?(u|ü|ı|i)?m?dan gönderildi\.?$",
        r"(?i)^get outlook for (ios|android|mac).{0,60}$",
        r"(?i)^(获取|下载|取得) ?outlook.{0,60}$",
        r"^(发自|發自|来自|來自|寄自|发送自|傳送自)\s?(我的|网易|新浪|腾讯|QQ)?.{1,25}$",
        r"^(从|從|用|使用)\s?(我的|网易|新浪|腾讯|QQ)?.{1,25}(发送|傳送|寄出|寄送|发出)$",
        r"(?i)^.{1,20}(から送信|より送信)$",
        r"^나의 .{1,30}에서 보냄$",
        r"^.{1,40}에서 보냄$",
    ])
});

static DEVICE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(iphon|ipad|android|samsung|galaxy|huawei|xiaomi|blackberry|windows|outlook|yahoo|gmx|web\.de|mobil|phone|handy|smartphone|móvil|movil|celular|телефон|proton|gmail|mail|почт|device|手机|手機|邮箱|郵箱|邮件|小米|华为|華為|荣耀|スマートフォン|アイフォン|携帯|nokia|oppo|vivo|tablet)",
    )
});

/// What a customer says of a transfer or a fault, and no program of itself.
static SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(\b(to|but|and|yesterday|today|never|not|wallet|coins?|btc|eth|usdt|nach|aber|nicht|gestern|mais|pas|pero|não|mas|но|не)\b|0x|[?？!！]|转|轉|到账|到賬|没|沒|未|不|钱|錢|币|幣|吗|嗎|了|登录|無法|无法)",
    )
});

/// «Sent from my iPhone», alone in its line, maybe with the address of the program's page behind it.
pub(super) fn mobile_signature(line: &str) -> bool {
    let (words, link) = match line.split_once("<http") {
        Some((words, link)) if link.ends_with('>') => (words.trim_end(), true),
        Some(_) | None => (line, false),
    };
    words.chars().count() <= 90
        && words.split_whitespace().count() <= 10
        && MOBILE.is_match(words)
        && (link || DEVICE.is_match(words))
        && !SENTENCE.is_match(words)
}

static NETEASE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?i)^(签名由\s?网易邮箱大师\s?定制|signature is customized by netease mail master)$")
});

/// What Netease's program writes below its card.
pub(super) fn netease_signature(line: &str) -> bool {
    NETEASE.is_match(line)
}

static CONTACT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)(\S@\S+\.\S|https?://|www\.|\b(tel|phone|mobile|mobil|fax|fon|cell|wechat|skype|telegram)\b|电话|電話|手机|手機|微信|\+?\d[\d ()/-]{7,}\d)",
    )
});

/// Holds a way to reach somebody: address, page, number.
pub(super) fn contact(line: &str) -> bool {
    CONTACT.is_match(line)
}

static BELOW: LazyLock<RegexSet> = LazyLock::new(|| {
    set(&[
        r"(?i)\b(see|find|answers?|answered|comments?|commented|repl(y|ies|ied)|responses?|responded|notes?)\b[^.\n]{0,60}\b(below|inline|in-line|in red|in blue|in green|in bold|between the lines)\b",
        r"(?i)\b(siehe|antworten?|kommentare?|anmerkungen)\b[^.\n]{0,60}\b(unten|in rot|rot markiert|im text|in blau)\b",
        r"(?i)\b(voir|réponses?|commentaires?)\b[^.\n]{0,60}(ci-dessous|en rouge|en bleu|dans le texte)",
        r"(?i)\b(ver|véase|respuestas?|comentarios?)\b[^.\n]{0,60}\b(abajo|más abajo|en rojo|en azul)\b",
        r"(?i)\b(veja|respostas?|comentários?)\b[^.\n]{0,60}\b(abaixo|em vermelho|em azul)\b",
        r"(?i)\b(vedi|risposte?|commenti)\b[^.\n]{0,60}\b(sotto|in rosso|in blu)\b",
        r"(?i)(ответы?|см\.)[^\n]{0,60}(ниже|красным|в тексте)",
        r"(见下文|見下文|见正文|見正文|见下方|見下方|红字|紅字|红色|紅色|蓝字|藍字|原文中|逐条回复|逐條回覆)",
        r"(赤字|文中に|インラインで)",
        r"(빨간|본문에|아래에 답)",
    ])
});

/// «My answers are below, in red.»
pub(in crate::channel::email::read) fn answers_below(words: &str) -> bool {
    words.len() <= 2000 && BELOW.is_match(words)
}
