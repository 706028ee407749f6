//! What decides about a codebase and raises no event in it: ignore files above it and of the user, those that links lead
//! to, repositories' own lists, other names of a file. It is compared by `stat` whenever an answer is to be fresh.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::core::stat::{FileStat, now_ns};

/// More are not kept apart; then nobody can be certain, and the tree is compared again and again.
const MOST: usize = 10_000;

/// Files elsewhere, and what they looked like.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    seen: Vec<Seen>,
    /// There are more than are kept.
    overflowed: bool,
}

/// What a file elsewhere looked like.
#[derive(Clone, Debug)]
pub struct Seen {
    path: PathBuf,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Links followed; `None` when nothing was there.
    Stat {
        stat: Option<FileStat>,
        /// It had changed so shortly before that it may have changed once more without a trace.
        racy: bool,
    },
    /// Only whether something is there counts.
    Presence(bool),
}

impl Outside {
    /// Takes note of the file at `path`, links followed. To be called before it is read.
    pub fn note(&mut self, path: &Path) {
        self.push(path, stat_of(path));
    }

    /// Takes note of whether anything is at `path`: a repository's own folder changes all the time.
    pub fn note_presence(&mut self, path: &Path) {
        self.push(path, What::Presence(path.exists()));
    }

    fn push(&mut self, path: &Path, what: What) {
        match self.seen.len() < MOST {
            true => self.seen.push(Seen { path: path.to_owned(), what }),
            false => self.overflowed = true,
        }
    }

    /// Takes in what was noted elsewhere.
    pub fn append(&mut self, other: &mut Outside) {
        let room = MOST.saturating_sub(self.seen.len()).min(other.seen.len());
        self.overflowed |= other.overflowed || room < other.seen.len();
        self.seen.extend(other.seen.drain(..).take(room));
    }

    /// Whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty() && !self.overflowed
    }

    /// Whether the same was noted, in whatever order.
    pub fn is_like(&self, other: &Outside) -> bool {
        let sum = |outside: &Outside| outside.seen.iter().map(Seen::sum).fold(0, u64::wrapping_add);
        (self.seen.len(), self.overflowed, sum(self)) == (other.seen.len(), other.overflowed, sum(other))
    }

    /// Something that isn't any more what it was, or may not be.
    pub fn changed(&self) -> Option<&Path> {
        let differs = |seen: &&Seen| match seen.what {
            What::Stat { racy: true, .. } => true,
            What::Stat { stat, racy: false } => {
                !matches!(stat_of(&seen.path), What::Stat { stat: now, .. } if now == stat)
            }
            What::Presence(present) => seen.path.exists() != present,
        };
        self.seen.iter().find(differs).map(|seen| seen.path.as_path())
    }

    /// Whether all that was noted is compared.
    pub fn is_whole(&self) -> bool {
        !self.overflowed
    }

    /// Puts all of it into a checksum.
    pub fn feed(&self, sum: &mut Xxh3) {
        self.seen.iter().for_each(|seen| seen.feed(sum));
    }
}

impl Seen {
    fn feed(&self, sum: &mut Xxh3) {
        sum.update(self.path.as_os_str().as_encoded_bytes());
        match self.what {
            What::Stat { stat, .. } => sum.update(format!("{stat:?}").as_bytes()),
            What::Presence(present) => sum.update(&[u8::from(present)]),
        }
    }

    fn sum(&self) -> u64 {
        let mut sum = Xxh3::new();
        self.feed(&mut sum);
        sum.digest()
    }
}

fn stat_of(path: &Path) -> What {
    let stat = std::fs::metadata(path).ok().map(|metadata| FileStat::of(&metadata));
    What::Stat { stat, racy: stat.is_some_and(|stat| stat.is_racy(now_ns())) }
}
