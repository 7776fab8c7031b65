//! A real Dovecot: IMAP (with STARTTLS), IMAPS, LMTP and the authentication service that Postfix asks.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use super::imap_client::{ImapClient, literal};
use super::lmtp_client::{Greeting, Submitter};
use super::tls::{Authority, Flaw};
use super::{
    Process, Signal, am_root, command_as, current_user, free_port, give_to, group_of, open_folder,
    output, port_answers, program, send_signal, wait_blocking,
};

/// How Dovecot keeps mails on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    Maildir,
    Sdbox,
}

/// A running Dovecot with its users.
///
/// XOAUTH2 is offered too: there a user's password is his access token.
pub struct Dovecot {
    folder: TempDir,
    users: Vec<(String, String)>,
    authority: Authority,
    imap: u16,
    imaps: u16,
    lmtp: u16,
    process: Option<Process>,
}

impl Dovecot {
    /// Starts a server with these users (address, password) that keeps mails in Maildirs.
    pub fn start(users: &[(&str, &str)]) -> Self {
        Self::start_with(users, Storage::Maildir, Flaw::None)
    }

    /// Starts a server with another way to keep mails, or with a flawed certificate.
    pub fn start_with(users: &[(&str, &str)], storage: Storage, flaw: Flaw) -> Self {
        let folder = open_folder("dovecot");
        let authority = Authority::new();
        authority.write_pem(folder.path());
        authority.write_certificate(folder.path(), flaw);
        let users = users.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned()));
        let mut server = Self {
            folder,
            users: users.collect(),
            authority,
            imap: free_port(),
            imaps: free_port(),
            lmtp: free_port(),
            process: None,
        };
        server.write_configuration(storage);
        server.start_again();
        server
    }

    /// The port that speaks IMAP in the clear and STARTTLS.
    pub fn imap_port(&self) -> u16 {
        self.imap
    }

    /// The port that speaks TLS from the first byte.
    pub fn imaps_port(&self) -> u16 {
        self.imaps
    }

    /// The port that takes mails in.
    pub fn lmtp_port(&self) -> u16 {
        self.lmtp
    }

    /// The authority that signed the server's certificate.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The authority's certificate as a file.
    pub fn authority_file(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// The socket where Postfix asks for passwords.
    pub fn auth_socket(&self) -> PathBuf {
        self.folder.path().join("auth-client")
    }

    /// The password of a user.
    pub fn password(&self, user: &str) -> &str {
        let found = self.users.iter().find(|(name, _)| name == user);
        &found.unwrap_or_else(|| panic!("no user {user}")).1
    }

    /// Replaces a user's password; open sessions go on.
    pub fn set_password(&mut self, user: &str, password: &str) {
        self.users.retain(|(name, _)| name != user);
        self.users.push((user.to_owned(), password.to_owned()));
        self.write_users();
    }

    /// An IMAP session of a user.
    pub fn imap_client(&self, user: &str) -> ImapClient {
        ImapClient::login(self.imap, user, self.password(user))
    }

    /// A session to hand in many mails.
    pub fn lmtp_client(&self) -> Submitter {
        Submitter::connect(self.lmtp, Greeting::Lmtp)
    }

    /// Puts a mail into a user's INBOX.
    pub fn deliver(&self, user: &str, message: &[u8]) {
        self.deliver_many(user, [message]);
    }

    /// Puts many mails into a user's INBOX, on one connection.
    pub fn deliver_many<M: AsRef<[u8]>>(&self, user: &str, messages: impl IntoIterator<Item = M>) {
        let mut session = self.lmtp_client();
        for message in messages {
            session.send("sender@customer.example", user, message.as_ref());
        }
    }

    /// Puts very many mails into a user's INBOX at once, as files, the way that a Maildir allows.
    pub fn fill<M: AsRef<[u8]>>(&self, user: &str, messages: impl IntoIterator<Item = M>) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Makes the mailbox.
        self.count(user, "INBOX");
        let inbox = self.folder.path().join("mail").join(user);
        let arriving = inbox.join("arriving");
        fs::create_dir_all(&arriving).unwrap();
        let mut files = Vec::new();
        for message in messages {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}.{number:08}.test", 1_700_000_000 + number);
            fs::write(arriving.join(&name), message).unwrap();
            files.push(name);
        }
        give_to(&server_user(), &arriving);
        for name in files {
            fs::rename(arriving.join(&name), inbox.join("new").join(&name)).unwrap();
        }
        fs::remove_dir(arriving).unwrap();
    }

    /// How many mails a folder holds.
    pub fn count(&self, user: &str, folder: &str) -> usize {
        let answers = self.imap_client(user).command(&format!("STATUS \"{folder}\" (MESSAGES)"));
        let text = String::from_utf8_lossy(&answers.concat()).into_owned();
        let number: String = text
            .rsplit("MESSAGES ")
            .next()
            .unwrap()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        number.parse().unwrap_or_else(|_| panic!("no number in «{text}»"))
    }

    /// Every mail of a folder, as it was delivered.
    pub fn messages(&self, user: &str, folder: &str) -> Vec<Vec<u8>> {
        let mut client = self.imap_client(user);
        client.command(&format!("EXAMINE \"{folder}\""));
        let answers = client.command("UID FETCH 1:* (BODY.PEEK[])");
        answers.iter().filter_map(|answer| literal(answer)).map(<[u8]>::to_vec).collect()
    }

    /// Deletes mails by a UID set (`1:*` for all) and expunges them.
    pub fn expunge(&self, user: &str, folder: &str, uids: &str) {
        let mut client = self.imap_client(user);
        client.command(&format!("SELECT \"{folder}\""));
        client.command(&format!("UID STORE {uids} +FLAGS.SILENT (\\Deleted)"));
        client.command("EXPUNGE");
    }

    /// Marks mails as read, as a curious human would.
    pub fn set_seen(&self, user: &str, folder: &str, uids: &str) {
        let mut client = self.imap_client(user);
        client.command(&format!("SELECT \"{folder}\""));
        client.command(&format!("UID STORE {uids} +FLAGS.SILENT (\\Seen)"));
    }

    /// Makes a folder.
    pub fn create_folder(&self, user: &str, folder: &str) {
        self.imap_client(user).command(&format!("CREATE \"{folder}\""));
    }

    /// Deletes a folder (not INBOX: IMAP forbids it) with all its mails.
    pub fn delete_folder(&self, user: &str, folder: &str) {
        self.imap_client(user).command(&format!("DELETE \"{folder}\""));
    }

    /// Deletes a folder and makes it again: empty, with another UIDVALIDITY.
    pub fn recreate_folder(&self, user: &str, folder: &str) {
        let before = self.uid_validity(user, folder);
        self.delete_folder(user, folder);
        self.create_folder(user, folder);
        if self.uid_validity(user, folder) == before {
            self.change_uid_validity(user, folder);
        }
    }

    /// Gives a folder (INBOX too) another UIDVALIDITY; the mails stay.
    pub fn change_uid_validity(&self, user: &str, folder: &str) {
        let next = (self.uid_validity(user, folder) + 1000).to_string();
        self.doveadm(&["mailbox", "update", "-u", user, "--uid-validity", &next, folder]);
    }

    /// The folder's UIDVALIDITY.
    pub fn uid_validity(&self, user: &str, folder: &str) -> u32 {
        let answers = self.imap_client(user).command(&format!("STATUS \"{folder}\" (UIDVALIDITY)"));
        let text = String::from_utf8_lossy(&answers.concat()).into_owned();
        let word = text.rsplit("UIDVALIDITY ").next().unwrap();
        word.trim_end().trim_end_matches(')').parse().unwrap()
    }

    /// Throws a user's open sessions out.
    pub fn kick(&self, user: &str) {
        self.doveadm(&["kick", user]);
    }

    /// Runs the administrator's tool.
    pub fn doveadm(&self, arguments: &[&str]) -> String {
        let mut command = command_as(&server_user(), &program("doveadm"));
        output(command.arg("-c").arg(self.configuration_file()).args(arguments))
    }

    /// Stops the server in good order, if it runs.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::Term);
            process.wait_end(Duration::from_secs(10));
        }
        self.wait_silent();
    }

    /// Kills the server and every process of it without a word, as a power cut would.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        // First stopped, so that the master starts no child while the list is read.
        process.signal(Signal::Stop);
        for child in children_of(process.id()) {
            send_signal(child, Signal::Kill);
        }
        process.kill();
        self.wait_silent();
    }

    /// Starts the server again after `stop` or `kill`, on the same ports with the same mails.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "Dovecot runs already");
        // A killed master leaves its id behind, and the next one would ask whether it still lives.
        drop(fs::remove_file(self.folder.path().join("run/master.pid")));
        let mut command = command_as(&server_user(), &program("dovecot"));
        command.arg("-F").arg("-c").arg(self.configuration_file());
        let mut process =
            Process::start("Dovecot", &mut command, &self.folder.path().join("output"));
        let ports = [self.imap, self.imaps, self.lmtp];
        process.wait_ready(|| ports.iter().all(|port| port_answers(*port)));
        self.process = Some(process);
        wait_blocking("Dovecot's authentication socket", Duration::from_secs(10), || {
            self.auth_socket().exists()
        });
    }

    /// Stops and starts the server.
    pub fn restart(&mut self) {
        self.stop();
        self.start_again();
    }

    /// What the server wrote to its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn wait_silent(&self) {
        let ports = [self.imap, self.imaps, self.lmtp];
        wait_blocking("Dovecot's end", Duration::from_secs(10), || {
            !ports.iter().any(|port| port_answers(*port))
        });
    }

    fn configuration_file(&self) -> PathBuf {
        self.folder.path().join("dovecot.conf")
    }

    fn write_users(&self) {
        let lines =
            self.users.iter().map(|(name, password)| format!("{name}:{{PLAIN}}{password}\n"));
        let file = self.folder.path().join("users");
        fs::write(&file, lines.collect::<String>()).unwrap();
        give_to(&server_user(), &file);
    }

    fn write_configuration(&self, storage: Storage) {
        let folder = self.folder.path();
        for name in ["run", "state", "mail", "home"] {
            fs::create_dir(folder.join(name)).unwrap();
        }
        self.write_users();
        let location = match storage {
            Storage::Maildir => "maildir",
            Storage::Sdbox => "sdbox",
        };
        let text = CONFIGURATION
            .replace("@FOLDER@", folder.to_str().unwrap())
            .replace("@STORAGE@", location)
            .replace("@USER@", &server_user())
            .replace("@GROUP@", &group_of(&server_user()))
            .replace("@IMAP@", &self.imap.to_string())
            .replace("@IMAPS@", &self.imaps.to_string())
            .replace("@LMTP@", &self.lmtp.to_string());
        fs::write(self.configuration_file(), text).unwrap();
        give_to(&server_user(), folder);
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("--- the end of the log of Dovecot ---\n{tail}");
        }
    }
}

/// Dovecot refuses to read mails as root; one unprivileged user then does everything.
fn server_user() -> String {
    if am_root() { "nobody".to_owned() } else { current_user() }
}

/// The ids of all processes below one.
fn children_of(parent: u32) -> Vec<u32> {
    let tasks = format!("/proc/{parent}/task/{parent}/children");
    let text = fs::read_to_string(Path::new(&tasks)).unwrap_or_default();
    let mut found = Vec::new();
    for child in text.split_whitespace().map(|id| id.parse().unwrap()) {
        found.extend(children_of(child));
        found.push(child);
    }
    found
}

const CONFIGURATION: &str = "\
base_dir = @FOLDER@/run
state_dir = @FOLDER@/state
log_path = @FOLDER@/log
protocols = imap lmtp
listen = 127.0.0.1
default_internal_user = @USER@
default_internal_group = @GROUP@
default_login_user = @USER@
first_valid_uid = 1
first_valid_gid = 1
ssl = yes
ssl_cert = <@FOLDER@/server.pem
ssl_key = <@FOLDER@/server.key
disable_plaintext_auth = no
auth_mechanisms = plain login xoauth2
auth_failure_delay = 0
mail_max_userip_connections = 100
mail_location = @STORAGE@:@FOLDER@/mail/%u
mail_fsync = never
lmtp_save_to_detail_mailbox = no
recipient_delimiter = +
namespace inbox {
  inbox = yes
  separator = /
  mailbox Sent {
    auto = create
    special_use = \\Sent
  }
  mailbox Archive {
    auto = create
  }
  mailbox Trash {
    auto = create
  }
}
service anvil {
  chroot =
}
service imap-login {
  chroot =
  service_count = 0
  client_limit = 500
  inet_listener imap {
    port = @IMAP@
  }
  inet_listener imaps {
    port = @IMAPS@
    ssl = yes
  }
}
service imap {
  process_limit = 500
  client_limit = 1
}
service lmtp {
  chroot =
  inet_listener lmtp {
    port = @LMTP@
  }
}
service auth {
  client_limit = 2000
  unix_listener @FOLDER@/auth-client {
    mode = 0666
  }
}
passdb {
  driver = passwd-file
  args = @FOLDER@/users
}
userdb {
  driver = static
  args = uid=@USER@ gid=@GROUP@ home=@FOLDER@/home/%u
}
";
