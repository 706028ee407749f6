//! The manifest: which segments make up the index, and which of their files are gone.
//!
//! Each commit writes a manifest of its own, `manifest-<generation>`, which only one writer can create: the file is
//! written under another name and then given its own in a way that fails when that is taken. So two processes that
//! commit at the same time can't overwrite each other, without any lock: the second one learns that it was overtaken,
//! loads what the first one left, and commits on top of that.
//!
//! A name is a generation only if a manifest of that number can be read there. Whatever else has such a name, put there
//! by somebody or damaged, is passed over: who commits on top of generation `b` takes the first free name above it. Two
//! who see the same take the same, and one gets it; who sees a later manifest, or another one at `b`, commits nothing
//! before it has loaded that. Where a file system can't give a finished file a name that must be free, the manifest is
//! written under its own name and can't be read until it is whole. Another process may pass over it then. It has looked
//! before, and both look again when theirs are whole: whichever is whole last sees the other's (see [`Done`]).
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::docs::DocId;
use super::folder::{Ours, is_passing};
use super::segment::{SegmentId, SegmentRef};
use super::varint;
use crate::core::cache::{Fence, FencingToken};
use crate::core::files::open_regular;
use crate::core::private;
use crate::index::checksum::xxh3_64;

/// The first bytes of a manifest; the last of them is the version of the format.
const MAGIC: [u8; 8] = *b"SYNCMAN\x02";
/// Lines whose last token is remembered. More than one line's only when settings change.
const MOST_FENCES: usize = 4;
/// Manifests kept beside the newest, so that a reader who just listed the folder still finds the one it chose.
const KEPT: u64 = 4;
/// Larger files are no manifests. Ours take a byte or two for each file that is gone.
const MOST_BYTES: u64 = 256 << 20;
/// Unreadable ones that are named, at most.
const MOST_UNREADABLE: usize = 8;

/// Number of the index's last commit; 0 before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// The last there can be: editors read it as a JSON number, which is exact up to here. A file that claims to be of a
    /// later one is damaged, so that there is always a next one to what is found.
    const LAST: Generation = Generation((1 << 53) - 1);

    /// The commit after this one.
    pub fn next(self) -> Generation {
        Generation(self.0.saturating_add(1))
    }
}

/// Which segments make up the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Number of this commit.
    pub generation: Generation,
    /// The segments and, of each, the files that no longer count, ascending.
    pub segments: BTreeMap<SegmentId, (SegmentRef, Vec<DocId>)>,
    /// The last token of each queue under which something was committed, the latest first.
    pub fences: Fences,
    /// The commits that this one is built on, itself first.
    pub ancestry: Ancestry,
}

/// The last commits, the latest first, each by a random name: by it a commit that others have built on is recognised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ancestry(Vec<u64>);

/// More commits than others make while a process finds out what became of its own.
const MOST_ANCESTORS: usize = 256;

impl Ancestry {
    /// Of a commit on top of these.
    pub fn child(&self) -> Ancestry {
        let own = Uuid::new_v4().as_u64_pair().0;
        Ancestry(std::iter::once(own).chain(self.0.iter().copied()).take(MOST_ANCESTORS).collect())
    }

    /// Whether the commit of `other` is this one, or one that it is built on.
    pub fn is_built_on(&self, other: &Ancestry) -> bool {
        other.0.first().is_some_and(|own| self.0.contains(own))
    }
}

/// The last token of each queue under which something was committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fences(Vec<Fence>);

impl Fences {
    /// Whether a commit under `fence` comes too late: a later head of that queue has committed.
    pub fn refuse(&self, fence: Fence) -> bool {
        self.0.iter().any(|last| last.queue == fence.queue && last.token > fence.token)
    }

    /// Remembers a commit.
    pub fn passed(&mut self, fence: Fence) {
        self.0.retain(|last| last.queue != fence.queue);
        self.0.insert(0, fence);
        self.0.truncate(MOST_FENCES);
    }

    /// The highest token of all.
    pub fn highest(&self) -> FencingToken {
        self.0.iter().map(|fence| fence.token).max().unwrap_or_default()
    }
}

/// What came of a commit.
#[derive(Debug, PartialEq, Eq)]
pub enum Committed {
    /// The manifest is, or was, the index.
    Done(Done),
    /// Another process committed first: load its manifest and try again.
    Overtaken,
}

/// What a process sees once its manifest is whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Others have committed since, or this one came too late: load the newest, and see whether it is built on this one.
    pub is_followed: bool,
    /// Commits on the same base that weren't whole when this one passed over them. Who made them sees this one at the next
    /// commit or sync at the latest; what they say otherwise has to be looked at again.
    pub passed_over: Vec<Manifest>,
}

/// What a folder holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The newest manifest that can be read, or an empty one.
    pub manifest: Manifest,
    /// Files that are newer by their names and can't be read, the first few.
    pub unreadable: Vec<PathBuf>,
}

/// A way to give a finished file a name that nothing has yet.
type Way<'a> = &'a dyn Fn(&Path, &Path) -> io::Result<()>;

/// The ways there are, the best first: not every file system has hard links (exFAT, some of FUSE and of networks), and not
/// every one without can rename like that.
const WAYS: [Way<'static>; 3] = [&|from, to| std::fs::hard_link(from, to), &rename_once, &copy_once];

impl Manifest {
    /// The newest manifest in `folder` that can be read.
    ///
    /// # Errors
    /// When the folder can't be listed, or nothing be opened now.
    pub fn load(folder: &Path) -> io::Result<Found> {
        let mut found = Found::default();
        for generation in names(folder)?.into_iter().rev() {
            match read(folder, generation)? {
                Some(manifest) => return Ok(Found { manifest, ..found }),
                None => {
                    let path = path(folder, generation);
                    if found.unreadable.len() < MOST_UNREADABLE && is_file(&path) {
                        found.unreadable.push(path);
                    }
                }
            }
        }
        Ok(found)
    }

    /// The number of a commit on top of the one that is called `base` and `ancestry`; `None` when that isn't the newest
    /// (any more). What has gone from the folder meanwhile is newest as long as nothing else is.
    ///
    /// # Errors
    /// When the folder can't be listed, or nothing be opened now.
    pub fn next(folder: &Path, base: Generation, ancestry: &Ancestry) -> io::Result<Option<Generation>> {
        let mut taken = names(folder)?;
        taken.retain(|name| *name >= base);
        for &name in taken.iter().rev() {
            match read(folder, name)? {
                Some(found) if name > base || found.ancestry != *ancestry => return Ok(None),
                _ => {}
            }
        }
        match first_free(&taken, base) {
            free if free <= Generation::LAST => Ok(Some(free)),
            _ => Err(io::Error::other("no number is left for a commit; remove the folder, it is made anew")),
        }
    }

    /// Makes this the index, if nothing has its name. It must be on top of `base`, by [`Manifest::next`]. Older manifests
    /// go, and what can't be read where no commit will come.
    ///
    /// # Errors
    /// When the folder can't be read or written. That it came to be all the same isn't certain to be ruled out then.
    pub fn commit(&self, folder: &Path, base: Generation) -> io::Result<Committed> {
        self.commit_by(&WAYS, folder, base)
    }

    fn commit_by(&self, ways: &[Way], folder: &Path, base: Generation) -> io::Result<Committed> {
        let unfinished = folder.join(format!("{}.unfinished", Uuid::new_v4().simple()));
        let written = private::create_new(&unfinished).and_then(|mut file| file.write_all(&self.encode()));
        let named = written.and_then(|()| name_once(ways, &unfinished, &path(folder, self.generation)));
        // What was linked or copied stays when its first name goes, and what was renamed has none.
        match std::fs::remove_file(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, "an unfinished manifest stays until it is swept");
            }
            _ => {}
        }
        match named {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(Committed::Overtaken),
            named => named?,
        }
        let names = names(folder)?;
        // So far ahead may others be that they have cleared this generation's manifest away: then it came too late.
        let mut done = Done { is_followed: !names.contains(&self.generation), ..Done::default() };
        for &name in names.iter().filter(|name| **name >= base && **name != self.generation) {
            let Some(found) = read(folder, name)? else { continue };
            done.is_followed |= name > self.generation;
            if name < self.generation && !self.ancestry.is_built_on(&found.ancestry) {
                done.passed_over.push(found);
            }
        }
        if !done.is_followed {
            // Nobody passes over a name with a free one below it, so none is being written there.
            let free = first_free(&names, self.generation);
            let goes = |name: &Generation| name.0.saturating_add(KEPT) < self.generation.0 || *name > free;
            names.into_iter().filter(goes).for_each(|name| remove(folder, name));
        }
        Ok(Committed::Done(done))
    }

    /// The bytes that [`Manifest::decode`] reads.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        varint::write(self.generation.0, &mut out);
        varint::write(self.segments.len() as u64, &mut out);
        for (name, gone) in self.segments.values() {
            out.extend_from_slice(name.id.0.as_bytes());
            varint::write(name.bytes, &mut out);
            out.extend_from_slice(&name.checksum.to_le_bytes());
            varint::write(gone.len() as u64, &mut out);
            let mut next = 0;
            for &id in gone {
                varint::write(u64::from(id - next), &mut out);
                next = id + 1;
            }
        }
        varint::write(self.fences.0.len() as u64, &mut out);
        for fence in &self.fences.0 {
            out.extend_from_slice(&fence.queue.to_le_bytes());
            varint::write(fence.token.0, &mut out);
        }
        varint::write(self.ancestry.0.len() as u64, &mut out);
        self.ancestry.0.iter().for_each(|id| out.extend_from_slice(&id.to_le_bytes()));
        out.extend_from_slice(&xxh3_64(&out).to_le_bytes());
        out
    }

    /// The manifest that `bytes` hold, or `None` when they hold none.
    pub fn decode(bytes: &[u8]) -> Option<Manifest> {
        let (body, checksum) = bytes.split_last_chunk()?;
        if u64::from_le_bytes(*checksum) != xxh3_64(body) {
            return None;
        }
        let mut body = body.strip_prefix(&MAGIC)?;
        let rest = &mut body;
        let generation = Generation(varint::read(rest)?);
        if generation > Generation::LAST {
            return None;
        }
        let mut segments = BTreeMap::new();
        for _ in 0..varint::read(rest)? {
            let (id, after) = rest.split_first_chunk()?;
            *rest = after;
            let id = SegmentId(Uuid::from_bytes(*id));
            let bytes = varint::read(rest)?;
            let (checksum, after) = rest.split_first_chunk()?;
            *rest = after;
            let mut gone = Vec::new();
            let mut next = 0u64;
            for _ in 0..varint::read(rest)? {
                let id = next.checked_add(varint::read(rest)?)?;
                gone.push(DocId::try_from(id).ok()?);
                next = id + 1;
            }
            segments.insert(id, (SegmentRef { id, bytes, checksum: u64::from_le_bytes(*checksum) }, gone));
        }
        let mut fences = Fences::default();
        for _ in 0..varint::read(rest)? {
            let (line, after) = rest.split_first_chunk()?;
            *rest = after;
            fences.0.push(Fence { queue: u64::from_le_bytes(*line), token: FencingToken(varint::read(rest)?) });
        }
        let mut ancestry = Ancestry::default();
        for _ in 0..varint::read(rest)? {
            let (id, after) = rest.split_first_chunk()?;
            *rest = after;
            ancestry.0.push(u64::from_le_bytes(*id));
        }
        rest.is_empty().then_some(Manifest { generation, segments, fences, ancestry })
    }
}

fn path(folder: &Path, generation: Generation) -> PathBuf {
    folder.join(format!("manifest-{:016x}", generation.0))
}

/// The generations whose names are taken, by whatever it is, ascending.
fn names(folder: &Path) -> io::Result<Vec<Generation>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        if let Some(Ours::Manifest(generation)) = entry?.file_name().to_str().and_then(Ours::of) {
            found.push(generation);
        }
    }
    found.sort();
    Ok(found)
}

/// The first name above `base` that isn't among `taken`, which is sorted.
fn first_free(taken: &[Generation], base: Generation) -> Generation {
    let mut free = base.next();
    for name in &taken[taken.partition_point(|name| *name < free)..] {
        if *name != free {
            break;
        }
        free = free.next();
    }
    free
}

/// The manifest of a generation; `None` when its name has none that can be read, but something else or nothing.
fn read(folder: &Path, generation: Generation) -> io::Result<Option<Manifest>> {
    let read = || {
        let Some(file) = open_regular(&path(folder, generation))? else { return Ok(None) };
        let mut bytes = Vec::new();
        (&file).take(MAGIC.len() as u64).read_to_end(&mut bytes)?;
        if bytes != MAGIC || file.metadata()?.len() > MOST_BYTES {
            return Ok(None);
        }
        (&file).take(MOST_BYTES).read_to_end(&mut bytes)?;
        Ok(Manifest::decode(&bytes).filter(|found| found.generation == generation && generation.0 > 0))
    };
    match read() {
        // Of what can't be opened at the moment nothing is known.
        Err(error) if is_passing(&error) => Err(error),
        read => Ok(read.unwrap_or_default()),
    }
}

/// Removes what has the name of a manifest, if it is a file.
fn remove(folder: &Path, generation: Generation) {
    let path = path(folder, generation);
    if is_file(&path)
        && let Err(error) = std::fs::remove_file(&path)
    {
        tracing::debug!(generation = generation.0, %error, "an old manifest stays");
    }
}

fn is_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// Gives a finished file a name that nothing has, by the first of `ways` that the file system has.
fn name_once(ways: &[Way], from: &Path, to: &Path) -> io::Result<()> {
    let mut result = Err(io::ErrorKind::Unsupported.into());
    for way in ways {
        match way(from, to) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => result = Err(error),
            done => return done,
        }
    }
    result
}

/// Renames a file, unless something has the new name.
fn rename_once(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    {
        let _ = (from, to);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Copies a file, unless something has the new name. Whoever reads that meanwhile sees by the checksum that it isn't whole.
fn copy_once(from: &Path, to: &Path) -> io::Result<()> {
    let bytes = std::fs::read(from)?;
    let written = private::create_new(to)?.write_all(&bytes);
    if written.is_err() {
        // Else it stays, and is passed over.
        let _ = std::fs::remove_file(to);
    }
    written
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
