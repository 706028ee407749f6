//! Opens by anybody don't wake us. `notify` asks the kernel for the opening of files, too, which nobody here wants to
//! know: each build or search by others would wake its thread for each file. (Its next version can be told.)

use std::path::Path;

/// What takes opens out of what the kernel tells of.
pub(super) struct NoOpens {
    #[cfg(target_os = "linux")]
    inotify: std::os::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl NoOpens {
    /// For the watcher that watches the folder `own`, which no other does. `None` where a sandbox is in the way: opens
    /// then wake us, and that is all.
    pub(super) fn find(own: &Path) -> Option<NoOpens> {
        use std::os::unix::fs::MetadataExt;

        use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

        let metadata = std::fs::metadata(own).ok()?;
        // As in proc_pid_fdinfo(5): "inotify wd:1 ino:9e7e sdev:800013 …", all hexadecimal.
        let watched = format!(" ino:{:x} ", metadata.ino());
        let number = std::fs::read_dir("/proc/self/fd").ok()?.flatten().find_map(|entry| {
            let number: i32 = entry.file_name().to_str()?.parse().ok()?;
            let leads_to = std::fs::read_link(entry.path()).ok()?;
            let is_inotify = leads_to == Path::new("anon_inode:inotify");
            let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}")).ok().filter(|_| is_inotify)?;
            info.lines().any(|line| line.starts_with("inotify ") && line.contains(&watched)).then_some(number)
        })?;
        let this = pidfd_open(getpid(), PidfdFlags::empty()).ok()?;
        Some(NoOpens { inotify: pidfd_getfd(this, number, PidfdGetfdFlags::empty()).ok()? })
    }

    /// No opens in `folder`, which is watched.
    pub(super) fn leave_out(&self, folder: &Path) {
        use rustix::fs::inotify::{WatchFlags, add_watch};

        /// All that `notify` asks for, but opens.
        const WANTED: WatchFlags = WatchFlags::ATTRIB
            .union(WatchFlags::CREATE)
            .union(WatchFlags::DELETE)
            .union(WatchFlags::DELETE_SELF)
            .union(WatchFlags::CLOSE_WRITE)
            .union(WatchFlags::MODIFY)
            .union(WatchFlags::MOVED_FROM)
            .union(WatchFlags::MOVED_TO)
            .union(WatchFlags::MOVE_SELF);
        // The same folder's watch is changed. Should another stand there by now, its own look watches it anew.
        let _ = add_watch(&self.inotify, folder, WANTED);
    }
}

/// Only Linux's watcher asks for them.
#[cfg(not(target_os = "linux"))]
impl NoOpens {
    pub(super) fn find(_: &Path) -> Option<NoOpens> {
        None
    }

    pub(super) fn leave_out(&self, _: &Path) {}
}
