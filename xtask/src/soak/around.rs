//! What lies around the tree and beneath it: rules above and elsewhere, repositories that come and go, other disks, folders
//! that nobody may read, and another tree at the same path.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::life::{Life, rename, write};
use crate::namespace;
use crate::workspace::run_quietly;

/// What rules say: something of every part, little, or nothing.
const RULES: &[&str] =
    &["area07/\n", "part1?/\n", "*.md\n!area03/**\n", "/tree/area05/\n", "# nothing\n", "*.h\n*.json\n"];
/// The most that is mounted at a time.
const MOUNTED: usize = 3;

impl Life {
    /// A file of rules changes, or goes.
    fn change_rules(&mut self, file: &Path) -> Result<()> {
        match self.random.below(3) {
            0 if file.exists() => fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?,
            _ => {
                let rules = *self.random.pick(RULES);
                if let Some(folder) = file.parent() {
                    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
                }
                write(file, rules)?;
            }
        }
        self.ask();
        Ok(())
    }

    /// Rules of folders above, of the user, of the repository.
    pub(super) fn rules_elsewhere(&mut self) -> Result<()> {
        let folder = if self.random.below(2) == 0 { &self.place.above } else { &self.place.base };
        let file = match self.random.below(6) {
            0 => folder.join(".ignore"),
            1 => folder.join(".rgignore"),
            2 => folder.join(".gitignore"),
            3 => self.place.home.join(".config/git/ignore"),
            _ => self.place.tree.join(".git/info/exclude"),
        };
        self.change_rules(&file)
    }

    /// A file of rules is a link; what it leads to changes, comes and goes.
    pub(super) fn linked_rules(&mut self) -> Result<()> {
        let target = match self.random.below(2) {
            0 => self.place.outside.join("rules"),
            _ => self.place.tree.join("area08/conf/rules"),
        };
        if self.random.below(2) == 0 {
            let area = self.random.below(20);
            let link = match self.random.below(2) {
                0 => self.place.tree.join(".ignore"),
                _ => self.place.tree.join(format!("area{area:02}/.rgignore")),
            };
            if link.is_symlink() || link.exists() {
                fs::remove_file(&link).with_context(|| format!("cannot remove {}", link.display()))?;
            }
            symlink(&target, &link).with_context(|| format!("cannot link {}", link.display()))?;
        }
        self.change_rules(&target)
    }

    /// The repository is one of a folder above, or goes away; `.jj` comes and goes.
    pub(super) fn repository(&mut self) -> Result<()> {
        let own = self.place.tree.join(".git");
        let elsewhere = self.repository_elsewhere();
        match self.random.below(4) {
            0 if elsewhere.is_none() => rename(&own, &self.place.above.join(".git"))?,
            1 if elsewhere.is_none() => rename(&own, &self.place.base.join("away.git"))?,
            2 => self.repository_back()?,
            _ => {
                let folder = if self.random.below(2) == 0 { &self.place.above } else { &self.place.tree };
                let folder = folder.join(".jj");
                let outcome = if folder.is_dir() { fs::remove_dir(&folder) } else { fs::create_dir(&folder) };
                outcome.with_context(|| format!("no change of {}", folder.display()))?;
            }
        }
        self.ask();
        Ok(())
    }

    /// Where the tree's repository is, if not in it.
    fn repository_elsewhere(&self) -> Option<PathBuf> {
        let places = [self.place.above.join(".git"), self.place.base.join("away.git")];
        places.into_iter().find(|place| place.is_dir())
    }

    fn repository_back(&self) -> Result<()> {
        match self.repository_elsewhere() {
            Some(elsewhere) => rename(&elsewhere, &self.place.tree.join(".git")),
            None => Ok(()),
        }
    }

    /// A folder becomes a repository with rules of its own.
    pub(super) fn nested_repository(&mut self) -> Result<()> {
        let Some(folder) = self.folder()? else { return Ok(()) };
        let git = folder.join(".git");
        // Its rules may come later than itself.
        fs::create_dir_all(&git).with_context(|| format!("cannot create {}", git.display()))?;
        self.nested.push(git.clone());
        if self.random.below(3) > 0 {
            let nested = self.random.pick(&self.nested).clone();
            if nested.is_dir() {
                self.change_rules(&nested.join("info/exclude"))?;
            }
        }
        self.ask();
        Ok(())
    }

    /// The folder above is renamed, and another tree is at the old path: at first a copy, then each as it was left.
    pub(super) fn replace_above(&mut self) -> Result<()> {
        let (above, next) = (self.place.above.clone(), self.place.base.join("next"));
        if !next.is_dir() {
            run_quietly(Command::new("cp").arg("-a").args([&above, &next]))?;
        }
        // A program that starts in between would find itself in the other tree, and rightly so.
        let gate = self.place.gate.clone();
        let closed = gate.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        match self.random.below(2) {
            0 => renameat_with(CWD, &above, CWD, &next, RenameFlags::EXCHANGE).context("cannot exchange")?,
            _ => {
                let old = self.place.base.join("old");
                rename(&above, &old)?;
                rename(&next, &above)?;
                rename(&old, &next)?;
            }
        }
        drop(closed);
        for file in self.some_files(10) {
            self.mark(&file)?;
        }
        self.ask();
        Ok(())
    }

    /// A folder is mounted over another one: one from outside, one of the tree, or an empty disk.
    pub(super) fn mount(&mut self) -> Result<()> {
        if namespace::mounts_below(&self.place.above)?.len() > MOUNTED {
            return self.unmount();
        }
        let (Some(at), Some(other)) = (self.folder()?, self.folder()?) else { return Ok(()) };
        if at.is_symlink() || other.starts_with(&at) {
            return Ok(());
        }
        let name = self.next();
        match self.random.below(3) {
            0 => {
                namespace::mount_disk(&at, "16m")?;
                self.mark(&at.join("on-another-disk.txt"))?;
            }
            1 => namespace::bind(&other, &at)?,
            _ => {
                let out = self.place.outside.join(format!("mounted-{name}"));
                run_quietly(Command::new("cp").arg("-a").args([&at, &out]))?;
                self.mark(&out.join("mounted.txt"))?;
                namespace::bind(&out, &at)?;
                if self.random.below(2) == 0 {
                    // Behind the mount's back.
                    self.mark(&out.join("mounted.txt"))?;
                }
            }
        }
        self.ask();
        Ok(())
    }

    /// The last mount is taken away.
    pub(super) fn unmount(&mut self) -> Result<()> {
        if let Some(at) = namespace::mounts_below(&self.place.above)?.first() {
            namespace::unmount(at)?;
            self.ask();
        }
        Ok(())
    }

    /// A folder or a file can't be read any more, or can be again.
    pub(super) fn close(&mut self) -> Result<()> {
        if self.is_closed && self.random.below(2) == 0 {
            return self.open();
        }
        if self.place.reads_everything {
            return Ok(());
        }
        let (path, mode) = match self.random.below(2) {
            0 => (self.file(), 0),
            // Not at all; only what is asked for by name; only the names.
            _ => (self.folder()?, *self.random.pick(&[0o000, 0o311, 0o644])),
        };
        let Some(path) = path.filter(|path| !path.is_symlink()) else { return Ok(()) };
        set_mode(&path, mode)?;
        self.is_closed = true;
        self.ask();
        Ok(())
    }

    /// All can be read again.
    pub(super) fn open(&mut self) -> Result<()> {
        if std::mem::take(&mut self.is_closed) {
            self.ask();
            // It may be anywhere, as folders move.
            open_below(&self.place.base)?;
        }
        Ok(())
    }

    /// Undoes what git and others would stumble on.
    pub(super) fn calm(&mut self) -> Result<()> {
        for at in namespace::mounts_below(&self.place.above)? {
            namespace::unmount(&at)?;
        }
        self.open()?;
        self.repository_back()?;
        self.nested.clear();
        let own = self.place.tree.join(".git");
        below(&self.place.tree, &mut |path, metadata| match metadata.is_dir() && path.ends_with(".git") && *path != own
        {
            true => fs::remove_dir_all(path).with_context(|| format!("cannot remove {}", path.display())),
            false => Ok(()),
        })
    }
}

/// Makes all readable that is below a folder.
pub(super) fn open_below(folder: &Path) -> Result<()> {
    below(folder, &mut |path, metadata| {
        let (readable, open) = if metadata.is_dir() { (0o500, 0o755) } else { (0o400, 0o644) };
        match metadata.permissions().mode() & readable == readable {
            true => Ok(()),
            false => set_mode(path, open),
        }
    })
}

/// Gives each file and folder below one that is there, and itself; links are followed nowhere.
fn below(path: &Path, give: &mut impl FnMut(&Path, &fs::Metadata) -> Result<()>) -> Result<()> {
    let Ok(metadata) = path.symlink_metadata() else { return Ok(()) };
    if metadata.is_symlink() {
        return Ok(());
    }
    give(path, &metadata)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).into_iter().flatten().flatten() {
            below(&entry.path(), give)?;
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("no other rights for {}", path.display()))
}
