//! What `stat` tells of a file: enough to see that it changed without reading it.

use std::fs::Metadata;
use std::time::SystemTime;

/// A file's size and times, as the manifest keeps them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct FileStat {
    /// Bytes.
    pub size: u64,
    /// Last change of the content, ns since the Unix epoch.
    pub mtime_ns: i64,
    /// Last change of content or attributes, ns since the Unix epoch; 0 where the platform doesn't tell.
    pub ctime_ns: i64,
    /// The file's number in its file system; 0 where the platform doesn't tell.
    pub inode: u64,
}

impl FileStat {
    /// From what the system told.
    pub fn of(metadata: &Metadata) -> FileStat {
        let mtime_ns = metadata.modified().map_or(0, nanoseconds);
        let (ctime_ns, inode) = identity(metadata);
        FileStat { size: metadata.len(), mtime_ns, ctime_ns, inode }
    }

    /// Whether the file may have changed once more without any of these numbers moving: it changed so shortly before
    /// `now_ns` that its clock may not have ticked since.
    pub fn is_racy(&self, now_ns: i64) -> bool {
        // File systems stamp with a clock that ticks every 1 to 10 ms; those with whole seconds (FAT: two) show it.
        let whole_seconds = self.mtime_ns % 1_000_000_000 == 0;
        let granularity_ns = if whole_seconds { 2_100_000_000 } else { 40_000_000 };
        self.changed_ns(now_ns) > now_ns - granularity_ns
    }

    /// When the file last changed, as far as can be told at `now_ns`. Anybody can date a file in the future; when that was
    /// done is told by its ctime, which nobody can set.
    pub fn changed_ns(&self, now_ns: i64) -> i64 {
        match self.mtime_ns > now_ns && self.ctime_ns != 0 {
            true => self.ctime_ns,
            false => self.mtime_ns.max(self.ctime_ns),
        }
    }
}

/// This host's clock, ns since the Unix epoch.
pub fn now_ns() -> i64 {
    nanoseconds(SystemTime::now())
}

fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (i64, u64) {
    use std::os::unix::fs::MetadataExt;
    let ctime_ns = metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec());
    (ctime_ns, metadata.ino())
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> (i64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_dated_in_the_future_rests_once_that_was_long_ago() {
        const SECOND: i64 = 1_000_000_000;
        let now = 1000 * SECOND;
        let stat = |mtime_ns, ctime_ns| FileStat { mtime_ns, ctime_ns, ..FileStat::default() };
        assert!(stat(now - 1, now - 1).is_racy(now));
        assert!(stat(now - 100 * SECOND, now - 1).is_racy(now), "an old date, given a moment ago");
        assert!(!stat(now - SECOND / 2 - 1, now - SECOND / 2).is_racy(now));
        assert!(stat(now - SECOND, now - SECOND).is_racy(now), "its clock may tick in whole seconds");
        assert!(stat(now + 5000 * SECOND, now - 1).is_racy(now));
        assert!(!stat(now + 5000 * SECOND, now - 10 * SECOND).is_racy(now));
        assert!(stat(now + 5000 * SECOND, 0).is_racy(now), "nothing else is known of it");
        assert!(stat(now + SECOND, now + SECOND).is_racy(now), "another host's clock is ahead");
    }
}
