//! The files to search: those that ripgrep's walk finds, in its order, less those that the index rules out.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use ignore::{DirEntry, ParallelVisitor, ParallelVisitorBuilder, WalkState};

use super::arguments::{Sort, SortBy};
use super::indexes::{Indexes, RuledOut};
use super::messages::Voice;
use super::walk::Walk;
use super::warm::Warm;
use crate::core::RelPath;
use crate::core::path::cmp_bytes;
use crate::index::{Plan, Spared};

/// A file to search.
#[derive(Debug)]
pub(super) struct Haystack {
    /// As it is printed.
    pub(super) path: PathBuf,
    /// How it came here.
    pub(super) kind: Kind,
}

/// How a file came to be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The walk found it.
    Walked,
    /// It was named: it is searched whatever it is.
    Named,
    /// It is standard input.
    Stdin,
}

/// What there is to search.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// In the order in which they are printed.
    pub(super) haystacks: Vec<Haystack>,
    /// What the index rules out.
    pub(super) ruled_out: Spared,
    /// The shared engine was asked, and may have left out more.
    pub(super) is_partial: bool,
    /// The index that it asked, by the number of its last commit.
    pub(super) generation: Option<u64>,
    /// Folders were walked.
    pub(super) walked: bool,
    /// Something couldn't be looked at, and was complained of.
    pub(super) failed: bool,
}

/// What makes the files to search fewer.
pub(super) struct Narrowing<'a> {
    /// What a file must fulfil.
    pub(super) plan: &'a Plan,
    /// Files are ruled out only when what a search would have gone through is known.
    pub(super) by_size: bool,
    /// The indexes on disk.
    pub(super) indexes: &'a mut Indexes,
    /// What it knows isn't walked.
    pub(super) warm: &'a mut Warm,
}

impl Listing {
    /// The files in `paths` (in the current folder, when there are none) that `walk` finds and that `narrowing` lets through.
    pub(super) fn new(
        walk: &Walk,
        paths: &[PathBuf],
        voice: &Voice,
        narrowing: &mut Narrowing<'_>,
        threads: usize,
    ) -> Listing {
        let mut listing = Listing::default();
        if paths.is_empty() {
            listing.add_folder(walk, Path::new("./"), voice, narrowing, threads);
            for haystack in &mut listing.haystacks {
                if let Ok(path) = haystack.path.strip_prefix("./") {
                    haystack.path = path.to_owned();
                }
            }
        }
        for group in paths.chunk_by(|a, b| !a.is_dir() && !b.is_dir()) {
            match group {
                [folder] if folder.is_dir() => listing.add_folder(walk, folder, voice, narrowing, threads),
                files => listing.add_files(walk, voice, files),
            }
        }
        listing
    }

    fn add_files(&mut self, walk: &Walk, voice: &Voice, files: &[PathBuf]) {
        let Some((first, more)) = files.split_first() else { return };
        let mut builder = walk.of(first, |error| voice.complain_of_rules(&error));
        for path in more {
            builder.add(path);
        }
        for entry in builder.build() {
            match entry {
                Ok(entry) => self.haystacks.extend(haystack(entry, voice)),
                Err(error) => {
                    voice.complain(&error);
                    self.failed = true;
                }
            }
        }
    }

    fn add_folder(&mut self, walk: &Walk, folder: &Path, voice: &Voice, narrowing: &mut Narrowing<'_>, threads: usize) {
        let Narrowing { plan, by_size, indexes, warm } = narrowing;
        if let Some(known) = warm.known(folder)
            && (known.unlisted.is_empty() || !walk.leaves_out())
        {
            let (ruled_out, generation) = (known.spared, Some(known.generation));
            let mut found = Listing { ruled_out, generation, is_partial: true, ..Listing::default() };
            let kept = known.files.into_iter().filter(|path| walk.lets_through(folder, path));
            found.haystacks.extend(kept.map(|path| Haystack { path, kind: Kind::Walked }));
            for folder in known.unlisted {
                found.walk(walk, &folder, voice, None, 1);
            }
            return self.append_sorted(found);
        }
        let index = if **plan == Plan::All { None } else { indexes.of(folder) };
        let ruled_out = index.as_ref().map(|index| index.ruled_out(plan, *by_size));
        let mut found = Listing::default();
        found.walk(walk, folder, voice, ruled_out.as_ref(), threads);
        self.append_sorted(found);
    }

    fn walk(&mut self, walk: &Walk, folder: &Path, voice: &Voice, ruled_out: Option<&RuledOut<'_>>, threads: usize) {
        tracing::debug!(folder = %folder.display(), narrowed = ruled_out.is_some(), "a folder is walked");
        let found = Mutex::new(Listing { walked: true, ..Listing::default() });
        let mut visitors = Visitors { folder, voice, ruled_out, found: &found };
        let mut builder = walk.of(folder, |error| voice.complain_of_rules(&error));
        builder.threads(threads).build_parallel().visit(&mut visitors);
        self.append(&mut found.into_inner());
    }

    fn append_sorted(&mut self, mut found: Listing) {
        found.haystacks.sort_unstable_by(|a, b| cmp_bytes(bytes(a), bytes(b)));
        self.append(&mut found);
    }

    fn append(&mut self, other: &mut Listing) {
        self.haystacks.append(&mut other.haystacks);
        self.ruled_out.files += other.ruled_out.files;
        self.ruled_out.bytes += other.ruled_out.bytes;
        self.is_partial |= other.is_partial;
        self.generation = self.generation.or(other.generation);
        self.walked |= other.walked;
        self.failed |= other.failed;
    }

    /// Puts the files in another order.
    pub(super) fn sort(&mut self, Sort { by, reverse }: Sort) {
        let time = |haystack: &Haystack| {
            let metadata = haystack.path.metadata().ok()?;
            match by {
                SortBy::Path => None,
                SortBy::Modified => metadata.modified().ok(),
                SortBy::Accessed => metadata.accessed().ok(),
                SortBy::Created => metadata.created().ok(),
            }
        };
        match by {
            SortBy::Path if reverse => self.haystacks.sort_by(|a, b| b.path.cmp(&a.path)),
            SortBy::Path => {}
            _ => {
                // Those without a time come last, or first the other way round.
                let key =
                    |haystack: Haystack| (time(&haystack).map_or((true, None), |time| (false, Some(time))), haystack);
                let mut timed: Vec<_> = std::mem::take(&mut self.haystacks).into_iter().map(key).collect();
                match reverse {
                    true => timed.sort_by(|(a, _), (b, _)| b.cmp(a)),
                    false => timed.sort_by_key(|(time, _)| *time),
                }
                self.haystacks = timed.into_iter().map(|(_, haystack)| haystack).collect();
            }
        }
    }
}

fn bytes(haystack: &Haystack) -> &[u8] {
    haystack.path.as_os_str().as_encoded_bytes()
}

/// The file to search that an entry of a walk is, if it is one.
fn haystack(entry: DirEntry, voice: &Voice) -> Option<Haystack> {
    if let Some(error) = entry.error() {
        // An ignore file with a glob that isn't one: the rest of it counts.
        voice.complain_of_rules(error);
    }
    let named = entry.depth() == 0;
    let kind = match entry.file_type() {
        _ if entry.is_stdin() => Kind::Stdin,
        Some(kind) if kind.is_dir() => return None,
        // A link that was named is followed.
        _ if named => (!entry.path_is_symlink() || !entry.path().is_dir()).then_some(Kind::Named)?,
        Some(kind) if kind.is_file() => Kind::Walked,
        _ => return None,
    };
    Some(Haystack { path: entry.into_path(), kind })
}

struct Visitors<'a> {
    folder: &'a Path,
    voice: &'a Voice,
    ruled_out: Option<&'a RuledOut<'a>>,
    found: &'a Mutex<Listing>,
}

impl<'s> ParallelVisitorBuilder<'s> for Visitors<'s> {
    fn build(&mut self) -> Box<dyn ParallelVisitor + 's> {
        let Visitors { folder, voice, ruled_out, found } = *self;
        Box::new(Visitor { folder, voice, ruled_out, found, mine: Listing::default() })
    }
}

struct Visitor<'a> {
    folder: &'a Path,
    voice: &'a Voice,
    ruled_out: Option<&'a RuledOut<'a>>,
    found: &'a Mutex<Listing>,
    mine: Listing,
}

impl Visitor<'_> {
    /// The size of a file that needn't be searched.
    fn spared(&self, entry: &DirEntry) -> Option<u64> {
        let ruled_out = self.ruled_out?;
        let regular = entry.file_type().is_some_and(|kind| kind.is_file());
        let path = RelPath::below(self.folder, entry.path()).filter(|_| regular)?;
        ruled_out.size(&path, || entry.metadata().ok())
    }
}

impl ParallelVisitor for Visitor<'_> {
    fn visit(&mut self, entry: Result<DirEntry, ignore::Error>) -> WalkState {
        match entry {
            Ok(entry) => match self.spared(&entry) {
                Some(size) => {
                    self.mine.ruled_out.files += 1;
                    self.mine.ruled_out.bytes += size;
                }
                None => self.mine.haystacks.extend(haystack(entry, self.voice)),
            },
            Err(error) => {
                self.voice.complain(&error);
                self.mine.failed = true;
            }
        }
        WalkState::Continue
    }
}

impl Drop for Visitor<'_> {
    fn drop(&mut self) {
        self.found.lock().append(&mut self.mine);
    }
}
