//! The settings: layers, secrets, and that every fault is found, named and placed in one go.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tributary::desk::Triage;
use tributary::settings::{Environment, Faults, Loaded, load, schema};

/// A settings folder of its own.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        self.write_with_mode(name, text, 0o600)
    }

    fn write_with_mode(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn load(&self, text: &str, variables: &[(&str, &str)]) -> Result<Loaded, Faults> {
        load(Some(&self.write("tributary.toml", text)), &environment(variables))
    }

    /// The faults, one line each, without the folder's name.
    fn faults(&self, text: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let Err(faults) = self.load(text, variables) else { panic!("no fault was found") };
        lines(&faults, self.0.path())
    }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let variables: BTreeMap<String, String> =
        variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Environment::of(variables)
}

fn lines(faults: &Faults, folder: &Path) -> Vec<String> {
    let folder = format!("{}/", folder.display());
    faults.to_string().lines().map(|line| line.replace(&folder, "")).collect()
}

const MAIL: &str = r#"
[channels.mail]
kind = "email"
address = "support@example.com"
[channels.mail.receive]
protocol = "imap"
host = "imap.example.com"
username = "support@example.com"
password = "correct horse"
"#;

/// What systemd would give: a file for each credential that the example names.
fn credentials(example: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for named in example.split("credential = \"").skip(1) {
        let name = named.split('"').next().unwrap();
        let file = folder.path().join(name);
        // A bot's token begins with the bot's own id.
        let secret = match name {
            "telegram-token" => "123456789:an-example-of-a-secret-long-enough",
            _ => "an-example-of-a-secret-long-enough",
        };
        fs::write(&file, secret).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    folder
}

#[test]
fn every_example_of_a_channel_can_be_built() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/channels");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let credentials = credentials(&text);
        let given = [("CREDENTIALS_DIRECTORY", credentials.path().to_str().unwrap())];
        let loaded = Folder::new().load(&text, &given);
        let loaded = loaded.unwrap_or_else(|faults| panic!("{}: {faults}", path.display()));
        assert!(!loaded.settings.channels.is_empty(), "{} configures nothing", path.display());
    }
}

#[test]
fn without_any_file_the_defaults_hold() {
    let loaded = Folder::new().load("", &[]).unwrap();
    let settings = loaded.settings;
    assert_eq!(settings.store.url.reveal(), "sqlite://var/tributary.db");
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.public_url(), "http://127.0.0.1:8080");
    assert!(settings.store.auto_migrate && settings.console.enabled);
    assert_eq!(settings.warnings(), Vec::<String>::new());
}

#[test]
fn conf_d_wins_over_the_file_and_the_environment_over_both() {
    let folder = Folder::new();
    folder.write("conf.d/20-b.toml", "[http]\nlisten = \"127.0.0.1:3\"\n[store]\nreaders = 3\n");
    folder.write(
        "conf.d/10-a.toml",
        "[http]\nlisten = \"127.0.0.1:2\"\npublic_url = \"https://a.b\"\n",
    );
    folder.write("conf.d/notes.txt", "not TOML at all");
    let text = "[http]\nlisten = \"127.0.0.1:1\"\n[store]\nreaders = 2\n[log]\nlevel = \"debug\"\n";
    let loaded = folder.load(text, &[("TRIBUTARY__STORE__READERS", "5")]).unwrap();
    let settings = loaded.settings;
    assert_eq!(settings.http.listen.port(), 3);
    assert_eq!(settings.public_url(), "https://a.b");
    assert_eq!(settings.store.readers, 5);
    let log = settings.log.level;
    assert!(format!("{log:?}").contains("DEBUG"), "{log:?}");
    let names: Vec<_> =
        loaded.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["tributary.toml", "10-a.toml", "20-b.toml"]);
}

#[test]
fn lists_come_from_the_environment_with_commas() {
    let variables = [("TRIBUTARY__HTTP__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")];
    let loaded = Folder::new().load("", &variables).unwrap();
    assert_eq!(loaded.settings.http.trusted_proxies.len(), 2);
}

// FAULTS 189
#[test]
fn every_fault_is_named_with_its_line_and_column_in_one_go() {
    let folder = Folder::new();
    folder.write("conf.d/later.toml", "[log]\nformat = \"jsom\"\n");
    let text = r#"[store]
uri = "sqlite://x"
readers = "hunter2"

[http]
  listen = "nowhere"
trusted_proxies = ["10.0.0.0/99"]

[consol]
enabled = true

[channels.Bad-Name]
kind = "email"

[channels.what]
kind = "emial"

[channels.none]
address = "a@example.com"

[channels.mail]
kind = "email"
adress = "support@example.com"
[channels.mail.receive]
protocol = "imapp"
host = "imap.example.com"
username = "support@example.com"
password = "correct horse"
[channels.mail.send]
port = "smtp"
"#;
    let variables = [("TRIBUTARY__STORE__AUTO_MIGRATE", "perhaps")];
    let found = folder.faults(text, &variables);
    let wanted = [
        "tributary.toml:2:1: store.uri: unknown key; did you mean `url`?",
        "tributary.toml:3:1: store.readers: expected an integer, found text",
        "tributary.toml:6:3: http.listen: ",
        "tributary.toml:7:20: http.trusted_proxies[0]: expected an IP address",
        "tributary.toml:9:2: consol: unknown key; did you mean `console`?",
        "tributary.toml:12:11: channels.Bad-Name: `Bad-Name` is not a channel name",
        "tributary.toml:16:1: channels.what.kind: there is no such kind; did you mean `email`?",
        "tributary.toml:18:11: channels.none.kind: missing; it is one of ",
        "tributary.toml:23:1: channels.mail.adress: unknown key; did you mean `address`?",
        "tributary.toml:21:11: channels.mail.address: missing",
        "tributary.toml:25:1: channels.mail.receive.protocol: ",
        "tributary.toml:30:1: channels.mail.send.port: expected an integer, found text",
        "tributary.toml:29:16: channels.mail.send.host: is missing",
        "conf.d/later.toml:2:1: log.format: is none of `auto`, `text`, `json`, `journald`; \
         did you mean `json`?",
        "environment TRIBUTARY__STORE__AUTO_MIGRATE: store.auto_migrate: expected true or false",
    ];
    let all = found.join("\n");
    for line in wanted {
        assert!(found.iter().any(|given| given.starts_with(line)), "no `{line}` in:\n{all}");
    }
    assert_eq!(found.len(), wanted.len(), "more than wanted:\n{all}");
    assert!(!all.contains("hunter2"), "{all}");
}

#[test]
fn each_flaw_of_an_article_is_a_fault_with_its_file_and_line() {
    let folder = Folder::new();
    let fees = "+++\nfollow_ups = [\"coins\", \"safety\"]\n[questions]\nen = [\"How much?\"]\n+++\n# en: Fees\nSome.\n";
    folder.write("answers/fees.md", fees);
    folder.write(
        "answers/coins.md",
        "+++\ncolour = 1\n[questions]\nen = [\"Which?\"]\n+++\n# en: Coins\nAll.\n",
    );
    folder.write("answers/Old Fees.md", fees);
    folder.write("answers/notes.txt", "no article");
    let settings = "[faq]\ndir = \"answers\"\n";
    let found = folder.faults(settings, &[]);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[0].starts_with("answers/Old Fees.md: an article's name is made of"),
        "{found:#?}"
    );
    assert!(found[1].starts_with("answers/coins.md:2:1: unknown field `colour`"), "{found:#?}");
    assert_eq!(found[2], "answers/fees.md:2:1: follow_ups: there is no article `safety`");

    let folder = Folder::new();
    let found = folder.faults(settings, &[]);
    assert!(
        found[0].starts_with("tributary.toml:2:1: faq.dir: answers cannot be read"),
        "{found:?}"
    );
    folder.write("answers/fees.md", &fees.replace(", \"safety\"", "").replace("coins", "fees"));
    let loaded = folder.load(settings, &[]).unwrap();
    assert_eq!(loaded.settings.known.articles()[0].name, "fees");
    assert!(folder.load("", &[]).unwrap().settings.known.articles().is_empty());
}

/// What the settings sort remarks into.
fn topics_of(loaded: &Loaded, remark: &str) -> Vec<String> {
    Triage::read(&loaded.settings.triage, &[].into()).unwrap().topics_of(remark)
}

#[test]
fn remarks_in_english_and_chinese_have_topics_out_of_the_box() {
    let folder = Folder::new();
    let shipped = folder.load("", &[]).unwrap();
    for (remark, expected) in [
        ("Very slow, I waited three days", vec!["speed"]),
        ("nobody replied for a week", vec!["speed"]),
        ("Quick answer, thank you", vec!["speed"]),
        ("friendly and patient", vec!["friendliness"]),
        ("The agent was rude", vec!["friendliness"]),
        ("problem solved", vec!["solution"]),
        ("It is still not working", vec!["solution"]),
        ("your app crashes all the time", vec!["app"]),
        ("the fees are far too high", vec!["fees"]),
        ("I feel safe with you", vec!["safety"]),
        ("polite, but the update broke my screen", vec!["app", "friendliness"]),
        ("thanks", vec![]),
        ("kind of good", vec![]),
        ("等了三天没人回复", vec!["speed"]),
        ("回覆很快", vec!["speed"]),
        ("客服态度很好，很耐心", vec!["friendliness"]),
        ("问题没有解决", vec!["solution"]),
        ("应用老是闪退", vec!["app"]),
        ("手續費太貴了", vec!["fees"]),
        ("担心资产安全", vec!["safety"]),
        ("非常热情，问题解决了", vec!["friendliness", "solution"]),
        ("谢谢", vec![]),
        ("祝你们快乐", vec![]),
        ("会员等级很高", vec![]),
    ] {
        assert_eq!(topics_of(&shipped, remark), expected, "{remark}");
    }
    let own = "[survey.topics.fees]\nwords = []\n[survey.topics.coins]\nwords = [\"bitcoin*\"]\n";
    let own = folder.load(own, &[]).unwrap();
    assert_eq!(topics_of(&own, "bitcoin fees were slow"), ["coins", "speed"]);
    let wrong = "[survey.topics.Coins]\nwords = [\"\"]\n[survey.topics.fees]\nword = []\n";
    let found = folder.faults(wrong, &[]);
    assert!(found.iter().any(|line| line.contains("survey.topics.fees")), "{found:#?}");
    let found = folder.faults("[survey.topics.Coins]\nwords = [\"a\", \"\"]\n", &[]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found.iter().any(|line| line.contains("words[1]: is empty")), "{found:#?}");
}

const PIPE: &str = r#"
[channels.mail]
kind = "email"
address = "support@example.com"
[channels.mail.receive]
protocol = "pipe"
"#;

#[test]
fn signatures_and_retention_are_read_and_each_fault_is_named() {
    let folder = Folder::new();
    let text = r#"
[[signatures]]
queues = ["chain"]
texts = { en = "{{agent.name}}", zh = "{{agent.name}} 客服" }
[[signatures]]
channels = ["mail"]
texts.en = "{{ticket.number}}"
[retention]
enabled = true
raws_days = 90
[[retention.rules]]
name = "chats"
after_days = 365
channels = ["gone"]
no_tags = ["complaint"]
"#;
    let loaded = folder.load(&format!("{text}{PIPE}"), &[]).unwrap();
    let triage = loaded.build_triage().unwrap();
    let [first, second] = triage.signatures() else { panic!("{:?}", triage.signatures()) };
    assert_eq!((&first.channels, first.texts["zh"].as_str()), (&None, "{{agent.name}} 客服"));
    assert_eq!(second.channels, Some(vec!["mail".to_owned()]));
    let retention = triage.retention();
    assert!(retention.enabled && retention.contacts, "the default of what is not given");
    assert_eq!((&*retention.hold, retention.raws_days), (&["hold".to_owned()][..], 90));
    let [rule] = &retention.rules[..] else { panic!("{:?}", retention.rules) };
    assert_eq!((rule.name.as_str(), rule.after_days, rule.tags.len()), ("chats", 365, 0));
    assert_eq!((rule.channels[0].as_str(), rule.no_tags[0].as_str()), ("gone", "complaint"));

    let faulty = text
        .replace(r#"channels = ["mail"]"#, r#"channels = ["fax"]"#)
        .replace("{{ticket.number}}", "{{contact.name}}")
        .replace("= 90", "= 99999")
        .replace("= 365", "= 0");
    let found = folder.faults(&format!("{faulty}{PIPE}"), &[]);
    let wanted = [
        "signatures[1].channels[0]: there is no channel `fax`",
        "signatures[1].texts.en: ",
        "retention.raws_days: must be from 0 to 36525",
        "retention.rules[0].after_days: must be from 1 to 36525",
    ];
    let all = found.join("\n");
    for fault in wanted {
        let line = found.iter().find(|line| line.contains(fault));
        let line = line.unwrap_or_else(|| panic!("no `{fault}` in:\n{all}"));
        assert!(line.starts_with("tributary.toml:"), "no place: {line}");
    }
    assert_eq!(found.len(), wanted.len(), "more than wanted:\n{all}");
    let nothing = folder.faults(&format!("[retention]\nenabled = true\n{PIPE}"), &[]);
    assert!(nothing[0].contains("retention.enabled: it would erase nothing"), "{nothing:?}");
    let unknown = folder.faults("[retention]\nraw_days = 90\n", &[]);
    assert!(unknown[0].contains("retention.raw_days: unknown key"), "{unknown:?}");
}

#[test]
fn a_broken_line_hides_no_other_fault() {
    let found = Folder::new().faults("[store]\nurl = \n\n[http]\nlisten = 5\n[htp]\n", &[]);
    let all = found.join("\n");
    assert!(found.iter().any(|line| line.starts_with("tributary.toml:2:")), "{all}");
    assert!(
        found.iter().any(|line| line.starts_with("tributary.toml:5:1: http.listen: ")),
        "{all}"
    );
    assert!(
        found.iter().any(|line| line.contains("htp: unknown key; did you mean `http`?")),
        "{all}"
    );
}

#[test]
fn a_file_that_is_not_there_is_a_fault_if_it_was_named() {
    let Err(faults) = load(Some(Path::new("/nowhere/at/all.toml")), &environment(&[])) else {
        panic!("loaded")
    };
    assert!(faults.to_string().starts_with("/nowhere/at/all.toml: cannot be read"), "{faults}");
}

// FAULTS 190
#[test]
fn secret_files_are_refused_when_others_may_read_them_and_when_they_are_empty() {
    let folder = Folder::new();
    folder.write_with_mode("open", "hunter2\n", 0o640);
    folder.write("empty", "\n");
    let readable = "[store]\nmaster_key = { file = \"open\" }\n";
    let found = folder.faults(readable, &[]);
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("tributary.toml:2:1: store.master_key: open may be read"),
        "{found:?}"
    );
    assert!(found[0].contains("chmod 600"), "{found:?}");
    let empty = folder.faults("[store]\nmaster_key = { file = \"empty\" }\n", &[]);
    assert_eq!(empty, ["tributary.toml:2:1: store.master_key: empty is empty"]);
    let missing = folder.faults("[store]\nmaster_key = { file = \"gone\" }\n", &[]);
    assert!(
        missing[0].starts_with("tributary.toml:2:1: store.master_key: cannot read gone"),
        "{missing:?}"
    );
    let unset = folder.faults("[store]\nmaster_key = { env = \"NOT_SET\" }\n", &[]);
    assert!(unset[0].ends_with("the environment variable NOT_SET is not set"), "{unset:?}");
    let no_systemd = folder.faults("[store]\nmaster_key = { credential = \"key\" }\n", &[]);
    assert!(no_systemd[0].contains("LoadCredential=key:"), "{no_systemd:?}");
}

#[test]
fn a_secret_comes_from_a_file_a_variable_or_a_credential_without_its_last_newline() {
    let folder = Folder::new();
    folder.write("key", "from a file\n\n");
    folder.write("credentials/key", "from a credential\r\n");
    folder.write("credentials/secrets_other", "from a folder of credentials\n");
    let credentials = folder.path("credentials");
    let variables =
        [("NAME", "from a variable"), ("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())];
    let cases = [
        ("{ file = \"key\" }", "from a file\n"),
        ("{ env = \"NAME\" }", "from a variable"),
        ("{ credential = \"key\" }", "from a credential"),
        ("{ credential = \"other\" }", "from a folder of credentials"),
        ("\"plain\"", "plain"),
    ];
    for (given, wanted) in cases {
        let loaded = folder.load(&format!("[store]\nmaster_key = {given}\n"), &variables).unwrap();
        let key = loaded.settings.store.master_key.unwrap();
        assert_eq!(key.reveal(), wanted, "{given}");
    }
}

#[test]
fn a_reference_replaces_another_one_whole_and_the_hidden_one_is_not_asked() {
    let folder = Folder::new();
    folder.write("conf.d/1.toml", "[store]\nmaster_key = { env = \"NAME\" }\n");
    let text = "[store]\nmaster_key = { file = \"/nowhere\" }\n";
    let loaded = folder.load(text, &[("NAME", "right")]).unwrap();
    assert_eq!(loaded.settings.store.master_key.unwrap().reveal(), "right");
    let variables =
        [("NAME", "wrong"), ("TRIBUTARY__STORE__MASTER_KEY__ENV", "OTHER"), ("OTHER", "x")];
    let loaded = folder.load(text, &variables).unwrap();
    assert_eq!(loaded.settings.store.master_key.unwrap().reveal(), "x");
}

#[test]
fn no_secret_is_printed_by_faults_or_debug() {
    let folder = Folder::new();
    folder.write("canary", "canary-in-a-file");
    let text = format!("{MAIL}port = {{ file = \"canary\" }}\ntls = \"canary-as-text\"\n")
        .replace("protocol = \"imap\"", "protocol = \"imap\"\nfolders = { file = \"canary\" }")
        .replace("address = \"support@example.com\"", "address = \"correct horse\"");
    let all = folder.faults(&text, &[]).join("\n");
    assert!(all.contains("channels.mail.receive.port"), "{all}");
    for secret in ["canary-in-a-file", "correct horse"] {
        assert!(!all.contains(secret), "{all}");
    }
    let loaded = folder.load("[store]\nmaster_key = \"canary-as-text\"\n", &[]).unwrap();
    assert!(!format!("{:?}", loaded.settings).contains("canary"), "{:?}", loaded.settings);
}

#[test]
fn under_systemd_the_database_lies_in_the_state_directory() {
    let variables = [("STATE_DIRECTORY", "/var/lib/tributary")];
    let settings = Folder::new().load("", &variables).unwrap().settings;
    assert_eq!(settings.store.url.reveal(), "sqlite:///var/lib/tributary/tributary.db");
    assert_eq!(settings.state_dir, Path::new("/var/lib/tributary"));
}

// FAULTS 193
#[test]
fn listening_for_the_world_without_encryption_is_warned_about() {
    let folder = Folder::new();
    let open = folder.load("[http]\nlisten = \"0.0.0.0:80\"\n", &[]).unwrap();
    assert!(open.settings.warnings()[0].contains("without encryption"));
    let text = "[http]\nlisten = \"0.0.0.0:80\"\npublic_url = \"https://a.b\"\n\
                trusted_proxies = [\"10.0.0.1\"]\n";
    assert!(folder.load(text, &[]).unwrap().settings.warnings().is_empty());
}

#[test]
fn every_key_of_the_schema_stands_in_the_built_in_defaults() {
    let schema = schema();
    let defaults = tributary::settings::DEFAULTS;
    let sections = schema["properties"].as_object().unwrap();
    for (name, section) in sections {
        let Some(reference) = section["$ref"].as_str() else {
            assert!(defaults.contains(name.as_str()), "{name} is not in config/tributary.toml");
            continue;
        };
        let part = &schema["$defs"][reference.rsplit('/').next().unwrap()];
        let text =
            defaults.split(&format!("[{name}]")).nth(1).unwrap_or_else(|| panic!("no [{name}]"));
        let text = text.split("\n[").next().unwrap();
        for key in part["properties"].as_object().unwrap().keys() {
            let there = text
                .lines()
                .any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} = ")));
            // What an admin names (a language) is a table of its own.
            let there = there || defaults.contains(&format!("\n[{name}.{key}."));
            assert!(there, "{name}.{key} is not in config/tributary.toml");
        }
    }
}
