//! How much the shared engine takes: memory, descriptors, threads, disk.

use std::fs;

use anyhow::{Result, bail};

use super::place::Place;
use super::tally::Tally;
use crate::bench::measure::{bytes_on_disk, resident};

/// The most memory that the engine may ever have resident, bytes: cold indexing of this tree takes about half of it.
const MOST_MEMORY: u64 = 400 << 20;
/// The most descriptors it may ever have: those of its clients, its index and its watches, and one for each file that it
/// reads at the moment.
const MOST_DESCRIPTORS: usize = 256;
/// The most threads.
const MOST_THREADS: usize = 96;
/// The most that its folder may hold at rest: the indexes of a few states of the tree, bytes.
const MOST_DISK: u64 = 160 << 20;
/// The most entries that its folder may have at rest.
const MOST_ENTRIES: usize = 200;

/// The most that was seen.
#[derive(Default)]
pub(super) struct Vitals {
    memory: u64,
    descriptors: usize,
    threads: usize,
    disk: u64,
    entries: usize,
}

impl Vitals {
    /// Looks at the engine, if there is one, at any time.
    pub(super) fn look(&mut self, place: &Place) -> Result<()> {
        for pid in place.daemons() {
            // It may end while it is looked at.
            let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).map_or(0, Iterator::count);
            let memory = u32::try_from(pid).ok().and_then(|pid| resident(pid).ok()).unwrap_or_default();
            let (descriptors, threads) = (count("fd"), count("task"));
            self.memory = self.memory.max(memory);
            self.descriptors = self.descriptors.max(descriptors);
            self.threads = self.threads.max(threads);
            if memory > MOST_MEMORY {
                bail!("the engine has {} MB resident, more than {}", memory >> 20, MOST_MEMORY >> 20);
            }
            if descriptors > MOST_DESCRIPTORS {
                bail!("the engine has {descriptors} descriptors, more than {MOST_DESCRIPTORS}");
            }
            if threads > MOST_THREADS {
                bail!("the engine has {threads} threads, more than {MOST_THREADS}");
            }
        }
        Ok(())
    }

    /// Looks at its folder, at rest.
    pub(super) fn look_at_disk(&mut self, place: &Place) -> Result<()> {
        let disk = bytes_on_disk(&place.disk)?;
        let mut entries = 0;
        for folder in fs::read_dir(&place.disk)?.flatten() {
            entries += fs::read_dir(folder.path()).map_or(1, Iterator::count);
        }
        self.disk = self.disk.max(disk);
        self.entries = self.entries.max(entries);
        if disk > MOST_DISK {
            bail!("the index folder holds {} MB at rest, more than {}", disk >> 20, MOST_DISK >> 20);
        }
        if entries > MOST_ENTRIES {
            bail!("the index folder has {entries} entries at rest, more than {MOST_ENTRIES}");
        }
        Ok(())
    }

    /// Puts the most that was seen into the report.
    pub(super) fn report(&self, tally: &Tally) {
        tally.add_many("most", &format!("MB resident in the engine (bound {})", MOST_MEMORY >> 20), self.memory >> 20);
        tally.add_many("most", &format!("descriptors (bound {MOST_DESCRIPTORS})"), self.descriptors as u64);
        tally.add_many("most", &format!("threads (bound {MOST_THREADS})"), self.threads as u64);
        tally.add_many("most", &format!("MB on disk at rest (bound {})", MOST_DISK >> 20), self.disk >> 20);
        tally.add_many("most", &format!("entries on disk at rest (bound {MOST_ENTRIES})"), self.entries as u64);
    }
}
