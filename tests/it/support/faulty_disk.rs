//! A disk that fails when it is told to: a small library that is loaded into the daemon before the C library.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::daemon::Daemon;
use super::{open_folder, output};

/// How it fails.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// `fsync` says that what was written may be lost.
    Sync,
    /// There is no room for another byte.
    Full,
}

/// The library, and the files that tell it what to do.
pub struct FaultyDisk {
    folder: TempDir,
}

impl FaultyDisk {
    /// Under a daemon that is not yet started.
    pub fn under(daemon: &mut Daemon) -> Self {
        let disk = Self { folder: open_folder("faulty-disk") };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/faulty_disk.c");
        let library = disk.folder.path().join("faulty_disk.so");
        let mut compiler = Command::new("cc");
        output(
            compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).args([source, "-ldl"]),
        );
        daemon.set_environment("LD_PRELOAD", library.to_str().unwrap());
        daemon.set_environment("FAULTY_DISK", disk.folder.path().to_str().unwrap());
        disk
    }

    fn order(&self, fault: Fault) -> PathBuf {
        self.folder.path().join(match fault {
            Fault::Sync => "eio",
            Fault::Full => "enospc",
        })
    }

    /// From now on.
    pub fn fail(&self, fault: Fault) {
        fs::write(self.order(fault), []).unwrap();
    }

    /// It works again.
    pub fn heal(&self, fault: Fault) {
        fs::remove_file(self.order(fault)).unwrap();
    }
}
