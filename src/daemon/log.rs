//! The daemon's log: a file that is put aside when it has grown, so that there are two at most.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use crate::core::{escape, private};

/// The log is put aside when it is larger, bytes.
const LARGEST: u64 = 4 << 20;

/// Where the daemon writes its log when the settings name no file: `syncline/daemon.log` in the platform's folder for
/// the state of programs. None for a user without a home.
pub fn log_file() -> Option<PathBuf> {
    let folders = etcetera::choose_base_strategy().ok()?;
    let folder = folders.state_dir().unwrap_or_else(|| folders.cache_dir());
    Some(folder.join("syncline").join("daemon.log"))
}

/// Where to read why an engine that doesn't run any more has ended, for the end of a sentence.
pub fn log_says_why() -> String {
    match log_file() {
        Some(path) => format!("its log says why: {}, unless log.file names another", escape(&path.to_string_lossy())),
        None => "log.file can name a file for its log, which says why".to_owned(),
    }
}

/// A file that is put aside, as `<name>.1`, when it has grown large.
pub struct Rotating {
    path: PathBuf,
    file: File,
    written: u64,
}

impl Rotating {
    /// Goes on writing at the end of the file at `path`, which only this user can read. It is made if need be, with its
    /// folder.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn open(path: &Path) -> io::Result<Rotating> {
        if let Some(folder) = path.parent() {
            private::create_folder(folder)?;
        }
        let file = private::append(path)?;
        let written = file.metadata()?.len();
        Ok(Rotating { path: path.to_owned(), file, written })
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(".1");
        match std::fs::rename(&self.path, aside) {
            // It was put aside before, and no other could be made then.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        self.file = private::append(&self.path)?;
        self.written = 0;
        Ok(())
    }
}

impl Write for Rotating {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written > LARGEST {
            // When that fails, the log grows on: better long than lost. It is tried again after as much.
            let _ = self.put_aside();
            self.written = 0;
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn two_files_are_kept_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/daemon.log");
        let mut log = Rotating::open(&path).unwrap();
        let line = [b'x'; 1 << 20];
        for _ in 0..20 {
            log.write_all(&line).unwrap();
        }
        for name in ["daemon.log", "daemon.log.1"] {
            let size = folder.path().join("state").join(name).metadata().unwrap().len();
            assert!(size <= LARGEST + (2 << 20), "{name}: {size}");
        }
        assert_eq!(std::fs::read_dir(folder.path().join("state")).unwrap().count(), 2);
        // Put aside, when no new one could be made: the next time it can.
        std::fs::rename(&path, folder.path().join("state/daemon.log.1")).unwrap();
        for _ in 0..10 {
            log.write_all(&line).unwrap();
        }
        assert!(path.is_file(), "it is at its place again");
        drop(log);
        assert!(Rotating::open(&path).unwrap().written > 0, "it goes on where it was");
    }
}
