//! A namespace of users and mounts: limits of watches and mounted disks in it are its own, and nobody else is disturbed. Its
//! root reads only what it may.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::{run as run_command, run_quietly};

/// Set inside.
const INSIDE: &str = "SYNCLINE_XTASK_INSIDE";
/// The system's own limits count beside this.
const PLENTY: u64 = 1_000_000;

/// What may be had of inotify.
#[derive(Clone, Copy)]
pub(crate) enum Inotify {
    /// Watched folders.
    Watches,
    /// Programs' ways to watch.
    Instances,
}

/// Whether this process is inside one.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs this command once more, inside one.
pub(crate) fn enter() -> Result<()> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount"]);
    // Or what may not be read would be read all the same.
    command.args(["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--"]);
    command.arg(std::env::current_exe().context("this program has no name")?).args(std::env::args_os().skip(1));
    run_command(command.env(INSIDE, "1"))
        .context("it has failed, or there is no right to namespaces of users and mounts")
}

/// Lets all programs inside have so many at most; as many as there are, without a number.
pub(crate) fn limit(what: Inotify, most: Option<u64>) -> Result<()> {
    let file = match what {
        Inotify::Watches => "/proc/sys/user/max_inotify_watches",
        Inotify::Instances => "/proc/sys/user/max_inotify_instances",
    };
    fs::write(file, most.unwrap_or(PLENTY).to_string()).with_context(|| format!("cannot write {file}"))
}

/// A small disk of its own at a folder; its size as `mount` takes it.
pub(crate) fn mount_disk(at: &Path, size: &str) -> Result<()> {
    let options = format!("size={size},mode=0700");
    run_quietly(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(at))
}

/// Mounts a folder over another one.
pub(crate) fn bind(folder: &Path, at: &Path) -> Result<()> {
    run_quietly(Command::new("mount").arg("--bind").args([folder, at]))
}

/// Takes a mount away, even while somebody reads there.
pub(crate) fn unmount(at: &Path) -> Result<()> {
    run_quietly(Command::new("umount").arg(at)).or_else(|_| run_quietly(Command::new("umount").arg("-l").arg(at)))
}

/// Where something is mounted below a folder, other than what belongs to the namespace for good; the last first.
pub(crate) fn mounts_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("cannot read the mounts")?;
    // Blanks are escaped; no folder here has any.
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from);
    let mut points: Vec<_> = points.filter(|point| point.starts_with(folder)).collect();
    points.reverse();
    Ok(points)
}
