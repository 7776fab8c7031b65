//! A real `clamd` (ClamAV) that knows one harmful thing: the test file of EICAR.

use std::fs;

use tempfile::TempDir;

use super::{Process, free_port, open_folder, port_answers, program, wait_blocking};

/// The industry's harmless test file. In two halves, so that this source file is none.
pub fn eicar() -> Vec<u8> {
    let halves = [r"X5O!P%@AP[4\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"];
    halves.concat().into_bytes()
}

/// What the scanner calls it: a signature of one's own is marked so.
pub const NAME: &str = "Test.Eicar.UNOFFICIAL";

/// A running scanner.
pub struct ClamAv {
    folder: TempDir,
    port: u16,
    process: Option<Process>,
}

impl ClamAv {
    /// Takes files of up to a megabyte.
    pub fn start() -> Self {
        let mut scanner = Self { folder: open_folder("clamav"), port: free_port(), process: None };
        scanner.write_configuration();
        scanner.start_again();
        scanner
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn start_again(&mut self) {
        let folder = self.folder.path();
        let mut command = std::process::Command::new(program("clamd"));
        command.arg("--foreground").arg("--config-file").arg(folder.join("clamd.conf"));
        let mut process = Process::start("clamd", &mut command, &folder.join("clamd.log"));
        process.wait_ready(|| port_answers(self.port));
        self.process = Some(process);
    }

    pub fn stop(&mut self) {
        self.process = None;
        wait_blocking("clamd ends", super::START_LIMIT, || !port_answers(self.port));
    }

    fn write_configuration(&self) {
        let folder = self.folder.path();
        let database = folder.join("signatures");
        fs::create_dir(&database).unwrap();
        let bytes: String = eicar().iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(database.join("test.ndb"), format!("Test.Eicar:0:*:{bytes}\n")).unwrap();
        let text = format!(
            "DatabaseDirectory {}\nTemporaryDirectory {}\nTCPSocket {}\nTCPAddr 127.0.0.1\n\
             StreamMaxLength 1M\nMaxThreads 4\nSelfCheck 3600\n",
            database.display(),
            folder.display(),
            self.port
        );
        fs::write(folder.join("clamd.conf"), text).unwrap();
    }
}
