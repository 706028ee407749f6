//! The manifest: which segments make up the index, and which of their files are gone.
//!
//! Each commit writes a manifest of its own, `manifest-<generation>`, which only one writer can create: the file is
//! written under another name and then linked to its own, which fails when that exists. So two processes that commit
//! at the same time can't overwrite each other, without any lock: the second one learns that it was overtaken, loads
//! what the first one left, and commits on top of that.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::docs::DocId;
use super::segment::{SegmentId, SegmentRef, create_private};
use super::varint;
use crate::core::cache::{Fence, FencingToken};
use crate::index::checksum::xxh3_64;

/// The first bytes of a manifest; the last of them is the version of the format.
const MAGIC: [u8; 8] = *b"SYNCMAN\x02";
/// Lines whose last token is remembered. More than one line's only when settings change.
const MOST_FENCES: usize = 4;
/// Manifests kept beside the newest, so that a reader who just listed the folder still finds the one it chose.
const KEPT: u64 = 4;

/// Number of the index's last commit; 0 before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u64);

impl Generation {
    /// The commit after this one.
    pub fn next(self) -> Generation {
        Generation(self.0 + 1)
    }
}

/// Which segments make up the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Number of this commit.
    pub generation: Generation,
    /// The segments and, of each, the files that no longer count, ascending.
    pub segments: BTreeMap<SegmentId, (SegmentRef, Vec<DocId>)>,
    /// The last token of each waiting line under which something was committed, the latest first.
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

/// The last token of each waiting line under which something was committed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fences(Vec<Fence>);

impl Fences {
    /// Whether a commit under `fence` comes too late: a later holder of that line has committed.
    pub fn refuse(&self, fence: Fence) -> bool {
        self.0.iter().any(|last| last.line == fence.line && last.token > fence.token)
    }

    /// Remembers a commit.
    pub fn passed(&mut self, fence: Fence) {
        self.0.retain(|last| last.line != fence.line);
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
    /// The manifest is the index now.
    Yes,
    /// Another process committed first: load its manifest and try again.
    Overtaken,
    /// Others have committed since: load the newest, and see whether it is built on this one.
    Perhaps,
}

impl Manifest {
    /// The newest manifest in `folder` that can be read, or an empty one. Unreadable ones are named in the second value;
    /// the third is the newest generation of all, readable or not.
    ///
    /// # Errors
    /// When the folder can't be listed, or one of them not be read now.
    pub fn load(folder: &Path) -> io::Result<(Manifest, Vec<PathBuf>, Generation)> {
        let mut unreadable = Vec::new();
        let generations = generations(folder)?;
        let newest = generations.last().copied().unwrap_or_default();
        for generation in generations.into_iter().rev() {
            let path = path(folder, generation);
            let bytes = match std::fs::read(&path) {
                // Others have cleared it away.
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                read => Some(read?),
            };
            match bytes.and_then(|bytes| Manifest::decode(&bytes)) {
                Some(manifest) if manifest.generation == generation => return Ok((manifest, unreadable, newest)),
                _ => unreadable.push(path),
            }
        }
        Ok((Manifest::default(), unreadable, newest))
    }

    /// Makes this the index, if no other process has committed this generation or a later one. Older manifests go.
    ///
    /// # Errors
    /// When the folder can't be written; nothing is changed then.
    pub fn commit(&self, folder: &Path) -> io::Result<Committed> {
        // Of a number that is long gone, the file may have been cleared away: it must not come again.
        if generations(folder)?.last().is_some_and(|newest| *newest >= self.generation) {
            return Ok(Committed::Overtaken);
        }
        let unfinished = folder.join(format!("{}.unfinished", Uuid::new_v4().simple()));
        let written = create_private(&unfinished).and_then(|mut file| file.write_all(&self.encode()));
        let linked = written.and_then(|()| std::fs::hard_link(&unfinished, path(folder, self.generation)));
        // The link, if it came to be, stays when its first name goes.
        let removed = std::fs::remove_file(&unfinished);
        match linked {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(Committed::Overtaken),
            other => other.and(removed)?,
        }
        let generations = generations(folder)?;
        // Others may have built on it since. Or they had gone so far ahead meanwhile that they have cleared this
        // generation's manifest away, and this one came too late.
        if generations.last() != Some(&self.generation) {
            return Ok(Committed::Perhaps);
        }
        for old in generations.into_iter().filter(|old| old.0 + KEPT < self.generation.0) {
            if let Err(error) = std::fs::remove_file(path(folder, old)) {
                tracing::debug!(generation = old.0, %error, "an old manifest stays");
            }
        }
        Ok(Committed::Yes)
    }

    /// The generation after the newest manifest's, readable or not.
    ///
    /// # Errors
    /// When the folder can't be listed.
    pub fn next_generation(folder: &Path) -> io::Result<Generation> {
        Ok(generations(folder)?.last().copied().unwrap_or_default().next())
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
            out.extend_from_slice(&fence.line.to_le_bytes());
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
            fences.0.push(Fence { line: u64::from_le_bytes(*line), token: FencingToken(varint::read(rest)?) });
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

/// The generations that have a manifest, ascending.
fn generations(folder: &Path) -> io::Result<Vec<Generation>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("manifest-"));
        if let Some(number) = number.and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
            found.push(Generation(number));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn manifest(generation: u64) -> Manifest {
        let id = SegmentId(Uuid::from_u128(7));
        let name = SegmentRef { id, bytes: 1234, checksum: u64::MAX };
        let mut fences = Fences::default();
        (1..9).for_each(|line| fences.passed(Fence { line, token: FencingToken(1 << (7 * line)) }));
        Manifest {
            generation: Generation(generation),
            segments: [(id, (name, vec![0, 3, 4, 900]))].into(),
            fences,
            ancestry: Ancestry(vec![1, u64::MAX]),
        }
    }

    #[test]
    fn only_one_writer_commits_a_generation() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path();
        assert_eq!(manifest(1).commit(folder).expect("written"), Committed::Yes);
        assert_eq!(manifest(1).commit(folder).expect("written"), Committed::Overtaken);
        for generation in 2..20 {
            assert_eq!(manifest(generation).commit(folder).expect("written"), Committed::Yes);
        }
        // Its manifest is gone by now, and it must still not be able to commit.
        assert_eq!(manifest(2).commit(folder).expect("written"), Committed::Overtaken);
        assert_eq!(Manifest::load(folder).expect("listed").0, manifest(19));
    }

    #[test]
    fn a_commit_that_others_have_built_on_is_recognised() {
        let mut newest = Ancestry::default().child();
        let (ours, never) = (newest.clone(), newest.child());
        for _ in 0..MOST_ANCESTORS - 1 {
            newest = newest.child();
        }
        assert!(newest.is_built_on(&ours) && newest.is_built_on(&newest));
        assert!(!newest.is_built_on(&never) && !ours.is_built_on(&newest));
        assert!(!newest.child().is_built_on(&ours), "they are bounded");
    }

    #[test]
    fn a_commit_under_an_older_token_of_the_same_line_is_refused() {
        let fence = |line, token| Fence { line, token: FencingToken(token) };
        let mut fences = Fences::default();
        assert!(!fences.refuse(fence(1, 0)));
        fences.passed(fence(1, 5));
        fences.passed(fence(2, 3));
        assert!(fences.refuse(fence(1, 4)) && fences.refuse(fence(2, 2)));
        assert!(!fences.refuse(fence(1, 5)) && !fences.refuse(fence(2, 4)) && !fences.refuse(fence(3, 1)));
        assert_eq!(fences.highest(), FencingToken(5));
    }

    #[test]
    fn a_damaged_manifest_is_passed_over() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let folder = folder.path();
        manifest(1).commit(folder).expect("written");
        manifest(2).commit(folder).expect("written");
        std::fs::write(path(folder, Generation(2)), b"nonsense").expect("written");
        let (found, unreadable, newest) = Manifest::load(folder).expect("listed");
        assert_eq!((found, unreadable.len(), newest), (manifest(1), 1, Generation(2)));
        assert_eq!(Manifest::next_generation(folder).expect("listed"), Generation(3));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_are_refused(bytes: Vec<u8>) {
            Manifest::decode(&bytes);
            let mut sealed = MAGIC.to_vec();
            sealed.extend_from_slice(&bytes);
            sealed.extend_from_slice(&xxh3_64(&sealed).to_le_bytes());
            Manifest::decode(&sealed);
        }

        #[test]
        fn a_flipped_bit_is_noticed(bit in 0usize..500) {
            let mut bytes = manifest(5).encode();
            let bit = bit % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Manifest::decode(&bytes), None);
        }
    }
}
