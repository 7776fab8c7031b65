//! What a telephone call is told to do next, and how that is written: TwiML, the service's XML.

/// Who speaks, in the service's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Voice {
    /// The language: `en-US`, `cmn-CN`.
    pub(super) speech: String,
    /// The voice: `Polly.Zhiyu-Neural`. `None`: the service's own for the language.
    pub(super) name: Option<String>,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verb {
    /// Speaks.
    Say {
        /// Who.
        voice: Voice,
        /// What.
        text: String,
        /// How often.
        times: u8,
    },
    /// Plays a recording that lies at this address.
    Play(String),
    /// Waits so many seconds.
    Pause(u8),
    /// Speaks, and takes keys meanwhile and for a while after. Without a key, what stands behind it is done.
    Gather(Gather),
    /// Records what the caller says. Where they say nothing, what stands behind it is done.
    Record(Record),
    /// Calls others, and connects whoever answers first.
    Dial(Dial),
    /// Asks for the next document there.
    Redirect(String),
    /// Ends the call.
    Hangup,
}

/// Takes keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gather {
    /// Where the keys are told.
    pub(super) action: String,
    /// After so many keys nobody waits for more; `None`: `#` ends them.
    pub(super) keys: Option<u8>,
    /// So many seconds without a key are none.
    pub(super) seconds: u8,
    /// What is said meanwhile.
    pub(super) within: Vec<Verb>,
}

/// Records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// Where it goes on after it.
    pub(super) action: String,
    /// Where it is told that the recording is ready.
    pub(super) news: String,
    /// Where its words are told, if they are to be written down.
    pub(super) words: Option<String>,
    /// Its longest time.
    pub(super) seconds_max: u16,
}

/// Calls others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dial {
    /// Where it is told how it ended.
    pub(super) action: String,
    /// The number that they see; `None`: the caller's.
    pub(super) caller: Option<String>,
    /// So many seconds it rings.
    pub(super) seconds: u16,
    /// Where it is told that a recording of the talk is ready, if it is recorded.
    pub(super) recorded: Option<String>,
    /// Whom: all of them at once.
    pub(super) lines: Vec<Line>,
}

/// A number that is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// E.164.
    pub(super) number: String,
    /// What is said to whoever answers, before they are connected.
    pub(super) before: Option<String>,
    /// Where it is told how this line fares.
    pub(super) news: Option<String>,
    /// Where it is told whether a machine answered.
    pub(super) machine: Option<String>,
}

/// A whole document.
pub(super) fn document(verbs: &[Verb]) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>");
    for verb in verbs {
        write_verb(&mut out, verb);
    }
    out.push_str("</Response>");
    out
}

fn write_verb(out: &mut String, verb: &Verb) {
    match verb {
        Verb::Say { voice, text, times } => {
            let mut attributes = vec![("language", voice.speech.clone())];
            attributes.extend(voice.name.clone().map(|name| ("voice", name)));
            if *times > 1 {
                attributes.push(("loop", times.to_string()));
            }
            element(out, "Say", &attributes, |out| escape(out, text));
        }
        Verb::Play(url) => element(out, "Play", &[], |out| escape(out, url)),
        Verb::Pause(seconds) => {
            element(out, "Pause", &[("length", seconds.to_string())], |_| ());
        }
        Verb::Gather(gather) => {
            let mut attributes = vec![
                ("input", "dtmf".to_owned()),
                ("timeout", gather.seconds.to_string()),
                ("action", gather.action.clone()),
            ];
            match gather.keys {
                Some(keys) => {
                    attributes.push(("numDigits", keys.to_string()));
                    // `#` is a key like any other here.
                    attributes.push(("finishOnKey", String::new()));
                }
                None => attributes.push(("finishOnKey", "#".to_owned())),
            }
            element(out, "Gather", &attributes, |out| {
                gather.within.iter().for_each(|verb| write_verb(out, verb));
            });
        }
        Verb::Record(record) => {
            let mut attributes = vec![
                ("action", record.action.clone()),
                ("maxLength", record.seconds_max.to_string()),
                ("timeout", "5".to_owned()),
                ("finishOnKey", "#".to_owned()),
                ("recordingStatusCallback", record.news.clone()),
                ("recordingStatusCallbackEvent", "completed absent".to_owned()),
            ];
            if let Some(words) = &record.words {
                attributes.push(("transcribe", "true".to_owned()));
                attributes.push(("transcribeCallback", words.clone()));
            }
            element(out, "Record", &attributes, |_| ());
        }
        Verb::Dial(dial) => write_dial(out, dial),
        Verb::Redirect(url) => element(out, "Redirect", &[], |out| escape(out, url)),
        Verb::Hangup => element(out, "Hangup", &[], |_| ()),
    }
}

fn write_dial(out: &mut String, dial: &Dial) {
    let mut attributes = vec![
        ("action", dial.action.clone()),
        ("timeout", dial.seconds.to_string()),
        ("answerOnBridge", "true".to_owned()),
    ];
    attributes.extend(dial.caller.clone().map(|caller| ("callerId", caller)));
    if let Some(recorded) = &dial.recorded {
        attributes.push(("record", "record-from-answer-dual".to_owned()));
        attributes.push(("recordingStatusCallback", recorded.clone()));
        attributes.push(("recordingStatusCallbackEvent", "completed absent".to_owned()));
    }
    element(out, "Dial", &attributes, |out| {
        for line in &dial.lines {
            let mut attributes = Vec::new();
            attributes.extend(line.before.clone().map(|url| ("url", url)));
            if let Some(news) = &line.news {
                attributes.push(("statusCallback", news.clone()));
                attributes.push(("statusCallbackEvent", "answered completed".to_owned()));
            }
            if let Some(machine) = &line.machine {
                attributes.push(("machineDetection", "Enable".to_owned()));
                attributes.push(("amdStatusCallback", machine.clone()));
            }
            element(out, "Number", &attributes, |out| escape(out, &line.number));
        }
    });
}

fn element(
    out: &mut String,
    name: &str,
    attributes: &[(&str, String)],
    within: impl FnOnce(&mut String),
) {
    out.extend(["<", name]);
    for (key, value) in attributes {
        out.extend([" ", key, "=\""]);
        escape(out, value);
        out.push('"');
    }
    out.push('>');
    within(out);
    out.extend(["</", name, ">"]);
}

/// Text as XML 1.0 can hold it: what it cannot is left out.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => {}
            '\n' | '\r' | '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice() -> Voice {
        Voice { speech: "cmn-CN".to_owned(), name: Some("Polly.Zhiyu-Neural".to_owned()) }
    }

    #[test]
    fn a_document_is_what_the_service_understands() {
        let say = |text: &str, times| Verb::Say { voice: voice(), text: text.to_owned(), times };
        let verbs = [
            Verb::Gather(Gather {
                action: "https://desk.example/hooks/hotline/topic?l=zh&n=1".to_owned(),
                keys: Some(1),
                seconds: 6,
                within: vec![
                    say("忘记密码请按 1 <\"R&D\">\u{0}", 1),
                    Verb::Pause(1),
                    Verb::Play("https://desk.example/wait.mp3?a=1&b=2".to_owned()),
                ],
            }),
            Verb::Record(Record {
                action: "/a".to_owned(),
                news: "/b".to_owned(),
                words: Some("/c".to_owned()),
                seconds_max: 120,
            }),
            Verb::Dial(Dial {
                action: "/d".to_owned(),
                caller: Some("+15005550006".to_owned()),
                seconds: 25,
                recorded: Some("/e".to_owned()),
                lines: vec![Line {
                    number: "+4930123456".to_owned(),
                    before: Some("/f".to_owned()),
                    news: Some("/g".to_owned()),
                    machine: Some("/h".to_owned()),
                }],
            }),
            say("again", 2),
            Verb::Redirect("https://desk.example/a?b=1&c=2".to_owned()),
            Verb::Hangup,
        ];
        let written = document(&verbs).replace("><", ">\n<");
        let expected = concat!(
            r#"<?xml version="1.0" encoding="UTF-8"?>
<Response>
<Gather input="dtmf" timeout="6" action="https://desk.example/hooks/hotline/topic?l=zh&amp;n=1" "#,
            r#"numDigits="1" finishOnKey="">
<Say language="cmn-CN" voice="Polly.Zhiyu-Neural">忘记密码请按 1 &lt;&quot;R&amp;D&quot;&gt;</Say>
<Pause length="1">
</Pause>
<Play>https://desk.example/wait.mp3?a=1&amp;b=2</Play>
</Gather>
<Record action="/a" maxLength="120" timeout="5" finishOnKey="\#" recordingStatusCallback="/b" "#,
            r#"recordingStatusCallbackEvent="completed absent" transcribe="true" transcribeCallback="/c">
</Record>
<Dial action="/d" timeout="25" answerOnBridge="true" callerId="+15005550006" "#,
            r#"record="record-from-answer-dual" recordingStatusCallback="/e" "#,
            r#"recordingStatusCallbackEvent="completed absent">
<Number url="/f" statusCallback="/g" statusCallbackEvent="answered completed" "#,
            r#"machineDetection="Enable" amdStatusCallback="/h">+4930123456</Number>
</Dial>
<Say language="cmn-CN" voice="Polly.Zhiyu-Neural" loop="2">again</Say>
<Redirect>https://desk.example/a?b=1&amp;c=2</Redirect>
<Hangup>
</Hangup>
</Response>"#
        );
        assert_eq!(written, expected.replace("\\#", "#"));
    }

    #[test]
    fn an_empty_document_is_one() {
        let empty = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response></Response>";
        assert_eq!(document(&[]), empty);
    }
}
