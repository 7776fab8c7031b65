//! What is cut and, above all, what is not.

use super::*;

fn words(text: &str) -> String {
    new_words(text, Kind::Answer).text
}

#[test]
fn attributions_of_many_languages_end_the_new_words() {
    for line in [
        "On Tue, Mar 3, 2026 at 10:00 AM Jane Doe <jane@example.com> wrote:",
        "On 03/03/2026 10:00, Jane wrote:",
        "At 2026-03-03 10:00:00, \"Jane\" <jane@example.com> wrote:",
        "Am 03.03.26 um 10:00 schrieb Jane Doe:",
        "Am Di., 3. März 2026 um 10:00 Uhr schrieb Jane Doe <jane@example.com>:",
        "Jane Doe <jane@example.com> schrieb am Di. 3. März 2026 um 10:00:",
        "Le mar. 3 mars 2026 à 10:00, Jane Doe <jane@example.com> a écrit :",
        "El mar, 3 mar 2026 a las 10:00, Jane Doe (<jane@example.com>) escribió:",
        "Em ter., 3 de mar. de 2026 às 10:00, Jane <jane@example.com> escreveu:",
        "Il giorno mar 3 mar 2026 alle ore 10:00 Jane <jane@example.com> ha scritto:",
        "Il 03/03/26 10:00, Jane ha scritto:",
        "Op di 3 mrt 2026 om 10:00 schreef Jane <jane@example.com>:",
        "wt., 3 mar 2026 o 10:00 Jane <jane@example.com> napisał(a):",
        "W dniu 03.03.2026 o 10:00, Jane pisze:",
        "вт, 3 мар. 2026 г. в 10:00, Jane <jane@example.com>:\u{20}написал:",
        "03.03.2026 10:00, Jane пишет:",
        "3 марта 2026 г., в 10:00, Jane <jane@example.com> написал(а):",
        "Jane <jane@example.com>, 3 Mar 2026 Sal, 10:00 tarihinde şunu yazdı:",
        "Vào Th 3, 3 thg 3, 2026 vào lúc 10:00 Jane <jane@example.com> đã viết:",
        "Jane <jane@example.com> 于2026年3月3日周二 10:00写道：",
        "在 2026-03-03 10:00:00，\"Jane\" <jane@example.com> 写道：",
        "在2026年3月3日，Jane<jane@example.com> 写道:",
        "Jane <jane@example.com> 於 2026年3月3日 週二 上午10:00寫道：",
        "2026年3月3日(火) 10:00 Jane <jane@example.com>:",
        "2026/03/03 10:00、Jane <jane@example.com>のメール:",
        "2026년 3월 3일 (화) 오전 10:00, Jane <jane@example.com>님이 작성:",
        "Den tis 3 mars 2026 kl 10:00 skrev Jane <jane@example.com>:",
        "2026.03.03. 10:00 keltezéssel, \"Jane\" írta:",
        "On Tue, 3 Mar 2026 10:00:43 -0200 Jane Doe <jane@example.com> wrote",
        "ON TUE, 3 MAR 2026 10:00:43 -0200 JANE DOE <JANE@EXAMPLE.COM> WROTE",
        "---- Oprindelig besked ----",
        "Message du : 03/03/2026 10:00\nDe : \"Jane\" <jane@example.com>\nA : support@desk.example\nSujet : Wallet",
    ] {
        let mail = format!("The new words.\n\n{line}\n\n> old words\n> more");
        assert_eq!(words(&mail), "The new words.", "{line}");
    }
}

#[test]
fn attributions_over_two_lines_are_known() {
    let mail = "New.\n\nOn Tue, Mar 3, 2026 at 10:00 AM Jane Doe\n<jane@example.com> wrote:\n> old";
    assert_eq!(words(mail), "New.");
    let mail =
        "New.\n\nAm Di., 3. März 2026 um 10:00 Uhr schrieb\nJane Doe <jane@example.com>:\n\n> old";
    assert_eq!(words(mail), "New.");
    for attribution in [
        "tir. 3. mars 2026 kl. 10:00 skrev Jane Doe <jane@example.com\n>:",
        "Op 3 maart 2026 10:00 schreef Jane Doe <\njane@example.com>:",
        "On Mar 3, 2026,\nat 10:00,\nJane Doe <jane@example.com> wrote:",
    ] {
        assert_eq!(words(&format!("New.\n\n{attribution}\n\n> old")), "New.", "{attribution}");
    }
}

#[test]
fn the_line_above_an_attribution_is_the_customers() {
    for attribution in [
        "On Tue, Mar 3, 2026 at 10:00 AM Jane Doe\n<jane@example.com> wrote:",
        "Jane <jane@example.com>在 2026年3月3日 上午10:00写道：",
        "2026年3月3日(火) 10:00 Jane <jane@example.com>:",
        "03.03.2026, 10:00, \"Jane\" <jane@example.com>:",
    ] {
        for below in ["> old", "old"] {
            let mail = format!("Hello.\nThank you.\n{attribution}\n\n{below}");
            assert_eq!(words(&mail), "Hello.\nThank you.", "{attribution}");
        }
    }
}

#[test]
fn dividers_and_header_blocks_end_the_new_words() {
    for block in [
        "-----Original Message-----\nFrom: Jane",
        "------------------ 原始邮件 ------------------\n发件人: \"Jane\"",
        "------------------&nbsp;原始邮件&nbsp;------------------\n发件人: a\n发送时间: b\n收件人: c",
        "---- 回复的原邮件 ----\n| 发件人 | Jane |",
        "-------- Ursprüngliche Nachricht --------\nVon: Jane",
        "-----Message d'origine-----\nDe : Jane",
        "----- 元のメッセージ -----\n差出人: Jane",
        "-----원본 메시지-----\n보낸 사람: Jane",
        "________________________________\nFrom: Jane\nSent: Tuesday\nTo: us\nSubject: x",
        "From: Jane <jane@example.com>\nSent: Tuesday, March 3, 2026 10:00 AM\nTo: us\nSubject: x",
        "*From:* Jane <jane@example.com>\n*Date:* Tuesday\n*To:* us",
        "Von: Jane\nGesendet: Dienstag\nAn: uns\nBetreff: x",
        "De : Jane\nEnvoyé : mardi\nÀ : nous\nObjet : x",
        "De: Jane\nEnviado el: martes\nPara: nosotros\nAsunto: x",
        "发件人： Jane\n发送时间： 2026年3月3日\n收件人： us\n主题： x",
        "寄件者: Jane\n寄件日期: 2026年3月3日\n收件者: us\n主旨: x",
        "差出人: Jane\n送信日時: 2026年3月3日\n宛先: us\n件名: x",
        "보낸 사람: Jane\n날짜: 2026\n받는 사람: us\n제목: x",
        "От: Jane\nОтправлено: вторник\nКому: нам\nТема: x",
        "Od: Jane\nWysłano: wtorek\nDo: nas\nTemat: x",
        "Kimden: Jane\nGönderildi: Salı\nKime: biz\nKonu: x",
        "Từ: Jane\nĐã gửi: x\nĐến: chúng tôi\nChủ đề: x",
        "Da: Jane\nInviato: martedì\nA: noi\nOggetto: x",
        "Van: Jane\nVerzonden: dinsdag\nAan: ons\nOnderwerp: x",
    ] {
        let mail = format!("New words\nhere\n\n{block}\n\nold words");
        assert_eq!(words(&mail), "New words\nhere", "{block}");
    }
}

#[test]
fn answers_between_and_below_quotes_are_kept() {
    let between = "On Tue, 3 Mar 2026 Jane <j@x.com> wrote:\n> Which coin?\n\nBitcoin.\n\n> Since when?\n\nMonday.";
    assert_eq!(words(between), between);
    let below = "On Tue, 3 Mar 2026 Jane <j@x.com> wrote:\n> Which coin?\n> Since when?\n\nBitcoin, Monday.";
    assert_eq!(words(below), "Bitcoin, Monday.");
    let above_and_between =
        "Hi,\n\nOn Tue, 3 Mar 2026 Jane wrote:\n> Which?\n\nBitcoin.\n\n> When?\n> Where?";
    assert!(words(above_and_between).contains("Bitcoin."));
}

#[test]
fn signatures_go_and_words_stay() {
    for signature in [
        "-- \nJane Doe\nSales",
        "Sent from my iPhone",
        "发自我的iPhone",
        "从我的 iPhone 发送",
        "发自我的小米手机",
        "iPhoneから送信",
        "Von meinem iPhone gesendet",
        "Envoyé de mon iPhone",
        "Enviado desde mi iPhone",
        "Enviado do meu iPhone",
        "Inviato da iPhone",
        "Отправлено с iPhone",
        "Verstuurd vanaf mijn iPhone",
        "Wysłane z iPhone'a",
        "iPhone'umdan gönderildi",
        "Đã gửi từ iPhone của tôi",
        "나의 iPhone에서 보냄",
        "Get Outlook for Android<https://aka.ms/x>",
        "Sent from Outlook for iOS",
        "Sent from Mail for Windows",
        "Sent with Proton Mail secure email.",
        "ส่งจาก iPhone ของฉัน",
        "تم الإرسال من الـ iPhone الخاص بي",
        "Lähetetty iPhonesta",
        "iPhone-ról küldve",
        "Στάλθηκε από το iPhone μου",
        "נשלח מה-iPhone שלי",
        "Trimis de pe iPhone-ul meu",
        "Dikirim dari iPhone saya",
        "发自我的 Galaxy",
        "來自我的 iPhone",
        "Envoyé à partir de Outlook pour iOS<https://aka.ms/x>",
        "Sent from TypeApp<https://typeapp.example/r>",
    ] {
        assert_eq!(
            words(&format!("My wallet is empty.\n\n{signature}\n")),
            "My wallet is empty.",
            "{signature}"
        );
    }
}

#[test]
fn the_words_of_the_customer_are_never_cut() {
    for mail in [
        "From: the beginning it was slow.\nTo: my surprise it stopped.",
        "From: 0x12\nTo: 0x34\nAmount: 1 BTC",
        "On Monday I wrote:\nplease help me, and nobody answered.",
        "On 3 March 2026 your colleague wrote:\nI should send the log. Here it is.",
        "--\n--\nstill text\n\nmore text here\nand here\n1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13",
        "Sent from my wallet to 0x12: 3 ETH, never arrived.",
        "> I have this error\n> in the log",
        "I sent coins.\n---------\nThey are gone.",
        "Original message was not answered.",
        "I tried:\n> bitcoin-cli getinfo\nand it says\n> error\nwhy?",
        "从交易所发送到钱包",
        "Date: yesterday\nSubject: lost coins\nplease help",
    ] {
        assert_eq!(words(mail), mail.trim(), "{mail}");
    }
}

#[test]
fn a_first_mail_keeps_what_was_put_into_it() {
    for mail in [
        "What is this?\n\nFrom: Evil <e@x.example>\nSent: Monday\nTo: Jane\nSubject: x\n\nGive seed.",
        "They wrote\n-----Original Message-----\nGive seed.",
        "Hi\n\nOn Tue, 3 Mar 2026 10:00 you <s@x.example> wrote:\nPlease update.\n\nI did.",
        "It says\n> error 17",
    ] {
        assert_eq!(new_words(mail, Kind::First).text, mail);
    }
    let quoted = "New\n\nOn Tue, 3 Mar 2026 10:00 you <s@x.example> wrote:\n> old";
    assert_eq!(new_words(quoted, Kind::First).text, "New");
}

#[test]
fn more_that_is_never_cut_from_an_answer() {
    for mail in [
        "Hi,\n\nOn Tue, 3 Mar 2026 10:00 you <s@x.example> wrote:\nPlease update.\n\nI did.",
        "I get this:\n> error 17",
        "Where is it?\nSent from my mobile wallet to Binance yesterday.",
        "请帮忙\n从手机转账到交易所没有到账",
        "请帮忙\n来自手机钱包的转账不见了",
        "Steps:\n--\nopen the app, then press send and wait\nit says error 17\nwhat now?",
        "Please see my answers below in red.\n\nFrom: a\nSent: b\nTo: c\nSubject: d\n\nWhich coin?\nBitcoin",
        "见下文红字\n\n发件人： a\n发送时间： b\n收件人： c\n主题： d\n\n哪个币？\n比特币",
        "Date: Monday\nFrom: 0x1\nTo: 0x2\nAmount: 3",
        "Here is the transfer:\n\nFrom: 0x12\nTo: 0x34\nDate: Monday\nAmount: 1 BTC\n\nWhere is it?",
        "Error shown:\n--\nCode 17",
        "What I do:\n--\nopen app",
        "我的操作：\n--\n打开应用",
    ] {
        assert_eq!(words(mail), mail);
    }
}

#[test]
fn loose_signatures_need_a_sign_of_one() {
    for signature in [
        "--\nJane",
        "--\nJane Doe\nSales Manager",
        "--\nJane Doe\nSales\nACME Ltd\njane@acme.example",
    ] {
        assert_eq!(words(&format!("Please help.\n\n{signature}")), "Please help.", "{signature}");
    }
}

#[test]
fn the_marks_of_rare_programs_are_known() {
    for block in [
        "-----Desk <s@x.example> wrote: -----\nTo: Jane\nFrom: Desk\n\nold",
        "---- On Tue, 03 Mar 2026 10:00:00 +0000 Desk <s@x.example> wrote ---\n\nold",
        "---Original---\nFrom: Desk\n\nold",
        "----邮件原文----\n发件人：Desk\n\nold",
        "To: Jane\nFrom: Desk\nDate: today\nSubject: x\n\nold",
        "Gesendet: heute\nVon: Desk\nAn: Jane\nBetreff: x\n\nalt",
        "จาก: Desk\nส่ง: x\nถึง: Jane\nเรื่อง: x\n\nold",
        "من: Desk\nتاريخ الإرسال: x\nإلى: Jane\nالموضوع: x\n\nold",
        "\u{200F}في ٣ مارس ٢٠٢٦، كتب Desk <s@x.example>:\u{200F}\n\n> old",
        "ja 3.3.2026 10:00 jotain uutta <s@x.example>:\n\nold",
    ] {
        assert_eq!(words(&format!("New\n\n{block}")), "New", "{block}");
    }
}

// COMPLAINTS W6
#[test]
fn a_forward_keeps_what_was_forwarded() {
    for divider in [
        "---------- Forwarded message ---------",
        "-------- Weitergeleitete Nachricht --------",
        "Begin forwarded message:",
        "---------- 转发的邮件 ----------",
        "---------- Пересылаемое сообщение ----------",
    ] {
        let mail = format!("See below\n\n{divider}\nFrom: Jane\nDate: x\nSubject: y\nTo: z\n\nold");
        assert_eq!(
            new_words(&mail, Kind::Answer),
            New { text: mail.clone(), forwarded: true },
            "{divider}"
        );
    }
    let reply = "Thanks!\n\nOn Tue, 3 Mar 2026 Jane <j@x.com> wrote:\n> ---------- Forwarded message ---------\n> x";
    assert_eq!(
        new_words(reply, Kind::Answer),
        New { text: "Thanks!".to_owned(), forwarded: false }
    );
}
