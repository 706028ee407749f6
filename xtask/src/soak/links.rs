//! Folders that become links and folders again, files of several names, files that are written through a map.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::life::{Life, append_line, rename};
use super::place;
use crate::workspace::run_quietly;

/// Maps the file named first, and writes what the other arguments say to its beginning; between two of them it waits for a
/// line. The file's time stays as it was after the first.
const MAP: &str = "
import mmap, sys
file = open(sys.argv[1], 'r+b')
memory = mmap.mmap(file.fileno(), 0)
for number, text in enumerate(sys.argv[2:]):
    if number > 0:
        print(flush=True)
        sys.stdin.readline()
    memory[:len(text)] = text.encode()
memory.close()
file.close()
";
/// How long others have to take a mapped file's first text for its last, in milliseconds, at most.
const MAPPED: usize = 600;

impl Life {
    /// A folder that is there, holds files and isn't the tree; needles are put into some of them.
    pub(super) fn folder(&mut self) -> Result<Option<PathBuf>> {
        let Some(file) = self.file() else { return Ok(None) };
        let folder = file.parent().filter(|folder| *folder != self.place.tree && folder.is_dir()).map(Path::to_owned);
        if folder.is_some() {
            self.mark(&file)?;
        }
        Ok(folder)
    }

    /// Appends a line that is asked for to a file.
    pub(super) fn mark(&mut self, file: &Path) -> Result<()> {
        append_line(file, &format!("odd_{}", self.next()))
    }

    /// A name outside the tree that is taken by nobody.
    fn name_outside(&mut self, kind: &str) -> PathBuf {
        let number = self.next();
        self.place.outside.join(format!("{kind}-{number}"))
    }

    /// What is in the folder is removed, and a link to a copy outside is in its place.
    pub(super) fn link_out(&mut self) -> Result<()> {
        let Some(folder) = self.folder()? else { return Ok(()) };
        let out = self.name_outside("copy");
        run_quietly(Command::new("cp").arg("-a").args([&folder, &out]))?;
        if let Some(entry) = fs::read_dir(&out)?.flatten().find(|entry| entry.path().is_file()) {
            self.mark(&entry.path())?;
        }
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        self.link(&out, &folder)
    }

    /// A folder is moved out, or elsewhere in the tree, and a link to it renamed into its place.
    pub(super) fn link_by_rename(&mut self) -> Result<()> {
        let Some(folder) = self.folder()? else { return Ok(()) };
        let away = match self.random.below(2) {
            0 => self.name_outside("moved"),
            _ => folder.with_file_name(format!("linked-{}", self.next())),
        };
        let between = folder.with_file_name(format!("link-{}", self.next()));
        symlink(&away, &between).with_context(|| format!("cannot link {}", between.display()))?;
        rename(&folder, &away)?;
        rename(&between, &folder)?;
        self.links.push(folder);
        self.ask();
        Ok(())
    }

    /// A folder and a link that leads to a copy outside change places in one step.
    pub(super) fn link_by_exchange(&mut self) -> Result<()> {
        let Some(folder) = self.folder()? else { return Ok(()) };
        let out = self.name_outside("copy");
        run_quietly(Command::new("cp").arg("-a").args([&folder, &out]))?;
        let link = folder.with_file_name(format!("exchanged-{}", self.next()));
        symlink(&out, &link).with_context(|| format!("cannot link {}", link.display()))?;
        renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE).context("cannot exchange")?;
        self.links.push(folder);
        self.ask();
        Ok(())
    }

    /// What became a link is a folder again: what it leads to comes back, or a new one.
    pub(super) fn unlink(&mut self) -> Result<()> {
        let links = std::mem::take(&mut self.links);
        self.links = links.into_iter().filter(|link| link.is_symlink()).collect();
        if self.links.is_empty() {
            return Ok(());
        }
        let at = self.random.below(self.links.len());
        let link = self.links.swap_remove(at);
        let target = fs::read_link(&link).with_context(|| format!("cannot read {}", link.display()))?;
        fs::remove_file(&link).with_context(|| format!("cannot remove {}", link.display()))?;
        if target.is_dir() && self.random.below(3) > 0 {
            rename(&target, &link)?;
        }
        fs::create_dir_all(&link).with_context(|| format!("cannot create {}", link.display()))?;
        self.mark(&link.join("came-back.txt"))?;
        self.ask();
        Ok(())
    }

    fn link(&mut self, to: &Path, at: &Path) -> Result<()> {
        symlink(to, at).with_context(|| format!("cannot link {}", at.display()))?;
        self.links.push(at.to_owned());
        self.ask();
        Ok(())
    }

    /// Files get second names, in the tree and outside; what is written through one name is in the others.
    pub(super) fn hard_link(&mut self) -> Result<()> {
        let listed = place::run(&mut self.place.ripgrep(&["--files"])?, self.place.patience)?.stdout;
        let listed: HashSet<_> = listed.split(|byte| *byte == b'\n').map(OsStr::from_bytes).collect();
        for file in self.some_files(4) {
            let name = format!("second-{}.txt", self.next());
            let (second, is_watched) = match (self.random.below(2), self.file()) {
                (0, Some(other)) => {
                    let below = other.strip_prefix(&self.place.tree).unwrap_or(&other);
                    (other.with_file_name(name), listed.contains(below.as_os_str()))
                }
                _ => (self.place.outside.join(name), false),
            };
            fs::hard_link(&file, &second).with_context(|| format!("cannot link {}", second.display()))?;
            self.seconds.push(second.clone());
            if !is_watched {
                // A name that is given outside, or in an ignored folder, raises no event: the file's own next one lets it be
                // seen.
                self.mark(&file)?;
            }
            // Through either.
            let through = if self.random.below(2) == 0 { &file } else { &second };
            self.mark(through)?;
        }
        self.ask();
        Ok(())
    }

    /// What got second names is written through those.
    pub(super) fn write_second(&mut self) -> Result<()> {
        self.seconds.retain(|second| second.is_file());
        if self.seconds.is_empty() {
            return self.hard_link();
        }
        for _ in 0..3 {
            let second = self.random.pick(&self.seconds).clone();
            self.mark(&second)?;
        }
        self.ask();
        Ok(())
    }

    /// A file is written through a map, once or twice, which is closed afterwards.
    pub(super) fn map(&mut self) -> Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        if file.metadata().map_or(0, |metadata| metadata.len()) < 100 {
            return Ok(());
        }
        let times = 1 + self.random.below(2);
        let texts: Vec<_> = (0..times).map(|_| format!("odd_{:08}\n", self.next())).collect();
        let mut command = Command::new("python3");
        command.args(["-c", MAP]).arg(&file).args(texts).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Where there is none, nothing is written.
        let Ok(mut child) = command.stderr(Stdio::null()).spawn() else { return Ok(()) };
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        if let (Some(mut stdin), Some(mut stdout), 2) = (stdin, stdout, times)
            && stdout.read_exact(&mut [0]).is_ok()
        {
            // Whoever looks now takes the first text.
            fs::OpenOptions::new().append(true).open(&file).context("cannot open what is mapped")?;
            thread::sleep(Duration::from_millis(self.random.below(MAPPED) as u64));
            stdin.write_all(b"\n").context("no answer to who maps")?;
        }
        child.wait().context("cannot wait for who maps")?;
        self.ask();
        Ok(())
    }
}
