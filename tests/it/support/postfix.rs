//! A real Postfix that delivers by LMTP: into the test's Dovecot, or to the program under test.
//!
//! For a recipient whom the other side does not know, Postfix sends a real bounce to the sender. Its master process wants to be root: as another user it runs
//! in a user namespace of its own (which needs the package uidmap).

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::dovecot::Dovecot;
use super::lmtp_client::{Greeting, Submitter};
use super::tls::{CertificateFiles, Flaw};
use super::{Process, Signal, am_root, free_port, open_folder, output, port_answers};

/// Refused for good at `RCPT TO`.
pub const REFUSED: &str = "refused@customer.example";
/// Refused for now at `RCPT TO`, always.
pub const DEFERRED: &str = "deferred@customer.example";

/// A running Postfix.
pub struct Postfix {
    folder: TempDir,
    relay: u16,
    submission: u16,
    smtps: u16,
    process: Option<Process>,
}

impl Postfix {
    /// Starts a server in front of `dovecot`, with a certificate of the same authority.
    pub fn start(dovecot: &Dovecot) -> Self {
        Self::start_with(dovecot, Flaw::None)
    }

    /// The same with a flawed certificate.
    pub fn start_with(dovecot: &Dovecot, flaw: Flaw) -> Self {
        Self::start_to(dovecot.lmtp_port(), dovecot, flaw)
    }

    /// Hands what it takes to the LMTP server at that port; `dovecot` only checks who logs in.
    pub fn handing_to(lmtp: u16, dovecot: &Dovecot) -> Self {
        Self::start_to(lmtp, dovecot, Flaw::None)
    }

    fn start_to(lmtp: u16, dovecot: &Dovecot, flaw: Flaw) -> Self {
        let folder = open_folder("postfix");
        let certificate = dovecot.authority().write_certificate(folder.path(), flaw);
        let mut server = Self {
            folder,
            relay: free_port(),
            submission: free_port(),
            smtps: free_port(),
            process: None,
        };
        server.write_configuration(lmtp, dovecot, &certificate);
        server.start_again();
        server
    }

    /// Takes mail without a login, and offers STARTTLS and AUTH.
    pub fn relay_port(&self) -> u16 {
        self.relay
    }

    /// Takes mail after STARTTLS and AUTH only (the users of Dovecot).
    pub fn submission_port(&self) -> u16 {
        self.submission
    }

    /// Speaks TLS from the first byte and takes mail after AUTH only.
    pub fn smtps_port(&self) -> u16 {
        self.smtps
    }

    /// A session to hand in mails as a customer's server would.
    pub fn client(&self) -> Submitter {
        Submitter::connect(self.relay, Greeting::Smtp)
    }

    /// Stops it, if it runs.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::Term);
            process.wait_end(Duration::from_secs(10));
        }
    }

    /// Starts it again after `stop`, on the same ports with the same queue.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "Postfix runs already");
        let mut command = as_root(&self.folder.path().join("start.sh"));
        // The master ends its children by a signal to the group that it leads.
        command.process_group(0);
        let mut process = Process::start("Postfix", &mut command, &self.log_file());
        let ports = [self.relay, self.submission, self.smtps];
        process.wait_ready(|| ports.iter().all(|port| port_answers(*port)));
        self.process = Some(process);
    }

    /// What the server wrote to its log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn write_configuration(&self, lmtp: u16, dovecot: &Dovecot, certificate: &CertificateFiles) {
        let folder = self.folder.path();
        fs::create_dir(folder.join("conf")).unwrap();
        fs::write(self.log_file(), "").unwrap();
        let fill = |text: &str| {
            text.replace("@FOLDER@", folder.to_str().unwrap())
                .replace("@LMTP@", &lmtp.to_string())
                .replace("@AUTH@", dovecot.auth_socket().to_str().unwrap())
                .replace("@CERTIFICATE@", certificate.certificate.to_str().unwrap())
                .replace("@KEY@", certificate.key.to_str().unwrap())
                .replace("@REFUSED@", REFUSED)
                .replace("@DEFERRED@", DEFERRED)
                .replace("@RELAY@", &self.relay.to_string())
                .replace("@SUBMISSION@", &self.submission.to_string())
                .replace("@SMTPS@", &self.smtps.to_string())
        };
        fs::write(folder.join("conf/main.cf"), fill(MAIN)).unwrap();
        fs::write(folder.join("conf/master.cf"), fill(MASTER)).unwrap();
        fs::write(folder.join("start.sh"), fill(START)).unwrap();
        fs::write(folder.join("clear.sh"), fill(CLEAR)).unwrap();
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // In good order first, for the master takes its children along; the guard kills it else.
            process.signal(Signal::Term);
            process.wait_end(Duration::from_secs(10));
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("--- the end of the log of Postfix ---\n{tail}");
        }
        // In a user namespace some files belong to ids that only that namespace may remove.
        output(&mut as_root(&self.folder.path().join("clear.sh")));
    }
}

/// Runs a script as root, or as the root of a new user namespace.
fn as_root(script: &Path) -> Command {
    if am_root() {
        let mut command = Command::new("sh");
        command.arg(script);
        return command;
    }
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--map-auto", "sh"]).arg(script);
    command
}

const START: &str = "\
set -e
mkdir -p @FOLDER@/queue @FOLDER@/data
cd @FOLDER@/queue
mkdir -p active bounce corrupt defer deferred flush hold incoming private saved trace maildrop public pid
chown postfix active bounce corrupt defer deferred flush hold incoming private saved trace \
    maildrop public ../data
chgrp postdrop maildrop public
chmod 700 active bounce corrupt defer deferred flush hold incoming private saved trace
chmod 1730 maildrop
chmod 2710 public
chmod 755 pid
exec /usr/lib/postfix/sbin/master -d -c @FOLDER@/conf
";

const CLEAR: &str = "\
rm -rf @FOLDER@/queue @FOLDER@/data
";

const MAIN: &str = "\
compatibility_level = 3.6
queue_directory = @FOLDER@/queue
data_directory = @FOLDER@/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.customer.example
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
default_transport = lmtp:inet:127.0.0.1:@LMTP@
relay_transport = lmtp:inet:127.0.0.1:@LMTP@
maillog_file = @FOLDER@/log
maillog_file_prefixes = /
message_size_limit = 104857600
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtp_host_lookup = native
lmtp_host_lookup = native
minimal_backoff_time = 2s
maximal_backoff_time = 5s
queue_run_delay = 2s
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access
    inline:{{ @REFUSED@ = 550 5.1.1 no such customer }, { @DEFERRED@ = 450 4.2.0 not now }}
smtpd_sasl_type = dovecot
smtpd_sasl_path = @AUTH@
smtpd_sasl_auth_enable = yes
smtpd_sasl_security_options = noanonymous
smtpd_tls_security_level = may
smtpd_tls_chain_files = @KEY@, @CERTIFICATE@
smtpd_delay_reject = yes
";

const MASTER: &str = "\
127.0.0.1:@RELAY@ inet n - n - - smtpd
127.0.0.1:@SUBMISSION@ inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
127.0.0.1:@SMTPS@ inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";
