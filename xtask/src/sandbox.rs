//! Leaves nothing behind and disturbs nothing: child processes and temporary files go when the command ends, however it
//! ends, and what it runs sees a home of its own.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait, waitpid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What is to be removed on a signal, when no destructor runs.
static TEMPORARY: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Set when a signal has come and the end is near.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// From here on orphans below this process come to it instead of to init, and Ctrl-C, `SIGTERM` and `SIGHUP` end all
/// processes below it and remove what is temporary.
pub(crate) fn install() -> Result<()> {
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(getpid())).context("cannot adopt orphaned processes")?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen for signals")?;
    thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            STOPPING.store(true, Ordering::SeqCst);
            end_descendants();
            for path in TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                remove(path);
            }
            std::process::exit(128 + signal);
        }
    });
    Ok(())
}

/// Returns at once, but after a signal never: what was running has been killed then, so its failure says nothing, and
/// nothing more is to be started.
pub(crate) fn hold_if_stopping() {
    while STOPPING.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// Kills every process below this one, those included that went to the background, and returns their command lines.
pub(crate) fn end_descendants() -> Vec<String> {
    let mut ended = BTreeMap::new();
    // What a killed process has started becomes ours only once it is gone, so one round may not find everything.
    for _ in 0..100 {
        while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
        let alive = descendants();
        if alive.is_empty() {
            break;
        }
        for (pid, line) in alive {
            if let Some(pid) = Pid::from_raw(pid) {
                // An error means that it has ended by itself.
                let _ = kill_process(pid, Signal::KILL);
            }
            ended.insert(pid, line);
        }
        thread::sleep(Duration::from_millis(10));
    }
    // Without a command line are those that had ended by themselves and only waited to be reaped.
    ended.into_values().filter(|line: &String| !line.is_empty()).collect()
}

/// Reaps what has ended below this process and come to it, but for one child that somebody waits for: a process that nobody
/// reaps looks alive to others.
pub(crate) fn reap_orphans(waited_for: u32) {
    for (pid, _) in descendants() {
        if u32::try_from(pid) != Ok(waited_for)
            && let Some(pid) = Pid::from_raw(pid)
        {
            // Those that are alive, or another's children, stay.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Process ids and command lines of everything below this process, from `/proc`; nothing where there is no `/proc`.
fn descendants() -> Vec<(i32, String)> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name between parentheses may hold anything, so fields count from the last one: state, then parent.
        let mut fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        if let Some(parent) = fields.nth(1).and_then(|parent| parent.parse::<i32>().ok()) {
            parents.insert(pid, parent);
        }
    }
    let own = getpid().as_raw_nonzero().get();
    let below = |mut pid: i32| {
        // Bounded, because the table is not of one moment and may hold a circle.
        for _ in 0..parents.len() {
            match parents.get(&pid) {
                Some(parent) if *parent == own => return true,
                Some(parent) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    parents.keys().filter(|pid| below(**pid)).map(|pid| (*pid, command_line(*pid))).collect()
}

/// The command line of a process; empty when it has ended.
fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " ")
}

/// Gives a command a home of its own, so that neither the user's settings nor their caches, daemon or global ignore
/// file have a part in what is tested or measured.
pub(crate) fn isolate(command: &mut Command, home: &Path) -> Result<()> {
    let runtime = home.join("run");
    fs::create_dir_all(&runtime).with_context(|| format!("cannot create {}", runtime.display()))?;
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).context("cannot close the runtime folder")?;
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SYNCLINE_") {
            command.env_remove(name);
        }
    }
    command.env("HOME", home).env("XDG_RUNTIME_DIR", &runtime);
    for (name, folder) in [
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
    ] {
        command.env(name, home.join(folder));
    }
    Ok(())
}

/// A file or folder of our own that goes when this value does, or on a signal.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new, empty folder inside `parent`.
    pub(crate) fn folder(parent: &Path) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("syncline-xtask-{}-{number}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self::keep_in_mind(path))
    }

    /// A new, empty file; an error if there is one by that name, for it would be somebody else's.
    pub(crate) fn file(path: PathBuf) -> Result<Self> {
        fs::File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self::keep_in_mind(path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    fn keep_in_mind(path: PathBuf) -> Self {
        TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
        TEMPORARY.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.0);
    }
}

/// Removes a file or folder, saying so when it can't.
fn remove(path: &Path) {
    let outcome = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    if let Err(error) = outcome
        && error.kind() != ErrorKind::NotFound
    {
        eprintln!("warning: {} could not be removed: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_goes_with_its_value() -> Result<()> {
        let folder = Scratch::folder(&std::env::temp_dir())?;
        let path = folder.path().to_owned();
        let file = Scratch::file(path.join("file"))?;
        assert!(file.path().is_file());
        assert!(Scratch::file(path.join("file")).is_err(), "a file of somebody else's is left alone");
        drop(file);
        assert!(!path.join("file").exists());
        drop(folder);
        assert!(!path.exists());
        Ok(())
    }
}
