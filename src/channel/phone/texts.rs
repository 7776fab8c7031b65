//! What callers and agents hear, in each language: ours in English and Chinese, others from the settings.

use std::collections::BTreeMap;

use super::twiml::Voice;

/// Longest text of the settings, in characters: the service speaks 4096 at once, menus are of several.
pub(super) const TEXT_CHARS_MAX: usize = 1_000;

/// Which text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Text {
    /// Said beside the other languages; `{key}` is its key.
    Choose,
    /// The first words of a call.
    Greeting,
    /// That key is none of those that were named.
    UnknownKey,
    /// Somebody is called now.
    Wait,
    /// All agents were called, and are called again.
    Waiting,
    /// Whoever does not want to wait presses 1.
    Leave,
    /// The talk is recorded: said before somebody is called, where it is.
    Recorded,
    /// Outside the hours.
    Closed,
    /// Nobody could take the call.
    Nobody,
    /// Leave a message: press 1; be called back: press 2.
    Offer,
    /// Speak after the tone.
    Speak,
    /// The message was recorded.
    Thanks,
    /// Be called back on the number of this call: press 1; on another one: press 2.
    Callback,
    /// Type the number with its country code, then `#`.
    Number,
    /// `{number}` is the one that was typed: if it is right press 1, else 2.
    Check,
    /// They will be called back.
    Promise,
    /// The last words, where nothing else was agreed.
    Bye,
    /// To an agent who answers: `{topic}`; press 1 to take the call.
    Agent,
    /// To an agent who calls back through us: `{ticket}`; press 1 to be connected.
    Connect,
}

/// All that is said in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Words(BTreeMap<Text, String>);

/// The key in the settings, and ours in English and in Chinese.
const OURS: &[(Text, &str, &str, &str)] = &[
    (Text::Choose, "choose", "For English, press {key}.", "中文服务，请按 {key}。"),
    (Text::Greeting, "greeting", "Welcome to our support line.", "您好，欢迎致电客服热线。"),
    (
        Text::UnknownKey,
        "unknown_key",
        "Sorry, that key has no meaning here.",
        "抱歉，您的按键无效。",
    ),
    (
        Text::Wait,
        "wait",
        "One moment, please. We are looking for somebody.",
        "请稍候，正在为您转接客服人员。",
    ),
    (
        Text::Waiting,
        "waiting",
        "Everybody is busy at the moment. Please stay on the line.",
        "客服人员正忙，请您继续等候。",
    ),
    (Text::Leave, "leave", "If you would rather not wait, press 1.", "如不想等候，请按 1。"),
    (Text::Recorded, "recorded", "This call may be recorded.", "本次通话可能会被录音。"),
    (Text::Closed, "closed", "We are closed at the moment.", "现在是非服务时间。"),
    (
        Text::Nobody,
        "nobody",
        "Nobody can take your call at the moment. Your call has been noted.",
        "目前没有客服人员可以接听，我们已记录您的来电。",
    ),
    (
        Text::Offer,
        "offer",
        "To leave a message, press 1. To be called back, press 2.",
        "留言请按 1，需要我们回电请按 2。",
    ),
    (
        Text::Speak,
        "speak",
        "Please speak after the tone. Press the hash key when you are done. \
         Never tell us a password or a recovery phrase.",
        "请在提示音后留言，结束请按井号键。请勿透露密码或助记词。",
    ),
    (
        Text::Thanks,
        "thanks",
        "Thank you. Your message has been recorded.",
        "谢谢，您的留言已录下。",
    ),
    (
        Text::Callback,
        "callback",
        "To be called back on the number you are calling from, press 1. For another number, press 2.",
        "回拨您当前的号码请按 1，使用其他号码请按 2。",
    ),
    (
        Text::Number,
        "number",
        "Please type the number, with its country code, and then the hash key.",
        "请输入包含国家代码的电话号码，按井号键结束。",
    ),
    (
        Text::Check,
        "check",
        "You typed {number}. If this is right, press 1. To type it again, press 2.",
        "您输入的号码是 {number}。确认请按 1，重新输入请按 2。",
    ),
    (Text::Promise, "promise", "Thank you. We will call you back.", "谢谢，我们会尽快给您回电。"),
    (Text::Bye, "bye", "Thank you for your call. Goodbye.", "感谢您的来电，再见。"),
    (
        Text::Agent,
        "agent",
        "A call from the support line. {topic} To take it, press 1.",
        "客服热线来电。{topic}接听请按 1。",
    ),
    (
        Text::Connect,
        "connect",
        "Call back for ticket {ticket}. To be connected to the customer, press 1.",
        "工单 {ticket} 的回电。接通客户请按 1。",
    ),
];

/// The service's name of a language, and a voice that it has for it.
const VOICES: &[(&str, &str, Option<&str>)] =
    &[("en", "en-US", Some("Polly.Joanna-Neural")), ("zh", "cmn-CN", Some("Polly.Zhiyu-Neural"))];

/// The part of a tag that names the language itself: `zh` of `zh-Hant-TW`.
pub(super) fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

/// Who speaks a language, where the settings do not say; of ours we know a voice, of others their tag alone.
pub(super) fn voice(tag: &str, speech: Option<String>, name: Option<String>) -> Voice {
    let known = VOICES.iter().find(|(known, ..)| known.eq_ignore_ascii_case(primary(tag)));
    let own = speech.is_none();
    let speech = speech.or_else(|| known.map(|(_, speech, _)| (*speech).to_owned()));
    // A voice of ours does not speak another form of the language.
    let ours = known.filter(|_| own).and_then(|(_, _, name)| *name).map(str::to_owned);
    Voice { speech: speech.unwrap_or_else(|| tag.to_owned()), name: name.or(ours) }
}

impl Words {
    /// The settings' words, and ours where they have none. `Err`: the key of a text that is none, that nobody gave,
    /// or that is too long or says nothing, and what is wrong.
    pub(super) fn read(
        tag: &str,
        mut given: BTreeMap<String, String>,
    ) -> Result<Self, (String, String)> {
        let mut all = BTreeMap::new();
        for (text, key, english, chinese) in OURS {
            let ours = match primary(tag) {
                "en" => Some(*english),
                "zh" => Some(*chinese),
                _ => None,
            };
            let words = given.remove(*key).or_else(|| ours.map(str::to_owned));
            let bad = |why: String| ((*key).to_owned(), why);
            let words = words.ok_or_else(|| {
                bad(format!("we have no words of our own for `{tag}`: give this text too"))
            })?;
            if words.trim().is_empty() || words.chars().count() > TEXT_CHARS_MAX {
                return Err(bad(format!("expected 1 to {TEXT_CHARS_MAX} characters")));
            }
            all.insert(*text, words);
        }
        match given.into_keys().next() {
            None => Ok(Self(all)),
            Some(key) => {
                let known: Vec<&str> = OURS.iter().map(|(_, key, ..)| *key).collect();
                let why = format!("there is no such text; it is one of {}", known.join(", "));
                Err((key, why))
            }
        }
    }

    /// One of them; all of them are there.
    pub(super) fn get(&self, text: Text) -> &str {
        self.0.get(&text).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &str, text: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(key.to_owned(), text.to_owned())])
    }

    #[test]
    fn english_and_chinese_have_words_of_their_own_and_others_need_them() {
        for tag in ["en", "en-GB", "zh", "zh-Hant-TW"] {
            let words = Words::read(tag, BTreeMap::new()).unwrap();
            for (text, blank) in [
                (Text::Choose, "{key}"),
                (Text::Check, "{number}"),
                (Text::Connect, "{ticket}"),
                (Text::Agent, "{topic}"),
            ] {
                assert!(words.get(text).contains(blank), "{tag} {blank}");
            }
        }
        let words = Words::read("en", one("greeting", "Hi")).unwrap();
        assert_eq!(words.get(Text::Greeting), "Hi");
        assert_eq!(Words::read("fr", BTreeMap::new()).unwrap_err().0, "choose");
        assert_eq!(Words::read("en", one("greetings", "Hi")).unwrap_err().0, "greetings");
        for bad in ["", &"x".repeat(TEXT_CHARS_MAX + 1)] {
            assert_eq!(Words::read("en", one("bye", bad)).unwrap_err().0, "bye");
        }
    }

    #[test]
    fn a_voice_speaks_the_language_that_it_is_given_with() {
        let zhiyu = voice("zh-CN", None, None);
        assert_eq!((zhiyu.speech.as_str(), zhiyu.name.is_some()), ("cmn-CN", true));
        let british = voice("en", Some("en-GB".to_owned()), None);
        assert_eq!(british, Voice { speech: "en-GB".to_owned(), name: None });
        assert_eq!(voice("fr-FR", None, None).speech, "fr-FR");
    }
}
