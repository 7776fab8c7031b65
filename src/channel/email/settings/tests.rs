use super::*;
use crate::channel::BadChannel;
use crate::channel::shared::tls::TlsMode;

fn read_toml(text: &str) -> Result<Settings, BadChannel> {
    let config = config::Config::builder()
        .add_source(config::File::from_str(text, config::FileFormat::Toml))
        .build()
        .unwrap();
    read(&"mail".parse().unwrap(), config.try_deserialize().unwrap())
}

fn problem(text: &str) -> String {
    read_toml(text).expect_err("should be refused").to_string()
}

fn imap(text: &str) -> Imap {
    let receive = read_toml(text).unwrap().receive.unwrap();
    match receive.protocol {
        Protocol::Imap(imap) => *imap,
        Protocol::Lmtp(_) | Protocol::Pipe => panic!("no imap"),
    }
}

const LEAST: &str = r#"
address = "support@example.com"
[receive]
protocol = "imap"
host = "imap.example.com"
username = "support@example.com"
password = "geheim"
"#;

#[test]
fn the_least_settings_are_enough() {
    let imap = imap(LEAST);
    assert_eq!((imap.endpoint.port, imap.endpoint.tls), (993, TlsMode::Implicit));
    assert_eq!((imap.folders, imap.after), (vec!["INBOX".to_owned()], After::Leave));
    assert_eq!(imap.start, Start::All);
}

#[test]
fn numbers_and_lists_may_come_as_texts() {
    let imap = imap(&format!(
        "{LEAST}\nport = \"1993\"\nfolders = \"INBOX, Sales\"\nbatch_max = \"7\"\ntls=\"tls\""
    ));
    assert_eq!((imap.endpoint.port, imap.batch_max), (1993, 7));
    assert_eq!(imap.folders, ["INBOX", "Sales"]);
}

#[test]
fn every_fault_names_its_key() {
    let with = |line: &str| format!("{LEAST}\n{line}\n");
    let without = |line: &str| LEAST.replace(line, "");
    let send = |lines: &str| format!("address = \"a@b.c\"\n[send]\n{lines}\n");
    let cases = [
        (with("prot = 1"), "receive.prot"),
        (with("port = \"x\""), "receive.port"),
        (with("port = 70000"), "receive.port"),
        (with("tls = \"none\""), "receive.tls"),
        (with("tls = \"maybe\""), "receive.tls"),
        (with("ca_file = \"/nowhere/ca.pem\""), "receive.ca_file"),
        (with("server_name = \"a b\""), "receive.server_name"),
        (with("after = \"burn\""), "receive.after"),
        (with("after = \"move\""), "receive.move_to"),
        (with("after = \"move\"\nmove_to = \"INBOX\""), "receive.move_to"),
        (with("move_to = \"Done\""), "receive.move_to"),
        (with("after = \"mark\"\nmark_as = \"a b\""), "receive.mark_as"),
        (with("start = \"yesterday\""), "receive.start"),
        (with("batch_max = 0"), "receive.batch_max"),
        (with("folders = [\"a\\nb\"]"), "receive.folders"),
        (without("host = \"imap.example.com\""), "receive.host"),
        (without("username = \"support@example.com\""), "receive.username"),
        (without("password = \"geheim\""), "receive.password"),
        (without("protocol = \"imap\""), "receive.protocol"),
        (LEAST.replace("\"imap\"", "\"pop3\""), "receive.protocol"),
        (LEAST.replace("address = \"support@example.com\"", "address = \"support\""), "address"),
        ("address = \"a@b.c\"".to_owned(), "receive"),
        (send("port = 25"), "send.host"),
        (send("host = \"h\"\nauth = \"xoauth2\""), "send.auth"),
        (send("host = \"h\"\nsave_to_sent = \"auto\""), "send.save_to_sent"),
        (send("host = \"h\"\n[send.dkim]\ndomain = \"d\"\nselector = \"s\""), "send.dkim.key"),
        (send("host = \"h\"\n[send.oauth]\nprovider = \"custom\""), "send.oauth.client_id"),
        (
            send(
                "host = \"h\"\n[send.oauth]\nprovider = \"google\"\nclient_id = \"x\"\ntoken_url = \"http://x.example/\"",
            ),
            "send.oauth.token_url",
        ),
    ];
    for (text, key) in cases {
        let problem = problem(&text);
        assert!(problem.starts_with(&format!("channels.mail.{key}: ")), "{key}: {problem}");
        assert!(!problem.contains("geheim"), "{problem}");
    }
}

#[test]
fn oauth_of_the_channel_serves_both_directions() {
    let settings = read_toml(
        r#"
address = "shared@example.com"
[oauth]
provider = "microsoft"
tenant = "contoso"
client_id = "id"
[receive]
protocol = "imap"
host = "outlook.office365.com"
[send]
host = "smtp.office365.com"
auth = "xoauth2"
"#,
    )
    .unwrap();
    let send = settings.send.unwrap();
    let Login::OAuth { username, oauth } = send.login else { panic!("no oauth") };
    assert_eq!(username, "shared@example.com");
    assert_eq!(oauth.vault_name, "oauth/mail/oauth");
    assert_eq!(
        oauth.token_url.as_str(),
        "https://login.microsoftonline.com/contoso/oauth2/v2.0/token"
    );
    assert!(oauth.scope.contains("SMTP.Send"));
    assert_eq!((send.endpoint.port, send.endpoint.tls), (587, TlsMode::StartTls));
}

#[test]
fn the_example_in_config_is_valid() {
    let text = include_str!("../../../../config/channels/email.toml")
        .replace("kind = \"email\"", "")
        .replace("[channels.support_mail.", "[")
        .replace("[channels.support_mail]", "");
    let settings = read_toml(&text).unwrap();
    assert!(settings.receive.is_some() && settings.send.is_some());
    assert_eq!(settings.own_addresses().len(), 2);
    assert_eq!(settings.trusted_authserv(), ["mx.example.com"]);
}
