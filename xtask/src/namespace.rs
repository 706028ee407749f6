//! A namespace of users and mounts: limits of watches and mounted disks in it are its own, and nobody else is disturbed.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::run as run_command;

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
    run_command(Command::new("mount").args(["-t", "tmpfs", "-o", &options, "none"]).arg(at))
}

/// Takes it away, and what it holds.
pub(crate) fn unmount_disk(at: &Path) -> Result<()> {
    run_command(Command::new("umount").arg(at))
}
