//! What a codebase stands on: which folder is at its root's path, and what is mounted below it. No event tells when that
//! becomes another: a folder above is renamed, a disk goes and another comes, something is mounted over a folder.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::core::RelPath;
use crate::core::files::{FolderId, folder_at};

/// What a codebase stands on at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// The folder at the root's path, if there is one.
    root: Option<FolderId>,
    /// Which mount it is in, by a number that is never used twice; `None` where the system has no such numbers.
    mount: Option<u64>,
    mounts: Vec<Mount>,
}

/// Something that is mounted at or below the root.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    path: PathBuf,
    /// What it is: the device, and which folder of it.
    source: String,
    number: Option<u64>,
}

impl Ground {
    /// What the codebase at `root` stands on now.
    pub fn of(root: &Path) -> Ground {
        let (folder, mount) = at(root);
        Ground { root: folder, mount, mounts: mounts_at(root) }
    }

    /// Mounts below `root` whose file systems raise no events for changes made elsewhere.
    pub fn silent_parts(&self, root: &Path) -> Vec<RelPath> {
        let silent = self.mounts.iter().filter(|mount| super::filesystem::is_silent(&mount.path));
        silent.filter_map(|mount| RelPath::below(root, &mount.path)).collect()
    }

    /// Puts it into a checksum, by what is the same for each process that sees the same folders.
    pub fn feed(&self, sum: &mut Xxh3) {
        sum.update(format!("{:?}", self.root).as_bytes());
        for Mount { path, source, .. } in &self.mounts {
            sum.update(path.as_os_str().as_encoded_bytes());
            sum.update(source.as_bytes());
        }
    }
}

/// Compares what a codebase stands on with what it stood on.
#[derive(Debug)]
pub struct GroundWatch {
    root: PathBuf,
    known: Ground,
    news: MountNews,
}

impl GroundWatch {
    /// From now on. Blocks for a few looks.
    pub fn new(root: &Path) -> GroundWatch {
        // In this order: what is mounted meanwhile is news.
        let news = MountNews::open();
        GroundWatch { root: root.to_owned(), known: Ground::of(root), news }
    }

    /// Whether it is another than at the last call. Blocks for a look or two.
    pub fn changed(&mut self) -> bool {
        let (root, mount) = at(&self.root);
        let mut changed = root != self.known.root || mount != self.known.mount;
        (self.known.root, self.known.mount) = (root, mount);
        if self.news.any() {
            let mounts = mounts_at(&self.root);
            // Without numbers of their own, a mount that went and came again looks the same.
            let is_certain = mounts.iter().all(|mount| mount.number.is_some());
            changed |= mounts != self.known.mounts || !is_certain;
            self.known.mounts = mounts;
        }
        changed
    }

    /// See [`Ground::silent_parts`].
    pub fn silent_parts(&self) -> Vec<RelPath> {
        self.known.silent_parts(&self.root)
    }
}

#[cfg(target_os = "linux")]
fn at(path: &Path) -> (Option<FolderId>, Option<u64>) {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

    /// `STATX_MNT_ID_UNIQUE` (since Linux 6.8), from the kernel's own headers.
    const UNIQUE: StatxFlags = StatxFlags::from_bits_retain(0x4000);
    let told = statx(CWD, path, AtFlags::empty(), UNIQUE);
    let mount = told.ok().filter(|told| told.stx_mask & UNIQUE.bits() != 0).map(|told| told.stx_mnt_id);
    (folder_at(path).ok(), mount)
}

#[cfg(not(target_os = "linux"))]
fn at(path: &Path) -> (Option<FolderId>, Option<u64>) {
    (folder_at(path).ok(), None)
}

/// What is mounted at `root` and below, as `/proc/self/mountinfo` has it (proc(5)).
#[cfg(target_os = "linux")]
fn mounts_at(root: &Path) -> Vec<Mount> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let Ok(table) = std::fs::read(MOUNT_TABLE) else { return Vec::new() };
    let mount = |line: &[u8]| {
        let mut fields = line.split(|&byte| byte == b' ');
        let [number, _, device, folder] = [(); 4].map(|()| fields.next());
        let path = unescaped(fields.next()?);
        let path = Path::new(OsStr::from_bytes(&path)).to_owned();
        let source = [device?, folder?].map(String::from_utf8_lossy).join(" ");
        // The table's own number, used again once it is free, says more than none when there is no other.
        let source = format!("{} {source}", String::from_utf8_lossy(number?));
        path.starts_with(root).then_some((path, source))
    };
    let mounts = table.split(|&byte| byte == b'\n').filter_map(mount);
    mounts.map(|(path, source)| Mount { number: at(&path).1, path, source }).collect()
}

#[cfg(not(target_os = "linux"))]
fn mounts_at(_: &Path) -> Vec<Mount> {
    Vec::new()
}

#[cfg(target_os = "linux")]
const MOUNT_TABLE: &str = "/proc/self/mountinfo";

/// A path of the table, in which blanks and the like stand as `\040`.
#[cfg(target_os = "linux")]
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let code = match rest {
            [b'\\', a @ b'0'..=b'7', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
                u8::try_from(u32::from(a - b'0') * 64 + u32::from(b - b'0') * 8 + u32::from(c - b'0')).ok()
            }
            _ => None,
        };
        path.push(code.unwrap_or(byte));
        rest = if code.is_some() { &rest[4..] } else { after };
    }
    path
}

/// Tells whether anything was mounted or unmounted.
#[derive(Debug)]
struct MountNews {
    #[cfg(target_os = "linux")]
    table: Option<std::fs::File>,
}

impl MountNews {
    #[cfg(target_os = "linux")]
    fn open() -> MountNews {
        MountNews { table: std::fs::File::open(MOUNT_TABLE).ok() }
    }

    /// Since the last call. The kernel tells by the table's being readable with priority; each open table is told once.
    #[cfg(target_os = "linux")]
    fn any(&mut self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};

        let Some(table) = &self.table else { return true };
        let mut polled = [PollFd::new(table, PollFlags::PRI)];
        let told = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        told.is_err() || polled[0].revents().intersects(PollFlags::PRI | PollFlags::ERR)
    }

    #[cfg(not(target_os = "linux"))]
    fn open() -> MountNews {
        MountNews {}
    }

    #[cfg(not(target_os = "linux"))]
    fn any(&mut self) -> bool {
        false
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_table_of_mounts() {
        assert_eq!(unescaped(b"/a\\040b\\134c\\01"), b"/a b\\c\\01");
        assert_eq!(unescaped(b"/\\777"), b"/\\777");
    }
}
