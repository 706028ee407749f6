//! What people and programs do to a repository, one step at a time.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Error, Result};
use rustix::fs::{Access, access};

use super::place::Place;
use super::tree::{self, BRANCHES, FIRST, IGNORED, LINKED};
use super::words;
use crate::compare::patterns::files;
use crate::compare::random::Random;

/// After so many steps the tree is listed anew, so that steps find files that others have made.
const LIST_EVERY: usize = 10;
/// Packages of an installation, and the files of each.
const PACKAGES: usize = 150;
const FILES_OF_A_PACKAGE: usize = 20;

/// What is asked after a step that file events may not tell of: lines that such steps leave, and some of everywhere.
const QUESTION: &str = "odd_[0-9]+|naïve 1[0-9]{2}$";
/// What can be done, how often beside the others, and how it is called in the report.
type Step = (usize, &'static str, Around, fn(&mut Life) -> Result<()>);

/// What a step bears around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    /// Anything.
    Any,
    /// A tree that is all there and a repository: what is mounted, closed or elsewhere is back first.
    Calm,
}
use Around::{Any, Calm};

#[rustfmt::skip]
const STEPS: &[Step] = &[
    (16, "saves", Any, Life::save),
    (12, "atomic saves", Any, Life::save_atomically),
    (5, "lines appended one by one", Any, Life::append),
    (6, "new files and folders", Any, Life::create),
    (6, "files renamed, swapped", Any, Life::rename_files),
    (3, "folders renamed", Any, Life::rename_folder),
    (2, "file and folder change places", Any, Life::file_and_folder),
    (5, "files deleted", Any, Life::delete_files),
    (2, "mass deletes", Calm, Life::delete_area),
    (5, "branch switches", Calm, Life::switch),
    (2, "rebases", Calm, Life::rebase),
    (3, "stashes", Calm, Life::stash),
    (2, "commits", Calm, Life::commit),
    (2, "hard resets and cleanings", Calm, Life::reset),
    (4, "builds into ignored folders", Any, Life::build),
    (2, "node_modules installed or removed", Calm, Life::node_modules),
    (2, "ignore rules changed", Any, Life::ignore),
    (6, "clock jumps, changes with an old time", Any, Life::jump),
    (2, "large files", Any, Life::large),
    (3, "odd files: UTF-16, NUL, links, long lines", Any, Life::odd),
    (3, "folder removed, a link out in its place", Any, Life::link_out),
    (3, "folder moved, a link renamed into its place", Any, Life::link_by_rename),
    (2, "folder and link exchanged", Any, Life::link_by_exchange),
    (4, "link becomes a folder", Any, Life::unlink),
    (3, "second names, in the tree and outside", Any, Life::hard_link),
    (3, "files written by their second names", Any, Life::write_second),
    (2, "files written through a map", Any, Life::map),
    (4, "rules above, of the user, of the repository", Any, Life::rules_elsewhere),
    (3, "rules that are links", Any, Life::linked_rules),
    (3, "repository above or away, .jj", Any, Life::repository),
    (2, "nested repositories and their rules", Any, Life::nested_repository),
    (1, "folder above renamed, another tree in its place", Calm, Life::replace_above),
    (3, "mounts over a folder", Any, Life::mount),
    (3, "unmounts", Any, Life::unmount),
    (4, "folders and files closed, opened", Any, Life::close),
];

/// A repository's life.
pub(super) struct Life {
    pub(super) place: Place,
    pub(super) random: Random,
    known: Vec<PathBuf>,
    steps: usize,
    /// Numbers what is new, so that nothing gets the same name.
    serial: usize,
    /// Where folders became links.
    pub(super) links: Vec<PathBuf>,
    /// Second names of files.
    pub(super) seconds: Vec<PathBuf>,
    /// The `.git` folders of repositories in the tree.
    pub(super) nested: Vec<PathBuf>,
    /// Something may not be read.
    pub(super) is_closed: bool,
    /// The last step wants to be asked about.
    is_asked: bool,
}

impl Life {
    /// A life in the place's tree.
    pub(super) fn new(place: Place, random: Random) -> Self {
        let (links, seconds, nested) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            place,
            random,
            known: Vec::new(),
            steps: 0,
            serial: 0,
            links,
            seconds,
            nested,
            is_closed: false,
            is_asked: false,
        }
    }

    /// Does one more thing, and gives its name.
    pub(super) fn step(&mut self) -> Result<&'static str> {
        if self.steps.is_multiple_of(LIST_EVERY) {
            self.known = files(&self.place.tree);
            if self.known.len() < 5000 {
                // Too much was deleted, or is hidden, to go on like that.
                self.calm()?;
                self.reset()?;
            }
        }
        self.steps += 1;
        let mut at = self.random.below(STEPS.iter().map(|(weight, ..)| weight).sum());
        for (weight, name, around, act) in STEPS {
            if at < *weight {
                let calm = if *around == Calm { self.calm() } else { Ok(()) };
                return match calm.and_then(|()| act(self)) {
                    Err(error) if is_in_the_way(&error) => Ok(HINDERED),
                    outcome => outcome.map(|()| *name).with_context(|| format!("while the life did: {name}")),
                };
            }
            at -= weight;
        }
        Ok("nothing")
    }

    /// Has the examiner ask after this step.
    pub(super) fn ask(&mut self) {
        self.is_asked = true;
    }

    /// What is to be asked at once after the last step, if anything.
    pub(super) fn question(&mut self) -> Option<&'static str> {
        std::mem::take(&mut self.is_asked).then_some(QUESTION)
    }

    /// Writes a line with a needle into some file, as a save; gives the needle.
    pub(super) fn leave_needle(&mut self) -> Result<String> {
        self.known = files(&self.place.tree);
        let needle = format!("needle_left_{}", self.next());
        let Some(file) = self.file() else { return Ok(needle) };
        edit(&file, |text| text.push_str(&format!("\n{needle}\n")))?;
        Ok(needle)
    }

    pub(super) fn next(&mut self) -> usize {
        self.serial += 1;
        self.serial
    }

    /// A file that is there and may be written; none when the one that was picked is gone.
    pub(super) fn file(&mut self) -> Option<PathBuf> {
        if self.known.is_empty() {
            return None;
        }
        let file = self.random.pick(&self.known).clone();
        let is_file = file.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
        (is_file && access(&file, Access::READ_OK | Access::WRITE_OK).is_ok()).then_some(file)
    }

    /// Up to `most` files that are there.
    pub(super) fn some_files(&mut self, most: usize) -> Vec<PathBuf> {
        let count = 1 + self.random.below(most);
        (0..count).filter_map(|_| self.file()).collect()
    }

    /// A new line for a file.
    fn line(&mut self, file: &Path) -> String {
        match self.random.below(4) {
            0 => format!("// needle_{}", self.random.below(400)),
            _ => words::line(extension(file), &mut self.random),
        }
    }

    /// A text after an edit.
    fn edited(&mut self, file: &Path) -> Result<Vec<u8>> {
        let line = self.line(file).into_bytes();
        let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
        let at = self.random.below(lines.len());
        match self.random.below(3) {
            0 => lines[at] = &line,
            1 => lines.insert(at, &line),
            _ => drop(lines.remove(at)),
        }
        Ok(lines.join(&b'\n'))
    }

    fn save(&mut self) -> Result<()> {
        for file in self.some_files(20) {
            let text = self.edited(&file)?;
            write(&file, text)?;
        }
        Ok(())
    }

    fn save_atomically(&mut self) -> Result<()> {
        for file in self.some_files(20) {
            let text = self.edited(&file)?;
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let temporary = match self.random.below(2) {
                0 => file.with_file_name(format!(".{name}.swp")),
                _ => file.with_file_name(format!("{name}.tmp")),
            };
            write(&temporary, text)?;
            rename(&temporary, &file)?;
        }
        Ok(())
    }

    fn append(&mut self) -> Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        for _ in 0..100 {
            let line = self.line(&file);
            let open = fs::OpenOptions::new().append(true).open(&file);
            let written = open.and_then(|mut open| open.write_all(format!("{line}\n").as_bytes()));
            written.with_context(|| format!("cannot append to {}", file.display()))?;
        }
        Ok(())
    }

    fn create(&mut self) -> Result<()> {
        let Some(neighbour) = self.file() else { return Ok(()) };
        let mut folder = neighbour.parent().unwrap_or(&self.place.tree).to_owned();
        if self.random.below(3) == 0 {
            folder = folder.join(format!("new{}/inner", self.next()));
            fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        for _ in 0..1 + self.random.below(30) {
            let extension = *self.random.pick(&["rs", "c", "md", "txt"]);
            let file = folder.join(format!("new {}.{extension}", self.next()));
            let text = words::text(extension, &mut self.random);
            write(&file, text)?;
        }
        Ok(())
    }

    fn rename_files(&mut self) -> Result<()> {
        for file in self.some_files(10) {
            if !file.exists() {
                // It was picked twice.
                continue;
            }
            let name = format!("renamed-{}.{}", self.next(), extension(&file));
            match self.file() {
                // Into another's place.
                Some(other) if self.random.below(4) == 0 => rename(&file, &other)?,
                // Each into the other's.
                Some(other) if other != file && self.random.below(3) == 0 => {
                    let between = file.with_file_name(name);
                    rename(&file, &between)?;
                    rename(&other, &file)?;
                    rename(&between, &other)?;
                }
                // Elsewhere.
                Some(other) => rename(&file, &other.with_file_name(name))?,
                None => rename(&file, &file.with_file_name(name))?,
            }
        }
        Ok(())
    }

    fn rename_folder(&mut self) -> Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        let Some(folder) = file.parent().filter(|folder| *folder != self.place.tree) else { return Ok(()) };
        rename(folder, &folder.with_file_name(format!("moved-{}", self.next())))
    }

    fn file_and_folder(&mut self) -> Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        remove_file(&file)?;
        fs::create_dir(&file).with_context(|| format!("cannot create {}", file.display()))?;
        let line = self.line(&file);
        write(&file.join("inside.txt"), line)?;
        if self.random.below(2) == 0 {
            fs::remove_dir_all(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            write(&file, text)?;
        }
        Ok(())
    }

    fn delete_files(&mut self) -> Result<()> {
        self.some_files(20).iter().try_for_each(|file| match file.exists() {
            true => remove_file(file),
            false => Ok(()),
        })
    }

    fn delete_area(&mut self) -> Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        let inside = file.strip_prefix(&self.place.tree).unwrap_or(&file);
        let Some(area) = inside.components().next().map(|area| self.place.tree.join(area)) else { return Ok(()) };
        if area.is_dir() {
            fs::remove_dir_all(&area).with_context(|| format!("cannot remove {}", area.display()))?;
        }
        if self.random.below(2) == 0 {
            self.place.git(&["checkout", "--force", "--", "."])?;
        }
        Ok(())
    }

    fn switch(&mut self) -> Result<()> {
        let branch = match self.random.below(BRANCHES.len() + 3) {
            0 => FIRST,
            1 | 2 => LINKED,
            number => BRANCHES[number - 3].0,
        };
        self.ask();
        self.place.git(&["checkout", "--quiet", "--force", branch])
    }

    fn commit(&mut self) -> Result<()> {
        tree::commit(&self.place, "some work")
    }

    /// Some commits on a branch of their own, moved onto another branch. Conflicts are given up.
    fn rebase(&mut self) -> Result<()> {
        self.place.git(&["checkout", "--quiet", "--force", "-B", "topic", FIRST])?;
        for _ in 0..3 {
            self.save()?;
            self.create()?;
            tree::commit(&self.place, "a topic")?;
        }
        let onto = self.random.pick(BRANCHES).0;
        if !self.place.try_git(&["rebase", "--quiet", "--strategy-option", "theirs", onto])? {
            self.place.git(&["rebase", "--abort"])?;
        }
        Ok(())
    }

    fn stash(&mut self) -> Result<()> {
        self.save()?;
        self.create()?;
        if !self.place.try_git(&["stash", "push", "--quiet", "--include-untracked"])? {
            // Tracked files behind a link are none that it can put away.
            return self.reset();
        }
        self.save()?;
        // What was saved since may be in its way.
        if !self.place.try_git(&["stash", "pop", "--quiet"])? {
            self.reset()?;
            self.place.try_git(&["stash", "drop", "--quiet"])?;
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<()> {
        self.ask();
        self.place.git(&["reset", "--hard", "--quiet"])?;
        self.place.git(&["clean", "-d", "--force", "--quiet"])
    }

    fn build(&mut self) -> Result<()> {
        let folder = self.place.tree.join(*self.random.pick(&["target", "build"]));
        if folder.is_dir() && self.random.below(3) == 0 {
            return fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()));
        }
        for _ in 0..300 {
            let inner = folder.join(format!("debug/deps{}", self.random.below(30)));
            fs::create_dir_all(&inner).with_context(|| format!("cannot create {}", inner.display()))?;
            let text = words::text("c", &mut self.random);
            write(&inner.join(format!("needle_{}.o", self.random.below(400))), text)?;
        }
        write(&self.place.tree.join("build.log"), format!("needle_{}\n", self.random.below(400)))
    }

    fn node_modules(&mut self) -> Result<()> {
        let folder = self.place.tree.join("area00/node_modules");
        if folder.is_dir() {
            return fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()));
        }
        for package in 0..PACKAGES {
            let inner = folder.join(format!("package{package}/node_modules/inner/lib"));
            fs::create_dir_all(&inner).with_context(|| format!("cannot create {}", inner.display()))?;
            for file in 0..FILES_OF_A_PACKAGE {
                write(&inner.join(format!("{file}.js")), format!("needle_{}\n", self.random.below(400)))?;
            }
        }
        Ok(())
    }

    /// A folder becomes ignored, or isn't any more.
    fn ignore(&mut self) -> Result<()> {
        let rules = match self.random.below(4) {
            0 => format!("{IGNORED}/area{:02}/\n", self.random.below(20)),
            1 => format!("{IGNORED}part{:02}\n*.json\n", self.random.below(20)),
            2 => IGNORED.replace("/build/\n", ""),
            _ => IGNORED.to_owned(),
        };
        write(&self.place.tree.join(".gitignore"), rules)
    }

    /// Files whose time says nothing: changed with their old time and length, of long ago, of times to come.
    fn jump(&mut self) -> Result<()> {
        for file in self.some_files(20) {
            let metadata = fs::metadata(&file).with_context(|| format!("cannot look at {}", file.display()))?;
            let before = metadata.modified().context("no times on this file system")?;
            let mut text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let needle = format!("needle_{}\n", self.random.below(400));
            if text.len() > needle.len() {
                text[..needle.len()].copy_from_slice(needle.as_bytes());
            }
            write(&file, text)?;
            let time = match self.random.below(4) {
                0 => SystemTime::UNIX_EPOCH + Duration::from_secs(1),
                1 => SystemTime::now() + Duration::from_secs(75 * 365 * 86_400),
                _ => before,
            };
            let open = fs::OpenOptions::new().append(true).open(&file);
            open.and_then(|open| open.set_modified(time))
                .with_context(|| format!("no other time for {}", file.display()))?;
        }
        Ok(())
    }

    /// A file that is too large to be indexed at once: it comes, grows, goes.
    fn large(&mut self) -> Result<()> {
        let file = self.place.tree.join("area01/large.txt");
        if file.is_file() && self.random.below(3) == 0 {
            return remove_file(&file);
        }
        let folder = self.place.tree.join("area01");
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let text = words::text("txt", &mut self.random).repeat(200);
        let open = fs::OpenOptions::new().create(true).append(true).open(&file);
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let grown = if size > 20 << 20 { remove_file(&file) } else { Ok(()) };
        grown?;
        let repeat = usize::try_from((5u64 << 20) / text.len() as u64).unwrap_or_default();
        let written = open.and_then(|mut open| (0..repeat).try_for_each(|_| open.write_all(text.as_bytes())));
        written.with_context(|| format!("cannot write {}", file.display()))
    }

    fn odd(&mut self) -> Result<()> {
        let Some(file) = self.file() else { return Ok(()) };
        let needle = format!("needle_{}", self.random.below(400));
        match self.random.below(7) {
            0 => {
                let utf16 =
                    format!("\u{feff}{needle} straße\n").encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
                write(&file, utf16)
            }
            1 => write(&file, format!("before\0{needle}\nafter\n")),
            2 => write(&file, [b"caf\xe9 ", needle.as_bytes(), b"\r\n\xff\xfe\n"].concat()),
            3 => write(&file, format!("{} {needle} {}\n", "long ".repeat(40_000), "end ".repeat(1000))),
            4 => write(&file, ""),
            5 => write(&file.with_file_name(format!("ü %41 {}.txt", self.next())), needle),
            _ => {
                let link = file.with_file_name(format!("link{}", self.next()));
                std::os::unix::fs::symlink(&file, &link).with_context(|| format!("cannot link {}", link.display()))
            }
        }
    }
}

fn extension(file: &Path) -> &str {
    file.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// The name of a step that others had made impossible.
const HINDERED: &str = "what couldn't be done";

/// Whether a step failed because of what other steps had made of the tree.
fn is_in_the_way(error: &Error) -> bool {
    let kind = error.root_cause().downcast_ref::<io::Error>().map(io::Error::kind);
    let kind = kind.or_else(|| {
        let code = error.root_cause().downcast_ref::<rustix::io::Errno>()?.raw_os_error();
        Some(io::Error::from_raw_os_error(code).kind())
    });
    matches!(
        kind,
        Some(
            ErrorKind::NotFound
                | ErrorKind::AlreadyExists
                | ErrorKind::PermissionDenied
                | ErrorKind::CrossesDevices
                | ErrorKind::ResourceBusy
                | ErrorKind::NotADirectory
                | ErrorKind::IsADirectory
                | ErrorKind::DirectoryNotEmpty
                | ErrorKind::InvalidInput
                | ErrorKind::StorageFull
        )
    )
}

fn edit(file: &Path, change: impl FnOnce(&mut String)) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut text = String::from_utf8_lossy(&bytes).replace('\0', "");
    change(&mut text);
    write(file, text)
}

/// Appends a line to a file, which may not be there yet.
pub(super) fn append_line(file: &Path, line: &str) -> Result<()> {
    let open = fs::OpenOptions::new().create(true).append(true).open(file);
    let written = open.and_then(|mut open| open.write_all(format!("\n{line}\n").as_bytes()));
    written.with_context(|| format!("cannot append to {}", file.display()))
}

pub(super) fn write(file: &Path, text: impl AsRef<[u8]>) -> Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))
}

fn remove_file(file: &Path) -> Result<()> {
    fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))
}
