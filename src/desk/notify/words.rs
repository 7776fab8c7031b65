//! What people who work here are told, in their language; and where their own words end when they answer it.

use crate::model::{Occasion, Priority};

/// Stands above everything that an answer by mail must not repeat to the customer.
const MARK: &str = "##-";

/// What a notification is about.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The ticket's number, if there is one.
    pub number: Option<u64>,
    /// What it is about.
    pub subject: String,
    /// The ticket's channel, or the one in trouble.
    pub channel: String,
    /// How much it hurts to wait.
    pub priority: Option<Priority>,
    /// Who did it.
    pub by: String,
    /// The beginning of what was written, secrets masked.
    pub excerpt: String,
    /// Where to look.
    pub link: String,
}

fn is_chinese(language: &str) -> bool {
    language.starts_with("zh")
}

/// One line: what happened.
#[must_use]
pub fn line(language: &str, occasion: Occasion, about: &About) -> String {
    let said = match (occasion, is_chinese(language)) {
        (Occasion::NewTicket, false) => "New ticket".to_owned(),
        (Occasion::NewTicket, true) => "新工单".to_owned(),
        (Occasion::Assigned, false) => format!("{} gave a ticket to you", about.by),
        (Occasion::Assigned, true) => format!("{} 将工单分配给您", about.by),
        (Occasion::CustomerWrote, false) => "The customer wrote".to_owned(),
        (Occasion::CustomerWrote, true) => "客户有新消息".to_owned(),
        (Occasion::Mentioned, false) => format!("{} names you in a note", about.by),
        (Occasion::Mentioned, true) => format!("{} 在备注中提到您", about.by),
        (Occasion::DueSoon, false) => "An answer is due soon".to_owned(),
        (Occasion::DueSoon, true) => "即将超过回复时限".to_owned(),
        (Occasion::Overdue, false) => "An answer is late".to_owned(),
        (Occasion::Overdue, true) => "已超过回复时限".to_owned(),
        (Occasion::CallbackDue, false) => "A customer is to be called".to_owned(),
        (Occasion::CallbackDue, true) => "有客户等待回电".to_owned(),
        (Occasion::ChannelTroubled, false) => format!("The channel {} needs you", about.channel),
        (Occasion::ChannelTroubled, true) => format!("渠道 {} 需要处理", about.channel),
    };
    match about.number {
        Some(number) if about.subject.is_empty() => format!("{said}: #{number}"),
        Some(number) => format!("{said}: #{number} {}", about.subject),
        None => said,
    }
}

/// All of it, for a mail or a chat. `answerable`: how an answer to it becomes a reply or a note.
#[must_use]
pub fn letter(language: &str, occasion: Occasion, about: &About, answerable: Answerable) -> String {
    let zh = is_chinese(language);
    let mut text = String::new();
    if answerable == Answerable::ByMail {
        text.push_str(MARK);
        text.push_str(if zh {
            " 请在此行上方回复：内容将发送给客户；首行写 #note 则为内部备注 -##\n\n"
        } else {
            " Answer above this line: it goes to the customer; with #note in the first line it is a note -##\n\n"
        });
    }
    text.push_str(&line(language, occasion, about));
    text.push('\n');
    if about.number.is_some() {
        let priority = about.priority.map_or("", Priority::as_str);
        text.push_str(&format!("{} · {priority}\n", about.channel));
    }
    if !about.excerpt.is_empty() {
        text.push_str(&format!("\n{}\n", about.excerpt));
    }
    text.push_str(&format!("\n{}\n", about.link));
    if answerable == Answerable::InChat && about.number.is_some() {
        text.push_str(if zh {
            "\n回复本消息即可答复客户；以 /note 开头则为内部备注。\n"
        } else {
            "\nReply to this message to answer the customer; with /note in front it is a note.\n"
        });
    }
    text
}

/// Can a notification be answered?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answerable {
    /// An answer by mail becomes a reply or a note.
    ByMail,
    /// So does an answer to the message in a chat.
    InChat,
    /// Nobody reads it.
    No,
}

/// The subject and the text of several that go out together.
#[must_use]
pub fn several(language: &str, lines: &[String]) -> (String, String) {
    let count = lines.len();
    let subject = if is_chinese(language) {
        format!("{count} 条新通知")
    } else {
        format!("{count} things happened")
    };
    (subject, lines.join("\n\n"))
}

/// What somebody wrote above a notification that they answer.
#[must_use]
pub fn above(text: &str) -> &str {
    let Some(at) = text.find(MARK) else { return text.trim() };
    let (before, _) = text.split_at(at);
    // What is left of the line of the mark: `> `.
    let before = before.rsplit_once('\n').map_or("", |(before, _)| before).trim_end();
    // «On Tuesday, desk wrote:», where the program put it above what it quotes.
    let (rest, last) = before.rsplit_once('\n').unwrap_or(("", before));
    if last.ends_with([':', '：']) { rest.trim() } else { before.trim() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_notification_comes_back_with_the_answer() {
        let about =
            About { number: Some(7), excerpt: "secret words".to_owned(), ..About::default() };
        for language in ["en", "zh"] {
            let sent = letter(language, Occasion::NewTicket, &about, Answerable::ByMail);
            let quoted: String = sent.lines().map(|line| format!("> {line}\n")).collect();
            for answer in [
                format!("Hello,\nwe look.\n\nOn Tue, desk wrote:\n{quoted}"),
                format!("Hello,\nwe look.\n\n{quoted}"),
                format!("Hello,\nwe look.\n{sent}"),
                format!("Hello,\nwe look.\n\n于2026年写道：\n{quoted}"),
                "Hello,\nwe look.\n".to_owned(),
            ] {
                assert_eq!(above(&answer), "Hello,\nwe look.", "{answer}");
            }
            assert_eq!(above(&sent), "");
            assert_eq!(above(&quoted), "");
        }
    }

    #[test]
    fn a_line_says_what_happened_to_which_ticket() {
        let about = About {
            number: Some(7),
            subject: "Lost".to_owned(),
            by: "Bob".to_owned(),
            ..About::default()
        };
        assert_eq!(line("en", Occasion::Assigned, &about), "Bob gave a ticket to you: #7 Lost");
        assert_eq!(line("zh-CN", Occasion::NewTicket, &about), "新工单: #7 Lost");
        let troubled = About { channel: "mail".to_owned(), ..About::default() };
        assert_eq!(line("en", Occasion::ChannelTroubled, &troubled), "The channel mail needs you");
    }
}
