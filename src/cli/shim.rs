//! `syncline shim`: a link by the name of ripgrep that leads to this program, which then is ripgrep.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use super::context::fail;

/// The name of ripgrep's program.
const RG: &str = if cfg!(windows) { "rg.exe" } else { "rg" };

/// Set for whom a command line was handed over to.
const HANDED_OVER: &str = "SYNCLINE_HANDED_OVER";

/// Make or remove a link called `rg`, for programs that call ripgrep.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Args {
    /// The folder for the link, which should come first in PATH
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Remove the link
    #[arg(long)]
    remove: bool,
}

/// Makes or removes the link.
pub(super) fn run(args: &Args) -> ExitCode {
    let link = args.folder.join(RG);
    let done = if args.remove { remove(&link) } else { make(&link) };
    match done {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => fail(error),
    }
}

fn make(link: &Path) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| format!("can't tell where this program is: {error}"))?;
    match std::fs::symlink_metadata(link) {
        Ok(_) if is_ours(link) => return Ok(format!("{} is there already", link.display())),
        Ok(_) => return Err(format!("{} is something else; give another folder, or move it away", link.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(format!("can't look at {}: {error}", link.display())),
    }
    let folder = link.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|error| format!("can't make the folder {}: {error}", folder.display()))?;
    linked(&program, link).map_err(|error| format!("can't make the link {}: {error}", link.display()))?;
    let told = format!("{} leads to {}", link.display(), program.display());
    match first_in_path() {
        Some(first) if same_file(&first, link) => Ok(told),
        Some(first) => Ok(format!("{told}; put {} before {} in PATH", folder.display(), first.display())),
        None => Ok(format!("{told}; put {} in PATH", folder.display())),
    }
}

fn remove(link: &Path) -> Result<String, String> {
    match std::fs::symlink_metadata(link) {
        Ok(_) if is_ours(link) => {
            std::fs::remove_file(link).map_err(|error| format!("can't remove {}: {error}", link.display()))?;
            Ok(format!("{} is removed", link.display()))
        }
        Ok(_) => Err(format!("{} isn't ours and stays", link.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(format!("there is no {}", link.display())),
        Err(error) => Err(format!("can't look at {}: {error}", link.display())),
    }
}

#[cfg(unix)]
fn linked(program: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(program, link)
}

/// Links need a privilege there; another name for the same file doesn't.
#[cfg(not(unix))]
fn linked(program: &Path, link: &Path) -> io::Result<()> {
    std::fs::hard_link(program, link)
}

/// Whether a program is this one, or a link to one of its name.
fn is_ours(program: &Path) -> bool {
    let leads_to_us = || Some(std::fs::read_link(program).ok()?.file_stem()? == OsStr::new("syncline"));
    std::env::current_exe().is_ok_and(|this| same_file(program, &this)) || leads_to_us().unwrap_or(false)
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (std::fs::canonicalize(a), std::fs::canonicalize(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

fn all_in_path() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.into_iter().map(|folder| folder.join(RG)).filter(|program| program.is_file())
}

fn first_in_path() -> Option<PathBuf> {
    all_in_path().next()
}

/// Whether this process was called by the name of ripgrep.
pub(super) fn is_called_rg(name: Option<&OsStr>) -> bool {
    name.is_some_and(|name| Path::new(name).file_stem() == Some(OsStr::new("rg")))
}

/// Lets the next real ripgrep in PATH, if there is one, do what `line` says; comes back only if there is none. A copy of
/// this program by another name can't be told from a ripgrep: it hands nothing over once more.
pub(super) fn hand_over(line: &[OsString]) {
    if std::env::var_os(HANDED_OVER).is_some() {
        return;
    }
    let Some(program) = all_in_path().find(|program| !is_ours(program)) else { return };
    let mut command = Command::new(program);
    command.args(line).env(HANDED_OVER, "1");
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        // It takes the place of this process, unless it can't be started.
        drop(command.exec());
    }
    #[cfg(not(unix))]
    if let Ok(status) = command.status() {
        std::process::exit(status.code().unwrap_or(2));
    }
}
