//! What a mail says that carries on a chat.

/// The answers that were not read, and why they come by mail.
#[must_use]
pub fn continued(texts: &[String], language: Option<&str>) -> String {
    let chinese = language.is_some_and(|tag| tag.to_ascii_lowercase().starts_with("zh"));
    let why = if chinese {
        "您在在线客服中联系了我们，我们回复时您已离开。您可以直接回复此邮件，或回到对话中继续。"
    } else {
        "You wrote to us in the chat, and were gone when we answered. You can answer this mail, or go on \
         in the chat."
    };
    let said = texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty());
    said.chain([why]).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::continued;

    #[test]
    fn a_mail_says_everything_in_the_visitors_language() {
        let texts = ["one ".to_owned(), String::new(), "two".to_owned()];
        assert!(continued(&texts, None).starts_with("one\n\ntwo\n\nYou wrote"));
        assert!(continued(&texts, Some("zh-Hans-CN")).contains("回到对话"));
    }
}
